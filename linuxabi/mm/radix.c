/* SPDX-License-Identifier: MIT */
/*
 * Radix tree from 64-bit indices to pointers, 64 slots a node: the pages of a
 * file.  The tree is as high as its largest index needs; a node that becomes
 * empty is freed, so an empty tree has no memory.  The caller holds the lock.
 */
#include "internal.h"

enum { RADIX_BITS = 6, RADIX_SLOTS = 1 << RADIX_BITS };

struct radix_node {
	uint32_t shift;			/* of the index bits that select a slot */
	uint32_t count;			/* slots in use */
	void *slot[RADIX_SLOTS];
};

static struct kcache *radix_cache;

void
radix_init(void)
{
	radix_cache = kcache_create("radix_node", sizeof(struct radix_node), 64);
	if (radix_cache == NULL)
		panic("radix_init: no memory");
}

static bool
node_covers(const struct radix_node *n, uint64_t index)
{
	return n->shift + RADIX_BITS >= 64 || (index >> (n->shift + RADIX_BITS)) == 0;
}

static unsigned
slot_of(const struct radix_node *n, uint64_t index)
{
	return (unsigned)(index >> n->shift) & (RADIX_SLOTS - 1);
}

static struct radix_node *
node_create(uint32_t shift)
{
	struct radix_node *n = kcache_zalloc(radix_cache);

	if (n != NULL)
		n->shift = shift;
	return n;
}

void *
radix_get(void *const *root, uint64_t index)
{
	const struct radix_node *n = *root;

	if (n == NULL || !node_covers(n, index))
		return NULL;
	while (n->shift != 0) {
		n = n->slot[slot_of(n, index)];
		if (n == NULL)
			return NULL;
	}
	return n->slot[slot_of(n, index)];
}

/* Put nodes on top until the root covers index. */
static int
root_raise(void **root, uint64_t index)
{
	struct radix_node *n = *root;

	if (n == NULL) {
		*root = node_create(0);
		if (*root == NULL)
			return -ENOMEM;
		n = *root;
	}
	while (!node_covers(n, index)) {
		struct radix_node *up = node_create(n->shift + RADIX_BITS);

		if (up == NULL)
			return -ENOMEM;
		if (n->count != 0) {
			up->slot[0] = n;
			up->count = 1;
		} else {
			kcache_free(radix_cache, n);
		}
		*root = n = up;
	}
	return 0;
}

/* Free empty nodes on the path to index; needed after a removal or a failed insertion. */
static void
path_prune(void **root, uint64_t index)
{
	struct radix_node *path[64 / RADIX_BITS + 2];
	unsigned depth = 0;

	for (struct radix_node *n = *root; n != NULL; ) {
		path[depth++] = n;
		if (n->shift == 0)
			break;
		n = n->slot[slot_of(n, index)];
	}
	while (depth > 0 && path[depth - 1]->count == 0) {
		kcache_free(radix_cache, path[--depth]);
		if (depth == 0) {
			*root = NULL;
			return;
		}
		path[depth - 1]->slot[slot_of(path[depth - 1], index)] = NULL;
		path[depth - 1]->count--;
	}
}

int
radix_set(void **root, uint64_t index, void *item)
{
	struct radix_node *n;

	if (root_raise(root, index) != 0) {
		path_prune(root, 0);
		return -ENOMEM;
	}
	for (n = *root; n->shift != 0; ) {
		void **s = &n->slot[slot_of(n, index)];

		if (*s == NULL) {
			*s = node_create(n->shift - RADIX_BITS);
			if (*s == NULL) {
				path_prune(root, index);
				return -ENOMEM;
			}
			n->count++;
		}
		n = *s;
	}
	if (n->slot[slot_of(n, index)] == NULL)
		n->count++;
	n->slot[slot_of(n, index)] = item;
	return 0;
}

void *
radix_remove(void **root, uint64_t index)
{
	struct radix_node *n = *root;
	void *item;

	if (n == NULL || !node_covers(n, index))
		return NULL;
	while (n->shift != 0) {
		n = n->slot[slot_of(n, index)];
		if (n == NULL)
			return NULL;
	}
	item = n->slot[slot_of(n, index)];
	if (item == NULL)
		return NULL;
	n->slot[slot_of(n, index)] = NULL;
	if (--n->count == 0)
		path_prune(root, index);
	return item;
}

static void *
next_in(const struct radix_node *n, uint64_t base, uint64_t *index)
{
	uint64_t from = *index > base ? *index - base : 0;
	unsigned first = n->shift >= 64 ? 0 : (unsigned)(from >> n->shift);

	for (unsigned i = first; i < RADIX_SLOTS; i++) {
		uint64_t at = base + ((uint64_t)i << n->shift);
		void *item = n->slot[i];

		if (item == NULL)
			continue;
		if (n->shift == 0) {
			*index = at;
			return item;
		}
		item = next_in(item, at, index);
		if (item != NULL)
			return item;
	}
	return NULL;
}

void *
radix_next(void *const *root, uint64_t *index)
{
	const struct radix_node *n = *root;

	if (n == NULL || !node_covers(n, *index))
		return NULL;
	return next_in(n, 0, index);
}
