/* SPDX-License-Identifier: MIT */
/* BLAKE2b-256 without a key (RFC 7693). */
#ifndef BOOT_BLAKE2B_H
#define BOOT_BLAKE2B_H

#include <stddef.h>
#include <stdint.h>

enum { BLAKE2B_HASH = 32, BLAKE2B_BLOCK = 128 };

struct blake2b {
	uint64_t h[8];
	uint64_t length;		/* bytes compressed so far */
	size_t used;			/* bytes in block; a full block waits for more */
	uint8_t block[BLAKE2B_BLOCK];
};

void blake2b_begin(struct blake2b *b);
void blake2b_add(struct blake2b *b, const void *data, size_t size);
void blake2b_end(struct blake2b *b, uint8_t hash[BLAKE2B_HASH]);

#endif
