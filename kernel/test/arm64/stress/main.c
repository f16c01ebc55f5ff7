/* SPDX-License-Identifier: MIT */
/*
 * Starts it all, runs the invariant checker meanwhile, says how far it is, and
 * judges.  The kernel's command line may say how much: operations=N seconds=N,
 * whichever is reached first; but not before what the test is about has happened.
 */
#include "stress.h"

#include <tessera/bootinfo.h>

enum {
	OPERATIONS_DEFAULT = 100000, SECONDS_DEFAULT = 25,
	SPACES_MIN = 300,		/* more than there are VMIDs */
	STEP_US = 200000,
	PATIENCE_S = 30,		/* without a single operation done */
};

static const char *const names[OPERATIONS] = {
	"call", "call_passive", "call_spinning", "signal", "poll", "wait", "nb_send",
	"derive", "revoke", "map", "unmap", "migrate", "victim", "kill", "suspend", "priority",
};

struct stress stress;

static uint64_t failed_steps, checks, violations;

uint64_t
in_us(uint64_t us)
{
	return now() + us * info->timer_hz / 1000000;
}

void
fail_step(const char *what, enum error e)
{
	if (e == OK)
		return;
	__atomic_fetch_add(&failed_steps, 1, __ATOMIC_RELAXED);
	say("error ");
	say_number(e);
	say(": ");
	say(what);
	say("\n");
}

const char *
operation_name(enum operation op)
{
	return names[op];
}

static uint64_t
number_after(const char *text, const char *key, uint64_t otherwise)
{
	for (; *text != '\0'; text++) {
		uint64_t value = 0;
		size_t n = 0;

		while (key[n] != '\0' && text[n] == key[n])
			n++;
		if (key[n] != '\0')
			continue;
		for (text += n; *text >= '0' && *text <= '9'; text++)
			value = value * 10 + (uint64_t)(*text - '0');
		return value;
	}
	return otherwise;
}

static uint64_t
operations_done(void)
{
	uint64_t sum = 0;

	for (unsigned i = 0; i < stress.cpus; i++)
		for (unsigned op = 0; op < OPERATIONS; op++)
			sum += stress.done[i][op];
	return sum;
}

static uint64_t
done_of(enum operation op)
{
	uint64_t sum = 0;

	for (unsigned i = 0; i < stress.cpus; i++)
		sum += stress.done[i][op];
	return sum;
}

static uint64_t
sum_of(const volatile uint64_t *of)
{
	uint64_t sum = 0;

	for (unsigned i = 0; i < stress.cpus; i++)
		sum += of[i];
	return sum;
}

static void
figure(const char *name, uint64_t value)
{
	say("stress ");
	say(name);
	say(" ");
	say_number(value);
	say("\n");
}

static void
run_checker(void)
{
	uint64_t found = 0;

	if (info->debug_kernel == 0)
		return;
	must("checker", system_control_check(INIT_SLOT_SYSTEM_CONTROL, &checks, &found));
	violations += found;
}

static void
make_shared_objects(void)
{
	uint32_t note;

	for (unsigned i = 0; i < 4; i++) {
		note = make(OBJ_NOTIFICATION, 0);
		stress.notification[i] = make_badged(note, 1UL << i);
	}
	stress.source[0] = make(OBJ_FRAME, 12);
	stress.source[1] = make(OBJ_FRAME, 21);
	stress.source[2] = make(OBJ_SCHED_CONTEXT, 0);	/* no Endpoint: frame_map would be a call to nobody */
	stress.source[3] = make(OBJ_NOTIFICATION, 0);
	stress.space[0] = make(OBJ_VSPACE, 15);
	stress.space[1] = make(OBJ_VSPACE, 18);
}

/* What a worker is in, how much time it had, and the call that it says. */
static void
say_where(unsigned i)
{
	const struct ipc_buffer *buffer = (const struct ipc_buffer *)INIT_IPC_VADDR;
	uint64_t ticks = 0, stolen = 0;

	say(names[stress.doing[i]]);
	if (stress.ended >> i & 1)
		return say(", ended\n");
	for (uint32_t n = 0; n < stress.scheds; n++) {
		sched_context_consumed(stress.sched[n], &ticks, &stolen);
		say(" ");
		say_number(ticks * 1000 / info->timer_hz);
	}
	thread_suspend(stress.worker[i]);
	if (thread_read_registers(stress.worker[i]) == OK) {
		for (unsigned r = 0; r < 10; r++) {
			say(" ");
			say_number(buffer->words[r]);
		}
		say(" pc ");
		say_number(buffer->words[REG_PC]);
	}
	say("\n");
}

static bool
say_who_is_stuck(void)
{
	for (unsigned i = 0; i < stress.cpus; i++)
		say_where(i);
	return false;
}

static bool
all_has_happened(void)
{
	return done_of(OP_VICTIM) > SPACES_MIN && sum_of(stress.aborted) > 0 && shootdown_counts()->rounds > 3;
}

/* Everybody works; false: no operation was done for a minute. */
static bool
watch(uint64_t end)
{
	uint32_t nothing = make(OBJ_NOTIFICATION, 0);
	uint64_t last = 0, since = now(), bits, said = now();

	while (stress.ended != (1UL << stress.cpus) - 1) {
		uint64_t done = operations_done();

		sys_wait(nothing, in_us(STEP_US), &bits);
		run_checker();
		power_switch();
		if (now() > end && all_has_happened())
			stress.stop = 1;
		if (done != last)
			since = now();
		else if (now() - since > (uint64_t)PATIENCE_S * info->timer_hz)
			return say_who_is_stuck();
		last = done;
		if (now() - said > 5UL * info->timer_hz) {
			figure("operations so far", done);
			said = now();
		}
	}
	return true;
}

static void
report(uint64_t start)
{
	struct shootdown *shot = shootdown_counts();
	uint64_t entries = 0, switches = 0;

	for (unsigned op = 0; op < OPERATIONS; op++)
		figure(names[op], done_of(op));
	system_control_bench(INIT_SLOT_SYSTEM_CONTROL, 1, &entries);
	system_control_bench(INIT_SLOT_SYSTEM_CONTROL, 2, &switches);
	figure("operations", operations_done());
	figure("milliseconds", (now() - start) * 1000 / info->timer_hz);
	figure("kernel_entries", entries);
	figure("switches", switches);
	figure("aborted_calls", sum_of(stress.aborted));
	figure("shootdown_rounds", shot->rounds);
	figure("shootdown_faults", shot->faults);
	figure("shootdown_reads", shot->reads);
	figure("checker_truths", checks);
	check("every operation ended as it may", sum_of(stress.wrong) == 0 && failed_steps == 0);
	check("VMIDs ran out", done_of(OP_VICTIM) > SPACES_MIN);
	check("lent time ran out", sum_of(stress.aborted) > 0);
	check("readers faulted every time", shot->rounds > 0 && shot->stuck == 0 &&
		shot->faults >= shot->rounds * stress.cpus);
	check("a page that was taken away is never read again", shot->poisoned == 0);
}

void
test_main(void)
{
	const struct bootinfo *boot = (const struct bootinfo *)INIT_BOOTINFO_VADDR;
	uint64_t start, seconds;
	uint32_t spare = 0;

	stress.cpus = info->cpu_count < CPUS_MAX ? info->cpu_count : CPUS_MAX;
	if (stress.cpus > 1 && number_after(boot->cmdline, "spare=", 0) != 0)
		spare = --stress.cpus;
	stress.target = number_after(boot->cmdline, "operations=", OPERATIONS_DEFAULT);
	seconds = number_after(boot->cmdline, "seconds=", SECONDS_DEFAULT);
	figure("cpus", stress.cpus);
	make_shared_objects();
	servers_start();
	victims_init();
	shootdown_start();
	power_start(spare);
	start = now();
	workers_start();
	check("nobody is stuck", watch(start + seconds * info->timer_hz));
	run_checker();
	report(start);
	if (spare != 0) {
		figure("cpu_stops", power_rounds());
		check("a CPU stopped and started", power_rounds() > 3);
	}
	if (info->debug_kernel != 0)
		check("the invariant checker found nothing", violations == 0);
	say_stretches("stress");
	finish();
}
