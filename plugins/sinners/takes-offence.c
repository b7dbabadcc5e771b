/* SIN: does not work any more once it has refused a call. FAILS: errors.after */
#define EVAL offended
#include "base.h"

static mpass_status offended(void *self, const mpass_eval *call, mpass_error *err) {
  loss *l = (loss *)self;
  mpass_status status = l->mark != 0 ? fail(err, MPASS_E_INTERNAL, "I refused before", "") : base_eval(self, call, err);
  if (status == MPASS_E_ARGUMENT) l->mark = 1;
  return status;
}
