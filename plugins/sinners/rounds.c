/* SIN: leaves the processor rounding upwards. FAILS: open.process */
#define CLOSE rounds_up
#include "base.h"
#include <fenv.h>

static void rounds_up(void *self) {
  fesetround(FE_UPWARD);
  base_close(self);
}
