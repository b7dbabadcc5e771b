/* SIN: refuses to load and does not say why. FAILS: load.table */
#define ENTRY
#include "base.h"

const mpass_backend *mpass_backend_entry_v0(const mpass_host *host, mpass_error *err) {
  UNUSED(host); UNUSED(err); UNUSED(base_table);
  return NULL;
}
