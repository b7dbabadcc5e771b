/* SIN: the loss over chosen samples is their sum, not their mean. FAILS: minibatch.mean */
#define EVAL sums
#include "base.h"

static mpass_status sums(void *self, const mpass_eval *call, mpass_error *err) {
  mpass_status status = base_eval(self, call, err);
  uint64_t r;
  for (r = 0; status == MPASS_OK && call->ids.data && r < call->theta.rows; r++) call->loss[r] *= (double)call->ids.cols;
  return status;
}
