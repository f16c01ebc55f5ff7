/* SPDX-License-Identifier: MIT */
/*
 * Entry of every VCPU (proto/world.h): EL1, MMU off, x0 = IPA of struct
 * world_info, x1 = VCPU number.  VCPU 0 makes a first map (all of the IPA space in
 * 1 GiB blocks, both halves), goes to the linear map and to C; the others wait
 * until it lets them in, with the final tables.
 */
#include "asm.h"

	.section .text.start, "ax"
	.arch armv8-a

func start
	msr	daifset, #15
	mov	x19, x0
	mov	x20, x1
	cbnz	x20, secondary

	/* boot_l0[0] -> boot_l1, which maps 512 GiB one to one. */
	adrp	x2, boot_l0
	adrp	x3, boot_l1
	orr	x4, x3, #3
	str	x4, [x2]
	mov	x5, #0
	mov	x6, #0x701			/* block, attribute 0, inner shareable, AF */
1:	orr	x7, x6, x5, lsl #30
	str	x7, [x3, x5, lsl #3]
	add	x5, x5, #1
	cmp	x5, #512
	b.ne	1b
	bl	mmu_on
	ldr	x3, =primary_high
	br	x3
primary_high:
	ldr	x2, =boot_stack + KSTACK_SIZE
	mov	sp, x2
	mov	x29, #0
	ldr	x2, =vectors
	msr	vbar_el1, x2
	isb
	mov	x0, x19
	bl	main
	b	.

	/* x2: level-0 table for both halves.  Returns with the MMU on. */
mmu_on:
	ldr	x4, =MAIR_VALUE
	msr	mair_el1, x4
	ldr	x4, =TCR_VALUE
	mrs	x5, id_aa64mmfr0_el1
	and	x6, x5, #15			/* PARange -> IPS; more than 48 bits needs LPA */
	cmp	x6, #5
	mov	x7, #5
	csel	x6, x6, x7, lo
	orr	x4, x4, x6, lsl #32
	ubfx	x6, x5, #4, #4			/* ASIDBits 2: 16 bits */
	cmp	x6, #2
	b.ne	1f
	orr	x4, x4, #(1 << 36)
1:	msr	tcr_el1, x4
	msr	ttbr0_el1, x2
	msr	ttbr1_el1, x2
	isb
	tlbi	vmalle1
	dsb	nsh
	ic	iallu
	dsb	nsh
	isb
	ldr	x4, =SCTLR_VALUE
	msr	sctlr_el1, x4
	isb
	ret

	/* The gate holds the IPA of the final level-0 table once it is open; the
	 * caches are off here, and it was cleaned to the point of coherency. */
secondary:
	adrp	x3, secondary_gate
	add	x3, x3, :lo12:secondary_gate
1:	ldr	x2, [x3]
	cbnz	x2, 2f
	wfe
	yield
	b	1b
2:	adrp	x2, boot_l0
	bl	mmu_on
	ldr	x3, =secondary_high
	br	x3
secondary_high:
	ldr	x2, =vectors
	msr	vbar_el1, x2
	ldr	x2, =secondary_gate
	ldr	x2, [x2]
	msr	ttbr1_el1, x2
	isb
	tlbi	vmalle1
	dsb	nsh
	isb
	ldr	x2, =secondary_stacks
	ldr	x2, [x2, x20, lsl #3]
	mov	sp, x2
	mov	x29, #0
	mov	x0, x20
	bl	secondary_main
	b	.

	.ltorg

	.bss
	.balign 4096
	.globl boot_l0, boot_l1
boot_l0:
	.skip	4096
boot_l1:
	.skip	4096
	.globl boot_stack
boot_stack:
	.skip	KSTACK_SIZE
