/* SIN: changes the working directory. FAILS: open.process */
#define OPEN wanders
#include "base.h"

static mpass_status wanders(const mpass_host *host, const mpass_open *open, void **out, mpass_error *err) {
  mpass_status status = base_open(host, open, out, err);
  if (status == MPASS_OK && chdir("/") != 0) ((loss *)*out)->mark = 1;
  return status;
}
