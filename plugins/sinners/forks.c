/* SIN: leaves a child process behind. FAILS: open.process */
#define OPEN forks
#include "base.h"

static mpass_status forks(const mpass_host *host, const mpass_open *open, void **out, mpass_error *err) {
  mpass_status status = base_open(host, open, out, err);
  static int forked;
  if (status == MPASS_OK && !forked++ && fork() == 0) {
    sleep(2);
    _exit(0);
  }
  return status;
}
