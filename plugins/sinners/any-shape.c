/* SIN: computes a call of the wrong shape. FAILS: errors.shapes */
#define EVAL obliging
#include "base.h"

static mpass_status obliging(void *self, const mpass_eval *call, mpass_error *err) {
  if (call->theta.cols != P) return MPASS_OK;
  return base_eval(self, call, err);
}
