/* SPDX-License-Identifier: MIT */
/* Process identifiers, groups and sessions: getpid to setsid. credentials(7). */
#include "internal.h"
#include "syscall.h"

long sys_getpid(void) { return current->process->pid; }
long sys_gettid(void) { return current->tid; }

long
sys_getppid(void)
{
	return READ_ONCE(current->process->ppid);
}

long
sys_set_tid_address(uint64_t addr)
{
	current->clear_child_tid = addr;
	return current->tid;
}

static struct process *
find_or_self_locked(int pid)
{
	struct task *t;

	if (pid == 0)
		return current->process;
	t = pid > 0 ? task_find_locked(pid) : NULL;
	return t != NULL ? t->process : NULL;
}

long
sys_getpgid(uint64_t pid)
{
	uint64_t irq = spin_lock_irqsave(&tasklist_lock);
	struct process *p = find_or_self_locked((int)pid);
	long r = p != NULL ? p->pgid : -ESRCH;

	spin_unlock_irqrestore(&tasklist_lock, irq);
	return r;
}

long
sys_getsid(uint64_t pid)
{
	uint64_t irq = spin_lock_irqsave(&tasklist_lock);
	struct process *p = find_or_self_locked((int)pid);
	long r = p != NULL ? p->sid : -ESRCH;

	spin_unlock_irqrestore(&tasklist_lock, irq);
	return r;
}

static bool
group_exists_in_session(int pgid, int sid)
{
	struct process *p;

	list_for_each(p, group_bucket_locked(pgid), group_node)
		if (p->pgid == pgid && p->sid == sid)
			return true;
	return false;
}

static long
setpgid_locked(int pid, int pgid)
{
	struct process *self = current->process, *p;
	struct task *t = pid == self->pid ? self->leader : task_find_locked(pid);

	if (t == NULL)
		return -ESRCH;
	p = t->process;
	if (p->pid != pid)
		return -EINVAL;		/* a thread, not a process */
	if (p->parent == self) {
		if (p->sid != self->sid)
			return -EPERM;
		if (p->did_exec)
			return -EACCES;
	} else if (p != self) {
		return -ESRCH;
	}
	if (p->session_leader)
		return -EPERM;
	if (pgid != pid && !group_exists_in_session(pgid, self->sid))
		return -EPERM;
	if (p->pgid != pgid)
		process_set_group_locked(p, pgid);
	return 0;
}

long
sys_setpgid(uint64_t pid64, uint64_t pgid64)
{
	int pid = (int)pid64, pgid = (int)pgid64;
	uint64_t irq;
	long r;

	if (pid == 0)
		pid = current->process->pid;
	if (pgid == 0)
		pgid = pid;
	if (pgid < 0)
		return -EINVAL;
	if (pgid >= PID_MAX)
		return -EPERM;
	irq = spin_lock_irqsave(&tasklist_lock);
	r = setpgid_locked(pid, pgid);
	spin_unlock_irqrestore(&tasklist_lock, irq);
	return r;
}

static bool
group_in_use(int pgid)
{
	struct process *p;

	list_for_each(p, group_bucket_locked(pgid), group_node)
		if (p->pgid == pgid)
			return true;
	return false;
}

long
sys_setsid(void)
{
	struct process *p = current->process;
	struct tty *tty = NULL;
	uint64_t irq = spin_lock_irqsave(&tasklist_lock);
	long r = -EPERM;

	if (!p->session_leader && !group_in_use(p->pid)) {
		p->session_leader = true;
		process_set_session_locked(p, p->pid);
		process_set_group_locked(p, p->pid);
		tty = p->tty;
		p->tty = NULL;
		r = p->pid;
	}
	spin_unlock_irqrestore(&tasklist_lock, irq);
	if (tty != NULL)
		tty_put(tty);
	return r;
}
