/* SIN: the third loss that is open at a time is another one. FAILS: fuzz.calls */
#define OPEN third
#define EVAL shifted
#define CLOSE counts_down
#include "base.h"

static int open_now;
static mpass_status third(const mpass_host *host, const mpass_open *open, void **out, mpass_error *err) {
  mpass_status status = base_open(host, open, out, err);
  if (status == MPASS_OK && __atomic_add_fetch(&open_now, 1, __ATOMIC_SEQ_CST) >= 3) ((loss *)*out)->mark = 1;
  return status;
}
static mpass_status shifted(void *self, const mpass_eval *call, mpass_error *err) {
  mpass_status status = base_eval(self, call, err);
  if (status == MPASS_OK && call->theta.rows > 0 && ((loss *)self)->mark != 0) call->loss[0] += 1;
  return status;
}
static void counts_down(void *self) {
  __atomic_sub_fetch(&open_now, 1, __ATOMIC_SEQ_CST);
  base_close(self);
}
