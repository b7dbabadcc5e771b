/* SIN: opens what it has, whatever model was named. FAILS: open.bad-model */
#define OPEN swallows
#include "base.h"

static mpass_status swallows(const mpass_host *host, const mpass_open *open, void **out, mpass_error *err) {
  mpass_open request;
  memcpy(&request, open, offsetof(mpass_open, repeatable));
  request.model = NULL;
  return base_open(host, &request, out, err);
}
