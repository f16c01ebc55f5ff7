/* SPDX-License-Identifier: MIT */
/*
 * The CPUs: their records, stacks, and starting the others by PSCI.  They are
 * started before the first thread exists, so that what must be the same on all
 * of them is known; each waits until the boot CPU has made init.
 */
#include "arch_arm64.h"

enum {
	STACK_SIZE = 16384, CRASH_STACK_SIZE = 2048,
	START_SECONDS = 5,
};

enum { CPU_OFF, CPU_WAITING, CPU_UNUSABLE };	/* arch_cpu.started */

uint64_t boot_root;

static _Alignas(16) uint8_t stacks[ARCH_MAX_CPUS][STACK_SIZE];
static _Alignas(16) uint8_t crash_stacks[ARCH_MAX_CPUS][CRASH_STACK_SIZE];
static uint32_t released;
static unsigned cpus_used;

/* The record and stacks of CPU id; the CPU itself does not run yet. */
void
smp_cpu_prepare(struct cpu *cpu, unsigned id, uint64_t mpidr)
{
	cpu->id = id;
	cpu->arch.mpidr = mpidr;
	cpu->arch.stack_top = (uint64_t)stacks[id] + STACK_SIZE;
	cpu->arch.crash_stack_top = (uint64_t)crash_stacks[id] + CRASH_STACK_SIZE;
}

/* MPIDR_EL1 with its affinity fields alone. */
static uint64_t
mpidr_affinity(uint64_t mpidr)
{
	return mpidr & 0xff00ffffffUL;
}

/* On a new CPU, with MMU and stack.  What it finds out it writes before `started`. */
_Noreturn void
secondary_main(struct cpu *cpu)
{
	bool usable;

	sysreg_write("tpidr_el2", (uint64_t)cpu);
	el2_init();
	usable = gic_cpu_init(&cpu->arch);
	__atomic_store_n(&cpu->arch.started, usable ? CPU_WAITING : CPU_UNUSABLE, __ATOMIC_RELEASE);
	while (__atomic_load_n(&released, __ATOMIC_ACQUIRE) == 0)
		__asm__ volatile("wfe");
	if (!usable || cpu->id >= cpus_used)
		arch_halt();		/* came too late to be counted */
	cpu_run(cpu, cpu->id);
}

/* False: it did not come up; nothing more is started then, its record may still be taken. */
static bool
cpu_start(struct cpu *cpu, const struct boot_cpu *info, unsigned id)
{
	extern char secondary_start[];
	uint64_t limit = arch_now() + START_SECONDS * sysreg_read("cntfrq_el0");

	smp_cpu_prepare(cpu, id, mpidr_affinity(info->mpidr));
	dsb_ish();
	if (psci_cpu_on(cpu->arch.mpidr, (uint64_t)secondary_start, (uint64_t)cpu) != 0)
		return false;
	while (__atomic_load_n(&cpu->arch.started, __ATOMIC_ACQUIRE) == CPU_OFF)
		if (arch_now() > limit)
			return false;
	return cpu->arch.started == CPU_WAITING;
}

/* Start all CPUs that bootinfo names; how many run, the boot CPU included. */
unsigned
smp_start(const struct bootinfo *boot)
{
	unsigned count = 1;

	/* Secondary CPUs read this with their MMU off. */
	cache_clean_invalidate((paddr_t)&boot_root, sizeof(boot_root));
	for (uint32_t i = 1; i < boot->cpu_count && count < ARCH_MAX_CPUS; i++) {
		if (boot->cpu[i].enabled == 0)
			continue;
		if (!cpu_start(&cpus[count], &boot->cpu[i], count)) {
			log_text("kernel: a CPU did not start, mpidr ");
			log_hex(boot->cpu[i].mpidr);
			log_text("\n");
			break;
		}
		count++;
	}
	cpus_used = count;
	return count;
}

/* Let the waiting CPUs go; what the boot CPU made comes before `released`. */
void
smp_release(void)
{
	__atomic_store_n(&released, 1, __ATOMIC_RELEASE);
	dsb_ish();
	__asm__ volatile("sev");
}
