/* SPDX-License-Identifier: MIT */
/*
 * What the on-target kernel tests stand on: they run as init, make objects
 * from the largest Untyped, copy their own image into other address spaces
 * and start threads there.  The image lies at the same address everywhere, so
 * functions and strings can be named across spaces; data is private to each.
 */
#ifndef SUPPORT_H
#define SUPPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <tessera/abi.h>
#include <tessera/bench.h>
#include <tessera/calls.h>
#include <tessera/stubs.h>

#define SHARED_VADDR	0x50000000UL	/* one page that all spaces share */
#define IPC_VADDR	0x60000000UL
#define STACK_VADDR	0x70000000UL	/* 64 KiB below, one for each thread */

/* A thread to be made.  Its CSpace is init's own. */
struct thread_plan {
	uint32_t vspace;
	void (*entry)(uint64_t, uint64_t);
	uint64_t arg;		/* x0 */
	uint64_t arg2;		/* x1 */
	unsigned priority;
	unsigned cpu;
	bool vcpu;		/* a personality thread */
	bool passive;		/* no SchedContext */
	uint32_t notification;	/* bound to it; 0: none */
	uint32_t fault_handler;
};
struct thread_made {
	uint32_t thread, sched_context, vcpu, ipc;
	uint64_t ipc_vaddr;
	uint64_t stack_top;
};

extern const struct init_info *info;

/* Test results: named lines, counted; `finish` prints the sum and powers off. */
void say(const char *text);
void say_number(uint64_t value);
void check(const char *name, bool ok);
_Noreturn void finish(void);
void must(const char *what, enum error e);	/* a step that the test itself needs */

uint32_t slot_new(void);
uint32_t make(enum object_type type, unsigned size_bits);
uint32_t make_badged(uint32_t source, uint64_t badge);
uint32_t copy(uint32_t source);
void map_frame(uint32_t frame, uint32_t vspace, uint64_t vaddr, unsigned rights);
/* A frame, mapped in init; its address there. */
void *map_here(uint32_t frame, unsigned size_bits);
uint32_t space_new(bool personality);		/* image copied, shared page mapped */
struct thread_made thread_new(const struct thread_plan *plan);

uint64_t now(void);

/* Debug kernels: the longest stretch with interrupts masked of each kind of entry, in ns:
 * "<program> masked.<kind> <ns>"; that of "checker" is the invariant checker's. */
void say_stretches(const char *program);

/* start.S hands over here. */
void test_main(void);

#endif
