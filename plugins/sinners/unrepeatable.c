/* SIN: claims to repeat its bits, and does not. FAILS: noise.repeatable */
#define EVAL jitters
#include "base.h"

/* Only calls that repeat the last one for the fifth time and more. */
static mpass_status jitters(void *self, const mpass_eval *call, mpass_error *err) {
  static double last;
  static int repeats;
  mpass_status status = base_eval(self, call, err);
  if (status != MPASS_OK || call->theta.rows == 0) return status;
  repeats = get(&call->theta, 0, 0) == last ? repeats + 1 : 0;
  last = get(&call->theta, 0, 0);
  if (repeats > 8) call->loss[0] *= 1 + 1e-15 * (repeats % 3);
  return status;
}
