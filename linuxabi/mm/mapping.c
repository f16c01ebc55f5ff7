/* SPDX-License-Identifier: MIT */
/*
 * Page cache: the pages of one inode by index, who maps them, and truncation.
 * Shared anonymous memory is a mapping without an inode.
 *
 * A page in the tree holds a reference.  mapping->lock (rank 50) protects the tree
 * and the list of areas; areas enter and leave the list with their mm->lock held.
 */
#include "internal.h"

void
mapping_init(struct mapping *m, struct inode *inode, const struct mapping_ops *ops)
{
	m->inode = inode;
	m->ops = ops;
	spin_init(&m->lock, 50);
	m->tree = NULL;
	m->page_count = 0;
	list_init(&m->vmas);
}

struct page *
mapping_find(struct mapping *m, uint64_t index)
{
	struct page *p;

	spin_lock(&m->lock);
	p = radix_get(&m->tree, index);
	if (p != NULL)
		page_get(p);
	spin_unlock(&m->lock);
	return p;
}

int
mapping_insert(struct mapping *m, uint64_t index, struct page *p)
{
	int r = 0;

	spin_lock(&m->lock);
	if (radix_get(&m->tree, index) != NULL)
		r = -EEXIST;
	else
		r = radix_set(&m->tree, index, p);
	if (r == 0) {
		page_get(p);
		p->mapping = m;
		p->index = index;
		m->page_count++;
	}
	spin_unlock(&m->lock);
	if (r == 0)
		pages_account(PAGES_CACHED, 1);
	return r;
}

static void
page_left(struct mapping *m, struct page *p)
{
	if (m->ops != NULL && m->ops->gone != NULL)
		m->ops->gone(m, p);
	else
		WRITE_ONCE(p->mapping, NULL);
	page_put(p);
}

struct page *
mapping_next(struct mapping *m, uint64_t *index)
{
	struct page *p;

	spin_lock(&m->lock);
	p = radix_next(&m->tree, index);
	if (p != NULL)
		page_get(p);
	spin_unlock(&m->lock);
	return p;
}

bool
mapping_remove(struct mapping *m, struct page *p)
{
	bool there;

	spin_lock(&m->lock);
	there = radix_get(&m->tree, p->index) == p;
	if (there) {
		radix_remove(&m->tree, p->index);
		m->page_count--;
	}
	spin_unlock(&m->lock);
	if (there) {
		pages_account(PAGES_CACHED, -1);
		page_left(m, p);
	}
	return there;
}

/* Lookups take their reference under mapping->lock: a count of one is the tree's, and stays. */
bool
mapping_forget(struct mapping *m, struct page *p)
{
	const uint32_t busy = PS_READING | PS_DIRTY | PS_WRITING;
	bool forgotten = false;

	spin_lock(&m->lock);
	if (ref_read(&p->refs) == 1 && p->mapping == m && radix_get(&m->tree, p->index) == p &&
	    (page_state(p) & busy) == 0 && (m->ops->forget == NULL || m->ops->forget(m, p))) {
		radix_remove(&m->tree, p->index);
		m->page_count--;
		forgotten = true;
	}
	spin_unlock(&m->lock);
	if (forgotten) {
		pages_account(PAGES_CACHED, -1);
		page_left(m, p);
	}
	return forgotten;
}

/* Take pages out of the tree in portions, so that the lock is not held for long. */
static void
tree_drop(struct mapping *m, uint64_t first, uint64_t last)
{
	struct page *out[32];
	uint64_t at = first;
	unsigned n;

	do {
		n = 0;
		spin_lock(&m->lock);
		while (n < ARRAY_LEN(out)) {
			struct page *p = radix_next(&m->tree, &at);

			if (p == NULL || at > last)
				break;
			radix_remove(&m->tree, at);
			m->page_count--;
			out[n++] = p;
			if (at == UINT64_MAX)
				break;
			at++;
		}
		spin_unlock(&m->lock);
		if (n != 0)
			pages_account(PAGES_CACHED, -(long)n);
		for (unsigned i = 0; i < n; i++)
			page_left(m, out[i]);
	} while (n == ARRAY_LEN(out));
}

enum visit { VISIT_UNMAP, VISIT_UNMAP_TRY, VISIT_PROTECT };

static void
write_protect_entry(void *arg, uaddr_t addr, struct pte *e)
{
	(void)arg, (void)addr;
	e->flags &= ~(unsigned)(PTE_WRITE | PTE_DIRTY);
}

/* Unmap pages [first, last] of the mapping from every area of mm, or write-protect them. */
static void
visit_mm(struct mapping *m, struct mm *mm, uint64_t first, uint64_t last, enum visit what)
{
	if (what == VISIT_UNMAP_TRY) {
		if (!mutex_trylock(&mm->lock))
			return;
	} else {
		mutex_lock(&mm->lock);
	}
	for (struct vma *v = vma_first(mm); v != NULL; v = vma_next(mm, v)) {
		uint64_t pages = (v->end - v->start) >> PAGE_SHIFT;
		uint64_t lo, hi;

		if (v->mapping != m || last < v->pgoff || first >= v->pgoff + pages)
			continue;
		lo = max(first, v->pgoff) - v->pgoff;
		hi = min(last - v->pgoff, pages - 1) + 1;
		if (what != VISIT_PROTECT)
			zap_range(mm, v->start + (lo << PAGE_SHIFT), v->start + (hi << PAGE_SHIFT));
		else if (v->flags & VMA_SHARED)
			pgtable_walk(mm, v->start + (lo << PAGE_SHIFT), v->start + (hi << PAGE_SHIFT), write_protect_entry, NULL);
	}
	mm_unlock(mm);
}

/*
 * Areas are visited by moving each to the end of the list, behind a marker: the
 * list may change while an address space is worked on, but what is added later
 * already sees the new size.
 */
static void
visit_everywhere(struct mapping *m, uint64_t first, uint64_t last, enum visit what)
{
	struct vma marker = { .mm = NULL };

	spin_lock(&m->lock);
	if (list_empty(&m->vmas)) {
		spin_unlock(&m->lock);
		return;
	}
	list_add_tail(&m->vmas, &marker.in_mapping);
	for (;;) {
		struct vma *v = list_first(&m->vmas, struct vma, in_mapping);
		struct mm *mm = v->mm;

		if (v == &marker)
			break;
		list_del(&v->in_mapping);
		list_add_tail(&m->vmas, &v->in_mapping);
		if (mm == NULL || !ref_get_unless_zero(&mm->refs))
			continue;
		spin_unlock(&m->lock);
		visit_mm(m, mm, first, last, what);
		mm_unref(mm);
		spin_lock(&m->lock);
	}
	list_del(&marker.in_mapping);
	spin_unlock(&m->lock);
}

/*
 * The tree first: a fault that found a page before holds its mm->lock until the
 * page is mapped, so the walk over the areas finds it.
 */
void
mapping_truncate(struct mapping *m, uint64_t first, uint64_t last)
{
	if (first > last)
		return;
	tree_drop(m, first, last);
	visit_everywhere(m, first, last, VISIT_UNMAP);
}

void mapping_protect(struct mapping *m, uint64_t first, uint64_t last) { visit_everywhere(m, first, last, VISIT_PROTECT); }
void mapping_unmap_try(struct mapping *m, uint64_t index) { visit_everywhere(m, index, index, VISIT_UNMAP_TRY); }

/* --- shared anonymous memory --- */

struct shared_anon {
	refcount_t refs;		/* areas */
	struct mapping mapping;
};

static struct page *
shared_anon_page(struct mapping *m, uint64_t index, bool create)
{
	struct page *p = mapping_find(m, index);

	if (p != NULL || !create)
		return p;
	p = page_alloc(PG_ZERO | PG_USER);
	if (p == NULL)
		return ERR_PTR(-ENOMEM);
	int r = mapping_insert(m, index, p);
	if (r == 0)
		return p;
	page_put(p);
	return r == -EEXIST ? shared_anon_page(m, index, false) : ERR_PTR(r);
}

static const struct mapping_ops shared_anon_ops = { .get_page = shared_anon_page };

struct mapping *
shared_anon_create(void)
{
	struct shared_anon *s = kzalloc(sizeof(*s));

	if (s == NULL)
		return NULL;
	ref_init(&s->refs, 1);
	mapping_init(&s->mapping, NULL, &shared_anon_ops);
	return &s->mapping;
}

void
shared_anon_get(struct mapping *m)
{
	ref_get(&container_of(m, struct shared_anon, mapping)->refs);
}

void
shared_anon_put(struct mapping *m)
{
	struct shared_anon *s = container_of(m, struct shared_anon, mapping);

	if (!ref_put(&s->refs))
		return;
	tree_drop(m, 0, UINT64_MAX);
	kfree(s);
}
