/* SPDX-License-Identifier: MIT */
/*
 * The driver's memory for its device, and what caches need on machines where devices do not
 * see them.
 */
#include <driver/dma.h>

void *
dma_alloc(struct dma_region *r, size_t bytes, size_t align, uint64_t *io)
{
	/* The device's address is what has to be aligned; init aligns both alike to 4 KiB. */
	size_t at = (r->used + align - 1) & ~(align - 1);

	if (at > r->size || bytes > r->size - at || ((r->io | (uintptr_t)r->cpu) & (align - 1)) != 0)
		return NULL;
	r->used = at + bytes;
	*io = r->io + at;
	return r->cpu + at;
}

#ifdef __aarch64__

/* CTR_EL0.DminLine (DDI 0487 D19.2.34). */
static uintptr_t
line_bytes(void)
{
	uint64_t ctr;

	__asm__("mrs %0, ctr_el0" : "=r"(ctr));
	return (uintptr_t)4 << (ctr >> 16 & 15);
}

/* Clean and invalidate serves both ways: EL0 has no invalidate alone, and a line the
 * driver did not write is clean. */
static void
sync_lines(const void *start, size_t bytes)
{
	uintptr_t line = line_bytes();
	uintptr_t at = (uintptr_t)start & ~(line - 1), end = (uintptr_t)start + bytes;

	for (; at < end; at += line)
		__asm__ volatile("dc civac, %0" :: "r"(at) : "memory");
	__asm__ volatile("dsb sy" ::: "memory");
}

#else

/* On the build host models are coherent. */
static void
sync_lines(const void *start, size_t bytes)
{
	(void)start;
	(void)bytes;
}

#endif

void
dma_push(const struct dma_region *r, const void *start, size_t bytes)
{
	if (!r->coherent)
		sync_lines(start, bytes);
}

void
dma_pull(const struct dma_region *r, const void *start, size_t bytes)
{
	if (!r->coherent)
		sync_lines(start, bytes);
}
