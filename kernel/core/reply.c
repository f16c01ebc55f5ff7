/* SPDX-License-Identifier: MIT */
/*
 * Replies: the right to answer one call, and the way that lent time goes home.
 */
#include <kernel/core.h>

/* caller waits from now on for server's answer through r. */
void
reply_hold(struct reply *r, struct thread *caller, struct thread *server)
{
	r->server = server;
	r->caller = caller;
	r->next = server->serving;
	r->prev = &server->serving;
	if (r->next != NULL)
		r->next->prev = &r->next;
	server->serving = r;
	caller->reply = r;
	caller->state = THREAD_REPLY;
	sched_lend(caller, server, r);
}

/* The caller waits no longer; its time comes back to it. */
void
reply_detach(struct reply *r)
{
	sched_return(r);
	*r->prev = r->next;
	if (r->next != NULL)
		r->next->prev = r->prev;
	r->next = NULL;
	r->prev = NULL;
	r->caller->reply = NULL;
	r->caller = NULL;
	r->server = NULL;
}

/* The caller does not wait for the answer any more: whoever works on its time is told. */
void
reply_abandon(struct reply *r)
{
	struct reply *top = r;
	struct thread *server;

	while (top->above != NULL)	/* at most LEND_MAX */
		top = top->above;
	server = top->lent != NULL ? sched_strand(top->lent, r->above) : NULL;
	reply_detach(r);
	if (server != NULL)
		sched_place(server);
}

/*
 * Answer the caller with what server has in its registers.  To a faulting
 * thread the answer says where it goes on: label 1, a new pc.
 */
void
reply_answer(struct thread *server, struct reply *r, uint64_t info, bool grant)
{
	struct thread *caller = r->caller;

	if (caller->fault != 0) {
		if (msg_label(info) == 1)
			caller->regs.pc = server->regs.x[2];
		caller->fault = 0;
	} else {
		message_copy(server, caller, info, 0, grant);
	}
	reply_detach(r);
	deadline_cancel(&caller->deadline);
	thread_ready(caller);
}

/* No capability is left to it: who waits to be answered, or to receive by it,
 * is told. */
void
reply_destroy(struct reply *r)
{
	if (r->caller != NULL)
		thread_cancel(r->caller, ERR_GONE);
	else if (r->server != NULL)
		thread_cancel(r->server, ERR_GONE);
}
