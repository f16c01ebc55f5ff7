/* SPDX-License-Identifier: MIT */
/*
 * Pipes and FIFOs, pipe(7): a ring of pages.  Writes up to PIPE_BUF are atomic,
 * a small write continues the last page of its kind, an emptied page is kept for
 * the next write.  splice and tee move pages by reference.
 *
 * pipe->lock is a mutex of rank 25: user memory is touched while it is held.
 */
#include <asm/ioctls.h>
#include "internal.h"

enum { PIPE_SLOTS = 16, PIPE_SLOTS_MAX = 256, PIPE_ATOMIC = 4096, SPARES = 2 };
enum { PIPE_USER_PAGES_SOFT = 16384 };	/* beyond it pipes of unprivileged users get one page pair, pipe(7) */
enum { F_SETPIPE_SZ_ = 1031, F_GETPIPE_SZ_ = 1032 };
enum { RWF_NOWAIT_ = 8 };
enum { BUF_OWN = 1 /* nobody else sees the page: may be appended to */, BUF_PACKET = 2 };

struct pipe_buf {
	struct page *page;
	uint32_t off, len;
	uint32_t flags;
};

struct pipe {
	struct mutex lock;
	struct waitq readers_wait, writers_wait;
	struct waitq open_wait;		/* FIFO: a partner came */
	uint32_t head, tail;		/* of the ring: tail is written, head read; modulo 2^32 */
	uint32_t slots;
	uint32_t readers, writers;
	uint32_t reader_opens, writer_opens;	/* counted up at each open: a FIFO's rendezvous */
	uint32_t files;
	struct page *spare[SPARES];
	struct pipe_buf *ring;
	struct pipe_buf small[PIPE_SLOTS];
};

static struct kcache *pipe_cache;
static struct super *pipe_super;
static uint64_t pipe_slots_total;

static inline uint32_t used(const struct pipe *p) { return p->tail - p->head; }
static inline bool empty(const struct pipe *p) { return p->tail == p->head; }
static inline bool full(const struct pipe *p) { return used(p) >= p->slots; }
static inline struct pipe_buf *slot(struct pipe *p, uint32_t n) { return &p->ring[n & (p->slots - 1)]; }
static inline struct pipe *pipe_of(const struct file *f) { return f->private_; }

bool
file_is_pipe(const struct file *f)
{
	return f->ops == &pipe_ops || f->ops == &fifo_ops;
}

/* ---- life ---- */

static struct pipe *
pipe_new(void)
{
	struct pipe *p = kcache_zalloc(pipe_cache);

	if (p == NULL)
		return NULL;
	mutex_init(&p->lock, 25);
	waitq_init(&p->readers_wait);
	waitq_init(&p->writers_wait);
	waitq_init(&p->open_wait);
	p->ring = p->small;
	p->slots = PIPE_SLOTS;
	if (__atomic_add_fetch(&pipe_slots_total, PIPE_SLOTS, __ATOMIC_RELAXED) > PIPE_USER_PAGES_SOFT &&
	    !capable(CAP_SYS_RESOURCE) && !capable(CAP_SYS_ADMIN)) {
		__atomic_fetch_sub(&pipe_slots_total, PIPE_SLOTS - 2, __ATOMIC_RELAXED);
		p->slots = 2;
	}
	return p;
}

static void
buf_release(struct pipe *p, struct pipe_buf *b)
{
	struct page *page = b->page;

	b->page = NULL;
	if ((b->flags & BUF_OWN) != 0 && ref_read(&page->refs) == 1)
		for (unsigned i = 0; i < SPARES; i++)
			if (p->spare[i] == NULL) {
				p->spare[i] = page;
				return;
			}
	page_put(page);
}

static void
pipe_free(struct pipe *p)
{
	for (; !empty(p); p->head++)
		page_put(slot(p, p->head)->page);
	for (unsigned i = 0; i < SPARES; i++)
		if (p->spare[i] != NULL)
			page_put(p->spare[i]);
	__atomic_fetch_sub(&pipe_slots_total, p->slots, __ATOMIC_RELAXED);
	if (p->ring != p->small)
		kfree(p->ring);
	kcache_free(pipe_cache, p);
}

static struct page *
pipe_page(struct pipe *p)
{
	for (unsigned i = 0; i < SPARES; i++)
		if (p->spare[i] != NULL) {
			struct page *page = p->spare[i];

			p->spare[i] = NULL;
			return page;
		}
	return page_alloc(PG_USER);
}

/* ---- read ---- */

static inline void
wake_writers(struct pipe *p)
{
	__atomic_thread_fence(__ATOMIC_SEQ_CST);	/* head before the look at the queue */
	if (waitq_active(&p->writers_wait))
		waitq_wake(&p->writers_wait, 1, POLLOUT | POLLWRNORM);
}

static inline void
wake_readers(struct pipe *p)
{
	__atomic_thread_fence(__ATOMIC_SEQ_CST);	/* tail before the look at the queue */
	if (waitq_active(&p->readers_wait))
		waitq_wake(&p->readers_wait, 1, POLLIN | POLLRDNORM);
}

/* Moves what is there.  Bytes, or -EFAULT; *freed: a slot became free. */
static ssize_t
take_bytes(struct pipe *p, struct uio *u, bool *freed)
{
	size_t done = 0;

	while (u->resid > 0 && !empty(p)) {
		struct pipe_buf *b = slot(p, p->head);
		size_t n = min((size_t)b->len, u->resid);
		size_t moved = uio_put(u, (char *)page_virt(b->page) + b->off, n);
		bool packet = (b->flags & BUF_PACKET) != 0;

		b->off += (uint32_t)moved;
		b->len -= (uint32_t)moved;
		done += moved;
		if (b->len == 0 || (packet && moved == n)) {
			buf_release(p, b);
			p->head++;
			*freed = true;
		}
		if (moved < n)
			return done > 0 ? (ssize_t)done : -EFAULT;
		if (packet)
			break;
	}
	return (ssize_t)done;
}

static ssize_t
pipe_read(struct file *f, struct uio *u, loff_t *pos)
{
	struct pipe *p = pipe_of(f);
	bool freed = false;
	ssize_t r;

	(void)pos;
	if (u->resid == 0)
		return 0;
	mutex_lock(&p->lock);
	for (;;) {
		if (!empty(p)) {
			r = take_bytes(p, u, &freed);
			break;
		}
		r = 0;
		if (p->writers == 0)
			break;
		r = -EAGAIN;
		if ((f->flags & O_NONBLOCK) != 0 || (u->rwf & RWF_NOWAIT_) != 0)
			break;
		mutex_unlock(&p->lock);
		struct waiter w;

		waiter_init(&w);
		waitq_add_exclusive(&p->readers_wait, &w);
		task_prepare_wait(TASK_INTERRUPTIBLE);
		r = 0;
		if (empty(p) && READ_ONCE(p->writers) != 0)
			r = task_wait(UINT64_MAX);
		task_finish_wait();
		waitq_remove(&p->readers_wait, &w);
		mutex_lock(&p->lock);
		if (r != 0 && empty(p) && p->writers != 0)
			break;
		if (r != 0 && !empty(p)) {
			r = take_bytes(p, u, &freed);
			break;
		}
	}
	/* Data that are left wake the next reader: one wake-up brought one of us. */
	bool more = !empty(p);

	mutex_unlock(&p->lock);
	if (freed)
		wake_writers(p);
	if (more)
		wake_readers(p);
	if (r > 0 && f->path.dentry != NULL)
		inode_touch_atime(f);
	return r;
}

/* ---- write ---- */

/* Room for a write of n bytes that must not be split? */
static bool
append_to_last(struct pipe *p, struct uio *u, size_t n, ssize_t *done)
{
	struct pipe_buf *b;
	size_t moved;

	if (empty(p))
		return false;
	b = slot(p, p->tail - 1);
	if ((b->flags & (BUF_OWN | BUF_PACKET)) != BUF_OWN || b->off + b->len + n > PAGE_SIZE ||
	    ref_read(&b->page->refs) != 1)
		return false;
	moved = uio_get(u, (char *)page_virt(b->page) + b->off + b->len, n);
	b->len += (uint32_t)moved;
	*done = moved < n && moved == 0 ? -EFAULT : (ssize_t)moved;
	return true;
}

/* One new page with up to a page of data; bytes or -errno. */
static ssize_t
add_page(struct pipe *p, struct uio *u, uint32_t flags)
{
	size_t n = min(u->resid, (size_t)PAGE_SIZE), moved;
	struct page *page = pipe_page(p);
	struct pipe_buf *b;

	if (page == NULL)
		return -ENOMEM;
	moved = uio_get(u, page_virt(page), n);
	if (moved == 0) {
		page_put(page);
		return -EFAULT;
	}
	b = slot(p, p->tail);
	*b = (struct pipe_buf){ .page = page, .len = (uint32_t)moved, .flags = flags };
	p->tail++;
	return (ssize_t)moved;
}

static void
no_readers(void)
{
	signal_send_task(current, SIGPIPE, NULL);
}

/* Waits for a free slot without the lock; returns with it. */
static long
wait_for_slot(struct pipe *p)
{
	struct waiter w;
	long r = 0;

	mutex_unlock(&p->lock);
	waiter_init(&w);
	waitq_add_exclusive(&p->writers_wait, &w);
	task_prepare_wait(TASK_INTERRUPTIBLE);
	if (full(p) && READ_ONCE(p->readers) != 0)
		r = task_wait(UINT64_MAX);
	task_finish_wait();
	waitq_remove(&p->writers_wait, &w);
	mutex_lock(&p->lock);
	return r;
}

static ssize_t
pipe_write(struct file *f, struct uio *u, loff_t *pos)
{
	struct pipe *p = pipe_of(f);
	uint32_t flags = BUF_OWN | ((f->flags & O_DIRECT) != 0 ? BUF_PACKET : 0);
	size_t total = u->resid, tail_part = total % PAGE_SIZE;
	ssize_t done = 0, r = 0;
	bool pending = false;

	(void)pos;
	if (total == 0)
		return 0;
	mutex_lock(&p->lock);
	if (p->readers == 0) {
		mutex_unlock(&p->lock);
		no_readers();
		return -EPIPE;
	}
	/* A part of a page fits behind the last data whole or not at all: so
	 * writes up to PIPE_BUF stay in one piece. */
	if (tail_part != 0 && (flags & BUF_PACKET) == 0 && append_to_last(p, u, tail_part, &r)) {
		pending = r > 0;
		if (r < 0)
			goto out;
		done = r;
		if ((size_t)r < tail_part)
			goto out;
	}
	while (u->resid > 0) {
		if (p->readers == 0) {
			r = -EPIPE;
			break;
		}
		if (!full(p)) {
			r = add_page(p, u, flags);
			if (r < 0)
				break;
			done += r;
			pending = true;
			continue;
		}
		r = -EAGAIN;
		if ((f->flags & O_NONBLOCK) != 0 || (u->rwf & RWF_NOWAIT_) != 0)
			break;
		if (pending) {
			pending = false;
			wake_readers(p);
		}
		r = wait_for_slot(p);
		if (r != 0 && full(p))
			break;
	}
out:;
	bool room = !full(p);

	mutex_unlock(&p->lock);
	if (pending)
		wake_readers(p);
	if (room)
		wake_writers(p);
	if (r == -EPIPE)
		no_readers();
	return done > 0 ? done : r;
}

/* ---- poll, ioctl, release ---- */

static unsigned
pipe_poll(struct file *f, struct poll_table *pt)
{
	struct pipe *p = pipe_of(f);
	unsigned events = 0;

	if (f->readable)
		poll_wait(pt, f, &p->readers_wait);
	if (f->writable)
		poll_wait(pt, f, &p->writers_wait);
	if (f->readable) {
		if (!empty(p))
			events |= POLLIN | POLLRDNORM;
		/* Before its first writer a FIFO is not at its end. */
		if (READ_ONCE(p->writers) == 0 && (uint32_t)f->pos != READ_ONCE(p->writer_opens))
			events |= POLLHUP;
	}
	if (f->writable) {
		if (!full(p))
			events |= POLLOUT | POLLWRNORM;
		if (READ_ONCE(p->readers) == 0)
			events |= POLLERR;
	}
	return events;
}

static long
pipe_ioctl(struct file *f, unsigned cmd, uint64_t arg)
{
	struct pipe *p = pipe_of(f);
	uint32_t n = 0;

	if (cmd != FIONREAD)
		return -ENOTTY;
	mutex_lock(&p->lock);
	for (uint32_t i = p->head; i != p->tail; i++)
		n += slot(p, i)->len;
	mutex_unlock(&p->lock);
	return put_user_u32(arg, n);
}

static void
pipe_release(struct file *f)
{
	struct pipe *p = pipe_of(f);
	struct inode *i = f->inode;
	bool last;

	if (p == NULL)
		return;
	mutex_lock(&i->lock);
	mutex_lock(&p->lock);
	p->readers -= f->readable;
	p->writers -= f->writable;
	last = --p->files == 0;
	mutex_unlock(&p->lock);
	if (last)
		i->fifo = NULL;		/* a FIFO keeps no data without an open file */
	mutex_unlock(&i->lock);
	if (last) {
		pipe_free(p);
		return;
	}
	waitq_wake(&p->readers_wait, ~0u, POLLIN | POLLRDNORM | POLLERR | POLLHUP);
	waitq_wake(&p->writers_wait, ~0u, POLLOUT | POLLWRNORM | POLLERR | POLLHUP);
}

/* ---- FIFOs ---- */

static long
fifo_wait_partner(struct pipe *p, const uint32_t *count, uint32_t seen)
{
	return wait_event_interruptible(&p->open_wait, READ_ONCE(*count) != seen);
}

static long
fifo_open(struct inode *i, struct file *f)
{
	struct pipe *p;
	bool nonblock = (f->flags & O_NONBLOCK) != 0;
	bool named = i->sb != pipe_super;	/* a pipe opened through /proc/self/fd waits for nobody */
	uint32_t seen;
	long r = 0;

	mutex_lock(&i->lock);
	if (i->fifo == NULL)
		i->fifo = pipe_new();
	p = i->fifo;
	if (p == NULL) {
		mutex_unlock(&i->lock);
		return -ENOMEM;
	}
	mutex_lock(&p->lock);
	if (named && f->writable && !f->readable && nonblock && p->readers == 0) {
		bool unused = p->files == 0;

		mutex_unlock(&p->lock);
		if (unused) {
			i->fifo = NULL;
			pipe_free(p);
		}
		mutex_unlock(&i->lock);
		return -ENXIO;
	}
	p->files++;
	p->readers += f->readable;
	p->writers += f->writable;
	p->reader_opens += f->readable;
	p->writer_opens += f->writable;
	f->private_ = p;
	f->ops = &pipe_ops;
	/* Where poll's POLLHUP counts from: a reader that has not yet had a writer. */
	f->pos = named && f->readable && !f->writable && p->writers == 0 ? (loff_t)p->writer_opens : -1;
	seen = f->readable ? p->writer_opens : p->reader_opens;
	mutex_unlock(&p->lock);
	mutex_unlock(&i->lock);
	waitq_wake_all(&p->open_wait);
	if (!named || (f->readable && f->writable))
		return 0;
	if (f->readable && !nonblock && READ_ONCE(p->writers) == 0)
		r = fifo_wait_partner(p, &p->writer_opens, seen);
	else if (f->writable && !nonblock && READ_ONCE(p->readers) == 0)
		r = fifo_wait_partner(p, &p->reader_opens, seen);
	if (r < 0) {
		pipe_release(f);
		f->private_ = NULL;
	}
	return r;
}

const struct file_ops fifo_ops = { .open = fifo_open };
const struct file_ops pipe_ops = {
	.read = pipe_read, .write = pipe_write, .poll = pipe_poll, .ioctl = pipe_ioctl, .release = pipe_release,
};

/* ---- pipe2 ---- */

static struct file *
pipe_end(struct inode *i, struct pipe *p, unsigned flags)
{
	struct file *f = file_alloc(&pipe_ops, i, flags);

	if (f == NULL)
		return NULL;
	f->anon_name = "pipe";
	f->private_ = p;
	f->pos = -1;
	return f;
}

static long
pipe_files(struct file *out[2], unsigned flags)
{
	struct inode *i = inode_alloc(pipe_super, S_IFIFO | 0600);
	struct pipe *p = i != NULL ? pipe_new() : NULL;
	long r = -ENFILE;

	if (p == NULL)
		goto fail_inode;
	out[0] = pipe_end(i, p, O_RDONLY | (flags & O_NONBLOCK));
	if (out[0] == NULL)
		goto fail_pipe;
	out[1] = pipe_end(i, p, O_WRONLY | (flags & (O_NONBLOCK | O_DIRECT)));
	if (out[1] == NULL)
		goto fail_file;
	p->readers = p->writers = 1;
	p->reader_opens = p->writer_opens = 1;
	p->files = 2;
	i->fifo = p;		/* open of /proc/self/fd/N takes it for a FIFO */
	inode_put(i);		/* the files have theirs */
	return 0;

fail_file:
	out[0]->private_ = NULL;
	file_put(out[0]);
fail_pipe:
	pipe_free(p);
fail_inode:
	inode_put(i);
	return r;
}

long
sys_pipe2(uint64_t fds, uint64_t flags)
{
	struct file *f[2];
	int fd[2];
	long r;

	if (((uint32_t)flags & ~(uint32_t)(O_CLOEXEC | O_NONBLOCK | O_DIRECT)) != 0)
		return -EINVAL;
	r = pipe_files(f, (unsigned)flags);
	if (r < 0)
		return r;
	fd[0] = fd_install(f[0], 0, (flags & O_CLOEXEC) != 0);
	if (fd[0] < 0) {
		file_put(f[0]);
		file_put(f[1]);
		return fd[0];
	}
	fd[1] = fd_install(f[1], 0, (flags & O_CLOEXEC) != 0);
	if (fd[1] < 0) {
		fd_close(fd[0]);
		file_put(f[1]);
		return fd[1];
	}
	if (copy_to_user(fds, fd, sizeof(fd)) == 0)
		return 0;
	fd_close(fd[0]);
	fd_close(fd[1]);
	return -EFAULT;
}

/* ---- size ---- */

static long
pipe_resize(struct pipe *p, uint64_t bytes)
{
	uint32_t slots = 1, n = used(p);
	struct pipe_buf *ring;

	if (bytes > (uint64_t)PIPE_SLOTS_MAX * PAGE_SIZE && !capable(CAP_SYS_RESOURCE))
		return -EPERM;
	if (bytes > (64ULL << 20))
		return -EINVAL;
	while ((uint64_t)slots * PAGE_SIZE < bytes)
		slots *= 2;
	if (n > slots)
		return -EBUSY;
	if (slots > p->slots && !capable(CAP_SYS_RESOURCE) &&
	    READ_ONCE(pipe_slots_total) + slots - p->slots > PIPE_USER_PAGES_SOFT)
		return -EPERM;
	ring = kzalloc(slots * sizeof(ring[0]));
	if (ring == NULL)
		return -ENOMEM;
	for (uint32_t i = 0; i < n; i++)
		ring[i] = *slot(p, p->head + i);
	if (p->ring != p->small)
		kfree(p->ring);
	__atomic_fetch_add(&pipe_slots_total, (uint64_t)slots - p->slots, __ATOMIC_RELAXED);
	p->ring = ring;
	p->head = 0;
	p->tail = n;
	p->slots = slots;
	return (long)slots * PAGE_SIZE;
}

long
pipe_fcntl(struct file *f, unsigned cmd, uint64_t arg)
{
	struct pipe *p = pipe_of(f);
	long r;

	if (!file_is_pipe(f) || p == NULL)
		return -EBADF;
	if (cmd == F_GETPIPE_SZ_)
		return (long)p->slots * PAGE_SIZE;
	if ((uint32_t)arg == 0)
		return -EINVAL;
	mutex_lock(&p->lock);
	r = pipe_resize(p, (uint32_t)arg);
	mutex_unlock(&p->lock);
	if (r > 0)
		wake_writers(p);
	return r;
}

/* ---- splice: pages by reference ---- */

/* Waits for data (or room); 0: go on, with the lock; 1: end of file. */
static long
splice_wait(struct pipe *p, bool for_data, bool nonblock)
{
	while (for_data ? empty(p) : full(p)) {
		struct waitq *q = for_data ? &p->readers_wait : &p->writers_wait;
		long r;

		if (for_data ? p->writers == 0 : false)
			return 1;
		if (!for_data && p->readers == 0)
			return -EPIPE;
		if (nonblock)
			return -EAGAIN;
		mutex_unlock(&p->lock);
		r = wait_event_interruptible(q, for_data ? !empty(p) || READ_ONCE(p->writers) == 0
		    : !full(p) || READ_ONCE(p->readers) == 0);
		mutex_lock(&p->lock);
		if (r < 0)
			return r;
	}
	return 0;
}

/* Pages of a regular file go into the pipe as they are. */
static ssize_t
splice_cache_page(struct pipe *p, struct file *in, loff_t *pos, size_t len)
{
	struct inode *i = in->inode;
	uint64_t size = READ_ONCE(i->size), at = (uint64_t)*pos;
	size_t off = at & (PAGE_SIZE - 1), n;
	struct page *page;

	if (at >= size)
		return 0;
	n = min(size - at, (uint64_t)PAGE_SIZE - off);
	n = min(n, len);
	page = pagecache_page(i->mapping, at >> PAGE_SHIFT);
	if (IS_ERR(page))
		return PTR_ERR(page);
	if (page == NULL) {
		page = page_alloc(PG_ZERO | PG_USER);
		if (page == NULL)
			return -ENOMEM;
	}
	*slot(p, p->tail) = (struct pipe_buf){ .page = page, .off = (uint32_t)off, .len = (uint32_t)n };
	p->tail++;
	*pos += (loff_t)n;
	return (ssize_t)n;
}

/* Anything else is read into a page. */
static ssize_t
splice_read_page(struct pipe *p, struct file *in, loff_t *pos, size_t len)
{
	struct page *page = page_alloc(PG_USER);
	struct uio u;
	ssize_t n;

	if (page == NULL)
		return -ENOMEM;
	uio_kernel(&u, page_virt(page), min(len, (size_t)PAGE_SIZE));
	u.rwf = 0;
	mutex_unlock(&p->lock);		/* it may block, and on this very pipe's peer */
	n = file_do_read(in, &u, pos);
	mutex_lock(&p->lock);
	if (n <= 0) {
		page_put(page);
		return n;
	}
	while (full(p)) {		/* somebody used the room meanwhile */
		long r = splice_wait(p, false, false);

		if (r != 0) {
			page_put(page);
			return r;
		}
	}
	*slot(p, p->tail) = (struct pipe_buf){ .page = page, .len = (uint32_t)n, .flags = BUF_OWN };
	p->tail++;
	return n;
}

ssize_t
pipe_splice_in(struct file *pipe, struct file *in, loff_t *pos, size_t len, unsigned flags)
{
	struct pipe *p = pipe_of(pipe);
	bool nonblock = (flags & 2) != 0 || (pipe->flags & O_NONBLOCK) != 0;
	bool cached = in->inode != NULL && in->inode->mapping != NULL && in->ops->read == pagecache_read;
	ssize_t done = 0, r = 0;

	if (!in->readable)
		return -EBADF;
	mutex_lock(&p->lock);
	if (p->readers == 0)
		r = -EPIPE;
	while (r == 0 && (size_t)done < len) {
		if (full(p) && done > 0)
			break;
		r = splice_wait(p, false, nonblock);
		if (r != 0)
			break;
		r = cached ? splice_cache_page(p, in, pos, len - (size_t)done)
		    : splice_read_page(p, in, pos, len - (size_t)done);
		if (r <= 0)
			break;
		done += r;
		if (!cached)
			break;
		r = 0;
	}
	mutex_unlock(&p->lock);
	if (done > 0)
		wake_readers(p);
	if (r == -EPIPE && done == 0)
		no_readers();
	return done > 0 ? done : r;
}

ssize_t
pipe_splice_out(struct file *pipe, struct file *out, loff_t *pos, size_t len, unsigned flags)
{
	struct pipe *p = pipe_of(pipe);
	bool nonblock = (flags & 2) != 0 || (pipe->flags & O_NONBLOCK) != 0, freed = false;
	ssize_t done = 0, r = 0;

	mutex_lock(&p->lock);
	while ((size_t)done < len) {
		struct pipe_buf *b, copy;
		struct uio u;

		if (empty(p) && done > 0)
			break;
		r = splice_wait(p, true, nonblock);
		if (r != 0)
			break;
		b = slot(p, p->head);
		copy = *b;
		/* Taken out, so that the write may block without the lock. */
		if (copy.len > len - (size_t)done) {
			copy.len = (uint32_t)(len - (size_t)done);
			page_get(copy.page);
			b->off += copy.len;
			b->len -= copy.len;
			b->flags &= ~(uint32_t)BUF_OWN;
		} else {
			b->page = NULL;
			p->head++;
			freed = true;
		}
		mutex_unlock(&p->lock);
		uio_kernel(&u, (char *)page_virt(copy.page) + copy.off, copy.len);
		u.rwf = 0;
		r = file_do_write(out, &u, pos);
		page_put(copy.page);
		mutex_lock(&p->lock);
		if (r < 0)
			break;
		done += r;
		if ((size_t)r < copy.len)
			break;
		r = 0;
	}
	mutex_unlock(&p->lock);
	if (freed)
		wake_writers(p);
	if (r == 1)
		r = 0;
	return done > 0 ? done : r;
}

/* splice and tee between two pipes; the lower address is locked first. */
ssize_t
pipe_splice_pipe(struct file *in, struct file *out, size_t len, unsigned flags, bool keep)
{
	struct pipe *a = pipe_of(in), *b = pipe_of(out);
	struct pipe *first = a < b ? a : b, *second = a < b ? b : a;
	bool nonblock = (flags & 2) != 0 || (in->flags & O_NONBLOCK) != 0 || (out->flags & O_NONBLOCK) != 0;
	ssize_t done = 0;
	uint32_t i;
	long r;

	if (a == b)
		return -EINVAL;
	for (;;) {
		mutex_lock(&a->lock);
		r = splice_wait(a, true, nonblock);
		mutex_unlock(&a->lock);
		if (r != 0)
			return r == 1 ? 0 : r;
		mutex_lock(&b->lock);
		r = splice_wait(b, false, nonblock);
		mutex_unlock(&b->lock);
		if (r == -EPIPE)
			no_readers();
		if (r != 0)
			return r;
		mutex_lock(&first->lock);
		mutex_lock(&second->lock);
		if (!empty(a) && !full(b))
			break;
		mutex_unlock(&second->lock);
		mutex_unlock(&first->lock);
	}
	for (i = a->head; i != a->tail && !full(b) && (size_t)done < len; i++) {
		struct pipe_buf *from = slot(a, i);
		uint32_t n = (uint32_t)min((size_t)from->len, len - (size_t)done);

		page_get(from->page);
		*slot(b, b->tail) = (struct pipe_buf){ .page = from->page, .off = from->off, .len = n,
		    .flags = from->flags & BUF_PACKET };
		b->tail++;
		from->flags &= ~(uint32_t)BUF_OWN;
		done += n;
		if (keep)
			continue;
		from->off += n;
		from->len -= n;
		if (from->len == 0) {
			page_put(from->page);
			from->page = NULL;
			a->head++;
		}
	}
	mutex_unlock(&second->lock);
	mutex_unlock(&first->lock);
	wake_readers(b);
	if (!keep)
		wake_writers(a);
	return done;
}

void
pipe_init(void)
{
	static struct fs_type pipefs = { .name = "pipefs", .flags = FS_NODEV };

	pipe_cache = kcache_create("pipe", sizeof(struct pipe), 64);
	pipe_super = super_alloc(&pipefs, PIPEFS_MAGIC);
	if (pipe_cache == NULL || pipe_super == NULL)
		panic("no memory for pipes");
}
