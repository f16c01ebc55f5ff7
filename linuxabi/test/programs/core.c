/* SPDX-License-Identifier: MIT */
/*
 * What Linux promises of time, scheduling, traps and registers, asked of the
 * system that this runs on: any Linux, or the personality.  Prints one line for each
 * failure and a last line "core: N passed, M failed".  `core stress SECONDS`
 * keeps all CPUs busy with forks, threads, pipes, futexes and timers meanwhile.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/timerfd.h>
#include <sys/timex.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>

static int passed, failed;

#define CHECK(c) do { if (c) passed++; else { failed++; \
	printf("FAIL %s:%d: %s (errno %d)\n", __func__, __LINE__, #c, errno); } } while (0)
#define CHECK_ERRNO(c, e) do { errno = 0; CHECK((c) == -1 && errno == (e)); } while (0)

enum { MS = 1000000 };

static uint64_t
now_ns(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static struct timespec
ts(uint64_t ns)
{
	return (struct timespec){ (time_t)(ns / 1000000000u), (long)(ns % 1000000000u) };
}

/* ---- clocks ---- */

static void
test_clocks(void)
{
	static const clockid_t clocks[] = { CLOCK_REALTIME, CLOCK_MONOTONIC, CLOCK_PROCESS_CPUTIME_ID,
	    CLOCK_THREAD_CPUTIME_ID, CLOCK_MONOTONIC_RAW, CLOCK_REALTIME_COARSE, CLOCK_MONOTONIC_COARSE,
	    CLOCK_BOOTTIME, CLOCK_TAI };
	struct timespec t;
	struct timeval tv;
	uint64_t a, b;

	for (unsigned i = 0; i < sizeof(clocks) / sizeof(clocks[0]); i++) {
		CHECK(clock_gettime(clocks[i], &t) == 0 && t.tv_nsec >= 0 && t.tv_nsec < 1000000000);
		CHECK(clock_getres(clocks[i], &t) == 0 && t.tv_sec == 0 && t.tv_nsec > 0);
		a = now_ns(clocks[i]);
		for (int k = 0; k < 100; k++) {
			b = now_ns(clocks[i]);
			if (b < a)
				break;
			a = b;
		}
		CHECK(b >= a);
	}
	CHECK_ERRNO(syscall(SYS_clock_gettime, 77, &t), EINVAL);
	CHECK_ERRNO(syscall(SYS_clock_gettime, CLOCK_MONOTONIC, (void *)8), EFAULT);
	CHECK(gettimeofday(&tv, NULL) == 0 && tv.tv_sec > 1600000000);
	/* The call and the vDSO show the same clock. */
	a = now_ns(CLOCK_MONOTONIC);
	CHECK(syscall(SYS_clock_gettime, CLOCK_MONOTONIC, &t) == 0);
	b = (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
	CHECK(b >= a && b - a < 100 * MS);
	/* CPU time passes while we work, not while we sleep. */
	a = now_ns(CLOCK_PROCESS_CPUTIME_ID);
	usleep(50000);
	b = now_ns(CLOCK_PROCESS_CPUTIME_ID);
	CHECK(b - a < 30 * MS);
	for (volatile int i = 0; i < 3000000; i++)
		;
	CHECK(now_ns(CLOCK_PROCESS_CPUTIME_ID) > b);
	clockid_t id;
	CHECK(clock_getcpuclockid(0, &id) == 0 && clock_gettime(id, &t) == 0);
	CHECK(pthread_getcpuclockid(pthread_self(), &id) == 0 && clock_gettime(id, &t) == 0);
	struct timex x = { 0 };
	CHECK(adjtimex(&x) >= 0);
}

static void
test_sleep(void)
{
	struct timespec want = ts(20 * MS);
	uint64_t a = now_ns(CLOCK_MONOTONIC), b;

	CHECK(nanosleep(&want, NULL) == 0);
	b = now_ns(CLOCK_MONOTONIC);
	CHECK(b - a >= 20 * MS && b - a < 500 * MS);
	want = ts(now_ns(CLOCK_MONOTONIC) + 10 * MS);
	CHECK(clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &want, NULL) == 0);
	want = ts(now_ns(CLOCK_REALTIME) + 10 * MS);
	CHECK(clock_nanosleep(CLOCK_REALTIME, TIMER_ABSTIME, &want, NULL) == 0);
	want = (struct timespec){ 0, 1000000000 };
	CHECK_ERRNO(nanosleep(&want, NULL), EINVAL);
	want = (struct timespec){ -1, 0 };
	CHECK_ERRNO(nanosleep(&want, NULL), EINVAL);
	CHECK(clock_nanosleep(CLOCK_THREAD_CPUTIME_ID, 0, &want, NULL) == EINVAL);
	CHECK(clock_nanosleep(99, 0, &want, NULL) == EINVAL);
}

static volatile sig_atomic_t caught;
static siginfo_t caught_info;

static void
on_signal(int sig, siginfo_t *info, void *context)
{
	(void)sig;
	(void)context;
	caught++;
	caught_info = *info;
}

static void
catch(int sig, int flags)
{
	struct sigaction a = { .sa_sigaction = on_signal, .sa_flags = SA_SIGINFO | flags };

	sigaction(sig, &a, NULL);
	caught = 0;
}

static void
test_itimer(void)
{
	struct itimerval v = { { 0, 0 }, { 0, 20000 } }, old;
	struct timespec want = ts(5000ull * MS), left = { 0, 0 };

	catch(SIGALRM, 0);
	CHECK(setitimer(ITIMER_REAL, &v, NULL) == 0);
	CHECK(getitimer(ITIMER_REAL, &old) == 0 && old.it_value.tv_usec > 0 && old.it_value.tv_usec <= 20000);
	CHECK_ERRNO(nanosleep(&want, &left), EINTR);
	CHECK(caught == 1 && left.tv_sec >= 4);
	CHECK(getitimer(ITIMER_REAL, &old) == 0 && old.it_value.tv_sec == 0 && old.it_value.tv_usec == 0);
	v.it_interval.tv_usec = 5000;
	v.it_value.tv_usec = 5000;
	caught = 0;
	CHECK(setitimer(ITIMER_REAL, &v, NULL) == 0);
	for (int i = 0; i < 3; i++)
		pause();
	CHECK(caught >= 3);
	memset(&v, 0, sizeof(v));
	CHECK(setitimer(ITIMER_REAL, &v, &old) == 0 && old.it_interval.tv_usec == 5000);
	CHECK_ERRNO(setitimer(9, &v, NULL), EINVAL);
	v.it_value.tv_usec = 2000000;
	CHECK_ERRNO(setitimer(ITIMER_REAL, &v, NULL), EINVAL);
	caught = 0;
	alarm(1);
	CHECK(alarm(0) == 1);
}

static void
test_posix_timer(void)
{
	struct sigevent e = { .sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR1 };
	struct itimerspec v = { ts(0), ts(10 * MS) }, got;
	timer_t id;

	e.sigev_value.sival_int = 4711;
	catch(SIGUSR1, 0);
	CHECK(timer_create(CLOCK_MONOTONIC, &e, &id) == 0);
	CHECK(timer_settime(id, 0, &v, NULL) == 0);
	CHECK(timer_gettime(id, &got) == 0 && got.it_value.tv_nsec > 0 && got.it_value.tv_nsec <= 10 * MS);
	pause();
	CHECK(caught == 1 && caught_info.si_code == SI_TIMER && caught_info.si_value.sival_int == 4711);
	CHECK(timer_gettime(id, &got) == 0 && got.it_value.tv_nsec == 0);
	v.it_interval = ts(1 * MS);
	v.it_value = ts(now_ns(CLOCK_MONOTONIC) + 2 * MS);
	sigset_t set, old;
	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	sigprocmask(SIG_BLOCK, &set, &old);
	CHECK(timer_settime(id, TIMER_ABSTIME, &v, NULL) == 0);
	usleep(30000);
	v = (struct itimerspec){ { 0, 0 }, { 0, 0 } };
	siginfo_t info;
	CHECK(sigwaitinfo(&set, &info) == SIGUSR1 && info.si_code == SI_TIMER);
	usleep(5000);
	CHECK(sigwaitinfo(&set, &info) == SIGUSR1 && timer_getoverrun(id) >= 1);
	CHECK(timer_settime(id, 0, &v, NULL) == 0);
	CHECK(timer_delete(id) == 0);
	CHECK_ERRNO(syscall(SYS_timer_delete, id), EINVAL);
	/* One more may have come before it was stopped. */
	struct timespec none = { 0, 0 };
	sigtimedwait(&set, &info, &none);
	sigprocmask(SIG_SETMASK, &old, NULL);
	e.sigev_signo = 99;
	CHECK_ERRNO(timer_create(CLOCK_MONOTONIC, &e, &id), EINVAL);
	e.sigev_signo = SIGUSR1;
	CHECK_ERRNO(timer_create(55, &e, &id), EINVAL);
}

static void
test_timerfd(void)
{
	int fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
	struct itimerspec v = { ts(5 * MS), ts(5 * MS) }, got;
	struct pollfd p = { fd, POLLIN, 0 };
	uint64_t n = 0;

	CHECK(fd >= 0 && (fcntl(fd, F_GETFD) & FD_CLOEXEC));
	CHECK_ERRNO(read(fd, &n, 8), EAGAIN);
	CHECK(timerfd_settime(fd, 0, &v, NULL) == 0);
	CHECK(poll(&p, 1, 2000) == 1 && p.revents == POLLIN);
	CHECK(read(fd, &n, 8) == 8 && n >= 1);
	usleep(30000);
	CHECK(read(fd, &n, 8) == 8 && n >= 4);
	CHECK(timerfd_gettime(fd, &got) == 0 && got.it_interval.tv_nsec == 5 * MS);
	CHECK_ERRNO(read(fd, &n, 4), EINVAL);
	close(fd);
	CHECK_ERRNO(timerfd_create(99, 0), EINVAL);
	CHECK_ERRNO(timerfd_settime(0, 0, &v, NULL), EINVAL);
	CHECK_ERRNO(timerfd_settime(999, 0, &v, NULL), EBADF);
}

/* ---- scheduling ---- */

static void
test_sched(void)
{
	struct sched_param param = { .sched_priority = 10 };
	cpu_set_t all, one;
	int cpus = 0;

	CHECK(syscall(SYS_sched_getscheduler, 0) == SCHED_OTHER);
	CHECK(syscall(SYS_sched_setscheduler, 0, SCHED_FIFO, &param) == 0);
	CHECK(syscall(SYS_sched_getscheduler, 0) == SCHED_FIFO);
	param.sched_priority = 0;
	CHECK_ERRNO(syscall(SYS_sched_setscheduler, 0, SCHED_RR, &param), EINVAL);
	CHECK(syscall(SYS_sched_setscheduler, 0, SCHED_OTHER, &param) == 0);
	CHECK(sched_get_priority_max(SCHED_FIFO) == 99 && sched_get_priority_min(SCHED_FIFO) == 1);
	CHECK(sched_get_priority_max(SCHED_OTHER) == 0);
	CHECK_ERRNO(sched_get_priority_max(77), EINVAL);
	CHECK(sched_yield() == 0);
	CHECK(sched_getaffinity(0, sizeof(all), &all) == 0);
	for (int i = 0; i < 16; i++) {
		if (!CPU_ISSET(i, &all))
			continue;
		cpus++;
		CPU_ZERO(&one);
		CPU_SET(i, &one);
		CHECK(sched_setaffinity(0, sizeof(one), &one) == 0);
		CHECK(sched_getcpu() == i);
		usleep(1000);
		CHECK(sched_getcpu() == i);
	}
	CPU_ZERO(&one);
	CHECK_ERRNO(sched_setaffinity(0, sizeof(one), &one), EINVAL);
	CHECK(sched_setaffinity(0, sizeof(all), &all) == 0);
	CHECK(cpus >= 1 && cpus == sysconf(_SC_NPROCESSORS_ONLN));
	CHECK_ERRNO(sched_getaffinity(999999, sizeof(all), &all), ESRCH);
	errno = 0;
	CHECK(nice(5) == 5 && getpriority(PRIO_PROCESS, 0) == 5);
	CHECK(setpriority(PRIO_PROCESS, 0, 0) == 0);
}

/* Two threads on one CPU: the one of higher weight gets more. */
static volatile int run;

static void *
spin(void *arg)
{
	volatile uint64_t *n = arg;

	if (n[1] != 0)
		setpriority(PRIO_PROCESS, (id_t)syscall(SYS_gettid), (int)n[1]);
	while (run)
		n[0]++;
	return NULL;
}

static void
test_fair(void)
{
	uint64_t a[2] = { 0, 0 }, b[2] = { 0, 0 }, c[2] = { 0, 10 };
	pthread_t x, y, z;
	cpu_set_t old, one;

	sched_getaffinity(0, sizeof(old), &old);
	CPU_ZERO(&one);
	CPU_SET(0, &one);
	sched_setaffinity(0, sizeof(one), &one);
	run = 1;
	pthread_create(&x, NULL, spin, a);
	pthread_create(&y, NULL, spin, b);
	pthread_create(&z, NULL, spin, c);
	usleep(600000);
	run = 0;
	pthread_join(x, NULL);
	pthread_join(y, NULL);
	pthread_join(z, NULL);
	sched_setaffinity(0, sizeof(old), &old);
	CHECK(a[0] != 0 && b[0] != 0 && c[0] != 0);
	/* A loaded emulator steals time from whoever runs: only gross injustice shows. */
	CHECK(a[0] < 5 * b[0] && b[0] < 5 * a[0]);
	CHECK(c[0] < a[0]);
}

/* ---- traps ---- */

static sigjmp_buf escape;
static volatile int trap_sig, trap_code;
static void *volatile trap_addr;

static void
on_trap(int sig, siginfo_t *info, void *context)
{
	(void)context;
	trap_sig = sig;
	trap_code = info->si_code;
	trap_addr = info->si_addr;
	siglongjmp(escape, 1);
}

#define TRAP(statement, sig_, code_) do { \
	trap_sig = trap_code = 0; \
	if (sigsetjmp(escape, 1) == 0) { statement; } \
	CHECK(trap_sig == (sig_) && trap_code == (code_)); } while (0)

static void
test_traps(void)
{
	static const int sigs[] = { SIGSEGV, SIGBUS, SIGILL, SIGTRAP, SIGFPE };
	struct sigaction a = { .sa_sigaction = on_trap, .sa_flags = SA_SIGINFO };
	volatile int *volatile low = (void *)16;
	char *ro = mmap(NULL, 8192, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	char *rw = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	for (unsigned i = 0; i < sizeof(sigs) / sizeof(sigs[0]); i++)
		sigaction(sigs[i], &a, NULL);
	TRAP(*low = 1, SIGSEGV, SEGV_MAPERR);
	CHECK(trap_addr == (void *)16);
	TRAP(*(volatile char *)(ro + 5) = 1, SIGSEGV, SEGV_ACCERR);
	CHECK(trap_addr == ro + 5);
	TRAP(*(volatile char *)0xffff000040001000 = 1, SIGSEGV, SEGV_MAPERR);
	TRAP((void)*(volatile char *)0x0f00123412341234, SIGSEGV, SEGV_MAPERR);
	TRAP(((void (*)(void))rw)(), SIGSEGV, SEGV_ACCERR);
	TRAP(((void (*)(void))8)(), SIGSEGV, SEGV_MAPERR);
	TRAP(__asm__ volatile(".inst 0"), SIGILL, ILL_ILLOPC);
	TRAP(__asm__ volatile("mrs x0, sctlr_el1" : : : "x0"), SIGILL, ILL_ILLOPC);
	TRAP(__asm__ volatile("hvc #0"), SIGILL, ILL_ILLOPC);
	TRAP(__asm__ volatile("brk #1"), SIGTRAP, TRAP_BRKPT);
	TRAP(((void (*)(void))((char *)test_traps + 2))(), SIGBUS, BUS_ADRALN);
	TRAP(__asm__ volatile("ldaxr w0, [%0]" : : "r"(rw + 1) : "x0"), SIGBUS, BUS_ADRALN);
	for (unsigned i = 0; i < sizeof(sigs) / sizeof(sigs[0]); i++)
		signal(sigs[i], SIG_DFL);
	munmap(ro, 8192);
	munmap(rw, 4096);
}

static void
test_pointers(void)
{
	static const uint64_t bad[] = { 0, 8, 0xffff000040001000, 0xffffffffffffffff, 0x0001000000000000, 0x8000000000000000 };
	int p[2];
	char c = 'x';

	CHECK(pipe(p) == 0);
	for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		void *b = (void *)bad[i];
		struct iovec v = { b, 4 };

		CHECK_ERRNO(write(p[1], b, 4), EFAULT);
		CHECK_ERRNO(syscall(SYS_writev, p[1], &v, 1), EFAULT);
		CHECK_ERRNO(syscall(SYS_nanosleep, b, NULL), EFAULT);
		CHECK_ERRNO(syscall(SYS_pipe2, b, 0), EFAULT);
		CHECK_ERRNO(syscall(SYS_openat, AT_FDCWD, b, O_RDONLY), EFAULT);
		if (b != NULL)
			CHECK_ERRNO(syscall(SYS_futex, (uint64_t)b & ~3ull, 0, 0, NULL), EFAULT);
	}
	CHECK(write(p[1], &c, 1) == 1);
	CHECK_ERRNO(read(p[0], (void *)64, 1), EFAULT);
	/* A range that ends in nothing: what could be copied was. */
	char *m = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	munmap(m + 4096, 4096);
	int z = open("/dev/zero", O_RDONLY);
	ssize_t n = read(z, m + 4000, 200);
	CHECK(n == 96 || (n == -1 && errno == EFAULT));
	close(z);
	munmap(m, 4096);
	close(p[0]);
	close(p[1]);
	CHECK_ERRNO(syscall(511), ENOSYS);
	CHECK_ERRNO(syscall(1000000), ENOSYS);
	CHECK_ERRNO(syscall(-1), ENOSYS);
}

/* ---- registers ---- */

static volatile int fp_errors;

/* Fills v8..v15 with a pattern of its own, lets others run, and looks again. */
static void *
fp_thread(void *arg)
{
	uint64_t seed = (uint64_t)(uintptr_t)arg * 0x9e3779b97f4a7c15u;

	for (int i = 0; i < 400; i++) {
		uint64_t want = seed + (uint64_t)i, got = 0, all = 0;

		__asm__ volatile("dup v8.2d, %0; dup v15.2d, %0; dup v31.2d, %0; dup v0.2d, %0"
		    : : "r"(want) : "v0", "v8", "v15", "v31");
		if (i % 3 == 0)
			__asm__ volatile("mov x8, #124; svc #0" : : : "x0", "x8", "memory");	/* sched_yield */
		for (volatile int k = 0; k < 200; k++)
			;
		__asm__ volatile("umov %0, v8.d[1]; umov %1, v31.d[0]; eor %1, %1, %0; umov x9, v15.d[0]; eor x9, x9, %0; "
		    "orr %1, %1, x9; umov x9, v0.d[1]; eor x9, x9, %0; orr %1, %1, x9"
		    : "=&r"(got), "=&r"(all) : : "x9");
		if (got != want || all != 0)
			fp_errors++;
		if (i % 50 == 0)
			usleep(100);
	}
	return NULL;
}

static void
test_fp(void)
{
	pthread_t t[8];
	int status;

	for (uintptr_t i = 0; i < 8; i++)
		pthread_create(&t[i], NULL, fp_thread, (void *)(i + 1));
	for (int i = 0; i < 8; i++)
		pthread_join(t[i], NULL);
	CHECK(fp_errors == 0);
	/* A child inherits the registers. */
	uint64_t v = 0;
	pid_t pid;
	__asm__ volatile("dup v9.2d, %1; mov x0, #17; mov x1, #0; mov x2, #0; mov x3, #0; mov x4, #0; mov x8, #220; svc #0; "
	    "mov %0, x0" : "=r"(pid) : "r"(0x1234567812345678ull) : "x0", "x1", "x2", "x3", "x4", "x8", "v9", "memory");
	__asm__ volatile("umov %0, v9.d[0]" : "=r"(v));
	if (pid == 0)
		_exit(v == 0x1234567812345678ull ? 7 : 8);
	CHECK(waitpid(pid, &status, 0) == pid && WIFEXITED(status) && WEXITSTATUS(status) == 7);
}

static uint64_t signal_fp;

static void
fp_handler(int sig)
{
	(void)sig;
	__asm__ volatile("movi v8.2d, #0; movi v20.2d, #0" : : : "v20");
	signal_fp++;
}

static void
test_fp_signal(void)
{
	uint64_t a, b, pid = (uint64_t)getpid(), x20 = 0;

	signal(SIGUSR2, fp_handler);
	__asm__ volatile("dup v8.2d, %3; dup v20.2d, %3; mov x20, %3; mov x0, %4; mov x1, #12; mov x8, #129; svc #0; "
	    "umov %0, v8.d[1]; umov %1, v20.d[0]; mov %2, x20"
	    : "=&r"(a), "=&r"(b), "=&r"(x20) : "r"(0x1111222233334444ull), "r"(pid)
	    : "x0", "x1", "x8", "x20", "v8", "v20", "memory");
	CHECK(signal_fp == 1);
	CHECK(a == 0x1111222233334444ull && b == a && x20 == a);
	signal(SIGUSR2, SIG_DFL);
}

/* ---- stress ---- */

static volatile int stop;
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static uint64_t counted;
static uint64_t expected[16];

static void *
count_thread(void *arg)
{
	uint64_t *mine = arg;

	while (!stop) {
		pthread_mutex_lock(&mutex);
		counted++;
		pthread_mutex_unlock(&mutex);
		(*mine)++;
	}
	return NULL;
}

static void *
map_thread(void *arg)
{
	(void)arg;
	while (!stop) {
		char *p = mmap(NULL, 64 << 10, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

		if (p == MAP_FAILED)
			continue;
		for (int i = 0; i < 16; i++) {
			if (p[i * 4096] != 0)
				__atomic_fetch_add(&fp_errors, 1, __ATOMIC_RELAXED);
			p[i * 4096] = (char)(i + 1);
		}
		mprotect(p, 32 << 10, PROT_READ);
		munmap(p, 64 << 10);
	}
	return NULL;
}

static void
fork_storm(uint64_t until)
{
	while (now_ns(CLOCK_MONOTONIC) < until) {
		pid_t kids[4];
		int p[2], status;
		char c;

		if (pipe(p) != 0)
			_exit(1);
		for (int i = 0; i < 4; i++) {
			kids[i] = fork();
			if (kids[i] == 0) {
				char *m = malloc(100000);

				memset(m, i, 100000);
				if (write(p[1], "k", 1) != 1)
					_exit(2);
				_exit(m[99999] == i ? 40 + i : 3);
			}
			if (kids[i] < 0)
				_exit(4);
		}
		for (int i = 0; i < 4; i++)
			if (read(p[0], &c, 1) != 1 || c != 'k')
				_exit(5);
		for (int i = 0; i < 4; i++)
			if (waitpid(kids[i], &status, 0) != kids[i] || status != (40 + i) << 8)
				_exit(6);
		close(p[0]);
		close(p[1]);
	}
	_exit(0);
}

static void
pipe_storm(uint64_t until)
{
	int p[2], status;
	uint64_t total = 0, sum = 0;

	if (pipe(p) != 0)
		_exit(1);
	pid_t kid = fork();

	if (kid == 0) {
		unsigned char b[3000];
		ssize_t n;

		close(p[1]);
		while ((n = read(p[0], b, sizeof(b))) > 0)
			for (ssize_t i = 0; i < n; i++)
				if (b[i] != (unsigned char)(total++ * 7))
					_exit(9);
		_exit(n == 0 ? 0 : 8);
	}
	close(p[0]);
	while (now_ns(CLOCK_MONOTONIC) < until) {
		unsigned char b[1777];

		for (unsigned i = 0; i < sizeof(b); i++)
			b[i] = (unsigned char)((sum + i) * 7);
		ssize_t n = write(p[1], b, sizeof(b));
		if (n <= 0)
			_exit(7);
		sum += (uint64_t)n;
	}
	close(p[1]);
	if (waitpid(kid, &status, 0) != kid)
		_exit(6);
	_exit(status == 0 ? 0 : 5);
}

static void
timer_storm(uint64_t until)
{
	struct itimerval v = { { 0, 700 }, { 0, 700 } };
	struct sigaction a = { .sa_sigaction = on_signal, .sa_flags = SA_SIGINFO | SA_RESTART };

	sigaction(SIGALRM, &a, NULL);
	setitimer(ITIMER_REAL, &v, NULL);
	while (now_ns(CLOCK_MONOTONIC) < until) {
		int p[2];

		if (pipe(p) != 0)
			_exit(1);
		pid_t kid = fork();
		if (kid == 0) {
			struct timespec t = ts(300000);

			nanosleep(&t, NULL);
			_exit(write(p[1], "x", 1) == 1 ? 0 : 2);
		}
		char c;
		int status;
		if (read(p[0], &c, 1) != 1)
			_exit(3);
		while (waitpid(kid, &status, 0) != kid)
			if (errno != EINTR)
				_exit(4);
		if (status != 0)
			_exit(5);
		close(p[0]);
		close(p[1]);
	}
	_exit(caught > 0 ? 0 : 6);
}

static int
stress(unsigned seconds)
{
	void (*const storms[])(uint64_t) = { fork_storm, pipe_storm, timer_storm, fork_storm };
	uint64_t until = now_ns(CLOCK_MONOTONIC) + seconds * 1000000000ull, sum = 0;
	pthread_t t[6];
	pid_t kids[4];
	int status, bad = 0;

	for (int i = 0; i < 4; i++) {
		kids[i] = fork();
		if (kids[i] == 0)
			storms[i](until);
	}
	for (int i = 0; i < 4; i++)
		pthread_create(&t[i], NULL, count_thread, &expected[i]);
	for (int i = 4; i < 6; i++)
		pthread_create(&t[i], NULL, map_thread, NULL);
	while (now_ns(CLOCK_MONOTONIC) < until) {
		test_fp();
		usleep(20000);
	}
	stop = 1;
	for (int i = 0; i < 6; i++)
		pthread_join(t[i], NULL);
	for (int i = 0; i < 4; i++) {
		if (waitpid(kids[i], &status, 0) != kids[i] || status != 0) {
			printf("FAIL stress: storm %d ended with %#x\n", i, status);
			bad++;
		}
		sum += expected[i];
	}
	CHECK(sum == counted);
	CHECK(fp_errors == 0);
	printf("stress: %llu locked increments, %s\n", (unsigned long long)counted,
	    bad + failed == 0 ? "ok" : "FAILED");
	return bad + failed != 0;
}

int
main(int argc, char **argv)
{
	if (argc > 1 && strcmp(argv[1], "stress") == 0)
		return stress(argc > 2 ? (unsigned)atoi(argv[2]) : 5);
	test_clocks();
	test_sleep();
	test_itimer();
	test_posix_timer();
	test_timerfd();
	test_sched();
	test_fair();
	test_traps();
	test_pointers();
	test_fp();
	test_fp_signal();
	printf("core: %d passed, %d failed\n", passed, failed);
	return failed != 0;
}
