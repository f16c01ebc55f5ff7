/* SPDX-License-Identifier: MIT */
/*
 * The build host as a machine for kernel/core: what arch keeps in objects.
 */
#ifndef ARCH_TYPES_H
#define ARCH_TYPES_H

#include <stdbool.h>
#include <stdint.h>

struct arch_thread {
	uint64_t tpidr, ipc_vaddr;
};

struct arch_vcpu {
	uint32_t pending;		/* VIRQ_NOTIFICATION was raised */
	uint64_t timer;			/* what its EL1 programmed; 0: off */
};

/* Tables of 512 entries in three levels, like stage 2, entries as arch.c says. */
struct arch_vspace {
	uint64_t *root;
	uint64_t *free_list;
	uint64_t pool_next, pool_end;
	uint32_t tables, tables_free;
	uint32_t doorbell;		/* IOSpace: number of its ITS + 1 */
};

struct arch_io_device {
	uint32_t mapped, enabled;	/* its events, a bit to each */
	bool quiet;
};

struct arch_cpu {
	struct thread *live;		/* whose state this CPU has in its registers */
	uint64_t timer;
	bool kicked;
	bool off;			/* by the firmware */
	bool starting;
};

#endif
