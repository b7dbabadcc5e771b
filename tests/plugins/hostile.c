/* (x^2 - 1)^2 + y^2 in the box [-2, 2]^2, and what a plugin must never do. The model names the sin; the option "in" the
 * slot that commits it, eval unless said, where y > 1.5 (as metrics do) or, in start, for seed 3; the option "once" a file
 * that the first sinner makes and every later one respects. */
#define _GNU_SOURCE
#include "mountainpass_backend.h"
#include <fcntl.h>
#include <math.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

typedef struct { mpass_loss_info info; const mpass_host *host; char model[32], in[16], once[256]; int calls; } loss;

static int is(const loss *l, const char *sin) { return strcmp(l->model, sin) == 0; }
static volatile double sink;
static void say(const char *what, long number) {
  printf("%s %ld\n", what, number);
  fflush(stdout);
}
static int is_first(const char *file) { return open(file, O_CREAT | O_EXCL, 0600) >= 0; }
static int due(const loss *l, const char *slot) { return !strcmp(l->in, slot) && (!*l->once || is_first(l->once)); }

/* Calls `harm` for each mapping of the memory that this process shares with the engine. */
static void shared(void (*harm)(char *at, size_t size, size_t from)) {
  FILE *maps = fopen("/proc/self/maps", "r");
  char line[512];
  unsigned long low, high, from;
  if (!maps) return;
  while (fgets(line, sizeof line, maps))
    if (strstr(line, "memfd:mpass") && sscanf(line, "%lx-%lx %*s %lx", &low, &high, &from) == 3)
      harm((char *)low, high - low, from);
  fclose(maps);
}
static void unmap(char *at, size_t size, size_t from) { (void)from; munmap(at, size); }
static void fill(char *at, size_t size, size_t from) { (void)from; memset(at, 0x3f, size); } /* 0.00048 everywhere */
static void fill_payload(char *at, size_t size, size_t from) { if (from) fill(at, size, from); }
static void punch(char *at, size_t size, size_t from) { (void)from; madvise(at, size, MADV_REMOVE); }
static void fire(char *at, size_t size, size_t from) { (void)size; if (!from) *(volatile uint32_t *)(at + 20) = 1; }
static void turn_on(char *at, size_t size, size_t from) { (void)size; if (!from) *(volatile uint32_t *)(at + 64) += 1; }

static void *haunt(void *memory) {
  for (;;) *(volatile char *)memory += 1; /* of a loss that is closed */
  return NULL;
}
static void *haunt_shared(void *nothing) {
  for (;;) { shared(fill_payload); usleep(300); }
  return nothing;
}
static void begin(void *(*body)(void *), void *argument) {
  pthread_t thread;
  pthread_create(&thread, NULL, body, argument);
}
static mpass_status crash(void) { *(volatile int *)8 = 1; return MPASS_OK; }
static void hang(void) { for (;;) pause(); }
static void limited(int resource, rlim_t most) {
  struct rlimit limit = { most, most };
  setrlimit(resource, &limit);
}
static int eaten(int flags, long mib) { /* whether so much was to be had */
  for (; mib > 0; mib -= 4) {
    char *mine = mmap(NULL, 4 << 20, PROT_READ | PROT_WRITE, flags | MAP_ANONYMOUS, -1, 0);
    if (mine == MAP_FAILED) return 0;
    memset(mine, 1, 4 << 20);
  }
  return 1;
}

/* What may be done anywhere. */
static mpass_status sins(const loss *l, mpass_error *err) {
  if (is(l, "crash")) crash();
  if (is(l, "abort")) abort();
  if (is(l, "exit")) exit(3);
  if (is(l, "hang-and-say")) say("process", getpid());
  if (is(l, "hang") || is(l, "hang-and-say")) hang();
  if (is(l, "ignore")) { signal(SIGTERM, SIG_IGN); for (;;) sink = sqrt(sink); }
  if (is(l, "stop")) raise(SIGSTOP);
  if (is(l, "eat") || is(l, "eat-and-say")) {
    eaten(MAP_PRIVATE, 1 << 20);
    if (is(l, "eat")) abort();
    strcpy(err->text, "4 MiB more were not to be had");
    return MPASS_E_MEMORY;
  }
  if (is(l, "raise-the-limit")) {
    struct rlimit limit;
    getrlimit(RLIMIT_DATA, &limit);
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_DATA, &limit);
    if (!eaten(MAP_PRIVATE, 512)) abort();
  }
  if (is(l, "share")) { eaten(MAP_SHARED, 1024); hang(); }
  if (is(l, "leave-group")) { setpgid(0, getpgid(getppid())); hang(); }
  if (is(l, "child-answers")) { /* by the system call, past all that fork does first */
    pid_t child = (pid_t)syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0);
    if (child != 0) { waitpid(child, NULL, 0); _exit(9); }
  }
  if (is(l, "unmap")) shared(unmap);
  if (is(l, "fill")) shared(fill);
  if (is(l, "punch")) shared(punch);
  if (is(l, "fire")) { shared(fire); usleep(100000); return MPASS_E_CANCELLED; }
  if (is(l, "turn-on")) shared(turn_on);
  if (is(l, "no-room")) limited(RLIMIT_AS, 1 << 20);
  if (is(l, "no-files")) limited(RLIMIT_NOFILE, 0);
  if (is(l, "close-all")) syscall(436 /* close_range */, 0, ~0u, 0);
  if (is(l, "write-all")) {
    static const char junk[8192] = "junk\n";
    for (int fd = 3; fd < 1024; fd++) {
      if (pwrite(fd, junk, sizeof junk, 0) != -1 || write(fd, junk, 5) != -1) continue;
      if (ftruncate(fd, 0) == 0) continue;
    }
  }
  if (is(l, "flood")) for (;;) l->host->log(l->host->ctx, MPASS_LOG_WARN, "and on");
  if (is(l, "flood-and-go-on"))
    for (int i = 0; i < 5000; i++) l->host->log(l->host->ctx, MPASS_LOG_WARN, "and on");
  return MPASS_OK;
}
/* What only eval may do. */
static mpass_status sin_here(loss *l, const mpass_eval *call, mpass_error *err, uint64_t row) {
  if (is(l, "wait")) {
    while (!l->host->cancelled(l->host->ctx, call->cancel)) usleep(1000);
    return MPASS_E_CANCELLED;
  }
  if (is(l, "overrun")) call->loss[call->theta.rows] = 7;
  if (is(l, "scribble")) for (uint64_t i = 0; ; i++) call->loss[i] = 1e300;
  if (is(l, "scribble-in")) memset((void *)call->theta.data, 0x3f, 16 * call->theta.rows);
  if (is(l, "nan")) { call->loss[row] = NAN; call->row_status[row] = MPASS_E_NUMERIC; }
  if (is(l, "lie")) call->loss[row] = NAN;
  return sins(l, err);
}

static const mpass_device *probe(uint32_t index) {
  static const mpass_device cpu = { .struct_size = sizeof cpu, .name = "cpu" };
#ifdef ABORT_IN_PROBE
  if (index == 0) abort();
#endif
#ifdef ABORT_ONCE_IN_PROBE
  if (index == 0 && is_first(ABORT_ONCE_IN_PROBE)) abort();
#endif
  return index == 0 ? &cpu : NULL;
}
static mpass_status open_loss(const mpass_host *host, const mpass_open *open, void **out, mpass_error *err) {
  loss *l = calloc(1, sizeof *l);
  if (!l) return MPASS_E_MEMORY;
  strncpy(l->model, open->model ? open->model : "", sizeof l->model - 1);
  strcpy(l->in, "eval");
  for (uint32_t i = 0; i < open->n_options; i++) {
    if (!strcmp(open->keys[i], "in")) strncpy(l->in, open->values[i], sizeof l->in - 1);
    if (!strcmp(open->keys[i], "once")) strncpy(l->once, open->values[i], sizeof l->once - 1);
  }
  l->host = host;
  l->info.struct_size = sizeof l->info;
  l->info.caps = MPASS_CAP_GRAD | MPASS_CAP_REPEATABLE | MPASS_CAP_SMOOTH;
  l->info.params = is(l, "no-parameters") ? 0 : is(l, "2^32") ? 1ull << 32 : is(l, "2^63") ? 1ull << 63 : 2;
  l->info.rows_best = is(l, "rows-2^32") ? 1ull << 32 : 0;
  l->info.rows_max = is(l, "one-by-one") ? 1 : 0;
  l->info.dtypes = 1u << MPASS_F64;
  l->info.memories = 1u << MPASS_HOST;
  if (is(l, "haunt")) begin(haunt, l);
  if (is(l, "haunt-shared")) begin(haunt_shared, NULL);
  if (is(l, "closed-streams")) for (int fd = 3; fd < 64; fd++) close(fd);
  if (is(l, "loud")) host->log(host->ctx, MPASS_LOG_WARN, "a line\nof a log");
  *out = l;
  return due(l, "open") ? sins(l, err) : MPASS_OK;
}
static void close_loss(void *self) {
  if (due(self, "close")) sins(self, NULL);
  free(self);
}
static const mpass_loss_info *info(const void *self) { return &((const loss *)self)->info; }
#if defined(CRASH_ON_LOAD) || defined(EXIT_ON_LOAD) || defined(CRASH_ONCE_ON_LOAD)
__attribute__((constructor)) static void load(void) {
#ifdef CRASH_ON_LOAD
  crash();
#endif
#ifdef CRASH_ONCE_ON_LOAD
  if (is_first(CRASH_ONCE_ON_LOAD)) crash();
#else
  exit(0);
#endif
}
#endif
static mpass_status eval(void *self, const mpass_eval *call, mpass_error *err) {
  loss *l = self;
  int first = l->calls++ == 0;
  if (is(l, "print")) say("hello from call", l->calls);
  if (is(l, "chdir") && chdir("/") != 0) return MPASS_E_INTERNAL;
  if (is(l, "return-twice") && first) fork();
  if (is(l, "family") && first) {
    pid_t child = fork();
    if (child == 0) hang();
    say("child", child);
  }
  if (is(l, "slow") && first) { say("process", getpid()); sleep(600); }
  if (is(l, "one-by-one")) usleep(250000);
  if (is(l, "share-slowly")) eaten(MAP_SHARED, 4);
  for (uint64_t r = 0; r < call->theta.rows; r++) {
    const double *at = (const double *)call->theta.data + 2 * r;
    double x = at[0], y = at[1], wall = x * x - 1, *g = call->grad.data ? (double *)call->grad.data + 2 * r : NULL;
    call->loss[r] = wall * wall + y * y;
    if (g) { g[0] = 4 * x * wall; g[1] = 2 * y; }
    if ((y > 1.5 && due(l, "eval")) || is(l, "always")) {
      mpass_status status = is(l, "always") ? crash() : sin_here(l, call, err, r);
      if (status != MPASS_OK) return status;
    }
  }
  return MPASS_OK;
}

static mpass_status start(const void *self, uint64_t seed, double *theta, mpass_error *err) {
  if (seed == 3 && due(self, "start")) {
    mpass_status status = sins(self, err);
    if (status != MPASS_OK) return status;
  }
  for (int i = 0; i < 2; i++) { /* Knuth's MMIX generator, uniform in the box */
    seed = seed * 6364136223846793005u + 1442695040888963407u;
    theta[i] = (double)(seed >> 11) / 9007199254740992.0 * 4 - 2;
  }
  return MPASS_OK;
}
static mpass_status box(const void *self, const double **lower, const double **upper, mpass_error *err) {
  static const double low[2] = { -2, -2 }, high[2] = { 2, 2 };
  *lower = low; *upper = high;
  return due(self, "box") ? sins(self, err) : MPASS_OK;
}
static mpass_status blocks(const void *self, const mpass_parameter **out, uint64_t *count, mpass_error *err) {
  static const mpass_parameter both[2] = { { "x", NULL, 0, 0, 0 }, { "y", NULL, 1, 0, 0 } };
  *out = both; *count = 2;
  return due(self, "parameters") ? sins(self, err) : MPASS_OK;
}
static mpass_status names(const void *self, uint32_t split, const char *const **out, uint64_t *count, mpass_error *err) {
  static const char *const both[2] = { "sum", "product" };
  *out = both; *count = split == MPASS_TRAIN ? 2 : 0;
  return due(self, "names") ? sins(self, err) : MPASS_OK;
}
static mpass_status metrics(void *self, uint32_t split, const mpass_view *theta, double *out, mpass_error *err) {
  (void)split;
  for (uint64_t r = 0; r < theta->rows; r++) {
    const double *at = (const double *)theta->data + 2 * r;
    out[2 * r] = at[0] + at[1]; out[2 * r + 1] = at[0] * at[1];
    if ((at[1] > 1.5 && due(self, "metrics")) || due(self, "all-metrics")) {
      mpass_status status = sins(self, err);
      if (status != MPASS_OK) return status;
    }
  }
  return MPASS_OK;
}
static mpass_status symmetries(const void *self, const mpass_symmetry **out, uint64_t *count, mpass_error *err) {
  static const uint64_t y = 1;
  static const mpass_symmetry mirror = { MPASS_SYMMETRY_SIGN, 0, 1, 1, &y, 0, 0 };
  *out = &mirror; *count = 1;
  return due(self, "symmetry") ? sins(self, err) : MPASS_OK;
}
static const mpass_identity *identity(const void *self) {
  static const mpass_identity nobody = { sizeof nobody, 0, "", "", "hostile = true", "" };
  if (due(self, "identity")) sins(self, NULL);
  return &nobody;
}
static const void *extension(const char *id) {
  static const mpass_ext_start s = { sizeof s, 0, start, box };
  static const mpass_ext_parameters p = { sizeof p, 0, blocks };
  static const mpass_ext_metrics m = { sizeof m, 0, names, metrics };
  static const mpass_ext_symmetry y = { sizeof y, 0, symmetries };
  static const mpass_ext_identity i = { sizeof i, 0, identity };
  return !strcmp(id, MPASS_EXT_START) ? (const void *)&s : !strcmp(id, MPASS_EXT_PARAMETERS) ? (const void *)&p :
    !strcmp(id, MPASS_EXT_METRICS) ? (const void *)&m : !strcmp(id, MPASS_EXT_SYMMETRY) ? (const void *)&y :
    !strcmp(id, MPASS_EXT_IDENTITY) ? (const void *)&i : NULL;
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
