/* SPDX-License-Identifier: MIT */
/*
 * Memory: what mmap, munmap, mprotect, mremap, madvise and brk promise, alone and
 * in any order (a fuzz against a model), and what wrong addresses are told.
 */
#include "conform.h"
#include <setjmp.h>

static sigjmp_buf back;
static volatile int fault_signal, fault_code;
static void *volatile fault_address;

static void
faulted(int sig, siginfo_t *info, void *context)
{
	(void)context;
	fault_signal = sig;
	fault_code = info->si_code;
	fault_address = info->si_addr;
	siglongjmp(back, 1);
}

static void
catch_faults(void)
{
	struct sigaction sa = { .sa_sigaction = faulted, .sa_flags = SA_SIGINFO };

	sigaction(SIGSEGV, &sa, NULL);
	sigaction(SIGBUS, &sa, NULL);
}

/* The signal that an access gives, 0 for none. */
static int
touch(volatile char *p, int write)
{
	fault_signal = 0;
	if (sigsetjmp(back, 1) == 0) {
		if (write)
			*p = 1;
		else
			(void)*p;
	}
	return fault_signal;
}

static char *
anonymous(size_t size, int protection)
{
	char *p = mmap(NULL, size, protection, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	REQUIRE(p != MAP_FAILED);
	return p;
}

static void
wrong_addresses_are_told(void)
{
	char *p;
	int fd;

	catch_faults();
	p = anonymous(PAGE, PROT_READ);
	EQUAL(touch(p, 1), SIGSEGV);
	EQUAL(fault_code, SEGV_ACCERR);
	EQUAL(fault_address, p);
	EQUAL(munmap(p, PAGE), 0);
	EQUAL(touch(p + 5, 0), SIGSEGV);
	EQUAL(fault_code, SEGV_MAPERR);
	EQUAL(fault_address, p + 5);
	in_new_folder();
	fd = open("f", O_RDWR | O_CREAT, 0600);
	EQUAL(ftruncate(fd, 100), 0);
	p = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	EQUAL(touch(p + 200, 1), 0);
	EQUAL(touch(p + PAGE + 7, 0), SIGBUS);
	EQUAL(fault_code, BUS_ADRERR);
	EQUAL(fault_address, p + PAGE + 7);
	EQUAL(ftruncate(fd, 0), 0);
	EQUAL(touch(p, 0), SIGBUS);
}

static void
fresh_memory_is_zero_and_dontneed_makes_it_so(void)
{
	char *p = anonymous(64 * PAGE, PROT_READ | PROT_WRITE);

	for (int i = 0; i < 64; i++)
		EQUAL(p[i * PAGE], 0);
	memset(p, 7, 64 * PAGE);
	EQUAL(madvise(p + 8 * PAGE, 8 * PAGE, MADV_DONTNEED), 0);
	EQUAL(p[7 * PAGE], 7);
	EQUAL(p[8 * PAGE], 0);
	EQUAL(p[16 * PAGE - 1], 0);
	EQUAL(p[16 * PAGE], 7);
	FAILS(madvise(p + 1, PAGE, MADV_DONTNEED), EINVAL);
	munmap(p, 64 * PAGE);
	FAILS(madvise(p, PAGE, MADV_DONTNEED), ENOMEM);
}

static void
arguments_are_checked(void)
{
	char *p = anonymous(2 * PAGE, PROT_READ);

	FAILS(mmap(NULL, 0, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), EINVAL);
	FAILS(mmap(NULL, PAGE, PROT_READ, MAP_ANONYMOUS, -1, 0), EINVAL);
	FAILS(mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE, 99, 0), EBADF);
	FAILS(mmap(p + 1, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0), EINVAL);
	FAILS(mmap(p, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0), EEXIST);
	FAILS(mmap(NULL, (size_t)1 << 60, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), ENOMEM);
	FAILS(munmap(p + 1, PAGE), EINVAL);
	FAILS(munmap(p, 0), EINVAL);
	FAILS(syscall(SYS_mprotect, p + 1, PAGE, PROT_READ), EINVAL);	/* musl's rounds */
	munmap(p + PAGE, PAGE);
	FAILS(mprotect(p, 2 * PAGE, PROT_READ), ENOMEM);
	EQUAL(munmap(p, 2 * PAGE), 0);
	EQUAL(munmap(p, 2 * PAGE), 0);		/* nothing there is no error */
}

static void
fork_copies_on_write(void)
{
	enum { N = 256 };
	char *p = anonymous(N * PAGE, PROT_READ | PROT_WRITE);
	int status;
	pid_t child;

	for (int i = 0; i < N; i++)
		p[i * PAGE] = (char)i;
	child = fork();
	if (child == 0) {
		for (int i = 0; i < N; i++) {
			EQUAL(p[i * PAGE], (char)i);
			p[i * PAGE] = (char)(i + 1);
		}
		for (int i = 0; i < N; i++)
			EQUAL(p[i * PAGE], (char)(i + 1));
		_exit(0);
	}
	for (int i = 0; i < N; i += 2)
		p[i * PAGE] = (char)(i + 2);
	EQUAL(waitpid(child, &status, 0), child);
	EQUAL(status, 0);
	for (int i = 0; i < N; i++)
		EQUAL(p[i * PAGE], (char)(i % 2 == 0 ? i + 2 : i));
}

static void
shared_memory_is_shared(void)
{
	volatile int *p = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0), *q;
	char text[4] = "";
	int status, fd;
	pid_t child = fork();

	if (child == 0) {
		p[0] = 5;
		_exit(0);
	}
	EQUAL(waitpid(child, &status, 0), child);
	EQUAL(p[0], 5);
	in_new_folder();
	fd = open("f", O_RDWR | O_CREAT, 0600);
	EQUAL(write(fd, "abcdefgh", 8), 8);
	p = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	q = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
	((volatile char *)p)[1] = 'X';
	EQUAL(pread(fd, text, 3, 0), 3);
	EQUAL(strcmp(text, "aXc"), 0);
	EQUAL(pwrite(fd, "Y", 1, 2), 1);
	EQUAL(((volatile char *)p)[2], 'Y');
	((volatile char *)q)[0] = 'Q';
	EQUAL(((volatile char *)p)[0], 'a');
	FAILS(mmap(NULL, PAGE, PROT_WRITE, MAP_SHARED, open("f", O_RDONLY), 0), EACCES);
}

static void
mremap_grows_shrinks_and_moves(void)
{
	char *p = anonymous(4 * PAGE, PROT_READ | PROT_WRITE), *q, *hole;

	catch_faults();
	for (int i = 0; i < 4; i++)
		p[i * PAGE] = (char)(i + 1);
	q = mremap(p, 4 * PAGE, 2 * PAGE, 0);
	EQUAL(q, p);
	EQUAL(touch(p + 2 * PAGE, 0), SIGSEGV);
	q = mremap(p, 2 * PAGE, 100 * PAGE, MREMAP_MAYMOVE);
	REQUIRE(q != MAP_FAILED);
	EQUAL(q[0], 1);
	EQUAL(q[PAGE], 2);
	EQUAL(q[2 * PAGE], 0);
	hole = anonymous(4 * PAGE, PROT_NONE);
	EQUAL(mremap(q, 2 * PAGE, 2 * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, hole), hole);
	EQUAL(hole[PAGE], 2);
	EQUAL(touch(q, 0), SIGSEGV);
	FAILS(mremap(q, PAGE, 2 * PAGE, 0), EFAULT);
	FAILS(mremap(hole, PAGE, 4 * PAGE, 0), ENOMEM);
}

static void
brk_grows_and_shrinks(void)
{
	char *start = sbrk(0), *p;

	REQUIRE(start != (char *)-1);
	p = (char *)syscall(SYS_brk, start + 10 * PAGE);
	EQUAL(p, start + 10 * PAGE);
	memset(start, 1, 10 * PAGE);
	EQUAL(syscall(SYS_brk, start), start);
	catch_faults();
	EQUAL(touch(start + 9 * PAGE, 0), SIGSEGV);
	EQUAL(syscall(SYS_brk, start + 10 * PAGE), start + 10 * PAGE);
	EQUAL(start[9 * PAGE], 0);
	EQUAL(syscall(SYS_brk, 1), start + 10 * PAGE);
}

static int
use_stack(int n)
{
	volatile char frame[8192];

	frame[0] = 1;
	return n == 0 ? 0 : use_stack(n - 1) + frame[0];
}

static void
the_stack_grows(void)
{
	EQUAL(use_stack(800), 800);		/* 6.5 of 8 MiB */
}

static void
large_reservations_cost_nothing(void)
{
	size_t size = (size_t)256 << 30;
	char *p = mmap(NULL, size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	REQUIRE(p != MAP_FAILED);
	EQUAL(mprotect(p + size / 2, 16 * PAGE, PROT_READ | PROT_WRITE), 0);
	memset(p + size / 2, 1, 16 * PAGE);
	EQUAL(munmap(p, size), 0);
}

static void
code_can_be_written_and_run(void)
{
	uint32_t *code = (uint32_t *)anonymous(PAGE, PROT_READ | PROT_WRITE);

	for (uint32_t i = 1; i < 50; i++) {
		code[0] = 0x52800000 | i << 5;		/* mov w0, #i */
		code[1] = 0xd65f03c0;			/* ret */
		__builtin___clear_cache((char *)code, (char *)(code + 2));
		EQUAL(mprotect(code, PAGE, PROT_READ | PROT_EXEC), 0);
		EQUAL(((int (*)(void))code)(), i);
		EQUAL(mprotect(code, PAGE, PROT_READ | PROT_WRITE), 0);
	}
}

/*
 * Random operations on a window; the model knows of each page whether it is there,
 * what it permits and the byte that stands at its start.
 */
enum { WINDOW = 64, STEPS = 3000 };
static struct { int protection; char value; } model[WINDOW];	/* protection -1: not mapped */
static char *window;

static void
model_set(unsigned first, unsigned count, int protection, int clear)
{
	for (unsigned i = first; i < first + count; i++) {
		model[i].protection = protection;
		if (clear)
			model[i].value = 0;
	}
}

static int
all_mapped(unsigned first, unsigned count)
{
	for (unsigned i = first; i < first + count; i++) {
		if (model[i].protection < 0)
			return 0;
	}
	return 1;
}

static void
window_agrees(void)
{
	for (unsigned i = 0; i < WINDOW; i++) {
		char *p = window + i * PAGE;
		int wanted = model[i].protection >= 0 && (model[i].protection & PROT_READ) ? 0 : SIGSEGV;

		EQUAL(touch(p, 0), wanted);
		if (wanted == 0)
			EQUAL(*p, model[i].value);
		else
			EQUAL(fault_code, model[i].protection < 0 ? SEGV_MAPERR : SEGV_ACCERR);
	}
}

static void
random_operation(uint64_t *random)
{
	static const int protections[] = { PROT_NONE, PROT_READ, PROT_READ | PROT_WRITE };
	unsigned first = next_random(random) % WINDOW, count = 1 + next_random(random) % 12;
	int protection = protections[next_random(random) % 3];
	char *p = window + first * PAGE;

	if (count > WINDOW - first)
		count = WINDOW - first;
	switch (next_random(random) % 6) {
	case 0:
		EQUAL(mmap(p, count * PAGE, protection, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0), p);
		model_set(first, count, protection, 1);
		break;
	case 1:
		EQUAL(munmap(p, count * PAGE), 0);
		model_set(first, count, -1, 1);
		break;
	case 2:
	case 3:
		if (all_mapped(first, count)) {
			EQUAL(mprotect(p, count * PAGE, protection), 0);
			model_set(first, count, protection, 0);
		}
		break;
	case 4:
		if (all_mapped(first, count)) {
			EQUAL(madvise(p, count * PAGE, MADV_DONTNEED), 0);
			for (unsigned i = first; i < first + count; i++)
				model[i].value = 0;
		}
		break;
	default:
		for (unsigned i = first; i < first + count; i++) {
			int may = model[i].protection >= 0 && (model[i].protection & PROT_WRITE);

			EQUAL(touch(window + i * PAGE, 1), may ? 0 : SIGSEGV);
			if (may)
				model[i].value = 1;
		}
	}
}

static void
any_order_of_calls_agrees_with_a_model(void)
{
	uint64_t random = 42;

	catch_faults();
	window = anonymous(WINDOW * PAGE, PROT_NONE);
	model_set(0, WINDOW, PROT_NONE, 1);
	for (unsigned i = 0; i < STEPS; i++) {
		random_operation(&random);
		if (i % 20 == 0)
			window_agrees();
		if (i % 500 == 0) {		/* a child has the same, and changes nothing here */
			int status;
			pid_t p = fork();

			if (p == 0) {
				window_agrees();
				for (unsigned j = 0; j < 50; j++)
					random_operation(&random);
				window_agrees();
				_exit(0);
			}
			EQUAL(waitpid(p, &status, 0), p);
			EQUAL(status, 0);
		}
	}
	window_agrees();
}

TESTS(TEST(wrong_addresses_are_told), TEST(fresh_memory_is_zero_and_dontneed_makes_it_so),
    TEST(arguments_are_checked), TEST(fork_copies_on_write), TEST(shared_memory_is_shared),
    TEST(mremap_grows_shrinks_and_moves), TEST(brk_grows_and_shrinks), TEST(the_stack_grows),
    TEST(large_reservations_cost_nothing), TEST(code_can_be_written_and_run),
    TEST(any_order_of_calls_agrees_with_a_model));
