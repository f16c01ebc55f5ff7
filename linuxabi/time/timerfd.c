/* SPDX-License-Identifier: MIT */
/* timerfd_create(2): a timer that is read, and polled, like a file. */
#include <linux/time.h>
#include <linux/timerfd.h>

#include "clocks.h"
#include "fs.h"
#include "syscall.h"

enum { IN = 1 /* POLLIN */, RDNORM = 64 /* POLLRDNORM */ };

struct timerfd {
	struct waitq wq;		/* its lock protects what follows */
	struct timer timer;
	uint64_t interval;
	bool expired;			/* and not yet read: then it is not started */
	int clock;
};

/* A timer that repeats rests from here to the next read (clocks.h). */
static void
fired(struct timer *timer)
{
	struct timerfd *t = container_of(timer, struct timerfd, timer);

	spin_lock(&t->wq.lock);
	t->expired = timer->cpu < 0;	/* else it was set anew just now */
	spin_unlock(&t->wq.lock);
	waitq_wake(&t->wq, ~0u, IN | RDNORM);
}

/* How often it has expired since it was read. */
static uint64_t
take(struct timerfd *t)
{
	uint64_t flags = spin_lock_irqsave(&t->wq.lock), next = t->timer.expires, n = 0;

	if (t->expired) {
		n = periods_over(clock_monotonic(), &next, t->interval);
		t->expired = false;
		if (t->interval != 0)
			timer_start(&t->timer, next);
	}
	spin_unlock_irqrestore(&t->wq.lock, flags);
	return n;
}

static ssize_t
timerfd_read(struct file *f, struct uio *u, loff_t *pos)
{
	struct timerfd *t = f->private_;
	uint64_t n;
	long r;

	(void)pos;
	if (u->resid < sizeof(n))
		return -EINVAL;
	while ((n = take(t)) == 0) {
		if (f->flags & O_NONBLOCK)
			return -EAGAIN;
		r = wait_event_interruptible(&t->wq, READ_ONCE(t->expired));
		if (r != 0)
			return r;
	}
	return uio_put(u, &n, sizeof(n)) == sizeof(n) ? (ssize_t)sizeof(n) : -EFAULT;
}

static unsigned
timerfd_poll(struct file *f, struct poll_table *pt)
{
	struct timerfd *t = f->private_;

	poll_wait(pt, f, &t->wq);
	return READ_ONCE(t->expired) ? IN | RDNORM : 0;
}

static void
timerfd_release(struct file *f)
{
	struct timerfd *t = f->private_;
	uint64_t flags = spin_lock_irqsave(&t->wq.lock);

	t->interval = 0;
	spin_unlock_irqrestore(&t->wq.lock, flags);
	timer_cancel_sync(&t->timer);
	kfree(t);
}

static const struct file_ops timerfd_ops = {
	.read = timerfd_read,
	.poll = timerfd_poll,
	.release = timerfd_release,
};

long
sys_timerfd_create(uint64_t clock, uint64_t flags)
{
	struct timerfd *t;
	struct file *f;
	int fd;

	if ((flags & ~(uint64_t)(TFD_CLOEXEC | TFD_NONBLOCK)) != 0 || !clock_can_wait((int)clock)
	    || (int)clock == CLOCK_TAI)
		return -EINVAL;
	t = kzalloc(sizeof(*t));
	if (t == NULL)
		return -ENOMEM;
	waitq_init(&t->wq);
	timer_init(&t->timer, fired);
	t->clock = (int)clock;
	f = file_anon("[timerfd]", &timerfd_ops, t, O_RDWR | ((unsigned)flags & O_NONBLOCK));
	if (IS_ERR(f)) {
		kfree(t);
		return PTR_ERR(f);
	}
	fd = fd_install(f, 0, (flags & TFD_CLOEXEC) != 0);
	if (fd < 0)
		file_put(f);
	return fd;
}

static struct file *
timerfd_get(int fd, long *error)
{
	struct file *f = fd_get(fd);

	*error = f == NULL ? -EBADF : -EINVAL;
	if (f == NULL || f->ops == &timerfd_ops)
		return f;
	file_put(f);
	return NULL;
}

/* The queue's lock is held. */
static void
read_locked(const struct timerfd *t, struct __kernel_itimerspec *v)
{
	uint64_t now = clock_monotonic(), left = 0;

	if (t->timer.cpu >= 0)
		left = t->timer.expires > now ? t->timer.expires - now : 1;
	else if (t->expired && t->interval != 0)
		left = period_left(now, t->timer.expires, t->interval);
	v->it_value = ns_timespec(left);
	v->it_interval = ns_timespec(t->interval);
}

static void
timerfd_set(struct timerfd *t, const struct __kernel_itimerspec *v, bool absolute, struct __kernel_itimerspec *was)
{
	uint64_t ns = timespec_ns(&v->it_value);
	uint64_t flags = spin_lock_irqsave(&t->wq.lock);

	read_locked(t, was);
	timer_cancel(&t->timer);
	t->expired = false;
	t->interval = timespec_ns(&v->it_interval);
	if (ns != 0)
		timer_start(&t->timer, clock_deadline(t->clock, ns, absolute));
	spin_unlock_irqrestore(&t->wq.lock, flags);
}

long
sys_timerfd_settime(uint64_t fd, uint64_t how, uint64_t from, uint64_t old)
{
	struct __kernel_itimerspec v, was;
	struct file *f;
	long error;

	/* CANCEL_ON_SET is accepted by Linux only with an absolute time of the wall clock. */
	if ((how & ~(uint64_t)(TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET)) != 0)
		return -EINVAL;
	if (copy_from_user(&v, from, sizeof(v)) != 0)
		return -EFAULT;
	if (!timespec_valid(&v.it_value) || !timespec_valid(&v.it_interval))
		return -EINVAL;
	f = timerfd_get((int)fd, &error);
	if (f == NULL)
		return error;
	timerfd_set(f->private_, &v, (how & TFD_TIMER_ABSTIME) != 0, &was);
	file_put(f);
	return old != 0 ? copy_to_user(old, &was, sizeof(was)) : 0;
}

long
sys_timerfd_gettime(uint64_t fd, uint64_t to)
{
	struct __kernel_itimerspec v;
	struct timerfd *t;
	struct file *f;
	uint64_t flags;
	long error;

	f = timerfd_get((int)fd, &error);
	if (f == NULL)
		return error;
	t = f->private_;
	flags = spin_lock_irqsave(&t->wq.lock);
	read_locked(t, &v);
	spin_unlock_irqrestore(&t->wq.lock, flags);
	file_put(f);
	return copy_to_user(to, &v, sizeof(v));
}
