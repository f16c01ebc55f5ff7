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

/* Before the others enter the kernel: from now on `count` CPUs do. */
void
kernel_lock_init(unsigned count)
{
	for (unsigned i = 0; i < count; i++)
		cpus[i].arch.lock_needed = count > 1;
}

void
ticket_take(struct ticket_lock *lock)
{
	uint32_t ticket = __atomic_fetch_add(&lock->next, 1, __ATOMIC_RELAXED);

	while (__atomic_load_n(&lock->owner, __ATOMIC_ACQUIRE) != ticket)
		__asm__ volatile("yield");
}

bool
kernel_lock_held(void)
{
	return cpu_self()->arch.lock_needed == 0 || kernel_ticket.next != kernel_ticket.owner;
}
