/* SPDX-License-Identifier: MIT */
/*
 * Random bytes: ChaCha20 (RFC 8439) with fast key erasure.  One base key is fed
 * with init's seed and with what random_add brings; every CPU draws a key of
 * its own from it and draws again when the base changed.  After each request the
 * key that made it is gone.
 */
#include <proto/world.h>

#include "random.h"
#include "task.h"
#include "time.h"

enum { KEY_WORDS = 8, BLOCK_WORDS = 16, SEEDED_BITS = 256, POOL = 64 };

struct stream {
	uint32_t key[KEY_WORDS];
	uint64_t generation;
	uint32_t left;			/* unused bytes at the end of pool */
	uint8_t pool[POOL * 8];
} __attribute__((aligned(64)));

static struct {
	spinlock_t lock;
	uint32_t key[KEY_WORDS];
	uint64_t generation;
	unsigned bits;
} base = { .lock = SPINLOCK_INIT(118), .generation = 1 };

static struct stream streams[MAX_CPUS];

static inline uint32_t rotl(uint32_t v, unsigned n) { return v << n | v >> (32 - n); }

#define QUARTER(a, b, c, d) do { \
	a += b; d = rotl(d ^ a, 16); c += d; b = rotl(b ^ c, 12); \
	a += b; d = rotl(d ^ a, 8); c += d; b = rotl(b ^ c, 7); } while (0)

void
chacha20_block(const uint32_t key[8], uint64_t counter, uint64_t nonce, uint32_t out[16])
{
	uint32_t x[BLOCK_WORDS] = { 0x61707865, 0x3320646e, 0x79622d32, 0x6b206574 };
	uint32_t start[BLOCK_WORDS];

	memcpy(x + 4, key, KEY_WORDS * 4);
	x[12] = (uint32_t)counter;
	x[13] = (uint32_t)(counter >> 32);
	x[14] = (uint32_t)nonce;
	x[15] = (uint32_t)(nonce >> 32);
	memcpy(start, x, sizeof(x));
	for (unsigned i = 0; i < 10; i++) {
		QUARTER(x[0], x[4], x[8], x[12]);
		QUARTER(x[1], x[5], x[9], x[13]);
		QUARTER(x[2], x[6], x[10], x[14]);
		QUARTER(x[3], x[7], x[11], x[15]);
		QUARTER(x[0], x[5], x[10], x[15]);
		QUARTER(x[1], x[6], x[11], x[12]);
		QUARTER(x[2], x[7], x[8], x[13]);
		QUARTER(x[3], x[4], x[9], x[14]);
	}
	for (unsigned i = 0; i < BLOCK_WORDS; i++)
		out[i] = x[i] + start[i];
}

/* base.lock is held: key = first half of a block keyed by the old key and the input. */
static void
stir(const uint8_t *bytes, size_t n)
{
	uint32_t block[BLOCK_WORDS];

	do {
		uint8_t chunk[32] = { 0 };
		size_t m = min(n, sizeof(chunk));

		memcpy(chunk, bytes, m);
		for (unsigned i = 0; i < sizeof(chunk); i++)
			((uint8_t *)base.key)[i] ^= chunk[i];
		chacha20_block(base.key, n, 1, block);
		memcpy(base.key, block, sizeof(base.key));
		bytes += m;
		n -= m;
	} while (n > 0);
	memset(block, 0, sizeof(block));
}

void
random_add(const void *bytes, size_t n, unsigned bits)
{
	uint64_t now = clock_ticks(), flags = spin_lock_irqsave(&base.lock);

	stir((const uint8_t *)&now, sizeof(now));
	stir(bytes, n);
	base.bits = min(base.bits + bits, (unsigned)SEEDED_BITS);
	base.generation++;
	spin_unlock_irqrestore(&base.lock, flags);
}

bool
random_ready(void)
{
	return base.bits >= SEEDED_BITS;
}

void
random_init(const struct world_info *w)
{
	unsigned n = min(w->seed_bytes, (uint32_t)sizeof(w->seed));

	random_add(w->seed, n, n * 8);
	random_add(&w->wall_time_ns, sizeof(w->wall_time_ns), 0);
}

static void
stream_rekey(struct stream *s)
{
	uint32_t block[BLOCK_WORDS];

	spin_lock(&base.lock);
	chacha20_block(base.key, clock_ticks(), 2, block);
	memcpy(base.key, block, sizeof(base.key));
	memcpy(s->key, block + KEY_WORDS, sizeof(s->key));
	s->generation = base.generation;
	spin_unlock(&base.lock);
	memset(block, 0, sizeof(block));
	s->left = 0;
}

/* The first half of the first block becomes the next key. */
static void
stream_fill(struct stream *s)
{
	uint32_t block[BLOCK_WORDS], next[KEY_WORDS];

	chacha20_block(s->key, 0, 3, block);
	memcpy(next, block, sizeof(next));
	for (unsigned i = 0; i < sizeof(s->pool) / sizeof(block); i++) {
		chacha20_block(s->key, i + 1, 3, block);
		memcpy(s->pool + i * sizeof(block), block, sizeof(block));
	}
	memcpy(s->key, next, sizeof(next));
	memset(block, 0, sizeof(block));
	s->left = sizeof(s->pool);
}

/* At most a pool's worth, with interrupts masked, on one CPU. */
static size_t
take(uint8_t *to, size_t n)
{
	uint64_t flags = irq_save();
	struct stream *s = &streams[cpu_id()];
	uint8_t *from;

	if (s->generation != READ_ONCE(base.generation))
		stream_rekey(s);
	if (s->left == 0)
		stream_fill(s);
	n = min(n, (size_t)s->left);
	from = s->pool + sizeof(s->pool) - s->left;
	memcpy(to, from, n);
	memset(from, 0, n);
	s->left -= (uint32_t)n;
	irq_restore(flags);
	return n;
}

void
random_bytes(void *to, size_t n)
{
	uint8_t *p = to;

	while (n > 0) {
		size_t m = take(p, n);

		p += m;
		n -= m;
	}
}
