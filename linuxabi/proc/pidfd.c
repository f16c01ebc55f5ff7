/* SPDX-License-Identifier: MIT */
/*
 * pidfds: a descriptor that means one process however its number is reused.
 * Readable (poll) when the process has ended.
 */
#include <linux/poll.h>
#include <linux/fcntl.h>
#include "internal.h"
#include "syscall.h"

static void
pidfd_release(struct file *f)
{
	process_put(f->private_);
}

static unsigned
pidfd_poll(struct file *f, struct poll_table *pt)
{
	struct process *p = f->private_;

	poll_wait(pt, f, &p->exit_wait);
	return READ_ONCE(p->zombie) ? POLLIN | POLLRDNORM : 0;
}

static const struct file_ops pidfd_ops = { .release = pidfd_release, .poll = pidfd_poll };

struct file *
pidfd_create(struct process *p, unsigned flags)
{
	struct file *f;

	process_get(p);
	f = file_anon("[pidfd]", &pidfd_ops, p, O_RDWR | flags);
	if (IS_ERR(f) || f == NULL) {
		process_put(p);
		return f == NULL ? ERR_PTR(-ENFILE) : f;
	}
	return f;
}

struct process *
pidfd_process(struct file *f)
{
	return f->ops == &pidfd_ops ? f->private_ : NULL;
}

void
pidfd_notify_locked(struct process *p)
{
	waitq_wake(&p->exit_wait, ~0u, POLLIN | POLLRDNORM);
}

long
sys_pidfd_open(uint64_t pid, uint64_t flags)
{
	struct process *p;
	struct task *t;
	struct file *f;
	int fd;

	if ((flags & ~(uint64_t)O_NONBLOCK) || (int)pid <= 0)
		return -EINVAL;
	p = process_find((int)pid);
	if (p == NULL) {
		t = task_find((int)pid);
		if (t != NULL)
			task_put(t);
		return t != NULL ? -EINVAL : -ESRCH;	/* a thread has none */
	}
	f = pidfd_create(p, (unsigned)flags);
	process_put(p);
	if (IS_ERR(f))
		return PTR_ERR(f);
	fd = fd_install(f, 0, true);
	if (fd < 0)
		file_put(f);
	return fd;
}

static long
pidfd_info(struct siginfo *info, uaddr_t from, int sig, const struct process *target)
{
	if (from == 0) {
		memset(info, 0, sizeof(*info));
		info->si_signo = sig;
		info->si_code = SI_USER;
		info->si_pid = current->process->pid;
		info->si_uid = current->cred->uid;
		return 0;
	}
	if (copy_from_user(info, from, sizeof(*info)) != 0)
		return -EFAULT;
	if (info->si_signo != sig)
		return -EINVAL;
	if (target != current->process && (info->si_code >= 0 || info->si_code == SI_TKILL))
		return -EPERM;
	return 0;
}

static long
pidfd_signal(struct process *p, int sig, uaddr_t user_info)
{
	siginfo_t info;
	long r = pidfd_info(&info, user_info, sig, p);

	if (r != 0)
		return r;
	if (p->reaped)
		return -ESRCH;
	if (!process_may_signal(p, sig))
		return -EPERM;
	return sig == 0 ? 0 : signal_send_process(p, sig, &info);
}

long
sys_pidfd_send_signal(uint64_t fd, uint64_t sig, uint64_t info, uint64_t flags)
{
	struct file *f;
	struct process *p;
	long r;

	if ((unsigned)flags != 0 || (int)sig < 0 || (int)sig > NSIG_)
		return -EINVAL;
	f = fd_get((int)fd);
	if (f == NULL)
		return -EBADF;
	p = pidfd_process(f);
	r = p != NULL ? pidfd_signal(p, (int)sig, info) : -EBADF;
	file_put(f);
	return r;
}
