/* SIN: the loss with slopes is another by a constant. FAILS: kinks.sides */
#define LINEAR without
#include "kinked.h"

static mpass_status without(void *self, const mpass_slope *slopes, uint64_t n, const mpass_eval *call, double *z, double *delta,
                            mpass_error *err) {
  mpass_status status = kinked_linear(self, slopes, n, call, z, delta, err);
  uint64_t r;
  for (r = 0; status == MPASS_OK && r < call->theta.rows; r++) call->loss[r] += 0.125;
  return status;
}
