/* SPDX-License-Identifier: MIT */
/*
 * System registers by name, and the values of those that the kernel fixes.
 * Registers that an old assembler does not know go by their encoding.
 * Section numbers are of the Arm ARM, DDI 0487 L.b, unless they say GIC
 * (IHI 0069 H).
 */
#ifndef ARCH_SYSREG_H
#define ARCH_SYSREG_H

#ifndef __ASSEMBLER__
#include <stdint.h>

#define sysreg_read(name) ({						\
	uint64_t value_;						\
	__asm__ volatile("mrs %0, " name : "=r"(value_));		\
	value_;								\
})
#define sysreg_write(name, value)					\
	__asm__ volatile("msr " name ", %x0" : : "rZ"((uint64_t)(value)))

static inline void isb(void) { __asm__ volatile("isb" : : : "memory"); }
static inline void dsb_ish(void) { __asm__ volatile("dsb ish" : : : "memory"); }
static inline void dsb_ishst(void) { __asm__ volatile("dsb ishst" : : : "memory"); }
static inline void dsb_nsh(void) { __asm__ volatile("dsb nsh" : : : "memory"); }
static inline void dsb_sy(void) { __asm__ volatile("dsb sy" : : : "memory"); }
#endif

/* HCR_EL2 (D19.2.52). */
#define HCR_VM		(1UL << 0)
#define HCR_FMO		(1UL << 3)
#define HCR_IMO		(1UL << 4)
#define HCR_AMO		(1UL << 5)
#define HCR_DC		(1UL << 12)
#define HCR_TWI		(1UL << 13)
#define HCR_TID1	(1UL << 16)
#define HCR_TID3	(1UL << 18)
#define HCR_TSC		(1UL << 19)
#define HCR_TIDCP	(1UL << 20)
#define HCR_TACR	(1UL << 21)
#define HCR_TSW		(1UL << 22)
#define HCR_TGE		(1UL << 27)
#define HCR_RW		(1UL << 31)
#define HCR_TLOR	(1UL << 35)
#define HCR_TERR	(1UL << 36)
#define HCR_TID5	(1UL << 58)

/* A component: EL0 without stage 1; TGE sends every exception to EL2. */
#define HCR_COMPONENT	(HCR_RW | HCR_VM | HCR_TGE | HCR_DC | HCR_IMO | HCR_FMO | HCR_AMO | \
			 HCR_TSC | HCR_TSW | HCR_TACR | HCR_TIDCP | HCR_TID3)
/*
 * A personality: EL1 and EL0 are its own.  Trapped: WFI, SMC, set/way,
 * ACTLR, IMPLEMENTATION DEFINED registers, ID group 3 (hidden features), LOR,
 * RAS records, GMID.  Clear on purpose: API, APK (PAuth traps), ATA (no
 * allocation tags), FIEN, EnSCXT, and TWE (WFE is its own affair).
 */
#define HCR_PERSONALITY	(HCR_RW | HCR_VM | HCR_IMO | HCR_FMO | HCR_AMO | HCR_TWI | HCR_TSC | \
			 HCR_TSW | HCR_TACR | HCR_TIDCP | HCR_TID3 | HCR_TLOR | HCR_TERR | HCR_TID5)
/* While the kernel itself runs at boot: nothing below it does. */
#define HCR_BOOT	(HCR_RW | HCR_TGE | HCR_IMO | HCR_FMO | HCR_AMO)

/* SCTLR_EL2 (D19.2.121): RES1 bits, MMU and caches, SP alignment, WXN. */
#define SCTLR_EL2_RES1	0x30c50830UL
#define SCTLR_M		(1UL << 0)
#define SCTLR_A		(1UL << 1)
#define SCTLR_C		(1UL << 2)
#define SCTLR_SA	(1UL << 3)
#define SCTLR_SA0	(1UL << 4)
#define SCTLR_I		(1UL << 12)
#define SCTLR_DZE	(1UL << 14)
#define SCTLR_UCT	(1UL << 15)
#define SCTLR_nTWI	(1UL << 16)
#define SCTLR_nTWE	(1UL << 18)
#define SCTLR_WXN	(1UL << 19)
#define SCTLR_SPAN	(1UL << 23)
#define SCTLR_UCI	(1UL << 26)
#define SCTLR_EL2_VALUE	(SCTLR_EL2_RES1 | SCTLR_M | SCTLR_C | SCTLR_SA | SCTLR_I | SCTLR_WXN)
#define SCTLR_EL2_OFF	SCTLR_EL2_RES1

/* SCTLR_EL1 while a component runs (D19.2.120): stage 1 off, EL0 may do cache
 * maintenance by address, read CTR_EL0 and use DC ZVA. */
#define SCTLR_EL1_RES1	0x30d00800UL
#define SCTLR_EL1_COMPONENT (SCTLR_EL1_RES1 | SCTLR_C | SCTLR_I | SCTLR_SA0 | SCTLR_DZE | \
			     SCTLR_UCT | SCTLR_UCI | SCTLR_nTWI | SCTLR_nTWE)
/* A VCPU at its start: MMU and caches off. */
#define SCTLR_EL1_RESET	SCTLR_EL1_RES1

/* CPACR_EL1 (D19.2.30): FP and SIMD are not trapped to EL1; EL2's TFP decides. */
#define CPACR_COMPONENT	(3UL << 20)
/* CNTKCTL_EL1 (D19.12.16): EL0 reads both counters, no timers, no event stream. */
#define CNTKCTL_COMPONENT 3UL

/* CPTR_EL2 with E2H 0 (D19.2.33): RES1 bits, with TZ (SVE) and TSM (SME) among
 * them; TTA traps the trace unit, TAM the activity monitors, TFP FP and SIMD. */
#define CPTR_TFP	(1UL << 10)
#define CPTR_TTA	(1UL << 20)
#define CPTR_TAM	(1UL << 30)
#define CPTR_FP_ON	(0x33ffUL | CPTR_TTA | CPTR_TAM)
#define CPTR_FP_OFF	(CPTR_FP_ON | CPTR_TFP)

/*
 * CNTHCTL_EL2 with E2H 0 (D19.12.5): EL1 and EL0 read the physical counter
 * (EL1PCTEN); a personality's physical timer traps (EL1PCEN 0).  Of components
 * CNTKCTL_EL1 keeps the timers away, so EL1PCEN may be 1 for them, and has to
 * be: QEMU 7.2 looks at it when EL0 reads CNTPCT_EL0.
 */
#define CNTHCTL_COMPONENT	3UL
#define CNTHCTL_PERSONALITY	1UL

/* MDCR_EL2 (D19.3.18): PMU (TPM, TPMCR), debug (TDA, TDOSA, TDRA), statistical
 * profiling (TPMS) and trace filter (TTRF) trap; HPMD: EL2 is not counted.
 * TDE is 0: BRK at EL0 belongs to the personality. */
#define MDCR_TPMCR	(1UL << 5)
#define MDCR_TPM	(1UL << 6)
#define MDCR_TDA	(1UL << 9)
#define MDCR_TDOSA	(1UL << 10)
#define MDCR_TDRA	(1UL << 11)
#define MDCR_TPMS	(1UL << 14)
#define MDCR_HPMD	(1UL << 17)
#define MDCR_TTRF	(1UL << 19)
#define MDCR_VALUE	(MDCR_TPMCR | MDCR_TPM | MDCR_TDA | MDCR_TDOSA | MDCR_TDRA | \
			 MDCR_TPMS | MDCR_HPMD | MDCR_TTRF)

/* TCR_EL2 with E2H 0 (D19.2.151): 48-bit VA, 4 KiB granule, walks cacheable
 * and inner shareable; PS is or'ed in. */
#define TCR_EL2_VALUE	((1UL << 31) | (1UL << 23) | (3UL << 12) | (1UL << 10) | (1UL << 8) | 16UL)
/* VTCR_EL2 (D19.2.158): 39-bit IPA, start at level 1 (SL0 = 1), 4 KiB granule,
 * walks cacheable and inner shareable, 8-bit VMID; PS is or'ed in. */
#define VTCR_VALUE	((1UL << 31) | (3UL << 12) | (1UL << 10) | (1UL << 8) | (1UL << 6) | 25UL)

/* MAIR_EL2: 0 Normal write-back, 1 Device-nGnRE, 2 Normal non-cacheable. */
#define MAIR_VALUE	0x4404ffUL

/* Processor state (C5.2.20). */
#define PSTATE_F	(1UL << 6)
#define PSTATE_I	(1UL << 7)
#define PSTATE_A	(1UL << 8)
#define PSTATE_D	(1UL << 9)
#define PSTATE_DAIF	(PSTATE_D | PSTATE_A | PSTATE_I | PSTATE_F)
#define PSTATE_PAN	(1UL << 22)
#define PSTATE_EL0T	0UL
#define PSTATE_EL1T	4UL
#define PSTATE_EL1H	5UL
#define PSTATE_MODE	0x1fUL

/* Exception classes (D19.2.40). */
#define ESR_EC(esr)	(((esr) >> 26) & 0x3f)
#define EC_UNKNOWN	0x00
#define EC_WFX		0x01
#define EC_FP		0x07
#define EC_PAUTH	0x09
#define EC_SVC64	0x15
#define EC_HVC64	0x16
#define EC_SMC64	0x17
#define EC_SYSREG	0x18
#define EC_SVE		0x19
#define EC_IABT_LOWER	0x20
#define EC_IABT_SAME	0x21
#define EC_PC_ALIGN	0x22
#define EC_DABT_LOWER	0x24
#define EC_DABT_SAME	0x25
#define EC_SP_ALIGN	0x26
#define EC_FP_EXC	0x2c
#define EC_SERROR	0x2f
#define EC_BRK		0x3c
#define ESR_IL		(1UL << 25)
#define ESR_S1PTW	(1UL << 7)
#define ESR_FNV		(1UL << 10)

/* GICv3 CPU interface and virtual interface by encoding (GIC 12.2). */
#define ICC_SRE_EL2	"S3_4_C12_C9_5"
#define ICC_SRE_EL1	"S3_0_C12_C12_5"
#define ICC_IAR1	"S3_0_C12_C12_0"
#define ICC_EOIR1	"S3_0_C12_C12_1"
#define ICC_DIR		"S3_0_C12_C11_1"
#define ICC_PMR		"S3_0_C4_C6_0"
#define ICC_BPR1	"S3_0_C12_C12_3"
#define ICC_CTLR	"S3_0_C12_C12_4"
#define ICC_IGRPEN1	"S3_0_C12_C12_7"
#define ICC_SGI1R	"S3_0_C12_C11_5"
#define ICC_AP1R0	"S3_0_C12_C9_0"
#define ICH_HCR		"S3_4_C12_C11_0"
#define ICH_VTR		"S3_4_C12_C11_1"
#define ICH_VMCR	"S3_4_C12_C11_7"
#define ICH_AP0R0	"S3_4_C12_C8_0"
#define ICH_AP1R0	"S3_4_C12_C9_0"
#define ICH_LR0		"S3_4_C12_C12_0"
#define ICH_LR1		"S3_4_C12_C12_1"

#endif
