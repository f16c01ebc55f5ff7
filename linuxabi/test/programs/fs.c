/* SPDX-License-Identifier: MIT */
/*
 * What Linux promises of files, asked of the system that this runs on: any Linux
 * (as root, in a directory on tmpfs), or the personality.  Prints one line for
 * each failure and a last line "fs: N passed, M failed".
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/select.h>
#include <sys/sendfile.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <time.h>
#include <unistd.h>

static int passed, failed;

#define CHECK(c) do { if (c) passed++; else { failed++; \
	printf("FAIL %s:%d: %s (errno %d)\n", __func__, __LINE__, #c, errno); } } while (0)
#define FAILS(call, e) do { errno = 0; long r_ = (long)(call); CHECK(r_ == -1 && errno == (e)); } while (0)

static void
put(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0644);

	CHECK(fd >= 0);
	CHECK(write(fd, text, strlen(text)) == (ssize_t)strlen(text));
	close(fd);
}

static int
holds(const char *path, const char *text)
{
	char buf[256];
	int fd = open(path, O_RDONLY);
	ssize_t n = read(fd, buf, sizeof(buf));

	close(fd);
	return n == (ssize_t)strlen(text) && memcmp(buf, text, (size_t)n) == 0;
}

static void
names(void)
{
	char buf[4200];
	struct stat st;
	int fd;

	CHECK(mkdir("d", 0777) == 0);
	CHECK(stat("d", &st) == 0 && st.st_nlink == 2 && (st.st_mode & 07777) == 0755);
	FAILS(mkdir("d", 0777), EEXIST);
	FAILS(mkdir("d/.", 0777), EEXIST);
	FAILS(mkdir("no/d", 0777), ENOENT);
	put("d/f", "f");
	FAILS(mkdir("d/f/x", 0777), ENOTDIR);
	FAILS(open("d/f/", O_RDONLY), ENOTDIR);
	FAILS(open("d/n/", O_CREAT | O_WRONLY, 0600), EISDIR);
	FAILS(open("d", O_RDWR), EISDIR);
	FAILS(open("d/f", O_RDONLY | O_DIRECTORY), ENOTDIR);
	FAILS(open("d/f", O_CREAT | O_EXCL | O_RDWR, 0600), EEXIST);
	FAILS(open("", O_RDONLY), ENOENT);
	FAILS(open((char *)8, O_RDONLY), EFAULT);
	FAILS(unlink("d"), EISDIR);
	FAILS(rmdir("d"), ENOTEMPTY);
	FAILS(rmdir("d/f"), ENOTDIR);
	FAILS(rmdir("d/."), EINVAL);
	FAILS(rename("d", "d/x"), EINVAL);
	FAILS(unlinkat(AT_FDCWD, "d/f", 4), EINVAL);
	CHECK(symlink("f", "d/l") == 0);
	CHECK(readlink("d/l", buf, sizeof(buf)) == 1);
	FAILS(readlink("d/f", buf, sizeof(buf)), EINVAL);
	FAILS(open("d/l", O_RDONLY | O_NOFOLLOW), ELOOP);
	fd = open("d/l", O_PATH | O_NOFOLLOW);
	CHECK(fd >= 0);
	CHECK(fstat(fd, &st) == 0 && S_ISLNK(st.st_mode));
	CHECK(readlinkat(fd, "", buf, sizeof(buf)) == 1);
	FAILS(read(fd, buf, 1), EBADF);
	FAILS(syscall(SYS_fchmod, fd, 0600), EBADF);
	close(fd);
	CHECK(symlink("loop", "d/loop") == 0);
	FAILS(open("d/loop", O_RDONLY), ELOOP);
	FAILS(stat("d/loop", &st), ELOOP);
	CHECK(link("d/f", "d/g") == 0);
	CHECK(stat("d/g", &st) == 0 && st.st_nlink == 2);
	FAILS(link("d", "e"), EPERM);
	FAILS(link("d/f", "d/g"), EEXIST);
	CHECK(rename("d/f", "d/g") == 0 && access("d/f", F_OK) == 0);
	CHECK(unlink("d/f") == 0 && unlink("d/g") == 0 && unlink("d/l") == 0 && unlink("d/loop") == 0);
	memset(buf, 'x', sizeof(buf));
	buf[255] = 0;
	CHECK(mkdir(buf, 0700) == 0 && rmdir(buf) == 0);
	buf[255] = 'x', buf[256] = 0;
	FAILS(mkdir(buf, 0700), ENAMETOOLONG);
	buf[256] = 'x', buf[4199] = 0;
	FAILS(mkdir(buf, 0700), ENAMETOOLONG);
	CHECK(rmdir("d") == 0);
}

static void
directories(void)
{
	char cwd[256], name[32];
	struct dirent *e;
	struct stat a, b;
	int fd, n = 0;
	DIR *d;

	CHECK(getcwd(cwd, sizeof(cwd)) != NULL);
	FAILS(syscall(SYS_getcwd, cwd, 1UL), ERANGE);
	CHECK(getcwd(cwd, sizeof(cwd)) != NULL);
	CHECK(mkdir("w", 0755) == 0 && chdir("w") == 0);
	CHECK(stat("..", &a) == 0 && stat(cwd, &b) == 0 && a.st_ino == b.st_ino);
	for (int i = 0; i < 300; i++) {
		snprintf(name, sizeof(name), "file-number-%d", i);
		put(name, "");
	}
	d = opendir(".");
	while ((e = readdir(d)) != NULL)
		if (e->d_name[0] != '.') {
			CHECK(e->d_type == DT_REG || e->d_type == DT_UNKNOWN);
			CHECK(unlink(e->d_name) == 0);
			n++;
		}
	CHECK(n == 300);
	closedir(d);
	fd = open(".", O_RDONLY | O_DIRECTORY);
	CHECK(chdir("..") == 0 && rmdir("w") == 0);
	FAILS(openat(fd, "x", O_CREAT | O_WRONLY, 0600), ENOENT);
	CHECK(fchdir(fd) == 0);
	FAILS(syscall(SYS_getcwd, name, sizeof(name)), ENOENT);
	close(fd);
	CHECK(chdir(cwd) == 0);
}

static void
data(void)
{
	struct iovec v[3] = { { "ab", 2 }, { "", 0 }, { "cde", 3 } };
	char buf[64];
	struct stat st;
	struct rlimit old, lim;
	char *m;
	int fd = open("data", O_RDWR | O_CREAT | O_TRUNC, 0600), fd2;

	CHECK(writev(fd, v, 3) == 5);
	CHECK(lseek(fd, 0, SEEK_CUR) == 5);
	CHECK(pread(fd, buf, 10, 1) == 4 && memcmp(buf, "bcde", 4) == 0);
	FAILS(pread(fd, buf, 1, -1), EINVAL);
	FAILS(lseek(fd, -1, SEEK_SET), EINVAL);
	FAILS(lseek(fd, 0, 77), EINVAL);
	FAILS(pread(fd, (void *)8, 3, 0), EFAULT);
	FAILS(pwrite(fd, (void *)8, 3, 0), EFAULT);
	CHECK(lseek(fd, 65536, SEEK_SET) == 65536 && write(fd, "z", 1) == 1);
	CHECK(fstat(fd, &st) == 0 && st.st_size == 65537);
	CHECK(lseek(fd, 0, SEEK_HOLE) == 4096 || lseek(fd, 0, SEEK_HOLE) == 65537);
	CHECK(lseek(fd, 4096, SEEK_DATA) == 65536);
	FAILS(lseek(fd, 70000, SEEK_DATA), ENXIO);
	CHECK(ftruncate(fd, 3) == 0 && ftruncate(fd, 10) == 0);
	CHECK(pread(fd, buf, 20, 0) == 10 && memcmp(buf, "abc\0\0\0\0\0\0\0", 10) == 0);
	/* One file, two ways: a shared mapping sees what is written. */
	m = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	CHECK(m != MAP_FAILED);
	if (m != MAP_FAILED) {
		CHECK(pwrite(fd, "M", 1, 0) == 1 && m[0] == 'M');
		m[1] = 'N';
		CHECK(pread(fd, buf, 2, 0) == 2 && buf[1] == 'N');
		munmap(m, 4096);
	}
	fd2 = open("data", O_WRONLY | O_APPEND);
	CHECK(pwrite(fd2, "end", 3, 0) == 3 && lseek(fd, 0, SEEK_END) == 13);
	FAILS(read(fd2, buf, 1), EBADF);
	CHECK(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, 5) == 0);
	CHECK(pread(fd, buf, 5, 0) == 5 && memcmp(buf, "\0\0\0\0\0", 5) == 0);
	CHECK(fallocate(fd, 0, 0, 8192) == 0 && lseek(fd, 0, SEEK_END) == 8192);
	FAILS(fallocate(fd, 0, 0, 0), EINVAL);
	getrlimit(RLIMIT_FSIZE, &old);
	lim = old;
	lim.rlim_cur = 8194;
	signal(SIGXFSZ, SIG_IGN);
	CHECK(setrlimit(RLIMIT_FSIZE, &lim) == 0);
	CHECK(write(fd2, "12345", 5) == 2);
	FAILS(write(fd2, "12345", 5), EFBIG);
	setrlimit(RLIMIT_FSIZE, &old);
	CHECK(unlink("data") == 0 && fstat(fd, &st) == 0 && st.st_nlink == 0);
	close(fd2);
	close(fd);
	fd = open(".", O_TMPFILE | O_RDWR, 0600);
	CHECK(fd >= 0 && write(fd, "tmp", 3) == 3);
	snprintf(buf, sizeof(buf), "/proc/self/fd/%d", fd);
	CHECK(linkat(AT_FDCWD, buf, AT_FDCWD, "named", AT_SYMLINK_FOLLOW) == 0);
	close(fd);
	CHECK(holds("named", "tmp") && unlink("named") == 0);
}

static void
attributes(void)
{
	struct timespec ts[2] = { { 1, 2 }, { 3, 4 } };
	struct statfs fs;
	struct statx sx;
	struct stat st;
	char buf[64];
	int fd;

	put("a", "abc");
	CHECK(chmod("a", 04711) == 0 && stat("a", &st) == 0 && (st.st_mode & 07777) == 04711);
	CHECK(chown("a", 5, 6) == 0 && stat("a", &st) == 0 && st.st_uid == 5 && st.st_gid == 6);
	CHECK((st.st_mode & 07777) == 0711);
	CHECK(utimensat(AT_FDCWD, "a", ts, 0) == 0 && stat("a", &st) == 0);
	CHECK(st.st_atim.tv_sec == 1 && st.st_atim.tv_nsec == 2 && st.st_mtim.tv_sec == 3 && st.st_mtim.tv_nsec == 4);
	ts[0].tv_nsec = UTIME_OMIT;
	ts[1].tv_nsec = 2000000000;
	FAILS(utimensat(AT_FDCWD, "a", ts, 0), EINVAL);
	CHECK(syscall(SYS_statx, AT_FDCWD, "a", 0, STATX_BASIC_STATS, &sx) == 0 && sx.stx_size == 3);
	CHECK(statfs(".", &fs) == 0 && fs.f_bsize == 4096);
	FAILS(getxattr("a", "user.x", buf, sizeof(buf)), ENODATA);
	FAILS(getxattr("a", "nonsense", buf, sizeof(buf)), EOPNOTSUPP);
	CHECK(setxattr("a", "trusted.x", "1", 1, 0) == 0);
	CHECK(getxattr("a", "trusted.x", buf, sizeof(buf)) == 1);
	FAILS(setxattr("a", "trusted.x", "1", 1, XATTR_CREATE), EEXIST);
	CHECK(removexattr("a", "trusted.x") == 0);
	umask(027);
	fd = open("b", O_CREAT | O_RDWR, 0666);
	CHECK(fstat(fd, &st) == 0 && (st.st_mode & 07777) == 0640);
	close(fd);
	CHECK(umask(022) == 027);
	CHECK(mknod("fifo", S_IFIFO | 0600, 0) == 0 && stat("fifo", &st) == 0 && S_ISFIFO(st.st_mode));
	CHECK(mknod("null", S_IFCHR | 0600, 0x103) == 0);
	fd = open("null", O_RDWR);
	CHECK(fd >= 0 && write(fd, "x", 1) == 1 && read(fd, buf, 1) == 0);
	close(fd);
	CHECK(mkdir("sg", 02775) == 0 && chown("sg", 0, 77) == 0 && chmod("sg", 02775) == 0);
	put("sg/f", "");
	CHECK(mkdir("sg/d", 0755) == 0 && stat("sg/d", &st) == 0 && st.st_gid == 77 && (st.st_mode & S_ISGID));
	CHECK(stat("sg/f", &st) == 0 && st.st_gid == 77);
	unlink("sg/f"), rmdir("sg/d"), rmdir("sg");
	unlink("a"), unlink("b"), unlink("fifo"), unlink("null");
}

static void
other_user(void)
{
	int status;
	pid_t pid;

	mkdir("sticky", 0777);
	chmod("sticky", 01777);
	put("sticky/root", "r");
	chmod("sticky/root", 0600);
	pid = fork();
	if (pid == 0) {
		int bad = 0;

		if (setgid(1000) != 0 || setuid(1000) != 0)
			_exit(99);
		bad += open("sticky/root", O_RDONLY) != -1 || errno != EACCES;
		bad += unlink("sticky/root") != -1 || errno != EPERM;
		bad += rename("sticky/root", "sticky/x") != -1 || errno != EPERM;
		bad += chmod("sticky/root", 0777) != -1 || errno != EPERM;
		bad += mkdir("/proc/x", 0777) != -1;
		bad += mknod("sticky/dev", S_IFCHR | 0600, 0x103) != -1 || errno != EPERM;
		bad += chroot("sticky") != -1 || errno != EPERM;
		bad += mount("x", "sticky", "tmpfs", 0, NULL) != -1 || errno != EPERM;
		bad += mkdir("sticky/mine", 0700) != 0 || rmdir("sticky/mine") != 0;
		bad += access("sticky/root", R_OK) != -1 || errno != EACCES;
		_exit(bad);
	}
	CHECK(waitpid(pid, &status, 0) == pid && status == 0);
	unlink("sticky/root"), rmdir("sticky");
}

static void
descriptors(void)
{
	struct rlimit old, lim;
	int fd = open("/dev/null", O_RDWR | O_CLOEXEC), n;

	CHECK(fcntl(fd, F_GETFD) == FD_CLOEXEC && fcntl(fd, F_SETFD, 0) == 0 && fcntl(fd, F_GETFD) == 0);
	CHECK((fcntl(fd, F_GETFL) & O_ACCMODE) == O_RDWR);
	CHECK(fcntl(fd, F_SETFL, O_NONBLOCK) == 0 && (fcntl(fd, F_GETFL) & O_NONBLOCK) != 0);
	CHECK(fcntl(fd, F_DUPFD_CLOEXEC, 50) == 50 && fcntl(50, F_GETFD) == FD_CLOEXEC);
	FAILS(fcntl(fd, 9999), EINVAL);
	FAILS(fcntl(999, F_GETFL), EBADF);
	FAILS(dup3(fd, fd, 0), EINVAL);
	CHECK(dup2(fd, 60) == 60 && close(60) == 0);
	getrlimit(RLIMIT_NOFILE, &old);
	lim = old;
	lim.rlim_cur = 20;
	setrlimit(RLIMIT_NOFILE, &lim);
	for (n = 0; n < 100 && dup(fd) >= 0; n++)
		;
	CHECK(errno == EMFILE && n < 20);
	FAILS(dup2(fd, 20), EBADF);
	setrlimit(RLIMIT_NOFILE, &old);
	CHECK(syscall(SYS_close_range, fd + 1, ~0U, 0) == 0);
	FAILS(close(50), EBADF);
	close(fd);
}

static void *
writer(void *arg)
{
	int fd = *(int *)arg;
	struct timespec t = { 0, 20000000 };

	nanosleep(&t, NULL);
	CHECK(write(fd, "late", 4) == 4);
	return NULL;
}

static void
pipes(void)
{
	static char big[200000], back[200000];
	char buf[16];
	pthread_t t;
	int p[2], status, n;
	pid_t pid;
	size_t got = 0;

	CHECK(pipe(p) == 0);
	pthread_create(&t, NULL, writer, &p[1]);
	CHECK(read(p[0], buf, 16) == 4 && memcmp(buf, "late", 4) == 0);
	pthread_join(t, NULL);
	FAILS(lseek(p[0], 0, SEEK_SET), ESPIPE);
	FAILS(write(p[0], "x", 1), EBADF);
	CHECK(fcntl(p[0], F_GETPIPE_SZ) == 65536 && fcntl(p[0], F_SETPIPE_SZ, 8192) == 8192);
	for (size_t i = 0; i < sizeof(big); i++)
		big[i] = (char)(i * 7 + i / 251);
	pid = fork();
	if (pid == 0) {
		close(p[0]);
		_exit(write(p[1], big, sizeof(big)) == (ssize_t)sizeof(big) ? 0 : 1);
	}
	close(p[1]);
	while ((n = (int)read(p[0], back + got, sizeof(back) - got)) > 0)
		got += (size_t)n;
	CHECK(got == sizeof(big) && memcmp(big, back, got) == 0);
	CHECK(waitpid(pid, &status, 0) == pid && status == 0);
	close(p[0]);
	CHECK(pipe2(p, O_NONBLOCK) == 0);
	FAILS(read(p[0], buf, 1), EAGAIN);
	CHECK(write(p[1], big, sizeof(big)) == 65536);
	FAILS(write(p[1], big, 1), EAGAIN);
	CHECK(ioctl(p[0], FIONREAD, &n) == 0 && n == 65536);
	close(p[0]);
	signal(SIGPIPE, SIG_IGN);
	FAILS(write(p[1], "x", 1), EPIPE);
	close(p[1]);
	/* A write of PIPE_BUF bytes from many is never split. */
	CHECK(pipe(p) == 0);
	for (int c = 0; c < 4; c++)
		if (fork() == 0) {
			memset(big, 'a' + c, 4096);
			for (int i = 0; i < 20; i++)
				if (write(p[1], big, 4096) != 4096)
					_exit(1);
			_exit(0);
		}
	close(p[1]);
	for (n = 0; ; n++) {
		got = 0;
		while (got < 4096) {
			ssize_t r = read(p[0], back + got, 4096 - got);

			if (r <= 0)
				break;
			got += (size_t)r;
		}
		if (got == 0)
			break;
		int same = got == 4096;
		for (size_t i = 1; i < got; i++)
			same &= back[i] == back[0];
		if (!same)
			CHECK(same);
	}
	CHECK(n == 80);
	while (waitpid(-1, &status, 0) > 0)
		CHECK(status == 0);
	close(p[0]);
}

static void
fifos(void)
{
	char buf[8];
	struct pollfd pf;
	int fd, status;
	pid_t pid;

	CHECK(mkfifo("ff", 0600) == 0);
	FAILS(open("ff", O_WRONLY | O_NONBLOCK), ENXIO);
	pid = fork();
	if (pid == 0) {
		fd = open("ff", O_WRONLY);
		_exit(write(fd, "hi", 2) == 2 ? 0 : 1);
	}
	fd = open("ff", O_RDONLY);
	CHECK(read(fd, buf, 8) == 2);
	CHECK(waitpid(pid, &status, 0) == pid && status == 0);
	CHECK(read(fd, buf, 8) == 0);
	close(fd);
	fd = open("ff", O_RDONLY | O_NONBLOCK);
	CHECK(fd >= 0 && read(fd, buf, 1) == 0);
	pf = (struct pollfd){ fd, POLLIN, 0 };
	CHECK(poll(&pf, 1, 0) == 0);
	int w = open("ff", O_WRONLY | O_NONBLOCK);
	CHECK(w >= 0);
	close(w);
	CHECK(poll(&pf, 1, 0) == 1 && (pf.revents & POLLHUP) != 0);
	close(fd);
	unlink("ff");
}

static long
now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static void
waiting(void)
{
	struct epoll_event ev = { .events = EPOLLIN, .data.u32 = 9 }, out[4];
	struct signalfd_siginfo si;
	struct timeval tv = { 0, 30000 };
	struct pollfd pf[2];
	uint64_t v = 3;
	sigset_t set;
	fd_set rd;
	int p[2], ep = epoll_create1(0), e = eventfd(0, EFD_NONBLOCK), s, n;
	pthread_t t;
	long start = now_ms();

	CHECK(pipe(p) == 0);
	pf[0] = (struct pollfd){ p[0], POLLIN, 0 };
	pf[1] = (struct pollfd){ 500, POLLIN, 0 };
	CHECK(poll(pf, 1, 30) == 0 && now_ms() - start >= 29);
	CHECK(poll(pf, 2, -1) == 1 && pf[1].revents == POLLNVAL);
	FD_ZERO(&rd);
	FD_SET(p[0], &rd);
	CHECK(select(p[0] + 1, &rd, NULL, NULL, &tv) == 0);
	pthread_create(&t, NULL, writer, &p[1]);
	CHECK(poll(pf, 1, 5000) == 1 && pf[0].revents == POLLIN);
	pthread_join(t, NULL);
	FD_SET(p[0], &rd);
	CHECK(select(p[0] + 1, &rd, NULL, NULL, NULL) == 1 && FD_ISSET(p[0], &rd));
	CHECK(epoll_ctl(ep, EPOLL_CTL_ADD, p[0], &ev) == 0);
	FAILS(epoll_ctl(ep, EPOLL_CTL_ADD, p[0], &ev), EEXIST);
	FAILS(epoll_ctl(ep, EPOLL_CTL_ADD, ep, &ev), EINVAL);
	FAILS(epoll_ctl(ep, EPOLL_CTL_DEL, e, NULL), ENOENT);
	FAILS(epoll_wait(ep, out, 0, 0), EINVAL);
	CHECK(epoll_wait(ep, out, 4, 0) == 1 && out[0].data.u32 == 9);
	CHECK(read(p[0], &n, 4) == 4);
	CHECK(epoll_wait(ep, out, 4, 10) == 0);
	pthread_create(&t, NULL, writer, &p[1]);
	CHECK(epoll_wait(ep, out, 4, 5000) == 1);
	pthread_join(t, NULL);
	ev.events = EPOLLIN | EPOLLET;
	CHECK(epoll_ctl(ep, EPOLL_CTL_MOD, p[0], &ev) == 0);
	CHECK(epoll_wait(ep, out, 4, 0) == 1 && epoll_wait(ep, out, 4, 0) == 0);
	close(p[0]);
	CHECK(epoll_wait(ep, out, 4, 0) == 0);
	CHECK(write(e, &v, 8) == 8 && write(e, &v, 8) == 8 && read(e, &v, 8) == 8 && v == 6);
	FAILS(read(e, &v, 8), EAGAIN);
	FAILS(write(e, &v, 4), EINVAL);
	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	sigprocmask(SIG_BLOCK, &set, NULL);
	s = signalfd(-1, &set, SFD_NONBLOCK);
	FAILS(read(s, &si, sizeof(si)), EAGAIN);
	kill(getpid(), SIGUSR1);
	pf[0] = (struct pollfd){ s, POLLIN, 0 };
	CHECK(poll(pf, 1, 0) == 1);
	CHECK(read(s, &si, sizeof(si)) == sizeof(si) && si.ssi_signo == SIGUSR1 && (pid_t)si.ssi_pid == getpid());
	close(s), close(e), close(ep), close(p[1]);
}

static void
locks(void)
{
	struct flock l = { .l_type = F_WRLCK, .l_len = 10 };
	int fd, fd2, status;
	pid_t pid;

	put("lock", "0123456789");
	fd = open("lock", O_RDWR);
	CHECK(fcntl(fd, F_SETLK, &l) == 0);
	pid = fork();
	if (pid == 0) {
		int bad = 0;

		bad += fcntl(fd, F_SETLK, &l) != -1 || (errno != EAGAIN && errno != EACCES);
		bad += fcntl(fd, F_GETLK, &l) != 0 || l.l_pid != getppid();
		l = (struct flock){ .l_type = F_WRLCK, .l_len = 10 };
		bad += fcntl(fd, F_SETLKW, &l) != 0;
		_exit(bad);
	}
	usleep(20000);
	l.l_type = F_UNLCK;
	CHECK(fcntl(fd, F_SETLK, &l) == 0);
	CHECK(waitpid(pid, &status, 0) == pid && status == 0);
	fd2 = open("lock", O_RDWR);
	CHECK(flock(fd, LOCK_EX) == 0);
	FAILS(flock(fd2, LOCK_SH | LOCK_NB), EWOULDBLOCK);
	CHECK(flock(fd, LOCK_UN) == 0 && flock(fd2, LOCK_SH | LOCK_NB) == 0);
	l = (struct flock){ .l_type = F_WRLCK, .l_len = 5 };
	CHECK(fcntl(fd, F_OFD_SETLK, &l) == 0);
	FAILS(fcntl(fd2, F_OFD_SETLK, &l), EAGAIN);
	close(fd), close(fd2);
	unlink("lock");
}

static void
moving(void)
{
	char buf[64];
	loff_t off = 2;
	int in, out, p[2];

	put("src", "0123456789");
	in = open("src", O_RDONLY);
	out = open("dst", O_RDWR | O_CREAT | O_TRUNC, 0600);
	CHECK(pipe(p) == 0);
	CHECK(splice(in, &off, p[1], NULL, 5, 0) == 5 && off == 7);
	CHECK(splice(p[0], NULL, out, NULL, 3, 0) == 3);
	CHECK(read(p[0], buf, 64) == 2);
	CHECK(sendfile(out, in, NULL, 100) == 10);
	CHECK(holds("dst", "2340123456789"));
	off = 0;
	CHECK(copy_file_range(out, &off, out, NULL, 3, 0) == 3 && holds("dst", "2340123456789234"));
	FAILS(splice(in, NULL, out, NULL, 3, 0), EINVAL);
	close(in), close(out), close(p[0]), close(p[1]);
	unlink("src"), unlink("dst");
}

static void
watching(void)
{
	char buf[1024] __attribute__((aligned(8)));
	struct inotify_event *e = (void *)buf;
	int in = inotify_init1(0), wd, n;

	mkdir("watch", 0755);
	wd = inotify_add_watch(in, "watch", IN_CREATE | IN_DELETE | IN_CLOSE_WRITE);
	CHECK(wd > 0);
	if (fork() == 0) {
		usleep(10000);
		put("watch/f", "");
		_exit(0);
	}
	n = (int)read(in, buf, sizeof(buf));
	CHECK(n >= 32 && e->wd == wd && e->mask == IN_CREATE && strcmp(e->name, "f") == 0);
	wait(NULL);
	unlink("watch/f");
	CHECK(inotify_rm_watch(in, wd) == 0);
	FAILS(inotify_rm_watch(in, wd), EINVAL);
	rmdir("watch");
	close(in);
}

static void
mounts(void)
{
	struct stat a, b;
	int fd;

	mkdir("mnt", 0755);
	stat("mnt", &a);
	CHECK(mount("none", "mnt", "tmpfs", 0, "size=64k") == 0);
	CHECK(stat("mnt", &b) == 0 && a.st_dev != b.st_dev);
	CHECK(stat("mnt/..", &b) == 0 && a.st_dev == b.st_dev);
	FAILS(rmdir("mnt"), EBUSY);
	put("mnt/f", "x");
	FAILS(rename("mnt/f", "f"), EXDEV);
	FAILS(link("mnt/f", "f"), EXDEV);
	fd = open("mnt/big", O_CREAT | O_RDWR, 0600);
	FAILS(fallocate(fd, 0, 0, 1 << 20), ENOSPC);
	FAILS(umount("mnt"), EBUSY);
	close(fd);
	CHECK(mount(NULL, "mnt", NULL, MS_REMOUNT | MS_RDONLY, NULL) == 0);
	FAILS(open("mnt/f", O_RDWR), EROFS);
	FAILS(mkdir("mnt/d", 0700), EROFS);
	mkdir("bind", 0755);
	CHECK(mount("mnt", "bind", NULL, MS_BIND, NULL) == 0);
	CHECK(umount("mnt") == 0 && access("bind/f", F_OK) == 0 && umount("bind") == 0);
	FAILS(umount("bind"), EINVAL);
	FAILS(mount("x", "mnt", "nonsense", 0, NULL), ENODEV);
	rmdir("mnt"), rmdir("bind");
}

static void
proc(void)
{
	static const char *const files[] = { "/proc/meminfo", "/proc/stat", "/proc/uptime", "/proc/loadavg", "/proc/version",
	    "/proc/cpuinfo", "/proc/filesystems", "/proc/mounts", "/proc/self/stat", "/proc/self/status", "/proc/self/maps",
	    "/proc/self/cmdline", "/proc/self/limits", "/proc/self/mountinfo", "/proc/self/statm", "/proc/self/auxv",
	    "/proc/thread-self/comm", "/proc/sys/kernel/hostname", "/proc/sys/kernel/pid_max" };
	char buf[8192], link[64];
	struct stat st;
	int fd, p[2], n;
	DIR *d;

	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
		fd = open(files[i], O_RDONLY);
		n = (int)read(fd, buf, sizeof(buf));
		if (fd < 0 || n <= 0)
			printf("%s: ", files[i]);
		CHECK(fd >= 0 && n > 0);
		close(fd);
	}
	n = (int)readlink("/proc/self/exe", buf, sizeof(buf));
	CHECK(n > 0 && buf[0] == '/');
	CHECK(pipe(p) == 0);
	snprintf(link, sizeof(link), "/proc/self/fd/%d", p[0]);
	n = (int)readlink(link, buf, sizeof(buf));
	CHECK(n > 6 && memcmp(buf, "pipe:[", 6) == 0);
	CHECK(write(p[1], "xy", 2) == 2);
	fd = open(link, O_RDONLY);
	CHECK(fd >= 0 && read(fd, buf, 8) == 2);
	close(fd), close(p[0]), close(p[1]);
	snprintf(buf, sizeof(buf), "/proc/%d/stat", getpid());
	CHECK(stat(buf, &st) == 0);
	FAILS(stat("/proc/99999999", &st), ENOENT);
	FAILS(stat("/proc/nothing", &st), ENOENT);
	n = 0;
	d = opendir("/proc/self/fd");
	while (d != NULL && readdir(d) != NULL)
		n++;
	CHECK(n >= 6);
	if (d != NULL)
		closedir(d);
	/* A child that is gone is gone from /proc, too. */
	if ((n = fork()) == 0)
		_exit(0);
	snprintf(buf, sizeof(buf), "/proc/%d", n);
	CHECK(stat(buf, &st) == 0);
	waitpid(n, NULL, 0);
	FAILS(stat(buf, &st), ENOENT);
}

/* Many threads at the same names: nothing breaks, and nothing is left. */
static volatile int stop;

static void *
churn(void *arg)
{
	unsigned seed = (unsigned)(uintptr_t)arg;
	char a[32], b[32], buf[16];
	struct stat st;

	for (int i = 0; i < 3000; i++) {
		snprintf(a, sizeof(a), "churn/d%d/f%d", rand_r(&seed) % 2, rand_r(&seed) % 4);
		snprintf(b, sizeof(b), "churn/d%d/f%d", rand_r(&seed) % 2, rand_r(&seed) % 4);
		switch (rand_r(&seed) % 7) {
		case 0: {
			int fd = open(a, O_RDWR | O_CREAT, 0600);

			if (fd >= 0) {
				if (write(fd, "x", 1) != 1 || pread(fd, buf, 1, 0) != 1 || buf[0] != 'x')
					return (void *)1;
				close(fd);
			}
			break;
		}
		case 1: unlink(a); break;
		case 2: rename(a, b); break;
		case 3: link(a, b); break;
		case 4: symlink("f0", a); break;
		case 5: rename("churn/d0", "churn/d1"); mkdir("churn/d0", 0700); mkdir("churn/d1", 0700); break;
		default:
			if (stat(a, &st) == 0 && !S_ISREG(st.st_mode))
				return (void *)2;
		}
	}
	return NULL;
}

static void
threads(void)
{
	pthread_t t[4];
	void *r;

	mkdir("churn", 0700), mkdir("churn/d0", 0700), mkdir("churn/d1", 0700);
	for (int i = 0; i < 4; i++)
		pthread_create(&t[i], NULL, churn, (void *)(uintptr_t)(i + 1));
	for (int i = 0; i < 4; i++) {
		pthread_join(t[i], &r);
		CHECK(r == NULL);
	}
	for (int i = 0; i < 8; i++) {
		char a[32];

		snprintf(a, sizeof(a), "churn/d%d/f%d", i / 4, i % 4);
		unlink(a);
	}
	rmdir("churn/d0"), rmdir("churn/d1");
	CHECK(rmdir("churn") == 0);
}

int
main(void)
{
	char dir[] = "fs-XXXXXX";

	setvbuf(stdout, NULL, _IOLBF, 0);
	if (mkdtemp(dir) == NULL || chmod(dir, 0755) != 0 || chdir(dir) != 0) {
		perror(dir);
		return 1;
	}
	names();
	directories();
	data();
	attributes();
	other_user();
	descriptors();
	pipes();
	fifos();
	waiting();
	locks();
	moving();
	watching();
	mounts();
	proc();
	threads();
	if (chdir("..") != 0 || rmdir(dir) != 0)
		perror(dir);
	printf("fs: %d passed, %d failed\n", passed, failed);
	return failed != 0;
}
