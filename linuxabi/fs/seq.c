/* SPDX-License-Identifier: MIT */
/*
 * Text that grows: what files of procfs and sysfs are generated into.
 */
#include "internal.h"

enum { SEQ_FIRST = 1024, SEQ_MAX = 4 << 20 };

static bool
seq_room(struct seq *s, size_t n)
{
	size_t size = s->size != 0 ? s->size : SEQ_FIRST;
	char *bigger;

	if (s->full)
		return false;
	if (s->len + n <= s->size)
		return true;
	while (size < s->len + n)
		size *= 2;
	bigger = size <= SEQ_MAX ? krealloc(s->buf, size) : NULL;
	if (bigger == NULL) {
		s->full = true;
		return false;
	}
	s->buf = bigger;
	s->size = size;
	return true;
}

void
seq_write(struct seq *s, const void *data, size_t n)
{
	if (!seq_room(s, n))
		return;
	memcpy(s->buf + s->len, data, n);
	s->len += n;
}

void
seq_char(struct seq *s, char c)
{
	seq_write(s, &c, 1);
}

void
seq_printf(struct seq *s, const char *fmt, ...)
{
	char small[256];
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = kvsnprintf(small, sizeof(small), fmt, ap);
	va_end(ap);
	if (n < (int)sizeof(small)) {
		if (n > 0)
			seq_write(s, small, (size_t)n);
		return;
	}
	if (!seq_room(s, (size_t)n + 1))
		return;
	va_start(ap, fmt);
	kvsnprintf(s->buf + s->len, (size_t)n + 1, fmt, ap);
	va_end(ap);
	s->len += (size_t)n;
}

void
seq_escape(struct seq *s, const char *text)
{
	for (; *text != '\0'; text++) {
		if (*text == ' ' || *text == '\t' || *text == '\n' || *text == '\\' || *text == '#')
			seq_printf(s, "\\%03o", (unsigned)(uint8_t)*text);
		else
			seq_char(s, *text);
	}
}

void
seq_free(struct seq *s)
{
	kfree(s->buf);
	*s = (struct seq){ 0 };
}
