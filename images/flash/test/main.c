/* SPDX-License-Identifier: MIT */
/* The test build of flash; and what its readers make of harmful image files. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "flash.h"

enum { ROUNDS = 300 };

/* Beginnings of compressed images with any bytes behind them: an answer, whatever it is. */
static int
any_frame_header_is_answered(void)
{
	static const unsigned char zstd[4] = { 0x28, 0xb5, 0x2f, 0xfd };
	char path[] = "/tmp/flash-test-XXXXXX", reason[REASON];
	int fd = mkstemp(path);
	unsigned char bytes[32];
	struct source s;

	srand(1);
	for (unsigned round = 0; round < ROUNDS; round++) {
		size_t size = sizeof(zstd) + (size_t)rand() % (sizeof(bytes) - sizeof(zstd));

		for (size_t i = 0; i < sizeof(bytes); i++)
			bytes[i] = (unsigned char)rand();
		memcpy(bytes, zstd, sizeof(zstd));
		if (fd < 0 || ftruncate(fd, 0) != 0 || pwrite(fd, bytes, size, 0) != (ssize_t)size)
			return 1;
		fflush(stdout);
		if (!freopen("/dev/null", "w", stderr))
			return 1;
		if (source_open(&s, path, reason) && source_close(&s, reason))
			return 1;	/* nothing that short is whole */
	}
	close(fd);
	unlink(path);
	return 0;
}

int
main(int argc, char **argv)
{
	const char *slash = strrchr(argv[0], '/');

	if (strcmp(slash == NULL ? argv[0] : slash + 1, "flash") == 0)
		return flash_main(argc, argv);
	if (any_frame_header_is_answered() != 0) {
		printf("FAILED any_frame_header_is_answered\n");
		return 1;
	}
	return 0;
}
