/* SPDX-License-Identifier: MIT */
/*
 * The hostile component: it has capabilities of every type that is its own to
 * have, and says every call of calls.def with every kind of argument.  It maps,
 * revokes and kills itself and its children.  Whenever it can say no more its box
 * is revoked, must be whole, and the next life begins where this one ended.
 *
 * Neighbours on every CPU meanwhile do a piece of work each millisecond.
 */
#ifndef HOSTILE_H
#define HOSTILE_H

#include "support.h"

#include <kernel/grammar.h>

enum {
	CPUS_MAX = 4,
	PRIORITY_NEIGHBOUR = 150, PRIORITY_WARDEN = 120, PRIORITY_HOSTILE = 100,
	CALLS = sizeof(grammar) / sizeof(grammar[0]),
	SYSTEM_CALLS = sizeof(grammar_syscalls) / sizeof(grammar_syscalls[0]),
	SYSTEM_NUMBERS = 16,		/* those and some that are none */
};
_Static_assert(SYSTEM_NUMBERS > SYSTEM_CALLS, "unknown numbers are said, too");

/* ---- what the attacker knows of its CSpace ------------------------------------------ */

/*
 * Four slots to a type: two objects, a capability without rights, and what the
 * attacker itself is made of (its thread, its CNode …).  The second Endpoint is
 * the neighbour's server.
 */
enum { SLOT_FIRST, SLOT_SECOND, SLOT_POWERLESS, SLOT_OWN, SLOTS_PER_TYPE };
static inline uint32_t
slot_of(unsigned type, unsigned which)
{
	return type * SLOTS_PER_TYPE + which;
}
enum {
	CSPACE_BITS = 8,
	SLOT_TEXT = OBJECT_TYPES * SLOTS_PER_TYPE,	/* Frame: the test's code, read and execute */
	SLOT_BUFFER,			/* Frame: its IPC buffer */
	SLOT_SELF,			/* its CNode once more, which it does not lose by trying */
	SLOT_FREE = 100,		/* where something may arrive: emptied before each call */
	SLOT_SPARE,			/* what may be deleted: filled before each call */
	SLOT_FAMILY,			/* FAMILY_SLOTS: a child's parts */
	SLOT_EMPTY = 200,		/* nothing is ever there on purpose */
};

/* In the attacker's address space; one table of the last level serves all. */
#define HOSTILE_STACK	0x480000UL
#define HOSTILE_IPC	0x4a0000UL
#define HOSTILE_REPORT	0x4c0000UL
#define HOSTILE_WINDOW	0x600000UL	/* where it maps */
enum { STACK_BITS = 14, REPORT_BITS = 13 };

/* ---- what it says ---------------------------------------------------------------------- */

struct call {
	uint64_t number, cap, info, w[6], deadline, reply;
};

enum { VARIANTS = 8, POSITIONS = 7 };	/* of a word; the capability and six words */
enum {
	CELLS_INVOKE = CALLS * POSITIONS * VARIANTS,
	CELLS = CELLS_INVOKE + SYSTEM_NUMBERS * OBJECT_TYPES * VARIANTS,
};

uint32_t next_random(uint64_t *state);
/* Words of an invocation: all right but the one at position, which is that variant. */
void invocation(struct call *c, const struct grammar *g, unsigned position, unsigned variant);
void system_call(struct call *c, unsigned number, unsigned type, unsigned variant);
/* Anything, mostly right. */
void nonsense(struct call *c, uint64_t *random);

/* ---- its life ---------------------------------------------------------------------------- */

enum mode { MODE_SWEEP, MODE_NONSENSE, MODE_FAMILY, MODE_CONTROLS, MODES };

/* init's page, mapped in the attacker's space; the attacker has no capability to it. */
struct report {
	volatile uint64_t said;		/* calls, all lives together */
	volatile uint64_t cell;		/* of the sweep: the next one */
	volatile uint64_t finished;	/* the life that has nothing left to say */
	volatile uint64_t children;	/* made */
	volatile uint32_t answers[CALLS][ERROR_COUNT];
	volatile uint32_t system[SYSTEM_NUMBERS][ERROR_COUNT];
};
_Static_assert(sizeof(struct report) <= 1 << REPORT_BITS, "one Frame");

/* x0: life << 8 | mode; x1: the report, 0: none (a child); x2: 1: calls by HVC. */
void attacker(uint64_t life_mode, uint64_t report, uint64_t hvc);

/* life.c, in init: one attacker to a CPU. */
struct prisoner {
	unsigned cpu;
	uint32_t box;			/* Untyped: all that it is made of */
	uint32_t cnode, thread;		/* slots, full while it lives */
	uint32_t report_frame;
	uint32_t line[2];		/* interrupt lines whose handlers it gets */
	struct report *report;
	bool alive;
	uint64_t life, last_said;
	unsigned silent;		/* looks without a word between them */
	uint64_t whole;			/* revocations that left nothing */
};
void prisons_start(unsigned cpus, const uint32_t lines[]);	/* two interrupt lines for each */
struct prisoner *prisoner(unsigned cpu);
void life_begin(struct prisoner *p, enum mode mode);
bool life_over(struct prisoner *p);	/* it says no more; to be asked every few ms */
void life_end(struct prisoner *p);
bool box_is_clear(struct prisoner *p);	/* its memory, given to the next owner */

/* neighbour.c */
struct neighbour {			/* in the page that all but the attackers share */
	volatile uint64_t rounds;
	volatile uint64_t wrong;	/* answers or data that are not what they must be */
	volatile uint64_t longest;	/* ticks from when a round was due to its end */
	volatile uint64_t strange;	/* messages that the server got from an attacker */
};
#define neighbours ((struct neighbour *)SHARED_VADDR)
void neighbours_start(unsigned cpus);
uint32_t neighbour_endpoint(unsigned cpu);	/* what an attacker gets: it may call */

#endif
