/* SPDX-License-Identifier: MIT */
/*
 * BLAKE2b-256 (RFC 7693) of several inputs side by side: where the processor has
 * vectors of four words, four inputs cost little more than one.  The hash of each
 * is that of hash_fd and of everybody else's BLAKE2b.
 */
#ifndef PKG_HASH_H
#define PKG_HASH_H

#include "base.h"

enum { HASH_BLOCK = 128 };

/* One input under way; plain data that may be copied. */
struct hash {
	uint64_t h[8];
	uint64_t length;		/* bytes that h stands for */
	size_t held;			/* bytes in block, which h does not stand for yet */
	uint8_t block[HASH_BLOCK];
};
struct hash_part {
	struct hash *hash;
	const uint8_t *data;
	size_t length;
};

void hash_start(struct hash *h);
/* The next bytes of several inputs; parts of one input follow each other in order. */
void hash_add(struct hash_part *parts, size_t count);
void hash_end(struct hash *h, uint8_t hash[HASH_SIZE]);

/*
 * Files that are hashed side by side.  fn is told of each once, when its end or
 * `max` bytes of it were reached, and not in the order in which they came; error is
 * 0 or that of the read.  It must not add to the pool.
 */
struct hash_pool;
typedef void hash_done_fn(void *context, void *item, int error, const uint8_t hash[HASH_SIZE], uint64_t size);
struct hash_pool *hash_pool_new(hash_done_fn *fn, void *context);
void hash_pool_add(struct hash_pool *p, int fd, uint64_t max, void *item);	/* takes fd and closes it */
void hash_pool_end(struct hash_pool *p);	/* tells of all that are left, and frees p */

#endif
