/* SPDX-License-Identifier: MIT */
/*
 * Pages of the heap region: no page is given out twice, all come back zeroed.
 */
#include <stdlib.h>
#include <check.h>
#include "../pages.h"

enum { REGION = 300 * 4096 + 123 };
static struct pages pages;
static uint8_t *region;

static void
fresh(void)
{
	free(region);
	region = calloc(1, REGION);
	CHECK(pages_init(&pages, region, REGION));
}

static void
all_pages_can_be_had_once(void)
{
	size_t n = 0;
	uint8_t *p;

	fresh();
	while ((p = pages_map(&pages, 1)) != NULL) {
		CHECK((uintptr_t)p % 4096 == 0 && p >= region && p + 4096 <= region + REGION);
		memset(p, 0xff, 4096);
		n++;
	}
	CHECK(n == pages.count && n >= 298);
}

static void
a_region_without_a_page_is_refused(void)
{
	for (size_t n = 0; n < 4097; n += 13)
		CHECK(!pages_init(&pages, region, n));
}

static void
pages_come_back_zeroed_and_merged(void)
{
	uint8_t *a, *b, *c;

	fresh();
	a = pages_map(&pages, 3);
	b = pages_map(&pages, 2);
	memset(a, 1, 3 * 4096);
	memset(b, 1, 2 * 4096);
	CHECK(pages_unmap(&pages, a, 3) && pages_unmap(&pages, b, 2));
	c = pages_map(&pages, 5);
	CHECK(c == a);
	for (size_t i = 0; i < 5 * 4096; i++)
		CHECK(c[i] == 0);
}

static void
what_is_not_mapped_cannot_be_given_back(void)
{
	uint8_t *a;

	fresh();
	a = pages_map(&pages, 2);
	CHECK(!pages_unmap(&pages, a, 3));
	CHECK(!pages_unmap(&pages, a + 1, 1));
	CHECK(!pages_unmap(&pages, a - 4096, 1));
	CHECK(!pages_unmap(&pages, a, 0));
	CHECK(!pages_unmap(&pages, a, SIZE_MAX));
	CHECK(pages_unmap(&pages, a + 4096, 1) && !pages_unmap(&pages, a + 4096, 1));
	CHECK(pages_map(&pages, SIZE_MAX) == NULL && pages_map(&pages, 0) == NULL);
}

static void
random_use_never_overlaps(void)
{
	struct { uint8_t *at; size_t count; uint8_t mark; } held[40] = { 0 };

	fresh();
	srand(3);
	for (unsigned round = 0; round < 20000; round++) {
		unsigned i = (unsigned)rand() % 40;

		if (held[i].at == NULL) {
			held[i].count = 1 + (size_t)rand() % 16;
			held[i].mark = (uint8_t)(1 + rand() % 255);
			held[i].at = pages_map(&pages, held[i].count);
			if (held[i].at != NULL) {
				CHECK(held[i].at[0] == 0 && held[i].at[held[i].count * 4096 - 1] == 0);
				memset(held[i].at, held[i].mark, held[i].count * 4096);
			}
		} else {
			CHECK(held[i].at[0] == held[i].mark);
			CHECK(held[i].at[held[i].count * 4096 - 1] == held[i].mark);
			CHECK(pages_unmap(&pages, held[i].at, held[i].count));
			held[i].at = NULL;
		}
	}
}

int
main(void)
{
	RUN(all_pages_can_be_had_once);
	RUN(a_region_without_a_page_is_refused);
	RUN(pages_come_back_zeroed_and_merged);
	RUN(what_is_not_mapped_cannot_be_given_back);
	RUN(random_use_never_overlaps);
	free(region);
	CHECK_END();
}
