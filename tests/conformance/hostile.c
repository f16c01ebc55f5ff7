/* SPDX-License-Identifier: MIT */
/*
 * Programs that do what programs should not: each gets its signal or errno, and the
 * others go on.
 */
#include "conform.h"

static volatile uint64_t nowhere;	/* 0, but the compiler does not know */

static void read_null(void) { (void)*(volatile int *)nowhere; }
static void write_null(void) { *(volatile int *)nowhere = 1; }
static void jump_null(void) { ((void (*)(void))nowhere)(); }
static void jump_garbage(void) { ((void (*)(void))(nowhere + 0xdeadbeef00))(); }
static void jump_odd(void) { ((void (*)(void))((uint64_t)jump_null + 2 + nowhere))(); }
static void jump_to_kernel(void) { ((void (*)(void))(nowhere + 0xffff800008000000))(); }
static void read_kernel(void) { (void)*(volatile int *)(nowhere + 0xffff800008000000); }
static void read_noncanonical(void) { (void)*(volatile int *)(nowhere + 0x00f0000000000000); }
static void write_text(void) { *(volatile int *)((uint64_t)read_null + nowhere) = 0; }
static void undefined(void) { __asm__ volatile(".inst 0x00000000"); }
static void privileged(void) { __asm__ volatile("msr vbar_el1, xzr"); }
static void hypervisor_call(void) { __asm__ volatile("hvc #0"); }
static void monitor_call(void) { __asm__ volatile("smc #0"); }
static void breakpoint(void) { __asm__ volatile("brk #0"); }
static void mask_interrupts(void) { __asm__ volatile("msr daifset, #15"); }

static void
jump_to_data(void)
{
	static uint32_t code[1] = { 0xd65f03c0 };

	((void (*)(void))((uint64_t)code + nowhere))();
}

static void
wrong_accesses_end_the_program(void)
{
	DIES(read_null, SIGSEGV);
	DIES(write_null, SIGSEGV);
	DIES(jump_null, SIGSEGV);
	DIES(jump_garbage, SIGSEGV);
	DIES(jump_odd, SIGBUS);
	DIES(jump_to_kernel, SIGSEGV);
	DIES(read_kernel, SIGSEGV);
	DIES(read_noncanonical, SIGSEGV);
	DIES(write_text, SIGSEGV);
	DIES(jump_to_data, SIGSEGV);
}

static void
wrong_instructions_end_the_program(void)
{
	DIES(undefined, SIGILL);
	DIES(privileged, SIGILL);
	DIES(hypervisor_call, SIGILL);
	DIES(monitor_call, SIGILL);
	DIES(mask_interrupts, SIGILL);
	DIES(breakpoint, SIGTRAP);
}

static int (*volatile deeper)(int);

static int
deep(int n)
{
	volatile char frame[4096];

	frame[0] = (char)n;
	return deeper(n + 1) + frame[0];
}

static void recurse(void) { deeper = deep; _exit(deep(1)); }
static void deep_recursion_ends_the_program(void) { DIES(recurse, SIGSEGV); }

static void
bomb(void)
{
	struct rlimit limit = { 60, 60 };
	unsigned made = 0;

	REQUIRE(setgid(64000) == 0 && setuid(64000) == 0);
	REQUIRE(setrlimit(RLIMIT_NPROC, &limit) == 0);
	for (unsigned i = 0; i < 300; i++) {
		pid_t p = fork();

		if (p == 0) {
			pause();
			_exit(0);
		}
		if (p > 0)
			made++;
		else
			EQUAL(errno, EAGAIN);
	}
	_exit(made == 59 ? 0 : 1);
}

static void
a_fork_bomb_meets_its_limit(void)
{
	EXITS(bomb, 0);
}

static void
forks_of_forks(void)
{
	struct rlimit limit = { 80, 80 };

	REQUIRE(setgid(64001) == 0 && setuid(64001) == 0);
	REQUIRE(setrlimit(RLIMIT_NPROC, &limit) == 0);
	alarm(2);
	for (;;)
		fork();
}

static void
a_spreading_fork_bomb_can_be_stopped(void)
{
	int status;
	pid_t p = fork();

	if (p == 0) {
		setpgid(0, 0);
		forks_of_forks();
	}
	setpgid(p, p);
	EQUAL(waitpid(p, &status, 0), p);
	for (int i = 0; i < 6000 && kill(-p, SIGKILL) == 0; i++)	/* init buries them */
		sleep_ms(10);
	FAILS(kill(-p, 0), ESRCH);
}

static void
eat_memory(void)
{
	for (;;) {
		char *p = mmap(NULL, 16 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

		if (p == MAP_FAILED)
			_exit(3);
		for (size_t i = 0; i < 16 << 20; i += PAGE)
			p[i] = 1;
	}
}

/* The bystander is small; the hog is what the OOM killer should find. */
static void
who_eats_all_memory_is_killed_alone(void)
{
	int status, p[2];
	char c = 0;
	pid_t bystander;

	EQUAL(pipe(p), 0);
	bystander = fork();
	if (bystander == 0) {
		close(p[1]);
		_exit(read(p[0], &c, 1) == 1 ? 0 : 1);
	}
	status = status_of(eat_memory);
	REQUIRE((status & 0x7f) == SIGKILL || WEXITSTATUS(status) == 3);
	EQUAL(write(p[1], "x", 1), 1);
	EQUAL(waitpid(bystander, &status, 0), bystander);
	EQUAL(status, 0);
}

static void
limited(void)
{
	struct rlimit limit = { 64 << 20, 64 << 20 };

	setrlimit(RLIMIT_AS, &limit);
	eat_memory();
}

static void address_space_limits_are_enomem(void) { EXITS(limited, 3); }

static void
a_full_pipe_is_eagain(void)
{
	char block[PAGE] = "";
	int p[2];
	long total = 0;
	ssize_t n;

	EQUAL(pipe2(p, O_NONBLOCK), 0);
	while ((n = write(p[1], block, sizeof(block))) > 0)
		total += n;
	EQUAL(errno, EAGAIN);
	EQUAL(total, 65536);
	EQUAL(read(p[0], block, sizeof(block)), sizeof(block));
	EQUAL(write(p[1], block, sizeof(block)), sizeof(block));
	close(p[0]);
	signal(SIGPIPE, SIG_IGN);
	FAILS(write(p[1], "x", 1), EPIPE);
}

static void
fill_files(void)
{
	int fds = 0;

	while (open("/dev/null", O_RDONLY) >= 0)
		fds++;
	EQUAL(errno, EMFILE);
	REQUIRE(fds > 100);
	FAILS(fork() >= 0 ? pipe((int[2]){ 0 }) : 0, EMFILE);
}

static void descriptors_run_out_as_emfile(void) { EXITS(fill_files, 0); }

static void
busy(void)
{
	sigset_t all;

	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, NULL);
	for (;;)
		;
}

static void
a_busy_loop_that_blocks_signals_can_be_killed(void)
{
	pid_t p = fork();
	int status;

	if (p == 0)
		busy();
	sleep_ms(20);
	EQUAL(kill(p, SIGKILL), 0);
	EQUAL(waitpid(p, &status, 0), p);
	EQUAL(WTERMSIG(status), SIGKILL);
}

TESTS(TEST(wrong_accesses_end_the_program), TEST(wrong_instructions_end_the_program),
    TEST(deep_recursion_ends_the_program), TEST(a_fork_bomb_meets_its_limit),
    TEST(a_spreading_fork_bomb_can_be_stopped), TEST(address_space_limits_are_enomem),
    TEST(a_full_pipe_is_eagain), TEST(descriptors_run_out_as_emfile),
    TEST(a_busy_loop_that_blocks_signals_can_be_killed), TEST(who_eats_all_memory_is_killed_alone));
