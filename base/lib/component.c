/* SPDX-License-Identifier: MIT */
/*
 * The start record and what can be looked up in it: channels, options, the
 * heap region.
 */
#include <proto/usage.h>
#include <tessera/runtime.h>

const struct component_info *component;

const struct component_channel *
component_channel(enum channel_type type, enum channel_role role, unsigned index)
{
	for (unsigned i = 0; i < component->channel_count; i++) {
		const struct component_channel *c = &component->channel[i];

		if (c->type == (uint32_t)type && c->role == (uint32_t)role && index-- == 0)
			return c;
	}
	return NULL;
}

const struct component_channel *
component_channel_named(const char *name)
{
	for (unsigned i = 0; i < component->channel_count; i++)
		if (strcmp(component->channel[i].name, name) == 0)
			return &component->channel[i];
	return NULL;
}

/* Is `word` one of the blank-separated words of text? */
static bool
has_word(const char *text, const char *word)
{
	size_t n = strlen(word);

	while (*text != '\0') {
		if (strncmp(text, word, n) == 0 && (text[n] == ' ' || text[n] == '\0'))
			return true;
		while (*text != '\0' && *text != ' ')
			text++;
		while (*text == ' ')
			text++;
	}
	return false;
}

bool
component_option(const char *word)
{
	return has_word(component->args, word);
}

bool
cmdline_option(const char *word)
{
	return has_word(component->cmdline, word);
}

bool
channel_attach(const struct component_channel *c, struct stream_end *end)
{
	return c->address != 0 && stream_attach(end, (void *)c->address, c->size,
	    c->role == CHANNEL_SERVER ? STREAM_SERVER : STREAM_CLIENT);
}

void
heap_in_use(size_t bytes)
{
	struct memory_usage *u = (struct memory_usage *)component->usage;

	if (u != NULL && bytes > u->heap_peak)
		u->heap_peak = bytes;
}

void *
heap_region(size_t *bytes)
{
	*bytes = component->heap_size;
	return (void *)component->heap_base;
}
