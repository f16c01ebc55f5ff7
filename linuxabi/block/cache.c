/* SPDX-License-Identifier: MIT */
/*
 * The page cache of a medium: one mapping for the whole disk, which partitions
 * share.  A page enters it when it has been read, so what a task finds is ready;
 * pages lie where devices reach them (io.h).
 *
 * Stale contents: what is read from the disk may be overtaken by somebody who changes
 * the disk beside the cache, or by a page that entered meanwhile, was written back and
 * forgotten.  Both raise the `generation` of their stretch of the disk, and a page that
 * was read under another generation does not enter.
 *
 * Lost contents: a page leaves the tree only when it is clean and the tree has the only
 * reference, both seen with mapping.lock held (mapping_forget).  Who writes holds a
 * reference until he has marked the page dirty.
 *
 * What programs do to pages that they map is seen because a page that is going to be written is
 * write-protected first: the next change is a fault again.
 */
#include "internal.h"
#include "../mm/internal.h"
#include "reclaim.h"

enum {
	SCAN_PAGES = 1024,		/* looked at in one go with the lock held */
	RECLAIM_PAGES = 64, RECLAIM_TRIES = 400,	/* with 5 ms between those that help nothing */
	DIRTY_PAGES = 4096,		/* of a medium; more, and who writes waits */
	DIRTY_SHARE = 32,		/* of all memory, if that is less */
};

static struct super *bdev_super;

static uint64_t bytes_to_page(uint64_t bytes) { return bytes >> PAGE_SHIFT; }

/* Of the page at index, as far as the disk goes. */
static uint32_t
page_bytes(const struct blk_medium *m, uint64_t index)
{
	return (uint32_t)min(m->size - (index << PAGE_SHIFT), (uint64_t)PAGE_SIZE);
}

/* mapping.lock is held. */
static uint32_t *
generation_of(struct blk_medium *m, uint64_t index)
{
	return &m->generation[(index >> GENERATION_SHIFT) % GENERATIONS];
}

/* ---- dirty pages; mapping.lock is held ---- */

static void
dirty_add(struct blk_medium *m, struct page *p)
{
	p->private_ = 1;		/* once newer than what may have been read before */
	if (page_state_set(p, PS_DIRTY) & PS_DIRTY)
		return;
	if (m->dirty++ == 0) {
		m->dirty_first = m->dirty_last = p->index;
		m->dirty_since_ns = clock_monotonic();
		blk_kick(m->disk);
	}
	m->dirty_first = min(m->dirty_first, p->index);
	m->dirty_last = max(m->dirty_last, p->index);
}

/* A page that left the mapping belongs to nobody: the medium is gone. */
static void
mark_dirty(struct blk_medium *m, struct page *p)
{
	spin_lock(&m->mapping.lock);
	if (p->mapping == &m->mapping)
		dirty_add(m, p);
	p->flags &= (uint16_t)~PGF_ICACHE;
	spin_unlock(&m->mapping.lock);
}

/* A fault makes it writable for a program. */
static long
cache_dirty(struct mapping *map, struct page *p)
{
	page_state_set(p, PS_SHARED);
	mark_dirty(container_of(map, struct blk_medium, mapping), p);
	return 0;
}

/* Pages enter when they are filled: PS_COLD is all that there can be. */
static long
cache_ready(struct mapping *map, struct page *p)
{
	(void)map;
	page_state_clear(p, PS_COLD);
	return 0;
}

/* mapping.lock is held, and the page leaves. */
static bool
cache_forget(struct mapping *map, struct page *p)
{
	if (p->private_ != 0)
		(*generation_of(container_of(map, struct blk_medium, mapping), p->index))++;
	return true;
}

static struct page *
find_page(struct blk_medium *m, uint64_t index)
{
	struct page *p = mapping_find(&m->mapping, index);

	if (p != NULL && (page_state(p) & PS_COLD) != 0)
		page_state_clear(p, PS_COLD);
	return p;
}

/* Memory is short: what is dirty is not to wait for its time. */
static void
cache_write_back(struct mapping *map)
{
	struct blk_medium *m = container_of(map, struct blk_medium, mapping);

	WRITE_ONCE(m->flush_now, true);
	blk_kick(m->disk);
}

/* ---- dropping ---- */

void
cache_drop(struct blk_medium *m, uint64_t first, uint64_t last)
{
	uint64_t at = bytes_to_page(first);

	for (;;) {
		struct page *p = mapping_next(&m->mapping, &at);

		if (p == NULL)
			return;
		page_put(p);		/* one that is gone by now is not forgotten twice */
		if (at > bytes_to_page(last))
			return;
		mapping_forget(&m->mapping, p);
		at++;
		cond_resched();
	}
}

/* Never writes itself: a fault may be waiting with its mm locked, which write-back wants. */
struct page *
cache_page_alloc(enum need need)
{
	struct page *p = io_page_alloc(0);

	for (unsigned tries = 0; p == NULL && tries < RECLAIM_TRIES && !signal_fatal_pending(current); tries++) {
		if (reclaim_pages(RECLAIM_PAGES) == 0 && need == IF_THERE)
			return NULL;
		p = io_page_alloc(0);
	}
	return p;
}

/* ---- reading ---- */

struct fill {
	struct blk_medium *medium;
	uint64_t first;
	unsigned count;
	struct page *page[FILL_PAGES];	/* NULL: was there */
	bool bad[FILL_PAGES];		/* could not be read */
};

static void
fill_failed(void *arg, uint64_t position, uint64_t bytes, long error)
{
	struct fill *f = arg;

	(void)error;
	for (uint64_t i = bytes_to_page(position); i <= bytes_to_page(position + bytes - 1); i++)
		f->bad[i - f->first] = true;
}

/* What lies behind the disk's end reads as zeros. */
static void
fill_start(struct fill *f, struct blk_op *op, unsigned i)
{
	struct blk_medium *m = f->medium;
	uint64_t index = f->first + i;
	uint32_t bytes = page_bytes(m, index);
	struct page *p = f->page[i];

	if (bytes < PAGE_SIZE)
		memset((char *)page_virt(p) + bytes, 0, PAGE_SIZE - bytes);
	op_page(op, index << PAGE_SHIFT, p, bytes);
}

static bool
is_cached(struct blk_medium *m, uint64_t index)
{
	bool there;

	spin_lock(&m->mapping.lock);
	there = radix_get(&m->mapping.tree, index) != NULL;
	spin_unlock(&m->mapping.lock);
	return there;
}

/* As mapping_insert, if nothing has overtaken it. */
static int
enter(struct blk_medium *m, uint64_t index, struct page *p, const uint32_t *generation)
{
	struct mapping *map = &m->mapping;
	int r = 0;

	spin_lock(&map->lock);
	if (m->gone)
		r = -EIO;
	else if (radix_get(&map->tree, index) != NULL)
		r = -EEXIST;
	else if (generation != NULL && *generation_of(m, index) != *generation)
		r = -EAGAIN;
	else
		r = radix_set(&map->tree, index, p);
	if (r == 0) {
		page_get(p);
		p->mapping = map;
		p->index = index;
		map->page_count++;
	}
	spin_unlock(&map->lock);
	if (r == 0)
		pages_account(PAGES_CACHED, 1);
	return r;
}

/*
 * Bring pages [first, first + count) in, as far as they are missing.  An error is only one if it
 * concerns the first: the rest is read ahead.  0 does not say that a page is there now.
 */
static long
fill_range(struct blk_medium *m, uint64_t first, unsigned count)
{
	struct fill f = { .medium = m, .first = first };
	uint32_t generation[2];		/* a run is no longer than a stretch: it lies in two at most */
	struct blk_op op;
	long r;

	spin_lock(&m->mapping.lock);
	generation[0] = *generation_of(m, first);
	generation[1] = *generation_of(m, first + count - 1);
	spin_unlock(&m->mapping.lock);
	op_begin(&op, m, BLOCK_READ, 0);
	op.failed = fill_failed;
	op.arg = &f;
	for (; f.count < count; f.count++) {
		if (is_cached(m, first + f.count))
			continue;
		f.page[f.count] = cache_page_alloc(f.count == 0 ? BY_ALL_MEANS : IF_THERE);
		if (f.page[f.count] == NULL)
			break;
		fill_start(&f, &op, f.count);
	}
	r = op_end(&op);
	for (unsigned i = 0; i < f.count; i++) {
		if (f.page[i] == NULL)
			continue;
		/* no memory, or somebody was faster: it is looked up again */
		if (!f.bad[i])
			(void)enter(m, first + i, f.page[i],
			    &generation[(first + i) >> GENERATION_SHIFT != first >> GENERATION_SHIFT]);
		page_put(f.page[i]);
	}
	if (f.count == 0)
		return -ENOMEM;
	return f.bad[0] ? r : 0;
}

struct page *
cache_page(struct blk_medium *m, uint64_t index, unsigned ahead)
{
	uint64_t pages = bytes_to_page(m->size + PAGE_SIZE - 1);

	if (index >= pages)
		return ERR_PTR(-EIO);
	ahead = (unsigned)min((uint64_t)ahead, pages - index - 1);
	ahead = min(ahead, (unsigned)FILL_PAGES - 1);
	for (;;) {
		struct page *p = find_page(m, index);
		long r;

		if (p != NULL)
			return p;
		if (READ_ONCE(m->gone))
			return ERR_PTR(-EIO);
		r = fill_range(m, index, 1 + ahead);
		/* one request may have failed for what was only read ahead */
		if (r != 0 && ahead == 0)
			return ERR_PTR(r);
		if (r != 0)
			ahead = 0;
	}
}

static struct page *
cache_get_page(struct mapping *map, uint64_t index, bool create)
{
	(void)create;			/* a disk has no holes */
	return cache_page(container_of(map, struct blk_medium, mapping), index, 0);
}

static const struct mapping_ops cache_ops = {
	.get_page = cache_get_page, .dirty = cache_dirty, .ready = cache_ready, .forget = cache_forget,
	.write_back = cache_write_back,
};

/* ---- writing into it ---- */

static ssize_t
write_into(struct blk_medium *m, struct page *p, size_t at, struct uio *u, size_t bytes)
{
	size_t moved = uio_get(u, (char *)page_virt(p) + at, bytes);

	if (moved != 0)
		mark_dirty(m, p);
	page_put(p);
	return moved != 0 ? (ssize_t)moved : -EFAULT;
}

/* All of a page that is not cached: what the disk has there need not be read. */
static ssize_t
write_new(struct blk_medium *m, uint64_t index, struct uio *u)
{
	struct page *p = cache_page_alloc(BY_ALL_MEANS), *old;
	size_t moved;
	int r;

	if (p == NULL)
		return -ENOMEM;
	moved = uio_get(u, page_virt(p), PAGE_SIZE);
	if (moved == PAGE_SIZE) {
		r = enter(m, index, p, NULL);
		if (r == 0)
			mark_dirty(m, p);
		if (r != -EEXIST) {
			page_put(p);
			return r == 0 ? PAGE_SIZE : r;
		}
	}
	/* a part, or somebody was faster: the bytes are here and go into the page that is there */
	old = moved != 0 ? cache_page(m, index, 0) : ERR_PTR(-EFAULT);
	if (!IS_ERR(old)) {
		memcpy(page_virt(old), page_virt(p), moved);
		mark_dirty(m, old);
		page_put(old);
	}
	page_put(p);
	return IS_ERR(old) ? PTR_ERR(old) : (ssize_t)moved;
}

ssize_t
cache_write(struct blk_medium *m, uint64_t position, struct uio *u, size_t bytes)
{
	uint64_t index = bytes_to_page(position);
	struct page *p;

	if (bytes == PAGE_SIZE) {
		p = find_page(m, index);
		if (p == NULL)
			return write_new(m, index, u);
	} else {
		p = cache_page(m, index, 0);
		if (IS_ERR(p))
			return PTR_ERR(p);
	}
	return write_into(m, p, position & (PAGE_SIZE - 1), u, bytes);
}

void
cache_balance(struct blk_medium *m)
{
	if (READ_ONCE(m->dirty) >= min((uint64_t)DIRTY_PAGES, pages_total() / DIRTY_SHARE))
		cache_flush(m, 0, UINT64_MAX);
}

/* ---- writing it back ---- */

bool
cache_is_newer(struct blk_medium *m, uint64_t first, uint64_t last)
{
	bool dirty;

	spin_lock(&m->mapping.lock);
	dirty = m->writing || (m->dirty != 0 && m->dirty_first <= bytes_to_page(last) && m->dirty_last >= bytes_to_page(first));
	spin_unlock(&m->mapping.lock);
	return dirty;
}

/*
 * The next dirty pages of [*at, last], in order, with references; they are clean but for PS_WRITING
 * then.  *at: where to go on; *more: there is more to look at; *shared: a program may be writing some.
 */
static unsigned
collect(struct blk_medium *m, uint64_t *at, uint64_t last, struct page **out, bool *more, bool *shared)
{
	unsigned n = 0;

	*more = *shared = false;
	spin_lock(&m->mapping.lock);
	if (m->dirty == 0 || *at > m->dirty_last) {
		spin_unlock(&m->mapping.lock);
		return 0;
	}
	*at = max(*at, m->dirty_first);
	last = min(last, m->dirty_last);
	for (unsigned seen = 0; *at <= last; seen++, (*at)++) {
		struct page *p = radix_next(&m->mapping.tree, at);

		if (p == NULL || *at > last)
			break;
		if (n == FLUSH_PAGES || seen == SCAN_PAGES) {
			*more = true;
			break;
		}
		if ((page_state(p) & PS_DIRTY) == 0)
			continue;
		page_get(p);
		out[n++] = p;
		page_state_set(p, PS_WRITING);
		*shared |= (page_state_clear(p, PS_DIRTY | PS_SHARED) & PS_SHARED) != 0;
		if (--m->dirty == 0)
			break;
	}
	m->writing = n != 0;
	spin_unlock(&m->mapping.lock);
	return n;
}

/* All that was collected is on the disk.  What became dirty during a pass of everything is
 * younger than the pass. */
static void
pass_end(struct blk_medium *m, uint64_t first, uint64_t last)
{
	spin_lock(&m->mapping.lock);
	m->writing = false;
	if (m->dirty != 0 && first <= m->dirty_first && last >= m->dirty_last)
		m->dirty_since_ns = clock_monotonic();
	spin_unlock(&m->mapping.lock);
}

static void
write_failed(void *arg, uint64_t position, uint64_t bytes, long error)
{
	struct blk_medium *m = arg;

	klog(LOG_ERR, "%s: error %ld, %lu bytes at sector %lu are lost", m->disk->name, -error,
	    (unsigned long)bytes, (unsigned long)(position / SECTOR));
	medium_write_failed(m, position, bytes);
}

void
cache_flush(struct blk_medium *m, uint64_t first, uint64_t last)
{
	uint64_t at = bytes_to_page(first), end = bytes_to_page(last);
	struct page *pages[FLUSH_PAGES];
	bool more = true;

	if (READ_ONCE(m->dirty) == 0) {
		/* what another pass has taken may be on its way: wait for it */
		mutex_lock(&m->writeback);
		mutex_unlock(&m->writeback);
		return;
	}
	mutex_lock(&m->writeback);
	while (more) {
		bool shared;
		unsigned n = collect(m, &at, end, pages, &more, &shared);
		struct blk_op op;

		if (shared)
			mapping_protect(&m->mapping, pages[0]->index, pages[n - 1]->index);
		op_begin(&op, m, BLOCK_WRITE, 0);
		op.failed = write_failed;
		op.arg = m;
		for (unsigned i = 0; i < n; i++)
			op_page(&op, pages[i]->index << PAGE_SHIFT, pages[i], page_bytes(m, pages[i]->index));
		(void)op_end(&op);
		for (unsigned i = 0; i < n; i++) {
			page_state_clear(pages[i], PS_WRITING);
			page_put(pages[i]);
		}
		cond_resched();
	}
	pass_end(m, bytes_to_page(first), end);
	mutex_unlock(&m->writeback);
}

/* ---- changes beside it ---- */

uint64_t
cache_generation(struct blk_medium *m, uint64_t first, uint64_t last)
{
	uint64_t from = bytes_to_page(first) >> GENERATION_SHIFT, to = bytes_to_page(last) >> GENERATION_SHIFT, sum = 0;

	spin_lock(&m->mapping.lock);
	for (uint64_t i = 0; i <= to - from && i < GENERATIONS; i++)
		sum += m->generation[(from + i) % GENERATIONS];
	spin_unlock(&m->mapping.lock);
	return sum;
}

void
cache_new_generation(struct blk_medium *m, uint64_t first, uint64_t last)
{
	uint64_t from = bytes_to_page(first) >> GENERATION_SHIFT, to = bytes_to_page(last) >> GENERATION_SHIFT;

	spin_lock(&m->mapping.lock);
	for (uint64_t i = 0; i <= to - from && i < GENERATIONS; i++)
		m->generation[(from + i) % GENERATIONS]++;
	spin_unlock(&m->mapping.lock);
}

/*
 * position and bytes may lie anywhere; the new contents are in `from`, which begins
 * at position.  Generation first: from then on only pages with the new contents enter.
 */
void
cache_changed(struct blk_medium *m, uint64_t position, const struct page *from, size_t bytes)
{
	const char *data = from != NULL ? page_virt(from) : NULL;

	while (bytes > 0) {
		size_t at = position & (PAGE_SIZE - 1), n = min(bytes, (size_t)PAGE_SIZE - at);
		struct page *p = find_page(m, bytes_to_page(position));

		if (p != NULL) {
			if (data != NULL)
				memcpy((char *)page_virt(p) + at, data, n);
			else
				memset((char *)page_virt(p) + at, 0, n);
			/* an older state of it may be on its way to the disk right now */
			mark_dirty(m, p);
			page_put(p);
		}
		if (data != NULL)
			data += n;
		position += n;
		bytes -= n;
	}
}

/* ---- life ---- */

/* Reclaim may hold the inode for a moment longer than anybody the medium, and looks at pages' mappings
 * without holding anything. */
static void
cache_evict(struct inode *i)
{
	grace_free(i->private_, NULL);
}

static const struct inode_ops cache_inode_ops = { .evict = cache_evict };

bool
cache_init(struct blk_medium *m)
{
	static struct fs_type bdev_type = { .name = "bdev", .flags = FS_NODEV };

	if (bdev_super == NULL)
		bdev_super = super_alloc(&bdev_type, BDEVFS_MAGIC);
	if (bdev_super == NULL)
		return false;
	m->inode = inode_alloc(bdev_super, S_IFBLK | 0600);
	if (m->inode == NULL)
		return false;
	m->inode->size = m->size;
	mapping_init(&m->mapping, m->inode, &cache_ops);
	m->inode->mapping = &m->mapping;
	m->inode->private_ = m;
	m->inode->ops = &cache_inode_ops;
	mutex_init(&m->writeback, 28);
	return true;
}

/* Whoever maps it gets SIGBUS from now on; what was dirty is lost, and said to be. */
void
cache_gone(struct blk_medium *m)
{
	uint64_t lost;

	spin_lock(&m->mapping.lock);
	WRITE_ONCE(m->gone, true);
	spin_unlock(&m->mapping.lock);
	WRITE_ONCE(m->inode->size, 0);
	mutex_lock(&m->writeback);
	spin_lock(&m->mapping.lock);
	lost = m->dirty;
	spin_unlock(&m->mapping.lock);
	mapping_truncate(&m->mapping, 0, UINT64_MAX);
	mutex_unlock(&m->writeback);
	if (lost == 0)
		return;
	klog(LOG_ERR, "%s: taken away with %lu pages that were not written", m->disk->name, (unsigned long)lost);
	medium_write_failed(m, 0, m->size);
}

/* The medium's memory goes with the last reference on its inode. */
void
cache_destroy(struct blk_medium *m)
{
	mapping_truncate(&m->mapping, 0, UINT64_MAX);
	inode_put(m->inode);
}
