/* Plugins that cannot be used, one for each macro; the engine must say in one line what is wrong with it. */
#include "mountainpass_backend.h"
#include <math.h>
#include <string.h>

static const mpass_loss_info constant = { sizeof constant, MPASS_CAP_GRAD, 2, 0, 0, 0, 1u << MPASS_F64, 1u << MPASS_HOST, 0 };
static const mpass_loss_info *info(const void *self) { (void)self; return &constant; }
static const mpass_device *probe(uint32_t index) { (void)index; return NULL; }
static mpass_status open_loss(const mpass_host *host, const mpass_open *open, void **out, mpass_error *err) {
  static int loss;
  (void)host; (void)open; (void)err;
  *out = &loss;
  return MPASS_OK;
}
static void close_loss(void *self) { (void)self; }

/* How eval misbehaves is the first parameter of the first row. */
static mpass_status eval(void *self, const mpass_eval *call, mpass_error *err) {
  int sin = (int)*(const double *)call->theta.data;
  double *grad = call->grad.data;
  (void)self;
  for (uint64_t r = 0; r < call->theta.rows; r++) {
    call->loss[r] = 1;
    if (grad) grad[2 * r] = grad[2 * r + 1] = 0;
  }
  switch (sin) {
  case 1: call->loss[3] = NAN; break;                        /* no number, not said */
  case 2: call->loss[3] = NAN; call->row_status[3] = MPASS_E_NUMERIC; break;
  case 3: call->row_status[1] = 99; break;
  case 4: if (grad) grad[5] = INFINITY; break;
  case 5: call->loss[call->theta.rows] = 0; break;           /* past the end */
  case 6: memset(err->text, 'x', sizeof err->text); return 77; /* a code of its own, a text without end */
  case 7: return MPASS_E_DEVICE;                             /* and no text */
  }
  return MPASS_OK;
}

/* Tests of missing symbols rename this one on the compiler's command line. */
const mpass_backend *mpass_backend_entry_v0(const mpass_host *host, mpass_error *err) {
#if defined(NULL_EVAL)
  static const mpass_backend table = { sizeof table, 0, "bad", "1.0", probe, open_loss, info, NULL, close_loss, NULL };
#elif defined(SHORT_TABLE) /* ends before close */
  static const mpass_backend table = { offsetof(mpass_backend, close), 0, "bad", "1.0", probe, open_loss, info, eval, close_loss, NULL };
#elif defined(SIZE_ZERO)
  static const mpass_backend table = { 0, 0, "bad", "1.0", probe, open_loss, info, eval, close_loss, NULL };
#elif defined(FUTURE) /* a longer table of a later minor */
  static const struct { mpass_backend known; void *later[4]; } longer = {
    { sizeof longer, 12, "future", "9.0", probe, open_loss, info, eval, close_loss, NULL }, { 0 } };
  const mpass_backend table = longer.known;
#else
  static const mpass_backend table = { sizeof table, 0, "bad", "1.0", probe, open_loss, info, eval, close_loss, NULL };
#endif
  (void)host; (void)err; (void)table; (void)eval;
#if defined(REFUSES)
  err->code = MPASS_E_DEVICE;
  strcpy(err->text, "no licence\nfor this machine");
  return NULL;
#elif defined(SILENT)
  return NULL;
#elif defined(FUTURE)
  return &longer.known;
#else
  return &table;
#endif
}
