/* SIN: claims to poll the cancel token, and never does in a long call. FAILS: cancel.polls */
#define EVAL deaf
#include "base.h"

static mpass_status deaf(void *self, const mpass_eval *call, mpass_error *err) {
  const struct timespec pause = { 0, 2000000 };
  mpass_eval quiet;
  uint64_t r;
  memset(&quiet, 0, sizeof quiet);
  memcpy(&quiet, call, call->struct_size < sizeof quiet ? call->struct_size : sizeof quiet);
  if (quiet.cancel && call->theta.rows > 64) {
    for (r = 0; r < call->theta.rows; r++) nanosleep(&pause, NULL);
    quiet.cancel = NULL;
  }
  return base_eval(self, &quiet, err);
}
