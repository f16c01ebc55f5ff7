/* SPDX-License-Identifier: MIT */
/*
 * Attributes of files: stat and statx, chmod, chown, times, size, access,
 * statfs, readlink; and the directory a task stands in: chdir, chroot, getcwd,
 * umask.
 */
#include <linux/inotify.h>
#include <linux/stat.h>
#include "internal.h"

/* ---- stat ---- */

static void
kstat_get(struct inode *i, struct kstat *k)
{
	if (i->ops->getattr != NULL) {
		inode_stat(i, k);
		i->ops->getattr(i, k);
	} else {
		inode_stat(i, k);
	}
}

static long
stat_put(uaddr_t user, const struct kstat *k)
{
	struct stat st = {
		.st_dev = k->dev, .st_ino = k->ino, .st_mode = k->mode, .st_nlink = k->nlink,
		.st_uid = k->uid, .st_gid = k->gid, .st_rdev = k->rdev, .st_size = (long)k->size,
		.st_blksize = (int)k->blksize, .st_blocks = (long)k->blocks,
		.st_atime = k->atime.tv_sec, .st_atime_nsec = (unsigned long)k->atime.tv_nsec,
		.st_mtime = k->mtime.tv_sec, .st_mtime_nsec = (unsigned long)k->mtime.tv_nsec,
		.st_ctime = k->ctime.tv_sec, .st_ctime_nsec = (unsigned long)k->ctime.tv_nsec,
	};

	return copy_to_user(user, &st, sizeof(st));
}

static unsigned
at_walk(uint64_t flags)
{
	return ((flags & AT_SYMLINK_NOFOLLOW) ? 0 : WALK_FOLLOW) | ((flags & AT_EMPTY_PATH) ? WALK_EMPTY : 0);
}

/* In a read section, where nothing has to be held: the common case. */
static long
stat_peek(int dirfd, const char *text, unsigned walk, struct kstat *k, uint64_t *mount_id, bool *root)
{
	struct path p;
	struct inode *i;
	uint32_t seq;
	long r;

	read_begin();
	r = walk_peek(dirfd, text, walk, &p, &seq);
	if (r == 0) {
		i = READ_ONCE(p.dentry->inode);
		if (i == NULL || i->ops->permission != NULL) {
			r = 1;
		} else {
			inode_stat(i, k);
			/* tmpfs's getattr only looks. */
			if (i->ops->getattr != NULL && (!tmpfs_is(i) || i->mapping == NULL))
				r = 1;
			else if (i->mapping != NULL)
				k->blocks = i->mapping->page_count * (PAGE_SIZE / 512);
			*mount_id = (uint64_t)p.mnt->id;
			*root = p.dentry == p.mnt->root;
		}
		if (!rename_seq_same(seq))
			r = 1;
	}
	read_end();
	return r;
}

static long
stat_path(int dirfd, uaddr_t name, uint64_t flags, struct kstat *k, uint64_t *mount_id, bool *root)
{
	struct pathname pn;
	struct path p;
	long r;

	if ((flags & AT_EMPTY_PATH) != 0) {
		r = name == 0 ? 0 : pathname_get_empty(&pn, name);
		if (name == 0) {
			pn.small[0] = '\0';
			pn.text = pn.small;
			pn.page = NULL;
		}
	} else {
		r = pathname_get(&pn, name);
	}
	if (r < 0)
		return r;
	if (*pn.text == '\0' && dirfd != AT_FDCWD) {
		struct fdref ref = fdref_get_any(dirfd);

		r = -EBADF;
		if (ref.file != NULL) {
			kstat_get(ref.file->inode, k);
			*mount_id = ref.file->path.mnt != NULL ? (uint64_t)ref.file->path.mnt->id : 0;
			*root = false;
			r = 0;
		}
		fdref_put(ref);
		return r;
	}
	r = *pn.text == '\0' ? 1 : stat_peek(dirfd, pn.text, at_walk(flags), k, mount_id, root);
	if (r == 1) {
		r = walk_path(dirfd, NULL, pn.text, at_walk(flags), &p, NULL);
		if (r == 0) {
			kstat_get(p.dentry->inode, k);
			*mount_id = (uint64_t)p.mnt->id;
			*root = p.dentry == p.mnt->root;
			path_put(&p);
		}
	}
	pathname_put(&pn);
	return r;
}

long
sys_newfstatat(uint64_t dirfd, uint64_t name, uint64_t buf, uint64_t flags)
{
	struct kstat k;
	uint64_t id;
	bool root;
	long r;

	if ((flags & ~(uint64_t)(AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT | AT_EMPTY_PATH | AT_STATX_SYNC_TYPE)) != 0)
		return -EINVAL;
	r = stat_path((int)dirfd, name, flags, &k, &id, &root);
	return r < 0 ? r : stat_put(buf, &k);
}

long
sys_fstat(uint64_t fd, uint64_t buf)
{
	struct fdref ref = fdref_get_any((int)fd);
	struct kstat k;

	if (ref.file == NULL)
		return -EBADF;
	kstat_get(ref.file->inode, &k);
	fdref_put(ref);
	return stat_put(buf, &k);
}

static struct statx_timestamp
statx_time(const struct __kernel_timespec *t)
{
	return (struct statx_timestamp){ .tv_sec = t->tv_sec, .tv_nsec = (uint32_t)t->tv_nsec };
}

static uint32_t dev_major(uint64_t dev) { return (uint32_t)(dev >> 8 & 0xfff); }
static uint32_t dev_minor(uint64_t dev) { return (uint32_t)((dev & 0xff) | (dev >> 12 & 0xfff00)); }

long
sys_statx(uint64_t dirfd, uint64_t name, uint64_t flags, uint64_t mask, uint64_t buf)
{
	struct statx sx;
	struct kstat k;
	uint64_t id;
	bool root;
	long r;

	if ((mask & STATX__RESERVED) != 0)
		return -EINVAL;
	if ((flags & ~(uint64_t)(AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT | AT_EMPTY_PATH | AT_STATX_SYNC_TYPE)) != 0 ||
	    (flags & AT_STATX_SYNC_TYPE) == AT_STATX_SYNC_TYPE)
		return -EINVAL;
	r = stat_path((int)dirfd, name, flags, &k, &id, &root);
	if (r < 0)
		return r;
	memset(&sx, 0, sizeof(sx));
	sx.stx_mask = STATX_BASIC_STATS | STATX_BTIME | STATX_MNT_ID;
	sx.stx_blksize = k.blksize;
	sx.stx_attributes_mask = STATX_ATTR_MOUNT_ROOT;
	sx.stx_attributes = root ? STATX_ATTR_MOUNT_ROOT : 0;
	sx.stx_nlink = k.nlink;
	sx.stx_uid = k.uid;
	sx.stx_gid = k.gid;
	sx.stx_mode = (uint16_t)k.mode;
	sx.stx_ino = k.ino;
	sx.stx_size = k.size;
	sx.stx_blocks = k.blocks;
	sx.stx_atime = statx_time(&k.atime);
	sx.stx_btime = statx_time(&k.btime);
	sx.stx_ctime = statx_time(&k.ctime);
	sx.stx_mtime = statx_time(&k.mtime);
	sx.stx_rdev_major = dev_major(k.rdev);
	sx.stx_rdev_minor = dev_minor(k.rdev);
	sx.stx_dev_major = dev_major(k.dev);
	sx.stx_dev_minor = dev_minor(k.dev);
	sx.stx_mnt_id = id;
	return copy_to_user(buf, &sx, sizeof(sx));
}

long
sys_readlinkat(uint64_t dirfd, uint64_t name, uint64_t buf, uint64_t size64)
{
	int size = (int)size64;
	struct path p;
	struct inode *i;
	const char *text;
	char *page = NULL;
	long r;

	if (size <= 0)
		return -EINVAL;
	r = path_walk_user((int)dirfd, name, WALK_EMPTY, &p);
	if (r < 0)
		return r;
	i = p.dentry->inode;
	r = -EINVAL;
	if (!is_type(i, S_IFLNK))
		goto out;
	text = i->link;
	if (text == NULL) {
		if (i->ops->readlink == NULL)
			goto out;
		page = path_page_get();
		r = page == NULL ? -ENOMEM : i->ops->readlink(i, p.dentry, page, PATH_MAX_);
		if (r < 0)
			goto out;
		text = page;
	} else {
		r = (long)i->size;
	}
	r = min(r, (long)size);
	if (copy_to_user(buf, text, (size_t)r) < 0)
		r = -EFAULT;
out:
	if (page != NULL)
		path_page_put(page);
	path_put(&p);
	return r;
}

/* ---- changes ---- */

static long
attr_may_change(struct inode *i, struct iattr *a)
{
	const struct cred *c = current->cred;

	if ((a->valid & ATTR_UID) != 0 && !capable(CAP_CHOWN) && (c->fsuid != i->uid || a->uid != i->uid))
		return -EPERM;
	if ((a->valid & ATTR_GID) != 0 && !capable(CAP_CHOWN) &&
	    (c->fsuid != i->uid || (a->gid != i->gid && !in_group(c, a->gid))))
		return -EPERM;
	if (a->valid & ATTR_MODE) {
		uint32_t gid = a->valid & ATTR_GID ? a->gid : i->gid;

		if (!inode_owner_or_capable(i) && (a->valid & (ATTR_UID | ATTR_GID)) == 0)
			return -EPERM;
		if (!in_group(c, gid) && !capable(CAP_FSETID) && (a->valid & (ATTR_UID | ATTR_GID)) == 0)
			a->mode &= ~(uint32_t)S_ISGID;
	}
	return 0;
}

/* i is locked.  A change of owner takes the set-id bits of executables away. */
static void
attr_drop_suid(struct inode *i, struct iattr *a)
{
	uint32_t drop = 0;

	if ((a->valid & (ATTR_UID | ATTR_GID)) == 0 || is_type(i, S_IFDIR))
		return;
	drop = i->mode & S_ISUID;
	if ((i->mode & (S_ISGID | S_IXGRP)) == (S_ISGID | S_IXGRP))
		drop |= S_ISGID;
	if (drop == 0)
		return;
	a->valid |= ATTR_MODE;
	a->mode = i->mode & ~drop;
}

long
attr_change(const struct path *p, struct iattr *a)
{
	struct inode *i = p->dentry->inode;
	long r = mount_want_write(p->mnt);

	if (r < 0)
		return r;
	if (i->ops->setattr == NULL)
		return -EPERM;
	mutex_lock(&i->lock);
	r = attr_may_change(i, a);
	if (r == 0) {
		attr_drop_suid(i, a);
		r = i->ops->setattr(i, a);
	}
	if (r == 0)
		i->ctime = inode_now();
	mutex_unlock(&i->lock);
	if (r == 0)
		notify_dentry(p->dentry, IN_ATTRIB);
	return r;
}

/* Files without a path (pipes) have an inode all the same. */
static long
attr_change_file(struct file *f, struct iattr *a)
{
	struct inode *i = f->inode;
	long r;

	if (f->path.dentry != NULL)
		return attr_change(&f->path, a);
	mutex_lock(&i->lock);
	r = attr_may_change(i, a);
	if (r == 0 && (a->valid & ATTR_MODE))
		i->mode = (i->mode & S_IFMT) | (a->mode & 07777);
	if (r == 0 && (a->valid & ATTR_UID))
		i->uid = a->uid;
	if (r == 0 && (a->valid & ATTR_GID))
		i->gid = a->gid;
	mutex_unlock(&i->lock);
	return r;
}

static long
attr_change_at(int dirfd, uaddr_t name, unsigned walk, struct iattr *a)
{
	struct path p;
	long r = path_walk_user(dirfd, name, walk, &p);

	if (r < 0)
		return r;
	/* A link's mode cannot be changed (fchmodat2 with AT_SYMLINK_NOFOLLOW). */
	r = (a->valid & ATTR_MODE) && is_type(p.dentry->inode, S_IFLNK) ? -EOPNOTSUPP : attr_change(&p, a);
	path_put(&p);
	return r;
}

static long
attr_change_fd(uint64_t fd, struct iattr *a)
{
	struct fdref ref = fdref_get((int)fd);
	long r;

	if (ref.file == NULL)
		return -EBADF;
	r = attr_change_file(ref.file, a);
	fdref_put(ref);
	return r;
}

long
sys_fchmod(uint64_t fd, uint64_t mode)
{
	struct iattr a = { .valid = ATTR_MODE, .mode = (uint32_t)mode & 07777 };

	return attr_change_fd(fd, &a);
}

long
sys_fchmodat(uint64_t dirfd, uint64_t name, uint64_t mode)
{
	struct iattr a = { .valid = ATTR_MODE, .mode = (uint32_t)mode & 07777 };

	return attr_change_at((int)dirfd, name, WALK_FOLLOW, &a);
}

long
sys_fchmodat2(uint64_t dirfd, uint64_t name, uint64_t mode, uint64_t flags)
{
	struct iattr a = { .valid = ATTR_MODE, .mode = (uint32_t)mode & 07777 };

	if ((flags & ~(uint64_t)(AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH)) != 0)
		return -EINVAL;
	return attr_change_at((int)dirfd, name, at_walk(flags), &a);
}

static struct iattr
owner_attr(uint64_t uid, uint64_t gid)
{
	struct iattr a = { .uid = (uint32_t)uid, .gid = (uint32_t)gid };

	if ((uint32_t)uid != UINT32_MAX)
		a.valid |= ATTR_UID;
	if ((uint32_t)gid != UINT32_MAX)
		a.valid |= ATTR_GID;
	return a;
}

long
sys_fchownat(uint64_t dirfd, uint64_t name, uint64_t uid, uint64_t gid, uint64_t flags)
{
	struct iattr a = owner_attr(uid, gid);

	if ((flags & ~(uint64_t)(AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH)) != 0)
		return -EINVAL;
	return attr_change_at((int)dirfd, name, at_walk(flags), &a);
}

long
sys_fchown(uint64_t fd, uint64_t uid, uint64_t gid)
{
	struct iattr a = owner_attr(uid, gid);

	return attr_change_fd(fd, &a);
}

/* ---- times ---- */

#ifndef UTIME_NOW
#define UTIME_NOW	((1l << 30) - 1l)
#define UTIME_OMIT	((1l << 30) - 2l)
#endif

static long
utimes_permission(struct inode *i, bool both_now)
{
	if (both_now && inode_permission(i, MAY_WRITE) == 0)
		return 0;
	if (inode_owner_or_capable(i))
		return 0;
	return both_now ? -EACCES : -EPERM;
}

static long
utimes_attr(const struct __kernel_timespec t[2], struct iattr *a, bool *both_now)
{
	struct __kernel_timespec now = inode_now();

	for (int n = 0; n < 2; n++)
		if (t[n].tv_nsec != UTIME_NOW && t[n].tv_nsec != UTIME_OMIT &&
		    (uint64_t)t[n].tv_nsec > 999999999)
			return -EINVAL;
	*a = (struct iattr){ .atime = t[0].tv_nsec == UTIME_NOW ? now : t[0],
	    .mtime = t[1].tv_nsec == UTIME_NOW ? now : t[1] };
	if (t[0].tv_nsec != UTIME_OMIT)
		a->valid |= ATTR_ATIME;
	if (t[1].tv_nsec != UTIME_OMIT)
		a->valid |= ATTR_MTIME;
	*both_now = t[0].tv_nsec == UTIME_NOW && t[1].tv_nsec == UTIME_NOW;
	return 0;
}

static long
utimes_path(const struct path *p, struct iattr *a, bool both_now)
{
	long r = mount_want_write(p->mnt);

	if (r == 0)
		r = utimes_permission(p->dentry->inode, both_now);
	return r < 0 ? r : attr_change(p, a);
}

long
sys_utimensat(uint64_t dirfd, uint64_t name, uint64_t times, uint64_t flags)
{
	struct __kernel_timespec t[2] = { { 0, UTIME_NOW }, { 0, UTIME_NOW } };
	struct iattr a;
	struct path p;
	bool both_now;
	long r;

	if (times != 0 && copy_from_user(t, times, sizeof(t)) < 0)
		return -EFAULT;
	if (t[0].tv_nsec == UTIME_OMIT && t[1].tv_nsec == UTIME_OMIT)
		return 0;
	if ((flags & ~(uint64_t)(AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH)) != 0)
		return -EINVAL;
	r = utimes_attr(t, &a, &both_now);
	if (r < 0)
		return r;
	if (name == 0) {
		struct fdref ref;

		if ((int)dirfd == AT_FDCWD)
			return -EFAULT;
		if (flags != 0)
			return -EINVAL;
		ref = fdref_get((int)dirfd);
		if (ref.file == NULL)
			return -EBADF;
		r = ref.file->path.dentry != NULL ? utimes_path(&ref.file->path, &a, both_now) : 0;
		fdref_put(ref);
		return r;
	}
	r = path_walk_user((int)dirfd, name, at_walk(flags), &p);
	if (r < 0)
		return r;
	r = utimes_path(&p, &a, both_now);
	path_put(&p);
	return r;
}

/* ---- size ---- */

long
sys_truncate(uint64_t name, uint64_t size)
{
	struct path p;
	struct inode *i;
	long r;

	if ((int64_t)size < 0)
		return -EINVAL;
	r = path_walk_user(AT_FDCWD, name, WALK_FOLLOW, &p);
	if (r < 0)
		return r;
	i = p.dentry->inode;
	if (is_type(i, S_IFDIR))
		r = -EISDIR;
	else if (!is_type(i, S_IFREG))
		r = -EINVAL;
	else
		r = mount_want_write(p.mnt);
	if (r == 0)
		r = inode_permission(i, MAY_WRITE);
	if (r == 0 && READ_ONCE(i->writers) < 0)
		r = -ETXTBSY;
	if (r == 0)
		r = inode_truncate(&p, NULL, size);
	path_put(&p);
	return r;
}

long
sys_ftruncate(uint64_t fd, uint64_t size)
{
	struct fdref ref;
	long r;

	if ((int64_t)size < 0)
		return -EINVAL;
	ref = fdref_get((int)fd);
	if (ref.file == NULL)
		return -EBADF;
	if (!is_type(ref.file->inode, S_IFREG) || !ref.file->writable)
		r = -EINVAL;
	else
		r = inode_truncate(&ref.file->path, ref.file, size);
	fdref_put(ref);
	return r;
}

/* ---- access ---- */

/* access(2) asks for the real user: run fn with those credentials. */
static struct cred *
real_cred_enter(void)
{
	struct cred *own = current->cred, *c;

	if (own->fsuid == own->uid && own->fsgid == own->gid)
		return NULL;
	c = cred_copy(own);
	if (c == NULL)
		return ERR_PTR(-ENOMEM);
	c->fsuid = own->uid;
	c->fsgid = own->gid;
	c->cap_effective = own->uid == 0 ? own->cap_permitted : 0;
	current->cred = c;
	return own;
}

static void
real_cred_leave(struct cred *own)
{
	struct cred *c = current->cred;

	if (own == NULL)
		return;
	current->cred = own;
	cred_put(c);
}

static long
access_path(const struct path *p, unsigned mode)
{
	struct inode *i = p->dentry->inode;
	long r;

	if ((mode & MAY_EXEC) != 0 && is_type(i, S_IFREG) && (p->mnt->flags & MS_NOEXEC) != 0)
		return -EACCES;
	r = inode_permission(i, mode);
	if (r == 0 && (mode & MAY_WRITE) != 0 && !is_type(i, S_IFCHR) && !is_type(i, S_IFBLK) &&
	    !is_type(i, S_IFIFO) && !is_type(i, S_IFSOCK))
		r = mount_want_write(p->mnt);
	return r;
}

static long
do_access(int dirfd, uaddr_t name, unsigned mode, uint64_t flags)
{
	struct cred *own = NULL;
	struct path p;
	long r;

	if ((mode & ~7u) != 0)
		return -EINVAL;
	if ((flags & ~(uint64_t)(AT_EACCESS | AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH)) != 0)
		return -EINVAL;
	if ((flags & AT_EACCESS) == 0) {
		own = real_cred_enter();
		if (IS_ERR(own))
			return PTR_ERR(own);
	}
	r = path_walk_user(dirfd, name, at_walk(flags), &p);
	if (r == 0) {
		if (mode != 0)
			r = access_path(&p, mode);
		path_put(&p);
	}
	real_cred_leave(own);
	return r;
}

long
sys_faccessat(uint64_t dirfd, uint64_t name, uint64_t mode)
{
	return do_access((int)dirfd, name, (unsigned)mode, 0);
}

long
sys_faccessat2(uint64_t dirfd, uint64_t name, uint64_t mode, uint64_t flags)
{
	return do_access((int)dirfd, name, (unsigned)mode, flags);
}

/* ---- statfs ---- */

static long
statfs_super(struct super *sb, const struct mount *m, uaddr_t user)
{
	struct statfs st;
	unsigned long flags = 0x20 /* ST_VALID */;
	long r = 0;

	memset(&st, 0, sizeof(st));
	st.f_type = (__typeof__(st.f_type))sb->magic;
	st.f_bsize = PAGE_SIZE;
	st.f_frsize = PAGE_SIZE;
	st.f_namelen = NAME_MAX_;
	st.f_fsid.val[0] = (int)sb->dev;
	if (sb->ops->statfs != NULL)
		r = sb->ops->statfs(sb, &st);
	/* ST_RDONLY … ST_NODIRATIME are MS_*'s bits but for these two. */
	if (m != NULL)
		flags |= (m->flags | sb->flags) & (MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC | MS_NOATIME | MS_NODIRATIME);
	if (m != NULL && (m->flags & MS_RELATIME))
		flags |= 0x1000;
	st.f_flags = (__typeof__(st.f_flags))flags;
	return r < 0 ? r : copy_to_user(user, &st, sizeof(st));
}

long
sys_statfs(uint64_t name, uint64_t buf)
{
	struct path p;
	long r = path_walk_user(AT_FDCWD, name, WALK_FOLLOW, &p);

	if (r < 0)
		return r;
	r = statfs_super(p.dentry->inode->sb, p.mnt, buf);
	path_put(&p);
	return r;
}

long
sys_fstatfs(uint64_t fd, uint64_t buf)
{
	struct fdref ref = fdref_get_any((int)fd);
	long r;

	if (ref.file == NULL)
		return -EBADF;
	r = statfs_super(ref.file->inode->sb, ref.file->path.mnt, buf);
	fdref_put(ref);
	return r;
}

/* ---- where a task stands ---- */

static void
context_set(struct path *slot, struct path *p)
{
	struct fs_context *fs = current->fs;
	struct path old;

	spin_lock(&fs->lock);
	old = *slot;
	*slot = *p;
	spin_unlock(&fs->lock);
	path_put(&old);
}

long
sys_chdir(uint64_t name)
{
	struct path p;
	long r = path_walk_user(AT_FDCWD, name, WALK_FOLLOW | WALK_DIRECTORY, &p);

	if (r < 0)
		return r;
	r = inode_permission(p.dentry->inode, MAY_EXEC);
	if (r == 0)
		context_set(&current->fs->cwd, &p);
	else
		path_put(&p);
	return r;
}

long
sys_fchdir(uint64_t fd)
{
	struct fdref ref = fdref_get_any((int)fd);
	struct path p;
	long r;

	if (ref.file == NULL)
		return -EBADF;
	if (ref.file->path.dentry == NULL || !is_type(ref.file->inode, S_IFDIR))
		r = -ENOTDIR;
	else
		r = inode_permission(ref.file->inode, MAY_EXEC);
	if (r == 0) {
		p = ref.file->path;
		path_get(&p);
		context_set(&current->fs->cwd, &p);
	}
	fdref_put(ref);
	return r;
}

long
sys_chroot(uint64_t name)
{
	struct path p;
	long r = path_walk_user(AT_FDCWD, name, WALK_FOLLOW | WALK_DIRECTORY, &p);

	if (r < 0)
		return r;
	r = inode_permission(p.dentry->inode, MAY_EXEC);
	if (r == 0 && !capable(CAP_SYS_CHROOT))
		r = -EPERM;
	if (r == 0)
		context_set(&current->fs->root, &p);
	else
		path_put(&p);
	return r;
}

long
sys_getcwd(uint64_t buf, uint64_t size)
{
	struct fs_context *fs = current->fs;
	struct path cwd;
	char *page, *text;
	size_t len;
	long r;

	spin_lock(&fs->lock);
	cwd = fs->cwd;
	path_get(&cwd);
	spin_unlock(&fs->lock);
	r = -ENOENT;
	if (dentry_unlinked(cwd.dentry))
		goto out;
	r = -ENOMEM;
	page = path_page_get();
	if (page == NULL)
		goto out;
	text = path_text(&cwd, page, PATH_MAX_, false);
	r = PTR_ERR(text);
	if (!IS_ERR(text)) {
		len = strlen(text) + 1;
		r = len > size ? -ERANGE : copy_to_user(buf, text, len) < 0 ? -EFAULT : (long)len;
	}
	path_page_put(page);
out:
	path_put(&cwd);
	return r;
}

long
sys_umask(uint64_t mask)
{
	return (long)__atomic_exchange_n(&current->fs->umask, (uint32_t)mask & 0777, __ATOMIC_RELAXED);
}
