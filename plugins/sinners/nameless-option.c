/* SIN: refuses an option without saying which. FAILS: open.bad-option */
#define OPEN curt
#include "base.h"

static mpass_status curt(const mpass_host *host, const mpass_open *open, void **out, mpass_error *err) {
  if (open->n_options > 0) return fail(err, MPASS_E_ARGUMENT, "bad option", "");
  return base_open(host, open, out, err);
}
