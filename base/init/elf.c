/* SPDX-License-Identifier: MIT */
/*
 * Reading an ELF image (System V ABI, AArch64 supplement).  Every number of the
 * file is checked before it is used.
 */
#include <tessera/string.h>
#include "elf.h"

enum { PAGE = 4096, EM_AARCH64 = 183, ET_EXEC = 2, PT_LOAD = 1, PT_INTERP = 3 };

struct elf_header {
	uint8_t ident[16];
	uint16_t type, machine;
	uint32_t version;
	uint64_t entry, phoff, shoff;
	uint32_t flags;
	uint16_t ehsize, phentsize, phnum, shentsize, shnum, shstrndx;
};
struct elf_program_header {
	uint32_t type, flags;
	uint64_t offset, vaddr, paddr, filesz, memsz, align;
};
_Static_assert(sizeof(struct elf_header) == 64, "ELF64 header");
_Static_assert(sizeof(struct elf_program_header) == 56, "ELF64 program header");

static const char *
check_header(const struct elf_header *h, size_t size)
{
	/* ELF magic, 64 bit, little endian, version 1 */
	static const uint8_t ident[7] = { 0x7f, 'E', 'L', 'F', 2, 1, 1 };

	if (memcmp(h->ident, ident, sizeof ident) != 0)
		return "not a 64-bit little-endian ELF file";
	if (h->machine != EM_AARCH64)
		return "not for AArch64";
	if (h->type != ET_EXEC)
		return "not a static executable";
	if (h->phentsize != sizeof(struct elf_program_header) || h->phnum > 64)
		return "odd program headers";
	if (h->phoff > size || h->phnum * sizeof(struct elf_program_header) > size - h->phoff)
		return "program headers lie outside of the file";
	return NULL;
}

static const char *
add_segment(struct elf_image *image, const struct elf_program_header *ph, const uint8_t *bytes,
    size_t size, uint64_t low, uint64_t high, bool allow_wx)
{
	struct elf_segment *s = &image->segment[image->segment_count];
	const struct elf_segment *before = s - 1;

	if (image->segment_count == ELF_MAX_SEGMENTS)
		return "more than 8 segments";
	if (ph->filesz > ph->memsz || ph->offset > size || ph->filesz > size - ph->offset)
		return "a segment lies outside of the file";
	if (ph->paddr < low || ph->paddr >= high || ph->memsz > high - ph->paddr)
		return "a segment lies outside of the image's place";
	if ((ph->flags & ELF_WRITE) != 0 && (ph->flags & ELF_EXEC) != 0 && !allow_wx)
		return "a segment is writable and executable";
	s->address = ph->paddr;
	s->memory_size = ph->memsz;
	s->bytes = bytes + ph->offset;
	s->file_size = ph->filesz;
	s->flags = ph->flags & (ELF_EXEC | ELF_WRITE | ELF_READ);
	s->page = ph->paddr & ~(uint64_t)(PAGE - 1);
	s->pages_size = ((ph->paddr + ph->memsz + PAGE - 1) & ~(uint64_t)(PAGE - 1)) - s->page;
	if (image->segment_count > 0 && before->page + before->pages_size > s->page)
		return "segments overlap or are not in order";
	image->segment_count++;
	return NULL;
}

/* The entry is a virtual address; it must lie in an executable segment. */
static void
place_entry(struct elf_image *image, const struct elf_program_header *ph, uint64_t entry)
{
	if ((ph->flags & ELF_EXEC) != 0 && entry >= ph->vaddr && entry - ph->vaddr < ph->memsz)
		image->entry = ph->paddr + (entry - ph->vaddr);
}

const char *
elf_open(struct elf_image *image, const void *bytes, size_t size, uint64_t low, uint64_t high,
    bool allow_wx)
{
	struct elf_header h;
	struct elf_program_header ph;
	const char *wrong;

	memset(image, 0, sizeof *image);
	if (size < sizeof h)
		return "shorter than an ELF header";
	memcpy(&h, bytes, sizeof h);
	wrong = check_header(&h, size);
	for (unsigned i = 0; wrong == NULL && i < h.phnum; i++) {
		memcpy(&ph, (const uint8_t *)bytes + h.phoff + i * sizeof ph, sizeof ph);
		if (ph.type == PT_INTERP)
			return "wants an interpreter";
		if (ph.type != PT_LOAD || ph.memsz == 0)
			continue;
		wrong = add_segment(image, &ph, bytes, size, low, high, allow_wx);
		place_entry(image, &ph, h.entry);
	}
	if (wrong != NULL)
		return wrong;
	if (image->segment_count == 0)
		return "has nothing to load";
	if (image->entry == 0 || (image->entry & 3) != 0)
		return "its entry is not in an executable segment";
	return NULL;
}
