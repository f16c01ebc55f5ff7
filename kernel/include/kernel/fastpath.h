/* SPDX-License-Identifier: MIT */
/*
 * Fast paths, as the entry code of arch calls them: under the lock, with the
 * running thread's preserved registers and x[1] saved.  NULL or 0: not a case
 * for them, nothing was changed.
 *
 * call, reply_recv: the result runs now and has x[1] and x[8]; the entry code
 * moves the words and sets x[0].  reply_recv's result has its lowest bit set if
 * the thread is to be resumed with all its registers from memory instead.
 * signal, interrupt, fault: the result runs now, with its registers in memory;
 * a signal whose result is the caller itself changed nothing for it.
 */
#ifndef KERNEL_FASTPATH_H
#define KERNEL_FASTPATH_H

#include <kernel/core.h>

struct poll_result {
	uint64_t done;		/* 0: not a case for the fast path */
	uint64_t bits;
};

struct thread *fastpath_call(uint64_t index, uint64_t info);
uintptr_t fastpath_reply_recv(uint64_t index, uint64_t reply_index);
struct thread *fastpath_signal(uint64_t index);
struct poll_result fastpath_poll(uint64_t index);
struct thread *fastpath_interrupt(struct cpu *c, uint32_t intid);
struct thread *fastpath_fault(struct cpu *c, struct thread *t, uint32_t label, uint64_t address,
	uint64_t esr);

#endif
