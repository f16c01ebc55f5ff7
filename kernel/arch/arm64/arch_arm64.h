/* SPDX-License-Identifier: MIT */
/*
 * What the files of kernel/arch/arm64 share among themselves.
 */
#ifndef ARCH_ARM64_H
#define ARCH_ARM64_H

#include <kernel/arch.h>
#include <tessera/bootinfo.h>

#define ARCH_PAGE 4096UL

static inline uint32_t mmio_read32(uint64_t a) { uint32_t v; __asm__ volatile("ldr %w0, [%1]" : "=r"(v) : "r"(a) : "memory"); return v; }
static inline uint64_t mmio_read64(uint64_t a) { uint64_t v; __asm__ volatile("ldr %0, [%1]" : "=r"(v) : "r"(a) : "memory"); return v; }
static inline uint8_t mmio_read8(uint64_t a) { uint32_t v; __asm__ volatile("ldrb %w0, [%1]" : "=r"(v) : "r"(a) : "memory"); return (uint8_t)v; }
static inline void mmio_write32(uint64_t a, uint32_t v) { __asm__ volatile("str %w0, [%1]" : : "rZ"(v), "r"(a) : "memory"); }
static inline void mmio_write64(uint64_t a, uint64_t v) { __asm__ volatile("str %x0, [%1]" : : "rZ"(v), "r"(a) : "memory"); }
static inline void mmio_write8(uint64_t a, uint8_t v) { __asm__ volatile("strb %w0, [%1]" : : "rZ"(v), "r"(a) : "memory"); }

/* boot.c: a fatal error before there is a log. */
_Noreturn void boot_stop(const char *why);
uint64_t boot_with_mmu_off(struct bootinfo *boot);
_Noreturn void boot_main(struct bootinfo *boot);
_Noreturn void cpu_run(struct cpu *cpu, unsigned id);

/* kernel.ld */
extern char kernel_image[], text_end[], rodata_end[], kernel_image_end[];

/* uart.c */
void uart_init(const struct boot_uart *info);

/* cache.c */
void cache_init(void);
void cache_clean_invalidate(paddr_t pa, uint64_t size);
void dma_sync(const volatile void *start, uint64_t bytes, bool coherent);
void cache_make_executable(paddr_t pa, uint64_t size);
bool cache_needs_clean_for_exec(void);

/* mmu.c: memory that is the kernel's for good, cleared; only before core starts. */
uint64_t mmu_build(struct bootinfo *boot);
paddr_t mmu_reserve(uint64_t bytes, uint64_t align);

/* el2.c */
void el2_init(void);
void el2_init_stage2(void);
uint64_t el2_pa_range(void);

/* psci.c */
void psci_init(uint32_t boot_conduit);
int64_t psci_cpu_on(uint64_t mpidr, uint64_t entry, uint64_t context);
void psci_cpu_off(void);		/* returns only if it was refused */
bool psci_cpu_is_off(uint64_t mpidr);

/* gic.c */
void gic_init(const struct bootinfo *boot);
bool gic_cpu_init(struct arch_cpu *cpu);
void gic_cpu_silence(bool silent);	/* this CPU takes no interrupts (true), or does again */
void gic_kick(const struct arch_cpu *cpu);
void gic_vtimer_set_active(const struct arch_cpu *cpu, bool active);
enum { INTID_KICK = 0, INTID_SPI = 32, INTID_NONE = 1020 };	/* 1020 and above are special */
static inline bool intid_special(uint32_t intid) { return intid - INTID_NONE < 4; }
uint32_t gic_timer_intid(void);
uint32_t gic_vtimer_intid(void);
void gic_take_line(uint32_t intid);	/* an SPI is the kernel's own: edge, on the boot CPU */
void gic_raise_line(uint32_t intid);
uint32_t gic_lpi_bits(void);		/* interrupt id bits, 0: no LPIs */

/* its.c: LPIs are usable when all went well; then ITSs may be named. */
void its_init(const struct bootinfo *boot, unsigned cpus_found);
bool its_device_ok(uint32_t its, uint32_t device);
void its_device_map(struct io_device *d);
void its_device_unmap(struct io_device *d);
paddr_t its_doorbell(uint32_t its);
void its_lpi_enable(uint32_t intid, unsigned cpu);
void its_lpi_disable(uint32_t intid);
void its_lpi_mask(uint32_t intid);

/* smmu.c, iospace.c */
void smmu_init(const struct bootinfo *boot);
bool smmu_interrupt(uint32_t intid);	/* false: not an SMMU's */
bool smmu_tables_coherent(void);	/* all SMMUs see the caches */
void smmu_invalidate(const struct vspace *v, uint64_t iova, uint64_t entries, uint64_t entry_bytes);

/* smp.c */
extern uint64_t boot_root;		/* what secondary CPUs load into TTBR0_EL2 */
unsigned smp_start(const struct bootinfo *boot);
void smp_release(void);
void smp_cpu_leave(struct cpu *cpu);	/* off, if nothing needs it; else returns, with the lock */
_Noreturn void secondary_main(struct cpu *cpu);
void smp_cpu_prepare(struct cpu *cpu, unsigned id, uint64_t mpidr);

/* lock.c */
struct kernel_lock {
	_Alignas(64) uint32_t taken;	/* 0 or 1 */
};
extern struct kernel_lock kernel_lock_word;
void kernel_lock_init(unsigned count);
void kernel_lock_take(struct kernel_lock *lock);

static inline void
kernel_lock(const struct cpu *self)
{
	if (self->arch.lock_needed != 0)
		kernel_lock_take(&kernel_lock_word);
}

/* Release: what was done under the lock is seen by who takes it next. */
static inline void
kernel_unlock(const struct cpu *self)
{
	if (self->arch.lock_needed != 0)
		__atomic_store_n(&kernel_lock_word.taken, 0, __ATOMIC_RELEASE);
}

/* stage2.c */
void vspace_load(struct arch_vspace *v);

/* vcpu.c */
void vcpu_enter(struct cpu *cpu, struct thread *t);
void vcpu_leave(struct cpu *cpu);
void vcpu_evict(struct cpu *cpu);
void vcpu_timer_fired(struct cpu *cpu);
void vcpu_inject_undefined(struct thread *t);

/* fp.c, fp.S */
void fp_trap(struct cpu *cpu, struct thread *t);
void fp_off(struct cpu *cpu);
void fp_release(struct cpu *cpu, struct thread *t);
void fp_save(struct arch_fp *fp);
void fp_load(const struct arch_fp *fp);

/* trap.c: called by vectors.S, and by boot.c for the first time */
struct thread *trap_irq(void);
struct thread *trap_syscall(struct thread *t);
uintptr_t trap_sync(struct thread *t, uint64_t esr);
struct thread *trap_serror(struct thread *t, uint64_t esr);
struct thread *trap_finish(struct thread *t);
_Noreturn void cpu_enter_first(struct cpu *cpu);
_Noreturn void resume(struct thread *t);	/* vectors.S */

/* How long the instruction that trapped is: ESR_ELx.IL (a T32 one may have two bytes). */
static inline uint64_t
trapped_length(uint64_t esr)
{
	return (esr & ESR_IL) != 0 ? 4 : 2;
}

/* sysreg_trap.c */
bool sysreg_emulate(struct thread *t, uint64_t esr);

/* crash.c */
_Noreturn void crash_exception(uint64_t kind, const uint64_t *frame);

#endif
