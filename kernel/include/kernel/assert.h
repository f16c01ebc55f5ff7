/* SPDX-License-Identifier: MIT */
/*
 * assert() for what our own code guarantees: on in debug builds only.
 */
#ifndef KERNEL_ASSERT_H
#define KERNEL_ASSERT_H

#define static_assert _Static_assert

_Noreturn void assert_failed(const char *what, const char *file, unsigned line);

#ifdef NDEBUG
#define assert(e) ((void)0)
#else
#define assert(e) ((e) ? (void)0 : assert_failed(#e, __FILE__, __LINE__))
#endif

#endif
