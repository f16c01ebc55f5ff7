// SPDX-License-Identifier: MIT
/*
 * An index as it stands after its signature was found good, and as a file, where
 * nothing is known of it yet.
 */
#include <sys/mman.h>
#include <unistd.h>

#include "fuzz.h"

static void
check_index(const struct index *i)
{
	for (size_t n = 0; n < i->count; n++) {
		check_manifest(&i->packages[n], false);
		must(i->packages[n].file != NULL && strchr(i->packages[n].file, '/') == NULL);
	}
	for (size_t n = 0; n < i->advisory_count; n++)
		must(dep_is_valid(i->advisories[n].dep));
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fault f = {0};
	struct index i;

	if (index_parse(&i, (const char *)data, size, "fuzz", &f) == 0)
		check_index(&i);
	else
		must(f.status == PKG_CORRUPT && f.text[0] != '\0');
	index_free(&i);
	int fd = memfd_create("index", MFD_CLOEXEC);
	char path[64];

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	must(fd >= 0 && write_all(fd, data, size) == 0);
	if (index_load(&i, path, NULL, &f) == 0)
		check_index(&i);
	index_free(&i);
	close(fd);
	return 0;
}
