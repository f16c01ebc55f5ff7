/* SPDX-License-Identifier: MIT */
/*
 * A passive server whose client goes away amid the request is without time: its
 * fault handler is told.
 */
#include "test.h"

struct stranding {
	struct actor server, client, handler;
	uint32_t endpoint, faults, helper;
};

static uint32_t
handled(struct actor *a, uint32_t faults, uint64_t badge)
{
	uint32_t slot = new_slot();

	EXPECT(mint(slot, faults, RIGHTS_ALL, badge), OK);
	EXPECT(INVOKE(a->thread, THREAD_CONFIGURE, ROOT, a->vspace, a->ipc, 0x1000, slot), OK);
	return slot;
}

/* The thread runs on helper's time until it receives. */
static void
receive_passively(const struct actor *a, uint32_t helper, uint32_t endpoint)
{
	EXPECT(INVOKE(helper, SCHED_CONTEXT_BIND, a->thread), OK);
	start(a);
	init_sleeps();
	EXPECT(running(0) == a->t, true);
	syscall_on(0, SYS_RECV, endpoint, 0, 0, 0, a->reply);
	wake_init();
	EXPECT(INVOKE0(helper, SCHED_CONTEXT_UNBIND), OK);
}

/* The server works for the client, whose call ends at the deadline (0: never); the handler receives. */
static struct stranding
stranding(uint64_t deadline, bool has_handler)
{
	struct stranding w = { .endpoint = make(OBJ_ENDPOINT, 0), .faults = make(OBJ_ENDPOINT, 0),
		.helper = make(OBJ_SCHED_CONTEXT, 0) };

	w.server = actor(20, 0, true);
	w.client = actor(10, 0, false);
	w.handler = actor(30, 0, false);
	EXPECT(INVOKE(INIT_SLOT_SCHED_CONTROL, SCHED_CONTROL_CONFIGURE, w.helper, 0, 1000, 1000), OK);
	if (has_handler)
		handled(&w.server, w.faults, 9);
	receive_passively(&w.server, w.helper, w.endpoint);
	start(&w.handler);
	start(&w.client);
	init_sleeps();
	syscall_on(0, SYS_RECV, w.faults, 0, 0, 0, w.handler.reply);
	EXPECT(running(0) == w.client.t, true);
	syscall_on(0, SYS_CALL, w.endpoint, 0, 0, deadline, 0);
	EXPECT(running(0) == w.server.t, true);
	return w;
}

static void
expect_told(const struct stranding *w)
{
	EXPECT(running(0) == w->handler.t, true);
	EXPECT(msg_label(w->handler.t->regs.x[1]), LABEL_FAULT_TIMEOUT);
	EXPECT(w->handler.t->regs.x[3], 0);
	EXPECT(w->handler.t->regs.x[4], 0);
	EXPECT(w->handler.t->regs.x[8], 9);
	EXPECT(w->server.t->sched == NULL, true);
	EXPECT(w->server.t->stranded, 0);
	EXPECT(check_everything(), 0);
}

TEST(a_clients_deadline_is_told_to_the_servers_handler)
{
	struct stranding w = stranding(arch_now() + 5000, true);

	host_advance(5000);
	expect_told(&w);
	EXPECT(w.client.t->regs.x[0], ERR_TIMEOUT);
	/* What the pattern of abort.h does: the server is gone from its request, and starts anew. */
	syscall_on(0, SYS_SEND, w.server.reply, 0, 0, 0, 0);
	EXPECT(w.handler.t->regs.x[0], ERR_STATE);
	wake_init();
	EXPECT(INVOKE0(w.server.thread, THREAD_SUSPEND), OK);
	EXPECT(INVOKE(w.server.thread, THREAD_WRITE_REGISTERS, 0x500000, 0, 0, 0, 0, 0), OK);
	EXPECT(INVOKE0(w.handler.thread, THREAD_SUSPEND), OK);
	EXPECT(INVOKE0(w.client.thread, THREAD_SUSPEND), OK);
	receive_passively(&w.server, w.helper, w.endpoint);
	EXPECT(INVOKE0(w.client.thread, THREAD_RESUME), OK);
	init_sleeps();
	EXPECT(running(0) == w.client.t, true);
	syscall_on(0, SYS_CALL, w.endpoint, 0, 0, 0, 0);
	EXPECT(running(0) == w.server.t, true);
}

TEST(a_clients_death_is_told_to_the_servers_handler)
{
	struct stranding w = stranding(0, true);

	wake_init();
	EXPECT(delete(w.client.thread), OK);
	init_sleeps();
	expect_told(&w);
}

TEST(the_loss_of_lent_time_is_told_to_the_servers_handler)
{
	struct stranding w = stranding(0, true);

	wake_init();
	EXPECT(delete(w.client.sched), OK);
	init_sleeps();
	expect_told(&w);
	EXPECT(w.client.t->state, THREAD_REPLY);	/* it is still answered */
	syscall_on(0, SYS_SEND, w.server.reply, 0, 0, 0, 0);
	EXPECT(w.handler.t->regs.x[0], OK);
	EXPECT(w.client.t->state, THREAD_READY);
}

TEST(a_server_that_waits_is_told_on_when_it_goes_on)
{
	uint32_t note = make(OBJ_NOTIFICATION, 0), bell = new_slot();
	struct stranding w;

	EXPECT(mint(bell, note, RIGHTS_ALL, 1), OK);
	w = stranding(0, true);
	syscall_on(0, SYS_WAIT, note, 0, 0, 0, 0);
	wake_init();
	EXPECT(delete(w.client.thread), OK);
	EXPECT(w.server.t->stranded, 1);
	EXPECT(w.handler.t->state, THREAD_RECV);
	syscall_on(0, SYS_SIGNAL, bell, 0, 0, 0, 0);
	init_sleeps();
	expect_told(&w);
}

TEST(a_server_without_a_handler_waits_for_time)
{
	struct stranding w = stranding(0, false);

	wake_init();
	EXPECT(delete(w.client.thread), OK);
	EXPECT(w.server.t->state, THREAD_READY);
	EXPECT(INVOKE(w.helper, SCHED_CONTEXT_BIND, w.server.thread), OK);
	EXPECT(w.server.t->stranded, 0);
	init_sleeps();
	EXPECT(running(0) == w.server.t, true);
}

/* The server has called another one; that one is told first, and when it is made to answer, the server. */
TEST(every_server_of_a_chain_is_told)
{
	uint32_t deep = make(OBJ_ENDPOINT, 0), helper = make(OBJ_SCHED_CONTEXT, 0);
	struct actor second = actor(25, 0, true);
	struct stranding w;

	EXPECT(INVOKE(INIT_SLOT_SCHED_CONTROL, SCHED_CONTROL_CONFIGURE, helper, 0, 1000, 1000), OK);
	w = stranding(0, true);
	wake_init();
	handled(&second, w.faults, 7);
	receive_passively(&second, helper, deep);
	init_sleeps();
	EXPECT(running(0) == w.server.t, true);
	syscall_on(0, SYS_CALL, deep, 0, 0, 0, 0);
	EXPECT(running(0) == second.t, true);
	wake_init();
	EXPECT(delete(w.client.thread), OK);
	EXPECT(w.server.t->stranded, 1);
	init_sleeps();
	EXPECT(running(0) == w.handler.t, true);
	EXPECT(w.handler.t->regs.x[8], 7);
	EXPECT(second.t->stranded, 0);
	/* The handler answers the inner call, and receives the outer server's fault. */
	syscall_on(0, SYS_SEND, second.reply, 0, 0, 0, 0);
	EXPECT(w.handler.t->regs.x[0], OK);
	EXPECT(w.server.t->fault, LABEL_FAULT_TIMEOUT);
	w.handler.reply = 0;
	syscall_on(0, SYS_RECV, w.faults, 0, 0, 0, 0);	/* without a Reply it is refused, and stays suspended */
	EXPECT(w.server.t->state, THREAD_SUSPENDED);
}

/* It keeps the client's Reply, and wants the next message: that is nothing to abort. */
TEST(a_server_that_receives_is_not_amid_a_request)
{
	uint32_t quiet = make(OBJ_ENDPOINT, 0), other = make(OBJ_REPLY, 0);
	struct stranding w = stranding(0, true);

	syscall_on(0, SYS_RECV, quiet, 0, 0, 0, other);
	EXPECT(w.server.t->state, THREAD_RECV);
	wake_init();
	EXPECT(delete(w.client.thread), OK);
	EXPECT(w.server.t->stranded, 0);
	EXPECT(w.handler.t->state, THREAD_RECV);
}
