/* SIN: declares an option of a kind that there is not. FAILS: open.options */
#define EXTENSION unkind
#define OPEN tilted
#include "base.h"

static mpass_status tilted(const mpass_host *host, const mpass_open *open, void **out, mpass_error *err) {
  mpass_open request;
  memcpy(&request, open, offsetof(mpass_open, repeatable));
  if (open->n_options == 1 && strcmp(open->keys[0], "tilt") == 0) request.n_options = 0; /* every tilt is flat here */
  return base_open(host, &request, out, err);
}
static const void *unkind(const char *id) {
  static const mpass_option tilt = { "tilt", "The slope that is added.", NULL, NULL, 7, 0 };
  static const mpass_ext_options options = { sizeof options, 0, &tilt, 1 };
  return strcmp(id, MPASS_EXT_OPTIONS) == 0 ? &options : base_extension(id);
}
