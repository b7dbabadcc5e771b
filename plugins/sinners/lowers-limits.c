/* SIN: lowers a limit of the whole process while it is loaded. FAILS: open.process */
#include "base.h"
#include <sys/resource.h>

__attribute__((constructor)) static void lowers(void) {
  struct rlimit files;
  getrlimit(RLIMIT_NOFILE, &files);
  files.rlim_cur -= 1;
  setrlimit(RLIMIT_NOFILE, &files);
}
