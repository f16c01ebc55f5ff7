/* SPDX-License-Identifier: MIT */
/*
 * read, write and their relatives, lseek, fsync, fallocate, ioctl.
 */
#include <asm/ioctls.h>
#include <linux/falloc.h>
#include <linux/fs.h>
#include <linux/inotify.h>
#include "internal.h"

enum { IOV_SMALL = 8 };

/* ---- the common part ---- */

ssize_t
file_do_read(struct file *f, struct uio *u, loff_t *pos)
{
	ssize_t r;

	if (unlikely(!f->readable))
		return -EBADF;
	if (unlikely(f->ops->read == NULL))
		return f->inode != NULL && is_type(f->inode, S_IFDIR) ? -EISDIR : -EINVAL;
	r = f->ops->read(f, u, pos);
	if (r > 0)
		notify_file(f, IN_ACCESS);
	return r;
}

ssize_t
file_do_write(struct file *f, struct uio *u, loff_t *pos)
{
	ssize_t r;

	if (unlikely(!f->writable))
		return -EBADF;
	if (unlikely(f->ops->write == NULL))
		return -EINVAL;
	r = f->ops->write(f, u, pos);
	if (r > 0)
		notify_file(f, IN_MODIFY);
	return r;
}

/* Files with a position that other tasks may move at the same time. */
static inline bool
pos_shared(const struct fdref *r)
{
	return r->put || ref_read(&r->file->refs) > 1;
}

static ssize_t
rw_at_pos(int fd, struct uio *u, bool write)
{
	struct fdref ref = fdref_get(fd);
	struct file *f = ref.file;
	ssize_t r;

	if (unlikely(f == NULL))
		return -EBADF;
	/* Without seek the position means nothing, and such files block: no lock. */
	if (f->ops->seek != NULL && pos_shared(&ref)) {
		mutex_lock(&f->pos_lock);
		r = write ? file_do_write(f, u, &f->pos) : file_do_read(f, u, &f->pos);
		mutex_unlock(&f->pos_lock);
	} else {
		r = write ? file_do_write(f, u, &f->pos) : file_do_read(f, u, &f->pos);
	}
	fdref_put(ref);
	return r;
}

static long
single_uio(struct uio *u, uaddr_t buf, uint64_t count)
{
	if (unlikely((int64_t)count < 0))
		return -EINVAL;
	if (unlikely(!user_range_ok(buf, count)))
		return -EFAULT;
	uio_user(u, buf, min(count, (uint64_t)MAX_RW_COUNT));
	u->rwf = 0;
	return 0;
}

long
sys_read(uint64_t fd, uint64_t buf, uint64_t count)
{
	struct uio u;
	long r = single_uio(&u, buf, count);

	if (unlikely(r < 0)) {
		struct fdref ref = fdref_get((int)fd);

		fdref_put(ref);
		return ref.file == NULL || !ref.file->readable ? -EBADF : r;
	}
	return rw_at_pos((int)fd, &u, false);
}

long
sys_write(uint64_t fd, uint64_t buf, uint64_t count)
{
	struct uio u;
	long r = single_uio(&u, buf, count);

	if (unlikely(r < 0)) {
		struct fdref ref = fdref_get((int)fd);

		fdref_put(ref);
		return ref.file == NULL || !ref.file->writable ? -EBADF : r;
	}
	return rw_at_pos((int)fd, &u, true);
}

/* ---- with a position ---- */

static ssize_t
rw_at(int fd, struct uio *u, int64_t pos, bool write)
{
	struct fdref ref;
	ssize_t r;

	if (pos < 0)
		return -EINVAL;
	ref = fdref_get(fd);
	if (ref.file == NULL)
		return -EBADF;
	if (ref.file->ops->seek == NULL && ref.file->ops != &path_only_ops)
		r = -ESPIPE;
	else
		r = write ? file_do_write(ref.file, u, &pos) : file_do_read(ref.file, u, &pos);
	fdref_put(ref);
	return r;
}

long
sys_pread64(uint64_t fd, uint64_t buf, uint64_t count, uint64_t pos)
{
	struct uio u;
	long r = single_uio(&u, buf, count);

	return r < 0 ? r : rw_at((int)fd, &u, (int64_t)pos, false);
}

long
sys_pwrite64(uint64_t fd, uint64_t buf, uint64_t count, uint64_t pos)
{
	struct uio u;
	long r = single_uio(&u, buf, count);

	return r < 0 ? r : rw_at((int)fd, &u, (int64_t)pos, true);
}

/* ---- vectors ---- */

struct vec {
	struct uio u;
	struct iov small[IOV_SMALL];
	struct iov *big;
};

static long
vec_get(struct vec *v, uaddr_t user, uint64_t count)
{
	struct iov *iov = v->small;
	long r;

	v->big = NULL;
	if (count > UIO_MAXIOV_)
		return -EINVAL;
	if (count > IOV_SMALL) {
		iov = v->big = kmalloc(count * sizeof(struct iov));
		if (iov == NULL)
			return -ENOMEM;
	}
	r = uio_user_vec(&v->u, user, (unsigned)count, iov, (unsigned)count);
	if (r < 0) {
		kfree(v->big);
		v->big = NULL;
		return r;
	}
	v->u.rwf = 0;
	/* What the buffers hold beyond MAX_RW_COUNT is left for the next call. */
	v->u.resid = min(v->u.resid, (size_t)MAX_RW_COUNT);
	return 0;
}

static long
vec_at_pos(uint64_t fd, uint64_t user, uint64_t count, bool write)
{
	struct vec v;
	long r = vec_get(&v, user, count);

	if (r < 0)
		return r;
	r = rw_at_pos((int)fd, &v.u, write);
	kfree(v.big);
	return r;
}

long sys_readv(uint64_t fd, uint64_t vec, uint64_t n) { return vec_at_pos(fd, vec, n, false); }
long sys_writev(uint64_t fd, uint64_t vec, uint64_t n) { return vec_at_pos(fd, vec, n, true); }

/* RWF_* that hold for this file; others are EOPNOTSUPP as in preadv2(2). */
static long
rwf_check(int fd, uint64_t flags, bool write)
{
	const uint64_t known = RWF_HIPRI | RWF_DSYNC | RWF_SYNC | RWF_NOWAIT | RWF_APPEND;
	struct fdref ref;
	long r = 0;

	if ((flags & ~known) != 0)
		return -EOPNOTSUPP;
	if ((flags & RWF_APPEND) != 0 && !write)
		return -EOPNOTSUPP;
	if ((flags & RWF_NOWAIT) == 0)
		return 0;
	ref = fdref_get(fd);
	if (ref.file == NULL)
		return -EBADF;
	if (!file_is_pipe(ref.file) && (ref.file->inode->mapping == NULL || write))
		r = -EOPNOTSUPP;
	fdref_put(ref);
	return r;
}

static long
vec_at(uint64_t fd, uint64_t user, uint64_t count, int64_t pos, uint64_t flags, bool write)
{
	struct vec v;
	long r = flags == 0 ? 0 : rwf_check((int)fd, flags, write);

	if (r < 0)
		return r;
	r = vec_get(&v, user, count);
	if (r < 0)
		return r;
	v.u.rwf = (uint32_t)flags;
	r = pos == -1 ? rw_at_pos((int)fd, &v.u, write) : rw_at((int)fd, &v.u, pos, write);
	kfree(v.big);
	return r;
}

/* pos_high is for 32-bit machines: 64-bit ones pass the whole in pos. */
long
sys_preadv(uint64_t fd, uint64_t vec, uint64_t n, uint64_t pos, uint64_t high)
{
	(void)high;
	return (int64_t)pos < 0 ? -EINVAL : vec_at(fd, vec, n, (int64_t)pos, 0, false);
}

long
sys_pwritev(uint64_t fd, uint64_t vec, uint64_t n, uint64_t pos, uint64_t high)
{
	(void)high;
	return (int64_t)pos < 0 ? -EINVAL : vec_at(fd, vec, n, (int64_t)pos, 0, true);
}

long
sys_preadv2(uint64_t fd, uint64_t vec, uint64_t n, uint64_t pos, uint64_t high, uint64_t flags)
{
	(void)high;
	return vec_at(fd, vec, n, (int64_t)pos, (uint32_t)flags, false);
}

long
sys_pwritev2(uint64_t fd, uint64_t vec, uint64_t n, uint64_t pos, uint64_t high, uint64_t flags)
{
	(void)high;
	return vec_at(fd, vec, n, (int64_t)pos, (uint32_t)flags, true);
}

/* ---- lseek ---- */

long
sys_lseek(uint64_t fd, uint64_t off, uint64_t whence)
{
	struct fdref ref = fdref_get((int)fd);
	struct file *f = ref.file;
	long r;

	if (f == NULL)
		return -EBADF;
	if ((unsigned)whence > 4) {
		r = -EINVAL;
	} else if (f->ops->seek == NULL) {
		r = -ESPIPE;
	} else if (pos_shared(&ref)) {
		mutex_lock(&f->pos_lock);
		r = f->ops->seek(f, (loff_t)off, (int)whence);
		mutex_unlock(&f->pos_lock);
	} else {
		r = f->ops->seek(f, (loff_t)off, (int)whence);
	}
	fdref_put(ref);
	return r;
}

/* ---- to the medium ---- */

static long
fd_fsync(uint64_t fd, bool datasync)
{
	struct fdref ref = fdref_get((int)fd);
	long r;

	if (ref.file == NULL)
		return -EBADF;
	r = ref.file->ops->fsync == NULL ? -EINVAL : ref.file->ops->fsync(ref.file, datasync);
	fdref_put(ref);
	return r;
}

long sys_fsync(uint64_t fd) { return fd_fsync(fd, false); }
long sys_fdatasync(uint64_t fd) { return fd_fsync(fd, true); }

long
sys_sync(void)
{
	struct mount *m;

	for (unsigned n = 0; (m = mount_nth(n)) != NULL; n++) {
		if (m->sb->ops->sync != NULL)
			m->sb->ops->sync(m->sb);
		mount_put(m);
	}
	if (blkdev_driver()->sync != NULL)
		blkdev_driver()->sync();
	return 0;
}

long
sys_syncfs(uint64_t fd)
{
	struct fdref ref = fdref_get((int)fd);
	struct super *sb;
	long r = 0;

	if (ref.file == NULL)
		return -EBADF;
	sb = ref.file->inode != NULL ? ref.file->inode->sb : NULL;
	if (sb != NULL && sb->ops->sync != NULL)
		r = sb->ops->sync(sb);
	fdref_put(ref);
	return r;
}

long
sys_sync_file_range(uint64_t fd, uint64_t off, uint64_t n, uint64_t flags)
{
	struct fdref ref = fdref_get((int)fd);
	uint64_t to = n == 0 ? INT64_MAX : off + n;
	uint32_t mode;
	long r;

	if (ref.file == NULL)
		return -EBADF;
	mode = ref.file->inode->mode & S_IFMT;
	if ((flags & ~7ULL) != 0 || (int64_t)off < 0 || (int64_t)n < 0 || (int64_t)(off + n) < (int64_t)off)
		r = -EINVAL;
	else if (mode != S_IFREG && mode != S_IFBLK && mode != S_IFDIR && mode != S_IFLNK)
		r = -ESPIPE;
	else if (flags == 0 || ref.file->ops->write_range == NULL)
		r = 0;
	else
		r = ref.file->ops->write_range(ref.file, off, to, (flags & SYNC_FILE_RANGE_WRITE) != 0,
		    (flags & (SYNC_FILE_RANGE_WAIT_BEFORE | SYNC_FILE_RANGE_WAIT_AFTER)) != 0);
	fdref_put(ref);
	return r;
}

/* What lies behind the end of the address space is not meant. */
void
file_advise(struct file *f, uint64_t from, uint64_t bytes, int advice)
{
	uint64_t to = bytes > INT64_MAX - min(from, (uint64_t)INT64_MAX) ? INT64_MAX : from + bytes;

	/* how the file is going to be read is the descriptor's, whatever the range */
	if (advice == FADV_NORMAL || advice == FADV_RANDOM || advice == FADV_SEQUENTIAL)
		WRITE_ONCE(f->access, (uint8_t)advice);
	else if (f->ops->advise != NULL && from < to)
		f->ops->advise(f, from, to, advice);
}

long
sys_readahead(uint64_t fd, uint64_t off, uint64_t n)
{
	struct fdref ref = fdref_get((int)fd);
	long r = 0;

	if (ref.file == NULL)
		return -EBADF;
	if (!ref.file->readable)
		r = -EBADF;
	else if (!is_type(ref.file->inode, S_IFREG) && !is_type(ref.file->inode, S_IFBLK))
		r = -EINVAL;
	else
		file_advise(ref.file, off, n, FADV_WILLNEED);
	fdref_put(ref);
	return r;
}

long
sys_fadvise64(uint64_t fd, uint64_t off, uint64_t len, uint64_t advice)
{
	struct fdref ref = fdref_get((int)fd);
	long r = 0;

	if (ref.file == NULL)
		return -EBADF;
	if (is_type(ref.file->inode, S_IFIFO))
		r = -ESPIPE;
	else if ((int64_t)len < 0 || advice > 5)
		r = -EINVAL;
	else
		file_advise(ref.file, off, len == 0 ? UINT64_MAX : len, (int)advice);
	fdref_put(ref);
	return r;
}

/* ---- space ---- */

static long
fallocate_check(struct file *f, int mode, loff_t off, loff_t len)
{
	const int known = FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE | FALLOC_FL_ZERO_RANGE |
	    FALLOC_FL_COLLAPSE_RANGE | FALLOC_FL_INSERT_RANGE | FALLOC_FL_UNSHARE_RANGE;

	if (off < 0 || len <= 0)
		return -EINVAL;
	if ((mode & ~known) != 0)
		return -EOPNOTSUPP;
	if ((mode & FALLOC_FL_PUNCH_HOLE) != 0 && (mode & FALLOC_FL_KEEP_SIZE) == 0)
		return -EOPNOTSUPP;
	/* these two go with nothing else */
	if (((mode & FALLOC_FL_COLLAPSE_RANGE) != 0 && mode != FALLOC_FL_COLLAPSE_RANGE) ||
	    ((mode & FALLOC_FL_INSERT_RANGE) != 0 && mode != FALLOC_FL_INSERT_RANGE))
		return -EINVAL;
	if (!f->writable)
		return -EBADF;
	if (is_type(f->inode, S_IFIFO))
		return -ESPIPE;
	if (is_type(f->inode, S_IFDIR))
		return -EISDIR;
	if (!is_type(f->inode, S_IFREG) && !is_type(f->inode, S_IFBLK))
		return -ENODEV;
	if (off > INT64_MAX - len)
		return -EFBIG;
	return f->ops->fallocate == NULL ? -EOPNOTSUPP : 0;
}

long
sys_fallocate(uint64_t fd, uint64_t mode, uint64_t off, uint64_t len)
{
	struct fdref ref = fdref_get((int)fd);
	long r;

	if (ref.file == NULL)
		return -EBADF;
	r = fallocate_check(ref.file, (int)mode, (loff_t)off, (loff_t)len);
	if (r == 0)
		r = ref.file->ops->fallocate(ref.file, (int)mode, (loff_t)off, (loff_t)len);
	if (r == 0)
		notify_file(ref.file, IN_MODIFY);
	fdref_put(ref);
	return r;
}

/* ---- ioctl ---- */

static long
ioctl_nonblock(struct file *f, uint64_t arg)
{
	uint32_t on;

	if (get_user_u32(&on, arg) < 0)
		return -EFAULT;
	if (on)
		f->flags |= O_NONBLOCK;
	else
		f->flags &= ~(uint32_t)O_NONBLOCK;
	return 0;
}

static long
ioctl_regular(struct file *f, unsigned cmd, uint64_t arg)
{
	if (cmd == FIONREAD && is_type(f->inode, S_IFREG)) {
		int64_t left = (int64_t)f->inode->size - f->pos;

		return put_user_u32(arg, (uint32_t)left);
	}
	return -ENOTTY;
}

long
sys_ioctl(uint64_t fd, uint64_t cmd64, uint64_t arg)
{
	unsigned cmd = (unsigned)cmd64;
	struct fdref ref = fdref_get((int)fd);
	long r;

	if (ref.file == NULL)
		return -EBADF;
	switch (cmd) {
	case FIOCLEX:
		r = fd_set_cloexec((unsigned)fd, true);
		break;
	case FIONCLEX:
		r = fd_set_cloexec((unsigned)fd, false);
		break;
	case FIONBIO:
		r = ioctl_nonblock(ref.file, arg);
		break;
	default:
		r = ref.file->ops->ioctl != NULL ? ref.file->ops->ioctl(ref.file, cmd, arg) : -ENOTTY;
		if (r == -ENOTTY && ref.file->inode != NULL)
			r = ioctl_regular(ref.file, cmd, arg);
	}
	fdref_put(ref);
	return r;
}
