// SPDX-License-Identifier: MIT
/*
 * The pending list: what a committed transaction still has to do to the disk.
 * It is worked off right after the commit and stays until the next run, which
 * flushes and strikes it off; after a crash it is worked off again.  So each
 * entry must be harmless when it was done before:
 *
 *	mkdir	 the folder is there: it gets its mode only if it still has that of a
 *		 folder which was just made; somebody may have given it another one since
 *	rename	 the staged file is gone: it has its name already
 *	mode	 only where mode and owner are those of before the commit, for the same reason
 *	delete	 only the very file that was there before the commit (inode, size and
 *		 date): one that was made since is somebody else's
 *	rmdir	 only an empty folder
 *	trigger	 programs of packages that may run at any time
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "system.h"

struct pending {
	const char *op, *path;
	int64_t stage;
	unsigned mode, uid, gid;
	int64_t inode, size, mtime;
};

/* Nobody else makes folders like that (but for S_ISGID, which one may inherit): owner and mode are still to be set. */
enum { JUST_MADE = 01700 };

/*
 * Whether mode and owner are those of before: in a mode line inode, size and mtime are
 * owner, group and mode then.  The owner is set first, which may take bits of the mode away.
 */
static bool
is_as_before(const struct pending *p, const struct stat *st)
{
	mode_t mode = (mode_t)p->mtime;

	return ((int64_t)st->st_uid == p->inode || st->st_uid == p->uid) &&
	    ((int64_t)st->st_gid == p->size || st->st_gid == p->gid) &&
	    (st->st_mode == mode || st->st_mode == (mode & ~(mode_t)(S_ISUID | S_ISGID)));
}

static int
set_mode(const struct root *r, const struct pending *p, int parent, const char *name)
{
	struct stat st;

	if (fstatat(parent, name, &st, AT_SYMLINK_NOFOLLOW) != 0)
		return errno == ENOENT ? 0 : -1;
	/* 0: a list of an older version, which does not tell. */
	if (p->mtime != 0 && (strcmp(p->op, "mkdir") == 0 ? (st.st_mode & 07777 & ~(mode_t)S_ISGID) != JUST_MADE : !is_as_before(p, &st)))
		return 0;
	if (r->privileged && fchownat(parent, name, p->uid, p->gid, AT_SYMLINK_NOFOLLOW) != 0)
		return -1;
	return S_ISLNK(st.st_mode) ? 0 : fchmodat(parent, name, p->mode, 0);
}

static int
apply_mkdir(struct root *r, const struct pending *p, int parent, const char *name)
{
	struct pending now = *p;

	if (mkdirat(parent, name, JUST_MADE) == 0)
		now.mtime = 0;	/* whatever the file system made of that mode */
	else if (errno != EEXIST)
		return -1;
	disk_folder_made(r);
	return set_mode(r, &now, parent, name);
}

static int
apply_rename(struct root *r, const struct pending *p, int parent, const char *name)
{
	char number[24];
	struct stat st;

	snprintf(number, sizeof(number), "%" PRId64, p->stage);
	if (renameat(r->stage_fd, number, parent, name) == 0)
		return 0;
	/* Gone from the staging folder: renamed before. */
	int error = errno;
	bool gone = error == ENOENT && fstatat(r->stage_fd, number, &st, AT_SYMLINK_NOFOLLOW) != 0 && errno == ENOENT;

	errno = error;
	return gone ? 0 : -1;
}

static int
apply_delete(const struct pending *p, int parent, const char *name)
{
	struct stat st;

	if (fstatat(parent, name, &st, AT_SYMLINK_NOFOLLOW) != 0)
		return errno == ENOENT ? 0 : -1;
	int64_t mtime = st.st_mtim.tv_sec * 1000000000 + st.st_mtim.tv_nsec;

	if ((int64_t)st.st_ino != p->inode || st.st_size != p->size || mtime != p->mtime)
		return 0;
	return unlinkat(parent, name, 0);
}

static int
apply_rmdir(int parent, const char *name)
{
	if (unlinkat(parent, name, AT_REMOVEDIR) == 0 || errno == ENOENT || errno == ENOTEMPTY || errno == EEXIST ||
	    errno == ENOTDIR || errno == EBUSY)
		return 0;
	return -1;
}

/* Runs in the root; without the right to enter it only for the system itself. */
static void
run_trigger(struct root *r, const char *command)
{
	char *copy = text_dup(command), *save = NULL, *arguments[64];
	size_t n = 0;
	int result = 0;

	for (char *w = strtok_r(copy, " ", &save); w != NULL && n < 63; w = strtok_r(NULL, " ", &save))
		arguments[n++] = w;
	arguments[n] = NULL;
	if (r->path[0] != '\0' && geteuid() != 0) {
		root_note(r, "trigger '%s' was left out: it runs in %s/, which only root may enter", command, r->path);
		free(copy);
		return;
	}
	pid_t child = fork();

	if (child == 0) {
		if ((r->path[0] != '\0' && fchdir(r->fd) == 0 && chroot(".") == 0) || r->path[0] == '\0') {
			(void)!chdir("/");
			execv(arguments[0], arguments);
		}
		_exit(127);
	}
	while (child > 0 && waitpid(child, &result, 0) < 0 && errno == EINTR)
		;
	if (child < 0 || result != 0)
		root_note(r, "trigger '%s' failed (status %d); the packages are installed", command,
		    child < 0 ? -1 : WIFEXITED(result) ? WEXITSTATUS(result) : 128 + WTERMSIG(result));
	free(copy);
}

static int
apply_one(struct root *r, const struct pending *p)
{
	const char *name;

	if (strcmp(p->op, "trigger") == 0) {
		run_trigger(r, p->path);
		return 0;
	}
	int parent = disk_parent(r, p->path, &name);

	if (strcmp(p->op, "mkdir") == 0)
		return parent < 0 ? -1 : apply_mkdir(r, p, parent, name);
	if (strcmp(p->op, "rename") == 0)
		return parent < 0 ? -1 : apply_rename(r, p, parent, name);
	/* What lies in a folder that is gone is gone. */
	if (parent < 0)
		return errno == ENOENT || errno == ENOTDIR ? 0 : -1;
	if (strcmp(p->op, "mode") == 0)
		return set_mode(r, p, parent, name);
	if (strcmp(p->op, "delete") == 0)
		return apply_delete(p, parent, name);
	disk_forget(r);
	parent = disk_parent(r, p->path, &name);
	return parent < 0 ? 0 : apply_rmdir(parent, name);
}

/* Somebody's later change of the disk, which no repetition overcomes. */
static bool
is_lasting(int error)
{
	return error == ENOENT || error == ENOTDIR || error == EISDIR || error == ENOTEMPTY || error == EEXIST;
}

int
pending_apply(struct root *r, bool redo, struct fault *f)
{
	sqlite3_stmt *s = sql_query(r, "SELECT op, path, stage, mode, uid, gid, inode, size, mtime FROM pending ORDER BY seq", "");

	if (s == NULL)
		return db_error(r, f);
	disk_forget(r);
	while (sql_row(s)) {
		struct pending p = {
			.op = sql_text(s, 0), .path = sql_text(s, 1), .stage = sqlite3_column_int64(s, 2),
			.mode = (unsigned)sqlite3_column_int(s, 3), .uid = (unsigned)sqlite3_column_int(s, 4),
			.gid = (unsigned)sqlite3_column_int(s, 5), .inode = sqlite3_column_int64(s, 6),
			.size = sqlite3_column_int64(s, 7), .mtime = sqlite3_column_int64(s, 8),
		};

		if (apply_one(r, &p) == 0)
			continue;
		if (redo && is_lasting(errno)) {
			root_note(r, "/%s was changed by somebody else meanwhile (%s); 'pkg verify' shows what differs", p.path,
			    strerror(errno));
			continue;
		}
		int status = fault_errno(f, "the transaction counts, but /%s could not be brought into place (%s); "
		    "run 'pkg recover' when the cause is gone", p.path, p.op);

		sqlite3_finalize(s);
		return status;
	}
	disk_forget(r);
	if (!sql_ended(r))
		return db_error(r, f);
	/*
	 * A remark that this boot need not do it again; it may be lost, so it costs no
	 * flush, and after a loss of power the boot is another one.
	 */
	sqlite3_exec(r->db, "PRAGMA synchronous = NORMAL", NULL, NULL, NULL);
	int status = r->boot_id[0] == '\0' ? 0 :
	    sql_run(r, f, "INSERT OR REPLACE INTO meta VALUES('applied', ?)", "s", r->boot_id);

	sqlite3_exec(r->db, "PRAGMA synchronous = FULL", NULL, NULL, NULL);
	return status;
}

static int
count_pending(struct root *r)
{
	sqlite3_stmt *s = sql_query(r, "SELECT count(*) FROM pending", "");
	int count = s != NULL && sqlite3_step(s) == SQLITE_ROW ? sqlite3_column_int(s, 0) : -1;

	sqlite3_finalize(s);
	return count;
}

static bool
applied_in_this_boot(struct root *r)
{
	sqlite3_stmt *s = sql_query(r, "SELECT value FROM meta WHERE key = 'applied'", "");
	bool applied = s != NULL && r->boot_id[0] != '\0' && sqlite3_step(s) == SQLITE_ROW &&
	    strcmp(sql_text(s, 0), r->boot_id) == 0;

	sqlite3_finalize(s);
	return applied;
}

int
stage_empty(struct root *r, struct fault *f)
{
	int fd = openat(r->stage_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC), count = 0;
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *e;

	if (d == NULL) {
		fault_errno(f, "cannot open %s/var/lib/pkg/stage", r->path);
		if (fd >= 0)
			close(fd);
		return -1;
	}
	while (count >= 0 && (e = readdir(d)) != NULL) {
		if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
			continue;
		if (unlinkat(r->stage_fd, e->d_name, 0) != 0) {
			fault_errno(f, "cannot remove %s/var/lib/pkg/stage/%s", r->path, e->d_name);
			count = -1;
		} else {
			count++;
		}
	}
	closedir(d);
	return count;
}

static int
strike_off(struct root *r, struct fault *f)
{
	if (syncfs(r->stage_fd) != 0)
		return fault_errno(f, "cannot write the files out to the disk");
	int status = sql_run(r, f, "BEGIN IMMEDIATE", "");

	if (status == 0)
		status = sql_run(r, f, "DELETE FROM pending", "");
	if (status == 0)
		status = sql_run(r, f, "DELETE FROM meta WHERE key = 'applied'", "");
	if (status == 0)
		status = sql_run(r, f, "COMMIT", "");
	if (status != 0)
		sqlite3_exec(r->db, "ROLLBACK", NULL, NULL, NULL);
	return status;
}

int
transaction_recover(struct root *r, bool *done, struct fault *f)
{
	int pending = count_pending(r), status = 0;

	*done = false;
	if (pending < 0)
		return db_error(r, f);
	if (pending > 0) {
		if (!applied_in_this_boot(r)) {
			*done = true;
			root_note(r, "completing the last transaction, which was interrupted after its commit or before a flush");
			status = pending_apply(r, true, f);
		}
		if (status == 0)
			status = strike_off(r, f);
	}
	if (status != 0)
		return status;
	int left = stage_empty(r, f);

	if (left > 0 && pending == 0) {
		*done = true;
		root_note(r, "removed %d files of a transaction that was interrupted before its commit", left);
	}
	return left < 0 ? f->status : 0;
}
