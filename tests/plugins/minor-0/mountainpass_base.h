/* mountainpass_base.h: the words that both contracts share. C99 and C++11, no other includes.
 *
 * THE SIZE RULE. The module that fills a struct stamps struct_size; the module that reads it checks.
 * A field exists only if MPASS_HAS says so; a missing field reads as zero, so zero is the cautious answer.
 * Nobody writes into a struct another module sized, mpass_error excepted: its layout is frozen for ever.
 * New fields go at the end. Structs that may grow nest by pointer, never by value; structs marked frozen
 * never grow. No bool, C enum, bit-field or implicit padding. 64-bit targets.
 * THE OWNERSHIP RULE. Whoever allocates frees; a returned const pointer belongs to the handle it came
 * from. All text is UTF-8 and NUL-terminated. */
#ifndef MOUNTAINPASS_BASE_H
#define MOUNTAINPASS_BASE_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define MPASS_HAS(p, T, f) ((p)->struct_size >= offsetof(T, f) + sizeof((p)->f))
#define MPASS_NONE UINT64_MAX

typedef int32_t mpass_status; /* 0 = ok; a code you do not know means MPASS_E_INTERNAL */
enum {
  MPASS_OK = 0,
  MPASS_E_ARGUMENT = 1,     /* the caller asked for something that makes no sense */
  MPASS_E_UNSUPPORTED = 2,  /* it makes sense, but not here */
  MPASS_E_VERSION = 3,      /* the two modules do not speak the same contract */
  MPASS_E_NOT_FOUND = 4,
  MPASS_E_MEMORY = 5,
  MPASS_E_DEVICE = 6,
  MPASS_E_NUMERIC = 7,      /* not a number, or infinite */
  MPASS_E_CANCELLED = 8,
  MPASS_E_BUDGET = 9,
  MPASS_E_BUSY = 10,
  MPASS_E_BACKEND = 11,     /* a backend broke its promise */
  MPASS_E_POISONED = 12,    /* the handle failed before; only free it */
  MPASS_E_INTERNAL = 13
};

enum {                      /* dtype */
  MPASS_F32 = 1, MPASS_F64 = 2, MPASS_U64 = 3, MPASS_I64 = 4, MPASS_I32 = 5, MPASS_U8 = 6, MPASS_F16 = 7, MPASS_BF16 = 8
};
enum { MPASS_HOST = 0, MPASS_HOST_PINNED = 1, MPASS_CUDA = 2 }; /* memory */
enum { MPASS_LOG_ERROR = 1, MPASS_LOG_WARN = 2, MPASS_LOG_INFO = 3, MPASS_LOG_DEBUG = 4 };

typedef struct mpass_error { /* the caller's memory; frozen */
  mpass_status code;
  char text[508];
} mpass_error;

typedef struct mpass_view {  /* a row-major matrix someone else owns; frozen */
  void *data;
  uint64_t rows, cols;
  uint64_t row_stride;       /* elements from one row to the next, >= cols */
  uint32_t dtype, memory;
  uint32_t device;           /* ordinal within `memory`, 0 for host */
  uint32_t reserved;         /* 0 */
} mpass_view;

typedef struct mpass_array { /* an n-dimensional named array someone else owns; frozen */
  const char *name;          /* NULL where no name is needed */
  const void *data;
  const uint64_t *shape;     /* ndim */
  const int64_t *strides;    /* ndim, in elements; NULL = C order */
  uint32_t ndim, dtype;
} mpass_array;

typedef struct mpass_open {  /* which loss to open: from a caller to the engine, and on to the backend */
  uint32_t struct_size;
  uint32_t device;                             /* index as listed by probe */
  uint32_t max_threads;                        /* 0 = as many as the host offers */
  uint32_t n_options;
  const char *model;                           /* path or backend-specific name; NULL if model_bytes */
  const void *model_bytes;                     /* borrowed for the call only */
  uint64_t model_len;
  const char *const *keys, *const *values;     /* n_options strings; an unknown key is an error */
  const mpass_array *data;                     /* data sets in memory, by name; borrowed for the call only */
  uint64_t n_data;
  void *user;                                  /* as given at registration; NULL for a loaded file */
} mpass_open;

#ifdef __cplusplus
}
#endif
#endif
