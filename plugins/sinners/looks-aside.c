/* SIN: the loss of a row moves with the row before it. FAILS: value.neighbours */
#define EVAL looks_aside
#include "base.h"

static mpass_status looks_aside(void *self, const mpass_eval *call, mpass_error *err) {
  mpass_status status = base_eval(self, call, err);
  uint64_t r;
  for (r = 1; status == MPASS_OK && r < call->theta.rows; r++) call->loss[r] += 1e-12 * get(&call->theta, r - 1, 0);
  return status;
}
