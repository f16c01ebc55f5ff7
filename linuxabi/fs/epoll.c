/* SPDX-License-Identifier: MIT */
/*
 * epoll(7).  An item watches one (file, descriptor number); its waiter sits on
 * the file's queues and puts the item on the ready list.  epoll_wait takes the
 * list, asks each file what it is ready for, and puts level-triggered items
 * back.  An item lives until EPOLL_CTL_DEL, the last close of the file, or the
 * end of the epoll file.
 *
 * Locks: registry (one for all; items in, out, release of files, loop check)
 * outside epoll->lock (one epoll's items), then ready_lock (irq; also taken
 * under the lock of a wait queue).
 */
#include <linux/eventpoll.h>
#include "internal.h"

enum { BUCKETS_FIRST = 32, WATCHES_MAX = 1 << 16, NEST_MAX = 5, CHUNK = 32 };
#define EPOLL_PRIVATE (EPOLLWAKEUP | EPOLLONESHOT | EPOLLET | EPOLLEXCLUSIVE)
#ifndef EPOLLINOUT_BITS
#define EPOLLINOUT_BITS (EPOLLIN | EPOLLOUT)
#endif
#define EXCLUSIVE_OK (EPOLLINOUT_BITS | EPOLLERR | EPOLLHUP | EPOLLWAKEUP | EPOLLET | EPOLLEXCLUSIVE)

struct epoll_wait_entry {
	struct waiter waiter;
	struct waitq *queue;
	struct epoll_item *item;
	struct epoll_wait_entry *next;
};

struct epoll_item {
	struct epoll_item *hash_next;
	struct list ready;		/* epoll->ready, under ready_lock */
	struct list file_node;		/* file->epoll_items, under registry */
	struct epoll *ep;
	struct file *file;		/* no reference: its release removes the item */
	int fd;
	uint32_t events;
	uint64_t data;
	struct epoll_wait_entry *entries;
	struct epoll_wait_entry first[2];	/* most files have one queue, a few two */
	unsigned entry_count;
	bool no_memory;
};

struct epoll {
	struct mutex lock;
	spinlock_t ready_lock;
	struct list ready;
	struct waitq wq;		/* epoll_wait */
	struct waitq poll_wq;		/* poll of the epoll file, outer epolls */
	struct epoll_item **buckets;
	unsigned size, count;
	struct file *file;
};

static struct mutex registry = MUTEX_INIT(registry, 35);
static const struct file_ops epoll_ops;
static struct kcache *item_cache;
static uint64_t watches;

bool
file_is_epoll(const struct file *f)
{
	return f->ops == &epoll_ops;
}

/* ---- the wake-up ---- */

static bool
ready_add(struct epoll_item *it)
{
	struct epoll *ep = it->ep;
	uint64_t flags = spin_lock_irqsave(&ep->ready_lock);
	bool added = list_empty(&it->ready);

	if (added)
		list_add_tail(&ep->ready, &it->ready);
	spin_unlock_irqrestore(&ep->ready_lock, flags);
	return added;
}

static bool
epoll_wake(struct waiter *w, unsigned long key)
{
	struct epoll_wait_entry *e = container_of(w, struct epoll_wait_entry, waiter);
	struct epoll_item *it = e->item;
	struct epoll *ep = it->ep;
	bool woke = false;

	/* Without an event bit: EPOLLONESHOT has fired, waiting for EPOLL_CTL_MOD. */
	if ((it->events & ~(uint32_t)EPOLL_PRIVATE) == 0)
		return false;
	if (key != 0 && (key & it->events) == 0)
		return false;
	ready_add(it);
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	if (waitq_active(&ep->wq))
		woke = waitq_wake(&ep->wq, 1, 0) != 0;
	if (waitq_active(&ep->poll_wq))
		waitq_wake(&ep->poll_wq, ~0u, POLLIN | POLLRDNORM);
	/* With EPOLLEXCLUSIVE only a wake-up that reached somebody counts. */
	return (it->events & EPOLLEXCLUSIVE) == 0 || woke;
}

struct epoll_table {
	struct poll_table table;
	struct epoll_item *item;
};

static void
epoll_queue(struct poll_table *pt, struct file *f, struct waitq *q)
{
	struct epoll_item *it = container_of(pt, struct epoll_table, table)->item;
	struct epoll_wait_entry *e;

	(void)f;
	if (it->entry_count < ARRAY_LEN(it->first))
		e = &it->first[it->entry_count];
	else
		e = kzalloc(sizeof(*e));
	if (e == NULL) {
		it->no_memory = true;
		return;
	}
	it->entry_count++;
	waiter_init(&e->waiter);
	e->waiter.wake = epoll_wake;
	e->queue = q;
	e->item = it;
	e->next = it->entries;
	it->entries = e;
	if (it->events & EPOLLEXCLUSIVE)
		waitq_add_exclusive(q, &e->waiter);
	else
		waitq_add(q, &e->waiter);
	__atomic_thread_fence(__ATOMIC_SEQ_CST);	/* on the queue before the look at the file; partner: waitq_wake */
}

static unsigned
item_ask(struct epoll_item *it, struct poll_table *pt)
{
	unsigned all = EPOLLIN | EPOLLOUT | EPOLLRDNORM | EPOLLWRNORM;
	unsigned got = it->file->ops->poll != NULL ? it->file->ops->poll(it->file, pt) : all;

	return got & it->events;
}

/* ---- items ---- */

static inline unsigned
hash_of(const struct epoll *ep, const struct file *f, int fd)
{
	return (unsigned)(((uint64_t)f >> 6) + (unsigned)fd * 0x9e3779b1u) & (ep->size - 1);
}

static struct epoll_item **
item_slot(struct epoll *ep, const struct file *f, int fd)
{
	struct epoll_item **p = &ep->buckets[hash_of(ep, f, fd)];

	while (*p != NULL && ((*p)->file != f || (*p)->fd != fd))
		p = &(*p)->hash_next;
	return p;
}

static void
buckets_grow(struct epoll *ep)
{
	unsigned old = ep->size;
	struct epoll_item **from = ep->buckets, **to = kzalloc(old * 2 * sizeof(to[0]));

	if (to == NULL)
		return;			/* longer chains */
	ep->buckets = to;
	ep->size = old * 2;
	for (unsigned i = 0; i < old; i++)
		while (from[i] != NULL) {
			struct epoll_item *it = from[i];
			struct epoll_item **head = &to[hash_of(ep, it->file, it->fd)];

			from[i] = it->hash_next;
			it->hash_next = *head;
			*head = it;
		}
	kfree(from);
}

static void
entries_unhook(struct epoll_item *it)
{
	struct epoll_wait_entry *e = it->entries;

	it->entries = NULL;
	while (e != NULL) {
		struct epoll_wait_entry *next = e->next;

		waitq_remove(e->queue, &e->waiter);
		if (e < it->first || e >= it->first + ARRAY_LEN(it->first))
			kfree(e);
		e = next;
	}
}

/* registry and ep->lock held. */
static void
item_remove(struct epoll_item *it)
{
	struct epoll *ep = it->ep;
	struct epoll_item **p = item_slot(ep, it->file, it->fd);
	uint64_t flags;

	entries_unhook(it);		/* no wake-up comes after this */
	if (*p == it) {
		*p = it->hash_next;
		ep->count--;
	}
	list_del(&it->file_node);
	flags = spin_lock_irqsave(&ep->ready_lock);
	list_del(&it->ready);
	spin_unlock_irqrestore(&ep->ready_lock, flags);
	__atomic_fetch_sub(&watches, 1, __ATOMIC_RELAXED);
	kcache_free(item_cache, it);
}

static void
notify_ready(struct epoll *ep)
{
	waitq_wake(&ep->wq, 1, 0);
	waitq_wake(&ep->poll_wq, ~0u, POLLIN | POLLRDNORM);
}

static long
item_add(struct epoll *ep, struct file *f, int fd, const struct epoll_event *ev)
{
	struct epoll_table pt = { .table = { .queue = epoll_queue } };
	struct epoll_item *it, **p;

	if (__atomic_add_fetch(&watches, 1, __ATOMIC_RELAXED) > WATCHES_MAX) {
		__atomic_fetch_sub(&watches, 1, __ATOMIC_RELAXED);
		return -ENOSPC;
	}
	it = kcache_zalloc(item_cache);
	if (it == NULL) {
		__atomic_fetch_sub(&watches, 1, __ATOMIC_RELAXED);
		return -ENOMEM;
	}
	list_init(&it->ready);
	list_init(&it->file_node);
	it->ep = ep;
	it->file = f;
	it->fd = fd;
	it->events = ev->events | EPOLLERR | EPOLLHUP;
	it->data = ev->data;
	if (ep->count >= ep->size * 2)
		buckets_grow(ep);
	p = &ep->buckets[hash_of(ep, f, fd)];
	it->hash_next = *p;
	*p = it;
	ep->count++;
	list_add_tail(&f->epoll_items, &it->file_node);
	pt.item = it;
	if (item_ask(it, &pt.table) != 0 && ready_add(it))
		notify_ready(ep);
	if (it->no_memory) {
		item_remove(it);
		return -ENOMEM;
	}
	return 0;
}

static long
item_modify(struct epoll_item *it, const struct epoll_event *ev)
{
	if (it->events & EPOLLEXCLUSIVE)
		return -EINVAL;
	WRITE_ONCE(it->events, ev->events | EPOLLERR | EPOLLHUP);
	it->data = ev->data;
	/* The new events before the look; partner: the file's change before its wake-up. */
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	if (item_ask(it, NULL) != 0 && ready_add(it))
		notify_ready(it->ep);
	return 0;
}

/* The last reference to a watched file is gone. */
void
epoll_file_release(struct file *f)
{
	mutex_lock(&registry);
	while (!list_empty(&f->epoll_items)) {
		struct epoll_item *it = list_first(&f->epoll_items, struct epoll_item, file_node);
		struct epoll *ep = it->ep;

		mutex_lock(&ep->lock);
		item_remove(it);
		mutex_unlock(&ep->lock);
	}
	mutex_unlock(&registry);
}

static void
epoll_release(struct file *f)
{
	struct epoll *ep = f->private_;

	mutex_lock(&registry);
	mutex_lock(&ep->lock);
	for (unsigned i = 0; i < ep->size; i++)
		while (ep->buckets[i] != NULL)
			item_remove(ep->buckets[i]);
	mutex_unlock(&ep->lock);
	mutex_unlock(&registry);
	kfree(ep->buckets);
	kfree(ep);
}

/* ---- epoll in epoll ---- */

/* registry held.  Would watching `inner` from `outer` close a loop, or nest too deep? */
static long
nest_check(const struct epoll *outer, struct epoll *inner, unsigned depth)
{
	if (inner == outer || depth > NEST_MAX)
		return -ELOOP;
	for (unsigned i = 0; i < inner->size; i++)
		for (struct epoll_item *it = inner->buckets[i]; it != NULL; it = it->hash_next)
			if (file_is_epoll(it->file)) {
				long r = nest_check(outer, it->file->private_, depth + 1);

				if (r < 0)
					return r;
			}
	return 0;
}

static unsigned
nest_above(struct file *f, unsigned depth)
{
	struct epoll_item *it;
	unsigned deepest = depth;

	if (depth > NEST_MAX)
		return depth;
	list_for_each(it, &f->epoll_items, file_node)
		deepest = max(deepest, nest_above(it->ep->file, depth + 1));
	return deepest;
}

/* Readable if some item really is. */
static unsigned
epoll_poll(struct file *f, struct poll_table *pt)
{
	struct epoll *ep = f->private_;
	struct list seen = LIST_INIT(seen);
	unsigned events = 0;
	uint64_t flags;

	poll_wait(pt, f, &ep->poll_wq);
	/* Items on the list may have become quiet since: ask them, each once. */
	if (list_empty(&ep->ready))
		return 0;
	if (mutex_held(&ep->lock))
		return POLLIN | POLLRDNORM;
	mutex_lock(&ep->lock);
	for (;;) {
		struct epoll_item *it = NULL;

		flags = spin_lock_irqsave(&ep->ready_lock);
		if (!list_empty(&ep->ready)) {
			it = list_first(&ep->ready, struct epoll_item, ready);
			list_del(&it->ready);
			list_add_tail(&seen, &it->ready);
		}
		spin_unlock_irqrestore(&ep->ready_lock, flags);
		if (it == NULL)
			break;
		if (item_ask(it, NULL) != 0) {
			events = POLLIN | POLLRDNORM;
			break;
		}
		flags = spin_lock_irqsave(&ep->ready_lock);
		list_del(&it->ready);
		spin_unlock_irqrestore(&ep->ready_lock, flags);
	}
	flags = spin_lock_irqsave(&ep->ready_lock);
	while (!list_empty(&seen)) {
		struct list *l = seen.next;

		list_del(l);
		list_add(&ep->ready, l);
	}
	spin_unlock_irqrestore(&ep->ready_lock, flags);
	mutex_unlock(&ep->lock);
	return events;
}

static const struct file_ops epoll_ops = { .poll = epoll_poll, .release = epoll_release };

/* ---- calls ---- */

long
sys_epoll_create1(uint64_t flags)
{
	struct epoll *ep;
	struct file *f;
	int fd;

	if (((uint32_t)flags & ~(uint32_t)O_CLOEXEC) != 0)
		return -EINVAL;
	ep = kzalloc(sizeof(*ep));
	if (ep == NULL)
		return -ENOMEM;
	ep->buckets = kzalloc(BUCKETS_FIRST * sizeof(ep->buckets[0]));
	ep->size = BUCKETS_FIRST;
	mutex_init(&ep->lock, 40);
	spin_init(&ep->ready_lock, 85);
	list_init(&ep->ready);
	waitq_init(&ep->wq);
	waitq_init(&ep->poll_wq);
	f = ep->buckets != NULL ? file_anon("[eventpoll]", &epoll_ops, ep, O_RDWR | (unsigned)flags) : ERR_PTR(-ENOMEM);
	if (IS_ERR(f)) {
		kfree(ep->buckets);
		kfree(ep);
		return PTR_ERR(f);
	}
	ep->file = f;
	fd = fd_install(f, 0, (flags & O_CLOEXEC) != 0);
	if (fd < 0)
		file_put(f);
	return fd;
}

static long
ctl_locked(struct epoll *ep, struct file *f, int fd, unsigned op, const struct epoll_event *ev)
{
	struct epoll_item *it = *item_slot(ep, f, fd);

	switch (op) {
	case EPOLL_CTL_ADD:
		return it != NULL ? -EEXIST : item_add(ep, f, fd, ev);
	case EPOLL_CTL_DEL:
		if (it == NULL)
			return -ENOENT;
		item_remove(it);
		return 0;
	case EPOLL_CTL_MOD:
		return it == NULL ? -ENOENT : item_modify(it, ev);
	default:
		return -EINVAL;
	}
}

static long
ctl_check(struct file *epf, struct file *f, unsigned op, const struct epoll_event *ev)
{
	if (f->ops->poll == NULL)
		return -EPERM;		/* regular files and directories */
	if (f == epf || !file_is_epoll(epf))
		return -EINVAL;
	if (op != EPOLL_CTL_DEL && (ev->events & EPOLLEXCLUSIVE) != 0) {
		if (op == EPOLL_CTL_MOD)
			return -EINVAL;
		if (file_is_epoll(f) || (ev->events & ~(uint32_t)EXCLUSIVE_OK) != 0)
			return -EINVAL;
	}
	return 0;
}

static long
do_ctl(struct file *epf, struct file *f, int fd, unsigned op, const struct epoll_event *ev)
{
	struct epoll *ep = epf->private_;
	long r = 0;

	mutex_lock(&registry);
	if (op == EPOLL_CTL_ADD && file_is_epoll(f)) {
		r = nest_check(ep, f->private_, 1);
		if (r == 0 && nest_above(epf, 1) >= NEST_MAX)
			r = -EINVAL;
	}
	if (r == 0) {
		mutex_lock(&ep->lock);
		r = ctl_locked(ep, f, fd, op, ev);
		mutex_unlock(&ep->lock);
	}
	mutex_unlock(&registry);
	return r;
}

long
sys_epoll_ctl(uint64_t epfd, uint64_t op, uint64_t fd, uint64_t user)
{
	struct epoll_event ev = { 0 };
	struct fdref ep, f;
	long r = -EBADF;

	if ((int)op != EPOLL_CTL_DEL && copy_from_user(&ev, user, sizeof(ev)) < 0)
		return -EFAULT;
	ep = fdref_get((int)epfd);
	if (ep.file == NULL)
		return -EBADF;
	f = fdref_get((int)fd);
	if (f.file != NULL)
		r = ctl_check(ep.file, f.file, (unsigned)op, &ev);
	if (r == 0)
		r = do_ctl(ep.file, f.file, (int)fd, (unsigned)op, &ev);
	fdref_put(f);
	fdref_put(ep);
	return r;
}

/*
 * Takes up to max ready items: each is asked, and stays on the list if it is
 * level-triggered.  An item that is not ready any more leaves the list.
 */
static unsigned
collect(struct epoll *ep, struct epoll_event *out, unsigned max)
{
	struct list again = LIST_INIT(again);
	unsigned n = 0;
	uint64_t flags;

	mutex_lock(&ep->lock);
	while (n < max) {
		struct epoll_item *it = NULL;
		unsigned got;

		flags = spin_lock_irqsave(&ep->ready_lock);
		if (!list_empty(&ep->ready)) {
			it = list_first(&ep->ready, struct epoll_item, ready);
			list_del(&it->ready);
		}
		spin_unlock_irqrestore(&ep->ready_lock, flags);
		if (it == NULL)
			break;
		got = item_ask(it, NULL);
		if (got == 0)
			continue;
		out[n++] = (struct epoll_event){ .events = got, .data = it->data };
		if (it->events & EPOLLONESHOT) {
			it->events &= EPOLL_PRIVATE;
			continue;
		}
		if (it->events & EPOLLET)
			continue;
		flags = spin_lock_irqsave(&ep->ready_lock);
		if (list_empty(&it->ready))
			list_add_tail(&again, &it->ready);
		spin_unlock_irqrestore(&ep->ready_lock, flags);
	}
	flags = spin_lock_irqsave(&ep->ready_lock);
	while (!list_empty(&again)) {
		struct list *l = again.next;

		list_del(l);
		list_add_tail(&ep->ready, l);
	}
	bool more = !list_empty(&ep->ready);

	spin_unlock_irqrestore(&ep->ready_lock, flags);
	mutex_unlock(&ep->lock);
	/* Others who wait may take what is left. */
	if (more && n > 0 && waitq_active(&ep->wq))
		waitq_wake(&ep->wq, 1, 0);
	return n;
}

static long
epoll_wait_events(struct epoll *ep, struct epoll_event *out, unsigned max, uint64_t deadline)
{
	long r = 0;

	for (;;) {
		struct waiter w;
		unsigned n = list_empty(&ep->ready) ? 0 : collect(ep, out, max);

		if (n > 0)
			return n;
		if (r == -ETIMEDOUT || deadline == 0)
			return 0;
		if (r != 0 || signal_pending())
			return -EINTR;
		waiter_init(&w);
		waitq_add_exclusive(&ep->wq, &w);
		task_prepare_wait(TASK_INTERRUPTIBLE);
		if (list_empty(&ep->ready))
			r = task_wait(deadline);
		task_finish_wait();
		waitq_remove(&ep->wq, &w);
	}
}

static long
do_wait(int epfd, uaddr_t user, int max, uint64_t deadline)
{
	struct epoll_event small[CHUNK], *out = small;
	struct fdref ref;
	long r;

	if (max <= 0 || max > (int)(INT32_MAX / sizeof(struct epoll_event)))
		return -EINVAL;
	if (!user_range_ok(user, (size_t)max * sizeof(struct epoll_event)))
		return -EFAULT;
	ref = fdref_get(epfd);
	if (ref.file == NULL)
		return -EBADF;
	r = -EINVAL;
	if (!file_is_epoll(ref.file))
		goto out;
	max = min(max, 4096);
	if (max > CHUNK) {
		unsigned watched = ((struct epoll *)ref.file->private_)->count;

		/* No more than there are items, now or soon. */
		if ((unsigned)max > watched + CHUNK)
			max = (int)(watched + CHUNK);
		out = kmalloc((size_t)max * sizeof(out[0]));
		if (out == NULL) {
			out = small;
			max = CHUNK;
		}
	}
	r = epoll_wait_events(ref.file->private_, out, (unsigned)max, deadline);
	if (r > 0 && copy_to_user(user, out, (size_t)r * sizeof(out[0])) < 0)
		r = -EFAULT;
	if (out != small)
		kfree(out);
out:
	fdref_put(ref);
	return r;
}

static long
masked_wait(int epfd, uaddr_t user, int max, uint64_t deadline, uaddr_t mask, size_t mask_size)
{
	long r = signal_set_user_mask(mask, mask_size);

	if (r < 0)
		return r;
	r = do_wait(epfd, user, max, deadline);
	if (r != -EINTR)
		signal_restore_mask();
	return r;
}

long
sys_epoll_pwait(uint64_t epfd, uint64_t events, uint64_t max, uint64_t timeout, uint64_t mask, uint64_t mask_size)
{
	int ms = (int)timeout;
	uint64_t deadline = ms < 0 ? UINT64_MAX : ms == 0 ? 0 : clock_monotonic() + (uint64_t)ms * 1000000;

	return masked_wait((int)epfd, events, (int)max, deadline, mask, mask_size);
}

long
sys_epoll_pwait2(uint64_t epfd, uint64_t events, uint64_t max, uint64_t timeout, uint64_t mask, uint64_t mask_size)
{
	uint64_t deadline = UINT64_MAX, ns;
	struct __kernel_timespec t;

	if (timeout != 0) {
		if (copy_from_user(&t, timeout, sizeof(t)) < 0)
			return -EFAULT;
		if (!timespec_valid(&t))
			return -EINVAL;
		ns = timespec_ns(&t);
		deadline = ns == 0 ? 0 : clock_monotonic() + min(ns, (uint64_t)INT64_MAX);
	}
	return masked_wait((int)epfd, events, (int)max, deadline, mask, mask_size);
}

void
epoll_fdinfo(struct file *f, struct seq *s)
{
	struct epoll *ep = f->private_;

	mutex_lock(&ep->lock);
	for (unsigned i = 0; i < ep->size; i++)
		for (struct epoll_item *it = ep->buckets[i]; it != NULL; it = it->hash_next)
			seq_printf(s, "tfd: %8d events: %8x data: %16lx  pos:%ld ino:%lx sdev:%lx\n", it->fd,
			    it->events, (unsigned long)it->data, (long)it->file->pos,
			    it->file->inode != NULL ? (unsigned long)it->file->inode->ino : 0UL, 0UL);
	mutex_unlock(&ep->lock);
}

void
epoll_init(void)
{
	item_cache = kcache_create("eventpoll_epi", sizeof(struct epoll_item), 64);
	if (item_cache == NULL)
		panic("no memory for epoll");
}
