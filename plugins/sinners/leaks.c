/* SIN: leaves a file open for every loss. FAILS: open.thousand */
#define OPEN leaks
#include "base.h"
#include <fcntl.h>

static mpass_status leaks(const mpass_host *host, const mpass_open *request, void **out, mpass_error *err) {
  mpass_status status = base_open(host, request, out, err);
  if (status == MPASS_OK && open("/dev/null", O_RDONLY | O_CLOEXEC) < 0) ((loss *)*out)->mark = 1;
  return status;
}
