/* SIN: the gradient points downhill. FAILS: gradient.taylor */
#define EVAL downhill
#include "base.h"

static mpass_status downhill(void *self, const mpass_eval *call, mpass_error *err) {
  mpass_status status = base_eval(self, call, err);
  uint64_t r, i;
  for (r = 0; status == MPASS_OK && call->grad.data && r < call->theta.rows; r++)
    for (i = 0; i < P; i++) set(&call->grad, r, i, -get(&call->grad, r, i));
  return status;
}
