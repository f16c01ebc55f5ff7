/* SPDX-License-Identifier: MIT */
/*
 * Fibers: threads of control that give the CPU up only where they say so.  All
 * of a component's fibers share its one thread, so what lies between two calls
 * that may sleep is atomic, and straight code serves many requests at once.
 *
 * A wait queue is a list of fibers in the order they came.  Whoever is woken
 * looks again at what it waited for: a wake-up is a hint, not a promise.
 */
#ifndef FS_FIBER_H
#define FS_FIBER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct fiber;

struct fiber_queue {
	struct fiber *first, *last;
};

/* Run function(argument) as a fiber of owner soon; false: no memory for its
 * stack.  Stacks of ended fibers are kept and used again. */
bool fiber_start(void *owner, void (*function)(void *), void *argument);

/* Run fibers until none is ready.  Not from within a fiber. */
void fiber_run(void);

/* The running fiber; null outside of all. */
struct fiber *fiber_self(void);

/* Sleep until woken through the queue. */
void fiber_wait(struct fiber_queue *queue);
bool fiber_wake_one(struct fiber_queue *queue);
void fiber_wake_all(struct fiber_queue *queue);

/* Let the others run first. */
void fiber_yield(void);

/*
 * What the running fiber works on, for who has to find out afterwards why
 * everything ended: while a fiber runs, its tag stands in *fiber_tag_place.
 */
extern volatile uint64_t *fiber_tag_place;
void fiber_set_tag(uint64_t tag);

/* Drop the owner's fibers where they stand: what they wait in is going away. */
void fiber_forget(void *owner);

/*
 * A lock of many readers or one writer, in the order of their coming.  Zeroes
 * are an unlocked lock.  Not recursive.
 */
struct fiber_lock {
	int32_t holders;		/* readers; -1: a writer */
	uint32_t waiting;
	uint64_t next, served;	/* tickets: first come, first served */
	struct fiber_queue queue;
};

void lock_shared(struct fiber_lock *lock);
void lock_exclusive(struct fiber_lock *lock);
void unlock(struct fiber_lock *lock);

#endif
