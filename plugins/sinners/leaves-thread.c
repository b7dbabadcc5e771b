/* SIN: starts a thread for a loss and leaves it running. FAILS: threads.none-left */
#define OPEN starts_one
#include "base.h"

static void *idles(void *unused) {
  sleep(60);
  return unused;
}
static mpass_status starts_one(const mpass_host *host, const mpass_open *open, void **out, mpass_error *err) {
  mpass_status status = base_open(host, open, out, err);
  static int started;
  pthread_t thread;
  if (status == MPASS_OK && !started++ && pthread_create(&thread, NULL, idles, NULL) == 0) pthread_detach(thread);
  return status;
}
