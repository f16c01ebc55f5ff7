/* SPDX-License-Identifier: MIT */
/*
 * What file system lies on a device, with its UUID and label, as far as
 * /dev/disk/by-uuid and by-label name it: ext2/3/4, FAT, swap.  Pure.
 */
#ifndef LX_BLOCK_PROBE_H
#define LX_BLOCK_PROBE_H

#include "kernel.h"

enum { PROBE_BYTES = 4096, PROBE_TEXT = 40 };

struct probe {
	const char *type;		/* "ext4", "vfat", "swap"; NULL: nothing known */
	char uuid[PROBE_TEXT];		/* "" : none */
	char label[PROBE_TEXT];
};

/* From the first PROBE_BYTES bytes of the device. */
void probe_superblock(struct probe *, const uint8_t *first);

/* A label as a file name: what is not harmless becomes \xNN.  `to`: 4 times the text and a NUL. */
void probe_encode(char *to, const char *text);

#endif
