/* SIN: keeps what it was given for one call and looks at it in the next. FAILS: memory.kept */
#define EVAL keeps
#include "base.h"

static mpass_status keeps(void *self, const mpass_eval *call, mpass_error *err) {
  static const double *kept;
  static const void *owner;
  mpass_status status = base_eval(self, call, err);
  if (status == MPASS_OK && kept && owner == self && call->theta.rows > 0) call->loss[0] += 0 * kept[0];
  kept = status == MPASS_OK && call->theta.rows > 0 ? (const double *)call->theta.data : NULL;
  owner = self;
  return status;
}
