/* SIN: claims to speak a minor of the contract that nobody knows yet. FAILS: load.minor */
#define ENTRY
#include "base.h"

const mpass_backend *mpass_backend_entry_v0(const mpass_host *host, mpass_error *err) {
  static const mpass_backend table = { sizeof table, 77, NAME, VERSION, PROBE, OPEN, INFO, EVAL, CLOSE, base_extension };
  UNUSED(host); UNUSED(err); UNUSED(base_table);
  return &table;
}
