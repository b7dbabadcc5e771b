/* SIN: a Hessian that is not symmetric. FAILS: hvp.symmetric */
#define EVAL lopsided
#include "base.h"

static mpass_status lopsided(void *self, const mpass_eval *call, mpass_error *err) {
  mpass_status status = base_eval(self, call, err);
  uint64_t r;
  for (r = 0; status == MPASS_OK && call->hvp.data && r < call->theta.rows; r++)
    set(&call->hvp, r, 0, get(&call->hvp, r, 0) + 1e-3 * get(&call->dir, r, 1));
  return status;
}
