/* SPDX-License-Identifier: MIT */
/*
 * libFuzzer: whatever the bytes, the ELF parser reads inside its buffers, and what it
 * accepts can be mapped: no sum of its fields overflows.
 */
#include "../elf.c"

#define REQUIRE(c) do { if (!(c)) __builtin_trap(); } while (0)

static void
check_image(const struct elf_image *e)
{
	REQUIRE(e->segment_count > 0 && e->segment_count <= ELF_MAX_SEGMENTS);
	REQUIRE(e->low < e->high && (e->low & ~PAGE_MASK) == 0 && (e->high & ~PAGE_MASK) == 0);
	REQUIRE((e->align & (e->align - 1)) == 0 && e->align >= PAGE_SIZE);
	REQUIRE(e->interp_size <= 4096);
	for (unsigned i = 0; i < e->segment_count; i++) {
		const struct elf_segment *s = &e->segment[i];

		REQUIRE(s->file_size <= s->mem_size);
		REQUIRE(s->vaddr >= e->low && s->vaddr + s->mem_size <= e->high);
		REQUIRE((int64_t)(s->offset + s->file_size) >= 0);
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct elf_header h;
	struct elf_image e;

	if (elf_parse_header(data, size, &h) != 0)
		return 0;
	if (h.phdr_offset > size || (size_t)h.phdr_count * ELF_PHDR_SIZE > size - h.phdr_offset)
		return 0;
	if (elf_parse_segments(&h, data + h.phdr_offset, &e) == 0)
		check_image(&e);
	return 0;
}
