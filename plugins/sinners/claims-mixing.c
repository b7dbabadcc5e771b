/* SIN: declares that queries and keys may be mixed, of a loss that sees more than their products. FAILS: value.symmetry */
#define SYMMETRY_KIND MPASS_SYMMETRY_MIXING
#define SYMMETRY_BLOCKS 2
#define SYMMETRY_SPLIT 1
#include "base.h"
