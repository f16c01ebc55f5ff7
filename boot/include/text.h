/* SPDX-License-Identifier: MIT */
/*
 * Formatted text without a C library, and complaints: what a check says when
 * it refuses something.  A check returns complain(why, …), which is false.
 */
#ifndef BOOT_TEXT_H
#define BOOT_TEXT_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define U64(x) ((unsigned long long)(x))	/* for %llu and %llx on every target */

struct complaint {
	char text[200];
};

/*
 * Knows %s %c %d %u %x, the long long forms, %%, and a width with or without
 * leading 0.  Always terminates buf; what does not fit is cut off.
 */
void text_format_list(char *buf, size_t size, const char *format, va_list arguments);
void text_format(char *buf, size_t size, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
bool complain(struct complaint *why, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

#endif
