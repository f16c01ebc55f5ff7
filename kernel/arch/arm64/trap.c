/* SPDX-License-Identifier: MIT */
/*
 * The slow ways into the kernel and the one way out.  vectors.S has saved all
 * registers in current->regs and runs these on the CPU's kernel stack with
 * interrupts masked; each returns the thread that runs next, with the lock held.
 * The lowest bit of trap_sync's result says that only the registers of the
 * thread changed, and that no lock was taken.  Fast paths are in vectors.S and
 * kernel/core/fastpath.c.
 */
#include "arch_arm64.h"
#include <kernel/fastpath.h>
#include <tessera/bench.h>

/* ---- out ------------------------------------------------------------------ */

static void
take_interrupts(struct cpu *cpu);

/* Nothing to run: no translation, no lock, wait (kernel/arch.h). */
static void
idle(struct cpu *cpu)
{
	vspace_load(NULL);
	if (cpu->power == CPU_STOPPING)
		smp_cpu_leave(cpu);
	kernel_unlock(cpu);
	if (cpu->arch.fp_on != 0)
		fp_off(cpu);
	dsb_sy();
	__asm__ volatile("wfi" : : : "memory");
	kernel_lock(cpu);
	cpu->entries++;
	take_interrupts(cpu);
}

static void
load_thread(struct cpu *cpu, struct thread *t)
{
	if (cpu->arch.vspace != &t->vspace->arch || t->vspace->arch.vttbr == 0)
		vspace_load(&t->vspace->arch);
	if (cpu->arch.fp_owner == t) {
		if (cpu->arch.fp_on == 0)
			fp_trap(cpu, t);
	} else if (cpu->arch.fp_on != 0) {
		fp_off(cpu);
	}
	if (t->vcpu != NULL) {
		vcpu_enter(cpu, t);
		return;
	}
	if (cpu->arch.active_vcpu != NULL)
		vcpu_leave(cpu);
	sysreg_write("tpidrro_el0", t->arch.tpidrro);
}

#ifdef DEBUG_KERNEL
/* The longest stretch with interrupts masked and no look whether one is pending. */
static void
stretch_begin(struct cpu *cpu)
{
	cpu->arch.entry_ticks = arch_now();
}

static void
stretch_kind(struct cpu *cpu, unsigned kind)
{
	cpu->arch.entry_kind = kind;
}

/* An invocation by its object's type; the others together. */
static void
stretch_of_call(struct cpu *cpu, const struct thread *t)
{
	struct slot *s;

	if (t->regs.x[8] == SYS_CALL && cap_lookup(t, t->regs.x[0], &s) == OK && s->type != OBJ_ENDPOINT)
		stretch_kind(cpu, s->type);
}

static void
stretch_end(struct cpu *cpu)
{
	uint64_t ticks = arch_now() - cpu->arch.entry_ticks, *longest = &cpu->arch.longest_ticks[cpu->arch.entry_kind];

	if (ticks > *longest)
		*longest = ticks;
}
#else
static void stretch_begin(struct cpu *cpu) { (void)cpu; }
static void stretch_kind(struct cpu *cpu, unsigned kind) { (void)cpu; (void)kind; }
static void stretch_of_call(struct cpu *cpu, const struct thread *t) { (void)cpu; (void)t; }
static void stretch_end(struct cpu *cpu) { (void)cpu; }
#endif

/*
 * Asked at each preemption point (ISR_EL1, D19.2.72): so this is where a long
 * stretch would have ended.
 */
bool
arch_interrupt_pending(void)
{
	stretch_end(cpu_self());
	stretch_begin(cpu_self());
	return sysreg_read("isr_el1") != 0;
}

/* Who runs next; nobody: idle until there is somebody. */
static __attribute__((noinline)) struct thread *
leave_anew(struct cpu *cpu)
{
	struct thread *t;

	while ((t = schedule()) == NULL) {
		stretch_end(cpu);
		idle(cpu);
		stretch_begin(cpu);
	}
	stretch_end(cpu);
	return t;
}

/* Mostly the same thread as before. */
static inline struct thread *
leave(struct cpu *cpu)
{
	if (cpu->reschedule != 0 || cpu->current == NULL)
		return leave_anew(cpu);
	stretch_end(cpu);
	return cpu->current;
}

/*
 * Load what t needs, and release the lock: where it is not as simple as
 * vectors.S can do it.  A VCPU that made place may have left a deadline, for
 * which the timer has to be set.
 */
struct thread *
trap_finish(struct thread *t)
{
	struct cpu *cpu = cpu_self();

	load_thread(cpu, t);
	while (cpu->reschedule) {
		t = leave(cpu);
		load_thread(cpu, t);
	}
	kernel_unlock(cpu);
	return t;
}

static struct cpu *
enter(unsigned kind)
{
	struct cpu *cpu = cpu_self();

	stretch_begin(cpu);
	stretch_kind(cpu, kind);
	kernel_lock(cpu);
	cpu->entries++;
	return cpu;
}

/* The first way out of a CPU; the lock is held. */
_Noreturn void
cpu_enter_first(struct cpu *cpu)
{
	struct thread *t;

	sysreg_write("hcr_el2", HCR_COMPONENT);
	stretch_begin(cpu);
	t = trap_finish(leave(cpu));
	resume(t);
}

/* ---- interrupts ------------------------------------------------------------ */

static void
wake_loaded_vcpu(struct cpu *cpu)
{
	struct thread *t = cpu->arch.loaded_thread;

	vcpu_timer_fired(cpu);
	if (t != NULL)
		kernel_vcpu_timer(t);
}

/*
 * Acknowledge the most urgent interrupt and drop its priority at once.  The
 * kernel's own end by DIR when their cause is gone; a driver's stays active
 * until its handler acknowledges it, the virtual timer's until the personality
 * does.
 */
static uint32_t
acknowledge(void)
{
	uint32_t intid = (uint32_t)sysreg_read(ICC_IAR1) & 0xffffff;

	if (!intid_special(intid)) {
		dsb_sy();	/* before what the handler does (GIC 4.1.1) */
		sysreg_write(ICC_EOIR1, intid);
	}
	return intid;
}

static void
take_own_interrupt(struct cpu *cpu, uint32_t intid)
{
	stretch_kind(cpu, intid == gic_timer_intid() || intid == gic_vtimer_intid() ? ENTRY_TIMER : ENTRY_KICK);
	if (intid == gic_vtimer_intid()) {
		wake_loaded_vcpu(cpu);
		return;
	}
	if (intid == gic_timer_intid())
		kernel_timer();
	else
		kernel_kick();
	isb();			/* a new CNTHP_CVAL_EL2 lowers the line first */
	arch_irq_ack(intid);
}

static void
take_interrupt(struct cpu *cpu, uint32_t intid)
{
	if (intid < INTID_SPI)
		take_own_interrupt(cpu, intid);
	else if (smmu_interrupt(intid))
		arch_irq_ack(intid);
	else
		kernel_interrupt(intid);
}

static void
take_interrupts(struct cpu *cpu)
{
	uint32_t intid;

	while (!intid_special(intid = acknowledge()))
		take_interrupt(cpu, intid);
}

/* A driver's interrupt, the first of those pending, has a fast path. */
struct thread *
trap_irq(void)
{
	struct cpu *cpu = enter(ENTRY_INTERRUPT);
	uint32_t intid = acknowledge();
	struct thread *t;

	if (!intid_special(intid)) {
		t = intid >= INTID_SPI ? fastpath_interrupt(cpu, intid) : NULL;
		if (t != NULL)
			return t;
		take_interrupt(cpu, intid);
	}
	take_interrupts(cpu);
	return leave(cpu);
}

void
arch_timer_set(uint64_t deadline_ticks)
{
	if (deadline_ticks == NEVER) {
		sysreg_write("cnthp_ctl_el2", 0);
		return;
	}
	sysreg_write("cnthp_cval_el2", deadline_ticks);
	sysreg_write("cnthp_ctl_el2", 1);
}

/* ---- system calls and exceptions -------------------------------------------- */

/*
 * The call runs again, for it was preempted, or another CPU must act first.
 * The lock is not fair: leave it free for longer than a CPU that waits for it
 * takes to see that, so that the other one has its turn (kernel/arch.h).
 */
static void
let_others_in(struct cpu *cpu)
{
	enum { LOOKS = 500 };

	if (cpu->arch.lock_needed == 0)
		return;
	kernel_unlock(cpu);
	for (unsigned n = 0; n < LOOKS && !arch_interrupt_pending(); n++)
		;
	kernel_lock(cpu);
}

struct thread *
trap_syscall(struct thread *t)
{
	struct cpu *cpu = enter(OBJ_NULL);

	stretch_of_call(cpu, t);

	kernel_syscall(t);
	if (t->restarted == 0)
		t->regs.x[9] = t->regs.x[10] = 0;	/* the invariant of arch/types.h */
	else
		let_others_in(cpu);
	return leave(cpu);
}

static struct thread *
fault(struct thread *t, uint32_t label, uint64_t address, uint64_t esr)
{
	struct cpu *cpu = enter(ENTRY_FAULT);
	struct thread *handler = fastpath_fault(cpu, t, label, address, esr);

	if (handler != NULL)
		return handler;
	kernel_fault(t, label, address, esr);
	return leave(cpu);
}

/*
 * The faulting address of a component is FAR_EL2; that of a VCPU is an IPA:
 * HPFAR_EL2 and the offset in the page (Arm ARM D19.2.62).  A stage 2 fault on
 * a stage 1 walk has no offset.
 */
static uint64_t
fault_address(const struct thread *t, uint64_t esr)
{
	uint64_t ipa = (sysreg_read("hpfar_el2") & 0xffffffffff0UL) << 8;

	if (t->vcpu == NULL)
		return (esr & ESR_FNV) != 0 ? 0 : sysreg_read("far_el2");
	if ((esr & (ESR_S1PTW | ESR_FNV)) != 0)
		return ipa;
	return ipa | (sysreg_read("far_el2") & 0xfff);
}

static struct thread *
wfx(struct thread *t, uint64_t esr)
{
	struct cpu *cpu = enter(ENTRY_WFI);

	t->regs.pc += trapped_length(esr);
	kernel_wfi(t);
	return leave(cpu);
}

/* trap_sync's result when t just goes on. */
static uintptr_t
goes_on(struct thread *t)
{
	return (uintptr_t)t | 1;
}

/* What a VCPU may not do: its EL1 gets an UNDEF. */
static uintptr_t
refuse(struct thread *t, uint64_t esr)
{
	if (t->vcpu == NULL)
		return (uintptr_t)fault(t, LABEL_FAULT_EXCEPTION, 0, esr);
	vcpu_inject_undefined(t);
	return goes_on(t);
}

uintptr_t
trap_sync(struct thread *t, uint64_t esr)
{
	switch (ESR_EC(esr)) {
	case EC_DABT_LOWER:
	case EC_IABT_LOWER:
		return (uintptr_t)fault(t, LABEL_FAULT_MEMORY, fault_address(t, esr), esr);
	case EC_FP:
		fp_trap(cpu_self(), t);
		return goes_on(t);
	case EC_WFX:
		return t->vcpu != NULL ? (uintptr_t)wfx(t, esr) : refuse(t, esr);
	case EC_SYSREG:
		if (t->vcpu != NULL && sysreg_emulate(t, esr))
			return goes_on(t);
		return refuse(t, esr);
	default:
		return refuse(t, esr);
	}
}

/* An SError that a lower EL's access caused: it belongs to whoever ran. */
struct thread *
trap_serror(struct thread *t, uint64_t esr)
{
	return fault(t, LABEL_FAULT_EXCEPTION, 0, esr);
}

/* ---- threads ------------------------------------------------------------------ */

void
arch_thread_init(struct thread *t)
{
	(void)t;		/* zero is right: EL0t, nothing in hardware */
}

/*
 * A component starts at EL0; a VCPU thread at EL1h with everything masked and
 * its EL1 in reset state: MMU off, no pending interrupts.
 */
void
arch_thread_start(struct thread *t, uint64_t pc, uint64_t sp,
	uint64_t x0, uint64_t x1, uint64_t x2, uint64_t tpidr)
{
	t->regs = (struct regs){ .x = { x0, x1, x2 }, .pc = pc, .pstate = PSTATE_EL0T };
	t->arch.tpidr = tpidr;
	if (t->vcpu == NULL) {
		t->regs.sp = sp;
		return;
	}
	t->regs.pstate = PSTATE_EL1H | PSTATE_DAIF;
	t->vcpu->arch = (struct arch_vcpu){ .sctlr = SCTLR_EL1_RESET, .sp_el1 = sp };
}

void
arch_thread_get_registers(const struct thread *t, uint64_t words[REGS_WORDS])
{
	for (unsigned i = 0; i < 31; i++)
		words[i] = t->regs.x[i];
	words[REG_SP] = t->regs.sp;
	words[REG_PC] = t->regs.pc;
	words[REG_PSTATE] = t->regs.pstate;
	words[REG_TPIDR] = t->arch.tpidr;
}

void
arch_thread_set_ipc_vaddr(struct thread *t, uint64_t vaddr)
{
	t->arch.tpidrro = vaddr;
}

bool
arch_thread_is_live(const struct thread *t, unsigned cpu)
{
	const struct arch_cpu *c = &cpus[cpu].arch;

	return c->fp_owner == t || c->loaded_thread == t;
}

void
arch_thread_release(struct thread *t)
{
	struct cpu *cpu = cpu_self();

	fp_release(cpu, t);
	if (cpu->arch.loaded_thread == t)
		vcpu_evict(cpu);
}

static uint64_t
longest_of(unsigned kind)
{
	uint64_t longest = 0;

	for (unsigned i = 0; i < cpu_count; i++)
		if (cpus[i].arch.longest_ticks[kind] > longest)
			longest = cpus[i].arch.longest_ticks[kind];
	return longest;
}

uint64_t
arch_bench(unsigned what)
{
	uint64_t longest = 0;

	if (what >= BENCH_LONGEST_OF && what - BENCH_LONGEST_OF < ENTRY_KINDS)
		return longest_of(what - BENCH_LONGEST_OF);
	for (unsigned kind = 0; kind < ENTRY_KINDS && what == BENCH_LONGEST; kind++)
		if (kind != OBJ_SYSTEM_CONTROL && longest_of(kind) > longest)
			longest = longest_of(kind);
	return longest;
}
