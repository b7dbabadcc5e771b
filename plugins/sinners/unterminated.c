/* SIN: fills the text of an error to the last byte and does not end it. FAILS: errors.texts */
#define EVAL long_winded
#include "base.h"

static mpass_status long_winded(void *self, const mpass_eval *call, mpass_error *err) {
  mpass_status status = base_eval(self, call, err);
  if (status != MPASS_OK) memset(err->text, 'x', sizeof err->text);
  return status;
}
