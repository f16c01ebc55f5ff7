/* SPDX-License-Identifier: MIT */
/* Between the files of linuxabi/time: the interval timers that count CPU time. */
#ifndef LX_CPU_TIMER_H
#define LX_CPU_TIMER_H

#include "task.h"

/* A new process, with its limits: its timers are not those of its parent. */
void cpu_timers_init(struct process *);
/*
 * ITIMER_VIRTUAL or ITIMER_PROF as it was into *was and, unless next is NULL, as *next says from now on;
 * `expires` means the ns that are left there, 0: it does not run.
 */
void cpu_timer_swap(struct process *, int which, const struct cpu_timer *next, struct cpu_timer *was);

#endif
