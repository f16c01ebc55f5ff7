/* SPDX-License-Identifier: MIT */
/*
 * Every system register that an MRS or MSR can name (op0 2 and 3, 32,768
 * encodings), read and written from EL1 of a personality.  What is not listed
 * here must end in an UNDEF at its own EL1 and change nothing; what it may read
 * must not show what a component on the same CPU has in its registers.
 *
 * Encodings: Arm ARM DDI 0487 L.b D19.1.
 */
#define TESSERA_PERSONALITY 1
#include "shared.h"

/* op2 from..to of one op0, op1, CRn, CRm; *: CRm to a last one. */
struct allowed {
	uint8_t op0, op1, crn, crm, crm_last, op2, op2_last;
};
#define REG(op0, op1, crn, crm, op2)		{ op0, op1, crn, crm, crm, op2, op2 }
#define REGS(op0, op1, crn, crm, from, to)	{ op0, op1, crn, crm, crm, from, to }

/* What a personality may read: its own EL1, and what every program may. */
static const struct allowed readable[] = {
	REG(3, 0, 0, 0, 0),		/* MIDR_EL1: VPIDR_EL2 */
	REGS(3, 0, 0, 0, 5, 6),		/* MPIDR_EL1: VMPIDR_EL2; REVIDR_EL1 */
	{ 3, 0, 0, 1, 7, 0, 7 },	/* ID registers: as sysreg_trap.c shows them */
	REGS(3, 0, 1, 0, 0, 2),		/* SCTLR_EL1, ACTLR_EL1 (zero), CPACR_EL1 */
	REGS(3, 0, 2, 0, 0, 2),		/* TTBR0_EL1, TTBR1_EL1, TCR_EL1 */
	REGS(3, 0, 4, 0, 0, 1),		/* SPSR_EL1, ELR_EL1 */
	REG(3, 0, 4, 1, 0),		/* SP_EL0 */
	REG(3, 0, 4, 2, 0),		/* SPSel */
	REGS(3, 0, 4, 2, 2, 4),		/* CurrentEL, PAN, UAO */
	REG(3, 0, 4, 6, 0),		/* ICC_PMR_EL1: virtual */
	REGS(3, 0, 5, 1, 0, 1),		/* AFSR0_EL1, AFSR1_EL1 */
	REG(3, 0, 5, 2, 0),		/* ESR_EL1 */
	REG(3, 0, 6, 0, 0),		/* FAR_EL1 */
	REG(3, 0, 7, 4, 0),		/* PAR_EL1 */
	REG(3, 0, 10, 2, 0),		/* MAIR_EL1 */
	REG(3, 0, 10, 3, 0),		/* AMAIR_EL1 */
	REG(3, 0, 12, 0, 0),		/* VBAR_EL1 */
	REG(3, 0, 12, 1, 0),		/* ISR_EL1: virtual */
	REG(3, 0, 12, 1, 1),		/* DISR_EL1: VDISR_EL2 */
	REGS(3, 0, 12, 9, 0, 3),	/* ICC_AP1Rn_EL1: virtual */
	REG(3, 0, 12, 11, 3),		/* ICC_RPR_EL1: virtual */
	REGS(3, 0, 12, 12, 0, 5),	/* ICC group 1, CTLR, SRE: virtual; group 0 is nobody's */
	REG(3, 0, 12, 12, 7),		/* ICC_IGRPEN1_EL1: virtual */
	REG(3, 0, 13, 0, 1),		/* CONTEXTIDR_EL1 */
	REG(3, 0, 13, 0, 4),		/* TPIDR_EL1 */
	REG(3, 0, 14, 1, 0),		/* CNTKCTL_EL1 */
	REGS(3, 1, 0, 0, 0, 2),		/* CCSIDR_EL1, CLIDR_EL1, CCSIDR2_EL1 */
	REGS(3, 1, 0, 0, 6, 7),		/* GMID_EL1 (HCR_EL2.TID5 where tags can be stored), AIDR_EL1: constants */
	REG(3, 2, 0, 0, 0),		/* CSSELR_EL1 */
	REG(3, 3, 0, 0, 1),		/* CTR_EL0 */
	REG(3, 3, 0, 0, 7),		/* DCZID_EL0 */
	REGS(3, 3, 2, 4, 0, 1),		/* RNDR, RNDRRS */
	REGS(3, 3, 4, 2, 0, 1),		/* NZCV, DAIF */
	REGS(3, 3, 4, 2, 5, 6),		/* DIT, SSBS */
	REGS(3, 3, 4, 4, 0, 1),		/* FPCR, FPSR */
	REG(3, 3, 9, 14, 0),		/* PMUSERENR_EL0 (zero) */
	REGS(3, 3, 13, 0, 2, 3),	/* TPIDR_EL0, TPIDRRO_EL0 */
	REGS(3, 3, 14, 0, 0, 2),	/* CNTFRQ_EL0, CNTPCT_EL0, CNTVCT_EL0 */
	REGS(3, 3, 14, 3, 0, 2),	/* virtual timer */
	REG(2, 0, 0, 2, 2),		/* MDSCR_EL1 (zero) */
	REG(2, 0, 1, 0, 4),		/* OSLAR_EL1 (zero) */
	REG(2, 0, 1, 3, 4),		/* OSDLR_EL1 (zero) */
};

/* It may write what it may read, if that can be written at all; and these. */
static const struct allowed writable[] = {
	REG(3, 0, 12, 11, 1),		/* ICC_DIR_EL1: virtual */
};

enum { ENCODINGS = 1 << 15, STUBS = 512 };

/* The encoding is bits 19:5 of the instruction, op0 of two values in one. */
static uint32_t
mrs_x0(unsigned encoding)
{
	return 0xd5300000U | encoding << 5;
}

static uint32_t
msr_x0(unsigned encoding)
{
	return 0xd5100000U | encoding << 5;
}

static bool
listed(const struct allowed *list, size_t count, unsigned encoding)
{
	unsigned op0 = 2 + (encoding >> 14), op1 = encoding >> 11 & 7, crn = encoding >> 7 & 15;
	unsigned crm = encoding >> 3 & 15, op2 = encoding & 7;

	for (size_t i = 0; i < count; i++) {
		const struct allowed *a = &list[i];

		if (a->op0 == op0 && a->op1 == op1 && a->crn == crn && a->crm <= crm && crm <= a->crm_last &&
		    a->op2 <= op2 && op2 <= a->op2_last)
			return true;
	}
	return false;
}
#define LISTED(list, encoding)	listed((list), sizeof(list) / sizeof((list)[0]), (encoding))

/* A batch of stubs: one access, then return. */
static void
write_stubs(unsigned first, bool writes)
{
	volatile uint32_t *code = (volatile uint32_t *)CODE_VADDR;

	for (unsigned i = 0; i < STUBS; i++) {
		code[2 * i] = writes ? msr_x0(first + i) : mrs_x0(first + i);
		code[2 * i + 1] = 0xd65f03c0;		/* ret */
	}
	__asm__ volatile("dsb sy; ic iallu; dsb sy; isb" : : : "memory");
}

/* x0 goes in and comes out; *undefined: the access ended in an UNDEF, and nothing else. */
static uint64_t
run_stub(unsigned n, uint64_t x0_value, bool *undefined)
{
	uint64_t before = el1_faults(), value;
	register uint64_t x0 __asm__("x0") = x0_value;

	__asm__ volatile("blr %1" : "+r"(x0) : "r"(CODE_VADDR + 8UL * n)
		: "x1", "x2", "x3", "x4", "x5", "x6", "x7", "x8", "x9", "x10", "x11", "x12", "x13", "x14", "x15",
		"x16", "x17", "x30", "cc", "memory");
	value = x0;			/* before a call takes x0 */
	*undefined = el1_faults() != before;
	return value;
}

/*
 * Counted, not judged, for QEMU 7.2 lacks what traps them: HCR_EL2.TIDCP, for CRn 11
 * and 15 of op0 3, the implementation's own (none does anything there); HFGRTR_EL2
 * (0: nSMPRI_EL1, nTPIDR2_EL0) for the two registers of SME.
 */
static const struct allowed untrapped[] = {
	REG(3, 0, 1, 2, 4),		/* SMPRI_EL1 */
	REG(3, 3, 13, 0, 5),		/* TPIDR2_EL0 */
};

static bool
emulator_does_not_trap(unsigned encoding)
{
	unsigned crn = encoding >> 7 & 15;

	return LISTED(untrapped, encoding) || (encoding >> 14 == 1 && (crn == 11 || crn == 15));
}

static void
report_odd(struct sysreg_sweep *s, unsigned access)
{
	unsigned encoding = access & (SYSREG_WRITE - 1);

	if (emulator_does_not_trap(encoding)) {
		s->untrapped++;
		return;
	}
	if (s->odd_count < SYSREG_ODD)
		s->odd[s->odd_count] = access;
	s->odd_count++;
}

static void
read_one(struct sysreg_sweep *s, unsigned encoding, unsigned stub, uint64_t *value, bool *undefined)
{
	*value = run_stub(stub, SECRET + 1, undefined);
	if (*undefined) {
		if (el1_fault_was_undefined())
			s->undefined++;
		else
			report_odd(s, encoding);
		s->changed += *value != SECRET + 1;
		return;
	}
	s->read++;
	if (!LISTED(readable, encoding))
		report_odd(s, encoding);
	s->secrets += *value == SECRET || *value == shared->secret_buffer;
}

/* What it just had, so that nothing it may write changes; where it could not read, 0. */
static void
write_one(struct sysreg_sweep *s, unsigned encoding, unsigned stub, uint64_t value, bool was_undefined)
{
	bool undefined;

	run_stub(stub, was_undefined ? 0 : value, &undefined);
	if (undefined)
		return;
	s->written++;
	if (!LISTED(readable, encoding) && !LISTED(writable, encoding))
		report_odd(s, encoding | SYSREG_WRITE);
}

void
sysregs_sweep(struct sysreg_sweep *s)
{
	static uint64_t values[STUBS];
	static bool undefined[STUBS];

	/* Its own traps off (CPACR_EL1.FPEN, ZEN, SMEN): what is left is the kernel's. */
	__asm__ volatile("msr cpacr_el1, %0; isb" : : "r"(0x3330000ul));
	for (unsigned first = 0; first < ENCODINGS; first += STUBS) {
		write_stubs(first, false);
		for (unsigned i = 0; i < STUBS; i++)
			read_one(s, first + i, i, &values[i], &undefined[i]);
		write_stubs(first, true);
		for (unsigned i = 0; i < STUBS; i++)
			write_one(s, first + i, i, values[i], undefined[i]);
	}
}

/* ---- two personalities ------------------------------------------------------------------ */

/* What decides over what is executed next, and what would interrupt. */
static const struct allowed precious[] = {
	REG(3, 0, 1, 0, 0),		/* SCTLR_EL1 */
	REG(3, 0, 4, 2, 0),		/* SPSel */
	REG(3, 0, 12, 0, 0),		/* VBAR_EL1 */
	REGS(3, 3, 4, 2, 0, 1),		/* NZCV, DAIF */
	REG(3, 3, 14, 3, 1),		/* CNTV_CTL_EL0 */
};

/* Of one readable register, in the page that both have. */
struct mark {
	uint64_t encoding, initial, marked;
};
enum { MARKS_MAX = 160 };
struct marks {
	uint64_t count;
	struct mark mark[MARKS_MAX];
};
_Static_assert(sizeof(struct marks) <= 4096, "one page");
#define marks	((struct marks *)MARKS_VADDR)

static uint64_t
access(unsigned encoding, bool writes, uint64_t value, bool *undefined)
{
	volatile uint32_t *code = (volatile uint32_t *)CODE_VADDR;

	code[0] = writes ? msr_x0(encoding) : mrs_x0(encoding);
	code[1] = 0xd65f03c0;
	__asm__ volatile("dsb sy; ic iallu; dsb sy; isb" : : : "memory");
	return run_stub(0, value, undefined);
}

/* Leave something in a register, and note what it then shows. */
static void
mark_one(unsigned encoding)
{
	struct mark m = { .encoding = encoding };
	bool undefined;

	m.initial = access(encoding, false, 0, &undefined);
	if (undefined || LISTED(precious, encoding) || marks->count == MARKS_MAX)
		return;
	access(encoding, true, ~m.initial & 0x5a5a5a5a5a5a5a5aUL, &undefined);
	m.marked = access(encoding, false, 0, &undefined);
	marks->mark[marks->count++] = m;
}

uint64_t
sysregs_mark(void)
{
	marks->count = 0;
	for (unsigned encoding = 0; encoding < ENCODINGS; encoding++)
		if (LISTED(readable, encoding))
			mark_one(encoding);
	return marks->count;
}

/* In another personality, on the same CPU: how many registers show what was left there. */
uint64_t
sysregs_compare(struct sysreg_sweep *s)
{
	uint64_t shown = 0;
	bool undefined;

	for (uint64_t i = 0; i < marks->count; i++) {
		const struct mark *m = &marks->mark[i];

		if (m->marked == m->initial || access((unsigned)m->encoding, false, 0, &undefined) != m->marked)
			continue;
		shown++;
		report_odd(s, (unsigned)m->encoding);
	}
	return shown;
}
