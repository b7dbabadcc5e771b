/* SIN: the Hessian of something else. FAILS: hvp.taylor */
#define EVAL doubles
#include "base.h"

static mpass_status doubles(void *self, const mpass_eval *call, mpass_error *err) {
  mpass_status status = base_eval(self, call, err);
  uint64_t r, i;
  for (r = 0; status == MPASS_OK && call->hvp.data && r < call->theta.rows; r++)
    for (i = 0; i < P; i++) set(&call->hvp, r, i, 2 * get(&call->hvp, r, i));
  return status;
}
