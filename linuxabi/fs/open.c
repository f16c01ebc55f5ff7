/* SPDX-License-Identifier: MIT */
/*
 * Opening files: openat, openat2, and their kernel forms.
 */
#include <linux/inotify.h>
#include <linux/openat2.h>
#include "internal.h"

#define OPEN_FLAGS (O_ACCMODE | O_CREAT | O_EXCL | O_NOCTTY | O_TRUNC | O_APPEND | O_NONBLOCK | O_SYNC | \
	FASYNC | O_DIRECT | O_LARGEFILE | O_DIRECTORY | O_NOFOLLOW | O_NOATIME | O_CLOEXEC | O_PATH | __O_TMPFILE)
#define PATH_FLAGS (O_DIRECTORY | O_NOFOLLOW | O_PATH | O_CLOEXEC)
#ifndef FASYNC
#define FASYNC 020000
#endif

static unsigned
access_wanted(unsigned flags)
{
	static const unsigned char by_mode[] = { MAY_READ, MAY_WRITE, MAY_READ | MAY_WRITE, MAY_READ | MAY_WRITE };
	unsigned want = by_mode[flags & O_ACCMODE];

	return flags & O_TRUNC ? want | MAY_WRITE : want;
}

/* ---- an existing file ---- */

static long
open_check_type(const struct path *p, unsigned flags)
{
	struct inode *i = p->dentry->inode;

	switch (i->mode & S_IFMT) {
	case S_IFLNK:
		return -ELOOP;
	case S_IFDIR:
		return access_wanted(flags) & MAY_WRITE ? -EISDIR : 0;
	case S_IFBLK:
	case S_IFCHR:
		return ((p->mnt->flags | i->sb->flags) & MS_NODEV) != 0 ? -EACCES : 0;
	default:
		return 0;
	}
}

static long
open_check(const struct path *p, unsigned flags, bool created)
{
	struct inode *i = p->dentry->inode;
	unsigned want = access_wanted(flags);
	long r;

	r = open_check_type(p, flags);
	if (r < 0)
		return r;
	if ((want & MAY_WRITE) != 0 && (is_type(i, S_IFREG) || is_type(i, S_IFDIR)) && mount_want_write(p->mnt) < 0)
		return -EROFS;
	/* Who makes a file may use it as he said, whatever its mode. */
	if (!created) {
		r = inode_permission(i, want);
		if (r < 0)
			return r;
	}
	if ((flags & O_NOATIME) != 0 && !inode_owner_or_capable(i))
		return -EPERM;
	return 0;
}

static const struct file_ops *
open_ops(struct inode *i)
{
	switch (i->mode & S_IFMT) {
	case S_IFCHR:
		return i->fops != NULL ? i->fops : chrdev_find(i->rdev);
	case S_IFIFO:
		return &fifo_ops;
	case S_IFBLK:
		return blkdev_driver()->fops;
	case S_IFSOCK:
		return NULL;
	default:
		return i->fops;
	}
}

static long
writers_get(struct inode *i)
{
	int32_t n = __atomic_load_n(&i->writers, __ATOMIC_RELAXED);

	do {
		if (n < 0)
			return -ETXTBSY;
	} while (!__atomic_compare_exchange_n(&i->writers, &n, n + 1, true, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED));
	return 0;
}

static struct file *
open_o_path(struct path *p, unsigned flags)
{
	struct file *f = file_alloc(&path_only_ops, NULL, flags & (PATH_FLAGS));

	if (f == NULL)
		return ERR_PTR(-ENFILE);
	f->inode = p->dentry->inode;
	f->path = *p;
	return f;
}

/* Consumes the reference on *p when it succeeds. */
static struct file *
open_inode(struct path *p, unsigned flags, bool created)
{
	struct inode *i = p->dentry->inode;
	const struct file_ops *ops;
	struct file *f;
	long r;

	if ((flags & O_DIRECTORY) != 0 && !is_type(i, S_IFDIR))
		return ERR_PTR(-ENOTDIR);
	if (flags & O_PATH)
		return open_o_path(p, flags);
	r = open_check(p, flags, created);
	if (r < 0)
		return ERR_PTR(r);
	ops = open_ops(i);
	if (ops == NULL)
		return ERR_PTR(-ENXIO);
	if ((access_wanted(flags) & MAY_WRITE) != 0 && is_type(i, S_IFREG)) {
		r = writers_get(i);
		if (r < 0)
			return ERR_PTR(r);
	}
	f = file_alloc(ops, NULL, flags);
	if (f == NULL) {
		r = -ENFILE;
		goto fail_writers;
	}
	f->inode = i;
	f->path = *p;
	if (is_type(i, S_IFBLK))		/* there it means something without O_CREAT; block/ takes it away */
		f->flags |= flags & O_EXCL;
	if (ops->open != NULL) {
		r = ops->open(i, f);
		if (r < 0)
			goto fail_file;
	}
	if ((flags & O_TRUNC) != 0 && is_type(i, S_IFREG) && !created) {
		r = inode_truncate(&f->path, f, 0);
		if (r < 0) {
			if (!f->writable)
				__atomic_fetch_sub(&i->writers, 1, __ATOMIC_RELEASE);
			path_get(p);		/* file_put gives one back */
			file_put(f);
			return ERR_PTR(r);
		}
	}
	/* O_TRUNC with O_RDONLY was a writer only for the moment. */
	if ((access_wanted(flags) & MAY_WRITE) != 0 && !f->writable && is_type(i, S_IFREG))
		__atomic_fetch_sub(&i->writers, 1, __ATOMIC_RELEASE);
	notify_file(f, IN_OPEN);
	return f;

fail_file:
	f->inode = NULL;
	f->path = (struct path){ NULL, NULL };
	f->ops = &path_only_ops;
	file_put(f);
fail_writers:
	if ((access_wanted(flags) & MAY_WRITE) != 0 && is_type(i, S_IFREG))
		__atomic_fetch_sub(&i->writers, 1, __ATOMIC_RELEASE);
	return ERR_PTR(r);
}

struct file *
file_open_path(const struct path *path, unsigned flags)
{
	struct path p = *path;
	struct file *f;

	path_get(&p);
	f = open_inode(&p, flags, false);
	if (IS_ERR(f))
		path_put(&p);
	return f;
}

/* ---- a new file ---- */

static long
may_create_in(const struct path *dir)
{
	struct inode *i = dir->dentry->inode;

	if (i->nlink == 0)
		return -ENOENT;
	if (mount_want_write(dir->mnt) < 0)
		return -EROFS;
	return inode_permission(i, MAY_WRITE | MAY_EXEC);
}

/* dir's inode is locked; d is negative.  Returns the opened file; consumes nothing. */
static struct file *
create_locked(const struct path *dir, struct dentry *d, unsigned flags, uint32_t mode)
{
	struct inode *di = dir->dentry->inode;
	struct path p;
	struct file *f;
	long r = may_create_in(dir);

	if (r < 0)
		return ERR_PTR(r);
	if (di->ops->create == NULL)
		return ERR_PTR(-EACCES);
	r = di->ops->create(di, d, S_IFREG | (mode & 07777 & ~current->fs->umask));
	if (r < 0)
		return ERR_PTR(r);
	notify_name(di, d->name, IN_CREATE, 0);
	p = (struct path){ dir->mnt, d };
	path_get(&p);
	f = open_inode(&p, flags & ~(unsigned)O_TRUNC, true);
	if (IS_ERR(f))
		path_put(&p);
	return f;
}

/* What O_CREAT found under the last name: *link gets a link's target to follow. */
static struct file *
open_or_create(const struct path *dir, const struct last *l, unsigned flags, uint32_t mode, char **link)
{
	struct dentry *d;
	struct path p;
	struct file *f;

	mutex_lock(&dir->dentry->inode->lock);
	d = lookup_child_locked(dir->dentry, l);
	if (IS_ERR(d)) {
		mutex_unlock(&dir->dentry->inode->lock);
		return ERR_PTR(PTR_ERR(d));
	}
	if (d->inode == NULL) {
		f = create_locked(dir, d, flags, mode);
		mutex_unlock(&dir->dentry->inode->lock);
		dentry_put(d);
		return f;
	}
	mutex_unlock(&dir->dentry->inode->lock);
	if (flags & O_EXCL) {
		dentry_put(d);
		return ERR_PTR(-EEXIST);
	}
	if (is_type(d->inode, S_IFLNK) && (flags & O_NOFOLLOW) == 0) {
		ssize_t n;

		*link = path_page_get();
		n = -ENOMEM;
		if (*link != NULL) {
			if (d->inode->link != NULL)
				n = (ssize_t)strlcpy(*link, d->inode->link, PATH_MAX_);
			else
				n = d->inode->ops->readlink(d->inode, d, *link, PATH_MAX_);
		}
		dentry_put(d);
		return n < 0 ? ERR_PTR(n) : NULL;
	}
	mount_get(dir->mnt);
	p = (struct path){ dir->mnt, d };
	/* Something may be mounted on it. */
	if (d->flags & DF_MOUNTPOINT) {
		struct path top;
		long r = walk_path(AT_FDCWD, dir, l->name, WALK_FOLLOW, &top, NULL);

		path_put(&p);
		if (r < 0)
			return ERR_PTR(r);
		p = top;
	}
	if (is_type(p.dentry->inode, S_IFDIR)) {
		path_put(&p);
		return ERR_PTR(-EISDIR);
	}
	f = open_inode(&p, flags, false);
	if (IS_ERR(f))
		path_put(&p);
	return f;
}

static struct file *
open_create(int dirfd, const char *text, unsigned flags, uint32_t mode, unsigned walk)
{
	struct path dir, base = { NULL, NULL };
	char *link = NULL;
	struct file *f;
	unsigned links = 0;

	for (;;) {
		struct last l;
		char *next = NULL;
		long r = walk_path(dirfd, base.dentry != NULL ? &base : NULL, text, walk | WALK_PARENT, &dir, &l);

		if (base.dentry != NULL)
			path_put(&base);
		if (r < 0) {
			dir = (struct path){ NULL, NULL };
			f = ERR_PTR(r);
		} else if (l.type != LAST_NORMAL || l.slash) {
			f = ERR_PTR(-EISDIR);
		} else if (!is_type(dir.dentry->inode, S_IFDIR)) {
			f = ERR_PTR(-ENOTDIR);
		} else {
			f = open_or_create(&dir, &l, flags, mode, &next);
		}
		if (link != NULL)
			path_page_put(link);
		link = next;
		if (f == NULL && ++links > SYMLINKS_MAX)
			f = ERR_PTR(-ELOOP);
		if (f == NULL && (walk & WALK_NO_SYMLINKS) != 0)
			f = ERR_PTR(-ELOOP);
		if (f != NULL)
			break;
		base = dir;		/* its reference moves along */
		text = link;
	}
	if (link != NULL)
		path_page_put(link);
	if (dir.dentry != NULL)
		path_put(&dir);
	return f;
}

static struct file *
open_tmpfile(int dirfd, const char *text, unsigned flags, uint32_t mode, unsigned walk)
{
	struct path dir, p;
	struct inode *di;
	struct dentry *d;
	struct file *f;
	long r = walk_path(dirfd, NULL, text, walk | WALK_FOLLOW | WALK_DIRECTORY, &dir, NULL);

	if (r < 0)
		return ERR_PTR(r);
	di = dir.dentry->inode;
	r = may_create_in(&dir);
	if (r == 0 && di->ops->tmpfile == NULL)
		r = -EOPNOTSUPP;
	if (r < 0)
		goto fail_dir;
	r = -ENOMEM;
	d = dentry_alloc(dir.dentry, "#tmpfile", 8, 0);
	if (d == NULL)
		goto fail_dir;
	mutex_lock(&di->lock);
	r = di->ops->tmpfile(di, d, S_IFREG | (mode & 07777 & ~current->fs->umask));
	mutex_unlock(&di->lock);
	if (r < 0) {
		dentry_put(d);
		goto fail_dir;
	}
	mount_get(dir.mnt);
	p = (struct path){ dir.mnt, d };
	f = open_inode(&p, flags & ~(unsigned)(O_DIRECTORY | __O_TMPFILE), true);
	if (IS_ERR(f))
		path_put(&p);
	else
		f->flags |= __O_TMPFILE;
	path_put(&dir);
	return f;

fail_dir:
	path_put(&dir);
	return ERR_PTR(r);
}

/* ---- all together ---- */

struct file *
open_path_walk(int dirfd, const char *text, unsigned flags, uint32_t mode, unsigned walk)
{
	struct path p;
	struct file *f;
	long r;

	if (flags & O_PATH)
		flags &= PATH_FLAGS;
	if (unlikely(flags & __O_TMPFILE))
		return open_tmpfile(dirfd, text, flags, mode, walk);
	if ((flags & (O_CREAT | O_EXCL)) == (O_CREAT | O_EXCL))
		return open_create(dirfd, text, flags | O_NOFOLLOW, mode, walk);
	if ((flags & O_NOFOLLOW) == 0)
		walk |= WALK_FOLLOW;
	r = walk_path(dirfd, NULL, text, walk, &p, NULL);
	if (r == -ENOENT && (flags & O_CREAT) != 0)
		return open_create(dirfd, text, flags, mode, walk & ~(unsigned)WALK_FOLLOW);
	if (r < 0)
		return ERR_PTR(r);
	if ((flags & O_CREAT) != 0 && is_type(p.dentry->inode, S_IFDIR)) {
		path_put(&p);
		return ERR_PTR(-EISDIR);
	}
	f = open_inode(&p, flags, false);
	if (IS_ERR(f))
		path_put(&p);
	return f;
}

struct file *
file_open(int dirfd, const char *name, unsigned flags, uint32_t mode)
{
	struct pathname p;
	struct file *f;
	long r = pathname_kernel(&p, name);

	if (r < 0)
		return ERR_PTR(r);
	f = open_path_walk(dirfd, p.text, flags, mode, 0);
	pathname_put(&p);
	return f;
}

static long
open_flags_check(unsigned flags, uint32_t mode, bool strict)
{
	if ((flags & __O_TMPFILE) != 0) {
		if ((flags & O_TMPFILE_MASK) != O_TMPFILE || (access_wanted(flags) & MAY_WRITE) == 0)
			return -EINVAL;
	}
	if ((flags & (O_DIRECTORY | O_CREAT)) == (O_DIRECTORY | O_CREAT) && (flags & O_PATH) == 0)
		return -EINVAL;
	if (strict && (flags & O_PATH) != 0 && (flags & ~(unsigned)PATH_FLAGS) != 0)
		return -EINVAL;
	if (strict && mode != 0 && (flags & (O_CREAT | __O_TMPFILE)) == 0)
		return -EINVAL;
	return 0;
}

static long
open_fd(int dirfd, uaddr_t name, unsigned flags, uint32_t mode, unsigned walk)
{
	struct pathname p;
	struct file *f;
	long r = pathname_get(&p, name);

	if (r < 0)
		return r;
	f = open_path_walk(dirfd, p.text, flags, mode, walk);
	pathname_put(&p);
	if (IS_ERR(f))
		return PTR_ERR(f);
	r = fd_install(f, 0, (flags & O_CLOEXEC) != 0);
	if (r < 0)
		file_put(f);
	return r;
}

long
sys_openat(uint64_t dirfd, uint64_t name, uint64_t flags64, uint64_t mode)
{
	unsigned flags = (unsigned)flags64 & OPEN_FLAGS;
	long r;

	if ((flags & (O_CREAT | __O_TMPFILE)) == 0)
		mode = 0;
	r = open_flags_check(flags, (uint32_t)mode, false);
	if (r < 0)
		return r;
	return open_fd((int)dirfd, name, flags | O_LARGEFILE, (uint32_t)mode & 07777, 0);
}

static unsigned
resolve_walk(uint64_t resolve)
{
	unsigned walk = 0;

	if (resolve & RESOLVE_NO_XDEV)
		walk |= WALK_NO_XDEV;
	if (resolve & RESOLVE_NO_MAGICLINKS)
		walk |= WALK_NO_MAGICLINKS;
	if (resolve & RESOLVE_NO_SYMLINKS)
		walk |= WALK_NO_SYMLINKS | WALK_NO_MAGICLINKS;
	if (resolve & RESOLVE_BENEATH)
		walk |= WALK_BENEATH;
	if (resolve & RESOLVE_IN_ROOT)
		walk |= WALK_IN_ROOT;
	return walk;
}

/* Bytes past the structure that we know must be zero (openat2(2), extensibility). */
static long
how_get(struct open_how *how, uaddr_t user, size_t size)
{
	uint8_t b;

	if (size < sizeof(struct open_how))
		return -EINVAL;
	if (size > PAGE_SIZE)
		return -E2BIG;
	for (size_t i = sizeof(*how); i < size; i++) {
		if (get_user_u8(&b, user + i) < 0)
			return -EFAULT;
		if (b != 0)
			return -E2BIG;
	}
	return copy_from_user(how, user, sizeof(*how));
}

long
sys_openat2(uint64_t dirfd, uint64_t name, uint64_t how_user, uint64_t size)
{
	const uint64_t known = RESOLVE_NO_XDEV | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_SYMLINKS | RESOLVE_BENEATH |
	    RESOLVE_IN_ROOT | RESOLVE_CACHED;
	struct open_how how;
	long r = how_get(&how, how_user, size);

	if (r < 0)
		return r;
	if ((how.flags & ~(uint64_t)OPEN_FLAGS) != 0 || (how.resolve & ~known) != 0 || (how.mode & ~07777ULL) != 0)
		return -EINVAL;
	if ((how.resolve & RESOLVE_BENEATH) != 0 && (how.resolve & RESOLVE_IN_ROOT) != 0)
		return -EINVAL;
	r = open_flags_check((unsigned)how.flags, (uint32_t)how.mode, true);
	if (r < 0)
		return r;
	if (how.resolve & RESOLVE_CACHED)
		return -EAGAIN;		/* "not without I/O": the caller tries again without */
	return open_fd((int)dirfd, name, (unsigned)how.flags | ((how.flags & O_PATH) ? 0 : O_LARGEFILE), (uint32_t)how.mode, resolve_walk(how.resolve));
}
