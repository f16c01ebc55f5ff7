// SPDX-License-Identifier: MIT
/*
 * Commands that only look.
 */
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "cmd.h"

static int
query(struct cmd *c, const char *sql, const char *argument, sqlite3_stmt **s)
{
	*s = NULL;
	if (c->root.db == NULL)
		return 0;
	*s = sql_query(&c->root, sql, argument ? "s" : "", argument);
	return *s == NULL ? db_error(&c->root, &c->f) : 0;
}

int
cmd_list(struct cmd *c)
{
	sqlite3_stmt *s;
	bool first = true;
	int status = cmd_open(c, false);

	if (status == 0)
		status = query(c, "SELECT name, version, automatic FROM package ORDER BY name", NULL, &s);
	if (status != 0)
		return status;
	if (c->json)
		putc('[', c->out);
	while (sql_row(s)) {
		if (c->json) {
			fputs(first ? "{" : ",{", c->out);
			json_field(c->out, true, "name", sql_text(s, 0));
			json_field(c->out, false, "version", sql_text(s, 1));
			fprintf(c->out, ",\"automatic\":%s}", sqlite3_column_int(s, 2) ? "true" : "false");
		} else {
			fprintf(c->out, "%s %s\n", sql_text(s, 0), sql_text(s, 1));
		}
		first = false;
	}
	if (c->json)
		fputs("]\n", c->out);
	return 0;
}

static bool
matches(const struct manifest *m, const char *text)
{
	return text == NULL || strcasestr(m->name, text) != NULL || strcasestr(m->summary, text) != NULL;
}

static bool
is_installed(struct cmd *c, const char *name)
{
	struct manifest m;
	struct fault ignored;
	bool there = db_package(&c->root, name, false, &m, &ignored) == 0;

	manifest_free(&m);
	return there;
}

int
cmd_search(struct cmd *c)
{
	const char *text = c->count != 0 ? c->operands[0] : NULL;
	struct repos repos = {0};
	size_t found = 0;
	int status = cmd_open(c, false);

	if (status == 0)
		status = repos_load(&c->root, &repos, false, &c->f);
	if (status == 0 && c->json)
		putc('[', c->out);
	for (size_t i = 0; status == 0 && i < repos.count; i++) {
		for (size_t n = 0; n < repos.items[i].index.count; n++) {
			const struct manifest *m = &repos.items[i].index.packages[n];

			if (!matches(m, text))
				continue;
			if (c->json) {
				fputs(found == 0 ? "{" : ",{", c->out);
				json_field(c->out, true, "name", m->name);
				json_field(c->out, false, "version", m->version);
				json_field(c->out, false, "summary", m->summary);
				json_field(c->out, false, "repository", repos.items[i].name);
				putc('}', c->out);
			} else {
				fprintf(c->out, "%-20s %-12s %s%s\n", m->name, m->version, m->summary,
				    is_installed(c, m->name) ? "  [installed]" : "");
			}
			found++;
		}
	}
	if (status == 0 && c->json)
		fputs("]\n", c->out);
	repos_free(&repos);
	if (status == 0 && found == 0 && !c->json)
		status = fault_set(&c->f, PKG_NOTHING, "no package of the repositories has '%s' in name or summary",
		    text ? text : "");
	return status;
}

static void
show_list(const struct cmd *c, const char *what, const struct list *l)
{
	if (l->count == 0)
		return;
	fprintf(c->out, "%-11s", what);
	for (size_t i = 0; i < l->count; i++)
		fprintf(c->out, " %s%s", l->items[i], i + 1 < l->count ? "," : "\n");
}

static void
show_info(struct cmd *c, const struct manifest *m, const char *where, bool first)
{
	if (c->json) {
		fputs(first ? "{" : ",{", c->out);
		json_field(c->out, true, "name", m->name);
		json_field(c->out, false, "version", m->version);
		json_field(c->out, false, "arch", m->arch);
		json_field(c->out, false, "summary", m->summary);
		json_field(c->out, false, "license", m->license);
		json_field(c->out, false, "url", m->url);
		json_field(c->out, false, "where", where);
		fprintf(c->out, ",\"size\":%llu", (unsigned long long)m->size);
		json_list(c->out, "needs", &m->needs);
		json_list(c->out, "provides", &m->provides);
		json_list(c->out, "conflicts", &m->conflicts);
		json_list(c->out, "replaces", &m->replaces);
		json_list(c->out, "config", &m->config);
		json_list(c->out, "rights", &m->rights);
		putc('}', c->out);
		return;
	}
	fprintf(c->out, "%s%-11s %s\n%-11s %s\n%-11s %s\n%-11s %s\n%-11s %s\n", first ? "" : "\n", "name", m->name, "version",
	    m->version, "arch", m->arch, "summary", m->summary, "license", m->license);
	if (m->url != NULL)
		fprintf(c->out, "%-11s %s\n", "url", m->url);
	fprintf(c->out, "%-11s %llu bytes\n%-11s %s\n", "size", (unsigned long long)m->size, "where", where);
	show_list(c, "needs", &m->needs);
	show_list(c, "provides", &m->provides);
	show_list(c, "conflicts", &m->conflicts);
	show_list(c, "replaces", &m->replaces);
	show_list(c, "config", &m->config);
	show_list(c, "rights", &m->rights);
}

/* Of the database, or else of the repositories, the newest. */
static int
info_one(struct cmd *c, const struct repos *repos, const char *name, bool first)
{
	const struct manifest *best = NULL;
	struct manifest m;
	int status = db_package(&c->root, name, false, &m, &c->f);

	if (status == 0)
		show_info(c, &m, db_is_automatic(&c->root, name) ? "installed, because others need it" : "installed", first);
	manifest_free(&m);
	if (status != PKG_NOTHING)
		return status;
	for (size_t i = 0; i < repos->count; i++) {
		for (size_t n = 0; n < repos->items[i].index.count; n++) {
			const struct manifest *o = &repos->items[i].index.packages[n];

			if (strcmp(o->name, name) == 0 && (best == NULL || version_compare(o->version, best->version) > 0))
				best = o;
		}
	}
	if (best == NULL)
		return fault_set(&c->f, PKG_NOTHING, "%s is neither installed nor in a repository", name);
	show_info(c, best, "not installed", first);
	return 0;
}

/* "name version  summary", or with --json all about each. */
static int
info_installed(struct cmd *c)
{
	struct list names = {0};
	sqlite3_stmt *s;
	int status = query(c, "SELECT name FROM package ORDER BY name", NULL, &s);

	while (status == 0 && sql_row(s))
		list_add(&names, sql_text(s, 0));
	if (c->json)
		putc('[', c->out);
	for (size_t i = 0; i < names.count && status == 0; i++) {
		struct manifest m;

		status = db_package(&c->root, names.items[i], false, &m, &c->f);
		if (status == 0 && c->json)
			show_info(c, &m, db_is_automatic(&c->root, m.name) ? "installed, because others need it" : "installed", i == 0);
		else if (status == 0)
			fprintf(c->out, "%-20s %-18s %s\n", m.name, m.version, m.summary);
		manifest_free(&m);
	}
	if (c->json)
		fputs("]\n", c->out);
	list_free(&names);
	return status;
}

int
cmd_info(struct cmd *c)
{
	struct repos repos = {0};
	struct fault ignored;
	int status = cmd_open(c, false);

	if (status != 0)
		return status;
	if (c->count == 0)
		return info_installed(c);
	/* What is installed can be told without repositories. */
	if (repos_load(&c->root, &repos, false, &ignored) != 0 && !c->json)
		fprintf(stderr, "pkg: %s\n", ignored.text);
	if (c->json)
		putc('[', c->out);
	for (int i = 0; i < c->count && status == 0; i++)
		status = info_one(c, &repos, c->operands[i], i == 0);
	if (c->json)
		fputs("]\n", c->out);
	repos_free(&repos);
	return status;
}

int
cmd_files(struct cmd *c)
{
	static const char *const kinds[] = {"file", "folder", "link"};
	bool first = true;
	int status = cmd_open(c, false);

	if (c->json)
		putc('[', c->out);
	for (int i = 0; i < c->count && status == 0; i++) {
		struct manifest m;

		status = db_package(&c->root, c->operands[i], true, &m, &c->f);
		for (size_t n = 0; n < m.entry_count; n++) {
			const struct entry *e = &m.entries[n];

			if (!c->json) {
				fprintf(c->out, "/%s%s\n", e->path, e->type == ENTRY_DIR ? "/" : "");
				continue;
			}
			fputs(first ? "{" : ",{", c->out);
			json_field(c->out, true, "path", e->path);
			json_field(c->out, false, "kind", kinds[e->type == ENTRY_DIR ? 1 : e->type == ENTRY_LINK ? 2 : 0]);
			fprintf(c->out, ",\"mode\":\"%04o\",\"size\":%llu}", e->mode, (unsigned long long)e->size);
			first = false;
		}
		manifest_free(&m);
	}
	if (c->json)
		fputs("]\n", c->out);
	return status;
}

int
cmd_owner(struct cmd *c)
{
	bool first = true;
	int missing = 0, status = cmd_open(c, false);

	if (c->json)
		putc('[', c->out);
	for (int i = 0; i < c->count && status == 0; i++) {
		char *path = text_dup(c->operands[i] + strspn(c->operands[i], "/"));
		size_t n = strlen(path), found = 0;
		sqlite3_stmt *s;

		while (n > 0 && path[n - 1] == '/')
			path[--n] = '\0';
		status = query(c, "SELECT package FROM file WHERE path = ?1 UNION SELECT package FROM folder WHERE path = ?1",
		    path, &s);
		while (status == 0 && sql_row(s)) {
			if (c->json) {
				fputs(first ? "{" : ",{", c->out);
				json_field(c->out, true, "path", path);
				json_field(c->out, false, "package", sql_text(s, 0));
				putc('}', c->out);
			} else {
				fprintf(c->out, "/%s: %s\n", path, sql_text(s, 0));
			}
			first = false;
			found++;
		}
		if (found == 0) {
			missing++;
			if (!c->json)
				fprintf(stderr, "pkg: no package has /%s\n", path);
		}
		free(path);
	}
	if (c->json)
		fputs("]\n", c->out);
	return status == 0 && missing != 0 ? PKG_NOTHING : status;
}

struct verify_context {
	struct cmd *c;
	size_t found;
};

static void
show_difference(void *context, const char *package, const char *path, const char *what)
{
	struct verify_context *v = context;

	if (v->c->json) {
		fputs(v->found == 0 ? "{" : ",{", v->c->out);
		json_field(v->c->out, true, "package", package);
		json_field(v->c->out, false, "path", path);
		json_field(v->c->out, false, "what", what);
		putc('}', v->c->out);
	} else {
		fprintf(v->c->out, "%s: /%s %s\n", package, path, what);
	}
	v->found++;
}

int
cmd_verify(struct cmd *c)
{
	struct verify_context v = {.c = c};
	long long count = c->count;
	sqlite3_stmt *s;
	int status = cmd_open(c, false);

	if (status == 0 && c->count == 0) {
		status = query(c, "SELECT count(*) FROM package", NULL, &s);
		while (status == 0 && sql_row(s))
			count = sqlite3_column_int64(s, 0);
	}
	if (c->json)
		putc('[', c->out);
	if (status == 0 && c->count == 0)
		status = verify_all(&c->root, show_difference, &v, &c->f);
	for (int i = 0; i < c->count && status == 0; i++)
		status = verify_package(&c->root, c->operands[i], show_difference, &v, &c->f);
	if (c->json)
		fputs("]\n", c->out);
	else if (status == 0 && v.found == 0 && !c->quiet)
		fprintf(c->out, "%lld packages are as they should be\n", count);
	return status == 0 && v.found != 0 ? PKG_CORRUPT : status;
}

int
cmd_history(struct cmd *c)
{
	sqlite3_stmt *s;
	int64_t last = -1;
	int status = cmd_open(c, false);

	if (status == 0)
		status = query(c, "SELECT id, time, command, package, old, new FROM history LEFT JOIN change ON history = id"
		    " ORDER BY id, package", NULL, &s);
	if (status != 0)
		return status;
	if (c->json)
		putc('[', c->out);
	while (sql_row(s)) {
		int64_t id = sqlite3_column_int64(s, 0);
		time_t when = (time_t)sqlite3_column_int64(s, 1);
		const char *old = (const char *)sqlite3_column_text(s, 4), *new = (const char *)sqlite3_column_text(s, 5);
		char date[32];

		strftime(date, sizeof(date), "%Y-%m-%dT%H:%M:%SZ", gmtime(&when));
		if (c->json) {
			fputs(last == -1 ? "{" : ",{", c->out);
			fprintf(c->out, "\"id\":%lld", (long long)id);
			json_field(c->out, false, "time", date);
			json_field(c->out, false, "command", sql_text(s, 2));
			json_field(c->out, false, "package", (const char *)sqlite3_column_text(s, 3));
			json_field(c->out, false, "old", old);
			json_field(c->out, false, "new", new);
			putc('}', c->out);
		} else {
			if (id != last)
				fprintf(c->out, "%lld %s %s\n", (long long)id, date, sql_text(s, 2));
			if (sqlite3_column_text(s, 3) != NULL)
				fprintf(c->out, "    %s %s%s%s\n", sql_text(s, 3), old ? old : "", old && new ? " -> " : old ? " removed" : "",
				    !new ? "" : old && strcmp(old, new) == 0 ? "the same" : new);
		}
		last = id;
	}
	if (c->json)
		fputs("]\n", c->out);
	return 0;
}

static bool
dep_matches(const char *need, const char *provided, const char *version)
{
	size_t op, provided_op, n = dep_split(need, &op), p = dep_split(provided, &provided_op);

	if (n != p || strncmp(need, provided, n) != 0)
		return false;
	const char *has = provided_op ? provided + p + provided_op : version;

	if (op == 0)
		return true;
	if (has == NULL)
		return false;
	int order = version_compare(has, need + n + op);
	bool fits = false;

	for (size_t i = 0; i < op; i++) {
		char c = need[n + i];

		fits = fits || (c == '<' && order < 0) || (c == '>' && order > 0) || (c == '=' && order == 0);
	}
	return fits;
}

static bool
gives(const struct manifest *m, const char *need)
{
	if (dep_matches(need, m->name, m->version))
		return true;
	for (size_t i = 0; i < m->provides.count; i++) {
		if (dep_matches(need, m->provides.items[i], NULL))
			return true;
	}
	return false;
}

int
cmd_why(struct cmd *c)
{
	struct manifest target, m;
	struct list names = {0};
	sqlite3_stmt *s;
	size_t found = 0;
	int status = cmd_open(c, false);

	if (status != 0)
		return status;
	status = db_package(&c->root, c->operands[0], false, &target, &c->f);
	bool asked = status == 0 && !db_is_automatic(&c->root, c->operands[0]);

	if (status == 0)
		status = query(c, "SELECT name FROM package ORDER BY name", NULL, &s);
	while (status == 0 && sql_row(s))
		list_add(&names, sql_text(s, 0));
	if (status == 0 && c->json)
		fprintf(c->out, "{\"asked\":%s,\"needed\":[", asked ? "true" : "false");
	else if (status == 0 && asked)
		fprintf(c->out, "%s was asked for by name\n", target.name);
	for (size_t i = 0; i < names.count && status == 0; i++) {
		status = db_package(&c->root, names.items[i], false, &m, &c->f);
		for (size_t n = 0; n < m.needs.count; n++) {
			if (strcmp(m.name, target.name) == 0 || !gives(&target, m.needs.items[n]))
				continue;
			if (c->json) {
				fputs(found == 0 ? "{" : ",{", c->out);
				json_field(c->out, true, "by", m.name);
				json_field(c->out, false, "need", m.needs.items[n]);
				putc('}', c->out);
			} else {
				fprintf(c->out, "%s needs %s\n", m.name, m.needs.items[n]);
			}
			found++;
		}
		manifest_free(&m);
	}
	if (status == 0 && c->json)
		fputs("]}\n", c->out);
	else if (status == 0 && !asked && found == 0)
		fprintf(c->out, "nothing needs %s; 'pkg autoremove' would remove it\n", target.name);
	manifest_free(&target);
	list_free(&names);
	return status;
}

int
cmd_audit(struct cmd *c)
{
	struct repos repos = {0};
	size_t found = 0;
	int status = cmd_open(c, false);

	if (status == 0)
		status = repos_load(&c->root, &repos, false, &c->f);
	if (status == 0 && c->json)
		putc('[', c->out);
	for (size_t i = 0; status == 0 && i < repos.count; i++) {
		for (size_t n = 0; n < repos.items[i].index.advisory_count; n++) {
			const struct advisory *a = &repos.items[i].index.advisories[n];
			struct fault ignored;
			struct manifest m;
			size_t op;
			char *name = text_dup_n(a->dep, dep_split(a->dep, &op));

			if (db_package(&c->root, name, false, &m, &ignored) == 0 && dep_matches(a->dep, m.name, m.version)) {
				if (c->json) {
					fputs(found == 0 ? "{" : ",{", c->out);
					json_field(c->out, true, "id", a->id);
					json_field(c->out, false, "package", m.name);
					json_field(c->out, false, "version", m.version);
					json_field(c->out, false, "text", a->text);
					putc('}', c->out);
				} else {
					fprintf(c->out, "%s %s: %s: %s\n", m.name, m.version, a->id, a->text);
				}
				found++;
			}
			manifest_free(&m);
			free(name);
		}
	}
	if (status == 0 && c->json)
		fputs("]\n", c->out);
	else if (status == 0 && found == 0 && !c->quiet)
		fputs("no known weakness is installed\n", c->out);
	repos_free(&repos);
	return status == 0 && found != 0 ? PKG_FAILED : status;
}
