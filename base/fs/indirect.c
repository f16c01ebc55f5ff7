/* SPDX-License-Identifier: MIT */
/*
 * The older map of blocks, through indirect blocks: it is read, never changed.
 */
#include "core.h"

enum { DIRECT = 12, LEVELS = 3 };

static int
pointer(struct inode *inode, uint64_t block, uint32_t index, uint32_t *to)
{
	struct buffer *b;
	int error;

	if (!blocks_ok(inode->fs, block, 1))
		return fs_error(inode->fs, -ECORRUPT, "inode %u: indirect block %llu", inode->number,
		    (unsigned long long)block);
	error = buffer_read(inode->fs, block, &b);
	if (error != 0)
		return error;
	memcpy(to, b->data + (size_t)index * 4, 4);
	buffer_put(inode->fs, b);
	return 0;
}

/* One block at a time: neighbours are found by asking again. */
static int
find_one(struct inode *inode, uint32_t block, uint64_t *start, uint64_t *hole)
{
	uint64_t per = inode->fs->block_bytes / 4, span = 1, at = block;
	uint32_t number;
	int error;

	*hole = 1;
	*start = 0;
	if (at < DIRECT) {
		*start = inode->raw->block[at];
		return 0;
	}
	at -= DIRECT;
	for (unsigned level = 1; level <= LEVELS; level++) {
		span *= per;
		if (at >= span) {
			at -= span;
			continue;
		}
		number = inode->raw->block[DIRECT + level - 1];
		for (uint64_t part = span; number != 0 && part > 1;) {
			part /= per;
			error = pointer(inode, number, (uint32_t)(at / part), &number);
			if (error != 0)
				return error;
			*hole = part - at % part;
			at %= part;
		}
		if (number == 0 && inode->raw->block[DIRECT + level - 1] == 0)
			*hole = span - at;
		*start = number;
		return 0;
	}
	*hole = LAST_BLOCK;	/* behind what the map can name */
	return 0;
}

int
indirect_find(struct inode *inode, uint32_t block, uint32_t count, struct mapping *m)
{
	uint64_t start, next, hole, ignored;
	int error;

	*m = (struct mapping){ .block = block, .count = 1 };
	if (inode_fast_link(inode)) {
		m->count = count;
		return 0;
	}
	error = find_one(inode, block, &start, &hole);
	if (error != 0)
		return error;
	if (start == 0) {
		m->count = (uint32_t)min64(hole, count);
		return 0;
	}
	m->start = start;
	while (m->count < count && m->count < 1024) {
		error = find_one(inode, block + m->count, &next, &ignored);
		if (error != 0)
			return error;
		if (next != start + m->count)
			break;
		m->count++;
	}
	if (!blocks_ok(inode->fs, start, m->count) && inode->number != inode->fs->super->journal_inum)
		return fs_error(inode->fs, -ECORRUPT, "inode %u: blocks from %llu", inode->number,
		    (unsigned long long)start);
	return 0;
}
