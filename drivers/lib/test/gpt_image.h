/* SPDX-License-Identifier: MIT */
/*
 * Makes disks with GUID partition tables for tests, from UEFI 2.10 §5.3 and not from the code
 * that is tested.
 */
#ifndef GPT_IMAGE_H
#define GPT_IMAGE_H

#include <stdint.h>
#include <string.h>

enum { IMAGE_BLOCKS = 4096, IMAGE_ENTRIES = 128, ENTRY = 128 };

struct image {
	uint32_t bs;
	uint64_t last;			/* block */
	uint8_t bytes[IMAGE_BLOCKS * 512];
};

static void
put(uint8_t *p, uint64_t v, unsigned bytes)
{
	for (unsigned i = 0; i < bytes; i++)
		p[i] = (uint8_t)(v >> 8 * i);
}

/* Bit by bit, as the polynomial says. */
static uint32_t
slow_crc(const uint8_t *p, size_t n)
{
	uint32_t crc = UINT32_MAX;

	for (size_t i = 0; i < n; i++) {
		crc ^= p[i];
		for (unsigned b = 0; b < 8; b++)
			crc = crc >> 1 ^ (crc & 1 ? 0xedb88320 : 0);
	}
	return ~crc;
}

static uint8_t *block_of(struct image *m, uint64_t block) { return m->bytes + block * m->bs; }
static uint64_t entry_blocks(const struct image *m) { return IMAGE_ENTRIES * ENTRY / m->bs; }
static uint64_t backup_entries(const struct image *m) { return m->last - entry_blocks(m); }

static void
seal_header(struct image *m, uint64_t at)
{
	uint8_t *h = block_of(m, at);

	put(h + 16, 0, 4);
	put(h + 16, slow_crc(h, 92), 4);
}

static void
seal(struct image *m)
{
	memcpy(block_of(m, backup_entries(m)), block_of(m, 2), IMAGE_ENTRIES * ENTRY);
	for (unsigned i = 0; i < 2; i++) {
		uint64_t at = i == 0 ? 1 : m->last, entries = i == 0 ? 2 : backup_entries(m);
		uint8_t *h = block_of(m, at);

		memset(h, 0, m->bs);
		memcpy(h, "EFI PART", 8);
		put(h + 8, 0x10000, 4);
		put(h + 12, 92, 4);
		put(h + 24, at, 8);
		put(h + 32, i == 0 ? m->last : 1, 8);
		put(h + 40, 2 + entry_blocks(m), 8);
		put(h + 48, backup_entries(m) - 1, 8);
		memset(h + 56, 0xd1, 16);
		put(h + 72, entries, 8);
		put(h + 80, IMAGE_ENTRIES, 4);
		put(h + 84, ENTRY, 4);
		put(h + 88, slow_crc(block_of(m, 2), IMAGE_ENTRIES * ENTRY), 4);
		seal_header(m, at);
	}
}

static void
entry(struct image *m, unsigned n, uint8_t type, uint8_t guid, uint64_t first, uint64_t last, const char *name)
{
	uint8_t *e = block_of(m, 2) + n * ENTRY;

	memset(e, 0, ENTRY);
	memset(e, type, 16);
	memset(e + 16, guid, 16);
	put(e + 32, first, 8);
	put(e + 40, last, 8);
	for (uint8_t *unit = e + 56; unit < e + ENTRY && *name != '\0'; unit += 2)
		*unit = (uint8_t)*name++;
}

static void
image_make(struct image *m, uint32_t bs)
{
	memset(m, 0, sizeof *m);
	m->bs = bs;
	m->last = sizeof m->bytes / bs - 1;
	m->bytes[446 + 4] = 0xee;
	m->bytes[510] = 0x55;
	m->bytes[511] = 0xaa;
	entry(m, 0, 1, 0xa0, 40, 59, "ESP");
	entry(m, 1, 2, 0xa1, 60, 99, "slot-a");
	entry(m, 4, 3, 0xa2, 200, 399, "root");
	seal(m);
}

#endif
