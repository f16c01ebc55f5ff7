// SPDX-License-Identifier: MIT
/*
 * A transaction is all or nothing.  Each one here (install of 20 packages, upgrade, remove, rollback) runs
 * again and again and, with LONG=1 at every step and else at some, dies before the 1st, 2nd, … system call that changes the
 * disk, once as a killed process and once as a machine that lost its power.  After
 * recovery the root must be what it was before or what it is after, byte for byte
 * and as the database says, and must never turn back to "before" once a later
 * death has left "after".  Recovery itself is killed at every step, too.
 *
 * The disk becomes full at each step, too, and Ctrl-C comes; then nobody dies, but
 * the same holds, and what the command said is how it is.
 *
 * So that the test can fail it also runs on a disk whose syncfs does nothing, and
 * there has to find damage.
 */
#include <dirent.h>
#include <sodium.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "../lib/system.h"
#include "disk_calls.h"

static unsigned passed, failed;
static char *work;
static unsigned long states_seen;
static int last_end;		/* how the last child ended */

static void
check(bool good, const char *format, ...)
{
	va_list ap;

	if (good) {
		passed++;
		return;
	}
	failed++;
	if (failed > 20)
		return;
	va_start(ap, format);
	printf("FAILED ");
	vprintf(format, ap);
	va_end(ap);
	putchar('\n');
	fflush(stdout);
}

static char *
in_work(const char *name)
{
	return text_format("%s/%s", work, name);
}

static void
run(const char *format, const char *a, const char *b)
{
	char *command = text_format(format, a, b);

	if (system(command) != 0) {
		printf("cannot do: %s\n", command);
		exit(1);
	}
	free(command);
}

/* ---- packages ---- */

static void
put(const char *folder, const char *path, const char *content, unsigned mode)
{
	struct fault f;
	char *whole = text_format("%s/%s", folder, path), *slash = strrchr(whole, '/');

	*slash = '\0';
	folders_make(whole);
	*slash = '/';
	if (file_replace(whole, content, strlen(content), mode, &f) != 0) {
		printf("%s\n", f.text);
		exit(1);
	}
	free(whole);
}

static void
make(const char *name, const char *version, const char *more, const struct secret *secret)
{
	char *folder = in_work("files"), *template = in_work("template"), *repo = in_work("repo"), *path;
	char *text = text_format("name %s\nversion %s\narch any\nsummary s\nlicense MIT\ndate 1700000000\n%s", name, version,
	    more);
	struct create c = {.folder = folder, .template = template, .output = repo, .arch = "any", .secret = secret};
	struct fault f;

	put(work, "template", text, 0644);
	if (package_create(&c, &path, &f) != 0) {
		printf("%s\n", f.text);
		exit(1);
	}
	run("rm -rf %s%s", folder, "");
	free(path);
	free(text);
	free(folder);
	free(template);
	free(repo);
}

/* So many more packages come with a; each needs b. */
enum { COMPANY = 18 };

static void
make_company(const char *version, const struct secret *s)
{
	char *files = in_work("files");

	for (int i = 1; i <= COMPANY; i++) {
		char *name = text_format("c%02d", i), *program = text_format("usr/bin/%s", name);
		char *data = text_format("usr/share/%s/data", name), *text = text_format("%s of %s", version, name);

		/* Every third has the same program in both versions. */
		put(files, program, i % 3 == 0 ? name : text, 0755);
		put(files, data, text, 0644);
		make(name, version, "needs b\n", s);
		free(name);
		free(program);
		free(data);
		free(text);
	}
	free(files);
}

/* The template of a without what it needs of b. */
static char *
needs_of_a(const char *b)
{
	struct buffer text = {0};

	buffer_format(&text, "needs %s\nconfig etc/a.conf\nconfig etc/changed.conf\nconfig etc/merged.conf\n", b);
	for (int i = 1; i <= COMPANY; i++)
		buffer_format(&text, "needs c%02d\n", i);
	return text.data;
}

static void
make_packages(const struct secret *s)
{
	char *first = needs_of_a("b"), *second = needs_of_a("b>=2");
	char *files = in_work("files"), *big = mem_alloc(200001);

	memset(big, 'b', 200000);
	put(files, "usr/bin/a", "program of a, 1", 0755);
	put(files, "usr/share/a/same", "same", 0644);
	put(files, "usr/share/a/going/x", "goes with its folder", 0644);
	put(files, "usr/share/a/big", big, 0644);
	put(files, "etc/a.conf", "a=1", 0644);
	put(files, "etc/changed.conf", "c=1", 0644);
	put(files, "etc/merged.conf", "m=1\n\nn=1\n", 0644);
	run("ln -s a %s/usr/bin/l%s", files, "");
	make("a", "1-1", first, s);
	make_company("1-1", s);
	put(files, "usr/lib/b", "library of b, 1", 0644);
	make("b", "1-1", "", s);
	big[7] = 'c';
	put(files, "usr/bin/a", "program of a, 2, longer", 0750);
	put(files, "usr/share/a/same", "same", 0600);
	put(files, "usr/share/a/big", big, 0644);
	put(files, "usr/share/a/coming/y/z", "comes with its folders", 0644);
	put(files, "etc/a.conf", "a=2", 0644);
	put(files, "etc/changed.conf", "c=2", 0644);
	put(files, "etc/merged.conf", "m=1\n\nn=2\n", 0644);
	run("ln -s ../bin/a %s/usr/bin/l%s", files, "");
	make("a", "2-1", second, s);
	make_company("2-1", s);
	put(files, "usr/lib/b", "library of b, 2", 0644);
	put(files, "usr/lib/b.empty", "", 0644);
	make("b", "2-1", "", s);
	free(first);
	free(second);
	free(files);
	free(big);
}

/* ---- transactions, each in a process of its own ---- */

struct deed {
	const char *name;
	enum request_kind kind;
	const char *what;	/* NULL: recovery only */
	int64_t back_to;	/* not 0: the number of a transaction, no request */
};

static int
do_deed(const char *root_name, const struct deed *d, const char *boot, struct fault *f)
{
	char *path = in_work(root_name);
	struct root_options o = {.path = path, .arch = "any", .boot_id = boot, .write = true};
	struct root r;
	struct repos repos = {0};
	struct request q = {.kind = d->kind, .cascade = true};
	struct plan p = {0};
	int status = root_open(&r, &o, f);

	if (status == 0 && d->what != NULL) {
		if (d->what[0] != '\0')
			list_add(&q.names, d->what);
		status = repos_load(&r, &repos, false, f);
		if (status == 0)
			status = d->back_to ? rollback_plan(&r, d->back_to, &repos, &p, f) : solve(&r, &q, &repos, &p, f);
		if (status == 0)
			status = transaction_run(&r, &p, d->name, false, f);
	}
	plan_free(&p);
	list_free(&q.names);
	repos_free(&repos);
	root_close(&r);
	free(path);
	return status;
}

/* The steps it took if it ended well; 0 if it died as told. */
static unsigned long
in_child(const char *root_name, const struct deed *d, const char *boot, unsigned long step, enum death death)
{
	int ends[2], status;
	unsigned long steps = 0;

	if (pipe(ends) != 0)
		exit(1);
	fflush(stdout);
	pid_t child = fork();

	if (child == 0) {
		struct fault f = {0};

		disk_calls_arm(step, death);
		int result = do_deed(root_name, d, boot, &f);

		steps = disk_calls_count();
		disk_calls_arm(0, DEATH_KILL);
		if (result != 0 && death != DEATH_FULL && death != DEATH_SIGNAL) {
			printf("%s: %s\n", d->name, f.text);
			fflush(stdout);
		}
		(void)!write(ends[1], &steps, sizeof(steps));
		_exit(result);
	}
	close(ends[1]);
	bool told = read(ends[0], &steps, sizeof(steps)) == sizeof(steps);

	close(ends[0]);
	bool ended = child > 0 && waitpid(child, &status, 0) == child && WIFEXITED(status);
	int end = ended ? WEXITSTATUS(status) : -1;

	last_end = end;
	/* On a full disk or interrupted it may only fail, and only where it came so far. */
	if ((death == DEATH_FULL || death == DEATH_SIGNAL) && step != 0 && told && steps >= step && (end == 0 || end == PKG_FAILED))
		return 0;
	if (end != 0 && end != DEATH_STATUS) {
		check(false, "%s: ended with status %d at step %lu", d->name, status, step);
		return steps ? steps : 1;
	}
	return told ? steps : 0;
}

/* ---- what a root is ---- */

static int
no_dots(const struct dirent *e)
{
	return strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0;
}

static void
describe(struct buffer *b, const char *path, const char *below)
{
	char *whole = text_format("%s/%s", path, below), target[4096];
	struct dirent **names;
	struct stat st;
	int n;

	if (lstat(whole, &st) != 0 || strcmp(below, "var") == 0) {
		free(whole);
		return;
	}
	buffer_format(b, "%s %o %u %u ", below, st.st_mode, st.st_uid, st.st_gid);
	if (S_ISLNK(st.st_mode)) {
		ssize_t length = readlink(whole, target, sizeof(target) - 1);

		target[length > 0 ? length : 0] = '\0';
		buffer_format(b, "-> %s\n", target);
	} else if (S_ISREG(st.st_mode)) {
		struct buffer content = {0};
		struct fault f;

		file_read(whole, 1 << 24, &content, &f);
		/* A merge is made when it is made; all else has its package's date. */
		buffer_format(b, "%zu %lld:", content.length, strcmp(below, "etc/merged.conf") == 0 ? 0 : (long long)st.st_mtim.tv_sec);
		buffer_add(b, content.data, content.length);
		buffer_text(b, "\n");
		buffer_free(&content);
	} else {
		buffer_text(b, "\n");
		n = scandir(whole, &names, no_dots, alphasort);
		for (int i = 0; i < n; i++) {
			char *next = below[0] ? text_format("%s/%s", below, names[i]->d_name) : text_dup(names[i]->d_name);

			describe(b, path, next);
			free(next);
			free(names[i]);
		}
		if (n >= 0)
			free(names);
	}
	free(whole);
}

static void
describe_rows(struct root *r, struct buffer *b, const char *sql)
{
	sqlite3_stmt *s = sql_query(r, sql, "");

	while (sql_row(s)) {
		for (int i = 0; i < sqlite3_column_count(s); i++)
			buffer_format(b, "%s|", sql_text(s, i));
		buffer_text(b, "\n");
	}
}

static void
count_difference(void *context, const char *package, const char *path, const char *what)
{
	(void)package;
	(void)path;
	(void)what;
	*(unsigned *)context += 1;
}

/* Disk and database; and *wrong: what pkg verify finds. */
static char *
state(const char *root_name, unsigned *wrong)
{
	char *path = in_work(root_name);
	struct root_options o = {.path = path, .arch = "any"};
	struct buffer b = {0};
	struct fault f = {0};
	struct root r;

	*wrong = 0;
	describe(&b, path, "");
	if (root_open(&r, &o, &f) != 0) {
		check(false, "state: %s", f.text);
	} else if (r.db != NULL) {
		describe_rows(&r, &b, "SELECT name, version, automatic, header FROM package ORDER BY 1");
		describe_rows(&r, &b, "SELECT path, package, mode, size, hex(hash), target, config FROM file ORDER BY 1");
		describe_rows(&r, &b, "SELECT path, package, mode FROM folder ORDER BY 1, 2");
		describe_rows(&r, &b, "SELECT package, old, new, automatic FROM change ORDER BY history, package");
		describe_rows(&r, &b, "SELECT path, hex(hash), content FROM pristine ORDER BY 1, 2");
		if (verify_all(&r, count_difference, wrong, &f) != 0)
			check(false, "state: %s", f.text);
	}
	root_close(&r);
	free(path);
	return b.data;
}

static void
restore(const char *base)
{
	char *from = in_work(base), *to = in_work("root");

	run("rm -rf %s%s", to, "");
	run("cp -a %s %s", from, to);
	free(from);
	free(to);
}

static const struct deed recovery = {"recover", REQUEST_INSTALL, NULL, 0};

struct verdicts {
	const char *before, *after;
	bool seen_after;
	unsigned damaged;
};

/* The state after a death and a recovery. */
static void
judge(struct verdicts *v, const struct deed *d, unsigned long step, enum death death)
{
	unsigned wrong;
	char *now = state("root", &wrong);
	bool before = strcmp(now, v->before) == 0, after = strcmp(now, v->after) == 0;

	states_seen++;
	if (death == DEATH_NO_SYNC) {
		v->damaged += !before && !after;
	} else {
		check(before || after, "%s, death %d at step %lu: a mixture", d->name, death, step);
		check(wrong == 0, "%s, death %d at step %lu: verify finds %u", d->name, death, step, wrong);
		check(!(v->seen_after && before), "%s, death %d at step %lu: back to before", d->name, death, step);
		v->seen_after = v->seen_after || after;
	}
	free(now);
}

/* After Ctrl-C nothing is left to recover: it is done, or nothing was changed. */
static void
judge_signal(const struct verdicts *v, const struct deed *d, unsigned long step)
{
	char *stage = in_work("root/var/lib/pkg/stage");
	struct dirent **names;
	unsigned wrong;
	char *now = state("root", &wrong);
	int left = scandir(stage, &names, no_dots, alphasort);

	states_seen++;
	check(strcmp(now, last_end == 0 ? v->after : v->before) == 0, "%s, Ctrl-C at step %lu: status %d is not true", d->name,
	    step, last_end);
	check(wrong == 0 && (left == 0 || last_end == 0), "%s, Ctrl-C at step %lu: %d files left, verify finds %u", d->name, step,
	    left, wrong);
	for (int i = 0; i < left; i++)
		free(names[i]);
	if (left >= 0)
		free(names);
	free(stage);
	free(now);
}

/* LONG=1 dies at every step; make test at some of them. */
static unsigned long
stride(void)
{
	const char *l = getenv("LONG");

	return l != NULL && strcmp(l, "1") == 0 ? 1 : 31;
}

static void
die_everywhere(const char *base, const struct deed *d, struct verdicts *v, enum death death)
{
	/* After a loss of power the machine starts anew, after a kill it does not. */
	const char *next_boot = death == DEATH_KILL || death == DEATH_FULL ? "boot1" : "boot2";
	unsigned long step = 1;

	v->seen_after = false;
	for (;; step += stride()) {
		restore(base);
		if (in_child("root", d, "boot1", step, death) != 0)
			break;
		if (death == DEATH_SIGNAL) {
			judge_signal(v, d, step);
		} else {
			in_child("root", &recovery, next_boot, 0, DEATH_KILL);
			judge(v, d, step, death);
		}
		if (failed > 20)
			return;
	}
	if (death == DEATH_NO_SYNC || death == DEATH_FULL || death == DEATH_SIGNAL)
		return;
	check(v->seen_after, "%s: no death left the new state", d->name);
	/* It was whole: power fails after success. */
	judge(v, d, step, death);
	/* Deaths in recovery, after some deaths in the transaction. */
	for (unsigned long k = step > 40 ? step - 40 : 1; k < step; k += 7 * stride()) {
		for (unsigned long j = 1;; j += stride()) {
			restore(base);
			in_child("root", d, "boot1", k, death);
			if (in_child("root", &recovery, next_boot, j, death) != 0)
				break;
			in_child("root", &recovery, "boot3", 0, DEATH_KILL);
			v->seen_after = false;
			judge(v, d, k * 1000 + j, death);
			if (failed > 20)
				return;
		}
	}
}

static void
test_deed(const char *base, const char *result, const struct deed *d)
{
	unsigned wrong;
	unsigned long first = states_seen;
	struct verdicts v = {0};
	char *before, *after;

	restore(base);
	before = state("root", &wrong);
	unsigned long steps = in_child("root", d, "boot1", 0, DEATH_KILL);

	/* The next run strikes the list off; the state must not change by it. */
	in_child("root", &recovery, "boot1", 0, DEATH_KILL);
	after = state("root", &wrong);
	check(steps != 0 && wrong == 0 && strcmp(before, after) != 0, "%s does something", d->name);
	char *from = in_work("root"), *to = in_work(result);

	run("cp -a %s %s", from, to);
	v.before = before;
	v.after = after;
	die_everywhere(base, d, &v, DEATH_KILL);
	die_everywhere(base, d, &v, DEATH_POWER);
	die_everywhere(base, d, &v, DEATH_FULL);
	die_everywhere(base, d, &v, DEATH_SIGNAL);
	v.damaged = 0;
	if (d->kind != REQUEST_REMOVE) {
		die_everywhere(base, d, &v, DEATH_NO_SYNC);
		check(v.damaged != 0, "%s: without syncfs there must be damage", d->name);
	}
	printf("%s: %lu steps, %lu states, %u damaged where syncfs does nothing\n", d->name, steps, states_seen - first,
	    v.damaged);
	fflush(stdout);
	free(before);
	free(after);
	free(from);
	free(to);
}

/*
 * After a transaction that had nothing to do on the disk, in the same boot: its word that
 * its list was worked off must not be taken for the next one's.
 */
static void
test_second_in_a_boot(const struct deed *d)
{
	static const struct deed mark = {"mark", REQUEST_INSTALL, "b", 0};
	char *from = in_work("installed"), *to = in_work("marked");
	struct verdicts v = {0};
	char *before, *after;
	unsigned wrong;

	run("cp -a %s %s", from, to);
	check(in_child("marked", &mark, "boot1", 0, DEATH_KILL) != 0, "a package is marked as wanted by name");
	restore("marked");
	before = state("root", &wrong);
	unsigned long steps = in_child("root", d, "boot1", 0, DEATH_KILL);

	after = state("root", &wrong);
	check(steps > 16 && strcmp(before, after) != 0, "%s after a mark does something", d->name);
	v.before = before;
	v.after = after;
	for (unsigned long step = steps / 2; steps > 16 && step <= steps; step += steps / 16) {
		restore("marked");
		in_child("root", d, "boot1", step, DEATH_KILL);
		in_child("root", &recovery, "boot1", 0, DEATH_KILL);
		judge(&v, d, step, DEATH_KILL);
	}
	check(v.seen_after, "%s after a mark: no death left the new state", d->name);
	free(before);
	free(after);
	free(from);
	free(to);
}

static mode_t
mode_of(const char *name)
{
	char *path = in_work(name);
	struct stat st;
	mode_t mode = stat(path, &st) == 0 ? st.st_mode & 07777 : 0;

	free(path);
	return mode;
}

static void
give_mode(const char *name, mode_t mode)
{
	char *path = in_work(name);

	check(chmod(path, mode) == 0, "chmod %s", name);
	free(path);
}

/* What somebody did after a transaction is not undone when the next boot works its list off again. */
static void
test_later_changes(const struct deed *install, const struct deed *upgrade)
{
	static const char folder[] = "root/usr/share/a", file[] = "root/usr/share/a/same";

	restore("empty");
	check(in_child("root", install, "boot1", 0, DEATH_KILL) != 0 && mode_of(folder) == 0755, "install makes a folder");
	give_mode(folder, 0700);
	in_child("root", &recovery, "boot2", 0, DEATH_KILL);
	check(mode_of(folder) == 0700, "a folder that was made private is open again");
	/* As a death between making it and giving it its mode leaves it. */
	restore("empty");
	check(in_child("root", install, "boot1", 0, DEATH_KILL) != 0, "install");
	give_mode(folder, 01700);
	in_child("root", &recovery, "boot2", 0, DEATH_KILL);
	check(mode_of(folder) == 0755, "a folder that was only just made has no mode");
	restore("installed");
	check(in_child("root", upgrade, "boot1", 0, DEATH_KILL) != 0 && mode_of(file) == 0600, "upgrade changes a mode");
	give_mode(file, 0640);
	in_child("root", &recovery, "boot2", 0, DEATH_KILL);
	check(mode_of(file) == 0640, "a mode that was given after the upgrade is gone");
}

static void
prepare(void)
{
	char *repo = in_work("repo"), *key = in_work("key"), *secret_path = in_work("key.key"), *root = in_work("empty");
	char *keys = text_format("%s/etc/pkg/keys", root), *repos = text_format("main %s\n", repo);
	struct secret secret;
	struct index made;
	struct fault f = {0};

	if (folders_make(repo) != 0 || folders_make(keys) != 0 || key_make(key, &f) != 0 ||
	    secret_load(&secret, secret_path, &f) != 0) {
		printf("cannot prepare: %s\n", f.text);
		exit(1);
	}
	make_packages(&secret);
	check(index_build(repo, &secret, (uint64_t)time(NULL), 90, &made, &f) == 0, "index: %s", f.text);
	index_free(&made);
	run("cp %s.pub %s/", key, keys);
	put(root, "etc/pkg/repos", repos, 0644);
	put(root, "usr/share/mine", "of nobody", 0644);
	/* The database is there, so that every death is one within a transaction. */
	in_child("empty", &recovery, "boot1", 0, DEATH_KILL);
	free(repo);
	free(key);
	free(secret_path);
	free(root);
	free(keys);
	free(repos);
}

int
main(void)
{
	static const struct deed install = {"install", REQUEST_INSTALL, "a=1-1", 0};
	static const struct deed upgrade = {"upgrade", REQUEST_UPGRADE, "", 0};
	static const struct deed removal = {"remove", REQUEST_REMOVE, "b", 0};
	static const struct deed back = {"rollback", REQUEST_INSTALL, "", 2};
	char shm[] = "/dev/shm/pkg-crash-XXXXXX", tmp[] = "/tmp/pkg-crash-XXXXXX";

	if (sodium_init() < 0)
		return 1;
	umask(022);
	work = mkdtemp(shm);
	if (work == NULL)
		work = mkdtemp(tmp);
	if (work == NULL)
		return 1;
	prepare();
	test_deed("empty", "installed", &install);
	if (failed == 0)
		test_second_in_a_boot(&upgrade);
	if (failed == 0)
		test_later_changes(&install, &upgrade);
	/* Somebody edits a configuration file in between. */
	put(work, "installed/etc/changed.conf", "c=mine", 0644);
	put(work, "installed/etc/merged.conf", "m=mine\n\nn=1\n", 0644);
	if (failed == 0)
		test_deed("installed", "upgraded", &upgrade);
	if (failed == 0)
		test_deed("upgraded", "removed", &removal);
	/* All come back in their first version. */
	if (failed == 0)
		test_deed("removed", "back", &back);
	run("rm -rf %s%s", work, "");
	printf("%lu states judged, those of full disks, of Ctrl-C and where syncfs does nothing among them\n", states_seen);
	printf("%u passed, %u failed\n", passed, failed);
	return failed != 0;
}
