/* SPDX-License-Identifier: MIT */
/*
 * How much of a journal (jbd2) counts.  Recovery walks from the start that its
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
	uint8_t *counts;	/* for each block of the disk's journal, as last found */
};

/* Find the journal of a file system.  False: a line in `why`. */
bool log_find(struct log_place *place, const struct image *image, char *why, size_t room);
void log_forget(struct log_place *place);

/* image_hash with all that does not count taken for zeroes. */
uint64_t log_hash(const struct log_place *place, const struct image *image, const uint64_t *clean_hash,
    uint64_t total);

#endif
