/* SPDX-License-Identifier: MIT */
#include <stdalign.h>
#include <stdlib.h>
#include <string.h>
#include "arena.h"
#include "image.h"

enum { CHUNK = 64 * 1024 };

struct arena_chunk {
	struct arena_chunk *next;
	size_t used, room;
	alignas(16) unsigned char bytes[];
};

void *
arena_get(struct arena *arena, size_t bytes)
{
	struct arena_chunk *chunk = arena->chunk;
	void *memory;

	bytes = (bytes + 15) & ~(size_t)15;
	if (chunk == NULL || chunk->room - chunk->used < bytes) {
		size_t room = bytes > CHUNK ? bytes : CHUNK;

		chunk = need(sizeof *chunk + room);
		chunk->room = room;
		chunk->next = arena->chunk;
		arena->chunk = chunk;
		arena->bytes += sizeof *chunk + room;
	}
	memory = chunk->bytes + chunk->used;
	chunk->used += bytes;
	return memory;
}

char *
arena_text(struct arena *arena, const char *text)
{
	size_t bytes = strlen(text) + 1;

	return memcpy(arena_get(arena, bytes), text, bytes);
}

void
arena_free(struct arena *arena)
{
	struct arena_chunk *chunk, *next;

	for (chunk = arena->chunk; chunk != NULL; chunk = next) {
		next = chunk->next;
		free(chunk);
	}
	arena->chunk = NULL;
	arena->bytes = 0;
}
