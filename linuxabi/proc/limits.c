/* SPDX-License-Identifier: MIT */
/* Resource limits, priorities and accounting: getrlimit(2), getpriority(2), getrusage(2), times(2). */
#include <linux/resource.h>
#include <linux/times.h>
#include "internal.h"
#include "syscall.h"

enum { NOFILE_MAX = 1048576, TICK_NS = 10000000, NICE_MIN = -20, NICE_MAX = 19 };
enum { RL_NICE_ = 13, RL_NOFILE_ = 7 };

/* --- limits --- */

static bool
may_change_limits(const struct task *t)
{
	const struct cred *c = current->cred;
	struct cred *o;
	bool may;

	if (t->process == current->process || capable(CAP_SYS_RESOURCE_))
		return true;
	o = cred_of_task(t);
	may = c->uid == o->euid && c->uid == o->suid && c->uid == o->uid
	    && c->gid == o->egid && c->gid == o->sgid && c->gid == o->gid;
	cred_put(o);
	return may;
}

static long
limit_set(struct process *p, unsigned resource, const struct rlimit64 *n)
{
	if (n->rlim_cur > n->rlim_max)
		return -EINVAL;
	if (resource == RL_NOFILE_ && n->rlim_max > NOFILE_MAX)
		return -EPERM;
	if (n->rlim_max > p->rlimit_max[resource] && !capable(CAP_SYS_RESOURCE_))
		return -EPERM;
	p->rlimit_max[resource] = n->rlim_max;
	p->rlimit_cur[resource] = n->rlim_cur;
	if (resource == RLIMIT_CPU)
		process_cpu_limit_changed(p);
	return 0;
}

static long
do_prlimit(struct process *p, unsigned resource, const struct rlimit64 *n, struct rlimit64 *old)
{
	if (resource >= RLIMITS)
		return -EINVAL;
	if (old != NULL) {
		old->rlim_cur = p->rlimit_cur[resource];
		old->rlim_max = p->rlimit_max[resource];
	}
	return n != NULL ? limit_set(p, resource, n) : 0;
}

long
sys_prlimit64(uint64_t pid, uint64_t resource, uint64_t user_new, uint64_t user_old)
{
	struct rlimit64 n, old;
	struct task *t;
	long r;

	if (user_new != 0 && copy_from_user(&n, user_new, sizeof(n)) != 0)
		return -EFAULT;
	t = (int)pid != 0 ? task_find((int)pid) : current;
	if (t == NULL)
		return -ESRCH;
	if (!may_change_limits(t))
		r = -EPERM;
	else
		r = do_prlimit(t->process, (unsigned)resource, user_new != 0 ? &n : NULL, &old);
	if (t != current)
		task_put(t);
	if (r == 0 && user_old != 0 && copy_to_user(user_old, &old, sizeof(old)) != 0)
		return -EFAULT;
	return r;
}

long
sys_getrlimit(uint64_t resource, uint64_t to)
{
	struct rlimit64 l;
	long r = do_prlimit(current->process, (unsigned)resource, NULL, &l);

	return r != 0 ? r : copy_to_user(to, &l, sizeof(l));
}

long
sys_setrlimit(uint64_t resource, uint64_t from)
{
	struct rlimit64 l;

	if (copy_from_user(&l, from, sizeof(l)) != 0)
		return -EFAULT;
	return do_prlimit(current->process, (unsigned)resource, &l, NULL);
}

/* --- priorities --- */

enum { PRIO_PROCESS_ = 0, PRIO_PGRP_ = 1, PRIO_USER_ = 2 };

static bool
prio_matches(int which, uint32_t who, const struct task *t)
{
	switch (which) {
	case PRIO_PROCESS_:
		return t->tid == (int)who;
	case PRIO_PGRP_:
		return t->process->pgid == (int)who;
	default:
		return t->cred->uid == who;
	}
}

static uint32_t
prio_who(int which, uint32_t who)
{
	if (who != 0)
		return who;
	return which == PRIO_PROCESS_ ? (uint32_t)current->tid
	    : which == PRIO_PGRP_ ? (uint32_t)current->process->pgid : current->cred->uid;
}

static void
nice_set(struct task *t, int nice, long *result)
{
	const struct cred *c = current->cred;

	if (c->euid != t->cred->uid && c->euid != t->cred->euid && !capable(CAP_SYS_NICE_))
		*result = -EPERM;
	else if (nice < t->nice && (uint64_t)(20 - nice) > t->process->rlimit_cur[RL_NICE_]
	    && !capable(CAP_SYS_NICE_))
		*result = -EACCES;
	else {
		t->nice = (int8_t)nice;
		if (*result == -ESRCH)
			*result = 0;
	}
}

long
sys_setpriority(uint64_t which, uint64_t who64, uint64_t nice64)
{
	int nice = max(min((int)nice64, (int)NICE_MAX), (int)NICE_MIN);
	uint32_t who = prio_who((int)which, (uint32_t)who64);
	struct process *p;
	struct task *t;
	uint64_t irq;
	long r = -ESRCH;

	if (which > PRIO_USER_)
		return -EINVAL;
	irq = spin_lock_irqsave(&tasklist_lock);
	list_for_each(p, &process_list, all)
		list_for_each(t, &p->threads, thread_node)
			if (prio_matches((int)which, who, t))
				nice_set(t, nice, &r);
	spin_unlock_irqrestore(&tasklist_lock, irq);
	return r;
}

/* 20 - nice, so that no answer looks like an error. */
long
sys_getpriority(uint64_t which, uint64_t who64)
{
	uint32_t who = prio_who((int)which, (uint32_t)who64);
	struct process *p;
	struct task *t;
	uint64_t irq;
	long r = -ESRCH;

	if (which > PRIO_USER_)
		return -EINVAL;
	irq = spin_lock_irqsave(&tasklist_lock);
	list_for_each(p, &process_list, all)
		list_for_each(t, &p->threads, thread_node)
			if (prio_matches((int)which, who, t) && 20 - t->nice > r)
				r = 20 - t->nice;
	spin_unlock_irqrestore(&tasklist_lock, irq);
	return r;
}

/*
 * --- I/O priorities: ioprio_set(2) ---
 * Kept, inherited and told, like those of a Linux disk whose scheduler is "none": requests are
 * served in their order.
 */

enum { IOPRIO_NONE = 0, IOPRIO_RT = 1, IOPRIO_BE = 2, IOPRIO_IDLE = 3, IOPRIO_SHIFT = 13, IOPRIO_LEVELS = 8 };

/* Processes, groups and users count from 1 here, and from 0 in getpriority. */
static bool
io_who_valid(uint64_t which)
{
	return (int)which - 1 >= PRIO_PROCESS_ && (int)which - 1 <= PRIO_USER_;
}

static long
ioprio_check(uint32_t prio)
{
	uint32_t class = prio >> IOPRIO_SHIFT, level = prio & ((1U << IOPRIO_SHIFT) - 1);

	if (class > IOPRIO_IDLE || (class == IOPRIO_NONE && level != 0))
		return -EINVAL;
	if ((class == IOPRIO_RT || class == IOPRIO_BE) && level >= IOPRIO_LEVELS)
		return -EINVAL;
	return class == IOPRIO_RT && !capable(CAP_SYS_NICE_) ? -EPERM : 0;
}

/* Who has none is served as its niceness says. */
static long
ioprio_of(const struct task *t)
{
	return t->ioprio != 0 ? (long)t->ioprio : (long)IOPRIO_BE << IOPRIO_SHIFT | (t->nice - NICE_MIN) / 5;
}

static void
ioprio_set_one(struct task *t, uint16_t prio, long *result)
{
	const struct cred *c = current->cred;

	if (t->cred->uid != c->euid && t->cred->uid != c->uid && !capable(CAP_SYS_NICE_)) {
		*result = -EPERM;
		return;
	}
	WRITE_ONCE(t->ioprio, prio);
	if (*result == -ESRCH)
		*result = 0;
}

long
sys_ioprio_set(uint64_t which, uint64_t who64, uint64_t prio)
{
	struct process *p;
	struct task *t;
	uint64_t irq;
	uint32_t who;
	long r = ioprio_check((uint32_t)prio);

	if (r != 0 || !io_who_valid(which))
		return r != 0 ? r : -EINVAL;
	who = prio_who((int)which - 1, (uint32_t)who64);
	r = -ESRCH;
	irq = spin_lock_irqsave(&tasklist_lock);
	list_for_each(p, &process_list, all)
		list_for_each(t, &p->threads, thread_node)
			if (prio_matches((int)which - 1, who, t))
				ioprio_set_one(t, (uint16_t)prio, &r);
	spin_unlock_irqrestore(&tasklist_lock, irq);
	return r;
}

/* The best of all that are meant: the smallest number. */
long
sys_ioprio_get(uint64_t which, uint64_t who64)
{
	struct process *p;
	struct task *t;
	uint64_t irq;
	uint32_t who;
	long r = -ESRCH;

	if (!io_who_valid(which))
		return -EINVAL;
	who = prio_who((int)which - 1, (uint32_t)who64);
	irq = spin_lock_irqsave(&tasklist_lock);
	list_for_each(p, &process_list, all)
		list_for_each(t, &p->threads, thread_node)
			if (prio_matches((int)which - 1, who, t) && (r == -ESRCH || ioprio_of(t) < r))
				r = ioprio_of(t);
	spin_unlock_irqrestore(&tasklist_lock, irq);
	return r;
}

/* --- accounting --- */

long
sys_getrusage(uint64_t who, uint64_t to)
{
	struct process *p = current->process;
	struct usage u;
	struct rusage r;

	switch ((int)who) {
	case RUSAGE_SELF:
		usage_process(p, &u);
		break;
	case RUSAGE_CHILDREN:
		u = p->children_usage;
		break;
	case RUSAGE_THREAD:
		usage_task(current, &u);
		break;
	default:
		return -EINVAL;
	}
	if ((int)who != RUSAGE_CHILDREN)
		u.maxrss_kib = max(u.maxrss_kib, mm_maxrss_kib(current->mm));
	rusage_of(&u, &r);
	return copy_to_user(to, &r, sizeof(r));
}

long
sys_times(uint64_t to)
{
	struct process *p = current->process;
	struct usage u;
	struct tms t;

	if (to != 0) {
		usage_process(p, &u);
		t.tms_utime = (long)(u.user_ns / TICK_NS);
		t.tms_stime = (long)(u.system_ns / TICK_NS);
		t.tms_cutime = (long)(p->children_usage.user_ns / TICK_NS);
		t.tms_cstime = (long)(p->children_usage.system_ns / TICK_NS);
		if (copy_to_user(to, &t, sizeof(t)) != 0)
			return -EFAULT;
	}
	return (long)(clock_monotonic() / TICK_NS);
}
