/* SPDX-License-Identifier: MIT */
/*
 * Random operations from every CPU at once, on objects that all share.
 *
 * One worker to a CPU says what comes next: it calls servers (active and
 * passive ones, on any CPU), signals, derives, revokes, maps, and moves
 * SchedContexts between CPUs, those of the other workers and of the servers
 * among them.  In a box of its own it makes victims, threads in address spaces
 * that live for a moment and are killed wherever they are.  Beside them a
 * reader on each CPU reads a page that is taken away again and again.  With
 * spare=1 on the command line the last CPU has no worker: it stops and starts.
 */
#ifndef STRESS_H
#define STRESS_H

#include "abort.h"
#include "support.h"

enum {
	CPUS_MAX = 8,
	PRIORITY_MAIN = 255, PRIORITY_SHOOTER = 200, PRIORITY_SERVER = 150,
	PRIORITY_HANDLER = 140, PRIORITY_WORKER = 100,
};

/* What the operations are counted by; the order is that of their names in main.c. */
enum operation {
	OP_CALL, OP_CALL_PASSIVE, OP_CALL_SPINNING, OP_SIGNAL, OP_POLL, OP_WAIT, OP_NB_SEND,
	OP_DERIVE, OP_REVOKE, OP_MAP, OP_UNMAP, OP_MIGRATE, OP_VICTIM, OP_KILL, OP_SUSPEND, OP_PRIORITY,
	OPERATIONS
};

/* What several threads of init's space use.  Slots are written before they start. */
struct stress {
	uint32_t cpus;
	uint64_t target;			/* operations, all workers together */
	uint32_t active[CPUS_MAX];		/* Endpoint of the server on each CPU */
	uint32_t passive, spinning;		/* Endpoints of servers without time */
	uint32_t notification[4];		/* badged; anybody signals and polls */
	uint32_t source[4];			/* capabilities that all derive from and revoke */
	uint32_t space[2];			/* where shared Frames are mapped */
	uint32_t graveyard;			/* where victims' faults go */
	uint32_t sched[3 * CPUS_MAX];		/* SchedContexts that anybody moves */
	uint32_t scheds;
	volatile uint64_t done[CPUS_MAX][OPERATIONS];
	volatile uint64_t wrong[CPUS_MAX];	/* answers that cannot be */
	volatile uint64_t aborted[CPUS_MAX];	/* calls that ended with their time */
	uint32_t worker[CPUS_MAX];		/* Threads */
	volatile uint32_t doing[CPUS_MAX];	/* enum operation: what each worker is in */
	volatile uint64_t ended;		/* a bit for each worker */
	volatile uint64_t stop;			/* 1: time is over */
};
extern struct stress stress;

uint32_t next_random(uint64_t *state);
uint64_t in_us(uint64_t us);			/* the time then */
const char *operation_name(enum operation op);
void fail_step(const char *what, enum error e);	/* a step that had to work did not: says so, counts */

void servers_start(void);
void workers_start(void);

/* Victims: all that they are made of lies in the maker's box. */
enum { BOX_BITS = 18, VICTIMS = 3, VICTIM_SLOTS = 8 };
struct box {
	uint32_t untyped;
	uint32_t first_slot;		/* VICTIMS * VICTIM_SLOTS of them */
	uint32_t living;
};
void victims_init(void);
enum error victim_make(struct box *box, unsigned cpu, uint64_t *random);
bool box_revoke(struct box *box);	/* false: something of it is left */

/* A CPU that stops and starts; cpu 0: none does. */
void power_start(uint32_t cpu);
void power_switch(void);
uint64_t power_rounds(void);		/* how often it stopped */

/* TLB shootdown. */
struct shootdown {
	volatile uint64_t rounds, faults, reads, poisoned, stuck;
};
struct shootdown *shootdown_counts(void);
void shootdown_start(void);

#endif
