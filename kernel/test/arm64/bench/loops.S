/* SPDX-License-Identifier: MIT */
/*
 * See loops.h.  System calls: x8 0 call, 1 reply_recv, 4 recv, 6 signal, 7 wait,
 * 8 poll, 9 yield (tessera/calls.h).
 */
	.text

	.macro	begin name
	.globl	\name
	.type	\name, %function
	.balign	64
\name:
	.endm

begin bench_empty
1:	subs	x0, x0, #1
	b.ne	1b
	ret

begin bench_call
	stp	x20, x21, [sp, #-32]!
	str	x22, [sp, #16]
	mov	x20, x0
	mov	x21, x1
	mov	x22, x2
1:	mov	x0, x20
	mov	x1, x21
	mov	x8, #0
	mov	x9, #0
	svc	#0
	subs	x22, x22, #1
	b.ne	1b
	ldr	x22, [sp, #16]
	ldp	x20, x21, [sp], #32
	ret

/* x1 and the words stay as they came: the answer is an echo. */
begin bench_server
	mov	x20, x0
	mov	x21, x1
	mov	x8, #4
	mov	x9, #0
	mov	x10, x21
	svc	#0
1:	mov	x0, x20
	mov	x8, #1
	mov	x9, #0
	mov	x10, x21
	svc	#0
	b	1b

	.macro	simple_loop name, number, trap
begin \name
	stp	x20, x21, [sp, #-16]!
	mov	x20, x0
	mov	x21, x1
1:	mov	x0, x20
	mov	x8, #\number
	mov	x9, #0
	\trap	#0
	subs	x21, x21, #1
	b.ne	1b
	ldp	x20, x21, [sp], #16
	ret
	.endm

simple_loop bench_signal, 6, svc
simple_loop bench_poll, 8, svc
simple_loop bench_signal_hvc, 6, hvc
simple_loop bench_poll_hvc, 8, hvc

begin bench_yield
	mov	x18, x0
1:	mov	x8, #9
	svc	#0
	subs	x18, x18, #1
	b.ne	1b
	ret

begin bench_faulter
	mov	x20, x0
1:	ldr	x1, [x20]
	nop
	b	1b

/* The fault's first word is its pc; an answer with label 1 sets a new one. */
begin bench_pager
	mov	x20, x0
	mov	x21, x1
	mov	x8, #4
	mov	x9, #0
	mov	x10, x21
	svc	#0
	mov	x22, #1
	movk	x22, #1, lsl #16
	mov	x23, #0
	mov	x24, #0x50000000	// the shared page
1:	add	x2, x2, #4
	add	x23, x23, #1
	str	x23, [x24]
	mov	x1, x22
	mov	x0, x20
	mov	x8, #1
	mov	x9, #0
	mov	x10, x21
	svc	#0
	b	1b

begin bench_signaller
1:	subs	x2, x2, #1
	b.ne	1b
	mrs	x3, cntpct_el0
	str	x3, [x1]
	mov	x8, #6
	mov	x9, #0
	svc	#0
	ret

begin bench_trigger
1:	subs	x3, x3, #1
	b.ne	1b
	mrs	x4, cntpct_el0
	str	x4, [x2]
	str	w1, [x0]
	ret

begin bench_wait
	mov	x8, #7
	mov	x9, #0
	svc	#0
	mrs	x0, cntpct_el0
	ret

	.section .note.GNU-stack, "", %progbits
