/* SPDX-License-Identifier: MIT */
/*
 * mkbundle: makes base.bundle (bundle(5)) of files.
 *
 *   mkbundle -o base.bundle init=path/to/init system.conf=path …
 *
 * The members stand in the order of the arguments; the same arguments and
 * files give the same bytes.
 */
#include <stdlib.h>
#include <string.h>

#include <tessera/bundle.h>

#include "file.h"

struct member {
	const char *path;
	uint8_t *data;
};

static void
usage(void)
{
	fail("usage: mkbundle -o FILE NAME=PATH…");
}

static void
add(struct bundle_header *bundle, struct member *member, const char *argument)
{
	const char *equals = strchr(argument, '=');
	struct bundle_entry *entry;
	size_t length;

	if (equals == NULL)
		fail("mkbundle: %s: not of the form NAME=PATH", argument);
	length = (size_t)(equals - argument);
	if (length == 0 || length >= BUNDLE_NAME)
		fail("mkbundle: %s: a name has 1 to %d bytes", argument, BUNDLE_NAME - 1);
	if (bundle->count == BUNDLE_MAX_MEMBERS)
		fail("mkbundle: %s: more than %d members", argument, BUNDLE_MAX_MEMBERS);
	entry = &bundle->entry[bundle->count];
	memcpy(entry->name, argument, length);
	if (bundle_find(bundle, entry->name) != NULL)
		fail("mkbundle: %s: there is a member of this name already", entry->name);
	member->path = equals + 1;
	member->data = file_read(member->path, &entry->size);
	entry->offset = bundle->size;
	bundle->size += bundle_pages(entry->size);
	bundle->count++;
}

int
main(int argc, char **argv)
{
	static struct bundle_header bundle = {
		.magic = BUNDLE_MAGIC, .version = BUNDLE_VERSION, .size = BUNDLE_PAGE,
	};
	static struct member members[BUNDLE_MAX_MEMBERS];
	const char *output;
	FILE *file;

	if (argc < 3 || strcmp(argv[1], "-o") != 0)
		usage();
	output = argv[2];
	for (int i = 3; i < argc; i++)
		add(&bundle, &members[bundle.count < BUNDLE_MAX_MEMBERS ? bundle.count : 0],
		    argv[i]);
	file = file_create(output);
	file_put(file, output, &bundle, sizeof(bundle));
	for (uint32_t i = 0; i < bundle.count; i++) {
		file_put(file, output, members[i].data, bundle.entry[i].size);
		file_pad(file, output, bundle.entry[i].size, BUNDLE_PAGE);
		free(members[i].data);
	}
	file_close(file, output);
	return 0;
}
