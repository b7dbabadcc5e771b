/* SIN: the gradient of the smoothed loss is that of the loss. FAILS: kinks.smoothed */
#define SMOOTHED with_sharp_gradient
#include "kinked.h"

static mpass_status with_sharp_gradient(void *self, double eps, const mpass_eval *call, mpass_error *err) {
  mpass_eval other = *call;
  mpass_status status;
  memset(&other.dir, 0, sizeof other.dir);
  memset(&other.hvp, 0, sizeof other.hvp);
  status = call->grad.data ? kinked_eval(self, &other, err) : MPASS_OK;
  if (status != MPASS_OK) return status;
  other = *call;
  memset(&other.grad, 0, sizeof other.grad);
  return kinked_smoothed(self, eps, &other, err);
}
