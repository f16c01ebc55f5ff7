/* SPDX-License-Identifier: MIT */
/*
 * eventfd(2) and signalfd(2).
 */
#include <linux/signalfd.h>
#include "internal.h"

#define EFD_SEMAPHORE	1
#define EFD_CLOEXEC	O_CLOEXEC
#define EFD_NONBLOCK	O_NONBLOCK

/* ---- eventfd ---- */

struct eventfd {
	struct waitq wq;		/* its lock protects count */
	uint64_t count;
	bool semaphore;
};

static const struct file_ops eventfd_ops;

/* Takes the count (or one of it), if there is any. */
static uint64_t
eventfd_take(struct eventfd *e)
{
	uint64_t flags = spin_lock_irqsave(&e->wq.lock), v = e->count;

	if (v != 0 && e->semaphore)
		v = 1;
	e->count -= v;
	spin_unlock_irqrestore(&e->wq.lock, flags);
	return v;
}

static bool
eventfd_add(struct eventfd *e, uint64_t v)
{
	uint64_t flags = spin_lock_irqsave(&e->wq.lock);
	bool ok = UINT64_MAX - 1 - e->count >= v;

	if (ok)
		e->count += v;
	spin_unlock_irqrestore(&e->wq.lock, flags);
	return ok;
}

static ssize_t
eventfd_read(struct file *f, struct uio *u, loff_t *pos)
{
	struct eventfd *e = f->private_;
	uint64_t v;
	long r;

	(void)pos;
	if (u->resid < sizeof(v))
		return -EINVAL;
	for (;;) {
		v = eventfd_take(e);
		if (v != 0)
			break;
		if (f->flags & O_NONBLOCK)
			return -EAGAIN;
		r = wait_event_interruptible(&e->wq, READ_ONCE(e->count) != 0);
		if (r < 0)
			return r;
	}
	waitq_wake(&e->wq, ~0u, POLLOUT | POLLWRNORM);
	return uio_put(u, &v, sizeof(v)) == sizeof(v) ? (ssize_t)sizeof(v) : -EFAULT;
}

static ssize_t
eventfd_write(struct file *f, struct uio *u, loff_t *pos)
{
	struct eventfd *e = f->private_;
	uint64_t v;
	long r;

	(void)pos;
	if (u->resid < sizeof(v))
		return -EINVAL;
	if (uio_get(u, &v, sizeof(v)) != sizeof(v))
		return -EFAULT;
	if (v == UINT64_MAX)
		return -EINVAL;
	while (!eventfd_add(e, v)) {
		if (f->flags & O_NONBLOCK)
			return -EAGAIN;
		r = wait_event_interruptible(&e->wq, UINT64_MAX - 1 - READ_ONCE(e->count) >= v);
		if (r < 0)
			return r;
	}
	if (v != 0)
		waitq_wake(&e->wq, ~0u, POLLIN | POLLRDNORM);
	return sizeof(v);
}

static inline unsigned
eventfd_ready(const struct eventfd *e)
{
	uint64_t count = READ_ONCE(e->count);

	return (count > 0 ? POLLIN | POLLRDNORM : 0) | (count < UINT64_MAX - 1 ? POLLOUT | POLLWRNORM : 0) |
	    (count == UINT64_MAX ? POLLERR : 0);
}

static __attribute__((noinline)) unsigned
eventfd_poll_wait(struct file *f, struct poll_table *pt)
{
	struct eventfd *e = f->private_;

	poll_wait(pt, f, &e->wq);
	return eventfd_ready(e);
}

/* Asked alone, it is a few instructions and no stack. */
static unsigned
eventfd_poll(struct file *f, struct poll_table *pt)
{
	return unlikely(pt != NULL) ? eventfd_poll_wait(f, pt) : eventfd_ready(f->private_);
}

static void
private_free(struct file *f)
{
	kfree(f->private_);
}

static const struct file_ops eventfd_ops = {
	.read = eventfd_read, .write = eventfd_write, .poll = eventfd_poll, .release = private_free,
};

/* A new file with its descriptor; private_ is freed on failure. */
static long
install_anon(const char *name, const struct file_ops *ops, void *private_, unsigned flags)
{
	struct file *f = file_anon(name, ops, private_, flags);
	int fd;

	if (IS_ERR(f)) {
		kfree(private_);
		return PTR_ERR(f);
	}
	fd = fd_install(f, 0, (flags & O_CLOEXEC) != 0);
	if (fd < 0)
		file_put(f);
	return fd;
}

long
sys_eventfd2(uint64_t count, uint64_t flags)
{
	struct eventfd *e;

	if (((uint32_t)flags & ~(uint32_t)(EFD_SEMAPHORE | EFD_CLOEXEC | EFD_NONBLOCK)) != 0)
		return -EINVAL;
	e = kzalloc(sizeof(*e));
	if (e == NULL)
		return -ENOMEM;
	waitq_init(&e->wq);
	e->count = (uint32_t)count;
	e->semaphore = (flags & EFD_SEMAPHORE) != 0;
	return install_anon("[eventfd]", &eventfd_ops, e, O_RDWR | ((unsigned)flags & (O_CLOEXEC | O_NONBLOCK)));
}

/* ---- signalfd ---- */

struct signalfd {
	sigmask_t mask;
};

static void
siginfo_put(struct signalfd_siginfo *out, const siginfo_t *si)
{
	memset(out, 0, sizeof(*out));
	out->ssi_signo = (uint32_t)si->si_signo;
	out->ssi_errno = si->si_errno;
	out->ssi_code = si->si_code;
	out->ssi_pid = (uint32_t)si->si_pid;
	out->ssi_uid = (uint32_t)si->si_uid;
	if (si->si_signo == SIGCHLD && si->si_code > 0) {
		out->ssi_status = si->si_status;
		out->ssi_utime = (uint64_t)si->si_utime;
		out->ssi_stime = (uint64_t)si->si_stime;
	} else if (si->si_code == SI_TIMER) {
		out->ssi_tid = (uint32_t)si->si_tid;
		out->ssi_overrun = (uint32_t)si->si_overrun;
		out->ssi_pid = out->ssi_uid = 0;
		out->ssi_ptr = (uint64_t)si->si_ptr;
		out->ssi_int = si->si_int;
	} else if (si->si_code < 0) {
		out->ssi_ptr = (uint64_t)si->si_ptr;
		out->ssi_int = si->si_int;
	} else if (si->si_code > 0 && si->si_code != SI_KERNEL) {
		out->ssi_pid = out->ssi_uid = 0;
		out->ssi_addr = (uint64_t)si->si_addr;
	}
}

static bool
signals_ready(sigmask_t mask)
{
	return ((READ_ONCE(current->pending.set) | READ_ONCE(current->process->shared_pending.set)) & mask) != 0;
}

static int
dequeue(sigmask_t mask, siginfo_t *si)
{
	struct sighand *h = current->process->sighand;
	uint64_t flags = spin_lock_irqsave(&h->lock);
	int sig = signal_dequeue(current, mask, si);

	spin_unlock_irqrestore(&h->lock, flags);
	if (sig != 0)
		timer_signal_taken(sig, si);
	return sig;
}

static ssize_t
signalfd_read(struct file *f, struct uio *u, loff_t *pos)
{
	struct signalfd *s = f->private_;
	size_t done = 0;

	(void)pos;
	if (u->resid < sizeof(struct signalfd_siginfo))
		return -EINVAL;
	while (u->resid >= sizeof(struct signalfd_siginfo)) {
		struct signalfd_siginfo out;
		siginfo_t si;
		long r;

		if (dequeue(READ_ONCE(s->mask), &si) != 0) {
			siginfo_put(&out, &si);
			if (uio_put(u, &out, sizeof(out)) != sizeof(out))
				return done > 0 ? (ssize_t)done : -EFAULT;
			done += sizeof(out);
			continue;
		}
		if (done > 0)
			break;
		if (f->flags & O_NONBLOCK)
			return -EAGAIN;
		r = wait_event_interruptible(&current->process->sighand->signalfd, signals_ready(READ_ONCE(s->mask)));
		if (r < 0)
			return r;
	}
	return (ssize_t)done;
}

static unsigned
signalfd_poll(struct file *f, struct poll_table *pt)
{
	struct signalfd *s = f->private_;

	poll_wait(pt, f, &current->process->sighand->signalfd);
	return signals_ready(READ_ONCE(s->mask)) ? POLLIN | POLLRDNORM : 0;
}

static const struct file_ops signalfd_ops = {
	.read = signalfd_read, .poll = signalfd_poll, .release = private_free,
};

long
sys_signalfd4(uint64_t fd, uint64_t mask_user, uint64_t size, uint64_t flags)
{
	struct fdref ref;
	struct signalfd *s;
	sigmask_t mask;
	long r;

	if (size != sizeof(mask))
		return -EINVAL;
	if (copy_from_user(&mask, mask_user, sizeof(mask)) < 0)
		return -EFAULT;
	if (((uint32_t)flags & ~(uint32_t)(O_CLOEXEC | O_NONBLOCK)) != 0)
		return -EINVAL;
	mask &= ~(SIGMASK(SIGKILL) | SIGMASK(SIGSTOP));
	if ((int)fd == -1) {
		s = kzalloc(sizeof(*s));
		if (s == NULL)
			return -ENOMEM;
		s->mask = mask;
		return install_anon("[signalfd]", &signalfd_ops, s, O_RDWR | ((unsigned)flags & (O_CLOEXEC | O_NONBLOCK)));
	}
	ref = fdref_get((int)fd);
	if (ref.file == NULL)
		return -EBADF;
	r = -EINVAL;
	if (ref.file->ops == &signalfd_ops) {
		WRITE_ONCE(((struct signalfd *)ref.file->private_)->mask, mask);
		waitq_wake_all(&current->process->sighand->signalfd);
		r = (int)fd;
	}
	fdref_put(ref);
	return r;
}

/* ---- memfd ---- */

enum { MEMFD_NAME_MAX = 249, MFD_CLOEXEC_ = 1, MFD_ALLOW_SEALING_ = 2, MFD_HUGETLB_ = 4, MFD_NOEXEC_SEAL_ = 8, MFD_EXEC_ = 16 };

long
sys_memfd_create(uint64_t name, uint64_t flags)
{
	char text[6 + MEMFD_NAME_MAX + 1] = "memfd:";
	struct file *f;
	long r;

	if ((flags & ~(uint64_t)(MFD_CLOEXEC_ | MFD_ALLOW_SEALING_ | MFD_NOEXEC_SEAL_ | MFD_EXEC_)) != 0)
		return -EINVAL;		/* huge pages, too: there are none */
	if ((flags & (MFD_EXEC_ | MFD_NOEXEC_SEAL_)) == (MFD_EXEC_ | MFD_NOEXEC_SEAL_))
		return -EINVAL;
	r = strncpy_from_user(text + 6, name, MEMFD_NAME_MAX + 1);
	if (r < 0)
		return r == -ENAMETOOLONG ? -EINVAL : r;
	f = shmem_file_create(text, 0);
	if (IS_ERR(f))
		return PTR_ERR(f);
	if (flags & (MFD_ALLOW_SEALING_ | MFD_NOEXEC_SEAL_))
		f->inode->seals = 0;
	if (flags & MFD_NOEXEC_SEAL_)
		f->inode->mode &= ~(uint32_t)0111;
	r = fd_install(f, 0, (flags & MFD_CLOEXEC_) != 0);
	if (r < 0)
		file_put(f);
	return r;
}
