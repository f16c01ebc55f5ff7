/* SPDX-License-Identifier: MIT */
/* The page allocator: blocks never overlap, everything comes back, buddies merge again. */

enum { SLOTS = 600, ROUNDS_PAGE = 200000 };

static struct { struct page *p; unsigned order; uint64_t tag; } slot[SLOTS];

static void
block_mark(unsigned i)
{
	uint64_t *w = page_virt(slot[i].p);

	slot[i].tag = rnd();
	for (unsigned k = 0; k < 1u << slot[i].order; k++)
		w[k * (PAGE_SIZE / 8)] = slot[i].tag + k;
}

static void
block_verify(unsigned i)
{
	uint64_t *w = page_virt(slot[i].p);

	for (unsigned k = 0; k < 1u << slot[i].order; k++)
		CHECK(w[k * (PAGE_SIZE / 8)] == slot[i].tag + k);
}

static void
block_release(unsigned i)
{
	block_verify(i);
	if (rnd() & 1)
		page_put(slot[i].p);
	else
		pages_free(slot[i].p, slot[i].order);
	slot[i].p = NULL;
}

static int
test_page(void)
{
	struct world_info w = { .ram_count = 1, .ram[0] = { HOST_IPA, HOST_RAM },
	    .image = { HOST_IPA, 0x51000 }, .info = { HOST_IPA + 0x7ff000, 0x1000 } };
	uint64_t whole;

	host_init();
	page_init(&w);
	whole = pages_free_count();
	CHECK(whole == pages_total());
	CHECK(whole >= (HOST_RAM >> PAGE_SHIFT) - 0x51 - 1 - 64 - 1);
	for (unsigned n = 0; n < ROUNDS_PAGE; n++) {
		unsigned i = (unsigned)(rnd() % SLOTS);

		if (slot[i].p != NULL) {
			block_release(i);
			continue;
		}
		slot[i].order = rnd() % 4 ? 0 : (unsigned)(rnd() % 8);
		slot[i].p = slot[i].order ? pages_alloc(slot[i].order, 0) : page_alloc((rnd() & 1) ? PG_ZERO : 0);
		if (slot[i].p == NULL)
			continue;
		CHECK((page_to_ipa(slot[i].p) & ((PAGE_SIZE << slot[i].order) - 1)) == 0);
		CHECK(page_to_ipa(slot[i].p) >= HOST_IPA + 0x51000);
		block_mark(i);
	}
	for (unsigned i = 0; i < SLOTS; i++)
		if (slot[i].p != NULL)
			block_release(i);
	CHECK(pages_free_count() == whole);
	stack_drain(&cpu_pages[0], ~0u);
	CHECK(zone.free_pages == whole);
	for (unsigned o = 8; o < ORDERS; o++)
		CHECK(!list_empty(&zone.free[o]));
	printf("test_page: ok, %lu pages\n", (unsigned long)whole);
	return 0;
}
