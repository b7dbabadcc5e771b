/* SIN: calls a function that no library has. FAILS: load.opens */
#define OPEN loses_its_way
#include "base.h"

void somewhere_else(void);
static mpass_status loses_its_way(const mpass_host *host, const mpass_open *open, void **out, mpass_error *err) {
  somewhere_else();
  return base_open(host, open, out, err);
}
