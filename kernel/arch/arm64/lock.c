/* SPDX-License-Identifier: MIT */
/*
 * The one kernel lock: a ticket lock, so that CPUs have their turn in the
 * order in which they came (kernel/arch.h needs that).  It protects all of
 * kernel/core and what arch keeps in objects.  With a single CPU there is
 * nobody to exclude, and it is not touched.
 */
#include "arch_arm64.h"

static struct {
	_Alignas(64) uint32_t next;	/* ticket for the next who comes */
	uint32_t owner;			/* ticket that holds the lock */
} lock;

uint32_t lock_needed;

void
kernel_lock(void)
{
	uint32_t ticket;

	if (lock_needed == 0)
		return;
	ticket = __atomic_fetch_add(&lock.next, 1, __ATOMIC_RELAXED);
	while (__atomic_load_n(&lock.owner, __ATOMIC_ACQUIRE) != ticket)
		__asm__ volatile("yield");
}

/* Release: what was done under the lock is seen by who acquires owner next. */
void
kernel_unlock(void)
{
	if (lock_needed != 0)
		__atomic_store_n(&lock.owner, lock.owner + 1, __ATOMIC_RELEASE);
}

bool
kernel_lock_held(void)
{
	return lock_needed == 0 || lock.next != lock.owner;
}
