/* SPDX-License-Identifier: MIT */
/*
 * Life of an address space: creation, the copy at fork, unmapping, the end.
 *
 * A page may be freed only when no CPU can use an old translation of it.  The
 * table walk flushes once, at its end; so pages are held back until then when
 * other threads share the space, and freed at once when none does.
 */
#include "internal.h"

static struct kcache *mm_cache;

void
mm_init(void)
{
	mm_cache = kcache_create("mm", sizeof(struct mm), 64);
	if (mm_cache == NULL)
		panic("mm_init: no memory");
	area_init();
	radix_init();
	fault_init();
	vdso_init();
}

static struct mm *
mm_alloc(void)
{
	struct mm *mm = kcache_zalloc(mm_cache);

	if (mm == NULL)
		return NULL;
	ref_init(&mm->users, 1);
	ref_init(&mm->refs, 1);
	mutex_init(&mm->lock, 30);
	list_init(&mm->vma_list);
	mm->dumpable = true;
	if (pgtable_create(mm) != 0) {
		kcache_free(mm_cache, mm);
		return NULL;
	}
	return mm;
}

struct mm *
mm_create(void)
{
	return mm_alloc();
}

void
mm_ref(struct mm *mm)
{
	ref_get(&mm->refs);
}

void
mm_unref(struct mm *mm)
{
	if (!ref_put(&mm->refs))
		return;
	pgtable_destroy(mm);
	kcache_free(mm_cache, mm);
}

void
mm_get(struct mm *mm)
{
	ref_get(&mm->users);
}

bool
mm_shared(const struct mm *mm)
{
	return ref_read(&mm->users) > 1;
}

/* --- unmapping --- */

struct zap {
	struct mm *mm;
	unsigned count;
	struct page *held[48];
	uint64_t anon, file;
};

static void
zap_release(struct zap *z)
{
	for (unsigned i = 0; i < z->count; i++)
		page_put(z->held[i]);
	z->count = 0;
}

static void
zap_entry(void *arg, uaddr_t addr, struct pte *e)
{
	struct zap *z = arg;
	struct pte old = *e;
	struct page *p;

	(void)addr;
	e->flags = 0;
	if (old.flags & PTE_SPECIAL)
		return;
	p = ipa_to_page(old.page);
	if (p->flags & PGF_ANON)
		z->anon++;
	else
		z->file++;
	/* The entries before this one are already cleared in the table. */
	if (z->count == ARRAY_LEN(z->held)) {
		arch_tlb_flush_mm(z->mm);
		zap_release(z);
	}
	z->held[z->count++] = p;
}

static void
zap_shared(struct mm *mm, uaddr_t start, uaddr_t end, struct pgtable_counts *n)
{
	struct zap z = { .mm = mm };

	pgtable_walk(mm, start, end, zap_entry, &z);
	zap_release(&z);
	n->anon = z.anon;
	n->file = z.file;
}

void
zap_range(struct mm *mm, uaddr_t start, uaddr_t end)
{
	struct pgtable_counts n = { 0, 0 };

	mm->hiwater_rss = max(mm->hiwater_rss, mm->rss_anon + mm->rss_file);
	if (mm_shared(mm))
		zap_shared(mm, start, end, &n);
	else
		pgtable_zap(mm, start, end, &n);
	mm->rss_anon -= n.anon;
	mm->rss_file -= n.file;
}

/* Split so that no area crosses the address. */
static long
split_at(struct mm *mm, uaddr_t at)
{
	struct vma *v = vma_find(mm, at);

	if (v == NULL || v->start == at)
		return 0;
	if (v->flags & VMA_SPECIAL)
		return -EINVAL;
	return vma_split(mm, v, at) != NULL ? 0 : -ENOMEM;
}

static void
area_unmap(struct mm *mm, struct vma *v)
{
	zap_range(mm, v->start, v->end);
	if (v->flags & VMA_LOCKED)
		mm->locked_pages -= (v->end - v->start) >> PAGE_SHIFT;
	vma_remove(mm, v);
	vma_free(v);
}

long
mm_unmap_locked(struct mm *mm, uaddr_t start, uaddr_t end)
{
	struct vma *v = vma_above(mm, start), *next;
	long r;

	if (v == NULL || v->start >= end)
		return 0;
	r = split_at(mm, start);
	if (r == 0)
		r = split_at(mm, end);
	if (r != 0)
		return r;
	for (v = vma_above(mm, start); v != NULL && v->start < end; v = next) {
		next = vma_next(mm, v);
		area_unmap(mm, v);
	}
	return 0;
}

long
mm_unmap(struct mm *mm, uaddr_t start, size_t len)
{
	long r;

	if ((start & ~PAGE_MASK) || len == 0 || len > TASK_SIZE || start > TASK_SIZE - len)
		return -EINVAL;
	mutex_lock(&mm->lock);
	r = mm_unmap_locked(mm, start, start + PAGE_UP(len));
	mm_unlock(mm);
	return r;
}

/* The last task left: everything goes, the tables when the last looker is gone. */
static void
mm_teardown(struct mm *mm)
{
	struct vma *v, *tmp;

	mutex_lock(&mm->lock);
	list_for_each_safe(v, tmp, &mm->vma_list, in_mm) {
		if (mm->rss_anon != 0 || mm->rss_file != 0 || (v->flags & VMA_SPECIAL))
			zap_range(mm, v->start, v->end);
		vma_unlink_mapping(v);
		vma_free(v);
	}
	list_init(&mm->vma_list);
	mm->vma_tree = NULL;
	mm->vma_last = NULL;
	mm->vma_count = 0;
	mm->total_pages = 0;
	mm->locked_pages = 0;
	mm_unlock(mm);
	if (mm->exe != NULL) {
		inode_allow_write(mm->exe->inode);
		file_put(mm->exe);
	}
	mm->exe = NULL;
}

void
mm_put(struct mm *mm)
{
	if (mm == NULL || !ref_put(&mm->users))
		return;
	mm_teardown(mm);
	mm_unref(mm);
}

struct mm *
mm_of_task(struct task *t)
{
	struct mm *mm;
	uint64_t irq = spin_lock_irqsave(&tasklist_lock);

	mm = t->mm;
	if (mm != NULL && !ref_get_unless_zero(&mm->users))
		mm = NULL;
	spin_unlock_irqrestore(&tasklist_lock, irq);
	return mm;
}

uint64_t
mm_maxrss_kib(const struct mm *mm)
{
	return max(mm->hiwater_rss, mm->rss_anon + mm->rss_file) << (PAGE_SHIFT - 10);
}

/* --- fork --- */

/* Pages that a fault finds again without a copy are left to faults. */
static bool
fork_copies(const struct vma *v)
{
	if (v->flags & (VMA_SHARED | VMA_WIPEONFORK | VMA_SPECIAL))
		return false;
	return v->file == NULL || (v->flags & VMA_HAS_ANON);
}

static void
fork_fields(struct mm *mm, const struct mm *from)
{
	mm->mmap_base = from->mmap_base;
	mm->brk_start = from->brk_start;
	mm->brk = from->brk;
	mm->stack_start = from->stack_start;
	mm->arg_start = from->arg_start;
	mm->arg_end = from->arg_end;
	mm->env_start = from->env_start;
	mm->env_end = from->env_end;
	mm->vdso = from->vdso;
	mm->dumpable = from->dumpable;
	mm->no_randomize = from->no_randomize;
	memcpy(mm->auxv, from->auxv, sizeof(mm->auxv));
	mm->exe = from->exe;
	if (mm->exe != NULL) {
		(void)inode_deny_write(mm->exe->inode);	/* cannot fail: the parent denies it too */
		file_get(mm->exe);
	}
}

static long
fork_areas(struct mm *child, struct mm *parent)
{
	struct pgtable_counts n = { 0, 0 };
	struct vma *v, *next;
	long r = vma_tree_clone(child, parent);

	if (r != 0)
		return r;
	for (v = vma_first(child); v != NULL && r == 0; v = next) {
		next = vma_next(child, v);
		v->flags &= ~(uint32_t)VMA_LOCKED;
		if (v->flags & VMA_DONTFORK) {
			vma_remove(child, v);
			vma_free(v);
			continue;
		}
		if (fork_copies(v))
			r = pgtable_fork(child, parent, v->start, v->end, &n);
	}
	child->rss_anon = n.anon;
	child->rss_file = n.file;
	return r;
}

struct mm *
mm_fork(struct mm *parent)
{
	struct mm *child = mm_alloc();
	long r;

	if (child == NULL)
		return ERR_PTR(-ENOMEM);
	mutex_lock(&parent->lock);
	fork_fields(child, parent);
	r = fork_areas(child, parent);
	mm_unlock(parent);
	if (r != 0) {
		mm_put(child);
		return ERR_PTR(r);
	}
	child->hiwater_rss = child->rss_anon + child->rss_file;
	return child;
}

/* --- exec: a space that nobody runs in yet --- */

long
mm_make_stack(struct mm *mm, uaddr_t top, size_t size, bool executable)
{
	struct vma *v = vma_alloc(mm);

	if (v == NULL)
		return -ENOMEM;
	v->start = top - size;
	v->end = top;
	v->flags = VMA_READ | VMA_WRITE | VMA_MAYWRITE | VMA_GROWSDOWN | VMA_STACK
	    | (executable ? VMA_EXEC : 0);
	v->name = "[stack]";
	mutex_lock(&mm->lock);
	vma_insert(mm, v);
	mm->stack_start = top;
	mm_unlock(mm);
	return 0;
}

long
mm_make_vdso(struct mm *mm)
{
	uaddr_t base;
	long r = -ENOMEM;

	mutex_lock(&mm->lock);
	base = vma_gap_below(mm, mm->mmap_base, vdso_size());
	if (base != 0)
		r = vdso_map(mm, base);
	mm_unlock(mm);
	return r;
}
