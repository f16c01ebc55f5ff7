/* SPDX-License-Identifier: MIT */
/*
 * Fills all its memory with a pattern and looks again and again whether it is
 * still there: "canary: N KiB unchanged", or where it begins to be another one.
 */
#include <tessera/runtime.h>

static uint64_t *words;
static size_t count;

static uint64_t
word(size_t i)
{
	return (i + 1) * 0x9e3779b97f4a7c15ULL;
}

static void
look(void)
{
	size_t changed = 0, first = 0;

	for (size_t i = 0; i < count; i++) {
		if (words[i] == word(i))
			continue;
		if (changed++ == 0)
			first = i;
		words[i] = word(i);
	}
	if (changed != 0)
		log_line(LOG_WARNING "canary: changed at offset 0x%zx, %zu words", 8 * first, changed);
	else
		log_line("canary: %zu KiB unchanged", count / 128);
}

int
component_main(const struct component_info *info)
{
	size_t bytes;

	words = heap_region(&bytes);
	count = bytes / 8;
	for (size_t i = 0; i < count; i++)
		words[i] = word(i);
	for (;;) {
		look();
		bell_wait(time_ticks() + info->timer_hz);
	}
}
