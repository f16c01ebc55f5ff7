/* SPDX-License-Identifier: MIT */
/*
 * The inlines of kernel/arch.h for the build host, and the machine's controls
 * that tests use.  "Physical" memory is one buffer; its addresses differ from
 * kernel addresses, so that confusing them shows.
 */
#ifndef ARCH_ARCH_H
#define ARCH_ARCH_H

#include <stdbool.h>
#include <stdint.h>

enum { HOST_RAM_BYTES = 16 << 20 };
#define HOST_RAM_BASE 0x40000000ull

extern char *host_ram;
extern struct cpu *host_cpu;		/* the CPU that is in the kernel */
extern uint64_t host_now;
extern int host_preempt;		/* preemption points until an interrupt comes; -1: never */
extern unsigned host_resets, host_power_offs;
extern bool host_firmware_refuses;	/* to switch a CPU off or on */
extern bool host_quiet;
extern bool host_fast;			/* fast paths are tried first, as arm64 does */
extern uint64_t host_word0;

static inline struct cpu *
cpu_self(void)
{
	return host_cpu;
}

static inline uint64_t
arch_now(void)
{
	return host_now;
}

static inline bool
arch_interrupt_pending(void)
{
	if (host_preempt < 0)
		return false;
	if (host_preempt == 0)
		return true;
	host_preempt--;
	return false;
}

static inline void *
phys_to_kernel(uint64_t base)
{
	return host_ram + (base - HOST_RAM_BASE);
}

static inline uint64_t
kernel_to_phys(const void *p)
{
	return (uint64_t)((const char *)p - host_ram) + HOST_RAM_BASE;
}

static inline bool
kernel_lock_held(void)
{
	return true;
}

static inline uint64_t
fastpath_word0(void)
{
	return host_word0;
}

/* ---- the machine, for tests ------------------------------------------------- */

struct thread;

/* Power on with that many CPUs: init is ready to run on CPU 0. */
void host_boot(unsigned cpus_wanted);
/* One kernel entry of the thread that runs on a CPU; false: it idles. */
bool host_syscall(unsigned cpu, uint64_t number);
void host_fault(unsigned cpu, uint32_t label, uint64_t address);
void host_wfi(unsigned cpu);
void host_interrupt(unsigned cpu, uint32_t intid);
/* A device's access: the physical address it reaches; 0: it faults, and if the
 * SMMU reports that, the kernel is told.  And its message. */
uint64_t host_dma(uint32_t smmu, uint32_t stream, uint64_t iova, bool write);
void host_message(uint32_t its, uint32_t device, uint32_t event);
enum { HOST_SMMUS = 2, HOST_STREAMS = 16, HOST_DOORBELL = 0x08090000 };
/* Time passes; timers that are due fire, CPUs that were kicked enter. */
void host_advance(uint64_t ticks);
void host_settle(void);

static inline bool
arch_vspace_range_ok(uint64_t vaddr, uint64_t bytes)
{
	return vaddr >= 4096 && bytes <= 1ull << 39 && vaddr <= (1ull << 39) - bytes;
}

#endif
