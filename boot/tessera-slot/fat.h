/* SPDX-License-Identifier: MIT */
/*
 * A FAT32 volume (Microsoft FAT specification, 2004), as far as replacing one of
 * its files safely takes.  It is opened whole: boot sector, both FATs, every
 * directory and every chain are checked, and a volume with any fault in them is
 * refused and left alone.  The one fault that is none: clusters which belong to
 * nothing.  That is what a power cut leaves of a replacement, so they count as free.
 *
 * Functions that return bool say in *why what went wrong when they return false.
 * Offsets are bytes from the beginning of the volume.
 */
#ifndef TESSERA_SLOT_FAT_H
#define TESSERA_SLOT_FAT_H

#include "upgrade.h"

enum { FAT_NAME = 11 };		/* of a short name: eight and three, without the point, with spaces */

struct fat {
	struct area *area;
	uint32_t sector, cluster;	/* bytes */
	uint64_t fat_at, fat_bytes;	/* the first FAT; the second one follows */
	unsigned fats;
	uint64_t data_at;		/* cluster 2 */
	uint32_t limit, root;		/* clusters are 2 … limit - 1; that of the root directory */
	uint64_t info_at;		/* FSInfo; 0: there is none */
	uint8_t *table[2];		/* the FATs as they are on the disk */
	uint8_t *used;			/* by cluster: belongs to a file or directory */
	uint8_t *piece;			/* pages on their way */
};

struct fat_file {
	uint32_t folder;		/* the first cluster of its directory */
	uint64_t at;			/* of its directory entry */
	uint32_t first, size;		/* cluster, bytes */
};

/* Date and time as a directory entry has them. */
struct fat_time {
	uint16_t date, time;
};

/* The volume that fills the area, which has to outlive it.  fat_close after success only. */
bool fat_open(struct fat *, struct area *, struct complaint *why);
void fat_close(struct fat *);

/* The file at this path of short names, the last of which is its own. */
bool fat_find(struct fat *, const char (*path)[FAT_NAME + 1], unsigned count, struct fat_file *, struct complaint *why);
/* Its size bytes. */
bool fat_read(struct fat *, const struct fat_file *, void *to, struct complaint *why);

/*
 * The file gets this content, size > 0.  Its old content becomes the file
 * `previous` beside it, if that name's entry, or a free one, lies in the same
 * sector of the directory (*kept), since only there one write changes both.  In
 * order, each on the disk before the next: new clusters and their chain, read back;
 * the sector of the directory; the release of what nothing names any more.
 */
bool fat_replace(struct fat *, const struct fat_file *, const char previous[FAT_NAME + 1], const void *data,
    uint32_t size, struct fat_time, bool *kept, struct complaint *why);
/* Clusters that belong to nothing are free afterwards, and FSInfo says how many. */
bool fat_tidy(struct fat *, struct complaint *why);

#endif
