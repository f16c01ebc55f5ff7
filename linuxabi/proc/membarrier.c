/* SPDX-License-Identifier: MIT */
/*
 * membarrier(2): a barrier on every CPU that may run a thread of this process.
 *
 * Every other CPU is kicked and answers from its interrupt handler.  The exception
 * entry and return are the context synchronisation that SYNC_CORE asks for (Arm
 * ARM D1.5), the barriers around the answer order memory for the rest.
 */
#include <linux/membarrier.h>
#include "internal.h"
#include "syscall.h"

enum {
	SUPPORTED = MEMBARRIER_CMD_GLOBAL | MEMBARRIER_CMD_GLOBAL_EXPEDITED
	    | MEMBARRIER_CMD_REGISTER_GLOBAL_EXPEDITED | MEMBARRIER_CMD_PRIVATE_EXPEDITED
	    | MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED | MEMBARRIER_CMD_PRIVATE_EXPEDITED_SYNC_CORE
	    | MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED_SYNC_CORE,
};

static struct mutex barrier_mutex = MUTEX_INIT(barrier_mutex, 45);
static uint64_t round;			/* barrier_mutex */
static uint64_t answered[MAX_CPUS];	/* the last round each CPU took part in */

/* In the kick's interrupt handler. */
void membarrier_interrupt(void);		/* arch/ */

void
membarrier_interrupt(void)
{
	uint64_t r = __atomic_load_n(&round, __ATOMIC_SEQ_CST);

	__atomic_store_n(&answered[cpu_id()], r, __ATOMIC_SEQ_CST);
}

static void
barrier_everywhere(void)
{
	uint64_t r;

	mutex_lock(&barrier_mutex);
	r = __atomic_add_fetch(&round, 1, __ATOMIC_SEQ_CST);
	for (unsigned i = 0; i < cpu_count(); i++)
		if (i != cpu_id())
			arch_kick_cpu(i);
	/* This task may move: a CPU that it ran on meanwhile is synchronised by that. */
	for (unsigned i = 0; i < cpu_count(); i++)
		while (i != cpu_id() && __atomic_load_n(&answered[i], __ATOMIC_SEQ_CST) < r)
			arch_cpu_relax();
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	mutex_unlock(&barrier_mutex);
}

long
sys_membarrier(uint64_t cmd, uint64_t flags, uint64_t cpu)
{
	uint32_t *registered = &current->mm->membarrier;

	(void)cpu;
	if (flags != 0)
		return -EINVAL;
	switch ((int)cmd) {
	case MEMBARRIER_CMD_QUERY:
		return SUPPORTED;
	case MEMBARRIER_CMD_REGISTER_GLOBAL_EXPEDITED:
		return 0;
	case MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED:
	case MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED_SYNC_CORE:
		__atomic_fetch_or(registered, (uint32_t)cmd, __ATOMIC_RELAXED);
		return 0;
	case MEMBARRIER_CMD_PRIVATE_EXPEDITED:
		if (!(*registered & MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED))
			return -EPERM;
		break;
	case MEMBARRIER_CMD_PRIVATE_EXPEDITED_SYNC_CORE:
		if (!(*registered & MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED_SYNC_CORE))
			return -EPERM;
		break;
	case MEMBARRIER_CMD_GLOBAL:
	case MEMBARRIER_CMD_GLOBAL_EXPEDITED:
		break;
	default:
		return -EINVAL;
	}
	barrier_everywhere();
	return 0;
}
