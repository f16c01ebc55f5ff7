/* SPDX-License-Identifier: MIT */
/*
 * Files on a disk: what the page cache, write-back, mappings and fsync promise of
 * a file system like ext4, which is what /tmp should be on where this runs.
 */
#include "conform.h"
#include <dirent.h>
#include <linux/falloc.h>
#include <linux/fs.h>
#include <linux/magic.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/statfs.h>
#include <sys/statvfs.h>
#include <sys/xattr.h>

static int
create(const char *path)
{
	int fd = open(path, O_RDWR | O_CREAT | O_EXCL, 0644);

	REQUIRE(fd >= 0);
	return fd;
}

/* Some promises are a disk's: where /tmp is in memory they are not asked for. */
static int
on_disk(int fd)
{
	struct statfs fs;

	EQUAL(fstatfs(fd, &fs), 0);
	return fs.f_type == EXT4_SUPER_MAGIC;
}

static void
fill(unsigned char *p, size_t n, unsigned seed)
{
	for (size_t i = 0; i < n; i++)
		p[i] = (unsigned char)(i * 13 + i / 4096 + seed);
}

static void
a_large_file_reads_back(void)
{
	enum { SIZE = 64 << 20, STEP = 1 << 20 };
	unsigned char *want = malloc(STEP), *got = malloc(STEP);
	struct stat st;
	int fd;

	in_new_folder();
	fd = create("big");
	for (unsigned at = 0; at < SIZE; at += STEP) {
		fill(want, STEP, at / STEP);
		EQUAL(write(fd, want, STEP), STEP);
	}
	EQUAL(fsync(fd), 0);
	EQUAL(fstat(fd, &st), 0);
	EQUAL(st.st_size, SIZE);
	REQUIRE(st.st_blocks >= SIZE / 512);
	EQUAL(posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED), 0);
	for (unsigned at = 0; at < SIZE; at += STEP) {
		fill(want, STEP, at / STEP);
		EQUAL(pread(fd, got, STEP, at), STEP);
		EQUAL(memcmp(want, got, STEP), 0);
	}
	EQUAL(unlink("big"), 0);
}

/* Pages of the mapping that are in memory. */
static int
resident(char *p, unsigned pages)
{
	static unsigned char there[4096];
	int n = 0;

	EQUAL(mincore(p, pages * (size_t)PAGE, there), 0);
	for (unsigned i = 0; i < pages; i++)
		n += there[i] & 1;
	return n;
}

/* What was asked for comes by itself; that may take a while. */
static int
comes(char *p, int pages)
{
	for (int tries = 0; tries < 500 && resident(p, 256) < pages; tries++)
		usleep(10000);
	return resident(p, 256) >= pages;
}

/* Who just finished reading a page may still hold it for a moment. */
static void
goes(int fd, char *p, off_t from, unsigned pages)
{
	for (int tries = 0; tries < 100; tries++) {
		EQUAL(posix_fadvise(fd, from, pages * (off_t)PAGE, POSIX_FADV_DONTNEED), 0);
		if (resident(p + from, pages) == 0)
			return;
		usleep(1000);
	}
	EQUAL(resident(p + from, pages), 0);
}

static void
advice_fills_and_empties_the_cache(void)
{
	enum { PAGES = 256 };
	unsigned char *want = malloc(PAGES * PAGE);
	char *p;
	int fd, pipefd[2];

	in_new_folder();
	fd = create("f");
	fill(want, PAGES * PAGE, 3);
	EQUAL(write(fd, want, PAGES * PAGE), PAGES * PAGE);
	if (!on_disk(fd))
		return;
	EQUAL(fsync(fd), 0);
	p = mmap(NULL, PAGES * PAGE, PROT_READ, MAP_SHARED, fd, 0);
	REQUIRE(p != MAP_FAILED);
	goes(fd, p, 0, PAGES);
	EQUAL(posix_fadvise(fd, 16 * PAGE, 64 * PAGE, POSIX_FADV_WILLNEED), 0);
	REQUIRE(comes(p, 64));
	REQUIRE(resident(p + 16 * PAGE, 64) == 64);
	/* bytes of a page that are not meant keep it */
	EQUAL(posix_fadvise(fd, 20 * PAGE + 1, PAGE, POSIX_FADV_DONTNEED), 0);
	EQUAL(resident(p + 20 * PAGE, 2), 2);
	goes(fd, p, 20 * PAGE, 2);
	goes(fd, p, 0, PAGES);
	EQUAL(readahead(fd, 0, PAGES * PAGE), 0);
	REQUIRE(comes(p, PAGES));
	goes(fd, p, 0, PAGES);
	EQUAL(madvise(p, PAGES * PAGE, MADV_WILLNEED), 0);
	REQUIRE(comes(p, PAGES));
	/* what is mapped and was looked at stays */
	EQUAL(*(volatile char *)p, (char)want[0]);
	EQUAL(posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED), 0);
	REQUIRE(resident(p, 1) == 1);
	EQUAL(posix_fadvise(fd, 0, 0, POSIX_FADV_RANDOM), 0);
	EQUAL(memcmp(p, want, PAGES * PAGE), 0);
	EQUAL(posix_fadvise(fd, 0, 0, POSIX_FADV_SEQUENTIAL), 0);
	EQUAL(posix_fadvise(fd, 0, 0, POSIX_FADV_NORMAL), 0);
	EQUAL(posix_fadvise(fd, 0, 0, 6), EINVAL);
	EQUAL(posix_fadvise(fd, 0, -1, POSIX_FADV_NORMAL), EINVAL);
	EQUAL(posix_fadvise(fd, INT64_MAX - 1, INT64_MAX, POSIX_FADV_WILLNEED), 0);
	EQUAL(pipe(pipefd), 0);
	EQUAL(posix_fadvise(pipefd[0], 0, 0, POSIX_FADV_NORMAL), ESPIPE);
	FAILS(readahead(pipefd[0], 0, PAGE), EINVAL);
	EQUAL(munmap(p, PAGES * PAGE), 0);
	EQUAL(unlink("f"), 0);
}

static void
many_small_files(void)
{
	enum { N = 1000 };
	char name[32], text[64];
	struct stat st;
	int fd;

	in_new_folder();
	for (int i = 0; i < N; i++) {
		snprintf(name, sizeof(name), "f%d", i);
		fd = create(name);
		EQUAL(write(fd, name, strlen(name)), (long)strlen(name));
		EQUAL(close(fd), 0);
	}
	sync();
	for (int i = 0; i < N; i++) {
		snprintf(name, sizeof(name), "f%d", i);
		fd = open(name, O_RDONLY);
		EQUAL(read(fd, text, sizeof(text)), (long)strlen(name));
		EQUAL(memcmp(name, text, strlen(name)), 0);
		EQUAL(close(fd), 0);
		EQUAL(unlink(name), 0);
		FAILS(stat(name, &st), ENOENT);
	}
}

static void
mappings_and_calls_see_the_same(void)
{
	char buf[16];
	char *p, *q;
	int fd;

	in_new_folder();
	fd = create("m");
	EQUAL(ftruncate(fd, 3 * PAGE), 0);
	p = mmap(NULL, 3 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	q = mmap(NULL, 3 * PAGE, PROT_READ, MAP_SHARED, fd, 0);
	REQUIRE(p != MAP_FAILED && q != MAP_FAILED);
	strcpy(p + 100, "stored");
	EQUAL(pread(fd, buf, 6, 100), 6);
	EQUAL(memcmp(buf, "stored", 6), 0);
	EQUAL(strcmp(q + 100, "stored"), 0);
	EQUAL(pwrite(fd, "called", 6, PAGE - 3), 6);
	EQUAL(memcmp(p + PAGE - 3, "called", 6), 0);
	EQUAL(msync(p, 3 * PAGE, MS_SYNC), 0);
	/* After it was written back, a store makes it dirty again. */
	strcpy(p + 100, "again!");
	EQUAL(fsync(fd), 0);
	EQUAL(pread(fd, buf, 6, 100), 6);
	EQUAL(memcmp(buf, "again!", 6), 0);
	strcpy(p + 2 * PAGE, "third");
	EQUAL(munmap(p, 3 * PAGE), 0);
	EQUAL(pread(fd, buf, 5, 2 * PAGE), 5);
	EQUAL(memcmp(buf, "third", 5), 0);
}

static char *mapped;
static void touch_behind(void) { ((volatile char *)mapped)[PAGE] = 1; _exit(0); }

static void
behind_the_end_is_a_bus_error(void)
{
	int fd;

	in_new_folder();
	fd = create("b");
	EQUAL(write(fd, "x", 1), 1);
	EQUAL(ftruncate(fd, 20), 0);
	mapped = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	REQUIRE(mapped != MAP_FAILED);
	EQUAL(mapped[0], 'x');
	EQUAL(mapped[1], 0);
	DIES(touch_behind, SIGBUS);
	mapped[10] = 'y';
	mapped[30] = 'z';			/* not part of the file */
	EQUAL(fsync(fd), 0);
	EQUAL(ftruncate(fd, 2 * PAGE), 0);
	EQUAL(mapped[10], 'y');
	if (on_disk(fd))
		EQUAL(mapped[30], 0);

	mapped[PAGE] = 1;			/* now it is there */
	EQUAL(ftruncate(fd, 1), 0);
	DIES(touch_behind, SIGBUS);
}

static void
private_mappings_keep_their_changes(void)
{
	char c;
	char *p;
	int fd;

	in_new_folder();
	fd = create("p");
	EQUAL(write(fd, "abc", 3), 3);
	p = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
	REQUIRE(p != MAP_FAILED);
	p[0] = 'X';
	EQUAL(pread(fd, &c, 1, 0), 1);
	EQUAL(c, 'a');
	EQUAL(pwrite(fd, "yz", 2, 1), 2);
	EQUAL(p[0], 'X');
}

static void
cut_and_grown_files_have_zeros(void)
{
	char buf[3 * PAGE], zeros[3 * PAGE] = { 0 };
	int fd;

	in_new_folder();
	fd = create("t");
	memset(buf, 'a', sizeof(buf));
	EQUAL(write(fd, buf, sizeof(buf)), sizeof(buf));
	EQUAL(fsync(fd), 0);
	EQUAL(ftruncate(fd, 100), 0);
	EQUAL(fsync(fd), 0);
	EQUAL(ftruncate(fd, sizeof(buf)), 0);
	EQUAL(pread(fd, buf, sizeof(buf), 0), sizeof(buf));
	EQUAL(buf[99], 'a');
	EQUAL(memcmp(buf + 100, zeros, sizeof(buf) - 100), 0);
	EQUAL(pwrite(fd, "end", 3, 1 << 20), 3);
	EQUAL(pread(fd, buf, sizeof(buf), 1 << 19), sizeof(buf));
	EQUAL(memcmp(buf, zeros, sizeof(buf)), 0);
}

static void
holes_are_found_and_made(void)
{
	char c = 'x';
	struct stat st;
	int fd;

	in_new_folder();
	fd = create("h");
	EQUAL(pwrite(fd, "data", 4, 1 << 20), 4);
	EQUAL(lseek(fd, 0, SEEK_DATA), 1 << 20);
	EQUAL(lseek(fd, 0, SEEK_HOLE), 0);
	EQUAL(lseek(fd, 1 << 20, SEEK_HOLE), (1 << 20) + 4);
	FAILS(lseek(fd, (1 << 20) + 4, SEEK_DATA), ENXIO);
	EQUAL(fallocate(fd, 0, 0, 64 * PAGE), 0);
	EQUAL(fstat(fd, &st), 0);
	REQUIRE(st.st_blocks >= 65 * 8);
	EQUAL(st.st_size, (1 << 20) + 4);
	EQUAL(fallocate(fd, FALLOC_FL_KEEP_SIZE, 2 << 20, PAGE), 0);
	EQUAL(fstat(fd, &st), 0);
	EQUAL(st.st_size, (1 << 20) + 4);
	EQUAL(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 1 << 20, PAGE), 0);
	EQUAL(pread(fd, &c, 1, 1 << 20), 1);
	EQUAL(c, 0);
	FAILS(fallocate(fd, FALLOC_FL_PUNCH_HOLE, 0, PAGE), EOPNOTSUPP);
	EQUAL(pwrite(fd, "zz", 2, 10), 2);
	if (!on_disk(fd))
		return;
	EQUAL(fallocate(fd, FALLOC_FL_ZERO_RANGE, 0, PAGE), 0);
	EQUAL(pread(fd, &c, 1, 10), 1);
	EQUAL(c, 0);
}

static void
files_without_names_live_on(void)
{
	char path[64], text[8];
	struct stat st;
	int fd, tmp;

	in_new_folder();
	fd = create("u");
	EQUAL(unlink("u"), 0);
	EQUAL(write(fd, "alive", 5), 5);
	EQUAL(fsync(fd), 0);
	EQUAL(pread(fd, text, 5, 0), 5);
	EQUAL(memcmp(text, "alive", 5), 0);
	EQUAL(fstat(fd, &st), 0);
	EQUAL(st.st_nlink, 0);
	tmp = open(".", O_TMPFILE | O_RDWR, 0600);
	REQUIRE(tmp >= 0);
	EQUAL(write(tmp, "named", 5), 5);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", tmp);
	EQUAL(linkat(AT_FDCWD, path, AT_FDCWD, "named", AT_SYMLINK_FOLLOW), 0);
	EQUAL(stat("named", &st), 0);
	EQUAL(st.st_size, 5);
	EQUAL(st.st_nlink, 1);
}

static void
synchronous_and_direct_writes(void)
{
	char *buf = aligned_alloc(PAGE, 2 * PAGE), text[4];
	int fd, direct;

	in_new_folder();
	fd = open("s", O_RDWR | O_CREAT | O_SYNC, 0600);
	EQUAL(write(fd, "sync", 4), 4);
	EQUAL(fdatasync(fd), 0);
	EQUAL(sync_file_range(fd, 0, 4, SYNC_FILE_RANGE_WRITE), 0);
	EQUAL(syncfs(fd), 0);
	direct = open("d", O_RDWR | O_CREAT | O_DIRECT, 0600);
	REQUIRE(direct >= 0);
	memset(buf, 'd', 2 * PAGE);
	EQUAL(write(direct, buf, 2 * PAGE), 2 * PAGE);
	if (on_disk(direct)) {
		FAILS(pwrite(direct, buf + 1, PAGE, 0), EINVAL);
		FAILS(pwrite(direct, buf, PAGE, 100), EINVAL);
	}
	fd = open("d", O_RDWR);
	EQUAL(pread(fd, text, 4, PAGE), 4);
	EQUAL(memcmp(text, "dddd", 4), 0);
	EQUAL(pwrite(fd, "CCCC", 4, 0), 4);
	EQUAL(pread(direct, buf, PAGE, 0), PAGE);
	EQUAL(memcmp(buf, "CCCCd", 5), 0);
}

static void
attributes_of_files(void)
{
	char text[64];
	int flags = -1, fd;
	struct statvfs v;
	struct stat st;

	in_new_folder();
	fd = create("x");
	EQUAL(fsetxattr(fd, "user.colour", "red", 3, 0), 0);
	EQUAL(fgetxattr(fd, "user.colour", text, sizeof(text)), 3);
	FAILS(fsetxattr(fd, "user.colour", "red", 3, XATTR_CREATE), EEXIST);
	FAILS(fgetxattr(fd, "user.none", text, sizeof(text)), ENODATA);
	FAILS(fgetxattr(fd, "user.colour", text, 2), ERANGE);
	EQUAL(fremovexattr(fd, "user.colour"), 0);
	EQUAL(flistxattr(fd, text, sizeof(text)), 0);
	EQUAL(ioctl(fd, FS_IOC_GETFLAGS, &flags), 0);
	if (on_disk(fd))
		REQUIRE(flags & FS_EXTENT_FL);
	EQUAL(fchmod(fd, 06755), 0);
	EQUAL(fstat(fd, &st), 0);
	EQUAL(st.st_mode & 07777, 06755);
	EQUAL(fchown(fd, 1, 2), 0);
	EQUAL(fstat(fd, &st), 0);
	EQUAL(st.st_mode & 07777, 0755);
	EQUAL(st.st_uid, 1);
	EQUAL(st.st_gid, 2);
	EQUAL(statvfs(".", &v), 0);
	REQUIRE(v.f_bsize >= 1024 && v.f_blocks > v.f_bfree && v.f_namemax == 255);
}

/* Two folders, names that come, go and move; and a copy of what there should be. */
static void
renames_replace_and_exchange(void)
{
	struct stat st;
	ino_t a, b;

	in_new_folder();
	EQUAL(mkdir("d", 0755), 0);
	EQUAL(mkdir("e", 0755), 0);
	close(create("d/a"));
	close(create("e/b"));
	EQUAL(stat("d/a", &st), 0);
	a = st.st_ino;
	EQUAL(stat("e/b", &st), 0);
	b = st.st_ino;
	EQUAL(syscall(SYS_renameat2, AT_FDCWD, "d/a", AT_FDCWD, "e/b", 2), 0);
	EQUAL(stat("d/a", &st), 0);
	EQUAL(st.st_ino, b);
	FAILS(syscall(SYS_renameat2, AT_FDCWD, "d/a", AT_FDCWD, "e/b", 1), EEXIST);
	EQUAL(rename("e/b", "d/a"), 0);
	EQUAL(stat("d/a", &st), 0);
	EQUAL(st.st_ino, a);
	FAILS(stat("e/b", &st), ENOENT);
	EQUAL(mkdir("e/sub", 0755), 0);
	FAILS(rename("d", "e"), ENOTEMPTY);
	EQUAL(rename("e/sub", "d/sub"), 0);
	EQUAL(stat("d", &st), 0);
	EQUAL(st.st_nlink, 3);
	EQUAL(stat("e", &st), 0);
	EQUAL(st.st_nlink, 2);
	EQUAL(rename("d", "e"), 0);
	FAILS(rename("e", "e/sub/x"), EINVAL);
	EQUAL(stat("e/a", &st), 0);
}

enum { NAMES = 600 };

/* Which of n0, n1 … a listing from here on shows: none twice, each with its inode. */
static void
list_names(DIR *d, int seen[NAMES])
{
	struct dirent *e;
	struct stat st;

	while ((e = readdir(d)) != NULL) {
		if (e->d_name[0] == '.')
			continue;
		int i = atoi(e->d_name + 1);

		REQUIRE(e->d_name[0] == 'n' && i >= 0 && i < NAMES);
		EQUAL(seen[i]++, 0);
		EQUAL(lstat(e->d_name, &st), 0);
		EQUAL(e->d_ino, st.st_ino);
		EQUAL(e->d_type, S_ISDIR(st.st_mode) ? DT_DIR : S_ISLNK(st.st_mode) ? DT_LNK : DT_REG);
	}
}

/* 0 to 299 are there, then 300 to 399 come, 0 to 99 go, and 100 to 149 become 450 to 499. */
static void
change_names(void)
{
	char name[16], to[16];

	for (int i = 0; i < 150; i++) {
		snprintf(name, sizeof(name), "n%d", i);
		snprintf(to, sizeof(to), "n%d", i < 100 ? 300 + i : 350 + i);
		if (i >= 100)
			EQUAL(rename(name, to), 0);
		else
			EQUAL(i % 3 == 0 ? mkdir(to, 0755) : i % 3 == 1 ? symlink("none", to) : mknod(to, S_IFREG | 0644, 0), 0);
		if (i < 100)
			EQUAL(unlink(name), 0);
	}
}

static int is_there(int i) { return (i >= 150 && i < 400) || (i >= 450 && i < 500); }

static void
listings_follow_changes(void)
{
	int seen[NAMES] = { 0 }, again[NAMES] = { 0 };
	char name[16], next[256];
	struct dirent *e;
	long place = 0;
	DIR *d, *other;

	in_new_folder();
	other = opendir(".");
	list_names(other, again);		/* listed while it is empty */
	for (int i = 0; i < 300; i++) {
		snprintf(name, sizeof(name), "n%d", i);
		close(create(name));
		EQUAL(again[i], 0);
	}
	d = opendir(".");
	for (int i = 0; i < 120; i++) {
		REQUIRE((e = readdir(d)) != NULL);
		if (e->d_name[0] == 'n')
			seen[atoi(e->d_name + 1)]++;
	}
	/* A place whose next name stays. */
	do {
		place = telldir(d);
		REQUIRE((e = readdir(d)) != NULL);
		if (e->d_name[0] == 'n')
			seen[atoi(e->d_name + 1)]++;
	} while (e->d_name[0] != 'n' || atoi(e->d_name + 1) < 150);
	snprintf(next, sizeof(next), "%s", e->d_name);
	change_names();
	/* What was read ahead may be gone: only the count says something here. */
	while ((e = readdir(d)) != NULL)
		if (e->d_name[0] == 'n')
			EQUAL(seen[atoi(e->d_name + 1)]++, 0);
	for (int i = 150; i < 300; i++)
		EQUAL(seen[i], 1);
	rewinddir(other);
	list_names(other, again);
	for (int i = 0; i < NAMES; i++)
		EQUAL(again[i], is_there(i));
	rewinddir(d);
	memset(again, 0, sizeof(again));
	list_names(d, again);
	for (int i = 0; i < NAMES; i++)
		EQUAL(again[i], is_there(i));
	/* On a disk the order is by hash: names come and go between others, and a place stays. */
	if (on_disk(dirfd(d))) {
		seekdir(d, place);
		do
			REQUIRE((e = readdir(d)) != NULL);
		while (atoi(e->d_name + 1) >= 300);
		EQUAL(strcmp(e->d_name, next), 0);
	}
	closedir(d);
	closedir(other);
}

static void
programs_start_from_the_disk(void)
{
	char buf[PAGE];
	ssize_t n;
	int in, out, status;

	in_new_folder();
	in = open("/proc/self/exe", O_RDONLY);
	out = open("prog", O_WRONLY | O_CREAT, 0755);
	while ((n = read(in, buf, sizeof(buf))) > 0)
		EQUAL(write(out, buf, (size_t)n), n);
	close(out);
	out = fork();
	if (out == 0) {
		execl("./prog", "prog", "--list", NULL);
		_exit(127);
	}
	EQUAL(waitpid(out, &status, 0), out);
	EQUAL(WIFEXITED(status) && WEXITSTATUS(status) != 127, 1);
}

TESTS(TEST(a_large_file_reads_back), TEST(advice_fills_and_empties_the_cache), TEST(many_small_files), TEST(mappings_and_calls_see_the_same),
    TEST(behind_the_end_is_a_bus_error), TEST(private_mappings_keep_their_changes),
    TEST(cut_and_grown_files_have_zeros), TEST(holes_are_found_and_made), TEST(files_without_names_live_on),
    TEST(synchronous_and_direct_writes), TEST(attributes_of_files), TEST(renames_replace_and_exchange),
    TEST(listings_follow_changes), TEST(programs_start_from_the_disk));
