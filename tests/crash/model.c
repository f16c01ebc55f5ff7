/* SPDX-License-Identifier: MIT */
/*
 * The model: a file system of versions that never change.  Each operation makes
 * a snapshot that shares everything with the one before but the inodes it
 * touches; touch() gives the copy that may be written until the operation ends.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include "image.h"
#include "model.h"

static const uint8_t zeroes[SECTOR];

/* ---- snapshots ---------------------------------------------------------------- */

static struct snapshot *
add_snapshot(struct model *model)
{
	if (model->snapshots == model->snapshot_room) {
		model->snapshot_room = model->snapshot_room != 0 ? 2 * model->snapshot_room : 16;
		model->snapshot =
		    need_more(model->snapshot, model->snapshot_room * sizeof *model->snapshot);
	}
	memset(&model->snapshot[model->snapshots], 0, sizeof *model->snapshot);
	return &model->snapshot[model->snapshots++];
}

struct snapshot *
model_last(struct model *model)
{
	return &model->snapshot[model->snapshots - 1];
}

const struct model_inode *
model_inode(const struct snapshot *snapshot, uint32_t id)
{
	return id < snapshot->inodes ? snapshot->inode[id] : NULL;
}

static void *
copy(struct model *model, const void *from, size_t bytes, size_t more)
{
	void *to = arena_get(&model->arena, bytes + more);

	if (bytes != 0)
		memcpy(to, from, bytes);
	return to;
}

/* The last snapshot's own version of an inode; data: also its size or blocks change. */
static struct model_inode *
touch(struct model *model, uint32_t id, bool data)
{
	struct snapshot *snapshot = model_last(model);
	struct model_inode *inode = snapshot->inode[id];
	uint32_t now = model->snapshots - 1;
	bool own = model->number[id].touched == now;

	model->number[id].touched = now;
	if (data)
		model->number[id].data_touched = now;
	if (own)
		return inode;
	inode = copy(model, inode, sizeof *inode, 0);
	inode->entry = copy(model, inode->entry, inode->entries * sizeof *inode->entry,
	    2 * sizeof *inode->entry);
	inode->xattr = copy(model, inode->xattr, inode->xattrs * sizeof *inode->xattr,
	    sizeof *inode->xattr);
	inode->sector = copy(model, inode->sector, inode->sectors * sizeof *inode->sector, 0);
	snapshot->inode[id] = inode;
	return inode;
}

static struct model_inode *
new_inode(struct model *model, uint32_t mode)
{
	struct snapshot *snapshot = model_last(model);
	struct model_inode *inode = arena_get(&model->arena, sizeof *inode);

	if (model->numbers == model->number_room) {
		model->number_room = model->number_room != 0 ? 2 * model->number_room : 32;
		model->number = need_more(model->number, model->number_room * sizeof *model->number);
	}
	inode->id = model->numbers++;
	memset(&model->number[inode->id], 0, sizeof *model->number);
	model->number[inode->id].touched = model->number[inode->id].data_touched =
	    model->snapshots - 1;
	inode->mode = mode;
	inode->nlink = S_ISDIR(mode) ? 2 : 1;
	inode->entry = arena_get(&model->arena, 2 * sizeof *inode->entry);
	inode->xattr = arena_get(&model->arena, sizeof *inode->xattr);
	snapshot->inode = copy(model, snapshot->inode, snapshot->inodes * sizeof *snapshot->inode,
	    sizeof *snapshot->inode);
	snapshot->inode[snapshot->inodes++] = inode;
	return inode;
}

void
model_open(struct model *model, uint32_t block_bytes, uint32_t lost_found)
{
	struct model_inode *root, *lost;

	memset(model, 0, sizeof *model);
	model->block_bytes = block_bytes;
	add_snapshot(model);
	root = new_inode(model, S_IFDIR | 0755);
	model->number[root->id].inode = 2;
	if (lost_found == 0)
		return;
	lost = new_inode(model, S_IFDIR | 0700);
	model->number[lost->id].inode = lost_found;
	root->nlink++;
	root->entry[root->entries++] = (struct model_entry){ "lost+found", lost->id };
}

void
model_open_after(struct model *model, const struct model *base)
{
	const struct snapshot *from = &base->snapshot[base->snapshots - 1];
	struct snapshot *to;

	memset(model, 0, sizeof *model);
	model->block_bytes = base->block_bytes;
	to = add_snapshot(model);
	to->inodes = from->inodes;
	to->inode = copy(model, from->inode, from->inodes * sizeof *from->inode, 0);
	model->numbers = model->number_room = base->numbers;
	model->number = need(base->numbers * sizeof *base->number);
	memcpy(model->number, base->number, base->numbers * sizeof *base->number);
	for (uint32_t i = 0; i < model->numbers; i++)
		model->number[i].touched = model->number[i].data_touched = 0;
	/* What the base wrote has a place on the disk, all from one time. */
	for (uint32_t i = 0; i < to->inodes; i++) {
		struct model_inode *inode = to->inode[i];

		if (inode == NULL || inode->sectors == 0)
			continue;
		inode = copy(model, inode, sizeof *inode, 0);
		inode->sector = copy(model, inode->sector, inode->sectors * sizeof *inode->sector, 0);
		for (uint32_t j = 0; j < inode->sectors; j++)
			inode->sector[j].alloc = inode->sector[j].alloc != 0 ? UINT32_MAX : 0;
		to->inode[i] = inode;
	}
}

void
model_close(struct model *model)
{
	for (uint32_t i = 0; i < model->snapshots; i++)
		tree_free(model->snapshot[i].tree);
	arena_free(&model->arena);
	free(model->snapshot);
	free(model->number);
	free(model->open);
	memset(model, 0, sizeof *model);
}

/* ---- names --------------------------------------------------------------------- */

static struct model_entry *
find_entry(const struct model_inode *directory, const char *name, size_t length)
{
	for (uint32_t i = 0; i < directory->entries; i++) {
		if (strncmp(directory->entry[i].name, name, length) == 0 &&
		    directory->entry[i].name[length] == '\0')
			return &directory->entry[i];
	}
	return NULL;
}

uint32_t
model_find(const struct model *model, const struct snapshot *snapshot, const char *path,
    uint32_t *parent, const char **name)
{
	uint32_t at = MODEL_ROOT;

	*parent = MODEL_NONE;
	*name = path;
	if (strcmp(path, "%") == 0)
		return model->opens != 0 ? model->open[model->opens - 1] : MODEL_NONE;
	while (*path == '/')
		path++;
	while (*path != '\0') {
		const struct model_inode *directory = snapshot->inode[at];
		size_t length = strcspn(path, "/");
		const struct model_entry *entry;

		*parent = MODEL_NONE;
		if (directory == NULL || !S_ISDIR(directory->mode))
			return MODEL_NONE;
		*parent = at;
		*name = path;
		entry = find_entry(directory, path, length);
		path += length;
		if (entry == NULL) {
			if (*path != '\0')
				*parent = MODEL_NONE;
			return MODEL_NONE;
		}
		at = entry->id;
		while (*path == '/')
			path++;
	}
	return at;
}

static void
add_entry(struct model *model, struct model_inode *directory, const char *name, uint32_t id)
{
	char *own = arena_get(&model->arena, strcspn(name, "/") + 1);

	memcpy(own, name, strcspn(name, "/"));
	/* touch() leaves room for two more entries, and no operation adds more. */
	directory->entry[directory->entries++] = (struct model_entry){ own, id };
}

static void
remove_entry(struct model_inode *directory, const char *name)
{
	struct model_entry *entry = find_entry(directory, name, strcspn(name, "/"));

	*entry = directory->entry[--directory->entries];
}

static bool
is_below(const struct snapshot *snapshot, uint32_t id, uint32_t ancestor)
{
	while (id != ancestor && id != MODEL_ROOT)
		id = snapshot->inode[id]->parent;
	return id == ancestor;
}

/* ---- what an operation would answer --------------------------------------------- */

static int
rename_errno(const struct snapshot *snapshot, uint32_t from, uint32_t to, uint32_t to_parent)
{
	const struct model_inode *moved, *victim;

	if (from == MODEL_NONE || to_parent == MODEL_NONE)
		return ENOENT;
	moved = snapshot->inode[from];
	if (S_ISDIR(moved->mode) && is_below(snapshot, to_parent, from))
		return EINVAL;
	if (to == MODEL_NONE || to == from)
		return 0;
	victim = snapshot->inode[to];
	if (S_ISDIR(victim->mode) && !S_ISDIR(moved->mode))
		return EISDIR;
	if (!S_ISDIR(victim->mode) && S_ISDIR(moved->mode))
		return ENOTDIR;
	return victim->entries != 0 ? ENOTEMPTY : 0;
}

static int
exchange_errno(const struct snapshot *snapshot, uint32_t from, uint32_t to, uint32_t from_parent,
    uint32_t to_parent)
{
	if (from == MODEL_NONE || to == MODEL_NONE)
		return ENOENT;
	if (is_below(snapshot, to_parent, from) || is_below(snapshot, from_parent, to))
		return EINVAL;
	return 0;
}

static int
regular_errno(const struct snapshot *snapshot, uint32_t id)
{
	if (id == MODEL_NONE)
		return ENOENT;
	if (S_ISDIR(snapshot->inode[id]->mode))
		return EISDIR;
	return S_ISREG(snapshot->inode[id]->mode) ? 0 : EINVAL;
}

static const struct model_xattr *
find_xattr(const struct model_inode *inode, const char *name)
{
	for (uint32_t i = 0; i < inode->xattrs; i++) {
		if (strcmp(inode->xattr[i].name, name) == 0)
			return &inode->xattr[i];
	}
	return NULL;
}

int
model_errno(struct model *model, const struct op *op)
{
	const struct snapshot *snapshot = model_last(model);
	const char *name, *name2;
	uint32_t parent, parent2, id, id2;

	id = model_find(model, snapshot, op->path, &parent, &name);
	switch (op->kind) {
	case OP_CREAT:
	case OP_MKDIR:
	case OP_SYMLINK:
		return id != MODEL_NONE ? EEXIST : parent == MODEL_NONE ? ENOENT : 0;
	case OP_WRITE:
	case OP_APPEND:
	case OP_TRUNCATE:
	case OP_FALLOC:
	case OP_KEEP:
	case OP_PUNCH:
	case OP_ZERO:
		return regular_errno(snapshot, id);
	case OP_RENAME:
	case OP_EXCHANGE:
		if (parent == MODEL_NONE)
			return ENOENT;
		id2 = model_find(model, snapshot, op->other, &parent2, &name2);
		return op->kind == OP_RENAME ? rename_errno(snapshot, id, id2, parent2) :
		    exchange_errno(snapshot, id, id2, parent, parent2);
	case OP_LINK:
		id2 = model_find(model, snapshot, op->other, &parent2, &name2);
		if (id == MODEL_NONE || parent2 == MODEL_NONE)
			return ENOENT;
		return id2 != MODEL_NONE ? EEXIST : S_ISDIR(snapshot->inode[id]->mode) ? EPERM : 0;
	case OP_UNLINK:
	case OP_OPEN_UNLINK:
		if (id == MODEL_NONE || parent == MODEL_NONE)
			return ENOENT;
		return S_ISDIR(snapshot->inode[id]->mode) ? EISDIR : 0;
	case OP_RMDIR:
		if (id == MODEL_NONE)
			return ENOENT;
		if (!S_ISDIR(snapshot->inode[id]->mode))
			return ENOTDIR;
		return parent == MODEL_NONE ? EBUSY : snapshot->inode[id]->entries != 0 ? ENOTEMPTY : 0;
	case OP_SETXATTR:
	case OP_CHMOD:
	case OP_FSYNC:
	case OP_FDATASYNC:
	case OP_STAT:
	case OP_BG_FSYNC:
		return id == MODEL_NONE ? ENOENT : 0;
	case OP_REMOVEXATTR:
		if (id == MODEL_NONE)
			return ENOENT;
		return find_xattr(snapshot->inode[id], op->other) == NULL ? ENODATA : 0;
	case OP_CLOSE:
	case OP_TMPFILE:
	case OP_SYNC:
	case OP_TICK:
	case OP_BG_SYNC:
	case OP_POLL:
	case OP_WAIT:
	case OP_TRIM:
	case OP_KINDS:
		return 0;
	}
	return EINVAL;
}

/* ---- contents ------------------------------------------------------------------- */

static uint64_t
round_up(uint64_t value, uint64_t unit)
{
	return (value + unit - 1) / unit * unit;
}

/* Give a file the size, with as many sectors as its blocks have. */
static void
set_size(struct model *model, struct model_inode *inode, uint64_t size)
{
	uint32_t sectors = (uint32_t)(round_up(size, model->block_bytes) / SECTOR);

	if (sectors > inode->sectors) {
		inode->sector = copy(model, inode->sector, inode->sectors * sizeof *inode->sector,
		    (sectors - inode->sectors) * sizeof *inode->sector);
	}
	inode->sectors = sectors;
	inode->size = size;
}

static void
write_bytes(struct model *model, struct model_inode *inode, uint64_t offset, uint64_t bytes,
    const uint8_t *from)
{
	while (bytes != 0) {
		struct sector *sector = &inode->sector[offset / SECTOR];
		uint64_t within = offset % SECTOR;
		uint64_t part = bytes < SECTOR - within ? bytes : SECTOR - within;
		uint8_t *own = copy(model, sector->bytes != NULL ? sector->bytes : zeroes, SECTOR, 0);

		memcpy(own + within, from, part);
		sector->bytes = own;
		offset += part;
		from += part;
		bytes -= part;
	}
}

static void
zero_bytes(struct model *model, struct model_inode *inode, uint64_t from, uint64_t to)
{
	uint64_t end = (uint64_t)inode->sectors * SECTOR;

	for (to = to < end ? to : end; from < to;) {
		uint64_t next = (from / SECTOR + 1) * SECTOR;

		next = next < to ? next : to;
		if (inode->sector[from / SECTOR].bytes != NULL)
			write_bytes(model, inode, from, next - from, zeroes);
		from = next;
	}
}

/* Contents that tell which operation wrote them, and where. */
static uint8_t *
pattern(struct model *model, uint32_t id, uint64_t offset, uint64_t bytes)
{
	uint8_t *to = arena_get(&model->arena, bytes);
	uint64_t seed = mix(model->pattern + model->snapshots, id);

	for (uint64_t i = 0; i < bytes; i++) {
		uint64_t word = mix(seed, (offset + i) / 8);

		to[i] = (uint8_t)(word >> (8 * ((offset + i) % 8)) | 1);
	}
	return to;
}

static void
apply_write(struct model *model, uint32_t id, uint64_t offset, uint64_t bytes, struct effect *effect)
{
	struct model_inode *inode = model_last(model)->inode[id];
	uint64_t from = offset / model->block_bytes * model->block_bytes;
	uint64_t to = round_up(offset + bytes, model->block_bytes);
	bool data = offset + bytes > inode->size;

	for (uint64_t at = from; at < to; at += SECTOR)
		data |= at / SECTOR >= inode->sectors || inode->sector[at / SECTOR].alloc == 0;
	inode = touch(model, id, data);
	if (offset + bytes > inode->size)
		set_size(model, inode, offset + bytes);
	for (uint64_t at = from; at < to; at += SECTOR) {
		struct sector *sector = &inode->sector[at / SECTOR];

		if (sector->alloc == 0)
			*sector = (struct sector){ model->snapshots - 1, zeroes };
	}
	write_bytes(model, inode, offset, bytes, pattern(model, id, offset, bytes));
	effect->from = from;
	effect->to = to;
}

static void
apply_truncate(struct model *model, uint32_t id, uint64_t size)
{
	struct model_inode *inode = touch(model, id, true);
	bool shrinks = size < inode->size;

	set_size(model, inode, size);
	if (shrinks)
		zero_bytes(model, inode, size, (uint64_t)inode->sectors * SECTOR);
}

/* Whole blocks become holes (or unwritten, which reads the same); edges are zeroed in place. */
static void
apply_punch(struct model *model, uint32_t id, uint64_t from, uint64_t to, bool grows)
{
	struct model_inode *inode = touch(model, id, true);
	uint64_t block = model->block_bytes;

	if (grows && to > inode->size)
		set_size(model, inode, to);
	zero_bytes(model, inode, from, to);
	for (uint64_t at = round_up(from, block); at + block <= to; at += block) {
		for (uint64_t i = at / SECTOR; i < (at + block) / SECTOR && i < inode->sectors; i++)
			inode->sector[i] = (struct sector){ 0, NULL };
	}
}

void
model_read(const struct model_inode *inode, uint64_t offset, uint64_t bytes, uint8_t *to)
{
	for (uint64_t at = 0; at < bytes;) {
		uint64_t index = (offset + at) / SECTOR, within = (offset + at) % SECTOR;
		uint64_t part = bytes - at < SECTOR - within ? bytes - at : SECTOR - within;
		const uint8_t *from = index < inode->sectors ? inode->sector[index].bytes : NULL;

		memcpy(to + at, (from != NULL ? from : zeroes) + within, part);
		at += part;
	}
}

/* ---- operations ------------------------------------------------------------------ */

static void
keep_open(struct model *model, uint32_t id)
{
	if (model->opens == model->open_room)
		model->open = need_more(model->open, (model->open_room += 16) * sizeof *model->open);
	model->open[model->opens++] = id;
}

/* A name of the inode is gone. */
static void
drop_link(struct model *model, uint32_t id, struct effect *effect)
{
	struct model_inode *inode = touch(model, id, false);

	inode->nlink = S_ISDIR(inode->mode) ? 0 : inode->nlink - 1;
	if (inode->nlink == 0)
		effect->gone = id;
}

static void
apply_make(struct model *model, const struct op *op, uint32_t mode, uint32_t parent,
    const char *name, struct effect *effect)
{
	struct model_inode *inode = new_inode(model, mode);
	struct model_inode *directory = touch(model, parent, true);

	inode->parent = parent;
	if (S_ISDIR(mode))
		directory->nlink++;
	if (S_ISLNK(mode)) {
		inode->target = arena_text(&model->arena, op->other);
		inode->size = strlen(op->other);
	}
	add_entry(model, directory, name, inode->id);
	effect->made = inode->id;
}

static void
apply_rename(struct model *model, uint32_t id, uint32_t parent, const char *name, uint32_t id2,
    uint32_t parent2, const char *name2, struct effect *effect)
{
	struct model_inode *from, *to, *moved;

	if (id == id2)
		return;
	from = touch(model, parent, true);
	to = touch(model, parent2, true);
	moved = touch(model, id, false);
	if (id2 != MODEL_NONE) {
		if (S_ISDIR(model_last(model)->inode[id2]->mode))
			to->nlink--;
		drop_link(model, id2, effect);
		remove_entry(to, name2);
	}
	remove_entry(from, name);
	add_entry(model, to, name2, id);
	if (S_ISDIR(moved->mode)) {
		from->nlink--;
		to->nlink++;
		moved->parent = parent2;
	}
}

static void
apply_exchange(struct model *model, uint32_t id, uint32_t parent, const char *name, uint32_t id2,
    uint32_t parent2, const char *name2)
{
	struct model_inode *from = touch(model, parent, true), *to = touch(model, parent2, true);
	struct model_inode *one = touch(model, id, false), *two = touch(model, id2, false);
	int more = (S_ISDIR(two->mode) ? 1 : 0) - (S_ISDIR(one->mode) ? 1 : 0);

	find_entry(from, name, strcspn(name, "/"))->id = id2;
	find_entry(to, name2, strcspn(name2, "/"))->id = id;
	from->nlink = (uint32_t)((int)from->nlink + more);
	to->nlink = (uint32_t)((int)to->nlink - more);
	one->parent = parent2;
	two->parent = parent;
}

static void
apply_setxattr(struct model *model, uint32_t id, const char *name, uint64_t bytes)
{
	struct model_inode *inode = touch(model, id, false);
	struct model_xattr *xattr = (struct model_xattr *)find_xattr(inode, name);

	if (xattr == NULL)
		xattr = &inode->xattr[inode->xattrs++];
	xattr->name = arena_text(&model->arena, name);
	xattr->value = pattern(model, id, 0, bytes);
	xattr->bytes = bytes;
}

static void
remove_xattr(struct model_inode *inode, const char *name)
{
	ptrdiff_t index = find_xattr(inode, name) - inode->xattr;

	inode->xattr[index] = inode->xattr[--inode->xattrs];
}

static void
apply_link(struct model *model, uint32_t id, uint32_t parent, const char *name)
{
	struct model_inode *inode = touch(model, id, false);

	add_entry(model, touch(model, parent, true), name, id);
	inode->nlink++;
	for (uint32_t i = 0; i < model->opens; i++) {
		if (model->open[i] == id)
			model->open[i] = model->open[--model->opens];
	}
}

static void
apply_rmdir(struct model *model, uint32_t id, uint32_t parent, const char *name,
    struct effect *effect)
{
	struct model_inode *directory = touch(model, parent, true);

	remove_entry(directory, name);
	directory->nlink--;
	drop_link(model, id, effect);
}

void
model_apply(struct model *model, const struct op *op, struct effect *effect)
{
	const struct snapshot *before;
	struct snapshot *after = add_snapshot(model);
	struct model_inode *inode;
	const char *name, *name2;
	uint32_t parent, parent2, id, id2;

	*effect = (struct effect){ .made = MODEL_NONE, .gone = MODEL_NONE };
	before = after - 1;
	after->inodes = before->inodes;
	after->inode = copy(model, before->inode, before->inodes * sizeof *before->inode, 0);
	id = model_find(model, after, op->path, &parent, &name);
	id2 = model_find(model, after, op->other, &parent2, &name2);
	switch (op->kind) {
	case OP_CREAT: apply_make(model, op, S_IFREG | 0644, parent, name, effect); break;
	case OP_MKDIR: apply_make(model, op, S_IFDIR | 0755, parent, name, effect); break;
	case OP_SYMLINK: apply_make(model, op, S_IFLNK | 0777, parent, name, effect); break;
	case OP_WRITE: apply_write(model, id, op->offset, op->bytes, effect); break;
	case OP_APPEND: apply_write(model, id, after->inode[id]->size, op->bytes, effect); break;
	case OP_TRUNCATE: apply_truncate(model, id, op->bytes); break;
	case OP_FALLOC:
		inode = touch(model, id, true);
		if (op->offset + op->bytes > inode->size)
			set_size(model, inode, op->offset + op->bytes);
		break;
	case OP_KEEP: touch(model, id, true); break;
	case OP_PUNCH: apply_punch(model, id, op->offset, op->offset + op->bytes, false); break;
	case OP_ZERO: apply_punch(model, id, op->offset, op->offset + op->bytes, true); break;
	case OP_RENAME: apply_rename(model, id, parent, name, id2, parent2, name2, effect); break;
	case OP_EXCHANGE: apply_exchange(model, id, parent, name, id2, parent2, name2); break;
	case OP_LINK: apply_link(model, id, parent2, name2); break;
	case OP_UNLINK:
		remove_entry(touch(model, parent, true), name);
		drop_link(model, id, effect);
		break;
	case OP_OPEN_UNLINK:
		remove_entry(touch(model, parent, true), name);
		drop_link(model, id, effect);
		if (effect->gone != MODEL_NONE)
			keep_open(model, id);
		effect->gone = MODEL_NONE;
		break;
	case OP_RMDIR: apply_rmdir(model, id, parent, name, effect); break;
	case OP_CLOSE: model->opens = 0; break;
	case OP_TMPFILE:
		inode = new_inode(model, S_IFREG | 0644);
		inode->nlink = 0;
		keep_open(model, inode->id);
		effect->made = inode->id;
		break;
	case OP_SETXATTR: apply_setxattr(model, id, op->other, op->bytes); break;
	case OP_REMOVEXATTR:
		inode = touch(model, id, false);
		remove_xattr(inode, op->other);
		break;
	case OP_CHMOD:
		inode = touch(model, id, false);
		inode->mode = (inode->mode & S_IFMT) | (uint32_t)op->bytes;
		break;
	case OP_FSYNC:
	case OP_FDATASYNC:
	case OP_SYNC:
	case OP_TICK:
	case OP_STAT:
	case OP_BG_FSYNC:
	case OP_BG_SYNC:
	case OP_POLL:
	case OP_WAIT:
	case OP_TRIM:
	case OP_KINDS:
		break;
	}
}

/* ---- a snapshot as a tree -------------------------------------------------------- */

static void
walk(struct tree *tree, const struct snapshot *snapshot, const struct model_inode *inode,
    const char *directory, const char *name)
{
	struct tree_node *node = tree_add(tree, directory, name);
	const char *path = node->path, *each[64];

	node->inode = inode->id + 1;
	node->mode = inode->mode;
	node->nlink = inode->nlink;
	node->size = inode->size;
	node->target = inode->target;
	for (uint32_t i = 0; i < inode->xattrs && i < 64; i++)
		each[i] = tree_xattr(tree, inode->xattr[i].name, inode->xattr[i].value,
		    inode->xattr[i].bytes);
	node->xattrs = tree_xattrs(tree, each, inode->xattrs);
	for (uint32_t i = 0; i < inode->entries; i++)
		walk(tree, snapshot, snapshot->inode[inode->entry[i].id], path, inode->entry[i].name);
}

const struct tree *
model_tree(struct model *model, uint32_t index)
{
	struct snapshot *snapshot = &model->snapshot[index];

	if (snapshot->tree != NULL)
		return snapshot->tree;
	snapshot->tree = tree_new();
	walk(snapshot->tree, snapshot, snapshot->inode[MODEL_ROOT], "/", "");
	tree_finish(snapshot->tree);
	return snapshot->tree;
}
