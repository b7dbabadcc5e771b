/* Preloaded into a process, makes one of its calls that change files fail, or end it.
 *
 * FAULT_IN: only files whose path has this text in it count. FAULT_AT: which of the calls, from 1. FAULT: kill (before
 * the call), torn (half of a write, then killed), eio, enospc, short (half of a write), or none. FAULT_COUNT: a file
 * that gets the number of calls when the process ends by itself. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum fault { NONE, KILL, TORN, EIO_, ENOSPC_, SHORT };

static atomic_long calls;
static long at = -1;
static enum fault fault = NONE;
static const char *in = NULL;

#define REAL(name)                                                                                                    \
  static __typeof__(name) *real = NULL;                                                                               \
  if (!real) real = (__typeof__(name) *)dlsym(RTLD_NEXT, #name)

__attribute__((constructor)) static void begin(void) {
  static const char *names[] = {"none", "kill", "torn", "eio", "enospc", "short"};
  const char *number = getenv("FAULT_AT"), *name = getenv("FAULT");
  in = getenv("FAULT_IN");
  if (number) at = atol(number);
  for (int i = 0; name && i < 6; i++)
    if (!strcmp(names[i], name)) fault = (enum fault)i;
}

__attribute__((destructor)) static void end(void) {
  const char *path = getenv("FAULT_COUNT");
  FILE *file = path ? fopen(path, "w") : NULL;
  if (file) {
    fprintf(file, "%ld\n", atomic_load(&calls));
    fclose(file);
  }
}

static void die(void) {
  kill(getpid(), SIGKILL);
  pause();
}

/* What is to become of a call on a path that counts. */
static enum fault decide(int counts) {
  if (!counts || atomic_fetch_add(&calls, 1) + 1 != at) return NONE;
  if (fault == KILL) die();
  return fault;
}

static int is_path(const char *path) { return in && path && strstr(path, in) != NULL; }

static int is_file(int fd) {
  char link[64], path[4096];
  snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  ssize_t n = in ? readlink(link, path, sizeof path - 1) : -1;
  if (n < 0) return 0;
  path[n] = 0;
  return is_path(path);
}

static int failed(enum fault what) {
  if (what == TORN) die();
  errno = what == EIO_ ? EIO : ENOSPC;
  return -1;
}

/* A write of `n` bytes: all of it, half of it, none. */
#define WRITE(fd, n, half, whole)                                                                                     \
  switch (decide(is_file(fd))) {                                                                                      \
  case TORN:                                                                                                          \
    if ((n) > 1 && (half) < 0) return -1;                                                                             \
    die();                                                                                                            \
    return -1;                                                                                                        \
  case SHORT:                                                                                                         \
    return (n) > 1 ? (half) : (whole);                                                                                \
  case EIO_:                                                                                                          \
    return failed(EIO_);                                                                                              \
  case ENOSPC_:                                                                                                       \
    return failed(ENOSPC_);                                                                                           \
  default:                                                                                                            \
    return (whole);                                                                                                   \
  }

#define CALL(counts, call)                                                                                            \
  enum fault what = decide(counts);                                                                                   \
  return what == NONE || what == SHORT ? (call) : failed(what)

ssize_t write(int fd, const void *from, size_t n) {
  REAL(write);
  WRITE(fd, n, real(fd, from, n / 2), real(fd, from, n));
}
ssize_t pwrite64(int fd, const void *from, size_t n, off64_t to) {
  REAL(pwrite64);
  WRITE(fd, n, real(fd, from, n / 2, to), real(fd, from, n, to));
}
ssize_t pwrite(int fd, const void *from, size_t n, off_t to) { return pwrite64(fd, from, n, to); }
int fsync(int fd) {
  REAL(fsync);
  CALL(is_file(fd), real(fd));
}
int fdatasync(int fd) {
  REAL(fdatasync);
  CALL(is_file(fd), real(fd));
}
int ftruncate64(int fd, off64_t n) {
  REAL(ftruncate64);
  CALL(is_file(fd), real(fd, n));
}
int ftruncate(int fd, off_t n) { return ftruncate64(fd, n); }
int unlink(const char *path) {
  REAL(unlink);
  CALL(is_path(path), real(path));
}
int rename(const char *from, const char *to) {
  REAL(rename);
  CALL(is_path(to), real(from, to));
}
int mkdir(const char *path, mode_t mode) {
  REAL(mkdir);
  CALL(is_path(path), real(path, mode));
}

static int made(const char *path, int flags) { return (flags & O_CREAT) && is_path(path); }

#define OPEN(name)                                                                                                    \
  int name(const char *path, int flags, ...) {                                                                        \
    REAL(name);                                                                                                       \
    mode_t mode = 0;                                                                                                  \
    if (flags & (O_CREAT | O_TMPFILE)) {                                                                              \
      va_list more;                                                                                                   \
      va_start(more, flags);                                                                                          \
      mode = va_arg(more, mode_t);                                                                                    \
      va_end(more);                                                                                                   \
    }                                                                                                                 \
    CALL(made(path, flags), real(path, flags, mode));                                                                 \
  }
OPEN(open64)
OPEN(open)
