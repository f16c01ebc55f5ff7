/* SPDX-License-Identifier: MIT */
/*
 * BLAKE2b-256 (RFC 7693).  The rounds are unrolled: every index of the message
 * schedule is then a constant, which makes a hash cost a third of the looped
 * form, and a boot hashes the whole slot.
 */
#include <string.h>

#include "blake2b.h"

static const uint64_t iv[8] = {
	0x6a09e667f3bcc908u, 0xbb67ae8584caa73bu, 0x3c6ef372fe94f82bu, 0xa54ff53a5f1d36f1u,
	0x510e527fade682d1u, 0x9b05688c2b3e6c1fu, 0x1f83d9abfb41bd6bu, 0x5be0cd19137e2179u,
};

#define ROTATE(x, n) ((x) >> (n) | (x) << (64 - (n)))

#define MIX(a, b, c, d, x, y) do { \
	a += b + m[x]; d = ROTATE(d ^ a, 32); \
	c += d;        b = ROTATE(b ^ c, 24); \
	a += b + m[y]; d = ROTATE(d ^ a, 16); \
	c += d;        b = ROTATE(b ^ c, 63); \
} while (0)

/* One round; the arguments are a row of the schedule (RFC 7693 2.7). */
#define ROUND(s0, s1, s2, s3, s4, s5, s6, s7, s8, s9, sa, sb, sc, sd, se, sf) do { \
	MIX(v0, v4, v8, vc, s0, s1); \
	MIX(v1, v5, v9, vd, s2, s3); \
	MIX(v2, v6, va, ve, s4, s5); \
	MIX(v3, v7, vb, vf, s6, s7); \
	MIX(v0, v5, va, vf, s8, s9); \
	MIX(v1, v6, vb, vc, sa, sb); \
	MIX(v2, v7, v8, vd, sc, sd); \
	MIX(v3, v4, v9, ve, se, sf); \
} while (0)

static void
compress(struct blake2b *b, const uint8_t *block, uint64_t final)
{
	uint64_t m[16];
	uint64_t v0 = b->h[0], v1 = b->h[1], v2 = b->h[2], v3 = b->h[3];
	uint64_t v4 = b->h[4], v5 = b->h[5], v6 = b->h[6], v7 = b->h[7];
	uint64_t v8 = iv[0], v9 = iv[1], va = iv[2], vb = iv[3];
	uint64_t vc = iv[4] ^ b->length, vd = iv[5], ve = iv[6] ^ final, vf = iv[7];

	memcpy(m, block, sizeof(m));		/* little-endian hosts and targets only */
	ROUND(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
	ROUND(14, 10, 4, 8, 9, 15, 13, 6, 1, 12, 0, 2, 11, 7, 5, 3);
	ROUND(11, 8, 12, 0, 5, 2, 15, 13, 10, 14, 3, 6, 7, 1, 9, 4);
	ROUND(7, 9, 3, 1, 13, 12, 11, 14, 2, 6, 5, 10, 4, 0, 15, 8);
	ROUND(9, 0, 5, 7, 2, 4, 10, 15, 14, 1, 11, 12, 6, 8, 3, 13);
	ROUND(2, 12, 6, 10, 0, 11, 8, 3, 4, 13, 7, 5, 15, 14, 1, 9);
	ROUND(12, 5, 1, 15, 14, 13, 4, 10, 0, 7, 6, 3, 9, 2, 8, 11);
	ROUND(13, 11, 7, 14, 12, 1, 3, 9, 5, 0, 15, 4, 8, 6, 2, 10);
	ROUND(6, 15, 14, 9, 11, 3, 0, 8, 12, 2, 13, 7, 1, 4, 10, 5);
	ROUND(10, 2, 8, 4, 7, 6, 1, 5, 15, 11, 9, 14, 3, 12, 13, 0);
	ROUND(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
	ROUND(14, 10, 4, 8, 9, 15, 13, 6, 1, 12, 0, 2, 11, 7, 5, 3);
	b->h[0] ^= v0 ^ v8;
	b->h[1] ^= v1 ^ v9;
	b->h[2] ^= v2 ^ va;
	b->h[3] ^= v3 ^ vb;
	b->h[4] ^= v4 ^ vc;
	b->h[5] ^= v5 ^ vd;
	b->h[6] ^= v6 ^ ve;
	b->h[7] ^= v7 ^ vf;
}

void
blake2b_begin(struct blake2b *b)
{
	memcpy(b->h, iv, sizeof(iv));
	b->h[0] ^= 0x01010000u ^ BLAKE2B_HASH;	/* fan-out 1, depth 1, no key */
	b->length = 0;
	b->used = 0;
}

void
blake2b_add(struct blake2b *b, const void *data, size_t size)
{
	const uint8_t *from = data;

	while (size > 0) {
		size_t part = BLAKE2B_BLOCK - b->used;

		/* Only the last block carries the final mark, so a block waits. */
		if (part == 0) {
			b->length += BLAKE2B_BLOCK;
			compress(b, b->block, 0);
			b->used = 0;
			continue;
		}
		if (b->used == 0 && size > BLAKE2B_BLOCK) {
			b->length += BLAKE2B_BLOCK;
			compress(b, from, 0);
			from += BLAKE2B_BLOCK;
			size -= BLAKE2B_BLOCK;
			continue;
		}
		if (part > size)
			part = size;
		memcpy(b->block + b->used, from, part);
		b->used += part;
		from += part;
		size -= part;
	}
}

void
blake2b_end(struct blake2b *b, uint8_t hash[BLAKE2B_HASH])
{
	b->length += b->used;
	memset(b->block + b->used, 0, BLAKE2B_BLOCK - b->used);
	compress(b, b->block, UINT64_MAX);
	memcpy(hash, b->h, BLAKE2B_HASH);
}
