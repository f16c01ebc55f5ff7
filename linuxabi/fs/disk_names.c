/* SPDX-License-Identifier: MIT */
/*
 * Inodes, names and super blocks of file systems that a file server keeps
 * (proto/fs.h), under the names Linux has for them: ext4.
 *
 * We are the only client, so what is cached is true: attributes and names are
 * asked for once.  An inode is found by number and generation in disk->hash; an
 * inode whose pages are dirty or not yet stable is held by the flusher's list,
 * so the last reference goes only when nothing is left to be written.
 */
#include <linux/xattr.h>
#include "disk.h"
#include "reclaim.h"

static const struct inode_ops dir_ops, file_ops, special_ops;
static const struct file_ops dir_file_ops;
static struct kcache *node_cache;

static void disk_evict(struct inode *);

/* ---- requests ---- */

void
disk_request_now(struct fs_request *r)
{
	struct __kernel_timespec t = inode_now();

	r->now = (struct fs_time){ .seconds = t.tv_sec, .nanoseconds = (uint32_t)t.tv_nsec };
}

static struct __kernel_timespec
time_from(const struct fs_time *t)
{
	return (struct __kernel_timespec){ .tv_sec = t->seconds, .tv_nsec = t->nanoseconds };
}

static struct fs_time
time_to(const struct __kernel_timespec *t)
{
	return (struct fs_time){ .seconds = t->tv_sec, .nanoseconds = (uint32_t)t->tv_nsec };
}

void
disk_name_inode(struct fs_request *r, const struct disk_node *n)
{
	r->inode = n->number;
	r->generation = n->generation;
}

static struct disk_call *
call_for(struct inode *i, enum fs_op op)
{
	struct disk_call *k = disk_call_begin(disk_of(i->sb)->client, op);

	disk_name_inode(k->request, disk_node(i));
	return k;
}

/* Finish a call that may have changed inode i; the answer stays until disk_call_end. */
static long
call_finish_on(struct disk_call *k, struct inode *i)
{
	long r = disk_call_finish(k);

	if (r >= 0)
		disk_node_changed(disk_node(i), k->answer.transaction);
	return r;
}

void
disk_node_changed(struct disk_node *n, uint64_t transaction)
{
	uint64_t old = __atomic_load_n(&n->last_transaction, __ATOMIC_RELAXED);

	while (old < transaction &&
	    !__atomic_compare_exchange_n(&n->last_transaction, &old, transaction, true, __ATOMIC_RELAXED, __ATOMIC_RELAXED))
		;
}

/* ---- inodes ---- */

static struct list *
hash_list(struct disk *d, uint32_t number)
{
	return &d->hash[number * 0x9e3779b1u >> 20 & (DISK_HASH - 1)];
}

static void
attributes_take(struct inode *i, const struct fs_attributes *a)
{
	i->mode = a->mode;
	i->nlink = a->nlink;
	i->uid = a->uid;
	i->gid = a->gid;
	i->rdev = a->rdev;
	i->blocks = a->blocks;
	i->atime = time_from(&a->atime);
	i->mtime = time_from(&a->mtime);
	i->ctime = time_from(&a->ctime);
	i->btime = time_from(&a->btime);
}

void
disk_node_update(struct disk_node *n, const struct fs_answer *a)
{
	uint64_t size = n->server.size;

	if (a->attributes.inode != n->number)
		return;

	n->server = a->attributes;
	n->server.size = size;
	disk_node_blocks(n);
	disk_node_changed(n, a->transaction);
}

static void
inode_kind(struct inode *i)
{
	struct disk_node *n = disk_node(i);

	switch (i->mode & S_IFMT) {
	case S_IFDIR:
		i->ops = &dir_ops;
		i->fops = &dir_file_ops;
		break;
	case S_IFREG:
		i->ops = &file_ops;
		i->fops = &disk_file_ops;
		mapping_init(&n->mapping, i, &disk_mapping_ops);
		i->mapping = &n->mapping;
		break;
	default:
		i->ops = &special_ops;
	}
}

static struct inode *
inode_new(struct super *sb, const struct fs_attributes *a)
{
	struct disk_node *n = kcache_zalloc(node_cache);
	struct inode *i = n != NULL ? inode_alloc(sb, a->mode) : NULL;

	if (i == NULL) {
		if (n != NULL)
			kcache_free(node_cache, n);
		return NULL;
	}
	n->inode = i;
	n->number = a->inode;
	n->generation = a->generation;
	n->server = *a;
	n->written = 1;			/* maybe, before it left the cache: the first fsync asks the server */
	mutex_init(&n->flush, 25);
	list_init(&n->dirty);
	list_init(&n->on_held);
	i->private_ = n;
	i->ino = a->inode;
	attributes_take(i, a);
	i->size = a->size;
	inode_kind(i);
	return i;
}

/* The text of a link is asked for once: walks without locks read it. */
static long
link_load(struct inode *i, const char *known)
{
	struct disk_node *n = disk_node(i);
	struct disk_call *k = NULL;
	size_t len;
	long r;

	if (known != NULL) {
		len = strlen(known);
	} else {
		k = call_for(i, FS_READLINK);
		r = disk_call_finish(k);
		if (r < 0 || r >= FS_SLOT_BYTES) {
			disk_call_end(k);
			return r < 0 ? r : -EUCLEAN;
		}
		known = (const char *)k->page;
		len = (size_t)r;
	}
	n->link = kzalloc(len + 1 + PATH_PAD);
	if (n->link != NULL) {
		memcpy(n->link, known, len);
		i->link = n->link;
	}
	if (k != NULL)
		disk_call_end(k);
	return n->link != NULL ? 0 : -ENOMEM;
}

static struct inode *
hash_find(struct disk *d, const struct fs_attributes *a)
{
	struct inode *i;

	list_for_each(i, hash_list(d, a->inode), hash)
		if (disk_node(i)->number == a->inode && disk_node(i)->generation == a->generation &&
		    ref_get_unless_zero(&i->refs))
			return i;
	return NULL;
}

/* The inode that the attributes are of, with a reference; made if it is not there. */
static struct inode *
inode_for(struct super *sb, const struct fs_attributes *a, const char *target)
{
	struct disk *d = disk_of(sb);
	struct inode *i, *other;
	long r;

	spin_lock(&d->lock);
	i = hash_find(d, a);
	spin_unlock(&d->lock);
	if (i != NULL)
		return i;
	i = inode_new(sb, a);
	if (i == NULL)
		return ERR_PTR(-ENOMEM);
	r = is_type(i, S_IFLNK) ? link_load(i, target) : 0;
	spin_lock(&d->lock);
	other = r == 0 ? hash_find(d, a) : NULL;
	if (r == 0 && other == NULL)
		list_add(hash_list(d, a->inode), &i->hash);
	spin_unlock(&d->lock);
	if (r == 0 && other == NULL)
		return i;
	/* Two names of one inode were looked up at once, or there is no memory. */
	i->nlink = 1;
	inode_put(i);
	return r < 0 ? ERR_PTR(r) : other;
}

struct inode *
disk_inode_next(struct disk *d, unsigned *bucket, struct inode *after)
{
	struct inode *i = NULL;

	spin_lock(&d->lock);
	if (after != NULL && !list_empty(&after->hash)) {
		struct list *at = after->hash.next;

		for (; at != &d->hash[*bucket]; at = at->next) {
			i = list_entry(at, struct inode, hash);
			if (ref_get_unless_zero(&i->refs))
				goto out;
		}
		(*bucket)++;
	} else if (after != NULL) {
		(*bucket)++;
	}
	for (; *bucket < DISK_HASH; (*bucket)++)
		list_for_each(i, &d->hash[*bucket], hash)
			if (ref_get_unless_zero(&i->refs))
				goto out;
	i = NULL;
out:
	spin_unlock(&d->lock);
	if (after != NULL)
		inode_put(after);
	return i;
}

static bool
time_differs(const struct __kernel_timespec *t, const struct fs_time *s)
{
	return t->tv_sec != s->seconds || (uint32_t)t->tv_nsec != s->nanoseconds;
}

/* What we changed and the server does not know: relatime's stamps, bits that a write took away. */
static unsigned
attributes_differ(const struct inode *i)
{
	const struct fs_attributes *s = &disk_node(i)->server;

	return (i->mode != s->mode ? FS_SET_MODE : 0u) | (time_differs(&i->atime, &s->atime) ? FS_SET_ATIME : 0u) |
	    (time_differs(&i->mtime, &s->mtime) && is_type(i, S_IFREG) ? FS_SET_MTIME : 0u);
}

long
disk_push_attributes(struct inode *i)
{
	unsigned what = attributes_differ(i);
	struct disk_call *k;
	long r;

	if (what == 0 || (i->sb->flags & MS_RDONLY) != 0)
		return 0;
	k = call_for(i, FS_SETATTR);
	k->request->valid = what;
	k->request->mode = i->mode;
	k->request->atime = time_to(&i->atime);
	k->request->mtime = time_to(&i->mtime);
	r = call_finish_on(k, i);
	if (r >= 0)
		disk_node_update(disk_node(i), &k->answer);
	disk_call_end(k);
	return r < 0 ? r : 0;
}

/* The last reference is gone: nothing is dirty, or nobody wants it any more. */
static void
disk_evict(struct inode *i)
{
	struct disk_node *n = disk_node(i);
	struct disk *d = disk_of(i->sb);
	bool known = !list_empty(&i->hash);

	spin_lock(&d->lock);
	list_del(&i->hash);
	spin_unlock(&d->lock);
	if (i->mapping != NULL)
		mapping_truncate(i->mapping, 0, UINT64_MAX);
	if (known && i->nlink == 0) {
		struct disk_call *k = call_for(i, FS_EVICT);

		k->done = disk_call_detach;
		disk_call_start(k);
	} else if (known) {
		/* Waited for: a later change must not be overtaken by this one. */
		disk_push_attributes(i);
	}
	disk_dir_forget(n);
	grace_free(n->link, NULL);
	grace_free(n, node_cache);
}

/* ---- names; the directory is locked ---- */

static long
disk_lookup(struct inode *dir, struct dentry *d)
{
	struct fs_attributes a;
	struct disk_call *k;
	struct inode *i;
	long r;

	if (disk_dir_lacks(dir, d))
		return 0;
	k = call_for(dir, FS_LOOKUP);
	disk_call_name(k, d->name);
	r = disk_call_finish(k);
	a = k->answer.attributes;
	disk_call_end(k);
	if (r == -ENOENT)
		return 0;
	if (r < 0)
		return r;
	i = inode_for(dir->sb, &a, NULL);
	if (IS_ERR(i))
		return PTR_ERR(i);
	dentry_instantiate(d, i);
	return 0;
}

static void
dir_changed(struct inode *dir)
{
	dir->mtime = dir->ctime = inode_now();
	disk_node(dir)->server.mtime = time_to(&dir->mtime);
	disk_node(dir)->stale = true;
}

/* A set-group-ID directory hands its group down, and directories the bit too. */
static void
owner_of_new(struct fs_request *q, const struct inode *dir, uint32_t mode)
{
	q->mode = mode;
	q->uid = current->cred->fsuid;
	q->gid = current->cred->fsgid;
	if ((dir->mode & S_ISGID) == 0)
		return;
	q->gid = dir->gid;
	if ((mode & S_IFMT) == S_IFDIR)
		q->mode |= S_ISGID;
	else if ((mode & (S_ISGID | S_IXGRP)) == (S_ISGID | S_IXGRP) && !in_group(current->cred, dir->gid) &&
	    !capable(CAP_FSETID))
		q->mode &= ~(uint32_t)S_ISGID;
}

/* *cookie: of the name.  On an error all that is known is that the name may be there or not. */
static struct inode *
make(struct inode *dir, const char *name, uint32_t mode, uint64_t rdev, const char *target, uint64_t *cookie)
{
	struct disk_call *k = call_for(dir, FS_CREATE);
	struct fs_attributes a;
	struct inode *i;
	long r;

	owner_of_new(k->request, dir, mode);
	k->request->rdev = rdev;
	disk_call_name(k, name);
	if (target != NULL)
		disk_call_name(k, target);
	r = call_finish_on(k, dir);
	a = k->answer.attributes;
	*cookie = k->answer.made;
	if (r < 0) {
		disk_call_end(k);
		return ERR_PTR(r);
	}
	i = inode_for(dir->sb, &a, target);
	if (!IS_ERR(i))
		disk_node_changed(disk_node(i), k->answer.transaction);
	disk_call_end(k);
	return i;
}

static long
make_name(struct inode *dir, struct dentry *d, uint32_t mode, uint64_t rdev, const char *target)
{
	uint64_t cookie;
	struct inode *i = make(dir, d->name, mode, rdev, target, &cookie);

	if (IS_ERR(i)) {
		disk_dir_forget(disk_node(dir));
		/* It may have been made, and only we had no memory: let it be asked for. */
		if (PTR_ERR(i) == -ENOMEM)
			dentry_drop(d);
		return PTR_ERR(i);
	}
	if (is_type(i, S_IFDIR))
		disk_dir_new(i);
	disk_dir_made(dir, d, i, cookie);
	dentry_instantiate(d, i);
	dir_changed(dir);
	return 0;
}

static long
disk_create(struct inode *dir, struct dentry *d, uint32_t mode)
{
	return make_name(dir, d, mode, 0, NULL);
}

static long
disk_mkdir(struct inode *dir, struct dentry *d, uint32_t mode)
{
	long r = make_name(dir, d, S_IFDIR | mode, 0, NULL);

	if (r == 0)
		dir->nlink++;
	return r;
}

static long
disk_mknod(struct inode *dir, struct dentry *d, uint32_t mode, uint64_t rdev)
{
	return make_name(dir, d, mode, rdev, NULL);
}

static long
disk_symlink(struct inode *dir, struct dentry *d, const char *target)
{
	return strlen(d->name) + strlen(target) + 2 > FS_SLOT_BYTES ? -ENAMETOOLONG
	    : make_name(dir, d, S_IFLNK | 0777, 0, target);
}

static long
disk_tmpfile(struct inode *dir, struct dentry *d, uint32_t mode)
{
	uint64_t none;
	struct inode *i = make(dir, "", mode, 0, NULL, &none);

	if (IS_ERR(i))
		return PTR_ERR(i);
	i->nlink = 0;
	d->inode = i;		/* no place in the directory */
	return 0;
}

static long
disk_link(struct inode *dir, struct dentry *d, struct inode *i)
{
	struct disk_call *k = call_for(dir, FS_LINK);
	uint64_t cookie;
	long r;

	k->request->inode2 = disk_node(i)->number;
	k->request->generation2 = disk_node(i)->generation;
	disk_call_name(k, d->name);
	r = call_finish_on(k, dir);
	if (r >= 0) {
		i->nlink = k->answer.attributes.nlink;
		i->ctime = time_from(&k->answer.attributes.ctime);
		disk_node_changed(disk_node(i), k->answer.transaction);
		inode_get(i);
		dentry_instantiate(d, i);
		dir_changed(dir);
	}
	cookie = k->answer.made;
	disk_call_end(k);
	if (r < 0)
		disk_dir_forget(disk_node(dir));
	else
		disk_dir_made(dir, d, i, cookie);
	return r < 0 ? r : 0;
}

/* An inode lost a name. */
static void
name_lost(struct inode *i, const struct fs_answer *a)
{
	i->nlink = a->attributes.nlink;
	i->ctime = inode_now();
	disk_node_changed(disk_node(i), a->transaction);
}

static long
remove_name(struct inode *dir, struct dentry *d, enum fs_op op)
{
	struct disk_call *k = call_for(dir, op);
	uint64_t cookie;
	long r;

	disk_call_name(k, d->name);
	WRITE_ONCE(disk_node(d->inode)->losing, true);
	r = call_finish_on(k, dir);
	WRITE_ONCE(disk_node(d->inode)->losing, false);
	if (r >= 0) {
		name_lost(d->inode, &k->answer);
		dir_changed(dir);
	}
	cookie = k->answer.gone;
	disk_call_end(k);
	if (r >= 0)
		disk_dir_gone(dir, d, cookie);
	else if (r != -ENOTEMPTY)
		disk_dir_forget(disk_node(dir));
	return r < 0 ? r : 0;
}

static long disk_unlink(struct inode *dir, struct dentry *d) { return remove_name(dir, d, FS_UNLINK); }

static long
disk_rmdir(struct inode *dir, struct dentry *d)
{
	long r = remove_name(dir, d, FS_RMDIR);

	if (r == 0) {
		d->inode->nlink = 0;
		dir->nlink--;
	}
	return r;
}

/* The link counts of two directories between which directories moved. */
static void
links_moved(struct inode *odir, const struct dentry *o, struct inode *ndir, const struct dentry *n, unsigned flags)
{
	bool from = is_type(o->inode, S_IFDIR), to = n->inode != NULL && is_type(n->inode, S_IFDIR);

	if (flags & RENAME_EXCHANGE) {
		if (odir != ndir && from != to) {
			odir->nlink += to ? 1u : 0u - 1u;
			ndir->nlink += from ? 1u : 0u - 1u;
		}
		return;
	}
	if (to)
		ndir->nlink--;
	if (from && odir != ndir) {
		odir->nlink--;
		ndir->nlink++;
	}
}

/* What both directories list after a rename that was answered so. */
static void
listings_moved(struct inode *odir, const struct dentry *o, struct inode *ndir, const struct dentry *n, unsigned flags,
    uint64_t made, uint64_t gone)
{
	if (flags & RENAME_EXCHANGE)
		disk_dir_replaced(odir, o, n->inode, gone);
	else
		disk_dir_gone(odir, o, gone);
	if (n->inode != NULL)
		disk_dir_replaced(ndir, n, o->inode, made);
	else
		disk_dir_made(ndir, n, o->inode, made);
}

static long
disk_rename(struct inode *odir, struct dentry *o, struct inode *ndir, struct dentry *n, unsigned flags)
{
	struct disk_call *k = call_for(odir, FS_RENAME);
	uint64_t made, gone;
	long r;

	k->request->inode2 = disk_node(ndir)->number;
	k->request->generation2 = disk_node(ndir)->generation;
	k->request->flags = flags;
	disk_call_name(k, o->name);
	disk_call_name(k, n->name);
	if (n->inode != NULL)
		WRITE_ONCE(disk_node(n->inode)->losing, true);
	r = call_finish_on(k, odir);
	if (n->inode != NULL)
		WRITE_ONCE(disk_node(n->inode)->losing, false);
	if (r >= 0) {
		disk_node_changed(disk_node(ndir), k->answer.transaction);
		disk_node_changed(disk_node(o->inode), k->answer.transaction);
		links_moved(odir, o, ndir, n, flags);
		if (n->inode != NULL && (flags & RENAME_EXCHANGE) == 0) {
			name_lost(n->inode, &k->answer);
			if (is_type(n->inode, S_IFDIR))
				n->inode->nlink = 0;
		} else if (n->inode != NULL) {
			n->inode->ctime = inode_now();
		}
		o->inode->ctime = inode_now();
		dir_changed(odir);
		dir_changed(ndir);
	}
	made = k->answer.made;
	gone = k->answer.gone;
	disk_call_end(k);
	if (r >= 0) {
		listings_moved(odir, o, ndir, n, flags, made, gone);
	} else if (r != -ENOTEMPTY) {
		disk_dir_forget(disk_node(odir));
		disk_dir_forget(disk_node(ndir));
	}
	return r < 0 ? r : 0;
}

static loff_t
dir_seek(struct file *f, loff_t off, int whence)
{
	return whence > 1 ? -EINVAL : generic_seek(f, off, whence, 0);
}

/* ---- attributes ---- */

static long
disk_getattr(struct inode *i, struct kstat *out)
{
	struct disk_node *n = disk_node(i);

	if (n->stale) {
		struct disk_call *k = call_for(i, FS_GETATTR);

		n->stale = false;
		if (disk_call_finish(k) >= 0 && k->answer.attributes.inode == n->number) {
			i->size = k->answer.attributes.size;
			i->blocks = n->server.blocks = k->answer.attributes.blocks;
			n->server.size = i->size;
		}
		disk_call_end(k);
	}
	inode_stat(i, out);
	return 0;
}

static long
setattr_rest(struct inode *i, const struct iattr *a)
{
	struct disk_call *k;
	unsigned what = (a->valid & ATTR_MODE ? FS_SET_MODE : 0u) | (a->valid & ATTR_UID ? FS_SET_UID : 0u) |
	    (a->valid & ATTR_GID ? FS_SET_GID : 0u) | (a->valid & ATTR_ATIME ? FS_SET_ATIME : 0u) |
	    (a->valid & ATTR_MTIME ? FS_SET_MTIME : 0u);
	long r;

	if (what == 0)
		return 0;
	k = call_for(i, FS_SETATTR);
	k->request->valid = what | FS_SET_CTIME;
	k->request->mode = (i->mode & S_IFMT) | (a->mode & 07777);
	k->request->uid = a->uid;
	k->request->gid = a->gid;
	k->request->atime = time_to(&a->atime);
	k->request->mtime = time_to(&a->mtime);
	r = call_finish_on(k, i);
	if (r >= 0) {
		disk_node_update(disk_node(i), &k->answer);
		if (what & FS_SET_MODE)
			i->mode = k->request->mode;
		if (what & FS_SET_UID)
			i->uid = a->uid;
		if (what & FS_SET_GID)
			i->gid = a->gid;
		if (what & FS_SET_ATIME)
			i->atime = a->atime;
		if (what & FS_SET_MTIME)
			i->mtime = a->mtime;
	}
	disk_call_end(k);
	return r < 0 ? r : 0;
}

static long
disk_setattr(struct inode *i, const struct iattr *a)
{
	if (a->valid & ATTR_SIZE) {
		long r = i->mapping == NULL ? -EINVAL : disk_set_size(i, a->size);

		if (r < 0)
			return r;
	}
	return setattr_rest(i, a);
}

/* ---- extended attributes ---- */

static ssize_t
disk_getxattr(struct inode *i, const char *name, void *buf, size_t size)
{
	struct disk_call *k = call_for(i, FS_GETXATTR);
	long r;

	disk_call_name(k, name);
	r = disk_call_finish(k);
	if (r > FS_SLOT_BYTES)
		r = -EUCLEAN;
	if (r > 0 && size != 0) {
		if ((size_t)r > size)
			r = -ERANGE;
		else
			memcpy(buf, k->page, (size_t)r);
	}
	disk_call_end(k);
	return r;
}

static long
disk_setxattr(struct inode *i, const char *name, const void *value, size_t size, int flags)
{
	struct disk_call *k;
	long r;

	if (strlen(name) + 1 + size > FS_SLOT_BYTES)
		return -ENOSPC;		/* what ext4 says without ea_inode */
	k = call_for(i, FS_SETXATTR);
	k->request->flags = (uint32_t)flags;
	k->request->length = size;
	disk_call_name(k, name);
	disk_call_part(k, value, size);
	r = call_finish_on(k, i);
	disk_call_end(k);
	if (r >= 0)
		i->ctime = inode_now();
	return r < 0 ? r : 0;
}

static long
disk_removexattr(struct inode *i, const char *name)
{
	struct disk_call *k = call_for(i, FS_REMOVEXATTR);
	long r;

	disk_call_name(k, name);
	r = call_finish_on(k, i);
	disk_call_end(k);
	if (r >= 0)
		i->ctime = inode_now();
	return r < 0 ? r : 0;
}

/* Names that a caller may not even know of are left out. */
static ssize_t
disk_listxattr(struct inode *i, char *buf, size_t size)
{
	struct disk_call *k = call_for(i, FS_LISTXATTR);
	long r = disk_call_finish(k);
	size_t used = 0;

	if (r > FS_SLOT_BYTES || (r > 0 && k->page[r - 1] != '\0'))
		r = -EUCLEAN;
	for (long at = 0; at < r; ) {
		const char *name = (const char *)k->page + at;
		size_t len = strlen(name) + 1;

		at += (long)len;
		if (strncmp(name, "trusted.", 8) == 0 && !capable(CAP_SYS_ADMIN))
			continue;
		if (size != 0 && used + len > size) {
			disk_call_end(k);
			return -ERANGE;
		}
		if (size != 0)
			memcpy(buf + used, name, len);
		used += len;
	}
	disk_call_end(k);
	return r < 0 ? r : (ssize_t)used;
}

#define COMMON_OPS							\
	.setattr = disk_setattr, .evict = disk_evict,			\
	.getxattr = disk_getxattr, .setxattr = disk_setxattr,		\
	.listxattr = disk_listxattr, .removexattr = disk_removexattr

static const struct inode_ops dir_ops = {
	.lookup = disk_lookup, .create = disk_create, .mkdir = disk_mkdir, .mknod = disk_mknod,
	.symlink = disk_symlink, .link = disk_link, .unlink = disk_unlink, .rmdir = disk_rmdir,
	.rename = disk_rename, .tmpfile = disk_tmpfile, .getattr = disk_getattr, COMMON_OPS,
};
static const struct inode_ops file_ops = { .last_user = disk_last_user, COMMON_OPS };
static const struct inode_ops special_ops = { COMMON_OPS };
static const struct file_ops dir_file_ops = {
	.iterate = disk_iterate, .seek = dir_seek, .fsync = disk_fsync, .ioctl = disk_ioctl,
};

/* ---- super block ---- */

static long
disk_statfs(struct super *sb, struct statfs *st)
{
	struct disk *d = disk_of(sb);
	struct disk_call *k = disk_call_begin(d->client, FS_STATFS);
	long r = disk_call_finish(k);

	if (r >= 0) {
		const struct fs_statfs *s = (const struct fs_statfs *)(const void *)k->page;
		uint64_t id[2];

		memcpy(id, s->uuid, sizeof(id));
		st->f_bsize = s->block_size;
		st->f_frsize = s->block_size;
		st->f_blocks = (__typeof__(st->f_blocks))s->blocks;
		/* What we have set aside and not promised to a page is free. */
		st->f_bfree = (__typeof__(st->f_bfree))(s->free + READ_ONCE(d->pool));
		st->f_bavail = (__typeof__(st->f_bavail))(s->available + READ_ONCE(d->pool));
		st->f_files = (__typeof__(st->f_files))s->inodes;
		st->f_ffree = (__typeof__(st->f_ffree))s->inodes_free;
		st->f_namelen = s->name_length;
		st->f_fsid.val[0] = (int)(id[0] ^ id[1]);
		st->f_fsid.val[1] = (int)((id[0] ^ id[1]) >> 32);
	}
	disk_call_end(k);
	return r < 0 ? r : 0;
}

static bool
has_writers(struct disk *d)
{
	struct inode *i = NULL;
	unsigned bucket = 0;
	bool found = false;

	while ((i = disk_inode_next(d, &bucket, i)) != NULL)
		if (is_type(i, S_IFREG) && READ_ONCE(i->writers) > 0)
			found = true;
	return found;
}

static void
set_options(struct fs_request *q, const struct disk_options *o, bool read_only)
{
	q->flags |= disk_options_flags(o) | (read_only ? FS_MOUNT_READONLY : 0);
	q->length = o->commit;
}

static long
remount_call(struct disk *d, const struct disk_options *o, bool read_only)
{
	struct disk_call *k = disk_call_begin(d->client, FS_REMOUNT);
	long r;

	set_options(k->request, o, read_only);
	r = disk_call_finish(k);
	disk_call_end(k);
	return r;
}

static long
disk_remount(struct super *sb, unsigned long flags, const char *data)
{
	struct disk *d = disk_of(sb);
	bool now = (sb->flags & MS_RDONLY) != 0, wanted = (flags & MS_RDONLY) != 0;
	struct disk_options o = d->options;
	long r = disk_options_parse(&o, data);

	if (r != 0)
		return r;
	if (!now && wanted && has_writers(d))
		return -EBUSY;
	if (!now && wanted) {
		r = disk_sync(sb);
		if (r < 0)
			return r;
	}
	r = remount_call(d, &o, wanted);
	if (r >= 0)
		d->options = o;
	return r < 0 ? r : 0;
}

static void
disk_show_options(struct super *sb, char *to, size_t size)
{
	disk_options_text(&disk_of(sb)->options, to, size);
}

/* Power goes off: whatever is open, all is written and the file system is clean. */
static void
disk_shutdown(struct super *sb)
{
	struct disk *d = disk_of(sb);

	if ((sb->flags & MS_RDONLY) != 0)
		return;
	disk_sync(sb);
	if (remount_call(d, &d->options, true) < 0)
		klog(LOG_WARNING, "ext4: the file system could not be made read-only");
	sb->flags |= MS_RDONLY;
}

/* Before the last dentries go: nothing may hold an inode. */
static void
disk_quiesce(struct super *sb)
{
	struct disk *d = disk_of(sb);

	disk_sync(sb);
	disk_flusher_stop(d);
	disk_settle(d);
}

/* By channel.  mounted_lock: a super block there is looked at only while it is there. */
static struct disk_client *clients[WORLD_MAX_CHANNELS];
static struct super *mounted[WORLD_MAX_CHANNELS];
static struct mutex mount_lock = MUTEX_INIT(mount_lock, 12);
static spinlock_t mounted_lock = SPINLOCK_INIT(50);

static const char *server_name(int n) { return io_channel((unsigned)n)->peer; }

/* The server has no mount any more, and nothing of the disk from here on. */
static void
dev_give(struct disk_client *c)
{
	if (c->dev == NULL)
		return;
	disk_dev_give(c->dev, c, server_name(c->number));
	c->dev = NULL;
}

static void
disk_umount(struct super *sb)
{
	struct disk *d = disk_of(sb);
	struct disk_client *c = d->client;
	long r;

	spin_lock(&mounted_lock);
	mounted[c->number] = NULL;
	spin_unlock(&mounted_lock);
	if (c->dev == NULL && io_root_part() != NULL)
		disk_unmounted(io_root_part(), sb);
	reclaim_barrier();
	disk_client_drain(c);
	/* The watcher is still there: if the server dies, the next one is asked. */
	WRITE_ONCE(c->unmounting, true);
	r = disk_simple(c, FS_UNMOUNT, 0);
	disk_watcher_stop(d);
	if (r < 0)
		klog(LOG_WARNING, "ext4: the file server does not unmount: error %ld", -r);
	dev_give(c);
	WRITE_ONCE(c->mounted, false);
	kfree(d);
}

static const struct super_ops disk_super_ops = {
	.statfs = disk_statfs, .sync = disk_sync, .umount = disk_umount, .remount = disk_remount,
	.shutdown = disk_shutdown, .quiesce = disk_quiesce, .show_options = disk_show_options,
};

/* ---- mount ---- */

static void
guid_text(const uint8_t *g, char text[37])
{
	static const uint8_t order[16] = { 3, 2, 1, 0, 5, 4, 7, 6, 8, 9, 10, 11, 12, 13, 14, 15 };
	char *p = text;

	for (unsigned i = 0; i < 16; i++) {
		if (i == 4 || i == 6 || i == 8 || i == 10)
			*p++ = '-';
		p += ksnprintf(p, 3, "%02x", g[order[i]]);
	}
	*p = '\0';
}

static bool
same_text(const char *a, const char *b)
{
	for (; *a != '\0' && *b != '\0'; a++, b++) {
		char x = *a >= 'A' && *a <= 'Z' ? (char)(*a + 32) : *a;

		if (x != *b)
			return false;
	}
	return *a == *b;
}

/* Does its server reach what we say, or what system.conf says? */
static bool is_bound(int n) { return (io_channel((unsigned)n)->flags & WORLD_CHANNEL_BOUND) != 0; }

static int
root_channel(void)
{
	int n = -1;

	while ((n = io_channel_find((unsigned)(n + 1), CHANNEL_FS, NULL)) >= 0 && is_bound(n))
		;
	return n;
}

/*
 * The channel behind a name: /dev/<channel> and the channel's name itself; for the
 * file system of the root partition also /dev/root, PARTUUID=… and the node of that
 * partition, whatever disk it is on (devices that are block channels know their GUID).
 */
static int
channel_for(const char *source)
{
	const uint8_t *root = io_root_part();
	char guid[37];
	int n;

	if (source == NULL)
		return -ENOENT;
	if (strncmp(source, "/dev/", 5) == 0)
		source += 5;
	n = io_channel_find(0, CHANNEL_FS, source);
	if (n >= 0 && !is_bound(n))
		return n;
	n = root_channel();
	if (n < 0 || root == NULL)
		return -ENOENT;
	guid_text(root, guid);
	if (strncmp(source, "PARTUUID=", 9) == 0)
		return same_text(source + 9, guid) ? n : -ENOENT;
	if (strncmp(source, "disk/by-partuuid/", 17) == 0)
		return same_text(source + 17, guid) ? n : -ENOENT;
	if (strcmp(source, "root") == 0)
		return n;
	return disk_is_root_partition(source, root) ? n : -ENOENT;
}

static long
mount_call(struct disk *d, unsigned long flags, struct fs_attributes *root)
{
	struct disk_call *k = disk_call_recovery(d->client, FS_MOUNT);	/* its death is told, not waited out */
	long r;

	set_options(k->request, &d->options, (flags & MS_RDONLY) != 0);
	if (d->client->dev != NULL)
		k->request->flags |= FS_MOUNT_NO_GROW;	/* only root grows by itself */
	r = disk_call_finish(k);
	*root = k->answer.attributes;
	disk_call_end(k);
	return r < 0 ? r : 0;
}

static struct disk *
disk_new(struct super *sb, struct disk_client *c)
{
	struct disk *d = kzalloc(sizeof(*d));

	if (d == NULL)
		return NULL;
	d->client = c;
	d->sb = sb;
	spin_init(&d->lock, 55);
	for (unsigned i = 0; i < DISK_HASH; i++)
		list_init(&d->hash[i]);
	list_init(&d->held);
	waitq_init(&d->flusher_wait);
	waitq_init(&d->throttle_wait);
	return d;
}

static void
super_fill(struct super *sb, struct disk *d)
{
	uint32_t block = d->client->channel->block_size;

	d->page_blocks = block >= 512 && block < PAGE_SIZE ? PAGE_SIZE / block : 1;
	d->client->disk = d;
	d->client->recover = disk_recover;
	sb->private_ = d;
	sb->ops = &disk_super_ops;
}

static long
mount_new_super(struct fs_type *t, struct disk_client *c, unsigned long flags, const struct disk_options *options, struct super **out)
{
	struct super *sb = super_alloc(t, EXT4_SUPER_MAGIC);
	struct disk *d = sb != NULL ? disk_new(sb, c) : NULL;
	struct fs_attributes a;
	struct disk_call *k;
	struct inode *root;
	long r = -ENOMEM;

	if (d == NULL)
		goto fail;
	c->mounted = true;
	d->options = *options;
	r = mount_call(d, flags, &a);
	c->mounted = r == 0;
	if (r < 0)
		goto fail;
	super_fill(sb, d);
	if (c->channel->read_only)
		sb->flags |= MS_RDONLY;
	root = inode_for(sb, &a, NULL);
	r = IS_ERR(root) ? PTR_ERR(root) : 0;
	if (r == 0) {
		sb->root = dentry_root(sb, root);
		r = sb->root != NULL && disk_flusher_start(d) ? 0 : -ENOMEM;
	}
	if (r == 0) {
		*out = sb;
		return 0;
	}
	if (sb->root != NULL)
		dentry_kill_super(sb);
	else if (!IS_ERR(root))
		inode_put(root);
	grace_flush();
	/* The tasks, if any, were stopped by who failed: nobody would tell a new server. */
	k = disk_call_recovery(c, FS_UNMOUNT);
	disk_call_finish(k);
	disk_call_end(k);
	c->mounted = false;
fail:
	kfree(d);
	kfree(sb);
	return r;
}

enum { MOUNT_WAIT_S = 30 };	/* until the server has its disk */

/* What the channel has mounted, with a reference, or NULL. */
static struct super *
mounted_get(int n)
{
	struct super *sb;

	spin_lock(&mounted_lock);
	sb = mounted[n];
	if (sb != NULL && !ref_get_unless_zero(&sb->refs))
		sb = NULL;
	spin_unlock(&mounted_lock);
	return sb;
}

/* One file system, wherever it is seen; but not read-only here and writable there. */
static long
mount_shared(struct super *sb, unsigned long flags, struct super **out)
{
	if (((flags ^ sb->flags) & MS_RDONLY) != 0) {
		super_put(sb);
		return -EBUSY;
	}
	*out = sb;
	return 0;
}

static long
mount_locked(struct fs_type *t, int n, unsigned long flags, const struct disk_options *options, struct super **out)
{
	struct super *sb = mounted_get(n);
	uint64_t deadline;
	long r;

	if (sb != NULL)
		return mount_shared(sb, flags, out);
	if (clients[n] == NULL)
		clients[n] = disk_client_create(n);
	if (clients[n] == NULL)
		return -ENXIO;
	if (READ_ONCE(clients[n]->mounted))
		return -EBUSY;		/* its last user is just leaving */
	deadline = clock_monotonic() + MOUNT_WAIT_S * 1000000000UL;
	do {
		r = disk_client_ready(clients[n], deadline);
		if (r == 0)
			r = mount_new_super(t, clients[n], flags, options, &sb);
	} while (r == -EAGAIN);		/* the server died: the next one mounts */
	if (r == 0) {
		*out = mounted[n] = sb;
		if (clients[n]->dev == NULL && io_root_part() != NULL)
			disk_mounted(io_root_part(), sb);
	}
	return r == -ETIMEDOUT ? -ENXIO : r;
}

/* ---- devices: a server that is free gets one ---- */

/* As Linux's lookup_bdev. */
static long
device_number(const char *source, uint64_t *rdev)
{
	struct path at;
	long r = path_walk(AT_FDCWD, source, WALK_FOLLOW, &at);

	if (r != 0)
		return r;
	*rdev = at.dentry->inode->rdev;
	if (!is_type(at.dentry->inode, S_IFBLK))
		r = -ENOTBLK;
	else if (((at.mnt->flags | at.mnt->sb->flags) & MS_NODEV) != 0)
		r = -EACCES;
	path_put(&at);
	return r;
}

/* The super block that has this device, with a reference, or NULL.  One whose disk was taken away keeps its number,
 * which the next disk may have. */
static struct super *
mounted_on(uint64_t rdev)
{
	struct super *sb;

	for (unsigned n = 0; n < WORLD_MAX_CHANNELS; n++) {
		sb = mounted_get((int)n);
		if (sb != NULL && sb->dev == rdev && (clients[n]->dev == NULL || !disk_dev_gone(clients[n]->dev)))
			return sb;
		if (sb != NULL)
			super_put(sb);
	}
	return NULL;
}

/* A channel whose server is free; -EMFILE, as where Linux has no number for a super block left. */
static int
free_channel(void)
{
	int n = -1;

	while ((n = io_channel_find((unsigned)(n + 1), CHANNEL_FS, NULL)) >= 0) {
		if (!is_bound(n))
			continue;
		if (clients[n] == NULL)
			clients[n] = disk_client_create(n);
		if (clients[n] != NULL && !READ_ONCE(clients[n]->mounted))
			return n;
	}
	return -EMFILE;
}

static long
mount_device(struct fs_type *t, uint64_t rdev, unsigned long flags, const struct disk_options *options, struct super **out)
{
	struct super *sb = mounted_on(rdev);
	struct disk_client *c;
	int n;
	long r;

	if (sb != NULL)
		return mount_shared(sb, flags, out);
	n = io_root_part() != NULL && disk_dev_has_guid(rdev, io_root_part()) ? root_channel() : -ENOENT;
	if (n >= 0)
		return mount_locked(t, n, flags, options, out);
	n = free_channel();
	if (n < 0)
		return n;
	c = clients[n];
	r = disk_dev_take(rdev, c, server_name(n), (flags & MS_RDONLY) == 0, &c->dev);
	if (r != 0)
		return r;
	r = mount_locked(t, n, flags, options, &sb);
	if (r != 0) {
		dev_give(c);
		return r;
	}
	strlcpy(sb->device, disk_dev_name(c->dev), sizeof(sb->device));
	/* release: who sees the number sees the name */
	__atomic_store_n(&sb->dev, rdev, __ATOMIC_RELEASE);
	*out = sb;
	return 0;
}

static long
disk_mount(struct fs_type *t, const char *source, unsigned long flags, const char *data, struct super **out)
{
	int n = channel_for(source);
	struct disk_options o = { 0, 0 };
	uint64_t rdev = 0;
	long r = disk_options_parse(&o, data);

	if (r != 0 || source == NULL)
		return -EINVAL;
	if (n < 0) {
		r = device_number(source, &rdev);
		if (r != 0)
			return r;
	}
	mutex_lock(&mount_lock);
	r = n >= 0 ? mount_locked(t, n, flags, &o, out) : mount_device(t, rdev, flags, &o, out);
	mutex_unlock(&mount_lock);
	return r;
}

struct fs_type disk_type = { .name = "ext4", .mount = disk_mount };

__attribute__((weak)) bool
disk_is_root_partition(const char *node, const uint8_t guid[16])
{
	(void)node, (void)guid;
	return false;
}

/* Without disks. */
__attribute__((weak)) long
disk_dev_take(uint64_t rdev, void *holder, const char *server, bool write, struct blk_dev **out)
{
	(void)rdev, (void)holder, (void)server, (void)write, (void)out;
	return -ENXIO;
}

__attribute__((weak)) void
disk_dev_give(struct blk_dev *d, void *holder, const char *server)
{
	(void)d, (void)holder, (void)server;
}

__attribute__((weak)) bool disk_dev_gone(const struct blk_dev *d) { (void)d; return false; }
__attribute__((weak)) const char *disk_dev_name(const struct blk_dev *d) { (void)d; return ""; }

__attribute__((weak)) bool
disk_dev_has_guid(uint64_t rdev, const uint8_t guid[16])
{
	(void)rdev, (void)guid;
	return false;
}

__attribute__((weak)) void disk_mounted(const uint8_t guid[16], struct super *sb) { (void)guid, (void)sb; }
__attribute__((weak)) void disk_unmounted(const uint8_t guid[16], struct super *sb) { (void)guid, (void)sb; }

void
disk_init(void)
{
	node_cache = kcache_create("disk_node", sizeof(struct disk_node), 64);
	if (node_cache == NULL)
		panic("no memory for file systems on disks");
	disk_pages_init();
	disk_dir_init();
	fs_register(&disk_type);
}
