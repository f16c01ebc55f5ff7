/* SPDX-License-Identifier: MIT */
/*
 * How much memory each component takes: one page for each, which init makes and
 * which outlives it.  A component may write its own page; a world that may read
 * `memory-usage` (system.conf) sees all of them, read only, one behind the other.
 * What a component says of its heap is its own word and concerns nobody's
 * rights; init's figures are written anew at each start.
 *
 * Three pages stand for what is nobody's budget: "kernel" (its image and tables,
 * init's image and first objects), "bundle" (base.bundle, which is kept to build
 * components anew), and "init" (channels, page of this kind, objects of devices,
 * and what alignment costs).  They have no heap.
 */
#ifndef PROTO_USAGE_H
#define PROTO_USAGE_H

#include <stdint.h>

#define USAGE_PAGE	4096

/* Sizes in bytes. */
struct memory_usage {
	char name[16];
	uint64_t budget;	/* of system.conf, in whole: its Untypeds; 0: none were carved */
	uint64_t made;		/* of the budget: kernel objects, image, stack, memory for DMA */
	uint64_t heap;		/* of the budget: its heap; a world's RAM */
	volatile uint64_t heap_peak;	/* most of the heap in use at once since its start; of a world 0:
				 * it knows itself */
	uint32_t starts;	/* 0: not yet, or its device is not there */
	uint32_t reserved;
};
_Static_assert(sizeof(struct memory_usage) == 56, "shared layout");

#endif
