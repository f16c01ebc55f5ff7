/* SPDX-License-Identifier: MIT */
/*
 * Copies between kernel and user memory, and memcpy, which is the same code.
 *
 * Callers have checked the range.  Instructions that touch user memory stand in
 * the exception table: a fault on them first brings the page in (trap.c), and if
 * that fails goes to the fix-up, which finishes byte by byte and returns what is
 * left.  Bulk copies use LDP/STP: TTBR0 maps nothing that EL0 may not access.
 * Single values use LDTR/STTR.
 */
#include "asm.h"

	.text
	.arch armv8-a

	/* One that touches user memory within copy_user_raw. */
	.macro touch insn:vararg
9999:	\insn
	ex_entry 9999b, copy_user_bytes, 0
	.endm
	.macro move_64 at
	touch	ldp	x3, x4, [x1, #\at]
	touch	ldp	x5, x6, [x1, #\at + 16]
	touch	ldp	x7, x8, [x1, #\at + 32]
	touch	ldp	x9, x10, [x1, #\at + 48]
	touch	stp	x3, x4, [x0, #\at]
	touch	stp	x5, x6, [x0, #\at + 16]
	touch	stp	x7, x8, [x0, #\at + 32]
	touch	stp	x9, x10, [x0, #\at + 48]
	.endm

	/* x0 dst, x1 src, x2 bytes -> x0: bytes not copied.  Registers move only after
	 * a block is done, so that the fix-up knows where it stands. */
func copy_user_raw
	cmp	x2, #256
	b.lo	2f
1:	move_64	0
	move_64	64
	move_64	128
	move_64	192
	add	x1, x1, #256
	add	x0, x0, #256
	sub	x2, x2, #256
	cmp	x2, #256
	b.hs	1b
2:	cmp	x2, #64
	b.lo	4f
3:	move_64	0
	add	x1, x1, #64
	add	x0, x0, #64
	sub	x2, x2, #64
	cmp	x2, #64
	b.hs	3b
4:	cmp	x2, #16
	b.lo	5f
	touch	ldp	x3, x4, [x1]
	touch	stp	x3, x4, [x0]
	add	x1, x1, #16
	add	x0, x0, #16
	sub	x2, x2, #16
	b	4b
5:	tbz	x2, #3, 6f
	touch	ldr	x3, [x1]
	touch	str	x3, [x0]
	add	x1, x1, #8
	add	x0, x0, #8
	sub	x2, x2, #8
6:	tbz	x2, #2, 7f
	touch	ldr	w3, [x1]
	touch	str	w3, [x0]
	add	x1, x1, #4
	add	x0, x0, #4
	sub	x2, x2, #4
7:	cbz	x2, 9f
8:	touch	ldrb	w3, [x1]
	touch	strb	w3, [x0]
	add	x1, x1, #1
	add	x0, x0, #1
	subs	x2, x2, #1
	b.ne	8b
9:	mov	x0, #0
	ret
	/* The page of some byte of this block is not to be had: copy up to it. */
copy_user_bytes:
	cbz	x2, 9b
26:	ldrb	w3, [x1]
27:	strb	w3, [x0]
	add	x1, x1, #1
	add	x0, x0, #1
	sub	x2, x2, #1
	b	copy_user_bytes
29:	mov	x0, x2
	ret
	ex_entry 26b, 29b, 0
	ex_entry 27b, 29b, 0

	/* void *memcpy(dst, src, n): the same moves, kernel addresses only. */
func memcpy
	mov	x11, x0
	mov	x12, x30
	bl	copy_user_raw
	mov	x0, x11
	ret	x12

	/* x0 user dst, x1 bytes -> x0: bytes not cleared. */
func clear_user_raw
	cmp	x1, #64
	b.lo	17f
7:
13:	stp	xzr, xzr, [x0]
14:	stp	xzr, xzr, [x0, #16]
15:	stp	xzr, xzr, [x0, #32]
16:	stp	xzr, xzr, [x0, #48]
	add	x0, x0, #64
	sub	x1, x1, #64
	cmp	x1, #64
	b.hs	7b
17:	cmp	x1, #16
	b.lo	2f
1:
10:	stp	xzr, xzr, [x0]
	add	x0, x0, #16
	sub	x1, x1, #16
	cmp	x1, #16
	b.hs	1b
2:	cbz	x1, 4f
3:
11:	strb	wzr, [x0]
	add	x0, x0, #1
	subs	x1, x1, #1
	b.ne	3b
4:	mov	x0, #0
	ret
5:	cbz	x1, 4b
12:	strb	wzr, [x0]
	add	x0, x0, #1
	sub	x1, x1, #1
	b	5b
6:	mov	x0, x1
	ret
	.irp	n, 10, 11, 13, 14, 15, 16
	ex_entry \n\()b, 5b, 0
	.endr
	ex_entry 12b, 6b, 0

	/* Single values: x0 kernel pointer, x1 user address -> 0 or -EFAULT (-14). */
	.macro get_user name, load, store, reg
func \name
10:	\load	\reg, [x1]
	\store	\reg, [x0]
	mov	x0, #0
	ret
11:	mov	x0, #-14
	ret
	ex_entry 10b, 11b, 0
	.endm
	get_user get_user_u8_raw, ldtrb, strb, w2
	get_user get_user_u32_raw, ldtr, str, w2
	get_user get_user_u64_raw, ldtr, str, x2

	/* x0 user address, x1 value. */
	.macro put_user name, store, reg
func \name
10:	\store	\reg, [x0]
	mov	x0, #0
	ret
11:	mov	x0, #-14
	ret
	ex_entry 10b, 11b, 0
	.endm
	put_user put_user_u8_raw, sttrb, w1
	put_user put_user_u32_raw, sttr, w1
	put_user put_user_u64_raw, sttr, x1

	/* Never bring a page in: x0 kernel pointer, x1 user address. */
func user_load_u32_raw
10:	ldtr	w2, [x1]
	str	w2, [x0]
	mov	x0, #0
	ret
11:	mov	x0, #-14
	ret
	ex_entry 10b, 11b, 1

	/* x0 user address, w1 expected, w2 desired, x3 kernel pointer for what was there. */
func user_cmpxchg_u32_raw
1:
10:	ldaxr	w4, [x0]
	cmp	w4, w1
	b.ne	2f
11:	stlxr	w5, w2, [x0]
	cbnz	w5, 1b
	dmb	ish
	b	3f
2:	clrex
3:	str	w4, [x3]
	mov	x0, #0
	ret
4:	clrex
	mov	x0, #-14
	ret
	ex_entry 10b, 4b, 1
	ex_entry 11b, 4b, 1

	/* long strncpy_from_user_raw(dst, src, size): length, size if no NUL, -EFAULT. */
func strncpy_from_user_raw
	mov	x3, #0
1:	cmp	x3, x2
	b.eq	2f
10:	ldtrb	w4, [x1]
	strb	w4, [x0, x3]
	cbz	w4, 2f
	add	x1, x1, #1
	add	x3, x3, #1
	b	1b
2:	mov	x0, x3
	ret
3:	mov	x0, #-14
	ret
	ex_entry 10b, 3b, 0

	/* A whole page: DC ZVA where the block size permits, else stores (C, page.c). */
func page_clear
	mrs	x1, dczid_el0
	tbnz	x1, #4, 2f
	and	x1, x1, #15
	mov	x2, #4
	lsl	x2, x2, x1
	add	x3, x0, #4096
1:	dc	zva, x0
	add	x0, x0, x2
	cmp	x0, x3
	b.lo	1b
	ret
2:	add	x3, x0, #4096
3:	stp	xzr, xzr, [x0], #16
	stp	xzr, xzr, [x0], #16
	cmp	x0, x3
	b.lo	3b
	ret

func page_copy
	add	x2, x0, #4096
1:	ldp	x3, x4, [x1]
	ldp	x5, x6, [x1, #16]
	ldp	x7, x8, [x1, #32]
	ldp	x9, x10, [x1, #48]
	stp	x3, x4, [x0]
	stp	x5, x6, [x0, #16]
	stp	x7, x8, [x0, #32]
	stp	x9, x10, [x0, #48]
	add	x1, x1, #64
	add	x0, x0, #64
	cmp	x0, x2
	b.lo	1b
	ret

	/* void *memset(dst, c, n) */
func memset
	mov	x3, x0
	and	w1, w1, #255
	mov	x4, #0x0101010101010101
	mul	x1, x1, x4
	cmp	x2, #64
	b.lo	6f
5:	stp	x1, x1, [x3]
	stp	x1, x1, [x3, #16]
	stp	x1, x1, [x3, #32]
	stp	x1, x1, [x3, #48]
	add	x3, x3, #64
	sub	x2, x2, #64
	cmp	x2, #64
	b.hs	5b
6:	cmp	x2, #16
	b.lo	2f
1:	stp	x1, x1, [x3], #16
	sub	x2, x2, #16
	cmp	x2, #16
	b.hs	1b
2:	cbz	x2, 4f
3:	strb	w1, [x3], #1
	subs	x2, x2, #1
	b.ne	3b
4:	ret
