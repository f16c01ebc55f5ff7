/* SPDX-License-Identifier: MIT */
/*
 * Extended attributes, xattr(7): the name spaces and who may use them; storage
 * is the file system's.
 */
#include <linux/inotify.h>
#include <linux/limits.h>
#include <linux/xattr.h>
#include "internal.h"

enum { XATTR_NAME_LIMIT = 255, XATTR_VALUE_LIMIT = 65536 };

static bool starts(const char *s, const char *prefix) { return strncmp(s, prefix, strlen(prefix)) == 0; }

static long
xattr_name(uaddr_t user, char name[XATTR_NAME_LIMIT + 1])
{
	long n = strncpy_from_user(name, user, XATTR_NAME_LIMIT + 1);

	if (n == 0 || n == -ENAMETOOLONG)
		return -ERANGE;
	return n < 0 ? n : 0;
}

/* May the caller use the name on the inode? */
static long
xattr_permission(struct inode *i, const char *name, unsigned mask)
{
	bool write = (mask & MAY_WRITE) != 0;

	if (starts(name, "security."))
		return !write || capable(CAP_SYS_ADMIN) || (starts(name, "security.capability") && capable(CAP_SETFCAP)) ? 0 : -EPERM;
	if (starts(name, "trusted."))
		return capable(CAP_SYS_ADMIN) ? 0 : write ? -EPERM : -ENODATA;
	if (!starts(name, "user."))
		return -EOPNOTSUPP;
	if (!is_type(i, S_IFREG) && !is_type(i, S_IFDIR))
		return write ? -EPERM : -ENODATA;
	if (is_type(i, S_IFDIR) && (i->mode & S_ISVTX) != 0 && write && !inode_owner_or_capable(i))
		return -EPERM;
	return inode_permission(i, mask);
}

static bool
name_complete(const char *name)
{
	const char *dot = strchr(name, '.');

	return dot != NULL && dot[1] != '\0';
}

/* ---- operations on an inode ---- */

static long
do_set(struct inode *i, const struct mount *m, struct dentry *d, uaddr_t uname, uaddr_t uvalue, uint64_t size, int flags)
{
	char name[XATTR_NAME_LIMIT + 1];
	void *value = NULL;
	long r = xattr_name(uname, name);

	if (r < 0)
		return r;
	if ((flags & ~(XATTR_CREATE | XATTR_REPLACE)) != 0)
		return -EINVAL;
	if (size > XATTR_VALUE_LIMIT)
		return -E2BIG;
	r = mount_want_write(m);
	if (r == 0)
		r = xattr_permission(i, name, MAY_WRITE);
	if (r == 0 && !name_complete(name))
		r = -EINVAL;
	if (r == 0 && i->ops->setxattr == NULL)
		r = -EOPNOTSUPP;
	if (r < 0)
		return r;
	value = kmalloc(size + 1);
	if (value == NULL)
		return -ENOMEM;
	r = copy_from_user(value, uvalue, size);
	if (r == 0) {
		mutex_lock(&i->lock);
		r = i->ops->setxattr(i, name, value, size, flags);
		mutex_unlock(&i->lock);
	}
	kfree(value);
	if (r == 0)
		notify_dentry(d, IN_ATTRIB);
	return r;
}

static long
do_get(struct inode *i, uaddr_t uname, uaddr_t uvalue, uint64_t size)
{
	char name[XATTR_NAME_LIMIT + 1];
	void *value;
	long r = xattr_name(uname, name);

	if (r == 0)
		r = xattr_permission(i, name, MAY_READ);
	if (r == 0 && i->ops->getxattr == NULL)
		r = -EOPNOTSUPP;
	if (r < 0)
		return r;
	size = min(size, (uint64_t)XATTR_VALUE_LIMIT);
	value = kmalloc(size + 1);
	if (value == NULL)
		return -ENOMEM;
	mutex_lock(&i->lock);
	r = i->ops->getxattr(i, name, value, size);
	mutex_unlock(&i->lock);
	if (r > 0 && size != 0 && copy_to_user(uvalue, value, (size_t)r) < 0)
		r = -EFAULT;
	kfree(value);
	return r;
}

static long
do_list(struct inode *i, uaddr_t ubuf, uint64_t size)
{
	void *buf;
	long r;

	if (i->ops->listxattr == NULL)
		return 0;
	size = min(size, (uint64_t)XATTR_VALUE_LIMIT);
	buf = kmalloc(size + 1);
	if (buf == NULL)
		return -ENOMEM;
	mutex_lock(&i->lock);
	r = i->ops->listxattr(i, buf, size);
	mutex_unlock(&i->lock);
	if (r > 0 && size != 0 && copy_to_user(ubuf, buf, (size_t)r) < 0)
		r = -EFAULT;
	kfree(buf);
	return r;
}

static long
do_remove(struct inode *i, const struct mount *m, struct dentry *d, uaddr_t uname)
{
	char name[XATTR_NAME_LIMIT + 1];
	long r = xattr_name(uname, name);

	if (r == 0)
		r = mount_want_write(m);
	if (r == 0)
		r = xattr_permission(i, name, MAY_WRITE);
	if (r == 0 && i->ops->removexattr == NULL)
		r = -EOPNOTSUPP;
	if (r < 0)
		return r;
	mutex_lock(&i->lock);
	r = i->ops->removexattr(i, name);
	mutex_unlock(&i->lock);
	if (r == 0)
		notify_dentry(d, IN_ATTRIB);
	return r;
}

/* ---- by path and by descriptor ---- */

#define ON_PATH(walk, expr) {					\
	struct path p;						\
	long r = path_walk_user(AT_FDCWD, name, walk, &p);	\
								\
	if (r < 0)						\
		return r;					\
	r = (expr);						\
	path_put(&p);						\
	return r;						\
}
#define ON_FD(expr) {						\
	struct fdref ref = fdref_get((int)fd);			\
	struct path p;						\
	struct inode *i;					\
	long r;							\
								\
	if (ref.file == NULL)					\
		return -EBADF;					\
	p = ref.file->path;					\
	i = ref.file->inode;					\
	(void)p;						\
	r = (expr);						\
	fdref_put(ref);						\
	return r;						\
}

long sys_setxattr(uint64_t name, uint64_t key, uint64_t value, uint64_t size, uint64_t flags)
ON_PATH(WALK_FOLLOW, do_set(p.dentry->inode, p.mnt, p.dentry, key, value, size, (int)flags))
long sys_lsetxattr(uint64_t name, uint64_t key, uint64_t value, uint64_t size, uint64_t flags)
ON_PATH(0, do_set(p.dentry->inode, p.mnt, p.dentry, key, value, size, (int)flags))
long sys_fsetxattr(uint64_t fd, uint64_t key, uint64_t value, uint64_t size, uint64_t flags)
ON_FD(do_set(i, p.mnt, p.dentry, key, value, size, (int)flags))
long sys_getxattr(uint64_t name, uint64_t key, uint64_t value, uint64_t size)
ON_PATH(WALK_FOLLOW, do_get(p.dentry->inode, key, value, size))
long sys_lgetxattr(uint64_t name, uint64_t key, uint64_t value, uint64_t size)
ON_PATH(0, do_get(p.dentry->inode, key, value, size))
long sys_fgetxattr(uint64_t fd, uint64_t key, uint64_t value, uint64_t size)
ON_FD(do_get(i, key, value, size))
long sys_listxattr(uint64_t name, uint64_t buf, uint64_t size)
ON_PATH(WALK_FOLLOW, do_list(p.dentry->inode, buf, size))
long sys_llistxattr(uint64_t name, uint64_t buf, uint64_t size)
ON_PATH(0, do_list(p.dentry->inode, buf, size))
long sys_flistxattr(uint64_t fd, uint64_t buf, uint64_t size)
ON_FD(do_list(i, buf, size))
long sys_removexattr(uint64_t name, uint64_t key)
ON_PATH(WALK_FOLLOW, do_remove(p.dentry->inode, p.mnt, p.dentry, key))
long sys_lremovexattr(uint64_t name, uint64_t key)
ON_PATH(0, do_remove(p.dentry->inode, p.mnt, p.dentry, key))
long sys_fremovexattr(uint64_t fd, uint64_t key)
ON_FD(do_remove(i, p.mnt, p.dentry, key))
