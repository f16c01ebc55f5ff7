/* SPDX-License-Identifier: MIT */
/* Runs the host tests of the loader and counts them. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "test.h"

static struct test *tests;
static const char *current;
static bool current_failed;
static uint32_t random_state;

void
test_register(struct test *test)
{
	test->next = tests;
	tests = test;
}

void
test_failed(const char *file, int line, const char *what)
{
	printf("FAILED %s: %s:%d: %s\n", current, file, line, what);
	current_failed = true;
}

uint8_t *
test_data(const char *name, size_t *size)
{
	const char *folder = getenv("TEST_DATA");
	char path[512];
	FILE *file;
	uint8_t *data = malloc(1 << 20);

	snprintf(path, sizeof(path), "%s/%s", folder != NULL ? folder : "data", name);
	file = fopen(path, "rb");
	if (file == NULL || data == NULL) {
		printf("%s: cannot be read\n", path);
		exit(1);
	}
	*size = fread(data, 1, 1 << 20, file);
	fclose(file);
	return data;
}

struct platform *
test_platform(uint64_t boot_mpidr)
{
	static struct platform platform;
	static struct bootinfo info;

	memset(&info, 0, sizeof(info));
	platform.info = &info;
	platform.boot_mpidr = boot_mpidr;
	platform.range_count = 0;
	return &platform;
}

uint32_t
test_random(void)
{
	random_state = random_state * 1664525 + 1013904223;
	return random_state >> 8;
}

/* For who adds them up. */
static void
leave_counts(unsigned passed, unsigned failed)
{
	const char *path = getenv("TEST_COUNTS");
	FILE *file = path != NULL ? fopen(path, "w") : NULL;

	if (file == NULL)
		return;
	fprintf(file, "%u %u\n", passed, failed);
	fclose(file);
}

int
main(int argc, char **argv)
{
	unsigned passed = 0, failed = 0;

	setvbuf(stdout, NULL, _IOLBF, 0);	/* a sanitizer may end the run */

	for (const struct test *t = tests; t != NULL; t = t->next) {
		if (argc > 1 && strcmp(argv[1], t->name) != 0)
			continue;
		current = t->name;
		current_failed = false;
		random_state = 1;
		t->run();
		if (current_failed)
			failed++;
		else
			passed++;
	}
	printf("%u passed, %u failed\n", passed, failed);
	leave_counts(passed, failed);
	return failed != 0;
}
