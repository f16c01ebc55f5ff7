/* SPDX-License-Identifier: MIT */
/* Loading ELF64 (System V gABI; AArch64 supplement aaelf64 for relocations). */
#include <string.h>

#include "elf.h"

enum { PT_LOAD = 1, PT_DYNAMIC = 2, PT_INTERP = 3 };
enum { DT_NULL = 0, DT_RELA = 7, DT_RELASZ = 8, DT_RELAENT = 9, DT_REL = 17, DT_JMPREL = 23,
	DT_RELRSZ = 35, DT_RELR = 36 };
enum { R_AARCH64_NONE = 0, R_AARCH64_RELATIVE = 1027, EM_AARCH64 = 183 };
enum { HEADER_SIZE = 64, PROGRAM_HEADER_SIZE = 56, MAX_ALIGN = 2 << 20 };

static uint64_t
read64(const uint8_t *p)
{
	uint64_t value;

	memcpy(&value, p, 8);	/* little-endian hosts and targets only */
	return value;
}

static uint32_t
read32(const uint8_t *p)
{
	uint32_t value;

	memcpy(&value, p, 4);
	return value;
}

static uint32_t
read16(const uint8_t *p)
{
	return p[0] | (uint32_t)p[1] << 8;
}

static uint64_t
page_down(uint64_t address)
{
	return address & ~(uint64_t)(ELF_PAGE - 1);
}

static uint64_t
page_up(uint64_t address)
{
	return page_down(address + ELF_PAGE - 1);
}

/* ---- checking ------------------------------------------------------------ */

static bool
check_header(const uint8_t *file, uint64_t size, enum elf_type type, struct complaint *why)
{
	static const uint8_t ident[7] = { 0x7f, 'E', 'L', 'F', 2, 1, 1 };

	if (size < HEADER_SIZE || memcmp(file, ident, sizeof(ident)) != 0)
		return complain(why, "not an ELF file (64-bit, little endian)");
	if (read16(file + 18) != EM_AARCH64)
		return complain(why, "ELF for machine %u, not for AArch64", read16(file + 18));
	if (read16(file + 16) != (uint32_t)type)
		return complain(why, "ELF of type %u, need %d (%s)", read16(file + 16), type,
		    type == ELF_EXECUTABLE ? "executable" : "position independent");
	if (read16(file + 54) != PROGRAM_HEADER_SIZE || read16(file + 56) == 0)
		return complain(why, "ELF without proper program headers");
	if (read64(file + 32) > size ||
	    (uint64_t)read16(file + 56) * PROGRAM_HEADER_SIZE > size - read64(file + 32))
		return complain(why, "ELF program headers lie outside of the file");
	return true;
}

static bool
add_segment(struct elf_plan *plan, const uint8_t *header, uint64_t size, struct complaint *why)
{
	struct elf_segment s = {
		.flags = read32(header + 4),
		.offset = read64(header + 8), .vaddr = read64(header + 16),
		.file_size = read64(header + 32), .memory_size = read64(header + 40),
	};
	uint64_t align = read64(header + 48);
	struct elf_segment *last = plan->count > 0 ? &plan->segment[plan->count - 1] : NULL;

	if (s.memory_size == 0)
		return true;
	if (plan->count == ELF_MAX_SEGMENTS)
		return complain(why, "ELF with more than %d segments", ELF_MAX_SEGMENTS);
	if (s.offset > size || s.file_size > size - s.offset || s.file_size > s.memory_size)
		return complain(why, "ELF segment %u lies outside of the file", plan->count);
	if (s.memory_size > 1u << 30 || s.vaddr > UINT64_MAX - (2u << 30))
		return complain(why, "ELF segment %u is too large or too high", plan->count);
	if (last != NULL && page_down(s.vaddr) < page_up(last->vaddr + last->memory_size))
		return complain(why, "ELF segments %u and %u share a page or are out of order",
		    plan->count - 1, plan->count);
	if (align > MAX_ALIGN || (align & (align - 1)) != 0)
		return complain(why, "ELF segment %u has alignment 0x%llx", plan->count, U64(align));
	if (align > plan->align)
		plan->align = align;
	plan->segment[plan->count++] = s;
	return true;
}

static bool
in_file_part(const struct elf_plan *plan, uint64_t address, uint64_t size)
{
	for (unsigned i = 0; i < plan->count; i++) {
		const struct elf_segment *s = &plan->segment[i];

		if (address >= s->vaddr && address - s->vaddr <= s->file_size &&
		    size <= s->file_size - (address - s->vaddr))
			return true;
	}
	return false;
}

bool
elf_plan(const void *file, uint64_t size, enum elf_type type, struct elf_plan *plan,
    struct complaint *why)
{
	const uint8_t *headers = (const uint8_t *)file;
	unsigned count;

	memset(plan, 0, sizeof(*plan));
	plan->align = ELF_PAGE;
	if (!check_header(file, size, type, why))
		return false;
	count = read16(headers + 56);
	headers += read64(headers + 32);
	for (unsigned i = 0; i < count; i++) {
		const uint8_t *h = headers + (size_t)i * PROGRAM_HEADER_SIZE;

		if (read32(h) == PT_INTERP)
			return complain(why, "ELF wants a dynamic linker");
		if (read32(h) == PT_LOAD && !add_segment(plan, h, size, why))
			return false;
		if (read32(h) == PT_DYNAMIC) {
			plan->dynamic = read64(h + 16);
			plan->dynamic_size = read64(h + 32);
		}
	}
	if (plan->count == 0)
		return complain(why, "ELF without anything to load");
	plan->entry = read64((const uint8_t *)file + 24);
	plan->low = plan->segment[0].vaddr & ~(plan->align - 1);
	plan->high = page_up(plan->segment[plan->count - 1].vaddr +
	    plan->segment[plan->count - 1].memory_size);
	if (plan->high - plan->low > 1u << 30)
		return complain(why, "ELF spans more than 1 GiB");
	if (!in_file_part(plan, plan->entry, 4))
		return complain(why, "ELF entry 0x%llx lies outside of the program",
		    U64(plan->entry));
	if (plan->dynamic_size != 0 && !in_file_part(plan, plan->dynamic, plan->dynamic_size))
		return complain(why, "ELF dynamic section lies outside of the program");
	return true;
}

bool
elf_mappable(const struct elf_plan *plan, struct complaint *why)
{
	if (plan->count > BOOT_MAX_SEGMENTS)
		return complain(why, "ELF with more than %d segments", BOOT_MAX_SEGMENTS);
	for (unsigned i = 0; i < plan->count; i++)
		if ((plan->segment[i].flags & 3) == 3)
			return complain(why, "ELF segment %u is writable and executable", i);
	return true;
}

/* ---- relocating ---------------------------------------------------------- */

struct image {
	const struct elf_plan *plan;
	uint8_t *memory;
	uint64_t bias;		/* physical address minus vaddr */
	struct complaint *why;
};

/* The word at vaddr, or a null pointer if it is not in the image. */
static uint8_t *
word_at(const struct image *i, uint64_t vaddr)
{
	if (vaddr < i->plan->low || vaddr > i->plan->high - 8)
		return NULL;
	return i->memory + (vaddr - i->plan->low);
}

static bool
add_bias(const struct image *i, uint64_t vaddr, uint64_t addend)
{
	uint8_t *at = word_at(i, vaddr);
	uint64_t value = addend + i->bias;

	if (at == NULL)
		return complain(i->why, "ELF relocation at 0x%llx lies outside of the program",
		    U64(vaddr));
	memcpy(at, &value, 8);
	return true;
}

static bool
relocate_rela(const struct image *i, uint64_t table, uint64_t size)
{
	if (!in_file_part(i->plan, table, size))
		return complain(i->why, "ELF relocations lie outside of the program");
	for (uint64_t done = 0; done + 24 <= size; done += 24) {
		const uint8_t *entry = i->memory + (table - i->plan->low) + done;
		uint32_t kind = read32(entry + 8);

		if (kind == R_AARCH64_NONE)
			continue;
		if (kind != R_AARCH64_RELATIVE)
			return complain(i->why, "ELF relocation of type %u, only RELATIVE is known",
			    kind);
		if (!add_bias(i, read64(entry), read64(entry + 16)))
			return false;
	}
	return true;
}

static bool
relocate_word(const struct image *i, uint64_t vaddr)
{
	const uint8_t *at = word_at(i, vaddr);

	return add_bias(i, vaddr, at != NULL ? read64(at) : 0);
}

/* gABI, SHT_RELR: an even word is an address, an odd one marks the 63 after. */
static bool
relocate_relr(const struct image *i, uint64_t table, uint64_t size)
{
	uint64_t next = 0;

	if (!in_file_part(i->plan, table, size))
		return complain(i->why, "ELF relocations lie outside of the program");
	for (uint64_t done = 0; done + 8 <= size; done += 8) {
		uint64_t entry = read64(i->memory + (table - i->plan->low) + done);

		if ((entry & 1) == 0) {
			if (!relocate_word(i, entry))
				return false;
			next = entry + 8;
			continue;
		}
		for (unsigned bit = 1; bit < 64; bit++)
			if ((entry >> bit & 1) != 0 && !relocate_word(i, next + (bit - 1) * 8))
				return false;
		next += 63 * 8;
	}
	return true;
}

static bool
relocate(const struct image *i)
{
	uint64_t rela = 0, rela_size = 0, relr = 0, relr_size = 0;

	for (uint64_t done = 0; done + 16 <= i->plan->dynamic_size; done += 16) {
		const uint8_t *entry = i->memory + (i->plan->dynamic - i->plan->low) + done;
		uint64_t tag = read64(entry), value = read64(entry + 8);

		if (tag == DT_NULL)
			break;
		if (tag == DT_RELA)
			rela = value;
		else if (tag == DT_RELASZ)
			rela_size = value;
		else if (tag == DT_RELR)
			relr = value;
		else if (tag == DT_RELRSZ)
			relr_size = value;
		else if (tag == DT_REL || tag == DT_JMPREL || (tag == DT_RELAENT && value != 24))
			return complain(i->why, "ELF with relocations of an unknown form");
	}
	return (rela_size == 0 || relocate_rela(i, rela, rela_size)) &&
	    (relr_size == 0 || relocate_relr(i, relr, relr_size));
}

/* ---- placing ------------------------------------------------------------- */

bool
elf_place(const struct elf_plan *plan, const void *file, void *memory, uint64_t phys,
    struct complaint *why)
{
	struct image image = { plan, memory, phys - plan->low, why };
	uint64_t done = plan->low;

	for (unsigned i = 0; i < plan->count; i++) {
		const struct elf_segment *s = &plan->segment[i];
		uint8_t *to = image.memory + (s->vaddr - plan->low);

		memset(image.memory + (done - plan->low), 0, (size_t)(s->vaddr - done));
		memcpy(to, (const uint8_t *)file + s->offset, (size_t)s->file_size);
		done = s->vaddr + s->file_size;
	}
	memset(image.memory + (done - plan->low), 0, (size_t)(plan->high - done));
	return relocate(&image);
}

uint64_t
elf_packed_size(const struct elf_plan *plan)
{
	uint64_t size = 0;

	for (unsigned i = 0; i < plan->count; i++)
		size += page_up(plan->segment[i].vaddr + plan->segment[i].memory_size) -
		    page_down(plan->segment[i].vaddr);
	return size;
}

bool
elf_pack(const struct elf_plan *plan, const void *file, void *memory, uint64_t phys,
    struct boot_init *init, struct complaint *why)
{
	uint8_t *to = memory;

	if (plan->count > BOOT_MAX_SEGMENTS)
		return complain(why, "ELF with more than %d segments", BOOT_MAX_SEGMENTS);
	memset(memory, 0, (size_t)elf_packed_size(plan));
	init->entry = plan->entry;
	init->segment_count = plan->count;
	for (unsigned i = 0; i < plan->count; i++) {
		const struct elf_segment *s = &plan->segment[i];
		uint64_t first = page_down(s->vaddr);
		uint64_t size = page_up(s->vaddr + s->memory_size) - first;

		memcpy(to + (s->vaddr - first), (const uint8_t *)file + s->offset,
		    (size_t)s->file_size);
		init->segment[i] = (struct boot_segment){
			.vaddr = first, .phys = phys, .size = size, .flags = s->flags & 7,
		};
		to += size;
		phys += size;
	}
	return true;
}
