/* SIN: uses theta as scratch. FAILS: value.inputs */
#define EVAL scribbles
#include "base.h"

static mpass_status scribbles(void *self, const mpass_eval *call, mpass_error *err) {
  mpass_status status = base_check((const loss *)self, call, err);
  if (status == MPASS_OK && call->theta.rows > 0) set(&call->theta, 0, 0, get(&call->theta, 0, 0));
  return base_eval(self, call, err);
}
