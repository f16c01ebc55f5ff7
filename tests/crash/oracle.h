/* SPDX-License-Identifier: MIT */
/*
 * The oracle: what a file system may hold after a crash, from what its clients
 * had been told before.
 *
 * Operations happened one after the other, and the journal keeps their order; so
 * the names and attributes found must be those after the first p operations, for
 * some p.  p is at least what was made durable: an answered sync covers all before
 * it, an answered fsync the last operation that touched the inode (a new file's
 * name with it, as ext4 does; a rename too), fdatasync the last one that changed
 * its size or blocks, and what fs called committed is.  p is at most what had been
 * asked for.  Operations that fs put into one transaction are there together.
 *
 * File contents: see model.h for the versions of a sector that may be seen.
 */
#ifndef CRASH_ORACLE_H
#define CRASH_ORACLE_H

#include "model.h"
#include "record.h"

/* One operation as it went. */
struct step {
	struct op op;
	uint32_t begun, ended;		/* events of its marks; NEVER */
	uint64_t transaction;		/* that the answer named; 0: none */
	uint32_t before, after;		/* snapshots; equal if it failed or changes nothing */
	uint32_t durable;		/* snapshot that is durable when it is answered; 0 */
	uint32_t synced;		/* inode whose data is durable then; MODEL_NONE: none */
	bool synced_all;
	uint32_t written;		/* inode that it wrote data to; MODEL_NONE */
	int64_t result;
};

struct oracle {
	struct model *model;
	const struct record *record;
	struct step *step;
	uint32_t steps;
	/* at a point */
	uint32_t point, low, high;
	uint64_t committed;
	uint32_t *data_low;		/* for each inode: the oldest version of its data */
};

/* The record and the steps are complete. */
void oracle_open(struct oracle *oracle, struct model *model, const struct record *record,
    struct step *step, uint32_t steps);
void oracle_close(struct oracle *oracle);
/* Points only grow. */
void oracle_advance(struct oracle *oracle, uint32_t point);
/* May this be found here?  Otherwise a line in `why`. */
bool oracle_allows(struct oracle *oracle, const struct tree *tree, char *why, size_t room);

#endif
