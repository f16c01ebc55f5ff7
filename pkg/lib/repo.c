// SPDX-License-Identifier: MIT
/*
 * Repositories: etc/pkg/repos has lines "NAME PLACE"; a place is a folder, a
 * file:// or an http(s):// address.  An index counts only with a trusted
 * signature, before its expiry, and with a serial no smaller than any seen before.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "hash.h"
#include "system.h"

enum { REPOS_MAX = 64 };

static bool
is_remote(const char *url)
{
	return strncmp(url, "http://", 7) == 0 || strncmp(url, "https://", 8) == 0;
}

static int
add_repo(struct root *r, struct repos *repos, char *line, size_t number, struct fault *f)
{
	char *save = NULL, *name = strtok_r(line, " \t", &save), *url = strtok_r(NULL, " \t", &save);

	if (name == NULL || name[0] == '#')
		return 0;
	if (!name_is_valid(name) || url == NULL || strtok_r(NULL, " \t", &save) != NULL)
		return fault_set(f, PKG_FAILED, "%s/etc/pkg/repos line %zu is not 'NAME PLACE'", r->path, number);
	if (repos->count == REPOS_MAX)
		return fault_set(f, PKG_FAILED, "more than %d repositories", REPOS_MAX);
	repos->items = mem_grow(repos->items, repos->count + 1, sizeof(*repos->items));
	struct repo *repo = &repos->items[repos->count++];

	*repo = (struct repo){.name = text_dup(name), .url = text_dup(url), .local = !is_remote(url)};
	if (!repo->local) {
		char *cache = root_path(r, "var/cache/pkg");

		repo->folder = text_format("%s/%s", cache, name);
		free(cache);
		return 0;
	}
	repo->folder = text_dup(strncmp(url, "file://", 7) == 0 ? url + 7 : url);
	return repo->folder[0] == '/' ? 0 :
	    fault_set(f, PKG_FAILED, "repository %s: %s is no absolute path and no address", name, url);
}

static int
read_list(struct root *r, struct repos *repos, struct fault *f)
{
	char *path = root_path(r, "etc/pkg/repos");
	struct buffer b = {0};
	int status = access(path, F_OK) == 0 ? file_read(path, 1 << 20, &b, f) : 0;
	size_t number = 1;

	for (char *l = b.data; status == 0 && l != NULL && *l != '\0'; number++) {
		char *next = strchr(l, '\n');

		if (next != NULL)
			*next++ = '\0';
		status = add_repo(r, repos, l, number, f);
		l = next;
	}
	buffer_free(&b);
	free(path);
	return status;
}

/* With a clock that is behind, an index that has expired passes for a good one. */
static void
note_young(struct root *r, const struct repo *repo, uint64_t now)
{
	uint64_t created = repo->index.created;

	if (created > now + 24 * 3600)
		root_note(r, "the index of repository %s was made %llu days after today; is the clock right?", repo->name,
		    (unsigned long long)(created - now) / (24 * 3600));
}

static int
check_age(struct root *r, const struct repo *repo, struct fault *f)
{
	const struct index *i = &repo->index;
	uint64_t now = (uint64_t)time(NULL), seen = 0;
	sqlite3_stmt *s = r->db ? sql_query(r, "SELECT serial FROM repo WHERE name = ?", "s", repo->name) : NULL;

	if (s != NULL && sqlite3_step(s) == SQLITE_ROW)
		seen = (uint64_t)sqlite3_column_int64(s, 0);
	sqlite3_finalize(s);
	if (i->serial < seen)
		return fault_set(f, PKG_UNTRUSTED,
		    "repository %s gives an old index (serial %llu, but %llu was seen already); use another mirror",
		    repo->name, (unsigned long long)i->serial, (unsigned long long)seen);
	if (now >= i->expires)
		return fault_set(f, PKG_UNTRUSTED,
		    "the index of repository %s has expired %llu hours ago; is it still kept up, and is the clock right?",
		    repo->name, (unsigned long long)(now - i->expires) / 3600);
	note_young(r, repo, now);
	return 0;
}

/*
 * Once the index is on the disk where the next run looks for it: a serial without its
 * index would make the one that is there an old one.
 */
static int
remember_serial(struct root *r, const struct repo *repo, struct fault *f)
{
	if (r->lock_fd < 0)
		return 0;
	return sql_run(r, f, "INSERT INTO repo VALUES(?1, ?2) ON CONFLICT(name) DO UPDATE SET serial = ?2 WHERE serial < ?2", "si",
	    repo->name, (int64_t)repo->index.serial);
}

static bool
flush_file(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	bool good = fd >= 0 && fsync(fd) == 0;
	int error = errno;

	if (fd >= 0)
		close(fd);
	errno = error;
	return good;
}

/* The fetched index takes the old one's place. */
static int
settle_index(const struct repo *repo, const char *new, const char *path, struct fault *f)
{
	if (!flush_file(new))
		return fault_errno(f, "cannot write %s", new);
	if (rename(new, path) != 0)
		return fault_errno(f, "cannot rename %s", new);
	return flush_file(repo->folder) ? 0 : fault_errno(f, "cannot write %s", repo->folder);
}

/* The newest index to a place of its own: a bad one does not drive out a good one. */
static int
fetch_index(struct root *r, const struct repo *repo, const char *path, struct fault *f)
{
	char *url = text_format("%s/index.zst", repo->url), *part = text_format("%s.part", path);
	int status = 0;

	/* Half of one index and half of the next make none. */
	unlink(part);
	if (folders_make(repo->folder) != 0)
		status = fault_errno(f, "cannot make %s", repo->folder);
	else
		status = fetch_all(r, &(struct fetch){.url = url, .path = (char *)path, .max = INDEX_MAX}, 1, f);
	free(part);
	free(url);
	return status;
}

static int
load_repo(struct root *r, struct repo *repo, bool refresh, struct fault *f)
{
	char *path = text_format("%s/index.zst", repo->folder), *new = text_format("%s/index.new", repo->folder);
	bool fetched = !repo->local && refresh && r->lock_fd >= 0;
	int status = fetched ? fetch_index(r, repo, new, f) : 0;

	if (status == 0)
		status = index_load(&repo->index, fetched ? new : path, &r->keys, f);
	if (status == 0)
		status = check_age(r, repo, f);
	if (status == 0 && fetched)
		status = settle_index(repo, new, path, f);
	if (status == 0)
		status = remember_serial(r, repo, f);
	if (status != 0 && fetched)
		unlink(new);
	free(path);
	free(new);
	return status;
}

int
repos_load(struct root *r, struct repos *repos, bool refresh, struct fault *f)
{
	*repos = (struct repos){0};
	int status = read_list(r, repos, f);

	for (size_t i = 0; i < repos->count && status == 0; i++)
		status = load_repo(r, &repos->items[i], refresh, f);
	return status;
}

int
repos_load_any(struct root *r, struct repos *repos, struct fault *f)
{
	struct fault ignored;

	*repos = (struct repos){0};
	int status = read_list(r, repos, f);

	for (size_t i = 0; i < repos->count && status == 0; i++) {
		struct repo *repo = &repos->items[i];

		if (load_repo(r, repo, false, &ignored) != 0)
			index_free(&repo->index);
	}
	return status;
}

void
repos_free(struct repos *repos)
{
	for (size_t i = 0; i < repos->count; i++) {
		index_free(&repos->items[i].index);
		free(repos->items[i].name);
		free(repos->items[i].url);
		free(repos->items[i].folder);
	}
	free(repos->items);
	*repos = (struct repos){0};
}

char *
repo_path(const struct repo *repo, const struct manifest *m)
{
	return text_format("%s/%s", repo->folder, m->file);
}

/* A step's file that is being read. */
struct reading {
	struct step *step;
	char *path;
};

static int
file_differs(const struct reading *reading, int error, const uint8_t hash[HASH_SIZE], uint64_t size, struct fault *f)
{
	const struct manifest *m = reading->step->offer;

	errno = error;
	if (error != 0)
		return fault_errno(f, "cannot read %s", reading->path);
	if (size != m->file_size || memcmp(hash, m->file_hash, HASH_SIZE) != 0)
		return fault_set(f, PKG_CORRUPT, "%s is not the file that the index names (%s %s)", reading->path, m->name,
		    m->version);
	return 0;
}

/* The index is signed and names the whole file's hash, so this covers every byte. */
static void
file_read_through(void *context, void *item, int error, const uint8_t hash[HASH_SIZE], uint64_t size)
{
	struct reading *reading = item;

	reading->step->checked = file_differs(reading, error, hash, size, context) == 0;
	/* What is there of a remote one and wrong is of no use. */
	if (!reading->step->checked && !reading->step->repo->local)
		unlink(reading->path);
	free(reading->path);
	free(reading);
}

/* Whether the step's file comes from a repository and is not known yet to be what its index says. */
static bool
is_open(const struct step *s)
{
	return s->offer != NULL && s->repo != NULL && s->local_path == NULL && !s->checked;
}

/* Reads what is there, several side by side; *f says what is wrong with one that stays open. */
static int
check_files(struct plan *p, struct fault *f)
{
	struct hash_pool *pool = hash_pool_new(file_read_through, f);

	for (size_t i = 0; i < p->count && !pkg_interrupted; i++) {
		struct step *s = &p->steps[i];

		if (!is_open(s))
			continue;
		struct reading *reading = mem_alloc(sizeof(*reading));

		reading->step = s;
		reading->path = repo_path(s->repo, s->offer);
		int fd = open(reading->path, O_RDONLY | O_CLOEXEC);

		if (fd < 0)
			file_read_through(f, reading, errno, NULL, 0);
		else
			hash_pool_add(pool, fd, UINT64_MAX, reading);
	}
	hash_pool_end(pool);
	return pkg_interrupted ? fault_set(f, PKG_FAILED, "interrupted; nothing was changed") : 0;
}

static size_t
list_missing(const struct plan *p, struct fetch *items)
{
	size_t count = 0;

	for (size_t i = 0; i < p->count; i++) {
		const struct step *s = &p->steps[i];

		if (is_open(s) && !s->repo->local)
			items[count++] = (struct fetch){.url = text_format("%s/%s", s->repo->url, s->offer->file),
			    .path = repo_path(s->repo, s->offer), .name = s->name, .max = s->offer->file_size};
	}
	return count;
}

static bool
local_is_wrong(const struct plan *p)
{
	for (size_t i = 0; i < p->count; i++) {
		if (is_open(&p->steps[i]) && p->steps[i].repo->local)
			return true;
	}
	return false;
}

int
plan_fetch(struct root *r, struct plan *p, bool dry_run, size_t *missing, struct fault *f)
{
	struct fetch *items = mem_alloc(p->count * sizeof(*items));
	struct fault wrong = {0};
	int status;

	/* Twice: a part of another file that had the name makes no whole. */
	for (int round = 0;; round++) {
		status = check_files(p, &wrong);
		*missing = list_missing(p, items);
		bool enough = *missing == 0 || dry_run || round == 2;

		if (status != 0 || local_is_wrong(p) || (enough && *missing != 0 && !dry_run)) {
			*f = wrong;
			status = wrong.status;
		} else if (!enough) {
			status = fetch_all(r, items, *missing, f);
		}
		for (size_t i = 0; i < *missing; i++) {
			free(items[i].url);
			free(items[i].path);
		}
		if (enough || status != 0)
			break;
	}
	free(items);
	return status;
}
