/* SPDX-License-Identifier: MIT */
/* Memory that is given back all at once: what belongs to one workload, or one tree. */
#ifndef CRASH_ARENA_H
#define CRASH_ARENA_H

#include <stddef.h>

struct arena {
	struct arena_chunk *chunk;
	size_t bytes;		/* taken from the system */
};

/* Zeroed memory; never null. */
void *arena_get(struct arena *arena, size_t bytes);
char *arena_text(struct arena *arena, const char *text);
void arena_free(struct arena *arena);

#endif
