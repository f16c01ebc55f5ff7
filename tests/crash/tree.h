/* SPDX-License-Identifier: MIT */
/*
 * What a file system holds, written down so that two can be compared: every
 * name with what stat, readlink, listxattr and read say.  `text` is what the
 * oracle can foretell (no numbers of inodes, no times); `extra` of each node is
 * what two recoveries of one disk must have in common besides.
 */
#ifndef CRASH_TREE_H
#define CRASH_TREE_H

#include <stdbool.h>
#include <stdint.h>
#include "arena.h"

struct tree_node {
	const char *path;	/* "/" or "/a/b" */
	uint32_t inode;
	uint32_t mode, nlink, uid, gid;
	uint64_t size, rdev;
	const char *target;	/* of a symbolic link; or null */
	const char *xattrs;	/* xattr_text of each, sorted; or null */
	const uint8_t *data;	/* size bytes of a regular file; null: not known */
	const char *extra;	/* or null */
	uint32_t same;		/* the first node with this inode (tree_finish) */
};

struct tree {
	struct arena arena;
	struct tree_node *node;
	uint32_t nodes, room;
	char *text;		/* a line for each node */
	uint64_t text_hash;
	uint64_t hash;		/* of text, data and extra */
};

struct tree *tree_new(void);
/* A node that is all zeroes but for its path, which is copied into the arena. */
struct tree_node *tree_add(struct tree *tree, const char *directory, const char *name);
/* All are there: sort, and make text and hashes. */
void tree_finish(struct tree *tree);
void tree_free(struct tree *tree);

/* "name=length:hash", in the tree's arena. */
const char *tree_xattr(struct tree *tree, const char *name, const void *value, uint64_t bytes);
/* Sort the texts and make one of them; null of none. */
const char *tree_xattrs(struct tree *tree, const char **each, unsigned count);

/* The first difference of two texts, as a line for a person. */
void text_difference(const char *a, const char *b, char *to, size_t room);
/* All of two trees; true: the same.  `to` gets the first difference. */
bool tree_same(const struct tree *a, const struct tree *b, char *to, size_t room);

#endif
