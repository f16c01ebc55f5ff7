/* SPDX-License-Identifier: MIT */
/*
 * From the loader's jump to the first thread (state at entry: tessera/
 * bootinfo.h).  Order: tables with the MMU off; console; this CPU's registers
 * and GIC; the other CPUs, which wait; SMMUs, which from now on refuse all DMA,
 * and ITSs; core makes Untypeds and init; all CPUs enter the scheduler.
 */
#include "arch_arm64.h"

static const struct bootinfo *boot_info;

/* There is no log yet, and perhaps no console: firmware's UART is tried. */
_Noreturn void
boot_stop(const char *why)
{
	size_t n = 0;

	while (why[n] != '\0')
		n++;
	arch_console_write("kernel: cannot boot: ", 21);
	arch_console_write(why, n);
	arch_console_write("\n", 1);
	arch_halt();
}

static void
bootinfo_check(const struct bootinfo *boot)
{
	if (boot->magic != BOOTINFO_MAGIC || boot->version != BOOTINFO_VERSION ||
	    boot->size != sizeof(*boot))
		boot_stop("bootinfo of another version");
	if (boot->memory_count > BOOT_MAX_MEMORY || boot->cpu_count > BOOT_MAX_CPUS ||
	    boot->cpu_count == 0 || boot->gic.gicr_count > BOOT_MAX_GICR ||
	    boot->gic.its_count > BOOT_MAX_ITS || boot->smmu_count > BOOT_MAX_SMMU)
		boot_stop("bootinfo with impossible counts");
	if (boot->gic.dist_base == 0 || boot->gic.gicr_count == 0)
		boot_stop("bootinfo names no GICv3");
	if (boot->timer.el2_phys_intid < 16 || boot->timer.el2_phys_intid > 31 ||
	    boot->timer.virt_intid < 16 || boot->timer.virt_intid > 31)
		boot_stop("bootinfo names no EL2 timer or virtual timer");
}

/* MMU off: aligned accesses to Device memory (-mstrict-align).  Returns the
 * root of the kernel's tables. */
uint64_t
boot_with_mmu_off(struct bootinfo *boot)
{
	cache_init();
	uart_init(&boot->uart);
	bootinfo_check(boot);
	cache_clean_invalidate((paddr_t)boot, sizeof(*boot));	/* mmu_build shortens a range */
	boot_root = mmu_build(boot);
	return boot_root;
}

/* Into the scheduler, for good. */
_Noreturn void
cpu_run(struct cpu *cpu, unsigned id)
{
	el2_init_stage2();
	kernel_lock(cpu);
	kernel_cpu_online(cpu, id);
	cpu_enter_first(cpu);
}

_Noreturn void
boot_main(struct bootinfo *boot)
{
	struct cpu *cpu = &cpus[0];
	unsigned count;

	boot_info = boot;
	smp_cpu_prepare(cpu, 0, sysreg_read("mpidr_el1") & 0xff00ffffffUL);
	sysreg_write("tpidr_el2", (uint64_t)cpu);
	psci_init(boot->psci);
	el2_init();
	gic_init(boot);
	if (!gic_cpu_init(&cpu->arch))
		boot_stop("the boot CPU has no redistributor");
	count = smp_start(boot);
	log_text("kernel: CPUs ");
	log_hex(count);
	log_text(", PARange ");
	log_hex(el2_pa_range());
	log_text("\n");
	smmu_init(boot);
	its_init(boot, count);
	kernel_lock_init(count);
	kernel_lock(cpu);
	kernel_start(boot, count);
	kernel_unlock(cpu);
	smp_release();
	cpu_run(cpu, 0);
}

/*
 * Kernel image, and the devices that the kernel drives or will drive: GIC,
 * ITS, SMMU.  The UART is not among them: a driver takes it over.
 */
bool
arch_reserved_range(unsigned n, paddr_t *base, uint64_t *bytes)
{
	const struct boot_gic *gic = &boot_info->gic;
	struct boot_range range;

	if (n == 0) {
		range = boot_info->kernel;
	} else if (n == 1) {
		range = (struct boot_range){ gic->dist_base, gic->dist_size };
	} else if ((n -= 2) < gic->gicr_count) {
		range = gic->gicr[n];
	} else if ((n -= gic->gicr_count) < gic->its_count) {
		range = gic->its[n];
	} else if ((n -= gic->its_count) < boot_info->smmu_count) {
		range = (struct boot_range){ boot_info->smmu[n].base, boot_info->smmu[n].size };
	} else {
		return false;
	}
	*base = range.base;
	*bytes = range.size;
	return true;
}
