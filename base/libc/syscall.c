/* SPDX-License-Identifier: MIT */
/*
 * The C library's system calls on the native runtime.  A native component has
 * one thread, a heap region, a log and a clock; what needs more (files,
 * processes, signals) is ENOSYS.  Numbers and structures are Linux's generic
 * ones (asm-generic/unistd.h), which musl was built with.
 */
#include <tessera/runtime.h>
#include "pages.h"

enum {
	SYS_IOCTL = 29, SYS_CLOSE = 57, SYS_READ = 63, SYS_WRITE = 64, SYS_WRITEV = 66,
	SYS_EXIT = 93, SYS_EXIT_GROUP = 94, SYS_SET_TID_ADDRESS = 96, SYS_FUTEX = 98,
	SYS_SET_ROBUST_LIST = 99, SYS_NANOSLEEP = 101, SYS_CLOCK_GETTIME = 113,
	SYS_CLOCK_GETRES = 114, SYS_CLOCK_NANOSLEEP = 115, SYS_SCHED_YIELD = 124,
	SYS_TKILL = 130, SYS_RT_SIGPROCMASK = 135, SYS_GETPID = 172, SYS_GETTID = 178,
	SYS_BRK = 214, SYS_MUNMAP = 215, SYS_MMAP = 222, SYS_MPROTECT = 226, SYS_MADVISE = 233,
	SYS_GETRANDOM = 278,
};
enum { EBADF = 9, EAGAIN = 11, ENOMEM = 12, EINVAL = 22, ENOTTY = 25, ENOSYS = 38 };
enum { MAP_ANONYMOUS = 0x20, MAP_FIXED = 0x10, FUTEX_WAIT = 0, FUTEX_WAKE = 1, FUTEX_OP = 0x7f };
enum { CLOCK_REALTIME = 0, CLOCK_MONOTONIC = 1, CLOCK_LAST = 7, TIMER_ABSTIME = 1 };
enum { SIGNAL_STATUS = 128 };	/* what a shell calls being killed by a signal */

struct timespec { int64_t sec, nsec; };
struct iovec { const void *base; size_t size; };

static const int64_t SECOND_NS = 1000000000;

static struct pages heap;
static bool heap_ready;
static size_t heap_mapped;			/* bytes */

/* ---- output ------------------------------------------------------------- */

/* Standard output and error are the log; what it has no room for is lost, as
 * with every log, and the program is not told. */
static long
sys_write_log(long fd, const void *bytes, size_t count)
{
	if (fd != 1 && fd != 2)
		return -EBADF;
	log_bytes(bytes, count);
	return (long)count;
}

static long
sys_writev(long fd, const struct iovec *v, long count)
{
	long sum = 0, n;

	for (long i = 0; i < count; i++) {
		n = sys_write_log(fd, v[i].base, v[i].size);
		if (n < 0)
			return n;
		sum += n;
	}
	return sum;
}

/* ---- memory ------------------------------------------------------------- */

static struct pages *
heap_pages(void)
{
	size_t bytes;
	void *region;

	if (!heap_ready) {
		region = heap_region(&bytes);
		heap_ready = pages_init(&heap, region, bytes);
	}
	return heap_ready ? &heap : NULL;
}

static size_t
pages_of(uint64_t bytes)
{
	return (size_t)(bytes / PAGES_PAGE + (bytes % PAGES_PAGE != 0));
}

static long
sys_mmap(uint64_t bytes, long flags)
{
	struct pages *pages = heap_pages();
	void *start;

	if (bytes == 0)
		return -EINVAL;
	if ((flags & MAP_ANONYMOUS) == 0 || (flags & MAP_FIXED) != 0 || pages == NULL)
		return -ENOMEM;
	start = pages_map(pages, pages_of(bytes));
	if (start == NULL)
		return -ENOMEM;
	heap_mapped += pages_of(bytes) * PAGES_PAGE;
	heap_in_use(heap_mapped);
	return (long)start;
}

static long
sys_munmap(void *start, uint64_t bytes)
{
	struct pages *pages = heap_pages();

	if (pages == NULL || !pages_unmap(pages, start, pages_of(bytes)))
		return -EINVAL;
	heap_mapped -= pages_of(bytes) * PAGES_PAGE;
	return 0;
}

/* ---- time --------------------------------------------------------------- */

static int64_t
clock_ns(long clock)
{
	uint64_t now = time_ticks();

	if (clock == CLOCK_REALTIME && component->wall_time_ns != 0)
		return (int64_t)(component->wall_time_ns +
		    time_ns_of_ticks(now - component->wall_time_ticks));
	return (int64_t)time_ns_of_ticks(now);
}

static long
sys_clock_gettime(long clock, struct timespec *to)
{
	int64_t ns;

	if (clock < 0 || clock > CLOCK_LAST)
		return -EINVAL;
	ns = clock_ns(clock);
	to->sec = ns / SECOND_NS;
	to->nsec = ns % SECOND_NS;
	return 0;
}

static long
sys_clock_getres(long clock, struct timespec *to)
{
	if (clock < 0 || clock > CLOCK_LAST)
		return -EINVAL;
	to->sec = 0;
	to->nsec = SECOND_NS / component->timer_hz + 1;
	return 0;
}

/* Doorbells that ring meanwhile are not lost: bell_wait of a component that
 * mixes both would be, so such a component sleeps by its own loop. */
static long
sleep_until(uint64_t ticks)
{
	while (time_ticks() < ticks)
		bell_wait(ticks);
	return 0;
}

static long
sys_clock_nanosleep(long clock, long flags, const struct timespec *t)
{
	int64_t ns;

	if (t->nsec < 0 || t->nsec >= SECOND_NS || t->sec < 0 || t->sec > INT64_MAX / SECOND_NS - 1)
		return -EINVAL;
	ns = t->sec * SECOND_NS + t->nsec;
	if (flags & TIMER_ABSTIME)
		ns -= clock_ns(clock);
	return ns <= 0 ? 0 : sleep_until(time_ticks() + time_ticks_of_ns((uint64_t)ns) + 1);
}

/* ---- the rest ----------------------------------------------------------- */

/* One thread: who waits for a value that is there would wait for ever. */
static long
sys_futex(const int32_t *word, long op, int32_t value)
{
	if ((op & FUTEX_OP) == FUTEX_WAKE)
		return 0;
	if ((op & FUTEX_OP) != FUTEX_WAIT)
		return -ENOSYS;
	if (*(const volatile int32_t *)word != value)
		return -EAGAIN;
	log_line(LOG_WARNING "waits for itself: futex of a single thread");
	component_exit(SIGNAL_STATUS);
}

/* Different numbers for every start, from init's seed: for hashes and temporary
 * names, not for keys (splitmix64). */
static long
sys_getrandom(uint8_t *to, size_t count)
{
	static uint64_t state;
	uint64_t z = 0;

	if (state == 0)
		state = component->random;
	for (size_t i = 0; i < count; i++, z >>= 8) {
		if (i % 8 == 0) {
			z = state += 0x9e3779b97f4a7c15ULL;
			z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ULL;
			z = (z ^ z >> 27) * 0x94d049bb133111ebULL;
			z ^= z >> 31;
		}
		to[i] = (uint8_t)z;
	}
	return (long)count;
}

long __tessera_syscall(long n, long a, long b, long c, long d, long e, long f);

long
__tessera_syscall(long n, long a, long b, long c, long d, long e, long f)
{
	(void)e;
	(void)f;
	switch (n) {
	case SYS_WRITE: return sys_write_log(a, (const void *)b, (size_t)c);
	case SYS_WRITEV: return sys_writev(a, (const struct iovec *)b, c);
	case SYS_READ: return a == 0 ? 0 : -EBADF;
	case SYS_IOCTL: return -ENOTTY;
	case SYS_CLOSE: return a >= 0 && a <= 2 ? 0 : -EBADF;
	case SYS_EXIT:
	case SYS_EXIT_GROUP: component_exit((int)a);
	case SYS_TKILL: component_exit(SIGNAL_STATUS + (int)b);
	case SYS_BRK: return 0;		/* malloc then takes all it needs by mmap */
	case SYS_MMAP: return sys_mmap((uint64_t)b, d);
	case SYS_MUNMAP: return sys_munmap((void *)a, (uint64_t)b);
	case SYS_MPROTECT: return -ENOSYS;
	case SYS_MADVISE: return 0;	/* advice */
	case SYS_CLOCK_GETTIME: return sys_clock_gettime(a, (struct timespec *)b);
	case SYS_CLOCK_GETRES: return sys_clock_getres(a, (struct timespec *)b);
	case SYS_NANOSLEEP: return sys_clock_nanosleep(CLOCK_MONOTONIC, 0, (const void *)a);
	case SYS_CLOCK_NANOSLEEP: return sys_clock_nanosleep(a, b, (const void *)c);
	case SYS_FUTEX: return sys_futex((const int32_t *)a, b, (int32_t)c);
	case SYS_GETRANDOM: return sys_getrandom((uint8_t *)a, (size_t)b);
	case SYS_SET_TID_ADDRESS:
	case SYS_GETTID:
	case SYS_GETPID: return 1;
	case SYS_SET_ROBUST_LIST:
	case SYS_RT_SIGPROCMASK:	/* there are no signals to hold back */
	case SYS_SCHED_YIELD: return 0;
	default: return -ENOSYS;
	}
}
