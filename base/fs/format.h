/* SPDX-License-Identifier: MIT */
/*
 * What lies on the disk: ext4 (Documentation/filesystems/ext4 of Linux, and
 * <ext2fs/ext2_fs.h>) and jbd2 (the same, "Journal (jbd2)").  ext4 is little
 * endian and read as it lies; jbd2 is big endian (be32, be16).  Nothing here
 * may be believed before it was checked.
 */
#ifndef FS_FORMAT_H
#define FS_FORMAT_H

#include <stdint.h>

#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "structures are read as they lie on the disk"
#endif

enum { SUPER_OFFSET = 1024, SUPER_BYTES = 1024, SUPER_MAGIC = 0xef53 };
enum { ROOT_INODE = 2, RESIZE_INODE = 7, JOURNAL_INODE = 8, GOOD_OLD_FIRST = 11 };

enum {	/* s_feature_compat */
	COMPAT_HAS_JOURNAL = 0x4, COMPAT_EXT_ATTR = 0x8, COMPAT_RESIZE_INODE = 0x10,
	COMPAT_DIR_INDEX = 0x20, COMPAT_SPARSE_SUPER2 = 0x200, COMPAT_FAST_COMMIT = 0x400,
	COMPAT_STABLE_INODES = 0x800, COMPAT_ORPHAN_FILE = 0x1000,
};
enum {	/* s_feature_incompat */
	INCOMPAT_COMPRESSION = 0x1, INCOMPAT_FILETYPE = 0x2, INCOMPAT_RECOVER = 0x4,
	INCOMPAT_JOURNAL_DEV = 0x8, INCOMPAT_META_BG = 0x10, INCOMPAT_EXTENTS = 0x40,
	INCOMPAT_64BIT = 0x80, INCOMPAT_MMP = 0x100, INCOMPAT_FLEX_BG = 0x200,
	INCOMPAT_EA_INODE = 0x400, INCOMPAT_DIRDATA = 0x1000, INCOMPAT_CSUM_SEED = 0x2000,
	INCOMPAT_LARGEDIR = 0x4000, INCOMPAT_INLINE_DATA = 0x8000, INCOMPAT_ENCRYPT = 0x10000,
	INCOMPAT_CASEFOLD = 0x20000,
};
enum {	/* s_feature_ro_compat */
	RO_SPARSE_SUPER = 0x1, RO_LARGE_FILE = 0x2, RO_BTREE_DIR = 0x4, RO_HUGE_FILE = 0x8,
	RO_GDT_CSUM = 0x10, RO_DIR_NLINK = 0x20, RO_EXTRA_ISIZE = 0x40, RO_QUOTA = 0x100,
	RO_BIGALLOC = 0x200, RO_METADATA_CSUM = 0x400, RO_REPLICA = 0x800, RO_READONLY = 0x1000,
	RO_PROJECT = 0x2000, RO_VERITY = 0x8000, RO_ORPHAN_PRESENT = 0x10000,
};

enum { STATE_VALID = 1, STATE_ERROR = 2, STATE_ORPHAN = 4 };	/* s_state */
enum { ERRORS_CONTINUE = 1, ERRORS_RO = 2, ERRORS_PANIC = 3 };	/* s_errors */
enum { FLAG_SIGNED_HASH = 1, FLAG_UNSIGNED_HASH = 2 };		/* s_flags */
enum { CHECKSUM_CRC32C = 1 };

struct ext4_super {
	uint32_t inodes_count, blocks_count_lo, r_blocks_count_lo, free_blocks_lo;
	uint32_t free_inodes, first_data_block, log_block_size, log_cluster_size;
	uint32_t blocks_per_group, clusters_per_group, inodes_per_group, mtime;
	uint32_t wtime;
	uint16_t mnt_count, max_mnt_count, magic, state, errors, minor_rev_level;
	uint32_t lastcheck, checkinterval, creator_os, rev_level;
	uint16_t def_resuid, def_resgid;
	uint32_t first_ino;
	uint16_t inode_size, block_group_nr;
	uint32_t feature_compat, feature_incompat, feature_ro_compat;
	uint8_t uuid[16];
	char volume_name[16], last_mounted[64];
	uint32_t algorithm_usage_bitmap;
	uint8_t prealloc_blocks, prealloc_dir_blocks;
	uint16_t reserved_gdt_blocks;
	uint8_t journal_uuid[16];
	uint32_t journal_inum, journal_dev, last_orphan, hash_seed[4];
	uint8_t def_hash_version, jnl_backup_type;
	uint16_t desc_size;
	uint32_t default_mount_opts, first_meta_bg, mkfs_time, jnl_blocks[17];
	uint32_t blocks_count_hi, r_blocks_count_hi, free_blocks_hi;
	uint16_t min_extra_isize, want_extra_isize;
	uint32_t flags;
	uint16_t raid_stride, mmp_interval;
	uint64_t mmp_block;
	uint32_t raid_stripe_width;
	uint8_t log_groups_per_flex, checksum_type, encryption_level, reserved_pad;
	uint64_t kbytes_written;
	uint32_t snapshot_inum, snapshot_id;
	uint64_t snapshot_r_blocks;
	uint32_t snapshot_list, error_count, first_error_time, first_error_ino;
	uint64_t first_error_block;
	uint8_t first_error_func[32];
	uint32_t first_error_line, last_error_time, last_error_ino, last_error_line;
	uint64_t last_error_block;
	uint8_t last_error_func[32], mount_opts[64];
	uint32_t usr_quota_inum, grp_quota_inum, overhead_blocks, backup_bgs[2];
	uint8_t encrypt_algos[4], encrypt_pw_salt[16];
	uint32_t lpf_ino, prj_quota_inum, checksum_seed;
	uint8_t wtime_hi, mtime_hi, mkfs_time_hi, lastcheck_hi, first_error_time_hi, last_error_time_hi;
	uint8_t first_error_errcode, last_error_errcode;
	uint16_t encoding, encoding_flags;
	uint32_t orphan_file_inum, reserved[94], checksum;
};
_Static_assert(sizeof(struct ext4_super) == 1024, "disk layout");

enum { GROUP_INODE_UNINIT = 1, GROUP_BLOCK_UNINIT = 2, GROUP_INODE_ZEROED = 4 };

struct ext4_group {		/* the upper half only with 64bit (s_desc_size) */
	uint32_t block_bitmap_lo, inode_bitmap_lo, inode_table_lo;
	uint16_t free_blocks_lo, free_inodes_lo, used_dirs_lo, flags;
	uint32_t exclude_bitmap_lo;
	uint16_t block_bitmap_csum_lo, inode_bitmap_csum_lo, itable_unused_lo, checksum;
	uint32_t block_bitmap_hi, inode_bitmap_hi, inode_table_hi;
	uint16_t free_blocks_hi, free_inodes_hi, used_dirs_hi, itable_unused_hi;
	uint32_t exclude_bitmap_hi;
	uint16_t block_bitmap_csum_hi, inode_bitmap_csum_hi;
	uint32_t reserved;
};
_Static_assert(sizeof(struct ext4_group) == 64, "disk layout");

enum {	/* i_flags */
	INODE_SYNC = 0x8, INODE_IMMUTABLE = 0x10, INODE_APPEND = 0x20, INODE_NODUMP = 0x40,
	INODE_NOATIME = 0x80, INODE_ENCRYPT = 0x800, INODE_INDEX = 0x1000, INODE_JOURNAL_DATA = 0x4000,
	INODE_DIRSYNC = 0x10000, INODE_TOPDIR = 0x20000, INODE_HUGE_FILE = 0x40000,
	INODE_EXTENTS = 0x80000, INODE_VERITY = 0x100000, INODE_EA_INODE = 0x200000,
	INODE_INLINE_DATA = 0x10000000, INODE_PROJINHERIT = 0x20000000, INODE_CASEFOLD = 0x40000000,
	/* FS_IOC_GETFLAGS, FS_IOC_SETFLAGS: EXT4_FL_USER_VISIBLE, EXT4_FL_USER_MODIFIABLE */
	INODE_USER_VISIBLE = 0x725bdfff, INODE_USER_MODIFIABLE = 0x300ff,
	/* what a new inode inherits from its directory */
	INODE_INHERITED = 0x1 | 0x2 | 0x4 | INODE_SYNC | INODE_NODUMP | INODE_NOATIME | 0x400 |
	    INODE_DIRSYNC,
};

enum { INODE_BASE = 128 };	/* bytes of the old inode */

struct ext4_inode {
	uint16_t mode, uid;
	uint32_t size_lo, atime, ctime, mtime, dtime;
	uint16_t gid, links;
	uint32_t blocks_lo, flags, version;
	uint32_t block[15];
	uint32_t generation, file_acl_lo, size_hi, obso_faddr;
	uint16_t blocks_hi, file_acl_hi, uid_hi, gid_hi, checksum_lo, reserved;
	/* with inode_size > 128: */
	uint16_t extra_isize, checksum_hi;
	uint32_t ctime_extra, mtime_extra, atime_extra, crtime, crtime_extra, version_hi, projid;
};
_Static_assert(sizeof(struct ext4_inode) == 160, "disk layout");

enum { EXTENT_MAGIC = 0xf30a, EXTENT_MAX_DEPTH = 5, EXTENT_MAX_LEN = 32768, EXTENT_ENTRY = 12 };

struct ext4_extent_header {
	uint16_t magic, entries, max, depth;
	uint32_t generation;
};
struct ext4_extent {
	uint32_t block;
	uint16_t len;		/* over 32768: unwritten, len - 32768 of them */
	uint16_t start_hi;
	uint32_t start_lo;
};
struct ext4_extent_index {
	uint32_t block, leaf_lo;
	uint16_t leaf_hi, unused;
};
_Static_assert(sizeof(struct ext4_extent_header) == 12 && sizeof(struct ext4_extent) == 12 &&
	sizeof(struct ext4_extent_index) == 12, "disk layout");

enum { DIRENT_HEAD = 8, DIRENT_TAIL = 12, DIRENT_TAIL_TYPE = 0xde };

struct ext4_dirent {
	uint32_t inode;
	uint16_t rec_len;
	uint8_t name_len, type;
	char name[];
};
struct ext4_dirent_tail {
	uint32_t zero1;
	uint16_t rec_len;	/* 12 */
	uint8_t zero2, type;	/* 0xde */
	uint32_t checksum;
};

enum { HASH_LEGACY = 0, HASH_HALF_MD4, HASH_TEA, HASH_LEGACY_U, HASH_HALF_MD4_U, HASH_TEA_U };

struct ext4_dx_root_info {	/* at 24 of a hashed directory's first block */
	uint32_t zero;
	uint8_t hash_version, info_length, levels, unused_flags;
};
struct ext4_dx_entry {
	uint32_t hash, block;	/* the first entry's hash is struct ext4_dx_count */
};
struct ext4_dx_count {
	uint16_t limit, count;
};
struct ext4_dx_tail {
	uint32_t reserved, checksum;
};

enum { XATTR_MAGIC = 0xea020000 };
struct ext4_xattr_header {	/* of the block */
	uint32_t magic, refcount, blocks, hash, checksum, reserved[3];
};
struct ext4_xattr_entry {
	uint8_t name_len, name_index;
	uint16_t value_offset;
	uint32_t value_inode, value_size, hash;
	char name[];
};
_Static_assert(sizeof(struct ext4_xattr_header) == 32 && sizeof(struct ext4_xattr_entry) == 16,
	"disk layout");

/* ---- jbd2 ----------------------------------------------------------------- */

enum { JOURNAL_MAGIC = 0xc03b3998 };
enum { JOURNAL_DESCRIPTOR = 1, JOURNAL_COMMIT, JOURNAL_SUPER_V1, JOURNAL_SUPER_V2, JOURNAL_REVOKE };
enum { JCOMPAT_CHECKSUM = 1 };
enum { JINCOMPAT_REVOKE = 1, JINCOMPAT_64BIT = 2, JINCOMPAT_ASYNC_COMMIT = 4, JINCOMPAT_CSUM_V2 = 8,
	JINCOMPAT_CSUM_V3 = 16, JINCOMPAT_FAST_COMMIT = 32 };
enum { TAG_ESCAPE = 1, TAG_SAME_UUID = 2, TAG_DELETED = 4, TAG_LAST = 8 };

struct jbd2_header {
	uint32_t magic, blocktype, sequence;
};
struct jbd2_super {
	struct jbd2_header header;
	uint32_t blocksize, maxlen, first, sequence, start, error;
	uint32_t feature_compat, feature_incompat, feature_ro_compat;
	uint8_t uuid[16];
	uint32_t nr_users, dynsuper, max_transaction, max_trans_data;
	uint8_t checksum_type, padding2[3];
	uint32_t num_fc_blocks, head, padding[40], checksum;
	uint8_t users[16 * 48];
};
_Static_assert(sizeof(struct jbd2_super) == 1024, "disk layout");
struct jbd2_tag3 {
	uint32_t blocknr, flags, blocknr_high, checksum;
};
struct jbd2_tag {
	uint32_t blocknr;
	uint16_t checksum, flags;
	uint32_t blocknr_high;	/* with 64bit */
};
struct jbd2_revoke {
	struct jbd2_header header;
	uint32_t count;		/* bytes used */
};
struct jbd2_commit {
	struct jbd2_header header;
	uint8_t checksum_type, checksum_size, padding[2];
	uint32_t checksum[8];
	uint64_t seconds;	/* at 48: big endian, as all of it */
	uint32_t nanoseconds;
};

#endif
