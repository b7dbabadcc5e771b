/* A request reaches the backend as it was made, strided arrays included; and a run on chosen samples has every value over
 * them alone. The loss is the mean of (x - y_i)^2 over samples y. */
#include "well.h"
#include <math.h>
#include <string.h>

static struct { const mpass_array *array; uint64_t n; double y[4]; } data;

static mpass_status open_mean(const mpass_host *host, const mpass_open *request, void **out, mpass_error *err) {
  const mpass_array *y = request->data;
  (void)host; (void)err;
  CHECK(request->struct_size >= sizeof *request && strcmp(request->model, "mean") == 0);
  CHECK(request->n_options == 2 && strcmp(request->keys[1], "grün") == 0 && strcmp(request->values[1], "") == 0);
  CHECK(request->model_len == 3 && memcmp(request->model_bytes, "a\0b", 3) == 0 && request->max_threads == 7);
  CHECK(request->user == &data && request->n_data == 1 && strcmp(y->name, "y") == 0);
  CHECK(y->ndim == 1 && y->dtype == MPASS_F32 && y->strides && y->strides[0] == 2);
  data.n = y->shape[0];
  for (uint64_t i = 0; i < data.n; i++) data.y[i] = ((const float *)y->data)[(int64_t)i * y->strides[0]];
  *out = &data;
  return MPASS_OK;
}
static const mpass_loss_info *info_mean(const void *self) {
  static const mpass_loss_info info = { sizeof info, MPASS_CAP_GRAD | MPASS_CAP_MINIBATCH | MPASS_CAP_REPEATABLE, 1, 4, 0, 0,
                                        1u << MPASS_F64, 1u << MPASS_HOST, 0 };
  (void)self;
  return &info;
}
static mpass_status eval_mean(void *self, const mpass_eval *call, mpass_error *err) {
  const uint64_t *ids = (const uint64_t *)call->ids.data, m = ids ? call->ids.cols : data.n;
  (void)self; (void)err;
  for (uint64_t r = 0; r < call->theta.rows; r++) {
    double x = ((const double *)call->theta.data)[r * call->theta.row_stride], sum = 0, slope = 0;
    for (uint64_t i = 0; i < m; i++) {
      double d = x - data.y[ids ? ids[i] : i];
      sum += d * d;
      slope += 2 * d;
    }
    call->loss[r] = sum / (double)m;
    if (call->grad.data) ((double *)call->grad.data)[r * call->grad.row_stride] = slope / (double)m;
  }
  return MPASS_OK;
}

int main(void) {
  const float y[8] = { 1, -9, 2, -9, 3, -9, 10, -9 }; /* Every second one is a sample. */
  const uint64_t shape = 4, chosen[2] = { 0, 2 };
  const int64_t stride = 2;
  const mpass_array array = { "y", y, &shape, &stride, 1, MPASS_F32 };
  const char *keys[2] = { "a", "grün" }, *values[2] = { "1", "" };
  const mpass_view ids = { (void *)chosen, 1, 2, 2, MPASS_U64, MPASS_HOST, 0, 0 };
  mpass_backend table = *well_table("mean");
  mpass_open request = { 0 };
  mpass_run_options run = { 0 };
  mpass_engine *engine = NULL;
  mpass_loss *loss = NULL;
  mpass_landscape *landscape = NULL;
  const mpass_minimum *found;
  table.open = open_mean;
  table.info = info_mean;
  table.eval = eval_mean;
  request.struct_size = sizeof request;
  request.model = "mean";
  request.model_bytes = "a\0b";
  request.model_len = 3;
  request.max_threads = 7;
  request.n_options = 2;
  request.keys = keys;
  request.values = values;
  request.data = &array;
  request.n_data = 1;
  run.struct_size = sizeof run;
  run.config = "[minima]\nstarts = 2\n";
  CHECK(mpass_engine_new(NULL, &engine) == MPASS_OK);
  CHECK(mpass_backend_register(engine, &table, &data, NULL) == MPASS_OK);
  CHECK(mpass_loss_open(engine, "mean", &request, &loss) == MPASS_OK);
  for (int pass = 0; pass < 2; pass++) { /* All of 1, 2, 3, 10; then 1 and 3. */
    run.evaluation_ids = pass == 0 ? NULL : &ids;
    CHECK(mpass_explore(loss, &run, &landscape) == MPASS_OK);
    found = mpass_landscape_minimum(landscape, 0);
    CHECK(fabs(found->theta[0] - (pass == 0 ? 4 : 2)) < 1e-8 && fabs(found->loss - (pass == 0 ? 12.5 : 1)) < 1e-12);
    mpass_landscape_free(landscape);
  }
  { /* Minima of the caller's own, in single precision: of 1 and 3 one is at 2, and nothing moves the other. */
    const float own[2] = { 2, 2.5 };
    const mpass_view theta = { (void *)own, 2, 1, 1, MPASS_F32, MPASS_HOST, 0, 0 };
    const mpass_view wide = { (void *)own, 1, 2, 2, MPASS_F32, MPASS_HOST, 0, 0 };
    run.config = "[minima]\npolish = false\n"; /* What it is unless said. */
    run.theta = NULL;
    CHECK(mpass_explore(loss, &run, &landscape) == MPASS_E_ARGUMENT);
    CHECK(strstr(mpass_last_error()->text, "polish = false: nothing else leads to a minimum here"));
    run.theta = &theta;
    CHECK(mpass_explore(loss, &run, &landscape) == MPASS_OK);
    CHECK(mpass_landscape_get_info(landscape)->n_minima >= 2);
    found = mpass_landscape_minimum(landscape, 0);
    CHECK(found->flags == (MPASS_MINIMUM_COUNTS | MPASS_MINIMUM_GIVEN) && found->seed == 0 && found->theta[0] == 2);
    found = mpass_landscape_minimum(landscape, 1);
    CHECK(found->flags == (MPASS_MINIMUM_COUNTS | MPASS_MINIMUM_GIVEN | MPASS_MINIMUM_UNCONVERGED));
    CHECK(found->seed == 1 && found->path == MPASS_NONE && found->theta[0] == 2.5 && found->loss == 1.25);
    mpass_landscape_free(landscape);
    run.theta = &wide;
    CHECK(mpass_explore(loss, &run, &landscape) == MPASS_E_ARGUMENT);
    CHECK(!strcmp(mpass_last_error()->text, "row 0: 2 values; the loss has 1 parameters"));
  }
  mpass_loss_free(loss);
  mpass_engine_free(engine);
  printf("samples are as chosen\n");
  return 0;
}
