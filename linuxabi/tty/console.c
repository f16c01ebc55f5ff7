/* SPDX-License-Identifier: MIT */
/*
 * The world's console: the terminal at the other end of the stream channel that
 * init gave to us (proto/stream.h; we are the client).  It appears as
 * /dev/ttyAMA0, which is what distributions call the first UART of this
 * machine, and as /dev/console.
 *
 * The channel's rings are touched with tty->lock held only.  Its doorbell
 * interrupts VCPU 0 (WORLD_BIT_CONSOLE).  Input that the line discipline has no
 * room for stays in the ring, and the peer waits: nothing is lost.
 */
#include <proto/stream.h>
#include <tessera/ring.h>

#include "hyp.h"
#include "tty_internal.h"

enum { CONSOLE_CHANNEL_MAX = 1 << 20, ROOM_WANTED = 256, AMA_MAJOR = 204, AMA_MINOR = 64 };

static struct tty *console;
static struct stream_end channel;
static uint32_t breaks_seen;

static void
ring_bell(bool bell)
{
	if (bell)
		hyp_signal(WORLD_SLOT_CONSOLE_BELL);
}

static unsigned
console_room(struct tty *t)
{
	(void)t;
	return ring_space(&channel.out);
}

static void
console_write(struct tty *t, const uint8_t *bytes, unsigned n)
{
	bool bell = false;

	(void)t;
	ring_write(&channel.out, bytes, n, &bell);
	ring_bell(bell);
}

static void
console_want_room(struct tty *t)
{
	if (!ring_writer_waits(&channel.out, ROOM_WANTED))
		waitq_wake(&t->write_wait, ~0u, POLLOUT | POLLWRNORM);
}

static unsigned
console_pending(struct tty *t)
{
	(void)t;
	return channel.out.size - ring_space(&channel.out);
}

/* Move what the line discipline has room for out of the ring. */
static void
console_pull(struct tty *t)
{
	bool bell = false;

	for (;;) {
		uint8_t buf[TTY_CHUNK];
		unsigned room = ldisc_receive_room(t);
		uint32_t n = ring_read(&channel.in, buf, min(room, (unsigned)sizeof(buf)), &bell);

		if (n != 0) {
			ldisc_receive(t, buf, n);
			continue;
		}
		/* No room: whoever reads the terminal pulls again. */
		if (room == 0 || ring_reader_waits(&channel.in))
			break;
	}
	ring_bell(bell);
}

static const struct tty_ops console_ops = {
	.room = console_room,
	.write = console_write,
	.want_room = console_want_room,
	.unthrottle = console_pull,
	.pending = console_pending,
};

static void
console_line_events(struct tty *t)
{
	uint32_t breaks = channel.shared->breaks;

	if (breaks == breaks_seen)
		return;
	breaks_seen = breaks;
	ldisc_break(t);
}

/* The far end knows (or has learnt) how large the terminal is. */
static void
console_size(struct tty *t)
{
	struct winsize w = t->winsize;
	uint32_t rows = channel.shared->rows, columns = channel.shared->columns;

	if (rows == 0 || columns == 0 || rows > UINT16_MAX || columns > UINT16_MAX)
		return;
	w.ws_row = (uint16_t)rows;
	w.ws_col = (uint16_t)columns;
	if (memcmp(&w, &t->winsize, sizeof(w)) != 0)
		tty_resize(t, &w);
}

void
console_channel_interrupt(void)
{
	struct tty *t = console;
	uint64_t flags;

	if (t == NULL)
		return;
	flags = spin_lock_irqsave(&t->lock);
	console_line_events(t);
	console_pull(t);
	ldisc_flush_echo(t);
	if (ring_space(&channel.out) >= ROOM_WANTED || ring_space(&channel.out) == channel.out.size)
		waitq_wake(&t->write_wait, ~0u, POLLOUT | POLLWRNORM);
	else
		ring_writer_waits(&channel.out, ROOM_WANTED);
	spin_unlock_irqrestore(&t->lock, flags);
	console_size(t);
}

static long
console_open(struct inode *inode, struct file *f)
{
	long error;

	if (console == NULL)
		return -ENODEV;
	error = tty_attach_file(console, f);
	/* /dev/console never becomes a controlling terminal by being opened. */
	if (error == 0 && inode->rdev == console->rdev)
		tty_open_control(console, f->flags);
	return error;
}

static const struct file_ops console_fops = { .open = console_open };
static struct chrdev dev_console = { .major = 5, .minor = 1, .minor_count = 1, .name = "console",
	.mode = 0600, .fops = &console_fops };
static struct chrdev dev_ama = { .major = AMA_MAJOR, .minor = AMA_MINOR, .minor_count = 1,
	.name = "ttyAMA0", .mode = 0600, .fops = &console_fops };

void
console_channel_init(uint64_t stream_virt)
{
	uint64_t flags;

	if (!stream_attach(&channel, (void *)stream_virt, CONSOLE_CHANNEL_MAX, STREAM_CLIENT)) {
		klog(LOG_ERR, "console: the channel at %#lx is no stream, version 1", stream_virt);
		return;
	}
	console = tty_create("ttyAMA0", &console_ops, NULL, makedev_(AMA_MAJOR, AMA_MINOR));
	if (console == NULL)
		panic("console: no memory");
	breaks_seen = channel.shared->breaks;
	chrdev_register(&dev_console);
	chrdev_register(&dev_ama);
	flags = spin_lock_irqsave(&console->lock);
	console_pull(console);
	spin_unlock_irqrestore(&console->lock, flags);
	console_size(console);
}
