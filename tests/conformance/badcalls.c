/* SPDX-License-Identifier: MIT */
/*
 * Every system call's number with arguments that nobody should pass.  A caller may
 * get an errno or a signal, and may be gone; the system may not.  Each number is
 * tried in a child of its own, as nobody and as root; afterwards the system has to
 * do ordinary work.
 */
#include "conform.h"
#include <linux/reboot.h>

enum { CALLS = 452, ROUNDS = 12 };

static const uint64_t hostile[] = {
	0, 1, 2, 3, 4096, (uint64_t)-1, (uint64_t)-2, (uint64_t)-4096, 0x7fffffff, 0x80000000, 0xffffffff,
	0x7fffffffffffffff, 0x8000000000000000, 0xffff000000000000, 0xffff800008000000, 0x0000fffffffff000,
	0x0000ffffffffffff, 0x00ff000000000123, 0x40000000, 0x100000001, 0x3fffffffffffffff, 0xdeadbeefdead,
};
enum { HOSTILE = sizeof(hostile) / sizeof(hostile[0]) };

static char *edge;		/* the last byte before a page that is not there */
static char *read_only;

/* Those that would end the test for good reasons, or change the machine for others. */
static int
is_excluded(long n)
{
	switch (n) {
	case SYS_exit:
	case SYS_exit_group:
	case SYS_rt_sigreturn:		/* any state may come of it: in a test of its own */
	case SYS_reboot:
	case SYS_clone:			/* children with stacks of nowhere, without end */
	case SYS_kill:			/* -1 is everyone */
	case SYS_tkill:
	case SYS_tgkill:
	case SYS_rt_sigqueueinfo:
	case SYS_rt_tgsigqueueinfo:
	case SYS_pidfd_send_signal:
	case SYS_umount2:
	case SYS_mount:
	case SYS_pivot_root:
	case SYS_chroot:
	case SYS_sethostname:
	case SYS_settimeofday:
	case SYS_clock_settime:
	case SYS_clock_adjtime:
	case SYS_adjtimex:
	case SYS_vhangup:
	case SYS_setpriority:
	case SYS_sched_setscheduler:	/* a real-time loop on one CPU stops it */
	case SYS_sched_setparam:
	case SYS_sched_setattr:
	case SYS_syslog:
	case SYS_prlimit64:		/* of pid 1 */
	case SYS_ptrace:
	case SYS_process_vm_writev:
	case SYS_setpgid:
	case SYS_setsid:
	case SYS_swapon:
	case SYS_swapoff:
	case SYS_acct:
	case SYS_kexec_load:
	case SYS_delete_module:
		return 1;
	}
	return 0;
}

static uint64_t
argument(uint64_t *random)
{
	uint32_t r = next_random(random);

	if (r % 8 == 0)
		return (uint64_t)edge - r / 8 % 16;
	if (r % 8 == 1)
		return (uint64_t)read_only;
	if (r % 8 == 2)
		return r / 8 % 64;
	return hostile[r / 8 % HOSTILE];
}

static void
try_call(long n)
{
	uint64_t random = 0x9e3779b97f4a7c15ULL * (uint64_t)(n + 1) | 1;

	alarm(2);
	for (unsigned i = 0; i < ROUNDS; i++)
		syscall(n, argument(&random), argument(&random), argument(&random), argument(&random),
		    argument(&random), argument(&random));
	/* The same value everywhere. */
	for (unsigned i = 0; i < HOSTILE; i++)
		syscall(n, hostile[i], hostile[i], hostile[i], hostile[i], hostile[i], hostile[i]);
}

static void
ordinary_work(void)
{
	int status, p[2];
	char text[8] = "";
	pid_t child;

	EQUAL(pipe(p), 0);
	child = fork();
	REQUIRE(child >= 0);
	if (child == 0) {
		dup2(p[1], 1);
		execl("/bin/sh", "sh", "-c", "expr $(seq 1 5 | wc -l) + 1", (char *)NULL);
		_exit(127);
	}
	close(p[1]);
	EQUAL(waitpid(child, &status, 0), child);
	EQUAL(status, 0);
	REQUIRE(read(p[0], text, sizeof(text) - 1) > 0);
	EQUAL(atoi(text), 6);
	close(p[0]);
}

static void
every_number(uid_t uid)
{
	unsigned signalled = 0;

	in_new_folder();
	REQUIRE(chmod(".", 0777) == 0);
	edge = (char *)mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) + PAGE - 1;
	REQUIRE(munmap(edge + 1, PAGE) == 0);
	read_only = mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	for (long n = 0; n < CALLS; n++) {
		int status;
		pid_t p;

		if (is_excluded(n))
			continue;
		p = fork();
		REQUIRE(p >= 0);
		if (p == 0) {
			int null = open("/dev/null", O_RDWR);

			/* The terminal is other people's. */
			for (int fd = 0; fd < 3; fd++)
				dup2(null, fd);
			if (uid != 0 && (setgid(uid) != 0 || setuid(uid) != 0))
				_exit(1);
			try_call(n);
			_exit(0);
		}
		while (waitpid(p, &status, 0) != p)
			REQUIRE(errno == EINTR);
		signalled += WIFSIGNALED(status);
		if (n % 50 == 0)
			ordinary_work();
	}
	ordinary_work();
	printf("# %u of %d numbers ended in a signal\n", signalled, CALLS);
}

static void bad_arguments_as_nobody(void) { every_number(65534); }
static void bad_arguments_as_root(void) { every_number(0); }

static void
unknown_numbers_are_enosys(void)
{
	static const long numbers[] = { 244, 259, 295, 1000, 65535, -1, 0x7fffffff };

	for (unsigned i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
		FAILS(syscall(numbers[i], 0, 0, 0, 0, 0, 0), ENOSYS);
	}
}

static void
bad_pointers_are_efault(void)
{
	void *bad = (void *)0xdeadbeef000, *kernel = (void *)0xffff800008000000;
	int p[2];

	EQUAL(pipe(p), 0);
	FAILS(write(p[1], bad, 10), EFAULT);
	FAILS(write(p[1], kernel, 10), EFAULT);
	EQUAL(write(p[1], "abc", 3), 3);
	FAILS(read(p[0], bad, 3), EFAULT);
	FAILS(syscall(SYS_openat, AT_FDCWD, bad, 0), EFAULT);
	FAILS(syscall(SYS_openat, AT_FDCWD, kernel, 0), EFAULT);
	FAILS(syscall(SYS_newfstatat, AT_FDCWD, "/", bad, 0), EFAULT);
	FAILS(syscall(SYS_newfstatat, AT_FDCWD, "/", kernel, 0), EFAULT);
	FAILS(syscall(SYS_pipe2, bad, 0), EFAULT);
	FAILS(syscall(SYS_uname, bad), EFAULT);
	FAILS(syscall(SYS_getcwd, bad, 100), EFAULT);
	FAILS(syscall(SYS_rt_sigaction, SIGUSR1, bad, NULL, 8), EFAULT);
	FAILS(syscall(SYS_rt_sigprocmask, SIG_BLOCK, bad, NULL, 8), EFAULT);
	FAILS(syscall(SYS_nanosleep, bad, NULL), EFAULT);
	FAILS(syscall(SYS_clock_gettime, CLOCK_MONOTONIC, kernel), EFAULT);
	FAILS(syscall(SYS_execve, bad, NULL, NULL), EFAULT);
	FAILS(syscall(SYS_execve, "/bin/true", bad, NULL), EFAULT);
	FAILS(syscall(SYS_ppoll, bad, 1, NULL, NULL, 8), EFAULT);
	FAILS(syscall(SYS_futex, bad, 0 /* WAIT */, 0, NULL, NULL, 0), EFAULT);
	FAILS(syscall(SYS_futex, kernel, 0, 0, NULL, NULL, 0), EFAULT);
	FAILS(syscall(SYS_getrandom, bad, 16, 0), EFAULT);
	FAILS(syscall(SYS_getdents64, open("/", O_RDONLY), bad, 100), EFAULT);
	FAILS(syscall(SYS_readv, p[0], bad, 1), EFAULT);
}

static void
jump_into_sigreturn(void)
{
	syscall(SYS_rt_sigreturn);
	_exit(1);
}

static void
a_false_signal_frame_costs_only_its_process(void)
{
	EQUAL(status_of(jump_into_sigreturn) & 0x7f, SIGSEGV);
	ordinary_work();
}

TESTS(TEST(bad_pointers_are_efault), TEST(unknown_numbers_are_enosys), TEST(bad_arguments_as_nobody),
    TEST(bad_arguments_as_root), TEST(a_false_signal_frame_costs_only_its_process));
