/* SIN: says that it has opened a loss, and gives none. FAILS: open.opens */
#define OPEN empty_handed
#include "base.h"

static mpass_status empty_handed(const mpass_host *host, const mpass_open *open, void **out, mpass_error *err) {
  mpass_status status = base_open(host, open, out, err);
  if (status == MPASS_OK) {
    base_close(*out);
    *out = NULL;
  }
  return status;
}
