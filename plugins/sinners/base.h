/* base.h: a small backend that keeps every promise, with a hook in every slot, for plugins that break one.
 *
 * A sinner defines the hooks that it sins in (EVAL and so on: the name of its own function), includes this file, and
 * writes that function, which calls the decent base_... and adds the sin. Its first line says what the sin is and which
 * conformance test must name it; no other test may fail.
 *
 * The loss, with P parameters, S their sum and SAMPLES samples of tilt a_k:
 *   f_k(x) = sum of (x_i^4 / 4 - x_i^2 / 2) + a_k S + S^2 / 8,   f = the mean over the samples */
#ifndef BASE_H
#define BASE_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "mountainpass_backend.h"
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { P = 4, SAMPLES = 6, ROWS_MAX = 600 };

typedef struct loss {
  mpass_loss_info info;
  const mpass_host *host;
  double lower[P], upper[P];
  double mark;                 /* for sinners; nobody else uses it */
} loss;

#define UNUSED(x) (void)(x)

/* ---- The hooks: each is the decent function unless the sinner has named one of its own. ---- */
#ifndef NAME
#define NAME "sinner"
#endif
#ifndef VERSION
#define VERSION "1.0"
#endif
#ifndef CAPS
#define CAPS (MPASS_CAP_GRAD | MPASS_CAP_HVP | MPASS_CAP_MINIBATCH | MPASS_CAP_MANY | MPASS_CAP_REPEATABLE | \
              MPASS_CAP_CANCEL | MPASS_CAP_SMOOTH)
#endif
#ifndef NOISE
#define NOISE 0
#endif
#ifndef PROBE
#define PROBE base_probe
#endif
#ifndef OPEN
#define OPEN base_open
#endif
#ifndef INFO
#define INFO base_info
#endif
#ifndef EVAL
#define EVAL base_eval
#endif
#ifndef CLOSE
#define CLOSE base_close
#endif
#ifndef START
#define START base_start
#endif
#ifndef METRIC_NAMES
#define METRIC_NAMES base_metric_names
#endif
#ifndef EXTENSION
#define EXTENSION base_extension
#endif
#ifndef SYMMETRY_KIND
#define SYMMETRY_KIND MPASS_SYMMETRY_PERMUTATION
#endif
#ifndef SYMMETRY_SPLIT
#define SYMMETRY_SPLIT 0
#endif
#ifndef SYMMETRY_BLOCKS
#define SYMMETRY_BLOCKS P
#endif
#ifndef ASKEW /* a multiple of x_0 that is added, and tells the parameters apart */
#define ASKEW 0
#endif
static const mpass_device *PROBE(uint32_t index);
static mpass_status OPEN(const mpass_host *, const mpass_open *, void **, mpass_error *);
static const mpass_loss_info *INFO(const void *);
static mpass_status EVAL(void *, const mpass_eval *, mpass_error *);
static void CLOSE(void *);
static mpass_status START(const void *, uint64_t, double *, mpass_error *);
static mpass_status METRIC_NAMES(const void *, uint32_t, const char *const **, uint64_t *, mpass_error *);
static const void *EXTENSION(const char *id);

/* ---- One entry of a matrix, f32 or f64. ---- */
static inline double get(const mpass_view *view, uint64_t row, uint64_t i) {
  uint64_t at = row * view->row_stride + i;
  return view->dtype == MPASS_F32 ? (double)((const float *)view->data)[at] : ((const double *)view->data)[at];
}
static inline void set(const mpass_view *view, uint64_t row, uint64_t i, double value) {
  uint64_t at = row * view->row_stride + i;
  if (view->dtype == MPASS_F32) ((float *)view->data)[at] = (float)value;
  else ((double *)view->data)[at] = value;
}
static inline mpass_status fail(mpass_error *err, mpass_status code, const char *what, const char *which) {
  snprintf(err->text, sizeof err->text, "%s%.200s", what, which);
  return code;
}

/* ---- The decent slots. ---- */
static inline const mpass_device *base_probe(uint32_t index) {
  static const mpass_device cpu = { sizeof cpu, MPASS_HOST, "cpu", 0 };
  return index == 0 ? &cpu : NULL;
}

static inline mpass_status base_open(const mpass_host *host, const mpass_open *open, void **out, mpass_error *err) {
  loss *l;
  int i;
  if (open->model && strcmp(open->model, "quartic") != 0) return fail(err, MPASS_E_ARGUMENT, "no model but quartic: ", open->model);
  if (open->model_bytes) return fail(err, MPASS_E_UNSUPPORTED, "no model in memory", "");
  if (open->device > 0) return fail(err, MPASS_E_ARGUMENT, "no device but 0, the CPU", "");
  if (open->n_options > 0) return fail(err, MPASS_E_ARGUMENT, "there are no options: ", open->keys[0]);
  if (open->n_data > 0) return fail(err, MPASS_E_ARGUMENT, "takes no arrays", "");
  l = (loss *)calloc(1, sizeof *l);
  if (!l) return fail(err, MPASS_E_MEMORY, "no memory", "");
  l->host = host;
  for (i = 0; i < P; i++) { l->lower[i] = -2; l->upper[i] = 2; }
  l->info.struct_size = sizeof l->info;
  l->info.caps = CAPS;
  l->info.params = P;
  l->info.samples = SAMPLES;
  l->info.rows_best = 64;
  l->info.rows_max = ROWS_MAX;
  l->info.dtypes = 1u << MPASS_F32 | 1u << MPASS_F64;
  l->info.memories = 1u << MPASS_HOST;
  l->info.noise = NOISE;
  *out = l;
  return MPASS_OK;
}

static inline const mpass_loss_info *base_info(const void *self) { return &((const loss *)self)->info; }
static inline void base_close(void *self) { free(self); }

static inline int base_cancelled(const loss *l, const mpass_eval *call) {
  if (!MPASS_HAS(call, mpass_eval, cancel) || !call->cancel) return 0;
  if (!MPASS_HAS(l->host, mpass_host, cancelled) || !l->host->cancelled) return 0;
  return l->host->cancelled(l->host->ctx, call->cancel) != 0;
}

static inline int base_alike(const mpass_view *view, const mpass_view *theta) {
  return !view->data || (view->rows == theta->rows && view->cols == P && view->row_stride >= P &&
                         view->dtype == theta->dtype && view->memory != MPASS_CUDA);
}

static inline mpass_status base_check(const loss *l, const mpass_eval *call, mpass_error *err) {
  const mpass_view *theta = &call->theta, *ids = &call->ids;
  uint64_t k;
  if (theta->cols != P || (theta->dtype != MPASS_F32 && theta->dtype != MPASS_F64) || theta->memory == MPASS_CUDA ||
      theta->row_stride < P)
    return fail(err, MPASS_E_ARGUMENT, "theta: wants rows of 4 f32 or f64 on the host", "");
  if (theta->rows > ROWS_MAX) return fail(err, MPASS_E_ARGUMENT, "more than 600 rows", "");
  if (!base_alike(&call->grad, theta) || !base_alike(&call->dir, theta) || !base_alike(&call->hvp, theta))
    return fail(err, MPASS_E_ARGUMENT, "grad, dir and hvp are like theta", "");
  if (!call->dir.data != !call->hvp.data) return fail(err, MPASS_E_ARGUMENT, "dir and hvp come together", "");
  if (call->grad.data && !(l->info.caps & MPASS_CAP_GRAD)) return fail(err, MPASS_E_UNSUPPORTED, "no gradient", "");
  if (call->hvp.data && !(l->info.caps & MPASS_CAP_HVP)) return fail(err, MPASS_E_UNSUPPORTED, "no Hessian", "");
  if (!ids->data) return MPASS_OK;
  if (!(l->info.caps & MPASS_CAP_MINIBATCH)) return fail(err, MPASS_E_UNSUPPORTED, "no minibatches", "");
  if (ids->dtype != MPASS_U64 || ids->rows != 1 || ids->cols == 0 || ids->memory == MPASS_CUDA)
    return fail(err, MPASS_E_ARGUMENT, "ids: wants one row of u64, at least one of them", "");
  for (k = 0; k < ids->cols; k++)
    if (((const uint64_t *)ids->data)[k] >= SAMPLES) return fail(err, MPASS_E_ARGUMENT, "there are 6 samples", "");
  return MPASS_OK;
}

/* The mean tilt of the chosen samples: a_k = (k + 1) / 16, exact in binary. */
static inline double base_tilt(const mpass_eval *call) {
  uint64_t count = call->ids.data ? call->ids.cols : (uint64_t)SAMPLES, k;
  double sum = 0;
  for (k = 0; k < count; k++) sum += (double)((call->ids.data ? ((const uint64_t *)call->ids.data)[k] : k) + 1) / 16;
  return sum / (double)count;
}

static inline void base_row(const mpass_eval *call, uint64_t r, double tilt) {
  double sum = 0, value = 0, along = 0;
  int i, finite;
  for (i = 0; i < P; i++) {
    double x = get(&call->theta, r, (uint64_t)i);
    sum += x;
    value += x * x * x * x / 4 - x * x / 2;
    if (call->hvp.data) along += get(&call->dir, r, (uint64_t)i);
  }
  value += tilt * sum + sum * sum / 8 + ASKEW * get(&call->theta, r, 0);
  call->loss[r] = value;
  finite = isfinite(value);
  for (i = 0; i < P; i++) {
    double x = get(&call->theta, r, (uint64_t)i);
    if (call->grad.data) {
      set(&call->grad, r, (uint64_t)i, x * x * x - x + tilt + sum / 4 + (i == 0 ? ASKEW : 0));
      finite = finite && isfinite(get(&call->grad, r, (uint64_t)i));
    }
    if (call->hvp.data) {
      set(&call->hvp, r, (uint64_t)i, (3 * x * x - 1) * get(&call->dir, r, (uint64_t)i) + along / 4);
      finite = finite && isfinite(get(&call->hvp, r, (uint64_t)i));
    }
  }
  if (!finite) call->row_status[r] = MPASS_E_NUMERIC;
}

static inline mpass_status base_eval(void *self, const mpass_eval *call, mpass_error *err) {
  const loss *l = (const loss *)self;
  mpass_status status = base_check(l, call, err);
  double tilt;
  uint64_t r;
  if (status != MPASS_OK) return status;
  tilt = base_tilt(call);
  for (r = 0; r < call->theta.rows; r++) {
    if (base_cancelled(l, call)) return fail(err, MPASS_E_CANCELLED, "cancelled", "");
    base_row(call, r, tilt);
  }
  return MPASS_OK;
}

/* ---- Extensions: a box and starts in it, two metrics, a symmetry, a block, an identity. ---- */
static inline mpass_status base_start(const void *self, uint64_t seed, double *theta, mpass_error *err) {
  int i;
  UNUSED(self); UNUSED(err);
  for (i = 0; i < P; i++) { /* Steele, Lea and Flood's SplitMix64, uniform in the box */
    uint64_t z = (seed += 0x9e3779b97f4a7c15u);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    z ^= z >> 31;
    theta[i] = (double)(z >> 11) / 9007199254740992.0 * 4 - 2;
  }
  return MPASS_OK;
}
static inline mpass_status base_box(const void *self, const double **lower, const double **upper, mpass_error *err) {
  UNUSED(err);
  *lower = ((const loss *)self)->lower;
  *upper = ((const loss *)self)->upper;
  return MPASS_OK;
}
static inline mpass_status base_metric_names(const void *self, uint32_t split, const char *const **out, uint64_t *count,
                                             mpass_error *err) {
  static const char *const names[] = { "loss", "sum" };
  UNUSED(self); UNUSED(err);
  *out = names;
  *count = split == MPASS_TRAIN ? 2 : 0;
  return MPASS_OK;
}
static inline mpass_status base_metrics(void *self, uint32_t split, const mpass_view *theta, double *out, mpass_error *err) {
  uint64_t r;
  UNUSED(self);
  if (split != MPASS_TRAIN) return fail(err, MPASS_E_ARGUMENT, "no such split", "");
  if (!base_alike(theta, theta)) return fail(err, MPASS_E_ARGUMENT, "theta: wants rows of 4", "");
  for (r = 0; r < theta->rows; r++) {
    mpass_status ignored = MPASS_OK;
    mpass_eval call;
    int i;
    memset(&call, 0, sizeof call);
    call.theta = *theta;
    call.theta.data = (char *)theta->data + r * theta->row_stride * (theta->dtype == MPASS_F32 ? 4 : 8);
    call.loss = out + 2 * r;
    call.row_status = &ignored;
    base_row(&call, 0, base_tilt(&call));
    for (out[2 * r + 1] = 0, i = 0; i < P; i++) out[2 * r + 1] += get(theta, r, (uint64_t)i);
  }
  return MPASS_OK;
}
static inline mpass_status base_symmetries(const void *self, const mpass_symmetry **out, uint64_t *count, mpass_error *err) {
  static const uint64_t index[P] = { 0, 1, 2, 3 };
  static const mpass_symmetry any = { SYMMETRY_KIND, 0, SYMMETRY_BLOCKS, P / SYMMETRY_BLOCKS, index,
                                      SYMMETRY_SPLIT, 0 };
  UNUSED(self); UNUSED(err);
  *out = &any;
  *count = 1;
  return MPASS_OK;
}
static inline mpass_status base_parameters(const void *self, const mpass_parameter **out, uint64_t *count, mpass_error *err) {
  static const uint64_t shape = P;
  static const mpass_parameter x = { "x", &shape, 0, 1, 0 };
  UNUSED(self); UNUSED(err);
  *out = &x;
  *count = 1;
  return MPASS_OK;
}
static inline const mpass_identity *base_identity(const void *self) {
  static const mpass_identity identity = { sizeof identity, 0, "", "", "model = quartic\n", "" };
  UNUSED(self);
  return &identity;
}
static inline const void *base_extension(const char *id) {
  static const mpass_ext_start start = { sizeof start, 0, START, base_box };
  static const mpass_ext_metrics metrics = { sizeof metrics, 0, METRIC_NAMES, base_metrics };
  static const mpass_ext_symmetry symmetry = { sizeof symmetry, 0, base_symmetries };
  static const mpass_ext_parameters parameters = { sizeof parameters, 0, base_parameters };
  static const mpass_ext_identity identity = { sizeof identity, 0, base_identity };
  if (strcmp(id, MPASS_EXT_START) == 0) return &start;
  if (strcmp(id, MPASS_EXT_METRICS) == 0) return &metrics;
  if (strcmp(id, MPASS_EXT_SYMMETRY) == 0) return &symmetry;
  if (strcmp(id, MPASS_EXT_PARAMETERS) == 0) return &parameters;
  if (strcmp(id, MPASS_EXT_IDENTITY) == 0) return &identity;
  return NULL;
}

/* The table; a sinner whose sin is in it writes the entry itself and defines ENTRY. */
static const mpass_backend base_table = { sizeof base_table, MPASS_BACKEND_MINOR, NAME, VERSION,
  PROBE, OPEN, INFO, EVAL, CLOSE, EXTENSION };
#ifndef ENTRY
const mpass_backend *mpass_backend_entry_v0(const mpass_host *host, mpass_error *err) {
  UNUSED(host); UNUSED(err);
  return &base_table;
}
#endif

#endif
