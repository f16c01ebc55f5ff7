/* SPDX-License-Identifier: MIT */
/*
 * Locks, wait queues and reference counts.  Owner: linuxabi/sched.
 *
 * The personality's kernel code is not preempted: a task leaves its CPU only
 * where it blocks (schedule(), mutex_lock(), wait_event*, user access that
 * faults, kmalloc) and at the return to EL0.  Interrupts (timer, notification)
 * do come while kernel code runs, unless masked.
 *
 * Spinlocks: nothing that may block is called while one is held.  A lock that
 * an interrupt handler or a wake-up takes too is taken with _irqsave by
 * everybody (these are marked "irq" below).  Spinning is bounded, then the
 * VCPU yields to the kernel (DESIGN 3.4).  A debug build checks the order by
 * the rank in spin_init / mutex_init: ranks only rise.
 *
 * Order of locks (outer first; the number is the rank):
 *   10 mutex  mount / rename        fs: rename_mutex, mount table
 *   20 mutex  inode->lock           parent before child, then by address
 *   30 mutex  mm->lock              vmas and page tables of a process
 *   40 mutex  tty->lock, pipe->lock, epoll->lock and other file objects
 *   50 spin   dentry, files->lock, mapping->lock, page-table lock
 *   60 spin   tasklist_lock (irq)   process tree, groups, sessions, tid table
 *   70 spin   sighand->lock (irq)   signal actions and queues of a process
 *   75 spin   futex bucket (irq)
 *   80 spin   waitq->lock (irq)
 *  100 spin   run queue (irq)
 *  102 spin   timer base (irq): a switch programs the tick
 *  110 spin   page allocator, slab (irq)
 *  120 spin   log (irq)
 */
#ifndef LX_SYNC_H
#define LX_SYNC_H

#include "list.h"

struct task;

typedef struct spinlock {
	uint32_t next, owner;		/* ticket lock */
	uint32_t rank;
	uint32_t holder;		/* debug: cpu + 1 */
} spinlock_t;
#define SPINLOCK_INIT(r)	{ 0, 0, (r), 0 }

#include "spinlock.h"

/*
 * Wait queues.  A waiter is woken by its function; the default makes the task
 * runnable.  `key` tells what happened (POLLIN … for files, 0 otherwise).
 */
struct waitq {
	spinlock_t lock;
	struct list waiters;
};
struct waiter {
	struct list node;
	struct task *task;
	bool exclusive;		/* waitq_wake(n) stops after n of these */
	/* Called with waitq->lock held, irqs off; true if it woke somebody. */
	bool (*wake)(struct waiter *, unsigned long key);
};
#define WAITQ_INIT(q)	{ SPINLOCK_INIT(80), LIST_INIT((q).waiters) }

void waitq_init(struct waitq *);
void waiter_init(struct waiter *);		/* current task, default wake, not exclusive */
void waitq_add(struct waitq *, struct waiter *);
void waitq_add_exclusive(struct waitq *, struct waiter *);	/* at the tail */
void waitq_remove(struct waitq *, struct waiter *);
unsigned waitq_wake(struct waitq *, unsigned exclusive_count, unsigned long key);
static inline unsigned waitq_wake_all(struct waitq *q) { return waitq_wake(q, ~0u, 0); }
static inline bool waitq_active(struct waitq *q) { return !list_empty(&q->waiters); }
/* waitq_active without the lock: the caller has a full barrier after its store. */

/*
 * wait_event: sleep until `cond` is true.  interruptible: 0, or -ERESTARTSYS
 * when a signal is pending.  timeout: deadline_ns on CLOCK_MONOTONIC,
 * UINT64_MAX = none; 0, -ERESTARTSYS or -ETIMEDOUT.
 */
#define wait_event_state_(wq, cond, state_, deadline_) ({			\
	struct waiter w_;						\
	long r_ = 0;							\
	waiter_init(&w_);						\
	waitq_add((wq), &w_);						\
	for (;;) {							\
		task_prepare_wait(state_);				\
		if (cond)						\
			break;						\
		r_ = task_wait(deadline_);				\
		if (r_ != 0) {						\
			if (cond)					\
				r_ = 0;					\
			break;						\
		}							\
	}								\
	task_finish_wait();						\
	waitq_remove((wq), &w_);					\
	r_; })
#define wait_event(wq, cond)	((void)wait_event_state_(wq, cond, TASK_UNINTERRUPTIBLE, UINT64_MAX))
#define wait_event_interruptible(wq, cond) \
	wait_event_state_(wq, cond, TASK_INTERRUPTIBLE, UINT64_MAX)
#define wait_event_timeout(wq, cond, deadline_ns) \
	wait_event_state_(wq, cond, TASK_INTERRUPTIBLE, deadline_ns)
#define wait_event_killable(wq, cond) \
	wait_event_state_(wq, cond, TASK_KILLABLE, UINT64_MAX)

void task_prepare_wait(unsigned state);	/* current->state = state, full barrier */
long task_wait(uint64_t deadline_ns);	/* schedule(); 0, -ERESTARTSYS, -ETIMEDOUT */
void task_finish_wait(void);		/* current->state = TASK_RUNNING */

/* Sleeping mutex, not recursive. */
struct mutex {
	struct task *owner;
	spinlock_t lock;
	struct list waiters;
	unsigned rank;
};
#define MUTEX_INIT(m, r)	{ NULL, SPINLOCK_INIT(80), LIST_INIT((m).waiters), (r) }
void mutex_init(struct mutex *, unsigned rank);
void mutex_lock(struct mutex *);
bool mutex_trylock(struct mutex *);
void mutex_unlock(struct mutex *);
bool mutex_held(const struct mutex *);	/* by current; for assertions */

/* Reference counts: saturating, never resurrected from 0. */
typedef struct refcount { int32_t n; } refcount_t;
static inline void ref_init(refcount_t *r, int32_t n) { __atomic_store_n(&r->n, n, __ATOMIC_RELAXED); }
void ref_get(refcount_t *);		/* count must be > 0 */
bool ref_get_unless_zero(refcount_t *);
bool ref_put(refcount_t *);		/* true: that was the last, the caller frees */
static inline int32_t ref_read(const refcount_t *r) { return __atomic_load_n(&r->n, __ATOMIC_RELAXED); }

/* One waiter waits for one event, once (vfork, exec). */
struct completion {
	struct waitq wq;
	bool done;
};
void completion_init(struct completion *);
void complete(struct completion *);
long completion_wait_killable(struct completion *);

#endif
