/* SPDX-License-Identifier: MIT */
/*
 * User memory.  Every access is range-checked against TASK_SIZE and has a
 * fix-up; a page that is not there is brought in (may block: no spinlock may be
 * held), a bad address gives -EFAULT.  What is checked is copied first.
 * Owner: linuxabi/arch (single values by LDTR/STTR, bulk by LDP/STP).
 */
#ifndef LX_UACCESS_H
#define LX_UACCESS_H

#include "kernel.h"

static inline bool user_range_ok(uaddr_t a, size_t n) { return a <= (1UL << 48) && n <= (1UL << 48) - a; }

/* 0 or -EFAULT; on failure an unknown prefix was copied. */
long copy_from_user(void *dst, uaddr_t src, size_t n);
long copy_to_user(uaddr_t dst, const void *src, size_t n);
long clear_user(uaddr_t dst, size_t n);
/* Bytes that could NOT be copied (for short reads and writes). */
size_t copy_from_user_partial(void *dst, uaddr_t src, size_t n);
size_t copy_to_user_partial(uaddr_t dst, const void *src, size_t n);
/* Length without NUL; -EFAULT; -ENAMETOOLONG if there is no NUL in size bytes. */
long strncpy_from_user(char *dst, uaddr_t src, size_t size);
long get_user_u8(uint8_t *, uaddr_t);
long get_user_u32(uint32_t *, uaddr_t);
long get_user_u64(uint64_t *, uaddr_t);
long put_user_u8(uaddr_t, uint8_t);
long put_user_u32(uaddr_t, uint32_t);
long put_user_u64(uaddr_t, uint64_t);
/* Atomics for futexes; -EFAULT if the page is not present right now or not
 * writable: the caller brings it in with mm_fault and tries again.  Do not block. */
long user_cmpxchg_u32(uaddr_t, uint32_t expected, uint32_t desired, uint32_t *old);
long user_load_u32_nofault(uint32_t *, uaddr_t);

/* A scatter list of user or kernel memory that read and write move through. */
struct iov {
	uint64_t base;
	uint64_t len;
};
enum { UIO_MAXIOV_ = 1024 };
struct uio {
	const struct iov *iov;		/* current element */
	unsigned count;			/* elements left */
	size_t offset;			/* in the current element */
	size_t resid;			/* bytes left in all */
	bool kernel;			/* bases are kernel addresses */
	struct iov single;		/* storage for the common one-buffer case */
	uint32_t rwf;			/* RWF_* of preadv2 and pwritev2; fs sets it */
};
void uio_user(struct uio *, uaddr_t base, size_t len);
void uio_kernel(struct uio *, void *base, size_t len);
/* Copies an iovec from user space into iov[] (caller's array of `max`); -EINVAL, -EFAULT. */
long uio_user_vec(struct uio *, uaddr_t vec, unsigned count, struct iov *iov, unsigned max);
/* Move up to n bytes and advance; returns the bytes moved, less than
 * min(n, resid) only at a bad address. */
size_t uio_put(struct uio *, const void *src, size_t n);	/* kernel -> uio (read) */
size_t uio_get(struct uio *, void *dst, size_t n);		/* uio -> kernel (write) */
size_t uio_zero(struct uio *, size_t n);

#endif
