/* SPDX-License-Identifier: MIT */
/*
 * How long each stage of the boot took: /proc/tessera/boot, a line each with the
 * stage's name and its nanoseconds.  The counter starts at power-on, so all stages
 * add up to it.
 */
#include <proto/world.h>
#include "fs.h"
#include "time.h"

enum { STAGE_FIRMWARE, STAGE_LOADER, STAGE_KERNEL, STAGE_BASE, STAGE_PERSONALITY, STAGES };

static const char *const names[STAGES] = { "firmware", "loader", "kernel", "base", "personality" };
static uint64_t ends[STAGES];		/* in ticks of the counter; 0: not known */

static uint64_t
nanoseconds(uint64_t ticks)
{
	uint64_t hz = clock_hz();

	return ticks / hz * 1000000000UL + ticks % hz * 1000000000UL / hz;
}

static long
show(struct seq *s, void *arg)
{
	uint64_t before = 0;

	(void)arg;
	for (unsigned i = 0; i < STAGES; i++) {
		uint64_t end = READ_ONCE(ends[i]);

		if (end < before)
			continue;
		seq_printf(s, "%s %lu\n", names[i], nanoseconds(end - before));
		before = end;
	}
	seq_printf(s, "programs %lu\n", nanoseconds(clock_ticks() - before));
	return 0;
}

void
boot_stages_init(const struct world_info *w)
{
	ends[STAGE_FIRMWARE] = w->boot_ticks;
	ends[STAGE_LOADER] = w->kernel_ticks;
	ends[STAGE_KERNEL] = w->init_ticks;
	ends[STAGE_BASE] = w->start_ticks;
	procfs_register("tessera/boot", show, NULL);
}

void
boot_stages_end(void)
{
	WRITE_ONCE(ends[STAGE_PERSONALITY], clock_ticks());
}
