/* SIN: Hessian-vector products of the loss with slopes put every kink on a side, whatever its slope. FAILS: kinks.linear */
#define LINEAR on_sides
#include "kinked.h"

static mpass_status on_sides(void *self, const mpass_slope *slopes, uint64_t n, const mpass_eval *call, double *z, double *delta,
                             mpass_error *err) {
  mpass_slope sides[KINKS];
  mpass_status status;
  mpass_eval other = *call;
  uint64_t k;
  for (k = 0; k < n; k++) {
    double alpha = alphas[slopes[k].id % KINKS];
    sides[k % KINKS] = slopes[k];
    sides[k % KINKS].t = slopes[k].t < (1 + alpha) / 2 ? alpha : 1;
  }
  memset(&other.grad, 0, sizeof other.grad);
  status = call->hvp.data && n <= KINKS ? kinked_linear(self, sides, n, &other, NULL, NULL, err) : MPASS_OK;
  if (status != MPASS_OK) return status;
  other = *call;
  memset(&other.dir, 0, sizeof other.dir);
  memset(&other.hvp, 0, sizeof other.hvp);
  return kinked_linear(self, slopes, n, &other, z, delta, err);
}
