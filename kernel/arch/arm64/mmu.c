/* SPDX-License-Identifier: MIT */
/*
 * The kernel's own translation: an identity map at EL2, built once at boot
 * from bootinfo while the MMU is still off.  RAM that is free or loaded is
 * Normal write-back, inner shareable; the devices that the kernel drives are
 * Device-nGnRE; nothing else is mapped, so speculation cannot touch what
 * belongs to firmware.  Kernel text is read-execute, its rodata read-only,
 * everything else read-write and never executable.
 *
 * Table pages are cut off the end of a free memory range before the first
 * Untyped is made of it (DESIGN 1.3).
 */
#include "arch_arm64.h"

enum {
	ENTRIES		= 512,
	/* Stage 1 descriptors (Arm ARM DDI 0487 D8.3). */
	DESC_BLOCK	= 1,
	DESC_TABLE	= 3,
	DESC_PAGE	= 3,
	DESC_RES1	= 1 << 6,	/* AP[1] at EL2 */
	DESC_RO		= 1 << 7,
	DESC_INNER	= 3 << 8,
	DESC_AF		= 1 << 10,
	ATTR_NORMAL	= 0 << 2,
	ATTR_DEVICE	= 1 << 2,
};
#define DESC_XN		(1UL << 54)
#define DESC_ADDRESS	0x0000fffffffff000UL

#define MAP_COMMON	(DESC_RES1 | DESC_INNER | DESC_AF)
#define MAP_RW		(MAP_COMMON | ATTR_NORMAL | DESC_XN)
#define MAP_RO		(MAP_COMMON | ATTR_NORMAL | DESC_XN | DESC_RO)
#define MAP_RX		(MAP_COMMON | ATTR_NORMAL | DESC_RO)
#define MAP_IO		(MAP_COMMON | ATTR_DEVICE | DESC_XN)

static struct boot_memory *reserve;	/* free range that table pages come from */
static uint64_t *root;

/* The largest free range gives the tables; it is shortened page by page. */
static void
reserve_choose(struct bootinfo *boot)
{
	reserve = NULL;
	for (uint32_t i = 0; i < boot->memory_count; i++) {
		struct boot_memory *m = &boot->memory[i];

		if (m->kind == BOOT_MEM_FREE && (reserve == NULL || m->size > reserve->size))
			reserve = m;
	}
}

/*
 * A cleared page.  The MMU is off, so stores go straight to memory; dirty
 * lines that firmware left for this address must not be written back over
 * them later, and clean ones must not be read (Arm ARM D7.5.2).
 */
static uint64_t *
table_new(void)
{
	uint64_t *table;

	if (reserve == NULL || reserve->size < ARCH_PAGE)
		boot_stop("no free memory for the kernel's page tables");
	reserve->size -= ARCH_PAGE;
	table = (uint64_t *)(reserve->base + reserve->size);
	cache_clean_invalidate((paddr_t)table, ARCH_PAGE);
	for (unsigned i = 0; i < ENTRIES; i++)
		((volatile uint64_t *)table)[i] = 0;
	return table;
}

static unsigned
level_shift(unsigned level)
{
	return 39 - 9 * level;
}

/* Map [base, end), page aligned, with the largest blocks that fit. */
static void
map_range(uint64_t *table, unsigned level, uint64_t base, uint64_t end, uint64_t attributes)
{
	uint64_t size = 1UL << level_shift(level);

	while (base < end) {
		volatile uint64_t *entry = &table[(base >> level_shift(level)) % ENTRIES];
		uint64_t next = (base & ~(size - 1)) + size;
		uint64_t stop = next < end ? next : end;

		if (level == 3) {
			*entry = base | attributes | DESC_PAGE;
		} else if (level > 0 && *entry == 0 && stop - base == size) {
			*entry = base | attributes | DESC_BLOCK;
		} else if ((*entry & 3) != DESC_BLOCK) {	/* a block there covers it already */
			if (*entry == 0)
				*entry = (uint64_t)table_new() | DESC_TABLE;
			map_range((uint64_t *)(*entry & DESC_ADDRESS), level + 1, base, stop,
				  attributes);
		}
		base = stop;
	}
}

static void
map(uint64_t base, uint64_t end, uint64_t attributes)
{
	map_range(root, 0, base & ~(ARCH_PAGE - 1), (end + ARCH_PAGE - 1) & ~(ARCH_PAGE - 1),
		  attributes);
}

/* RAM, with a hole where the kernel's own sections go. */
static void
map_ram(uint64_t base, uint64_t end)
{
	uint64_t hole = (uint64_t)kernel_image, hole_end = (uint64_t)kernel_image_end;

	if (end <= hole || base >= hole_end) {
		map(base, end, MAP_RW);
		return;
	}
	if (base < hole)
		map(base, hole, MAP_RW);
	if (end > hole_end)
		map(hole_end, end, MAP_RW);
}

static bool
is_ram(const struct boot_memory *m)
{
	return m->kind == BOOT_MEM_FREE || m->kind == BOOT_MEM_LOADED;
}

/* Neighbours are mapped as one, so that blocks reach across them. */
static void
map_all_ram(const struct bootinfo *boot)
{
	for (uint32_t i = 0; i < boot->memory_count; i++) {
		uint64_t base = boot->memory[i].base, end = base + boot->memory[i].size;

		if (!is_ram(&boot->memory[i]))
			continue;
		while (i + 1 < boot->memory_count && is_ram(&boot->memory[i + 1]) &&
		       boot->memory[i + 1].base == end) {
			i++;
			end += boot->memory[i].size;
		}
		map_ram(base, end);
	}
}

static void
map_devices(const struct bootinfo *boot)
{
	const struct boot_gic *gic = &boot->gic;

	map(gic->dist_base, gic->dist_base + gic->dist_size, MAP_IO);
	for (uint32_t i = 0; i < gic->gicr_count; i++)
		map(gic->gicr[i].base, gic->gicr[i].base + gic->gicr[i].size, MAP_IO);
	for (uint32_t i = 0; i < gic->its_count; i++)
		map(gic->its[i].base, gic->its[i].base + gic->its[i].size, MAP_IO);
	for (uint32_t i = 0; i < boot->smmu_count; i++)
		map(boot->smmu[i].base, boot->smmu[i].base + boot->smmu[i].size, MAP_IO);
	if (boot->uart.kind != BOOT_UART_NONE)
		map(boot->uart.base, boot->uart.base + boot->uart.size, MAP_IO);
}

/* Returns the root; called once, on the boot CPU, with the MMU off. */
uint64_t
mmu_build(struct bootinfo *boot)
{
	struct boot_memory source;

	reserve_choose(boot);
	if (reserve == NULL)
		boot_stop("bootinfo names no free memory");
	source = *reserve;
	root = table_new();
	map((uint64_t)kernel_image, (uint64_t)text_end, MAP_RX);
	map((uint64_t)text_end, (uint64_t)rodata_end, MAP_RO);
	map((uint64_t)rodata_end, (uint64_t)kernel_image_end, MAP_RW);
	map_devices(boot);
	map_all_ram(boot);
	/* The tables themselves were cut off that range as it was mapped. */
	map_ram(reserve->base, source.base + source.size);
	return (uint64_t)root;
}

/* For tables that hardware needs: off the end of the same range. */
paddr_t
mmu_reserve(uint64_t bytes, uint64_t align)
{
	paddr_t end = reserve->base + reserve->size;
	paddr_t start = (end - bytes) & ~(align - 1) & ~(ARCH_PAGE - 1);

	if (bytes > reserve->size || start < reserve->base)
		boot_stop("no free memory for the tables of SMMU and ITS");
	reserve->size = start - reserve->base;
	for (uint64_t done = 0; done < bytes; done += ARCH_PAGE)
		arch_clear_memory(start + done, ARCH_PAGE);
	return start;
}
