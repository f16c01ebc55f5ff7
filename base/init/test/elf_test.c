/* SPDX-License-Identifier: MIT */
/*
 * The image reader: a good image, and each number of it made bad.
 */
#include <check.h>
#include "../elf.h"

enum { LOW = 0x400000, HIGH = 0x10000000 };

struct file {
	uint8_t ident[16];
	uint16_t type, machine;
	uint32_t version;
	uint64_t entry, phoff, shoff;
	uint32_t flags;
	uint16_t ehsize, phentsize, phnum, shentsize, shnum, shstrndx;
	struct {
		uint32_t type, flags;
		uint64_t offset, vaddr, paddr, filesz, memsz, align;
	} ph[3];
	uint8_t bytes[256];
};

static struct file
good(void)
{
	struct file f = {
		.ident = { 0x7f, 'E', 'L', 'F', 2, 1, 1 }, .type = 2, .machine = 183, .version = 1,
		.entry = 0x400010, .phoff = 64, .ehsize = 64, .phentsize = 56, .phnum = 2,
	};

	f.ph[0].type = 1, f.ph[0].flags = 5, f.ph[0].offset = offsetof(struct file, bytes);
	f.ph[0].vaddr = f.ph[0].paddr = 0x400000, f.ph[0].filesz = f.ph[0].memsz = 200;
	f.ph[1].type = 1, f.ph[1].flags = 6, f.ph[1].offset = offsetof(struct file, bytes);
	f.ph[1].vaddr = f.ph[1].paddr = 0x401008, f.ph[1].filesz = 16, f.ph[1].memsz = 5000;
	return f;
}

static const char *
open_file(const struct file *f, struct elf_image *image)
{
	return elf_open(image, f, sizeof *f, LOW, HIGH, false);
}

static void
a_good_image_is_understood(void)
{
	struct file f = good();
	struct elf_image i;

	CHECK(open_file(&f, &i) == NULL);
	CHECK(i.segment_count == 2 && i.entry == 0x400010);
	CHECK(i.segment[0].page == 0x400000 && i.segment[0].pages_size == 4096);
	CHECK(i.segment[1].page == 0x401000 && i.segment[1].pages_size == 8192);
	CHECK(i.segment[1].flags == (ELF_READ | ELF_WRITE));
}

#define BAD(change) do { \
	struct file f = good(); \
	struct elf_image i; \
	change; \
	CHECK(open_file(&f, &i) != NULL); \
} while (0)

static void
every_bad_number_is_refused(void)
{
	BAD(f.ident[0] = 0);
	BAD(f.ident[4] = 1);
	BAD(f.machine = 62);
	BAD(f.type = 3);
	BAD(f.phentsize = 32);
	BAD(f.phnum = 65);
	BAD(f.phoff = UINT64_MAX);
	BAD(f.phoff = sizeof f - 8);
	BAD(f.phnum = 0);
	BAD(f.entry = 0x500000);
	BAD(f.entry = 0x400011);
	BAD(f.entry = 0x401008);
	BAD(f.ph[0].offset = UINT64_MAX);
	BAD(f.ph[0].filesz = UINT64_MAX);
	BAD(f.ph[0].filesz = 201);
	BAD(f.ph[1].memsz = UINT64_MAX);
	BAD(f.ph[0].paddr = 0x3ff000);
	BAD(f.ph[1].paddr = HIGH - 8);
	BAD(f.ph[1].paddr = UINT64_MAX);
	BAD(f.ph[1].paddr = 0x400ff0);
	BAD(f.ph[1].flags = 7);
	BAD((f.phnum = 3, f.ph[2].type = 3));
}

static void
a_short_file_is_refused(void)
{
	struct file f = good();
	struct elf_image i;

	for (size_t n = 0; n < offsetof(struct file, bytes) + 200; n++) {
		uint8_t *copy = malloc(n == 0 ? 1 : n);

		memcpy(copy, &f, n);
		CHECK(elf_open(&i, copy, n, LOW, HIGH, false) != NULL);
		free(copy);
	}
}

static volatile uint64_t touched;	/* so that the bytes are really read */

static void
random_damage_never_leads_out_of_the_file(void)
{
	unsigned accepted = 0;

	srand(1);
	for (unsigned round = 0; round < 200000; round++) {
		struct file f = good();
		struct elf_image i;
		uint64_t sum = 0;

		for (int k = rand() % 4; k >= 0; k--)
			((uint8_t *)&f)[(size_t)rand() % offsetof(struct file, bytes)] = (uint8_t)rand();
		if (open_file(&f, &i) != NULL)
			continue;
		accepted++;
		for (unsigned s = 0; s < i.segment_count; s++)
			for (uint64_t b = 0; b < i.segment[s].file_size; b++)
				sum += i.segment[s].bytes[b];
		touched = sum;
	}
	CHECK(accepted > 0);
}

int
main(void)
{
	RUN(a_good_image_is_understood);
	RUN(every_bad_number_is_refused);
	RUN(a_short_file_is_refused);
	RUN(random_damage_never_leads_out_of_the_file);
	CHECK_END();
}
