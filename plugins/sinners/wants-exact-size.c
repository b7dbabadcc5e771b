/* SIN: refuses records of another size than its own. FAILS: version.longer */
#define EVAL pedantic
#include "base.h"

static mpass_status pedantic(void *self, const mpass_eval *call, mpass_error *err) {
  if (call->struct_size > sizeof *call) return fail(err, MPASS_E_VERSION, "mpass_eval is too long", "");
  return base_eval(self, call, err);
}
