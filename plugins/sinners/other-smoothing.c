/* SIN: smooths kinks by another function, with right derivatives. FAILS: kinks.width */
#define SMOOTH by_a_root
#include "kinked.h"

static bent by_a_root(double z, double alpha, double eps) {
  double root = sqrt(z * z + eps * eps);
  bent b;
  b.h = alpha * z + (1 - alpha) * (z + root) / 2;
  b.slope = alpha + (1 - alpha) * (1 + z / root) / 2;
  b.curvature = (1 - alpha) * eps * eps / (2 * root * root * root);
  return b;
}
