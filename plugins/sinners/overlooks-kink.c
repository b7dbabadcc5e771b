/* SIN: lists kinks up to a part of the width, and a kink between goes unseen. FAILS: kinks.near */
#define NEAR narrow
#include "kinked.h"

static mpass_status narrow(void *self, const double *theta, double width, mpass_kink *out, uint64_t room, uint64_t *count,
                           mpass_error *err) {
  return kinked_near(self, theta, width * 0.75, out, room, count, err);
}
