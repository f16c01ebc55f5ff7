/* SPDX-License-Identifier: MIT */
/*
 * Mutexes, wait queues, completions, reference counts: sync.h.
 */
#include "cpu.h"
#include "task.h"

/* ---- wait queues ---- */

void
waitq_init(struct waitq *q)
{
	spin_init(&q->lock, 80);
	list_init(&q->waiters);
}

static bool
wake_task(struct waiter *w, unsigned long key)
{
	(void)key;
	return task_wake(w->task);
}

void
waiter_init(struct waiter *w)
{
	list_init(&w->node);
	w->task = current;
	w->exclusive = false;
	w->wake = wake_task;
}

void
waitq_add(struct waitq *q, struct waiter *w)
{
	uint64_t flags = spin_lock_irqsave(&q->lock);

	list_add(&q->waiters, &w->node);
	spin_unlock_irqrestore(&q->lock, flags);
}

void
waitq_add_exclusive(struct waitq *q, struct waiter *w)
{
	uint64_t flags = spin_lock_irqsave(&q->lock);

	w->exclusive = true;
	list_add_tail(&q->waiters, &w->node);
	spin_unlock_irqrestore(&q->lock, flags);
}

void
waitq_remove(struct waitq *q, struct waiter *w)
{
	uint64_t flags = spin_lock_irqsave(&q->lock);

	list_del(&w->node);
	spin_unlock_irqrestore(&q->lock, flags);
}

unsigned
waitq_wake(struct waitq *q, unsigned exclusive_count, unsigned long key)
{
	struct waiter *w, *tmp;
	unsigned woken = 0;
	uint64_t flags;

	/* Pairs with the barrier of task_prepare_wait: either the waiter sees what
	 * the caller stored before, or we see the waiter. */
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	if (!waitq_active(q))
		return 0;
	flags = spin_lock_irqsave(&q->lock);
	list_for_each_safe(w, tmp, &q->waiters, node) {
		bool exclusive = w->exclusive;

		if (!w->wake(w, key))
			continue;
		woken++;
		if (exclusive && --exclusive_count == 0)
			break;
	}
	spin_unlock_irqrestore(&q->lock, flags);
	return woken;
}

/* ---- mutexes ---- */

void
mutex_init(struct mutex *m, unsigned rank)
{
	m->owner = NULL;
	spin_init(&m->lock, 80);
	list_init(&m->waiters);
	m->rank = rank;
}

struct mutex_waiter {
	struct list node;
	struct task *task;
	bool handed;
};

bool
mutex_trylock(struct mutex *m)
{
	struct task *expected = NULL;

	return __atomic_compare_exchange_n(&m->owner, &expected, current, false, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED);
}

/* Bit 0 of the owner says that somebody waits: unlock then takes the slow way. */
static struct task *owner_task(struct task *o) { return (struct task *)((uint64_t)o & ~1UL); }

/* m->lock is held: take it, or mark that we wait. */
static bool
mutex_take_or_mark(struct mutex *m)
{
	struct task *o = __atomic_load_n(&m->owner, __ATOMIC_RELAXED);

	for (;;) {
		struct task *want = o == NULL ? current : (struct task *)((uint64_t)o | 1);

		if (__atomic_compare_exchange_n(&m->owner, &o, want, false, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED))
			return want == current;
	}
}

static void
mutex_wait(struct mutex *m)
{
	struct mutex_waiter w = { .task = current, .handed = false };
	uint64_t flags = spin_lock_irqsave(&m->lock);

	if (mutex_take_or_mark(m)) {
		spin_unlock_irqrestore(&m->lock, flags);
		return;
	}
	list_add_tail(&m->waiters, &w.node);
	spin_unlock_irqrestore(&m->lock, flags);
	for (;;) {
		task_prepare_wait(TASK_UNINTERRUPTIBLE);
		if (__atomic_load_n(&w.handed, __ATOMIC_ACQUIRE))
			break;
		schedule();
	}
	task_finish_wait();
}

void
mutex_lock(struct mutex *m)
{
	assert(owner_task(m->owner) != current);
	if (!mutex_trylock(m))
		mutex_wait(m);
}

/* Handed to the longest waiter, so that nobody starves. */
static void
mutex_hand_over(struct mutex *m)
{
	struct mutex_waiter *w;
	struct task *t;
	uint64_t flags = spin_lock_irqsave(&m->lock);

	if (list_empty(&m->waiters)) {
		__atomic_store_n(&m->owner, NULL, __ATOMIC_RELEASE);
		spin_unlock_irqrestore(&m->lock, flags);
		return;
	}
	w = list_first(&m->waiters, struct mutex_waiter, node);
	list_del(&w->node);
	t = w->task;
	task_get(t);
	__atomic_store_n(&m->owner, (struct task *)((uint64_t)t | !list_empty(&m->waiters)), __ATOMIC_RELAXED);
	/* After this the waiter's frame may be gone. */
	__atomic_store_n(&w->handed, true, __ATOMIC_RELEASE);
	spin_unlock_irqrestore(&m->lock, flags);
	task_wake_state(t, TASK_UNINTERRUPTIBLE);
	task_put(t);
}

void
mutex_unlock(struct mutex *m)
{
	struct task *expected = current;

	assert(mutex_held(m));
	if (!__atomic_compare_exchange_n(&m->owner, &expected, NULL, false, __ATOMIC_RELEASE, __ATOMIC_RELAXED))
		mutex_hand_over(m);
}

bool mutex_held(const struct mutex *m) { return owner_task(m->owner) == current; }

/* ---- completions, references ---- */

void
completion_init(struct completion *c)
{
	waitq_init(&c->wq);
	c->done = false;
}

void
complete(struct completion *c)
{
	__atomic_store_n(&c->done, true, __ATOMIC_RELEASE);
	waitq_wake_all(&c->wq);
}

long
completion_wait_killable(struct completion *c)
{
	return wait_event_killable(&c->wq, __atomic_load_n(&c->done, __ATOMIC_ACQUIRE));
}

void
ref_get(refcount_t *r)
{
	int32_t old = __atomic_fetch_add(&r->n, 1, __ATOMIC_RELAXED);

	if (unlikely(old <= 0))
		panic("reference to a dead object (count %d)", old);
}

bool
ref_get_unless_zero(refcount_t *r)
{
	int32_t n = __atomic_load_n(&r->n, __ATOMIC_RELAXED);

	do {
		if (n <= 0)
			return false;
	} while (!__atomic_compare_exchange_n(&r->n, &n, n + 1, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED));
	return true;
}

bool
ref_put(refcount_t *r)
{
	int32_t old = __atomic_fetch_sub(&r->n, 1, __ATOMIC_RELEASE);

	if (unlikely(old <= 0))
		panic("one reference too many was given back (count %d)", old);
	if (old != 1)
		return false;
	__atomic_thread_fence(__ATOMIC_ACQUIRE);
	return true;
}
