/* SPDX-License-Identifier: MIT */
/*
 * fcntl(2): descriptor and status flags, owners, pipe sizes, seals; locks are
 * in locks.c.
 */
#include "internal.h"

#define SETFL_FLAGS (O_APPEND | O_NONBLOCK | O_DIRECT | O_NOATIME | 020000 /* FASYNC */)

enum { SEALS_ALL = 0x1f, SEAL_SEAL = 1, SEAL_WRITE = 8, FUTURE_WRITE = 16 };

static long
set_flags(struct file *f, uint32_t flags)
{
	if ((flags & O_NOATIME) != 0 && (f->flags & O_NOATIME) == 0 &&
	    (f->inode == NULL || !inode_owner_or_capable(f->inode)))
		return -EPERM;
	if ((flags & O_DIRECT) != 0 && !file_is_pipe(f) &&
	    (f->inode == NULL || (f->inode->mapping == NULL && !is_type(f->inode, S_IFBLK))))
		return -EINVAL;
	f->flags = (f->flags & ~(uint32_t)SETFL_FLAGS) | (flags & SETFL_FLAGS);
	return 0;
}

static long
set_owner(struct file *f, int who)
{
	if (who == INT32_MIN)
		return -EINVAL;
	if (who > 0) {
		struct process *p = process_find(who);

		if (p == NULL)
			return -ESRCH;
		process_put(p);
	}
	f->async.owner = who;
	return 0;
}

struct owner_ex { int type, pid; };

static long
owner_ex(struct file *f, uaddr_t arg, bool set)
{
	struct owner_ex o;

	if (set) {
		if (copy_from_user(&o, arg, sizeof(o)) < 0)
			return -EFAULT;
		if (o.type < 0 || o.type > 2)
			return -EINVAL;
		return set_owner(f, o.type == 2 ? -o.pid : o.pid);
	}
	o.type = f->async.owner < 0 ? 2 : 1;
	o.pid = f->async.owner < 0 ? -f->async.owner : f->async.owner;
	return copy_to_user(arg, &o, sizeof(o));
}

static bool
mapped_writable(struct inode *i)
{
	struct vma *v;
	bool found = false;

	spin_lock(&i->mapping->lock);
	list_for_each(v, &i->mapping->vmas, in_mapping)
		if ((v->flags & (VMA_SHARED | VMA_MAYWRITE)) == (VMA_SHARED | VMA_MAYWRITE))
			found = true;
	spin_unlock(&i->mapping->lock);
	return found;
}

static long
add_seals(struct file *f, uint32_t seals)
{
	struct inode *i = f->inode;
	long r = 0;

	if (!f->writable)
		return -EPERM;
	if ((seals & ~(uint32_t)SEALS_ALL) != 0)
		return -EINVAL;
	mutex_lock(&i->lock);
	if (i->seals & SEAL_SEAL)
		r = -EPERM;
	else if ((seals & SEAL_WRITE) != 0 && (i->seals & SEAL_WRITE) == 0 && mapped_writable(i))
		r = -EBUSY;
	else
		i->seals |= seals;
	mutex_unlock(&i->lock);
	return r;
}

static bool
can_seal(const struct file *f)
{
	return f->path.dentry != NULL && (f->path.dentry->flags & DF_ANON) != 0 && tmpfs_is(f->inode);
}

static long
do_fcntl(struct file *f, int fd, unsigned cmd, uint64_t arg)
{
	switch (cmd) {
	case F_DUPFD:
		return fd_dup_from(f, (uint32_t)arg, false);
	case F_DUPFD_CLOEXEC:
		return fd_dup_from(f, (uint32_t)arg, true);
	case F_GETFD:
		return files_cloexec(current->files, (unsigned)fd) ? FD_CLOEXEC : 0;
	case F_SETFD:
		return fd_set_cloexec((unsigned)fd, (arg & FD_CLOEXEC) != 0);
	case F_GETFL:
		return f->flags;
	}
	if (f->flags & O_PATH)
		return -EBADF;
	switch (cmd) {
	case F_SETFL:
		return set_flags(f, (uint32_t)arg);
	case F_GETLK:
	case F_SETLK:
	case F_SETLKW:
	case F_OFD_GETLK:
	case F_OFD_SETLK:
	case F_OFD_SETLKW:
		return locks_fcntl(f, cmd, arg, fd);
	case F_SETOWN:
		return set_owner(f, (int)arg);
	case F_GETOWN:
		return f->async.owner;
	case F_SETOWN_EX:
		return owner_ex(f, arg, true);
	case F_GETOWN_EX:
		return owner_ex(f, arg, false);
	case F_SETSIG:
		if (arg > NSIG_)
			return -EINVAL;
		f->async.sig = (int)arg;
		return 0;
	case F_GETSIG:
		return f->async.sig;
	case F_SETPIPE_SZ:
	case F_GETPIPE_SZ:
		return pipe_fcntl(f, cmd, arg);
	case F_ADD_SEALS:
		return can_seal(f) ? add_seals(f, (uint32_t)arg) : -EINVAL;
	case F_GET_SEALS:
		return can_seal(f) ? (long)f->inode->seals : -EINVAL;
	default:
		return -EINVAL;
	}
}

long
sys_fcntl(uint64_t fd, uint64_t cmd, uint64_t arg)
{
	struct fdref ref = fdref_get_any((int)fd);
	long r;

	if (ref.file == NULL)
		return -EBADF;
	r = do_fcntl(ref.file, (int)fd, (unsigned)cmd, arg);
	fdref_put(ref);
	return r;
}
