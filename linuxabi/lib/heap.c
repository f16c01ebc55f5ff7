/* SPDX-License-Identifier: MIT */
/* Pairing heaps: see heap.h. */
#include "heap.h"

/* Both are roots without siblings. */
static struct heap_node *
meld(struct heap_node *a, struct heap_node *b)
{
	struct heap_node *t;

	if (a == NULL)
		return b;
	if (b == NULL)
		return a;
	/* On equal keys the one that was there first stays in front. */
	if (b->key < a->key) {
		t = a;
		a = b;
		b = t;
	}
	b->prev = a;
	b->next = a->child;
	if (b->next != NULL)
		b->next->prev = b;
	a->child = b;
	return a;
}

/* Two passes over a list of siblings: pairs from the left, then all from the right. */
static struct heap_node *
meld_siblings(struct heap_node *first)
{
	struct heap_node *stack = NULL, *result = NULL;

	while (first != NULL) {
		struct heap_node *a = first, *b = a->next;

		first = b != NULL ? b->next : NULL;
		a->next = a->prev = NULL;
		if (b != NULL)
			b->next = b->prev = NULL;
		a = meld(a, b);
		a->next = stack;
		stack = a;
	}
	while (stack != NULL) {
		struct heap_node *n = stack;

		stack = n->next;
		n->next = NULL;
		result = meld(n, result);
	}
	return result;
}

void
heap_insert(struct heap *h, struct heap_node *n)
{
	n->child = n->next = n->prev = NULL;
	h->root = meld(h->root, n);
}

void
heap_remove(struct heap *h, struct heap_node *n)
{
	struct heap_node *rest = meld_siblings(n->child);

	if (n == h->root) {
		h->root = rest;
	} else {
		if (n->prev->child == n)
			n->prev->child = n->next;
		else
			n->prev->next = n->next;
		if (n->next != NULL)
			n->next->prev = n->prev;
		h->root = meld(h->root, rest);
	}
	n->child = n->next = n->prev = NULL;
}
