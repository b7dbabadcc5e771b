/* Every wrong call has its status and its one line, leaves out-parameters alone, and breaks nothing. */
#include "well.h"
#include <string.h>

static mpass_engine *const E = (mpass_engine *)8; /* Sentinels: never looked behind. */
static mpass_loss *const L = (mpass_loss *)8;
static mpass_landscape *const S = (mpass_landscape *)8;
static mpass_barcode *const B = (mpass_barcode *)8;

static void null_is_refused_and_freed(void) {
  mpass_eval call = { 0 };
  double q = 5;
  uint64_t count = 5;
  mpass_loss *loss = L;
  mpass_landscape *landscape = S;
  mpass_barcode *barcode = B;
  FAILS(mpass_engine_new(NULL, NULL), MPASS_E_ARGUMENT, "out is NULL");
  FAILS(mpass_backend_load(NULL, "x"), MPASS_E_ARGUMENT, "engine is NULL");
  FAILS(mpass_backend_register(NULL, well_table("w"), NULL, NULL), MPASS_E_ARGUMENT, "engine is NULL");
  FAILS(mpass_loss_open(NULL, "well", NULL, &loss), MPASS_E_ARGUMENT, "engine is NULL");
  FAILS(mpass_loss_eval(NULL, &call), MPASS_E_ARGUMENT, "loss is NULL");
  FAILS(mpass_explore(NULL, NULL, &landscape), MPASS_E_ARGUMENT, "loss is NULL");
  FAILS(mpass_barcode_compute(NULL, &barcode), MPASS_E_ARGUMENT, "landscape is NULL");
  FAILS(mpass_barcode_wasserstein(NULL, 0, 1, &q), MPASS_E_ARGUMENT, "barcode is NULL");
  CHECK(mpass_loss_get_info(NULL) == NULL && mpass_landscape_get_info(NULL) == NULL);
  CHECK(mpass_landscape_minimum(NULL, 0) == NULL && mpass_landscape_path(NULL, 0) == NULL);
  CHECK(mpass_barcode_bars(NULL, &count) == NULL && mpass_barcode_score(NULL, 0) == NULL);
  CHECK(mpass_engine_backend(NULL, 0) == NULL);
  FAILS(mpass_landscape_save(NULL, "x"), MPASS_E_ARGUMENT, "landscape is NULL");
  FAILS(mpass_landscape_open(NULL, &landscape), MPASS_E_ARGUMENT, "path is NULL");
  FAILS(mpass_landscape_open("x", NULL), MPASS_E_ARGUMENT, "out is NULL");
  CHECK(mpass_barcode_json(NULL) == NULL);
  says(__LINE__, MPASS_E_ARGUMENT, "barcode is NULL");
  CHECK(loss == L && landscape == S && barcode == B && q == 5 && count == 5);
  mpass_engine_free(NULL);
  mpass_loss_free(NULL);
  mpass_landscape_free(NULL);
  mpass_barcode_free(NULL);
  mpass_cancel_free(NULL);
  says(__LINE__, MPASS_OK, ""); /* Reset at every entry. */
  mpass_cancel_fire(NULL);
}

static void options_are_honoured_or_refused(void) {
  struct { mpass_engine_options known; uint64_t later; } longer = { { .struct_size = sizeof longer, .threads = 1 }, 0 };
  mpass_engine_options options = { .struct_size = 4, .threads = 1 };
  mpass_engine *engine = E;
  FAILS(mpass_engine_new(&options, &engine), MPASS_E_ARGUMENT,
        "struct_size of mpass_engine_options is 4: it must be sizeof(mpass_engine_options)");
  options.struct_size = 0xfffffff0u;
  FAILS(mpass_engine_new(&options, &engine), MPASS_E_ARGUMENT,
        "struct_size of mpass_engine_options is 4294967280: it must be sizeof(mpass_engine_options)");
  longer.later = 1;
  FAILS(mpass_engine_new(&longer.known, &engine), MPASS_E_UNSUPPORTED,
        "libmountainpass: mpass_engine_options has 56 bytes of which this library knows 48, and the rest is not zero: it "
        "asks for something that needs a newer library");
  CHECK(engine == E);
  longer.later = 0;
  CHECK(mpass_engine_new(&longer.known, &engine) == MPASS_OK);
  mpass_engine_free(engine);
  options.struct_size = 8; /* A program built before `hooks` existed. */
  options.hooks = (const mpass_hooks *)8;
  CHECK(mpass_engine_new(&options, &engine) == MPASS_OK);
  mpass_engine_free(engine);
}

static void backends_and_requests(mpass_engine *engine) {
  const char *keys[1] = { "n" }, *values[1] = { NULL };
  mpass_open request = { 0 };
  mpass_backend table = *well_table("wel l");
  mpass_loss *loss = L;
  well other = { 1, 0, 0, 0 };
  FAILS(mpass_backend_load(engine, NULL), MPASS_E_ARGUMENT, "path is NULL");
  FAILS(mpass_backend_load(engine, "/nowhere/libmpass_x.so"), MPASS_E_NOT_FOUND, NULL);
  FAILS(mpass_backend_register(engine, NULL, NULL, NULL), MPASS_E_BACKEND, NULL);
  FAILS(mpass_backend_register(engine, &table, &other, well_drop), MPASS_E_BACKEND, NULL);
  FAILS(mpass_backend_register(engine, well_table("well"), &other, well_drop), MPASS_E_ARGUMENT,
        "there is a backend \"well\" already");
  CHECK(other.dropped == 0);
  FAILS(mpass_loss_open(engine, NULL, NULL, &loss), MPASS_E_ARGUMENT, "backend is NULL");
  FAILS(mpass_loss_open(engine, "wel", NULL, &loss), MPASS_E_ARGUMENT, "unknown backend \"wel\"; the nearest is \"well\"");
  FAILS(mpass_loss_open(engine, "gr\xfcn", NULL, &loss), MPASS_E_ARGUMENT, "backend is not UTF-8");
  FAILS(mpass_loss_open(engine, "well", NULL, NULL), MPASS_E_ARGUMENT, "out is NULL");
  FAILS(mpass_loss_open(engine, "well", &request, &loss), MPASS_E_ARGUMENT,
        "struct_size of mpass_open is 0: it must be sizeof(mpass_open)");
  request.struct_size = sizeof request;
  request.n_options = 1;
  FAILS(mpass_loss_open(engine, "well", &request, &loss), MPASS_E_ARGUMENT, "mpass_open.keys: 1 of them at NULL");
  request.keys = keys;
  request.values = values;
  FAILS(mpass_loss_open(engine, "well", &request, &loss), MPASS_E_ARGUMENT, "the value of option \"n\" is NULL");
  request.n_options = 0;
  request.user = &other;
  FAILS(mpass_loss_open(engine, "well", &request, &loss), MPASS_E_ARGUMENT,
        "mpass_open.user is not NULL: it is given at registration");
  CHECK(loss == L);
}

static void evaluations(mpass_loss *loss) {
  double theta[4] = { 0 }, value = 5, out[4] = { 5, 5, 5, 5 };
  uint64_t id = 0;
  mpass_cancel *cancel = mpass_cancel_new();
  mpass_eval call = { 0 };
  FAILS(mpass_loss_eval(loss, NULL), MPASS_E_ARGUMENT, "call is NULL");
  FAILS(mpass_loss_eval(loss, &call), MPASS_E_ARGUMENT, NULL);
  call.struct_size = sizeof call;
  FAILS(mpass_loss_eval(loss, &call), MPASS_E_ARGUMENT, "theta has 0 columns, and the loss 2 parameters");
  call.theta.cols = 2;
  call.theta.rows = 1;
  FAILS(mpass_loss_eval(loss, &call), MPASS_E_ARGUMENT, "mpass_eval.loss is NULL");
  call.loss = &value;
  FAILS(mpass_loss_eval(loss, &call), MPASS_E_ARGUMENT, "theta: row_stride is 0, below cols, which is 2");
  call.theta.row_stride = 2;
  FAILS(mpass_loss_eval(loss, &call), MPASS_E_ARGUMENT, "theta: data is NULL");
  call.theta.data = theta;
  FAILS(mpass_loss_eval(loss, &call), MPASS_E_ARGUMENT, "theta has element type 0: MPASS_F64 or MPASS_F32 is needed");
  call.theta.dtype = MPASS_F64;
  call.theta.rows = UINT64_MAX / 2;
  FAILS(mpass_loss_eval(loss, &call), MPASS_E_ARGUMENT, NULL);
  call.theta.rows = 1;
  call.theta.memory = MPASS_CUDA;
  FAILS(mpass_loss_eval(loss, &call), MPASS_E_UNSUPPORTED, NULL);
  call.theta.memory = MPASS_HOST;
  call.grad = call.theta;
  call.grad.data = out;
  call.grad.rows = 2;
  FAILS(mpass_loss_eval(loss, &call), MPASS_E_ARGUMENT, "grad is 2 x 2 where 1 x 2 is needed");
  call.grad.rows = 1;
  call.hvp = call.grad;
  FAILS(mpass_loss_eval(loss, &call), MPASS_E_ARGUMENT, "dir and hvp belong together: one of them is NULL");
  call.dir = call.theta;
  FAILS(mpass_loss_eval(loss, &call), MPASS_E_UNSUPPORTED, NULL); /* The well has no Hessian. */
  memset(&call.hvp, 0, sizeof call.hvp);
  memset(&call.dir, 0, sizeof call.dir);
  call.ids = call.theta;
  call.ids.data = &id;
  FAILS(mpass_loss_eval(loss, &call), MPASS_E_ARGUMENT,
        "ids is 1 x 2 of element type 2: 1 x m of MPASS_U64 is needed");
  call.ids.dtype = MPASS_U64;
  call.ids.cols = 1;
  FAILS(mpass_loss_eval(loss, &call), MPASS_E_UNSUPPORTED, NULL); /* It has no samples either. */
  call.ids.data = NULL;
  mpass_cancel_fire(cancel);
  call.cancel = cancel;
  FAILS(mpass_loss_eval(loss, &call), MPASS_E_CANCELLED, "cancelled");
  CHECK(value == 5 && out[0] == 5 && out[1] == 5);
  call.cancel = NULL;
  CHECK(mpass_loss_eval(loss, &call) == MPASS_OK && value == 0 && out[0] == 0 && out[2] == 5);
  mpass_cancel_free(cancel);
}

static void runs(mpass_loss *loss, well *w) {
  mpass_landscape *landscape = S;
  mpass_barcode *barcode = B;
  mpass_cancel *cancel = mpass_cancel_new();
  uint64_t id = 0;
  const mpass_view ids = { &id, 1, 1, 1, MPASS_U64, MPASS_HOST, 0, 0 };
  mpass_run_options run = { 0 };
  run.struct_size = sizeof run;
  FAILS(mpass_explore(loss, &run, NULL), MPASS_E_ARGUMENT, "out is NULL");
  run.config = "[minima]\nstart = 3\n";
  FAILS(mpass_explore(loss, &run, &landscape), MPASS_E_ARGUMENT, "[minima] unknown key \"start\"; the nearest is \"starts\"");
  run.config = "[loss]\nbackend = \"well\"\n";
  FAILS(mpass_explore(loss, &run, &landscape), MPASS_E_ARGUMENT, "[loss]: the loss is open already: leave this table out");
  run.config = "[minima\n";
  FAILS(mpass_explore(loss, &run, &landscape), MPASS_E_ARGUMENT, NULL);
  run.config = NULL;
  run.flags = 1;
  FAILS(mpass_explore(loss, &run, &landscape), MPASS_E_UNSUPPORTED,
        "libmountainpass: mpass_run_options.flags is 1: this library knows none");
  run.flags = 0;
  run.evaluation_ids = &ids;
  FAILS(mpass_explore(loss, &run, &landscape), MPASS_E_UNSUPPORTED, NULL);
  run.evaluation_ids = NULL;
  w->calls = 0;
  w->fail_at = 5;
  FAILS(mpass_explore(loss, &run, &landscape), MPASS_E_DEVICE, "well 1: eval: the cable is loose");
  w->fail_at = 0;
  run.config = "[budget]\nevaluations = 3\n";
  FAILS(mpass_explore(loss, &run, &landscape), MPASS_E_BUDGET, NULL);
  run.config = NULL;
  run.cancel = cancel;
  mpass_cancel_fire(cancel);
  FAILS(mpass_explore(loss, &run, &landscape), MPASS_E_CANCELLED, "cancelled");
  mpass_cancel_free(cancel);
  CHECK(landscape == S);
  run.cancel = NULL;
  run.config = "[paths]\nevaluations = 10\n"; /* Stopped, with minima: kept. */
  CHECK(mpass_explore(loss, &run, &landscape) == MPASS_OK);
  CHECK(mpass_landscape_get_info(landscape)->ended == MPASS_ENDED_BUDGET);
  FAILS(mpass_barcode_compute(landscape, NULL), MPASS_E_ARGUMENT, "out is NULL");
  CHECK(mpass_barcode_compute(landscape, &barcode) == MPASS_OK);
  CHECK(mpass_barcode_bars(barcode, NULL) == NULL);
  FAILS(mpass_barcode_wasserstein(barcode, 0, 1, NULL), MPASS_E_ARGUMENT, "out is NULL");
  mpass_barcode_free(barcode);
  mpass_landscape_free(landscape);
}

/* A callback that calls back: the loss is in use. */
static mpass_loss *exploring;
static mpass_status seen = MPASS_OK;
static void progress(void *user, const char *stage, uint64_t done, uint64_t total, const char *detail) {
  mpass_eval call = { 0 };
  (void)user; (void)stage; (void)done; (void)total; (void)detail;
  call.struct_size = sizeof call;
  seen = mpass_loss_eval(exploring, &call);
}

int main(int argc, char **argv) { /* misuse PLUGIN: a file that loads */
  well w = { 1, 0, 0, 0 };
  mpass_hooks hooks = { sizeof hooks, 0, NULL, NULL, progress };
  mpass_engine_options options = { .struct_size = sizeof options, .threads = 2, .hooks = &hooks };
  mpass_engine *engine = NULL;
  mpass_loss *loss = NULL;
  mpass_landscape *landscape = NULL;
  null_is_refused_and_freed();
  options_are_honoured_or_refused();
  CHECK(mpass_engine_new(&options, &engine) == MPASS_OK);
  CHECK(mpass_backend_register(engine, well_table("well"), &w, well_drop) == MPASS_OK);
  backends_and_requests(engine);
  CHECK(argc == 2 && mpass_backend_load(engine, argv[1]) == MPASS_OK && mpass_backend_load(engine, argv[1]) == MPASS_OK);
  CHECK(mpass_engine_backend(engine, 2) == NULL);
  says(__LINE__, MPASS_E_ARGUMENT, "there is no backend 2 of 2");
  CHECK(strcmp(mpass_engine_backend(engine, 1)->name, "surfaces") == 0 && mpass_engine_backend(engine, 1)->file[0] == '/');
  CHECK(mpass_loss_open(engine, "well", NULL, &loss) == MPASS_OK);
  exploring = loss;
  evaluations(loss);
  runs(loss, &w);
  CHECK(mpass_explore(loss, NULL, &landscape) == MPASS_OK && seen == MPASS_E_BUSY);
  FAILS(mpass_landscape_save(landscape, "/nowhere/x"), MPASS_E_UNSUPPORTED, /* Tests build the library without the store. */
        "libmountainpass: built without the feature store: landscapes are neither saved nor opened");
  FAILS(mpass_landscape_open("/nowhere/x", &landscape), MPASS_E_UNSUPPORTED, NULL);
  mpass_landscape_free(landscape);
  mpass_engine_free(engine);
  mpass_loss_free(loss);
  CHECK(w.dropped == 1);
  printf("every misuse answered\n");
  return 0;
}
