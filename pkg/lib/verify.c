// SPDX-License-Identifier: MIT
/*
 * Compares what the database says with what is on the disk.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "system.h"

static const char *
content_differs(const struct entry *e, int parent, const char *name, const struct stat *st)
{
	uint8_t hash[HASH_SIZE];
	char target[4097];

	if (e->type == ENTRY_DIR)
		return NULL;
	if (e->type == ENTRY_LINK) {
		ssize_t n = readlinkat(parent, name, target, sizeof(target));

		return n > 0 && (size_t)n == strlen(e->target) && memcmp(target, e->target, (size_t)n) == 0 ? NULL :
		    "leads elsewhere";
	}
	if ((uint64_t)st->st_size != e->size)
		return "has another size";
	int fd = openat(parent, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);

	if (fd < 0)
		return "cannot be read";
	const char *what = hash_fd(fd, hash, NULL) != 0 ? "cannot be read" :
	    memcmp(hash, e->hash, HASH_SIZE) != 0 ? "has another content" : NULL;

	close(fd);
	return what;
}

static const char *
differs(struct root *r, const struct entry *e)
{
	const char *name;
	struct stat st;
	int parent = disk_parent(r, e->path, &name);

	if (parent < 0)
		return errno == ENOTDIR ? "lies below a link or file" : "is missing";
	if (fstatat(parent, name, &st, AT_SYMLINK_NOFOLLOW) != 0)
		return "is missing";
	mode_t type = e->type == ENTRY_DIR ? S_IFDIR : e->type == ENTRY_LINK ? S_IFLNK : S_IFREG;

	if ((st.st_mode & S_IFMT) != type)
		return "is of another kind";
	if (e->type != ENTRY_LINK && (st.st_mode & 07777) != e->mode)
		return "has another mode";
	/* Without privileges everything was made as ours. */
	if (geteuid() == 0 && (st.st_uid != e->uid || st.st_gid != e->gid))
		return "has another owner";
	return content_differs(e, parent, name, &st);
}

int
verify_package(struct root *r, const char *package, verify_fn *fn, void *context, struct fault *f)
{
	struct manifest m;
	int status = db_package(r, package, true, &m, f);

	for (size_t i = 0; status == 0 && i < m.entry_count; i++) {
		const char *what = differs(r, &m.entries[i]);

		/* Configuration files are there to be changed. */
		if (what != NULL && !(m.entries[i].config && strcmp(what, "is missing") != 0))
			fn(context, package, m.entries[i].path, what);
	}
	manifest_free(&m);
	return status;
}
