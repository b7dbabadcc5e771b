/* One engine, several threads: losses are independent, results do not depend on what runs beside them, and a token
 * fired in a signal handler, in a hook or by another thread ends a run that keeps what it had found. */
#define _POSIX_C_SOURCE 200809L
#include "well.h"
#include <pthread.h>
#include <signal.h>
#include <string.h>

enum { N = 4 };
static mpass_cancel *token;
static int fire_at_paths;

static void on_signal(int number) {
  (void)number;
  mpass_cancel_fire(token);
}
static void progress(void *user, const char *stage, uint64_t done, uint64_t total, const char *detail) {
  (void)user; (void)done; (void)total; (void)detail;
  if (fire_at_paths && strcmp(stage, "paths") == 0) raise(SIGUSR1);
}

typedef struct { mpass_loss *loss; mpass_landscape *landscape; } task;
static void *explore(void *of) {
  CHECK(mpass_explore(((task *)of)->loss, NULL, &((task *)of)->landscape) == MPASS_OK);
  CHECK(mpass_last_error()->code == MPASS_OK); /* Each thread's own. */
  return NULL;
}
static int same(const mpass_landscape *a, const mpass_landscape *b) {
  const mpass_landscape_info *info = mpass_landscape_get_info(a), *other = mpass_landscape_get_info(b);
  if (memcmp(info, other, sizeof *info) != 0) return 0;
  for (uint64_t i = 0; i < info->n_minima; i++) {
    if (memcmp(mpass_landscape_minimum(a, i)->theta, mpass_landscape_minimum(b, i)->theta, 16) != 0) return 0;
  }
  for (uint64_t i = 0; i < info->n_paths; i++) {
    const mpass_path *p = mpass_landscape_path(a, i), *q = mpass_landscape_path(b, i);
    if (p->height != q->height || memcmp(p->loss, q->loss, 8 * p->n_samples) != 0) return 0;
  }
  return 1;
}

int main(void) {
  well wells[N] = { { 1, 0, 0, 0 }, { 1, 0, 0, 0 }, { 1, 0, 0, 0 }, { 1, 0, 0, 0 } };
  const char *names[N] = { "a", "b", "c", "d" };
  mpass_hooks hooks = { sizeof hooks, 0, NULL, NULL, progress };
  mpass_engine_options options = { .struct_size = sizeof options, .threads = 2, .hooks = &hooks };
  mpass_run_options run = { 0 };
  mpass_engine *engine = NULL;
  mpass_landscape *stopped = NULL;
  task tasks[N] = { { NULL, NULL } };
  pthread_t threads[N];
  CHECK(mpass_engine_new(&options, &engine) == MPASS_OK);
  for (int i = 0; i < N; i++) {
    CHECK(mpass_backend_register(engine, well_table(names[i]), &wells[i], well_drop) == MPASS_OK);
    CHECK(mpass_loss_open(engine, names[i], NULL, &tasks[i].loss) == MPASS_OK);
  }
  explore(&tasks[0]); /* Alone, then the others together. */
  for (int i = 1; i < N; i++) CHECK(pthread_create(&threads[i], NULL, explore, &tasks[i]) == 0);
  for (int i = 1; i < N; i++) CHECK(pthread_join(threads[i], NULL) == 0);
  for (int i = 1; i < N; i++) CHECK(same(tasks[0].landscape, tasks[i].landscape));

  token = mpass_cancel_new();
  signal(SIGUSR1, on_signal);
  fire_at_paths = 1;
  run.struct_size = sizeof run;
  run.cancel = token;
  CHECK(mpass_explore(tasks[0].loss, &run, &stopped) == MPASS_OK);
  CHECK(mpass_landscape_get_info(stopped)->ended == MPASS_ENDED_CANCELLED);
  CHECK(mpass_landscape_get_info(stopped)->n_minima == mpass_landscape_get_info(tasks[0].landscape)->n_minima);
  CHECK(mpass_landscape_get_info(stopped)->n_gradient < mpass_landscape_get_info(tasks[0].landscape)->n_gradient);

  mpass_cancel_free(token);
  mpass_landscape_free(stopped);
  mpass_engine_free(engine);
  for (int i = 0; i < N; i++) {
    mpass_landscape_free(tasks[i].landscape);
    mpass_loss_free(tasks[i].loss);
    CHECK(wells[i].dropped == 1);
  }
  printf("threads agree\n");
  return 0;
}
