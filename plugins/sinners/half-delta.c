/* SIN: delta is the derivative by max(z, 0), the part of a kink that bends, and not by h. FAILS: kinks.jump */
#define LINEAR linear_of_half
#define NEAR near_of_half
#include "kinked.h"

static mpass_status linear_of_half(void *self, const mpass_slope *slopes, uint64_t n, const mpass_eval *call, double *z,
                                   double *delta, mpass_error *err) {
  mpass_status status = kinked_linear(self, slopes, n, call, z, delta, err);
  uint64_t k, r;
  for (r = 0; status == MPASS_OK && delta && r < call->theta.rows; r++)
    for (k = 0; k < n; k++) delta[r * n + k] *= 1 - alphas[slopes[k].id];
  return status;
}

static mpass_status near_of_half(void *self, const double *theta, double width, mpass_kink *out, uint64_t room, uint64_t *count,
                                 mpass_error *err) {
  mpass_status status = kinked_near(self, theta, width, out, room, count, err);
  uint64_t k;
  for (k = 0; k < *count && k < room; k++) out[k].delta *= 1 - out[k].alpha;
  return status;
}
