/* SPDX-License-Identifier: MIT */
/*
 * What counts a process's CPU time: RLIMIT_CPU (getrlimit(2)), and ITIMER_VIRTUAL and
 * ITIMER_PROF (setitimer(2)).  While a process has any of these it is watched:
 * the scheduler's tick marks the running thread with TIF_CPU_TIME, and the thread
 * looks at the clocks on its way to the program.  So they are as exact as the tick,
 * and nobody else pays.
 *
 * process->cpu_timer and cpu_watched: cpu_timer_lock (rank 65, irq); the flag is
 * read without it.
 */
#include <linux/resource.h>
#include <linux/time.h>

#include "clocks.h"
#include "cpu_timer.h"

enum { CPU_TIMER_LEFT_NS = 1000 };	/* what is told of a timer that is due */

static spinlock_t cpu_timer_lock = SPINLOCK_INIT(65);

static uint64_t
time_of(const struct usage *u, int which)
{
	return which == ITIMER_VIRTUAL ? u->user_ns : u->user_ns + u->system_ns;
}

static struct cpu_timer *timer_of(struct process *p, int which) { return &p->cpu_timer[which - ITIMER_VIRTUAL]; }

/* The lock is held, or nobody else knows p. */
static void
watch(struct process *p)
{
	WRITE_ONCE(p->cpu_watched, p->rlimit_cur[RLIMIT_CPU] != UINT64_MAX || p->cpu_timer[0].expires != 0
	    || p->cpu_timer[1].expires != 0);
}

void
cpu_timers_init(struct process *p)
{
	memset(p->cpu_timer, 0, sizeof(p->cpu_timer));
	watch(p);
}

void
process_cpu_limit_changed(struct process *p)
{
	uint64_t flags = spin_lock_irqsave(&cpu_timer_lock);

	watch(p);
	spin_unlock_irqrestore(&cpu_timer_lock, flags);
}

void
cpu_timer_swap(struct process *p, int which, const struct cpu_timer *next, struct cpu_timer *was)
{
	struct cpu_timer *t = timer_of(p, which);
	struct usage u;
	uint64_t flags, now;

	usage_process(p, &u);
	now = time_of(&u, which);
	flags = spin_lock_irqsave(&cpu_timer_lock);
	*was = *t;
	if (was->expires != 0)
		was->expires = was->expires > now ? was->expires - now : CPU_TIMER_LEFT_NS;
	if (next != NULL) {
		t->expires = next->expires != 0 ? now + next->expires : 0;
		t->interval = next->interval;
		watch(p);
	}
	spin_unlock_irqrestore(&cpu_timer_lock, flags);
}

/* The lock is held. */
static bool
timer_due(struct cpu_timer *t, uint64_t now)
{
	if (t->expires == 0 || t->expires > now)
		return false;
	if (t->interval != 0)
		periods_over(now, &t->expires, t->interval);
	else
		t->expires = 0;
	return true;
}

/* The lock is held: the signal that the limit asks for, or 0.  A soft limit warns once a second. */
static int
limit_due(struct process *p, uint64_t now)
{
	uint64_t seconds = now / 1000000000, soft = p->rlimit_cur[RLIMIT_CPU];

	if (seconds >= p->rlimit_max[RLIMIT_CPU])
		return SIGKILL;
	if (seconds < soft)
		return 0;
	/* unless prlimit(2) has just set another one */
	__atomic_compare_exchange_n(&p->rlimit_cur[RLIMIT_CPU], &soft, soft + 1, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED);
	return SIGXCPU;
}

static void
tell(struct process *p, int sig)
{
	siginfo_t info = { 0 };

	info.si_signo = sig;
	info.si_code = SI_KERNEL;
	signal_send_process(p, sig, &info);
}

void
cpu_time_check(void)
{
	struct process *p = current->process;
	struct usage u;
	uint64_t flags;
	bool virtual_due, prof_due;
	int limit;

	__atomic_fetch_and(&current->work, ~TIF_CPU_TIME, __ATOMIC_RELAXED);
	usage_process(p, &u);
	flags = spin_lock_irqsave(&cpu_timer_lock);
	virtual_due = timer_due(timer_of(p, ITIMER_VIRTUAL), time_of(&u, ITIMER_VIRTUAL));
	prof_due = timer_due(timer_of(p, ITIMER_PROF), time_of(&u, ITIMER_PROF));
	limit = limit_due(p, time_of(&u, ITIMER_PROF));
	watch(p);
	spin_unlock_irqrestore(&cpu_timer_lock, flags);
	if (virtual_due)
		tell(p, SIGVTALRM);
	if (prof_due)
		tell(p, SIGPROF);
	if (limit != 0)
		tell(p, limit);
}
