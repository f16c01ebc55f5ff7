/* SPDX-License-Identifier: MIT */
/* /proc/tessera/capabilities: a line for each record, words with a blank between. */
#include <stdio.h>
#include <string.h>

#include "lscap.h"

static void
undash(char *word)
{
	if (strcmp(word, "-") == 0)
		word[0] = '\0';
}

static bool
record_read(struct record *r, const char *line)
{
	int end = -1;
	int n = sscanf(line, "%23s %23s %23s %23s %23s %23s %23s %u %u %u %lx %lu %lx %lx %n", r->holder, r->place,
	    r->purpose, r->type, r->rights, r->target, r->name, &r->line, &r->slot, &r->count, &r->badge,
	    &r->bytes, &r->address, &r->physical, &end);

	undash(r->target);
	undash(r->name);
	return n == 14 && end >= 0 && line[end] == '\0';
}

bool
list_read(struct list *list, const char *text, unsigned *line)
{
	char buffer[512];

	list->count = 0;
	for (*line = 1; *text != '\0'; ++*line) {
		size_t n = strcspn(text, "\n");

		if (n >= sizeof buffer || list->count == RECORDS_MAX)
			return false;
		memcpy(buffer, text, n);
		buffer[n] = '\0';
		if (!record_read(&list->record[list->count++], buffer))
			return false;
		text += n + (text[n] == '\n');
	}
	return true;
}

bool
list_holder(const struct list *list, const char *name)
{
	for (unsigned i = 0; i < list->count; i++)
		if (strcmp(list->record[i].holder, name) == 0)
			return true;
	return false;
}
