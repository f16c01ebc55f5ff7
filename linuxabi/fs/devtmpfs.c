/* SPDX-License-Identifier: MIT */
/*
 * Character devices and their names in /dev: a registry by device number, and
 * one devtmpfs instance that lists what is registered and the disks that
 * block/ puts there, mounted as often as wanted.
 */
#include "internal.h"

static spinlock_t chrdev_lock = SPINLOCK_INIT(50);
static struct list chrdevs = LIST_INIT(chrdevs);
static struct super *instance;

static const struct blkdev_driver *blkdev;

void blkdev_register(const struct blkdev_driver *d) { __atomic_store_n(&blkdev, d, __ATOMIC_RELEASE); }

const struct blkdev_driver *
blkdev_driver(void)
{
	static const struct blkdev_driver none;
	const struct blkdev_driver *d = __atomic_load_n(&blkdev, __ATOMIC_ACQUIRE);

	return d != NULL ? d : &none;
}

static uint32_t dev_major(uint64_t dev) { return (uint32_t)(dev >> 8 & 0xfff); }
static uint32_t dev_minor(uint64_t dev) { return (uint32_t)((dev & 0xff) | (dev >> 12 & 0xfff00)); }

const struct file_ops *
chrdev_find(uint64_t rdev)
{
	uint32_t major = dev_major(rdev), minor = dev_minor(rdev);
	const struct file_ops *found = NULL;
	struct chrdev *c;

	spin_lock(&chrdev_lock);
	list_for_each(c, &chrdevs, node)
		if (c->major == major && minor - c->minor < c->minor_count) {
			found = c->fops;
			break;
		}
	spin_unlock(&chrdev_lock);
	return found;
}

/* "pts/%u", "tty%u": one name for each minor number. */
static void
chrdev_names(const struct chrdev *c)
{
	for (unsigned n = 0; n < c->minor_count; n++) {
		char name[64];
		const char *mark = strchr(c->name, '%');

		if (mark == NULL)
			strlcpy(name, c->name, sizeof(name));
		else
			ksnprintf(name, sizeof(name), "%.*s%u%s", (int)(mark - c->name), c->name, n, mark + 2);
		devtmpfs_create(name, S_IFCHR | (c->mode & 07777), makedev_(c->major, c->minor + n));
		if (mark == NULL)
			return;
	}
}

void
chrdev_register(struct chrdev *c)
{
	spin_lock(&chrdev_lock);
	list_add_tail(&chrdevs, &c->node);
	spin_unlock(&chrdev_lock);
	if (c->name != NULL && instance != NULL)
		chrdev_names(c);
}

void
chrdev_print(struct seq *s)
{
	struct chrdev *c;
	uint32_t last = ~0u;

	seq_printf(s, "Character devices:\n");
	for (uint32_t major = 0; major < 512; major++)
		list_for_each(c, &chrdevs, node)
			if (c->major == major && major != last) {
				const char *name = c->name != NULL ? c->name : "pts";
				size_t len = strchr(name, '%') != NULL ? (size_t)(strchr(name, '%') - name) : strlen(name);

				seq_printf(s, "%3u %.*s\n", major, (int)len, major == 1 ? "mem" : name);
				last = major;
			}
	seq_printf(s, "\nBlock devices:\n");
	if (blkdev_driver()->majors != NULL)
		blkdev_driver()->majors(s);
}

/* ---- names; directories in them are made on the way ---- */

/* The entry called name of a directory whose inode is locked; a reference.  ERR_PTR. */
static struct dentry *
child_of(struct dentry *dir, const char *name, size_t len)
{
	char text[NAME_MAX_ + 1];

	if (len > NAME_MAX_)
		return ERR_PTR(-ENAMETOOLONG);
	memcpy(text, name, len);
	text[len] = '\0';
	return lookup_name_locked(dir, text);
}

static struct dentry *
step_into(struct dentry *dir, const char *name, size_t len, bool make)
{
	struct inode *i = dir->inode;
	struct dentry *d;
	long r = 0;

	mutex_lock(&i->lock);
	d = child_of(dir, name, len);
	if (!IS_ERR(d) && d->inode == NULL)
		r = make ? i->ops->mkdir(i, d, 0755) : -ENOENT;
	if (!IS_ERR(d) && r == 0 && !is_type(d->inode, S_IFDIR))
		r = -ENOTDIR;
	mutex_unlock(&i->lock);
	if (r == 0)
		return d;
	dentry_put(d);
	return ERR_PTR(r);
}

/* The directory of path's last name, with a reference; *last: that name.  ERR_PTR. */
static struct dentry *
directory_of(const char *path, bool make, const char **last)
{
	struct dentry *dir = instance->root, *next;
	const char *slash;

	dentry_get(dir);
	while ((slash = strchr(path, '/')) != NULL) {
		next = step_into(dir, path, (size_t)(slash - path), make);
		dentry_put(dir);
		if (IS_ERR(next))
			return next;
		dir = next;
		path = slash + 1;
	}
	*last = path;
	return dir;
}

static long
make_locked(struct dentry *dir, const char *name, uint32_t mode, uint64_t rdev, const char *target)
{
	struct inode *i = dir->inode;
	struct dentry *d = child_of(dir, name, strlen(name));
	long r = -EEXIST;

	if (IS_ERR(d))
		return PTR_ERR(d);
	if (d->inode == NULL)
		r = target != NULL ? i->ops->symlink(i, d, target) : i->ops->mknod(i, d, mode, rdev);
	if (r == 0)
		d->inode->uid = d->inode->gid = 0;
	dentry_put(d);
	return r;
}

static long
make_at(const char *path, uint32_t mode, uint64_t rdev, const char *target)
{
	struct dentry *dir;
	const char *name;
	long r;

	if (instance == NULL)
		return -ENODEV;
	dir = directory_of(path, true, &name);
	if (IS_ERR(dir))
		return PTR_ERR(dir);
	mutex_lock(&dir->inode->lock);
	r = make_locked(dir, name, mode, rdev, target);
	mutex_unlock(&dir->inode->lock);
	dentry_put(dir);
	return r;
}

long
devtmpfs_create(const char *name, uint32_t mode, uint64_t rdev)
{
	return make_at(name, mode, rdev, NULL);
}

long
devtmpfs_symlink(const char *name, const char *target)
{
	return make_at(name, 0, 0, target);
}

static long
remove_locked(struct dentry *dir, const char *name)
{
	struct inode *i = dir->inode;
	struct dentry *d = child_of(dir, name, strlen(name));
	bool is_dir = !IS_ERR(d) && d->inode != NULL && is_type(d->inode, S_IFDIR);
	long r = -ENOENT;

	if (IS_ERR(d))
		return PTR_ERR(d);
	if (d->inode != NULL)
		r = is_dir ? i->ops->rmdir(i, d) : i->ops->unlink(i, d);
	if (r == 0 && is_dir)
		dentry_prune_negatives(d);
	if (r == 0)
		dentry_delete(d);
	dentry_put(d);
	return r;
}

long
devtmpfs_remove(const char *path)
{
	struct dentry *dir;
	const char *name;
	long r;

	if (instance == NULL)
		return -ENODEV;
	dir = directory_of(path, false, &name);
	if (IS_ERR(dir))
		return PTR_ERR(dir);
	mutex_lock(&dir->inode->lock);
	r = remove_locked(dir, name);
	mutex_unlock(&dir->inode->lock);
	dentry_put(dir);
	return r;
}

static long
devtmpfs_mount(struct fs_type *t, const char *source, unsigned long flags, const char *data, struct super **sb)
{
	(void)t, (void)source, (void)flags, (void)data;
	__atomic_fetch_add(&instance->refs.n, 1, __ATOMIC_RELAXED);
	*sb = instance;
	return 0;
}

static struct fs_type devtmpfs_type = { .name = "devtmpfs", .flags = FS_NODEV, .mount = devtmpfs_mount };

void
devtmpfs_init(void)
{
	struct chrdev *c;

	instance = memfs_create(&devtmpfs_type, TMPFS_MAGIC, 0755);
	if (instance == NULL)
		panic("no memory for devtmpfs");
	fs_register(&devtmpfs_type);
	memfs_mknod(instance, "pts", S_IFDIR | 0755, 0, 0, 0);
	memfs_mknod(instance, "shm", S_IFDIR | 01777, 0, 0, 0);
	devtmpfs_symlink("fd", "/proc/self/fd");
	devtmpfs_symlink("stdin", "/proc/self/fd/0");
	devtmpfs_symlink("stdout", "/proc/self/fd/1");
	devtmpfs_symlink("stderr", "/proc/self/fd/2");
	list_for_each(c, &chrdevs, node)	/* registered before */
		if (c->name != NULL)
			chrdev_names(c);
}
