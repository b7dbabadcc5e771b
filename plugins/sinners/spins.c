/* SIN: never comes back from a row that is not a number. FAILS: value.finite */
#define EVAL spins
#include "base.h"

static mpass_status spins(void *self, const mpass_eval *call, mpass_error *err) {
  mpass_status status = base_check((const loss *)self, call, err);
  uint64_t r;
  volatile double x;
  for (r = 0; status == MPASS_OK && r < call->theta.rows; r++)
    for (x = get(&call->theta, r, 0); !(x < 1e200); x = x / 2 + x / 2) continue;
  return base_eval(self, call, err);
}
