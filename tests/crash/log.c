/* SPDX-License-Identifier: MIT */
/* Walking through a journal's headers. */
#include <endian.h>
#include <ext2fs/ext2fs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "log.h"

enum { MAGIC = 0xc03b3998U, DESCRIPTOR = 1, COMMIT = 2, REVOKE = 5 };
enum { WIDE = 2, SUMS_V2 = 8, SUMS_V3 = 16 };		/* features */
enum { SAME_UUID = 2, LAST = 8 };			/* of tags */

bool
log_find(struct log_place *place, const struct image *image, char *why, size_t room)
{
	ext2_filsys fs;
	struct ext2_inode inode;
	errcode_t error = ext2fs_open2(image->path, NULL, EXT2_FLAG_64BITS, 0, 0, unix_io_manager, &fs);

	memset(place, 0, sizeof *place);
	if (error == 0)
		error = ext2fs_read_inode(fs, EXT2_JOURNAL_INO, &inode);
	if (error == 0) {
		place->block_bytes = fs->blocksize;
		place->blocks = (uint32_t)(EXT2_I_SIZE(&inode) / fs->blocksize);
		place->block = need(place->blocks * sizeof *place->block);
		place->counts = need(place->blocks);
	}
	for (uint32_t i = 0; error == 0 && i < place->blocks; i++) {
		blk64_t block;

		error = ext2fs_bmap2(fs, EXT2_JOURNAL_INO, &inode, NULL, 0, i, NULL, &block);
		place->block[i] = block;
	}
	if (error == 0)
		place->disk_blocks = (uint32_t)(image->size / place->block_bytes);
	place->is_void = need(place->disk_blocks);
	place->is_free = need(place->disk_blocks);
	place->void_hash = need(image->size / IMAGE_PAGE * sizeof *place->void_hash);
	for (uint64_t page = 0; page < image->size / IMAGE_PAGE; page++) {
		static const uint8_t zeroes[IMAGE_PAGE];

		place->void_hash[page] = page_hash(page, zeroes);
	}
	if (error != 0)
		snprintf(why, room, "the journal's place: %s", error_message(error));
	ext2fs_close_free(&fs);
	return error == 0;
}

void
log_forget(struct log_place *place)
{
	free(place->block);
	free(place->counts);
	free(place->is_void);
	free(place->is_free);
	free(place->void_hash);
	memset(place, 0, sizeof *place);
}

static const uint8_t *
log_block(const struct log_place *place, const struct image *image, uint32_t index)
{
	return image->bytes + place->block[index] * place->block_bytes;
}

static uint32_t
word(const uint8_t *block, uint32_t offset)
{
	uint32_t value;

	memcpy(&value, block + offset, 4);
	return be32toh(value);
}

/* How many blocks a descriptor names. */
static uint32_t
count_tags(const uint8_t *block, uint32_t bytes, uint32_t features)
{
	uint32_t size = features & SUMS_V3 ? 16 : 8 + (features & SUMS_V2 ? 2 : 0) + (features & WIDE ? 4 : 0);
	uint32_t end = bytes - (features & (SUMS_V2 | SUMS_V3) ? 4 : 0), count = 0;

	for (uint32_t at = 12; at + size <= end; count++) {
		uint32_t flags = features & SUMS_V3 ? word(block, at + 4) : word(block, at + 4) & 0xffff;

		at += size + (flags & SAME_UUID ? 0 : 16);
		if (flags & LAST)
			return count + 1;
	}
	return count;
}

static void
find_counts(const struct log_place *place, const struct image *image)
{
	const uint8_t *super = log_block(place, image, 0);
	uint32_t first = word(super, 20), sequence = word(super, 24), at = word(super, 28);
	uint32_t features = word(super, 40), last = word(super, 16), walked = 0, kept;

	memset(place->counts, 0, place->blocks);
	place->counts[0] = 1;
	if (at == 0)
		return;
	if (word(super, 0) != MAGIC || last > place->blocks || first == 0 || first >= last || at < first || at >= last) {
		memset(place->counts, 1, place->blocks);
		return;
	}
	kept = at;
	while (walked < last) {
		const uint8_t *block = log_block(place, image, at);
		uint32_t kind = word(block, 4), step = 1;

		if (word(block, 0) != MAGIC || word(block, 8) != sequence)
			return;
		if (kind == DESCRIPTOR)
			step += count_tags(block, place->block_bytes, features);
		else if (kind != COMMIT && kind != REVOKE)
			return;
		walked += step;
		at = first + (at - first + step) % (last - first);
		if (kind != COMMIT)
			continue;
		for (; kept != at; kept = first + (kept - first + 1) % (last - first))
			place->counts[kept] = 1;
		sequence++;
	}
}

static uint32_t
little(const struct image *image, uint64_t at)
{
	uint32_t value;

	memcpy(&value, image->bytes + at, 4);
	return le32toh(value);
}

void
log_free(const struct log_place *place, const struct image *image)
{
	enum { SUPER = 1024, BLOCK_UNINIT = 2 };
	uint32_t first = little(image, SUPER + 20), per_group = little(image, SUPER + 32);
	uint32_t blocks = little(image, SUPER + 4), wide = little(image, SUPER + 96) & 0x80;
	uint32_t bytes = wide ? little(image, SUPER + 252) >> 16 : 32;

	memset(place->is_free, 0, place->disk_blocks);
	if (blocks > place->disk_blocks || per_group == 0 || bytes < 32)
		return;
	for (uint32_t group = 0; first + group * per_group < blocks; group++) {
		uint64_t descriptor = (uint64_t)(first + 1) * place->block_bytes + (uint64_t)group * bytes;
		uint32_t bitmap = little(image, descriptor), flags = little(image, descriptor + 16) >> 16;

		if (bitmap >= blocks || (flags & BLOCK_UNINIT) != 0)
			continue;	/* all of it counts */
		for (uint32_t i = 0; i < per_group && first + group * per_group + i < blocks; i++) {
			uint8_t byte = image->bytes[(uint64_t)bitmap * place->block_bytes + i / 8];

			place->is_free[first + group * per_group + i] = (byte >> i % 8 & 1) == 0;
		}
	}
}

/* One page, of which `voids` blocks do not count. */
static uint64_t
hash_page(const struct log_place *place, const struct image *image, const uint64_t *clean_hash, uint64_t page,
    uint32_t voids)
{
	uint32_t per = IMAGE_PAGE / place->block_bytes;
	uint8_t masked[IMAGE_PAGE];

	if (voids == per)
		return place->void_hash[page];
	if (voids == 0)
		return image->is_touched[page] ? page_hash(page, image->bytes + page * IMAGE_PAGE) : clean_hash[page];
	memcpy(masked, image->bytes + page * IMAGE_PAGE, IMAGE_PAGE);
	for (uint32_t i = 0; i < per; i++) {
		if (place->is_void[page * per + i])
			memset(masked + i * place->block_bytes, 0, place->block_bytes);
	}
	return page_hash(page, masked);
}

uint64_t
log_hash(const struct log_place *place, const struct image *image, const uint64_t *clean_hash)
{
	uint32_t per = IMAGE_PAGE / place->block_bytes;
	uint64_t total = 0;

	memcpy(place->is_void, place->is_free, place->disk_blocks);
	find_counts(place, image);
	for (uint32_t i = 0; i < place->blocks; i++)
		place->is_void[place->block[i]] = !place->counts[i];
	for (uint64_t page = 0; page < image->size / IMAGE_PAGE; page++) {
		uint32_t voids = 0;

		for (uint32_t i = 0; i < per; i++)
			voids += place->is_void[page * per + i];
		total ^= hash_page(place, image, clean_hash, page, voids);
	}
	return total;
}
