/* SPDX-License-Identifier: MIT */
/* e2fsprogs: trees by libext2fs, e2fsck and mke2fs as processes. */
#define _GNU_SOURCE
#include <err.h>
#include <errno.h>
#include <ext2fs/ext2fs.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include "e2.h"

uint64_t e2_processes;

/* ---- trees --------------------------------------------------------------------------- */

struct reading {
	ext2_filsys fs;
	struct tree *tree;
	const char *directory;	/* that is being listed */
	char *why;
	size_t room;
	unsigned depth;
	bool bad;
};

static bool
failed(struct reading *reading, const char *what, const char *path, errcode_t error)
{
	if (!reading->bad)
		snprintf(reading->why, reading->room, "libext2fs: %s %s: %s", what, path, error_message(error));
	reading->bad = true;
	return false;
}

static bool
read_file(struct reading *reading, struct tree_node *node)
{
	uint8_t *data = arena_get(&reading->tree->arena, node->size);
	ext2_file_t file;
	unsigned got = 0;
	errcode_t error = ext2fs_file_open(reading->fs, node->inode, 0, &file);

	node->data = data;
	if (error != 0)
		return failed(reading, "open", node->path, error);
	for (uint64_t at = 0; at < node->size && error == 0; at += got) {
		error = ext2fs_file_read(file, data + at, (unsigned)(node->size - at), &got);
		if (error == 0 && got == 0)
			error = EXT2_ET_SHORT_READ;
	}
	ext2fs_file_close(file);
	return error == 0 || failed(reading, "read", node->path, error);
}

static bool
read_target(struct reading *reading, struct tree_node *node, struct ext2_inode *inode)
{
	char *target = arena_get(&reading->tree->arena, node->size + reading->fs->blocksize + 1);
	errcode_t error = 0;
	blk64_t block;

	node->target = target;
	if (ext2fs_is_fast_symlink(inode)) {
		memcpy(target, inode->i_block, node->size);
		return true;
	}
	error = ext2fs_bmap2(reading->fs, node->inode, inode, NULL, 0, 0, NULL, &block);
	if (error == 0)
		error = io_channel_read_blk64(reading->fs->io, block, 1, target);
	target[node->size] = '\0';
	return error == 0 || failed(reading, "readlink", node->path, error);
}

struct xattrs {
	struct tree *tree;
	const char *each[64];
	unsigned count;
};

static int
add_xattr(char *name, char *value, size_t bytes, void *context)
{
	struct xattrs *xattrs = context;

	if (xattrs->count < 64)
		xattrs->each[xattrs->count++] = tree_xattr(xattrs->tree, name, value, bytes);
	return 0;
}

static bool
read_xattrs(struct reading *reading, struct tree_node *node)
{
	struct xattrs xattrs = { .tree = reading->tree };
	struct ext2_xattr_handle *handle;
	errcode_t error = ext2fs_xattrs_open(reading->fs, node->inode, &handle);

	if (error != 0)
		return failed(reading, "xattrs of", node->path, error);
	error = ext2fs_xattrs_read(handle);
	if (error == 0)
		error = ext2fs_xattrs_iterate(handle, add_xattr, &xattrs);
	ext2fs_xattrs_close(&handle);
	if (error != 0)
		return failed(reading, "xattrs of", node->path, error);
	node->xattrs = tree_xattrs(reading->tree, xattrs.each, xattrs.count);
	return true;
}

static bool
read_inode(struct reading *reading, struct tree_node *node, struct ext2_inode_large *inode)
{
	struct ext2_inode *small = (struct ext2_inode *)inode;
	errcode_t error;
	char extra[200];
	unsigned nanoseconds = 0;
	int64_t seconds;

	memset(inode, 0, sizeof *inode);
	error = ext2fs_read_inode_full(reading->fs, node->inode, small, sizeof *inode);
	if (error != 0)
		return failed(reading, "inode of", node->path, error);
	seconds = (int32_t)inode->i_mtime;
	if (EXT2_INODE_SIZE(reading->fs->super) > EXT2_GOOD_OLD_INODE_SIZE && inode->i_extra_isize >= 8) {
		nanoseconds = inode->i_mtime_extra >> 2;
		seconds += (int64_t)(inode->i_mtime_extra & 3) << 32;
	}
	node->mode = inode->i_mode;
	node->nlink = inode->i_links_count;
	node->uid = inode_uid(*inode);
	node->gid = inode_gid(*inode);
	node->size = EXT2_I_SIZE(inode);
	snprintf(extra, sizeof extra, "inode %u generation %u bytes %llu blocks %llu mtime %lld.%u",
	    node->inode, inode->i_generation, (unsigned long long)node->size,
	    (unsigned long long)ext2fs_get_stat_i_blocks(reading->fs, small), (long long)seconds,
	    nanoseconds);
	node->extra = arena_text(&reading->tree->arena, extra);
	return true;
}

static bool read_node(struct reading *reading, const char *directory, const char *name, ext2_ino_t number);

static int
add_entry(ext2_ino_t directory, int entry, struct ext2_dir_entry *dirent, int offset, int block_bytes,
    char *buffer, void *context)
{
	struct reading *reading = context;
	int length = ext2fs_dirent_name_len(dirent);
	char name[256];

	(void)directory, (void)offset, (void)block_bytes, (void)buffer;
	if (entry == DIRENT_DOT_FILE || entry == DIRENT_DOT_DOT_FILE)
		return 0;
	snprintf(name, sizeof name, "%.*s", length, dirent->name);
	return read_node(reading, reading->directory, name, dirent->inode) ? 0 : DIRENT_ABORT;
}

static bool
read_node(struct reading *reading, const char *directory, const char *name, ext2_ino_t number)
{
	struct tree_node *node = tree_add(reading->tree, directory, name);
	const char *path = node->path, *before = reading->directory;
	struct ext2_inode_large inode;
	errcode_t error;
	bool is_directory;

	node->inode = number;
	if (!read_inode(reading, node, &inode))
		return false;
	is_directory = LINUX_S_ISDIR(node->mode);
	if (LINUX_S_ISREG(node->mode) && !read_file(reading, node))
		return false;
	if (LINUX_S_ISLNK(node->mode) && !read_target(reading, node, (struct ext2_inode *)&inode))
		return false;
	if (!read_xattrs(reading, node))
		return false;
	if (!is_directory)
		return true;
	if (++reading->depth > 64)
		return failed(reading, "too deep:", path, 0);
	reading->directory = path;
	error = ext2fs_dir_iterate2(reading->fs, number, 0, NULL, add_entry, reading);
	reading->directory = before;
	reading->depth--;
	return error == 0 ? !reading->bad : failed(reading, "directory", path, error);
}

struct tree *
e2_tree(const struct image *image, char *why, size_t room)
{
	struct reading reading = { .why = why, .room = room };
	errcode_t error = ext2fs_open2(image->path, NULL, EXT2_FLAG_64BITS, 0, 0, unix_io_manager, &reading.fs);
	bool good;

	if (error != 0) {
		snprintf(why, room, "libext2fs: open: %s", error_message(error));
		return NULL;
	}
	reading.tree = tree_new();
	good = read_node(&reading, "/", "", EXT2_ROOT_INO);
	ext2fs_close_free(&reading.fs);
	if (!good) {
		tree_free(reading.tree);
		return NULL;
	}
	tree_finish(reading.tree);
	return reading.tree;
}

/* ---- processes ---------------------------------------------------------------------- */

/* Run a program and keep what it says.  Its exit status, or -1. */
static int
run(const char *const *arguments, char *said, size_t room)
{
	static char *const environment[] = {
		"PATH=/usr/sbin:/sbin:/usr/bin:/bin", "LC_ALL=C", "E2FSCK_TIME=1700000000",
		"E2FSPROGS_FAKE_TIME=1700000000", "SOURCE_DATE_EPOCH=1700000000", NULL,
	};
	posix_spawn_file_actions_t actions;
	int pipes[2], status = 0;
	size_t used = 0;
	ssize_t got;
	pid_t child;
	int error;

	if (pipe2(pipes, O_CLOEXEC) != 0)
		err(2, "pipe");
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
	posix_spawn_file_actions_adddup2(&actions, pipes[1], 1);
	posix_spawn_file_actions_adddup2(&actions, pipes[1], 2);
	error = posix_spawnp(&child, arguments[0], &actions, NULL, (char *const *)arguments, environment);
	posix_spawn_file_actions_destroy(&actions);
	close(pipes[1]);
	if (error != 0)
		errx(2, "%s: %s (is e2fsprogs installed?)", arguments[0], strerror(error));
	e2_processes++;
	for (;;) {
		char rest[4096];

		got = used + 1 < room ? read(pipes[0], said + used, room - used - 1) :
		    read(pipes[0], rest, sizeof rest);
		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			break;
		if (used + 1 < room)
			used += (size_t)got;
	}
	said[used] = '\0';
	close(pipes[0]);
	while (waitpid(child, &status, 0) < 0 && errno == EINTR)
		;
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/* That an extent tree could be narrower is no fault. */
static const char no_taste[] = "no_optimize_extents";

bool
e2_check(const struct image *image, char *why, size_t room)
{
	const char *const arguments[] = { "e2fsck", "-fn", "-E", no_taste, image->path, NULL };

	return run(arguments, why, room) == 0;
}

/*
 * Was anything mended?  The superblock's sums of what is free do not count: ext4
 * takes them from the groups at mount, Linux does not journal them either, and
 * e2fsck -p corrects them without a word.
 */
static bool
mended(const char *begin)
{
	static const char *const sums[] = { "Free blocks count wrong (", "Free inodes count wrong (" };
	const char *said = begin;

	while ((said = strstr(said, "? yes")) != NULL) {
		const char *line = said;

		/* The question is on a line of its own, below what it is about. */
		while (line > begin && *line != '\n')
			line--;
		while (line > begin && *--line != '\n')
			;
		if (strncmp(line + 1, sums[0], strlen(sums[0])) != 0 && strncmp(line + 1, sums[1], strlen(sums[1])) != 0)
			return true;
		said++;
	}
	return false;
}

/* 1 means that something was changed, as the replay of a journal does. */
bool
e2_recover(const struct image *image, char *why, size_t room)
{
	const char *const arguments[] = { "e2fsck", "-fy", "-E", no_taste, image->path, NULL };
	int status = run(arguments, why, room);

	/* Linux refuses to mount what e2fsck calls a corrupt transaction. */
	return (status == 0 || status == 1) && !mended(why) && strstr(why, "was corrupt") == NULL;
}

bool
e2_make(uint8_t *bytes, size_t size, const char *options)
{
	char command[1024], said[4096];
	const char *arguments[64] = { "mke2fs" };
	unsigned count = 1;
	struct image image;
	bool good;

	image_open(&image, bytes, size);
	snprintf(command, sizeof command,
	    "-q -F -t ext4 -U 6b3f1a52-0c1d-4f5e-8a9b-000000000001 -E "
	    "hash_seed=6b3f1a52-0c1d-4f5e-8a9b-000000000002,lazy_itable_init=0 %s", options);
	for (char *word = strtok(command, " "); word != NULL && count < 62; word = strtok(NULL, " "))
		arguments[count++] = word;
	arguments[count++] = image.path;
	arguments[count] = NULL;
	good = run(arguments, said, sizeof said) == 0;
	if (good)
		memcpy(bytes, image.bytes, size);
	else
		fprintf(stderr, "mke2fs %s: %s\n", options, said);
	image_close(&image);
	return good;
}
