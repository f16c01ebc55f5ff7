/* SPDX-License-Identifier: MIT */
/*
 * The common cases of signal and poll, of an interrupt and of a page fault; as
 * in fastpath.c, NULL means that nothing was changed and the slow path has to
 * do it.
 */
#include "fast.h"

struct thread *
fastpath_fault(struct cpu *c, struct thread *t, uint32_t label, uint64_t address, uint64_t esr)
{
	struct slot *s = &t->slots[HOME_THREAD_FAULT_HANDLER - 1];
	struct thread *to;

	if (s->type != OBJ_ENDPOINT)
		return NULL;
	to = call_target(c, t, s->endpoint);
	if (to == NULL)
		return NULL;

	t->fault = label;
	t->fault_address = address;
	t->fault_esr = esr;
	t->badge = s->badge;
	to->regs.x[0] = OK;
	to->regs.x[1] = MSG_INFO(label, 4, 0);
	to->regs.x[2] = t->regs.pc;
	to->regs.x[3] = address;
	to->regs.x[4] = esr;
	to->regs.x[5] = 0;
	to->regs.x[6] = 0;
	to->regs.x[7] = 0;
	to->regs.x[8] = s->badge;
	call_switch(c, t, s->endpoint, to);
	return to;
}

/* ---- signals and interrupts ------------------------------------------------------ */

/* The running thread is preempted: first in the queue of its priority. */
FAST void
preempt_current(struct cpu *c, struct thread *t)
{
	struct queue *q = &c->ready[t->priority];
	struct thread *first = q->head;

	t->next = first;
	if (first != NULL)
		first->prev = t;
	else
		q->tail = t;
	q->head = t;
	c->ready_bits[t->priority / 64] |= 1ull << (t->priority % 64);
	t->queued = QUEUED_RUN;
	c->ready_count++;
	t->ready_since = c->account_from;
}

/* t runs; the first waiter of n takes over with its bits.  NULL: not at once. */
FAST struct thread *
wake_switch(struct cpu *c, struct thread *t, struct notification *n, uint64_t badge)
{
	struct thread *w = n->queue.head;

	if (w->priority <= t->priority || w->sched == NULL || !can_wake_here(c, w) ||
	    !unlimited_here(c, w->sched) || !unlimited_here(c, t->sched))
		return NULL;
	w->regs.x[0] = OK;
	w->regs.x[8] = n->bits | badge;
	n->bits = 0;
	queue_take_head(&n->queue, w);
	w->notification = NULL;
	charge_to(c, w->sched);
	preempt_current(c, t);
	switch_current(c, w);
	return w;
}

/* A personality's VCPU is told by an interrupt, unless it sleeps. */
FAST bool
raise_awake(struct thread *t)
{
	if (t->state == THREAD_WFI)
		return false;
	arch_vcpu_raise(t->vcpu);
	if (thread_runs_elsewhere(t))
		arch_kick_cpu(t->cpu);
	return true;
}

/* What the signal does; t: nothing that changes who runs. */
FAST struct thread *
signal(struct cpu *c, struct thread *t, struct notification *n, uint64_t badge)
{
	struct thread *b = n->bound;

	if ((n->bits | badge) == 0)
		return t;
	if (n->queue.head != NULL)
		return wake_switch(c, t, n, badge);
	if (b != NULL) {
		if (b->vcpu != NULL ? !raise_awake(b) : b->state == THREAD_RECV)
			return NULL;
	}
	n->bits |= badge;
	return t;
}

struct thread *
fastpath_signal(uint64_t index)
{
	struct cpu *c = cpu_self();
	struct thread *t = c->current;
	struct slot *s;

	if (index >= t->cspace_count)
		return NULL;
	s = slot_at(t, index);
	if (!slot_is(s, OBJ_NOTIFICATION, RIGHT_WRITE))
		return NULL;
	return signal(c, t, s->notification, s->badge);
}

struct poll_result
fastpath_poll(uint64_t index)
{
	struct thread *t = cpu_self()->current;
	struct poll_result result = { .done = 0 };
	struct slot *s;

	if (index >= t->cspace_count)
		return result;
	s = slot_at(t, index);
	if (!slot_is(s, OBJ_NOTIFICATION, RIGHT_READ))
		return result;
	result.done = 1;
	result.bits = s->notification->bits;
	s->notification->bits = 0;
	return result;
}

/* A driver's line fired while t ran. */
struct thread *
fastpath_interrupt(struct cpu *c, uint32_t intid)
{
	struct irq *irq = irq_find(intid);
	struct thread *to;

	if (c->current == NULL || irq == NULL || irq->notification == NULL ||
	    irq->unanswered >= IRQ_STORM)
		return NULL;
	to = signal(c, c->current, irq->notification, irq->badge);
	if (to != NULL)
		irq->unanswered++;
	return to;
}
