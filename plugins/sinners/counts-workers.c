/* SIN: the last bits depend on the number of workers. FAILS: threads.workers */
#define EVAL counts
#include "base.h"

static mpass_status counts(void *self, const mpass_eval *call, mpass_error *err) {
  const loss *l = (const loss *)self;
  mpass_status status = base_eval(self, call, err);
  uint64_t r;
  if (!MPASS_HAS(l->host, mpass_host, workers) || l->host->workers == 0) return status;
  for (r = 0; status == MPASS_OK && r < call->theta.rows; r++) call->loss[r] *= 1 + 1e-15 * l->host->workers;
  return status;
}
