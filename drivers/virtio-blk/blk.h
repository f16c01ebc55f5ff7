/* SPDX-License-Identifier: MIT */
/*
 * The virtio-blk driver (virtio 1.1 §5.2): one device, one request queue.  virtio-blk(4).
 */
#ifndef VIRTIO_BLK_H
#define VIRTIO_BLK_H

#include <driver/block.h>
#include <driver/virtio.h>

enum {
	BLK_CHAIN = 66,			/* header, BLOCK_SEGMENTS, status */
	BLK_CHAIN_DIRECT = 16,		/* without indirect descriptors */
	BLK_MAX_BYTES = 1024 * 1024,
	BLK_NONSENSE = 16,		/* used entries that make no sense, until it is reset */
	BLK_RESETS = 4,			/* in a row, until it counts as broken */
};

enum {					/* milliseconds */
	BLK_RESET_MS = 5000,
	BLK_REQUEST_MS = 20000,
	BLK_LOOK_MS = 1000,
	BLK_POLL_MS = 1,
};

/* The device's life.  Whatever goes wrong leads back to RESETTING. */
enum blk_state {
	BLK_RESETTING,			/* status was written 0, and does not read so yet */
	BLK_NAMING,			/* it was asked for its serial number */
	BLK_LIVE,
	BLK_BROKEN,			/* for good */
};

/* What the device reads and writes beside the data, for each slot. */
struct blk_header {
	uint32_t type, reserved;
	uint64_t sector;
};
struct blk_range {
	uint64_t sector;
	uint32_t sectors, flags;
};
struct blk_slot {
	struct blk_header header;
	struct blk_range range;		/* of discard and write zeroes */
	uint8_t id[20];
	uint8_t status;
	uint8_t pad[11];
};
_Static_assert(sizeof(struct blk_slot) == 64, "an own cache line");

struct blk {
	struct virtio virtio;
	struct virtio_queue queue;
	struct block_server *server;
	struct dma_region *dma;
	enum blk_state state;
	bool bound, failed;
	unsigned resets, nonsense;
	uint64_t deadline, look_after;
	bool config_changed;
	struct blk_slot *slot;
	uint64_t slot_io;
	uint32_t tag[VIRTIO_SLOTS];
	uint64_t slot_deadline[VIRTIO_SLOTS];
	struct block_device facts;
};

extern const struct block_operations blk_operations;

/* Begin: find the device, take memory, reset it; the rest happens in blk_operations.poll.
 * False: it can never work; said in the log. */
bool blk_start(struct blk *b, struct block_server *server, const struct component_pci *pci, struct dma_region *dma);

#endif
