/* SIN: another start each time for the same seed. FAILS: open.extensions */
#define START seedless
#include "base.h"

static mpass_status seedless(const void *self, uint64_t seed, double *theta, mpass_error *err) {
  static uint64_t count;
  return base_start(self, seed + count++, theta, err);
}
