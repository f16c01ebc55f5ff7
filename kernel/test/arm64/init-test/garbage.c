/* SPDX-License-Identifier: MIT */
/*
 * A thread that says nonsense: every system call and every label on
 * capabilities of every type, with arguments that are right, nearly right and
 * wrong.  All that it can reach lies in a box; afterwards the box goes in one
 * revoke and its Untyped is whole again.
 */
#include "garbage.h"
#include <tessera/bootinfo.h>

enum { BOX_BITS = 6, BOX_SLOTS = 1 << BOX_BITS, ROUNDS = 30000 };

static uint32_t
next_random(uint64_t *state)
{
	*state = *state * 6364136223846793005UL + 1442695040888963407UL;	/* Knuth, MMIX */
	return (uint32_t)(*state >> 33);
}

static uint64_t
argument(uint64_t *state)
{
	static const uint64_t odd[] = {
		0, 1, 4096, 0x1000000, 0x200000, ~0UL, 1UL << 63, 1UL << 39, 0xfff, 12, 15, 300,
	};
	uint32_t r = next_random(state);

	return r & 1 ? r >> 1 & (BOX_SLOTS - 1) : odd[(r >> 1) % (sizeof(odd) / sizeof(odd[0]))];
}

static void
trap(uint64_t number, uint64_t cap, uint64_t message_info, const uint64_t w[6], uint64_t deadline,
	uint64_t reply)
{
	register uint64_t x0 __asm__("x0") = cap;
	register uint64_t x1 __asm__("x1") = message_info;
	register uint64_t x2 __asm__("x2") = w[0];
	register uint64_t x3 __asm__("x3") = w[1];
	register uint64_t x4 __asm__("x4") = w[2];
	register uint64_t x5 __asm__("x5") = w[3];
	register uint64_t x6 __asm__("x6") = w[4];
	register uint64_t x7 __asm__("x7") = w[5];
	register uint64_t x8 __asm__("x8") = number;
	register uint64_t x9 __asm__("x9") = deadline;
	register uint64_t x10 __asm__("x10") = reply;

	__asm__ volatile("svc #0"
		: "+r"(x0), "+r"(x1), "+r"(x2), "+r"(x3), "+r"(x4), "+r"(x5), "+r"(x6), "+r"(x7),
		  "+r"(x8), "+r"(x9), "+r"(x10)
		:: "x11", "x12", "x13", "x14", "x15", "x16", "x17", "memory");
}

void
garbage_speaker(uint64_t seed, uint64_t arg2)
{
	uint64_t state = seed, w[6];

	(void)arg2;
	for (unsigned n = 0; n < ROUNDS; n++) {
		uint32_t r = next_random(&state);
		uint64_t number = r % 4 != 0 ? SYS_CALL : r >> 2 & 15;
		uint64_t label = r >> 8 & 15, slot = r >> 12 & (BOX_SLOTS - 1);

		for (unsigned i = 0; i < 6; i++)
			w[i] = argument(&state);
		trap(number, slot, r & 0x80000 ? MSG_INFO(label, 6, 0) : (uint64_t)r << 8, w,
			now() + 100, argument(&state));
		shared->beat[7] = n;
	}
	shared->state = EL1_DONE;
	for (;;)
		__asm__ volatile("wfe");
}

/* Objects of every type, moved into the box. */
static void
fill(uint32_t untyped, uint32_t box)
{
	static const struct { enum object_type type; unsigned size_bits; } what[] = {
		{ OBJ_THREAD, 0 }, { OBJ_VCPU, 0 }, { OBJ_SCHED_CONTEXT, 0 }, { OBJ_ENDPOINT, 0 },
		{ OBJ_NOTIFICATION, 0 }, { OBJ_REPLY, 0 }, { OBJ_FRAME, 12 }, { OBJ_FRAME, 16 },
		{ OBJ_VSPACE, 15 }, { OBJ_CNODE, 4 }, { OBJ_UNTYPED, 15 }, { OBJ_THREAD, 0 },
		{ OBJ_IO_SPACE, 15 }, { OBJ_IO_DEVICE, 0 }, { OBJ_IO_DEVICE, 0 },
	};
	const struct bootinfo *boot = (const struct bootinfo *)INIT_BOOTINFO_VADDR;
	uint32_t slot = slot_new(), at = 1;

	for (unsigned i = 0; i < sizeof(what) / sizeof(what[0]); i++) {
		must("fill", untyped_retype(untyped, what[i].type, what[i].size_bits, 0, slot, 1, 0));
		if (what[i].type == OBJ_IO_DEVICE && boot->smmu_count != 0 && boot->gic.its_count != 0)
			/* No function has these numbers. */
			must("assign", io_control_assign(INIT_SLOT_IO_CONTROL, slot, 0, 0xf8 + i, 0, 0xf8 + i));
		must("move", cnode_move(box, at++, 0, slot));
	}
	must("copy", cnode_copy(box, at++, 0, box, RIGHTS_ALL));
	/* One thread of it may even run: it has nothing mapped where it starts. */
	must("copy", cnode_copy(INIT_SLOT_CNODE, slot, box, 3, RIGHTS_ALL));
	must("time", sched_control_configure(INIT_SLOT_SCHED_CONTROL, slot, 0, info->timer_hz / 1000,
		info->timer_hz / 100));
	must("back", cnode_delete(INIT_SLOT_CNODE, slot));
}

/* seed differs from call to call.  The thread's own parts stay out of the box. */
bool
garbage_survived(uint64_t seed, unsigned cpu, bool (*ended)(void))
{
	uint32_t untyped = make(OBJ_UNTYPED, 19), box = slot_new(), space = space_new(false), children;
	struct thread_made t;
	uint64_t bytes;
	unsigned bits;
	uint32_t device;

	must("box", untyped_retype(untyped, OBJ_CNODE, BOX_BITS, 0, box, 1, 0));
	fill(untyped, box);
	shared->state = 0;
	t = thread_new(&(struct thread_plan){ .vspace = space, .entry = garbage_speaker, .arg = seed,
		.priority = 50, .cpu = cpu });
	must("suspend", thread_suspend(t.thread));
	must("configure", thread_configure(t.thread, box, space, t.ipc, t.ipc_vaddr, 0));
	must("resume", thread_resume(t.thread));
	if (!ended())
		return false;
	must("suspend", thread_suspend(t.thread));
	must("revoke", cnode_revoke(INIT_SLOT_CNODE, untyped));
	must("info", untyped_info(untyped, &bits, &bytes, &device, &children));
	return children == 0 && bytes == 0;
}
