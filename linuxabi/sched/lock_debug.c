/* SPDX-License-Identifier: MIT */
/*
 * Spinlocks of a debug build (the others are in include/spinlock.h).
 *
 * It keeps, for each CPU, the ranks of the locks held and refuses one that is not
 * higher (sync.h has the order), and one that is released by who does not hold it.
 */
#include "cpu.h"
#include "task.h"

enum { HELD_MAX = 16 };

static struct { const spinlock_t *lock[HELD_MAX]; unsigned n; } held[MAX_CPUS];

static void
rank_check(spinlock_t *l)
{
	unsigned cpu = cpu_id(), n = held[cpu].n;

	if (n > 0 && l->rank != 0 && held[cpu].lock[n - 1]->rank > l->rank)
		panic("lock order: %p (rank %u) is taken after %p (rank %u)", (void *)l, l->rank,
		    (const void *)held[cpu].lock[n - 1], held[cpu].lock[n - 1]->rank);
	assert(n < HELD_MAX);
	held[cpu].lock[n] = l;
	held[cpu].n = n + 1;
	l->holder = cpu + 1;
}

static void
rank_release(spinlock_t *l)
{
	unsigned cpu = cpu_id(), n = held[cpu].n;

	assert(l->holder == cpu + 1);
	l->holder = 0;
	while (n > 0 && held[cpu].lock[n - 1] != l)
		n--;
	assert(n > 0);
	for (; n < held[cpu].n; n++)
		held[cpu].lock[n - 1] = held[cpu].lock[n];
	held[cpu].n--;
}

void
spin_init(spinlock_t *l, unsigned rank)
{
	l->next = l->owner = 0;
	l->rank = rank;
	l->holder = 0;
}

/* The interrupts of this CPU are off, or no handler takes the lock. */
static void
ticket_take(spinlock_t *l)
{
	uint32_t ticket = __atomic_fetch_add(&l->next, 1, __ATOMIC_RELAXED);

	while (__atomic_load_n(&l->owner, __ATOMIC_ACQUIRE) != ticket)
		arch_cpu_relax();
}

void
spin_lock(spinlock_t *l)
{
	ticket_take(l);
	rank_check(l);
}

bool
spin_trylock(spinlock_t *l)
{
	uint32_t owner = __atomic_load_n(&l->owner, __ATOMIC_RELAXED), expected = owner;

	if (!__atomic_compare_exchange_n(&l->next, &expected, owner + 1, false, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED))
		return false;
	rank_check(l);
	return true;
}

void
spin_unlock(spinlock_t *l)
{
	rank_release(l);
	__atomic_store_n(&l->owner, l->owner + 1, __ATOMIC_RELEASE);
}

uint64_t
spin_lock_irqsave(spinlock_t *l)
{
	uint64_t flags = irq_save();

	ticket_take(l);
	rank_check(l);
	return flags;
}

void
spin_unlock_irqrestore(spinlock_t *l, uint64_t flags)
{
	spin_unlock(l);
	irq_restore(flags);
}

void
spin_none_held(void)
{
	uint64_t flags = irq_save();
	unsigned cpu = cpu_id();

	if (held[cpu].n != 0)
		panic("%s gives the CPU away holding %p (rank %u)", current->comm,
		    (const void *)held[cpu].lock[held[cpu].n - 1], held[cpu].lock[held[cpu].n - 1]->rank);
	irq_restore(flags);
}
