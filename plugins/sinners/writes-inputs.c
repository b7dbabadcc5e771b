/* SIN: uses theta as scratch. FAILS: value.inputs */
#define EVAL scribbles
#include "base.h"

static mpass_status scribbles(void *self, const mpass_eval *call, mpass_error *err) {
  mpass_status status = base_check((const loss *)self, call, err);
  volatile unsigned char *scratch = (volatile unsigned char *)call->theta.data; /* or the compiler leaves the sin out */
  if (status == MPASS_OK && call->theta.rows > 0) *scratch = *scratch;
  return base_eval(self, call, err);
}
