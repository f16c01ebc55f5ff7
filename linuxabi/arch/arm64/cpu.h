/* SPDX-License-Identifier: MIT */
/* What main, sched and time need of the processor beyond arch.h. */
#ifndef LX_CPU_H
#define LX_CPU_H

#include "task.h"

void cpu_init_this(void);
void arch_irq_enable(void);
void arch_switch_state(struct task *prev, struct task *next);
void arch_switch_space(struct mm *from, struct mm *to);
uint64_t hyp_stolen_ticks(unsigned cpu);

#endif
