/* SPDX-License-Identifier: MIT */
/*
 * Which thread runs: run queues by priority, one set to a CPU.
 *
 * A thread runs if it is READY and has a SchedContext with budget left.  The
 * running thread is in no queue.  Whoever changes what should run sets
 * `reschedule` of that CPU, and kicks it if it is another one; schedule(),
 * called at the end of every kernel entry, does the rest.
 */
#include <kernel/core.h>

struct cpu cpus[MAX_CPUS];
unsigned cpu_count = 1;

void
queue_append(struct queue *q, struct thread *t)
{
	t->next = NULL;
	t->prev = q->tail;
	if (q->tail != NULL)
		q->tail->next = t;
	else
		q->head = t;
	q->tail = t;
}

static void
queue_prepend(struct queue *q, struct thread *t)
{
	t->prev = NULL;
	t->next = q->head;
	if (q->head != NULL)
		q->head->prev = t;
	else
		q->tail = t;
	q->head = t;
}

void
queue_remove(struct queue *q, struct thread *t)
{
	if (t->prev != NULL)
		t->prev->next = t->next;
	else
		q->head = t->next;
	if (t->next != NULL)
		t->next->prev = t->prev;
	else
		q->tail = t->prev;
	t->next = t->prev = NULL;
}

/* Make a CPU run schedule() in earnest. */
static void
request_schedule(struct cpu *c)
{
	c->reschedule = 1;
	if (c != cpu_self())
		arch_kick_cpu(c->id);
}

static void
run_queue_insert(struct cpu *c, struct thread *t, bool at_head)
{
	struct queue *q = &c->ready[t->priority];

	if (at_head) {			/* it goes on with its slice */
		queue_prepend(q, t);
	} else {
		queue_append(q, t);
		t->sched->slice_from = t->sched->consumed;
	}
	c->ready_bits[t->priority / 64] |= 1ull << (t->priority % 64);
	c->ready_count++;
	t->queued = QUEUED_RUN;
	t->cpu = (uint16_t)c->id;
}

static void
run_queue_remove(struct thread *t)
{
	struct cpu *c = &cpus[t->cpu];
	struct queue *q = &c->ready[t->priority];

	queue_remove(q, t);
	if (q->head == NULL)
		c->ready_bits[t->priority / 64] &= ~(1ull << (t->priority % 64));
	c->ready_count--;
	t->queued = QUEUED_NOT;
}

/* The highest ready priority of a CPU, or -1. */
static int
highest_ready(const struct cpu *c)
{
	for (int i = PRIORITIES / 64 - 1; i >= 0; i--)
		if (c->ready_bits[i] != 0)
			return i * 64 + 63 - __builtin_clzll(c->ready_bits[i]);
	return -1;
}

bool
thread_runs_elsewhere(const struct thread *t)
{
	return cpus[t->cpu].current == t && &cpus[t->cpu] != cpu_self();
}

/* Ask the CPU that holds state of t in its registers to write it back. */
void
release_later(struct thread *t)
{
	if (t->queued == QUEUED_RELEASE) {
		arch_kick_cpu(t->cpu);
		return;
	}
	assert(t->queued == QUEUED_NOT);
	queue_append(&cpus[t->cpu].release, t);
	t->queued = QUEUED_RELEASE;
	arch_kick_cpu(t->cpu);
}

/*
 * A server without time amid a request, since its client is: the handler hears of
 * it as of any time-out.  One at a time, for a handler may be a server like this;
 * then nobody is told.
 */
static void
tell_stranded(struct thread *t)
{
	static bool telling;

	if (telling || t->slots[HOME_THREAD_FAULT_HANDLER - 1].type != OBJ_ENDPOINT)
		return;
	telling = true;
	t->stranded = 0;
	fault_deliver(t, LABEL_FAULT_TIMEOUT, 0, 0);
	telling = false;
}

/*
 * Put a READY thread where its SchedContext says: into a run queue, or into
 * the deadline queue if its budget is used up.  A thread whose state another
 * CPU still has in its registers goes there first.
 */
void
sched_place(struct thread *t)
{
	struct sched_context *sc = t->sched;
	uint64_t now;
	struct cpu *c;

	if (t->state != THREAD_READY || t->queued != QUEUED_NOT)
		return;
	if (sc == NULL || !sc->configured) {
		if (t->stranded && cpus[t->cpu].current != t)
			tell_stranded(t);
		return;
	}
	if (cpus[t->cpu].current == t) {
		request_schedule(&cpus[t->cpu]);
		return;
	}
	now = arch_now();
	if (sched_context_limited(sc)) {
		sched_context_activate(sc, now);
		if (!sched_context_ready(sc, now)) {
			deadline_cancel(&sc->deadline);
			deadline_insert(&sc->deadline, DEADLINE_REFILL, sc->refill[sc->head].when, sc->cpu);
			return;
		}
	}
	if (t->cpu != sc->cpu && arch_thread_is_live(t, t->cpu)) {
		if (t->cpu != cpu_self()->id) {
			release_later(t);
			return;
		}
		arch_thread_release(t);
	}
	c = &cpus[sc->cpu];
	t->ready_since = now;
	run_queue_insert(c, t, false);
	if (c->current == NULL || t->priority >= c->current->priority)
		request_schedule(c);
}

void
thread_ready(struct thread *t)
{
	t->state = THREAD_READY;
	sched_place(t);
}

/* Take a READY thread off the CPUs and out of their queues. */
void
thread_unready(struct thread *t)
{
	if (t->queued == QUEUED_RUN)
		run_queue_remove(t);
	if (t->sched != NULL)
		deadline_cancel(&t->sched->deadline);
	if (cpus[t->cpu].current == t)
		request_schedule(&cpus[t->cpu]);
}

/* ---- lending time along calls ------------------------------------------ */

bool
sched_can_lend(const struct thread *from, const struct thread *to)
{
	return to->sched != NULL || from->sched == NULL || from->sched->top == NULL ||
		from->sched->top->obj.progress < LEND_MAX;
}

/* The caller's SchedContext goes with its call to a server that has none. */
void
sched_lend(struct thread *from, struct thread *to, struct reply *through)
{
	struct sched_context *sc = from->sched;

	if (to->sched != NULL || sc == NULL)
		return;
	through->below = sc->top;
	through->above = NULL;
	through->lent = sc;
	through->obj.progress = 1;
	if (sc->top != NULL) {
		through->obj.progress = (uint16_t)(sc->top->obj.progress + 1);
		sc->top->above = through;
		sc->top->lent = NULL;
	}
	sc->top = through;
	deadline_cancel(&sc->deadline);
	from->sched = NULL;
	to->sched = sc;
	sc->thread = to;
}

/* Take the SchedContext from the thread that runs on it; it stops. */
void
sched_detach(struct thread *t)
{
	struct sched_context *sc = t->sched;

	if (sc == NULL)
		return;
	if (t->state == THREAD_READY)
		thread_unready(t);
	deadline_cancel(&sc->deadline);
	t->sched = NULL;
	sc->thread = NULL;
}

/*
 * The call that r stands for ends: what was lent through it goes back to its
 * caller, even if a later call has lent it on; those calls then return none.
 */
void
sched_return(struct reply *r)
{
	struct reply *top = r;
	struct sched_context *sc;

	while (top->above != NULL)	/* at most LEND_MAX */
		top = top->above;
	sc = top->lent;
	top->lent = NULL;
	if (r->above != NULL)
		r->above->below = NULL;
	if (r->below != NULL)
		r->below->above = NULL;
	if (sc != NULL) {
		sc->top = r->below;
		if (r->below != NULL)
			r->below->lent = sc;
		if (sc->thread != NULL)
			sched_detach(sc->thread);
		if (r->caller->sched == NULL) {		/* not given another one meanwhile */
			r->caller->sched = sc;
			sc->thread = r->caller;
		}
	}
	r->above = r->below = NULL;
}

/*
 * Note who is without time once the calls above r have none any more: the server
 * that runs on it, and those that wait for their own calls to be answered.  A
 * server that receives is not amid anything.  Returns the former, or NULL.
 */
struct thread *
sched_strand(struct sched_context *sc, struct reply *r)
{
	struct thread *server = sc->thread;

	for (; r != NULL; r = r->above)		/* at most LEND_MAX */
		if (r->caller->sched == NULL)
			r->caller->stranded = 1;
	if (server == NULL || server->state == THREAD_RECV || server->state == THREAD_SUSPENDED)
		return NULL;
	server->stranded = 1;
	return server;
}

/* ---- choosing ------------------------------------------------------------ */

static bool
may_run_on(struct thread *t, const struct cpu *c, uint64_t now)
{
	struct sched_context *sc = t->sched;

	if (t->state != THREAD_READY || sc == NULL || !sc->configured || sc->cpu != c->id)
		return false;
	return !sched_context_limited(sc) || sched_context_ready(sc, now);
}

/*
 * The current thread's time is up.  If it runs on lent time its handler
 * hears of it: the client's time is gone, the server's work must be ended.
 */
static void
budget_exhausted(struct thread *t)
{
	struct sched_context *sc = t->sched;

	if (sc->top == NULL || t->slots[HOME_THREAD_FAULT_HANDLER - 1].type != OBJ_ENDPOINT)
		return;
	fault_deliver(t, LABEL_FAULT_TIMEOUT, sc->consumed, sc->top->caller->badge);
}

/* When must this CPU be interrupted? */
static uint64_t
next_event(const struct cpu *c, uint64_t now)
{
	uint64_t when = c->first != NULL ? c->first->when : NEVER;
	const struct thread *t = c->current;
	uint64_t end;

	if (t == NULL)
		return when;
	if (sched_context_limited(t->sched))
		end = now + t->sched->refill[t->sched->head].amount;
	else if (c->ready[t->priority].head != NULL)
		end = c->slice_end;
	else
		return when;
	return end < when ? end : when;
}

static void
set_timer(struct cpu *c, uint64_t when)
{
	if (c->timer == when)
		return;
	c->timer = when;
	arch_timer_set(when);
}

/* What is left of its slice, or a new one. */
static uint64_t
slice_left(struct sched_context *sc)
{
	uint64_t used = sc->consumed - sc->slice_from;

	if (used < sc->budget)
		return sc->budget - used;
	sc->slice_from = sc->consumed;
	return sc->budget;
}

static void
dispatch(struct cpu *c, struct thread *t, uint64_t now)
{
	c->current = t;
	c->charged = t != NULL ? t->sched : NULL;
	if (t == NULL)
		return;
	t->cpu = (uint16_t)c->id;
	t->sched->stolen += now - t->ready_since;
	c->slice_end = now + slice_left(t->sched);
	c->switches++;
}

/*
 * The slow half of schedule(): charge who ran, and see who is next.
 */
static struct thread *
schedule_anew(struct cpu *c)
{
	struct thread *t = c->current;
	uint64_t now = arch_now();
	bool stays = false;
	int best;

	c->reschedule = 0;
	if (c->charged != NULL)
		sched_context_charge(c->charged, now - c->account_from);
	c->account_from = now;
	if (t != NULL) {
		if (t->state == THREAD_READY && t->sched != NULL && t->sched == c->charged &&
		    sched_context_limited(t->sched) && !sched_context_ready(t->sched, now))
			budget_exhausted(t);
		stays = may_run_on(t, c, now);
		if (!stays) {
			c->current = NULL;
			sched_place(t);
		}
	}
	best = highest_ready(c);
	if (stays && best >= 0) {
		bool slice_used = !sched_context_limited(t->sched) && now >= c->slice_end;

		if (best > t->priority || (best == t->priority && slice_used)) {
			t->ready_since = now;
			run_queue_insert(c, t, best > t->priority && !slice_used);
			stays = false;
		} else if (slice_used) {
			t->sched->slice_from = t->sched->consumed;
			c->slice_end = now + t->sched->budget;
		}
	}
	if (stays) {
		c->charged = t->sched;		/* another client's, perhaps */
	} else {
		t = best >= 0 ? c->ready[best].head : NULL;
		if (t != NULL)
			run_queue_remove(t);
		dispatch(c, t, now);
	}
	c->reschedule = 0;
	set_timer(c, next_event(c, now));
	return t;
}

struct thread *
schedule(void)
{
	struct cpu *c = cpu_self();

	assert(kernel_lock_held());
	if (!c->reschedule)
		return c->current;
	return schedule_anew(c);
}

/* ---- events ---------------------------------------------------------------- */

void
kernel_yield(struct thread *t)
{
	struct cpu *c = cpu_self();

	if (c->ready[t->priority].head == NULL)
		return;
	c->slice_end = 0;		/* its slice is used */
	c->reschedule = 1;
}

static void
deadline_expired(struct deadline *d)
{
	struct sched_context *sc;
	struct thread *t;

	if (d->kind == DEADLINE_REFILL) {
		sc = (struct sched_context *)((char *)d - offsetof(struct sched_context, deadline));
		deadline_cancel(d);
		if (sc->thread != NULL)
			sched_place(sc->thread);
		return;
	}
	t = (struct thread *)((char *)d - offsetof(struct thread, deadline));
	if (t->state == THREAD_WFI)
		thread_wake(t, OK);
	else
		thread_cancel(t, ERR_TIMEOUT);
}

/* This CPU's timer fired.  Many may expire at once: take some at a time. */
void
kernel_timer(void)
{
	enum { AT_ONCE = 16 };
	struct cpu *c = cpu_self();
	uint64_t now = arch_now();

	for (int n = 0; n < AT_ONCE && c->first != NULL && c->first->when <= now; n++)
		deadline_expired(c->first);
	c->timer = NEVER;		/* lowers the line; schedule() sets it again */
	arch_timer_set(NEVER);
	c->reschedule = 1;
}

/* Another CPU wants something of this one. */
void
kernel_kick(void)
{
	struct cpu *c = cpu_self();
	struct thread *t;

	while ((t = c->release.head) != NULL) {
		queue_remove(&c->release, t);
		t->queued = QUEUED_NOT;
		if (arch_thread_is_live(t, c->id))	/* nobody took its place meanwhile */
			arch_thread_release(t);
		sched_place(t);
	}
	c->reschedule = 1;
}

/*
 * Its deadlines go to the boot CPU, which is always on.  A thread whose time went while it ran
 * may have come into the kernel once more, and bound an interrupt here: then it stays.
 */
bool
kernel_cpu_leaves(struct cpu *c)
{
	enum { AT_ONCE = 16 };

	assert(c->current == NULL);
	if (c->users != 0) {
		c->power = CPU_ON;
		return false;
	}
	for (int n = 0; n < AT_ONCE && c->first != NULL; n++) {
		struct deadline *d = c->first;
		enum deadline_kind kind = (enum deadline_kind)d->kind;

		deadline_cancel(d);
		deadline_insert(d, kind, d->when, 0);
	}
	if (c->first != NULL || c->release.head != NULL) {
		arch_kick_cpu(c->id);
		return false;
	}
	c->power = CPU_OFF;
	return true;
}

void
kernel_cpu_online(struct cpu *c, unsigned id)
{
	c->id = id;
	c->power = CPU_ON;
	c->reschedule = 1;
	c->timer = 0;
	c->account_from = arch_now();
}
