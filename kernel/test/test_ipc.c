/* SPDX-License-Identifier: MIT */
/*
 * Messages, faults, notifications, replies, lending.
 *
 * init makes the actors, then steps aside by lowering its priority; tests let
 * the thread that runs act, and look at registers.
 */
#include "test.h"

static uint64_t
reg(const struct actor *a, unsigned n)
{
	return a->t->regs.x[n];
}

TEST(call_and_reply_carry_words_and_badge)
{
	uint32_t e = make(OBJ_ENDPOINT, 0), b = new_slot();
	struct actor s = actor(20, 0, false), c = actor(10, 0, false);

	EXPECT(mint(b, e, RIGHTS_ALL, 77), OK);
	start(&s);
	start(&c);
	init_sleeps();
	EXPECT(running(0) == s.t, true);
	syscall_on(0, SYS_RECV, e, 0, 0, 0, s.reply);
	EXPECT(running(0) == c.t, true);
	syscall_on(0, SYS_CALL, b, MSG_INFO(5, 2, 0), 0x1234, 0, 0);
	EXPECT(running(0) == s.t, true);
	EXPECT(reg(&s, 0), OK);
	EXPECT(reg(&s, 1), MSG_INFO(5, 2, 0));
	EXPECT(reg(&s, 2), 0x1234);
	EXPECT(reg(&s, 8), 77);
	EXPECT(c.t->state, THREAD_REPLY);
	syscall_on(0, SYS_REPLY_RECV, e, MSG_INFO(6, 1, 0), 0x4321, 0, s.reply);
	EXPECT(running(0) == c.t, true);
	EXPECT(reg(&c, 0), OK);
	EXPECT(reg(&c, 1), MSG_INFO(6, 1, 0));
	EXPECT(reg(&c, 2), 0x4321);
	EXPECT(s.t->state, THREAD_RECV);
	syscall_on(0, SYS_SEND, b, MSG_INFO(9, 1, 0), 3, 0, 0);
	EXPECT(running(0) == s.t, true);
	EXPECT(reg(&s, 1), MSG_INFO(9, 1, 0));
	EXPECT(slot_of(s.reply)->reply->server == NULL, true);
	syscall_on(0, SYS_SEND, s.reply, 0, 0, 0, 0);
	EXPECT(reg(&s, 0), ERR_STATE);
}

TEST(passive_server_runs_on_its_callers_time)
{
	uint32_t e = make(OBJ_ENDPOINT, 0);
	struct actor s = actor(20, 0, true), c = actor(10, 0, false);
	struct sched_context *time = c.t->sched;
	uint32_t helper = make(OBJ_SCHED_CONTEXT, 0);

	EXPECT(INVOKE(INIT_SLOT_SCHED_CONTROL, SCHED_CONTROL_CONFIGURE, helper, 0, 1000, 1000), OK);
	EXPECT(INVOKE(helper, SCHED_CONTEXT_BIND, s.thread), OK);
	start(&s);
	init_sleeps();
	syscall_on(0, SYS_RECV, e, 0, 0, 0, s.reply);
	wake_init();
	EXPECT(INVOKE0(helper, SCHED_CONTEXT_UNBIND), OK);
	start(&c);
	init_sleeps();
	syscall_on(0, SYS_CALL, e, info_words(0), 0, 0, 0);
	EXPECT(running(0) == s.t, true);
	EXPECT(s.t->sched == time && c.t->sched == NULL, true);
	host_advance(100);
	syscall_on(0, SYS_REPLY_RECV, e, info_words(0), 0, 0, s.reply);
	EXPECT(running(0) == c.t, true);
	EXPECT(c.t->sched == time && s.t->sched == NULL, true);
	wake_init();
	EXPECT(time->consumed >= 100, true);
	/* The server's death gives the time back. */
	init_sleeps();
	syscall_on(0, SYS_CALL, e, info_words(0), 0, 0, 0);
	EXPECT(running(0) == s.t, true);
	wake_init();
	EXPECT(delete(s.thread), OK);
	init_sleeps();
	EXPECT(running(0) == c.t, true);
	EXPECT(reg(&c, 0), ERR_GONE);
	EXPECT(c.t->sched == time, true);
}

TEST(long_messages_go_through_the_buffers)
{
	uint32_t e = make(OBJ_ENDPOINT, 0), gift = make(OBJ_NOTIFICATION, 0), into = new_slot();
	struct actor s = actor(20, 0, false), c = actor(10, 0, false);

	start(&s);
	start(&c);
	init_sleeps();
	s.t->ipc->recv_slots[0] = into;
	s.t->ipc->recv_slots[1] = 0;
	for (unsigned i = 6; i < 120; i++)
		c.t->ipc->words[i] = i * 3;
	c.t->ipc->caps[0] = c.t->ipc->caps[1] = gift;
	syscall_on(0, SYS_RECV, e, 0, 0, 0, s.reply);
	syscall_on(0, SYS_CALL, e, MSG_INFO(1, 121, 0), 0, 0, 0);
	EXPECT(reg(&c, 0), ERR_ARGUMENT);
	syscall_on(0, SYS_CALL, e, MSG_INFO(1, 0, 5), 0, 0, 0);
	EXPECT(reg(&c, 0), ERR_ARGUMENT);
	syscall_on(0, SYS_CALL, e, MSG_INFO(1, 120, 2), 0, 0, 0);
	EXPECT(running(0) == s.t, true);
	EXPECT(reg(&s, 0), ERR_TRUNCATED);
	EXPECT(reg(&s, 1), MSG_INFO(1, 120, 1));
	for (unsigned i = 6; i < 120; i++)
		EXPECT(s.t->ipc->words[i], i * 3);
	EXPECT(slot_of(into)->type, OBJ_NOTIFICATION);
	wake_init();
	EXPECT(revoke(gift), OK);
	EXPECT(slot_of(into)->type, OBJ_NULL);
}

TEST(capabilities_travel_only_with_the_right)
{
	uint32_t e = make(OBJ_ENDPOINT, 0), weak = new_slot();
	struct actor c = actor(10, 0, false);

	EXPECT(copy(weak, e, RIGHT_WRITE), OK);
	start(&c);
	init_sleeps();
	c.t->ipc->caps[0] = e;
	syscall_on(0, SYS_CALL, weak, MSG_INFO(1, 0, 1), 0, 0, 0);
	EXPECT(reg(&c, 0), ERR_RIGHTS);
	c.t->ipc->caps[0] = SCRATCH + 900;
	syscall_on(0, SYS_CALL, e, MSG_INFO(1, 0, 1), 0, 0, 0);
	EXPECT(reg(&c, 0), ERR_SLOT_EMPTY);
	syscall_on(0, SYS_RECV, weak, 0, 0, 0, 0);
	EXPECT(reg(&c, 0), ERR_RIGHTS);
	syscall_on(0, SYS_NB_SEND, weak, 0, 0, 0, 0);
	EXPECT(reg(&c, 0), ERR_WOULD_BLOCK);
	syscall_on(0, SYS_NB_RECV, e, 0, 0, 0, 0);
	EXPECT(reg(&c, 0), ERR_WOULD_BLOCK);
	syscall_on(0, 99, e, 0, 0, 0, 0);
	EXPECT(reg(&c, 0), ERR_CALL);
}

TEST(deadlines_end_what_blocks)
{
	uint32_t e = make(OBJ_ENDPOINT, 0), n = make(OBJ_NOTIFICATION, 0);
	struct actor a = actor(10, 0, false), b = actor(9, 0, false), c = actor(8, 0, false);

	start(&a);
	start(&b);
	start(&c);
	init_sleeps();
	syscall_on(0, SYS_RECV, e, 0, 0, host_now, 0);
	EXPECT(reg(&a, 0), ERR_TIMEOUT);
	syscall_on(0, SYS_WAIT, n, 0, 0, host_now + 300, 0);
	EXPECT(running(0) == b.t, true);
	syscall_on(0, SYS_CALL, e, 0, 0, host_now + 200, 0);
	EXPECT(running(0) == c.t, true);
	syscall_on(0, SYS_CALL, e, 0, 0, host_now + 100, 0);
	EXPECT(running(0) == NULL, true);
	EXPECT(cpus[0].arch.timer, host_now + 100);
	host_advance(99);
	EXPECT(running(0) == NULL, true);
	host_advance(1);
	EXPECT(running(0) == c.t, true);
	EXPECT(reg(&c, 0), ERR_TIMEOUT);
	host_advance(100);
	EXPECT(running(0) == b.t, true);
	host_advance(100);
	EXPECT(running(0) == a.t, true);
	EXPECT(reg(&a, 0), ERR_TIMEOUT);
	EXPECT(slot_of(e)->endpoint->state, ENDPOINT_IDLE);
}

TEST(destroyed_endpoint_wakes_everybody)
{
	uint32_t u = make(OBJ_UNTYPED, 12), e = new_slot();
	struct actor a = actor(10, 0, false), b = actor(9, 0, false), c = actor(8, 0, false);

	EXPECT(retype(u, OBJ_ENDPOINT, 0, e, 1), OK);
	start(&a);
	start(&b);
	start(&c);
	init_sleeps();
	syscall_on(0, SYS_CALL, e, 0, 0, 0, 0);
	syscall_on(0, SYS_SEND, e, 0, 0, 0, 0);
	syscall_on(0, SYS_CALL, e, 0, 0, 0, 0);
	wake_init();
	preempt_every = 0;
	EXPECT(revoke(u), OK);
	EXPECT(reg(&a, 0), ERR_GONE);
	EXPECT(reg(&b, 0), ERR_GONE);
	EXPECT(reg(&c, 0), ERR_GONE);
	EXPECT(a.t->state, THREAD_READY);
}

TEST(destroyed_reply_wakes_its_caller)
{
	uint32_t e = make(OBJ_ENDPOINT, 0);
	struct actor s = actor(20, 0, false), c = actor(10, 0, false);

	start(&s);
	start(&c);
	init_sleeps();
	syscall_on(0, SYS_RECV, e, 0, 0, 0, s.reply);
	wake_init();
	EXPECT(delete(s.reply), OK);	/* prepared only */
	EXPECT(reg(&s, 0), ERR_GONE);
	s.reply = make(OBJ_REPLY, 0);
	init_sleeps();
	syscall_on(0, SYS_RECV, e, 0, 0, 0, s.reply);
	syscall_on(0, SYS_CALL, e, 0, 0, 0, 0);
	EXPECT(running(0) == s.t, true);
	syscall_on(0, SYS_RECV, e, 0, 0, 0, s.reply);
	EXPECT(reg(&s, 0), ERR_BUSY);
	wake_init();
	EXPECT(delete(s.reply), OK);
	EXPECT(reg(&c, 0), ERR_GONE);
}

TEST(call_without_a_reply_prepared_is_refused)
{
	uint32_t e = make(OBJ_ENDPOINT, 0);
	struct actor s = actor(20, 0, false), c = actor(10, 0, false);

	start(&s);
	start(&c);
	init_sleeps();
	syscall_on(0, SYS_RECV, e, 0, 0, 0, 0);
	syscall_on(0, SYS_CALL, e, 0, 0, 0, 0);
	EXPECT(reg(&c, 0), ERR_STATE);
	EXPECT(s.t->state, THREAD_RECV);
	syscall_on(0, SYS_NB_SEND, e, info_words(1), 5, 0, 0);
	EXPECT(running(0) == s.t, true);
	EXPECT(reg(&s, 2), 5);
	/* Now the caller comes first. */
	init_sleeps();
	EXPECT(running(0) == c.t, true);
	syscall_on(0, SYS_CALL, e, 0, 0, 0, 0);
	EXPECT(c.t->state, THREAD_SEND);
	wake_init();
	init_sleeps();
	EXPECT(running(0) == NULL || running(0) == s.t, true);
}

TEST(notification_bits_gather_and_wake)
{
	uint32_t n = make(OBJ_NOTIFICATION, 0), b1 = new_slot(), b2 = new_slot(), e = make(OBJ_ENDPOINT, 0);
	struct actor a = actor(20, 0, false), b = actor(10, 0, false);

	EXPECT(mint(b1, n, RIGHTS_ALL, 1), OK);
	EXPECT(mint(b2, n, RIGHT_WRITE, 2), OK);
	start(&a);
	start(&b);
	init_sleeps();
	syscall_on(0, SYS_WAIT, n, 0, 0, 0, 0);
	EXPECT(running(0) == b.t, true);
	syscall_on(0, SYS_SIGNAL, n, 0, 0, 0, 0);	/* no badge: no bits */
	EXPECT(running(0) == b.t, true);
	syscall_on(0, SYS_SIGNAL, b2, 0, 0, 0, 0);
	EXPECT(running(0) == a.t, true);
	EXPECT(reg(&a, 0), OK);
	EXPECT(reg(&a, 8), 2);
	EXPECT(reg(&b, 0), OK);
	syscall_on(0, SYS_SIGNAL, b1, 0, 0, 0, 0);
	syscall_on(0, SYS_SIGNAL, b2, 0, 0, 0, 0);
	syscall_on(0, SYS_POLL, b2, 0, 0, 0, 0);
	EXPECT(reg(&a, 0), ERR_RIGHTS);
	syscall_on(0, SYS_POLL, n, 0, 0, 0, 0);
	EXPECT(reg(&a, 8), 3);
	syscall_on(0, SYS_POLL, n, 0, 0, 0, 0);
	EXPECT(reg(&a, 0), ERR_WOULD_BLOCK);
	wake_init();
	EXPECT(INVOKE(a.thread, THREAD_BIND_NOTIFICATION, n), OK);
	EXPECT(INVOKE(b.thread, THREAD_BIND_NOTIFICATION, n), ERR_BUSY);
	init_sleeps();
	syscall_on(0, SYS_RECV, e, 0, 0, 0, 0);
	syscall_on(0, SYS_SIGNAL, b1, 0, 0, 0, 0);
	EXPECT(running(0) == a.t, true);
	EXPECT(reg(&a, 1), MSG_INFO(LABEL_NOTIFICATION, 0, 0));
	EXPECT(reg(&a, 8), 1);
	syscall_on(0, SYS_SIGNAL, b2, 0, 0, 0, 0);
	syscall_on(0, SYS_RECV, e, 0, 0, 0, 0);
	EXPECT(running(0) == a.t, true);
	EXPECT(reg(&a, 8), 2);
	wake_init();
	EXPECT(INVOKE(a.thread, THREAD_BIND_NOTIFICATION, 0), OK);
	EXPECT(INVOKE(b.thread, THREAD_BIND_NOTIFICATION, n), OK);
	EXPECT(revoke(n), OK);
	EXPECT(delete(n), OK);
	EXPECT(b.t->bound == NULL, true);
}

TEST(fault_is_a_call_to_the_handler)
{
	uint32_t e = make(OBJ_ENDPOINT, 0), b = new_slot();
	struct actor s = actor(20, 0, false), c = actor(10, 0, false);

	EXPECT(mint(b, e, RIGHTS_ALL, 55), OK);
	EXPECT(INVOKE(c.thread, THREAD_CONFIGURE, ROOT, c.vspace, c.ipc, 0x1000, b), OK);
	start(&s);
	start(&c);
	init_sleeps();
	syscall_on(0, SYS_RECV, e, 0, 0, 0, s.reply);
	c.t->regs.x[0] = 1234;
	host_fault(0, LABEL_FAULT_MEMORY, 0xdead0000);
	EXPECT(running(0) == s.t, true);
	EXPECT(msg_label(reg(&s, 1)), LABEL_FAULT_MEMORY);
	EXPECT(reg(&s, 2), 0x400000);
	EXPECT(reg(&s, 3), 0xdead0000);
	EXPECT(reg(&s, 8), 55);
	syscall_on(0, SYS_REPLY_RECV, e, MSG_INFO(1, 1, 0), 0x500000, 0, s.reply);
	EXPECT(running(0) == c.t, true);
	EXPECT(c.t->regs.pc, 0x500000);
	EXPECT(c.t->regs.x[0], 1234);
	/* The handler dies while it deals with it: the thread stops. */
	host_fault(0, LABEL_FAULT_EXCEPTION, 0);
	EXPECT(running(0) == s.t, true);
	wake_init();
	EXPECT(delete(s.thread), OK);
	EXPECT(c.t->state, THREAD_SUSPENDED);
	EXPECT(INVOKE0(c.thread, THREAD_RESUME), OK);
	EXPECT(revoke(e), OK);		/* handler gone: suspended, to be configured again */
	EXPECT(c.t->state, THREAD_SUSPENDED);
	EXPECT(INVOKE0(c.thread, THREAD_RESUME), ERR_STATE);
}

TEST(unhandled_fault_suspends_and_inits_resets)
{
	struct actor c = actor(10, 0, false);
	unsigned before = host_resets;

	start(&c);
	init_sleeps();
	host_fault(0, LABEL_FAULT_MEMORY, 0);
	EXPECT(c.t->state, THREAD_SUSPENDED);
	wake_init();
	EXPECT(host_resets, before);
	host_fault(0, LABEL_FAULT_MEMORY, 0);
	EXPECT(host_resets, before + 1);
}

static uint64_t
logged_since(uint64_t from, const char *what)
{
	const struct kernel_log *log = (const struct kernel_log *)kernel_log_memory;
	uint64_t n = 0;

	for (; from + strlen(what) <= log->written; from++) {
		size_t i = 0;

		while (what[i] != '\0' && log->data[(from + i) & (log->size - 1)] == what[i])
			i++;
		n += what[i] == '\0';
	}
	return n;
}

TEST(unhandled_faults_of_a_second_are_few_lines)
{
	struct actor c = actor(10, 0, false);
	uint64_t begin = ((const struct kernel_log *)kernel_log_memory)->written, at = host_now;

	for (unsigned i = 0; i < LOG_REPORTS + 18; i++) {
		if (i == LOG_REPORTS + 17)
			host_now = at + 1000000;	/* the host's timer: a second later */
		start(&c);
		init_sleeps();
		host_fault(0, LABEL_FAULT_MEMORY, 0);
		EXPECT(c.t->state, THREAD_SUSPENDED);
		wake_init();
	}
	EXPECT(logged_since(begin, ": unhandled fault"), LOG_REPORTS + 1);
	EXPECT(logged_since(begin, "kernel: reports left out: 0x11\n"), 1);
}

TEST(lent_time_returns_through_a_chain)
{
	enum { SERVERS = 5 };
	struct actor s[SERVERS], c = actor(10, 0, false);
	uint32_t e[SERVERS], helper = make(OBJ_SCHED_CONTEXT, 0);
	struct sched_context *time = c.t->sched;

	EXPECT(INVOKE(INIT_SLOT_SCHED_CONTROL, SCHED_CONTROL_CONFIGURE, helper, 0, 1000, 1000), OK);
	for (unsigned i = 0; i < SERVERS; i++) {
		s[i] = actor(20, 0, true);
		e[i] = make(OBJ_ENDPOINT, 0);
		EXPECT(INVOKE(helper, SCHED_CONTEXT_BIND, s[i].thread), OK);
		start(&s[i]);
		init_sleeps();
		syscall_on(0, SYS_RECV, e[i], 0, 0, 0, s[i].reply);
		wake_init();
		EXPECT(INVOKE0(helper, SCHED_CONTEXT_UNBIND), OK);
	}
	start(&c);
	init_sleeps();
	for (unsigned i = 0; i < SERVERS; i++) {
		syscall_on(0, SYS_CALL, e[i], 0, 0, 0, 0);
		EXPECT(running(0) == s[i].t, true);
		EXPECT(check_everything(), 0);
	}
	EXPECT(s[SERVERS - 1].t->sched == time, true);
	wake_init();
	/* The middle one goes: its caller has the time, those behind it none. */
	EXPECT(delete(s[2].reply), OK);
	EXPECT(s[1].t->sched == time, true);
	EXPECT(reg(&s[1], 0), ERR_GONE);
	EXPECT(s[SERVERS - 1].t->sched == NULL, true);
	EXPECT(check_everything(), 0);
	EXPECT(delete(s[3].thread), OK);
	EXPECT(s[2].t->sched == NULL, true);
	EXPECT(INVOKE0(c.thread, THREAD_SUSPEND), OK);
	EXPECT(c.t->sched == time, true);
	EXPECT(delete(c.sched), OK);
	EXPECT(c.t->sched == NULL, true);
}

TEST(suspended_call_is_cancelled)
{
	uint32_t e = make(OBJ_ENDPOINT, 0);
	struct actor c = actor(10, 0, false);

	start(&c);
	init_sleeps();
	syscall_on(0, SYS_CALL, e, 0, 0, host_now + 50, 0);
	wake_init();
	EXPECT(INVOKE0(c.thread, THREAD_SUSPEND), OK);
	EXPECT(slot_of(e)->endpoint->state, ENDPOINT_IDLE);
	host_advance(100);
	EXPECT(c.t->state, THREAD_SUSPENDED);
	EXPECT(INVOKE0(c.thread, THREAD_RESUME), OK);
	EXPECT(reg(&c, 0), ERR_CANCELLED);
	init_sleeps();
	syscall_on(0, SYS_CALL, e, 0, 0, 0, 0);
	wake_init();
	EXPECT(INVOKE0(c.thread, THREAD_RESUME), OK);	/* blocked: cancelled as well */
	EXPECT(reg(&c, 0), ERR_CANCELLED);
	EXPECT(c.t->state, THREAD_READY);
}

/* It was there when the message was checked, and is gone when somebody receives. */
TEST(a_capability_that_went_while_its_sender_waited_is_left_out)
{
	uint32_t e = make(OBJ_ENDPOINT, 0), frame = make(OBJ_FRAME, 12), room = new_slot();
	struct actor s = actor(20, 0, false), c = actor(10, 0, false);

	start(&c);
	init_sleeps();
	c.t->ipc->caps[0] = frame;
	syscall_on(0, SYS_SEND, e, MSG_INFO(5, 1, 1), 0x1234, 0, 0);
	EXPECT(c.t->state, THREAD_SEND);
	wake_init();
	EXPECT(delete(frame), OK);
	start(&s);
	s.t->ipc->recv_slots[0] = room;
	init_sleeps();
	EXPECT(running(0) == s.t, true);
	syscall_on(0, SYS_RECV, e, 0, 0, 0, 0);
	EXPECT(reg(&s, 0), ERR_TRUNCATED);
	EXPECT(reg(&s, 2), 0x1234);
	EXPECT(slot_of(room)->type, OBJ_NULL);
}

TEST(the_first_of_two_receivers_is_called)
{
	uint32_t e = make(OBJ_ENDPOINT, 0);
	struct actor first = actor(20, 0, false), second = actor(19, 0, false), c = actor(10, 0, false);

	start(&first);
	start(&second);
	start(&c);
	init_sleeps();
	syscall_on(0, SYS_RECV, e, 0, 0, 0, first.reply);
	syscall_on(0, SYS_RECV, e, 0, 0, 0, second.reply);
	EXPECT(running(0) == c.t, true);
	syscall_on(0, SYS_CALL, e, info_words(0), 0, 0, 0);
	EXPECT(running(0) == first.t, true);
	EXPECT(second.t->state, THREAD_RECV);
	syscall_on(0, SYS_REPLY_RECV, e, info_words(0), 0, 0, first.reply);
	EXPECT(running(0) == c.t, true);
	syscall_on(0, SYS_CALL, e, info_words(0), 0, 0, 0);
	EXPECT(running(0) == second.t, true);
}
