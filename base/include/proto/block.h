/* SPDX-License-Identifier: MIT */
/*
 * Block protocol, version 1: one disk, or one partition of it, in one channel
 * Frame that belongs to the channel and outlives both ends.  The driver is the
 * server.  Manual: block(5).
 *
 * What the channel may reach stands in system.conf (`part`): the server bounds
 * every request by it, and block 0 is the first block of what it may reach.
 *
 * Requests and answers travel in two rings.  Of each ring the writer alone
 * advances tail and the reader alone head, both modulo 2^32 and never masked;
 * tail - head <= BLOCK_RING always.  An end that finds more says so in its log,
 * takes head = tail, and goes on.  The client has at most BLOCK_RING requests
 * in flight, so the ring of answers never overflows.  Requests may be served in
 * any order; only BLOCK_FLUSH orders: it is answered when everything that was
 * *answered* before it was sent is on stable storage.
 *
 * Wake-ups: as in proto/stream.h (a waiter sets its flag, looks again, waits).
 *
 * Data never lies in the channel.  A segment names memory by the address that
 * the device uses: bits 38:36 are the window of whoever lent the memory
 * (enum in proto/component.h), bits 35:0 the place in it.  The server refuses
 * windows that the channel has no right to.  What lies in a window but was not
 * lent faults in the SMMU: the client's own damage.
 *
 * Bounds.  A channel whose part is "by NAME" reaches nothing (BLOCK_NO_MEDIUM) until
 * the client NAME of a channel of the whole disk has sent BLOCK_BIND there: blocks
 * [block, block + bounds.blocks) of the disk for the channel of the client
 * bounds.client; bounds.blocks 0 takes them away.  When it is answered the other
 * channel has its new epoch, and nothing that its client had sent before is in
 * progress.  A channel that has bounds is BLOCK_EBUSY for others; who has no word in it
 * gets BLOCK_EINVAL.  The bounds stay while servers come and go; they end
 * with the life of the client that gave them, and with a medium that is taken out.
 *
 * Deaths.  The server counts its lives in server_epoch; a request carries the
 * epoch that its client saw, and the server drops requests of other epochs
 * without an answer.  A new server first brings the device to a state in which
 * no old command can complete, takes requests.head = requests.tail, then raises
 * server_epoch, sets state, and rings.  A client that sees a new epoch takes all
 * answers that are there and sends every request that has none again, with the
 * new epoch; if the facts are those of another medium, it ends them instead.
 * The client counts its lives in client_epoch.  A server that sees a new one
 * drops what the old client sent, waits until the device has finished all of
 * it, takes requests.head = requests.tail and answers.tail = answers.head and
 * sets client_epoch_seen; only then the new client uses the rings and its memory.
 * init counts once as well when a client has ended, and leaves its memory alone until
 * client_epoch_seen follows: a write that is under way would put the next owner's bytes on the
 * disk.  A server that does not say so within three seconds is ended, and its device stopped.
 */
#ifndef PROTO_BLOCK_H
#define PROTO_BLOCK_H

#include <stdint.h>

#define BLOCK_MAGIC	0x4b434c42u	/* "BLCK" */
#define BLOCK_VERSION	1

enum {
	BLOCK_RING = 128,		/* entries, a power of two */
	BLOCK_SEGMENTS = 64,		/* of one request, at most */
	BLOCK_CHANNEL_BYTES = 256 * 1024,
};

enum block_state {
	BLOCK_STARTING = 0,	/* no server yet, or it finds out about the device */
	BLOCK_READY = 1,
	BLOCK_NO_MEDIUM = 2,	/* no card, no such partition: may change, look again when rung */
	BLOCK_FAILED = 3,	/* the device is broken: everything is answered BLOCK_EIO */
};

enum block_op {
	BLOCK_READ = 1,
	BLOCK_WRITE = 2,
	BLOCK_FLUSH = 3,	/* no block, no segments */
	BLOCK_DISCARD = 4,	/* block and count; contents become undefined */
	BLOCK_WRITE_ZEROES = 5,	/* block and count; only where flags of the channel say so */
	BLOCK_BIND = 6,		/* see Bounds; block and bounds */
};

enum { BLOCK_FUA = 1 };		/* of a BLOCK_WRITE: on stable storage when answered */

/* Facts about the device (struct block_channel, flags). */
enum {
	BLOCK_HAS_CACHE = 1,	/* volatile: BLOCK_FLUSH does something */
	BLOCK_HAS_FUA = 2,	/* otherwise the server flushes after the write */
	BLOCK_HAS_DISCARD = 4,
	BLOCK_HAS_ZEROES = 8,
	BLOCK_READONLY = 16,
	BLOCK_REMOVABLE = 32,
	BLOCK_COPY = 64,	/* part root: the loader took another disk with this one's GUID; see block(5) */
};

enum block_status {
	BLOCK_OK = 0,
	BLOCK_EIO,		/* the device failed it */
	BLOCK_ERANGE,		/* outside of the channel's bounds */
	BLOCK_EINVAL,		/* operation, segments, window or size make no sense */
	BLOCK_EROFS,
	BLOCK_ENOTSUP,
	BLOCK_ENOMEDIUM,
	BLOCK_ETIMEDOUT,	/* the device did not answer; it was reset */
	BLOCK_EBUSY,		/* BLOCK_BIND: the channel has bounds */
};

struct block_segment {
	uint64_t address;	/* as the device uses it; a multiple of 512 (4 where the device can) */
	uint32_t bytes;		/* a multiple of the block size */
	uint32_t reserved;
};

struct block_bounds {		/* BLOCK_BIND */
	uint64_t blocks;
	char client[16];	/* whose channel gets them */
};

struct block_request {
	uint64_t block;		/* first block, in units of block_size */
	uint64_t cookie;	/* the client's own; returns in the answer */
	uint32_t count;		/* blocks; for READ and WRITE the segments add up to them */
	uint32_t op;		/* enum block_op */
	uint32_t flags;		/* BLOCK_FUA */
	uint32_t epoch;		/* server_epoch as the client saw it */
	uint32_t segments;	/* used of segment[slot] */
	uint32_t reserved;
	struct block_bounds bounds;	/* BLOCK_BIND */
};
_Static_assert(sizeof(struct block_request) == 64, "wire layout");

struct block_answer {
	uint64_t cookie;
	uint32_t status;	/* enum block_status */
	uint32_t reserved;
};
_Static_assert(sizeof(struct block_answer) == 16, "wire layout");

struct block_ring {
	_Alignas(64) volatile uint32_t tail;	/* writer's */
	volatile uint32_t writer_waits;
	_Alignas(64) volatile uint32_t head;	/* reader's */
	volatile uint32_t reader_waits;
};

struct block_channel {			/* at offset 0 of the channel Frame */
	uint32_t magic;			/* written by init with version */
	uint32_t version;
	volatile uint32_t client_epoch;
	volatile uint32_t client_epoch_seen;	/* server's */
	volatile uint32_t server_epoch;
	/* Server's, valid once state is not BLOCK_STARTING; they change only with a new epoch. */
	volatile uint32_t state;	/* enum block_state */
	volatile uint32_t flags;
	volatile uint32_t block_size;	/* logical, bytes: 512 or 4096 */
	volatile uint32_t physical_size;	/* bytes that the device writes at once */
	volatile uint32_t max_bytes;	/* of one request */
	volatile uint64_t blocks;	/* that this channel may reach */
	volatile uint64_t first_block;	/* of the disk: where that begins */
	volatile uint64_t disk_blocks;
	volatile uint32_t part_number;	/* in the GPT; 0: the whole disk */
	volatile uint32_t reserved;
	volatile uint8_t part_guid[16];	/* unique GUID of the partition, zeros for the disk */
	volatile uint8_t disk_guid[16];	/* of the GPT, zeros without one */
	char part_name[40];		/* UTF-8, NUL-terminated, cut where it is longer */
	char model[48], serial[24], firmware[12];
	char name[16];			/* as Linux calls the disk: "nvme0n1", "vda", "mmcblk0" */
	struct block_ring requests, answers;
	_Alignas(64) struct block_request request[BLOCK_RING];
	struct block_answer answer[BLOCK_RING];
	struct block_segment segment[BLOCK_RING][BLOCK_SEGMENTS];	/* [request slot] */
};
_Static_assert(sizeof(struct block_channel) <= BLOCK_CHANNEL_BYTES, "fits its Frame");

#endif
