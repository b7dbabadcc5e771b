/* SIN: leaves a slot of the table empty. FAILS: load.slots */
#define ENTRY
#include "base.h"

const mpass_backend *mpass_backend_entry_v0(const mpass_host *host, mpass_error *err) {
  static const mpass_backend table = { sizeof table, MPASS_BACKEND_MINOR, NAME, VERSION, PROBE, OPEN, NULL, EVAL, CLOSE,
    NULL };
  UNUSED(host); UNUSED(err); UNUSED(base_table);
  return &table;
}
