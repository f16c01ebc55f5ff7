/* SPDX-License-Identifier: MIT */
/*
 * Random operations, each compared with a model in memory; from time to time
 * the whole tree is compared, the image is checked by e2fsck, and the server is
 * unmounted, or killed after a sync and its journal recovered by itself or by
 * e2fsck.
 */
#include <check.h>
#include "rig.h"

enum { NODES = 3000, ENTRIES = 6000, MAX_FILE = 400000, BLOCK = 4096 };
enum { DIR = 0x4000, REG = 0x8000, LNK = 0xa000 };

struct node {
	uint32_t type, links;
	struct ref ref;
	uint64_t size;
	uint8_t *data;		/* of a file: MAX_FILE bytes */
	char target[256];
	char xattr[3][64];	/* values of user.0 … user.2; "" is none */
	int parent;		/* of a directory */
	unsigned children;
};

struct entry {
	int dir, node;
	char name[80];
};

static struct rig rig;
static struct node node[NODES];
static struct entry entry[ENTRIES];
static int nodes, entries;
static uint8_t buffer[MAX_FILE + BLOCK], other[MAX_FILE + BLOCK];
static unsigned long seed;
static unsigned done, failures, moved;

#define EXPECT(x) do { \
	if (!(x)) { \
		printf("  %s:%d: %s (seed %lu, after %u operations)\n", __FILE__, __LINE__, #x, seed, done); \
		check_ok = false; \
		failures++; \
	} \
} while (0)

static unsigned
pick(unsigned n)
{
	return (unsigned)(rig_random(&rig) % n);
}

static int
new_node(uint32_t type, struct ref ref)
{
	struct node *n = &node[nodes];

	memset(n, 0, sizeof *n);
	n->type = type;
	n->links = type == DIR ? 2 : 1;
	n->ref = ref;
	if (type == REG)
		n->data = calloc(1, MAX_FILE + BLOCK);
	return nodes++;
}

static int
find(int dir, const char *name)
{
	for (int i = 0; i < entries; i++)
		if (entry[i].dir == dir && strcmp(entry[i].name, name) == 0)
			return i;
	return -1;
}

static void
enter(int dir, const char *name, int n)
{
	struct entry *e = &entry[entries++];

	e->dir = dir;
	e->node = n;
	snprintf(e->name, sizeof e->name, "%s", name);
	node[dir].children++;
}

static void
leave(int e)
{
	node[entry[e].dir].children--;
	entry[e] = entry[--entries];
}

static void
drop_link(int n)
{
	if (node[n].type == DIR)
		node[n].links = 0;
	else
		node[n].links--;
	if (node[n].links == 0) {
		free(node[n].data);
		node[n].data = NULL;
	}
}

static int
some_dir(void)
{
	for (int tries = 0; tries < 50; tries++) {
		int n = (int)pick((unsigned)(nodes < 40 ? nodes : 40));

		if (node[n].type == DIR && node[n].links > 0)
			return n;
	}
	return 0;
}

static int
some_node(uint32_t type)
{
	for (int tries = 0; tries < 100; tries++) {
		int n = (int)pick((unsigned)nodes);

		if (node[n].type == type && node[n].links > 0)
			return n;
	}
	return -1;
}

static void
some_name(char *to)
{
	static const char tail[] = "-a-longer-name-to-fill-blocks-with";
	unsigned n = pick(400);

	sprintf(to, "n%u%.*s", n, (int)(n % sizeof tail), tail);
}

static bool
is_below(int dir, int of)
{
	for (;;) {
		if (dir == of)
			return true;
		if (dir == 0)
			return false;
		dir = node[dir].parent;
	}
}

/* ---- operations -------------------------------------------------------------------------- */

static void
do_create(void)
{
	uint32_t type = pick(5) == 0 ? DIR : pick(6) == 0 ? LNK : REG;
	int dir = some_dir(), n;
	char name[80], target[256];
	struct ref ref;
	int64_t r;

	some_name(name);
	memset(target, 't', sizeof target);
	target[1 + pick(200)] = '\0';
	if (nodes == NODES || entries == ENTRIES)
		return;
	r = rig_create(&rig, node[dir].ref, name, type | 0755, type == LNK ? target : NULL, &ref);
	if (find(dir, name) >= 0) {
		EXPECT(r == -EEXIST);
		return;
	}
	if (r == -ENOSPC)
		return;
	EXPECT(r == 0);
	n = new_node(type, ref);
	strcpy(node[n].target, target);
	if (type == DIR) {
		node[n].parent = dir;
		node[dir].links++;
	}
	enter(dir, name, n);
}

static void
do_link(void)
{
	int dir = some_dir(), n = some_node(REG);
	char name[80];
	int64_t r;

	some_name(name);
	if (n < 0 || entries == ENTRIES)
		return;
	r = rig_link(&rig, node[dir].ref, name, node[n].ref);
	if (find(dir, name) >= 0) {
		EXPECT(r == -EEXIST);
	} else if (r != -ENOSPC) {
		EXPECT(r == 0);
		node[n].links++;
		enter(dir, name, n);
	}
}

static void
do_remove(void)
{
	int e, n;
	int64_t r;

	if (entries == 0)
		return;
	e = (int)pick((unsigned)entries);
	n = entry[e].node;
	if (node[n].type == DIR) {
		EXPECT(rig_unlink(&rig, node[entry[e].dir].ref, entry[e].name) == -EISDIR);
		r = rig_rmdir(&rig, node[entry[e].dir].ref, entry[e].name);
		if (node[n].children != 0) {
			EXPECT(r == -ENOTEMPTY);
			return;
		}
		EXPECT(r == 0);
		node[entry[e].dir].links--;
	} else {
		EXPECT(rig_rmdir(&rig, node[entry[e].dir].ref, entry[e].name) == -ENOTDIR);
		r = rig_unlink(&rig, node[entry[e].dir].ref, entry[e].name);
		EXPECT(r == 0);
	}
	drop_link(n);
	leave(e);
}

static void
move_dir(int n, int from, int to)
{
	if (node[n].type == DIR && from != to) {
		node[n].parent = to;
		node[from].links--;
		node[to].links++;
	}
}

static void
do_rename(void)
{
	uint32_t flags = pick(6) == 0 ? 1 : pick(6) == 0 ? 2 : 0;
	int e, there, from, to, n, m;
	char name[80];
	int64_t r;

	if (entries == 0)
		return;
	e = (int)pick((unsigned)entries);
	from = entry[e].dir;
	to = some_dir();
	n = entry[e].node;
	some_name(name);
	if (flags == 2 || pick(3) == 0) {
		there = (int)pick((unsigned)entries);
		to = entry[there].dir;
		strcpy(name, entry[there].name);
	}
	there = find(to, name);
	m = there < 0 ? -1 : entry[there].node;
	r = rig_rename(&rig, node[from].ref, entry[e].name, node[to].ref, name, flags);
	if (r == -ENOSPC)
		return;
	if (m == n) {
		EXPECT(r == 0);
		return;
	}
	if (m >= 0 && flags == 1) {
		EXPECT(r == -EEXIST);
		return;
	}
	if (flags == 2 && m < 0) {
		EXPECT(r == -ENOENT);
		return;
	}
	if (node[n].type == DIR && is_below(to, n)) {
		EXPECT(r == -EINVAL);
		return;
	}
	if (flags == 2) {
		if (node[m].type == DIR && is_below(from, m)) {
			EXPECT(r == -EINVAL);
			return;
		}
		EXPECT(r == 0);
		entry[e].node = m;
		entry[there].node = n;
		move_dir(n, from, to);
		move_dir(m, to, from);
		return;
	}
	if (m >= 0 && node[m].type == DIR && node[n].type != DIR) {
		EXPECT(r == -EISDIR);
		return;
	}
	if (m >= 0 && node[m].type != DIR && node[n].type == DIR) {
		EXPECT(r == -ENOTDIR);
		return;
	}
	if (m >= 0 && node[m].children != 0) {
		EXPECT(r == -ENOTEMPTY);
		return;
	}
	EXPECT(r == 0);
	if (m >= 0) {
		if (node[m].type == DIR)
			node[to].links--;
		drop_link(m);
		entry[there].node = n;
		move_dir(n, from, to);
		leave(e);
	} else {
		move_dir(n, from, to);
		node[from].children--;
		node[to].children++;
		entry[e].dir = to;
		strcpy(entry[e].name, name);
	}
}

static void
do_write(void)
{
	int n = some_node(REG);
	uint64_t offset = (uint64_t)pick(MAX_FILE / BLOCK - 20) * BLOCK;
	size_t bytes = 1 + pick(pick(4) == 0 ? 20 * BLOCK : 2 * BLOCK), whole;
	int64_t r;

	if (n < 0)
		return;
	if (pick(2) == 0)
		offset = node[n].size / BLOCK * BLOCK;
	if (offset + bytes > MAX_FILE)
		return;
	/* as a page cache: whole pages, what is behind the end is zero */
	whole = (bytes + BLOCK - 1) / BLOCK * BLOCK;
	memcpy(buffer, node[n].data + offset, whole);
	for (size_t i = 0; i < bytes; i++)
		buffer[i] = (uint8_t)rig_random(&rig);
	r = rig_write(&rig, node[n].ref, offset, buffer, offset + bytes < node[n].size ?
	    (offset + whole < node[n].size ? whole : node[n].size - offset) : bytes);
	if (r == -ENOSPC)
		return;
	EXPECT(r > 0);
	memcpy(node[n].data + offset, buffer, bytes);
	if (offset + bytes > node[n].size)
		node[n].size = offset + bytes;
}

static void
do_truncate(void)
{
	int n = some_node(REG);
	uint64_t size = pick(MAX_FILE - BLOCK);

	if (n < 0)
		return;
	if (pick(3) == 0)
		size = pick(2) == 0 ? 0 : node[n].size / 2;
	EXPECT(rig_truncate(&rig, node[n].ref, size) == 0);
	if (size < node[n].size)
		memset(node[n].data + size, 0, MAX_FILE - size);
	node[n].size = size;
}

static void
do_fallocate(void)
{
	int n = some_node(REG);
	uint32_t mode = pick(3) == 0 ? 0 : pick(2) == 0 ? 3 : pick(2) == 0 ? 1 : 16;
	uint64_t offset = pick(MAX_FILE / 2), bytes = 1 + pick(MAX_FILE / 3);
	int64_t r;

	if (n < 0)
		return;
	r = rig_fallocate(&rig, node[n].ref, mode, offset, bytes);
	if (r == -ENOSPC) {
		/* part of it may be done: zeroes are the only thing one could see */
		if ((mode & 18) != 0 && offset < node[n].size)
			memset(node[n].data + offset, 0, bytes);
		return;
	}
	EXPECT(r == 0);
	if ((mode & 18) != 0)
		memset(node[n].data + offset, 0, bytes);
	if ((mode & 1) == 0 && offset + bytes > node[n].size)
		node[n].size = offset + bytes;
}

/* A range of blocks goes, or comes. */
static void
do_move(void)
{
	int n = some_node(REG);
	uint64_t block = fs_block_bytes(rig.fs), size, from, bytes;
	bool insert = pick(2) == 0;
	int64_t r;

	if (n < 0)
		return;
	size = node[n].size;
	from = pick((unsigned)(size / block) + 1) * block;
	bytes = (1 + pick((unsigned)(MAX_FILE / 6 / block))) * block;
	if (insert && size + bytes > MAX_FILE)
		return;
	r = rig_fallocate(&rig, node[n].ref, insert ? 32 : 8, from, bytes);
	if (from >= size || (!insert && from + bytes >= size)) {
		EXPECT(r == -EINVAL);
		return;
	}
	if (r == -ENOSPC) {
		if (!insert)
			memset(node[n].data + from, 0, bytes);
		return;
	}
	EXPECT(r == 0);
	moved++;
	if (insert) {
		memmove(node[n].data + from + bytes, node[n].data + from, size - from);
		memset(node[n].data + from, 0, bytes);
		node[n].size += bytes;
	} else {
		memmove(node[n].data + from, node[n].data + from + bytes, size - from - bytes);
		memset(node[n].data + size - bytes, 0, bytes);
		node[n].size -= bytes;
	}
}

static void
do_xattr(void)
{
	int n = some_node(pick(4) == 0 ? DIR : REG), which = (int)pick(3);
	char name[32], value[64] = "";
	int64_t r;

	if (n < 0)
		return;
	sprintf(name, "user.%d", which);
	if (pick(4) == 0) {
		r = rig_setxattr(&rig, node[n].ref, name, NULL, 0, 0);
		EXPECT(r == (node[n].xattr[which][0] != '\0' ? 0 : -ENODATA));
		if (r == 0)
			node[n].xattr[which][0] = '\0';
		return;
	}
	for (unsigned i = 0, length = 1 + pick(60); i < length; i++)
		value[i] = (char)('a' + pick(26));
	r = rig_setxattr(&rig, node[n].ref, name, value, strlen(value), 0);
	if (r == -ENOSPC)
		return;
	EXPECT(r == 0);
	strcpy(node[n].xattr[which], value);
}

static void
check_node(int n)
{
	struct fs_attributes a;
	char text[300], name[32];
	int64_t r;

	r = rig_getattr(&rig, node[n].ref, &a);
	EXPECT(r == 0);
	EXPECT(a.nlink == node[n].links);
	EXPECT((a.mode & 0xf000) == node[n].type);
	for (int i = 0; i < 3; i++) {
		sprintf(name, "user.%d", i);
		r = rig_getxattr(&rig, node[n].ref, name, text, sizeof text);
		if (node[n].xattr[i][0] == '\0')
			EXPECT(r == -ENODATA);
		else
			EXPECT(r == (int64_t)strlen(node[n].xattr[i]) && memcmp(text, node[n].xattr[i], (size_t)r) == 0);
	}
	if (node[n].type == LNK) {
		r = rig_readlink(&rig, node[n].ref, text, sizeof text);
		EXPECT(r == (int64_t)strlen(node[n].target) && strcmp(text, node[n].target) == 0);
	}
	if (node[n].type == REG) {
		EXPECT(a.size == node[n].size);
		r = rig_read(&rig, node[n].ref, 0, other, MAX_FILE);
		EXPECT(r == (int64_t)node[n].size);
		EXPECT(memcmp(other, node[n].data, node[n].size) == 0);
	}
}

struct seen {
	int dir;
	unsigned count;
};

static void
check_entry(void *context, const struct fs_entry *e)
{
	struct seen *seen = context;
	int i;

	if (strcmp(e->name, ".") == 0 || strcmp(e->name, "..") == 0)
		return;
	seen->count++;
	i = find(seen->dir, e->name);
	EXPECT(i >= 0);
	if (i >= 0)
		EXPECT(node[entry[i].node].ref.inode == e->inode);
}

static void
check_all(void)
{
	for (int n = 0; n < nodes && failures < 20; n++) {
		if (node[n].links == 0)
			continue;
		check_node(n);
		if (node[n].type == DIR) {
			struct seen seen = { n, 0 };

			EXPECT(rig_list(&rig, node[n].ref, check_entry, &seen) == 0);
			EXPECT(seen.count == node[n].children);
		}
	}
	for (int i = 0; i < entries && failures < 20; i++) {
		struct ref to;

		EXPECT(rig_lookup(&rig, node[entry[i].dir].ref, entry[i].name, &to) == 0 &&
		    to.inode == node[entry[i].node].ref.inode);
	}
}

static void
step(void)
{
	static void (*const ops[])(void) = { do_create, do_create, do_create, do_link, do_remove, do_rename,
		do_write, do_write, do_truncate, do_fallocate, do_move, do_xattr };

	ops[pick(sizeof ops / sizeof ops[0])]();
	done++;
	if (pick(50) == 0)
		rig.clock += 6000000000ULL;	/* the commit by time */
}

static void
again(void)
{
	switch (pick(4)) {
	case 0:
		EXPECT(rig_unmount(&rig) == 0);
		EXPECT(rig_clean(&rig));
		break;
	case 1:
		EXPECT(rig_sync(&rig) == 0);
		rig_kill(&rig);
		EXPECT(rig_e2fsck_recovers(&rig));
		break;
	default:
		EXPECT(rig_sync(&rig) == 0);
		rig_kill(&rig);
		break;
	}
	EXPECT(rig_mount(&rig, 0) == 0);
	check_all();
}

static void
play(const char *shape, uint64_t bytes, unsigned steps)
{
	nodes = entries = 0;
	done = failures = 0;
	rig_make(&rig, bytes, shape);
	rig.seed = seed * 2654435761u + 1;
	rig.shuffle = true;
	rig.options.cache_bytes = 1 << 20;
	EXPECT(rig_mount(&rig, 0) == 0);
	if (rig.fs == NULL)
		return;
	new_node(DIR, rig_root(&rig));
	node[0].links = 3;	/* lost+found */
	{
		struct ref lost;

		EXPECT(rig_lookup(&rig, node[0].ref, "lost+found", &lost) == 0);
		enter(0, "lost+found", new_node(DIR, lost));
		node[1].type = 1;	/* left alone */
		entries--;
		node[0].children--;
		EXPECT(rig_rmdir(&rig, node[0].ref, "lost+found") == 0);
		node[1].links = 0;
		node[0].links = 2;
	}
	for (unsigned i = 1; i <= steps && failures < 10; i++) {
		step();
		if (i % 400 == 0)
			again();
	}
	if (failures < 10) {
		check_all();
		EXPECT(rig_unmount(&rig) == 0);
		EXPECT(rig_clean(&rig));
	}
	EXPECT(!rig.illegal);
	if (failures != 0)
		printf("%s", rig.said);
	rig_free(&rig);
	for (int n = 0; n < nodes; n++) {
		free(node[n].data);
		node[n].data = NULL;
	}
}

static void
random_operations_match_the_model(void)
{
	static const struct {
		const char *shape;
		unsigned megabytes;
	} all[] = { { "-b 4096", 64 }, { "-b 1024", 32 }, { "-b 1024 -O ^64bit -I 128", 24 },
		{ "-b 2048 -O ^metadata_csum", 32 }, { "-b 1024 -g 2048", 16 }, { "-b 4096 -O ^dir_index", 48 } };
	unsigned rounds = getenv("ROUNDS") != NULL ? (unsigned)atoi(getenv("ROUNDS")) : 1;

	seed = getenv("SEED") != NULL ? (unsigned long)atol(getenv("SEED")) : 1;
	for (unsigned round = 0; round < rounds; round++)
		for (unsigned i = 0; i < sizeof all / sizeof all[0]; i++, seed++) {
			play(all[i].shape, (uint64_t)all[i].megabytes << 20, 1000);
			if (!check_ok)
				return;
		}
	CHECK(moved > 100);
}

int
main(void)
{
	RUN(random_operations_match_the_model);
	CHECK_END();
}
