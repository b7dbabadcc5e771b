/* SIN: a metric whose name is NULL. FAILS: open.extensions */
#define METRIC_NAMES nameless
#include "base.h"

static mpass_status nameless(const void *self, uint32_t split, const char *const **out, uint64_t *count, mpass_error *err) {
  static const char *const names[] = { "loss", NULL };
  mpass_status status = base_metric_names(self, split, out, count, err);
  *out = names;
  return status;
}
