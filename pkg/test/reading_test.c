// SPDX-License-Identifier: MIT
/*
 * A database that stops answering in the midst of its rows: what was read so far is
 * not taken for all.
 */
#include <fcntl.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "../lib/system.h"

enum { ROWS = 300, STEPS = 1000 };	/* a row takes about a dozen of SQLite's steps */

static unsigned passed, failed;
static char work[] = "/tmp/pkg-reading-XXXXXX";

static void
check(bool good, const char *what, const char *detail)
{
	if (good) {
		passed++;
		return;
	}
	failed++;
	printf("FAILED %s: %s\n", what, detail);
}

static int
stop(void *context)
{
	(void)context;
	return 1;
}

static bool
is_marked(struct root *r)
{
	sqlite3_stmt *s = sql_query(r, "SELECT 1 FROM meta WHERE key = 'applied'", "");
	bool marked = s != NULL && sqlite3_step(s) == SQLITE_ROW;

	sqlite3_finalize(s);
	return marked;
}

static bool
is_there(struct root *r, int row)
{
	char name[16];
	struct stat st;

	snprintf(name, sizeof(name), "d%d", row);
	return fstatat(r->fd, name, &st, 0) == 0 && S_ISDIR(st.st_mode);
}

static void
a_pending_list_is_read_to_its_end(struct root *r, struct fault *f)
{
	for (int i = 1; i <= ROWS; i++) {
		char name[16];

		snprintf(name, sizeof(name), "d%d", i);
		check(sql_run(r, f, "INSERT INTO pending VALUES(?,'mkdir',?,0,493,?,?,0,0,0)", "isii", (int64_t)i, name,
		    (int64_t)geteuid(), (int64_t)getegid()) == 0, "insert", f->text);
	}
	sqlite3_progress_handler(r->db, STEPS, stop, NULL);
	int status = pending_apply(r, false, f);

	sqlite3_progress_handler(r->db, 0, NULL, NULL);
	check(status == PKG_FAILED && is_there(r, 1) && !is_there(r, ROWS), "stopped in the midst", f->text);
	check(!is_marked(r), "not marked as worked off", "it is");
	check(pending_apply(r, true, f) == 0 && is_there(r, ROWS) && is_marked(r), "the rest", f->text);
}

static void
an_installed_package_has_all_its_files(struct root *r, struct fault *f)
{
	struct manifest m;

	check(sql_run(r, f, "INSERT INTO package VALUES('p','1-1',0,0,?)", "s",
	    "name p\nversion 1-1\narch any\nsummary s\nlicense MIT\n") == 0, "insert", f->text);
	for (int i = 1; i <= ROWS; i++) {
		char name[16];

		snprintf(name, sizeof(name), "d%d", i);
		check(sql_run(r, f, "INSERT INTO folder VALUES(?,'p',493,0,0)", "s", name) == 0, "insert", f->text);
	}
	sqlite3_progress_handler(r->db, STEPS, stop, NULL);
	int status = db_package(r, "p", true, &m, f);

	sqlite3_progress_handler(r->db, 0, NULL, NULL);
	check(status == PKG_FAILED, "half a package is none", "it is");
	manifest_free(&m);
	check(db_package(r, "p", true, &m, f) == 0 && m.entry_count == ROWS, "the whole", f->text);
	manifest_free(&m);
}

/* A trigger's program gets none of our folders. */
static void
folders_are_closed_in_children(struct root *r)
{
	const char *name;
	int parent = disk_parent(r, "top", &name);

	check(parent >= 0 && (fcntl(parent, F_GETFD) & FD_CLOEXEC) != 0, "the root's folder", "stays open in a trigger");
	disk_forget(r);
}

/* As long as another process has the database for itself; it lets go after a while. */
static void
who_comes_amid_a_write_waits(struct fault *f)
{
	struct timespec pause = {0, 300000000};
	char *path = text_format("%s/var/lib/pkg/db", work), ready = 0;
	int ends[2];
	sqlite3 *db;

	if (pipe(ends) != 0)
		return check(false, "pipe", "");
	pid_t child = fork();

	if (child == 0) {
		if (sqlite3_open(path, &db) != SQLITE_OK || sqlite3_exec(db, "PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE;"
		    "INSERT INTO meta VALUES('other', '')", NULL, NULL, NULL) != SQLITE_OK)
			_exit(1);
		(void)!write(ends[1], &ready, 1);
		nanosleep(&pause, NULL);
		_exit(0);
	}
	close(ends[1]);
	check(child > 0 && read(ends[0], &ready, 1) == 1, "another process", "does not get the database");
	close(ends[0]);
	for (int write = 0; write < 2; write++) {
		struct root_options o = {.path = work, .arch = "any", .boot_id = "boot1", .write = write != 0};
		struct root r;

		check(root_open(&r, &o, f) == 0, write ? "writer" : "reader", f->text);
		root_close(&r);
	}
	waitpid(child, NULL, 0);
	free(path);
}

int
main(void)
{
	struct root_options o = {.path = work, .arch = "any", .boot_id = "boot1", .write = true};
	struct fault f = {0};
	struct root r;

	if (sodium_init() < 0 || mkdtemp(work) == NULL)
		return 1;
	if (root_open(&r, &o, &f) != 0) {
		check(false, "open", f.text);
	} else {
		folders_are_closed_in_children(&r);
		a_pending_list_is_read_to_its_end(&r, &f);
		an_installed_package_has_all_its_files(&r, &f);
	}
	root_close(&r);
	who_comes_amid_a_write_waits(&f);
	char *remove = text_format("rm -rf '%s'", work);

	(void)!system(remove);
	free(remove);
	printf("%u passed, %u failed\n", passed, failed);
	return failed != 0;
}
