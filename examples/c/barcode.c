/* The barcode of a loss function: barcode [BACKEND MODEL]
 *   cargo rustc --release --lib --crate-type cdylib && cargo build --release -p mountainpass-surfaces-so
 *   cc -I include examples/c/barcode.c -o barcode -L target/release -lmountainpass -Wl,-rpath,$PWD/target/release
 * The backend is libmpass_surfaces.so beside libmountainpass.so, or in a folder of MPASS_BACKEND_PATH. */
#include "mountainpass.h"
#include <stdio.h>

int main(int argc, char **argv) {
  const char *backend = argc > 2 ? argv[1] : "surfaces";
  const char *model = argc > 2 ? argv[2] : "three-hump-camel";

  mpass_open request = { .struct_size = sizeof request, .model = model };
  mpass_engine *engine = NULL;
  mpass_loss *loss = NULL;
  mpass_landscape *landscape = NULL;
  mpass_barcode *barcode = NULL;
  int failed = mpass_engine_new(NULL, &engine) || mpass_loss_open(engine, backend, &request, &loss) ||
               mpass_explore(loss, NULL, &landscape) || mpass_barcode_compute(landscape, &barcode);
  if (failed) {
    fprintf(stderr, "%s\n", mpass_last_error()->text);
  } else {
    uint64_t n = 0;
    const mpass_bar *bars = mpass_barcode_bars(barcode, &n);
    for (uint64_t i = 0; i < n; i++) printf("born at %.6f, dies at %.6f\n", bars[i].birth, bars[i].death);
  }
  mpass_barcode_free(barcode);
  mpass_landscape_free(landscape);
  mpass_loss_free(loss);
  mpass_engine_free(engine);
  return failed;
}
