/* SPDX-License-Identifier: MIT */
/*
 * ELF64 programs for AArch64: what to load where.  elf_plan checks everything;
 * what passed it can be placed without an error but a bad relocation.
 */
#ifndef BOOT_ELF_H
#define BOOT_ELF_H

#include <tessera/bootinfo.h>

#include "text.h"

enum { ELF_MAX_SEGMENTS = 16, ELF_PAGE = 4096 };
enum elf_type { ELF_EXECUTABLE = 2, ELF_POSITION_INDEPENDENT = 3 };

struct elf_segment {
	uint64_t vaddr, memory_size;	/* as the program header says */
	uint64_t offset, file_size;
	uint32_t flags;
};

struct elf_plan {
	uint64_t entry;
	uint64_t low, high;		/* all segments lie in [low, high), pages */
	uint64_t align;			/* of low: the largest of the segments' */
	uint64_t dynamic, dynamic_size;	/* vaddr of PT_DYNAMIC; size 0: none */
	unsigned count;
	struct elf_segment segment[ELF_MAX_SEGMENTS];	/* by address, in pages of their own */
};

bool elf_plan(const void *file, uint64_t size, enum elf_type type, struct elf_plan *plan,
    struct complaint *why);
/* The kernel starts init with at most BOOT_MAX_SEGMENTS, none writable and executable. */
bool elf_mappable(const struct elf_plan *plan, struct complaint *why);
/* Copies the segments to memory (high - low bytes), which lies at `phys`, and
 * applies the relocations for running there. */
bool elf_place(const struct elf_plan *plan, const void *file, void *memory, uint64_t phys,
    struct complaint *why);
/* How many bytes elf_pack needs, and the packing: only the segments' pages, one
 * after the other. */
uint64_t elf_packed_size(const struct elf_plan *plan);
bool elf_pack(const struct elf_plan *plan, const void *file, void *memory, uint64_t phys,
    struct boot_init *init, struct complaint *why);

#endif
