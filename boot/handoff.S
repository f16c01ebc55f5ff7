/* SPDX-License-Identifier: MIT */
/*
 * Registers of the CPU, cache maintenance, and the way out: from firmware's
 * world, with its translation tables and caches, into the kernel's, with none.
 * Sections are those of the Arm ARM, DDI 0487 J.a.
 */
	.text

	.macro	function name
	.globl	\name
	.p2align 2
\name:
	.endm

function counter
	isb				/* D11.2.1: not earlier than program order says */
	mrs	x0, cntpct_el0
	ret

function counter_frequency
	mrs	x0, cntfrq_el0
	ret

function current_el
	mrs	x0, CurrentEL
	ubfx	x0, x0, #2, #2
	ret

function instruction_sets		/* D19.2.61, ID_AA64ISAR0_EL1 */
	mrs	x0, id_aa64isar0_el1
	ret

function mpidr
	mrs	x0, mpidr_el1
	ldr	x1, =0xff00ffffff	/* Aff3, Aff2..Aff0 */
	and	x0, x0, x1
	ret

/* cache_clean(at, size): clean and invalidate to the point of coherency. */
function cache_clean
	mrs	x2, ctr_el0
	ubfx	x2, x2, #16, #4		/* DminLine: log2 of words */
	mov	x3, #4
	lsl	x3, x3, x2
	add	x1, x0, x1
	sub	x2, x3, #1
	bic	x0, x0, x2
1:	cmp	x0, x1
	b.hs	2f
	dc	civac, x0
	add	x0, x0, x3
	b	1b
2:	dsb	sy
	ret

/*
 * handoff(info, entry, stack_top).  The caller has cleaned to the point of
 * coherency all that is read below: this image, info, kernel and bundle.  The
 * new stack was cleaned and invalidated too and is first touched with caches
 * off.  Firmware maps memory flat, so that the program counter stays right.
 */
function handoff
	mov	x19, x0
	mov	x20, x1
	mov	x21, x2
	msr	daifset, #15
	dsb	sy
	mrs	x0, sctlr_el2
	ldr	x1, =0x1005		/* I, C, M (D19.2.131) */
	bic	x0, x0, x1
	mov	x1, #2			/* A: no alignment checks beyond Device memory's */
	bic	x0, x0, x1
	msr	sctlr_el2, x0
	isb
	ic	iallu			/* this CPU's; the others are off */
	dsb	sy
	isb
	tlbi	alle2
	dsb	sy
	isb
	mov	sp, x21
	mov	x29, xzr
	mov	x0, x19
	bl	devices_stop
	dsb	sy
	ic	iallu
	dsb	sy
	isb
	mov	x0, x19
	mov	x1, xzr
	mov	x2, xzr
	mov	x3, xzr
	br	x20
