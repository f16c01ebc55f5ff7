/* SPDX-License-Identifier: MIT */
/*
 * TLB shootdown: a reader on each CPU reads one page of one address space.  The
 * page is taken away (by revoke, delete or unmap in turn), then at once holds
 * something else: a reader that ever sees that still had a translation.  Each
 * reader must fault before the page comes back.
 */
#include "stress.h"

#define PAGE_VADDR	0x20000000UL
enum { GOOD = 0x600d, POISON = 0xbad };

struct readers {			/* in the page that all spaces share */
	volatile uint64_t seen[CPUS_MAX];	/* the last value */
	volatile uint64_t reads[CPUS_MAX];
	volatile uint64_t poisoned[CPUS_MAX];
};
#define readers ((struct readers *)SHARED_VADDR)

static struct shootdown counts;
static uint32_t frame, mapping, space, faults, nothing, replies[CPUS_MAX];
static volatile uint64_t *page;

struct shootdown *
shootdown_counts(void)
{
	counts.reads = counts.poisoned = 0;
	for (unsigned i = 0; i < stress.cpus; i++) {
		counts.reads += readers->reads[i];
		counts.poisoned += readers->poisoned[i];
	}
	return &counts;
}

static void
reader(uint64_t index, uint64_t unused)
{
	(void)unused;
	for (;;) {
		uint64_t value = *(volatile uint64_t *)PAGE_VADDR;

		readers->seen[index] = value;
		readers->reads[index]++;
		if (value >> 32 != GOOD)
			readers->poisoned[index]++;
	}
}

static void
doze(uint64_t us)
{
	uint64_t bits;

	sys_wait(nothing, in_us(us), &bits);
}

static bool
all_have_seen(uint64_t value)
{
	for (unsigned i = 0; i < stress.cpus; i++)
		if (readers->seen[i] != value)
			return false;
	return true;
}

static void
give(void)
{
	enum error e = cnode_copy(INIT_SLOT_CNODE, mapping, 0, frame, RIGHTS_ALL);

	if (e == OK)
		e = frame_map(mapping, space, PAGE_VADDR, RIGHT_READ, MAP_NORMAL);
	fail_step("map the readers' page", e);
}

/* When it returns nobody can reach the page by that mapping. */
static void
take_away(uint64_t round)
{
	if (round % 3 == 0) {
		fail_step("revoke the page", cnode_revoke(INIT_SLOT_CNODE, frame));
	} else if (round % 3 == 1) {
		fail_step("delete the page", cnode_delete(INIT_SLOT_CNODE, mapping));
	} else {
		fail_step("unmap the page", frame_unmap(mapping));
		*page = (uint64_t)POISON << 32;
		fail_step("delete what is unmapped", cnode_delete(INIT_SLOT_CNODE, mapping));
	}
	*page = (uint64_t)POISON << 32;
}

static bool
collect_faults(void)
{
	for (unsigned i = 0; i < stress.cpus; i++) {
		struct msg m = { 0 };

		if (sys_recv(faults, &m, replies[i], in_us(30000000)) != OK || msg_label(m.info) != LABEL_FAULT_MEMORY ||
		    m.words[1] != PAGE_VADDR)
			return false;
		counts.faults++;
	}
	return true;
}

static void
shooter(uint64_t unused, uint64_t unused2)
{
	(void)unused;
	(void)unused2;
	for (uint64_t round = 1; ; round++) {
		struct msg m = { 0 };

		/* In the first round the page is there before the readers. */
		*page = (uint64_t)GOOD << 32 | round;
		if (round > 1)
			give();
		for (unsigned i = 0; i < stress.cpus && round > 1; i++)
			fail_step("let a reader go on", sys_send(replies[i], &m, 0));
		while (!all_have_seen((uint64_t)GOOD << 32 | round))
			doze(500);
		take_away(round);
		if (!collect_faults()) {
			counts.stuck = 1;
			return fail_step("every reader faults", ERR_TIMEOUT);
		}
		counts.rounds = round;
	}
}

void
shootdown_start(void)
{
	frame = make(OBJ_FRAME, 12);
	page = (uint64_t *)0x48000000;
	map_frame(frame, INIT_SLOT_VSPACE, (uint64_t)page, RIGHT_READ | RIGHT_WRITE);
	*page = (uint64_t)GOOD << 32;
	mapping = slot_new();
	space = space_new(false);
	faults = make(OBJ_ENDPOINT, 0);
	nothing = make(OBJ_NOTIFICATION, 0);
	give();
	for (unsigned i = 0; i < stress.cpus; i++) {
		struct thread_made t;

		replies[i] = make(OBJ_REPLY, 0);
		t = thread_new(&(struct thread_plan){ .vspace = space, .entry = reader, .arg = i,
			.priority = PRIORITY_SERVER, .cpu = i, .fault_handler = faults });
		must("reader's time", sched_control_configure(INIT_SLOT_SCHED_CONTROL, t.sched_context, i,
			info->timer_hz / 4000, info->timer_hz / 200));
	}
	thread_new(&(struct thread_plan){ .vspace = INIT_SLOT_VSPACE, .entry = shooter,
		.priority = PRIORITY_SHOOTER, .cpu = 1 % stress.cpus });
}
