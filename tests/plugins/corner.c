/* A caller's own loss with kinks, f = |x| - |y| + x^2 + y^2, and all that mountainpass.kinks/1 asks of it: kink 0 is |x|,
 * kink 1 is |y|. Minima are -1/4 at (0, -1/2) and (0, 1/2), the pass is 0 at 0. */
#include "mountainpass_backend.h"
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

/* How often the engine asked for the extension, and called its slots. */
static int corner_asked, corner_calls;

static const double corner_weight[2] = { 1, -1 };

static const mpass_device *corner_probe(uint32_t index) {
  static const mpass_device cpu = { .struct_size = sizeof cpu, .name = "cpu" };
  return index == 0 ? &cpu : NULL;
}
static mpass_status corner_open(const mpass_host *host, const mpass_open *request, void **out, mpass_error *err) {
  static char nothing;
  (void)host; (void)request; (void)err;
  *out = &nothing;
  return MPASS_OK;
}
static const mpass_loss_info *corner_info(const void *self) {
  static const mpass_loss_info info = { sizeof info, MPASS_CAP_GRAD | MPASS_CAP_HVP | MPASS_CAP_REPEATABLE, 2, 0, 0, 0,
                                        1u << MPASS_F64, 1u << MPASS_HOST, 0 };
  (void)self;
  return &info;
}
/* What stands for |z|, with two derivatives: smoothed at eps if it is above 0, else t z, else |z|. */
static void corner_bend(double out[3], double z, double eps, const double *t) {
  double side = z < 0 ? -1 : 1, slope = t ? *t : side;
  out[0] = slope * z; out[1] = slope; out[2] = 0;
  if (eps > 0) {
    out[0] = fabs(z) + 2 * eps * log1p(exp(-fabs(z) / eps));
    out[1] = tanh(z / (2 * eps));
    out[2] = (1 - out[1] * out[1]) / (2 * eps);
  }
}
static mpass_status corner_rows(const mpass_eval *call, double eps, const mpass_slope *slopes, uint64_t n, double *z,
                                double *delta) {
  const double *t[2] = { NULL, NULL };
  uint64_t r, k;
  for (k = 0; k < n; k++) t[slopes[k].id] = &slopes[k].t;
  for (r = 0; r < call->theta.rows; r++) {
    const double *x = (const double *)call->theta.data + r * call->theta.row_stride;
    call->loss[r] = 0;
    for (int i = 0; i < 2; i++) {
      double h[3];
      corner_bend(h, x[i], eps, t[i]);
      call->loss[r] += corner_weight[i] * h[0] + x[i] * x[i];
      if (call->grad.data)
        ((double *)call->grad.data)[r * call->grad.row_stride + i] = corner_weight[i] * h[1] + 2 * x[i];
      if (call->hvp.data)
        ((double *)call->hvp.data)[r * call->hvp.row_stride + i] =
            (corner_weight[i] * h[2] + 2) * ((const double *)call->dir.data)[r * call->dir.row_stride + i];
    }
    if (!isfinite(call->loss[r])) call->row_status[r] = MPASS_E_NUMERIC;
    for (k = 0; k < n; k++) {
      if (z) z[r * n + k] = x[slopes[k].id];
      if (delta) delta[r * n + k] = corner_weight[slopes[k].id];
    }
  }
  return MPASS_OK;
}
static mpass_status corner_eval(void *self, const mpass_eval *call, mpass_error *err) {
  (void)self; (void)err;
  return corner_rows(call, 0, NULL, 0, NULL, NULL);
}
static void corner_close(void *self) { (void)self; }

static mpass_status corner_count(const void *loss, uint64_t *kinks, mpass_error *err) {
  (void)loss; (void)err;
  corner_calls++;
  *kinks = 2;
  return MPASS_OK;
}
static mpass_status corner_smoothed(void *loss, double eps, const mpass_eval *call, mpass_error *err) {
  (void)loss; (void)err;
  corner_calls++;
  return corner_rows(call, eps, NULL, 0, NULL, NULL);
}
static mpass_status corner_near(void *loss, const double *theta, double width, mpass_kink *out, uint64_t room,
                                uint64_t *count, mpass_error *err) {
  (void)loss; (void)err;
  corner_calls++;
  *count = 0;
  for (uint64_t id = 0; id < 2; id++) {
    mpass_kink kink = { id, theta[id], -1, corner_weight[id] };
    if (!(fabs(kink.z) < width)) continue;
    if (*count < room) out[*count] = kink;
    ++*count;
  }
  return MPASS_OK;
}
static mpass_status corner_linear(void *loss, const mpass_slope *slopes, uint64_t n, const mpass_eval *call, double *z,
                                  double *delta, mpass_error *err) {
  (void)loss; (void)err;
  corner_calls++;
  return corner_rows(call, 0, slopes, n, z, delta);
}
static mpass_status corner_gradients(void *loss, const double *theta, const mpass_slope *slopes, uint64_t n, double *out,
                                     mpass_error *err) {
  (void)loss; (void)theta; (void)err;
  corner_calls++;
  for (uint64_t k = 0; k < n; k++)
    for (uint64_t i = 0; i < 2; i++) out[2 * k + i] = i == slopes[k].id;
  return MPASS_OK;
}
static const void *corner_extension(const char *id) {
  static const mpass_ext_kinks kinks = { sizeof kinks, 0, corner_count, corner_smoothed, corner_near, corner_linear,
                                         corner_gradients };
  if (strcmp(id, MPASS_EXT_KINKS) != 0) return NULL;
  corner_asked++;
  return &kinks;
}
static const mpass_backend corner = { sizeof corner, MPASS_BACKEND_MINOR, "corner", "1", corner_probe, corner_open,
                                      corner_info, corner_eval, corner_close, corner_extension };

#ifdef PLUGIN
const mpass_backend *mpass_backend_entry_v0(const mpass_host *host, mpass_error *err) {
  (void)host; (void)err;
  return &corner;
}
#endif
