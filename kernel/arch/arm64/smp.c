/* SPDX-License-Identifier: MIT */
/*
 * The CPUs: their records, stacks, and starting and stopping the others by
 * PSCI.  First they are started before a thread exists, so that what must be the
 * same on all of them is known; each waits until the boot CPU has made init.
 */
#include "arch_arm64.h"

enum {
	STACK_SIZE = 16384, CRASH_STACK_SIZE = 2048,
	START_SECONDS = 5,
};

enum { CPU_NOT_STARTED, CPU_WAITING, CPU_UNUSABLE };	/* arch_cpu.started */

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

bool
arch_cpu_start(unsigned id)
{
	extern char secondary_start[];
	struct cpu *cpu = &cpus[id];

	dsb_ish();
	return psci_cpu_on(cpu->arch.mpidr, (uint64_t)secondary_start, (uint64_t)cpu) == 0;
}

bool
arch_cpu_is_off(unsigned id)
{
	return psci_cpu_is_off(cpus[id].arch.mpidr);
}

/*
 * Idle, and asked to stop: threads that still have state in this CPU get it back.
 * It comes back by secondary_start, with everything as at the first time.
 */
void
smp_cpu_leave(struct cpu *cpu)
{
	if (cpu->arch.fp_owner != NULL)
		arch_thread_release(cpu->arch.fp_owner);
	if (cpu->arch.loaded_thread != NULL)
		arch_thread_release(cpu->arch.loaded_thread);
	if (!kernel_cpu_leaves(cpu))
		return;
	arch_timer_set(NEVER);
	gic_cpu_silence(true);
	kernel_unlock(cpu);
	psci_cpu_off();
	kernel_lock(cpu);
	gic_cpu_silence(false);
	cpu->stop_refused = 1;
	kernel_cpu_online(cpu, cpu->id);
}

/* False: it did not come up; nothing more is started then, its record may still be taken. */
static bool
cpu_start(struct cpu *cpu, const struct boot_cpu *info, unsigned id)
{
	uint64_t limit = arch_now() + START_SECONDS * sysreg_read("cntfrq_el0");

	smp_cpu_prepare(cpu, id, mpidr_affinity(info->mpidr));
	if (!arch_cpu_start(id))
		return false;
	while (__atomic_load_n(&cpu->arch.started, __ATOMIC_ACQUIRE) == CPU_NOT_STARTED)
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
