/* SPDX-License-Identifier: MIT */
/*
 * The order of an upgrade.  Two rules carry it.  The running slot is never
 * written, and the boot state calls it good and preferred before the other one
 * is touched.  And a slot gets its header after its content is on the disk and
 * was read back, its trial after its header.  So wherever power fails, the
 * loader finds either the old system or a whole new one with the old one to
 * fall back to.
 */
#include <stdlib.h>
#include <string.h>
#include <tessera/bundle.h>

#include "blake2b.h"
#include "elf.h"
#include "upgrade.h"

enum { PIECE = 1 << 20 };		/* bytes moved at once */
enum { TRIES = 1 };			/* boots of a slot on trial */

_Static_assert((int)BOOT_STATE_STRIDE == (int)SLOT_PAGE, "a record is written as a page");

static void *
pages(size_t size, struct complaint *why)
{
	void *p = aligned_alloc(SLOT_PAGE, size);

	if (p == NULL)
		complain(why, "out of memory");
	else
		memset(p, 0, size);
	return p;
}

static unsigned
other(const struct slots *s)
{
	return 1 - s->running;
}

/* ---- the boot state ------------------------------------------------------ */

static bool
read_state(struct slots *s, struct boot_state *state, unsigned *spare, bool *valid, struct complaint *why)
{
	struct boot_state record[BOOT_STATE_RECORDS];
	uint8_t *page;
	bool good = true;

	if (s->state.bytes < (uint64_t)BOOT_STATE_RECORDS * BOOT_STATE_STRIDE)
		return complain(why, "the boot state partition has %llu bytes, too few", U64(s->state.bytes));
	page = pages(BOOT_STATE_STRIDE, why);
	if (page == NULL)
		return false;
	for (unsigned i = 0; i < BOOT_STATE_RECORDS && good; i++) {
		good = s->state.read(&s->state, (uint64_t)i * BOOT_STATE_STRIDE, page, BOOT_STATE_STRIDE, why);
		memcpy(&record[i], page, sizeof(record[i]));
	}
	free(page);
	if (good)
		*valid = boot_state_current(record, state, spare);
	return good;
}

/* Into the record that does not count, so that the other one stays until this one is whole. */
static bool
write_state(struct slots *s, struct boot_state *state, unsigned spare, struct complaint *why)
{
	uint64_t at = (uint64_t)spare * BOOT_STATE_STRIDE;
	uint8_t *page = pages(BOOT_STATE_STRIDE, why);
	bool good;

	if (page == NULL)
		return false;
	state->sequence++;
	boot_state_seal(state);
	memcpy(page, state, sizeof(*state));
	good = s->state.write(&s->state, at, page, BOOT_STATE_STRIDE, why) && s->state.flush(&s->state, why) &&
	    s->state.read(&s->state, at, page, BOOT_STATE_STRIDE, why);
	if (good && memcmp(page, state, sizeof(*state)) != 0)
		good = complain(why, "the boot state was written, but other bytes were read back");
	free(page);
	return good;
}

bool
slots_state(struct slots *s, struct boot_state *state, bool *valid, struct complaint *why)
{
	unsigned spare;

	return read_state(s, state, &spare, valid, why);
}

/* Change the state unless it is so already; a state without a valid record is always written. */
static bool
change_state(struct slots *s, unsigned preferred, uint32_t running_state, uint32_t other_state,
    struct complaint *why)
{
	uint32_t tries = other_state == SLOT_TRIAL ? TRIES : 0;
	struct boot_state state;
	unsigned spare;
	bool valid;

	if (!read_state(s, &state, &spare, &valid, why))
		return false;
	if (valid && state.preferred == preferred && state.slot[s->running].state == running_state &&
	    state.slot[other(s)].state == other_state && state.slot[other(s)].tries == tries)
		return true;
	state.preferred = preferred;
	state.slot[s->running].state = running_state;
	state.slot[s->running].tries = 0;
	state.slot[other(s)].state = other_state;
	state.slot[other(s)].tries = tries;
	return write_state(s, &state, spare, why);
}

/* ---- reading a slot ------------------------------------------------------ */

bool
slots_header(struct slots *s, unsigned slot, struct slot_header *header, struct complaint *why)
{
	struct area *a = &s->slot[slot];
	uint8_t *page = pages(SLOT_PAGE, why);
	bool good;

	if (page == NULL)
		return false;
	good = a->bytes < SLOT_PAGE ? complain(why, "the partition has %llu bytes, too few", U64(a->bytes)) :
	    a->read(a, 0, page, SLOT_PAGE, why);
	if (good) {
		memcpy(header, page, sizeof(*header));
		good = slot_check(header, a->bytes, why);
	}
	free(page);
	return good;
}

static bool
hash_area(struct area *a, uint64_t end, uint8_t hash[SLOT_HASH], struct complaint *why)
{
	uint8_t *piece = pages(PIECE, why);
	struct blake2b b;
	bool good = piece != NULL;

	blake2b_begin(&b);
	for (uint64_t at = SLOT_CONTENT; at < end && good; at += PIECE) {
		size_t size = end - at < PIECE ? (size_t)(end - at) : PIECE;

		good = a->read(a, at, piece, size, why);
		blake2b_add(&b, piece, size);
	}
	blake2b_end(&b, hash);
	free(piece);
	return good;
}

static bool
verify_content(struct area *a, const struct slot_header *header, struct complaint *why)
{
	uint8_t found[SLOT_HASH];

	if (!hash_area(a, header->total_size, found, why))
		return false;
	if (memcmp(found, header->content_hash, SLOT_HASH) != 0)
		return complain(why, "content: wrong hash (kernel or bundle is damaged)");
	return true;
}

bool
slots_verify(struct slots *s, unsigned slot, struct slot_header *header, struct complaint *why)
{
	return slots_header(s, slot, header, why) && verify_content(&s->slot[slot], header, why);
}

/* ---- what is to be written ----------------------------------------------- */

static bool
prefix(struct complaint *why, const char *what)
{
	struct complaint inner = *why;

	return complain(why, "%s: %s", what, inner.text);
}

/* Its relocations are checked while it is placed. */
static bool
kernel_can_be_placed(const struct content *c, struct complaint *why)
{
	struct elf_plan plan;
	void *memory;
	bool good;

	if (!elf_plan(c->kernel, c->kernel_size, ELF_POSITION_INDEPENDENT, &plan, why))
		return false;
	memory = malloc((size_t)(plan.high - plan.low));
	if (memory == NULL)
		return complain(why, "out of memory");
	good = elf_place(&plan, c->kernel, memory, 0, why);
	free(memory);
	return good;
}

bool
content_check(const struct content *c, struct complaint *why)
{
	const struct bundle_entry *init;
	struct elf_plan plan;
	const char *wrong;

	if (c->kernel_size == 0 || c->bundle_size == 0)
		return complain(why, "%s: is empty", c->kernel_size == 0 ? "kernel" : "bundle");
	if (!kernel_can_be_placed(c, why))
		return prefix(why, "kernel");
	wrong = bundle_check(c->bundle, c->bundle_size);
	if (wrong != NULL)
		return complain(why, "bundle: %s", wrong);
	init = bundle_find(c->bundle, "init");
	if (init == NULL)
		return complain(why, "bundle: has no member init");
	if (!elf_plan((const uint8_t *)c->bundle + init->offset, init->size, ELF_EXECUTABLE, &plan, why) ||
	    !elf_mappable(&plan, why))
		return prefix(why, "bundle: init");
	return true;
}

static bool
copy_text(char *to, size_t size, const char *from, const char *what, struct complaint *why)
{
	size_t length = strlen(from);

	if (length >= size)
		return complain(why, "the %s has %llu bytes, more than %llu", what, U64(length), U64(size - 1));
	memcpy(to, from, length);
	return true;
}

static void
hash_padded(struct blake2b *b, const void *data, uint64_t size)
{
	static const uint8_t zeros[SLOT_PAGE];

	blake2b_add(b, data, (size_t)size);
	blake2b_add(b, zeros, (size_t)(slot_pages(size) - size));
}

bool
content_header(const struct content *c, struct slot_header *h, struct complaint *why)
{
	struct blake2b b;

	memset(h, 0, sizeof(*h));
	h->magic = SLOT_MAGIC;
	h->version = SLOT_VERSION;
	h->header_size = sizeof(*h);
	h->kernel_offset = SLOT_CONTENT;
	h->kernel_size = c->kernel_size;
	h->bundle_offset = h->kernel_offset + slot_pages(c->kernel_size);
	h->bundle_size = c->bundle_size;
	h->total_size = h->bundle_offset + slot_pages(c->bundle_size);
	memcpy(h->root_part_guid, c->root_part_guid, sizeof(h->root_part_guid));
	if (!copy_text(h->cmdline, sizeof(h->cmdline), c->cmdline, "command line", why) ||
	    !copy_text(h->label, sizeof(h->label), c->label, "label", why))
		return false;
	blake2b_begin(&b);
	hash_padded(&b, c->kernel, c->kernel_size);
	hash_padded(&b, c->bundle, c->bundle_size);
	blake2b_end(&b, h->content_hash);
	slot_seal(h);
	return true;
}

/* ---- writing ------------------------------------------------------------- */

/* A copy through a buffer: what is to be written lies at any address and ends anywhere. */
static bool
write_padded(struct area *a, uint64_t offset, const uint8_t *data, uint64_t size, uint8_t *piece,
    struct complaint *why)
{
	for (uint64_t at = 0; at < size; at += PIECE) {
		size_t bytes = size - at < PIECE ? (size_t)(size - at) : PIECE;
		size_t padded = (size_t)slot_pages(bytes);

		memcpy(piece, data + at, bytes);
		memset(piece + bytes, 0, padded - bytes);
		if (!a->write(a, offset + at, piece, padded, why))
			return false;
	}
	return true;
}

/* header NULL: one that no loader takes. */
static bool
write_header(struct area *a, const struct slot_header *header, struct complaint *why)
{
	uint8_t *page = pages(SLOT_PAGE, why);
	bool good;

	if (page == NULL)
		return false;
	if (header != NULL)
		memcpy(page, header, sizeof(*header));
	good = a->write(a, 0, page, SLOT_PAGE, why) && a->flush(a, why);
	free(page);
	return good;
}

static bool
write_slot(struct area *a, const struct content *c, const struct slot_header *h, struct complaint *why)
{
	uint8_t *piece = pages(PIECE, why);
	bool good = piece != NULL && write_header(a, NULL, why) &&
	    write_padded(a, h->kernel_offset, c->kernel, c->kernel_size, piece, why) &&
	    write_padded(a, h->bundle_offset, c->bundle, c->bundle_size, piece, why) &&
	    a->flush(a, why) && verify_content(a, h, why) && write_header(a, h, why);

	free(piece);
	return good;
}

/* Whoever falls back needs the slot that runs. */
static bool
running_is_good(struct slots *s, struct complaint *why)
{
	struct boot_state state;
	bool valid;

	if (!slots_state(s, &state, &valid, why))
		return false;
	if (state.slot[s->running].state == SLOT_GOOD)
		return true;
	return complain(why, "%s, which runs, has not been found good yet, and the other one is what the "
	    "system falls back to", s->slot[s->running].name);
}

bool
slots_write(struct slots *s, const struct content *c, struct complaint *why)
{
	struct area *to = &s->slot[other(s)];
	struct slot_header header, found;

	if (!content_check(c, why) || !content_header(c, &header, why))
		return false;
	if (header.total_size > to->bytes)
		return complain(why, "kernel and bundle take %llu bytes, %s has %llu", U64(header.total_size),
		    to->name, U64(to->bytes));
	if (!running_is_good(s, why) || !change_state(s, s->running, SLOT_GOOD, SLOT_EMPTY, why) ||
	    !write_slot(to, c, &header, why))
		return false;
	if (!slots_header(s, other(s), &found, why))
		return prefix(why, "read back");
	if (memcmp(&found, &header, sizeof(found)) != 0)
		return complain(why, "the header was written, but other bytes were read back");
	return true;
}

bool
slots_activate(struct slots *s, struct complaint *why)
{
	struct slot_header header;

	if (!running_is_good(s, why))
		return false;
	if (!slots_verify(s, other(s), &header, why))
		return prefix(why, s->slot[other(s)].name);
	return change_state(s, other(s), SLOT_GOOD, SLOT_TRIAL, why);
}

bool
slots_confirm(struct slots *s, struct complaint *why)
{
	struct boot_state state;
	uint32_t other_state;
	bool valid;

	if (!slots_state(s, &state, &valid, why))
		return false;
	other_state = state.slot[other(s)].state;
	return change_state(s, s->running, SLOT_GOOD, other_state == SLOT_TRIAL ? SLOT_EMPTY : other_state, why);
}

/* ---- after a start ------------------------------------------------------- */

static bool
settle_anew(struct slots *s, struct complaint *why)
{
	struct slot_header header;
	struct complaint wrong;
	bool whole = slots_header(s, other(s), &header, &wrong);

	return change_state(s, s->running, SLOT_GOOD, whole ? SLOT_GOOD : SLOT_EMPTY, why);
}

/*
 * The other slot still has its try and is whole: it is asked for since this start, and
 * this is not the first time that we are asked (a Linux world came up anew).  The
 * loader would have used the try up, or have refused a slot that is not whole.
 */
static bool
waits_for_the_next_start(struct slots *s, const struct boot_state *state)
{
	struct slot_header header;
	struct complaint wrong;

	return state->slot[other(s)].state == SLOT_TRIAL && state->slot[other(s)].tries > 0 &&
	    slots_verify(s, other(s), &header, &wrong);
}

bool
slots_settle(struct slots *s, bool healthy, enum settled *settled, struct complaint *why)
{
	struct boot_state state;
	uint32_t running, waiting;
	bool valid;

	*settled = SETTLED_NOTHING;
	if (!slots_state(s, &state, &valid, why))
		return false;
	running = state.slot[s->running].state;
	waiting = state.slot[other(s)].state;
	if (!healthy) {
		if (valid && running == SLOT_TRIAL)
			*settled = SETTLED_UNHEALTHY;
		return true;
	}
	if (!valid) {
		*settled = SETTLED_ANEW;
		return settle_anew(s, why);
	}
	if (state.preferred == other(s)) {
		if (running == SLOT_GOOD && waits_for_the_next_start(s, &state))
			return true;
		*settled = SETTLED_FELL_BACK;
		return change_state(s, s->running, SLOT_GOOD, SLOT_BAD, why);
	}
	if (running == SLOT_GOOD)
		return true;
	*settled = SETTLED_GOOD;
	return change_state(s, s->running, SLOT_GOOD, waiting, why);
}
