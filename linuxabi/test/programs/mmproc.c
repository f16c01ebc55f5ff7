/* SPDX-License-Identifier: MIT */
/*
 * What Linux promises of memory and processes, asked of the system that this
 * runs on: any Linux, or the personality.  Prints one line for each failure and a
 * last line "mmproc: N passed, M failed".
 */
#define _GNU_SOURCE
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <spawn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysinfo.h>
#include <sys/times.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static int passed, failed;
static const char *self;

#define CHECK(c) do { if (c) passed++; else { failed++; \
	printf("FAIL %s:%d: %s (errno %d)\n", __func__, __LINE__, #c, errno); } } while (0)
#define FAILS(call, e) do { errno = 0; long r_ = (long)(call); CHECK(r_ == -1 && errno == (e)); } while (0)

static sigjmp_buf jump;
static volatile int caught, caught_code;

static void
on_fault(int sig, siginfo_t *i, void *u)
{
	(void)u;
	caught = sig;
	caught_code = i->si_code;
	siglongjmp(jump, 1);
}

static int
touch(volatile char *p, int write)
{
	caught = 0;
	if (sigsetjmp(jump, 1) == 0) {
		if (write)
			*p = 1;
		else
			(void)*p;
	}
	return caught;
}

static char *
anon(size_t n, int prot)
{
	return mmap(NULL, n, prot, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
}

static void
test_mmap(void)
{
	size_t pg = 4096;
	char *p = anon(8 * pg, PROT_READ | PROT_WRITE);

	CHECK(p != MAP_FAILED);
	for (int i = 0; i < 8; i++)
		CHECK(p[i * pg] == 0);
	memset(p, 'x', 8 * pg);
	CHECK(mprotect(p + 2 * pg, pg, PROT_READ) == 0);
	CHECK(touch(p + 2 * pg, 1) == SIGSEGV && caught_code == SEGV_ACCERR);
	CHECK(touch(p + 2 * pg, 0) == 0);
	CHECK(mprotect(p + 2 * pg, pg, PROT_NONE) == 0);
	CHECK(touch(p + 2 * pg, 0) == SIGSEGV);
	CHECK(mprotect(p + 2 * pg, pg, PROT_READ | PROT_WRITE) == 0 && p[2 * pg] == 'x');
	CHECK(munmap(p + 4 * pg, pg) == 0);
	CHECK(touch(p + 4 * pg, 0) == SIGSEGV && caught_code == SEGV_MAPERR);
	CHECK(p[5 * pg] == 'x');
	CHECK(madvise(p, pg, MADV_DONTNEED) == 0 && p[0] == 0);
	FAILS(madvise(p, 8 * pg, MADV_DONTNEED), ENOMEM);
	FAILS(mmap(p, pg, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0), EEXIST);
	FAILS(mmap(NULL, 0, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), EINVAL);
	FAILS(mmap(NULL, pg, PROT_READ, MAP_ANONYMOUS, -1, 0), EINVAL);
	FAILS(mmap(NULL, pg, PROT_READ, MAP_PRIVATE, -1, 0), EBADF);
	FAILS(mmap(NULL, -(2UL * pg), PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), ENOMEM);
	FAILS(munmap(p + 1, pg), EINVAL);
	FAILS(munmap(p, 0), EINVAL);
	CHECK(munmap(p, 8 * pg) == 0);
	FAILS(mprotect(p, pg, PROT_READ), ENOMEM);
	p = mmap(NULL, 400UL << 30, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	CHECK(p != MAP_FAILED);
	CHECK(mprotect(p + (200UL << 30), pg, PROT_READ | PROT_WRITE) == 0);
	p[200UL << 30] = 1;
	CHECK(munmap(p, 400UL << 30) == 0);
	p = mmap((void *)0x200000000000, pg, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	CHECK(p == (void *)0x200000000000);
	munmap(p, pg);
}

static void
test_mremap(void)
{
	size_t pg = 4096;
	char *p = anon(4 * pg, PROT_READ | PROT_WRITE), *q;

	memset(p, 'a', 4 * pg);
	q = mremap(p, 4 * pg, 64 * pg, MREMAP_MAYMOVE);
	CHECK(q != MAP_FAILED && q[3 * pg] == 'a' && q[4 * pg] == 0);
	q[63 * pg] = 'z';
	q = mremap(q, 64 * pg, 2 * pg, 0);
	CHECK(q != MAP_FAILED && touch(q + 2 * pg, 0) == SIGSEGV);
	p = anon(8 * pg, PROT_NONE);
	p = mremap(q, 2 * pg, 2 * pg, MREMAP_MAYMOVE | MREMAP_FIXED, p + 2 * pg);
	CHECK(p != MAP_FAILED && p[0] == 'a' && touch(q, 0) == SIGSEGV);
	FAILS(mremap(p, 2 * pg, 4 * pg, 8), EINVAL);
	FAILS(mremap(p, 2 * pg, 0, MREMAP_MAYMOVE), EINVAL);
	FAILS(mremap(p + 1, pg, pg, MREMAP_MAYMOVE), EINVAL);
}

static void
test_files(void)
{
	size_t pg = 4096;
	int fd = open("/tmp/mmproc.file", O_RDWR | O_CREAT | O_TRUNC, 0600);
	char *s, *p, buf[8];

	CHECK(fd >= 0 && ftruncate(fd, 2 * pg + 100) == 0);
	CHECK(pwrite(fd, "hello", 5, pg) == 5);
	s = mmap(NULL, 4 * pg, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	p = mmap(NULL, 4 * pg, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
	CHECK(s != MAP_FAILED && p != MAP_FAILED);
	CHECK(memcmp(s + pg, "hello", 5) == 0 && memcmp(p + pg, "hello", 5) == 0);
	s[pg] = 'J';
	CHECK(pread(fd, buf, 5, pg) == 5 && memcmp(buf, "Jello", 5) == 0);
	p[pg + 1] = 'A';
	CHECK(s[pg + 1] == 'e');
	CHECK(p[2 * pg + 200] == 0);
	CHECK(touch(p + 3 * pg, 0) == SIGBUS);
	CHECK(touch(s + 3 * pg, 1) == SIGBUS);
	CHECK(ftruncate(fd, pg) == 0);
	CHECK(touch(s + pg, 0) == SIGBUS);
	CHECK(ftruncate(fd, 4 * pg) == 0 && s[pg] == 0);
	CHECK(msync(s, 4 * pg, MS_SYNC) == 0);
	CHECK(munmap(s, 4 * pg) == 0 && munmap(p, 4 * pg) == 0);
	close(fd);
	fd = open("/tmp/mmproc.file", O_RDONLY);
	FAILS(mmap(NULL, pg, PROT_WRITE, MAP_SHARED, fd, 0), EACCES);
	s = mmap(NULL, pg, PROT_READ, MAP_SHARED, fd, 0);
	FAILS(mprotect(s, pg, PROT_READ | PROT_WRITE), EACCES);
	FAILS(mmap(NULL, pg, PROT_READ, MAP_PRIVATE, fd, 17), EINVAL);
	close(fd);
	unlink("/tmp/mmproc.file");
	munmap(s, pg);
}

static void
test_shared_anon(void)
{
	int *p = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	int st;
	pid_t c;

	*p = 1;
	c = fork();
	if (c == 0) {
		*p = 42;
		_exit(0);
	}
	CHECK(waitpid(c, &st, 0) == c && *p == 42);
	munmap(p, 4096);
}

static int
recurse(int depth)
{
	volatile char pad[4096];

	pad[0] = (char)depth;
	return depth == 0 ? pad[0] : recurse(depth - 1) + pad[0];
}

static void
test_stack(void)
{
	static char alt[65536];
	stack_t ss = { .ss_sp = alt, .ss_size = sizeof(alt) };
	struct rlimit rl;
	int st;
	pid_t c;

	CHECK(getrlimit(RLIMIT_STACK, &rl) == 0);
	recurse(1500);			/* 6 MiB */
	c = fork();
	if (c == 0) {
		sigaltstack(&ss, NULL);
		rl.rlim_cur = 1 << 20;
		setrlimit(RLIMIT_STACK, &rl);
		signal(SIGSEGV, SIG_DFL);
		recurse(100000);
		_exit(0);
	}
	CHECK(waitpid(c, &st, 0) == c && WIFSIGNALED(st) && WTERMSIG(st) == SIGSEGV);
}

static void
test_brk(void)
{
	char *b = (char *)syscall(SYS_brk, 0);

	CHECK((char *)syscall(SYS_brk, b + 100000) == b + 100000);
	b[99999] = 1;
	CHECK((char *)syscall(SYS_brk, b) == b);
	CHECK(touch(b + 99999, 0) == SIGSEGV);
	CHECK((char *)syscall(SYS_brk, b + 100000) == b + 100000 && b[99999] == 0);
	CHECK((char *)syscall(SYS_brk, (char *)16) == b + 100000);
	CHECK((char *)syscall(SYS_brk, (char *)-16) == b + 100000);
	syscall(SYS_brk, b);
}

static void
test_fork_cow(void)
{
	char *p = anon(64 * 4096, PROT_READ | PROT_WRITE);
	int st;

	memset(p, 'p', 64 * 4096);
	pid_t c = fork();

	if (c == 0) {
		memset(p, 'c', 32 * 4096);
		_exit(p[40 * 4096] == 'p' && p[0] == 'c' ? 7 : 1);
	}
	memset(p + 32 * 4096, 'q', 32 * 4096);
	CHECK(waitpid(c, &st, 0) == c && WIFEXITED(st) && WEXITSTATUS(st) == 7);
	CHECK(p[0] == 'p' && p[63 * 4096] == 'q');
	CHECK(madvise(p, 4096, MADV_WIPEONFORK) == 0 && madvise(p + 4096, 4096, MADV_DONTFORK) == 0);
	c = fork();
	if (c == 0) {
		signal(SIGSEGV, SIG_DFL);
		if (p[0] != 0 || p[8192] != 'p')
			_exit(1);
		(void)*(volatile char *)(p + 4096);
		_exit(2);
	}
	CHECK(waitpid(c, &st, 0) == c && WIFSIGNALED(st) && WTERMSIG(st) == SIGSEGV);
	munmap(p, 64 * 4096);
}

static void
test_wait(void)
{
	int st;
	siginfo_t si;
	struct rusage ru;
	pid_t c;

	FAILS(waitpid(-1, &st, 0), ECHILD);
	FAILS(waitpid(99999, &st, WNOHANG), ECHILD);
	c = fork();
	if (c == 0)
		for (;;)
			pause();
	CHECK(waitpid(c, &st, WNOHANG) == 0);
	kill(c, SIGSTOP);
	CHECK(waitpid(c, &st, WUNTRACED) == c && WIFSTOPPED(st) && WSTOPSIG(st) == SIGSTOP);
	CHECK(waitpid(c, &st, WUNTRACED | WNOHANG) == 0);
	kill(c, SIGCONT);
	CHECK(waitpid(c, &st, WCONTINUED) == c && WIFCONTINUED(st));
	kill(c, SIGTERM);
	memset(&si, 0, sizeof(si));
	CHECK(waitid(P_PID, (id_t)c, &si, WEXITED | WNOWAIT) == 0);
	CHECK(si.si_pid == c && si.si_code == CLD_KILLED && si.si_status == SIGTERM && si.si_signo == SIGCHLD);
	CHECK(kill(c, 0) == 0);
	CHECK(wait4(c, &st, 0, &ru) == c && WIFSIGNALED(st) && WTERMSIG(st) == SIGTERM);
	FAILS(kill(c, 0), ESRCH);
	FAILS(waitid(P_PID, (id_t)c, &si, 0), EINVAL);
	FAILS(waitid(P_ALL, 0, &si, WEXITED), ECHILD);
	FAILS(waitpid(-1, &st, 0x40), EINVAL);
	signal(SIGCHLD, SIG_IGN);
	c = fork();
	if (c == 0)
		_exit(3);
	FAILS(waitpid(c, &st, 0), ECHILD);
	signal(SIGCHLD, SIG_DFL);
	c = fork();
	if (c == 0) {
		setpgid(0, 0);
		_exit(4);
	}
	CHECK(waitpid(c, &st, 0) == c && WEXITSTATUS(st) == 4);
}

static volatile int chld_pid, chld_code, chld_status;

static void
on_chld(int sig, siginfo_t *i, void *u)
{
	(void)sig;
	(void)u;
	chld_pid = i->si_pid;
	chld_code = i->si_code;
	chld_status = i->si_status;
}

static void
test_sigchld(void)
{
	struct sigaction sa = { .sa_sigaction = on_chld, .sa_flags = SA_SIGINFO | SA_RESTART };
	int st;
	pid_t c;

	sigaction(SIGCHLD, &sa, NULL);
	c = fork();
	if (c == 0)
		_exit(9);
	CHECK(waitpid(c, &st, 0) == c);
	CHECK(chld_pid == c && chld_code == CLD_EXITED && chld_status == 9);
	signal(SIGCHLD, SIG_DFL);
}

static void
test_orphan(void)
{
	int fds[2], st;
	pid_t pids[2] = { 0, 0 }, c;

	CHECK(pipe(fds) == 0);
	c = fork();
	if (c == 0) {
		pid_t g = fork();

		if (g == 0) {
			while (getppid() == (pid_t)syscall(SYS_getpid) - 1)
				usleep(1000);
			usleep(20000);
			pids[0] = getppid();
			pids[1] = getpid();
			if (write(fds[1], pids, sizeof(pids)) < 0)
				_exit(1);
			_exit(0);
		}
		_exit(0);
	}
	CHECK(waitpid(c, &st, 0) == c);
	CHECK(read(fds[0], pids, sizeof(pids)) == sizeof(pids));
	CHECK(pids[0] != c && pids[0] != getpid());
	close(fds[0]);
	close(fds[1]);
	/* A subreaper gets its grandchildren. */
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	c = fork();
	if (c == 0) {
		if (fork() == 0) {
			usleep(20000);
			_exit(5);
		}
		_exit(0);
	}
	CHECK(waitpid(c, &st, 0) == c);
	CHECK(wait(&st) > 0 && WEXITSTATUS(st) == 5);
	prctl(PR_SET_CHILD_SUBREAPER, 0);
}

static void
test_vfork(void)
{
	volatile int x = 0;
	int st;
	pid_t c = vfork();

	if (c == 0) {
		x = 1;
		_exit(6);
	}
	CHECK(x == 1 && waitpid(c, &st, 0) == c && WEXITSTATUS(st) == 6);
	char *argv[] = { (char *)self, "child", "exit11", NULL };

	CHECK(posix_spawn(&c, self, NULL, NULL, argv, environ) == 0);
	CHECK(waitpid(c, &st, 0) == c && WEXITSTATUS(st) == 11);
}

/* Run self with these arguments; its exit status, or 1000 + signal. */
static int
run(char *const argv[], char *const envp[])
{
	int st;
	pid_t c = fork();

	if (c == 0) {
		execve(argv[0], argv, envp);
		_exit(100 + errno);
	}
	if (waitpid(c, &st, 0) != c)
		return -1;
	return WIFEXITED(st) ? WEXITSTATUS(st) : 1000 + WTERMSIG(st);
}

static void
write_script(const char *name, const char *text, int mode)
{
	int fd = open(name, O_WRONLY | O_CREAT | O_TRUNC, 0600);

	if (fd < 0 || write(fd, text, strlen(text)) < 0)
		failed++;
	fchmod(fd, (mode_t)mode);
	close(fd);
}

static void
test_exec(void)
{
	char *env[] = { "A=1", "B=two", NULL };
	char *check[] = { (char *)self, "child", "args", "x y", "", NULL };
	char *script[] = { "/tmp/mmproc.sh", "tail", NULL };
	char text[256], *big = malloc(300000);
	char *huge[] = { (char *)self, "child", "exit11", big, NULL };
	char *missing[] = { "/nonexistent", NULL };

	CHECK(run(check, env) == 21);
	CHECK(run(missing, env) == 100 + ENOENT);
	snprintf(text, sizeof(text), "#! %s child script\n", self);
	write_script("/tmp/mmproc.sh", text, 0755);
	CHECK(run(script, env) == 22);
	write_script("/tmp/mmproc.sh", "#!/tmp/mmproc.sh\n", 0755);
	CHECK(run(script, env) == 100 + ELOOP);
	write_script("/tmp/mmproc.sh", "nothing we know\n", 0755);
	CHECK(run(script, env) == 100 + ENOEXEC);
	write_script("/tmp/mmproc.sh", text, 0644);
	CHECK(run(script, env) == 100 + EACCES);
	unlink("/tmp/mmproc.sh");
	memset(big, 'b', 299999);
	big[299999] = 0;
	CHECK(run(huge, env) == 100 + E2BIG);
	big[100000] = 0;
	CHECK(run(huge, env) == 11);
	free(big);
	char *aux[] = { (char *)self, "child", "auxv", NULL };

	CHECK(run(aux, env) == 23);
	char *dir[] = { "/tmp", NULL };

	CHECK(run(dir, env) == 100 + EACCES);
	int fd = open(self, O_RDONLY | O_CLOEXEC);
	pid_t c = fork();
	int st;

	if (c == 0) {
		syscall(SYS_execveat, fd, "", (char *[]){ "x", "child", "exit11", NULL }, env, AT_EMPTY_PATH);
		_exit(99);
	}
	CHECK(waitpid(c, &st, 0) == c && WEXITSTATUS(st) == 11);
	close(fd);
	/* Text busy: a program that runs cannot be written. */
	FAILS(open(self, O_WRONLY), ETXTBSY);
	/* argv NULL */
	c = fork();
	if (c == 0) {
		execve(self, NULL, NULL);
		_exit(99);
	}
	CHECK(waitpid(c, &st, 0) == c && WEXITSTATUS(st) == 24);
}

static void *
exec_thread(void *arg)
{
	char *argv[] = { (char *)self, "child", "pid", arg, NULL };

	usleep(10000);
	execve(self, argv, environ);
	return NULL;
}

static void
test_exec_thread(void)
{
	int st;
	pid_t c = fork();

	if (c == 0) {
		char pid[16];
		pthread_t t[3];

		snprintf(pid, sizeof(pid), "%d", getpid());
		for (int i = 0; i < 2; i++)
			pthread_create(&t[i], NULL, (void *(*)(void *))(void *)pause, NULL);
		pthread_create(&t[2], NULL, exec_thread, pid);
		for (;;)
			pause();
	}
	CHECK(waitpid(c, &st, 0) == c && WIFEXITED(st) && WEXITSTATUS(st) == 25);
}

static void *
add_thread(void *arg)
{
	__atomic_fetch_add((int *)arg, 1, __ATOMIC_SEQ_CST);
	return arg;
}

static void
test_threads(void)
{
	enum { N = 50 };
	pthread_t t[N];
	int sum = 0, st;

	for (int i = 0; i < N; i++)
		CHECK(pthread_create(&t[i], NULL, add_thread, &sum) == 0);
	for (int i = 0; i < N; i++)
		pthread_join(t[i], NULL);
	CHECK(sum == N);
	/* exit_group ends threads that sleep, run and wait. */
	pid_t c = fork();

	if (c == 0) {
		for (int i = 0; i < 4; i++)
			pthread_create(&t[i], NULL, (void *(*)(void *))(void *)pause, NULL);
		usleep(5000);
		exit(12);
	}
	CHECK(waitpid(c, &st, 0) == c && WIFEXITED(st) && WEXITSTATUS(st) == 12);
	/* The leader goes first. */
	c = fork();
	if (c == 0) {
		pthread_create(&t[0], NULL, (void *(*)(void *))(void *)usleep, (void *)20000);
		pthread_exit(NULL);
	}
	CHECK(waitpid(c, &st, 0) == c && WIFEXITED(st) && WEXITSTATUS(st) == 0);
}

static void
test_clone_flags(void)
{
	static const struct { uint64_t flags; int error; } bad[] = {
		{ CLONE_THREAD, EINVAL }, { CLONE_SIGHAND, EINVAL }, { CLONE_THREAD | CLONE_SIGHAND, EINVAL },
		{ CLONE_PIDFD | CLONE_PARENT_SETTID, EINVAL },
	};
	struct clone_args a;
	int st, fd = -1;
	siginfo_t si;
	pid_t c;

	for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		FAILS(syscall(SYS_clone, bad[i].flags | SIGCHLD, 0, &st, 0, &st), bad[i].error);
	memset(&a, 0, sizeof(a));
	FAILS(syscall(SYS_clone3, &a, 8), EINVAL);
	a.flags = CLONE_PIDFD;
	a.pidfd = (uintptr_t)&fd;
	a.exit_signal = SIGCHLD;
	c = (pid_t)syscall(SYS_clone3, &a, sizeof(a));
	if (c == 0)
		_exit(13);
	CHECK(c > 0 && fd >= 0);
	struct pollfd pf = { .fd = fd, .events = POLLIN };

	CHECK(poll(&pf, 1, 5000) == 1 && (pf.revents & POLLIN));
	memset(&si, 0, sizeof(si));
	CHECK(waitid((idtype_t)3 /* P_PIDFD */, (id_t)fd, &si, WEXITED) == 0 && si.si_status == 13);
	FAILS(syscall(SYS_pidfd_send_signal, fd, 0, NULL, 0), ESRCH);
	close(fd);
	fd = (int)syscall(SYS_pidfd_open, getpid(), 0);
	CHECK(fd >= 0 && syscall(SYS_pidfd_send_signal, fd, 0, NULL, 0) == 0);
	close(fd);
	FAILS(syscall(SYS_pidfd_open, -1, 0), EINVAL);
	FAILS(syscall(SYS_pidfd_open, 30000, 0), ESRCH);
}

static void
test_ids(void)
{
	int st;
	pid_t c = fork();

	if (c == 0) {
		if (setsid() != getpid() || getpgrp() != getpid() || getsid(0) != getpid())
			_exit(1);
		if (setsid() != -1 || errno != EPERM)
			_exit(2);
		if (setpgid(0, 0) != -1 || errno != EPERM)
			_exit(3);
		if (setpgid(1, 0) != -1 || errno != ESRCH)
			_exit(4);
		_exit(0);
	}
	CHECK(waitpid(c, &st, 0) == c && WEXITSTATUS(st) == 0);
	FAILS(setpgid(0, -1), EINVAL);
	FAILS(getpgid(31000), ESRCH);
	if (getuid() != 0)
		return;
	c = fork();
	if (c == 0) {
		uid_t r, e, s;

		if (setresuid(1000, 1001, 1002) != 0)
			_exit(1);
		getresuid(&r, &e, &s);
		if (r != 1000 || e != 1001 || s != 1002)
			_exit(2);
		if (setuid(0) != -1 || errno != EPERM)
			_exit(3);
		if (seteuid(1002) != 0 || geteuid() != 1002)
			_exit(4);
		if (kill(1, 0) != -1 || errno != EPERM)
			_exit(5);
		_exit(0);
	}
	CHECK(waitpid(c, &st, 0) == c && WEXITSTATUS(st) == 0);
}

static void
test_info(void)
{
	struct utsname u;
	struct sysinfo s;
	struct tms t;
	char name[17] = "", r[64];
	unsigned cpu;

	CHECK(uname(&u) == 0 && strcmp(u.sysname, "Linux") == 0 && strcmp(u.machine, "aarch64") == 0);
	CHECK(atoi(u.release) >= 5);
	CHECK(sysinfo(&s) == 0 && s.totalram > s.freeram && s.mem_unit > 0 && s.procs > 0);
	CHECK(times(&t) != (clock_t)-1);
	CHECK(prctl(PR_SET_NAME, "a name much too long") == 0 && prctl(PR_GET_NAME, name) == 0);
	CHECK(strcmp(name, "a name much too") == 0);
	FAILS(prctl(0x12345678, 0, 0, 0, 0), EINVAL);
	CHECK(getrandom(r, sizeof(r), 0) == sizeof(r));
	CHECK(syscall(SYS_getcpu, &cpu, NULL, NULL) == 0);
	CHECK(getpriority(PRIO_PROCESS, 0) == 0);
	FAILS(syscall(SYS_reboot, 1, 2, 3, 4), getuid() == 0 ? EINVAL : EPERM);
	FAILS(syscall(SYS_unshare, 0x1), EINVAL);
}

static void
test_limits(void)
{
	struct rlimit l;
	int st;
	pid_t c = fork();

	if (c == 0) {
		l.rlim_cur = l.rlim_max = 40 << 20;
		if (setrlimit(RLIMIT_AS, &l) != 0)
			_exit(1);
		if (mmap(NULL, 60 << 20, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) != MAP_FAILED || errno != ENOMEM)
			_exit(2);
		_exit(0);
	}
	CHECK(waitpid(c, &st, 0) == c && WEXITSTATUS(st) == 0);
	CHECK(getrlimit(RLIMIT_NOFILE, &l) == 0 && l.rlim_cur >= 256);
	FAILS(getrlimit((int)99, &l), EINVAL);
}

/* Counts pages that do not come back. */
static void
test_leaks(void)
{
	struct sysinfo a, b;
	int st;

	for (int round = 0; round < 2; round++) {
		sysinfo(&a);
		for (int i = 0; i < 200; i++) {
			pid_t c = fork();

			if (c == 0) {
				char *p = anon(1 << 20, PROT_READ | PROT_WRITE);

				memset(p, 1, 1 << 20);
				if (i & 1)
					execl(self, self, "child", "exit11", NULL);
				_exit(0);
			}
			waitpid(c, &st, 0);
		}
		sysinfo(&b);
	}
	CHECK(b.freeram + 256 * 1024 > a.freeram);
	printf("leaks: %ld KiB less after 200 processes\n", (long)(a.freeram - b.freeram) / 1024);
}

static int
child(int argc, char **argv)
{
	const char *what = argc > 2 ? argv[2] : "";

	if (strcmp(what, "exit11") == 0)
		return 11;
	if (strcmp(what, "args") == 0)
		return argc == 5 && strcmp(argv[3], "x y") == 0 && argv[4][0] == 0 && argv[5] == NULL
		    && getenv("A")[0] == '1' && strcmp(getenv("B"), "two") == 0 && environ[2] == NULL ? 21 : 1;
	if (strcmp(what, "script") == 0 || (argc > 3 && strcmp(argv[2], "script") == 0))
		return 1;
	if (strcmp(what, "auxv") == 0) {
		unsigned char *r = (unsigned char *)getauxval(AT_RANDOM);
		int sum = 0;

		for (int i = 0; i < 16; i++)
			sum |= r[i];
		return sum != 0 && getauxval(AT_PAGESZ) == 4096 && getauxval(AT_PHDR) != 0
		    && getauxval(AT_PHENT) == 56 && strcmp((char *)getauxval(AT_EXECFN), self) == 0
		    && strcmp((char *)getauxval(AT_PLATFORM), "aarch64") == 0 && getauxval(AT_CLKTCK) == 100
		    && getauxval(AT_SYSINFO_EHDR) != 0 && getauxval(AT_SECURE) == 0
		    && memcmp((char *)getauxval(AT_SYSINFO_EHDR), "\177ELF", 4) == 0 ? 23 : 1;
	}
	if (strcmp(what, "pid") == 0)
		return getpid() == atoi(argv[3]) && gettid() == getpid() ? 25 : 1;
	return 2;
}

int
main(int argc, char **argv)
{
	struct sigaction sa = { .sa_sigaction = on_fault, .sa_flags = SA_SIGINFO | SA_NODEFER };
	static char path[4096];
	ssize_t n;

	if (argc == 0 || argv[0] == NULL || argv[0][0] == 0)
		return 24;
	n = readlink("/proc/self/exe", path, sizeof(path) - 1);
	self = n > 0 ? path : argv[0];
	if (argc > 1 && strcmp(argv[1], "child script") == 0)
		return argc == 4 && strcmp(argv[3], "tail") == 0 && strcmp(argv[2], "/tmp/mmproc.sh") == 0 ? 22 : 1;
	if (argc > 1)
		return child(argc, argv);
	setvbuf(stdout, NULL, _IONBF, 0);
	sigaction(SIGSEGV, &sa, NULL);
	sigaction(SIGBUS, &sa, NULL);
#define RUN(t) do { printf("%s\n", #t); t(); } while (0)
	RUN(test_mmap);
	RUN(test_mremap);
	RUN(test_files);
	RUN(test_shared_anon);
	RUN(test_stack);
	RUN(test_brk);
	RUN(test_fork_cow);
	RUN(test_wait);
	RUN(test_sigchld);
	RUN(test_orphan);
	RUN(test_vfork);
	RUN(test_exec);
	RUN(test_exec_thread);
	RUN(test_threads);
	RUN(test_clone_flags);
	RUN(test_ids);
	RUN(test_info);
	RUN(test_limits);
	RUN(test_leaks);
	printf("mmproc: %d passed, %d failed\n", passed, failed);
	return failed != 0;
}
