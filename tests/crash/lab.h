/* SPDX-License-Identifier: MIT */
/*
 * The laboratory: run a workload on a recording disk, then make every crash state
 * of it, recover each twice, compare, and ask the oracle.
 */
#ifndef CRASH_LAB_H
#define CRASH_LAB_H

#include "client.h"
#include "log.h"
#include "model.h"
#include "oracle.h"
#include "record.h"
#include "state.h"

/* A kind of file system, and what is in it when workloads begin. */
struct profile {
	const char *name;
	const char *mke2fs;		/* options */
	uint32_t block_bytes, sector_bytes;
	size_t size;
	const char *fill;		/* operations after the common ones; or null */
	bool may_be_full;		/* ENOSPC is an answer */
	enum { DISCARDS_NO, DISCARDS_CAN, DISCARDS_FREED } discards;	/* the disk can; and it is mounted so */
	/* made by profile_make */
	uint8_t *bytes;
	uint64_t *hash, total;
	struct log_place log;
	struct model model;
};

struct workload {
	const char *name;		/* null: none but its text */
	const char *text;		/* operations */
	enum record_order order;
	uint64_t seed;
	unsigned random;		/* random states at each rich point */
	unsigned second;		/* how often its recovery is cut, too */
	uint32_t from;			/* states are made from this operation on */
};

struct counts {
	uint64_t workloads, skipped, failed, operations;
	uint64_t points, states, recoveries;	/* recoveries: of states with different bytes */
	uint64_t seconds;			/* states of those, made in the middle of recovery */
	uint64_t deaths;			/* of the server, without the power */
	uint64_t processes, violations;
};

struct lab {
	struct profile *profile;
	unsigned faults;
	bool verbose, quiet;		/* quiet: violations are only counted */
	unsigned violations_max;	/* of one workload; then it is given up */
	struct replay replay;
	struct image ours, theirs;
	struct table *states, *clean, *agreed;
	struct counts counts;
	const char *command;		/* how a person starts this program */
	bool replay_only;		/* only this state… */
	struct state state;
	bool second_only;		/* …and this one of its recovery */
	struct state second;
	/* of the workload in progress */
	const struct workload *workload;
	struct oracle *oracle;
	unsigned violations, seconds_left;
};

/* The setup that all profiles share, for a block size; static storage. */
const char *setup_text(uint32_t block_bytes);

/* mke2fs, setup through the server, checks.  False: it said why. */
bool profile_make(struct profile *profile, bool verbose);
void profile_free(struct profile *profile);

void lab_open(struct lab *lab, struct profile *profile);
void lab_close(struct lab *lab);

enum lab_result { LAB_GOOD, LAB_BAD, LAB_SKIPPED };
/* Skipped: an operation would be refused, so that the workload says nothing new. */
enum lab_result lab_run(struct lab *lab, const struct workload *workload);

/*
 * The same workload again and again, and each time the server dies when its disk
 * has finished one request more, with the power on; every third time it dies once
 * more in the middle of its recovery.  No operation may fail, and in the end all is
 * there.  Only: the death after this many requests (0: all).
 */
enum lab_result lab_deaths(struct lab *lab, const struct workload *workload, uint64_t only);

#endif
