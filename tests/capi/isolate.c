/* A plugin that crashes where y > 1.5, isolated: argv = the program mpass, the plugin. Prints the lines it heard. */
#include "well.h"
#include <math.h>
#include <string.h>

static void heard(void *user, int32_t level, const char *text) {
  (void)level;
  ++*(int *)user;
  printf("%s\n", text);
}

int main(int argc, char **argv) {
  int lines = 0;
  mpass_hooks hooks = { .struct_size = sizeof hooks, .user = &lines, .log = heard };
  mpass_engine_options options = { .struct_size = sizeof options, .threads = 1, .hooks = &hooks, .isolate = 1,
                                   .isolate_memory = 1u << 28, .server = argc > 1 ? argv[1] : NULL };
  mpass_open request = { .struct_size = sizeof request, .model = "crash" };
  double theta[4] = { 0.5, 0.25, 0.1, 1.75 }, value[2] = { 5, 5 }, grad[4] = { 5, 5, 5, 5 };
  mpass_status row[2] = { 5, 5 };
  mpass_view view = { .data = theta, .rows = 2, .cols = 2, .row_stride = 2, .dtype = MPASS_F64 };
  mpass_eval call = { .struct_size = sizeof call, .theta = view, .loss = value, .grad = view, .row_status = row };
  mpass_run_options run = { .struct_size = sizeof run, .config = "[minima]\nstarts = 8\nseed = 1\n" };
  mpass_engine *engine = NULL;
  mpass_loss *loss = NULL;
  mpass_landscape *landscape = NULL;
  mpass_barcode *barcode = NULL;
  well here = { 1, 0, 0, 0 };
  uint64_t count = 0;
  CHECK(argc == 3);

  options.isolate = 0;
  FAILS(mpass_engine_new(&options, &engine), MPASS_E_ARGUMENT,
        "mpass_engine_options.isolate is 0: isolate_seconds, isolate_memory and server belong to 1");
  options.isolate = 2;
  FAILS(mpass_engine_new(&options, &engine), MPASS_E_ARGUMENT, "mpass_engine_options.isolate is 2, neither 0 nor 1");
  options.isolate = 1;
  options.isolate_seconds = -1;
  FAILS(mpass_engine_new(&options, &engine), MPASS_E_ARGUMENT,
        "mpass_engine_options.isolate_seconds is -1: a positive number is needed");
  options.isolate_seconds = 0;
  options.server = "/bin/true";
  CHECK(mpass_engine_new(&options, &engine) == MPASS_OK);
  FAILS(mpass_backend_load(engine, argv[2]), MPASS_E_ARGUMENT, NULL);
  CHECK(strncmp(mpass_last_error()->text, "/bin/true exited with status 0: ", 32) == 0);
  mpass_engine_free(engine);

  options.server = argv[1];
  CHECK(mpass_engine_new(&options, &engine) == MPASS_OK);
  FAILS(mpass_backend_register(engine, well_table("well"), &here, well_drop), MPASS_E_UNSUPPORTED,
        "backend \"well\": a callback of this process cannot be isolated: register it with an engine that does not isolate");
  CHECK(mpass_backend_load(engine, argv[2]) == MPASS_OK);
  CHECK(mpass_loss_open(engine, "hostile", &request, &loss) == MPASS_OK);
  call.grad.data = grad;
  CHECK(mpass_loss_eval(loss, &call) == MPASS_OK);
  CHECK(value[0] == 0.625 && row[0] == MPASS_OK && grad[0] == -1.5 && grad[1] == 0.5);
  CHECK(isnan(value[1]) && row[1] == MPASS_E_NUMERIC && isnan(grad[2]) && lines == 2);
  CHECK(mpass_explore(loss, &run, &landscape) == MPASS_OK);
  CHECK(mpass_barcode_compute(landscape, &barcode) == MPASS_OK);
  CHECK(mpass_barcode_bars(barcode, &count) && count == 2);
  mpass_barcode_free(barcode);
  mpass_landscape_free(landscape);
  mpass_engine_free(engine);
  mpass_loss_free(loss);
  return 0;
}
