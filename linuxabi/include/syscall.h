/* SPDX-License-Identifier: MIT */
/*
 * System calls.  One table (linuxabi/syscall/table.def: number, name, argument
 * count), one function each, named sys_<name>, in the folder of its subject,
 * with the arguments as 64-bit words; a function narrows what it takes:
 *
 *	long sys_dup3(uint64_t oldfd, uint64_t newfd, uint64_t flags)
 *
 * declared through the table (syscall/table.def is included with SYSCALL defined),
 * so a missing function is a link error.  A call that is not in the table returns
 * -ENOSYS and is logged once per number with the program's name.  Fewer than six
 * parameters may be declared: extra registers are ignored (AAPCS64).
 */
#ifndef LX_SYSCALL_H
#define LX_SYSCALL_H

#include "types.h"

#define SYSCALL(nr, name, argc) SYSCALL_DECL_##argc(name)
#define SYSCALL_DECL_0(name) long sys_##name(void);
#define SYSCALL_DECL_1(name) long sys_##name(uint64_t);
#define SYSCALL_DECL_2(name) long sys_##name(uint64_t, uint64_t);
#define SYSCALL_DECL_3(name) long sys_##name(uint64_t, uint64_t, uint64_t);
#define SYSCALL_DECL_4(name) long sys_##name(uint64_t, uint64_t, uint64_t, uint64_t);
#define SYSCALL_DECL_5(name) long sys_##name(uint64_t, uint64_t, uint64_t, uint64_t, uint64_t);
#define SYSCALL_DECL_6(name) long sys_##name(uint64_t, uint64_t, uint64_t, uint64_t, uint64_t, uint64_t);
#include "../syscall/table.def"
#undef SYSCALL

#endif
