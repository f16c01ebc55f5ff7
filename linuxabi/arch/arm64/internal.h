/* SPDX-License-Identifier: MIT */
/* Between the files of linuxabi/arch/arm64. */
#ifndef LX_ARM64_INTERNAL_H
#define LX_ARM64_INTERNAL_H

#include "kernel.h"
#include "mm.h"
#include "sysreg.h"
#include "task.h"

void mmu_init(void);
void mmu_user_none(void);		/* TTBR0: nothing is mapped */
ipa_t mmu_empty_table(void);
void mmu_open_gate(void);
extern uint64_t secondary_stacks[MAX_CPUS];

void asid_init(void);
uint64_t asid_of(const struct mm *);	/* for TLBI; 0: never ran */

void fp_switch(struct task *prev, struct task *next);
void fp_trap(void);
void fp_init_cpu(void);

void irq_handle(unsigned from_user);
void irq_init_cpu(void);

/* From vectors.S. */
void user_work(struct regs *, unsigned syscall);
void trap_user(struct regs *, uint64_t esr, uint64_t far);
void trap_kernel(struct regs *, uint64_t esr, uint64_t far);
void trap_bad(struct regs *, uint64_t esr, uint64_t far);
void trap_serror(struct regs *, uint64_t esr);
void trap_aarch32(struct regs *);
void sched_first_run(struct task *prev);

#endif
