/* SIN: declares a symmetry that the loss does not have. FAILS: value.symmetry */
#define SYMMETRY_KIND MPASS_SYMMETRY_SIGN
#include "base.h"
