/* SPDX-License-Identifier: MIT */
/*
 * Clocks and sleeping: clock_gettime(2) and its family, nanosleep(2).
 *
 * Beside the clocks that everybody has there are CPU-time clocks: those of the
 * caller (2 and 3) and, with negative numbers, of any process or thread
 * (~pid << 3 | 4 for a thread | 2, as pthread_getcpuclockid makes them).
 */
#include <linux/time.h>
#include <linux/timex.h>

#include "clocks.h"
#include "syscall.h"
#include "uaccess.h"

enum { CLOCKFD = 3, PERTHREAD = 4, CAP_SYS_TIME_ = 25, NSEC = 1000000000 };

static bool may_set_time(void) { return (current->cred->cap_effective >> CAP_SYS_TIME_) & 1; }

static uint64_t
usage_ns(const struct usage *u)
{
	return u->user_ns + u->system_ns;
}

static long
thread_cpu_ns(int tid, uint64_t *ns)
{
	struct task *t = tid == 0 ? current : task_find(tid);
	struct usage u;

	if (t == NULL)
		return -EINVAL;
	if (t->process == current->process) {
		usage_task(t, &u);
		*ns = usage_ns(&u);
	}
	bool ours = t->process == current->process;

	if (t != current)
		task_put(t);
	return ours ? 0 : -EINVAL;
}

static long
process_cpu_ns(int pid, uint64_t *ns)
{
	struct process *p = pid == 0 ? current->process : process_find(pid);
	struct usage u;

	if (p == NULL)
		return -EINVAL;
	usage_process(p, &u);
	*ns = usage_ns(&u);
	if (pid != 0)
		process_put(p);
	return 0;
}

static long
dynamic_clock(int clock, uint64_t *ns)
{
	int pid = ~(clock >> 3);

	if ((clock & CLOCKFD) == CLOCKFD)
		return -EINVAL;
	return (clock & PERTHREAD) ? thread_cpu_ns(pid, ns) : process_cpu_ns(pid, ns);
}

bool
clock_is_real(int clock)
{
	return clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_ALARM || clock == CLOCK_TAI;
}

bool
clock_can_wait(int clock)
{
	return clock == CLOCK_REALTIME || clock == CLOCK_MONOTONIC || clock == CLOCK_BOOTTIME
	    || clock == CLOCK_REALTIME_ALARM || clock == CLOCK_BOOTTIME_ALARM || clock == CLOCK_TAI;
}

long
clock_read(int clock, uint64_t *ns)
{
	if (clock < 0)
		return dynamic_clock(clock, ns);
	switch (clock) {
	case CLOCK_REALTIME:
	case CLOCK_REALTIME_COARSE:
	case CLOCK_REALTIME_ALARM:
	case CLOCK_TAI:
		*ns = clock_realtime();
		return 0;
	case CLOCK_MONOTONIC:
	case CLOCK_MONOTONIC_RAW:
	case CLOCK_MONOTONIC_COARSE:
	case CLOCK_BOOTTIME:
	case CLOCK_BOOTTIME_ALARM:
		*ns = clock_monotonic();
		return 0;
	case CLOCK_PROCESS_CPUTIME_ID:
		return process_cpu_ns(0, ns);
	case CLOCK_THREAD_CPUTIME_ID:
		return thread_cpu_ns(0, ns);
	}
	return -EINVAL;
}

uint64_t
clock_deadline(int clock, uint64_t ns, bool absolute)
{
	uint64_t now = clock_monotonic();

	if (absolute && clock_is_real(clock)) {
		uint64_t real = clock_realtime();

		ns = ns > real ? ns - real : 0;
		absolute = false;
	}
	if (absolute)
		return min(ns, UINT64_MAX - 1);
	return ns < UINT64_MAX - 1 - now ? now + ns : UINT64_MAX - 1;
}

/* --- reading and setting --- */

static long
put_timespec(uaddr_t to, uint64_t ns)
{
	struct __kernel_timespec t = ns_timespec(ns);

	return copy_to_user(to, &t, sizeof(t));
}

long
get_timespec(uaddr_t from, struct __kernel_timespec *t)
{
	if (copy_from_user(t, from, sizeof(*t)) != 0)
		return -EFAULT;
	return timespec_valid(t) ? 0 : -EINVAL;
}

long
sys_clock_gettime(uint64_t clock, uint64_t to)
{
	uint64_t ns;
	long r = clock_read((int)clock, &ns);

	return r != 0 ? r : put_timespec(to, ns);
}

long
sys_clock_getres(uint64_t clock, uint64_t to)
{
	uint64_t ns;
	long r = clock_read((int)clock, &ns);

	if (r != 0 || to == 0)
		return r;
	/* High-resolution timers: what Linux says, too, except for the coarse clocks. */
	return put_timespec(to, (int)clock == CLOCK_REALTIME_COARSE || (int)clock == CLOCK_MONOTONIC_COARSE
	    ? NSEC / 250 : 1);
}

long
sys_clock_settime(uint64_t clock, uint64_t from)
{
	struct __kernel_timespec t;
	long r;

	if ((int)clock != CLOCK_REALTIME)
		return -EINVAL;
	r = get_timespec(from, &t);
	if (r != 0)
		return r;
	if (!may_set_time())
		return -EPERM;
	clock_set_realtime(timespec_ns(&t));
	return 0;
}

long
sys_gettimeofday(uint64_t tv, uint64_t tz)
{
	uint64_t us = clock_realtime() / 1000;
	struct __kernel_old_timeval t = { (long)(us / 1000000), (long)(us % 1000000) };
	struct timezone zone = { 0, 0 };

	if (tv != 0 && copy_to_user(tv, &t, sizeof(t)) != 0)
		return -EFAULT;
	return tz != 0 ? copy_to_user(tz, &zone, sizeof(zone)) : 0;
}

long
sys_settimeofday(uint64_t tv, uint64_t tz)
{
	struct __kernel_old_timeval t;

	(void)tz;			/* obsolete: the kernel keeps UTC */
	if (tv == 0)
		return 0;
	if (copy_from_user(&t, tv, sizeof(t)) != 0)
		return -EFAULT;
	if (t.tv_sec < 0 || t.tv_usec < 0 || t.tv_usec >= 1000000)
		return -EINVAL;
	if (!may_set_time())
		return -EPERM;
	clock_set_realtime((uint64_t)t.tv_sec * NSEC + (uint64_t)t.tv_usec * 1000);
	return 0;
}

/* The clock is not disciplined: its state can be read; a step is the one change there is. */
static long
clock_adjust(int clock, uaddr_t p)
{
	struct __kernel_timex x;

	if (clock != CLOCK_REALTIME)
		return -EOPNOTSUPP;
	if (copy_from_user(&x, p, sizeof(x)) != 0)
		return -EFAULT;
	if (x.modes != 0 && x.modes != ADJ_OFFSET_SS_READ && !may_set_time())
		return -EPERM;
	if ((x.modes & ~(unsigned)(ADJ_SETOFFSET | ADJ_NANO)) != 0 && x.modes != ADJ_OFFSET_SS_READ)
		return -EINVAL;
	if (x.modes & ADJ_SETOFFSET) {
		int64_t unit = (x.modes & ADJ_NANO) ? 1 : 1000;

		clock_set_realtime(clock_realtime() + (uint64_t)(x.time.tv_sec * NSEC + x.time.tv_usec * unit));
	}
	memset(&x, 0, sizeof(x));
	x.status = STA_UNSYNC | STA_NANO;
	x.tick = 10000;
	x.precision = 1;
	x.tolerance = 32768000;
	x.maxerror = x.esterror = 16000000;
	x.time.tv_sec = (long long)(clock_realtime() / NSEC);
	x.time.tv_usec = (long long)(clock_realtime() % NSEC);
	return copy_to_user(p, &x, sizeof(x)) != 0 ? -EFAULT : TIME_ERROR;
}

long sys_adjtimex(uint64_t p) { return clock_adjust(CLOCK_REALTIME, p); }
long sys_clock_adjtime(uint64_t clock, uint64_t p) { return clock_adjust((int)clock, p); }

/* --- sleeping --- */

/* A relative sleep goes on at the same deadline when it was interrupted without a handler. */
static long
sleep_relative(uint64_t deadline, uaddr_t left);

static long
sleep_again(struct task *t)
{
	return sleep_relative(t->restart_args[0], t->restart_args[1]);
}

static long
sleep_relative(uint64_t deadline, uaddr_t left)
{
	long r = sleep_until(deadline);
	uint64_t now = clock_monotonic();

	if (r == 0)
		return 0;
	if (left != 0 && put_timespec(left, deadline > now ? deadline - now : 0) != 0)
		return -EFAULT;
	current->restart_fn = sleep_again;
	current->restart_args[0] = deadline;
	current->restart_args[1] = left;
	return -ERESTART_RESTARTBLOCK;
}

long
sys_nanosleep(uint64_t request, uint64_t left)
{
	struct __kernel_timespec t;
	long r = get_timespec(request, &t);

	return r != 0 ? r : sleep_relative(clock_deadline(CLOCK_MONOTONIC, timespec_ns(&t), false), left);
}

long
sys_clock_nanosleep(uint64_t clock, uint64_t flags, uint64_t request, uint64_t left)
{
	bool absolute = (flags & TIMER_ABSTIME) != 0;
	struct __kernel_timespec t;
	uint64_t ns;
	long r;

	if ((int)clock == CLOCK_THREAD_CPUTIME_ID || clock_read((int)clock, &ns) != 0)
		return -EINVAL;
	if (!clock_can_wait((int)clock))
		return -EOPNOTSUPP;
	r = get_timespec(request, &t);
	if (r != 0)
		return r;
	ns = clock_deadline((int)clock, timespec_ns(&t), absolute);
	if (!absolute)
		return sleep_relative(ns, left);
	r = sleep_until(ns);
	return r == -ERESTARTSYS ? -ERESTARTNOHAND : r;
}
