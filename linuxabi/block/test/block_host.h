/* SPDX-License-Identifier: MIT */
/*
 * block/ on the build host: fs/'s own host (fs_host.h), a channel in memory, and a
 * server that works whenever the one task would sleep.
 */
#ifndef LX_TEST_BLOCK_HOST_H
#define LX_TEST_BLOCK_HOST_H

#include "../../fs/test/fs_host.h"
#include "../internal.h"

/* ---- the disk behind a channel: mock_server.c ---- */

enum { MOCK_DISKS = 2, MOCK_ERRORS = 8 };

struct mock {
	struct block_channel *shared;
	uint32_t block_size, max_bytes, flags, part_number;
	uint64_t blocks;
	const char *name, *model, *serial;
	uint8_t *stable, *cached;	/* after a power cut; as the device answers */
	bool dead;			/* nobody serves */
	bool reorder;
	unsigned die_percent;		/* of the steps that find work */
	bool die_for_good;		/* the server does not come back by itself */
	uint64_t bad_read[MOCK_ERRORS], bad_write[MOCK_ERRORS];	/* blocks + 1; 0: none */
	bool fail_flush;
	unsigned reads, writes, flushes, discards, zeroes, deaths, most_in_flight;
	uint64_t read_blocks, written_blocks;
};
extern struct mock mocks[MOCK_DISKS];

void mock_start(unsigned n, uint64_t blocks, uint32_t block_size);	/* a new medium, all zeros, READY */
void mock_stop(unsigned n, unsigned state);	/* the server dies; the next one says so: NO_MEDIUM … */
void mock_restart(unsigned n);			/* as it was: a new epoch */
bool mock_serve(unsigned n);			/* one request; false: there was none */
void mock_power_cut(unsigned n);		/* what was not flushed is gone */

/* ---- the personality around it ---- */

extern unsigned host_rings;
void host_block_init(unsigned disks, unsigned io_pages);	/* and so many pages that devices reach */
void host_settle(void);				/* servers and the disks' threads, until nothing happens */
uint64_t host_memory_at(uint64_t address);	/* of a segment's address, as an IPA */
void host_take_pages(unsigned keep);		/* somebody else uses the pool, but for so many; 0: gives all back */

#endif
