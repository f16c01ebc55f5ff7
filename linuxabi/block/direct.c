/* SPDX-License-Identifier: MIT */
/*
 * Input and output beside the cache: O_DIRECT, zeroing, discarding.  A program's own pages
 * are never within a device's reach, so the data pass through pages that are.
 *
 * The cache stays right: what is dirty in it, or under way, reaches the disk before a
 * direct read, and a direct write changes the pages that are cached.
 */
#include "internal.h"

struct bounce {
	struct page *page[DIRECT_PAGES];
	unsigned count;
};

static size_t piece(size_t bytes, unsigned i) { return min(bytes - (size_t)i * PAGE_SIZE, (size_t)PAGE_SIZE); }

/* As many pages as there are; at least one or -ENOMEM. */
static long
bounce_get(struct bounce *b, size_t bytes)
{
	unsigned want = (unsigned)(min(PAGE_UP(bytes), (uint64_t)DIRECT_PAGES * PAGE_SIZE) >> PAGE_SHIFT);

	b->count = 0;
	while (b->count < want) {
		struct page *p = cache_page_alloc(b->count == 0 ? BY_ALL_MEANS : IF_THERE);

		if (p == NULL)
			break;
		b->page[b->count++] = p;
	}
	return b->count != 0 ? 0 : -ENOMEM;
}

static void
bounce_put(struct bounce *b)
{
	while (b->count > 0)
		page_put(b->page[--b->count]);
}

static long
bounce_move(struct blk_medium *m, struct bounce *b, uint64_t position, size_t bytes, unsigned kind)
{
	struct blk_op op;

	op_begin(&op, m, kind, 0);
	for (unsigned i = 0; (size_t)i * PAGE_SIZE < bytes; i++)
		op_page(&op, position + (uint64_t)i * PAGE_SIZE, b->page[i], (uint32_t)piece(bytes, i));
	return op_end(&op);
}

static ssize_t
read_piece(struct blk_medium *m, struct bounce *b, struct uio *u, uint64_t position, size_t bytes)
{
	size_t done = 0;
	long r;

	if (cache_is_newer(m, position, position + bytes - 1))
		cache_flush(m, position, position + bytes - 1);
	r = bounce_move(m, b, position, bytes, BLOCK_READ);
	if (r != 0)
		return r;
	for (unsigned i = 0; done < bytes; i++) {
		size_t n = piece(bytes, i), moved = uio_put(u, page_virt(b->page[i]), n);

		done += moved;
		if (moved < n)
			return done != 0 ? (ssize_t)done : -EFAULT;
	}
	return (ssize_t)done;
}

/* Pages of the range that are cached get the new contents. */
static void
written_beside(struct blk_medium *m, struct bounce *b, uint64_t position, size_t bytes)
{
	cache_new_generation(m, position, position + bytes - 1);
	for (unsigned i = 0; (size_t)i * PAGE_SIZE < bytes; i++)
		cache_changed(m, position + (uint64_t)i * PAGE_SIZE, b->page[i], piece(bytes, i));
}

/*
 * A page of the range that somebody writes back meanwhile, with what it had before, may reach the
 * disk after us.  If it is still cached it gets the new contents and goes once more.  If
 * it was forgotten, the generation tells; then we go once more, with no write-back under way.
 * What failed may be on the disk in part, so the cache is changed then, too.
 */
static long
write_range(struct blk_medium *m, struct bounce *b, uint64_t position, size_t bytes)
{
	uint64_t last = position + bytes - 1;
	uint64_t before = cache_generation(m, position, last);
	long r;

	if (cache_is_newer(m, position, last))
		cache_flush(m, position, last);
	r = bounce_move(m, b, position, bytes, BLOCK_WRITE);
	if (cache_generation(m, position, last) != before) {
		mutex_lock(&m->writeback);
		r = bounce_move(m, b, position, bytes, BLOCK_WRITE);
		written_beside(m, b, position, bytes);
		mutex_unlock(&m->writeback);
	} else {
		written_beside(m, b, position, bytes);
	}
	if (cache_is_newer(m, position, last))
		cache_flush(m, position, last);
	return r;
}

/* Whole blocks that could be read from the program; the rest of them is not written. */
static ssize_t
write_piece(struct blk_medium *m, struct bounce *b, struct uio *u, uint64_t position, size_t bytes)
{
	size_t got = 0;
	long r;

	for (unsigned i = 0; (size_t)i * PAGE_SIZE < bytes; i++) {
		size_t n = piece(bytes, i), moved = uio_get(u, page_virt(b->page[i]), n);

		got += moved;
		if (moved < n)
			break;
	}
	got -= got % m->facts.block_size;
	if (got == 0)
		return -EFAULT;
	r = write_range(m, b, position, got);
	return r != 0 ? r : (ssize_t)got;
}

static ssize_t
direct_move(struct blk_dev *d, struct uio *u, uint64_t pos, size_t bytes, bool write)
{
	struct blk_medium *m = d->medium;
	struct bounce b;
	size_t done = 0;
	ssize_t r = bounce_get(&b, bytes);

	if (r != 0)
		return r;
	while (done < bytes) {
		size_t n = min(bytes - done, (size_t)b.count * PAGE_SIZE);
		uint64_t position = d->start + pos + done;

		r = write ? write_piece(m, &b, u, position, n) : read_piece(m, &b, u, position, n);
		if (r <= 0)
			break;
		done += (size_t)r;
		if ((size_t)r < n || signal_fatal_pending(current))
			break;
		cond_resched();
	}
	bounce_put(&b);
	return done != 0 ? (ssize_t)done : r;
}

/* open(2): position, length and memory are aligned to the device's blocks. */
static long
check_aligned(const struct blk_medium *m, const struct uio *u, uint64_t pos, size_t bytes)
{
	uint32_t mask = m->facts.block_size - 1;

	if (((pos | bytes) & mask) != 0)
		return -EINVAL;
	for (unsigned i = 0; i < u->count; i++) {
		uint64_t base = u->iov[i].base + (i == 0 ? u->offset : 0), len = u->iov[i].len - (i == 0 ? u->offset : 0);

		if ((base & (SECTOR - 1)) != 0 || (len & mask) != 0)
			return -EINVAL;
	}
	return 0;
}

ssize_t
direct_read(struct blk_dev *d, struct uio *u, uint64_t pos, size_t bytes)
{
	long r = check_aligned(d->medium, u, pos, u->resid);

	return r != 0 ? r : direct_move(d, u, pos, bytes, false);
}

ssize_t
direct_write(struct blk_dev *d, struct uio *u, uint64_t pos, size_t bytes)
{
	long r = check_aligned(d->medium, u, pos, u->resid);

	return r != 0 ? r : direct_move(d, u, pos, bytes, true);
}

/* ---- zeros ---- */

static long
zero_by_writing(struct blk_medium *m, uint64_t position, uint64_t bytes)
{
	struct page *zero = cache_page_alloc(BY_ALL_MEANS);
	long r = 0;

	if (zero == NULL)
		return -ENOMEM;
	memset(page_virt(zero), 0, PAGE_SIZE);
	while (bytes > 0 && r == 0) {
		uint64_t part = min(bytes, (uint64_t)16 << 20);
		struct blk_op op;

		op_begin(&op, m, BLOCK_WRITE, 0);
		for (uint64_t at = 0; at < part; at += PAGE_SIZE)
			op_page(&op, position + at, zero, (uint32_t)min(part - at, (uint64_t)PAGE_SIZE));
		r = op_end(&op);
		position += part;
		bytes -= part;
		if (signal_fatal_pending(current))
			r = -EINTR;
		cond_resched();
	}
	page_put(zero);
	return r;
}

static long
zero_by_device(struct blk_medium *m, uint64_t position, uint64_t bytes)
{
	struct blk_op op;

	op_begin(&op, m, BLOCK_WRITE_ZEROES, 0);
	op_range(&op, position, bytes);
	return op_end(&op);
}

static void
zeroed_beside(struct blk_medium *m, uint64_t position, uint64_t bytes)
{
	cache_new_generation(m, position, position + bytes - 1);
	for (uint64_t at = 0; at < bytes && READ_ONCE(m->mapping.page_count) != 0; ) {
		size_t n = (size_t)min(bytes - at, (uint64_t)PAGE_SIZE - ((position + at) & (PAGE_SIZE - 1)));

		cache_changed(m, position + at, NULL, n);
		at += n;
		if (at % (1 << 24) < PAGE_SIZE)
			cond_resched();
	}
}

long
direct_zero(struct blk_dev *d, uint64_t pos, uint64_t bytes, bool fallback)
{
	struct blk_medium *m = d->medium;
	uint64_t position = d->start + pos, last = position + bytes - 1;
	long r = -EOPNOTSUPP;

	if (bytes == 0)
		return 0;
	cache_flush(m, position, last);
	cache_drop(m, position, last);		/* so that few are left to be changed */
	mutex_lock(&m->writeback);		/* nothing older gets there after us */
	if (m->facts.flags & BLOCK_HAS_ZEROES)
		r = zero_by_device(m, position, bytes);
	if (r == -EOPNOTSUPP && fallback)
		r = zero_by_writing(m, position, bytes);
	if (r != -EOPNOTSUPP)
		zeroed_beside(m, position, bytes);
	mutex_unlock(&m->writeback);
	if (cache_is_newer(m, position, last))
		cache_flush(m, position, last);
	return r;
}

/* ---- discard ---- */

/* What is cached stays: reading discarded blocks may give what was there before. */
long
direct_discard(struct blk_dev *d, uint64_t pos, uint64_t bytes)
{
	struct blk_medium *m = d->medium;
	uint64_t position = d->start + pos;
	struct blk_op op;
	long r;

	if ((m->facts.flags & BLOCK_HAS_DISCARD) == 0)
		return -EOPNOTSUPP;
	if (bytes == 0)
		return 0;
	cache_flush(m, position, position + bytes - 1);
	op_begin(&op, m, BLOCK_DISCARD, 0);
	op_range(&op, position, bytes);
	r = op_end(&op);
	cache_new_generation(m, position, position + bytes - 1);
	cache_drop(m, position, position + bytes - 1);
	return r;
}
