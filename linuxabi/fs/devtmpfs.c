/* SPDX-License-Identifier: MIT */
/*
 * Character devices and their names in /dev: a registry by device number, and
 * one devtmpfs instance that lists what is registered, mounted as often as wanted.
 */
#include "internal.h"

static spinlock_t chrdev_lock = SPINLOCK_INIT(50);
static struct list chrdevs = LIST_INIT(chrdevs);
static struct super *instance;

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
}

/* ---- names; directories in them are made on the way ---- */

long
devtmpfs_create(const char *name, uint32_t mode, uint64_t rdev)
{
	const char *slash = strchr(name, '/');

	if (instance == NULL)
		return -ENODEV;
	if (slash != NULL) {
		/* One level is all that devices here use, and devpts covers pts. */
		return -EINVAL;
	}
	return memfs_mknod(instance, name, mode, 0, 0, rdev);
}

long
devtmpfs_remove(const char *name)
{
	return instance == NULL ? -ENODEV : memfs_remove(instance, name);
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

static void
devtmpfs_link(const char *name, const char *target)
{
	struct inode *dir = instance->root->inode;
	struct dentry *d;

	mutex_lock(&dir->lock);
	d = lookup_name_locked(instance->root, name);
	if (!IS_ERR(d)) {
		if (d->inode == NULL)
			dir->ops->symlink(dir, d, target);
		dentry_put(d);
	}
	mutex_unlock(&dir->lock);
}

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
	devtmpfs_link("fd", "/proc/self/fd");
	devtmpfs_link("stdin", "/proc/self/fd/0");
	devtmpfs_link("stdout", "/proc/self/fd/1");
	devtmpfs_link("stderr", "/proc/self/fd/2");
	list_for_each(c, &chrdevs, node)	/* registered before */
		if (c->name != NULL)
			chrdev_names(c);
}
