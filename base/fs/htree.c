/* SPDX-License-Identifier: MIT */
/*
 * Hashed directories: block 0 is the root of an index from hashes of names to
 * blocks of entries, with one level of index blocks below it when it is full.
 * To who does not know the index, root and index blocks look like entries that
 * are mostly empty.
 *
 * An entry of the index is the least hash of its block; the lowest bit says
 * that the block before it has names of the same hash.
 */
#include "core.h"

enum { ROOT_ENTRIES = 32, NODE_ENTRIES = 8, MAX_LEVELS = 1 };

struct frame {
	struct buffer *buffer;
	struct ext4_dx_entry *entries;
	uint32_t at;
};

struct htree_walk {
	struct inode *dir;
	struct frame frame[MAX_LEVELS + 1];
	uint32_t levels;	/* frame[levels] leads to leaves */
	unsigned version;
	uint32_t hash;
};

bool
dir_is_indexed(struct inode *dir)
{
	return (dir->raw->flags & INODE_INDEX) != 0 &&
	    (dir->fs->super->feature_compat & COMPAT_DIR_INDEX) != 0;
}

/* ---- index blocks ----------------------------------------------------------------------- */

static struct ext4_dx_root_info *
info_of(struct buffer *root)
{
	return (struct ext4_dx_root_info *)(void *)(root->data + 24);
}

static struct ext4_dx_entry *
entries_of(struct buffer *b, bool root)
{
	return (struct ext4_dx_entry *)(void *)(b->data + (root ? ROOT_ENTRIES : NODE_ENTRIES));
}

static struct ext4_dx_count *
count_of(struct ext4_dx_entry *entries)
{
	return (struct ext4_dx_count *)(void *)entries;
}

static uint32_t
limit_of(struct fs *fs, bool root)
{
	uint32_t tail = fs->sums ? (uint32_t)sizeof(struct ext4_dx_tail) : 0;

	return (fs->block_bytes - (root ? ROOT_ENTRIES : NODE_ENTRIES) - tail) / 8;
}

static uint32_t
index_checksum(struct buffer *b, struct ext4_dx_entry *entries, uint32_t seed)
{
	struct ext4_dx_count *count = count_of(entries);
	struct ext4_dx_tail *tail = (struct ext4_dx_tail *)(void *)(entries + count->limit);
	size_t bytes = (size_t)((uint8_t *)(entries + count->count) - b->data);
	uint32_t zero = 0, sum = crc32c(seed, b->data, bytes);

	sum = crc32c(sum, &tail->reserved, 4);
	return crc32c(sum, &zero, 4);
}

static bool
is_root(struct fs *fs, struct buffer *b)
{
	const struct ext4_dirent *e = (const struct ext4_dirent *)(void *)b->data;

	return e->rec_len != fs->block_bytes;
}

void
index_sum(struct fs *fs, struct buffer *b)
{
	struct ext4_dx_entry *entries = entries_of(b, is_root(fs, b));
	struct ext4_dx_tail *tail = (struct ext4_dx_tail *)(void *)(entries + count_of(entries)->limit);

	if (fs->sums)
		tail->checksum = index_checksum(b, entries, b->sum_seed);
}

const char *
htree_wrong(struct inode *dir, struct buffer *b, bool root)
{
	struct fs *fs = dir->fs;
	struct ext4_dx_entry *entries = entries_of(b, root);
	const struct ext4_dx_count *count = count_of(entries);
	const struct ext4_dirent *dot = (const struct ext4_dirent *)(void *)b->data;
	const struct ext4_dirent *dots = (const struct ext4_dirent *)(void *)(b->data + 12);

	if (root && (dot->rec_len != 12 || dot->name_len != 1 || dot->name[0] != '.' ||
	    dots->rec_len != fs->block_bytes - 12 || dots->name_len != 2 ||
	    memcmp(dots->name, "..", 2) != 0 || dots->inode == 0 || dots->inode > fs->inodes))
		return "\".\" and \"..\" of an index";
	if (count->limit != limit_of(fs, root) || count->count == 0 || count->count > count->limit)
		return "number of index entries";
	if (fs->sums) {
		const struct ext4_dx_tail *tail = (const struct ext4_dx_tail *)(void *)(entries + count->limit);

		if (tail->checksum != index_checksum(b, entries, dir->sum_seed))
			return "checksum of an index";
	}
	if (root && (info_of(b)->info_length != 8 || info_of(b)->levels > MAX_LEVELS))
		return "form of an index";
	for (uint32_t i = 2; i < count->count; i++)
		if (entries[i].hash < entries[i - 1].hash)
			return "order of an index";
	return NULL;
}

unsigned
htree_version(struct inode *dir, struct buffer *root)
{
	unsigned version = info_of(root)->hash_version;

	return version <= HASH_TEA ? version + dir->fs->hash_unsigned : version;
}

/* ---- the way to a leaf ---------------------------------------------------------------------- */

static int
frame_open(struct htree_walk *w, uint32_t level, uint32_t block)
{
	struct frame *f = &w->frame[level];
	int error = dir_read_block(w->dir, block, &f->buffer);

	if (error != 0) {
		f->buffer = NULL;
		return error;
	}
	if (f->buffer->sum != SUM_INDEX || (level == 0) != (block == 0)) {
		buffer_put(w->dir->fs, f->buffer);
		f->buffer = NULL;
		return fs_error(w->dir->fs, -ECORRUPT, "directory %u: block %u is no index", w->dir->number,
		    block);
	}
	f->entries = entries_of(f->buffer, level == 0);
	f->at = 0;
	return 0;
}

static void
frames_drop(struct htree_walk *w)
{
	for (uint32_t i = 0; i <= MAX_LEVELS; i++) {
		buffer_put(w->dir->fs, w->frame[i].buffer);
		w->frame[i].buffer = NULL;
	}
}

/* The last entry with a hash at or below; the first one counts as zero. */
static uint32_t
search(struct ext4_dx_entry *entries, uint32_t hash)
{
	uint32_t low = 1, high = count_of(entries)->count, mid;

	while (low < high) {
		mid = low + (high - low) / 2;
		if (entries[mid].hash > hash)
			high = mid;
		else
			low = mid + 1;
	}
	return low - 1;
}

static uint32_t
entry_block(const struct frame *f)
{
	return f->entries[f->at].block & 0x0fffffff;
}

static int
probe(struct htree_walk *w)
{
	int error = frame_open(w, 0, 0);
	struct ext4_dx_root_info *info;

	if (error != 0)
		return error;
	info = info_of(w->frame[0].buffer);
	w->levels = info->levels;
	w->version = htree_version(w->dir, w->frame[0].buffer);
	for (uint32_t level = 0;; level++) {
		struct frame *f = &w->frame[level];

		f->at = search(f->entries, w->hash);
		if (level == w->levels)
			return 0;
		error = frame_open(w, level + 1, entry_block(f));
		if (error != 0) {
			frames_drop(w);
			return error;
		}
	}
}

/* The hash version is in the root, so hashing needs it first. */
static int
probe_name(struct htree_walk *w, struct inode *dir, const char *name, size_t length)
{
	struct fs *fs = dir->fs;
	struct buffer *root;
	int error;

	memset(w, 0, sizeof *w);
	w->dir = dir;
	error = dir_read_block(dir, 0, &root);
	if (error != 0)
		return error;
	w->version = root->sum == SUM_INDEX ? htree_version(dir, root) : 255;
	buffer_put(fs, root);
	if (!name_hash(name, length, w->version, fs->super->hash_seed, &w->hash))
		return -ENOTSUP;
	return probe(w);
}

/* To the next leaf; *hash: what its index entry says. */
static int
advance(struct htree_walk *w, bool *more, uint32_t *hash)
{
	uint32_t level = w->levels;
	int error;

	while (w->frame[level].at + 1 >= count_of(w->frame[level].entries)->count) {
		if (level == 0) {
			*more = false;
			return 0;
		}
		level--;
	}
	*more = true;
	w->frame[level].at++;
	*hash = w->frame[level].entries[w->frame[level].at].hash;
	for (; level < w->levels; level++) {
		buffer_put(w->dir->fs, w->frame[level + 1].buffer);
		error = frame_open(w, level + 1, entry_block(&w->frame[level]));
		if (error != 0)
			return error;
	}
	return 0;
}

int
htree_find(struct inode *dir, const char *name, size_t length, struct dir_place *place)
{
	struct htree_walk w;
	struct buffer *b;
	uint32_t hash;
	bool more = true;
	int error = probe_name(&w, dir, name, length);

	if (error != 0)
		return error;
	while (more) {
		uint32_t block = entry_block(&w.frame[w.levels]);

		error = dir_read_block(dir, block, &b);
		if (error != 0)
			break;
		if (b->sum != SUM_DIRECTORY) {
			buffer_put(dir->fs, b);
			error = fs_error(dir->fs, -ECORRUPT, "directory %u: block %u is no leaf", dir->number,
			    block);
			break;
		}
		if (dir_block_find(dir->fs, b, name, length, place) != NULL) {
			place->buffer = b;
			place->block = block;
			break;
		}
		buffer_put(dir->fs, b);
		error = advance(&w, &more, &hash);
		if (error != 0)
			break;
		/* only a leaf that goes on with the same hash can have it too */
		if (!more || (hash & 1) == 0 || (hash & ~1u) != w.hash)
			error = -ENOENT;
		if (error != 0)
			break;
	}
	frames_drop(&w);
	return error;
}

int
htree_walk_begin(struct inode *dir, uint32_t hash, struct htree_walk **walk)
{
	struct htree_walk *w = calloc(1, sizeof *w);
	int error;

	*walk = NULL;
	if (w == NULL)
		return -ENOMEM;
	w->dir = dir;
	w->hash = hash;
	error = probe(w);
	if (error == 0 && w->version > HASH_TEA_U) {
		frames_drop(w);
		error = -ENOTSUP;
	}
	if (error != 0) {
		free(w);
		return error;
	}
	*walk = w;
	return 0;
}

uint32_t
htree_walk_leaf(struct htree_walk *w)
{
	return entry_block(&w->frame[w->levels]);
}

int
htree_walk_next(struct htree_walk *w, bool *more)
{
	uint32_t hash;

	return advance(w, more, &hash);
}

void
htree_walk_end(struct htree_walk *w)
{
	frames_drop(w);
	free(w);
}

/* ---- changes ------------------------------------------------------------------------------------ */

static int
access_index(struct handle *h, struct inode *dir, struct buffer *b)
{
	int error = journal_access(h, b);

	if (error == 0) {
		b->sum = SUM_INDEX;
		b->sum_seed = dir->sum_seed;
	}
	return error;
}

/* A new entry behind the frame's one; there is room. */
static void
index_insert(struct frame *f, uint32_t hash, uint32_t block)
{
	struct ext4_dx_count *count = count_of(f->entries);
	uint32_t at = f->at + 1;

	memmove(&f->entries[at + 1], &f->entries[at], (count->count - at) * sizeof *f->entries);
	f->entries[at].hash = hash;
	f->entries[at].block = block;
	count->count++;
}

/* A block that looks like an empty directory block, and holds an index. */
static void
node_init(struct fs *fs, struct buffer *b, uint32_t seed)
{
	struct ext4_dirent *e = (struct ext4_dirent *)(void *)b->data;

	memset(b->data, 0, fs->block_bytes);
	e->rec_len = (uint16_t)fs->block_bytes;
	count_of(entries_of(b, false))->limit = (uint16_t)limit_of(fs, false);
	b->sum = SUM_INDEX;
	b->sum_seed = seed;
	b->verified = true;
}

/* The root's entries go to a block below it. */
static int
add_level(struct handle *h, struct inode *dir, struct htree_walk *w)
{
	struct fs *fs = dir->fs;
	struct ext4_dx_entry *root = w->frame[0].entries, *to;
	uint32_t n = count_of(root)->count, block;
	struct buffer *b;
	int error = dir_append_block(h, dir, &block, &b);

	if (error != 0)
		return error;
	node_init(fs, b, dir->sum_seed);
	to = entries_of(b, false);
	memcpy(to + 1, root + 1, (n - 1) * sizeof *to);
	to[0].block = root[0].block;
	count_of(to)->limit = (uint16_t)limit_of(fs, false);
	count_of(to)->count = (uint16_t)n;
	memset(root + 1, 0, (n - 1) * sizeof *root);
	count_of(root)->count = 1;
	root[0].block = block;
	info_of(w->frame[0].buffer)->levels = 1;
	buffer_put(fs, b);
	return 0;
}

static int
split_index(struct handle *h, struct inode *dir, struct htree_walk *w)
{
	struct fs *fs = dir->fs;
	struct ext4_dx_entry *from = w->frame[1].entries, *to;
	uint32_t n = count_of(from)->count, keep = n / 2, block, hash = from[keep].hash;
	struct buffer *b;
	int error = dir_append_block(h, dir, &block, &b);

	if (error != 0)
		return error;
	node_init(fs, b, dir->sum_seed);
	to = entries_of(b, false);
	memcpy(to, from + keep, (n - keep) * sizeof *to);
	count_of(to)->limit = (uint16_t)limit_of(fs, false);	/* over the first one's hash */
	count_of(to)->count = (uint16_t)(n - keep);
	memset(from + keep, 0, (n - keep) * sizeof *from);
	count_of(from)->count = (uint16_t)keep;
	index_insert(&w->frame[0], hash, block);
	buffer_put(fs, b);
	return 0;
}

/* See that the lowest index block has room; *again: the way has changed. */
static int
make_room(struct handle *h, struct inode *dir, struct htree_walk *w, bool *again)
{
	struct frame *low = &w->frame[w->levels], *root = &w->frame[0];
	int error;

	*again = false;
	if (count_of(low->entries)->count < count_of(low->entries)->limit)
		return 0;
	if (w->levels == 1 && count_of(root->entries)->count >= count_of(root->entries)->limit) {
		say(dir->fs, "directory %u: its index is full", dir->number);
		return -ENOSPC;
	}
	*again = true;
	error = access_index(h, dir, root->buffer);
	if (error == 0 && w->levels == 1)
		error = access_index(h, dir, low->buffer);
	if (error != 0)
		return error;
	return w->levels == 0 ? add_level(h, dir, w) : split_index(h, dir, w);
}

struct move {
	uint32_t hash, offset, bytes;
};

static int
move_order(const void *a, const void *b)
{
	const struct move *x = a, *y = b;

	if (x->hash != y->hash)
		return x->hash < y->hash ? -1 : 1;
	return x->offset < y->offset ? -1 : x->offset > y->offset;
}

static void
pack(struct fs *fs, struct buffer *to, const uint8_t *from, const struct move *moves, uint32_t n,
    uint32_t seed)
{
	struct ext4_dirent *e = NULL;
	uint32_t at = 0;

	dir_block_init(fs, to, seed);
	for (uint32_t i = 0; i < n; i++) {
		e = (struct ext4_dirent *)(void *)(to->data + at);
		memcpy(e, from + moves[i].offset, moves[i].bytes);
		e->rec_len = (uint16_t)moves[i].bytes;
		at += moves[i].bytes;
	}
	if (e != NULL)
		e->rec_len = (uint16_t)(e->rec_len + dir_usable(fs) - at);
}

static uint32_t
collect(struct inode *dir, struct buffer *b, unsigned version, bool skip_dots, struct move *moves)
{
	struct fs *fs = dir->fs;
	uint32_t n = 0;

	for (uint32_t at = 0; at < dir_usable(fs);) {
		const struct ext4_dirent *e = (const struct ext4_dirent *)(void *)(b->data + at);

		if (e->inode != 0 && !(skip_dots && at < 24)) {
			moves[n].offset = at;
			moves[n].bytes = dirent_bytes(e->name_len);
			name_hash(e->name, e->name_len, version, fs->super->hash_seed, &moves[n].hash);
			n++;
		}
		at += e->rec_len;
	}
	return n;
}

/* The leaf's upper half, by hash, becomes a leaf of its own. */
static int
split_leaf(struct handle *h, struct inode *dir, struct htree_walk *w, struct buffer *leaf)
{
	struct fs *fs = dir->fs;
	struct frame *low = &w->frame[w->levels];
	struct move *moves = malloc(fs->block_bytes / 8 * sizeof *moves);
	uint8_t *copy = memory_get(fs);
	uint32_t n, keep = 0, sum = 0, total = 0, block, hash;
	struct buffer *b = NULL;
	int error = moves == NULL || copy == NULL ? -ENOMEM : 0;

	if (error == 0)
		error = access_index(h, dir, low->buffer);
	if (error == 0)
		error = journal_access(h, leaf);
	if (error != 0)
		goto out;
	n = collect(dir, leaf, w->version, false, moves);
	if (n < 2) {
		error = -ENOSPC;	/* one name fills it: cannot be */
		goto out;
	}
	error = dir_append_block(h, dir, &block, &b);
	if (error != 0)
		goto out;
	qsort(moves, n, sizeof *moves, move_order);
	for (uint32_t i = 0; i < n; i++)
		total += moves[i].bytes;
	while (keep < n - 1 && sum + moves[keep].bytes <= total / 2)
		sum += moves[keep++].bytes;
	if (keep == 0)
		keep = 1;
	hash = moves[keep].hash | (moves[keep].hash == moves[keep - 1].hash);
	memcpy(copy, leaf->data, fs->block_bytes);
	pack(fs, b, copy, moves + keep, n - keep, dir->sum_seed);
	pack(fs, leaf, copy, moves, keep, dir->sum_seed);
	index_insert(low, hash, block);
	buffer_put(fs, b);
out:
	if (copy != NULL)
		memory_put(fs, copy);
	free(moves);
	return error;
}

static int
add_once(struct handle *h, struct inode *dir, const char *name, size_t length, uint32_t number,
    uint32_t mode, bool *again)
{
	struct fs *fs = dir->fs;
	struct htree_walk w;
	struct buffer *leaf;
	int error = probe_name(&w, dir, name, length);

	*again = false;
	if (error != 0)
		return error;
	error = dir_read_block(dir, htree_walk_leaf(&w), &leaf);
	if (error != 0)
		goto drop;
	if (leaf->sum != SUM_DIRECTORY) {
		error = fs_error(fs, -ECORRUPT, "directory %u: block %u is no leaf", dir->number,
		    htree_walk_leaf(&w));
		goto put;
	}
	error = journal_access(h, leaf);
	if (error != 0)
		goto put;
	if (dir_block_add(fs, leaf, name, length, number, mode))
		goto put;
	error = make_room(h, dir, &w, again);
	if (error == 0 && !*again) {
		*again = true;
		error = split_leaf(h, dir, &w, leaf);
	}
put:
	buffer_put(fs, leaf);
drop:
	frames_drop(&w);
	return error;
}

int
htree_add(struct handle *h, struct inode *dir, const char *name, size_t length, uint32_t number,
    uint32_t mode)
{
	bool again = true;
	int error = 0;

	/* each round splits something on the way, of which there is a bounded number */
	for (int round = 0; again && error == 0 && round < 16; round++)
		error = add_once(h, dir, name, length, number, mode, &again);
	return error == 0 && again ? -ENOSPC : error;
}

int
htree_make(struct handle *h, struct inode *dir)
{
	struct fs *fs = dir->fs;
	struct move *moves = malloc(fs->block_bytes / 8 * sizeof *moves);
	struct ext4_dx_root_info *info;
	struct ext4_dx_entry *entries;
	struct ext4_dirent *dots;
	struct buffer *root, *b;
	uint32_t n, block;
	int error;

	if (moves == NULL)
		return -ENOMEM;
	error = dir_read_block(dir, 0, &root);
	if (error != 0)
		goto out;
	dots = (struct ext4_dirent *)(void *)(root->data + 12);
	if (((struct ext4_dirent *)(void *)root->data)->rec_len != 12 || dots->name_len != 2) {
		error = fs_error(fs, -ECORRUPT, "directory %u does not begin with . and ..", dir->number);
		goto put;
	}
	error = journal_access(h, root);
	if (error == 0)
		error = dir_append_block(h, dir, &block, &b);
	if (error != 0)
		goto put;
	n = collect(dir, root, fs->hash_version + fs->hash_unsigned, true, moves);
	pack(fs, b, root->data, moves, n, dir->sum_seed);
	buffer_put(fs, b);
	memset(root->data + 24, 0, fs->block_bytes - 24);
	dots->rec_len = (uint16_t)(fs->block_bytes - 12);
	info = info_of(root);
	info->hash_version = (uint8_t)fs->hash_version;
	info->info_length = 8;
	entries = entries_of(root, true);
	count_of(entries)->limit = (uint16_t)limit_of(fs, true);
	count_of(entries)->count = 1;
	entries[0].block = block;
	root->sum = SUM_INDEX;
	root->sum_seed = dir->sum_seed;
	dir->raw->flags |= INODE_INDEX;
	error = inode_store(h, dir);
put:
	buffer_put(fs, root);
out:
	free(moves);
	return error;
}
