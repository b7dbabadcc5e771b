/* SIN: exports a second symbol, which meets that of another plugin. FAILS: load.one-symbol */
#include "base.h"

__attribute__((visibility("default"))) int helper(int x);
int helper(int x) { return x + 1; }
