/* SPDX-License-Identifier: MIT */
#include <stdlib.h>
#include "image.h"
#include "table.h"

struct slot {
	uint64_t key;		/* 0: free; a key of 0 is kept as 1 */
	void *value;
};

struct table {
	struct slot *slot;
	size_t room, count;	/* room: a power of two */
};

struct table *
table_new(void)
{
	struct table *table = need(sizeof *table);

	table->room = 1024;
	table->slot = need(table->room * sizeof *table->slot);
	return table;
}

static struct slot *
find(struct table *table, uint64_t key)
{
	size_t at = (size_t)mix(key, 5) & (table->room - 1);

	while (table->slot[at].key != 0 && table->slot[at].key != key)
		at = (at + 1) & (table->room - 1);
	return &table->slot[at];
}

static void
grow(struct table *table)
{
	struct slot *old = table->slot;
	size_t room = table->room;

	table->room *= 2;
	table->slot = need(table->room * sizeof *table->slot);
	for (size_t i = 0; i < room; i++) {
		if (old[i].key != 0)
			*find(table, old[i].key) = old[i];
	}
	free(old);
}

void **
table_at(struct table *table, uint64_t key)
{
	struct slot *slot;

	key += key == 0;
	if (2 * table->count >= table->room)
		grow(table);
	slot = find(table, key);
	if (slot->key == 0) {
		slot->key = key;
		table->count++;
	}
	return &slot->value;
}

size_t
table_count(const struct table *table)
{
	return table->count;
}

void
table_free(struct table *table, void (*drop)(void *value))
{
	if (table == NULL)
		return;
	for (size_t i = 0; drop != NULL && i < table->room; i++) {
		if (table->slot[i].key != 0 && table->slot[i].value != NULL)
			drop(table->slot[i].value);
	}
	free(table->slot);
	free(table);
}
