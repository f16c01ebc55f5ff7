/* SPDX-License-Identifier: MIT */
/*
 * The signal system calls: rt_sigaction(2), rt_sigprocmask(2), kill(2), tgkill(2),
 * sigaltstack(2), rt_sigsuspend(2), rt_sigtimedwait(2), rt_sigqueueinfo(2) …
 */
#include <linux/signal.h>

#include "frame.h"
#include "signal_internal.h"
#include "syscall.h"

/* <asm/signal.h>: how of rt_sigprocmask */
enum { SIG_BLOCK_ = 0, SIG_UNBLOCK_ = 1, SIG_SETMASK_ = 2 };

static bool sig_valid(uint64_t sig) { return (int)sig >= 1 && (int)sig <= NSIG_; }

long
sys_rt_sigaction(uint64_t sig, uint64_t new_, uint64_t old, uint64_t size)
{
	struct process *p = current->process;
	struct sighand *h = p->sighand;
	struct sigact act, former;
	uint64_t flags;

	if (size != sizeof(sigmask_t) || !sig_valid(sig))
		return -EINVAL;
	if (new_ != 0) {
		if (copy_from_user(&act, new_, sizeof(act)) != 0)
			return -EFAULT;
		if ((SIGMASK((int)sig) & SIGNALS_UNBLOCKABLE) != 0)
			return -EINVAL;
		act.mask &= ~SIGNALS_UNBLOCKABLE;
	}
	flags = spin_lock_irqsave(&h->lock);
	if (old != 0)
		former = h->action[(int)sig - 1];
	if (new_ != 0)
		h->action[(int)sig - 1] = act;
	spin_unlock_irqrestore(&h->lock, flags);
	/* A handler ignores nothing. */
	if (new_ != 0 && (act.handler == SIG_DFL_ || act.handler == SIG_IGN_))
		signal_discard_ignored(p, (int)sig);
	if (old != 0 && copy_to_user(old, &former, sizeof(former)) != 0)
		return -EFAULT;
	return 0;
}

long
sys_rt_sigprocmask(uint64_t how, uint64_t new_, uint64_t old, uint64_t size)
{
	sigmask_t former = current->blocked, set;

	if (size != sizeof(sigmask_t))
		return -EINVAL;
	if (new_ != 0) {
		if (get_user_u64(&set, new_) != 0)
			return -EFAULT;
		switch ((int)how) {
		case SIG_BLOCK_:
			signal_block(former | set);
			break;
		case SIG_UNBLOCK_:
			current->waited = set;
	signal_block(former & ~set);
			break;
		case SIG_SETMASK_:
			signal_block(set);
			break;
		default:
			return -EINVAL;
		}
	}
	if (old != 0 && put_user_u64(old, former) != 0)
		return -EFAULT;
	return 0;
}

long
sys_rt_sigpending(uint64_t set, uint64_t size)
{
	sigmask_t pending = signal_pending_set(current) & current->blocked;

	if (size > sizeof(sigmask_t))
		return -EINVAL;
	return copy_to_user(set, &pending, size);
}

long
sys_rt_sigreturn(void)
{
	if (frame_pop(current->regs) != 0) {
		signal_force(SIGSEGV, SEGV_MAPERR, current->regs->sp);
		return 0;
	}
	/* The dispatcher stores this over x0: give back what the frame says. */
	return (long)current->regs->x[0];
}

long
signal_set_altstack(const stack_t *ss, bool quiet)
{
	struct task *t = current;
	uint32_t mode = (uint32_t)ss->ss_flags & ~SS_AUTODISARM_;

	if (quiet ? (t->sigalt_flags & SS_AUTODISARM_) == 0 && signal_on_altstack(t) : signal_on_altstack(t))
		return -EPERM;
	if (mode != SS_DISABLE && mode != SS_ONSTACK && mode != 0)
		return -EINVAL;
	if (mode == SS_DISABLE) {
		t->sigalt_sp = t->sigalt_size = 0;
	} else {
		if (ss->ss_size < MINSIGSTKSZ_)
			return -ENOMEM;
		t->sigalt_sp = (uint64_t)ss->ss_sp;
		t->sigalt_size = ss->ss_size;
	}
	t->sigalt_flags = (uint32_t)ss->ss_flags & SS_AUTODISARM_;
	return 0;
}

long
sys_sigaltstack(uint64_t new_, uint64_t old)
{
	struct task *t = current;
	stack_t former = { 0 }, ss;
	long error = 0;

	former.ss_sp = (void *)t->sigalt_sp;
	former.ss_size = t->sigalt_size;
	former.ss_flags = (t->sigalt_size == 0 ? SS_DISABLE : signal_on_altstack(t) ? SS_ONSTACK : 0) |
	    (int)(t->sigalt_flags & SS_AUTODISARM_);
	if (new_ != 0) {
		if (copy_from_user(&ss, new_, sizeof(ss)) != 0)
			return -EFAULT;
		error = signal_set_altstack(&ss, false);
	}
	if (error == 0 && old != 0 && copy_to_user(old, &former, sizeof(former)) != 0)
		return -EFAULT;
	return error;
}

static void
info_from_user(siginfo_t *info, int sig, int code)
{
	memset(info, 0, sizeof(*info));
	info->si_signo = sig;
	info->si_code = code;
	info->si_pid = current->process->pid;
	info->si_uid = current->cred->uid;
}

/* tasklist_lock is held. */
static long
process_kill(struct process *p, int sig, const siginfo_t *info)
{
	if (!cred_may_signal(p->leader, sig))
		return -EPERM;
	return sig == 0 ? 0 : signal_send_process(p, sig, info);
}

/* kill(2) with pid 0, -1 or -group: success if any was signalled. */
static long
kill_many(int pid, int sig, const siginfo_t *info)
{
	struct process *p, *self = current->process;
	int group = pid == 0 ? self->pgid : -pid;
	long result = -ESRCH;
	uint64_t flags = spin_lock_irqsave(&tasklist_lock);

	list_for_each(p, &process_list, all) {
		if (p->leader == NULL)
			continue;
		if (pid == -1 ? (p == init_process || p == self) : p->pgid != group)
			continue;
		if (pid == -1 && p->leader->kernel_thread)
			continue;
		long error = process_kill(p, sig, info);

		if (result == -ESRCH || error == 0)
			result = error;
	}
	spin_unlock_irqrestore(&tasklist_lock, flags);
	return result;
}

static long
kill_one(int pid, int sig, const siginfo_t *info)
{
	struct process *p = process_find(pid);
	long error;

	if (p == NULL)
		return -ESRCH;
	if (!process_may_signal(p, sig))
		error = -EPERM;
	else
		error = sig == 0 ? 0 : signal_send_process(p, sig, info);
	process_put(p);
	return error;
}

long
sys_kill(uint64_t pid, uint64_t sig)
{
	siginfo_t info;
	int id = (int)pid;

	if ((int)sig != 0 && !sig_valid(sig))
		return -EINVAL;
	if (id == INT32_MIN)
		return -ESRCH;
	info_from_user(&info, (int)sig, SI_USER);
	return id > 0 ? kill_one(id, (int)sig, &info) : kill_many(id, (int)sig, &info);
}

/* tgid 0: any group (tkill). */
static long
send_to_thread(int tgid, int tid, int sig, const siginfo_t *info)
{
	struct task *t;
	long error;

	if (tid <= 0 || tgid < 0 || (sig != 0 && !sig_valid((uint64_t)sig)))
		return -EINVAL;
	t = task_find(tid);
	if (t == NULL)
		return -ESRCH;
	if (tgid != 0 && t->process->pid != tgid)
		error = -ESRCH;
	else if (!task_may_signal(t, sig))
		error = -EPERM;
	else
		error = sig == 0 ? 0 : signal_send_task(t, sig, info);
	task_put(t);
	return error;
}

long
sys_tgkill(uint64_t tgid, uint64_t tid, uint64_t sig)
{
	siginfo_t info;

	if ((int)tgid <= 0)
		return -EINVAL;
	info_from_user(&info, (int)sig, SI_TKILL);
	return send_to_thread((int)tgid, (int)tid, (int)sig, &info);
}

long
sys_tkill(uint64_t tid, uint64_t sig)
{
	siginfo_t info;

	info_from_user(&info, (int)sig, SI_TKILL);
	return send_to_thread(0, (int)tid, (int)sig, &info);
}

/* rt_sigqueueinfo(2): only the kernel may claim to be the kernel. */
static long
queue_info(siginfo_t *info, uaddr_t from, int sig, int pid)
{
	if (copy_from_user(info, from, sizeof(*info)) != 0)
		return -EFAULT;
	info->si_signo = sig;
	if ((info->si_code >= 0 || info->si_code == SI_TKILL) && pid != current->process->pid)
		return -EPERM;
	return 0;
}

long
sys_rt_sigqueueinfo(uint64_t pid, uint64_t sig, uint64_t uinfo)
{
	siginfo_t info;
	long error = queue_info(&info, uinfo, (int)sig, (int)pid);

	if (error != 0)
		return error;
	if ((int)sig != 0 && !sig_valid(sig))
		return -EINVAL;
	return (int)pid > 0 ? kill_one((int)pid, (int)sig, &info) : -ESRCH;
}

long
sys_rt_tgsigqueueinfo(uint64_t tgid, uint64_t tid, uint64_t sig, uint64_t uinfo)
{
	siginfo_t info;
	long error = queue_info(&info, uinfo, (int)sig, (int)tgid);

	if (error != 0)
		return error;
	if ((int)tgid <= 0)
		return -EINVAL;
	return send_to_thread((int)tgid, (int)tid, (int)sig, &info);
}

long
signal_set_user_mask(uaddr_t mask, size_t size)
{
	sigmask_t set;

	if (mask == 0)
		return 0;
	if (size != sizeof(sigmask_t))
		return -EINVAL;
	if (get_user_u64(&set, mask) != 0)
		return -EFAULT;
	current->saved_mask = current->blocked;
	__atomic_fetch_or(&current->work, TIF_RESTORE_MASK, __ATOMIC_RELAXED);
	signal_block(set);
	return 0;
}

void
signal_restore_mask(void)
{
	if ((current->work & TIF_RESTORE_MASK) == 0)
		return;
	__atomic_fetch_and(&current->work, ~TIF_RESTORE_MASK, __ATOMIC_RELAXED);
	signal_block(current->saved_mask);
}

long
sys_rt_sigsuspend(uint64_t mask, uint64_t size)
{
	long error;

	if (size != sizeof(sigmask_t))
		return -EINVAL;
	if (mask == 0)
		return -EFAULT;
	error = signal_set_user_mask(mask, size);
	if (error != 0)
		return error;
	for (;;) {
		task_prepare_wait(TASK_INTERRUPTIBLE);
		if (task_wait(UINT64_MAX) != 0)
			break;
	}
	task_finish_wait();
	return -ERESTARTNOHAND;
}

/* One attempt to take a signal of the set, pending or blocked. */
static int
dequeue_locked(sigmask_t set, siginfo_t *info)
{
	struct sighand *h = current->process->sighand;
	uint64_t flags = spin_lock_irqsave(&h->lock);
	int sig = signal_dequeue(current, set, info);

	spin_unlock_irqrestore(&h->lock, flags);
	if (sig != 0)
		timer_signal_taken(sig, info);
	return sig;
}

/* While it sleeps the awaited signals count as not blocked, so that they wake it. */
static int
wait_for_signal(sigmask_t set, uint64_t deadline, siginfo_t *info, long *error)
{
	sigmask_t former = current->blocked;
	int sig;

	current->waited = set;
	signal_block(former & ~set);
	task_prepare_wait(TASK_INTERRUPTIBLE);
	*error = 0;
	if (!signal_pending())
		*error = task_wait(deadline);
	task_finish_wait();
	sig = dequeue_locked(set, info);
	signal_block(former);
	current->waited = 0;
	return sig;
}

long
sys_rt_sigtimedwait(uint64_t uset, uint64_t uinfo, uint64_t utimeout, uint64_t size)
{
	struct __kernel_timespec ts;
	uint64_t deadline = UINT64_MAX;
	sigmask_t set;
	siginfo_t info;
	long error = 0;
	int sig;

	if (size != sizeof(sigmask_t))
		return -EINVAL;
	if (get_user_u64(&set, uset) != 0)
		return -EFAULT;
	if (utimeout != 0) {
		if (copy_from_user(&ts, utimeout, sizeof(ts)) != 0)
			return -EFAULT;
		if (!timespec_valid(&ts))
			return -EINVAL;
		deadline = clock_monotonic() + timespec_ns(&ts);
	}
	set &= ~SIGNALS_UNBLOCKABLE;
	sig = dequeue_locked(set, &info);
	if (sig == 0 && (utimeout == 0 || timespec_ns(&ts) != 0))
		sig = wait_for_signal(set, deadline, &info, &error);
	if (sig == 0)
		return signal_pending() ? -EINTR : error == -ERESTARTSYS ? -EINTR : -EAGAIN;
	if (uinfo != 0 && copy_to_user(uinfo, &info, sizeof(info)) != 0)
		return -EFAULT;
	return sig;
}

long
sys_restart_syscall(void)
{
	long (*fn)(struct task *) = current->restart_fn;

	current->restart_fn = NULL;
	return fn != NULL ? fn(current) : -EINTR;
}
