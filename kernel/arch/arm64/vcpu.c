/* SPDX-License-Identifier: MIT */
/*
 * The EL1 state of personality threads.
 *
 * A CPU keeps the state of the VCPU that ran last (loaded_vcpu) in its
 * registers for as long as no other VCPU wants them.  Most EL1 registers do
 * nothing while a component runs, since TGE is set then; the few that act on
 * components too are exchanged when the kind of thread changes (active_vcpu).
 * So WFI, idling and resuming the same VCPU move nothing at all.
 *
 * The virtual timer of the loaded VCPU stays armed in hardware even while the
 * VCPU does not run: its interrupt, PPI 27, becomes the hardware-linked list
 * register 0, and the personality's EOI deactivates the PPI.  List register 1
 * is VIRQ_NOTIFICATION.  Two sources, two list registers: they cannot overflow.
 */
#include "arch_arm64.h"

/* List registers (GIC 12.4.6) and ICH_HCR_EL2 (12.4.4). */
#define LR_PENDING	(1UL << 62)
#define LR_ACTIVE	(1UL << 63)
#define LR_HW		(1UL << 61)
#define LR_GROUP1	(1UL << 60)
#define LR_PRIORITY	(0xa0UL << 48)
#define LR_PINTID_SHIFT	32
#define ICH_HCR_EN	1UL
#define ICH_HCR_TALL0	(1UL << 11)	/* group 0 is nobody's: its registers are not exchanged */

/* CNTV_CTL_EL0 (Arm ARM DDI 0487 L.b D12.11.25). */
enum { CTL_ENABLE = 1, CTL_IMASK = 2, CTL_ISTATUS = 4 };

void
arch_vcpu_init(struct vcpu *v)
{
	v->arch.sctlr = SCTLR_EL1_RESET;
}

/* ---- registers that act on components too ------------------------------ */

static void
active_save(struct arch_vcpu *v)
{
	v->sctlr = sysreg_read("sctlr_el1");
	v->cpacr = sysreg_read("cpacr_el1");
	v->cntkctl = sysreg_read("cntkctl_el1");
	v->tpidrro = sysreg_read("tpidrro_el0");
}

static void
active_load(const struct arch_vcpu *v)
{
	sysreg_write("sctlr_el1", v->sctlr);
	sysreg_write("cpacr_el1", v->cpacr);
	sysreg_write("cntkctl_el1", v->cntkctl);
	sysreg_write("tpidrro_el0", v->tpidrro);
	sysreg_write("cnthctl_el2", CNTHCTL_PERSONALITY);
	sysreg_write("hcr_el2", HCR_PERSONALITY);
	sysreg_write(ICH_HCR, ICH_HCR_EN | ICH_HCR_TALL0);
}

/* A component is next: its fixed values (DESIGN 3.1), virtual interrupts off. */
void
vcpu_leave(struct cpu *cpu)
{
	active_save(cpu->arch.active_vcpu);
	cpu->arch.active_vcpu = NULL;
	sysreg_write("sctlr_el1", SCTLR_EL1_COMPONENT);
	sysreg_write("cpacr_el1", CPACR_COMPONENT);
	sysreg_write("cntkctl_el1", CNTKCTL_COMPONENT);
	sysreg_write("cnthctl_el2", CNTHCTL_COMPONENT);
	sysreg_write("hcr_el2", HCR_COMPONENT);
	sysreg_write(ICH_HCR, 0);
}

/* ---- everything else ---------------------------------------------------- */

static void
el1_save(struct arch_vcpu *v)
{
	v->ttbr0 = sysreg_read("ttbr0_el1");
	v->ttbr1 = sysreg_read("ttbr1_el1");
	v->tcr = sysreg_read("tcr_el1");
	v->mair = sysreg_read("mair_el1");
	v->amair = sysreg_read("amair_el1");
	v->vbar = sysreg_read("vbar_el1");
	v->contextidr = sysreg_read("contextidr_el1");
	v->esr = sysreg_read("esr_el1");
	v->far = sysreg_read("far_el1");
	v->afsr0 = sysreg_read("afsr0_el1");
	v->afsr1 = sysreg_read("afsr1_el1");
	v->par = sysreg_read("par_el1");
	v->csselr = sysreg_read("csselr_el1");
	v->tpidr_el1 = sysreg_read("tpidr_el1");
	v->sp_el1 = sysreg_read("sp_el1");
	v->elr = sysreg_read("elr_el1");
	v->spsr = sysreg_read("spsr_el1");
}

static void
el1_load(const struct arch_vcpu *v)
{
	sysreg_write("ttbr0_el1", v->ttbr0);
	sysreg_write("ttbr1_el1", v->ttbr1);
	sysreg_write("tcr_el1", v->tcr);
	sysreg_write("mair_el1", v->mair);
	sysreg_write("amair_el1", v->amair);
	sysreg_write("vbar_el1", v->vbar);
	sysreg_write("contextidr_el1", v->contextidr);
	sysreg_write("esr_el1", v->esr);
	sysreg_write("far_el1", v->far);
	sysreg_write("afsr0_el1", v->afsr0);
	sysreg_write("afsr1_el1", v->afsr1);
	sysreg_write("par_el1", v->par);
	sysreg_write("csselr_el1", v->csselr);
	sysreg_write("tpidr_el1", v->tpidr_el1);
	sysreg_write("sp_el1", v->sp_el1);
	sysreg_write("elr_el1", v->elr);
	sysreg_write("spsr_el1", v->spsr);
}

static uint64_t
timer_deadline(const struct arch_vcpu *v)
{
	return (v->cntv_ctl & (CTL_ENABLE | CTL_IMASK)) == CTL_ENABLE ? v->cntv_cval : NEVER;
}

/*
 * Timer and virtual interrupts.  A list register 0 that is in use stands for
 * the physical PPI being active here on the VCPU's behalf: the two move
 * together.  The timer is off before the PPI is deactivated, so that its line
 * is down.
 */
static void
virtual_save(struct cpu *cpu, struct arch_vcpu *v)
{
	v->cntv_ctl = sysreg_read("cntv_ctl_el0");
	v->cntv_cval = sysreg_read("cntv_cval_el0");
	sysreg_write("cntv_ctl_el0", 0);
	v->ich_vmcr = sysreg_read(ICH_VMCR);
	v->ich_ap1r0 = sysreg_read(ICH_AP1R0);
	v->ich_lr[0] = sysreg_read(ICH_LR0);
	v->ich_lr[1] = sysreg_read(ICH_LR1);
	isb();
	if ((v->ich_lr[0] & (LR_PENDING | LR_ACTIVE)) != 0)
		gic_vtimer_set_active(&cpu->arch, false);
}

static void
virtual_load(struct cpu *cpu, const struct arch_vcpu *v)
{
	if ((v->ich_lr[0] & (LR_PENDING | LR_ACTIVE)) != 0)
		gic_vtimer_set_active(&cpu->arch, true);
	sysreg_write(ICH_VMCR, v->ich_vmcr);
	sysreg_write(ICH_AP1R0, v->ich_ap1r0);
	sysreg_write(ICH_LR0, v->ich_lr[0]);
	sysreg_write(ICH_LR1, v->ich_lr[1]);
	sysreg_write("cntv_cval_el0", v->cntv_cval);
	sysreg_write("cntv_ctl_el0", v->cntv_ctl);
}

/* Write the loaded VCPU back to memory; the CPU has none afterwards. */
void
vcpu_evict(struct cpu *cpu)
{
	struct arch_vcpu *v = cpu->arch.loaded_vcpu;

	if (v == NULL)
		return;
	if (cpu->arch.active_vcpu != NULL)
		vcpu_leave(cpu);
	el1_save(v);
	virtual_save(cpu, v);
	v->loaded = NULL;
	cpu->arch.loaded_vcpu = NULL;
	kernel_vcpu_moved(cpu->arch.loaded_thread, timer_deadline(v));
	cpu->arch.loaded_thread = NULL;
}

/*
 * Two VCPUs of one space look like two CPUs to their personality, which may
 * use the same ASID on them for different things; a VCPU that moved may have
 * left entries behind that it invalidated elsewhere.  So a CPU forgets what it
 * cached for the space when another VCPU of it comes (Arm ARM D8.14.3).
 */
static void
tlb_separate(struct cpu *cpu, struct arch_vspace *space, struct arch_vcpu *v)
{
	if (space->last_vcpu[cpu->id] == v)
		return;
	space->last_vcpu[cpu->id] = v;
	isb();
	__asm__ volatile("tlbi vmalle1; ic iallu; dsb nsh; isb" : : : "memory");
}

/* RAS is hidden, but where there is RAS its DISR_EL1, VDISR_EL2 then, does not trap (D19.8.4). */
static void
forget_deferred_error(void)
{
	if ((sysreg_read("id_aa64pfr0_el1") >> 28 & 0xf) != 0)
		sysreg_write("S3_4_C12_C1_1", 0);
}

static void
vcpu_load(struct cpu *cpu, struct thread *t)
{
	struct arch_vcpu *v = &t->vcpu->arch;

	vcpu_evict(cpu);
	forget_deferred_error();
	el1_load(v);
	virtual_load(cpu, v);
	v->loaded = cpu;
	cpu->arch.loaded_vcpu = v;
	cpu->arch.loaded_thread = t;
	tlb_separate(cpu, &t->vspace->arch, v);
}

static void
raise_in_hardware(void)
{
	uint64_t lr = sysreg_read(ICH_LR1) & LR_ACTIVE;

	sysreg_write(ICH_LR1, lr | LR_PENDING | LR_GROUP1 | LR_PRIORITY | VIRQ_NOTIFICATION);
}

/* The last step before a personality thread runs; its stage 2 is loaded. */
void
vcpu_enter(struct cpu *cpu, struct thread *t)
{
	struct arch_vcpu *v = &t->vcpu->arch;

	if (cpu->arch.loaded_vcpu != v)
		vcpu_load(cpu, t);
	if (cpu->arch.active_vcpu != v) {
		active_load(v);
		cpu->arch.active_vcpu = v;
	}
	if (v->notified != 0) {
		v->notified = 0;
		raise_in_hardware();
	}
}

/* ---- interrupts for a VCPU ----------------------------------------------- */

/* Loaded elsewhere or nowhere: the next vcpu_enter does it. */
void
arch_vcpu_raise(struct vcpu *v)
{
	if (v->arch.loaded == cpu_self())
		raise_in_hardware();
	else
		v->arch.notified = 1;
}

/*
 * PPI 27 was taken: its priority is dropped, and it stays active until the
 * personality ends virtual interrupt 27.
 */
void
vcpu_timer_fired(struct cpu *cpu)
{
	if (cpu->arch.loaded_vcpu == NULL) {
		arch_irq_ack(gic_vtimer_intid());
		return;
	}
	sysreg_write(ICH_LR0, LR_PENDING | LR_HW | LR_GROUP1 | LR_PRIORITY |
		     (uint64_t)gic_vtimer_intid() << LR_PINTID_SHIFT | VIRQ_TIMER);
}

static bool
timer_due(uint64_t ctl, uint64_t cval)
{
	return (ctl & (CTL_ENABLE | CTL_IMASK)) == CTL_ENABLE && arch_now() >= cval;
}

/* Asked on the CPU that runs the VCPU's thread, or about one that no CPU holds. */
bool
arch_vcpu_pending(struct vcpu *v)
{
	const struct arch_vcpu *a = &v->arch;
	uint64_t lr0 = a->ich_lr[0], lr1 = a->ich_lr[1];

	if (a->notified != 0)
		return true;
	if (a->loaded == cpu_self()) {
		lr0 = sysreg_read(ICH_LR0);
		lr1 = sysreg_read(ICH_LR1);
	}
	if (((lr0 | lr1) & LR_PENDING) != 0)
		return true;
	if ((lr0 & LR_ACTIVE) != 0)	/* the timer's is being handled: it cannot come again */
		return false;
	if (a->loaded == cpu_self())
		return timer_due(sysreg_read("cntv_ctl_el0"), sysreg_read("cntv_cval_el0"));
	return timer_due(a->cntv_ctl, a->cntv_cval);
}

/* ---- an UNDEF for EL1 ------------------------------------------------------ */

/*
 * As if the instruction at pc had been undefined (Arm ARM DDI 0487 D1.3.2 and
 * D1.3.5 for the vector, D1.3.4 for the new PSTATE).  The thread runs here, so
 * its EL1 registers are the hardware's.
 */
void
vcpu_inject_undefined(struct thread *t)
{
	uint64_t mode = t->regs.pstate & PSTATE_MODE;
	uint64_t offset = mode == PSTATE_EL1H ? 0x200 : mode == PSTATE_EL1T ? 0 :
		(mode & 0x10) != 0 ? 0x600 : 0x400;
	uint64_t pstate = PSTATE_EL1H | PSTATE_DAIF;

	if ((sysreg_read("sctlr_el1") & SCTLR_SPAN) == 0 &&
	    (sysreg_read("id_aa64mmfr1_el1") >> 20 & 0xf) != 0)
		pstate |= PSTATE_PAN;
	else
		pstate |= t->regs.pstate & PSTATE_PAN;
	sysreg_write("esr_el1", (uint64_t)EC_UNKNOWN << 26 | ESR_IL);
	sysreg_write("elr_el1", t->regs.pc);
	sysreg_write("spsr_el1", t->regs.pstate);
	t->regs.pc = sysreg_read("vbar_el1") + offset;
	t->regs.pstate = pstate;
}
