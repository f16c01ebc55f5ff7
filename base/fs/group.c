/* SPDX-License-Identifier: MIT */
/*
 * Block groups: their descriptors, which stay in memory while mounted, and
 * their two bitmaps, which are read, checked and, where the flags say that they
 * were never written, made up when somebody needs them.
 */
#include "core.h"

struct ext4_group *
group_desc(struct fs *fs, uint32_t group, struct buffer **buffer)
{
	struct buffer *b = fs->group_buffer[group / fs->groups_per_block];

	if (buffer != NULL)
		*buffer = b;
	return (struct ext4_group *)(void *)(b->data +
	    (size_t)(group % fs->groups_per_block) * fs->group_bytes);
}

static bool
wide_desc(const struct fs *fs)
{
	return fs->group_bytes >= sizeof(struct ext4_group);
}

uint64_t
group_block_bitmap(struct fs *fs, uint32_t group)
{
	const struct ext4_group *g = group_desc(fs, group, NULL);

	return g->block_bitmap_lo | (wide_desc(fs) ? (uint64_t)g->block_bitmap_hi << 32 : 0);
}

uint64_t
group_inode_bitmap(struct fs *fs, uint32_t group)
{
	const struct ext4_group *g = group_desc(fs, group, NULL);

	return g->inode_bitmap_lo | (wide_desc(fs) ? (uint64_t)g->inode_bitmap_hi << 32 : 0);
}

uint64_t
group_inode_table(struct fs *fs, uint32_t group)
{
	const struct ext4_group *g = group_desc(fs, group, NULL);

	return g->inode_table_lo | (wide_desc(fs) ? (uint64_t)g->inode_table_hi << 32 : 0);
}

/* A count in two halves of 16 bits. */
#define GROUP_COUNT(name, field) \
uint32_t \
group_##name(struct fs *fs, uint32_t group) \
{ \
	const struct ext4_group *g = group_desc(fs, group, NULL); \
 \
	return g->field##_lo | (wide_desc(fs) ? (uint32_t)g->field##_hi << 16 : 0); \
} \
void \
group_set_##name(struct fs *fs, uint32_t group, uint32_t count) \
{ \
	struct buffer *b; \
	struct ext4_group *g = group_desc(fs, group, &b); \
 \
	g->field##_lo = (uint16_t)count; \
	if (wide_desc(fs)) \
		g->field##_hi = (uint16_t)(count >> 16); \
	fs->group[group].sum_dirty = true; \
	b->sum = SUM_GROUPS; \
}

GROUP_COUNT(free_blocks, free_blocks)
GROUP_COUNT(free_inodes, free_inodes)
GROUP_COUNT(used_dirs, used_dirs)
GROUP_COUNT(itable_unused, itable_unused)

uint64_t
group_first(struct fs *fs, uint32_t group)
{
	return fs->first_data_block + (uint64_t)group * fs->blocks_per_group;
}

uint32_t
group_size(struct fs *fs, uint32_t group)
{
	return (uint32_t)min64(fs->blocks_per_group, fs->blocks - group_first(fs, group));
}

static bool
is_power(uint32_t n, uint32_t of)
{
	while (n > 1 && n % of == 0)
		n /= of;
	return n == 1;
}

bool
group_has_super(struct fs *fs, uint32_t group)
{
	const struct ext4_super *s = fs->super;

	if (group == 0)
		return true;
	if ((s->feature_compat & COMPAT_SPARSE_SUPER2) != 0)
		return group == s->backup_bgs[0] || group == s->backup_bgs[1];
	if (group == 1 || (s->feature_ro_compat & RO_SPARSE_SUPER) == 0)
		return true;
	return (group & 1) != 0 && (is_power(group, 3) || is_power(group, 5) || is_power(group, 7));
}

/* ---- checksums of descriptors --------------------------------------------------- */

static uint16_t
group_sum(struct fs *fs, uint32_t group)
{
	const uint8_t *g = (const uint8_t *)group_desc(fs, group, NULL);
	const size_t at = offsetof(struct ext4_group, checksum);
	uint16_t zero = 0, crc;
	uint32_t sum;

	if (fs->sums) {
		sum = crc32c(fs->sum_seed, &group, 4);
		sum = crc32c(sum, g, at);
		sum = crc32c(sum, &zero, 2);
		if (fs->group_bytes > at + 2)
			sum = crc32c(sum, g + at + 2, fs->group_bytes - at - 2);
		return (uint16_t)sum;
	}
	crc = crc16(0xffff, fs->super->uuid, 16);
	crc = crc16(crc, &group, 4);
	crc = crc16(crc, g, at);
	if (fs->group_bytes > at + 2)
		crc = crc16(crc, g + at + 2, fs->group_bytes - at - 2);
	return crc;
}

/* All descriptors of a block that were changed. */
void
groups_sum(struct fs *fs, struct buffer *buffer)
{
	uint32_t first = 0, group;

	if (!fs->sums && !fs->gdt_sums)
		return;
	while (first < fs->group_buffers && fs->group_buffer[first] != buffer)
		first++;
	for (uint32_t i = 0; i < fs->groups_per_block; i++) {
		group = first * fs->groups_per_block + i;
		if (group >= fs->groups || !fs->group[group].sum_dirty)
			continue;
		group_desc(fs, group, NULL)->checksum = group_sum(fs, group);
		fs->group[group].sum_dirty = false;
	}
}

void
group_seal(struct fs *fs, uint32_t group)
{
	if (fs->sums || fs->gdt_sums)
		group_desc(fs, group, NULL)->checksum = group_sum(fs, group);
}

static uint64_t
desc_block(struct fs *fs, uint32_t index)
{
	const struct ext4_super *s = fs->super;
	uint32_t group = index * fs->groups_per_block;

	if ((s->feature_incompat & INCOMPAT_META_BG) == 0 || index < s->first_meta_bg)
		return fs->first_data_block + 1 + index;
	return group_first(fs, group) + group_has_super(fs, group);
}

static bool
inside(struct fs *fs, uint64_t block, uint64_t count)
{
	return block > fs->first_data_block && block < fs->blocks && count <= fs->blocks - block;
}

static int
group_check(struct fs *fs, uint32_t group)
{
	if ((fs->sums || fs->gdt_sums) && group_desc(fs, group, NULL)->checksum != group_sum(fs, group)) {
		say(fs, "the checksum of group %u's descriptor is wrong", group);
		return -ECORRUPT;
	}
	if (!inside(fs, group_block_bitmap(fs, group), 1) ||
	    !inside(fs, group_inode_bitmap(fs, group), 1) ||
	    !inside(fs, group_inode_table(fs, group), fs->table_blocks)) {
		say(fs, "group %u's bitmaps or inodes are outside of the file system", group);
		return -ECORRUPT;
	}
	if (group_free_blocks(fs, group) > group_size(fs, group) ||
	    group_free_inodes(fs, group) > fs->inodes_per_group ||
	    group_itable_unused(fs, group) > fs->inodes_per_group) {
		say(fs, "group %u's counts are larger than itself", group);
		return -ECORRUPT;
	}
	return 0;
}

/* ---- what belongs to the file system itself --------------------------------------- */

static int
extent_order(const void *a, const void *b)
{
	const struct extent *x = a, *y = b;

	return x->block < y->block ? -1 : x->block > y->block;
}

static void
system_add(struct fs *fs, uint64_t block, uint64_t count)
{
	fs->system[fs->systems++] = (struct extent){ block, count };
}

static uint32_t
super_and_descs(struct fs *fs, uint32_t group)
{
	const struct ext4_super *s = fs->super;
	bool meta = (s->feature_incompat & INCOMPAT_META_BG) != 0;
	uint32_t index = group / fs->groups_per_block, in_block = group % fs->groups_per_block;
	uint32_t n = group_has_super(fs, group);

	if (!meta || index < s->first_meta_bg) {
		if (n != 0)
			n += (meta ? s->first_meta_bg : fs->group_buffers) + s->reserved_gdt_blocks;
	} else if (in_block <= 1 || in_block == fs->groups_per_block - 1) {
		n++;
	}
	return n;
}

static int
system_collect(struct fs *fs)
{
	const struct journal *j = &fs->journal;
	uint32_t n = 0;

	free(fs->system);
	fs->systems = 0;
	fs->system = calloc((size_t)fs->groups * 4 + j->pieces, sizeof *fs->system);
	if (fs->system == NULL)
		return -ENOMEM;
	for (uint32_t g = 0; g < fs->groups; g++) {
		if (super_and_descs(fs, g) != 0)
			system_add(fs, group_first(fs, g), super_and_descs(fs, g));
		system_add(fs, group_block_bitmap(fs, g), 1);
		system_add(fs, group_inode_bitmap(fs, g), 1);
		system_add(fs, group_inode_table(fs, g), fs->table_blocks);
	}
	for (uint32_t i = 0; i < j->pieces; i++)
		system_add(fs, j->piece[i].block, j->piece[i].count);
	qsort(fs->system, fs->systems, sizeof *fs->system, extent_order);
	for (uint32_t i = 1; i < fs->systems; i++) {
		struct extent *last = &fs->system[n], *e = &fs->system[i];

		if (e->block < last->block + last->count) {
			say(fs, "metadata of groups overlaps at block %llu", (unsigned long long)e->block);
			return -ECORRUPT;
		}
		if (e->block == last->block + last->count)
			last->count += e->count;
		else
			fs->system[++n] = *e;
	}
	fs->systems = n + 1;
	return 0;
}

bool
blocks_ok(struct fs *fs, uint64_t block, uint64_t count)
{
	uint32_t low = 0, high = fs->systems, mid;

	if (!inside(fs, block, count) || count == 0)
		return false;
	while (low < high) {		/* the first that ends behind block */
		mid = low + (high - low) / 2;
		if (fs->system[mid].block + fs->system[mid].count > block)
			high = mid;
		else
			low = mid + 1;
	}
	return low == fs->systems || fs->system[low].block >= block + count;
}

static void
groups_drop(struct fs *fs)
{
	if (fs->group_buffer != NULL)
		for (uint32_t i = 0; i < fs->group_buffers; i++)
			buffer_put(fs, fs->group_buffer[i]);
	free(fs->group_buffer);
	fs->group_buffer = NULL;
	if (fs->group != NULL)
		for (uint32_t i = 0; i < fs->groups; i++)
			free(fs->group[i].busy);
	free(fs->group);
	fs->group = NULL;
}

int
groups_load(struct fs *fs)
{
	int error;

	groups_drop(fs);
	fs->group_buffer = calloc(fs->group_buffers, sizeof(struct buffer *));
	fs->group = calloc(fs->groups, sizeof *fs->group);
	if (fs->group_buffer == NULL || fs->group == NULL)
		return -ENOMEM;
	for (uint32_t i = 0; i < fs->group_buffers; i++)
		buffer_prefetch(fs, desc_block(fs, i));
	for (uint32_t i = 0; i < fs->group_buffers; i++) {
		error = buffer_read(fs, desc_block(fs, i), &fs->group_buffer[i]);
		if (error != 0)
			return error;
	}
	fs->free_blocks = 0;
	fs->free_inodes = fs->directories = 0;
	for (uint32_t g = 0; g < fs->groups; g++) {
		error = group_check(fs, g);
		if (error != 0)
			return error;
		fs->group[g].largest = group_free_blocks(fs, g);
		fs->free_blocks += group_free_blocks(fs, g);
		fs->free_inodes += group_free_inodes(fs, g);
		fs->directories += group_used_dirs(fs, g);
	}
	return system_collect(fs);
}

/* ---- bitmaps -------------------------------------------------------------------------- */

static void
bits_set(uint8_t *map, uint32_t first, uint32_t count)
{
	for (; count > 0 && (first & 7) != 0; first++, count--)
		map[first / 8] |= (uint8_t)(1u << (first & 7));
	memset(map + first / 8, 0xff, count / 8);
	for (first += count & ~7u, count &= 7; count > 0; first++, count--)
		map[first / 8] |= (uint8_t)(1u << (first & 7));
}

/* A bitmap that was never written: the group's own metadata, and nothing else. */
static void
make_block_bitmap(struct fs *fs, uint32_t group, uint8_t *map)
{
	uint64_t first = group_first(fs, group), end = first + group_size(fs, group), from, to;

	memset(map, 0, fs->block_bytes);
	for (uint32_t i = 0; i < fs->systems; i++) {
		from = fs->system[i].block;
		to = from + fs->system[i].count;
		if (to <= first || from >= end)
			continue;
		from = from < first ? first : from;
		to = to > end ? end : to;
		bits_set(map, (uint32_t)(from - first), (uint32_t)(to - from));
	}
	bits_set(map, group_size(fs, group), fs->block_bytes * 8 - group_size(fs, group));
}

static uint32_t
count_zeroes(const uint8_t *map, uint32_t bits)
{
	uint32_t n = 0, i;
	uint64_t word;

	for (i = 0; i + 64 <= bits; i += 64) {
		memcpy(&word, map + i / 8, 8);
		n += 64 - (uint32_t)__builtin_popcountll(word);
	}
	for (; i < bits; i++)
		n += (map[i / 8] >> (i & 7) & 1) == 0;
	return n;
}

static uint32_t
bitmap_stored_sum(struct fs *fs, uint32_t group, bool inodes)
{
	const struct ext4_group *g = group_desc(fs, group, NULL);

	if (!wide_desc(fs))
		return inodes ? g->inode_bitmap_csum_lo : g->block_bitmap_csum_lo;
	return inodes ? g->inode_bitmap_csum_lo | (uint32_t)g->inode_bitmap_csum_hi << 16 :
	    g->block_bitmap_csum_lo | (uint32_t)g->block_bitmap_csum_hi << 16;
}

static uint32_t
bitmap_real_sum(struct fs *fs, const uint8_t *map, bool inodes)
{
	uint32_t bits = inodes ? fs->inodes_per_group : fs->blocks_per_group;
	uint32_t sum = crc32c(fs->sum_seed, map, bits / 8);

	return wide_desc(fs) ? sum : sum & 0xffff;
}

void
group_bitmap_seal(struct fs *fs, uint32_t group, uint64_t block)
{
	struct ext4_group *g = group_desc(fs, group, NULL);
	struct buffer *b = buffer_peek(fs, block);
	uint32_t sum;

	if (!fs->sums || b == NULL)
		return;
	sum = bitmap_real_sum(fs, b->data, false);
	g->block_bitmap_csum_lo = (uint16_t)sum;
	if (wide_desc(fs))
		g->block_bitmap_csum_hi = (uint16_t)(sum >> 16);
}

void
bitmap_sum(struct fs *fs, struct buffer *b)
{
	bool inodes = b->sum == SUM_INODE_BITMAP;
	uint32_t group = b->sum_seed, sum;
	struct ext4_group *g;

	if (!fs->sums)
		return;
	g = group_desc(fs, group, NULL);
	sum = bitmap_real_sum(fs, b->data, inodes);
	if (inodes)
		g->inode_bitmap_csum_lo = (uint16_t)sum;
	else
		g->block_bitmap_csum_lo = (uint16_t)sum;
	if (wide_desc(fs) && inodes)
		g->inode_bitmap_csum_hi = (uint16_t)(sum >> 16);
	if (wide_desc(fs) && !inodes)
		g->block_bitmap_csum_hi = (uint16_t)(sum >> 16);
	fs->group[group].sum_dirty = true;
}

static int
bitmap_check(struct fs *fs, uint32_t group, struct buffer *b, bool inodes)
{
	uint32_t bits = inodes ? fs->inodes_per_group : group_size(fs, group);
	uint32_t told = inodes ? group_free_inodes(fs, group) : group_free_blocks(fs, group);

	if (fs->sums && bitmap_stored_sum(fs, group, inodes) != bitmap_real_sum(fs, b->data, inodes))
		return fs_error(fs, -ECORRUPT, "the checksum of group %u's %s bitmap is wrong", group,
		    inodes ? "inode" : "block");
	if (count_zeroes(b->data, bits) != told)
		return fs_error(fs, -ECORRUPT, "group %u's %s bitmap has %u free, its descriptor %u", group,
		    inodes ? "inode" : "block", count_zeroes(b->data, bits), told);
	return 0;
}

static int
load_bitmap(struct fs *fs, uint32_t group, bool inodes, struct buffer **buffer)
{
	uint64_t block = inodes ? group_inode_bitmap(fs, group) : group_block_bitmap(fs, group);
	uint16_t unset = inodes ? GROUP_INODE_UNINIT : GROUP_BLOCK_UNINIT;
	struct buffer *b;
	int error;

	if ((fs->sums || fs->gdt_sums) && (group_desc(fs, group, NULL)->flags & unset) != 0) {
		error = buffer_get(fs, block, &b);
		if (error != 0)
			return error;
		buffer_wait_io(b);
		/* again: somebody may have been faster while this one slept */
		if ((group_desc(fs, group, NULL)->flags & unset) != 0 && !(b->valid && b->verified)) {
			if (inodes) {
				memset(b->data, 0, fs->block_bytes);
				bits_set(b->data, fs->inodes_per_group,
				    fs->block_bytes * 8 - fs->inodes_per_group);
			} else {
				make_block_bitmap(fs, group, b->data);
			}
			b->valid = true;
			b->error = 0;
		}
	} else {
		error = buffer_read(fs, block, &b);
		if (error != 0)
			return error;
	}
	b->sum = inodes ? SUM_INODE_BITMAP : SUM_BLOCK_BITMAP;
	b->sum_seed = group;
	if (!b->verified) {
		if ((group_desc(fs, group, NULL)->flags & unset) == 0)
			error = bitmap_check(fs, group, b, inodes);
		else if (!inodes && count_zeroes(b->data, group_size(fs, group)) !=
		    group_free_blocks(fs, group))
			error = fs_error(fs, -ECORRUPT, "group %u was never used, but has blocks missing",
			    group);
		if (error != 0) {
			buffer_put(fs, b);
			return error;
		}
		b->verified = true;
	}
	*buffer = b;
	return 0;
}

int
group_load_block_bitmap(struct fs *fs, uint32_t group, struct buffer **buffer)
{
	return load_bitmap(fs, group, false, buffer);
}

int
group_load_inode_bitmap(struct fs *fs, uint32_t group, struct buffer **buffer)
{
	return load_bitmap(fs, group, true, buffer);
}
