/* SPDX-License-Identifier: MIT */
/*
 * What happens when a component ends: a crash report, one revoke, its peers are
 * told, and by its restart policy it is built anew.  Rings keep their state.
 */
#include "device.h"
#include "init.h"

/*
 * A badge says which component and which of its threads.  Bit 63 says that it
 * came with a message: no bit of init's Notification is that high, and a label
 * proves nothing, since a component chooses the labels of what it sends.
 */
static const uint64_t BADGE_MESSAGE = 1ULL << 63;

static const uint64_t STOP_LIMIT_NS = 3000000000;	/* for a driver or file server to answer */

/* A crash report is some twenty lines. */
enum { REPORTS_A_SECOND = 4 };

uint64_t
badge_of(unsigned index, unsigned thread)
{
	return BADGE_MESSAGE | (uint64_t)index << 8 | thread;
}

bool
badge_is_message(uint64_t badge)
{
	return (badge & BADGE_MESSAGE) != 0;
}

static struct component *
component_of(uint64_t badge, unsigned *thread)
{
	uint64_t index = (badge & ~BADGE_MESSAGE) >> 8;

	*thread = (unsigned)(badge & 0xff);
	if (index >= tessera.conf.component_count)
		return NULL;
	if (*thread >= tessera.component[index].thread_count)
		return NULL;
	return &tessera.component[index];
}

static uint64_t
now_ns(void)
{
	return time_ns_of_ticks(time_ticks());
}

/* Every component that shares a channel with c looks at its rings again. */
static void
tell_peers(const struct component *c)
{
	uint32_t told = 0;

	for (unsigned i = 0; i < tessera.conf.channel_count; i++) {
		const struct conf_channel *ch = &tessera.conf.channel[i];
		int other = ch->client == (int)c->index ? ch->server : ch->client;

		if (ch->client != (int)c->index && ch->server != (int)c->index)
			continue;
		if (other == CONF_INIT || (told >> other & 1))
			continue;
		told |= (uint32_t)1 << other;
		if (tessera.component[other].state != STATE_ABSENT)
			sys_signal(tessera.component[other].bell_peer);
	}
}

/* The kernel prints its own log until here; who reads it goes on from here. */
static void
release_console(void)
{
	tessera.kernel_printed = ((const struct kernel_log *)INIT_LOG_VADDR)->written;
	system_control_release_console(INIT_SLOT_SYSTEM_CONTROL);
	tessera.console_released = true;
}

/* Build and start; on failure nothing of it is left. */
bool
launch(struct component *c)
{
	enum error e = component_budget(c);

	if (e == OK)
		e = component_build(c);
	if (e == OK) {
		if (c->conf->uart && !tessera.console_released)
			release_console();
		e = component_start_threads(c);
	}
	if (e != OK) {
		component_destroy(c);
		return false;
	}
	c->state = STATE_RUNNING;
	restart_born(&c->history, now_ns(),
	    c->stopped_ticks == 0 ? 0 : time_ns_of_ticks(time_ticks() - c->stopped_ticks));
	tell_peers(c);
	return true;
}

/* ---- endings ------------------------------------------------------------ */

static const char *
fault_kind(uint32_t label)
{
	switch (label) {
	case LABEL_FAULT_MEMORY: return "memory fault";
	case LABEL_FAULT_EXCEPTION: return "exception";
	default: return "used its time up";
	}
}

enum { REG_FP = 29, CALLERS_MAX = 16 };

/* What the class and syndrome in ESR say, in a word (DDI 0487 D19.2.37). */
static const char *
fault_detail(uint32_t label, uint64_t esr)
{
	unsigned class = (unsigned)(esr >> 26) & 0x3f;

	if (label == LABEL_FAULT_MEMORY)
		return class == 0x20 || class == 0x21 ? "fetching" :
		    esr >> 6 & 1 ? "writing" : "reading";
	switch (class) {
	case 0x00: return "undefined instruction";
	case 0x15: return "system call";
	case 0x18: return "system register";
	case 0x22: return "pc not aligned";
	case 0x26: return "sp not aligned";
	case 0x3c: return "breakpoint instruction";
	default: return "";
	}
}

/*
 * Where it was called from: the frame records from x29 upwards (AAPCS64 6.4.6).  They are
 * what the component says, so each has to lie above the last one.
 */
static void
report_callers(const struct component *c, uint64_t fp)
{
	uint64_t record[2], last = 0;
	char line[240];
	size_t n = format(line, sizeof line, "  called from");

	for (unsigned i = 0; i < CALLERS_MAX && fp > last && component_stack(c, fp, record, 2) == OK; i++) {
		if (record[1] == 0)
			break;
		n += format(line + n, sizeof line - n, " %llx", (unsigned long long)record[1]);
		last = fp;
		fp = record[0];
	}
	if (last != 0)
		say(LOG_WARNING "%s", line);
}

static void
report_registers(const struct component *c, unsigned thread)
{
	const uint64_t *r = ((const struct ipc_buffer *)INIT_IPC_VADDR)->words;
	enum error e;

	thread_suspend(c->made.thread[thread]);
	e = thread_read_registers(c->made.thread[thread]);
	if (e != OK) {
		say(LOG_WARNING "  no registers: %s", error_name(e));
		return;
	}
	for (unsigned i = 0; i < REG_SP; i += 4) {
		char line[128];
		size_t n = 0;

		for (unsigned k = i; k < i + 4 && k < REG_SP; k++)
			n += format(line + n, sizeof line - n, "  x%-2u %016llx", k,
			    (unsigned long long)r[k]);
		say(LOG_WARNING "%s", line);
	}
	say(LOG_WARNING "  sp  %016llx  pc  %016llx  pstate %08llx", (unsigned long long)r[REG_SP],
	    (unsigned long long)r[REG_PC], (unsigned long long)r[REG_PSTATE]);
	report_callers(c, r[REG_FP]);
}

static void
report_fault(const struct component *c, unsigned thread, uint32_t label, const struct msg *m)
{
	const char *image = c->image->name;

	if (label == LABEL_FAULT_TIMEOUT)
		say(LOG_WARNING "%s (%s): %s at pc 0x%llx", c->conf->name, image, fault_kind(label),
		    (unsigned long long)m->words[0]);
	else
		say(LOG_WARNING "%s (%s): %s %s at pc 0x%llx, address 0x%llx, esr 0x%llx, cpu %u",
		    c->conf->name, image, fault_kind(label), fault_detail(label, m->words[2]),
		    (unsigned long long)m->words[0], (unsigned long long)m->words[1],
		    (unsigned long long)m->words[2], c->cpu[thread]);
	report_registers(c, thread);
	window_close();
	capabilities_report(c);
}

/*
 * Nobody builds it again.  A slot whose world does not stay up will not be found
 * good, so its trial ends here, and the loader takes the other one.
 */
void
stays_down(struct component *c)
{
	c->state = STATE_ENDED;
	if (!c->conf->world || tessera.boot->trial == 0)
		return;
	say(LOG_WARNING "%s is down, and this slot was on trial: the other one is used", c->conf->name);
	power_down(true, "the other slot");
}

static void
plan_restart(struct component *c)
{
	switch (restart_decide(c->conf, &c->history, c->ending, now_ns(), &c->restart_ns)) {
	case RESTART_LATER:
		c->state = STATE_WAITING;
		break;
	case RESTART_GIVE_UP:
		say(LOG_WARNING "%s: ended more than %u times in %llu ms, it stays down",
		    c->conf->name, c->conf->limit,
		    (unsigned long long)(c->conf->limit_ns / 1000000));
		stays_down(c);
		break;
	case RESTART_NOT:
		if (c->ending != ENDED_DONE)
			say("%s: is not restarted", c->conf->name);
		stays_down(c);
		break;
	}
}

static void
component_gone(struct component *c)
{
	c->free_ticks = time_ticks();
	component_destroy(c);
	channels_release(c);
	c->clear_ticks = time_ticks();
	plan_restart(c);
	tell_peers(c);
}

/* It does nothing any more; its memory goes when no device is at it. */
static void
component_ended(struct component *c, enum ending ending)
{
	c->ending = ending;
	c->kill_waits = false;
	c->stopped_ticks = time_ticks();
	for (unsigned i = 0; i < c->thread_count; i++)
		thread_suspend(c->made.thread[i]);
	channels_withdraw(c);
	if (channels_withdrawn(c)) {
		component_gone(c);
		return;
	}
	c->state = STATE_STOPPING;
	c->restart_ns = now_ns() + STOP_LIMIT_NS;
}

/* When to look again, in ns; UINT64_MAX: it is gone. */
static uint64_t
stopping_look(struct component *c, uint64_t now)
{
	struct component *holder = channels_holder(c);

	if (holder == NULL) {
		component_gone(c);
		return UINT64_MAX;
	}
	if (now >= c->restart_ns) {
		/* A driver's end stops its device; a file server's waits for its own drivers. */
		c->restart_ns = now + STOP_LIMIT_NS;
		if (holder->state == STATE_RUNNING) {
			say(LOG_WARNING "%s: does not let go of the memory of %s: it is ended", holder->conf->name,
			    c->conf->name);
			component_ended(holder, ENDED_FAILED);
			if (channels_withdrawn(c)) {
				component_gone(c);
				return UINT64_MAX;
			}
		}
	}
	return now + stopping_pause_ns(now - time_ns_of_ticks(c->stopped_ticks));
}

/* ---- what arrives ------------------------------------------------------- */

/* A message that means nothing here gets an empty answer with its own error. */
static void
refuse(void)
{
	struct msg answer = { .info = MSG_INFO(ERR_CALL, 0, 0) };

	sys_send(tessera.reply, &answer, 0);
}

void
supervise_message(const struct msg *m)
{
	uint32_t label = msg_label(m->info);
	unsigned thread;
	struct component *c = component_of(m->badge, &thread);

	if (c == NULL || c->state != STATE_RUNNING) {
		refuse();
		return;
	}
	switch (label) {
	case LABEL_FAULT_MEMORY:
	case LABEL_FAULT_EXCEPTION:
	case LABEL_FAULT_TIMEOUT:
		if (limit_take(&c->reports, now_ns(), REPORTS_A_SECOND))
			report_fault(c, thread, label, m);
		component_ended(c, ENDED_FAILED);
		/* Its own threads wait for nothing now; who else has its capability is not to hold the Reply. */
		refuse();
		break;
	case COMPONENT_EXIT:
		say("%s: exit with status %lld", c->conf->name, (long long)m->words[0]);
		component_ended(c, m->words[0] == 0 ? ENDED_DONE : ENDED_FAILED);
		refuse();
		break;
	default:
		if (!device_message(c, m))
			refuse();
	}
}

static void
killed(struct component *c, uint64_t now)
{
	restart_killed(&c->history, now);
	component_ended(c, ENDED_KILLED);
}

void
supervise_kill(unsigned target, unsigned holder)
{
	struct component *c = &tessera.component[target];
	const char *who = tessera.component[holder].conf->name;
	uint64_t now = now_ns(), at = channels_serve_files(c) ? restart_kill_at(&c->history) : now;

	if (c->state != STATE_RUNNING || c->kill_waits)
		return;
	if (at > now) {
		say("%s: killed by %s, in %llu ms: this is number %u in a row", c->conf->name, who,
		    (unsigned long long)((at - now) / 1000000), c->history.row + 1);
		c->kill_waits = true;
		return;
	}
	say("%s: killed by %s", c->conf->name, who);
	killed(c, now);
}

/* Kills that have waited long enough; the next one's time in ns, or UINT64_MAX. */
static uint64_t
kills_due(uint64_t now)
{
	uint64_t next = UINT64_MAX;

	for (unsigned i = 0; i < tessera.conf.component_count; i++) {
		struct component *c = &tessera.component[i];
		uint64_t at = restart_kill_at(&c->history);

		if (!c->kill_waits)
			continue;
		if (at <= now)
			killed(c, now);
		else if (at < next)
			next = at;
	}
	return next;
}

static uint64_t
us_between(uint64_t from, uint64_t to)
{
	return time_ns_of_ticks(to - from) / 1000;
}

/* Where the time since its end went: this is what a pause consists of, as far as init knows. */
static void
say_again(const struct component *c, uint64_t begun)
{
	uint64_t now = time_ticks();

	say("%s: running again, start %u; %llu us: %llu for devices, %llu to clear, %llu by policy, %llu to build",
	    c->conf->name, c->starts, (unsigned long long)us_between(c->stopped_ticks, now),
	    (unsigned long long)us_between(c->stopped_ticks, c->free_ticks),
	    (unsigned long long)us_between(c->free_ticks, c->clear_ticks),
	    (unsigned long long)us_between(c->clear_ticks, begun), (unsigned long long)us_between(begun, now));
}

/* Crash reports that the log was spared; when to ask again, in ns. */
static uint64_t
say_left_out(struct component *c, uint64_t now)
{
	uint32_t n = limit_left_out(&c->reports, now);

	if (n != 0)
		say(LOG_WARNING "%s: %u more crash reports were left out", c->conf->name, n);
	return limit_due_ns(&c->reports);
}

/* Restarts that are due; returns when the next one is, in ticks, or 0. */
uint64_t
supervise_restarts(void)
{
	uint64_t now = now_ns(), next = kills_due(now);

	for (unsigned i = 0; i < tessera.conf.component_count; i++) {
		struct component *c = &tessera.component[i];
		uint64_t due = say_left_out(c, now);

		next = due < next ? due : next;
		if (c->state == STATE_STOPPING) {
			uint64_t look = stopping_look(c, now);

			if (look < next)
				next = look;
		}
		if (c->state != STATE_WAITING)
			continue;
		if (c->restart_ns <= now) {
			uint64_t begun = time_ticks();

			if (!launch(c)) {
				c->ending = ENDED_FAILED;
				plan_restart(c);
			} else {
				say_again(c, begun);
			}
		}
		if (c->state == STATE_WAITING && c->restart_ns < next)
			next = c->restart_ns;
	}
	return next == UINT64_MAX ? 0 : time_ticks_of_ns(next) + 1;
}
