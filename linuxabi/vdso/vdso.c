/* SPDX-License-Identifier: MIT */
/*
 * The vDSO in a program's space: the data page, then the shared object's pages.
 * They belong to the image, so table entries carry PTE_SPECIAL: no references.
 */
#include "../mm/internal.h"
#include "vdso_data.h"

extern const char vdso_image_start[], vdso_image_end[];

static union {
	struct vdso_data data;
	char page[PAGE_SIZE];
} data_page __attribute__((aligned(4096)));

struct vdso_data *const vdso_data = &data_page.data;

static uint64_t sigreturn_offset;

/* The parts of ELF that our own linker made; nothing here is input. */
struct dyn { int64_t tag; uint64_t value; };
struct sym { uint32_t name; uint8_t info, other; uint16_t section; uint64_t value, size; };
enum { DT_HASH_ = 4, DT_STRTAB_ = 5, DT_SYMTAB_ = 6, PT_DYNAMIC_ = 2 };

static uint64_t
dynamic_offset(void)
{
	uint64_t phoff;
	uint16_t count;

	memcpy(&phoff, vdso_image_start + 32, sizeof(phoff));
	memcpy(&count, vdso_image_start + 56, sizeof(count));
	for (unsigned i = 0; i < count; i++) {
		const char *p = vdso_image_start + phoff + i * 56;
		uint32_t type;
		uint64_t offset;

		memcpy(&type, p, sizeof(type));
		memcpy(&offset, p + 8, sizeof(offset));
		if (type == PT_DYNAMIC_)
			return offset;
	}
	panic("vdso: no dynamic section");
}

static uint64_t
symbol_offset(const char *name)
{
	const struct dyn *d = (const void *)(vdso_image_start + dynamic_offset());
	const struct sym *sym = NULL;
	const char *str = NULL;
	const uint32_t *hash = NULL;

	for (; d->tag != 0; d++) {
		if (d->tag == DT_HASH_)
			hash = (const void *)(vdso_image_start + d->value);
		else if (d->tag == DT_STRTAB_)
			str = vdso_image_start + d->value;
		else if (d->tag == DT_SYMTAB_)
			sym = (const void *)(vdso_image_start + d->value);
	}
	for (uint32_t i = 0; hash != NULL && i < hash[1]; i++)
		if (strcmp(str + sym[i].name, name) == 0)
			return sym[i].value;
	panic("vdso: no %s", name);
}

void
vdso_init(void)
{
	sigreturn_offset = symbol_offset("__kernel_rt_sigreturn");
}

size_t
vdso_size(void)
{
	return PAGE_SIZE + (size_t)(vdso_image_end - vdso_image_start);
}

static long
map_part(struct mm *mm, uaddr_t start, uaddr_t end, uint64_t first, uint32_t flags, const char *name)
{
	struct vma *v = vma_alloc(mm);

	if (v == NULL)
		return -ENOMEM;
	v->start = start;
	v->end = end;
	v->pgoff = first;
	v->flags = flags | VMA_READ | VMA_SPECIAL;
	v->name = name;
	vma_insert(mm, v);
	return 0;
}

long
vdso_map(struct mm *mm, uaddr_t base)
{
	long r = map_part(mm, base, base + PAGE_SIZE, 0, 0, "[vvar]");

	if (r == 0)
		r = map_part(mm, base + PAGE_SIZE, base + vdso_size(), 1, VMA_EXEC, "[vdso]");
	mm->vdso = base + PAGE_SIZE;
	return r;
}

/* The page of the area at addr: number 0 is the data page. */
long
vdso_fault(struct vma *v, uaddr_t addr, struct pte *e)
{
	uint64_t n = v->pgoff + ((addr - v->start) >> PAGE_SHIFT);
	const char *page = n == 0 ? data_page.page : vdso_image_start + ((n - 1) << PAGE_SHIFT);

	e->page = virt_to_ipa(page);
	e->flags = vma_pte_flags(v) | PTE_SPECIAL;
	return 0;
}

uaddr_t
mm_vdso_sigreturn(const struct mm *mm)
{
	return mm->vdso + sigreturn_offset;
}
