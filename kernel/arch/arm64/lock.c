/* SPDX-License-Identifier: MIT */
/*
 * The one kernel lock: a ticket lock, so that CPUs have their turn in the
 * order in which they came (kernel/arch.h needs that).  It protects all of
 * kernel/core and what arch keeps in objects.  With a single CPU there is
 * nobody to exclude, and it is not touched.  The fast paths of vectors.S take
 * and give it by the same rules.
 */
#include "arch_arm64.h"

struct ticket_lock kernel_ticket;

static bool lock_needed;

/* Before the others enter the kernel: from now on `count` CPUs do. */
void
kernel_lock_init(unsigned count)
{
	lock_needed = count > 1;
	for (unsigned i = 0; i < count; i++)
		cpus[i].arch.lock_needed = lock_needed;
}

void
kernel_lock(void)
{
	uint32_t ticket;

	if (!lock_needed)
		return;
	ticket = __atomic_fetch_add(&kernel_ticket.next, 1, __ATOMIC_RELAXED);
	while (__atomic_load_n(&kernel_ticket.owner, __ATOMIC_ACQUIRE) != ticket)
		__asm__ volatile("yield");
}

/* Release: what was done under the lock is seen by who acquires owner next. */
void
kernel_unlock(void)
{
	if (lock_needed)
		__atomic_store_n(&kernel_ticket.owner, kernel_ticket.owner + 1, __ATOMIC_RELEASE);
}

bool
kernel_lock_held(void)
{
	return !lock_needed || kernel_ticket.next != kernel_ticket.owner;
}
