/* SPDX-License-Identifier: MIT */
/*
 * sysfs, as far as programs look without being asked: the CPUs.  Its files
 * are made once, in a tree of directories of its own.
 */
#include "internal.h"

struct sys_node {
	const char *name;
	const struct sys_node *children;	/* ends with a NULL name; NULL: a file */
	struct proc_text text;
};

static const struct inode_ops dir_inode_ops, file_inode_ops;
static const struct file_ops dir_file_ops;
static struct super *sys_super;

/* "0" or "0-3": the CPUs of this world do not come and go. */
static long
show_cpus(struct seq *s, void *arg)
{
	(void)arg;
	if (cpu_count() == 1)
		seq_printf(s, "0\n");
	else
		seq_printf(s, "0-%u\n", cpu_count() - 1);
	return 0;
}

static long
show_none(struct seq *s, void *arg)
{
	(void)arg;
	seq_printf(s, "\n");
	return 0;
}

static long
show_max(struct seq *s, void *arg)
{
	(void)arg;
	seq_printf(s, "%u\n", MAX_CPUS - 1);
	return 0;
}

static const struct sys_node none[] = { { .name = NULL } };
static const struct sys_node cpu_files[] = {
	{ "online", NULL, { .show = show_cpus } },
	{ "possible", NULL, { .show = show_cpus } },
	{ "present", NULL, { .show = show_cpus } },
	{ "offline", NULL, { .show = show_none } },
	{ "kernel_max", NULL, { .show = show_max } },
	{ .name = NULL },
};
static const struct sys_node system_dirs[] = { { "cpu", cpu_files, { 0 } }, { .name = NULL } };
static const struct sys_node device_dirs[] = { { "system", system_dirs, { 0 } }, { .name = NULL } };
static const struct sys_node root_dirs[] = {
	{ "block", none, { 0 } }, { "bus", none, { 0 } }, { "class", none, { 0 } }, { "dev", none, { 0 } },
	{ "devices", device_dirs, { 0 } }, { "firmware", none, { 0 } }, { "fs", none, { 0 } },
	{ "kernel", none, { 0 } }, { "module", none, { 0 } }, { .name = NULL },
};

static struct inode *
sys_inode(const struct sys_node *n, const struct sys_node *children)
{
	struct inode *i = inode_alloc(sys_super, children != NULL ? S_IFDIR | 0755 : S_IFREG | 0444);

	if (i == NULL)
		return NULL;
	i->uid = i->gid = 0;
	i->ops = children != NULL ? &dir_inode_ops : &file_inode_ops;
	i->fops = children != NULL ? &dir_file_ops : &proc_text_ops;
	i->private_ = children != NULL ? (void *)(uint64_t)children : (void *)(uint64_t)&n->text;
	i->size = children != NULL ? 0 : PAGE_SIZE;
	if (children != NULL)
		i->nlink = 2;
	return i;
}

static long
dir_lookup(struct inode *dir, struct dentry *d)
{
	for (const struct sys_node *n = dir->private_; n->name != NULL; n++)
		if (strcmp(n->name, d->name) == 0) {
			struct inode *i = sys_inode(n, n->children);

			if (i == NULL)
				return -ENOMEM;
			dentry_instantiate(d, i);
			return 0;
		}
	return 0;
}

static long
dir_iterate(struct file *f, struct dir_context *ctx)
{
	const struct sys_node *n = f->inode->private_;
	struct dentry *d = f->path.dentry;
	loff_t pos = 2;

	if (ctx->pos == 0) {
		if (!ctx->emit(ctx, ".", 1, d->inode->ino, 4))
			return 0;
		ctx->pos = 1;
	}
	if (ctx->pos == 1) {
		if (!ctx->emit(ctx, "..", 2, d->parent->inode->ino, 4))
			return 0;
		ctx->pos = 2;
	}
	for (; n->name != NULL; n++, pos++) {
		if (pos < ctx->pos)
			continue;
		/* Inodes come with lookups: the number here only has to be one. */
		if (!ctx->emit(ctx, n->name, strlen(n->name), ((uint64_t)n >> 4 & 0xffffff) | 1, n->children != NULL ? 4 : 8))
			return 0;
		ctx->pos = pos + 1;
	}
	return 0;
}

static loff_t
dir_seek(struct file *f, loff_t off, int whence)
{
	return whence > 1 ? -EINVAL : generic_seek(f, off, whence, 0);
}

static const struct inode_ops dir_inode_ops = { .lookup = dir_lookup };
static const struct inode_ops file_inode_ops = { 0 };
static const struct file_ops dir_file_ops = { .iterate = dir_iterate, .seek = dir_seek };

static long
sys_mount_super(struct fs_type *t, const char *source, unsigned long flags, const char *data, struct super **sb)
{
	(void)t, (void)source, (void)flags, (void)data;
	__atomic_fetch_add(&sys_super->refs.n, 1, __ATOMIC_RELAXED);
	*sb = sys_super;
	return 0;
}

static struct fs_type sysfs_type = { .name = "sysfs", .flags = FS_NODEV, .mount = sys_mount_super };

void
sysfs_init(void)
{
	struct inode *i;

	sys_super = super_alloc(&sysfs_type, SYSFS_MAGIC);
	i = sys_super != NULL ? sys_inode(NULL, root_dirs) : NULL;
	if (i != NULL)
		sys_super->root = dentry_root(sys_super, i);
	if (sys_super == NULL || sys_super->root == NULL)
		panic("no memory for sysfs");
	fs_register(&sysfs_type);
}
