// SPDX-License-Identifier: MIT
/*
 * The way back: a plan that makes the set of packages what it was before an
 * earlier transaction.  Nothing has to be solved, since that set was whole.  The
 * files of packages that come back must still be somewhere: in the cache, in the
 * folder of a repository, or offered by one.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "system.h"

struct search {
	struct root *r;
	const struct repos *repos;
	struct plan *p;
	struct buffer missing;
	size_t missing_count;
	struct fault *f;
};

static int
check_id(struct root *r, int64_t *id, struct fault *f)
{
	sqlite3_stmt *s = sql_query(r, "SELECT max(id) FROM history", "");
	int64_t last = s != NULL && sqlite3_step(s) == SQLITE_ROW ? sqlite3_column_int64(s, 0) : 0;

	sqlite3_finalize(s);
	if (last == 0)
		return fault_set(f, PKG_NOTHING, "nothing was done in %s/ yet, so there is no way back", r->path);
	if (*id == 0)
		*id = last;
	s = sql_query(r, "SELECT 1 FROM history WHERE id = ?", "i", *id);
	bool known = s != NULL && sqlite3_step(s) == SQLITE_ROW;

	sqlite3_finalize(s);
	return known ? 0 : fault_set(f, PKG_NOTHING, "there is no transaction %lld; 'pkg history' lists them", (long long)*id);
}

/* Of package files that came from no repository; no repository can have that name. */
static char *
added_folder(const struct root *r)
{
	return root_path(r, "var/cache/pkg/+added");
}

/* All of a file; false and errno if that does not work. */
static bool
copy(int from, int to)
{
	char block[1 << 16];
	ssize_t n;

	while ((n = read(from, block, sizeof(block))) > 0) {
		if (write(to, block, (size_t)n) != n)
			return false;
	}
	return n == 0;
}

void
rollback_keep(struct root *r, const char *path, const struct manifest *m)
{
	char *folder = added_folder(r), *kept = text_format("%s/%s-%s.%s.pkg", folder, m->name, m->version, m->arch);
	char *part = text_format("%s.part", kept);
	int from = open(path, O_RDONLY | O_CLOEXEC), to = -1;

	if (folders_make(folder) == 0)
		to = open(part, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0644);
	bool good = from >= 0 && to >= 0 && copy(from, to);

	if (to >= 0 && close(to) != 0)
		good = false;
	if (from >= 0)
		close(from);
	if (!good || rename(part, kept) != 0) {
		root_note(r, "%s cannot be kept in %s: %s; 'pkg rollback' will not find it", path, folder, strerror(errno));
		if (to >= 0)
			unlink(part);
	}
	free(part);
	free(kept);
	free(folder);
}

/* A package file of that name that is what its name says and is signed. */
static bool
try_file(struct search *w, const char *folder, const char *name, const char *version, const char *arch)
{
	char *path = text_format("%s/%s-%s.%s.pkg", folder, name, version, arch);
	struct found *found = &w->p->found[w->p->found_count];
	struct fault ignored;

	if (access(path, R_OK) != 0) {
		free(path);
		return false;
	}
	bool good = package_header(path, &w->r->keys, &found->m, &ignored) == 0 && strcmp(found->m.name, name) == 0 &&
	    strcmp(found->m.version, version) == 0;

	if (!good) {
		root_note(w->r, "%s is not what its name says, or not trusted, and is passed over", path);
		manifest_free(&found->m);
		free(path);
		return false;
	}
	found->path = path;
	w->p->found_count++;
	return true;
}

static const struct manifest *
find_offer(const struct repo *repo, const char *name, const char *version)
{
	for (size_t i = 0; i < repo->index.count; i++) {
		const struct manifest *m = &repo->index.packages[i];

		if (strcmp(m->name, name) == 0 && strcmp(m->version, version) == 0)
			return m;
	}
	return NULL;
}

/* The step's package file, in that folder. */
static bool
try_folder(struct search *w, const char *folder, struct step *s)
{
	if (!try_file(w, folder, s->name, s->new_version, w->r->arch) && !try_file(w, folder, s->name, s->new_version, "any"))
		return false;
	s->local_path = w->p->found[w->p->found_count - 1].path;
	s->offer = &w->p->found[w->p->found_count - 1].m;
	return true;
}

static void
find_package(struct search *w, struct step *s)
{
	char *added = added_folder(w->r);
	bool found = false;

	for (size_t i = 0; i < w->repos->count && !found; i++)
		found = try_folder(w, w->repos->items[i].folder, s);
	if (!found)
		found = try_folder(w, added, s);
	free(added);
	if (found)
		return;
	for (size_t i = 0; i < w->repos->count && s->offer == NULL; i++) {
		s->offer = find_offer(&w->repos->items[i], s->name, s->new_version);
		s->repo = s->offer ? &w->repos->items[i] : NULL;
	}
	if (s->offer != NULL)
		return;
	if (w->missing_count < 8)
		buffer_format(&w->missing, "%s%s %s", w->missing_count ? ", " : "", s->name, s->new_version);
	w->missing_count++;
}

/* What a package was then against what it is now. */
static void
add_difference(struct search *w, const char *name, const char *then, bool automatic)
{
	struct fault ignored;
	struct manifest now;
	bool installed = db_package(w->r, name, false, &now, &ignored) == 0;

	if (installed && then != NULL && strcmp(now.version, then) == 0) {
		if (db_is_automatic(w->r, name) != automatic)
			list_add(automatic ? &w->p->implicit : &w->p->explicit, name);
	} else if (installed || then != NULL) {
		w->p->steps = mem_grow(w->p->steps, w->p->count + 1, sizeof(*w->p->steps));
		struct step *s = &w->p->steps[w->p->count++];

		*s = (struct step){.name = text_dup(name), .automatic = automatic};
		if (installed)
			s->old_version = text_dup(now.version);
		if (then != NULL)
			s->new_version = text_dup(then);
	}
	manifest_free(&now);
}

int
rollback_plan(struct root *r, int64_t id, const struct repos *repos, struct plan *p, struct fault *f)
{
	struct search w = {.r = r, .repos = repos, .p = p, .f = f};

	*p = (struct plan){0};
	int status = check_id(r, &id, f);

	if (status != 0)
		return status;
	/* The first change since then tells what was before it. */
	sqlite3_stmt *s = sql_query(r, "SELECT package, old, automatic, min(rowid) FROM change WHERE history >= ?"
	    " GROUP BY package ORDER BY package", "i", id);

	if (s == NULL)
		return db_error(r, f);
	while (sql_row(s)) {
		const char *old = (const char *)sqlite3_column_text(s, 1);

		add_difference(&w, sql_text(s, 0), old, sqlite3_column_int(s, 2) != 0);
	}
	if (!sql_ended(r))
		return db_error(r, f);
	p->found = mem_alloc(p->count * sizeof(*p->found));
	for (size_t i = 0; i < p->count; i++) {
		if (p->steps[i].new_version != NULL)
			find_package(&w, &p->steps[i]);
	}
	if (w.missing_count != 0)
		status = fault_set(f, PKG_NOTHING, "the way back to before transaction %lld needs %s%s, which %s neither in "
		    "%s/var/cache/pkg nor in a repository; put the package files there, or go back less far", (long long)id,
		    w.missing.data, w.missing_count > 8 ? " and more" : "", w.missing_count == 1 ? "is" : "are", r->path);
	buffer_free(&w.missing);
	return status;
}
