/* SPDX-License-Identifier: MIT */
/*
 * The superblock: whether this is a file system that we can serve, mounting and
 * unmounting it, and what is done when something on it is found to be wrong.
 */
#include <stdarg.h>
#include <stdio.h>
#include "core.h"
#include "redo.h"

/* ---- messages and errors ------------------------------------------------------------ */

void
say(struct fs *fs, const char *text, ...)
{
	char line[200];
	va_list list;

	if (fs->options.say == NULL)
		return;
	va_start(list, text);
	vsnprintf(line, sizeof line, text, list);
	va_end(list);
	fs->options.say(fs->options.context, line);
}

/* Linux's error codes of a superblock (EXT4_ERR_*). */
static uint8_t
error_code(int error)
{
	switch (-error) {
	case EIO: return 2;
	case ENOMEM: return 3;
	case ECORRUPT: return 5;
	case ENOSPC: return 6;
	default: return 1;
	}
}

static void
write_error(void *argument)
{
	struct fs *fs = argument;

	super_write_home(fs);
}

int
fs_error(struct fs *fs, int error, const char *text, ...)
{
	bool go_on = fs->super != NULL && fs->super->errors == ERRORS_CONTINUE &&
	    error == -ECORRUPT;
	struct ext4_super *home = &fs->super_home;
	char line[160];
	va_list list;

	va_start(list, text);
	vsnprintf(line, sizeof line, text, list);
	va_end(list);
	say(fs, "ERROR: %s%s", line, fs->mounted && !fs->read_only && !go_on ?
	    "; the file system is read-only from now on" : "");
	if (!fs->mounted || fs->read_only)
		return error;
	home->state |= STATE_ERROR;
	fs->super->state |= STATE_ERROR;
	home->error_count++;
	home->last_error_time = (uint32_t)(fs_now(fs) / 1000000000);
	home->last_error_errcode = error_code(error);
	if (home->first_error_time == 0) {
		home->first_error_time = home->last_error_time;
		home->first_error_errcode = home->last_error_errcode;
	}
	if (!fs->error_written) {
		fs->error_written = true;
		fiber_start(fs, write_error, fs);
	}
	if (go_on)
		return error;
	fs->failed = fs->aborting = fs->read_only = true;
	fiber_wake_all(&fs->journal.start_waiters);
	fiber_wake_all(&fs->journal.commit_waiters);
	fiber_wake_all(&fs->journal.committer);
	fiber_wake_all(&fs->journal.checkpointer);
	return error;
}

/* ---- the superblock's checksum and place ------------------------------------------------ */

static uint32_t
super_checksum(const struct ext4_super *s)
{
	return crc32c(~0u, s, offsetof(struct ext4_super, checksum));
}

/* Counts are exact in the descriptors; here they are brought along. */
static void
super_counts(struct fs *fs, struct ext4_super *s)
{
	s->free_blocks_lo = (uint32_t)fs->free_blocks;
	if (fs->wide)
		s->free_blocks_hi = (uint32_t)(fs->free_blocks >> 32);
	s->free_inodes = fs->free_inodes;
}

void
super_sum(struct fs *fs)
{
	super_counts(fs, fs->super);
	if (fs->sums)
		fs->super->checksum = super_checksum(fs->super);
}

/* The superblock as last committed, with what must be known at once, past the
 * journal.  Its sector, so that nothing else of its block is touched. */
int
super_write_home(struct fs *fs)
{
	uint32_t sector = fs->disk->sector_bytes > SUPER_BYTES ? fs->disk->sector_bytes : SUPER_BYTES;
	uint8_t *memory = aligned_alloc(4096, 4096);
	struct ext4_super *s;
	int error = 0;

	if (memory == NULL)
		return -ENOMEM;
	if (sector > SUPER_BYTES)
		error = disk_transfer(fs, DISK_READ, 0, 0, memory, sector);
	s = (struct ext4_super *)(void *)(memory + (sector > SUPER_BYTES ? SUPER_OFFSET : 0));
	fs->super_home.wtime = (uint32_t)(fs_now(fs) / 1000000000);
	if (fs->sums)
		fs->super_home.checksum = super_checksum(&fs->super_home);
	memcpy(s, &fs->super_home, sizeof *s);
	if (error == 0)
		error = disk_transfer(fs, DISK_WRITE, DISK_FUA, sector > SUPER_BYTES ? 0 : SUPER_OFFSET,
		    memory, sector);
	free(memory);
	return error;
}

/* ---- is it ours? ---------------------------------------------------------------------------- */

struct feature {
	uint32_t bit;
	const char *name;
};

static const struct feature incompat_names[] = {
	{ INCOMPAT_COMPRESSION, "compression" }, { INCOMPAT_JOURNAL_DEV, "journal_dev" },
	{ INCOMPAT_MMP, "mmp" }, { INCOMPAT_EA_INODE, "ea_inode" }, { INCOMPAT_DIRDATA, "dirdata" },
	{ INCOMPAT_LARGEDIR, "large_dir" }, { INCOMPAT_INLINE_DATA, "inline_data" },
	{ INCOMPAT_ENCRYPT, "encrypt" }, { INCOMPAT_CASEFOLD, "casefold" }, { 0, NULL } };
static const struct feature ro_names[] = {
	{ RO_QUOTA, "quota" }, { RO_BIGALLOC, "bigalloc" }, { RO_REPLICA, "replica" },
	{ RO_READONLY, "read-only" }, { RO_PROJECT, "project" }, { RO_VERITY, "verity" },
	{ RO_ORPHAN_PRESENT, "orphan_file" }, { 0, NULL } };

enum {
	INCOMPAT_KNOWN = INCOMPAT_FILETYPE | INCOMPAT_RECOVER | INCOMPAT_META_BG | INCOMPAT_EXTENTS |
	    INCOMPAT_64BIT | INCOMPAT_FLEX_BG | INCOMPAT_CSUM_SEED,
	RO_KNOWN = RO_SPARSE_SUPER | RO_LARGE_FILE | RO_BTREE_DIR | RO_HUGE_FILE | RO_GDT_CSUM |
	    RO_DIR_NLINK | RO_EXTRA_ISIZE | RO_METADATA_CSUM,
};

static void
name_features(struct fs *fs, const char *what, const struct feature *names, uint32_t bits)
{
	for (; names->name != NULL; names++)
		if ((bits & names->bit) != 0) {
			say(fs, "%s: feature %s", what, names->name);
			bits &= ~names->bit;
		}
	if (bits != 0)
		say(fs, "%s: unknown features %#x", what, bits);
}

static int
not_ours(struct fs *fs, const char *why)
{
	say(fs, "not mounted: %s", why);
	return -EINVAL;
}

static uint64_t
super_blocks(const struct ext4_super *s)
{
	return s->blocks_count_lo |
	    ((s->feature_incompat & INCOMPAT_64BIT) != 0 ? (uint64_t)s->blocks_count_hi << 32 : 0);
}

static int
check_geometry(struct fs *fs, const struct ext4_super *s)
{
	uint32_t bytes = 1024u << s->log_block_size;
	uint64_t blocks = super_blocks(s), groups;

	if (s->log_cluster_size != s->log_block_size && (s->feature_ro_compat & RO_BIGALLOC) == 0)
		return not_ours(fs, "clusters are not blocks");
	if (s->first_data_block != (bytes == 1024 ? 1 : 0))
		return not_ours(fs, "the first data block is wrong");
	if (s->blocks_per_group == 0 || s->blocks_per_group > bytes * 8 || s->blocks_per_group % 8 != 0)
		return not_ours(fs, "blocks per group make no sense");
	if (s->inode_size < INODE_BASE || s->inode_size > bytes || (s->inode_size & (s->inode_size - 1)) != 0)
		return not_ours(fs, "the inode size makes no sense");
	if (s->inodes_per_group == 0 || s->inodes_per_group > bytes * 8 ||
	    s->inodes_per_group % (bytes / s->inode_size) != 0 || s->inodes_per_group % 8 != 0)
		return not_ours(fs, "inodes per group make no sense");
	if (blocks <= s->first_data_block + 1 || blocks > fs->disk->bytes >> (10 + s->log_block_size))
		return not_ours(fs, "it is larger than its disk, or empty");
	if (blocks >= 1ULL << 48)
		return not_ours(fs, "it has too many blocks");
	groups = (blocks - s->first_data_block + s->blocks_per_group - 1) / s->blocks_per_group;
	if (groups > 0xffffffffu / s->inodes_per_group ||
	    groups * s->inodes_per_group != s->inodes_count)
		return not_ours(fs, "the number of inodes is wrong");
	if ((s->feature_incompat & INCOMPAT_64BIT) != 0 && (s->desc_size < 64 || s->desc_size > 1024 ||
	    (s->desc_size & (s->desc_size - 1)) != 0))
		return not_ours(fs, "the size of group descriptors makes no sense");
	if (s->first_ino < GOOD_OLD_FIRST || s->first_ino > s->inodes_per_group)
		return not_ours(fs, "the first inode makes no sense");
	if (s->log_groups_per_flex > 31)
		return not_ours(fs, "the size of flexible groups makes no sense");
	return 0;
}

static int
check_super(struct fs *fs, const struct ext4_super *s)
{
	if (s->magic != SUPER_MAGIC)
		return not_ours(fs, "there is no ext4 file system");
	if (s->rev_level != 1)
		return not_ours(fs, "its revision is not 1");
	if (s->log_block_size > 2)
		return not_ours(fs, "its blocks are larger than 4096 bytes");
	if ((s->feature_ro_compat & RO_METADATA_CSUM) != 0 &&
	    (s->checksum_type != CHECKSUM_CRC32C || s->checksum != super_checksum(s))) {
		say(fs, "not mounted: the checksum of its superblock is wrong");
		return s->checksum_type != CHECKSUM_CRC32C ? -EINVAL : -EBADMSG;	/* as Linux's EFSBADCRC */
	}
	if ((s->feature_incompat & ~(uint32_t)INCOMPAT_KNOWN) != 0) {
		name_features(fs, "not mounted", incompat_names,
		    s->feature_incompat & ~(uint32_t)INCOMPAT_KNOWN);
		return -EINVAL;
	}
	return check_geometry(fs, s);
}

/* What can be read, but not changed. */
static bool
writable(struct fs *fs, const struct ext4_super *s)
{
	uint32_t unknown = s->feature_ro_compat & ~(uint32_t)RO_KNOWN;

	if (unknown != 0) {
		name_features(fs, "mounted read-only", ro_names, unknown);
		return false;
	}
	if ((s->feature_compat & COMPAT_HAS_JOURNAL) == 0) {
		say(fs, "mounted read-only: it has no journal");
		return false;
	}
	if ((s->feature_incompat & INCOMPAT_FILETYPE) == 0) {
		say(fs, "mounted read-only: its directories have no file types");
		return false;
	}
	return true;
}

/* ---- mount -------------------------------------------------------------------------------------- */

static void
set_geometry(struct fs *fs, const struct ext4_super *s)
{
	fs->block_bits = 10 + s->log_block_size;
	fs->block_bytes = 1u << fs->block_bits;
	fs->inode_bytes = s->inode_size;
	fs->inodes_per_block = fs->block_bytes / fs->inode_bytes;
	fs->wide = (s->feature_incompat & INCOMPAT_64BIT) != 0;
	fs->group_bytes = fs->wide ? s->desc_size : 32;
	fs->groups_per_block = fs->block_bytes / fs->group_bytes;
	fs->blocks = super_blocks(s);
	fs->first_data_block = s->first_data_block;
	fs->blocks_per_group = s->blocks_per_group;
	fs->inodes_per_group = s->inodes_per_group;
	fs->inodes = s->inodes_count;
	fs->groups = (uint32_t)((fs->blocks - fs->first_data_block + fs->blocks_per_group - 1) /
	    fs->blocks_per_group);
	fs->group_buffers = (fs->groups + fs->groups_per_block - 1) / fs->groups_per_block;
	fs->table_blocks = fs->inodes_per_group / fs->inodes_per_block;
	fs->flex_groups = (s->feature_incompat & INCOMPAT_FLEX_BG) != 0 ? 1u << s->log_groups_per_flex : 1;
	fs->sums = (s->feature_ro_compat & RO_METADATA_CSUM) != 0;
	fs->gdt_sums = !fs->sums && (s->feature_ro_compat & RO_GDT_CSUM) != 0;
	fs->sum_seed = (s->feature_incompat & INCOMPAT_CSUM_SEED) != 0 ? s->checksum_seed :
	    crc32c(~0u, s->uuid, 16);
	fs->hash_unsigned = (s->flags & FLAG_UNSIGNED_HASH) != 0 ? 3 : 0;
	fs->hash_version = s->def_hash_version <= HASH_TEA ? s->def_hash_version : HASH_HALF_MD4;
}

static int
read_super(struct fs *fs, struct ext4_super *to)
{
	uint8_t *memory = aligned_alloc(4096, 4096);
	int error;

	if (memory == NULL)
		return -ENOMEM;
	if (fs->disk->bytes < 8192) {
		free(memory);
		return not_ours(fs, "the disk is too small");
	}
	error = disk_transfer(fs, DISK_READ, 0, 0, memory, 4096);
	memcpy(to, memory + SUPER_OFFSET, sizeof *to);
	free(memory);
	return error;
}

static int
make_cache(struct fs *fs)
{
	uint64_t buffers = fs->options.cache_bytes / fs->block_bytes;
	uint32_t buckets = 64;

	fs->buffers_max = buffers < 512 ? 512 : (uint32_t)min64(buffers, 1u << 24);
	while (buckets < fs->buffers_max)
		buckets *= 2;
	fs->bucket_mask = buckets - 1;
	fs->bucket = calloc(buckets, sizeof *fs->bucket);
	fs->inodes_max = fs->buffers_max;
	return fs->bucket == NULL ? -ENOMEM : 0;
}

static int
hold_super(struct fs *fs)
{
	uint64_t block = fs->block_bytes == 1024 ? 1 : 0;
	int error = buffer_read(fs, block, &fs->super_buffer);

	if (error != 0)
		return error;
	fs->super_buffer->sum = SUM_SUPER;
	fs->super = (struct ext4_super *)(void *)(fs->super_buffer->data +
	    (fs->block_bytes > SUPER_OFFSET ? SUPER_OFFSET : 0));
	fs->super_home = *fs->super;
	return 0;
}

static int
load(struct fs *fs, const struct ext4_super *s)
{
	int error;

	set_geometry(fs, s);
	error = make_cache(fs);
	if (error == 0)
		error = hold_super(fs);
	if (error == 0)
		error = groups_load(fs);
	return error;
}

/* Forget everything that was read. */
void
super_drop(struct fs *fs)
{
	redo_close(fs);
	inodes_free(fs);
	journal_free(fs);
	free(fs->group_buffer);
	fs->group_buffer = NULL;
	if (fs->group != NULL)
		for (uint32_t i = 0; i < fs->groups; i++)
			free(fs->group[i].busy);
	free(fs->group);
	fs->group = NULL;
	free(fs->discard);
	fs->discard = NULL;
	fs->discards = fs->discard_room = 0;
	fs->discarding = 0;
	fs->discarder_runs = false;
	free(fs->system);
	fs->system = NULL;
	fs->systems = 0;
	cache_free(fs);
	fs->super = NULL;
	fs->super_buffer = NULL;
	fs->mounted = fs->aborting = fs->failed = fs->error_written = false;
	fs->free_blocks = fs->busy_blocks = fs->promised = 0;
	fs->directories = 0;
	fs->left_transaction = fs->left_written = fs->written = fs->flushed = 0;
	fs->inode_goal = 0;
}

/* Recover the journal, if there is something in it, and read all again. */
static int
recover(struct fs *fs, struct ext4_super *s)
{
	uint16_t error_state = s->state & STATE_ERROR;
	int error;

	if ((s->feature_compat & COMPAT_HAS_JOURNAL) == 0) {
		if ((s->feature_incompat & INCOMPAT_RECOVER) == 0)
			return 0;
		return not_ours(fs, "it needs recovery and has no journal");
	}
	if (s->journal_inum == 0 || s->journal_inum > s->inodes_count || s->journal_dev != 0)
		return not_ours(fs, "its journal is on another device");
	error = journal_load(fs);
	if (error != 0)
		return error;
	fs->recovered = be32(fs->journal.super.sequence) - 1;
	if (be32(fs->journal.super.start) != 0) {
		error = journal_recover(fs);
		if (error != 0)
			return error;
		super_drop(fs);
		error = read_super(fs, s);
		if (error == 0)
			error = check_super(fs, s);
		if (error == 0)
			error = load(fs, s);
		if (error == 0)
			error = journal_load(fs);
		if (error != 0)
			return error;
		fs->super->state |= error_state;
		fs->super_home.state |= error_state;
	}
	return groups_load(fs);	/* the journal's blocks are the system's too */
}

static int
check_root(struct fs *fs)
{
	struct inode *root;
	int error = inode_get(fs, ROOT_INODE, &root);

	if (error != 0)
		return error == -ESTALE ? -ECORRUPT : error;
	error = inode_is_dir(root) ? 0 : -ECORRUPT;
	inode_put(root);
	if (error != 0)
		say(fs, "not mounted: its root is not a directory");
	return error;
}

static int
begin_writing(struct fs *fs)
{
	struct ext4_super *s = fs->super;
	int error = journal_begin(fs);

	if (error != 0)
		return error;
	s->feature_incompat |= INCOMPAT_RECOVER;
	s->mnt_count++;
	s->mtime = (uint32_t)(fs_now(fs) / 1000000000);
	super_sum(fs);
	fs->super_home = *s;
	error = super_write_home(fs);
	if (error != 0)
		say(fs, "the superblock cannot be written: error %d", -error);
	return error;
}

static void
take_options(struct fs *fs, const struct fs_request *request)
{
	const uint64_t second = 1000000000;

	fs->discard_freed = (request->flags & FS_MOUNT_DISCARD) != 0;
	fs->commit_ns = request->length == 0 ? fs->options.commit_ns :
	    min64(request->length, FS_COMMIT_MAX) * second;
	if (fs->discard_freed && !fs->disk->has_discard)
		say(fs, "mounted with discard, but the disk has none");
}

static int
mount_once(struct fs *fs, const struct fs_request *request)
{
	bool read_only = (request->flags & FS_MOUNT_READONLY) != 0 || fs->disk->read_only;
	struct ext4_super s;
	uint64_t blocks;
	int error;

	if (fs->mounted)
		return -EBUSY;
	error = read_super(fs, &s);
	if (error == 0)
		error = check_super(fs, &s);
	if (error == 0)
		error = load(fs, &s);
	if (error == 0)
		error = recover(fs, &s);
	if (error == 0)
		error = check_root(fs);
	if (error == 0 && (s.state & STATE_ERROR) != 0)
		say(fs, "it has errors: run e2fsck");
	take_options(fs, request);
	fs->read_only = read_only || (error == 0 && !writable(fs, &s));
	blocks = fs->blocks / 50;
	fs->slack = blocks < 4096 ? blocks : 4096;
	if (error == 0 && !fs->read_only)
		error = begin_writing(fs);
	if (error != 0) {
		if (fs->journal.committer_runs)
			journal_end(fs);
		super_drop(fs);
		return error;
	}
	fs->mounted = true;
	return 0;
}

static int end_writing(struct fs *fs);

int
super_mount(struct fs *fs, const struct fs_request *request)
{
	int error = mount_once(fs, request), grown;

	/* what an earlier life left undone refers to the file system as it was */
	while (error == 0 && !fs->read_only && (request->flags & FS_MOUNT_NO_GROW) == 0 &&
	    !fs->options.recovering) {
		grown = grow_step(fs);
		if (grown <= 0)
			return 0;	/* if it failed, fs_error said so */
		error = end_writing(fs);
		super_drop(fs);
		if (error == 0)
			error = mount_once(fs, request);
	}
	return error;
}

/* ---- unmount, remount --------------------------------------------------------------------------- */

static int
end_writing(struct fs *fs)
{
	int error = journal_flush(fs);

	discards_end(fs);
	journal_end(fs);
	if (error != 0 || fs->aborting)
		return error == 0 ? -EIO : error;
	fs->super->feature_incompat &= ~(uint32_t)INCOMPAT_RECOVER;
	fs->super->state |= STATE_VALID;
	super_sum(fs);
	fs->super_home = *fs->super;
	error = super_write_home(fs);
	if (error == 0)
		error = disk_flush(fs);
	return error;
}

int
super_unmount(struct fs *fs)
{
	int error = 0;

	if (!fs->mounted)
		return -EINVAL;
	if (!fs->read_only)
		error = end_writing(fs);
	else if (fs->journal.committer_runs)
		journal_end(fs);	/* it became read-only by an error */
	discards_end(fs);
	super_drop(fs);
	return error;
}

int
super_remount(struct fs *fs, const struct fs_request *request)
{
	bool read_only = (request->flags & FS_MOUNT_READONLY) != 0;
	int error;

	take_options(fs, request);
	if (read_only == fs->read_only)
		return 0;
	if (read_only) {
		error = end_writing(fs);
		fs->read_only = true;
		journal_free(fs);
		return error;
	}
	if (fs->aborting || fs->disk->read_only)
		return -EROFS;
	if (!writable(fs, fs->super))
		return -EROFS;
	error = journal_load(fs);
	if (error == 0)
		error = begin_writing(fs);
	if (error == 0)
		fs->read_only = false;
	return error;
}

void
super_statfs(struct fs *fs, struct fs_statfs *to)
{
	const struct ext4_super *s = fs->super;
	uint64_t overhead = s->overhead_blocks, spoken_for = fs->promised;
	uint64_t kept = s->r_blocks_count_lo | (fs->wide ? (uint64_t)s->r_blocks_count_hi << 32 : 0);

	if (overhead == 0) {
		overhead = fs->first_data_block;
		for (uint32_t i = 0; i < fs->systems; i++)
			overhead += fs->system[i].count;
	}
	memset(to, 0, sizeof *to);
	to->blocks = fs->blocks > overhead ? fs->blocks - overhead : 0;
	to->free = fs->free_blocks > spoken_for ? fs->free_blocks - spoken_for : 0;
	kept += fs->slack;		/* as blocks_promise() would answer one who is not root */
	to->available = to->free > kept ? to->free - kept : 0;
	to->inodes = fs->inodes;
	to->inodes_free = fs->free_inodes;
	to->block_size = fs->block_bytes;
	to->name_length = FS_NAME;
	memcpy(to->uuid, s->uuid, 16);
	memcpy(to->label, s->volume_name, 16);
}
