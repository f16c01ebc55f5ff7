/* SPDX-License-Identifier: MIT */
/*
 * mmap, munmap, mprotect, mremap and brk: what a program asks of its address
 * space.  Checks come in Linux's order, since their errors are part of the interface.
 */
#include <asm/mman.h>
#include <linux/mman.h>
#include "internal.h"
#include "syscall.h"
#include "uaccess.h"

enum { MNT_NOEXEC = 8 /* MS_NOEXEC */, CAP_SYS_RAWIO_ = 17, CAP_IPC_LOCK_ = 14 };

static bool
capable(unsigned cap)
{
	return (current->cred->cap_effective >> cap) & 1;
}

uint64_t
mm_rlimit(unsigned resource)
{
	return current->process != NULL ? rlimit(resource) : UINT64_MAX;
}

uint64_t
mm_stack_limit(void)
{
	return mm_rlimit(RL_STACK);
}

unsigned
vma_pte_flags(const struct vma *v)
{
	if (!(v->flags & (VMA_READ | VMA_WRITE | VMA_EXEC)))
		return PTE_NONE | PTE_YOUNG;
	return PTE_READ | PTE_YOUNG | ((v->flags & VMA_EXEC) ? PTE_EXEC : 0);
}

static uint32_t
prot_flags(unsigned prot)
{
	return ((prot & PROT_READ) ? VMA_READ : 0) | ((prot & PROT_WRITE) ? VMA_WRITE : 0)
	    | ((prot & PROT_EXEC) ? VMA_EXEC : 0);
}

static bool
is_data(uint32_t flags)
{
	return (flags & (VMA_WRITE | VMA_SHARED | VMA_STACK | VMA_GROWSDOWN)) == VMA_WRITE;
}

static uint64_t
data_pages(struct mm *mm)
{
	uint64_t n = 0;

	for (struct vma *v = vma_first(mm); v != NULL; v = vma_next(mm, v))
		if (is_data(v->flags))
			n += (v->end - v->start) >> PAGE_SHIFT;
	return n;
}

/* RLIMIT_AS and RLIMIT_DATA. */
bool
mm_may_expand(struct mm *mm, uint64_t pages, uint32_t flags)
{
	uint64_t limit = mm_rlimit(RL_AS);

	if (limit != UINT64_MAX && mm->total_pages + pages > limit >> PAGE_SHIFT)
		return false;
	if (!is_data(flags))
		return true;
	limit = mm_rlimit(RL_DATA);
	return limit == UINT64_MAX || data_pages(mm) + pages <= limit >> PAGE_SHIFT;
}

/* Linux's heuristic: only what can never be is refused. */
static bool
may_commit(uint64_t pages, uint32_t flags)
{
	if (flags & VMA_NORESERVE)
		return true;
	return pages <= pages_total();
}

static bool
may_lock(struct mm *mm, uint64_t pages)
{
	return capable(CAP_IPC_LOCK_)
	    || mm->locked_pages + pages <= mm_rlimit(RL_MEMLOCK) >> PAGE_SHIFT;
}

/* --- mmap --- */

struct request {
	uaddr_t addr;
	size_t len;
	unsigned prot, flags;
	struct file *file;
	uint64_t pgoff;
	uint32_t vma_flags;
};

static long
check_file(struct request *q)
{
	unsigned type = q->flags & MAP_TYPE;
	struct file *f = q->file;
	enum { KNOWN = MAP_TYPE | MAP_FIXED | MAP_ANONYMOUS | MAP_GROWSDOWN | MAP_DENYWRITE
	    | MAP_EXECUTABLE | MAP_LOCKED | MAP_NORESERVE | MAP_POPULATE | MAP_NONBLOCK
	    | MAP_STACK | MAP_HUGETLB | MAP_UNINITIALIZED | MAP_FIXED_NOREPLACE };

	if (type == MAP_SHARED_VALIDATE && (q->flags & ~(unsigned)KNOWN))
		return -EOPNOTSUPP;
	if (type == MAP_SHARED || type == MAP_SHARED_VALIDATE) {
		if ((q->prot & PROT_WRITE) && !f->writable)
			return -EACCES;
		q->vma_flags |= VMA_SHARED | (f->writable ? VMA_MAYWRITE : 0);
	} else if (type == MAP_PRIVATE) {
		q->vma_flags |= VMA_MAYWRITE;
	} else {
		return -EINVAL;
	}
	if (!f->readable)
		return -EACCES;
	if ((q->prot & PROT_EXEC) && f->path.mnt != NULL && (f->path.mnt->flags & MNT_NOEXEC))
		return -EPERM;
	if (f->ops->mmap == NULL && (f->inode == NULL || f->inode->mapping == NULL))
		return -ENODEV;
	if (q->flags & MAP_GROWSDOWN)
		return -EINVAL;
	return 0;
}

static long
check_anonymous(struct request *q)
{
	unsigned type = q->flags & MAP_TYPE;

	q->vma_flags |= VMA_MAYWRITE;
	if (type == MAP_SHARED || type == MAP_SHARED_VALIDATE) {
		if (q->flags & MAP_GROWSDOWN)
			return -EINVAL;
		q->pgoff = 0;
		q->vma_flags |= VMA_SHARED;
		return 0;
	}
	return type == MAP_PRIVATE ? 0 : -EINVAL;
}

/* Where the area goes.  Nothing is unmapped yet. */
static long
place(struct mm *mm, struct request *q)
{
	if (q->len > TASK_SIZE)
		return -ENOMEM;
	if (q->flags & (MAP_FIXED | MAP_FIXED_NOREPLACE)) {
		struct vma *v;

		if (q->addr > TASK_SIZE - q->len)
			return -ENOMEM;
		if (q->addr & ~PAGE_MASK)
			return -EINVAL;
		if (q->addr < MMAP_MIN_ADDR && !capable(CAP_SYS_RAWIO_))
			return -EPERM;
		v = (q->flags & MAP_FIXED_NOREPLACE) ? vma_above(mm, q->addr) : NULL;
		return v != NULL && v->start < q->addr + q->len ? -EEXIST : 0;
	}
	if (q->addr != 0) {
		uaddr_t hint = max(PAGE_UP(q->addr), (uaddr_t)MMAP_MIN_ADDR);
		struct vma *v = hint <= TASK_SIZE - q->len ? vma_above(mm, hint) : NULL;

		if (hint <= TASK_SIZE - q->len && (v == NULL
		    || hint + q->len + ((v->flags & VMA_GROWSDOWN) ? STACK_GAP : 0) <= v->start)) {
			q->addr = hint;
			return 0;
		}
	}
	q->addr = vma_gap_below(mm, mm->mmap_base, q->len);
	if (q->addr == 0)
		q->addr = vma_gap_above(mm, mm->mmap_base, TASK_SIZE, q->len);
	return q->addr != 0 ? 0 : -ENOMEM;
}

static long
attach_backing(struct vma *v, const struct request *q)
{
	if (q->file == NULL) {
		if (!(v->flags & VMA_SHARED))
			return 0;
		v->name = "/dev/zero (deleted)";
		v->mapping = shared_anon_create();
		return v->mapping != NULL ? 0 : -ENOMEM;
	}
	file_get(q->file);
	v->file = q->file;
	if (q->file->inode != NULL)
		v->mapping = q->file->inode->mapping;
	return q->file->ops->mmap != NULL ? q->file->ops->mmap(q->file, v) : 0;
}

/* The common case, an anonymous area beside another of its kind, needs no new one. */
static struct vma *
grow_neighbour(struct mm *mm, const struct request *q)
{
	uaddr_t end = q->addr + q->len;
	struct vma *up, *down;

	if (q->file != NULL || (q->vma_flags & VMA_SHARED))
		return NULL;
	up = vma_above(mm, q->addr);
	down = up != NULL ? vma_prev(mm, up)
	    : list_empty(&mm->vma_list) ? NULL : list_entry(mm->vma_list.prev, struct vma, in_mm);
	if (up != NULL && up->start == end && up->flags == q->vma_flags && up->mapping == NULL
	    && up->name == NULL) {
		vma_move_start(mm, up, q->addr);
		return vma_merge(mm, up);
	}
	if (down != NULL && down->end == q->addr && down->flags == q->vma_flags
	    && down->mapping == NULL && down->name == NULL) {
		vma_move_end(mm, down, end);
		return vma_merge(mm, down);
	}
	return NULL;
}

static long
map_locked(struct mm *mm, struct request *q)
{
	uint64_t pages = q->len >> PAGE_SHIFT;
	struct vma *v;
	long r = place(mm, q);

	if (r != 0)
		return r;
	q->vma_flags |= prot_flags(q->prot) | mm->default_flags
	    | ((q->flags & MAP_GROWSDOWN) ? VMA_GROWSDOWN : 0)
	    | ((q->flags & MAP_NORESERVE) ? VMA_NORESERVE : 0)
	    | ((q->flags & MAP_LOCKED) ? VMA_LOCKED : 0);
	if ((q->vma_flags & VMA_LOCKED) && !may_lock(mm, pages))
		return mm_rlimit(RL_MEMLOCK) == 0 ? -EPERM : -EAGAIN;
	r = q->file != NULL ? check_file(q) : check_anonymous(q);
	if (r != 0)
		return r;
	if (!mm_may_expand(mm, pages, q->vma_flags))
		return -ENOMEM;
	if (((q->vma_flags & (VMA_WRITE | VMA_SHARED)) == VMA_WRITE
	    || (q->file == NULL && (q->vma_flags & VMA_SHARED))) && !may_commit(pages, q->vma_flags))
		return -ENOMEM;
	if (mm->vma_count >= MAP_COUNT_MAX)
		return -ENOMEM;
	r = mm_unmap_locked(mm, q->addr, q->addr + q->len);
	if (r != 0)
		return r;
	if (q->vma_flags & VMA_LOCKED)
		mm->locked_pages += pages;
	if (grow_neighbour(mm, q) != NULL)
		return (long)q->addr;
	v = vma_alloc(mm);
	if (v == NULL)
		return -ENOMEM;
	v->start = q->addr;
	v->end = q->addr + q->len;
	v->flags = q->vma_flags;
	v->pgoff = q->pgoff;
	r = attach_backing(v, q);
	if (r != 0) {
		if (q->vma_flags & VMA_LOCKED)
			mm->locked_pages -= pages;
		vma_free(v);
		return r;
	}
	vma_insert(mm, v);
	if (v->file != NULL)
		vma_merge(mm, v);
	return (long)q->addr;
}

long
mm_map(struct mm *mm, uaddr_t hint, size_t len, unsigned prot, unsigned flags,
    struct file *file, uint64_t offset)
{
	struct request q = {
		.addr = hint, .len = PAGE_UP(len), .prot = prot, .flags = flags, .file = file,
		.pgoff = offset >> PAGE_SHIFT,
	};
	long r;

	if (len == 0 || (offset & ~PAGE_MASK))
		return -EINVAL;
	if (q.len == 0)
		return -ENOMEM;
	if (q.pgoff + (q.len >> PAGE_SHIFT) < q.pgoff || offset > (uint64_t)INT64_MAX - q.len)
		return -EOVERFLOW;
	mutex_lock(&mm->lock);
	r = map_locked(mm, &q);
	if (r >= 0 && ((flags & MAP_POPULATE) || (q.vma_flags & VMA_LOCKED))
	    && (q.vma_flags & (VMA_READ | VMA_WRITE | VMA_EXEC)) && !(flags & MAP_NONBLOCK))
		mm_populate(mm, (uaddr_t)r, (uaddr_t)r + q.len);
	mm_unlock(mm);
	return r;
}

long
vma_make_anonymous(struct vma *v)
{
	struct file *f = v->file;

	if (v->flags & VMA_SHARED) {
		struct mapping *m = shared_anon_create();

		if (m == NULL)
			return -ENOMEM;
		v->mapping = m;
		v->name = "/dev/zero (deleted)";
	} else {
		v->mapping = NULL;
	}
	v->file = NULL;
	if (f != NULL)
		file_put(f);		/* the caller still holds one */
	return 0;
}

long
sys_mmap(uint64_t addr, uint64_t len, uint64_t prot, uint64_t flags, uint64_t fd, uint64_t offset)
{
	struct file *f = NULL;
	long r;

	if (offset & ~PAGE_MASK)
		return -EINVAL;
	if (!(flags & MAP_ANONYMOUS)) {
		f = fd_get((int)fd);
		if (f == NULL)
			return -EBADF;
		if (flags & MAP_HUGETLB) {
			file_put(f);
			return -EINVAL;
		}
	} else if (flags & MAP_HUGETLB) {
		return -ENOMEM;		/* there is no pool of huge pages */
	}
	r = mm_map(current->mm, addr, len, (unsigned)prot, (unsigned)flags, f, offset);
	if (f != NULL)
		file_put(f);
	return r;
}

long
sys_munmap(uint64_t addr, uint64_t len)
{
	return mm_unmap(current->mm, addr, len);
}

/* --- brk --- */

static const char heap_name[] = "[heap]";

static bool
brk_grow(struct mm *mm, uaddr_t from, uaddr_t to)
{
	uint64_t pages = (to - from) >> PAGE_SHIFT;
	uint32_t flags = VMA_READ | VMA_WRITE | VMA_MAYWRITE | mm->default_flags;
	struct vma *v = vma_above(mm, from), *heap;

	if (to > TASK_SIZE || (v != NULL && v->start < to + ((v->flags & VMA_GROWSDOWN) ? STACK_GAP : 0)))
		return false;
	if (!mm_may_expand(mm, pages, flags) || !may_commit(pages, flags))
		return false;
	if ((flags & VMA_LOCKED) && !may_lock(mm, pages))
		return false;
	heap = vma_find(mm, from - 1);
	if (heap != NULL && heap->flags == flags && heap->name == heap_name) {
		vma_move_end(mm, heap, to);
	} else {
		heap = vma_alloc(mm);
		if (heap == NULL || mm->vma_count >= MAP_COUNT_MAX) {
			if (heap != NULL)
				vma_free(heap);
			return false;
		}
		heap->start = from;
		heap->end = to;
		heap->flags = flags;
		heap->name = heap_name;
		vma_insert(mm, heap);
	}
	if (flags & VMA_LOCKED) {
		mm->locked_pages += pages;
		mm_populate(mm, from, to);
	}
	return true;
}

long
sys_brk(uint64_t want)
{
	struct mm *mm = current->mm;
	uaddr_t now, to;
	uint64_t limit;

	mutex_lock(&mm->lock);
	now = PAGE_UP(mm->brk);
	to = PAGE_UP(want);
	limit = mm_rlimit(RL_DATA);
	if (want < mm->brk_start || want > TASK_SIZE || (limit != UINT64_MAX && want - mm->brk_start > limit))
		goto out;
	if (to < now && mm_unmap_locked(mm, to, now) != 0)
		goto out;
	if (to > now && !brk_grow(mm, now, to))
		goto out;
	mm->brk = want;
out:
	want = mm->brk;
	mm_unlock(mm);
	return (long)want;
}

/* --- mprotect --- */

struct protect {
	struct vma *vma;
	unsigned flags;
};

/* A page keeps its write permission only if it had it and still may. */
static void
protect_entry(void *arg, uaddr_t addr, struct pte *e)
{
	struct protect *p = arg;
	unsigned keep = e->flags & (PTE_SPECIAL | PTE_DIRTY);

	(void)addr;
	if ((e->flags & PTE_WRITE) && (p->vma->flags & VMA_WRITE))
		keep |= PTE_WRITE;
	if ((p->flags & PTE_EXEC) && !(e->flags & (PTE_EXEC | PTE_SPECIAL))) {
		struct page *pg = ipa_to_page(e->page);

		/* Code was written through the data side: Arm ARM B2.4.4. */
		if (!(pg->flags & PGF_ICACHE)) {
			arch_sync_icache(page_virt(pg), PAGE_SIZE);
			pg->flags |= PGF_ICACHE;
		}
	}
	e->flags = p->flags | keep;
}

static long
protect_area(struct mm *mm, struct vma *v, uint32_t rwx)
{
	struct protect p = { .vma = v };
	uint32_t before = v->flags;

	v->flags = (v->flags & ~(uint32_t)(VMA_READ | VMA_WRITE | VMA_EXEC)) | rwx;
	if (v->flags == before)
		return 0;
	p.flags = vma_pte_flags(v);
	pgtable_walk(mm, v->start, v->end, protect_entry, &p);
	return 0;
}

static long
protect_check(struct mm *mm, const struct vma *v, uint32_t rwx)
{
	if (v->flags & VMA_SPECIAL)
		return -EACCES;
	if ((rwx & VMA_WRITE) && !(v->flags & VMA_MAYWRITE))
		return -EACCES;
	if ((rwx & VMA_EXEC) && v->file != NULL && v->file->path.mnt != NULL
	    && (v->file->path.mnt->flags & MNT_NOEXEC))
		return -EACCES;
	if ((rwx & VMA_WRITE) && !(v->flags & (VMA_WRITE | VMA_SHARED))) {
		uint64_t pages = (v->end - v->start) >> PAGE_SHIFT;

		if (!may_commit(pages, v->flags))
			return -ENOMEM;
		if (!is_data(v->flags) && is_data(v->flags | rwx) && mm_rlimit(RL_DATA) != UINT64_MAX
		    && data_pages(mm) + pages > mm_rlimit(RL_DATA) >> PAGE_SHIFT)
			return -ENOMEM;
	}
	return 0;
}

static long
protect_locked(struct mm *mm, uaddr_t start, uaddr_t end, unsigned prot)
{
	uint32_t rwx = prot_flags(prot);
	struct vma *v = vma_above(mm, start);
	uaddr_t at;

	if (v == NULL)
		return -ENOMEM;
	if (prot & PROT_GROWSDOWN) {
		if (v->start >= end)
			return -ENOMEM;
		if (!(v->flags & VMA_GROWSDOWN))
			return -EINVAL;
		start = v->start;
	} else if (v->start > start) {
		return -ENOMEM;
	}
	for (at = start; at < end; ) {
		uaddr_t stop;
		long r;

		v = vma_find(mm, at);
		if (v == NULL)
			return -ENOMEM;
		stop = min(v->end, end);
		if ((v->flags & (VMA_READ | VMA_WRITE | VMA_EXEC)) != rwx) {
			r = protect_check(mm, v, rwx);
			if (r != 0)
				return r;
			if (v->start < at) {
				v = vma_split(mm, v, at);
				if (v == NULL)
					return -ENOMEM;
			}
			if (v->end > stop && vma_split(mm, v, stop) == NULL)
				return -ENOMEM;
			protect_area(mm, v, rwx);
			vma_merge(mm, v);
		}
		at = stop;
	}
	return 0;
}

long
sys_mprotect(uint64_t start, uint64_t len, uint64_t prot64)
{
	unsigned prot = (unsigned)prot64;
	struct mm *mm = current->mm;
	uint64_t end;
	long r;

	start &= (1UL << 56) - 1;	/* the tag, as untagged_addr() */
	if ((prot & (PROT_GROWSDOWN | PROT_GROWSUP)) == (PROT_GROWSDOWN | PROT_GROWSUP))
		return -EINVAL;
	if (start & ~PAGE_MASK)
		return -EINVAL;
	if (len == 0)
		return 0;
	end = start + PAGE_UP(len);
	if (end <= start)
		return -ENOMEM;
	if (prot & ~(unsigned)(PROT_READ | PROT_WRITE | PROT_EXEC | PROT_SEM | PROT_GROWSDOWN | PROT_GROWSUP))
		return -EINVAL;
	if (prot & PROT_GROWSUP)
		return -EINVAL;
	mutex_lock(&mm->lock);
	r = protect_locked(mm, start, end, prot);
	mm_unlock(mm);
	return r;
}

/* --- mremap --- */

struct move {
	struct mm *mm;
	int64_t distance;
	long error;
};

static void
move_entry(void *arg, uaddr_t addr, struct pte *e)
{
	struct move *m = arg;

	if (m->error != 0)
		return;
	m->error = pgtable_set(m->mm, addr + (uint64_t)m->distance, *e);
	if (m->error == 0)
		e->flags = 0;
}

/* All pages of [from, from + len) go to `to`, or none. */
static long
move_pages(struct mm *mm, uaddr_t from, uaddr_t to, size_t len)
{
	struct move m = { .mm = mm, .distance = (int64_t)(to - from) };
	long r;

	pgtable_walk(mm, from, from + len, move_entry, &m);
	r = m.error;
	if (r == 0)
		return 0;
	m.distance = -m.distance;	/* the old tables still exist: this cannot fail */
	m.error = 0;
	pgtable_walk(mm, to, to + len, move_entry, &m);
	return r;
}

struct remap {
	uaddr_t old, old_len, new_, new_len;
	unsigned flags;
};

/* A second area like v's part at q->old, at q->new_, of q->new_len. */
static struct vma *
area_duplicate(struct mm *mm, const struct vma *v, const struct remap *q)
{
	struct vma *n = vma_alloc(mm);

	if (n == NULL)
		return NULL;
	n->start = q->new_;
	n->end = q->new_ + q->new_len;
	n->flags = v->flags;
	n->pgoff = v->pgoff + ((q->old - v->start) >> PAGE_SHIFT);
	n->file = v->file;
	n->mapping = v->mapping;
	n->name = v->name;
	if (v->file != NULL)
		file_get(v->file);
	else if (v->mapping != NULL)
		shared_anon_get(v->mapping);
	vma_insert(mm, n);
	return n;
}

static long
remap_move(struct mm *mm, struct vma *v, const struct remap *q)
{
	bool keep = (q->flags & MREMAP_DONTUNMAP) || q->old_len == 0;
	struct vma *n;
	long r;

	if (mm->vma_count + 3 >= MAP_COUNT_MAX)
		return -ENOMEM;
	n = area_duplicate(mm, v, q);
	if (n == NULL)
		return -ENOMEM;
	r = q->old_len != 0 ? move_pages(mm, q->old, q->new_, min(q->old_len, q->new_len)) : 0;
	if (r != 0) {
		vma_remove(mm, n);
		vma_free(n);
		return r;
	}
	if (n->flags & VMA_LOCKED)
		mm->locked_pages += q->new_len >> PAGE_SHIFT;
	if (!keep)
		mm_unmap_locked(mm, q->old, q->old + q->old_len);
	vma_merge(mm, n);
	return (long)q->new_;
}

static bool
remap_grow_here(struct mm *mm, struct vma *v, const struct remap *q)
{
	uint64_t more = q->new_len - q->old_len;
	struct vma *next = vma_next(mm, v);

	if (q->old + q->old_len != v->end || v->end + more > TASK_SIZE)
		return false;
	if (next != NULL && next->start < v->end + more + ((next->flags & VMA_GROWSDOWN) ? STACK_GAP : 0))
		return false;
	vma_move_end(mm, v, v->end + more);
	if (v->flags & VMA_LOCKED) {
		mm->locked_pages += more >> PAGE_SHIFT;
		mm_populate(mm, v->end - more, v->end);
	}
	vma_merge(mm, v);
	return true;
}

static long
remap_check(struct mm *mm, struct vma *v, const struct remap *q)
{
	uint64_t more;

	if (v == NULL)
		return -EFAULT;
	if (q->old_len == 0 && !(v->flags & VMA_SHARED))
		return -EINVAL;
	if (v->flags & VMA_SPECIAL)
		return q->old_len > v->end - q->old || q->new_len != q->old_len ? -EFAULT : -EINVAL;
	if ((q->flags & MREMAP_DONTUNMAP) && v->mapping != NULL && !(v->flags & VMA_SHARED) && v->file == NULL)
		return -EINVAL;
	if (q->old_len > v->end - q->old)
		return -EFAULT;
	if (q->new_len <= q->old_len)
		return 0;
	/* part of a disk, and what follows is another's */
	if (v->file != NULL && v->mapping != NULL && v->mapping != v->file->inode->mapping)
		return -EFAULT;
	more = (q->new_len - q->old_len) >> PAGE_SHIFT;
	if ((v->flags & VMA_LOCKED) && !may_lock(mm, more))
		return -EAGAIN;
	if (!mm_may_expand(mm, more, v->flags))
		return -ENOMEM;
	if ((v->flags & (VMA_WRITE | VMA_SHARED)) == VMA_WRITE && !may_commit(more, v->flags))
		return -ENOMEM;
	return 0;
}

static long
remap_locked(struct mm *mm, struct remap *q)
{
	struct vma *v;
	long r;

	if (q->flags & MREMAP_FIXED) {
		r = mm_unmap_locked(mm, q->new_, q->new_ + q->new_len);
		if (r != 0)
			return r;
	}
	v = vma_find(mm, q->old);
	if (!(q->flags & (MREMAP_FIXED | MREMAP_DONTUNMAP)) && v != NULL && q->old_len >= q->new_len
	    && q->old_len != 0 && !(v->flags & VMA_SPECIAL)) {
		r = mm_unmap_locked(mm, q->old + q->new_len, q->old + q->old_len);
		return r != 0 ? r : (long)q->old;
	}
	r = remap_check(mm, v, q);
	if (r != 0)
		return r;
	if (!(q->flags & (MREMAP_FIXED | MREMAP_DONTUNMAP))) {
		if (q->old_len != 0 && remap_grow_here(mm, v, q))
			return (long)q->old;
		if (!(q->flags & MREMAP_MAYMOVE))
			return -ENOMEM;
	}
	if (!(q->flags & MREMAP_FIXED)) {
		q->new_ = vma_gap_below(mm, mm->mmap_base, q->new_len);
		if (q->new_ == 0)
			q->new_ = vma_gap_above(mm, mm->mmap_base, TASK_SIZE, q->new_len);
		if (q->new_ == 0)
			return -ENOMEM;
	}
	return remap_move(mm, v, q);
}

long
sys_mremap(uint64_t old, uint64_t old_len, uint64_t new_len, uint64_t flags, uint64_t new_addr)
{
	struct remap q = { old, PAGE_UP(old_len), new_addr, PAGE_UP(new_len), (unsigned)flags };
	struct mm *mm = current->mm;
	long r;

	if (flags & ~(uint64_t)(MREMAP_MAYMOVE | MREMAP_FIXED | MREMAP_DONTUNMAP))
		return -EINVAL;
	if ((flags & (MREMAP_FIXED | MREMAP_DONTUNMAP)) && !(flags & MREMAP_MAYMOVE))
		return -EINVAL;
	if ((flags & MREMAP_DONTUNMAP) && q.old_len != q.new_len)
		return -EINVAL;
	if ((old & ~PAGE_MASK) || q.new_len == 0 || old >= TASK_SIZE)
		return (old & ~PAGE_MASK) || q.new_len == 0 ? -EINVAL : -EFAULT;
	if (q.new_len > TASK_SIZE)
		return -ENOMEM;
	if (flags & MREMAP_FIXED) {
		if ((q.new_ & ~PAGE_MASK) || q.new_ > TASK_SIZE - q.new_len)
			return -EINVAL;
		if (q.new_ < q.old + q.old_len && q.old < q.new_ + q.new_len)
			return -EINVAL;
		if (q.new_ < MMAP_MIN_ADDR && !capable(CAP_SYS_RAWIO_))
			return -EPERM;
	}
	mutex_lock(&mm->lock);
	if (q.old_len > q.new_len && (flags & (MREMAP_FIXED | MREMAP_DONTUNMAP))) {
		r = mm_unmap_locked(mm, q.old + q.new_len, q.old + q.old_len);
		q.old_len = q.new_len;
	} else {
		r = 0;
	}
	if (r == 0)
		r = remap_locked(mm, &q);
	mm_unlock(mm);
	return r;
}
