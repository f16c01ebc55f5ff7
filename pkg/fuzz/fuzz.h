/* SPDX-License-Identifier: MIT */
/* What the targets share. */
#ifndef PKG_FUZZ_H
#define PKG_FUZZ_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../lib/system.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Holds also where assert() is off. */
#define must(condition) ((condition) ? (void)0 : (fprintf(stderr, "not so: %s\n", #condition), abort()))

/* What every manifest that was accepted keeps. */
static inline void
check_manifest(const struct manifest *m, bool whole)
{
	must(name_is_valid(m->name) && version_is_valid(m->version));
	must(whole || m->entry_count == 0);
	for (size_t i = 0; i < m->entry_count; i++) {
		must(path_is_safe(m->entries[i].path));
		must(i == 0 || strcmp(m->entries[i - 1].path, m->entries[i].path) < 0);
		must(manifest_find(m, m->entries[i].path) == &m->entries[i]);
		must((m->entries[i].mode & ~07777U) == 0);
	}
}

#endif
