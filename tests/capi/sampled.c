/* Grids, graphs and points of every kind, told in full: the test computes the same from the library. A record begins with
 * `@` and its name; numbers come from one generator on both sides. */
#include <complex.h> /* Its macro `complex` must not meet a name of ours. */
#include "check.h"
#include <math.h>
#include <pthread.h>
#include <string.h>

static uint64_t state;
static uint64_t draw(uint64_t below) {
  state = state * 6364136223846793005u + 1442695040888963407u;
  return (state >> 33) % below;
}

static void lists(const mpass_chain *chain) {
  printf("[");
  for (uint64_t i = 0; i < chain->n_cells; i++) {
    printf("%s[", i ? "," : "");
    for (uint64_t j = chain->first[i]; j < chain->first[i + 1]; j++)
      printf("%s%u", j > chain->first[i] ? "," : "", chain->samples[j]);
    printf("]");
  }
  printf("]");
}

static void numbers(const char *name, uint64_t n, const uint32_t *list) {
  printf("\"%s\":[", name);
  for (uint64_t i = 0; i < n; i++) printf("%s%u", i ? "," : "", list[i]);
  printf("]");
}

static void tell_barcode(const char *name, mpass_barcode *barcode) {
  uint64_t n = 0;
  const mpass_bar *bars = mpass_barcode_bars(barcode, &n);
  CHECK(bars && mpass_barcode_json(barcode));
  printf("@%s\n%s", name, mpass_barcode_json(barcode));
  printf("@%s cycles\n[", name);
  for (uint64_t i = 0; i < n; i++) {
    printf("%s", i ? "," : "");
    lists(mpass_barcode_cycle(barcode, i));
  }
  printf("]\n");
  CHECK(mpass_barcode_cycle(barcode, n) == NULL);
  double distance = 5;
  CHECK(mpass_barcode_distance(barcode, barcode, 0, 1, &distance) == MPASS_OK && distance == 0);
  mpass_barcode_free(barcode);
}

static void tell_labels(const char *name, const int64_t *labels, uint64_t count) {
  printf("@%s labels\n[", name);
  for (uint64_t i = 0; i < count; i++) printf("%s%lld", i ? "," : "", (long long)labels[i]);
  printf("]\n");
}

static void tell_complex(const char *name, mpass_complex *morse) {
  const mpass_complex_info *info = mpass_complex_get_info(morse);
  int64_t euler = 0;
  uint64_t counted = 0;
  printf("@%s complex\n[", name);
  for (uint64_t i = 0; i < info->n_cells; i++) {
    const mpass_critical *cell = mpass_complex_cell(morse, i);
    euler += cell->degree % 2 ? -1 : 1;
    printf("%s{\"degree\":%u,\"sample\":%llu,\"value\":%.17g,", i ? "," : "", cell->degree, (unsigned long long)cell->sample,
           cell->value);
    numbers("samples", cell->n_samples, cell->samples);
    printf(",");
    numbers("boundary", cell->n_boundary, cell->boundary);
    if (cell->n_descending) {
      printf(",");
      numbers("descending", cell->n_descending, cell->descending);
    }
    if (cell->n_paths) {
      printf(",\"paths\":[");
      for (uint64_t j = 0; j < cell->n_paths; j++) {
        printf("%s{\"to\":%u,\"cells\":", j ? "," : "", cell->path_ends[j]);
        lists(&cell->paths[j]);
        printf("}");
      }
      printf("]");
    }
    printf("}");
  }
  printf("]\n");
  for (uint32_t d = 0; d < info->degrees; d++) counted += info->n_of_degree[d];
  CHECK(euler == info->euler_characteristic && counted == info->n_cells);
  CHECK(mpass_complex_cell(morse, info->n_cells) == NULL);
  says(__LINE__, MPASS_E_ARGUMENT, NULL);
  mpass_complex_free(morse);
}

static void tell_grid(mpass_engine *engine, const char *name, const mpass_array *values, mpass_grid_options options) {
  mpass_barcode_options all = { .struct_size = sizeof all, .flags = MPASS_KEEP_CYCLES };
  mpass_grid *grid = NULL;
  mpass_barcode *barcode = NULL;
  mpass_complex *morse = NULL;
  uint64_t count = 1;
  for (uint32_t axis = 0; axis < values->ndim; axis++) count *= values->shape[axis];
  int64_t *labels = malloc(count * sizeof *labels);
  options.struct_size = sizeof options;
  CHECK(mpass_grid_new(engine, values, &options, &grid) == MPASS_OK);
  CHECK(mpass_grid_barcode(grid, &all, &barcode) == MPASS_OK);
  CHECK(mpass_grid_labels(grid, labels, count) == MPASS_OK);
  CHECK(mpass_grid_complex(grid, MPASS_GEOMETRY, &morse) == MPASS_OK);
  mpass_grid_free(grid); /* Nobody needs it any more. */
  tell_barcode(name, barcode);
  tell_labels(name, labels, count);
  tell_complex(name, morse);
  free(labels);
}

static void grids(mpass_engine *engine) {
  const uint64_t line[1] = { 60 }, plane[2] = { 8, 9 }, box[3] = { 4, 5, 6 }, four[4] = { 3, 3, 3, 4 };
  const int64_t fortran[2] = { 1, 8 }, backwards[2] = { -9, -1 };
  double d[120];
  float f[120];
  int64_t wide[120];
  uint64_t large[120];
  int32_t narrow[120];
  uint8_t bytes[120];
  uint16_t brain[120];
  state = 7;
  for (int i = 0; i < 120; i++) {
    uint64_t v = draw(40);
    d[i] = v == 39 ? (double)INFINITY : (double)v / 8;
    f[i] = (float)v - 20;
    wide[i] = (1ll << 53) + (int64_t)v;
    large[i] = UINT64_MAX - v;
    narrow[i] = (int32_t)v - 20;
    bytes[i] = (uint8_t)v;
    brain[i] = (uint16_t)(0x3f80 + v); /* 1 + v / 128 as a brain float. */
  }
  mpass_grid_options none = { 0 }, superlevel = { .flags = MPASS_SUPERLEVEL }, cubes = { .flags = MPASS_TOP_CELLS };
  mpass_grid_options torus = { .periodic = 3 }, both = { .flags = MPASS_SUPERLEVEL | MPASS_TOP_CELLS, .periodic = 4 };
  tell_grid(engine, "line", &(mpass_array){ "named", d, line, NULL, 1, MPASS_F64 }, none);
  tell_grid(engine, "plane", &(mpass_array){ NULL, d, plane, NULL, 2, MPASS_F64 }, none);
  tell_grid(engine, "torus", &(mpass_array){ NULL, f, plane, NULL, 2, MPASS_F32 }, torus);
  tell_grid(engine, "maxima", &(mpass_array){ NULL, f, plane, NULL, 2, MPASS_F32 }, superlevel);
  tell_grid(engine, "wide", &(mpass_array){ NULL, wide, box, NULL, 3, MPASS_I64 }, none);
  tell_grid(engine, "large", &(mpass_array){ NULL, large, box, NULL, 3, MPASS_U64 }, both);
  tell_grid(engine, "narrow", &(mpass_array){ NULL, narrow, four, NULL, 4, MPASS_I32 }, cubes);
  tell_grid(engine, "bytes", &(mpass_array){ NULL, bytes, box, NULL, 3, MPASS_U8 }, cubes);
  tell_grid(engine, "brain", &(mpass_array){ NULL, brain, plane, NULL, 2, MPASS_BF16 }, none);
  tell_grid(engine, "fortran", &(mpass_array){ NULL, narrow, plane, fortran, 2, MPASS_I32 }, none);
  tell_grid(engine, "backwards", &(mpass_array){ NULL, narrow + 71, plane, backwards, 2, MPASS_I32 }, none);
}

static void tell_graph(const char *name, mpass_graph *graph, uint64_t n, double simplify) {
  mpass_barcode_options all = { sizeof all, MPASS_KEEP_CYCLES | MPASS_KEEP_ZERO_LENGTH, 2, 0, simplify };
  mpass_barcode *barcode = NULL;
  int64_t *labels = malloc(n * sizeof *labels);
  uint32_t *vertices = malloc(n * sizeof *vertices);
  CHECK(mpass_graph_labels(graph, simplify, labels, n) == MPASS_OK);
  tell_labels(name, labels, n);
  printf("@%s paths\n[", name);
  for (uint64_t to = 0; to < n; to++) {
    uint64_t count = 5, top = 5, alone = 5;
    CHECK(mpass_graph_path(graph, 0, to, NULL, 0, &alone, &top) == MPASS_OK);
    CHECK(mpass_graph_path(graph, 0, to, vertices, n, &count, &top) == MPASS_OK && count == alone);
    printf("%s{", to ? "," : "");
    numbers("vertices", count, vertices);
    printf(",\"top\":%llu}", (unsigned long long)top);
  }
  printf("]\n");
  CHECK(mpass_graph_barcode(graph, &all, &barcode) == MPASS_OK);
  mpass_graph_free(graph);
  tell_barcode(name, barcode);
  free(vertices);
  free(labels);
}

static void graphs(mpass_engine *engine) {
  const uint64_t n[1] = { 40 }, m[1] = { 90 }, pairs[2] = { 90, 2 }, points[2] = { 40, 3 }, no_pairs[2] = { 0, 2 };
  int64_t values[40], own[90];
  int32_t ends[180];
  double places[120];
  state = 11;
  for (int i = 0; i < 40; i++) values[i] = (1ll << 60) + (int64_t)draw(30);
  for (int i = 0; i < 180; i++) ends[i] = (int32_t)draw(40);
  for (int i = 0; i < 90; i++) own[i] = (1ll << 60) + (int64_t)draw(30);
  for (int i = 0; i < 120; i++) places[i] = (double)draw(1000);
  mpass_array v = { NULL, values, n, NULL, 1, MPASS_I64 }, e = { NULL, ends, pairs, NULL, 2, MPASS_I32 };
  mpass_array w = { NULL, own, m, NULL, 1, MPASS_I64 }, x = { NULL, places, points, NULL, 2, MPASS_F64 };
  mpass_array none = { NULL, NULL, no_pairs, NULL, 2, MPASS_I32 };
  mpass_graph_options superlevel = { sizeof superlevel, MPASS_SUPERLEVEL, 0 }, near = { sizeof near, 0, 300 };
  mpass_graph *graph = NULL;
  CHECK(mpass_graph_new(engine, &v, &e, NULL, NULL, &graph) == MPASS_OK);
  tell_graph("graph", graph, 40, 0);
  CHECK(mpass_graph_new(engine, &v, &e, &w, &superlevel, &graph) == MPASS_OK);
  tell_graph("weighted", graph, 40, 0);
  CHECK(mpass_graph_of_points(engine, &x, &v, 4, &near, &graph) == MPASS_OK);
  tell_graph("cloud", graph, 40, 512);
  CHECK(mpass_graph_new(engine, &v, &none, NULL, NULL, &graph) == MPASS_OK);
  tell_graph("alone", graph, 40, 0);
}

/* A handle that is constant is shared by threads. */
static void *ask(void *grid) {
  mpass_barcode *barcode = NULL;
  CHECK(mpass_grid_barcode((const mpass_grid *)grid, NULL, &barcode) == MPASS_OK);
  return barcode;
}

static void threads(mpass_engine *engine) {
  static double values[128][128];
  const uint64_t shape[2] = { 128, 128 };
  mpass_array array = { NULL, values, shape, NULL, 2, MPASS_F64 };
  mpass_grid *grid = NULL;
  pthread_t others[4];
  state = 3;
  for (int i = 0; i < 128 * 128; i++) values[i / 128][i % 128] = (double)draw(1000);
  CHECK(mpass_grid_new(engine, &array, NULL, &grid) == MPASS_OK);
  for (int i = 0; i < 4; i++) CHECK(pthread_create(&others[i], NULL, ask, grid) == 0);
  mpass_barcode *own = ask(grid);
  for (int i = 0; i < 4; i++) {
    void *answer = NULL;
    CHECK(pthread_join(others[i], &answer) == 0);
    CHECK(strcmp(mpass_barcode_json(answer), mpass_barcode_json(own)) == 0);
    mpass_barcode_free(answer);
  }
  mpass_barcode_free(own);
  mpass_grid_free(grid);
}

int main(void) {
  mpass_engine *engine = NULL;
  CHECK(mpass_engine_new(NULL, &engine) == MPASS_OK);
  grids(engine);
  graphs(engine);
  threads(engine);
  mpass_engine_free(engine);
  return 0;
}
