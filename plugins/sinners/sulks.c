/* SIN: does not work any more once it was cancelled. FAILS: cancel.after */
#define EVAL sulks
#include "base.h"

static mpass_status sulks(void *self, const mpass_eval *call, mpass_error *err) {
  loss *l = (loss *)self;
  mpass_status status;
  if (l->mark != 0) return fail(err, MPASS_E_INTERNAL, "I was cancelled", "");
  status = base_eval(self, call, err);
  if (status == MPASS_E_CANCELLED) l->mark = 1;
  return status;
}
