/* SPDX-License-Identifier: MIT */
/*
 * A file system that is smaller than its partition grows at mount.  First its last
 * group is filled up, then groups are added, at most one block of descriptors
 * at a time, each step one transaction.
 *
 * New groups hold their own bitmaps and inodes; flags say that these were never
 * written, so nothing of them is (but the last group's block bitmap).  A new
 * block of descriptors comes from those that mke2fs has reserved: inode 7 owns
 * them, its double indirect block names each, and each names its copies in the
 * groups with a backup.
 */
#include "core.h"

enum { LEAST_FREE = 64, DIND = 13, STEP_CREDITS = 24 };

struct growth {
	struct fs *fs;
	struct handle *h;
	uint64_t blocks;		/* of the whole, afterwards */
	uint32_t groups;
	uint32_t backups;		/* groups with a copy of the superblock, group 0 apart */
	struct inode *resize;
	uint64_t overhead;		/* new blocks of metadata */
};

static uint64_t
first_of(const struct fs *fs, uint32_t group)
{
	return fs->first_data_block + (uint64_t)group * fs->blocks_per_group;
}

static uint32_t
size_of(const struct growth *g, uint32_t group)
{
	return (uint32_t)min64(g->fs->blocks_per_group, g->blocks - first_of(g->fs, group));
}

/* Superblock, descriptors and reserved ones at the start of a group. */
static uint32_t
head_of(struct fs *fs, uint32_t group)
{
	return group_has_super(fs, group) ? 1 + fs->group_buffers + fs->super->reserved_gdt_blocks : 0;
}

static uint32_t
overhead_of(struct fs *fs, uint32_t group)
{
	return head_of(fs, group) + 2 + fs->table_blocks;
}

/* How far this step goes; false: there is nothing to gain. */
static bool
plan(struct growth *g)
{
	struct fs *fs = g->fs;
	uint64_t limit = fs->disk->bytes >> fs->block_bits, end, last;
	uint32_t room = fs->group_buffers * fs->groups_per_block;

	if (!fs->wide && limit > 0xffffffffu)
		limit = 0xffffffffu;
	/* up to the end of this block of descriptors, or of the next one if that is full */
	if (fs->groups == room && fs->super->reserved_gdt_blocks != 0)
		room += fs->groups_per_block;
	end = first_of(fs, room);
	g->blocks = limit < end ? limit : end;
	g->groups = (uint32_t)((g->blocks - fs->first_data_block + fs->blocks_per_group - 1) /
	    fs->blocks_per_group);
	last = g->blocks - first_of(fs, g->groups - 1);
	if (g->groups > fs->groups && last < overhead_of(fs, g->groups - 1) + LEAST_FREE)
		g->blocks = first_of(fs, --g->groups);
	return g->blocks > fs->blocks &&
	    (uint64_t)g->groups * fs->inodes_per_group <= 0xffffffffu;
}

/* ---- the reserved blocks of descriptors ------------------------------------------------- */

static int
resize_open(struct growth *g)
{
	struct fs *fs = g->fs;
	int error = inode_get_system(fs, RESIZE_INODE, &g->resize);

	if (error == 0 && (g->resize->raw->block[DIND] == 0 ||
	    g->resize->raw->block[DIND] >= fs->blocks)) {
		say(fs, "the inode of reserved descriptors is not what it should be");
		error = -ECORRUPT;
	}
	for (uint32_t i = 1; i < fs->groups; i++)
		g->backups += group_has_super(fs, i);
	return error;
}

/* Change one word of a block of pointers, which must be `old` now. */
static int
set_pointer(struct growth *g, uint64_t block, uint32_t index, uint32_t old, uint32_t new)
{
	struct fs *fs = g->fs;
	struct buffer *b;
	uint32_t value;
	int error = buffer_read(fs, block, &b);

	if (error != 0)
		return error;
	error = journal_access(g->h, b);
	if (error == 0) {
		memcpy(&value, b->data + (size_t)index * 4, 4);
		if (value != old)
			error = fs_error(fs, -ECORRUPT, "a block of reserved descriptors has %u where %u should be",
			    value, old);
		else
			memcpy(b->data + (size_t)index * 4, &new, 4);
	}
	buffer_put(fs, b);
	return error;
}

/* The next reserved block becomes one of descriptors. */
static int
take_reserved(struct growth *g)
{
	struct fs *fs = g->fs;
	uint32_t index = fs->group_buffers, block = fs->first_data_block + 1 + index;
	struct buffer **bigger, *b;
	int error = set_pointer(g, g->resize->raw->block[DIND], index % (fs->block_bytes / 4), block, 0);

	if (error != 0)
		return error;
	bigger = realloc(fs->group_buffer, (index + 1) * sizeof(struct buffer *));
	if (bigger == NULL)
		return -ENOMEM;
	fs->group_buffer = bigger;
	error = journal_new(g->h, block, &b);
	if (error != 0)
		return error;
	fs->group_buffer[fs->group_buffers++] = b;
	fs->super->reserved_gdt_blocks--;
	inode_add_blocks(g->resize, -(int64_t)(g->backups + 1));
	return 0;
}

/* A new group with a backup: each reserved block has a copy there. */
static int
reserve_copies(struct growth *g, uint32_t group)
{
	struct fs *fs = g->fs;
	int error = 0;

	for (uint32_t i = 0; i < fs->super->reserved_gdt_blocks && error == 0; i++) {
		uint32_t at = 1 + fs->group_buffers + i;

		error = set_pointer(g, fs->first_data_block + at, g->backups, 0,
		    (uint32_t)(first_of(fs, group) + at));
	}
	inode_add_blocks(g->resize, fs->super->reserved_gdt_blocks);
	g->backups++;
	return error;
}

/* ---- groups -------------------------------------------------------------------------------- */

static int
fill_last_group(struct growth *g)
{
	struct fs *fs = g->fs;
	uint32_t group = fs->groups - 1, old = group_size(fs, group), new = size_of(g, group);
	struct buffer *map, *desc;
	int error;

	if (new == old)
		return 0;
	error = group_load_block_bitmap(fs, group, &map);
	if (error != 0)
		return error;
	group_desc(fs, group, &desc);
	error = journal_access(g->h, map);
	if (error == 0)
		error = journal_access(g->h, desc);
	if (error == 0) {
		for (uint32_t bit = old; bit < new; bit++)
			map->data[bit / 8] &= (uint8_t)~(1u << (bit % 8));
		group_desc(fs, group, NULL)->flags &= (uint16_t)~GROUP_BLOCK_UNINIT;
		group_set_free_blocks(fs, group, group_free_blocks(fs, group) + new - old);
		fs->free_blocks += new - old;
	}
	buffer_put(fs, map);
	return error;
}

/* The last group's bitmap is written: its end is not where a group's end is. */
static int
write_bitmap(struct growth *g, uint64_t block, uint32_t used, uint32_t size)
{
	struct fs *fs = g->fs;
	struct buffer *b;
	int error = buffer_get(fs, block, &b);

	if (error != 0)
		return error;
	error = journal_access(g->h, b);
	if (error == 0) {
		memset(b->data, 0, fs->block_bytes);
		for (uint32_t bit = 0; bit < fs->block_bytes * 8; bit++)
			if (bit < used || bit >= size)
				b->data[bit / 8] |= (uint8_t)(1u << (bit % 8));
		b->valid = true;
	}
	buffer_put(fs, b);
	return error;
}

static int
add_group(struct growth *g, uint32_t group)
{
	struct fs *fs = g->fs;
	uint64_t first = first_of(fs, group) + head_of(fs, group);
	uint32_t used = overhead_of(fs, group), size = size_of(g, group);
	struct ext4_group *d;
	struct buffer *b;
	int error = 0;

	d = group_desc(fs, group, &b);
	error = journal_access(g->h, b);
	if (error != 0)
		return error;
	memset(d, 0, fs->group_bytes);
	d->block_bitmap_lo = (uint32_t)first;
	d->inode_bitmap_lo = (uint32_t)(first + 1);
	d->inode_table_lo = (uint32_t)(first + 2);
	d->free_blocks_lo = (uint16_t)(size - used);
	d->free_inodes_lo = d->itable_unused_lo = (uint16_t)fs->inodes_per_group;
	d->flags = GROUP_INODE_UNINIT | (size == fs->blocks_per_group ? GROUP_BLOCK_UNINIT : 0);
	if (fs->group_bytes >= sizeof *d) {
		d->block_bitmap_hi = (uint32_t)(first >> 32);
		d->inode_bitmap_hi = (uint32_t)((first + 1) >> 32);
		d->inode_table_hi = (uint32_t)((first + 2) >> 32);
	}
	if (size != fs->blocks_per_group) {
		error = write_bitmap(g, first, used, size);
		if (error == 0)
			group_bitmap_seal(fs, group, first);
	}
	group_seal(fs, group);
	fs->free_blocks += size - used;
	fs->free_inodes += fs->inodes_per_group;
	g->overhead += used;
	return error;
}

static void
set_super(struct growth *g)
{
	struct fs *fs = g->fs;
	struct ext4_super *s = fs->super;
	uint64_t kept = s->r_blocks_count_lo | (fs->wide ? (uint64_t)s->r_blocks_count_hi << 32 : 0);

	kept = kept * (g->blocks >> 4) / ((fs->blocks >> 4) + 1);
	s->r_blocks_count_lo = (uint32_t)kept;
	s->blocks_count_lo = (uint32_t)g->blocks;
	if (fs->wide) {
		s->r_blocks_count_hi = (uint32_t)(kept >> 32);
		s->blocks_count_hi = (uint32_t)(g->blocks >> 32);
	}
	s->inodes_count = g->groups * fs->inodes_per_group;
	if (s->overhead_blocks != 0)
		s->overhead_blocks += (uint32_t)g->overhead;
}

static int
grow_all(struct growth *g)
{
	struct fs *fs = g->fs;
	int error = fill_last_group(g);

	if (error == 0)
		error = journal_access(g->h, fs->super_buffer);
	if (error == 0 && g->groups > fs->group_buffers * fs->groups_per_block)
		error = take_reserved(g);
	for (uint32_t group = fs->groups; group < g->groups && error == 0; group++) {
		error = add_group(g, group);
		if (error == 0 && group_has_super(fs, group) && fs->super->reserved_gdt_blocks != 0)
			error = reserve_copies(g, group);
	}
	if (error == 0 && g->resize != NULL)
		error = inode_store(g->h, g->resize);
	if (error == 0)
		set_super(g);
	return error;
}

/* ---- copies ------------------------------------------------------------------------------------ */

/* Backups are for repair after great damage: they are brought up to date in the
 * end, outside of the journal, as far as that goes. */
static void
write_backups(struct fs *fs, uint32_t groups)
{
	uint8_t *memory = memory_get(fs);
	struct ext4_super *s = (struct ext4_super *)(void *)memory;

	for (uint32_t group = 1; memory != NULL && group < groups; group++) {
		uint64_t at = first_of(fs, group) << fs->block_bits;

		if (!group_has_super(fs, group))
			continue;
		memset(memory, 0, fs->block_bytes);
		*s = *fs->super;
		s->block_group_nr = (uint16_t)group;
		s->feature_incompat &= ~(uint32_t)INCOMPAT_RECOVER;
		if (fs->sums)
			s->checksum = crc32c(~0u, s, offsetof(struct ext4_super, checksum));
		if (disk_transfer(fs, DISK_WRITE, 0, at, memory, fs->block_bytes) != 0)
			break;
		for (uint32_t i = 0; i < fs->group_buffers; i++)
			if (disk_transfer(fs, DISK_WRITE, 0, at + ((uint64_t)(i + 1) << fs->block_bits),
			    fs->group_buffer[i]->data, fs->block_bytes) != 0)
				break;
	}
	if (memory != NULL)
		memory_put(fs, memory);
}

/* 1: it has grown, and must be mounted anew; 0: there is nothing to do. */
int
grow_step(struct fs *fs)
{
	const struct ext4_super *s = fs->super;
	struct growth g = { .fs = fs };
	struct handle h;
	bool resize = (s->feature_compat & COMPAT_RESIZE_INODE) != 0;
	int error = 0;

	if ((s->feature_incompat & INCOMPAT_META_BG) != 0 || (!fs->sums && !fs->gdt_sums) ||
	    (s->feature_compat & COMPAT_SPARSE_SUPER2) != 0 || (!resize && s->reserved_gdt_blocks != 0) ||
	    fs->journal.max_transaction < s->reserved_gdt_blocks + (uint32_t)STEP_CREDITS || !plan(&g))
		return 0;
	if (resize)
		error = resize_open(&g);
	if (error == 0)
		error = journal_start(fs, s->reserved_gdt_blocks + STEP_CREDITS, &h);
	if (error == 0) {
		g.h = &h;
		error = grow_all(&g);
		journal_stop(&h);
		if (error != 0)		/* half of it must not be committed */
			error = fs_error(fs, -ECORRUPT, "growing failed: error %d", -error);
	}
	if (error == 0)
		error = journal_commit(fs, fs->journal.running->id);
	if (error == 0) {
		write_backups(fs, g.groups);
		say(fs, "grown from %llu to %llu blocks", (unsigned long long)fs->blocks,
		    (unsigned long long)g.blocks);
	}
	inode_put(g.resize);
	return error != 0 ? error : 1;
}
