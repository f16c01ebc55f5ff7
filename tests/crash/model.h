/* SPDX-License-Identifier: MIT */
/*
 * The oracle's memory: what the file system holds after each operation of a
 * workload.  Snapshot k is the state after the first k operations; snapshots
 * share what did not change, and nothing in one is ever altered.
 *
 * File contents are sectors.  Where a sector is a hole or unwritten, alloc is 0
 * and it reads as zeroes; otherwise alloc says which snapshot gave it a block of
 * the disk.  Two versions of a sector with the same alloc lie in the same place,
 * so a crash may show either; versions with another alloc lie elsewhere and must
 * not be seen: that is what ordered mode promises.
 */
#ifndef CRASH_MODEL_H
#define CRASH_MODEL_H

#include "op.h"
#include "tree.h"

enum { SECTOR = 512 };

struct sector {
	uint32_t alloc;
	const uint8_t *bytes;		/* null: zeroes */
};

struct model_entry {
	const char *name;
	uint32_t id;
};

struct model_xattr {
	const char *name;
	const uint8_t *value;
	uint64_t bytes;
};

/* One version of an inode. */
struct model_inode {
	uint32_t id, parent;		/* parent: of a directory */
	uint32_t mode, nlink;
	uint64_t size;
	const char *target;
	struct model_entry *entry;
	uint32_t entries;
	struct model_xattr *xattr;
	uint32_t xattrs;
	struct sector *sector;		/* of all blocks that size reaches into */
	uint32_t sectors;
};

struct snapshot {
	struct model_inode **inode;	/* by id; null: gone */
	uint32_t inodes;
	struct tree *tree;		/* made when it is asked for */
};

/* What is the same in all snapshots: the server's names for an inode. */
struct model_number {
	uint32_t inode, generation;
	uint32_t touched;		/* last snapshot that changed it: what fsync waits for */
	uint32_t data_touched;		/* … its size or its blocks: fdatasync */
};

enum { MODEL_ROOT = 0, MODEL_NONE = UINT32_MAX };

struct model {
	struct arena arena;
	uint32_t block_bytes;
	struct snapshot *snapshot;
	uint32_t snapshots, snapshot_room;
	struct model_number *number;
	uint32_t numbers, number_room;
	uint32_t *open;			/* inodes without a name that are in use */
	uint32_t opens, open_room;
	uint64_t pattern;		/* contents differ by this and by the operation */
};

/* Snapshot 0: an empty root (and lost+found). */
void model_open(struct model *model, uint32_t block_bytes, uint32_t lost_found);
/* A model whose snapshot 0 is the last one of `base`, which outlives it. */
void model_open_after(struct model *model, const struct model *base);
void model_close(struct model *model);

struct snapshot *model_last(struct model *model);
const struct model_inode *model_inode(const struct snapshot *snapshot, uint32_t id);

/* Where a path leads: the inode, or MODEL_NONE; its parent (MODEL_NONE: not
 * there); the last component, within path. */
uint32_t model_find(const struct model *model, const struct snapshot *snapshot, const char *path,
    uint32_t *parent, const char **name);

/* What Linux would answer to an operation now: 0 or an errno. */
int model_errno(struct model *model, const struct op *op);

/* What an operation did. */
struct effect {
	uint32_t made;			/* inode that it made */
	uint32_t gone;			/* inode that lost its last name and is not open */
	uint64_t from, to;		/* bytes of a file that the client writes, whole blocks */
};

/* Append the snapshot after an operation that succeeds.  For a write, `bytes` of it. */
void model_apply(struct model *model, const struct op *op, struct effect *effect);

/* The bytes of a file, and zeroes behind its end. */
void model_read(const struct model_inode *inode, uint64_t offset, uint64_t bytes, uint8_t *to);

const struct tree *model_tree(struct model *model, uint32_t snapshot);

#endif
