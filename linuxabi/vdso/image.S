/* SPDX-License-Identifier: MIT */
/* The built vDSO inside the personality's image, on pages of its own. VDSO_SO: its path. */
	.section .rodata
	.balign	4096
	.globl	vdso_image_start
vdso_image_start:
	.incbin	VDSO_SO
	.balign	4096
	.globl	vdso_image_end
vdso_image_end:
	.section .note.GNU-stack, "", %progbits
