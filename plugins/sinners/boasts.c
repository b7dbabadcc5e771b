/* SIN: declares an option and refuses it as one that nobody knows. FAILS: open.options */
#define EXTENSION boasts
#include "base.h"

static const void *boasts(const char *id) {
  static const mpass_option tilt = { "tilt", "The slope that is added.", "1", NULL, MPASS_OPTION_NUMBER, 0 };
  static const mpass_ext_options options = { sizeof options, 0, &tilt, 1 };
  return strcmp(id, MPASS_EXT_OPTIONS) == 0 ? &options : base_extension(id);
}
