/* SPDX-License-Identifier: MIT */
/* Formatted text for messages: the few conversions that the loader uses. */
#include "text.h"

struct output {
	char *buf;
	size_t size;
	size_t used;
};

static void
put(struct output *out, char c)
{
	if (out->used + 1 < out->size)
		out->buf[out->used++] = c;
}

static void
put_string(struct output *out, const char *s, unsigned width)
{
	unsigned length = 0;

	for (; *s != '\0'; s++, length++)
		put(out, *s);
	for (; length < width; length++)
		put(out, ' ');
}

static void
put_number(struct output *out, unsigned long long value, unsigned base, unsigned width, char pad)
{
	char digits[24];
	unsigned count = 0;

	do {
		digits[count++] = "0123456789abcdef"[value % base];
		value /= base;
	} while (value != 0);
	while (width > count) {
		put(out, pad);
		width--;
	}
	while (count > 0)
		put(out, digits[--count]);
}

void
text_format_list(char *buf, size_t size, const char *format, va_list arguments)
{
	struct output out = { buf, size, 0 };

	for (const char *p = format; *p != '\0'; p++) {
		unsigned width = 0;
		unsigned longs = 0;
		char pad = ' ';

		if (*p != '%') {
			put(&out, *p);
			continue;
		}
		if (*++p == '0')
			pad = '0';
		for (; *p >= '0' && *p <= '9'; p++)
			width = width * 10 + (unsigned)(*p - '0');
		for (; *p == 'l'; p++)
			longs++;
		if (*p == 's') {
			put_string(&out, va_arg(arguments, const char *), width);
		} else if (*p == 'c') {
			put(&out, (char)va_arg(arguments, int));
		} else if (*p == 'd') {
			int value = va_arg(arguments, int);

			if (value < 0)
				put(&out, '-');
			put_number(&out, value < 0 ? 0u - (unsigned)value : (unsigned)value,
			    10, width, pad);
		} else if (*p == 'u' || *p == 'x') {
			unsigned long long value = longs == 2 ?
			    va_arg(arguments, unsigned long long) : va_arg(arguments, unsigned);

			put_number(&out, value, *p == 'x' ? 16 : 10, width, pad);
		} else if (*p == '\0') {
			break;
		} else {
			put(&out, *p);
		}
	}
	if (size > 0)
		buf[out.used] = '\0';
}

void
text_format(char *buf, size_t size, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	text_format_list(buf, size, format, arguments);
	va_end(arguments);
}

bool
complain(struct complaint *why, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	text_format_list(why->text, sizeof(why->text), format, arguments);
	va_end(arguments);
	return false;
}
