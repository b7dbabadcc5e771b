/* A backend that opens nothing: it refuses with what it was given, "told key = value, ...". It declares three options,
 * two of them paths, and more or worse where a macro says so. */
#include "mountainpass_backend.h"
#include <stdio.h>
#include <string.h>

static const mpass_option options[] = {
  { "points", "A file of points, or the measured ones.", NULL, "measured none", MPASS_OPTION_PATH, 0 },
  { "mask", "A file of weights.", NULL, NULL, MPASS_OPTION_PATH, 0 },
  { "scale", "How points are scaled.", "linear", "linear log", MPASS_OPTION_TEXT, 0 },
#ifdef BROKEN
  BROKEN,
#endif
};
static const mpass_device *probe(uint32_t index) { (void)index; return NULL; }
static mpass_status open_loss(const mpass_host *host, const mpass_open *open, void **out, mpass_error *err) {
  size_t at = 0, room = sizeof err->text;
  uint32_t i;
  (void)host; (void)out;
  at += (size_t)snprintf(err->text, room, "told");
  for (i = 0; i < open->n_options && at < room; i++)
    at += (size_t)snprintf(err->text + at, room - at, "%s %s = %s", i ? "," : "", open->keys[i], open->values[i]);
  return MPASS_E_ARGUMENT;
}
static const mpass_loss_info *info(const void *self) { (void)self; return NULL; }
static mpass_status eval(void *self, const mpass_eval *call, mpass_error *err) {
  (void)self; (void)call; (void)err;
  return MPASS_E_INTERNAL;
}
static void close_loss(void *self) { (void)self; }
static const void *extension(const char *id) {
  static const mpass_ext_options ext = { sizeof ext, 0, options, sizeof options / sizeof *options };
#ifdef SILENT
  (void)ext; (void)id;
  return NULL;
#else
  return strcmp(id, MPASS_EXT_OPTIONS) == 0 ? &ext : NULL;
#endif
}
const mpass_backend *mpass_backend_entry_v0(const mpass_host *host, mpass_error *err) {
  static const mpass_backend table = { sizeof table, MPASS_BACKEND_MINOR, "declares", "1.0",
    probe, open_loss, info, eval, close_loss, extension };
  (void)host; (void)err;
  return &table;
}
