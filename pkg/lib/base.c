// SPDX-License-Identifier: MIT
/*
 * Faults, memory, buffers, lists and small text forms: see base.h.
 */
#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base.h"

int
fault_set(struct fault *f, int status, const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	vsnprintf(f->text, sizeof(f->text), format, ap);
	va_end(ap);
	f->status = status;
	return status;
}

int
fault_errno(struct fault *f, const char *format, ...)
{
	int error = errno;
	va_list ap;

	va_start(ap, format);
	int n = vsnprintf(f->text, sizeof(f->text), format, ap);
	va_end(ap);
	if (n >= 0 && (size_t)n < sizeof(f->text))
		snprintf(f->text + n, sizeof(f->text) - (size_t)n, ": %s", strerror(error));
	f->status = PKG_FAILED;
	return PKG_FAILED;
}

static void *
mem_check(void *p)
{
	if (p != NULL)
		return p;
	static const char text[] = "pkg: no memory left; the next run of pkg tidies up\n";
	(void)!write(2, text, sizeof(text) - 1);
	_exit(PKG_FAILED);
}

void *
mem_alloc(size_t size)
{
	return mem_check(calloc(1, size ? size : 1));
}

void *
mem_grow(void *p, size_t count, size_t size)
{
	return mem_check(reallocarray(p, count ? count : 1, size));
}

char *
text_dup(const char *s)
{
	return s ? mem_check(strdup(s)) : NULL;
}

char *
text_dup_n(const char *s, size_t length)
{
	return mem_check(strndup(s, length));
}

char *
text_format(const char *format, ...)
{
	char *s = NULL;
	va_list ap;

	va_start(ap, format);
	int n = vasprintf(&s, format, ap);
	va_end(ap);
	return mem_check(n < 0 ? NULL : s);
}

void
buffer_add(struct buffer *b, const void *data, size_t length)
{
	if (b->room - b->length <= length || b->data == NULL) {
		size_t room = b->room * 2 > b->length + length + 1 ? b->room * 2 : b->length + length + 64;

		b->data = mem_grow(b->data, room, 1);
		b->room = room;
	}
	if (length != 0)
		memcpy(b->data + b->length, data, length);
	b->length += length;
	b->data[b->length] = '\0';
}

void
buffer_text(struct buffer *b, const char *s)
{
	buffer_add(b, s, strlen(s));
}

void
buffer_format(struct buffer *b, const char *format, ...)
{
	char *s = NULL;
	va_list ap;

	va_start(ap, format);
	int n = vasprintf(&s, format, ap);
	va_end(ap);
	mem_check(n < 0 ? NULL : s);
	buffer_add(b, s, (size_t)n);
	free(s);
}

void
buffer_free(struct buffer *b)
{
	free(b->data);
	*b = (struct buffer){0};
}

void
list_add(struct list *l, const char *s)
{
	if ((l->count & (l->count - 1)) == 0)
		l->items = mem_grow(l->items, l->count ? 2 * l->count : 1, sizeof(*l->items));
	l->items[l->count++] = text_dup(s);
}

bool
list_has(const struct list *l, const char *s)
{
	for (size_t i = 0; i < l->count; i++) {
		if (strcmp(l->items[i], s) == 0)
			return true;
	}
	return false;
}

void
list_free(struct list *l)
{
	for (size_t i = 0; i < l->count; i++)
		free(l->items[i]);
	free(l->items);
	*l = (struct list){0};
}

void
hex_encode(char *out, const uint8_t *bytes, size_t count)
{
	static const char digits[] = "0123456789abcdef";

	for (size_t i = 0; i < count; i++) {
		*out++ = digits[bytes[i] >> 4];
		*out++ = digits[bytes[i] & 15];
	}
	*out = '\0';
}

static int
hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

bool
hex_decode(uint8_t *out, size_t count, const char *s)
{
	if (strlen(s) != 2 * count)
		return false;
	for (size_t i = 0; i < count; i++) {
		int high = hex_digit(s[2 * i]), low = hex_digit(s[2 * i + 1]);

		if (high < 0 || low < 0)
			return false;
		out[i] = (uint8_t)(high << 4 | low);
	}
	return true;
}

bool
number_parse(const char *s, unsigned base, uint64_t max, uint64_t *out)
{
	uint64_t value = 0;

	if (*s == '\0' || (base == 10 && s[0] == '0' && s[1] != '\0'))
		return false;
	for (; *s != '\0'; s++) {
		unsigned digit = (unsigned)(unsigned char)*s - '0';

		if (digit >= base || value > (UINT64_MAX - digit) / base)
			return false;
		value = value * base + digit;
	}
	*out = value;
	return value <= max;
}

void
path_escape(struct buffer *b, const char *path)
{
	for (; *path != '\0'; path++) {
		unsigned char c = (unsigned char)*path;

		if (c <= ' ' || c == 0x7f || c == '\\')
			buffer_format(b, "\\%03o", c);
		else
			buffer_add(b, path, 1);
	}
}

bool
path_unescape(char *s)
{
	char *out = s;

	while (*s != '\0') {
		unsigned value = (unsigned char)*s++;

		if (value <= ' ' || value == 0x7f)
			return false;
		if (value == '\\') {
			value = 0;
			for (int i = 0; i < 3; i++, s++) {
				if (*s < '0' || *s > '7')
					return false;
				value = value * 8 + (unsigned)(*s - '0');
			}
			if (value == 0 || value > 255)
				return false;
		}
		*out++ = (char)value;
	}
	*out = '\0';
	return true;
}

bool
path_is_safe(const char *path)
{
	size_t length = strlen(path);

	if (length == 0 || length > 4000)
		return false;
	for (const char *c = path;; c++) {
		size_t n = strcspn(c, "/");

		if (n == 0 || n > 255 || (n == 1 && c[0] == '.') || (n == 2 && c[0] == '.' && c[1] == '.'))
			return false;
		c += n;
		if (*c == '\0')
			break;
	}
	/* The database and its staging folder belong to no package. */
	return strncmp(path, "var/lib/pkg", 11) != 0 || (path[11] != '\0' && path[11] != '/');
}

/* At most `max` bytes: who knows how many there are does not ask for the end. */
static int
hash_some(int fd, uint64_t max, uint8_t hash[HASH_SIZE], uint64_t *size)
{
	static uint8_t block[1 << 16];
	crypto_generichash_state state;
	uint64_t total = 0;

	crypto_generichash_init(&state, NULL, 0, HASH_SIZE);
	while (total < max) {
		size_t want = max - total < sizeof(block) ? (size_t)(max - total) : sizeof(block);
		ssize_t n = read(fd, block, want);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -1;
		if (n == 0)
			break;
		crypto_generichash_update(&state, block, (size_t)n);
		total += (uint64_t)n;
	}
	crypto_generichash_final(&state, hash, HASH_SIZE);
	if (size != NULL)
		*size = total;
	return 0;
}

int
hash_fd(int fd, uint8_t hash[HASH_SIZE], uint64_t *size)
{
	return hash_some(fd, UINT64_MAX, hash, size);
}

int
hash_equals(int fd, uint64_t size, const uint8_t hash[HASH_SIZE])
{
	uint8_t found[HASH_SIZE];

	return hash_some(fd, size, found, NULL) != 0 ? -1 : memcmp(found, hash, HASH_SIZE) == 0;
}

int
write_all(int fd, const void *data, size_t length)
{
	const char *p = data;

	while (length != 0) {
		ssize_t n = write(fd, p, length);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -1;
		p += n;
		length -= (size_t)n;
	}
	return 0;
}

int
fd_read(int fd, size_t max, struct buffer *b)
{
	char block[16384];

	buffer_add(b, "", 0);
	for (;;) {
		ssize_t n = read(fd, block, sizeof(block));

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return (int)n;
		if ((size_t)n > max - b->length) {
			errno = EFBIG;
			return -1;
		}
		buffer_add(b, block, (size_t)n);
	}
}

int
file_read(const char *path, size_t max, struct buffer *b, struct fault *f)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC), status = 0;

	if (fd < 0)
		return fault_errno(f, "cannot open %s", path);
	if (fd_read(fd, max, b) != 0)
		status = errno == EFBIG ? fault_set(f, PKG_CORRUPT, "%s is larger than %zu bytes", path, max) :
		    fault_errno(f, "cannot read %s", path);
	close(fd);
	return status;
}

int
file_replace(const char *path, const void *data, size_t length, unsigned mode, struct fault *f)
{
	char *temporary = text_format("%s.tmp", path);
	int fd = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, mode);
	int status = 0;

	if (fd < 0 || fchmod(fd, mode) != 0 || write_all(fd, data, length) != 0 || fsync(fd) != 0)
		status = fault_errno(f, "cannot write %s", temporary);
	if (fd >= 0 && close(fd) != 0 && status == 0)
		status = fault_errno(f, "cannot write %s", temporary);
	if (status == 0 && rename(temporary, path) != 0)
		status = fault_errno(f, "cannot rename %s", temporary);
	if (status != 0 && fd >= 0)
		unlink(temporary);
	free(temporary);
	return status;
}

int
folders_make(const char *path)
{
	char *copy = text_dup(path);
	int result = 0;

	for (char *c = copy + 1; result == 0; c++) {
		char kept = *c;

		if (kept != '/' && kept != '\0')
			continue;
		*c = '\0';
		if (mkdir(copy, 0755) != 0 && errno != EEXIST)
			result = -1;
		*c = kept;
		if (kept == '\0')
			break;
	}
	free(copy);
	return result;
}
