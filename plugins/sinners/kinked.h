/* kinked.h: the decent backend of base.h with another loss, which has kinks and tells of them, with a hook in every slot of
 * mountainpass.kinks/1.
 *
 * With S the sum of the four parameters and h_a = max(z_a, alpha_a z_a),
 *   f_k(x) = sum of x_i^2 / 2 + a_k S + S^2 / 8 + h_0 - h_1 + h_2 + h_2^2 / 8,
 *   z_0 = x_0, z_1 = x_1, z_2 = x_2 + h_0,   alpha = -1, 0, 1/4,   f = the mean over the samples */
#ifndef KINKED_H
#define KINKED_H

#include <stdint.h>

#define CAPS (MPASS_CAP_GRAD | MPASS_CAP_HVP | MPASS_CAP_MINIBATCH | MPASS_CAP_MANY | MPASS_CAP_REPEATABLE | MPASS_CAP_CANCEL)
#define EVAL kinked_eval
#define EXTENSION kinked_extension
#include "base.h"

enum { KINKS = 3 };
static const double alphas[KINKS] = { -1, 0, 0.25 };

/* What stands for the kinks: themselves, smoothed at a width, or those of some slopes. */
typedef struct bend { double eps; const mpass_slope *slopes; uint64_t n; } bend;
/* What stands for one h, and its first two derivatives by z. */
typedef struct bent { double h, slope, curvature; } bent;
/* All of a row that is not an output of eval. */
typedef struct seen { double z[KINKS], delta[KINKS], slope[KINKS]; } seen;

#ifndef SMOOTH
#define SMOOTH kinked_smooth
#endif
#ifndef COUNT
#define COUNT kinked_count
#endif
#ifndef NEAR
#define NEAR kinked_near
#endif
#ifndef SMOOTHED
#define SMOOTHED kinked_smoothed
#endif
#ifndef LINEAR
#define LINEAR kinked_linear
#endif
#ifndef ROWS
#define ROWS kinked_rows
#endif
static bent SMOOTH(double z, double alpha, double eps);
static mpass_status COUNT(const void *, uint64_t *, mpass_error *);
static mpass_status SMOOTHED(void *, double, const mpass_eval *, mpass_error *);
static mpass_status NEAR(void *, const double *, double, mpass_kink *, uint64_t, uint64_t *, mpass_error *);
static mpass_status LINEAR(void *, const mpass_slope *, uint64_t, const mpass_eval *, double *, double *, mpass_error *);
static mpass_status ROWS(void *, const double *, const mpass_slope *, uint64_t, double *, mpass_error *);

static inline bent kinked_smooth(double z, double alpha, double eps) {
  double away = exp(-fabs(z) / eps), part = z < 0 ? away / (1 + away) : 1 / (1 + away);
  bent b;
  b.h = alpha * z + (1 - alpha) * ((z > 0 ? z : 0) + eps * log1p(away));
  b.slope = alpha + (1 - alpha) * part;
  b.curvature = (1 - alpha) * part * (1 - part) / eps;
  return b;
}

static inline bent kinked_bend(const bend *how, uint64_t id, double z) {
  bent b = { 0, 0, 0 };
  uint64_t k;
  if (how->eps > 0) return SMOOTH(z, alphas[id], how->eps);
  b.slope = z < 0 ? alphas[id] : 1;
  for (k = 0; k < how->n; k++)
    if (how->slopes[k].id == id) b.slope = how->slopes[k].t;
  b.h = b.slope * z;
  return b;
}

static inline seen kinked_row(const bend *how, const mpass_eval *call, uint64_t r, double tilt) {
  seen s;
  double x[P], v[P], g[P], hv[P], sum = 0, along = 0, value = 0, moved, pushed;
  bent b[KINKS];
  int i, finite;
  memset(v, 0, sizeof v);
  for (i = 0; i < P; i++) {
    x[i] = get(&call->theta, r, (uint64_t)i);
    if (call->hvp.data) v[i] = get(&call->dir, r, (uint64_t)i);
    sum += x[i]; along += v[i]; value += x[i] * x[i] / 2;
  }
  s.z[0] = x[0]; b[0] = kinked_bend(how, 0, s.z[0]);
  s.z[1] = x[1]; b[1] = kinked_bend(how, 1, s.z[1]);
  s.z[2] = x[2] + b[0].h; b[2] = kinked_bend(how, 2, s.z[2]);
  s.delta[2] = 1 + b[2].h / 4;
  s.delta[1] = -1;
  s.delta[0] = 1 + s.delta[2] * b[2].slope;
  for (i = 0; i < KINKS; i++) s.slope[i] = b[i].slope;
  value += tilt * sum + sum * sum / 8 + b[0].h - b[1].h + b[2].h + b[2].h * b[2].h / 8;
  for (i = 0; i < P; i++) { g[i] = x[i] + tilt + sum / 4; hv[i] = v[i] + along / 4; }
  moved = v[2] + b[0].slope * v[0];
  pushed = (s.delta[2] * b[2].curvature + b[2].slope * b[2].slope / 4) * moved;
  g[0] += s.delta[0] * b[0].slope; hv[0] += s.delta[0] * b[0].curvature * v[0] + b[0].slope * pushed;
  g[1] -= b[1].slope; hv[1] -= b[1].curvature * v[1];
  g[2] += s.delta[2] * b[2].slope; hv[2] += pushed;
  call->loss[r] = value;
  finite = isfinite(value);
  for (i = 0; i < P; i++) {
    if (call->grad.data) {
      set(&call->grad, r, (uint64_t)i, g[i]);
      finite = finite && isfinite(get(&call->grad, r, (uint64_t)i));
    }
    if (call->hvp.data) {
      set(&call->hvp, r, (uint64_t)i, hv[i]);
      finite = finite && isfinite(get(&call->hvp, r, (uint64_t)i));
    }
  }
  if (!finite) call->row_status[r] = MPASS_E_NUMERIC;
  return s;
}

static inline mpass_status kinked_rows_of(void *self, const bend *how, const mpass_eval *call, double *z, double *delta,
                                          mpass_error *err) {
  const loss *l = (const loss *)self;
  mpass_status status = base_check(l, call, err);
  double tilt;
  uint64_t r, k;
  if (status != MPASS_OK) return status;
  tilt = base_tilt(call);
  for (r = 0; r < call->theta.rows; r++) {
    seen s;
    if (base_cancelled(l, call)) return fail(err, MPASS_E_CANCELLED, "cancelled", "");
    s = kinked_row(how, call, r, tilt);
    for (k = 0; k < how->n; k++) {
      if (z) z[r * how->n + k] = s.z[how->slopes[k].id];
      if (delta) delta[r * how->n + k] = s.delta[how->slopes[k].id];
    }
  }
  return MPASS_OK;
}

static inline mpass_status kinked_eval(void *self, const mpass_eval *call, mpass_error *err) {
  bend how = { 0, NULL, 0 };
  return kinked_rows_of(self, &how, call, NULL, NULL, err);
}

/* ---- The decent slots of the extension. ---- */
static inline mpass_status kinked_count(const void *self, uint64_t *kinks, mpass_error *err) {
  UNUSED(self); UNUSED(err);
  *kinks = KINKS;
  return MPASS_OK;
}

static inline mpass_status kinked_smoothed(void *self, double eps, const mpass_eval *call, mpass_error *err) {
  bend how = { 0, NULL, 0 };
  if (!(eps > 0)) return fail(err, MPASS_E_ARGUMENT, "eps is not above 0", "");
  if (call->ids.data) return fail(err, MPASS_E_ARGUMENT, "kinks are those of all samples", "");
  how.eps = eps;
  return kinked_rows_of(self, &how, call, NULL, NULL, err);
}

/* One row of P values, for slots that take no mpass_eval. */
static inline seen kinked_at(const bend *how, const double *theta) {
  mpass_status ignored = MPASS_OK;
  mpass_eval call;
  double value;
  memset(&call, 0, sizeof call);
  call.theta.data = (void *)(uintptr_t)theta;
  call.theta.rows = 1;
  call.theta.cols = call.theta.row_stride = P;
  call.theta.dtype = MPASS_F64;
  call.loss = &value;
  call.row_status = &ignored;
  return kinked_row(how, &call, 0, 0);
}

static inline mpass_status kinked_near(void *self, const double *theta, double width, mpass_kink *out, uint64_t room,
                                       uint64_t *count, mpass_error *err) {
  bend how = { 0, NULL, 0 };
  seen s = kinked_at(&how, theta);
  uint64_t id;
  UNUSED(self); UNUSED(err);
  for (*count = 0, id = 0; id < KINKS; id++) {
    mpass_kink kink;
    if (!(fabs(s.z[id]) < width)) continue;
    kink.id = id; kink.z = s.z[id]; kink.alpha = alphas[id]; kink.delta = s.delta[id];
    if (*count < room) out[*count] = kink;
    ++*count;
  }
  return MPASS_OK;
}

static inline mpass_status kinked_linear(void *self, const mpass_slope *slopes, uint64_t n, const mpass_eval *call, double *z,
                                         double *delta, mpass_error *err) {
  bend how = { 0, NULL, 0 };
  uint64_t k;
  for (k = 0; k < n; k++)
    if (slopes[k].id >= KINKS) return fail(err, MPASS_E_ARGUMENT, "there are 3 kinks", "");
  if (call->ids.data) return fail(err, MPASS_E_ARGUMENT, "kinks are those of all samples", "");
  how.slopes = slopes;
  how.n = n;
  return kinked_rows_of(self, &how, call, z, delta, err);
}

static inline mpass_status kinked_rows(void *self, const double *theta, const mpass_slope *slopes, uint64_t n, double *out,
                                       mpass_error *err) {
  bend how = { 0, NULL, 0 };
  seen s;
  uint64_t k;
  UNUSED(self);
  for (k = 0; k < n; k++)
    if (slopes[k].id >= KINKS) return fail(err, MPASS_E_ARGUMENT, "there are 3 kinks", "");
  how.slopes = slopes;
  how.n = n;
  s = kinked_at(&how, theta);
  memset(out, 0, n * P * sizeof *out);
  for (k = 0; k < n; k++) {
    out[k * P + slopes[k].id] = 1;
    if (slopes[k].id == 2) out[k * P] = s.slope[0];
  }
  return MPASS_OK;
}

static inline const void *kinked_extension(const char *id) {
  static const mpass_ext_kinks kinks = { sizeof kinks, 0, COUNT, SMOOTHED, NEAR, LINEAR, ROWS };
  if (strcmp(id, MPASS_EXT_KINKS) == 0) return &kinks;
  if (strcmp(id, MPASS_EXT_SYMMETRY) == 0) return NULL; /* the parameters are not alike */
  return base_extension(id);
}

#endif
