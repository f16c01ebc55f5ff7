/* SPDX-License-Identifier: MIT */
/*
 * A neighbour on each CPU: a client that does a piece of work every millisecond,
 * and its server in another address space.  Each keeps a page of data and looks
 * whether it is whole.  An attacker may call the server as well.
 */
#include "hostile.h"

enum { PERIOD_US = 1000, WORDS = 512, LABEL_WORK = 7 };
enum { BADGE_CLIENT = 1, BADGE_ATTACKER = 2 };

/* One in each address space. */
static uint64_t data[WORDS] __attribute__((aligned(4096)));

static uint32_t endpoints[CPUS_MAX];
static uint64_t period;			/* ticks; the address spaces are copied with it */

static uint64_t
pattern(uint64_t cpu, uint64_t round, uint64_t i)
{
	return (cpu << 56 | round << 16 | i) * 0x9e3779b97f4a7c15UL;
}

static void
write_data(uint64_t cpu, uint64_t round)
{
	for (uint64_t i = 0; i < WORDS; i++)
		data[i] = pattern(cpu, round, i);
}

static bool
data_is_whole(uint64_t cpu, uint64_t round)
{
	for (uint64_t i = 0; i < WORDS; i++)
		if (data[i] != pattern(cpu, round, i))
			return false;
	return true;
}

/* Whatever a message says, the answer is its words plus one; only the client's count as work. */
static void
server(uint64_t cpu, uint64_t endpoint_reply)
{
	uint32_t endpoint = (uint32_t)endpoint_reply, reply = (uint32_t)(endpoint_reply >> 32);
	struct neighbour *n = &neighbours[cpu];
	struct msg m = { 0 };
	uint64_t served = 0;
	enum error e;

	write_data(cpu, 0);
	e = sys_recv(endpoint, &m, reply, 0);
	for (;;) {
		if (e != OK && e != ERR_TRUNCATED)
			n->wrong++;
		if (m.badge == BADGE_CLIENT) {
			if (!data_is_whole(cpu, served))
				n->wrong++;
			write_data(cpu, ++served);
		} else {
			n->strange++;
		}
		for (int i = 0; i < 6; i++)
			m.words[i]++;
		m.info = MSG_INFO(LABEL_WORK, 6, 0);
		e = sys_reply_recv(endpoint, &m, reply, 0);
	}
}

static void
work(struct neighbour *n, uint32_t endpoint, uint64_t cpu)
{
	uint64_t round = n->rounds;
	struct msg m = { .info = MSG_INFO(LABEL_WORK, 6, 0), .words = { round, 1, 2, 3, 4, 5 } };

	if (!data_is_whole(cpu, round))
		n->wrong++;
	if (sys_call(endpoint, &m, 0) != OK || m.info != MSG_INFO(LABEL_WORK, 6, 0) || m.words[0] != round + 1 ||
	    m.words[5] != 6)
		n->wrong++;
	write_data(cpu, round + 1);
	n->rounds = round + 1;
}

static void
client(uint64_t cpu, uint64_t endpoint_bell)
{
	struct neighbour *n = &neighbours[cpu];
	uint64_t due = now(), bits;

	write_data(cpu, 0);
	for (;;) {
		due += period;
		sys_wait((uint32_t)(endpoint_bell >> 32), due, &bits);
		work(n, (uint32_t)endpoint_bell, cpu);
		if (now() - due > n->longest)
			n->longest = now() - due;
		if (now() > due + period)	/* late on a loaded host: not for ever after */
			due = now();
	}
}

void
neighbours_start(unsigned cpus)
{
	period = info->timer_hz / 1000000 * PERIOD_US;
	for (unsigned i = 0; i < cpus; i++) {
		uint64_t bell = make(OBJ_NOTIFICATION, 0), reply = make(OBJ_REPLY, 0);
		uint32_t endpoint = make(OBJ_ENDPOINT, 0);

		endpoints[i] = make_badged(endpoint, BADGE_ATTACKER);
		thread_new(&(struct thread_plan){ .vspace = space_new(false), .entry = server, .arg = i,
			.arg2 = endpoint | reply << 32, .priority = PRIORITY_NEIGHBOUR, .cpu = i });
		thread_new(&(struct thread_plan){ .vspace = space_new(false), .entry = client, .arg = i,
			.arg2 = make_badged(endpoint, BADGE_CLIENT) | bell << 32, .priority = PRIORITY_NEIGHBOUR,
			.cpu = i });
	}
}

uint32_t
neighbour_endpoint(unsigned cpu)
{
	return endpoints[cpu];
}
