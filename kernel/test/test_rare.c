/* SPDX-License-Identifier: MIT */
/*
 * What random worlds seldom or never come to: operations that end in the
 * middle of something else, full rings, long chains, partners without a
 * buffer.  Cases that have a fast path run with it and without.
 */
#include "test.h"

/* One kernel entry of init with an interrupt at the first preemption point. */
static bool
begins(uint32_t cap, uint32_t label, unsigned n, const uint64_t *args)
{
	struct thread *t = init_thread;

	t->regs.x[0] = cap;
	t->regs.x[1] = MSG_INFO(label, n, 0);
	for (unsigned i = 0; i < n; i++)
		t->regs.x[2 + i] = args[i];
	host_preempt = 0;
	host_syscall(t->cpu, SYS_CALL);
	host_preempt = -1;
	return t->restarted != 0;
}
#define BEGINS(cap, label, ...)							\
	begins((cap), (label), sizeof((uint64_t[]){ __VA_ARGS__ }) / 8, (uint64_t[]){ __VA_ARGS__ })

/* What a thread other than init is told about an invocation. */
static enum error
invoke_on(unsigned cpu, uint32_t cap, uint32_t label, unsigned n, const uint64_t *args)
{
	struct thread *t = running(cpu);

	for (unsigned i = 1; i < n; i++)
		t->regs.x[2 + i] = args[i];
	syscall_on(cpu, SYS_CALL, cap, MSG_INFO(label, n, 0), n > 0 ? args[0] : 0, 0, 0);
	return (enum error)t->regs.x[0];
}
#define INVOKE_ON(cpu, cap, label, ...)						\
	invoke_on((cpu), (cap), (label), sizeof((uint64_t[]){ __VA_ARGS__ }) / 8, (uint64_t[]){ __VA_ARGS__ })

/* A server without time of its own that waits in e. */
static struct actor
passive_server(uint32_t e, unsigned priority)
{
	struct actor s = actor(priority, 0, true);
	uint32_t helper = make(OBJ_SCHED_CONTEXT, 0);

	EXPECT(INVOKE(INIT_SLOT_SCHED_CONTROL, SCHED_CONTROL_CONFIGURE, helper, 0, 1000, 1000), OK);
	EXPECT(INVOKE(helper, SCHED_CONTEXT_BIND, s.thread), OK);
	start(&s);
	init_sleeps();
	EXPECT(running(0) == s.t, true);
	syscall_on(0, SYS_RECV, e, 0, 0, 0, s.reply);
	wake_init();
	EXPECT(INVOKE0(helper, SCHED_CONTEXT_UNBIND), OK);
	EXPECT(delete(helper), OK);
	return s;
}

/* ---- death of what is waited for --------------------------------------------- */

TEST(destroyed_notification_wakes_its_waiters_one_by_one)
{
	uint32_t n = make(OBJ_NOTIFICATION, 0);
	struct actor a = actor(10, 0, false), b = actor(10, 0, false);

	start(&a);
	start(&b);
	init_sleeps();
	syscall_on(0, SYS_WAIT, n, 0, 0, 0, 0);
	syscall_on(0, SYS_WAIT, n, 0, 0, 0, 0);
	wake_init();
	preempt_every = 0;
	EXPECT(delete(n), OK);
	EXPECT(restarts >= 2, true);
	EXPECT(a.t->regs.x[0], ERR_GONE);
	EXPECT(b.t->regs.x[0], ERR_GONE);
	EXPECT(a.t->state, THREAD_READY);
}

TEST(destroyed_notification_lets_go_of_its_interrupts_one_by_one)
{
	uint32_t n = make(OBJ_NOTIFICATION, 0), h[3];

	for (unsigned i = 0; i < 3; i++) {
		h[i] = new_slot();
		EXPECT(INVOKE(INIT_SLOT_IRQ_CONTROL, IRQ_CONTROL_GET, 40 + i, 0, 0, h[i]), OK);
		EXPECT(INVOKE(h[i], IRQ_HANDLER_BIND, n), OK);
	}
	preempt_every = 0;
	EXPECT(delete(n), OK);
	EXPECT(restarts >= 3, true);
	for (unsigned i = 0; i < 3; i++)
		EXPECT(irqs[40 + i].notification == NULL, true);
}

TEST(dead_server_owes_nobody)
{
	uint32_t e = make(OBJ_ENDPOINT, 0), second = make(OBJ_REPLY, 0);
	struct actor s = actor(20, 0, false), c[2] = { actor(10, 0, false), actor(10, 0, false) };

	start(&s);
	start(&c[0]);
	start(&c[1]);
	init_sleeps();
	syscall_on(0, SYS_RECV, e, 0, 0, 0, s.reply);
	syscall_on(0, SYS_CALL, e, 0, 0, 0, 0);
	syscall_on(0, SYS_RECV, e, 0, 0, 0, second);
	syscall_on(0, SYS_CALL, e, 0, 0, 0, 0);
	wake_init();
	preempt_every = 0;
	EXPECT(delete(s.thread), OK);
	for (unsigned i = 0; i < 2; i++) {
		EXPECT(c[i].t->regs.x[0], ERR_GONE);
		EXPECT(c[i].t->state, THREAD_READY);
	}
	EXPECT(slot_of(second)->reply->caller == NULL, true);
}

TEST_ON(2, dying_spaces_take_nothing_in)
{
	uint32_t vs = make(OBJ_VSPACE, 14), io = make(OBJ_IO_SPACE, 14), d = make(OBJ_IO_DEVICE, 0);
	uint32_t f[3] = { make(OBJ_FRAME, 12), make(OBJ_FRAME, 12), make(OBJ_FRAME, 12) };
	uint32_t g[2] = { make(OBJ_FRAME, 12), make(OBJ_FRAME, 12) }, t = make(OBJ_THREAD, 0);
	struct actor a = actor(10, 1, false);

	EXPECT(INVOKE(INIT_SLOT_IO_CONTROL, IO_CONTROL_ASSIGN, d, 0, 3, IO_NO_ITS, 0), OK);
	for (unsigned i = 0; i < 2; i++) {
		EXPECT(INVOKE(f[i], FRAME_MAP, vs, 0x60000000 + i * 4096, RIGHT_READ, 0), OK);
		EXPECT(INVOKE(g[i], FRAME_MAP_IO, io, 0x10000 + i * 4096, RIGHT_READ), OK);
	}
	start(&a);
	host_settle();
	EXPECT(running(1) == a.t, true);
	EXPECT(BEGINS(ROOT, CNODE_DELETE, vs), true);
	EXPECT(INVOKE_ON(1, f[2], FRAME_MAP, vs, 0x60010000, RIGHT_READ, 0), ERR_STATE);
	EXPECT(INVOKE_ON(1, t, THREAD_CONFIGURE, ROOT, vs, 0, 0, 0), ERR_STATE);
	EXPECT(check_everything(), 0);
	EXPECT(delete(vs), OK);
	EXPECT(BEGINS(ROOT, CNODE_DELETE, io), true);
	EXPECT(INVOKE_ON(1, f[2], FRAME_MAP_IO, io, 0x20000, RIGHT_READ), ERR_STATE);
	EXPECT(INVOKE_ON(1, d, IO_DEVICE_BIND, io), ERR_STATE);
	EXPECT(check_everything(), 0);
	EXPECT(delete(io), OK);
}

TEST(large_cnode_dies_in_steps)
{
	uint32_t u = make(OBJ_UNTYPED, 16), c = new_slot();

	EXPECT(retype(u, OBJ_CNODE, 9, c, 1), OK);
	EXPECT(INVOKE(normal_untyped, UNTYPED_RETYPE, OBJ_ENDPOINT, 0, c, 500, 1, 0), OK);
	preempt_every = 0;
	EXPECT(delete(c), OK);
	EXPECT(restarts >= 7, true);
	preempt_every = -1;
	EXPECT(retype(u, OBJ_FRAME, 16, new_slot(), 1), OK);	/* all of it is free again */
}

TEST_ON(2, map_that_another_unmaps_meanwhile_ends_in_its_error)
{
	uint32_t big = make(OBJ_FRAME, 18), one = make(OBJ_FRAME, 12), vs = make(OBJ_VSPACE, 15);
	struct actor a = actor(10, 1, false);
	const uint64_t v = 0x601f0000;		/* 16 pages of one table, then of another */
	bool undoing = false;

	EXPECT(INVOKE(one, FRAME_MAP, vs, v + 0x20000, RIGHT_READ, 0), OK);
	start(&a);
	host_settle();
	for (unsigned i = 0; i < 100 && !undoing; i++) {
		EXPECT(BEGINS(big, FRAME_MAP, vs, v, RIGHT_READ, 0), true);
		undoing = init_thread->rollback != 0;
	}
	EXPECT(undoing, true);
	EXPECT(INVOKE_ON(1, big, FRAME_UNMAP, 0), OK);
	EXPECT(INVOKE(big, FRAME_MAP, vs, v, RIGHT_READ, 0), ERR_MAPPED);
	EXPECT(slot_of(vs)->vspace->mapped_bytes, 4096);
}

TEST_ON(2, thread_that_waits_to_be_written_back_may_be_so_already)
{
	struct actor a = actor(10, 1, false);

	start(&a);
	host_settle();
	EXPECT(INVOKE0(a.thread, THREAD_SUSPEND), OK);
	host_settle();
	cpus[1].arch.live = a.t;
	EXPECT(BEGINS(ROOT, CNODE_DELETE, a.thread), true);
	EXPECT(a.t->queued, QUEUED_RELEASE);
	cpus[1].arch.live = NULL;		/* another thread took the registers over */
	EXPECT(BEGINS(ROOT, CNODE_DELETE, a.thread), true);
	EXPECT(cpus[1].release.head == NULL, true);
	EXPECT(delete(a.thread), OK);
}

TEST(moving_a_frame_keeps_the_list_of_mappings)
{
	uint32_t f[3] = { make(OBJ_FRAME, 12), make(OBJ_FRAME, 12), make(OBJ_FRAME, 12) }, to = new_slot();
	uint32_t vs = make(OBJ_VSPACE, 14);

	for (unsigned i = 0; i < 3; i++)
		EXPECT(INVOKE(f[i], FRAME_MAP, vs, 0x60000000 + i * 4096, RIGHT_READ, 0), OK);
	for (unsigned i = 0; i < 3; i++) {	/* last in the list, in the middle, first */
		EXPECT(INVOKE(ROOT, CNODE_MOVE, to, 0, f[i]), OK);
		EXPECT(check_everything(), 0);
		EXPECT(INVOKE(ROOT, CNODE_MOVE, f[i], 0, to), OK);
		EXPECT(check_everything(), 0);
	}
	EXPECT(delete(vs), OK);
	EXPECT(slot_of(f[0])->vspace == NULL && slot_of(f[2])->vspace == NULL, true);
}

TEST(unbound_vcpu_is_deleted_alone)
{
	EXPECT(delete(make(OBJ_VCPU, 0)), OK);
}

/* ---- arguments ---------------------------------------------------------------- */

TEST(device_memory_is_given_out_at_chosen_places)
{
	uint32_t u = 0, f = new_slot(), g = new_slot();

	for (uint32_t i = 1; i < SCRATCH; i++)
		if (slot_of(i)->type == OBJ_UNTYPED && slot_of(i)->device && slot_of(i)->pages >= 14)
			u = i;
	EXPECT(u != 0, true);
	EXPECT(INVOKE(u, UNTYPED_RETYPE, OBJ_FRAME, 12, 0, f, 1, 0x1800), ERR_ALIGN);
	EXPECT(INVOKE(u, UNTYPED_RETYPE, OBJ_FRAME, 12, 0, f, 1, 1ull << 40), ERR_NO_MEMORY);
	EXPECT(INVOKE(u, UNTYPED_RETYPE, OBJ_FRAME, 12, 0, f, 1, 0x2000), OK);
	EXPECT(slot_of(f)->frame.base_page, (slot_of(u)->base >> 12) + 2);
	EXPECT(INVOKE(u, UNTYPED_RETYPE, OBJ_FRAME, 12, 0, g, 1, 0x1000), ERR_RANGE);
	EXPECT(INVOKE(u, UNTYPED_RETYPE, OBJ_FRAME, 12, 0, g, 1, 0x3000), OK);
	EXPECT(INVOKE(normal_untyped, UNTYPED_RETYPE, OBJ_FRAME, 12, 0, new_slot(), 1, 0x1000), ERR_ARGUMENT);
}

TEST(what_lacks_a_right_is_refused)
{
	uint32_t e = make(OBJ_ENDPOINT, 0), deaf = new_slot(), blind = new_slot(), device = new_slot();
	struct actor a = actor(10, 0, false);

	EXPECT(copy(deaf, e, RIGHT_READ), OK);
	EXPECT(copy(blind, ROOT, RIGHT_WRITE), OK);
	EXPECT(retype(device_untyped, OBJ_FRAME, 12, device, 1), OK);
	EXPECT(INVOKE(a.thread, THREAD_CONFIGURE, ROOT, a.vspace, device, 0x1000, 0), ERR_RIGHTS);
	/* A thread that may not read its CSpace, and has no IPC buffer. */
	EXPECT(INVOKE(a.thread, THREAD_CONFIGURE, blind, a.vspace, 0, 0, 0), OK);
	start(&a);
	init_sleeps();
	syscall_on(0, SYS_SEND, deaf, 0, 0, 0, 0);
	EXPECT(a.t->regs.x[0], ERR_RIGHTS);
	EXPECT(INVOKE_ON(0, blind, CNODE_COPY, SCRATCH + 1000, 0, e, RIGHTS_ALL), ERR_RIGHTS);
	EXPECT(INVOKE_ON(0, a.thread, THREAD_READ_REGISTERS, 0), ERR_ARGUMENT);
}

TEST(partner_without_a_buffer_gets_what_registers_hold)
{
	uint32_t e = make(OBJ_ENDPOINT, 0);
	struct actor s = actor(20, 0, false), c = actor(10, 0, false);

	EXPECT(INVOKE(s.thread, THREAD_CONFIGURE, ROOT, s.vspace, 0, 0, 0), OK);
	start(&s);
	start(&c);
	init_sleeps();
	syscall_on(0, SYS_RECV, e, 0, 0, 0, s.reply);
	c.t->ipc->caps[0] = e;
	c.t->regs.x[7] = 66;
	syscall_on(0, SYS_CALL, e, MSG_INFO(3, 20, 1), 11, 0, 0);
	EXPECT(running(0) == s.t, true);
	EXPECT(s.t->regs.x[0], ERR_TRUNCATED);
	EXPECT(s.t->regs.x[1], MSG_INFO(3, MSG_WORDS_REG, 0));
	EXPECT(s.t->regs.x[2], 11);
	EXPECT(s.t->regs.x[7], 66);
}

/* ---- time ------------------------------------------------------------------------ */

TEST(full_ring_of_refills_gives_late_and_never_too_much)
{
	struct actor a = actor(10, 0, false);
	struct sched_context *sc = a.t->sched;
	uint64_t ran = 0, begin, sum = 0;

	EXPECT(INVOKE(INIT_SLOT_SCHED_CONTROL, SCHED_CONTROL_CONFIGURE, a.sched, 0, 8000, 100000), OK);
	begin = host_now;
	start(&a);
	for (unsigned i = 0; i < 10; i++) {	/* ten pieces, ten times */
		init_sleeps();
		EXPECT(running(0) == a.t, true);
		host_advance(600);
		ran += 600;
		wake_init();
		host_advance(300);
	}
	EXPECT(sc->refills, REFILLS);
	for (unsigned i = 0; i < sc->refills; i++)
		sum += sc->refill[(sc->head + i) % REFILLS].amount;
	EXPECT(sum, 8000);
	EXPECT(check_everything(), 0);
	/* The rest of the budget, and nothing before the period is over. */
	init_sleeps();
	while (host_now < begin + 100000) {
		ran += running(0) == a.t ? 100 : 0;
		host_advance(100);
	}
	EXPECT(ran <= 8000, true);
	for (unsigned i = 0; i < 2000; i++) {
		ran += running(0) == a.t ? 100 : 0;
		host_advance(100);
	}
	EXPECT(ran > 8000 && ran <= 3 * 8000, true);
}

TEST(sched_context_that_dies_while_lent_is_forgotten_by_all)
{
	uint32_t e[2] = { make(OBJ_ENDPOINT, 0), make(OBJ_ENDPOINT, 0) };
	struct actor s[2], c;

	s[0] = passive_server(e[0], 20);
	s[1] = passive_server(e[1], 30);
	c = actor(10, 0, false);
	start(&c);
	init_sleeps();
	syscall_on(0, SYS_CALL, e[0], 0, 0, 0, 0);
	EXPECT(running(0) == s[0].t, true);
	syscall_on(0, SYS_CALL, e[1], 0, 0, 0, 0);
	EXPECT(running(0) == s[1].t, true);
	wake_init();
	EXPECT(delete(c.sched), OK);
	EXPECT(s[1].t->sched == NULL && s[0].t->sched == NULL && c.t->sched == NULL, true);
	EXPECT(slot_of(s[0].reply)->reply->above == NULL, true);
	EXPECT(slot_of(s[1].reply)->reply->below == NULL, true);
	EXPECT(s[0].t->state == THREAD_REPLY && c.t->state == THREAD_REPLY, true);
	EXPECT(check_everything(), 0);
	EXPECT(delete(s[1].thread), OK);	/* who waits is still told */
	EXPECT(s[0].t->regs.x[0], ERR_GONE);
}

TEST(time_is_lent_through_so_many_calls_and_no_more)
{
	static struct actor s[LEND_MAX + 1];
	static uint32_t e[LEND_MAX + 1];
	struct actor c;

	for (unsigned i = 0; i <= LEND_MAX; i++) {
		e[i] = make(OBJ_ENDPOINT, 0);
		s[i] = passive_server(e[i], 20);
	}
	c = actor(10, 0, false);
	start(&c);
	init_sleeps();
	for (unsigned i = 0; i < LEND_MAX; i++) {
		syscall_on(0, SYS_CALL, e[i], 0, 0, 0, 0);
		EXPECT(running(0) == s[i].t, true);
	}
	syscall_on(0, SYS_CALL, e[LEND_MAX], 0, 0, 0, 0);
	EXPECT(running(0) == s[LEND_MAX - 1].t, true);
	EXPECT(running(0)->regs.x[0], ERR_LIMIT);
	EXPECT(check_everything(), 0);
}

/* ---- cases of the fast paths ------------------------------------------------------- */

#define TEST_BOTH(name)				\
	static void name##_either(void);	\
	TEST(name) { name##_either(); }		\
	TEST(name##_fast)			\
	{					\
		host_fast = true;		\
		name##_either();		\
		host_fast = false;		\
	}					\
	static void name##_either(void)

TEST_BOTH(call_to_a_lower_priority_leaves_the_cpu_to_who_is_between)
{
	uint32_t e = make(OBJ_ENDPOINT, 0);
	struct actor s = actor(5, 0, false), c = actor(100, 0, false), d = actor(70, 0, false);

	start(&s);
	init_sleeps();
	syscall_on(0, SYS_RECV, e, 0, 0, 0, s.reply);
	wake_init();
	start(&c);
	start(&d);
	init_sleeps();
	EXPECT(running(0) == c.t, true);
	syscall_on(0, SYS_CALL, e, info_words(0), 0, 0, 0);
	EXPECT(running(0) == d.t, true);
	EXPECT(s.t->state, THREAD_READY);
	EXPECT(INVOKE_ON(0, d.thread, THREAD_SUSPEND, 0), OK);
	EXPECT(running(0) == s.t, true);
	syscall_on(0, SYS_REPLY_RECV, e, info_words(0), 0, 0, s.reply);
	EXPECT(running(0) == c.t, true);
}

TEST_BOTH(server_answers_the_last_of_two_and_queues_behind_another)
{
	uint32_t e = make(OBJ_ENDPOINT, 0), pool = make(OBJ_ENDPOINT, 0), second = make(OBJ_REPLY, 0);
	struct actor s = actor(20, 0, false), other = actor(21, 0, false);
	struct actor c[2] = { actor(10, 0, false), actor(10, 0, false) };

	start(&s);
	start(&other);
	start(&c[0]);
	start(&c[1]);
	init_sleeps();
	EXPECT(running(0) == other.t, true);
	syscall_on(0, SYS_RECV, pool, 0, 0, 0, other.reply);
	syscall_on(0, SYS_RECV, e, 0, 0, 0, s.reply);
	EXPECT(running(0) == c[0].t, true);
	syscall_on(0, SYS_CALL, e, info_words(0), 1, 0, 0);
	syscall_on(0, SYS_RECV, e, 0, 0, 0, second);
	EXPECT(running(0) == c[1].t, true);
	syscall_on(0, SYS_CALL, e, info_words(0), 2, 0, 0);
	EXPECT(running(0) == s.t, true);
	syscall_on(0, SYS_REPLY_RECV, pool, info_words(1), 7, 0, second);
	EXPECT(running(0) == c[1].t, true);
	EXPECT(c[1].t->regs.x[2], 7);
	EXPECT(slot_of(pool)->endpoint->queue.head == other.t, true);
	EXPECT(slot_of(pool)->endpoint->queue.tail == s.t, true);
	EXPECT(s.t->serving == slot_of(s.reply)->reply && s.t->serving->next == NULL, true);
	EXPECT(check_everything(), 0);
}

TEST_BOTH(preempted_thread_stays_first_among_its_equals)
{
	uint32_t n = make(OBJ_NOTIFICATION, 0), nb = new_slot();
	struct actor high = actor(20, 0, false), a = actor(10, 0, false), b = actor(10, 0, false);

	EXPECT(mint(nb, n, RIGHTS_ALL, 4), OK);
	start(&high);
	start(&a);
	start(&b);
	init_sleeps();
	syscall_on(0, SYS_WAIT, n, 0, 0, 0, 0);
	EXPECT(running(0) == a.t, true);
	syscall_on(0, SYS_SIGNAL, nb, 0, 0, 0, 0);
	EXPECT(running(0) == high.t, true);
	EXPECT(check_everything(), 0);
	syscall_on(0, SYS_WAIT, n, 0, 0, 0, 0);
	EXPECT(running(0) == a.t, true);
}

TEST_BOTH(handler_answers_a_fault_with_a_place_or_with_more_than_is_asked)
{
	uint32_t h = make(OBJ_ENDPOINT, 0);
	struct actor s = actor(20, 0, false), c = actor(10, 0, false);

	EXPECT(INVOKE(c.thread, THREAD_CONFIGURE, ROOT, c.vspace, c.ipc, 0x1000, h), OK);
	start(&s);
	start(&c);
	init_sleeps();
	syscall_on(0, SYS_RECV, h, 0, 0, 0, s.reply);
	c.t->regs.x[3] = 33;
	host_fault(0, LABEL_FAULT_MEMORY, 0x1234);
	EXPECT(running(0) == s.t, true);
	syscall_on(0, SYS_REPLY_RECV, h, MSG_INFO(1, 1, 0), 0x500000, 0, s.reply);
	EXPECT(running(0) == c.t, true);
	EXPECT(c.t->regs.pc, 0x500000);
	host_fault(0, LABEL_FAULT_MEMORY, 0x1234);
	EXPECT(running(0) == s.t, true);
	syscall_on(0, SYS_REPLY_RECV, h, MSG_INFO(0, 20, 0), 0x600000, 0, s.reply);
	EXPECT(running(0) == c.t, true);
	EXPECT(c.t->regs.pc, 0x500000);		/* label 0: where it was */
	EXPECT(c.t->regs.x[3], 33);		/* a fault asked for no message */
	EXPECT(c.t->fault, 0);
}

TEST(deadlines_are_cancelled_from_anywhere)
{
	enum { N = 24 };
	struct actor a[N];
	uint32_t n[N];

	for (unsigned i = 0; i < N; i++) {
		a[i] = actor(20, 0, false);
		n[i] = make(OBJ_NOTIFICATION, 0);
		start(&a[i]);
		init_sleeps();
		EXPECT(running(0) == a[i].t, true);
		syscall_on(0, SYS_WAIT, n[i], 0, 0, host_now + 100000 + (i * 7 % N) * 1000, 0);
		wake_init();
	}
	for (unsigned i = 0; i < N; i += 2) {	/* every second one, from all over the tree */
		EXPECT(INVOKE0(a[i * 5 % N].thread, THREAD_SUSPEND), OK);
		EXPECT(check_everything(), 0);
	}
	init_sleeps();
	host_advance(1000000);
	for (unsigned i = 0; i < N; i++)
		EXPECT(a[i].t->regs.x[0] == ERR_TIMEOUT, a[i].t->state == THREAD_READY);
}
