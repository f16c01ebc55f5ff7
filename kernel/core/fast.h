/* SPDX-License-Identifier: MIT */
/*
 * What the fast paths share: checks that a case is the common one, and the
 * direct switch from one thread to another.
 */
#ifndef CORE_FAST_H
#define CORE_FAST_H

#include <kernel/fastpath.h>

/* In registers that fastpath.c reserves nothing can be passed to a function. */
#define FAST static inline __attribute__((always_inline))

/* The slot of that number, or one that is empty: slot 0 is never in use. */
FAST struct slot *
slot_at(const struct thread *t, uint64_t index)
{
	return cnode_slots(t->cspace) + index;
}

FAST bool
slot_is(const struct slot *s, enum object_type type, unsigned right)
{
	return s->type == type && (s->rights & right) != 0;
}

/* No thread of this priority or a higher one waits for this CPU. */
FAST bool
none_ready_from(const struct cpu *c, unsigned priority)
{
	if (c->ready_count == 0)
		return true;		/* the common case, and the cheapest to see */
	if (c->ready_bits[priority / 64] >> (priority % 64) != 0)
		return false;
	for (unsigned word = priority / 64 + 1; word < PRIORITIES / 64; word++)
		if (c->ready_bits[word] != 0)
			return false;
	return true;
}

/* t can be switched to now: it ran here last, and waits without a deadline. */
FAST bool
can_wake_here(const struct cpu *c, const struct thread *t)
{
	return t->cpu == c->id && t->deadline.kind == DEADLINE_NONE && c->reschedule == 0;
}

FAST bool
unlimited_here(const struct cpu *c, const struct sched_context *sc)
{
	return sc->budget == sc->period && sc->cpu == c->id;
}

/* From now on the CPU's time is to's. */
FAST void
charge_to(struct cpu *c, struct sched_context *to)
{
	uint64_t now = arch_now();

	c->charged->consumed += now - c->account_from;
	c->account_from = now;
	c->charged = to;
	to->slice_from = to->consumed;
	c->slice_end = now + to->budget;
}

FAST void
switch_current(struct cpu *c, struct thread *to)
{
	to->state = THREAD_READY;
	c->current = to;
}

FAST void
queue_take_head(struct queue *q, struct thread *head)
{
	struct thread *next = head->next;

	q->head = next;
	if (next != NULL) {
		next->prev = NULL;
		head->next = NULL;
	} else {
		q->tail = NULL;
	}
}

/* ---- a call, by a message or by a fault --------------------------------------- */

/* The receiver of e that can take over from t at once, or NULL. */
FAST struct thread *
call_target(const struct cpu *c, const struct thread *t, const struct endpoint *e)
{
	struct thread *to = e->queue.head;
	const struct sched_context *mine = t->sched;

	if (e->state != ENDPOINT_RECEIVING || to->reply == NULL || !can_wake_here(c, to))
		return NULL;
	if (to->priority <= t->priority && !none_ready_from(c, to->priority))
		return NULL;
	if (to->sched == NULL)
		return mine->top == NULL ? to : NULL;
	return unlimited_here(c, to->sched) && unlimited_here(c, mine) ? to : NULL;
}

/*
 * t waits for the answer of `to`, which was first in e's queue and runs now.
 * What is needed is read before the first store: then the compiler need not
 * read anything twice.
 */
FAST void
call_switch(struct cpu *c, struct thread *t, struct endpoint *e, struct thread *to)
{
	struct reply *r = to->reply, *other = to->serving;
	struct sched_context *sc = t->sched, *own = to->sched;
	struct thread *next = to->next;

	if (next == NULL) {
		e->queue = (struct queue){ NULL, NULL };
		e->state = ENDPOINT_IDLE;
	} else {
		e->queue.head = next;
		next->prev = NULL;
		to->next = NULL;
	}
	to->endpoint = NULL;
	to->reply = NULL;

	r->caller = t;
	r->next = other;
	r->prev = &to->serving;
	if (other != NULL)
		other->prev = &r->next;
	to->serving = r;
	t->reply = r;
	t->state = THREAD_REPLY;

	if (own == NULL) {		/* passive: it runs on t's time (sched_lend) */
		r->lent = sc;
		r->obj.progress = 1;
		sc->thread = to;
		sc->top = r;
		t->sched = NULL;
		to->sched = sc;
	} else {
		charge_to(c, own);
	}
	switch_current(c, to);
}

#endif
