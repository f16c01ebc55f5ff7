/* SPDX-License-Identifier: MIT */
/*
 * Files of a tmpfs: names, links, holes, offsets, times, locks.
 */
#include "conform.h"
#include <dirent.h>
#include <sys/file.h>
#include <sys/xattr.h>

static int create(const char *path) { int fd = open(path, O_RDWR | O_CREAT | O_EXCL, 0644); REQUIRE(fd >= 0); return fd; }
static int exists(const char *path) { struct stat st; return lstat(path, &st) == 0; }
static ino_t inode(const char *path) { struct stat st; EQUAL(lstat(path, &st), 0); return st.st_ino; }

static void
open_flags(void)
{
	char c;
	int fd;

	in_new_folder();
	FAILS(open("f", O_RDONLY), ENOENT);
	fd = create("f");
	FAILS(open("f", O_CREAT | O_EXCL | O_RDWR, 0644), EEXIST);
	EQUAL(write(fd, "abc", 3), 3);
	fd = open("f", O_WRONLY | O_APPEND);
	EQUAL(lseek(fd, 0, SEEK_SET), 0);
	EQUAL(write(fd, "d", 1), 1);
	EQUAL(lseek(fd, 0, SEEK_CUR), 4);
	FAILS(read(fd, &c, 1), EBADF);
	fd = open("f", O_RDONLY);
	FAILS(write(fd, "x", 1), EBADF);
	open("f", O_WRONLY | O_TRUNC);
	EQUAL(read(fd, &c, 1), 0);
	EQUAL(mkdir("d", 0755), 0);
	FAILS(open("d", O_WRONLY), EISDIR);
	FAILS(open("f", O_RDONLY | O_DIRECTORY), ENOTDIR);
	FAILS(open("f/", O_RDONLY), ENOTDIR);
	FAILS(open("f/x", O_RDONLY), ENOTDIR);
	EQUAL(symlink("f", "l"), 0);
	FAILS(open("l", O_RDONLY | O_NOFOLLOW), ELOOP);
	EQUAL(symlink("loop", "loop"), 0);
	FAILS(open("loop", O_RDONLY), ELOOP);
	fd = open("f", O_PATH);
	REQUIRE(fd >= 0);
	FAILS(read(fd, &c, 1), EBADF);
	FAILS(open("", O_RDONLY), ENOENT);
}

static void
unlinked_files_live_until_closed(void)
{
	char text[8] = "";
	struct stat st;
	int fd;

	in_new_folder();
	fd = create("f");
	EQUAL(unlink("f"), 0);
	FAILS(unlink("f"), ENOENT);
	EQUAL(write(fd, "here", 4), 4);
	EQUAL(pread(fd, text, 4, 0), 4);
	EQUAL(strcmp(text, "here"), 0);
	EQUAL(fstat(fd, &st), 0);
	EQUAL(st.st_nlink, 0);
}

static void
rename_matrix(void)
{
	ino_t f, g;

	in_new_folder();
	close(create("f"));
	close(create("g"));
	EQUAL(mkdir("d", 0755), 0);
	EQUAL(mkdir("e", 0755), 0);
	close(create("e/x"));
	f = inode("f");
	EQUAL(rename("f", "g"), 0);
	EQUAL(inode("g"), f);
	REQUIRE(!exists("f"));
	FAILS(rename("g", "d"), EISDIR);
	FAILS(rename("d", "g"), ENOTDIR);
	FAILS(rename("d", "e"), ENOTEMPTY);
	EQUAL(rename("e", "d"), 0);
	REQUIRE(exists("d/x") && !exists("e"));
	FAILS(rename("d", "d/inside"), EINVAL);
	FAILS(rename("none", "x"), ENOENT);
	EQUAL(link("g", "h"), 0);
	EQUAL(rename("g", "h"), 0);		/* the same file: nothing happens */
	REQUIRE(exists("g") && exists("h"));
	FAILS(syscall(SYS_renameat2, AT_FDCWD, "g", AT_FDCWD, "h", 1), EEXIST);
	g = inode("g");
	f = inode("d");
	EQUAL(syscall(SYS_renameat2, AT_FDCWD, "g", AT_FDCWD, "d", 2), 0);
	EQUAL(inode("d"), g);
	EQUAL(inode("g"), f);
	FAILS(rename("g", "."), EBUSY);
}

static void
links_are_counted(void)
{
	struct stat st;
	char text[16];

	in_new_folder();
	close(create("f"));
	EQUAL(link("f", "g"), 0);
	EQUAL(stat("f", &st), 0);
	EQUAL(st.st_nlink, 2);
	EQUAL(mkdir("d", 0755), 0);
	EQUAL(mkdir("d/e", 0755), 0);
	EQUAL(stat("d", &st), 0);
	EQUAL(st.st_nlink, 3);
	FAILS(link("d", "x"), EPERM);
	FAILS(link("f", "g"), EEXIST);
	FAILS(rmdir("d"), ENOTEMPTY);
	FAILS(unlink("d"), EISDIR);
	FAILS(rmdir("f"), ENOTDIR);
	EQUAL(symlink("target", "s"), 0);
	EQUAL(readlink("s", text, sizeof(text)), 6);
	EQUAL(readlink("s", text, 3), 3);
	FAILS(readlink("f", text, sizeof(text)), EINVAL);
	FAILS(rmdir("d/."), EINVAL);
}

static void
holes_read_as_zeros(void)
{
	struct stat st;
	char text[4] = "xxx";
	int fd;

	in_new_folder();
	fd = create("f");
	EQUAL(pwrite(fd, "end", 3, 1 << 20), 3);
	EQUAL(pread(fd, text, 3, 4096), 3);
	EQUAL(memcmp(text, "\0\0\0", 3), 0);
	EQUAL(fstat(fd, &st), 0);
	EQUAL(st.st_size, (1 << 20) + 3);
	REQUIRE(st.st_blocks <= 16);
	EQUAL(lseek(fd, 0, SEEK_DATA), 1 << 20);
	EQUAL(lseek(fd, 0, SEEK_HOLE), 0);
	EQUAL(ftruncate(fd, 5000), 0);
	EQUAL(ftruncate(fd, 1 << 20), 0);
	EQUAL(pwrite(fd, "abc", 3, 0), 3);
	EQUAL(ftruncate(fd, 1), 0);
	EQUAL(ftruncate(fd, 3), 0);
	EQUAL(pread(fd, text, 3, 0), 3);
	EQUAL(memcmp(text, "a\0\0", 3), 0);
	FAILS(ftruncate(fd, -1), EINVAL);
	FAILS(lseek(fd, -1, SEEK_SET), EINVAL);
}

static void
random_writes_agree_with_a_model(void)
{
	enum { SIZE = 100000 };
	static char model[SIZE], buffer[SIZE];
	uint64_t random = 7;
	size_t length = 0;
	int fd;

	in_new_folder();
	fd = create("f");
	for (int i = 0; i < 2000; i++) {
		size_t at = next_random(&random) % SIZE, n = next_random(&random) % 9000;

		if (n > SIZE - at)
			n = SIZE - at;
		switch (next_random(&random) % 4) {
		case 0:
			memset(buffer, i, n);
			EQUAL(pwrite(fd, buffer, n, (off_t)at), n);
			memset(model + at, i, n);
			if (n > 0 && at + n > length)
				length = at + n;
			break;
		case 1:
			if (i % 7 == 0) {
				EQUAL(ftruncate(fd, (off_t)at), 0);
				if (at < length)
					memset(model + at, 0, length - at);
				length = at;
			}
			break;
		default: {
			size_t left = at < length ? length - at : 0;

			EQUAL(pread(fd, buffer, n, (off_t)at), left < n ? left : n);
			EQUAL(memcmp(buffer, model + at, left < n ? left : n), 0);
		}
		}
	}
}

static void
folders_can_be_read_while_they_change(void)
{
	enum { N = 500 };
	static char seen[N];
	struct dirent *e;
	char name[16];
	DIR *d;
	int n = 0;

	in_new_folder();
	for (int i = 0; i < N; i++) {
		snprintf(name, sizeof(name), "%d", i);
		close(create(name));
	}
	d = opendir(".");
	while ((e = readdir(d)) != NULL) {
		if (e->d_name[0] == '.')
			continue;
		EQUAL(e->d_type, DT_REG);
		EQUAL(seen[atoi(e->d_name)]++, 0);
		EQUAL(unlink(e->d_name), 0);
		n++;
	}
	EQUAL(n, N);
	rewinddir(d);
	n = 0;
	while (readdir(d) != NULL)
		n++;
	EQUAL(n, 2);
}

static void
times_are_kept(void)
{
	struct timespec ts[2] = { { 1000, 123456789 }, { 2000, 987654321 } };
	struct stat st, later;

	in_new_folder();
	close(create("f"));
	EQUAL(utimensat(AT_FDCWD, "f", ts, 0), 0);
	EQUAL(stat("f", &st), 0);
	EQUAL(st.st_atim.tv_nsec, 123456789);
	EQUAL(st.st_mtim.tv_sec, 2000);
	EQUAL(st.st_mtim.tv_nsec, 987654321);
	ts[0].tv_nsec = UTIME_OMIT;
	ts[1].tv_nsec = UTIME_NOW;
	EQUAL(utimensat(AT_FDCWD, "f", ts, 0), 0);
	EQUAL(stat("f", &later), 0);
	EQUAL(later.st_atim.tv_sec, 1000);
	REQUIRE(later.st_mtim.tv_sec > 1000000000);
	EQUAL(chmod("f", 04711), 0);
	EQUAL(stat("f", &st), 0);
	EQUAL(st.st_mode, S_IFREG | 04711);
	REQUIRE(st.st_ctim.tv_sec >= later.st_ctim.tv_sec);
}

static void
modes_bind_others(void)
{
	int status;
	pid_t p;

	in_new_folder();
	REQUIRE(chmod(".", 0755) == 0);
	close(create("f"));
	EQUAL(chmod("f", 0600), 0);
	EQUAL(mkdir("d", 0700), 0);
	close(create("d/x"));
	p = fork();
	if (p == 0) {
		REQUIRE(setgid(1000) == 0 && setuid(1000) == 0);
		FAILS(open("f", O_RDONLY), EACCES);
		FAILS(open("d/x", O_RDONLY), EACCES);
		FAILS(open("new", O_CREAT | O_WRONLY, 0600), EACCES);
		FAILS(unlink("f"), EACCES);
		FAILS(chmod("f", 0666), EPERM);
		FAILS(chown("f", 1000, 1000), EPERM);
		FAILS(access("f", R_OK), EACCES);
		_exit(0);
	}
	EQUAL(waitpid(p, &status, 0), p);
	EQUAL(status, 0);
}

static void
umask_and_cwd(void)
{
	char where[256];
	struct stat st;

	in_new_folder();
	umask(077);
	close(open("f", O_CREAT | O_WRONLY, 0666));
	stat("f", &st);
	EQUAL(st.st_mode & 0777, 0600);
	EQUAL(mkdir("d", 0777), 0);
	EQUAL(chdir("d"), 0);
	EQUAL(rename("../d", "../e"), 0);
	REQUIRE(getcwd(where, sizeof(where)) != NULL);
	EQUAL(strcmp(where + strlen(where) - 2, "/e"), 0);
	EQUAL(rmdir("../e"), 0);
	REQUIRE(getcwd(where, sizeof(where)) == NULL && errno == ENOENT);
	FAILS(open("x", O_CREAT | O_WRONLY, 0600), ENOENT);
	EQUAL(chdir(".."), 0);
	FAILS(getcwd(where, 2) != NULL ? 0 : -1, ERANGE);
}

static void
locks_exclude(void)
{
	struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 10, .l_len = 10 };
	int fd, status;
	pid_t p;

	in_new_folder();
	fd = create("f");
	EQUAL(fcntl(fd, F_SETLK, &lock), 0);
	p = fork();
	if (p == 0) {
		struct flock mine = { .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 15, .l_len = 1 };
		int own = open("f", O_RDWR);

		FAILS(fcntl(own, F_SETLK, &mine), EAGAIN);
		EQUAL(fcntl(own, F_GETLK, &mine), 0);
		EQUAL(mine.l_pid, getppid());
		EQUAL(mine.l_start, 10);
		mine = (struct flock){ .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 20, .l_len = 1 };
		EQUAL(fcntl(own, F_SETLK, &mine), 0);
		EQUAL(flock(own, LOCK_EX | LOCK_NB), 0);
		_exit(0);
	}
	EQUAL(waitpid(p, &status, 0), p);
	EQUAL(status, 0);
	EQUAL(flock(fd, LOCK_SH | LOCK_NB), 0);
	FAILS(flock(open("f", O_RDWR), LOCK_EX | LOCK_NB), EAGAIN);
}

static void
extended_attributes(void)
{
	char value[16];

	in_new_folder();
	close(create("f"));
	FAILS(getxattr("f", "trusted.none", value, sizeof(value)), ENODATA);
	EQUAL(setxattr("f", "trusted.a", "12345", 5, 0), 0);
	EQUAL(getxattr("f", "trusted.a", value, sizeof(value)), 5);
	EQUAL(getxattr("f", "trusted.a", NULL, 0), 5);
	FAILS(getxattr("f", "trusted.a", value, 2), ERANGE);
	FAILS(setxattr("f", "trusted.a", "x", 1, XATTR_CREATE), EEXIST);
	FAILS(setxattr("f", "trusted.b", "x", 1, XATTR_REPLACE), ENODATA);
	EQUAL(removexattr("f", "trusted.a"), 0);
	FAILS(removexattr("f", "trusted.a"), ENODATA);
	FAILS(setxattr("f", "strange", "x", 1, 0), EOPNOTSUPP);
}

static void
descriptors(void)
{
	int fd, copy;

	in_new_folder();
	fd = create("f");
	EQUAL(fcntl(fd, F_GETFD), 0);
	copy = fcntl(fd, F_DUPFD_CLOEXEC, 100);
	EQUAL(copy, 100);
	EQUAL(fcntl(copy, F_GETFD), FD_CLOEXEC);
	EQUAL(dup2(fd, 50), 50);
	EQUAL(fcntl(50, F_GETFD), 0);
	EQUAL(dup2(fd, fd), fd);
	FAILS(dup3(fd, fd, 0), EINVAL);
	FAILS(dup2(999, 3), EBADF);
	FAILS(close(999), EBADF);
	EQUAL(fcntl(fd, F_SETFL, O_APPEND | O_NONBLOCK), 0);
	EQUAL(fcntl(copy, F_GETFL) & (O_APPEND | O_NONBLOCK), O_APPEND | O_NONBLOCK);
	FAILS(fcntl(fd, 9999), EINVAL);
	EQUAL(syscall(SYS_close_range, 50, 100, 0), 0);
	FAILS(fcntl(50, F_GETFD), EBADF);
}

static void
long_names_and_paths(void)
{
	char name[300], path[5000];

	in_new_folder();
	memset(name, 'n', sizeof(name));
	name[255] = '\0';
	close(create(name));
	name[255] = 'n';
	name[256] = '\0';
	FAILS(open(name, O_CREAT | O_WRONLY, 0600), ENAMETOOLONG);
	memset(path, '/', sizeof(path));
	path[4999] = '\0';
	FAILS(open(path, O_RDONLY), ENAMETOOLONG);
	path[4000] = '\0';
	REQUIRE(open(path, O_RDONLY) >= 0);
}

/* A shell's <(…) is one: its writer may be gone before it is opened. */
static void
pipes_opened_through_proc_wait_for_nobody(void)
{
	char path[64], c;
	int p[2], fd;

	alarm(20);
	EQUAL(pipe(p), 0);
	EQUAL(write(p[1], "x", 1), 1);
	close(p[1]);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", p[0]);
	fd = open(path, O_RDONLY);
	REQUIRE(fd >= 0);
	EQUAL(read(fd, &c, 1), 1);
	EQUAL(read(fd, &c, 1), 0);
	EQUAL(pipe(p), 0);
	close(p[0]);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", p[1]);
	REQUIRE(open(path, O_WRONLY | O_NONBLOCK) >= 0);
	alarm(0);
}

TESTS(TEST(open_flags), TEST(pipes_opened_through_proc_wait_for_nobody), TEST(unlinked_files_live_until_closed), TEST(rename_matrix), TEST(links_are_counted),
    TEST(holes_read_as_zeros), TEST(random_writes_agree_with_a_model),
    TEST(folders_can_be_read_while_they_change), TEST(times_are_kept), TEST(modes_bind_others),
    TEST(umask_and_cwd), TEST(locks_exclude), TEST(extended_attributes), TEST(descriptors),
    TEST(long_names_and_paths));
