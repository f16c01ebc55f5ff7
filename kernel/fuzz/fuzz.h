/* SPDX-License-Identifier: MIT */
/*
 * Between the random world (world.c) and what drives it.
 */
#ifndef KERNEL_FUZZ_H
#define KERNEL_FUZZ_H

#include <stddef.h>
#include <stdint.h>

/*
 * Boot, then do what the bytes say; aborts on any finding.  What the threads
 * see before each step goes, as a number, into digests, if there is room.
 */
void fuzz_run(const uint8_t *bytes, size_t count, uint64_t *digests, size_t max);
extern uint64_t fuzz_invocations;	/* calls made so far, over all runs */

#endif
