/* SIN: lists kinks with the derivative of the loss by z for that by h. FAILS: kinks.figures */
#define NEAR by_z
#include "kinked.h"

static mpass_status by_z(void *self, const double *theta, double width, mpass_kink *out, uint64_t room, uint64_t *count,
                         mpass_error *err) {
  mpass_status status = kinked_near(self, theta, width, out, room, count, err);
  uint64_t k;
  for (k = 0; k < *count && k < room; k++) out[k].delta *= out[k].z < 0 ? out[k].alpha : 1;
  return status;
}
