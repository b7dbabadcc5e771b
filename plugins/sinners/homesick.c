/* SIN: answers the thread that opened it and no other. FAILS: threads.moves */
#define CAPS (MPASS_CAP_GRAD | MPASS_CAP_HVP | MPASS_CAP_MINIBATCH | MPASS_CAP_REPEATABLE | MPASS_CAP_SMOOTH)
#define EVAL homesick
#include "base.h"

/* The first thread that evaluates it, so that losses which live on a thread of their own do well. */
static mpass_status homesick(void *self, const mpass_eval *call, mpass_error *err) {
  static __thread double here;
  loss *l = (loss *)self;
  if (here == 0) here = (double)(uintptr_t)&here;
  if (l->mark == 0) l->mark = here;
  if (l->mark != here) return fail(err, MPASS_E_INTERNAL, "not on this thread", "");
  return base_eval(self, call, err);
}
