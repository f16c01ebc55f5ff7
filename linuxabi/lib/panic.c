/* SPDX-License-Identifier: MIT */
/*
 * The end: say why, with the chain of callers, and stop the world in a way that
 * its supervisor sees (arch_stop_world; system.conf decides about a restart).
 */
#include "log.h"
#include "page.h"
#include "task.h"

enum { FRAMES = 24 };
extern char image_start[], text_end[];

static void
backtrace(const uint64_t *frame)
{
	for (unsigned i = 0; i < FRAMES; i++) {
		uint64_t a = (uint64_t)frame, pc;

		if ((a & 7) != 0 || a < LINEAR_BASE + (1UL << 30) || a >= LINEAR_BASE + (1UL << 40))
			return;
		pc = frame[1];
		if (pc < (uint64_t)image_start || pc >= (uint64_t)text_end)
			return;
		klog(LOG_EMERG, "  from %016lx", pc);
		if (frame[0] <= a)
			return;
		frame = (const uint64_t *)frame[0];
	}
}

void
panic(const char *fmt, ...)
{
	static unsigned entered;	/* CPU + 1 */
	unsigned first = 0;
	char text[256];
	va_list ap;

	irq_save();
	/* A second panic of the same CPU is one of this function itself. */
	if (!__atomic_compare_exchange_n(&entered, &first, cpu_id() + 1, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST)) {
		if (first == cpu_id() + 1)
			arch_stop_world();
		for (;;)
			arch_idle();
	}
	va_start(ap, fmt);
	kvsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	log_emergency();
	klog(LOG_EMERG, "panic on CPU %u, task %d (%s): %s", cpu_id(), current->tid, current->comm, text);
	backtrace(__builtin_frame_address(0));
	log_emergency();
	arch_stop_world();
}
