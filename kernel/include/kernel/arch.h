/* SPDX-License-Identifier: MIT */
/*
 * The seam between kernel/core and kernel/arch/<arch>.
 *
 * Everything here runs with interrupts masked and under the one kernel lock,
 * which the entry code of arch takes after saving the registers of the
 * interrupted thread into thread->regs and releases before it goes back.  An
 * operation that has to wait for another CPU is restarted until that CPU has
 * had its turn; so after a call that sets t->restarted, arch leaves the lock
 * free long enough for a CPU that waits for it.
 *
 * An entry, as arch runs it:
 *	save registers; lock; cpu->entries++;
 *	kernel_syscall(t), kernel_interrupt(intid), kernel_timer(), kernel_kick(),
 *	kernel_fault(...) or kernel_wfi(t);
 *	t = schedule();		(what runs now: NULL = idle)
 *	load t's spaces if they are not loaded; unlock; eret or wfi
 *
 * When schedule() returns NULL, arch loads an empty translation (no stage 2 of
 * anybody: speculation must not walk tables that are being freed), unlocks and
 * waits for interrupts.
 */
#ifndef KERNEL_ARCH_H
#define KERNEL_ARCH_H

#include <kernel/thread.h>
#include <arch/arch.h>		/* the inlines of the section below */

/* ---- inlines that <arch/arch.h> defines ------------------------------- */
/*
 * struct cpu *cpu_self(void);
 * uint64_t arch_now(void);			ticks of CNTPCT_EL0
 * bool arch_interrupt_pending(void);		on this CPU (ISR_EL1)
 * void *phys_to_kernel(paddr_t);
 * paddr_t kernel_to_phys(const void *);
 * bool arch_vspace_range_ok(uint64_t vaddr, uint64_t bytes);	inside the 39 bits, page 0 not
 * bool kernel_lock_held(void);			for assertions
 */

/* ---- core -> arch ----------------------------------------------------- */

/* Program this CPU's timer (CNTHP); NEVER switches it off. */
void arch_timer_set(uint64_t deadline_ticks);

/* Make another CPU enter the kernel (an SGI); it then calls kernel_kick(). */
void arch_kick_cpu(unsigned cpu);

/* Zero memory and clean and invalidate it to the point of coherency.  At most
 * CLEAR_CHUNK bytes a call. */
enum { CLEAR_CHUNK = 16384 };
void arch_clear_memory(paddr_t base, uint64_t bytes);

/*
 * Threads.  init: a zeroed thread, never run.  start: registers for a first
 * run; all others become 0 (EL0t for a component; EL1h with the MMU off and
 * interrupts masked for a VCPU thread: the reset state of its EL1 too).
 * get/set: the 35 words of abi.h.  release: on the CPU where the thread ran
 * last: write whatever of it is still in the hardware (FP, EL1 and list
 * registers) back to memory, forget it as owner; afterwards any CPU may run it
 * or its memory may go.  spaces_changed: vspace, ipc buffer address changed.
 */
void arch_thread_init(struct thread *t);
void arch_thread_start(struct thread *t, uint64_t pc, uint64_t sp,
	uint64_t x0, uint64_t x1, uint64_t x2, uint64_t tpidr);
void arch_thread_get_registers(const struct thread *t, uint64_t words[REGS_WORDS]);
void arch_thread_set_ipc_vaddr(struct thread *t, uint64_t vaddr);
bool arch_thread_is_live(const struct thread *t, unsigned cpu);	/* does cpu's hardware hold state of it? */
void arch_thread_release(struct thread *t);

/*
 * VCPU.  raise: VIRQ_NOTIFICATION becomes pending; if the VCPU is loaded on
 * this CPU its list registers must show it at the next eret; core kicks the
 * other CPU when it is running there.  pending: would an unmasked interrupt be
 * taken, the timer included (WFI then does not wait).
 */
void arch_vcpu_init(struct vcpu *v);
void arch_vcpu_raise(struct vcpu *v);
bool arch_vcpu_pending(struct vcpu *v);

/*
 * Address spaces.  The object's memory is 2^size_bits bytes: struct vspace in
 * the first page, the root table in the second, the rest is the pool of table
 * pages.  All of it is zero when init is called.
 *
 * map: from vaddr on, as many of `pages` as one bounded step does (a block, or
 * some entries of one table), at least 1; *done says how many.  On error
 * nothing of this step was changed: ERR_MAPPED (something is there),
 * ERR_NO_MEMORY (no table page left), ERR_RANGE.
 * unmap: the same from the end of the range; what comes back is how many of
 * `pages` are still mapped.  When it returns no CPU's TLB knows the others.
 * The same vaddr, pages and paddr as at map; only its first part may be mapped.
 * disable: no CPU walks or caches anything of it any more, whatever is still
 * mapped (bounded: clear the root, TLBI the whole VMID, give the VMID back).
 * Executable mappings are cleaned to the point of unification by map.
 */
void arch_vspace_init(struct vspace *v);
enum error arch_vspace_map(struct vspace *v, uint64_t vaddr, paddr_t base, uint64_t pages,
	unsigned rights, unsigned attribute, uint64_t *done);
uint64_t arch_vspace_unmap(struct vspace *v, uint64_t vaddr, uint64_t pages, unsigned attribute);
void arch_vspace_disable(struct vspace *v);
void arch_vspace_tables(const struct vspace *v, uint64_t *tables, uint64_t *tables_free);
/* For the checker: is this page mapped, to what, how? */
bool arch_vspace_lookup(struct vspace *v, uint64_t vaddr, paddr_t *base, unsigned *rights);

/*
 * Address spaces of devices (OBJ_IO_SPACE), as above: map and unmap leave no
 * SMMU that knows an older translation, and no DMA in flight by it.  doorbell:
 * map the ITS's doorbell at IO_DOORBELL_IOVA, for good; ERR_NO_MEMORY, or
 * ERR_BUSY if that of another ITS is there.  pages: how many pages can be
 * reached, the doorbell apart (for the checker).
 */
void arch_io_space_init(struct vspace *v);
enum error arch_io_space_map(struct vspace *v, uint64_t iova, paddr_t base, uint64_t pages,
	unsigned rights, uint64_t *done);
uint64_t arch_io_space_unmap(struct vspace *v, uint64_t iova, uint64_t pages);
enum error arch_io_space_doorbell(struct vspace *v, uint32_t its);
bool arch_io_space_lookup(struct vspace *v, uint64_t iova, paddr_t *base, unsigned *rights);
uint64_t arch_io_space_pages(struct vspace *v);

/*
 * Devices.  assign: d has its number, stream and DeviceID; from now on its DMA
 * is refused.  ERR_RANGE: no such SMMU, stream, ITS or DeviceID; ERR_LIMIT: no
 * table left for the stream.  release: forget the device; its memory may go.
 * bind: it sees d->space; unbind: nothing again, and when it returns no DMA is
 * in flight.  quiet: its faults are not reported (true), or again (false).
 * stream_root: the root table that a stream translates by, 0: it aborts.
 */
enum error arch_io_device_assign(struct io_device *d);
void arch_io_device_release(struct io_device *d);
void arch_io_device_bind(struct io_device *d);
void arch_io_device_unbind(struct io_device *d);
void arch_io_device_quiet(struct io_device *d, bool quiet);
paddr_t arch_io_stream_root(uint32_t smmu, uint32_t stream);
void arch_io_poll(void);			/* look for faults now */

/* Message interrupts: event n of d becomes LPI lpi, disabled; and is forgotten. */
void arch_lpi_map(struct io_device *d, uint32_t event, uint32_t lpi);
void arch_lpi_unmap(struct io_device *d, uint32_t event);
uint64_t arch_doorbell_offset(void);		/* of the word to write, in the doorbell's page */

/*
 * Interrupts: lines, and LPIs from LPI_FIRST on.  When an enabled line fires,
 * arch masks it, ends it at the GIC and calls kernel_interrupt(); ack lets it
 * come again.  LPIs are edges: they come again without it.
 */
enum { IRQ_LINES = 1020 };
bool arch_irq_usable(uint32_t intid);		/* exists, an SPI, not the kernel's own */
void arch_irq_configure(uint32_t intid, bool edge);
void arch_irq_enable(uint32_t intid, unsigned cpu);	/* route there and unmask */
void arch_irq_disable(uint32_t intid);
void arch_irq_ack(uint32_t intid);
void arch_irq_mask(uint32_t intid);		/* an LPI stays pending until it is enabled */

/* CPUs, by the firmware.  start: false if it refuses; the CPU comes to
 * kernel_cpu_online().  is_off: all that the kernel asked of it is done. */
bool arch_cpu_start(unsigned cpu);
bool arch_cpu_is_off(unsigned cpu);

/* Console until a driver takes it; power; figures for system_control_bench. */
void arch_console_write(const char *text, size_t bytes);
void arch_power_off(void);
void arch_reset(void);
uint64_t arch_bench(unsigned what);
_Noreturn void arch_halt(void);			/* after a panic: all CPUs stop */

/* Physical ranges that are the kernel's or its hardware's (GIC, SMMU, its own
 * image): never part of an Untyped.  false: no more. */
bool arch_reserved_range(unsigned n, paddr_t *base, uint64_t *bytes);

/* ---- arch -> core ----------------------------------------------------- */

struct bootinfo;

/* On the boot CPU, with GIC and timer working, before other CPUs run: makes
 * Untypeds and init.  cpu_count CPUs are going to run. */
void kernel_start(const struct bootinfo *info, unsigned cpus_found);
/* On every CPU, the first included, once it is ready to run threads. */
void kernel_cpu_online(struct cpu *cpu, unsigned id);
/* This CPU idles, is CPU_STOPPING, and holds no thread's state any more.  True:
 * nothing of it is needed, so it goes off (if it cannot, it sets stop_refused and
 * is online again).  False: it stays on, or was kicked and asks again after that. */
bool kernel_cpu_leaves(struct cpu *cpu);

/* t is the running thread: cpu_self()->current. */
void kernel_syscall(struct thread *t);
/* Memory fault: LABEL_FAULT_MEMORY; others: LABEL_FAULT_EXCEPTION. */
void kernel_fault(struct thread *t, uint32_t label, uint64_t address, uint64_t esr);
/* WFI or WFE trapped from a VCPU thread; pc already points behind it. */
void kernel_wfi(struct thread *t);
/* The virtual timer of t's VCPU fired on the CPU that holds the VCPU. */
void kernel_vcpu_timer(struct thread *t);
/* t's VCPU is no longer in a CPU's hardware; its virtual timer fires at the
 * deadline (NEVER: it is off), but nobody watches it there. */
void kernel_vcpu_moved(struct thread *t, uint64_t deadline);
void kernel_yield(struct thread *t);
/* A line of a driver, masked and ended. */
void kernel_interrupt(uint32_t intid);
/* The SMMU refused an access of that stream; kind is its event number. */
void kernel_io_fault(uint32_t smmu, uint32_t stream, uint32_t kind, uint64_t address, bool write);
/* This CPU's timer fired. */
void kernel_timer(void);
/* Another CPU kicked us. */
void kernel_kick(void);

/* Which thread this CPU runs now; NULL: idle. */
struct thread *schedule(void);

/* What arch may use of core. */
void log_write(const char *text, size_t bytes);
void log_text(const char *text);
void log_hex(uint64_t value);
_Noreturn void panic(const char *why);

#endif
