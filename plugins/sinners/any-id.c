/* SIN: takes a sample that does not exist for the last one. FAILS: minibatch.range */
#define EVAL lenient
#include "base.h"

static mpass_status lenient(void *self, const mpass_eval *call, mpass_error *err) {
  const uint64_t *id = (const uint64_t *)call->ids.data;
  mpass_eval tame;
  uint64_t last = SAMPLES - 1, k;
  memset(&tame, 0, sizeof tame);
  memcpy(&tame, call, call->struct_size < sizeof tame ? call->struct_size : sizeof tame);
  for (k = 0; id && k < call->ids.cols; k++)
    if (id[k] >= SAMPLES) { tame.ids.data = &last; tame.ids.cols = 1; }
  return base_eval(self, &tame, err);
}
