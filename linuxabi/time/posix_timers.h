/* SPDX-License-Identifier: MIT */
/* Between the files of linuxabi/time. */
#ifndef LX_POSIX_TIMERS_H
#define LX_POSIX_TIMERS_H

#include "task.h"

void posix_timers_end(struct process *);	/* all of them go; no locks are held */
void posix_timer_signal_taken(int sig, siginfo_t *info);
void process_timers_init(struct process *);
void process_timers_exit(struct process *);
void process_timers_exec(struct process *);

#endif
