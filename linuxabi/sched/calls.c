/* SPDX-License-Identifier: MIT */
/*
 * The system calls of scheduling.  Policies and real-time priorities are kept
 * and shown; within this kernel everybody is scheduled by weight, which is what
 * SCHED_OTHER promises and the others do not forbid for lack of a dedicated CPU.
 */
#include <linux/sched.h>
#include <linux/sched/types.h>

#include "syscall.h"
#include "task.h"
#include "uaccess.h"

enum { RT_PRIORITY_MAX = 99, CAP_SYS_NICE_ = 23, RLIMIT_RTPRIO_ = 14, RR_INTERVAL_NS = 3000000 };

static bool is_realtime(int policy) { return policy == SCHED_FIFO || policy == SCHED_RR; }

static bool
is_fair(int policy)
{
	return policy == SCHED_NORMAL || policy == SCHED_BATCH || policy == SCHED_IDLE;
}

static bool capable_nice(void) { return (current->cred->cap_effective >> CAP_SYS_NICE_) & 1; }

static struct task *
find(int tid)
{
	if (tid == 0) {
		task_get(current);
		return current;
	}
	return tid > 0 ? task_find(tid) : NULL;
}

static bool
may_change(const struct task *t)
{
	struct cred *o = cred_of_task(t);
	uint32_t euid = current->cred->euid;
	bool may = capable_nice() || euid == o->euid || euid == o->uid;

	cred_put(o);
	return may;
}

/* --- policies --- */

static long
set_policy(int tid, int policy, int priority, const int *nice)
{
	struct task *t;
	long r = 0;

	if (!(is_realtime(policy) ? priority >= 1 && priority <= RT_PRIORITY_MAX : is_fair(policy) && priority == 0))
		return -EINVAL;
	t = find(tid);
	if (t == NULL)
		return -ESRCH;
	if (!may_change(t) || (is_realtime(policy) && !capable_nice()
	    && (uint64_t)priority > rlimit(RLIMIT_RTPRIO_)) || (nice != NULL && *nice < t->nice && !capable_nice())) {
		r = -EPERM;
	} else {
		t->policy = policy;
		t->rt_priority = priority;
		if (nice != NULL && is_fair(policy))
			sched_set_nice(t, *nice);
	}
	task_put(t);
	return r;
}

long
sys_sched_setscheduler(uint64_t tid, uint64_t policy, uint64_t param)
{
	uint32_t priority;

	if ((int)tid < 0 || (int)policy < 0)
		return -EINVAL;
	if (get_user_u32(&priority, param) != 0)
		return -EFAULT;
	return set_policy((int)tid, (int)policy & ~SCHED_RESET_ON_FORK, (int)priority, NULL);
}

long
sys_sched_setparam(uint64_t tid, uint64_t param)
{
	struct task *t = find((int)tid);
	uint32_t priority;
	int policy;

	if (t == NULL)
		return (int)tid < 0 ? -EINVAL : -ESRCH;
	policy = t->policy;
	task_put(t);
	if (get_user_u32(&priority, param) != 0)
		return -EFAULT;
	return set_policy((int)tid, policy, (int)priority, NULL);
}

long
sys_sched_getscheduler(uint64_t tid)
{
	struct task *t = find((int)tid);
	int policy;

	if (t == NULL)
		return (int)tid < 0 ? -EINVAL : -ESRCH;
	policy = t->policy;
	task_put(t);
	return policy;
}

long
sys_sched_getparam(uint64_t tid, uint64_t param)
{
	struct task *t = find((int)tid);
	int priority;

	if (t == NULL)
		return (int)tid < 0 ? -EINVAL : -ESRCH;
	priority = t->rt_priority;
	task_put(t);
	return put_user_u32(param, (uint32_t)priority);
}

long
sys_sched_get_priority_max(uint64_t policy)
{
	return is_realtime((int)policy) ? RT_PRIORITY_MAX : is_fair((int)policy) ? 0 : -EINVAL;
}

long
sys_sched_get_priority_min(uint64_t policy)
{
	return is_realtime((int)policy) ? 1 : is_fair((int)policy) ? 0 : -EINVAL;
}

long
sys_sched_rr_get_interval(uint64_t tid, uint64_t to)
{
	struct task *t = find((int)tid);
	struct __kernel_timespec ts;

	if (t == NULL)
		return (int)tid < 0 ? -EINVAL : -ESRCH;
	ts = ns_timespec(t->policy == SCHED_FIFO ? 0 : RR_INTERVAL_NS);
	task_put(t);
	return copy_to_user(to, &ts, sizeof(ts));
}

/* Like clone3's record: shorter ones are older, longer ones must be zero behind what we know. */
static long
copy_attr(struct sched_attr *a, uaddr_t from)
{
	uint32_t size;

	if (get_user_u32(&size, from) != 0)
		return -EFAULT;
	if (size == 0)
		size = SCHED_ATTR_SIZE_VER0;
	memset(a, 0, sizeof(*a));
	if (size < SCHED_ATTR_SIZE_VER0 || size > PAGE_SIZE) {
		put_user_u32(from, sizeof(*a));
		return -E2BIG;
	}
	for (uint32_t i = sizeof(*a); i < size; i++) {
		uint8_t byte;

		if (get_user_u8(&byte, from + i) != 0)
			return -EFAULT;
		if (byte != 0)
			return -E2BIG;
	}
	return copy_from_user(a, from, min(size, (uint32_t)sizeof(*a)));
}

long
sys_sched_setattr(uint64_t tid, uint64_t from, uint64_t flags)
{
	struct sched_attr a;
	int nice;
	long r;

	if ((int)tid < 0 || from == 0 || flags != 0)
		return -EINVAL;
	r = copy_attr(&a, from);
	if (r != 0)
		return r;
	if (a.sched_flags & ~(uint64_t)SCHED_FLAG_RESET_ON_FORK)
		return -EINVAL;
	nice = a.sched_nice;
	return set_policy((int)tid, (int)a.sched_policy, (int)a.sched_priority, &nice);
}

long
sys_sched_getattr(uint64_t tid, uint64_t to, uint64_t size, uint64_t flags)
{
	struct sched_attr a = { .size = SCHED_ATTR_SIZE_VER0 };
	struct task *t;

	if ((int)tid < 0 || to == 0 || flags != 0 || size < SCHED_ATTR_SIZE_VER0 || size > PAGE_SIZE)
		return -EINVAL;
	t = find((int)tid);
	if (t == NULL)
		return -ESRCH;
	a.sched_policy = (uint32_t)t->policy;
	a.sched_nice = is_fair(t->policy) ? t->nice : 0;
	a.sched_priority = (uint32_t)t->rt_priority;
	task_put(t);
	return copy_to_user(to, &a, SCHED_ATTR_SIZE_VER0);
}

/* --- CPUs --- */

static uint64_t online_mask(void) { return (1UL << cpu_count()) - 1; }

long
sys_sched_setaffinity(uint64_t tid, uint64_t size, uint64_t from)
{
	uint64_t mask = 0;
	struct task *t;
	long r = 0;

	if (copy_from_user(&mask, from, min(size, (uint64_t)sizeof(mask))) != 0)
		return -EFAULT;
	t = find((int)tid);
	if (t == NULL)
		return -ESRCH;
	mask &= online_mask();
	if (!may_change(t))
		r = -EPERM;
	else if (mask == 0)
		r = -EINVAL;
	else
		sched_set_affinity(t, mask);
	if (r == 0 && t == current)
		cond_resched();
	task_put(t);
	return r;
}

/* The bytes of the kernel's mask, as libc expects. */
long
sys_sched_getaffinity(uint64_t tid, uint64_t size, uint64_t to)
{
	uint64_t mask;
	struct task *t;

	if ((unsigned)size < sizeof(mask) || (size & (sizeof(mask) - 1)) != 0)
		return -EINVAL;
	t = find((int)tid);
	if (t == NULL)
		return -ESRCH;
	mask = t->affinity & online_mask();
	task_put(t);
	return copy_to_user(to, &mask, sizeof(mask)) != 0 ? -EFAULT : (long)sizeof(mask);
}

long
sys_sched_yield(void)
{
	current->yielding = true;
	schedule();
	current->yielding = false;
	return 0;
}
