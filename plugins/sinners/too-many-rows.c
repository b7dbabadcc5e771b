/* SIN: computes more rows than it says it takes. FAILS: value.rows */
#define EVAL boundless
#include "base.h"

static mpass_status boundless(void *self, const mpass_eval *call, mpass_error *err) {
  mpass_eval part;
  memset(&part, 0, sizeof part);
  memcpy(&part, call, call->struct_size < sizeof part ? call->struct_size : sizeof part);
  if (part.theta.rows > ROWS_MAX) part.theta.rows = part.grad.rows = part.dir.rows = part.hvp.rows = ROWS_MAX;
  return base_eval(self, &part, err);
}
