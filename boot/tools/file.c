/* SPDX-License-Identifier: MIT */
/* Whole files for the host tools; every error names the file. */
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "file.h"

void
fail(const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	vfprintf(stderr, format, arguments);
	va_end(arguments);
	fputc('\n', stderr);
	exit(1);
}

uint8_t *
file_read(const char *path, uint64_t *size)
{
	FILE *file = fopen(path, "rb");
	uint8_t *data = NULL;
	size_t room = 0, used = 0, got;

	if (file == NULL)
		fail("%s: %s", path, strerror(errno));
	do {
		if (used == room) {
			room = room == 0 ? 1 << 16 : room * 2;
			data = realloc(data, room);
			if (data == NULL)
				fail("%s: out of memory", path);
		}
		got = fread(data + used, 1, room - used, file);
		used += got;
	} while (got > 0);
	if (ferror(file))
		fail("%s: %s", path, strerror(errno));
	fclose(file);
	*size = used;
	return data;
}

FILE *
file_create(const char *path)
{
	FILE *file = fopen(path, "wb");

	if (file == NULL)
		fail("%s: %s", path, strerror(errno));
	return file;
}

void
file_put(FILE *file, const char *path, const void *data, uint64_t size)
{
	if (size > 0 && fwrite(data, 1, size, file) != size)
		fail("%s: %s", path, strerror(errno));
}

void
file_pad(FILE *file, const char *path, uint64_t written, uint64_t align)
{
	static const uint8_t zeros[4096];
	uint64_t rest = (align - written % align) % align;

	while (rest > 0) {
		uint64_t part = rest < sizeof(zeros) ? rest : sizeof(zeros);

		file_put(file, path, zeros, part);
		rest -= part;
	}
}

void
file_close(FILE *file, const char *path)
{
	if (fclose(file) != 0)
		fail("%s: %s", path, strerror(errno));
}
