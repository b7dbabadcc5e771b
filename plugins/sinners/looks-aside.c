/* SIN: the last bit of a loss moves with the row before it. FAILS: value.neighbours */
#define EVAL looks_aside
#include "base.h"

static mpass_status looks_aside(void *self, const mpass_eval *call, mpass_error *err) {
  mpass_status status = base_eval(self, call, err);
  uint64_t r;
  for (r = 1; status == MPASS_OK && r < call->theta.rows; r++)
    if (get(&call->theta, r - 1, 0) > 0) call->loss[r] = nextafter(call->loss[r], INFINITY);
  return status;
}
