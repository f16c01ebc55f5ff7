/* SPDX-License-Identifier: MIT */
/* From UEFI's memory map to ours. */
#include <string.h>

#include "efi.h"
#include "memory.h"

/* One painting cuts two ranges in two and fills the gaps between all of them. */
enum { SCRATCH = 2 * BOOT_MAX_MEMORY + 4 };

struct drawing {
	unsigned count;
	struct boot_memory range[SCRATCH];
};

static void
draw(struct drawing *d, uint64_t base, uint64_t end, uint32_t kind)
{
	struct boot_memory *last = d->count > 0 ? &d->range[d->count - 1] : NULL;

	if (base >= end)
		return;
	if (last != NULL && last->kind == kind && last->base + last->size == base) {
		last->size += end - base;
		return;
	}
	d->range[d->count++] = (struct boot_memory){ .base = base, .size = end - base, .kind = kind };
}

static uint64_t
least(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

/*
 * Old ranges lie in order; between and over them the new one is drawn where
 * `over` permits.  `gap` is the address up to which all is drawn.
 */
bool
memory_paint(struct bootinfo *info, uint64_t base, uint64_t size, uint32_t kind, unsigned over,
    struct complaint *why)
{
	static struct drawing d;	/* 12 KiB: too much for firmware's stack */
	uint64_t end = base + size, gap = base;

	d.count = 0;
	if (size == 0)
		return true;
	for (unsigned i = 0; i < info->memory_count; i++) {
		const struct boot_memory *m = &info->memory[i];
		uint64_t m_end = m->base + m->size;
		uint64_t in = m->base < base ? least(base, m_end) : m->base;
		uint64_t out = m_end > end ? (m->base > end ? m->base : end) : m_end;
		bool yields = (over & MEMORY_OVER(m->kind)) != 0;

		if ((over & MEMORY_OVER_GAPS) != 0 && m->base > gap)
			draw(&d, gap, least(m->base, end), kind);
		draw(&d, m->base, in, m->kind);
		draw(&d, in, out, yields ? kind : m->kind);
		draw(&d, out, m_end, m->kind);
		if (m_end > gap)
			gap = m_end;
	}
	if ((over & MEMORY_OVER_GAPS) != 0)
		draw(&d, gap, end, kind);
	if (d.count > BOOT_MAX_MEMORY)
		return complain(why, "the memory map has more than %d ranges", BOOT_MAX_MEMORY);
	memcpy(info->memory, d.range, d.count * sizeof(d.range[0]));
	info->memory_count = d.count;
	return true;
}

/* What becomes of each UEFI memory type once boot services have ended. */
static uint32_t
kind_of(uint32_t type)
{
	switch (type) {
	case EFI_LOADER_CODE:
	case EFI_LOADER_DATA:
	case EFI_BOOT_SERVICES_CODE:
	case EFI_BOOT_SERVICES_DATA:
	case EFI_CONVENTIONAL_MEMORY:
		return BOOT_MEM_FREE;
	case EFI_MEMORY_MAPPED_IO:
	case EFI_MEMORY_MAPPED_IO_PORT:
		return BOOT_MEM_DEVICE;
	default:
		return BOOT_MEM_FIRMWARE;
	}
}

bool
memory_from_efi(struct bootinfo *info, const void *map, uint64_t size, uint64_t descriptor_size,
    struct complaint *why)
{
	info->memory_count = 0;
	for (uint64_t at = 0; at + descriptor_size <= size; at += descriptor_size) {
		struct efi_memory_descriptor d;

		memcpy(&d, (const uint8_t *)map + at, sizeof(d));
		if (d.pages == 0)
			continue;
		if ((d.physical & 4095) != 0 || d.pages > UINT64_MAX >> 12 ||
		    d.physical + (d.pages << 12) < d.physical)
			return complain(why, "UEFI memory map: absurd range at 0x%llx",
			    U64(d.physical));
		if (!memory_paint(info, d.physical, d.pages << 12, kind_of(d.type),
		    MEMORY_OVER_GAPS, why))
			return false;
	}
	return true;
}

bool
memory_add_platform(struct bootinfo *info, const struct platform *p, struct complaint *why)
{
	for (unsigned i = 0; i < p->range_count; i++) {
		const struct boot_memory *r = &p->range[i];
		unsigned over = r->kind == BOOT_MEM_DEVICE ? MEMORY_OVER_GAPS :
		    MEMORY_OVER(BOOT_MEM_FREE);

		if (!memory_paint(info, r->base, r->size, r->kind, over, why))
			return false;
	}
	return true;
}
