/* SPDX-License-Identifier: MIT */
/*
 * musl's system-call layer, pointed at the native runtime: the numbers and
 * conventions are Linux's, the calls are a function (base/libc/syscall.c).
 * Stands in place of musl's own file of this name; there is no vDSO.
 */
#define __SYSCALL_LL_E(x) (x)
#define __SYSCALL_LL_O(x) (x)

long __tessera_syscall(long n, long a, long b, long c, long d, long e, long f);

static inline long
__syscall0(long n)
{
	return __tessera_syscall(n, 0, 0, 0, 0, 0, 0);
}

static inline long
__syscall1(long n, long a)
{
	return __tessera_syscall(n, a, 0, 0, 0, 0, 0);
}

static inline long
__syscall2(long n, long a, long b)
{
	return __tessera_syscall(n, a, b, 0, 0, 0, 0);
}

static inline long
__syscall3(long n, long a, long b, long c)
{
	return __tessera_syscall(n, a, b, c, 0, 0, 0);
}

static inline long
__syscall4(long n, long a, long b, long c, long d)
{
	return __tessera_syscall(n, a, b, c, d, 0, 0);
}

static inline long
__syscall5(long n, long a, long b, long c, long d, long e)
{
	return __tessera_syscall(n, a, b, c, d, e, 0);
}

static inline long
__syscall6(long n, long a, long b, long c, long d, long e, long f)
{
	return __tessera_syscall(n, a, b, c, d, e, f);
}

#define IPC_64 0
