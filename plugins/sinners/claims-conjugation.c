/* SIN: declares that the rows of a matrix may be permuted with its columns, and tells its entries apart. FAILS: value.symmetry */
#define SYMMETRY_KIND MPASS_SYMMETRY_CONJUGATION
#define SYMMETRY_BLOCKS 2
#define ASKEW 0.5
#include "base.h"
