/* quad_well.c with an open that ends badly, one way for each macro, once it has said so. */
#define mpass_backend_entry_v0 decent_entry
#include "quad_well.c"
#undef mpass_backend_entry_v0

static mpass_status last_words(const mpass_host *host, const mpass_open *open, void **out, mpass_error *err) {
  fprintf(stderr, "farewell\n");
#if defined(ABORTS)
  abort();
#elif defined(EXITS)
  exit(0);
#elif defined(SPINS)
  for (volatile int forever = 1; forever;) continue;
#endif
  return open_loss(host, open, out, err);
}

#if defined(__GNUC__)
__attribute__((visibility("default")))
#endif
const mpass_backend *mpass_backend_entry_v0(const mpass_host *host, mpass_error *err);
const mpass_backend *mpass_backend_entry_v0(const mpass_host *host, mpass_error *err) {
  static mpass_backend table;
  table = *decent_entry(host, err);
  table.open = last_words;
  return &table;
}
