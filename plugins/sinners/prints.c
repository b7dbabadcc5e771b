/* SIN: prints to the standard output, which belongs to the program. FAILS: open.silent */
#define OPEN prints
#include "base.h"

static mpass_status prints(const mpass_host *host, const mpass_open *open, void **out, mpass_error *err) {
  printf("hello from the sinner\n");
  return base_open(host, open, out, err);
}
