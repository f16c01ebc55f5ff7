/* SPDX-License-Identifier: MIT */
/*
 * ELF64 little-endian executables of AArch64 (System V gABI chapters 4 and 5).
 * Reads bytes and fills records; every sum is checked, since the file may say anything.
 */
#include <asm/errno.h>
#include "elf.h"

enum { ET_EXEC_ = 2, ET_DYN_ = 3, EM_AARCH64_ = 183 };
enum { PT_LOAD_ = 1, PT_INTERP_ = 3, PT_PHDR_ = 6 };
enum { PF_X_ = 1, PF_W_ = 2, PF_R_ = 4 };
#define PT_GNU_STACK_	0x6474e551u
#define ELF_ADDR_END	(1UL << 48)

static uint64_t
field(const uint8_t *p, unsigned offset, unsigned bytes)
{
	uint64_t v = 0;

	for (unsigned i = bytes; i-- > 0; )
		v = v << 8 | p[offset + i];
	return v;
}

int
elf_parse_header(const void *bytes, size_t size, struct elf_header *h)
{
	static const uint8_t ident[7] = { 0x7f, 'E', 'L', 'F', 2 /* 64 bits */, 1 /* little-endian */, 1 };
	const uint8_t *p = bytes;
	uint64_t type;

	if (size < ELF_HEADER_SIZE)
		return -ENOEXEC;
	for (unsigned i = 0; i < sizeof(ident); i++)
		if (p[i] != ident[i])
			return -ENOEXEC;
	type = field(p, 16, 2);
	if ((type != ET_EXEC_ && type != ET_DYN_) || field(p, 18, 2) != EM_AARCH64_)
		return -ENOEXEC;
	h->dynamic = type == ET_DYN_;
	h->entry = field(p, 24, 8);
	h->phdr_offset = field(p, 32, 8);
	h->phdr_count = (unsigned)field(p, 56, 2);
	if (field(p, 54, 2) != ELF_PHDR_SIZE || h->phdr_count == 0 || h->phdr_count > ELF_MAX_PHDRS)
		return -ENOEXEC;
	return h->phdr_offset > INT64_MAX - ELF_MAX_PHDRS * ELF_PHDR_SIZE ? -ENOEXEC : 0;
}

static bool
segment_valid(const struct elf_segment *s)
{
	if (s->file_size > s->mem_size || s->mem_size > ELF_ADDR_END || s->vaddr > ELF_ADDR_END - s->mem_size)
		return false;
	if (s->offset > INT64_MAX - s->file_size - PAGE_SIZE)
		return false;
	return ((s->vaddr - s->offset) & ~PAGE_MASK) == 0;
}

static int
add_load(struct elf_image *e, const uint8_t *p)
{
	struct elf_segment s = {
		.offset = field(p, 8, 8), .vaddr = field(p, 16, 8),
		.file_size = field(p, 32, 8), .mem_size = field(p, 40, 8),
	};
	uint64_t flags = field(p, 4, 4), align = field(p, 48, 8);

	if (s.mem_size == 0)
		return 0;
	if (e->segment_count == ELF_MAX_SEGMENTS || !segment_valid(&s))
		return -ENOEXEC;
	s.read = (flags & PF_R_) != 0;
	s.write = (flags & PF_W_) != 0;
	s.exec = (flags & PF_X_) != 0;
	e->low = min(e->low, PAGE_DOWN(s.vaddr));
	e->high = max(e->high, PAGE_UP(s.vaddr + s.mem_size));
	if ((align & (align - 1)) == 0 && align <= (1UL << 30))
		e->align = max(e->align, align);
	e->segment[e->segment_count++] = s;
	return 0;
}

/* The headers lie in the segment that contains their file offset. */
static void
find_phdrs(struct elf_image *e, const struct elf_header *h)
{
	for (unsigned i = 0; i < e->segment_count && e->phdr_vaddr == 0; i++) {
		const struct elf_segment *s = &e->segment[i];

		if (h->phdr_offset >= s->offset && h->phdr_offset - s->offset < s->file_size)
			e->phdr_vaddr = h->phdr_offset - s->offset + s->vaddr;
	}
}

int
elf_parse_segments(const struct elf_header *h, const void *phdrs, struct elf_image *e)
{
	*e = (struct elf_image){ .low = UINT64_MAX, .align = PAGE_SIZE };
	for (unsigned i = 0; i < h->phdr_count; i++) {
		const uint8_t *p = (const uint8_t *)phdrs + (size_t)i * ELF_PHDR_SIZE;

		switch ((uint32_t)field(p, 0, 4)) {
		case PT_LOAD_:
			if (add_load(e, p) != 0)
				return -ENOEXEC;
			break;
		case PT_INTERP_:
			if (e->interp_size != 0)
				break;
			e->interp_offset = field(p, 8, 8);
			e->interp_size = field(p, 32, 8);
			if (e->interp_size < 2 || e->interp_size > 4096
			    || e->interp_offset > INT64_MAX - e->interp_size)
				return -ENOEXEC;
			break;
		case PT_PHDR_:
			e->phdr_vaddr = field(p, 16, 8);
			break;
		case PT_GNU_STACK_:
			e->stack_exec = (field(p, 4, 4) & PF_X_) != 0;
			break;
		}
	}
	if (e->segment_count == 0)
		return -ENOEXEC;
	if (e->phdr_vaddr != 0 && (e->phdr_vaddr < e->low || e->phdr_vaddr >= e->high))
		e->phdr_vaddr = 0;
	find_phdrs(e, h);
	return 0;
}
