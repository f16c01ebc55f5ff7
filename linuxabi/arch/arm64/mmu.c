/* SPDX-License-Identifier: MIT */
/*
 * The kernel half of the address space: the linear map, LINEAR_BASE + IPA, in
 * blocks of 1 GiB, but for the GiB that holds our own image, which is protected
 * page by page: text read-only and executable, read-only data, the rest writable
 * and never executable (Arm ARM DDI 0487 D8.3, D8.4).
 *
 * A block may cover IPAs behind which init put nothing: touching those is a
 * stage-2 fault, and nobody does.
 */
#include <proto/world.h>

#include "internal.h"

enum {
	D_VALID = 1, D_TABLE = 2, D_PAGE = 2,
	D_SH_INNER = 3 << 8, D_AF = 1 << 10, D_RO = 1 << 7,
	IMAGE_L3 = 8,				/* tables: up to 16 MiB of image */
};
#define D_PXN	(1UL << 53)
#define D_UXN	(1UL << 54)
#define GIB	(1UL << 30)
#define BLOCK2	(1UL << 21)

extern char image_start[], text_end[], rodata_end[], image_end[];

static uint64_t kernel_l0[512] __attribute__((aligned(4096)));
static uint64_t kernel_l1[512] __attribute__((aligned(4096)));
static uint64_t kernel_l2[512] __attribute__((aligned(4096)));
static uint64_t kernel_l3[IMAGE_L3][512] __attribute__((aligned(4096)));
static uint64_t empty_l0[512] __attribute__((aligned(4096)));

uint64_t secondary_gate;
uint64_t secondary_stacks[MAX_CPUS];

#define DATA	(D_VALID | D_SH_INNER | D_AF | D_PXN | D_UXN)

static uint64_t
page_attributes(uint64_t va)
{
	if (va >= (uint64_t)image_start && va < (uint64_t)text_end)
		return (DATA & ~D_PXN) | D_RO;
	if (va >= (uint64_t)text_end && va < (uint64_t)rodata_end)
		return DATA | D_RO;
	return DATA;
}

static void
map_image_block(uint64_t ipa, unsigned index, unsigned table)
{
	for (unsigned i = 0; i < 512; i++) {
		uint64_t a = ipa + i * (uint64_t)PAGE_SIZE;

		kernel_l3[table][i] = a | page_attributes(a + LINEAR_BASE) | D_PAGE;
	}
	kernel_l2[index] = virt_to_ipa(kernel_l3[table]) | D_VALID | D_TABLE;
}

void
mmu_init(void)
{
	ipa_t image = virt_to_ipa(image_start), end = virt_to_ipa(image_end);
	uint64_t image_gib = image / GIB;
	unsigned table = 0;

	for (unsigned i = 0; i < 512; i++)
		kernel_l1[i] = i * GIB | DATA;
	for (unsigned i = 0; i < 512; i++) {
		ipa_t a = image_gib * GIB + i * BLOCK2;

		if (a + BLOCK2 <= image || a >= end) {
			kernel_l2[i] = a | DATA;
			continue;
		}
		if (table == IMAGE_L3)
			panic("the image is larger than %u MiB", IMAGE_L3 * 2);
		map_image_block(a, i, table++);
	}
	kernel_l1[image_gib] = virt_to_ipa(kernel_l2) | D_VALID | D_TABLE;
	kernel_l0[0] = virt_to_ipa(kernel_l1) | D_VALID | D_TABLE;
	dsb_ish();
	write_sysreg(ttbr1_el1, virt_to_ipa(kernel_l0));
	isb();
	/* The old map differs in sizes of blocks as well: nothing of it may stay (D8.14). */
	__asm__ volatile("tlbi vmalle1" : : : "memory");
	dsb_ish();
	isb();
	mmu_user_none();
}

void
mmu_user_none(void)
{
	write_sysreg(ttbr0_el1, virt_to_ipa(empty_l0));
	isb();
}

ipa_t mmu_empty_table(void) { return virt_to_ipa(empty_l0); }

/* Secondaries read it with their caches off. */
void
mmu_open_gate(void)
{
	dcache_clean_invalidate(secondary_stacks, sizeof(secondary_stacks));
	WRITE_ONCE(secondary_gate, virt_to_ipa(kernel_l0));
	dcache_clean_invalidate(&secondary_gate, sizeof(secondary_gate));
	__asm__ volatile("sev");
}
