/* SPDX-License-Identifier: MIT */
/*
 * Where a component begins: x0 is the address of its start record, sp the top
 * of its stack.  x29 and x30 end the chain of frames.
 */
	.section .text.start, "ax"
	.globl	_start
	.type	_start, %function
_start:
	mov	x29, xzr
	mov	x30, xzr
	bl	component_start
	brk	#1		/* component_start does not return */
	.size	_start, . - _start
	.section .note.GNU-stack, "", %progbits
