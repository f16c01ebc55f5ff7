/* SPDX-License-Identifier: MIT */
/*
 * The attacker.  It has its code, a stack and its report, and no data: what it
 * does to itself ends with its life.
 */
#include "hostile.h"

extern char image_text[];

enum { NONSENSE_CALLS = 3000, CHILDREN = 12 };

/* Of a child; its Untyped goes first, so that it is what the others are made of. */
enum { CHILD_BOX, CHILD_THREAD, CHILD_SPACE, CHILD_SCHED, CHILD_STACK, CHILD_VCPU, CHILD_TEXT, FAMILY_SLOTS };
enum { CHILD_BITS = 17 };

static enum error
trap(const struct call *c, bool hvc)
{
	register uint64_t x0 __asm__("x0") = c->cap;
	register uint64_t x1 __asm__("x1") = c->info;
	register uint64_t x2 __asm__("x2") = c->w[0];
	register uint64_t x3 __asm__("x3") = c->w[1];
	register uint64_t x4 __asm__("x4") = c->w[2];
	register uint64_t x5 __asm__("x5") = c->w[3];
	register uint64_t x6 __asm__("x6") = c->w[4];
	register uint64_t x7 __asm__("x7") = c->w[5];
	register uint64_t x8 __asm__("x8") = c->number;
	register uint64_t x9 __asm__("x9") = c->deadline;
	register uint64_t x10 __asm__("x10") = c->reply;

	if (hvc)
		__asm__ volatile("hvc #0"
			: "+r"(x0), "+r"(x1), "+r"(x2), "+r"(x3), "+r"(x4), "+r"(x5), "+r"(x6), "+r"(x7),
			  "+r"(x8), "+r"(x9), "+r"(x10)
			:: "x11", "x12", "x13", "x14", "x15", "x16", "x17", "memory");
	else
		__asm__ volatile("svc #0"
			: "+r"(x0), "+r"(x1), "+r"(x2), "+r"(x3), "+r"(x4), "+r"(x5), "+r"(x6), "+r"(x7),
			  "+r"(x8), "+r"(x9), "+r"(x10)
			:: "x11", "x12", "x13", "x14", "x15", "x16", "x17", "memory");
	return (enum error)x0;
}

static void
note(volatile uint32_t answers[ERROR_COUNT], enum error e)
{
	if (e < ERROR_COUNT)
		answers[e]++;
}

/* ---- everything, once -------------------------------------------------------------------- */

/* What a call's right arguments need: room, something to lose, a Frame that is mapped or not. */
static void
prepare(const struct grammar *g)
{
	uint32_t frame = slot_of(OBJ_FRAME, SLOT_FIRST);

	cnode_copy(SLOT_SELF, slot_of(OBJ_CNODE, SLOT_OWN), 0, SLOT_SELF, RIGHTS_ALL);
	cnode_delete(SLOT_SELF, SLOT_FREE);
	cnode_copy(SLOT_SELF, SLOT_SPARE, 0, slot_of(OBJ_FRAME, SLOT_SECOND), RIGHTS_ALL);
	frame_unmap(frame);
	if (g->type == OBJ_FRAME && g->label == FRAME_UNMAP)
		frame_map(frame, slot_of(OBJ_VSPACE, SLOT_FIRST), HOSTILE_WINDOW, RIGHT_READ, MAP_NORMAL);
}

static void
say_invocation(struct report *r, unsigned cell)
{
	unsigned n = cell / (POSITIONS * VARIANTS);
	struct call c;
	enum error e;

	prepare(&grammar[n]);
	invocation(&c, &grammar[n], cell / VARIANTS % POSITIONS, cell % VARIANTS);
	e = trap(&c, false);
	if (e != OK || c.cap / SLOTS_PER_TYPE == grammar[n].type)	/* not another type's call */
		note(r->answers[n], e);
	if (e == OK && grammar[n].type == OBJ_CNODE && grammar[n].label == CNODE_MOVE)
		cnode_move(SLOT_SELF, (uint32_t)c.w[2], 0, (uint32_t)c.w[0]);
}

static void
say_system_call(struct report *r, unsigned cell)
{
	unsigned number = cell / (OBJECT_TYPES * VARIANTS);
	struct call c;

	system_call(&c, number, cell / VARIANTS % OBJECT_TYPES, cell % VARIANTS);
	note(r->system[number], trap(&c, false));
}

static void
sweep(struct report *r)
{
	while (r->cell < CELLS) {
		unsigned cell = (unsigned)r->cell;

		r->cell = cell + 1;		/* it may be the last word */
		r->said++;
		if (cell < CELLS_INVOKE)
			say_invocation(r, cell);
		else
			say_system_call(r, cell - CELLS_INVOKE);
	}
}

/* The machine's controls, which exist once: all cells of theirs. */
static void
sweep_controls(struct report *r)
{
	for (unsigned cell = 0; cell < CELLS_INVOKE; cell++) {
		unsigned type = grammar[cell / (POSITIONS * VARIANTS)].type;

		if (type != OBJ_IRQ_CONTROL && type != OBJ_SCHED_CONTROL && type != OBJ_IO_CONTROL)
			continue;
		r->said++;
		say_invocation(r, cell);
	}
}

/* ---- anything ------------------------------------------------------------------------------- */

static void
babble(struct report *r, uint64_t random, bool hvc)
{
	struct call c;

	for (unsigned n = 0; n < NONSENSE_CALLS || r == NULL; n++) {
		nonsense(&c, &random);
		if (r != NULL)
			r->said++;
		trap(&c, hvc);
	}
}

/* ---- children, who have all that their parent has ---------------------------------------------- */

static enum error
child_parts(bool personality)
{
	static const struct { enum object_type type; unsigned size_bits; } part[] = {
		[CHILD_THREAD] = { OBJ_THREAD, 0 }, [CHILD_SPACE] = { OBJ_VSPACE, 14 },
		[CHILD_SCHED] = { OBJ_SCHED_CONTEXT, 0 }, [CHILD_STACK] = { OBJ_FRAME, 12 },
		[CHILD_VCPU] = { OBJ_VCPU, 0 },
	};
	enum error e = untyped_retype(slot_of(OBJ_UNTYPED, SLOT_OWN), OBJ_UNTYPED, CHILD_BITS, 0, SLOT_FAMILY, 1, 0);

	for (unsigned i = CHILD_THREAD; i <= CHILD_VCPU && e == OK; i++)
		e = untyped_retype(SLOT_FAMILY, part[i].type, part[i].size_bits, 0, SLOT_FAMILY + i, 1, 0);
	if (e == OK && personality)
		e = vspace_set_personality(SLOT_FAMILY + CHILD_SPACE);
	if (e == OK)
		e = cnode_copy(slot_of(OBJ_CNODE, SLOT_OWN), SLOT_FAMILY + CHILD_TEXT, 0, SLOT_TEXT, RIGHTS_ALL);
	if (e == OK)
		e = frame_map(SLOT_FAMILY + CHILD_TEXT, SLOT_FAMILY + CHILD_SPACE, (uint64_t)image_text,
			RIGHT_READ | RIGHT_EXEC, MAP_NORMAL);
	if (e == OK)
		e = frame_map(SLOT_FAMILY + CHILD_STACK, SLOT_FAMILY + CHILD_SPACE, HOSTILE_STACK,
			RIGHT_READ | RIGHT_WRITE, MAP_NORMAL);
	return e;
}

/* On time that is its parent's second SchedContext. */
static enum error
child_start(uint64_t random, bool personality)
{
	uint32_t thread = SLOT_FAMILY + CHILD_THREAD;
	enum error e = thread_configure(thread, slot_of(OBJ_CNODE, SLOT_OWN), SLOT_FAMILY + CHILD_SPACE, 0, 0, 0);

	if (e == OK && personality)
		e = thread_bind_vcpu(thread, SLOT_FAMILY + CHILD_VCPU);
	if (e == OK)
		e = thread_set_priority(thread, PRIORITY_HOSTILE, PRIORITY_HOSTILE);
	if (e == OK)
		e = thread_write_registers(thread, (uint64_t)attacker, HOSTILE_STACK + 4096,
			random << 8 | MODE_NONSENSE, 0, personality, 0);
	sched_context_unbind(slot_of(OBJ_SCHED_CONTEXT, SLOT_SECOND));
	if (e == OK)
		e = sched_context_bind(slot_of(OBJ_SCHED_CONTEXT, SLOT_SECOND), thread);
	return e == OK ? thread_resume(thread) : e;
}

/* They are born, say nonsense with all their parent's capabilities, and go. */
static void
raise_children(struct report *r, uint64_t random)
{
	for (unsigned n = 0; n < CHILDREN; n++) {
		bool personality = next_random(&random) & 1;
		uint64_t until = now() + next_random(&random) % 20000;

		r->said++;
		if (child_parts(personality) == OK && child_start(random, personality) == OK)
			r->children++;
		while (now() < until)
			sys_yield();
		cnode_revoke(slot_of(OBJ_CNODE, SLOT_OWN), SLOT_FAMILY);
		for (unsigned i = 0; i < FAMILY_SLOTS; i++)
			cnode_delete(slot_of(OBJ_CNODE, SLOT_OWN), SLOT_FAMILY + i);
	}
	/* And the one who made them: thread, space and time, all at once. */
	cnode_revoke(slot_of(OBJ_CNODE, SLOT_OWN), slot_of(OBJ_UNTYPED, SLOT_OWN));
	cnode_delete(slot_of(OBJ_CNODE, SLOT_OWN), slot_of(OBJ_VSPACE, SLOT_OWN));
}

void
attacker(uint64_t life_mode, uint64_t report, uint64_t hvc)
{
	struct report *r = (struct report *)report;
	struct ipc_buffer *buffer = (struct ipc_buffer *)HOSTILE_IPC;

	if (r != NULL) {
		for (unsigned i = 0; i < MSG_CAPS; i++) {
			buffer->caps[i] = i == 3 ? ~0U : slot_of(i == 0 ? OBJ_FRAME : OBJ_ENDPOINT, SLOT_FIRST);
			buffer->recv_slots[i] = SLOT_EMPTY + 1 + i;
		}
	}
	switch (life_mode & 0xff) {
	case MODE_SWEEP:
		sweep(r);
		break;
	case MODE_CONTROLS:
		sweep_controls(r);
		break;
	case MODE_FAMILY:
		raise_children(r, life_mode);
		break;
	default:
		babble(r, life_mode, hvc != 0);
		break;
	}
	if (r != NULL)
		r->finished = life_mode >> 8;
	for (;;)
		__asm__ volatile("wfe");
}
