/* SPDX-License-Identifier: MIT */
/*
 * Inodes: the cache of those in use, their fields, new and deleted ones, and
 * the list of orphans: inodes without a name, or in the middle of a truncate,
 * that a mount after a power cut must finish.  The list goes through i_dtime.
 */
#include "core.h"

/* ---- fields ----------------------------------------------------------------------- */

uint64_t
inode_size(const struct inode *inode)
{
	const struct ext4_inode *raw = inode->raw;

	if ((raw->mode & 0xf000) == 0x8000 || (raw->mode & 0xf000) == 0x4000)
		return raw->size_lo | (uint64_t)raw->size_hi << 32;
	return raw->size_lo;
}

void
inode_set_size(struct inode *inode, uint64_t size)
{
	inode->raw->size_lo = (uint32_t)size;
	inode->raw->size_hi = (uint32_t)(size >> 32);
}

uint64_t
inode_blocks(struct inode *inode)
{
	const struct ext4_inode *raw = inode->raw;
	uint64_t n = raw->blocks_lo;

	if ((inode->fs->super->feature_ro_compat & RO_HUGE_FILE) == 0)
		return n;
	n |= (uint64_t)raw->blocks_hi << 32;
	return (raw->flags & INODE_HUGE_FILE) != 0 ? n << (inode->fs->block_bits - 9) : n;
}

void
inode_add_blocks(struct inode *inode, int64_t fs_blocks)
{
	struct ext4_inode *raw = inode->raw;
	uint64_t n = inode_blocks(inode) + (uint64_t)(fs_blocks * (1 << (inode->fs->block_bits - 9)));

	raw->flags &= ~(uint32_t)INODE_HUGE_FILE;
	if (n >> 48 != 0) {
		raw->flags |= INODE_HUGE_FILE;
		n >>= inode->fs->block_bits - 9;
	}
	raw->blocks_lo = (uint32_t)n;
	raw->blocks_hi = (uint16_t)(n >> 32);
}

uint32_t
inode_uid(const struct inode *inode)
{
	return inode->raw->uid | (uint32_t)inode->raw->uid_hi << 16;
}

uint32_t
inode_gid(const struct inode *inode)
{
	return inode->raw->gid | (uint32_t)inode->raw->gid_hi << 16;
}

bool
inode_is_dir(const struct inode *inode)
{
	return (inode->raw->mode & 0xf000) == 0x4000;
}

uint64_t
inode_xattr_block(const struct inode *inode)
{
	return inode->raw->file_acl_lo |
	    (inode->fs->wide ? (uint64_t)inode->raw->file_acl_hi << 32 : 0);
}

void
inode_set_xattr_block(struct inode *inode, uint64_t block)
{
	inode->raw->file_acl_lo = (uint32_t)block;
	inode->raw->file_acl_hi = (uint16_t)(block >> 32);
}

/* A symbolic link whose target lies in the inode. */
bool
inode_fast_link(struct inode *inode)
{
	uint64_t own = inode_xattr_block(inode) != 0 ? inode->fs->block_bytes / 512 : 0;

	return (inode->raw->mode & 0xf000) == 0xa000 && inode_blocks(inode) == own &&
	    (inode->raw->flags & INODE_EXTENTS) == 0;
}

/* Has the inode room for the field that ends at byte `end`? */
static bool
has_field(const struct inode *inode, size_t end)
{
	return inode->fs->inode_bytes > INODE_BASE && (size_t)INODE_BASE + inode->raw->extra_isize >= end;
}

#define FIELD_END(field) (offsetof(struct ext4_inode, field) + sizeof((struct ext4_inode *)0)->field)

static struct fs_time
decode_time(uint32_t seconds, uint32_t extra, bool has_extra)
{
	struct fs_time time = { .seconds = (int32_t)seconds };

	if (has_extra) {
		time.seconds += (int64_t)(extra & 3) << 32;
		time.nanoseconds = extra >> 2;
		if (time.nanoseconds > 999999999)
			time.nanoseconds = 0;
	}
	return time;
}

static void
encode_time(const struct fs_time *time, uint32_t *seconds, uint32_t *extra, bool has_extra)
{
	int64_t s = time->seconds, low = -0x80000000LL, high = has_extra ? 0x37fffffffLL : 0x7fffffffLL;

	s = s < low ? low : s > high ? high : s;
	*seconds = (uint32_t)s;
	if (has_extra)
		*extra = (uint32_t)(((s - (int32_t)s) >> 32) & 3) |
		    (time->nanoseconds < 1000000000 ? time->nanoseconds : 0) << 2;
}

void
inode_set_time(struct inode *inode, enum inode_time which, const struct fs_time *time)
{
	struct ext4_inode *raw = inode->raw;
	uint32_t ignored;

	switch (which) {
	case TIME_A:
		encode_time(time, &raw->atime, has_field(inode, FIELD_END(atime_extra)) ?
		    &raw->atime_extra : &ignored, has_field(inode, FIELD_END(atime_extra)));
		break;
	case TIME_M:
		encode_time(time, &raw->mtime, has_field(inode, FIELD_END(mtime_extra)) ?
		    &raw->mtime_extra : &ignored, has_field(inode, FIELD_END(mtime_extra)));
		break;
	case TIME_C:
		encode_time(time, &raw->ctime, has_field(inode, FIELD_END(ctime_extra)) ?
		    &raw->ctime_extra : &ignored, has_field(inode, FIELD_END(ctime_extra)));
		break;
	case TIME_B:
		if (has_field(inode, FIELD_END(crtime_extra)))
			encode_time(time, &raw->crtime, &raw->crtime_extra, true);
		break;
	}
}

static uint64_t
inode_rdev(const struct inode *inode)
{
	uint16_t type = inode->raw->mode & 0xf000;

	if (type != 0x2000 && type != 0x6000)
		return 0;
	return inode->raw->block[0] != 0 ? inode->raw->block[0] & 0xffff : inode->raw->block[1];
}

void
inode_attributes(struct inode *inode, struct fs_attributes *to)
{
	const struct ext4_inode *raw = inode->raw;

	memset(to, 0, sizeof *to);
	to->inode = inode->number;
	to->generation = raw->generation;
	to->mode = raw->mode;
	to->nlink = raw->links;
	to->uid = inode_uid(inode);
	to->gid = inode_gid(inode);
	to->rdev = inode_rdev(inode);
	to->size = inode_size(inode);
	to->blocks = inode_blocks(inode);
	to->flags = raw->flags & INODE_USER_VISIBLE;
	to->atime = decode_time(raw->atime, raw->atime_extra, has_field(inode, FIELD_END(atime_extra)));
	to->mtime = decode_time(raw->mtime, raw->mtime_extra, has_field(inode, FIELD_END(mtime_extra)));
	to->ctime = decode_time(raw->ctime, raw->ctime_extra, has_field(inode, FIELD_END(ctime_extra)));
	if (has_field(inode, FIELD_END(crtime_extra)))
		to->btime = decode_time(raw->crtime, raw->crtime_extra, true);
}

/* ---- on the disk --------------------------------------------------------------------- */

static uint32_t
raw_checksum(const struct inode *inode)
{
	const uint8_t *raw = (const uint8_t *)inode->raw;
	uint32_t bytes = inode->fs->inode_bytes, sum = inode->sum_seed;
	const size_t low = offsetof(struct ext4_inode, checksum_lo);
	const size_t high = offsetof(struct ext4_inode, checksum_hi);
	const uint16_t zero = 0;

	sum = crc32c(sum, raw, low);
	sum = crc32c(sum, &zero, 2);
	sum = crc32c(sum, raw + low + 2, INODE_BASE - low - 2);
	if (bytes == INODE_BASE)
		return sum;
	if (!has_field(inode, high + 2))
		return crc32c(sum, raw + INODE_BASE, bytes - INODE_BASE);
	sum = crc32c(sum, raw + INODE_BASE, high - INODE_BASE);
	sum = crc32c(sum, &zero, 2);
	return crc32c(sum, raw + high + 2, bytes - high - 2);
}

static void
set_seed(struct inode *inode)
{
	uint32_t seed = crc32c(inode->fs->sum_seed, &inode->number, 4);

	inode->sum_seed = crc32c(seed, &inode->raw->generation, 4);
}

static bool
checksum_ok(const struct inode *inode)
{
	uint32_t sum = raw_checksum(inode);

	if (inode->raw->checksum_lo != (uint16_t)sum)
		return false;
	return !has_field(inode, FIELD_END(checksum_hi)) || inode->raw->checksum_hi == sum >> 16;
}

static int
read_table(struct fs *fs, uint32_t number, struct buffer **buffer, uint32_t *offset)
{
	uint32_t group = (number - 1) / fs->inodes_per_group, index = (number - 1) % fs->inodes_per_group;
	uint64_t block = group_inode_table(fs, group) + index / fs->inodes_per_block;

	*offset = index % fs->inodes_per_block * fs->inode_bytes;
	return buffer_read(fs, block, buffer);
}

int
inode_store(struct handle *h, struct inode *inode)
{
	struct fs *fs = h->fs;
	struct buffer *b;
	uint32_t offset, sum;
	int error = read_table(fs, inode->number, &b, &offset);

	if (error != 0)
		return error;
	error = journal_access(h, b);
	if (error == 0) {
		if (fs->sums) {
			sum = raw_checksum(inode);
			inode->raw->checksum_lo = (uint16_t)sum;
			if (has_field(inode, FIELD_END(checksum_hi)))
				inode->raw->checksum_hi = (uint16_t)(sum >> 16);
		}
		memcpy(b->data + offset, inode->raw, fs->inode_bytes);
		inode->transaction = h->transaction->id;
		/* Names are a directory's data: SQLite, for one, syncs them by fdatasync. */
		if (inode_is_dir(inode))
			inode->data_transaction = inode->transaction;
	}
	buffer_put(fs, b);
	return error;
}

static bool
all_zero(const void *bytes, size_t count)
{
	const uint8_t *p = bytes;

	while (count-- > 0)
		if (*p++ != 0)
			return false;
	return true;
}

static int
check_raw(struct inode *inode)
{
	struct fs *fs = inode->fs;
	const struct ext4_inode *raw = inode->raw;
	uint16_t type = raw->mode & 0xf000;

	if (all_zero(raw, INODE_BASE))
		return -ESTALE;
	if (fs->inode_bytes > INODE_BASE && (raw->extra_isize > fs->inode_bytes - INODE_BASE ||
	    raw->extra_isize % 4 != 0))
		return fs_error(fs, -ECORRUPT, "inode %u: extra size %u", inode->number, raw->extra_isize);
	if (fs->sums && !checksum_ok(inode))
		return fs_error(fs, -ECORRUPT, "inode %u: wrong checksum", inode->number);
	if (inode->number >= fs->super->first_ino || inode->number == ROOT_INODE)
		if (type != 0x8000 && type != 0x4000 && type != 0xa000 && type != 0x2000 &&
		    type != 0x6000 && type != 0x1000 && type != 0xc000)
			return raw->links == 0 ? -ESTALE :
			    fs_error(fs, -ECORRUPT, "inode %u: mode %o", inode->number, raw->mode);
	if (inode_size(inode) >> 63 != 0 || (type == 0x4000 && inode_size(inode) >> 32 != 0))
		return fs_error(fs, -ECORRUPT, "inode %u: size %llu", inode->number,
		    (unsigned long long)inode_size(inode));
	if ((raw->flags & (INODE_INLINE_DATA | INODE_ENCRYPT | INODE_EA_INODE)) != 0)
		return fs_error(fs, -ECORRUPT, "inode %u: flags %#x of features that are not on",
		    inode->number, raw->flags);
	return 0;
}

/* ---- the cache ------------------------------------------------------------------------- */

static struct inode **
bucket_of(struct fs *fs, uint32_t number)
{
	return &fs->inode_bucket[number % INODE_BUCKETS];
}

static struct inode *
inode_peek(struct fs *fs, uint32_t number)
{
	struct inode *inode = *bucket_of(fs, number);

	while (inode != NULL && inode->number != number)
		inode = inode->hash_next;
	return inode;
}

static void
age_remove(struct fs *fs, struct inode *inode)
{
	if (inode->older == NULL && inode->newer == NULL && fs->inode_oldest != inode)
		return;
	if (inode->older != NULL)
		inode->older->newer = inode->newer;
	else
		fs->inode_oldest = inode->newer;
	if (inode->newer != NULL)
		inode->newer->older = inode->older;
	else
		fs->inode_newest = inode->older;
	inode->older = inode->newer = NULL;
}

/* A later fsync must still know that something of it may not be stable. */
static void
remember(struct fs *fs, const struct inode *inode)
{
	if (inode->transaction > fs->left_transaction)
		fs->left_transaction = inode->transaction;
	if (inode->written > fs->left_written)
		fs->left_written = inode->written;
}

static void
inode_drop(struct inode *inode)
{
	struct fs *fs = inode->fs;
	struct inode **link = bucket_of(fs, inode->number);

	remember(fs, inode);

	age_remove(fs, inode);
	while (*link != inode)
		link = &(*link)->hash_next;
	*link = inode->hash_next;
	fs->inodes_cached--;
	free(inode->raw);
	free(inode);
}

static struct inode *
inode_make(struct fs *fs, uint32_t number)
{
	struct inode *inode;

	while (fs->inodes_cached >= fs->inodes_max && fs->inode_oldest != NULL)
		inode_drop(fs->inode_oldest);
	inode = calloc(1, sizeof *inode);
	if (inode == NULL)
		return NULL;
	/* at least the whole structure: fields that are not there read as zero */
	inode->raw = calloc(1, fs->inode_bytes < sizeof *inode->raw ? sizeof *inode->raw : fs->inode_bytes);
	if (inode->raw == NULL) {
		free(inode);
		return NULL;
	}
	inode->fs = fs;
	inode->number = number;
	inode->refs = 1;
	/* It may have been changed, and forgotten since: fsync must not believe it is clean. */
	if (fs->journal.running != NULL)
		inode->transaction = inode->data_transaction = fs->journal.running->id;
	inode->written = fs->written;
	inode->hash_next = *bucket_of(fs, number);
	*bucket_of(fs, number) = inode;
	fs->inodes_cached++;
	return inode;
}

void
inode_put(struct inode *inode)
{
	struct fs *fs;

	if (inode == NULL || --inode->refs != 0)
		return;
	fs = inode->fs;
	if (inode->bad) {
		inode_drop(inode);
		return;
	}
	inode->older = fs->inode_newest;
	if (fs->inode_newest != NULL)
		fs->inode_newest->newer = inode;
	else
		fs->inode_oldest = inode;
	fs->inode_newest = inode;
}

static int
inode_load(struct fs *fs, uint32_t number, struct inode **result)
{
	struct inode *inode = inode_peek(fs, number);
	struct buffer *b;
	uint32_t offset;
	int error;

	if (inode != NULL) {
		age_remove(fs, inode);
		inode->refs++;
		while (inode->loading)
			fiber_wait(&inode->waiters);
		if (inode->bad) {
			error = inode->deleting ? -ESTALE : -EIO;
			inode_put(inode);
			return error;
		}
		*result = inode;
		return 0;
	}
	inode = inode_make(fs, number);
	if (inode == NULL)
		return -ENOMEM;
	inode->loading = true;
	inode->transaction = inode->data_transaction = fs->left_transaction;
	inode->written = fs->left_written;
	error = read_table(fs, number, &b, &offset);
	if (error == 0) {
		memcpy(inode->raw, b->data + offset, fs->inode_bytes);
		buffer_put(fs, b);
		set_seed(inode);
		error = check_raw(inode);
	}
	inode->loading = false;
	fiber_wake_all(&inode->waiters);
	if (error != 0) {
		inode->bad = true;
		inode_put(inode);
		return error;
	}
	*result = inode;
	return 0;
}

int
inode_get_system(struct fs *fs, uint32_t number, struct inode **result)
{
	return inode_load(fs, number, result);
}

int
inode_get(struct fs *fs, uint32_t number, struct inode **result)
{
	bool journal = fs->super != NULL && number == fs->super->journal_inum &&
	    (!fs->mounted || fs->read_only);	/* a remount reads it, too */
	struct inode *inode;
	int error;

	if (number == 0 || number > fs->inodes ||
	    (number < fs->super->first_ino && number != ROOT_INODE && !journal))
		return -ESTALE;
	error = inode_load(fs, number, &inode);
	if (error != 0)
		return error;
	if (inode->deleting || (inode->raw->links == 0 && !inode->orphan)) {
		inode_put(inode);
		return -ESTALE;
	}
	*result = inode;
	return 0;
}

void
inodes_free(struct fs *fs)
{
	struct inode *inode, *next;

	for (unsigned i = 0; i < INODE_BUCKETS; i++) {
		for (inode = fs->inode_bucket[i]; inode != NULL; inode = next) {
			next = inode->hash_next;
			free(inode->raw);
			free(inode);
		}
		fs->inode_bucket[i] = NULL;
	}
	fs->inode_oldest = fs->inode_newest = NULL;
	fs->orphan_first = NULL;
	fs->inodes_cached = 0;
}

/* ---- new ones ------------------------------------------------------------------------------ */

static bool
group_good_for_dir(struct fs *fs, uint32_t group, bool top)
{
	uint32_t inodes = fs->free_inodes / fs->groups, dirs = fs->directories / fs->groups;
	uint64_t blocks = fs->free_blocks / fs->groups;

	if (group_free_inodes(fs, group) == 0)
		return false;
	if (top)
		return group_free_inodes(fs, group) >= inodes && group_free_blocks(fs, group) >= blocks &&
		    group_used_dirs(fs, group) <= dirs;
	return group_free_inodes(fs, group) + fs->inodes_per_group / 4 >= inodes &&
	    group_free_blocks(fs, group) + fs->blocks_per_group / 4 >= blocks &&
	    group_used_dirs(fs, group) < dirs + fs->inodes_per_group / 16 + 1;
}

/* Directories of the root are spread, others stay near their parent (after
 * Orlov); files go where their directory is. */
static uint32_t
choose_group(struct fs *fs, const struct inode *dir, bool is_dir)
{
	uint32_t parent = (dir->number - 1) / fs->inodes_per_group, group;
	bool top = dir->number == ROOT_INODE || (dir->raw->flags & INODE_TOPDIR) != 0;

	if (is_dir) {
		uint32_t start = top ? (uint32_t)(fs_random(fs) % fs->groups) : parent;

		for (uint32_t i = 0; i < fs->groups; i++) {
			group = (start + i) % fs->groups;
			if (group_good_for_dir(fs, group, top))
				return group;
		}
		return parent;
	}
	if (group_free_inodes(fs, parent) != 0 && group_free_blocks(fs, parent) != 0)
		return parent;
	group = (uint32_t)(((uint64_t)parent + dir->number) % fs->groups);
	for (uint32_t i = 1; i < fs->groups; i *= 2) {
		group = (uint32_t)(((uint64_t)group + i) % fs->groups);
		if (group_free_inodes(fs, group) != 0 && group_free_blocks(fs, group) != 0)
			return group;
	}
	return parent;
}

/* A free number of the group; 0: none.  Deleted inodes that somebody still
 * looks at are left alone. */
static uint32_t
free_bit(struct fs *fs, uint32_t group, const uint8_t *map)
{
	uint32_t first = group == 0 ? fs->super->first_ino - 1 : 0;
	struct inode *inode;

	if (fs->force_inode != 0) {
		uint32_t bit = (fs->force_inode - 1) % fs->inodes_per_group;

		if ((fs->force_inode - 1) / fs->inodes_per_group != group || (map[bit / 8] >> (bit % 8) & 1) != 0)
			return 0;
		return fs->force_inode;
	}
	for (uint32_t bit = first; bit < fs->inodes_per_group; bit++) {
		if (map[bit / 8] == 0xff) {
			bit |= 7;
			continue;
		}
		if ((map[bit / 8] >> (bit % 8) & 1) != 0)
			continue;
		inode = inode_peek(fs, group * fs->inodes_per_group + bit + 1);
		if (inode == NULL || inode->refs == 0)
			return group * fs->inodes_per_group + bit + 1;
	}
	return 0;
}

static int
access_inode_group(struct handle *h, uint32_t group, struct buffer **bitmap)
{
	struct fs *fs = h->fs;
	struct buffer *desc, *blocks;
	int error = group_load_inode_bitmap(fs, group, bitmap);

	if (error != 0)
		return error;
	group_desc(fs, group, &desc);
	error = journal_access(h, *bitmap);
	if (error == 0)
		error = journal_access(h, desc);
	if (error == 0 && (fs->sums || fs->gdt_sums) &&
	    (group_desc(fs, group, NULL)->flags & GROUP_BLOCK_UNINIT) != 0) {
		/* a group with inodes has a written block bitmap */
		error = group_load_block_bitmap(fs, group, &blocks);
		if (error == 0) {
			error = journal_access(h, blocks);
			if (error == 0) {
				group_desc(fs, group, NULL)->flags &= (uint16_t)~GROUP_BLOCK_UNINIT;
				fs->group[group].sum_dirty = true;
				desc->sum = SUM_GROUPS;
			}
			buffer_put(fs, blocks);
		}
	}
	if (error != 0)
		buffer_put(fs, *bitmap);
	return error;
}

static int
take_number(struct handle *h, uint32_t group, bool is_dir, uint32_t *number)
{
	struct fs *fs = h->fs;
	struct buffer *b;
	uint32_t bit, unused;
	int error = access_inode_group(h, group, &b);

	if (error != 0)
		return error;
	*number = free_bit(fs, group, b->data);
	if (*number != 0) {
		bit = (*number - 1) % fs->inodes_per_group;
		b->data[bit / 8] |= (uint8_t)(1u << (bit % 8));
		group_set_free_inodes(fs, group, group_free_inodes(fs, group) - 1);
		fs->free_inodes--;
		if (is_dir) {
			group_set_used_dirs(fs, group, group_used_dirs(fs, group) + 1);
			fs->directories++;
		}
		if (fs->sums || fs->gdt_sums) {
			unused = fs->inodes_per_group - bit - 1;
			if ((group_desc(fs, group, NULL)->flags & GROUP_INODE_UNINIT) != 0 ||
			    group_itable_unused(fs, group) > unused)
				group_set_itable_unused(fs, group, unused);
			group_desc(fs, group, NULL)->flags &= (uint16_t)~GROUP_INODE_UNINIT;
		}
	}
	buffer_put(fs, b);
	return 0;
}

static uint32_t
inherited_flags(uint32_t dir_flags, uint16_t mode)
{
	uint32_t flags = dir_flags & INODE_INHERITED;

	if ((mode & 0xf000) == 0x4000)
		return flags;
	if ((mode & 0xf000) == 0x8000)
		return flags & ~(uint32_t)(INODE_DIRSYNC | INODE_TOPDIR);
	return flags & (INODE_NODUMP | INODE_NOATIME);
}

static void
fill_new(struct inode *inode, struct inode *dir, const struct fs_request *request)
{
	struct fs *fs = inode->fs;
	struct ext4_inode *raw = inode->raw;
	uint16_t type = request->mode & 0xf000;

	memset(raw, 0, fs->inode_bytes);
	raw->mode = (uint16_t)request->mode;
	raw->uid = (uint16_t)request->uid;
	raw->uid_hi = (uint16_t)(request->uid >> 16);
	raw->gid = (uint16_t)request->gid;
	raw->gid_hi = (uint16_t)(request->gid >> 16);
	raw->generation = fs->force_inode != 0 ? fs->force_generation : (uint32_t)fs_random(fs);
	raw->flags = inherited_flags(dir->raw->flags, raw->mode);
	if (fs->inode_bytes > INODE_BASE) {
		uint32_t extra = fs->super->want_extra_isize;

		if (extra < 32 || extra > fs->inode_bytes - INODE_BASE || extra % 4 != 0)
			extra = fs->inode_bytes - INODE_BASE < 32 ? fs->inode_bytes - INODE_BASE : 32;
		raw->extra_isize = (uint16_t)extra;
	}
	for (enum inode_time which = TIME_A; which <= TIME_B; which++)
		inode_set_time(inode, which, &request->now);
	if (type == 0x8000 || type == 0x4000)
		extents_init(inode);
	if (type == 0x2000 || type == 0x6000) {
		bool small = request->rdev < 0x10000;

		raw->block[small ? 0 : 1] = (uint32_t)request->rdev;
	}
	set_seed(inode);
}

int
inode_new(struct handle *h, struct inode *dir, const struct fs_request *request,
    struct inode **result)
{
	struct fs *fs = h->fs;
	bool is_dir = (request->mode & 0xf000) == 0x4000;
	uint32_t start = choose_group(fs, dir, is_dir), number = 0;
	struct inode *inode;
	int error;

	if (fs->force_inode != 0) {
		if (fs->force_inode < fs->super->first_ino || fs->force_inode > fs->inodes)
			return -EIO;
		start = (fs->force_inode - 1) / fs->inodes_per_group;
	}
	for (uint32_t i = 0; i < fs->groups && number == 0; i++) {
		uint32_t group = (uint32_t)(((uint64_t)start + i) % fs->groups);

		if (group_free_inodes(fs, group) == 0)
			continue;
		error = take_number(h, group, is_dir, &number);
		if (error != 0)
			return error;
	}
	if (number == 0)
		return -ENOSPC;
	inode = inode_peek(fs, number);
	if (inode != NULL)
		inode_drop(inode);
	inode = inode_make(fs, number);
	if (inode == NULL)
		return fs_error(fs, -ENOMEM, "no memory for inode %u", number);
	fill_new(inode, dir, request);
	inode->goal = group_first(fs, (number - 1) / fs->inodes_per_group) +
	    (number - 1) % fs->inodes_per_group % 64 * 16;
	*result = inode;
	return 0;
}

int
inode_free(struct handle *h, struct inode *inode)
{
	struct fs *fs = h->fs;
	uint32_t group = (inode->number - 1) / fs->inodes_per_group;
	uint32_t bit = (inode->number - 1) % fs->inodes_per_group;
	struct buffer *b;
	int error = access_inode_group(h, group, &b);

	if (error != 0)
		return error;
	if ((b->data[bit / 8] >> (bit % 8) & 1) == 0) {
		error = fs_error(fs, -ECORRUPT, "inode %u is freed twice", inode->number);
	} else {
		b->data[bit / 8] &= (uint8_t)~(1u << (bit % 8));
		group_set_free_inodes(fs, group, group_free_inodes(fs, group) + 1);
		fs->free_inodes++;
		if (inode_is_dir(inode) && group_used_dirs(fs, group) > 0) {
			group_set_used_dirs(fs, group, group_used_dirs(fs, group) - 1);
			fs->directories--;
		}
	}
	buffer_put(fs, b);
	return error;
}

/* ---- orphans --------------------------------------------------------------------------------- */

int
orphan_add(struct handle *h, struct inode *inode)
{
	struct fs *fs = h->fs;
	int error = 0;

	lock_exclusive(&fs->orphans);
	if (!inode->orphan) {
		error = journal_access(h, fs->super_buffer);
		if (error == 0) {
			inode->raw->dtime = fs->super->last_orphan;
			fs->super->last_orphan = inode->number;
			inode->orphan = true;
			inode->refs++;
			inode->orphan_next = fs->orphan_first;
			inode->orphan_prev = NULL;
			if (fs->orphan_first != NULL)
				fs->orphan_first->orphan_prev = inode;
			fs->orphan_first = inode;
			error = inode_store(h, inode);
		}
	}
	unlock(&fs->orphans);
	return error;
}

static void
orphan_unlink(struct fs *fs, struct inode *inode)
{
	if (inode->orphan_next != NULL)
		inode->orphan_next->orphan_prev = inode->orphan_prev;
	if (inode->orphan_prev != NULL)
		inode->orphan_prev->orphan_next = inode->orphan_next;
	else
		fs->orphan_first = inode->orphan_next;
	inode->orphan_next = inode->orphan_prev = NULL;
	inode->orphan = false;
}

/* The caller stores the inode itself. */
int
orphan_remove(struct handle *h, struct inode *inode)
{
	struct fs *fs = h->fs;
	int error = 0;

	lock_exclusive(&fs->orphans);
	if (inode->orphan) {
		struct inode *before = inode->orphan_prev;

		error = before == NULL ? journal_access(h, fs->super_buffer) : 0;
		if (error == 0) {
			if (before == NULL) {
				fs->super->last_orphan = inode->raw->dtime;
			} else {
				before->raw->dtime = inode->raw->dtime;
				error = inode_store(h, before);
			}
			inode->raw->dtime = 0;
			orphan_unlink(fs, inode);
			inode->refs--;	/* the caller holds it too */
		}
	}
	unlock(&fs->orphans);
	return error;
}

int
orphans_load(struct fs *fs)
{
	uint32_t number = fs->super->last_orphan, seen = 0;
	struct inode *inode, *last = NULL;
	int error = 0;

	while (number != 0) {
		if (number > fs->inodes || number < fs->super->first_ino || ++seen > fs->inodes)
			error = -ECORRUPT;
		else
			error = inode_load(fs, number, &inode);
		if (error == 0 && inode->orphan) {
			inode_put(inode);
			error = -ECORRUPT;
		}
		if (error != 0) {
			fs_error(fs, -ECORRUPT, "the list of orphans is broken at inode %u", number);
			break;
		}
		inode->orphan = true;
		inode->orphan_prev = last;
		if (last != NULL)
			last->orphan_next = inode;
		else
			fs->orphan_first = inode;
		last = inode;
		number = inode->raw->dtime;
	}
	return error;
}

static int
finish_truncate(struct inode *inode)
{
	struct fs *fs = inode->fs;
	struct handle h;
	int error;

	lock_exclusive(&inode->io);
	error = journal_start(fs, MAP_CREDITS, &h);
	if (error == 0) {
		uint64_t first = (inode_size(inode) + fs->block_bytes - 1) >> fs->block_bits;

		if (first <= LAST_BLOCK)
			error = map_remove(&h, inode, (uint32_t)first, LAST_BLOCK);
		if (error == 0)
			error = orphan_remove(&h, inode);
		if (error == 0)
			error = inode_store(&h, inode);
		journal_stop(&h);
	}
	unlock(&inode->io);
	return error;
}

int
orphans_reclaim(struct fs *fs)
{
	struct inode *inode;
	uint32_t deleted = 0, truncated = 0;
	int error = 0;

	if (fs->read_only)
		return 0;
	for (;;) {
		for (inode = fs->orphan_first; inode != NULL; inode = inode->orphan_next)
			if (inode->holds == 0)
				break;
		if (inode == NULL || error != 0)
			break;
		inode->refs++;
		if (inode->raw->links == 0) {
			error = inode_delete(inode);
			deleted++;
		} else {
			error = finish_truncate(inode);
			truncated++;
		}
		inode_put(inode);
	}
	if (deleted + truncated != 0)
		say(fs, "%u orphans deleted, %u truncated", deleted, truncated);
	return error;
}

int
inode_delete(struct inode *inode)
{
	struct fs *fs = inode->fs;
	struct handle h;
	int error;

	if (inode->deleting || inode->raw->links != 0)
		return 0;
	inode->deleting = true;
	lock_exclusive(&inode->io);
	error = journal_start(fs, MAP_CREDITS, &h);
	if (error != 0)
		goto out;
	if ((inode->raw->flags & INODE_EXTENTS) != 0)
		error = map_remove(&h, inode, 0, LAST_BLOCK);
	if (error == 0)
		error = journal_restart(&h, MAP_CREDITS);
	if (error == 0)
		error = xattr_drop(&h, inode);
	if (error == 0)
		error = orphan_remove(&h, inode);
	if (error == 0)
		error = inode_free(&h, inode);
	if (error == 0) {
		inode->raw->dtime = (uint32_t)(fs_now(fs) / 1000000000);
		inode_set_size(inode, 0);
		error = inode_store(&h, inode);
		inode->bad = true;	/* leaves the cache with its last holder */
	}
	journal_stop(&h);
out:
	unlock(&inode->io);
	if (error != 0)
		inode->deleting = false;
	return error;
}
