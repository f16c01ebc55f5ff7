/* SPDX-License-Identifier: MIT */
/*
 * A small world for random programs: two CPUs, six threads that share one
 * CSpace of 64 slots, one of them a personality and one passive, and every
 * kind of object.  fuzz_run() reads bytes as what these threads do next; after
 * each step the invariant checker must be content.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <kernel/core.h>
#include <kernel/grammar.h>

#include "fuzz.h"

enum {
	STEPS = 4096,			/* whose digests are compared */
	CPUS = 2, THREADS = 6, SLOTS_BITS = 6, SLOTS = 1 << SLOTS_BITS,
	INIT_FREE = 1000,		/* init's own slots that setting up uses */
	GRAMMAR = sizeof(grammar) / sizeof(grammar[0]),
};

uint64_t fuzz_invocations;

static struct cnode *arena;		/* the CSpace of the six */
static struct thread *threads[THREADS];
static uint32_t kept[THREADS];		/* init's own capabilities to some of them; 0: none */
static uint32_t init_next;

/* ---- bytes ---------------------------------------------------------------------- */

static const uint8_t *input, *input_end;

static unsigned
byte(void)
{
	return input < input_end ? *input++ : 0;
}

/* ---- setting up, as init ---------------------------------------------------------- */

static void
as_init(uint32_t cap, uint32_t label, const uint64_t args[6])
{
	struct thread *t = init_thread;

	t->regs.x[0] = cap;
	t->regs.x[1] = MSG_INFO(label, 6, 0);
	for (unsigned i = 0; i < 6; i++)
		t->regs.x[2 + i] = args[i];
	t->regs.x[9] = t->regs.x[10] = 0;
	host_syscall(0, SYS_CALL);
	if (t->regs.x[0] != OK) {
		fprintf(stderr, "setting up: cap %u label %u: error %u\n", cap, label,
			(unsigned)t->regs.x[0]);
		abort();
	}
}
#define AS_INIT(cap, label, ...) as_init((cap), (label), (uint64_t[6]){ __VA_ARGS__ })

static uint32_t
make(uint32_t untyped, enum object_type type, unsigned size_bits)
{
	AS_INIT(untyped, UNTYPED_RETYPE, type, size_bits, 0, init_next, 1, 0);
	return init_next++;
}

/* Give the arena a copy, or, of what has only one capability, that one. */
static void
give(uint32_t cnode, unsigned index, uint32_t slot, uint64_t badge)
{
	if (badge != 0)
		AS_INIT(cnode, CNODE_MINT, index, 0, slot, RIGHTS_ALL, badge);
	else
		AS_INIT(cnode, CNODE_MOVE, index, 0, slot);
}

static void
make_world(void)
{
	uint32_t big = 0, box, cnode, thread[THREADS], sched[THREADS], vspace[2], endpoint[2], note[2], space;
	unsigned at = 1;

	host_quiet = true;
	host_boot(CPUS);
	init_next = INIT_FREE;
	for (struct slot *s = derivation_root.child; s != NULL; s = s->next)
		if (s->type == OBJ_UNTYPED && !s->device && s->pages >= 21)
			big = (uint32_t)(s - cnode_slots(init_thread->cspace));
	box = make(big, OBJ_UNTYPED, 20);	/* all that the six have */
	cnode = make(box, OBJ_CNODE, SLOTS_BITS);
	arena = cnode_slots(init_thread->cspace)[cnode].cnode;
	for (unsigned i = 0; i < 2; i++) {
		vspace[i] = make(box, OBJ_VSPACE, 15);
		endpoint[i] = make(box, OBJ_ENDPOINT, 0);
		note[i] = make(box, OBJ_NOTIFICATION, 0);
	}
	AS_INIT(vspace[1], VSPACE_SET_PERSONALITY, 0);
	for (unsigned i = 0; i < THREADS; i++) {
		uint32_t ipc = make(box, OBJ_FRAME, 12);
		bool vcpu = i == 2;

		thread[i] = make(box, OBJ_THREAD, 0);
		threads[i] = cnode_slots(init_thread->cspace)[thread[i]].thread;
		AS_INIT(thread[i], THREAD_CONFIGURE, cnode, vspace[vcpu], ipc, 0x1000, endpoint[1]);
		AS_INIT(thread[i], THREAD_SET_PRIORITY, 10 + i % 3, 20);
		if (vcpu) {
			uint32_t v = make(box, OBJ_VCPU, 0);

			AS_INIT(thread[i], THREAD_BIND_VCPU, v);
			AS_INIT(thread[i], THREAD_BIND_NOTIFICATION, note[1]);
			give(cnode, at++, v, 0);
		}
		if (i == 5)
			sched[i] = 0;		/* passive */
		else {
			sched[i] = make(box, OBJ_SCHED_CONTEXT, 0);
			AS_INIT(INIT_SLOT_SCHED_CONTROL, SCHED_CONTROL_CONFIGURE, sched[i], i & 1,
				i == 4 ? 2000 : 8000, 8000);
			AS_INIT(sched[i], SCHED_CONTEXT_BIND, thread[i]);
		}
		give(cnode, at++, ipc, 0);
	}
	for (unsigned i = 0; i < THREADS; i++)
		AS_INIT(thread[i], THREAD_RESUME, 0);
	for (unsigned i = 0; i < THREADS; i++) {
		kept[i] = 0;
		if (i & 1) {
			kept[i] = init_next++;
			AS_INIT(INIT_SLOT_CNODE, CNODE_COPY, kept[i], 0, thread[i], RIGHTS_ALL);
		}
		give(cnode, at++, thread[i], 0);
		if (sched[i] != 0)
			give(cnode, at++, sched[i], 0);
		give(cnode, at++, make(box, OBJ_REPLY, 0), 0);
	}
	for (unsigned i = 0; i < 2; i++) {
		give(cnode, at++, endpoint[i], 3 + i);
		give(cnode, at++, note[i], 1 + i);
		give(cnode, at++, endpoint[i], 0);
		give(cnode, at++, note[i], 0);
		give(cnode, at++, vspace[i], 0);
	}
	give(cnode, at++, make(box, OBJ_FRAME, 16), 0);
	give(cnode, at++, make(box, OBJ_FRAME, 13), 0);
	give(cnode, at++, make(box, OBJ_UNTYPED, 17), 0);
	give(cnode, at++, make(box, OBJ_CNODE, 3), 0);
	give(cnode, at++, INIT_SLOT_SCHED_CONTROL, 0);
	give(cnode, at++, INIT_SLOT_IRQ_CONTROL, 0);
	give(cnode, at++, INIT_SLOT_SYSTEM_CONTROL, 0);
	space = make(box, OBJ_IO_SPACE, 15);
	for (unsigned i = 0; i < 2; i++) {
		uint32_t device = make(box, OBJ_IO_DEVICE, 0);

		AS_INIT(INIT_SLOT_IO_CONTROL, IO_CONTROL_ASSIGN, device, 0, i, 0, i);
		AS_INIT(device, IO_DEVICE_BIND, space);
		give(cnode, at++, device, 0);
	}
	AS_INIT(INIT_SLOT_CNODE, CNODE_MINT, INIT_FREE - 2, 0, space, RIGHTS_ALL, 2);
	give(cnode, at++, INIT_FREE - 2, 0);
	give(cnode, at++, space, 0);
	give(cnode, at++, make(box, OBJ_IO_DEVICE, 0), 0);
	give(cnode, at++, INIT_SLOT_IO_CONTROL, 0);
	AS_INIT(INIT_SLOT_CNODE, CNODE_COPY, INIT_FREE - 1, 0, cnode, RIGHTS_ALL);
	give(cnode, at++, INIT_FREE - 1, 0);
	/* init waits for ever; the six take over. */
	init_thread->regs.x[0] = make(big, OBJ_NOTIFICATION, 0);
	init_thread->regs.x[9] = 0;
	host_syscall(0, SYS_WAIT);
	host_settle();
}

/* ---- what the six say --------------------------------------------------------------- */

/* A slot number: most often of a capability of that type, sometimes any. */
static uint64_t
pick_slot(unsigned type)
{
	unsigned b = byte(), first = b & (SLOTS - 1);

	if (b & 0xc0)
		for (unsigned i = 0; i < SLOTS - 1; i++) {
			unsigned n = 1 + (first + i) % (SLOTS - 1);

			if (cnode_slots(arena)[n].type == type)
				return n;
		}
	return b == 63 ? ~0ull : first;
}

static uint64_t
pick_empty(void)
{
	unsigned b = byte(), first = b & (SLOTS - 1);

	if (b & 0xc0)
		for (unsigned i = 0; i < SLOTS - 1; i++) {
			unsigned n = 1 + (first + i) % (SLOTS - 1);

			if (cnode_slots(arena)[n].type == OBJ_NULL)
				return n;
		}
	return first;
}

static uint64_t
pick_argument(const struct grammar_arg *arg, const char *name)
{
	unsigned b;

	switch (arg->kind) {
	case ARG_CAP:
		return pick_slot(arg->type);
	case ARG_INDEX:
		b = byte();
		/* Most invocations name an empty slot; delete and revoke a full one. */
		return strstr(name, "delete") != NULL || strstr(name, "revoke") != NULL || b < 80 ?
			b & (SLOTS - 1) : pick_empty();
	case ARG_NUMBER:
		b = byte();
		return b < 250 ? b & 63 : ~0ull >> (b & 7) * 8;
	case ARG_BITS:
		return byte() % 20;
	case ARG_ADDR:
		b = byte();
		if (strstr(name, "map_io") != NULL && b & 64)	/* window 2, or at the doorbell */
			return b & 128 ? (2ull << IO_WINDOW_SHIFT) + (b & 63) * 4096ull :
				IO_DOORBELL_IOVA - (b & 63) * 4096ull;
		return b < 240 ? 0x10000 + b * 0x1000ull : b * 0x200000ull;
	case ARG_BYTES:
		b = byte();
		return b < 200 ? (b & 15) * 4096ull : b;
	case ARG_TICKS:
		return 512ull << byte() % 6;
	case ARG_TYPE:
		return byte() % (OBJECT_TYPES + 1);
	case ARG_RIGHTS:
		b = byte();
		return b < 128 ? RIGHTS_ALL : b & 31;
	case ARG_BADGE:
		return byte() & 7;
	case ARG_ATTR:
		return byte() & 3;
	default:
		return 0;
	}
}

/* Fast paths may count otherwise, and any capability may be named. */
static bool
asks_for_counters(const struct thread *t)
{
	struct slot *s;

	return msg_label(t->regs.x[1]) == SYSTEM_CONTROL_BENCH && cap_lookup(t, t->regs.x[0], &s) == OK &&
	    s->type == OBJ_SYSTEM_CONTROL;
}

static void
say_invocation(unsigned cpu, struct thread *t)
{
	const struct grammar *g = &grammar[byte() % GRAMMAR];
	bool counters;

	t->regs.x[0] = pick_slot(g->type);
	t->regs.x[1] = MSG_INFO(g->label, 6, 0);
	for (unsigned i = 0; i < 6; i++)
		t->regs.x[2 + i] = pick_argument(&g->arg[i], g->name);
	t->regs.x[9] = t->regs.x[10] = 0;
	fuzz_invocations++;
	counters = asks_for_counters(t);
	host_syscall(cpu, SYS_CALL);
	if (counters)
		t->regs.x[2] = 0;
}

static uint64_t
pick_deadline(void)
{
	unsigned b = byte();

	return b < 128 ? 0 : host_now + (b - 130) * 16ull;
}

static void
say_message(unsigned cpu, struct thread *t)
{
	static const unsigned type_of[] = {
		OBJ_ENDPOINT, OBJ_ENDPOINT, OBJ_ENDPOINT, OBJ_ENDPOINT, OBJ_ENDPOINT, OBJ_ENDPOINT,
		OBJ_NOTIFICATION, OBJ_NOTIFICATION, OBJ_NOTIFICATION, OBJ_ENDPOINT, OBJ_REPLY,
	};
	unsigned number = byte() % 11, shape = byte();

	t->regs.x[0] = pick_slot(type_of[number]);
	t->regs.x[1] = MSG_INFO(shape & 1, shape & 2 ? shape >> 1 : shape & 7, shape & 8 ? shape & 3 : 0);
	for (unsigned i = 0; i < 6; i++)
		t->regs.x[2 + i] = shape * 0x1000ull + i;
	t->regs.x[9] = pick_deadline();
	t->regs.x[10] = shape & 16 ? 0 : pick_slot(OBJ_REPLY);
	if (t->ipc != NULL && shape & 8)
		for (unsigned i = 0; i < MSG_CAPS; i++) {
			t->ipc->caps[i] = byte() & (SLOTS - 1);
			t->ipc->recv_slots[i] = (uint32_t)pick_empty();
		}
	fuzz_invocations++;
	host_syscall(cpu, number == 10 ? SYS_SEND : number);
}

/* When nobody runs any more, whoever can is put on its feet; false: none. */
static bool
revive(void)
{
	bool any = false;

	host_cpu = &cpus[0];
	for (unsigned i = 0; i < THREADS; i++) {
		struct slot *s = &cnode_slots(init_thread->cspace)[kept[i]];

		if (kept[i] != 0 && s->type == OBJ_THREAD && thread_resume(init_thread, s) == OK)
			any |= s->thread->sched != NULL;
	}
	cpus[0].arch.kicked = true;
	host_settle();
	host_advance(10000);
	return any;
}

static void
step(void)
{
	unsigned what = byte(), cpu = what & 1;
	struct thread *t = cpus[cpu].current;

	/* A preempted call runs again as it was. */
	if (t != NULL && t->restarted && what & 2) {
		host_preempt = (what >> 2 & 3) - 1;
		host_syscall(cpu, SYS_CALL);
		return;
	}
	if (t != NULL)
		t->restarted = 0;
	what >>= 1;
	if (t != NULL && what < 100) {
		host_preempt = what & 1 ? -1 : (int)(what >> 1 & 7);
		if (what < 60)
			say_invocation(cpu, t);
		else
			say_message(cpu, t);
		return;
	}
	switch (what & 7) {
	case 0:
		host_interrupt(cpu, byte());
		break;
	case 1:
		host_fault(cpu, LABEL_FAULT_MEMORY + (byte() & 1), byte() * 4096ull);
		break;
	case 2:
		if (t != NULL && t->vcpu != NULL)
			t->vcpu->arch.timer = byte() & 1 ? host_now + byte() : 0;
		host_wfi(cpu);
		break;
	case 3:
		host_advance(byte() * 64ull);
		break;
	case 4:
		host_advance(byte());
		break;
	case 5:
		what = byte();
		if (what & 1)
			host_message(0, what >> 1 & 3, what >> 3);
		else
			host_dma(0, what >> 1 & 3, 0x10000 + byte() * 4096ull, (what & 8) != 0);
		break;
	default:
		host_settle();
		break;
	}
}

/* What the six can see of the world, in a number. */
static uint64_t
digest(void)
{
	uint64_t d = 0xcbf29ce484222325;	/* FNV-1a, by words */

	for (unsigned i = 0; i < THREADS; i++) {
		const struct thread *t = threads[i];
		uint64_t seen[13] = { t->state, t->regs.pc, t->sched != NULL, t->queued };

		memcpy(&seen[4], t->regs.x, 9 * sizeof(uint64_t));
		for (unsigned n = 0; n < 13; n++)
			d = (d ^ seen[n]) * 0x100000001b3;
	}
	for (unsigned i = 0; i < SLOTS; i++)
		d = (d ^ cnode_slots(arena)[i].type) * 0x100000001b3;
	for (unsigned i = 0; i < CPUS; i++)
		d = (d ^ (uint64_t)((char *)cpus[i].current - host_ram)) * 0x100000001b3;
	return d;
}

static void
run_once(const uint8_t *bytes, size_t count, uint64_t digests[STEPS])
{
	input = bytes;
	input_end = bytes + count;
	make_world();
	for (size_t n = 0; input < input_end; n++) {
		if (n < STEPS)
			digests[n] = digest();
		if (cpus[0].current == NULL && cpus[1].current == NULL && !revive())
			break;
		step();
		if (check_everything() != 0) {
			host_quiet = false;
			check_everything();
			fprintf(stderr, "the checker is not content\n");
			abort();
		}
		if (arena->refs == 0)
			break;		/* the six have no CSpace any more */
	}
}

int
fuzz_run(const uint8_t *bytes, size_t count)
{
	static uint64_t slow[STEPS], fast[STEPS];

	memset(slow, 0, sizeof(slow));
	memset(fast, 0, sizeof(fast));
	host_fast = false;
	run_once(bytes, count, slow);
	host_fast = true;
	run_once(bytes, count, fast);
	for (unsigned i = 0; i < STEPS; i++)
		if (slow[i] != fast[i]) {
			fprintf(stderr, "a fast path differs in step %u\n", i);
			return 1;
		}
	return 0;
}
