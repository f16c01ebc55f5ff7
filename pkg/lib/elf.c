// SPDX-License-Identifier: MIT
/*
 * DT_SONAME and DT_NEEDED of ELF files, 64 bits and little endian, which is what
 * Tessera's packages hold.  The file may be anything: every offset is checked
 * against the file before it is followed.
 */
#include <elf.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "package.h"

enum { HEADERS_MAX = 256, DYNAMIC_MAX = 4096, STRINGS_MAX = 16 << 20 };

static bool
read_at(int fd, void *out, size_t length, uint64_t at)
{
	return at < (1ULL << 50) && pread(fd, out, length, (off_t)at) == (ssize_t)length;
}

/* Where an address of the program lies in the file. */
static bool
address_to_offset(const Elf64_Phdr *ph, size_t count, uint64_t address, uint64_t *offset)
{
	for (size_t i = 0; i < count; i++) {
		if (ph[i].p_type == PT_LOAD && address >= ph[i].p_vaddr && address - ph[i].p_vaddr < ph[i].p_filesz) {
			*offset = ph[i].p_offset + (address - ph[i].p_vaddr);
			return true;
		}
	}
	return false;
}

static const char *
string_at(const char *strings, uint64_t size, uint64_t at)
{
	if (at >= size || memchr(strings + at, '\0', size - at) == NULL || strings[at] == '\0')
		return NULL;
	return strings + at;
}

static void
collect(const Elf64_Dyn *dynamic, size_t count, const char *strings, uint64_t size, char **soname,
    struct list *needed)
{
	for (size_t i = 0; i < count && dynamic[i].d_tag != DT_NULL; i++) {
		const char *s = string_at(strings, size, dynamic[i].d_un.d_val);

		if (s == NULL)
			continue;
		if (dynamic[i].d_tag == DT_SONAME && *soname == NULL)
			*soname = text_dup(s);
		if (dynamic[i].d_tag == DT_NEEDED && !list_has(needed, s))
			list_add(needed, s);
	}
}

static void
read_dynamic(int fd, const Elf64_Phdr *ph, size_t headers, const Elf64_Phdr *dyn, char **soname,
    struct list *needed)
{
	size_t count = dyn->p_filesz / sizeof(Elf64_Dyn);
	uint64_t table = 0, size = 0, offset;

	if (count == 0 || count > DYNAMIC_MAX)
		return;
	Elf64_Dyn *dynamic = mem_alloc(count * sizeof(*dynamic));

	if (read_at(fd, dynamic, count * sizeof(*dynamic), dyn->p_offset)) {
		for (size_t i = 0; i < count && dynamic[i].d_tag != DT_NULL; i++) {
			if (dynamic[i].d_tag == DT_STRTAB)
				table = dynamic[i].d_un.d_ptr;
			if (dynamic[i].d_tag == DT_STRSZ)
				size = dynamic[i].d_un.d_val;
		}
		if (size != 0 && size <= STRINGS_MAX && address_to_offset(ph, headers, table, &offset)) {
			char *strings = mem_alloc(size);

			if (read_at(fd, strings, size, offset))
				collect(dynamic, count, strings, size, soname, needed);
			free(strings);
		}
	}
	free(dynamic);
}

void
elf_read(int fd, char **soname, struct list *needed)
{
	Elf64_Ehdr eh;
	Elf64_Phdr ph[HEADERS_MAX];

	*soname = NULL;
	if (!read_at(fd, &eh, sizeof(eh), 0) || memcmp(eh.e_ident, ELFMAG, SELFMAG) != 0 ||
	    eh.e_ident[EI_CLASS] != ELFCLASS64 || eh.e_ident[EI_DATA] != ELFDATA2LSB ||
	    eh.e_phentsize != sizeof(ph[0]) || eh.e_phnum > HEADERS_MAX ||
	    !read_at(fd, ph, eh.e_phnum * sizeof(ph[0]), eh.e_phoff))
		return;
	for (size_t i = 0; i < eh.e_phnum; i++) {
		if (ph[i].p_type == PT_DYNAMIC) {
			read_dynamic(fd, ph, eh.e_phnum, &ph[i], soname, needed);
			return;
		}
	}
}
