/* SPDX-License-Identifier: MIT */
/*
 * Exchange of fibers: what AAPCS64 (IHI 0055, 6.1) preserves over a call goes
 * to the old stack and comes from the new one.
 *
 * void fiber_switch(uint64_t *from_sp, uint64_t to_sp)
 */
	.text
	.global fiber_switch
	.type fiber_switch, %function
fiber_switch:
	sub	sp, sp, #160
	stp	x19, x20, [sp, #0]
	stp	x21, x22, [sp, #16]
	stp	x23, x24, [sp, #32]
	stp	x25, x26, [sp, #48]
	stp	x27, x28, [sp, #64]
	stp	x29, x30, [sp, #80]
	stp	d8, d9, [sp, #96]
	stp	d10, d11, [sp, #112]
	stp	d12, d13, [sp, #128]
	stp	d14, d15, [sp, #144]
	mov	x9, sp
	str	x9, [x0]
	mov	sp, x1
	ldp	x19, x20, [sp, #0]
	ldp	x21, x22, [sp, #16]
	ldp	x23, x24, [sp, #32]
	ldp	x25, x26, [sp, #48]
	ldp	x27, x28, [sp, #64]
	ldp	x29, x30, [sp, #80]
	ldp	d8, d9, [sp, #96]
	ldp	d10, d11, [sp, #112]
	ldp	d12, d13, [sp, #128]
	ldp	d14, d15, [sp, #144]
	add	sp, sp, #160
	ret
	.size fiber_switch, . - fiber_switch

/* The first return address of a fiber. */
	.global fiber_entry
	.type fiber_entry, %function
fiber_entry:
	mov	x29, xzr
	mov	x30, xzr
	b	fiber_begin
	.size fiber_entry, . - fiber_entry

	.section .note.GNU-stack, "", %progbits
