/* SPDX-License-Identifier: MIT */
/*
 * The warden: measures the neighbours alone, then lets the attackers live, die
 * and live again, and judges.  The kernel's command line may say how long:
 * lives=N (of all attackers together), after the sweep through all calls.
 *
 * "hostile <name> <n>" are figures; times are in ns, which under -icount are
 * instructions.  latency=N on the command line: that much later than alone a
 * neighbour may have been (0: not judged, where the host decides).
 */
#include "hostile.h"

#include <tessera/bootinfo.h>

enum { LIVES_DEFAULT = 200, ALONE_MS = 300, STEP_US = 2000, CHECK_EVERY = 64, PATIENCE_S = 240 };

static uint64_t violations, checks;
static uint32_t nothing;

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

static void
figure(const char *name, uint64_t value)
{
	say("hostile ");
	say(name);
	say(" ");
	say_number(value);
	say("\n");
}

static void
doze(uint64_t us)
{
	uint64_t bits;

	sys_wait(nothing, now() + us * (info->timer_hz / 1000000), &bits);
}

static uint64_t
ns(uint64_t ticks)
{
	return ticks * (1000000000UL / info->timer_hz);
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

/* ---- the machine's lines, which an attacker may have had -------------------------------- */

static uint32_t some_lines[2 * CPUS_MAX];	/* the first that are free */

static uint64_t
lines_free(void)
{
	uint32_t slot = slot_new();
	uint64_t n = 0;

	for (uint32_t line = 32; line < 1020; line++) {
		if (irq_control_get(INIT_SLOT_IRQ_CONTROL, line, 0, 0, slot) != OK)
			continue;
		must("give the line back", cnode_delete(INIT_SLOT_CNODE, slot));
		if (n < 2 * CPUS_MAX)
			some_lines[n] = line;
		n++;
	}
	return n;
}

/* ---- neighbours ---------------------------------------------------------------------------- */

static uint64_t
longest_of(unsigned cpus)
{
	uint64_t longest = 0;

	for (unsigned i = 0; i < cpus; i++)
		if (neighbours[i].longest > longest)
			longest = neighbours[i].longest;
	return longest;
}

static void
measure_again(unsigned cpus)
{
	for (unsigned i = 0; i < cpus; i++)
		neighbours[i].longest = 0;
}

static uint64_t
sum_of(unsigned cpus, size_t offset)
{
	uint64_t sum = 0;

	for (unsigned i = 0; i < cpus; i++)
		sum += *(volatile uint64_t *)((char *)&neighbours[i] + offset);
	return sum;
}
#define SUM(cpus, field)	sum_of((cpus), offsetof(struct neighbour, field))

static bool
all_work(unsigned cpus, const uint64_t before[])
{
	for (unsigned i = 0; i < cpus; i++)
		if (neighbours[i].rounds == before[i])
			return false;
	return true;
}

/* ---- attackers --------------------------------------------------------------------------------- */

static uint64_t
lives_of_all(unsigned cpus)
{
	uint64_t sum = 0;

	for (unsigned i = 0; i < cpus; i++)
		sum += prisoner(i)->life;
	return sum;
}

/* The first attacker sweeps; every fourth life of all has children. */
static enum mode
mode_of(const struct prisoner *p)
{
	if (p->life % 4 == 3)
		return MODE_FAMILY;
	return p->report->cell < CELLS && p->cpu == 0 ? MODE_SWEEP : MODE_NONSENSE;
}

static void
watch(struct prisoner *p)
{
	if (p->alive && !life_over(p))
		return;
	if (p->alive)
		life_end(p);
	life_begin(p, mode_of(p));
}

/* false: it took too long. */
static bool
let_them_live(unsigned cpus, uint64_t lives)
{
	uint64_t limit = now() + PATIENCE_S * (uint64_t)info->timer_hz + lives * info->timer_hz / 10, checked = 0;

	while (lives_of_all(cpus) < lives || prisoner(0)->report->cell < CELLS) {
		for (unsigned i = 0; i < cpus; i++)
			watch(prisoner(i));
		if (lives_of_all(cpus) / CHECK_EVERY != checked) {
			checked = lives_of_all(cpus) / CHECK_EVERY;
			run_checker();
		}
		if (now() > limit)
			return false;
		doze(STEP_US);
	}
	for (unsigned i = 0; i < cpus; i++)
		if (prisoner(i)->alive)
			life_end(prisoner(i));
	return true;
}

/* The last life has the machine's controls, which go with it. */
static void
life_with_controls(struct prisoner *p)
{
	life_begin(p, MODE_CONTROLS);
	do
		doze(STEP_US);
	while (!life_over(p));
	life_end(p);
}

/* ---- the judgement -------------------------------------------------------------------------------- */

static bool
has_devices(void)
{
	const struct bootinfo *boot = (const struct bootinfo *)INIT_BOOTINFO_VADDR;

	return boot->smmu_count != 0 && boot->gic.its_count != 0;
}

/* Was each call said, and did it work at least once and fail at least once? */
static void
judge_calls(const struct report *r)
{
	uint64_t kinds = 0, unsaid = 0, never_worked = 0;
	bool powerless = true;

	for (unsigned n = 0; n < CALLS; n++) {
		uint64_t said = 0;

		for (unsigned e = 0; e < ERROR_COUNT; e++) {
			said += r->answers[n][e];
			kinds += r->answers[n][e] != 0;
		}
		unsaid += said == 0;
		if (grammar[n].type == OBJ_SYSTEM_CONTROL)
			powerless = powerless && r->answers[n][OK] == 0;
		if (r->answers[n][OK] != 0 || grammar[n].type == OBJ_SYSTEM_CONTROL)
			continue;
		if (!has_devices() && (grammar[n].type == OBJ_IO_CONTROL || grammar[n].type == OBJ_IO_DEVICE))
			continue;
		say("never OK: ");
		say(grammar[n].name);
		say("\n");
		never_worked++;
	}
	for (unsigned n = 0; n < SYSTEM_NUMBERS; n++) {
		for (unsigned e = 0; e < ERROR_COUNT; e++)
			kinds += r->system[n][e] != 0;
		if (n < SYSTEM_CALLS && r->system[n][ERR_CALL] != 0 && n != SYS_CALL)
			never_worked++;		/* a known number is no unknown call */
		if (n >= SYSTEM_CALLS && r->system[n][ERR_CALL] == 0)
			unsaid++;
	}
	figure("calls_and_answers", kinds);
	check("every call was said", unsaid == 0);
	check("every call of what it has worked at least once", never_worked == 0);
	check("none worked on SystemControl, which it has not", powerless);
}

static void
judge_lives(unsigned cpus)
{
	uint64_t said = 0, children = 0, lives = 0, whole = 0;
	bool clear = true;

	for (unsigned i = 0; i < cpus; i++) {
		const struct prisoner *p = prisoner(i);

		said += p->report->said;
		children += p->report->children;
		lives += p->life;
		whole += p->whole;
	}
	figure("calls", said);
	figure("lives", lives);
	figure("children", children);
	figure("boxes_whole", whole);
	check("it had children", children > 0);
	check("nothing was left of any life", whole == lives);
	for (unsigned i = 0; i < cpus; i++)
		clear = clear && box_is_clear(prisoner(i));
	check("its memory is zero for the next owner", clear);
}

static void
judge_neighbours(unsigned cpus, uint64_t alone, uint64_t rounds, uint64_t allowed)
{
	uint64_t beside = longest_of(cpus), before[CPUS_MAX];

	figure("neighbour_rounds", SUM(cpus, rounds));
	figure("attackers_messages", SUM(cpus, strange));
	figure("neighbour_alone", ns(alone));
	figure("neighbour_beside", ns(beside));
	check("neighbours worked on", SUM(cpus, rounds) > rounds + 10 * cpus);
	check("their answers and data are whole", SUM(cpus, wrong) == 0);
	check("their server met the attackers", SUM(cpus, strange) > 0);
	if (allowed != 0)
		check("and none was later than a masked stretch makes it", ns(beside) <= ns(alone) + allowed);
	for (unsigned i = 0; i < cpus; i++)
		before[i] = neighbours[i].rounds;
	doze(100 * STEP_US);
	check("and go on afterwards", all_work(cpus, before));
}

void
test_main(void)
{
	const char *cmdline = ((const struct bootinfo *)INIT_BOOTINFO_VADDR)->cmdline;
	unsigned cpus = info->cpu_count < CPUS_MAX ? info->cpu_count : CPUS_MAX;
	uint64_t lines, alone, rounds;

	nothing = make(OBJ_NOTIFICATION, 0);
	figure("cpus", cpus);
	lines = lines_free();
	neighbours_start(cpus);
	prisons_start(cpus, some_lines);
	must("priority", thread_set_priority(INIT_SLOT_THREAD, PRIORITY_WARDEN, 255));
	doze(10 * STEP_US);
	measure_again(cpus);
	doze(ALONE_MS * 1000);
	alone = longest_of(cpus);
	measure_again(cpus);
	rounds = SUM(cpus, rounds);
	check("all lives were lived", let_them_live(cpus, number_after(cmdline, "lives=", LIVES_DEFAULT)));
	check("no interrupt line is lost", lines_free() == lines);
	life_with_controls(prisoner(0));
	judge_neighbours(cpus, alone, rounds, number_after(cmdline, "latency=", 0));
	judge_calls(prisoner(0)->report);
	judge_lives(cpus);
	run_checker();
	if (info->debug_kernel != 0)
		check("the invariant checker found nothing", violations == 0);
	say_stretches("hostile");
	finish();
}
