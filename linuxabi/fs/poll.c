/* SPDX-License-Identifier: MIT */
/*
 * ppoll and pselect6.  The first round asks every file and registers on its
 * queues as long as nothing was ready; a wake-up sets `triggered`, and the
 * files are asked again.
 */
#include "internal.h"

enum { ENTRIES_INLINE = 16, FDS_INLINE = 64, FDS_LIMIT = 1 << 18 };

struct poll_wait_entry {
	struct waiter waiter;
	struct waitq *queue;
	struct file *file;
	unsigned events;
	struct poll_waiter *owner;
};

struct poll_chunk {
	struct poll_chunk *next;
	unsigned count;
	struct poll_wait_entry entry[60];
};

struct poll_waiter {
	struct poll_table table;
	bool triggered;
	bool no_memory;
	unsigned events;		/* of the file that is being asked */
	unsigned count;
	struct poll_chunk *chunks;
	struct poll_wait_entry entry[ENTRIES_INLINE];
};

static bool
poll_wake(struct waiter *w, unsigned long key)
{
	struct poll_wait_entry *e = container_of(w, struct poll_wait_entry, waiter);

	if (key != 0 && (key & e->events) == 0)
		return false;
	__atomic_store_n(&e->owner->triggered, true, __ATOMIC_RELEASE);
	return task_wake(w->task);
}

static struct poll_wait_entry *
entry_new(struct poll_waiter *pw)
{
	struct poll_chunk *c = pw->chunks;

	if (pw->count < ENTRIES_INLINE)
		return &pw->entry[pw->count++];
	if (c == NULL || c->count == ARRAY_LEN(c->entry)) {
		c = kmalloc(sizeof(*c));
		if (c == NULL)
			return NULL;
		c->next = pw->chunks;
		c->count = 0;
		pw->chunks = c;
	}
	return &c->entry[c->count++];
}

static void
poll_queue(struct poll_table *pt, struct file *f, struct waitq *q)
{
	struct poll_waiter *pw = container_of(pt, struct poll_waiter, table);
	struct poll_wait_entry *e = entry_new(pw);

	if (e == NULL) {
		pw->no_memory = true;
		return;
	}
	waiter_init(&e->waiter);
	e->waiter.wake = poll_wake;
	e->queue = q;
	e->file = f;
	e->events = pw->events;
	e->owner = pw;
	file_get(f);
	waitq_add(q, &e->waiter);
	__atomic_thread_fence(__ATOMIC_SEQ_CST);	/* on the queue before the look at the file; partner: waitq_wake */
}

/* Who does not want to wait registers nowhere. */
static void
poll_waiter_init(struct poll_waiter *pw, uint64_t deadline)
{
	pw->table.queue = deadline != 0 ? poll_queue : NULL;
	pw->triggered = false;
	pw->no_memory = false;
	pw->count = 0;
	pw->chunks = NULL;
}

static void
entries_remove(struct poll_wait_entry *e, unsigned count)
{
	for (unsigned i = 0; i < count; i++) {
		waitq_remove(e[i].queue, &e[i].waiter);
		file_put(e[i].file);
	}
}

static void
poll_waiter_end(struct poll_waiter *pw)
{
	entries_remove(pw->entry, pw->count);
	while (pw->chunks != NULL) {
		struct poll_chunk *c = pw->chunks;

		pw->chunks = c->next;
		entries_remove(c->entry, c->count);
		kfree(c);
	}
}

/* Where a file that is asked registers us; NULL once something is ready: then nobody will wait. */
static inline struct poll_table *
table_of(struct poll_waiter *pw, bool look_only)
{
	return look_only || pw->table.queue == NULL ? NULL : &pw->table;
}

/* What a file is ready for; always with errors and hang-ups. */
static inline unsigned
poll_file(struct poll_waiter *pw, struct file *f, unsigned events, struct poll_table *pt)
{
	unsigned (*ask)(struct file *, struct poll_table *) = f->ops->poll;

	events |= POLLERR | POLLHUP;
	if (unlikely(ask == NULL))
		return events & (POLLIN | POLLOUT | POLLRDNORM | POLLWRNORM);
	if (pt != NULL)
		pw->events = events;
	return ask(f, pt) & events;
}

/*
 * Ask until something is ready, the time is over or a signal comes.  ask()
 * returns the number of ready ones.
 */
static long
poll_loop(struct poll_waiter *pw, long (*ask)(struct poll_waiter *, void *), void *arg, uint64_t deadline)
{
	long ready, r = 0;

	for (;;) {
		__atomic_store_n(&pw->triggered, false, __ATOMIC_RELAXED);
		ready = ask(pw, arg);
		pw->table.queue = NULL;		/* registered once */
		if (ready != 0)
			return ready;
		if (pw->no_memory)
			return -ENOMEM;
		if (r == -ETIMEDOUT || deadline == 0)
			return 0;
		if (r != 0 || signal_pending())
			return -ERESTARTNOHAND;
		task_prepare_wait(TASK_INTERRUPTIBLE);
		if (!__atomic_load_n(&pw->triggered, __ATOMIC_ACQUIRE))
			r = task_wait(deadline);
		task_finish_wait();
	}
}

/* ---- time-outs ---- */

/* NULL: never; 0: at once. */
static long
deadline_get(uaddr_t user, uint64_t *deadline)
{
	struct __kernel_timespec t;
	uint64_t ns, now;

	*deadline = UINT64_MAX;
	if (user == 0)
		return 0;
	if (copy_from_user(&t, user, sizeof(t)) < 0)
		return -EFAULT;
	if (!timespec_valid(&t))
		return -EINVAL;
	ns = timespec_ns(&t);
	now = clock_monotonic();
	if (ns == 0)
		*deadline = 0;
	else
		*deadline = ns > UINT64_MAX - 1 - now ? UINT64_MAX - 1 : now + ns;
	return 0;
}

/* What is left goes back to the caller; that it cannot be written is no error. */
static void
deadline_put(uaddr_t user, uint64_t deadline)
{
	struct __kernel_timespec t = { 0, 0 };
	uint64_t now;

	if (user == 0 || deadline == UINT64_MAX)
		return;
	now = deadline == 0 ? 0 : clock_monotonic();
	if (deadline > now)
		t = ns_timespec(deadline - now);
	if (copy_to_user(user, &t, sizeof(t)) < 0)
		return;
}

/* ---- ppoll ---- */

struct poll_set {
	struct pollfd *fds;
	unsigned count;
};

static long
ppoll_ask(struct poll_waiter *pw, void *arg)
{
	const struct poll_set *s = arg;
	struct pollfd *p = s->fds, *end = p + s->count;
	struct poll_table *pt = table_of(pw, false);
	long ready = 0;

	for (; p != end; p++) {
		unsigned got = 0;

		if (likely(p->fd >= 0)) {
			struct fdref ref = fdref_get(p->fd);

			got = unlikely(ref.file == NULL) ? POLLNVAL : poll_file(pw, ref.file, (uint16_t)p->events, pt);
			fdref_put(ref);
		}
		p->revents = (short)got;
		if (got != 0) {
			ready++;
			pt = NULL;
		}
	}
	return ready;
}

static long
revents_put(uaddr_t user, const struct pollfd *fds, unsigned count)
{
	/* One copy of all: the other fields are as the caller gave them. */
	return copy_to_user(user, fds, count * sizeof(fds[0]));
}

long
sys_ppoll(uint64_t ufds, uint64_t nfds, uint64_t timeout, uint64_t mask, uint64_t mask_size)
{
	struct pollfd small[FDS_INLINE];
	struct poll_set set = { .fds = small, .count = (unsigned)nfds };
	struct poll_waiter pw;
	uint64_t deadline;
	long r = deadline_get(timeout, &deadline);

	if (r < 0)
		return r;
	if ((uint32_t)nfds > min(rlimit(RLIMIT_NOFILE), (uint64_t)FDS_LIMIT))
		return -EINVAL;
	r = signal_set_user_mask(mask, mask_size);
	if (r < 0)
		return r;
	if (set.count > FDS_INLINE) {
		set.fds = kmalloc(set.count * sizeof(struct pollfd));
		r = -ENOMEM;
		if (set.fds == NULL)
			goto out_mask;
	}
	r = -EFAULT;
	if (copy_from_user(set.fds, ufds, set.count * sizeof(struct pollfd)) < 0)
		goto out;
	poll_waiter_init(&pw, deadline);
	r = poll_loop(&pw, ppoll_ask, &set, deadline);
	poll_waiter_end(&pw);
	if (r >= 0 && revents_put(ufds, set.fds, set.count) < 0)
		r = -EFAULT;
	deadline_put(timeout, deadline);
out:
	if (set.fds != small)
		kfree(set.fds);
out_mask:
	if (r != -ERESTARTNOHAND)
		signal_restore_mask();
	return r;
}

/* ---- pselect6 ---- */

struct select_set {
	unsigned n;
	size_t words;
	uint64_t *in, *out, *ex;	/* asked for */
	uint64_t *rin, *rout, *rex;	/* ready */
};

#define SELECT_IN	(POLLRDNORM | POLLRDBAND | POLLIN | POLLHUP | POLLERR)
#define SELECT_OUT	(POLLWRBAND | POLLWRNORM | POLLOUT | POLLERR)
#define SELECT_EX	POLLPRI

/* Without the FP registers, which __builtin_popcountll would take. */
static inline long
bits_set(uint64_t v)
{
	long n = 0;

	for (; v != 0; v &= v - 1)
		n++;
	return n;
}

static inline unsigned
select_events(uint64_t in, uint64_t out, uint64_t ex, unsigned bit)
{
	return ((in >> bit & 1) != 0 ? SELECT_IN : 0) | ((out >> bit & 1) != 0 ? SELECT_OUT : 0) |
	    ((ex >> bit & 1) != 0 ? SELECT_EX : 0);
}

/* 64 descriptors; how many bits are ready, or -EBADF. */
static inline long
select_word(struct poll_waiter *pw, struct select_set *s, size_t w, struct poll_table *pt)
{
	uint64_t in = s->in[w], out = s->out[w], ex = s->ex[w], rin = 0, rout = 0, rex = 0;

	for (uint64_t bits = in | out | ex; bits != 0; bits &= bits - 1) {
		unsigned bit = (unsigned)__builtin_ctzll(bits), fd = (unsigned)(w * 64) + bit, got;
		struct fdref ref;

		if (fd >= s->n)
			break;
		ref = fdref_get((int)fd);
		if (unlikely(ref.file == NULL))
			return -EBADF;
		got = poll_file(pw, ref.file, select_events(in, out, ex, bit), pt);
		fdref_put(ref);
		if (got == 0)
			continue;
		rin |= (uint64_t)((got & SELECT_IN) != 0) << bit;
		rout |= (uint64_t)((got & SELECT_OUT) != 0) << bit;
		rex |= (uint64_t)((got & SELECT_EX) != 0) << bit;
		if (((rin & in) | (rout & out) | (rex & ex)) != 0)
			pt = NULL;
	}
	s->rin[w] = rin & in;
	s->rout[w] = rout & out;
	s->rex[w] = rex & ex;
	return bits_set(s->rin[w]) + bits_set(s->rout[w]) + bits_set(s->rex[w]);
}

static long
select_ask(struct poll_waiter *pw, void *arg)
{
	struct select_set *s = arg;
	long ready = 0, r;

	for (size_t w = 0; w < s->words; w++) {
		r = select_word(pw, s, w, table_of(pw, ready != 0));
		if (r < 0)
			return r;
		ready += r;
	}
	return ready;
}

static long
bits_get(uint64_t *to, uaddr_t user, size_t words)
{
	if (user != 0)
		return copy_from_user(to, user, words * sizeof(uint64_t));
	memset(to, 0, words * sizeof(uint64_t));
	return 0;
}

static long
bits_put(uaddr_t user, const uint64_t *from, size_t words)
{
	return user == 0 ? 0 : copy_to_user(user, from, words * sizeof(uint64_t));
}

static long
select_run(struct select_set *s, uaddr_t in, uaddr_t out, uaddr_t ex, uint64_t deadline)
{
	struct poll_waiter pw;
	long r;

	if (bits_get(s->in, in, s->words) < 0 || bits_get(s->out, out, s->words) < 0 ||
	    bits_get(s->ex, ex, s->words) < 0)
		return -EFAULT;
	poll_waiter_init(&pw, deadline);
	r = poll_loop(&pw, select_ask, s, deadline);
	poll_waiter_end(&pw);
	if (r >= 0 && (bits_put(in, s->rin, s->words) < 0 || bits_put(out, s->rout, s->words) < 0 ||
	    bits_put(ex, s->rex, s->words) < 0))
		r = -EFAULT;
	return r;
}

long
sys_pselect6(uint64_t n64, uint64_t in, uint64_t out, uint64_t ex, uint64_t timeout, uint64_t sig)
{
	uint64_t small[6 * 4], *bits = small, sigarg[2] = { 0, 0 }, deadline;
	struct select_set s = { 0 };
	int n = (int)n64;
	long r;

	if (sig != 0 && copy_from_user(sigarg, sig, sizeof(sigarg)) < 0)
		return -EFAULT;
	r = deadline_get(timeout, &deadline);
	if (r < 0)
		return r;
	if (n < 0)
		return -EINVAL;
	/* Descriptors that cannot exist are not looked at, as on Linux. */
	n = min(n, (int)READ_ONCE(current->files->size));
	s.n = (unsigned)n;
	s.words = ((size_t)n + 63) / 64;
	r = signal_set_user_mask(sigarg[0], sigarg[1]);
	if (r < 0)
		return r;
	if (s.words > 4) {
		bits = kmalloc(6 * s.words * sizeof(uint64_t));
		r = -ENOMEM;
		if (bits == NULL)
			goto out_mask;
	}
	s.in = bits;
	s.out = bits + s.words;
	s.ex = bits + 2 * s.words;
	s.rin = bits + 3 * s.words;
	s.rout = bits + 4 * s.words;
	s.rex = bits + 5 * s.words;
	r = select_run(&s, in, out, ex, deadline);
	deadline_put(timeout, deadline);
	if (bits != small)
		kfree(bits);
out_mask:
	if (r != -ERESTARTNOHAND)
		signal_restore_mask();
	return r;
}
