/* SPDX-License-Identifier: MIT */
/*
 * Restart policy: who comes back, how soon, and when it is enough.
 */
#include <check.h>
#include "../restart.h"

static const uint64_t MS = 1000000;

static struct conf_component
policy(enum conf_restart restart, uint32_t limit)
{
	return (struct conf_component){
		.restart = restart, .delay_ns = 10 * MS, .limit = limit, .limit_ns = 1000 * MS,
	};
}

static void
policies_choose_which_endings_are_repaired(void)
{
	static const struct { enum conf_restart r; enum ending e; enum restart_verdict v; } t[] = {
		{ RESTART_NEVER, ENDED_FAILED, RESTART_NOT },
		{ RESTART_NEVER, ENDED_KILLED, RESTART_NOT },
		{ RESTART_ON_FAILURE, ENDED_DONE, RESTART_NOT },
		{ RESTART_ON_FAILURE, ENDED_FAILED, RESTART_LATER },
		{ RESTART_ON_FAILURE, ENDED_KILLED, RESTART_LATER },
		{ RESTART_ALWAYS, ENDED_DONE, RESTART_LATER },
	};

	for (unsigned i = 0; i < sizeof t / sizeof *t; i++) {
		struct conf_component p = policy(t[i].r, 0);
		struct restart_history h = { 0 };
		uint64_t at;

		CHECK(restart_decide(&p, &h, t[i].e, 5, &at) == t[i].v);
	}
}

static void
delays_double_and_stay_bounded(void)
{
	struct conf_component p = policy(RESTART_ALWAYS, 0);
	struct restart_history h = { 0 };
	uint64_t at, expect = 10 * MS;

	for (unsigned i = 0; i < 12; i++) {
		CHECK(restart_decide(&p, &h, ENDED_FAILED, 7, &at) == RESTART_LATER);
		CHECK(at == 7 + expect);
		if (i < 6)
			expect *= 2;
	}
}

static void
a_limit_gives_up_and_time_forgives(void)
{
	struct conf_component p = policy(RESTART_ALWAYS, 3);
	struct restart_history h = { 0 };
	uint64_t at;

	for (unsigned i = 0; i < 3; i++)
		CHECK(restart_decide(&p, &h, ENDED_FAILED, i * MS, &at) == RESTART_LATER);
	CHECK(restart_decide(&p, &h, ENDED_FAILED, 4 * MS, &at) == RESTART_GIVE_UP);
	h = (struct restart_history){ 0 };
	for (unsigned i = 0; i < 30; i++)
		CHECK(restart_decide(&p, &h, ENDED_FAILED, i * 600 * MS, &at) == RESTART_LATER);
}

static void
being_killed_by_authority_does_not_count(void)
{
	struct conf_component p = policy(RESTART_ALWAYS, 3);
	struct restart_history h = { 0 };
	uint64_t at;

	for (unsigned i = 0; i < 100; i++) {
		CHECK(restart_decide(&p, &h, ENDED_KILLED, i, &at) == RESTART_LATER);
		CHECK(at == i);
	}
	CHECK(h.failures == 0);
}

/*
 * Somebody kills whenever he can.  A server that needs `need` to answer a request, counted from its
 * birth anew each time, answers it nevertheless, and soon.
 */
static uint64_t
answered_after(uint64_t pause, uint64_t need)
{
	struct restart_history h = { 0 };
	uint64_t now = 0, kills = 0;

	restart_born(&h, now, 0);
	for (; kills < 1000; kills++) {
		uint64_t at = restart_kill_at(&h);

		now = at > now ? at : now;
		if (kills > 0 && now - h.born_ns >= need)
			return now;
		restart_killed(&h, now);
		now += pause;
		restart_born(&h, now, pause);
	}
	return UINT64_MAX;
}

static void
kills_in_a_row_starve_nobody(void)
{
	for (uint64_t pause = 1; pause <= 1000; pause *= 10) {
		CHECK(answered_after(pause * MS, pause * MS / 2) <= (RESTART_KILLS_AT_ONCE + 2) * pause * MS);
		CHECK(answered_after(pause * MS, 60 * pause * MS) <= 200 * pause * MS ||
		    60 * pause * MS > RESTART_SPACE_MOST_NS);
		CHECK(answered_after(pause * MS, 3000 * MS) <= 12000 * MS + 15 * pause * MS);
	}
}

/* What a row begins with may hit any moment, and so may each kill of one who has lived for a while. */
static void
kills_are_not_spaced_without_a_row(void)
{
	struct restart_history h = { 0 };
	uint64_t now = 0;

	restart_born(&h, now, 0);
	for (unsigned i = 0; i < RESTART_KILLS_AT_ONCE; i++) {
		CHECK(restart_kill_at(&h) <= now);
		restart_killed(&h, now);
		now += 5 * MS;
		restart_born(&h, now, 5 * MS);
	}
	CHECK(restart_kill_at(&h) == now + 5 * MS);
	now += 5 * MS;
	for (unsigned i = 0; i <= RESTART_KILLS_AT_ONCE; i++) {
		restart_killed(&h, now);
		restart_born(&h, now, 5 * MS);
		CHECK(restart_kill_at(&h) == (i < RESTART_KILLS_AT_ONCE ? now : now + 10 * MS));
	}
	now += RESTART_SETTLED_NS;
	restart_killed(&h, now);
	restart_born(&h, now, 5 * MS);
	CHECK(h.row == 1 && h.spaced == 0 && restart_kill_at(&h) == now);
}

static void
the_space_between_kills_is_bounded(void)
{
	struct restart_history h = { 0 };
	uint64_t most = 0;

	restart_born(&h, 0, 0);
	for (unsigned i = 0; i < 300; i++) {
		restart_killed(&h, 0);
		restart_born(&h, 0, 100 * MS);
		most = restart_kill_at(&h) > most ? restart_kill_at(&h) : most;
	}
	CHECK(most == RESTART_SPACE_MOST_NS);
}

/*
 * In an emulator whose CPUs take turns, a timer's end passes the turn on, so that a whole round
 * of 300 ms went by with one pause's worth of work.  However slow the machine, looks must become few.
 */
static void
looks_at_one_that_stops_become_few(void)
{
	uint64_t waited = 0;
	unsigned looks = 0;

	CHECK(stopping_pause_ns(0) == STOPPING_LOOK_NS);
	for (; waited < 3000 * MS; looks++) {
		uint64_t pause = stopping_pause_ns(waited);

		CHECK(pause >= STOPPING_LOOK_NS && (pause == STOPPING_LOOK_NS || pause <= waited / STOPPING_SHARE));
		waited += pause;
	}
	CHECK(looks >= 10 && looks <= 50);
}

int
main(void)
{
	RUN(policies_choose_which_endings_are_repaired);
	RUN(delays_double_and_stay_bounded);
	RUN(a_limit_gives_up_and_time_forgives);
	RUN(being_killed_by_authority_does_not_count);
	RUN(kills_in_a_row_starve_nobody);
	RUN(kills_are_not_spaced_without_a_row);
	RUN(the_space_between_kills_is_bounded);
	RUN(looks_at_one_that_stops_become_few);
	CHECK_END();
}
