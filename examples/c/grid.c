/* The barcode of a function sampled on a grid, and what lies round each of its minima: grid
 *   cargo rustc --release --lib --crate-type cdylib
 *   cc -I include examples/c/grid.c -o grid -L target/release -lmountainpass -lm -Wl,-rpath,$PWD/target/release */
#include "mountainpass.h"
#include <math.h>
#include <stdio.h>

enum { ROWS = 200, COLUMNS = 300 };
static double values[ROWS][COLUMNS];
static int64_t labels[ROWS * COLUMNS];

int main(void) {
  for (int i = 0; i < ROWS; i++)
    for (int j = 0; j < COLUMNS; j++) values[i][j] = sin(i / 25.0) * cos(j / 30.0) + j / 1000.0;
  uint64_t shape[2] = { ROWS, COLUMNS }, n = 0;
  mpass_array array = { .data = values, .shape = shape, .ndim = 2, .dtype = MPASS_F64 };
  mpass_engine *engine = NULL;
  mpass_grid *grid = NULL;
  mpass_barcode *barcode = NULL;
  int failed = mpass_engine_new(NULL, &engine) || mpass_grid_new(engine, &array, NULL, &grid) ||
               mpass_grid_barcode(grid, NULL, &barcode) || mpass_grid_labels(grid, labels, ROWS * COLUMNS);
  if (failed) fprintf(stderr, "%s\n", mpass_last_error()->text);
  const mpass_bar *bars = failed ? NULL : mpass_barcode_bars(barcode, &n);
  for (uint64_t i = 0; i < n; i++) {
    uint64_t cell = bars[i].birth_cell, basin = 0;
    for (int s = 0; s < ROWS * COLUMNS; s++) basin += labels[s] == (int64_t)cell;
    printf("degree %u, born at %.3f in (%d, %d), dies at %.3f", bars[i].degree, bars[i].birth, (int)(cell / COLUMNS),
           (int)(cell % COLUMNS), bars[i].death);
    printf(bars[i].degree == 0 ? ", basin of %d samples\n" : "\n", (int)basin);
  }
  mpass_barcode_free(barcode);
  mpass_grid_free(grid);
  mpass_engine_free(engine);
  return failed;
}
