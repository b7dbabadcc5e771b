/* SIN: starts searches outside its own box. FAILS: open.extensions */
#define START outside
#include "base.h"

static mpass_status outside(const void *self, uint64_t seed, double *theta, mpass_error *err) {
  mpass_status status = base_start(self, seed, theta, err);
  theta[0] += 4.5;
  return status;
}
