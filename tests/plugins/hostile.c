/* (x^2 - 1)^2 + y^2 in the box [-2, 2]^2, and what a plugin must never do where y > 1.5: the model names it. */
#define _DEFAULT_SOURCE
#include "mountainpass_backend.h"
#include <math.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef struct { mpass_loss_info info; const mpass_host *host; char model[32]; int calls; } loss;

static int is(const loss *l, const char *sin) { return strcmp(l->model, sin) == 0; }
static volatile double sink;
static void say(const char *what, long number) {
  printf("%s %ld\n", what, number);
  fflush(stdout);
}
static void *haunt(void *memory) {
  for (;;) *(volatile char *)memory += 1; /* of a loss that is closed */
  return NULL;
}
static const mpass_device *probe(uint32_t index) {
  static const mpass_device cpu = { .struct_size = sizeof cpu, .name = "cpu" };
#ifdef ABORT_IN_PROBE
  abort();
#endif
  return index == 0 ? &cpu : NULL;
}
static mpass_status open_loss(const mpass_host *host, const mpass_open *open, void **out, mpass_error *err) {
  loss *l = calloc(1, sizeof *l);
  (void)err;
  if (!l) return MPASS_E_MEMORY;
  strncpy(l->model, open->model ? open->model : "", sizeof l->model - 1);
  l->host = host;
  l->info.struct_size = sizeof l->info;
  l->info.caps = MPASS_CAP_GRAD | MPASS_CAP_REPEATABLE | MPASS_CAP_SMOOTH;
  l->info.params = is(l, "no-parameters") ? 0 : is(l, "2^32") ? 1ull << 32 : is(l, "2^63") ? 1ull << 63 : 2;
  l->info.rows_best = is(l, "rows-2^32") ? 1ull << 32 : 0;
  l->info.dtypes = 1u << MPASS_F64;
  l->info.memories = 1u << MPASS_HOST;
  if (is(l, "abort-in-open")) abort();
  if (is(l, "no-exit-from-open")) for (;;) pause();
  if (is(l, "haunt")) {
    pthread_t thread;
    pthread_create(&thread, NULL, haunt, l);
  }
  if (is(l, "closed-streams")) for (int fd = 3; fd < 64; fd++) close(fd);
  if (is(l, "loud")) host->log(host->ctx, MPASS_LOG_WARN, "a line\nof a log");
  *out = l;
  return MPASS_OK;
}
static void close_loss(void *self) {
  if (is(self, "abort-in-close")) abort();
  free(self);
}
static const mpass_loss_info *info(const void *self) { return &((const loss *)self)->info; }
static mpass_status crash(void) { *(volatile int *)8 = 1; return MPASS_OK; }
#if defined(CRASH_ON_LOAD) || defined(EXIT_ON_LOAD)
__attribute__((constructor)) static void load(void) {
#ifdef CRASH_ON_LOAD
  crash();
#endif
  exit(0);
}
#endif
static mpass_status sin_here(loss *l, const mpass_eval *call, mpass_error *err, uint64_t row) {
  if (is(l, "crash")) crash();
  if (is(l, "abort")) abort();
  if (is(l, "exit")) exit(3);
  if (is(l, "hang")) for (;;) pause();
  if (is(l, "ignore")) { signal(SIGTERM, SIG_IGN); for (;;) sink = sqrt(sink); }
  if (is(l, "wait")) {
    while (!l->host->cancelled(l->host->ctx, call->cancel)) usleep(1000);
    return MPASS_E_CANCELLED;
  }
  if (is(l, "eat") || is(l, "eat-and-say")) {
    for (char *mine; (mine = malloc(1 << 22)); ) memset(mine, 1, 1 << 22);
    if (is(l, "eat")) abort();
    strcpy(err->text, "4 MiB more were not to be had");
    return MPASS_E_MEMORY;
  }
  if (is(l, "overrun")) call->loss[call->theta.rows] = 7;
  if (is(l, "scribble")) for (uint64_t i = 0; ; i++) call->loss[i] = 1e300;
  if (is(l, "scribble-in")) memset((void *)call->theta.data, 255, 1 << 17); /* the engine's shared memory */
  if (is(l, "nan")) { call->loss[row] = NAN; call->row_status[row] = MPASS_E_NUMERIC; }
  if (is(l, "lie")) call->loss[row] = NAN;
  return MPASS_OK;
}
static mpass_status eval(void *self, const mpass_eval *call, mpass_error *err) {
  loss *l = self;
  int first = l->calls++ == 0;
  if (is(l, "print")) say("hello from call", l->calls);
  if (is(l, "chdir") && chdir("/") != 0) return MPASS_E_INTERNAL;
  if (is(l, "return-twice") && first) fork();
  if (is(l, "family") && first) {
    pid_t child = fork();
    if (child == 0) for (;;) pause();
    say("child", child);
  }
  if (is(l, "slow") && first) { say("process", getpid()); sleep(600); }
  for (uint64_t r = 0; r < call->theta.rows; r++) {
    const double *at = (const double *)call->theta.data + 2 * r;
    double x = at[0], y = at[1], wall = x * x - 1, *g = call->grad.data ? (double *)call->grad.data + 2 * r : NULL;
    call->loss[r] = wall * wall + y * y;
    if (g) { g[0] = 4 * x * wall; g[1] = 2 * y; }
    if (y > 1.5 || is(l, "always")) {
      mpass_status status = is(l, "always") ? crash() : sin_here(l, call, err, r);
      if (status != MPASS_OK) return status;
    }
  }
  return MPASS_OK;
}
static mpass_status start(const void *self, uint64_t seed, double *theta, mpass_error *err) {
  (void)err;
  if (is(self, "crash-in-start")) crash();
  for (int i = 0; i < 2; i++) { /* Knuth's MMIX generator, uniform in the box */
    seed = seed * 6364136223846793005u + 1442695040888963407u;
    theta[i] = (double)(seed >> 11) / 9007199254740992.0 * 4 - 2;
  }
  return MPASS_OK;
}
static mpass_status box(const void *self, const double **lower, const double **upper, mpass_error *err) {
  static const double low[2] = { -2, -2 }, high[2] = { 2, 2 };
  (void)self; (void)err;
  *lower = low; *upper = high;
  return MPASS_OK;
}
static const void *extension(const char *id) {
  static const mpass_ext_start ext = { sizeof ext, 0, start, box };
  return strcmp(id, MPASS_EXT_START) == 0 ? &ext : NULL;
}
#ifndef NAME
#define NAME "hostile"
#endif
const mpass_backend *mpass_backend_entry_v0(const mpass_host *host, mpass_error *err) {
  static const mpass_backend table = {
    .struct_size = sizeof table, .abi_minor = MPASS_BACKEND_MINOR, .name = NAME, .version = "1.0",
    .probe = probe, .open = open_loss, .info = info, .eval = eval, .close = close_loss, .extension = extension };
  (void)host; (void)err;
#ifdef CRASH_IN_ENTRY
  crash();
#endif
  return &table;
}
