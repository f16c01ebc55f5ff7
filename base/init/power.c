/* SPDX-License-Identifier: MIT */
/*
 * The end of the machine's run: everything said so far reaches the line, then
 * the kernel is asked for power off or reset.
 */
#include "init.h"

static const uint64_t DRAIN_LIMIT_NS = 2000000000;	/* for a console that does not answer */
static const uint64_t DRAIN_STEP_NS = 2000000;
static const uint64_t FIFO_NS = 20000000;		/* what the UART itself still holds */

/* Let others run for a while: whoever calls is refused, since a Reply in use would end every further wait. */
static void
pause_for(uint64_t ns)
{
	uint64_t end = time_ticks() + time_ticks_of_ns(ns);
	struct msg m = { 0 };

	while (time_ticks() < end)
		sys_recv(tessera.fault_endpoint, &m, 0, end);
}

_Noreturn void
power_down(bool reset, const char *who)
{
	uint64_t end;

	say("%s for %s", reset ? "reset" : "power off", who);
	end = time_ticks() + time_ticks_of_ns(DRAIN_LIMIT_NS);
	do
		pause_for(DRAIN_STEP_NS);
	while (!channels_drained() && time_ticks() < end);
	pause_for(FIFO_NS);
	if (reset)
		system_control_reset(INIT_SLOT_SYSTEM_CONTROL);
	else
		system_control_power_off(INIT_SLOT_SYSTEM_CONTROL);
	stop("the firmware did not do it");
}
