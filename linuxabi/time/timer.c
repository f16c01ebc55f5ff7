/* SPDX-License-Identifier: MIT */
/*
 * One-shot timers: a heap for each CPU, its front programmed into the virtual
 * timer.  base->lock (rank 102, irq); a function runs without it.
 */
#include "cpu.h"
#include "task.h"
#include "time.h"
#include "vdso_data.h"

struct base {
	spinlock_t lock;
	struct heap heap;
	struct timer *running;
	uint64_t programmed;		/* ns */
	char pad[32];
};

static struct base bases[MAX_CPUS] = {
	[0 ... MAX_CPUS - 1] = { .lock = SPINLOCK_INIT(102), .programmed = UINT64_MAX },
};

void sched_sample(bool from_user);
void timer_interrupt(bool from_user);

void
timer_init(struct timer *t, void (*fn)(struct timer *))
{
	memset(t, 0, sizeof(*t));
	t->fn = fn;
	t->cpu = -1;
}

/* base->lock is held, and the base is this CPU's. */
static void
program(struct base *b)
{
	uint64_t want = heap_empty(&b->heap) ? UINT64_MAX : heap_first(&b->heap)->key;

	if (want == b->programmed)
		return;
	b->programmed = want;
	arch_timer_program(want == UINT64_MAX ? UINT64_MAX : clock_to_ticks(want));
}

/* The base that the timer is queued on, locked; NULL: it is on none. */
static struct base *
timer_base_lock(struct timer *t, uint64_t *flags)
{
	for (;;) {
		int cpu = READ_ONCE(t->cpu);

		if (cpu < 0)
			return NULL;
		*flags = spin_lock_irqsave(&bases[cpu].lock);
		if (t->cpu == cpu)
			return &bases[cpu];
		spin_unlock_irqrestore(&bases[cpu].lock, *flags);
	}
}

bool
timer_cancel(struct timer *t)
{
	uint64_t flags;
	struct base *b = timer_base_lock(t, &flags);

	if (b == NULL)
		return false;
	heap_remove(&b->heap, &t->node);
	t->cpu = -1;
	/* An interrupt too early finds nothing to do: not reprogrammed here. */
	spin_unlock_irqrestore(&b->lock, flags);
	return true;
}

void
timer_start(struct timer *t, uint64_t expires)
{
	uint64_t flags;
	struct base *b;

	timer_cancel(t);
	flags = irq_save();
	b = &bases[cpu_id()];
	spin_lock(&b->lock);
	t->expires = expires;
	t->node.key = expires;
	t->cpu = (int)cpu_id();
	heap_insert(&b->heap, &t->node);
	if (heap_first(&b->heap) == &t->node)
		program(b);
	spin_unlock(&b->lock);
	irq_restore(flags);
}

void
timer_cancel_sync(struct timer *t)
{
	for (;;) {
		bool busy = false;

		timer_cancel(t);
		for (unsigned i = 0; i < MAX_CPUS; i++)
			busy |= __atomic_load_n(&bases[i].running, __ATOMIC_ACQUIRE) == t;
		if (!busy && READ_ONCE(t->cpu) < 0)
			return;
		arch_cpu_relax();
	}
}

/* b->lock is held; the next timer that is due, taken off. */
static struct timer *
due(struct base *b, uint64_t now)
{
	struct timer *t;

	if (heap_empty(&b->heap) || heap_first(&b->heap)->key > now)
		return NULL;
	t = container_of(heap_first(&b->heap), struct timer, node);
	heap_remove(&b->heap, &t->node);
	t->cpu = -1;
	return t;
}

void
timer_interrupt(bool from_user)
{
	struct base *b = &bases[cpu_id()];
	struct timer *t;

	sched_sample(from_user);
	spin_lock(&b->lock);
	while ((t = due(b, clock_monotonic())) != NULL) {
		__atomic_store_n(&b->running, t, __ATOMIC_RELEASE);
		spin_unlock(&b->lock);
		t->fn(t);
		__atomic_store_n(&b->running, NULL, __ATOMIC_RELEASE);
		spin_lock(&b->lock);
	}
	b->programmed = 0;	/* whatever it was, it has fired */
	program(b);
	spin_unlock(&b->lock);
}

long
sleep_until(uint64_t deadline)
{
	long r;

	do {
		task_prepare_wait(TASK_INTERRUPTIBLE);
		r = task_wait(deadline);
	} while (r == 0);
	task_finish_wait();
	return r == -ETIMEDOUT ? 0 : r;
}
