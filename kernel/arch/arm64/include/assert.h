/* SPDX-License-Identifier: MIT */
/*
 * Assertions state what the kernel's own code guarantees; a debug kernel stops
 * when one does not hold, a release kernel does not ask.
 */
#ifndef ASSERT_H
#define ASSERT_H

#define static_assert _Static_assert

_Noreturn void assert_failed(const char *expression, const char *file, int line);

#ifdef NDEBUG
#define assert(expression) ((void)0)
#else
#define assert(expression) \
	((expression) ? (void)0 : assert_failed(#expression, __FILE__, __LINE__))
#endif

#endif
