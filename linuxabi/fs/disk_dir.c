/* SPDX-License-Identifier: MIT */
/*
 * Listings of directories on disks, and what is kept of them.
 *
 * We are the only client, so what the server listed stays true as long as we
 * follow our own changes (proto/fs.h, Listings).  A directory that was listed
 * from its beginning keeps its entries up to the cookie ->known, in blocks, in the
 * order of their cookies; one that was made by us is known to be empty.  With
 * the whole of it known, a name whose hash is not among ->hash is not there, and
 * nobody need be asked.  Cookies are the server's throughout, so a listing goes
 * on at the same place whether this is still there or not.
 *
 * node->dir and all behind it: the directory's inode->lock.  dirs_lock: the list
 * of all of them, oldest first, and their memory.  What cannot be followed or
 * kept is forgotten, which is always allowed.
 */
#include "disk.h"
#include "reclaim.h"

enum {
	DIR_BEGIN = 2,			/* the cookie behind the dots, which we make ourselves */
	BLOCK_LEAST = 128, BLOCK_MOST = 4096,
	HASH_LEAST = 32,
	MEMORY_PART = 32, DIR_PART = 4,	/* of the memory for all, of that for one */
};
#define DIR_ALL	UINT64_MAX		/* known: everything */

struct dir_entry {			/* 8-byte aligned, one after the other */
	uint64_t cookie;
	uint32_t number;
	uint8_t type, length;
	char name[];			/* no NUL */
};

struct dir_block {
	uint64_t last;			/* the highest cookie in it */
	uint32_t used, size;		/* bytes; size is that of the whole block */
	uint8_t bytes[];		/* never empty */
};

struct disk_dir {
	struct disk_node *node;
	struct list lru;		/* dirs_lock */
	bool used;			/* since reclaim looked last */
	uint64_t known;
	uint64_t memory;		/* bytes of it all */
	struct dir_block **block;
	unsigned blocks, blocks_size;
	uint32_t *hash;			/* of each name, open addressing; 0: free */
	unsigned names, hash_size;
};

static spinlock_t dirs_lock = SPINLOCK_INIT(56);
static struct list dirs = LIST_INIT(dirs);
static uint64_t dirs_memory, dirs_memory_max;	/* bytes */

/* ---- memory ---- */

static void
account(struct disk_dir *d, int64_t bytes)
{
	d->memory += (uint64_t)bytes;
	__atomic_fetch_add(&dirs_memory, (uint64_t)bytes, __ATOMIC_RELAXED);
}

static void
dir_free(struct disk_dir *d)
{
	for (unsigned i = 0; i < d->blocks; i++)
		kfree(d->block[i]);
	kfree(d->block);
	kfree(d->hash);
	account(d, -(int64_t)d->memory);
	kfree(d);
}

void
disk_dir_forget(struct disk_node *n)
{
	struct disk_dir *d = n->dir;

	if (d == NULL)
		return;
	n->dir = NULL;
	spin_lock(&dirs_lock);
	list_del(&d->lru);
	spin_unlock(&dirs_lock);
	dir_free(d);
}

static struct disk_dir *
dir_create(struct disk_node *n, uint64_t known)
{
	struct disk_dir *d = kzalloc(sizeof(*d));

	if (d == NULL)
		return NULL;
	d->node = n;
	d->known = known;
	d->used = true;
	account(d, sizeof(*d));
	n->dir = d;
	spin_lock(&dirs_lock);
	list_add_tail(&dirs, &d->lru);
	spin_unlock(&dirs_lock);
	return d;
}

void
disk_dir_new(struct inode *i)
{
	if (disk_node(i)->dir == NULL)
		dir_create(disk_node(i), DIR_ALL);
}

/* The oldest with its inode, referenced; it is the youngest then. */
static struct inode *
oldest(struct super *sb, bool even_used)
{
	struct disk_dir *d;
	struct inode *found = NULL;
	unsigned looks = 64;

	spin_lock(&dirs_lock);
	while (found == NULL && !list_empty(&dirs) && looks-- > 0) {
		d = list_first(&dirs, struct disk_dir, lru);
		list_del(&d->lru);
		list_add_tail(&dirs, &d->lru);
		if ((sb == NULL || d->node->inode->sb == sb) && (even_used || !d->used) &&
		    ref_get_unless_zero(&d->node->inode->refs))
			found = d->node->inode;
		d->used = false;
	}
	spin_unlock(&dirs_lock);
	return found;
}

/*
 * Forget directories until `bytes` are free or enough were looked at: those of one
 * file system, or (NULL, with reclaim's lock held) of any.  A directory that
 * somebody works in is left alone.
 */
static uint64_t
dirs_shrink(struct super *sb, uint64_t bytes, bool even_used)
{
	uint64_t got = 0;

	for (unsigned tries = 0; tries < 256 && got < bytes; tries++) {
		struct inode *i = oldest(sb, even_used);

		if (i == NULL)
			break;
		if (mutex_trylock(&i->lock)) {
			struct disk_dir *d = disk_node(i)->dir;

			got += d != NULL ? d->memory : 0;
			disk_dir_forget(disk_node(i));
			mutex_unlock(&i->lock);
		}
		inode_put(i);
	}
	return got;
}

static uint64_t dirs_reclaim(uint64_t bytes, bool hard) { return dirs_shrink(NULL, bytes, hard); }

/* May this directory take more?  One that is too large is not tried again. */
static bool
dir_has_room(struct disk_dir *d)
{
	struct disk_node *n = d->node;

	if (d->memory > dirs_memory_max / DIR_PART) {
		n->dir_too_large = true;
		return false;
	}
	if (READ_ONCE(dirs_memory) > dirs_memory_max)
		dirs_shrink(n->inode->sb, dirs_memory_max / DIR_PART, true);
	return READ_ONCE(dirs_memory) <= dirs_memory_max;
}

/* ---- hashes of names ---- */

/* 0 is a free place. */
static uint32_t hash_value(uint32_t hash) { return hash != 0 ? hash : 1; }
static unsigned hash_home(const struct disk_dir *d, uint32_t value) { return value & (d->hash_size - 1); }
static unsigned hash_after(const struct disk_dir *d, unsigned at) { return (at + 1) & (d->hash_size - 1); }

static bool
hash_has(const struct disk_dir *d, uint32_t hash)
{
	uint32_t value = hash_value(hash);

	if (d->hash_size == 0)
		return false;
	for (unsigned at = hash_home(d, value); d->hash[at] != 0; at = hash_after(d, at))
		if (d->hash[at] == value)
			return true;
	return false;
}

static void
hash_put(struct disk_dir *d, uint32_t value)
{
	unsigned at = hash_home(d, value);

	while (d->hash[at] != 0)
		at = hash_after(d, at);
	d->hash[at] = value;
}

static bool
hash_grow(struct disk_dir *d)
{
	unsigned old_size = d->hash_size;
	uint32_t *old = d->hash, *new;

	if ((d->names + 1) * 4 <= old_size * 3)
		return true;
	new = kzalloc(max(old_size * 2, (unsigned)HASH_LEAST) * sizeof(new[0]));
	if (new == NULL)
		return false;
	d->hash = new;
	d->hash_size = max(old_size * 2, (unsigned)HASH_LEAST);
	for (unsigned i = 0; i < old_size; i++)
		if (old[i] != 0)
			hash_put(d, old[i]);
	kfree(old);
	account(d, (int64_t)((d->hash_size - old_size) * sizeof(new[0])));
	return true;
}

/* What follows in a row moves up, unless it stands where it belongs (Knuth 6.4, algorithm R). */
static void
hash_remove(struct disk_dir *d, uint32_t hash)
{
	uint32_t value = hash_value(hash);
	unsigned hole = hash_home(d, value), at;

	while (d->hash[hole] != value) {
		if (d->hash[hole] == 0)
			return;
		hole = hash_after(d, hole);
	}
	for (at = hash_after(d, hole); d->hash[at] != 0; at = hash_after(d, at)) {
		unsigned home = hash_home(d, d->hash[at]);

		if (((at - home) & (d->hash_size - 1)) < ((at - hole) & (d->hash_size - 1)))
			continue;
		d->hash[hole] = d->hash[at];
		hole = at;
	}
	d->hash[hole] = 0;
}

/* ---- blocks ---- */

static unsigned entry_bytes(unsigned length) { return ((unsigned)__builtin_offsetof(struct dir_entry, name) + length + 7) & ~7u; }
static struct dir_entry *entry_at(struct dir_block *b, unsigned at) { return (struct dir_entry *)(void *)(b->bytes + at); }
static uint64_t block_first(struct dir_block *b) { return entry_at(b, 0)->cookie; }
static unsigned block_room(const struct dir_block *b) { return b->size - (unsigned)sizeof(*b); }

/* A place in the blocks: at blocks is behind all of them. */
struct dir_place {
	unsigned block, at;
	uint64_t before;		/* cookie of the entry before it; 0: none */
};

/* The first entry whose cookie is at least this. */
static struct dir_place
place_find(const struct disk_dir *d, uint64_t cookie)
{
	unsigned low = 0, high = d->blocks;
	struct dir_place p = { 0, 0, 0 };

	while (low < high) {
		unsigned middle = (low + high) / 2;

		if (d->block[middle]->last < cookie)
			low = middle + 1;
		else
			high = middle;
	}
	p.block = low;
	p.before = low > 0 ? d->block[low - 1]->last : 0;
	if (low == d->blocks)
		return p;
	while (entry_at(d->block[low], p.at)->cookie < cookie) {
		p.before = entry_at(d->block[low], p.at)->cookie;
		p.at += entry_bytes(entry_at(d->block[low], p.at)->length);
	}
	return p;
}

static bool
blocks_insert(struct disk_dir *d, unsigned at, struct dir_block *b)
{
	if (d->blocks == d->blocks_size) {
		unsigned size = max(d->blocks_size * 2, 4u);
		struct dir_block **new = krealloc(d->block, size * sizeof(new[0]));

		if (new == NULL)
			return false;
		account(d, (int64_t)((size - d->blocks_size) * sizeof(new[0])));
		d->block = new;
		d->blocks_size = size;
	}
	memmove(&d->block[at + 1], &d->block[at], (d->blocks - at) * sizeof(d->block[0]));
	d->block[at] = b;
	d->blocks++;
	return true;
}

/* A new block with these bytes in it, which may be none as yet. */
static struct dir_block *
block_new(struct disk_dir *d, unsigned at, unsigned size, const void *bytes, unsigned used)
{
	struct dir_block *b = kmalloc(size);

	if (b == NULL)
		return NULL;
	b->last = 0;
	b->used = used;
	b->size = size;
	memcpy(b->bytes, bytes, used);
	if (!blocks_insert(d, at, b)) {
		kfree(b);
		return NULL;
	}
	account(d, size);
	return b;
}

static bool
block_grow(struct disk_dir *d, unsigned n)
{
	struct dir_block *b = d->block[n], *new = krealloc(b, b->size * 2);

	if (new == NULL)
		return false;
	account(d, new->size);
	new->size *= 2;
	d->block[n] = new;
	return true;
}

/* The upper half goes to a block of its own; the place stays at its entry. */
static bool
block_split(struct disk_dir *d, struct dir_place *p)
{
	struct dir_block *b = d->block[p->block], *upper;
	unsigned half = 0;
	uint64_t last = 0;

	while (half < b->used / 2) {
		last = entry_at(b, half)->cookie;
		half += entry_bytes(entry_at(b, half)->length);
	}
	upper = block_new(d, p->block + 1, BLOCK_MOST, b->bytes + half, b->used - half);
	if (upper == NULL)
		return false;
	upper->last = b->last;
	b->used = half;
	b->last = last;
	if (p->at > half) {
		p->block++;
		p->at -= half;
	}
	return true;
}

/* See that `bytes` fit at the place, which may come to be another one. */
static bool
place_make_room(struct disk_dir *d, struct dir_place *p, unsigned bytes)
{
	if (p->block == d->blocks && p->block > 0) {	/* behind all: in the last one, if it fits */
		p->block--;
		p->at = d->block[p->block]->used;
	}
	if (d->blocks == 0 && block_new(d, 0, BLOCK_LEAST, "", 0) == NULL)
		return false;
	while (block_room(d->block[p->block]) - d->block[p->block]->used < bytes) {
		struct dir_block *b = d->block[p->block];

		if (b->size < BLOCK_MOST) {
			if (!block_grow(d, p->block))
				return false;
		} else if (p->at == b->used) {		/* most listings only append */
			*p = (struct dir_place){ p->block + 1, 0, b->last };
			return block_new(d, p->block, BLOCK_MOST, "", 0) != NULL;
		} else if (!block_split(d, p)) {
			return false;
		}
	}
	return true;
}

static bool
entry_insert(struct disk_dir *d, struct dir_place p, const struct dir_entry *e, const char *name, uint32_t hash)
{
	unsigned bytes = entry_bytes(e->length);
	struct dir_entry *new;
	struct dir_block *b;

	if (!hash_grow(d) || !place_make_room(d, &p, bytes))
		return false;
	b = d->block[p.block];
	new = entry_at(b, p.at);
	memmove(b->bytes + p.at + bytes, b->bytes + p.at, b->used - p.at);
	b->used += bytes;
	b->last = max(b->last, e->cookie);
	*new = *e;
	memcpy(new->name, name, e->length);
	hash_put(d, hash_value(hash));
	d->names++;
	return true;
}

static void
entry_delete(struct disk_dir *d, struct dir_place p, uint32_t hash)
{
	struct dir_block *b = d->block[p.block];
	unsigned bytes = entry_bytes(entry_at(b, p.at)->length);

	b->used -= bytes;
	memmove(b->bytes + p.at, b->bytes + p.at + bytes, b->used - p.at);
	hash_remove(d, hash);
	d->names--;
	if (b->used == 0) {
		account(d, -(int64_t)b->size);
		d->blocks--;
		memmove(&d->block[p.block], &d->block[p.block + 1], (d->blocks - p.block) * sizeof(d->block[0]));
		kfree(b);
	} else if (p.at == b->used) {
		b->last = p.before;	/* in the same block, or it would be empty */
	}
}

/* ---- our own changes ---- */

/* The server may give it and its neighbour other cookies now. */
static bool
is_crowded(const struct disk_dir *d, struct dir_place p, uint64_t cookie)
{
	uint64_t next = 0;

	if (p.block < d->blocks && p.at < d->block[p.block]->used)
		next = entry_at(d->block[p.block], p.at)->cookie;
	else if (p.block + 1 < d->blocks)
		next = block_first(d->block[p.block + 1]);
	return (p.before != 0 && cookie - p.before < FS_COOKIE_NEAR) || (next != 0 && next - cookie < FS_COOKIE_NEAR);
}

/* Where the name with this cookie is. */
static bool
entry_find(const struct disk_dir *d, const struct dentry *name, uint64_t cookie, struct dir_place *p)
{
	const struct dir_entry *e;

	*p = place_find(d, cookie);
	if (p->block == d->blocks)
		return false;
	e = entry_at(d->block[p->block], p->at);
	return e->cookie == cookie && e->length == name->len && memcmp(e->name, name->name, e->length) == 0;
}

static bool
dir_add(struct disk_dir *d, const struct dentry *name, const struct inode *i, uint64_t cookie)
{
	struct dir_entry e = { .cookie = cookie, .number = disk_node(i)->number, .type = (uint8_t)(i->mode >> 12 & 15),
	    .length = (uint8_t)name->len };
	struct dir_place p;

	if (cookie > d->known)
		return true;
	p = place_find(d, cookie);
	return !is_crowded(d, p, cookie) && dir_has_room(d) && entry_insert(d, p, &e, name->name, name->hash);
}

static bool
dir_remove(struct disk_dir *d, const struct dentry *name, uint64_t cookie)
{
	struct dir_place p, next;

	if (cookie > d->known)
		return true;
	if (!entry_find(d, name, cookie, &p))
		return false;
	next = p;
	next.at += entry_bytes((unsigned)name->len);
	if (is_crowded(d, next, cookie) || (p.before != 0 && cookie - p.before < FS_COOKIE_NEAR))
		return false;
	entry_delete(d, p, name->hash);
	return true;
}

static bool
dir_replace(struct disk_dir *d, const struct dentry *name, const struct inode *i, uint64_t cookie)
{
	struct dir_place p;
	struct dir_entry *e;

	if (cookie > d->known)
		return true;
	if (!entry_find(d, name, cookie, &p))
		return false;
	e = entry_at(d->block[p.block], p.at);
	e->number = disk_node(i)->number;
	e->type = (uint8_t)(i->mode >> 12 & 15);
	return true;
}

void
disk_dir_made(struct inode *dir, const struct dentry *name, const struct inode *i, uint64_t cookie)
{
	struct disk_dir *d = disk_node(dir)->dir;

	if (d != NULL && (cookie == 0 || !dir_add(d, name, i, cookie)))
		disk_dir_forget(disk_node(dir));
}

void
disk_dir_gone(struct inode *dir, const struct dentry *name, uint64_t cookie)
{
	struct disk_dir *d = disk_node(dir)->dir;

	if (d != NULL && (cookie == 0 || !dir_remove(d, name, cookie)))
		disk_dir_forget(disk_node(dir));
}

void
disk_dir_replaced(struct inode *dir, const struct dentry *name, const struct inode *i, uint64_t cookie)
{
	struct disk_dir *d = disk_node(dir)->dir;

	if (d != NULL && (cookie == 0 || !dir_replace(d, name, i, cookie)))
		disk_dir_forget(disk_node(dir));
}

bool
disk_dir_lacks(struct inode *dir, const struct dentry *name)
{
	struct disk_dir *d = disk_node(dir)->dir;

	if (d == NULL || d->known != DIR_ALL)
		return false;
	d->used = true;
	return !hash_has(d, name->hash);
}

/* ---- listing: 0 and 1 are the dots ---- */

/* What is kept, behind the cookie; false: the listing's buffer is full. */
static bool
emit_kept(struct disk_dir *d, struct dir_context *ctx, uint64_t cookie)
{
	struct dir_place p = place_find(d, cookie + 1);

	d->used = true;
	for (; p.block < d->blocks; p.block++, p.at = 0) {
		struct dir_block *b = d->block[p.block];

		while (p.at < b->used) {
			const struct dir_entry *e = entry_at(b, p.at);

			if (!ctx->emit(ctx, e->name, e->length, e->number, e->type))
				return false;
			ctx->pos = (loff_t)e->cookie;
			p.at += entry_bytes(e->length);
		}
	}
	return true;
}

static bool
is_dots(const struct fs_entry *e)
{
	return e->name[0] == '.' && (e->name_length == 1 || (e->name_length == 2 && e->name[1] == '.'));
}

/* The entry at *at of a page from the server, and on to the next; NULL: the end, or (*error) nonsense. */
static const struct fs_entry *
page_entry(const uint8_t *page, size_t bytes, size_t *at, long *error)
{
	const size_t head = __builtin_offsetof(struct fs_entry, name);
	const struct fs_entry *e = (const struct fs_entry *)(const void *)(page + *at);

	if (*at + head > bytes)
		return NULL;
	if (e->length < head + e->name_length || *at + e->length > bytes || e->length % 8 != 0 || e->name_length == 0) {
		*error = -EUCLEAN;
		return NULL;
	}
	*at += e->length;
	return e;
}

/* 1: more may follow; 0: the listing's buffer is full. */
static long
emit_page(struct dir_context *ctx, const uint8_t *page, size_t bytes)
{
	const struct fs_entry *e;
	long error = 0;
	size_t at = 0;

	while ((e = page_entry(page, bytes, &at, &error)) != NULL) {
		if (!is_dots(e) && !ctx->emit(ctx, e->name, e->name_length, e->inode, e->type))
			return 0;
		ctx->pos = max(ctx->pos, (loff_t)e->cookie);
	}
	return error < 0 ? error : 1;
}

/* False: it cannot be kept. */
static bool
keep_page(struct disk_dir *d, const uint8_t *page, size_t bytes)
{
	const struct fs_entry *e;
	uint64_t before = d->known;
	long error = 0;
	size_t at = 0;

	while ((e = page_entry(page, bytes, &at, &error)) != NULL) {
		struct dir_entry new = { .cookie = e->cookie, .number = e->inode, .type = e->type, .length = e->name_length };

		if (e->cookie <= d->known)
			return false;
		d->known = e->cookie;
		if (!is_dots(e) && !entry_insert(d, (struct dir_place){ d->blocks, 0, before }, &new, e->name,
		    name_hash(e->name, e->name_length)))
			return false;
	}
	return error == 0;
}

/*
 * Ask the server for what is behind the cookie.  With a directory, known up to
 * there, that keeps it.  1: there was something, which was kept or listed; 0: that
 * was all, or the listing's buffer is full.
 */
static long
list_more(struct inode *i, struct disk_dir *d, struct dir_context *ctx, uint64_t cookie)
{
	struct disk_node *n = disk_node(i);
	loff_t before = ctx->pos;
	struct disk_call *k;
	long r;

	if (d != NULL && !dir_has_room(d)) {
		disk_dir_forget(n);
		d = NULL;
	}
	k = disk_call_begin(disk_of(i->sb)->client, FS_READDIR);
	disk_name_inode(k->request, n);
	k->request->offset = cookie;
	r = disk_call_finish(k);
	if (r > FS_SLOT_BYTES)
		r = -EUCLEAN;
	if (r == 0 && d != NULL)
		d->known = DIR_ALL;
	if (r > 0 && (d == NULL || !keep_page(d, k->page, (size_t)r))) {
		if (d != NULL)
			disk_dir_forget(n);
		r = emit_page(ctx, k->page, (size_t)r);
		if (r > 0 && ctx->pos == before)
			r = -EUCLEAN;		/* the server does not get on */
	}
	disk_call_end(k);
	return r;
}

/* What is kept, if the cookie lies in it; what is listed from the beginning will be. */
static struct disk_dir *
dir_for(struct disk_node *n, uint64_t cookie)
{
	if (n->dir == NULL && cookie == DIR_BEGIN && !n->dir_too_large)
		dir_create(n, DIR_BEGIN);
	return n->dir != NULL && cookie <= n->dir->known ? n->dir : NULL;
}

/* The server may list the dots as well: they are passed over, and 1 and 2 are not used up by them. */
long
disk_iterate(struct file *f, struct dir_context *ctx)
{
	struct disk_node *n = disk_node(f->inode);
	long r;

	if (!dir_emit_dots(f, ctx))
		return 0;
	do {
		uint64_t cookie = (uint64_t)ctx->pos;
		struct disk_dir *d = dir_for(n, cookie);

		if (d != NULL) {
			if (!emit_kept(d, ctx, cookie) || d->known == DIR_ALL)
				return 0;
			cookie = d->known;
		}
		r = list_more(f->inode, d, ctx, cookie);
	} while (r > 0);
	return r;
}

uint64_t disk_dirs_memory(void) { return READ_ONCE(dirs_memory); }

void
disk_dir_init(void)
{
	dirs_memory_max = pages_total() * PAGE_SIZE / MEMORY_PART;
	reclaim_register(dirs_reclaim);
}
