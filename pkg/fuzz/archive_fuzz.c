// SPDX-License-Identifier: MIT
/*
 * A package file from front to back, as an installation reads it, by somebody
 * whose signature is trusted.  What comes out is what the manifest says.
 */
#include <sodium.h>
#include <sys/mman.h>
#include <unistd.h>
#include <zstd.h>

#include "fuzz.h"

static void
walk(struct package_file *p)
{
	const struct manifest *m = package_manifest(p);
	const struct entry *e;
	struct fault f = {0};
	size_t seen = 0;

	check_manifest(m, true);
	while (package_next(p, &e, &f) == 0 && e != NULL) {
		must(e == &m->entries[seen++]);
		struct buffer text = {0};
		bool small = e->type == ENTRY_FILE && e->size < 4096;

		if (small && package_text(p, e, &text, &f) == 0) {
			uint8_t hash[HASH_SIZE];

			crypto_generichash(hash, sizeof(hash), (const uint8_t *)text.data, text.length, NULL, 0);
			must(text.length == e->size && memcmp(hash, e->hash, HASH_SIZE) == 0);
		} else if (e->type == ENTRY_FILE && (small || package_data(p, e, -1, &f) != 0)) {
			must(f.text[0] != '\0');
			buffer_free(&text);
			return;
		}
		buffer_free(&text);
	}
	must(f.status != 0 || seen == m->entry_count);
}

/* What is no zstd frame is packed in one, so that the archive in it can be altered. */
static bool
write_package(int fd, const uint8_t *data, size_t size)
{
	static uint8_t packed[ZSTD_COMPRESSBOUND(1 << 16)];

	if (size > 1 << 16 || (size >= 4 && memcmp(data, "\x28\xb5\x2f\xfd", 4) == 0))
		return write_all(fd, data, size) == 0;
	size_t n = ZSTD_compress(packed, sizeof(packed), data, size, 1);

	return !ZSTD_isError(n) && write_all(fd, packed, n) == 0;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	int fd = memfd_create("package", MFD_CLOEXEC);
	struct package_file *p;
	struct fault f = {0};
	char path[64];

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	must(fd >= 0 && write_package(fd, data, size));
	if (package_open(&p, path, NULL, &f) == 0)
		walk(p);
	else
		must(f.text[0] != '\0');
	package_close(p);
	close(fd);
	return 0;
}
