/* SPDX-License-Identifier: MIT */
/*
 * Futexes: futex(2), set_robust_list(2), and what is owed to them when a thread
 * ends.
 *
 * A waiter hangs in a hash bucket under the key of its word (mm and address for
 * private ones, mapping and offset for shared ones).  The bucket's lock orders
 * "look at the word, then queue" of the waiter against "store, then wake" of the
 * waker; the word is read under it without blocking (user_load_u32_nofault) and
 * a page that is missing is brought in outside of it, then all starts again.
 *
 * A waiter is taken off its bucket by whoever wakes or requeues it; `queued`
 * says under which bucket's lock it is to be found.  Two buckets are locked in
 * the order of their addresses.
 *
 * An operation that is not implemented returns ENOSYS, never EINVAL: programs
 * fall back on the former and give up on the latter.  The priority-inheritance
 * operations are such.
 */
#include <linux/futex.h>

#include "futex.h"
#include "syscall.h"
#include "task.h"
#include "uaccess.h"

enum { BUCKETS = 256, ROBUST_LIMIT = 2048, BUCKET_RANK = 75 };

struct bucket {
	spinlock_t lock;
	struct list waiters;
};

struct futex_waiter {
	struct list node;
	struct task *task;
	struct bucket *queued;		/* NULL: woken */
	struct futex_key key;
	uint32_t bitset;
};

static struct bucket buckets[BUCKETS];

void
futex_init(void)
{
	for (unsigned i = 0; i < BUCKETS; i++) {
		spin_init(&buckets[i].lock, BUCKET_RANK);
		list_init(&buckets[i].waiters);
	}
}

static struct bucket *
key_bucket(const struct futex_key *k)
{
	uint64_t h = (k->object ^ (k->offset >> 2)) * 0x9e3779b97f4a7c15UL;

	return &buckets[h >> 56];
}

static bool
key_equal(const struct futex_key *a, const struct futex_key *b)
{
	return a->object == b->object && a->offset == b->offset;
}

/* Private words need no look at the areas: mm and address say it all. */
static long
futex_key_get(uaddr_t addr, bool shared, struct futex_key *key)
{
	if ((addr & 3) != 0)
		return -EINVAL;
	if (!user_range_ok(addr, 4))
		return -EFAULT;
	if (!shared) {
		key->object = (uint64_t)current->mm;
		key->offset = addr;
		return 0;
	}
	return mm_futex_key(current->mm, addr, true, key);
}

static uint64_t
bucket_lock(struct bucket *b)
{
	return spin_lock_irqsave(&b->lock);
}

static uint64_t
bucket_lock_two(struct bucket *a, struct bucket *b)
{
	uint64_t flags;

	if (a == b)
		return spin_lock_irqsave(&a->lock);
	flags = spin_lock_irqsave(a < b ? &a->lock : &b->lock);
	spin_lock(a < b ? &b->lock : &a->lock);
	return flags;
}

static void
bucket_unlock_two(struct bucket *a, struct bucket *b, uint64_t flags)
{
	if (a != b)
		spin_unlock(a < b ? &b->lock : &a->lock);
	spin_unlock_irqrestore(a < b ? &a->lock : &b->lock, flags);
}

/* The bucket's lock is held.  After the store to `queued` the waiter may be gone. */
static void
waiter_wake(struct futex_waiter *w)
{
	struct task *t = w->task;

	list_del(&w->node);
	task_get(t);
	__atomic_store_n(&w->queued, NULL, __ATOMIC_RELEASE);
	task_wake_state(t, TASK_INTERRUPTIBLE);
	task_put(t);
}

static unsigned
bucket_wake(struct bucket *b, const struct futex_key *key, unsigned n, uint32_t bitset)
{
	struct futex_waiter *w, *tmp;
	unsigned woken = 0;

	list_for_each_safe(w, tmp, &b->waiters, node) {
		if (woken >= n)
			break;
		if (!key_equal(&w->key, key) || (w->bitset & bitset) == 0)
			continue;
		waiter_wake(w);
		woken++;
	}
	return woken;
}

long
futex_wake_user(uaddr_t addr, bool shared, unsigned n, uint32_t bitset)
{
	struct futex_key key;
	struct bucket *b;
	uint64_t flags;
	long result = futex_key_get(addr, shared, &key);

	if (result != 0)
		return result;
	if (bitset == 0)
		return -EINVAL;
	b = key_bucket(&key);
	/* The program's store comes before our look at lock and list; pairs with waiter_queue,
	 * which holds the lock from before its look at the word until it is in the list. */
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	if (__atomic_load_n(&b->lock.next, __ATOMIC_ACQUIRE) == __atomic_load_n(&b->lock.owner, __ATOMIC_ACQUIRE)
	    && list_empty(&b->waiters))
		return 0;
	flags = bucket_lock(b);
	result = bucket_wake(b, &key, n, bitset);
	spin_unlock_irqrestore(&b->lock, flags);
	return result;
}

/* Bring the page of a futex word in; the fault decides what a bad one is. */
static long
word_fault_in(uaddr_t addr, unsigned access)
{
	long error = mm_fault(current->mm, addr, access);

	return error == 0 ? 0 : error == -ENOMEM ? -ENOMEM : -EFAULT;
}

/* Take the waiter off whichever bucket it hangs in by now; true: it was not woken. */
static bool
waiter_remove(struct futex_waiter *w)
{
	for (;;) {
		struct bucket *b = __atomic_load_n(&w->queued, __ATOMIC_ACQUIRE);
		uint64_t flags;

		if (b == NULL)
			return false;
		flags = bucket_lock(b);
		if (w->queued == b) {
			list_del(&w->node);
			w->queued = NULL;
			spin_unlock_irqrestore(&b->lock, flags);
			return true;
		}
		spin_unlock_irqrestore(&b->lock, flags);
	}
}

/* Queue if the word still holds val: 0, -EAGAIN (another value), -EFAULT. */
static long
waiter_queue(struct futex_waiter *w, uaddr_t addr, uint32_t val)
{
	struct bucket *b = key_bucket(&w->key);

	for (;;) {
		uint32_t now;
		uint64_t flags = bucket_lock(b);
		long error;

		/* The lock is seen as taken by a waker whose store we do not see. */
		__atomic_thread_fence(__ATOMIC_SEQ_CST);
		error = user_load_u32_nofault(&now, addr);
		if (error == 0 && now == val) {
			w->queued = b;
			list_add_tail(&b->waiters, &w->node);
			task_prepare_wait(TASK_INTERRUPTIBLE);
			spin_unlock_irqrestore(&b->lock, flags);
			return 0;
		}
		spin_unlock_irqrestore(&b->lock, flags);
		if (error == 0)
			return -EAGAIN;
		error = word_fault_in(addr, VMA_READ);
		if (error != 0)
			return error;
	}
}

/* 0 woken, -EAGAIN, -ETIMEDOUT, -ERESTARTSYS, -EFAULT. */
static long
futex_wait_until(uaddr_t addr, bool shared, uint32_t val, uint32_t bitset, uint64_t deadline)
{
	struct futex_waiter w = { .task = current, .bitset = bitset };
	long error;

	if (bitset == 0)
		return -EINVAL;
	error = futex_key_get(addr, shared, &w.key);
	if (error == 0)
		error = waiter_queue(&w, addr, val);
	if (error != 0)
		return error;
	while (__atomic_load_n(&w.queued, __ATOMIC_ACQUIRE) != NULL) {
		error = task_wait(deadline);
		if (error != 0)
			break;
		task_prepare_wait(TASK_INTERRUPTIBLE);
	}
	task_finish_wait();
	return waiter_remove(&w) ? error : 0;
}

/* A relative FUTEX_WAIT that a stop interrupted goes on with the time that is left. */
static long
futex_wait_restart(struct task *t)
{
	const uint64_t *a = t->restart_args;
	long r = futex_wait_until(a[0], a[1] != 0, (uint32_t)a[2], (uint32_t)a[3], a[4]);

	if (r != -ERESTARTSYS)
		return r;
	t->restart_fn = futex_wait_restart;
	return -ERESTART_RESTARTBLOCK;
}

static long
futex_wait(uaddr_t addr, bool shared, uint32_t val, uint32_t bitset, uint64_t deadline)
{
	struct task *t = current;
	long r = futex_wait_until(addr, shared, val, bitset, deadline);

	if (r != -ERESTARTSYS || deadline == UINT64_MAX)
		return r;
	t->restart_fn = futex_wait_restart;
	t->restart_args[0] = addr;
	t->restart_args[1] = shared;
	t->restart_args[2] = val;
	t->restart_args[3] = bitset;
	t->restart_args[4] = deadline;
	return -ERESTART_RESTARTBLOCK;
}

/* Wake up to n, move up to m of the others to the second word. */
static long
futex_requeue(uaddr_t from, uaddr_t to, bool shared, unsigned n, unsigned m, const uint32_t *expected)
{
	struct futex_key k1, k2;
	struct futex_waiter *w, *tmp;
	long error, woken = 0, moved = 0;

	if ((int)n < 0 || (int)m < 0)
		return -EINVAL;
	error = futex_key_get(from, shared, &k1);
	if (error == 0)
		error = futex_key_get(to, shared, &k2);
	if (error != 0)
		return error;

	struct bucket *b1 = key_bucket(&k1), *b2 = key_bucket(&k2);
	uint64_t flags;

	for (;;) {
		uint32_t now;

		flags = bucket_lock_two(b1, b2);
		if (expected == NULL)
			break;
		error = user_load_u32_nofault(&now, from);
		if (error == 0 && now == *expected)
			break;
		bucket_unlock_two(b1, b2, flags);
		if (error == 0)
			return -EAGAIN;
		error = word_fault_in(from, VMA_READ);
		if (error != 0)
			return error;
	}
	list_for_each_safe(w, tmp, &b1->waiters, node) {
		if (!key_equal(&w->key, &k1))
			continue;
		if (woken < (long)n) {
			waiter_wake(w);
			woken++;
			continue;
		}
		if (moved >= (long)m)
			break;
		list_del(&w->node);
		w->key = k2;
		list_add_tail(&b2->waiters, &w->node);
		__atomic_store_n(&w->queued, b2, __ATOMIC_RELEASE);
		moved++;
	}
	bucket_unlock_two(b1, b2, flags);
	return expected != NULL ? woken + moved : woken;
}

/* FUTEX_WAKE_OP: the encoded operation on the second word, as futex(2) lists it. */
static long
wake_op_value(uint32_t op, uint32_t old, uint32_t *new_value)
{
	uint32_t arg = (op >> 12) & 0xfff;

	if ((op & 0x80000000u) != 0)	/* FUTEX_OP_OPARG_SHIFT */
		arg = 1u << (arg & 31);
	switch ((op >> 28) & 7) {
	case FUTEX_OP_SET:
		*new_value = arg;
		return 0;
	case FUTEX_OP_ADD:
		*new_value = old + arg;
		return 0;
	case FUTEX_OP_OR:
		*new_value = old | arg;
		return 0;
	case FUTEX_OP_ANDN:
		*new_value = old & ~arg;
		return 0;
	case FUTEX_OP_XOR:
		*new_value = old ^ arg;
		return 0;
	}
	return -ENOSYS;
}

static long
wake_op_compare(uint32_t op, uint32_t old)
{
	int32_t arg = (int32_t)(op << 20) >> 20, value = (int32_t)old;

	switch ((op >> 24) & 15) {
	case FUTEX_OP_CMP_EQ:
		return value == arg;
	case FUTEX_OP_CMP_NE:
		return value != arg;
	case FUTEX_OP_CMP_LT:
		return value < arg;
	case FUTEX_OP_CMP_LE:
		return value <= arg;
	case FUTEX_OP_CMP_GT:
		return value > arg;
	case FUTEX_OP_CMP_GE:
		return value >= arg;
	}
	return -ENOSYS;
}

static long
word_modify(uaddr_t addr, uint32_t op, uint32_t *old)
{
	for (;;) {
		uint32_t now, desired, seen;
		long error = user_load_u32_nofault(&now, addr);

		if (error != 0)
			return error;
		error = wake_op_value(op, now, &desired);
		if (error != 0)
			return error;
		error = user_cmpxchg_u32(addr, now, desired, &seen);
		if (error != 0)
			return error;
		if (seen == now) {
			*old = now;
			return 0;
		}
	}
}

static long
futex_wake_op(uaddr_t a1, uaddr_t a2, bool shared, unsigned n, unsigned m, uint32_t op)
{
	struct futex_key k1, k2;
	uint32_t old = 0;
	long error = futex_key_get(a1, shared, &k1), woken;

	if (error == 0)
		error = futex_key_get(a2, shared, &k2);
	if (error != 0)
		return error;
	if (wake_op_compare(op, 0) == -ENOSYS)
		return -ENOSYS;

	struct bucket *b1 = key_bucket(&k1), *b2 = key_bucket(&k2);
	uint64_t flags;

	for (;;) {
		flags = bucket_lock_two(b1, b2);
		error = word_modify(a2, op, &old);
		if (error == 0)
			break;
		bucket_unlock_two(b1, b2, flags);
		if (error != -EFAULT)
			return error;
		error = word_fault_in(a2, VMA_WRITE);
		if (error != 0)
			return error;
	}
	woken = bucket_wake(b1, &k1, n, ~0u);
	if (wake_op_compare(op, old) > 0)
		woken += bucket_wake(b2, &k2, m, ~0u);
	bucket_unlock_two(b1, b2, flags);
	return woken;
}

/* Timeouts: FUTEX_WAIT is relative, FUTEX_WAIT_BITSET absolute. */
static long
wait_deadline(uaddr_t utime, bool absolute, bool realtime, uint64_t *deadline)
{
	struct __kernel_timespec ts;
	uint64_t ns, now;

	*deadline = UINT64_MAX;
	if (utime == 0)
		return 0;
	if (copy_from_user(&ts, utime, sizeof(ts)) != 0)
		return -EFAULT;
	if (!timespec_valid(&ts))
		return -EINVAL;
	ns = timespec_ns(&ts);
	if (absolute && !realtime) {
		*deadline = ns;
		return 0;
	}
	if (absolute) {
		now = clock_realtime();
		ns = ns > now ? ns - now : 0;
	}
	now = clock_monotonic();
	*deadline = ns < UINT64_MAX - 1 - now ? now + ns : UINT64_MAX - 1;
	return 0;
}

long
sys_futex(uint64_t addr, uint64_t op, uint64_t val, uint64_t time, uint64_t addr2, uint64_t val3)
{
	unsigned command = (unsigned)op & FUTEX_CMD_MASK;
	bool shared = (op & FUTEX_PRIVATE_FLAG) == 0;
	bool realtime = (op & FUTEX_CLOCK_REALTIME) != 0;
	uint32_t expected = (uint32_t)val3;
	uint64_t deadline;
	long error;

	if (realtime && command != FUTEX_WAIT && command != FUTEX_WAIT_BITSET)
		return -ENOSYS;
	switch (command) {
	case FUTEX_WAIT:
		error = wait_deadline(time, false, realtime, &deadline);
		return error != 0 ? error : futex_wait(addr, shared, (uint32_t)val, ~0u, deadline);
	case FUTEX_WAIT_BITSET:
		error = wait_deadline(time, true, realtime, &deadline);
		return error != 0 ? error : futex_wait(addr, shared, (uint32_t)val, expected, deadline);
	case FUTEX_WAKE:
		return futex_wake_user(addr, shared, (int)val > 0 ? (unsigned)val : 1, ~0u);
	case FUTEX_WAKE_BITSET:
		return futex_wake_user(addr, shared, (int)val > 0 ? (unsigned)val : 1, expected);
	case FUTEX_REQUEUE:
		return futex_requeue(addr, addr2, shared, (unsigned)val, (unsigned)time, NULL);
	case FUTEX_CMP_REQUEUE:
		return futex_requeue(addr, addr2, shared, (unsigned)val, (unsigned)time, &expected);
	case FUTEX_WAKE_OP:
		return futex_wake_op(addr, addr2, shared, (unsigned)val, (unsigned)time, expected);
	}
	return -ENOSYS;
}

long
sys_set_robust_list(uint64_t head, uint64_t size)
{
	if (size != sizeof(struct robust_list_head))
		return -EINVAL;
	current->robust_list = head;
	return 0;
}

long
sys_get_robust_list(uint64_t tid, uint64_t head, uint64_t size)
{
	struct task *t = (int)tid == 0 ? current : task_find((int)tid);
	uaddr_t list;

	if (t == NULL)
		return -ESRCH;
	list = t->robust_list;
	if (t != current) {
		bool allowed = task_may_signal(t, 0);

		task_put(t);
		if (!allowed)
			return -EPERM;
	}
	if (put_user_u64(size, sizeof(struct robust_list_head)) != 0 || put_user_u64(head, list) != 0)
		return -EFAULT;
	return 0;
}

/* The owner of a robust mutex died: say so in the word and wake one waiter. */
static void
robust_release(uaddr_t word, int tid)
{
	uint32_t now, seen;

	if ((word & 3) != 0 || get_user_u32(&now, word) != 0)
		return;
	for (;;) {
		if ((now & FUTEX_TID_MASK) != (uint32_t)tid)
			return;
		if (user_cmpxchg_u32(word, now, (now & FUTEX_WAITERS) | FUTEX_OWNER_DIED, &seen) != 0) {
			if (word_fault_in(word, VMA_WRITE) != 0)
				return;
			continue;
		}
		if (seen == now)
			break;
		now = seen;
	}
	if ((now & FUTEX_WAITERS) != 0) {
		futex_wake_user(word, true, 1, ~0u);
		futex_wake_user(word, false, 1, ~0u);
	}
}

/* The list is the program's: bounded, and every pointer of it is checked.
 * Bit 0 of an entry marks a PI futex. */
static void
robust_list_walk(struct task *t)
{
	uaddr_t head = t->robust_list, entry;
	uint64_t offset, pending;

	if (get_user_u64(&entry, head) != 0 || get_user_u64(&offset, head + 8) != 0 ||
	    get_user_u64(&pending, head + 16) != 0)
		return;
	for (unsigned n = 0; n < ROBUST_LIMIT && (entry & ~1UL) != head; n++) {
		uint64_t next;
		bool more = get_user_u64(&next, entry & ~1UL) == 0;

		if ((entry & ~1UL) != (pending & ~1UL))
			robust_release((entry & ~1UL) + offset, t->tid);
		if (!more)
			break;
		entry = next;
	}
	if ((pending & ~1UL) != 0)
		robust_release((pending & ~1UL) + offset, t->tid);
}

void
futex_exit(struct task *t)
{
	if (t->mm == NULL)
		return;
	if (t->robust_list != 0) {
		robust_list_walk(t);
		t->robust_list = 0;
	}
	if (t->clear_child_tid == 0)
		return;
	/* Nobody looks at the word of a space that has no other user (set_tid_address(2)). */
	if (ref_read(&t->mm->users) > 1 && put_user_u32(t->clear_child_tid, 0) == 0) {
		futex_wake_user(t->clear_child_tid, true, 1, ~0u);
		futex_wake_user(t->clear_child_tid, false, 1, ~0u);
	}
	t->clear_child_tid = 0;
}
