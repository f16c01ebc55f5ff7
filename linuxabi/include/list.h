/* SPDX-License-Identifier: MIT */
/* Doubly linked circular lists; an entry that is on no list points at itself. */
#ifndef LX_LIST_H
#define LX_LIST_H

#include "types.h"

struct list {
	struct list *next, *prev;
};

#define LIST_INIT(l)	{ &(l), &(l) }

static inline void list_init(struct list *l) { l->next = l->prev = l; }
static inline bool list_empty(const struct list *l) { return l->next == l; }

static inline void
list_insert_(struct list *e, struct list *prev, struct list *next)
{
	e->prev = prev;
	e->next = next;
	prev->next = e;
	next->prev = e;
}

static inline void list_add(struct list *head, struct list *e) { list_insert_(e, head, head->next); }
static inline void list_add_tail(struct list *head, struct list *e) { list_insert_(e, head->prev, head); }

static inline void
list_del(struct list *e)
{
	e->prev->next = e->next;
	e->next->prev = e->prev;
	list_init(e);
}

#define list_entry(p, type, member)	container_of(p, type, member)
#define list_first(head, type, member)	list_entry((head)->next, type, member)
#define list_for_each(pos, head, member) \
	for (pos = list_entry((head)->next, __typeof__(*pos), member); \
	     &pos->member != (head); \
	     pos = list_entry(pos->member.next, __typeof__(*pos), member))
#define list_for_each_safe(pos, tmp, head, member) \
	for (pos = list_entry((head)->next, __typeof__(*pos), member), \
	     tmp = list_entry(pos->member.next, __typeof__(*pos), member); \
	     &pos->member != (head); \
	     pos = tmp, tmp = list_entry(tmp->member.next, __typeof__(*pos), member))

#endif
