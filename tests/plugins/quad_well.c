/* A whole backend in C: `quadratic`, x.x / 2, and `double-well`, (x0^2 - 1)^2 + x1^2 + x2^2 + ...; option n (2).
 * It keeps the contract, but where a macro says otherwise. */
#include "mountainpass_backend.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct { mpass_loss_info info; int well; double *lower, *upper; } loss;

static mpass_status fail(mpass_error *err, mpass_status code, const char *text, const char *what) {
  err->code = code;
  snprintf(err->text, sizeof err->text, text, what);
  return code;
}
static const mpass_device *probe(uint32_t index) {
  static const mpass_device cpu = { .struct_size = sizeof cpu, .name = "cpu" };
  return index == 0 ? &cpu : NULL;
}
static void close_loss(void *self) {
  loss *l = self;
  free(l->lower); free(l->upper); free(l);
}
static mpass_status open_loss(const mpass_host *host, const mpass_open *open, void **out, mpass_error *err) {
  const char *model = open->model ? open->model : "";
  int well = strcmp(model, "double-well") == 0;
  uint64_t n = 2, i;
  (void)host;
  if (!well && strcmp(model, "quadratic") != 0)
    return fail(err, MPASS_E_ARGUMENT, "no model \"%s\": there are quadratic and double-well", model);
#ifndef ANY_DEVICE
  if (open->device != 0) return fail(err, MPASS_E_ARGUMENT, "no such device: there is 0, the %s", "cpu");
#endif
  if (open->n_data > 0) return fail(err, MPASS_E_ARGUMENT, "no array \"%s\": there are none", open->data[0].name ? open->data[0].name : "");
  for (i = 0; i < open->n_options; i++) {
    char *end;
    if (strcmp(open->keys[i], "n") != 0) return fail(err, MPASS_E_ARGUMENT, "no option \"%s\": there is n", open->keys[i]);
    n = strtoull(open->values[i], &end, 10);
    if (*end || n < 1 || n > 1000000) return fail(err, MPASS_E_ARGUMENT, "n = \"%s\" is not from 1 to 1000000", open->values[i]);
  }
  loss *l = calloc(1, sizeof *l);
  if (!l) return fail(err, MPASS_E_MEMORY, "no memory for %s", model);
  l->well = well;
  l->lower = malloc(n * sizeof(double));
  l->upper = malloc(n * sizeof(double));
  if (!l->lower || !l->upper) { close_loss(l); return fail(err, MPASS_E_MEMORY, "no memory for %s", model); }
  for (i = 0; i < n; i++) { l->lower[i] = -2; l->upper[i] = 2; }
  l->info.struct_size = sizeof l->info;
  l->info.caps = MPASS_CAP_GRAD | MPASS_CAP_REPEATABLE | MPASS_CAP_SMOOTH;
  l->info.params = n;
  l->info.rows_max = 8;
  l->info.dtypes = 1u << MPASS_F64;
  l->info.memories = 1u << MPASS_HOST;
  *out = l;
  return MPASS_OK;
}
static const mpass_loss_info *info(const void *self) { return &((const loss *)self)->info; }
static int fits(const loss *l, const mpass_view *view, uint64_t n) {
  return view->rows == n && view->cols == l->info.params && view->row_stride >= view->cols && view->dtype == MPASS_F64 &&
         view->memory != MPASS_CUDA;
}
static mpass_status eval(void *self, const mpass_eval *call, mpass_error *err) {
  loss *l = self;
  uint64_t n = call->theta.rows;
  if (n > l->info.rows_max) return fail(err, MPASS_E_ARGUMENT, "more than 8 rows of %s", "theta");
  if (!fits(l, &call->theta, n)) return fail(err, MPASS_E_ARGUMENT, "%s is not rows of n f64 on the host", "theta");
  if (call->grad.data && !fits(l, &call->grad, n)) return fail(err, MPASS_E_ARGUMENT, "%s is not like theta", "grad");
  if (call->dir.data || call->hvp.data || call->ids.data) return fail(err, MPASS_E_UNSUPPORTED, "%s: not here", "hvp or ids");
  for (uint64_t r = 0; r < n; r++) {
    const double *x = (const double *)call->theta.data + r * call->theta.row_stride;
    double *g = call->grad.data ? (double *)call->grad.data + r * call->grad.row_stride : NULL;
    double f = 0;
    for (uint64_t i = 0; i < l->info.params; i++) {
      double wall = x[i] * x[i] - 1;
      int double_well = l->well && i == 0;
      f += double_well ? wall * wall : l->well ? x[i] * x[i] : x[i] * x[i] / 2;
      if (g) g[i] = double_well ? 4 * x[i] * wall : l->well ? 2 * x[i] : x[i];
    }
#ifdef HOLE /* no number beyond it */
    if (x[0] > HOLE) f = NAN;
#endif
    call->loss[r] = f;
    if (f - f != 0) call->row_status[r] = MPASS_E_NUMERIC; /* overflow, or the hole */
  }
  return MPASS_OK;
}
static mpass_status start(const void *self, uint64_t seed, double *theta, mpass_error *err) {
  (void)err;
  for (uint64_t i = 0; i < info(self)->params; i++) { /* Knuth's MMIX generator, uniform in the box */
    seed = seed * 6364136223846793005u + 1442695040888963407u;
    theta[i] = (double)(seed >> 11) / 9007199254740992.0 * 4 - 2;
  }
  return MPASS_OK;
}
static mpass_status box(const void *self, const double **lower, const double **upper, mpass_error *err) {
  (void)err;
  *lower = ((const loss *)self)->lower; *upper = ((const loss *)self)->upper;
  return MPASS_OK;
}
static const void *extension(const char *id) {
  static const mpass_ext_start ext = { sizeof ext, 0, start, box };
  return strcmp(id, MPASS_EXT_START) == 0 ? &ext : NULL;
}
const mpass_backend *mpass_backend_entry_v0(const mpass_host *host, mpass_error *err) {
  static const mpass_backend table = {
    .struct_size = sizeof table, .abi_minor = MPASS_BACKEND_MINOR, .name = "quad-well", .version = "1.0",
    .probe = probe, .open = open_loss, .info = info, .eval = eval, .close = close_loss, .extension = extension };
  (void)host; (void)err;
  return &table;
}
