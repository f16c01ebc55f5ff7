/* SPDX-License-Identifier: MIT */
/*
 * The processor: set-up of each CPU, new tasks' first registers, idling, kicks,
 * the virtual timer, power, and what EL0 is told of the features.
 */
#include <asm/hwcap.h>
#include <tessera/stubs.h>

#include "cpu.h"
#include "hyp.h"
#include "internal.h"
#include "log.h"

enum { RELAX_SPINS = 50000, CNTV_ENABLE = 1, CNTV_MASK = 2 };

static uint64_t hwcap = ~0UL;

/* ID register fields and the level from which each promises a feature. */
#define FIELD(reg, shift)	((reg) >> (shift) & 15)

static uint64_t
hwcap_of_cpu(void)
{
	uint64_t isar0 = read_sysreg(id_aa64isar0_el1), isar1 = read_sysreg(id_aa64isar1_el1);
	uint64_t pfr0 = read_sysreg(id_aa64pfr0_el1), caps = 0;
	const struct { uint64_t level, least, cap; } features[] = {
		{ FIELD(isar0, 4), 1, HWCAP_AES }, { FIELD(isar0, 4), 2, HWCAP_PMULL },
		{ FIELD(isar0, 8), 1, HWCAP_SHA1 }, { FIELD(isar0, 12), 1, HWCAP_SHA2 },
		{ FIELD(isar0, 12), 2, HWCAP_SHA512 }, { FIELD(isar0, 16), 1, HWCAP_CRC32 },
		{ FIELD(isar0, 20), 2, HWCAP_ATOMICS }, { FIELD(isar0, 28), 1, HWCAP_ASIMDRDM },
		{ FIELD(isar0, 32), 1, HWCAP_SHA3 }, { FIELD(isar0, 36), 1, HWCAP_SM3 },
		{ FIELD(isar0, 40), 1, HWCAP_SM4 }, { FIELD(isar0, 44), 1, HWCAP_ASIMDDP },
		{ FIELD(isar0, 48), 1, HWCAP_ASIMDFHM }, { FIELD(isar0, 52), 1, HWCAP_FLAGM },
		{ FIELD(isar1, 0), 1, HWCAP_DCPOP }, { FIELD(isar1, 12), 1, HWCAP_JSCVT },
		{ FIELD(isar1, 16), 1, HWCAP_FCMA }, { FIELD(isar1, 20), 1, HWCAP_LRCPC },
		{ FIELD(isar1, 20), 2, HWCAP_ILRCPC }, { FIELD(isar1, 36), 1, HWCAP_SB },
	};

	for (unsigned i = 0; i < ARRAY_LEN(features); i++) {
		if (features[i].level >= features[i].least)
			caps |= features[i].cap;
	}
	if (FIELD(pfr0, 16) != 15)
		caps |= HWCAP_FP | (FIELD(pfr0, 16) >= 1 ? HWCAP_FPHP : 0);
	if (FIELD(pfr0, 20) != 15)
		caps |= HWCAP_ASIMD | (FIELD(pfr0, 20) >= 1 ? HWCAP_ASIMDHP : 0);
	return caps;
}

uint64_t arch_hwcap(void) { return hwcap; }
uint64_t arch_hwcap2(void) { return 0; }

/* Programs see what every CPU of the world can do. */
void
cpu_init_this(void)
{
	__atomic_fetch_and(&hwcap, hwcap_of_cpu(), __ATOMIC_RELAXED);
	if (FIELD(read_sysreg(id_aa64mmfr1_el1), 20) != 0)
		__asm__ volatile(".inst 0xd500409f");	/* msr pan, #0: user pages are ours to copy from */
	/* CNTKCTL_EL1: EL0 reads both counters, no timer registers, no event stream */
	write_sysreg(cntkctl_el1, 3);
	write_sysreg(cntv_ctl_el0, 0);
	write_sysreg(tpidrro_el0, 0);
	write_sysreg(tpidr_el0, 0);
	fp_init_cpu();
	irq_init_cpu();
}

static void
task_frame_init(struct task *t)
{
	t->regs = (struct regs *)((char *)t->kstack + (PAGE_SIZE << KSTACK_ORDER)) - 1;
	t->fp.cpu = ~0u;
	memset(&t->context, 0, sizeof(t->context));
	t->context.sp = (uint64_t)t->regs;
}

void task_first_kernel(void);
void task_first_user(void);

void
arch_task_init(struct task *t, void (*fn)(void *), void *arg)
{
	task_frame_init(t);
	memset(t->regs, 0, sizeof(*t->regs));
	t->context.x19_x30[0] = (uint64_t)fn;
	t->context.x19_x30[1] = (uint64_t)arg;
	t->context.x19_x30[11] = (uint64_t)task_first_kernel;
}

void
arch_task_init_fork(struct task *child, const struct regs *parent)
{
	task_frame_init(child);
	*child->regs = *parent;
	child->regs->x[0] = 0;
	child->regs->syscall = -1;
	child->tpidr_el0 = read_sysreg(tpidr_el0);
	child->context.x19_x30[11] = (uint64_t)task_first_user;
}

/* Everything of a task that is not in callee-saved registers.  Interrupts are off. */
void
arch_switch_state(struct task *prev, struct task *next)
{
	if (!prev->kernel_thread)
		prev->tpidr_el0 = read_sysreg(tpidr_el0);
	fp_switch(prev, next);
	if (!next->kernel_thread)
		write_sysreg(tpidr_el0, next->tpidr_el0);
}

/* After TPIDR_EL1 is the new task's: its address space. */
void
arch_switch_space(struct mm *from, struct mm *to)
{
	if (from != to)
		mm_activate(to);
}

void
arch_tls_set(uint64_t value)
{
	current->tpidr_el0 = value;
	write_sysreg(tpidr_el0, value);
}

void
arch_cpu_relax(void)
{
	static unsigned spins[MAX_CPUS];
	unsigned cpu = cpu_id();

	/* No YIELD here: an emulator's VCPU takes a global lock for it, which the
	 * holder of our lock may need. */
	__asm__ volatile("" : : : "memory");
	if (++spins[cpu] % RELAX_SPINS == 0)
		hyp_yield();	/* the holder's VCPU may not be running */
}

void arch_kick_cpu(unsigned cpu) { hyp_signal(WORLD_SLOT_VCPU_SIGNAL + cpu); }

void
arch_idle(void)
{
	__asm__ volatile("dsb sy; wfi" : : : "memory");
}

void
arch_timer_program(uint64_t ticks)
{
	if (ticks == UINT64_MAX) {
		write_sysreg(cntv_ctl_el0, 0);
	} else {
		write_sysreg(cntv_cval_el0, ticks);
		write_sysreg(cntv_ctl_el0, CNTV_ENABLE);
	}
	isb();
}

static void end_world(uint32_t slot) __attribute__((noreturn));

static void
end_world(uint32_t slot)
{
	irq_save();			/* log_emergency keeps the log locked against nobody else */
	log_emergency();
	hyp_signal(slot);
	for (;;)
		arch_idle();
}

void arch_power_off(void) { end_world(WORLD_SLOT_POWER); }
void arch_reset(void) { end_world(WORLD_SLOT_RESET); }
void arch_report_health(void) { hyp_signal(WORLD_SLOT_HEALTH); }

void hyp_signal(uint32_t slot) { (void)sys_signal(slot); }
void hyp_yield(void) { (void)sys_yield(); }

uint64_t
hyp_stolen_ticks(unsigned cpu)
{
	uint64_t used = 0, stolen = 0;

	(void)sched_context_consumed(WORLD_SLOT_SCHED_CONTEXT + cpu, &used, &stolen);
	return stolen;
}

uint64_t clock_ticks(void) { isb(); return read_sysreg(cntvct_el0); }

void arch_irq_enable(void) { __asm__ volatile("msr daifclr, #2" : : : "memory"); }
