/* SPDX-License-Identifier: MIT */
/*
 * Doorbells: waiting for the own Notification, raising a peer's.
 */
#include <tessera/runtime.h>
#include <tessera/stubs.h>

uint64_t
bell_wait(uint64_t deadline_ticks)
{
	uint64_t bits = 0;

	if (sys_wait(COMPONENT_SLOT_BELL, deadline_ticks, &bits) != OK)
		return 0;
	return bits;
}

void
bell_ring(uint32_t slot)
{
	(void)sys_signal(slot);
}
