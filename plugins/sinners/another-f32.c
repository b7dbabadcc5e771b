/* SIN: quietly another loss when theta travels as f32. FAILS: value.single */
#define EVAL other_single
#include "base.h"

static mpass_status other_single(void *self, const mpass_eval *call, mpass_error *err) {
  mpass_status status = base_eval(self, call, err);
  uint64_t r;
  for (r = 0; status == MPASS_OK && call->theta.dtype == MPASS_F32 && r < call->theta.rows; r++) call->loss[r] += 0.5;
  return status;
}
