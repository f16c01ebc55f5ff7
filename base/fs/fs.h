/* SPDX-License-Identifier: MIT */
/*
 * The ext4 file system as a library: no operating system beneath it but malloc
 * and memcpy.  The server (main.c) and the tests on the build host use it alike.
 *
 * One struct fs is one file system on one disk.  Requests are those of
 * proto/fs.h: fs_submit takes one, a fiber works on it, and done is called when
 * the answer is there.  fs_run lets all fibers run until each of them waits for
 * the disk, for a lock or for time.  Everything happens on one thread:
 *
 *	for (;;) {
 *		fs_submit(fs, job);		any number of them
 *		next = fs_run(fs);
 *		wait for the disk (its done functions), new jobs, or until `next`
 *	}
 *
 * fs_call does this loop for one request, for who has nothing else to do.
 *
 * Functions are not reentrant: fs_submit and disk completions may be called
 * from done functions, fs_run may not.
 */
#ifndef FS_FS_H
#define FS_FS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <proto/fs.h>
#include "disk.h"

struct fs;

enum { FS_NEVER = -1 };
/* A flag of FS_UNMOUNT that no client may give: whoever held inodes is gone. */
enum { FS_UNMOUNT_FORCE = 0x80000000u };

struct fs_options {
	size_t cache_bytes;	/* metadata kept in memory, about; 0: 8 MiB */
	unsigned fibers;	/* requests in progress at once, at most; 0: 64 */
	uint64_t commit_ns;	/* a change is committed after this at the latest; 0: 5 s */
	uint64_t random;	/* a seed: generations, hash seeds */
	/* The records of operations not yet committed, in memory that outlives
	 * the server (proto/fs.h, Deaths); null: none are kept. */
	uint8_t *redo;
	size_t redo_bytes;
	/* Before this life another one had the file system mounted: FS_MOUNT
	 * replays what redo holds and keeps orphans until FS_RECOVERED. */
	bool recovering;
	/* The last life was ended from outside: what it was at had no part in that. */
	bool was_killed;

	uint64_t (*clock_ns)(void *context);		/* monotonic */
	void (*say)(void *context, const char *line);	/* one line for the log, without newline */
	/* Transactions up to this one are stable; may be null. */
	void (*committed)(void *context, uint64_t transaction);
	void *context;
};

/*
 * One request.  The caller fills request and page (FS_SLOT_BYTES of private
 * memory: nobody else writes to it until done) and keeps all until done.
 * Segments of FS_READ and FS_WRITE are handed to the disk as DISK_CLIENT.
 */
struct fs_job {
	struct fs_request request;
	struct fs_answer answer;
	uint8_t *page;
	void (*done)(struct fs_job *);	/* may be null */
	void *context;			/* the caller's */
	bool finished;			/* set before done is called */
	uint32_t page_bytes;		/* of the page that the answer uses */
	uint64_t redo, redo_room;	/* the core's: its record */
	struct fs_job *next;		/* the core's, until done */
};

/* A file system that is not mounted yet (FS_MOUNT does that): a null pointer
 * when there is no memory.  The disk outlives it. */
struct fs *fs_new(struct disk *disk, const struct fs_options *options);

/* Forget everything at once, as a death does: nothing is written.  FS_UNMOUNT
 * comes before a clean end.  The disk must have answered all requests. */
void fs_free(struct fs *fs);

void fs_submit(struct fs *fs, struct fs_job *job);

/* Run what can run.  The result: when to call again at the latest, as clock_ns
 * counts, or FS_NEVER. */
int64_t fs_run(struct fs *fs);

/* Is nothing in progress: no request, no commit, no write-back?  (Dirty blocks
 * may wait for their time.) */
bool fs_idle(const struct fs *fs);

/*
 * Submit, and run until it is done.  poll lets the disk finish something and
 * returns false if it has nothing in progress; null for disks that answer from
 * submit itself.  Returns answer.result; -EDEADLK if nothing can go on.
 */
int64_t fs_call(struct fs *fs, struct fs_job *job, bool (*poll)(struct disk *));

/* The client can see the answer: its redo record need not be kept for that. */
void fs_answered(struct fs *fs, const struct fs_job *job);

/* What FS_MOUNT found; valid while mounted. */
bool fs_mounted(const struct fs *fs);
bool fs_read_only(const struct fs *fs);
uint32_t fs_block_bytes(const struct fs *fs);
uint64_t fs_committed(const struct fs *fs);	/* last stable transaction */

/* Checksums by instructions of the CPU from now on, for all file systems: on arm64 the caller
 * knows that it has them.  False: it has none, and nothing changes. */
bool crc32c_use_cpu(void);

#endif
