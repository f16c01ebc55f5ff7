/* SPDX-License-Identifier: MIT */
/* What block_host.h promises. */
#include "arch.h"
#include "block_host.h"

enum { WINDOW = 3 };

unsigned host_rings;

static struct world_info world;
static struct page *taken;		/* chained by private2 */

void hyp_signal(uint32_t slot) { CHECK(slot - WORLD_SLOT_CHANNEL_BELL < world.channel_count); host_rings++; }

struct task *
kthread_create(const char *name, void (*fn)(void *), void *arg)
{
	(void)name, (void)fn, (void)arg;	/* host_settle is the threads */
	return current;
}

char *
kstrdup(const char *s)
{
	char *c = kmalloc(strlen(s) + 1);

	memcpy(c, s, strlen(s) + 1);
	return c;
}

static void bell(unsigned n) { io_interrupt((uint64_t)WORLD_BIT_CHANNEL << n); }

/* The task sleeps: a server works, a thread writes back.  One that does nothing for ever hangs the
 * test, which has a limit. */
static void
others_run(void)
{
	for (unsigned n = 0; n < world.channel_count; n++) {
		if (mocks[n].dead && !mocks[n].die_for_good && rnd() % 4 == 0)
			mock_restart(n);
		if (rnd() % 4 == 0)
			continue;
		for (unsigned k = rnd() % 4 + 1; k > 0 && mock_serve(n); k--)
			;
		bell(n);
		/* when it may: the sleeper holds locks that the thread takes */
		if (blk_disks[n].medium != NULL && READ_ONCE(blk_disks[n].medium->flush_now) &&
		    blk_disks[n].medium->writeback.owner == NULL && blk_disks[n].mutex.owner == NULL)
			(void)blk_step(&blk_disks[n]);
	}
}

void
host_settle(void)
{
	for (unsigned round = 0; round < 20; round++)
		for (unsigned n = 0; n < world.channel_count; n++) {
			while (mock_serve(n))
				;
			bell(n);
			(void)blk_step(&blk_disks[n]);
		}
}

/* The host's RAM is not where a world's is: an address may not fit below the window, but adds up. */
uint64_t host_memory_at(uint64_t address) { return address - IO_WINDOW(WINDOW) + WORLD_RAM_BASE; }

void
host_take_pages(unsigned keep)
{
	struct page *p;

	while (keep != 0 && (p = io_page_alloc(0)) != NULL) {
		p->private2 = (uint64_t)taken;
		taken = p;
	}
	if (keep == 0)
		keep = ~0u;
	while (keep > 0 && taken != NULL) {
		p = taken;
		taken = (struct page *)p->private2;
		page_put(p);
		keep--;
	}
}

static void
channel_make(unsigned n)
{
	struct block_channel *c = aligned_alloc(4096, BLOCK_CHANNEL_BYTES);

	memset(c, 0, BLOCK_CHANNEL_BYTES);
	c->magic = BLOCK_MAGIC;
	c->version = BLOCK_VERSION;
	mocks[n].shared = c;
	mocks[n].dead = mocks[n].die_for_good = true;
	world.channel[n] = (struct world_channel){ .address = virt_to_ipa(c), .size = BLOCK_CHANNEL_BYTES,
		.type = CHANNEL_BLOCK, .window = WINDOW };
}

void
host_block_init(unsigned disks, unsigned io_pages)
{
	host_chunk_pages = io_pages;
	host_wait_hook = others_run;
	host_fs_init();
	for (unsigned n = 0; n < disks; n++)
		channel_make(n);
	world.channel_count = disks;
	world.ram_count = 1;
	world.ram[0].base = page_base << PAGE_SHIFT;
	world.ram[0].size = (uint64_t)io_pages << PAGE_SHIFT;
	io_init(&world);
	block_init();
}

void
arch_report_health(void)
{
}
