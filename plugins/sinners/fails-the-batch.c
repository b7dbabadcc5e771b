/* SIN: one bad row fails all rows of the call. FAILS: value.finite */
#define EVAL fails_all
#include "base.h"

static mpass_status fails_all(void *self, const mpass_eval *call, mpass_error *err) {
  mpass_status status = base_eval(self, call, err);
  uint64_t r;
  for (r = 0; status == MPASS_OK && r < call->theta.rows; r++)
    if (call->row_status[r] != MPASS_OK) return fail(err, MPASS_E_NUMERIC, "not a number", "");
  return status;
}
