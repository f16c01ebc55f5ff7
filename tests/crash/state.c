/* SPDX-License-Identifier: MIT */
/* Crash states: what is certain, what is loose, and which choices are tried. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "state.h"

enum { SINGLES = 48 };	/* of these many loose writes, each is left out and left alone */

/*
 * The superblock of ext4 (1024 bytes at 1024) is taken for one unit: the checksum in
 * its second half covers the first, and it is read before any journal, so that no
 * ext4 survives a half of it; Linux relies on disks that write it whole, too.
 */
enum { SUPER = 1024 };

void
replay_open(struct replay *replay, const uint8_t *start, size_t size, const uint64_t *start_hash,
    uint64_t start_total, uint32_t sector_bytes)
{
	size_t bytes = size / IMAGE_PAGE * sizeof *replay->base_hash;

	memset(replay, 0, sizeof *replay);
	image_open(&replay->base, start, size);
	replay->start_hash = start_hash;
	replay->start_total = replay->base_total = start_total;
	replay->base_hash = need(bytes);
	memcpy(replay->base_hash, start_hash, bytes);
	replay->sector_bytes = sector_bytes;
}

void
replay_close(struct replay *replay)
{
	image_close(&replay->base);
	free(replay->base_hash);
	free(replay->pending);
	free(replay->loose);
	memset(replay, 0, sizeof *replay);
}

static void
touch_followers(struct replay *replay, uint64_t offset, uint64_t bytes)
{
	for (int i = 0; i < 2; i++) {
		if (replay->follower[i] != NULL)
			image_touch(replay->follower[i], offset, bytes);
	}
}

void
replay_begin(struct replay *replay, const struct record *record)
{
	for (uint32_t i = 0; i < replay->base.touched_count; i++) {
		uint32_t page = replay->base.touched[i];

		replay->base_hash[page] = replay->start_hash[page];
		touch_followers(replay, (uint64_t)page * IMAGE_PAGE, IMAGE_PAGE);
	}
	image_restore(&replay->base);
	replay->base_total = replay->start_total;
	replay->record = record;
	replay->point = 0;
	replay->pendings = replay->looses = 0;
}

/* ---- applying writes ------------------------------------------------------------ */

static bool
sector_there(const struct state *state, char choice, uint32_t write, uint64_t sector, uint64_t sectors)
{
	switch (choice) {
	case '1': return true;
	case 'f': return sector < (sectors + 1) / 2;
	case 'l': return sector >= sectors / 2;
	case 'r': return (mix(mix(state->seed, write), sector) & 1) != 0;
	}
	return false;
}

static void
put_sector(const struct written *write, struct image *image, uint64_t at, uint64_t bytes, char choice)
{
	uint8_t *to = image->bytes + write->offset + at;

	if (write->data != NULL)
		memcpy(to, write->data + at, bytes);
	else
		memset(to, choice == '1' ? 0 : 0xa5, bytes);
}

static void
put_write(const struct replay *replay, const struct state *state, uint32_t index, char choice,
    struct image *image)
{
	const struct written *write = &replay->record->write[index];
	uint64_t sector = replay->sector_bytes, sectors = write->bytes / sector;

	if (choice == '0')
		return;
	image_touch(image, write->offset, write->bytes);
	if (choice == '1') {
		put_sector(write, image, 0, write->bytes, choice);
		return;
	}
	for (uint64_t i = 0; i < sectors; i++) {
		uint64_t unit = i;

		if (sector == SUPER / 2 && i != 0 && write->offset + i * sector == SUPER + SUPER / 2)
			unit--;
		if (write->offset == SUPER && write->bytes == SUPER)
			unit = sectors;		/* half of it is nothing, then */
		if (sector_there(state, choice, index, unit, sectors))
			put_sector(write, image, i * sector, sector, choice);
	}
}

/* Stable, and nothing older is loose: part of the base from now on. */
static void
put_in_base(struct replay *replay, uint32_t index)
{
	const struct written *write = &replay->record->write[index];
	uint64_t first = write->offset / IMAGE_PAGE, last = (write->offset + write->bytes - 1) / IMAGE_PAGE;

	image_touch(&replay->base, write->offset, write->bytes);
	put_sector(write, &replay->base, 0, write->bytes, '1');
	touch_followers(replay, write->offset, write->bytes);
	for (uint64_t page = first; page <= last; page++) {
		uint64_t hash = page_hash(page, replay->base.bytes + page * IMAGE_PAGE);

		replay->base_total ^= replay->base_hash[page] ^ hash;
		replay->base_hash[page] = hash;
	}
}

static bool
is_stable(const struct replay *replay, uint32_t index)
{
	return replay->record->write[index].stable < replay->point;
}

static void
add(uint32_t **list, uint32_t *count, uint32_t *room, uint32_t value)
{
	if (*count == *room)
		*list = need_more(*list, (*room = *room != 0 ? 2 * *room : 64) * sizeof **list);
	(*list)[(*count)++] = value;
}

void
replay_advance(struct replay *replay, uint32_t point)
{
	uint32_t retired = 0;

	for (; replay->point < point; replay->point++) {
		const struct event *event = &replay->record->event[replay->point];

		if (event->kind == EVENT_SUBMIT)
			add(&replay->pending, &replay->pendings, &replay->pending_room, event->index);
	}
	while (retired < replay->pendings && is_stable(replay, replay->pending[retired]))
		put_in_base(replay, replay->pending[retired++]);
	memmove(replay->pending, replay->pending + retired,
	    (replay->pendings - retired) * sizeof *replay->pending);
	replay->pendings -= retired;
	replay->looses = 0;
	for (uint32_t i = 0; i < replay->pendings; i++) {
		if (!is_stable(replay, replay->pending[i]))
			add(&replay->loose, &replay->looses, &replay->loose_room, replay->pending[i]);
	}
	if (replay->looses > STATE_LOOSE)
		replay->truncated++;
}

void
replay_apply(const struct replay *replay, const struct state *state, struct image *image)
{
	uint32_t loose = 0;

	for (uint32_t i = 0; i < replay->pendings; i++) {
		char choice = '1';

		if (!is_stable(replay, replay->pending[i])) {
			choice = loose < state->count ? state->choice[loose] : '0';
			loose++;
		}
		put_write(replay, state, replay->pending[i], choice, image);
	}
}

/* ---- as text ---------------------------------------------------------------------- */

void
state_print(const struct state *state, char *to, size_t room)
{
	size_t used = (size_t)snprintf(to, room, "%u:", state->point);

	for (uint32_t i = 0; i < state->count && used < room;) {
		uint32_t same = 1;

		while (i + same < state->count && state->choice[i + same] == state->choice[i])
			same++;
		used += (size_t)snprintf(to + used, room - used, same > 1 ? "%s%cx%u" : "%s%c", i != 0 ? "." : "",
		    state->choice[i], same);
		i += same;
	}
	if (used < room)
		snprintf(to + used, room - used, ":%llu", (unsigned long long)state->seed);
}

bool
state_parse(struct state *state, const char *text)
{
	char *end;

	memset(state, 0, sizeof *state);
	state->point = (uint32_t)strtoul(text, &end, 10);
	if (*end++ != ':')
		return false;
	while (*end != ':') {
		char choice = *end;
		unsigned long count = 1;

		if (choice == '\0' || strchr("01flr", choice) == NULL)
			return false;
		if (*++end == 'x')
			count = strtoul(end + 1, &end, 10);
		if (*end == '.')
			end++;
		else if (*end != ':')
			return false;
		if (count > STATE_LOOSE - state->count)
			return false;
		memset(state->choice + state->count, choice, count);
		state->count += (uint32_t)count;
	}
	state->seed = strtoull(end + 1, &end, 10);
	return *end == '\0';
}

/* ---- which are tried --------------------------------------------------------------- */

struct tries {
	struct state state;
	bool (*each)(void *context, const struct state *state);
	void *context;
};

static void
fill(struct tries *tries, char choice)
{
	memset(tries->state.choice, choice, tries->state.count);
}

static bool
try(struct tries *tries)
{
	return tries->each(tries->context, &tries->state);
}

/* All as `others`, and write i as `choice`. */
static bool
try_one(struct tries *tries, uint32_t i, char others, char choice)
{
	fill(tries, others);
	tries->state.choice[i] = choice;
	return try(tries);
}

static bool
try_newest(struct tries *tries)
{
	uint32_t last = tries->state.count - 1;

	fill(tries, '1');
	return try(tries) && try_one(tries, last, '1', 'f') && try_one(tries, last, '1', 'l') &&
	    try_one(tries, last, '0', '1');
}

static bool
try_singles(struct tries *tries)
{
	uint32_t count = tries->state.count;
	uint32_t steps = count < SINGLES ? count : SINGLES;

	for (uint32_t step = 0; step < steps; step++) {
		uint32_t i = (uint32_t)((uint64_t)step * count / steps);

		if (!try_one(tries, i, '1', '0') || !try_one(tries, i, '0', '1') ||
		    !try_one(tries, i, '1', 'f') || !try_one(tries, i, '1', 'l'))
			return false;
	}
	return true;
}

static bool
try_random(struct tries *tries, unsigned random, uint64_t seed)
{
	static const char letters[] = "01r01r1f";

	for (unsigned n = 0; n < random; n++) {
		/* Every third leaves little out, every third leaves little in. */
		tries->state.seed = mix(seed, n) % 1000000;
		for (uint32_t i = 0; i < tries->state.count; i++) {
			uint64_t value = mix(tries->state.seed, i);
			char rare = letters[value & 7];

			tries->state.choice[i] = n % 3 == 0 ? rare : (value >> 8) % 8 == 0 ? rare :
			    n % 3 == 1 ? '1' : '0';
		}
		if (!try(tries))
			return false;
	}
	tries->state.seed = 0;
	return true;
}

bool
replay_states(const struct replay *replay, bool rich, unsigned random, uint64_t seed,
    bool (*each)(void *context, const struct state *state), void *context)
{
	struct tries tries;

	tries.each = each;
	tries.context = context;
	tries.state.point = replay->point;
	tries.state.seed = 0;
	tries.state.count = replay->looses < STATE_LOOSE ? replay->looses : STATE_LOOSE;
	fill(&tries, '0');
	if (tries.state.count == 0)
		return try(&tries);
	if (!rich)
		return try_newest(&tries);
	fill(&tries, '0');
	if (!try(&tries))
		return false;
	fill(&tries, '1');
	return try(&tries) && try_singles(&tries) && try_random(&tries, random, seed);
}
