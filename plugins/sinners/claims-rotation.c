/* SIN: declares that points may be turned together, of a loss that sees their coordinates. FAILS: value.symmetry */
#define SYMMETRY_KIND MPASS_SYMMETRY_MIXING
#define SYMMETRY_BLOCKS 2
#include "base.h"
