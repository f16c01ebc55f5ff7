// SPDX-License-Identifier: MIT
/*
 * BLAKE2b-256 (RFC 7693), one input or four at a time, and files: see hash.h.
 *
 * A single BLAKE2b is a chain of dependent additions, which leaves most of a
 * processor idle; most of an installation's inputs are small files, so there is
 * always a next one to fill it with.  The rounds are written once, for a word and
 * for a vector of four.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "hash.h"

enum { ROUNDS = 12, LANES = 4, POOL = 16, PIECE = 1 << 16 };

static const uint64_t iv[8] = {
	0x6a09e667f3bcc908, 0xbb67ae8584caa73b, 0x3c6ef372fe94f82b, 0xa54ff53a5f1d36f1,
	0x510e527fade682d1, 0x9b05688c2b3e6c1f, 0x1f83d9abfb41bd6b, 0x5be0cd19137e2179,
};

/* RFC 7693 §2.7; rounds 10 and 11 are 0 and 1 again. */
static const uint8_t sigma[ROUNDS][16] = {
	{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15},
	{14, 10, 4, 8, 9, 15, 13, 6, 1, 12, 0, 2, 11, 7, 5, 3},
	{11, 8, 12, 0, 5, 2, 15, 13, 10, 14, 3, 6, 7, 1, 9, 4},
	{7, 9, 3, 1, 13, 12, 11, 14, 2, 6, 5, 10, 4, 0, 15, 8},
	{9, 0, 5, 7, 2, 4, 10, 15, 14, 1, 11, 12, 6, 8, 3, 13},
	{2, 12, 6, 10, 0, 11, 8, 3, 4, 13, 7, 5, 15, 14, 1, 9},
	{12, 5, 1, 15, 14, 13, 4, 10, 0, 7, 6, 3, 9, 2, 8, 11},
	{13, 11, 7, 14, 12, 1, 3, 9, 5, 0, 15, 4, 8, 6, 2, 10},
	{6, 15, 14, 9, 11, 3, 0, 8, 12, 2, 13, 7, 1, 4, 10, 5},
	{10, 2, 8, 4, 7, 6, 1, 5, 15, 11, 9, 14, 3, 12, 13, 0},
	{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15},
	{14, 10, 4, 8, 9, 15, 13, 6, 1, 12, 0, 2, 11, 7, 5, 3},
};

/* RFC 7693 §3.1, for words and for vectors of them. */
#define MIX(v, a, b, c, d, x, y, TURN) do { \
	v[a] += v[b] + (x); \
	v[d] = TURN(v[d] ^ v[a], 32); \
	v[c] += v[d]; \
	v[b] = TURN(v[b] ^ v[c], 24); \
	v[a] += v[b] + (y); \
	v[d] = TURN(v[d] ^ v[a], 16); \
	v[c] += v[d]; \
	v[b] = TURN(v[b] ^ v[c], 63); \
} while (0)

#define ROUND(v, m, s, TURN) do { \
	MIX(v, 0, 4, 8, 12, m[(s)[0]], m[(s)[1]], TURN); \
	MIX(v, 1, 5, 9, 13, m[(s)[2]], m[(s)[3]], TURN); \
	MIX(v, 2, 6, 10, 14, m[(s)[4]], m[(s)[5]], TURN); \
	MIX(v, 3, 7, 11, 15, m[(s)[6]], m[(s)[7]], TURN); \
	MIX(v, 0, 5, 10, 15, m[(s)[8]], m[(s)[9]], TURN); \
	MIX(v, 1, 6, 11, 12, m[(s)[10]], m[(s)[11]], TURN); \
	MIX(v, 2, 7, 8, 13, m[(s)[12]], m[(s)[13]], TURN); \
	MIX(v, 3, 4, 9, 14, m[(s)[14]], m[(s)[15]], TURN); \
} while (0)

/* ---- one input ------------------------------------------------------------------ */

#define TURN_WORD(x, n) ((x) >> (n) | (x) << (64 - (n)))

static uint64_t
load_word(const uint8_t *p)
{
	uint64_t word;

	memcpy(&word, p, sizeof(word));
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
	word = __builtin_bswap64(word);
#endif
	return word;
}

/* One block; h->length counts it already. */
static void
compress(struct hash *h, const uint8_t *block, bool last)
{
	uint64_t v[16], m[16];

	for (int i = 0; i < 16; i++)
		m[i] = load_word(block + 8 * i);
	for (int i = 0; i < 8; i++) {
		v[i] = h->h[i];
		v[8 + i] = iv[i];
	}
	v[12] ^= h->length;
	if (last)
		v[14] = ~v[14];
#pragma GCC unroll 12
	for (int i = 0; i < ROUNDS; i++)
		ROUND(v, m, sigma[i], TURN_WORD);
	for (int i = 0; i < 8; i++)
		h->h[i] ^= v[i] ^ v[8 + i];
}

static void
compress_blocks(struct hash *h, const uint8_t *data, size_t blocks)
{
	for (; blocks != 0; blocks--, data += HASH_BLOCK) {
		h->length += HASH_BLOCK;
		compress(h, data, false);
	}
}

void
hash_start(struct hash *h)
{
	memcpy(h->h, iv, sizeof(iv));
	h->h[0] ^= 0x01010000 ^ HASH_SIZE;	/* no key, one tree of one leaf */
	h->length = 0;
	h->held = 0;
}

void
hash_end(struct hash *h, uint8_t hash[HASH_SIZE])
{
	memset(h->block + h->held, 0, HASH_BLOCK - h->held);
	h->length += h->held;
	compress(h, h->block, true);
	for (int i = 0; i < HASH_SIZE; i++)
		hash[i] = (uint8_t)(h->h[i / 8] >> 8 * (i % 8));
}

/* ---- four ------------------------------------------------------------------------ */

#ifdef __x86_64__
typedef uint64_t four __attribute__((vector_size(32)));
typedef uint64_t four_unaligned __attribute__((vector_size(32), aligned(1), may_alias));
typedef uint8_t bytes __attribute__((vector_size(32)));

/* Turns by whole bytes are one instruction that way. */
#define BYTES(x, a, b, c, d, e, f, g, h) ((four)__builtin_shufflevector((bytes)(x), (bytes)(x), \
	a, b, c, d, e, f, g, h, 8 + a, 8 + b, 8 + c, 8 + d, 8 + e, 8 + f, 8 + g, 8 + h, \
	16 + a, 16 + b, 16 + c, 16 + d, 16 + e, 16 + f, 16 + g, 16 + h, \
	24 + a, 24 + b, 24 + c, 24 + d, 24 + e, 24 + f, 24 + g, 24 + h))
#define TURN_32(x) BYTES(x, 4, 5, 6, 7, 0, 1, 2, 3)
#define TURN_24(x) BYTES(x, 3, 4, 5, 6, 7, 0, 1, 2)
#define TURN_16(x) BYTES(x, 2, 3, 4, 5, 6, 7, 0, 1)
#define TURN_63(x) ((x) >> 63 | ((x) + (x)))
#define TURN_FOUR(x, n) TURN_ ## n(x)

/* Four words of each of four inputs, as four vectors of a word of each. */
#define LOAD_FOUR(m, data, at) do { \
	four a_ = *(const four_unaligned *)(data[0] + (at)), b_ = *(const four_unaligned *)(data[1] + (at)); \
	four c_ = *(const four_unaligned *)(data[2] + (at)), d_ = *(const four_unaligned *)(data[3] + (at)); \
	four ab_ = __builtin_shufflevector(a_, b_, 0, 4, 2, 6), cd_ = __builtin_shufflevector(c_, d_, 0, 4, 2, 6); \
	four ba_ = __builtin_shufflevector(a_, b_, 1, 5, 3, 7), dc_ = __builtin_shufflevector(c_, d_, 1, 5, 3, 7); \
	(m)[0] = __builtin_shufflevector(ab_, cd_, 0, 1, 4, 5); \
	(m)[1] = __builtin_shufflevector(ba_, dc_, 0, 1, 4, 5); \
	(m)[2] = __builtin_shufflevector(ab_, cd_, 2, 3, 6, 7); \
	(m)[3] = __builtin_shufflevector(ba_, dc_, 2, 3, 6, 7); \
} while (0)

__attribute__((target("avx2"))) static void
compress_four(struct hash *const s[LANES], const uint8_t *const from[LANES], size_t blocks)
{
	const uint8_t *data[LANES] = {from[0], from[1], from[2], from[3]};
	four h[8], v[16], m[16];
	four length = {s[0]->length, s[1]->length, s[2]->length, s[3]->length};

	for (int i = 0; i < 8; i++)
		h[i] = (four){s[0]->h[i], s[1]->h[i], s[2]->h[i], s[3]->h[i]};
	for (; blocks != 0; blocks--) {
		for (int i = 0; i < 4; i++)
			LOAD_FOUR(m + 4 * i, data, 32 * i);
		length += HASH_BLOCK;
		for (int i = 0; i < 8; i++) {
			v[i] = h[i];
			v[8 + i] = (four){iv[i], iv[i], iv[i], iv[i]};
		}
		v[12] ^= length;
#pragma GCC unroll 12
		for (int i = 0; i < ROUNDS; i++)
			ROUND(v, m, sigma[i], TURN_FOUR);
		for (int i = 0; i < 8; i++)
			h[i] ^= v[i] ^ v[8 + i];
		for (int l = 0; l < LANES; l++)
			data[l] += HASH_BLOCK;
	}
	for (int l = 0; l < LANES; l++) {
		for (int i = 0; i < 8; i++)
			s[l]->h[i] = h[i][l];
		s[l]->length = length[l];
	}
}

static bool
has_four(void)
{
	return __builtin_cpu_supports("avx2") != 0;
}
#else
/* Without such vectors one input after the other is as fast. */
static void
compress_four(struct hash *const s[LANES], const uint8_t *const from[LANES], size_t blocks)
{
	for (int l = 0; l < LANES; l++)
		compress_blocks(s[l], from[l], blocks);
}

static bool
has_four(void)
{
	return false;
}
#endif

/* ---- inputs of any length -------------------------------------------------------- */

/* Whole blocks of an input. */
struct lane {
	struct hash *hash;
	const uint8_t *data;
	size_t blocks;
};

static void
advance(struct lane *l, size_t blocks)
{
	l->data += blocks * HASH_BLOCK;
	l->blocks -= blocks;
}

/* As far as the shortest of them goes; two or three take a fourth along that nobody asks for. */
static void
run_lanes(struct lane *lanes, size_t count)
{
	struct hash nobody = *lanes[0].hash, *s[LANES];
	const uint8_t *data[LANES];
	size_t blocks = lanes[0].blocks;

	if (count == 1 || !has_four()) {
		compress_blocks(lanes[0].hash, lanes[0].data, blocks);
		advance(&lanes[0], blocks);
		return;
	}
	for (size_t i = 1; i < count; i++)
		blocks = lanes[i].blocks < blocks ? lanes[i].blocks : blocks;
	for (size_t i = 0; i < LANES; i++) {
		s[i] = i < count ? lanes[i].hash : &nobody;
		data[i] = lanes[i < count ? i : 0].data;
	}
	compress_four(s, data, blocks);
	for (size_t i = 0; i < count; i++)
		advance(&lanes[i], blocks);
}

/* Fills the block that waits and returns the whole ones that follow; at least a byte stays for hash_end. */
static struct lane
take_part(struct hash_part *p)
{
	struct hash *h = p->hash;

	if (h->held != 0) {
		size_t n = HASH_BLOCK - h->held < p->length ? HASH_BLOCK - h->held : p->length;

		memcpy(h->block + h->held, p->data, n);
		h->held += n;
		p->data += n;
		p->length -= n;
		if (p->length != 0) {
			compress_blocks(h, h->block, 1);
			h->held = 0;
		}
	}
	size_t blocks = p->length == 0 ? 0 : (p->length - 1) / HASH_BLOCK;
	struct lane lane = {h, p->data, blocks};

	p->data += blocks * HASH_BLOCK;
	p->length -= blocks * HASH_BLOCK;
	return lane;
}

static void
keep_rest(const struct hash_part *p)
{
	if (p->length == 0)
		return;
	memcpy(p->hash->block, p->data, p->length);
	p->hash->held = p->length;
}

/* Of distinct inputs. */
static void
add_distinct(struct hash_part *parts, size_t count)
{
	struct lane lanes[LANES];
	size_t used = 0;

	for (size_t next = 0; next < count || used != 0;) {
		while (used < LANES && next < count) {
			lanes[used] = take_part(&parts[next]);
			keep_rest(&parts[next++]);
			used += lanes[used].blocks != 0;
		}
		if (used != 0)
			run_lanes(lanes, used);
		for (size_t i = used; i-- > 0;) {
			if (lanes[i].blocks == 0)
				lanes[i] = lanes[--used];
		}
	}
}

void
hash_add(struct hash_part *parts, size_t count)
{
	/* A second part of an input needs what the first one leaves. */
	for (size_t from = 0; from < count;) {
		size_t to = from + 1;

		while (to < count && parts[to].hash != parts[to - 1].hash)
			to++;
		add_distinct(parts + from, to - from);
		from = to;
	}
}

/* ---- files ------------------------------------------------------------------------ */

struct slot {
	int fd, error;
	bool ended;
	uint64_t left, size;
	void *item;
	struct hash hash;
	uint8_t *piece;
};

struct hash_pool {
	hash_done_fn *fn;
	void *context;
	size_t used;
	struct slot slots[POOL];
};

struct hash_pool *
hash_pool_new(hash_done_fn *fn, void *context)
{
	struct hash_pool *p = mem_alloc(sizeof(*p));

	p->fn = fn;
	p->context = context;
	return p;
}

/* The next piece of a file; a file whose end is known is not asked for more. */
static size_t
read_piece(struct slot *s)
{
	size_t want = s->left < PIECE ? (size_t)s->left : PIECE;
	ssize_t n = 0;

	if (want != 0) {
		do
			n = read(s->fd, s->piece, want);
		while (n < 0 && errno == EINTR);
	}
	s->error = n < 0 ? errno : 0;
	size_t got = n < 0 ? 0 : (size_t)n;

	s->left -= got;
	s->size += got;
	s->ended = got == 0 || s->left == 0;
	return got;
}

static void
finish(struct hash_pool *p, struct slot *s)
{
	uint8_t hash[HASH_SIZE];

	close(s->fd);
	hash_end(&s->hash, hash);
	p->fn(p->context, s->item, s->error, hash, s->size);
}

/* A piece of each file; those that ended make room. */
static void
pool_step(struct hash_pool *p)
{
	struct hash_part parts[POOL];

	for (size_t i = 0; i < p->used; i++) {
		struct slot *s = &p->slots[i];
		size_t n = read_piece(s);

		parts[i] = (struct hash_part){&s->hash, s->piece, n};
	}
	hash_add(parts, p->used);
	for (size_t i = p->used; i-- > 0;) {
		struct slot *s = &p->slots[i];

		if (!s->ended)
			continue;
		finish(p, s);
		struct slot kept = *s;

		*s = p->slots[--p->used];
		p->slots[p->used] = kept;	/* its buffer serves the next one */
	}
}

void
hash_pool_add(struct hash_pool *p, int fd, uint64_t max, void *item)
{
	while (p->used == POOL)
		pool_step(p);
	struct slot *s = &p->slots[p->used++];
	uint8_t *piece = s->piece != NULL ? s->piece : mem_alloc(PIECE);

	*s = (struct slot){.fd = fd, .left = max, .item = item, .piece = piece};
	hash_start(&s->hash);
}

void
hash_pool_end(struct hash_pool *p)
{
	while (p->used != 0)
		pool_step(p);
	for (size_t i = 0; i < POOL; i++)
		free(p->slots[i].piece);
	free(p);
}
