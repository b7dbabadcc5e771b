// mountainpass_backend.hpp: write a backend in C++17. One header over mountainpass_backend.h, nothing to link.
//
// Derive from mountainpass::Loss, give it a constructor that takes an Open and a Host, a name and a version, the options
// that it declares, and put MOUNTAINPASS_BACKEND(Mine) at the end of the file. This header makes the table and stands before every slot:
// exceptions become a status and a text, a call of the wrong shape is refused, rows are read and written at their
// strides as f32 or f64, rows that are not finite are flagged, an option nobody asked for is refused by name, the size
// rule is kept, and many rows are spread over the engine's workers. Link with a version script
// (plugins/template-cpp/exports.map), or the standard library's templates are exported beside the entry symbol.
#ifndef MOUNTAINPASS_BACKEND_HPP
#define MOUNTAINPASS_BACKEND_HPP

#include "mountainpass_backend.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <exception>
#include <initializer_list>
#include <iterator>
#include <limits>
#include <locale>
#include <memory>
#include <mutex>
#include <new>
#include <sstream>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

namespace mountainpass {

// Why a call is refused: a status and one line for a person. Throw it from any method.
class Error : public std::exception {
 public:
  Error(mpass_status code, std::string text) : code_(code), text_(std::move(text)) {}
  mpass_status code() const noexcept { return code_; }
  const char *what() const noexcept override { return text_.c_str(); }

 private:
  mpass_status code_;
  std::string text_;
};

// A record of a caller who may be older or newer than this header: what it has of ours, the rest zero (THE SIZE RULE).
template <class Record>
Record sized(const Record *theirs) {
  Record ours{};
  if (theirs) std::memcpy(&ours, theirs, std::min<std::size_t>(theirs->struct_size, sizeof ours));
  return ours;
}

// The engine's services, valid until the loss is closed. Methods may be called from any thread.
class Host {
 public:
  explicit Host(const mpass_host *host) : record_(sized(host)) {}

  // One line for the log, a level of MPASS_LOG_*. Never print: the streams are the program's.
  void log(std::int32_t level, const std::string &text) const {
    if (record_.log) record_.log(record_.ctx, level, text.c_str());
  }
  // Worker numbers are below this; it is at least 1.
  std::uint32_t workers() const { return std::max(record_.workers, 1u); }
  bool cancelled(const void *token) const {
    return token && record_.cancelled && record_.cancelled(record_.ctx, token) != 0;
  }
  // Calls body(i, worker) for every i below n on the engine's workers and returns when all are done. Which worker runs
  // which i is not determined. The first exception of a body is thrown again here.
  template <class Body>
  void parallel(std::uint64_t n, const Body &body) const {
    if (n < 2 || !record_.parallel) {
      for (std::uint64_t i = 0; i < n; i++) body(i, 0u);
      return;
    }
    struct Task {
      const Body &body;
      std::mutex mutex;
      std::exception_ptr thrown;
    } task{body, {}, nullptr};
    const auto run = [](void *user, std::uint64_t i, std::uint32_t worker) {
      Task &shared = *static_cast<Task *>(user);
      try {
        shared.body(i, worker);
      } catch (...) {
        const std::lock_guard<std::mutex> lock(shared.mutex);
        if (!shared.thrown) shared.thrown = std::current_exception();
      }
    };
    const mpass_status status = record_.parallel(record_.ctx, n, run, &task);
    if (task.thrown) std::rethrow_exception(task.thrown);
    if (status != MPASS_OK) throw Error(MPASS_E_INTERNAL, "the host could not run parallel work");
  }

 private:
  mpass_host record_;
};

// Which loss to open. Ask for every option, array and model you know: what was given and not asked for is refused.
// Texts and arrays are borrowed for the call; what is returned here is a copy.
class Open {
 public:
  explicit Open(const mpass_open *open, const mpass_ext_options *declared = nullptr)
      : record_(sized(open)), declared_(declared) {}
  const mpass_open &record() const { return record_; }

  // The model that was named, which is one of these; the first if none was.
  std::string model(std::initializer_list<const char *> known) {
    model_asked_ = true;
    if (!record_.model) return *known.begin();
    for (const char *name : known)
      if (std::strcmp(name, record_.model) == 0) return name;
    throw Error(MPASS_E_ARGUMENT, "no model \"" + std::string(record_.model) + "\": there is " + list(known));
  }
  std::string text(const char *key, const char *otherwise) {
    const char *given = option(key);
    return given ? given : otherwise;
  }
  // A finite number from `least` to `most`.
  double number(const char *key, double otherwise, double least, double most) {
    const char *given = option(key);
    double value = otherwise;
    if (given && !(parse(given, value) && value >= least && value <= most)) wants(key, given, "a number", least, most);
    return value;
  }
  // A whole number from `least` to `most`.
  std::uint64_t count(const char *key, std::uint64_t otherwise, std::uint64_t least, std::uint64_t most) {
    const char *given = option(key);
    std::uint64_t value = otherwise;
    const bool digits = given && *given && std::strspn(given, "0123456789") == std::strlen(given);
    if (given && !(digits && parse(given, value) && value >= least && value <= most))
      wants(key, given, "a whole number", least, most);
    return value;
  }
  // An array handed over in memory, in C order; the shape goes to `shape`. False if it was not given.
  bool array(const char *name, std::vector<double> &values, std::vector<std::uint64_t> &shape) {
    arrays_asked_.emplace_back(name);
    for (std::uint64_t i = 0; i < record_.n_data; i++)
      if (name_of(record_.data[i]) == name) return read(record_.data[i], values, shape), true;
    return false;
  }
  // Refuses what nobody asked for. Called for you when the constructor of the loss has returned.
  void finish() const {
    for (const std::string &key : asked_)
      if (declared_ && !is_declared(key))
        throw Error(MPASS_E_BACKEND, "the option \"" + key + "\" is asked for and not declared");
    for (std::uint32_t i = 0; i < record_.n_options; i++) {
      const std::string key = record_.keys[i];
      if (has(asked_, key)) continue;
      if (is_declared(key)) throw Error(MPASS_E_ARGUMENT, "option \"" + key + "\" says nothing about this model: leave it out");
      unknown("option", key, asked_);
    }
    for (std::uint64_t i = 0; i < record_.n_data; i++)
      if (!has(arrays_asked_, name_of(record_.data[i]))) unknown("array", name_of(record_.data[i]), arrays_asked_);
    if (record_.model && !model_asked_)
      throw Error(MPASS_E_ARGUMENT, "no model \"" + std::string(record_.model) + "\": give none");
    if (record_.model_bytes) throw Error(MPASS_E_UNSUPPORTED, "a model in memory: give its name");
    if (record_.device != 0)
      throw Error(MPASS_E_ARGUMENT, "no device " + std::to_string(record_.device) + ": there is 0, the CPU");
  }

 private:
  using Names = std::vector<std::string>;

  bool is_declared(const std::string &key) const {
    for (std::uint64_t i = 0; declared_ && i < declared_->n_options; i++)
      if (key == declared_->options[i].name) return true;
    return false;
  }
  const char *option(const char *key) {
    asked_.emplace_back(key);
    for (std::uint32_t i = 0; i < record_.n_options; i++)
      if (std::strcmp(record_.keys[i], key) == 0) return record_.values[i];
    return nullptr;
  }
  // strtod and stod read "0,5" or "0.5" as the program's locale says; this reads the contract's text.
  template <class Number>
  static bool parse(const char *text, Number &out) {
    std::istringstream stream(text);
    stream.imbue(std::locale::classic());
    return (stream >> out) && stream.eof();
  }
  template <class Number>
  [[noreturn]] static void wants(const char *key, const char *given, const char *what, Number least, Number most) {
    std::ostringstream text;
    text.imbue(std::locale::classic());
    text << "option " << key << " = \"" << given << "\": wants " << what << " from " << least << " to " << most;
    throw Error(MPASS_E_ARGUMENT, text.str());
  }
  static std::string name_of(const mpass_array &array) { return array.name ? array.name : ""; }
  static bool has(const Names &names, const std::string &name) {
    return std::find(names.begin(), names.end(), name) != names.end();
  }
  template <class List>
  static std::string list(const List &names) {
    std::string text;
    for (const auto &name : names) text += (text.empty() ? "" : ", ") + std::string(name);
    return text;
  }
  [[noreturn]] static void unknown(const char *what, const std::string &name, const Names &known) {
    const std::string there = known.empty() ? "there are none" : "there is " + list(known);
    throw Error(MPASS_E_ARGUMENT, std::string("no ") + what + " \"" + name + "\": " + there);
  }
  static double element(const mpass_array &array, std::int64_t at) {
    const auto pick = [&](auto zero) {
      const std::int64_t bytes = at * static_cast<std::int64_t>(sizeof zero);
      std::memcpy(&zero, static_cast<const char *>(array.data) + bytes, sizeof zero); // it may be unaligned
      return static_cast<double>(zero);
    };
    switch (array.dtype) {
      case MPASS_F32: return pick(float{});
      case MPASS_F64: return pick(double{});
      case MPASS_U64: return pick(std::uint64_t{});
      case MPASS_I64: return pick(std::int64_t{});
      case MPASS_I32: return pick(std::int32_t{});
      case MPASS_U8: return pick(std::uint8_t{});
    }
    throw Error(MPASS_E_UNSUPPORTED, "array " + name_of(array) + ": element type " + std::to_string(array.dtype));
  }
  static void read(const mpass_array &array, std::vector<double> &values, std::vector<std::uint64_t> &shape) {
    shape.assign(array.shape, array.shape + array.ndim);
    std::uint64_t total = 1;
    for (const std::uint64_t size : shape) {
      if (size && total > values.max_size() / size) throw std::bad_alloc();
      total *= size;
    }
    values.resize(total);
    std::vector<std::uint64_t> index(shape.size());
    for (std::uint64_t i = 0; i < total; i++) {
      std::int64_t at = static_cast<std::int64_t>(i);
      if (array.strides) {
        at = 0;
        for (std::size_t axis = 0; axis < index.size(); axis++)
          at += static_cast<std::int64_t>(index[axis]) * array.strides[axis];
      }
      values[i] = element(array, at);
      for (std::size_t axis = index.size(); axis-- > 0 && ++index[axis] == shape[axis];) index[axis] = 0;
    }
  }

  mpass_open record_;
  const mpass_ext_options *declared_;
  Names asked_, arrays_asked_;
  bool model_asked_ = false;
};

// What a loss is and can do; the comments of mpass_loss_info and MPASS_CAP_* are the promises.
struct Info {
  std::uint64_t params = 0, samples = 0, rows_best = 0, rows_max = 0;
  std::uint32_t caps = 0;
  double noise = 0;
};

// What a row is computed in: which samples, on which worker, and whether anybody still wants it.
class Call {
 public:
  // The number of samples to take the loss over: those chosen, or all.
  std::uint64_t samples() const { return ids_ ? chosen_ : all_; }
  // The k-th of them.
  std::uint64_t sample(std::uint64_t k) const { return ids_ ? ids_[k] : k; }
  // Below Host::workers(): no two calls at the same time have the same one. For scratch made in the constructor.
  std::uint32_t worker() const { return worker_; }
  // Throws if the caller has lost interest. It is asked before every row; ask within rows that take longer than 0.1 s.
  void poll() const {
    if (host_.cancelled(token_)) throw Error(MPASS_E_CANCELLED, "cancelled");
  }

 private:
  friend struct Table;
  Call(const Host &host, const mpass_eval &eval, std::uint64_t all, std::uint32_t worker)
      : host_(host), token_(eval.cancel), ids_(static_cast<const std::uint64_t *>(eval.ids.data)),
        chosen_(eval.ids.cols), all_(all), worker_(worker) {}
  const Host &host_;
  const void *token_;
  const std::uint64_t *ids_;
  std::uint64_t chosen_, all_;
  std::uint32_t worker_;
};

// One open loss. Its methods are const and run for several rows at once, each row on one worker: scratch is by worker.
// theta, direction and out have p values. Everything is computed in f64, whatever theta travels as.
class Loss {
 public:
  virtual ~Loss() = default;
  // Constant until the loss is closed.
  virtual Info info() const = 0;
  virtual double loss(const double *theta, const Call &call) const = 0;
  // Writes every entry of out. Wanted where MPASS_CAP_GRAD is claimed.
  virtual void gradient(const double * /*theta*/, double * /*out*/, const Call &) const {
    throw Error(MPASS_E_UNSUPPORTED, "no gradient");
  }
  // The Hessian at theta times direction. Wanted where MPASS_CAP_HVP is claimed.
  virtual void product(const double * /*theta*/, const double * /*direction*/, double * /*out*/, const Call &) const {
    throw Error(MPASS_E_UNSUPPORTED, "no Hessian-vector product");
  }
  // The box of a bounded function, p values each; empty if it has none.
  virtual void box(std::vector<double> & /*lower*/, std::vector<double> & /*upper*/) const {}
  // Where a search begins for a seed; false leaves it to the engine (uniform in the box, or nearly standard normal).
  virtual bool start(std::uint64_t /*seed*/, double * /*theta*/) const { return false; }
};

// The options that a class declares, as its static array `options` of mpass_option: all that its constructor asks for,
// whatever the model. NULL where it declares none.
template <class Mine, class = void>
struct Declared {
  static const mpass_ext_options *record() noexcept { return nullptr; }
};
template <class Mine>
struct Declared<Mine, std::void_t<decltype(Mine::options)>> {
  static const mpass_ext_options *record() noexcept {
    static const mpass_ext_options record = {sizeof record, 0, Mine::options, std::size(Mine::options)};
    return &record;
  }
};

// The slots of the table. Nothing here is for authors.
struct Table {
  struct Handle {
    Host host;
    std::unique_ptr<const Loss> loss;
    mpass_loss_info info;
    std::vector<double> lower, upper;
    std::vector<double> scratch; // three rows a worker, for theta that travels as f32
  };

  // The exception barrier: nothing unwinds into the engine.
  template <class Body>
  static mpass_status guarded(mpass_error *err, const Body &body) noexcept {
    try {
      body();
      return MPASS_OK;
    } catch (const Error &error) {
      return fail(err, error.code(), error.what());
    } catch (const std::bad_alloc &) {
      return fail(err, MPASS_E_MEMORY, "not enough memory");
    } catch (const std::exception &error) {
      return fail(err, MPASS_E_INTERNAL, error.what());
    } catch (...) {
      return fail(err, MPASS_E_INTERNAL, "an exception of no known type");
    }
  }
  static mpass_status fail(mpass_error *err, mpass_status code, const char *text) noexcept {
    std::size_t end = std::strlen(text), room = sizeof err->text - 1;
    if (end > room) // cut off, but not within a letter of several bytes: all text is UTF-8
      for (end = room; end > 0 && (text[end] & 0xC0) == 0x80;) end--;
    std::memcpy(err->text, text, end);
    err->text[end] = '\0';
    return code;
  }

  static const mpass_device *probe(std::uint32_t index) noexcept {
    static const mpass_device cpu = {sizeof cpu, MPASS_HOST, "cpu", 0};
    return index == 0 ? &cpu : nullptr;
  }
  template <class Mine>
  static mpass_status open(const mpass_host *host, const mpass_open *request, void **out, mpass_error *err) noexcept {
    return guarded(err, [&] {
      Open open(request, Declared<Mine>::record());
      const Host services(host);
      std::unique_ptr<const Loss> loss(new Mine(open, services));
      open.finish();
      const Info info = loss->info();
      auto handle = std::make_unique<Handle>(Handle{services, std::move(loss), {}, {}, {}, {}});
      // MANY is never claimed: f32 rows go through the handle's scratch, and the rows of one call are spread anyway.
      const std::uint32_t caps = info.caps & ~std::uint32_t{MPASS_CAP_MANY}, dtypes = 1u << MPASS_F32 | 1u << MPASS_F64;
      handle->info = {sizeof handle->info, caps, info.params, info.samples, info.rows_best, info.rows_max,
                      dtypes, 1u << MPASS_HOST, info.noise};
      handle->loss->box(handle->lower, handle->upper);
      const std::size_t sides = handle->lower.size();
      if (sides != handle->upper.size() || (sides != 0 && sides != info.params))
        throw Error(MPASS_E_INTERNAL, "box: wants p values for either side, or none");
      *out = handle.release();
    });
  }
  static const mpass_loss_info *info(const void *self) noexcept { return &static_cast<const Handle *>(self)->info; }
  static void close(void *self) noexcept { delete static_cast<Handle *>(self); }

  static mpass_status eval(void *self, const mpass_eval *raw, mpass_error *err) noexcept {
    return guarded(err, [&] {
      Handle &handle = *static_cast<Handle *>(self);
      const mpass_eval call = sized(raw);
      check(handle.info, call);
      const std::uint64_t n = call.theta.rows, p = handle.info.params, workers = handle.host.workers();
      if (call.theta.dtype == MPASS_F32) handle.scratch.resize(3 * p * workers); // the first such call alone allocates
      // Below some work handing it over costs more than it brings; a framework's own thread must be the one that runs.
      const double samples = static_cast<double>(std::max<std::uint64_t>(handle.info.samples, 1));
      const double work = static_cast<double>(n) * static_cast<double>(p) * samples;
      const bool here = work < 1e5 || (handle.info.caps & MPASS_CAP_CALLER_THREAD);
      const std::uint64_t tiles = here ? 1 : std::min(n, 4 * workers), each = (n + tiles - 1) / tiles;
      handle.host.parallel(tiles, [&](std::uint64_t tile, std::uint32_t worker) {
        const Call row_call(handle.host, call, handle.info.samples, worker);
        for (std::uint64_t row = tile * each; row < std::min(n, (tile + 1) * each); row++) {
          row_call.poll();
          call.theta.dtype == MPASS_F32 ? single(handle, call, row, row_call) : in_place(handle, call, row, row_call);
        }
      });
    });
  }

  // Refuses what the loss did not promise, before a number is written.
  static void check(const mpass_loss_info &info, const mpass_eval &call) {
    const auto argument = [](const std::string &text) { throw Error(MPASS_E_ARGUMENT, text); };
    const auto lacks = [](const char *text) { throw Error(MPASS_E_UNSUPPORTED, text); };
    const mpass_view &theta = call.theta, &ids = call.ids;
    if (theta.cols != info.params)
      argument("theta: wants " + std::to_string(info.params) + " columns and has " + std::to_string(theta.cols));
    if (theta.dtype != MPASS_F32 && theta.dtype != MPASS_F64) lacks("theta: wants f32 or f64");
    if (info.rows_max && theta.rows > info.rows_max)
      argument(std::to_string(theta.rows) + " rows, where rows_max is " + std::to_string(info.rows_max));
    const std::pair<const char *, const mpass_view *> views[] = {
        {"theta", &theta}, {"grad", &call.grad}, {"dir", &call.dir}, {"hvp", &call.hvp}};
    for (const auto &[name, view] : views) {
      if (!view->data) continue;
      if (view->memory == MPASS_CUDA) lacks("device memory");
      const bool alike = view->rows == theta.rows && view->cols == theta.cols && view->dtype == theta.dtype;
      if (!alike || view->row_stride < view->cols)
        argument(std::string(name) + " is not of theta's shape and element type");
    }
    if (!call.dir.data != !call.hvp.data) argument("dir and hvp must come together");
    if (call.grad.data && !(info.caps & MPASS_CAP_GRAD)) lacks("no gradient");
    if (call.hvp.data && !(info.caps & MPASS_CAP_HVP)) lacks("no Hessian-vector product");
    if (ids.data) {
      if (!(info.caps & MPASS_CAP_MINIBATCH)) lacks("the loss cannot be taken over chosen samples");
      if (ids.memory == MPASS_CUDA || ids.dtype != MPASS_U64 || ids.rows != 1 || ids.cols == 0)
        argument("ids: wants one row of u64 on the host, at least one of them");
      for (std::uint64_t k = 0; k < ids.cols; k++) {
        const std::uint64_t id = static_cast<const std::uint64_t *>(ids.data)[k];
        if (id >= info.samples) argument("sample " + std::to_string(id) + " of " + std::to_string(info.samples));
      }
    }
    if (theta.rows && !(theta.data && call.loss && call.row_status))
      argument("theta, loss and row_status are required");
  }

  template <class Real>
  static Real *row_of(const mpass_view &view, std::uint64_t row) {
    return view.data ? static_cast<Real *>(view.data) + row * view.row_stride : nullptr;
  }
  template <class Real>
  static bool finite(const Real *values, std::uint64_t p) {
    return !values || std::all_of(values, values + p, [](Real value) { return std::isfinite(value); });
  }
  static void in_place(const Handle &handle, const mpass_eval &call, std::uint64_t row, const Call &row_call) {
    const double *theta = row_of<double>(call.theta, row), *dir = row_of<double>(call.dir, row);
    double *grad = row_of<double>(call.grad, row), *hvp = row_of<double>(call.hvp, row);
    call.loss[row] = handle.loss->loss(theta, row_call);
    if (grad) handle.loss->gradient(theta, grad, row_call);
    if (hvp) handle.loss->product(theta, dir, hvp, row_call);
    const std::uint64_t p = handle.info.params;
    if (!std::isfinite(call.loss[row]) || !finite(grad, p) || !finite(hvp, p)) call.row_status[row] = MPASS_E_NUMERIC;
  }
  static void single(Handle &handle, const mpass_eval &call, std::uint64_t row, const Call &row_call) {
    const std::uint64_t p = handle.info.params;
    double *theta = handle.scratch.data() + 3 * p * row_call.worker(), *dir = theta + p, *out = dir + p;
    float *grad = row_of<float>(call.grad, row), *hvp = row_of<float>(call.hvp, row);
    std::copy_n(row_of<float>(call.theta, row), p, theta);
    call.loss[row] = handle.loss->loss(theta, row_call);
    bool good = std::isfinite(call.loss[row]);
    const auto round = [&](float *to) { // a double beyond every float is not finite there
      for (std::uint64_t i = 0; i < p; i++) {
        const bool fits = std::abs(out[i]) <= static_cast<double>(std::numeric_limits<float>::max());
        to[i] = fits ? static_cast<float>(out[i]) : std::numeric_limits<float>::quiet_NaN();
      }
      good = good && finite(to, p);
    };
    if (grad) handle.loss->gradient(theta, out, row_call), round(grad);
    if (hvp) {
      std::copy_n(row_of<float>(call.dir, row), p, dir);
      handle.loss->product(theta, dir, out, row_call);
      round(hvp);
    }
    if (!good) call.row_status[row] = MPASS_E_NUMERIC;
  }

  static mpass_status start(const void *self, std::uint64_t seed, double *theta, mpass_error *err) noexcept {
    return guarded(err, [&] {
      const bool begun = static_cast<const Handle *>(self)->loss->start(seed, theta);
      if (!begun) throw Error(MPASS_E_UNSUPPORTED, "no start of its own");
    });
  }
  static mpass_status box(const void *self, const double **lower, const double **upper, mpass_error *) noexcept {
    const Handle &handle = *static_cast<const Handle *>(self);
    *lower = handle.lower.empty() ? nullptr : handle.lower.data();
    *upper = handle.upper.empty() ? nullptr : handle.upper.data();
    return MPASS_OK;
  }
  template <class Mine>
  static const void *extension(const char *id) noexcept {
    if (std::strcmp(id, MPASS_EXT_OPTIONS) == 0) return Declared<Mine>::record();
    static const mpass_ext_start record = {sizeof record, 0, start, box};
    return std::strcmp(id, MPASS_EXT_START) == 0 ? &record : nullptr;
  }

  template <class Mine>
  static const mpass_backend *of() noexcept {
    static const mpass_backend table = {sizeof table, MPASS_BACKEND_MINOR, Mine::name, Mine::version,
                                        probe, open<Mine>, info, eval, close, extension<Mine>};
    return &table;
  }
};

} // namespace mountainpass

// Exports the entry symbol for a class derived from mountainpass::Loss. Once in a plugin.
#define MOUNTAINPASS_BACKEND(Mine) \
  const mpass_backend *mpass_backend_entry_v0(const mpass_host *, mpass_error *) { \
    return mountainpass::Table::of<Mine>(); \
  }

#endif
