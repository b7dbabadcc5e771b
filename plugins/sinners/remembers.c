/* SIN: a minibatch moves the last bit of the losses of the calls after it. FAILS: minibatch.state */
#define EVAL remembers
#include "base.h"

static mpass_status remembers(void *self, const mpass_eval *call, mpass_error *err) {
  loss *l = (loss *)self;
  mpass_status status = base_eval(self, call, err);
  uint64_t r;
  for (r = 0; status == MPASS_OK && r < call->theta.rows; r++)
    if (l->mark != 0) call->loss[r] = nextafter(call->loss[r], INFINITY);
  if (call->ids.data) l->mark = 1;
  return status;
}
