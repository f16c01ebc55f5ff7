/* SPDX-License-Identifier: MIT */
/*
 * PSCI 1.1 (ARM DEN 0022): power of the machine and of its CPUs, by SMC or HVC
 * as the firmware said.
 */
#include "arch_arm64.h"

enum {
	PSCI_CPU_OFF		= 0x84000002,
	PSCI_SYSTEM_OFF		= 0x84000008,
	PSCI_SYSTEM_RESET	= 0x84000009,
};
#define PSCI_CPU_ON		0xc4000003UL
#define PSCI_AFFINITY_INFO	0xc4000004UL
enum { AFFINITY_OFF = 1 };

static uint32_t conduit;

void
psci_init(uint32_t boot_conduit)
{
	conduit = boot_conduit;
}

/* SMC calling convention 1.1 (ARM DEN 0028): x0..x3 in and out, x4..x17 may be lost. */
static int64_t
psci_call(uint64_t function, uint64_t arg0, uint64_t arg1, uint64_t arg2)
{
	register uint64_t x0 __asm__("x0") = function;
	register uint64_t x1 __asm__("x1") = arg0;
	register uint64_t x2 __asm__("x2") = arg1;
	register uint64_t x3 __asm__("x3") = arg2;

	if (conduit == BOOT_PSCI_SMC)
		__asm__ volatile("smc #0" : "+r"(x0), "+r"(x1), "+r"(x2), "+r"(x3) : :
			"x4", "x5", "x6", "x7", "x8", "x9", "x10", "x11", "x12", "x13",
			"x14", "x15", "x16", "x17", "memory");
	else if (conduit == BOOT_PSCI_HVC)
		__asm__ volatile("hvc #0" : "+r"(x0), "+r"(x1), "+r"(x2), "+r"(x3) : :
			"x4", "x5", "x6", "x7", "x8", "x9", "x10", "x11", "x12", "x13",
			"x14", "x15", "x16", "x17", "memory");
	else
		return -1;
	return (int64_t)x0;
}

int64_t
psci_cpu_on(uint64_t mpidr, uint64_t entry, uint64_t context)
{
	return psci_call(PSCI_CPU_ON, mpidr, entry, context);
}

void
psci_cpu_off(void)
{
	psci_call(PSCI_CPU_OFF, 0, 0, 0);
}

bool
psci_cpu_is_off(uint64_t mpidr)
{
	return psci_call(PSCI_AFFINITY_INFO, mpidr, 0, 0) == AFFINITY_OFF;
}

_Noreturn void
arch_halt(void)
{
	for (;;)
		__asm__ volatile("wfi");
}

void
arch_power_off(void)
{
	psci_call(PSCI_SYSTEM_OFF, 0, 0, 0);
	arch_halt();
}

void
arch_reset(void)
{
	psci_call(PSCI_SYSTEM_RESET, 0, 0, 0);
	arch_halt();
}
