/* SPDX-License-Identifier: MIT */
/*
 * Exception vectors of EL1 (Arm ARM DDI 0487 D1.3.1) and the way back to EL0.
 *
 * While a task runs at EL0, SP_EL1 is the top of its kernel stack and TPIDR_EL1
 * points at its struct task.  An exception from EL0 stores struct regs there; a
 * system call goes straight to its function with x0..x5 as they came.
 */
#include "asm.h"

	.macro save_all
	sub	sp, sp, #REGS_SIZE
	stp	x0, x1, [sp, #0]
	stp	x2, x3, [sp, #16]
	stp	x4, x5, [sp, #32]
	stp	x6, x7, [sp, #48]
	stp	x8, x9, [sp, #64]
	stp	x10, x11, [sp, #80]
	stp	x12, x13, [sp, #96]
	stp	x14, x15, [sp, #112]
	stp	x16, x17, [sp, #128]
	stp	x18, x19, [sp, #144]
	stp	x20, x21, [sp, #160]
	stp	x22, x23, [sp, #176]
	stp	x24, x25, [sp, #192]
	stp	x26, x27, [sp, #208]
	stp	x28, x29, [sp, #224]
	.endm

	.macro save_user
	save_all
	mrs	x21, sp_el0
	mrs	x22, elr_el1
	mrs	x23, spsr_el1
	stp	x30, x21, [sp, #240]
	stp	x22, x23, [sp, #REGS_PC]
	.endm

	.macro vector label
	.balign 0x80
	b	\label
	.endm

	.section .text.vectors, "ax"
	.arch armv8-a
	.balign 2048
	.globl vectors
vectors:
	vector	el1_bad			/* EL1 with SP_EL0: never used */
	vector	el1_bad
	vector	el1_bad
	vector	el1_bad
	vector	el1_sync
	vector	el1_irq
	vector	el1_bad
	vector	el1_bad
	.balign 0x80			/* EL0, AArch64 */
el0_sync:
	save_user
	mrs	x25, esr_el1
	lsr	x24, x25, #26
	cmp	x24, #EC_SVC64
	b.eq	el0_svc
	b	el0_other
	vector	el0_irq
	vector	el0_irq			/* FIQ: routed like IRQ */
	vector	el0_serror
	vector	el0_bad32		/* AArch32: such programs are never started */
	vector	el0_bad32
	vector	el0_bad32
	vector	el0_bad32

	.text
	/* x0..x7 are still the program's.  x28: current. */
	.balign 64
el0_svc:
	mrs	x28, tpidr_el1
	stp	x0, x8, [sp, #REGS_ORIG_X0]
	msr	daifclr, #2
	cmp	x8, #SYSCALLS
	b.hs	1f
	adrp	x16, syscall_table
	add	x16, x16, :lo12:syscall_table
	ldr	x16, [x16, x8, lsl #3]
	adrp	x17, syscall_counts
	add	x17, x17, :lo12:syscall_counts
	ldr	w9, [x28, #TASK_CPU]
	add	x17, x17, x9, lsl #SYSCALLS_SHIFT
	ldr	x10, [x17, x8, lsl #3]
	add	x10, x10, #1
	str	x10, [x17, x8, lsl #3]
	blr	x16
2:	str	x0, [sp]
	msr	daifset, #2
	ldr	w1, [x28, #TASK_WORK]
	cbnz	w1, svc_work
	b	restore_user
1:	mov	x0, x8
	bl	syscall_unknown
	b	2b

svc_work:
	mov	x0, sp
	mov	x1, #1
	bl	user_work
	b	restore_user

el0_other:
	mov	x9, #-1
	str	x9, [sp, #REGS_SYSCALL]
	mov	x0, sp
	mov	x1, x25
	mrs	x2, far_el1
	bl	trap_user
	b	ret_to_user

el0_irq:
	save_user
	mov	x9, #-1
	str	x9, [sp, #REGS_SYSCALL]
	mov	x0, #1
	bl	irq_handle

	/* Interrupts may be on; x28 need not be current. */
ret_to_user:
	msr	daifset, #2
	mrs	x28, tpidr_el1
	ldr	w1, [x28, #TASK_WORK]
	cbz	w1, restore_user
	mov	x0, sp
	mov	x1, #0
	bl	user_work

	.balign 64
restore_user:
	ldp	x30, x21, [sp, #240]
	ldp	x22, x23, [sp, #REGS_PC]
	msr	sp_el0, x21
	msr	elr_el1, x22
	msr	spsr_el1, x23
	ldp	x0, x1, [sp, #0]
	ldp	x2, x3, [sp, #16]
	ldp	x4, x5, [sp, #32]
	ldp	x6, x7, [sp, #48]
	ldp	x8, x9, [sp, #64]
	ldp	x10, x11, [sp, #80]
	ldp	x12, x13, [sp, #96]
	ldp	x14, x15, [sp, #112]
	ldp	x16, x17, [sp, #128]
	ldp	x18, x19, [sp, #144]
	ldp	x20, x21, [sp, #160]
	ldp	x22, x23, [sp, #176]
	ldp	x24, x25, [sp, #192]
	ldp	x26, x27, [sp, #208]
	ldp	x28, x29, [sp, #224]
	add	sp, sp, #REGS_SIZE
	eret

el0_serror:
	save_user
	mov	x9, #-1
	str	x9, [sp, #REGS_SYSCALL]
	mov	x0, sp
	mrs	x1, esr_el1
	bl	trap_serror
	b	ret_to_user

el0_bad32:
	save_user
	mov	x9, #-1
	str	x9, [sp, #REGS_SYSCALL]
	mov	x0, sp
	bl	trap_aarch32
	b	ret_to_user

	/* Exceptions of the personality itself: the interrupted state goes on the
	 * same stack, in the shape of struct regs. */
	.macro save_kernel
	save_all
	add	x21, sp, #REGS_SIZE
	mrs	x22, elr_el1
	mrs	x23, spsr_el1
	stp	x30, x21, [sp, #240]
	stp	x22, x23, [sp, #REGS_PC]
	.endm

el1_sync:
	save_kernel
	mov	x0, sp
	mrs	x1, esr_el1
	mrs	x2, far_el1
	bl	trap_kernel
	b	restore_kernel

el1_irq:
	save_kernel
	mov	x0, #0
	bl	irq_handle

restore_kernel:
	ldp	x22, x23, [sp, #REGS_PC]
	msr	elr_el1, x22
	msr	spsr_el1, x23
	ldp	x0, x1, [sp, #0]
	ldp	x2, x3, [sp, #16]
	ldp	x4, x5, [sp, #32]
	ldp	x6, x7, [sp, #48]
	ldp	x8, x9, [sp, #64]
	ldp	x10, x11, [sp, #80]
	ldp	x12, x13, [sp, #96]
	ldp	x14, x15, [sp, #112]
	ldp	x16, x17, [sp, #128]
	ldp	x18, x19, [sp, #144]
	ldp	x20, x21, [sp, #160]
	ldp	x22, x23, [sp, #176]
	ldp	x24, x25, [sp, #192]
	ldp	x26, x27, [sp, #208]
	ldp	x28, x29, [sp, #224]
	ldr	x30, [sp, #240]
	add	sp, sp, #REGS_SIZE
	eret

el1_bad:
	save_kernel
	mov	x0, sp
	mrs	x1, esr_el1
	mrs	x2, far_el1
	bl	trap_bad
	b	.

	/* struct task *arch_switch(prev, next): callee-saved registers and the stack.
	 * x0 stays prev, which is the result on the other side. */
func arch_switch
	add	x8, x0, #TASK_CONTEXT
	add	x9, x1, #TASK_CONTEXT
	mov	x10, sp
	stp	x19, x20, [x8, #0]
	stp	x21, x22, [x8, #16]
	stp	x23, x24, [x8, #32]
	stp	x25, x26, [x8, #48]
	stp	x27, x28, [x8, #64]
	stp	x29, x30, [x8, #80]
	str	x10, [x8, #CONTEXT_SP]
	ldp	x19, x20, [x9, #0]
	ldp	x21, x22, [x9, #16]
	ldp	x23, x24, [x9, #32]
	ldp	x25, x26, [x9, #48]
	ldp	x27, x28, [x9, #64]
	ldp	x29, x30, [x9, #80]
	ldr	x10, [x9, #CONTEXT_SP]
	mov	sp, x10
	msr	tpidr_el1, x1
	ret

	/* First run of a new task: x0 = prev from the switch; x19 = function, x20 = argument. */
func task_first_kernel
	bl	sched_first_run
	mov	x0, x20
	blr	x19
	mov	x0, #0
	bl	task_exit

func task_first_user
	bl	sched_first_run
	b	ret_to_user

	/* Leave for EL0 with current->regs, dropping whatever is on the kernel stack. */
func arch_return_to_user
	msr	daifset, #2
	mrs	x28, tpidr_el1
	ldr	x0, [x28, #TASK_REGS]
	mov	sp, x0
	b	ret_to_user
