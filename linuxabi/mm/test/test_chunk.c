/* SPDX-License-Identifier: MIT */
/* The pool of lent pages: chunks are lent whole, hand out rows, and go back when nothing is used. */

static unsigned chunks_lent;
static bool lending_fails;

long
arch_lend(ipa_t at, uint64_t bytes, uint32_t *handle)
{
	CHECK((at & (bytes - 1)) == 0 && bytes == 2 << 20);
	if (lending_fails)
		return -EIO;
	*handle = (uint32_t)(at >> 21);
	chunks_lent++;
	return 0;
}
void arch_unlend(uint32_t handle) { CHECK(handle != 0); chunks_lent--; }

static int
test_chunk(void)
{
	struct world_info w = { .ram_count = 1, .ram[0] = { HOST_IPA, HOST_RAM },
	    .image = { HOST_IPA, 0x51000 }, .info = { HOST_IPA + 0x7ff000, 0x1000 } };
	static struct page *got[4096];
	unsigned n = 0;
	uint64_t whole;

	host_init();
	page_init(&w);
	whole = pages_free_count();
	io_chunks_init(&w);
	lending_fails = true;
	CHECK(io_page_alloc(0) == NULL);
	CHECK(pages_free_count() == whole);
	lending_fails = false;
	for (; n < ARRAY_LEN(got); n++) {
		got[n] = io_page_alloc((n & 1) ? PG_ZERO : 0);
		if (got[n] == NULL)
			break;
		CHECK(io_page_lent(got[n]) && got[n]->state == 0 && got[n]->private_ == 0);
		if (n % IO_CHUNK_PAGES != 0)
			CHECK(got[n] == got[n - 1] + 1);
		CHECK(io_page_address(got[n], 3) == (3UL << 36) + page_to_ipa(got[n]) - HOST_IPA);
		got[n]->state = PS_DIRTY;
		got[n]->private_ = 7;
	}
	CHECK(n >= 2 * IO_CHUNK_PAGES && n % IO_CHUNK_PAGES == 0 && io_pages_used() == n);
	CHECK(chunks_lent == n / IO_CHUNK_PAGES && io_pages_pool() == n);
	CHECK(pages_free_count() == whole - n);
	CHECK(pages_free_count() >= pages_total() / 16);	/* the rest of the world goes on */
	CHECK(io_chunks_release(1) == 0);
	page_put(got[5]);
	CHECK(io_page_alloc(0) == got[5]);
	for (unsigned i = 0; i < IO_CHUNK_PAGES; i++)
		page_put(got[i]);
	CHECK(io_chunks_release(~0UL) == IO_CHUNK_PAGES);
	for (unsigned i = IO_CHUNK_PAGES; i < n; i += 32)
		pages_free_batch(&got[i], 32);
	CHECK(io_pages_used() == 0);
	CHECK(io_chunks_release(~0UL) == n - IO_CHUNK_PAGES);
	CHECK(chunks_lent == 0 && io_pages_pool() == 0 && pages_free_count() == whole);
	printf("test_chunk: ok, %u pages lent\n", n);
	return 0;
}
