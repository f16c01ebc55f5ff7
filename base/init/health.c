/* SPDX-License-Identifier: MIT */
/*
 * The trial of a slot has an end.  A world with `health TIME` has to say within
 * that time of init's start that the system works; if it does not, because it
 * hangs or nobody in it gets that far, the machine is reset, and the loader takes
 * the other slot.  Without a trial nobody is waited for.
 */
#include <tessera/runtime.h>

#include "init.h"

static bool healthy[CONF_MAX_COMPONENTS];

static uint64_t
due_ns(const struct component *c)
{
	return time_ns_of_ticks(tessera.start_ticks) + c->conf->health_ns;
}

static bool
is_awaited(const struct component *c)
{
	return c->conf->health_ns != 0 && !healthy[c->index];
}

void
health_reported(const struct component *c)
{
	if (tessera.boot->trial != 0 && is_awaited(c))
		say("%s: the slot on trial works", c->conf->name);
	healthy[c->index] = true;
}

uint64_t
health_look(void)
{
	uint64_t now = time_ns_of_ticks(time_ticks()), next = UINT64_MAX;

	if (tessera.boot->trial == 0)
		return 0;
	for (unsigned i = 0; i < tessera.conf.component_count; i++) {
		const struct component *c = &tessera.component[i];

		if (!is_awaited(c))
			continue;
		if (due_ns(c) <= now) {
			say(LOG_WARNING "%s did not say within %llu s that it works, and this slot was on trial: "
			    "the other one is used", c->conf->name, (unsigned long long)(c->conf->health_ns / 1000000000));
			power_down(true, "the other slot");
		}
		if (due_ns(c) < next)
			next = due_ns(c);
	}
	return next == UINT64_MAX ? 0 : time_ticks_of_ns(next) + 1;
}
