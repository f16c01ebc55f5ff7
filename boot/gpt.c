/* SPDX-License-Identifier: MIT */
/* The GUID partition table (UEFI 2.10 5.3), as far as finding partitions needs it. */
#include <string.h>

#include "slots.h"

static uint32_t
u32(const uint8_t *p)
{
	return p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

static uint64_t
u64(const uint8_t *p)
{
	return u32(p) | (uint64_t)u32(p + 4) << 32;
}

/* CRC-32 of IEEE 802.3; a nibble at a time needs no large table. */
static uint32_t
crc32(uint32_t crc, const uint8_t *data, size_t size)
{
	static const uint32_t nibble[16] = {
		0x00000000, 0x1db71064, 0x3b6e20c8, 0x26d930ac, 0x76dc4190, 0x6b6b51f4,
		0x4db26158, 0x5005713c, 0xedb88320, 0xf00f9344, 0xd6d6a3e8, 0xcb61b38c,
		0x9b64c2b0, 0x86d3d2d4, 0xa00ae278, 0xbdbdf21c,
	};

	for (crc = ~crc; size > 0; size--, data++) {
		crc = crc >> 4 ^ nibble[(crc ^ *data) & 15];
		crc = crc >> 4 ^ nibble[(crc ^ (uint32_t)*data >> 4) & 15];
	}
	return ~crc;
}

bool
gpt_header(const uint8_t *block, uint64_t at, uint64_t disk_blocks, struct gpt *gpt,
    struct complaint *why)
{
	uint8_t copy[GPT_HEADER];
	uint32_t size = u32(block + 12);

	if (memcmp(block, "EFI PART", 8) != 0)
		return complain(why, "no GUID partition table");
	if (size < 92 || size > GPT_HEADER)
		return complain(why, "partition table: header of %u bytes", size);
	memcpy(copy, block, size);
	memset(copy + 16, 0, 4);	/* the checksum counts as 0 */
	if (crc32(0, copy, size) != u32(block + 16) || u64(block + 24) != at)
		return complain(why, "partition table: wrong checksum of the header");
	gpt->first_block = u64(block + 40);
	gpt->last_block = u64(block + 48);
	memcpy(gpt->disk_guid, block + 56, 16);
	gpt->entries_block = u64(block + 72);
	gpt->entry_count = u32(block + 80);
	gpt->entry_size = u32(block + 84);
	gpt->entries_crc = u32(block + 88);
	if (gpt->entry_size < 128 || gpt->entry_size > 4096 || gpt->entry_count == 0 ||
	    gpt->entry_count > GPT_ENTRIES_LIMIT || gpt->first_block > gpt->last_block ||
	    gpt->last_block >= disk_blocks || gpt->entries_block >= disk_blocks)
		return complain(why, "partition table: entries outside of the disk");
	return true;
}

bool
gpt_entries(const struct gpt *gpt, const uint8_t *entries, struct complaint *why)
{
	if (crc32(0, entries, (size_t)gpt->entry_count * gpt->entry_size) != gpt->entries_crc)
		return complain(why, "partition table: wrong checksum of the entries");
	return true;
}

bool
gpt_find(const struct gpt *gpt, const uint8_t *entries, const uint8_t type[16], unsigned n,
    uint64_t *first, uint64_t *blocks)
{
	for (uint32_t i = 0; i < gpt->entry_count; i++) {
		const uint8_t *e = entries + (size_t)i * gpt->entry_size;
		uint64_t start = u64(e + 32), end = u64(e + 40);

		if (memcmp(e, type, 16) != 0 || start < gpt->first_block || end < start ||
		    end > gpt->last_block)
			continue;
		if (n-- > 0)
			continue;
		*first = start;
		*blocks = end - start + 1;
		return true;
	}
	return false;
}
