/* SPDX-License-Identifier: MIT */
/*
 * The driver's own memory that its device reaches (system.conf `dma`, window 0):
 * queues, descriptors, small buffers.  Handed out once at start, zeroed, never given back.
 */
#ifndef DRIVER_DMA_H
#define DRIVER_DMA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct dma_region {
	uint8_t *cpu;		/* where the component sees it */
	uint64_t io;		/* where the device sees it */
	size_t size, used;
	bool coherent;		/* the device sees the caches */
};

/* A piece, aligned to a power of two; NULL: there is no room.  *io: the device's address. */
void *dma_alloc(struct dma_region *r, size_t bytes, size_t align, uint64_t *io);

/* The driver wrote a range, the device is to read it / the device wrote it, the driver is
 * to read it.  Nothing on coherent machines. */
void dma_push(const struct dma_region *r, const void *start, size_t bytes);
void dma_pull(const struct dma_region *r, const void *start, size_t bytes);

/* Order accesses to memory that the device shares: what was read before a flag's value from
 * what is read after; what was written before a doorbell from the doorbell.  (DDI 0487 B2.3.12:
 * outer shareable, for the observer is a device.) */
static inline void
dma_rmb(void)
{
#ifdef __aarch64__
	__asm__ volatile("dmb oshld" ::: "memory");
#else
	__atomic_thread_fence(__ATOMIC_ACQUIRE);
#endif
}

static inline void
dma_wmb(void)
{
#ifdef __aarch64__
	__asm__ volatile("dmb oshst" ::: "memory");
#else
	__atomic_thread_fence(__ATOMIC_RELEASE);
#endif
}

static inline void
dma_mb(void)
{
#ifdef __aarch64__
	__asm__ volatile("dmb osh" ::: "memory");
#else
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
#endif
}

#endif
