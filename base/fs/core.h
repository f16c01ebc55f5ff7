/* SPDX-License-Identifier: MIT */
/*
 * What the files of the library share.  Two rules hold everywhere:
 *
 * A function that may sleep says so ("sleeps"); between two of those a fiber is
 * alone.  A pointer into a buffer's data is good while the buffer is held, but
 * what it points at may change whenever one sleeps, unless a lock forbids it.
 *
 * Locks, in the order in which they are taken:
 *	fs->names (shared: one directory changes; exclusive: renames, rmdir)
 *	inode->names (of a directory: its entries; else attributes and xattrs)
 *	inode->io (shared: data moves; exclusive: blocks are taken away)
 *	a handle (journal_start)
 *	inode->tree (its map of blocks); who holds it starts no handle
 */
#ifndef FS_CORE_H
#define FS_CORE_H

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "fiber.h"
#include "format.h"
#include "fs.h"

#ifndef EUCLEAN
#define EUCLEAN 117
#endif
enum { ECORRUPT = EUCLEAN };	/* as Linux's EFSCORRUPTED */

static inline uint32_t
be32(uint32_t v)
{
	return __builtin_bswap32(v);
}

static inline uint16_t
be16(uint16_t v)
{
	return __builtin_bswap16(v);
}

static inline uint64_t
min64(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

/* ---- checksums and hashes (sum.c) ----------------------------------------- */

uint32_t crc32c(uint32_t crc, const void *bytes, size_t count);
/* Of `count` bytes, all zeroes behind the first `used`.  Cheap while count - used stays the same. */
uint32_t crc32c_padded(uint32_t crc, const void *bytes, size_t used, size_t count);
uint16_t crc16(uint16_t crc, const void *bytes, size_t count);
/* Hash of a name in a directory; false: hash_version is not known. */
bool name_hash(const char *name, size_t length, unsigned hash_version, const uint32_t seed[4],
    uint32_t *hash);

/* ---- buffers (cache.c) ------------------------------------------------------ */

struct transaction;
struct handle;

/* How the checksum of a block is made, when its transaction commits. */
enum buffer_sum {
	SUM_NONE, SUM_SUPER, SUM_GROUPS, SUM_BLOCK_BITMAP, SUM_INODE_BITMAP, SUM_DIRECTORY,
	SUM_INDEX, SUM_EXTENTS, SUM_XATTR,
};

struct buffer {
	struct buffer *hash_next;
	struct buffer *older, *newer;	/* unused ones, by age */
	struct buffer *cp_prev, *cp_next;	/* of one transaction's checkpoint list */
	uint64_t block;
	uint8_t *data;
	uint8_t *frozen;		/* content that the committing transaction logs */
	struct transaction *running, *committing, *checkpoint;
	uint32_t running_index;
	uint32_t refs;
	uint32_t sum_seed;		/* SUM_DIRECTORY…: of its inode; bitmaps: the group */
	uint8_t sum;			/* enum buffer_sum */
	bool valid;			/* holds what the disk has, or newer */
	bool reading, writing;		/* the disk is at it */
	bool dirty;			/* newer than its place on the disk; committed */
	bool logged;			/* the committing transaction has its copy */
	bool verified;			/* its checksum and form were checked */
	bool forget;			/* freed in `running` */
	int error;
	struct fiber_queue waiters;
};

/* Hold the buffer of a block without reading it.  -ENOMEM.  Sleeps. */
int buffer_get(struct fs *fs, uint64_t block, struct buffer **buffer);
/* Hold and read.  -EIO, -ENOMEM; -ECORRUPT: no such block.  Sleeps. */
int buffer_read(struct fs *fs, uint64_t block, struct buffer **buffer);
/* Begin to read, and do not wait. */
void buffer_prefetch(struct fs *fs, uint64_t block);
void buffer_put(struct fs *fs, struct buffer *buffer);
/* Write many home, sorted and joined; results are in their error.  Sleeps. */
int buffers_write(struct fs *fs, struct buffer **buffers, size_t count);
void buffer_wait_io(struct buffer *buffer);
void cache_free(struct fs *fs);
/* Memory of one block that the disk can reach; null: there is none. */
uint8_t *memory_get(struct fs *fs);
void memory_put(struct fs *fs, uint8_t *memory);
/* Memory for a moment, as malloc's and with any content; null: there is none.  Given back with
 * the size that it was asked for. */
enum { PIECE_LEAST = 64, PIECE_CLASSES = 7 };
struct pieces {
	void *first;
	unsigned count;
};
void *piece_get(struct fs *fs, size_t bytes);
void piece_put(struct fs *fs, void *piece, size_t bytes);
void pieces_free(struct fs *fs);
struct buffer *buffer_peek(struct fs *fs, uint64_t block);

/* ---- the disk (cache.c) ---------------------------------------------------- */

/* Many requests at once: fill, start, wait.  On a fiber's stack. */
struct batch {
	unsigned pending;
	int error;
	struct fiber_queue waiters;
};
/* A request that belongs to a batch; its memory goes when it is done. */
struct batch_request {
	struct disk_request disk;
	struct fs *fs;
	struct batch *batch;
	struct disk_segment *segment;
};
int batch_submit(struct fs *fs, struct batch *batch, uint32_t op, uint32_t flags, uint64_t offset,
    const struct disk_segment *segment, unsigned segments);
/* The same without memory: DISK_DISCARD. */
int batch_submit_range(struct fs *fs, struct batch *batch, uint32_t op, uint64_t offset, uint64_t bytes);
int batch_wait(struct batch *batch);
int disk_flush(struct fs *fs);
int disk_transfer(struct fs *fs, uint32_t op, uint32_t flags, uint64_t offset, void *memory,
    uint32_t bytes);

/* ---- the journal (journal.c, recover.c) ------------------------------------- */

struct extent {
	uint64_t block;
	uint64_t count;
};

enum transaction_state { T_RUNNING, T_LOCKED, T_COMMITTING, T_COMMITTED };

struct transaction {
	uint64_t id;			/* its low 32 bits are the sequence in the log */
	enum transaction_state state;
	struct transaction *next;	/* in the checkpoint queue, the older first */
	struct buffer **buffer;		/* gaps are null */
	uint32_t buffers, buffer_room;
	uint32_t live;			/* of them, those that will be logged; never less */
	uint32_t handles, reserved;
	struct buffer **forget;
	uint32_t forgets, forget_room;
	uint64_t *revoke;
	uint32_t revokes, revoke_room;
	struct extent *freed;
	uint32_t freeds, freed_room;
	struct buffer *checkpoint;	/* list */
	uint32_t log_start;
	uint64_t started_ns;
	uint64_t redo_end;		/* records up to here are covered when it commits */
};

struct journal_piece {
	uint32_t first, count;		/* log blocks */
	uint64_t block;			/* where the first of them lies */
};

enum { STAGE_BLOCKS = 64 };

struct journal {
	struct journal_piece *piece;
	uint32_t pieces;
	uint32_t first, end;		/* log blocks first … end - 1 are the ring */
	uint32_t head;			/* next block to be written */
	uint32_t tail;			/* oldest that is needed */
	uint32_t seed;
	uint32_t max_transaction;
	bool v2, v3, wide, started;	/* started: the superblock on the disk names a tail */
	struct jbd2_super super;
	struct transaction *running, *committing, *oldest, *newest;
	uint64_t committed;		/* stable up to here */
	uint64_t wanted;		/* commit everything up to this one */
	bool stop, committer_runs, checkpointer_runs, checkpointing, checkpoint_all;
	struct fiber_queue start_waiters, commit_waiters, committer, checkpointer, handle_waiters;
	struct buffer **spare;		/* a transaction's array that the next one takes */
	uint32_t spare_room;
	uint8_t *stage;			/* STAGE_BLOCKS that log blocks are written from */
};

struct handle {
	struct fs *fs;
	struct transaction *transaction;
	uint32_t credits, used;
};

/* Sleeps.  -EROFS. */
int journal_start(struct fs *fs, uint32_t credits, struct handle *handle);
void journal_stop(struct handle *handle);
/* More credits without giving the transaction up, if it has room. */
bool journal_extend(struct handle *handle, uint32_t credits);
/* A new transaction, if need be, with credits: all must be consistent.  Sleeps. */
int journal_restart(struct handle *handle, uint32_t credits);
/* Before a buffer is changed.  Sleeps. */
int journal_access(struct handle *handle, struct buffer *buffer);
/* Hold a new block, zeroed, in the transaction.  Sleeps. */
int journal_new(struct handle *handle, uint64_t block, struct buffer **buffer);
/* A metadata block is free from this transaction on.  Sleeps. */
int journal_forget(struct handle *handle, uint64_t block);
/* Wait until the transaction is stable.  -EIO.  Sleeps. */
int journal_commit(struct fs *fs, uint64_t id);
void journal_kick(struct fs *fs, uint64_t id);
/* Commit everything and write it home; nothing is left in the log.  Sleeps. */
int journal_flush(struct fs *fs);
int journal_load(struct fs *fs);
int journal_recover(struct fs *fs);
/* Ready for handles: the log is empty.  -ENOMEM, -EIO.  Sleeps. */
int journal_begin(struct fs *fs);
int journal_end(struct fs *fs);
int journal_read_block(struct fs *fs, uint32_t log_block, uint8_t *to);
void journal_free(struct fs *fs);
int journal_write_super(struct fs *fs, uint32_t start, uint32_t sequence);
uint64_t journal_place(const struct journal *journal, uint32_t log_block);
uint32_t journal_super_sum(const struct jbd2_super *super);
/* A buffer's content has come to its place on the disk. */
void journal_written(struct fs *fs, struct buffer *buffer);
void journal_timer(struct fs *fs);
bool journal_idle(const struct fs *fs);

/* ---- the file system ------------------------------------------------------- */

struct group {
	uint8_t *busy;		/* a bitmap of what must not be allocated though it is free: reserved for
				 * writes in progress, or freed in a transaction not yet committed */
	uint32_t busy_count;
	uint32_t largest;	/* no free run is longer than this */
	uint32_t trimmed;	/* nothing was freed since all free runs of so many blocks were discarded; 0: no */
	uint64_t closed_until;	/* transaction: nothing is allocated before it committed */
	bool bitmap_bad;
	bool sum_dirty;
};

enum { INODE_BUCKETS = 1024 };

struct fs {
	struct disk *disk;
	struct fs_options options;
	bool mounted, read_only, want_write, failed, aborting, unmounting, error_written;
	bool recovering;		/* orphans are kept until FS_RECOVERED */

	struct ext4_super *super;	/* in super_buffer */
	struct buffer *super_buffer;
	struct ext4_super super_home;	/* as last committed */
	uint32_t block_bytes, block_bits, inode_bytes, inodes_per_block, group_bytes;
	uint64_t blocks;
	uint32_t groups, inodes, blocks_per_group, inodes_per_group, first_data_block, table_blocks;
	uint32_t groups_per_block, flex_groups;
	bool sums, gdt_sums, wide;	/* metadata_csum, uninit_bg, 64bit */
	uint32_t sum_seed;
	unsigned hash_version;		/* for new directories, with the signedness */
	unsigned hash_unsigned;		/* 3 or 0 */
	struct buffer **group_buffer;
	uint32_t group_buffers;
	struct group *group;
	uint64_t free_blocks;		/* as the descriptors say */
	uint64_t busy_blocks;		/* of these: may not be allocated */
	uint64_t promised;		/* to the client: FS_RESERVE */
	uint64_t slack;			/* kept for metadata */
	uint32_t free_inodes, directories;
	struct extent *system;		/* sorted: blocks that no inode may have */
	uint32_t systems;

	bool discard_freed;		/* what a transaction frees is discarded */
	bool discarder_runs;
	unsigned discarding;		/* batches at the disk */
	struct extent *discard;		/* committed as free, busy, to be discarded */
	uint32_t discards, discard_room;
	struct fiber_queue discard_waiters;

	uint64_t commit_ns;		/* options.commit_ns, or as mounted */
	struct buffer **bucket;
	uint32_t bucket_mask;
	struct buffer *oldest, *newest;	/* unused buffers */
	uint32_t buffers, buffers_max, dirty_buffers;
	struct pieces pieces[PIECE_CLASSES];	/* given back and kept, by size */
	void *memory_free, *slabs;	/* block-sized pieces; what they were cut from */

	struct inode *inode_bucket[INODE_BUCKETS];
	struct inode *inode_oldest, *inode_newest;
	uint32_t inodes_cached, inodes_max;

	struct fiber_lock gate;		/* exclusive: mount, unmount, remount */
	struct fiber_lock names;
	struct fiber_lock orphans;
	struct inode *orphan_first;
	struct journal journal;
	uint64_t recovered;		/* the last transaction that the log had at mount */
	uint64_t random;
	uint64_t inode_goal;
	/* of inodes that left the cache: the newest change, the newest data */
	uint64_t left_transaction, left_written;
	uint64_t written, flushed;	/* writes of data: how many, and how many are surely stable */
	uint8_t *zeroes;		/* 4096 bytes for the disk */

	struct fs_job *first_job, *last_job;	/* waiting for a fiber */
	unsigned working;
	unsigned requests;		/* at the disk */
	struct redo *redo;
	uint32_t force_inode, force_generation;	/* the next inode that is made: a redo record's */
	uint64_t unmount_holds;
	char last_error[160];
};

void say(struct fs *fs, const char *text, ...) __attribute__((format(printf, 2, 3)));
/* Something on the disk is wrong, or the disk failed: one line, and read-only
 * from now on.  Returns -EIO or -ECORRUPT, whichever error is. */
int fs_error(struct fs *fs, int error, const char *text, ...) __attribute__((format(printf, 3, 4)));
uint64_t fs_now(struct fs *fs);
uint64_t fs_random(struct fs *fs);

int super_mount(struct fs *fs, const struct fs_request *request);	/* sleeps */
int super_unmount(struct fs *fs);
int super_remount(struct fs *fs, const struct fs_request *request);
void super_drop(struct fs *fs);			/* forget the mount, write nothing */
void super_sum(struct fs *fs);
int super_write_home(struct fs *fs);		/* super_home with flags, at once; sleeps */
void super_statfs(struct fs *fs, struct fs_statfs *to);

/* ---- groups (group.c) ------------------------------------------------------- */

struct ext4_group *group_desc(struct fs *fs, uint32_t group, struct buffer **buffer);
uint64_t group_block_bitmap(struct fs *fs, uint32_t group);
uint64_t group_inode_bitmap(struct fs *fs, uint32_t group);
uint64_t group_inode_table(struct fs *fs, uint32_t group);
uint32_t group_free_blocks(struct fs *fs, uint32_t group);
uint32_t group_free_inodes(struct fs *fs, uint32_t group);
uint32_t group_used_dirs(struct fs *fs, uint32_t group);
uint32_t group_itable_unused(struct fs *fs, uint32_t group);
void group_set_free_blocks(struct fs *fs, uint32_t group, uint32_t count);
void group_set_free_inodes(struct fs *fs, uint32_t group, uint32_t count);
void group_set_used_dirs(struct fs *fs, uint32_t group, uint32_t count);
void group_set_itable_unused(struct fs *fs, uint32_t group, uint32_t count);
uint64_t group_first(struct fs *fs, uint32_t group);
uint32_t group_size(struct fs *fs, uint32_t group);	/* in blocks */
bool group_has_super(struct fs *fs, uint32_t group);
int groups_load(struct fs *fs);				/* sleeps */
int group_load_block_bitmap(struct fs *fs, uint32_t group, struct buffer **buffer);
int group_load_inode_bitmap(struct fs *fs, uint32_t group, struct buffer **buffer);
void groups_sum(struct fs *fs, struct buffer *buffer);
void bitmap_sum(struct fs *fs, struct buffer *buffer);
/* May an inode own these blocks? */
bool blocks_ok(struct fs *fs, uint64_t block, uint64_t count);

/* Checksums of a descriptor, and of a block bitmap in it, made at once (grow.c). */
void group_seal(struct fs *fs, uint32_t group);
void group_bitmap_seal(struct fs *fs, uint32_t group, uint64_t block);
int grow_step(struct fs *fs);

/* ---- blocks (balloc.c) ------------------------------------------------------- */

/* Set blocks aside: up to want, contiguous, near goal.  Nothing is written.
 * -ENOSPC.  Sleeps. */
int blocks_reserve(struct fs *fs, uint64_t goal, uint64_t want, struct extent *got);
void blocks_unreserve(struct fs *fs, uint64_t block, uint64_t count);
/* What was set aside becomes used. */
int blocks_use(struct handle *handle, uint64_t block, uint64_t count);
/* Both, for one metadata block. */
int block_new(struct handle *handle, uint64_t goal, uint64_t *block);
/* Free blocks, metadata or data.  Sleeps. */
int blocks_free(struct handle *handle, uint64_t block, uint64_t count, bool metadata);
void blocks_committed(struct fs *fs, struct transaction *transaction);
/* Nothing of it is to be allocated or discarded now; it may become so whenever one sleeps. */
bool group_closed(const struct fs *fs, uint32_t group);
uint32_t block_group(const struct fs *fs, uint64_t block);
/* The first run that is free and not busy, from bit *at of the group on and before end: its
 * length, 0 if there is none; *at is where it begins. */
uint32_t blocks_free_run(struct fs *fs, uint32_t group, const uint8_t *map, uint32_t *at, uint32_t end);
/* Free blocks become busy.  -ENOMEM, -ECORRUPT. */
int blocks_take(struct fs *fs, uint32_t group, uint32_t first, uint32_t count);
/* Busy blocks are free again and hold nothing; blocks_unreserve: they may hold something. */
void blocks_release(struct fs *fs, uint64_t block, uint64_t count);
uint64_t blocks_available(struct fs *fs);
int blocks_promise(struct fs *fs, uint64_t count, bool root, uint64_t *granted);

/* ---- discarding (discard.c) ----------------------------------------------------- */

/* FS_TRIM: one step of it.  Sleeps. */
int64_t discard_trim(struct fs *fs, struct fs_job *job);
/* A committed transaction freed these blocks, which are busy: they are discarded and then free, by
 * and by.  false: it is not done, they are the caller's. */
bool discard_freed(struct fs *fs, struct extent *run, uint32_t count);
/* Somebody needs room: what waits to be discarded is free at once, what is at the disk after it has
 * answered.  false: there was nothing of that.  Sleeps. */
bool discards_give_way(struct fs *fs);
/* Wait until all is discarded.  Sleeps. */
void discards_end(struct fs *fs);

/* ---- inodes (inode.c, ialloc.c) ----------------------------------------------- */

struct inode {
	struct inode *hash_next, *older, *newer;
	struct fs *fs;
	uint32_t number, refs;
	bool loading, bad;
	uint32_t holds;			/* the client uses it without a name */
	bool orphan;			/* in the orphan list */
	struct inode *orphan_next, *orphan_prev;
	bool deleting;
	uint32_t sum_seed;
	struct ext4_inode *raw;		/* inode_bytes, the truth */
	struct fiber_lock names, io, tree;
	struct fiber_queue waiters;
	uint64_t goal;			/* of the next allocation */
	uint64_t transaction;		/* last that changed it */
	uint64_t data_transaction;	/* last that changed its size or map */
	uint64_t written;		/* fs->written when its data last reached the disk */
};

/* Hold an inode.  -ESTALE: it is not there; -EIO, -ECORRUPT.  Sleeps. */
int inode_get(struct fs *fs, uint32_t number, struct inode **inode);
/* The same for the file system's own ones. */
int inode_get_system(struct fs *fs, uint32_t number, struct inode **inode);
void inode_put(struct inode *inode);
/* Write raw into the handle's transaction.  Sleeps. */
int inode_store(struct handle *handle, struct inode *inode);
void inodes_free(struct fs *fs);
uint64_t inode_size(const struct inode *inode);
void inode_set_size(struct inode *inode, uint64_t size);
uint64_t inode_blocks(struct inode *inode);		/* of 512 bytes */
void inode_add_blocks(struct inode *inode, int64_t fs_blocks);
uint32_t inode_uid(const struct inode *inode);
uint32_t inode_gid(const struct inode *inode);
void inode_attributes(struct inode *inode, struct fs_attributes *to);
bool inode_is_dir(const struct inode *inode);
bool inode_fast_link(struct inode *inode);
/* Both extra bits and seconds; only what the inode has room for. */
enum inode_time { TIME_A, TIME_M, TIME_C, TIME_B };
void inode_set_time(struct inode *inode, enum inode_time which, const struct fs_time *time);
uint64_t inode_xattr_block(const struct inode *inode);
void inode_set_xattr_block(struct inode *inode, uint64_t block);
/* A new inode of dir's; not in any directory yet.  -ENOSPC.  Sleeps. */
int inode_new(struct handle *handle, struct inode *dir, const struct fs_request *request,
    struct inode **inode);
/* Its number is free again. */
int inode_free(struct handle *handle, struct inode *inode);

/* The orphan list. */
int orphan_add(struct handle *handle, struct inode *inode);
int orphan_remove(struct handle *handle, struct inode *inode);
int orphans_load(struct fs *fs);	/* mark them in memory at mount */
int orphans_reclaim(struct fs *fs);	/* delete or truncate those nobody holds */
/* Nothing names it and nobody holds it: delete it.  Sleeps. */
int inode_delete(struct inode *inode);

/* ---- the map of blocks (extent.c, indirect.c) ---------------------------------- */

struct mapping {
	uint32_t block;		/* logical */
	uint32_t count;
	uint64_t start;		/* on the disk; 0: a hole */
	bool unwritten;
};

enum { MAP_CREDITS = 40, LAST_BLOCK = 0xfffffffe };

/* What is at a logical block, and how far alike.  Takes tree shared.  Sleeps. */
int map_find(struct inode *inode, uint32_t block, uint32_t count, struct mapping *mapping);
/* The same for who holds tree. */
int map_find_locked(struct inode *inode, uint32_t block, uint32_t count, struct mapping *mapping);
/* Put blocks where a hole is; tree is held exclusively.  Sleeps. */
int map_insert(struct handle *handle, struct inode *inode, const struct mapping *mapping);
/* Make a range of unwritten blocks written; tree exclusively. */
int map_written(struct handle *handle, struct inode *inode, uint32_t block, uint32_t count);
/* Free from block first up to and with last, in steps that restart the handle;
 * takes tree for each step. */
int map_remove(struct handle *handle, struct inode *inode, uint32_t first, uint32_t last);
/* Blocks behind a range move into it, and away to make room for one: in one transaction, of a handle with
 * the credits that map_shift_credits tells (-EFBIG: no transaction takes so many nodes).  The range that
 * is collapsed holds nothing.  All or nothing is done.  Sleeps. */
int map_shift_credits(struct inode *inode, uint32_t from, uint32_t *credits);
int map_collapse(struct handle *handle, struct inode *inode, uint32_t first, uint32_t count);
int map_open(struct handle *handle, struct inode *inode, uint32_t first, uint32_t count);
void extents_init(struct inode *inode);
void extents_sum(struct fs *fs, struct buffer *buffer);
/* Every block of metadata and data that the map names, in order; for the tests
 * and for the system zone.  */
int map_each(struct inode *inode, int (*each)(void *context, const struct mapping *), void *context);
int indirect_find(struct inode *inode, uint32_t block, uint32_t count, struct mapping *mapping);

/* ---- data (data.c) ------------------------------------------------------------- */

int64_t data_read(struct inode *inode, struct fs_job *job);
int64_t data_write(struct inode *inode, struct fs_job *job);
int64_t data_fallocate(struct inode *inode, struct fs_job *job);
int64_t data_seek(struct inode *inode, uint64_t offset, bool hole);
int64_t data_extents(struct inode *inode, struct fs_job *job);
/* Change the size: io is held exclusively.  Sleeps. */
int data_truncate(struct inode *inode, uint64_t size, const struct fs_time *now,
    uint64_t *transaction);

/* ---- directories (dir.c, htree.c) ------------------------------------------------ */

struct dir_place {		/* where an entry is */
	struct buffer *buffer;
	uint32_t offset, previous;	/* previous == offset: it is the first of its block */
	uint32_t block;
};

/* Hold and check a block of a directory; buffer->sum says what it is: SUM_INDEX or
 * SUM_DIRECTORY. */
int dir_read_block(struct inode *dir, uint32_t block, struct buffer **buffer);
int dir_find(struct inode *dir, const char *name, size_t length, struct dir_place *place);
int dir_add(struct handle *handle, struct inode *dir, const char *name, size_t length,
    uint32_t number, uint32_t mode);
int dir_remove(struct handle *handle, struct inode *dir, struct dir_place *place);
int dir_set(struct handle *handle, struct inode *dir, struct dir_place *place, uint32_t number,
    uint32_t mode);
int dir_init(struct handle *handle, struct inode *dir, uint32_t parent);
int dir_empty(struct inode *dir, bool *empty);
int dir_parent(struct inode *dir, uint32_t *parent);
int dir_set_parent(struct handle *handle, struct inode *dir, uint32_t parent);
/* The cookie of a name that is, or was, in the directory; 0: there is no telling.  Sleeps, so
 * it is asked for before the transaction is left. */
uint64_t dir_cookie(struct inode *dir, const char *name, size_t length);
int64_t dir_list(struct inode *dir, uint64_t cookie, uint8_t *page, size_t bytes);
void dir_sum(struct fs *fs, struct buffer *buffer);
uint32_t dir_usable(struct fs *fs);	/* bytes of a block for entries */
int dir_append_block(struct handle *handle, struct inode *dir, uint32_t *block,
    struct buffer **buffer);
struct ext4_dirent *dir_block_find(struct fs *fs, struct buffer *buffer, const char *name,
    size_t length, struct dir_place *place);
/* Room in the block, and the entry in it; false: no room. */
bool dir_block_add(struct fs *fs, struct buffer *buffer, const char *name, size_t length,
    uint32_t number, uint32_t mode);
uint32_t dirent_bytes(size_t name_length);
uint32_t dirent_rec_len(struct fs *fs, const struct ext4_dirent *entry);
void dirent_set_rec_len(struct fs *fs, struct ext4_dirent *entry, uint32_t bytes);
void dir_block_init(struct fs *fs, struct buffer *buffer, uint32_t seed);
void index_sum(struct fs *fs, struct buffer *buffer);

bool dir_is_indexed(struct inode *dir);
/* -ENOENT; -ENOTSUP: not an index that can be used, search it all. */
int htree_find(struct inode *dir, const char *name, size_t length, struct dir_place *place);
int htree_add(struct handle *handle, struct inode *dir, const char *name, size_t length,
    uint32_t number, uint32_t mode);
/* A directory of one full block becomes a hashed one. */
int htree_make(struct handle *handle, struct inode *dir);
const char *htree_wrong(struct inode *dir, struct buffer *buffer, bool root);
/* Leaves in the order of hashes, from the one that has `hash` on. */
struct htree_walk;
int htree_walk_begin(struct inode *dir, uint32_t hash, struct htree_walk **walk);
/* The block of the leaf; *more false: it was the last. */
uint32_t htree_walk_leaf(struct htree_walk *walk);
int htree_walk_next(struct htree_walk *walk, bool *more);
void htree_walk_end(struct htree_walk *walk);
unsigned htree_version(struct inode *dir, struct buffer *root);

/* ---- extended attributes (xattr.c) ----------------------------------------------- */

int64_t xattr_get(struct inode *inode, const char *name, uint8_t *value, size_t room);
int64_t xattr_list(struct inode *inode, uint8_t *to, size_t room);
enum { XATTR_MAKE = 1, XATTR_CHANGE = 2 };
int xattr_set(struct handle *handle, struct inode *inode, const char *name, const uint8_t *value,
    size_t bytes, bool remove, unsigned flags);
/* The inode goes away: give up its block. */
int xattr_drop(struct handle *handle, struct inode *inode);
void xattr_sum(struct fs *fs, struct buffer *buffer);

/* ---- operations (op.c, names.c), redo (redo.c) -------------------------------------- */

int64_t op_run(struct fs *fs, struct fs_job *job);
/* What a redo record says, while the mount is not open to others. */
int64_t op_again(struct fs *fs, struct fs_job *job);
int64_t names_op(struct fs *fs, struct fs_job *job);

#endif
