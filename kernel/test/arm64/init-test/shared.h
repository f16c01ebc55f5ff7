/* SPDX-License-Identifier: MIT */
/*
 * The page that init and its test personality share, and slots that both know.
 */
#ifndef SHARED_H
#define SHARED_H

#include "support.h"

enum { EL1_RESULTS = 96 };

enum el1_state { EL1_STARTED = 1, EL1_POKED, EL1_WAITING, EL1_SPINNING, EL1_DONE };

struct shared {
	volatile uint64_t state;	/* enum el1_state, written by the VCPU */
	volatile uint64_t command;	/* EL1_*: go on to that state */
	volatile uint64_t results;
	struct {
		const char *name;
		uint64_t ok;
	} result[EL1_RESULTS];
	volatile uint64_t notified;	/* bits that the VCPU polled */
	volatile uint64_t interrupts;	/* VIRQ_NOTIFICATION taken */
	volatile uint64_t beat[8];	/* counters of threads on other CPUs */
	volatile uint32_t own_signal;	/* slot: the VCPU's Notification, badge 1 */
	volatile uint32_t own_poll;
};

#define shared ((struct shared *)SHARED_VADDR)

void el1_main(uint64_t arg, uint64_t arg2);
void el1_spin(uint64_t arg, uint64_t arg2);

#endif
