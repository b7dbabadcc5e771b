/* SIN: the last bit of the loss is another when the gradient is asked for too. FAILS: value.outputs */
#define EVAL two_faced
#include "base.h"

static mpass_status two_faced(void *self, const mpass_eval *call, mpass_error *err) {
  mpass_status status = base_eval(self, call, err);
  uint64_t r;
  for (r = 0; status == MPASS_OK && call->grad.data && r < call->theta.rows; r++)
    call->loss[r] = nextafter(call->loss[r], INFINITY);
  return status;
}
