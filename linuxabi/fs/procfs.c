/* SPDX-License-Identifier: MIT */
/*
 * procfs: the tree of fixed names, and files whose text is generated when they
 * are read at position 0.  Processes are in procfs_pid.c, what the system says
 * about itself in procfs_sys.c.
 */
#include "internal.h"

enum { STORE_MAX = PAGE_SIZE, INO_ROOT = 1, PID_POS = 0x10000 };

/* A name that was registered; nodes are never removed. */
struct proc_node {
	struct proc_node *next, *children, **last;
	struct proc_node *parent;
	struct proc_text text;
	const char *link;		/* symbolic link */
	uint64_t ino;
	uint32_t mode;
	unsigned pos;			/* in the listing */
	char name[];
};

struct super *proc_super;

static struct proc_node *root_node;
static struct mutex proc_lock = MUTEX_INIT(proc_lock, 24);	/* the tree of nodes */
static const struct inode_ops dir_inode_ops, text_inode_ops, link_inode_ops;
static const struct file_ops dir_file_ops;

/* ---- nodes ---- */

static struct proc_node *
node_find(struct proc_node *dir, const char *name, size_t len)
{
	for (struct proc_node *n = dir->children; n != NULL; n = n->next)
		if (strncmp(n->name, name, len) == 0 && n->name[len] == '\0')
			return n;
	return NULL;
}

static struct proc_node *
node_new(struct proc_node *dir, const char *name, size_t len, uint32_t mode)
{
	struct proc_node *n = kzalloc(sizeof(*n) + len + 1);

	if (n == NULL)
		panic("no memory for procfs");
	memcpy(n->name, name, len);
	n->mode = mode;
	n->ino = inode_next_ino() | 1ULL << 48;
	n->last = &n->children;
	n->parent = dir;
	if (dir != NULL) {
		struct proc_node **p = &dir->children;
		unsigned pos = 2;

		for (; *p != NULL; p = &(*p)->next)
			pos = (*p)->pos + 1;
		n->pos = pos;
		__atomic_store_n(p, n, __ATOMIC_RELEASE);
	}
	return n;
}

/* Directories on the way are made. */
static struct proc_node *
node_at(const char *path, uint32_t mode)
{
	struct proc_node *dir = root_node, *n;
	const char *slash;

	while ((slash = strchr(path, '/')) != NULL) {
		size_t len = (size_t)(slash - path);

		if (len != 0) {
			n = node_find(dir, path, len);
			dir = n != NULL ? n : node_new(dir, path, len, S_IFDIR | 0555);
		}
		path = slash + 1;
	}
	n = node_find(dir, path, strlen(path));
	return n != NULL ? n : node_new(dir, path, strlen(path), mode);
}

static void
nodes_start(void)
{
	if (root_node == NULL)
		root_node = node_new(NULL, "", 0, S_IFDIR | 0555);
}

void
procfs_register_rw(const char *path, long (*show)(struct seq *, void *),
    long (*store)(const char *, size_t, void *), void *arg)
{
	struct proc_node *n;

	mutex_lock(&proc_lock);
	nodes_start();
	n = node_at(path, S_IFREG | (store != NULL ? 0644 : 0444));
	n->text = (struct proc_text){ .show = show, .store = store, .arg = arg };
	mutex_unlock(&proc_lock);
}

void
procfs_register(const char *path, long (*show)(struct seq *, void *), void *arg)
{
	procfs_register_rw(path, show, NULL, arg);
}

static void
procfs_link(const char *path, const char *target)
{
	size_t len = strlen(target);
	char *text = kzalloc(len + 1 + PATH_PAD);

	if (text == NULL)
		return;
	memcpy(text, target, len);
	mutex_lock(&proc_lock);
	node_at(path, S_IFLNK | 0777)->link = text;
	mutex_unlock(&proc_lock);
}

/* ---- inodes ---- */

struct inode *
proc_inode(uint32_t mode, uint64_t ino, const struct inode_ops *ops, const struct file_ops *fops, void *private_)
{
	struct inode *i = inode_alloc(proc_super, mode);

	if (i == NULL)
		return NULL;
	i->ino = ino;
	i->ops = ops;
	i->fops = fops;
	i->private_ = private_;
	i->uid = i->gid = 0;
	if (is_type(i, S_IFDIR))
		i->nlink = 2;
	return i;
}

static struct inode *
node_inode(struct proc_node *n)
{
	struct inode *i;

	switch (n->mode & S_IFMT) {
	case S_IFDIR:
		return proc_inode(n->mode, n->ino, &dir_inode_ops, &dir_file_ops, n);
	case S_IFLNK:
		i = proc_inode(n->mode, n->ino, &link_inode_ops, NULL, n);
		if (i != NULL) {
			i->link = n->link;
			i->size = strlen(n->link);
		}
		return i;
	default:
		return proc_inode(n->mode, n->ino, &text_inode_ops, &proc_text_ops, &n->text);
	}
}

int
proc_number(const char *s)
{
	int v = 0;

	if (*s == '\0' || (*s == '0' && s[1] != '\0'))
		return -1;
	for (; *s != '\0'; s++) {
		if (*s < '0' || *s > '9' || v > 100000000)
			return -1;
		v = v * 10 + (*s - '0');
	}
	return v;
}

static long
dir_lookup(struct inode *dir, struct dentry *d)
{
	struct proc_node *n = node_find(dir->private_, d->name, d->len);
	struct inode *i;

	d->flags |= DF_NOCACHE * (n == NULL);	/* it may be registered later */
	if (n == NULL)
		return -ENOENT;
	i = node_inode(n);
	if (i == NULL)
		return -ENOMEM;
	dentry_instantiate(d, i);
	return 0;
}

static long
root_lookup(struct inode *dir, struct dentry *d)
{
	long r = dir_lookup(dir, d);

	return r == -ENOENT ? proc_pid_lookup(d, d->name) : r;
}

static ssize_t
self_readlink(struct inode *i, struct dentry *d, char *buf, size_t size)
{
	struct proc_node *n = i->private_;

	(void)d;
	if (strcmp(n->name, "thread-self") == 0)
		return ksnprintf(buf, size, "%d/task/%d", current->process->pid, current->tid);
	return ksnprintf(buf, size, "%d", current->process->pid);
}

static const struct inode_ops dir_inode_ops = { .lookup = dir_lookup };
static const struct inode_ops text_inode_ops = { 0 };
static const struct inode_ops link_inode_ops = { 0 };
static const struct inode_ops self_inode_ops = { .readlink = self_readlink };

/* ---- listing ---- */

static bool
emit_nodes(struct file *f, struct dir_context *ctx, struct proc_node *dir)
{
	if (!dir_emit_dots(f, ctx))
		return false;
	for (struct proc_node *n = dir->children; n != NULL; n = n->next) {
		if ((loff_t)n->pos < ctx->pos)
			continue;
		if (!ctx->emit(ctx, n->name, strlen(n->name), n->ino, n->mode >> 12))
			return false;
		ctx->pos = (loff_t)n->pos + 1;
	}
	return true;
}

static long
dir_iterate(struct file *f, struct dir_context *ctx)
{
	emit_nodes(f, ctx, f->inode->private_);
	return 0;
}

/* Fixed names first, then processes by number from PID_POS on. */
static long
root_iterate(struct file *f, struct dir_context *ctx)
{
	if (ctx->pos < PID_POS) {
		if (!emit_nodes(f, ctx, root_node))
			return 0;
		ctx->pos = PID_POS;
	}
	proc_pid_emit(ctx, PID_POS);
	return 0;
}

static loff_t
dir_seek(struct file *f, loff_t off, int whence)
{
	return whence > 1 ? -EINVAL : generic_seek(f, off, whence, 0);
}

static const struct file_ops dir_file_ops = { .iterate = dir_iterate, .seek = dir_seek };
static const struct file_ops root_file_ops = { .iterate = root_iterate, .seek = dir_seek };

/* ---- generated files ---- */

struct proc_open {
	struct mutex lock;
	struct seq seq;
	bool filled;
};

static long
text_open(struct inode *i, struct file *f)
{
	struct proc_open *o = kzalloc(sizeof(*o));

	(void)i;
	if (o == NULL)
		return -ENOMEM;
	mutex_init(&o->lock, 16);
	f->private_ = o;
	return 0;
}

static void
text_release(struct file *f)
{
	struct proc_open *o = f->private_;

	seq_free(&o->seq);
	kfree(o);
}

/* A program that keeps the file open (top) seeks to 0 and gets new text. */
static ssize_t
text_read(struct file *f, struct uio *u, loff_t *pos)
{
	struct proc_open *o = f->private_;
	const struct proc_text *t = f->inode->private_;
	ssize_t r = 0;
	size_t n;

	if (t->show == NULL)
		return -EINVAL;
	mutex_lock(&o->lock);
	if (*pos == 0 || !o->filled) {
		o->seq.len = 0;
		o->seq.full = false;
		r = t->show(&o->seq, t->arg);
		o->filled = r == 0;
		if (r == 0 && o->seq.full)
			r = -ENOMEM;
	}
	if (r == 0 && (uint64_t)*pos < o->seq.len) {
		n = min(o->seq.len - (size_t)*pos, u->resid);
		r = (ssize_t)uio_put(u, o->seq.buf + *pos, n);
		if (r == 0 && n != 0)
			r = -EFAULT;
		else
			*pos += r;
	}
	mutex_unlock(&o->lock);
	return r;
}

static ssize_t
text_write(struct file *f, struct uio *u, loff_t *pos)
{
	const struct proc_text *t = f->inode->private_;
	size_t n = u->resid;
	char *buf;
	long r;

	if (t->store == NULL)
		return -EPERM;
	if (n >= STORE_MAX || *pos != 0)
		return -EINVAL;
	buf = kmalloc(n + 1);
	if (buf == NULL)
		return -ENOMEM;
	r = -EFAULT;
	if (uio_get(u, buf, n) == n) {
		buf[n] = '\0';
		r = t->store(buf, n, t->arg);
	}
	kfree(buf);
	return r < 0 ? r : (ssize_t)n;
}

static loff_t
text_seek(struct file *f, loff_t off, int whence)
{
	struct proc_open *o = f->private_;

	return generic_seek(f, off, whence, o->seq.len);
}

const struct file_ops proc_text_ops = {
	.open = text_open, .release = text_release, .read = text_read, .write = text_write, .seek = text_seek,
};

/* ---- super block ---- */

static long
proc_mount(struct fs_type *t, const char *source, unsigned long flags, const char *data, struct super **sb)
{
	(void)t, (void)source, (void)flags, (void)data;
	__atomic_fetch_add(&proc_super->refs.n, 1, __ATOMIC_RELAXED);
	*sb = proc_super;
	return 0;
}

static struct fs_type proc_type = { .name = "proc", .flags = FS_NODEV, .mount = proc_mount };

static void
self_links(void)
{
	static const char *const names[] = { "self", "thread-self" };

	for (unsigned n = 0; n < ARRAY_LEN(names); n++) {
		mutex_lock(&proc_lock);
		node_at(names[n], S_IFLNK | 0777);
		mutex_unlock(&proc_lock);
	}
}

/* "self" and "thread-self" have no fixed text: their inodes ask who looks. */
static long
root_lookup_self(struct inode *dir, struct dentry *d)
{
	struct proc_node *n = node_find(root_node, d->name, d->len);
	struct inode *i;

	if (n == NULL || !is_type(&(struct inode){ .mode = n->mode }, S_IFLNK) || n->link != NULL)
		return root_lookup(dir, d);
	i = proc_inode(n->mode, n->ino, &self_inode_ops, NULL, n);
	if (i == NULL)
		return -ENOMEM;
	dentry_instantiate(d, i);
	return 0;
}

static const struct inode_ops proc_root_ops = { .lookup = root_lookup_self };

void
procfs_init(void)
{
	struct inode *i;

	mutex_lock(&proc_lock);
	nodes_start();
	mutex_unlock(&proc_lock);
	proc_super = super_alloc(&proc_type, PROC_SUPER_MAGIC);
	if (proc_super == NULL)
		panic("no memory for procfs");
	i = proc_inode(S_IFDIR | 0555, INO_ROOT, &proc_root_ops, &root_file_ops, root_node);
	proc_super->root = i != NULL ? dentry_root(proc_super, i) : NULL;
	if (proc_super->root == NULL)
		panic("no memory for procfs");
	fs_register(&proc_type);
	self_links();
	procfs_link("mounts", "self/mounts");
	procfs_sys_init();
}
