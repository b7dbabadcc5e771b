/* SIN: what it says about itself changes once it has been used. FAILS: open.info */
#define EVAL fickle
#include "base.h"

static mpass_status fickle(void *self, const mpass_eval *call, mpass_error *err) {
  ((loss *)self)->info.rows_best = 32;
  return base_eval(self, call, err);
}
