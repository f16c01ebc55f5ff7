// SPDX-License-Identifier: MIT
/*
 * Opening a root: its folders, its lock, its database, its keys.
 */
#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "system.h"

volatile int pkg_interrupted;

char *
root_path(const struct root *r, const char *below)
{
	return text_format("%s/%s", r->path, below);
}

void
root_note(const struct root *r, const char *format, ...)
{
	char text[1024];
	va_list ap;

	if (r->progress == NULL)
		return;
	va_start(ap, format);
	vsnprintf(text, sizeof(text), format, ap);
	va_end(ap);
	r->progress(r->progress_context, PROGRESS_NOTE, text, 0, 0);
}

static int
make_folder(struct root *r, const char *below, struct fault *f)
{
	char *path = root_path(r, below);
	int status = folders_make(path) == 0 ? 0 : fault_errno(f, "cannot make %s", path);

	free(path);
	return status;
}

/* The kernel drops the lock with the process, so none is ever stale. */
static int
take_lock(struct root *r, struct fault *f)
{
	char *path = root_path(r, "var/lib/pkg/lock");

	r->lock_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
	int status = r->lock_fd < 0 ? fault_errno(f, "cannot open %s", path) : 0;

	if (status == 0 && flock(r->lock_fd, LOCK_EX | LOCK_NB) != 0)
		status = errno == EWOULDBLOCK ? fault_set(f, PKG_BUSY,
		    "another pkg works on %s/ at this moment; wait until it is done", r->path) :
		    fault_errno(f, "cannot lock %s", path);
	free(path);
	return status;
}

static int
prepare_writing(struct root *r, struct fault *f)
{
	struct statvfs vfs;

	if (fstatvfs(r->fd, &vfs) == 0 && (vfs.f_flag & ST_RDONLY) != 0)
		return fault_set(f, PKG_FAILED, "%s/ is mounted read-only; remount it for writing first", r->path);
	int status = make_folder(r, "var/lib/pkg/stage", f);

	if (status == 0)
		status = make_folder(r, "var/cache/pkg", f);
	if (status == 0)
		status = take_lock(r, f);
	if (status != 0)
		return status;
	r->stage_fd = openat(r->fd, "var/lib/pkg/stage", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	return r->stage_fd < 0 ? fault_errno(f, "cannot open %s/var/lib/pkg/stage", r->path) : 0;
}

static void
read_boot_id(struct root *r, const char *given)
{
	struct buffer b = {0};
	struct fault f;

	if (given != NULL)
		snprintf(r->boot_id, sizeof(r->boot_id), "%s", given);
	else if (file_read("/proc/sys/kernel/random/boot_id", 1024, &b, &f) == 0)
		snprintf(r->boot_id, sizeof(r->boot_id), "%.*s", (int)strcspn(b.data, "\n"), b.data);
	buffer_free(&b);
}

/* The database's word first: a root does not change its architecture. */
static int
read_arch(struct root *r, const struct root_options *o, struct fault *f)
{
	sqlite3_stmt *s = r->db ? sql_query(r, "SELECT value FROM meta WHERE key = 'arch'", "") : NULL;
	char *path = root_path(r, "etc/pkg/arch");
	struct buffer b = {0};
	struct utsname u;

	if (s != NULL && sqlite3_step(s) == SQLITE_ROW)
		r->arch = text_dup(sql_text(s, 0));
	sqlite3_finalize(s);
	if (r->arch == NULL && o->arch != NULL)
		r->arch = text_dup(o->arch);
	if (r->arch == NULL && access(path, R_OK) == 0 && file_read(path, 1024, &b, f) == 0)
		r->arch = text_dup_n(b.data, strcspn(b.data, " \n"));
	if (r->arch == NULL && uname(&u) == 0)
		r->arch = text_dup(u.machine);
	buffer_free(&b);
	free(path);
	if (r->arch == NULL || !name_is_valid(r->arch))
		return fault_set(f, PKG_USAGE, "no architecture is known for %s/", r->path);
	if (o->arch != NULL && strcmp(o->arch, r->arch) != 0)
		return fault_set(f, PKG_USAGE, "%s/ holds packages for %s, not for %s", r->path, r->arch, o->arch);
	return o->write ? sql_run(r, f, "INSERT OR IGNORE INTO meta VALUES('arch', ?)", "s", r->arch) : 0;
}

int
root_open(struct root *r, const struct root_options *o, struct fault *f)
{
	const char *path = o->path ? o->path : "/";
	size_t n = strlen(path);
	int status = 0;
	bool done;

	memset(r, 0, sizeof(*r));
	r->fd = r->stage_fd = r->lock_fd = r->parent_fd = -1;
	r->privileged = geteuid() == 0;
	r->progress = o->progress;
	r->progress_context = o->progress_context;
	while (n > 0 && path[n - 1] == '/')
		n--;
	r->path = text_dup_n(path, n);
	if (sodium_init() < 0)
		return fault_set(f, PKG_FAILED, "libsodium does not start");
	read_boot_id(r, o->boot_id);
	r->fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (r->fd < 0)
		return fault_errno(f, "cannot open the root %s", path);
	if (o->write)
		status = prepare_writing(r, f);
	if (status == 0)
		status = db_open(r, o->write, f);
	if (status == 0)
		status = read_arch(r, o, f);
	if (status == 0) {
		char *keys = root_path(r, "etc/pkg/keys");

		status = keys_load(&r->keys, keys, f);
		free(keys);
	}
	if (status == 0 && o->write)
		status = transaction_recover(r, &done, f);
	return status;
}

void
root_close(struct root *r)
{
	disk_forget(r);
	sqlite3_close(r->db);
	if (r->stage_fd >= 0)
		close(r->stage_fd);
	if (r->fd >= 0)
		close(r->fd);
	if (r->lock_fd >= 0)
		close(r->lock_fd);
	keys_free(&r->keys);
	free(r->path);
	free(r->arch);
	memset(r, 0, sizeof(*r));
	r->fd = r->stage_fd = r->lock_fd = r->parent_fd = -1;
}
