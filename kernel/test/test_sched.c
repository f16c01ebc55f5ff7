/* SPDX-License-Identifier: MIT */
/*
 * Threads, time, CPUs, personalities, interrupts, controls.
 */
#include "test.h"

static uint32_t
sleep_init(void)
{
	uint32_t n = make(OBJ_NOTIFICATION, 0);

	syscall_on(init_thread->cpu, SYS_WAIT, n, 0, 0, 0, 0);
	return n;
}

static void
wake(uint32_t n)
{
	host_cpu = &cpus[0];
	notification_signal(slot_of(n)->notification, 1);
	cpus[0].arch.kicked = true;
	host_settle();
}

TEST(highest_priority_runs_and_equals_take_turns)
{
	struct actor a = actor(10, 0, false), b = actor(10, 0, false), c = actor(30, 0, false);
	uint32_t n;

	start(&a);
	start(&b);
	n = sleep_init();
	EXPECT(running(0) == a.t, true);
	host_advance(10000);
	EXPECT(running(0) == b.t, true);
	host_advance(9999);
	EXPECT(running(0) == b.t, true);
	host_advance(1);
	EXPECT(running(0) == a.t, true);
	syscall_on(0, SYS_YIELD, 0, 0, 0, 0, 0);
	EXPECT(running(0) == b.t, true);
	wake(n);
	start(&c);
	n = sleep_init();
	EXPECT(running(0) == c.t, true);
	syscall_on(0, SYS_YIELD, 0, 0, 0, 0, 0);
	EXPECT(running(0) == c.t, true);
	EXPECT(cpus[0].arch.timer, NEVER);	/* alone at its priority: no tick */
	wake(n);
	EXPECT(INVOKE(c.thread, THREAD_SET_PRIORITY, 5, 5), OK);
	n = sleep_init();
	EXPECT(running(0) == b.t, true);
}

/* A slice that is cut short by somebody more urgent goes on after that; a new one each time would starve the other. */
TEST(equals_take_turns_though_others_preempt_them)
{
	struct actor a = actor(10, 0, false), b = actor(10, 0, false);
	unsigned ran[2] = { 0, 0 };
	uint32_t n;

	start(&a);
	start(&b);
	n = sleep_init();
	for (unsigned i = 0; i < 60; i++) {
		host_advance(1000);
		ran[running(0) == b.t]++;
		wake(n);
		EXPECT(running(0) == init_thread, true);
		syscall_on(0, SYS_WAIT, n, 0, 0, 0, 0);
	}
	EXPECT(ran[0] >= 25 && ran[1] >= 25, true);
}

TEST(priority_is_not_given_beyond_ones_own)
{
	struct actor a = actor(10, 0, false);

	start(&a);
	(void)sleep_init();
	a.t->regs.x[3] = 0;
	syscall_on(0, SYS_CALL, a.thread, MSG_INFO(THREAD_SET_PRIORITY, 2, 0), 11, 0, 0);
	EXPECT(a.t->regs.x[0], ERR_RANGE);
	a.t->regs.x[3] = 11;
	syscall_on(0, SYS_CALL, a.thread, MSG_INFO(THREAD_SET_PRIORITY, 2, 0), 5, 0, 0);
	EXPECT(a.t->regs.x[0], ERR_RANGE);
	a.t->regs.x[3] = 10;
	syscall_on(0, SYS_CALL, a.thread, MSG_INFO(THREAD_SET_PRIORITY, 2, 0), 5, 0, 0);
	EXPECT(a.t->regs.x[0], OK);
}

TEST(budget_is_never_exceeded_in_a_period)
{
	struct actor a = actor(10, 0, false), low = actor(5, 0, false);
	uint64_t ran = 0, begin;

	EXPECT(INVOKE(INIT_SLOT_SCHED_CONTROL, SCHED_CONTROL_CONFIGURE, a.sched, 0, 2000, 10000), OK);
	start(&a);
	start(&low);
	(void)sleep_init();
	EXPECT(running(0) == a.t, true);
	begin = host_now;
	for (unsigned i = 0; i < 1000; i++) {
		bool is_a = running(0) == a.t;

		EXPECT(running(0) != NULL, true);
		host_advance(100);
		ran += is_a ? 100 : 0;
		if (i % 100 == 99)
			EXPECT(ran <= 2000 * ((host_now - begin) / 10000 + 1), true);
	}
	EXPECT(ran >= 18000 && ran <= 22000, true);
	EXPECT(check_everything(), 0);
}

TEST(timeout_fault_when_lent_time_runs_out)
{
	uint32_t e = make(OBJ_ENDPOINT, 0), h = make(OBJ_ENDPOINT, 0), hb = new_slot(), cb = new_slot(), n;
	struct actor s = actor(20, 0, true), c = actor(10, 0, false), handler = actor(30, 0, false);
	uint32_t helper = make(OBJ_SCHED_CONTEXT, 0);

	EXPECT(mint(hb, h, RIGHTS_ALL, 9), OK);
	EXPECT(mint(cb, e, RIGHTS_ALL, 42), OK);
	EXPECT(INVOKE(s.thread, THREAD_CONFIGURE, ROOT, s.vspace, s.ipc, 0x1000, hb), OK);
	EXPECT(INVOKE(INIT_SLOT_SCHED_CONTROL, SCHED_CONTROL_CONFIGURE, helper, 0, 1000, 1000), OK);
	EXPECT(INVOKE(INIT_SLOT_SCHED_CONTROL, SCHED_CONTROL_CONFIGURE, c.sched, 0, 1000, 5000), OK);
	EXPECT(INVOKE(helper, SCHED_CONTEXT_BIND, s.thread), OK);
	start(&handler);
	start(&s);
	n = sleep_init();
	syscall_on(0, SYS_RECV, h, 0, 0, 0, handler.reply);
	syscall_on(0, SYS_RECV, e, 0, 0, 0, s.reply);
	wake(n);
	EXPECT(INVOKE0(helper, SCHED_CONTEXT_UNBIND), OK);
	start(&c);
	n = sleep_init();
	syscall_on(0, SYS_CALL, cb, 0, 0, 0, 0);
	EXPECT(running(0) == s.t, true);
	host_advance(1000);
	EXPECT(running(0) == handler.t, true);
	EXPECT(msg_label(handler.t->regs.x[1]), LABEL_FAULT_TIMEOUT);
	EXPECT(handler.t->regs.x[4 - 2 + 2], 42);
	EXPECT(handler.t->regs.x[8], 9);
	/* It sends the server to its abort path, which answers. */
	handler.t->regs.x[0] = h;
	syscall_on(0, SYS_REPLY_RECV, h, MSG_INFO(1, 1, 0), 0x600000, 0, handler.reply);
	EXPECT(running(0) == NULL, true);
	host_advance(4000);
	EXPECT(running(0) == s.t, true);
	EXPECT(s.t->regs.pc, 0x600000);
	syscall_on(0, SYS_REPLY_RECV, e, 0, 0, 0, s.reply);
	EXPECT(running(0) == c.t, true);
}

TEST_ON(4, threads_run_where_their_time_is)
{
	struct actor a = actor(10, 1, false), b = actor(10, 2, false);

	start(&a);
	start(&b);
	host_settle();
	EXPECT(running(1) == a.t, true);
	EXPECT(running(2) == b.t, true);
	EXPECT(INVOKE(INIT_SLOT_SCHED_CONTROL, SCHED_CONTROL_CONFIGURE, a.sched, 3, 10000, 10000), OK);
	host_settle();
	EXPECT(running(1) == NULL, true);
	EXPECT(running(3) == a.t, true);
	EXPECT(INVOKE(INIT_SLOT_SCHED_CONTROL, SCHED_CONTROL_CONFIGURE, a.sched, 2, 10000, 10000), OK);
	EXPECT(INVOKE(INIT_SLOT_SCHED_CONTROL, SCHED_CONTROL_CONFIGURE, a.sched, 4, 10000, 10000), ERR_RANGE);
	EXPECT(INVOKE(INIT_SLOT_SCHED_CONTROL, SCHED_CONTROL_CONFIGURE, a.sched, 2, 10000, 9999), ERR_RANGE);
	EXPECT(INVOKE(INIT_SLOT_SCHED_CONTROL, SCHED_CONTROL_CONFIGURE, a.sched, 2, 1, 10000), ERR_RANGE);
	EXPECT(INVOKE0(b.thread, THREAD_SUSPEND), OK);
	host_settle();
	EXPECT(running(2) == a.t, true);
	EXPECT(INVOKE0(a.sched, SCHED_CONTEXT_UNBIND), OK);
	EXPECT(running(2) == NULL, true);
	EXPECT(INVOKE0(a.sched, SCHED_CONTEXT_CONSUMED), OK);
}

TEST_ON(2, thread_running_elsewhere_is_stopped_before_it_is_deleted)
{
	struct actor a = actor(10, 1, false);

	start(&a);
	host_settle();
	EXPECT(running(1) == a.t, true);
	EXPECT(delete(a.thread), OK);
	EXPECT(restarts > 0, true);
	EXPECT(running(1) == NULL, true);
	a = actor(10, 1, false);
	start(&a);
	host_settle();
	EXPECT(running(1) == a.t, true);
	EXPECT(revoke(a.vspace), OK);
	EXPECT(restarts > 0, true);
	EXPECT(running(1) == NULL, true);
	EXPECT(a.t->configured, 0);
}

TEST_ON(2, passive_server_follows_its_callers_across_cpus)
{
	uint32_t e = make(OBJ_ENDPOINT, 0), helper = make(OBJ_SCHED_CONTEXT, 0), n;
	struct actor s = actor(20, 0, true), c = actor(10, 1, false), d = actor(9, 0, false);

	EXPECT(INVOKE(INIT_SLOT_SCHED_CONTROL, SCHED_CONTROL_CONFIGURE, helper, 0, 1000, 1000), OK);
	EXPECT(INVOKE(helper, SCHED_CONTEXT_BIND, s.thread), OK);
	start(&s);
	n = sleep_init();
	syscall_on(0, SYS_RECV, e, 0, 0, 0, s.reply);
	wake(n);
	EXPECT(INVOKE0(helper, SCHED_CONTEXT_UNBIND), OK);
	start(&c);
	start(&d);
	sleep_init();
	EXPECT(running(1) == c.t, true);
	EXPECT(running(0) == d.t, true);
	cpus[0].arch.live = s.t;	/* its state stayed in CPU 0's registers */
	syscall_on(1, SYS_CALL, e, 0, 0, 0, 0);
	EXPECT(running(1) == s.t, true);
	syscall_on(1, SYS_REPLY_RECV, e, 0, 0, 0, s.reply);
	EXPECT(running(1) == c.t, true);
	syscall_on(0, SYS_CALL, e, 0, 0, 0, 0);
	EXPECT(running(0) == s.t, true);
}

TEST(threads_need_all_their_parts)
{
	uint32_t t = make(OBJ_THREAD, 0), vs = make(OBJ_VSPACE, 13), e = make(OBJ_ENDPOINT, 0);
	uint32_t f = make(OBJ_FRAME, 12), ro = new_slot();

	EXPECT(INVOKE0(t, THREAD_RESUME), ERR_STATE);
	EXPECT(INVOKE(t, THREAD_CONFIGURE, 0, vs, 0, 0, 0), ERR_SLOT);
	EXPECT(INVOKE(t, THREAD_CONFIGURE, e, vs, 0, 0, 0), ERR_TYPE);
	EXPECT(INVOKE(t, THREAD_CONFIGURE, ROOT, vs, f, 1, 0), ERR_ALIGN);
	EXPECT(copy(ro, f, RIGHT_READ), OK);
	EXPECT(INVOKE(t, THREAD_CONFIGURE, ROOT, vs, ro, 0, 0), ERR_RIGHTS);
	EXPECT(INVOKE(t, THREAD_CONFIGURE, ROOT, vs, f, 0, 0), OK);
	EXPECT(INVOKE(t, THREAD_CONFIGURE, ROOT, vs, 0, 0, e), OK);	/* again, differently */
	EXPECT(INVOKE0(t, THREAD_RESUME), OK);
	EXPECT(INVOKE(t, THREAD_CONFIGURE, ROOT, vs, 0, 0, e), ERR_STATE);
	EXPECT(INVOKE(t, THREAD_WRITE_REGISTERS, 1, 2, 3, 4, 5, 6), ERR_STATE);
	EXPECT(INVOKE0(t, THREAD_READ_REGISTERS), ERR_STATE);
	EXPECT(INVOKE0(t, THREAD_SUSPEND), OK);
	EXPECT(INVOKE(t, THREAD_WRITE_REGISTERS, 1, 2, 3, 4, 5, 6), OK);
	EXPECT(INVOKE0(t, THREAD_READ_REGISTERS), OK);
	EXPECT(init_thread->ipc->words[REG_PC], 1);
	EXPECT(init_thread->ipc->words[REG_TPIDR], 6);
	EXPECT(init_thread->ipc->words[0], 3);
	EXPECT(INVOKE(t, THREAD_SET_NAME, 0x6f6c6c6568, 0), OK);
	EXPECT(strcmp(slot_of(t)->thread->name, "hello"), 0);
	EXPECT(revoke(f), OK);		/* its buffer is not in use any more */
	EXPECT(slot_of(t)->thread->configured, 1);
	EXPECT(revoke(e), OK);
	EXPECT(slot_of(t)->thread->configured, 0);
}

TEST(killing_a_component_is_one_revoke)
{
	uint32_t u = make(OBJ_UNTYPED, 20), c = new_slot(), t = new_slot(), vs = new_slot(), f = new_slot();
	uint32_t e = new_slot(), r = new_slot(), sc = new_slot(), n;
	struct thread *victim;

	EXPECT(retype(u, OBJ_CNODE, 6, c, 1), OK);
	EXPECT(retype(u, OBJ_THREAD, 0, t, 1), OK);
	EXPECT(retype(u, OBJ_VSPACE, 15, vs, 1), OK);
	EXPECT(retype(u, OBJ_FRAME, 12, f, 1), OK);
	EXPECT(retype(u, OBJ_ENDPOINT, 0, e, 1), OK);
	EXPECT(retype(u, OBJ_REPLY, 0, r, 1), OK);
	EXPECT(retype(u, OBJ_SCHED_CONTEXT, 0, sc, 1), OK);
	EXPECT(INVOKE(f, FRAME_MAP, vs, 0x10000, RIGHT_READ | RIGHT_WRITE, 0), OK);
	EXPECT(INVOKE(INIT_SLOT_SCHED_CONTROL, SCHED_CONTROL_CONFIGURE, sc, 0, 1000, 1000), OK);
	EXPECT(INVOKE(t, THREAD_CONFIGURE, c, vs, f, 0x10000, 0), OK);
	EXPECT(INVOKE(sc, SCHED_CONTEXT_BIND, t), OK);
	EXPECT(INVOKE(t, THREAD_SET_PRIORITY, 10, 10), OK);
	EXPECT(INVOKE(c, CNODE_COPY, 1, 0, c, RIGHTS_ALL), OK);
	EXPECT(INVOKE(c, CNODE_COPY, 2, 0, e, RIGHTS_ALL), OK);
	EXPECT(INVOKE(c, CNODE_MOVE, 3, 0, r), OK);
	EXPECT(INVOKE(c, CNODE_MOVE, 4, 0, t), OK);
	EXPECT(INVOKE(ROOT, CNODE_COPY, t, c, 4, RIGHTS_ALL), OK);
	EXPECT(INVOKE0(t, THREAD_RESUME), OK);
	victim = slot_of(t)->thread;
	n = sleep_init();
	EXPECT(running(0) == victim, true);
	syscall_on(0, SYS_RECV, 2, 0, 0, 0, 3);
	wake(n);
	for (preempt_every = 0; preempt_every < 1; preempt_every++)
		EXPECT(revoke(u), OK);
	preempt_every = -1;
	EXPECT(slot_of(u)->child == NULL, true);
	EXPECT(slot_of(t)->type, OBJ_NULL);
	EXPECT(retype(u, OBJ_FRAME, 20, f, 1), OK);
}

TEST(thread_loses_its_address_space_by_steps)
{
	struct actor a = actor(10, 0, false);
	uint32_t u = make(OBJ_UNTYPED, 16), vs = new_slot(), f = make(OBJ_FRAME, 16), m;

	EXPECT(retype(u, OBJ_VSPACE, 15, vs, 1), OK);
	for (unsigned i = 0; i < 4; i++) {
		m = new_slot();
		EXPECT(INVOKE(ROOT, CNODE_MINT_FRAME, m, 0, f, RIGHTS_ALL, i * 8192, 4096), OK);
		EXPECT(INVOKE(m, FRAME_MAP, vs, 0x60000000 + i * 4096, RIGHT_READ, 0), OK);
	}
	EXPECT(INVOKE(a.thread, THREAD_CONFIGURE, ROOT, vs, 0, 0, 0), OK);
	preempt_every = 1;		/* the vspace goes before the thread's own capability to it */
	EXPECT(revoke(u), OK);
	EXPECT(restarts >= 2, true);
	EXPECT(slot_of(m)->vspace == NULL, true);
	EXPECT(a.t->configured, 0);
}

TEST(thread_may_delete_itself)
{
	struct actor a = actor(10, 0, false);
	uint32_t n;

	start(&a);
	n = sleep_init();
	EXPECT(running(0) == a.t, true);
	syscall_on(0, SYS_CALL, ROOT, MSG_INFO(CNODE_DELETE, 1, 0), a.thread, 0, 0);
	EXPECT(running(0) == NULL, true);
	EXPECT(slot_of(a.thread)->type, OBJ_NULL);
	wake(n);
	EXPECT(running(0) == init_thread, true);
}

TEST_ON(2, personality_sees_its_notification_and_never_blocks)
{
	uint32_t v = make(OBJ_VCPU, 0), n = make(OBJ_NOTIFICATION, 0), nb = new_slot(), e = make(OBJ_ENDPOINT, 0);
	struct actor a = actor(10, 1, false);

	EXPECT(mint(nb, n, RIGHTS_ALL, 4), OK);
	EXPECT(INVOKE(a.thread, THREAD_BIND_VCPU, v), OK);
	EXPECT(INVOKE(a.thread, THREAD_BIND_VCPU, make(OBJ_VCPU, 0)), ERR_BUSY);
	EXPECT(INVOKE(a.thread, THREAD_BIND_NOTIFICATION, n), OK);
	start(&a);
	host_settle();
	EXPECT(running(1) == a.t, true);
	syscall_on(1, SYS_WAIT, n, 0, 0, 0, 0);
	EXPECT(a.t->regs.x[0], ERR_WOULD_BLOCK);
	syscall_on(1, SYS_CALL, e, 0, 0, 0, 0);
	EXPECT(a.t->regs.x[0], ERR_WOULD_BLOCK);
	syscall_on(1, SYS_RECV, e, 0, 0, 0, a.reply);
	EXPECT(a.t->regs.x[0], ERR_WOULD_BLOCK);
	host_wfi(1);
	EXPECT(a.t->state, THREAD_WFI);
	a.t->regs.x[0] = 4711;
	syscall_on(0, SYS_SIGNAL, nb, 0, 0, 0, 0);
	EXPECT(running(1) == a.t, true);
	EXPECT(a.t->regs.x[0], 4711);
	host_wfi(1);			/* pending: goes on */
	EXPECT(running(1) == a.t, true);
	syscall_on(1, SYS_POLL, n, 0, 0, 0, 0);
	EXPECT(a.t->regs.x[8], 4);
	slot_of(v)->vcpu->arch.timer = host_now + 100;
	host_wfi(1);
	EXPECT(running(1) == NULL, true);
	host_advance(100);
	EXPECT(running(1) == a.t, true);
	host_wfi(1);			/* the timer has fired */
	EXPECT(running(1) == a.t, true);
	EXPECT(delete(v), OK);
	EXPECT(a.t->state, THREAD_SUSPENDED);
	EXPECT(a.t->vcpu == NULL, true);
}

TEST(interrupts_become_notifications)
{
	uint32_t h = new_slot(), n = make(OBJ_NOTIFICATION, 0), nb = new_slot();

	EXPECT(INVOKE(INIT_SLOT_IRQ_CONTROL, IRQ_CONTROL_GET, 5, 0, 0, h), ERR_RANGE);
	EXPECT(INVOKE(INIT_SLOT_IRQ_CONTROL, IRQ_CONTROL_GET, 2000, 0, 0, h), ERR_RANGE);
	EXPECT(INVOKE(INIT_SLOT_IRQ_CONTROL, IRQ_CONTROL_GET, 33, 0, 0, ROOT), ERR_SLOT_FULL);
	EXPECT(INVOKE(INIT_SLOT_IRQ_CONTROL, IRQ_CONTROL_GET, 33, 0, 0, h), OK);
	EXPECT(INVOKE(INIT_SLOT_IRQ_CONTROL, IRQ_CONTROL_GET, 33, 0, 0, new_slot()), ERR_BUSY);
	EXPECT(mint(nb, n, RIGHTS_ALL, 8), OK);
	host_interrupt(0, 33);
	EXPECT(INVOKE(h, IRQ_HANDLER_BIND, nb), OK);
	host_interrupt(0, 33);
	EXPECT(slot_of(n)->notification->bits, 8);
	EXPECT(INVOKE0(h, IRQ_HANDLER_ACK), OK);
	EXPECT(INVOKE(h, IRQ_HANDLER_BIND, 0), OK);
	EXPECT(INVOKE(h, IRQ_HANDLER_BIND, nb), OK);
	EXPECT(revoke(n), OK);
	EXPECT(delete(n), OK);
	EXPECT(irqs[33].notification == NULL, true);
	EXPECT(delete(h), OK);
	EXPECT(INVOKE(INIT_SLOT_IRQ_CONTROL, IRQ_CONTROL_GET, 33, 1, 0, h), OK);
}

TEST(system_control_logs_and_counts)
{
	const struct kernel_log *log = (const struct kernel_log *)kernel_log_memory;
	uint64_t before = log->written;

	EXPECT(INVOKE(INIT_SLOT_SYSTEM_CONTROL, SYSTEM_CONTROL_LOG_WRITE, 3, 0x636261), OK);
	EXPECT(log->written, before + 3);
	EXPECT(log->data[before & (log->size - 1)], 'a');
	EXPECT(INVOKE(INIT_SLOT_SYSTEM_CONTROL, SYSTEM_CONTROL_LOG_WRITE, 41, 0), ERR_RANGE);
	EXPECT(INVOKE(INIT_SLOT_SYSTEM_CONTROL, SYSTEM_CONTROL_LOG_WRITE, 0, 0), ERR_RANGE);
	EXPECT(INVOKE0(INIT_SLOT_SYSTEM_CONTROL, SYSTEM_CONTROL_CHECK), OK);
	EXPECT(result(1), 0);
	EXPECT(INVOKE(INIT_SLOT_SYSTEM_CONTROL, SYSTEM_CONTROL_BENCH, 1), OK);
	EXPECT(result(0), cpus[0].entries);
	EXPECT(INVOKE(INIT_SLOT_SYSTEM_CONTROL, SYSTEM_CONTROL_BENCH, 0), OK);
	EXPECT(INVOKE0(INIT_SLOT_SYSTEM_CONTROL, SYSTEM_CONTROL_RELEASE_CONSOLE), OK);
	EXPECT(console_released, true);
	EXPECT(INVOKE0(INIT_SLOT_SYSTEM_CONTROL, SYSTEM_CONTROL_POWER_OFF), ERR_STATE);
	EXPECT(INVOKE0(INIT_SLOT_SYSTEM_CONTROL, SYSTEM_CONTROL_RESET), ERR_STATE);
}

static enum error
stop(unsigned cpu)
{
	return INVOKE(INIT_SLOT_SYSTEM_CONTROL, SYSTEM_CONTROL_CPU_STOP, cpu);
}

static enum error
start_cpu(unsigned cpu)
{
	return INVOKE(INIT_SLOT_SYSTEM_CONTROL, SYSTEM_CONTROL_CPU_START, cpu);
}

/* A SchedContext of an actor goes to another CPU. */
static enum error
move_to(const struct actor *a, unsigned cpu)
{
	return INVOKE(INIT_SLOT_SCHED_CONTROL, SCHED_CONTROL_CONFIGURE, a->sched, cpu, 10000, 10000);
}

TEST_ON(2, a_cpu_stops_only_when_nothing_needs_it)
{
	struct actor a = actor(10, 1, false);
	uint32_t h = new_slot(), n = make(OBJ_NOTIFICATION, 0);

	EXPECT(stop(2), ERR_RANGE);
	EXPECT(start_cpu(2), ERR_RANGE);
	EXPECT(stop(0), ERR_BUSY);
	EXPECT(start_cpu(1), OK);
	start(&a);
	EXPECT(stop(1), ERR_BUSY);
	EXPECT(INVOKE(a.sched, SCHED_CONTEXT_UNBIND), OK);
	EXPECT(stop(1), ERR_BUSY);		/* its time is still there */
	EXPECT(INVOKE(a.sched, SCHED_CONTEXT_BIND, a.thread), OK);

	/* The thread's state is in CPU 1's registers when its time moves. */
	EXPECT(cpus[1].arch.live == a.t, true);
	EXPECT(INVOKE(a.thread, THREAD_SUSPEND), OK);
	cpus[1].arch.live = a.t;
	EXPECT(move_to(&a, 0), OK);
	EXPECT(stop(1), OK);
	EXPECT(cpus[1].arch.live == NULL && cpus[1].arch.off, true);
	EXPECT(stop(1), OK);
	EXPECT(move_to(&a, 1), ERR_STATE);
	EXPECT(INVOKE0(INIT_SLOT_SYSTEM_CONTROL, SYSTEM_CONTROL_CHECK), OK);
	EXPECT(result(1), 0);

	EXPECT(start_cpu(1), OK);
	EXPECT(cpus[1].arch.off, false);
	EXPECT(move_to(&a, 1), OK);
	EXPECT(INVOKE(a.thread, THREAD_RESUME), OK);
	EXPECT(running(1) == a.t, true);

	/* An interrupt is bound from there, and its time goes. */
	EXPECT(INVOKE(INIT_SLOT_IRQ_CONTROL, IRQ_CONTROL_GET, 33, 1, 0, h), OK);
	irq_bind(slot_of(h)->irq, slot_of(n), 1);
	EXPECT(delete(a.sched), OK);
	EXPECT(stop(1), ERR_BUSY);
	EXPECT(delete(n), OK);
	EXPECT(stop(1), OK);
	EXPECT(start_cpu(1), OK);
}

TEST_ON(2, deadlines_of_a_stopped_cpu_are_kept)
{
	enum { N = 40 };			/* more than go at once */
	struct actor a[N];
	uint32_t n = make(OBJ_NOTIFICATION, 0);

	for (unsigned i = 0; i < N; i++) {
		a[i] = actor(10, 1, false);
		start(&a[i]);
		EXPECT(running(1) == a[i].t, true);
		syscall_on(1, SYS_WAIT, n, 0, 0, host_now + 1000 + 10 * i, 0);
		EXPECT(move_to(&a[i], 0), OK);
	}
	EXPECT(cpus[1].first != NULL, true);
	EXPECT(stop(1), OK);
	EXPECT(cpus[1].first == NULL, true);
	(void)sleep_init();
	for (unsigned i = 0; i < 4; i++)
		host_advance(2000);		/* some at a time */
	for (unsigned i = 0; i < N; i++) {
		EXPECT(a[i].t->state, THREAD_READY);
		EXPECT(a[i].t->regs.x[0], ERR_TIMEOUT);
	}
}

TEST_ON(2, firmware_may_refuse_a_cpu)
{
	struct actor a = actor(10, 1, false);

	EXPECT(move_to(&a, 0), OK);
	host_firmware_refuses = true;
	EXPECT(stop(1), ERR_STATE);
	EXPECT(cpus[1].power, CPU_ON);
	host_firmware_refuses = false;
	EXPECT(stop(1), OK);
	host_firmware_refuses = true;
	EXPECT(start_cpu(1), ERR_STATE);
	EXPECT(cpus[1].power, CPU_OFF);
	host_firmware_refuses = false;
	EXPECT(start_cpu(1), OK);
	EXPECT(move_to(&a, 1), OK);
	start(&a);
	EXPECT(running(1) == a.t, true);
}

/* Asked to stop, and told to stay before it went. */
TEST_ON(2, a_cpu_that_is_stopping_can_stay)
{
	cpus[1].power = CPU_STOPPING;
	EXPECT(start_cpu(1), OK);
	host_settle();
	EXPECT(cpus[1].power, CPU_ON);
	EXPECT(cpus[1].arch.off, false);
}

/*
 * Its time is deleted while it runs, and before its CPU hears of that it has come into the
 * kernel (the lock has no order): it binds an interrupt there.
 */
TEST_ON(2, a_cpu_that_is_needed_again_stays)
{
	struct actor a = actor(10, 1, false);
	uint32_t h = new_slot(), n = make(OBJ_NOTIFICATION, 0);

	EXPECT(INVOKE(INIT_SLOT_IRQ_CONTROL, IRQ_CONTROL_GET, 33, 1, 0, h), OK);
	start(&a);
	EXPECT(delete(a.sched), OK);
	EXPECT(cpus[1].users, 0);
	cpus[1].current = a.t;			/* as long as it was not kicked */
	EXPECT(system_control_cpu_stop(NULL, NULL, 1), RESTART);
	irq_bind(slot_of(h)->irq, slot_of(n), 1);
	host_settle();
	EXPECT(cpus[1].arch.off, false);
	EXPECT(stop(1), ERR_BUSY);
	EXPECT(cpus[1].power, CPU_ON);
	EXPECT(delete(n), OK);
	EXPECT(stop(1), OK);
	EXPECT(start_cpu(1), OK);
}

TEST(many_deadlines_come_in_order)
{
	enum { N = 24 };
	struct actor a[N];
	uint32_t n = make(OBJ_NOTIFICATION, 0);
	uint64_t start_time;

	for (unsigned i = 0; i < N; i++) {
		a[i] = actor(10, 0, false);
		start(&a[i]);
	}
	(void)sleep_init();
	start_time = host_now;
	for (unsigned i = 0; i < N; i++)
		syscall_on(0, SYS_WAIT, n, 0, 0, start_time + 100 + (i * 7919) % 1000, 0);
	EXPECT(check_everything(), 0);
	for (unsigned tick = 0; tick < 1200; tick += 3) {
		host_advance(3);
		EXPECT(check_everything(), 0);
		for (unsigned i = 0; i < N; i++)
			EXPECT(a[i].t->state == THREAD_WAIT,
				start_time + 100 + (i * 7919) % 1000 > host_now);
	}
}
