/* SPDX-License-Identifier: MIT */
/*
 * sysfs: a tree of directories, generated files and symbolic links that other
 * parts of the personality put there (include/sysfs.h); the CPUs are here.
 *
 * tree_lock protects the tree and covers each show and store: who removed a node
 * knows that nobody uses its argument any more.  Dentries of nodes that can go
 * are never cached, so a lookup always asks the tree.
 */
#include "internal.h"
#include "sysfs.h"

struct sys_node {
	refcount_t refs;		/* the tree, and each inode */
	struct list children, sibling;	/* in the order of making; sibling: on no list: removed */
	struct sys_node *parent;
	uint64_t ino;
	loff_t pos, next_pos;		/* in the listing; of the next child */
	uint32_t mode;
	bool stays;			/* never removed: its dentry may be cached */
	bool gone;
	char *link;
	long (*show)(struct seq *, void *arg);
	long (*store)(const char *, size_t, void *arg);
	void *arg;
	struct proc_text text;		/* what proc_text_ops want: show and store below */
	char name[];
};

static const struct inode_ops dir_inode_ops, file_inode_ops;
static const struct file_ops dir_file_ops;
static struct super *sys_super;
static struct mutex tree_lock = MUTEX_INIT(tree_lock, 24);
static struct sys_node *root_node;
static bool started;			/* what is made before stays */

static bool node_is_dir(const struct sys_node *n) { return (n->mode & S_IFMT) == S_IFDIR; }

/* ---- nodes; tree_lock is held ---- */

static void
node_put(struct sys_node *n)
{
	if (!ref_put(&n->refs))
		return;
	/* a walk may be reading the link's text */
	if (n->link != NULL)
		grace_free(n->link, NULL);
	kfree(n);
}

static struct sys_node *
node_find(struct sys_node *dir, const char *name, size_t len)
{
	struct sys_node *n;

	list_for_each(n, &dir->children, sibling)
		if (strncmp(n->name, name, len) == 0 && n->name[len] == '\0')
			return n;
	return NULL;
}

static long
text_show(struct seq *s, void *arg)
{
	struct sys_node *n = arg;
	long r;

	mutex_lock(&tree_lock);
	r = n->gone ? -ENODEV : n->show(s, n->arg);
	mutex_unlock(&tree_lock);
	return r;
}

static long
text_store(const char *text, size_t len, void *arg)
{
	struct sys_node *n = arg;
	long r;

	mutex_lock(&tree_lock);
	r = n->gone ? -ENODEV : n->store(text, len, n->arg);
	mutex_unlock(&tree_lock);
	return r;
}

static struct sys_node *
node_new(struct sys_node *dir, const char *name, size_t len, uint32_t mode)
{
	struct sys_node *n = kzalloc(sizeof(*n) + len + 1);

	if (n == NULL)
		return NULL;
	ref_init(&n->refs, 1);
	list_init(&n->children);
	list_init(&n->sibling);
	memcpy(n->name, name, len);
	n->mode = mode;
	n->ino = inode_next_ino();
	n->next_pos = 2;
	n->stays = !started;
	n->parent = dir;
	if (dir != NULL) {
		n->pos = dir->next_pos++;
		list_add_tail(&dir->children, &n->sibling);
	}
	return n;
}

/* The directory that path's last name is in, made if need be; *last: that name.  ERR_PTR. */
static struct sys_node *
parent_of(const char *path, bool make, const char **last)
{
	struct sys_node *dir = root_node;
	const char *slash;

	while ((slash = strchr(path, '/')) != NULL) {
		size_t len = (size_t)(slash - path);
		struct sys_node *n = node_find(dir, path, len);

		if (n == NULL && !make)
			return ERR_PTR(-ENOENT);
		if (n == NULL)
			n = node_new(dir, path, len, S_IFDIR | 0755);
		if (n == NULL)
			return ERR_PTR(-ENOMEM);
		if (!node_is_dir(n))
			return ERR_PTR(-EEXIST);
		dir = n;
		path = slash + 1;
	}
	*last = path;
	return dir;
}

static struct sys_node *
node_make(const char *path, uint32_t mode)
{
	const char *name;
	struct sys_node *dir = parent_of(path, true, &name), *n;

	if (IS_ERR(dir))
		return dir;
	if (node_find(dir, name, strlen(name)) != NULL)
		return ERR_PTR(-EEXIST);
	n = node_new(dir, name, strlen(name), mode);
	return n != NULL ? n : ERR_PTR(-ENOMEM);
}

static void
node_remove(struct sys_node *n)
{
	struct sys_node *c, *next;

	list_for_each_safe(c, next, &n->children, sibling)
		node_remove(c);
	list_del(&n->sibling);
	n->gone = true;
	node_put(n);
}

/* ---- for the rest of the personality ---- */

long
sysfs_dir(const char *path)
{
	struct sys_node *n;
	const char *name;
	long r = 0;

	mutex_lock(&tree_lock);
	n = parent_of(path, true, &name);
	if (!IS_ERR(n)) {
		struct sys_node *old = node_find(n, name, strlen(name));

		n = old != NULL ? old : node_new(n, name, strlen(name), S_IFDIR | 0755);
		if (n == NULL)
			n = ERR_PTR(-ENOMEM);
		else if (!node_is_dir(n))
			n = ERR_PTR(-EEXIST);
	}
	if (IS_ERR(n))
		r = PTR_ERR(n);
	mutex_unlock(&tree_lock);
	return r;
}

long
sysfs_file(const char *path, long (*show)(struct seq *, void *), long (*store)(const char *, size_t, void *), void *arg)
{
	struct sys_node *n;

	mutex_lock(&tree_lock);
	n = node_make(path, S_IFREG | (store != NULL ? 0644 : 0444));
	if (!IS_ERR(n)) {
		n->show = show;
		n->store = store;
		n->arg = arg;
		n->text = (struct proc_text){ .show = text_show, .store = store != NULL ? text_store : NULL, .arg = n };
	}
	mutex_unlock(&tree_lock);
	return IS_ERR(n) ? PTR_ERR(n) : 0;
}

long
sysfs_link(const char *path, const char *target)
{
	size_t len = strlen(target);
	char *text = kzalloc(len + 1 + PATH_PAD);
	struct sys_node *n;

	if (text == NULL)
		return -ENOMEM;
	memcpy(text, target, len);
	mutex_lock(&tree_lock);
	n = node_make(path, S_IFLNK | 0777);
	if (!IS_ERR(n))
		n->link = text;
	mutex_unlock(&tree_lock);
	if (!IS_ERR(n))
		return 0;
	kfree(text);
	return PTR_ERR(n);
}

void
sysfs_remove(const char *path)
{
	const char *name;
	struct sys_node *dir, *n;

	mutex_lock(&tree_lock);
	dir = parent_of(path, false, &name);
	n = IS_ERR(dir) ? NULL : node_find(dir, name, strlen(name));
	if (n != NULL)
		node_remove(n);
	mutex_unlock(&tree_lock);
}

/* ---- inodes ---- */

/* Takes the node's reference that the inode has, when it succeeds. */
static struct inode *
node_inode(struct sys_node *n)
{
	struct inode *i = inode_alloc(sys_super, n->mode);

	if (i == NULL)
		return NULL;
	ref_get(&n->refs);
	i->uid = i->gid = 0;
	i->ino = n->ino;
	i->private_ = n;
	i->ops = &file_inode_ops;
	switch (n->mode & S_IFMT) {
	case S_IFDIR:
		i->ops = &dir_inode_ops;
		i->fops = &dir_file_ops;
		i->nlink = 2;
		break;
	case S_IFLNK:
		i->link = n->link;
		i->size = strlen(n->link);
		break;
	default:
		i->fops = &proc_text_ops;
		i->private_ = &n->text;
		i->size = PAGE_SIZE;
	}
	return i;
}

static void
sys_evict(struct inode *i)
{
	struct sys_node *n = is_type(i, S_IFREG) ? container_of(i->private_, struct sys_node, text) : i->private_;

	node_put(n);
}

static long
dir_lookup(struct inode *dir, struct dentry *d)
{
	struct sys_node *n;
	struct inode *i = NULL;

	mutex_lock(&tree_lock);
	n = node_find(dir->private_, d->name, d->len);
	if (n == NULL || !n->stays)
		d->flags |= DF_NOCACHE;
	if (n != NULL)
		i = node_inode(n);
	mutex_unlock(&tree_lock);
	if (n == NULL)
		return 0;
	if (i == NULL)
		return -ENOMEM;
	dentry_instantiate(d, i);
	return 0;
}

static unsigned
dirent_type(const struct sys_node *n)
{
	return (n->mode & S_IFMT) >> 12;
}

static void
emit_children(struct dir_context *ctx, struct sys_node *dir)
{
	struct sys_node *n;

	list_for_each(n, &dir->children, sibling) {
		if (n->pos < ctx->pos)
			continue;
		if (!ctx->emit(ctx, n->name, strlen(n->name), n->ino, dirent_type(n)))
			return;
		ctx->pos = n->pos + 1;
	}
}

static long
dir_iterate(struct file *f, struct dir_context *ctx)
{
	if (!dir_emit_dots(f, ctx))
		return 0;
	mutex_lock(&tree_lock);
	emit_children(ctx, f->inode->private_);
	mutex_unlock(&tree_lock);
	return 0;
}

static loff_t
dir_seek(struct file *f, loff_t off, int whence)
{
	return whence > 1 ? -EINVAL : generic_seek(f, off, whence, 0);
}

static const struct inode_ops dir_inode_ops = { .lookup = dir_lookup, .evict = sys_evict };
static const struct inode_ops file_inode_ops = { .evict = sys_evict };
static const struct file_ops dir_file_ops = { .iterate = dir_iterate, .seek = dir_seek };

/* ---- CPUs ---- */

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

/* What a file below cpuN/topology tells of that CPU: one package, a core for each, as far as a world knows. */
static long
show_number(struct seq *s, void *arg)
{
	seq_printf(s, "%lu\n", (unsigned long)arg);
	return 0;
}

static long
show_own_mask(struct seq *s, void *arg)
{
	seq_printf(s, "%lx\n", 1UL << (unsigned long)arg);
	return 0;
}

static long
show_package_mask(struct seq *s, void *arg)
{
	(void)arg;
	seq_printf(s, "%lx\n", ~0UL >> (64 - cpu_count()));
	return 0;
}

_Static_assert(MAX_CPUS <= 64, "masks of CPUs are one word");

static long
add_cpu(uint64_t cpu)
{
	static const struct {
		const char *name;
		long (*show)(struct seq *, void *);
	} files[] = {
		{ "core_id", show_number }, { "thread_siblings", show_own_mask }, { "thread_siblings_list", show_number },
		{ "core_cpus", show_own_mask }, { "core_cpus_list", show_number }, { "core_siblings", show_package_mask },
		{ "core_siblings_list", show_cpus }, { "package_cpus", show_package_mask }, { "package_cpus_list", show_cpus },
	};
	char path[80];
	long r;

	ksnprintf(path, sizeof(path), "devices/system/cpu/cpu%lu/topology/physical_package_id", (unsigned long)cpu);
	r = sysfs_file(path, show_number, NULL, NULL);
	for (unsigned i = 0; r == 0 && i < ARRAY_LEN(files); i++) {
		ksnprintf(path, sizeof(path), "devices/system/cpu/cpu%lu/topology/%s", (unsigned long)cpu, files[i].name);
		r = sysfs_file(path, files[i].show, NULL, (void *)cpu);
	}
	return r;
}

void
sysfs_cpus_init(unsigned count)
{
	for (unsigned i = 0; i < count; i++) {
		if (add_cpu(i) != 0)
			panic("no memory for sysfs");
	}
}

static void
fill_tree(void)
{
	static const char *const dirs[] = {
		"block", "bus", "class", "dev/block", "dev/char", "devices", "firmware", "fs", "kernel", "module",
	};
	long r = 0;

	for (unsigned i = 0; i < ARRAY_LEN(dirs); i++)
		r |= sysfs_dir(dirs[i]);
	r |= sysfs_file("devices/system/cpu/online", show_cpus, NULL, NULL);
	r |= sysfs_file("devices/system/cpu/possible", show_cpus, NULL, NULL);
	r |= sysfs_file("devices/system/cpu/present", show_cpus, NULL, NULL);
	r |= sysfs_file("devices/system/cpu/offline", show_none, NULL, NULL);
	r |= sysfs_file("devices/system/cpu/kernel_max", show_max, NULL, NULL);
	if (r != 0)
		panic("no memory for sysfs");
}

/* ---- start ---- */

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
	root_node = node_new(NULL, "", 0, S_IFDIR | 0755);
	i = sys_super != NULL && root_node != NULL ? node_inode(root_node) : NULL;
	if (i != NULL)
		sys_super->root = dentry_root(sys_super, i);
	if (sys_super == NULL || sys_super->root == NULL)
		panic("no memory for sysfs");
	fill_tree();
	started = true;
	fs_register(&sysfs_type);
}
