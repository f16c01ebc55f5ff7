/* SPDX-License-Identifier: MIT */
/* Futexes.  Owner: linuxabi/futex. */
#ifndef LX_FUTEX_H
#define LX_FUTEX_H

#include "kernel.h"

struct task;

void futex_init(void);		/* before the first process */

/* current leaves: walk the robust list (owner died), then store 0 to
 * clear_child_tid and wake one waiter there.  Its mm is still there.  Also called
 * by exec, where the address space is about to be replaced. */
void futex_exit(struct task *);
/* Wake up to n waiters of a word of current's space; number woken or -errno. */
long futex_wake_user(uaddr_t, bool shared, unsigned n, uint32_t bitset);

#endif
