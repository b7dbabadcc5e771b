/* SIN: dies in close when all it ever heard was a call it refused. FAILS: errors.close */
#define EVAL counts
#define CLOSE falls_over
#include "base.h"

static mpass_status counts(void *self, const mpass_eval *call, mpass_error *err) {
  loss *l = (loss *)self;
  mpass_status status = base_eval(self, call, err);
  l->mark = status == MPASS_E_ARGUMENT && l->mark == 0 ? 1 : 2;
  return status;
}
static void falls_over(void *self) {
  if (((loss *)self)->mark == 1) abort();
  base_close(self);
}
