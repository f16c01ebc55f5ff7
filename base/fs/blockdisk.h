/* SPDX-License-Identifier: MIT */
/*
 * A struct disk on a channel of proto/block.h.
 */
#ifndef FS_BLOCKDISK_H
#define FS_BLOCKDISK_H

#include <tessera/block.h>
#include "disk.h"

struct blockdisk_io {
	struct block_io io;		/* first */
	struct block_segment segment[BLOCK_SEGMENTS];
	struct disk_request *request;
	struct blockdisk_io *free_next;
};

struct blockdisk {
	struct disk disk;		/* first; valid once blockdisk_ready said so */
	struct block_client client;
	const uint8_t *heap;		/* what DISK_OWN memory lies in */
	uint64_t own_window, client_window;
	struct blockdisk_io io[BLOCK_RING];
	struct blockdisk_io *free_io;
	struct disk_request *waiting, *last_waiting;
};

bool blockdisk_attach(struct blockdisk *d, void *frame, size_t bytes, const void *heap,
    unsigned own_window, unsigned client_window);
/* Is there a medium that can hold a file system? */
bool blockdisk_ready(struct blockdisk *d);
/* Take answers, send requests.  True: ring the channel's bell. */
bool blockdisk_move(struct blockdisk *d);

#endif
