/* SPDX-License-Identifier: MIT */
/*
 * Processes: how they come to be, end, are waited for and belong together.
 */
#include "conform.h"
#include <linux/sched.h>
#include <sys/prctl.h>

static void exit_with_42(void) { _exit(42); }
static void exit_with_300(void) { _exit(300); }
static void kill_self(void) { kill(getpid(), SIGKILL); }
static void abort_self(void) { struct rlimit none = { 0, 0 }; setrlimit(RLIMIT_CORE, &none); abort(); }

static void
exit_codes_and_signals_are_reported(void)
{
	EXITS(exit_with_42, 42);
	EXITS(exit_with_300, 300 & 0xff);
	DIES(kill_self, SIGKILL);
	DIES(abort_self, SIGABRT);
}

static void
fork_copies_memory_and_shares_offsets(void)
{
	volatile int value = 1;
	char buffer[4];
	int fd, status;
	pid_t p;

	in_new_folder();
	write_file("f", "abcdef");
	fd = open("f", O_RDONLY);
	p = fork();
	if (p == 0) {
		value = 2;
		_exit(read(fd, buffer, 2) == 2 ? 0 : 1);
	}
	EQUAL(waitpid(p, &status, 0), p);
	EQUAL(status, 0);
	EQUAL(value, 1);
	EQUAL(lseek(fd, 0, SEEK_CUR), 2);
}

static int vfork_word;

static void
vfork_shares_memory_and_parent_waits(void)
{
	pid_t p = vfork();

	if (p == 0) {
		vfork_word = 7;
		_exit(3);
	}
	EQUAL(vfork_word, 7);
	int status;
	EQUAL(waitpid(p, &status, 0), p);
	EQUAL(WEXITSTATUS(status), 3);
}

static void
wait_finds_only_children(void)
{
	int status;
	pid_t p;

	FAILS(wait(&status), ECHILD);
	FAILS(waitpid(1, &status, 0), ECHILD);
	FAILS(waitpid(-getpid() - 100, &status, 0), ECHILD);
	p = fork();
	if (p == 0) {
		pause();
		_exit(0);
	}
	EQUAL(waitpid(p, &status, WNOHANG), 0);
	FAILS(waitpid(p, &status, 0x40), EINVAL);
	kill(p, SIGTERM);
	EQUAL(waitpid(-1, &status, 0), p);
	EQUAL(WTERMSIG(status), SIGTERM);
	FAILS(waitpid(p, &status, 0), ECHILD);
}

static void
waitid_tells_and_can_leave_the_child(void)
{
	siginfo_t info;
	pid_t p = fork();

	if (p == 0)
		_exit(9);
	memset(&info, 0, sizeof(info));
	EQUAL(waitid(P_PID, (id_t)p, &info, WEXITED | WNOWAIT), 0);
	EQUAL(info.si_pid, p);
	EQUAL(info.si_code, CLD_EXITED);
	EQUAL(info.si_status, 9);
	EQUAL(info.si_signo, SIGCHLD);
	EQUAL(state_of(p), 'Z');
	EQUAL(waitid(P_ALL, 0, &info, WEXITED), 0);
	EQUAL(info.si_pid, p);
	FAILS(waitid(P_PID, (id_t)p, &info, WEXITED), ECHILD);
	FAILS(waitid(P_PID, (id_t)p, &info, 0), EINVAL);
}

static void
wait_by_process_group(void)
{
	pid_t a = fork(), b;
	int status;

	if (a == 0) {
		setpgid(0, 0);
		_exit(1);
	}
	b = fork();
	if (b == 0)
		_exit(2);
	setpgid(a, a);
	EQUAL(waitpid(0, &status, 0), b);
	EQUAL(waitpid(-a, &status, 0), a);
	EQUAL(WEXITSTATUS(status), 1);
}

static void
wait4_counts_resources(void)
{
	struct rusage usage;
	int status;
	pid_t p = fork();

	if (p == 0) {
		uint64_t end = now_ns() + 100000000;

		while (now_ns() < end)
			getppid();
		_exit(0);
	}
	EQUAL(wait4(p, &status, 0, &usage), p);
	REQUIRE(usage.ru_utime.tv_sec * 1000000 + usage.ru_utime.tv_usec + usage.ru_stime.tv_sec * 1000000 +
	    usage.ru_stime.tv_usec > 1000);
	EQUAL(getrusage(RUSAGE_CHILDREN, &usage), 0);
	REQUIRE(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec + usage.ru_utime.tv_sec > 0);
}

static void
orphans_get_another_parent(void)
{
	int p[2];
	pid_t child, parent_seen = 0;

	EQUAL(pipe(p), 0);
	EQUAL(prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0), 0);
	child = fork();
	if (child == 0) {
		pid_t middle = getpid();

		if (fork() == 0) {
			while (getppid() == middle)
				sleep_ms(5);
			parent_seen = getppid();
			_exit(write(p[1], &parent_seen, sizeof(parent_seen)) != sizeof(parent_seen));
		}
		_exit(0);
	}
	EQUAL(waitpid(child, NULL, 0), child);
	EQUAL(read(p[0], &parent_seen, sizeof(parent_seen)), sizeof(parent_seen));
	EQUAL(parent_seen, getpid());
	REQUIRE(wait(NULL) > 0);		/* the orphan is ours to bury */
}

static void
ignored_children_leave_no_zombie(void)
{
	pid_t p;

	signal(SIGCHLD, SIG_IGN);
	p = fork();
	if (p == 0)
		_exit(0);
	FAILS(waitpid(p, NULL, 0), ECHILD);
	EQUAL(state_of(p), 0);
}

static void
groups_and_sessions(void)
{
	pid_t me = getpid(), p;
	int status;

	EQUAL(getpgid(0), me);			/* the runner made us a leader */
	FAILS(setsid(), EPERM);
	FAILS(setpgid(0, me + 100000), EPERM);
	FAILS(setpgid(me, -1), EINVAL);
	FAILS(getpgid(999999), ESRCH);
	p = fork();
	if (p == 0) {
		pid_t own = getpid();

		EQUAL(getpgrp(), me);
		EQUAL(setsid(), own);
		EQUAL(getpgrp(), own);
		EQUAL(getsid(0), own);
		FAILS(setpgid(0, 0), EPERM);
		FAILS(open("/dev/tty", O_RDWR), ENXIO);
		_exit(0);
	}
	EQUAL(waitpid(p, &status, 0), p);
	EQUAL(status, 0);
	FAILS(setpgid(1, 0), ESRCH);
}

static void
kill_reaches_a_whole_group(void)
{
	pid_t first = 0, p[3];
	int status;

	for (int i = 0; i < 3; i++) {
		p[i] = fork();
		if (p[i] == 0) {
			pause();
			_exit(0);
		}
		EQUAL(setpgid(p[i], first), 0);
		if (first == 0)
			first = p[0];
	}
	EQUAL(kill(-first, 0), 0);
	EQUAL(kill(-first, SIGTERM), 0);
	for (int i = 0; i < 3; i++) {
		EQUAL(waitpid(p[i], &status, 0), p[i]);
		EQUAL(WTERMSIG(status), SIGTERM);
	}
	FAILS(kill(-first, SIGTERM), ESRCH);
	FAILS(kill(999999, 0), ESRCH);
	FAILS(kill(getpid(), 65), EINVAL);
}

struct clone_arguments {
	uint64_t flags, pidfd, child_tid, parent_tid, exit_signal, stack, stack_size, tls;
};

static void
clone3_works_or_is_unknown(void)
{
	pid_t tid = 0;
	struct clone_arguments arguments = { .flags = CLONE_PARENT_SETTID, .parent_tid = (uint64_t)&tid,
	    .exit_signal = SIGCHLD };
	long p = syscall(SYS_clone3, &arguments, sizeof(arguments));
	int status;

	if (p == 0)
		_exit(5);
	if (p < 0) {
		EQUAL(errno, ENOSYS);
		return;
	}
	EQUAL(tid, p);
	EQUAL(waitpid((pid_t)p, &status, 0), p);
	EQUAL(WEXITSTATUS(status), 5);
	FAILS(syscall(SYS_clone3, &arguments, 8), EINVAL);
	arguments.flags = CLONE_THREAD;
	FAILS(syscall(SYS_clone3, &arguments, sizeof(arguments)), EINVAL);
	arguments.flags = CLONE_SIGHAND;
	FAILS(syscall(SYS_clone3, &arguments, sizeof(arguments)), EINVAL);
}

static void
clone_flags_are_checked_and_tids_stored(void)
{
	pid_t parent_tid = 0, p;
	volatile pid_t child_tid = 0;
	int status;

	FAILS(syscall(SYS_clone, CLONE_THREAD | SIGCHLD, 0, 0, 0, 0), EINVAL);
	FAILS(syscall(SYS_clone, CLONE_SIGHAND | SIGCHLD, 0, 0, 0, 0), EINVAL);
	p = (pid_t)syscall(SYS_clone, CLONE_PARENT_SETTID | CLONE_CHILD_SETTID | SIGCHLD, 0, &parent_tid, 0, &child_tid);
	if (p == 0)
		_exit(child_tid == getpid() ? 0 : 1);
	EQUAL(parent_tid, p);
	EQUAL(waitpid(p, &status, 0), p);
	EQUAL(status, 0);
	EQUAL(child_tid, 0);
}

static void
clone_files_and_fs_are_shared(void)
{
	int before = open("/dev/null", O_RDONLY), status;
	pid_t p = (pid_t)syscall(SYS_clone, CLONE_FILES | CLONE_FS | SIGCHLD, 0, 0, 0, 0);
	char where[64];

	if (p == 0) {
		close(before);
		_exit(chdir("/etc") == 0 ? 0 : 1);
	}
	EQUAL(waitpid(p, &status, 0), p);
	EQUAL(status, 0);
	FAILS(fcntl(before, F_GETFD), EBADF);
	REQUIRE(getcwd(where, sizeof(where)) != NULL && strcmp(where, "/etc") == 0);
}

static void
a_parents_death_can_be_a_signal(void)
{
	int p[2];
	char c;
	pid_t middle;

	EQUAL(pipe(p), 0);
	middle = fork();
	if (middle == 0) {
		if (fork() == 0) {
			prctl(PR_SET_PDEATHSIG, SIGKILL);
			close(p[0]);
			REQUIRE(write(p[1], "x", 1) == 1);
			for (;;)
				pause();
		}
		close(p[1]);
		EQUAL(read(p[0], &c, 1), 1);
		_exit(0);
	}
	close(p[1]);
	EQUAL(waitpid(middle, NULL, 0), middle);
	EQUAL(read(p[0], &c, 1), 0);		/* the last writer is gone */
}

static void
names_can_be_set(void)
{
	char name[16] = "";

	EQUAL(prctl(PR_SET_NAME, "a-very-long-name-indeed", 0, 0, 0), 0);
	EQUAL(prctl(PR_GET_NAME, name, 0, 0, 0), 0);
	EQUAL(strcmp(name, "a-very-long-nam"), 0);
}

static void
a_hundred_children_at_once(void)
{
	pid_t p[100];
	int status, sum = 0;

	for (int i = 0; i < 100; i++) {
		p[i] = fork();
		REQUIRE(p[i] >= 0);
		if (p[i] == 0) {
			sleep_ms(10);
			_exit(i);
		}
	}
	for (int i = 0; i < 100; i++) {
		REQUIRE(wait(&status) > 0);
		sum += WEXITSTATUS(status);
	}
	EQUAL(sum, 99 * 100 / 2);
	FAILS(wait(NULL), ECHILD);
}

static void
a_process_descriptor_waits(void)
{
	siginfo_t info;
	pid_t p = fork();
	int fd;

	if (p == 0) {
		pause();
		_exit(0);
	}
	fd = (int)syscall(SYS_pidfd_open, p, 0);
	REQUIRE(fd >= 0);
	EQUAL(syscall(SYS_pidfd_send_signal, fd, SIGTERM, NULL, 0), 0);
	EQUAL(waitid(3 /* P_PIDFD */, (id_t)fd, &info, WEXITED), 0);
	EQUAL(info.si_status, SIGTERM);
	EQUAL(info.si_code, CLD_KILLED);
}

/* A process counts until its parent has waited for it (setrlimit(2)). */
static void
zombies_count_for_the_limit(void)
{
	struct rlimit limit = { 12, 12 };
	int children = 0;
	siginfo_t info;
	pid_t p = 0;

	REQUIRE(setgid(54321) == 0 && setuid(54321) == 0);
	REQUIRE(setrlimit(RLIMIT_NPROC, &limit) == 0);
	for (; children < 40; children++) {
		p = fork();
		if (p == 0)
			_exit(0);
		if (p < 0)
			break;
		REQUIRE(waitid(P_PID, (id_t)p, &info, WEXITED | WNOWAIT) == 0);
	}
	EQUAL(p, -1);
	EQUAL(errno, EAGAIN);
	EQUAL(children, 11);
	while (wait(NULL) > 0)
		;
	p = fork();
	if (p == 0)
		_exit(0);
	REQUIRE(p > 0 && waitpid(p, NULL, 0) == p);
}

enum { WHO_PROCESS = 1, WHO_USER = 3, BEST_EFFORT = 2 << 13, IDLE = 3 << 13 };

static void io_priority_of_a_child(void) { _exit(syscall(SYS_ioprio_get, WHO_PROCESS, 0) == (BEST_EFFORT | 6) ? 3 : 1); }

static void
io_priorities_are_kept(void)
{
	EQUAL(syscall(SYS_ioprio_set, WHO_PROCESS, 0, BEST_EFFORT | 6), 0);
	EQUAL(syscall(SYS_ioprio_get, WHO_PROCESS, 0), BEST_EFFORT | 6);
	EXITS(io_priority_of_a_child, 3);
	EQUAL(syscall(SYS_ioprio_set, WHO_PROCESS, 0, IDLE), 0);
	EQUAL(syscall(SYS_ioprio_get, WHO_PROCESS, getpid()), IDLE);
	FAILS(syscall(SYS_ioprio_set, WHO_PROCESS, 0, BEST_EFFORT | 8), EINVAL);
	FAILS(syscall(SYS_ioprio_set, WHO_PROCESS, 0, 4 << 13), EINVAL);
	FAILS(syscall(SYS_ioprio_set, WHO_PROCESS, 0, 1), EINVAL);
	FAILS(syscall(SYS_ioprio_get, WHO_USER + 1, 0), EINVAL);
	FAILS(syscall(SYS_ioprio_get, 0, 0), EINVAL);
	FAILS(syscall(SYS_ioprio_get, WHO_PROCESS, 4000000), ESRCH);
	EQUAL(setgid(65534) | setuid(65534), 0);
	FAILS(syscall(SYS_ioprio_set, WHO_PROCESS, 0, 1 << 13), EPERM);
	FAILS(syscall(SYS_ioprio_set, WHO_PROCESS, 1, IDLE), EPERM);
}

TESTS(TEST(io_priorities_are_kept), TEST(exit_codes_and_signals_are_reported), TEST(fork_copies_memory_and_shares_offsets),
    TEST(vfork_shares_memory_and_parent_waits), TEST(wait_finds_only_children),
    TEST(waitid_tells_and_can_leave_the_child), TEST(wait_by_process_group), TEST(wait4_counts_resources),
    TEST(orphans_get_another_parent), TEST(ignored_children_leave_no_zombie), TEST(groups_and_sessions),
    TEST(kill_reaches_a_whole_group), TEST(clone3_works_or_is_unknown),
    TEST(clone_flags_are_checked_and_tids_stored), TEST(clone_files_and_fs_are_shared),
    TEST(a_parents_death_can_be_a_signal), TEST(names_can_be_set), TEST(a_hundred_children_at_once),
    TEST(a_process_descriptor_waits), TEST(zombies_count_for_the_limit));
