/* SPDX-License-Identifier: MIT */
/*
 * CPUs that stop and start again (PSCI CPU_OFF and CPU_ON), with threads that
 * had state in their registers: FP registers, a personality with its timer, a
 * deadline; and translations that were taken away while the CPU was off.
 */
#include "rules.h"

enum { PRIORITY_LOW = 100, ROUNDS = 20 };
enum { BEAT_LODGER, BEAT_VCPU, BEAT_SLEEPER, BEAT_ODD, BEAT_SEEN };	/* of shared->beat */

static uint32_t last;			/* the CPU that is switched */
static struct thread_made lodger, vcpu, sleeper;

/* Its FP registers are its own, and so is what it reads. */
static void
lodge(uint64_t unused, uint64_t unused2)
{
	(void)unused;
	(void)unused2;
	__asm__ volatile(".arch_extension fp\n\t.arch_extension simd\n\tmovi v9.16b, #0x5a" : : : "memory");
	for (;;) {
		uint64_t kept;

		__asm__ volatile(".arch_extension fp\n\tfmov %0, d9" : "=r"(kept) : : "memory");
		if (kept != 0x5a5a5a5a5a5a5a5aUL)
			shared->beat[BEAT_ODD]++;
		shared->beat[BEAT_SEEN] = *(volatile uint64_t *)CODE_VADDR;
		shared->beat[BEAT_LODGER]++;
	}
}

/* Wakes by deadlines alone. */
static void
sleep_and_beat(uint64_t nothing, uint64_t ticks)
{
	uint64_t bits;

	for (;;) {
		sys_wait((uint32_t)nothing, now() + ticks, &bits);
		shared->beat[BEAT_SLEEPER]++;
	}
}

static enum error
move(const struct thread_made *t, unsigned cpu)
{
	uint64_t slice = info->timer_hz / 100;

	return sched_control_configure(INIT_SLOT_SCHED_CONTROL, t->sched_context, cpu, slice, slice);
}

static bool
all_move(unsigned cpu)
{
	return move(&lodger, cpu) == OK && move(&vcpu, cpu) == OK && move(&sleeper, cpu) == OK;
}

static bool
all_go_on(void)
{
	return grows(&shared->beat[BEAT_LODGER], shared->beat[BEAT_LODGER]) &&
		grows(&shared->beat[BEAT_VCPU], shared->beat[BEAT_VCPU]) &&
		grows(&shared->beat[BEAT_SLEEPER], shared->beat[BEAT_SLEEPER]);
}

static void
make_threads(uint32_t space)
{
	lodger = thread_new(&(struct thread_plan){ .vspace = space, .entry = lodge, .priority = PRIORITY_LOW });
	sleeper = thread_new(&(struct thread_plan){ .vspace = space, .entry = sleep_and_beat,
		.arg = make(OBJ_NOTIFICATION, 0), .arg2 = info->timer_hz / 50, .priority = PRIORITY_LOW + 1 });
	vcpu = thread_new(&(struct thread_plan){ .vspace = space_new(true), .entry = el1_spin,
		.arg = BEAT_VCPU, .priority = PRIORITY_LOW, .vcpu = true });
}

/* The page that the lodger sees is another one, while its CPU is off. */
static void
change_page(uint32_t space, uint32_t *there, uint32_t *other)
{
	uint32_t was = *there;

	must("unmap", frame_unmap(was));
	map_frame(*other, space, CODE_VADDR, RIGHT_READ);
	*there = *other;
	*other = was;
}

/* There and back; what went wrong, or NULL. */
static const char *
round_trip(uint32_t space, uint32_t frame[2], uint64_t value[2])
{
	uint64_t swap = value[0];

	if (system_control_cpu_start(INIT_SLOT_SYSTEM_CONTROL, last) != OK)
		return "cpu_start";
	if (!all_move(last) || !all_go_on())
		return "threads on the CPU";
	if (!becomes(&shared->beat[BEAT_SEEN], value[0], PATIENCE_MS))
		return "an old translation";
	if (system_control_cpu_stop(INIT_SLOT_SYSTEM_CONTROL, last) != ERR_BUSY)
		return "cpu_stop of a CPU that is needed";
	if (!all_move(0) || system_control_cpu_stop(INIT_SLOT_SYSTEM_CONTROL, last) != OK)
		return "cpu_stop";
	if (move(&lodger, last) != ERR_STATE)
		return "time on a CPU that is off";
	if (!all_go_on())
		return "threads that came back";
	change_page(space, &frame[0], &frame[1]);
	value[0] = value[1];
	value[1] = swap;
	return NULL;
}

/* Before any other test has time on the last CPU. */
void
test_cpu_power(void)
{
	uint32_t space = space_new(false), frame[2] = { make(OBJ_FRAME, 12), make(OBJ_FRAME, 12) };
	uint64_t value[2] = { 0x1111, 0x2222 };
	const char *wrong = NULL;
	unsigned rounds = 0;

	for (unsigned i = 0; i < 2; i++) {
		uint32_t here = copy(frame[i]);

		*(volatile uint64_t *)map_here(here, 12) = value[i];
	}
	map_frame(frame[0], space, CODE_VADDR, RIGHT_READ);
	for (unsigned i = 0; i <= BEAT_SEEN; i++)
		shared->beat[i] = 0;
	last = info->cpu_count - 1;
	check("the boot CPU does not stop", system_control_cpu_stop(INIT_SLOT_SYSTEM_CONTROL, 0) == ERR_BUSY);
	check("nor one that is not there",
		system_control_cpu_stop(INIT_SLOT_SYSTEM_CONTROL, info->cpu_count) == ERR_RANGE &&
		system_control_cpu_start(INIT_SLOT_SYSTEM_CONTROL, info->cpu_count) == ERR_RANGE);
	check("one that runs is started", system_control_cpu_start(INIT_SLOT_SYSTEM_CONTROL, last) == OK);
	if (last == 0)
		return;
	make_threads(space);
	while (rounds < ROUNDS && (wrong = round_trip(space, frame, value)) == NULL)
		rounds++;
	if (wrong != NULL) {
		say("in round ");
		say_number(rounds);
		say(": ");
		say(wrong);
		say("\n");
	}
	check("a CPU stops and starts, twenty times", rounds == ROUNDS);
	check("FP registers stay whole meanwhile", shared->beat[BEAT_ODD] == 0);
	check("it stays off", system_control_cpu_stop(INIT_SLOT_SYSTEM_CONTROL, last) == OK);
	must("suspend", thread_suspend(lodger.thread));
	must("suspend", thread_suspend(sleeper.thread));
	must("suspend", thread_suspend(vcpu.thread));
	check("and comes back", system_control_cpu_start(INIT_SLOT_SYSTEM_CONTROL, last) == OK);
}
