/* SPDX-License-Identifier: MIT */
/*
 * Directories: their blocks of entries, checked when read, searched and
 * changed; the hashed index over them is htree.c's.
 */
#include "core.h"

static const uint32_t READ_AHEAD = 8;

/* ---- entries ------------------------------------------------------------------------- */

static uint8_t
type_of_mode(uint32_t mode)
{
	/* EXT4_FT_* by the type bits of the mode */
	static const uint8_t types[16] = { [0x1] = 5, [0x2] = 3, [0x4] = 2, [0x6] = 4, [0x8] = 1,
		[0xa] = 7, [0xc] = 6 };

	return types[mode >> 12 & 15];
}

static uint8_t
dt_of_type(uint8_t type)
{
	/* DT_* by EXT4_FT_* */
	static const uint8_t dts[8] = { 0, 8, 4, 2, 6, 1, 12, 10 };

	return type < 8 ? dts[type] : 0;
}

uint32_t
dirent_bytes(size_t name_length)
{
	return (uint32_t)(DIRENT_HEAD + name_length + 3) & ~3u;
}

uint32_t
dir_usable(struct fs *fs)
{
	return fs->block_bytes - (fs->sums ? DIRENT_TAIL : 0);
}

static struct ext4_dirent *
entry_at(struct buffer *b, uint32_t offset)
{
	return (struct ext4_dirent *)(void *)(b->data + offset);
}

/* ---- blocks ----------------------------------------------------------------------------- */

static struct ext4_dirent_tail *
tail_of(struct fs *fs, struct buffer *b)
{
	return (struct ext4_dirent_tail *)(void *)(b->data + fs->block_bytes - DIRENT_TAIL);
}

void
dir_sum(struct fs *fs, struct buffer *b)
{
	if (fs->sums)
		tail_of(fs, b)->checksum = crc32c(b->sum_seed, b->data, fs->block_bytes - DIRENT_TAIL);
}

/* What is wrong with a block of entries; null: nothing. */
static const char *
block_wrong(struct inode *dir, struct buffer *b)
{
	struct fs *fs = dir->fs;
	uint32_t end = dir_usable(fs), at = 0;
	const struct ext4_dirent_tail *tail = tail_of(fs, b);

	if (fs->sums) {
		if (tail->zero1 != 0 || tail->rec_len != DIRENT_TAIL || tail->zero2 != 0 ||
		    tail->type != DIRENT_TAIL_TYPE)
			return "no checksum";
		if (tail->checksum != crc32c(dir->sum_seed, b->data, end))
			return "wrong checksum";
	}
	while (at < end) {
		const struct ext4_dirent *e = entry_at(b, at);

		if (end - at < DIRENT_HEAD || e->rec_len % 4 != 0 || e->rec_len < dirent_bytes(1) - 4 ||
		    e->rec_len > end - at)
			return "length of an entry";
		if (e->inode != 0 && (e->name_len == 0 || dirent_bytes(e->name_len) > e->rec_len))
			return "length of a name";
		if (e->inode > fs->inodes)
			return "number of an inode";
		at += e->rec_len;
	}
	return NULL;
}

static bool
looks_like_index(struct inode *dir, struct buffer *b, uint32_t block)
{
	const struct ext4_dirent *e = entry_at(b, 0);

	if (!dir_is_indexed(dir))
		return false;
	return block == 0 || (e->inode == 0 && e->rec_len == dir->fs->block_bytes);
}

int
dir_read_block(struct inode *dir, uint32_t block, struct buffer **buffer)
{
	struct fs *fs = dir->fs;
	const char *wrong;
	struct mapping m;
	struct buffer *b;
	int error;

	if (block >= inode_size(dir) >> fs->block_bits)
		return fs_error(fs, -ECORRUPT, "directory %u: block %u is behind its end", dir->number, block);
	error = map_find(dir, block, READ_AHEAD, &m);
	if (error != 0)
		return error;
	if (m.start == 0 || m.unwritten)
		return fs_error(fs, -ECORRUPT, "directory %u: block %u is a hole", dir->number, block);
	error = buffer_read(fs, m.start, &b);
	if (error != 0)
		return error;
	if (!b->verified || b->sum_seed != dir->sum_seed ||
	    (b->sum != SUM_DIRECTORY && b->sum != SUM_INDEX)) {
		bool index = looks_like_index(dir, b, block);

		wrong = index ? htree_wrong(dir, b, block == 0) : block_wrong(dir, b);
		if (wrong != NULL) {
			buffer_put(fs, b);
			return fs_error(fs, -ECORRUPT, "directory %u, block %u: %s", dir->number, block, wrong);
		}
		b->sum = index ? SUM_INDEX : SUM_DIRECTORY;
		b->sum_seed = dir->sum_seed;
		b->verified = true;
	}
	*buffer = b;
	return 0;
}

/* Reading on in a row: the next ones come along. */
static void
read_ahead(struct inode *dir, uint32_t block, uint32_t blocks)
{
	struct mapping m;

	uint32_t count = blocks - block < READ_AHEAD ? blocks - block : READ_AHEAD;

	if (block % READ_AHEAD != 0 || count < 2)
		return;
	if (map_find(dir, block, count, &m) != 0 ||
	    m.start == 0)
		return;
	for (uint32_t i = 0; i < m.count; i++)
		buffer_prefetch(dir->fs, m.start + i);
}

/* An empty block of entries. */
void
dir_block_init(struct fs *fs, struct buffer *b, uint32_t seed)
{
	struct ext4_dirent *e = entry_at(b, 0);

	memset(b->data, 0, fs->block_bytes);
	e->rec_len = (uint16_t)dir_usable(fs);
	if (fs->sums) {
		tail_of(fs, b)->rec_len = DIRENT_TAIL;
		tail_of(fs, b)->type = DIRENT_TAIL_TYPE;
	}
	b->sum = SUM_DIRECTORY;
	b->sum_seed = seed;
	b->verified = true;
}

struct ext4_dirent *
dir_block_find(struct fs *fs, struct buffer *b, const char *name, size_t length,
    struct dir_place *place)
{
	uint32_t end = b->sum == SUM_INDEX ? fs->block_bytes : dir_usable(fs), at = 0, previous = 0;

	while (at < end) {
		struct ext4_dirent *e = entry_at(b, at);

		if (e->rec_len < DIRENT_HEAD || e->rec_len > end - at)
			break;	/* an index block's own entry may cover what is not entries */
		if (e->inode != 0 && e->name_len == length && memcmp(e->name, name, length) == 0) {
			place->offset = at;
			place->previous = previous;
			return e;
		}
		previous = at;
		at += e->rec_len;
	}
	return NULL;
}

static void
entry_write(struct ext4_dirent *e, const char *name, size_t length, uint32_t number, uint32_t mode)
{
	e->inode = number;
	e->name_len = (uint8_t)length;
	e->type = type_of_mode(mode);
	memcpy(e->name, name, length);
}

bool
dir_block_add(struct fs *fs, struct buffer *b, const char *name, size_t length, uint32_t number,
    uint32_t mode)
{
	uint32_t end = dir_usable(fs), need = dirent_bytes(length), at = 0, used;

	for (; at < end; at += entry_at(b, at)->rec_len) {
		struct ext4_dirent *e = entry_at(b, at), *new = e;

		used = e->inode == 0 ? 0 : dirent_bytes(e->name_len);
		if (e->rec_len < used + need)
			continue;
		if (used != 0) {
			new = entry_at(b, at + used);
			new->rec_len = (uint16_t)(e->rec_len - used);
			e->rec_len = (uint16_t)used;
		}
		entry_write(new, name, length, number, mode);
		return true;
	}
	return false;
}

static bool
block_has_room(struct fs *fs, struct buffer *b, size_t length)
{
	uint32_t end = dir_usable(fs), need = dirent_bytes(length), at = 0, used;

	for (; at < end; at += entry_at(b, at)->rec_len) {
		const struct ext4_dirent *e = entry_at(b, at);

		used = e->inode == 0 ? 0 : dirent_bytes(e->name_len);
		if (e->rec_len >= used + need)
			return true;
	}
	return false;
}

/* ---- finding ----------------------------------------------------------------------------------- */

int
dir_find(struct inode *dir, const char *name, size_t length, struct dir_place *place)
{
	struct fs *fs = dir->fs;
	uint32_t blocks = (uint32_t)(inode_size(dir) >> fs->block_bits);
	bool dots = name[0] == '.' && (length == 1 || (length == 2 && name[1] == '.'));
	struct buffer *b;
	int error;

	if (dir_is_indexed(dir) && !dots) {
		error = htree_find(dir, name, length, place);
		if (error != -ENOTSUP)
			return error;
	}
	for (uint32_t block = 0; block < blocks; block++) {
		read_ahead(dir, block, blocks);
		error = dir_read_block(dir, block, &b);
		if (error != 0)
			return error;
		if (dir_block_find(fs, b, name, length, place) != NULL) {
			place->buffer = b;
			place->block = block;
			return 0;
		}
		buffer_put(fs, b);
		if (dots)
			break;
	}
	return -ENOENT;
}

/* ---- changing ------------------------------------------------------------------------------------ */

static int
access_block(struct handle *h, struct inode *dir, struct buffer *b)
{
	int error = journal_access(h, b);

	if (error == 0) {
		b->sum = SUM_DIRECTORY;
		b->sum_seed = dir->sum_seed;
	}
	return error;
}

int
dir_append_block(struct handle *h, struct inode *dir, uint32_t *block, struct buffer **buffer)
{
	struct fs *fs = dir->fs;
	uint32_t number = (uint32_t)(inode_size(dir) >> fs->block_bits);
	struct mapping m = { .block = number, .count = 1 }, before;
	uint64_t goal = dir->goal;
	int error;

	if (number >= 0x7fffffffu >> fs->block_bits)
		return -ENOSPC;
	if ((dir->raw->flags & INODE_EXTENTS) == 0)
		return -EOPNOTSUPP;
	if (number > 0 && map_find(dir, number - 1, 1, &before) == 0 && before.start != 0)
		goal = before.start + 1;
	error = block_new(h, goal, &m.start);
	if (error != 0)
		return error;
	error = journal_new(h, m.start, buffer);
	if (error == 0) {
		lock_exclusive(&dir->tree);
		error = map_insert(h, dir, &m);
		unlock(&dir->tree);
		if (error != 0)
			buffer_put(fs, *buffer);
	}
	if (error != 0) {
		blocks_free(h, m.start, 1, true);
		return error == -EEXIST ? -ECORRUPT : error;
	}
	inode_add_blocks(dir, 1);
	inode_set_size(dir, (uint64_t)(number + 1) << fs->block_bits);
	*block = number;
	return inode_store(h, dir);
}

static int
add_linear(struct handle *h, struct inode *dir, const char *name, size_t length, uint32_t number,
    uint32_t mode)
{
	struct fs *fs = dir->fs;
	uint32_t blocks = (uint32_t)(inode_size(dir) >> fs->block_bits), block;
	struct buffer *b;
	int error;

	for (block = 0; block < blocks; block++) {
		error = dir_read_block(dir, block, &b);
		if (error != 0)
			return error;
		if (b->sum == SUM_DIRECTORY && block_has_room(fs, b, length)) {
			error = access_block(h, dir, b);
			if (error == 0)
				dir_block_add(fs, b, name, length, number, mode);
			buffer_put(fs, b);
			return error;
		}
		buffer_put(fs, b);
	}
	if (blocks == 1 && (fs->super->feature_compat & COMPAT_DIR_INDEX) != 0) {
		error = htree_make(h, dir);
		return error != 0 ? error : htree_add(h, dir, name, length, number, mode);
	}
	error = dir_append_block(h, dir, &block, &b);
	if (error != 0)
		return error;
	dir_block_init(fs, b, dir->sum_seed);
	dir_block_add(fs, b, name, length, number, mode);
	buffer_put(fs, b);
	return 0;
}

int
dir_add(struct handle *h, struct inode *dir, const char *name, size_t length, uint32_t number,
    uint32_t mode)
{
	int error;

	if (!dir_is_indexed(dir))
		return add_linear(h, dir, name, length, number, mode);
	error = htree_add(h, dir, name, length, number, mode);
	if (error == -ENOTSUP)
		return fs_error(dir->fs, -ECORRUPT, "directory %u: its index cannot be used", dir->number);
	return error;
}

int
dir_remove(struct handle *h, struct inode *dir, struct dir_place *place)
{
	struct ext4_dirent *e, *before;
	int error;

	if (place->buffer->sum != SUM_DIRECTORY)
		return fs_error(dir->fs, -ECORRUPT, "directory %u: an entry in an index", dir->number);
	error = access_block(h, dir, place->buffer);
	if (error != 0)
		return error;
	e = entry_at(place->buffer, place->offset);
	if (place->offset == place->previous) {
		e->inode = 0;
		return 0;
	}
	before = entry_at(place->buffer, place->previous);
	before->rec_len = (uint16_t)(before->rec_len + e->rec_len);
	memset(e, 0, dirent_bytes(e->name_len));
	return 0;
}

/* The entry names another inode from now on. */
int
dir_set(struct handle *h, struct inode *dir, struct dir_place *place, uint32_t number, uint32_t mode)
{
	uint8_t sum = place->buffer->sum;
	int error = journal_access(h, place->buffer);
	struct ext4_dirent *e;

	if (error != 0)
		return error;
	place->buffer->sum = sum;	/* "." and ".." of a hashed directory lie in its index */
	place->buffer->sum_seed = dir->sum_seed;
	e = entry_at(place->buffer, place->offset);
	e->inode = number;
	e->type = type_of_mode(mode);
	return 0;
}

int
dir_init(struct handle *h, struct inode *dir, uint32_t parent)
{
	struct fs *fs = dir->fs;
	struct ext4_dirent *dot, *dots;
	struct buffer *b;
	uint32_t block;
	int error = dir_append_block(h, dir, &block, &b);

	if (error != 0)
		return error;
	dir_block_init(fs, b, dir->sum_seed);
	dot = entry_at(b, 0);
	dot->rec_len = 12;
	entry_write(dot, ".", 1, dir->number, 0x4000);
	dots = entry_at(b, 12);
	dots->rec_len = (uint16_t)(dir_usable(fs) - 12);
	entry_write(dots, "..", 2, parent, 0x4000);
	buffer_put(fs, b);
	return 0;
}

int
dir_parent(struct inode *dir, uint32_t *parent)
{
	struct dir_place place;
	int error = dir_find(dir, "..", 2, &place);

	if (error != 0)
		return error == -ENOENT ? -ECORRUPT : error;
	*parent = entry_at(place.buffer, place.offset)->inode;
	buffer_put(dir->fs, place.buffer);
	return 0;
}

int
dir_set_parent(struct handle *h, struct inode *dir, uint32_t parent)
{
	struct dir_place place;
	int error = dir_find(dir, "..", 2, &place);

	if (error != 0)
		return error == -ENOENT ? -ECORRUPT : error;
	error = dir_set(h, dir, &place, parent, 0x4000);
	buffer_put(dir->fs, place.buffer);
	return error;
}

static bool
is_dot(const struct ext4_dirent *e)
{
	return e->name[0] == '.' && (e->name_len == 1 || (e->name_len == 2 && e->name[1] == '.'));
}

int
dir_empty(struct inode *dir, bool *empty)
{
	struct fs *fs = dir->fs;
	uint32_t blocks = (uint32_t)(inode_size(dir) >> fs->block_bits), at;
	struct buffer *b;
	int error;

	*empty = true;
	for (uint32_t block = 0; block < blocks && *empty; block++) {
		read_ahead(dir, block, blocks);
		error = dir_read_block(dir, block, &b);
		if (error != 0)
			return error;
		for (at = 0; b->sum == SUM_DIRECTORY && at < dir_usable(fs); at += entry_at(b, at)->rec_len) {
			const struct ext4_dirent *e = entry_at(b, at);

			if (e->inode != 0 && !is_dot(e))
				*empty = false;
		}
		buffer_put(fs, b);
	}
	return 0;
}

/* ---- listing ---------------------------------------------------------------------------------------- */

/*
 * Cookies.  With dir_index a listing goes by hash, so that splits of blocks do
 * not make it miss or repeat an entry: 0 begins, 1 is behind ".", 2 behind "..",
 * then behind each name 4 + (hash << 16 | 16 bits of another hash of it), so that a name's
 * cookie is its own and stays when others of the same hash come and go.  Those for which
 * both are the same are listed together.  Without dir_index, a cookie is 3 + the byte
 * where the next entry is.
 */
struct listing {
	struct inode *dir;
	uint8_t *to;
	size_t room, used;
	bool full;
	uint64_t from;			/* hash and 16 bits: what is lower was listed before */
	uint64_t last;			/* the same of what was listed last */
	size_t last_used;		/* what was in use before the first of those that have `last` */
	/* Names of one hash, which may stand in several blocks, until all are there. */
	uint32_t hash;
	struct same *same;
	uint32_t count, space;
};

struct same {
	uint32_t inode, minor;
	uint8_t type, length;
	char name[FS_NAME + 1];
};

static void
list_one(struct listing *l, uint64_t cookie, uint32_t number, uint8_t type, const char *name,
    size_t length)
{
	size_t bytes = (sizeof(struct fs_entry) + length + 1 + 7) & ~(size_t)7;
	struct fs_entry *entry = (struct fs_entry *)(void *)(l->to + l->used);

	if (bytes > l->room - l->used) {
		l->full = true;
		return;
	}
	memset(entry, 0, bytes);
	entry->cookie = cookie;
	entry->inode = number;
	entry->length = (uint16_t)bytes;
	entry->type = dt_of_type(type);
	entry->name_length = (uint8_t)length;
	memcpy(entry->name, name, length);
	l->used += bytes;
}

static int
list_dots(struct listing *l, uint64_t cookie)
{
	uint32_t parent;
	int error;

	if (cookie == 0)
		list_one(l, 1, l->dir->number, 2, ".", 1);
	if (cookie <= 1 && !l->full) {
		error = dir_parent(l->dir, &parent);
		if (error != 0)
			return error;
		list_one(l, 2, parent, 2, "..", 2);
	}
	return 0;
}

static int
list_linear(struct listing *l, uint64_t from)
{
	struct fs *fs = l->dir->fs;
	uint32_t blocks = (uint32_t)(inode_size(l->dir) >> fs->block_bits), at;
	struct buffer *b;
	int error;

	for (uint32_t block = (uint32_t)(from >> fs->block_bits); block < blocks && !l->full; block++) {
		read_ahead(l->dir, block, blocks);
		error = dir_read_block(l->dir, block, &b);
		if (error != 0)
			return error;
		for (at = 0; b->sum == SUM_DIRECTORY && at < dir_usable(fs) && !l->full;
		    at += entry_at(b, at)->rec_len) {
			const struct ext4_dirent *e = entry_at(b, at);
			uint64_t here = ((uint64_t)block << fs->block_bits) + at;

			if (here >= from && e->inode != 0 && !is_dot(e))
				list_one(l, 3 + here + e->rec_len, e->inode, e->type, e->name, e->name_len);
		}
		buffer_put(fs, b);
	}
	return 0;
}

/*
 * Keys in rising order, by merging runs of 1, 2, 4 …; spare has room for as many.
 * Where the result is: one of the two.
 */
static uint64_t *
sort_keys(uint64_t *keys, uint64_t *spare, uint32_t n)
{
	for (uint32_t run = 1; run < n; run *= 2) {
		uint64_t *swap = keys;

		for (uint32_t at = 0; at < n; ) {
			uint32_t a = at, a_end = a + run < n ? a + run : n;
			uint32_t b = a_end, b_end = b + run < n ? b + run : n;

			while (at < b_end)
				spare[at++] = b == b_end || (a < a_end && keys[a] < keys[b]) ? keys[a++] : keys[b++];
		}
		keys = spare;
		spare = swap;
	}
	return keys;
}

static uint32_t
minor_hash(const char *name, size_t length)
{
	return crc32c(~0u, name, length) & 0xffff;
}

/* A name in its order.  If the last of several with one cookie does not fit, all of them wait. */
static void
list_at(struct listing *l, uint64_t here, uint32_t number, uint8_t type, const char *name, size_t length)
{
	if (here < l->from || l->full)
		return;
	if (here != l->last || l->used == 0) {
		l->last = here;
		l->last_used = l->used;
	}
	list_one(l, 4 + here, number, type, name, length);
	if (l->full && l->last_used != 0)
		l->used = l->last_used;
}

static int
same_order(const void *a, const void *b)
{
	const struct same *x = a, *y = b;

	return x->minor != y->minor ? (x->minor < y->minor ? -1 : 1) : strcmp(x->name, y->name);
}

static void
same_list(struct listing *l)
{
	if (l->count > 1)
		qsort(l->same, l->count, sizeof *l->same, same_order);
	for (uint32_t i = 0; i < l->count; i++) {
		const struct same *e = &l->same[i];

		list_at(l, (uint64_t)l->hash << 16 | e->minor, e->inode, e->type, e->name, e->length);
	}
	l->count = 0;
}

static int
same_add(struct listing *l, const struct ext4_dirent *e)
{
	struct same *s;

	if (l->count == l->space) {
		s = realloc(l->same, (l->space + 4) * 2 * sizeof *s);
		if (s == NULL)
			return -ENOMEM;
		l->same = s;
		l->space = (l->space + 4) * 2;
	}
	s = &l->same[l->count++];
	s->inode = e->inode;
	s->type = e->type;
	s->length = e->name_len;
	memcpy(s->name, e->name, e->name_len);
	s->name[e->name_len] = '\0';
	s->minor = minor_hash(s->name, s->length);
	return 0;
}

/* The next entry in the order of hashes; alone: no other in its block has that hash, and it is neither the
 * block's first nor last. */
static int
list_hash(struct listing *l, uint32_t hash, const struct ext4_dirent *e, bool alone)
{
	if (l->count != 0 && hash != l->hash)
		same_list(l);
	if (alone) {
		list_at(l, (uint64_t)hash << 16 | minor_hash(e->name, e->name_len), e->inode, e->type, e->name,
		    e->name_len);
		return 0;
	}
	l->hash = hash;
	return same_add(l, e);
}

/* One leaf by hash. */
static int
list_leaf(struct listing *l, uint32_t block, unsigned version)
{
	struct fs *fs = l->dir->fs;
	uint64_t *all, *sorted;		/* hash << 32 | offset */
	struct buffer *b;
	uint32_t n = 0, most = fs->block_bytes / DIRENT_HEAD + 1;
	int error = dir_read_block(l->dir, block, &b);

	if (error != 0)
		return error;
	all = malloc(2 * most * sizeof *all);
	if (all == NULL) {
		buffer_put(fs, b);
		return -ENOMEM;
	}
	for (uint32_t at = 0; b->sum == SUM_DIRECTORY && at < dir_usable(fs); at += entry_at(b, at)->rec_len) {
		const struct ext4_dirent *e = entry_at(b, at);
		uint32_t hash;

		if (e->inode == 0 || is_dot(e))
			continue;
		name_hash(e->name, e->name_len, version, fs->super->hash_seed, &hash);
		all[n++] = (uint64_t)hash << 32 | at;
	}
	sorted = sort_keys(all, all + most, n);
	for (uint32_t i = 0; i < n && !l->full && error == 0; i++) {
		uint32_t hash = (uint32_t)(sorted[i] >> 32);
		bool alone = i > 0 && i + 1 < n && sorted[i - 1] >> 32 != hash && sorted[i + 1] >> 32 != hash;

		error = list_hash(l, hash, entry_at(b, (uint32_t)sorted[i]), alone);
	}
	free(all);
	buffer_put(fs, b);
	return error;
}

static int
list_leaves(struct listing *l)
{
	struct fs *fs = l->dir->fs;
	unsigned version = fs->hash_version + fs->hash_unsigned;
	struct htree_walk *walk;
	struct buffer *root;
	bool more = true;
	int error;

	if (!dir_is_indexed(l->dir))
		return list_leaf(l, 0, version);
	error = dir_read_block(l->dir, 0, &root);
	if (error != 0)
		return error;
	version = htree_version(l->dir, root);
	buffer_put(fs, root);
	error = htree_walk_begin(l->dir, (uint32_t)(l->from >> 16) & ~1u, &walk);
	while (error == 0 && more && !l->full) {
		error = list_leaf(l, htree_walk_leaf(walk), version);
		if (error == 0)
			error = htree_walk_next(walk, &more);
	}
	if (walk != NULL)
		htree_walk_end(walk);
	return error;
}

static int
list_hashed(struct listing *l, uint64_t from)
{
	int error;

	l->from = from;
	l->last = UINT64_MAX;
	error = list_leaves(l);
	if (error == 0)
		same_list(l);
	free(l->same);
	return error;
}

/* Is a listing by hash, and by which? */
static bool
lists_hashed(struct inode *dir)
{
	const struct fs *fs = dir->fs;

	return (fs->super->feature_compat & COMPAT_DIR_INDEX) != 0 &&
	    (dir_is_indexed(dir) || inode_size(dir) >> fs->block_bits == 1);
}

uint64_t
dir_cookie(struct inode *dir, const char *name, size_t length)
{
	struct fs *fs = dir->fs;
	unsigned version = fs->hash_version + fs->hash_unsigned;
	struct buffer *root;
	uint32_t hash;

	if (!lists_hashed(dir))
		return 0;
	if (dir_is_indexed(dir)) {
		if (dir_read_block(dir, 0, &root) != 0)
			return 0;
		version = htree_version(dir, root);
		buffer_put(fs, root);
	}
	if (!name_hash(name, length, version, fs->super->hash_seed, &hash))
		return 0;
	return 4 + ((uint64_t)hash << 16 | minor_hash(name, length));
}

int64_t
dir_list(struct inode *dir, uint64_t cookie, uint8_t *page, size_t bytes)
{
	struct listing l = { .dir = dir, .to = page, .room = bytes };
	int error;

	if (cookie >> 63 != 0)
		return 0;
	error = list_dots(&l, cookie);
	if (error == 0 && !l.full) {
		uint64_t from = cookie < 3 ? 0 : cookie - 3;

		if (from >> 48 != 0)
			return 0;
		error = lists_hashed(dir) ? list_hashed(&l, from) : -ENOTSUP;
		if (error == -ENOTSUP)
			error = list_linear(&l, from);
	}
	/* what was listed before an error is good */
	return l.used != 0 ? (int64_t)l.used : error;
}
