/* SPDX-License-Identifier: MIT */
/*
 * A CPU beside those of the workers, which stops and starts while they work:
 * a lodger goes there, counts, and comes back before it stops.
 */
#include "stress.h"

static uint32_t spare;			/* the CPU; 0: there is none */
static struct thread_made lodger;
static volatile uint64_t count;
static uint64_t rounds, seen;

static void
lodge(uint64_t unused, uint64_t unused2)
{
	(void)unused;
	(void)unused2;
	for (;;)
		count++;
}

/* A tenth of a CPU: on the boot CPU it must not be in the way. */
static enum error
move(unsigned cpu)
{
	return sched_control_configure(INIT_SLOT_SCHED_CONTROL, lodger.sched_context, cpu, info->timer_hz / 1000,
		info->timer_hz / 100);
}

void
power_start(uint32_t cpu)
{
	spare = cpu;
	if (spare == 0)
		return;
	lodger = thread_new(&(struct thread_plan){ .vspace = INIT_SLOT_VSPACE, .entry = lodge,
		.priority = PRIORITY_WORKER });
	must("lodger's time", move(0));
}

/* Once off or on; each time it was on, the lodger has counted there. */
void
power_switch(void)
{
	static bool on = true;

	if (spare == 0)
		return;
	if (on) {
		if (seen != 0 && count == seen)
			return;			/* it has had no turn yet */
		fail_step("the lodger leaves", move(0));
		fail_step("stop a CPU", system_control_cpu_stop(INIT_SLOT_SYSTEM_CONTROL, spare));
		rounds++;
	} else {
		fail_step("start a CPU", system_control_cpu_start(INIT_SLOT_SYSTEM_CONTROL, spare));
		seen = count;
		fail_step("the lodger goes there", move(spare));
	}
	on = !on;
}

uint64_t
power_rounds(void)
{
	return rounds;
}
