/* mine.c: a whole mountainpass backend. Copy this folder, edit the two functions, then: make, make check, make run.
 *
 * As it stands it fits a sine to measured points. theta is (a, w), and sample i is the point (t[i], y[i]):
 *
 *   loss(theta) = mean over i of (a sin(w t[i]) - y[i])^2 + l2 (a^2 + w^2)
 *
 * A wrong frequency w can be a minimum too: the barcode says how trapped each of them is. The points are those below,
 * or two arrays "t" and "y" that a program hands over when it opens the loss.
 *
 * The page that goes with this file: docs/writing-a-backend.md. The contract: mountainpass_backend.h. */
#include "mountainpass_backend.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { A, W, PARAMS };               /* the entries of theta, and their number p */

static const double LOWER[PARAMS] = { -2, 0.2 }; /* where minima count: searches start in this box */
static const double UPPER[PARAMS] = { 2, 6 };

enum { POINTS = 24 };
static const double T[POINTS] = { 0, 0.25, 0.5, 0.75, 1, 1.25, 1.5, 1.75, 2, 2.25, 2.5, 2.75, 3, 3.25, 3.5, 3.75,
  4, 4.25, 4.5, 4.75, 5, 5.25, 5.5, 5.75 };
static const double Y[POINTS] = { 0.01, 0.67, 0.7, 1.15, 0.87, 0.56, 0.43, -0.33, -0.76, -0.87, -0.79, -0.71, -0.19,
  0.07, 0.6, 0.87, 0.79, 0.57, 0.17, -0.11, -0.57, -0.93, -0.99, -1.08 };

/* Every option that open_loss knows, for `mpass backends --options mine --load ./libmpass_mine.so` and for near misses in
 * a run's file. One of kind MPASS_OPTION_PATH would be resolved against the file's folder. */
static const mpass_option OPTIONS[] = {
  { "l2", "The penalty is l2 times the sum of squares.", "0.001", NULL, MPASS_OPTION_NUMBER, 0 },
};

typedef struct {                     /* one open loss; nothing in it changes after open */
  mpass_loss_info info;
  const mpass_host *host;            /* the engine's services: valid until close returns */
  double l2;
  double *t, *y;                     /* info.samples points */
} mine;

/* ---- EDIT 1: the loss of sample i. The loss is the mean of these over the samples, regulariser included. ---- */
static double loss(const mine *m, uint64_t i, const double *theta) {
  double miss = theta[A] * sin(theta[W] * m->t[i]) - m->y[i];
  return miss * miss + m->l2 * (theta[A] * theta[A] + theta[W] * theta[W]);
}

/* ---- EDIT 2: its gradient, added to what is in grad. ---- */
static void gradient(const mine *m, uint64_t i, const double *theta, double *grad) {
  double s = sin(theta[W] * m->t[i]), c = cos(theta[W] * m->t[i]);
  double miss = theta[A] * s - m->y[i];
  grad[A] += 2 * miss * s + 2 * m->l2 * theta[A];
  grad[W] += 2 * miss * theta[A] * m->t[i] * c + 2 * m->l2 * theta[W];
}

/* ---- Below stands the contract. New options go into OPTIONS and open_loss; a loss without data is one of one sample, with
 * info.samples 0 and no MPASS_CAP_MINIBATCH. ---- */

/* Every refusal has a code and one line that says what, and what to do. */
static mpass_status fail(mpass_error *err, mpass_status code, const char *format, ...) {
  va_list list;
  size_t end;
  va_start(list, format);
  vsnprintf(err->text, sizeof err->text, format, list);
  va_end(list);
  end = strlen(err->text);
  if (end == sizeof err->text - 1) { /* cut off: not within a letter of several bytes, all text is UTF-8 */
    while (end > 0 && (err->text[end - 1] & 0xC0) == 0x80) end--;
    err->text[end ? end - 1 : 0] = '\0';
  }
  return code;
}

/* The CPU, and no other device. */
static const mpass_device *probe(uint32_t index) {
  static const mpass_device cpu = { sizeof cpu, MPASS_HOST, "cpu", 0 };
  return index == 0 ? &cpu : NULL;
}

static void close_loss(void *self) {
  mine *m = self;
  free(m->t);
  free(m->y);
  free(m);
}

/* A whole text as a number; 0 if it is none. */
static int number(const char *text, double *out) {
  char *end;
  *out = strtod(text, &end);
  return end != text && *end == '\0' && isfinite(*out);
}

/* A copy of an array of one axis: what open is given is borrowed for the call only. NULL if there is no memory. */
static double *copy(const mpass_array *array) {
  uint64_t n = array->shape[0], i;
  double *out = n < SIZE_MAX / sizeof *out ? malloc((size_t)n * sizeof *out) : NULL;
  for (i = 0; out && i < n; i++) {
    int64_t at = (int64_t)i * (array->strides ? array->strides[0] : 1);
    out[i] = array->dtype == MPASS_F64 ? ((const double *)array->data)[at] : (double)((const float *)array->data)[at];
  }
  return out;
}

static mpass_status open_loss(const mpass_host *host, const mpass_open *open, void **out, mpass_error *err) {
  static const uint64_t points = POINTS;
  mpass_array t = { "t", T, &points, NULL, 1, MPASS_F64 }, y = { "y", Y, &points, NULL, 1, MPASS_F64 };
  double l2 = 1e-3;
  uint64_t i;
  mine *m;
  if ((open->model && strcmp(open->model, "sine") != 0) || open->model_bytes)
    return fail(err, MPASS_E_ARGUMENT, "no model \"%s\": there is \"sine\"", open->model ? open->model : "in memory");
  if (open->device != 0)
    return fail(err, MPASS_E_ARGUMENT, "no device %lu: there is 0, the CPU", (unsigned long)open->device);
  for (i = 0; i < open->n_options; i++) { /* an option that is ignored is a wrong answer: refuse what is not known */
    const char *key = open->keys[i], *value = open->values[i];
    if (strcmp(key, "l2") != 0) return fail(err, MPASS_E_ARGUMENT, "no option \"%s\": there is l2", key);
    if (!number(value, &l2) || l2 < 0)
      return fail(err, MPASS_E_ARGUMENT, "option l2 = \"%s\": wants a number from 0", value);
  }
  for (i = 0; i < open->n_data; i++) {
    const mpass_array *array = &open->data[i];
    const char *name = array->name ? array->name : "";
    if (strcmp(name, "t") != 0 && strcmp(name, "y") != 0)
      return fail(err, MPASS_E_ARGUMENT, "no array \"%s\": there are t and y", name);
    if (array->ndim != 1 || (array->dtype != MPASS_F64 && array->dtype != MPASS_F32))
      return fail(err, MPASS_E_UNSUPPORTED, "array %s: wants one axis of f64 or f32", name);
    *(name[0] == 't' ? &t : &y) = *array;
  }
  if (t.shape[0] != y.shape[0] || t.shape[0] == 0)
    return fail(err, MPASS_E_ARGUMENT, "%llu t and %llu y: hand over one of each for every point",
                (unsigned long long)t.shape[0], (unsigned long long)y.shape[0]);

  m = calloc(1, sizeof *m);
  if (m) { m->t = copy(&t); m->y = copy(&y); }
  if (!m || !m->t || !m->y) {
    if (m) close_loss(m);
    return fail(err, MPASS_E_MEMORY, "no memory for %llu points", (unsigned long long)t.shape[0]);
  }
  m->host = host;
  m->l2 = l2;
  m->info.struct_size = sizeof m->info;
  /* Claim only what holds. MANY holds because eval writes nothing but its outputs; REPEATABLE because a row is summed
   * in the order of its samples, whatever stands beside it; SMOOTH because the sine is. */
  m->info.caps = MPASS_CAP_GRAD | MPASS_CAP_MINIBATCH | MPASS_CAP_MANY | MPASS_CAP_REPEATABLE | MPASS_CAP_CANCEL |
                 MPASS_CAP_SMOOTH;
  m->info.params = PARAMS;
  m->info.samples = t.shape[0];
  m->info.dtypes = 1u << MPASS_F64;
  m->info.memories = 1u << MPASS_HOST;
  *out = m; /* on success only */
  return MPASS_OK;
}

static const mpass_loss_info *info(const void *self) { return &((const mine *)self)->info; }

/* Whether the caller has lost interest. Fields are looked at only where the record says that it has them. */
static int cancelled(const mine *m, const mpass_eval *call) {
  if (!MPASS_HAS(call, mpass_eval, cancel) || !call->cancel) return 0;
  if (!MPASS_HAS(m->host, mpass_host, cancelled) || !m->host->cancelled) return 0;
  return m->host->cancelled(m->host->ctx, call->cancel) != 0;
}

/* Whether a matrix is one that eval can read or write for n rows of theta. */
static int fits(const mpass_view *view, uint64_t n) {
  return view->rows == n && view->cols == PARAMS && view->row_stride >= view->cols && view->dtype == MPASS_F64 &&
         view->memory != MPASS_CUDA;
}

/* What this loss did not promise is refused before a number is written. */
static mpass_status check(const mine *m, const mpass_eval *call, mpass_error *err) {
  const mpass_view *ids = &call->ids;
  const uint64_t *id = ids->data;
  uint64_t n = call->theta.rows, k;
  if (!fits(&call->theta, n)) return fail(err, MPASS_E_ARGUMENT, "theta: wants rows of %d f64 on the host", PARAMS);
  if (call->grad.data && !fits(&call->grad, n)) return fail(err, MPASS_E_ARGUMENT, "grad is not like theta");
  if (call->dir.data || call->hvp.data) return fail(err, MPASS_E_UNSUPPORTED, "no Hessian-vector product");
  if (!id) return MPASS_OK;
  if (ids->rows != 1 || ids->cols == 0 || ids->dtype != MPASS_U64 || ids->memory == MPASS_CUDA)
    return fail(err, MPASS_E_ARGUMENT, "ids: wants one row of u64 on the host, at least one of them");
  for (k = 0; k < ids->cols; k++)
    if (id[k] >= m->info.samples)
      return fail(err, MPASS_E_ARGUMENT, "sample %llu of %llu", (unsigned long long)id[k],
                  (unsigned long long)m->info.samples);
  return MPASS_OK;
}

static mpass_status eval(void *self, const mpass_eval *call, mpass_error *err) {
  const mine *m = self;
  const uint64_t *id = call->ids.data; /* NULL: all samples */
  uint64_t all = m->info.samples ? m->info.samples : 1; /* no data set: a loss of one sample */
  uint64_t count = id ? call->ids.cols : all, r, k;
  mpass_status status = check(m, call, err);
  if (status != MPASS_OK) return status;
  for (r = 0; r < call->theta.rows; r++) { /* rows may lie further apart than they are long */
    const double *theta = (const double *)call->theta.data + r * call->theta.row_stride;
    double *grad = call->grad.data ? (double *)call->grad.data + r * call->grad.row_stride : NULL;
    double sum = 0;
    int finite, j;
    for (j = 0; grad && j < PARAMS; j++) grad[j] = 0;
    for (k = 0; k < count; k++) {
      uint64_t i = id ? id[k] : k;
      if (k % 1024 == 0 && cancelled(m, call)) return fail(err, MPASS_E_CANCELLED, "cancelled");
      sum += loss(m, i, theta);
      if (grad) gradient(m, i, theta, grad);
    }
    call->loss[r] = sum / (double)count;
    finite = isfinite(call->loss[r]);
    for (j = 0; grad && j < PARAMS; j++) {
      grad[j] /= (double)count;
      finite = finite && isfinite(grad[j]);
    }
    if (!finite) call->row_status[r] = MPASS_E_NUMERIC; /* this row alone: the batch goes on */
  }
  return MPASS_OK;
}

static mpass_status box(const void *self, const double **lower, const double **upper, mpass_error *err) {
  (void)self;
  (void)err;
  *lower = LOWER;
  *upper = UPPER;
  return MPASS_OK;
}

static const void *extension(const char *id) { /* start is left out: uniform in the box is what we want */
  static const mpass_ext_start start = { sizeof start, 0, NULL, box };
  static const mpass_ext_options options = { sizeof options, 0, OPTIONS, sizeof OPTIONS / sizeof *OPTIONS };
  if (strcmp(id, MPASS_EXT_OPTIONS) == 0) return &options;
  return strcmp(id, MPASS_EXT_START) == 0 ? &start : NULL;
}

const mpass_backend *mpass_backend_entry_v0(const mpass_host *host, mpass_error *err) {
  static const mpass_backend table = { sizeof table, MPASS_BACKEND_MINOR, "mine", "1.0",
    probe, open_loss, info, eval, close_loss, extension };
  (void)host;
  (void)err;
  return &table;
}
