/* SPDX-License-Identifier: MIT */
/*
 * The dentry cache: names of directories, hashed by parent and name, negative
 * ones included.  Readers walk the chains in a read section without a lock;
 * every change happens under dcache_lock, and a change that could lead a reader
 * astray (rename, mount) moves rename_seq, after which the reader starts over
 * with locks.
 *
 * References: a child holds its parent, a file system that has no other store
 * than the tree (tmpfs) pins its positive dentries.  At 0 a hashed dentry stays
 * on the LRU list; the last reference is given up under dcache_lock unless the
 * dentry is on the list already.  Dying dentries have a count of DREF_DEAD.
 */
#include "internal.h"

enum { SHRINK_BATCH = 64 };

spinlock_t dcache_lock = SPINLOCK_INIT(50);
uint32_t rename_seq;

static struct dentry **buckets;
static uint32_t bucket_mask;
static struct kcache *dentry_cache;
static struct list lru = LIST_INIT(lru);
static uint64_t count, unused, unused_max;

/* ---- names ---- */

#define ONES	0x0101010101010101ULL
#define HIGHS	0x8080808080808080ULL
#define SLASHES	(ONES * '/')

/* An unaligned load; the compiler, told of code that runs with the MMU off, would
 * make it of bytes. */
static inline uint64_t
load64(const char *p)
{
	uint64_t v;

#ifdef __aarch64__
	__asm__("ldr %0, %1" : "=r"(v) : "Q"(*(const char (*)[8])p));
#else
	__builtin_memcpy(&v, p, sizeof(v));
#endif
	return v;
}

static inline uint64_t
hash_step(uint64_t h, uint64_t word)
{
	h = (h ^ word) * 0x9e3779b97f4a7c15ULL;
	return h ^ h >> 29;
}

static inline uint64_t zero_bytes(uint64_t v) { return (v - ONES) & ~v & HIGHS; }

/* Eight bytes at a time; the first byte that ends the component decides. */
uint32_t
component_hash(const char *s, unsigned *len)
{
	uint64_t h = 0;
	unsigned n = 0;

	for (;;) {
		uint64_t v = load64(s + n);
		uint64_t end = zero_bytes(v) | zero_bytes(v ^ SLASHES);

		if (end != 0) {
			unsigned rest = (unsigned)__builtin_ctzll(end) & ~7u;

			if (rest != 0)
				h = hash_step(h, v & ((1ULL << rest) - 1));
			*len = n + rest / 8;
			return (uint32_t)(h >> 32);
		}
		h = hash_step(h, v);
		n += 8;
	}
}

uint32_t
name_hash(const char *name, unsigned len)
{
	uint64_t h = 0;
	unsigned n = 0;

	for (; len - n >= 8; n += 8)
		h = hash_step(h, load64(name + n));
	if (n < len) {
		uint64_t v = 0;

		__builtin_memcpy(&v, name + n, len - n);
		h = hash_step(h, v);
	}
	return (uint32_t)(h >> 32);
}

/* Both texts may be read up to 7 bytes past their end: a dentry's by its making,
 * the other by the rule for names that are looked up (PATH_PAD). */
static inline bool
name_equal(const struct dentry *d, const char *name, unsigned len)
{
	const char *own = READ_ONCE(d->name);

	for (; len >= 8; len -= 8, own += 8, name += 8)
		if (load64(own) != load64(name))
			return false;
	return len == 0 || ((load64(own) ^ load64(name)) << (64 - 8 * len)) == 0;
}

/* ---- hash ---- */

static inline struct dentry **
bucket(const struct dentry *parent, uint32_t hash)
{
	uint64_t p = (uint64_t)parent >> 6;

	return &buckets[(hash ^ (uint32_t)(p * 0x9e3779b1u) ^ hash >> 15) & bucket_mask];
}

struct dentry *
dentry_find(struct dentry *parent, const char *name, unsigned len, uint32_t hash)
{
	struct dentry *d = __atomic_load_n(bucket(parent, hash), __ATOMIC_ACQUIRE);

	for (; d != NULL; d = __atomic_load_n(&d->hash_next, __ATOMIC_ACQUIRE))
		if (d->hash == hash && d->parent == parent && d->len == len && name_equal(d, name, len))
			return d;
	return NULL;
}

static void
hash_insert(struct dentry *d)
{
	struct dentry **head = bucket(d->parent, d->hash);

	d->hash_next = *head;
	d->hash_prev = head;
	if (*head != NULL)
		(*head)->hash_prev = &d->hash_next;
	/* A reader that finds it sees its name, too: partner is dentry_find's acquire. */
	__atomic_store_n(head, d, __ATOMIC_RELEASE);
	d->flags |= DF_HASHED;
}

/* hash_next stays: a reader that stands here goes on along the chain. */
static void
hash_remove(struct dentry *d)
{
	if ((d->flags & DF_HASHED) == 0)
		return;
	__atomic_store_n(d->hash_prev, d->hash_next, __ATOMIC_RELEASE);
	if (d->hash_next != NULL)
		d->hash_next->hash_prev = d->hash_prev;
	d->flags &= ~(uint32_t)DF_HASHED;
}

void
dentry_hash(struct dentry *d)
{
	spin_lock(&dcache_lock);
	if ((d->flags & (DF_HASHED | DF_NOCACHE)) == 0) {
		hash_insert(d);
		if (d->inode == NULL)
			list_add(&d->parent->negatives, &d->sibling);
	}
	spin_unlock(&dcache_lock);
}

void
dentry_drop(struct dentry *d)
{
	spin_lock(&dcache_lock);
	hash_remove(d);
	spin_unlock(&dcache_lock);
}

void
rename_seq_write(int delta)
{
	/* Full fences around: partner is rename_seq_same. */
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	__atomic_store_n(&rename_seq, rename_seq + (uint32_t)delta, __ATOMIC_RELEASE);
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
}

/* ---- references ---- */

bool
dentry_try_get(struct dentry *d)
{
	int32_t n = __atomic_load_n(&d->refs.n, __ATOMIC_RELAXED);

	do {
		if (n < 0)
			return false;
	} while (!__atomic_compare_exchange_n(&d->refs.n, &n, n + 1, true, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED));
	return true;
}

void
dentry_get(struct dentry *d)
{
	__atomic_fetch_add(&d->refs.n, 1, __ATOMIC_RELAXED);
}

/* The dentry has no references and is marked dead: take it out of everything.
 * dcache_lock held. */
static void
dentry_unlink_dead(struct dentry *d)
{
	hash_remove(d);
	if (d->flags & DF_LRU) {
		list_del(&d->lru);
		unused--;
	}
	list_del(&d->sibling);
	__atomic_fetch_sub(&count, 1, __ATOMIC_RELAXED);
}

/* A name lets go of its inode; without other names that ends the inode's watches. */
static void
inode_release(struct inode *i)
{
	if (i == NULL)
		return;
	if (unlikely(i->notify != NULL) && i->nlink == 0)
		notify_unlinked(i);
	inode_put(i);
}

/* Frees a dead dentry; returns its parent, whose reference goes to the caller. */
static struct dentry *
dentry_free(struct dentry *d)
{
	struct dentry *parent = d->parent == d ? NULL : d->parent;

	inode_release(d->inode);
	if (d->name != d->inline_name)
		grace_free(d->name, NULL);
	grace_free(d, dentry_cache);
	return parent;
}

/* One reference less; true: the last one, and the dentry is dead and out of everything. */
static bool
dentry_put_locked(struct dentry *d)
{
	if (__atomic_sub_fetch(&d->refs.n, 1, __ATOMIC_ACQ_REL) != 0)
		return false;
	if (d->flags & DF_HASHED) {
		if ((d->flags & DF_LRU) == 0) {
			d->flags |= DF_LRU;
			list_add_tail(&lru, &d->lru);
			unused++;
		}
		return false;
	}
	int32_t zero = 0;
	/* A reader of the hash chain may have taken it in this moment. */
	if (!__atomic_compare_exchange_n(&d->refs.n, &zero, DREF_DEAD, false, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED))
		return false;
	dentry_unlink_dead(d);
	return true;
}

void
dentry_put(struct dentry *d)
{
	while (d != NULL) {
		int32_t n = __atomic_load_n(&d->refs.n, __ATOMIC_RELAXED);
		bool last;

		while (n > 1 || (n == 1 && (READ_ONCE(d->flags) & (DF_LRU | DF_HASHED)) == (DF_LRU | DF_HASHED)))
			if (__atomic_compare_exchange_n(&d->refs.n, &n, n - 1, true, __ATOMIC_RELEASE, __ATOMIC_RELAXED))
				return;
		spin_lock(&dcache_lock);
		last = dentry_put_locked(d);
		spin_unlock(&dcache_lock);
		if (!last)
			return;
		d = dentry_free(d);
	}
}

/*
 * Frees up to `want` unused dentries, of one super block or (NULL) of any.
 * Used ones rotate to the young end.
 */
static unsigned
dcache_shrink(unsigned want, struct super *sb)
{
	struct dentry *dead[SHRINK_BATCH];
	unsigned found = 0, looks = sb != NULL ? UINT32_MAX : want * 4;
	struct dentry *d, *next;

	spin_lock(&dcache_lock);
	list_for_each_safe(d, next, &lru, lru) {
		int32_t zero = 0;

		if (found == want || found == SHRINK_BATCH || looks-- == 0)
			break;
		if (sb != NULL && d->sb != sb)
			continue;
		if (!__atomic_compare_exchange_n(&d->refs.n, &zero, DREF_DEAD, false, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED)) {
			if (sb == NULL) {
				list_del(&d->lru);
				list_add_tail(&lru, &d->lru);
			}
			continue;
		}
		dentry_unlink_dead(d);
		dead[found++] = d;
	}
	spin_unlock(&dcache_lock);
	for (unsigned i = 0; i < found; i++)
		dentry_put(dentry_free(dead[i]));
	return found;
}

/* ---- life ---- */

static struct dentry *
dentry_new(struct super *sb, const char *name, unsigned len, uint32_t hash)
{
	struct dentry *d = kcache_zalloc(dentry_cache);

	if (d == NULL)
		return NULL;
	d->name = d->inline_name;
	if (len >= sizeof(d->inline_name)) {
		d->name = kzalloc((len + 8) & ~7u);
		if (d->name == NULL) {
			kcache_free(dentry_cache, d);
			return NULL;
		}
	}
	memcpy(d->name, name, len);
	d->len = len;
	d->hash = hash;
	d->sb = sb;
	ref_init(&d->refs, 1);
	spin_init(&d->lock, 50);
	list_init(&d->children);
	list_init(&d->sibling);
	list_init(&d->negatives);
	list_init(&d->lru);
	return d;
}

struct dentry *
dentry_alloc(struct dentry *parent, const char *name, unsigned len, uint32_t hash)
{
	struct dentry *d;

	if (READ_ONCE(unused) > unused_max)
		dcache_shrink(SHRINK_BATCH, NULL);
	d = dentry_new(parent->sb, name, len, hash);
	if (d == NULL)
		return NULL;
	dentry_get(parent);
	d->parent = parent;
	__atomic_fetch_add(&count, 1, __ATOMIC_RELAXED);
	return d;
}

struct dentry *
dentry_alloc_anon(struct super *sb, const char *name)
{
	unsigned len = (unsigned)strlen(name);
	struct dentry *d = dentry_new(sb, name, len, 0);

	if (d == NULL)
		return NULL;
	d->parent = d;
	d->flags = DF_ANON;
	__atomic_fetch_add(&count, 1, __ATOMIC_RELAXED);
	return d;
}

struct dentry *
dentry_root(struct super *sb, struct inode *inode)
{
	struct dentry *d = dentry_new(sb, "/", 1, 0);

	if (d == NULL)
		return NULL;
	d->parent = d;
	d->inode = inode;
	__atomic_fetch_add(&count, 1, __ATOMIC_RELAXED);
	return d;
}

void
dentry_instantiate(struct dentry *d, struct inode *inode)
{
	spin_lock(&dcache_lock);
	if (!dentry_is_root(d)) {
		list_del(&d->sibling);
		list_add_tail(&d->parent->children, &d->sibling);
	}
	/* The inode's fields before the pointer: partner is the walk's load. */
	__atomic_store_n(&d->inode, inode, __ATOMIC_RELEASE);
	spin_unlock(&dcache_lock);
}

void
dentry_pin(struct dentry *d)
{
	spin_lock(&dcache_lock);
	if ((d->flags & DF_PINNED) == 0) {
		d->flags |= DF_PINNED;
		dentry_get(d);
	}
	spin_unlock(&dcache_lock);
}

static void
unpin_locked(struct dentry *d)
{
	if ((d->flags & DF_PINNED) == 0)
		return;
	d->flags &= ~(uint32_t)DF_PINNED;
	__atomic_fetch_sub(&d->refs.n, 1, __ATOMIC_RELAXED);	/* the caller has another one */
}

/* A directory goes: names that were looked up in it in vain must not hold it. */
void
dentry_prune_negatives(struct dentry *dir)
{
	struct dentry *dead[SHRINK_BATCH], *d, *next;
	unsigned found;

	do {
		found = 0;
		spin_lock(&dcache_lock);
		list_for_each_safe(d, next, &dir->negatives, sibling) {
			int32_t zero = 0;

			if (found == SHRINK_BATCH)
				break;
			if (!__atomic_compare_exchange_n(&d->refs.n, &zero, DREF_DEAD, false, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED))
				continue;
			dentry_unlink_dead(d);
			dead[found++] = d;
		}
		spin_unlock(&dcache_lock);
		for (unsigned i = 0; i < found; i++)
			dentry_put(dentry_free(dead[i]));
	} while (found == SHRINK_BATCH);
}

/*
 * The caller has the only reference it knows of.  If there is none beside it,
 * the dentry is frozen for a moment (readers that want it start over), and
 * becomes negative; otherwise it leaves the hash and keeps its inode.
 */
void
dentry_delete(struct dentry *d)
{
	struct inode *gone = NULL;
	int32_t one = 1;

	spin_lock(&dcache_lock);
	unpin_locked(d);
	list_del(&d->sibling);
	if ((d->flags & DF_NOCACHE) == 0 && list_empty(&d->children) &&
	    __atomic_compare_exchange_n(&d->refs.n, &one, DREF_DEAD, false, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED)) {
		gone = d->inode;
		__atomic_store_n(&d->inode, NULL, __ATOMIC_RELEASE);
		if (d->flags & DF_HASHED)
			list_add(&d->parent->negatives, &d->sibling);
		__atomic_store_n(&d->refs.n, 1, __ATOMIC_RELEASE);
	} else {
		hash_remove(d);
	}
	spin_unlock(&dcache_lock);
	inode_release(gone);
}

/* ---- rename ---- */

static void
names_swap(struct dentry *a, struct dentry *b)
{
	char tmp[sizeof(a->inline_name)];
	char *an = a->name == a->inline_name ? NULL : a->name;
	char *bn = b->name == b->inline_name ? NULL : b->name;
	uint32_t hash = a->hash, len = a->len;

	memcpy(tmp, a->inline_name, sizeof(tmp));
	memcpy(a->inline_name, b->inline_name, sizeof(tmp));
	memcpy(b->inline_name, tmp, sizeof(tmp));
	a->name = bn != NULL ? bn : a->inline_name;
	b->name = an != NULL ? an : b->inline_name;
	a->hash = b->hash;
	a->len = b->len;
	b->hash = hash;
	b->len = len;
}

static void
parents_swap(struct dentry *a, struct dentry *b)
{
	struct dentry *p = a->parent;

	a->parent = b->parent;
	b->parent = p;
}

/*
 * d takes target's place (parent and name); target, which the caller holds, is
 * out of the tree afterwards and carries d's old parent reference and name.
 */
void
dentry_move(struct dentry *d, struct dentry *target)
{
	spin_lock(&dcache_lock);
	rename_seq_write(1);
	unpin_locked(target);
	list_del(&target->sibling);
	hash_remove(target);
	hash_remove(d);
	list_del(&d->sibling);
	names_swap(d, target);
	parents_swap(d, target);
	list_add_tail(&d->parent->children, &d->sibling);
	if ((d->flags & DF_NOCACHE) == 0)
		hash_insert(d);
	rename_seq_write(1);
	spin_unlock(&dcache_lock);
}

void
dentry_exchange(struct dentry *a, struct dentry *b)
{
	spin_lock(&dcache_lock);
	rename_seq_write(1);
	hash_remove(a);
	hash_remove(b);
	list_del(&a->sibling);
	list_del(&b->sibling);
	names_swap(a, b);
	parents_swap(a, b);
	list_add_tail(&a->parent->children, &a->sibling);
	list_add_tail(&b->parent->children, &b->sibling);
	hash_insert(a);
	hash_insert(b);
	rename_seq_write(1);
	spin_unlock(&dcache_lock);
}

/* rename_mutex or a read section keeps the chain of parents in place. */
bool
dentry_is_ancestor(struct dentry *ancestor, struct dentry *d)
{
	for (;; d = d->parent) {
		if (d == ancestor)
			return true;
		if (dentry_is_root(d))
			return false;
	}
}

/* ---- umount ---- */

/* Some pinned leaf of the tree below d, unpinned; the reference goes to the caller. */
static struct dentry *
take_leaf(struct dentry *d)
{
	while (!list_empty(&d->children))
		d = list_first(&d->children, struct dentry, sibling);
	return d;
}

/*
 * Nobody looks names up in it any more.  Names of a file system without other
 * store lose their pin here; open files keep theirs until they are closed.
 */
void
dentry_kill_super(struct super *sb)
{
	struct dentry *root = sb->root;

	sb->root = NULL;
	for (;;) {
		struct dentry *d;

		while (dcache_shrink(SHRINK_BATCH, sb) > 0)
			;
		spin_lock(&dcache_lock);
		d = take_leaf(root);
		if (d == root) {
			spin_unlock(&dcache_lock);
			break;
		}
		dentry_get(d);
		unpin_locked(d);
		list_del(&d->sibling);
		hash_remove(d);
		spin_unlock(&dcache_lock);
		dentry_put(d);
	}
	dentry_put(root);
}

uint64_t dentry_count(void) { return READ_ONCE(count); }
uint64_t dentry_unused(void) { return READ_ONCE(unused); }

void
dcache_init(void)
{
	uint32_t size = 1024;

	/* One bucket for each 16 KiB of memory, 16 Ki to 128 Ki of them. */
	while (size < 131072 && size < pages_total() / 4)
		size *= 2;
	buckets = kzalloc(size * sizeof(buckets[0]));
	dentry_cache = kcache_create("dentry", sizeof(struct dentry), 64);
	if (buckets == NULL || dentry_cache == NULL)
		panic("no memory for the dentry cache");
	bucket_mask = size - 1;
	unused_max = min(pages_total() / 16, (uint64_t)65536);
	unused_max = max(unused_max, (uint64_t)4096);
}
