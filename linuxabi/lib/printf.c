/* SPDX-License-Identifier: MIT */
/* Formatted text: %d %i %u %x %X %o %p %c %s %%, flags "-0+ #", width, precision, h hh l ll z j t. */
#include "kernel.h"

struct out {
	char *at, *end;
	int total;
};

struct spec {
	bool left, zero, plus, space, alternate, upper;
	int width, precision;		/* precision < 0: none */
};

static void
put(struct out *o, char c)
{
	if (o->at < o->end)
		*o->at++ = c;
	o->total++;
}

static void
pad(struct out *o, char c, int n)
{
	while (n-- > 0)
		put(o, c);
}

static void
put_string(struct out *o, const char *s, const struct spec *sp)
{
	int n;

	if (s == NULL)
		s = "(null)";
	n = (int)(sp->precision >= 0 ? strnlen(s, (size_t)sp->precision) : strlen(s));
	if (!sp->left)
		pad(o, ' ', sp->width - n);
	for (int i = 0; i < n; i++)
		put(o, s[i]);
	if (sp->left)
		pad(o, ' ', sp->width - n);
}

static void
put_number(struct out *o, uint64_t v, unsigned base, char sign, const struct spec *sp)
{
	const char *digits = sp->upper ? "0123456789ABCDEF" : "0123456789abcdef";
	char buf[24];
	int n = 0, zeros, all;
	bool hex = sp->alternate && base == 16 && v != 0;

	do {
		buf[n++] = digits[v % base];
		v /= base;
	} while (v != 0);
	if (sp->precision == 0 && n == 1 && buf[0] == '0')
		n = 0;
	zeros = sp->precision > n ? sp->precision - n : 0;
	if (sp->alternate && base == 8 && zeros == 0 && (n == 0 || buf[n - 1] != '0'))
		zeros = 1;
	all = n + zeros + (sign != 0) + (hex ? 2 : 0);
	if (sp->zero && !sp->left && sp->precision < 0 && sp->width > all) {
		zeros += sp->width - all;
		all = sp->width;
	}
	if (!sp->left)
		pad(o, ' ', sp->width - all);
	if (sign != 0)
		put(o, sign);
	if (hex) {
		put(o, '0');
		put(o, sp->upper ? 'X' : 'x');
	}
	pad(o, '0', zeros);
	while (n > 0)
		put(o, buf[--n]);
	if (sp->left)
		pad(o, ' ', sp->width - all);
}

static const char *
parse_spec(const char *f, struct spec *sp, va_list *ap)
{
	*sp = (struct spec){ .precision = -1 };
	for (;; f++) {
		if (*f == '-')
			sp->left = true;
		else if (*f == '0')
			sp->zero = true;
		else if (*f == '+')
			sp->plus = true;
		else if (*f == ' ')
			sp->space = true;
		else if (*f == '#')
			sp->alternate = true;
		else
			break;
	}
	if (*f == '*') {
		sp->width = va_arg(*ap, int);
		if (sp->width < 0) {
			sp->left = true;
			sp->width = -sp->width;
		}
		f++;
	}
	for (; *f >= '0' && *f <= '9'; f++)
		sp->width = sp->width * 10 + (*f - '0');
	if (*f != '.')
		return f;
	sp->precision = 0;
	f++;
	if (*f == '*') {
		sp->precision = va_arg(*ap, int);
		return f + 1;
	}
	for (; *f >= '0' && *f <= '9'; f++)
		sp->precision = sp->precision * 10 + (*f - '0');
	return f;
}

/* Bytes of the integer argument that the length modifier names. */
static const char *
parse_length(const char *f, unsigned *bytes)
{
	*bytes = 4;
	for (;; f++) {
		if (*f == 'l' || *f == 'z' || *f == 'j' || *f == 't')
			*bytes = 8;
		else if (*f == 'h')
			*bytes /= 2;
		else
			return f;
	}
}

static uint64_t
argument(va_list *ap, unsigned bytes, bool is_signed)
{
	uint64_t v = bytes == 8 ? va_arg(*ap, uint64_t) : va_arg(*ap, unsigned);

	if (bytes == 8)
		return v;
	if (is_signed)
		return bytes == 1 ? (uint64_t)(int8_t)v : bytes == 2 ? (uint64_t)(int16_t)v : (uint64_t)(int32_t)v;
	return bytes == 1 ? (uint8_t)v : bytes == 2 ? (uint16_t)v : (uint32_t)v;
}

static void
put_signed(struct out *o, int64_t v, const struct spec *sp)
{
	char sign = v < 0 ? '-' : sp->plus ? '+' : sp->space ? ' ' : 0;

	put_number(o, v < 0 ? 0 - (uint64_t)v : (uint64_t)v, 10, sign, sp);
}

static void
convert(struct out *o, char c, unsigned bytes, struct spec *sp, va_list *ap)
{
	char one[2] = { 0, 0 };

	switch (c) {
	case 'd':
	case 'i':
		put_signed(o, (int64_t)argument(ap, bytes, true), sp);
		break;
	case 'u':
		put_number(o, argument(ap, bytes, false), 10, 0, sp);
		break;
	case 'o':
		put_number(o, argument(ap, bytes, false), 8, 0, sp);
		break;
	case 'X':
		sp->upper = true;
		__attribute__((fallthrough));
	case 'x':
		put_number(o, argument(ap, bytes, false), 16, 0, sp);
		break;
	case 'p':
		sp->alternate = true;
		put_number(o, (uint64_t)va_arg(*ap, void *), 16, 0, sp);
		break;
	case 'c':
		one[0] = (char)va_arg(*ap, int);
		if (!sp->left)
			pad(o, ' ', sp->width - 1);
		put(o, one[0]);
		if (sp->left)
			pad(o, ' ', sp->width - 1);
		break;
	case 's':
		put_string(o, va_arg(*ap, const char *), sp);
		break;
	default:
		put(o, '%');
		put(o, c);
	}
}

int
kvsnprintf(char *buf, size_t size, const char *f, va_list args)
{
	struct out o = { buf, buf + (size != 0 ? size - 1 : 0), 0 };
	struct spec sp;
	unsigned bytes;
	va_list ap;

	va_copy(ap, args);
	for (; *f != 0; f++) {
		if (*f != '%') {
			put(&o, *f);
			continue;
		}
		f = parse_length(parse_spec(f + 1, &sp, &ap), &bytes);
		if (*f == 0)
			break;
		if (*f == '%')
			put(&o, '%');
		else
			convert(&o, *f, bytes, &sp, &ap);
	}
	va_end(ap);
	if (size != 0)
		*o.at = 0;
	return o.total;
}

int
ksnprintf(char *buf, size_t size, const char *fmt, ...)
{
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = kvsnprintf(buf, size, fmt, ap);
	va_end(ap);
	return n;
}
