/* SPDX-License-Identifier: MIT */
/*
 * How much of a disk counts.  What the bitmaps call free does not.  Of the journal
 * (jbd2) this much does: recovery walks from the start that its
 * superblock names, from header to header, and stops where one is not what must
 * come next; blocks of a transaction without a commit record, and all behind it,
 * are of no consequence.  So disks that differ only there need e2fsck only once.
 * Nothing is checked but headers: what might count, counts.
 */
#ifndef CRASH_LOG_H
#define CRASH_LOG_H

#include "image.h"

struct log_place {
	uint64_t *block;	/* of the disk, for each block of the journal */
	uint32_t blocks, block_bytes;
	uint64_t *void_hash;	/* page_hash of a page of zeroes, for each page of the disk */
	uint8_t *counts;	/* for each block of the journal, as last found */
	uint8_t *is_void;	/* for each block of the disk: it does not count, as last found */
	uint8_t *is_free;	/* for each block of the disk, as log_free found it */
	uint32_t disk_blocks;
};

/* Find the journal of a file system.  False: a line in `why`. */
bool log_find(struct log_place *place, const struct image *image, char *why, size_t room);
void log_forget(struct log_place *place);

/* Note which blocks are free, on a disk whose journal is empty. */
void log_free(const struct log_place *place, const struct image *image);

/* A hash of all that counts: by its journal, and by the last log_free. */
uint64_t log_hash(const struct log_place *place, const struct image *image, const uint64_t *clean_hash);

#endif
