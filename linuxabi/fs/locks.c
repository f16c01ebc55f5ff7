/* SPDX-License-Identifier: MIT */
/*
 * Advisory locks: flock(2), and byte ranges of fcntl(2), owned by a descriptor
 * table (POSIX) or an open file description (OFD).  inode->locks holds them
 * sorted by owner and start for ranges; all lists are under one spinlock, since
 * locks are rare and short.  A waiter sleeps on the inode's hash queue and tries
 * again; for POSIX locks the graph of who waits for whom is searched first.
 */
#include "internal.h"

enum lock_kind { LOCK_FLOCK, LOCK_POSIX, LOCK_OFD };
enum { QUEUES = 64, LOCKS_MAX = 1 << 16, DEADLOCK_STEPS = 1000 };
enum { LOCK_SH_ = 1, LOCK_EX_ = 2, LOCK_NB_ = 4, LOCK_UN_ = 8 };

struct lock {
	struct list node;		/* inode->locks */
	enum lock_kind kind;
	bool exclusive;
	void *owner;			/* struct files or struct file */
	int pid;			/* -1: OFD */
	int64_t start, end;		/* inclusive */
};

/* A POSIX owner that waits, for the search. */
struct lock_waiter {
	struct list node;
	void *owner, *blocker;
};

static spinlock_t locks_lock = SPINLOCK_INIT(50);
static struct list waiting = LIST_INIT(waiting);
static struct waitq queues[QUEUES];
static bool queues_ready;
static uint64_t lock_count;

static struct waitq *
queue_of(const struct inode *i)
{
	if (!__atomic_load_n(&queues_ready, __ATOMIC_ACQUIRE)) {
		spin_lock(&locks_lock);
		if (!queues_ready)
			for (unsigned n = 0; n < QUEUES; n++)
				waitq_init(&queues[n]);
		__atomic_store_n(&queues_ready, true, __ATOMIC_RELEASE);
		spin_unlock(&locks_lock);
	}
	return &queues[((uint64_t)i >> 6) % QUEUES];
}

static bool same_family(enum lock_kind a, enum lock_kind b) { return (a == LOCK_FLOCK) == (b == LOCK_FLOCK); }
static bool overlaps(const struct lock *a, const struct lock *b) { return a->start <= b->end && b->start <= a->end; }

/* Somebody else's lock that forbids l; locks_lock held. */
static struct lock *
conflict(const struct inode *i, const struct lock *l)
{
	struct lock *o;

	list_for_each(o, &i->locks, node)
		if (same_family(o->kind, l->kind) && (o->owner != l->owner || o->kind != l->kind) &&
		    (o->exclusive || l->exclusive) && overlaps(o, l))
			return o;
	return NULL;
}

static bool
would_deadlock(const void *owner, const void *blocker)
{
	const struct lock_waiter *w;

	for (unsigned steps = 0; steps < DEADLOCK_STEPS; steps++) {
		const void *next = NULL;

		if (blocker == owner)
			return true;
		list_for_each(w, &waiting, node)
			if (w->owner == blocker)
				next = w->blocker;
		if (next == NULL)
			return false;
		blocker = next;
	}
	return false;
}

/*
 * Set or (unlock) clear [l->start, l->end] for its owner: overlapping parts of
 * own locks give way, equal neighbours merge.  spare[] has room for what is
 * new: one lock, and the rest of one that is split.  locks_lock held.
 */
static void
range_apply(struct inode *i, struct lock *l, bool unlock, struct lock *spare[2])
{
	struct lock *o, *next;

	list_for_each_safe(o, next, &i->locks, node) {
		if (o->kind != l->kind || o->owner != l->owner)
			continue;
		if (!unlock && o->exclusive == l->exclusive) {
			/* Touching or overlapping locks of one kind become one. */
			if (o->start <= (l->end == INT64_MAX ? l->end : l->end + 1) &&
			    l->start <= (o->end == INT64_MAX ? o->end : o->end + 1)) {
				l->start = min(l->start, o->start);
				l->end = max(l->end, o->end);
				list_del(&o->node);
				lock_count--;
				kfree(o);
			}
			continue;
		}
		if (!overlaps(o, l))
			continue;
		if (o->start < l->start && o->end > l->end) {
			struct lock *rest = spare[1];

			*rest = *o;
			rest->start = l->end + 1;
			list_init(&rest->node);
			list_add(&o->node, &rest->node);
			spare[1] = NULL;
			lock_count++;
			o->end = l->start - 1;
		} else if (o->start < l->start) {
			o->end = l->start - 1;
		} else if (o->end > l->end) {
			o->start = l->end + 1;
		} else {
			list_del(&o->node);
			lock_count--;
			kfree(o);
		}
	}
	if (!unlock) {
		*spare[0] = *l;
		list_init(&spare[0]->node);
		list_add_tail(&i->locks, &spare[0]->node);
		spare[0] = NULL;
		lock_count++;
	}
}

static long
lock_wait(struct inode *i, struct lock *l, struct lock *blocker)
{
	struct waitq *q = queue_of(i);
	struct lock_waiter lw = { .owner = l->owner, .blocker = blocker->owner };
	struct waiter w;
	long r = 0;

	/* locks_lock is held: registered before it is released, no wake-up is lost. */
	if (l->kind == LOCK_POSIX) {
		if (would_deadlock(l->owner, blocker->owner)) {
			spin_unlock(&locks_lock);
			return -EDEADLK;
		}
		list_add(&waiting, &lw.node);
	} else {
		list_init(&lw.node);
	}
	waiter_init(&w);
	waitq_add(q, &w);
	task_prepare_wait(TASK_INTERRUPTIBLE);
	spin_unlock(&locks_lock);
	r = task_wait(UINT64_MAX);
	task_finish_wait();
	waitq_remove(q, &w);
	spin_lock(&locks_lock);
	list_del(&lw.node);
	spin_unlock(&locks_lock);
	return r;
}

static long
lock_set(struct inode *i, struct lock *l, bool unlock, bool wait)
{
	struct lock *spare[2] = { NULL, NULL }, *blocker;
	long r = 0;

	if (READ_ONCE(lock_count) >= LOCKS_MAX && !unlock)
		return -ENOLCK;
	for (unsigned n = 0; n < 2; n++) {
		spare[n] = kmalloc(sizeof(struct lock));
		if (spare[n] == NULL) {
			r = -ENOLCK;
			goto out;
		}
	}
	for (;;) {
		spin_lock(&locks_lock);
		blocker = unlock ? NULL : conflict(i, l);
		if (blocker == NULL)
			break;
		if (!wait) {
			spin_unlock(&locks_lock);
			r = -EAGAIN;
			goto out;
		}
		r = lock_wait(i, l, blocker);
		if (r < 0)
			goto out;
	}
	range_apply(i, l, unlock, spare);
	spin_unlock(&locks_lock);
	waitq_wake_all(queue_of(i));		/* unlocked, or weaker than before */
out:
	kfree(spare[0]);
	kfree(spare[1]);
	return r;
}

static void
owner_drop(struct inode *i, enum lock_kind kind, const void *owner)
{
	struct lock *o, *next;
	bool any = false;

	spin_lock(&locks_lock);
	list_for_each_safe(o, next, &i->locks, node)
		if (o->kind == kind && o->owner == owner) {
			list_del(&o->node);
			lock_count--;
			kfree(o);
			any = true;
		}
	spin_unlock(&locks_lock);
	if (any)
		waitq_wake_all(queue_of(i));
}

void
locks_close(struct file *f, struct files *owner)
{
	owner_drop(f->inode, LOCK_POSIX, owner);
}

void
locks_release(struct file *f)
{
	owner_drop(f->inode, LOCK_FLOCK, f);
	owner_drop(f->inode, LOCK_OFD, f);
}

/* ---- flock ---- */

static long
flock_set(struct file *f, unsigned op)
{
	struct lock l = { .kind = LOCK_FLOCK, .exclusive = (op & LOCK_EX_) != 0, .owner = f,
	    .pid = current->process->pid, .start = 0, .end = INT64_MAX };

	/* A conversion is not atomic (flock(2)): the old lock goes first. */
	if ((op & LOCK_UN_) == 0) {
		struct lock *o;
		bool same = false;

		spin_lock(&locks_lock);
		list_for_each(o, &f->inode->locks, node)
			same |= o->kind == LOCK_FLOCK && o->owner == f && o->exclusive == l.exclusive;
		spin_unlock(&locks_lock);
		if (same)
			return 0;
		owner_drop(f->inode, LOCK_FLOCK, f);
	}
	return lock_set(f->inode, &l, (op & LOCK_UN_) != 0, (op & LOCK_NB_) == 0);
}

long
sys_flock(uint64_t fd, uint64_t op64)
{
	unsigned op = (unsigned)op64, what = op & ~(unsigned)LOCK_NB_;
	struct fdref ref = fdref_get((int)fd);
	long r;

	if (ref.file == NULL)
		return -EBADF;
	if (what != LOCK_SH_ && what != LOCK_EX_ && what != LOCK_UN_)
		r = -EINVAL;
	else
		r = flock_set(ref.file, op);
	fdref_put(ref);
	return r;
}

/* ---- fcntl ---- */

static long
range_from(struct file *f, const struct flock *u, struct lock *l)
{
	int64_t base, start, end;

	switch (u->l_whence) {
	case 0:
		base = 0;
		break;
	case 1:
		base = f->pos;
		break;
	case 2:
		base = (int64_t)f->inode->size;
		break;
	default:
		return -EINVAL;
	}
	if (__builtin_add_overflow(base, (int64_t)u->l_start, &start))
		return -EOVERFLOW;
	if (start < 0)
		return -EINVAL;
	if (u->l_len > 0) {
		if (__builtin_add_overflow(start, (int64_t)u->l_len - 1, &end))
			return -EOVERFLOW;
	} else if (u->l_len < 0) {
		end = start - 1;
		start += u->l_len;
		if (start < 0)
			return -EINVAL;
	} else {
		end = INT64_MAX;
	}
	l->start = start;
	l->end = end;
	return 0;
}

static long
lock_get(struct inode *i, struct lock *l, struct flock *u)
{
	struct lock *o;

	spin_lock(&locks_lock);
	o = conflict(i, l);
	if (o == NULL) {
		u->l_type = F_UNLCK;
	} else {
		u->l_type = o->exclusive ? F_WRLCK : F_RDLCK;
		u->l_whence = 0;
		u->l_start = o->start;
		u->l_len = o->end == INT64_MAX ? 0 : o->end - o->start + 1;
		u->l_pid = o->kind == LOCK_OFD ? -1 : o->pid;
	}
	spin_unlock(&locks_lock);
	return 0;
}

long
locks_fcntl(struct file *f, unsigned cmd, uaddr_t arg, int fd)
{
	bool ofd = cmd == F_OFD_GETLK || cmd == F_OFD_SETLK || cmd == F_OFD_SETLKW;
	bool get = cmd == F_GETLK || cmd == F_OFD_GETLK, wait = cmd == F_SETLKW || cmd == F_OFD_SETLKW;
	struct lock l = { .kind = ofd ? LOCK_OFD : LOCK_POSIX, .owner = ofd ? (void *)f : current->files,
	    .pid = ofd ? -1 : current->process->pid };
	struct flock u;
	struct fdref again;
	long r;

	if (copy_from_user(&u, arg, sizeof(u)) < 0)
		return -EFAULT;
	if (f->inode == NULL || (ofd && u.l_pid != 0))
		return -EINVAL;
	if (u.l_type != F_RDLCK && u.l_type != F_WRLCK && (u.l_type != F_UNLCK || (get && !ofd)))
		return -EINVAL;
	r = range_from(f, &u, &l);
	if (r < 0)
		return r;
	l.exclusive = u.l_type == F_WRLCK;
	if (get) {
		r = lock_get(f->inode, &l, &u);
		return r < 0 ? r : copy_to_user(arg, &u, sizeof(u));
	}
	if ((u.l_type == F_RDLCK && !f->readable) || (u.l_type == F_WRLCK && !f->writable))
		return -EBADF;
	r = lock_set(f->inode, &l, u.l_type == F_UNLCK, wait);
	if (r < 0 || ofd || u.l_type == F_UNLCK)
		return r;
	/* Closed by another thread meanwhile: its close did not see this lock. */
	again = fdref_get_any(fd);
	if (again.file != f)
		owner_drop(f->inode, LOCK_POSIX, current->files);
	fdref_put(again);
	return 0;
}
