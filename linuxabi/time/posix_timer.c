/* SPDX-License-Identifier: MIT */
/*
 * POSIX timers: timer_create(2) and what follows.  A timer belongs to its
 * process (process->posix_timers); timers_lock (rank 65, irq) protects the lists
 * and every timer in them.
 *
 * A timer that repeats rests (clocks.h) while its signal is pending.  When that is taken, the
 * periods since are counted: the count comes with the signal and from timer_getoverrun.
 */
#include <linux/time.h>

#include "clocks.h"
#include "posix_timers.h"
#include "syscall.h"
#include "uaccess.h"

enum { TIMERS_MAX = 1024, DELAYTIMER_MAX_ = INT32_MAX };

struct posix_timer {
	struct list node;
	struct timer timer;
	struct process *process;
	int id, clock;
	int notify, signo, tid;
	sigval_t value;
	uint64_t interval;
	uint64_t overrun, overrun_last;
	bool rests;			/* fired at timer.expires, and not started again */
};

static spinlock_t timers_lock = SPINLOCK_INIT(65);

/* --- expiry; interrupt context --- */

static bool
still_pending(const struct posix_timer *t, struct task *target)
{
	const struct sigpending *q = target != NULL ? &target->pending : &t->process->shared_pending;

	return (READ_ONCE(q->set) & SIGMASK(t->signo)) != 0;
}

/* Whether somebody will take notice. */
static bool
notify(struct posix_timer *t)
{
	struct task *target = t->notify == SIGEV_THREAD_ID ? task_find(t->tid) : NULL;
	siginfo_t info = { 0 };
	bool pending;

	if (t->notify == SIGEV_THREAD_ID && target == NULL)
		return false;
	if (still_pending(t, target)) {
		t->overrun++;
	} else {
		t->overrun_last = min(t->overrun, (uint64_t)DELAYTIMER_MAX_);
		info.si_signo = t->signo;
		info.si_code = SI_TIMER;
		info.si_tid = t->id;
		info.si_overrun = (int)t->overrun_last;
		info.si_value = t->value;
		if (target != NULL)
			signal_send_task(target, t->signo, &info);
		else
			signal_send_process(t->process, t->signo, &info);
	}
	pending = still_pending(t, target);
	if (target != NULL)
		task_put(target);
	return pending;
}

/* timers_lock is held.  The periods since it fired, without that one. */
static uint64_t
go_on(struct posix_timer *t, uint64_t now, uint64_t not_before)
{
	uint64_t next = t->timer.expires, n = periods_over(now, &next, t->interval) - 1;

	t->rests = false;
	timer_start(&t->timer, max(next, not_before));
	return n;
}

static void
fired(struct timer *timer)
{
	struct posix_timer *t = container_of(timer, struct posix_timer, timer);
	uint64_t now = clock_monotonic();
	bool noticed;

	spin_lock(&timers_lock);
	if (timer->cpu >= 0) {		/* set anew just now */
		spin_unlock(&timers_lock);
		return;
	}
	t->rests = t->interval != 0 && !list_empty(&t->node);
	spin_unlock(&timers_lock);
	noticed = t->notify == SIGEV_NONE || notify(t);
	spin_lock(&timers_lock);
	if (!noticed && t->rests && !list_empty(&t->node))
		t->overrun += go_on(t, now, now + TIMER_UNNOTICED_NS);
	spin_unlock(&timers_lock);
}

void
posix_timer_signal_taken(int sig, siginfo_t *info)
{
	struct list *l = &current->process->posix_timers;
	struct posix_timer *t;
	uint64_t flags, now;

	if (list_empty(l))
		return;
	now = clock_monotonic();
	flags = spin_lock_irqsave(&timers_lock);
	list_for_each(t, l, node) {
		if (t->signo != sig || !t->rests || t->notify == SIGEV_NONE)
			continue;
		t->overrun += go_on(t, now, 0);
		if (info->si_code != SI_TIMER || info->si_tid != t->id)
			continue;
		t->overrun_last = min(t->overrun, (uint64_t)DELAYTIMER_MAX_);
		t->overrun = 0;
		info->si_overrun = (int)t->overrun_last;
	}
	spin_unlock_irqrestore(&timers_lock, flags);
}

/* --- life --- */

static struct posix_timer *
find_locked(int id)
{
	struct posix_timer *t;

	list_for_each(t, &current->process->posix_timers, node)
		if (t->id == id)
			return t;
	return NULL;
}

static long
event_check(const struct sigevent *e)
{
	struct task *t;
	bool ours;

	switch (e->sigev_notify) {
	case SIGEV_NONE:
		return 0;
	case SIGEV_SIGNAL:
	case SIGEV_THREAD:
		break;
	case SIGEV_THREAD_ID:
		t = task_find(e->sigev_notify_thread_id);
		ours = t != NULL && t->process == current->process;
		if (t != NULL)
			task_put(t);
		if (!ours)
			return -EINVAL;
		break;
	default:
		return -EINVAL;
	}
	return e->sigev_signo >= 1 && e->sigev_signo <= NSIG_ ? 0 : -EINVAL;
}

/* The smallest free number, from 0 on, as Linux gives them to a fresh process. */
static long
insert(struct posix_timer *t)
{
	struct list *l = &current->process->posix_timers, *at = l->next;
	uint64_t flags = spin_lock_irqsave(&timers_lock);

	t->id = 0;
	while (at != l && list_entry(at, struct posix_timer, node)->id == t->id) {
		t->id++;
		at = at->next;
	}
	if (t->id < TIMERS_MAX)
		list_insert_(&t->node, at->prev, at);
	spin_unlock_irqrestore(&timers_lock, flags);
	return t->id < TIMERS_MAX ? 0 : -EAGAIN;
}

static void
destroy(struct posix_timer *t)
{
	uint64_t flags = spin_lock_irqsave(&timers_lock);

	t->interval = 0;
	t->rests = false;
	list_del(&t->node);
	spin_unlock_irqrestore(&timers_lock, flags);
	timer_cancel_sync(&t->timer);
	kfree(t);
}

void
posix_timers_end(struct process *p)
{
	/* Only the last thread is left: nobody else changes the list. */
	while (!list_empty(&p->posix_timers))
		destroy(list_first(&p->posix_timers, struct posix_timer, node));
}

long
sys_timer_create(uint64_t clock, uint64_t event, uint64_t id)
{
	struct sigevent e = { .sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGALRM };
	struct posix_timer *t;
	uint64_t ns;
	long r;

	if (clock_read((int)clock, &ns) != 0)
		return -EINVAL;
	if (!clock_can_wait((int)clock))
		return -EOPNOTSUPP;
	if (event != 0 && copy_from_user(&e, event, sizeof(e)) != 0)
		return -EFAULT;
	r = event_check(&e);
	if (r != 0)
		return r;
	t = kzalloc(sizeof(*t));
	if (t == NULL)
		return -EAGAIN;
	list_init(&t->node);
	timer_init(&t->timer, fired);
	t->process = current->process;
	t->clock = (int)clock;
	t->notify = e.sigev_notify;
	t->signo = e.sigev_signo;
	t->tid = e.sigev_notify == SIGEV_THREAD_ID ? e.sigev_notify_thread_id : 0;
	t->value = e.sigev_value;
	r = insert(t);
	if (r == 0 && event == 0)
		t->value.sival_int = t->id;
	if (r == 0 && put_user_u32(id, (uint32_t)t->id) != 0)
		r = -EFAULT;
	if (r != 0)
		destroy(t);
	return r;
}

long
sys_timer_delete(uint64_t id)
{
	uint64_t flags = spin_lock_irqsave(&timers_lock);
	struct posix_timer *t = find_locked((int)id);

	if (t != NULL)
		list_del(&t->node);	/* nobody else finds it now */
	spin_unlock_irqrestore(&timers_lock, flags);
	if (t == NULL)
		return -EINVAL;
	destroy(t);
	return 0;
}

/* timers_lock is held. */
static void
read_locked(const struct posix_timer *t, struct __kernel_itimerspec *v)
{
	uint64_t now = clock_monotonic(), left = 0;

	if (t->timer.cpu >= 0)
		left = t->timer.expires > now ? t->timer.expires - now : 1;
	else if (t->rests)
		left = period_left(now, t->timer.expires, t->interval);
	v->it_value = ns_timespec(left);
	v->it_interval = ns_timespec(t->interval);
}

long
sys_timer_gettime(uint64_t id, uint64_t to)
{
	struct __kernel_itimerspec v;
	uint64_t flags = spin_lock_irqsave(&timers_lock);
	struct posix_timer *t = find_locked((int)id);

	if (t != NULL)
		read_locked(t, &v);
	spin_unlock_irqrestore(&timers_lock, flags);
	return t == NULL ? -EINVAL : copy_to_user(to, &v, sizeof(v));
}

long
sys_timer_getoverrun(uint64_t id)
{
	uint64_t flags = spin_lock_irqsave(&timers_lock);
	struct posix_timer *t = find_locked((int)id);
	long n = t != NULL ? (long)t->overrun_last : -EINVAL;

	spin_unlock_irqrestore(&timers_lock, flags);
	return n;
}

long
sys_timer_settime(uint64_t id, uint64_t how, uint64_t from, uint64_t old)
{
	struct __kernel_itimerspec v, was;
	struct posix_timer *t;
	uint64_t flags, ns;

	if (copy_from_user(&v, from, sizeof(v)) != 0)
		return -EFAULT;
	if (!timespec_valid(&v.it_value) || !timespec_valid(&v.it_interval))
		return -EINVAL;
	ns = timespec_ns(&v.it_value);
	flags = spin_lock_irqsave(&timers_lock);
	t = find_locked((int)id);
	if (t != NULL) {
		read_locked(t, &was);
		timer_cancel(&t->timer);
		t->interval = timespec_ns(&v.it_interval);
		t->overrun = t->overrun_last = 0;
		t->rests = false;
		if (ns != 0)
			timer_start(&t->timer, clock_deadline(t->clock, ns, (how & TIMER_ABSTIME) != 0));
	}
	spin_unlock_irqrestore(&timers_lock, flags);
	if (t == NULL)
		return -EINVAL;
	return old != 0 ? copy_to_user(old, &was, sizeof(was)) : 0;
}
