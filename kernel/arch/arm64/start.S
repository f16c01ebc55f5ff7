/* SPDX-License-Identifier: MIT */
/*
 * First instructions of the boot CPU (from the loader, tessera/bootinfo.h) and
 * of the others (from PSCI CPU_ON): EL2, MMU off, interrupts masked.  Both get
 * a stack and the kernel's own translation here, and continue in boot.c and
 * smp.c.
 */
#include <arch/sysreg.h>
#include "asm-offsets.h"

	.section .text.start, "ax", %progbits

	.globl	_start
_start:
	msr	daifset, #0xf
	mov	x19, x0
	mrs	x1, CurrentEL
	cmp	x1, #(2 << 2)
1:	b.ne	1b			// the loader refuses EL1 and says why
	bl	el2_known_state

	/* The MMU-off stores below must not meet cached lines of what the
	 * loader wrote here (it cleaned them, so nothing is lost). */
	adrp	x0, rodata_end
	add	x0, x0, :lo12:rodata_end
	adrp	x1, kernel_image_end
	add	x1, x1, :lo12:kernel_image_end
	mrs	x2, ctr_el0
	ubfx	x2, x2, #16, #4
	mov	x3, #4
	lsl	x3, x3, x2
2:	dc	civac, x0
	add	x0, x0, x3
	cmp	x0, x1
	b.lo	2b
	dsb	sy

	adrp	x0, boot_stack_top
	add	x0, x0, :lo12:boot_stack_top
	mov	sp, x0
	mov	x29, xzr
	mov	x0, x19
	bl	boot_with_mmu_off	// returns the root of the kernel's tables
	bl	mmu_on
	mov	x0, x19
	bl	boot_main

/* x0: the CPU's struct cpu, as psci_cpu_on was given it. */
	.globl	secondary_start
secondary_start:
	msr	daifset, #0xf
	mov	x19, x0
	bl	el2_known_state
	adrp	x0, boot_root
	ldr	x0, [x0, :lo12:boot_root]	// cleaned to memory by smp_start
	bl	mmu_on
	ldr	x1, [x19, #CPU_STACK_TOP]
	mov	sp, x1
	mov	x29, xzr
	mov	x0, x19
	bl	secondary_main

/* What must be known before the first exception could be taken. */
el2_known_state:
	msr	spsel, #1
	adrp	x0, vectors
	add	x0, x0, :lo12:vectors
	msr	vbar_el2, x0
	ldr	x0, =SCTLR_EL2_OFF
	msr	sctlr_el2, x0
	ldr	x0, =HCR_BOOT
	msr	hcr_el2, x0
	msr	tpidr_el2, xzr
	isb
	ret

/*
 * Switch translation on with root x0 (Arm ARM DDI 0487 L.b D8.2.2): PS is the
 * CPU's own address size, 48 bits at most.
 */
mmu_on:
	mrs	x1, id_aa64mmfr0_el1
	and	x1, x1, #0xf
	cmp	x1, #5
	mov	x2, #5
	csel	x1, x1, x2, lo
	ldr	x2, =TCR_EL2_VALUE
	orr	x2, x2, x1, lsl #16
	msr	tcr_el2, x2
	ldr	x2, =MAIR_VALUE
	msr	mair_el2, x2
	msr	ttbr0_el2, x0
	isb
	tlbi	alle2
	ic	iallu
	dsb	nsh
	isb
	ldr	x2, =SCTLR_EL2_VALUE
	msr	sctlr_el2, x2
	isb
	ret

	.ltorg
	.section .note.GNU-stack, "", %progbits
