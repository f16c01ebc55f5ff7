/* SPDX-License-Identifier: MIT */
/*
 * Calls that make, remove and rename names: mkdirat, mknodat, symlinkat,
 * linkat, unlinkat, renameat2.
 */
#include <linux/inotify.h>
#include "internal.h"

static struct mutex rename_mutex = MUTEX_INIT(rename_mutex, 10);	/* renames between directories: the tree keeps its shape */

/* The parent directory of a name, and its last component. */
struct target {
	struct pathname name;
	struct path dir;
	struct last last;
};

static long
target_get(struct target *t, int dirfd, uaddr_t user)
{
	long r = pathname_get(&t->name, user);

	if (r < 0)
		return r;
	r = walk_path(dirfd, NULL, t->name.text, WALK_PARENT, &t->dir, &t->last);
	if (r < 0)
		pathname_put(&t->name);
	return r;
}

static void
target_put(struct target *t)
{
	path_put(&t->dir);
	pathname_put(&t->name);
}

static struct inode *dir_of(const struct target *t) { return t->dir.dentry->inode; }

static long
dir_check(const struct target *t)
{
	return is_type(dir_of(t), S_IFDIR) ? 0 : -ENOTDIR;
}

/* ---- making ---- */

/*
 * The dentry for a new name, with the directory locked.  A name that exists is
 * EEXIST before anything else is looked at; a trailing slash suits directories only.
 */
static struct dentry *
create_begin(struct target *t, bool directory)
{
	struct dentry *d;
	long r;

	if (t->last.type != LAST_NORMAL)
		return ERR_PTR(-EEXIST);
	r = dir_check(t);
	if (r < 0)
		return ERR_PTR(r);
	mutex_lock(&dir_of(t)->lock);
	d = lookup_child_locked(t->dir.dentry, &t->last);
	if (IS_ERR(d))
		goto fail;
	if (d->inode != NULL)
		r = -EEXIST;
	else if (t->last.slash && !directory)
		r = -ENOENT;
	else if (dir_of(t)->nlink == 0)
		r = -ENOENT;
	else
		r = mount_want_write(t->dir.mnt);
	if (r == 0)
		r = inode_permission(dir_of(t), MAY_WRITE | MAY_EXEC);
	if (r == 0)
		return d;
	dentry_put(d);
	d = ERR_PTR(r);
fail:
	mutex_unlock(&dir_of(t)->lock);
	return d;
}

static void
create_end(struct target *t, struct dentry *d, long r, uint32_t mask)
{
	if (r == 0)
		notify_name(dir_of(t), d->name, IN_CREATE | mask, 0);
	mutex_unlock(&dir_of(t)->lock);
	dentry_put(d);
}

long
sys_mkdirat(uint64_t dirfd, uint64_t name, uint64_t mode)
{
	struct target t;
	struct dentry *d;
	struct inode *dir;
	long r = target_get(&t, (int)dirfd, name);

	if (r < 0)
		return r;
	d = create_begin(&t, true);
	r = IS_ERR(d) ? PTR_ERR(d) : 0;
	if (r == 0) {
		dir = dir_of(&t);
		if (dir->ops->mkdir == NULL)
			r = -EPERM;
		else if (dir->nlink >= LINK_MAX_)
			r = -EMLINK;
		else
			r = dir->ops->mkdir(dir, d, (uint32_t)mode & 01777 & ~current->fs->umask);
		create_end(&t, d, r, IN_ISDIR);
	}
	target_put(&t);
	return r;
}

static long
mknod_check(uint32_t mode, uint64_t dev)
{
	switch (mode & S_IFMT) {
	case 0:
	case S_IFREG:
	case S_IFIFO:
	case S_IFSOCK:
		return 0;
	case S_IFCHR:
		if (dev == 0)		/* overlayfs's whiteout: everybody may */
			return 0;
		return capable(CAP_MKNOD) ? 0 : -EPERM;
	case S_IFBLK:
		return capable(CAP_MKNOD) ? 0 : -EPERM;
	case S_IFDIR:
		return -EPERM;
	default:
		return -EINVAL;
	}
}

long
sys_mknodat(uint64_t dirfd, uint64_t name, uint64_t mode64, uint64_t dev)
{
	uint32_t mode = (uint32_t)mode64 & (S_IFMT | 07777);
	struct target t;
	struct dentry *d;
	struct inode *dir;
	long r = mknod_check(mode, (uint32_t)dev);

	if (r < 0)
		return r;
	r = target_get(&t, (int)dirfd, name);
	if (r < 0)
		return r;
	d = create_begin(&t, false);
	r = IS_ERR(d) ? PTR_ERR(d) : 0;
	if (r == 0) {
		dir = dir_of(&t);
		mode = (mode & S_IFMT) | (mode & 07777 & ~current->fs->umask);
		if ((mode & S_IFMT) == 0)
			mode |= S_IFREG;
		if (is_type(&(struct inode){ .mode = mode }, S_IFREG))
			r = dir->ops->create != NULL ? dir->ops->create(dir, d, mode) : -EPERM;
		else
			r = dir->ops->mknod != NULL ? dir->ops->mknod(dir, d, mode, (uint32_t)dev) : -EPERM;
		create_end(&t, d, r, 0);
	}
	target_put(&t);
	return r;
}

long
path_mknod(const char *name, uint32_t mode, struct path *out)
{
	struct target t;
	struct dentry *d;
	long r = pathname_kernel(&t.name, name);

	if (r < 0)
		return r;
	r = walk_path(AT_FDCWD, NULL, t.name.text, WALK_PARENT, &t.dir, &t.last);
	if (r < 0) {
		pathname_put(&t.name);
		return r;
	}
	d = create_begin(&t, false);
	r = IS_ERR(d) ? PTR_ERR(d) : 0;
	if (r == 0) {
		struct inode *dir = dir_of(&t);

		mode = (mode & S_IFMT) | (mode & 07777 & ~current->fs->umask);
		r = dir->ops->mknod != NULL ? dir->ops->mknod(dir, d, mode, 0) : -EPERM;
		if (r == 0) {
			*out = (struct path){ t.dir.mnt, d };
			path_get(out);
		}
		create_end(&t, d, r, 0);
	}
	target_put(&t);
	return r;
}

long
sys_symlinkat(uint64_t target, uint64_t dirfd, uint64_t name)
{
	struct pathname text;
	struct target t;
	struct dentry *d;
	long r = pathname_get(&text, target);

	if (r < 0)
		return r;
	r = target_get(&t, (int)dirfd, name);
	if (r < 0) {
		pathname_put(&text);
		return r;
	}
	d = create_begin(&t, false);
	r = IS_ERR(d) ? PTR_ERR(d) : 0;
	if (r == 0) {
		struct inode *dir = dir_of(&t);

		r = dir->ops->symlink != NULL ? dir->ops->symlink(dir, d, text.text) : -EPERM;
		create_end(&t, d, r, 0);
	}
	target_put(&t);
	pathname_put(&text);
	return r;
}

static long
link_check(const struct path *old, const struct target *t, bool was_tmpfile)
{
	struct inode *i = old->dentry->inode;

	if (old->mnt != t->dir.mnt)
		return -EXDEV;
	if (is_type(i, S_IFDIR))
		return -EPERM;
	if (dir_of(t)->ops->link == NULL)
		return -EPERM;
	if (i->nlink == 0 && !was_tmpfile)
		return -ENOENT;
	return i->nlink >= LINK_MAX_ ? -EMLINK : 0;
}

/* A file of O_TMPFILE (without O_EXCL) may get its first name. */
static bool
is_tmpfile(const struct dentry *d)
{
	return d->len == 8 && d->private_ == NULL && memcmp(d->name, "#tmpfile", 8) == 0 && (d->flags & DF_PINNED) == 0;
}

long
sys_linkat(uint64_t olddirfd, uint64_t oldname, uint64_t newdirfd, uint64_t newname, uint64_t flags)
{
	unsigned walk = 0;
	struct path old;
	struct target t;
	struct dentry *d;
	long r;

	if ((flags & ~(uint64_t)(AT_SYMLINK_FOLLOW | AT_EMPTY_PATH)) != 0)
		return -EINVAL;
	if (flags & AT_EMPTY_PATH) {
		if (!capable(CAP_DAC_READ_SEARCH))
			return -ENOENT;
		walk |= WALK_EMPTY;
	}
	if (flags & AT_SYMLINK_FOLLOW)
		walk |= WALK_FOLLOW;
	r = path_walk_user((int)olddirfd, oldname, walk, &old);
	if (r < 0)
		return r;
	r = target_get(&t, (int)newdirfd, newname);
	if (r < 0) {
		path_put(&old);
		return r;
	}
	d = create_begin(&t, false);
	r = IS_ERR(d) ? PTR_ERR(d) : 0;
	if (r == 0) {
		struct inode *dir = dir_of(&t), *i = old.dentry->inode;

		r = link_check(&old, &t, is_tmpfile(old.dentry));
		if (r == 0) {
			/* Parent before child: the directory is locked. */
			mutex_lock(&i->lock);
			r = dir->ops->link(dir, d, i);
			mutex_unlock(&i->lock);
		}
		create_end(&t, d, r, 0);
	}
	target_put(&t);
	path_put(&old);
	return r;
}

/* ---- removing ---- */

/* Write permission in the directory, and in a sticky one ownership. */
static long
may_delete(struct inode *dir, struct inode *victim, const struct mount *m)
{
	uint32_t uid = current->cred->fsuid;
	long r = mount_want_write(m);

	if (r == 0)
		r = inode_permission(dir, MAY_WRITE | MAY_EXEC);
	if (r < 0)
		return r;
	if ((dir->mode & S_ISVTX) != 0 && victim->uid != uid && dir->uid != uid && !capable(CAP_FOWNER))
		return -EPERM;
	return 0;
}

/* A name is a mount point for somebody: it stays. */
static long
not_mounted(struct dentry *d)
{
	return mount_visible_here(d) ? -EBUSY : 0;
}

static long
rmdir_locked(struct target *t, struct dentry *d)
{
	struct inode *dir = dir_of(t), *i = d->inode;
	long r = may_delete(dir, i, t->dir.mnt);

	if (r < 0)
		return r;
	if (!is_type(i, S_IFDIR))
		return -ENOTDIR;
	r = not_mounted(d);
	if (r < 0)
		return r;
	if (dir->ops->rmdir == NULL)
		return -EPERM;
	mutex_lock(&i->lock);
	r = dir->ops->rmdir(dir, d);
	mutex_unlock(&i->lock);
	return r;
}

static long
unlink_locked(struct target *t, struct dentry *d)
{
	struct inode *dir = dir_of(t), *i = d->inode;
	long r;

	if (t->last.slash)
		return is_type(i, S_IFDIR) ? -EISDIR : -ENOTDIR;
	r = may_delete(dir, i, t->dir.mnt);
	if (r < 0)
		return r;
	if (is_type(i, S_IFDIR))
		return -EISDIR;
	r = not_mounted(d);
	if (r < 0)
		return r;
	if (dir->ops->unlink == NULL)
		return -EPERM;
	mutex_lock(&i->lock);
	r = dir->ops->unlink(dir, d);
	mutex_unlock(&i->lock);
	return r;
}

static long
last_error(enum last_type type, bool rmdir)
{
	switch (type) {
	case LAST_DOT:
		return rmdir ? -EINVAL : -EISDIR;
	case LAST_DOTDOT:
		return rmdir ? -ENOTEMPTY : -EISDIR;
	case LAST_ROOT:
		return rmdir ? -EBUSY : -EISDIR;
	default:
		return 0;
	}
}

long
sys_unlinkat(uint64_t dirfd, uint64_t name, uint64_t flags)
{
	bool rmdir = (flags & AT_REMOVEDIR) != 0;
	struct inode *gone = NULL;
	struct target t;
	struct dentry *d;
	long r;

	if ((flags & ~(uint64_t)AT_REMOVEDIR) != 0)
		return -EINVAL;
	r = target_get(&t, (int)dirfd, name);
	if (r < 0)
		return r;
	r = last_error(t.last.type, rmdir);
	if (r == 0)
		r = dir_check(&t);
	if (r < 0)
		goto out;
	mutex_lock(&dir_of(&t)->lock);
	d = lookup_child_locked(t.dir.dentry, &t.last);
	if (IS_ERR(d)) {
		r = PTR_ERR(d);
	} else {
		r = -ENOENT;
		if (d->inode != NULL) {
			gone = d->inode;
			inode_get(gone);	/* so that its data are freed without the lock */
			r = rmdir ? rmdir_locked(&t, d) : unlink_locked(&t, d);
		}
		if (r == 0) {
			notify_name(dir_of(&t), d->name, IN_DELETE | (rmdir ? IN_ISDIR : 0), 0);
			if (!rmdir && unlikely(notify_active != 0) && gone->nlink > 0)
				notify_slow(NULL, NULL, gone, IN_ATTRIB);
			if (rmdir)
				dentry_prune_negatives(d);
			dentry_delete(d);
		}
		dentry_put(d);
	}
	mutex_unlock(&dir_of(&t)->lock);
	if (gone != NULL)
		inode_put(gone);
out:
	target_put(&t);
	return r;
}

/* ---- renaming ---- */

/* Both directories' locks: an ancestor first, otherwise by address. */
static void
rename_lock(struct dentry *a, struct dentry *b)
{
	if (a == b) {
		mutex_lock(&a->inode->lock);
		return;
	}
	mutex_lock(&rename_mutex);
	if (dentry_is_ancestor(b, a) || (!dentry_is_ancestor(a, b) && b->inode < a->inode)) {
		struct dentry *tmp = a;

		a = b;
		b = tmp;
	}
	mutex_lock(&a->inode->lock);
	mutex_lock(&b->inode->lock);
}

static void
rename_unlock(struct dentry *a, struct dentry *b)
{
	mutex_unlock(&a->inode->lock);
	if (a == b)
		return;
	mutex_unlock(&b->inode->lock);
	mutex_unlock(&rename_mutex);
}

static long
rename_check(struct target *o, struct dentry *od, struct target *n, struct dentry *nd, unsigned flags)
{
	struct inode *oi = od->inode, *ni = nd->inode;
	long r;

	if (oi == NULL)
		return -ENOENT;
	if (ni == NULL && (flags & RENAME_EXCHANGE) != 0)
		return -ENOENT;
	if (ni != NULL && (flags & RENAME_NOREPLACE) != 0)
		return -EEXIST;
	if (!is_type(oi, S_IFDIR)) {
		if (o->last.slash)
			return -ENOTDIR;
		if ((flags & RENAME_EXCHANGE) == 0 && n->last.slash)
			return -ENOTDIR;
	}
	if ((flags & RENAME_EXCHANGE) != 0 && !is_type(ni, S_IFDIR) && n->last.slash)
		return -ENOTDIR;
	/* A directory cannot become its own descendant, nor replace an ancestor. */
	if (dentry_is_ancestor(od, n->dir.dentry))
		return -EINVAL;
	if (dentry_is_ancestor(nd, o->dir.dentry))
		return (flags & RENAME_EXCHANGE) ? -EINVAL : -ENOTEMPTY;
	if (oi == ni)
		return 0;
	r = may_delete(dir_of(o), oi, o->dir.mnt);
	if (r < 0)
		return r;
	if (ni == NULL) {
		if (dir_of(n)->nlink == 0)
			return -ENOENT;
		r = inode_permission(dir_of(n), MAY_WRITE | MAY_EXEC);
	} else {
		r = may_delete(dir_of(n), ni, n->dir.mnt);
	}
	if (r < 0)
		return r;
	if (ni != NULL && (flags & RENAME_EXCHANGE) == 0) {
		if (is_type(oi, S_IFDIR) && !is_type(ni, S_IFDIR))
			return -ENOTDIR;
		if (!is_type(oi, S_IFDIR) && is_type(ni, S_IFDIR))
			return -EISDIR;
	}
	/* ".." of a directory changes: it must be writable. */
	if (is_type(oi, S_IFDIR) && o->dir.dentry != n->dir.dentry) {
		r = inode_permission(oi, MAY_WRITE);
		if (r < 0)
			return r;
	}
	if (not_mounted(od) < 0 || not_mounted(nd) < 0)
		return -EBUSY;
	return dir_of(o)->ops->rename == NULL ? -EPERM : 0;
}

static void
rename_notify(struct target *o, struct target *n, struct inode *moved, struct inode *replaced, const char *old, const char *new)
{
	uint32_t cookie, dir = is_type(moved, S_IFDIR) ? IN_ISDIR : 0;

	if (likely(notify_active == 0))
		return;
	cookie = notify_cookie();
	notify_name(dir_of(o), old, IN_MOVED_FROM | dir, cookie);
	notify_name(dir_of(n), new, IN_MOVED_TO | dir, cookie);
	notify_slow(NULL, NULL, moved, IN_MOVE_SELF | dir);
	if (replaced != NULL && replaced->nlink > 0)
		notify_slow(NULL, NULL, replaced, IN_ATTRIB);
}

static long
rename_locked(struct target *o, struct target *n, unsigned flags, struct inode **replaced)
{
	struct dentry *od, *nd;
	char old_name[NAME_MAX_ + 1];
	long r;

	od = lookup_child_locked(o->dir.dentry, &o->last);
	if (IS_ERR(od))
		return PTR_ERR(od);
	nd = lookup_child_locked(n->dir.dentry, &n->last);
	if (IS_ERR(nd)) {
		dentry_put(od);
		return PTR_ERR(nd);
	}
	r = rename_check(o, od, n, nd, flags);
	if (r == 0 && od->inode != nd->inode) {
		strlcpy(old_name, od->name, sizeof(old_name));
		*replaced = nd->inode;
		if (*replaced != NULL)
			inode_get(*replaced);
		r = dir_of(o)->ops->rename(dir_of(o), od, dir_of(n), nd, flags);
		if (r == 0) {
			if (*replaced != NULL && is_type(*replaced, S_IFDIR) && (flags & RENAME_EXCHANGE) == 0)
				dentry_prune_negatives(nd);
			if (flags & RENAME_EXCHANGE)
				dentry_exchange(od, nd);
			else
				dentry_move(od, nd);
			rename_notify(o, n, od->inode, *replaced, old_name, od->name);
		}
	}
	dentry_put(nd);
	dentry_put(od);
	return r;
}

long
sys_renameat2(uint64_t olddirfd, uint64_t oldname, uint64_t newdirfd, uint64_t newname, uint64_t flags)
{
	struct inode *replaced = NULL;
	struct target o, n;
	long r;

	if ((flags & ~(uint64_t)(RENAME_NOREPLACE | RENAME_EXCHANGE)) != 0)
		return -EINVAL;
	if ((flags & (RENAME_NOREPLACE | RENAME_EXCHANGE)) == (RENAME_NOREPLACE | RENAME_EXCHANGE))
		return -EINVAL;
	r = target_get(&o, (int)olddirfd, oldname);
	if (r < 0)
		return r;
	r = target_get(&n, (int)newdirfd, newname);
	if (r < 0) {
		target_put(&o);
		return r;
	}
	if (o.dir.mnt != n.dir.mnt)
		r = -EXDEV;
	else if (o.last.type != LAST_NORMAL || n.last.type != LAST_NORMAL)
		r = (flags & RENAME_NOREPLACE) && n.last.type != LAST_NORMAL ? -EEXIST : -EBUSY;
	else if (dir_check(&o) < 0 || dir_check(&n) < 0)
		r = -ENOTDIR;
	if (r == 0) {
		rename_lock(o.dir.dentry, n.dir.dentry);
		r = rename_locked(&o, &n, (unsigned)flags, &replaced);
		rename_unlock(o.dir.dentry, n.dir.dentry);
	}
	target_put(&n);
	target_put(&o);
	if (replaced != NULL)
		inode_put(replaced);
	return r;
}

long
sys_renameat(uint64_t olddirfd, uint64_t oldname, uint64_t newdirfd, uint64_t newname)
{
	return sys_renameat2(olddirfd, oldname, newdirfd, newname, 0);
}
