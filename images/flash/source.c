/* SPDX-License-Identifier: MIT */
/* Images as streams of bytes: what is compressed is unpacked by the program for it. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "flash.h"

enum { MAGIC = 18 };

bool
because(char reason[REASON], const char *format, ...)
{
	va_list list;

	va_start(list, format);
	vsnprintf(reason, REASON, format, list);
	va_end(list);
	return false;
}

/* What a Zstandard frame says about its content (RFC 8878 3.1.1.1); 0: nothing. */
static uint64_t
zstd_size(const uint8_t *frame)
{
	static const unsigned id_bytes[4] = { 0, 1, 2, 4 }, size_bytes[4] = { 0, 2, 4, 8 };
	bool single = (frame[4] >> 5 & 1) != 0;
	unsigned flag = frame[4] >> 6, bytes = flag == 0 && single ? 1 : size_bytes[flag];
	unsigned at = 5 + !single + id_bytes[frame[4] & 3];
	uint64_t size = 0;

	for (unsigned i = 0; i < bytes && at + i < MAGIC; i++)
		size |= (uint64_t)frame[at + i] << 8 * i;
	return bytes == 2 ? size + 256 : size;
}

/* A program's standard output; the child gets no other descriptor of ours. */
static bool
start(struct source *s, char *const command[], char reason[REASON])
{
	int ends[2];

	if (pipe(ends) != 0)
		return because(reason, "%s: %s", command[0], strerror(errno));
	s->child = fork();
	if (s->child == 0) {
		/* Ctrl-C is ours to answer. */
		setpgid(0, 0);
		dup2(ends[1], STDOUT_FILENO);
		close(ends[0]);
		close(ends[1]);
		execvp(command[0], command);
		fprintf(stderr, "flash: %s: %s\n", command[0], strerror(errno));
		_exit(127);
	}
	close(ends[1]);
	s->fd = ends[0];
	s->unpacker = command[0];
	if (s->child > 0)
		return true;
	s->child = 0;
	close(ends[0]);
	return because(reason, "%s: %s", command[0], strerror(errno));
}

/* The fifth word of the line "totals" is the size unpacked (xz(1), ROBOT MODE). */
static bool
xz_size(const char *path, uint64_t *size, char reason[REASON])
{
	char *command[] = { "xz", "--robot", "--list", "--", (char *)path, NULL };
	struct source list = { .path = path };
	unsigned long long total = 0;
	char line[512];
	FILE *file;

	if (!start(&list, command, reason))
		return false;
	file = fdopen(list.fd, "r");
	while (file != NULL && fgets(line, sizeof(line), file) != NULL)
		sscanf(line, "totals %*u %*u %*u %llu", &total);
	*size = total;
	if (file != NULL)
		fclose(file);
	list.fd = -1;
	return source_close(&list, reason);
}

static bool
open_packed(struct source *s, const uint8_t *magic, char reason[REASON])
{
	char *xz[] = { "xz", "-dc", "--", (char *)s->path, NULL };
	char *zstd[] = { "zstd", "-dcq", "--", (char *)s->path, NULL };
	bool is_zstd = magic[0] == 0x28;

	close(s->fd);
	s->fd = -1;
	if (is_zstd)
		s->bytes = zstd_size(magic);
	else if (!xz_size(s->path, &s->bytes, reason))
		return false;
	return start(s, is_zstd ? zstd : xz, reason);
}

bool
source_open(struct source *s, const char *path, char reason[REASON])
{
	static const uint8_t xz[6] = { 0xfd, '7', 'z', 'X', 'Z', 0 }, zstd[4] = { 0x28, 0xb5, 0x2f, 0xfd };
	uint8_t magic[MAGIC] = { 0 };
	struct stat st;

	memset(s, 0, sizeof(*s));
	s->path = path;
	s->fd = open(path, O_RDONLY | O_CLOEXEC);
	if (s->fd < 0 || fstat(s->fd, &st) != 0)
		return because(reason, "%s: %s", path, strerror(errno));
	if (!S_ISREG(st.st_mode) || st.st_size == 0) {
		close(s->fd);
		return because(reason, "%s: %s", path, S_ISREG(st.st_mode) ? "is empty" : "is no file");
	}
	if (pread(s->fd, magic, sizeof(magic), 0) < 0)
		return because(reason, "%s: %s", path, strerror(errno));
	if (memcmp(magic, xz, sizeof(xz)) == 0 || memcmp(magic, zstd, sizeof(zstd)) == 0)
		return open_packed(s, magic, reason);
	s->bytes = (uint64_t)st.st_size;
	return true;
}

bool
source_read(struct source *s, void *to, size_t *size, char reason[REASON])
{
	*size = 0;
	while (*size < CHUNK) {
		ssize_t n = read(s->fd, (char *)to + *size, CHUNK - *size);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return because(reason, "%s: %s", s->path, strerror(errno));
		if (n == 0)
			break;
		*size += (size_t)n;
	}
	return true;
}

bool
source_close(struct source *s, char reason[REASON])
{
	int status = 0;

	if (s->fd >= 0)
		close(s->fd);
	s->fd = -1;
	if (s->child == 0)
		return true;
	while (waitpid(s->child, &status, 0) < 0 && errno == EINTR)
		;
	s->child = 0;
	return status == 0 || because(reason, "%s: %s cannot unpack it", s->path, s->unpacker);
}
