/* SPDX-License-Identifier: MIT */
/*
 * /dev/null, zero, full, random, urandom, kmsg: major 1, null(4), random(4).
 */
#include "internal.h"

enum { RANDOM_CHUNK = 256 };

static ssize_t
null_read(struct file *f, struct uio *u, loff_t *pos)
{
	(void)f, (void)u, (void)pos;
	return 0;
}

static ssize_t
null_write(struct file *f, struct uio *u, loff_t *pos)
{
	size_t n = u->resid;

	(void)f, (void)pos;
	u->resid = 0;
	return (ssize_t)n;
}

static ssize_t
zero_read(struct file *f, struct uio *u, loff_t *pos)
{
	size_t n = u->resid, done = 0;

	(void)f, (void)pos;
	while (done < n) {
		size_t part = min(n - done, (size_t)16 * PAGE_SIZE), moved = uio_zero(u, part);

		done += moved;
		if (moved < part)
			return done > 0 ? (ssize_t)done : -EFAULT;
		if (done < n) {
			if (signal_pending())
				break;
			cond_resched();
		}
	}
	return (ssize_t)done;
}

static ssize_t
full_write(struct file *f, struct uio *u, loff_t *pos)
{
	(void)f, (void)u, (void)pos;
	return -ENOSPC;
}

static loff_t
null_seek(struct file *f, loff_t off, int whence)
{
	(void)off, (void)whence;
	return f->pos = 0;
}

static ssize_t
random_read(struct file *f, struct uio *u, loff_t *pos)
{
	uint8_t buf[RANDOM_CHUNK];
	size_t n = u->resid, done = 0;

	(void)f, (void)pos;
	while (done < n) {
		size_t part = min(n - done, sizeof(buf)), moved;

		random_bytes(buf, part);
		moved = uio_put(u, buf, part);
		done += moved;
		if (moved < part)
			return done > 0 ? (ssize_t)done : -EFAULT;
		if (done % PAGE_SIZE == 0 && signal_pending())
			break;
		cond_resched();
	}
	return (ssize_t)done;
}

/* Whatever a program writes is mixed in and counts for nothing. */
static ssize_t
random_write(struct file *f, struct uio *u, loff_t *pos)
{
	uint8_t buf[RANDOM_CHUNK];
	size_t n = u->resid, done = 0;

	(void)f, (void)pos;
	while (done < n) {
		size_t part = min(n - done, sizeof(buf)), moved = uio_get(u, buf, part);

		random_add(buf, moved, 0);
		done += moved;
		if (moved < part)
			return done > 0 ? (ssize_t)done : -EFAULT;
		if (signal_pending())
			break;
		cond_resched();
	}
	return (ssize_t)done;
}

static unsigned
always_ready(struct file *f, struct poll_table *pt)
{
	(void)f, (void)pt;
	return POLLIN | POLLRDNORM | POLLOUT | POLLWRNORM;
}

/* "<3>text": a level before the line, as systemd and busybox klogd write. */
static ssize_t
kmsg_write(struct file *f, struct uio *u, loff_t *pos)
{
	char line[1024];
	size_t n = u->resid;
	int level = LOG_NOTICE;
	char *text = line;

	(void)f, (void)pos;
	if (n >= sizeof(line))
		return -EINVAL;
	if (uio_get(u, line, n) != n)
		return -EFAULT;
	line[n] = '\0';
	if (line[0] == '<' && line[1] >= '0' && line[1] <= '9') {
		char *end = strchr(line, '>');

		if (end != NULL && end - line <= 5) {
			int v = 0;

			for (char *p = line + 1; p < end; p++)
				v = v * 10 + (*p - '0');
			level = v & 7;
			text = end + 1;
		}
	}
	for (size_t len = strlen(text); len > 0 && text[len - 1] == '\n'; )
		text[--len] = '\0';
	klog(level, "%s", text);
	return (ssize_t)n;
}

#define ALWAYS .seek = null_seek, .poll = always_ready
static const struct file_ops null_ops = { .read = null_read, .write = null_write, ALWAYS };
static const struct file_ops zero_ops = { .read = zero_read, .write = null_write, ALWAYS };
static const struct file_ops full_ops = { .read = zero_read, .write = full_write, ALWAYS };
static const struct file_ops random_ops = { .read = random_read, .write = random_write, ALWAYS };
static const struct file_ops kmsg_ops = { .read = null_read, .write = kmsg_write, ALWAYS };

static struct chrdev devices[] = {
	{ .major = 1, .minor = 3, .minor_count = 1, .name = "null", .mode = 0666, .fops = &null_ops },
	{ .major = 1, .minor = 5, .minor_count = 1, .name = "zero", .mode = 0666, .fops = &zero_ops },
	{ .major = 1, .minor = 7, .minor_count = 1, .name = "full", .mode = 0666, .fops = &full_ops },
	{ .major = 1, .minor = 8, .minor_count = 1, .name = "random", .mode = 0666, .fops = &random_ops },
	{ .major = 1, .minor = 9, .minor_count = 1, .name = "urandom", .mode = 0666, .fops = &random_ops },
	{ .major = 1, .minor = 11, .minor_count = 1, .name = "kmsg", .mode = 0644, .fops = &kmsg_ops },
};

void
memdev_init(void)
{
	for (unsigned i = 0; i < ARRAY_LEN(devices); i++)
		chrdev_register(&devices[i]);
}
