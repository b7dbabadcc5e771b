/* No sin at all, with kinks: every test passes or says why it does not apply. FAILS: nothing */
#include "kinked.h"
