/* SPDX-License-Identifier: MIT */
/*
 * What the rest of the personality knows of AArch64.  Owner: linuxabi/arch/arm64;
 * the host build (unit tests) has linuxabi/arch/host.
 */
#ifndef LX_ARCH_H
#define LX_ARCH_H

#include "types.h"

struct task;
struct mm;

/* User registers at an exception from EL0, at the top of the kernel stack. */
struct regs {
	uint64_t x[31];
	uint64_t sp;
	uint64_t pc;
	uint64_t pstate;
	uint64_t orig_x0;		/* of a system call, for restarts */
	int64_t syscall;		/* number, or -1: not a system call */
};

struct arch_context {			/* callee-saved, AAPCS64 */
	uint64_t x19_x30[12];
	uint64_t sp;
};

struct arch_fp {
	__uint128_t v[32];
	uint32_t fpsr, fpcr;
	uint32_t cpu;			/* whose registers hold it; ~0: none */
	uint32_t used;
};

#ifdef __aarch64__
static inline struct task *
arch_current(void)
{
	struct task *t;

	__asm__("mrs %0, tpidr_el1" : "=r"(t));
	return t;
}
#else
struct task *arch_current(void);	/* unit tests on the build host */
#endif

/* System call arguments: x0..x5, number x8, result x0. */
static inline uint64_t regs_arg(const struct regs *r, unsigned n) { return r->x[n]; }
static inline void regs_set_result(struct regs *r, long v) { r->x[0] = (uint64_t)v; }

struct task *arch_switch(struct task *prev, struct task *next);	/* returns prev, on next's stack */
void arch_task_init(struct task *, void (*fn)(void *), void *arg);	/* first switch runs fn(arg) */
void arch_task_init_fork(struct task *child, const struct regs *parent);	/* first switch returns to EL0 with x0 = 0 */
void arch_return_to_user(void) __attribute__((noreturn));	/* with current->regs: exec, first init */
void arch_tls_set(uint64_t);		/* current's TPIDR_EL0: exec */
void arch_fp_save(struct task *);	/* task->fp is up to date afterwards; any task that is not running, or current */
void arch_fp_reload(struct task *);	/* task->fp was changed (sigreturn, ptrace) */
void arch_fp_clear(struct task *);	/* exec */
void arch_fp_fork(struct task *child);	/* copy current's */

void arch_cpu_relax(void);		/* YIELD; after many, yields the VCPU to the kernel */
void arch_kick_cpu(unsigned cpu);	/* notification interrupt there */
void arch_idle(void);			/* WFI with interrupts masked; returns when one is pending */
void arch_timer_program(uint64_t ticks_absolute);	/* virtual timer compare; UINT64_MAX: off */
void arch_stop_world(void) __attribute__((noreturn));	/* panic: a fault that the supervisor sees */
void arch_power_off(void) __attribute__((noreturn));
void arch_reset(void) __attribute__((noreturn));
void arch_report_health(void);		/* to init: this slot works */
void arch_dump_regs(const struct regs *);
uint64_t arch_hwcap(void);
uint64_t arch_hwcap2(void);

/*
 * Stage-1 user page tables (TTBR0, 4 KiB granule, 48 bits, 4 levels).
 * mm->lock is held.  Every function flushes what it must before it returns;
 * tables are freed with pgtable_free_range/destroy.
 */
enum {
	PTE_READ = 1, PTE_WRITE = 2, PTE_EXEC = 4,
	PTE_COW = 8,		/* software: write fault must copy */
	PTE_DIRTY = 16, PTE_YOUNG = 32, PTE_SPECIAL = 64 /* no struct page behind it */,
	PTE_NONE = 128,		/* PROT_NONE: the page is kept, hardware sees an invalid entry */
};
struct pte {
	ipa_t page;
	unsigned flags;		/* 0: not present */
};
struct mm;
int pgtable_create(struct mm *);				/* -ENOMEM */
void pgtable_destroy(struct mm *);				/* all tables; leaves must be gone */
struct pte pgtable_get(struct mm *, uaddr_t);
int pgtable_set(struct mm *, uaddr_t, struct pte);	/* any state to any state, with break-before-make and TLBI as needed */
/* fault-around: sets those of `count` (<= 64) entries from addr on that have flags and whose place
 * is empty; bit i of the result: entry i was set.  mm/fill.c has a slow one (weak). */
uint64_t pgtable_fill(struct mm *, uaddr_t, unsigned count, const struct pte *);
struct pte pgtable_clear(struct mm *, uaddr_t);		/* returns what was there; flushed */
/* Calls fn for each present entry in [start, end), which it may change (the new
 * value is what it leaves); one flush for all at the end.  present flags 0 clears. */
void pgtable_walk(struct mm *, uaddr_t start, uaddr_t end,
    void (*fn)(void *arg, uaddr_t, struct pte *), void *arg);
/* fork: share all private pages copy on write.  For each present entry in the
 * range calls fn(arg, addr, &entry) which may change the parent's entry and
 * returns the flags for the child's (0: none). */
int pgtable_copy(struct mm *child, struct mm *parent, uaddr_t start, uaddr_t end,
    unsigned (*fn)(void *arg, uaddr_t, struct pte *), void *arg);
/* The same for what fork and the end of a program do to every page, counting what they met.
 * fork: a private range is shared read-only, with a reference each.  zap: one user at most. */
struct pgtable_counts {
	uint64_t anon, file;
};
int pgtable_fork(struct mm *child, struct mm *parent, uaddr_t start, uaddr_t end, struct pgtable_counts *);
void pgtable_zap(struct mm *, uaddr_t start, uaddr_t end, struct pgtable_counts *);
void arch_sync_icache(void *virt, size_t len);
void arch_tlb_flush_mm(struct mm *);

#endif
