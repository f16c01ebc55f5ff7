/* SPDX-License-Identifier: MIT */
/*
 * The scheduler of fibers: a list of those that can run, and stacks that are
 * used again.  How registers are exchanged is in fiber_arm64.S, or ucontext's
 * business on the build host.
 */
#include <stdlib.h>
#include <string.h>
#include "fiber.h"

#if defined(HOST_TEST) || defined(FS_HOST)
#include <ucontext.h>
enum { STACK_BYTES = 256 * 1024 };	/* sanitizers need much more */
struct machine {
	ucontext_t context;
};
#else
enum { STACK_BYTES = 32 * 1024 };
struct machine {
	uint64_t sp;
};
/* Push what the ABI preserves, store sp, load the other sp, pop. */
void fiber_switch(uint64_t *from_sp, uint64_t to_sp);
void fiber_entry(void);
#endif

/* At the low end of each stack; a fiber that ran over it is found out. */
static const uint64_t CANARY = 0x7465737365726121ULL;

struct fiber {
	struct fiber *next;		/* in a queue, or of the free ones */
	struct fiber *all_next, **all_link;
	void *owner;
	uint64_t tag;
	void (*function)(void *);
	void *argument;
	uint8_t *stack;
	bool ended;
	struct machine machine;
};

static struct fiber_queue ready;
static struct fiber *running, *spare, *all;
static struct machine scheduler;
static unsigned spares;
volatile uint64_t *fiber_tag_place;

enum { SPARES = 64 };

static void
push(struct fiber_queue *queue, struct fiber *fiber)
{
	fiber->next = NULL;
	if (queue->last != NULL)
		queue->last->next = fiber;
	else
		queue->first = fiber;
	queue->last = fiber;
}

static struct fiber *
pop(struct fiber_queue *queue)
{
	struct fiber *fiber = queue->first;

	if (fiber == NULL)
		return NULL;
	queue->first = fiber->next;
	if (queue->first == NULL)
		queue->last = NULL;
	fiber->next = NULL;
	return fiber;
}

/* ---- the machine ---------------------------------------------------------- */

static void
fiber_main(void)
{
	running->function(running->argument);
	running->ended = true;
}

#if defined(HOST_TEST) || defined(FS_HOST)

static void
machine_to_scheduler(struct fiber *fiber)
{
	swapcontext(&fiber->machine.context, &scheduler.context);
}

static void
machine_to_fiber(struct fiber *fiber)
{
	swapcontext(&scheduler.context, &fiber->machine.context);
}

static void
machine_prepare(struct fiber *fiber)
{
	getcontext(&fiber->machine.context);
	fiber->machine.context.uc_stack.ss_sp = fiber->stack;
	fiber->machine.context.uc_stack.ss_size = STACK_BYTES;
	fiber->machine.context.uc_link = &scheduler.context;
	makecontext(&fiber->machine.context, fiber_main, 0);
}

#else

static void
machine_to_scheduler(struct fiber *fiber)
{
	fiber_switch(&fiber->machine.sp, scheduler.sp);
}

static void
machine_to_fiber(struct fiber *fiber)
{
	fiber_switch(&scheduler.sp, fiber->machine.sp);
}

/* Called by fiber_entry on the new stack; does not return. */
void fiber_begin(void);
void
fiber_begin(void)
{
	fiber_main();
	for (;;)
		machine_to_scheduler(running);
}

static void
machine_prepare(struct fiber *fiber)
{
	enum { SAVED = 20 };	/* x19..x30 and d8..d15, as fiber_switch pops them */
	uint64_t *top = (uint64_t *)(void *)(fiber->stack + STACK_BYTES) - SAVED;

	memset(top, 0, SAVED * sizeof *top);
	top[11] = (uint64_t)(uintptr_t)fiber_entry;	/* x30 */
	fiber->machine.sp = (uint64_t)(uintptr_t)top;
}

#endif

/* ---- fibers --------------------------------------------------------------- */

static struct fiber *
fiber_make(void)
{
	struct fiber *fiber = spare;

	if (fiber != NULL) {
		spare = fiber->next;
		spares--;
		return fiber;
	}
	fiber = calloc(1, sizeof *fiber);
	if (fiber == NULL)
		return NULL;
	fiber->stack = aligned_alloc(4096, STACK_BYTES);
	if (fiber->stack == NULL) {
		free(fiber);
		return NULL;
	}
	memcpy(fiber->stack, &CANARY, sizeof CANARY);
	return fiber;
}

static void
fiber_release(struct fiber *fiber)
{
	*fiber->all_link = fiber->all_next;
	if (fiber->all_next != NULL)
		fiber->all_next->all_link = fiber->all_link;
	if (spares >= SPARES) {
		free(fiber->stack);
		free(fiber);
		return;
	}
	fiber->next = spare;
	spare = fiber;
	spares++;
}

bool
fiber_start(void *owner, void (*function)(void *), void *argument)
{
	struct fiber *fiber = fiber_make();

	if (fiber == NULL)
		return false;
	fiber->function = function;
	fiber->argument = argument;
	fiber->owner = owner;
	fiber->tag = 0;
	fiber->ended = false;
	fiber->all_next = all;
	fiber->all_link = &all;
	if (all != NULL)
		all->all_link = &fiber->all_next;
	all = fiber;
	machine_prepare(fiber);
	push(&ready, fiber);
	return true;
}

void
fiber_run(void)
{
	struct fiber *fiber;

	while ((fiber = pop(&ready)) != NULL) {
		running = fiber;
		if (fiber_tag_place != NULL)
			*fiber_tag_place = fiber->tag;
		machine_to_fiber(fiber);
		running = NULL;
		if (fiber_tag_place != NULL)
			*fiber_tag_place = 0;
		if (memcmp(fiber->stack, &CANARY, sizeof CANARY) != 0)
			abort();	/* it ran over its stack: nothing can be trusted */
		if (fiber->ended)
			fiber_release(fiber);
	}
}

struct fiber *
fiber_self(void)
{
	return running;
}

void
fiber_set_tag(uint64_t tag)
{
	if (running == NULL)
		return;
	running->tag = tag;
	if (fiber_tag_place != NULL)
		*fiber_tag_place = tag;
}

void
fiber_wait(struct fiber_queue *queue)
{
	push(queue, running);
	machine_to_scheduler(running);
}

bool
fiber_wake_one(struct fiber_queue *queue)
{
	struct fiber *fiber = pop(queue);

	if (fiber == NULL)
		return false;
	push(&ready, fiber);
	return true;
}

void
fiber_wake_all(struct fiber_queue *queue)
{
	while (fiber_wake_one(queue))
		;
}

void
fiber_yield(void)
{
	push(&ready, running);
	machine_to_scheduler(running);
}

void
fiber_forget(void *owner)
{
	struct fiber_queue old = ready;
	struct fiber *fiber, *next;

	ready.first = ready.last = NULL;
	while ((fiber = pop(&old)) != NULL)
		if (fiber->owner != owner)
			push(&ready, fiber);
	for (fiber = all; fiber != NULL; fiber = next) {
		next = fiber->all_next;
		if (fiber->owner == owner)
			fiber_release(fiber);
	}
	while ((fiber = spare) != NULL) {
		spare = fiber->next;
		free(fiber->stack);
		free(fiber);
	}
	spares = 0;
}

/* ---- locks ---------------------------------------------------------------- */

static bool
lock_free_for(const struct fiber_lock *lock, bool exclusive)
{
	return exclusive ? lock->holders == 0 : lock->holders >= 0;
}

/* Tickets keep the order; who is woken and is not the next one sleeps again. */
static void
lock_take(struct fiber_lock *lock, bool exclusive)
{
	uint64_t ticket = lock->next++;

	while (lock->served != ticket || !lock_free_for(lock, exclusive)) {
		lock->waiting++;
		fiber_wait(&lock->queue);
		lock->waiting--;
	}
	lock->served++;
	lock->holders = exclusive ? -1 : lock->holders + 1;
	if (lock->waiting != 0)
		fiber_wake_all(&lock->queue);	/* the next one may be a reader too */
}

void
lock_shared(struct fiber_lock *lock)
{
	lock_take(lock, false);
}

void
lock_exclusive(struct fiber_lock *lock)
{
	lock_take(lock, true);
}

void
unlock(struct fiber_lock *lock)
{
	lock->holders = lock->holders < 0 ? 0 : lock->holders - 1;
	if (lock->waiting != 0)
		fiber_wake_all(&lock->queue);
}
