/* SIN: reads a field of the host that an older host does not have. FAILS: load.short-host */
#define OPEN greedy
#include "base.h"

static mpass_status greedy(const mpass_host *host, const mpass_open *open, void **out, mpass_error *err) {
  volatile uint32_t workers = host->workers;
  UNUSED(workers);
  return base_open(host, open, out, err);
}
