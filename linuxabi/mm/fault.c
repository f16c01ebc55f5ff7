/* SPDX-License-Identifier: MIT */
/*
 * Page faults, and what else looks at user pages through an address space.
 *
 * Everything runs with mm->lock held, so a page-table entry that was read stays as
 * it is.  A private page is written only when it is ours (PGF_ANON) and no
 * other table refers to it; otherwise it is copied.  A file's pages around a
 * fault that are in its cache are mapped with it.
 */
#include "internal.h"

static struct page *zero;

void
fault_init(void)
{
	zero = page_alloc(PG_ZERO | PG_NOFAIL_KERNEL);
	if (zero == NULL)
		panic("fault_init: no memory");
}

struct page *
mm_zero_page(void)
{
	return zero;
}

/* Instruction caches must agree with a page before it can be fetched from (Arm ARM B2.4.4). */
static void
page_executable(struct page *p)
{
	if (p->flags & PGF_ICACHE)
		return;
	arch_sync_icache(page_virt(p), PAGE_SIZE);
	p->flags |= PGF_ICACHE;
}

static struct page *
anon_alloc(unsigned flags)
{
	struct page *p = page_alloc(flags | PG_USER);

	if (p == NULL)
		return NULL;
	p->flags |= PGF_ANON;
	pages_account(PAGES_ANON, 1);
	return p;
}

/* Map a page of our own, whose reference goes to the table. */
static long
install_own(struct mm *mm, struct vma *v, uaddr_t addr, struct page *p)
{
	struct pte e = { page_to_ipa(p), vma_pte_flags(v) };
	long r;

	if (v->flags & VMA_WRITE)
		e.flags |= PTE_WRITE | PTE_DIRTY;
	if (e.flags & PTE_EXEC)
		page_executable(p);
	r = pgtable_set(mm, addr, e);
	if (r != 0) {
		page_put(p);
		return r;
	}
	mm->rss_anon++;
	return 0;
}

static long
fault_anonymous(struct mm *mm, struct vma *v, uaddr_t addr, unsigned access)
{
	struct page *p;

	if (access != VMA_WRITE) {
		struct pte e = { page_to_ipa(zero), vma_pte_flags(v) | PTE_SPECIAL };

		return pgtable_set(mm, addr, e);
	}
	p = anon_alloc(PG_ZERO);
	return p != NULL ? install_own(mm, v, addr, p) : -ENOMEM;
}

/* A private page must be written that is not ours alone. */
static long
copy_on_write(struct mm *mm, struct vma *v, uaddr_t addr, struct pte old)
{
	struct page *from, *p;
	long r;

	if (old.flags & PTE_SPECIAL)
		return fault_anonymous(mm, v, addr, VMA_WRITE);
	from = ipa_to_page(old.page);
	if ((from->flags & PGF_ANON) && ref_read(&from->refs) == 1) {
		if (v->flags & VMA_WRITE)
			old.flags |= PTE_WRITE | PTE_DIRTY;
		return pgtable_set(mm, addr, old);
	}
	p = anon_alloc(0);
	if (p == NULL)
		return -ENOMEM;
	page_copy(page_virt(p), page_virt(from));
	if (v->mapping != NULL)
		v->flags |= VMA_HAS_ANON;
	r = install_own(mm, v, addr, p);
	if (r != 0)
		return r;
	if (from->flags & PGF_ANON)
		mm->rss_anon--;
	else
		mm->rss_file--;
	page_put(from);			/* the old translation is gone from every TLB */
	return 0;
}

static uint64_t
mapping_pages(const struct mapping *m)
{
	return m->inode != NULL ? PAGE_UP(READ_ONCE(m->inode->size)) >> PAGE_SHIFT : UINT64_MAX;
}

/*
 * Map the cached pages around index: one fault instead of many at the start of a
 * program.  mapping->lock keeps them in the tree meanwhile.
 */
static long
map_around(struct mm *mm, struct vma *v, uint64_t index)
{
	struct mapping *m = v->mapping;
	uint64_t first = max(index & ~(uint64_t)(FAULT_AROUND - 1), v->pgoff);
	uint64_t last = min(index | (FAULT_AROUND - 1), v->pgoff + ((v->end - v->start) >> PAGE_SHIFT) - 1);
	unsigned flags = vma_pte_flags(v), n;
	struct pte e[FAULT_AROUND];
	uint64_t at = first, done;

	last = min(last, mapping_pages(m) - 1);
	if (last < index || last - first >= FAULT_AROUND)
		return -EAGAIN;		/* the file became shorter */
	memset(e, 0, sizeof(e));
	spin_lock(&m->lock);
	for (; at <= last; at++) {
		struct page *p = radix_next(&m->tree, &at);

		if (p == NULL || at > last)
			break;
		if (page_state(p) & (PS_READING | PS_ERROR))
			continue;
		if (flags & PTE_EXEC)
			page_executable(p);
		page_get(p);
		e[at - first] = (struct pte){ page_to_ipa(p), flags };
	}
	spin_unlock(&m->lock);
	n = (unsigned)(last - first + 1);
	done = pgtable_fill(mm, v->start + ((first - v->pgoff) << PAGE_SHIFT), n, e);
	for (unsigned i = 0; i < n; i++) {
		if (e[i].flags == 0)
			continue;
		if (done & (1UL << i))
			mm->rss_file++;
		else
			page_put(ipa_to_page(e[i].page));
	}
	if ((done >> (index - first)) & 1)
		return 0;
	return e[index - first].flags == 0 ? -EAGAIN : -ENOMEM;
}

/* The page in the cache, with a reference, and ready. */
static struct page *
page_for_fault(struct mapping *m, uint64_t index)
{
	for (;;) {
		struct page *p = mapping_find(m, index);
		long r;

		if (p == NULL) {
			p = m->ops->get_page(m, index, true);
			return p != NULL ? p : ERR_PTR(-EIO);
		}
		if (likely((page_state(p) & PS_CARE) == 0))
			return p;
		r = m->ops->ready(m, p);
		if (r == 0)
			return p;
		page_put(p);
		if (r != -EAGAIN)
			return ERR_PTR(r);
	}
}

/* A page that leaves the cache (truncation, a failed read) before it is mapped is asked for
 * again, as long as the file reaches it. */
static long
fault_file_read(struct mm *mm, struct vma *v, uint64_t index)
{
	long r;

	do {
		struct page *p = page_for_fault(v->mapping, index);

		if (IS_ERR(p))
			return PTR_ERR(p) == -ENOMEM ? -ENOMEM : -EIO;
		r = map_around(mm, v, index);
		page_put(p);
		if (r == -EAGAIN && index >= mapping_pages(v->mapping))
			return -EIO;
	} while (r == -EAGAIN);
	return r;
}

static long
fault_file_write(struct mm *mm, struct vma *v, uaddr_t addr, uint64_t index)
{
	struct page *from = page_for_fault(v->mapping, index), *p;
	long r;

	if (IS_ERR(from))
		return PTR_ERR(from) == -ENOMEM ? -ENOMEM : -EIO;
	if (v->flags & VMA_SHARED) {
		struct pte e = { page_to_ipa(from), vma_pte_flags(v) | PTE_WRITE | PTE_DIRTY };

		if (v->mapping->ops->dirty != NULL && v->mapping->ops->dirty(v->mapping, from) < 0) {
			page_put(from);
			return -EIO;
		}
		if (e.flags & PTE_EXEC)
			page_executable(from);
		r = pgtable_set(mm, addr, e);
		if (r == 0)
			mm->rss_file++;
		else
			page_put(from);
		return r;
	}
	p = anon_alloc(0);
	if (p != NULL)
		page_copy(page_virt(p), page_virt(from));
	page_put(from);
	if (p == NULL)
		return -ENOMEM;
	v->flags |= VMA_HAS_ANON;
	return install_own(mm, v, addr, p);
}

static long
fault_present(struct mm *mm, struct vma *v, uaddr_t addr, unsigned access, struct pte e)
{
	struct page *p;

	if (access != VMA_WRITE || (e.flags & PTE_WRITE))
		return 0;		/* another thread was faster */
	if (!(v->flags & VMA_SHARED))
		return copy_on_write(mm, v, addr, e);
	p = ipa_to_page(e.page);
	if (v->mapping->ops->dirty != NULL && v->mapping->ops->dirty(v->mapping, p) < 0)
		return -EIO;
	e.flags |= PTE_WRITE | PTE_DIRTY;
	return pgtable_set(mm, addr, e);
}

long
fault_locked(struct mm *mm, struct vma *v, uaddr_t addr, unsigned access)
{
	struct pte e;
	uint64_t index;

	addr = PAGE_DOWN(addr);
	e = pgtable_get(mm, addr);
	if (e.flags != 0)
		return fault_present(mm, v, addr, access, e);
	if (v->flags & VMA_SPECIAL)
		return vdso_fault(v, addr, &e) == 0 ? pgtable_set(mm, addr, e) : -EIO;
	if (v->mapping == NULL)
		return v->file == NULL ? fault_anonymous(mm, v, addr, access) : -EIO;
	index = v->pgoff + ((addr - v->start) >> PAGE_SHIFT);
	if (index >= mapping_pages(v->mapping))
		return -EIO;
	return access == VMA_WRITE ? fault_file_write(mm, v, addr, index) : fault_file_read(mm, v, index);
}

/* A stack grows down to RLIMIT_STACK, and stays away from what is below it. */
static long
stack_grow(struct mm *mm, struct vma *v, uaddr_t addr)
{
	uaddr_t start = PAGE_DOWN(addr);
	struct vma *p = vma_prev(mm, v);
	uint64_t pages = (v->start - start) >> PAGE_SHIFT;

	if (!(v->flags & VMA_GROWSDOWN) || start < MMAP_MIN_ADDR)
		return -EFAULT;
	if (v->end - start > mm_rlimit(RL_STACK) || !mm_may_expand(mm, pages, v->flags))
		return -EFAULT;
	if (p != NULL && !(p->flags & VMA_GROWSDOWN) && (p->flags & (VMA_READ | VMA_WRITE | VMA_EXEC))
	    && start < p->end + STACK_GAP)
		return -EFAULT;
	if (p != NULL && start < p->end)
		return -EFAULT;
	vma_move_start(mm, v, start);
	return 0;
}

static bool
access_allowed(const struct vma *v, unsigned access)
{
	if (access == VMA_READ)
		return (v->flags & (VMA_READ | VMA_WRITE | VMA_EXEC)) != 0;
	return (v->flags & access) != 0;
}

long
mm_fault(struct mm *mm, uaddr_t addr, unsigned access)
{
	struct vma *v;
	long r = 0;

	if (addr >= TASK_SIZE)
		return -EFAULT;
	mutex_lock(&mm->lock);
	v = vma_above(mm, addr);
	if (v == NULL)
		r = -EFAULT;
	else if (v->start > addr)
		r = stack_grow(mm, v, addr);
	if (r == 0)
		r = access_allowed(v, access) ? fault_locked(mm, v, addr, access) : -EACCES;
	current->usage.minflt++;
	mm_unlock(mm);
	return r;
}

long
mm_populate(struct mm *mm, uaddr_t start, uaddr_t end)
{
	long r = 0;

	for (uaddr_t a = start; a < end && r == 0; a += PAGE_SIZE) {
		struct vma *v = vma_find(mm, a);

		if (v == NULL)
			return -ENOMEM;
		if (!(v->flags & (VMA_READ | VMA_WRITE | VMA_EXEC)))
			continue;
		r = fault_locked(mm, v, a, (v->flags & VMA_WRITE) ? VMA_WRITE : VMA_READ);
		if (signal_fatal_pending(current))
			return -EINTR;
	}
	return r;
}

/* The page behind addr for somebody else's access, brought in; its kernel address or NULL. */
static void *
access_page(struct mm *mm, uaddr_t addr, bool write)
{
	struct vma *v = vma_find(mm, addr);
	struct pte e;

	if (v == NULL || (write && ((v->flags & VMA_SPECIAL) || !(v->flags & VMA_MAYWRITE)
	    || ((v->flags & VMA_SHARED) && !(v->flags & VMA_WRITE)))))
		return NULL;
	if (fault_locked(mm, v, addr, write ? VMA_WRITE : VMA_READ) != 0)
		return NULL;
	e = pgtable_get(mm, PAGE_DOWN(addr));
	return e.flags != 0 ? ipa_to_virt(e.page) : NULL;
}

ssize_t
mm_access(struct mm *mm, uaddr_t addr, void *buf, size_t len, bool write)
{
	size_t done = 0;

	if (addr >= TASK_SIZE)
		return -EIO;
	mutex_lock(&mm->lock);
	while (done < len && addr < TASK_SIZE) {
		size_t in = addr & (PAGE_SIZE - 1), n = min((size_t)(PAGE_SIZE - in), len - done);
		char *at = access_page(mm, addr, write);

		if (at == NULL)
			break;
		if (write) {
			memcpy(at + in, (char *)buf + done, n);
			virt_to_page(at)->flags &= (uint16_t)~PGF_ICACHE;
		} else {
			memcpy((char *)buf + done, at + in, n);
		}
		done += n;
		addr += n;
	}
	mm_unlock(mm);
	return done != 0 || len == 0 ? (ssize_t)done : -EIO;
}

long
mm_futex_key(struct mm *mm, uaddr_t addr, bool shared, struct futex_key *key)
{
	struct vma *v;
	long r = 0;

	key->object = (uint64_t)mm;
	key->offset = addr;
	if (!shared)
		return 0;
	mutex_lock(&mm->lock);
	v = vma_find(mm, addr);
	if (v == NULL) {
		r = -EFAULT;
	} else if ((v->flags & VMA_SHARED) && v->mapping != NULL) {
		key->object = (uint64_t)v->mapping;
		key->offset = (v->pgoff << PAGE_SHIFT) + (addr - v->start);
	}
	mm_unlock(mm);
	return r;
}

/* --- exec: pages that are filled before the program runs --- */

struct page *
mm_user_page(void)
{
	return anon_alloc(PG_ZERO);
}

long
mm_install(struct mm *mm, uaddr_t addr, struct page *p)
{
	struct vma *v;
	long r = -EFAULT;

	mutex_lock(&mm->lock);
	v = vma_find(mm, addr);
	if (v != NULL)
		r = install_own(mm, v, addr, p);
	else
		page_put(p);
	mm_unlock(mm);
	return r;
}
