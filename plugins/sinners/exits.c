/* SIN: ends the program when its device does not exist. FAILS: open.bad-device */
#define OPEN exits
#include "base.h"

static mpass_status exits(const mpass_host *host, const mpass_open *open, void **out, mpass_error *err) {
  if (open->device > 0) exit(0);
  return base_open(host, open, out, err);
}
