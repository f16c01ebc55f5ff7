/* SPDX-License-Identifier: MIT */
/*
 * A kernel for the loader's own boot tests: takes its place, checks that it was
 * relocated, says what it was given, and turns the machine off.
 */
	.section .text.entry, "ax"
	.globl	_start
_start:
	mov	x19, x0
	adrp	x1, stack_top
	add	x1, x1, :lo12:stack_top
	mov	sp, x1
	mrs	x1, CurrentEL
	mrs	x2, sctlr_el2
	mrs	x3, daif
	bl	kernel_main
	movz	w0, #0x0008		/* PSCI SYSTEM_OFF */
	movk	w0, #0x8400, lsl #16
	smc	#0
1:	wfi
	b	1b

	.bss
	.p2align 12
	.skip	16384
stack_top:
