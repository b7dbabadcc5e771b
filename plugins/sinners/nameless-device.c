/* SIN: a device without a name. FAILS: device.list */
#define PROBE nameless
#include "base.h"

static const mpass_device *nameless(uint32_t index) {
  static const mpass_device cpu = { sizeof cpu, MPASS_HOST, NULL, 0 };
  return index == 0 ? &cpu : NULL;
}
