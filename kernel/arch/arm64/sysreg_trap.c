/* SPDX-License-Identifier: MIT */
/*
 * System registers that a personality touches and that trap to EL2 (DESIGN
 * 3.1).  Three answers: the value that hides what the box does not have (ID
 * registers), nothing (registers that any Unix kernel sets up once and whose
 * effect is fixed here: read as zero, writes ignored), or an UNDEF at EL1 for
 * what a personality must not do: raise SGIs, use the physical timer, the PMU,
 * debug, LORegions.
 *
 * Encodings: Arm ARM DDI 0487 L.b D19.1.
 */
#include "arch_arm64.h"

/* Op0, Op1, CRn, CRm, Op2 as ESR_ELx.ISS holds them for EC 0x18 (D19.2.40). */
#define SYS(op0, op1, crn, crm, op2) \
	((uint32_t)(op0) << 20 | (uint32_t)(op2) << 17 | (uint32_t)(op1) << 14 | \
	 (uint32_t)(crn) << 10 | (uint32_t)(crm) << 1)
#define SYS_MASK	0x3ffc1eU
#define SYS_READ	1U

/* The fields of an ID register that a personality may see. */
#define FIELD(n)	(0xfUL << (n))

static uint64_t
limit_field(uint64_t id, unsigned shift, uint64_t most)
{
	uint64_t value = id >> shift & 0xf;

	return (id & ~FIELD(shift)) | (value < most ? value : most) << shift;
}

/* EL0 and EL1 in AArch64 only, FP, SIMD, GIC; CSV2 without SCXTNUM; no SVE, RAS, AMU, MPAM. */
static uint64_t
id_pfr0(void)
{
	uint64_t id = sysreg_read("id_aa64pfr0_el1") &
		(FIELD(16) | FIELD(20) | FIELD(24) | FIELD(48) | FIELD(56) | FIELD(60));

	return limit_field(id, 56, 1) | 0x11;
}

/* No tracing of any kind: the debug architecture's number alone (it has no 0). */
static uint64_t
id_dfr0(void)
{
	return sysreg_read("id_aa64dfr0_el1") & FIELD(0);
}

static uint64_t
id_mmfr0(void)
{
	uint64_t id = sysreg_read("id_aa64mmfr0_el1") &
		(FIELD(4) | FIELD(8) | FIELD(16) | FIELD(20) | FIELD(24) | FIELD(28));

	return id | el2_pa_range();
}

/*
 * ID group 3 (HCR_EL2.TID3): everything not named here reads as zero, which
 * means "not there" for the AArch32 registers and for those that are reserved.
 */
static uint64_t
id_register(uint32_t reg)
{
	switch (reg) {
	case SYS(3, 0, 0, 4, 0):
		return id_pfr0();
	case SYS(3, 0, 0, 4, 1):	/* PFR1: BT, SSBS; no MTE, SME */
		return sysreg_read("id_aa64pfr1_el1") & (FIELD(0) | FIELD(4));
	case SYS(3, 0, 0, 5, 0):
		return id_dfr0();
	case SYS(3, 0, 0, 6, 0):	/* ISAR0: all but TME */
		return sysreg_read("id_aa64isar0_el1") & ~FIELD(24);
	case SYS(3, 0, 0, 6, 1):	/* ISAR1: no PAuth (APA, API, GPA, GPI), no LS64 */
		return sysreg_read("id_aa64isar1_el1") &
			~(FIELD(4) | FIELD(8) | FIELD(24) | FIELD(28) | FIELD(60));
	case SYS(3, 0, 0, 7, 0):
		return id_mmfr0();
	case SYS(3, 0, 0, 7, 1):	/* MMFR1: HAFDBS, HPDS, PAN, XNX */
		return sysreg_read("id_aa64mmfr1_el1") &
			(FIELD(0) | FIELD(12) | FIELD(20) | FIELD(28));
	case SYS(3, 0, 0, 7, 2):	/* MMFR2: CnP, UAO, LSM, VARange, CCIDX, ST, IDS, TTL, BBM, E0PD */
		return sysreg_read("id_aa64mmfr2_el1") &
			(FIELD(0) | FIELD(4) | FIELD(8) | FIELD(16) | FIELD(20) | FIELD(28) |
			 FIELD(36) | FIELD(48) | FIELD(52) | FIELD(60));
	default:
		return 0;
	}
}

static bool
is_id_register(uint32_t reg)
{
	uint32_t crm = reg >> 1 & 0xf;

	return (reg & ~(SYS(0, 0, 0, 15, 7))) == SYS(3, 0, 0, 0, 0) && crm >= 1 && crm <= 7;
}

/* Registers whose value here is fixed: reads give zero, writes do nothing. */
static bool
is_ignored(uint32_t reg)
{
	switch (reg) {
	case SYS(3, 0, 1, 0, 1):	/* ACTLR_EL1 */
	case SYS(2, 0, 0, 2, 2):	/* MDSCR_EL1 */
	case SYS(2, 0, 1, 0, 4):	/* OSLAR_EL1 */
	case SYS(2, 0, 1, 3, 4):	/* OSDLR_EL1 */
	case SYS(3, 3, 9, 14, 0):	/* PMUSERENR_EL0 */
	case SYS(1, 0, 7, 6, 2):	/* DC ISW: set/way operations reach no other */
	case SYS(1, 0, 7, 10, 2):	/* DC CSW   CPU's cache, so code that must work */
	case SYS(1, 0, 7, 14, 2):	/* DC CISW  on several never relies on them */
		return true;
	default:
		return false;
	}
}

/*
 * Known: done, pc advanced.  Otherwise false.  At EL0 only the counter comes
 * here: QEMU 7.2 traps it by the bit of the physical timer (sysreg.h).
 */
bool
sysreg_emulate(struct thread *t, uint64_t esr)
{
	uint32_t iss = (uint32_t)esr & 0x1ffffff, reg = iss & SYS_MASK, rt = iss >> 5 & 0x1f;
	uint64_t value = 0;

	if (reg == SYS(3, 3, 14, 0, 1))
		value = arch_now();
	else if ((t->regs.pstate & PSTATE_MODE) == PSTATE_EL0T)
		return false;
	else if (is_id_register(reg) && (iss & SYS_READ) != 0)
		value = id_register(reg);
	else if (!is_ignored(reg))
		return false;
	if ((iss & SYS_READ) != 0 && rt != 31)
		t->regs.x[rt] = value;
	t->regs.pc += trapped_length(esr);
	return true;
}
