/* SIN: writes one loss more than there are rows. FAILS: value.bounds */
#define EVAL overruns
#include "base.h"

static mpass_status overruns(void *self, const mpass_eval *call, mpass_error *err) {
  mpass_status status = base_eval(self, call, err);
  if (status == MPASS_OK) call->loss[call->theta.rows] = 0;
  return status;
}
