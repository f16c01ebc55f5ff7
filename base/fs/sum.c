/* SPDX-License-Identifier: MIT */
/*
 * The checksums of ext4 and jbd2 (CRC-32C, reflected, polynomial 0x1EDC6F41;
 * CRC-16 for the descriptors of older file systems) and the hashes of names in
 * directories: half an MD4 and the Tiny Encryption Algorithm, as ext4's
 * dir_index format has them.
 */
#include "core.h"

/* ---- CRC-32C ---------------------------------------------------------------- */

static uint32_t crc_table[8][256];
static uint16_t crc16_table[256];

static void
crc_init(void)
{
	for (uint32_t i = 0; i < 256; i++) {
		uint32_t c = i, d = i;

		for (int bit = 0; bit < 8; bit++) {
			c = (c >> 1) ^ ((c & 1) != 0 ? 0x82f63b78u : 0);
			d = (d >> 1) ^ ((d & 1) != 0 ? 0xa001u : 0);
		}
		crc_table[0][i] = c;
		crc16_table[i] = (uint16_t)d;
	}
	for (uint32_t i = 0; i < 256; i++)
		for (int t = 1; t < 8; t++)
			crc_table[t][i] = (crc_table[t - 1][i] >> 8) ^ crc_table[0][crc_table[t - 1][i] & 0xff];
}

/*
 * What CPUs have for it: the CRC32 instructions of ARMv8 (Arm ARM C6.2.92), which
 * are optional in its first version, and those of SSE 4.2 on the build host.
 */
#if defined(__aarch64__)
#define CPU_SUMS 1
#define CRC_CODE
static inline uint32_t
cpu_sum_1(uint32_t crc, uint8_t v)
{
	__asm__(".arch_extension crc\n\tcrc32cb %w0, %w0, %w1" : "+r"(crc) : "r"(v));
	return crc;
}
static inline uint32_t
cpu_sum_8(uint32_t crc, uint64_t v)
{
	__asm__(".arch_extension crc\n\tcrc32cx %w0, %w0, %x1" : "+r"(crc) : "r"(v));
	return crc;
}
#elif defined(__x86_64__)
#define CPU_SUMS 1
#define CRC_CODE __attribute__((target("sse4.2")))
CRC_CODE static inline uint32_t cpu_sum_1(uint32_t crc, uint8_t v) { return __builtin_ia32_crc32qi(crc, v); }
CRC_CODE static inline uint32_t cpu_sum_8(uint32_t crc, uint64_t v) { return (uint32_t)__builtin_ia32_crc32di(crc, v); }
#else
#define CPU_SUMS 0
#endif

static bool cpu_sums;

/* On arm64 no program can ask at EL0: who calls was told. */
bool
crc32c_use_cpu(void)
{
#if defined(__x86_64__)
	cpu_sums = __builtin_cpu_supports("sse4.2") != 0;
#else
	cpu_sums = CPU_SUMS != 0;
#endif
	return cpu_sums;
}

#if CPU_SUMS
CRC_CODE static uint32_t
crc32c_by_cpu(uint32_t crc, const uint8_t *p, size_t count)
{
	const uint64_t *words;

	for (; count > 0 && ((uintptr_t)p & 7) != 0; count--)
		crc = cpu_sum_1(crc, *p++);
	words = __builtin_assume_aligned(p, 8);
	for (; count >= 64; count -= 64, words += 8) {
		crc = cpu_sum_8(cpu_sum_8(crc, words[0]), words[1]);
		crc = cpu_sum_8(cpu_sum_8(crc, words[2]), words[3]);
		crc = cpu_sum_8(cpu_sum_8(crc, words[4]), words[5]);
		crc = cpu_sum_8(cpu_sum_8(crc, words[6]), words[7]);
	}
	for (; count >= 8; count -= 8)
		crc = cpu_sum_8(crc, *words++);
	for (p = (const uint8_t *)words; count > 0; count--)
		crc = cpu_sum_1(crc, *p++);
	return crc;
}
#endif

/* Eight bytes at a time (slicing by 8, Kounavis and Berry 2008), if the CPU does not do it. */
uint32_t
crc32c(uint32_t crc, const void *bytes, size_t count)
{
	const uint8_t *p = bytes;

#if CPU_SUMS
	if (cpu_sums)
		return crc32c_by_cpu(crc, p, count);
#endif
	if (crc_table[0][1] == 0)
		crc_init();
	while (count > 0 && ((uintptr_t)p & 7) != 0) {
		crc = (crc >> 8) ^ crc_table[0][(crc ^ *p++) & 0xff];
		count--;
	}
	for (; count >= 8; count -= 8, p += 8) {
		uint64_t v;

		__builtin_memcpy(&v, __builtin_assume_aligned(p, 8), 8);	/* one load, no call */
		v ^= crc;
		crc = crc_table[7][v & 0xff] ^ crc_table[6][(v >> 8) & 0xff] ^
		    crc_table[5][(v >> 16) & 0xff] ^ crc_table[4][(v >> 24) & 0xff] ^
		    crc_table[3][(v >> 32) & 0xff] ^ crc_table[2][(v >> 40) & 0xff] ^
		    crc_table[1][(v >> 48) & 0xff] ^ crc_table[0][v >> 56];
	}
	while (count-- > 0)
		crc = (crc >> 8) ^ crc_table[0][(crc ^ *p++) & 0xff];
	return crc;
}

/* What `count` zeroes make of a sum: it is linear in the sum, so each half byte of it has a table. */
static struct {
	size_t count;
	uint32_t table[8][16];
} zeroes;

static void
zeroes_prepare(size_t count)
{
	static const uint64_t none[32];
	uint32_t bit[32];

	for (unsigned b = 0; b < 32; b++) {
		bit[b] = 1u << b;
		for (size_t left = count, n; left > 0; left -= n) {
			n = left < sizeof none ? left : sizeof none;
			bit[b] = crc32c(bit[b], none, n);
		}
	}
	for (unsigned half = 0; half < 8; half++)
		for (unsigned v = 0; v < 16; v++) {
			uint32_t sum = 0;

			for (unsigned b = 0; b < 4; b++)
				sum ^= (v >> b & 1) != 0 ? bit[4 * half + b] : 0;
			zeroes.table[half][v] = sum;
		}
	zeroes.count = count;
}

uint32_t
crc32c_padded(uint32_t crc, const void *bytes, size_t used, size_t count)
{
	uint32_t sum = 0;

	crc = crc32c(crc, bytes, used);
	if (count == used)
		return crc;
	if (zeroes.count != count - used)
		zeroes_prepare(count - used);
	for (unsigned half = 0; half < 8; half++)
		sum ^= zeroes.table[half][crc >> 4 * half & 15];
	return sum;
}

uint16_t
crc16(uint16_t crc, const void *bytes, size_t count)
{
	const uint8_t *p = bytes;

	if (crc_table[0][1] == 0)
		crc_init();
	while (count-- > 0)
		crc = (uint16_t)((crc >> 8) ^ crc16_table[(crc ^ *p++) & 0xff]);
	return crc;
}

/* ---- hashes of names ----------------------------------------------------------- */

static uint32_t
rotate(uint32_t v, unsigned bits)
{
	return v << bits | v >> (32 - bits);
}

/*
 * RFC 1320's functions, on eight words of input and four of state.  Written out:
 * a listing hashes every name of a block.
 */
#define MIX_F(x, y, z)	((z) ^ ((x) & ((y) ^ (z))))
#define MIX_G(x, y, z)	(((x) & (y)) + (((x) ^ (y)) & (z)))
#define MIX_H(x, y, z)	((x) ^ (y) ^ (z))
#define STEP(f, a, b, c, d, word, turn)	((a) = rotate((a) + f(b, c, d) + (word), turn))
#define FOUR(f, k, t0, t1, t2, t3, w0, w1, w2, w3)	\
	(STEP(f, a, b, c, d, in[w0] + (k), t0), STEP(f, d, a, b, c, in[w1] + (k), t1),	\
	STEP(f, c, d, a, b, in[w2] + (k), t2), STEP(f, b, c, d, a, in[w3] + (k), t3))

static void
half_md4(uint32_t state[4], const uint32_t in[8])
{
	uint32_t a = state[0], b = state[1], c = state[2], d = state[3];

	FOUR(MIX_F, 0, 3, 7, 11, 19, 0, 1, 2, 3);
	FOUR(MIX_F, 0, 3, 7, 11, 19, 4, 5, 6, 7);
	FOUR(MIX_G, 0x5a827999u, 3, 5, 9, 13, 1, 3, 5, 7);
	FOUR(MIX_G, 0x5a827999u, 3, 5, 9, 13, 0, 2, 4, 6);
	FOUR(MIX_H, 0x6ed9eba1u, 3, 9, 11, 15, 3, 7, 2, 6);
	FOUR(MIX_H, 0x6ed9eba1u, 3, 9, 11, 15, 1, 5, 0, 4);
	state[0] += a;
	state[1] += b;
	state[2] += c;
	state[3] += d;
}

static void
tea(uint32_t state[4], const uint32_t in[4])
{
	uint32_t sum = 0, b0 = state[0], b1 = state[1];

	for (unsigned n = 0; n < 16; n++) {
		sum += 0x9e3779b9u;
		b0 += ((b1 << 4) + in[0]) ^ (b1 + sum) ^ ((b1 >> 5) + in[1]);
		b1 += ((b0 << 4) + in[2]) ^ (b0 + sum) ^ ((b0 >> 5) + in[3]);
	}
	state[0] += b0;
	state[1] += b1;
}

static uint32_t
legacy_hash(const char *name, size_t length, bool is_unsigned)
{
	uint32_t hash, hash0 = 0x12a3fe2d, hash1 = 0x37abe8f9;

	while (length-- > 0) {
		int c = is_unsigned ? (int)(uint8_t)*name : (int)(int8_t)*name;

		name++;
		hash = hash1 + (hash0 ^ ((uint32_t)c * 7152373u));
		if ((hash & 0x80000000u) != 0)
			hash -= 0x7fffffff;
		hash1 = hash0;
		hash0 = hash;
	}
	return hash0 << 1;
}

/* The next `words` words of input, padded with the length. */
static void
name_words(const char *name, size_t length, uint32_t *to, unsigned words, bool is_unsigned)
{
	uint32_t pad = (uint32_t)length | (uint32_t)length << 8, value;
	unsigned i;

	pad |= pad << 16;
	value = pad;
	if (length > words * 4)
		length = words * 4;
	for (i = 0; i < length; i++) {
		int c = is_unsigned ? (int)(uint8_t)name[i] : (int)(int8_t)name[i];

		value = (uint32_t)c + (value << 8);
		if (i % 4 == 3) {
			*to++ = value;
			value = pad;
			words--;
		}
	}
	if (words > 0) {
		*to++ = value;
		words--;
	}
	while (words-- > 0)
		*to++ = pad;
}

bool
name_hash(const char *name, size_t length, unsigned hash_version, const uint32_t seed[4],
    uint32_t *hash)
{
	static const uint32_t start[4] = { 0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476 };
	bool is_unsigned = hash_version >= HASH_LEGACY_U;
	uint32_t state[4], in[8], value;

	__builtin_memcpy(state, (seed[0] | seed[1] | seed[2] | seed[3]) != 0 ? seed : start, sizeof state);
	switch (hash_version) {
	case HASH_LEGACY:
	case HASH_LEGACY_U:
		value = legacy_hash(name, length, is_unsigned);
		break;
	case HASH_HALF_MD4:
	case HASH_HALF_MD4_U:
		for (size_t at = 0; at < length; at += 32) {
			name_words(name + at, length - at, in, 8, is_unsigned);
			half_md4(state, in);
		}
		value = state[1];
		break;
	case HASH_TEA:
	case HASH_TEA_U:
		for (size_t at = 0; at < length; at += 16) {
			name_words(name + at, length - at, in, 4, is_unsigned);
			tea(state, in);
		}
		value = state[0];
		break;
	default:
		return false;
	}
	value &= ~1u;
	/* the largest hash is the end of a listing */
	*hash = value == 0xfffffffeu ? 0xfffffffcu : value;
	return true;
}
