/* SPDX-License-Identifier: MIT */
/* The offsets that assembly uses are those of the structures. */
#include "asm.h"
#include "task.h"

_Static_assert(offsetof(struct regs, sp) == REGS_SP, "regs");
_Static_assert(offsetof(struct regs, pc) == REGS_PC, "regs");
_Static_assert(offsetof(struct regs, pstate) == REGS_PSTATE, "regs");
_Static_assert(offsetof(struct regs, orig_x0) == REGS_ORIG_X0, "regs");
_Static_assert(offsetof(struct regs, syscall) == REGS_SYSCALL, "regs");
_Static_assert(sizeof(struct regs) == REGS_SIZE, "regs");
_Static_assert(REGS_SIZE % 16 == 0, "the stack pointer stays aligned");
_Static_assert(offsetof(struct task, regs) == TASK_REGS, "task");
_Static_assert(offsetof(struct task, kstack) == TASK_KSTACK, "task");
_Static_assert(offsetof(struct task, work) == TASK_WORK, "task");
_Static_assert(offsetof(struct task, cpu) == TASK_CPU, "task");
_Static_assert(offsetof(struct task, context) == TASK_CONTEXT, "task");
_Static_assert(offsetof(struct arch_context, sp) == CONTEXT_SP, "context");
_Static_assert(KSTACK_SIZE == PAGE_SIZE << KSTACK_ORDER, "kernel stack");
