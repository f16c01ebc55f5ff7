/* SPDX-License-Identifier: MIT */
/*
 * Who is called: one active server to a CPU, a passive one that answers at once,
 * and a passive one that spins as long as its client says, whose time-outs end
 * the request (abort.h).
 */
#include "stress.h"

static struct passive quick, spinning;

static void
answer(struct msg *m)
{
	for (int i = 0; i < 6; i++)
		m->words[i]++;
}

static void
active_server(uint64_t ep, uint64_t reply_slot)
{
	struct msg m = { 0 };

	sys_recv((uint32_t)ep, &m, (uint32_t)reply_slot, 0);
	for (;;) {
		answer(&m);
		sys_reply_recv((uint32_t)ep, &m, (uint32_t)reply_slot, 0);
	}
}

/* Word 1 is how long, in ticks. */
static void
spin_and_answer(struct msg *m)
{
	uint64_t end = now() + m->words[1];

	while (now() < end)
		;
	answer(m);
}

static void
handler_start(struct passive *p, unsigned cpu)
{
	thread_new(&(struct thread_plan){ .vspace = INIT_SLOT_VSPACE, .entry = passive_handler,
		.arg = (uint64_t)p, .priority = PRIORITY_HANDLER, .cpu = cpu });
}

void
servers_start(void)
{
	uint32_t space = space_new(false);

	for (unsigned i = 0; i < stress.cpus; i++) {
		struct thread_made t;

		stress.active[i] = make(OBJ_ENDPOINT, 0);
		t = thread_new(&(struct thread_plan){ .vspace = space, .entry = active_server,
			.arg = stress.active[i], .arg2 = make(OBJ_REPLY, 0), .priority = PRIORITY_SERVER,
			.cpu = i });
		stress.sched[stress.scheds++] = t.sched_context;
	}
	passive_start(&quick, space, answer, PRIORITY_SERVER, 0);
	passive_start(&spinning, space_new(false), spin_and_answer, PRIORITY_SERVER, stress.cpus - 1);
	handler_start(&quick, 0);
	handler_start(&spinning, stress.cpus - 1);
	stress.passive = quick.endpoint;
	stress.spinning = spinning.endpoint;
}
