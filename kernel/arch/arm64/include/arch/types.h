/* SPDX-License-Identifier: MIT */
/*
 * What arm64 keeps inside the kernel's objects: floating-point state, EL1
 * state of a VCPU, the root of an address space, a CPU's own data.  kernel/core
 * embeds these by value and never looks inside.
 *
 * struct regs, which opens struct thread, is saved by vectors.S.  Invariant:
 * x[9]..x[17] are 0 in memory while a thread is in user mode and while it is
 * stopped in a system call; exits rely on it to clear those registers, and
 * zero the words again after they have loaded others.
 */
#ifndef ARCH_TYPES_H
#define ARCH_TYPES_H

#include <stdbool.h>
#include <stdint.h>
#include <tessera/bench.h>

enum { ARCH_MAX_CPUS = 16 };	/* BOOT_MAX_CPUS */

struct thread;
struct cpu;

struct arch_fp {
	_Alignas(16) uint64_t v[64];
	uint64_t fpcr;
	uint64_t fpsr;
};

/* EL1 registers of a personality thread, as far as they are not in hardware. */
struct arch_vcpu {
	struct cpu *loaded;	/* CPU that holds the EL1 state; NULL: memory does */
	uint32_t notified;	/* VIRQ_NOTIFICATION becomes pending at the next entry */
	uint64_t sctlr, cpacr, cntkctl, tpidrro;	/* exchanged when a component runs */
	uint64_t ttbr0, ttbr1, tcr, mair, amair, vbar, contextidr;
	uint64_t esr, far, afsr0, afsr1, par, csselr;
	uint64_t tpidr_el1, sp_el1, elr, spsr;
	uint64_t cntv_ctl, cntv_cval;
	uint64_t ich_vmcr, ich_ap1r0, ich_lr[2];
};

/*
 * A stage-2 space: the root, and table pages from the object's own memory.
 * vttbr is 0 until a VMID is given and after it was taken away.
 */
struct arch_vspace {
	uint64_t vttbr;
	uint64_t *root;
	uint64_t *free_list;		/* table pages given back, linked through word 0 */
	uint64_t pool_next, pool_end;	/* table pages never used yet */
	uint32_t tables, tables_free;	/* pages, the root apart */
	struct arch_vcpu *last_vcpu[ARCH_MAX_CPUS];	/* whose TLB entries a CPU may hold */
	uint32_t doorbell;		/* of an IOSpace: number of its ITS + 1; 0: not mapped */
};

/* A device's context descriptor, which the SMMU reads, and its interrupt
 * translation table, which is the ITS's own: 32 entries of at most 16 bytes. */
struct arch_io_device {
	_Alignas(64) uint64_t cd[8];
	_Alignas(256) uint8_t itt[512];
	uint8_t cpu[32];		/* where each event goes */
};

struct arch_thread {
	uint64_t tpidr;			/* TPIDR_EL0; right behind regs.pstate */
	uint64_t tpidrro;		/* TPIDRRO_EL0 of a component: its IPC buffer */
	uint32_t owns_fp;		/* some CPU holds fp in its registers */
	struct arch_fp fp;
};

/* A CPU's own data; TPIDR_EL2 points to the struct cpu around it. */
struct arch_cpu {
	uint64_t stack_top;
	uint64_t crash_stack_top;
	struct arch_vspace *vspace;	/* in VTTBR_EL2; NULL: the empty one */
	struct arch_vcpu *active_vcpu;	/* the EL1 registers act for it; NULL: components' values */
	struct arch_vcpu *loaded_vcpu;	/* whose EL1 state is in the registers */
	struct thread *loaded_thread;	/* the thread of loaded_vcpu */
	struct thread *fp_owner;	/* whose FP state is in the registers */
	uint32_t fp_on;			/* CPTR_EL2.TFP is clear */
	uint32_t lock_needed;		/* there are other CPUs */
	uint32_t started;		/* set by the CPU itself */
	uint64_t mpidr;
	uint64_t sgi_target;		/* ICC_SGI1R_EL1 value that reaches it */
	uint64_t gicr;			/* its redistributor */
	uint64_t entry_ticks;		/* debug: when this kernel entry began */
	uint64_t longest_ticks[ENTRY_KINDS];	/* debug: longest stretch so far, of each kind */
	uint32_t entry_kind;		/* debug: enum entry_kind, or an object's type */
};

#endif
