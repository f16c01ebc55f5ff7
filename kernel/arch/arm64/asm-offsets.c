/* SPDX-License-Identifier: MIT */
/*
 * Offsets for the assembler, read out of this file's compiled form by the
 * Makefile (lines that begin with "->").
 */
#include "arch_arm64.h"

#define OFFSET(name, value) \
	__asm__ volatile("\n.ascii \"->#define " name " %c0\"" : : "i"(value))

void offsets(void);

void
offsets(void)
{
	OFFSET("R_X", offsetof(struct thread, regs.x));
	OFFSET("R_SP", offsetof(struct thread, regs.sp));
	OFFSET("R_PC", offsetof(struct thread, regs.pc));
	OFFSET("R_PSTATE", offsetof(struct thread, regs.pstate));
	OFFSET("T_TPIDR", offsetof(struct thread, arch.tpidr));
	OFFSET("T_TPIDRRO", offsetof(struct thread, arch.tpidrro));
	OFFSET("T_VSPACE", offsetof(struct thread, vspace));
	OFFSET("T_RESTARTED", offsetof(struct thread, restarted));
	OFFSET("T_VCPU", offsetof(struct thread, vcpu));
	OFFSET("V_ARCH", offsetof(struct vspace, arch));
	OFFSET("CPU_STACK_TOP", offsetof(struct cpu, arch.stack_top));
	OFFSET("CPU_CRASH_STACK_TOP", offsetof(struct cpu, arch.crash_stack_top));
	OFFSET("CPU_VSPACE", offsetof(struct cpu, arch.vspace));
	OFFSET("CPU_ACTIVE_VCPU", offsetof(struct cpu, arch.active_vcpu));
	OFFSET("VCPU_ARCH", offsetof(struct vcpu, arch));
	OFFSET("VCPU_NOTIFIED", offsetof(struct arch_vcpu, notified));
	OFFSET("CPU_FP_OWNER", offsetof(struct cpu, arch.fp_owner));
	OFFSET("CPU_FP_ON", offsetof(struct cpu, arch.fp_on));
	OFFSET("CPU_LOCK_NEEDED", offsetof(struct cpu, arch.lock_needed));
	OFFSET("ERROR_WOULD_BLOCK", ERR_WOULD_BLOCK);
	OFFSET("CPU_CURRENT", offsetof(struct cpu, current));
}

/* vectors.S stores pairs across these. */
static_assert(offsetof(struct thread, regs.pc) == offsetof(struct thread, regs.sp) + 8, "pair");
static_assert(offsetof(struct thread, arch.tpidr) == offsetof(struct thread, regs.pstate) + 8, "pair");
static_assert(offsetof(struct arch_vspace, vttbr) == 0, "vectors.S");
static_assert(SYS_CALL == 0 && SYS_REPLY_RECV == 1 && SYS_SIGNAL == 6 && SYS_POLL == 8, "vectors.S");
static_assert(sizeof(struct regs) % 16 == 0, "SP alignment");
