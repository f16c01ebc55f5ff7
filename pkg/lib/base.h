/* SPDX-License-Identifier: MIT */
/*
 * What every file of libpkg stands on: faults (a status and a sentence), memory,
 * growing buffers and lists, and the text forms of numbers, hashes and paths.
 *
 * Functions return 0 or a status above 0 with the reason in *f.  Memory that
 * runs out ends the program: death at any point is safe by the construction of
 * transaction.c, so no path pretends to go on without memory.
 */
#ifndef PKG_BASE_H
#define PKG_BASE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Exit statuses of pkg(8) too. */
enum status {
	PKG_OK,
	PKG_FAILED,	/* the system refused something */
	PKG_USAGE,	/* the command makes no sense */
	PKG_NOTHING,	/* what was asked for is not there */
	PKG_CONFLICT,	/* packages or files exclude each other */
	PKG_UNTRUSTED,	/* a signature is missing, wrong, old or by nobody known */
	PKG_CORRUPT,	/* bytes are not what they should be */
	PKG_BUSY,	/* another pkg works on this root */
};

struct fault {
	int status;
	char text[2048];
};

/* Fills *f and returns status, so that callers can return it. */
int fault_set(struct fault *f, int status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* The same with the text of errno behind it. */
int fault_errno(struct fault *f, const char *format, ...) __attribute__((format(printf, 2, 3)));

void *mem_alloc(size_t size);			/* zeroed */
void *mem_grow(void *p, size_t count, size_t size);	/* array of count elements */
char *text_dup(const char *s);
char *text_dup_n(const char *s, size_t length);
char *text_format(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Bytes that grow; data always ends in a NUL that length does not count. */
struct buffer {
	char *data;
	size_t length, room;
};
void buffer_add(struct buffer *b, const void *data, size_t length);
void buffer_text(struct buffer *b, const char *s);
void buffer_format(struct buffer *b, const char *format, ...) __attribute__((format(printf, 2, 3)));
void buffer_free(struct buffer *b);

struct list {
	char **items;	/* owned */
	size_t count;
};
void list_add(struct list *l, const char *s);
bool list_has(const struct list *l, const char *s);
void list_free(struct list *l);

enum { HASH_SIZE = 32, HASH_HEX = 2 * HASH_SIZE + 1 };
void hex_encode(char *out, const uint8_t *bytes, size_t count);	/* 2 * count + NUL */
/* Lower case only, exactly count bytes; false if s is anything else. */
bool hex_decode(uint8_t *out, size_t count, const char *s);
/* Digits of the base (8 or 10) without sign, space or needless zero, at most max. */
bool number_parse(const char *s, unsigned base, uint64_t max, uint64_t *out);

/* A path in text: bytes up to space, DEL and the backslash become \ooo. */
void path_escape(struct buffer *b, const char *path);
bool path_unescape(char *s);	/* in place; false if s is no such text */
/*
 * Whether a package may name this path: relative, no empty, "." or ".."
 * component, none over 255 bytes, 4000 in all, not pkg's own folder.
 */
bool path_is_safe(const char *path);

/*
 * Order of versions, as Debian's: ~ sorts before the end, the end before letters,
 * letters before the rest, digits as numbers; the release behind the last '-'
 * decides last.  Below, at or above 0.
 */
int version_compare(const char *a, const char *b);
bool version_is_valid(const char *s);
bool name_is_valid(const char *s);
/* "name", "so:libz.so.1" or either with < <= = >= > and a version. */
bool dep_is_valid(const char *s);
/* The operator's place in s and its length, or the end of s and 0. */
size_t dep_split(const char *s, size_t *op_length);

/* BLAKE2b-256 of a file's content; size may be NULL.  errno is set on error. */
int hash_fd(int fd, uint8_t hash[HASH_SIZE], uint64_t *size);
/*
 * Whether a file that was just seen to have `size` bytes has this hash: 1, 0 (also
 * when it is shorter now), or -1 and errno.
 */
int hash_equals(int fd, uint64_t size, const uint8_t hash[HASH_SIZE]);

/* The whole file, at most max bytes. */
int file_read(const char *path, size_t max, struct buffer *b, struct fault *f);
/* The rest of an open file; -1 and errno, EFBIG if it is more than max bytes. */
int fd_read(int fd, size_t max, struct buffer *b);
/* Replaces a file whole: written beside it, flushed, renamed. */
int file_replace(const char *path, const void *data, size_t length, unsigned mode, struct fault *f);
int write_all(int fd, const void *data, size_t length);	/* 0, or -1 and errno */
int folders_make(const char *path);			/* mkdir -p; 0, or -1 and errno */

#endif
