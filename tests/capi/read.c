/* Everything a landscape and a barcode tell, checked against the closed form of the well and against one another. */
#include "well.h"
#include <math.h>
#include <string.h>

static int near(double a, double b) { return fabs(a - b) < 1e-7; } /* the search stops at a gradient of 1e-8 */

static mpass_view view(void *data, uint64_t rows, uint64_t cols, uint64_t stride, uint32_t dtype) {
  mpass_view v = { data, rows, cols, stride, dtype, MPASS_HOST, 0, 0 };
  return v;
}

static void evaluates(mpass_loss *loss) {
  /* Rows of two in memory three apart; the third row is not a number. */
  double theta[9] = { -1, 0, 99, 2, 1, 99, NAN, 0, 99 }, grad[9], value[3];
  float theta32[4] = { -1, 0, 2, 1 }, grad32[4];
  mpass_status status[3] = { 77, 77, 77 };
  mpass_eval call = { 0 };
  for (int i = 0; i < 9; i++) grad[i] = 55;
  call.struct_size = sizeof call;
  call.theta = view(theta, 3, 2, 3, MPASS_F64);
  call.grad = view(grad, 3, 2, 3, MPASS_F64);
  call.loss = value;
  call.row_status = status;
  CHECK(mpass_loss_eval(loss, &call) == MPASS_OK);
  CHECK(near(value[0], -5.0 / 6) && near(value[1], -16.0 / 3 + 1) && value[2] != value[2]);
  CHECK(status[0] == MPASS_OK && status[1] == MPASS_OK && status[2] == MPASS_E_NUMERIC);
  CHECK(near(grad[0], 0) && near(grad[4], 2) && grad[2] == 55 && grad[5] == 55 && grad[8] == 55);
  call.theta = view(theta32, 2, 2, 2, MPASS_F32);
  call.grad = view(grad32, 2, 2, 2, MPASS_F32);
  call.row_status = NULL;
  CHECK(mpass_loss_eval(loss, &call) == MPASS_OK);
  CHECK(near(value[1], -16.0 / 3 + 1) && grad32[3] == 2);
}

static void landscape_is_consistent(const mpass_landscape *landscape) {
  const mpass_landscape_info *info = mpass_landscape_get_info(landscape);
  uint64_t counted = 0, passes = 0, gradients = info->n_gradient;
  CHECK(info->struct_size >= sizeof *info && info->ended == MPASS_ENDED_COMPLETE && info->params == 2);
  CHECK(info->n_minima >= 8 && info->n_paths >= 1 && gradients > 0 && info->noise > 0 && info->noise < 1e-12);
  for (uint64_t i = 0; i < info->n_minima; i++) {
    const mpass_minimum *m = mpass_landscape_minimum(landscape, i);
    CHECK(m && near(m->loss, m->theta[0] < 0 ? -5.0 / 6 : -16.0 / 3));
    CHECK(m->gradient_norm <= 1e-6 && m->seed == 100 + i && m->path == MPASS_NONE);
    CHECK((m->same_as == MPASS_NONE) == ((m->flags & MPASS_MINIMUM_COUNTS) != 0));
    counted += m->flags & MPASS_MINIMUM_COUNTS;
  }
  CHECK(counted == 2);
  for (uint64_t i = 0; i < info->n_paths; i++) {
    const mpass_path *p = mpass_landscape_path(landscape, i);
    const mpass_minimum *from = NULL, *to = NULL;
    CHECK(p && p->id == i && p->n_samples > 2 && p->n_knots >= 2);
    for (uint64_t k = 0; k < info->n_minima; k++) {
      const mpass_minimum *m = mpass_landscape_minimum(landscape, k);
      if (m->cell == p->from_cell) from = m;
      if (m->cell == p->to_cell) to = m;
    }
    CHECK(from && to && memcmp(p->knots, from->theta, 16) == 0);
    CHECK(near(p->knots[2 * p->n_knots - 2], to->theta[0]) && near(p->loss[0], from->loss));
    CHECK(near(p->loss[p->n_samples - 1], to->loss) && p->arc[0] == 0 && p->pass_arc > 0);
    CHECK(p->pass_arc < p->arc[p->n_samples - 1] && p->height > -1e-9);
    /* Rivals may lead over higher ground. */
    passes += fabs(p->pass_theta[0]) < 1e-3 && p->height + p->height_error < 1e-5;
    for (uint64_t k = 0; k < p->n_samples; k++) CHECK(p->loss[k] <= p->height && (k == 0 || p->arc[k] >= p->arc[k - 1]));
  }
  CHECK(passes > 0 && mpass_landscape_minimum(landscape, info->n_minima) == NULL);
  CHECK(mpass_landscape_path(landscape, MPASS_NONE) == NULL && mpass_last_error()->code == MPASS_E_ARGUMENT);
}

static void barcode_is_known(const mpass_barcode *barcode) {
  uint64_t n = 0;
  double distance = 0;
  const mpass_bar *bars = mpass_barcode_bars(barcode, &n);
  const mpass_score *score = mpass_barcode_score(barcode, 0);
  CHECK(n == 2 && near(bars[0].birth, -16.0 / 3) && bars[0].death == INFINITY);
  CHECK(bars[0].death_kind == MPASS_DEATH_NEVER && bars[0].death_cell == MPASS_NONE && bars[0].path == MPASS_NONE);
  CHECK(near(bars[1].birth, -5.0 / 6) && fabs(bars[1].death) < 1e-5 && bars[1].elder_cell == bars[0].birth_cell);
  CHECK(bars[1].death_kind == MPASS_DEATH_PATH_MAXIMUM || bars[1].death_kind == MPASS_DEATH_VERIFIED_SADDLE);
  CHECK(bars[1].flags == 0 && bars[1].degree == 0 && bars[1].reserved == 0 && bars[1].death_error < 1e-5);
  CHECK(score && score->bars == 1 && score->essential == 1 && score->doubtful == 0 && !score->without_doubtful);
  CHECK(score->total == bars[1].death - bars[1].birth && score->mean == score->total && score->max == score->total);
  CHECK(score->bottleneck == score->total / 2 && mpass_barcode_score(barcode, 1) == NULL);
  CHECK(mpass_barcode_wasserstein(barcode, 0, INFINITY, &distance) == MPASS_OK && distance == score->bottleneck);
  CHECK(mpass_barcode_wasserstein(barcode, 0, 2, &distance) == MPASS_OK && near(distance, score->wasserstein_2));
  distance = 5;
  FAILS(mpass_barcode_wasserstein(barcode, 0, 0.5, &distance), MPASS_E_ARGUMENT, "q is 0.5: it must be from 1 to INFINITY");
  CHECK(distance == 5);
}

static void backends_are_listed(mpass_engine *engine) {
  const mpass_backend_info *first = mpass_engine_backend(engine, 0);
  CHECK(first && first->struct_size >= sizeof *first && strcmp(first->name, "well") == 0 && strcmp(first->version, "1") == 0);
  CHECK(first->file == NULL && first->n_devices == 1 && first->devices[0]->memory == MPASS_HOST);
  CHECK(strcmp(first->devices[0]->name, "cpu") == 0 && first->devices[0]->memory_bytes == 0);
  CHECK(mpass_engine_backend(engine, 0) == first); /* It stays where it is. */
  CHECK(mpass_engine_backend(engine, 1) == NULL && mpass_last_error()->code == MPASS_E_ARGUMENT);
}

static void distances_are_known(const mpass_barcode *two) {
  /* The well with k = 3: half-lines at -8 and -16/3, bars [-5/4, 0) and [-5/6, 0). */
  well w = { 3, 0, 0, 0 };
  mpass_engine *engine = NULL;
  mpass_loss *loss = NULL;
  mpass_landscape *landscape = NULL;
  mpass_barcode *three = NULL;
  double distance = 5;
  CHECK(mpass_engine_new(NULL, &engine) == MPASS_OK);
  CHECK(mpass_backend_register(engine, well_table("well"), &w, NULL) == MPASS_OK);
  CHECK(mpass_loss_open(engine, "well", NULL, &loss) == MPASS_OK);
  CHECK(mpass_explore(loss, NULL, &landscape) == MPASS_OK && mpass_barcode_compute(landscape, &three) == MPASS_OK);
  CHECK(mpass_barcode_distance(two, three, 0, INFINITY, &distance) == MPASS_OK && near(distance, 8.0 / 3));
  /* Two minima with a gradient of 1e-8, and two heights bracketed to 1e-6 of themselves. */
  CHECK(mpass_barcode_distance(three, two, 0, 1, &distance) == MPASS_OK && fabs(distance - 37.0 / 12) < 1e-5);
  CHECK(mpass_barcode_distance(two, two, 0, 2, &distance) == MPASS_OK && distance == 0);
  CHECK(mpass_barcode_distance(two, three, 9, INFINITY, &distance) == MPASS_OK && distance == 0);
  distance = 5;
  FAILS(mpass_barcode_distance(two, three, 0, 0, &distance), MPASS_E_ARGUMENT,
        "the order of a Wasserstein distance is from 1 to inf: 0 is not");
  FAILS(mpass_barcode_distance(two, NULL, 0, 1, &distance), MPASS_E_ARGUMENT, "b is NULL");
  FAILS(mpass_barcode_distance(two, three, 0, 1, NULL), MPASS_E_ARGUMENT, "out is NULL");
  CHECK(distance == 5);
  mpass_barcode_free(three);
  mpass_landscape_free(landscape);
  mpass_loss_free(loss);
  mpass_engine_free(engine);
}

int main(void) {
  well w = { 2, 0, 0, 0 };
  mpass_engine *engine = NULL;
  mpass_loss *loss = NULL;
  mpass_landscape *landscape = NULL;
  mpass_barcode *barcode = NULL;
  mpass_run_options run = { 0 };
  run.struct_size = sizeof run;
  run.config = "[minima]\nseed = 100\nstarts = 12\n";
  CHECK(mpass_version() == MPASS_VERSION);
  CHECK(mpass_engine_new(NULL, &engine) == MPASS_OK);
  CHECK(mpass_backend_register(engine, well_table("well"), &w, well_drop) == MPASS_OK);
  CHECK(mpass_loss_open(engine, "well", NULL, &loss) == MPASS_OK);
  backends_are_listed(engine);
  mpass_engine_free(engine); /* The loss, */
  CHECK(w.dropped == 0 && mpass_loss_get_info(loss)->params == 2);
  evaluates(loss);
  CHECK(mpass_explore(loss, &run, &landscape) == MPASS_OK);
  mpass_loss_free(loss); /* the landscape, */
  CHECK(w.dropped == 1);
  CHECK(mpass_barcode_compute(landscape, &barcode) == MPASS_OK);
  landscape_is_consistent(landscape);
  mpass_landscape_free(landscape); /* and the barcode each live on without what they came from. */
  barcode_is_known(barcode);
  distances_are_known(barcode);
  printf("%s", mpass_barcode_json(barcode));
  mpass_barcode_free(barcode);
  return 0;
}
