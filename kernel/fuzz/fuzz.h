/* SPDX-License-Identifier: MIT */
/*
 * Between the random world (world.c) and what drives it.
 */
#ifndef KERNEL_FUZZ_H
#define KERNEL_FUZZ_H

#include <stddef.h>
#include <stdint.h>

/*
 * Boot, then do what the bytes say, once by the slow paths alone and once with
 * fast paths; the invariant checker looks after each step.  Aborts on a
 * finding; 1 if the threads saw a difference between the two.
 */
int fuzz_run(const uint8_t *bytes, size_t count);
extern uint64_t fuzz_invocations;	/* calls made so far, over all runs */

#endif
