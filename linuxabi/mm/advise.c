/* SPDX-License-Identifier: MIT */
/* madvise, mincore, msync, mlock and process_vm_readv/writev. */
#include <asm/mman.h>
#include <linux/mman.h>
#include "internal.h"
#include "syscall.h"
#include "uaccess.h"

enum { CAP_IPC_LOCK_ = 14, CAP_SYS_PTRACE_ = 19 };

/* Call fn for each area of [start, end), cut to the range by splitting if `split`.
 * -ENOMEM at the end if there were holes, as madvise reports them. */
static long
for_areas(struct mm *mm, uaddr_t start, uaddr_t end, bool split,
    long (*fn)(struct mm *, struct vma *, uaddr_t, uaddr_t, int), int arg)
{
	uaddr_t at = start;
	bool holes = false;

	while (at < end) {
		struct vma *v = vma_above(mm, at);
		uaddr_t stop;
		long r;

		if (v == NULL || v->start >= end)
			return -ENOMEM;
		if (v->start > at) {
			holes = true;
			at = v->start;
		}
		stop = min(v->end, end);
		if (split && !(v->flags & VMA_SPECIAL)) {
			if (v->start < at && (v = vma_split(mm, v, at)) == NULL)
				return -ENOMEM;
			if (v->end > stop && vma_split(mm, v, stop) == NULL)
				return -ENOMEM;
		}
		r = fn(mm, v, at, stop, arg);
		if (r != 0)
			return r;
		at = stop;
	}
	return holes ? -ENOMEM : 0;
}

/* --- madvise --- */

static long
advise_drop(struct mm *mm, struct vma *v, uaddr_t start, uaddr_t end, int advice)
{
	if ((v->flags & VMA_LOCKED) && advice != MADV_DONTNEED_LOCKED)
		return -EINVAL;
	if (advice == MADV_FREE && v->mapping != NULL)
		return -EINVAL;
	if (v->flags & VMA_SPECIAL)
		return -EINVAL;
	zap_range(mm, start, end);
	return 0;
}

static long
advise_populate(struct mm *mm, struct vma *v, uaddr_t start, uaddr_t end, int advice)
{
	unsigned access = advice == MADV_POPULATE_WRITE ? VMA_WRITE : VMA_READ;

	if (!(v->flags & (access == VMA_WRITE ? VMA_WRITE : (VMA_READ | VMA_WRITE | VMA_EXEC)))
	    || (v->flags & VMA_SPECIAL))
		return -EINVAL;
	for (uaddr_t a = start; a < end; a += PAGE_SIZE) {
		long r = fault_locked(mm, v, a, access);

		if (r != 0)
			return r == -EIO ? -EFAULT : r;
		if (signal_fatal_pending(current))
			return -EINTR;
	}
	return 0;
}

static long
advise_flags(struct mm *mm, struct vma *v, uaddr_t start, uaddr_t end, int advice)
{
	uint32_t before = v->flags;

	(void)start;
	(void)end;
	if (v->flags & VMA_SPECIAL)
		return -EINVAL;
	switch (advice) {
	case MADV_DONTFORK:
		v->flags |= VMA_DONTFORK;
		break;
	case MADV_DOFORK:
		v->flags &= ~(uint32_t)VMA_DONTFORK;
		break;
	case MADV_WIPEONFORK:
		if (v->file != NULL || (v->flags & VMA_SHARED))
			return -EINVAL;
		v->flags |= VMA_WIPEONFORK;
		break;
	case MADV_KEEPONFORK:
		v->flags &= ~(uint32_t)VMA_WIPEONFORK;
		break;
	case MADV_DONTDUMP:
		v->flags |= VMA_DONTDUMP;
		break;
	case MADV_DODUMP:
		v->flags &= ~(uint32_t)VMA_DONTDUMP;
		break;
	}
	if (v->flags != before)
		vma_merge(mm, v);
	return 0;
}

/* As readahead(2) on what is mapped. */
static long
advise_willneed(struct mm *mm, struct vma *v, uaddr_t start, uaddr_t end, int advice)
{
	(void)mm;
	(void)advice;
	if (v->file != NULL && v->mapping != NULL)
		file_advise(v->file, (v->pgoff << PAGE_SHIFT) + (start - v->start), end - start, FADV_WILLNEED);
	return 0;
}

static long
advise_nothing(struct mm *mm, struct vma *v, uaddr_t start, uaddr_t end, int advice)
{
	(void)mm;
	(void)start;
	(void)end;
	if ((advice == MADV_COLD || advice == MADV_PAGEOUT) && (v->flags & (VMA_LOCKED | VMA_SPECIAL)))
		return -EINVAL;
	return 0;
}

/* Punch a hole into what is mapped shared: the pages read as zero afterwards. */
static long
advise_remove(struct mm *mm, uaddr_t start, uaddr_t end)
{
	struct vma *v;
	struct file *f = NULL;
	uint64_t first, last;
	long r = 0;

	mutex_lock(&mm->lock);
	v = vma_find(mm, start);
	if (v == NULL || v->end < end)
		r = -ENOMEM;
	else if ((v->flags & (VMA_SHARED | VMA_WRITE)) != (VMA_SHARED | VMA_WRITE) || (v->flags & VMA_LOCKED))
		r = (v->flags & VMA_LOCKED) ? -EINVAL : -EACCES;
	else if (v->file == NULL || v->file->ops->fallocate == NULL)
		r = v->file == NULL ? 0 : -EINVAL;
	if (r != 0) {
		mm_unlock(mm);
		return r;
	}
	first = v->pgoff + ((start - v->start) >> PAGE_SHIFT);
	last = first + ((end - start) >> PAGE_SHIFT) - 1;
	f = v->file;
	if (f != NULL)
		file_get(f);
	else
		shared_anon_get(v->mapping);
	struct mapping *m = v->mapping;

	mm_unlock(mm);
	if (f != NULL) {
		/* FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE */
		r = f->ops->fallocate(f, 3, (loff_t)(first << PAGE_SHIFT), (loff_t)(end - start));
		file_put(f);
	} else {
		mapping_truncate(m, first, last);
		shared_anon_put(m);
	}
	return r;
}

static long
advise(struct mm *mm, uaddr_t start, uaddr_t end, int advice)
{
	switch (advice) {
	case MADV_DONTNEED:
	case MADV_DONTNEED_LOCKED:
	case MADV_FREE:
		return for_areas(mm, start, end, false, advise_drop, advice);
	case MADV_WILLNEED:
		return for_areas(mm, start, end, false, advise_willneed, advice);
	case MADV_POPULATE_READ:
	case MADV_POPULATE_WRITE:
		return for_areas(mm, start, end, false, advise_populate, advice);
	case MADV_DONTFORK:
	case MADV_DOFORK:
	case MADV_WIPEONFORK:
	case MADV_KEEPONFORK:
	case MADV_DONTDUMP:
	case MADV_DODUMP:
		return for_areas(mm, start, end, true, advise_flags, advice);
	default:
		return for_areas(mm, start, end, false, advise_nothing, advice);
	}
}

static bool
advice_known(int advice)
{
	switch (advice) {
	case MADV_NORMAL: case MADV_RANDOM: case MADV_SEQUENTIAL: case MADV_WILLNEED:
	case MADV_DONTNEED: case MADV_FREE: case MADV_REMOVE: case MADV_DONTFORK: case MADV_DOFORK:
	case MADV_MERGEABLE: case MADV_UNMERGEABLE: case MADV_HUGEPAGE: case MADV_NOHUGEPAGE:
	case MADV_DONTDUMP: case MADV_DODUMP: case MADV_WIPEONFORK: case MADV_KEEPONFORK:
	case MADV_COLD: case MADV_PAGEOUT: case MADV_POPULATE_READ: case MADV_POPULATE_WRITE:
	case MADV_DONTNEED_LOCKED:
		return true;
	default:
		return false;		/* MADV_COLLAPSE too: there are no huge pages */
	}
}

long
sys_madvise(uint64_t start, uint64_t len, uint64_t advice)
{
	struct mm *mm = current->mm;
	uint64_t end;
	long r;

	start &= (1UL << 56) - 1;
	if (!advice_known((int)advice) || (start & ~PAGE_MASK))
		return -EINVAL;
	if (len != 0 && PAGE_UP(len) == 0)
		return -EINVAL;
	end = start + PAGE_UP(len);
	if (end < start)
		return -EINVAL;
	if (end == start)
		return 0;
	if ((int)advice == MADV_REMOVE)
		return advise_remove(mm, start, end);
	mutex_lock(&mm->lock);
	r = advise(mm, start, end, (int)advice);
	mm_unlock(mm);
	return r;
}

/* --- mincore, msync --- */

static bool
page_resident(struct mm *mm, struct vma *v, uaddr_t a)
{
	struct page *p;
	bool there;

	if (pgtable_get(mm, a).flags != 0)
		return true;
	if (v->mapping == NULL)
		return false;
	spin_lock(&v->mapping->lock);
	p = radix_get(&v->mapping->tree, v->pgoff + ((a - v->start) >> PAGE_SHIFT));
	there = p != NULL && (page_state(p) & (PS_READING | PS_ERROR)) == 0;
	spin_unlock(&v->mapping->lock);
	return there;
}

/* Up to a page's worth of answers; the user's vector is written without the lock. */
static long
mincore_some(struct mm *mm, uaddr_t start, unsigned pages, uint8_t *out)
{
	long r = 0;

	mutex_lock(&mm->lock);
	for (unsigned i = 0; i < pages; i++) {
		uaddr_t a = start + ((uaddr_t)i << PAGE_SHIFT);
		struct vma *v = vma_find(mm, a);

		if (v == NULL) {
			r = -ENOMEM;
			break;
		}
		out[i] = page_resident(mm, v, a);
	}
	mm_unlock(mm);
	return r;
}

long
sys_mincore(uint64_t start, uint64_t len, uint64_t vec)
{
	uint64_t pages = PAGE_UP(len) >> PAGE_SHIFT;
	uint8_t out[256];

	start &= (1UL << 56) - 1;
	if (start & ~PAGE_MASK)
		return -EINVAL;
	if (!user_range_ok(start, len))
		return -ENOMEM;
	if (!user_range_ok(vec, pages))
		return -EFAULT;
	while (pages > 0) {
		unsigned n = (unsigned)min(pages, (uint64_t)sizeof(out));
		long r = mincore_some(current->mm, start, n, out);

		if (r != 0)
			return r;
		if (copy_to_user(vec, out, n) != 0)
			return -EFAULT;
		start += (uint64_t)n << PAGE_SHIFT;
		vec += n;
		pages -= n;
	}
	return 0;
}

/* The file behind the first shared area at or after *at (below end), with a reference. */
static struct file *
next_shared_file(struct mm *mm, uaddr_t *at, uaddr_t end, bool *holes)
{
	struct file *f = NULL;

	mutex_lock(&mm->lock);
	while (*at < end && f == NULL) {
		struct vma *v = vma_above(mm, *at);

		if (v == NULL || v->start >= end) {
			*holes = true;
			*at = end;
			break;
		}
		if (v->start > *at)
			*holes = true;
		*at = v->end;
		if ((v->flags & VMA_SHARED) && v->file != NULL && v->file->ops->fsync != NULL) {
			f = v->file;
			file_get(f);
		}
	}
	mm_unlock(mm);
	return f;
}

long
sys_msync(uint64_t start, uint64_t len, uint64_t flags)
{
	struct mm *mm = current->mm;
	uint64_t end = start + PAGE_UP(len);
	bool holes = false;
	struct file *f;
	long r = 0;

	if ((flags & ~(uint64_t)(MS_ASYNC | MS_INVALIDATE | MS_SYNC)) || (start & ~PAGE_MASK)
	    || (flags & (MS_ASYNC | MS_SYNC)) == (MS_ASYNC | MS_SYNC))
		return -EINVAL;
	if (end < start)
		return -ENOMEM;
	while (r == 0 && (f = next_shared_file(mm, &start, end, &holes)) != NULL) {
		if (flags & MS_SYNC)
			r = f->ops->fsync(f, false);
		file_put(f);
	}
	return r != 0 ? r : holes ? -ENOMEM : 0;
}

/* --- mlock: nothing is ever paged out, so a lock means: brought in, and counted --- */

static bool
lock_allowed(struct mm *mm, uint64_t more)
{
	uint64_t limit = mm_rlimit(RL_MEMLOCK);

	return ((current->cred->cap_effective >> CAP_IPC_LOCK_) & 1) || limit == UINT64_MAX
	    || mm->locked_pages + more <= limit >> PAGE_SHIFT;
}

static bool
lock_possible(void)
{
	return ((current->cred->cap_effective >> CAP_IPC_LOCK_) & 1) || mm_rlimit(RL_MEMLOCK) != 0;
}

static long
lock_area(struct mm *mm, struct vma *v, uaddr_t start, uaddr_t end, int lock)
{
	uint64_t pages = (end - start) >> PAGE_SHIFT;

	if ((v->flags & VMA_SPECIAL) || !!(v->flags & VMA_LOCKED) == !!lock)
		return 0;
	if (lock) {
		v->flags |= VMA_LOCKED;
		mm->locked_pages += pages;
	} else {
		v->flags &= ~(uint32_t)VMA_LOCKED;
		mm->locked_pages -= pages;
	}
	vma_merge(mm, v);
	return 0;
}

static long
do_mlock(uint64_t start, uint64_t len, bool lock, bool populate)
{
	struct mm *mm = current->mm;
	uint64_t from = PAGE_DOWN(start & ((1UL << 56) - 1)), end = PAGE_UP((start & ((1UL << 56) - 1)) + len);
	long r;

	if (lock && !lock_possible())
		return -EPERM;
	if (end < from)
		return lock ? -ENOMEM : -EINVAL;
	if (end == from)
		return 0;
	mutex_lock(&mm->lock);
	if (lock && !lock_allowed(mm, (end - from) >> PAGE_SHIFT))
		r = -ENOMEM;
	else
		r = for_areas(mm, from, end, true, lock_area, lock);
	if (r == 0 && lock && populate)
		r = mm_populate(mm, from, end) != 0 ? -ENOMEM : 0;
	mm_unlock(mm);
	return r;
}

long
sys_mlock(uint64_t start, uint64_t len)
{
	return do_mlock(start, len, true, true);
}

long
sys_mlock2(uint64_t start, uint64_t len, uint64_t flags)
{
	if (flags & ~(uint64_t)MLOCK_ONFAULT)
		return -EINVAL;
	return do_mlock(start, len, true, !(flags & MLOCK_ONFAULT));
}

long
sys_munlock(uint64_t start, uint64_t len)
{
	return do_mlock(start, len, false, false);
}

static void
lock_all(struct mm *mm, bool lock, bool populate)
{
	for (struct vma *v = vma_first(mm); v != NULL; v = vma_next(mm, v))
		if (!(v->flags & VMA_SPECIAL) && !!(v->flags & VMA_LOCKED) != lock) {
			v->flags ^= VMA_LOCKED;
			mm->locked_pages += ((v->end - v->start) >> PAGE_SHIFT) * (lock ? 1 : (uint64_t)-1);
		}
	if (!populate)
		return;
	for (struct vma *v = vma_first(mm); v != NULL; v = vma_next(mm, v))
		mm_populate(mm, v->start, v->end);
}

long
sys_mlockall(uint64_t flags)
{
	struct mm *mm = current->mm;
	long r = 0;

	if (flags == 0 || (flags & ~(uint64_t)(MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT)) || flags == MCL_ONFAULT)
		return -EINVAL;
	if (!lock_possible())
		return -EPERM;
	mutex_lock(&mm->lock);
	if ((flags & MCL_CURRENT) && !lock_allowed(mm, mm->total_pages - mm->locked_pages)) {
		r = -ENOMEM;
	} else {
		mm->default_flags = (flags & MCL_FUTURE) ? VMA_LOCKED : 0;
		if (flags & MCL_CURRENT)
			lock_all(mm, true, !(flags & MCL_ONFAULT));
	}
	mm_unlock(mm);
	return r;
}

long
sys_munlockall(void)
{
	struct mm *mm = current->mm;

	mutex_lock(&mm->lock);
	mm->default_flags = 0;
	lock_all(mm, false, false);
	mm_unlock(mm);
	return 0;
}

/* --- process_vm_readv, process_vm_writev --- */

static bool
may_access(const struct task *t)
{
	const struct cred *c = current->cred, *o = t->cred;

	if (t->process == current->process || ((c->cap_effective >> CAP_SYS_PTRACE_) & 1))
		return true;
	return c->uid == o->euid && c->uid == o->suid && c->uid == o->uid
	    && c->gid == o->egid && c->gid == o->sgid && c->gid == o->gid && t->process->dumpable;
}

/* Moves one remote element; bytes, less at a bad address on either side. */
static size_t
move_remote(struct mm *mm, struct uio *local, const struct iov *remote, bool write, void *buf)
{
	size_t done = 0;

	while (done < remote->len && local->resid != 0) {
		size_t n = min(min(remote->len - done, (uint64_t)PAGE_SIZE), (uint64_t)local->resid);
		ssize_t r;
		size_t m;

		if (write) {
			m = uio_get(local, buf, n);
			r = m != 0 ? mm_access(mm, remote->base + done, buf, m, true) : 0;
			m = r > 0 ? (size_t)r : 0;
		} else {
			r = mm_access(mm, remote->base + done, buf, n, false);
			m = r > 0 ? uio_put(local, buf, (size_t)r) : 0;
		}
		done += m;
		if (m != n)
			break;
	}
	return done;
}

static long
move_all(struct mm *mm, struct uio *local, const struct iov *remote, unsigned count, bool write)
{
	void *buf = kmalloc(PAGE_SIZE);
	size_t total = 0, want = local->resid;

	if (buf == NULL)
		return -ENOMEM;
	for (unsigned i = 0; i < count && local->resid != 0; i++) {
		size_t n = move_remote(mm, local, &remote[i], write, buf);

		total += n;
		if (n != min(remote[i].len, (uint64_t)(want - (total - n))))
			break;
	}
	kfree(buf);
	return total != 0 || want == 0 ? (long)total : -EFAULT;
}

static long
remote_vector(struct iov **out, uaddr_t vec, uint64_t count)
{
	struct iov *v;
	uint64_t sum = 0;

	*out = NULL;
	if (count > UIO_MAXIOV_)
		return -EINVAL;
	v = kmalloc(max(count, (uint64_t)1) * sizeof(*v));
	if (v == NULL)
		return -ENOMEM;
	if (copy_from_user(v, vec, count * sizeof(*v)) != 0) {
		kfree(v);
		return -EFAULT;
	}
	for (uint64_t i = 0; i < count; i++) {
		if (v[i].len > INT64_MAX - sum) {
			kfree(v);
			return -EINVAL;
		}
		sum += v[i].len;
	}
	*out = v;
	return sum != 0;
}

static long
vm_transfer(int pid, uaddr_t lvec, uint64_t lcount, uaddr_t rvec, uint64_t rcount, bool write)
{
	struct iov *liov = kmalloc(UIO_MAXIOV_ * sizeof(*liov)), *riov = NULL;
	struct task *t = NULL;
	struct mm *mm = NULL;
	struct uio local;
	long r;

	if (liov == NULL)
		return -ENOMEM;
	r = lcount > UIO_MAXIOV_ ? -EINVAL : uio_user_vec(&local, lvec, (unsigned)lcount, liov, UIO_MAXIOV_);
	if (r >= 0)
		r = remote_vector(&riov, rvec, rcount);
	if (r <= 0)
		goto out;
	t = task_find(pid);
	r = t == NULL ? -ESRCH : !may_access(t) ? -EPERM : 0;
	if (r == 0) {
		mm = mm_of_task(t);
		r = mm != NULL ? move_all(mm, &local, riov, (unsigned)rcount, write) : -ESRCH;
	}
out:
	if (mm != NULL)
		mm_put(mm);
	if (t != NULL)
		task_put(t);
	kfree(riov);
	kfree(liov);
	return r;
}

long
sys_process_vm_readv(uint64_t pid, uint64_t lvec, uint64_t lcount, uint64_t rvec, uint64_t rcount, uint64_t flags)
{
	return flags != 0 ? -EINVAL : vm_transfer((int)pid, lvec, lcount, rvec, rcount, false);
}

long
sys_process_vm_writev(uint64_t pid, uint64_t lvec, uint64_t lcount, uint64_t rvec, uint64_t rcount, uint64_t flags)
{
	return flags != 0 ? -EINVAL : vm_transfer((int)pid, lvec, lcount, rvec, rcount, true);
}
