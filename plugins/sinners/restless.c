/* SIN: what it says about itself is another thing while it evaluates. FAILS: threads.info */
#define CAPS (MPASS_CAP_GRAD | MPASS_CAP_HVP | MPASS_CAP_MINIBATCH | MPASS_CAP_REPEATABLE | MPASS_CAP_SMOOTH)
#define EVAL restless
#include "base.h"

static mpass_status restless(void *self, const mpass_eval *call, mpass_error *err) {
  volatile uint64_t *rows = &((loss *)self)->info.rows_best;
  mpass_status status;
  *rows = 1;
  status = base_eval(self, call, err);
  *rows = 64;
  return status;
}
