/* SPDX-License-Identifier: MIT */
/*
 * Rules of the kernel's placement and of its calls (DESIGN 3.1, 3.2): what a call
 * leaves in the registers, and what a caller finds whose server is gone.
 */
#include "rules.h"

/* ---- registers that the ABI clobbers ----------------------------------------------------- */

/* x9 to x17 after the call, or'ed. */
static uint64_t
left_over(uint64_t number, uint64_t cap, uint64_t message_info, uint64_t deadline, uint64_t reply)
{
	uint64_t left;

	__asm__ volatile(
		"mov x0, %1\n\tmov x1, %2\n\tmov x8, %3\n\tmov x9, %4\n\tmov x10, %5\n\t"
		"mov x11, #-1\n\tmov x12, #-1\n\tmov x13, #-1\n\tmov x14, #-1\n\tmov x15, #-1\n\t"
		"mov x16, #-1\n\tmov x17, #-1\n\tsvc #0\n\t"
		"orr x9, x9, x10\n\torr x11, x11, x12\n\torr x13, x13, x14\n\torr x15, x15, x16\n\t"
		"orr x9, x9, x11\n\torr x13, x13, x15\n\torr x9, x9, x17\n\torr %0, x9, x13\n\t"
		: "=r"(left)
		: "r"(cap), "r"(message_info), "r"(number), "r"(deadline), "r"(reply)
		: "x0", "x1", "x2", "x3", "x4", "x5", "x6", "x7", "x8", "x9", "x10", "x11", "x12", "x13", "x14",
		"x15", "x16", "x17", "memory");
	return left;
}

/* Each call in a way that ends at once: done, refused, or too late. */
void
test_clobbered(uint32_t endpoint)
{
	uint32_t quiet = make(OBJ_ENDPOINT, 0), reply = make(OBJ_REPLY, 0), note = make(OBJ_NOTIFICATION, 0);
	uint64_t left = 0, past = 1;

	left |= left_over(SYS_CALL, endpoint, MSG_INFO(1, 6, 0), 0, 0);
	left |= left_over(SYS_CALL, endpoint, MSG_INFO(1, 8, 0), now() + info->timer_hz, 0);
	left |= left_over(SYS_CALL, quiet, MSG_INFO(1, 0, 0), past, 0);
	left |= left_over(SYS_CALL, 9999, MSG_INFO(1, 0, 0), 0, 0);
	left |= left_over(SYS_CALL, INIT_SLOT_VSPACE, MSG_INFO(VSPACE_INFO, 0, 0), 0, 0);
	left |= left_over(SYS_CALL, INIT_SLOT_VSPACE, MSG_INFO(99, 0, 0), ~0UL, ~0UL);
	left |= left_over(SYS_REPLY_RECV, quiet, MSG_INFO(1, 0, 0), past, reply);
	left |= left_over(SYS_SEND, quiet, MSG_INFO(1, 0, 0), past, 0);
	left |= left_over(SYS_SEND, reply, MSG_INFO(1, 0, 0), 0, ~0UL);
	left |= left_over(SYS_NB_SEND, quiet, MSG_INFO(1, 0, 0), ~0UL, ~0UL);
	left |= left_over(SYS_RECV, quiet, 0, past, reply);
	left |= left_over(SYS_NB_RECV, quiet, 0, ~0UL, reply);
	left |= left_over(SYS_SIGNAL, note, 0, ~0UL, ~0UL);
	left |= left_over(SYS_SIGNAL, make_badged(note, 1), 0, ~0UL, ~0UL);
	left |= left_over(SYS_POLL, note, 0, ~0UL, ~0UL);
	left |= left_over(SYS_POLL, note, 0, ~0UL, ~0UL);
	left |= left_over(SYS_WAIT, note, 0, past, ~0UL);
	left |= left_over(SYS_YIELD, 0, 0, ~0UL, ~0UL);
	left |= left_over(77, 0, 0, ~0UL, ~0UL);
	check("every call leaves zeros in what it clobbers", left == 0);
}

/* ---- a server that is gone ------------------------------------------------------------------- */

/* Its calls end; then its time is its own again, or it could not count. */
static void
orphan(uint64_t endpoint, uint64_t unused)
{
	struct msg m = { .info = MSG_INFO(1, 0, 0) };

	(void)unused;
	shared->beat[5] = 1;
	shared->beat[5] = 100 + sys_call((uint32_t)endpoint, &m, 0);
	for (;;)
		shared->beat[6]++;
}

/* Takes a call and keeps it, on the caller's time. */
static void
keeper(uint64_t endpoint, uint64_t reply)
{
	struct msg m = { 0 };

	sys_recv((uint32_t)endpoint, &m, (uint32_t)reply, 0);
	for (;;)
		shared->beat[7]++;
}

/* Were there nobody to take the time home, the server could not run, and nor could the client. */
static void
one_gone(const char *name, bool served, uint32_t (*what)(uint32_t endpoint, uint32_t reply, uint32_t server))
{
	uint32_t endpoint = make(OBJ_ENDPOINT, 0), reply = make(OBJ_REPLY, 0), server = 0;
	struct thread_made client, t;
	uint64_t before;

	shared->beat[5] = shared->beat[6] = shared->beat[7] = 0;
	if (served) {
		t = thread_new(&(struct thread_plan){ .vspace = INIT_SLOT_VSPACE, .entry = keeper, .arg = endpoint,
			.arg2 = reply, .priority = 150 });
		sleep_ms(5);			/* it is in its receive */
		must("make it passive", cnode_delete(INIT_SLOT_CNODE, t.sched_context));
		server = t.thread;
	}
	client = thread_new(&(struct thread_plan){ .vspace = INIT_SLOT_VSPACE, .entry = orphan, .arg = endpoint,
		.priority = 100 });
	check(served ? "a passive server runs on its caller's time" : "a call waits for a receiver",
		served ? grows(&shared->beat[7], 0) : becomes(&shared->beat[5], 1, PATIENCE_MS));
	if (!served)
		sleep_ms(5);
	must("destroy", cnode_delete(INIT_SLOT_CNODE, what(endpoint, reply, server)));
	check(name, becomes(&shared->beat[5], 100 + ERR_GONE, PATIENCE_MS));
	before = shared->beat[6];
	check("and the caller has its time back", grows(&shared->beat[6], before));
	must("suspend", thread_suspend(client.thread));
	if (served && what(1, 2, 3) != 3)
		must("suspend", thread_suspend(server));
}

static uint32_t
the_endpoint(uint32_t endpoint, uint32_t reply, uint32_t server)
{
	(void)reply;
	(void)server;
	return endpoint;
}

static uint32_t
the_reply(uint32_t endpoint, uint32_t reply, uint32_t server)
{
	(void)endpoint;
	(void)server;
	return reply;
}

static uint32_t
the_server(uint32_t endpoint, uint32_t reply, uint32_t server)
{
	(void)endpoint;
	(void)reply;
	return server;
}

/* A client that does not wait for the answer. */
static void
impatient(uint64_t endpoint, uint64_t deadline)
{
	struct msg m = { .info = MSG_INFO(1, 0, 0) };

	shared->beat[5] = 100 + sys_call((uint32_t)endpoint, &m, deadline);
	for (;;)
		shared->beat[6]++;
}

/* The server's handler hears of a client that went away amid a request. */
static void
client_gone(bool dies, unsigned cpu)
{
	uint32_t endpoint = make(OBJ_ENDPOINT, 0), faults = make(OBJ_ENDPOINT, 0), reply = make(OBJ_REPLY, 0);
	struct thread_made server, client;
	struct msg m = { 0 };
	enum error e;

	shared->beat[5] = shared->beat[6] = shared->beat[7] = 0;
	server = thread_new(&(struct thread_plan){ .vspace = INIT_SLOT_VSPACE, .entry = keeper, .arg = endpoint,
		.arg2 = make(OBJ_REPLY, 0), .priority = 150, .cpu = cpu, .fault_handler = make_badged(faults, 5) });
	sleep_ms(50);			/* it is in its receive */
	must("make it passive", cnode_delete(INIT_SLOT_CNODE, server.sched_context));
	client = thread_new(&(struct thread_plan){ .vspace = INIT_SLOT_VSPACE, .entry = impatient, .arg = endpoint,
		.arg2 = dies ? 0 : now() + info->timer_hz / 10, .priority = 100, .cpu = cpu });
	grows(&shared->beat[7], 0);
	if (dies)
		must("kill the client", cnode_delete(INIT_SLOT_CNODE, client.thread));
	e = sys_recv(faults, &m, reply, now() + 30UL * info->timer_hz);
	check(dies ? "a client's death is told to its server's handler" :
		"a client's deadline is told to its server's handler",
		e == OK && msg_label(m.info) == LABEL_FAULT_TIMEOUT && m.badge == 5 && m.words[0] != 0);
	if (!dies) {
		check("and the client goes on", becomes(&shared->beat[5], 100 + ERR_TIMEOUT, PATIENCE_MS) &&
			grows(&shared->beat[6], 0));
		must("suspend", thread_suspend(client.thread));
	}
	must("suspend", thread_suspend(server.thread));
}

void
test_gone(void)
{
	client_gone(false, 0);
	client_gone(true, info->cpu_count - 1);
	one_gone("a server's thread is destroyed: ERR_GONE", true, the_server);
	one_gone("its Reply is destroyed: ERR_GONE", true, the_reply);
	one_gone("the Endpoint is destroyed: ERR_GONE", false, the_endpoint);
}
