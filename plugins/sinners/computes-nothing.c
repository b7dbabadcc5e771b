/* SIN: says that it has computed, and wrote no number. FAILS: value.answers */
#define EVAL idle
#include "base.h"

static mpass_status idle(void *self, const mpass_eval *call, mpass_error *err) {
  return base_check((const loss *)self, call, err);
}
