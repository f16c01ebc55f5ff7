/* SPDX-License-Identifier: MIT */
/*
 * The recording disk: a disk of base/fs (disk.h) in memory.  It keeps requests
 * and finishes them when polled, in the order that was asked for, and a log of
 * all that was submitted and answered, with the data, between marks of the
 * workload.  From the log follows when each write became stable (see
 * record_settle), which is all that a power cut needs to know.
 *
 * It also refuses what no disk promises to do right: two writes of one sector in
 * flight at once, a buffer of fs that changes while it is written, bytes outside.
 */
#ifndef CRASH_RECORD_H
#define CRASH_RECORD_H

#include "../../base/fs/disk.h"
#include "image.h"

enum record_order {
	ORDER_NOW,	/* answered from submit */
	ORDER_FIFO,	/* when polled, the oldest first */
	ORDER_LIFO,	/* the newest first */
	ORDER_RANDOM,
};

/* What is done wrong on purpose, to see that the laboratory finds it. */
enum record_fault {
	FAULT_NONE = 0,
	FAULT_NO_FLUSH = 1,	/* flushes are answered and do nothing */
	FAULT_NO_FUA = 2,
	FAULT_LATE_DATA = 4,	/* file data is stable one flush late: commit before data */
	FAULT_EARLY_ANSWER = 8,	/* fsync is answered before it is done */
	FAULT_NO_REDO = 16,	/* the redo area dies with the server */
	FAULT_NO_REWRITE = 32,	/* the client does not send unstable data again */
};

enum event_kind { EVENT_SUBMIT, EVENT_DONE, EVENT_FLUSH, EVENT_FLUSHED, EVENT_MARK };
enum mark_kind { MARK_BEGIN, MARK_END, MARK_COMMITTED };
enum { NEVER = UINT32_MAX };

struct event {
	uint8_t kind, mark;
	uint32_t index;		/* of the write or flush */
	uint64_t value;		/* of a mark: the operation, the transaction */
};

struct written {
	uint64_t offset, bytes;
	uint8_t *data;		/* null: discarded */
	bool fua, client;
	uint32_t submitted, done, stable;	/* events; NEVER */
};

struct flushed {
	uint32_t submitted, done;
};

struct record {
	struct event *event;
	uint32_t events, event_room;
	struct written *write;
	uint32_t writes, write_room;
	struct flushed *flush;
	uint32_t flushes, flush_room;
	unsigned faults;
};

struct record_disk {
	struct disk disk;		/* what fs gets */
	struct image *image;		/* written through, and marked as touched */
	struct record *record;		/* null: nothing is logged */
	enum record_order order;
	uint64_t random;
	struct disk_request *queue;	/* newest first */
	uint64_t requests;		/* so far */
	uint64_t steps;			/* requests finished by polling */
	uint64_t deadline;		/* after so many steps nothing is finished any more; 0: none */
	char complaint[200];		/* what the client of the disk did wrong; "" */
};

void record_disk_open(struct record_disk *disk, struct image *image, struct record *record,
    enum record_order order, uint64_t seed, uint32_t sector_bytes);
/* For fs_call: finish one request; false: there is none. */
bool record_disk_poll(struct disk *disk);

/* Is the deadline over: did the disk's client die? */
bool record_disk_over(const struct record_disk *disk);
/* The client is gone: what is in flight is done, or not, and never answered.
 * Memory of the client's is read, so before it is freed. */
void record_disk_abandon(struct record_disk *disk);

void record_mark(struct record *record, enum mark_kind mark, uint64_t value);
/* The log is complete: find when each write became stable. */
void record_settle(struct record *record);
void record_free(struct record *record);

#endif
