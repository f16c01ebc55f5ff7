// SPDX-License-Identifier: MIT
/*
 * A manifest that is accepted is safe, and written and read again it is the same.
 * What is refused is refused with a reason.
 */
#include "fuzz.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const enum manifest_form forms[] = {MANIFEST_WHOLE, MANIFEST_HEADER, MANIFEST_TEMPLATE};
	const char *text = (const char *)data;

	for (int i = 0; i < 3; i++) {
		struct fault f = {0};
		struct manifest m, again;
		struct buffer once = {0}, twice = {0};

		if (manifest_parse(&m, text, size, forms[i], "fuzz", &f) != 0) {
			must(f.status == PKG_CORRUPT && f.text[0] != '\0');
		} else if (forms[i] != MANIFEST_TEMPLATE) {
			check_manifest(&m, forms[i] == MANIFEST_WHOLE);
			manifest_write(&once, &m, true);
			must(manifest_parse(&again, once.data, once.length, MANIFEST_WHOLE, "again", &f) == 0 || m.config.count != 0);
			if (again.name != NULL && m.config.count == 0) {
				manifest_write(&twice, &again, true);
				must(once.length == twice.length && memcmp(once.data, twice.data, once.length) == 0);
			}
			manifest_free(&again);
		}
		manifest_free(&m);
		buffer_free(&once);
		buffer_free(&twice);
	}
	return 0;
}
