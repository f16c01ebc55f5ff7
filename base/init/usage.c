/* SPDX-License-Identifier: MIT */
/*
 * How much memory each component takes, for those who may read it
 * (proto/usage.h).  The pages are init's own: what a dead component had is there
 * until it is built anew.
 */
#include <proto/usage.h>
#include "init.h"

/* Pages after those of the components, in system.conf's order. */
enum { USAGE_KERNEL, USAGE_BUNDLE, USAGE_INIT, USAGE_MORE };

_Static_assert((CONF_MAX_COMPONENTS + USAGE_MORE) * USAGE_PAGE <= INIT_LIST_VADDR - INIT_USAGE_VADDR,
    "init's address space has room for all pages");

static uint32_t frame;

static struct memory_usage *
page(unsigned i)
{
	return (struct memory_usage *)(INIT_USAGE_VADDR + (uint64_t)i * USAGE_PAGE);
}

uint32_t
usage_count(void)
{
	return tessera.conf.component_count + USAGE_MORE;
}

enum error
usage_make(void)
{
	enum error e;

	frame = slots_take(1);
	e = memory_carve(OBJ_FRAME, log2_up((uint64_t)usage_count() * USAGE_PAGE), frame);
	if (e == OK)
		e = frame_map(frame, INIT_SLOT_VSPACE, INIT_USAGE_VADDR, RIGHT_READ | RIGHT_WRITE,
		    MAP_NORMAL);
	return e;
}

uint32_t
usage_slot(void)
{
	return frame;
}

static uint64_t
budget_of(const struct component *c)
{
	uint64_t sum = 0;

	for (unsigned i = 0; i < c->piece_count; i++)
		sum += (uint64_t)1 << c->piece[i].size_bits;
	return sum;
}

static void
fill(unsigned i, const char *name, uint64_t budget, uint64_t made, uint64_t heap)
{
	struct memory_usage *u = page(i);

	format(u->name, sizeof u->name, "%s", name);
	u->budget = budget;
	u->made = made;
	u->heap = heap;
}

/* RAM that is nobody's Untyped is the kernel's, or holds the bundle. */
static void
fill_system(void)
{
	const unsigned first = tessera.conf.component_count;
	uint64_t ram = 0, untyped = 0, own = memory_used();
	const uint64_t bundle = bundle_pages(tessera.boot->bundle.size);

	for (unsigned i = 0; i < tessera.boot->memory_count && i < BOOT_MAX_MEMORY; i++) {
		const struct boot_memory *m = &tessera.boot->memory[i];

		if (m->kind == BOOT_MEM_FREE || m->kind == BOOT_MEM_LOADED)
			ram += m->size;
	}
	for (unsigned i = 0; i < tessera.info->untyped_count && i < INIT_MAX_UNTYPED; i++)
		if (!tessera.info->untyped[i].device)
			untyped += (uint64_t)1 << tessera.info->untyped[i].size_bits;
	for (unsigned i = 0; i < tessera.conf.component_count; i++) {
		const struct component *c = &tessera.component[i];

		own -= budget_of(c);
		if (c->starts == 0)
			fill(i, c->conf->name, budget_of(c), 0, 0);
	}
	fill(first + USAGE_KERNEL, "kernel", ram - untyped - bundle, ram - untyped - bundle, 0);
	fill(first + USAGE_BUNDLE, "bundle", bundle, bundle, 0);
	fill(first + USAGE_INIT, "init", own, own, 0);
}

/* A component was made: of `heap` bytes that its budget had left, it has the use. */
void
usage_built(const struct component *c, uint64_t heap)
{
	struct memory_usage *u = page(c->index);
	uint64_t watermark = 0;
	uint32_t device, children;
	unsigned size_bits;

	if (untyped_info(c->piece[0].slot, &size_bits, &watermark, &device, &children) != OK)
		return;
	/* A world's RAM is not part of its first piece. */
	fill(c->index, c->conf->name, budget_of(c), c->conf->world ? watermark : watermark - heap, heap);
	u->starts = c->starts;
	u->heap_peak = 0;
	fill_system();
}

enum error
usage_give(struct component *c, uint64_t vaddr)
{
	return give_mapped(c, frame, (uint64_t)c->index * USAGE_PAGE, USAGE_PAGE, vaddr,
	    RIGHT_READ | RIGHT_WRITE, MAP_NORMAL);
}

enum error
usage_give_all(struct component *c, uint64_t ipa)
{
	return give_mapped(c, frame, 0, (uint64_t)usage_count() * USAGE_PAGE, ipa, RIGHT_READ, MAP_NORMAL);
}
