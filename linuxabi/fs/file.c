/* SPDX-License-Identifier: MIT */
/*
 * Open file descriptions: life, files without a path, kernel callers' input
 * and output, and the per-process context of root and working directory.
 */
#include "internal.h"

const struct file_ops path_only_ops;

static struct kcache *file_cache;
static uint64_t files_open;
static struct super *anon_super;
static struct inode *anon_inode;
static struct mount *anon_mount;

enum { FILE_MAX = 1 << 20 };

uint64_t file_count(void) { return READ_ONCE(files_open); }

struct file *
file_alloc(const struct file_ops *ops, struct inode *inode, unsigned flags)
{
	struct file *f;

	if (unlikely(READ_ONCE(files_open) >= FILE_MAX))
		return NULL;
	f = kcache_alloc(file_cache);
	if (f == NULL)
		return NULL;
	ref_init(&f->refs, 1);
	f->flags = flags & ~(unsigned)(O_CREAT | O_EXCL | O_NOCTTY | O_TRUNC | O_CLOEXEC);
	f->ops = ops;
	f->path = (struct path){ NULL, NULL };
	f->inode = inode;
	mutex_init(&f->pos_lock, 15);
	f->pos = 0;
	f->private_ = NULL;
	list_init(&f->epoll_items);
	f->async.owner = f->async.sig = 0;
	f->anon_name = NULL;
	f->readable = (flags & O_PATH) == 0 && (flags & O_ACCMODE) != O_WRONLY;
	f->writable = (flags & O_PATH) == 0 && (flags & O_ACCMODE) != O_RDONLY;
	if (inode != NULL)
		inode_get(inode);
	__atomic_fetch_add(&files_open, 1, __ATOMIC_RELAXED);
	return f;
}

/* name: what /proc/<pid>/fd shows: "[eventfd]" gives anon_inode:[eventfd]. */
struct file *
file_anon(const char *name, const struct file_ops *ops, void *private_, unsigned flags)
{
	struct file *f = file_alloc(ops, anon_inode, flags);

	if (f == NULL)
		return ERR_PTR(-ENFILE);
	f->anon_name = name;
	f->private_ = private_;
	return f;
}

void
file_get(struct file *f)
{
	__atomic_fetch_add(&f->refs.n, 1, __ATOMIC_RELAXED);
}

static void
file_release(struct file *f)
{
	struct inode *i = f->inode;

	if (unlikely(!list_empty(&f->epoll_items)))
		epoll_file_release(f);
	if (i != NULL && unlikely(!list_empty(&i->locks)))
		locks_release(f);
	if (f->path.dentry != NULL && (f->flags & O_PATH) == 0)
		notify_file(f, f->writable ? 8 /* IN_CLOSE_WRITE */ : 16 /* IN_CLOSE_NOWRITE */);
	if (f->ops->release != NULL)
		f->ops->release(f);
	if (i != NULL && f->writable && f->path.dentry != NULL && is_type(i, S_IFREG))
		__atomic_fetch_sub(&i->writers, 1, __ATOMIC_RELEASE);
	if (f->path.dentry != NULL)
		path_put(&f->path);
	else
		inode_put(i);
	__atomic_fetch_sub(&files_open, 1, __ATOMIC_RELAXED);
	kcache_free(file_cache, f);
}

void
file_put(struct file *f)
{
	if (f != NULL && __atomic_sub_fetch(&f->refs.n, 1, __ATOMIC_ACQ_REL) == 0)
		file_release(f);
}

/* ---- files without a path, as /proc/<pid>/fd shows them ---- */

size_t
file_link_text(struct file *f, char *buf, size_t size)
{
	if (f->anon_name == NULL)
		return strlcpy(buf, "anon_inode:[unknown]", size);
	if (f->inode != anon_inode)
		return (size_t)ksnprintf(buf, size, "%s:[%lu]", f->anon_name, (unsigned long)f->inode->ino);
	return (size_t)ksnprintf(buf, size, "anon_inode:%s", f->anon_name);
}

long
file_link_path(struct file *f, struct path *out)
{
	char name[64];
	struct dentry *d;

	if (f->path.dentry != NULL) {
		*out = f->path;
		path_get(out);
		return 0;
	}
	if (f->inode == NULL)
		return -ENOENT;
	file_link_text(f, name, sizeof(name));
	d = dentry_alloc_anon(anon_super, name);
	if (d == NULL)
		return -ENOMEM;
	d->flags |= DF_RAW;
	inode_get(f->inode);
	d->inode = f->inode;
	mount_get(anon_mount);
	*out = (struct path){ anon_mount, d };
	return 0;
}

/* ---- for the kernel itself ---- */

ssize_t
file_pread(struct file *f, void *buf, size_t n, loff_t pos)
{
	struct uio u;

	if (!f->readable)
		return -EBADF;
	if (f->ops->read == NULL)
		return -EINVAL;
	uio_kernel(&u, buf, n);
	u.rwf = 0;
	return f->ops->read(f, &u, &pos);
}

ssize_t
file_write_kernel(struct file *f, const void *buf, size_t n)
{
	struct uio u;

	if (!f->writable || f->ops->write == NULL)
		return -EBADF;
	uio_kernel(&u, (void *)(uint64_t)buf, n);
	u.rwf = 0;
	return f->ops->write(f, &u, &f->pos);
}

/* ---- root, working directory, umask ---- */

struct fs_context *
fs_context_copy(struct fs_context *old)
{
	struct fs_context *c = kzalloc(sizeof(*c));

	if (c == NULL)
		return NULL;
	ref_init(&c->refs, 1);
	spin_init(&c->lock, 50);
	if (old == NULL) {		/* the first process */
		c->root = c->cwd = (struct path){ root_mount, root_mount->root };
		c->umask = 022;
		path_get(&c->root);
		path_get(&c->cwd);
		return c;
	}
	spin_lock(&old->lock);
	c->root = old->root;
	c->cwd = old->cwd;
	c->umask = old->umask;
	path_get(&c->root);
	path_get(&c->cwd);
	spin_unlock(&old->lock);
	return c;
}

void
fs_context_put(struct fs_context *c)
{
	if (c == NULL || !ref_put(&c->refs))
		return;
	path_put(&c->root);
	path_put(&c->cwd);
	grace_free(c, NULL);	/* partner: fs_context_of */
}

struct fs_context *
fs_context_of(struct task *t)
{
	struct fs_context *c;

	read_begin();
	c = READ_ONCE(t->fs);
	if (c != NULL && !ref_get_unless_zero(&c->refs))
		c = NULL;
	read_end();
	return c;
}

void
file_init(void)
{
	static struct fs_type anon_type = { .name = "anon_inodefs", .flags = FS_NODEV };

	file_cache = kcache_create("file", sizeof(struct file), 64);
	anon_super = super_alloc(&anon_type, ANON_INODE_FS_MAGIC);
	if (file_cache == NULL || anon_super == NULL)
		panic("no memory for open files");
	anon_inode = inode_alloc(anon_super, S_IRUSR | S_IWUSR);
	if (anon_inode != NULL)
		anon_super->root = dentry_root(anon_super, anon_inode);
	if (anon_super->root != NULL)
		anon_mount = mount_kernel(anon_super);
	if (anon_mount == NULL)
		panic("no memory for open files");
}

/* ---- what starts when ---- */

void
fs_init(void)
{
	dcache_init();
	inode_init_cache();
	file_init();
	tmpfs_init();
	mount_init();
	current->fs = fs_context_copy(NULL);
	if (current->files == NULL)
		current->files = files_create();
	pipe_init();
	epoll_init();
	inotify_init();
	procfs_init();
	sysfs_init();
	devtmpfs_init();
	memdev_init();
	disk_init();
}
