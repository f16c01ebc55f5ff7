/* SPDX-License-Identifier: MIT */
/*
 * Pairing heaps: the smallest key in front.  Insertion is constant, removal of
 * the front or of any node logarithmic on average; nodes lie in their owners, so
 * nothing is allocated.  The caller locks.  (Fredman et al., "The pairing heap",
 * Algorithmica 1, 1986.)
 */
#ifndef LX_HEAP_H
#define LX_HEAP_H

#include "types.h"

struct heap_node {
	struct heap_node *child;	/* first */
	struct heap_node *next;		/* sibling */
	struct heap_node *prev;		/* sibling before, or the parent of a first child; NULL: root */
	uint64_t key;
};

struct heap {
	struct heap_node *root;
};

static inline bool heap_empty(const struct heap *h) { return h->root == NULL; }
static inline struct heap_node *heap_first(const struct heap *h) { return h->root; }
void heap_insert(struct heap *, struct heap_node *);	/* node->key is set */
void heap_remove(struct heap *, struct heap_node *);	/* it is in the heap */

#endif
