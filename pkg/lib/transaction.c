// SPDX-License-Identifier: MIT
/*
 * Transactions: all packages of a command, whole or not at all, also when power
 * fails in the middle or after the end.
 *
 *	1. check everything; nothing is written
 *	2. stage: every new file, under a number, in var/lib/pkg/stage of the same
 *	   file system, with its mode, owner and date
 *	3. syncfs: the staged files are on the disk
 *	4. one SQLite commit: the new state of the database *and* the pending list of
 *	   folders to make, files to rename and delete.  This is the moment at which
 *	   the new system is the one that counts.
 *	5. work the pending list off (pending.c)
 *	6. at the next run: syncfs, then strike the list off
 *
 * Death before 4 leaves numbered files that the next run removes; death after 4
 * leaves a list that the next run works off again.  Every entry of the list may
 * be worked off any number of times.  Steps 3 and 4 are the two flushes that a
 * transaction waits for.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/xattr.h>
#include <time.h>
#include <unistd.h>

#include "system.h"

/* A path of a new package. */
struct arrival {
	const struct entry *e;
	const struct step *step;
};

struct run {
	struct root *r;
	struct plan *p;
	struct arrival *arrivals;	/* ascending by path; folders may repeat */
	size_t count;
	int64_t staged;			/* the last number given */
	int64_t seq;			/* of the pending list */
	sqlite3_stmt *pend;
	dev_t device;
	bool plain_stage;		/* what is made there has the mode it was made with */
	bool plain_group;		/* and, made by root, root's group */
	mode_t mask;			/* the process's umask */
	struct list triggers;		/* that fire */
	bool in_memory;			/* the content of the entry at work is in text */
	struct buffer text;
	struct fault *f;
};

static int
order_arrivals(const void *a, const void *b)
{
	return strcmp(((const struct arrival *)a)->e->path, ((const struct arrival *)b)->e->path);
}

static const struct arrival *
find_arrival(const struct run *t, const char *path)
{
	size_t low = 0, high = t->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		int order = strcmp(path, t->arrivals[middle].e->path);

		if (order == 0)
			return &t->arrivals[middle];
		if (order < 0)
			high = middle;
		else
			low = middle + 1;
	}
	return NULL;
}

static struct step *
find_step(const struct run *t, const char *name)
{
	for (size_t i = 0; i < t->p->count; i++) {
		if (strcmp(t->p->steps[i].name, name) == 0)
			return &t->p->steps[i];
	}
	return NULL;
}

/* ---- 1. checks ---------------------------------------------------------------- */

static int
open_step(struct run *t, struct step *s)
{
	char *path = s->local_path ? text_dup(s->local_path) : NULL;
	int status = 0;

	if (s->old_version != NULL) {
		status = db_package(t->r, s->name, true, &s->old, t->f);
		s->was_automatic = db_is_automatic(t->r, s->name);
	}
	if (status == 0 && s->offer != NULL) {
		if (path == NULL)
			path = repo_path(s->repo, s->offer);	/* plan_fetch has read it */
		status = package_open(&s->package, path, &t->r->keys, t->f);
		if (status == 0) {
			s->new = package_manifest(s->package);
			if (strcmp(s->new->name, s->offer->name) != 0 || strcmp(s->new->version, s->offer->version) != 0)
				status = fault_set(t->f, PKG_CORRUPT, "%s holds %s %s, not %s %s as was said", path, s->new->name,
				    s->new->version, s->offer->name, s->offer->version);
			else if (strcmp(s->new->arch, "any") != 0 && strcmp(s->new->arch, t->r->arch) != 0)
				status = fault_set(t->f, PKG_CONFLICT, "%s is for %s, but %s/ for %s", path, s->new->arch,
				    t->r->path, t->r->arch);
			package_rest(s->package);
		}
	}
	free(path);
	return status;
}

static void
collect_arrivals(struct run *t)
{
	size_t total = 0;

	for (size_t i = 0; i < t->p->count; i++)
		total += t->p->steps[i].new ? t->p->steps[i].new->entry_count : 0;
	t->arrivals = mem_alloc(total * sizeof(*t->arrivals));
	for (size_t i = 0; i < t->p->count; i++) {
		const struct step *s = &t->p->steps[i];

		for (size_t n = 0; s->new != NULL && n < s->new->entry_count; n++)
			t->arrivals[t->count++] = (struct arrival){&s->new->entries[n], s};
	}
	if (t->count != 0)
		qsort(t->arrivals, t->count, sizeof(*t->arrivals), order_arrivals);
}

/* Nothing comes to lie below a file or link that comes too. */
static int
check_above(struct run *t, const struct arrival *a)
{
	char *path = text_dup(a->e->path);
	int status = 0;

	for (char *c = strchr(path, '/'); c != NULL && status == 0; c = strchr(c + 1, '/')) {
		*c = '\0';
		const struct arrival *above = find_arrival(t, path);

		if (above != NULL && above->e->type != ENTRY_DIR)
			status = fault_set(t->f, PKG_CONFLICT, "/%s of %s would lie below /%s, which is no folder in %s",
			    a->e->path, a->step->name, path, above->step->name);
		*c = '/';
	}
	free(path);
	return status;
}

static bool
same_folder(const char *a, const char *b)
{
	const char *slash = strrchr(a, '/');
	size_t n = slash ? (size_t)(slash - a) + 1 : 0;

	return strncmp(a, b, n) == 0 && strchr(b + n, '/') == NULL;
}

/* Two new packages may share folders, nothing else. */
static int
check_among_new(struct run *t)
{
	int status = 0;

	/* Those of one folder follow each other, so what is above them is looked at once. */
	for (size_t i = 0; i < t->count && status == 0; i++) {
		if (i == 0 || !same_folder(t->arrivals[i].e->path, t->arrivals[i - 1].e->path))
			status = check_above(t, &t->arrivals[i]);
	}
	if (status != 0)
		return status;
	for (size_t i = 1; i < t->count; i++) {
		const struct arrival *a = &t->arrivals[i - 1], *b = &t->arrivals[i];

		if (strcmp(a->e->path, b->e->path) == 0 && (a->e->type != ENTRY_DIR || b->e->type != ENTRY_DIR))
			return fault_set(t->f, PKG_CONFLICT, "%s and %s both hold /%s; nothing was changed", a->step->name,
			    b->step->name, a->e->path);
	}
	return 0;
}

/* The package that owns a path and stays as it is; found in the statement's table. */
static int
check_owner(struct run *t, const struct arrival *a, sqlite3_stmt *s)
{
	int status = 0;

	sqlite3_bind_text(s, 1, a->e->path, -1, SQLITE_STATIC);
	while (status == 0 && sqlite3_step(s) == SQLITE_ROW) {
		const char *owner = sql_text(s, 0);

		if (find_step(t, owner) == NULL)
			status = fault_set(t->f, PKG_CONFLICT,
			    "/%s of %s belongs to the installed package %s; remove that first, or do without %s",
			    a->e->path, a->step->name, owner, a->step->name);
	}
	sqlite3_reset(s);
	return status;
}

static int
check_owners(struct run *t)
{
	sqlite3_stmt *files = sql_query(t->r, "SELECT package FROM file WHERE path = ?", "");
	sqlite3_stmt *folders = sql_query(t->r, "SELECT package FROM folder WHERE path = ?", "");
	int status = files == NULL || folders == NULL ? db_error(t->r, t->f) : 0;

	/* One look at the database instead of thousands, each with locks of its own. */
	if (status == 0 && t->r->db != NULL)
		status = sql_run(t->r, t->f, "BEGIN", "");
	for (size_t i = 0; i < t->count && status == 0; i++) {
		status = check_owner(t, &t->arrivals[i], files);
		if (status == 0 && t->arrivals[i].e->type != ENTRY_DIR)
			status = check_owner(t, &t->arrivals[i], folders);
	}
	sqlite3_finalize(files);
	sqlite3_finalize(folders);
	sqlite3_exec(t->r->db, "COMMIT", NULL, NULL, NULL);
	return status;
}

/* Whether an old version of this transaction's packages had the path. */
static const struct entry *
old_entry(const struct run *t, const char *path, const struct step *prefer)
{
	const struct entry *e = prefer->old_version ? manifest_find(&prefer->old, path) : NULL;

	for (size_t i = 0; e == NULL && i < t->p->count; i++) {
		if (t->p->steps[i].old_version != NULL)
			e = manifest_find(&t->p->steps[i].old, path);
	}
	return e;
}

/* 1 if the file on the disk has the entry's content, 0 if not, -1 and errno. */
static int
content_equals(const struct entry *e, const struct stat *st, const char *name, int parent)
{
	char target[4097];

	if (e->type == ENTRY_LINK) {
		ssize_t n = S_ISLNK(st->st_mode) ? readlinkat(parent, name, target, sizeof(target)) : 0;

		return n > 0 && (size_t)n == strlen(e->target) && memcmp(target, e->target, (size_t)n) == 0;
	}
	if (!S_ISREG(st->st_mode) || (uint64_t)st->st_size != e->size)
		return 0;
	int fd = openat(parent, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);

	if (fd < 0)
		return -1;
	int result = hash_equals(fd, e->size, e->hash);

	close(fd);
	return result;
}

/* A rename cannot cross file systems, and after the commit it may not fail. */
static int
check_device(struct run *t, const struct arrival *a)
{
	char *path = text_dup(a->e->path), *slash;
	const char *name;
	struct stat st;
	int parent, status = 0;

	/* Folders that are still missing will be made in the last one that is there. */
	while ((parent = disk_parent(t->r, path, &name)) < 0 && errno == ENOENT && (slash = strrchr(path, '/')) != NULL) {
		*slash = '\0';
		const struct arrival *above = find_arrival(t, path);

		if (above != NULL && above->e->type == ENTRY_DIR)
			goto out;	/* came first, so it was checked */
	}
	if (parent < 0 && errno == ENOTDIR)
		status = fault_set(t->f, PKG_CONFLICT,
		    "/%s of %s lies below a link or file that is on the disk where a folder should be", a->e->path,
		    a->step->name);
	else if (parent < 0 || fstat(parent, &st) != 0)
		status = fault_errno(t->f, "cannot open the folder of /%s", a->e->path);
	else if (st.st_dev != t->device)
		status = fault_set(t->f, PKG_FAILED,
		    "/%s of %s would lie on another file system than /var/lib/pkg; one transaction needs one file system",
		    a->e->path, a->step->name);
	else if (!t->r->privileged && faccessat(parent, ".", W_OK | X_OK, AT_EACCESS) != 0)
		status = fault_errno(t->f, "cannot write the folder of /%s", a->e->path);
out:
	free(path);
	return status;
}

/* What lies on the disk at a new path must be ours, equal, or a configuration file. */
static int
check_on_disk(struct run *t, const struct arrival *a)
{
	const struct entry *e = a->e;
	const char *name;
	struct stat st;
	int status = check_device(t, a);

	if (status != 0)
		return status;
	int parent = disk_parent(t->r, e->path, &name);

	if (parent < 0)
		return 0;	/* its folders are made with it */
	if (fstatat(parent, name, &st, AT_SYMLINK_NOFOLLOW) != 0)
		return errno == ENOENT ? 0 : fault_errno(t->f, "cannot read /%s", e->path);
	if (S_ISDIR(st.st_mode) != (e->type == ENTRY_DIR))
		return fault_set(t->f, PKG_CONFLICT, "/%s is a %s on the disk and a %s in %s", e->path,
		    S_ISDIR(st.st_mode) ? "folder" : "file or link", e->type == ENTRY_DIR ? "folder" : "file", a->step->name);
	if (e->type == ENTRY_DIR || e->config || old_entry(t, e->path, a->step) != NULL)
		return 0;
	int same = content_equals(e, &st, name, parent);

	if (same < 0)
		return fault_errno(t->f, "cannot read /%s", e->path);
	return same ? 0 : fault_set(t->f, PKG_CONFLICT,
	    "/%s is on the disk already, belongs to no package and differs from that of %s; move it away first", e->path,
	    a->step->name);
}

static int
check_space(struct run *t)
{
	struct statvfs v;
	uint64_t need = 1 << 20, inodes = 16;

	for (size_t i = 0; i < t->count; i++) {
		need += t->arrivals[i].e->size + 4096;
		inodes++;
	}
	if (fstatvfs(t->r->stage_fd, &v) != 0)
		return fault_errno(t->f, "cannot read the free space of %s/", t->r->path);
	uint64_t have = (uint64_t)v.f_bavail * v.f_frsize;

	if (have < need)
		return fault_set(t->f, PKG_FAILED, "%s/ has %" PRIu64 " MiB free, and %" PRIu64
		    " MiB are needed while new and old files are there together", t->r->path, have >> 20, (need >> 20) + 1);
	if (v.f_files != 0 && v.f_favail < inodes)
		return fault_set(t->f, PKG_FAILED, "%s/ has room for %" PRIu64 " more files, and %" PRIu64 " are needed",
		    t->r->path, (uint64_t)v.f_favail, inodes);
	return 0;
}

static int
check_all(struct run *t)
{
	struct stat st;
	int status = 0;

	for (size_t i = 0; i < t->p->count && status == 0; i++)
		status = pkg_interrupted ? fault_set(t->f, PKG_FAILED, "interrupted; nothing was changed") :
		    open_step(t, &t->p->steps[i]);
	if (status != 0)
		return status;
	if (fstat(t->r->stage_fd, &st) != 0)
		return fault_errno(t->f, "cannot read %s/var/lib/pkg/stage", t->r->path);
	t->device = st.st_dev;
	t->plain_stage = fgetxattr(t->r->stage_fd, "system.posix_acl_default", NULL, 0) < 0;
	t->plain_group = (st.st_mode & S_ISGID) == 0 && getegid() == 0;
	t->mask = umask(0);
	umask(t->mask);
	collect_arrivals(t);
	status = check_among_new(t);
	if (status == 0)
		status = check_owners(t);
	for (size_t i = 0; i < t->count && status == 0; i++)
		status = check_on_disk(t, &t->arrivals[i]);
	return status != 0 ? status : check_space(t);
}

/* ---- 2. staging --------------------------------------------------------------- */

/* What a line of the pending list is about, as it was before. */
struct former {
	int64_t inode, size, mtime;	/* of a file to be deleted; pending.c says of what else */
};

static int
pend_former(struct run *t, const char *op, const char *path, int64_t stage, const struct entry *e, struct former former)
{
	sqlite3_stmt *s = t->pend;

	sqlite3_bind_int64(s, 1, ++t->seq);
	sqlite3_bind_text(s, 2, op, -1, SQLITE_STATIC);
	sqlite3_bind_text(s, 3, path, -1, SQLITE_TRANSIENT);
	sqlite3_bind_int64(s, 4, stage);
	sqlite3_bind_int64(s, 5, e ? e->mode : 0);
	sqlite3_bind_int64(s, 6, e ? e->uid : 0);
	sqlite3_bind_int64(s, 7, e ? e->gid : 0);
	sqlite3_bind_int64(s, 8, former.inode);
	sqlite3_bind_int64(s, 9, former.size);
	sqlite3_bind_int64(s, 10, former.mtime);
	int result = sqlite3_step(s);

	sqlite3_reset(s);
	return result == SQLITE_DONE ? 0 : db_error(t->r, t->f);
}

/* One line of the pending list. */
static int
pend(struct run *t, const char *op, const char *path, int64_t stage)
{
	return pend_former(t, op, path, stage, NULL, (struct former){0});
}

static int
pend_mkdir(struct run *t, const char *path, const struct entry *e)
{
	return pend_former(t, "mkdir", path, 0, e, (struct former){.mtime = 1});
}

/* st: how it is now. */
static int
pend_mode(struct run *t, const char *path, const struct entry *e, const struct stat *st)
{
	return pend_former(t, "mode", path, 0, e, (struct former){st->st_uid, st->st_gid, st->st_mode});
}

/* Whether open gives the file its mode already. */
static bool
made_right(const struct run *t, const struct entry *e)
{
	return t->plain_stage && e->mode <= 0777 && (e->mode & t->mask) == 0;
}

/* Mode, owner and date of a staged file, before its first flush. */
static int
dress(struct run *t, int fd, const struct entry *e, uint64_t date)
{
	struct timespec times[2] = {{.tv_sec = (time_t)date}, {.tv_sec = (time_t)date}};

	/* Without privileges the files are ours; the database knows the owner. */
	bool ours = t->plain_group && e->uid == 0 && e->gid == 0;

	if (t->r->privileged && !ours && fchown(fd, e->uid, e->gid) != 0)
		return fault_errno(t->f, "cannot give the new /%s to its owner", e->path);
	if ((!made_right(t, e) && fchmod(fd, e->mode) != 0) || futimens(fd, times) != 0)
		return fault_errno(t->f, "cannot set the mode of the new /%s", e->path);
	return 0;
}

/* The content of the entry at work, to a file or (-1) only checked. */
static int
take_content(struct run *t, const struct step *s, const struct entry *e, int fd)
{
	if (!t->in_memory)
		return package_data(s->package, e, fd, t->f);
	if (fd >= 0 && write_all(fd, t->text.data, t->text.length) != 0)
		return fault_errno(t->f, "cannot write the new /%s", e->path);
	return 0;
}

static int
stage_file(struct run *t, const struct step *s, const struct entry *e, const char *number)
{
	int fd = openat(t->r->stage_fd, number, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
	    made_right(t, e) ? e->mode : 0600);

	if (fd < 0)
		return fault_errno(t->f, "cannot make a file in %s/var/lib/pkg/stage", t->r->path);
	int status = take_content(t, s, e, fd);

	if (status == 0)
		status = dress(t, fd, e, s->new->date);
	if (close(fd) != 0 && status == 0)
		status = fault_errno(t->f, "cannot write the new /%s", e->path);
	return status;
}

static int
stage_link(struct run *t, const struct step *s, const struct entry *e, const char *number)
{
	struct timespec times[2] = {{.tv_sec = (time_t)s->new->date}, {.tv_sec = (time_t)s->new->date}};

	if (symlinkat(e->target, t->r->stage_fd, number) != 0 ||
	    (t->r->privileged && !(t->plain_group && e->uid == 0 && e->gid == 0) && fchownat(t->r->stage_fd, number, e->uid, e->gid, AT_SYMLINK_NOFOLLOW) != 0) ||
	    utimensat(t->r->stage_fd, number, times, AT_SYMLINK_NOFOLLOW) != 0)
		return fault_errno(t->f, "cannot make the new link /%s", e->path);
	return 0;
}

static int
stage(struct run *t, const struct step *s, const struct entry *e, const char *path)
{
	char number[24];

	snprintf(number, sizeof(number), "%" PRId64, ++t->staged);
	int status = e->type == ENTRY_FILE ? stage_file(t, s, e, number) : stage_link(t, s, e, number);

	return status != 0 ? status : pend(t, "rename", path, t->staged);
}

static bool
same_owner_and_mode(const struct run *t, const struct entry *e, const struct stat *st)
{
	return (e->type == ENTRY_LINK || (st->st_mode & 07777) == e->mode) &&
	    (!t->r->privileged || (st->st_uid == e->uid && st->st_gid == e->gid));
}

/* Somebody's text with the package's changes; mode and owner stay theirs. */
static int
stage_merged(struct run *t, const struct entry *e, const struct stat *st, const struct buffer *merged)
{
	char number[24];

	snprintf(number, sizeof(number), "%" PRId64, ++t->staged);
	int fd = openat(t->r->stage_fd, number, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	int status = 0;

	if (fd < 0 || write_all(fd, merged->data, merged->length) != 0 ||
	    (t->r->privileged && fchown(fd, st->st_uid, st->st_gid) != 0) || fchmod(fd, st->st_mode & 07777) != 0)
		status = fault_errno(t->f, "cannot write the merged /%s", e->path);
	if (fd >= 0 && close(fd) != 0 && status == 0)
		status = fault_errno(t->f, "cannot write the merged /%s", e->path);
	return status != 0 ? status : pend(t, "rename", e->path, t->staged);
}

/* Whether old, new and the disk's text go together; then their merge is in *merged. */
static bool
merge_config(struct run *t, const struct entry *e, const struct entry *old, const char *name, int parent,
    struct buffer *merged)
{
	struct buffer base = {0}, mine = {0};
	bool good = t->in_memory && old != NULL && pristine_get(t->r, e->path, old->hash, &base);
	int fd = good ? openat(parent, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC) : -1;

	good = fd >= 0 && fd_read(fd, MERGE_MAX, &mine) == 0 && merge_texts(merged, &base, &mine, &t->text);
	if (fd >= 0)
		close(fd);
	buffer_free(&base);
	buffer_free(&mine);
	return good;
}

/*
 * A configuration file that somebody changed is merged with what the package
 * changed; where both changed the same lines it stays, and the package's own goes
 * beside it, if it is not what the old package had brought.
 */
static int
stage_over_config(struct run *t, const struct step *s, const struct entry *e, const struct entry *old,
    const struct stat *st, const char *name, int parent)
{
	bool untouched = old != NULL && old->type == ENTRY_FILE && content_equals(old, st, name, parent) == 1;

	if (untouched)
		return stage(t, s, e, e->path);
	if (old != NULL && old->type == ENTRY_FILE && memcmp(old->hash, e->hash, HASH_SIZE) == 0)
		return take_content(t, s, e, -1);
	struct buffer merged = {0};

	if (S_ISREG(st->st_mode) && merge_config(t, e, old, name, parent, &merged)) {
		int result = stage_merged(t, e, st, &merged);

		buffer_free(&merged);
		if (result == 0)
			root_note(t->r, "/%s was changed here and is merged with the one of %s %s", e->path, s->name,
			    s->new->version);
		return result;
	}
	buffer_free(&merged);
	char *beside = text_format("%s.new", e->path), *last = text_format("%s.new", name);
	struct stat at;
	int status;

	if (!path_is_safe(beside) || (fstatat(parent, last, &at, AT_SYMLINK_NOFOLLOW) == 0 && S_ISDIR(at.st_mode)))
		status = fault_set(t->f, PKG_CONFLICT, "/%s was changed here, and /%s cannot be written beside it", e->path,
		    beside);
	else
		status = stage(t, s, e, beside);
	if (status == 0)
		root_note(t->r, "/%s was changed here and is kept; the one of %s %s is /%s", e->path, s->name,
		    s->new->version, beside);
	free(last);
	free(beside);
	return status;
}

/* Small configuration files are kept as they came, for the merge with the next ones. */
static int
keep_config(struct run *t, const struct step *s, const struct entry *e)
{
	t->in_memory = e->config && e->size <= MERGE_MAX;
	if (!t->in_memory)
		return 0;
	t->text.length = 0;
	int status = package_text(s->package, e, &t->text, t->f);

	return status != 0 ? status : pristine_put(t->r, e->path, e->hash, &t->text, t->f);
}

static int
stage_entry(struct run *t, const struct step *s, const struct entry *e)
{
	const struct entry *old = old_entry(t, e->path, s);
	const char *name;
	struct stat st;
	int status = keep_config(t, s, e);

	if (status != 0 || e->type == ENTRY_DIR)
		return status;	/* folders are made by pend_folders, in order */
	int parent = disk_parent(t->r, e->path, &name);

	if (parent < 0 || fstatat(parent, name, &st, AT_SYMLINK_NOFOLLOW) != 0)
		return stage(t, s, e, e->path);
	int same = content_equals(e, &st, name, parent);

	if (same == 1) {	/* unchanged files are not written again */
		status = e->type == ENTRY_FILE ? take_content(t, s, e, -1) : 0;
		if (status == 0 && !same_owner_and_mode(t, e, &st))
			status = pend_mode(t, e->path, e, &st);
		return status;
	}
	if (e->config)
		return stage_over_config(t, s, e, old, &st, name, parent);
	return stage(t, s, e, e->path);
}

static int
stage_package(struct run *t, struct step *s)
{
	const struct entry *e;
	int status = package_wake(s->package, t->f);

	while (status == 0 && (status = package_next(s->package, &e, t->f)) == 0 && e != NULL) {
		if (pkg_interrupted)
			return fault_set(t->f, PKG_FAILED, "interrupted; nothing was changed");
		status = stage_entry(t, s, e);
	}
	package_rest(s->package);
	return status;
}

/* ---- the pending list's folders, deletions and triggers ------------------------- */

/* Also the folders that no package names: 0755, root's. */
static int
pend_folders(struct run *t)
{
	char *last = text_dup("");
	int status = 0;

	for (size_t i = 0; i < t->count && status == 0; i++) {
		const struct entry *e = t->arrivals[i].e;
		char *path = text_dup(e->path);

		for (char *c = path; status == 0 && c != NULL;) {
			const char *name;
			struct stat st;

			c = strchr(c, '/');
			if (c != NULL)
				*c = '\0';
			if (c == NULL && e->type != ENTRY_DIR)
				break;
			size_t n = strlen(path);
			/* Sorted: a folder seen already is a beginning of the last path. */
			bool seen = strncmp(last, path, n) == 0 && (last[n] == '/' || last[n] == '\0') && c != NULL;

			if (!seen) {
				const struct arrival *known = find_arrival(t, path);
				const struct entry plain = {.type = ENTRY_DIR, .mode = 0755};
				const struct entry *want = known && known->e->type == ENTRY_DIR ? known->e : &plain;
				int parent = disk_parent(t->r, path, &name);

				if (parent < 0 || fstatat(parent, name, &st, AT_SYMLINK_NOFOLLOW) != 0)
					status = pend_mkdir(t, path, want);
				else if (want != &plain && !same_owner_and_mode(t, want, &st))
					status = pend_mode(t, path, want, &st);
			}
			if (c != NULL)
				*c++ = '/';
		}
		free(last);
		last = path;
	}
	free(last);
	return status;
}

static int
pend_delete(struct run *t, const struct step *s, const struct entry *e)
{
	const char *name;
	struct stat st;
	int parent = disk_parent(t->r, e->path, &name);

	if (parent < 0 || fstatat(parent, name, &st, AT_SYMLINK_NOFOLLOW) != 0)
		return 0;	/* gone already */
	if (S_ISDIR(st.st_mode)) {
		root_note(t->r, "/%s of %s is a folder now and stays", e->path, s->name);
		return 0;
	}
	if (e->config && content_equals(e, &st, name, parent) != 1) {
		root_note(t->r, "/%s was changed here and stays, though %s goes", e->path, s->name);
		return 0;
	}
	return pend_former(t, "delete", e->path, 0, NULL, (struct former){(int64_t)st.st_ino, st.st_size,
	    st.st_mtim.tv_sec * 1000000000 + st.st_mtim.tv_nsec});
}

/* Whether a package that stays has the folder too. */
static bool
folder_is_shared(struct run *t, const char *path)
{
	sqlite3_stmt *s = sql_query(t->r, "SELECT package FROM folder WHERE path = ?", "s", path);
	bool shared = false;

	while (s != NULL && !shared && sqlite3_step(s) == SQLITE_ROW)
		shared = find_step(t, sql_text(s, 0)) == NULL;
	sqlite3_finalize(s);
	return shared;
}

static int
pend_departures(struct run *t, bool folders)
{
	int status = 0;

	for (size_t i = 0; i < t->p->count; i++) {
		const struct step *s = &t->p->steps[i];

		/* Backwards, so that folders come after what lies in them. */
		for (size_t n = s->old.entry_count; n-- > 0 && status == 0;) {
			const struct entry *e = &s->old.entries[n];

			if ((e->type == ENTRY_DIR) != folders || find_arrival(t, e->path) != NULL)
				continue;
			if (!folders)
				status = pend_delete(t, s, e);
			else if (!folder_is_shared(t, e->path))
				status = pend(t, "rmdir", e->path, 0);
		}
	}
	return status;
}

static bool
lies_below(const char *path, const char *folder)
{
	size_t n = strlen(folder);

	return strncmp(path, folder, n) == 0 && (path[n] == '\0' || path[n] == '/');
}

static bool
anything_below(const struct run *t, const char *folder)
{
	for (size_t i = 0; i < t->p->count; i++) {
		const struct manifest *both[2] = {t->p->steps[i].new, &t->p->steps[i].old};

		for (int m = 0; m < 2; m++) {
			for (size_t n = 0; both[m] != NULL && n < both[m]->entry_count; n++) {
				if (both[m]->entries[n].type != ENTRY_DIR && lies_below(both[m]->entries[n].path, folder))
					return true;
			}
		}
	}
	return false;
}

static void
fire(struct run *t, const struct list *triggers)
{
	for (size_t i = 0; i < triggers->count; i++) {
		char *text = text_dup(triggers->items[i]), *space = strchr(text, ' ');

		*space = '\0';
		if (path_unescape(text) && anything_below(t, text) && !list_has(&t->triggers, space + 1))
			list_add(&t->triggers, space + 1);
		free(text);
	}
}

/* Of the packages that are there afterwards. */
static int
pend_triggers(struct run *t)
{
	sqlite3_stmt *s = sql_query(t->r, "SELECT name FROM package WHERE header LIKE '%trigger %'", "");
	struct list names = {0};
	int status = 0;

	while (sql_row(s))
		list_add(&names, sql_text(s, 0));
	if (!sql_ended(t->r))
		status = db_error(t->r, t->f);
	for (size_t i = 0; i < names.count && status == 0; i++) {
		struct manifest m;

		if (find_step(t, names.items[i]) == NULL) {
			status = db_package(t->r, names.items[i], false, &m, t->f);
			fire(t, &m.triggers);
			manifest_free(&m);
		}
	}
	for (size_t i = 0; i < t->p->count; i++) {
		if (t->p->steps[i].new != NULL)
			fire(t, &t->p->steps[i].new->triggers);
	}
	for (size_t i = 0; i < t->triggers.count && status == 0; i++)
		status = pend(t, "trigger", t->triggers.items[i], 0);
	list_free(&names);
	return status;
}

/* ---- the new state of the database ---------------------------------------------- */

static int
record_entries(struct run *t, const struct manifest *m)
{
	sqlite3_stmt *file = sql_query(t->r, "INSERT INTO file VALUES(?,?,?,?,?,?,?,?,?,?)", "");
	sqlite3_stmt *folder = sql_query(t->r, "INSERT INTO folder VALUES(?,?,?,?,?)", "");
	int status = file == NULL || folder == NULL ? db_error(t->r, t->f) : 0;

	for (size_t i = 0; i < m->entry_count && status == 0; i++) {
		const struct entry *e = &m->entries[i];
		sqlite3_stmt *s = e->type == ENTRY_DIR ? folder : file;
		int n = 1;

		sqlite3_bind_text(s, n++, e->path, -1, SQLITE_STATIC);
		sqlite3_bind_text(s, n++, m->name, -1, SQLITE_STATIC);
		if (s == file)
			sqlite3_bind_int(s, n++, (int)e->type);
		sqlite3_bind_int64(s, n++, e->mode);
		sqlite3_bind_int64(s, n++, e->uid);
		sqlite3_bind_int64(s, n++, e->gid);
		if (s == file) {
			sqlite3_bind_int64(s, n++, (int64_t)e->size);
			sqlite3_bind_blob(s, n++, e->type == ENTRY_FILE ? e->hash : NULL, HASH_SIZE, SQLITE_STATIC);
			sqlite3_bind_text(s, n++, e->target, -1, SQLITE_STATIC);
			sqlite3_bind_int(s, n++, e->config);
		}
		if (sqlite3_step(s) != SQLITE_DONE)
			status = db_error(t->r, t->f);
		sqlite3_reset(s);
	}
	sqlite3_finalize(file);
	sqlite3_finalize(folder);
	return status;
}

static int
record_departure(struct run *t, const char *name)
{
	int status = sql_run(t->r, t->f, "DELETE FROM file WHERE package = ?", "s", name);

	if (status == 0)
		status = sql_run(t->r, t->f, "DELETE FROM folder WHERE package = ?", "s", name);
	return status ? status : sql_run(t->r, t->f, "DELETE FROM package WHERE name = ?", "s", name);
}

static int
record_arrival(struct run *t, const struct step *s, int64_t now)
{
	struct buffer header = {0};

	manifest_write(&header, s->new, false);
	int status = sql_run(t->r, t->f, "INSERT INTO package VALUES(?,?,?,?,?)", "ssiis", s->name, s->new_version,
	    (int64_t)s->automatic, now, header.data);

	buffer_free(&header);
	return status ? status : record_entries(t, s->new);
}

static int
record_change(struct run *t, int64_t id, const char *name, const char *old, const char *new, bool was_automatic)
{
	return sql_run(t->r, t->f, "INSERT INTO change(history, package, old, new, automatic) VALUES(?,?,?,?,?)", "isssi", id,
	    name, old, new, (int64_t)was_automatic);
}

/* Packages that stay, but are wanted by name now, or no more. */
static int
record_marks(struct run *t, int64_t id, const struct list *names, bool automatic)
{
	int status = 0;

	for (size_t i = 0; i < names->count && status == 0; i++) {
		const char *name = names->items[i];
		struct manifest m;

		status = db_package(t->r, name, false, &m, t->f);
		if (status == 0)
			status = record_change(t, id, name, m.version, m.version, !automatic);
		if (status == 0)
			status = sql_run(t->r, t->f, "UPDATE package SET automatic = ? WHERE name = ?", "is", (int64_t)automatic, name);
		manifest_free(&m);
	}
	return status;
}

/* What no file stands for any more is no base of a merge. */
static int
forget_pristine(struct run *t)
{
	for (size_t i = 0; i < t->p->count; i++) {
		if (t->p->steps[i].old_version != NULL)
			return sql_run(t->r, t->f, "DELETE FROM pristine WHERE NOT EXISTS (SELECT 1 FROM file "
			    "WHERE file.path = pristine.path AND file.hash = pristine.hash)", "");
	}
	return 0;
}

/* Now, unless an image is made: the same packages then make the same database. */
static int64_t
record_time(void)
{
	const char *epoch = getenv("SOURCE_DATE_EPOCH");
	uint64_t at = 0;

	return epoch != NULL && number_parse(epoch, 10, 1ULL << 40, &at) ? (int64_t)at : (int64_t)time(NULL);
}

static int
record(struct run *t, const char *command)
{
	int64_t now = record_time();
	int status = sql_run(t->r, t->f, "INSERT INTO history(time, command) VALUES(?,?)", "is", now, command);
	int64_t id = sqlite3_last_insert_rowid(t->r->db);

	/* All go before any comes: a path may pass from one package to another. */
	for (size_t i = 0; i < t->p->count && status == 0; i++) {
		if (t->p->steps[i].old_version != NULL)
			status = record_departure(t, t->p->steps[i].name);
	}
	for (size_t i = 0; i < t->p->count && status == 0; i++) {
		const struct step *s = &t->p->steps[i];

		if (s->new != NULL)
			status = record_arrival(t, s, now);
		if (status == 0)
			status = record_change(t, id, s->name, s->old_version, s->new_version, s->was_automatic);
	}
	if (status == 0)
		status = record_marks(t, id, &t->p->explicit, false);
	if (status == 0)
		status = record_marks(t, id, &t->p->implicit, true);
	/*
	 * A transaction that had nothing to do on the disk left this word and no list with
	 * which it would have been struck off: it does not speak of this one's.
	 */
	if (status == 0)
		status = sql_run(t->r, t->f, "DELETE FROM meta WHERE key = 'applied'", "");
	return status ? status : forget_pristine(t);
}

/* ---- the whole ------------------------------------------------------------------ */

static int
prepare(struct run *t, const char *command)
{
	int status = sql_run(t->r, t->f, "BEGIN IMMEDIATE", "");

	if (status != 0)
		return status;
	t->pend = sql_query(t->r, "INSERT INTO pending VALUES(?,?,?,?,?,?,?,?,?,?)", "");
	if (t->pend == NULL)
		return db_error(t->r, t->f);
	status = pend_folders(t);
	for (size_t i = 0; i < t->p->count && status == 0; i++) {
		struct step *s = &t->p->steps[i];

		if (t->r->progress != NULL)
			t->r->progress(t->r->progress_context, s->new ? PROGRESS_STAGE : PROGRESS_REMOVE, s->name, i,
			    t->p->count);
		if (s->new != NULL)
			status = stage_package(t, s);
	}
	if (status == 0)
		status = pend_departures(t, false);
	if (status == 0)
		status = pend_departures(t, true);
	if (status == 0)
		status = pend_triggers(t);
	return status ? status : record(t, command);
}

static int
commit(struct run *t, bool *tried)
{
	if (t->r->progress != NULL)
		t->r->progress(t->r->progress_context, PROGRESS_COMMIT, "", t->p->count, t->p->count);
	/* Flush 1: what the list will name is on the disk before the list is. */
	if (syncfs(t->r->stage_fd) != 0)
		return fault_errno(t->f, "cannot write the new files out to the disk");
	if (pkg_interrupted)
		return fault_set(t->f, PKG_FAILED, "interrupted; nothing was changed");
	sqlite3_finalize(t->pend);
	t->pend = NULL;
	/* Flush 2, the commit point. */
	*tried = true;
	return sql_run(t->r, t->f, "COMMIT", "");
}

int
transaction_run(struct root *r, struct plan *p, const char *command, bool dry_run, struct fault *f)
{
	struct run t = {.r = r, .p = p, .f = f};
	struct fault ignored;
	bool tried = false;
	size_t missing;
	int status = plan_fetch(r, p, dry_run, &missing, f);

	if (status == 0 && dry_run && missing != 0) {
		root_note(r, "%zu packages would be fetched first; what their files would meet on the disk is not known yet", missing);
		return 0;
	}
	if (status == 0)
		status = check_all(&t);
	if (status == 0 && !dry_run) {
		status = prepare(&t, command);
		if (status == 0)
			status = commit(&t, &tried);
		sqlite3_finalize(t.pend);
		if (status == 0) {
			status = pending_apply(r, false, f);
		} else {
			sqlite3_exec(r->db, "ROLLBACK", NULL, NULL, NULL);
			/*
			 * A commit that failed half-way may count after a crash: then the next
			 * run needs the staged files, and it alone can tell.
			 */
			if (!tried)
				stage_empty(r, &ignored);
		}
	}
	list_free(&t.triggers);
	buffer_free(&t.text);
	free(t.arrivals);
	return status;
}
