// SPDX-License-Identifier: MIT
/*
 * Hashes taken side by side are those of libsodium, whatever the lengths, however
 * inputs are cut and mixed; files are told of once, also broken and short ones.
 */
#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "../lib/hash.h"

enum { LARGEST = 5000, MANY = 40, FILES = 50 };

static unsigned passed, failed;
static uint8_t content[1 << 18];

static void
check(bool good, const char *what)
{
	passed += good;
	failed += !good;
	if (!good)
		printf("FAILED %s\n", what);
}

static bool
is_hash_of(const uint8_t hash[HASH_SIZE], const uint8_t *data, size_t length)
{
	uint8_t right[HASH_SIZE];

	crypto_generichash(right, HASH_SIZE, data, length, NULL, 0);
	return memcmp(hash, right, HASH_SIZE) == 0;
}

static void
every_short_length_is_right(void)
{
	bool good = true;

	for (size_t length = 0; length <= 3 * HASH_BLOCK + 1; length++) {
		uint8_t hash[HASH_SIZE];
		struct hash h;

		hash_start(&h);
		hash_add(&(struct hash_part){&h, content, length}, 1);
		hash_end(&h, hash);
		good = good && is_hash_of(hash, content, length);
	}
	check(good, "lengths up to three blocks");
}

/* RFC 7693 appendix E has no 256-bit example: "abc" of b2sum -l 256. */
static void
a_known_one_is_right(void)
{
	uint8_t hash[HASH_SIZE];
	char hex[HASH_HEX];
	struct hash h;

	hash_start(&h);
	hash_add(&(struct hash_part){&h, (const uint8_t *)"abc", 3}, 1);
	hash_end(&h, hash);
	hex_encode(hex, hash, HASH_SIZE);
	check(strcmp(hex, "bddd813c634239723171ef3fee98579b94964e3bb1cb3e427262c8c068d52319") == 0, "abc");
}

/* Inputs of chance lengths, each delivered in chance pieces, several pieces of each in a call. */
static bool
mixed_inputs_are_right(unsigned count)
{
	struct hash hashes[MANY];
	size_t from[MANY], length[MANY], done[MANY] = {0}, left = count;
	bool good = true;

	for (unsigned i = 0; i < count; i++) {
		from[i] = (size_t)rand() % (sizeof(content) - LARGEST);
		length[i] = (size_t)rand() % (rand() % 4 == 0 ? 300 : LARGEST);
		hash_start(&hashes[i]);
	}
	while (left != 0) {
		struct hash_part parts[3 * MANY];
		size_t n = 0;

		left = 0;
		for (unsigned i = 0; i < count; i++) {
			for (int piece = rand() % 4; piece > 0; piece--) {
				size_t most = length[i] - done[i], size = rand() % 3 == 0 ? most : (size_t)rand() % (most + 1);

				parts[n++] = (struct hash_part){&hashes[i], content + from[i] + done[i], size};
				done[i] += size;
			}
			left += done[i] < length[i];
		}
		hash_add(parts, n);
	}
	for (unsigned i = 0; i < count; i++) {
		uint8_t hash[HASH_SIZE];

		hash_end(&hashes[i], hash);
		good = good && is_hash_of(hash, content + from[i], length[i]);
	}
	return good;
}

static void
any_mixture_is_right(void)
{
	bool good = true;

	for (int round = 0; round < 2000; round++)
		good = good && mixed_inputs_are_right(1 + (unsigned)rand() % MANY);
	check(good, "mixtures");
}

struct told {
	size_t length;
	unsigned times;
	bool good;
};

static void
tell(void *context, void *item, int error, const uint8_t hash[HASH_SIZE], uint64_t size)
{
	struct told *told = item;
	unsigned *count = context;

	++*count;
	told->times++;
	if (told->length == SIZE_MAX)
		told->good = error == EISDIR;
	else
		told->good = error == 0 && size == told->length && is_hash_of(hash, content, told->length);
}

static int
file_of(size_t length)
{
	int fd = memfd_create("content", MFD_CLOEXEC);

	check(fd >= 0 && write_all(fd, content, length) == 0 && lseek(fd, 0, SEEK_SET) == 0, "file");
	return fd;
}

/* Some to their end, some to the length that was asked for, one that cannot be read. */
static void
files_are_told_of_once(void)
{
	struct told told[FILES] = {0};
	unsigned count = 0;
	struct hash_pool *pool = hash_pool_new(tell, &count);
	bool good = true;

	for (unsigned i = 0; i < FILES; i++) {
		struct told *t = &told[i];

		t->length = i == 7 ? SIZE_MAX : i % 9 == 0 ? 0 : (size_t)rand() % (i % 5 == 0 ? sizeof(content) : 9000);
		if (i == 7)
			hash_pool_add(pool, open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC), 100, t);
		else if (i % 3 == 0)
			hash_pool_add(pool, file_of(sizeof(content)), t->length, t);
		else
			hash_pool_add(pool, file_of(t->length), UINT64_MAX, t);
	}
	hash_pool_end(pool);
	for (unsigned i = 0; i < FILES; i++)
		good = good && told[i].times == 1 && told[i].good;
	check(good && count == FILES, "files");
}

int
main(void)
{
	srand(7693);
	for (size_t i = 0; i < sizeof(content); i++)
		content[i] = (uint8_t)rand();
	if (sodium_init() < 0)
		return 1;
	every_short_length_is_right();
	a_known_one_is_right();
	any_mixture_is_right();
	files_are_told_of_once();
	printf("%u passed, %u failed\n", passed, failed);
	return failed != 0;
}
