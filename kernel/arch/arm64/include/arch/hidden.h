/* SPDX-License-Identifier: MIT */
/*
 * Included before everything else (see the Makefile): no symbol of the kernel
 * is anybody else's, so the compiler addresses all of them directly.
 */
#ifndef __ASSEMBLER__
#pragma GCC visibility push(hidden)
#endif
