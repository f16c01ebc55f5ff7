/* SPDX-License-Identifier: MIT */
/*
 * Threads that live for a moment: each in an address space of its own, so that
 * VMIDs run out again and again, with a little time of its own on any CPU.  They
 * signal, call and fault until they are killed, wherever they then are.
 */
#include "stress.h"

extern char image_text[], image_text_end[];

enum { TEXT_BITS = 16, SPACE_BITS = 14 };
#define VICTIM_STACK	0x480000UL	/* in the table that the text takes anyway */
#define NOTHING_THERE	0x500000UL

enum { SLOT_THREAD, SLOT_SPACE, SLOT_SCHED, SLOT_STACK, SLOT_TEXT };	/* of VICTIM_SLOTS */

static uint32_t text;		/* Frame: a copy of the test's code */

static void
caller(uint64_t ep, uint64_t note)
{
	for (;;) {
		struct msg m = { .info = MSG_INFO(1, 6, 0) };

		sys_signal((uint32_t)note);
		sys_call((uint32_t)ep, &m, 0);
		sys_yield();
	}
}

static void
faulter(uint64_t ep, uint64_t note)
{
	(void)ep;
	for (;;) {
		*(volatile uint64_t *)NOTHING_THERE;
		sys_signal((uint32_t)note);
	}
}

/* Every fault is answered, and comes again. */
static void
gravedigger(uint64_t endpoint, uint64_t reply)
{
	struct msg m = { 0 };

	sys_recv((uint32_t)endpoint, &m, (uint32_t)reply, 0);
	for (;;) {
		m.info = 0;
		sys_reply_recv((uint32_t)endpoint, &m, (uint32_t)reply, 0);
	}
}

void
victims_init(void)
{
	char *to;

	text = make(OBJ_FRAME, TEXT_BITS);
	to = map_here(text, TEXT_BITS);
	for (size_t i = 0; i < (size_t)(image_text_end - image_text); i++)
		to[i] = image_text[i];
	stress.graveyard = make(OBJ_ENDPOINT, 0);
	thread_new(&(struct thread_plan){ .vspace = INIT_SLOT_VSPACE, .entry = gravedigger,
		.arg = stress.graveyard, .arg2 = make(OBJ_REPLY, 0), .priority = PRIORITY_SERVER,
		.cpu = stress.cpus / 2 });
}

static enum error
make_parts(struct box *box, uint32_t at)
{
	static const struct { enum object_type type; unsigned size_bits; } part[] = {
		[SLOT_THREAD] = { OBJ_THREAD, 0 }, [SLOT_SPACE] = { OBJ_VSPACE, SPACE_BITS },
		[SLOT_SCHED] = { OBJ_SCHED_CONTEXT, 0 }, [SLOT_STACK] = { OBJ_FRAME, 12 },
	};
	enum error e = OK;

	for (unsigned i = 0; i < SLOT_TEXT && e == OK; i++)
		e = untyped_retype(box->untyped, part[i].type, part[i].size_bits, 0, at + i, 1, 0);
	if (e == OK)
		e = cnode_copy(INIT_SLOT_CNODE, at + SLOT_TEXT, 0, text, RIGHTS_ALL);
	if (e == OK)
		e = frame_map(at + SLOT_TEXT, at + SLOT_SPACE, (uint64_t)image_text,
			RIGHT_READ | RIGHT_EXEC, MAP_NORMAL);
	return e == OK ? frame_map(at + SLOT_STACK, at + SLOT_SPACE, VICTIM_STACK,
		RIGHT_READ | RIGHT_WRITE, MAP_NORMAL) : e;
}

enum error
victim_make(struct box *box, unsigned cpu, uint64_t *random)
{
	uint32_t at = box->first_slot + box->living * VICTIM_SLOTS, r = next_random(random);
	uint64_t period = info->timer_hz / 100;
	enum error e = make_parts(box, at);

	if (e == OK)
		e = thread_configure(at + SLOT_THREAD, INIT_SLOT_CNODE, at + SLOT_SPACE, 0, 0, stress.graveyard);
	if (e == OK)
		e = thread_set_priority(at + SLOT_THREAD, PRIORITY_WORKER - r % 3, PRIORITY_WORKER);
	if (e == OK)
		e = thread_write_registers(at + SLOT_THREAD, (uint64_t)(r & 16 ? caller : faulter),
			VICTIM_STACK + 4096, stress.active[(r >> 8) % stress.cpus], stress.notification[r >> 5 & 3],
			0, 0);
	if (e == OK)
		e = sched_control_configure(INIT_SLOT_SCHED_CONTROL, at + SLOT_SCHED, cpu, period / 20, period);
	if (e == OK)
		e = sched_context_bind(at + SLOT_SCHED, at + SLOT_THREAD);
	if (e == OK)
		e = thread_resume(at + SLOT_THREAD);
	box->living++;
	fail_step("a victim", e);
	return e;
}

bool
box_revoke(struct box *box)
{
	uint32_t device, children = 1;
	uint64_t watermark = 1;
	unsigned bits;
	enum error e;

	e = cnode_revoke(INIT_SLOT_CNODE, box->untyped);
	for (uint32_t i = 0; i < box->living && e == OK; i++)
		e = cnode_delete(INIT_SLOT_CNODE, box->first_slot + i * VICTIM_SLOTS + SLOT_TEXT);
	if (e == OK)
		e = untyped_info(box->untyped, &bits, &watermark, &device, &children);
	box->living = 0;
	fail_step("a victim's end", e);
	return e == OK && children == 0 && watermark == 0;
}
