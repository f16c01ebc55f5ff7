/* SPDX-License-Identifier: MIT */
/*
 * Terminals as files: open, read, write, poll, ioctl and the last close.
 * tty(4), ioctl_tty(2), termios(3).
 *
 * A file remembers how often its terminal had been hung up when it was opened;
 * one that was opened before the last hang-up is dead: reads give end of file,
 * writes and ioctls EIO.
 */
#include "syscall.h"
#include "tty_internal.h"

enum { TTYAUX_MAJOR = 5 };

static const struct termios2 termios_default = {
	.c_iflag = ICRNL | IXON | IUTF8,
	.c_oflag = OPOST | ONLCR,
	.c_cflag = B115200 | CS8 | CREAD | HUPCL | CLOCAL,
	.c_lflag = ISIG | ICANON | ECHO | ECHOE | ECHOK | ECHOCTL | ECHOKE | IEXTEN,
	.c_cc = { [VINTR] = 3, [VQUIT] = 28, [VERASE] = 127, [VKILL] = 21, [VEOF] = 4, [VMIN] = 1,
	    [VSTART] = 17, [VSTOP] = 19, [VSUSP] = 26, [VREPRINT] = 18, [VDISCARD] = 15,
	    [VWERASE] = 23, [VLNEXT] = 22 },
	.c_ispeed = 115200,
	.c_ospeed = 115200,
};

struct tty *
tty_create(const char *name, const struct tty_ops *ops, void *driver, uint64_t rdev)
{
	struct tty *t = kzalloc(sizeof(*t));

	if (t == NULL)
		return NULL;
	ref_init(&t->refs, 1);
	spin_init(&t->lock, 55);
	mutex_init(&t->write_lock, 40);
	waitq_init(&t->read_wait);
	waitq_init(&t->write_wait);
	strlcpy(t->name, name, sizeof(t->name));
	t->ops = ops;
	t->driver = driver;
	t->rdev = rdev;
	t->termios = termios_default;
	return t;
}

void tty_get(struct tty *t) { ref_get(&t->refs); }

void
tty_put(struct tty *t)
{
	if (t == NULL || !ref_put(&t->refs))
		return;
	if (t->release_driver != NULL)
		t->release_driver(t->driver);
	kfree(t);
}

uint64_t tty_dev(const struct tty *t) { return t != NULL ? t->rdev : 0; }
int tty_foreground_group(const struct tty *t) { return t != NULL ? READ_ONCE(t->group) : -1; }

long
tty_attach_file(struct tty *t, struct file *f)
{
	struct file_tty *ft = kmalloc(sizeof(*ft));
	uint64_t flags;

	if (ft == NULL)
		return -ENOMEM;
	flags = spin_lock_irqsave(&t->lock);
	if (t->exclusive && t->open_count > 0 && !cred_privileged(current->cred)) {
		spin_unlock_irqrestore(&t->lock, flags);
		kfree(ft);
		return -EBUSY;
	}
	t->open_count++;
	ft->tty = t;
	ft->hangups = t->hangups;
	if (t->ops->opened != NULL)
		t->ops->opened(t);
	spin_unlock_irqrestore(&t->lock, flags);
	tty_get(t);
	f->private_ = ft;
	f->ops = &tty_fops;
	return 0;
}

static struct tty *file_tty(struct file *f) { return ((struct file_tty *)f->private_)->tty; }

static bool
file_dead(struct file *f)
{
	const struct file_tty *ft = f->private_;

	return ft->hangups != READ_ONCE(ft->tty->hangups);
}

static void
tty_release(struct file *f)
{
	struct file_tty *ft = f->private_;
	struct tty *t = ft->tty;
	uint64_t flags = spin_lock_irqsave(&t->lock);

	if (--t->open_count == 0) {
		t->exclusive = false;
		if (t->ops->closed != NULL)
			t->ops->closed(t);
	}
	spin_unlock_irqrestore(&t->lock, flags);
	tty_put(t);
	kfree(ft);
}

/* ---- reading ---- */

/* Enough there for a read to return (termios(3): MIN and TIME)? */
static bool
input_ready(struct tty *t, unsigned min_bytes)
{
	return ldisc_readable(t) >= max(min_bytes, 1u);
}

static unsigned
take_input(struct tty *t, uint8_t *buf, unsigned max_, bool *line_end)
{
	uint64_t flags = spin_lock_irqsave(&t->lock);
	unsigned before = ldisc_receive_room(t), n = ldisc_read(t, buf, max_, line_end);

	if (n != 0 && (before < TTY_CHUNK || ldisc_receive_room(t) >= TTY_INPUT / 2) && t->ops->unthrottle != NULL)
		t->ops->unthrottle(t);
	spin_unlock_irqrestore(&t->lock, flags);
	return n;
}

static ssize_t
copy_input(struct tty *t, struct uio *u)
{
	uint8_t buf[TTY_CHUNK];
	ssize_t total = 0;
	bool line_end = false;

	while (u->resid > 0 && !line_end) {
		unsigned n = take_input(t, buf, (unsigned)min(u->resid, sizeof(buf)), &line_end);

		if (n == 0)
			break;
		if (uio_put(u, buf, n) != n)
			return total > 0 ? total : -EFAULT;
		total += n;
	}
	return total;
}

/* How long a raw read waits for its next byte; UINT64_MAX: for ever. */
static uint64_t
raw_deadline(const struct tty *t, bool have_some)
{
	unsigned tenths = t->termios.c_cc[VTIME];

	if (tenths == 0 || (t->termios.c_cc[VMIN] != 0 && !have_some))
		return UINT64_MAX;
	return clock_monotonic() + tenths * 100000000ULL;
}

static bool
read_over(struct file *f, struct tty *t)
{
	return file_dead(f) || t->peer_closed;
}

static ssize_t
read_canonical(struct file *f, struct tty *t, struct uio *u)
{
	for (;;) {
		unsigned readable = READ_ONCE(t->canon) - READ_ONCE(t->tail);
		long r;

		if (readable != 0)
			return copy_input(t, u);
		if (read_over(f, t))
			return file_dead(f) ? 0 : -EIO;
		if ((f->flags & O_NONBLOCK) != 0)
			return -EAGAIN;
		r = wait_event_interruptible(&t->read_wait, ldisc_readable(t) != 0 || read_over(f, t));
		if (r != 0)
			return r;
		if ((t->termios.c_lflag & ICANON) == 0 && !read_over(f, t))
			return copy_input(t, u);
	}
}

static ssize_t
read_raw(struct file *f, struct tty *t, struct uio *u)
{
	ssize_t total = 0, n;

	for (;;) {
		unsigned vmin = t->termios.c_cc[VMIN], need;
		uint64_t deadline;
		long r;

		n = copy_input(t, u);
		if (n < 0)
			return total > 0 ? total : n;
		total += n;
		if (u->resid == 0 || (total > 0 && total >= (ssize_t)vmin))
			return total;
		if (vmin == 0 && t->termios.c_cc[VTIME] == 0)
			return 0;
		if (read_over(f, t))
			return total > 0 || file_dead(f) ? total : -EIO;
		if ((f->flags & O_NONBLOCK) != 0)
			return total > 0 ? total : -EAGAIN;
		need = t->termios.c_cc[VTIME] != 0 ? 1 : (unsigned)min((size_t)(vmin > total ? vmin - (unsigned)total : 1), u->resid);
		deadline = raw_deadline(t, total > 0);
		r = wait_event_timeout(&t->read_wait, input_ready(t, need) || read_over(f, t), deadline);
		if (r == -ETIMEDOUT)
			return total;
		if (r != 0)
			return total > 0 ? total : r;
	}
}

static ssize_t
tty_read(struct file *f, struct uio *u, loff_t *pos)
{
	struct tty *t = file_tty(f);
	long error;

	(void)pos;
	if (file_dead(f))
		return 0;
	error = tty_check_background(t, SIGTTIN);
	if (error != 0)
		return error;
	if (u->resid == 0)
		return 0;
	return (t->termios.c_lflag & ICANON) != 0 ? read_canonical(f, t, u) : read_raw(f, t, u);
}

/* ---- writing ---- */

static bool
can_write(struct file *f, struct tty *t)
{
	bool ok;
	uint64_t flags = spin_lock_irqsave(&t->lock);

	ok = !t->stopped && t->ops->room(t) >= 16;
	if (!ok && !t->stopped)
		t->ops->want_room(t);
	spin_unlock_irqrestore(&t->lock, flags);
	return ok || file_dead(f) || t->peer_closed;
}

static unsigned
put_output(struct tty *t, const uint8_t *buf, unsigned n)
{
	uint64_t flags = spin_lock_irqsave(&t->lock);
	unsigned done = ldisc_write(t, buf, n);

	spin_unlock_irqrestore(&t->lock, flags);
	return done;
}

/* 0: all of it is out. */
static long
write_chunk(struct file *f, struct tty *t, const uint8_t *buf, unsigned n, unsigned *done)
{
	*done = 0;
	while (*done < n) {
		unsigned took;
		long r;

		if (file_dead(f) || t->peer_closed)
			return -EIO;
		took = put_output(t, buf + *done, n - *done);
		*done += took;
		if (took != 0)
			continue;
		if ((f->flags & O_NONBLOCK) != 0)
			return -EAGAIN;
		r = wait_event_interruptible(&t->write_wait, can_write(f, t));
		if (r != 0)
			return r;
	}
	return 0;
}

static ssize_t
write_all(struct file *f, struct tty *t, struct uio *u)
{
	uint8_t buf[TTY_CHUNK];
	ssize_t total = 0;
	long error = 0;

	while (u->resid > 0 && error == 0) {
		size_t want = min(u->resid, sizeof(buf)), got = uio_get(u, buf, want);
		unsigned done;

		error = write_chunk(f, t, buf, (unsigned)got, &done);
		total += done;
		if (error == 0 && got < want)
			error = -EFAULT;
	}
	return total > 0 ? total : error;
}

static ssize_t
tty_write(struct file *f, struct uio *u, loff_t *pos)
{
	struct tty *t = file_tty(f);
	ssize_t result;

	(void)pos;
	if (file_dead(f) || t->peer_closed)
		return -EIO;
	if ((t->termios.c_lflag & TOSTOP) != 0) {
		long error = tty_check_background(t, SIGTTOU);

		if (error != 0)
			return error;
	}
	mutex_lock(&t->write_lock);
	result = write_all(f, t, u);
	mutex_unlock(&t->write_lock);
	return result;
}

static unsigned
tty_poll(struct file *f, struct poll_table *pt)
{
	struct tty *t = file_tty(f);
	unsigned events = 0, need = 1;
	uint64_t flags;

	poll_wait(pt, f, &t->read_wait);
	poll_wait(pt, f, &t->write_wait);
	flags = spin_lock_irqsave(&t->lock);
	if ((t->termios.c_lflag & ICANON) == 0 && t->termios.c_cc[VTIME] == 0)
		need = max(t->termios.c_cc[VMIN], 1);
	if (input_ready(t, need))
		events |= POLLIN | POLLRDNORM;
	if (!t->stopped && t->ops->room(t) >= 16)
		events |= POLLOUT | POLLWRNORM;
	else
		t->ops->want_room(t);
	spin_unlock_irqrestore(&t->lock, flags);
	if (file_dead(f) || t->peer_closed)
		events |= POLLHUP | POLLIN | POLLRDNORM | (file_dead(f) ? POLLERR : 0);
	return events;
}

/* ---- ioctl ---- */

/* TCSBRK 1, TCSETSW: wait until the output has left. */
static long
drain_output(struct tty *t)
{
	for (;;) {
		uint64_t flags = spin_lock_irqsave(&t->lock);
		unsigned left = t->ops->pending(t) + (t->echo_head - t->echo_tail);

		if (left != 0)
			t->ops->want_room(t);
		spin_unlock_irqrestore(&t->lock, flags);
		if (left == 0 || t->peer_closed)
			return 0;
		/* Drivers wake for room, not for the last byte: look again soon. */
		long r = wait_event_timeout(&t->write_wait, t->ops->pending(t) == 0 || t->peer_closed,
		    clock_monotonic() + 10000000);

		if (r != 0 && r != -ETIMEDOUT)
			return r;
	}
}

enum { SET_NOW = 0, SET_WAIT = 1, SET_FLUSH = 2 };

static long
set_termios(struct tty *t, const struct termios2 *want, int when)
{
	struct termios2 old;
	uint64_t flags;
	long error = tty_check_background(t, SIGTTOU);

	if (error == 0 && when != SET_NOW)
		error = drain_output(t);
	if (error != 0)
		return error;
	flags = spin_lock_irqsave(&t->lock);
	if (when == SET_FLUSH)
		ldisc_flush_input(t);
	old = t->termios;
	t->termios = *want;
	ldisc_termios_changed(t, &old);
	if (t->ops->unthrottle != NULL)
		t->ops->unthrottle(t);
	spin_unlock_irqrestore(&t->lock, flags);
	return 0;
}

/* TCSETS takes the first 36 bytes of what TCSETS2 takes: no speeds. */
static long
ioctl_set_termios(struct tty *t, uint64_t arg, size_t size, int when)
{
	struct termios2 want = t->termios;

	if (copy_from_user(&want, arg, size) != 0)
		return -EFAULT;
	return set_termios(t, &want, when);
}

static long
ioctl_get_termios(struct tty *t, uint64_t arg, size_t size)
{
	struct termios2 now = t->termios;

	return copy_to_user(arg, &now, size);
}

static long
ioctl_flush(struct tty *t, uint64_t queue)
{
	uint64_t flags;
	long error = tty_check_background(t, SIGTTOU);

	if (error != 0)
		return error;
	if (queue > TCIOFLUSH)
		return -EINVAL;
	flags = spin_lock_irqsave(&t->lock);
	if (queue != TCOFLUSH) {
		ldisc_flush_input(t);
		if (t->ops->unthrottle != NULL)
			t->ops->unthrottle(t);
	}
	if (queue != TCIFLUSH) {
		t->echo_tail = t->echo_head;
		if (t->ops->flush_output != NULL)
			t->ops->flush_output(t);
	}
	spin_unlock_irqrestore(&t->lock, flags);
	waitq_wake(&t->write_wait, ~0u, POLLOUT);
	return 0;
}

static long
ioctl_flow(struct tty *t, uint64_t action)
{
	long error = tty_check_background(t, SIGTTOU);

	if (error != 0)
		return error;
	switch (action) {
	case TCOOFF:
		t->stopped = true;
		return 0;
	case TCOON:
		t->stopped = false;
		waitq_wake(&t->write_wait, ~0u, POLLOUT);
		return 0;
	case TCIOFF:
	case TCION:
		return 0;
	}
	return -EINVAL;
}

static long
ioctl_fake_input(struct tty *t, uint64_t arg)
{
	uint8_t c;
	uint64_t flags;

	if (t->session != current->process->sid && !cred_privileged(current->cred))
		return -EPERM;
	if (get_user_u8(&c, arg) != 0)
		return -EFAULT;
	flags = spin_lock_irqsave(&t->lock);
	ldisc_receive(t, &c, 1);
	spin_unlock_irqrestore(&t->lock, flags);
	return 0;
}

static long
ioctl_winsize(struct tty *t, unsigned cmd, uint64_t arg)
{
	struct winsize w = t->winsize;

	if (cmd == TIOCGWINSZ)
		return copy_to_user(arg, &w, sizeof(w));
	if (copy_from_user(&w, arg, sizeof(w)) != 0)
		return -EFAULT;
	tty_resize(t, &w);
	return 0;
}

long
tty_ioctl(struct tty *t, unsigned cmd, uint64_t arg)
{
	long error;

	switch (cmd) {
	case TCGETS:
		return ioctl_get_termios(t, arg, sizeof(struct termios));
	case TCGETS2:
		return ioctl_get_termios(t, arg, sizeof(struct termios2));
	case TCSETS:
	case TCSETSW:
	case TCSETSF:
		return ioctl_set_termios(t, arg, sizeof(struct termios), (int)(cmd - TCSETS));
	case TCSETS2:
	case TCSETSW2:
	case TCSETSF2:
		return ioctl_set_termios(t, arg, sizeof(struct termios2), (int)(cmd - TCSETS2));
	case TIOCGWINSZ:
	case TIOCSWINSZ:
		return ioctl_winsize(t, cmd, arg);
	case FIONREAD:
		return put_user_u32(arg, ldisc_readable(t));
	case TIOCOUTQ:
		return put_user_u32(arg, t->ops->pending(t));
	case TCFLSH:
		return ioctl_flush(t, arg);
	case TCXONC:
		return ioctl_flow(t, arg);
	case TCSBRK:
	case TCSBRKP:
		error = tty_check_background(t, SIGTTOU);
		return error != 0 ? error : drain_output(t);
	case TIOCSTI:
		return ioctl_fake_input(t, arg);
	case TIOCEXCL:
		t->exclusive = true;
		return 0;
	case TIOCNXCL:
		t->exclusive = false;
		return 0;
	case TIOCGEXCL:
		return put_user_u32(arg, t->exclusive);
	case TIOCGETD:
		return put_user_u32(arg, 0);	/* N_TTY */
	case TIOCSETD: {
		uint32_t d;

		return get_user_u32(&d, arg) != 0 ? -EFAULT : d == 0 ? 0 : -EINVAL;
	}
	}
	return -ENOTTY;
}

static long
tty_file_ioctl(struct file *f, unsigned cmd, uint64_t arg)
{
	struct tty *t = file_tty(f);
	long r;

	if (file_dead(f))
		return cmd == TIOCSPGRP ? -ENOTTY : -EIO;
	r = tty_ioctl_control(t, cmd, arg, false);
	return r != -ENOIOCTLCMD_ ? r : tty_ioctl(t, cmd, arg);
}

const struct file_ops tty_fops = {
	.release = tty_release,
	.read = tty_read,
	.write = tty_write,
	.poll = tty_poll,
	.ioctl = tty_file_ioctl,
};

/* /dev/tty: the controlling terminal of whoever opens it. */
static long
dev_tty_open(struct inode *inode, struct file *f)
{
	struct tty *t = tty_current();
	long error;

	(void)inode;
	if (t == NULL)
		return -ENXIO;
	error = tty_attach_file(t, f);
	tty_put(t);
	return error;
}

static const struct file_ops dev_tty_fops = { .open = dev_tty_open };
static struct chrdev dev_tty = { .major = TTYAUX_MAJOR, .minor = 0, .minor_count = 1, .name = "tty",
	.mode = 0666, .fops = &dev_tty_fops };

void
tty_init(void)
{
	chrdev_register(&dev_tty);
	pty_init();
	devpts_init();
}

long
sys_vhangup(void)
{
	struct tty *t;

	if (!cred_privileged(current->cred))
		return -EPERM;
	t = tty_current();
	if (t == NULL)
		return 0;
	tty_hangup(t);
	tty_put(t);
	return 0;
}
