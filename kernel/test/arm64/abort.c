/* SPDX-License-Identifier: MIT */
/*
 * See abort.h.
 */
#include "abort.h"

static uint64_t
pair(uint32_t low, uint32_t high)
{
	return (uint64_t)high << 32 | low;
}

/*
 * The server's thread, whenever it starts: on time that is not its own it gets
 * to where it has none, then it serves for ever.
 */
static void
server(uint64_t endpoint_private, uint64_t reply_ready, uint64_t serve)
{
	uint32_t endpoint = (uint32_t)endpoint_private, reply = (uint32_t)reply_ready;
	struct msg m = { 0 };

	sys_signal((uint32_t)(reply_ready >> 32));
	sys_recv((uint32_t)(endpoint_private >> 32), &m, reply, 0);	/* on spare time */
	m.info = 0;
	sys_reply_recv(endpoint, &m, reply, 0);		/* on its handler's, which goes home */
	for (;;) {
		((passive_serve_fn *)serve)(&m);
		sys_reply_recv(endpoint, &m, reply, 0);
	}
}

/* Start the server's thread, which is suspended and without time, and make it passive. */
static void
bring_up(struct passive *p)
{
	struct msg m = { 0 };
	uint64_t bits;

	must("server's registers", thread_write_registers(p->thread, (uint64_t)server, p->stack_top,
		pair(p->endpoint, p->private), pair(p->reply, p->ready), (uint64_t)p->serve, 0));
	must("spare time", sched_context_bind(p->spare, p->thread));
	must("start", thread_resume(p->thread));
	must("ready", sys_wait(p->ready, 0, &bits));
	/* It is in its receive before this thread, whose priority is lower, goes on. */
	must("take back", sched_context_unbind(p->spare));
	must("rejoin", sys_call(p->private, &m, 0));
}

void
passive_start(struct passive *p, uint32_t vspace, passive_serve_fn *serve, unsigned priority,
	unsigned cpu)
{
	struct thread_made t;

	p->endpoint = make(OBJ_ENDPOINT, 0);
	p->private = make(OBJ_ENDPOINT, 0);
	p->reply = make(OBJ_REPLY, 0);
	p->ready = make_badged(make(OBJ_NOTIFICATION, 0), 1);
	p->faults = make(OBJ_ENDPOINT, 0);
	p->handler_reply = make(OBJ_REPLY, 0);
	p->spare = make(OBJ_SCHED_CONTEXT, 0);
	p->serve = serve;
	must("spare", sched_control_configure(INIT_SLOT_SCHED_CONTROL, p->spare, cpu,
		info->timer_hz / 100, info->timer_hz / 100));
	/* Without time it runs nowhere; its handler says where it starts. */
	t = thread_new(&(struct thread_plan){ .vspace = vspace, .priority = priority, .cpu = cpu,
		.passive = true, .fault_handler = p->faults });
	p->thread = t.thread;
	p->stack_top = t.stack_top;
}

static void
abort_request(struct passive *p)
{
	struct msg answer = { .info = MSG_INFO(LABEL_ABORTED, 0, 0) };

	sys_send(p->reply, &answer, 0);		/* ERR_STATE: the client is gone */
	must("stop", thread_suspend(p->thread));
	bring_up(p);
}

void
passive_handler(uint64_t passive, uint64_t unused)
{
	struct passive *p = (struct passive *)passive;

	(void)unused;
	must("stop", thread_suspend(p->thread));
	bring_up(p);
	for (;;) {
		struct msg m = { 0 };
		uint64_t start;

		must("fault", sys_recv(p->faults, &m, p->handler_reply, 0));
		start = now();
		must("kind of fault", msg_label(m.info) == LABEL_FAULT_TIMEOUT ? OK : ERR_STATE);
		abort_request(p);
		p->aborts++;
		if (now() - start > p->longest)
			p->longest = now() - start;
	}
}
