// mine.cpp: a whole mountainpass backend in C++17. Copy this folder, edit the class, then: make, make check, make run.
//
// As it stands it is a chain of n switches joined by springs; each of them likes to be at -1 or at +1:
//
//   loss(x) = sum of (x_i^2 - 1)^2 + coupling / 2 sum of (x_{i+1} - x_i)^2 + tilt sum of x_i
//
// With a weak coupling it has 2^n minima, and the barcode says what it costs to flip a switch. Options: n, coupling and
// tilt.
//
// Data sets, minibatches and starts: mountainpass_backend.hpp. The page: docs/writing-a-backend.md.
#include "mountainpass_backend.hpp"

#include <vector>

using mountainpass::Call;
using mountainpass::Host;
using mountainpass::Info;
using mountainpass::Open;

class Mine : public mountainpass::Loss {
 public:
  static constexpr const char *name = "mine", *version = "1.0";

  // Every option that the constructor asks for: name, meaning, default, words of a choice, kind.
  static constexpr mpass_option options[] = {
      {"n", "The number of switches.", "3", nullptr, MPASS_OPTION_INTEGER, 0},
      {"coupling", "How hard neighbours pull at each other.", "0.2", nullptr, MPASS_OPTION_NUMBER, 0},
      {"tilt", "What is added for each step to the right.", "0.05", nullptr, MPASS_OPTION_NUMBER, 0},
  };

  // What is given and not asked for here is refused by name when this returns.
  Mine(Open &open, const Host &host) {
    open.model({"chain"});
    n = open.count("n", 3, 1, 1000000);
    coupling = open.number("coupling", 0.2, 0, 1e6);
    tilt = open.number("tilt", 0.05, -1e6, 1e6);
    host.log(MPASS_LOG_DEBUG, "a chain of " + std::to_string(n));
  }

  // Claim only what holds. REPEATABLE: a row is computed by itself, in one order. SMOOTH: it is a polynomial.
  Info info() const override {
    Info info;
    info.params = n;
    info.caps = MPASS_CAP_GRAD | MPASS_CAP_HVP | MPASS_CAP_REPEATABLE | MPASS_CAP_CANCEL | MPASS_CAP_SMOOTH;
    return info;
  }

  // EDIT: the loss at x.
  double loss(const double *x, const Call &) const override {
    double sum = 0;
    for (std::uint64_t i = 0; i < n; i++) {
      const double wall = x[i] * x[i] - 1, stretch = i + 1 < n ? x[i + 1] - x[i] : 0;
      sum += wall * wall + coupling / 2 * stretch * stretch + tilt * x[i];
    }
    return sum;
  }

  // EDIT: its gradient.
  void gradient(const double *x, double *out, const Call &) const override {
    for (std::uint64_t i = 0; i < n; i++) out[i] = 4 * x[i] * (x[i] * x[i] - 1) + coupling * bend(x, i) + tilt;
  }

  // The Hessian times v. Without MPASS_CAP_HVP leave it out: the engine then takes differences of gradients.
  void product(const double *x, const double *v, double *out, const Call &) const override {
    for (std::uint64_t i = 0; i < n; i++) out[i] = (12 * x[i] * x[i] - 4) * v[i] + coupling * bend(v, i);
  }

  // Where minima count: searches start in this box.
  void box(std::vector<double> &lower, std::vector<double> &upper) const override {
    lower.assign(n, -2);
    upper.assign(n, 2);
  }

 private:
  // How far x_i lies from its neighbours.
  double bend(const double *x, std::uint64_t i) const {
    return (i > 0 ? x[i] - x[i - 1] : 0) + (i + 1 < n ? x[i] - x[i + 1] : 0);
  }

  std::uint64_t n;
  double coupling, tilt;
};

MOUNTAINPASS_BACKEND(Mine)
