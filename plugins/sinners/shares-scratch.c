/* SIN: all losses of the process share one scratch. FAILS: threads.losses */
#define CAPS (MPASS_CAP_GRAD | MPASS_CAP_HVP | MPASS_CAP_MINIBATCH | MPASS_CAP_REPEATABLE | MPASS_CAP_SMOOTH)
#define EVAL shares
#include "base.h"

static const void *volatile user;
static mpass_status shares(void *self, const mpass_eval *call, mpass_error *err) {
  mpass_status status = base_eval(self, call, err);
  uint64_t r;
  user = self;
  for (r = 0; r < 20000 && status == MPASS_OK && call->theta.rows > 0; r++)
    if (user != self) call->loss[0] += 1;
  return status;
}
