/* SPDX-License-Identifier: MIT */
/*
 * The block server's skeleton: all that drivers of disks share (proto/block.h, block(5)).
 * It serves any number of channels, finds partitions, checks requests, splits them into
 * commands that the device can take, answers, and goes through the deaths of both ends.
 * A driver gives its device's operations and calls back what happens to it.
 *
 *	the driver calls			when
 *	block_device_up		the device works, with these facts (again after a reset, or a
 *				new card); commands go to it from then on
 *	block_device_lost	it was reset or is about to be: no command that was submitted will
 *				be done any more.  They are all submitted again once it is up
 *	block_device_state	it has no medium, or is broken for good: everything is answered so
 *	block_done		a command is done
 *
 * Before block_device_up, _lost and _state the device is in a state in which no command that
 * was submitted can complete or touch memory: that is what the protocol promises to clients.
 *
 * Single-threaded.  Pure but for log_line, bell_ring and time_ticks, which tests on the
 * build host define themselves.
 */
#ifndef DRIVER_BLOCK_H
#define DRIVER_BLOCK_H

#include <stdbool.h>
#include <stdint.h>
#include <driver/dma.h>
#include <driver/gpt.h>
#include <proto/block.h>
#include <proto/component.h>

enum {
	BLOCK_JOBS = 256,		/* requests in progress, over all channels */
	BLOCK_MAX_BYTES = 1024 * 1024,	/* of a request, as channels say */
	BLOCK_RESETS = 3,		/* of the device that a request lives through */
};

/* One command for the device: a request, or a part of one that it can take at once. */
struct block_command {
	uint32_t op;			/* enum block_op */
	uint32_t flags;			/* BLOCK_FUA, where the device has it */
	uint64_t block;			/* of the disk */
	uint32_t count;
	uint32_t segments;
	struct block_segment segment[BLOCK_SEGMENTS];
};

/* What one command can be. */
struct block_limits {
	uint32_t max_bytes;		/* a multiple of the block size */
	uint32_t max_segments;
	uint32_t max_segment_bytes;	/* a multiple of the block size */
	/* 0, or a power of two: within a command, all segments but the last end, and all but the
	 * first begin, at a multiple of it. */
	uint32_t boundary;
	uint32_t align;			/* of addresses: 4 or 512 */
	uint32_t max_discard, max_zeroes;	/* blocks; 0: it cannot */
};

struct block_device {
	uint64_t blocks;
	uint32_t block_size, physical_size;
	uint32_t flags;			/* BLOCK_HAS_*, BLOCK_READONLY, BLOCK_REMOVABLE */
	struct block_limits limits;
	char model[48], serial[24], firmware[12], name[16];
};

struct block_operations {
	/* Give the device a command; the driver keeps nothing of it but what it copies.  The tag
	 * comes back in block_done.  False: it has no room now; asked again after the next block_done. */
	bool (*submit)(void *device, const struct block_command *command, uint32_t tag);
	/* Several commands were submitted: ring the device's doorbell. */
	void (*kick)(void *device);
	/* Look at the device: what is done, what timed out, how its set-up goes on. */
	void (*poll)(void *device);
	/* The interrupts of these bits came. */
	void (*interrupt)(void *device, uint64_t bits);
	/* The driver is going to wait.  False: something came meanwhile, poll again. */
	bool (*rest)(void *device);
	/* When to poll even if no interrupt comes (ticks); 0: never. */
	uint64_t (*deadline)(void *device);
};

struct block_statistics {
	uint64_t reads, writes, flushes, others, errors;
	uint64_t read_bytes, written_bytes;
	uint64_t dropped;		/* requests of other epochs */
	uint64_t commands, resets;
	uint32_t most_in_flight;
};

struct block_part {			/* what a channel may reach */
	uint64_t first, blocks;
	uint32_t number;
	uint32_t state;			/* enum block_state */
	uint8_t guid[16];
	char name[40];
};

struct block_port {			/* a channel */
	const struct component_channel *info;
	struct block_channel *shared;
	struct block_part part;
	uint32_t epoch;			/* the server's, as told on this channel; valid unless starting */
	uint32_t client_epoch;		/* whose requests are served */
	uint32_t head;			/* of requests */
	uint32_t tail;			/* of answers */
	uint32_t jobs;			/* in progress */
	bool draining;			/* the old client's jobs are awaited */
	/* Bounds to come (BLOCK_BIND), when no job is left: asked for by this port's client. */
	struct block_port *binder;
	bool unbind;			/* its bounds have ended: to be taken away likewise */
	uint64_t bind_first, bind_blocks, bind_cookie;
	bool bell, bell_always;
	bool complained;
};

struct block_job {
	struct block_job *next;		/* of the list that it is on */
	struct block_port *port;	/* NULL: the server's own */
	uint64_t cookie;
	uint64_t block;			/* of the disk */
	uint32_t count, op, flags, segments;
	uint32_t status;
	uint32_t outstanding;		/* commands at the device */
	uint32_t resets;
	uint32_t sent;			/* blocks given to the device */
	uint16_t segment_at;		/* the segment where that is, and the place in it */
	uint8_t stage;
	bool queued, answered;
	uint32_t offset_at;
	uint16_t generation;
	struct block_segment segment[BLOCK_SEGMENTS];
	struct block_bounds bounds;	/* of a BLOCK_BIND, which is never queued */
};

struct block_list {
	struct block_job *first, *last;
};

struct block_server {
	const struct block_operations *op;
	void *device;
	const struct component_info *info;
	enum block_state state;		/* the device's; BLOCK_STARTING: not up, lost */
	bool was_up;			/* facts are valid */
	struct block_device facts;
	unsigned port_count, turn;
	struct block_port port[COMPONENT_MAX_CHANNELS];
	struct block_job job[BLOCK_JOBS];
	struct block_job *free;
	struct block_list queue;	/* jobs with something to submit, in order */
	struct block_command command;	/* the one being made */
	bool no_room;			/* the device took no more */
	bool kick;
	/* partitions */
	struct gpt gpt;
	struct gpt_grow grow;
	bool scanning, scanned, table_told;
	uint64_t begun_ticks, up_ticks;	/* when this life began; when its device was up first */
	bool growing, grow_tried;	/* while scanning: the root partition, instead of reading */
	uint64_t rescan_after;		/* ticks */
	uint8_t *buffer;
	uint64_t buffer_io;
	uint32_t buffer_bytes;
	struct block_statistics statistics;
};

/*
 * Attach to all block channels of the component that it serves, and tell their clients
 * that a server is starting.  Takes a buffer from dma.  False: no channel, or no memory; said in the log.
 */
bool block_server_start(struct block_server *s, const struct block_operations *op, void *device,
    const struct component_info *info, struct dma_region *dma);

/* Move what can be moved.  False: nothing could. */
bool block_server_move(struct block_server *s);

/* Nothing could be moved: set the flags so that whatever changes that wakes us.  False: it
 * has changed already. */
bool block_server_rest(struct block_server *s);

/* A peer was built anew: look at everything and ring all bells. */
void block_server_peer_changed(struct block_server *s);

/* The disk's number among those of its kind, as the component's name says: "nvme1" 1, "vdb" 1; else 0. */
unsigned block_disk_number(const struct block_server *s);

void block_device_up(struct block_server *s, const struct block_device *facts);
void block_device_lost(struct block_server *s);
void block_device_state(struct block_server *s, enum block_state state);
void block_done(struct block_server *s, uint32_t tag, enum block_status status);

/* One line to the log: what was served until now. */
void block_server_say(const struct block_server *s);

/*
 * The driver's life: serve for ever.  args of the component: "stats" says a line of statistics
 * every ten seconds in which something was served.
 */
int block_serve(struct block_server *s);

#endif
