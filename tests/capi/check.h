/* What a test in C asserts: a condition, or a status with its one line. */
#ifndef CHECK_H
#define CHECK_H
#include "mountainpass.h"
#include <stdio.h>
#include <stdlib.h>

#define CHECK(yes) do { if (!(yes)) { \
  printf("%s:%d: %s\n  last error %d: %s\n", __FILE__, __LINE__, #yes, mpass_last_error()->code, mpass_last_error()->text); \
  exit(1); } } while (0)
/* The status, and the text where one is asked for. */
#define FAILS(call, status, line) do { CHECK((call) == (status)); says(__LINE__, status, line); } while (0)

static inline void says(int line, mpass_status status, const char *text) {
  const mpass_error *last = mpass_last_error();
  int same = 1;
  for (size_t i = 0; text && (same = text[i] == last->text[i]) && text[i]; i++) {}
  if (last->code == status && same) return;
  printf("line %d: last error is %d: %s\n     wanted %d: %s\n", line, last->code, last->text, status, text ? text : "anything");
  exit(1);
}
#endif
