/* SPDX-License-Identifier: MIT */
/*
 * Offsets and constants for assembly; checked against the C structures in
 * offsets.c.
 */
#ifndef LX_ASM_H
#define LX_ASM_H

#define REGS_X		0
#define REGS_SP		248
#define REGS_PC		256
#define REGS_PSTATE	264
#define REGS_ORIG_X0	272
#define REGS_SYSCALL	280
#define REGS_SIZE	288

#define TASK_REGS	0
#define TASK_KSTACK	8
#define TASK_WORK	16
#define TASK_CPU	20
#define TASK_CONTEXT	24
#define CONTEXT_SP	96

#define KSTACK_SIZE	16384

#define SYSCALLS	512		/* entries of the table */
#define SYSCALLS_SHIFT	12		/* log2 of the bytes of a CPU's counters */

/* ESR_EL1.EC (Arm ARM DDI 0487, D17.2.37) */
#define EC_UNKNOWN	0x00
#define EC_WFX		0x01
#define EC_FP		0x07
#define EC_ILLEGAL	0x0e
#define EC_SVC64	0x15
#define EC_SYSREG	0x18
#define EC_IABT_LOW	0x20
#define EC_IABT		0x21
#define EC_PC_ALIGN	0x22
#define EC_DABT_LOW	0x24
#define EC_DABT		0x25
#define EC_SP_ALIGN	0x26
#define EC_FPE64	0x2c
#define EC_SERROR	0x2f
#define EC_BREAK_LOW	0x30
#define EC_STEP_LOW	0x32
#define EC_WATCH_LOW	0x34
#define EC_BRK64	0x3c

/* SCTLR_EL1: M A? C SA SA0 nAA? I DZE UCT nTWI nTWE SPAN UCI, EOS EIS are RES1 before ARMv8.5 */
#define SCTLR_VALUE	( (1 << 0) | (1 << 2) | (1 << 3) | (1 << 4) | (1 << 8) | \
			(1 << 11) | (1 << 12) | (1 << 14) | (1 << 15) | (1 << 16) | (1 << 18) | \
			(1 << 20) | (1 << 22) | (1 << 23) | (1 << 26) | (1 << 28) | (1 << 29) )

/* MAIR: 0 normal write-back, 1 device nGnRnE, 2 normal non-cacheable */
#define MAIR_VALUE	0x4400ff

/* TCR: 48 bits each way, 4 KiB, inner shareable write-back walks, TBI0; IPS and AS are added. */
#define TCR_VALUE	( 16 | (1 << 8) | (1 << 10) | (3 << 12) | \
			(16 << 16) | (1 << 24) | (1 << 26) | (3 << 28) | (2 << 30) | (1 << 37) )

#ifdef __ASSEMBLER__
/* An instruction that may fault on a user address, and where to go then.
 * \kind 0: bring the page in first; 1: never block, go at once. */
.macro user_access insn:vararg
9999:	\insn
.endm
.macro ex_entry at, to, kind
	.pushsection .ex_table, "a"
	.balign 4
	.word	\at - .
	.word	\to - .
	.word	\kind
	.popsection
.endm
.macro func name
	.globl	\name
	.type	\name, %function
	.balign 16
\name:
.endm
#endif

#endif
