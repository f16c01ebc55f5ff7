// SPDX-License-Identifier: MIT
/*
 * solver_test FILE…: plays cases.  A case is a few lines, in this order:
 *
 *	case TITLE
 *	have NAME VERSION [auto] [FACT…]	installed
 *	offer NAME VERSION [FACT…]		in the first repository
 *	offer2 NAME VERSION [FACT…]		in the second
 *	file NAME VERSION [FACT…]		a package file that is added
 *	ask install|remove|upgrade|autoremove|add [--cascade] [NAME…]
 *	get install NAME VERSION [needed]	one line a step, by name
 *	get upgrade|downgrade NAME OLD NEW
 *	get reinstall|remove NAME OLD
 *	get keep NAME				asked for by name from now on
 *	get nothing
 *	no STATUS PART				refused; a part of the sentence
 *	not PART				and what it may not say
 *
 * FACT is needs=, provides=, conflicts=, replaces= or arch=.  Whatever the
 * solver answers must also be a set in which nothing is missing and nothing
 * excludes anything, which is checked without it.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../lib/system.h"

enum { REPOS = 2 };
#define ARCH "aarch64"

struct test {
	char *title;
	struct buffer offers[REPOS];	/* index texts */
	struct list have, automatic;	/* headers; "1" for each that is automatic */
	struct local_package *locals;
	size_t local_count;
	struct request q;
	struct list get, say, not;
	int refused;			/* a status, or 0 */
};

static struct root root;
static const char *file_name;
static unsigned passed, failed, line_number;

static void
broken(const char *what)
{
	printf("%s line %u: %s\n", file_name, line_number, what);
	exit(2);
}

static const char *
next_word(char **save)
{
	return strtok_r(NULL, " ", save);
}

/* NAME VERSION [auto] [FACT…] as a manifest's header. */
static char *
read_header(char **save, bool *automatic)
{
	struct buffer b = {0}, facts = {0};
	const char *name = next_word(save), *version = next_word(save), *arch = ARCH, *w;

	buffer_add(&facts, "", 0);
	while ((w = next_word(save)) != NULL) {
		const char *equal = strchr(w, '=');

		if (strcmp(w, "auto") == 0)
			*automatic = true;
		else if (equal == NULL)
			broken("a fact is KEY=VALUE");
		else if (strncmp(w, "arch=", 5) == 0)
			arch = equal + 1;
		else
			buffer_format(&facts, "%.*s %s\n", (int)(equal - w), w, equal + 1);
	}
	if (name == NULL || version == NULL)
		broken("no name and version");
	buffer_format(&b, "name %s\nversion %s\narch %s\nsummary s\nlicense MIT\n%s", name, version, arch, facts.data);
	buffer_free(&facts);
	return b.data;
}

static void
read_offer(struct test *t, int repo, char **save)
{
	static const char hash[] = "0e5751c026e543b2e8ab2eb06099daa1d1e5df47778f7787faab45cdf12fe3a8";
	bool automatic = false;
	char *header = read_header(save, &automatic);

	buffer_format(&t->offers[repo], "package p-%zu.pkg 1 %s\n%send\n", t->offers[repo].length, hash, header);
	free(header);
}

static void
read_file(struct test *t, char **save)
{
	bool automatic = false;
	char *header = read_header(save, &automatic);
	struct fault f = {0};

	t->locals = mem_grow(t->locals, t->local_count + 1, sizeof(*t->locals));
	struct local_package *l = &t->locals[t->local_count++];

	l->path = "file";
	if (manifest_parse(&l->m, header, strlen(header), MANIFEST_HEADER, "file", &f) != 0)
		broken(f.text);
	free(header);
}

static void
read_ask(struct test *t, char **save)
{
	static const char *const kinds[] = {"install", "remove", "upgrade", "autoremove"};
	const char *w = next_word(save);
	int kind = -1;

	for (int i = 0; i < 4 && w != NULL; i++)
		kind = strcmp(w, kinds[i]) == 0 ? i : kind;
	if (w != NULL && strcmp(w, "add") == 0)
		kind = REQUEST_INSTALL;
	if (kind < 0)
		broken("an unknown request");
	t->q.kind = (enum request_kind)kind;
	while ((w = next_word(save)) != NULL) {
		if (strcmp(w, "--cascade") == 0)
			t->q.cascade = true;
		else
			list_add(&t->q.names, w);
	}
}

static void
read_line(struct test *t, char *line)
{
	char *rest = strchr(line, ' ') ? strchr(line, ' ') + 1 : line, *copy = text_dup(rest), *save = NULL;
	char *word = strtok_r(line, " ", &save);
	bool automatic = false;

	if (strcmp(word, "have") == 0) {
		char *header = read_header(&save, &automatic);

		list_add(&t->have, header);
		list_add(&t->automatic, automatic ? "1" : "0");
		free(header);
	} else if (strcmp(word, "offer") == 0 || strcmp(word, "offer2") == 0) {
		read_offer(t, word[5] == '2', &save);
	} else if (strcmp(word, "file") == 0) {
		read_file(t, &save);
	} else if (strcmp(word, "ask") == 0) {
		read_ask(t, &save);
	} else if (strcmp(word, "get") == 0) {
		list_add(&t->get, copy);
	} else if (strcmp(word, "no") == 0) {
		t->refused = atoi(copy);
		list_add(&t->say, copy + 2);
	} else if (strcmp(word, "not") == 0) {
		list_add(&t->not, copy);
	} else {
		broken("an unknown line");
	}
	free(copy);
}

/* ---- playing ---- */

static void
install_given(const struct test *t)
{
	struct fault f = {0};

	if (sql_run(&root, &f, "DELETE FROM package", "") != 0)
		broken(f.text);
	for (size_t i = 0; i < t->have.count; i++) {
		const char *header = t->have.items[i];
		struct manifest m;

		if (manifest_parse(&m, header, strlen(header), MANIFEST_HEADER, "have", &f) != 0 ||
		    sql_run(&root, &f, "INSERT INTO package VALUES(?,?,?,0,?)", "ssis", m.name, m.version,
		    (int64_t)(t->automatic.items[i][0] == '1'), header) != 0)
			broken(f.text);
		manifest_free(&m);
	}
}

static void
answer_text(struct list *answer, const struct plan *p)
{
	for (size_t i = 0; i < p->count; i++) {
		const struct step *s = &p->steps[i];
		int order = s->old_version && s->new_version ? version_compare(s->new_version, s->old_version) : 0;
		char *text = s->new_version == NULL ? text_format("remove %s %s", s->name, s->old_version) :
		    s->old_version == NULL ? text_format("install %s %s%s", s->name, s->new_version, s->automatic ? " needed" : "") :
		    order == 0 ? text_format("reinstall %s %s", s->name, s->old_version) :
		    text_format("%s %s %s %s", order > 0 ? "upgrade" : "downgrade", s->name, s->old_version, s->new_version);

		list_add(answer, text);
		free(text);
	}
	for (size_t i = 0; i < p->explicit.count; i++) {
		char *text = text_format("keep %s", p->explicit.items[i]);

		list_add(answer, text);
		free(text);
	}
	if (answer->count == 0)
		list_add(answer, "nothing");
}

/* ---- the set afterwards, judged without the solver ---- */

struct set {
	struct manifest *items;
	size_t count;
};

static void
set_add(struct set *s, const struct manifest *m)
{
	struct buffer b = {0};
	struct fault f = {0};

	manifest_write(&b, m, false);
	s->items = mem_grow(s->items, s->count + 1, sizeof(*s->items));
	if (manifest_parse(&s->items[s->count++], b.data, b.length, MANIFEST_HEADER, "set", &f) != 0)
		broken(f.text);
	buffer_free(&b);
}

static void
set_after(struct set *s, const struct test *t, const struct plan *p)
{
	for (size_t i = 0; i < t->have.count; i++) {
		struct manifest m;
		struct fault f = {0};
		bool stays = true;

		if (manifest_parse(&m, t->have.items[i], strlen(t->have.items[i]), MANIFEST_HEADER, "have", &f) != 0)
			broken(f.text);
		for (size_t n = 0; n < p->count; n++)
			stays = stays && strcmp(p->steps[n].name, m.name) != 0;
		if (stays)
			set_add(s, &m);
		manifest_free(&m);
	}
	for (size_t n = 0; n < p->count; n++) {
		if (p->steps[n].offer != NULL)
			set_add(s, p->steps[n].offer);
	}
}

static bool
fits(const char *need, const char *provided, const char *version)
{
	size_t op, has_op, n = dep_split(need, &op), h = dep_split(provided, &has_op);
	const char *has = has_op ? provided + h + has_op : version;
	bool good = op == 0;

	if (n != h || strncmp(need, provided, n) != 0)
		return false;
	for (size_t i = 0; i < op && has != NULL; i++) {
		int order = version_compare(has, need + n + op);

		good = good || (need[n + i] == '<' && order < 0) || (need[n + i] == '>' && order > 0) ||
		    (need[n + i] == '=' && order == 0);
	}
	return good;
}

static bool
gives(const struct manifest *m, const char *need)
{
	bool good = fits(need, m->name, m->version);

	for (size_t i = 0; i < m->provides.count; i++)
		good = good || fits(need, m->provides.items[i], NULL);
	return good;
}

static char *
wrong_with(const struct set *s)
{
	for (size_t i = 0; i < s->count; i++) {
		const struct manifest *m = &s->items[i];

		for (size_t n = 0; n < m->needs.count; n++) {
			bool there = false;

			for (size_t j = 0; j < s->count; j++)
				there = there || gives(&s->items[j], m->needs.items[n]);
			if (!there)
				return text_format("%s lacks %s", m->name, m->needs.items[n]);
		}
		for (size_t j = 0; j < s->count; j++) {
			for (size_t n = 0; n < m->conflicts.count && i != j; n++) {
				if (gives(&s->items[j], m->conflicts.items[n]))
					return text_format("%s is with %s", m->name, s->items[j].name);
			}
			if (i != j && strcmp(m->name, s->items[j].name) == 0)
				return text_format("%s is there twice", m->name);
		}
	}
	return NULL;
}

static void
verdict(const struct test *t, bool good, const char *format, const char *detail)
{
	if (good) {
		passed++;
		return;
	}
	failed++;
	printf("FAILED %s: %s: ", file_name, t->title);
	printf(format, detail);
	putchar('\n');
}

static char *
join(const struct list *l)
{
	struct buffer b = {0};

	buffer_add(&b, "", 0);
	for (size_t i = 0; i < l->count; i++)
		buffer_format(&b, "\n    get %s", l->items[i]);
	return b.data;
}

static void
judge_plan(const struct test *t, const struct plan *p)
{
	struct list answer = {0};
	struct set after = {0};

	answer_text(&answer, p);
	char *got = join(&answer), *want = join(&t->get);

	verdict(t, strcmp(got, want) == 0, "the answer is%s", got);
	free(got);
	free(want);
	set_after(&after, t, p);
	char *wrong = wrong_with(&after);

	verdict(t, wrong == NULL, "the answer is no whole set: %s", wrong);
	free(wrong);
	for (size_t i = 0; i < after.count; i++)
		manifest_free(&after.items[i]);
	free(after.items);
	list_free(&answer);
}

static void
judge_refusal(const struct test *t, int status, const char *text)
{
	bool good = status == t->refused;

	for (size_t i = 0; i < t->say.count; i++)
		good = good && strstr(text, t->say.items[i]) != NULL;
	for (size_t i = 0; i < t->not.count; i++)
		good = good && strstr(text, t->not.items[i]) == NULL;
	/* Solver talk is for the solver's makers. */
	good = good && strstr(text, "job") == NULL && strstr(text, "solvable") == NULL && strstr(text, "rule") == NULL;
	verdict(t, good, "refused with: %s", text);
}

static void
play(struct test *t)
{
	struct repo items[REPOS] = {{.name = "one"}, {.name = "two"}};
	struct repos repos = {items, REPOS};
	struct fault f = {0};
	struct plan p;

	if ((t->get.count == 0) == (t->refused == 0))
		broken("the case before this expects nothing, or both");
	install_given(t);
	for (int i = 0; i < REPOS; i++) {
		char *text = text_format("index 1\nserial 1\ncreated 1\nexpires 2\n%s", t->offers[i].data ? t->offers[i].data : "");

		if (index_parse(&items[i].index, text, strlen(text), "offers", &f) != 0)
			broken(f.text);
		free(text);
	}
	t->q.locals = t->locals;
	t->q.local_count = t->local_count;
	int status = solve(&root, &t->q, &repos, &p, &f);

	if (t->refused != 0)
		judge_refusal(t, status, f.text);
	else if (status != 0)
		verdict(t, false, "refused with: %s", f.text);
	else
		judge_plan(t, &p);
	plan_free(&p);
	for (int i = 0; i < REPOS; i++)
		index_free(&items[i].index);
}

static void
test_free(struct test *t)
{
	for (int i = 0; i < REPOS; i++)
		buffer_free(&t->offers[i]);
	for (size_t i = 0; i < t->local_count; i++)
		manifest_free(&t->locals[i].m);
	free(t->locals);
	list_free(&t->have);
	list_free(&t->automatic);
	list_free(&t->q.names);
	list_free(&t->get);
	list_free(&t->say);
	list_free(&t->not);
	free(t->title);
	*t = (struct test){0};
}

static unsigned
play_file(const char *path)
{
	struct buffer text = {0};
	struct fault f = {0};
	struct test t = {0};
	unsigned count = 0;

	file_name = path;
	line_number = 0;
	if (file_read(path, 1 << 20, &text, &f) != 0)
		broken(f.text);
	for (char *l = text.data, *next; l != NULL && *l != '\0'; l = next) {
		next = strchr(l, '\n');
		if (next != NULL)
			*next++ = '\0';
		line_number++;
		if (l[0] == '\0' || l[0] == '#')
			continue;
		if (strncmp(l, "case ", 5) != 0) {
			if (t.title == NULL)
				broken("a line before the first case");
			read_line(&t, l);
			continue;
		}
		if (t.title != NULL)
			play(&t);
		test_free(&t);
		t.title = text_dup(l + 5);
		count++;
	}
	if (t.title != NULL)
		play(&t);
	test_free(&t);
	buffer_free(&text);
	return count;
}

int
main(int argc, char **argv)
{
	char work[] = "/tmp/pkg-solver-XXXXXX";
	struct fault f = {0};
	unsigned cases = 0;

	if (mkdtemp(work) == NULL)
		return 2;
	struct root_options o = {.path = work, .arch = ARCH, .write = true};

	if (root_open(&root, &o, &f) != 0)
		broken(f.text);
	sqlite3_exec(root.db, "PRAGMA synchronous = OFF", NULL, NULL, NULL);
	for (int i = 1; i < argc; i++)
		cases += play_file(argv[i]);
	root_close(&root);
	char *remove = text_format("rm -rf '%s'", work);

	(void)!system(remove);
	free(remove);
	printf("%u cases: %u passed, %u failed\n", cases, passed, failed);
	return failed != 0 || cases < 80;
}
