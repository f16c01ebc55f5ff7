/* SPDX-License-Identifier: MIT */
/*
 * The common cases of call and reply_recv without the generality of the rest
 * (DESIGN 3.5).
 *
 * Each function first makes sure that the case is the common one and changes
 * nothing if it is not: NULL sends the caller down the slow path, which does
 * the same operation from the start.  Otherwise it has the very effect that
 * the slow path would have had, and says which thread runs now.  Common means:
 * no capabilities, no deadline, everybody on this CPU, and
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

/*
 * The words beyond the registers go from buffer to buffer.  False: there are
 * capabilities, or no buffers; nothing was copied.
 */
static __attribute__((always_inline)) inline bool
copy_long(const struct thread *from, struct thread *to, uint64_t info)
{
	uint64_t words = info & INFO_COUNTS;

	if (words > MSG_WORDS || from->ipc == NULL || to->ipc == NULL)
		return false;
	for (uint64_t i = MSG_WORDS_REG; i < words; i++)
		to->ipc->words[i] = from->ipc->words[i];
	return true;
}

FAST bool
info_is_short(uint64_t info)
{
	return __builtin_expect((info & INFO_COUNTS) <= MSG_WORDS_REG, 1);
}

/* Words 0 to 5 are in registers, where they stay; x9, the deadline, is 0. */
struct thread *
fastpath_call(uint64_t index, uint64_t info)
{
	struct cpu *c = cpu_self();
	struct thread *t = c->current, *to;
	struct endpoint *e;
	struct slot *s;
	uint64_t badge;

	if (index >= t->cspace_count)
		return NULL;
	s = slot_at(t, index);
	if (!slot_is(s, OBJ_ENDPOINT, RIGHT_WRITE))
		return NULL;
	e = s->endpoint;
	badge = s->badge;
	to = call_target(c, t, e);
	if (to == NULL || (!info_is_short(info) && !copy_long(t, to, info)))
		return NULL;
	call_switch(c, t, e, to);
	t->badge = badge;
	to->regs.x[1] = info & INFO_MASK;
	to->regs.x[8] = badge;
	return to;
}

/* ---- reply and receive -------------------------------------------------------- */

/* Can caller go on at once when t answers r and waits? */
FAST bool
can_return_to(const struct cpu *c, const struct thread *t, const struct reply *r,
	const struct thread *caller)
{
	if (r->server != t || !can_wake_here(c, caller) || !none_ready_from(c, caller->priority))
		return false;
	if (r->lent != NULL)		/* only the top of a stack has it: nothing is above */
		return r->lent == t->sched && r->below == NULL && caller->sched == NULL;
	return r->above == NULL && caller->sched != NULL && unlimited_here(c, caller->sched) &&
		unlimited_here(c, t->sched);
}

/* caller goes on; r->server stays, for t waits with r again. */
FAST void
reply_switch(struct cpu *c, struct thread *t, struct reply *r, struct thread *caller)
{
	struct sched_context *sc = r->lent;
	struct reply *next = r->next, **prev = r->prev;

	*prev = next;
	if (next != NULL)
		next->prev = prev;
	r->next = NULL;
	r->prev = NULL;
	r->caller = NULL;
	caller->reply = NULL;

	if (sc != NULL) {		/* the lent time goes home (sched_return) */
		r->lent = NULL;
		sc->thread = caller;
		sc->top = NULL;
		t->sched = NULL;
		caller->sched = sc;
	} else {
		charge_to(c, caller->sched);
	}
	switch_current(c, caller);
}

FAST void
wait_in(struct endpoint *e, uint64_t state, struct thread *t, struct reply *r)
{
	if (state == ENDPOINT_IDLE) {
		e->queue = (struct queue){ t, t };	/* t's links are NULL: it was in no queue */
		e->state = ENDPOINT_RECEIVING;
	} else {
		t->prev = e->queue.tail;
		e->queue.tail->next = t;
		e->queue.tail = t;
	}
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
	struct endpoint *e;
	struct reply *r;
	uint64_t info = t->regs.x[1], state;

	if (index >= t->cspace_count || reply_index >= t->cspace_count)
		return 0;
	s = slot_at(t, index);
	reply = slot_at(t, reply_index);
	if (!slot_is(s, OBJ_ENDPOINT, RIGHT_READ) || !slot_is(reply, OBJ_REPLY, RIGHT_WRITE))
		return 0;
	e = s->endpoint;
	r = reply->reply;
	caller = r->caller;
	state = e->state;
	if (state == ENDPOINT_SENDING || (t->bound != NULL && t->bound->bits != 0))
		return 0;
	if (caller == NULL || !can_return_to(c, t, r, caller))
		return 0;
	if (caller->fault != 0) {
		if (!info_is_short(info))
			return 0;		/* what it names is looked at all the same */
		caller->fault = 0;
		if (msg_label(info) == 1)
			caller->regs.pc = fastpath_word0();
		reply_switch(c, t, r, caller);
		wait_in(e, state, t, r);
		return (uintptr_t)caller | 1;
	}
	if (!info_is_short(info) && !copy_long(t, caller, info))
		return 0;
	reply_switch(c, t, r, caller);
	wait_in(e, state, t, r);
	caller->regs.x[1] = info & INFO_MASK;
	caller->regs.x[8] = 0;
	return (uintptr_t)caller;
}
