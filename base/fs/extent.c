/* SPDX-License-Identifier: MIT */
/*
 * The map of an inode's blocks as a tree of extents.  The root lies in the
 * inode, the other nodes are blocks; entries are sorted, and an index entry
 * begins with the first block of the node that it leads to.
 *
 * Who changes a tree holds inode->tree exclusively and a handle; a node is
 * checked when it is read and is then trusted as long as its buffer remembers
 * that (verified, for this inode).
 */
#include "core.h"

struct level {
	struct buffer *buffer;		/* null at the root */
	struct ext4_extent_header *head;
	int32_t at;			/* entry on the path; -1: before the first */
};

struct path {
	struct fs *fs;
	struct level level[EXTENT_MAX_DEPTH + 1];
	unsigned depth;			/* level[depth] is the leaf */
};

enum { ROOT_ENTRIES = 4, UNWRITTEN = EXTENT_MAX_LEN };

/* ---- entries -------------------------------------------------------------------------- */

static struct ext4_extent *
extents_of(struct ext4_extent_header *head)
{
	return (struct ext4_extent *)(head + 1);
}

static struct ext4_extent_index *
indexes_of(struct ext4_extent_header *head)
{
	return (struct ext4_extent_index *)(head + 1);
}

static uint32_t
extent_len(const struct ext4_extent *e)
{
	return e->len <= EXTENT_MAX_LEN ? e->len : e->len - EXTENT_MAX_LEN;
}

static bool
extent_unwritten(const struct ext4_extent *e)
{
	return e->len > EXTENT_MAX_LEN;
}

static uint64_t
extent_start(const struct ext4_extent *e)
{
	return e->start_lo | (uint64_t)e->start_hi << 32;
}

static void
extent_set(struct ext4_extent *e, uint32_t block, uint32_t len, uint64_t start, bool unwritten)
{
	e->block = block;
	e->len = (uint16_t)(len + (unwritten ? UNWRITTEN : 0));
	e->start_lo = (uint32_t)start;
	e->start_hi = (uint16_t)(start >> 32);
}

static uint64_t
index_leaf(const struct ext4_extent_index *x)
{
	return x->leaf_lo | (uint64_t)x->leaf_hi << 32;
}

/* The first logical block of entry i, whatever the node is. */
static uint32_t
entry_block(struct ext4_extent_header *head, int32_t i)
{
	return extents_of(head)[i].block;	/* both kinds begin with it */
}

/* ---- checks ------------------------------------------------------------------------------ */

static uint32_t
node_room(struct fs *fs)
{
	return (fs->block_bytes - (uint32_t)sizeof(struct ext4_extent_header)) / EXTENT_ENTRY;
}

static uint32_t *
node_tail(const struct ext4_extent_header *head)
{
	return (uint32_t *)(void *)((uint8_t *)(uintptr_t)head + sizeof *head + (size_t)head->max * EXTENT_ENTRY);
}

static uint32_t
node_sum(const struct ext4_extent_header *head, uint32_t seed)
{
	return crc32c(seed, head, sizeof *head + (size_t)head->max * EXTENT_ENTRY);
}

void
extents_sum(struct fs *fs, struct buffer *b)
{
	struct ext4_extent_header *head = (struct ext4_extent_header *)(void *)b->data;

	if (fs->sums)
		*node_tail(head) = node_sum(head, b->sum_seed);
}

static const char *
node_wrong(struct inode *inode, struct ext4_extent_header *head, unsigned depth, uint32_t room)
{
	struct fs *fs = inode->fs;
	uint64_t end = 0;

	if (head->magic != EXTENT_MAGIC)
		return "magic";
	if (head->depth != depth)
		return "depth";
	if (head->max == 0 || head->max > room || head->entries > head->max)
		return "number of entries";
	if (depth > 0 && head->entries == 0)
		return "empty index";
	for (uint32_t i = 0; i < head->entries; i++) {
		const struct ext4_extent *e = &extents_of(head)[i];
		const struct ext4_extent_index *x = &indexes_of(head)[i];

		if (i > 0 && entry_block(head, (int32_t)i) < end)
			return "order";
		end = (uint64_t)entry_block(head, (int32_t)i) + 1;
		if (depth > 0) {
			if (!blocks_ok(fs, index_leaf(x), 1))
				return "block of an index";
			continue;
		}
		if (extent_len(e) == 0)
			return "empty extent";
		if (!blocks_ok(fs, extent_start(e), extent_len(e)) &&
		    inode->number != fs->super->journal_inum)
			return "blocks of an extent";
		end = (uint64_t)e->block + extent_len(e);
		if (end > (uint64_t)LAST_BLOCK + 1)
			return "length of an extent";
	}
	return NULL;
}

static int
node_check(struct inode *inode, struct ext4_extent_header *head, unsigned depth, uint32_t room)
{
	const char *wrong = node_wrong(inode, head, depth, room);

	if (wrong == NULL)
		return 0;
	return fs_error(inode->fs, -ECORRUPT, "inode %u: extent tree: %s", inode->number, wrong);
}

static int
node_read(struct inode *inode, uint64_t block, unsigned depth, uint32_t least, struct level *to)
{
	struct fs *fs = inode->fs;
	struct ext4_extent_header *head;
	struct buffer *b;
	int error = buffer_read(fs, block, &b);

	if (error != 0)
		return error;
	head = (struct ext4_extent_header *)(void *)b->data;
	if (!b->verified || b->sum != SUM_EXTENTS || b->sum_seed != inode->sum_seed ||
	    head->depth != depth) {
		error = node_check(inode, head, depth, node_room(fs));
		if (error == 0 && fs->sums && *node_tail(head) != node_sum(head, inode->sum_seed))
			error = fs_error(fs, -ECORRUPT, "inode %u: extent tree: checksum of block %llu",
			    inode->number, (unsigned long long)block);
		if (error == 0 && b->running == NULL && b->committing == NULL) {
			b->sum = SUM_EXTENTS;
			b->sum_seed = inode->sum_seed;
			b->verified = true;
		}
	}
	if (error == 0 && head->entries > 0 && entry_block(head, 0) < least)
		error = fs_error(fs, -ECORRUPT, "inode %u: extent tree: a node begins too early",
		    inode->number);
	if (error != 0) {
		buffer_put(fs, b);
		return error;
	}
	to->buffer = b;
	to->head = head;
	return 0;
}

/* ---- the path to a block ------------------------------------------------------------------ */

static void
path_drop(struct path *path)
{
	for (unsigned i = 0; i <= path->depth; i++) {
		buffer_put(path->fs, path->level[i].buffer);
		path->level[i].buffer = NULL;
	}
}

/* The last entry that begins at or before block; -1: all begin later. */
static int32_t
node_search(struct ext4_extent_header *head, uint32_t block)
{
	int32_t low = 0, high = head->entries, mid;

	while (low < high) {
		mid = low + (high - low) / 2;
		if (entry_block(head, mid) <= block)
			low = mid + 1;
		else
			high = mid;
	}
	return low - 1;
}

static int
path_find(struct inode *inode, uint32_t block, struct path *path)
{
	struct ext4_extent_header *root = (struct ext4_extent_header *)(void *)inode->raw->block;
	struct level *level;
	int error = 0;

	memset(path, 0, sizeof *path);
	path->fs = inode->fs;
	level = path->level;
	if (root->depth > EXTENT_MAX_DEPTH)
		return fs_error(inode->fs, -ECORRUPT, "inode %u: extent tree is too deep", inode->number);
	error = node_check(inode, root, root->depth, ROOT_ENTRIES);
	if (error != 0)
		return error;
	level->head = root;
	for (;;) {
		struct ext4_extent_index *x;

		level->at = node_search(level->head, block);
		if (level->head->depth == 0)
			return 0;
		if (level->at < 0)
			level->at = 0;
		x = &indexes_of(level->head)[level->at];
		error = node_read(inode, index_leaf(x), level->head->depth - 1u, x->block, level + 1);
		if (error != 0) {
			path_drop(path);
			return error;
		}
		path->depth++;
		level++;
	}
}

/* The first mapped block behind the path's entry; LAST_BLOCK + 1 if there is none. */
static uint32_t
path_next(struct path *path)
{
	for (int32_t i = (int32_t)path->depth; i >= 0; i--) {
		struct level *l = &path->level[i];

		if (l->at + 1 < l->head->entries)
			return entry_block(l->head, l->at + 1);
	}
	return LAST_BLOCK + 1u;
}

int
map_find_locked(struct inode *inode, uint32_t block, uint32_t count, struct mapping *m)
{
	struct path path;
	struct level *leaf;
	int error;

	if ((inode->raw->flags & INODE_EXTENTS) == 0)
		return indirect_find(inode, block, count, m);
	error = path_find(inode, block, &path);
	if (error != 0)
		return error;
	leaf = &path.level[path.depth];
	*m = (struct mapping){ .block = block };
	if (leaf->at >= 0) {
		const struct ext4_extent *e = &extents_of(leaf->head)[leaf->at];
		uint32_t in = block - e->block;

		if (in < extent_len(e)) {
			m->start = extent_start(e) + in;
			m->count = extent_len(e) - in;
			m->unwritten = extent_unwritten(e);
		}
	}
	if (m->start == 0) {
		uint32_t next = path_next(&path);

		m->count = next > block ? next - block : 1;
	}
	if (m->count > count)
		m->count = count;
	path_drop(&path);
	return 0;
}

int
map_find(struct inode *inode, uint32_t block, uint32_t count, struct mapping *m)
{
	int error;

	lock_shared(&inode->tree);
	error = map_find_locked(inode, block, count, m);
	unlock(&inode->tree);
	return error;
}

int
map_each(struct inode *inode, int (*each)(void *, const struct mapping *), void *context)
{
	struct mapping m;
	uint64_t block = 0;
	int error;

	while (block <= LAST_BLOCK) {
		error = map_find(inode, (uint32_t)block, (uint32_t)(LAST_BLOCK - block + 1), &m);
		if (error != 0)
			return error;
		if (m.start != 0) {
			error = each(context, &m);
			if (error != 0)
				return error;
		}
		block += m.count;
	}
	return 0;
}

/* ---- changes ---------------------------------------------------------------------------------- */

void
extents_init(struct inode *inode)
{
	struct ext4_extent_header *root = (struct ext4_extent_header *)(void *)inode->raw->block;

	memset(inode->raw->block, 0, sizeof inode->raw->block);
	root->magic = EXTENT_MAGIC;
	root->max = ROOT_ENTRIES;
	inode->raw->flags |= INODE_EXTENTS;
}

static int
level_access(struct handle *h, struct inode *inode, struct level *l)
{
	int error;

	if (l->buffer == NULL)
		return 0;	/* the inode is stored in the end */
	error = journal_access(h, l->buffer);
	if (error == 0) {
		l->buffer->sum = SUM_EXTENTS;
		l->buffer->sum_seed = inode->sum_seed;
	}
	return error;
}

/* All levels: an operation on a leaf may reach up to the root. */
static int
path_access(struct handle *h, struct inode *inode, struct path *path)
{
	int error = 0;

	for (unsigned i = 0; i <= path->depth && error == 0; i++)
		error = level_access(h, inode, &path->level[i]);
	return error;
}

/* The leaf begins elsewhere: so do the indexes that lead to it. */
static void
path_fix_indexes(struct path *path)
{
	uint32_t block = entry_block(path->level[path->depth].head, 0);

	for (int32_t i = (int32_t)path->depth - 1; i >= 0; i--) {
		struct level *l = &path->level[i];

		indexes_of(l->head)[l->at].block = block;
		if (l->at != 0)
			break;
	}
}

static void
entry_open(struct ext4_extent_header *head, int32_t at)
{
	struct ext4_extent *e = extents_of(head);

	memmove(e + at + 1, e + at, (size_t)(head->entries - at) * sizeof *e);
	head->entries++;
}

static void
entry_close(struct ext4_extent_header *head, int32_t at)
{
	struct ext4_extent *e = extents_of(head);

	head->entries--;
	memmove(e + at, e + at + 1, (size_t)(head->entries - at) * sizeof *e);
	memset(e + head->entries, 0, sizeof *e);
}

static int
new_node(struct handle *h, struct inode *inode, struct buffer **buffer)
{
	struct fs *fs = h->fs;
	struct ext4_extent_header *head;
	uint64_t block;
	int error = block_new(h, inode->goal, &block);

	if (error != 0)
		return error;
	error = journal_new(h, block, buffer);
	if (error != 0) {
		blocks_free(h, block, 1, false);
		return error;
	}
	(*buffer)->sum = SUM_EXTENTS;
	(*buffer)->sum_seed = inode->sum_seed;
	head = (struct ext4_extent_header *)(void *)(*buffer)->data;
	head->magic = EXTENT_MAGIC;
	head->max = (uint16_t)node_room(fs);
	inode_add_blocks(inode, 1);
	return 0;
}

/* The root's entries move to a block, and the tree is one level deeper. */
static int
grow_root(struct handle *h, struct inode *inode, struct path *path)
{
	struct ext4_extent_header *root = path->level[0].head, *head;
	struct ext4_extent_index *x;
	struct buffer *b;
	int error;

	if (root->depth >= EXTENT_MAX_DEPTH)
		return -ENOSPC;
	error = new_node(h, inode, &b);
	if (error != 0)
		return error;
	head = (struct ext4_extent_header *)(void *)b->data;
	head->depth = root->depth;
	head->entries = root->entries;
	memcpy(extents_of(head), extents_of(root), root->entries * sizeof(struct ext4_extent));
	root->depth++;
	root->entries = 1;
	memset(extents_of(root), 0, ROOT_ENTRIES * sizeof(struct ext4_extent));
	x = indexes_of(root);
	x->block = entry_block(head, 0);
	x->leaf_lo = (uint32_t)b->block;
	x->leaf_hi = (uint16_t)(b->block >> 32);
	buffer_put(h->fs, b);
	return 0;
}

/* Move the upper part of the node at level i into a new one beside it. */
static int
split_node(struct handle *h, struct inode *inode, struct path *path, unsigned i)
{
	struct level *l = &path->level[i], *up = &path->level[i - 1];
	struct ext4_extent_header *head;
	struct ext4_extent_index *x;
	struct buffer *b;
	/* who appends fills nodes; others get halves */
	uint32_t keep = l->at + 1 >= l->head->entries ? l->head->entries - 1u : l->head->entries / 2u;
	int error = new_node(h, inode, &b);

	if (error != 0)
		return error;
	head = (struct ext4_extent_header *)(void *)b->data;
	head->depth = l->head->depth;
	head->entries = (uint16_t)(l->head->entries - keep);
	memcpy(extents_of(head), extents_of(l->head) + keep, head->entries * sizeof(struct ext4_extent));
	memset(extents_of(l->head) + keep, 0, head->entries * sizeof(struct ext4_extent));
	l->head->entries = (uint16_t)keep;
	entry_open(up->head, up->at + 1);
	x = &indexes_of(up->head)[up->at + 1];
	x->block = entry_block(head, 0);
	x->leaf_lo = (uint32_t)b->block;
	x->leaf_hi = (uint16_t)(b->block >> 32);
	x->unused = 0;
	buffer_put(h->fs, b);
	return 0;
}

/* See that the leaf on the path has room for so many entries more; the path is
 * found anew when the tree had to change. */
static int
path_make_room(struct handle *h, struct inode *inode, struct path *path, uint32_t block,
    uint32_t entries)
{
	int error = 0;

	for (;;) {
		struct ext4_extent_header *leaf = path->level[path->depth].head;
		unsigned i = path->depth;

		if (leaf->entries + entries <= leaf->max)
			return 0;
		/* the lowest node above with room; below it one is split */
		while (i > 0 && path->level[i - 1].head->entries >= path->level[i - 1].head->max)
			i--;
		error = path_access(h, inode, path);
		if (error == 0)
			error = i == 0 ? grow_root(h, inode, path) : split_node(h, inode, path, i);
		path_drop(path);
		if (error != 0)
			return error;
		error = path_find(inode, block, path);
		if (error != 0)
			return error;
	}
}

static bool
can_join(const struct ext4_extent *a, const struct ext4_extent *b)
{
	uint32_t limit = extent_unwritten(a) ? EXTENT_MAX_LEN - 1 : EXTENT_MAX_LEN;

	return extent_unwritten(a) == extent_unwritten(b) && a->block + extent_len(a) == b->block &&
	    extent_start(a) + extent_len(a) == extent_start(b) && extent_len(a) + extent_len(b) <= limit;
}

/* Join entry i with its right neighbour if they are one. */
static bool
join(struct ext4_extent_header *head, int32_t i)
{
	struct ext4_extent *e = extents_of(head);

	if (i < 0 || i + 1 >= head->entries || !can_join(&e[i], &e[i + 1]))
		return false;
	extent_set(&e[i], e[i].block, extent_len(&e[i]) + extent_len(&e[i + 1]), extent_start(&e[i]),
	    extent_unwritten(&e[i]));
	entry_close(head, i + 1);
	return true;
}

static int
insert_piece(struct handle *h, struct inode *inode, uint32_t block, uint32_t count, uint64_t start,
    bool unwritten)
{
	struct ext4_extent new;
	struct ext4_extent *e;
	struct level *leaf;
	struct path path;
	int error = path_find(inode, block, &path);

	if (error != 0)
		return error;
	extent_set(&new, block, count, start, unwritten);
	leaf = &path.level[path.depth];
	e = extents_of(leaf->head);
	if ((leaf->at >= 0 && block < e[leaf->at].block + extent_len(&e[leaf->at])) ||
	    (uint64_t)block + count > path_next(&path)) {
		path_drop(&path);
		return -EEXIST;		/* not a hole */
	}
	/* grow the left neighbour, or the right one, before there is a new entry */
	if (leaf->at >= 0 && can_join(&e[leaf->at], &new)) {
		error = path_access(h, inode, &path);
		if (error == 0) {
			extent_set(&e[leaf->at], e[leaf->at].block, extent_len(&e[leaf->at]) + count,
			    extent_start(&e[leaf->at]), unwritten);
			join(leaf->head, leaf->at);
		}
	} else if (leaf->at + 1 < leaf->head->entries && can_join(&new, &e[leaf->at + 1])) {
		error = path_access(h, inode, &path);
		if (error == 0) {
			struct ext4_extent *right = &e[leaf->at + 1];

			extent_set(right, block, extent_len(right) + count, start, unwritten);
			if (leaf->at < 0)
				path_fix_indexes(&path);
		}
	} else {
		error = path_make_room(h, inode, &path, block, 1);
		if (error != 0)
			return error;
		error = path_access(h, inode, &path);
		if (error == 0) {
			leaf = &path.level[path.depth];
			entry_open(leaf->head, leaf->at + 1);
			extents_of(leaf->head)[leaf->at + 1] = new;
			if (leaf->at < 0)
				path_fix_indexes(&path);
		}
	}
	path_drop(&path);
	return error;
}

int
map_insert(struct handle *h, struct inode *inode, const struct mapping *m)
{
	uint32_t done = 0, n, limit = m->unwritten ? EXTENT_MAX_LEN - 1 : EXTENT_MAX_LEN;
	int error = 0;

	if ((inode->raw->flags & INODE_EXTENTS) == 0)
		return -EOPNOTSUPP;
	for (; done < m->count && error == 0; done += n) {
		n = m->count - done < limit ? m->count - done : limit;
		error = insert_piece(h, inode, m->block + done, n, m->start + done, m->unwritten);
	}
	return error;
}

/* ---- unwritten becomes written -------------------------------------------------------------------- */

/* Within one extent: what lies before and behind stays unwritten. */
static int
write_within(struct handle *h, struct inode *inode, struct path *path, uint32_t block, uint32_t count)
{
	struct level *leaf = &path->level[path->depth];
	struct ext4_extent *e = &extents_of(leaf->head)[leaf->at];
	uint32_t before = block - e->block, after = extent_len(e) - before - count, first = e->block;
	uint64_t start = extent_start(e);
	int32_t at = leaf->at;
	int error;

	error = path_make_room(h, inode, path, block, (before != 0) + (after != 0));
	if (error != 0)
		return error;	/* the path is dropped */
	error = path_access(h, inode, path);
	if (error != 0) {
		path_drop(path);
		return error;
	}
	leaf = &path->level[path->depth];
	at = leaf->at;
	e = extents_of(leaf->head);
	if (before != 0) {
		extent_set(&e[at], first, before, start, true);
		entry_open(leaf->head, ++at);
	}
	extent_set(&e[at], block, count, start + before, false);
	if (after != 0) {
		entry_open(leaf->head, at + 1);
		extent_set(&e[at + 1], block + count, after, start + before + count, true);
	}
	join(leaf->head, at);
	join(leaf->head, at - 1);
	path_drop(path);
	return 0;
}

int
map_written(struct handle *h, struct inode *inode, uint32_t block, uint32_t count)
{
	struct path path;
	int error = 0;

	while (count > 0 && error == 0) {
		const struct ext4_extent *e;
		struct level *leaf;
		uint32_t n;

		error = path_find(inode, block, &path);
		if (error != 0)
			break;
		leaf = &path.level[path.depth];
		e = leaf->at >= 0 ? &extents_of(leaf->head)[leaf->at] : NULL;
		if (e == NULL || block - e->block >= extent_len(e)) {
			path_drop(&path);
			return -ENOENT;		/* a hole */
		}
		n = extent_len(e) - (block - e->block);
		if (n > count)
			n = count;
		if (extent_unwritten(e))
			error = write_within(h, inode, &path, block, n);
		else
			path_drop(&path);
		block += n;
		count -= n;
	}
	return error;
}

/* ---- removal ------------------------------------------------------------------------------------------ */

/* The leaf is empty: it goes, and every index node that becomes empty by that. */
static int
remove_nodes(struct handle *h, struct inode *inode, struct path *path)
{
	unsigned i = path->depth;
	int error;

	while (i > 0 && path->level[i].head->entries == 0) {
		error = blocks_free(h, path->level[i].buffer->block, 1, true);
		if (error != 0)
			return error;
		inode_add_blocks(inode, -1);
		i--;
		entry_close(path->level[i].head, path->level[i].at);
	}
	if (path->level[0].head->entries == 0) {
		path->level[0].head->depth = 0;
		return 0;
	}
	if (i < path->depth && path->level[i].at == 0) {
		/* the index that led there was the first: those above begin later now */
		uint32_t block = entry_block(path->level[i].head, 0);

		while (i-- > 0) {
			indexes_of(path->level[i].head)[path->level[i].at].block = block;
			if (path->level[i].at != 0)
				break;
		}
	}
	return 0;
}

/*
 * Remove the last part of [first, last] that is mapped and lies in one extent.
 * *more: there may be others.  The path is held and dropped here.
 */
static int
remove_step(struct handle *h, struct inode *inode, uint32_t first, uint32_t last, bool *more)
{
	bool metadata = (inode->raw->mode & 0xf000) != 0x8000;
	struct ext4_extent *e;
	struct level *leaf;
	struct path path;
	uint32_t from, to, len, begin, part = 0;
	uint64_t start;
	bool unwritten;
	int error = path_find(inode, last, &path);

	*more = false;
	if (error != 0)
		return error;
	leaf = &path.level[path.depth];
	if (leaf->at < 0)
		goto done;
	e = &extents_of(leaf->head)[leaf->at];
	begin = e->block;
	len = extent_len(e);
	if (begin + (len - 1) < first)
		goto done;
	start = extent_start(e);
	unwritten = extent_unwritten(e);
	from = begin < first ? first : begin;
	to = begin + (len - 1) > last ? last : begin + (len - 1);
	/* metadata is forgotten block by block: not too many in one transaction */
	if (metadata && to - from >= 32 && to == begin + (len - 1)) {
		from = to - 31;
		part = 1;
	}
	if (from > begin && to < begin + (len - 1)) {
		error = path_make_room(h, inode, &path, last, 1);
		if (error != 0)
			return error;
	}
	error = path_access(h, inode, &path);
	if (error != 0)
		goto done;
	leaf = &path.level[path.depth];
	e = &extents_of(leaf->head)[leaf->at];
	if (from > begin && to < begin + (len - 1)) {
		entry_open(leaf->head, leaf->at + 1);
		extent_set(e + 1, to + 1, begin + len - (to + 1), start + (to + 1 - begin), unwritten);
		extent_set(e, begin, from - begin, start, unwritten);
	} else if (from > begin) {
		extent_set(e, begin, from - begin, start, unwritten);
	} else if (to < begin + (len - 1)) {
		extent_set(e, to + 1, begin + len - (to + 1), start + (to + 1 - begin), unwritten);
		if (leaf->at == 0)
			path_fix_indexes(&path);
	} else {
		entry_close(leaf->head, leaf->at);
		if (leaf->head->entries == 0)
			error = remove_nodes(h, inode, &path);
		else if (leaf->at == 0)
			path_fix_indexes(&path);
	}
	if (error == 0)
		error = blocks_free(h, start + (from - begin), to - from + 1, metadata);
	if (error == 0) {
		inode_add_blocks(inode, -(int64_t)(to - from + 1));
		*more = from > first || part != 0;
	}
done:
	path_drop(&path);
	return error;
}

int
map_remove(struct handle *h, struct inode *inode, uint32_t first, uint32_t last)
{
	bool more = true;
	int error = 0;

	if ((inode->raw->flags & INODE_EXTENTS) == 0)
		return inode_blocks(inode) == 0 || inode_fast_link(inode) ? 0 : -EOPNOTSUPP;
	while (more && error == 0) {
		lock_exclusive(&inode->tree);
		error = remove_step(h, inode, first, last, &more);
		if (error == 0)
			error = inode_store(h, inode);
		unlock(&inode->tree);
		if (error == 0 && more)
			error = journal_restart(h, MAP_CREDITS);
	}
	return error;
}

/* ---- ranges that go and come -------------------------------------------------------------------------- */

/*
 * Blocks from `from` on move by `by`.  All nodes that have any of them are part of the transaction
 * before the first one is changed, so that nothing can fail, and nobody can sleep, in the middle.
 */
struct shift {
	struct handle *h;		/* null: the nodes are counted */
	struct inode *inode;
	uint32_t from;
	int64_t by;			/* 0: not yet */
	uint32_t nodes;
};

static int shift_node(struct shift *s, struct ext4_extent_header *head);

static int
shift_child(struct shift *s, struct ext4_extent_header *head, int32_t i)
{
	struct ext4_extent_index *x = &indexes_of(head)[i];
	struct level child = { .at = 0 };
	int error = node_read(s->inode, index_leaf(x), head->depth - 1u, x->block, &child);

	if (error != 0)
		return error;
	s->nodes++;
	if (s->h != NULL && s->by == 0)
		error = level_access(s->h, s->inode, &child);
	if (error == 0)
		error = shift_node(s, child.head);
	if (error == 0 && s->by != 0 && child.head->entries > 0)
		x->block = entry_block(child.head, 0);
	buffer_put(s->inode->fs, child.buffer);
	return error;
}

static int
shift_node(struct shift *s, struct ext4_extent_header *head)
{
	int error = 0;

	for (int32_t i = 0; i < head->entries && error == 0; i++) {
		if (head->depth != 0) {
			/* all of it lies before the next one's first */
			if (i + 1 < head->entries && entry_block(head, i + 1) <= s->from)
				continue;
			error = shift_child(s, head, i);
		} else if (extents_of(head)[i].block >= s->from) {
			extents_of(head)[i].block += (uint32_t)s->by;
		}
	}
	return error;
}

static int
shift_root(struct shift *s, int64_t by)
{
	struct ext4_extent_header *root = (struct ext4_extent_header *)(void *)s->inode->raw->block;

	s->by = by;
	return shift_node(s, root);
}

int
map_shift_credits(struct inode *inode, uint32_t from, uint32_t *credits)
{
	struct shift s = { .inode = inode, .from = from };
	int error;

	lock_shared(&inode->tree);
	error = shift_root(&s, 0);
	unlock(&inode->tree);
	*credits = s.nodes + 2 * MAP_CREDITS;
	return error != 0 ? error : *credits > inode->fs->journal.max_transaction ? -EFBIG : 0;
}

/* The whole shift, or nothing.  The tree is held. */
static int
shift(struct handle *h, struct inode *inode, uint32_t from, int64_t by)
{
	struct shift s = { .h = h, .inode = inode, .from = from };
	int error = shift_root(&s, 0);

	if (error != 0)
		return error;
	error = shift_root(&s, by);
	/* half of it must never be committed */
	return error == 0 ? 0 : fs_error(inode->fs, -EIO, "inode %u: its blocks cannot be moved", inode->number);
}

int
map_collapse(struct handle *h, struct inode *inode, uint32_t first, uint32_t count)
{
	int error;

	lock_exclusive(&inode->tree);
	error = shift(h, inode, first + count, -(int64_t)count);
	unlock(&inode->tree);
	return error;
}

/* Cut the extent that goes on across `block`: what is cut off is no part of the tree any more. */
static int
cut(struct handle *h, struct inode *inode, uint32_t block, struct mapping *tail)
{
	struct path path;
	struct level *leaf;
	struct ext4_extent *e;
	uint32_t in;
	int error = path_find(inode, block, &path);

	*tail = (struct mapping){ .count = 0 };
	if (error != 0)
		return error;
	leaf = &path.level[path.depth];
	e = leaf->at >= 0 ? &extents_of(leaf->head)[leaf->at] : NULL;
	if (e != NULL && e->block < block && block - e->block < extent_len(e)) {
		error = path_access(h, inode, &path);
		if (error == 0) {
			in = block - e->block;
			*tail = (struct mapping){ block, extent_len(e) - in, extent_start(e) + in, extent_unwritten(e) };
			extent_set(e, e->block, in, extent_start(e), tail->unwritten);
		}
	}
	path_drop(&path);
	return error;
}

/* The tail joins the extent that it was cut from. */
static int
uncut(struct handle *h, struct inode *inode, const struct mapping *tail)
{
	return tail->count == 0 ? 0 : insert_piece(h, inode, tail->block, tail->count, tail->start, tail->unwritten);
}

static int
insert_locked(struct handle *h, struct inode *inode, uint32_t first, uint32_t count)
{
	struct mapping tail, moved;
	int error = cut(h, inode, first, &tail);

	if (error != 0)
		return error;
	error = shift(h, inode, first, count);
	if (error != 0 && !inode->fs->aborting && uncut(h, inode, &tail) != 0)
		return fs_error(inode->fs, -EIO, "inode %u: its blocks cannot be joined again", inode->number);
	if (error != 0 || tail.count == 0)
		return error;
	moved = tail;
	moved.block += count;
	error = insert_piece(h, inode, moved.block, moved.count, moved.start, moved.unwritten);
	if (error == 0)
		return 0;
	/* no block for a node: all as it was */
	if (shift(h, inode, first + count, -(int64_t)count) != 0 || uncut(h, inode, &tail) != 0)
		return fs_error(inode->fs, -EIO, "inode %u: its blocks cannot be moved back", inode->number);
	return error;
}

int
map_open(struct handle *h, struct inode *inode, uint32_t first, uint32_t count)
{
	struct path path;
	struct level *leaf;
	int error;

	lock_exclusive(&inode->tree);
	error = path_find(inode, LAST_BLOCK, &path);
	if (error == 0) {
		leaf = &path.level[path.depth];
		if (leaf->at >= 0) {
			const struct ext4_extent *e = &extents_of(leaf->head)[leaf->at];

			if ((uint64_t)e->block + extent_len(e) + count > LAST_BLOCK)
				error = -EFBIG;
		}
		path_drop(&path);
	}
	if (error == 0)
		error = insert_locked(h, inode, first, count);
	unlock(&inode->tree);
	return error;
}
