/* SPDX-License-Identifier: MIT */
/*
 * Lazy FP: CPTR_EL2.TFP is set whenever the running thread is not the one
 * whose state is in the registers; its first FP instruction traps and the
 * registers change hands.  The kernel itself uses general registers only.
 */
#include "arch_arm64.h"

static void
fp_enable(struct cpu *cpu)
{
	sysreg_write("cptr_el2", CPTR_FP_ON);
	cpu->arch.fp_on = 1;
	isb();
}

void
fp_off(struct cpu *cpu)
{
	sysreg_write("cptr_el2", CPTR_FP_OFF);
	cpu->arch.fp_on = 0;
}

/* t ran into TFP.  Its next eret repeats the instruction. */
void
fp_trap(struct cpu *cpu, struct thread *t)
{
	struct thread *owner = cpu->arch.fp_owner;

	fp_enable(cpu);
	if (owner == t)
		return;
	if (owner != NULL) {
		fp_save(&owner->arch.fp);
		owner->arch.owns_fp = 0;
	}
	fp_load(&t->arch.fp);
	cpu->arch.fp_owner = t;
	t->arch.owns_fp = 1;
}

/* t leaves this CPU or dies. */
void
fp_release(struct cpu *cpu, struct thread *t)
{
	if (cpu->arch.fp_owner != t)
		return;
	fp_enable(cpu);
	fp_save(&t->arch.fp);
	fp_off(cpu);
	cpu->arch.fp_owner = NULL;
	t->arch.owns_fp = 0;
}
