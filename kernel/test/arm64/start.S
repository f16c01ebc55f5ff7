/* SPDX-License-Identifier: MIT */
/*
 * A test's first instructions as init (tessera/abi.h), and the vectors of its
 * personality threads.
 */
	.section .text.start, "ax", %progbits
	.globl	_start
_start:
	adrp	x1, info
	str	x0, [x1, :lo12:info]
	bl	test_main
	b	.

/*
 * EL1 vectors: the kernel's injected UNDEF and other synchronous exceptions are
 * counted in el1_faults and skipped; interrupts are counted by el1_irq.
 */
	.macro	el1_entry handler
	.balign	0x80
	stp	x0, x1, [sp, #-192]!
	stp	x2, x3, [sp, #16]
	stp	x4, x5, [sp, #32]
	stp	x6, x7, [sp, #48]
	stp	x8, x9, [sp, #64]
	stp	x10, x11, [sp, #80]
	stp	x12, x13, [sp, #96]
	stp	x14, x15, [sp, #112]
	stp	x16, x17, [sp, #128]
	stp	x18, x29, [sp, #144]
	str	x30, [sp, #160]
	bl	\handler
	b	el1_return
	.endm

	.text
	.balign	0x800
	.globl	el1_vectors
el1_vectors:
	el1_entry el1_sync
	el1_entry el1_irq
	el1_entry el1_other
	el1_entry el1_other
	el1_entry el1_sync
	el1_entry el1_irq
	el1_entry el1_other
	el1_entry el1_other
	el1_entry el1_other
	el1_entry el1_other
	el1_entry el1_other
	el1_entry el1_other
	el1_entry el1_other
	el1_entry el1_other
	el1_entry el1_other
	el1_entry el1_other

el1_return:
	ldp	x2, x3, [sp, #16]
	ldp	x4, x5, [sp, #32]
	ldp	x6, x7, [sp, #48]
	ldp	x8, x9, [sp, #64]
	ldp	x10, x11, [sp, #80]
	ldp	x12, x13, [sp, #96]
	ldp	x14, x15, [sp, #112]
	ldp	x16, x17, [sp, #128]
	ldp	x18, x29, [sp, #144]
	ldr	x30, [sp, #160]
	ldp	x0, x1, [sp], #192
	eret

	.section .note.GNU-stack, "", %progbits
