/* SPDX-License-Identifier: MIT */
/*
 * The one kernel lock, a word that is 0 or 1.  Not a ticket lock: where CPUs are
 * virtual and more than the machine has, the turn would come to one that is not
 * running while all others spin (measured in QEMU, 4 VCPUs on 2 cores: 3 times
 * slower).  Sections are short, so waiting CPUs soon win.  It protects all of
 * kernel/core and what arch keeps in objects.  With a single CPU there is
 * nobody to exclude, and it is not touched.  The fast paths of vectors.S take
 * and give it by the same rules.
 */
#include "arch_arm64.h"

struct kernel_lock kernel_lock_word;

/* Before the others enter the kernel: from now on `count` CPUs do. */
void
kernel_lock_init(unsigned count)
{
	for (unsigned i = 0; i < count; i++)
		cpus[i].arch.lock_needed = count > 1;
}

void
kernel_lock_take(struct kernel_lock *lock)
{
	for (;;) {
		uint32_t free = 0;

		if (__atomic_compare_exchange_n(&lock->taken, &free, 1, false, __ATOMIC_ACQUIRE,
		    __ATOMIC_RELAXED))
			return;
		/* Read until it looks free; no YIELD, for which QEMU takes a global lock. */
		while (__atomic_load_n(&lock->taken, __ATOMIC_RELAXED) != 0)
			;
	}
}

bool
kernel_lock_held(void)
{
	return cpu_self()->arch.lock_needed == 0 || kernel_lock_word.taken != 0;
}
