/* SIN: a Hessian-vector product that is not linear in the vector. FAILS: hvp.linear */
#define EVAL bends
#include "base.h"

static mpass_status bends(void *self, const mpass_eval *call, mpass_error *err) {
  mpass_status status = base_eval(self, call, err);
  uint64_t r;
  for (r = 0; status == MPASS_OK && call->hvp.data && r < call->theta.rows; r++) {
    double v = get(&call->dir, r, 0);
    set(&call->hvp, r, 0, get(&call->hvp, r, 0) + 1e-3 * v * v);
  }
  return status;
}
