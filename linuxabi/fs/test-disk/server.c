/* SPDX-License-Identifier: MIT */
/* What server.h promises. */
#include <linux/falloc.h>
#include <linux/xattr.h>
#include "../test/fs_host.h"
#include "server.h"

enum { INODES = 16384, NAMES = 65536, BLOCK = 4096, REDO = 8192, XATTRS = 64, COMMIT_STEPS = 400 };

struct block {
	uint64_t transaction;		/* of the write that brought it */
	uint8_t bytes[BLOCK];
};
struct node {
	struct fs_attributes a;
	struct block **block;
	uint64_t blocks;		/* entries of block */
	bool used, held;
	uint64_t stable_size, orphaned_by;
	char link[1024];
};
struct name {
	uint32_t dir, inode;
	uint64_t cookie;
	char text[256];
};
struct xattr {
	uint32_t inode;
	size_t size;
	char name[64];
	uint8_t value[512];
};

struct server_faults faults;
const bool server_is_model = true, server_redoes = true;
uint64_t server_blocks = 1 << 20, server_requests[256], server_steps;
unsigned server_deaths;
char server_wrong[256];

static struct node node[INODES];
static struct name name[NAMES];
static struct xattr xattr[XATTRS];
static unsigned names;
static uint64_t used, reserved, transaction = 10, commit_at;
static uint32_t next_generation = 7;
static struct fs_channel *ch;
static bool mounted, alive;
static unsigned dead_for;
static struct { uint64_t sequence; struct fs_answer answer; } redo[REDO];

/* Requests taken from the ring, and answers that wait. */
static struct { unsigned slot; bool done; struct fs_answer answer; uint8_t page[BLOCK]; } work[FS_SLOTS];
static unsigned works;

static void
wrong(const char *what)
{
	if (server_wrong[0] == '\0')
		strlcpy(server_wrong, what, sizeof(server_wrong));
	printf("client: %s\n", what);
}

static void
commit(void)
{
	for (unsigned i = 0; i < INODES; i++)
		if (node[i].used)
			node[i].stable_size = node[i].a.size;
	ch->committed = transaction++;
	commit_at = server_steps + COMMIT_STEPS;
}

static struct node *
node_of(uint32_t inode, uint32_t generation)
{
	if (inode == 0 || inode >= INODES || !node[inode].used || node[inode].a.generation != generation)
		return NULL;
	return &node[inode];
}

static struct name *
name_find(uint32_t dir, const char *text)
{
	for (unsigned i = 0; i < names; i++)
		if (name[i].inode != 0 && name[i].dir == dir && strcmp(name[i].text, text) == 0)
			return &name[i];
	return NULL;
}

static bool
cookie_taken(uint32_t dir, uint64_t cookie)
{
	for (unsigned i = 0; i < names; i++)
		if (name[i].inode != 0 && name[i].dir == dir && name[i].cookie == cookie)
			return true;
	return false;
}

/* Anywhere in the listing; now and then beside another name, as equal hashes are. */
static uint64_t
cookie_new(uint32_t dir)
{
	uint64_t cookie;

	do {
		unsigned other = names != 0 ? (unsigned)(rnd() % names) : 0;

		cookie = 100 + (rnd() & 0xffffffff) * 2 * FS_COOKIE_NEAR;
		if (faults.crowded && names != 0 && rnd() % 8 == 0 && name[other].dir == dir)
			cookie = name[other].cookie + 1;
	} while (cookie_taken(dir, cookie));
	return cookie;
}

static uint64_t
name_add(uint32_t dir, const char *text, uint32_t inode)
{
	unsigned i = 0;

	while (i < names && name[i].inode != 0)
		i++;
	if (i == names)
		CHECK(names++ < NAMES);
	name[i] = (struct name){ .dir = dir, .inode = inode, .cookie = cookie_new(dir) };
	strlcpy(name[i].text, text, sizeof(name[i].text));
	return name[i].cookie;
}

static bool
dir_empty(uint32_t dir)
{
	for (unsigned i = 0; i < names; i++)
		if (name[i].inode != 0 && name[i].dir == dir)
			return false;
	return true;
}

static void
block_drop(struct node *n, uint64_t at)
{
	if (at < n->blocks && n->block[at] != NULL) {
		free(n->block[at]);
		n->block[at] = NULL;
		used--;
		n->a.blocks -= 8;
	}
}

static struct block *
block_get(struct node *n, uint64_t at)
{
	if (at >= n->blocks) {
		uint64_t want = max(at + 1, n->blocks * 2);

		n->block = realloc(n->block, want * sizeof(n->block[0]));
		memset(n->block + n->blocks, 0, (want - n->blocks) * sizeof(n->block[0]));
		n->blocks = want;
	}
	if (n->block[at] == NULL) {
		n->block[at] = calloc(1, sizeof(struct block));
		used++;
		n->a.blocks += 8;
	}
	return n->block[at];
}

static void
node_cut(struct node *n, uint64_t size)
{
	for (uint64_t b = (size + BLOCK - 1) / BLOCK; b < n->blocks; b++)
		block_drop(n, b);
	if (size % BLOCK != 0 && size / BLOCK < n->blocks && n->block[size / BLOCK] != NULL)
		memset(n->block[size / BLOCK]->bytes + size % BLOCK, 0, BLOCK - size % BLOCK);
}

static void
node_free(struct node *n)
{
	node_cut(n, 0);
	free(n->block);
	for (unsigned i = 0; i < XATTRS; i++)
		if (xattr[i].inode == n->a.inode)
			xattr[i].inode = 0;
	memset(n, 0, sizeof(*n));
}

static uint32_t
node_new(const struct fs_request *q)
{
	uint32_t i = 12;

	while (i < INODES && node[i].used)
		i++;
	if (i == INODES)
		return 0;
	node[i].used = true;
	node[i].a = (struct fs_attributes){ .inode = i, .generation = next_generation++, .mode = q->mode, .nlink = 1,
	    .uid = q->uid, .gid = q->gid, .rdev = q->rdev, .atime = q->now, .mtime = q->now, .ctime = q->now, .btime = q->now };
	if ((q->mode & S_IFMT) == S_IFDIR)
		node[i].a.nlink = 2;
	return i;
}

uint64_t server_used(void) { return used + reserved; }

unsigned
server_inodes(void)
{
	unsigned n = 0;

	for (unsigned i = 0; i < INODES; i++)
		n += node[i].used;
	return n;
}

unsigned
server_orphans(void)
{
	unsigned n = 0;

	for (unsigned i = 0; i < INODES; i++)
		n += node[i].used && node[i].a.nlink == 0;
	return n;
}

bool server_clean(void) { return !mounted; }

long
server_peek(uint32_t inode, uint64_t offset, void *buf, unsigned long size)
{
	struct node *n = &node[inode];

	memset(buf, 0, size);
	if (!n->used || offset >= n->stable_size)
		return 0;
	size = min(size, n->stable_size - offset);
	for (unsigned long i = 0; i < size; i++) {
		uint64_t b = (offset + i) / BLOCK;

		if (b < n->blocks && n->block[b] != NULL && n->block[b]->transaction <= ch->committed)
			((uint8_t *)buf)[i] = n->block[b]->bytes[(offset + i) % BLOCK];
	}
	return (long)size;
}

/* ---- data ---- */

static void *
dma(const struct fs_segment *s)
{
	uint64_t ipa = WORLD_RAM_BASE + s->address;
	struct page *p = ipa_to_page(ipa);

	if (s->address % 512 != 0 || s->bytes % 512 != 0 || s->bytes == 0) {
		wrong("a segment is not of whole sectors");
		return NULL;
	}
	for (uint64_t at = 0; at < s->bytes; at += PAGE_SIZE)
		if ((ipa_to_page(ipa + at)->flags & PGF_IO) == 0) {
			wrong("a segment names memory that is not lent");
			return NULL;
		}
	(void)p;
	return ipa_to_virt(ipa);
}

static bool
segments_ok(const struct fs_request *q)
{
	uint64_t sum = 0;

	if (q->segments == 0 || q->segments > FS_SEGMENTS || q->offset % 512 != 0 || q->length % 512 != 0)
		return false;
	for (unsigned i = 0; i < q->segments; i++) {
		if (dma(&q->segment[i]) == NULL)
			return false;
		sum += q->segment[i].bytes;
	}
	return sum == q->length;
}

static uint8_t *
request_byte(const struct fs_request *q, uint64_t at)
{
	for (unsigned i = 0; i < q->segments; i++) {
		if (at < q->segment[i].bytes)
			return (uint8_t *)dma(&q->segment[i]) + at;
		at -= q->segment[i].bytes;
	}
	CHECK(0);
	return NULL;
}

static long
do_read(struct node *n, const struct fs_request *q, struct fs_answer *r, uint8_t *page)
{
	struct fs_hole *h = (struct fs_hole *)(void *)page;
	long got = q->offset >= n->a.size ? 0 : (long)min(q->length, n->a.size - q->offset);

	if (!segments_ok(q)) {
		wrong("FS_READ makes no sense");
		return -EINVAL;
	}
	for (uint64_t at = 0; at < q->length; at += BLOCK) {
		uint64_t b = (q->offset + at) / BLOCK;
		uint8_t *to = request_byte(q, at);

		if (b < n->blocks && n->block[b] != NULL) {
			memcpy(to, n->block[b]->bytes, BLOCK);
			continue;
		}
		memset(to, 0xee, BLOCK);	/* the client clears it */
		if ((long)at >= got)
			continue;
		if (r->count > 0 && h[r->count - 1].offset + h[r->count - 1].length == at)
			h[r->count - 1].length += BLOCK;
		else
			h[r->count++] = (struct fs_hole){ at, BLOCK };
		CHECK(r->count <= BLOCK / sizeof(*h));
	}
	/* What a disk has behind the end of a file is anything. */
	for (uint64_t at = (uint64_t)got; at < q->length && at % BLOCK != 0; at++)
		*request_byte(q, at) = 0xdd;
	return got;
}

static long
do_write(struct node *n, const struct fs_request *q)
{
	uint64_t need = 0;

	if (!segments_ok(q) && (q->segments != 0 || q->length != 0 || ch->state != FS_RECOVERING)) {
		wrong("FS_WRITE makes no sense");
		return -EINVAL;
	}
	if (q->reserved_blocks > reserved) {
		wrong("FS_WRITE names room that is not reserved");
		return -EINVAL;
	}
	reserved -= q->reserved_blocks;
	for (uint64_t at = 0; at < q->length; at += BLOCK) {
		uint64_t b = (q->offset + at) / BLOCK;

		need += b >= n->blocks || n->block[b] == NULL;
	}
	if (need > server_blocks - used - reserved) {
		wrong("FS_WRITE does not fit: it was not reserved");
		return -ENOSPC;
	}
	for (uint64_t at = 0; at < q->length; at += BLOCK) {
		struct block *b = block_get(n, (q->offset + at) / BLOCK);

		memcpy(b->bytes, request_byte(q, at), min((uint64_t)BLOCK, q->length - at));
		b->transaction = transaction;
	}
	n->a.size = max(n->a.size, q->size);
	if (q->mtime.seconds != 0)
		n->a.mtime = q->mtime;
	return (long)q->length;
}

/* ---- names ---- */

static long
do_create(struct node *dir, const struct fs_request *q, struct fs_answer *r, const char *page)
{
	size_t len = strlen(page);
	uint32_t i;

	if (len != 0 && name_find(dir->a.inode, page) != NULL)
		return -EEXIST;
	i = node_new(q);
	if (i == 0)
		return -ENOSPC;
	if ((q->mode & S_IFMT) == S_IFLNK) {
		strlcpy(node[i].link, page + len + 1, sizeof(node[i].link));
		node[i].a.size = strlen(node[i].link);
	}
	if (len != 0)
		r->made = name_add(dir->a.inode, page, i);
	else
		node[i].a.nlink = 0, node[i].held = true;
	if ((q->mode & S_IFMT) == S_IFDIR)
		dir->a.nlink++;
	r->attributes = node[i].a;
	return 0;
}

static void
lose_name(struct node *n)
{
	if ((n->a.mode & S_IFMT) == S_IFDIR)
		n->a.nlink = 0;
	else
		n->a.nlink--;
	n->held = n->a.nlink == 0;
}

static long
do_remove(struct node *dir, struct fs_answer *r, const char *page, bool rmdir)
{
	struct name *e = name_find(dir->a.inode, page);
	struct node *n;

	if (e == NULL)
		return -ENOENT;
	n = &node[e->inode];
	if (rmdir && !dir_empty(e->inode))
		return -ENOTEMPTY;
	if (rmdir)
		dir->a.nlink--;
	lose_name(n);
	e->inode = 0;
	r->gone = e->cookie;
	r->attributes = n->a;
	return 0;
}

static long
do_rename(struct node *dir, struct node *to, const struct fs_request *q, struct fs_answer *r, const char *page)
{
	struct name *o = name_find(dir->a.inode, page), *e;
	const char *new = page + strlen(page) + 1;

	if (to == NULL || o == NULL)
		return -ENOENT;
	e = name_find(to->a.inode, new);
	if (q->flags & RENAME_EXCHANGE) {
		uint32_t i = o->inode;

		o->inode = e->inode;
		e->inode = i;
		r->made = e->cookie;
		r->gone = o->cookie;
		return 0;
	}
	if (e != NULL) {
		if ((node[e->inode].a.mode & S_IFMT) == S_IFDIR && !dir_empty(e->inode))
			return -ENOTEMPTY;
		if ((node[e->inode].a.mode & S_IFMT) == S_IFDIR)
			to->a.nlink--;
		lose_name(&node[e->inode]);
		r->attributes = node[e->inode].a;
	}
	if ((node[o->inode].a.mode & S_IFMT) == S_IFDIR && dir != to) {
		dir->a.nlink--;
		to->a.nlink++;
	}
	r->gone = o->cookie;
	if (e != NULL) {
		e->inode = o->inode;
		r->made = e->cookie;
	} else {
		r->made = name_add(to->a.inode, new, o->inode);
	}
	name_find(dir->a.inode, page)->inode = 0;
	return 0;
}

static long
do_readdir(struct node *dir, const struct fs_request *q, uint8_t *page)
{
	uint64_t after = q->offset;
	size_t at = 0;

	for (;;) {
		struct name *best = NULL;
		struct fs_entry *e = (struct fs_entry *)(void *)(page + at);
		size_t len, record;

		for (unsigned i = 0; i < names; i++)
			if (name[i].inode != 0 && name[i].dir == dir->a.inode && name[i].cookie > after &&
			    (best == NULL || name[i].cookie < best->cookie))
				best = &name[i];
		if (best == NULL)
			return (long)at;
		len = strlen(best->text);
		record = (__builtin_offsetof(struct fs_entry, name) + len + 1 + 7) & ~7UL;
		if (at + record > BLOCK)
			return (long)at;
		*e = (struct fs_entry){ .cookie = best->cookie, .inode = best->inode, .length = (uint16_t)record,
		    .type = (uint8_t)(node[best->inode].a.mode >> 12 & 15), .name_length = (uint8_t)len };
		memcpy(page + at + __builtin_offsetof(struct fs_entry, name), best->text, len + 1);
		after = best->cookie;
		at += record;
	}
}

/* ---- inodes ---- */

static long
do_setattr(struct node *n, const struct fs_request *q, struct fs_answer *r)
{
	if (q->valid & FS_SET_MODE)
		n->a.mode = q->mode;
	if (q->valid & FS_SET_UID)
		n->a.uid = q->uid;
	if (q->valid & FS_SET_GID)
		n->a.gid = q->gid;
	if (q->valid & FS_SET_ATIME)
		n->a.atime = q->atime;
	if (q->valid & FS_SET_MTIME)
		n->a.mtime = q->mtime;
	if (q->valid & FS_SET_FLAGS)
		n->a.flags = (uint32_t)q->size;
	if (q->valid & FS_SET_SIZE) {
		node_cut(n, q->size);
		n->a.size = q->size;
	}
	n->a.ctime = q->now;
	r->attributes = n->a;
	return 0;
}

static long
do_fallocate(struct node *n, const struct fs_request *q, struct fs_answer *r)
{
	if ((q->flags & ~(uint32_t)(FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE | FALLOC_FL_ZERO_RANGE)) != 0)
		return -EOPNOTSUPP;
	for (uint64_t b = q->offset / BLOCK; b * BLOCK < q->offset + q->length; b++) {
		uint64_t from = max(q->offset, b * BLOCK), to = min(q->offset + q->length, (b + 1) * BLOCK);

		if (q->flags & (FALLOC_FL_PUNCH_HOLE | FALLOC_FL_ZERO_RANGE)) {
			if (to - from == BLOCK)
				block_drop(n, b);
			else if (b < n->blocks && n->block[b] != NULL)
				memset(n->block[b]->bytes + from % BLOCK, 0, to - from);
		}
		if (q->flags & FALLOC_FL_PUNCH_HOLE)
			continue;
		if (used + reserved >= server_blocks)
			return -ENOSPC;
		block_get(n, b);
	}
	if ((q->flags & FALLOC_FL_KEEP_SIZE) == 0)
		n->a.size = max(n->a.size, q->offset + q->length);
	r->attributes = n->a;
	return 0;
}

static long
do_seek(struct node *n, const struct fs_request *q)
{
	uint64_t at = q->offset;

	for (; at < n->a.size; at = (at / BLOCK + 1) * BLOCK) {
		bool data = at / BLOCK < n->blocks && n->block[at / BLOCK] != NULL;

		if (data == (q->flags == 3))
			return (long)at;
	}
	return q->flags == 3 ? -ENXIO : (long)n->a.size;
}

static struct xattr *
xattr_find(uint32_t inode, const char *text)
{
	for (unsigned i = 0; i < XATTRS; i++)
		if (xattr[i].inode == inode && (inode == 0 || strcmp(xattr[i].name, text) == 0))
			return &xattr[i];
	return NULL;
}

static long
do_xattr(struct node *n, const struct fs_request *q, uint8_t *page)
{
	struct xattr *x = xattr_find(n->a.inode, (char *)page);
	size_t at = 0, len = strlen((char *)page) + 1;

	switch (q->op) {
	case FS_GETXATTR:
		if (x == NULL)
			return -ENODATA;
		memcpy(page, x->value, x->size);
		return (long)x->size;
	case FS_SETXATTR:
		if (x != NULL && (q->flags & XATTR_CREATE))
			return -EEXIST;
		if (x == NULL && (q->flags & XATTR_REPLACE))
			return -ENODATA;
		x = x != NULL ? x : xattr_find(0, "");
		if (x == NULL || q->length > sizeof(x->value))
			return -ENOSPC;
		x->inode = n->a.inode;
		strlcpy(x->name, (char *)page, sizeof(x->name));
		memcpy(x->value, page + len, q->length);
		x->size = q->length;
		return 0;
	case FS_REMOVEXATTR:
		if (x == NULL)
			return -ENODATA;
		x->inode = 0;
		return 0;
	default:
		for (unsigned i = 0; i < XATTRS; i++)
			if (xattr[i].inode == n->a.inode)
				at += strlcpy((char *)page + at, xattr[i].name, BLOCK - at) + 1;
		return (long)at;
	}
}

static void
take_options(const struct fs_request *q)
{
	ch->read_only = (q->flags & FS_MOUNT_READONLY) != 0;
	ch->mount_flags = q->flags;
	ch->commit_seconds = (uint32_t)q->length;
}

static long
do_mount(const struct fs_request *q, struct fs_answer *r)
{
	if (mounted)
		return -EBUSY;
	mounted = true;
	ch->state = FS_MOUNTED;
	take_options(q);
	r->attributes = node[2].a;
	return 0;
}

static long
do_unmount(void)
{
	/* A hold of what kept a name after all says nothing. */
	for (unsigned i = 0; i < INODES; i++)
		if (node[i].used && node[i].held && node[i].a.nlink == 0)
			return -EBUSY;
	commit();
	mounted = false;
	reserved = 0;
	ch->state = FS_NOTHING;
	return 0;
}

static long
do_reserve(const struct fs_request *q)
{
	uint64_t n = min(q->length, server_blocks - used - reserved);

	if (q->flags & FS_RELEASE) {
		reserved -= min(reserved, q->length);
		return 0;
	}
	reserved += n;
	return n == 0 ? -ENOSPC : (long)n;
}

static long
whole(const struct fs_request *q, struct fs_answer *r, uint8_t *page)
{
	struct fs_statfs *s = (struct fs_statfs *)(void *)page;

	switch (q->op) {
	case FS_MOUNT:
		return do_mount(q, r);
	case FS_UNMOUNT:
		return do_unmount();
	case FS_REMOUNT:
		commit();
		take_options(q);
		return 0;
	case FS_SYNC:
		commit();
		return 0;
	case FS_TRIM:
		return -EOPNOTSUPP;
	case FS_RESERVE:
		return do_reserve(q);
	case FS_RECOVERED:
		if (ch->state != FS_RECOVERING)
			wrong("FS_RECOVERED when nothing is to be recovered");
		for (unsigned i = 0; i < INODES; i++)
			if (node[i].used && node[i].a.nlink == 0 && !node[i].held &&
			    !(q->offset != 0 && node[i].orphaned_by >= q->offset))
				node_free(&node[i]);
		ch->state = FS_MOUNTED;
		return 0;
	case FS_STATFS:
		*s = (struct fs_statfs){ .blocks = server_blocks, .free = server_blocks - used - reserved,
		    .available = server_blocks - used - reserved, .inodes = INODES, .inodes_free = INODES - server_inodes(),
		    .block_size = BLOCK, .name_length = 255 };
		return 0;
	default:
		return -ENOSYS;
	}
}

static long
on_inode(struct node *n, const struct fs_request *q, struct fs_answer *r, uint8_t *page)
{
	char *text = (char *)page;
	struct name *e;

	switch (q->op) {
	case FS_LOOKUP:
		e = name_find(n->a.inode, text);
		if (e == NULL)
			return -ENOENT;
		r->attributes = node[e->inode].a;
		return 0;
	case FS_CREATE:
		return do_create(n, q, r, text);
	case FS_LINK:
		if (name_find(n->a.inode, text) != NULL)
			return -EEXIST;
		r->made = name_add(n->a.inode, text, q->inode2);
		node[q->inode2].a.nlink++;
		node[q->inode2].held = false;
		r->attributes = node[q->inode2].a;
		return 0;
	case FS_UNLINK:
	case FS_RMDIR:
		return do_remove(n, r, text, q->op == FS_RMDIR);
	case FS_RENAME:
		return do_rename(n, node_of(q->inode2, q->generation2), q, r, text);
	case FS_READDIR:
		return do_readdir(n, q, page);
	case FS_READLINK:
		return (long)strlcpy(text, n->link, BLOCK);
	case FS_GETATTR:
		r->attributes = n->a;
		return 0;
	case FS_SETATTR:
		return do_setattr(n, q, r);
	case FS_EVICT:
		if (n->a.nlink != 0)
			wrong("FS_EVICT of an inode with a name");
		node_free(n);
		return 0;
	case FS_HOLD:
		n->held = true;
		return 0;
	case FS_FSYNC:
		commit();
		return 0;
	case FS_READ:
		return do_read(n, q, r, page);
	case FS_WRITE: {
		long got = do_write(n, q);

		r->attributes = n->a;
		return got;
	}
	case FS_FALLOCATE:
		return do_fallocate(n, q, r);
	case FS_SEEK:
		return do_seek(n, q);
	case FS_GETXATTR: case FS_SETXATTR: case FS_LISTXATTR: case FS_REMOVEXATTR:
		return do_xattr(n, q, page);
	default:
		return -ENOSYS;
	}
}

static void
execute(const struct fs_request *q, struct fs_answer *r, uint8_t *page)
{
	struct node *n = node_of(q->inode, q->generation);

	memset(r, 0, sizeof(*r));
	server_requests[q->op & 255]++;
	if (q->sequence != 0 && redo[q->sequence % REDO].sequence == q->sequence) {
		*r = redo[q->sequence % REDO].answer;
		return;
	}
	if (q->op == faults.fail_op && faults.fail_count > 0) {
		faults.fail_count--;
		r->result = faults.fail_with;
		if (q->op == FS_WRITE)
			reserved -= min(reserved, (uint64_t)q->reserved_blocks);
		return;
	}
	if (ch->state == FS_RECOVERING && q->op != FS_HOLD && q->op != FS_RESERVE && q->op != FS_WRITE && q->op != FS_RECOVERED)
		wrong("a request before FS_RECOVERED");
	if (q->op < FS_LOOKUP && q->op != FS_HOLD)
		r->result = whole(q, r, page);
	else
		r->result = n != NULL ? on_inode(n, q, r, page) : -ESTALE;
	/* An orphan that nobody held at FS_RECOVERED is gone before its FS_EVICT comes again, and
	 * FS_EVICT may overtake a read ahead that nobody wants any more (who wants it sees the error). */
	if (r->result == -ESTALE && q->op != FS_EVICT && q->op != FS_READ)
		wrong("a request names an inode that is not there");
	if (q->sequence != 0 && r->attributes.inode != 0 && r->attributes.nlink == 0)
		node[r->attributes.inode].orphaned_by = q->sequence;
	if (q->sequence != 0 && r->result >= 0) {
		r->transaction = transaction;
		/* The data of a write are not redone: the client sends them again. */
		if (q->op != FS_WRITE) {
			redo[q->sequence % REDO].sequence = q->sequence;
			redo[q->sequence % REDO].answer = *r;
		}
	}
	if (q->op == FS_WRITE && (q->flags & FS_STABLE) != 0 && r->result >= 0)
		commit();
}

/* ---- the rings ---- */

static bool
take_requests(void)
{
	struct fs_ring *r = &ch->requests;
	bool any = false;

	while (r->head != r->tail && works < FS_SLOTS) {
		uint32_t entry = r->slot[r->head % FS_SLOTS];
		unsigned slot = FS_ENTRY_SLOT(entry);

		CHECK(slot < FS_SLOTS);
		CHECK(FS_ENTRY_IS_FOR(entry, ch->server_epoch));
		work[works].slot = slot;
		work[works++].done = false;
		r->head++;
		any = true;
	}
	r->reader_waits = 1;
	return any;
}

static void
answer(unsigned w)
{
	struct fs_ring *r = &ch->answers;
	unsigned slot = work[w].slot;

	ch->slot[slot].answer = work[w].answer;
	memcpy(ch->page[slot], work[w].page, BLOCK);
	r->slot[r->tail % FS_SLOTS] = slot;
	r->tail++;
	work[w] = work[--works];
	if (r->reader_waits) {
		r->reader_waits = 0;
		io_interrupt((uint64_t)WORLD_BIT_CHANNEL << SERVER_CHANNEL);
	}
}

static void
serve(unsigned w)
{
	struct fs_request q = ch->slot[work[w].slot].request;

	memcpy(work[w].page, ch->page[work[w].slot], BLOCK);
	execute(&q, &work[w].answer, work[w].page);
	work[w].done = true;
}

/* What no commit has named is not there any more. */
static void
data_lost(void)
{
	for (unsigned i = 0; i < INODES; i++) {
		struct node *n = &node[i];

		for (uint64_t b = 0; n->used && b < n->blocks; b++)
			if (n->block[b] != NULL && n->block[b]->transaction > ch->committed)
				memset(n->block[b]->bytes, 0xcc, BLOCK);
	}
}

static void
die(void)
{
	server_deaths++;
	alive = false;
	dead_for = (unsigned)(rnd() % 8);
	works = 0;
	reserved = 0;
	data_lost();
	for (unsigned i = 0; i < INODES; i++)
		node[i].held = false;
}

static void
live_again(void)
{
	alive = true;
	ch->requests.head = ch->requests.tail;
	ch->requests.reader_waits = 1;
	ch->server_epoch++;
	ch->state = mounted ? FS_RECOVERING : FS_NOTHING;
	io_interrupt(WORLD_BIT_PEER);
}

static void
see_client(void)
{
	if (ch->client_epoch == ch->client_epoch_seen)
		return;
	works = 0;
	ch->requests.head = ch->requests.tail;
	mounted = false;
	ch->client_epoch_seen = ch->client_epoch;
	ch->state = FS_NOTHING;
	io_interrupt((uint64_t)WORLD_BIT_CHANNEL << SERVER_CHANNEL);
}

bool
server_step(void)
{
	bool any;
	unsigned w;

	server_steps++;
	if (!alive) {
		if (dead_for-- == 0)
			live_again();
		return true;
	}
	if (faults.die_in != 0 && --faults.die_in == 0) {
		die();
		return true;
	}
	see_client();
	if (mounted && server_steps >= commit_at && ch->state == FS_MOUNTED)
		commit();
	any = take_requests();
	if (works == 0)
		return any;
	w = faults.reorder ? (unsigned)(rnd() % works) : 0;
	if (!work[w].done)
		serve(w);
	if (faults.die_in != 0 && --faults.die_in == 0) {
		die();				/* done, and nobody knows */
		return true;
	}
	if (!faults.delay || rnd() % 3 == 0)
		answer(w);
	return true;
}

void
server_start(struct world_info *w)
{
	uint64_t frame = (uint64_t)aligned_alloc(4096, FS_CHANNEL_BYTES);

	ch = (struct fs_channel *)frame;
	memset(ch, 0, FS_CHANNEL_BYTES);
	ch->magic = FS_MAGIC;
	ch->version = FS_VERSION;
	ch->server_epoch = 1;
	ch->state = FS_NOTHING;
	ch->block_size = BLOCK;
	ch->committed = 9;
	ch->requests.reader_waits = 1;
	alive = true;
	node[2].used = true;
	node[2].a = (struct fs_attributes){ .inode = 2, .generation = 1, .mode = S_IFDIR | 0755, .nlink = 2 };
	w->channel_count = 2;
	strlcpy(w->channel[0].name, "disk", 16);
	w->channel[0].type = CHANNEL_BLOCK;
	w->channel[SERVER_CHANNEL] = (struct world_channel){ .name = "root", .peer = "fs", .address = frame,
	    .size = FS_CHANNEL_BYTES, .type = CHANNEL_FS, .window = SERVER_WINDOW };
}
