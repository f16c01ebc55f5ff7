/* SPDX-License-Identifier: MIT */
/*
 * A disk in memory behind proto/block.h, written from the contract: it checks what
 * a client may send, answers in any order, loses what was not flushed at a power cut, and dies
 * when it is told to, with requests done and not answered.
 */
#include "block_host.h"

struct mock mocks[MOCK_DISKS];

static uint8_t *
memory_at(uint64_t address, uint32_t bytes)
{
	uint64_t ipa = host_memory_at(address);

	CHECK((ipa & 511) == 0 && bytes != 0 && bytes % 512 == 0);
	for (uint64_t at = PAGE_DOWN(ipa); at < ipa + bytes; at += PAGE_SIZE) {
		struct page *p = ipa_to_page(at);

		CHECK(p >= page_array && p < page_array + host_chunk_pages);
		CHECK(p->refs.n > 0 && io_page_lent(p));
	}
	return ipa_to_virt(ipa);
}

static bool
listed(const uint64_t *bad, uint64_t block, uint32_t count)
{
	for (unsigned i = 0; i < MOCK_ERRORS; i++)
		if (bad[i] != 0 && bad[i] - 1 >= block && bad[i] - 1 < block + count)
			return true;
	return false;
}

static uint32_t
move(struct mock *k, const struct block_request *r, const struct block_segment *seg)
{
	uint64_t at = r->block * k->block_size, bytes = (uint64_t)r->count * k->block_size, sum = 0;
	bool write = r->op == BLOCK_WRITE;

	CHECK(r->segments > 0 && r->segments <= BLOCK_SEGMENTS && bytes <= k->max_bytes);
	for (unsigned i = 0; i < r->segments; i++) {
		uint8_t *p = memory_at(seg[i].address, seg[i].bytes);

		CHECK(seg[i].bytes % k->block_size == 0);
		if (write)
			memcpy(k->cached + at + sum, p, seg[i].bytes);
		else
			memcpy(p, k->cached + at + sum, seg[i].bytes);
		sum += seg[i].bytes;
	}
	CHECK(sum == bytes);
	if (write && ((k->flags & BLOCK_HAS_CACHE) == 0 || (r->flags & BLOCK_FUA) != 0))
		memcpy(k->stable + at, k->cached + at, bytes);
	if (write) {
		k->writes++;
		k->written_blocks += r->count;
	} else {
		k->reads++;
		k->read_blocks += r->count;
	}
	return listed(write ? k->bad_write : k->bad_read, r->block, r->count) ? BLOCK_EIO : BLOCK_OK;
}

static uint32_t
perform(struct mock *k, const struct block_request *r, const struct block_segment *seg)
{
	if (k->shared->state == BLOCK_NO_MEDIUM)
		return BLOCK_ENOMEDIUM;
	if (k->shared->state == BLOCK_FAILED)
		return BLOCK_EIO;
	if (r->op == BLOCK_FLUSH) {
		k->flushes++;
		if (k->fail_flush)
			return BLOCK_EIO;
		memcpy(k->stable, k->cached, k->blocks * k->block_size);
		return BLOCK_OK;
	}
	CHECK(r->count != 0 && r->block < k->blocks && r->count <= k->blocks - r->block);
	switch (r->op) {
	case BLOCK_WRITE:
		CHECK((k->flags & BLOCK_READONLY) == 0);
		/* fall through */
	case BLOCK_READ:
		return move(k, r, seg);
	case BLOCK_WRITE_ZEROES:
		CHECK(k->flags & BLOCK_HAS_ZEROES);
		k->zeroes++;
		memset(k->cached + r->block * k->block_size, 0, (uint64_t)r->count * k->block_size);
		return BLOCK_OK;
	case BLOCK_DISCARD:
		CHECK(k->flags & BLOCK_HAS_DISCARD);
		k->discards++;
		memset(k->cached + r->block * k->block_size, 0xdd, (uint64_t)r->count * k->block_size);
		return BLOCK_OK;
	default:
		CHECK(!"an operation that is none");
		return BLOCK_EINVAL;
	}
}

static void
answer(struct mock *k, uint64_t cookie, uint32_t status)
{
	struct block_channel *c = k->shared;

	CHECK(c->answers.tail - c->answers.head < BLOCK_RING);
	c->answer[c->answers.tail % BLOCK_RING] = (struct block_answer){ .cookie = cookie, .status = status };
	c->answers.tail++;
}

/* A new client: what the old one sent is dropped. */
static void
look_at_client(struct block_channel *c)
{
	if (c->client_epoch_seen == c->client_epoch)
		return;
	c->requests.head = c->requests.tail;
	c->answers.tail = c->answers.head;
	c->client_epoch_seen = c->client_epoch;
}

bool
mock_serve(unsigned n)
{
	struct mock *k = &mocks[n];
	struct block_channel *c = k->shared;
	struct block_request r;
	struct block_segment seg[BLOCK_SEGMENTS];
	uint32_t waiting, slot;

	if (k->dead)
		return false;
	look_at_client(c);
	waiting = c->requests.tail - c->requests.head;
	if (waiting == 0)
		return false;
	CHECK(waiting <= BLOCK_RING);
	k->most_in_flight = max(k->most_in_flight, waiting);
	/* out of order: the chosen one and the oldest change places */
	slot = c->requests.head % BLOCK_RING;
	if (k->reorder) {
		uint32_t other = (c->requests.head + (uint32_t)(rnd() % waiting)) % BLOCK_RING;
		struct block_request t = c->request[slot];

		memcpy(seg, c->segment[slot], sizeof(seg));
		c->request[slot] = c->request[other];
		c->request[other] = t;
		memcpy(c->segment[slot], c->segment[other], sizeof(seg));
		memcpy(c->segment[other], seg, sizeof(seg));
	}
	r = c->request[slot];
	memcpy(seg, c->segment[slot], sizeof(seg));
	c->requests.head++;
	if (r.epoch == c->server_epoch) {
		uint32_t status = perform(k, &r, seg);

		if (rnd() % 100 < k->die_percent) {
			k->deaths++;
			c->state = BLOCK_STARTING;
			k->dead = true;
			return true;
		}
		answer(k, r.cookie, status);
	}
	return true;
}

static void
publish(struct mock *k, unsigned state)
{
	struct block_channel *c = k->shared;

	look_at_client(c);
	c->requests.head = c->requests.tail;
	c->flags = k->flags;
	c->block_size = k->block_size;
	c->physical_size = 4096;
	c->max_bytes = k->max_bytes;
	c->blocks = c->disk_blocks = k->blocks;
	c->part_number = k->part_number;
	strlcpy(c->name, k->name, sizeof(c->name));
	strlcpy(c->model, k->model, sizeof(c->model));
	strlcpy(c->serial, k->serial, sizeof(c->serial));
	c->server_epoch++;
	c->state = state;
	k->dead = false;
}

void
mock_start(unsigned n, uint64_t blocks, uint32_t block_size)
{
	struct mock *k = &mocks[n];

	free(k->stable);
	free(k->cached);
	k->block_size = block_size;
	k->blocks = blocks;
	k->stable = calloc(blocks, block_size);
	k->cached = calloc(blocks, block_size);
	if (k->max_bytes == 0)
		k->max_bytes = 128 * 1024;
	k->dead = k->die_for_good = false;
	publish(k, BLOCK_READY);
}

void
mock_stop(unsigned n, unsigned state)
{
	publish(&mocks[n], state);
}

void
mock_restart(unsigned n)
{
	publish(&mocks[n], BLOCK_READY);
}

void
mock_power_cut(unsigned n)
{
	memcpy(mocks[n].cached, mocks[n].stable, mocks[n].blocks * mocks[n].block_size);
}
