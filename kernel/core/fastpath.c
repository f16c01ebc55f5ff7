/* SPDX-License-Identifier: MIT */
/*
 * The common cases of call and reply_recv without the generality of the rest
 * (DESIGN 3.5).
 *
 * Each function first makes sure that the case is the common one and changes
 * nothing if it is not: NULL sends the caller down the slow path, which does
 * the same operation from the start.  Otherwise it has the very effect that
 * the slow path would have had, and says which thread runs now.  Common means:
 * at most six words, no capabilities, no deadline, everybody on this CPU, and
 * whoever is woken is above all that is ready, so that there is nothing to
 * choose and no slice to time.
 *
 * On arm64 this file is compiled so that it leaves x2 to x7 alone: the words
 * of a message stay in the registers in which they came (vectors.S).  So no
 * function here calls one that is not inline.
 */
#include "fast.h"

/* Message info as the receiver sees it: what came, without undefined bits. */
#define INFO_MASK	0xffffffffffffULL
#define INFO_COUNTS	0xffffULL	/* capabilities and words */

FAST bool
info_is_short(uint64_t info)
{
	return (info & INFO_COUNTS) <= MSG_WORDS_REG;
}

/* The words are in registers, where they stay; x9, the deadline, is 0. */
struct thread *
fastpath_call(uint64_t index, uint64_t info)
{
	struct cpu *c = cpu_self();
	struct thread *t = c->current, *to;
	struct slot *s;

	if (index >= t->cspace_count || !info_is_short(info))
		return NULL;
	s = slot_at(t, index);
	if (!slot_is(s, OBJ_ENDPOINT, RIGHT_WRITE))
		return NULL;
	to = call_target(c, t, s->endpoint);
	if (to == NULL)
		return NULL;

	t->badge = s->badge;
	to->regs.x[1] = info & INFO_MASK;
	to->regs.x[8] = s->badge;
	call_switch(c, t, s->endpoint, to);
	return to;
}

/* ---- reply and receive -------------------------------------------------------- */

/* Can caller go on at once when t answers r and waits? */
FAST bool
can_return_to(const struct cpu *c, const struct thread *t, const struct reply *r,
	const struct thread *caller)
{
	if (r->server != t || r->above != NULL || r->below != NULL || !can_wake_here(c, caller) ||
	    !none_ready_from(c, caller->priority))
		return false;
	if (r->lent != NULL)
		return r->lent == t->sched && caller->sched == NULL;
	return caller->sched != NULL && unlimited_here(c, caller->sched) &&
		unlimited_here(c, t->sched);
}

FAST void
reply_switch(struct cpu *c, struct thread *t, struct reply *r, struct thread *caller)
{
	struct sched_context *sc = r->lent;

	*r->prev = r->next;
	if (r->next != NULL)
		r->next->prev = r->prev;
	r->next = NULL;
	r->prev = NULL;
	r->caller = NULL;		/* r->server stays: t waits with it */
	caller->reply = NULL;

	if (sc != NULL) {		/* the lent time goes home (sched_return) */
		r->lent = NULL;
		sc->top = NULL;
		sc->thread = caller;
		t->sched = NULL;
		caller->sched = sc;
	} else {
		charge_to(c, caller->sched);
	}
	switch_current(c, caller);
}

FAST void
wait_in(struct endpoint *e, struct thread *t, struct reply *r)
{
	struct thread *last = e->queue.tail;

	t->prev = last;
	if (last != NULL)
		last->next = t;
	else
		e->queue.head = t;
	e->queue.tail = t;		/* t->next is NULL: it was in no queue */
	e->state = ENDPOINT_RECEIVING;
	t->endpoint = e;
	t->reply = r;
	t->state = THREAD_RECV;
}

/*
 * The message's info is in regs.x[1], its words in registers.  The caller of a
 * fault did not ask for a message: its registers come back from memory as they
 * were, which the lowest bit of the result tells.
 */
uintptr_t
fastpath_reply_recv(uint64_t index, uint64_t reply_index)
{
	struct cpu *c = cpu_self();
	struct thread *t = c->current, *caller;
	struct slot *s, *reply;
	struct reply *r;
	uint64_t info = t->regs.x[1];

	if (index >= t->cspace_count || reply_index >= t->cspace_count || !info_is_short(info))
		return 0;
	s = slot_at(t, index);
	reply = slot_at(t, reply_index);
	if (!slot_is(s, OBJ_ENDPOINT, RIGHT_READ) || !slot_is(reply, OBJ_REPLY, RIGHT_WRITE))
		return 0;
	if (s->endpoint->state == ENDPOINT_SENDING || (t->bound != NULL && t->bound->bits != 0))
		return 0;
	r = reply->reply;
	caller = r->caller;
	if (caller == NULL || !can_return_to(c, t, r, caller))
		return 0;

	reply_switch(c, t, r, caller);
	wait_in(s->endpoint, t, r);
	if (caller->fault != 0) {
		caller->fault = 0;
		if (msg_label(info) == 1)
			caller->regs.pc = fastpath_word0();
		return (uintptr_t)caller | 1;
	}
	caller->regs.x[1] = info & INFO_MASK;
	caller->regs.x[8] = 0;
	return (uintptr_t)caller;
}
