// Backends that must run on the caller's thread, as a framework with a thread of its own must: two of them at once, in
// engines and losses with four workers, beside a third backend that keeps those workers busy. Every slot runs on the thread
// that called, for the whole of every call; and a loss may be called by another thread later.
#include "mountainpass.h"
#include "mountainpass_backend.h"
#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <thread>

enum Slot { PROBE, OPEN, INFO, EVAL, CLOSE, EXTENSION, START, BOX, NAMES, METRICS, SYMMETRY, IDENTITY, DROP, SLOTS };
static const char *const names[SLOTS] = {"probe", "open", "info",          "eval",    "close",    "extension", "start",
                                         "box",  "metrics.names", "metrics", "symmetry", "identity",  "drop"};

// x^4/4 - x^2/2 + y^2: minima -1/4 at x = -1 and x = 1, the pass 0 at x = 0.
struct Native {
  std::atomic<uint64_t> calls[SLOTS], astray[SLOTS];
};
// The backend that this thread is calling the engine for: what a slot finds here, its caller has put there.
static thread_local const Native *calling = nullptr;
static std::atomic<uint64_t> lost(0);

static Native &here(Slot slot, const void *self) {
  auto &native = *static_cast<Native *>(const_cast<void *>(self));
  native.calls[slot]++;
  if (calling != &native) native.astray[slot]++;
  return native;
}

// A slot that is told of no loss: any thread that is calling the engine will do.
static void anonymous(Slot slot) {
  if (calling == nullptr) lost++;
  else here(slot, calling);
}

static mpass_status start(const void *self, uint64_t seed, double *theta, mpass_error *) {
  here(START, self);
  theta[0] = seed % 2 ? 0.5 : -0.5;
  theta[1] = 0.25 * static_cast<double>(seed % 5);
  return MPASS_OK;
}
static mpass_status box(const void *self, const double **lower, const double **upper, mpass_error *) {
  static const double low[2] = {-2, -2}, high[2] = {2, 2};
  here(BOX, self);
  *lower = low;
  *upper = high;
  return MPASS_OK;
}
static mpass_status metric_names(const void *self, uint32_t split, const char *const **out, uint64_t *count, mpass_error *) {
  static const char *const all[1] = {"height"};
  here(NAMES, self);
  *out = all;
  *count = split == MPASS_TRAIN;
  return MPASS_OK;
}
static mpass_status metrics(void *self, uint32_t, const mpass_view *theta, double *out, mpass_error *) {
  here(METRICS, self);
  for (uint64_t r = 0; r < theta->rows; r++) out[r] = static_cast<const double *>(theta->data)[r * theta->row_stride + 1];
  return MPASS_OK;
}
static mpass_status symmetries(const void *self, const mpass_symmetry **, uint64_t *count, mpass_error *) {
  here(SYMMETRY, self);
  *count = 0;
  return MPASS_OK;
}
static const mpass_identity *identity(const void *self) {
  static const mpass_identity none = {sizeof none, 0, "", "", "", ""};
  here(IDENTITY, self);
  return &none;
}
static const void *extension(const char *id) {
  static const mpass_ext_start e_start = {sizeof e_start, 0, start, box};
  static const mpass_ext_metrics e_metrics = {sizeof e_metrics, 0, metric_names, metrics};
  static const mpass_ext_symmetry e_symmetry = {sizeof e_symmetry, 0, symmetries};
  static const mpass_ext_identity e_identity = {sizeof e_identity, 0, identity};
  anonymous(EXTENSION);
  if (std::strcmp(id, MPASS_EXT_START) == 0) return &e_start;
  if (std::strcmp(id, MPASS_EXT_METRICS) == 0) return &e_metrics;
  if (std::strcmp(id, MPASS_EXT_SYMMETRY) == 0) return &e_symmetry;
  return std::strcmp(id, MPASS_EXT_IDENTITY) == 0 ? &e_identity : nullptr;
}
static const mpass_device *probe(uint32_t) {
  anonymous(PROBE);
  return nullptr;
}
static mpass_status open_loss(const mpass_host *, const mpass_open *request, void **out, mpass_error *) {
  *out = &here(OPEN, request->user);
  return MPASS_OK;
}
static const mpass_loss_info *info(const void *self) {
  static const mpass_loss_info all = {sizeof all, MPASS_CAP_GRAD | MPASS_CAP_REPEATABLE | MPASS_CAP_CALLER_THREAD | MPASS_CAP_SMOOTH,
                                      2, 0, 0, 0, 1u << MPASS_F64, 1u << MPASS_HOST, 0};
  here(INFO, self);
  return &all;
}
static void rows(const mpass_eval *call, uint64_t r) {
  const double *at = static_cast<const double *>(call->theta.data) + r * call->theta.row_stride, x = at[0], y = at[1];
  call->loss[r] = x * x * x * x / 4 - x * x / 2 + y * y;
  if (call->loss[r] - call->loss[r] != 0) call->row_status[r] = MPASS_E_NUMERIC;
  if (!call->grad.data) return;
  double *g = static_cast<double *>(call->grad.data) + r * call->grad.row_stride;
  g[0] = x * x * x - x;
  g[1] = 2 * y;
}
static mpass_status eval(void *self, const mpass_eval *call, mpass_error *) {
  here(EVAL, self);
  for (uint64_t r = 0; r < call->theta.rows; r++) rows(call, r);
  return MPASS_OK;
}
static void close_loss(void *self) { here(CLOSE, self); }
static void drop(void *self) { here(DROP, self); }

// The same loss, by rows on the engine's workers: they exist and are busy while the others keep to their threads.
static const mpass_host *crowd_host;
static std::atomic<int> met(0);
static mpass_status crowd_open(const mpass_host *host, const mpass_open *, void **out, mpass_error *) {
  crowd_host = host;
  *out = &met;
  return MPASS_OK;
}
static const mpass_loss_info *crowd_info(const void *) {
  static const mpass_loss_info all = {sizeof all, MPASS_CAP_GRAD | MPASS_CAP_REPEATABLE | MPASS_CAP_SMOOTH, 2, 0, 0, 0,
                                      1u << MPASS_F64, 1u << MPASS_HOST, 0};
  return &all;
}
static void meet(void *, uint64_t, uint32_t) { // Returns early only if two threads are in it.
  const auto until = std::chrono::steady_clock::now() + std::chrono::seconds(20);
  met++;
  while (met < 2 && std::chrono::steady_clock::now() < until) std::this_thread::yield();
}
static void crowd_row(void *call, uint64_t r, uint32_t) { rows(static_cast<const mpass_eval *>(call), r); }
static mpass_status crowd_eval(void *, const mpass_eval *call, mpass_error *) {
  if (met < 2 && crowd_host->workers > 1) crowd_host->parallel(crowd_host->ctx, 2, meet, nullptr);
  return crowd_host->parallel(crowd_host->ctx, call->theta.rows, crowd_row, const_cast<mpass_eval *>(call));
}
static void crowd_close(void *) {}

static mpass_backend table(const char *name) {
  return {sizeof(mpass_backend), MPASS_BACKEND_MINOR, name, "1", probe, open_loss, info, eval, close_loss, extension};
}

#define CHECK(yes) do { if (!(yes)) { \
  std::printf("line %d: %s\n  last error %d: %s\n", __LINE__, #yes, mpass_last_error()->code, mpass_last_error()->text); \
  std::exit(1); } } while (0)

static void explore(mpass_loss *loss) {
  mpass_landscape *landscape = nullptr;
  mpass_barcode *barcode = nullptr;
  uint64_t n = 0;
  CHECK(mpass_explore(loss, nullptr, &landscape) == MPASS_OK && mpass_barcode_compute(landscape, &barcode) == MPASS_OK);
  const mpass_bar *bars = mpass_barcode_bars(barcode, &n);
  CHECK(n == 2 && bars[1].death > -1e-8 && bars[1].death < 1e-5);
  mpass_barcode_free(barcode);
  mpass_landscape_free(landscape);
}

static void evaluate(mpass_loss *loss) {
  double theta[2] = {1, 0}, value = 0;
  mpass_eval call = mpass_eval();
  call.struct_size = sizeof call;
  call.theta = {theta, 1, 2, 2, MPASS_F64, MPASS_HOST, 0, 0};
  call.loss = &value;
  CHECK(mpass_loss_eval(loss, &call) == MPASS_OK && value == -0.25);
}

// What one thread does with its loss.
static void live(mpass_engine *engine, const char *name, uint64_t index, Native *native, mpass_loss **out) {
  calling = native;
  CHECK(std::strcmp(mpass_engine_backend(engine, index)->name, name) == 0);
  CHECK(mpass_loss_open(engine, name, nullptr, out) == MPASS_OK);
  evaluate(*out);
  explore(*out);
  calling = nullptr;
}

int main() {
  static Native a, b;
  mpass_engine_options options = mpass_engine_options();
  options.struct_size = sizeof options;
  options.threads = 4;
  mpass_engine *engine = nullptr;
  CHECK(mpass_engine_new(&options, &engine) == MPASS_OK);
  mpass_backend a_table = table("a"), b_table = table("b"), crowd = table("crowd");
  crowd.open = crowd_open;
  crowd.info = crowd_info;
  crowd.eval = crowd_eval;
  crowd.close = crowd_close;
  crowd.extension = nullptr;
  CHECK(mpass_backend_register(engine, &a_table, &a, drop) == MPASS_OK);
  CHECK(mpass_backend_register(engine, &b_table, &b, drop) == MPASS_OK);
  CHECK(mpass_backend_register(engine, &crowd, nullptr, nullptr) == MPASS_OK);

  // Opening holds the engine; so each opens in turn, and all explore together.
  mpass_loss *of_a = nullptr, *of_b = nullptr, *of_crowd = nullptr;
  live(engine, "a", 0, &a, &of_a);
  std::thread([&] { live(engine, "b", 1, &b, &of_b); }).join();
  CHECK(mpass_loss_open(engine, "crowd", nullptr, &of_crowd) == MPASS_OK);
  std::thread first([&] { calling = &b; explore(of_b); });  // Opened by this thread's predecessor,
  std::thread second([&] { calling = &a; explore(of_a); }); // and by the main thread.
  explore(of_crowd);
  first.join();
  second.join();
  CHECK(met >= 2);

  // The last holder frees: of `a` the engine, of `b` its loss, after the engine and on a thread of its own.
  calling = &a;
  mpass_loss_free(of_a);
  CHECK(a.calls[DROP] == 0);
  mpass_engine_free(engine);
  calling = nullptr;
  CHECK(a.calls[DROP] == 1 && b.calls[DROP] == 0);
  mpass_loss_free(of_crowd);
  std::thread([&] { calling = &b; mpass_loss_free(of_b); }).join();
  CHECK(b.calls[DROP] == 1 && lost == 0);

  for (int slot = 0; slot < SLOTS; slot++) {
    const uint64_t astray = a.astray[slot] + b.astray[slot];
    if (a.calls[slot] == 0 || b.calls[slot] == 0 || astray > 0)
      std::printf("%s: %llu of %llu calls astray\n", names[slot], static_cast<unsigned long long>(astray),
                  static_cast<unsigned long long>(a.calls[slot] + b.calls[slot]));
  }
  std::printf("%d slots ran on their callers' threads\n", SLOTS);
  return 0;
}
