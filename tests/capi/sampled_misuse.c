/* Every wrong sampled function has its status and its one line, and leaves out-parameters alone. */
#include "check.h"
#include <math.h>
#include <string.h>

static mpass_grid *const G = (mpass_grid *)8; /* Sentinels: never looked behind. */
static mpass_graph *const H = (mpass_graph *)8;
static mpass_barcode *const B = (mpass_barcode *)8;
static mpass_complex *const C = (mpass_complex *)8;

static void arrays(mpass_engine *engine) {
  double values[6] = { 0, 1, 2, 3, 4, 5 };
  uint64_t shape[5] = { 2, 3, 1, 1, 1 };
  int64_t still[2] = { 0, 0 };
  mpass_array array = { NULL, values, shape, NULL, 2, MPASS_F64 };
  mpass_grid_options options = { .struct_size = sizeof options };
  struct { mpass_grid_options known; uint64_t later; } longer = { { .struct_size = sizeof longer }, 1 };
  mpass_grid *grid = G;
  FAILS(mpass_grid_new(engine, &array, NULL, NULL), MPASS_E_ARGUMENT, "out is NULL");
  FAILS(mpass_grid_new(NULL, &array, NULL, &grid), MPASS_E_ARGUMENT, "engine is NULL");
  FAILS(mpass_grid_new(engine, NULL, NULL, &grid), MPASS_E_ARGUMENT, "values is NULL");
  options.struct_size = 0;
  FAILS(mpass_grid_new(engine, &array, &options, &grid), MPASS_E_ARGUMENT,
        "struct_size of mpass_grid_options is 0: it must be sizeof(mpass_grid_options)");
  options.struct_size = 4;
  FAILS(mpass_grid_new(engine, &array, &options, &grid), MPASS_E_ARGUMENT,
        "struct_size of mpass_grid_options is 4: it must be sizeof(mpass_grid_options)");
  options.struct_size = sizeof options;
  options.flags = 4;
  FAILS(mpass_grid_new(engine, &array, &options, &grid), MPASS_E_UNSUPPORTED,
        "libmountainpass: mpass_grid_options.flags is 4: this library knows the bits of 3");
  options.flags = 0;
  options.reserved = 1;
  FAILS(mpass_grid_new(engine, &array, &options, &grid), MPASS_E_ARGUMENT, "mpass_grid_options.reserved is 1, and must be 0");
  options.reserved = 0;
  options.periodic = 4;
  FAILS(mpass_grid_new(engine, &array, &options, &grid), MPASS_E_ARGUMENT, "periodic axis 2: the axes are 0 to 1");
  options.periodic = 1;
  FAILS(mpass_grid_new(engine, &array, &options, &grid), MPASS_E_ARGUMENT, "periodic axis 0 has 2 samples: 3 are needed");
  FAILS(mpass_grid_new(engine, &array, &longer.known, &grid), MPASS_E_UNSUPPORTED, NULL);
  array.dtype = 0;
  FAILS(mpass_grid_new(engine, &array, NULL, &grid), MPASS_E_ARGUMENT,
        "array \"values\": element type 0 is none of MPASS_F32 and so on");
  array.dtype = MPASS_F64;
  array.data = NULL;
  FAILS(mpass_grid_new(engine, &array, NULL, &grid), MPASS_E_ARGUMENT, "array \"values\": data is NULL");
  array.data = values;
  array.shape = NULL;
  FAILS(mpass_grid_new(engine, &array, NULL, &grid), MPASS_E_ARGUMENT, "array \"values\": shape: 2 of them at NULL");
  array.shape = shape;
  array.ndim = 1000;
  FAILS(mpass_grid_new(engine, &array, NULL, &grid), MPASS_E_ARGUMENT,
        "array \"values\": shape: 1000 of them where at most 64 make sense");
  array.ndim = 5;
  FAILS(mpass_grid_new(engine, &array, NULL, &grid), MPASS_E_ARGUMENT, "an array of 5 axes: 1 to 4 are supported, in degree 0 up to 16");
  array.ndim = 0;
  FAILS(mpass_grid_new(engine, &array, NULL, &grid), MPASS_E_ARGUMENT, "an array of 0 axes: 1 to 4 are supported, in degree 0 up to 16");
  array.ndim = 2;
  shape[0] = 0;
  FAILS(mpass_grid_new(engine, &array, NULL, &grid), MPASS_E_ARGUMENT, "the array of shape [0, 3] is empty");
  shape[0] = UINT64_MAX / 2;
  FAILS(mpass_grid_new(engine, &array, NULL, &grid), MPASS_E_ARGUMENT, NULL);
  array.strides = still;
  FAILS(mpass_grid_new(engine, &array, NULL, &grid), MPASS_E_ARGUMENT, NULL);
  shape[0] = 2;
  still[0] = INT64_MIN;
  FAILS(mpass_grid_new(engine, &array, NULL, &grid), MPASS_E_ARGUMENT, "array \"values\": strides beyond any memory");
  array.strides = NULL;
  values[4] = NAN;
  FAILS(mpass_grid_new(engine, &array, NULL, &grid), MPASS_E_ARGUMENT,
        "the sample at [1, 1] is NaN: it has no place among the values of a function");
  values[4] = -INFINITY;
  FAILS(mpass_grid_new(engine, &array, NULL, &grid), MPASS_E_ARGUMENT,
        "the sample at [1, 1] is -inf: it has no place among the values of a function");
  options.periodic = 0;
  options.flags = MPASS_SUPERLEVEL;
  values[4] = INFINITY;
  FAILS(mpass_grid_new(engine, &array, &options, &grid), MPASS_E_ARGUMENT,
        "the sample at [1, 1] is inf: it has no place among the values of a function");
  CHECK(grid == G);
  values[4] = -INFINITY; /* In no superlevel set, but a sample. */
  CHECK(mpass_grid_new(engine, &array, &options, &grid) == MPASS_OK);
  mpass_grid_free(grid);
}

static void questions(mpass_engine *engine) {
  double values[6] = { 0, 1, 2, 1, 0, 5 };
  const uint64_t shape[1] = { 6 };
  int64_t labels[6] = { 5, 5, 5, 5, 5, 5 };
  mpass_array array = { NULL, values, shape, NULL, 1, MPASS_F64 };
  mpass_barcode_options options = { .struct_size = sizeof options, .simplify = 1 };
  mpass_grid *grid = NULL;
  mpass_barcode *barcode = B, *up = NULL, *down = NULL;
  mpass_complex *morse = C;
  double distance = 5;
  uint64_t n = 0;
  CHECK(mpass_grid_new(engine, &array, NULL, &grid) == MPASS_OK);
  FAILS(mpass_grid_barcode(NULL, NULL, &barcode), MPASS_E_ARGUMENT, "grid is NULL");
  FAILS(mpass_grid_barcode(grid, NULL, NULL), MPASS_E_ARGUMENT, "out is NULL");
  FAILS(mpass_grid_barcode(grid, &options, &barcode), MPASS_E_UNSUPPORTED,
        "mpass_grid_barcode: mpass_barcode_options.simplify is 1: grids are not simplified");
  options.flags = 8;
  FAILS(mpass_grid_barcode(grid, &options, &barcode), MPASS_E_UNSUPPORTED,
        "libmountainpass: mpass_barcode_options.flags is 8: this library knows the bits of 3");
  FAILS(mpass_grid_labels(NULL, labels, 6), MPASS_E_ARGUMENT, "grid is NULL");
  FAILS(mpass_grid_labels(grid, NULL, 6), MPASS_E_ARGUMENT, "labels is NULL");
  FAILS(mpass_grid_labels(grid, labels, 5), MPASS_E_ARGUMENT, "labels has room for 5 values where 6 are needed");
  FAILS(mpass_grid_complex(NULL, 0, &morse), MPASS_E_ARGUMENT, "grid is NULL");
  FAILS(mpass_grid_complex(grid, 0, NULL), MPASS_E_ARGUMENT, "out is NULL");
  FAILS(mpass_grid_complex(grid, 2, &morse), MPASS_E_UNSUPPORTED,
        "libmountainpass: mpass_grid_complex.flags is 2: this library knows the bits of 1");
  CHECK(mpass_complex_get_info(NULL) == NULL && mpass_complex_cell(NULL, 0) == NULL && mpass_barcode_cycle(NULL, 0) == NULL);
  says(__LINE__, MPASS_E_ARGUMENT, "barcode is NULL");
  CHECK(barcode == B && morse == C && labels[0] == 5);
  CHECK(mpass_grid_barcode(grid, NULL, &up) == MPASS_OK);
  CHECK(mpass_barcode_bars(up, &n)[0].death == INFINITY && n == 2);
  CHECK(mpass_barcode_cycle(up, 1)->n_cells == 0);
  CHECK(mpass_barcode_cycle(up, 2) == NULL);
  says(__LINE__, MPASS_E_ARGUMENT, "there is no bar 2 of 2");
  mpass_grid_free(grid);
  CHECK(mpass_grid_new(engine, &array, &(mpass_grid_options){ sizeof(mpass_grid_options), MPASS_SUPERLEVEL, 0, 0 }, &grid) == 0);
  CHECK(mpass_grid_barcode(grid, NULL, &down) == MPASS_OK);
  CHECK(mpass_barcode_bars(down, &n)[1].death == -INFINITY && mpass_barcode_bars(down, &n)[1].birth == 5 && n == 2);
  FAILS(mpass_barcode_distance(up, down, 0, 1, &distance), MPASS_E_ARGUMENT, NULL);
  CHECK(distance == 5);
  mpass_barcode_free(up);
  mpass_barcode_free(down);
  mpass_grid_free(grid);
  mpass_grid_free(NULL);
  mpass_complex_free(NULL);
}

static void graphs(mpass_engine *engine) {
  double values[3] = { 0, 1, 2 }, own[2] = { 1, 3 };
  int64_t ends[4] = { 0, 1, 1, 2 }, labels[3] = { 5, 5, 5 };
  uint32_t vertices[3] = { 5, 5, 5 };
  uint64_t n[1] = { 3 }, m[1] = { 2 }, pairs[2] = { 2, 2 }, rows[2] = { 3, 1 }, count = 5, top = 5;
  mpass_array v = { NULL, values, n, NULL, 1, MPASS_F64 }, e = { NULL, ends, pairs, NULL, 2, MPASS_I64 };
  mpass_array w = { NULL, own, m, NULL, 1, MPASS_F64 }, x = { NULL, values, rows, NULL, 2, MPASS_F64 };
  mpass_graph_options options = { .struct_size = sizeof options, .radius = 1 };
  mpass_barcode_options simplify = { .struct_size = sizeof simplify, .simplify = -1 };
  mpass_graph *graph = H;
  mpass_barcode *barcode = B;
  FAILS(mpass_graph_new(engine, &v, &e, NULL, NULL, NULL), MPASS_E_ARGUMENT, "out is NULL");
  FAILS(mpass_graph_new(NULL, &v, &e, NULL, NULL, &graph), MPASS_E_ARGUMENT, "engine is NULL");
  FAILS(mpass_graph_new(engine, NULL, &e, NULL, NULL, &graph), MPASS_E_ARGUMENT, "values is NULL");
  FAILS(mpass_graph_new(engine, &v, NULL, NULL, NULL, &graph), MPASS_E_ARGUMENT, "edges is NULL");
  FAILS(mpass_graph_new(engine, &v, &v, NULL, NULL, &graph), MPASS_E_ARGUMENT,
        "the edges have shape [3]: two columns are needed");
  e.dtype = MPASS_F64;
  FAILS(mpass_graph_new(engine, &v, &e, NULL, NULL, &graph), MPASS_E_ARGUMENT,
        "the edges are floating-point numbers: vertices are named by integers");
  e.dtype = MPASS_I64;
  ends[3] = -1;
  FAILS(mpass_graph_new(engine, &v, &e, NULL, NULL, &graph), MPASS_E_ARGUMENT,
        "edge 1 joins 1 and -1: the vertices are 0 to 2");
  ends[3] = 3;
  FAILS(mpass_graph_new(engine, &v, &e, NULL, NULL, &graph), MPASS_E_ARGUMENT,
        "edge 1 joins 1 and 3: the vertices are 0 to 2");
  ends[3] = 2;
  FAILS(mpass_graph_new(engine, &v, &e, &v, NULL, &graph), MPASS_E_ARGUMENT,
        "there are 2 edges but 3 edge values: one for each is needed");
  FAILS(mpass_graph_new(engine, &v, &e, NULL, &options, &graph), MPASS_E_UNSUPPORTED,
        "mpass_graph_new: mpass_graph_options.radius is 1: it is for points");
  options.flags = MPASS_TOP_CELLS;
  FAILS(mpass_graph_new(engine, &v, &e, NULL, &options, &graph), MPASS_E_UNSUPPORTED,
        "libmountainpass: mpass_graph_options.flags is 2: this library knows the bits of 1");
  values[2] = NAN;
  FAILS(mpass_graph_new(engine, &v, &e, NULL, NULL, &graph), MPASS_E_ARGUMENT, NULL);
  values[2] = -INFINITY;
  FAILS(mpass_graph_new(engine, &v, &e, NULL, NULL, &graph), MPASS_E_ARGUMENT, NULL);
  n[0] = 0;
  FAILS(mpass_graph_new(engine, &v, &e, NULL, NULL, &graph), MPASS_E_ARGUMENT,
        "there are no values: a graph needs at least one vertex");
  n[0] = UINT64_MAX / 4;
  FAILS(mpass_graph_new(engine, &v, &e, NULL, NULL, &graph), MPASS_E_ARGUMENT,
        "array \"values\": more elements than memory holds");
  n[0] = 3;
  values[2] = 2;
  options.flags = 0;
  FAILS(mpass_graph_of_points(engine, NULL, &v, 1, NULL, &graph), MPASS_E_ARGUMENT, "points is NULL");
  FAILS(mpass_graph_of_points(engine, &x, &w, 1, NULL, &graph), MPASS_E_ARGUMENT,
        "there are 3 points but 2 values: one for each is needed");
  FAILS(mpass_graph_of_points(engine, &x, &v, 0, NULL, &graph), MPASS_E_ARGUMENT, "k is 0: at least one neighbour is needed");
  FAILS(mpass_graph_of_points(engine, &x, &v, 3, NULL, &graph), MPASS_E_ARGUMENT,
        "k is 3, but 3 points have 2 neighbours each");
  FAILS(mpass_graph_of_points(engine, &x, &v, UINT64_MAX, NULL, &graph), MPASS_E_ARGUMENT, NULL);
  options.radius = -1;
  FAILS(mpass_graph_of_points(engine, &x, &v, 1, &options, &graph), MPASS_E_ARGUMENT,
        "the radius is -1: it must be positive");
  options.radius = NAN;
  FAILS(mpass_graph_of_points(engine, &x, &v, 1, &options, &graph), MPASS_E_ARGUMENT,
        "the radius is NaN: it must be positive");
  CHECK(graph == H);

  CHECK(mpass_graph_new(engine, &v, &e, &w, NULL, &graph) == MPASS_OK);
  FAILS(mpass_graph_barcode(NULL, NULL, &barcode), MPASS_E_ARGUMENT, "graph is NULL");
  FAILS(mpass_graph_barcode(graph, &simplify, &barcode), MPASS_E_ARGUMENT,
        "mpass_barcode_options.simplify is -1: a length of zero or more is needed");
  simplify.reserved = 1;
  FAILS(mpass_graph_barcode(graph, &simplify, &barcode), MPASS_E_ARGUMENT,
        "mpass_barcode_options.reserved is 1, and must be 0");
  FAILS(mpass_graph_labels(graph, NAN, labels, 3), MPASS_E_ARGUMENT, "simplify is NaN: a length of zero or more is needed");
  FAILS(mpass_graph_labels(graph, 0, labels, 4), MPASS_E_ARGUMENT, "labels has room for 4 values where 3 are needed");
  FAILS(mpass_graph_path(graph, 0, 2, vertices, 2, &count, &top), MPASS_E_ARGUMENT,
        "vertices has room for 2, and the path has 3; no path has more than 3");
  FAILS(mpass_graph_path(graph, 0, 3, vertices, 3, &count, &top), MPASS_E_ARGUMENT, "to is 3: the vertices are 0 to 2");
  FAILS(mpass_graph_path(graph, MPASS_NONE, 0, vertices, 3, &count, &top), MPASS_E_ARGUMENT,
        "from is 18446744073709551615: the vertices are 0 to 2");
  FAILS(mpass_graph_path(graph, 0, 2, vertices, 3, NULL, &top), MPASS_E_ARGUMENT, "count is NULL");
  FAILS(mpass_graph_path(graph, 0, 2, vertices, 3, &count, NULL), MPASS_E_ARGUMENT, "top is NULL");
  CHECK(barcode == B && labels[0] == 5 && vertices[0] == 5 && count == 5 && top == 5);
  CHECK(mpass_graph_path(graph, 0, 2, vertices, 3, &count, &top) == MPASS_OK);
  CHECK(count == 3 && vertices[1] == 1 && top == 3 + 1); /* The second edge's own value lies above both its ends. */
  mpass_graph_free(graph);
  mpass_graph_free(NULL);
}

int main(void) {
  mpass_engine *engine = NULL;
  CHECK(mpass_engine_new(NULL, &engine) == MPASS_OK);
  arrays(engine);
  questions(engine);
  graphs(engine);
  mpass_engine_free(engine);
  puts("every misuse answered");
  return 0;
}
