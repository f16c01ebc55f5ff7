/* SPDX-License-Identifier: MIT */
/* Trees in a canonical form. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include "image.h"
#include "tree.h"

struct tree *
tree_new(void)
{
	return need(sizeof(struct tree));
}

void
tree_free(struct tree *tree)
{
	if (tree == NULL)
		return;
	arena_free(&tree->arena);
	free(tree->node);
	free(tree->text);
	free(tree);
}

struct tree_node *
tree_add(struct tree *tree, const char *directory, const char *name)
{
	size_t bytes = strlen(directory) + strlen(name) + 2;
	char *path = arena_get(&tree->arena, bytes);
	struct tree_node *node;

	snprintf(path, bytes, "%s/%s", strcmp(directory, "/") == 0 ? "" : directory, name);
	if (tree->nodes == tree->room) {
		tree->room = tree->room != 0 ? 2 * tree->room : 32;
		tree->node = need_more(tree->node, tree->room * sizeof *tree->node);
	}
	node = &tree->node[tree->nodes++];
	memset(node, 0, sizeof *node);
	node->path = path;
	return node;
}

const char *
tree_xattr(struct tree *tree, const char *name, const void *value, uint64_t bytes)
{
	size_t room = strlen(name) + 48;
	char *text = arena_get(&tree->arena, room);

	snprintf(text, room, "%s=%llu:%08x", name, (unsigned long long)bytes,
	    (unsigned)bytes_hash(3, value, (size_t)bytes));
	return text;
}

static int
by_text(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

const char *
tree_xattrs(struct tree *tree, const char **each, unsigned count)
{
	size_t bytes = 1;
	char *text;

	if (count == 0)
		return NULL;
	qsort(each, count, sizeof *each, by_text);
	for (unsigned i = 0; i < count; i++)
		bytes += strlen(each[i]) + 1;
	text = arena_get(&tree->arena, bytes);
	for (unsigned i = 0; i < count; i++) {
		strcat(text, each[i]);
		if (i + 1 < count)
			strcat(text, ",");
	}
	return text;
}

static int
by_path(const void *a, const void *b)
{
	return strcmp(((const struct tree_node *)a)->path, ((const struct tree_node *)b)->path);
}

static const char *
type_name(uint32_t mode)
{
	switch (mode & S_IFMT) {
	case S_IFREG: return "file";
	case S_IFDIR: return "dir";
	case S_IFLNK: return "link";
	case S_IFIFO: return "fifo";
	case S_IFCHR: return "char";
	case S_IFBLK: return "block";
	case S_IFSOCK: return "socket";
	}
	return "unknown";
}

/* Inodes with several names: each name after the first says which it is. */
static void
find_same(struct tree *tree)
{
	for (uint32_t i = 0; i < tree->nodes; i++) {
		struct tree_node *node = &tree->node[i];

		node->same = i;
		if (node->nlink < 2 || S_ISDIR(node->mode))
			continue;
		for (uint32_t j = 0; j < i; j++) {
			if (tree->node[j].inode == node->inode) {
				node->same = j;
				break;
			}
		}
	}
}

static int
node_text(const struct tree *tree, const struct tree_node *node, char *to, size_t room)
{
	bool directory = S_ISDIR(node->mode);

	return snprintf(to, room, "%s %s mode %o nlink %u owner %u:%u size %llu rdev %llx%s%s%s%s%s%s\n", node->path,
	    type_name(node->mode), node->mode & 07777, node->nlink, node->uid, node->gid,
	    directory ? 0ULL : (unsigned long long)node->size, (unsigned long long)node->rdev,
	    node->target != NULL ? " -> " : "", node->target != NULL ? node->target : "",
	    node->xattrs != NULL ? " xattrs " : "", node->xattrs != NULL ? node->xattrs : "",
	    node->same != (uint32_t)(node - tree->node) ? " same as " : "",
	    node->same != (uint32_t)(node - tree->node) ? tree->node[node->same].path : "");
}

void
tree_finish(struct tree *tree)
{
	size_t used = 0, room = 4096;

	qsort(tree->node, tree->nodes, sizeof *tree->node, by_path);
	find_same(tree);
	tree->text = need(room);
	for (uint32_t i = 0; i < tree->nodes; i++) {
		const struct tree_node *node = &tree->node[i];
		size_t bytes = (size_t)node_text(tree, node, tree->text + used, room - used);

		if (bytes >= room - used) {
			room = 2 * room + bytes;
			tree->text = need_more(tree->text, room);
			node_text(tree, node, tree->text + used, room - used);
		}
		used += bytes;
	}
	tree->text_hash = bytes_hash(4, tree->text, used);
	tree->hash = tree->text_hash;
	for (uint32_t i = 0; i < tree->nodes; i++) {
		const struct tree_node *node = &tree->node[i];

		if (node->data != NULL)
			tree->hash = bytes_hash(tree->hash, node->data, (size_t)node->size);
		if (node->extra != NULL)
			tree->hash = bytes_hash(tree->hash, node->extra, strlen(node->extra));
	}
}

static size_t
line_bytes(const char *text)
{
	const char *end = strchr(text, '\n');

	return end != NULL ? (size_t)(end - text) : strlen(text);
}

void
text_difference(const char *a, const char *b, char *to, size_t room)
{
	for (;;) {
		size_t left = line_bytes(a), right = line_bytes(b);

		if (left != right || memcmp(a, b, left) != 0) {
			snprintf(to, room, "\"%.*s\" against \"%.*s\"", (int)left, a, (int)right, b);
			return;
		}
		if (a[left] == '\0' || b[right] == '\0') {
			snprintf(to, room, "no difference");
			return;
		}
		a += left + 1;
		b += right + 1;
	}
}

bool
tree_same(const struct tree *a, const struct tree *b, char *to, size_t room)
{
	if (a->hash == b->hash)
		return true;
	if (a->text_hash != b->text_hash) {
		text_difference(a->text, b->text, to, room);
		return false;
	}
	for (uint32_t i = 0; i < a->nodes; i++) {
		const struct tree_node *left = &a->node[i], *right = &b->node[i];
		uint64_t at = 0;

		if (left->extra != NULL && right->extra != NULL && strcmp(left->extra, right->extra) != 0) {
			snprintf(to, room, "%s: \"%s\" against \"%s\"", left->path, left->extra, right->extra);
			return false;
		}
		if (left->data == NULL || right->data == NULL)
			continue;
		while (at < left->size && left->data[at] == right->data[at])
			at++;
		if (at < left->size) {
			snprintf(to, room, "%s: contents differ at byte %llu", left->path, (unsigned long long)at);
			return false;
		}
	}
	snprintf(to, room, "hashes differ");
	return false;
}
