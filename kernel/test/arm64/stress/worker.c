/* SPDX-License-Identifier: MIT */
/*
 * The workers: what each says next.
 */
#include "stress.h"

enum { DERIVED = 16, DEADLINE_US = 20000 };

struct worker {
	unsigned index;
	uint64_t random;
	uint32_t derived;		/* first of DERIVED slots */
	struct box box;
	uint64_t map_vaddr;		/* a range of its own in the shared spaces */
};

static struct worker workers[CPUS_MAX];

uint32_t
next_random(uint64_t *state)
{
	*state = *state * 6364136223846793005UL + 1442695040888963407UL;	/* Knuth, MMIX */
	return (uint32_t)(*state >> 33);
}

static uint32_t
pick(struct worker *w, uint32_t bound)
{
	return next_random(&w->random) % bound;
}

/* Is it one of those? */
static bool
one_of(enum error e, enum error a, enum error b)
{
	return e == OK || e == a || e == b;
}

static void
expect(struct worker *w, bool truth)
{
	if (truth)
		return;
	stress.wrong[w->index]++;
	fail_step(operation_name(stress.doing[w->index]), ERR_ARGUMENT);
}

/* ---- messages -------------------------------------------------------------------- */

static void
call(struct worker *w, uint32_t ep, bool passive, uint64_t spin, uint64_t deadline)
{
	uint64_t r = next_random(&w->random);
	struct msg m = { .info = MSG_INFO(7, 6, 0), .words = { r, spin, r + 2, r + 3, r + 4, r + 5 } };
	enum error e = sys_call(ep, &m, deadline);

	if (e != OK) {
		expect(w, deadline != 0 && e == ERR_TIMEOUT);
		return;
	}
	if (msg_label(m.info) == LABEL_ABORTED) {
		expect(w, passive);
		stress.aborted[w->index]++;
		return;
	}
	expect(w, m.words[0] == r + 1 && m.words[1] == spin + 1 && m.words[5] == r + 6);
}

/* When a deadline passes amid a request, a passive server is without time, and its handler brings it back. */
static void
do_message(struct worker *w, enum operation op)
{
	uint32_t note = stress.notification[pick(w, 4)];
	struct msg m = { .info = MSG_INFO(7, 2, 0) };
	uint64_t bits = 0;
	enum error e;

	switch (op) {
	case OP_CALL:
		call(w, stress.active[pick(w, stress.cpus)], false, 0, pick(w, 4) == 0 ? 0 : in_us(pick(w, DEADLINE_US)));
		break;
	case OP_CALL_PASSIVE:
		call(w, stress.passive, true, 0, pick(w, 4) == 0 ? in_us(pick(w, DEADLINE_US)) : 0);
		break;
	case OP_CALL_SPINNING:
		call(w, stress.spinning, true, pick(w, info->timer_hz / 1000), pick(w, 2) ? in_us(pick(w, 500)) : 0);
		break;
	case OP_SIGNAL:
		expect(w, sys_signal(note) == OK);
		break;
	case OP_POLL:
		e = sys_poll(note, &bits);
		expect(w, e == ERR_WOULD_BLOCK || (e == OK && bits != 0 && bits < 16));
		break;
	case OP_WAIT:
		e = sys_wait(note, in_us(pick(w, 300)), &bits);
		expect(w, e == ERR_TIMEOUT || (e == OK && bits != 0 && bits < 16));
		break;
	default:
		expect(w, one_of(sys_nb_send(stress.active[pick(w, stress.cpus)], &m), ERR_WOULD_BLOCK, OK));
		break;
	}
}

/* ---- capabilities, which others revoke at the same time ------------------------------ */

static void
do_derive(struct worker *w)
{
	uint32_t slot = w->derived + pick(w, DERIVED);
	uint32_t source = pick(w, 2) ? stress.source[pick(w, 4)] : w->derived + pick(w, DERIVED);
	enum error e = cnode_copy(INIT_SLOT_CNODE, slot, 0, source, RIGHTS_ALL);

	expect(w, one_of(e, ERR_SLOT_FULL, ERR_SLOT_EMPTY));
}

static void
do_revoke(struct worker *w)
{
	uint32_t r = pick(w, 16), slot = w->derived + pick(w, DERIVED);

	if (r == 0)
		expect(w, cnode_revoke(INIT_SLOT_CNODE, stress.source[pick(w, 4)]) == OK);
	else if (r < 4)
		expect(w, one_of(cnode_revoke(INIT_SLOT_CNODE, slot), ERR_SLOT_EMPTY, OK));
	else
		expect(w, one_of(cnode_delete(INIT_SLOT_CNODE, slot), ERR_SLOT_EMPTY, OK));
}

/* source[0] and [1] are Frames, of a page and of a block. */
static void
do_map(struct worker *w, enum operation op)
{
	uint32_t slot = w->derived + pick(w, DERIVED);
	uint64_t vaddr = w->map_vaddr + pick(w, 64) * (pick(w, 2) ? 0x1000UL : 0x200000UL);
	enum error e;

	if (op == OP_MAP)
		e = frame_map(slot, stress.space[pick(w, 2)], vaddr, RIGHT_READ | (pick(w, 2) ? RIGHT_WRITE : 0),
			pick(w, 8) == 0 ? MAP_UNCACHED : MAP_NORMAL);
	else
		e = frame_unmap(slot);
	expect(w, one_of(e, ERR_SLOT_EMPTY, ERR_MAPPED) || e == ERR_NOT_MAPPED || e == ERR_NO_MEMORY ||
		e == ERR_CALL || e == ERR_TYPE || e == ERR_STATE);
}

/* ---- time --------------------------------------------------------------------------- */

/* Also of a thread that runs elsewhere at this moment, or that lends its time. */
static void
do_migrate(struct worker *w)
{
	uint64_t period = info->timer_hz / 500 * (1 + pick(w, 8)), budget = period;

	if (pick(w, 2))
		budget = period / 4 + pick(w, (uint32_t)(period / 2));
	expect(w, sched_control_configure(INIT_SLOT_SCHED_CONTROL, stress.sched[pick(w, stress.scheds)],
		pick(w, stress.cpus), budget, period) == OK);
}

/* ---- victims ------------------------------------------------------------------------ */

static void
do_victim(struct worker *w, enum operation op)
{
	uint32_t thread = w->box.first_slot + pick(w, VICTIMS) * VICTIM_SLOTS;

	if (op == OP_SUSPEND)
		expect(w, one_of(pick(w, 2) ? thread_suspend(thread) : thread_resume(thread), ERR_SLOT_EMPTY, OK));
	else if (op == OP_PRIORITY)
		expect(w, one_of(thread_set_priority(thread, 1 + pick(w, PRIORITY_WORKER), 1), ERR_SLOT_EMPTY, OK));
	else if (op == OP_VICTIM && w->box.living < VICTIMS)
		expect(w, victim_make(&w->box, pick(w, stress.cpus), &w->random) == OK);
	else
		expect(w, box_revoke(&w->box));
}

/* ---- what comes next ------------------------------------------------------------------ */

static const struct { enum operation op; unsigned weight; } weights[] = {	/* 1000 in all */
	{ OP_CALL, 320 }, { OP_CALL_PASSIVE, 140 }, { OP_CALL_SPINNING, 4 }, { OP_SIGNAL, 130 }, { OP_POLL, 80 },
	{ OP_WAIT, 16 }, { OP_NB_SEND, 30 }, { OP_DERIVE, 80 }, { OP_REVOKE, 40 }, { OP_MAP, 30 }, { OP_UNMAP, 15 },
	{ OP_MIGRATE, 20 }, { OP_VICTIM, 20 }, { OP_KILL, 5 }, { OP_SUSPEND, 40 }, { OP_PRIORITY, 30 },
};

static enum operation
pick_operation(struct worker *w)
{
	unsigned r = pick(w, 1000), i = 0;

	while (r >= weights[i].weight)
		r -= weights[i++].weight;
	return weights[i].op;
}

static void
operate(struct worker *w, enum operation op)
{
	stress.doing[w->index] = op;
	switch (op) {
	case OP_DERIVE:
		do_derive(w);
		break;
	case OP_REVOKE:
		do_revoke(w);
		break;
	case OP_MAP:
	case OP_UNMAP:
		do_map(w, op);
		break;
	case OP_MIGRATE:
		do_migrate(w);
		break;
	case OP_VICTIM:
	case OP_KILL:
	case OP_SUSPEND:
	case OP_PRIORITY:
		do_victim(w, op);
		break;
	default:
		do_message(w, op);
		break;
	}
	stress.done[w->index][op]++;
}

static void
worker(uint64_t index, uint64_t bell)
{
	struct worker *w = &workers[index];

	for (uint64_t n = 0; n < stress.target / stress.cpus && stress.stop == 0; n++)
		operate(w, pick_operation(w));
	expect(w, box_revoke(&w->box));
	__atomic_fetch_or(&stress.ended, 1UL << index, __ATOMIC_SEQ_CST);
	for (;;)
		sys_wait((uint32_t)bell, 0, &w->random);
}

void
workers_start(void)
{
	for (unsigned i = 0; i < stress.cpus; i++) {
		struct worker *w = &workers[i];

		w->index = i;
		w->random = 1 + i * 0x9e3779b97f4a7c15UL;
		w->derived = slot_new();
		for (unsigned n = 1; n < DERIVED; n++)
			slot_new();
		w->box.untyped = make(OBJ_UNTYPED, BOX_BITS);
		w->box.first_slot = slot_new();
		for (unsigned n = 1; n < VICTIMS * VICTIM_SLOTS; n++)
			slot_new();
		w->map_vaddr = 0x80000000UL + i * 0x10000000UL;
	}
	for (unsigned i = 0; i < stress.cpus; i++) {
		struct thread_made t = thread_new(&(struct thread_plan){ .vspace = INIT_SLOT_VSPACE,
			.entry = worker, .arg = i, .arg2 = make(OBJ_NOTIFICATION, 0),
			.priority = PRIORITY_WORKER, .cpu = i });

		stress.worker[i] = t.thread;
		stress.sched[stress.scheds++] = t.sched_context;
	}
}
