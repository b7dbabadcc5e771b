/* SIN: does not flag a row that is not a number. FAILS: value.finite */
#define EVAL unflagged
#include "base.h"

static mpass_status unflagged(void *self, const mpass_eval *call, mpass_error *err) {
  mpass_status status = base_eval(self, call, err);
  uint64_t r;
  for (r = 0; status == MPASS_OK && r < call->theta.rows; r++) call->row_status[r] = MPASS_OK;
  return status;
}
