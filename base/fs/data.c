/* SPDX-License-Identifier: MIT */
/*
 * What files contain.  Data goes between the client's memory and the disk
 * directly; blocks for new data are set aside first, written, and only then
 * entered into the inode, so that no inode ever names a block that holds
 * something else than its data.
 */
#include "core.h"
#include "redo.h"
#include <stdio.h>

enum { FIEMAP_LAST = 1, FIEMAP_UNWRITTEN = 0x800 };
enum { FALLOC_KEEP_SIZE = 1, FALLOC_PUNCH = 2, FALLOC_COLLAPSE = 8, FALLOC_ZERO = 16,
	FALLOC_INSERT = 32 };
enum { MAX_HOLES = FS_SLOT_BYTES / sizeof(struct fs_hole) };
enum { MAX_EXTENTS = FS_SLOT_BYTES / sizeof(struct fs_extent) };

/* ---- segments ------------------------------------------------------------------------- */

/* Where in the client's segments one is. */
struct cursor {
	const struct fs_segment *segment;
	uint32_t left;			/* segments */
	uint32_t at;			/* bytes into the first */
};

static int
check_segments(const struct fs *fs, const struct fs_request *r)
{
	uint64_t sum = 0, unit = fs->disk->sector_bytes;

	if (r->segments > FS_SEGMENTS || r->offset % unit != 0 || r->length % unit != 0)
		return -EINVAL;
	if (r->offset >> 63 != 0 || r->length > 1u << 30)
		return -EINVAL;
	for (uint32_t i = 0; i < r->segments; i++) {
		if (r->segment[i].bytes == 0 || r->segment[i].bytes % unit != 0 ||
		    r->segment[i].address % 512 != 0)
			return -EINVAL;
		sum += r->segment[i].bytes;
	}
	return sum == r->length ? 0 : -EINVAL;
}

static void
cursor_skip(struct cursor *c, uint64_t bytes)
{
	while (bytes > 0) {
		uint32_t n = (uint32_t)min64(bytes, c->segment->bytes - c->at);

		c->at += n;
		bytes -= n;
		if (c->at == c->segment->bytes) {
			c->segment++;
			c->left--;
			c->at = 0;
		}
	}
}

/* Disk requests are put together here from pieces. */
struct gather {
	struct fs *fs;
	struct batch *batch;
	uint32_t op;
	uint64_t offset;		/* on the disk, of the first segment */
	uint64_t bytes;
	unsigned segments;
	struct disk_segment segment[DISK_SEGMENTS];
};

/* Begin at a place on the disk; segments that are not used need no value. */
static void
gather_begin(struct gather *g, struct fs *fs, struct batch *batch, uint32_t op, uint64_t offset)
{
	g->fs = fs;
	g->batch = batch;
	g->op = op;
	g->offset = offset;
	g->bytes = 0;
	g->segments = 0;
}

static void
gather_send(struct gather *g)
{
	if (g->segments != 0)
		batch_submit(g->fs, g->batch, g->op, 0, g->offset, g->segment, g->segments);
	g->offset += g->bytes;
	g->bytes = 0;
	g->segments = 0;
}

static void
gather_add(struct gather *g, uint64_t address, uint32_t bytes, uint32_t space)
{
	uint32_t limit = g->fs->disk->max_bytes == 0 ? 1u << 30 : g->fs->disk->max_bytes, n;

	while (bytes > 0) {
		if (g->segments == DISK_SEGMENTS || g->bytes >= limit)
			gather_send(g);
		n = (uint32_t)min64(bytes, limit - g->bytes);
		g->segment[g->segments++] = (struct disk_segment){ address, n, space };
		g->bytes += n;
		address += n;
		bytes -= n;
	}
}

static void
gather_zeroes(struct gather *g, uint64_t bytes)
{
	while (bytes > 0) {
		uint32_t n = (uint32_t)min64(bytes, 4096);

		gather_add(g, (uintptr_t)g->fs->zeroes, n, DISK_OWN);
		bytes -= n;
	}
}

static void
gather_client(struct gather *g, struct cursor *c, uint64_t bytes)
{
	while (bytes > 0) {
		uint32_t n = (uint32_t)min64(bytes, c->segment->bytes - c->at);

		gather_add(g, c->segment->address + c->at, n, DISK_CLIENT);
		cursor_skip(c, n);
		bytes -= n;
	}
}

/* ---- reading ---------------------------------------------------------------------------- */

/* The part of [at, end) that is mapped alike. */
static int
map_bytes(struct inode *inode, uint64_t at, uint64_t end, struct mapping *m, uint64_t *bytes,
    uint64_t *place)
{
	uint32_t bits = inode->fs->block_bits, in = (uint32_t)(at & ((1u << bits) - 1));
	uint64_t first = at >> bits, last = (end - 1) >> bits;
	int error;

	if (first > LAST_BLOCK) {
		*m = (struct mapping){ 0 };
		*bytes = end - at;
		return 0;
	}
	if (last > LAST_BLOCK)
		last = LAST_BLOCK;
	error = map_find(inode, (uint32_t)first, (uint32_t)(last - first + 1), m);
	if (error != 0)
		return error;
	*bytes = min64(((uint64_t)m->count << bits) - in, end - at);
	*place = (m->start << bits) + in;
	return 0;
}

static bool
hole_add(struct fs_job *job, uint64_t offset, uint64_t length)
{
	struct fs_hole *hole = (struct fs_hole *)(void *)job->page;
	uint32_t n = job->answer.count;

	if (n > 0 && hole[n - 1].offset + hole[n - 1].length == offset) {
		hole[n - 1].length += length;
		return true;
	}
	if (n == MAX_HOLES)
		return false;
	hole[n] = (struct fs_hole){ offset, length };
	job->answer.count = n + 1;
	job->page_bytes = (n + 1) * (uint32_t)sizeof *hole;
	return true;
}

static int64_t
read_locked(struct inode *inode, struct fs_job *job)
{
	struct fs *fs = inode->fs;
	struct fs_request *r = &job->request;
	struct cursor c = { r->segment, r->segments, 0 };
	struct batch batch = { 0 };
	struct gather *g;
	uint64_t size = inode_size(inode), at = r->offset, end, bytes, place = 0;
	struct mapping m;
	int error = 0;

	if (at >= size || r->length == 0)
		return 0;
	end = min64(at + r->length, (size + fs->disk->sector_bytes - 1) / fs->disk->sector_bytes *
	    fs->disk->sector_bytes);
	g = piece_get(fs, sizeof *g);
	if (g == NULL)
		return -ENOMEM;
	while (at < end) {
		error = map_bytes(inode, at, end, &m, &bytes, &place);
		if (error != 0)
			break;
		if (m.start == 0 || m.unwritten) {
			if (!hole_add(job, at - r->offset, bytes)) {
				end = at;	/* a short read: the client asks again */
				break;
			}
			cursor_skip(&c, bytes);
		} else {
			gather_begin(g, fs, &batch, DISK_READ, place);
			gather_client(g, &c, bytes);
			gather_send(g);
		}
		at += bytes;
	}
	batch_wait(&batch);
	piece_put(fs, g, sizeof *g);
	if (error == 0 && batch.error != 0) {
		error = batch.error == -ENOMEM ? -ENOMEM : -EIO;
		say(fs, "inode %u: data cannot be read near %llu: error %d", inode->number,
		    (unsigned long long)r->offset, -batch.error);
	}
	return error != 0 ? error : (int64_t)(min64(end, size) - r->offset);
}

int64_t
data_read(struct inode *inode, struct fs_job *job)
{
	int64_t result = check_segments(inode->fs, &job->request);

	if (result != 0)
		return result;
	lock_shared(&inode->io);
	result = read_locked(inode, job);
	unlock(&inode->io);
	return result;
}

/* ---- writing ----------------------------------------------------------------------------- */

/* What becomes of blocks when their data is on the disk. */
struct pending {
	struct mapping map;
	bool was_unwritten;		/* else: set aside, to be entered */
};

struct write {
	struct inode *inode;
	struct fs_job *job;
	struct pending *pending;
	uint32_t count, room;
	uint32_t reserved;		/* promised blocks that it may use */
	struct batch batch;
	struct gather gather;		/* last: set by gather_begin */
};

static int
pending_add(struct write *w, const struct mapping *m, bool was_unwritten)
{
	struct pending *bigger;

	if (w->count == w->room) {
		bigger = realloc(w->pending, (w->room + 8) * 2 * sizeof *bigger);
		if (bigger == NULL)
			return -ENOMEM;
		w->pending = bigger;
		w->room = (w->room + 8) * 2;
	}
	w->pending[w->count++] = (struct pending){ *m, was_unwritten };
	return 0;
}

/* Behind the block before it, if there is one. */
static uint64_t
goal_for(struct inode *inode, uint32_t block)
{
	struct mapping m;

	if (block > 0 && map_find(inode, block - 1, 1, &m) == 0 && m.start != 0)
		return m.start + 1;
	return inode->goal;
}

/* Set blocks aside for the hole m, or for its beginning. */
static int
fill_hole(struct write *w, struct mapping *m)
{
	struct inode *inode = w->inode;
	struct fs *fs = inode->fs;
	struct extent got;
	int error;

	if (w->reserved == 0 && blocks_available(fs) == 0)
		return -ENOSPC;
	error = blocks_reserve(fs, w->count > 0 && !w->pending[w->count - 1].was_unwritten ?
	    w->pending[w->count - 1].map.start + w->pending[w->count - 1].map.count :
	    goal_for(inode, m->block), m->count, &got);
	if (error != 0)
		return error;
	w->reserved -= (uint32_t)min64(w->reserved, got.count);
	m->start = got.block;
	m->count = (uint32_t)got.count;
	error = pending_add(w, m, false);
	if (error != 0)
		blocks_unreserve(fs, got.block, got.count);
	return error;
}

/* Send [at, at + bytes) to blocks that hold nothing yet: what the write does not
 * cover of the first and the last one becomes zeroes. */
static void
send_fresh(struct write *w, struct cursor *c, uint64_t at, uint64_t bytes, uint64_t place)
{
	uint32_t mask = w->inode->fs->block_bytes - 1, head = (uint32_t)at & mask;
	uint32_t tail = (uint32_t)(0 - (at + bytes)) & mask;
	struct gather *g = &w->gather;

	gather_begin(g, w->inode->fs, &w->batch, DISK_WRITE, place - head);
	gather_zeroes(g, head);
	gather_client(g, c, bytes);
	gather_zeroes(g, tail);
	gather_send(g);
}

static int
write_out(struct write *w)
{
	struct inode *inode = w->inode;
	struct fs *fs = inode->fs;
	struct fs_request *r = &w->job->request;
	struct cursor c = { r->segment, r->segments, 0 };
	uint64_t at = r->offset, end = at + r->length, bytes, place = 0;
	struct mapping m;
	int error = 0;

	while (at < end && error == 0) {
		error = map_bytes(inode, at, end, &m, &bytes, &place);
		if (error != 0)
			break;
		if (m.start == 0 && (inode->raw->flags & INODE_EXTENTS) == 0) {
			say(fs, "inode %u has an old block map: it cannot grow", inode->number);
			return -EOPNOTSUPP;
		}
		if (m.start == 0) {
			uint32_t in = (uint32_t)at & (fs->block_bytes - 1);

			error = fill_hole(w, &m);
			if (error != 0)
				break;
			bytes = min64(((uint64_t)m.count << fs->block_bits) - in, end - at);
			place = (m.start << fs->block_bits) + in;
			send_fresh(w, &c, at, bytes, place);
		} else if (m.unwritten) {
			m.count = (uint32_t)(((at + bytes - 1) >> fs->block_bits) - m.block + 1);
			error = pending_add(w, &m, true);
			if (error == 0)
				send_fresh(w, &c, at, bytes, place);
		} else {
			gather_begin(&w->gather, fs, &w->batch, DISK_WRITE, place);
			gather_client(&w->gather, &c, bytes);
			gather_send(&w->gather);
		}
		at += bytes;
	}
	if (batch_wait(&w->batch) != 0 && error == 0) {
		error = w->batch.error == -ENOMEM ? -ENOMEM : w->batch.error == -ENOSPC ? -ENOSPC : -EIO;
		say(fs, "inode %u: data cannot be written near %llu: error %d", inode->number,
		    (unsigned long long)r->offset, -w->batch.error);
	}
	return error;
}

/* One piece into the map.  Somebody may have been faster: then ours is not needed. */
static int
enter_one(struct handle *h, struct inode *inode, struct pending *p)
{
	struct fs *fs = inode->fs;
	uint32_t count = p->map.count;
	struct mapping there;
	int error;

	if (p->was_unwritten) {
		error = map_written(h, inode, p->map.block, count);
		p->map.count = 0;
		return error == -ENOENT ? 0 : error;
	}
	error = map_find_locked(inode, p->map.block, count, &there);
	if (error != 0)
		return error;
	if (there.start != 0 || there.count < count) {
		blocks_unreserve(fs, p->map.start, count);
		p->map.count = 0;
		return 0;
	}
	error = blocks_use(h, p->map.start, count);
	if (error != 0)
		return error;
	error = map_insert(h, inode, &p->map);
	p->map.count = 0;
	if (error != 0) {
		/* no block for a node: give them back.  That its count is as before keeps it whole */
		blocks_free(h, p->map.start, count, false);
		return error;
	}
	inode_add_blocks(inode, count);
	inode->goal = p->map.start + count;
	return 0;
}

static int
enter_all(struct handle *h, struct write *w)
{
	struct inode *inode = w->inode;
	int error = 0;

	for (uint32_t i = 0; i < w->count && error == 0; i++) {
		lock_exclusive(&inode->tree);
		error = enter_one(h, inode, &w->pending[i]);
		if (error == 0)
			error = inode_store(h, inode);
		unlock(&inode->tree);
		if (error == 0)
			inode->data_transaction = h->transaction->id;
		if (error == 0 && i + 1 < w->count)
			error = journal_restart(h, MAP_CREDITS);
	}
	return error;
}

/* Seconds say enough to whoever syncs nothing: the client brings the rest by FS_SETATTR. */
static bool
time_differs(uint32_t seconds, const struct fs_time *time)
{
	return seconds != (uint32_t)time->seconds;
}

static int
write_finish(struct write *w)
{
	struct inode *inode = w->inode;
	struct fs *fs = inode->fs;
	struct fs_request *r = &w->job->request;
	struct handle h;
	bool synced = (r->flags & (FS_STABLE | FS_DATASYNC)) == FS_STABLE;
	int error;

	inode->written = ++fs->written;
	if (w->count == 0 && r->size <= inode_size(inode) && !synced &&
	    !time_differs(inode->raw->mtime, &r->mtime))
		return 0;
	error = journal_start(fs, MAP_CREDITS, &h);
	if (error != 0)
		return error;
	error = enter_all(&h, w);
	if (error == 0) {
		if (r->size > inode_size(inode)) {
			inode_set_size(inode, r->size);
			inode->data_transaction = h.transaction->id;
		}
		if (r->mtime.seconds != 0 || r->mtime.nanoseconds != 0) {
			inode_set_time(inode, TIME_M, &r->mtime);
			inode_set_time(inode, TIME_C, &r->now);
		}
		error = inode_store(&h, inode);
	}
	if (h.transaction != NULL)
		w->job->answer.transaction = h.transaction->id;
	journal_stop(&h);
	return error;
}

int64_t
data_write(struct inode *inode, struct fs_job *job)
{
	struct fs *fs = inode->fs;
	struct fs_request *r = &job->request;
	struct write *w;
	int error = check_segments(fs, r);

	if (error != 0)
		return error;
	if ((r->offset + r->length + fs->block_bytes - 1) >> fs->block_bits > LAST_BLOCK ||
	    r->size >> fs->block_bits > LAST_BLOCK)
		return -EFBIG;
	w = piece_get(fs, sizeof *w);
	if (w == NULL)
		return -ENOMEM;
	memset(w, 0, offsetof(struct write, gather));
	w->inode = inode;
	w->job = job;
	w->reserved = (uint32_t)min64(r->reserved_blocks, fs->promised);
	fs->promised -= w->reserved;
	lock_shared(&inode->io);
	if (inode->deleting)
		error = -ESTALE;
	if (error == 0)
		error = write_out(w);
	if (error == 0)
		error = write_finish(w);
	for (uint32_t i = 0; i < w->count; i++)
		if (w->pending[i].map.count != 0 && !w->pending[i].was_unwritten)
			blocks_unreserve(fs, w->pending[i].map.start, w->pending[i].map.count);
	unlock(&inode->io);
	free(w->pending);
	piece_put(fs, w, sizeof *w);
	return error != 0 ? error : (int64_t)r->length;
}

/* ---- making holes ---------------------------------------------------------------------------- */

/* Zeroes from `from` to `to` within one block that has data. */
static int
zero_part(struct inode *inode, uint64_t from, uint64_t to)
{
	struct fs *fs = inode->fs;
	uint32_t mask = fs->block_bytes - 1;
	struct mapping m;
	uint8_t *memory;
	int error;

	if (from >= to || from >> fs->block_bits > LAST_BLOCK || redo_replaying(fs))
		return 0;
	error = map_find(inode, (uint32_t)(from >> fs->block_bits), 1, &m);
	if (error != 0 || m.start == 0 || m.unwritten)
		return error;
	memory = memory_get(fs);
	if (memory == NULL)
		return -ENOMEM;
	error = disk_transfer(fs, DISK_READ, 0, m.start << fs->block_bits, memory, fs->block_bytes);
	if (error == 0) {
		memset(memory + (from & mask), 0, to - from);
		error = disk_transfer(fs, DISK_WRITE, 0, m.start << fs->block_bits, memory,
		    fs->block_bytes);
		inode->written = ++fs->written;
	}
	memory_put(fs, memory);
	return error == -ENOMEM ? error : error != 0 ? -EIO : 0;
}

int
data_truncate(struct inode *inode, uint64_t size, const struct fs_time *now, uint64_t *transaction)
{
	struct fs *fs = inode->fs;
	uint64_t old = inode_size(inode), first = (size + fs->block_bytes - 1) >> fs->block_bits;
	uint64_t block_end = first << fs->block_bits;
	bool shorter = size < old;
	struct handle h;
	int error = 0;

	if (first > LAST_BLOCK)
		return -EFBIG;
	if (shorter && (inode->raw->flags & INODE_EXTENTS) == 0 && inode_blocks(inode) != 0)
		return -EOPNOTSUPP;
	if (shorter && size != block_end)
		error = zero_part(inode, size, block_end);
	if (error != 0)
		return error;
	error = journal_start(fs, MAP_CREDITS, &h);
	if (error != 0)
		return error;
	inode_set_size(inode, size);
	if (now != NULL) {
		inode_set_time(inode, TIME_M, now);
		inode_set_time(inode, TIME_C, now);
	}
	/* blocks may lie behind the end (fallocate), so an equal size frees too */
	if (shorter || size == old) {
		bool linked = inode->raw->links != 0;

		if (linked)
			error = orphan_add(&h, inode);
		if (error == 0)
			error = map_remove(&h, inode, (uint32_t)first, LAST_BLOCK);
		if (error == 0)
			error = journal_restart(&h, MAP_CREDITS);
		if (error == 0 && linked && inode->raw->links != 0)
			error = orphan_remove(&h, inode);
	}
	if (error == 0)
		error = inode_store(&h, inode);
	if (h.transaction != NULL) {
		inode->data_transaction = h.transaction->id;
		*transaction = h.transaction->id;
	}
	journal_stop(&h);
	return error;
}

/* Free what lies wholly between from and to, and clear the rest. */
static int
punch(struct inode *inode, uint64_t from, uint64_t to, struct handle *h)
{
	struct fs *fs = inode->fs;
	uint32_t bits = fs->block_bits;
	uint64_t first = (from + fs->block_bytes - 1) >> bits, end = to >> bits;

	if (end > (uint64_t)LAST_BLOCK + 1)
		end = (uint64_t)LAST_BLOCK + 1;
	if (first >= end)
		return 0;
	return map_remove(h, inode, (uint32_t)first, (uint32_t)(end - 1));
}

static int
punch_edges(struct inode *inode, uint64_t from, uint64_t to)
{
	uint64_t mask = inode->fs->block_bytes - 1, up = (from + mask) & ~mask, down = to & ~mask;
	int error;

	if (down < up)
		return zero_part(inode, from, to);	/* within one block */
	error = zero_part(inode, from, up);
	return error != 0 ? error : zero_part(inode, down, to);
}

/* ---- fallocate ------------------------------------------------------------------------------------ */

/* Give the holes of [first, last] unwritten blocks. */
static int
fill(struct inode *inode, uint64_t first, uint64_t last, uint64_t *transaction)
{
	struct fs *fs = inode->fs;
	struct mapping m;
	struct extent got;
	struct handle h;
	int error = 0;

	while (first <= last && error == 0) {
		struct pending p = { .was_unwritten = false };

		error = map_find(inode, (uint32_t)first, (uint32_t)(last - first + 1), &m);
		if (error != 0)
			return error;
		if (m.start != 0) {
			first += m.count;
			continue;
		}
		if (blocks_available(fs) == 0)
			return -ENOSPC;
		error = blocks_reserve(fs, goal_for(inode, m.block),
		    min64(m.count, blocks_available(fs)), &got);
		if (error != 0)
			return error;
		p.map = (struct mapping){ (uint32_t)first, (uint32_t)got.count, got.block, true };
		error = journal_start(fs, MAP_CREDITS, &h);
		if (error == 0) {
			lock_exclusive(&inode->tree);
			error = enter_one(&h, inode, &p);
			if (error == 0)
				error = inode_store(&h, inode);
			unlock(&inode->tree);
			*transaction = h.transaction->id;
			inode->data_transaction = h.transaction->id;
			journal_stop(&h);
		}
		if (p.map.count != 0)
			blocks_unreserve(fs, got.block, got.count);
		first += got.count;
	}
	return error;
}

static int
change_ranges(struct inode *inode, struct fs_request *r, uint64_t *transaction)
{
	struct fs *fs = inode->fs;
	uint64_t from = r->offset, to = r->offset + r->length;
	bool keep = (r->flags & FALLOC_KEEP_SIZE) != 0;
	struct handle h;
	int error = 0;

	if ((r->flags & (FALLOC_PUNCH | FALLOC_ZERO)) != 0) {
		error = punch_edges(inode, from, to);
		if (error == 0)
			error = journal_start(fs, MAP_CREDITS, &h);
		if (error != 0)
			return error;
		error = punch(inode, from, to, &h);
		if (h.transaction != NULL) {
			*transaction = h.transaction->id;
			inode->data_transaction = h.transaction->id;
		}
		journal_stop(&h);
	}
	if (error == 0 && (r->flags & FALLOC_PUNCH) == 0)
		error = fill(inode, from >> fs->block_bits, (to - 1) >> fs->block_bits, transaction);
	if (error != 0)
		return error;
	error = journal_start(fs, MAP_CREDITS, &h);
	if (error != 0)
		return error;
	if (!keep && to > inode_size(inode)) {
		inode_set_size(inode, to);
		inode->data_transaction = h.transaction->id;
	}
	inode_set_time(inode, TIME_M, &r->now);
	inode_set_time(inode, TIME_C, &r->now);
	error = inode_store(&h, inode);
	*transaction = h.transaction->id;
	journal_stop(&h);
	return error;
}

/* What fallocate(2) wants of the two that move the rest of the file. */
static int
check_move(struct inode *inode, const struct fs_request *r)
{
	uint64_t mask = inode->fs->block_bytes - 1, size = inode_size(inode);

	if (((r->offset | r->length) & mask) != 0)
		return -EINVAL;
	if (r->flags == FALLOC_COLLAPSE)
		return r->offset >= size || r->length >= size - r->offset ? -EINVAL : 0;
	if (r->offset >= size)
		return -EINVAL;
	return (size + r->length) >> inode->fs->block_bits > LAST_BLOCK ? -EFBIG : 0;
}

/*
 * The blocks of a range go first, in as many transactions as it takes; then the rest moves, with
 * the size, in one.  In between the range is a hole: nobody has been told that it is gone.
 */
static int
move_rest(struct inode *inode, struct fs_request *r, uint64_t *transaction)
{
	struct fs *fs = inode->fs;
	bool away = r->flags == FALLOC_INSERT;
	uint32_t first = (uint32_t)(r->offset >> fs->block_bits), count = (uint32_t)(r->length >> fs->block_bits), credits;
	struct handle h;
	int error = check_move(inode, r);

	if (error == 0)		/* refused before anything is gone */
		error = map_shift_credits(inode, away ? first : first + count, &credits);
	if (error == 0 && !away) {
		error = journal_start(fs, MAP_CREDITS, &h);
		if (error != 0)
			return error;
		error = map_remove(&h, inode, first, first + count - 1);
		if (h.transaction != NULL)
			inode->data_transaction = h.transaction->id;
		journal_stop(&h);
		if (error == 0)
			error = map_shift_credits(inode, first + count, &credits);
	}
	if (error == 0)
		error = journal_start(fs, credits, &h);
	if (error != 0)
		return error;
	error = away ? map_open(&h, inode, first, count) : map_collapse(&h, inode, first, count);
	if (error == 0) {
		inode_set_size(inode, away ? inode_size(inode) + r->length : inode_size(inode) - r->length);
		inode_set_time(inode, TIME_M, &r->now);
		inode_set_time(inode, TIME_C, &r->now);
		error = inode_store(&h, inode);
		inode->data_transaction = h.transaction->id;
		*transaction = h.transaction->id;
	} else if (!fs->aborting) {
		inode_store(&h, inode);		/* its map may have another form */
	}
	journal_stop(&h);
	return error;
}

int64_t
data_fallocate(struct inode *inode, struct fs_job *job)
{
	struct fs_request *r = &job->request;
	bool moves = r->flags == FALLOC_COLLAPSE || r->flags == FALLOC_INSERT;
	uint32_t mode = r->flags & (FALLOC_PUNCH | FALLOC_ZERO);
	int error;

	if ((!moves && (r->flags & ~(uint32_t)(FALLOC_KEEP_SIZE | FALLOC_PUNCH | FALLOC_ZERO)) != 0) ||
	    mode == (FALLOC_PUNCH | FALLOC_ZERO) ||
	    (mode == FALLOC_PUNCH && (r->flags & FALLOC_KEEP_SIZE) == 0))
		return -EOPNOTSUPP;
	if (r->length == 0 || r->offset >> 63 != 0 || r->length >> 63 != 0)
		return -EINVAL;
	if ((r->offset + r->length - 1) >> inode->fs->block_bits > LAST_BLOCK)
		return -EFBIG;
	if ((inode->raw->flags & INODE_EXTENTS) == 0)
		return -EOPNOTSUPP;
	lock_exclusive(&inode->io);
	error = inode->deleting ? -ESTALE : moves ? move_rest(inode, r, &job->answer.transaction) :
	    change_ranges(inode, r, &job->answer.transaction);
	unlock(&inode->io);
	return error;
}

/* ---- where data is ------------------------------------------------------------------------------------ */

int64_t
data_seek(struct inode *inode, uint64_t offset, bool hole)
{
	uint64_t size = inode_size(inode), at = offset, bytes, place;
	struct mapping m;
	int error = 0;

	if (offset >= size)
		return -ENXIO;
	lock_shared(&inode->io);
	while (at < size) {
		error = map_bytes(inode, at, size, &m, &bytes, &place);
		if (error != 0 || hole == (m.start == 0 || m.unwritten))
			break;
		at += bytes;
	}
	unlock(&inode->io);
	if (error != 0)
		return error;
	if (at >= size)
		return hole ? (int64_t)size : -ENXIO;
	return (int64_t)at;
}

static uint32_t
extents_locked(struct inode *inode, const struct fs_request *r, struct fs_extent *to, int *error)
{
	uint32_t bits = inode->fs->block_bits, n = 0;
	uint64_t block = r->offset >> bits, end = r->offset + r->length < r->offset ?
	    LAST_BLOCK : min64((r->offset + r->length + inode->fs->block_bytes - 1) >> bits, LAST_BLOCK);
	struct mapping m, after;

	while (block < end && n < MAX_EXTENTS) {
		*error = map_find(inode, (uint32_t)block, (uint32_t)(LAST_BLOCK - block), &m);
		if (*error != 0)
			break;
		if (m.start != 0) {
			to[n] = (struct fs_extent){ (uint64_t)m.block << bits, m.start << bits,
				(uint64_t)m.count << bits, m.unwritten ? FIEMAP_UNWRITTEN : 0, 0 };
			/* is there anything behind it? */
			if (map_find(inode, m.block + m.count, LAST_BLOCK - m.block - m.count, &after) == 0 &&
			    after.start == 0 && (uint64_t)after.block + after.count >= LAST_BLOCK)
				to[n].flags |= FIEMAP_LAST;
			n++;
		}
		block += m.count;
	}
	return n;
}

int64_t
data_extents(struct inode *inode, struct fs_job *job)
{
	int error = 0;

	lock_shared(&inode->io);
	job->answer.count = extents_locked(inode, &job->request,
	    (struct fs_extent *)(void *)job->page, &error);
	unlock(&inode->io);
	job->page_bytes = job->answer.count * (uint32_t)sizeof(struct fs_extent);
	return error;
}
