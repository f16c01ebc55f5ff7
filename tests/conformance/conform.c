/* SPDX-License-Identifier: MIT */
/*
 * Runs the tests of a program: all, or those whose names hold one of the
 * arguments.  "--list" names them.
 */
#include "conform.h"
#include <ftw.h>

enum { TEST_GUARD_S = 120 };

static const char *current = "";
static char folder[64];

_Noreturn void
fail_at(const char *file, int line, const char *what, long value, long wanted, int has_values)
{
	int error = errno;
	char text[512];
	int n;

	if (has_values)
		n = snprintf(text, sizeof(text), "FAIL %s %s:%d: %s is %ld, not %ld\n", current, file, line, what,
		    value, wanted);
	else
		n = snprintf(text, sizeof(text), "FAIL %s %s:%d: %s (errno %d)\n", current, file, line, what, error);
	if (n > 0)
		(void)!write(1, text, (size_t)n < sizeof(text) ? (size_t)n : sizeof(text) - 1);
	_exit(1);
}

void
sleep_ms(unsigned ms)
{
	struct timespec ts = { ms / 1000, (long)(ms % 1000) * 1000000 };

	while (nanosleep(&ts, &ts) != 0 && errno == EINTR)
		;
}

uint64_t
now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
}

int
status_of(void (*work)(void))
{
	pid_t p = fork();
	int status;

	REQUIRE(p >= 0);
	if (p == 0) {
		work();
		_exit(0);
	}
	while (waitpid(p, &status, 0) != p)
		REQUIRE(errno == EINTR);
	return status;
}

char
state_of(pid_t pid)
{
	char path[64], text[512], *end;
	ssize_t n;
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	fd = open(path, O_RDONLY);
	if (fd < 0)
		return 0;
	n = read(fd, text, sizeof(text) - 1);
	close(fd);
	if (n <= 0)
		return 0;
	text[n] = '\0';
	end = strrchr(text, ')');
	return end != NULL ? end[2] : 0;
}

void
write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0644);

	REQUIRE(fd >= 0);
	EQUAL(write(fd, text, strlen(text)), strlen(text));
	EQUAL(close(fd), 0);
}

void
in_new_folder(void)
{
	REQUIRE(mkdir(folder, 0755) == 0);
	REQUIRE(chdir(folder) == 0);
}

uint32_t
next_random(uint64_t *state)
{
	*state ^= *state >> 12;
	*state ^= *state << 25;
	*state ^= *state >> 27;
	return (uint32_t)(*state * 0x2545f4914f6cdd1dULL >> 32);
}

static int
remove_one(const char *path, const struct stat *st, int flag, struct FTW *where)
{
	(void)st;
	(void)flag;
	(void)where;
	return remove(path);
}

static int
run_test(const struct test *t)
{
	pid_t p;
	int status;

	current = t->name;
	snprintf(folder, sizeof(folder), "/tmp/conform-%d", (int)getpid());
	p = fork();
	if (p == 0) {
		setpgid(0, 0);
		alarm(TEST_GUARD_S);
		t->run();
		_exit(0);
	}
	if (p < 0 || waitpid(p, &status, 0) != p) {
		printf("FAIL %s: no process for it (errno %d)\n", t->name, errno);
		return 0;
	}
	kill(-p, SIGKILL);
	nftw(folder, remove_one, 16, FTW_DEPTH | FTW_PHYS);
	if (status == 0)
		printf("ok %s\n", t->name);
	else if (WIFSIGNALED(status))
		printf("FAIL %s: killed by signal %d\n", t->name, WTERMSIG(status));
	else
		printf("FAIL %s: exit status %d\n", t->name, WEXITSTATUS(status));
	return status == 0;
}

static int
wanted(const char *name, int argc, char **argv)
{
	for (int i = 1; i < argc; i++) {
		if (strstr(name, argv[i]) != NULL)
			return 1;
	}
	return argc < 2;
}

int
main(int argc, char **argv)
{
	unsigned passed = 0, failed = 0;

	setvbuf(stdout, NULL, _IONBF, 0);
	if (argc == 2 && strcmp(argv[1], "--list") == 0) {
		for (unsigned i = 0; i < test_count; i++)
			puts(tests[i].name);
		return 0;
	}
	for (unsigned i = 0; i < test_count; i++) {
		if (!wanted(tests[i].name, argc, argv))
			continue;
		if (run_test(&tests[i]))
			passed++;
		else
			failed++;
	}
	printf("%u passed, %u failed\n", passed, failed);
	return failed != 0;
}
