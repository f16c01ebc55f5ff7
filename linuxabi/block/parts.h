/* SPDX-License-Identifier: MIT */
/*
 * Partition tables as a disk has them, read and checked: GUID partition tables
 * (UEFI 2.10 §5.3) and the older MBR with its chain of logical partitions.
 * Pure: no lock, no allocation; what the disk says is checked before it is used.
 */
#ifndef LX_BLOCK_PARTS_H
#define LX_BLOCK_PARTS_H

#include "kernel.h"

enum { PARTS_MAX = 128, PART_NAME = 36 * 3 + 1, PART_BUFFER = 4096 };

enum part_kind { PARTS_NONE, PARTS_MBR, PARTS_GPT };

struct part {
	uint64_t first, count;		/* blocks of the disk */
	uint32_t number;		/* as Linux counts them, from 1 */
	uint8_t guid[16];		/* GPT: the partition's own, as on the disk */
	uint8_t type_guid[16];
	uint8_t type;			/* MBR */
	bool bootable;
	char name[PART_NAME];		/* GPT: UTF-8 */
};

struct part_table {
	enum part_kind kind;
	bool from_backup;		/* GPT: the primary table does not count */
	bool backup_bad;		/* GPT: the backup does not, or differs */
	uint8_t disk_guid[16];
	uint32_t mbr_id;
	unsigned count;
	struct part part[PARTS_MAX];	/* by number */
};

/* Reads `count` blocks from `block` on, at most PART_BUFFER bytes in all; 0 or -errno. */
typedef long part_reader(void *arg, uint64_t block, uint32_t count, void *to);

/*
 * Read the table of a disk of `blocks` blocks of block_size (512 or 4096) bytes.  buffer: PART_BUFFER bytes.
 * 0 also when there is no table; -errno when the first block could not be read.
 */
long parts_read(struct part_table *, uint32_t block_size, uint64_t blocks, part_reader *, void *arg, uint8_t *buffer);

/* Text of a GUID (37 bytes), and what /dev/disk/by-partuuid says (at most 37 bytes; "": nothing). */
void guid_text(char *to, const uint8_t guid[16]);
void part_uuid(char *to, const struct part_table *, const struct part *);

#endif
