/* SPDX-License-Identifier: MIT */
/*
 * Areas (vmas) of an address space: a treap ordered by address beside a sorted
 * list.  Each node knows the largest free gap in front of any area of its subtree, so a
 * free range is found in logarithmic time however many areas there are.  mm->lock is held.
 */
#include "internal.h"

static struct kcache *vma_cache;

/* How struct vma's tree words are used. */
struct node {
	struct vma *left, *right;
	uint64_t gap;			/* largest gap in front of an area of this subtree */
	uint64_t priority;		/* a parent's is not below its children's */
};
_Static_assert(sizeof(struct node) == sizeof(((struct vma *)0)->tree), "vma.tree");

static struct node *
node(struct vma *v)
{
	return (struct node *)(void *)v->tree;
}

static uint64_t
next_priority(void)
{
	static uint64_t state = 0x9e3779b97f4a7c15ULL;	/* a lost update by another CPU does no harm */
	uint64_t x = READ_ONCE(state);

	x ^= x << 13;
	x ^= x >> 7;
	x ^= x << 17;
	WRITE_ONCE(state, x);
	return x;
}

struct vma *
vma_first(struct mm *mm)
{
	return list_empty(&mm->vma_list) ? NULL : list_first(&mm->vma_list, struct vma, in_mm);
}

struct vma *
vma_next(struct mm *mm, struct vma *v)
{
	return v->in_mm.next == &mm->vma_list ? NULL : list_entry(v->in_mm.next, struct vma, in_mm);
}

struct vma *
vma_prev(struct mm *mm, struct vma *v)
{
	return v->in_mm.prev == &mm->vma_list ? NULL : list_entry(v->in_mm.prev, struct vma, in_mm);
}

/* A stack that grows keeps STACK_GAP free below it. */
static uaddr_t
start_with_gap(const struct vma *v)
{
	if (!(v->flags & VMA_GROWSDOWN))
		return v->start;
	return v->start > STACK_GAP ? v->start - STACK_GAP : 0;
}

static uint64_t
gap_before(struct mm *mm, struct vma *v)
{
	struct vma *p = vma_prev(mm, v);
	uaddr_t lo = p != NULL ? p->end : 0, hi = start_with_gap(v);

	return hi > lo ? hi - lo : 0;
}

static void
node_update(struct mm *mm, struct vma *v)
{
	struct node *n = node(v);
	uint64_t gap = gap_before(mm, v);

	if (n->left != NULL)
		gap = max(gap, node(n->left)->gap);
	if (n->right != NULL)
		gap = max(gap, node(n->right)->gap);
	n->gap = gap;
}

/* Bring the gaps on the way to v up to date. */
static void
path_update(struct mm *mm, struct vma *root, struct vma *v)
{
	if (root == NULL)
		return;
	if (root != v)
		path_update(mm, v->start < root->start ? node(root)->left : node(root)->right, v);
	node_update(mm, root);
}

static struct vma *
rotate_right(struct mm *mm, struct vma *v)
{
	struct vma *l = node(v)->left;

	node(v)->left = node(l)->right;
	node(l)->right = v;
	node_update(mm, v);
	return l;
}

static struct vma *
rotate_left(struct mm *mm, struct vma *v)
{
	struct vma *r = node(v)->right;

	node(v)->right = node(r)->left;
	node(r)->left = v;
	node_update(mm, v);
	return r;
}

static struct vma *
tree_insert(struct mm *mm, struct vma *root, struct vma *v)
{
	if (root == NULL) {
		node_update(mm, v);
		return v;
	}
	if (v->start < root->start) {
		node(root)->left = tree_insert(mm, node(root)->left, v);
		if (node(node(root)->left)->priority > node(root)->priority)
			root = rotate_right(mm, root);
	} else {
		node(root)->right = tree_insert(mm, node(root)->right, v);
		if (node(node(root)->right)->priority > node(root)->priority)
			root = rotate_left(mm, root);
	}
	node_update(mm, root);
	return root;
}

/* Everything in a is below everything in b. */
static struct vma *
tree_join(struct mm *mm, struct vma *a, struct vma *b)
{
	if (a == NULL)
		return b;
	if (b == NULL)
		return a;
	if (node(a)->priority > node(b)->priority) {
		node(a)->right = tree_join(mm, node(a)->right, b);
		node_update(mm, a);
		return a;
	}
	node(b)->left = tree_join(mm, a, node(b)->left);
	node_update(mm, b);
	return b;
}

static struct vma *
tree_remove(struct mm *mm, struct vma *root, struct vma *v)
{
	if (root == v)
		return tree_join(mm, node(v)->left, node(v)->right);
	if (v->start < root->start)
		node(root)->left = tree_remove(mm, node(root)->left, v);
	else
		node(root)->right = tree_remove(mm, node(root)->right, v);
	node_update(mm, root);
	return root;
}

struct vma *
vma_alloc(struct mm *mm)
{
	struct vma *v = kcache_zalloc(vma_cache);

	if (v == NULL)
		return NULL;
	v->mm = mm;
	list_init(&v->in_mapping);
	list_init(&v->in_mm);
	return v;
}

/*
 * The last reference to a file may take an inode lock, which comes before
 * mm->lock: areas of files are put aside until mm_unlock.
 */
void
vma_free(struct vma *v)
{
	if (v->file != NULL) {
		v->in_mm.next = (struct list *)v->mm->vma_dead;
		v->mm->vma_dead = v;
		return;
	}
	if (v->mapping != NULL)
		shared_anon_put(v->mapping);
	kcache_free(vma_cache, v);
}

void
mm_unlock(struct mm *mm)
{
	struct vma *v = mm->vma_dead;

	mm->vma_dead = NULL;
	mutex_unlock(&mm->lock);
	while (v != NULL) {
		struct vma *next = (struct vma *)(void *)v->in_mm.next;

		file_put(v->file);
		kcache_free(vma_cache, v);
		v = next;
	}
}

void
vma_link_mapping(struct vma *v)
{
	if (v->mapping == NULL)
		return;
	spin_lock(&v->mapping->lock);
	list_add_tail(&v->mapping->vmas, &v->in_mapping);
	spin_unlock(&v->mapping->lock);
}

void
vma_unlink_mapping(struct vma *v)
{
	if (v->mapping == NULL)
		return;
	spin_lock(&v->mapping->lock);
	list_del(&v->in_mapping);
	spin_unlock(&v->mapping->lock);
}

/* First area that ends above addr. */
struct vma *
vma_above(struct mm *mm, uaddr_t addr)
{
	struct vma *best = NULL;

	if (mm->vma_last != NULL && mm->vma_last->start <= addr && addr < mm->vma_last->end)
		return mm->vma_last;
	for (struct vma *v = mm->vma_tree; v != NULL; ) {
		if (v->end > addr) {
			best = v;
			if (v->start <= addr)
				break;
			v = node(v)->left;
		} else {
			v = node(v)->right;
		}
	}
	if (best != NULL && best->start <= addr)
		mm->vma_last = best;
	return best;
}

struct vma *
vma_find(struct mm *mm, uaddr_t addr)
{
	struct vma *v = vma_above(mm, addr);

	return v != NULL && v->start <= addr ? v : NULL;
}

void
vma_insert(struct mm *mm, struct vma *v)
{
	struct vma *above = vma_above(mm, v->start);

	if (above != NULL)
		list_add_tail(&above->in_mm, &v->in_mm);
	else
		list_add_tail(&mm->vma_list, &v->in_mm);
	node(v)->left = node(v)->right = NULL;
	node(v)->priority = next_priority();
	mm->vma_tree = tree_insert(mm, mm->vma_tree, v);
	if (above != NULL)
		path_update(mm, mm->vma_tree, above);
	mm->vma_count++;
	mm->total_pages += (v->end - v->start) >> PAGE_SHIFT;
	vma_link_mapping(v);
}

void
vma_remove(struct mm *mm, struct vma *v)
{
	struct vma *above = vma_next(mm, v);

	vma_unlink_mapping(v);
	mm->vma_tree = tree_remove(mm, mm->vma_tree, v);
	list_del(&v->in_mm);
	if (above != NULL)
		path_update(mm, mm->vma_tree, above);
	if (mm->vma_last == v)
		mm->vma_last = NULL;
	mm->vma_count--;
	mm->total_pages -= (v->end - v->start) >> PAGE_SHIFT;
}

void
vma_move_start(struct mm *mm, struct vma *v, uaddr_t start)
{
	v->pgoff += (uint64_t)((int64_t)(start - v->start) >> PAGE_SHIFT);
	mm->total_pages -= (uint64_t)((int64_t)(start - v->start) >> PAGE_SHIFT);
	v->start = start;
	path_update(mm, mm->vma_tree, v);
}

void
vma_move_end(struct mm *mm, struct vma *v, uaddr_t end)
{
	struct vma *above = vma_next(mm, v);

	mm->total_pages += (uint64_t)((int64_t)(end - v->end) >> PAGE_SHIFT);
	v->end = end;
	if (above != NULL)
		path_update(mm, mm->vma_tree, above);
}

/* The backing object as v has it, with a reference for `to`. */
static void
backing_copy(struct vma *to, const struct vma *v)
{
	to->file = v->file;
	to->mapping = v->mapping;
	if (v->file != NULL)
		file_get(v->file);
	else if (v->mapping != NULL)
		shared_anon_get(v->mapping);
}

struct vma *
vma_split(struct mm *mm, struct vma *v, uaddr_t at)
{
	struct vma *up;

	if (mm->vma_count >= MAP_COUNT_MAX)
		return NULL;
	up = vma_alloc(mm);
	if (up == NULL)
		return NULL;
	up->start = at;
	up->end = v->end;
	up->flags = v->flags;
	up->pgoff = v->pgoff + ((at - v->start) >> PAGE_SHIFT);
	up->name = v->name;
	backing_copy(up, v);
	vma_move_end(mm, v, at);
	vma_insert(mm, up);
	return up;
}

static bool
mergeable(const struct vma *a, const struct vma *b)
{
	uint32_t flags = a->flags ^ b->flags;

	if (a->end != b->start || (flags & ~(uint32_t)VMA_HAS_ANON) || (a->flags & VMA_SPECIAL))
		return false;
	if (a->file != b->file || a->mapping != b->mapping || a->name != b->name)
		return false;
	return a->mapping == NULL || a->pgoff + ((a->end - a->start) >> PAGE_SHIFT) == b->pgoff;
}

/* b, which begins where a ends, becomes part of a. */
static void
absorb(struct mm *mm, struct vma *a, struct vma *b)
{
	uaddr_t end = b->end;

	a->flags |= b->flags & VMA_HAS_ANON;
	vma_remove(mm, b);
	vma_free(b);
	vma_move_end(mm, a, end);
}

struct vma *
vma_merge(struct mm *mm, struct vma *v)
{
	struct vma *p = vma_prev(mm, v);
	struct vma *n;

	if (p != NULL && mergeable(p, v)) {
		absorb(mm, p, v);
		v = p;
	}
	n = vma_next(mm, v);
	if (n != NULL && mergeable(v, n))
		absorb(mm, v, n);
	return v;
}

/* Highest gap of len in front of an area of the subtree, below top and above bottom. */
static uaddr_t
gap_search_down(struct mm *mm, struct vma *v, uaddr_t bottom, uaddr_t top, size_t len)
{
	struct vma *p;
	uaddr_t lo, hi, found;

	if (v == NULL || node(v)->gap < len)
		return 0;
	found = v->end < top ? gap_search_down(mm, node(v)->right, bottom, top, len) : 0;
	if (found != 0)
		return found;
	p = vma_prev(mm, v);
	lo = max(p != NULL ? p->end : 0, bottom);
	hi = min(start_with_gap(v), top);
	if (hi > lo && hi - lo >= len)
		return hi - len;
	return gap_search_down(mm, node(v)->left, bottom, top, len);
}

uaddr_t
vma_gap_below(struct mm *mm, uaddr_t top, size_t len)
{
	struct vma *last = list_empty(&mm->vma_list) ? NULL
	    : list_entry(mm->vma_list.prev, struct vma, in_mm);
	uaddr_t after = max(last != NULL ? last->end : 0, (uaddr_t)MMAP_MIN_ADDR);

	if (top > after && top - after >= len)
		return top - len;
	return gap_search_down(mm, mm->vma_tree, MMAP_MIN_ADDR, top, len);
}

/* Lowest gap of len between bottom and top. */
static uaddr_t
gap_search_up(struct mm *mm, struct vma *v, uaddr_t bottom, uaddr_t top, size_t len)
{
	struct vma *p;
	uaddr_t lo, hi, found;

	if (v == NULL || node(v)->gap < len)
		return 0;
	if (v->start > bottom) {
		found = gap_search_up(mm, node(v)->left, bottom, top, len);
		if (found != 0)
			return found;
		p = vma_prev(mm, v);
		lo = max(p != NULL ? p->end : 0, bottom);
		hi = min(start_with_gap(v), top);
		if (hi > lo && hi - lo >= len)
			return lo;
	}
	return gap_search_up(mm, node(v)->right, bottom, top, len);
}

uaddr_t
vma_gap_above(struct mm *mm, uaddr_t bottom, uaddr_t top, size_t len)
{
	struct vma *last = list_empty(&mm->vma_list) ? NULL
	    : list_entry(mm->vma_list.prev, struct vma, in_mm);
	uaddr_t found = gap_search_up(mm, mm->vma_tree, bottom, top, len), after;

	if (found != 0)
		return found;
	after = max(last != NULL ? last->end : 0, bottom);
	return top > after && top - after >= len ? after : 0;
}

/* fork: the same tree, node by node, without its balance being computed again. */
static struct vma *
clone_node(struct mm *child, struct vma *v, long *error)
{
	struct vma *c, *left = NULL;

	if (v == NULL || *error != 0)
		return NULL;
	if (node(v)->left != NULL)
		left = clone_node(child, node(v)->left, error);
	c = *error == 0 ? kcache_alloc(vma_cache) : NULL;
	if (c == NULL) {
		*error = -ENOMEM;
		return left;
	}
	*c = *v;
	c->mm = child;
	list_init(&c->in_mapping);
	if (v->file != NULL)
		file_get(v->file);
	else if (v->mapping != NULL)
		shared_anon_get(v->mapping);
	vma_link_mapping(c);
	list_add_tail(&child->vma_list, &c->in_mm);
	node(c)->left = left;
	node(c)->right = clone_node(child, node(v)->right, error);
	return c;
}

/* On failure the child's list holds what was made; its tree is not to be used. */
long
vma_tree_clone(struct mm *child, struct mm *parent)
{
	long error = 0;

	child->vma_tree = clone_node(child, parent->vma_tree, &error);
	child->vma_count = parent->vma_count;
	child->total_pages = parent->total_pages;
	return error;
}

void
area_init(void)
{
	vma_cache = kcache_create("vma", sizeof(struct vma), 64);
	if (vma_cache == NULL)
		panic("area_init: no memory");
}
