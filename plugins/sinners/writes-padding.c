/* SIN: writes into the gap between two rows of the gradient. FAILS: value.strides */
#define EVAL untidy
#include "base.h"

static mpass_status untidy(void *self, const mpass_eval *call, mpass_error *err) {
  mpass_status status = base_eval(self, call, err);
  uint64_t r;
  for (r = 1; status == MPASS_OK && call->grad.data && r < call->theta.rows; r++)
    if (call->grad.row_stride > P) set(&call->grad, r - 1, P, 0);
  return status;
}
