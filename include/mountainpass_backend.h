/* mountainpass_backend.h: the plugin contract, version 0. A backend supplies a loss and its derivatives.
 *
 * A plugin is one shared library: cc -O2 -shared -fPIC -I include mine.c -o libmpass_mine.so -lm
 *
 * Life: entry > probe* > open > (info, eval, extensions)* > close. No init or shutdown: whatever open makes,
 * close unmakes, threads included. The library stays mapped. Several engines may use one library at once.
 * Tags: [one] calls on the same object never overlap; [many] may overlap; different objects always may. What is [many]
 * may overlap what is [one], too.
 * Errors: return a status and write err->text (err->code is not read); err is never NULL. Never throw, unwind, exit or
 * abort.
 * Options (mpass_open.keys, values) are text, whatever they were in the run's file: "3", "0.001", "true". They are what
 * stands in [loss.options], and the keys of [loss] that are none of the engine's (backend, plugin, model, dtype, device,
 * repeatable, options). Refuse what you do not know, by name. What you know MPASS_EXT_OPTIONS declares. */
#ifndef MOUNTAINPASS_BACKEND_H
#define MOUNTAINPASS_BACKEND_H

#include "mountainpass_base.h"

#ifdef __cplusplus
extern "C" {
#endif

/* The major is in the entry symbol's name. A later minor only appends fields; a field of minor m is set towards plugins
 * whose table says abi_minor >= m. To an older one a request that needs it is refused, never dropped. */
#define MPASS_BACKEND_MINOR 1u

enum {                         /* mpass_loss_info.caps */
  MPASS_CAP_GRAD = 1,
  MPASS_CAP_HVP = 2,           /* without it the engine takes differences of gradients */
  MPASS_CAP_MINIBATCH = 4,     /* loss(ids) is the mean over ids, repeats counted, of loss({id}), regulariser in full in each */
  MPASS_CAP_MANY = 8,          /* eval on one loss is [many] */
  MPASS_CAP_REPEATABLE = 16,   /* same row, same ids: same bits, whatever n, the position, the threads */
  MPASS_CAP_CANCEL = 32,       /* eval polls host->cancelled at least every 100 ms */
  MPASS_CAP_CALLER_THREAD = 64,/* eval must run on the thread that called the engine */
  MPASS_CAP_SMOOTH = 128,      /* twice differentiable: Hessian checks apply; without it no pass is called a saddle */
  MPASS_CAP_JOINT = 256        /* with MINIBATCH: samples see each other (batch statistics), so loss(ids) is no mean */
};

typedef struct mpass_host {    /* engine-owned; given to open: valid until close returns */
  uint32_t struct_size, abi_minor;
  void *ctx;
  void (*log)(void *ctx, int32_t level, const char *text);     /* [many] */
  int32_t (*cancelled)(void *ctx, const void *token);          /* [many] one atomic load */
  mpass_status (*parallel)(void *ctx, uint64_t n,              /* [many] body for 0..n-1 on the engine's pool; */
                           void (*body)(void *user, uint64_t i, uint32_t worker), /* returns when all are done; */
                           void *user);                        /* nested calls run in line, as worker they are on */
  const void *(*extension)(void *ctx, const char *id);         /* [many] id: "org.name/1"; NULL = unknown */
  uint32_t workers;            /* worker numbers handed to body are below this; read after open began */
  uint32_t reserved;
} mpass_host;

typedef struct mpass_device {  /* memory_bytes 0 = not known */
  uint32_t struct_size, memory;
  const char *name;
  uint64_t memory_bytes;
} mpass_device;

typedef struct mpass_loss_info { /* plugin-owned, constant until close */
  uint32_t struct_size, caps;
  uint64_t params, samples;    /* p; data set size, 0 = no data set */
  uint64_t rows_best, rows_max;/* theta rows per call; 0 = any */
  uint32_t dtypes, memories;   /* bit sets 1<<MPASS_F32.., 1<<MPASS_HOST..; host f64 or f32 is required */
  double noise;                /* largest change of a loss value when a call is repeated; 0 = engine measures */
} mpass_loss_info;

typedef struct mpass_eval {    /* engine-owned; pointers valid during the call; outputs never alias inputs */
  uint32_t struct_size, reserved;
  mpass_view theta;            /* in  n x p */
  mpass_view ids;              /* in  1 x m, u64, host; the same for every row; NULL data = all samples */
  double *loss;                /* out n, host, always f64: bars are differences of near-equal numbers */
  mpass_view grad;             /* out n x p, dtype and memory of theta; NULL data = not wanted */
  mpass_view dir, hvp;         /* in, out n x p: hvp[i] = Hessian(theta[i]) dir[i]; NULL = not wanted; one alone is refused */
  mpass_status *row_status;    /* out n: MPASS_OK (preset) or MPASS_E_NUMERIC, and then the row's other outputs may be */
                               /* anything; one bad row must not fail the batch */
  const void *cancel;          /* for host->cancelled; NULL = none */
  void *stream;                /* for direct callers with device memory; the engine passes host memory and NULL */
} mpass_eval;

typedef struct mpass_backend { /* plugin-owned, constant; returned by entry */
  uint32_t struct_size, abi_minor;
  const char *name, *version;                                  /* static text */
  const mpass_device *(*probe)(uint32_t index);                /* [many] cheap; NULL ends the list */
  mpass_status (*open)(const mpass_host *, const mpass_open *, void **loss, mpass_error *err); /* [many] */
  const mpass_loss_info *(*info)(const void *loss);            /* [many] */
  mpass_status (*eval)(void *loss, const mpass_eval *, mpass_error *err); /* [one], or [many] by MPASS_CAP_MANY */
  void (*close)(void *loss);                                   /* [one] frees; never fails */
  const void *(*extension)(const char *id);                    /* [many] may be NULL; the structs below, by id */
} mpass_backend;

/* The only exported symbol. Fast (<100 ms), touches no device, keeps no state; host is for this call only.
 * `_v0` until the contract is frozen; `_v1` appears once, with the golden layout file. NULL = refused. */
#if defined(__GNUC__)
__attribute__((visibility("default")))
#endif
const mpass_backend *mpass_backend_entry_v0(const mpass_host *host, mpass_error *err);

/* ---- Extensions the engine knows. A backend without them still works. All slots are [one] on one loss. ---- */

/* The options that open knows, whatever the model; asked for before any loss is open. Declare all of them or none: what
 * is declared is never refused as unknown (though it may be of no use to the model at hand), and the engine refuses a
 * key of a run's [loss] that is not declared, naming the nearest. A value of MPASS_OPTION_PATH is resolved against the
 * folder of the run's file; everything else arrives as it stands there. A backend that declares nothing gets every key
 * and every value as it stands in the file. */
#define MPASS_EXT_OPTIONS "mountainpass.options/1"
enum {                         /* mpass_option.kind: what its values look like */
  MPASS_OPTION_TEXT = 1,       /* one of its words; any text where it has none */
  MPASS_OPTION_INTEGER = 2,
  MPASS_OPTION_NUMBER = 3,
  MPASS_OPTION_BOOLEAN = 4,    /* true or false */
  MPASS_OPTION_PATH = 5,       /* a file or a folder, but for its words, which are names of something else */
  MPASS_OPTION_LIST = 6        /* items, of its words where it has some, joined by commas; a run's file may list them */
};
typedef struct mpass_option {  /* frozen */
  const char *name;            /* not empty, and no other option's */
  const char *about;           /* one sentence for a person */
  const char *default_value;   /* what open takes where the option is not given; NULL = none, or it depends */
  const char *words;           /* separated by blanks; NULL = none */
  uint32_t kind, reserved;
} mpass_option;
typedef struct mpass_ext_options { /* plugin-owned, constant, as all it leads to */
  uint32_t struct_size, reserved;
  const mpass_option *options; /* n_options */
  uint64_t n_options;
} mpass_ext_options;

#define MPASS_EXT_PARAMETERS "mountainpass.parameters/1" /* the named blocks of theta */
typedef struct mpass_parameter { /* frozen */
  const char *name;
  const uint64_t *shape;       /* ndim; the block is C order */
  uint64_t offset;             /* of its first element in theta */
  uint32_t ndim, reserved;
} mpass_parameter;
typedef struct mpass_ext_parameters {
  uint32_t struct_size, reserved;
  mpass_status (*list)(const void *loss, const mpass_parameter **out, uint64_t *count, mpass_error *err);
} mpass_ext_parameters;

/* Where a search begins. Without it: uniform in the box, or nearly standard normal
 * (the sum of twelve uniforms, less 6). The same seed gives the same start. The box
 * bounds where minima count, not where the loss is evaluated: a descent may step outside and must end inside. */
#define MPASS_EXT_START "mountainpass.start/1"
typedef struct mpass_ext_start {
  uint32_t struct_size, reserved;
  mpass_status (*start)(const void *loss, uint64_t seed, double *theta, mpass_error *err); /* writes p values */
  /* The box of a bounded function: p values each, owned by the loss; both NULL when it is unbounded. */
  mpass_status (*box)(const void *loss, const double **lower, const double **upper, mpass_error *err);
} mpass_ext_start;

#define MPASS_EXT_METRICS "mountainpass.metrics/1" /* what people judge a model by */
enum { MPASS_TRAIN = 0, MPASS_TEST = 1 };
typedef struct mpass_ext_metrics {
  uint32_t struct_size, reserved;
  /* Names in the order of eval's columns ("loss", "accuracy"); a split without samples has count 0. */
  mpass_status (*names)(const void *loss, uint32_t split, const char *const **out, uint64_t *count, mpass_error *err);
  mpass_status (*eval)(void *loss, uint32_t split, const mpass_view *theta, double *out /* n x count */, mpass_error *err);
} mpass_ext_metrics;

#define MPASS_EXT_SYMMETRY "mountainpass.symmetry/1" /* what leaves the whole objective, regulariser included, unchanged */
enum {
  MPASS_SYMMETRY_PERMUTATION = 1, /* the n_blocks blocks may be permuted */
  MPASS_SYMMETRY_SIGN = 2,        /* every block may be negated by itself */
  MPASS_SYMMETRY_SCALE = 3,       /* the first `split` entries of a block times a > 0, the others divided by a; with split = block */
                                  /* none is divided: only the block's direction counts (weights before a normalisation) */
  MPASS_SYMMETRY_PERIOD = 4,      /* every indexed coordinate is periodic with `period` */
  MPASS_SYMMETRY_RIGID = 5,       /* blocks are points of `block` coordinates, translated and rotated together; a reflection is */
                                  /* a SIGN of one block, all their coordinates */
  MPASS_SYMMETRY_CONJUGATION = 6, /* the blocks may be permuted, and with them what stands behind the first `split` entries of */
                                  /* each: rows of square matrices, n_blocks entries each, whose columns are permuted as the */
                                  /* rows are (the weights from a recurrent layer's units to themselves) */
  MPASS_SYMMETRY_MIXING = 7       /* blocks are points of `block` coordinates: the first `split` may be multiplied by any */
                                  /* invertible matrix, one for all of them, if the others are by the inverse of its transpose */
                                  /* (the queries and keys of a head); with split = 0 all of them by any orthogonal one */
};
typedef struct mpass_symmetry {   /* frozen */
  uint32_t kind, reserved;
  uint64_t n_blocks, block;
  const uint64_t *index;          /* n_blocks x block offsets into theta */
  uint64_t split;
  double period;
} mpass_symmetry;
typedef struct mpass_ext_symmetry {
  uint32_t struct_size, reserved;
  mpass_status (*list)(const void *loss, const mpass_symmetry **out, uint64_t *count, mpass_error *err);
} mpass_ext_symmetry;

#define MPASS_EXT_IDENTITY "mountainpass.identity/1" /* which loss this is, for provenance and resume */
typedef struct mpass_identity {
  uint32_t struct_size, reserved;
  const char *model_hash, *data_hash; /* SHA-256 in hexadecimal; "" where there is none */
  const char *options;                /* the options in effect, defaults included, as key = value lines */
  const char *notes;                  /* what readers of results should know of how it was opened, a sentence a line; NULL = none */
} mpass_identity;
typedef struct mpass_ext_identity {
  uint32_t struct_size, reserved;
  const mpass_identity *(*get)(const void *loss); /* owned by the loss, constant until close */
} mpass_ext_identity;

/* The kinks of a piecewise smooth loss, and the smooth losses round them. Every kinked operation is written by
 * h = max(z, alpha z), alpha < 1: |z| has alpha = -1, max(a, b) = b + max(a - b, 0), a maximum of several folds that from the
 * first on. A kink's id names its operation, sample and element, and stays. theta is host f64, the loss that over all samples
 * (ids is not given). A loss that has jumps, or samples that see each other, answers MPASS_E_UNSUPPORTED and says why. */
#define MPASS_EXT_KINKS "mountainpass.kinks/1"
typedef struct mpass_kink {       /* frozen */
  uint64_t id;
  double z, alpha;
  double delta;                   /* derivative of the loss by h, all kinks on the side of z; exactly 0 = h does not matter here */
} mpass_kink;
typedef struct mpass_slope {      /* frozen; h is replaced by t z. Any other kink is on the side of its own z */
  uint64_t id;
  double t;                       /* any finite number; alpha and 1 name a side, whatever z */
} mpass_slope;
typedef struct mpass_ext_kinks {
  uint32_t struct_size, reserved;
  mpass_status (*count)(const void *loss, uint64_t *kinks, mpass_error *err); /* how many there are at all */
  /* eval of the loss with every h replaced by alpha z + (1 - alpha) eps log(1 + exp(z / eps)), eps > 0. */
  mpass_status (*eval_smoothed)(void *loss, double eps, const mpass_eval *, mpass_error *err);
  /* The kinks with |z| < width at theta (p values), by id; the first `room` of them are written, *count is how many there are. */
  mpass_status (*near)(void *loss, const double *theta, double width, mpass_kink *out, uint64_t room, uint64_t *count,
                       mpass_error *err);
  /* eval of the loss with n slopes given (by id, each once): with z and delta of these kinks in it, rows x n, where not NULL. */
  mpass_status (*eval_linear)(void *loss, const mpass_slope *, uint64_t n, const mpass_eval *, double *z, double *delta,
                              mpass_error *err);
  /* The gradients by theta of z of the n kinks in that loss, n x p. */
  mpass_status (*rows)(void *loss, const double *theta, const mpass_slope *, uint64_t n, double *out, mpass_error *err);
} mpass_ext_kinks;

#ifdef __cplusplus
}
#endif
#endif
