/* SIN: divides the gradient by the number of rows. FAILS: gradient.batch */
#define EVAL divides
#include "base.h"

static mpass_status divides(void *self, const mpass_eval *call, mpass_error *err) {
  mpass_status status = base_eval(self, call, err);
  uint64_t r, i, n = call->theta.rows;
  for (r = 0; status == MPASS_OK && call->grad.data && r < n; r++)
    for (i = 0; i < P; i++) set(&call->grad, r, i, get(&call->grad, r, i) / (double)n);
  return status;
}
