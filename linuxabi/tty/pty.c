/* SPDX-License-Identifier: MIT */
/*
 * Pseudo-terminals: pty(7), pts(4), ioctl_tty(2).  The slave is a terminal; the
 * master is its line: what is written to the master arrives as input, what the
 * slave puts out waits in a ring until the master reads it.
 *
 * The slave's lock protects the pair.  The pair lives as long as the slave's
 * struct tty; the number is free again when the master is closed and the name
 * has left devpts.
 */
#include "tty_internal.h"

enum { PTY_OUT = 8192, PTMX_MINOR = 2 };

struct pty {
	struct tty *slave;
	unsigned number;
	bool locked;			/* TIOCSPTLCK */
	bool slave_opened;		/* at least once: then its last close is EIO for the master */
	bool packet;
	uint8_t packet_events;		/* TIOCPKT_* not told yet */
	uint8_t out[PTY_OUT];
	uint32_t head, tail;
	struct waitq read_wait;		/* the master's */
	struct waitq write_wait;
};

static spinlock_t pty_lock = SPINLOCK_INIT(50);	/* ptys[] */
static struct pty *ptys[PTY_MAX];

static unsigned
pty_room(struct tty *t)
{
	const struct pty *p = t->driver;

	/* Nobody will ever read it: what a program says into the void is gone. */
	if (t->peer_closed)
		return PTY_OUT;
	return PTY_OUT - (p->head - p->tail);
}

static void
pty_slave_write(struct tty *t, const uint8_t *bytes, unsigned n)
{
	struct pty *p = t->driver;

	if (t->peer_closed)
		return;
	for (unsigned i = 0; i < n; i++)
		p->out[p->head++ % PTY_OUT] = bytes[i];
	waitq_wake(&p->read_wait, ~0u, POLLIN | POLLRDNORM);
}

static void pty_want_room(struct tty *t) { (void)t; }	/* the master's read wakes */

static unsigned
pty_pending(struct tty *t)
{
	const struct pty *p = t->driver;

	return p->head - p->tail;
}

static void
pty_unthrottle(struct tty *t)
{
	struct pty *p = t->driver;

	waitq_wake(&p->write_wait, ~0u, POLLOUT | POLLWRNORM);
}

static void
pty_flush_output(struct tty *t)
{
	struct pty *p = t->driver;

	p->tail = p->head;
	p->packet_events |= TIOCPKT_FLUSHWRITE;
}

static void pty_opened(struct tty *t) { ((struct pty *)t->driver)->slave_opened = true; }

static void
pty_closed(struct tty *t)
{
	struct pty *p = t->driver;

	waitq_wake(&p->read_wait, ~0u, POLLHUP | POLLIN);
}

static const struct tty_ops pty_ops = {
	.room = pty_room,
	.write = pty_slave_write,
	.want_room = pty_want_room,
	.unthrottle = pty_unthrottle,
	.flush_output = pty_flush_output,
	.pending = pty_pending,
	.opened = pty_opened,
	.closed = pty_closed,
};

/* ---- the master ---- */

static bool slave_gone(const struct pty *p) { return p->slave_opened && p->slave->open_count == 0; }

static unsigned
master_take(struct pty *p, uint8_t *buf, unsigned size)
{
	unsigned n = 0;
	uint64_t flags = spin_lock_irqsave(&p->slave->lock);

	if (p->packet) {
		buf[n++] = p->packet_events;
		if (p->packet_events != 0 || p->head == p->tail) {
			n = p->packet_events != 0;
			p->packet_events = 0;
			spin_unlock_irqrestore(&p->slave->lock, flags);
			return n;
		}
	}
	while (n < size && p->tail != p->head)
		buf[n++] = p->out[p->tail++ % PTY_OUT];
	ldisc_flush_echo(p->slave);
	spin_unlock_irqrestore(&p->slave->lock, flags);
	if (n != 0)
		waitq_wake(&p->slave->write_wait, ~0u, POLLOUT | POLLWRNORM);
	return n;
}

static bool
master_readable(const struct pty *p)
{
	return READ_ONCE(p->head) != READ_ONCE(p->tail) || (p->packet && p->packet_events != 0);
}

static ssize_t
master_read(struct file *f, struct uio *u, loff_t *pos)
{
	struct pty *p = f->private_;
	uint8_t buf[TTY_CHUNK];
	ssize_t total = 0;
	unsigned n;

	(void)pos;
	while (!master_readable(p)) {
		long r;

		if (slave_gone(p))
			return -EIO;
		if ((f->flags & O_NONBLOCK) != 0)
			return -EAGAIN;
		r = wait_event_interruptible(&p->read_wait, master_readable(p) || slave_gone(p));
		if (r != 0)
			return r;
	}
	while (u->resid > 0 && (n = master_take(p, buf, (unsigned)min(u->resid, sizeof(buf)))) != 0) {
		if (uio_put(u, buf, n) != n)
			return total > 0 ? total : -EFAULT;
		total += n;
		if (p->packet)
			break;
	}
	return total;
}

/* Bytes that the slave's line discipline took. */
static unsigned
master_give(struct pty *p, const uint8_t *buf, unsigned n)
{
	uint64_t flags = spin_lock_irqsave(&p->slave->lock);

	n = min(n, ldisc_receive_room(p->slave));
	ldisc_receive(p->slave, buf, n);
	spin_unlock_irqrestore(&p->slave->lock, flags);
	return n;
}

static ssize_t
master_write(struct file *f, struct uio *u, loff_t *pos)
{
	struct pty *p = f->private_;
	ssize_t total = 0;

	(void)pos;
	while (u->resid > 0) {
		uint8_t buf[TTY_CHUNK];
		unsigned got = (unsigned)uio_get(u, buf, sizeof(buf)), done = 0;

		if (got == 0)
			return total > 0 ? total : -EFAULT;
		while (done < got) {
			unsigned n = master_give(p, buf + done, got - done);
			long r;

			done += n;
			total += n;
			if (n != 0)
				continue;
			if ((f->flags & O_NONBLOCK) != 0)
				return total > 0 ? total : -EAGAIN;
			r = wait_event_interruptible(&p->write_wait, ldisc_receive_room(p->slave) != 0);
			if (r != 0)
				return total > 0 ? total : r;
		}
	}
	return total;
}

static unsigned
master_poll(struct file *f, struct poll_table *pt)
{
	struct pty *p = f->private_;
	unsigned events = 0;

	poll_wait(pt, f, &p->read_wait);
	poll_wait(pt, f, &p->write_wait);
	if (master_readable(p))
		events |= POLLIN | POLLRDNORM | (p->packet_events != 0 ? POLLPRI : 0);
	if (ldisc_receive_room(p->slave) != 0)
		events |= POLLOUT | POLLWRNORM;
	if (slave_gone(p))
		events |= POLLHUP;
	return events;
}

/* TIOCGPTPEER: open the slave without its name. */
static long
master_open_peer(struct pty *p, unsigned flags)
{
	char name[24];
	struct file *f;
	int fd;

	ksnprintf(name, sizeof(name), "/dev/pts/%u", p->number);
	f = file_open(AT_FDCWD, name, flags, 0);
	if (IS_ERR(f))
		return PTR_ERR(f);
	fd = fd_install(f, 0, (flags & O_CLOEXEC) != 0);
	if (fd < 0)
		file_put(f);
	return fd;
}

static long
master_signal(struct pty *p, uint64_t sig)
{
	if (sig != SIGINT && sig != SIGQUIT && sig != SIGTSTP)
		return -EINVAL;
	if (p->slave->group != 0)
		signal_send_group(p->slave->group, (int)sig, NULL);
	return 0;
}

static long
master_ioctl(struct file *f, unsigned cmd, uint64_t arg)
{
	struct pty *p = f->private_;
	uint32_t value;
	long r;

	switch (cmd) {
	case TIOCGPTN:
		return put_user_u32(arg, p->number);
	case TIOCSPTLCK:
		if (get_user_u32(&value, arg) != 0)
			return -EFAULT;
		p->locked = value != 0;
		return 0;
	case TIOCGPTLCK:
		return put_user_u32(arg, p->locked);
	case TIOCPKT:
		if (get_user_u32(&value, arg) != 0)
			return -EFAULT;
		p->packet = value != 0;
		p->packet_events = 0;
		return 0;
	case TIOCGPKT:
		return put_user_u32(arg, p->packet);
	case TIOCGPTPEER:
		return master_open_peer(p, (unsigned)arg);
	case TIOCSIG:
		return master_signal(p, arg);
	case FIONREAD:
		return put_user_u32(arg, p->head - p->tail);
	case TIOCSCTTY:
	case TIOCNOTTY:
		return -ENOTTY;
	}
	r = tty_ioctl_control(p->slave, cmd, arg, true);
	return r != -ENOIOCTLCMD_ ? r : tty_ioctl(p->slave, cmd, arg);
}

static void
pty_free_number(struct pty *p)
{
	uint64_t flags = spin_lock_irqsave(&pty_lock);

	ptys[p->number] = NULL;
	spin_unlock_irqrestore(&pty_lock, flags);
}

static void
master_release(struct file *f)
{
	struct pty *p = f->private_;
	struct tty *t = p->slave;
	uint64_t flags;

	devpts_remove(p->number);
	flags = spin_lock_irqsave(&t->lock);
	t->peer_closed = true;
	spin_unlock_irqrestore(&t->lock, flags);
	tty_hangup(t);
	pty_free_number(p);
	/* Slave files that are still open keep the pair: it is freed with its tty. */
	tty_put(t);
}

static const struct file_ops master_fops = {
	.release = master_release,
	.read = master_read,
	.write = master_write,
	.poll = master_poll,
	.ioctl = master_ioctl,
};

static long
pty_take_number(struct pty *p)
{
	long error = -ENOSPC;
	uint64_t flags = spin_lock_irqsave(&pty_lock);

	for (unsigned i = 0; i < PTY_MAX && error != 0; i++) {
		if (ptys[i] != NULL)
			continue;
		p->number = i;
		ptys[i] = p;
		error = 0;
	}
	spin_unlock_irqrestore(&pty_lock, flags);
	return error;
}

static struct pty *
pty_create(void)
{
	struct pty *p = kzalloc(sizeof(*p));
	char name[16];

	if (p == NULL)
		return ERR_PTR(-ENOMEM);
	p->locked = true;
	waitq_init(&p->read_wait);
	waitq_init(&p->write_wait);
	p->slave = tty_create("", &pty_ops, p, 0);
	if (p->slave == NULL) {
		kfree(p);
		return ERR_PTR(-ENOMEM);
	}
	p->slave->release_driver = kfree;
	if (pty_take_number(p) != 0) {
		tty_put(p->slave);
		return ERR_PTR(-ENOSPC);
	}
	ksnprintf(name, sizeof(name), "pts/%u", p->number);
	strlcpy(p->slave->name, name, sizeof(p->slave->name));
	p->slave->rdev = makedev_(PTS_MAJOR, p->number);
	return p;
}

static long
ptmx_open(struct inode *inode, struct file *f)
{
	struct pty *p = pty_create();
	long error;

	(void)inode;
	if (IS_ERR(p))
		return PTR_ERR(p);
	error = devpts_add(p->number, p->slave);
	if (error != 0) {
		pty_free_number(p);
		tty_put(p->slave);
		return error;
	}
	f->private_ = p;
	f->ops = &master_fops;
	return 0;
}

struct tty *
pty_slave(unsigned number)
{
	struct tty *t = NULL;
	uint64_t flags;

	if (number >= PTY_MAX)
		return NULL;
	flags = spin_lock_irqsave(&pty_lock);
	if (ptys[number] != NULL) {
		t = ptys[number]->slave;
		tty_get(t);
	}
	spin_unlock_irqrestore(&pty_lock, flags);
	return t;
}

static long
slave_open(struct inode *inode, struct file *f)
{
	unsigned number = (unsigned)(inode->rdev & 0xff);
	struct tty *t = pty_slave(number);
	long error;

	if (t == NULL)
		return -ENXIO;
	error = -EIO;
	if (!t->peer_closed && !((struct pty *)t->driver)->locked)
		error = tty_attach_file(t, f);
	if (error == 0)
		tty_open_control(t, f->flags);
	tty_put(t);
	return error;
}

static const struct file_ops ptmx_fops = { .open = ptmx_open };
static const struct file_ops slave_fops = { .open = slave_open };
static struct chrdev dev_ptmx = { .major = 5, .minor = PTMX_MINOR, .minor_count = 1, .name = "ptmx",
	.mode = 0666, .fops = &ptmx_fops };
static struct chrdev dev_pts = { .major = PTS_MAJOR, .minor = 0, .minor_count = PTY_MAX,
	.name = NULL, .mode = 0620, .fops = &slave_fops };

void
pty_init(void)
{
	chrdev_register(&dev_ptmx);
	chrdev_register(&dev_pts);
}
