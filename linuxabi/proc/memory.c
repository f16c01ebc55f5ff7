/* SPDX-License-Identifier: MIT */
/*
 * How much memory everybody takes: /proc/tessera/memory.  A line for each
 * component as proto/usage.h has it (a world that may not read that has none),
 *
 *	<name> <budget> <made> <heap> <most of the heap in use> <starts>
 *
 * then what the RAM of this world is used for, "world.<what> <bytes>": image and
 * tables of pages, slabs, page tables, programs' memory, files, and the most that
 * was ever taken at once, free pages in the stacks of CPUs included.  All in bytes.
 */
#include <proto/usage.h>
#include <proto/world.h>
#include "arch.h"
#include "fs.h"
#include "page.h"
#include "time.h"

static const struct memory_usage *first;
static unsigned count;
static uint64_t ram;

/* Its writer is another component: no byte behind the name is one of it. */
static void
show_component(struct seq *s, const struct memory_usage *u)
{
	seq_printf(s, "%.*s %lu %lu %lu %lu %u\n", (int)sizeof(u->name), u->name, READ_ONCE(u->budget),
	    READ_ONCE(u->made), READ_ONCE(u->heap), READ_ONCE(u->heap_peak), READ_ONCE(u->starts));
}

static void
show_world(struct seq *s, const char *what, uint64_t bytes)
{
	seq_printf(s, "world.%s %lu\n", what, bytes);
}

static long
show(struct seq *s, void *arg)
{
	uint64_t fixed = ram - (pages_total() << PAGE_SHIFT);

	(void)arg;
	for (unsigned i = 0; i < count; i++) {
		const struct memory_usage *u = (const void *)((const uint8_t *)first + (uint64_t)i * USAGE_PAGE);

		if (READ_ONCE(u->budget) != 0)
			show_component(s, u);
	}
	show_world(s, "fixed", fixed);
	show_world(s, "slabs", pages_slab() << PAGE_SHIFT);
	show_world(s, "tables", pages_tables() << PAGE_SHIFT);
	show_world(s, "programs", pages_anon() << PAGE_SHIFT);
	show_world(s, "files", pages_cached() << PAGE_SHIFT);
	show_world(s, "peak", fixed + (pages_peak() << PAGE_SHIFT));
	return 0;
}

void
memory_usage_init(const struct world_info *w)
{
	for (unsigned i = 0; i < w->ram_count; i++)
		ram += w->ram[i].size;
	if (w->usage != 0) {
		first = ipa_to_virt(w->usage);
		count = w->usage_count;
	}
	procfs_register("tessera/memory", show, NULL);
}
