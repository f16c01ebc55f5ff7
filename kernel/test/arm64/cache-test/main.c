/* SPDX-License-Identifier: MIT */
/*
 * Memory for a new owner, who may map it non-cacheable, is cleaned and invalidated
 * to the point of coherency, and so is every change to or from non-cacheable
 * attributes (DESIGN 3.1).  QEMU has no caches, but it can count: the plugin
 * tests/bench/plugin/count.c says how many DC CIVAC the machine executed between
 * each two marks, and ../run compares that with what is printed here:
 *
 *	measure <number> <lines that must be maintained> <name>
 */
#include "support.h"

enum { FRAME_BITS = 20, UNCACHED_BITS = 16, PAGES = 100 };

static uint64_t number;

static uint64_t
line_bytes(void)
{
	uint64_t ctr;

	__asm__ volatile("mrs %0, ctr_el0" : "=r"(ctr));
	return 4UL << (ctr >> 16 & 0xf);
}

static void
begin(void)
{
	__asm__ volatile("hint #126" : : : "memory");
}

static void
end(const char *name, uint64_t bytes)
{
	__asm__ volatile("hint #127" : : : "memory");
	say("measure ");
	say_number(++number);
	say(" ");
	say_number(bytes / line_bytes());
	say(" ");
	say(name);
	say("\n");
}

static void
fill(uint32_t frame)
{
	uint64_t *word = map_here(frame, FRAME_BITS);

	for (size_t i = 0; i < (1UL << FRAME_BITS) / sizeof(*word); i++)
		word[i] = ~0UL;
}

void
test_main(void)
{
	uint32_t untyped = make(OBJ_UNTYPED, FRAME_BITS), uncached = make(OBJ_FRAME, UNCACHED_BITS);
	uint32_t slot = slot_new();

	for (unsigned i = 1; i < PAGES; i++)
		slot_new();
	begin();
	end("nothing", 0);
	begin();
	must("retype", untyped_retype(untyped, OBJ_FRAME, FRAME_BITS, 0, slot, 1, 0));
	end("a Frame's first owner", 1UL << FRAME_BITS);
	fill(slot);
	must("revoke", cnode_revoke(INIT_SLOT_CNODE, untyped));
	begin();
	must("retype", untyped_retype(untyped, OBJ_FRAME, 12, 0, slot, PAGES, 0));
	end("pages for the next one", (uint64_t)PAGES << 12);
	begin();
	must("map", frame_map(uncached, INIT_SLOT_VSPACE, 0x50000000, RIGHT_READ, MAP_UNCACHED));
	end("mapped non-cacheable", 1UL << UNCACHED_BITS);
	begin();
	must("unmap", frame_unmap(uncached));
	end("unmapped again", 1UL << UNCACHED_BITS);
	begin();
	must("map", frame_map(uncached, INIT_SLOT_VSPACE, 0x50000000, RIGHT_READ, MAP_NORMAL));
	end("mapped cacheable", 0);
	check("everything was done", number == 6);
	finish();
}
