/* SPDX-License-Identifier: MIT */
/*
 * Text formatting for logs: the small part of printf that messages need, into
 * a buffer of the caller.  Pure; tested on the build host.
 */
#include <tessera/runtime.h>

struct out {
	char *to;
	size_t room;		/* without the NUL */
	size_t at;
};

struct spec {
	bool left;
	bool zero;
	unsigned width;
	unsigned longs;		/* 1: long and size_t, 2: long long */
};

static void
put(struct out *o, char c)
{
	if (o->at < o->room)
		o->to[o->at++] = c;
}

static void
put_padded(struct out *o, const struct spec *s, const char *text, size_t n)
{
	size_t pad = s->width > n ? s->width - n : 0;

	if (!s->left)
		for (; pad > 0; pad--)
			put(o, s->zero ? '0' : ' ');
	for (size_t i = 0; i < n; i++)
		put(o, text[i]);
	for (; pad > 0; pad--)
		put(o, ' ');
}

static void
put_number(struct out *o, struct spec *s, uint64_t value, unsigned base, char ten, bool negative)
{
	char digits[24];
	size_t at = sizeof digits;

	do {
		unsigned d = (unsigned)(value % base);

		digits[--at] = (char)(d < 10 ? '0' + d : ten + (d - 10));
		value /= base;
	} while (value != 0);
	if (negative && s->zero) {
		put(o, '-');
		s->width -= s->width > 0;
	} else if (negative) {
		digits[--at] = '-';
	}
	put_padded(o, s, digits + at, sizeof digits - at);
}

static const char *
read_spec(const char *text, struct spec *s)
{
	*s = (struct spec){ 0 };
	for (; *text == '-' || *text == '0'; text++) {
		if (*text == '-')
			s->left = true;
		else
			s->zero = true;
	}
	for (; *text >= '0' && *text <= '9' && s->width < 1000; text++)
		s->width = s->width * 10 + (unsigned)(*text - '0');
	for (; *text == 'l' || *text == 'z'; text++)
		s->longs++;
	if (s->left)
		s->zero = false;
	return text;
}

static uint64_t
take_unsigned(const struct spec *s, va_list *list)
{
	if (s->longs >= 2)
		return va_arg(*list, unsigned long long);
	if (s->longs == 1)
		return va_arg(*list, unsigned long);
	return va_arg(*list, unsigned);
}

static int64_t
take_signed(const struct spec *s, va_list *list)
{
	if (s->longs >= 2)
		return va_arg(*list, long long);
	if (s->longs == 1)
		return va_arg(*list, long);
	return va_arg(*list, int);
}

/* One conversion; text stands on its letter. */
static void
convert(struct out *o, struct spec *s, char letter, va_list *list)
{
	const char *string;
	int64_t value;
	char c;

	switch (letter) {
	case 's':
		string = va_arg(*list, const char *);
		if (string == NULL)
			string = "(null)";
		s->zero = false;
		put_padded(o, s, string, strlen(string));
		break;
	case 'c':
		c = (char)va_arg(*list, int);
		put_padded(o, s, &c, 1);
		break;
	case 'd':
	case 'i':
		value = take_signed(s, list);
		put_number(o, s, value < 0 ? -(uint64_t)value : (uint64_t)value, 10, 'a', value < 0);
		break;
	case 'u':
		put_number(o, s, take_unsigned(s, list), 10, 'a', false);
		break;
	case 'x':
	case 'X':
		put_number(o, s, take_unsigned(s, list), 16, letter == 'x' ? 'a' : 'A', false);
		break;
	case 'p':
		put(o, '0');
		put(o, 'x');
		put_number(o, s, (uintptr_t)va_arg(*list, void *), 16, 'a', false);
		break;
	default:
		put(o, letter);
	}
}

size_t
format_list(char *to, size_t room, const char *text, va_list list)
{
	struct out o = { to, room > 0 ? room - 1 : 0, 0 };
	struct spec s;
	va_list args;

	va_copy(args, list);
	for (; *text != '\0'; text++) {
		if (*text != '%') {
			put(&o, *text);
			continue;
		}
		text = read_spec(text + 1, &s);
		if (*text == '\0')
			break;
		convert(&o, &s, *text, &args);
	}
	va_end(args);
	if (room > 0)
		to[o.at] = '\0';
	return o.at;
}

size_t
format(char *to, size_t room, const char *text, ...)
{
	va_list list;
	size_t n;

	va_start(list, text);
	n = format_list(to, room, text, list);
	va_end(list);
	return n;
}
