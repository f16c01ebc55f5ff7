/* SPDX-License-Identifier: MIT */
/*
 * What a process carries for other folders.  These weak definitions serve
 * builds without that folder; the folder's own ones replace them.
 */
#include "internal.h"

#define WEAK	__attribute__((weak))

WEAK void process_timers_init(struct process *p) { (void)p; }
WEAK void process_timers_exit(struct process *p) { (void)p; }
WEAK void process_timers_exec(struct process *p) { (void)p; }
