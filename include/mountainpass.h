/* mountainpass.h: the engine for C and C++ programs, version 0 (not frozen yet): open a loss, explore it, read its
 * minima, paths and barcode; or sample a function on a grid, a graph or points, and read its barcode, basins and discrete
 * Morse complex. The rules on sizes, ownership and text are in mountainpass_base.h.
 *
 * Threads. `const T *` may be shared by threads, `T *` is one thread at a time; different handles are independent. The
 * slots of a backend run on the thread that is in the call which needs them, whatever the number of workers.
 * Failure. A function answers with a status, or with NULL where it returns a pointer; mpass_last_error then says what,
 * which object, and what to do. On failure out-parameters are untouched. A NULL handle is MPASS_E_ARGUMENT. A handle
 * that another call is using is MPASS_E_BUSY. A bug of the library is MPASS_E_INTERNAL; an engine or a loss that was in
 * the middle of it then answers MPASS_E_POISONED to everything but free. Free accepts NULL.
 * Options. NULL is the default everywhere. A struct longer than this library knows is welcome while what it does not
 * know is zero; an option it cannot honour is refused with MPASS_E_UNSUPPORTED, never ignored.
 * Callbacks (hooks and registered backends) return normally (no throw, no longjmp) and call nothing of this header but
 * mpass_cancel_fire. */
#ifndef MOUNTAINPASS_H
#define MOUNTAINPASS_H

#include "mountainpass_base.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Of this header: major << 16 | minor. */
#define MPASS_VERSION (0u << 16 | 1u)

typedef struct mpass_engine mpass_engine;       /* backends, a worker pool, hooks */
typedef struct mpass_loss mpass_loss;           /* one opened loss function; needs its engine no more */
typedef struct mpass_landscape mpass_landscape; /* minima and paths of one loss; immutable, needs its loss no more */
typedef struct mpass_grid mpass_grid;           /* a function sampled on an array; immutable, needs its engine no more */
typedef struct mpass_graph mpass_graph;         /* a function on a graph or at points; immutable, needs its engine no more */
typedef struct mpass_complex mpass_complex;     /* the discrete Morse complex of a grid; immutable, needs its grid no more */
typedef struct mpass_barcode mpass_barcode;     /* bars and scores; immutable, needs what it was computed of no more */
typedef struct mpass_cancel mpass_cancel;       /* a token that stops what was given it */

struct mpass_backend;                           /* mountainpass_backend.h, which only these need: registering, */
struct mpass_device;                            /* listing, */
struct mpass_eval;                              /* evaluating, */
struct mpass_loss_info;                         /* and asking what a loss is */

/* ---- Errors and versions ---- */

uint32_t mpass_version(void);                   /* major << 16 | minor of the library, not of the header */

/* This thread's latest call; code is MPASS_OK and text empty after a success. The record is the thread's own and is
 * overwritten by its next call; of all functions only this one, mpass_version and mpass_cancel_fire leave it alone. */
const mpass_error *mpass_last_error(void);

/* ---- Engine ---- */

typedef struct mpass_hooks {                    /* any pointer may be NULL */
  uint32_t struct_size;
  int32_t log_level;                            /* lines up to this level are told; 0 = MPASS_LOG_WARN */
  void *user;                                   /* must live until the engine and all its losses are freed */
  void (*log)(void *user, int32_t level, const char *text);           /* any thread, several at once */
  void (*progress)(void *user, const char *stage, uint64_t done, uint64_t total, /* about total; one at a time */
                   const char *detail);                               /* a short line for a person; may be empty */
} mpass_hooks;

typedef struct mpass_engine_options {
  uint32_t struct_size;
  uint32_t threads;                             /* the calling one included; 0 = one a core */
  const mpass_hooks *hooks;                     /* copied; NULL = none */
  uint32_t isolate;                             /* 1: backends run in processes of their own (Linux); see below */
  uint32_t reserved;
  double isolate_seconds;                       /* the longest call of an isolated backend; 0 = 60 */
  uint64_t isolate_memory;                      /* bytes that its process may have; 0 = the machine's memory */
  const char *server;                           /* this version's program mpass, which such a process runs; NULL = beside */
                                                /* libmountainpass.so, else beside the program */
} mpass_engine_options;

/* Isolation. A crash, a call beyond isolate_seconds, or memory beyond isolate_memory ends a process of the library and not
 * yours. What met such an end is asked once more in a fresh process, a batch row by row; a row that meets it twice is marked
 * (loss NaN, MPASS_E_NUMERIC; its metrics are NaN; a start is skipped) and told to hooks.log; 32 such rows without a good one
 * between them, and other calls that are lost twice, fail with MPASS_E_BACKEND. Values are the same, bit for bit, at a few
 * microseconds a call and copies of every batch. A backend of your own process cannot be isolated: registering one is
 * MPASS_E_UNSUPPORTED. */

/* A new engine knows no backend. Those not registered or loaded by hand are loaded by their name when a loss is opened:
 * libmpass_<name>.so in the folders of MPASS_BACKEND_PATH (ignored when privileges are elevated), beside
 * libmountainpass.so, beside the program; never in the current directory. */
mpass_status mpass_engine_new(const mpass_engine_options *options, mpass_engine **out);
void         mpass_engine_free(mpass_engine *engine); /* its losses live on */

/* Loads a plugin file, which stays mapped; once more is no error. */
mpass_status mpass_backend_load(mpass_engine *engine, const char *path);

/* A backend of the caller's own process: a callback with whatever `user` holds, which every open receives. The table is
 * copied; its texts and slots stay valid until drop(user), which is called once, when the engine and the last loss of
 * the backend are freed, on the thread that frees it. On failure drop is not called. drop may be NULL. */
mpass_status mpass_backend_register(mpass_engine *engine, const struct mpass_backend *table, void *user,
                                    void (*drop)(void *user));

typedef struct mpass_backend_info {
  uint32_t struct_size, n_devices;
  const char *name, *version;
  const char *file;                             /* it was loaded from; NULL for one that was registered */
  const struct mpass_device *const *devices;    /* n_devices, in the order of mpass_open.device */
} mpass_backend_info;

/* The backends that were registered, loaded or found by their name so far, in this order; the engine's own, constant. NULL
 * for an index out of range, and where a backend breaks the contract while it is asked for its devices. */
const mpass_backend_info *mpass_engine_backend(mpass_engine *engine, uint64_t index);

/* ---- Cancelling ---- */

mpass_cancel *mpass_cancel_new(void);
void          mpass_cancel_fire(mpass_cancel *cancel); /* any thread, any time, also in a signal handler; for good */
void          mpass_cancel_free(mpass_cancel *cancel); /* what was given it keeps what it needs */

/* ---- Loss ---- */

/* `request` may be NULL for a backend without models and options; its `user` is NULL: only the engine fills it. */
mpass_status mpass_loss_open(mpass_engine *engine, const char *backend, const mpass_open *request, mpass_loss **out);

/* One batch of rows. Views are in host memory, f32 or f64 each as it likes, not the same memory twice; `cancel` is NULL
 * or a const mpass_cancel *, `stream` NULL. A row that is not finite has loss NaN and row_status MPASS_E_NUMERIC and fails
 * nothing else; row_status may be NULL. On failure the outputs are untouched. */
mpass_status mpass_loss_eval(mpass_loss *loss, const struct mpass_eval *call);

/* What it is and can do; the loss's own, constant. dtypes and memories are what mpass_loss_eval takes. */
const struct mpass_loss_info *mpass_loss_get_info(const mpass_loss *loss);

void mpass_loss_free(mpass_loss *loss);

/* ---- Exploring ---- */

typedef struct mpass_run_options {
  uint32_t struct_size;
  uint32_t flags;                               /* 0 */
  const mpass_cancel *cancel;                   /* NULL = not cancellable */
  const char *config;                           /* TOML text: the tables and keys of a run's file, [loss] left out */
  const mpass_view *evaluation_ids;             /* 1 x m, u64, host: samples that every value is taken over; NULL = all */
  const mpass_view *theta;                      /* n x p, host: minima of your own, instead of starts; NULL = none */
} mpass_run_options;

/* Finds minima and the passes between them. A run that a budget or `cancel` ended keeps what it had found (MPASS_OK, and
 * mpass_landscape_info.ended says so); one that had found no minimum by then fails with MPASS_E_BUDGET or
 * MPASS_E_CANCELLED. The same seed gives the same landscape for any number of threads, if no budget of seconds or cancel
 * ended it and the backend is repeatable. */
mpass_status mpass_explore(mpass_loss *loss, const mpass_run_options *options, mpass_landscape **out);

enum { MPASS_ENDED_COMPLETE = 0, MPASS_ENDED_BUDGET = 1, MPASS_ENDED_CANCELLED = 2 };
typedef struct mpass_landscape_info {
  uint32_t struct_size;
  uint32_t ended;                               /* MPASS_ENDED_* */
  uint64_t params;                              /* p, the length of every theta */
  uint64_t n_minima, n_paths;
  uint64_t n_loss, n_gradient, n_hessian_product; /* evaluations, rows counted singly */
  double noise;                                 /* what two evaluations of one loss may differ by */
  uint32_t aligned;                             /* 1: points were compared modulo the declared symmetries */
  uint32_t reserved;
} mpass_landscape_info;

enum {                                          /* mpass_minimum.flags */
  MPASS_MINIMUM_COUNTS = 1,                     /* stands for itself: no copy, escape or failure; has a bar */
  MPASS_MINIMUM_UNCONVERGED = 2,                /* its descent ran out of evaluations */
  MPASS_MINIMUM_ESCAPED = 4,                    /* left the domain: no minimum */
  MPASS_MINIMUM_NOT_FINITE = 8,                 /* the loss was not finite at the start: no minimum */
  MPASS_MINIMUM_TRANSIT = 16,                   /* found on a path between two others, not from a start */
  MPASS_MINIMUM_GIVEN = 32                      /* one of mpass_run_options.theta */
};
typedef struct mpass_minimum {
  uint32_t struct_size, flags;
  uint64_t cell;                                /* its number; minima and passes are numbered together */
  uint64_t same_as;                             /* the cell it is a copy of, or MPASS_NONE */
  uint64_t seed;                                /* of its start; the row of MPASS_MINIMUM_GIVEN; MPASS_NONE for a TRANSIT */
  uint64_t path;                                /* it was found on, for a TRANSIT; else MPASS_NONE */
  double loss, gradient_norm;
  const double *theta;                          /* p */
} mpass_minimum;

enum { MPASS_PATH_STRAIGHT = 0, MPASS_PATH_RELAXED = 1, MPASS_PATH_CONVERGED = 2, MPASS_PATH_SPLIT = 3 };
enum {
  MPASS_DEATH_NEVER = 0, MPASS_DEATH_CELL = 1, MPASS_DEATH_PATH_MAXIMUM = 2, MPASS_DEATH_VERIFIED_SADDLE = 3,
  MPASS_DEATH_CRITICAL_POINT = 4,               /* of index 2 or above: the end of a bar of degree 1 or above */
  MPASS_DEATH_VERIFIED_KINK_SADDLE = 5          /* a verified saddle where kinks of the loss are at their edge */
};
typedef struct mpass_path {                     /* a measured curve between two minima, and its highest point, the pass */
  uint32_t struct_size;
  uint32_t state;                               /* MPASS_PATH_*; a SPLIT one was replaced by its pieces, decides nothing */
  uint64_t id;
  uint64_t from_cell, to_cell;                  /* the minima at its ends */
  uint64_t pass_cell;
  uint32_t pass_kind;                           /* MPASS_DEATH_PATH_MAXIMUM, VERIFIED_SADDLE or VERIFIED_KINK_SADDLE */
  uint32_t reserved;
  double height, height_error;                  /* an upper bound on the pass; how far the curve may rise above it */
  double pass_arc;                              /* arc length from from_cell to the pass */
  const double *pass_theta;                     /* p */
  uint64_t n_samples, n_knots;
  const double *arc, *loss, *slope;             /* n_samples each: the profile; slope is d loss / d arc */
  const double *knots;                          /* n_knots x p, C order, ends included */
} mpass_path;

const mpass_landscape_info *mpass_landscape_get_info(const mpass_landscape *landscape);
/* The landscape's own, constant, in order of discovery; NULL for an index out of range. */
const mpass_minimum *mpass_landscape_minimum(const mpass_landscape *landscape, uint64_t index);
const mpass_path    *mpass_landscape_path(const mpass_landscape *landscape, uint64_t index);
void mpass_landscape_free(mpass_landscape *landscape);

/* As a file, the landscape.sqlite of the command `mpass`: one that does not exist yet, and any. MPASS_E_UNSUPPORTED where
 * the library was built without the feature `store`. */
mpass_status mpass_landscape_save(const mpass_landscape *landscape, const char *path);
mpass_status mpass_landscape_open(const char *path, mpass_landscape **out);

/* ---- Barcode ---- */

enum {                                          /* mpass_bar.flags */
  MPASS_BAR_BELOW_NOISE = 1,                    /* shorter than what the loss values resolve */
  MPASS_BAR_UNCONVERGED = 2,                    /* the birth is no converged minimum */
  MPASS_BAR_TRANSIT = 4                         /* the birth is a way-station: its death is a rough bound, no score counts it */
};
typedef struct mpass_bar {                      /* frozen: 72 bytes; MPASS_NONE where there is none */
  double birth, death;                          /* death = INFINITY when it never dies; superlevel sets: -INFINITY */
  double death_error;                           /* how far the death may lie above; 0 where it never dies */
  uint64_t birth_cell, death_cell;              /* of a sampled function: a sample or vertex; n + e is edge e of n vertices */
  uint64_t elder_cell;                          /* degree 0: the birth of the component that swallows this one */
  uint64_t path;                                /* whose top is the death; of a landscape only */
  uint32_t degree, death_kind, flags, reserved;
} mpass_bar;

typedef struct mpass_score {                    /* the TO-score: distances to the ideal barcode, one half-line */
  uint32_t struct_size, degree;
  uint64_t bars, essential;                     /* finite bars that count, and half-lines */
  uint64_t doubtful;                            /* finite bars below noise or unconverged */
  double mean, total, max;                      /* of the lengths of the finite bars that count */
  double bottleneck, wasserstein_1, wasserstein_2;
  const struct mpass_score *without_doubtful;   /* NULL when none is doubtful */
} mpass_score;

mpass_status mpass_barcode_compute(const mpass_landscape *landscape, mpass_barcode **out);
/* The barcode's own, by degree, then birth. In degree 0 deaths and elders are the merge tree. */
const mpass_bar *mpass_barcode_bars(const mpass_barcode *barcode, uint64_t *count);

typedef struct mpass_chain {                    /* frozen: a list of cells, each by its samples or vertices */
  uint64_t n_cells;
  const uint64_t *first;                        /* n_cells + 1: cell i is samples[first[i]] up to samples[first[i + 1] - 1] */
  const uint32_t *samples;
} mpass_chain;

/* What represents a bar, the barcode's own; NULL for an index out of range, no cells where nothing does (half-lines of
 * degree 0, landscapes) and where MPASS_KEEP_CYCLES was not asked for. Of a grid, in degree 0: the path of samples from one
 * minimum through the death to another; above: the cells of a cycle which the death fills. Of a graph, in degree 0: the
 * lowest path of vertices from the birth to the elder; in degree 1: the edges of a cycle. */
const mpass_chain *mpass_barcode_cycle(const mpass_barcode *barcode, uint64_t bar);

/* The barcode's own; NULL if it has no bar of this degree. */
const mpass_score *mpass_barcode_score(const mpass_barcode *barcode, uint32_t degree);
/* The distance to the ideal barcode, (sum (length/2)^q)^(1/q), q from 1 to INFINITY (the bottleneck distance). */
mpass_status mpass_barcode_wasserstein(const mpass_barcode *barcode, uint32_t degree, double q, double *out);
/* The distance between the bars of one degree, (sum cost^q)^(1/q) over a best matching, q from 1 to INFINITY (the
 * bottleneck distance). The cost of two bars is the larger of |birth - birth| and |death - death|, that of a bar alone half
 * its length; half-lines go to half-lines, and *out is INFINITY where their numbers differ. Exact: seconds for 10,000 bars.
 * Way-stations do not take part. Bars of superlevel sets are compared with such: MPASS_E_ARGUMENT otherwise. */
mpass_status mpass_barcode_distance(const mpass_barcode *a, const mpass_barcode *b, uint32_t degree, double q, double *out);
/* The text of a barcode.json, the barcode's own. */
const char *mpass_barcode_json(const mpass_barcode *barcode);
void mpass_barcode_free(mpass_barcode *barcode);

/* ---- Sampled functions ---- */

/* Values are arrays in host memory of any dtype, copied, and compared in their own type: integers beyond 2^53 as integers,
 * though a bar tells them as the nearest double. Of equal values the lesser index comes first. +INFINITY is in no sublevel
 * set; NaN and -INFINITY are MPASS_E_ARGUMENT (for superlevel sets -INFINITY and +INFINITY change places), and so are
 * arrays that are empty or of a wrong shape. A sample is named by its index in C order, whatever the strides, a vertex by
 * its number. The engine's workers take part in every question; their number changes nothing but the time. */

enum {                                          /* flags of mpass_grid_options and mpass_graph_options */
  MPASS_SUPERLEVEL = 1,                         /* superlevel sets: components are born at maxima, deaths lie below */
  MPASS_TOP_CELLS = 2                           /* grids: samples are cubes of full dimension (T), else vertices (V) */
};

enum {                                          /* mpass_barcode_options.flags */
  MPASS_KEEP_ZERO_LENGTH = 1,                   /* also bars whose birth and death are equal */
  MPASS_KEEP_CYCLES = 2                         /* mpass_barcode_cycle for every bar; grids take longer then */
};
typedef struct mpass_barcode_options {          /* of a sampled function */
  uint32_t struct_size, flags;                  /* MPASS_KEEP_* */
  uint32_t degrees;                             /* so many, from 0 up; 0 = all of a grid, one of a graph (it has two) */
  uint32_t reserved;
  double simplify;                              /* graphs: leaves out the bars of degree 0 that are shorter */
} mpass_barcode_options;

typedef struct mpass_grid_options {
  uint32_t struct_size, flags;                  /* MPASS_SUPERLEVEL, MPASS_TOP_CELLS */
  uint32_t periodic;                            /* bit a: axis a closes up; it needs 3 samples */
  uint32_t reserved;
} mpass_grid_options;

/* `values`: 1 to 4 axes, fewer than 2^31 samples. */
mpass_status mpass_grid_new(mpass_engine *engine, const mpass_array *values, const mpass_grid_options *options,
                            mpass_grid **out);
/* Up to 2 axes, and in degrees 0 and n - 1 of any box, a sort; else a reduction of the discrete gradient. */
mpass_status mpass_grid_barcode(const mpass_grid *grid, const mpass_barcode_options *options, mpass_barcode **out);
/* The basin of every sample: the minimum that steepest descent leads to (with MPASS_SUPERLEVEL the maximum that ascent
 * does), -1 for samples in no set. `labels` has room for `count`, the number of samples. */
mpass_status mpass_grid_labels(const mpass_grid *grid, int64_t *labels, uint64_t count);
void         mpass_grid_free(mpass_grid *grid);

typedef struct mpass_graph_options {
  uint32_t struct_size, flags;                  /* MPASS_SUPERLEVEL */
  double radius;                                /* points: edges that are longer are left out; 0 = none is */
} mpass_graph_options;

/* `values`: a value for each of n vertices, fewer than 2^31; `edges`: m x 2 integers, in any order and direction;
 * `edge_values`: NULL, or a value for each edge, in a type that holds both exactly with that of `values`. An edge enters
 * with its later end, or at its own value where that lies above both ends; it is then cell n + e. Loops have no effect,
 * of repeated edges the lowest counts. */
mpass_status mpass_graph_new(mpass_engine *engine, const mpass_array *values, const mpass_array *edges,
                             const mpass_array *edge_values, const mpass_graph_options *options, mpass_graph **out);
/* Points n x d, or n on a line, each joined with its k nearest (exact; equal distances go by number), 0 < k < n, and a
 * value for each. Between the points nothing is known: edges may jump a barrier, and sparse points miss a pass. */
mpass_status mpass_graph_of_points(mpass_engine *engine, const mpass_array *points, const mpass_array *values, uint64_t k,
                                   const mpass_graph_options *options, mpass_graph **out);
/* Every bar of degree 1 is a half-line: a graph has nothing that fills a cycle. */
mpass_status mpass_graph_barcode(const mpass_graph *graph, const mpass_barcode_options *options, mpass_barcode **out);
/* The minimum (with MPASS_SUPERLEVEL the maximum) that every vertex belongs to once all bars of degree 0 shorter than
 * `simplify` are cancelled, each draining over the pass at which it died; -1 for vertices in no set. `labels` has room for
 * `count`, the number of vertices. */
mpass_status mpass_graph_labels(const mpass_graph *graph, double simplify, int64_t *labels, uint64_t count);
/* The path between two vertices whose highest value is lowest, on every stretch of it (superlevel sets: the other way
 * round): `count` vertices, both ends included, and the cell `top` where it is highest. `vertices` is NULL or has `room`
 * for them: n always do. `count` is 0 and `top` MPASS_NONE where no set joins the two. */
mpass_status mpass_graph_path(const mpass_graph *graph, uint64_t from, uint64_t to, uint32_t *vertices, uint64_t room,
                              uint64_t *count, uint64_t *top);
void         mpass_graph_free(mpass_graph *graph);

/* ---- The discrete Morse complex of a grid ---- */

enum { MPASS_GEOMETRY = 1 };                    /* flags of mpass_grid_complex: also descending manifolds and V-paths */

typedef struct mpass_complex_info {
  uint32_t struct_size;
  uint32_t degrees;                             /* the number of axes and one more */
  uint64_t n_cells;
  const uint64_t *n_of_degree;                  /* degrees: how many critical cells have each */
  int64_t euler_characteristic;
} mpass_complex_info;

typedef struct mpass_critical {                 /* a critical cell; cells are numbered in the order of the filtration */
  uint32_t struct_size;
  uint32_t degree;                              /* its dimension, the Morse index */
  double value;
  uint64_t sample;                              /* which gives it its value */
  uint64_t n_samples, n_boundary, n_descending, n_paths;
  const uint32_t *samples;                      /* n_samples: of the cell; its vertices (V) or the cubes round it (T) */
  const uint32_t *boundary;                     /* n_boundary: the cells of one degree less that an odd number of paths lead */
                                                /* to, ascending: the incidences over Z/2 */
  const uint32_t *descending;                   /* n_descending: the samples of its descending manifold, ascending; */
                                                /* MPASS_GEOMETRY only, as the V-paths */
  const uint32_t *path_ends;                    /* n_paths: the cell that each path leads to */
  const mpass_chain *paths;                     /* n_paths: a pass has its two lines of descent, a cell above a path to */
                                                /* each of its boundary; from a facet down to the end, one degree below */
} mpass_critical;

/* For superlevel sets it is that of the negated function, with the values as they are. */
mpass_status mpass_grid_complex(const mpass_grid *grid, uint32_t flags, mpass_complex **out);
/* (`complex` is a macro of <complex.h>.) */
const mpass_complex_info *mpass_complex_get_info(const mpass_complex *morse);
/* The complex's own, constant; NULL for an index out of range. */
const mpass_critical *mpass_complex_cell(const mpass_complex *morse, uint64_t index);
void mpass_complex_free(mpass_complex *morse);

#ifdef __cplusplus
}
#endif
#endif
