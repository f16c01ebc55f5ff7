/* SPDX-License-Identifier: MIT */
/*
 * fs/ through its system calls: path walk and dentry cache, tmpfs, descriptors,
 * pipes, poll and epoll, locks, mounts, inotify, procfs's names.  Each test
 * leaves as many objects as it found.
 */
#include <linux/eventpoll.h>
#include <linux/falloc.h>
#include <linux/inotify.h>
#include <linux/openat2.h>
#include "../../include/sysfs.h"
#include "fs_host.h"

#define CWD ((uint64_t)AT_FDCWD)

static void
write_file(const char *path, const char *text)
{
	long fd = t_open(path, O_WRONLY | O_CREAT | O_TRUNC, 0644);

	CHECK(fd >= 0);
	EXPECT(sys_write((uint64_t)fd, U(text), strlen(text)), strlen(text));
	sys_close((uint64_t)fd);
}

static void
expect_file(const char *path, const char *text)
{
	char buf[256];
	long fd = t_open(path, O_RDONLY, 0), n;

	CHECK(fd >= 0);
	n = sys_read((uint64_t)fd, U(buf), sizeof(buf));
	EXPECT(n, strlen(text));
	CHECK(memcmp(buf, text, (size_t)n) == 0);
	sys_close((uint64_t)fd);
}

static void
names_resolve_as_on_linux(void)
{
	struct stat st;

	EXPECT(t_mkdir("/d"), 0);
	EXPECT(t_mkdir("/d"), -EEXIST);
	EXPECT(t_mkdir("/d/e/"), 0);
	write_file("/d/e/f", "hello");
	EXPECT(t_stat("/d/e/f", &st), 0);
	EXPECT(st.st_size, 5);
	EXPECT(st.st_mode, S_IFREG | 0644);
	EXPECT(t_stat("//d/./e/../e//f", &st), 0);
	EXPECT(t_stat("/d/e/f/", &st), -ENOTDIR);
	EXPECT(t_stat("/d/e/f/x", &st), -ENOTDIR);
	EXPECT(t_stat("/d/e/g", &st), -ENOENT);
	EXPECT(t_stat("/d/e/g", &st), -ENOENT);
	EXPECT(t_stat("/d/nope/g", &st), -ENOENT);
	EXPECT(t_stat("", &st), -ENOENT);
	EXPECT(t_stat((char *)1, &st), -EFAULT);
	EXPECT(t_stat("/../../d", &st), 0);
	EXPECT(t_stat("/d/e/", &st), 0);
	EXPECT(t_open("/d/e/f/", O_RDONLY, 0), -ENOTDIR);
	EXPECT(t_open("/d/e/new/", O_CREAT | O_WRONLY, 0644), -EISDIR);
	EXPECT(t_open("/d/e", O_WRONLY, 0), -EISDIR);
	EXPECT(t_open("/d/e", O_CREAT | O_WRONLY, 0644), -EISDIR);
	EXPECT(t_open("/d/e/f", O_DIRECTORY, 0), -ENOTDIR);
	EXPECT(t_open("/d/e/f", O_CREAT | O_EXCL | O_WRONLY, 0644), -EEXIST);
	EXPECT(t_unlink("/d/e"), -EISDIR);
	EXPECT(t_rmdir("/d/e/f"), -ENOTDIR);
	EXPECT(t_rmdir("/d/e"), -ENOTEMPTY);
	EXPECT(t_rmdir("/d/e/."), -EINVAL);
	EXPECT(t_rmdir("/d/e/.."), -ENOTEMPTY);
	EXPECT(t_rmdir("/"), -EBUSY);
	EXPECT(t_unlink("/d/e/f"), 0);
	EXPECT(t_unlink("/d/e/f"), -ENOENT);
	EXPECT(t_rmdir("/d/e"), 0);
	EXPECT(t_rmdir("/d"), 0);
}

static void
long_names_are_limited(void)
{
	char name[4200];
	struct stat st;

	memset(name, 'a', sizeof(name));
	name[0] = '/';
	name[256] = '\0';
	EXPECT(t_mkdir(name), 0);
	EXPECT(t_stat(name, &st), 0);
	EXPECT(t_rmdir(name), 0);
	name[256] = 'a';
	name[257] = '\0';
	EXPECT(t_stat(name, &st), -ENAMETOOLONG);
	EXPECT(t_mkdir(name), -ENAMETOOLONG);
	name[257] = 'a';
	name[4199] = '\0';
	EXPECT(t_stat(name, &st), -ENAMETOOLONG);
	/* Many short components in a long path. */
	for (int i = 0; i < 4094; i += 2) {
		name[i] = '.';
		name[i + 1] = '/';
	}
	name[4094] = '\0';
	EXPECT(t_stat(name, &st), 0);
}

static void
links_are_followed_up_to_a_limit(void)
{
	char a[16], b[16], buf[64];
	struct stat st;

	EXPECT(t_mkdir("/l"), 0);
	write_file("/l/file", "x");
	EXPECT(t_symlink("file", "/l/rel"), 0);
	EXPECT(t_symlink("/l/file", "/l/abs"), 0);
	EXPECT(t_symlink("/l", "/l/dir"), 0);
	EXPECT(t_symlink("gone", "/l/dangling"), 0);
	EXPECT(t_symlink("loop", "/l/loop"), 0);
	EXPECT(t_symlink("", "/l/empty"), -ENOENT);
	EXPECT(t_stat("/l/rel", &st), 0);
	EXPECT(st.st_mode & S_IFMT, S_IFREG);
	EXPECT(t_lstat("/l/rel", &st), 0);
	EXPECT(st.st_mode, S_IFLNK | 0777);
	EXPECT(st.st_size, 4);
	EXPECT(t_stat("/l/abs", &st), 0);
	EXPECT(t_stat("/l/dir/dir/dir/rel", &st), 0);
	EXPECT(t_lstat("/l/dir", &st), 0);
	EXPECT(st.st_mode & S_IFMT, S_IFLNK);
	EXPECT(t_lstat("/l/dir/", &st), 0);
	EXPECT(st.st_mode & S_IFMT, S_IFDIR);
	EXPECT(t_stat("/l/rel/", &st), -ENOTDIR);
	EXPECT(t_stat("/l/dangling", &st), -ENOENT);
	EXPECT(t_stat("/l/loop", &st), -ELOOP);
	EXPECT(t_open("/l/rel", O_NOFOLLOW, 0), -ELOOP);
	EXPECT(t_open("/l/dangling", O_CREAT | O_EXCL | O_WRONLY, 0644), -EEXIST);
	EXPECT(t_rmdir("/l/dir"), -ENOTDIR);
	EXPECT(sys_readlinkat(CWD, U("/l/abs"), U(buf), sizeof(buf)), 7);
	CHECK(memcmp(buf, "/l/file", 7) == 0);
	EXPECT(sys_readlinkat(CWD, U("/l/abs"), U(buf), 3), 3);
	EXPECT(sys_readlinkat(CWD, U("/l/file"), U(buf), sizeof(buf)), -EINVAL);
	EXPECT(sys_readlinkat(CWD, U("/l/abs"), U(buf), 0), -EINVAL);
	/* A dangling link is where O_CREAT makes the file. */
	write_file("/l/dangling", "made");
	expect_file("/l/gone", "made");
	EXPECT(t_unlink("/l/gone"), 0);
	/* Chains: 40 links work, 41 do not. */
	for (int i = 0; i < 42; i++) {
		ksnprintf(a, sizeof(a), i == 0 ? "file" : "c%d", i - 1);
		ksnprintf(b, sizeof(b), "/l/c%d", i);
		EXPECT(t_symlink(a, b), 0);
	}
	EXPECT(t_stat("/l/c39", &st), 0);
	EXPECT(t_stat("/l/c40", &st), -ELOOP);
	for (int i = 0; i < 42; i++) {
		ksnprintf(b, sizeof(b), "/l/c%d", i);
		EXPECT(t_unlink(b), 0);
	}
	EXPECT(t_unlink("/l/rel"), 0);
	EXPECT(t_unlink("/l/abs"), 0);
	EXPECT(t_unlink("/l/dir"), 0);
	EXPECT(t_unlink("/l/dangling"), 0);
	EXPECT(t_unlink("/l/loop"), 0);
	EXPECT(t_unlink("/l/file"), 0);
	EXPECT(t_rmdir("/l"), 0);
}

static void
renames_keep_the_tree_a_tree(void)
{
	struct stat st, st2;

	EXPECT(t_mkdir("/r"), 0);
	EXPECT(t_mkdir("/r/a"), 0);
	EXPECT(t_mkdir("/r/b"), 0);
	write_file("/r/a/f", "one");
	write_file("/r/b/g", "two");
	EXPECT(t_rename("/r/a/f", "/r/b/f"), 0);
	EXPECT(t_stat("/r/a/f", &st), -ENOENT);
	expect_file("/r/b/f", "one");
	EXPECT(t_rename("/r/b/f", "/r/b/g"), 0);
	expect_file("/r/b/g", "one");
	EXPECT(t_rename("/r/a", "/r/a/x"), -EINVAL);
	EXPECT(t_rename("/r", "/r/a/x"), -EINVAL);
	EXPECT(t_rename("/r/a", "/r/b"), -ENOTEMPTY);
	EXPECT(t_rename("/r/b", "/r/a"), 0);
	expect_file("/r/a/g", "one");
	EXPECT(t_rename("/r/a", "/r/a/g"), -EINVAL);
	write_file("/r/h", "three");
	EXPECT(t_rename("/r/h", "/r/a"), -EISDIR);
	EXPECT(t_rename("/r/a", "/r/h"), -ENOTDIR);
	EXPECT(t_rename("/r/h/", "/r/i"), -ENOTDIR);
	EXPECT(t_rename("/r/a/", "/r/c/"), 0);
	EXPECT(t_rename("/r/none", "/r/x"), -ENOENT);
	EXPECT(t_rename("/r/.", "/r/x"), -EBUSY);
	EXPECT(sys_renameat2(CWD, U("/r/h"), CWD, U("/r/c/g"), RENAME_NOREPLACE), -EEXIST);
	EXPECT(sys_renameat2(CWD, U("/r/h"), CWD, U("/r/c/g"), RENAME_EXCHANGE), 0);
	expect_file("/r/h", "one");
	expect_file("/r/c/g", "three");
	EXPECT(sys_renameat2(CWD, U("/r/h"), CWD, U("/r/c"), RENAME_EXCHANGE), 0);
	expect_file("/r/c", "one");
	expect_file("/r/h/g", "three");
	EXPECT(t_stat("/r", &st), 0);
	EXPECT(st.st_nlink, 3);
	EXPECT(t_link("/r/c", "/r/d"), 0);
	EXPECT(t_rename("/r/c", "/r/d"), 0);	/* the same file: nothing happens */
	EXPECT(t_stat("/r/c", &st), 0);
	EXPECT(t_stat("/r/d", &st2), 0);
	EXPECT(st.st_ino, st2.st_ino);
	EXPECT(st.st_nlink, 2);
	EXPECT(t_link("/r/h", "/r/e"), -EPERM);
	EXPECT(t_unlink("/r/c"), 0);
	EXPECT(t_unlink("/r/d"), 0);
	EXPECT(t_unlink("/r/h/g"), 0);
	EXPECT(t_rmdir("/r/h"), 0);
	EXPECT(t_rmdir("/r"), 0);
}

static void
files_live_until_they_are_closed(void)
{
	char buf[16];
	long fd, dir;

	write_file("/u", "unlinked");
	fd = t_open("/u", O_RDWR, 0);
	EXPECT(t_unlink("/u"), 0);
	EXPECT(sys_pread64((uint64_t)fd, U(buf), 8, 0), 8);
	CHECK(memcmp(buf, "unlinked", 8) == 0);
	sys_close((uint64_t)fd);
	/* A directory that is gone. */
	EXPECT(t_mkdir("/gone"), 0);
	dir = t_open("/gone", O_RDONLY | O_DIRECTORY, 0);
	EXPECT(t_rmdir("/gone"), 0);
	EXPECT(sys_openat((uint64_t)dir, U("x"), O_CREAT | O_WRONLY, 0600), -ENOENT);
	EXPECT(sys_mkdirat((uint64_t)dir, U("x"), 0700), -ENOENT);
	sys_close((uint64_t)dir);
	/* O_TMPFILE, and a name for it. */
	fd = t_open("/", O_TMPFILE | O_RDWR, 0600);
	CHECK(fd >= 0);
	EXPECT(sys_write((uint64_t)fd, U("abc"), 3), 3);
	EXPECT(sys_linkat((uint64_t)fd, U(""), CWD, U("/named"), AT_EMPTY_PATH), 0);
	sys_close((uint64_t)fd);
	expect_file("/named", "abc");
	EXPECT(t_unlink("/named"), 0);
}

static void
data_are_what_was_written(void)
{
	static char model[20 * PAGE_SIZE], buf[20 * PAGE_SIZE];
	uint64_t size = 0;
	long fd = t_open("/data", O_RDWR | O_CREAT, 0644);

	memset(model, 0, sizeof(model));

	for (int round = 0; round < 3000; round++) {
		uint64_t off = rnd() % (16 * PAGE_SIZE), len = rnd() % (2 * PAGE_SIZE);
		long n;

		switch (rnd() % 4) {
		case 0:
			for (uint64_t i = 0; i < len; i++)
				buf[i] = (char)rnd();
			EXPECT(sys_pwrite64((uint64_t)fd, U(buf), len, off), len);
			memcpy(model + off, buf, len);
			if (len != 0)
				size = max(size, off + len);
			break;
		case 1:
			if (rnd() % 4 != 0)
				break;
			EXPECT(sys_ftruncate((uint64_t)fd, off), 0);
			if (off < size)
				memset(model + off, 0, size - off);
			size = off;
			break;
		case 2:
			if (rnd() % 4 != 0 || len == 0)
				break;
			EXPECT(sys_fallocate((uint64_t)fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, off, len), 0);
			memset(model + off, 0, len);
			break;
		default:
			n = sys_pread64((uint64_t)fd, U(buf), len, off);
			EXPECT(n, off >= size ? 0 : min(len, size - off));
			CHECK(memcmp(buf, model + off, (size_t)n) == 0);
		}
	}
	sys_close((uint64_t)fd);
	EXPECT(t_unlink("/data"), 0);
}

static void
offsets_and_limits_hold(void)
{
	char buf[64];
	struct iov v[3] = { { U(buf), 2 }, { U(buf), 0 }, { U(buf), 3 } };
	long fd = t_open("/o", O_RDWR | O_CREAT, 0644), fd2;

	EXPECT(sys_write((uint64_t)fd, U("0123456789"), 10), 10);
	EXPECT(sys_lseek((uint64_t)fd, 0, 1), 10);
	EXPECT(sys_lseek((uint64_t)fd, (uint64_t)-3, 2), 7);
	EXPECT(sys_lseek((uint64_t)fd, (uint64_t)-11, 1), -EINVAL);
	EXPECT(sys_lseek((uint64_t)fd, 0, 9), -EINVAL);
	EXPECT(sys_readv((uint64_t)fd, U(v), 3), 3);
	EXPECT(sys_lseek((uint64_t)fd, 3 * PAGE_SIZE, 0), 3 * PAGE_SIZE);
	EXPECT(sys_write((uint64_t)fd, U("end"), 3), 3);
	EXPECT(sys_lseek((uint64_t)fd, 0, 4), PAGE_SIZE);		/* SEEK_HOLE */
	EXPECT(sys_lseek((uint64_t)fd, PAGE_SIZE, 3), 3 * PAGE_SIZE);	/* SEEK_DATA */
	EXPECT(sys_lseek((uint64_t)fd, 1 << 20, 3), -ENXIO);
	EXPECT(sys_pread64((uint64_t)fd, U(buf), 1, (uint64_t)-1), -EINVAL);
	EXPECT(sys_lseek((uint64_t)fd, 0, 2), 3 * PAGE_SIZE + 3);
	EXPECT(sys_read((uint64_t)fd, 1, 10), 0);			/* at the end: no access */
	EXPECT(sys_pread64((uint64_t)fd, 1, 10, 0), -EFAULT);
	EXPECT(sys_pwrite64((uint64_t)fd, 1, 10, 0), -EFAULT);
	EXPECT(sys_read(99, U(buf), 1), -EBADF);
	fd2 = t_open("/o", O_WRONLY | O_APPEND, 0);
	EXPECT(sys_read((uint64_t)fd2, U(buf), 1), -EBADF);
	EXPECT(sys_pwrite64((uint64_t)fd2, U("A"), 1, 0), 1);		/* O_APPEND wins, as on Linux */
	EXPECT(sys_lseek((uint64_t)fd, 0, 2), 3 * PAGE_SIZE + 4);
	host_limits[RLIMIT_FSIZE] = 3 * PAGE_SIZE + 6;
	EXPECT(sys_write((uint64_t)fd2, U("12345"), 5), 2);
	EXPECT(sys_write((uint64_t)fd2, U("12345"), 5), -EFBIG);
	EXPECT(host_signals[SIGXFSZ], 1);
	host_limits[RLIMIT_FSIZE] = UINT64_MAX;
	sys_close((uint64_t)fd2);
	sys_close((uint64_t)fd);
	EXPECT(t_unlink("/o"), 0);
}

struct dirent64 { uint64_t ino; int64_t off; uint16_t reclen; uint8_t type; char name[]; } __attribute__((packed));

static void
listings_survive_changes(void)
{
	char buf[256] __attribute__((aligned(8))), path[32];
	bool seen[100] = { false };
	unsigned total = 0;
	long dir, n;

	EXPECT(t_mkdir("/list"), 0);
	for (int i = 0; i < 100; i++) {
		ksnprintf(path, sizeof(path), "/list/f%d", i);
		write_file(path, "");
	}
	dir = t_open("/list", O_RDONLY | O_DIRECTORY, 0);
	EXPECT(sys_getdents64((uint64_t)dir, U(buf), 20), -EINVAL);
	while ((n = sys_getdents64((uint64_t)dir, U(buf), sizeof(buf))) > 0)
		for (long at = 0; at < n; ) {
			struct dirent64 *e = (void *)(buf + at);

			if (e->name[0] == 'f') {
				int i = proc_number(e->name + 1);

				CHECK(i >= 0 && !seen[i]);
				seen[i] = true;
				total++;
				ksnprintf(path, sizeof(path), "/list/%s", e->name);
				EXPECT(t_unlink(path), 0);	/* rm -r reads and removes in turn */
			}
			at += e->reclen;
		}
	EXPECT(n, 0);
	EXPECT(total, 100);
	sys_close((uint64_t)dir);
	EXPECT(t_rmdir("/list"), 0);
}

static void
permissions_are_checked(void)
{
	struct stat st;

	EXPECT(t_mkdir("/p"), 0);
	EXPECT(t_mkdir("/p/tmp"), 0);
	write_file("/p/tmp/root", "r");
	EXPECT(sys_fchmodat(CWD, U("/p/tmp"), 01777), 0);
	EXPECT(sys_fchmodat(CWD, U("/p/tmp/root"), 0600), 0);
	EXPECT(sys_fchownat(CWD, U("/p/tmp/root"), 0, 100, 0), 0);
	host_cred = (struct cred){ .refs = { 1000000 }, .uid = 7, .euid = 7, .suid = 7, .fsuid = 7, .gid = 7, .egid = 7, .fsgid = 7 };
	EXPECT(t_open("/p/tmp/root", O_RDONLY, 0), -EACCES);
	EXPECT(t_unlink("/p/tmp/root"), -EPERM);
	EXPECT(t_rename("/p/tmp/root", "/p/tmp/mine"), -EPERM);
	EXPECT(t_mkdir("/p/mine"), -EACCES);
	EXPECT(sys_fchmodat(CWD, U("/p/tmp/root"), 0666), -EPERM);
	EXPECT(sys_fchownat(CWD, U("/p/tmp"), 7, 7, 0), -EPERM);
	write_file("/p/tmp/mine", "m");
	EXPECT(sys_fchmodat(CWD, U("/p/tmp/mine"), 02755), 0);
	EXPECT(t_stat("/p/tmp/mine", &st), 0);
	EXPECT(st.st_mode & 07777, 02755);
	EXPECT(st.st_uid, 7);
	EXPECT(sys_faccessat(CWD, U("/p/tmp/root"), 4), -EACCES);
	EXPECT(sys_faccessat(CWD, U("/p/tmp/mine"), 7), 0);
	EXPECT(sys_mknodat(CWD, U("/p/tmp/dev"), S_IFCHR | 0666, 0x103), -EPERM);
	EXPECT(sys_chroot(U("/p")), -EPERM);
	EXPECT(t_unlink("/p/tmp/mine"), 0);
	memset(&host_cred, 0, sizeof(host_cred));
	host_cred.refs.n = 1000000;
	host_cred.cap_effective = host_cred.cap_permitted = ~0ULL;
	EXPECT(sys_faccessat(CWD, U("/p/tmp/root"), 1), -EACCES);	/* no x bit: not even root */
	EXPECT(t_unlink("/p/tmp/root"), 0);
	EXPECT(t_rmdir("/p/tmp"), 0);
	EXPECT(t_rmdir("/p"), 0);
}

static void
descriptors_are_the_lowest(void)
{
	long a = t_open("/", O_RDONLY, 0), b = sys_dup((uint64_t)a), c;

	EXPECT(b, a + 1);
	EXPECT(sys_fcntl((uint64_t)a, F_DUPFD, 100), 100);
	EXPECT(sys_fcntl((uint64_t)a, F_DUPFD_CLOEXEC, 100), 101);
	EXPECT(sys_fcntl(101, F_GETFD, 0), FD_CLOEXEC);
	EXPECT(sys_fcntl(100, F_GETFD, 0), 0);
	EXPECT(sys_fcntl((uint64_t)a, F_DUPFD, 1024), -EINVAL);
	EXPECT(sys_fcntl((uint64_t)a, F_DUPFD, 1000), 1000);
	EXPECT(sys_dup3((uint64_t)a, (uint64_t)a, 0), -EINVAL);
	EXPECT(sys_dup3((uint64_t)a, 1024, 0), -EBADF);
	EXPECT(sys_dup3(77, 5, 0), -EBADF);
	EXPECT(sys_dup3((uint64_t)a, 200, O_CLOEXEC), 200);
	EXPECT(sys_close((uint64_t)b), 0);
	EXPECT(sys_close((uint64_t)b), -EBADF);
	c = sys_dup((uint64_t)a);
	EXPECT(c, b);
	files_exec(current->files);
	EXPECT(sys_close(101), -EBADF);
	EXPECT(sys_close(200), -EBADF);
	EXPECT(sys_close_range(50, 2000, 0), 0);
	EXPECT(sys_close(100), -EBADF);
	host_limits[RLIMIT_NOFILE] = (uint64_t)c + 1;
	EXPECT(sys_dup((uint64_t)a), -EMFILE);
	host_limits[RLIMIT_NOFILE] = 1024;
	sys_close((uint64_t)a);
	sys_close((uint64_t)c);
}

static void
pipes_keep_order_and_pieces(void)
{
	static char in[300000], out[300000];
	size_t written = 0, read = 0;
	int fd[2];
	uint32_t n;

	EXPECT(sys_pipe2(U(fd), O_NONBLOCK), 0);
	EXPECT(sys_read((uint64_t)fd[0], U(out), 1), -EAGAIN);
	EXPECT(sys_read((uint64_t)fd[1], U(out), 1), -EBADF);
	EXPECT(sys_lseek((uint64_t)fd[0], 0, 0), -ESPIPE);
	for (size_t i = 0; i < sizeof(in); i++)
		in[i] = (char)rnd();
	while (read < sizeof(in)) {
		size_t want = 1 + rnd() % 9000;
		long r = sys_write((uint64_t)fd[1], U(in + written), min(want, sizeof(in) - written));

		if (written < sizeof(in)) {
			CHECK(r > 0 || r == -EAGAIN);
			if (r > 0 && want <= 4096)
				EXPECT(r, min(want, sizeof(in) - written));	/* PIPE_BUF: whole */
			written += (size_t)max(r, 0L);
		}
		EXPECT(sys_ioctl((uint64_t)fd[0], 0x541b, U(&n)), 0);
		EXPECT(n, written - read);
		r = sys_read((uint64_t)fd[0], U(out + read), 1 + rnd() % 9000);
		CHECK(r > 0);
		read += (size_t)r;
	}
	CHECK(memcmp(in, out, sizeof(in)) == 0);
	EXPECT(sys_fcntl((uint64_t)fd[0], F_GETPIPE_SZ, 0), 65536);
	EXPECT(sys_write((uint64_t)fd[1], U(in), sizeof(in)), 65536);
	EXPECT(sys_fcntl((uint64_t)fd[0], F_SETPIPE_SZ, 4096), -EBUSY);
	EXPECT(sys_fcntl((uint64_t)fd[0], F_SETPIPE_SZ, 100000), 131072);
	EXPECT(sys_read((uint64_t)fd[0], U(out), sizeof(out)), 65536);
	CHECK(memcmp(in, out, 65536) == 0);
	EXPECT(sys_write((uint64_t)fd[1], 1, 10), -EFAULT);
	sys_close((uint64_t)fd[0]);
	EXPECT(sys_write((uint64_t)fd[1], U(in), 1), -EPIPE);
	EXPECT(host_signals[SIGPIPE], 1);
	sys_close((uint64_t)fd[1]);
	/* End of file, and an interrupted sleep. */
	EXPECT(sys_pipe2(U(fd), 0), 0);
	host_wait_result = -ERESTARTSYS;
	EXPECT(sys_read((uint64_t)fd[0], U(out), 1), -ERESTARTSYS);
	host_wait_result = 0;
	EXPECT(sys_write((uint64_t)fd[1], U("x"), 1), 1);
	sys_close((uint64_t)fd[1]);
	EXPECT(sys_read((uint64_t)fd[0], U(out), 10), 1);
	EXPECT(sys_read((uint64_t)fd[0], U(out), 10), 0);
	sys_close((uint64_t)fd[0]);
}

static void
splice_moves_pages(void)
{
	char buf[16];
	int fd[2], fd2[2];
	long in, out;
	uint64_t off = 2;

	write_file("/s", "0123456789");
	in = t_open("/s", O_RDONLY, 0);
	out = t_open("/t", O_RDWR | O_CREAT, 0644);
	EXPECT(sys_pipe2(U(fd), 0), 0);
	EXPECT(sys_pipe2(U(fd2), 0), 0);
	EXPECT(sys_splice((uint64_t)in, U(&off), (uint64_t)fd[1], 0, 5, 0), 5);
	EXPECT(off, 7);
	EXPECT(sys_tee((uint64_t)fd[0], (uint64_t)fd2[1], 100, 0), 5);
	EXPECT(sys_splice((uint64_t)fd[0], 0, (uint64_t)out, 0, 3, 0), 3);
	EXPECT(sys_read((uint64_t)fd[0], U(buf), 16), 2);
	CHECK(memcmp(buf, "56", 2) == 0);
	EXPECT(sys_splice((uint64_t)fd2[0], 0, (uint64_t)fd[1], 0, 2, 0), 2);
	EXPECT(sys_read((uint64_t)fd2[0], U(buf), 16), 3);
	CHECK(memcmp(buf, "456", 3) == 0);
	EXPECT(sys_sendfile((uint64_t)out, (uint64_t)in, 0, 100), 10);
	expect_file("/t", "2340123456789");
	EXPECT(sys_copy_file_range((uint64_t)out, U(&off), (uint64_t)out, 0, 3, 0), 3);
	expect_file("/t", "2340123456789456");
	EXPECT(sys_splice((uint64_t)in, 0, (uint64_t)out, 0, 3, 0), -EINVAL);
	for (int i = 0; i < 2; i++) {
		sys_close((uint64_t)fd[i]);
		sys_close((uint64_t)fd2[i]);
	}
	sys_close((uint64_t)in);
	sys_close((uint64_t)out);
	EXPECT(t_unlink("/s"), 0);
	EXPECT(t_unlink("/t"), 0);
}

struct pollfd_ { int fd; short events, revents; };

static void
poll_and_epoll_tell_what_is_ready(void)
{
	struct __kernel_timespec zero = { 0, 0 };
	struct epoll_event ev, out[4];
	struct pollfd_ p[3];
	uint64_t in[1], one = 1;
	int fd[2];
	long ep, e, copy;

	EXPECT(sys_pipe2(U(fd), 0), 0);
	p[0] = (struct pollfd_){ fd[0], POLLIN, 99 };
	p[1] = (struct pollfd_){ fd[1], POLLOUT, 99 };
	p[2] = (struct pollfd_){ 99, POLLIN, 99 };
	EXPECT(sys_ppoll(U(p), 3, U(&zero), 0, 8), 2);
	EXPECT(p[0].revents, 0);
	EXPECT(p[1].revents, POLLOUT);
	EXPECT(p[2].revents, POLLNVAL);
	EXPECT(sys_write((uint64_t)fd[1], U("x"), 1), 1);
	in[0] = 1ULL << fd[0] | 1ULL << fd[1];
	EXPECT(sys_pselect6(10, U(in), 0, 0, U(&zero), 0), 1);
	EXPECT(in[0], 1ULL << fd[0]);
	in[0] = 1ULL << 60;
	EXPECT(sys_pselect6(64, U(in), 0, 0, U(&zero), 0), -EBADF);

	ep = sys_epoll_create1(0);
	ev = (struct epoll_event){ .events = EPOLLIN, .data = 42 };
	EXPECT(sys_epoll_ctl((uint64_t)ep, EPOLL_CTL_ADD, (uint64_t)fd[0], U(&ev)), 0);
	EXPECT(sys_epoll_ctl((uint64_t)ep, EPOLL_CTL_ADD, (uint64_t)fd[0], U(&ev)), -EEXIST);
	EXPECT(sys_epoll_ctl((uint64_t)ep, EPOLL_CTL_ADD, (uint64_t)ep, U(&ev)), -EINVAL);
	EXPECT(sys_epoll_pwait((uint64_t)ep, U(out), 4, 0, 0, 8), 1);
	EXPECT(sys_epoll_pwait((uint64_t)ep, U(out), 4, 0, 0, 8), 1);	/* level */
	EXPECT(out[0].data, 42);
	ev.events = EPOLLIN | EPOLLET;
	EXPECT(sys_epoll_ctl((uint64_t)ep, EPOLL_CTL_MOD, (uint64_t)fd[0], U(&ev)), 0);
	EXPECT(sys_epoll_pwait((uint64_t)ep, U(out), 4, 0, 0, 8), 1);
	EXPECT(sys_epoll_pwait((uint64_t)ep, U(out), 4, 0, 0, 8), 0);	/* edge */
	EXPECT(sys_write((uint64_t)fd[1], U("y"), 1), 1);
	EXPECT(sys_epoll_pwait((uint64_t)ep, U(out), 4, 0, 0, 8), 1);
	ev.events = EPOLLIN | EPOLLONESHOT;
	EXPECT(sys_epoll_ctl((uint64_t)ep, EPOLL_CTL_MOD, (uint64_t)fd[0], U(&ev)), 0);
	EXPECT(sys_epoll_pwait((uint64_t)ep, U(out), 4, 0, 0, 8), 1);
	EXPECT(sys_write((uint64_t)fd[1], U("z"), 1), 1);
	EXPECT(sys_epoll_pwait((uint64_t)ep, U(out), 4, 0, 0, 8), 0);
	/* Regular files cannot be watched; loops are refused. */
	e = t_open("/e", O_RDWR | O_CREAT, 0600);
	EXPECT(sys_epoll_ctl((uint64_t)ep, EPOLL_CTL_ADD, (uint64_t)e, U(&ev)), -EPERM);
	sys_close((uint64_t)e);
	EXPECT(t_unlink("/e"), 0);
	e = sys_epoll_create1(0);
	ev.events = EPOLLIN;
	EXPECT(sys_epoll_ctl((uint64_t)e, EPOLL_CTL_ADD, (uint64_t)ep, U(&ev)), 0);
	EXPECT(sys_epoll_ctl((uint64_t)ep, EPOLL_CTL_ADD, (uint64_t)e, U(&ev)), -ELOOP);
	ev.events = EPOLLIN;
	EXPECT(sys_epoll_ctl((uint64_t)ep, EPOLL_CTL_MOD, (uint64_t)fd[0], U(&ev)), 0);
	EXPECT(sys_epoll_pwait((uint64_t)e, U(out), 4, 0, 0, 8), 1);	/* nested */
	sys_close((uint64_t)e);
	/* A descriptor that is closed while a copy lives stays watched. */
	copy = sys_dup((uint64_t)fd[0]);
	sys_close((uint64_t)fd[0]);
	EXPECT(sys_epoll_pwait((uint64_t)ep, U(out), 4, 0, 0, 8), 1);
	sys_close((uint64_t)copy);
	EXPECT(sys_epoll_pwait((uint64_t)ep, U(out), 4, 0, 0, 8), 0);
	sys_close((uint64_t)fd[1]);
	/* eventfd */
	e = sys_eventfd2(0, O_NONBLOCK);
	ev.events = EPOLLIN;
	EXPECT(sys_epoll_ctl((uint64_t)ep, EPOLL_CTL_ADD, (uint64_t)e, U(&ev)), 0);
	EXPECT(sys_read((uint64_t)e, U(in), 8), -EAGAIN);
	EXPECT(sys_epoll_pwait((uint64_t)ep, U(out), 4, 0, 0, 8), 0);
	EXPECT(sys_write((uint64_t)e, U(&one), 8), 8);
	EXPECT(sys_write((uint64_t)e, U(&one), 8), 8);
	EXPECT(sys_epoll_pwait((uint64_t)ep, U(out), 4, 0, 0, 8), 1);
	EXPECT(sys_read((uint64_t)e, U(in), 8), 8);
	EXPECT(in[0], 2);
	sys_close((uint64_t)ep);
	sys_close((uint64_t)e);
}

static void
locks_exclude_each_other(void)
{
	struct flock l = { .l_type = F_WRLCK, .l_start = 10, .l_len = 10 };
	struct files *own = current->files, *other;
	long fd, fd2;

	write_file("/lock", "x");
	fd = t_open("/lock", O_RDWR, 0);
	other = files_copy(own);
	EXPECT(sys_fcntl((uint64_t)fd, F_SETLK, U(&l)), 0);
	current->files = other;
	l = (struct flock){ .l_type = F_RDLCK, .l_start = 0, .l_len = 11 };
	EXPECT(sys_fcntl((uint64_t)fd, F_SETLK, U(&l)), -EAGAIN);
	EXPECT(sys_fcntl((uint64_t)fd, F_GETLK, U(&l)), 0);
	EXPECT(l.l_type, F_WRLCK);
	EXPECT(l.l_start, 10);
	EXPECT(l.l_len, 10);
	l = (struct flock){ .l_type = F_WRLCK, .l_start = 20, .l_len = 0 };
	EXPECT(sys_fcntl((uint64_t)fd, F_SETLK, U(&l)), 0);
	current->files = own;
	/* The middle of a lock is given back: two remain. */
	l = (struct flock){ .l_type = F_UNLCK, .l_start = 13, .l_len = 2 };
	EXPECT(sys_fcntl((uint64_t)fd, F_SETLK, U(&l)), 0);
	current->files = other;
	l = (struct flock){ .l_type = F_WRLCK, .l_start = 13, .l_len = 2 };
	EXPECT(sys_fcntl((uint64_t)fd, F_SETLK, U(&l)), 0);
	l.l_len = 3;
	EXPECT(sys_fcntl((uint64_t)fd, F_SETLK, U(&l)), -EAGAIN);
	/* Closing any descriptor of the file gives the process's locks back. */
	fd2 = t_open("/lock", O_RDONLY, 0);
	sys_close((uint64_t)fd2);
	current->files = own;
	l = (struct flock){ .l_type = F_WRLCK, .l_start = 0, .l_len = 0 };
	EXPECT(sys_fcntl((uint64_t)fd, F_SETLK, U(&l)), 0);
	files_put(other);
	/* flock belongs to the open file. */
	fd2 = t_open("/lock", O_RDWR, 0);
	EXPECT(sys_flock((uint64_t)fd, 2), 0);
	EXPECT(sys_flock((uint64_t)fd2, 1 | 4), -EAGAIN);
	EXPECT(sys_flock((uint64_t)fd, 1), 0);
	EXPECT(sys_flock((uint64_t)fd2, 1 | 4), 0);
	EXPECT(sys_flock((uint64_t)fd2, 3), -EINVAL);
	sys_close((uint64_t)fd2);
	sys_close((uint64_t)fd);
	EXPECT(t_unlink("/lock"), 0);
}

static void
mounts_cover_and_come_off(void)
{
	struct stat st, root;
	long fd;

	EXPECT(t_mkdir("/m"), 0);
	EXPECT(t_mkdir("/m/below"), 0);
	EXPECT(t_stat("/m", &root), 0);
	EXPECT(sys_mount(U("none"), U("/m"), U("tmpfs"), 0, U("size=64k,mode=700")), 0);
	EXPECT(t_stat("/m", &st), 0);
	CHECK(st.st_dev != root.st_dev);
	EXPECT(st.st_mode & 07777, 0700);
	EXPECT(t_stat("/m/below", &st), -ENOENT);
	EXPECT(t_stat("/m/..", &st), 0);
	EXPECT(st.st_dev, root.st_dev);
	EXPECT(t_rmdir("/m"), -EBUSY);
	EXPECT(t_rename("/m", "/n"), -EBUSY);
	write_file("/m/f", "1");
	EXPECT(t_link("/m/f", "/g"), -EXDEV);
	EXPECT(t_rename("/m/f", "/g"), -EXDEV);
	fd = t_open("/m/big", O_RDWR | O_CREAT, 0600);
	EXPECT(sys_fallocate((uint64_t)fd, 0, 0, 1 << 20), -ENOSPC);
	for (int i = 0; i < 15; i++)
		sys_pwrite64((uint64_t)fd, U("x"), 1, (uint64_t)i * PAGE_SIZE);
	EXPECT(sys_pwrite64((uint64_t)fd, U("x"), 1, 100 * PAGE_SIZE), -ENOSPC);
	EXPECT(sys_ftruncate((uint64_t)fd, 0), 0);
	EXPECT(sys_pwrite64((uint64_t)fd, U("x"), 1, 100 * PAGE_SIZE), 1);
	EXPECT(sys_umount2(U("/m"), 0), -EBUSY);
	sys_close((uint64_t)fd);
	EXPECT(sys_mount(0, U("/m"), 0, MS_REMOUNT | MS_RDONLY, 0), 0);
	EXPECT(t_open("/m/f", O_RDWR, 0), -EROFS);
	EXPECT(t_mkdir("/m/x"), -EROFS);
	EXPECT(t_unlink("/m/f"), -EROFS);
	EXPECT(sys_umount2(U("/m/f"), 0), -EINVAL);
	EXPECT(t_mkdir("/bind"), 0);
	EXPECT(sys_mount(U("/m"), U("/bind"), 0, MS_BIND, 0), 0);
	EXPECT(t_stat("/bind/f", &st), 0);
	EXPECT(sys_umount2(U("/m"), 0), 0);
	EXPECT(t_stat("/m/below", &st), 0);
	EXPECT(t_stat("/bind/f", &st), 0);
	EXPECT(sys_umount2(U("/bind"), 0), 0);
	EXPECT(sys_umount2(U("/bind"), 0), -EINVAL);
	EXPECT(sys_umount2(U("/"), 0), -EBUSY);
	EXPECT(sys_mount(U("x"), U("/m"), U("nofs"), 0, 0), -ENODEV);
	EXPECT(t_rmdir("/bind"), 0);
	EXPECT(t_rmdir("/m/below"), 0);
	EXPECT(t_rmdir("/m"), 0);
}

static void
openat2_stays_where_it_should(void)
{
	struct open_how how = { .flags = O_RDONLY, .resolve = RESOLVE_BENEATH };
	long dir, fd;

	EXPECT(t_mkdir("/b"), 0);
	EXPECT(t_mkdir("/b/in"), 0);
	write_file("/b/in/f", "f");
	EXPECT(t_symlink("../f2", "/b/in/up"), 0);
	EXPECT(t_symlink("/b", "/b/in/abs"), 0);
	write_file("/b/f2", "2");
	dir = t_open("/b/in", O_PATH | O_DIRECTORY, 0);
	fd = sys_openat2((uint64_t)dir, U("f"), U(&how), sizeof(how));
	CHECK(fd >= 0);
	sys_close((uint64_t)fd);
	EXPECT(sys_openat2((uint64_t)dir, U("../f2"), U(&how), sizeof(how)), -EXDEV);
	EXPECT(sys_openat2((uint64_t)dir, U("up"), U(&how), sizeof(how)), -EXDEV);
	EXPECT(sys_openat2((uint64_t)dir, U("abs"), U(&how), sizeof(how)), -EXDEV);
	EXPECT(sys_openat2((uint64_t)dir, U("/b"), U(&how), sizeof(how)), -EXDEV);
	how.resolve = RESOLVE_IN_ROOT;
	EXPECT(sys_openat2((uint64_t)dir, U("../f2"), U(&how), sizeof(how)), -ENOENT);
	fd = sys_openat2((uint64_t)dir, U("/../f"), U(&how), sizeof(how));
	CHECK(fd >= 0);
	sys_close((uint64_t)fd);
	how.resolve = RESOLVE_NO_SYMLINKS;
	EXPECT(sys_openat2((uint64_t)dir, U("up"), U(&how), sizeof(how)), -ELOOP);
	how.resolve = 1 << 20;
	EXPECT(sys_openat2((uint64_t)dir, U("up"), U(&how), sizeof(how)), -EINVAL);
	EXPECT(sys_read((uint64_t)dir, U(&how), 1), -EBADF);	/* O_PATH */
	sys_close((uint64_t)dir);
	EXPECT(t_unlink("/b/in/abs"), 0);
	EXPECT(t_unlink("/b/in/up"), 0);
	EXPECT(t_unlink("/b/in/f"), 0);
	EXPECT(t_rmdir("/b/in"), 0);
	EXPECT(t_unlink("/b/f2"), 0);
	EXPECT(t_rmdir("/b"), 0);
}

static void
attributes_have_their_errors(void)
{
	char buf[64];
	long fd;

	write_file("/x", "x");
	EXPECT(sys_getxattr(U("/x"), U("user.a"), U(buf), 64), -ENODATA);
	EXPECT(sys_getxattr(U("/x"), U("system.posix_acl_access"), U(buf), 64), -EOPNOTSUPP);
	EXPECT(sys_setxattr(U("/x"), U("user.a"), U("val"), 3, 0), 0);
	EXPECT(sys_setxattr(U("/x"), U("user.a"), U("val"), 3, 1), -EEXIST);
	EXPECT(sys_setxattr(U("/x"), U("user.b"), U("val"), 3, 2), -ENODATA);
	EXPECT(sys_setxattr(U("/x"), U("user."), U("val"), 3, 0), -EINVAL);
	EXPECT(sys_getxattr(U("/x"), U("user.a"), 0, 0), 3);
	EXPECT(sys_getxattr(U("/x"), U("user.a"), U(buf), 2), -ERANGE);
	EXPECT(sys_getxattr(U("/x"), U("user.a"), U(buf), 64), 3);
	EXPECT(sys_listxattr(U("/x"), U(buf), 64), 7);
	EXPECT(sys_removexattr(U("/x"), U("user.a")), 0);
	EXPECT(sys_removexattr(U("/x"), U("user.a")), -ENODATA);
	EXPECT(sys_setxattr(U("/x"), U("trusted.t"), U("1"), 1, 0), 0);
	EXPECT(t_unlink("/x"), 0);
	/* memfd and its seals */
	fd = sys_memfd_create(U("m"), 2);
	EXPECT(sys_write((uint64_t)fd, U("abc"), 3), 3);
	EXPECT(sys_fcntl((uint64_t)fd, F_GET_SEALS, 0), 0);
	EXPECT(sys_fcntl((uint64_t)fd, F_ADD_SEALS, 2 | 4), 0);
	EXPECT(sys_ftruncate((uint64_t)fd, 1), -EPERM);
	EXPECT(sys_ftruncate((uint64_t)fd, 9), -EPERM);
	EXPECT(sys_write((uint64_t)fd, U("d"), 1), -EPERM);
	EXPECT(sys_pwrite64((uint64_t)fd, U("X"), 1, 0), 1);
	EXPECT(sys_fcntl((uint64_t)fd, F_ADD_SEALS, 8 | 1), 0);
	EXPECT(sys_pwrite64((uint64_t)fd, U("X"), 1, 0), -EPERM);
	EXPECT(sys_fcntl((uint64_t)fd, F_ADD_SEALS, 2), -EPERM);
	sys_close((uint64_t)fd);
}

static void
inotify_tells_names(void)
{
	char buf[1024];
	struct inotify_event *e = (void *)buf;
	long in, wd, n;

	EXPECT(t_mkdir("/i"), 0);
	in = sys_inotify_init1(O_NONBLOCK);
	wd = sys_inotify_add_watch((uint64_t)in, U("/i"), IN_CREATE | IN_DELETE | IN_MODIFY | IN_MOVE | IN_DELETE_SELF);
	EXPECT(wd, 1);
	EXPECT(sys_inotify_add_watch((uint64_t)in, U("/i"), IN_CREATE | IN_DELETE | IN_MODIFY | IN_MOVE | IN_DELETE_SELF), 1);
	EXPECT(sys_read((uint64_t)in, U(buf), sizeof(buf)), -EAGAIN);
	write_file("/i/f", "x");
	n = sys_read((uint64_t)in, U(buf), sizeof(buf));
	EXPECT(n, 2 * (16 + 16));
	EXPECT(e->mask, IN_CREATE);
	CHECK(strcmp(e->name, "f") == 0);
	e = (void *)(buf + 32);
	EXPECT(e->mask, IN_MODIFY);
	EXPECT(t_rename("/i/f", "/i/g"), 0);
	EXPECT(sys_read((uint64_t)in, U(buf), 8), -EINVAL);
	n = sys_read((uint64_t)in, U(buf), sizeof(buf));
	EXPECT(n, 64);
	e = (void *)buf;
	EXPECT(e->mask, IN_MOVED_FROM);
	EXPECT(((struct inotify_event *)(void *)(buf + 32))->cookie, e->cookie);
	EXPECT(t_unlink("/i/g"), 0);
	EXPECT(t_rmdir("/i"), 0);
	n = sys_read((uint64_t)in, U(buf), sizeof(buf));
	EXPECT(n, 32 + 16 + 16);
	EXPECT(((struct inotify_event *)(void *)(buf + 32))->mask, IN_DELETE_SELF | IN_ISDIR);
	EXPECT(((struct inotify_event *)(void *)(buf + 48))->mask, IN_IGNORED);
	EXPECT(sys_inotify_rm_watch((uint64_t)in, (uint64_t)wd), -EINVAL);
	sys_close((uint64_t)in);
}

static bool
says(const char *text, const char *line)
{
	while (*text != '\0' && strncmp(text, line, strlen(line)) != 0)
		text++;
	return *text != '\0';
}

static void
procfs_has_its_names(void)
{
	char buf[4096];
	struct stat st;
	long fd, n;

	EXPECT(t_mkdir("/proc"), 0);
	EXPECT(sys_mount(U("proc"), U("/proc"), U("proc"), 0, 0), 0);
	EXPECT(t_stat("/proc/self/stat", &st), 0);
	EXPECT(t_stat("/proc/1/task/1/status", &st), 0);
	EXPECT(t_stat("/proc/2", &st), -ENOENT);
	EXPECT(t_stat("/proc/nothing", &st), -ENOENT);
	EXPECT(sys_readlinkat(CWD, U("/proc/self"), U(buf), 64), 1);
	fd = t_open("/proc/mounts", O_RDONLY, 0);
	n = sys_read((uint64_t)fd, U(buf), sizeof(buf) - 1);
	CHECK(n > 0);
	buf[n] = '\0';
	CHECK(strncmp(buf, "rootfs / rootfs rw,relatime 0 0\nproc /proc proc rw,relatime 0 0\n", (size_t)n) == 0);
	EXPECT(sys_pread64((uint64_t)fd, U(buf), 6, 0), 6);
	EXPECT(sys_read((uint64_t)fd, U(buf), sizeof(buf)), 0);
	ksnprintf(buf, sizeof(buf), "/proc/self/fd/%ld", fd);
	EXPECT(sys_readlinkat(CWD, U(buf), U(buf + 100), 64), strlen("/proc/1/mounts"));
	CHECK(memcmp(buf + 100, "/proc/1/mounts", 14) == 0);
	sys_close((uint64_t)fd);
	fd = t_open("/proc", O_RDONLY | O_DIRECTORY, 0);
	while ((n = sys_getdents64((uint64_t)fd, U(buf), sizeof(buf))) > 0)
		;
	EXPECT(n, 0);
	sys_close((uint64_t)fd);
	EXPECT(t_open("/proc/meminfo", O_WRONLY, 0) >= 0, true);
	sys_close((uint64_t)0);
	fd = t_open("/proc/meminfo", O_RDONLY, 0);
	n = sys_read((uint64_t)fd, U(buf), sizeof(buf) - 1);
	CHECK(n > 0);
	buf[n] = '\0';
	CHECK(says(buf, "\nCommitLimit:        4000 kB\n"));	/* 1000 pages */
	sys_close((uint64_t)fd);
	EXPECT(sys_umount2(U("/proc"), 0), 0);
	EXPECT(t_rmdir("/proc"), 0);
}

static long
show_number(struct seq *s, void *arg)
{
	seq_printf(s, "%d\n", *(int *)arg);
	return 0;
}

static long
store_number(const char *text, size_t n, void *arg)
{
	(void)n;
	*(int *)arg = text[0] - '0';
	return 0;
}

static unsigned
entries_of(const char *path)
{
	char buf[1024];
	long fd = t_open(path, O_RDONLY | O_DIRECTORY, 0), n;
	unsigned count = 0;

	CHECK(fd >= 0);
	while ((n = sys_getdents64((uint64_t)fd, U(buf), sizeof(buf))) > 0)
		for (long at = 0; at < n; at += *(uint16_t *)(buf + at + 16))
			count++;
	EXPECT(n, 0);
	sys_close((uint64_t)fd);
	return count;
}

static void
sysfs_names_come_and_go(void)
{
	int number = 3;
	long fd;
	char c[2];

	EXPECT(t_mkdir("/sys"), 0);
	EXPECT(sys_mount(U("s"), U("/sys"), U("sysfs"), 0, 0), 0);
	expect_file("/sys/devices/system/cpu/online", "0\n");
	EXPECT(sysfs_file("devices/x/y/number", show_number, store_number, &number), 0);
	EXPECT(sysfs_file("devices/x/y/number", show_number, NULL, &number), -EEXIST);
	EXPECT(sysfs_dir("devices/x/y/number"), -EEXIST);
	sysfs_cpus_init(2);
	expect_file("/sys/devices/system/cpu/cpu1/topology/core_id", "1\n");
	expect_file("/sys/devices/system/cpu/cpu1/topology/thread_siblings", "2\n");
	expect_file("/sys/devices/system/cpu/cpu1/topology/core_siblings", "1\n");	/* the host's count of CPUs */
	sysfs_remove("devices/system/cpu/cpu0");
	sysfs_remove("devices/system/cpu/cpu1");
	EXPECT(sysfs_dir("devices/x/y/number/z"), -EEXIST);
	EXPECT(sysfs_dir("devices/x/y"), 0);
	EXPECT(sysfs_link("class/net", "../devices/x/y"), 0);
	expect_file("/sys/class/net/number", "3\n");
	EXPECT(entries_of("/sys/devices/x/y"), 3);
	fd = t_open("/sys/class/net/number", O_RDWR, 0);
	CHECK(fd >= 0);
	EXPECT(sys_write((uint64_t)fd, U("7"), 1), 1);
	EXPECT(sys_lseek((uint64_t)fd, 0, 0), 0);
	EXPECT(sys_read((uint64_t)fd, U(c), 2), 2);
	CHECK(c[0] == '7');
	/* what is removed is gone at once, also for who has it open */
	sysfs_remove("devices/x");
	sysfs_remove("devices/x");
	number = -1;
	EXPECT(sys_lseek((uint64_t)fd, 0, 0), 0);
	EXPECT(sys_read((uint64_t)fd, U(c), 2), -ENODEV);
	sys_close((uint64_t)fd);
	EXPECT(t_open("/sys/class/net/number", O_RDONLY, 0), -ENOENT);
	EXPECT(t_open("/sys/devices/x", O_RDONLY, 0), -ENOENT);
	EXPECT(sysfs_file("devices/x", show_number, NULL, &number), 0);
	expect_file("/sys/devices/x", "-1\n");
	fd = t_open("/sys/devices/x", O_WRONLY, 0);
	CHECK(fd >= 0);
	EXPECT(sys_write((uint64_t)fd, U("7"), 1), -EPERM);
	EXPECT(sys_close((uint64_t)fd), 0);
	sysfs_remove("devices/x");
	sysfs_remove("class/net");
	EXPECT(entries_of("/sys/class"), 2);
	EXPECT(sys_umount2(U("/sys"), 0), 0);
	EXPECT(t_rmdir("/sys"), 0);
}

/* A shared mapping's page fault says that the page will be written. */
static void
stores_through_a_mapping_change_the_time(void)
{
	struct __kernel_timespec t[2] = { { 1000, 1 }, { 2000, 2 } };
	long fd = t_open("/mapped", O_RDWR | O_CREAT, 0600);
	struct file *f = fd_get((int)fd);
	struct mapping *m = f->inode->mapping;
	struct stat st;
	struct page *p;

	EXPECT(sys_write((uint64_t)fd, U("x"), 1), 1);
	EXPECT(sys_utimensat((uint64_t)AT_FDCWD, U("/mapped"), U(t), 0), 0);
	p = pagecache_page(m, 0);
	CHECK(p != NULL && !IS_ERR(p));
	EXPECT(m->ops->dirty(m, p), 0);
	page_put(p);
	EXPECT(sys_fstat((uint64_t)fd, U(&st)), 0);
	CHECK(st.st_mtime > 2000 && st.st_ctime >= st.st_mtime);
	file_put(f);
	sys_close((uint64_t)fd);
	EXPECT(t_unlink("/mapped"), 0);
}

static void
devtmpfs_has_directories(void)
{
	char text[32];
	struct stat st;

	EXPECT(t_mkdir("/dev"), 0);
	EXPECT(sys_mount(U("d"), U("/dev"), U("devtmpfs"), 0, 0), 0);
	EXPECT(devtmpfs_create("vdz", S_IFBLK | 0660, makedev_(254, 16)), 0);
	EXPECT(devtmpfs_create("vdz", S_IFBLK | 0660, makedev_(254, 16)), -EEXIST);
	EXPECT(devtmpfs_symlink("disk/by-id/virtio-1", "../../vdz"), 0);
	EXPECT(devtmpfs_create("vdz/x", S_IFBLK | 0660, 0), -ENOTDIR);
	EXPECT(t_stat("/dev/disk/by-id/virtio-1", &st), 0);
	EXPECT(st.st_rdev, makedev_(254, 16));
	EXPECT(st.st_mode, S_IFBLK | 0660);
	EXPECT(sys_readlinkat(CWD, U("/dev/disk/by-id/virtio-1"), U(text), sizeof(text)), 9);
	EXPECT(devtmpfs_remove("disk/by-id"), -ENOTEMPTY);
	EXPECT(devtmpfs_remove("disk/by-id/virtio-1"), 0);
	EXPECT(devtmpfs_remove("disk/by-id/virtio-1"), -ENOENT);
	EXPECT(devtmpfs_remove("disk/by-id"), 0);
	EXPECT(devtmpfs_remove("disk"), 0);
	EXPECT(devtmpfs_remove("disk/by-id/x"), -ENOENT);
	EXPECT(devtmpfs_remove("vdz"), 0);
	EXPECT(t_stat("/dev/vdz", &st), -ENOENT);
	EXPECT(sys_umount2(U("/dev"), 0), 0);
	EXPECT(t_rmdir("/dev"), 0);
}

static void
random_names_do_no_harm(void)
{
	static const char *const parts[] = { "a", "b", "..", ".", "", "long-name-that-does-not-fit-inline-in-a-dentry-of-ours", "c" };
	char p[2][256];
	struct stat st;

	EXPECT(t_mkdir("/z"), 0);
	EXPECT(sys_chdir(U("/z")), 0);
	for (int round = 0; round < 60000; round++) {
		for (int i = 0; i < 2; i++) {
			unsigned n = 1 + rnd() % 4;

			p[i][0] = '\0';
			for (unsigned k = 0; k < n; k++) {
				size_t len = strlen(p[i]);

				ksnprintf(p[i] + len, sizeof(p[i]) - len, "%s%s", k != 0 ? "/" : "", parts[rnd() % ARRAY_LEN(parts)]);
			}
		}
		switch (rnd() % 9) {
		case 0: t_mkdir(p[0]); break;
		case 1: t_unlink(p[0]); break;
		case 2: t_rmdir(p[0]); break;
		case 3: t_rename(p[0], p[1]); break;
		case 4: t_link(p[0], p[1]); break;
		case 5: t_symlink(p[0], p[1]); break;
		case 6: sys_renameat2(CWD, U(p[0]), CWD, U(p[1]), RENAME_EXCHANGE); break;
		case 7: {
			long fd = t_open(p[0], O_RDWR | (rnd() % 2 ? O_CREAT : 0) | (rnd() % 4 ? 0 : O_EXCL), 0644);

			if (fd >= 0) {
				sys_write((uint64_t)fd, U("data"), 4);
				sys_close((uint64_t)fd);
			}
			break;
		}
		default:
			t_stat(p[0], &st);
		}
	}
	EXPECT(sys_chdir(U("/")), 0);
	/* All of it goes with the file system it is in: see main. */
}

struct test { const char *name; void (*run)(void); };
#define T(f) { #f, f }
static const struct test tests[] = {
	T(names_resolve_as_on_linux), T(long_names_are_limited), T(links_are_followed_up_to_a_limit),
	T(renames_keep_the_tree_a_tree), T(files_live_until_they_are_closed), T(data_are_what_was_written),
	T(offsets_and_limits_hold), T(listings_survive_changes), T(permissions_are_checked),
	T(descriptors_are_the_lowest), T(pipes_keep_order_and_pieces), T(splice_moves_pages),
	T(poll_and_epoll_tell_what_is_ready), T(locks_exclude_each_other), T(mounts_cover_and_come_off),
	T(openat2_stays_where_it_should), T(attributes_have_their_errors), T(inotify_tells_names),
	T(procfs_has_its_names), T(random_names_do_no_harm), T(sysfs_names_come_and_go),
	T(stores_through_a_mapping_change_the_time), T(devtmpfs_has_directories),
};

/* Each test runs in a tmpfs of its own: when it is unmounted, everything is back. */
int
main(void)
{
	unsigned n = 0;

	host_fs_init();
	EXPECT(t_mkdir("/top"), 0);
	for (int round = 0; round < 2; round++)
		for (n = 0; n < ARRAY_LEN(tests); n++) {
			uint64_t pages = pages_free_count();
			long before = host_objects;

			printf("%s\n", tests[n].name);
			fflush(0);
			EXPECT(sys_mount(U("t"), U("/top"), U("tmpfs"), 0, 0), 0);
			struct path old = current->fs->root;
			struct path top;

			EXPECT(path_walk(AT_FDCWD, "/top", WALK_FOLLOW, &top), 0);
			current->fs->root = top;
			path_put(&current->fs->cwd);
			current->fs->cwd = top;
			path_get(&current->fs->cwd);
			memset(host_signals, 0, sizeof(host_signals));
			if (n == 18) {		/* the mount table shows paths from the real root */
				path_put(&current->fs->root);
				path_put(&current->fs->cwd);
				current->fs->root = old;
				current->fs->cwd = old;
				path_get(&current->fs->cwd);
				EXPECT(sys_umount2(U("/top"), 0), 0);
				tests[n].run();
				continue;
			}
			tests[n].run();
			path_put(&current->fs->root);
			path_put(&current->fs->cwd);
			current->fs->root = old;
			current->fs->cwd = old;
			path_get(&current->fs->cwd);
			EXPECT(sys_umount2(U("/top"), 0), 0);
			EXPECT(pages_free_count(), pages);
			if (round == 1)		/* the first one fills caches */
				EXPECT(host_objects, before);
		}
	printf("%u passed, 0 failed\n", n);
	return 0;
}
