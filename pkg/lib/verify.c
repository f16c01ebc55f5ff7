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
	int same = hash_equals(fd, e->size, e->hash);

	close(fd);
	return same < 0 ? "cannot be read" : same == 0 ? "has another content" : NULL;
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
	if (r->privileged && (st.st_uid != e->uid || st.st_gid != e->gid))
		return "has another owner";
	return content_differs(e, parent, name, &st);
}

static void
verify_entry(struct root *r, const char *package, const struct entry *e, verify_fn *fn, void *context)
{
	const char *what = differs(r, e);

	/* Configuration files are there to be changed. */
	if (what != NULL && !(e->config && strcmp(what, "is missing") != 0))
		fn(context, package, e->path, what);
}

int
verify_package(struct root *r, const char *package, verify_fn *fn, void *context, struct fault *f)
{
	struct manifest m;
	int status = db_package(r, package, true, &m, f);

	for (size_t i = 0; status == 0 && i < m.entry_count; i++)
		verify_entry(r, package, &m.entries[i], fn, context);
	manifest_free(&m);
	return status;
}

/* In the order of the tables, which is that of the disk's folders too: no list is made, no folder opened twice. */
static int
verify_rows(struct root *r, sqlite3_stmt *s, verify_fn *fn, void *context, struct fault *f)
{
	struct entry e;
	int result;

	if (s == NULL)
		return db_error(r, f);
	while ((result = sqlite3_step(s)) == SQLITE_ROW) {
		db_entry(s, &e);
		verify_entry(r, sql_text(s, 9), &e, fn, context);
	}
	int status = result == SQLITE_DONE ? 0 : db_error(r, f);

	sqlite3_finalize(s);
	return status;
}

int
verify_all(struct root *r, verify_fn *fn, void *context, struct fault *f)
{
	int status = r->db == NULL ? 0 :
	    verify_rows(r, sql_query(r, "SELECT " DB_FILE ", package FROM file ORDER BY path", ""), fn, context, f);

	return status != 0 || r->db == NULL ? status :
	    verify_rows(r, sql_query(r, "SELECT " DB_FOLDER ", package FROM folder ORDER BY path", ""), fn, context, f);
}
