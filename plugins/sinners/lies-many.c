/* SIN: claims that one loss answers many threads at once, and has one scratch for all of them. FAILS: threads.calls */
#define EVAL crowded
#include "base.h"

static mpass_status crowded(void *self, const mpass_eval *call, mpass_error *err) {
  volatile double *scratch = &((loss *)self)->mark;
  mpass_status status = base_eval(self, call, err);
  volatile double mine = 0;
  uint64_t r;
  const double ticket = (double)(uintptr_t)&mine;
  *scratch = ticket;
  for (r = 0; r < 20000 && status == MPASS_OK && call->theta.rows > 0; r++)
    if (*scratch != ticket) call->loss[0] += 1;
  return status;
}
