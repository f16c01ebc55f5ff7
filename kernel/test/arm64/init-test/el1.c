/* SPDX-License-Identifier: MIT */
/*
 * The test personality: runs at EL1 with its MMU off, pokes every register
 * that the kernel must keep from it (DESIGN 3.1), and uses its two virtual
 * interrupts.  What it found goes to the shared page.
 */
#define TESSERA_PERSONALITY 1
#include "shared.h"

extern char el1_vectors[];
void el1_sync(void);
void el1_irq(void);
void el1_other(void);

static volatile uint64_t faults, last_esr, timer_interrupts, notification_interrupts, others;

static void
result(const char *name, bool ok)
{
	uint64_t n = shared->results;

	if (n == EL1_RESULTS)
		return;
	shared->result[n].name = name;
	shared->result[n].ok = ok;
	shared->results = n + 1;
}

/* ---- exceptions ------------------------------------------------------------- */

/* Count and skip. */
void
el1_sync(void)
{
	uint64_t elr;

	__asm__ volatile("mrs %0, esr_el1" : "=r"(last_esr));
	__asm__ volatile("mrs %0, elr_el1" : "=r"(elr));
	__asm__ volatile("msr elr_el1, %0" : : "r"(elr + 4));
	faults++;
}

uint64_t
el1_faults(void)
{
	return faults;
}

/* The last one: EC 0, or among the ID registers, with FEAT_IDST, 0x18 (D1.3.5). */
bool
el1_fault_was_undefined(void)
{
	return last_esr >> 26 == 0 || last_esr >> 26 == 0x18;
}

void
el1_other(void)
{
	others++;
}

/* ICC_IAR1_EL1, ICC_EOIR1_EL1: the virtual CPU interface. */
void
el1_irq(void)
{
	uint64_t intid;

	__asm__ volatile("mrs %0, S3_0_C12_C12_0" : "=r"(intid));
	if (intid == VIRQ_TIMER) {
		__asm__ volatile("msr cntv_ctl_el0, xzr; isb");
		timer_interrupts++;
	} else if (intid == VIRQ_NOTIFICATION) {
		uint64_t bits = 0;

		if (sys_poll(shared->own_poll, &bits) == OK)
			shared->notified |= bits;
		notification_interrupts++;
		shared->interrupts++;
	} else {
		others++;
		return;
	}
	__asm__ volatile("msr S3_0_C12_C12_1, %0; isb" : : "r"(intid));
}

static void
interrupts_on(void)
{
	__asm__ volatile("msr daifclr, #2" : : : "memory");
}

static void
interrupts_off(void)
{
	__asm__ volatile("msr daifset, #2" : : : "memory");
}

static void
wfi(void)
{
	__asm__ volatile("dsb sy; wfi" : : : "memory");
}

/* ---- poking ------------------------------------------------------------------ */

/* Does the instruction end in exactly one UNDEF (EC 0) at our own vectors? */
#define UNDEFINED(name, instruction) do {					\
	uint64_t before_ = faults;						\
	last_esr = ~0ul;							\
	__asm__ volatile(instruction : : : "x0", "x1", "x2", "x3", "memory");	\
	result(name ": UNDEF at EL1", faults == before_ + 1 && last_esr >> 26 == 0); \
} while (0)

/* Is it done without any exception at EL1? */
#define HARMLESS(name, instruction) do {					\
	uint64_t before_ = faults;						\
	__asm__ volatile(instruction : : : "x0", "memory");			\
	result(name ": harmless", faults == before_);				\
} while (0)

#define READ(reg) ({								\
	uint64_t value_;							\
	__asm__ volatile("mrs %0, " reg : "=r"(value_));			\
	value_;									\
})
#define FIELD(value, shift) ((value) >> (shift) & 0xf)

static void
poke_identification(void)
{
	uint64_t before = faults;

	result("CurrentEL is EL1", READ("CurrentEL") == 1 << 2);
	result("EL0 in AArch64 only", FIELD(READ("id_aa64pfr0_el1"), 0) == 1);
	result("EL2 and EL3 hidden", (READ("id_aa64pfr0_el1") & 0xff00) == 0);
	result("GICv3 interface visible", FIELD(READ("id_aa64pfr0_el1"), 24) != 0);
	result("SVE hidden", FIELD(READ("id_aa64pfr0_el1"), 32) == 0);
	result("MTE hidden", FIELD(READ("id_aa64pfr1_el1"), 8) == 0);
	result("PAuth hidden", (READ("id_aa64isar1_el1") & 0xff000ff0) == 0);
	result("PMU hidden", FIELD(READ("id_aa64dfr0_el1"), 8) == 0);
	result("AArch32 hidden", READ("id_pfr0_el1") == 0);
	result("ID registers read without exception", faults == before);
}

static void
poke_forbidden(void)
{
	UNDEFINED("SMC", "smc #0");
	UNDEFINED("ICC_SGI1R_EL1", "msr S3_0_C12_C11_5, xzr");
	UNDEFINED("ICC_ASGI1R_EL1", "msr S3_0_C12_C11_6, xzr");
	UNDEFINED("ICC_SGI0R_EL1", "msr S3_0_C12_C11_7, xzr");
	UNDEFINED("CNTP_CTL_EL0 write", "msr cntp_ctl_el0, xzr");
	UNDEFINED("CNTP_CTL_EL0 read", "mrs x0, cntp_ctl_el0");
	UNDEFINED("CNTP_CVAL_EL0", "msr cntp_cval_el0, xzr");
	UNDEFINED("CNTP_TVAL_EL0", "msr cntp_tval_el0, xzr");
	UNDEFINED("PMCR_EL0", "mrs x0, pmcr_el0");
	UNDEFINED("PMCCNTR_EL0", "mrs x0, pmccntr_el0");
	UNDEFINED("PMCNTENSET_EL0", "msr pmcntenset_el0, xzr");
	UNDEFINED("DBGBVR0_EL1", "msr dbgbvr0_el1, xzr");
	UNDEFINED("DBGWCR0_EL1", "msr dbgwcr0_el1, xzr");
	UNDEFINED("MDCCINT_EL1", "msr mdccint_el1, xzr");
	UNDEFINED("PACGA", ".inst 0x9ac23020");
	/* With its own traps off (CPACR_EL1.FPEN, ZEN), SVE must still not be there. */
	UNDEFINED("RDVL", "mov x0, #0x330000\n\tmsr cpacr_el1, x0\n\tisb\n\t.inst 0x04bf5020");
	UNDEFINED("HCR_EL2", "msr hcr_el2, xzr");
	UNDEFINED("VTTBR_EL2", "mrs x0, vttbr_el2");
	UNDEFINED("ICC_SRE_EL2", "mrs x0, S3_4_C12_C9_5");
	UNDEFINED("ICH_LR0_EL2", "mrs x0, S3_4_C12_C12_0");
	UNDEFINED("CNTHP_CTL_EL2", "msr cnthp_ctl_el2, xzr");
	UNDEFINED("LORC_EL1", "mrs x0, S3_0_C10_C4_3");
	UNDEFINED("ERRIDR_EL1", "mrs x0, S3_0_C5_C3_0");
	UNDEFINED("implementation-defined register", "mrs x0, S3_1_C15_C7_7");
}

static void
poke_harmless(void)
{
	HARMLESS("DC ISW", "dc isw, xzr");
	HARMLESS("DC CSW", "dc csw, xzr");
	HARMLESS("DC CISW", "dc cisw, xzr");
	HARMLESS("ACTLR_EL1 write", "mov x0, #-1\n\tmsr actlr_el1, x0");
	HARMLESS("MDSCR_EL1 write", "mov x0, #1\n\tmsr mdscr_el1, x0");
	HARMLESS("OSLAR_EL1 write", "msr oslar_el1, xzr");
	HARMLESS("OSDLR_EL1 write", "msr osdlr_el1, xzr");
	HARMLESS("PMUSERENR_EL0 write", "mov x0, #-1\n\tmsr pmuserenr_el0, x0");
	HARMLESS("WFE", "sevl\n\twfe");
	HARMLESS("CNTPCT_EL0 read", "mrs x0, cntpct_el0");
	result("ACTLR_EL1 reads as zero", READ("actlr_el1") == 0);
	result("MDSCR_EL1 reads as zero", READ("mdscr_el1") == 0);
	result("PMUSERENR_EL0 reads as zero", READ("pmuserenr_el0") == 0);
	result("counters agree", READ("cntvct_el0") - READ("cntpct_el0") + 100000 < 200000);
}

/* ---- virtual interrupts -------------------------------------------------------- */

static void
timer_in(uint64_t ticks)
{
	__asm__ volatile("msr cntv_cval_el0, %0; msr cntv_ctl_el0, %1; isb" : :
		"r"(READ("cntvct_el0") + ticks), "r"(1ul));
}

static void
gic_init(void)
{
	__asm__ volatile("msr S3_0_C4_C6_0, %0; msr S3_0_C12_C12_7, %1; isb" : :
		"r"(0xf0ul), "r"(1ul));		/* ICC_PMR_EL1, ICC_IGRPEN1_EL1 */
}

static void
try_timer(void)
{
	uint64_t start = READ("cntvct_el0");

	timer_in(20000);
	interrupts_on();
	while (timer_interrupts == 0 && READ("cntvct_el0") - start < 60000000)
		;
	interrupts_off();
	result("virtual timer interrupts running code", timer_interrupts == 1);

	timer_in(20000);
	wfi();
	result("WFI ends when the masked timer is due",
		READ("cntvct_el0") >= READ("cntv_cval_el0") && timer_interrupts == 1);
	interrupts_on();
	start = READ("cntvct_el0");	/* the signal may lag behind the counter */
	while (timer_interrupts == 1 && READ("cntvct_el0") - start < 60000000)
		;
	interrupts_off();
	result("its interrupt is taken when unmasked", timer_interrupts == 2);

	for (uint64_t i = 0; i < 100; i++) {
		timer_in(2000);
		wfi();
		interrupts_on();
		start = READ("cntvct_el0");
		while (timer_interrupts == 2 + i && READ("cntvct_el0") - start < 60000000)
			;
		interrupts_off();
	}
	result("a hundred timers, a hundred interrupts", timer_interrupts == 102);
}

static void
try_calls(void)
{
	uint64_t bits = 0;
	struct msg m = { .info = MSG_INFO(1, 0, 0) };

	result("poll of an empty Notification", sys_poll(shared->own_poll, &bits) == ERR_WOULD_BLOCK);
	result("wait is refused to a VCPU", sys_wait(shared->own_poll, 0, &bits) == ERR_WOULD_BLOCK);
	result("unknown slot", sys_call(9999, &m, 0) != OK);
	result("own signal", sys_signal(shared->own_signal) == OK);
	interrupts_on();
	__asm__ volatile("isb" : : : "memory");
	for (volatile int i = 0; i < 100; i++)
		;
	interrupts_off();
	result("own signal interrupts", notification_interrupts == 1);
	result("its bits were polled", shared->notified == 1);
	shared->notified = 0;
}

/* The low halves of all FP registers, or'ed. */
static uint64_t
fp_all(void)
{
	uint64_t all = 0, one;

#define ADD(n) __asm__ volatile(".arch_extension fp\n\tfmov %0, d" #n : "=r"(one)); all |= one
	ADD(0); ADD(1); ADD(2); ADD(3); ADD(4); ADD(5); ADD(6); ADD(7); ADD(8); ADD(9); ADD(10);
	ADD(11); ADD(12); ADD(13); ADD(14); ADD(15); ADD(16); ADD(17); ADD(18); ADD(19); ADD(20); ADD(21);
	ADD(22); ADD(23); ADD(24); ADD(25); ADD(26); ADD(27); ADD(28); ADD(29); ADD(30); ADD(31);
#undef ADD
	return all;
}

static void
fp_on(void)
{
	__asm__ volatile("msr cpacr_el1, %0; isb" : : "r"(3ul << 20));
}

static void
try_fp(void)
{
	uint64_t back;

	fp_on();
	result("FP registers show nothing of others", fp_all() == 0);
	__asm__ volatile(".arch_extension fp\n\tfmov d8, %1\n\tfmov %0, d8" : "=r"(back) : "r"(0x1111ul));
	result("FP register holds", back == 0x1111);
}

static uint64_t
fp_read(void)
{
	uint64_t value;

	__asm__ volatile(".arch_extension fp\n\tfmov %0, d8" : "=r"(value));
	return value;
}

/*
 * What these say is for programs of this EL1 alone: big-endian data; no DC ZVA, no
 * CTR_EL0, no cache maintenance, no WFE, no FP, no counter.
 */
static void
forbid_el0_everything(void)
{
	__asm__ volatile("msr sctlr_el1, %0; msr cpacr_el1, xzr; msr cntkctl_el1, xzr; isb" : :
		"r"(0x30d00800ul | 1ul << 24));	/* RES1 bits (D19.2.129), E0E */
}

/*
 * Sleep in WFI until init says go on.  Interrupts are masked from the look at
 * the command to the WFI, which a pending one ends all the same: one that was
 * taken in between would not come again.
 */
static void
wait_for(uint64_t command)
{
	while (shared->command != command) {
		wfi();
		interrupts_on();
		interrupts_off();
	}
}

void
el1_main(uint64_t arg, uint64_t arg2)
{
	__asm__ volatile("msr vbar_el1, %0; isb" : : "r"(el1_vectors));
	shared->state = EL1_STARTED;
	result("arguments arrive", arg == SHARED_VADDR && (arg2 == 7 || arg2 == 8));
	gic_init();
	poke_identification();
	poke_forbidden();
	poke_harmless();
	try_calls();
	try_timer();
	try_fp();
	if (arg2 == 8) {
		sysregs_sweep(&shared->sweep);
		fp_on();
	}
	forbid_el0_everything();
	shared->state = EL1_POKED;
	wait_for(EL1_WAITING);
	fp_on();
	result("FP register survived another thread's use", fp_read() == 0x1111);
	shared->state = EL1_SPINNING;
	interrupts_on();
	while (shared->command != EL1_DONE)
		;
	interrupts_off();
	result("no other exceptions", others == 0);
	shared->state = EL1_DONE;
	for (;;)
		wfi();
}

/* A VCPU that lives from timer interrupt to timer interrupt. */
void
el1_spin(uint64_t arg, uint64_t arg2)
{
	(void)arg2;
	__asm__ volatile("msr vbar_el1, %0; isb" : : "r"(el1_vectors));
	gic_init();
	interrupts_on();
	for (;;) {
		uint64_t seen = shared->beat[arg];

		timer_in(100000 + arg * 10000);
		while (READ("cntv_ctl_el0") != 0)
			wfi();
		shared->beat[arg] = seen + 1;
	}
}

/* One of two personalities that have nothing in common but a page. */
void
el1_marker(uint64_t compares, uint64_t unused)
{
	(void)unused;
	__asm__ volatile("msr vbar_el1, %0; isb" : : "r"(el1_vectors));
	shared->beat[5] = compares != 0 ? sysregs_compare(&shared->sweep) : sysregs_mark();
	shared->state = EL1_DONE;
	for (;;)
		wfi();
}
