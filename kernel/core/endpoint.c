/* SPDX-License-Identifier: MIT */
/*
 * Endpoints: where senders and receivers meet.  Whoever comes first waits in
 * the queue; the message goes straight from one thread's registers to the
 * other's.  Faults arrive as calls that the kernel makes for a thread.
 */
#include <kernel/core.h>

static void
endpoint_enqueue(struct endpoint *e, struct thread *t, enum endpoint_state state,
	uint64_t deadline)
{
	queue_append(&e->queue, t);
	e->state = state;
	t->endpoint = e;
	t->state = state == ENDPOINT_SENDING ? THREAD_SEND : THREAD_RECV;
	if (deadline != 0)
		deadline_insert(&t->deadline, DEADLINE_THREAD, deadline, t->cpu);
	cpu_self()->reschedule = 1;
}

static void
endpoint_dequeue(struct endpoint *e, struct thread *t)
{
	queue_remove(&e->queue, t);
	if (e->queue.head == NULL)
		e->state = ENDPOINT_IDLE;
	t->endpoint = NULL;
}

/* A thread stops waiting for a partner. */
void
endpoint_remove(struct thread *t)
{
	endpoint_dequeue(t->endpoint, t);
	if (t->state == THREAD_RECV && t->reply != NULL) {
		t->reply->server = NULL;
		t->reply = NULL;
	}
}

/* What a faulting thread's message is: it did not write it itself. */
static void
fault_message(struct thread *from, struct thread *to)
{
	to->regs.x[0] = OK;
	to->regs.x[1] = MSG_INFO(from->fault, 4, 0);
	to->regs.x[2] = from->regs.pc;
	to->regs.x[3] = from->fault_address;
	to->regs.x[4] = from->fault_esr;
	for (unsigned i = 5; i < 8; i++)
		to->regs.x[i] = 0;
	to->regs.x[8] = from->badge;
}

static void
deliver(struct thread *from, struct thread *to)
{
	if (from->fault != 0)
		fault_message(from, to);
	else
		message_copy(from, to, from->message, from->badge, from->can_grant);
}

/*
 * Send what t has in its registers.  With call, t then waits for the answer,
 * and a receiver without time gets t's.
 */
enum error
endpoint_send(struct thread *t, struct endpoint *e, uint64_t info, uint64_t badge,
	bool grant, bool call, bool block, uint64_t deadline)
{
	struct thread *to = e->state == ENDPOINT_RECEIVING ? e->queue.head : NULL;
	enum error err;

	if (to == NULL || call) {
		err = !block ? ERR_WOULD_BLOCK : t->fault != 0 ? OK : block_allowed(t, deadline);
		if (err != OK)
			return err;
	}
	if (to != NULL && call && to->reply == NULL)
		return ERR_STATE;
	if (to != NULL && call && !sched_can_lend(t, to))
		return ERR_LIMIT;

	t->message = info;
	t->badge = badge;
	t->can_grant = grant;
	t->is_call = call;
	if (to == NULL) {
		endpoint_enqueue(e, t, ENDPOINT_SENDING, deadline);
		return OK;
	}
	endpoint_dequeue(e, to);
	deliver(t, to);
	if (call) {
		reply_hold(to->reply, t, to);
		if (deadline != 0)
			deadline_insert(&t->deadline, DEADLINE_THREAD, deadline, t->cpu);
		cpu_self()->reschedule = 1;
	} else if (to->reply != NULL) {
		to->reply->server = NULL;
	}
	to->reply = NULL;
	deadline_cancel(&to->deadline);
	thread_ready(to);
	return OK;
}

/* A bound Notification's bits come before any message. */
static bool
receive_bits(struct thread *t)
{
	uint64_t bits;

	if (t->bound == NULL || !notification_take(t->bound, &bits))
		return false;
	t->regs.x[0] = OK;
	t->regs.x[1] = MSG_INFO(LABEL_NOTIFICATION, 0, 0);
	t->regs.x[8] = bits;
	return true;
}

/* Take the message of the first sender. */
static void
receive_from(struct thread *t, struct endpoint *e, struct thread *from, struct reply *r)
{
	endpoint_dequeue(e, from);
	deliver(from, t);
	if (from->is_call) {
		reply_hold(r, from, t);
	} else {
		thread_wake(from, OK);
	}
}

/*
 * Receive into t's registers, or wait.  A caller that cannot be answered,
 * because no Reply was prepared, is refused.
 */
enum error
endpoint_recv(struct thread *t, struct endpoint *e, struct reply *r, bool block,
	uint64_t deadline)
{
	struct thread *from;
	enum error err;

	if (receive_bits(t))
		return OK;
	while (e->state == ENDPOINT_SENDING) {
		from = e->queue.head;
		if (!from->is_call || (r != NULL && sched_can_lend(from, t))) {
			receive_from(t, e, from, r);
			return OK;
		}
		thread_cancel(from, r == NULL ? ERR_STATE : ERR_LIMIT);
		if (preemption_point())
			return RESTART;
	}
	err = block ? block_allowed(t, deadline) : ERR_WOULD_BLOCK;
	if (err != OK)
		return err;
	t->reply = r;
	if (r != NULL)
		r->server = t;
	endpoint_enqueue(e, t, ENDPOINT_RECEIVING, deadline);
	return OK;
}

/* No capability is left: whoever waits there is told. */
enum error
endpoint_destroy(struct endpoint *e)
{
	while (e->queue.head != NULL) {
		thread_cancel(e->queue.head, ERR_GONE);
		if (preemption_point())
			return RESTART;
	}
	return OK;
}

static void
report_unhandled(const struct thread *t, uint32_t label, uint64_t address, uint64_t esr)
{
	char name[sizeof(t->name) + 1] = { 0 };

	if (t != init_thread && !log_takes_report())
		return;
	__builtin_memcpy(name, t->name, sizeof(t->name));
	log_text("kernel: ");
	log_text(name);
	log_text(label == LABEL_FAULT_TIMEOUT ? ": time-out" : ": unhandled fault");
	log_text(" pc ");
	log_hex(t->regs.pc);
	log_text(" address ");
	log_hex(address);
	log_text(" esr ");
	log_hex(esr);
	log_text("\n");
}

/* A fault is a call of the thread to its handler; without one it stops. */
void
fault_deliver(struct thread *t, uint32_t label, uint64_t address, uint64_t esr)
{
	struct slot *handler = &t->slots[HOME_THREAD_FAULT_HANDLER - 1];

	t->fault = label;
	t->fault_address = address;
	t->fault_esr = esr;
	if (handler->type == OBJ_ENDPOINT && endpoint_send(t, handler->endpoint, 0,
	    handler->badge, false, true, true, 0) == OK)
		return;
	t->fault = 0;
	report_unhandled(t, label, address, esr);
	thread_stop(t);
	if (t == init_thread) {
		log_text("kernel: init has died\n");
		arch_reset();
	}
}

void
kernel_fault(struct thread *t, uint32_t label, uint64_t address, uint64_t esr)
{
	fault_deliver(t, label, address, esr);
}
