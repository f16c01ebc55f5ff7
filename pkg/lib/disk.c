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
	disk_folder_made(r);
}

void
disk_folder_made(struct root *r)
{
	free(r->missing_path);
	r->missing_path = NULL;
}

static bool
lies_in(const char *path, const char *folder)
{
	size_t n = strlen(folder);

	return strncmp(path, folder, n) == 0 && path[n] == '/';
}

/*
 * From the folder `from`, which stays open, down to `below`; *missing: how much of
 * below is there or is the first that is not.
 */
static int
walk(int from, char *below, size_t *missing)
{
	int fd = from;
	char *save = NULL;

	for (char *c = strtok_r(below, "/", &save); c != NULL && fd >= 0; c = strtok_r(NULL, "/", &save)) {
		int next = openat(fd, c, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		int error = errno == ELOOP ? ENOTDIR : errno;

		*missing = (size_t)(c - below) + strlen(c);
		if (fd != from)
			close(fd);
		errno = error;
		fd = next;
	}
	return fd == from ? fcntl(from, F_DUPFD_CLOEXEC, 0) : fd;
}

int
disk_parent(struct root *r, const char *path, const char **name)
{
	const char *slash = strrchr(path, '/');
	size_t n = slash ? (size_t)(slash - path) : 0;

	*name = slash ? slash + 1 : path;
	if (r->parent_fd >= 0 && strlen(r->parent_path) == n && strncmp(r->parent_path, path, n) == 0)
		return r->parent_fd;
	/* Nothing lies in what is missing: most paths of a new package. */
	if (r->missing_path != NULL && lies_in(path, r->missing_path)) {
		errno = ENOENT;
		return -1;
	}
	char *folder = text_dup_n(path, n);
	bool further = r->parent_fd >= 0 && r->parent_path[0] != '\0' && lies_in(folder, r->parent_path);
	size_t skip = further ? strlen(r->parent_path) + 1 : 0, missing = 0;
	char *below = text_dup(folder + skip);
	int fd = walk(further ? r->parent_fd : r->fd, below, &missing);
	int error = errno;

	free(below);
	if (fd < 0) {
		if (error == ENOENT) {
			disk_folder_made(r);
			r->missing_path = text_dup_n(folder, skip + missing);
		}
		free(folder);
		errno = error;
		return -1;
	}
	if (r->parent_fd >= 0)
		close(r->parent_fd);
	free(r->parent_path);
	r->parent_path = folder;
	r->parent_fd = fd;
	return fd;
}
