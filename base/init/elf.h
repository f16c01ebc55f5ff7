/* SPDX-License-Identifier: MIT */
/*
 * The ELF images that init loads: checked once, then a list of segments.
 * Pure; the build host tests it with broken images.
 */
#ifndef INIT_ELF_H
#define INIT_ELF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { ELF_MAX_SEGMENTS = 8 };
enum { ELF_EXEC = 1, ELF_WRITE = 2, ELF_READ = 4 };	/* PF_X, PF_W, PF_R */

struct elf_segment {
	uint64_t address;		/* where it is loaded; not aligned */
	uint64_t memory_size;		/* what lies past file_size is zero */
	const uint8_t *bytes;
	uint64_t file_size;
	uint32_t flags;
	uint64_t page;			/* its first page's address ... */
	uint64_t pages_size;		/* ... and the bytes of all its pages */
};

struct elf_image {
	uint64_t entry;
	unsigned segment_count;
	struct elf_segment segment[ELF_MAX_SEGMENTS];	/* ascending, no page shared */
};

/*
 * Check a static AArch64 executable of `size` bytes whose segments must lie in
 * [low, high).  Null pointer: it is good; otherwise what is wrong, as a phrase.
 * Segments are placed by their physical address (of components it is the same
 * as the virtual one).  allow_wx: a segment may be writable and executable.
 */
const char *elf_open(struct elf_image *image, const void *bytes, size_t size, uint64_t low,
    uint64_t high, bool allow_wx);

#endif
