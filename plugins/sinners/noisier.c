/* SIN: states a noise and exceeds it, from time to time. FAILS: noise.within */
#define CAPS (MPASS_CAP_GRAD | MPASS_CAP_SMOOTH)
#define NOISE 1e-13
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
  if (repeats > 8) call->loss[0] += 1e-9 * (repeats % 3);
  return status;
}
