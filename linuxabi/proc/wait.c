/* SPDX-License-Identifier: MIT */
/*
 * wait4 and waitid: one scan over the children under tasklist_lock, repeated at
 * every wake-up of process->child_wait, that reports the first change it finds.
 */
#include <linux/wait.h>
#include <linux/resource.h>
#include "internal.h"
#include "syscall.h"

enum { WHO_ANY, WHO_PID, WHO_GROUP, WHO_PROCESS };

struct wait {
	int who, id;
	struct process *process;	/* WHO_PROCESS */
	unsigned options;
	/* What was found. */
	int pid, code, status, wstatus;
	uint32_t uid;
	struct usage usage;
};

static bool
wait_matches(const struct wait *w, const struct process *c)
{
	bool clone_child = c->exit_signal != SIGCHLD;

	if (w->who == WHO_PID && c->pid != w->id)
		return false;
	if (w->who == WHO_GROUP && c->pgid != w->id)
		return false;
	if (w->who == WHO_PROCESS && c != w->process)
		return false;
	return (w->options & __WALL) || clone_child == ((w->options & __WCLONE) != 0);
}

static void
found(struct wait *w, const struct process *c, int code, int status, int wstatus)
{
	w->pid = c->pid;
	w->uid = c->leader->cred->uid;
	w->code = code;
	w->status = status;
	w->wstatus = wstatus;
}

static bool
take_zombie(struct wait *w, struct process *c)
{
	int e = c->exit_code;

	if ((e & 0x7f) == 0)
		found(w, c, CLD_EXITED, (e >> 8) & 0xff, e);
	else
		found(w, c, (e & 0x80) ? CLD_DUMPED : CLD_KILLED, e & 0x7f, e);
	w->usage = c->dead_threads;
	usage_add(&w->usage, &c->children_usage);
	if (w->options & WNOWAIT)
		return true;
	usage_add(&current->process->children_usage, &w->usage);
	process_reap_locked(c);
	return true;
}

/* usage_process() for who holds tasklist_lock. */
static void
usage_locked(struct process *p, struct usage *sum)
{
	struct task *t;
	struct usage u;

	*sum = p->dead_threads;
	list_for_each(t, &p->threads, thread_node) {
		usage_task(t, &u);
		usage_add(sum, &u);
	}
}

static bool
take_change(struct wait *w, struct process *c)
{
	if (c->zombie)
		return (w->options & WEXITED) && take_zombie(w, c);
	if ((w->options & WSTOPPED) && c->stopped && !c->stop_reported) {
		found(w, c, CLD_STOPPED, c->stop_signal, c->stop_signal << 8 | 0x7f);
		if (!(w->options & WNOWAIT))
			c->stop_reported = true;
	} else if ((w->options & WCONTINUED) && c->continued) {
		found(w, c, CLD_CONTINUED, SIGCONT, 0xffff);
		if (!(w->options & WNOWAIT))
			c->continued = false;
	} else {
		return false;
	}
	usage_locked(c, &w->usage);
	return true;
}

/* 1: found; 0: nothing yet; -ECHILD: nobody to wait for. */
static long
wait_scan(struct wait *w)
{
	struct process *c;
	long r = -ECHILD;
	uint64_t irq = spin_lock_irqsave(&tasklist_lock);

	list_for_each(c, &current->process->children, sibling) {
		if (!wait_matches(w, c))
			continue;
		r = 0;
		if (take_change(w, c)) {
			r = 1;
			break;
		}
	}
	spin_unlock_irqrestore(&tasklist_lock, irq);
	return r;
}

/* 1, 0 (WNOHANG and nothing), or -errno. */
static long
do_wait(struct wait *w)
{
	struct process *self = current->process;
	long scan = 0, r;

	memset(&w->usage, 0, sizeof(w->usage));
	if (w->options & WNOHANG)
		return wait_scan(w);
	r = wait_event_interruptible(&self->child_wait, (scan = wait_scan(w)) != 0);
	return scan != 0 ? scan : r;
}

static struct __kernel_old_timeval
timeval_of(uint64_t ns)
{
	return (struct __kernel_old_timeval){ (long)(ns / 1000000000), (long)(ns % 1000000000 / 1000) };
}

void
rusage_of(const struct usage *u, struct rusage *r)
{
	memset(r, 0, sizeof(*r));
	r->ru_utime = timeval_of(u->user_ns);
	r->ru_stime = timeval_of(u->system_ns);
	r->ru_maxrss = (long)u->maxrss_kib;
	r->ru_minflt = (long)u->minflt;
	r->ru_majflt = (long)u->majflt;
	r->ru_nvcsw = (long)u->nvcsw;
	r->ru_nivcsw = (long)u->nivcsw;
}

static long
put_rusage(uaddr_t to, const struct usage *u)
{
	struct rusage r;

	if (to == 0)
		return 0;
	rusage_of(u, &r);
	return copy_to_user(to, &r, sizeof(r));
}

long
sys_wait4(uint64_t pid64, uint64_t status, uint64_t options, uint64_t usage)
{
	int pid = (int)pid64;
	struct wait w = { .options = (unsigned)options | WEXITED };
	long r;

	if (options & ~(uint64_t)(WNOHANG | WUNTRACED | WCONTINUED | __WNOTHREAD | __WCLONE | __WALL)
	    & 0xffffffffUL)
		return -EINVAL;
	if (pid == INT32_MIN)
		return -ESRCH;
	w.who = pid == -1 ? WHO_ANY : pid > 0 ? WHO_PID : WHO_GROUP;
	w.id = pid > 0 ? pid : pid == 0 ? current->process->pgid : -pid;
	r = do_wait(&w);
	if (r <= 0)
		return r;
	if (status != 0 && put_user_u32(status, (uint32_t)w.wstatus) != 0)
		return -EFAULT;
	if (put_rusage(usage, &w.usage) != 0)
		return -EFAULT;
	return w.pid;
}

static long
put_waitid_info(uaddr_t to, const struct wait *w, bool any)
{
	siginfo_t info;

	if (to == 0)
		return 0;
	memset(&info, 0, sizeof(info));
	if (any) {
		info.si_signo = SIGCHLD;
		info.si_code = w->code;
		info.si_pid = w->pid;
		info.si_uid = w->uid;
		info.si_status = w->status;
	}
	/* Linux writes these fields one by one and leaves the rest alone. */
	return copy_to_user(to, &info, offsetof(siginfo_t, si_status) + sizeof(info.si_status));
}

static long
waitid_who(struct wait *w, int type, int id, struct file **pidfd)
{
	*pidfd = NULL;
	switch (type) {
	case P_ALL:
		w->who = WHO_ANY;
		return 0;
	case P_PID:
		w->who = WHO_PID;
		w->id = id;
		return id > 0 ? 0 : -EINVAL;
	case P_PGID:
		w->who = WHO_GROUP;
		w->id = id != 0 ? id : current->process->pgid;
		return id >= 0 ? 0 : -EINVAL;
	case P_PIDFD:
		if (id < 0)
			return -EINVAL;
		*pidfd = fd_get(id);
		w->process = *pidfd != NULL ? pidfd_process(*pidfd) : NULL;
		w->who = WHO_PROCESS;
		if (*pidfd != NULL && w->process == NULL) {
			file_put(*pidfd);
			*pidfd = NULL;
		}
		return w->process != NULL ? 0 : -EBADF;
	default:
		return -EINVAL;
	}
}

long
sys_waitid(uint64_t type, uint64_t id, uint64_t infop, uint64_t options, uint64_t usage)
{
	struct wait w = { .options = (unsigned)options };
	struct file *pidfd;
	long r;

	if ((unsigned)options & ~(unsigned)(WNOHANG | WNOWAIT | WEXITED | WSTOPPED | WCONTINUED
	    | __WNOTHREAD | __WCLONE | __WALL))
		return -EINVAL;
	if (!(options & (WEXITED | WSTOPPED | WCONTINUED)))
		return -EINVAL;
	r = waitid_who(&w, (int)type, (int)id, &pidfd);
	if (r != 0)
		return r;
	if (pidfd != NULL && (pidfd->flags & O_NONBLOCK) && !(w.options & WNOHANG)) {
		w.options |= WNOHANG;
		r = do_wait(&w);
		r = r == 0 ? -EAGAIN : r;
	} else {
		r = do_wait(&w);
	}
	if (pidfd != NULL)
		file_put(pidfd);
	if (r < 0)
		return r;
	if (r > 0 && put_rusage(usage, &w.usage) != 0)
		return -EFAULT;
	return put_waitid_info(infop, &w, r > 0);
}
