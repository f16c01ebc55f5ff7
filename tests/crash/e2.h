/* SPDX-License-Identifier: MIT */
/* The other opinion: e2fsprogs' library and checker on an image. */
#ifndef CRASH_E2_H
#define CRASH_E2_H

#include "image.h"
#include "tree.h"

/* Make a file system by mke2fs with these options, deterministically, in `bytes` (all zero).
 * False: a line on the standard error. */
bool e2_make(uint8_t *bytes, size_t size, const char *options);

/* What the file system holds, as libext2fs reads it; null: a line in `why`. */
struct tree *e2_tree(const struct image *image, char *why, size_t room);

/*
 * e2fsck -fn: true if it is clean.  e2fsck -fy: true if there was nothing to mend
 * but the journal to replay and orphans to clear.  `why` gets what it said.
 */
bool e2_check(const struct image *image, char *why, size_t room);
bool e2_recover(const struct image *image, char *why, size_t room);

extern uint64_t e2_processes;	/* so far */

#endif
