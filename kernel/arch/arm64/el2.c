/* SPDX-License-Identifier: MIT */
/*
 * Every EL2 register gets a value before anything below EL2 runs: at reset
 * they are architecturally UNKNOWN (Arm ARM DDI 0487 D1.8.2), and firmware may
 * have used them.  Runs on each CPU, with the MMU on.
 */
#include "arch_arm64.h"

/* Smallest physical address size of the CPUs seen (ID_AA64MMFR0_EL1.PARange). */
static uint64_t pa_range = 5;

uint64_t
el2_pa_range(void)
{
	return pa_range;
}

static unsigned
id_field(uint64_t id, unsigned shift)
{
	return (unsigned)(id >> shift) & 0xf;
}

/* Note this CPU's address size; 52 bits need LPA2 descriptors, so 48 is the most. */
static void
pa_range_note(void)
{
	uint64_t range = id_field(sysreg_read("id_aa64mmfr0_el1"), 0);

	if (range < pa_range)
		pa_range = range;
}

/*
 * Optional features, each under its own ID field.  Fine-grained traps: all
 * registers 0 means "no additional trap" for the positive bits; the negative
 * ones (n...) guard features that stay hidden anyway (D19.2.43 ff).
 */
static void
el2_init_optional(void)
{
	uint64_t mmfr0 = sysreg_read("id_aa64mmfr0_el1");
	uint64_t mmfr1 = sysreg_read("id_aa64mmfr1_el1");
	uint64_t pfr0 = sysreg_read("id_aa64pfr0_el1");
	uint64_t dfr0 = sysreg_read("id_aa64dfr0_el1");

	if (id_field(mmfr0, 56) != 0) {			/* FEAT_FGT */
		sysreg_write("S3_4_C1_C1_4", 0);	/* HFGRTR_EL2 */
		sysreg_write("S3_4_C1_C1_5", 0);	/* HFGWTR_EL2 */
		sysreg_write("S3_4_C1_C1_6", 0);	/* HFGITR_EL2 */
		sysreg_write("S3_4_C3_C1_4", 0);	/* HDFGRTR_EL2 */
		sysreg_write("S3_4_C3_C1_5", 0);	/* HDFGWTR_EL2 */
	}
	if (id_field(mmfr1, 40) != 0)			/* FEAT_HCX: HCRX_EL2 */
		sysreg_write("S3_4_C1_C2_2", 0);
	if (id_field(mmfr0, 60) > 1)			/* FEAT_ECV: CNTPOFF_EL2 */
		sysreg_write("S3_4_C14_C0_6", 0);
	if (id_field(pfr0, 40) != 0)			/* MPAM2_EL2: trap the lot */
		sysreg_write("S3_4_C10_C5_0", 3UL << 48);
	if (id_field(pfr0, 28) >= 1)			/* RAS: VSESR_EL2, VDISR_EL2 */
		sysreg_write("S3_4_C5_C2_3", 0);
	if (id_field(dfr0, 40) != 0)			/* TRFCR_EL2 */
		sysreg_write("S3_4_C1_C2_1", 0);
}

void
el2_init(void)
{
	uint64_t pmcr_n = 0;
	unsigned pmu = id_field(sysreg_read("id_aa64dfr0_el1"), 8);

	pa_range_note();
	sysreg_write("cptr_el2", CPTR_FP_OFF);
	isb();
	if (pmu != 0 && pmu != 0xf)		/* MDCR_EL2.HPMN: all counters stay EL1's, and trapped */
		pmcr_n = (sysreg_read("pmcr_el0") >> 11) & 0x1f;
	sysreg_write("hcr_el2", HCR_BOOT);
	sysreg_write("hstr_el2", 0);
	sysreg_write("hacr_el2", 0);
	sysreg_write("mdcr_el2", MDCR_VALUE | pmcr_n);
	sysreg_write("vpidr_el2", sysreg_read("midr_el1"));
	sysreg_write("vmpidr_el2", sysreg_read("mpidr_el1"));
	sysreg_write("vttbr_el2", 0);
	sysreg_write("cnthctl_el2", CNTHCTL_COMPONENT);
	sysreg_write("cntvoff_el2", 0);
	sysreg_write("cnthp_ctl_el2", 0);
	sysreg_write("cntv_ctl_el0", 0);
	sysreg_write("cntp_ctl_el0", 0);
	sysreg_write("afsr0_el2", 0);
	sysreg_write("afsr1_el2", 0);
	sysreg_write("amair_el2", 0);
	el2_init_optional();

	/* EL1 and EL0 registers that act on components, or that only the kernel sets. */
	sysreg_write("sctlr_el1", SCTLR_EL1_COMPONENT);
	sysreg_write("cpacr_el1", CPACR_COMPONENT);
	sysreg_write("cntkctl_el1", CNTKCTL_COMPONENT);
	sysreg_write("mdscr_el1", 0);
	sysreg_write("osdlr_el1", 0);
	sysreg_write("oslar_el1", 0);
	if (pmu != 0 && pmu != 0xf)
		sysreg_write("pmuserenr_el0", 0);
	sysreg_write("contextidr_el1", 0);
	sysreg_write("tpidr_el0", 0);
	sysreg_write("tpidrro_el0", 0);
	sysreg_write("tpidr_el1", 0);
	isb();
}

/* Once every CPU's address size is known: stage 2, the same on all (D8.2.11). */
void
el2_init_stage2(void)
{
	sysreg_write("vtcr_el2", VTCR_VALUE | pa_range << 16);
	vspace_load(NULL);
	isb();
	__asm__ volatile("tlbi alle1; dsb nsh; isb" : : : "memory");
}
