/* SPDX-License-Identifier: MIT */
/* ELF loading, the memory map, and message formatting. */
#include <stdlib.h>
#include <string.h>

#include "../include/efi.h"
#include "../include/elf.h"
#include "../include/memory.h"
#include "test.h"

static struct complaint why;

/* ---- ELF files, made here ------------------------------------------------ */

enum { FILE_SIZE = 0x3000 };
static uint8_t file[FILE_SIZE];
static unsigned headers;

static void
put(uint64_t at, uint64_t value, unsigned bytes)
{
	memcpy(file + at, &value, bytes);
}

static void
begin(unsigned type, uint64_t entry)
{
	static const uint8_t ident[7] = { 0x7f, 'E', 'L', 'F', 2, 1, 1 };

	memset(file, 0, sizeof(file));
	memcpy(file, ident, 7);
	put(16, type, 2);
	put(18, 183, 2);
	put(24, entry, 8);
	put(32, 64, 8);
	put(54, 56, 2);
	headers = 0;
}

static void
header(uint32_t type, uint32_t flags, uint64_t offset, uint64_t vaddr, uint64_t file_size,
    uint64_t memory_size, uint64_t align)
{
	uint64_t at = 64 + headers * 56;

	put(at, type, 4);
	put(at + 4, flags, 4);
	put(at + 8, offset, 8);
	put(at + 16, vaddr, 8);
	put(at + 32, file_size, 8);
	put(at + 40, memory_size, 8);
	put(at + 48, align, 8);
	put(56, ++headers, 2);
}

static void
good_kernel(void)
{
	begin(ELF_POSITION_INDEPENDENT, 0x10);
	header(1, 5, 0x1000, 0, 0x800, 0x800, 0x1000);
	header(1, 6, 0x2000, 0x1000, 0x200, 0x1800, 0x1000);
	header(2, 6, 0x2000, 0x1000, 0x60, 0x60, 8);
	put(0x2000, 7, 8);		/* DT_RELA at 0x400, one entry */
	put(0x2008, 0x400, 8);
	put(0x2010, 8, 8);
	put(0x2018, 24, 8);
	put(0x2020, 36, 8);		/* DT_RELR at 0x500, two words */
	put(0x2028, 0x500, 8);
	put(0x2030, 35, 8);
	put(0x2038, 16, 8);
	put(0x1400, 0x1100, 8);		/* the word at 0x1100 becomes base + 0x1234 */
	put(0x1408, 1027, 8);
	put(0x1410, 0x1234, 8);
	put(0x1500, 0x1108, 8);		/* the words at 0x1108 and, bit 2, 0x1118 */
	put(0x1508, 1 << 2 | 1, 8);
	put(0x2108, 0x10, 8);
	put(0x2118, 0x20, 8);
}

TEST(kernel_is_placed_and_relocated)
{
	struct elf_plan plan;
	uint8_t *memory;
	uint64_t word;

	good_kernel();
	CHECK(elf_plan(file, FILE_SIZE, ELF_POSITION_INDEPENDENT, &plan, &why));
	CHECK(plan.low == 0 && plan.high == 0x3000 && plan.entry == 0x10);
	memory = malloc(0x3000);
	memset(memory, 0xaa, 0x3000);
	CHECK(elf_place(&plan, file, memory, 0x40200000, &why));
	memcpy(&word, memory + 0x1100, 8);
	CHECK(word == 0x40201234);
	memcpy(&word, memory + 0x1108, 8);
	CHECK(word == 0x40200010);
	memcpy(&word, memory + 0x1118, 8);
	CHECK(word == 0x40200020);
	CHECK(memory[0x900] == 0 && memory[0x1200] == 0 && memory[0x2fff] == 0);
	free(memory);
}

/* Each damage to a good file, and a word of the message that it must cause. */
TEST(damaged_programs_are_refused_by_reason)
{
	static const struct { uint64_t at, value; unsigned bytes; const char *word; } damage[] = {
		{ 0, 0, 1, "not an ELF" }, { 4, 1, 1, "not an ELF" }, { 18, 62, 2, "machine 62" },
		{ 16, 2, 2, "type 2" }, { 54, 32, 2, "headers" }, { 56, 0, 2, "headers" },
		{ 32, FILE_SIZE - 10, 8, "headers" }, { 32, UINT64_MAX, 8, "headers" },
		{ 24, 0x9000, 8, "entry" }, { 64, 3, 4, "dynamic linker" },
		{ 64 + 8, FILE_SIZE, 8, "outside" }, { 64 + 32, 0x900, 8, "outside" },
		{ 64 + 40, 0x1800, 8, "share a page" }, { 64 + 48, 3, 8, "alignment" },
		{ 64 + 56 + 40, UINT64_MAX, 8, "too large" },
		{ 64 + 56 + 16, UINT64_MAX - 0x1000, 8, "too high" },
		{ 64 + 112 + 16, 0x9000, 8, "dynamic section" },
	};
	struct elf_plan plan;

	for (unsigned i = 0; i < sizeof(damage) / sizeof(damage[0]); i++) {
		good_kernel();
		put(damage[i].at, damage[i].value, damage[i].bytes);
		CHECK(!elf_plan(file, FILE_SIZE, ELF_POSITION_INDEPENDENT, &plan, &why));
		CHECK(strstr(why.text, damage[i].word) != NULL);
	}
	for (unsigned size = 0; size < 64; size++)
		CHECK(!elf_plan(file, size, ELF_POSITION_INDEPENDENT, &plan, &why));
}

TEST(bad_relocations_are_refused)
{
	static const struct { uint64_t at, value; } damage[] = {
		{ 0x1400, 0x2ff9 }, { 0x1400, UINT64_MAX }, { 0x1408, 257 }, { 0x2008, 0x2000 },
		{ 0x2018, 0x10000 }, { 0x1500, 0x3000 }, { 0x1508, UINT64_MAX }, { 0x2028, 0x7fc },
		{ 0x2000, 17 },
	};
	struct elf_plan plan;
	uint8_t *memory = malloc(0x3000);

	for (unsigned i = 0; i < sizeof(damage) / sizeof(damage[0]); i++) {
		bool placed;

		good_kernel();
		put(damage[i].at, damage[i].value, 8);
		if (damage[i].at == 0x1508)
			put(0x1500, 0x2f00, 8);
		CHECK(elf_plan(file, FILE_SIZE, ELF_POSITION_INDEPENDENT, &plan, &why));
		placed = elf_place(&plan, file, memory, 0x40200000, &why);
		CHECK(!placed);
	}
	free(memory);
}

/* Segments that do not start at a page: the pages around them, zero filled. */
TEST(init_is_packed_in_pages)
{
	struct elf_plan plan;
	struct boot_init init;
	uint8_t *memory;

	begin(ELF_EXECUTABLE, 0x400100);
	header(1, 5, 0x1100, 0x400100, 0x200, 0x200, 0x10000);
	header(1, 6, 0x1300, 0x412300, 0x100, 0x2000, 0x10000);
	file[0x1100] = 0x11;
	file[0x1300] = 0x22;
	CHECK(elf_plan(file, FILE_SIZE, ELF_EXECUTABLE, &plan, &why));
	CHECK(elf_packed_size(&plan) == 0x4000);
	memory = malloc(0x4000);
	CHECK(elf_pack(&plan, file, memory, 0x50000000, &init, &why));
	CHECK(init.entry == 0x400100 && init.segment_count == 2);
	CHECK(init.segment[0].vaddr == 0x400000 && init.segment[0].phys == 0x50000000);
	CHECK(init.segment[0].size == 0x1000 && init.segment[0].flags == 5);
	CHECK(init.segment[1].vaddr == 0x412000 && init.segment[1].phys == 0x50001000);
	CHECK(init.segment[1].size == 0x3000 && init.segment[1].flags == 6);
	CHECK(memory[0x100] == 0x11 && memory[0] == 0 && memory[0x1300] == 0x22);
	CHECK(memory[0x1400] == 0 && memory[0x3fff] == 0);
	free(memory);
}

/* ---- the memory map ------------------------------------------------------ */

static bool
map_is_sorted(const struct bootinfo *info)
{
	for (unsigned i = 0; i < info->memory_count; i++) {
		const struct boot_memory *m = &info->memory[i];

		if (m->size == 0 || (m->base & 4095) != 0 || (m->size & 4095) != 0)
			return false;
		if (i > 0 && m[-1].base + m[-1].size > m->base)
			return false;
		if (i > 0 && m[-1].base + m[-1].size == m->base && m[-1].kind == m->kind)
			return false;
	}
	return true;
}

/* Painting against a plain array of pages, at random. */
TEST(painting_agrees_with_a_page_array)
{
	static uint8_t pages[64];

	for (unsigned round = 0; round < 500; round++) {
		struct bootinfo *info = test_platform(0)->info;

		memset(pages, 0, sizeof(pages));
		for (unsigned step = 0; step < 20; step++) {
			unsigned first = test_random() % 64, last = first + test_random() % (64 - first);
			unsigned kind = 1 + test_random() % 4, over = test_random() & 31;

			CHECK(memory_paint(info, first * 4096, (last - first + 1) * 4096, kind,
			    over, &why));
			for (unsigned i = first; i <= last; i++)
				if ((over >> pages[i] & 1) != 0)
					pages[i] = (uint8_t)kind;
			CHECK(map_is_sorted(info));
			for (unsigned i = 0; i < 64; i++) {
				unsigned found = 0;

				for (unsigned m = 0; m < info->memory_count; m++)
					if (i * 4096ull - info->memory[m].base < info->memory[m].size)
						found = info->memory[m].kind;
				CHECK(found == pages[i]);
			}
		}
	}
}

TEST(a_full_memory_map_is_said)
{
	struct bootinfo *info = test_platform(0)->info;
	bool fine = true;

	for (unsigned i = 0; fine && i < 300; i++)
		fine = memory_paint(info, (uint64_t)i * 8192, 4096, BOOT_MEM_FREE,
		    MEMORY_OVER_GAPS, &why);
	CHECK(!fine && info->memory_count == BOOT_MAX_MEMORY);
	CHECK(strstr(why.text, "256") != NULL);
	CHECK(memory_paint(info, 0, 600 * 4096, BOOT_MEM_FREE, MEMORY_OVER_GAPS, &why));
	CHECK(info->memory_count == 1);	/* all gaps filled, all merged */
}

TEST(boot_services_memory_becomes_free)
{
	static const struct efi_memory_descriptor map[] = {
		{ EFI_CONVENTIONAL_MEMORY, 0, 0x40000000, 0, 16, 0 },
		{ EFI_RUNTIME_SERVICES_DATA, 0, 0x40020000, 0, 16, 0 },
		{ EFI_BOOT_SERVICES_CODE, 0, 0x40010000, 0, 8, 0 },
		{ EFI_LOADER_DATA, 0, 0x40018000, 0, 8, 0 },
		{ EFI_MEMORY_MAPPED_IO, 0, 0x9010000, 0, 1, 0 },
		{ EFI_ACPI_RECLAIM_MEMORY, 0, 0x40030000, 0, 1, 0 },
		{ EFI_PERSISTENT_MEMORY, 0, 0x50000000, 0, 1, 0 },
	};
	struct bootinfo *info = test_platform(0)->info;

	CHECK(memory_from_efi(info, map, sizeof(map), sizeof(map[0]), &why));
	CHECK(info->memory_count == 4);
	CHECK(info->memory[0].base == 0x9010000 && info->memory[0].kind == BOOT_MEM_DEVICE);
	CHECK(info->memory[1].base == 0x40000000 && info->memory[1].size == 32 * 4096);
	CHECK(info->memory[1].kind == BOOT_MEM_FREE);
	CHECK(info->memory[2].kind == BOOT_MEM_FIRMWARE && info->memory[2].size == 17 * 4096);
	CHECK(info->memory[3].kind == BOOT_MEM_FIRMWARE);
}

/* ---- messages ------------------------------------------------------------ */

TEST(messages_are_formatted)
{
	char text[64];

	text_format(text, sizeof(text), "%s|%5u|%04x|%llx|%c|%d|%%|%llu", "ab", 42u, 0xbeu,
	    0x123456789abcull, 'z', -7, 18446744073709551615ull);
	CHECK(strcmp(text, "ab|   42|00be|123456789abc|z|-7|%|18446744073709551615") == 0);
	text_format(text, 5, "%s", "abcdefgh");
	CHECK(strcmp(text, "abcd") == 0);
}
