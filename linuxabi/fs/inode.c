/* SPDX-License-Identifier: MIT */
/*
 * Inodes: life, permission, times, the generic part of stat.
 */
#include "internal.h"

static struct kcache *inode_cache;
static uint64_t next_ino = 1;
static uint64_t inodes;

uint64_t
inode_next_ino(void)
{
	return __atomic_fetch_add(&next_ino, 1, __ATOMIC_RELAXED);
}

struct __kernel_timespec
inode_now(void)
{
	return ns_timespec(clock_realtime());
}

struct inode *
inode_alloc(struct super *sb, uint32_t mode)
{
	static const struct inode_ops no_ops;
	struct inode *i = kcache_zalloc(inode_cache);

	if (i == NULL)
		return NULL;
	ref_init(&i->refs, 1);
	mutex_init(&i->lock, 20);
	i->sb = sb;
	i->ino = inode_next_ino();
	i->mode = mode;
	i->uid = current->cred != NULL ? current->cred->fsuid : 0;
	i->gid = current->cred != NULL ? current->cred->fsgid : 0;
	i->nlink = 1;
	i->ops = &no_ops;
	i->atime = i->mtime = i->ctime = i->btime = inode_now();
	list_init(&i->hash);
	list_init(&i->locks);
	__atomic_fetch_add(&inodes, 1, __ATOMIC_RELAXED);
	return i;
}

void
inode_get(struct inode *i)
{
	__atomic_fetch_add(&i->refs.n, 1, __ATOMIC_RELAXED);
}

void
inode_put(struct inode *i)
{
	if (i == NULL)
		return;
	if (unlikely(i->nlink == 0) && i->ops->last_user != NULL && ref_read(&i->refs) == 2)
		i->ops->last_user(i);
	if (__atomic_sub_fetch(&i->refs.n, 1, __ATOMIC_ACQ_REL) != 0)
		return;
	if (i->notify != NULL)
		notify_inode_gone(i);
	if (i->ops->evict != NULL)
		i->ops->evict(i);
	__atomic_fetch_sub(&inodes, 1, __ATOMIC_RELAXED);
	grace_free(i, inode_cache);
}

uint64_t inode_count(void) { return READ_ONCE(inodes); }

bool
in_group(const struct cred *c, uint32_t gid)
{
	if (c->fsgid == gid)
		return true;
	for (uint32_t i = 0; i < c->ngroups; i++)
		if (c->groups[i] == gid)
			return true;
	return false;
}

static bool
cred_can(const struct cred *c, unsigned cap)
{
	return (c->cap_effective >> cap & 1) != 0;
}

/* What the mode bits refuse, capabilities may allow (capabilities(7)). */
static long
capability_permission(const struct cred *c, const struct inode *i, unsigned mask)
{
	if (is_type(i, S_IFDIR)) {
		if ((mask & MAY_WRITE) == 0 && cred_can(c, CAP_DAC_READ_SEARCH))
			return 0;
		return cred_can(c, CAP_DAC_OVERRIDE) ? 0 : -EACCES;
	}
	if (mask == MAY_READ && cred_can(c, CAP_DAC_READ_SEARCH))
		return 0;
	if (((mask & MAY_EXEC) == 0 || (i->mode & 0111) != 0) && cred_can(c, CAP_DAC_OVERRIDE))
		return 0;
	return -EACCES;
}

long
inode_permission_cred(const struct cred *c, struct inode *i, unsigned mask)
{
	uint32_t mode = i->mode;

	if (i->ops->permission != NULL)
		return i->ops->permission(i, mask);
	if (c->fsuid == i->uid)
		mode >>= 6;
	else if ((mode >> 3 & 7) != (mode & 7) && in_group(c, i->gid))
		mode >>= 3;
	if ((mask & ~mode & 7) == 0)
		return 0;
	return capability_permission(c, i, mask);
}

long
inode_permission(struct inode *i, unsigned mask)
{
	if ((mask & MAY_WRITE) != 0 && (i->sb->flags & MS_RDONLY) != 0 &&
	    (is_type(i, S_IFREG) || is_type(i, S_IFDIR) || is_type(i, S_IFLNK)))
		return -EROFS;
	return inode_permission_cred(current->cred, i, mask);
}

bool
inode_owner_or_capable(struct inode *i)
{
	return current->cred->fsuid == i->uid || capable(CAP_FOWNER);
}

void
inode_stat(struct inode *i, struct kstat *k)
{
	k->ino = i->ino;
	k->dev = i->sb->dev;
	k->rdev = i->rdev;
	k->size = READ_ONCE(i->size);
	k->blocks = i->blocks;
	k->mode = i->mode;
	k->nlink = i->nlink;
	k->uid = i->uid;
	k->gid = i->gid;
	k->blksize = PAGE_SIZE;
	k->atime = i->atime;
	k->mtime = i->mtime;
	k->ctime = i->ctime;
	k->btime = i->btime;
}

static bool
time_before(const struct __kernel_timespec *a, const struct __kernel_timespec *b)
{
	return a->tv_sec < b->tv_sec || (a->tv_sec == b->tv_sec && a->tv_nsec < b->tv_nsec);
}

/* relatime: the first read after a change, and once a day. */
static bool
atime_is_old(struct file *f, const struct inode *i, const struct __kernel_timespec *now)
{
	if (f->path.mnt->flags & MS_STRICTATIME)
		return true;
	return !time_before(&i->mtime, &i->atime) || !time_before(&i->ctime, &i->atime) ||
	    now->tv_sec - i->atime.tv_sec >= 24 * 3600;
}

void
inode_touch_atime(struct file *f)
{
	struct inode *i = f->inode;
	struct __kernel_timespec now;

	if (f->path.mnt == NULL || (f->flags & O_NOATIME) != 0)
		return;
	if (((f->path.mnt->flags | i->sb->flags) & (MS_NOATIME | MS_RDONLY)) != 0)
		return;
	if (is_type(i, S_IFDIR) && (f->path.mnt->flags & MS_NODIRATIME) != 0)
		return;
	now = inode_now();
	if (atime_is_old(f, i, &now))
		i->atime = now;
}

void
inode_touch_modified(struct inode *i)
{
	i->mtime = i->ctime = inode_now();
}

bool
inode_drop_suid(struct inode *i)
{
	uint32_t drop = 0;

	if (likely((i->mode & (S_ISUID | S_ISGID)) == 0) || !is_type(i, S_IFREG) || capable(CAP_FSETID))
		return false;
	drop = i->mode & S_ISUID;
	if ((i->mode & (S_ISGID | S_IXGRP)) == (S_ISGID | S_IXGRP))
		drop |= S_ISGID;
	i->mode &= ~drop;
	return drop != 0;
}

/* Programs that run must not be written, and the other way round. */
long
inode_deny_write(struct inode *i)
{
	int32_t n = __atomic_load_n(&i->writers, __ATOMIC_RELAXED);

	do {
		if (n > 0)
			return -ETXTBSY;
	} while (!__atomic_compare_exchange_n(&i->writers, &n, n - 1, true, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED));
	return 0;
}

void
inode_allow_write(struct inode *i)
{
	__atomic_fetch_add(&i->writers, 1, __ATOMIC_RELEASE);
}

void
inode_init_cache(void)
{
	inode_cache = kcache_create("inode", sizeof(struct inode), 64);
	if (inode_cache == NULL)
		panic("no memory for inodes");
}
