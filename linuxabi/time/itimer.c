/* SPDX-License-Identifier: MIT */
/*
 * Interval timers: setitimer(2), alarm in libc.  ITIMER_REAL is one timer in the
 * process; itimer_lock (rank 65, irq) protects it and its interval.  Those of CPU time
 * (ITIMER_VIRTUAL, ITIMER_PROF) are in cpu_timer.c.
 */
#include <linux/time.h>

#include "clocks.h"
#include "cpu_timer.h"
#include "posix_timers.h"
#include "syscall.h"
#include "uaccess.h"

static spinlock_t itimer_lock = SPINLOCK_INIT(65);

/* itimer_lock is held.  It fired at its `expires` and rests (clocks.h). */
static bool
rests(const struct process *p)
{
	return p->itimer_real_interval != 0 && p->itimer_real.cpu < 0;
}

/* itimer_lock is held. */
static void
go_on(struct process *p, uint64_t now, uint64_t not_before)
{
	uint64_t next = p->itimer_real.expires;

	periods_over(now, &next, p->itimer_real_interval);
	timer_start(&p->itimer_real, max(next, not_before));
}

static void
itimer_fired(struct timer *t)
{
	struct process *p = container_of(t, struct process, itimer_real);
	siginfo_t info = { 0 };
	uint64_t now = clock_monotonic();

	info.si_signo = SIGALRM;
	info.si_code = SI_KERNEL;
	signal_send_process(p, SIGALRM, &info);
	spin_lock(&itimer_lock);
	/* Ignored, or taken just now on another CPU: then it goes on already. */
	if (rests(p) && (READ_ONCE(p->shared_pending.set) & SIGMASK(SIGALRM)) == 0)
		go_on(p, now, now + TIMER_UNNOTICED_NS);
	spin_unlock(&itimer_lock);
}

static void
itimer_signal_taken(struct process *p)
{
	uint64_t flags;

	if (READ_ONCE(p->itimer_real_interval) == 0)
		return;
	flags = spin_lock_irqsave(&itimer_lock);
	if (rests(p))
		go_on(p, clock_monotonic(), 0);
	spin_unlock_irqrestore(&itimer_lock, flags);
}

void
timer_signal_taken(int sig, siginfo_t *info)
{
	if (sig == SIGALRM)
		itimer_signal_taken(current->process);
	posix_timer_signal_taken(sig, info);
}

void
process_timers_init(struct process *p)
{
	timer_init(&p->itimer_real, itimer_fired);
	p->itimer_real_interval = 0;
	cpu_timers_init(p);
}

static void
itimer_set(struct process *p, uint64_t ns, uint64_t interval)
{
	uint64_t flags = spin_lock_irqsave(&itimer_lock);

	timer_cancel(&p->itimer_real);
	p->itimer_real_interval = ns != 0 ? interval : 0;
	if (ns != 0)
		timer_start(&p->itimer_real, clock_deadline(CLOCK_MONOTONIC, ns, false));
	spin_unlock_irqrestore(&itimer_lock, flags);
}

void
process_timers_exit(struct process *p)
{
	itimer_set(p, 0, 0);
	timer_cancel_sync(&p->itimer_real);
	posix_timers_end(p);
}

void
process_timers_exec(struct process *p)
{
	posix_timers_end(p);
}

static uint64_t
timeval_ns(const struct __kernel_old_timeval *t)
{
	return (uint64_t)t->tv_sec >= 9000000000UL ? UINT64_MAX / 4
	    : (uint64_t)t->tv_sec * 1000000000UL + (uint64_t)t->tv_usec * 1000;
}

static struct __kernel_old_timeval
ns_timeval(uint64_t ns)
{
	uint64_t us = (ns + 999) / 1000;

	return (struct __kernel_old_timeval){ (long)(us / 1000000), (long)(us % 1000000) };
}

static void
real_get(struct process *p, struct __kernel_old_itimerval *v)
{
	uint64_t flags = spin_lock_irqsave(&itimer_lock), now = clock_monotonic(), left = 0;

	if (p->itimer_real.cpu >= 0)
		left = p->itimer_real.expires > now ? p->itimer_real.expires - now : 1000;
	else if (rests(p))
		left = period_left(now, p->itimer_real.expires, p->itimer_real_interval);
	v->it_value = ns_timeval(left);
	v->it_interval = ns_timeval(p->itimer_real_interval);
	spin_unlock_irqrestore(&itimer_lock, flags);
}

/* The timer as it was into *was and, unless v is NULL, set as v says. */
static void
itimer_swap(struct process *p, int which, const struct __kernel_old_itimerval *v, struct __kernel_old_itimerval *was)
{
	struct cpu_timer next, old;

	if (which == ITIMER_REAL) {
		real_get(p, was);
		if (v != NULL)
			itimer_set(p, timeval_ns(&v->it_value), timeval_ns(&v->it_interval));
		return;
	}
	if (v != NULL)
		next = (struct cpu_timer){ timeval_ns(&v->it_value), timeval_ns(&v->it_interval) };
	cpu_timer_swap(p, which, v != NULL ? &next : NULL, &old);
	was->it_value = ns_timeval(old.expires);
	was->it_interval = ns_timeval(old.interval);
}

static bool
which_valid(uint64_t which)
{
	return (int)which == ITIMER_REAL || (int)which == ITIMER_VIRTUAL || (int)which == ITIMER_PROF;
}

long
sys_getitimer(uint64_t which, uint64_t to)
{
	struct __kernel_old_itimerval v;

	if (!which_valid(which))
		return -EINVAL;
	itimer_swap(current->process, (int)which, NULL, &v);
	return copy_to_user(to, &v, sizeof(v));
}

static bool
timeval_valid(const struct __kernel_old_timeval *t)
{
	return t->tv_sec >= 0 && t->tv_usec >= 0 && t->tv_usec < 1000000;
}

long
sys_setitimer(uint64_t which, uint64_t from, uint64_t old)
{
	struct __kernel_old_itimerval v = { 0 }, was;

	if (!which_valid(which))
		return -EINVAL;
	if (from != 0 && copy_from_user(&v, from, sizeof(v)) != 0)
		return -EFAULT;
	if (!timeval_valid(&v.it_value) || !timeval_valid(&v.it_interval))
		return -EINVAL;
	itimer_swap(current->process, (int)which, &v, &was);
	return old != 0 ? copy_to_user(old, &was, sizeof(was)) : 0;
}
