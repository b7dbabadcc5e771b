/* SIN: a status that the contract does not know. FAILS: errors.texts */
#define EVAL inventive
#include "base.h"

static mpass_status inventive(void *self, const mpass_eval *call, mpass_error *err) {
  mpass_status status = base_eval(self, call, err);
  return status == MPASS_E_ARGUMENT ? 4711 : status;
}
