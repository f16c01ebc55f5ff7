/* SPDX-License-Identifier: MIT */
/*
 * Memory of the kernel: caches of equal objects in slabs (Bonwick 1994), and
 * kmalloc over caches of fixed sizes.
 *
 * A CPU serves itself from its magazine with interrupts masked and no lock.
 * Magazines are filled from and emptied into slabs in halves under cache->lock.
 * A slab is one block of pages; the page that an object starts on says whose it
 * is (private_ = cache) and where its slab begins (index = head page).  In the
 * head: private2 = free objects, mapping = NULL, mapcount = objects in use.
 */
#include "page.h"
#include "task.h"

enum { MAGAZINE = 30, SLAB_RANK = 110, SIZE_MAX_CACHED = 8192, EMPTY_KEPT = 2, CLASSES = 14 };

struct magazine {
	uint64_t count;
	void *object[MAGAZINE];
} __attribute__((aligned(64)));

struct kcache {
	struct magazine magazine[MAX_CPUS];
	spinlock_t lock;
	struct list partial;		/* head pages with something free */
	unsigned empty;			/* of these with nothing used */
	unsigned size, order, per_slab;
	const char *name;
};

static const uint16_t class_size[CLASSES] = {
	16, 32, 48, 64, 128, 192, 256, 384, 512, 768, 1024, 2048, 4096, 8192,
};
static struct kcache class_cache[CLASSES];
static uint8_t class_of[1024 / 16 + 1];

/* --- slabs; cache->lock is held --- */

static struct page *
head_of(const void *object)
{
	struct page *p = virt_to_page(object);

	return (struct page *)p->index;
}

static void
slab_push(struct page *head, void *object)
{
	*(void **)object = (void *)head->private2;
	head->private2 = (uint64_t)object;
}

static struct page *
slab_create(struct kcache *c)
{
	struct page *head = pages_alloc(c->order, 0);
	char *at;

	if (head == NULL)
		return NULL;
	for (unsigned i = 0; i < 1u << c->order; i++) {
		head[i].flags |= PGF_SLAB;
		head[i].private_ = (uint64_t)c;
		head[i].index = (uint64_t)head;
	}
	pages_account(PAGES_SLAB, 1L << c->order);
	head->private2 = 0;
	head->mapcount = 0;
	at = page_virt(head);
	for (unsigned i = c->per_slab; i-- > 0; )
		slab_push(head, at + (size_t)i * c->size);
	list_add(&c->partial, &head->lru);
	c->empty++;
	return head;
}

static void
slab_destroy(struct kcache *c, struct page *head)
{
	list_del(&head->lru);
	for (unsigned i = 0; i < 1u << c->order; i++) {
		head[i].flags = 0;
		head[i].private_ = 0;
	}
	head->mapcount = 0;
	pages_account(PAGES_SLAB, -(1L << c->order));
	pages_free(head, c->order);
	c->empty--;
}

static void *
slab_take(struct kcache *c)
{
	struct page *head;
	void *object;

	if (list_empty(&c->partial) && slab_create(c) == NULL)
		return NULL;
	head = list_first(&c->partial, struct page, lru);
	object = (void *)head->private2;
	head->private2 = *(uint64_t *)object;
	if (head->mapcount++ == 0)
		c->empty--;
	if (head->private2 == 0)
		list_del(&head->lru);
	return object;
}

static void
slab_give(struct kcache *c, void *object)
{
	struct page *head = head_of(object);

	if (head->private2 == 0)
		list_add(&c->partial, &head->lru);
	slab_push(head, object);
	if (--head->mapcount == 0) {
		c->empty++;
		if (c->empty > EMPTY_KEPT)
			slab_destroy(c, head);
	}
}

/* --- magazines; interrupts are masked --- */

static void
magazine_fill(struct kcache *c, struct magazine *m)
{
	spin_lock(&c->lock);
	while (m->count < MAGAZINE / 2) {
		void *object = slab_take(c);

		if (object == NULL)
			break;
		m->object[m->count++] = object;
	}
	spin_unlock(&c->lock);
}

static void
magazine_drain(struct kcache *c, struct magazine *m)
{
	spin_lock(&c->lock);
	while (m->count > MAGAZINE / 2)
		slab_give(c, m->object[--m->count]);
	spin_unlock(&c->lock);
}

void *
kcache_alloc(struct kcache *c)
{
	uint64_t flags = irq_save();
	struct magazine *m = &c->magazine[cpu_id()];
	void *object = NULL;

	if (unlikely(m->count == 0))
		magazine_fill(c, m);
	if (likely(m->count != 0))
		object = m->object[--m->count];
	irq_restore(flags);
	return object;
}

void *
kcache_zalloc(struct kcache *c)
{
	void *object = kcache_alloc(c);

	return object != NULL ? memset(object, 0, c->size) : NULL;
}

void
kcache_free(struct kcache *c, void *object)
{
	uint64_t flags;
	struct magazine *m;

	if (object == NULL)
		return;
	flags = irq_save();
	m = &c->magazine[cpu_id()];
	if (unlikely(m->count == MAGAZINE))
		magazine_drain(c, m);
	m->object[m->count++] = object;
	irq_restore(flags);
}

/* --- caches --- */

static void
cache_init(struct kcache *c, const char *name, size_t size, size_t align)
{
	if (align < 16)
		align = 16;
	if (size >= 64 && align < 64)
		align = 64;
	c->size = (unsigned)((size + align - 1) & ~(align - 1));
	c->name = name;
	c->order = 0;
	/* At least eight to a slab, if that takes no more than 32 KiB. */
	while (c->order < 3 && ((size_t)PAGE_SIZE << c->order) / c->size < 8)
		c->order++;
	c->per_slab = (unsigned)(((size_t)PAGE_SIZE << c->order) / c->size);
	spin_init(&c->lock, SLAB_RANK - 1);
	list_init(&c->partial);
}

void
slab_init(void)
{
	unsigned k = 0;

	for (unsigned i = 0; i < CLASSES; i++)
		cache_init(&class_cache[i], "kmalloc", class_size[i], class_size[i] >= 64 ? 64 : 16);
	for (unsigned n = 0; n <= 1024 / 16; n++) {
		while (class_size[k] < n * 16)
			k++;
		class_of[n] = (uint8_t)k;
	}
}

struct kcache *
kcache_create(const char *name, size_t size, size_t align)
{
	struct kcache *c = kzalloc(sizeof(*c));

	if (c != NULL)
		cache_init(c, name, size, align);
	return c;
}

/* --- kmalloc --- */

static struct kcache *
cache_for(size_t bytes)
{
	if (bytes <= 1024)
		return &class_cache[class_of[(bytes + 15) / 16]];
	return &class_cache[bytes <= 2048 ? 11 : bytes <= 4096 ? 12 : 13];
}

static unsigned
order_for(size_t bytes)
{
	unsigned order = 0;

	while (((size_t)PAGE_SIZE << order) < bytes)
		order++;
	return order;
}

void *
kmalloc(size_t bytes)
{
	struct page *p;

	if (likely(bytes <= SIZE_MAX_CACHED))
		return kcache_alloc(cache_for(bytes));
	if (bytes > (4UL << 20))
		return NULL;
	p = pages_alloc(order_for(bytes), 0);
	return p != NULL ? page_virt(p) : NULL;
}

void *
kzalloc(size_t bytes)
{
	void *p = kmalloc(bytes);

	return p != NULL ? memset(p, 0, bytes) : NULL;
}

void
kfree(void *object)
{
	struct page *p;

	if (object == NULL)
		return;
	p = virt_to_page(object);
	if (likely(p->flags & PGF_SLAB))
		kcache_free((struct kcache *)p->private_, object);
	else
		pages_free(p, p->order);
}

static size_t
usable_size(const void *object)
{
	const struct page *p = virt_to_page(object);

	return (p->flags & PGF_SLAB) ? ((const struct kcache *)p->private_)->size : (size_t)PAGE_SIZE << p->order;
}

void *
krealloc(void *old, size_t bytes)
{
	size_t have;
	void *p;

	if (old == NULL)
		return kmalloc(bytes);
	have = usable_size(old);
	if (bytes <= have && bytes * 4 >= have)
		return old;
	p = kmalloc(bytes);
	if (p == NULL)
		return NULL;
	memcpy(p, old, min(have, bytes));
	kfree(old);
	return p;
}

char *
kstrdup(const char *s)
{
	size_t n = strlen(s) + 1;
	char *p = kmalloc(n);

	return p != NULL ? memcpy(p, s, n) : NULL;
}
