/* SPDX-License-Identifier: MIT */
/* Images in memory files that are changed, looked at and put back; hashes. */
#define _GNU_SOURCE
#include <err.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include "image.h"

void *
need(size_t bytes)
{
	void *memory = calloc(1, bytes != 0 ? bytes : 1);

	if (memory == NULL)
		err(2, "memory");
	return memory;
}

void *
need_more(void *old, size_t bytes)
{
	void *memory = realloc(old, bytes);

	if (memory == NULL)
		err(2, "memory");
	return memory;
}

void
image_open(struct image *image, const uint8_t *clean, size_t size)
{
	image->size = size;
	image->clean = clean;
	image->fd = memfd_create("crash", MFD_CLOEXEC);
	if (image->fd < 0 || ftruncate(image->fd, (off_t)size) != 0)
		err(2, "memory file");
	image->bytes = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, image->fd, 0);
	if (image->bytes == MAP_FAILED)
		err(2, "memory file");
	memcpy(image->bytes, clean, size);
	image->touched = need(size / IMAGE_PAGE * sizeof *image->touched);
	image->is_touched = need(size / IMAGE_PAGE);
	image->touched_count = 0;
	snprintf(image->path, sizeof image->path, "/proc/%d/fd/%d", (int)getpid(), image->fd);
}

void
image_close(struct image *image)
{
	munmap(image->bytes, image->size);
	close(image->fd);
	free(image->touched);
	free(image->is_touched);
	memset(image, 0, sizeof *image);
}

void
image_touch(struct image *image, uint64_t offset, uint64_t bytes)
{
	if (bytes == 0)
		return;
	for (uint64_t page = offset / IMAGE_PAGE; page <= (offset + bytes - 1) / IMAGE_PAGE; page++) {
		if (image->is_touched[page])
			continue;
		image->is_touched[page] = 1;
		image->touched[image->touched_count++] = (uint32_t)page;
	}
}

void
image_restore(struct image *image)
{
	for (uint32_t i = 0; i < image->touched_count; i++) {
		size_t at = (size_t)image->touched[i] * IMAGE_PAGE;

		memcpy(image->bytes + at, image->clean + at, IMAGE_PAGE);
		image->is_touched[image->touched[i]] = 0;
	}
	image->touched_count = 0;
}

void
image_restore_all(struct image *image)
{
	for (size_t at = 0; at < image->size; at += IMAGE_PAGE) {
		if (memcmp(image->bytes + at, image->clean + at, IMAGE_PAGE) != 0)
			memcpy(image->bytes + at, image->clean + at, IMAGE_PAGE);
	}
	memset(image->is_touched, 0, image->size / IMAGE_PAGE);
	image->touched_count = 0;
}

uint64_t
mix(uint64_t a, uint64_t b)
{
	uint64_t v = a + 0x9e3779b97f4a7c15ULL * (b + 1);	/* splitmix64 */

	v = (v ^ (v >> 30)) * 0xbf58476d1ce4e5b9ULL;
	v = (v ^ (v >> 27)) * 0x94d049bb133111ebULL;
	return v ^ (v >> 31);
}

/* Two lanes, so that the multiplications overlap; as strong as this needs. */
uint64_t
bytes_hash(uint64_t seed, const void *bytes, size_t count)
{
	const uint8_t *p = bytes;
	uint64_t a = seed ^ 0x6a09e667f3bcc908ULL, b = ~seed, word[2];

	for (; count >= 16; count -= 16, p += 16) {
		memcpy(word, p, 16);
		a = (a ^ word[0]) * 0x9fb21c651e98df25ULL;
		b = (b ^ word[1]) * 0xa0761d6478bd642fULL;
		a ^= a >> 32;
		b ^= b >> 29;
	}
	memset(word, 0, sizeof word);
	memcpy(word, p, count);
	a = (a ^ word[0] ^ count) * 0x9fb21c651e98df25ULL;
	b = (b ^ word[1]) * 0xa0761d6478bd642fULL;
	return mix(a ^ (a >> 32), b ^ (b >> 29));
}

uint64_t
page_hash(uint64_t page, const uint8_t *bytes)
{
	return bytes_hash(mix(page, 1), bytes, IMAGE_PAGE);
}

uint64_t
image_hash(const struct image *image, const uint64_t *clean_hash, uint64_t total)
{
	for (uint32_t i = 0; i < image->touched_count; i++) {
		uint32_t page = image->touched[i];

		total ^= clean_hash[page] ^ page_hash(page, image->bytes + (size_t)page * IMAGE_PAGE);
	}
	return total;
}
