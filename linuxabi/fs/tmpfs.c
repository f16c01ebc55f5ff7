/* SPDX-License-Identifier: MIT */
/*
 * tmpfs, and the root file system (ramfs: the same without a limit).  The tree
 * of dentries is the directory: a positive dentry is pinned, its place in the
 * parent's list of children is the order of the listing, and private_ is its
 * cookie, a number that rises within a directory, so that a listing goes on
 * after names were removed.  File data are the pages of the mapping.
 *
 * Locks: the directory's inode->lock for its names; pages are charged to the
 * super block without a lock.
 */
#include <linux/falloc.h>
#include <linux/xattr.h>
#include "internal.h"
#include "reclaim.h"

enum { XATTR_TOTAL_MAX = 128 * 1024 };

struct tmpfs_super {
	uint64_t max_pages;		/* 0: no limit */
	uint64_t used_pages;
	uint64_t max_inodes;
	uint64_t used_inodes;
	uint32_t mode, uid, gid;
};

struct xattr {
	struct list node;
	size_t size;
	char *value;
	char name[];
};

struct tmpfs_node {
	struct mapping mapping;
	int64_t charged;		/* pages, as the super block counts them */
	uint64_t next_cookie;		/* directory */
	struct list xattrs;		/* inode->lock */
	size_t xattr_bytes;
	char link[];			/* symbolic link */
};

static const struct inode_ops dir_inode_ops, regular_inode_ops, file_inode_ops, link_inode_ops;
static const struct file_ops dir_file_ops, file_file_ops;
static const struct mapping_ops tmpfs_mapping_ops;
static struct kcache *node_cache;
static struct mount *shmem_mount;

static struct tmpfs_super *super_of(const struct super *sb) { return sb->private_; }
static struct tmpfs_node *node_of(const struct inode *i) { return i->private_; }

bool
tmpfs_is(const struct inode *i)
{
	return i->ops == &regular_inode_ops || i->ops == &file_inode_ops || i->ops == &dir_inode_ops ||
	    i->ops == &link_inode_ops;
}

/* ---- charging ---- */

static bool
charge_page(struct tmpfs_super *s)
{
	uint64_t used = __atomic_add_fetch(&s->used_pages, 1, __ATOMIC_RELAXED);

	if (s->max_pages == 0 || used <= s->max_pages)
		return true;
	__atomic_fetch_sub(&s->used_pages, 1, __ATOMIC_RELAXED);
	return false;
}

/*
 * After pages left the mapping.  `charged` is counted up before a page enters,
 * so it may be ahead of page_count for a moment; the difference that this makes
 * here is made good by the next call, and the sum over all nodes is always what
 * the super block has.
 */
static void
charge_sync(struct inode *i)
{
	struct tmpfs_node *n = node_of(i);
	int64_t now, diff;

	spin_lock(&n->mapping.lock);
	now = (int64_t)n->mapping.page_count;
	diff = now - n->charged;
	n->charged = now;
	spin_unlock(&n->mapping.lock);
	__atomic_fetch_add(&super_of(i->sb)->used_pages, (uint64_t)diff, __ATOMIC_RELAXED);
}

enum { ROOM_SHARE = 32, ROOM_LOOKS = 64, ROOM_PATIENCE = 100 };

/*
 * Files in memory leave some of it to programs, whatever their limit: what no kill can free
 * is not worth one.  Cached pages of disks make room.
 */
static bool
memory_has_room(void)
{
	const uint64_t keep = pages_total() / ROOM_SHARE;
	unsigned patience = ROOM_PATIENCE;

	while (pages_free_count() < keep) {
		enum reclaimed r = reclaim_memory();

		if (r == RECLAIM_NOTHING || (r == RECLAIM_LATER && patience-- == 0) || signal_fatal_pending(current))
			return false;
	}
	return true;
}

/* Of memory without a file (memfd, shared areas) its user is the one to be killed, as on Linux.
 * Not each page is worth the look. */
static bool
may_grow(const struct super *sb)
{
	const struct tmpfs_super *s = super_of(sb);

	return sb == shmem_mount->sb || READ_ONCE(s->used_pages) % ROOM_LOOKS != 0 || memory_has_room();
}

static struct page *
tmpfs_get_page(struct mapping *m, uint64_t index, bool create)
{
	struct tmpfs_node *n = container_of(m, struct tmpfs_node, mapping);
	struct tmpfs_super *s = super_of(m->inode->sb);
	struct page *p = mapping_find(m, index);
	int r;

	if (p != NULL || !create)
		return p;
	if (!charge_page(s))
		return ERR_PTR(-ENOSPC);
	if (!may_grow(m->inode->sb)) {
		__atomic_fetch_sub(&s->used_pages, 1, __ATOMIC_RELAXED);
		return ERR_PTR(-ENOSPC);
	}
	p = page_alloc(PG_ZERO | PG_USER);
	if (p == NULL) {
		__atomic_fetch_sub(&s->used_pages, 1, __ATOMIC_RELAXED);
		return ERR_PTR(-ENOMEM);
	}
	spin_lock(&m->lock);
	n->charged++;
	spin_unlock(&m->lock);
	r = mapping_insert(m, index, p);
	if (r == 0)
		return p;
	page_put(p);
	charge_sync(m->inode);
	return r == -EEXIST ? tmpfs_get_page(m, index, create) : ERR_PTR(r);
}

/* A shared mapping is about to write it. */
static long
tmpfs_dirty(struct mapping *m, struct page *p)
{
	(void)p;
	inode_touch_modified(m->inode);
	return 0;
}

static const struct mapping_ops tmpfs_mapping_ops = { .get_page = tmpfs_get_page, .dirty = tmpfs_dirty };

/* ---- inodes ---- */

static struct tmpfs_node *
node_new(const char *target)
{
	struct tmpfs_node *n;
	size_t len;

	if (target == NULL)
		return kcache_zalloc(node_cache);
	len = strlen(target) + 1;
	n = kzalloc(sizeof(*n) + len + PATH_PAD);
	if (n != NULL)
		memcpy(n->link, target, len);
	return n;
}

/* A set-group-ID directory hands its group down, and directories the bit too. */
static void
inherit_group(struct inode *i, const struct inode *dir)
{
	if (dir == NULL || (dir->mode & S_ISGID) == 0)
		return;
	i->gid = dir->gid;
	if (is_type(i, S_IFDIR))
		i->mode |= S_ISGID;
	else if ((i->mode & (S_ISGID | S_IXGRP)) == (S_ISGID | S_IXGRP) &&
	    !in_group(current->cred, dir->gid) && !capable(CAP_FSETID))
		i->mode &= ~(uint32_t)S_ISGID;
}

static struct inode *
node_inode(struct super *sb, struct inode *dir, uint32_t mode, uint64_t rdev, const char *target)
{
	struct tmpfs_super *s = super_of(sb);
	struct tmpfs_node *n;
	struct inode *i;

	if (__atomic_add_fetch(&s->used_inodes, 1, __ATOMIC_RELAXED) > s->max_inodes) {
		__atomic_fetch_sub(&s->used_inodes, 1, __ATOMIC_RELAXED);
		return ERR_PTR(-ENOSPC);
	}
	n = node_new(target);
	i = n != NULL ? inode_alloc(sb, mode) : NULL;
	if (i == NULL) {
		kfree(target != NULL ? n : NULL);
		if (target == NULL && n != NULL)
			kcache_free(node_cache, n);
		__atomic_fetch_sub(&s->used_inodes, 1, __ATOMIC_RELAXED);
		return ERR_PTR(-ENOMEM);
	}
	list_init(&n->xattrs);
	i->private_ = n;
	i->rdev = rdev;
	inherit_group(i, dir);
	switch (mode & S_IFMT) {
	case S_IFDIR:
		i->ops = &dir_inode_ops;
		i->fops = &dir_file_ops;
		i->nlink = 2;
		n->next_cookie = 3;
		break;
	case S_IFLNK:
		i->ops = &link_inode_ops;
		i->link = n->link;
		i->size = strlen(target);
		break;
	case S_IFREG:
		mapping_init(&n->mapping, i, &tmpfs_mapping_ops);
		i->mapping = &n->mapping;
		i->fops = &file_file_ops;
		i->ops = &regular_inode_ops;
		break;
	default:
		i->ops = &file_inode_ops;
	}
	return i;
}

struct inode *
tmpfs_inode(struct super *sb, struct inode *dir, uint32_t mode, uint64_t rdev)
{
	return node_inode(sb, dir, mode, rdev, NULL);
}

static void
xattrs_free(struct tmpfs_node *n)
{
	struct xattr *x, *next;

	list_for_each_safe(x, next, &n->xattrs, node) {
		kfree(x->value);
		kfree(x);
	}
}

static void
tmpfs_evict(struct inode *i)
{
	struct tmpfs_node *n = node_of(i);
	struct tmpfs_super *s = super_of(i->sb);

	if (i->mapping != NULL) {
		mapping_truncate(i->mapping, 0, UINT64_MAX);
		charge_sync(i);
	}
	xattrs_free(n);
	__atomic_fetch_sub(&s->used_inodes, 1, __ATOMIC_RELAXED);
	/* A walk may be reading the link's text. */
	grace_free(n, i->link != NULL ? NULL : node_cache);
}

/* ---- names ---- */

static long
tmpfs_lookup(struct inode *dir, struct dentry *d)
{
	(void)dir, (void)d;
	return 0;		/* what is not in the cache does not exist */
}

static void
dir_changed(struct inode *dir, int entries)
{
	/* 20 bytes an entry, as Linux's tmpfs says. */
	dir->size += (uint64_t)((int64_t)entries * 20);
	dir->mtime = dir->ctime = inode_now();
}

static void
attach(struct inode *dir, struct dentry *d, struct inode *i)
{
	d->private_ = (void *)node_of(dir)->next_cookie++;
	dentry_pin(d);
	dentry_instantiate(d, i);
	dir_changed(dir, 1);
}

static long
make(struct inode *dir, struct dentry *d, uint32_t mode, uint64_t rdev, const char *target)
{
	struct inode *i = node_inode(dir->sb, dir, mode, rdev, target);

	if (IS_ERR(i))
		return PTR_ERR(i);
	attach(dir, d, i);
	return 0;
}

static long
tmpfs_create(struct inode *dir, struct dentry *d, uint32_t mode)
{
	return make(dir, d, mode, 0, NULL);
}

static long
tmpfs_mkdir(struct inode *dir, struct dentry *d, uint32_t mode)
{
	long r = make(dir, d, S_IFDIR | mode, 0, NULL);

	if (r == 0)
		dir->nlink++;
	return r;
}

static long
tmpfs_mknod(struct inode *dir, struct dentry *d, uint32_t mode, uint64_t rdev)
{
	return make(dir, d, mode, rdev, NULL);
}

static long
tmpfs_symlink(struct inode *dir, struct dentry *d, const char *target)
{
	return make(dir, d, S_IFLNK | 0777, 0, target);
}

static long
tmpfs_link(struct inode *dir, struct dentry *d, struct inode *i)
{
	inode_get(i);
	i->nlink++;
	i->ctime = inode_now();
	attach(dir, d, i);
	return 0;
}

static long
tmpfs_unlink(struct inode *dir, struct dentry *d)
{
	d->inode->nlink--;
	d->inode->ctime = inode_now();
	dir_changed(dir, -1);
	return 0;
}

static long
tmpfs_rmdir(struct inode *dir, struct dentry *d)
{
	if (!list_empty(&d->children))
		return -ENOTEMPTY;
	d->inode->nlink = 0;
	dir->nlink--;
	dir_changed(dir, -1);
	return 0;
}

/* The dentries are moved by the caller afterwards. */
static long
tmpfs_rename(struct inode *odir, struct dentry *o, struct inode *ndir, struct dentry *n, unsigned flags)
{
	bool odirectory = is_type(o->inode, S_IFDIR);
	void *cookie;

	if (flags & RENAME_EXCHANGE) {
		bool ndirectory = is_type(n->inode, S_IFDIR);

		if (odir != ndir && odirectory != ndirectory) {
			odir->nlink += ndirectory ? 1u : 0u - 1u;
			ndir->nlink += odirectory ? 1u : 0u - 1u;
		}
		n->private_ = (void *)node_of(odir)->next_cookie++;
		n->inode->ctime = inode_now();
	} else if (n->inode != NULL) {
		if (odirectory) {
			if (!list_empty(&n->children))
				return -ENOTEMPTY;
			n->inode->nlink = 0;
			ndir->nlink--;
		} else {
			n->inode->nlink--;
			n->inode->ctime = inode_now();
		}
		dir_changed(ndir, -1);
	}
	if (odirectory && odir != ndir && (flags & RENAME_EXCHANGE) == 0) {
		odir->nlink--;
		ndir->nlink++;
	}
	cookie = (void *)node_of(ndir)->next_cookie++;
	o->private_ = cookie;
	o->inode->ctime = inode_now();
	dir_changed(odir, flags & RENAME_EXCHANGE ? 0 : -1);
	dir_changed(ndir, flags & RENAME_EXCHANGE ? 0 : 1);
	return 0;
}

static long
tmpfs_tmpfile(struct inode *dir, struct dentry *d, uint32_t mode)
{
	struct inode *i = node_inode(dir->sb, dir, mode, 0, NULL);

	if (IS_ERR(i))
		return PTR_ERR(i);
	i->nlink = 0;
	d->inode = i;		/* no place in the directory */
	return 0;
}

/* ---- listing ---- */

static unsigned dt_type(const struct inode *i) { return i->mode >> 12 & 15; }

/* First child whose cookie is at least `cookie`.  The hint is where the last listing stopped. */
static struct list *
child_from(struct dentry *dir, uint64_t cookie)
{
	struct dentry *d;

	list_for_each(d, &dir->children, sibling)
		if ((uint64_t)d->private_ >= cookie)
			return &d->sibling;
	return &dir->children;
}

/* A cursor in f->private_: the dentry that comes next, with a reference. */
static struct list *
cursor_take(struct file *f, uint64_t pos)
{
	struct dentry *dir = f->path.dentry, *d = f->private_;
	struct list *at = NULL;

	f->private_ = NULL;
	if (d == NULL)
		return child_from(dir, pos);
	if ((uint64_t)d->private_ == pos && d->parent == dir && !list_empty(&d->sibling))
		at = &d->sibling;
	dentry_put(d);
	return at != NULL ? at : child_from(dir, pos);
}

static long
tmpfs_iterate(struct file *f, struct dir_context *ctx)
{
	struct dentry *dir = f->path.dentry, *d;
	struct list *at;

	if (!dir_emit_dots(f, ctx))
		return 0;
	for (at = cursor_take(f, (uint64_t)ctx->pos); at != &dir->children; at = at->next) {
		d = list_entry(at, struct dentry, sibling);
		ctx->pos = (loff_t)(uint64_t)d->private_;
		if (!ctx->emit(ctx, d->name, d->len, d->inode->ino, dt_type(d->inode))) {
			dentry_get(d);
			f->private_ = d;
			return 0;
		}
	}
	ctx->pos = (loff_t)node_of(dir->inode)->next_cookie;
	return 0;
}

static void
dir_release(struct file *f)
{
	if (f->private_ != NULL)
		dentry_put(f->private_);
}

static loff_t
dir_seek(struct file *f, loff_t off, int whence)
{
	if (whence > 1)
		return -EINVAL;
	return generic_seek(f, off, whence, 0);
}

/* ---- attributes ---- */

static long
tmpfs_setattr(struct inode *i, const struct iattr *a)
{
	if (a->valid & ATTR_SIZE) {
		long r;

		if (i->mapping == NULL)
			return -EINVAL;
		r = pagecache_truncate(i, a->size);
		if (r < 0)
			return r;
		charge_sync(i);
	}
	if (a->valid & ATTR_MODE)
		i->mode = (i->mode & S_IFMT) | (a->mode & 07777);
	if (a->valid & ATTR_UID)
		i->uid = a->uid;
	if (a->valid & ATTR_GID)
		i->gid = a->gid;
	if (a->valid & ATTR_ATIME)
		i->atime = a->atime;
	if (a->valid & ATTR_MTIME)
		i->mtime = a->mtime;
	return 0;
}

static long
tmpfs_getattr(struct inode *i, struct kstat *k)
{
	inode_stat(i, k);
	k->blocks = i->mapping->page_count * (PAGE_SIZE / 512);
	return 0;
}

static long
sync_nothing(struct file *f, bool datasync)
{
	(void)f, (void)datasync;
	return 0;
}

/* ---- fallocate ---- */

static long
punch(struct inode *i, uint64_t from, uint64_t to)
{
	uint64_t first = PAGE_UP(from), last = PAGE_DOWN(to);

	if (i->seals & (8 | 16))
		return -EPERM;
	if (first <= last) {
		struct page *p;

		if (from < first && (p = mapping_find(i->mapping, from >> PAGE_SHIFT)) != NULL) {
			memset((char *)page_virt(p) + (from & (PAGE_SIZE - 1)), 0, first - from);
			page_put(p);
		}
		if (last < to && (p = mapping_find(i->mapping, last >> PAGE_SHIFT)) != NULL) {
			memset(page_virt(p), 0, to - last);
			page_put(p);
		}
		if (first < last)
			mapping_truncate(i->mapping, first >> PAGE_SHIFT, (last >> PAGE_SHIFT) - 1);
	} else {
		struct page *p = mapping_find(i->mapping, from >> PAGE_SHIFT);

		if (p != NULL) {
			memset((char *)page_virt(p) + (from & (PAGE_SIZE - 1)), 0, to - from);
			page_put(p);
		}
	}
	charge_sync(i);
	return 0;
}

static long
preallocate(struct inode *i, uint64_t from, uint64_t to)
{
	struct tmpfs_super *s = super_of(i->sb);

	if (s->max_pages != 0 && ((to - from) >> PAGE_SHIFT) > s->max_pages)
		return -ENOSPC;
	if (s->max_pages == 0 && ((to - from) >> PAGE_SHIFT) > pages_free_count())
		return -ENOSPC;
	for (uint64_t n = from >> PAGE_SHIFT; n <= (to - 1) >> PAGE_SHIFT; n++) {
		struct page *p = tmpfs_get_page(i->mapping, n, true);

		if (IS_ERR(p))
			return PTR_ERR(p);
		page_put(p);
		if (signal_fatal_pending(current))
			return -EINTR;
		cond_resched();
	}
	return 0;
}

static long
tmpfs_fallocate(struct file *f, int mode, loff_t off, loff_t len)
{
	struct inode *i = f->inode;
	uint64_t from = (uint64_t)off, to = from + (uint64_t)len;
	long r;

	if ((mode & ~(FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE)) != 0)
		return -EOPNOTSUPP;
	mutex_lock(&i->lock);
	if (mode & FALLOC_FL_PUNCH_HOLE) {
		r = punch(i, from, to);
	} else {
		bool grows = (mode & FALLOC_FL_KEEP_SIZE) == 0 && to > i->size;

		r = 0;
		if (grows && to > rlimit(RLIMIT_FSIZE))
			r = -EFBIG;
		if (grows && (i->seals & 4) != 0)
			r = -EPERM;
		if (r == 0)
			r = preallocate(i, from, to);
		if (r == 0 && grows)
			WRITE_ONCE(i->size, to);
	}
	if (r == 0)
		inode_touch_modified(i);
	mutex_unlock(&i->lock);
	return r;
}

/* ---- extended attributes; inode->lock held ---- */

static struct xattr *
xattr_find(struct tmpfs_node *n, const char *name)
{
	struct xattr *x;

	list_for_each(x, &n->xattrs, node)
		if (strcmp(x->name, name) == 0)
			return x;
	return NULL;
}

static ssize_t
tmpfs_getxattr(struct inode *i, const char *name, void *buf, size_t size)
{
	struct xattr *x = xattr_find(node_of(i), name);

	if (x == NULL)
		return -ENODATA;
	if (size == 0)
		return (ssize_t)x->size;
	if (size < x->size)
		return -ERANGE;
	memcpy(buf, x->value, x->size);
	return (ssize_t)x->size;
}

static void
xattr_drop(struct tmpfs_node *n, struct xattr *x)
{
	list_del(&x->node);
	n->xattr_bytes -= x->size + strlen(x->name);
	kfree(x->value);
	kfree(x);
}

static long
tmpfs_setxattr(struct inode *i, const char *name, const void *value, size_t size, int flags)
{
	struct tmpfs_node *n = node_of(i);
	struct xattr *old = xattr_find(n, name), *x;
	size_t len = strlen(name);

	if (old != NULL && (flags & XATTR_CREATE))
		return -EEXIST;
	if (old == NULL && (flags & XATTR_REPLACE))
		return -ENODATA;
	if (n->xattr_bytes + size + len > XATTR_TOTAL_MAX)
		return -ENOSPC;
	x = kzalloc(sizeof(*x) + len + 1);
	if (x == NULL)
		return -ENOMEM;
	x->value = kmalloc(size + 1);
	if (x->value == NULL) {
		kfree(x);
		return -ENOMEM;
	}
	memcpy(x->value, value, size);
	memcpy(x->name, name, len + 1);
	x->size = size;
	if (old != NULL)
		xattr_drop(n, old);
	list_add_tail(&n->xattrs, &x->node);
	n->xattr_bytes += size + len;
	i->ctime = inode_now();
	return 0;
}

static long
tmpfs_removexattr(struct inode *i, const char *name)
{
	struct xattr *x = xattr_find(node_of(i), name);

	if (x == NULL)
		return -ENODATA;
	xattr_drop(node_of(i), x);
	i->ctime = inode_now();
	return 0;
}

static ssize_t
tmpfs_listxattr(struct inode *i, char *buf, size_t size)
{
	struct xattr *x;
	size_t used = 0;

	list_for_each(x, &node_of(i)->xattrs, node) {
		size_t len = strlen(x->name) + 1;

		if (strncmp(x->name, "trusted.", 8) == 0 && !capable(CAP_SYS_ADMIN))
			continue;
		if (size != 0) {
			if (used + len > size)
				return -ERANGE;
			memcpy(buf + used, x->name, len);
		}
		used += len;
	}
	return (ssize_t)used;
}

#define TMPFS_COMMON_OPS					\
	.setattr = tmpfs_setattr, .evict = tmpfs_evict,		\
	.getxattr = tmpfs_getxattr, .setxattr = tmpfs_setxattr,	\
	.listxattr = tmpfs_listxattr, .removexattr = tmpfs_removexattr

static const struct inode_ops dir_inode_ops = {
	.lookup = tmpfs_lookup, .create = tmpfs_create, .mkdir = tmpfs_mkdir, .mknod = tmpfs_mknod,
	.symlink = tmpfs_symlink, .link = tmpfs_link, .unlink = tmpfs_unlink, .rmdir = tmpfs_rmdir,
	.rename = tmpfs_rename, .tmpfile = tmpfs_tmpfile, TMPFS_COMMON_OPS,
};
static const struct inode_ops regular_inode_ops = { .getattr = tmpfs_getattr, TMPFS_COMMON_OPS };
static const struct inode_ops file_inode_ops = { TMPFS_COMMON_OPS };
static const struct inode_ops link_inode_ops = { TMPFS_COMMON_OPS };
static const struct file_ops dir_file_ops = {
	.iterate = tmpfs_iterate, .release = dir_release, .seek = dir_seek, .fsync = sync_nothing,
};
static const struct file_ops file_file_ops = {
	.read = pagecache_read, .write = pagecache_write, .seek = pagecache_seek, .fsync = sync_nothing,
	.fallocate = tmpfs_fallocate,
};

/* ---- super block ---- */

static long
tmpfs_statfs(struct super *sb, struct statfs *st)
{
	struct tmpfs_super *s = super_of(sb);
	uint64_t used = READ_ONCE(s->used_pages), inodes = READ_ONCE(s->used_inodes);

	if (s->max_pages != 0) {
		st->f_blocks = (__typeof__(st->f_blocks))s->max_pages;
		st->f_bfree = st->f_bavail = (__typeof__(st->f_bfree))(used < s->max_pages ? s->max_pages - used : 0);
		st->f_files = (__typeof__(st->f_files))s->max_inodes;
		st->f_ffree = (__typeof__(st->f_ffree))(inodes < s->max_inodes ? s->max_inodes - inodes : 0);
	}
	return 0;
}

static void
tmpfs_umount(struct super *sb)
{
	kfree(sb->private_);
}

static const struct super_ops tmpfs_super_ops = { .statfs = tmpfs_statfs, .umount = tmpfs_umount };

struct super *
tmpfs_super(struct fs_type *type, uint64_t magic, uint32_t root_mode, uint64_t max_pages)
{
	struct super *sb = super_alloc(type, magic);
	struct tmpfs_super *s = kzalloc(sizeof(*s));
	struct inode *i;

	if (sb == NULL || s == NULL)
		goto fail;
	s->max_pages = max_pages;
	/* Each inode costs the kernel about a KiB: half of memory's pages is plenty. */
	s->max_inodes = max(pages_total() / 2, (uint64_t)1024);
	sb->private_ = s;
	sb->ops = &tmpfs_super_ops;
	i = node_inode(sb, NULL, S_IFDIR | root_mode, 0, NULL);
	if (IS_ERR(i))
		goto fail;
	sb->root = dentry_root(sb, i);
	if (sb->root != NULL)
		return sb;
	inode_put(i);
fail:
	kfree(s);
	kfree(sb);
	return NULL;
}

/* size=, nr_blocks=: bytes or pages with k, m, g; size also with % of memory. */
static uint64_t
parse_size(const char **s)
{
	uint64_t v = 0;

	if (**s == '0') {		/* strtoul's octal and hexadecimal are not worth it */
		while (**s == '0')
			(*s)++;
	}
	for (; **s >= '0' && **s <= '9'; (*s)++)
		v = v * 10 + (uint64_t)(**s - '0');
	switch (**s) {
	case 'k': case 'K': (*s)++; return v << 10;
	case 'm': case 'M': (*s)++; return v << 20;
	case 'g': case 'G': (*s)++; return v << 30;
	case '%': (*s)++; return v * pages_total() / 100 * PAGE_SIZE;
	default: return v;
	}
}

static uint64_t
parse_octal(const char **s)
{
	uint64_t v = 0;

	for (; **s >= '0' && **s <= '7'; (*s)++)
		v = v * 8 + (uint64_t)(**s - '0');
	return v;
}

static long
parse_option(const char *s, size_t len, struct tmpfs_super *o)
{
	const char *v = memchr(s, '=', len), *end = s + len;
	uint64_t n;

	if (v == NULL)
		return len == 0 || (len == 6 && strncmp(s, "noswap", 6) == 0) ||
		    (len == 7 && strncmp(s, "inode64", 7) == 0) ? 0 : -EINVAL;
	v++;
	if (strncmp(s, "mpol=", 5) == 0 || strncmp(s, "huge=", 5) == 0)
		return 0;
	n = strncmp(s, "mode=", 5) == 0 ? parse_octal(&v) : parse_size(&v);
	if (v != end)
		return -EINVAL;
	if (strncmp(s, "size=", 5) == 0)
		o->max_pages = PAGE_UP(n) >> PAGE_SHIFT;
	else if (strncmp(s, "nr_blocks=", 10) == 0)
		o->max_pages = n;
	else if (strncmp(s, "nr_inodes=", 10) == 0)
		o->max_inodes = n;
	else if (strncmp(s, "mode=", 5) == 0)
		o->mode = (uint32_t)n & 07777;
	else if (strncmp(s, "uid=", 4) == 0)
		o->uid = (uint32_t)n;
	else if (strncmp(s, "gid=", 4) == 0)
		o->gid = (uint32_t)n;
	else
		return -EINVAL;
	return 0;
}

static long
parse_options(const char *s, struct tmpfs_super *o)
{
	while (s != NULL && *s != '\0') {
		const char *comma = strchr(s, ',');
		size_t len = comma != NULL ? (size_t)(comma - s) : strlen(s);
		long r = parse_option(s, len, o);

		if (r < 0)
			return r;
		s += len + (comma != NULL);
	}
	return 0;
}

static long
tmpfs_mount(struct fs_type *t, const char *source, unsigned long flags, const char *data, struct super **out)
{
	struct tmpfs_super o = { .max_pages = pages_total() / 2, .mode = 01777 };
	struct super *sb;
	long r = t == &ramfs_type ? 0 : parse_options(data, &o);

	(void)source, (void)flags;
	if (r < 0)
		return r;
	sb = tmpfs_super(t, t == &ramfs_type ? RAMFS_MAGIC : TMPFS_MAGIC, o.mode, t == &ramfs_type ? 0 : o.max_pages);
	if (sb == NULL)
		return -ENOMEM;
	if (o.max_inodes != 0)
		super_of(sb)->max_inodes = o.max_inodes;
	sb->root->inode->uid = o.uid;
	sb->root->inode->gid = o.gid;
	*out = sb;
	return 0;
}

struct fs_type tmpfs_type = { .name = "tmpfs", .flags = FS_NODEV, .mount = tmpfs_mount };
struct fs_type ramfs_type = { .name = "ramfs", .flags = FS_NODEV, .mount = tmpfs_mount };

/* ---- memory files without a name ---- */

struct file *
shmem_file_create(const char *name, uint64_t size)
{
	struct inode *i = node_inode(shmem_mount->sb, NULL, S_IFREG | 0777, 0, NULL);
	struct dentry *d;
	struct file *f;

	if (IS_ERR(i))
		return ERR_PTR(PTR_ERR(i));
	i->nlink = 0;
	i->size = size;
	i->seals = 1;		/* F_SEAL_SEAL: memfd with MFD_ALLOW_SEALING clears it */
	d = dentry_alloc_anon(shmem_mount->sb, name);
	if (d == NULL) {
		inode_put(i);
		return ERR_PTR(-ENOMEM);
	}
	d->inode = i;
	f = file_alloc(i->fops, NULL, O_RDWR | O_LARGEFILE);
	if (f == NULL) {
		dentry_put(d);
		return ERR_PTR(-ENFILE);
	}
	f->inode = i;
	mount_get(shmem_mount);
	f->path = (struct path){ shmem_mount, d };
	i->writers = 1;
	return f;
}

/* ---- trees that the kernel fills ---- */

struct super *
memfs_create(struct fs_type *type, uint64_t magic, uint32_t root_mode)
{
	return tmpfs_super(type, magic, root_mode, 0);
}

static struct dentry *
memfs_child(struct super *sb, const char *name)
{
	return lookup_name_locked(sb->root, name);
}

long
memfs_mknod(struct super *sb, const char *name, uint32_t mode, uint32_t uid, uint32_t gid, uint64_t rdev)
{
	struct inode *dir = sb->root->inode;
	struct dentry *d;
	long r;

	mutex_lock(&dir->lock);
	d = memfs_child(sb, name);
	if (IS_ERR(d)) {
		mutex_unlock(&dir->lock);
		return PTR_ERR(d);
	}
	r = -EEXIST;
	if (d->inode == NULL)
		r = is_type(&(struct inode){ .mode = mode }, S_IFDIR) ? tmpfs_mkdir(dir, d, mode & 07777)
		    : tmpfs_mknod(dir, d, mode, rdev);
	if (r == 0) {
		d->inode->uid = uid;
		d->inode->gid = gid;
	}
	mutex_unlock(&dir->lock);
	dentry_put(d);
	return r;
}

long
memfs_remove(struct super *sb, const char *name)
{
	struct inode *dir = sb->root->inode;
	struct dentry *d;
	long r = -ENOENT;

	mutex_lock(&dir->lock);
	d = memfs_child(sb, name);
	if (!IS_ERR(d) && d->inode != NULL) {
		r = is_type(d->inode, S_IFDIR) ? tmpfs_rmdir(dir, d) : tmpfs_unlink(dir, d);
		if (r == 0)
			dentry_delete(d);
	}
	mutex_unlock(&dir->lock);
	if (!IS_ERR(d))
		dentry_put(d);
	return r;
}

void
tmpfs_init(void)
{
	static struct fs_type shmem_type = { .name = "tmpfs", .flags = FS_NODEV };
	struct super *sb;

	node_cache = kcache_create("tmpfs_node", sizeof(struct tmpfs_node), 16);
	if (node_cache == NULL)
		panic("no memory for tmpfs");
	fs_register(&tmpfs_type);
	fs_register(&ramfs_type);
	sb = tmpfs_super(&shmem_type, TMPFS_MAGIC, 0777, 0);
	shmem_mount = sb != NULL ? mount_kernel(sb) : NULL;
	if (shmem_mount == NULL)
		panic("no memory for memory files");
}
