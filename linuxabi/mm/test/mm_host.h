/* SPDX-License-Identifier: MIT */
/*
 * linuxabi/mm on the build host: the files under test are included by the test,
 * everything below them is replaced here.  RAM is an array, page tables are a
 * flat one over a small window of addresses, there is one task.
 */
#ifndef LX_TEST_MM_HOST_H
#define LX_TEST_MM_HOST_H

extern unsigned long host_linear_base;
#define LINEAR_BASE host_linear_base
#define arch_current arm64_current
#include "reclaim.h"
#include "arch.h"
#undef arch_current
struct task *arch_current(void);
#include "../internal.h"

/* The host's libc, declared by hand: its headers clash with the personality's. */
int printf(const char *, ...);
int fflush(void *);
void *calloc(unsigned long, unsigned long);
void *malloc(unsigned long);
void free(void *);
void abort(void) __attribute__((noreturn));
char *getenv(const char *);
int fork(void);
int waitpid(int, int *, int);
void exit(int) __attribute__((noreturn));
unsigned long strtoul(const char *, char **, int);

#define CHECK(c) do { if (!(c)) { printf("%s:%d: %s\n", __FILE__, __LINE__, #c); fflush(0); abort(); } } while (0)

enum { HOST_RAM = 16 << 20, HOST_IPA = 0x40000000 };

unsigned long host_linear_base;
static struct task host_task;
static struct process host_process;
static struct cred host_cred;
static uint64_t host_limits[RLIMITS];
static long host_fail_after = -1;	/* kernel allocations until one fails; -1: never */

struct task *arch_current(void) { return &host_task; }
uint64_t rlimit(unsigned r) { return host_limits[r]; }

/* locks: one thread */
void spin_init(spinlock_t *l, unsigned rank) { l->rank = rank; l->next = 0; }
void spin_lock(spinlock_t *l) { CHECK(l->next == 0); l->next = 1; }
bool spin_trylock(spinlock_t *l) { CHECK(l->next == 0); l->next = 1; return true; }
void spin_unlock(spinlock_t *l) { CHECK(l->next == 1); l->next = 0; }
uint64_t spin_lock_irqsave(spinlock_t *l) { spin_lock(l); return 0; }
void spin_unlock_irqrestore(spinlock_t *l, uint64_t f) { (void)f; spin_unlock(l); }
uint64_t irq_save(void) { return 0; }
void irq_restore(uint64_t f) { (void)f; }
void mutex_init(struct mutex *m, unsigned rank) { m->owner = NULL; m->rank = rank; }
void mutex_lock(struct mutex *m) { CHECK(m->owner == NULL); m->owner = &host_task; }
bool mutex_trylock(struct mutex *m) { if (m->owner != NULL) return false; m->owner = &host_task; return true; }
void mutex_unlock(struct mutex *m) { CHECK(m->owner != NULL); m->owner = NULL; }
void ref_get(refcount_t *r) { CHECK(r->n > 0); r->n++; }
bool ref_get_unless_zero(refcount_t *r) { return r->n > 0 && r->n++; }
bool ref_put(refcount_t *r) { CHECK(r->n > 0); return --r->n == 0; }
unsigned cpu_id(void) { return 0; }
spinlock_t tasklist_lock;

/* memory of the kernel */
struct kcache { size_t size; };
static bool
host_fails(void)
{
	return host_fail_after >= 0 && host_fail_after-- == 0;
}
struct kcache *
kcache_create(const char *name, size_t size, size_t align)
{
	static struct kcache caches[8];
	static unsigned used;
	struct kcache *c = &caches[used++];

	(void)name;
	(void)align;
	c->size = size;
	return c;
}
void *kcache_alloc(struct kcache *c) { return host_fails() ? NULL : malloc(c->size); }
void *kcache_zalloc(struct kcache *c) { return host_fails() ? NULL : calloc(1, c->size); }
void kcache_free(struct kcache *c, void *p) { (void)c; free(p); }
void *kmalloc(size_t n) { return host_fails() ? NULL : malloc(n); }
void *kzalloc(size_t n) { return host_fails() ? NULL : calloc(1, n); }
void kfree(void *p) { free(p); }
void klog(int level, const char *fmt, ...) { (void)level; (void)fmt; }
void panic(const char *fmt, ...) { printf("panic: %s\n", fmt); abort(); }

/* what the allocator calls when there is nothing left */
bool signal_fatal_pending(struct task *t) { (void)t; return true; }
void oom_kill(void) { }
enum reclaimed reclaim_memory(void) { return RECLAIM_NOTHING; }
void task_prepare_wait(unsigned s) { (void)s; }
long task_wait(uint64_t d) { (void)d; return 0; }
void task_finish_wait(void) { }
uint64_t clock_monotonic(void) { return 0; }
void page_clear(void *p) { memset(p, 0, PAGE_SIZE); }
void page_copy(void *d, const void *s) { memcpy(d, s, PAGE_SIZE); }

static void
host_init(void)
{
	static char ram[HOST_RAM] __attribute__((aligned(4 << 20)));

	host_linear_base = (unsigned long)ram - HOST_IPA;
	host_task.process = &host_process;
	host_task.cred = &host_cred;
	host_cred.cap_effective = ~0UL;
	for (unsigned i = 0; i < RLIMITS; i++)
		host_limits[i] = UINT64_MAX;
}

static uint64_t host_seed = 88172645463325252ULL;

static uint64_t
rnd(void)
{
	host_seed ^= host_seed << 13;
	host_seed ^= host_seed >> 7;
	host_seed ^= host_seed << 17;
	return host_seed;
}

#endif
