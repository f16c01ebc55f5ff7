/* SPDX-License-Identifier: MIT */
/*
 * The page that init and its test personality share, and slots that both know.
 */
#ifndef SHARED_H
#define SHARED_H

#include "support.h"

enum { EL1_RESULTS = 96 };

/* A personality's page that is both writable and executable. */
#define CODE_VADDR	0x20000000UL
/* And one that two of them have (sysregs.c). */
#define MARKS_VADDR	0x20001000UL

/* What a component keeps in its registers beside the personality. */
#define SECRET		0x5ec2e75ec2e75ec2UL

/* What the sweep through all system registers found (sysregs.c). */
enum { SYSREG_ODD = 16, SYSREG_WRITE = 1 << 15 };
struct sysreg_sweep {
	uint64_t read, written;		/* without an exception */
	uint64_t undefined;		/* reads that ended in an UNDEF */
	uint64_t changed;		/* of these: the register is not what it was */
	uint64_t secrets;		/* values that are a component's */
	uint64_t untrapped;		/* accesses that the emulator should have trapped */
	uint64_t odd_count;		/* accesses that should have ended in an UNDEF */
	uint32_t odd[SYSREG_ODD];	/* the first of them: op1, CRn, CRm, op2 below op0 */
};

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
	volatile uint64_t secret_buffer;	/* TPIDRRO_EL0 of the component with the secret */
	struct sysreg_sweep sweep;
	volatile uint32_t own_signal;	/* slot: the VCPU's Notification, badge 1 */
	volatile uint32_t own_poll;
};

#define shared ((struct shared *)SHARED_VADDR)

void el1_main(uint64_t arg, uint64_t arg2);
void el1_spin(uint64_t arg, uint64_t arg2);
uint64_t el1_faults(void);
bool el1_fault_was_undefined(void);
void sysregs_sweep(struct sysreg_sweep *s);
uint64_t sysregs_mark(void);		/* registers that have a mark now */
uint64_t sysregs_compare(struct sysreg_sweep *s);	/* registers that show one */
void el1_marker(uint64_t compares, uint64_t unused);	/* either of them; the result to shared->beat[5] */

#endif
