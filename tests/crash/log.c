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

uint64_t
log_hash(const struct log_place *place, const struct image *image, const uint64_t *clean_hash, uint64_t total)
{
	uint32_t per = IMAGE_PAGE / place->block_bytes;

	total = image_hash(image, clean_hash, total);
	find_counts(place, image);
	for (uint32_t i = 0; i < place->blocks;) {
		uint64_t page = place->block[i] / per;
		uint8_t masked[IMAGE_PAGE];
		uint32_t voids = 0, within = 0;

		memcpy(masked, image->bytes + page * IMAGE_PAGE, IMAGE_PAGE);
		for (; i < place->blocks && place->block[i] / per == page; i++, within++) {
			if (place->counts[i])
				continue;
			voids++;
			memset(masked + place->block[i] % per * place->block_bytes, 0, place->block_bytes);
		}
		if (voids == 0)
			continue;
		total ^= image->is_touched[page] ? page_hash(page, image->bytes + page * IMAGE_PAGE) : clean_hash[page];
		total ^= voids == per ? place->void_hash[page] : page_hash(page, masked);
	}
	return total;
}
