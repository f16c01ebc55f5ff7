// SPDX-License-Identifier: MIT
/*
 * Compares what the database says with what is on the disk.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "hash.h"
#include "system.h"

struct verifying {
	struct root *r;
	verify_fn *fn;
	void *context;
	struct hash_pool *pool;
};

/* A file whose content is being read. */
struct reading {
	uint8_t hash[HASH_SIZE];
	uint64_t size;
	const char *path;	/* behind the package's name */
	char package[];
};

static void
content_read(void *context, void *item, int error, const uint8_t hash[HASH_SIZE], uint64_t size)
{
	struct verifying *v = context;
	struct reading *reading = item;

	if (error != 0)
		v->fn(v->context, reading->package, reading->path, "cannot be read");
	else if (size != reading->size || memcmp(hash, reading->hash, HASH_SIZE) != 0)
		v->fn(v->context, reading->package, reading->path, "has another content");
	free(reading);
}

static void
read_later(struct verifying *v, int fd, const char *package, const struct entry *e)
{
	size_t n = strlen(package) + 1, length = strlen(e->path) + 1;
	struct reading *reading = mem_alloc(sizeof(*reading) + n + length);

	memcpy(reading->hash, e->hash, HASH_SIZE);
	reading->size = e->size;
	memcpy(reading->package, package, n);
	memcpy(reading->package + n, e->path, length);
	reading->path = reading->package + n;
	hash_pool_add(v->pool, fd, e->size, reading);
}

static const char *
link_differs(const struct entry *e, int parent, const char *name)
{
	char target[4097];
	ssize_t n = readlinkat(parent, name, target, sizeof(target));

	return n > 0 && (size_t)n == strlen(e->target) && memcmp(target, e->target, (size_t)n) == 0 ? NULL : "leads elsewhere";
}

/* All but the content of a file, which is left open in *fd to be compared. */
static const char *
differs(struct root *r, const struct entry *e, int *fd)
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
	if (e->type != ENTRY_FILE)
		return e->type == ENTRY_LINK ? link_differs(e, parent, name) : NULL;
	if ((uint64_t)st.st_size != e->size)
		return "has another size";
	*fd = openat(parent, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	return *fd < 0 ? "cannot be read" : NULL;
}

static void
verify_entry(struct verifying *v, const char *package, const struct entry *e)
{
	int fd = -1;
	const char *what = differs(v->r, e, &fd);

	/* Configuration files are there to be changed. */
	if (what != NULL && !(e->config && strcmp(what, "is missing") != 0))
		v->fn(v->context, package, e->path, what);
	if (fd >= 0 && e->config)
		close(fd);
	else if (fd >= 0)
		read_later(v, fd, package, e);
}

int
verify_package(struct root *r, const char *package, verify_fn *fn, void *context, struct fault *f)
{
	struct verifying v = {.r = r, .fn = fn, .context = context};
	struct manifest m;
	int status = db_package(r, package, true, &m, f);

	v.pool = hash_pool_new(content_read, &v);
	for (size_t i = 0; status == 0 && i < m.entry_count; i++)
		verify_entry(&v, package, &m.entries[i]);
	hash_pool_end(v.pool);
	manifest_free(&m);
	return status;
}

/* In the order of the tables, which is that of the disk's folders too: no list is made, no folder opened twice. */
static int
verify_rows(struct verifying *v, sqlite3_stmt *s, struct fault *f)
{
	struct entry e;
	int result;

	if (s == NULL)
		return db_error(v->r, f);
	while ((result = sqlite3_step(s)) == SQLITE_ROW) {
		db_entry(s, &e);
		verify_entry(v, sql_text(s, 9), &e);
	}
	int status = result == SQLITE_DONE ? 0 : db_error(v->r, f);

	sqlite3_finalize(s);
	return status;
}

int
verify_all(struct root *r, verify_fn *fn, void *context, struct fault *f)
{
	struct verifying v = {.r = r, .fn = fn, .context = context};

	if (r->db == NULL)
		return 0;
	v.pool = hash_pool_new(content_read, &v);
	int status = verify_rows(&v, sql_query(r, "SELECT " DB_FILE ", package FROM file ORDER BY path", ""), f);

	if (status == 0)
		status = verify_rows(&v, sql_query(r, "SELECT " DB_FOLDER ", package FROM folder ORDER BY path", ""), f);
	hash_pool_end(v.pool);
	return status;
}
