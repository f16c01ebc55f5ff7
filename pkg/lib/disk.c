// SPDX-License-Identifier: MIT
/*
 * Walks from the root to a path component by component without following links,
 * so that a link on the disk cannot lead a package out of its root.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "system.h"

void
disk_forget(struct root *r)
{
	if (r->parent_fd >= 0)
		close(r->parent_fd);
	free(r->parent_path);
	r->parent_fd = -1;
	r->parent_path = NULL;
}

static int
walk(int root, char *folder)
{
	int fd = dup(root);
	char *save = NULL;

	for (char *c = strtok_r(folder, "/", &save); c != NULL && fd >= 0; c = strtok_r(NULL, "/", &save)) {
		int next = openat(fd, c, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		int error = errno == ELOOP ? ENOTDIR : errno;

		close(fd);
		errno = error;
		fd = next;
	}
	return fd;
}

int
disk_parent(struct root *r, const char *path, const char **name)
{
	const char *slash = strrchr(path, '/');
	size_t n = slash ? (size_t)(slash - path) : 0;

	*name = slash ? slash + 1 : path;
	if (r->parent_fd >= 0 && strlen(r->parent_path) == n && strncmp(r->parent_path, path, n) == 0)
		return r->parent_fd;
	char *folder = text_dup_n(path, n), *copy = text_dup(folder);
	int fd = walk(r->fd, copy);

	free(copy);
	if (fd < 0) {
		int error = errno;

		free(folder);
		errno = error;
		return -1;
	}
	disk_forget(r);
	r->parent_path = folder;
	r->parent_fd = fd;
	return fd;
}
