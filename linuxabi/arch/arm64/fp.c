/* SPDX-License-Identifier: MIT */
/*
 * FP and SIMD state, switched lazily (CPACR_EL1.FPEN, Arm ARM D17.2.30).
 *
 * A CPU's registers belong to `owner` on that CPU, and to a task only while
 * task->fp.cpu names that CPU as well: both must agree.  A task that used them
 * since it was switched in has access on; at the switch its registers are stored,
 * but stay where they are, so that it need not load them if it comes back before
 * anybody else used them.  The first use after a switch traps to fp_trap.
 */
#include "internal.h"

enum { NO_CPU = ~0u };
#define FPEN_EL0_EL1	(3UL << 20)

void fp_store(struct arch_fp *);
void fp_load(const struct arch_fp *);

static struct task *owner[MAX_CPUS];
static bool enabled[MAX_CPUS];

_Static_assert(offsetof(struct arch_fp, fpsr) == 512, "fpregs.S");

static void
access_set(unsigned cpu, bool on)
{
	if (enabled[cpu] == on)
		return;
	enabled[cpu] = on;
	write_sysreg(cpacr_el1, on ? FPEN_EL0_EL1 : 0);
	isb();
}

void
fp_init_cpu(void)
{
	enabled[cpu_id()] = true;
	access_set(cpu_id(), false);
}

static bool
is_loaded(const struct task *t, unsigned cpu)
{
	return owner[cpu] == t && t->fp.cpu == cpu;
}

void
fp_switch(struct task *prev, struct task *next)
{
	unsigned cpu = prev->cpu;

	if (enabled[cpu])
		fp_store(&prev->fp);
	access_set(cpu, is_loaded(next, cpu));
}

/* current touched a register and has no access. */
void
fp_trap(void)
{
	struct task *t = current;
	uint64_t flags = irq_save();
	unsigned cpu = t->cpu;

	access_set(cpu, true);
	if (!is_loaded(t, cpu))
		fp_load(&t->fp);
	owner[cpu] = t;
	t->fp.cpu = cpu;
	t->fp.used = 1;
	irq_restore(flags);
}

void
arch_fp_save(struct task *t)
{
	uint64_t flags = irq_save();

	if (t == current && enabled[t->cpu])
		fp_store(&t->fp);
	irq_restore(flags);
}

void
arch_fp_reload(struct task *t)
{
	uint64_t flags = irq_save();

	t->fp.cpu = NO_CPU;
	if (t == current)
		access_set(t->cpu, false);
	irq_restore(flags);
}

void
arch_fp_clear(struct task *t)
{
	memset(&t->fp, 0, sizeof(t->fp));
	arch_fp_reload(t);
}

void
arch_fp_fork(struct task *child)
{
	arch_fp_save(current);
	child->fp = current->fp;
	child->fp.cpu = NO_CPU;
}
