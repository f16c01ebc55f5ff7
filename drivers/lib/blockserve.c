/* SPDX-License-Identifier: MIT */
/*
 * The event loop of a block driver.
 */
#include <driver/block.h>
#include <tessera/runtime.h>

enum { STATISTICS_MS = 10000 };

static uint64_t
earlier(uint64_t a, uint64_t b)
{
	if (a == 0 || b == 0)
		return a | b;
	return a < b ? a : b;
}

static uint64_t
served(const struct block_server *s)
{
	const struct block_statistics *t = &s->statistics;

	return t->reads + t->writes + t->flushes + t->others + t->errors;
}

int
block_serve(struct block_server *s)
{
	bool say = component_option("stats");
	uint64_t said = 0, next = 0, bits;

	for (;;) {
		s->op->poll(s->device);
		if (block_server_move(s) || !block_server_rest(s) || !s->op->rest(s->device))
			continue;
		if (say && served(s) != said && time_ticks() >= next) {
			block_server_say(s);
			said = served(s);
			next = time_ticks() + time_ticks_of_ns(STATISTICS_MS * 1000000ULL);
		}
		bits = bell_wait(earlier(s->op->deadline(s->device), say && served(s) != said ? next : 0));
		if (bits & COMPONENT_BIT_PEER)
			block_server_peer_changed(s);
		s->op->interrupt(s->device, bits);
	}
}
