/* SPDX-License-Identifier: MIT */
/*
 * Time as a capability.  A greedy client's requests make a passive server spin
 * for ever: that burns the client's budget and nobody else's, the time-out ends
 * the request, and a second client never waits longer than an undisturbed call,
 * what is left of one budget, and the handler take together.  Then how late
 * deadlines are, and that an idle machine takes no interrupts.
 *
 * Under -icount a nanosecond is an instruction; figures are "time <name> <n>".
 */
#include "abort.h"

enum {
	PRIORITY_MAIN = 255, PRIORITY_SERVER = 150, PRIORITY_HANDLER = 140, PRIORITY_CLIENT = 100,
	UNDISTURBED = 200, DISTURBED = 400, DEADLINES = 200,
	BUDGET_US = 1000, PERIOD_US = 5000,	/* of the greedy client */
	SLACK_NS = 5000,			/* the ticks' grain, and the entries around the measured ones */
	LATE_MAX_NS = 2000,
	IDLE_S = 10, IDLE_ENTRIES_MAX = 4,	/* the sleep, its end, and the question itself */
};

enum { PATIENT_SPIN = 100, GREEDY_SPIN = 1u << 31 };	/* word 1 of a request: ticks */

static struct passive server;
static uint32_t nothing, finished;

/* Written by the clients, which run in init's space. */
static volatile uint64_t longest, wrong, requests, aborted;

static uint64_t
ns(uint64_t ticks)
{
	return ticks * (1000000000UL / info->timer_hz);
}

static uint64_t
us(uint64_t n)
{
	return n * info->timer_hz / 1000000;
}

static void
figure(const char *name, uint64_t value)
{
	say("time ");
	say(name);
	say(" ");
	say_number(value);
	say("\n");
}

static void
sleep_until(uint64_t when)
{
	uint64_t bits;

	sys_wait(nothing, when, &bits);
}

/* ---- who calls whom ---------------------------------------------------------------- */

static void
spin(struct msg *m)
{
	uint64_t end = now() + m->words[1];

	while (now() < end)
		;
	m->words[0]++;
}

static void
greedy(uint64_t unused, uint64_t unused2)
{
	(void)unused;
	(void)unused2;
	for (;;) {
		struct msg m = { .info = MSG_INFO(1, 2, 0), .words = { 1, GREEDY_SPIN } };

		requests++;
		if (sys_call(server.endpoint, &m, 0) != OK || msg_label(m.info) != LABEL_ABORTED)
			wrong++;
		aborted++;
	}
}

/* count calls at times that do not keep step with anything; then it says so. */
static void
patient(uint64_t count, uint64_t unused)
{
	(void)unused;
	longest = 0;
	for (uint64_t n = 0; n < count; n++) {
		struct msg m = { .info = MSG_INFO(1, 2, 0), .words = { n, PATIENT_SPIN } };
		uint64_t start = now() + us(37 + n * 61 % 977);

		sleep_until(start);	/* from then on it wants an answer, whoever runs */
		if (sys_call(server.endpoint, &m, 0) != OK || msg_label(m.info) == LABEL_ABORTED ||
		    m.words[0] != n + 1)
			wrong++;
		if (now() - start > longest)
			longest = now() - start;
	}
	sys_signal(finished);
	for (;;)
		sleep_until(now() + us(1000000));
}

/* Ticks of the longest of count calls; *used: what they took of the client's own time. */
static uint64_t
run_patient(uint64_t count, uint64_t *used)
{
	uint64_t stolen, bits;
	struct thread_made t = thread_new(&(struct thread_plan){ .vspace = INIT_SLOT_VSPACE,
		.entry = patient, .arg = count, .priority = PRIORITY_CLIENT + 1 });

	must("patient", sys_wait(finished, 0, &bits));
	must("consumed", sched_context_consumed(t.sched_context, used, &stolen));
	must("suspend", thread_suspend(t.thread));
	return longest;
}

static void
test_budgets(void)
{
	uint64_t undisturbed, disturbed, used_alone, used, start, burnt, stolen, most;
	uint64_t budget = us(BUDGET_US), period = us(PERIOD_US);
	struct thread_made t;

	passive_start(&server, space_new(false), spin, PRIORITY_SERVER, 0);
	thread_new(&(struct thread_plan){ .vspace = INIT_SLOT_VSPACE, .entry = passive_handler,
		.arg = (uint64_t)&server, .priority = PRIORITY_HANDLER });
	undisturbed = run_patient(UNDISTURBED, &used_alone);

	t = thread_new(&(struct thread_plan){ .vspace = INIT_SLOT_VSPACE, .entry = greedy,
		.priority = PRIORITY_CLIENT });
	start = now();
	must("greedy's budget", sched_control_configure(INIT_SLOT_SCHED_CONTROL, t.sched_context, 0,
		budget, period));
	disturbed = run_patient(DISTURBED, &used);
	must("consumed", sched_context_consumed(t.sched_context, &burnt, &stolen));
	most = (now() - start) / period * budget + 2 * budget;

	figure("call_undisturbed", ns(undisturbed));
	figure("call_beside_greedy", ns(disturbed));
	figure("handler_longest", ns(server.longest));
	figure("greedy_budget", ns(budget));
	figure("aborts", server.aborts);
	figure("greedy_burnt", ns(burnt));
	figure("patient_used_per_call_alone", ns(used_alone / UNDISTURBED));
	figure("patient_used_per_call", ns(used / DISTURBED));
	check("time-outs end the greedy client's requests", server.aborts > 20 && aborted + 1 >= requests);
	check("every answer is the right one", wrong == 0);
	check("the other client met a busy server", ns(disturbed) > ns(undisturbed) + SLACK_NS);
	check("and waited for one budget and the handler at most",
		ns(disturbed) <= ns(undisturbed + budget + server.longest) + SLACK_NS);
	check("the spinning was paid by the greedy client", burnt > server.aborts * budget / 2 && burnt <= most);
	check("and nobody else", used / DISTURBED <= used_alone / UNDISTURBED + us(5));
	must("suspend", thread_suspend(t.thread));
}

/* ---- deadlines and idleness ------------------------------------------------------------ */

static void
test_deadlines(void)
{
	uint64_t latest = 0, early = 0;

	for (uint64_t n = 0; n < DEADLINES; n++) {
		uint64_t when = now() + us(50) + n * 7919 % 5000, late;

		sleep_until(when);
		late = now() - when;
		if ((int64_t)late < 0)
			early++;
		else if (late > latest)
			latest = late;
	}
	figure("deadline_latest", ns(latest));
	check("no deadline comes early", early == 0);
	check("nor late", ns(latest) <= LATE_MAX_NS);
}

static uint64_t
entries(void)
{
	uint64_t count = 0;

	must("bench", system_control_bench(INIT_SLOT_SYSTEM_CONTROL, 1, &count));
	return count;
}

/* Waking up from idle counts as an entry, on every CPU. */
static void
test_idle(void)
{
	uint64_t before;

	sleep_until(now() + us(1000000));	/* what is still under way ends */
	before = entries();
	sleep_until(now() + us(1000000UL * IDLE_S));
	before = entries() - before;
	figure("entries_in_10_idle_seconds", before);
	check("an idle machine takes no interrupts", before <= IDLE_ENTRIES_MAX);
}

void
test_main(void)
{
	nothing = make(OBJ_NOTIFICATION, 0);
	finished = make_badged(make(OBJ_NOTIFICATION, 0), 1);
	figure("cpus", info->cpu_count);
	if (info->cpu_count == 1) {	/* on several the host has a word in how late things are */
		test_deadlines();
		test_budgets();
	}
	test_idle();
	finish();
}
