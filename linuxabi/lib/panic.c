/* SPDX-License-Identifier: MIT */
/*
 * The end: say why, with the chain of callers, and stop the world in a way that
 * its supervisor sees: a touch of nothing, which is a fault of this component
 * (system.conf decides about a restart).
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
	static int entered;
	char text[256];
	va_list ap;

	irq_save();
	if (__atomic_exchange_n(&entered, 1, __ATOMIC_SEQ_CST) != 0)
		for (;;)
			arch_idle();
	va_start(ap, fmt);
	kvsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	log_emergency();
	klog(LOG_EMERG, "panic on CPU %u, task %d (%s): %s", cpu_id(), current->tid, current->comm, text);
	backtrace(__builtin_frame_address(0));
	log_emergency();
	/* Below the RAM init mapped nothing (proto/world.h): our thread faults, init decides. */
	for (;;)
		*(volatile uint32_t *)LINEAR_BASE = 0;
}
