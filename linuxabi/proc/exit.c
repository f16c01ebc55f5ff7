/* SPDX-License-Identifier: MIT */
/*
 * The end of threads and processes: exit, exit_group, zombies, what becomes of
 * children, orphaned groups, and who is told.
 */
#include "internal.h"
#include "syscall.h"

/* --- the address space --- */

/* exec and exit: the vfork parent goes on, robust futexes and clear_child_tid are done. */
void
task_release_mm(struct task *t)
{
	struct mm *mm = t->mm;
	uint64_t irq;

	if (mm == NULL)
		return;
	futex_exit(t);
	irq = spin_lock_irqsave(&tasklist_lock);
	if (t->vfork_done != NULL) {
		complete(t->vfork_done);
		t->vfork_done = NULL;
	}
	spin_unlock_irqrestore(&tasklist_lock, irq);
}

static void
exit_mm(struct task *t)
{
	struct mm *mm = t->mm;
	uint64_t irq;

	if (mm == NULL)
		return;
	task_release_mm(t);
	t->usage.maxrss_kib = max(t->usage.maxrss_kib, mm_maxrss_kib(mm));
	irq = spin_lock_irqsave(&tasklist_lock);
	t->mm = t->mm_active = NULL;
	mm_activate(NULL);		/* this CPU leaves the tables before they may go */
	spin_unlock_irqrestore(&tasklist_lock, irq);
	mm_put(mm);
}

/* Others look at these with tasklist_lock held (procfs, umount). */
static void
exit_files(struct task *t)
{
	uint64_t irq = spin_lock_irqsave(&tasklist_lock);
	struct files *files = t->files;
	struct fs_context *fs = t->fs;

	t->files = NULL;
	t->fs = NULL;
	spin_unlock_irqrestore(&tasklist_lock, irq);
	files_put(files);
	fs_context_put(fs);
}

/* --- process groups --- */

/* `leaving` counts as gone already. */
static bool
group_will_be_orphaned(int pgid, const struct process *leaving)
{
	struct process *p;

	list_for_each(p, group_bucket_locked(pgid), group_node) {
		if (p->pgid != pgid || p == leaving || p->zombie || p->parent == NULL
		    || p->parent == init_process)
			continue;
		if (p->parent->pgid != pgid && p->parent->sid == p->sid)
			return false;
	}
	return true;
}

bool
group_is_orphaned(int pgid)
{
	return group_will_be_orphaned(pgid, NULL);
}

static bool
group_has_stopped(int pgid)
{
	struct process *p;

	list_for_each(p, group_bucket_locked(pgid), group_node)
		if (p->pgid == pgid && p->stopped && !p->zombie)
			return true;
	return false;
}

static void
group_signal_locked(int pgid, int sig)
{
	struct process *p, *tmp;

	list_for_each_safe(p, tmp, group_bucket_locked(pgid), group_node)
		if (p->pgid == pgid && !p->zombie)
			signal_send_process(p, sig, NULL);
}

/* Nobody is left who could continue stopped jobs: POSIX 2.4, SIGHUP and SIGCONT. */
static void
group_check_orphaned(const struct process *p, const struct process *parent, const struct process *leaving)
{
	if (parent == NULL || parent->pgid == p->pgid || parent->sid != p->sid)
		return;
	if (!group_has_stopped(p->pgid) || !group_will_be_orphaned(p->pgid, leaving))
		return;
	group_signal_locked(p->pgid, SIGHUP);
	group_signal_locked(p->pgid, SIGCONT);
}

/* --- telling the parent --- */

static int
child_code(const struct process *p)
{
	if (p->zombie)
		return (p->exit_code & 0x7f) == 0 ? CLD_EXITED
		    : (p->exit_code & 0x80) ? CLD_DUMPED : CLD_KILLED;
	return p->stopped ? CLD_STOPPED : CLD_CONTINUED;
}

static int
child_status(const struct process *p)
{
	if (p->zombie)
		return (p->exit_code & 0x7f) == 0 ? (p->exit_code >> 8) & 0xff : p->exit_code & 0x7f;
	return p->stopped ? p->stop_signal : SIGCONT;
}

static void
child_info(const struct process *p, int sig, siginfo_t *info)
{
	enum { CLOCK_TICK_NS = 10000000 };

	memset(info, 0, sizeof(*info));
	info->si_signo = sig;
	info->si_code = child_code(p);
	info->si_pid = p->pid;
	info->si_uid = p->leader->cred->uid;
	info->si_status = child_status(p);
	info->si_utime = (long)(p->dead_threads.user_ns / CLOCK_TICK_NS);
	info->si_stime = (long)(p->dead_threads.system_ns / CLOCK_TICK_NS);
}

/* What the parent does about SIGCHLD. */
static struct sigact
child_action(const struct process *parent)
{
	return parent->sighand != NULL ? parent->sighand->action[SIGCHLD - 1] : (struct sigact){ 0 };
}

void
process_notify_parent(struct process *p)
{
	struct process *parent = p->parent;
	int sig = p->zombie ? p->exit_signal : SIGCHLD;
	bool reap = false;
	struct sigact act;
	siginfo_t info;

	if (parent == NULL)
		return;
	act = child_action(parent);
	if (p->zombie && sig == SIGCHLD) {
		if (act.handler == (uint64_t)SIG_IGN)
			sig = 0;
		reap = sig == 0 || (act.flags & SA_NOCLDWAIT);
	}
	if (!p->zombie && (act.flags & SA_NOCLDSTOP))
		sig = 0;
	if (sig != 0) {
		child_info(p, sig, &info);
		signal_send_process(parent, sig, &info);
	}
	waitq_wake_all(&parent->child_wait);
	if (p->zombie)
		pidfd_notify_locked(p);
	if (reap)
		process_reap_locked(p);
}

/* --- children of a process that ends --- */

static struct process *
reaper_of(struct process *p)
{
	for (struct process *r = p->parent; r != NULL; r = r->parent)
		if (r == init_process || (r->child_subreaper && r->thread_count != 0))
			return r;
	return init_process;
}

static void
children_leave(struct process *p)
{
	struct process *c, *tmp, *reaper = reaper_of(p);

	list_for_each_safe(c, tmp, &p->children, sibling) {
		list_del(&c->sibling);
		list_add_tail(&reaper->children, &c->sibling);
		c->parent = reaper;
		WRITE_ONCE(c->ppid, reaper->pid);
		if (c->leader->pdeath_signal != 0 && !c->zombie)
			signal_send_process(c, c->leader->pdeath_signal, NULL);
		c->exit_signal = SIGCHLD;	/* so that the new parent's plain wait finds it */
		if (c->zombie)
			process_notify_parent(c);
		else
			group_check_orphaned(c, p, p);
	}
}

/* --- the process --- */

void
process_reap_locked(struct process *p)
{
	struct task *leader = p->leader;

	if (p->reaped)
		return;
	p->reaped = true;
	list_del(&p->sibling);
	list_del(&p->all);
	list_del(&p->group_node);
	task_unhash_locked(leader);
	tid_release_locked(p->pid);
	tid_release_locked(p->pgid);
	tid_release_locked(p->sid);
	task_uncharge(leader);
	leader->process_weak = true;
	process_put(p);			/* the leader's */
	process_put(p);			/* that of being there at all */
}

/* The last thread is leaving; nobody else of the process runs any more. */
static void
process_finish(struct process *p)
{
	struct tty *tty;
	struct sighand *h = p->sighand;
	uint64_t irq;

	if (p == init_process)
		panic("init ended with code 0x%x", p->group_exit ? p->group_exit_code : current->exit_code);
	process_timers_exit(p);
	if (p->session_leader)
		tty_session_leader_exit(p);

	irq = spin_lock_irqsave(&tasklist_lock);
	tty = p->tty;
	p->tty = NULL;
	children_leave(p);
	group_check_orphaned(p, p->parent, p);
	p->exit_code = p->group_exit ? p->group_exit_code : p->leader->exit_code;

	spin_lock(&h->lock);
	sigpending_flush(&p->shared_pending);
	p->stopped = p->continued = false;
	p->sighand = NULL;
	spin_unlock(&h->lock);
	p->zombie = true;
	process_notify_parent(p);	/* p may be gone afterwards */
	spin_unlock_irqrestore(&tasklist_lock, irq);
	sighand_put(h);
	if (tty != NULL)
		tty_put(tty);
}

/* --- the thread --- */

/* A group stop must not wait for a thread that leaves. */
static bool
leave_group_stop(struct process *p, struct task *t)
{
	if (!t->stop_wanted)
		return false;
	t->stop_wanted = false;
	if (p->stop_count == 0 || --p->stop_count != 0 || p->thread_count == 0)
		return false;
	p->stopped = true;
	p->stop_reported = false;
	return true;
}

/* Take t off its process' list; true: it was the last. */
static bool
thread_unlink(struct process *p, struct task *t)
{
	bool last, stopped;
	struct usage u;
	uint64_t irq = spin_lock_irqsave(&tasklist_lock);

	usage_task(t, &u);
	spin_lock(&p->sighand->lock);
	list_del(&t->thread_node);
	last = --p->thread_count == 0;
	sigpending_flush(&t->pending);
	stopped = leave_group_stop(p, t);
	usage_add(&p->dead_threads, &u);
	spin_unlock(&p->sighand->lock);
	if (stopped)
		process_notify_parent(p);
	spin_unlock_irqrestore(&tasklist_lock, irq);
	return last;
}

static void
thread_unhash(struct task *t)
{
	uint64_t irq = spin_lock_irqsave(&tasklist_lock);

	task_unhash_locked(t);
	tid_release_locked(t->tid);
	spin_unlock_irqrestore(&tasklist_lock, irq);
	task_uncharge(t);
}

static void __attribute__((noreturn))
thread_vanish(void)
{
	irq_save();
	current->state = TASK_DEAD;
	schedule();
	panic("a dead task was scheduled");
}

void
task_exit(int code)
{
	struct task *t = current;
	struct process *p = t->process;
	bool leader = p->leader == t, last;

	if (t->kernel_thread) {
		task_put(t);		/* proc's reference: it was never hashed */
		thread_vanish();
	}
	t->exit_code = code;
	exit_mm(t);
	exit_files(t);
	last = thread_unlink(p, t);
	if (!leader)
		thread_unhash(t);
	if (last)
		process_finish(p);
	else
		waitq_wake_all(&p->exit_wait);
	if (!leader)
		task_put(t);
	thread_vanish();
}

void
process_exit(int code)
{
	struct process *p = current->process;
	struct task *t;
	uint64_t irq = spin_lock_irqsave(&tasklist_lock);

	if (p->group_exit) {
		code = p->group_exit_code;
	} else if (p->exec_task != NULL && p->exec_task != current) {
		code = 0;		/* another thread's exec ends us alone */
	} else {
		p->group_exit = true;
		p->group_exit_code = code;
		list_for_each(t, &p->threads, thread_node)
			if (t != current)
				signal_kill_task(t);
	}
	spin_unlock_irqrestore(&tasklist_lock, irq);
	task_exit(code);
}

void
task_check_exit(void)
{
	struct process *p = current->process;

	if (p->group_exit)
		task_exit(p->group_exit_code);
	if (p->exec_task != NULL && p->exec_task != current)
		task_exit(0);
}

long
sys_exit(uint64_t code)
{
	task_exit((int)(code & 0xff) << 8);
}

long
sys_exit_group(uint64_t code)
{
	process_exit((int)(code & 0xff) << 8);
}

/* --- exec: one thread goes on as the only one --- */

/* current becomes the leader: it takes over number and place of the old one. */
static void
become_leader(struct process *p, struct task *t)
{
	struct task *old = p->leader;
	uint64_t irq = spin_lock_irqsave(&tasklist_lock);

	task_unhash_locked(old);
	task_unhash_locked(t);
	tid_release_locked(t->tid);
	old->tid = t->tid;
	t->tid = p->pid;
	task_hash_locked(t);
	p->leader = t;
	t->start_ns = old->start_ns;
	spin_unlock_irqrestore(&tasklist_lock, irq);
	task_uncharge(old);
	task_put(old);
}

/* Alone, and the old leader has left the processor for good. */
static bool
only_one_left(struct process *p)
{
	return READ_ONCE(p->thread_count) == 1;
}

bool
process_kill_others(void)
{
	struct process *p = current->process;
	struct task *t;
	uint64_t irq;
	bool go;

	if (p->thread_count == 1 && p->leader == current)
		return true;
	irq = spin_lock_irqsave(&tasklist_lock);
	go = !p->group_exit && p->exec_task == NULL;
	if (go) {
		p->exec_task = current;
		list_for_each(t, &p->threads, thread_node)
			if (t != current)
				signal_kill_task(t);
	}
	spin_unlock_irqrestore(&tasklist_lock, irq);
	if (!go)
		return false;
	wait_event_killable(&p->exit_wait, only_one_left(p));
	if (!only_one_left(p)) {	/* killed meanwhile: leave with everybody */
		irq = spin_lock_irqsave(&tasklist_lock);
		p->exec_task = NULL;
		spin_unlock_irqrestore(&tasklist_lock, irq);
		return false;
	}
	if (p->leader != current)
		become_leader(p, current);
	irq = spin_lock_irqsave(&tasklist_lock);
	p->exec_task = NULL;
	spin_unlock_irqrestore(&tasklist_lock, irq);
	return true;
}
