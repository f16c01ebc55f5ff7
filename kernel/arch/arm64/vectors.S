/* SPDX-License-Identifier: MIT */
/*
 * The exception vectors of EL2 (Arm ARM DDI 0487 L.b D1.3.2) and the way back.
 *
 * While a thread runs, SP_EL2 points to it: struct thread begins with its
 * registers, so an entry saves relative to SP and needs no scratch register.
 * Then SP becomes the CPU's kernel stack.  Interrupts stay masked in the
 * kernel, so the lower half of the table is the only way in that is not a bug.
 */
#include <arch/sysreg.h>
#include "asm-offsets.h"

	.macro	entry label
	.balign	0x80
	b	\label
	.endm

	.macro	crash kind
	.balign	0x80
	msr	sp_el0, x0		// user's SP_EL0 is lost; we stop anyway
	mov	x0, #\kind
	b	crash_entry
	.endm

	/* Where the kernel's stack is, in a register that was saved. */
	.macro	kernel_stack tmp
	mrs	\tmp, tpidr_el2
	ldr	\tmp, [\tmp, #CPU_STACK_TOP]
	mov	sp, \tmp
	.endm

	/* Everything but x29 and x30, which are saved and free. */
	.macro	save_rest
	stp	x0, x1, [sp, #R_X + 0]
	stp	x2, x3, [sp, #R_X + 16]
	stp	x4, x5, [sp, #R_X + 32]
	stp	x6, x7, [sp, #R_X + 48]
	stp	x8, x9, [sp, #R_X + 64]
	stp	x10, x11, [sp, #R_X + 80]
	stp	x12, x13, [sp, #R_X + 96]
	stp	x14, x15, [sp, #R_X + 112]
	stp	x16, x17, [sp, #R_X + 128]
	save_preserved
	.endm

	/* What the call ABI preserves (tessera/abi.h): x18-x28, SP, pc, PSTATE, TPIDR_EL0. */
	.macro	save_preserved
	stp	x18, x19, [sp, #R_X + 144]
	stp	x20, x21, [sp, #R_X + 160]
	stp	x22, x23, [sp, #R_X + 176]
	stp	x24, x25, [sp, #R_X + 192]
	stp	x26, x27, [sp, #R_X + 208]
	str	x28, [sp, #R_X + 224]
	mrs	x19, sp_el0
	mrs	x20, elr_el2
	mrs	x21, spsr_el2
	mrs	x22, tpidr_el0
	stp	x19, x20, [sp, #R_SP]
	stp	x21, x22, [sp, #R_PSTATE]
	.endm

	/*
	 * The kernel lock (lock.c) by hand: message words are in x2-x7.  Clobbers
	 * x11-x15.  One CPU has nobody to exclude.
	 */
	.macro	lock_acquire cpu
	ldr	w11, [\cpu, #CPU_LOCK_NEEDED]
	cbnz	w11, 1f
2:
	.subsection 1
1:	adrp	x12, kernel_lock_word
	add	x12, x12, :lo12:kernel_lock_word
	mov	w14, #1
3:	ldaxr	w13, [x12]
	cbnz	w13, 3b
	stxr	w15, w14, [x12]
	cbnz	w15, 3b
	b	2b
	.previous
	.endm

	.macro	lock_release cpu
	ldr	w11, [\cpu, #CPU_LOCK_NEEDED]
	cbnz	w11, 1f
2:
	.subsection 1
1:	adrp	x12, kernel_lock_word
	add	x12, x12, :lo12:kernel_lock_word
	stlr	wzr, [x12]
	b	2b
	.previous
	.endm

	.section .text.vectors, "ax", %progbits
	.balign	0x800
	.globl	vectors
vectors:
	crash	0			// current EL, SP_EL0: never used
	crash	1
	crash	2
	crash	3
	crash	4			// current EL, SP_EL2: a bug of ours, or
	crash	5			// an SError
	crash	6
	crash	7
	/*
	 * Lower EL, AArch64, synchronous.  Call and reply_recv go on from here:
	 * the words stay in x2-x7 all the way to the receiver; x28 is the sender,
	 * x27 this CPU.  (A vector has room for 32 instructions.)
	 */
	.balign	0x80
	stp	x29, x30, [sp, #R_X + 232]
	mrs	x30, esr_el2
	lsr	w29, w30, #26
	cmp	w29, #EC_SVC64
	b.ne	not_svc
	cmp	x8, #1			// SYS_CALL 0, SYS_REPLY_RECV 1
	b.hi	simple_call
	cbnz	x9, syscall		// a deadline: not common
	stp	x0, x1, [sp, #R_X + 0]
	save_preserved
	mov	x28, sp
	mrs	x27, tpidr_el2
	ldr	x29, [x27, #CPU_STACK_TOP]
	mov	sp, x29
	lock_acquire x27
	cbnz	x8, fast_reply_recv
	b	fast_call
	entry	lower_irq
	entry	lower_irq		// FIQ: Group 0 is not ours; a stray one finds nothing to take
	entry	lower_serror
	entry	lower_other_sync	// lower EL, AArch32: EL0 of a personality that
	entry	lower_irq		// set it up although its ID registers say no
	entry	lower_irq
	entry	lower_serror

fast_call:
	bl	fastpath_call
	cbz	x0, call_slow

	/* x0 takes over with the message; all that the ABI does not preserve is
	 * zero in its memory but x8, the badge, and x1. */
	.macro	fast_exit
	ldr	x9, [x0, #T_VSPACE]
	ldr	x10, [x9, #V_ARCH]!	// vttbr is first
	cbz	x10, fast_no_vmid
	msr	vttbr_el2, x10
	str	x9, [x27, #CPU_VSPACE]
	ldr	w9, [x27, #CPU_FP_ON]
	cbnz	w9, 8f
9:	lock_release x27
	ldp	x9, x10, [x0, #R_SP]
	ldp	x11, x12, [x0, #R_PSTATE]
	ldr	x13, [x0, #T_TPIDRRO]
	msr	sp_el0, x9
	msr	elr_el2, x10
	msr	spsr_el2, x11
	msr	tpidr_el0, x12
	msr	tpidrro_el0, x13
	mov	sp, x0
	ldr	x1, [sp, #R_X + 8]
	ldp	x8, x9, [sp, #R_X + 64]
	ldp	x10, x11, [sp, #R_X + 80]
	ldp	x12, x13, [sp, #R_X + 96]
	ldp	x14, x15, [sp, #R_X + 112]
	ldp	x16, x17, [sp, #R_X + 128]
	ldp	x18, x19, [sp, #R_X + 144]
	ldp	x20, x21, [sp, #R_X + 160]
	ldp	x22, x23, [sp, #R_X + 176]
	ldp	x24, x25, [sp, #R_X + 192]
	ldp	x26, x27, [sp, #R_X + 208]
	ldp	x28, x29, [sp, #R_X + 224]
	ldr	x30, [sp, #R_X + 240]
	mov	x0, #0
	eret
	.subsection 1
8:	ldr	x9, =CPTR_FP_OFF
	msr	cptr_el2, x9
	str	wzr, [x27, #CPU_FP_ON]
	b	9b
	.previous
	.endm

	fast_exit

fast_reply_recv:
	mov	x26, x10
	mov	x1, x10
	bl	fastpath_reply_recv
	cbz	x0, reply_slow
	tbnz	x0, #0, reply_full
	fast_exit

	/* A fault was answered: the faulting thread's registers are in memory. */
reply_full:
	bic	x0, x0, #1
	b	finish

	/* The receiver's space has no VMID at the moment: C gives it one. */
fast_no_vmid:
	str	xzr, [x0, #R_X + 0]
	stp	x2, x3, [x0, #R_X + 16]
	stp	x4, x5, [x0, #R_X + 32]
	stp	x6, x7, [x0, #R_X + 48]

	/*
	 * The way out for everything else: x0 runs, the lock is held, its
	 * registers are in memory.  A component after a component needs a few
	 * registers only, the VCPU that is active already even less; trap_finish
	 * does what is left.
	 */
finish:
	mrs	x27, tpidr_el2
	ldr	x1, [x0, #T_VCPU]
	ldr	x2, [x27, #CPU_ACTIVE_VCPU]
	cbnz	x1, finish_vcpu
	cbnz	x2, finish_slow
	ldr	x9, [x0, #T_VSPACE]
	ldr	x10, [x9, #V_ARCH]!
	cbz	x10, finish_slow
	ldr	w3, [x27, #CPU_FP_ON]
	cbnz	w3, finish_slow
	ldr	x4, [x0, #T_TPIDRRO]
	msr	vttbr_el2, x10
	str	x9, [x27, #CPU_VSPACE]
	msr	tpidrro_el0, x4
	lock_release x27
	b	resume

finish_vcpu:
	add	x1, x1, #VCPU_ARCH
	cmp	x1, x2
	b.ne	finish_slow
	ldr	w3, [x1, #VCPU_NOTIFIED]
	cbnz	w3, finish_slow
	ldr	x9, [x0, #T_VSPACE]
	ldr	x10, [x27, #CPU_VSPACE]
	add	x9, x9, #V_ARCH
	cmp	x9, x10
	b.ne	finish_slow
	ldr	x3, [x27, #CPU_FP_OWNER]	// FP is on exactly if it is the owner's turn
	ldr	w4, [x27, #CPU_FP_ON]
	cmp	x3, x0
	cset	w5, eq
	cmp	w4, w5
	b.ne	finish_slow
	lock_release x27
	b	resume

finish_slow:
	bl	trap_finish
	b	resume

call_slow:
	mov	x8, #0
	mov	x26, #0
	b	1f
reply_slow:
	mov	x8, #1
1:	lock_release x27
	stp	x2, x3, [x28, #R_X + 16]
	stp	x4, x5, [x28, #R_X + 32]
	stp	x6, x7, [x28, #R_X + 48]
	str	x8, [x28, #R_X + 64]
	str	x26, [x28, #R_X + 80]
	mov	x0, x28
	bl	trap_syscall

	/*
	 * An invocation of a kernel object mostly goes back to its caller: then
	 * its space is still loaded and only what this entry used is restored.
	 * A restarted call has another pc; idling has unloaded the space.
	 */
	cmp	x0, x28
	b.ne	finish
	ldrb	w9, [x0, #T_RESTARTED]
	cbnz	w9, finish
	ldr	x10, [x0, #T_VSPACE]
	ldr	x11, [x27, #CPU_VSPACE]
	add	x10, x10, #V_ARCH
	cmp	x10, x11
	b.ne	finish
	lock_release x27
	mov	sp, x0
	ldp	x0, x1, [sp, #R_X + 0]
	ldp	x2, x3, [sp, #R_X + 16]
	ldp	x4, x5, [sp, #R_X + 32]
	ldp	x6, x7, [sp, #R_X + 48]
	ldp	x8, x9, [sp, #R_X + 64]
	ldp	x10, x11, [sp, #R_X + 80]
	ldp	x12, x13, [sp, #R_X + 96]
	ldp	x14, x15, [sp, #R_X + 112]
	ldp	x16, x17, [sp, #R_X + 128]
	ldp	x19, x20, [sp, #R_X + 152]
	ldp	x21, x22, [sp, #R_X + 168]
	ldp	x26, x27, [sp, #R_X + 208]
	ldp	x28, x29, [sp, #R_X + 224]
	ldr	x30, [sp, #R_X + 240]
	eret

not_svc:
	cmp	w29, #EC_HVC64
	b.eq	simple_call
sync_slow:
	save_rest
	mov	x0, sp
	mov	x1, x30
	kernel_stack x29
	bl	trap_sync
	tbz	x0, #0, finish
	bic	x0, x0, #1		// nothing but this thread's registers changed
	b	resume

lower_other_sync:
	stp	x29, x30, [sp, #R_X + 232]
	mrs	x30, esr_el2
	b	sync_slow

	/*
	 * Signal and poll mostly change nothing for their caller: C preserves
	 * x18-x28 for us, so they are saved only if another thread has to run.
	 * x29 is the caller.
	 */
	.macro	lean_enter
	stp	x0, x1, [sp, #R_X + 0]
	mov	x29, sp
	mrs	x30, tpidr_el2
	ldr	x9, [x30, #CPU_STACK_TOP]
	mov	sp, x9
	lock_acquire x30
	.endm

	.macro	lean_exit
	mrs	x30, tpidr_el2
	lock_release x30
	mov	sp, x29
	mov	x1, #0
	mov	x2, #0
	mov	x3, #0
	mov	x4, #0
	mov	x5, #0
	mov	x6, #0
	mov	x7, #0
	ldp	x9, x10, [sp, #R_X + 72]	// zeros
	ldp	x11, x12, [sp, #R_X + 88]
	ldp	x13, x14, [sp, #R_X + 104]
	ldp	x15, x16, [sp, #R_X + 120]
	ldr	x17, [sp, #R_X + 136]
	ldp	x29, x30, [sp, #R_X + 232]
	eret
	.endm

simple_call:
	cmp	x8, #6			// SYS_SIGNAL
	b.eq	lean_signal
	cmp	x8, #8			// SYS_POLL
	b.ne	syscall

	lean_enter
	bl	fastpath_poll
	cbz	x0, poll_slow
	mov	x8, x1
	mov	x9, #ERROR_WOULD_BLOCK
	cmp	x1, #0
	csel	x0, xzr, x9, ne
	lean_exit

lean_signal:
	lean_enter
	bl	fastpath_signal
	cmp	x0, x29
	b.ne	signal_other
	mov	x0, #0
	mov	x8, #0
	lean_exit

	/* Somebody more urgent was woken.  The signal itself is done. */
signal_other:
	cbz	x0, signal_slow
	mov	sp, x29
	save_preserved
	str	xzr, [sp, #R_X + 0]
	kernel_stack x29
	b	finish

	/* x0 and x1 are saved; the words in memory are old ones of the caller. */
signal_slow:
	mov	x8, #6
	b	1f
poll_slow:
	mov	x8, #8
1:	mrs	x30, tpidr_el2
	lock_release x30
	mov	sp, x29
	str	x8, [sp, #R_X + 64]
	save_preserved
	mov	x0, sp
	kernel_stack x29
	bl	trap_syscall
	b	finish

/* All others.  x11-x17 are clobbered by the ABI; their words in memory are zero. */
syscall:
	stp	x0, x1, [sp, #R_X + 0]
	stp	x2, x3, [sp, #R_X + 16]
	stp	x4, x5, [sp, #R_X + 32]
	stp	x6, x7, [sp, #R_X + 48]
	stp	x8, x9, [sp, #R_X + 64]
	str	x10, [sp, #R_X + 80]
	save_preserved
	mov	x0, sp
	kernel_stack x29
	bl	trap_syscall
	b	finish

lower_irq:
	stp	x29, x30, [sp, #R_X + 232]
	save_rest
	kernel_stack x29
	bl	trap_irq
	b	finish

lower_serror:
	stp	x29, x30, [sp, #R_X + 232]
	mrs	x30, esr_el2
	save_rest
	mov	x0, sp
	mov	x1, x30
	kernel_stack x29
	bl	trap_serror
	b	finish

/* x0: the thread that runs now; its spaces are loaded. */
	.globl	resume
resume:
	mov	sp, x0
	ldp	x2, x3, [sp, #R_SP]
	ldp	x4, x5, [sp, #R_PSTATE]
	msr	sp_el0, x2
	msr	elr_el2, x3
	msr	spsr_el2, x4
	msr	tpidr_el0, x5
	ldp	x0, x1, [sp, #R_X + 0]
	ldp	x2, x3, [sp, #R_X + 16]
	ldp	x4, x5, [sp, #R_X + 32]
	ldp	x6, x7, [sp, #R_X + 48]
	ldp	x8, x9, [sp, #R_X + 64]
	ldp	x10, x11, [sp, #R_X + 80]
	ldp	x12, x13, [sp, #R_X + 96]
	ldp	x14, x15, [sp, #R_X + 112]
	ldp	x16, x17, [sp, #R_X + 128]
	ldp	x18, x19, [sp, #R_X + 144]
	ldp	x20, x21, [sp, #R_X + 160]
	ldp	x22, x23, [sp, #R_X + 176]
	ldp	x24, x25, [sp, #R_X + 192]
	ldp	x26, x27, [sp, #R_X + 208]
	ldp	x28, x29, [sp, #R_X + 224]
	ldr	x30, [sp, #R_X + 240]
	stp	xzr, xzr, [sp, #R_X + 72]	// the invariant of arch/types.h
	stp	xzr, xzr, [sp, #R_X + 88]
	stp	xzr, xzr, [sp, #R_X + 104]
	stp	xzr, xzr, [sp, #R_X + 120]
	str	xzr, [sp, #R_X + 136]
	eret

/* x0 is in SP_EL0, the kind in x0.  A frame for crash_exception: x0-x30, sp,
 * elr, spsr, esr, far. */
crash_entry:
	msr	tpidr_el1, x1
	mov	x1, sp
	msr	tpidrro_el0, x1
	mrs	x1, tpidr_el2
	cbz	x1, .			// no CPU record yet: nothing to say it with
	ldr	x1, [x1, #CPU_CRASH_STACK_TOP]
	sub	x1, x1, #(36 * 8)
	mov	sp, x1
	mrs	x1, tpidr_el1
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
	mrs	x2, sp_el0
	stp	x2, x1, [sp, #0]
	mrs	x2, tpidrro_el0
	stp	x30, x2, [sp, #240]
	mrs	x2, elr_el2
	mrs	x3, spsr_el2
	stp	x2, x3, [sp, #256]
	mrs	x2, esr_el2
	mrs	x3, far_el2
	stp	x2, x3, [sp, #272]
	mov	x1, sp
	bl	crash_exception

	.section .note.GNU-stack, "", %progbits
