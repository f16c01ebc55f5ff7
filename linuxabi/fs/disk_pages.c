/* SPDX-License-Identifier: MIT */
/*
 * Page cache of files on disks: reading with read-ahead, writing into the
 * cache, sizes, and what needs the server beyond that.
 *
 * A page enters the tree with PS_READING and its contents arrive by DMA; the
 * interrupt that takes the answer clears what lies in holes or behind the end.
 * Beyond what the server has of the file there is nothing to read.  A page that
 * has no block on the disk becomes dirty only after room was set aside for it
 * (FS_RESERVE), so write(2) and page faults are told ENOSPC and write-back is not.
 */
#include <linux/falloc.h>
#include <linux/fiemap.h>
#include "disk.h"
#include "reclaim.h"

enum {
	AHEAD_FIRST = 8, AHEAD_MAX = 512,	/* pages of a read-ahead window */
	PAGE_WAITS = 64, RESERVE_BATCH = 256, DIRECT_ALIGN = 512,
	RECLAIM_PAGES = 64, RECLAIM_TRIES = 2000,	/* of some ms each at worst */
};

static struct waitq page_waits[PAGE_WAITS];

static struct waitq *
page_wait(const struct page *p)
{
	return &page_waits[(uint64_t)p / sizeof(*p) % PAGE_WAITS];
}

/* ---- a page of the pool; reclaim makes room ---- */

static struct page *
page_new(unsigned flags)
{
	struct page *p = io_page_alloc(flags);

	for (unsigned tries = 0; p == NULL && tries < RECLAIM_TRIES && !signal_fatal_pending(current); tries++) {
		reclaim_pages(RECLAIM_PAGES);
		p = io_page_alloc(flags);
	}
	return p;
}

/* ---- reading ---- */

/* Clear [from, to) of the run of pages, in bytes from its start. */
static void
run_clear(struct page **pages, uint64_t from, uint64_t to)
{
	while (from < to) {
		uint64_t in = from & (PAGE_SIZE - 1), n = min(PAGE_SIZE - in, to - from);
		struct page *p = pages[from >> PAGE_SHIFT];

		if (n == PAGE_SIZE)
			page_clear(page_virt(p));
		else
			memset((char *)page_virt(p) + in, 0, n);
		from += n;
	}
}

/* Holes that the answer names; pages with one have no block of their own (or not all of it). */
static void
run_holes(struct disk_call *k, uint64_t length)
{
	const struct fs_hole *h = (const struct fs_hole *)(const void *)k->page;
	unsigned count = min(k->answer.count, (uint32_t)(FS_SLOT_BYTES / sizeof(*h)));

	for (unsigned i = 0; i < count; i++) {
		uint64_t from = h[i].offset, to;

		if (from >= length)
			continue;
		to = from + min(h[i].length, length - from);
		run_clear(k->pages, from, to);
		for (uint64_t n = from >> PAGE_SHIFT; n << PAGE_SHIFT < to; n++)
			page_state_clear(k->pages[n], PS_BLOCK);
	}
}

/* The answer to a FS_READ; in an interrupt. */
static void
read_done(struct disk_call *k)
{
	uint64_t length = (uint64_t)k->page_count << PAGE_SHIFT;
	long got = (long)k->answer.result;

	if (got >= 0 && (uint64_t)got <= length) {
		uint64_t whole = PAGE_UP((uint64_t)got) >> PAGE_SHIFT;

		for (unsigned i = 0; i < k->page_count && i < whole; i++)
			page_state_set(k->pages[i], PS_BLOCK);
		run_holes(k, length);
		run_clear(k->pages, (uint64_t)got, length);
	} else {
		for (unsigned i = 0; i < k->page_count; i++)
			page_state_set(k->pages[i], PS_ERROR);
	}
	/* The contents before the state: partner is page_state of who uses them. */
	for (unsigned i = 0; i < k->page_count; i++) {
		page_state_clear(k->pages[i], PS_READING);
		waitq_wake_all(page_wait(k->pages[i]));
	}
	disk_call_end(k);
}

/* A page for the call's run; false: the run ends here. */
static bool
run_add(struct disk_call *k, struct disk_node *n, uint64_t index, struct page *p)
{
	struct fs_request *q = k->request;
	uint64_t address = io_page_address(p, k->client->window) - IO_WINDOW(k->client->window);
	struct fs_segment *last = q->segments > 0 ? &q->segment[q->segments - 1] : NULL;

	if (last != NULL && last->address + last->bytes == address) {
		last->bytes += PAGE_SIZE;
	} else {
		if (q->segments == FS_SEGMENTS)
			return false;
		q->segment[q->segments++] = (struct fs_segment){ .address = address, .bytes = PAGE_SIZE };
	}
	(void)n, (void)index;
	q->length += PAGE_SIZE;
	return true;
}

/* How many pages from index on are not in the cache, up to count. */
static unsigned
absent_pages(struct mapping *m, uint64_t index, unsigned count)
{
	uint64_t at = index;
	struct page *p = mapping_next(m, &at);

	if (p == NULL)
		return count;
	page_put(p);
	return (unsigned)min((uint64_t)count, at - index);
}

/*
 * Have up to `count` pages from index on read; `wanted`: the first must be, so
 * this waits for a slot and for memory.  The number of pages that are on their way.
 */
static long
read_start(struct disk_node *n, uint64_t index, unsigned count, bool wanted)
{
	struct disk_client *c = disk_of(n->inode->sb)->client;
	struct disk_call *k;

	count = absent_pages(&n->mapping, index, min(count, (unsigned)DISK_RUN));
	if (count == 0)
		return 0;
	k = wanted ? disk_call_begin(c, FS_READ) : disk_call_try(c, FS_READ);
	if (k == NULL)
		return 0;
	k->pages = kmalloc(count * sizeof(k->pages[0]));
	if (k->pages == NULL) {
		disk_call_end(k);
		return -ENOMEM;
	}
	disk_name_inode(k->request, n);
	k->request->offset = index << PAGE_SHIFT;
	k->done = read_done;
	for (unsigned i = 0; i < count; i++) {
		struct page *p = wanted && i == 0 ? page_new(0) : io_page_alloc(0);

		if (p == NULL)
			break;
		p->state = PS_READING;
		if (!run_add(k, n, index + i, p) || mapping_insert(&n->mapping, index + i, p) != 0) {
			/* Somebody else reads it, or the list of segments is full. */
			if (k->request->length >> PAGE_SHIFT > k->page_count) {
				struct fs_segment *last = &k->request->segment[k->request->segments - 1];

				last->bytes -= PAGE_SIZE;
				k->request->segments -= last->bytes == 0;
				k->request->length -= PAGE_SIZE;
			}
			page_put(p);
			break;
		}
		k->pages[k->page_count++] = p;
	}
	if (k->page_count == 0) {
		disk_call_end(k);
		return wanted && absent_pages(&n->mapping, index, 1) != 0 ? -ENOMEM : 0;
	}
	count = k->page_count;
	disk_call_start(k);
	return count;
}

/* Pages of the file that the server may have contents of. */
static uint64_t
server_pages(const struct disk_node *n)
{
	return PAGE_UP(min(READ_ONCE(n->server.size), READ_ONCE(n->inode->size))) >> PAGE_SHIFT;
}

/* The next window from `from` on, without waiting; its first page will ask for the one after. */
static void
ahead_start(struct disk_node *n, uint64_t from)
{
	uint64_t end = server_pages(n);
	unsigned want = n->ahead_pages;
	uint64_t at = from;

	while (want > 0 && at < end) {
		long got = read_start(n, at, (unsigned)min((uint64_t)want, end - at), false);
		struct page *p;

		if (got <= 0)
			break;
		if (at == from && (p = mapping_find(&n->mapping, at)) != NULL) {
			page_state_set(p, PS_AHEAD);
			page_put(p);
		}
		at += (uint64_t)got;
		want -= (unsigned)got;
	}
	n->ahead_end = at;
}

/* A page that is not there is wanted: in a row, with more and more behind it. */
static long
read_missing(struct disk_node *n, uint64_t index)
{
	uint64_t end = server_pages(n);
	bool row = index == n->ahead_next || index == 0 || (index <= n->ahead_end && index + 1 >= n->ahead_next);
	long got;

	/* read at random: one page, and who reads in a row beside it is not disturbed */
	if (current->file_access == FADV_RANDOM) {
		got = read_start(n, index, 1, true);
		return got < 0 ? got : 0;
	}
	if (row && current->file_access == FADV_SEQUENTIAL)
		n->ahead_pages = AHEAD_MAX;
	n->ahead_pages = row ? min(max(n->ahead_pages * 2, (unsigned)AHEAD_FIRST), (unsigned)AHEAD_MAX) : 1;
	got = read_start(n, index, (unsigned)min((uint64_t)n->ahead_pages, end - index), true);
	if (got > 0) {
		n->ahead_next = index + (uint64_t)got;
		n->ahead_end = n->ahead_next;
		if (row)
			ahead_start(n, n->ahead_next);
	}
	return got < 0 ? got : 0;
}

/* 0: ready.  -EAGAIN: it went away.  -EIO: it could not be read (and went away). */
static long
disk_ready(struct mapping *m, struct page *p)
{
	struct disk_node *n = mapping_node(m);
	uint32_t s = page_state(p);
	bool waited = false;

	if (s & PS_COLD)
		page_state_clear(p, PS_COLD);
	if ((s & PS_AHEAD) && current->file_access != FADV_RANDOM && (page_state_clear(p, PS_AHEAD) & PS_AHEAD)) {
		n->ahead_pages = min(max(n->ahead_pages * 2, (unsigned)AHEAD_FIRST), (unsigned)AHEAD_MAX);
		n->ahead_next = n->ahead_end;
		ahead_start(n, n->ahead_end);
	}
	if (page_state(p) & PS_READING) {
		waited = true;
		wait_event(page_wait(p), (page_state(p) & PS_READING) == 0);
	}
	if ((page_state(p) & PS_ERROR) == 0)
		return 0;
	mapping_remove(m, p);
	return waited ? -EIO : -EAGAIN;
}

/* A page of zeros where the disk has nothing. */
static struct page *
page_of_zeros(struct mapping *m, uint64_t index)
{
	struct page *p = page_new(PG_ZERO);
	int r;

	if (p == NULL)
		return ERR_PTR(-ENOMEM);
	r = mapping_insert(m, index, p);
	if (r == 0)
		return p;
	page_put(p);
	return ERR_PTR(r == -EEXIST ? -EAGAIN : r);
}

static struct page *
disk_get_page(struct mapping *m, uint64_t index, bool create)
{
	struct disk_node *n = mapping_node(m);

	for (;;) {
		struct page *p = mapping_find(m, index);
		long r;

		if (p != NULL) {
			r = page_state(p) & PS_CARE ? disk_ready(m, p) : 0;
			if (r == 0)
				return p;
			page_put(p);
			if (r != -EAGAIN)
				return ERR_PTR(r);
			continue;
		}
		if (index >= server_pages(n)) {
			if (!create)
				return NULL;
			p = page_of_zeros(m, index);
			if (!IS_ERR(p) || PTR_ERR(p) != -EAGAIN)
				return p;
			continue;
		}
		r = read_missing(n, index);
		if (r < 0)
			return ERR_PTR(r);
	}
}

/* ---- room on the disk ---- */

static bool
pool_take(struct disk *d, uint64_t blocks)
{
	bool enough;

	spin_lock(&d->lock);
	enough = d->pool >= blocks;
	if (enough) {
		d->pool -= blocks;
		d->promised += blocks;
	}
	spin_unlock(&d->lock);
	return enough;
}

/* Ask for more; what is granted goes into the pool. */
static long
pool_fill(struct disk *d, uint64_t blocks)
{
	struct disk_call *k = disk_call_begin(d->client, FS_RESERVE);
	long r;

	k->request->length = blocks;
	r = disk_call_finish(k);
	disk_call_end(k);
	if (r <= 0)
		return r < 0 ? r : -ENOSPC;
	spin_lock(&d->lock);
	d->pool += min((uint64_t)r, blocks);
	spin_unlock(&d->lock);
	return 0;
}

/* may_flush: no mm->lock is held, so that write-back may go on and give room back. */
static long
disk_reserve(struct disk *d, unsigned pages, bool may_flush)
{
	uint64_t blocks = (uint64_t)pages * d->page_blocks;
	bool small = false, flushed = false;

	while (!pool_take(d, blocks)) {
		long r = pool_fill(d, small ? blocks : max(blocks, (uint64_t)RESERVE_BATCH * d->page_blocks));

		if (r == 0)
			continue;
		if (r != -ENOSPC)
			return r;
		if (!small) {
			small = true;
			continue;
		}
		if (flushed || !may_flush)
			return -ENOSPC;
		flushed = true;
		if (!disk_make_room(d))
			return -ENOSPC;
	}
	return 0;
}

static void
disk_unreserve(struct disk *d, unsigned pages)
{
	uint64_t blocks = (uint64_t)pages * d->page_blocks;

	spin_lock(&d->lock);
	blocks = min(blocks, d->promised);
	d->promised -= blocks;
	d->pool += blocks;
	spin_unlock(&d->lock);
}

void
disk_node_blocks(struct disk_node *n)
{
	uint64_t promised = __atomic_load_n(&n->promised_pages, __ATOMIC_RELAXED);

	WRITE_ONCE(n->inode->blocks, READ_ONCE(n->server.blocks) + promised * (PAGE_SIZE / 512));
}

void
disk_page_unreserve(struct disk_node *n, struct page *p)
{
	if ((page_state_clear(p, PS_RESERVED) & PS_RESERVED) == 0)
		return;
	__atomic_fetch_sub(&n->promised_pages, 1, __ATOMIC_RELAXED);
	disk_unreserve(disk_of(n->inode->sb), 1);
	disk_node_blocks(n);
}

/* Room for what the page will hold, unless it has its block or its promise. */
static long
page_reserve(struct disk_node *n, struct page *p, bool may_flush)
{
	struct disk *d = disk_of(n->inode->sb);
	long r;

	if (page_state(p) & (PS_BLOCK | PS_RESERVED))
		return 0;
	r = disk_reserve(d, 1, may_flush);
	if (r < 0)
		return r;
	if (page_state_set(p, PS_RESERVED) & PS_RESERVED) {
		disk_unreserve(d, 1);
		return 0;
	}
	__atomic_fetch_add(&n->promised_pages, 1, __ATOMIC_RELAXED);
	disk_node_blocks(n);
	return 0;
}

/* ---- writing ---- */

/* Does the write leave nothing of the page's old contents, or are there none? */
static bool
replaces_page(const struct disk_node *n, uint64_t index, unsigned from, unsigned len)
{
	return (from == 0 && (len == PAGE_SIZE || (index << PAGE_SHIFT) + len >= n->inode->size)) || index >= server_pages(n);
}

static struct page *
disk_write_begin(struct mapping *m, uint64_t index, unsigned from, unsigned len)
{
	struct disk_node *n = mapping_node(m);
	struct page *p = mapping_find(m, index);
	long r;

	if (p == NULL && replaces_page(n, index, from, len)) {
		/* It enters the tree when it is complete: write_end. */
		p = page_new(len == PAGE_SIZE ? 0 : PG_ZERO);
		if (p == NULL)
			return ERR_PTR(-ENOMEM);
	} else if (p == NULL || (page_state(p) & PS_CARE)) {
		if (p != NULL)
			page_put(p);
		p = disk_get_page(m, index, true);
		if (IS_ERR(p))
			return p;
	}
	if (page_state(p) & (PS_BLOCK | PS_RESERVED))
		return p;
	r = page_reserve(n, p, true);
	if (r == 0)
		return p;
	page_put(p);
	return ERR_PTR(r);
}

/* A new page that never got into the tree gives its room back. */
static void
page_discard(struct disk_node *n, struct page *p)
{
	disk_page_unreserve(n, p);
	page_put(p);
}

/* The new page cannot go into the tree: a reader was faster, or the copy is short. */
static ssize_t
write_over(struct disk_node *n, struct page *new, uint64_t index, unsigned from, unsigned copied)
{
	struct page *p = disk_get_page(&n->mapping, index, true);
	long r = IS_ERR(p) ? PTR_ERR(p) : page_reserve(n, p, true);

	if (r == 0) {
		memcpy((char *)page_virt(p) + from, (char *)page_virt(new) + from, copied);
		p->flags &= (uint16_t)~PGF_ICACHE;
		if ((index << PAGE_SHIFT) + from + copied > n->inode->size)
			WRITE_ONCE(n->inode->size, (index << PAGE_SHIFT) + from + copied);
		disk_page_dirty(n, p);
	}
	if (!IS_ERR(p))
		page_put(p);
	page_discard(n, new);
	return r < 0 ? r : (ssize_t)copied;
}

static ssize_t
disk_write_end(struct mapping *m, struct page *p, uint64_t index, unsigned from, unsigned copied)
{
	struct disk_node *n = mapping_node(m);

	if (p->mapping == NULL) {
		/* Short copies of a page that is not cleared, or that has contents on the disk. */
		bool complete = copied == PAGE_SIZE || index >= server_pages(n) ||
		    (from == 0 && (index << PAGE_SHIFT) + copied >= n->inode->size);

		if (copied == 0) {
			page_discard(n, p);
			return 0;
		}
		if (!complete)
			return write_over(n, p, index, from, copied);
		if (from + copied < PAGE_SIZE)
			memset((char *)page_virt(p) + from + copied, 0, PAGE_SIZE - from - copied);
		int r = mapping_insert(m, index, p);
		if (r == -EEXIST)
			return write_over(n, p, index, from, copied);
		if (r != 0) {
			page_discard(n, p);
			return r;
		}
	} else if (copied == 0) {
		page_put(p);
		return 0;
	}
	if (p->flags & PGF_ICACHE)
		p->flags &= (uint16_t)~PGF_ICACHE;
	/* Before it is dirty: write-back takes what lies behind the end for nothing. */
	if ((index << PAGE_SHIFT) + from + copied > n->inode->size)
		WRITE_ONCE(n->inode->size, (index << PAGE_SHIFT) + from + copied);
	if ((page_state(p) & PS_DIRTY) == 0) {
		disk_page_dirty(n, p);
		page_put(p);
		disk_throttle(disk_of(n->inode->sb));
	} else {
		page_put(p);
	}
	return (ssize_t)copied;
}

/* A shared mapping is about to write it. */
static long
disk_dirty(struct mapping *m, struct page *p)
{
	struct disk_node *n = mapping_node(m);
	long r = page_reserve(n, p, false);

	if (r < 0)
		return r;
	page_state_set(p, PS_SHARED);
	inode_touch_modified(n->inode);		/* before write-back can tell the server */
	if (disk_page_dirty(n, p))
		return 0;
	/* It was cut off just now. */
	disk_page_unreserve(n, p);
	return -EIO;
}

/* mapping->lock is held.  What the server has not committed is ours to keep. */
static bool
disk_forget(struct mapping *m, struct page *p)
{
	return p->private_ <= disk_committed(disk_of(m->inode->sb)->client);
}

static void
disk_gone(struct mapping *m, struct page *p)
{
	struct disk_node *n = mapping_node(m);
	struct disk *d = disk_of(n->inode->sb);
	uint32_t s;

	spin_lock(&d->lock);
	s = page_state_clear(p, PS_DIRTY);
	if (s & PS_DIRTY) {
		list_del(&p->lru);
		n->dirty_count--;
		d->dirty_pages--;
	}
	WRITE_ONCE(p->mapping, NULL);
	spin_unlock(&d->lock);
	disk_page_unreserve(n, p);
}

static void
disk_write_back(struct mapping *m)
{
	struct disk *d = disk_of(m->inode->sb);

	WRITE_ONCE(d->commit_now, true);
	WRITE_ONCE(d->flush_now, true);
	waitq_wake_all(&d->flusher_wait);
}

const struct mapping_ops disk_mapping_ops = {
	.get_page = disk_get_page, .ready = disk_ready, .dirty = disk_dirty,
	.write_begin = disk_write_begin, .write_end = disk_write_end,
	.gone = disk_gone, .forget = disk_forget, .write_back = disk_write_back,
};

/* ---- files ---- */

/* The first look at errors that are not this descriptor's. */
static long
file_opened(struct inode *i, struct file *f)
{
	f->private_ = (void *)READ_ONCE(disk_node(i)->error_seq);
	return 0;
}

static bool
direct_aligned(const struct uio *u, loff_t pos)
{
	uint64_t bits = (uint64_t)pos | u->resid;

	for (unsigned i = 0; i < u->count; i++)
		bits |= u->iov[i].base | u->iov[i].len;
	return (bits & (DIRECT_ALIGN - 1)) == 0;
}

/* O_DIRECT goes through lent pages as well: no program's memory is within a device's reach. */
static ssize_t
disk_read(struct file *f, struct uio *u, loff_t *pos)
{
	ssize_t r;

	if (unlikely(f->flags & O_DIRECT) && !direct_aligned(u, *pos))
		return -EINVAL;
	if (likely(READ_ONCE(f->access) == FADV_NORMAL))
		return pagecache_read(f, u, pos);
	current->file_access = READ_ONCE(f->access);
	r = pagecache_read(f, u, pos);
	current->file_access = FADV_NORMAL;
	return r;
}

/* What a synchronous write promises holds when it returns. */
static long
write_through(struct file *f, uint32_t rwf, ssize_t written)
{
	bool sync = (f->flags & O_SYNC) == O_SYNC || (rwf & RWF_SYNC) != 0;
	bool dsync = sync || (f->flags & O_DSYNC) != 0 || (rwf & RWF_DSYNC) != 0;

	if (written <= 0)
		return 0;
	if (dsync)
		return disk_fsync(f, !sync);
	if (f->flags & O_DIRECT) {
		disk_flush_node(disk_node(f->inode));
		return disk_error_seen(f);
	}
	return 0;
}

static ssize_t
disk_write(struct file *f, struct uio *u, loff_t *pos)
{
	uint32_t rwf = u->rwf;
	ssize_t r;
	long e;

	if (unlikely(f->flags & O_DIRECT) && !direct_aligned(u, *pos))
		return -EINVAL;
	r = pagecache_write(f, u, pos);
	/* A write by others took bits of the mode away: not only in our memory. */
	if (r > 0 && unlikely(f->inode->mode != disk_node(f->inode)->server.mode))
		disk_push_attributes(f->inode);
	e = write_through(f, rwf, r);
	return e < 0 ? e : r;
}

static loff_t
disk_seek(struct file *f, loff_t off, int whence)
{
	struct inode *i = f->inode;
	struct disk_call *k;
	long r;

	if (whence != 3 && whence != 4)
		return generic_seek(f, off, whence, i->size);
	if (off < 0 || (uint64_t)off >= READ_ONCE(i->size))
		return -ENXIO;
	/* The server knows of data when they are written. */
	disk_flush_node(disk_node(i));
	k = disk_call_begin(disk_of(i->sb)->client, FS_SEEK);
	disk_name_inode(k->request, disk_node(i));
	k->request->offset = (uint64_t)off;
	k->request->flags = (uint32_t)whence;
	r = disk_call_finish(k);
	disk_call_end(k);
	if (r >= 0)
		f->pos = r;
	return r;
}

/* Bytes [from, to) of one cached page become zero, and are written so. */
static void
zero_cached(struct disk_node *n, uint64_t from, uint64_t to)
{
	struct page *p = from < to ? mapping_find(&n->mapping, from >> PAGE_SHIFT) : NULL;

	if (p == NULL)
		return;
	if ((page_state(p) & PS_CARE) == 0 || disk_ready(&n->mapping, p) == 0) {
		memset((char *)page_virt(p) + (from & (PAGE_SIZE - 1)), 0, to - from);
		p->flags &= (uint16_t)~PGF_ICACHE;
	}
	page_put(p);
}

/*
 * node->flush is held, so that no write on its way names what is cut off, and
 * none is begun.  The server clears the rest of the last block on the disk.
 */
static long
size_change(struct inode *i, uint64_t size)
{
	struct disk_node *n = disk_node(i);
	uint64_t old = i->size;
	struct disk_call *k;
	long r;

	WRITE_ONCE(i->size, size);
	if (size < old) {
		zero_cached(n, size, PAGE_UP(size));
		mapping_truncate(&n->mapping, PAGE_UP(size) >> PAGE_SHIFT, UINT64_MAX);
	}
	k = disk_call_begin(disk_of(i->sb)->client, FS_SETATTR);
	disk_name_inode(k->request, n);
	k->request->valid = FS_SET_SIZE;
	k->request->size = size;
	r = disk_call_finish(k);
	if (r >= 0) {
		disk_node_update(n, &k->answer);
		WRITE_ONCE(n->server.size, size);
	} else {
		/* It has what it had, but for what was only in our cache. */
		WRITE_ONCE(i->size, size > old ? old : max(size, min(old, n->server.size)));
	}
	disk_call_end(k);
	return r < 0 ? r : 0;
}

long
disk_set_size(struct inode *i, uint64_t size)
{
	struct disk_node *n = disk_node(i);
	long r;

	if (size == i->size && size == n->server.size)
		return 0;
	mutex_lock(&n->flush);
	r = size_change(i, size);
	mutex_unlock(&n->flush);
	return r;
}

/* ---- fallocate ---- */

static void
range_forget(struct disk_node *n, uint64_t from, uint64_t to)
{
	uint64_t first = PAGE_UP(from), last = PAGE_DOWN(to);

	if (first > last) {
		zero_cached(n, from, to);
		return;
	}
	zero_cached(n, from, first);
	zero_cached(n, last, to);
	if (first < last)
		mapping_truncate(&n->mapping, first >> PAGE_SHIFT, (last >> PAGE_SHIFT) - 1);
}

static long
fallocate_call(struct inode *i, int mode, uint64_t off, uint64_t len)
{
	struct disk_call *k = disk_call_begin(disk_of(i->sb)->client, FS_FALLOCATE);
	long r;

	disk_name_inode(k->request, disk_node(i));
	k->request->flags = (uint32_t)mode;
	k->request->offset = off;
	k->request->length = len;
	r = disk_call_finish(k);
	if (r >= 0) {
		disk_node_update(disk_node(i), &k->answer);
		WRITE_ONCE(disk_node(i)->server.size, k->answer.attributes.size);
	}
	disk_call_end(k);
	return r < 0 ? r : 0;
}

static long
commit_node(struct inode *i)
{
	struct disk_call *k = disk_call_begin(disk_of(i->sb)->client, FS_FSYNC);
	long r;

	disk_name_inode(k->request, disk_node(i));
	r = disk_call_finish(k);
	disk_call_end(k);
	return r < 0 ? r : 0;
}

/*
 * A range goes or comes, and all that is behind it moves.  What was written there is committed first: a new
 * server could only be told where it was.  And the size that a new server is told is the smaller one, since the
 * old one may have done it.  node->flush is held.
 */
static long
move_rest(struct inode *i, int mode, uint64_t off, uint64_t len)
{
	struct disk_node *n = disk_node(i);
	uint64_t old = i->size, size = mode == FALLOC_FL_COLLAPSE_RANGE ? old - len : old + len;
	long r = disk_flush_locked(n);

	if (r == 0)
		r = commit_node(i);
	if (r != 0)
		return r;
	if (size < old) {
		WRITE_ONCE(i->size, size);
		WRITE_ONCE(n->server.size, size);
	}
	mapping_truncate(&n->mapping, off >> PAGE_SHIFT, UINT64_MAX);
	r = fallocate_call(i, mode, off, len);
	if (r == 0) {
		WRITE_ONCE(i->size, size);
	} else {
		WRITE_ONCE(n->server.size, old);
		WRITE_ONCE(i->size, old);
	}
	/* who read meanwhile may have read what was there before */
	mapping_truncate(&n->mapping, off >> PAGE_SHIFT, UINT64_MAX);
	return r;
}

static long
check_move(struct inode *i, int mode, uint64_t off, uint64_t len)
{
	uint32_t block = disk_of(i->sb)->client->channel->block_size;

	if (((off | len) & (block - 1)) != 0 || off >= i->size)
		return -EINVAL;
	if (mode == FALLOC_FL_COLLAPSE_RANGE)
		return len >= i->size - off ? -EINVAL : 0;
	return len > (uint64_t)INT64_MAX - i->size || i->size + len > rlimit(RLIMIT_FSIZE) ? -EFBIG : 0;
}

static long
disk_move_range(struct inode *i, int mode, uint64_t off, uint64_t len)
{
	struct disk_node *n = disk_node(i);
	long r;

	mutex_lock(&i->lock);
	r = check_move(i, mode, off, len);
	if (r == 0) {
		mutex_lock(&n->flush);
		r = move_rest(i, mode, off, len);
		mutex_unlock(&n->flush);
	}
	if (r == 0)
		inode_touch_modified(i);
	mutex_unlock(&i->lock);
	return r;
}

static long
disk_fallocate(struct file *f, int mode, loff_t off, loff_t len)
{
	struct inode *i = f->inode;
	struct disk_node *n = disk_node(i);
	uint64_t to = (uint64_t)(off + len);
	bool grows = (mode & FALLOC_FL_KEEP_SIZE) == 0 && to > i->size;
	long r;

	if (mode == FALLOC_FL_COLLAPSE_RANGE || mode == FALLOC_FL_INSERT_RANGE)
		return disk_move_range(i, mode, (uint64_t)off, (uint64_t)len);
	if ((mode & ~(FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE | FALLOC_FL_ZERO_RANGE)) != 0)
		return -EOPNOTSUPP;
	mutex_lock(&i->lock);
	if (grows && to > rlimit(RLIMIT_FSIZE)) {
		mutex_unlock(&i->lock);
		return -EFBIG;
	}
	mutex_lock(&n->flush);
	r = disk_flush_locked(n);
	if (r == 0 && (mode & (FALLOC_FL_PUNCH_HOLE | FALLOC_FL_ZERO_RANGE)))
		range_forget(n, (uint64_t)off, min(to, PAGE_UP(i->size)));
	if (r == 0)
		r = fallocate_call(i, mode, (uint64_t)off, (uint64_t)len);
	if (r == 0 && grows)
		WRITE_ONCE(i->size, to);
	if (r == 0)
		inode_touch_modified(i);
	mutex_unlock(&n->flush);
	mutex_unlock(&i->lock);
	return r;
}

/* ---- advice ---- */

/* What is not there is asked for as far as slots and memory are to be had at once; at most half of what is free. */
static void
advise_willneed(struct disk_node *n, uint64_t first, uint64_t end)
{
	end = min(end, server_pages(n));
	if (first < end)
		end = min(end, first + pages_free_count() / 2);
	while (first < end) {
		struct page *p = mapping_find(&n->mapping, first);
		long got = 1;

		if (p != NULL)
			page_put(p);
		else
			got = read_start(n, first, (unsigned)min(end - first, (uint64_t)DISK_RUN), false);
		if (got <= 0)
			return;
		first += (uint64_t)got;
	}
}

/* Whole pages, if they are clean, stable and in no use.  Dirty ones are written soon, as on Linux. */
static void
advise_dontneed(struct disk_node *n, uint64_t first, uint64_t end)
{
	if (READ_ONCE(n->dirty_count) != 0)
		disk_write_back(&n->mapping);
	for (uint64_t at = first;; at++) {
		struct page *p = mapping_next(&n->mapping, &at);

		if (p == NULL)
			return;
		page_put(p);		/* one that is gone by now is not forgotten twice */
		if (at >= end)
			return;
		mapping_forget(&n->mapping, p);
		cond_resched();
	}
}

static void
disk_advise(struct file *f, uint64_t from, uint64_t to, int advice)
{
	struct disk_node *n = disk_node(f->inode);

	switch (advice) {
	case FADV_WILLNEED:
		advise_willneed(n, from >> PAGE_SHIFT, PAGE_UP(to) >> PAGE_SHIFT);
		break;
	case FADV_DONTNEED:
		/* the last page of the file is whole even if the file ends in it */
		if (to >= f->inode->size)
			to = PAGE_UP(f->inode->size);
		advise_dontneed(n, PAGE_UP(from) >> PAGE_SHIFT, to >> PAGE_SHIFT);
		break;
	default:
		break;
	}
}

/* ---- ioctl: where it lies, and flags ---- */

enum { EXTENT_BATCH = FS_SLOT_BYTES / sizeof(struct fs_extent) };

static long
fiemap_call(struct inode *i, uint64_t off, uint64_t len, struct fs_extent *out, unsigned *count)
{
	struct disk_call *k = disk_call_begin(disk_of(i->sb)->client, FS_EXTENTS);
	long r;

	disk_name_inode(k->request, disk_node(i));
	k->request->offset = off;
	k->request->length = len;
	r = disk_call_finish(k);
	*count = r < 0 ? 0 : min(k->answer.count, (uint32_t)EXTENT_BATCH);
	memcpy(out, k->page, *count * sizeof(*out));
	disk_call_end(k);
	return r < 0 ? r : 0;
}

static long
fiemap_fill(struct inode *i, struct fiemap *fm, uaddr_t user, struct fs_extent *batch)
{
	uint64_t at = fm->fm_start, end = fm->fm_length > UINT64_MAX - at ? UINT64_MAX : at + fm->fm_length;
	unsigned count;
	long r;

	do {
		r = fiemap_call(i, at, end - at, batch, &count);
		for (unsigned n = 0; n < count && r == 0; n++) {
			struct fiemap_extent e = { .fe_logical = batch[n].offset, .fe_physical = batch[n].physical,
			    .fe_length = batch[n].length, .fe_flags = batch[n].flags };

			if (batch[n].length == 0)
				return -EUCLEAN;
			at = batch[n].offset + batch[n].length;
			if (fm->fm_extent_count == 0) {
				fm->fm_mapped_extents++;
				continue;
			}
			if (fm->fm_mapped_extents == fm->fm_extent_count)
				return 0;
			r = copy_to_user(user + sizeof(*fm) + fm->fm_mapped_extents * sizeof(e), &e, sizeof(e));
			fm->fm_mapped_extents++;
		}
	} while (r == 0 && count > 0 && at < end);
	return r;
}

static long
ioctl_fiemap(struct inode *i, uaddr_t user)
{
	struct fs_extent *batch;
	struct fiemap fm;
	long r;

	if (copy_from_user(&fm, user, sizeof(fm)) < 0)
		return -EFAULT;
	if (fm.fm_length == 0)
		return -EINVAL;
	if (fm.fm_flags & ~(uint32_t)FIEMAP_FLAG_SYNC) {
		fm.fm_flags &= ~(uint32_t)FIEMAP_FLAG_SYNC;
		return copy_to_user(user, &fm, sizeof(fm)) < 0 ? -EFAULT : -EBADR;
	}
	batch = kmalloc(EXTENT_BATCH * sizeof(*batch));
	if (batch == NULL)
		return -ENOMEM;
	disk_flush_node(disk_node(i));
	fm.fm_mapped_extents = 0;
	r = fiemap_fill(i, &fm, user, batch);
	kfree(batch);
	return r < 0 ? r : copy_to_user(user, &fm, sizeof(fm));
}

/* FITRIM: step by step, so that a kill ends it.  What Linux refuses the server does, but for the right to ask. */
static long
ioctl_trim(struct file *f, uaddr_t user)
{
	struct disk_client *c = disk_of(f->inode->sb)->client;
	struct fstrim_range range;
	uint64_t at, end, done = 0, next;
	long r;

	if (!capable(CAP_SYS_ADMIN))
		return -EPERM;
	if (copy_from_user(&range, user, sizeof(range)) != 0)
		return -EFAULT;
	end = range.len > UINT64_MAX - range.start ? UINT64_MAX : range.start + range.len;
	for (at = range.start; ; at = next) {
		struct disk_call *k = disk_call_begin(c, FS_TRIM);

		k->request->offset = at;
		k->request->length = end - at;
		k->request->size = range.minlen;
		r = disk_call_finish(k);
		next = k->answer.made;
		disk_call_end(k);
		if (r < 0)
			return r;
		done += (uint64_t)r;
		if (next <= at || next >= end)
			break;
		if (signal_fatal_pending(current))
			return -EINTR;
	}
	range.len = done;
	return copy_to_user(user, &range, sizeof(range)) != 0 ? -EFAULT : 0;
}

static long
ioctl_setflags(struct file *f, uaddr_t user)
{
	struct inode *i = f->inode;
	struct disk_call *k;
	uint32_t flags;
	long r;

	if (get_user_u32(&flags, user) < 0)
		return -EFAULT;
	if (!inode_owner_or_capable(i))
		return -EPERM;
	if (mount_want_write(f->path.mnt) < 0)
		return -EROFS;
	mutex_lock(&i->lock);
	k = disk_call_begin(disk_of(i->sb)->client, FS_SETATTR);
	disk_name_inode(k->request, disk_node(i));
	k->request->valid = FS_SET_FLAGS | FS_SET_CTIME;
	k->request->size = flags;
	r = disk_call_finish(k);
	if (r >= 0)
		disk_node_update(disk_node(i), &k->answer);
	disk_call_end(k);
	mutex_unlock(&i->lock);
	return r < 0 ? r : 0;
}

long
disk_ioctl(struct file *f, unsigned cmd, uint64_t arg)
{
	switch (cmd) {
	case FS_IOC_GETFLAGS:
		return put_user_u32(arg, disk_node(f->inode)->server.flags);
	case FS_IOC_SETFLAGS:
		return ioctl_setflags(f, arg);
	case FS_IOC_FIEMAP:
		return is_type(f->inode, S_IFREG) ? ioctl_fiemap(f->inode, arg) : -EOPNOTSUPP;
	case FITRIM:
		return ioctl_trim(f, arg);
	case FIGETBSZ:
		return put_user_u32(arg, disk_of(f->inode->sb)->client->channel->block_size);
	default:
		return -ENOTTY;
	}
}

const struct file_ops disk_file_ops = {
	.open = file_opened, .read = disk_read, .write = disk_write, .seek = disk_seek, .fsync = disk_fsync,
	.fallocate = disk_fallocate, .ioctl = disk_ioctl, .advise = disk_advise, .write_range = disk_write_range,
};

void
disk_pages_init(void)
{
	for (unsigned i = 0; i < PAGE_WAITS; i++)
		waitq_init(&page_waits[i]);
}
