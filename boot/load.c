/* SPDX-License-Identifier: MIT */
/*
 * Choosing a slot and bringing what is in it into memory.  Everything about a
 * slot is checked before the choice falls on it, so that whatever is wrong
 * with one leaves the other to be tried.
 */
#include <string.h>

#include "elf.h"
#include "loader.h"

enum { LARGE_PAGE = 2 << 20 };

static const char slot_name[SLOT_COUNT + 1] = "AB";

/* ---- boot state ---------------------------------------------------------- */

struct state {
	struct boot_state record[BOOT_STATE_RECORDS];
	struct boot_state current;
	unsigned spare;
	bool there;		/* the partition exists and can be read */
};

static void
read_state(struct disk *disk, struct state *state, uint8_t *page)
{
	struct complaint why;

	memset(state, 0, sizeof(*state));
	state->there = disk->boot_state.blocks != 0;
	for (unsigned i = 0; state->there && i < BOOT_STATE_RECORDS; i++) {
		state->there = disk_read(disk, &disk->boot_state,
		    (uint64_t)i * BOOT_STATE_STRIDE, BOOT_STATE_STRIDE, page, &why);
		if (!state->there)
			print("tessera: boot state: %s\n", why.text);
		memcpy(&state->record[i], page, sizeof(state->record[i]));
	}
	if (!boot_state_current(state->record, &state->current, &state->spare))
		print("tessera: boot state: no valid record, taking slot A, then B\n");
}

static void
write_state(struct disk *disk, struct state *state, uint8_t *page)
{
	struct complaint why;

	if (!state->there)
		return;
	memset(page, 0, BOOT_STATE_STRIDE);
	memcpy(page, &state->current, sizeof(state->current));
	if (!disk_write(disk, &disk->boot_state, (uint64_t)state->spare * BOOT_STATE_STRIDE,
	    BOOT_STATE_STRIDE, page, &why))
		print("tessera: boot state: %s\n", why.text);
}

/* ---- one slot ------------------------------------------------------------ */

static void
release(struct loaded *l)
{
	pages_free(l->kernel_file, slot_pages(l->header.kernel_size));
	pages_free(l->bundle, slot_pages(l->header.bundle_size));
	l->kernel_file = NULL;
	l->bundle = NULL;
}

static bool
read_content(struct disk *disk, const struct partition *part, struct loaded *l,
    struct complaint *why)
{
	const struct slot_header *h = &l->header;

	l->kernel_file = pages_allocate(slot_pages(h->kernel_size), 4096);
	/* The bundle becomes one Frame; aligned like this, it is mapped in large blocks. */
	l->bundle = pages_allocate(slot_pages(h->bundle_size), LARGE_PAGE);
	return disk_read(disk, part, h->kernel_offset, slot_pages(h->kernel_size), l->kernel_file,
	    why) &&
	    disk_read(disk, part, h->bundle_offset, slot_pages(h->bundle_size), l->bundle, why) &&
	    slot_check_content(h, l->kernel_file, l->bundle, why);
}

/* Runs only once the plan is known to be good; what it allocates stays. */
static bool
place_kernel(struct loaded *l, const struct elf_plan *plan, struct bootinfo *info,
    struct complaint *why)
{
	uint64_t size = plan->high - plan->low;

	l->kernel = pages_allocate(size, LARGE_PAGE);
	info->kernel = (struct boot_range){ (uint64_t)l->kernel, size };
	l->entry = plan->entry - plan->low + (uint64_t)l->kernel;
	if (elf_place(plan, l->kernel_file, l->kernel, (uint64_t)l->kernel, why))
		return true;
	pages_free(l->kernel, size);
	return false;
}

static bool
prefix(struct complaint *why, const char *member)
{
	struct complaint inner = *why;

	return complain(why, "%s: %s", member, inner.text);
}

static bool
place(struct loaded *l, struct bootinfo *info, struct complaint *why)
{
	struct elf_plan kernel, init;
	const struct bundle_entry *entry;
	const char *wrong = bundle_check(l->bundle, l->header.bundle_size);
	const void *init_file;

	if (wrong != NULL)
		return complain(why, "base.bundle: %s", wrong);
	entry = bundle_find(l->bundle, "init");
	if (entry == NULL)
		return complain(why, "base.bundle: has no member init");
	init_file = (const uint8_t *)l->bundle + entry->offset;
	if (!elf_plan(init_file, entry->size, ELF_EXECUTABLE, &init, why) ||
	    !elf_mappable(&init, why))
		return prefix(why, "init");
	if (!elf_plan(l->kernel_file, l->header.kernel_size, ELF_POSITION_INDEPENDENT, &kernel,
	    why) || !place_kernel(l, &kernel, info, why))
		return prefix(why, "kernel.elf");
	l->init_size = elf_packed_size(&init);
	l->init = pages_allocate(l->init_size, 4096);
	if (!elf_pack(&init, init_file, l->init, (uint64_t)l->init, &info->init, why))
		return prefix(why, "init");
	info->bundle = (struct boot_range){ (uint64_t)l->bundle, slot_pages(l->header.bundle_size) };
	return true;
}

static bool
try_slot(struct disk *disk, unsigned slot, struct bootinfo *info, struct loaded *l,
    uint8_t *page, struct complaint *why)
{
	const struct partition *part = &disk->slot[slot];

	memset(l, 0, sizeof(*l));
	if (part->blocks == 0)
		return complain(why, "there is no such partition");
	if (!disk_read(disk, part, 0, SLOT_CONTENT, page, why))
		return false;
	memcpy(&l->header, page, sizeof(l->header));
	if (!slot_check(&l->header, part->blocks * disk->block_size, why))
		return false;
	if (read_content(disk, part, l, why) && place(l, info, why))
		return true;
	release(l);
	return false;
}

/* ---- the choice ---------------------------------------------------------- */

static const char *
state_word(const struct boot_state *state, unsigned slot)
{
	static const char *const words[] = { "empty", "good", "on trial, no tries left", "bad" };

	return words[state->slot[slot].state];
}

static void
record_boot(struct disk *disk, struct state *state, unsigned slot, struct bootinfo *info,
    uint8_t *page)
{
	info->slot = slot;
	info->trial = state->current.slot[slot].state == SLOT_TRIAL;
	if (boot_state_count(&state->current, slot))
		write_state(disk, state, page);
}

unsigned
load_slot(struct disk *disk, struct bootinfo *info, struct loaded *loaded)
{
	uint8_t *page = pages_allocate(4096, 4096);
	unsigned order[SLOT_COUNT], count;
	struct complaint why;
	struct state state;

	read_state(disk, &state, page);
	count = boot_state_order(&state.current, order);
	for (unsigned i = 0; i < count; i++) {
		if (try_slot(disk, order[i], info, loaded, page, &why)) {
			record_boot(disk, &state, order[i], info, page);
			pages_free(page, 4096);
			return order[i];
		}
		print("tessera: slot %c refused: %s\n", slot_name[order[i]], why.text);
	}
	stop("neither slot can be used (boot state: A %s, B %s)", state_word(&state.current, 0),
	    state_word(&state.current, 1));
}
