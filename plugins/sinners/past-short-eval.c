/* SIN: reads the cancel token where there is none. FAILS: version.shorter */
#define EVAL greedy
#include "base.h"

static mpass_status greedy(void *self, const mpass_eval *call, mpass_error *err) {
  const void *volatile token = call->cancel;
  UNUSED(token);
  return base_eval(self, call, err);
}
