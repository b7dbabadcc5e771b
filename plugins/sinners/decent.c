/* No sin at all: every test passes or says why it does not apply. FAILS: nothing */
#include "base.h"
