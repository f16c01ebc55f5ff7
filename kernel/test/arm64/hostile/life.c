/* SPDX-License-Identifier: MIT */
/*
 * Prisons: each attacker's box, its lives, and that nothing is left of them.
 */
#include "hostile.h"

#include <tessera/bootinfo.h>

extern char image_text[], image_text_end[];

enum { BOX_BITS = 21, OWN_BITS = 18, SPACE_BITS = 15, TEXT_BITS = 16, STREAM_FIRST = 0xe0, SILENT_MAX = 3 };

static struct prisoner prisoners[CPUS_MAX];
static uint32_t text, spare_slot, moving_slot, part_slots[3];

/* What lies in the box, in pairs: for an attacker with nothing left to wish. */
static const struct { enum object_type type; unsigned size_bits; } pairs[] = {
	{ OBJ_UNTYPED, 16 }, { OBJ_CNODE, 4 }, { OBJ_THREAD, 0 }, { OBJ_VCPU, 0 }, { OBJ_SCHED_CONTEXT, 0 },
	{ OBJ_ENDPOINT, 0 }, { OBJ_NOTIFICATION, 0 }, { OBJ_REPLY, 0 }, { OBJ_FRAME, 16 }, { OBJ_VSPACE, 14 },
	{ OBJ_IO_DEVICE, 0 }, { OBJ_IO_SPACE, 14 },
};

struct prisoner *
prisoner(unsigned cpu)
{
	return &prisoners[cpu];
}

static void
text_make(void)
{
	char *to;

	text = make(OBJ_FRAME, TEXT_BITS);
	to = map_here(text, TEXT_BITS);
	for (size_t i = 0; i < (size_t)(image_text_end - image_text); i++)
		to[i] = image_text[i];
	for (size_t i = 0; i < 1UL << TEXT_BITS; i += 16)	/* personalities run with caches off */
		__asm__ volatile("dc civac, %0" : : "r"(to + i) : "memory");
	__asm__ volatile("dsb sy" : : : "memory");
}

void
prisons_start(unsigned cpus, const uint32_t lines[])
{
	text_make();
	spare_slot = slot_new();
	moving_slot = slot_new();
	for (unsigned i = 0; i < 3; i++)
		part_slots[i] = slot_new();
	for (unsigned i = 0; i < cpus; i++) {
		struct prisoner *p = &prisoners[i];

		p->cpu = i;
		p->line[0] = lines[2 * i];
		p->line[1] = lines[2 * i + 1];
		p->box = make(OBJ_UNTYPED, BOX_BITS);
		p->cnode = slot_new();
		p->thread = slot_new();
		p->report_frame = make(OBJ_FRAME, REPORT_BITS);
		p->report = map_here(p->report_frame, REPORT_BITS);
		p->report_frame = copy(p->report_frame);
	}
}

static void
into(struct prisoner *p, enum object_type type, unsigned size_bits, uint32_t slot, unsigned count)
{
	must("an object", untyped_retype(p->box, type, size_bits, p->cnode, slot, count, 0));
}

/* init's own access to what is in the attacker's slot. */
static uint32_t
borrow(struct prisoner *p, uint32_t slot)
{
	must("borrow", cnode_copy(INIT_SLOT_CNODE, spare_slot, p->cnode, slot, RIGHTS_ALL));
	return spare_slot;
}

static void
give_back(void)
{
	must("give back", cnode_delete(INIT_SLOT_CNODE, spare_slot));
}

static void
lend(struct prisoner *p, uint32_t frame, uint32_t slot, unsigned rights)
{
	must("lend", cnode_copy(p->cnode, slot, 0, frame, rights));
}

static void
fill_cspace(struct prisoner *p)
{
	const struct bootinfo *boot = (const struct bootinfo *)INIT_BOOTINFO_VADDR;

	for (unsigned i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++) {
		into(p, pairs[i].type, pairs[i].size_bits, slot_of(pairs[i].type, SLOT_FIRST), 2);
		cnode_copy(p->cnode, slot_of(pairs[i].type, SLOT_POWERLESS), p->cnode,
			slot_of(pairs[i].type, SLOT_FIRST), 0);		/* of some there is but one */
	}
	must("server", cnode_delete(p->cnode, slot_of(OBJ_ENDPOINT, SLOT_SECOND)));
	lend(p, neighbour_endpoint(p->cpu), slot_of(OBJ_ENDPOINT, SLOT_SECOND), RIGHT_WRITE | RIGHT_GRANT);
	lend(p, text, SLOT_TEXT, RIGHT_READ | RIGHT_EXEC);
	for (unsigned i = 0; i < 2; i++)
		must("line", irq_control_get(INIT_SLOT_IRQ_CONTROL, p->line[i], i, p->cnode,
			slot_of(OBJ_IRQ_HANDLER, SLOT_FIRST + i)));
	if (boot->smmu_count != 0 && boot->gic.its_count != 0) {
		/* No function has these numbers. */
		must("assign", io_control_assign(INIT_SLOT_IO_CONTROL, borrow(p, slot_of(OBJ_IO_DEVICE, SLOT_FIRST)),
			0, STREAM_FIRST + p->cpu, 0, STREAM_FIRST + p->cpu));
		give_back();
	}
}

/* What it is made of itself, with capabilities to all of it. */
static void
make_self(struct prisoner *p)
{
	into(p, OBJ_UNTYPED, OWN_BITS, slot_of(OBJ_UNTYPED, SLOT_OWN), 1);
	into(p, OBJ_VSPACE, SPACE_BITS, slot_of(OBJ_VSPACE, SLOT_OWN), 1);
	into(p, OBJ_SCHED_CONTEXT, 0, slot_of(OBJ_SCHED_CONTEXT, SLOT_OWN), 1);
	into(p, OBJ_FRAME, STACK_BITS, slot_of(OBJ_FRAME, SLOT_OWN), 1);
	into(p, OBJ_ENDPOINT, 0, slot_of(OBJ_ENDPOINT, SLOT_OWN), 1);
	into(p, OBJ_FRAME, 12, SLOT_BUFFER, 1);
	must("thread", untyped_retype(p->box, OBJ_THREAD, 0, 0, p->thread, 1, 0));
	lend(p, p->thread, slot_of(OBJ_THREAD, SLOT_OWN), RIGHTS_ALL);
	lend(p, p->cnode, slot_of(OBJ_CNODE, SLOT_OWN), RIGHTS_ALL);
	lend(p, p->cnode, SLOT_SELF, RIGHTS_ALL);
}

/* By the capability that the attacker has: it can unmap it. */
static void
map_own(struct prisoner *p, uint32_t slot, uint64_t vaddr, unsigned rights)
{
	must("take", cnode_move(INIT_SLOT_CNODE, moving_slot, p->cnode, slot));
	map_frame(moving_slot, borrow(p, slot_of(OBJ_VSPACE, SLOT_OWN)), vaddr, rights);
	give_back();
	must("put back", cnode_move(p->cnode, slot, 0, moving_slot));
}

static void
map_self(struct prisoner *p)
{
	map_own(p, SLOT_TEXT, (uint64_t)image_text, RIGHT_READ | RIGHT_EXEC);
	map_own(p, slot_of(OBJ_FRAME, SLOT_OWN), HOSTILE_STACK, RIGHT_READ | RIGHT_WRITE);
	map_own(p, SLOT_BUFFER, HOSTILE_IPC, RIGHT_READ | RIGHT_WRITE);
	map_frame(p->report_frame, borrow(p, slot_of(OBJ_VSPACE, SLOT_OWN)), HOSTILE_REPORT,
		RIGHT_READ | RIGHT_WRITE);
	give_back();
}

static void
give_time(struct prisoner *p, uint32_t slot)
{
	must("time", sched_control_configure(INIT_SLOT_SCHED_CONTROL, borrow(p, slot), p->cpu,
		info->timer_hz / 1000, info->timer_hz / 1000));
	give_back();
}

static void
start_self(struct prisoner *p, enum mode mode)
{
	give_time(p, slot_of(OBJ_SCHED_CONTEXT, SLOT_OWN));
	give_time(p, slot_of(OBJ_SCHED_CONTEXT, SLOT_SECOND));
	must("space", cnode_copy(INIT_SLOT_CNODE, part_slots[0], p->cnode, slot_of(OBJ_VSPACE, SLOT_OWN), RIGHTS_ALL));
	must("buffer", cnode_copy(INIT_SLOT_CNODE, part_slots[1], p->cnode, SLOT_BUFFER, RIGHTS_ALL));
	must("handler", cnode_copy(INIT_SLOT_CNODE, part_slots[2], p->cnode, slot_of(OBJ_ENDPOINT, SLOT_OWN), RIGHTS_ALL));
	must("configure", thread_configure(p->thread, p->cnode, part_slots[0], part_slots[1], HOSTILE_IPC, part_slots[2]));
	for (unsigned i = 0; i < 3; i++)
		must("part", cnode_delete(INIT_SLOT_CNODE, part_slots[i]));
	must("priority", thread_set_priority(p->thread, PRIORITY_HOSTILE, PRIORITY_HOSTILE));
	must("registers", thread_write_registers(p->thread, (uint64_t)attacker, HOSTILE_STACK + (1UL << STACK_BITS),
		p->life << 8 | mode, HOSTILE_REPORT, 0, 0));
	must("bind", sched_context_bind(borrow(p, slot_of(OBJ_SCHED_CONTEXT, SLOT_OWN)), p->thread));
	give_back();
	must("resume", thread_resume(p->thread));
}

void
life_begin(struct prisoner *p, enum mode mode)
{
	p->life++;
	p->silent = 0;
	p->last_said = p->report->said;
	must("CNode", untyped_retype(p->box, OBJ_CNODE, CSPACE_BITS, 0, p->cnode, 1, 0));
	fill_cspace(p);
	make_self(p);
	map_self(p);
	if (mode == MODE_CONTROLS) {
		must("IRQControl", cnode_move(p->cnode, slot_of(OBJ_IRQ_CONTROL, SLOT_FIRST), 0, INIT_SLOT_IRQ_CONTROL));
		must("IOControl", cnode_move(p->cnode, slot_of(OBJ_IO_CONTROL, SLOT_FIRST), 0, INIT_SLOT_IO_CONTROL));
	}
	start_self(p, mode);
	if (mode == MODE_CONTROLS)
		must("SchedControl", cnode_move(p->cnode, slot_of(OBJ_SCHED_CONTROL, SLOT_FIRST), 0, INIT_SLOT_SCHED_CONTROL));
	p->alive = true;
}

bool
life_over(struct prisoner *p)
{
	uint64_t said = p->report->said;

	p->silent = said == p->last_said ? p->silent + 1 : 0;
	p->last_said = said;
	return p->silent == SILENT_MAX || p->report->finished == p->life;
}

void
life_end(struct prisoner *p)
{
	uint64_t watermark = 1;
	uint32_t device, children = 1;
	unsigned bits;

	must("revoke", cnode_revoke(INIT_SLOT_CNODE, p->box));
	must("info", untyped_info(p->box, &bits, &watermark, &device, &children));
	if (children == 0 && watermark == 0 && bits == BOX_BITS)
		p->whole++;
	p->alive = false;
}

bool
box_is_clear(struct prisoner *p)
{
	uint32_t frame = slot_new();
	const uint64_t *word;
	bool clear = true;

	must("the next owner", untyped_retype(p->box, OBJ_FRAME, BOX_BITS, 0, frame, 1, 0));
	word = map_here(frame, BOX_BITS);
	for (size_t i = 0; i < (1UL << BOX_BITS) / sizeof(*word); i++)
		clear = clear && word[i] == 0;
	return clear;
}
