/* SIN: the row of a kink takes the kinks before it to be constant. FAILS: kinks.rows */
#define ROWS shallow
#include "kinked.h"

static mpass_status shallow(void *self, const double *theta, const mpass_slope *slopes, uint64_t n, double *out,
                            mpass_error *err) {
  mpass_status status = kinked_rows(self, theta, slopes, n, out, err);
  uint64_t k;
  for (k = 0; status == MPASS_OK && k < n; k++)
    if (slopes[k].id == 2) out[k * P] = 0;
  return status;
}
