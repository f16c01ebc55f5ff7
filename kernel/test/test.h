/* SPDX-License-Identifier: MIT */
/*
 * Kernel tests: each boots a machine of its own (kernel/arch/host), acts as
 * the threads that run on it, and looks at what they would see.  After each
 * test the invariant checker must be content.
 */
#ifndef KERNEL_TEST_H
#define KERNEL_TEST_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <kernel/core.h>

struct test {
	const char *name;
	void (*run)(void);
	unsigned cpus;
	struct test *next;
};
void test_register(struct test *t);

#define TEST_ON(n_cpus, test_name)						\
	static void test_name(void);						\
	static struct test test_##test_name = { #test_name, test_name, n_cpus, NULL };	\
	__attribute__((constructor)) static void				\
	register_##test_name(void) { test_register(&test_##test_name); }	\
	static void test_name(void)
#define TEST(test_name) TEST_ON(1, test_name)

/* Ends the test as failed unless the two are equal. */
void expect_equal(uint64_t got, uint64_t want, const char *what, const char *file, int line);
#define EXPECT(got, want) expect_equal((uint64_t)(got), (uint64_t)(want), #got, __FILE__, __LINE__)

/*
 * What the running thread of a CPU does.  invoke repeats a call that was
 * preempted until it ends and returns its error; preempt_every makes an
 * interrupt pend at every n-th preemption point meanwhile (-1: none).
 */
extern int preempt_every;
extern unsigned restarts;		/* of the last invoke */
struct thread *running(unsigned cpu);
enum error invoke(uint32_t cap, uint32_t label, unsigned n, const uint64_t *args);
#define INVOKE(cap, label, ...)							\
	invoke((cap), (label), sizeof((uint64_t[]){ __VA_ARGS__ }) / 8, (uint64_t[]){ __VA_ARGS__ })
#define INVOKE0(cap, label) invoke((cap), (label), 0, NULL)
uint64_t result(unsigned n);		/* word of the last invoke */

/* A system call of the thread that runs on a CPU; it may block. */
void syscall_on(unsigned cpu, uint64_t number, uint64_t cap, uint64_t info, uint64_t w0,
	uint64_t deadline, uint64_t reply);

/* ---- init's kit: all by invocations of init ---------------------------------- */
enum {
	ROOT = INIT_SLOT_CNODE,
	SCRATCH = 2000,			/* slots from here on are for tests */
};
extern uint32_t normal_untyped, device_untyped;	/* a big one; the UART's */
enum error retype(uint32_t untyped, enum object_type type, unsigned size_bits, uint32_t slot,
	unsigned count);
uint32_t make(enum object_type type, unsigned size_bits);	/* in a new slot */
uint32_t new_slot(void);
enum error copy(uint32_t dst, uint32_t src, unsigned rights);
enum error mint(uint32_t dst, uint32_t src, unsigned rights, uint64_t badge);
enum error delete(uint32_t slot);
enum error revoke(uint32_t slot);
struct slot *slot_of(uint32_t index);	/* in init's CNode */

/*
 * A thread with the CSpace of init, a VSpace and an IPC buffer of its own.
 * priority 0: like init; a passive one has no SchedContext.
 */
struct actor {
	uint32_t thread, vspace, sched, ipc, reply;
	struct thread *t;
};
struct actor actor(unsigned priority, unsigned cpu, bool passive);
void start(const struct actor *a);
void init_priority(unsigned priority);
/* init sleeps, so that actors of any priority run; waking it is a signal. */
void init_sleeps(void);
void wake_init(void);
uint64_t info_words(unsigned words);

#endif
