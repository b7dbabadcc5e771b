// Two lambdas with different captures as backends of one engine, through one trampoline; and one that throws.
#include "mountainpass.h"
#include "mountainpass_backend.h"
#include <cstdio>
#include <functional>
#include <memory>
#include <set>
#include <stdexcept>
#include <string>

// Writes the gradient at x, returns the loss.
using Function = std::function<double(const double *x, double *gradient)>;

struct Captured {
  Function f;
  mpass_loss_info info;
};

static int dropped = 0;

static const mpass_device *probe(uint32_t) { return nullptr; }
static mpass_status open_loss(const mpass_host *, const mpass_open *request, void **out, mpass_error *) {
  *out = request->user;
  return MPASS_OK;
}
static const mpass_loss_info *info(const void *self) { return &static_cast<const Captured *>(self)->info; }
static mpass_status eval(void *self, const mpass_eval *call, mpass_error *err) {
  auto &captured = *static_cast<Captured *>(self);
  const uint64_t p = captured.info.params;
  try { // Nothing may be thrown through the engine.
    std::string scratch(p * sizeof(double), '\0');
    for (uint64_t r = 0; r < call->theta.rows; r++) {
      auto *gradient = call->grad.data ? static_cast<double *>(call->grad.data) + r * call->grad.row_stride
                                       : reinterpret_cast<double *>(&scratch[0]);
      call->loss[r] = captured.f(static_cast<const double *>(call->theta.data) + r * call->theta.row_stride, gradient);
    }
    return MPASS_OK;
  } catch (const std::exception &e) {
    std::snprintf(err->text, sizeof err->text, "%s", e.what());
    return err->code = MPASS_E_DEVICE;
  }
}
static void close_loss(void *) {}
static void drop(void *self) {
  delete static_cast<Captured *>(self);
  dropped++;
}

static mpass_status add(mpass_engine *engine, const char *name, uint64_t params, Function f) {
  const mpass_backend table = {sizeof table, MPASS_BACKEND_MINOR, name, "1", probe, open_loss, info, eval, close_loss, nullptr};
  std::unique_ptr<Captured> captured(new Captured{std::move(f), mpass_loss_info()});
  captured->info.struct_size = sizeof(mpass_loss_info);
  captured->info.caps = MPASS_CAP_GRAD | MPASS_CAP_REPEATABLE | MPASS_CAP_SMOOTH;
  captured->info.params = params;
  captured->info.dtypes = 1u << MPASS_F64;
  captured->info.memories = 1u << MPASS_HOST;
  const mpass_status status = mpass_backend_register(engine, &table, captured.get(), drop);
  if (status == MPASS_OK) captured.release();
  return status;
}

// k (x^4/4 - x^3/3 - x^2) + y^2 + floor: minima at x = -1 and x = 2, the pass at x = 0.
static Function well(double k, double floor) {
  return [k, floor](const double *x, double *g) {
    g[0] = k * (x[0] * x[0] * x[0] - x[0] * x[0] - 2 * x[0]);
    g[1] = 2 * x[1];
    return k * x[0] * x[0] * (x[0] * x[0] / 4 - x[0] / 3 - 1) + x[1] * x[1] + floor;
  };
}

static std::set<std::string> stages;
static void progress(void *user, const char *stage, uint64_t, uint64_t, const char *) {
  static_cast<std::set<std::string> *>(user)->insert(stage);
}

static int bars(mpass_engine *engine, const char *backend) {
  mpass_loss *loss = nullptr;
  mpass_landscape *landscape = nullptr;
  mpass_barcode *barcode = nullptr;
  const mpass_status status = mpass_loss_open(engine, backend, nullptr, &loss) || mpass_explore(loss, nullptr, &landscape) ||
                              mpass_barcode_compute(landscape, &barcode);
  if (status) std::printf("%s: %d %s\n", backend, mpass_last_error()->code, mpass_last_error()->text);
  uint64_t n = 0;
  const mpass_bar *all = status ? nullptr : mpass_barcode_bars(barcode, &n);
  for (uint64_t i = 0; i < n; i++) std::printf("%s %.17g %.17g\n", backend, all[i].birth, all[i].death);
  mpass_barcode_free(barcode);
  mpass_landscape_free(landscape);
  mpass_loss_free(loss);
  return status;
}

int main() {
  mpass_hooks hooks = mpass_hooks();
  hooks.struct_size = sizeof hooks;
  hooks.user = &stages;
  hooks.progress = progress;
  mpass_engine_options options = mpass_engine_options();
  options.struct_size = sizeof options;
  options.threads = 2;
  options.hooks = &hooks;
  mpass_engine *engine = nullptr;
  if (mpass_engine_new(&options, &engine)) return 1;
  int calls = 0;
  add(engine, "shallow", 2, well(1, 0));
  add(engine, "deep", 2, well(3, 10));
  add(engine, "throws", 2, [&calls](const double *x, double *g) -> double {
    if (++calls == 20) throw std::runtime_error("the framework is out of memory");
    return well(1, 0)(x, g);
  });
  bars(engine, "shallow");
  bars(engine, "deep");
  bars(engine, "throws");
  mpass_engine_free(engine);
  std::printf("dropped %d\n", dropped);
  for (const auto &stage : stages) std::printf("stage %s\n", stage.c_str());
  return 0;
}
