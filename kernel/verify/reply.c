/* SPDX-License-Identifier: MIT *
 * prove: reply_hold
 */
/*
 * Replies: the list of those that a server holds stays a list.
 */
#include <kernel/core.h>

/*@ // Time has its own file; here it is enough that lists are not its affair.
  requires \valid(from) && \valid(to) && \valid(through);
  exits \false;
  assigns from->sched, to->sched, through->below, through->above, through->lent,
	through->obj.progress;
*/
void sched_lend(struct thread *from, struct thread *to, struct reply *through);

/*@
  requires \valid(r) && \valid(caller) && \valid(server) && \separated(r, caller, server);
  requires server->serving == \null || (\valid(server->serving) &&
	\separated(server->serving, r, caller, server) &&
	server->serving->prev == &server->serving);
  exits \false;
  assigns r->server, r->caller, r->next, r->prev, server->serving->prev, server->serving,
	caller->reply, caller->state, caller->sched, server->sched, r->below, r->above, r->lent,
	r->obj.progress;
  ensures r->server == server && r->caller == caller && caller->reply == r;
  ensures caller->state == THREAD_REPLY;
  ensures server->serving == r && r->prev == &server->serving;
  ensures r->next == \old(server->serving);
  ensures r->next != \null ==> r->next->prev == &r->next;
*/
void reply_hold(struct reply *r, struct thread *caller, struct thread *server);

#include "../core/reply.c"
