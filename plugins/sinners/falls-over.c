/* SIN: dies in close after an eval that failed. FAILS: errors.close */
#define EVAL notes
#define CLOSE falls_over
#include "base.h"

static mpass_status notes(void *self, const mpass_eval *call, mpass_error *err) {
  mpass_status status = base_eval(self, call, err);
  ((loss *)self)->mark = status == MPASS_E_ARGUMENT;
  return status;
}
static void falls_over(void *self) {
  if (((loss *)self)->mark != 0) abort();
  base_close(self);
}
