/* SIN: reads rows as if they lay close together. FAILS: value.strides */
#define EVAL dense
#include "base.h"

static mpass_status dense(void *self, const mpass_eval *call, mpass_error *err) {
  mpass_eval close;
  memset(&close, 0, sizeof close);
  memcpy(&close, call, call->struct_size < sizeof close ? call->struct_size : sizeof close);
  close.theta.row_stride = close.theta.cols;
  return base_eval(self, &close, err);
}
