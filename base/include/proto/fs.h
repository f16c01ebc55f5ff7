/* SPDX-License-Identifier: MIT */
/*
 * File system protocol, version 1: one mounted file system, served to one
 * client world, in one channel Frame that belongs to the channel and outlives
 * both ends.  Manual: fs(5).
 *
 * Requests and answers.  The Frame has FS_SLOTS slots, each a request, its
 * answer and a page for names, lists and other bytes.  The client fills a free
 * slot and puts its number into the ring of requests; the server writes the
 * answer into the same slot and puts the number into the ring of answers.  An
 * entry of the ring of requests also says for which server it is: what was meant
 * for an earlier one is dropped (FS_ENTRY).  Any
 * number of requests is in progress at once and they end in any order.  A slot
 * is the client's again when its answer was taken.  The server copies a request
 * before it looks at it and trusts nothing in it.
 *
 * The client owns names and caches: it serialises operations on the names of
 * one directory, and knows each inode by its number and generation.  Errors are
 * Linux's, negative, in answer.result.
 *
 * File data never lies in the channel.  A segment of FS_READ or FS_WRITE names a
 * page range of the client's lent memory (its offset in the client's window,
 * IO_WINDOW), and the disk's driver moves the data straight there.  What lies in a
 * hole is named in the answer, and the client clears it.
 *
 * Stability.  Every change belongs to a transaction; an answer says which
 * (answer.transaction).  The transactions up to fs_channel.committed are on
 * stable storage.  Pages whose FS_WRITE was answered remain the client's duty
 * until the transaction of the answer is committed: after a new server_epoch it
 * sends those writes again.
 *
 * Deaths.  The server counts its lives in server_epoch.  A new server takes
 * requests.head = requests.tail, recovers the journal, replays the records of
 * the redo area that were not committed, then raises server_epoch, sets state
 * FS_RECOVERING and rings.  What was sent meanwhile bears the old epoch and is
 * dropped.  The client takes the answers that are there, sends FS_HOLD for every
 * inode that it holds without a name, sends its unstable writes again, then
 * FS_RECOVERED, and then every request that has no answer,
 * unchanged, with the `sequence` it had.  The server answers a sequence
 * that the redo area knows from there, without doing it twice.  `sequence` rises
 * by one with every request that changes something, in the order of slots taken.
 * `committed` stays what the old life had until FS_RECOVERED is answered.
 * A request's page is written again with it, since the old server may have
 * begun an answer there.  Reservations end with the server's life: the client
 * reserves anew, by FS_RESERVE before FS_RECOVERED, what it still has use for.
 *
 * Listings.  Entries of a directory come in the order of their cookies, which rise.  A
 * cookie stays as long as its name, so who knows the entries up to a cookie may keep
 * them and follow the changes: an answer to FS_CREATE, FS_LINK and FS_RENAME says the
 * cookie that the new name has (made), one to FS_UNLINK, FS_RMDIR and FS_RENAME that of
 * the name that went (gone); an exchanging FS_RENAME says those of both names (new and
 * old).  0 says nothing: what is known of the directory is to be forgotten, as it is after an
 * error.  Cookies nearer to each other than FS_COOKIE_NEAR may change when one of them
 * comes or goes.
 *
 * The client counts its lives in client_epoch; a server that sees a new one
 * drops all of the old client's requests and holds, commits, and sets
 * client_epoch_seen; then the client mounts anew.  client_epoch_quiet comes before: as soon
 * as no device moves the old client's data any more, whether there is a disk or not.  init
 * counts client_epoch once as well when a client has ended, and leaves its memory alone
 * until that is said; a server that does not say so is ended.
 */
#ifndef PROTO_FS_H
#define PROTO_FS_H

#include <stdint.h>

#define FS_MAGIC	0x53464c53u	/* "SLFS" */
#define FS_VERSION	1

enum {
	FS_SLOTS = 128,			/* a power of two */
	FS_SLOT_BYTES = 4096,		/* of a slot's page */
	FS_SEGMENTS = 64,		/* of one FS_READ or FS_WRITE, at most */
	FS_REDO_BYTES = 256 * 1024,
	FS_CHANNEL_BYTES = 1024 * 1024,
	FS_NAME = 255,
	FS_COOKIE_NEAR = 65536,		/* see Listings */
};

enum fs_state {
	FS_STARTING = 0,	/* no server yet, or no disk yet */
	FS_NOTHING = 1,		/* there is a server, nothing is mounted: FS_MOUNT is taken */
	FS_MOUNTED = 2,
	FS_RECOVERING = 3,	/* a new life with the old mount: see Deaths */
	FS_FAILED = 4,		/* cannot be mounted; the server's log says why; FS_MOUNT may be tried again */
};

enum fs_op {
	/* mount and whole file system */
	FS_MOUNT = 1,		/* flags: FS_MOUNT_*; length: seconds until a change is committed, at most
				 * FS_COMMIT_MAX (0: 5); answer: attributes of the root */
	FS_UNMOUNT,		/* commits, marks clean; all holds must be gone (-EBUSY) */
	FS_STATFS,		/* answer.page: struct fs_statfs */
	FS_SYNC,		/* everything answered before is committed */
	FS_REMOUNT,		/* flags and length as FS_MOUNT: read-only and back, and the options */
	FS_HOLD,		/* inode: the client uses it though it has, or soon will have, no name (after a
				 * new epoch); until FS_EVICT or a new name */
	FS_RECOVERED,		/* see Deaths; offset: the lowest sequence without an answer, 0: none.  An inode
				 * without a name that such a request made or unlinked stays until FS_EVICT */
	FS_RESERVE,		/* length: blocks to set aside for writes to come (or give back: FS_RELEASE);
				 * result: blocks granted, -ENOSPC if none */
	FS_TRIM,		/* offset, length (in the file system): discard what is free there, but no runs
				 * below `size`; all in bytes.  result: bytes discarded; made: the offset to go on
				 * at, since one request does not take long (0: that was all).  What was discarded
				 * and not used since is left out.  -EOPNOTSUPP, -EROFS, -EINVAL: the offset is
				 * outside, the length less than a block, size more than a group.  Who has no room
				 * has it back from here (FS_RESERVE) */

	/* names; dir = inode, page: name (NUL-terminated); answer: attributes of what was found or made */
	FS_LOOKUP = 32,
	FS_CREATE,		/* mode (type and permissions), uid, gid, rdev; symbolic link: page has the
				 * target behind the name's NUL; the name "" makes an inode without a name (O_TMPFILE) */
	FS_LINK,		/* inode2: what gets the name */
	FS_UNLINK,		/* answer: attributes of the inode, nlink may be 0: then it lives until FS_EVICT */
	FS_RMDIR,
	FS_RENAME,		/* inode2: new directory, page: old name, NUL, new name; flags: RENAME_*; answer:
				 * attributes of the inode that lost its name (inode 0: none) */
	FS_READDIR,		/* offset: cookie (0 from the start); answer.page: struct fs_entry…, result: bytes; 0: end */
	FS_READLINK,		/* answer.page: target, result: its length */

	/* inodes */
	FS_GETATTR = 64,
	FS_SETATTR,		/* valid: FS_SET_*, of which SIZE and FLAGS both use `size`: one of them at a time,
				 * CTIME is `now`; answer: attributes */
	FS_EVICT,		/* the client forgets an inode whose nlink is 0: it is deleted */
	FS_FSYNC,		/* flags: FS_DATASYNC; answered data of the inode and its metadata are stable */
	/* Offset and length of both are multiples of 512 and length is the sum of the segments,
	 * so the last block of a file is moved whole, whatever its size. */
	FS_READ,		/* offset, length, segments; answer: bytes before the end of the file (the client
				 * clears the rest); answer.page: struct fs_hole, answer.count of them */
	FS_WRITE,		/* offset, length, segments, size (new size if larger than the inode's), mtime and in
				 * `now` ctime (mtime 0: both as they are); reserved_blocks leave the reservation:
				 * the write uses them up first, and what it does not need is free again; answer:
				 * bytes, attributes.  No bytes: the size alone, as after a death, when the page
				 * that made it so is gone.  flags: FS_STABLE, and with it FS_DATASYNC: what an
				 * FS_FSYNC behind it would do is done before the answer */
	FS_FALLOCATE,		/* flags: FALLOC_FL_*; offset, length */
	FS_SEEK,		/* offset, flags: SEEK_DATA or SEEK_HOLE; result: offset */
	FS_EXTENTS,		/* offset, length; answer.page: struct fs_extent, answer.count of them */
	FS_GETXATTR,		/* page: name; answer.page: value, result: length */
	FS_SETXATTR,		/* page: name, NUL, value (length bytes); flags: XATTR_* */
	FS_LISTXATTR,		/* answer.page: names with their NULs, result: length */
	FS_REMOVEXATTR,
};

/* FS_MOUNT_DISCARD: what a transaction frees is discarded when it has committed. */
enum { FS_MOUNT_READONLY = 1, FS_MOUNT_NO_GROW = 2, FS_MOUNT_DISCARD = 4, FS_COMMIT_MAX = 2147483, FS_DATASYNC = 1, FS_STABLE = 2,
	FS_RELEASE = 1 };
enum { FS_SET_MODE = 1, FS_SET_UID = 2, FS_SET_GID = 4, FS_SET_SIZE = 8, FS_SET_ATIME = 16,
	FS_SET_MTIME = 32, FS_SET_CTIME = 64, FS_SET_FLAGS = 128 };

struct fs_time {
	int64_t seconds;
	uint32_t nanoseconds;
	uint32_t reserved;
};

struct fs_attributes {
	uint32_t inode, generation;
	uint32_t mode, nlink, uid, gid;
	uint64_t rdev;			/* as Linux's stat shows it */
	uint64_t size;
	uint64_t blocks;		/* of 512 bytes */
	uint32_t flags;			/* EXT4_*_FL that FS_IOC_GETFLAGS shows */
	uint32_t reserved;
	struct fs_time atime, mtime, ctime, btime;
};
_Static_assert(sizeof(struct fs_attributes) == 120, "wire layout");

struct fs_segment {
	uint64_t address;		/* offset in the client's window, a multiple of 512 */
	uint32_t bytes;			/* a multiple of 512 */
	uint32_t reserved;
};

struct fs_request {
	uint32_t op;			/* enum fs_op */
	uint32_t flags;
	uint64_t sequence;		/* of requests that change something; 0: others */
	uint32_t inode, generation;
	uint32_t inode2, generation2;
	uint64_t offset, length;
	uint64_t size;			/* FS_SETATTR, FS_WRITE */
	uint64_t rdev;
	uint32_t valid;
	uint32_t mode, uid, gid;
	uint32_t segments;
	uint32_t reserved_blocks;
	struct fs_time now;		/* the client's clock: what is changed gets it */
	struct fs_time atime, mtime;
	struct fs_segment segment[FS_SEGMENTS];
};

struct fs_answer {
	int64_t result;			/* 0 or more; -errno */
	uint64_t transaction;		/* that holds the change; 0: nothing changed */
	uint32_t count;			/* of records in the page */
	uint32_t reserved;
	struct fs_attributes attributes;
	uint64_t made, gone;		/* cookies: see Listings */
};

struct fs_slot {
	struct fs_request request;
	struct fs_answer answer;
	uint64_t pad[3];
};
_Static_assert(sizeof(struct fs_slot) % 64 == 0, "wire layout");

struct fs_entry {			/* FS_READDIR; 8-byte aligned, one after the other */
	uint64_t cookie;		/* to go on after this one */
	uint32_t inode;
	uint16_t length;		/* of the record */
	uint8_t type;			/* DT_* */
	uint8_t name_length;
	char name[];			/* NUL-terminated */
};

struct fs_hole {			/* of a FS_READ: to be cleared by the client */
	uint64_t offset, length;	/* from the request's offset */
};

struct fs_extent {
	uint64_t offset, physical, length;	/* bytes */
	uint32_t flags;			/* FIEMAP_EXTENT_* */
	uint32_t reserved;
};

struct fs_statfs {
	uint64_t blocks, free, available, inodes, inodes_free;
	uint32_t block_size, name_length;
	uint8_t uuid[16];
	char label[16];
};

/* An entry of the ring of requests: a slot, and the server_epoch that the client
 * knew when it sent it.  In the ring of answers it is the slot alone. */
#define FS_ENTRY(slot, epoch)	((uint32_t)(epoch) << 8 | (slot))
#define FS_ENTRY_SLOT(entry)	((entry) & 0xff)
#define FS_ENTRY_IS_FOR(entry, epoch)	(((uint32_t)(epoch) ^ (entry) >> 8) << 8 == 0)

struct fs_ring {			/* of entries; indices as in proto/block.h */
	_Alignas(64) volatile uint32_t tail;
	volatile uint32_t writer_waits;
	_Alignas(64) volatile uint32_t head;
	volatile uint32_t reader_waits;
	_Alignas(64) uint32_t slot[FS_SLOTS];
};

struct fs_channel {			/* at offset 0 of the channel Frame */
	uint32_t magic;			/* written by init with version */
	uint32_t version;
	volatile uint32_t client_epoch, client_epoch_seen, server_epoch;
	volatile uint32_t state;	/* enum fs_state, the server's */
	volatile uint64_t committed;	/* transactions up to here are stable */
	volatile uint32_t block_size;
	volatile uint32_t read_only;	/* 1: also after an error made it so */
	volatile uint32_t disk_state;	/* enum block_state of the disk below */
	volatile uint32_t client_epoch_quiet;	/* server's: nothing that a client before this one sent is in progress */
	/* Server's, of what is mounted: flags and length of the last FS_MOUNT or FS_REMOUNT, for its next life. */
	volatile uint32_t mount_flags, commit_seconds;
	struct fs_ring requests, answers;
	_Alignas(64) struct fs_slot slot[FS_SLOTS];
	_Alignas(4096) uint8_t page[FS_SLOTS][FS_SLOT_BYTES];
	_Alignas(4096) uint8_t redo[FS_REDO_BYTES];	/* the server's own, outlives it; zeros at boot */
};
_Static_assert(sizeof(struct fs_channel) <= FS_CHANNEL_BYTES, "fits its Frame");

#endif
