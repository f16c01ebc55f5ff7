/* SPDX-License-Identifier: MIT */
/* Reading ELF64 executables for AArch64: pure functions, also fuzzed on the host. */
#ifndef LX_ELF_H
#define LX_ELF_H

#include "types.h"

enum { ELF_MAX_SEGMENTS = 32, ELF_PHDR_SIZE = 56, ELF_HEADER_SIZE = 64, ELF_MAX_PHDRS = 128 };

struct elf_header {
	bool dynamic;			/* ET_DYN: may go anywhere */
	uint64_t entry;
	uint64_t phdr_offset;
	unsigned phdr_count;
};
struct elf_segment {
	uint64_t vaddr, offset, file_size, mem_size;
	bool read, write, exec;
};
struct elf_image {
	struct elf_segment segment[ELF_MAX_SEGMENTS];
	unsigned segment_count;
	uint64_t low, high;		/* page aligned bounds of the segments */
	uint64_t align;			/* largest p_align, at least a page */
	uint64_t phdr_vaddr;		/* where the program finds its headers; 0: nowhere */
	uint64_t interp_offset, interp_size;	/* size 0: none; with its NUL */
	bool stack_exec;
};
/* 0, or -ENOEXEC. */
int elf_parse_header(const void *bytes, size_t size, struct elf_header *);
int elf_parse_segments(const struct elf_header *, const void *phdrs, struct elf_image *);

#endif
