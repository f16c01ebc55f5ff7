/* SPDX-License-Identifier: MIT */
/*
 * The code of spinlocks, included by sync.h alone.  On the target, interrupts are
 * masked inline, and so are tickets taken; a debug build calls lock_debug.c,
 * which checks their order, and tests on the build host bring their own.
 */
#ifndef LX_SPINLOCK_H
#define LX_SPINLOCK_H

void arch_cpu_relax(void);

#if defined(__aarch64__) && !defined(HOST_TEST)
static inline uint64_t
irq_save(void)			/* mask interrupts, return the former DAIF */
{
	uint64_t flags;

	__asm__ volatile("mrs %0, daif\n\tmsr daifset, #2" : "=r"(flags) : : "memory");
	return flags;
}

static inline void
irq_restore(uint64_t flags)
{
	__asm__ volatile("msr daif, %0" : : "r"(flags) : "memory");
}
#else
uint64_t irq_save(void);
void irq_restore(uint64_t flags);
#endif

#if defined(__aarch64__) && !defined(HOST_TEST) && !defined(DEBUG)
static inline void
spin_init(spinlock_t *l, unsigned rank)
{
	*l = (spinlock_t)SPINLOCK_INIT(rank);
}

static inline void
spin_lock(spinlock_t *l)
{
	uint32_t ticket = __atomic_fetch_add(&l->next, 1, __ATOMIC_RELAXED);

	while (unlikely(__atomic_load_n(&l->owner, __ATOMIC_ACQUIRE) != ticket))
		arch_cpu_relax();
}

static inline bool
spin_trylock(spinlock_t *l)
{
	uint32_t owner = __atomic_load_n(&l->owner, __ATOMIC_RELAXED);

	return __atomic_compare_exchange_n(&l->next, &owner, owner + 1, false, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED);
}

static inline void
spin_unlock(spinlock_t *l)
{
	__atomic_store_n(&l->owner, l->owner + 1, __ATOMIC_RELEASE);
}

static inline uint64_t
spin_lock_irqsave(spinlock_t *l)
{
	uint64_t flags = irq_save();

	spin_lock(l);
	return flags;
}

static inline void
spin_unlock_irqrestore(spinlock_t *l, uint64_t flags)
{
	spin_unlock(l);
	irq_restore(flags);
}

static inline void spin_none_held(void) { }
#else
void spin_init(spinlock_t *, unsigned rank);
void spin_lock(spinlock_t *);
bool spin_trylock(spinlock_t *);
void spin_unlock(spinlock_t *);
uint64_t spin_lock_irqsave(spinlock_t *);
void spin_unlock_irqrestore(spinlock_t *, uint64_t flags);
void spin_none_held(void);	/* debug: who is about to sleep may hold none */
#endif

#endif
