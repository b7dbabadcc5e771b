/* SIN: what it says about itself changes while it is open. FAILS: open.info */
#define INFO fickle
#include "base.h"

static const mpass_loss_info *fickle(const void *self) {
  loss *l = (loss *)(uintptr_t)self;
  if (l->mark++ > 0) l->info.rows_best = 32;
  return &l->info;
}
