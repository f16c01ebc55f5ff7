/* SPDX-License-Identifier: MIT *
 * prove: queue_append queue_prepend queue_remove
 */
/*
 * Queues: threads come in at one end, leave from anywhere, and the links of
 * those that stay remain true.
 */
#include <kernel/core.h>

/*@
  predicate next_ok(struct thread *t) = t->next == \null ||
	(\valid(t->next) && t->next->prev == t && \separated(t, t->next));
  predicate prev_ok(struct thread *t) = t->prev == \null ||
	(\valid(t->prev) && t->prev->next == t && \separated(t, t->prev));
  predicate ends_ok(struct queue *q) =
	(q->head == \null <==> q->tail == \null) &&
	(q->head == \null || (\valid(q->head) && \valid(q->tail) &&
	q->head->prev == \null && q->tail->next == \null &&
	\separated(q, q->head) && \separated(q, q->tail) &&
	(q->head == q->tail || \separated(q->head, q->tail))));
*/

/*@
  requires \valid(q) && \valid(t) && \separated(q, t) && ends_ok(q);
  requires q->head == \null || (\separated(t, q->head) && \separated(t, q->tail));
  exits \false;
  assigns t->next, t->prev, q->head, q->tail, q->tail->next;
  ensures q->tail == t && t->next == \null && t->prev == \old(q->tail) && prev_ok(t);
  ensures \old(q->head) == \null ==> q->head == t;
  ensures \old(q->head) != \null ==> q->head == \old(q->head);
  ensures q->head->prev == \null;
*/
void queue_append(struct queue *q, struct thread *t);

/*@
  requires \valid(q) && \valid(t) && \separated(q, t) && ends_ok(q);
  requires q->head == \null || (\separated(t, q->head) && \separated(t, q->tail));
  exits \false;
  assigns t->next, t->prev, q->head, q->tail, q->head->prev;
  ensures q->head == t && t->prev == \null && t->next == \old(q->head) && next_ok(t);
  ensures \old(q->head) == \null ==> q->tail == t;
  ensures \old(q->head) != \null ==> q->tail == \old(q->tail);
  ensures q->tail->next == \null;
*/
static void queue_prepend(struct queue *q, struct thread *t);

/*@
  requires \valid(q) && \valid(t) && \separated(q, t) && ends_ok(q) && next_ok(t) && prev_ok(t);
  requires t->prev == \null <==> q->head == t;
  requires t->next == \null <==> q->tail == t;
  requires t->prev == \null || \separated(q, t->prev);
  requires t->next == \null || \separated(q, t->next);
  requires t->prev == \null || t->next == \null || \separated(t->prev, t->next);
  exits \false;
  assigns t->next, t->prev, q->head, q->tail, t->prev->next, t->next->prev;
  ensures t->next == \null && t->prev == \null;
  ensures \old(t->prev) != \null ==> \old(t->prev)->next == \old(t->next) && q->head == \old(q->head);
  ensures \old(t->prev) == \null ==> q->head == \old(t->next);
  ensures \old(t->next) != \null ==> \old(t->next)->prev == \old(t->prev) && q->tail == \old(q->tail);
  ensures \old(t->next) == \null ==> q->tail == \old(t->prev);
  ensures q->head == \null <==> q->tail == \null;
*/
void queue_remove(struct queue *q, struct thread *t);

#include "../core/sched.c"
