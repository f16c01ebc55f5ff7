// SPDX-License-Identifier: MIT
/*
 * Commands that change what is installed.
 */
#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cmd.h"

static const char *
verb(const struct step *s)
{
	if (s->new_version == NULL)
		return "remove";
	if (s->old_version == NULL)
		return "install";
	int order = version_compare(s->new_version, s->old_version);

	return order > 0 ? "upgrade" : order < 0 ? "downgrade" : "reinstall";
}

static void
show_plan(const struct cmd *c, const struct plan *p)
{
	uint64_t size = 0;

	for (size_t i = 0; i < p->count; i++) {
		const struct step *s = &p->steps[i];

		if (s->offer != NULL)
			size += s->offer->size;
		fprintf(c->out, "%-9s %s %s%s%s%s\n", verb(s), s->name, s->old_version ? s->old_version : "",
		    s->old_version && s->new_version ? " -> " : "", s->new_version ? s->new_version : "",
		    s->automatic && !s->old_version ? "  (needed by the others)" : "");
	}
	for (size_t i = 0; i < p->explicit.count; i++)
		fprintf(c->out, "keep      %s  (asked for by name from now on)\n", p->explicit.items[i]);
	for (size_t i = 0; i < p->implicit.count; i++)
		fprintf(c->out, "keep      %s  (only for those that need it)\n", p->implicit.items[i]);
	if (size != 0 && !c->quiet)
		fprintf(c->out, "%zu package%s, %llu KiB of new files\n", p->count, p->count == 1 ? "" : "s", (unsigned long long)(size + 1023) / 1024);
	fflush(c->out);
}

static void
show_json(const struct cmd *c, const struct plan *p, bool done)
{
	fprintf(c->out, "{\"status\":0,\"done\":%s,\"steps\":[", done ? "true" : "false");
	for (size_t i = 0; i < p->count; i++) {
		const struct step *s = &p->steps[i];

		fputs(i == 0 ? "{" : ",{", c->out);
		json_field(c->out, true, "action", verb(s));
		json_field(c->out, false, "name", s->name);
		json_field(c->out, false, "old", s->old_version);
		json_field(c->out, false, "new", s->new_version);
		fprintf(c->out, ",\"automatic\":%s}", s->automatic ? "true" : "false");
	}
	putc(']', c->out);
	json_list(c->out, "notes", &c->notes);
	fputs("}\n", c->out);
}

/* Without a terminal nobody can answer, so nothing is done without --yes. */
static int
confirm(struct cmd *c)
{
	char answer[16];

	if (c->yes)
		return 0;
	if (c->json || isatty(STDIN_FILENO) != 1)
		return fault_set(&c->f, PKG_USAGE, "nobody is here to be asked: say --yes, or --dry-run to see only");
	fputs("Do it? [y/N] ", c->out);
	fflush(c->out);
	if (fgets(answer, sizeof(answer), stdin) == NULL || (answer[0] != 'y' && answer[0] != 'Y'))
		return fault_set(&c->f, PKG_FAILED, "nothing was changed");
	return 0;
}

static char *
command_text(const struct cmd *c, const char *name)
{
	struct buffer b = {0};

	buffer_text(&b, name);
	for (int i = 0; i < c->count; i++)
		buffer_format(&b, " %s", c->operands[i]);
	return b.data;
}

static int
perform(struct cmd *c, struct plan *p, const char *name)
{
	int status = 0;

	if (p->count == 0 && p->explicit.count == 0 && p->implicit.count == 0) {
		if (c->json)
			show_json(c, p, true);
		else if (!c->quiet)
			fputs("nothing to do\n", c->out);
		return 0;
	}
	if (!c->json)
		show_plan(c, p);
	if (!c->dry_run)
		status = confirm(c);
	if (status == 0) {
		char *text = command_text(c, name);

		status = transaction_run(&c->root, p, text, c->dry_run, &c->f);
		free(text);
	}
	if (status == 0 && c->json)
		show_json(c, p, !c->dry_run);
	return status;
}

static int
carry_out(struct cmd *c, const struct request *q, const struct repos *repos, const char *name)
{
	struct plan p;
	int status = solve(&c->root, q, repos, &p, &c->f);

	if (status != 0)
		return status;
	status = perform(c, &p, name);
	plan_free(&p);
	return status;
}

static int
change(struct cmd *c, enum request_kind kind, const char *name)
{
	struct request q = {.kind = kind, .cascade = c->cascade};
	struct repos repos = {0};
	int status = cmd_open(c, true);

	/* What goes needs no repository: removing works when none can be reached. */
	if (status == 0 && (kind == REQUEST_INSTALL || kind == REQUEST_UPGRADE))
		status = repos_load(&c->root, &repos, true, &c->f);
	for (int i = 0; i < c->count; i++)
		list_add(&q.names, c->operands[i]);
	if (status == 0)
		status = carry_out(c, &q, &repos, name);
	list_free(&q.names);
	repos_free(&repos);
	return status;
}

int
cmd_install(struct cmd *c)
{
	return change(c, REQUEST_INSTALL, "install");
}

int
cmd_remove(struct cmd *c)
{
	return change(c, REQUEST_REMOVE, "remove");
}

int
cmd_upgrade(struct cmd *c)
{
	return change(c, REQUEST_UPGRADE, "upgrade");
}

int
cmd_autoremove(struct cmd *c)
{
	return change(c, REQUEST_AUTOREMOVE, "autoremove");
}

int
cmd_rollback(struct cmd *c)
{
	struct repos repos = {0};
	struct plan p = {0};
	uint64_t id = 0;

	if (c->count == 1 && (!number_parse(c->operands[0], 10, INT64_MAX, &id) || id == 0))
		return fault_set(&c->f, PKG_USAGE, "'%s' is no number of a transaction; 'pkg history' lists them", c->operands[0]);
	int status = cmd_open(c, true);

	if (status == 0)
		status = repos_load_any(&c->root, &repos, &c->f);
	if (status == 0)
		status = rollback_plan(&c->root, (int64_t)id, &repos, &p, &c->f);
	if (status == 0)
		status = perform(c, &p, "rollback");
	plan_free(&p);
	repos_free(&repos);
	return status;
}

static int
add_local(struct cmd *c, struct request *q, const char *path)
{
	struct local_package *l = &q->locals[q->local_count++];

	l->path = path;
	return package_header(path, &c->root.keys, &l->m, &c->f);
}

int
cmd_add(struct cmd *c)
{
	struct request q = {.kind = REQUEST_INSTALL, .locals = mem_alloc((size_t)c->count * sizeof(*q.locals))};
	struct repos repos = {0};
	int status = cmd_open(c, true);

	for (int i = 0; i < c->count && status == 0; i++)
		status = add_local(c, &q, c->operands[i]);
	if (status == 0)
		status = repos_load(&c->root, &repos, true, &c->f);
	if (status == 0)
		status = carry_out(c, &q, &repos, "add");
	for (size_t i = 0; i < q.local_count && status == 0 && !c->dry_run; i++)
		rollback_keep(&c->root, q.locals[i].path, &q.locals[i].m);
	for (size_t i = 0; i < q.local_count; i++)
		manifest_free(&q.locals[i].m);
	free(q.locals);
	repos_free(&repos);
	return status;
}

int
cmd_recover(struct cmd *c)
{
	int status = cmd_open(c, true);

	if (status == 0 && c->json) {
		fputs("{\"status\":0", c->out);
		json_list(c->out, "notes", &c->notes);
		fputs("}\n", c->out);
	} else if (status == 0 && c->notes.count == 0 && !c->quiet) {
		fputs("nothing was interrupted\n", c->out);
	}
	return status;
}

static int
clean_folder(struct cmd *c, int parent, const char *name, unsigned *count)
{
	int fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *e;
	int status = 0;

	if (d == NULL) {
		if (fd >= 0)
			close(fd);
		return 0;	/* a file beside the repositories' folders */
	}
	while (status == 0 && (e = readdir(d)) != NULL) {
		const char *dot = strrchr(e->d_name, '.');

		if (dot == NULL || (strcmp(dot, ".pkg") != 0 && strcmp(dot, ".part") != 0))
			continue;
		if (unlinkat(dirfd(d), e->d_name, 0) != 0)
			status = fault_errno(&c->f, "cannot remove %s", e->d_name);
		else
			*count += 1;
	}
	closedir(d);
	return status;
}

int
cmd_clean(struct cmd *c)
{
	int status = cmd_open(c, true);
	unsigned count = 0;

	if (status != 0)
		return status;
	char *path = root_path(&c->root, "var/cache/pkg");
	DIR *d = opendir(path);
	struct dirent *e;

	while (d != NULL && status == 0 && (e = readdir(d)) != NULL) {
		if (e->d_name[0] != '.')
			status = clean_folder(c, dirfd(d), e->d_name, &count);
	}
	if (d != NULL)
		closedir(d);
	free(path);
	if (status == 0)
		fprintf(c->out, c->json ? "{\"status\":0,\"removed\":%u}\n" : "%u files removed\n", count);
	return status;
}
