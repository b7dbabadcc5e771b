/* SIN: does not say how large its table is. FAILS: load.sizes */
#define ENTRY
#include "base.h"

const mpass_backend *mpass_backend_entry_v0(const mpass_host *host, mpass_error *err) {
  static const mpass_backend table = { 0, MPASS_BACKEND_MINOR, NAME, VERSION, PROBE, OPEN, INFO, EVAL, CLOSE, NULL };
  UNUSED(host); UNUSED(err); UNUSED(base_table);
  return &table;
}
