/* SPDX-License-Identifier: MIT */
/*
 * What the tests stand on: a disk in memory that answers late and in any
 * order, may fail, and remembers what it was told so that a power cut can be
 * played; a client with some memory; each request as a plain function; and the
 * tools of e2fsprogs as oracles.
 */
#ifndef RIG_H
#define RIG_H

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "../fs.h"

enum { RIG_MEMORY = 4 << 20, RIG_QUEUE = 4096, RIG_RUBBISH = 0xd5 /* what discarded blocks read as */ };

/* A write as the disk saw it. */
struct rig_write {
	uint64_t offset;
	uint32_t bytes;
	/* a discard is a write of RIG_RUBBISH */
	bool flush;			/* not a write: everything answered before it was submitted is stable */
	bool fua;
	uint32_t mark;			/* flush: records that were answered when it was submitted */
	uint8_t *data;
};

struct rig {
	struct disk disk;
	uint8_t *bytes;
	struct disk_request *queue[RIG_QUEUE];
	uint32_t marks[RIG_QUEUE];
	unsigned queued;
	bool shuffle;			/* answer in random order */
	uint64_t seed;
	/* The fail_at-th request from now on fails with fail_error (0: never);
	 * fail_all: all after it too. */
	uint64_t fail_at;
	int fail_error;
	bool fail_all;
	uint64_t requests, writes, flushes, reads;
	uint64_t discards, discarded;	/* requests, bytes */
	bool record;
	struct rig_write *log;
	uint32_t logged, log_room;
	uint32_t write_flags;		/* of rig_write */
	uint8_t *memory;		/* the client's window */
	uint8_t page[FS_SLOT_BYTES];
	struct fs *fs;
	struct fs_options options;
	uint64_t clock, sequence;
	uint8_t *redo;
	char said[16384];		/* what the log says, the last part of it */
	bool loud;
	bool illegal;			/* a request outside of the disk, or not aligned */
};

uint64_t rig_random(struct rig *rig);
/* An image made by mke2fs with these options; bytes from a multiple of 1 KiB. */
void rig_make(struct rig *rig, uint64_t bytes, const char *mke2fs_options);
void rig_load(struct rig *rig, const char *path);
void rig_save(struct rig *rig, const char *path);
void rig_free(struct rig *rig);
/* Begin the server's life and mount. */
int64_t rig_mount(struct rig *rig, uint32_t flags);
int64_t rig_unmount(struct rig *rig);
/* The server's death: nothing more is written; requests at the disk are answered. */
void rig_kill(struct rig *rig);
bool rig_poll(struct disk *disk);
/* Until nothing is in progress. */
void rig_settle(struct rig *rig);
/* e2fsck -fn says that the image is clean. */
bool rig_clean(struct rig *rig);
/* e2fsck -fy on a copy leaves an image; for journals that it recovers. */
bool rig_e2fsck_recovers(struct rig *rig);
/* Run a command of debugfs on a copy; its output is kept in to. */
void rig_debugfs(struct rig *rig, const char *command, char *to, size_t room);

struct fs_job *rig_job(struct rig *rig, uint32_t op);	/* zeroed, with its own page; rig_done frees it */
void rig_job_free(struct fs_job *job);
int64_t rig_call(struct rig *rig, struct fs_job *job);

/* The requests.  ref: inode and generation. */
struct ref {
	uint32_t inode, generation;
};
extern const struct ref rig_no_ref;
struct ref rig_root(struct rig *rig);
int64_t rig_lookup(struct rig *rig, struct ref dir, const char *name, struct ref *to);
/* A path from the root. */
int64_t rig_path(struct rig *rig, const char *path, struct ref *to);
int64_t rig_create(struct rig *rig, struct ref dir, const char *name, uint32_t mode, const char *target,
    struct ref *to);
int64_t rig_link(struct rig *rig, struct ref dir, const char *name, struct ref inode);
int64_t rig_unlink(struct rig *rig, struct ref dir, const char *name);
int64_t rig_rmdir(struct rig *rig, struct ref dir, const char *name);
int64_t rig_rename(struct rig *rig, struct ref from, const char *old, struct ref to, const char *new,
    uint32_t flags);
int64_t rig_evict(struct rig *rig, struct ref inode);
int64_t rig_getattr(struct rig *rig, struct ref inode, struct fs_attributes *to);
int64_t rig_truncate(struct rig *rig, struct ref inode, uint64_t size);
/* Whole blocks go to the disk; the size becomes offset + bytes if that is more. */
int64_t rig_write(struct rig *rig, struct ref inode, uint64_t offset, const void *data, size_t bytes);
int64_t rig_read(struct rig *rig, struct ref inode, uint64_t offset, void *data, size_t bytes);
int64_t rig_fsync(struct rig *rig, struct ref inode);
int64_t rig_sync(struct rig *rig);
/* FS_TRIM to its end: bytes discarded. */
int64_t rig_trim(struct rig *rig, uint64_t offset, uint64_t length, uint64_t least);
int64_t rig_remount(struct rig *rig, uint32_t flags, uint64_t commit_seconds);
int64_t rig_fallocate(struct rig *rig, struct ref inode, uint32_t mode, uint64_t offset, uint64_t bytes);
int64_t rig_setxattr(struct rig *rig, struct ref inode, const char *name, const void *value, size_t bytes,
    uint32_t flags);
int64_t rig_getxattr(struct rig *rig, struct ref inode, const char *name, void *value, size_t room);
int64_t rig_readlink(struct rig *rig, struct ref inode, char *to, size_t room);
/* All names of a directory, one call of each(name) for each. */
int64_t rig_list(struct rig *rig, struct ref dir, void (*each)(void *, const struct fs_entry *),
    void *context);

/* The disk as a power cut could leave it after `events` of the log: what was
 * not stable is there or not, as the seed says. */
void rig_cut(const struct rig *rig, const uint8_t *start, uint32_t events, uint64_t seed, uint8_t *to);

#endif
