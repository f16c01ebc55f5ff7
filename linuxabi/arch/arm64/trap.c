/* SPDX-License-Identifier: MIT */
/*
 * Exceptions in C: what a program did wrong becomes a page or a signal, what we
 * did wrong becomes a fix-up or a panic.  Arm ARM DDI 0487 D17.2.37 (ESR_EL1).
 */
#include "asm.h"
#include "internal.h"

#define FAR_ADDRESS(far)	((far) & 0x00ffffffffffffffUL)	/* TBI0: the top byte is the program's */
#define ESR_WNR			(1UL << 6)
#define ESR_CM			(1UL << 8)	/* cache maintenance counts as a read */
#define PSTATE_I		(1UL << 7)
#define OOM_PAUSE_NS		2000000UL

struct ex_entry {
	int32_t at, to;			/* relative to their own places */
	uint32_t never_block;
};
extern const struct ex_entry ex_table_start[], ex_table_end[];

static void irq_on(void) { __asm__ volatile("msr daifclr, #2" : : : "memory"); }
static void irq_off(void) { __asm__ volatile("msr daifset, #2" : : : "memory"); }

static unsigned
abort_access(uint64_t esr)
{
	unsigned ec = (unsigned)(esr >> 26);

	if (ec == EC_IABT_LOW || ec == EC_IABT)
		return VMA_EXEC;
	return (esr & ESR_WNR) != 0 && (esr & ESR_CM) == 0 ? VMA_WRITE : VMA_READ;
}

/* DFSC: translation, access flag and permission faults can be resolved. */
static bool is_page_fault(uint64_t esr) { return (esr & 0x3f) >= 0x04 && (esr & 0x3f) <= 0x0f; }
static bool is_alignment_fault(uint64_t esr) { return (esr & 0x3f) == 0x21; }

/*
 * No memory for the page, and nobody to be killed for it was found on the way: who faults need not be
 * the one that has it all, least of all init.  It faults again when something may have become free.
 */
static void
fault_without_memory(void)
{
	if (signal_fatal_pending(current))
		return;
	oom_kill();
	task_prepare_wait(TASK_KILLABLE);
	task_wait(clock_monotonic() + OOM_PAUSE_NS);
	task_finish_wait();
}

static void
fault_signal(long error, uint64_t addr)
{
	switch (error) {
	case -EACCES:
		signal_force(SIGSEGV, SEGV_ACCERR, addr);
		return;
	case -EIO:
		signal_force(SIGBUS, BUS_ADRERR, addr);
		return;
	case -ENOMEM:
		fault_without_memory();
		return;
	}
	signal_force(SIGSEGV, SEGV_MAPERR, addr);
}

static void
user_abort(uint64_t esr, uint64_t far)
{
	uint64_t addr = FAR_ADDRESS(far);
	long error;

	if (is_alignment_fault(esr)) {
		signal_force(SIGBUS, BUS_ADRALN, addr);
		return;
	}
	if (!is_page_fault(esr)) {
		signal_force(SIGBUS, BUS_OBJERR, addr);
		return;
	}
	error = addr < TASK_SIZE ? mm_fault(current->mm, addr, abort_access(esr)) : -EFAULT;
	if (error != 0 && !signal_fatal_pending(current))
		fault_signal(error, addr);
}

/* ESR_EL1.ISS of a trapped FP exception: IOF, DZF, OFF, UFF, IXF (if TFV). */
static int
fpe_code(uint64_t esr)
{
	if ((esr >> 23 & 1) == 0)
		return FPE_FLTUNK;
	if ((esr & 1) != 0)
		return FPE_FLTINV;
	if ((esr & 2) != 0)
		return FPE_FLTDIV;
	if ((esr & 4) != 0)
		return FPE_FLTOVF;
	return (esr & 8) != 0 ? FPE_FLTUND : FPE_FLTRES;
}

void
trap_user(struct regs *r, uint64_t esr, uint64_t far)
{
	unsigned ec = (unsigned)(esr >> 26);

	if (ec == EC_FP) {
		fp_trap();
		return;
	}
	irq_on();
	switch (ec) {
	case EC_DABT_LOW:
	case EC_IABT_LOW:
		user_abort(esr, far);
		break;
	case EC_PC_ALIGN:
		signal_force(SIGBUS, BUS_ADRALN, r->pc);
		break;
	case EC_SP_ALIGN:
		signal_force(SIGBUS, BUS_ADRALN, r->sp);
		break;
	case EC_BRK64:
		signal_force(SIGTRAP, TRAP_BRKPT, r->pc);
		break;
	case EC_BREAK_LOW:
	case EC_STEP_LOW:
	case EC_WATCH_LOW:
		signal_force(SIGTRAP, TRAP_HWBKPT, r->pc);
		break;
	case EC_FPE64:
		signal_force(SIGFPE, fpe_code(esr), r->pc);
		break;
	default:
		signal_force(SIGILL, ILL_ILLOPC, r->pc);
		break;
	}
	irq_off();
}

enum { USER_WORK = TIF_NEED_RESCHED | TIF_SIGPENDING | TIF_RESTORE_MASK | TIF_CPU_TIME };

void
user_work(struct regs *r, unsigned syscall)
{
	uint32_t work;

	while ((work = READ_ONCE(current->work) & (uint32_t)USER_WORK) != 0) {
		irq_on();
		if ((work & TIF_CPU_TIME) != 0)
			cpu_time_check();
		if ((work & TIF_NEED_RESCHED) != 0)
			schedule();
		if ((work & (TIF_SIGPENDING | TIF_RESTORE_MASK)) != 0) {
			signal_deliver(r, syscall != 0);
			syscall = 0;
		}
		irq_off();
	}
}

void
trap_serror(struct regs *r, uint64_t esr)
{
	klog(LOG_ERR, "SError in %s (%d), syndrome %#lx", current->comm, current->tid, esr);
	irq_on();
	signal_force(SIGBUS, BUS_OBJERR, r->pc);
	irq_off();
}

void
trap_aarch32(struct regs *r)
{
	irq_on();
	signal_force(SIGKILL, SI_KERNEL, r->pc);
	irq_off();
}

/* ---- our own ---- */

static const struct ex_entry *
ex_find(uint64_t pc)
{
	const struct ex_entry *e;

	for (e = ex_table_start; e < ex_table_end; e++) {
		if ((uint64_t)&e->at + (uint64_t)(int64_t)e->at == pc)
			return e;
	}
	return NULL;
}

static void dump_and_panic(struct regs *, uint64_t esr, uint64_t far, const char *what) __attribute__((noreturn));

static void
dump_and_panic(struct regs *r, uint64_t esr, uint64_t far, const char *what)
{
	arch_dump_regs(r);
	panic("%s: pc %#lx esr %#lx far %#lx", what, r->pc, esr, far);
}

static long
kernel_user_access(const struct regs *r, uint64_t esr, uint64_t addr, const struct ex_entry *e)
{
	long error;

	if (e->never_block != 0 || !is_page_fault(esr) || (r->pstate & PSTATE_I) != 0 || current->mm == NULL)
		return -EFAULT;
	irq_on();
	error = mm_fault(current->mm, addr, abort_access(esr));
	irq_off();
	return error;
}

void
trap_kernel(struct regs *r, uint64_t esr, uint64_t far)
{
	unsigned ec = (unsigned)(esr >> 26);
	uint64_t addr = FAR_ADDRESS(far);
	const struct ex_entry *e;

	if (ec != EC_DABT)
		dump_and_panic(r, esr, far, "unexpected exception");
	e = ex_find(r->pc);
	if (e == NULL || far >= LINEAR_BASE)
		dump_and_panic(r, esr, far, "bad memory access");
	if (addr < TASK_SIZE && kernel_user_access(r, esr, addr, e) == 0)
		return;
	r->pc = (uint64_t)&e->to + (uint64_t)(int64_t)e->to;
}

void
trap_bad(struct regs *r, uint64_t esr, uint64_t far)
{
	dump_and_panic(r, esr, far, "exception that cannot be");
}

void
arch_dump_regs(const struct regs *r)
{
	for (unsigned i = 0; i < 30; i += 3)
		klog(LOG_EMERG, "x%02u %016lx  x%02u %016lx  x%02u %016lx", i, r->x[i], i + 1, r->x[i + 1],
		    i + 2, r->x[i + 2]);
	klog(LOG_EMERG, "x30 %016lx  sp  %016lx  pc  %016lx  pstate %lx", r->x[30], r->sp, r->pc, r->pstate);
	/* Frame records of our own stack (AAPCS64 6.2.3). */
	uint64_t fp = r->x[29];

	for (unsigned depth = 0; depth < 16 && fp >= LINEAR_BASE && (fp & 7) == 0; depth++) {
		const uint64_t *record = (const uint64_t *)fp;

		klog(LOG_EMERG, "  called from %016lx", record[1]);
		if (record[0] <= fp)
			break;
		fp = record[0];
	}
}
