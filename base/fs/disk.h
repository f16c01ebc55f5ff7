/* SPDX-License-Identifier: MIT */
/*
 * What the file system stands on: a disk that takes requests and answers them
 * later, in any order.  On the target it is a channel of proto/block.h, in
 * tests a file, memory, or a recorder that may fail, reorder and cut.
 *
 * The core never waits in submit: a disk that has no room for a request keeps
 * it.  Every request is answered exactly once by calling done, from submit
 * itself or later, with result 0 or -errno (EIO, EROFS, ENOSPC, EOPNOTSUPP,
 * ENOMEDIUM).  A FLUSH is answered when everything that was answered before it
 * was submitted is on stable storage; no other order is promised.
 *
 * Memory is named in segments.  DISK_OWN: address is a pointer into memory that
 * fs allocated (malloc).  DISK_CLIENT: address is what a segment of FS_READ or
 * FS_WRITE named, unchanged: the disk finds the client's window for it.
 */
#ifndef FS_DISK_H
#define FS_DISK_H

#include <stdbool.h>
#include <stdint.h>

enum disk_op { DISK_READ = 1, DISK_WRITE, DISK_FLUSH, DISK_DISCARD, DISK_ZERO };
enum disk_space { DISK_OWN, DISK_CLIENT };
enum { DISK_FUA = 1 };		/* of a DISK_WRITE: stable when answered */

enum { DISK_SEGMENTS = 64 };	/* of one request, at most; proto/block.h has as many */

struct disk_segment {
	uint64_t address;
	uint32_t bytes;		/* a multiple of 512 */
	uint32_t space;		/* enum disk_space */
};

struct disk_request {
	uint32_t op, flags;
	uint64_t offset;	/* bytes from the start of the disk, a multiple of sector_bytes */
	uint64_t bytes;		/* READ and WRITE: what the segments add up to */
	const struct disk_segment *segment;	/* stays until done */
	uint32_t segments;
	int32_t result;
	void (*done)(struct disk_request *);
	void *context;		/* the submitter's */
	struct disk_request *next;	/* the disk's, until done */
	uint64_t private[2];	/* the disk's, until done */
};

struct disk {
	void (*submit)(struct disk *, struct disk_request *);
	uint64_t bytes;
	uint32_t sector_bytes;	/* 512 or 4096 */
	uint32_t max_bytes;	/* of one request; 0: no limit but its segments */
	bool read_only;
	bool has_discard, has_zero;
	void *context;		/* the disk's */
};

#endif
