/* SIN: declares that the loss does not see the size of a parameter. FAILS: value.symmetry */
#define SYMMETRY_KIND MPASS_SYMMETRY_SCALE
#define SYMMETRY_SPLIT 1
#include "base.h"
