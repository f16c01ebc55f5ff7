/* SPDX-License-Identifier: MIT */
/*
 * Entry of every VCPU: EL1, MMU and caches off, x0 = struct world_info, x1 =
 * number of the VCPU.  Map the box one to one, write-back cacheable, because
 * the other ends of the channels see memory through their caches.
 */
	.section .text.start, "ax"
	.globl	_start
_start:
	adrp	x2, tables
	mov	x3, #0xff00		// MAIR: Attr1 normal write-back
	msr	mair_el1, x3
	ldr	x3, =0x200803519	// TCR: T0SZ 25, WB, inner shareable, EPD1, 40-bit IPA
	msr	tcr_el1, x3
	msr	ttbr0_el1, x2
	adr	x3, vectors
	msr	vbar_el1, x3
	isb
	tlbi	vmalle1
	dsb	nsh
	isb
	mrs	x3, sctlr_el1
	mov	x4, #0x1005		// I, C, M
	orr	x3, x3, x4
	msr	sctlr_el1, x3
	isb
	adrp	x3, stacks
	add	x4, x1, #1
	add	x3, x3, x4, lsl #12
	mov	sp, x3
	mov	x29, xzr
	mov	x30, xzr
	bl	world_main
	b	.

/* Nothing is expected here: say where it happened by a fault outside the box. */
	.balign	2048
vectors:
	.rept	16
	.balign	128
	mrs	x0, elr_el1
	mrs	x1, esr_el1
	mov	x2, #0xdead
	str	x0, [x2]
	b	.
	.endr

/* One block of 1 GiB each: AttrIndx 1, inner shareable, access flag (DDI 0487
 * D8.3.1).  Made by the assembler, since all VCPUs start at the same time. */
	.data
	.balign	4096
tables:
	.set	at, 0
	.rept	512
	.quad	at + 0x705
	.set	at, at + 0x40000000
	.endr

	.bss
	.balign	4096
stacks:	.skip	16 * 4096
	.section .note.GNU-stack, "", %progbits
