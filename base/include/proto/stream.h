/* SPDX-License-Identifier: MIT */
/*
 * Stream protocol, version 1: a pair of byte rings between two components in
 * one channel Frame, which belongs to the channel and outlives both ends.
 * Manual: stream(5).  Used for: uart driver <-> console ("serial"), console <->
 * Linux world ("tty"), every component -> console ("log", one direction).
 *
 * The end that offers the service is the server, the other the client.  Ring 0
 * carries bytes from client to server, ring 1 from server to client.  The
 * writer alone advances tail, the reader alone head, both modulo 2^32 and
 * never masked; tail - head <= size always.  A reader that finds more than
 * `size` bytes says so in its log and takes head = tail: the peer is broken or
 * hostile, and is not followed.
 *
 * Order: the writer stores data, then tail (release); the reader loads tail
 * (acquire), then data; it stores head (release) after it copied.
 *
 * Wake-ups: after storing tail a writer signals the reader's doorbell if the
 * reader had set `reader_waits`; after storing head a reader signals if the
 * writer had set `writer_waits`.  A waiter sets its flag, then looks again
 * (both with sequentially consistent fences) before it waits.
 *
 * A ring is valid from the moment init made the channel (all zero but magic,
 * version and sizes), so an end that starts again simply goes on at head/tail.
 * epoch of an end counts its starts; a change tells the peer that it is new.
 */
#ifndef PROTO_STREAM_H
#define PROTO_STREAM_H

#include <stdint.h>

#define STREAM_MAGIC	0x4d525453u	/* "STRM" */

struct stream_ring {
	_Alignas(64) volatile uint32_t tail;	/* writer's */
	volatile uint32_t writer_waits;
	_Alignas(64) volatile uint32_t head;	/* reader's */
	volatile uint32_t reader_waits;
	_Alignas(64) uint32_t offset;		/* of the data, from the start of the Frame */
	uint32_t size;				/* a power of two */
};

struct stream {				/* at offset 0 of the channel Frame */
	uint32_t magic;
	uint32_t version;		/* 1 */
	volatile uint32_t client_epoch;
	volatile uint32_t server_epoch;
	/* Terminal facts; the console keeps them, the world reads them.  0: not known. */
	volatile uint32_t rows, columns;
	volatile uint32_t breaks;	/* BREAK conditions seen on the line, a count */
	volatile uint32_t overruns;	/* bytes lost at the device, a count */
	struct stream_ring ring[2];	/* 0: client to server, 1: server to client */
};
_Static_assert(sizeof(struct stream) % 64 == 0, "ring alignment");

#endif
