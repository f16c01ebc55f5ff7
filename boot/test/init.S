/* SPDX-License-Identifier: MIT */
/* An init that only has the form of one: code, constants, data and .bss. */
	.text
	.globl _start
_start:
	wfi
	b	_start
	.data
	.quad	_start
	.bss
	.skip	5000
