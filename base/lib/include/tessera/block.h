/* SPDX-License-Identifier: MIT */
/*
 * The client's side of the block protocol (proto/block.h, block(5)): the file
 * server uses it natively, the Linux personality at EL1, and tests on the build
 * host.  No system call, no allocation, no libc.  It neither waits nor rings:
 * functions say when the caller shall do so.
 *
 * A request is a struct block_io that the caller owns.  From block_submit until
 * block_reap returns it, it and the segments that it points to stay where they
 * are and are not changed, since a new server gets it again: a server's death is
 * nothing that a caller of this library sees, but for the time it takes.
 *
 * One caller at a time: who has several threads holds a lock around each call.
 *
 *	block_attach(&disk, frame, size);
 *	...
 *	block_submit(&disk, &io);			any number of them
 *	if (block_push(&disk))
 *		ring the channel's bell;
 *	...						and at each bell, or before waiting:
 *	while ((io = block_reap(&disk)) != NULL)
 *		it is done: look at io->status;
 *	if (block_push(&disk))				reissued after a death
 *		ring the channel's bell;
 *	if (block_rest(&disk))
 *		wait for the own bell;
 */
#ifndef TESSERA_BLOCK_H
#define TESSERA_BLOCK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <proto/block.h>

/* A request; the first part is the caller's (units as in struct block_request). */
struct block_io {
	uint64_t block;
	uint32_t count;
	uint16_t op;			/* enum block_op */
	uint16_t flags;			/* BLOCK_FUA */
	uint32_t segments;
	uint32_t status;		/* enum block_status, once reaped */
	const struct block_segment *segment;
	const struct block_bounds *bounds;	/* BLOCK_BIND; stays as the segments do */
	/* The library's. */
	struct block_io *next;
	uint64_t cookie;
};

/* What the server says about the device, of one epoch. */
struct block_facts {
	uint32_t state;			/* enum block_state */
	uint32_t flags;
	uint32_t block_size, physical_size, max_bytes;
	uint32_t part_number;
	uint64_t blocks, first_block, disk_blocks;
	uint8_t part_guid[16], disk_guid[16];
	char part_name[40];
	char model[48], serial[24], firmware[12];
	char name[16];
};

struct block_queue {			/* of struct block_io */
	struct block_io *first, *last;
};

/* Opaque to callers but for facts and the counters. */
struct block_client {
	struct block_channel *shared;
	struct block_facts facts;	/* block_size 0: none were seen yet */
	uint32_t changes;		/* how often facts or state changed */
	uint32_t broken;		/* answers and indices that made no sense */
	uint32_t reissued;

	uint32_t epoch;			/* of the server, that facts belong to */
	uint32_t own_epoch;
	bool open;			/* the server has seen own_epoch */
	bool live;			/* facts are those of the server's present epoch */
	bool refused;			/* those of refused_epoch make no sense */
	uint32_t refused_epoch;
	uint32_t tail;			/* of requests, as written so far */
	uint32_t head;			/* of answers */
	uint32_t in_flight;		/* tags in use */
	struct block_facts medium;	/* those of the last one that was ready; block_size 0: none yet */
	struct block_queue pending;	/* not in the ring yet, in order */
	struct block_queue orphans;	/* of a medium that is another one now: BLOCK_ENOMEDIUM */
	struct block_io *sent[BLOCK_RING];	/* by tag; NULL: free, or pending */
	uint32_t generation[BLOCK_RING];
	uint64_t tag_used[BLOCK_RING / 64];
};

/*
 * Begin a new life of this client in its channel Frame.  False: the Frame is no
 * block channel.  Ring the server's bell afterwards: it has to drop what an earlier life
 * left before requests go out; until then they wait here.
 */
bool block_attach(struct block_client *c, void *frame, size_t bytes);

/*
 * Take a request.  It goes out with the next block_push.  False: BLOCK_RING are in progress
 * already; try again after block_reap returned one.
 */
bool block_submit(struct block_client *c, struct block_io *io);

/* Hand what was submitted (or is to be sent again) to the server.  True: ring its bell. */
bool block_push(struct block_client *c);

/*
 * The next request that is done, or NULL.  Notices new lives of the server.  What is in progress
 * while one medium takes the place of another ends with BLOCK_ENOMEDIUM, and never gets there.
 */
struct block_io *block_reap(struct block_client *c);

/*
 * Look at the server's state without reaping; block_reap does it too.  True: facts are valid,
 * and requests get to a server (which may answer that there is no medium).
 */
bool block_update(struct block_client *c);

/*
 * Say that this end is going to wait for its bell.  True: nothing is there to be done
 * before; false: call block_reap and block_push again.
 */
bool block_rest(struct block_client *c);

/*
 * The server was built anew (COMPONENT_BIT_PEER), or nobody knows whether a bell was
 * lost: look at everything again, and ring the server's bell.
 */
static inline void
block_peer_changed(struct block_client *c)
{
	(void)block_update(c);
}

#endif
