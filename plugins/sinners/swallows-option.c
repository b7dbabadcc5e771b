/* SIN: ignores an option that it does not know. FAILS: open.bad-option */
#define OPEN swallows
#include "base.h"

static mpass_status swallows(const mpass_host *host, const mpass_open *open, void **out, mpass_error *err) {
  mpass_open request;
  memcpy(&request, open, offsetof(mpass_open, repeatable));
  request.n_options = 0;
  return base_open(host, &request, out, err);
}
