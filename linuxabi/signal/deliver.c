/* SPDX-License-Identifier: MIT */
/*
 * What happens to pending signals on the way to EL0: default actions, job
 * control stops, handlers, and the restart of the system call that was
 * interrupted.  signal(7), "Interruption of system calls".
 *
 * A stop: the signal marks every thread (stop_wanted); each comes through here,
 * counts itself and sleeps TASK_STOPPED; the last one makes the process
 * `stopped` and tells the parent.  SIGCONT undoes it at once (queue.c); the
 * parent hears of that from the first thread that runs again.
 */
#include "frame.h"
#include "signal_internal.h"

static void
parent_notify(struct process *p)
{
	uint64_t flags = spin_lock_irqsave(&tasklist_lock);

	process_notify_parent(p);
	spin_unlock_irqrestore(&tasklist_lock, flags);
}

/* sighand->lock is held: mark all threads, kick those that run. */
static void
stop_begin(struct process *p, int sig)
{
	struct task *t;

	p->stop_signal = sig;
	p->stop_count = 0;
	list_for_each(t, &p->threads, thread_node) {
		if (t->state == TASK_DEAD)
			continue;
		t->stop_wanted = true;
		p->stop_count++;
		__atomic_fetch_or(&t->work, TIF_SIGPENDING, __ATOMIC_SEQ_CST);
		if (t != current && !task_wake_state(t, TASK_INTERRUPTIBLE))
			task_kick(t);
	}
}

/* sighand->lock is held and dropped. */
static void
stop_self(struct process *p, struct sighand *h, uint64_t flags)
{
	bool last;

	current->stop_wanted = false;
	if (p->stop_count > 0)
		p->stop_count--;
	last = p->stop_count == 0;
	if (last) {
		p->stopped = true;
		p->stop_reported = false;
		p->continued = false;
	}
	/* From here on SIGCONT finds us stopped, whether we sleep already or not. */
	task_prepare_wait(TASK_STOPPED);
	spin_unlock_irqrestore(&h->lock, flags);
	if (last)
		parent_notify(p);
	schedule();
	task_finish_wait();

	flags = spin_lock_irqsave(&h->lock);
	signal_recalc(current);
	spin_unlock_irqrestore(&h->lock, flags);
}

static bool
stop_allowed(struct process *p, int sig)
{
	bool orphaned;
	uint64_t flags;

	if (sig == SIGSTOP)
		return true;
	flags = spin_lock_irqsave(&tasklist_lock);
	orphaned = group_is_orphaned(p->pgid);
	spin_unlock_irqrestore(&tasklist_lock, flags);
	return !orphaned;
}

static void
default_stop(struct process *p, int sig)
{
	uint64_t flags;
	struct sighand *h;

	if (!stop_allowed(p, sig))
		return;
	h = sighand_lock(p, &flags);
	/* SIGCONT or SIGKILL may have come in between: they win. */
	if ((signal_pending_set(current) & (SIGMASK(SIGCONT) | SIGMASK(SIGKILL))) != 0 || p->group_exit) {
		spin_unlock_irqrestore(&h->lock, flags);
		return;
	}
	stop_begin(p, sig);
	stop_self(p, h, flags);
}

/* The process goes on after a stop: the parent is told by us, not by the sender. */
static void
continue_report(struct process *p, struct sighand *h)
{
	uint64_t flags = spin_lock_irqsave(&h->lock);
	bool report = p->continue_notify;

	p->continue_notify = false;
	signal_recalc(current);
	spin_unlock_irqrestore(&h->lock, flags);
	if (report)
		parent_notify(p);
}

/* The next signal that has a handler; 0 when nothing is left.  Default actions are done here. */
static int
next_handled(struct sigact *act, siginfo_t *info)
{
	struct process *p = current->process;

	for (;;) {
		struct sighand *h = p->sighand;
		uint64_t flags;
		int sig;

		task_check_exit();
		if (p->continue_notify)
			continue_report(p, h);
		flags = spin_lock_irqsave(&h->lock);
		if (current->stop_wanted) {
			stop_self(p, h, flags);
			continue;
		}
		sig = signal_dequeue(current, ~current->blocked, info);
		if (sig == 0) {
			signal_recalc(current);
			spin_unlock_irqrestore(&h->lock, flags);
			return 0;
		}
		*act = h->action[sig - 1];
		if (act->handler != SIG_IGN_ && act->handler != SIG_DFL_ && (act->flags & SA_RESETHAND) != 0)
			h->action[sig - 1].handler = SIG_DFL_;
		spin_unlock_irqrestore(&h->lock, flags);
		timer_signal_taken(sig, info);

		if (act->handler == SIG_IGN_ && sig != SIGKILL)
			continue;
		if (act->handler != SIG_DFL_ && sig != SIGKILL)
			return sig;
		if ((SIGMASK(sig) & SIGNALS_IGNORED) != 0)
			continue;
		/* init dies of its own faults only. */
		if (p == init_process && info->si_code <= 0)
			continue;
		if ((SIGMASK(sig) & SIGNALS_STOP) != 0) {
			default_stop(p, sig);
			continue;
		}
		process_exit(sig);
	}
}

static bool
is_restart(long result)
{
	return result == -ERESTARTSYS || result == -ERESTARTNOINTR ||
	    result == -ERESTARTNOHAND || result == -ERESTART_RESTARTBLOCK;
}

static void
call_again(struct regs *r)
{
	r->x[0] = r->orig_x0;
	r->pc -= 4;
}

/* The call was interrupted and a handler runs: EINTR or once more, by SA_RESTART. */
static void
restart_with_handler(struct regs *r, const struct sigact *act)
{
	long result = (long)r->x[0];

	if (result == -ERESTARTNOINTR || (result == -ERESTARTSYS && (act->flags & SA_RESTART) != 0))
		call_again(r);
	else
		regs_set_result(r, -EINTR);
}

static void
restart_without_handler(struct regs *r)
{
	enum { NR_RESTART_SYSCALL = 128 };

	if ((long)r->x[0] == -ERESTART_RESTARTBLOCK)
		r->x[8] = NR_RESTART_SYSCALL;
	call_again(r);
}

static void
run_handler(struct regs *r, int sig, const struct sigact *act, const siginfo_t *info)
{
	struct task *t = current;
	bool restore = (t->work & TIF_RESTORE_MASK) != 0;
	sigmask_t blocked = t->blocked | act->mask;

	if (frame_push(r, sig, act, info, restore ? t->saved_mask : t->blocked) != 0) {
		/* No stack to run on: as if the handler were the default. */
		signal_force(SIGSEGV, SEGV_MAPERR, r->sp);
		if (sig == SIGSEGV)
			process_exit(SIGSEGV);
		return;
	}
	__atomic_fetch_and(&t->work, ~TIF_RESTORE_MASK, __ATOMIC_RELAXED);
	if ((act->flags & SA_NODEFER) == 0)
		blocked |= SIGMASK(sig);
	signal_block(blocked);
}

void
signal_deliver(struct regs *r, bool syscall)
{
	struct sigact act;
	siginfo_t info;
	int sig;

	syscall = syscall && r->syscall >= 0 && is_restart((long)r->x[0]);
	while ((sig = next_handled(&act, &info)) != 0) {
		if (syscall)
			restart_with_handler(r, &act);
		syscall = false;
		run_handler(r, sig, &act, &info);
		if ((current->work & TIF_SIGPENDING) == 0)
			break;
	}
	if (syscall)
		restart_without_handler(r);
	if ((current->work & TIF_RESTORE_MASK) != 0)
		signal_restore_mask();
	r->syscall = -1;
}
