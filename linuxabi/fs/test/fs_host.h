/* SPDX-License-Identifier: MIT */
/*
 * linuxabi/fs on the build host: the files under test are the real ones, what
 * they call below is here: memory by malloc (so that ASan sees each object), one
 * task that never sleeps, user memory that is the test's own.
 */
#ifndef LX_TEST_FS_HOST_H
#define LX_TEST_FS_HOST_H

#include "../internal.h"

int printf(const char *, ...);
int fflush(void *);
void *malloc(unsigned long);
void *calloc(unsigned long, unsigned long);
void *realloc(void *, unsigned long);
void free(void *);
void *aligned_alloc(unsigned long, unsigned long);
void abort(void) __attribute__((noreturn));
char *getenv(const char *);
unsigned long strtoul(const char *, char **, int);
int vsnprintf(char *, unsigned long, const char *, va_list);

#define CHECK(c) do { if (!(c)) { printf("%s:%d: %s\n", __FILE__, __LINE__, #c); fflush(0); abort(); } } while (0)
#define EXPECT(expr, want) do { long got_ = (long)(expr), want_ = (long)(want); \
	if (got_ != want_) { printf("%s:%d: %s is %ld, not %ld\n", __FILE__, __LINE__, #expr, got_, want_); \
		fflush(0); abort(); } } while (0)

void host_fs_init(void);
uint64_t rnd(void);
void rnd_seed(uint64_t);			/* 0: as it is from the start */
extern uint64_t host_limits[RLIMITS];
extern unsigned host_signals[65];	/* sent to the task, by number */
extern struct cred host_cred;
extern long host_wait_result;		/* what a sleep returns; 0: the test fails */
extern void (*host_wait_hook)(void);	/* runs instead of sleeping */
extern unsigned host_chunk_pages;	/* at the start of RAM, left to who allocates blocks; set before host_fs_init */
extern long host_objects;		/* allocated and not freed */

/* The calls as the C library would make them. */
#define U(p)	((uint64_t)(p))
static inline long t_open(const char *p, unsigned flags, unsigned mode) { return sys_openat((uint64_t)AT_FDCWD, U(p), flags, mode); }
static inline long t_mkdir(const char *p) { return sys_mkdirat((uint64_t)AT_FDCWD, U(p), 0755); }
static inline long t_unlink(const char *p) { return sys_unlinkat((uint64_t)AT_FDCWD, U(p), 0); }
static inline long t_rmdir(const char *p) { return sys_unlinkat((uint64_t)AT_FDCWD, U(p), AT_REMOVEDIR); }
static inline long t_symlink(const char *t, const char *p) { return sys_symlinkat(U(t), (uint64_t)AT_FDCWD, U(p)); }
static inline long t_link(const char *a, const char *b) { return sys_linkat((uint64_t)AT_FDCWD, U(a), (uint64_t)AT_FDCWD, U(b), 0); }
static inline long t_rename(const char *a, const char *b) { return sys_renameat2((uint64_t)AT_FDCWD, U(a), (uint64_t)AT_FDCWD, U(b), 0); }
static inline long t_stat(const char *p, struct stat *st) { return sys_newfstatat((uint64_t)AT_FDCWD, U(p), U(st), 0); }
static inline long t_lstat(const char *p, struct stat *st) { return sys_newfstatat((uint64_t)AT_FDCWD, U(p), U(st), AT_SYMLINK_NOFOLLOW); }

#endif
