/* SPDX-License-Identifier: MIT */
/*
 * The component that kills others, in turn and at irregular times, to see that
 * the system does not mind.  What it may kill are its `allow kill` lines in
 * system.conf; it rings those bells of init and holds nothing else.
 *
 * args: COUNT AFTER_MS MIN_MS MAX_MS [always]
 * Without `always` it ends at once, unless the boot slot's command line has the
 * word `chaos`: one bundle serves the tests that want it and those that do not.
 * Words of the command line `chaos-NAME` choose among what it may kill, `chaos-NUMBER`
 * is another COUNT.  `chaos-slow` makes the times between kills ten times as long, and
 * AFTER three times; `chaos-late` makes only AFTER so.
 * Its last line, "chaos: N kills", is what the boot test waits for.
 */
#include <tessera/runtime.h>
#include <tessera/string.h>

enum { ARG_COUNT, ARG_AFTER, ARG_MIN, ARG_MAX, ARGS };

static void
read_args(const char *text, uint32_t values[ARGS])
{
	for (unsigned i = 0; i < ARGS && *text != '\0'; i++) {
		uint32_t v = 0;

		for (; *text >= '0' && *text <= '9'; text++)
			v = v * 10 + (uint32_t)(*text - '0');
		values[i] = v;
		while (*text != '\0' && (*text < '0' || *text > '9'))
			text++;
	}
}

/* xorshift64*: irregular is enough */
static uint32_t
next_random(uint64_t *state)
{
	*state ^= *state >> 12;
	*state ^= *state << 25;
	*state ^= *state >> 27;
	return (uint32_t)(*state * 0x2545f4914f6cdd1dULL >> 32);
}

/* The victims: those that the command line names, or all. */
static unsigned
choose(const struct component_info *info, uint32_t victims[COMPONENT_MAX_AUTHORITIES])
{
	unsigned named = 0;

	for (unsigned i = 0; i < info->authority_count; i++) {
		char word[40];

		format(word, sizeof word, "chaos-%s", info->authority[i].name + strlen("kill "));
		if (cmdline_option(word))
			victims[named++] = info->authority[i].slot;
	}
	for (unsigned i = 0; named == 0 && i < info->authority_count; i++)
		victims[i] = info->authority[i].slot;
	return named != 0 ? named : info->authority_count;
}

/* `chaos-NUMBER` on the command line, or what args say. */
static uint32_t
count_of(const struct component_info *info, uint32_t count)
{
	static const char word[] = "chaos-";

	for (const char *p = info->cmdline; *p != '\0'; p++) {
		uint32_t n = 0;

		if (strncmp(p, word, sizeof word - 1) != 0)
			continue;
		for (p += sizeof word - 1; *p >= '0' && *p <= '9'; p++)
			n = n * 10 + (uint32_t)(*p - '0');
		if (n != 0)
			return n;
		if (*p == '\0')
			break;
	}
	return count;
}

static void
sleep_ms(uint32_t ms)
{
	uint64_t end = time_ticks() + time_ticks_of_ns((uint64_t)ms * 1000000);

	while (time_ticks() < end)
		bell_wait(end);
}

int
component_main(const struct component_info *info)
{
	uint32_t args[ARGS] = { 20, 2000, 20, 400 };
	uint32_t victims[COMPONENT_MAX_AUTHORITIES];
	uint64_t random = info->random | 1;
	unsigned victim_count;
	uint32_t killed;

	if (!component_option("always") && !cmdline_option("chaos"))
		return 0;
	read_args(info->args, args);
	args[ARG_COUNT] = count_of(info, args[ARG_COUNT]);
	if (cmdline_option("chaos-slow") || cmdline_option("chaos-late"))
		args[ARG_AFTER] *= 3;
	for (unsigned i = ARG_MIN; cmdline_option("chaos-slow") && i < ARGS; i++)
		args[i] *= 10;
	victim_count = choose(info, victims);
	if (victim_count == 0 || args[ARG_MAX] < args[ARG_MIN]) {
		log_line(LOG_WARNING "chaos: nothing to kill, or odd args");
		return 1;
	}
	sleep_ms(args[ARG_AFTER]);
	for (killed = 0; killed < args[ARG_COUNT]; killed++) {
		bell_ring(victims[killed % victim_count]);
		sleep_ms(args[ARG_MIN] + next_random(&random) % (args[ARG_MAX] - args[ARG_MIN] + 1));
	}
	log_line("chaos: %u kills", killed);
	return 0;
}
