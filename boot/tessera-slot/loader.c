/* SPDX-License-Identifier: MIT */
/*
 * What may become the loader, and where it goes.  How it is written so that a
 * power cut leaves one: fat.c.
 */
#include <stdlib.h>
#include <string.h>

#include "loader.h"

static const char path[][FAT_NAME + 1] = { "EFI        ", "BOOT       ", "BOOTAA64EFI" };
static const char previous[FAT_NAME + 1] = "PREVIOUSEFI";

/* ---- the file -------------------------------------------------------------- */

enum { MACHINE_ARM64 = 0xaa64, MAGIC_PE32_PLUS = 0x20b, SUBSYSTEM_APPLICATION = 10 };
/* PE format: offsets from the signature. */
enum { PE_MACHINE = 4, PE_SECTIONS = 6, PE_OPTIONAL_SIZE = 20, PE_OPTIONAL = 24, PE_ENTRY = 40, PE_IMAGE_SIZE = 80,
	PE_SUBSYSTEM = 92, PE_HEADER = 112, SECTION = 40 };

static uint32_t
get(const uint8_t *at, unsigned bytes)
{
	uint32_t value = 0;

	for (unsigned i = bytes; i > 0; i--)
		value = value << 8 | at[i - 1];
	return value;
}

static bool
sections_are_there(const uint8_t *file, uint64_t size, uint64_t pe, struct complaint *why)
{
	uint32_t image = get(file + pe + PE_IMAGE_SIZE, 4), entry = get(file + pe + PE_ENTRY, 4);
	uint64_t count = get(file + pe + PE_SECTIONS, 2), at = pe + PE_OPTIONAL + get(file + pe + PE_OPTIONAL_SIZE, 2);
	bool has_entry = false;

	if (count == 0 || at + count * SECTION > size)
		return complain(why, "loader: its %llu sections are not in the file", U64(count));
	for (uint64_t i = 0; i < count; i++, at += SECTION) {
		uint64_t virtual_size = get(file + at + 8, 4), address = get(file + at + 12, 4);
		uint64_t bytes = get(file + at + 16, 4), offset = get(file + at + 20, 4);

		if (offset + bytes > size || address + virtual_size > image)
			return complain(why, "loader: section %llu lies outside of the file (is it whole?)", U64(i));
		has_entry |= entry >= address && entry - address < virtual_size;
	}
	return has_entry || complain(why, "loader: its entry point lies in no section");
}

bool
loader_check(const void *data, uint64_t size, struct complaint *why)
{
	const uint8_t *file = data;
	uint64_t pe;

	if (size > LOADER_LIMIT)
		return complain(why, "loader: %llu bytes, more than %u", U64(size), (unsigned)LOADER_LIMIT);
	if (size < 64 || file[0] != 'M' || file[1] != 'Z')
		return complain(why, "loader: not a PE file");
	pe = get(file + 60, 4);
	if (pe + PE_HEADER > size || memcmp(file + pe, "PE\0", 4) != 0)
		return complain(why, "loader: not a PE file");
	if (get(file + pe + PE_MACHINE, 2) != MACHINE_ARM64 || get(file + pe + PE_OPTIONAL, 2) != MAGIC_PE32_PLUS)
		return complain(why, "loader: for another kind of machine");
	if (get(file + pe + PE_SUBSYSTEM, 2) != SUBSYSTEM_APPLICATION)
		return complain(why, "loader: not a UEFI application");
	return sections_are_there(file, size, pe, why);
}

/* ---- the partition --------------------------------------------------------- */

static bool
has_this(struct fat *f, const struct fat_file *old, const void *file, uint64_t size, bool *same, struct complaint *why)
{
	void *there;

	*same = false;
	if (old->size != size)
		return true;
	there = malloc((size_t)size);
	if (there == NULL)
		return complain(why, "out of memory");
	if (!fat_read(f, old, there, why)) {
		free(there);
		return false;
	}
	*same = memcmp(there, file, (size_t)size) == 0;
	free(there);
	return true;
}

static bool
write_into(struct fat *f, const void *file, uint64_t size, struct fat_time stamp, enum loader_result *result,
    struct complaint *why)
{
	struct fat_file old;
	bool same, kept = false;

	if (!fat_find(f, path, sizeof(path) / sizeof(path[0]), &old, why) || !has_this(f, &old, file, size, &same, why))
		return false;
	*result = LOADER_SAME;
	/* Power may have failed in the midst of the last time: what that left is free afterwards. */
	if (same)
		return fat_tidy(f, why);
	if (!fat_replace(f, &old, previous, file, (uint32_t)size, stamp, &kept, why))
		return false;
	*result = kept ? LOADER_WRITTEN : LOADER_WRITTEN_ALONE;
	return true;
}

/* Everything is checked once more, as the disk has it now. */
static bool
is_whole(struct area *esp, const void *file, uint64_t size, struct complaint *why)
{
	struct fat_file found;
	struct fat f;
	bool same, good;

	if (!fat_open(&f, esp, why))
		return false;
	good = fat_find(&f, path, sizeof(path) / sizeof(path[0]), &found, why) &&
	    has_this(&f, &found, file, size, &same, why) &&
	    (same || complain(why, "other bytes were read back than written"));
	fat_close(&f);
	return good;
}

bool
loader_write(struct area *esp, const void *file, uint64_t size, struct fat_time stamp, enum loader_result *result,
    struct complaint *why)
{
	struct complaint inner;
	struct fat f;
	bool good;

	if (!loader_check(file, size, why))
		return false;
	good = fat_open(&f, esp, &inner);
	if (good) {
		good = write_into(&f, file, size, stamp, result, &inner);
		fat_close(&f);
	}
	good = good && is_whole(esp, file, size, &inner);
	return good || complain(why, "%s %s", esp->name, inner.text);
}
