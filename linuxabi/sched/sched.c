/* SPDX-License-Identifier: MIT */
/*
 * The scheduler: one run queue for each CPU, ordered by virtual run time (time
 * used, weighted by nice), least first.
 *
 * rq->lock (rank 100) protects the queue and the state of the task that runs on
 * that CPU; schedule() holds it from the look at current->state to the first
 * moment on the next stack, so a task that is neither queued nor a queue's
 * current has its registers in memory.  A sleeping task belongs to nobody; it is
 * woken under the lock of the CPU where it slept (task->cpu).
 *
 * A woken task runs where it ran before; CPUs with too much to do are relieved by
 * idle ones, which steal, told so by the tick of the busy one.  A CPU that idles
 * has no tick.
 */
#include "cpu.h"
#include "task.h"

enum {
	TICK_NS = 4000000,
	SLICE_NS = 3000000,
	WAKEUP_GRANULARITY_NS = 1000000,
	SLEEPER_BONUS_NS = 6000000,
	NICE_0 = 1024,
};

struct runqueue {
	spinlock_t lock;
	struct heap heap;
	unsigned ready;			/* queued, without current */
	struct task *running;
	struct task *idle;
	uint64_t min_vruntime;
	uint64_t clock;			/* at the last accounting, ns */
	uint64_t switches;
	uint64_t idle_ns;
	bool idling;
	bool online;
	uint64_t tick_deadline;		/* UINT64_MAX: no tick */
	struct timer tick;
	char pad[64];
};

static struct runqueue runqueues[MAX_CPUS];
static unsigned cpus_online;
static uint64_t load_average[3];

/* Weights of nice -20..19: each step is worth about 10 % of the CPU. */
static const uint32_t weights[40] = {
	88761, 71755, 56483, 46273, 36291, 29154, 23254, 18705, 14949, 11916,
	9548, 7620, 6100, 4904, 3906, 3121, 2501, 1991, 1586, 1277,
	1024, 820, 655, 526, 423, 335, 272, 215, 172, 137,
	110, 87, 70, 56, 45, 36, 29, 23, 18, 15,
};

unsigned cpu_count(void) { return cpus_online; }

static struct runqueue *this_rq(void) { return &runqueues[current->cpu]; }

static uint64_t
weighted(const struct task *t, uint64_t ns)
{
	if (t->nice == 0)
		return ns;
	return ns * NICE_0 / weights[t->nice + 20];
}

/* ---- accounting; rq->lock is held ---- */

static void
account(struct runqueue *rq)
{
	struct task *t = rq->running;
	uint64_t now = clock_monotonic(), delta = now - rq->clock;

	rq->clock = now;
	if (t->idle) {
		rq->idle_ns += delta;
		return;
	}
	t->vruntime += weighted(t, delta);
	t->slice_used += delta;
	t->exec_total += delta;
	if (heap_empty(&rq->heap) || t->vruntime < heap_first(&rq->heap)->key)
		rq->min_vruntime = max(rq->min_vruntime, t->vruntime);
	else
		rq->min_vruntime = max(rq->min_vruntime, heap_first(&rq->heap)->key);
}

static void
enqueue(struct runqueue *rq, struct task *t)
{
	assert(!t->queued);
	t->queued = true;
	t->run_node.key = t->vruntime;
	heap_insert(&rq->heap, &t->run_node);
	rq->ready++;
}

static struct task *
dequeue_first(struct runqueue *rq)
{
	struct heap_node *n = heap_first(&rq->heap);
	struct task *t;

	if (n == NULL)
		return NULL;
	heap_remove(&rq->heap, n);
	t = container_of(n, struct task, run_node);
	t->queued = false;
	rq->ready--;
	return t;
}

static void
need_resched(struct task *t)
{
	__atomic_fetch_or(&t->work, TIF_NEED_RESCHED, __ATOMIC_SEQ_CST);
}

/* rq->lock is held: something was queued; does it want the CPU now? */
static void
check_preempt(struct runqueue *rq, const struct task *t)
{
	struct task *now = rq->running;
	bool preempt = now->idle || t->vruntime + WAKEUP_GRANULARITY_NS < now->vruntime;

	if (!preempt)
		return;
	need_resched(now);
	if (rq != this_rq())
		arch_kick_cpu((unsigned)(rq - runqueues));
}

/* ---- waking ---- */

static bool cpu_allowed(const struct task *t, unsigned cpu) { return (t->affinity >> cpu & 1) != 0; }

static unsigned
choose_cpu(const struct task *t)
{
	if (cpu_allowed(t, t->cpu) && runqueues[t->cpu].online)
		return t->cpu;
	for (unsigned i = 0; i < cpus_online; i++) {
		if (cpu_allowed(t, i) && runqueues[i].online)
			return i;
	}
	return t->cpu;
}

static void
place(struct runqueue *rq, struct task *t)
{
	uint64_t floor_ = rq->min_vruntime > SLEEPER_BONUS_NS ? rq->min_vruntime - SLEEPER_BONUS_NS : 0;

	/* A sleeper comes back a little ahead, but not with all that it did not use. */
	if (t->vruntime < floor_)
		t->vruntime = floor_;
}

static void
queue_on(unsigned cpu, struct task *t)
{
	struct runqueue *rq = &runqueues[cpu];
	uint64_t flags = spin_lock_irqsave(&rq->lock);

	t->cpu = cpu;
	account(rq);
	place(rq, t);
	enqueue(rq, t);
	check_preempt(rq, t);
	spin_unlock_irqrestore(&rq->lock, flags);
}

static struct runqueue *
task_rq_lock(struct task *t, uint64_t *flags)
{
	for (;;) {
		struct runqueue *rq = &runqueues[READ_ONCE(t->cpu)];

		*flags = spin_lock_irqsave(&rq->lock);
		if (rq == &runqueues[READ_ONCE(t->cpu)])
			return rq;
		spin_unlock_irqrestore(&rq->lock, *flags);
	}
}

bool
task_wake_state(struct task *t, unsigned states)
{
	uint64_t flags;
	struct runqueue *rq;
	unsigned cpu;

	/* Pairs with task_prepare_wait. */
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	if ((READ_ONCE(t->state) & states) == 0)
		return false;
	rq = task_rq_lock(t, &flags);
	if ((t->state & states) == 0) {
		spin_unlock_irqrestore(&rq->lock, flags);
		return false;
	}
	t->state = TASK_RUNNING;
	if (rq->running == t) {		/* it has not left yet, and will not */
		spin_unlock_irqrestore(&rq->lock, flags);
		return true;
	}
	cpu = choose_cpu(t);
	if (cpu == t->cpu) {
		account(rq);
		place(rq, t);
		enqueue(rq, t);
		check_preempt(rq, t);
		spin_unlock_irqrestore(&rq->lock, flags);
		return true;
	}
	/* Running, queued nowhere, current nowhere: nobody else touches it. */
	spin_unlock_irqrestore(&rq->lock, flags);
	queue_on(cpu, t);
	return true;
}

bool
task_wake(struct task *t)
{
	return task_wake_state(t, TASK_INTERRUPTIBLE | TASK_UNINTERRUPTIBLE | TASK_KILLABLE);
}

void
task_kick(struct task *t)
{
	unsigned cpu = READ_ONCE(t->cpu);

	if (t != current && runqueues[cpu].running == t && cpu != cpu_id())
		arch_kick_cpu(cpu);
}

void sched_kicked(void);

/* Kicked: there may be work to steal, or a signal to look at on the way out. */
void
sched_kicked(void)
{
	if (current->idle)
		need_resched(current);
}

void
sched_start(struct task *t)
{
	struct task *me = current;

	t->state = TASK_RUNNING;
	if (t->affinity == 0)
		t->affinity = ~0UL;
	t->vruntime = me->idle ? runqueues[me->cpu].min_vruntime : me->vruntime;
	t->cpu = me->cpu;
	queue_on(choose_cpu(t), t);
}

/* ---- switching ---- */

/* The other side of arch_switch: prev has its registers in memory now. */
static void
finish_switch(struct task *prev)
{
	struct runqueue *rq = this_rq();
	bool dead = prev->state == TASK_DEAD, leaves = prev->leaves;

	prev->on_cpu = false;
	prev->leaves = false;
	arch_switch_space(prev->mm_active, current->mm);
	current->mm_active = current->mm;
	prev->mm_active = NULL;
	spin_unlock(&rq->lock);
	if (dead)
		task_put(prev);
	if (leaves)
		queue_on(choose_cpu(prev), prev);
}

void sched_first_run(struct task *prev);

void
sched_first_run(struct task *prev)
{
	finish_switch(prev);
	arch_irq_enable();
}

/* An idle CPU looks for somebody else's surplus. */
static struct task *
steal(unsigned cpu)
{
	for (unsigned n = 1; n < cpus_online; n++) {
		struct runqueue *other = &runqueues[(cpu + n) % cpus_online];
		struct task *t = NULL;

		if (READ_ONCE(other->ready) == 0 || !spin_trylock(&other->lock))
			continue;
		if (other->ready > 0 && cpu_allowed(container_of(heap_first(&other->heap), struct task, run_node), cpu)) {
			t = dequeue_first(other);
			/* Its lag, not its absolute time, comes along. */
			t->vruntime -= min(t->vruntime, other->min_vruntime);
			t->cpu = cpu;
		}
		spin_unlock(&other->lock);
		if (t != NULL)
			return t;
	}
	return NULL;
}

static void
tick_program(struct runqueue *rq, const struct task *next)
{
	if (next->idle) {
		rq->tick_deadline = UINT64_MAX;
	} else if (rq->tick_deadline == UINT64_MAX) {
		rq->tick_deadline = rq->clock + TICK_NS;
		timer_start(&rq->tick, rq->tick_deadline);
	}
}

static struct task *
pick_next(struct runqueue *rq)
{
	struct task *t = dequeue_first(rq);

	return t != NULL ? t : rq->idle;
}

void
schedule(void)
{
	struct task *prev = current, *next;
	uint64_t flags = irq_save();
	struct runqueue *rq = this_rq();

	spin_none_held();
	spin_lock(&rq->lock);
	account(rq);
	__atomic_fetch_and(&prev->work, ~TIF_NEED_RESCHED, __ATOMIC_RELAXED);
	if (prev->state == TASK_RUNNING && !prev->idle && unlikely(!cpu_allowed(prev, prev->cpu))) {
		prev->leaves = true;	/* finish_switch puts it where it may run */
		next = pick_next(rq);
	} else if (prev->state == TASK_RUNNING && !prev->idle) {
		if (heap_empty(&rq->heap) || (heap_first(&rq->heap)->key > prev->vruntime && !prev->yielding)) {
			prev->slice_used = 0;
			spin_unlock(&rq->lock);
			irq_restore(flags);
			return;
		}
		next = dequeue_first(rq);
		prev->yielding = false;
		enqueue(rq, prev);
		prev->usage.nivcsw++;
	} else {
		next = pick_next(rq);
		if (!prev->idle)
			prev->usage.nvcsw++;
	}
	if (next == prev) {
		spin_unlock(&rq->lock);
		irq_restore(flags);
		return;
	}
	rq->running = next;
	rq->switches++;
	next->on_cpu = true;
	next->slice_used = 0;
	tick_program(rq, next);
	arch_switch_state(prev, next);
	prev = arch_switch(prev, next);
	finish_switch(prev);
	irq_restore(flags);
}

void
cond_resched(void)
{
	if ((READ_ONCE(current->work) & TIF_NEED_RESCHED) != 0)
		schedule();
}

/* Where a task may run from now on; it is on its way there when this returns. */
void
sched_set_affinity(struct task *t, uint64_t mask)
{
	uint64_t flags;
	struct runqueue *rq = task_rq_lock(t, &flags);
	bool move = false;

	t->affinity = mask;
	if (!cpu_allowed(t, t->cpu)) {
		if (t->queued) {
			heap_remove(&rq->heap, &t->run_node);
			t->queued = false;
			rq->ready--;
			move = true;
		} else if (rq->running == t) {
			need_resched(t);
			if (rq != this_rq())
				arch_kick_cpu(t->cpu);
		}
	}
	spin_unlock_irqrestore(&rq->lock, flags);
	if (move)
		queue_on(choose_cpu(t), t);
}

/* The weight follows at the next accounting. */
void
sched_set_nice(struct task *t, int nice)
{
	uint64_t flags;
	struct runqueue *rq = task_rq_lock(t, &flags);

	if (rq->running == t)
		account(rq);
	t->nice = (int8_t)(nice < -20 ? -20 : nice > 19 ? 19 : nice);
	spin_unlock_irqrestore(&rq->lock, flags);
}

/* ---- the tick of a busy CPU; interrupt context ---- */

static void
relieve(struct runqueue *rq)
{
	if (rq->ready == 0)
		return;
	for (unsigned i = 0; i < cpus_online; i++) {
		if (READ_ONCE(runqueues[i].idling)) {
			arch_kick_cpu(i);
			return;
		}
	}
}

static void
tick(struct timer *timer)
{
	struct runqueue *rq = container_of(timer, struct runqueue, tick);

	spin_lock(&rq->lock);
	account(rq);
	if (rq->running->idle) {
		rq->tick_deadline = UINT64_MAX;
		spin_unlock(&rq->lock);
		return;
	}
	if (unlikely(rq->running->process->cpu_watched))
		__atomic_fetch_or(&rq->running->work, TIF_CPU_TIME, __ATOMIC_SEQ_CST);
	if (rq->ready > 0 && rq->running->slice_used >= SLICE_NS)
		need_resched(rq->running);
	rq->tick_deadline = rq->clock + TICK_NS;
	relieve(rq);
	spin_unlock(&rq->lock);
	timer_start(timer, rq->tick_deadline);
}

/* Sampled at each timer interrupt: was it the program or we? */
void sched_sample(bool from_user);

void
sched_sample(bool from_user)
{
	struct task *t = current;

	if (t->idle)
		return;
	if (from_user)
		t->samples_user++;
	else
		t->samples_system++;
}

/* ---- waiting ---- */

void
task_prepare_wait(unsigned state)
{
	__atomic_store_n(&current->state, state, __ATOMIC_SEQ_CST);
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
}

void
task_finish_wait(void)
{
	__atomic_store_n(&current->state, TASK_RUNNING, __ATOMIC_RELAXED);
}

struct sleeper {
	struct timer timer;
	struct task *task;
};

static void
sleeper_wake(struct timer *t)
{
	task_wake(container_of(t, struct sleeper, timer)->task);
}

static bool
interrupted(const struct task *t)
{
	if (t->state == TASK_INTERRUPTIBLE)
		return signal_pending();
	return t->state == TASK_KILLABLE && signal_pending() && signal_fatal_pending((struct task *)(uint64_t)t);
}

long
task_wait(uint64_t deadline)
{
	struct task *t = current;
	struct sleeper s;
	unsigned state = t->state;

	if (interrupted(t)) {
		task_finish_wait();
		return -ERESTARTSYS;
	}
	if (deadline == UINT64_MAX) {
		schedule();
	} else {
		if (clock_monotonic() >= deadline) {
			task_finish_wait();
			return -ETIMEDOUT;
		}
		s.task = t;
		timer_init(&s.timer, sleeper_wake);
		timer_start(&s.timer, deadline);
		schedule();
		timer_cancel_sync(&s.timer);
	}
	/* Woken by whom?  The caller looks at its condition first. */
	t->state = state;
	if (interrupted(t)) {
		task_finish_wait();
		return -ERESTARTSYS;
	}
	task_finish_wait();
	return deadline != UINT64_MAX && clock_monotonic() >= deadline ? -ETIMEDOUT : 0;
}

/* ---- start and idle ---- */

static void idle_loop(struct runqueue *) __attribute__((noreturn));

static void
idle_loop(struct runqueue *rq)
{
	unsigned cpu = (unsigned)(rq - runqueues);

	for (;;) {
		struct task *t;

		irq_save();
		WRITE_ONCE(rq->idling, true);
		__atomic_thread_fence(__ATOMIC_SEQ_CST);
		t = READ_ONCE(rq->ready) == 0 ? steal(cpu) : NULL;
		if (t != NULL) {
			WRITE_ONCE(rq->idling, false);
			spin_lock(&rq->lock);
			t->vruntime += rq->min_vruntime;
			enqueue(rq, t);
			spin_unlock(&rq->lock);
		} else if (READ_ONCE(rq->ready) == 0) {
			arch_idle();
		}
		WRITE_ONCE(rq->idling, false);
		arch_irq_enable();
		if (READ_ONCE(rq->ready) != 0)
			schedule();
	}
}

void
sched_init(void)
{
	for (unsigned i = 0; i < MAX_CPUS; i++) {
		spin_init(&runqueues[i].lock, 100);
		timer_init(&runqueues[i].tick, tick);
		runqueues[i].tick_deadline = UINT64_MAX;
	}
}

/* The caller is the idle task of its CPU already: current is set. */
void
sched_init_cpu(void)
{
	struct task *t = current;
	struct runqueue *rq = &runqueues[t->cpu];

	t->idle = true;
	t->state = TASK_RUNNING;
	t->on_cpu = true;
	rq->idle = rq->running = t;
	rq->clock = clock_monotonic();
	rq->online = true;
	__atomic_fetch_add(&cpus_online, 1, __ATOMIC_SEQ_CST);
}

void
sched_idle(void)
{
	idle_loop(this_rq());
}

/* ---- figures ---- */

uint64_t sched_idle_ns(unsigned cpu)
{
	struct runqueue *rq = &runqueues[cpu];
	uint64_t flags = spin_lock_irqsave(&rq->lock), ns;

	account(rq);
	ns = rq->idle_ns;
	spin_unlock_irqrestore(&rq->lock, flags);
	return ns;
}

uint64_t sched_stolen_ns(unsigned cpu) { return hyp_stolen_ticks(cpu) * 1000000000ULL / clock_hz(); }

unsigned
sched_running(void)
{
	unsigned n = 0;

	for (unsigned i = 0; i < cpus_online; i++)
		n += READ_ONCE(runqueues[i].ready) + !READ_ONCE(runqueues[i].running)->idle;
	return n;
}

uint64_t
sched_switches(void)
{
	uint64_t n = 0;

	for (unsigned i = 0; i < cpus_online; i++)
		n += READ_ONCE(runqueues[i].switches);
	return n;
}

/* Every 5 s: exponential decay over 1, 5 and 15 minutes (fixed point, 1 << 16). */
static void
load_sample(struct timer *t)
{
	static const uint64_t decay[3] = { 60294, 64453, 65173 };	/* exp(-5/60), … << 16 */
	uint64_t n = (uint64_t)sched_running() << 16;

	for (unsigned i = 0; i < 3; i++)
		load_average[i] = (load_average[i] * decay[i] + n * (65536 - decay[i])) >> 16;
	timer_start(t, clock_monotonic() + 5000000000ULL);
}

void
sched_start_load(void)
{
	static struct timer t;

	timer_init(&t, load_sample);
	timer_start(&t, clock_monotonic() + 5000000000ULL);
}

void
sched_loadavg(uint64_t out[3])
{
	memcpy(out, load_average, sizeof(load_average));
}

/* Run time is exact; how it divides into user and system is sampled. */
void
usage_task(struct task *t, struct usage *u)
{
	uint64_t flags;
	struct runqueue *rq = task_rq_lock(t, &flags);
	uint64_t total, samples;

	if (rq->running == t)
		account(rq);
	*u = t->usage;
	total = t->exec_total;
	spin_unlock_irqrestore(&rq->lock, flags);
	samples = t->samples_user + t->samples_system;
	u->user_ns = samples == 0 ? 0 : total / samples * t->samples_user;
	if (samples == 0)
		u->user_ns = total / 2;
	u->system_ns = total - u->user_ns;
}

void
usage_add(struct usage *to, const struct usage *from)
{
	to->user_ns += from->user_ns;
	to->system_ns += from->system_ns;
	to->minflt += from->minflt;
	to->majflt += from->majflt;
	to->nvcsw += from->nvcsw;
	to->nivcsw += from->nivcsw;
	to->maxrss_kib = max(to->maxrss_kib, from->maxrss_kib);
}

void
usage_process(struct process *p, struct usage *u)
{
	struct task *t;
	struct usage one;
	uint64_t flags = spin_lock_irqsave(&tasklist_lock);

	*u = p->dead_threads;
	list_for_each(t, &p->threads, thread_node) {
		usage_task(t, &one);
		usage_add(u, &one);
	}
	spin_unlock_irqrestore(&tasklist_lock, flags);
}

void sched_mark_yield(void);

void
sched_mark_yield(void)
{
	struct runqueue *rq = this_rq();
	uint64_t flags = spin_lock_irqsave(&rq->lock);

	account(rq);
	/* Behind everybody who is ready. */
	if (!heap_empty(&rq->heap) && current->vruntime <= heap_first(&rq->heap)->key)
		current->vruntime = heap_first(&rq->heap)->key + 1;
	current->yielding = true;
	spin_unlock_irqrestore(&rq->lock, flags);
	schedule();
	current->yielding = false;
}

/* The new affinity takes effect now: move away if this CPU is no more among them. */
void sched_affinity_changed(struct task *t);

static void
mover_wake(struct timer *t)
{
	task_wake(container_of(t, struct sleeper, timer)->task);
}

void
sched_affinity_changed(struct task *t)
{
	struct sleeper s;

	if (t != current || cpu_allowed(t, t->cpu))
		return;
	/* Sleep a moment: the wake-up chooses an allowed CPU. */
	s.task = t;
	timer_init(&s.timer, mover_wake);
	task_prepare_wait(TASK_UNINTERRUPTIBLE);
	timer_start(&s.timer, clock_monotonic() + 1000);
	schedule();
	timer_cancel_sync(&s.timer);
	task_finish_wait();
}
