/* SIN: the first of the chosen samples counts a little more. FAILS: minibatch.order */
#define EVAL weighs
#include "base.h"

static mpass_status weighs(void *self, const mpass_eval *call, mpass_error *err) {
  mpass_status status = base_eval(self, call, err);
  const uint64_t *id = (const uint64_t *)call->ids.data;
  uint64_t r;
  for (r = 0; status == MPASS_OK && id && call->ids.cols > 1 && r < call->theta.rows; r++)
    if (id[0] > id[1]) call->loss[r] += 1e-6;
  return status;
}
