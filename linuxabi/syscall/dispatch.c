/* SPDX-License-Identifier: MIT */
/*
 * The table of system calls, which vectors.S indexes, and what happens to a call
 * that is not in it: ENOSYS, logged once for each number with the program's name.
 * Calls are counted on each CPU; /proc/tessera/syscalls adds them up.
 */
#include "asm.h"
#include "fs.h"
#include "syscall.h"
#include "task.h"

typedef long (*syscall_fn)(void);

long syscall_unknown(uint64_t number);
static long syscall_missing(void);
void syscall_init(void);

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Woverride-init"
#define SYSCALL(nr, name, argc) [nr] = (syscall_fn)(void (*)(void))sys_##name,
const syscall_fn syscall_table[SYSCALLS] = {
	[0 ... SYSCALLS - 1] = syscall_missing,
#include "table.def"
};
#undef SYSCALL
#pragma GCC diagnostic pop

#define SYSCALL(nr, name, argc) { nr, #name },
static const struct { unsigned number; const char *name; } names[] = {
#include "table.def"
};
#undef SYSCALL

uint64_t syscall_counts[MAX_CPUS][SYSCALLS];
static uint64_t reported[SYSCALLS / 64];

_Static_assert(SYSCALLS * sizeof(uint64_t) == 1 << SYSCALLS_SHIFT, "vectors.S");

long
syscall_unknown(uint64_t number)
{
	uint64_t bit = 1UL << (number % 64);

	/* Numbers beyond the table share the last bit. */
	if (number >= SYSCALLS)
		number = SYSCALLS - 1;
	if ((__atomic_fetch_or(&reported[number / 64], bit, __ATOMIC_RELAXED) & bit) == 0)
		klog(LOG_INFO, "%s (%d): system call %ld is not there: ENOSYS", current->comm, current->tid,
		    current->regs->syscall);
	return -ENOSYS;
}

static long
syscall_missing(void)
{
	return syscall_unknown((uint64_t)current->regs->syscall);
}

static long
show_counts(struct seq *s, void *arg)
{
	(void)arg;
	for (unsigned i = 0; i < ARRAY_LEN(names); i++) {
		uint64_t n = 0;

		for (unsigned cpu = 0; cpu < cpu_count(); cpu++)
			n += READ_ONCE(syscall_counts[cpu][names[i].number]);
		if (n != 0)
			seq_printf(s, "%s %lu\n", names[i].name, n);
	}
	return 0;
}

void
syscall_init(void)
{
	procfs_register("tessera/syscalls", show_counts, NULL);
}
