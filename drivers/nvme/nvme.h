/* SPDX-License-Identifier: MIT */
/*
 * The NVMe driver: one controller, one namespace of it as a disk.  nvme(4).
 *
 * queue.c       pairs of queues: commands in, completions out, each checked
 * controller.c  the controller's life: reset, set-up, time-outs, events
 * io.c          block commands as NVMe commands, statuses as block statuses
 * health.c      what the device says about itself, for the log
 */
#ifndef NVME_H
#define NVME_H

#include <stdbool.h>
#include <stdint.h>
#include <driver/block.h>
#include <driver/dma.h>
#include <driver/pci.h>
#include "registers.h"

enum {
	NVME_PAGE = 4096,
	NVME_ADMIN_DEPTH = 32,
	NVME_IO_DEPTH = 128,		/* what is asked for; at least NVME_IO_DEPTH_MIN */
	NVME_IO_DEPTH_MIN = 64,
	NVME_IO_QUEUES = 4,
	NVME_LIST_BYTES = 1024,		/* of a command's PRP list: 128 entries */
	NVME_MAX_BYTES = 512 * 1024,	/* of a command: 128 pages and a part of one */
	NVME_EVENTS = 4,		/* asynchronous event requests */
	NVME_NAMESPACES = 16,		/* that are looked at */
	NVME_NONSENSE = 16,		/* completions that make no sense, until the controller is reset */
	NVME_RESETS = 4,		/* in a row without success, until it counts as broken */
};

enum {					/* milliseconds */
	NVME_IO_MS = 20000,		/* a command's time; then it is aborted */
	NVME_ABORT_MS = 5000,		/* and after that the controller is reset */
	NVME_ADMIN_MS = 10000,
	NVME_LOOK_MS = 1000,		/* while commands are in progress: is the controller still well? */
	NVME_POLL_MS = 1,		/* without interrupts */
	NVME_HEALTH_MS = 10000,		/* between two read-outs after errors */
};

/* The controller's life.  Any state but the last goes back to DISABLING when the controller
 * does not do what it should. */
enum nvme_state {
	NVME_DISABLING,			/* CC.EN is 0, CSTS.RDY not yet */
	NVME_ENABLING,			/* CC.EN is 1, CSTS.RDY not yet */
	NVME_IDENTIFYING,		/* the controller */
	NVME_LISTING,			/* which namespaces are active */
	NVME_NAMING,			/* each of them */
	NVME_COUNTING,			/* how many queues we get */
	NVME_COMPLETION_QUEUE,		/* creating them, one after the other */
	NVME_SUBMISSION_QUEUE,
	NVME_SUBSCRIBING,		/* to events; the device may not know them */
	NVME_LIVE,
	NVME_BROKEN,			/* for good */
};

enum nvme_purpose { NVME_FOR_SETUP, NVME_FOR_IO, NVME_FOR_ABORT, NVME_FOR_EVENT, NVME_FOR_LOG };

struct nvme_command {			/* by cid */
	bool busy;
	bool retried, aborted;
	uint8_t purpose;		/* enum nvme_purpose */
	uint32_t tag;			/* of the block server; NVME_FOR_LOG: the log's number */
	uint64_t deadline;		/* ticks; 0: none */
	struct nvme_sqe sqe;		/* to give it again */
};

struct nvme_queue {
	struct nvme_sqe *sq;
	struct nvme_cqe *cq;
	uint64_t sq_io, cq_io;
	uint8_t *lists;			/* NVME_LIST_BYTES for each cid */
	uint64_t lists_io;
	uintptr_t sq_doorbell, cq_doorbell;
	uint16_t id, depth;
	uint16_t tail, head;
	uint16_t phase;
	uint16_t in_flight, next_cid;
	uint16_t vector;
	bool kick;
	struct nvme_command command[NVME_IO_DEPTH];
};
_Static_assert(NVME_ADMIN_DEPTH <= NVME_IO_DEPTH, "cids of the admin queue");

struct nvme {
	const struct component_pci *pci;
	struct dma_region *dma;
	struct block_server *server;
	uintptr_t base;
	enum nvme_state state;
	uint64_t deadline;		/* of the state */
	bool bound;			/* the device reaches memory */
	bool failed;			/* what was seen in this turn asks for a reset */
	unsigned resets;		/* in a row */
	unsigned nonsense;
	uint64_t cap;
	uint64_t io_ms;
	unsigned queues_wanted, queue_count, queue_at;
	uint16_t depth;
	struct nvme_queue admin, io[NVME_IO_QUEUES];
	unsigned turn;			/* next queue to submit to */
	bool aborting;			/* one Abort at a time */
	unsigned events, events_wanted;
	bool log_busy;
	uint32_t logs_wanted;		/* bit per page */
	uint64_t health_after, look_after;
	uint8_t *buffer;		/* a page for what the device says */
	uint64_t buffer_io;
	uint8_t *log;			/* another one for logs */
	uint64_t log_io;
	/* What identifying told. */
	uint32_t namespaces[NVME_NAMESPACES];
	unsigned namespace_count, namespace_at;
	uint32_t nsid;
	uint32_t max_bytes;
	uint16_t oncs;
	bool cache;
	struct block_device facts;
};

extern const struct block_operations nvme_operations;

/*
 * Begin: find the registers, take memory from dma, start the reset.  Everything after that
 * happens in nvme_operations.poll.  False: it can never work; said in the log.
 */
bool nvme_start(struct nvme *n, struct block_server *server, const struct component_pci *pci,
    struct dma_region *dma);

/* ---- queue.c ---- */

/* Memory for a pair of queues and its PRP lists (with_lists).  False: there is not enough. */
bool nvme_queue_memory(struct nvme *n, struct nvme_queue *q, uint16_t depth, bool with_lists);
/* Empty, as after a reset of the controller. */
void nvme_queue_reset(struct nvme *n, struct nvme_queue *q, uint16_t id);
/* A free cid, its command cleared but for purpose and tag; -1: there is none. */
int nvme_queue_cid(struct nvme_queue *q, enum nvme_purpose purpose, uint32_t tag);
/* Give command[cid].sqe to the device with the next kick.  ms: its time, 0: for ever. */
void nvme_queue_submit(struct nvme *n, struct nvme_queue *q, unsigned cid, uint64_t ms);
void nvme_queue_kick(struct nvme_queue *q);
/* Hand every completion there is to nvme_completed. */
void nvme_queue_drain(struct nvme *n, struct nvme_queue *q);
/* The cid is free again. */
void nvme_queue_release(struct nvme_queue *q, unsigned cid);

/* ---- controller.c ---- */

void nvme_controller_poll(struct nvme *n);
uint64_t nvme_controller_deadline(const struct nvme *n);
/* A command was completed; status without the phase tag. */
void nvme_completed(struct nvme *n, struct nvme_queue *q, unsigned cid, uint32_t result, uint16_t status);
/* The device said something that no device may say. */
void nvme_makes_no_sense(struct nvme *n, const char *what);

/* ---- io.c ---- */

void nvme_io_completed(struct nvme *n, struct nvme_queue *q, unsigned cid, uint16_t status);

/* ---- health.c ---- */

void nvme_health_say(const struct nvme *n, const uint8_t *log);
void nvme_event_say(const struct nvme *n, uint32_t event);
/* A status in words. */
void nvme_status_text(char *to, size_t room, uint16_t status);

#endif
