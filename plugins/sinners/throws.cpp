/* SIN: throws an exception into the engine, over a model it does not know. FAILS: open.bad-model */
#define OPEN throws
#include "base.h"
#include <stdexcept>

static mpass_status throws(const mpass_host *host, const mpass_open *open, void **out, mpass_error *err) {
  mpass_status status = base_open(host, open, out, err);
  if (status != MPASS_OK && open->model) throw std::runtime_error("no such model");
  return status;
}
