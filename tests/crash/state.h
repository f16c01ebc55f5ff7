/* SPDX-License-Identifier: MIT */
/*
 * What a disk may hold when the power fails.  A point of a record is a number of
 * events that have happened.  Writes that are stable by then are there; each of the
 * others, the loose ones, is there, or not, or in part, sector by sector.
 *
 * A state is a point and a choice for each loose write, in the order of their
 * submission.  As text: POINT:CHOICES:SEED, where CHOICES are letters with an
 * optional count, "1x12.0.f" for instance:
 *	0 not there	1 there		f only its first half
 *	l only its last half		r each sector as SEED says
 * A discard that is there reads as zeroes, or as rubbish (f, l, r).
 */
#ifndef CRASH_STATE_H
#define CRASH_STATE_H

#include "image.h"
#include "record.h"

enum { STATE_LOOSE = 4096 };	/* loose writes of one state, at most */

struct state {
	uint32_t point;
	uint32_t count;		/* of choices; loose writes beyond are not there */
	char choice[STATE_LOOSE];
	uint64_t seed;
};

/* Where one stands in a record. */
struct replay {
	const struct record *record;
	const uint64_t *start_hash;	/* of the pages of the disk before the record */
	uint64_t start_total;
	struct image base;		/* the disk with everything that no crash can undo */
	uint64_t *base_hash, base_total;
	struct image *follower[2];	/* images whose clean copy base is */
	uint32_t point;
	uint32_t *pending, pendings, pending_room;	/* submitted and not in base */
	uint32_t *loose, looses, loose_room;		/* those of them that are not stable */
	uint32_t sector_bytes;
	uint64_t truncated;		/* points with more loose writes than STATE_LOOSE */
};

/* A disk that starts as `start` (and is never changed), with the hashes of its pages. */
void replay_open(struct replay *replay, const uint8_t *start, size_t size, const uint64_t *start_hash,
    uint64_t start_total, uint32_t sector_bytes);
void replay_close(struct replay *replay);
/* Stand at the beginning of a record. */
void replay_begin(struct replay *replay, const struct record *record);
/* Go on to a later point. */
void replay_advance(struct replay *replay, uint32_t point);
/* Make of an image that equals base the one of a state. */
void replay_apply(const struct replay *replay, const struct state *state, struct image *image);

void state_print(const struct state *state, char *to, size_t room);
bool state_parse(struct state *state, const char *text);

/*
 * The states to look at here.  `rich`: none, all, each one missing, each one alone,
 * prefixes, torn ones, and `random` random ones; otherwise what the newest write
 * adds.  `each` returns false to stop.
 */
bool replay_states(const struct replay *replay, bool rich, unsigned random, uint64_t seed,
    bool (*each)(void *context, const struct state *state), void *context);

#endif
