/* SIN: uses theta as scratch. FAILS: value.inputs */
#define EVAL scribbles
#include "base.h"

static mpass_status scribbles(void *self, const mpass_eval *call, mpass_error *err) {
  mpass_status status = base_check((const loss *)self, call, err);
  volatile char *first = (volatile char *)call->theta.data;
  if (status == MPASS_OK && call->theta.rows > 0) *first = *first;
  return base_eval(self, call, err);
}
