/* SPDX-License-Identifier: MIT */
/*
 * Included before everything else: arm64's own header, but for its access to
 * registers, which goes to the models; and the models' controls.
 */
#ifndef MOCK_H
#define MOCK_H

#define mmio_read32	real_mmio_read32
#define mmio_read64	real_mmio_read64
#define mmio_write32	real_mmio_write32
#define mmio_write64	real_mmio_write64
#include "../../arch/arm64/arch_arm64.h"
#undef mmio_read32
#undef mmio_read64
#undef mmio_write32
#undef mmio_write64
#include <kernel/core.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

uint32_t mmio_read32(uint64_t a);
uint64_t mmio_read64(uint64_t a);
void mmio_write32(uint64_t a, uint32_t v);
void mmio_write64(uint64_t a, uint64_t v);

#define EXPECT(truth) ((truth) ? (void)0 : failed(#truth, __FILE__, __LINE__))
_Noreturn void failed(const char *what, const char *file, int line);

/* memory.c: what a device sees of memory is what was written back, unless it snoops. */
extern bool snooping;
void memory_reset(void);
void *memory_new(uint64_t bytes, uint64_t align);	/* as retype makes it: zero, and written back */
uint64_t device_read64(paddr_t pa);
void device_write64(paddr_t pa, uint64_t value);

/* smmu_model.c: two of them. */
enum { MODEL_SMMUS = 2 };
#define SMMU_BASE(n)	(0x09050000ull + 0x40000 * (n))
struct smmu_traits {
	uint32_t stream_bits;
	bool has_abort;			/* GBPA is there */
	bool hyp_and_msi;		/* commands and registers that others have not */
	bool hung;			/* executes no commands */
};
void smmu_model_reset(const struct smmu_traits *traits);
bool smmu_model_access(uint64_t a, bool write, unsigned bytes, uint64_t *value);
/* A device's access; false: refused, and perhaps an event was recorded. */
bool smmu_model_dma(unsigned n, uint32_t stream, uint64_t iova, bool write, paddr_t *pa, uint64_t *memory_type);
bool smmu_model_error(unsigned n);	/* one that was not acknowledged */
bool smmu_model_aborts(unsigned n);	/* what it does while it is off */

/* its_model.c: one ITS, and the redistributors of the CPUs. */
enum { MODEL_CPUS = 3 };
#define ITS_BASE	0x08080000ull
#define GICR_BASE(cpu)	(0x080a0000ull + 0x20000 * (cpu))
void its_model_reset(bool by_address, bool fixed_pages);
bool its_model_access(uint64_t a, bool write, unsigned bytes, uint64_t *value);
/* A message; the CPU whose interrupt comes, -1: none, and the LPI. */
int its_model_message(uint32_t device, uint32_t event, uint32_t *lpi);

#endif
