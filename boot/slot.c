/* SPDX-License-Identifier: MIT */
/* Boot slots and the boot state: what is valid, what to try, what to write. */
#include <stddef.h>
#include <string.h>

#include "blake2b.h"
#include "slots.h"

_Static_assert((int)BLAKE2B_HASH == (int)SLOT_HASH, "one hash");

uint64_t
slot_pages(uint64_t size)
{
	return (size + SLOT_PAGE - 1) & ~(uint64_t)(SLOT_PAGE - 1);
}

static void
hash(const void *data, size_t size, uint8_t out[SLOT_HASH])
{
	struct blake2b b;

	blake2b_begin(&b);
	blake2b_add(&b, data, size);
	blake2b_end(&b, out);
}

void
slot_seal(struct slot_header *header)
{
	hash(header, offsetof(struct slot_header, header_hash), header->header_hash);
}

static bool
terminated(const char *text, size_t size)
{
	return memchr(text, '\0', size) != NULL;
}

bool
slot_check(const struct slot_header *h, uint64_t partition_bytes, struct complaint *why)
{
	uint8_t expected[SLOT_HASH];

	if (h->magic != SLOT_MAGIC)
		return complain(why, "header: wrong magic number (the slot was never written whole)");
	hash(h, offsetof(struct slot_header, header_hash), expected);
	if (memcmp(expected, h->header_hash, SLOT_HASH) != 0)
		return complain(why, "header: wrong hash");
	if (h->version != SLOT_VERSION || h->header_size != sizeof(*h))
		return complain(why, "header: version %u, this loader knows %d", h->version,
		    SLOT_VERSION);
	if (h->total_size > partition_bytes)
		return complain(why, "header: length %llu is beyond the partition's end (%llu)",
		    U64(h->total_size), U64(partition_bytes));
	if (h->kernel_size == 0 || h->kernel_size > h->total_size ||
	    h->bundle_size == 0 || h->bundle_size > h->total_size)
		return complain(why, "header: no kernel or no bundle, or longer than the slot");
	if (h->kernel_offset != SLOT_CONTENT ||
	    h->bundle_offset != h->kernel_offset + slot_pages(h->kernel_size) ||
	    h->total_size != h->bundle_offset + slot_pages(h->bundle_size))
		return complain(why, "header: kernel and bundle do not follow each other");
	if (!terminated(h->cmdline, SLOT_CMDLINE) || !terminated(h->label, SLOT_LABEL))
		return complain(why, "header: command line or label has no end");
	return true;
}

bool
slot_check_content(const struct slot_header *h, const void *kernel, const void *bundle,
    struct complaint *why)
{
	struct blake2b b;
	uint8_t found[SLOT_HASH];

	blake2b_begin(&b);
	blake2b_add(&b, kernel, (size_t)slot_pages(h->kernel_size));
	blake2b_add(&b, bundle, (size_t)slot_pages(h->bundle_size));
	blake2b_end(&b, found);
	if (memcmp(found, h->content_hash, SLOT_HASH) != 0)
		return complain(why, "content: wrong hash (kernel or bundle is damaged)");
	return true;
}

void
boot_state_seal(struct boot_state *state)
{
	hash(state, offsetof(struct boot_state, hash), state->hash);
}

bool
boot_state_valid(const struct boot_state *record)
{
	uint8_t expected[SLOT_HASH];

	if (record->magic != BOOT_STATE_MAGIC || record->version != BOOT_STATE_VERSION ||
	    record->preferred >= SLOT_COUNT)
		return false;
	for (unsigned i = 0; i < SLOT_COUNT; i++)
		if (record->slot[i].state > SLOT_BAD)
			return false;
	hash(record, offsetof(struct boot_state, hash), expected);
	return memcmp(expected, record->hash, SLOT_HASH) == 0;
}

bool
boot_state_current(const struct boot_state record[BOOT_STATE_RECORDS], struct boot_state *state,
    unsigned *spare)
{
	bool first = boot_state_valid(&record[0]);
	bool second = boot_state_valid(&record[1]);

	if (!first && !second) {
		memset(state, 0, sizeof(*state));
		state->magic = BOOT_STATE_MAGIC;
		state->version = BOOT_STATE_VERSION;
		state->slot[0].state = state->slot[1].state = SLOT_GOOD;
		*spare = 0;
		return false;
	}
	*spare = !first || (second && record[1].sequence > record[0].sequence) ? 0 : 1;
	*state = record[1 - *spare];
	return true;
}

static bool
worth_trying(const struct boot_state *state, unsigned slot)
{
	return state->slot[slot].state == SLOT_GOOD ||
	    (state->slot[slot].state == SLOT_TRIAL && state->slot[slot].tries > 0);
}

unsigned
boot_state_order(const struct boot_state *state, unsigned order[SLOT_COUNT])
{
	unsigned count = 0;

	if (worth_trying(state, state->preferred))
		order[count++] = state->preferred;
	if (worth_trying(state, 1 - state->preferred))
		order[count++] = 1 - state->preferred;
	return count;
}

bool
boot_state_count(struct boot_state *state, unsigned slot)
{
	bool changed = false;

	/* Who is on trial without a try left did not report health. */
	for (unsigned i = 0; i < SLOT_COUNT; i++)
		if (state->slot[i].state == SLOT_TRIAL && state->slot[i].tries == 0) {
			state->slot[i].state = SLOT_BAD;
			changed = true;
		}
	if (state->slot[slot].state == SLOT_TRIAL) {
		state->slot[slot].tries--;
		changed = true;
	}
	if (changed) {
		state->sequence++;
		boot_state_seal(state);
	}
	return changed;
}
