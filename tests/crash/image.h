/* SPDX-License-Identifier: MIT */
/*
 * A disk's content as it is tried out: bytes in a memory file (so that e2fsck
 * can open it by a path), of which those pages that were touched are put back
 * from a clean copy.  The clean copy is shared by several images and may move on:
 * who changes it says image_touch to each of them.
 */
#ifndef CRASH_IMAGE_H
#define CRASH_IMAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { IMAGE_PAGE = 4096 };

struct image {
	uint8_t *bytes;
	size_t size;		/* a multiple of IMAGE_PAGE */
	int fd;
	char path[48];		/* that another process opens */
	const uint8_t *clean;	/* what image_restore brings back; not owned */
	uint32_t *touched;	/* pages that may differ from clean */
	uint32_t touched_count;
	uint8_t *is_touched;
};

/* An image of `size` bytes that equals `clean`.  Ends the program when there is no memory. */
void image_open(struct image *image, const uint8_t *clean, size_t size);
void image_close(struct image *image);

/* Bytes from `offset` will differ, or clean did move on there. */
void image_touch(struct image *image, uint64_t offset, uint64_t bytes);
void image_restore(struct image *image);
/* The same when somebody else wrote to the file, nobody knows where. */
void image_restore_all(struct image *image);

/* A hash of a page at its place; the hash of a disk is the exclusive or of all. */
uint64_t page_hash(uint64_t page, const uint8_t *bytes);
uint64_t bytes_hash(uint64_t seed, const void *bytes, size_t count);
/* Of the whole image, when `clean_hash` has those of the clean pages and `total` is their xor. */
uint64_t image_hash(const struct image *image, const uint64_t *clean_hash, uint64_t total);

/* A number that looks random, made of two others. */
uint64_t mix(uint64_t a, uint64_t b);

/* Memory, or the end of the program. */
void *need(size_t bytes);
void *need_more(void *old, size_t bytes);

#endif
