/* SIN: claims that one loss answers many threads at once, and refuses whoever comes while it is busy. FAILS: threads.calls */
#define EVAL busy
#include "base.h"

static mpass_status busy(void *self, const mpass_eval *call, mpass_error *err) {
  volatile double *mark = &((loss *)self)->mark;
  mpass_status status;
  if (*mark != 0) return fail(err, MPASS_E_BUSY, "one at a time", "");
  *mark = 1;
  status = base_eval(self, call, err);
  *mark = 0;
  return status;
}
