/* SPDX-License-Identifier: MIT */
/*
 * Which blocks are free.  A block is used if its bit in the group's bitmap on
 * the disk says so, or if it is busy: set aside for data that is on its way to
 * the disk (blocks_reserve), or freed by a transaction that is not committed,
 * after which a power cut could make its old owner come back.
 *
 * Near the goal first, then any group that may have a run long enough
 * (group.largest bounds what it has), then what there is.
 */
#include "core.h"

enum { KEEP_BUSY_GROUPS = 2048 };

/* ---- bits ------------------------------------------------------------------------ */

static uint64_t
word_at(const uint8_t *map, const uint8_t *busy, uint32_t word)
{
	uint64_t a, b = 0;

	memcpy(&a, map + (size_t)word * 8, 8);
	if (busy != NULL)
		memcpy(&b, busy + (size_t)word * 8, 8);
	return a | b;
}

/* The first bit from `from` on that is set (or clear); end if there is none. */
static uint32_t
next_bit(const uint8_t *map, const uint8_t *busy, uint32_t from, uint32_t end, bool set)
{
	uint64_t word;

	while (from < end) {
		word = word_at(map, busy, from / 64);
		word = (set ? word : ~word) >> (from % 64);
		if (word != 0) {
			from += (uint32_t)__builtin_ctzll(word);
			return from < end ? from : end;
		}
		from = (from / 64 + 1) * 64;
	}
	return end;
}

static void
bits_change(uint8_t *map, uint32_t first, uint32_t count, bool set)
{
	for (; count > 0; first++, count--) {
		if (first % 8 == 0 && count >= 8) {
			memset(map + first / 8, set ? 0xff : 0, count / 8);
			first += count & ~7u;
			count &= 7;
			if (count == 0)
				break;
		}
		if (set)
			map[first / 8] |= (uint8_t)(1u << (first % 8));
		else
			map[first / 8] &= (uint8_t)~(1u << (first % 8));
	}
}

static bool
bits_all(const uint8_t *map, uint32_t first, uint32_t count, bool set)
{
	return next_bit(map, NULL, first, first + count, !set) == first + count;
}

/* ---- busy blocks -------------------------------------------------------------------- */

static int
busy_make(struct fs *fs, uint32_t group)
{
	struct group *g = &fs->group[group];

	if (g->busy == NULL)
		g->busy = calloc(1, (fs->blocks_per_group + 63) / 64 * 8);
	return g->busy == NULL ? -ENOMEM : 0;
}

static void
busy_set(struct fs *fs, uint32_t group, uint32_t first, uint32_t count)
{
	struct group *g = &fs->group[group];

	bits_change(g->busy, first, count, true);
	g->busy_count += count;
	fs->busy_blocks += count;
}

static void
busy_clear(struct fs *fs, uint32_t group, uint32_t first, uint32_t count)
{
	struct group *g = &fs->group[group];

	bits_change(g->busy, first, count, false);
	g->busy_count -= count;
	fs->busy_blocks -= count;
	g->largest = group_free_blocks(fs, group);
	if (g->busy_count == 0 && fs->groups > KEEP_BUSY_GROUPS) {
		free(g->busy);
		g->busy = NULL;
	}
}

uint32_t
block_group(const struct fs *fs, uint64_t block)
{
	return (uint32_t)((block - fs->first_data_block) / fs->blocks_per_group);
}


static uint32_t
bit_of(struct fs *fs, uint64_t block)
{
	return (uint32_t)((block - fs->first_data_block) % fs->blocks_per_group);
}

/* ---- search ------------------------------------------------------------------------- */

/* The first run of want from `from` on (and then from the start), or the longest. */
static uint32_t
find_run(struct fs *fs, uint32_t group, const uint8_t *map, uint32_t from, uint32_t want,
    uint32_t *length)
{
	const uint8_t *busy = fs->group[group].busy;
	uint32_t size = group_size(fs, group), best = 0, best_at = 0, at, end;

	for (int round = 0; round < 2; round++) {
		uint32_t stop = round == 0 ? size : (from < size ? from : size);

		for (at = round == 0 ? from : 0; at < stop; at = end + 1) {
			at = next_bit(map, busy, at, stop, false);
			if (at >= stop)
				break;
			end = next_bit(map, busy, at, size, true);
			if (end - at >= want) {
				*length = want;
				return at;
			}
			if (end - at > best) {
				best = end - at;
				best_at = at;
			}
		}
	}
	fs->group[group].largest = best;
	*length = best;
	return best_at;
}

bool
group_closed(const struct fs *fs, uint32_t group)
{
	return fs->group[group].bitmap_bad || fs->group[group].closed_until > fs->journal.committed;
}

/* 1: got some. */
static int
search_group(struct fs *fs, uint32_t group, uint32_t from, uint32_t want, uint32_t least,
    struct extent *got)
{
	struct group *g = &fs->group[group];
	struct buffer *b;
	uint32_t at, length;
	int error;

	if (group_closed(fs, group) || g->largest < least)
		return 0;
	error = group_load_block_bitmap(fs, group, &b);
	if (error != 0) {
		g->bitmap_bad = error != -ENOMEM;
		return error == -ENOMEM ? error : 0;
	}
	/* loading may have slept */
	error = group_closed(fs, group) ? 0 : busy_make(fs, group);
	if (error == 0 && !group_closed(fs, group)) {
		at = find_run(fs, group, b->data, from, want, &length);
		if (length >= least && length > 0) {
			got->block = group_first(fs, group) + at;
			got->count = length;
			if (blocks_ok(fs, got->block, got->count)) {
				busy_set(fs, group, at, length);
				error = 1;
			} else {
				g->bitmap_bad = true;
				fs_error(fs, -ECORRUPT, "group %u's bitmap has metadata as free", group);
			}
		}
	}
	buffer_put(fs, b);
	return error;
}

/* At most n, anywhere; n first, then what there is.  -ENOSPC. */
static int
search_all(struct fs *fs, uint64_t goal, uint32_t n, struct extent *got)
{
	uint32_t start = block_group(fs, goal), from;
	int r;

	for (uint32_t least = n;; least = 1) {
		for (uint32_t i = 0; i < fs->groups; i++) {
			from = i == 0 ? bit_of(fs, goal) : 0;
			r = search_group(fs, (uint32_t)(((uint64_t)start + i) % fs->groups), from, n, least, got);
			if (r != 0)
				return r < 0 ? r : 0;
		}
		if (least == 1)
			return -ENOSPC;
	}
}

int
blocks_reserve(struct fs *fs, uint64_t goal, uint64_t want, struct extent *got)
{
	uint32_t n = (uint32_t)min64(want, fs->blocks_per_group / 4);
	int error;

	if (goal < fs->first_data_block || goal >= fs->blocks)
		goal = fs->first_data_block;
	if (n == 0)
		return -EINVAL;
	do {
		error = search_all(fs, goal, n, got);
	} while (error == -ENOSPC && discards_give_way(fs));
	return error == -ENOSPC && fs->failed ? -EROFS : error;
}

void
blocks_release(struct fs *fs, uint64_t block, uint64_t count)
{
	busy_clear(fs, block_group(fs, block), bit_of(fs, block), (uint32_t)count);
}

void
blocks_unreserve(struct fs *fs, uint64_t block, uint64_t count)
{
	fs->group[block_group(fs, block)].trimmed = 0;
	blocks_release(fs, block, count);
}

uint32_t
blocks_free_run(struct fs *fs, uint32_t group, const uint8_t *map, uint32_t *at, uint32_t end)
{
	const uint8_t *busy = fs->group[group].busy;

	*at = next_bit(map, busy, *at, end, false);
	return *at < end ? next_bit(map, busy, *at, end, true) - *at : 0;
}

int
blocks_take(struct fs *fs, uint32_t group, uint32_t first, uint32_t count)
{
	int error = busy_make(fs, group);

	if (error != 0)
		return error;
	if (!blocks_ok(fs, group_first(fs, group) + first, count)) {
		fs->group[group].bitmap_bad = true;
		return fs_error(fs, -ECORRUPT, "group %u's bitmap has metadata as free", group);
	}
	busy_set(fs, group, first, count);
	return 0;
}

/* ---- changes to the bitmaps ------------------------------------------------------------ */

/* Hold a group's bitmap and descriptor for a change. */
static int
access_group(struct handle *h, uint32_t group, struct buffer **bitmap)
{
	struct fs *fs = h->fs;
	struct buffer *desc;
	int error = group_load_block_bitmap(fs, group, bitmap);

	if (error != 0)
		return error;
	group_desc(fs, group, &desc);
	error = journal_access(h, *bitmap);
	if (error == 0)
		error = journal_access(h, desc);
	if (error != 0)
		buffer_put(fs, *bitmap);
	return error;
}

int
blocks_use(struct handle *h, uint64_t block, uint64_t count)
{
	struct fs *fs = h->fs;
	uint32_t group = block_group(fs, block), first = bit_of(fs, block);
	struct buffer *b;
	int error = access_group(h, group, &b);

	if (error != 0)
		return error;
	if (!bits_all(b->data, first, (uint32_t)count, false)) {
		buffer_put(fs, b);
		return fs_error(fs, -ECORRUPT, "block %llu was taken by somebody else",
		    (unsigned long long)block);
	}
	bits_change(b->data, first, (uint32_t)count, true);
	group_desc(fs, group, NULL)->flags &= (uint16_t)~GROUP_BLOCK_UNINIT;
	group_set_free_blocks(fs, group, group_free_blocks(fs, group) - (uint32_t)count);
	fs->free_blocks -= count;
	busy_clear(fs, group, first, (uint32_t)count);
	buffer_put(fs, b);
	return 0;
}

int
block_new(struct handle *h, uint64_t goal, uint64_t *block)
{
	struct extent got;
	int error = blocks_reserve(h->fs, goal, 1, &got);

	if (error != 0)
		return error;
	error = blocks_use(h, got.block, 1);
	if (error != 0) {
		blocks_unreserve(h->fs, got.block, 1);
		return error;
	}
	*block = got.block;
	return 0;
}

static int
note_freed(struct handle *h, uint64_t block, uint64_t count)
{
	struct transaction *t = h->transaction;
	struct extent *last = t->freeds > 0 ? &t->freed[t->freeds - 1] : NULL, *bigger;

	/* never across groups: blocks_committed clears one group's bits at once */
	if (last != NULL && last->block + last->count == block &&
	    block_group(h->fs, last->block) == block_group(h->fs, block)) {
		last->count += count;
		return 0;
	}
	if (t->freeds == t->freed_room) {
		uint32_t room = t->freed_room == 0 ? 64 : t->freed_room * 2;

		bigger = realloc(t->freed, room * sizeof *bigger);
		if (bigger == NULL)
			return -ENOMEM;
		t->freed = bigger;
		t->freed_room = room;
	}
	t->freed[t->freeds++] = (struct extent){ block, count };
	return 0;
}

static int
free_in_group(struct handle *h, uint64_t block, uint32_t count)
{
	struct fs *fs = h->fs;
	uint32_t group = block_group(fs, block), first = bit_of(fs, block);
	struct buffer *b;
	int error = access_group(h, group, &b);

	if (error != 0)
		return error;
	if (!bits_all(b->data, first, count, true)) {
		error = fs_error(fs, -ECORRUPT, "blocks from %llu are freed twice",
		    (unsigned long long)block);
		goto put;
	}
	error = busy_make(fs, group);
	if (error == 0)
		error = note_freed(h, block, count);
	if (error != 0) {
		/* no memory to remember them: the whole group waits for the commit */
		fs->group[group].closed_until = h->transaction->id;
		fs->group[group].trimmed = 0;
		error = 0;
	} else {
		busy_set(fs, group, first, count);
	}
	bits_change(b->data, first, count, false);
	group_set_free_blocks(fs, group, group_free_blocks(fs, group) + count);
	fs->free_blocks += count;
put:
	buffer_put(fs, b);
	return error;
}

int
blocks_free(struct handle *h, uint64_t block, uint64_t count, bool metadata)
{
	struct fs *fs = h->fs;
	uint64_t n;
	int error;

	if (!blocks_ok(fs, block, count))
		return fs_error(fs, -ECORRUPT, "blocks from %llu cannot be freed: not an inode's",
		    (unsigned long long)block);
	for (uint64_t i = 0; metadata && i < count; i++) {
		error = journal_forget(h, block + i);
		if (error != 0)
			return error;
	}
	for (; count > 0; block += n, count -= n) {
		n = min64(count, fs->blocks_per_group - bit_of(fs, block));
		error = free_in_group(h, block, (uint32_t)n);
		if (error != 0)
			return error;
	}
	return 0;
}

/* What the transaction freed may be used again. */
void
blocks_committed(struct fs *fs, struct transaction *t)
{
	if (!discard_freed(fs, t->freed, t->freeds))
		for (uint32_t i = 0; i < t->freeds; i++)
			blocks_unreserve(fs, t->freed[i].block, t->freed[i].count);
	t->freeds = 0;
}

/* ---- promises --------------------------------------------------------------------------- */

uint64_t
blocks_available(struct fs *fs)
{
	uint64_t kept = fs->busy_blocks + fs->promised + fs->slack;

	return fs->free_blocks > kept ? fs->free_blocks - kept : 0;
}

int
blocks_promise(struct fs *fs, uint64_t count, bool root, uint64_t *granted)
{
	uint64_t there = blocks_available(fs), kept = 0;

	if (!root)
		kept = fs->super->r_blocks_count_lo |
		    (fs->wide ? (uint64_t)fs->super->r_blocks_count_hi << 32 : 0);
	there = there > kept ? there - kept : 0;
	if (there == 0)
		return -ENOSPC;
	*granted = min64(there, count);
	fs->promised += *granted;
	return 0;
}
