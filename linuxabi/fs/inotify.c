/* SPDX-License-Identifier: MIT */
/*
 * inotify(7).  A watch belongs to an instance and to an inode, whose notify
 * field heads the inode's list; it holds the inode.  Events are queued up to a
 * limit, after which one IN_Q_OVERFLOW stands for what was lost; an event equal
 * to the last one in the queue is not queued again.
 *
 * One spinlock protects all lists and queues: watches are few, and without any
 * (notify_active is 0) nothing here runs.
 */
#include <asm/ioctls.h>
#include <linux/inotify.h>
#include "internal.h"

enum { QUEUE_MAX = 16384, WATCHES_MAX = 65536, INSTANCES_MAX = 1024 };

struct instance {
	struct waitq wq;
	struct list events;
	unsigned queued;
	size_t queued_bytes;
	bool overflowed;
	struct list watches;
	int next_wd;
	bool closed;
	struct list node;		/* all_instances */
};

struct watch {
	struct list on_inode, on_instance;
	struct instance *in;
	struct inode *inode;
	int wd;
	uint32_t mask;
};

struct inode_watches {
	struct list list;
};

/* struct inotify_event, which ends in an array of unknown size. */
struct event_head {
	int32_t wd;
	uint32_t mask, cookie, len;
};
_Static_assert(sizeof(struct event_head) == sizeof(struct inotify_event), "as read(2) gives it");

struct event {
	struct list node;
	struct event_head ev;
	char name[];			/* follows ev at once */
};
_Static_assert(offsetof(struct event, name) == offsetof(struct event, ev) + sizeof(struct event_head), "one piece");

uint32_t notify_active;

static spinlock_t notify_lock = SPINLOCK_INIT(50);
static uint32_t last_cookie;
static unsigned instances;
static struct list all_instances = LIST_INIT(all_instances);

uint32_t
notify_cookie(void)
{
	return __atomic_add_fetch(&last_cookie, 1, __ATOMIC_RELAXED);
}

/* ---- queueing; notify_lock held ---- */

static bool
same_as_last(const struct instance *in, int wd, uint32_t mask, uint32_t cookie, const char *name)
{
	const struct event *e;

	if (list_empty(&in->events))
		return false;
	e = list_entry(in->events.prev, struct event, node);
	return e->ev.wd == wd && e->ev.mask == mask && e->ev.cookie == cookie &&
	    strcmp(e->ev.len != 0 ? e->name : "", name != NULL ? name : "") == 0;
}

static void
queue_event(struct instance *in, int wd, uint32_t mask, uint32_t cookie, const char *name)
{
	/* The name with its NUL, padded to the header's alignment. */
	size_t len = name != NULL ? (strlen(name) + 16) & ~(size_t)15 : 0;
	struct event *e;

	if (in->closed || same_as_last(in, wd, mask, cookie, name))
		return;
	if (in->queued >= QUEUE_MAX) {
		if (in->overflowed)
			return;
		in->overflowed = true;
		wd = -1;
		mask = IN_Q_OVERFLOW;
		cookie = 0;
		len = 0;
	}
	e = kzalloc(sizeof(*e) + len);
	if (e == NULL)
		return;
	e->ev = (struct event_head){ .wd = wd, .mask = mask, .cookie = cookie, .len = (uint32_t)len };
	if (len != 0)
		strlcpy(e->name, name, len);
	list_add_tail(&in->events, &e->node);
	in->queued++;
	in->queued_bytes += sizeof(e->ev) + len;
	waitq_wake(&in->wq, ~0u, POLLIN | POLLRDNORM);
}

/* Takes a watch out of both lists; the caller frees it and puts its inode. */
static void
watch_unlink(struct watch *w)
{
	list_del(&w->on_inode);
	list_del(&w->on_instance);
	__atomic_fetch_sub(&notify_active, 1, __ATOMIC_RELAXED);
	queue_event(w->in, w->wd, IN_IGNORED, 0, NULL);
}

static void
watch_free(struct watch *w)
{
	inode_put(w->inode);
	kfree(w);
}

static struct watch *
watch_find(const struct instance *in, const struct inode *i)
{
	struct inode_watches *iw = i->notify;
	struct watch *w;

	if (iw == NULL)
		return NULL;
	list_for_each(w, &iw->list, on_inode)
		if (w->in == in)
			return w;
	return NULL;
}

static void
inode_event(struct inode *i, uint32_t mask, uint32_t cookie, const char *name, struct list *dead, bool unlinked)
{
	struct inode_watches *iw = i->notify;
	struct watch *w, *next;

	if (iw == NULL)
		return;
	list_for_each_safe(w, next, &iw->list, on_inode) {
		if ((w->mask & mask & IN_ALL_EVENTS) == 0)
			continue;
		if (unlinked && (w->mask & IN_EXCL_UNLINK) != 0)
			continue;
		queue_event(w->in, w->wd, mask, cookie, name);
		if (w->mask & IN_ONESHOT) {
			watch_unlink(w);
			list_add_tail(dead, &w->on_inode);
		}
	}
}

static void
free_dead(struct list *dead)
{
	struct watch *w, *next;

	list_for_each_safe(w, next, dead, on_inode) {
		list_del(&w->on_inode);
		watch_free(w);
	}
}

/* ---- what the VFS reports ---- */

void
notify_slow(const struct path *path, struct dentry *d, struct inode *i, uint32_t mask)
{
	struct list dead = LIST_INIT(dead);
	uint32_t dir;
	struct inode *parent = NULL;

	(void)path;
	if (i == NULL)
		return;
	dir = is_type(i, S_IFDIR) ? IN_ISDIR : 0;
	if (d != NULL && !dentry_is_root(d)) {
		/* The parent is held by the dentry, which the caller holds. */
		parent = READ_ONCE(d->parent)->inode;
	}
	if (i->notify == NULL && (parent == NULL || parent->notify == NULL))
		return;
	spin_lock(&notify_lock);
	if (parent != NULL)
		inode_event(parent, mask | dir, 0, d->name, &dead, dentry_unlinked(d));
	inode_event(i, mask | dir, 0, NULL, &dead, false);
	spin_unlock(&notify_lock);
	free_dead(&dead);
}

void
notify_name_slow(struct inode *dir, const char *name, uint32_t mask, uint32_t cookie)
{
	struct list dead = LIST_INIT(dead);

	if (dir->notify == NULL)
		return;
	spin_lock(&notify_lock);
	inode_event(dir, mask, cookie, name, &dead, false);
	spin_unlock(&notify_lock);
	free_dead(&dead);
}

/* The last name of the inode is gone, and no file has it open (called by the dentry
 * cache when a dentry lets go of it). */
void
notify_unlinked(struct inode *i)
{
	struct list dead = LIST_INIT(dead);
	struct inode_watches *iw;
	struct watch *w, *next;

	spin_lock(&notify_lock);
	iw = i->notify;
	if (iw != NULL)
		list_for_each_safe(w, next, &iw->list, on_inode) {
			if (w->mask & IN_DELETE_SELF)
				queue_event(w->in, w->wd, IN_DELETE_SELF | (is_type(i, S_IFDIR) ? IN_ISDIR : 0), 0, NULL);
			watch_unlink(w);
			list_add_tail(&dead, &w->on_inode);
		}
	spin_unlock(&notify_lock);
	free_dead(&dead);
}

/* The inode is being freed: no watch holds it any more. */
void
notify_inode_gone(struct inode *i)
{
	kfree(i->notify);
	i->notify = NULL;
}

/* umount: all watches in the file system end with IN_UNMOUNT. */
void
notify_super_gone(struct super *sb)
{
	struct list dead = LIST_INIT(dead);
	struct watch *w, *next;
	struct instance *in;

	if (READ_ONCE(notify_active) == 0)
		return;
	spin_lock(&notify_lock);
	list_for_each(in, &all_instances, node)
		list_for_each_safe(w, next, &in->watches, on_instance) {
			if (w->inode->sb != sb)
				continue;
			queue_event(in, w->wd, IN_UNMOUNT, 0, NULL);
			watch_unlink(w);
			list_add_tail(&dead, &w->on_inode);
		}
	spin_unlock(&notify_lock);
	free_dead(&dead);
}

/* ---- the instance's file ---- */

static struct event *
event_take(struct instance *in, size_t room, bool *too_small)
{
	struct event *e = NULL;

	spin_lock(&notify_lock);
	if (!list_empty(&in->events)) {
		e = list_first(&in->events, struct event, node);
		if (sizeof(e->ev) + e->ev.len > room) {
			*too_small = true;
			e = NULL;
		} else {
			list_del(&e->node);
			in->queued--;
			in->queued_bytes -= sizeof(e->ev) + e->ev.len;
			if (e->ev.mask & IN_Q_OVERFLOW)
				in->overflowed = false;
		}
	}
	spin_unlock(&notify_lock);
	return e;
}

static ssize_t
inotify_read(struct file *f, struct uio *u, loff_t *pos)
{
	struct instance *in = f->private_;
	size_t done = 0;

	(void)pos;
	for (;;) {
		bool too_small = false;
		struct event *e = event_take(in, u->resid, &too_small);
		long r;

		if (e != NULL) {
			size_t n = sizeof(e->ev) + e->ev.len;
			bool ok = uio_put(u, &e->ev, n) == n;

			kfree(e);
			if (!ok)
				return done > 0 ? (ssize_t)done : -EFAULT;
			done += n;
			continue;
		}
		if (done > 0)
			return (ssize_t)done;
		if (too_small)
			return -EINVAL;
		if (f->flags & O_NONBLOCK)
			return -EAGAIN;
		r = wait_event_interruptible(&in->wq, READ_ONCE(in->queued) != 0);
		if (r < 0)
			return r;
	}
}

static unsigned
inotify_poll(struct file *f, struct poll_table *pt)
{
	struct instance *in = f->private_;

	poll_wait(pt, f, &in->wq);
	return READ_ONCE(in->queued) != 0 ? POLLIN | POLLRDNORM : 0;
}

static long
inotify_ioctl(struct file *f, unsigned cmd, uint64_t arg)
{
	struct instance *in = f->private_;

	return cmd == FIONREAD ? put_user_u32(arg, (uint32_t)READ_ONCE(in->queued_bytes)) : -ENOTTY;
}

static void
inotify_release(struct file *f)
{
	struct instance *in = f->private_;
	struct list dead = LIST_INIT(dead);
	struct event *e, *next;

	spin_lock(&notify_lock);
	in->closed = true;
	while (!list_empty(&in->watches)) {
		struct watch *w = list_first(&in->watches, struct watch, on_instance);

		watch_unlink(w);
		list_add_tail(&dead, &w->on_inode);
	}
	instances--;
	list_del(&in->node);
	spin_unlock(&notify_lock);
	free_dead(&dead);
	list_for_each_safe(e, next, &in->events, node)
		kfree(e);
	kfree(in);
}

static const struct file_ops inotify_ops = {
	.read = inotify_read, .poll = inotify_poll, .ioctl = inotify_ioctl, .release = inotify_release,
};

/* ---- calls ---- */

long
sys_inotify_init1(uint64_t flags)
{
	struct instance *in;
	struct file *f;
	int fd;

	if (((uint32_t)flags & ~(uint32_t)(O_CLOEXEC | O_NONBLOCK)) != 0)
		return -EINVAL;
	if (READ_ONCE(instances) >= INSTANCES_MAX)
		return -EMFILE;
	in = kzalloc(sizeof(*in));
	if (in == NULL)
		return -ENOMEM;
	waitq_init(&in->wq);
	list_init(&in->events);
	list_init(&in->watches);
	list_init(&in->node);
	in->next_wd = 1;
	f = file_anon("inotify", &inotify_ops, in, O_RDONLY | ((unsigned)flags & (O_CLOEXEC | O_NONBLOCK)));
	if (IS_ERR(f)) {
		kfree(in);
		return PTR_ERR(f);
	}
	spin_lock(&notify_lock);
	instances++;
	list_add_tail(&all_instances, &in->node);
	spin_unlock(&notify_lock);
	fd = fd_install(f, 0, (flags & O_CLOEXEC) != 0);
	if (fd < 0)
		file_put(f);
	return fd;
}

static long
watch_set(struct instance *in, struct inode *i, uint32_t mask)
{
	struct watch *fresh = kzalloc(sizeof(*fresh)), *w;
	struct inode_watches *iw = kzalloc(sizeof(*iw));
	long r;

	if (fresh == NULL || iw == NULL) {
		kfree(fresh);
		kfree(iw);
		return -ENOMEM;
	}
	list_init(&iw->list);
	spin_lock(&notify_lock);
	w = watch_find(in, i);
	if (w != NULL) {
		r = -EEXIST;
		if ((mask & IN_MASK_CREATE) == 0) {
			w->mask = (mask & IN_MASK_ADD) ? w->mask | mask : mask;
			r = w->wd;
		}
	} else if (notify_active >= WATCHES_MAX) {
		r = -ENOSPC;
	} else {
		if (i->notify == NULL) {
			i->notify = iw;
			iw = NULL;
		}
		inode_get(i);
		*fresh = (struct watch){ .in = in, .inode = i, .mask = mask, .wd = in->next_wd };
		in->next_wd = in->next_wd == INT32_MAX ? 1 : in->next_wd + 1;
		list_add_tail(&((struct inode_watches *)i->notify)->list, &fresh->on_inode);
		list_add_tail(&in->watches, &fresh->on_instance);
		__atomic_fetch_add(&notify_active, 1, __ATOMIC_RELAXED);
		r = fresh->wd;
		fresh = NULL;
	}
	spin_unlock(&notify_lock);
	kfree(fresh);
	kfree(iw);
	return r;
}

long
sys_inotify_add_watch(uint64_t fd, uint64_t name, uint64_t mask64)
{
	uint32_t mask = (uint32_t)mask64;
	struct fdref ref;
	struct path p;
	unsigned walk;
	long r;

	if ((mask & IN_ALL_EVENTS) == 0 || (mask & (IN_MASK_ADD | IN_MASK_CREATE)) == (IN_MASK_ADD | IN_MASK_CREATE))
		return -EINVAL;
	ref = fdref_get((int)fd);
	if (ref.file == NULL)
		return -EBADF;
	r = -EINVAL;
	if (ref.file->ops != &inotify_ops)
		goto out;
	walk = ((mask & IN_DONT_FOLLOW) ? 0 : WALK_FOLLOW) | ((mask & IN_ONLYDIR) ? WALK_DIRECTORY : 0);
	r = path_walk_user(AT_FDCWD, name, walk, &p);
	if (r < 0)
		goto out;
	r = inode_permission(p.dentry->inode, MAY_READ);
	if (r == 0)
		r = watch_set(ref.file->private_, p.dentry->inode, mask);
	path_put(&p);
out:
	fdref_put(ref);
	return r;
}

long
sys_inotify_rm_watch(uint64_t fd, uint64_t wd)
{
	struct fdref ref = fdref_get((int)fd);
	struct watch *w, *found = NULL;
	struct instance *in;
	long r = -EINVAL;

	if (ref.file == NULL)
		return -EBADF;
	if (ref.file->ops == &inotify_ops) {
		in = ref.file->private_;
		spin_lock(&notify_lock);
		list_for_each(w, &in->watches, on_instance)
			if (w->wd == (int)wd) {
				found = w;
				break;
			}
		if (found != NULL)
			watch_unlink(found);
		spin_unlock(&notify_lock);
		if (found != NULL) {
			watch_free(found);
			r = 0;
		}
	}
	fdref_put(ref);
	return r;
}

void
inotify_init(void)
{
	notify_active = 0;
}
