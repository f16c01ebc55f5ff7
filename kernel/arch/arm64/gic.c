/* SPDX-License-Identifier: MIT */
/*
 * GICv3 (IHI 0069 H): distributor, redistributors, CPU interfaces.  All
 * interrupts are Group 1, Non-secure; this works with one security state (QEMU)
 * and, through the Non-secure view, with two (boards).  EOImode is 1: taking
 * an interrupt drops its priority at once, while a device's interrupt stays
 * active, and so silent, until its handler acknowledges it.
 */
#include "arch_arm64.h"

enum {
	GICD_CTLR = 0x0, GICD_TYPER = 0x4, GICD_IGROUPR = 0x80, GICD_ISENABLER = 0x100,
	GICD_ICENABLER = 0x180, GICD_ISPENDR = 0x200, GICD_ICPENDR = 0x280, GICD_ICACTIVER = 0x380,
	GICD_IPRIORITYR = 0x400, GICD_ICFGR = 0xc00,
	GICD_IROUTER = 0x6000,
	GICD_CTLR_RWP = 1u << 31, GICD_CTLR_ARE_NS = 1 << 4, GICD_CTLR_GRP1_NS = 1 << 1,

	GICR_CTLR = 0x0, GICR_TYPER = 0x8, GICR_WAKER = 0x14,
	GICR_CTLR_RWP = 1 << 3,
	GICR_WAKER_SLEEP = 1 << 1, GICR_WAKER_ASLEEP = 1 << 2,
	GICR_SGI = 0x10000,		/* the frame of SGIs and PPIs */
	GICR_FRAMES = 0x20000, GICR_FRAMES_VLPI = 0x40000,

	GIC_PRIORITY = 0xa0,
	GIC_PRIORITIES = GIC_PRIORITY * 0x01010101u,
	SPI_FIRST = 32, SPI_LIMIT = 1020,
	POLL_LIMIT = 10000000,
};
#define GICR_TYPER_VLPIS	(1UL << 1)
#define GICR_TYPER_LAST		(1UL << 4)

static uint64_t dist;
static const struct boot_gic *gic;
static uint32_t lines;			/* interrupt ids below this exist */
static uint32_t timer_intid, vtimer_intid;
static uint32_t own_lines[2 * BOOT_MAX_SMMU];	/* SPIs that no driver may have */
static unsigned own_line_count;

uint32_t gic_timer_intid(void) { return timer_intid; }
uint32_t gic_vtimer_intid(void) { return vtimer_intid; }

static void
wait_clear(uint64_t reg, uint32_t bit)
{
	for (unsigned n = 0; n < POLL_LIMIT; n++)
		if ((mmio_read32(reg) & bit) == 0)
			return;
}

/* Register `word` of a bank with one bit to an interrupt. */
static uint64_t
bit_register(uint64_t bank, uint32_t intid)
{
	return dist + bank + 4UL * (intid / 32);
}

static void
distributor_init(void)
{
	mmio_write32(dist + GICD_CTLR, 0);
	wait_clear(dist + GICD_CTLR, GICD_CTLR_RWP);
	lines = 32 * ((mmio_read32(dist + GICD_TYPER) & 0x1f) + 1);
	if (lines > SPI_LIMIT)
		lines = SPI_LIMIT;
	for (uint32_t i = SPI_FIRST; i < lines; i += 32) {
		mmio_write32(bit_register(GICD_ICENABLER, i), ~0u);
		mmio_write32(bit_register(GICD_ICPENDR, i), ~0u);
		mmio_write32(bit_register(GICD_ICACTIVER, i), ~0u);
		mmio_write32(bit_register(GICD_IGROUPR, i), ~0u);
	}
	for (uint32_t i = SPI_FIRST; i < lines; i += 4)
		mmio_write32(dist + GICD_IPRIORITYR + i, GIC_PRIORITIES);
	/* Affinity routing first, then the group (GIC 12.9.4: ARE changes only while disabled). */
	mmio_write32(dist + GICD_CTLR, GICD_CTLR_ARE_NS);
	wait_clear(dist + GICD_CTLR, GICD_CTLR_RWP);
	mmio_write32(dist + GICD_CTLR, GICD_CTLR_ARE_NS | GICD_CTLR_GRP1_NS);
	wait_clear(dist + GICD_CTLR, GICD_CTLR_RWP);
}

void
gic_init(const struct bootinfo *boot)
{
	gic = &boot->gic;
	dist = gic->dist_base;
	timer_intid = boot->timer.el2_phys_intid;
	vtimer_intid = boot->timer.virt_intid;
	distributor_init();
}

/* Aff3..Aff0 as GICR_TYPER[63:32] shows them, out of an MPIDR. */
static uint32_t
affinity(uint64_t mpidr)
{
	return (uint32_t)((mpidr >> 8 & 0xff000000) | (mpidr & 0xffffff));
}

/* The redistributor whose affinity is the CPU's; regions hold several (GIC 12.11). */
static uint64_t
redistributor_find(uint64_t mpidr)
{
	for (uint32_t i = 0; i < gic->gicr_count; i++) {
		uint64_t base = gic->gicr[i].base, end = base + gic->gicr[i].size;

		while (base + GICR_FRAMES <= end) {
			uint64_t typer = mmio_read64(base + GICR_TYPER);

			if (typer >> 32 == affinity(mpidr))
				return base;
			if ((typer & GICR_TYPER_LAST) != 0)
				break;
			base += (typer & GICR_TYPER_VLPIS) != 0 ? GICR_FRAMES_VLPI : GICR_FRAMES;
		}
	}
	return 0;
}

static void
redistributor_init(struct arch_cpu *cpu)
{
	uint64_t sgi = cpu->gicr + GICR_SGI;

	mmio_write32(cpu->gicr + GICR_WAKER,
		     mmio_read32(cpu->gicr + GICR_WAKER) & ~(uint32_t)GICR_WAKER_SLEEP);
	wait_clear(cpu->gicr + GICR_WAKER, GICR_WAKER_ASLEEP);
	mmio_write32(sgi + GICD_ICENABLER, ~0u);
	mmio_write32(sgi + GICD_ICPENDR, ~0u);
	mmio_write32(sgi + GICD_ICACTIVER, ~0u);
	mmio_write32(sgi + GICD_IGROUPR, ~0u);
	for (uint32_t i = 0; i < SPI_FIRST; i += 4)
		mmio_write32(sgi + GICD_IPRIORITYR + i, GIC_PRIORITIES);
	wait_clear(cpu->gicr + GICR_CTLR, GICR_CTLR_RWP);
	mmio_write32(sgi + GICD_ISENABLER, 1u << INTID_KICK | 1u << timer_intid | 1u << vtimer_intid);
}

/* The CPU interface by system registers (GIC 12.2), and the virtual one, empty. */
static void
cpu_interface_init(void)
{
	uint64_t list_registers;

	sysreg_write(ICC_SRE_EL2, 0xf);		/* SRE, DFB, DIB, Enable */
	isb();
	sysreg_write(ICC_SRE_EL1, 0x7);
	isb();
	sysreg_write(ICC_CTLR, 1 << 1);		/* EOImode: drop and deactivate apart */
	sysreg_write(ICC_PMR, 0xff);
	sysreg_write(ICC_BPR1, 0);
	sysreg_write(ICC_IGRPEN1, 1);
	list_registers = (sysreg_read(ICH_VTR) & 0x1f) + 1;
	if (list_registers < 2)
		boot_stop("the GIC has fewer than two list registers");
	sysreg_write(ICH_HCR, 0);
	sysreg_write(ICH_VMCR, 0);
	sysreg_write(ICH_AP0R0, 0);
	sysreg_write(ICH_AP1R0, 0);
	sysreg_write(ICH_LR0, 0);
	sysreg_write(ICH_LR1, 0);
	isb();
}

/* False: no redistributor has this CPU's affinity. */
bool
gic_cpu_init(struct arch_cpu *cpu)
{
	uint64_t mpidr = cpu->mpidr;
	uint64_t aff0 = mpidr & 0xff;

	cpu->gicr = redistributor_find(mpidr);
	if (cpu->gicr == 0)
		return false;
	/* ICC_SGI1R_EL1 (GIC 12.2.20): Aff3, range of Aff0, Aff2, INTID, Aff1, one target. */
	cpu->sgi_target = (mpidr >> 32 & 0xff) << 48 | (aff0 >> 4) << 44 | (mpidr >> 16 & 0xff) << 32 |
		(uint64_t)INTID_KICK << 24 | (mpidr >> 8 & 0xff) << 16 | 1UL << (aff0 & 0xf);
	redistributor_init(cpu);
	cpu_interface_init();
	return true;
}

void
gic_cpu_silence(bool silent)
{
	sysreg_write(ICC_IGRPEN1, silent ? 0 : 1);
	isb();
}

void
arch_kick_cpu(unsigned cpu)
{
	gic_kick(&cpus[cpu].arch);
}

/* A kick makes its CPU enter the kernel; what it is about stands in memory. */
void
gic_kick(const struct arch_cpu *cpu)
{
	__asm__ volatile("dsb ishst" : : : "memory");	/* the reason before the interrupt (GIC 12.1.4) */
	sysreg_write(ICC_SGI1R, cpu->sgi_target);
	isb();
}

/* SPIs belong to drivers; SGIs, PPIs and the SMMUs' lines are the kernel's. */
bool
arch_irq_usable(uint32_t intid)
{
	for (unsigned i = 0; i < own_line_count; i++)
		if (own_lines[i] == intid)
			return false;
	return intid >= SPI_FIRST && intid < lines;
}

void
gic_take_line(uint32_t intid)
{
	if (!arch_irq_usable(intid))
		return;			/* none, or two causes share it */
	arch_irq_configure(intid, true);
	arch_irq_enable(intid, 0);
	own_lines[own_line_count++] = intid;
}

/* As if it had fired: the rest of its work is done when other interrupts had their turn. */
void
gic_raise_line(uint32_t intid)
{
	if (intid >= SPI_FIRST && intid < lines)
		mmio_write32(bit_register(GICD_ISPENDR, intid), 1u << intid % 32);
}

/* GICD_TYPER (GIC 12.9.38): LPIS, IDbits. */
uint32_t
gic_lpi_bits(void)
{
	uint32_t typer = mmio_read32(dist + GICD_TYPER);

	return (typer & 1u << 17) != 0 ? (typer >> 19 & 0x1f) + 1 : 0;
}

/* The trigger changes only while the line is disabled (GIC 12.9.9). */
void
arch_irq_configure(uint32_t intid, bool edge)
{
	uint64_t config = dist + GICD_ICFGR + 4UL * (intid / 16);
	uint32_t field = 2u << (intid % 16 * 2);
	uint32_t value = mmio_read32(config) & ~field;

	arch_irq_disable(intid);
	mmio_write32(config, edge ? value | field : value);
}

void
arch_irq_enable(uint32_t intid, unsigned cpu)
{
	if (intid >= LPI_FIRST) {
		its_lpi_enable(intid, cpu);
		return;
	}
	mmio_write64(dist + GICD_IROUTER + 8UL * intid, cpus[cpu].arch.mpidr & 0xff00ffffffUL);
	mmio_write32(bit_register(GICD_ISENABLER, intid), 1u << intid % 32);
}

/* Silence it for good: disabled everywhere, neither pending nor active. */
void
arch_irq_disable(uint32_t intid)
{
	uint32_t bit = 1u << intid % 32;

	if (intid >= LPI_FIRST) {
		its_lpi_disable(intid);
		return;
	}
	mmio_write32(bit_register(GICD_ICENABLER, intid), bit);
	wait_clear(dist + GICD_CTLR, GICD_CTLR_RWP);
	mmio_write32(bit_register(GICD_ICPENDR, intid), bit);
	mmio_write32(bit_register(GICD_ICACTIVER, intid), bit);
}

/* Active ends: a level that is still up interrupts again (GIC 4.1.2).  LPIs have
 * no active state (GIC 5.1.1). */
void
arch_irq_ack(uint32_t intid)
{
	if (intid < LPI_FIRST)
		sysreg_write(ICC_DIR, intid);
}

void
arch_irq_mask(uint32_t intid)
{
	if (intid >= LPI_FIRST)
		its_lpi_mask(intid);
}

/*
 * The virtual timer's line is active here on behalf of a VCPU (GIC 4.1.3):
 * taken along when the VCPU leaves the CPU, set when it comes.
 */
void
gic_vtimer_set_active(const struct arch_cpu *cpu, bool active)
{
	if (active)
		mmio_write32(cpu->gicr + GICR_SGI + 0x300, 1u << vtimer_intid);	/* GICR_ISACTIVER0 */
	else
		mmio_write32(cpu->gicr + GICR_SGI + GICD_ICACTIVER, 1u << vtimer_intid);
}
