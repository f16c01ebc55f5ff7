/* SPDX-License-Identifier: MIT */
/*
 * Reports in the log: never more than so many a second, and none is forgotten.
 */
#include <check.h>
#include "../limit.h"

enum { MOST = 3 };
static const uint64_t MS = 1000000, BOOT = 12345678901;

static void
reports_of_a_second_are_bounded(void)
{
	struct report_limit l = { 0 };

	for (unsigned i = 0; i < 10; i++)
		CHECK(limit_take(&l, BOOT + i * 10 * MS, MOST) == (i < MOST));
	CHECK(limit_take(&l, BOOT + 1000 * MS, MOST));
}

static void
each_report_is_said_or_counted(void)
{
	struct report_limit l = { 0 };
	uint64_t now = BOOT, said = 0, counted = 0, seconds = 0, last = 0;

	for (unsigned i = 0; i < 10000; i++, now += (i * 7 % 50 + i / 5000 * 600) * MS) {
		said += limit_take(&l, now, MOST);
		counted += limit_left_out(&l, now);
		if (now / (1000 * MS) != last)
			seconds++;
		last = now / (1000 * MS);
	}
	counted += limit_left_out(&l, UINT64_MAX - 1);
	CHECK(said + counted == 10000);
	CHECK(said <= MOST * (seconds + 1) && said > seconds / 2 && counted > 1000);
}

static void
what_was_left_out_is_told_once_and_in_time(void)
{
	struct report_limit l = { 0 };

	CHECK(limit_due_ns(&l) == UINT64_MAX && limit_left_out(&l, BOOT) == 0);
	for (unsigned i = 0; i < MOST + 5; i++)
		limit_take(&l, BOOT, MOST);
	CHECK(limit_due_ns(&l) == BOOT + 1000 * MS);
	CHECK(limit_left_out(&l, BOOT + 999 * MS) == 0);
	CHECK(limit_left_out(&l, BOOT + 1000 * MS) == 5);
	CHECK(limit_left_out(&l, BOOT + 1000 * MS) == 0 && limit_due_ns(&l) == UINT64_MAX);
}

int
main(void)
{
	RUN(reports_of_a_second_are_bounded);
	RUN(each_report_is_said_or_counted);
	RUN(what_was_left_out_is_told_once_and_in_time);
	CHECK_END();
}
