/* SPDX-License-Identifier: MIT */
/*
 * Micro benchmarks of system calls and memory operations, the same static
 * binary on Tessera and on Linux.  One line for each:
 *
 *	bench <name> <nanoseconds per operation, three decimals>
 *
 * Under QEMU's -icount shift=0,sleep=off one nanosecond of the virtual counter
 * is one instruction, so the figures are instructions per operation
 * (tests/bench/README.md).  Each bench runs once to warm up, then REPEATS
 * times; the smallest is printed: what is left out are timer ticks.
 *
 *	bench [name…]		all, or those named
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/random.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { REPEATS = 5, FILES = 200, FDS = 64 };
#define DIR_PATH	"/tmp/bench"
#define FILE_PATH	DIR_PATH "/a/b/file"
#define BIG_PATH	DIR_PATH "/big"

extern char **environ;
static const char *self;
static char *big_buffer;

static void
die(const char *what)
{
	fprintf(stderr, "bench: %s: %s\n", what, strerror(errno));
	exit(1);
}

static void
check(int ok, const char *what)
{
	if (!ok)
		die(what);
}

static uint64_t
counter(void)
{
	uint64_t v;

	__asm__ volatile("isb; mrs %0, cntvct_el0" : "=r"(v) : : "memory");
	return v;
}

static uint64_t
counter_hz(void)
{
	uint64_t v;

	__asm__("mrs %0, cntfrq_el0" : "=r"(v));
	return v;
}

/* ---- processor ---- */

static void
run_loop_1k(unsigned n)
{
	while (n-- > 0) {
		uint64_t i = 500;

		__asm__ volatile("1: subs %0, %0, #1; b.ne 1b" : "+r"(i) : : "cc");
	}
}

static char copy_from[1 << 20], copy_to[1 << 20];

static void
run_memcpy_1m(unsigned n)
{
	while (n-- > 0) {
		memcpy(copy_to, copy_from, sizeof(copy_to));
		__asm__ volatile("" : : "r"(copy_to) : "memory");
	}
}

/* ---- plain calls ---- */

static void
run_null_syscall(unsigned n)
{
	while (n-- > 0)
		syscall(SYS_getppid);
}

static void
run_clock_gettime(unsigned n)
{
	struct timespec ts;

	while (n-- > 0)
		clock_gettime(CLOCK_MONOTONIC, &ts);
}

static void
run_clock_gettime_sys(unsigned n)
{
	struct timespec ts;

	while (n-- > 0)
		syscall(SYS_clock_gettime, CLOCK_MONOTONIC, &ts);
}

static int (*vdso_clock_gettime)(int, struct timespec *);
static int vdso_missing = 1;

/* Find __kernel_clock_gettime by walking the whole symbol table (its length is
 * what lies between it and the string table). */
static void
setup_clock_gettime_vdso(void)
{
	const char *base = (const char *)getauxval(AT_SYSINFO_EHDR), *strings = NULL;
	const Elf64_Ehdr *eh = (const void *)base;
	const Elf64_Sym *sym = NULL;
	const Elf64_Dyn *dyn = NULL;
	const Elf64_Phdr *ph;
	uint64_t bias = 0;

	if (base == NULL)
		return;
	ph = (const void *)(base + eh->e_phoff);
	for (unsigned i = 0; i < eh->e_phnum; i++) {
		if (ph[i].p_type == PT_LOAD)
			bias = (uint64_t)base + ph[i].p_offset - ph[i].p_vaddr;
		if (ph[i].p_type == PT_DYNAMIC)
			dyn = (const void *)(base + ph[i].p_offset);
	}
	for (; dyn != NULL && dyn->d_tag != DT_NULL; dyn++) {
		if (dyn->d_tag == DT_SYMTAB)
			sym = (const void *)(bias + dyn->d_un.d_ptr);
		if (dyn->d_tag == DT_STRTAB)
			strings = (const void *)(bias + dyn->d_un.d_ptr);
	}
	for (; sym != NULL && strings != NULL && (const char *)(sym + 1) <= strings; sym++) {
		if (strcmp(strings + sym->st_name, "__kernel_clock_gettime") == 0)
			vdso_clock_gettime = (int (*)(int, struct timespec *))(bias + sym->st_value);
	}
	vdso_missing = vdso_clock_gettime == NULL;
}

static void
run_clock_gettime_vdso(unsigned n)
{
	struct timespec ts;

	while (n-- > 0)
		vdso_clock_gettime(CLOCK_MONOTONIC, &ts);
}

static void
run_getrandom_32(unsigned n)
{
	char buf[32];

	while (n-- > 0)
		check(getrandom(buf, sizeof(buf), 0) == sizeof(buf), "getrandom");
}

/* ---- files ---- */

static int fd_zero, fd_null, fd_file, fd_big;

static void setup_zero(void) { check((fd_zero = open("/dev/zero", O_RDONLY)) >= 0, "/dev/zero"); }
static void setup_null(void) { check((fd_null = open("/dev/null", O_WRONLY)) >= 0, "/dev/null"); }

static void
run_read_zero_1(unsigned n)
{
	char c;

	while (n-- > 0)
		read(fd_zero, &c, 1);
}

static void
run_write_null_1(unsigned n)
{
	while (n-- > 0)
		write(fd_null, "x", 1);
}

static void
setup_file(void)
{
	mkdir(DIR_PATH, 0755);
	mkdir(DIR_PATH "/a", 0755);
	mkdir(DIR_PATH "/a/b", 0755);
	check((fd_file = open(FILE_PATH, O_RDWR | O_CREAT, 0644)) >= 0, FILE_PATH);
	check(write(fd_file, big_buffer, 65536) == 65536, "write");
}

static void
run_stat(unsigned n)
{
	struct stat st;

	while (n-- > 0)
		stat(FILE_PATH, &st);
}

static void
run_open_close(unsigned n)
{
	while (n-- > 0)
		close(open(FILE_PATH, O_RDONLY));
}

static void
run_pread_4k(unsigned n)
{
	while (n-- > 0)
		pread(fd_file, big_buffer, 4096, 4096);
}

static void
run_pwrite_4k(unsigned n)
{
	while (n-- > 0)
		pwrite(fd_file, big_buffer, 4096, 4096);
}

static void
setup_big(void)
{
	mkdir(DIR_PATH, 0755);
	check((fd_big = open(BIG_PATH, O_RDWR | O_CREAT | O_TRUNC, 0644)) >= 0, BIG_PATH);
	for (unsigned i = 0; i < 4; i++)
		check(write(fd_big, big_buffer, 1 << 20) == 1 << 20, "write");
}

static void
run_read_seq_1m(unsigned n)
{
	while (n-- > 0) {
		lseek(fd_big, 0, SEEK_SET);
		for (unsigned i = 0; i < 16; i++)
			read(fd_big, big_buffer, 65536);
	}
}

static void
run_create_unlink(unsigned n)
{
	while (n-- > 0) {
		close(open(DIR_PATH "/new", O_WRONLY | O_CREAT | O_EXCL, 0644));
		unlink(DIR_PATH "/new");
	}
}

static int fd_dir;

static void
setup_getdents(void)
{
	char name[64];

	mkdir(DIR_PATH, 0755);
	mkdir(DIR_PATH "/many", 0755);
	for (unsigned i = 0; i < FILES; i++) {
		snprintf(name, sizeof(name), DIR_PATH "/many/file%03u", i);
		close(open(name, O_WRONLY | O_CREAT, 0644));
	}
	check((fd_dir = open(DIR_PATH "/many", O_RDONLY | O_DIRECTORY)) >= 0, "many");
}

static void
run_getdents_200(unsigned n)
{
	while (n-- > 0) {
		lseek(fd_dir, 0, SEEK_SET);
		while (syscall(SYS_getdents64, fd_dir, big_buffer, 32768) > 0)
			;
	}
}

/* ---- two tasks ---- */

static int ping[2], pong[2];
static pid_t peer;

static void
peer_end(void)
{
	kill(peer, SIGKILL);
	waitpid(peer, NULL, 0);
}

static void
setup_pipe_rtt(void)
{
	char c;

	check(pipe(ping) == 0 && pipe(pong) == 0, "pipe");
	peer = fork();
	check(peer >= 0, "fork");
	if (peer > 0)
		return;
	while (read(ping[0], &c, 1) == 1)
		write(pong[1], &c, 1);
	_exit(0);
}

static void
run_pipe_rtt(unsigned n)
{
	char c = 'x';

	while (n-- > 0) {
		write(ping[1], &c, 1);
		read(pong[0], &c, 1);
	}
}

static void
end_pipe_rtt(void)
{
	peer_end();
	for (unsigned i = 0; i < 2; i++) {
		close(ping[i]);
		close(pong[i]);
	}
}

static int unix_pair[2];

static int
setup_unix_pair(int type)
{
	if (socketpair(AF_UNIX, type, 0, unix_pair) != 0)
		return -1;
	peer = fork();
	check(peer >= 0, "fork");
	return 0;
}

static int unix_missing;

static void
setup_unix_rtt(void)
{
	char c;

	unix_missing = setup_unix_pair(SOCK_STREAM);
	if (unix_missing != 0 || peer > 0)
		return;
	while (read(unix_pair[1], &c, 1) == 1)
		write(unix_pair[1], &c, 1);
	_exit(0);
}

static void
run_unix_rtt(unsigned n)
{
	char c = 'x';

	while (n-- > 0) {
		write(unix_pair[0], &c, 1);
		read(unix_pair[0], &c, 1);
	}
}

static void
end_unix(void)
{
	if (unix_missing != 0)
		return;
	peer_end();
	close(unix_pair[0]);
	close(unix_pair[1]);
}

enum { BLOCK = 65536 };

static void
setup_unix_bw(void)
{
	static char sink[BLOCK];

	unix_missing = setup_unix_pair(SOCK_STREAM);
	if (unix_missing != 0 || peer > 0)
		return;
	close(unix_pair[0]);
	while (read(unix_pair[1], sink, sizeof(sink)) > 0)
		;
	_exit(0);
}

/* A block to somebody who reads it. */
static void
run_unix_bw_64k(unsigned n)
{
	while (n-- > 0)
		check(write(unix_pair[0], big_buffer, BLOCK) == BLOCK, "write to a socket");
}

static pthread_t thread;
static volatile uint32_t turn;
static volatile int thread_stop;

static void futex_wait(volatile uint32_t *w, uint32_t v) { syscall(SYS_futex, w, FUTEX_WAIT_PRIVATE, v, NULL, NULL, 0); }
static void futex_wake(volatile uint32_t *w) { syscall(SYS_futex, w, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0); }

static void
turn_await(uint32_t mine, uint32_t other)
{
	while (__atomic_load_n(&turn, __ATOMIC_ACQUIRE) != mine)
		futex_wait(&turn, other);
}

static void
turn_pass(uint32_t next)
{
	__atomic_store_n(&turn, next, __ATOMIC_RELEASE);
	futex_wake(&turn);
}

static void
take_turn(uint32_t mine, uint32_t next)
{
	turn_await(mine, next);
	turn_pass(next);
}

/* thread_stop changes only while the turn is the other side's: looked at in our own. */
static void *
futex_thread(void *arg)
{
	(void)arg;
	for (;;) {
		turn_await(1, 0);
		if (thread_stop)
			return NULL;
		turn_pass(0);
	}
}

static void
setup_futex_pp(void)
{
	turn = 0;
	thread_stop = 0;
	check(pthread_create(&thread, NULL, futex_thread, NULL) == 0, "pthread_create");
}

static void
run_futex_pp(unsigned n)
{
	while (n-- > 0)
		take_turn(0, 1);
}

static void
end_futex_pp(void)
{
	turn_await(0, 1);
	thread_stop = 1;
	turn_pass(1);
	pthread_join(thread, NULL);
}

static int event_a, event_b;

static void *
eventfd_thread(void *arg)
{
	uint64_t v;

	(void)arg;
	while (read(event_a, &v, 8) == 8 && !thread_stop) {
		v = 1;
		write(event_b, &v, 8);
	}
	return NULL;
}

static void
setup_eventfd_pp(void)
{
	thread_stop = 0;
	check((event_a = eventfd(0, 0)) >= 0 && (event_b = eventfd(0, 0)) >= 0, "eventfd");
	check(pthread_create(&thread, NULL, eventfd_thread, NULL) == 0, "pthread_create");
}

static void
run_eventfd_pp(unsigned n)
{
	uint64_t v;

	while (n-- > 0) {
		v = 1;
		write(event_a, &v, 8);
		read(event_b, &v, 8);
	}
}

static void
end_eventfd_pp(void)
{
	uint64_t v = 1;

	thread_stop = 1;
	write(event_a, &v, 8);
	pthread_join(thread, NULL);
	close(event_a);
	close(event_b);
}

static void
setup_sched_yield_pp(void)
{
	peer = fork();
	check(peer >= 0, "fork");
	if (peer > 0)
		return;
	for (;;)
		sched_yield();
}

static void
run_sched_yield_pp(unsigned n)
{
	while (n-- > 0)
		sched_yield();
}

/* ---- signals ---- */

static void handler(int sig) { (void)sig; }

static void
run_sig_install(unsigned n)
{
	struct sigaction sa = { .sa_handler = handler };

	while (n-- > 0)
		sigaction(SIGUSR1, &sa, NULL);
}

static void
run_sig_catch(unsigned n)
{
	pid_t me = getpid();

	run_sig_install(1);
	while (n-- > 0)
		kill(me, SIGUSR1);
}

/* ---- memory ---- */

enum { PAGES = 256 };

static void
run_mmap_anon_page(unsigned n)
{
	for (unsigned done = 0; done < n; done += PAGES) {
		char *p = mmap(NULL, PAGES * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

		check(p != MAP_FAILED, "mmap");
		for (unsigned i = 0; i < PAGES; i++)
			p[i * 4096UL] = 1;
		munmap(p, PAGES * 4096);
	}
}

static void
run_mmap_file_page(unsigned n)
{
	for (unsigned done = 0; done < n; done += PAGES) {
		volatile char *p = mmap(NULL, PAGES * 4096, PROT_READ, MAP_SHARED, fd_big, 0);

		check(p != MAP_FAILED, "mmap");
		for (unsigned i = 0; i < PAGES; i++)
			(void)p[i * 4096UL];
		munmap((void *)p, PAGES * 4096);
	}
}

static char *protect_page;

static void
setup_mprotect(void)
{
	protect_page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	check(protect_page != MAP_FAILED, "mmap");
	*protect_page = 1;
}

static void
run_mprotect_page(unsigned n)
{
	while (n-- > 0) {
		mprotect(protect_page, 4096, PROT_READ);
		mprotect(protect_page, 4096, PROT_READ | PROT_WRITE);
		*(volatile char *)protect_page = 1;
	}
}

/* ---- processes ---- */

static void
run_fork_exit_wait(unsigned n)
{
	while (n-- > 0) {
		pid_t p = fork();

		if (p == 0)
			_exit(0);
		check(p > 0 && waitpid(p, NULL, 0) == p, "fork");
	}
}

static void
run_fork_exec_wait(unsigned n)
{
	char *argv[] = { (char *)self, "--true", NULL };

	while (n-- > 0) {
		pid_t p = fork();

		if (p == 0) {
			execv(self, argv);
			_exit(127);
		}
		check(p > 0 && waitpid(p, NULL, 0) == p, "fork");
	}
}

static void
run_spawn_exec_wait(unsigned n)
{
	char *argv[] = { (char *)self, "--true", NULL };

	while (n-- > 0) {
		pid_t p;

		check(posix_spawn(&p, self, NULL, NULL, argv, environ) == 0, "posix_spawn");
		check(waitpid(p, NULL, 0) == p, "waitpid");
	}
}

static void *nothing(void *arg) { return arg; }

static void
run_pthread_create(unsigned n)
{
	while (n-- > 0) {
		pthread_t t;

		check(pthread_create(&t, NULL, nothing, NULL) == 0, "pthread_create");
		pthread_join(t, NULL);
	}
}

/* ---- many descriptors ---- */

static int many[FDS], epoll_fd;

static void
setup_many(void)
{
	for (unsigned i = 0; i < FDS; i++)
		check((many[i] = eventfd(i == FDS - 1, 0)) >= 0, "eventfd");
}

static void
end_many(void)
{
	for (unsigned i = 0; i < FDS; i++)
		close(many[i]);
}

static void
run_select_64(unsigned n)
{
	while (n-- > 0) {
		struct timeval tv = { 0, 0 };
		fd_set set;

		FD_ZERO(&set);
		for (unsigned i = 0; i < FDS; i++)
			FD_SET(many[i], &set);
		select(many[FDS - 1] + 1, &set, NULL, NULL, &tv);
	}
}

static struct pollfd poll_set[FDS];

static void
run_poll_64(unsigned n)
{
	for (unsigned i = 0; i < FDS; i++)
		poll_set[i] = (struct pollfd){ .fd = many[i], .events = POLLIN };
	while (n-- > 0)
		poll(poll_set, FDS, 0);
}

static void
setup_epoll(void)
{
	setup_many();
	check((epoll_fd = epoll_create1(0)) >= 0, "epoll_create1");
	for (unsigned i = 0; i < FDS; i++) {
		struct epoll_event e = { .events = EPOLLIN, .data.u32 = i };

		check(epoll_ctl(epoll_fd, EPOLL_CTL_ADD, many[i], &e) == 0, "epoll_ctl");
	}
}

static void
run_epoll_1of64(unsigned n)
{
	struct epoll_event e;

	while (n-- > 0)
		epoll_wait(epoll_fd, &e, 1, 0);
}

static void
end_epoll(void)
{
	close(epoll_fd);
	end_many();
}

/* ---- the table ---- */

static const struct bench {
	const char *name;
	unsigned count;			/* operations of one run */
	void (*run)(unsigned);
	void (*setup)(void);
	void (*end)(void);
	const int *missing;		/* not 0 after setup: this system lacks it */
} benches[] = {
	{ "loop_1k", 1000, run_loop_1k, NULL, NULL, NULL },
	{ "memcpy_1m", 8, run_memcpy_1m, NULL, NULL, NULL },
	{ "null_syscall", 2000, run_null_syscall, NULL, NULL, NULL },
	{ "clock_gettime", 2000, run_clock_gettime, NULL, NULL, NULL },
	{ "clock_gettime_vdso", 2000, run_clock_gettime_vdso, setup_clock_gettime_vdso, NULL, &vdso_missing },
	{ "clock_gettime_sys", 2000, run_clock_gettime_sys, NULL, NULL, NULL },
	{ "getrandom_32", 500, run_getrandom_32, NULL, NULL, NULL },
	{ "read_zero_1", 1000, run_read_zero_1, setup_zero, NULL, NULL },
	{ "write_null_1", 1000, run_write_null_1, setup_null, NULL, NULL },
	{ "stat", 500, run_stat, setup_file, NULL, NULL },
	{ "open_close", 500, run_open_close, NULL, NULL, NULL },
	{ "pread_4k", 500, run_pread_4k, NULL, NULL, NULL },
	{ "pwrite_4k", 500, run_pwrite_4k, NULL, NULL, NULL },
	{ "read_seq_1m", 10, run_read_seq_1m, setup_big, NULL, NULL },
	{ "create_unlink", 200, run_create_unlink, NULL, NULL, NULL },
	{ "getdents_200", 50, run_getdents_200, setup_getdents, NULL, NULL },
	{ "pipe_rtt", 500, run_pipe_rtt, setup_pipe_rtt, end_pipe_rtt, NULL },
	{ "unix_rtt", 500, run_unix_rtt, setup_unix_rtt, end_unix, &unix_missing },
	{ "unix_bw_64k", 100, run_unix_bw_64k, setup_unix_bw, end_unix, &unix_missing },
	{ "futex_pp", 500, run_futex_pp, setup_futex_pp, end_futex_pp, NULL },
	{ "eventfd_pp", 500, run_eventfd_pp, setup_eventfd_pp, end_eventfd_pp, NULL },
	{ "sched_yield_pp", 500, run_sched_yield_pp, setup_sched_yield_pp, peer_end, NULL },
	{ "sig_install", 1000, run_sig_install, NULL, NULL, NULL },
	{ "sig_catch", 500, run_sig_catch, NULL, NULL, NULL },
	{ "mmap_anon_page", 2 * PAGES, run_mmap_anon_page, NULL, NULL, NULL },
	{ "mmap_file_page", 2 * PAGES, run_mmap_file_page, NULL, NULL, NULL },
	{ "mprotect_page", 500, run_mprotect_page, setup_mprotect, NULL, NULL },
	{ "fork_exit_wait", 50, run_fork_exit_wait, NULL, NULL, NULL },
	{ "fork_exec_wait", 30, run_fork_exec_wait, NULL, NULL, NULL },
	{ "spawn_exec_wait", 30, run_spawn_exec_wait, NULL, NULL, NULL },
	{ "pthread_create", 100, run_pthread_create, NULL, NULL, NULL },
	{ "select_64", 200, run_select_64, setup_many, end_many, NULL },
	{ "poll_64", 200, run_poll_64, setup_many, end_many, NULL },
	{ "epoll_1of64", 500, run_epoll_1of64, setup_epoll, end_epoll, NULL },
};

/* Kept apart: benches before it may have left descriptors that later ones use. */
static void
measure(const struct bench *b)
{
	uint64_t best = UINT64_MAX;
	double ns;

	if (b->setup != NULL)
		b->setup();
	if (b->missing != NULL && *b->missing != 0) {
		printf("bench %s missing\n", b->name);
		return;
	}
	b->run(b->count / 2 + 1);
	for (unsigned i = 0; i < REPEATS; i++) {
		uint64_t start = counter(), ticks;

		b->run(b->count);
		ticks = counter() - start;
		if (ticks < best)
			best = ticks;
	}
	if (b->end != NULL)
		b->end();
	ns = (double)best * 1e9 / (double)counter_hz() / b->count;
	printf("bench %s %.3f\n", b->name, ns);
	fflush(stdout);
}

static int
wanted(const char *name, int argc, char **argv)
{
	if (argc < 2)
		return 1;
	for (int i = 1; i < argc; i++) {
		if (strcmp(name, argv[i]) == 0)
			return 1;
	}
	return 0;
}

/* Some benches use what an earlier one has set up. */
static int
is_setup_only(const char *name)
{
	return strcmp(name, "stat") == 0 || strcmp(name, "read_seq_1m") == 0;
}

/* The files are in memory, whatever the root is: a disk's file system is another measurement. */
static void
mount_memory(void)
{
	mkdir(DIR_PATH, 0755);
	check(mount("tmpfs", DIR_PATH, "tmpfs", 0, NULL) == 0, "tmpfs at " DIR_PATH);
}

int
main(int argc, char **argv)
{
	if (argc > 1 && strcmp(argv[1], "--true") == 0)
		return 0;
	mount_memory();
	self = "/proc/self/exe";
	if (argv[0][0] == '/')
		self = argv[0];
	big_buffer = malloc(1 << 20);
	check(big_buffer != NULL, "malloc");
	memset(big_buffer, 'x', 1 << 20);
	memset(copy_from, 1, sizeof(copy_from));
	for (unsigned i = 0; i < sizeof(benches) / sizeof(benches[0]); i++) {
		if (wanted(benches[i].name, argc, argv))
			measure(&benches[i]);
		else if (is_setup_only(benches[i].name))
			benches[i].setup();
	}
	umount2(DIR_PATH, MNT_DETACH);
	puts("bench-end");
	return 0;
}
