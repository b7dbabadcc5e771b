/* A backend of the caller's own process: k (x^4/4 - x^3/3 - x^2) + y^2. Its minima are -5k/12 at x = -1 and -8k/3 at
 * x = 2, its pass is 0 at x = 0. */
#ifndef WELL_H
#define WELL_H
#include "check.h"
#include "mountainpass_backend.h"

typedef struct { double k; uint64_t calls, fail_at, dropped; } well;

static const mpass_device *well_probe(uint32_t index) {
  static const mpass_device cpu = { sizeof cpu, MPASS_HOST, "cpu", 0 };
  return index == 0 ? &cpu : NULL;
}
static mpass_status well_open(const mpass_host *host, const mpass_open *request, void **out, mpass_error *err) {
  (void)host; (void)err;
  *out = request->user;
  return MPASS_OK;
}
static const mpass_loss_info *well_info(const void *self) {
  static const mpass_loss_info info = { sizeof info, MPASS_CAP_GRAD | MPASS_CAP_REPEATABLE | MPASS_CAP_SMOOTH, 2, 0, 0, 0,
                                        1u << MPASS_F64, 1u << MPASS_HOST, 0 };
  (void)self;
  return &info;
}
static mpass_status well_eval(void *self, const mpass_eval *call, mpass_error *err) {
  well *w = (well *)self;
  if (++w->calls == w->fail_at) {
    snprintf(err->text, sizeof err->text, "the cable is loose");
    return err->code = MPASS_E_DEVICE;
  }
  for (uint64_t r = 0; r < call->theta.rows; r++) {
    const double *at = (const double *)call->theta.data + r * call->theta.row_stride;
    double x = at[0], y = at[1];
    call->loss[r] = w->k * (x * x * x * x / 4 - x * x * x / 3 - x * x) + y * y;
    if (call->loss[r] - call->loss[r] != 0) call->row_status[r] = MPASS_E_NUMERIC;
    if (call->grad.data) {
      double *g = (double *)call->grad.data + r * call->grad.row_stride;
      g[0] = w->k * (x * x * x - x * x - 2 * x);
      g[1] = 2 * y;
    }
  }
  return MPASS_OK;
}
static void well_close(void *self) { (void)self; }
static inline void well_drop(void *self) { ((well *)self)->dropped++; }
static const mpass_backend *well_table(const char *name) {
  static mpass_backend table;
  table.struct_size = sizeof table;
  table.abi_minor = MPASS_BACKEND_MINOR;
  table.name = name;
  table.version = "1";
  table.probe = well_probe;
  table.open = well_open;
  table.info = well_info;
  table.eval = well_eval;
  table.close = well_close;
  return &table;
}
#endif
