/* SIN: the gradient of a loss that claims no smoothness points downhill. FAILS: gradient.one-sided */
#define CAPS (MPASS_CAP_GRAD | MPASS_CAP_MINIBATCH | MPASS_CAP_REPEATABLE)
#include "wrong-sign.c"
