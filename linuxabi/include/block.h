/* SPDX-License-Identifier: MIT */
/*
 * Block devices: each CHANNEL_BLOCK channel of the world is a disk, and its
 * partitions are devices of their own.  Owner: linuxabi/block.
 */
#ifndef LX_BLOCK_H
#define LX_BLOCK_H

#include "kernel.h"

/* After fs_init and io_init, as a task.  Disks appear when they are ready; those that are by now
 * have their names when it returns, if they can be read within a second. */
void block_init(void);

/* Write back everything dirty of every disk and flush the disks' own caches: sync(2). */
void block_sync_all(void);

/* What a device number stands for, for a mount that has to find its file system's channel. */
struct block_identity {
	char name[24];			/* of the device: "nvme0n1p2" */
	char disk[16];			/* "nvme0n1" */
	uint8_t disk_guid[16];		/* of the GPT, as on the disk; zeros without one */
	uint8_t part_guid[16];		/* of the partition; zeros: none */
	uint32_t part_number;		/* 0: the whole disk */
	uint64_t start, size;		/* bytes of the disk */
};
long block_identify(uint64_t rdev, struct block_identity *);	/* 0, -ENXIO */
/* The device number of a partition with this GUID that is there now; -ENXIO. */
long block_find_part(const uint8_t guid[16], uint64_t *rdev);

/*
 * Exclusive use, as a mount or open(O_EXCL) has it; a disk and its partitions
 * exclude each other.  Claims of the same holder (not NULL) do not, and each is
 * given back once.  What the device's cache holds is written back and dropped
 * at both, so that programs do not see what was there before.
 * 0, -ENXIO, -EBUSY.
 */
long block_claim(uint64_t rdev, void *holder);
void block_unclaim(uint64_t rdev, void *holder);
/*
 * The same for a partition that may not be there yet (the root's, whose file system is
 * mounted before this world has seen the disk).  found, unless NULL, is told its number and name each
 * time that it appears; it may not block.  0, -EBUSY, -ENOMEM.
 */
long block_claim_part(const uint8_t guid[16], void *holder, void (*found)(void *holder, uint64_t rdev, const char *name));
void block_unclaim_part(const uint8_t guid[16], void *holder);

/* /proc/tessera/slot (block/boot_slot.c), once procfs is there. */
struct world_info;
void boot_slot_init(const struct world_info *);

#endif
