// SPDX-License-Identifier: MIT
/*
 * The solver: libsolv decides, this file tells it what is installed, offered and
 * wanted, and puts its answer (a plan, or why there is none) into our words.
 * Versions are ordered as Debian's, which version.c repeats, but for one thing: in
 * a relation a version without a release means all its releases.
 */
#include <solv/evr.h>
#include <solv/poolarch.h>
#include <solv/pool.h>
#include <solv/problems.h>
#include <solv/queue.h>
#include <solv/repo.h>
#include <solv/solver.h>
#include <solv/transaction.h>
#include <stdlib.h>
#include <string.h>

#include "system.h"

/* What stands behind a solvable. */
struct source {
	const struct manifest *m;
	const struct repo *repo;
	const char *local_path;
};

struct world {
	struct root *r;
	Pool *pool;
	Repo *installed;
	Solver *solver;
	struct source *sources;		/* by solvable */
	size_t source_count;
	struct manifest *had;		/* installed, owned */
	size_t had_count;
	struct fault *f;
};

/* Makes of a version the first one behind all its releases: 2-1 < 2-99 < 2A~~~~ < 2a-1. */
#define BEHIND "A~~~~"

static Id
dep_id(Pool *pool, const char *dep)
{
	size_t op, at = dep_split(dep, &op);
	Id name = pool_strn2id(pool, dep, (unsigned)at, 1);
	int flags = 0;

	if (op == 0)
		return name;
	for (size_t i = 0; i < op; i++)
		flags |= dep[at + i] == '<' ? REL_LT : dep[at + i] == '>' ? REL_GT : REL_EQ;
	bool behind = strchr(dep + at + op, '-') == NULL && (flags == (REL_LT | REL_EQ) || flags == REL_GT);
	char *version = text_format("%s%s", dep + at + op, behind ? BEHIND : "");
	Id evr = pool_str2id(pool, version, 1);

	free(version);
	return pool_rel2id(pool, name, evr, behind ? flags ^ REL_EQ : flags, 1);
}

/* As it was written, whatever became of it for the solver. */
static char *
dep_text(Pool *pool, Id dep)
{
	if (!ISRELDEP(dep))
		return text_dup(pool_id2str(pool, dep));
	Reldep *rd = GETRELDEP(pool, dep);
	const char *version = pool_id2str(pool, rd->evr);
	size_t n = strlen(version), extra = strlen(BEHIND);
	bool behind = n > extra && strcmp(version + n - extra, BEHIND) == 0;
	int flags = behind ? rd->flags ^ REL_EQ : rd->flags;

	return text_format("%s %s%s%s %.*s", pool_id2str(pool, rd->name), flags & REL_LT ? "<" : "", flags & REL_GT ? ">" : "",
	    flags & REL_EQ ? "=" : "", (int)(behind ? n - extra : n), version);
}

static void
add_deps(Repo *repo, Offset *where, const struct list *deps)
{
	for (size_t i = 0; i < deps->count; i++)
		*where = repo_addid_dep(repo, *where, dep_id(repo->pool, deps->items[i]), 0);
}

static void
add_solvable(struct world *w, Repo *repo, struct source source)
{
	const struct manifest *m = source.m;
	Id id = repo_add_solvable(repo);
	Solvable *s = pool_id2solvable(w->pool, id);

	s->name = pool_str2id(w->pool, m->name, 1);
	s->evr = pool_str2id(w->pool, m->version, 1);
	s->arch = strcmp(m->arch, "any") == 0 ? (Id)ARCH_ALL : pool_str2id(w->pool, m->arch, 1);
	add_deps(repo, &s->provides, &m->provides);
	s->provides = repo_addid_dep(repo, s->provides, pool_rel2id(w->pool, s->name, s->evr, REL_EQ, 1), 0);
	/* So that name=1.2 fits 1.2-3. */
	Id bare = pool_strn2id(w->pool, m->version, (unsigned)strcspn(m->version, "-"), 1);

	s->provides = repo_addid_dep(repo, s->provides, pool_rel2id(w->pool, s->name, bare, REL_EQ, 1), 0);
	add_deps(repo, &s->requires, &m->needs);
	add_deps(repo, &s->conflicts, &m->conflicts);
	add_deps(repo, &s->obsoletes, &m->replaces);
	if ((size_t)id >= w->source_count) {
		size_t count = (size_t)id * 2 + 64;

		w->sources = mem_grow(w->sources, count, sizeof(*w->sources));
		memset(w->sources + w->source_count, 0, (count - w->source_count) * sizeof(*w->sources));
		w->source_count = count;
	}
	w->sources[id] = source;
}

static int
add_installed(struct world *w)
{
	struct list names = {0};
	sqlite3_stmt *s = w->r->db ? sql_query(w->r, "SELECT name FROM package ORDER BY name", "") : NULL;
	int status = 0;

	w->installed = repo_create(w->pool, "installed");
	pool_set_installed(w->pool, w->installed);
	while (sql_row(s))
		list_add(&names, sql_text(s, 0));
	if (w->r->db != NULL && !sql_ended(w->r))
		status = db_error(w->r, w->f);
	w->had = mem_alloc(names.count * sizeof(*w->had));
	for (size_t i = 0; i < names.count && status == 0; i++) {
		w->had_count++;
		status = db_package(w->r, names.items[i], false, &w->had[i], w->f);
	}
	for (size_t i = 0; i < names.count && status == 0; i++)
		add_solvable(w, w->installed, (struct source){.m = &w->had[i]});
	list_free(&names);
	return status;
}

static int
world_make(struct world *w, const struct request *q, const struct repos *repos)
{
	w->pool = pool_create();
	pool_setdisttype(w->pool, DISTTYPE_DEB);
	pool_setarch(w->pool, w->r->arch);
	int status = add_installed(w);

	if (status != 0)
		return status;
	for (size_t i = 0; i < repos->count; i++) {
		Repo *repo = repo_create(w->pool, repos->items[i].name);

		/* The first repository of the list wins between equal versions. */
		repo->subpriority = -(int)i;
		for (size_t n = 0; n < repos->items[i].index.count; n++)
			add_solvable(w, repo, (struct source){.m = &repos->items[i].index.packages[n],
			    .repo = &repos->items[i]});
	}
	Repo *local = repo_create(w->pool, "files");

	for (size_t i = 0; i < q->local_count; i++)
		add_solvable(w, local, (struct source){.m = &q->locals[i].m, .local_path = q->locals[i].path});
	pool_createwhatprovides(w->pool);
	return 0;
}

static void
world_free(struct world *w)
{
	for (size_t i = 0; i < w->had_count; i++)
		manifest_free(&w->had[i]);
	free(w->had);
	free(w->sources);
	if (w->pool != NULL)
		pool_free(w->pool);
}

static bool
name_exists(struct world *w, Id name, bool only_installed)
{
	Id p;

	for (p = 2; p < w->pool->nsolvables; p++) {
		Solvable *s = pool_id2solvable(w->pool, p);

		if (s->repo != NULL && s->name == name && (!only_installed || s->repo == w->installed))
			return true;
	}
	return false;
}

/* Whether a version is what "name<2" and the like ask for. */
static bool
version_fits(const char *version, const char *dep)
{
	size_t op, at = dep_split(dep, &op);
	int order = op == 0 ? 0 : version_compare(version, dep + at + op);

	for (size_t i = 0; i < op; i++) {
		char c = dep[at + i];

		if ((c == '<' && order < 0) || (c == '>' && order > 0) || (c == '=' && order == 0))
			return true;
	}
	return op == 0;
}

/* One of the versions that fit; *newest: the newest that is there at all. */
static Id
one_of(struct world *w, Id name, const char *text, const char **newest)
{
	Queue fitting;

	*newest = NULL;
	queue_init(&fitting);
	for (Id p = 2; p < w->pool->nsolvables; p++) {
		Solvable *s = pool_id2solvable(w->pool, p);

		if (s->repo == NULL || s->name != name)
			continue;
		const char *version = pool_id2str(w->pool, s->evr);

		if (*newest == NULL || version_compare(version, *newest) > 0)
			*newest = version;
		if (version_fits(version, text))
			queue_push(&fitting, p);
	}
	Id what = fitting.count == 0 ? 0 : pool_queuetowhatprovides(w->pool, &fitting);

	queue_free(&fitting);
	return what;
}

static int
add_install(struct world *w, const char *text, Id name, size_t at, size_t op, Queue *jobs)
{
	const char *newest;

	if (!name_exists(w, name, false)) {
		Id id = dep_id(w->pool, text);

		if (pool_whatprovides(w->pool, id) <= 1)
			return fault_set(w->f, PKG_NOTHING, "no repository has %s; 'pkg search %.*s' shows similar names", text,
			    (int)at, text);
		queue_push2(jobs, SOLVER_INSTALL | SOLVER_SOLVABLE_PROVIDES, id);
		return 0;
	}
	if (op == 0) {
		queue_push2(jobs, SOLVER_INSTALL | SOLVER_SOLVABLE_NAME, name);
		return 0;
	}
	Id versions = one_of(w, name, text, &newest);

	if (versions == 0)
		return fault_set(w->f, PKG_NOTHING, "no repository has %s; the newest %.*s is %s", text, (int)at, text, newest);
	queue_push2(jobs, SOLVER_INSTALL | SOLVER_SOLVABLE_ONE_OF, versions);
	return 0;
}

static int
add_job(struct world *w, const struct request *q, const char *text, Queue *jobs)
{
	size_t op;
	size_t at = dep_split(text, &op);

	if (!dep_is_valid(text))
		return fault_set(w->f, PKG_USAGE, "'%s' is no name of a package", text);
	Id name = pool_strn2id(w->pool, text, (unsigned)at, 1);

	if (q->kind == REQUEST_INSTALL)
		return add_install(w, text, name, at, op, jobs);
	if (!name_exists(w, name, true))
		return fault_set(w->f, PKG_NOTHING, "%s is not installed", text);
	queue_push2(jobs, (q->kind == REQUEST_REMOVE ? SOLVER_ERASE : SOLVER_UPDATE) | SOLVER_SOLVABLE_NAME,
	    dep_id(w->pool, text));
	return 0;
}

static int
add_jobs(struct world *w, const struct request *q, Queue *jobs)
{
	int status = 0;

	for (size_t i = 0; i < q->names.count && status == 0; i++)
		status = add_job(w, q, q->names.items[i], jobs);
	for (Id p = 2; p < w->pool->nsolvables; p++) {
		Solvable *s = pool_id2solvable(w->pool, p);

		if (s->repo == w->installed && !db_is_automatic(w->r, pool_id2str(w->pool, s->name)))
			queue_push2(jobs, SOLVER_USERINSTALLED | SOLVER_SOLVABLE, p);
		if (s->repo != NULL && w->sources[p].local_path != NULL)
			queue_push2(jobs, SOLVER_INSTALL | SOLVER_SOLVABLE, p);
	}
	if (q->kind == REQUEST_UPGRADE && q->names.count == 0)
		queue_push2(jobs, SOLVER_UPDATE | SOLVER_SOLVABLE_ALL, 0);
	return status;
}

/* ---- why not ------------------------------------------------------------------ */

/* "name version" of a solvable, without its architecture. */
static char *
solvable_text(Pool *pool, Id p)
{
	Solvable *s = pool_id2solvable(pool, p);

	return text_format("%s %s", pool_id2str(pool, s->name), pool_id2str(pool, s->evr));
}

/* Who provides a dependency, at most three of them. */
static char *
providers_text(Pool *pool, Id dep)
{
	struct buffer b = {0};
	Id p, pp;
	int n = 0;

	FOR_PROVIDES(p, pp, dep) {
		char *t = solvable_text(pool, p);

		buffer_format(&b, "%s%s", n == 0 ? "" : ", ", n < 3 ? t : "…");
		free(t);
		if (n++ == 3)
			break;
	}
	buffer_add(&b, "", 0);
	return b.data;
}

/* Whether a package of that name is there, only for other architectures. */
static char *
elsewhere_text(struct world *w, Id name)
{
	for (Id p = 2; name != 0 && p < w->pool->nsolvables; p++) {
		Solvable *s = pool_id2solvable(w->pool, p);

		if (s->repo != NULL && s->name == name && !pool_installable(w->pool, s))
			return text_format("%s is offered for another architecture (%s) than this root's (%s) only",
			    pool_id2str(w->pool, name), pool_id2str(w->pool, s->arch), w->r->arch);
	}
	return NULL;
}

static char *
sentence(struct world *w, SolverRuleinfo type, Id source, Id target, Id dep)
{
	Pool *pool = w->pool;
	/* Rules about jobs have other numbers in the places of solvables. */
	bool solvables = (type & SOLVER_RULE_TYPEMASK) != SOLVER_RULE_JOB;
	char *a = solvables && source ? solvable_text(pool, source) : NULL;
	char *b = solvables && target ? solvable_text(pool, target) : NULL;
	char *who = dep ? providers_text(pool, dep) : NULL, *s = NULL;
	char *need = dep ? dep_text(pool, dep) : text_dup("");

	switch (type) {
	case SOLVER_RULE_JOB:
	case SOLVER_RULE_JOB_UNSUPPORTED:
		break;	/* what was asked for: the others say why not */
	case SOLVER_RULE_JOB_NOTHING_PROVIDES_DEP:
	case SOLVER_RULE_JOB_UNKNOWN_PACKAGE:
		s = elsewhere_text(w, dep);
		if (s == NULL)
			s = text_format("no repository has %s", need);
		break;
	case SOLVER_RULE_PKG_NOT_INSTALLABLE:
		s = text_format("%s is for another architecture (%s) than this root (%s)", a,
		    pool_id2str(pool, pool_id2solvable(pool, source)->arch), w->r->arch);
		break;
	case SOLVER_RULE_PKG_NOTHING_PROVIDES_DEP:
		s = text_format("%s needs %s, which no repository has", a, need);
		break;
	case SOLVER_RULE_PKG_REQUIRES:
		s = text_format("%s needs %s, which only %s provides", a, need, who);
		break;
	case SOLVER_RULE_PKG_CONFLICTS:
	case SOLVER_RULE_PKG_SELF_CONFLICT:
		s = text_format("%s and %s exclude each other", a, b ? b : need);
		break;
	case SOLVER_RULE_PKG_SAME_NAME:
		s = text_format("%s and %s cannot be installed at the same time", a, b);
		break;
	case SOLVER_RULE_PKG_OBSOLETES:
	case SOLVER_RULE_PKG_INSTALLED_OBSOLETES:
		s = text_format("%s takes the place of %s", a, b);
		break;
	case SOLVER_RULE_UPDATE:
		s = text_format("%s is installed and nobody asked to remove it", a);
		break;
	default:
		s = text_dup(solver_problemruleinfo2str(w->solver, type, source, target, dep));
	}
	free(a);
	free(b);
	free(who);
	free(need);
	return s;
}

static void
add_sentences(struct world *w, Solver *solver, Id problem, struct list *said)
{
	Queue rules;

	queue_init(&rules);
	solver_findallproblemrules(solver, problem, &rules);
	for (int i = 0; i < rules.count; i++) {
		Id source, target, dep;
		SolverRuleinfo type = solver_ruleinfo(solver, rules.elements[i], &source, &target, &dep);
		char *s = sentence(w, type, source, target, dep);

		if (s != NULL && !list_has(said, s) && said->count < 12)
			list_add(said, s);
		free(s);
	}
	queue_free(&rules);
}

static int
explain(struct world *w, Solver *solver, const struct request *q, unsigned problems)
{
	struct buffer b = {0};
	struct list said = {0};

	for (unsigned i = 1; i <= problems; i++)
		add_sentences(w, solver, (Id)i, &said);
	buffer_text(&b, q->kind == REQUEST_REMOVE ? "cannot remove that:" : "cannot do that:");
	for (size_t i = 0; i < said.count; i++)
		buffer_format(&b, " %s%s", said.items[i], i + 1 < said.count ? ";" : "");
	if (q->kind == REQUEST_REMOVE && !q->cascade)
		buffer_text(&b, ". With --cascade what needs it is removed too");
	int status = fault_set(w->f, PKG_CONFLICT, "%s", b.data);

	list_free(&said);
	buffer_free(&b);
	return status;
}

/* ---- the plan ----------------------------------------------------------------- */

static int
order_steps(const void *a, const void *b)
{
	return strcmp(((const struct step *)a)->name, ((const struct step *)b)->name);
}

static struct step *
add_step(struct plan *p, const char *name)
{
	p->steps = mem_grow(p->steps, p->count + 1, sizeof(*p->steps));
	struct step *s = &p->steps[p->count++];

	*s = (struct step){.name = text_dup(name)};
	return s;
}

static const struct manifest *
find_had(const struct world *w, const char *name)
{
	for (size_t i = 0; i < w->had_count; i++) {
		if (strcmp(w->had[i].name, name) == 0)
			return &w->had[i];
	}
	return NULL;
}

/* Whether a job of ours decided it, and not another package's need. */
static bool
was_asked(Solver *solver, Id id)
{
	Id rule;
	int reason = solver_describe_decision(solver, id, &rule);

	return reason == SOLVER_REASON_RESOLVE_JOB || (rule > 0 && solver_ruleclass(solver, rule) == SOLVER_RULE_JOB);
}

static void
add_arrival(struct world *w, Solver *solver, Id id, struct plan *p)
{
	const struct source *source = &w->sources[id];
	const struct manifest *old = find_had(w, source->m->name);
	struct step *s = add_step(p, source->m->name);

	s->new_version = text_dup(source->m->version);
	s->offer = source->m;
	s->repo = source->repo;
	s->local_path = source->local_path;
	bool asked = was_asked(solver, id);

	s->automatic = !asked;
	if (old != NULL) {
		s->old_version = text_dup(old->version);
		s->automatic = db_is_automatic(w->r, s->name) && !(asked && source->local_path != NULL);
	}
}

/* What takes the place of something that was asked for is asked for. */
static void
inherit_marks(struct world *w, struct plan *p)
{
	for (size_t i = 0; i < p->count; i++) {
		struct step *s = &p->steps[i];

		for (size_t n = 0; s->offer != NULL && s->old_version == NULL && n < s->offer->replaces.count; n++) {
			const char *dep = s->offer->replaces.items[n];
			size_t op, at = dep_split(dep, &op);

			for (size_t g = 0; g < p->count; g++) {
				const struct step *gone = &p->steps[g];

				if (gone->new_version == NULL && strlen(gone->name) == at && strncmp(gone->name, dep, at) == 0 &&
				    version_fits(gone->old_version, dep) && !db_is_automatic(w->r, gone->name))
					s->automatic = false;
			}
		}
	}
}

static void
make_plan(struct world *w, Solver *solver, const struct request *q, struct plan *p)
{
	Transaction *t = solver_create_transaction(solver);
	Queue result;

	queue_init(&result);
	transaction_installedresult(t, &result);
	for (int i = 0; i < result.count; i++) {
		if (pool_id2solvable(w->pool, result.elements[i])->repo != w->installed)
			add_arrival(w, solver, result.elements[i], p);
	}
	for (size_t i = 0; i < w->had_count; i++) {
		const char *name = w->had[i].name;
		bool stays = false;

		for (int n = 0; n < result.count && !stays; n++)
			stays = strcmp(w->sources[result.elements[n]].m->name, name) == 0;
		if (!stays)
			add_step(p, name)->old_version = text_dup(w->had[i].version);
	}
	if (p->count != 0)
		qsort(p->steps, p->count, sizeof(*p->steps), order_steps);
	inherit_marks(w, p);
	for (size_t i = 0; q->kind == REQUEST_INSTALL && i < q->names.count; i++) {
		size_t op;
		char *name = text_dup_n(q->names.items[i], dep_split(q->names.items[i], &op));

		if (find_had(w, name) != NULL && db_is_automatic(w->r, name))
			list_add(&p->explicit, name);
		free(name);
	}
	queue_free(&result);
	transaction_free(t);
}

static bool
wants_downgrade(const struct request *q)
{
	for (size_t i = 0; i < q->names.count; i++) {
		if (strpbrk(q->names.items[i], "<=") != NULL)
			return true;
	}
	return q->local_count != 0;
}

/* The packages that nobody asked for and nobody needs become removals. */
static void
add_unneeded(Solver *solver, Queue *jobs)
{
	Queue unneeded;

	queue_init(&unneeded);
	solver_get_unneeded(solver, &unneeded, 0);
	for (int i = 0; i < unneeded.count; i++)
		queue_push2(jobs, SOLVER_ERASE | SOLVER_SOLVABLE, unneeded.elements[i]);
	queue_free(&unneeded);
}

int
solve(struct root *r, const struct request *q, const struct repos *repos, struct plan *p, struct fault *f)
{
	struct world w = {.r = r, .f = f};
	Solver *solver = NULL;
	Queue jobs;
	int status;

	*p = (struct plan){0};
	queue_init(&jobs);
	status = world_make(&w, q, repos);
	if (status == 0)
		status = add_jobs(&w, q, &jobs);
	if (status != 0)
		goto out;
	solver = solver_create(w.pool);
	w.solver = solver;
	solver_set_flag(solver, SOLVER_FLAG_ALLOW_UNINSTALL, q->cascade);
	solver_set_flag(solver, SOLVER_FLAG_ALLOW_DOWNGRADE, wants_downgrade(q));
	unsigned problems = (unsigned)solver_solve(solver, &jobs);

	if (problems == 0 && q->kind == REQUEST_AUTOREMOVE) {
		add_unneeded(solver, &jobs);
		problems = (unsigned)solver_solve(solver, &jobs);
	}
	if (problems != 0)
		status = explain(&w, solver, q, problems);
	else
		make_plan(&w, solver, q, p);
out:
	if (solver != NULL)
		solver_free(solver);
	queue_free(&jobs);
	world_free(&w);
	return status;
}

void
plan_free(struct plan *p)
{
	for (size_t i = 0; i < p->count; i++) {
		struct step *s = &p->steps[i];

		free(s->name);
		free(s->old_version);
		free(s->new_version);
		manifest_free(&s->old);
		package_close(s->package);
	}
	free(p->steps);
	list_free(&p->explicit);
	list_free(&p->implicit);
	for (size_t i = 0; i < p->found_count; i++) {
		free(p->found[i].path);
		manifest_free(&p->found[i].m);
	}
	free(p->found);
	*p = (struct plan){0};
}
