// SPDX-License-Identifier: MIT
/*
 * The C library's functions that change a disk, replaced for the whole process:
 * a program's own definitions come before those of its libraries.
 *
 * The loss of power is played on the worse side for data and on the better one
 * for names: what was appended to a file since its last flush is cut off, renames
 * and deletions have happened.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "../lib/system.h"
#include "disk_calls.h"

enum { FILES_MAX = 512 };

static struct tracked {
	dev_t device;
	ino_t inode;
	off_t flushed;	/* bytes that survive */
	int fd;		/* our own, so that the file can be cut after its close */
} files[FILES_MAX];
static int file_count;
static unsigned long count, last;
static enum death kind;

void
disk_calls_arm(unsigned long step, enum death death)
{
	count = 0;
	last = step;
	kind = death;
	file_count = 0;
}

unsigned long
disk_calls_count(void)
{
	return count;
}

static void
die(void)
{
	for (int i = 0; kind != DEATH_KILL && i < file_count; i++) {
		struct stat st;

		if (fstat(files[i].fd, &st) == 0 && st.st_size > files[i].flushed)
			(void)!syscall(SYS_ftruncate, files[i].fd, files[i].flushed);
	}
	_exit(DEATH_STATUS);
}

static void
step(void)
{
	if (++count != last || kind == DEATH_FULL)
		return;
	if (kind != DEATH_SIGNAL)
		die();
	pkg_interrupted = 1;	/* what the command's handler does */
}

/* A step that needs room; false: there is none. */
static bool
room(void)
{
	step();
	if (kind != DEATH_FULL || last == 0 || count < last)
		return true;
	errno = ENOSPC;
	return false;
}

/* Before the first write to it a file is what the disk has. */
static void
track(int fd)
{
	struct stat st;

	if (last == 0 || kind == DEATH_KILL || kind == DEATH_FULL || kind == DEATH_SIGNAL || fstat(fd, &st) != 0 || !S_ISREG(st.st_mode))
		return;
	for (int i = 0; i < file_count; i++) {
		if (files[i].device == st.st_dev && files[i].inode == st.st_ino)
			return;
	}
	if (file_count == FILES_MAX)
		abort();
	files[file_count++] = (struct tracked){st.st_dev, st.st_ino, st.st_size, fcntl(fd, F_DUPFD_CLOEXEC, 200)};
}

static void
flushed(int fd)
{
	struct stat st, own;

	if (fd >= 0 && fstat(fd, &st) != 0)
		return;
	for (int i = 0; i < file_count; i++) {
		if (fstat(files[i].fd, &own) == 0 &&
		    (fd < 0 || (files[i].device == st.st_dev && files[i].inode == st.st_ino)))
			files[i].flushed = own.st_size;
	}
}

static bool
is_disk(int fd)
{
	struct stat st;

	return fstat(fd, &st) == 0 && S_ISREG(st.st_mode);
}

static long
result(long r)
{
	return r;	/* syscall() has set errno */
}

ssize_t
write(int fd, const void *data, size_t n)
{
	if (is_disk(fd)) {
		if (!room())
			return -1;
		track(fd);
	}
	return result(syscall(SYS_write, fd, data, n));
}

ssize_t
pwrite64(int fd, const void *data, size_t n, off64_t at)
{
	if (!room())
		return -1;
	track(fd);
	return result(syscall(SYS_pwrite64, fd, data, n, at));
}

ssize_t
pwrite(int fd, const void *data, size_t n, off_t at)
{
	return pwrite64(fd, data, n, at);
}

static int
do_open(int folder, const char *path, int flags, mode_t mode)
{
	if ((flags & (O_CREAT | O_TRUNC)) != 0 && !room())
		return -1;
	return (int)result(syscall(SYS_openat, folder, path, flags, mode));
}

#define OPEN_MODE(flags)                                \
	mode_t mode = 0;                                \
	if (((flags) & (O_CREAT | __O_TMPFILE)) != 0) { \
		va_list ap;                             \
		va_start(ap, flags);                    \
		mode = (mode_t)va_arg(ap, unsigned);    \
		va_end(ap);                             \
	}

int
open(const char *path, int flags, ...)
{
	OPEN_MODE(flags)
	return do_open(AT_FDCWD, path, flags, mode);
}

int
open64(const char *path, int flags, ...)
{
	OPEN_MODE(flags)
	return do_open(AT_FDCWD, path, flags, mode);
}

int
openat(int folder, const char *path, int flags, ...)
{
	OPEN_MODE(flags)
	return do_open(folder, path, flags, mode);
}

int
openat64(int folder, const char *path, int flags, ...)
{
	OPEN_MODE(flags)
	return do_open(folder, path, flags, mode);
}

int
ftruncate64(int fd, off64_t size)
{
	step();
	return (int)result(syscall(SYS_ftruncate, fd, size));
}

int
ftruncate(int fd, off_t size)
{
	return ftruncate64(fd, size);
}

int
fallocate64(int fd, int mode, off64_t at, off64_t n)
{
	if (!room())
		return -1;
	track(fd);
	return (int)result(syscall(SYS_fallocate, fd, mode, at, n));
}

int
fallocate(int fd, int mode, off_t at, off_t n)
{
	return fallocate64(fd, mode, at, n);
}

int
fsync(int fd)
{
	step();
	int r = (int)result(syscall(SYS_fsync, fd));

	flushed(fd);
	return r;
}

int
fdatasync(int fd)
{
	step();
	int r = (int)result(syscall(SYS_fdatasync, fd));

	flushed(fd);
	return r;
}

int
syncfs(int fd)
{
	(void)fd;
	step();
	/* All that this process wrote; the host's own disks need not wait for us. */
	if (kind != DEATH_NO_SYNC)
		flushed(-1);
	return 0;
}

int
renameat(int from_folder, const char *from, int to_folder, const char *to)
{
	step();
	return (int)result(syscall(SYS_renameat2, from_folder, from, to_folder, to, 0));
}

int
rename(const char *from, const char *to)
{
	return renameat(AT_FDCWD, from, AT_FDCWD, to);
}

int
unlinkat(int folder, const char *path, int flags)
{
	step();
	return (int)result(syscall(SYS_unlinkat, folder, path, flags));
}

int
unlink(const char *path)
{
	return unlinkat(AT_FDCWD, path, 0);
}

int
mkdirat(int folder, const char *path, mode_t mode)
{
	if (!room())
		return -1;
	return (int)result(syscall(SYS_mkdirat, folder, path, mode));
}

int
mkdir(const char *path, mode_t mode)
{
	return mkdirat(AT_FDCWD, path, mode);
}

int
symlinkat(const char *target, int folder, const char *path)
{
	if (!room())
		return -1;
	return (int)result(syscall(SYS_symlinkat, target, folder, path));
}

int
fchmod(int fd, mode_t mode)
{
	step();
	return (int)result(syscall(SYS_fchmod, fd, mode));
}

int
fchmodat(int folder, const char *path, mode_t mode, int flags)
{
	(void)flags;
	step();
	return (int)result(syscall(SYS_fchmodat, folder, path, mode));
}

int
fchown(int fd, uid_t uid, gid_t gid)
{
	step();
	return (int)result(syscall(SYS_fchown, fd, uid, gid));
}

int
fchownat(int folder, const char *path, uid_t uid, gid_t gid, int flags)
{
	step();
	return (int)result(syscall(SYS_fchownat, folder, path, uid, gid, flags));
}
