/* SIN: crashes when the program ends. FAILS: open.exit */
#include "base.h"

__attribute__((destructor)) static void falls_over(void) {
  abort();
}
