// Least squares in C++: f = mean over i of (x_i . theta - y_i)^2, with x and y handed over in memory, on the header-only
// layer. The option `fault` throws: "open", "loss" (in every row), "unknown" (no std::exception) or "parallel"; "hidden" asks
// for an option that is not declared.
#include "mountainpass_backend.hpp"

#include <stdexcept>

using mountainpass::Call;
using mountainpass::Error;
using mountainpass::Host;
using mountainpass::Info;
using mountainpass::Open;

class LeastSquares : public mountainpass::Loss {
 public:
  static constexpr const char *name = "least-squares", *version = "1.0";
  static constexpr mpass_option options[] = {
      {"fault", "What is thrown, and where.", nullptr, "open loss unknown parallel hidden", MPASS_OPTION_TEXT, 0},
      {"cubes", "For another model than this.", "1", nullptr, MPASS_OPTION_INTEGER, 0},
  };

  LeastSquares(Open &open, const Host &host) {
    fault = open.text("fault", "");
    if (!open.array("x", x, shape)) shape = {2, 1}, x = {1, 2};
    std::vector<std::uint64_t> rows;
    if (!open.array("y", y, rows)) rows = {2}, y = {1, 3};
    if (shape.size() != 2 || rows.size() != 1 || shape[0] != rows[0]) throw Error(MPASS_E_ARGUMENT, "wants x: m x p, y: m");
    if (fault == "open") throw std::runtime_error(std::string(2000, 'o'));
    if (fault == "hidden") open.text("hidden", "");
    if (fault == "parallel")
      host.parallel(100, [](std::uint64_t i, std::uint32_t) {
        if (i % 7 == 3) throw Error(MPASS_E_DEVICE, "in a parallel body");
      });
  }

  Info info() const override {
    Info info;
    info.params = shape[1];
    info.samples = shape[0];
    info.caps = MPASS_CAP_GRAD | MPASS_CAP_MINIBATCH | MPASS_CAP_REPEATABLE | MPASS_CAP_SMOOTH | MPASS_CAP_CANCEL;
    return info;
  }

  double loss(const double *theta, const Call &call) const override {
    if (fault == "loss") throw std::runtime_error("in a row");
    if (fault == "unknown") throw 7;
    double sum = 0;
    for (std::uint64_t k = 0; k < call.samples(); k++) sum += miss(theta, call.sample(k)) * miss(theta, call.sample(k));
    return sum / static_cast<double>(call.samples());
  }

  void gradient(const double *theta, double *out, const Call &call) const override {
    const std::uint64_t p = shape[1];
    std::fill_n(out, p, 0.0);
    for (std::uint64_t k = 0; k < call.samples(); k++) {
      call.poll();
      const std::uint64_t i = call.sample(k);
      const double slope = 2 * miss(theta, i) / static_cast<double>(call.samples());
      for (std::uint64_t j = 0; j < p; j++) out[j] += slope * x[i * p + j];
    }
  }

  bool start(std::uint64_t seed, double *theta) const override {
    for (std::uint64_t j = 0; j < shape[1]; j++) theta[j] = static_cast<double>(seed % 100) + static_cast<double>(j);
    return true;
  }

 private:
  double miss(const double *theta, std::uint64_t i) const {
    double fitted = -y[i];
    for (std::uint64_t j = 0; j < shape[1]; j++) fitted += theta[j] * x[i * shape[1] + j];
    return fitted;
  }

  std::string fault;
  std::vector<double> x, y;
  std::vector<std::uint64_t> shape;
};

MOUNTAINPASS_BACKEND(LeastSquares)
