/* SPDX-License-Identifier: MIT */
/*
 * SchedContexts: time as an object.
 *
 * One without limit (budget == period) only counts.  One with a limit is a
 * sporadic server: what is used comes back one period after it could be used
 * first.  The ring of refills always has at least one entry; if it is full,
 * two join at the later time, which gives less and never more.
 */
#include <kernel/core.h>

/* Shorter budgets would keep the kernel busy with nothing else. */
enum { BUDGET_MIN_TICKS = 512 };

static struct refill *
refill_at(struct sched_context *sc, unsigned n)
{
	return &sc->refill[(sc->head + n) % REFILLS];
}

static void
refill_drop_head(struct sched_context *sc)
{
	sc->head = (uint8_t)((sc->head + 1) % REFILLS);
	sc->refills--;
}

static void
refill_append(struct sched_context *sc, uint64_t when, uint64_t amount)
{
	struct refill *r;

	if (sc->refills == REFILLS) {
		r = refill_at(sc, REFILLS - 1u);
		r->when = when;
		r->amount += amount;
		return;
	}
	r = refill_at(sc, sc->refills);
	r->when = when;
	r->amount = amount;
	sc->refills++;
}

/* Use up ticks that the thread has run. */
void
sched_context_charge(struct sched_context *sc, uint64_t ticks)
{
	sc->consumed += ticks;
	if (!sched_context_limited(sc) || !sc->configured)
		return;
	/*@
	  loop invariant 1 <= sc->refills <= REFILLS && sc->head < REFILLS && n <= REFILLS;
	  loop assigns n, ticks, sc->head, sc->refills, sc->refill[0 .. REFILLS - 1];
	  loop variant REFILLS - n;
	*/
	for (unsigned n = 0; n < REFILLS && ticks > 0; n++) {
		struct refill head = *refill_at(sc, 0);
		uint64_t used = ticks < head.amount ? ticks : head.amount;

		if (used == head.amount)
			refill_drop_head(sc);
		else
			refill_at(sc, 0)->amount -= used;
		refill_append(sc, head.when + sc->period, used);
		ticks -= used;
	}
}

/* Join what is due; a crumb too small to run on waits for the next refill. */
bool
sched_context_ready(struct sched_context *sc, uint64_t now)
{
	/*@
	  loop invariant 1 <= sc->refills <= REFILLS && sc->head < REFILLS;
	  loop assigns sc->head, sc->refills, sc->refill[0 .. REFILLS - 1];
	  loop variant sc->refills;
	*/
	while (sc->refills > 1 && (refill_at(sc, 1)->when <= now ||
	    refill_at(sc, 0)->amount < BUDGET_MIN_TICKS)) {
		uint64_t amount = refill_at(sc, 0)->amount;

		refill_drop_head(sc);
		refill_at(sc, 0)->amount += amount;
	}
	return refill_at(sc, 0)->when <= now;
}

/* A thread of it becomes ready: unused time counts from now on. */
void
sched_context_activate(struct sched_context *sc, uint64_t now)
{
	if (sched_context_ready(sc, now))
		refill_at(sc, 0)->when = now;
}

/* Whatever runs on it does so no more. */
static void
sched_context_release(struct sched_context *sc)
{
	struct thread *server = NULL;
	struct reply *r;

	if (sc->top != NULL) {
		for (r = sc->top; r->below != NULL; r = r->below)
			;
		server = sched_strand(sc, r->above);
	}
	if (sc->thread != NULL)
		sched_detach(sc->thread);
	deadline_cancel(&sc->deadline);
	for (unsigned i = 0; i < cpu_count; i++)
		if (cpus[i].charged == sc)
			cpus[i].charged = NULL;
	r = sc->top;			/* at most LEND_MAX */
	sc->top = NULL;
	while (r != NULL) {
		struct reply *below = r->below;

		r->lent = NULL;
		r->above = r->below = NULL;
		r = below;
	}
	if (server != NULL)
		sched_place(server);
}

void
sched_context_destroy(struct sched_context *sc)
{
	sched_context_release(sc);
	if (sc->configured)
		cpus[sc->cpu].users--;
	sc->configured = 0;
}

/* ---- invocations ---------------------------------------------------------- */

enum error
sched_context_bind(struct thread *caller, struct slot *self, struct slot *thread)
{
	struct sched_context *sc = self->sched_context;
	struct thread *t = thread->thread;

	(void)caller;
	if (sc->thread != NULL || sc->top != NULL || t->sched != NULL)
		return ERR_BUSY;
	sc->thread = t;
	t->sched = sc;
	t->stranded = 0;
	sched_place(t);
	return OK;
}

enum error
sched_context_unbind(struct thread *caller, struct slot *self)
{
	struct sched_context *sc = self->sched_context;

	(void)caller;
	if (sc->thread != NULL && thread_runs_elsewhere(sc->thread)) {
		struct thread *t = sc->thread;

		sched_context_release(sc);
		arch_kick_cpu(t->cpu);
		return RESTART;
	}
	sched_context_release(sc);
	return OK;
}

enum error
sched_context_consumed(struct thread *caller, struct slot *self)
{
	struct sched_context *sc = self->sched_context;
	uint64_t running = 0;

	if (sc->configured && cpus[sc->cpu].charged == sc)
		running = arch_now() - cpus[sc->cpu].account_from;
	result_word(caller, 0, sc->consumed + running);
	result_word(caller, 1, sc->stolen);
	return OK;
}

enum error
sched_control_configure(struct thread *caller, struct slot *self, struct slot *sched_context,
	uint64_t cpu, uint64_t budget, uint64_t period)
{
	struct sched_context *sc = sched_context->sched_context;
	struct thread *t = sc->thread;

	(void)caller;
	(void)self;
	if (cpu >= cpu_count || budget < BUDGET_MIN_TICKS || budget > period || period >> 56 != 0)
		return ERR_RANGE;
	if (cpus[cpu].power != CPU_ON)
		return ERR_STATE;
	if (t != NULL && t->state == THREAD_READY)
		thread_unready(t);
	deadline_cancel(&sc->deadline);
	cpus[cpu].users++;
	if (sc->configured)
		cpus[sc->cpu].users--;
	sc->cpu = (uint16_t)cpu;
	sc->budget = budget;
	sc->period = period;
	sc->head = 0;
	sc->refills = 1;
	sc->refill[0] = (struct refill){ .when = arch_now(), .amount = budget };
	sc->configured = 1;
	if (t != NULL)
		sched_place(t);
	return OK;
}
