/* SPDX-License-Identifier: MIT */
/*
 * Where a signal handler returns to.  Unwinders find the interrupted frame
 * through the frame record that x29 points to; they subtract 1 from a return
 * address before they look it up, so the procedure begins a NOP early.  GDB and
 * libgcc know the two instructions by their encoding: they must stay as they are.
 */
#include <asm/unistd.h>

	.text
	.balign	16
	.cfi_startproc
	.cfi_signal_frame
	.cfi_def_cfa	x29, 0
	.cfi_offset	x29, 0
	.cfi_offset	x30, 8
	nop
	.globl	__kernel_rt_sigreturn
	.type	__kernel_rt_sigreturn, %function
__kernel_rt_sigreturn:
	mov	x8, #__NR_rt_sigreturn
	svc	#0
	.cfi_endproc
	.size	__kernel_rt_sigreturn, . - __kernel_rt_sigreturn

	.section .note.GNU-stack, "", %progbits
