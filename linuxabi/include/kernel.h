/* SPDX-License-Identifier: MIT */
/*
 * What every file of the personality may use: memory, strings, log, assertions.
 * Owner: linuxabi/lib and linuxabi/mm (pages).
 */
#ifndef LX_KERNEL_H
#define LX_KERNEL_H

#include <asm/errno.h>
#include "list.h"
#include "sync.h"
#include "types.h"

/* Results inside the kernel that no program ever sees (restart of calls). */
enum { ERESTARTSYS = 512, ERESTARTNOINTR = 513, ERESTARTNOHAND = 514, ERESTART_RESTARTBLOCK = 516 };

/* Log: to the world's log channel, and kept for syslog(2)/dmesg.  Levels as in Linux. */
enum { LOG_EMERG, LOG_ALERT, LOG_CRIT, LOG_ERR, LOG_WARNING, LOG_NOTICE, LOG_INFO, LOG_DEBUG };
void klog(int level, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void panic(const char *fmt, ...) __attribute__((format(printf, 1, 2), noreturn));
int ksnprintf(char *buf, size_t size, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
int kvsnprintf(char *buf, size_t size, const char *fmt, va_list ap);

#define assert(c)	((c) ? (void)0 : panic("%s:%d: assertion failed: %s", __FILE__, __LINE__, #c))

/* Memory of the kernel itself.  kmalloc returns NULL when there is none;
 * up to 4 MiB; 16-byte aligned, 64-byte from 64 bytes on; may be called with
 * spinlocks of a rank below 110 held.  kzalloc clears. */
void *kmalloc(size_t bytes);
void *kzalloc(size_t bytes);
void slab_init(void);			/* after page_init */
void *krealloc(void *, size_t bytes);
void kfree(void *);			/* NULL is fine */
char *kstrdup(const char *);

/* Caches of equal objects: per-CPU magazines. */
struct kcache;
struct kcache *kcache_create(const char *name, size_t size, size_t align);
void *kcache_alloc(struct kcache *);
void *kcache_zalloc(struct kcache *);
void kcache_free(struct kcache *, void *);

void *memcpy(void *, const void *, size_t);
void *memmove(void *, const void *, size_t);
void *memset(void *, int, size_t);
int memcmp(const void *, const void *, size_t);
void *memchr(const void *, int, size_t);
size_t strlen(const char *);
size_t strnlen(const char *, size_t);
int strcmp(const char *, const char *);
int strncmp(const char *, const char *, size_t);
char *strchr(const char *, int);
char *strrchr(const char *, int);
size_t strlcpy(char *, const char *, size_t);	/* returns strlen(src) */

/* Random bytes (ChaCha20, seeded as DESIGN 5).  ready: getrandom need not wait. */
void random_bytes(void *, size_t);
bool random_ready(void);
void random_add(const void *, size_t, unsigned bits);

#endif
