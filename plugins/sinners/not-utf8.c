/* SIN: a name in Latin-1. FAILS: load.texts */
#define NAME "s\xFCnder"
#include "base.h"
