/* SIN: makes a new table whenever it is asked. FAILS: load.entry */
#define ENTRY
#include "base.h"

const mpass_backend *mpass_backend_entry_v0(const mpass_host *host, mpass_error *err) {
  mpass_backend *table = malloc(sizeof *table);
  UNUSED(host); UNUSED(err);
  if (table) memcpy(table, &base_table, sizeof *table);
  return table;
}
