/* SPDX-License-Identifier: MIT */
/*
 * Basic types of the personality.  Linux's numbers and structures come from the
 * kernel's own UAPI headers (<linux/…>, <asm/…> of the linux-headers port);
 * no libc header is ever included.
 */
#ifndef LX_TYPES_H
#define LX_TYPES_H

#include <stdbool.h>
#include <stdint.h>
#include <stddef.h>
#include <stdarg.h>

typedef int64_t loff_t;
typedef int64_t ssize_t;
typedef uint64_t uaddr_t;	/* an address in user space, never dereferenced */
typedef uint64_t ipa_t;		/* "physical" as EL1 sees it: intermediate physical */

enum { PAGE_SHIFT = 12, PAGE_SIZE = 1 << PAGE_SHIFT };
#define PAGE_MASK	(~(uint64_t)(PAGE_SIZE - 1))
#define PAGE_UP(x)	(((uint64_t)(x) + PAGE_SIZE - 1) & PAGE_MASK)
#define PAGE_DOWN(x)	((uint64_t)(x) & PAGE_MASK)

#define ARRAY_LEN(a)	(sizeof(a) / sizeof((a)[0]))
#define container_of(p, type, member) \
	((type *)(void *)((char *)(p) - offsetof(type, member)))
/* Numbered, so that one can stand inside another. */
#define min(a, b)	least_of_(a, b, <, __COUNTER__)
#define max(a, b)	least_of_(a, b, >, __COUNTER__)
#define least_of_(a, b, op, n)	least_of_n_(a, b, op, n)
#define least_of_n_(a, b, op, n) ({ __auto_type a_##n = (a); __typeof__(a_##n) b_##n = (__typeof__(a_##n))(b); \
	a_##n op b_##n ? a_##n : b_##n; })
#define likely(x)	__builtin_expect(!!(x), 1)
#define unlikely(x)	__builtin_expect(!!(x), 0)
#define READ_ONCE(x)	(*(const volatile __typeof__(x) *)&(x))
#define WRITE_ONCE(x, v) (*(volatile __typeof__(x) *)&(x) = (v))

/* Pointers that may carry a negative errno (the last page of the address space). */
static inline void *ERR_PTR(long e) { return (void *)e; }
static inline long PTR_ERR(const void *p) { return (long)p; }
static inline bool IS_ERR(const void *p) { return (uint64_t)p >= (uint64_t)-4095L; }

#endif
