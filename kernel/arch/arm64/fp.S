/* SPDX-License-Identifier: MIT */
/*
 * The SIMD and floating-point registers, 32 times 128 bits, to and from
 * struct arch_fp.  The only place where the kernel touches them.
 */
	.arch	armv8-a+fp+simd
	.text

	.macro	fp_all insn
	\insn	q0, q1, [x0, #0]
	\insn	q2, q3, [x0, #32]
	\insn	q4, q5, [x0, #64]
	\insn	q6, q7, [x0, #96]
	\insn	q8, q9, [x0, #128]
	\insn	q10, q11, [x0, #160]
	\insn	q12, q13, [x0, #192]
	\insn	q14, q15, [x0, #224]
	\insn	q16, q17, [x0, #256]
	\insn	q18, q19, [x0, #288]
	\insn	q20, q21, [x0, #320]
	\insn	q22, q23, [x0, #352]
	\insn	q24, q25, [x0, #384]
	\insn	q26, q27, [x0, #416]
	\insn	q28, q29, [x0, #448]
	\insn	q30, q31, [x0, #480]
	.endm

	.globl	fp_save
	.type	fp_save, %function
fp_save:
	fp_all	stp
	mrs	x1, fpcr
	mrs	x2, fpsr
	str	x1, [x0, #512]
	str	x2, [x0, #520]
	ret

	.globl	fp_load
	.type	fp_load, %function
fp_load:
	fp_all	ldp
	ldr	x1, [x0, #512]
	ldr	x2, [x0, #520]
	msr	fpcr, x1
	msr	fpsr, x2
	ret

	.section .note.GNU-stack, "", %progbits
