/* SPDX-License-Identifier: MIT */
/*
 * What system.conf gives, as a list of grants, against what is held.  The
 * grants are worked out here from the text alone, not by init's code that gives.
 */
#include <string.h>

#include "lscap.h"

enum { GRANTS_MAX = 1024 };

enum need {
	MAY,			/* be held */
	MUST,
};

struct grant {
	const char *holder, *purpose, *target, *name;	/* name null: whatever it is */
	const char *rights;	/* the most */
	unsigned line;
	enum need need;
	bool held;
};

struct grants {
	const struct conf *conf;
	const struct list *list;
	unsigned count;
	bool overflow;
	struct grant grant[GRANTS_MAX];
};

static void
give(struct grants *g, const struct conf_component *c, const char *purpose, const char *rights, const char *target,
    const char *name, unsigned line, enum need need)
{
	if (g->count == GRANTS_MAX) {
		g->overflow = true;
		return;
	}
	g->grant[g->count++] = (struct grant){ c->name, purpose, target, name, rights, line, need, false };
}

/* From the component's own block. */
static void
own(struct grants *g, const struct conf_component *c, const char *purpose, const char *rights, const char *target,
    const char *name)
{
	give(g, c, purpose, rights, target, name, c->line, MUST);
}

static void
give_device(struct grants *g, const struct conf_component *c)
{
	if (c->uart) {
		own(g, c, "registers", "rw", "", "uart");
		own(g, c, "interrupt", "w", "", "uart");
	}
	if (c->pci_config)
		own(g, c, "config", "rw", "", "pci");
	if (!c->pci.wanted)
		return;
	own(g, c, "registers", "rw", "", NULL);
	give(g, c, "interrupt", "w", "", NULL, c->line, MAY);
	own(g, c, "device", "rw", "", NULL);
	own(g, c, "reach", "w", "", NULL);
	if (c->dma != 0) {
		own(g, c, "dma", "rw", "", "");
	}
}

static void
give_world(struct grants *g, const struct conf_component *c)
{
	own(g, c, "vcpu", "rw", "", "");
	own(g, c, "time", "r", "", "");
	give(g, c, "self", "rw", "", "", c->line, MAY);
	if (c->archive[0] != '\0')
		own(g, c, "archive", "r", "init", "");
	if (c->memory_usage)
		own(g, c, "memory-usage", "r", "init", "");
	if (c->health_ns != 0)
		own(g, c, "health", "w", "init", "");
	if (c->capabilities) {
		own(g, c, "capabilities", "r", "init", "");
		own(g, c, "capabilities", "w", "init", "ask");
	}
}

static void
give_component(struct grants *g, const struct conf_component *c)
{
	own(g, c, "memory", "rwx", "", "");
	if (c->world) {
		give_world(g, c);
	} else {
		own(g, c, "supervisor", "w", "init", "");
		own(g, c, "bell", "r", "", "");
		own(g, c, "keep", "rw", "", "");
		own(g, c, "memory-usage", "rw", "init", "own");
		if (c->kernel_log)
			own(g, c, "kernel-log", "r", "init", "");
	}
	if (c->power) {
		own(g, c, "power", "w", "init", "power-off");
		own(g, c, "power", "w", "init", "reset");
	}
	for (unsigned i = 0; i < c->kill_count; i++)
		give(g, c, "kill", "w", c->kill_name[i], "", c->line, c->world ? MAY : MUST);
	give_device(g, c);
}

static void
give_end(struct grants *g, const struct conf_channel *ch, int end, int other)
{
	const struct conf_component *c;
	const char *peer = other == CONF_INIT ? "init" : g->conf->component[other].name;
	enum need need;

	if (end == CONF_INIT)
		return;
	c = &g->conf->component[end];
	need = other == CONF_INIT || list_holder(g->list, peer) ? MUST : MAY;
	if (ch->size != 0)
		give(g, c, "ring", "w", peer, ch->name, ch->line, need);
	give(g, c, "channel", ch->size != 0 ? "rw" : end == ch->client ? "wg" : "r", peer, ch->name, ch->line, need);
}

static void
give_all(struct grants *g)
{
	for (unsigned i = 0; i < g->conf->component_count; i++)
		if (list_holder(g->list, g->conf->component[i].name))
			give_component(g, &g->conf->component[i]);
	for (unsigned i = 0; i < g->conf->channel_count; i++) {
		const struct conf_channel *ch = &g->conf->channel[i];

		give_end(g, ch, ch->client, ch->server);
		give_end(g, ch, ch->server, ch->client);
	}
	for (unsigned i = 0; i < g->conf->lend_count; i++) {
		const struct conf_lend *l = &g->conf->lend[i];
		const struct conf_component *c = &g->conf->component[l->from];
		enum need need = list_holder(g->list, l->to_name) ? MUST : MAY;

		if (c->world)
			give(g, c, "reach", "rw", l->to_name, "", l->line, need);
		give(g, c, "loan", "rw", l->to_name, "", l->line, c->world ? MAY : need);
	}
}

static bool
rights_within(const char *held, const char *most)
{
	for (; *held != '\0'; held++)
		if (*held != '-' && strchr(most, *held) == NULL)
			return false;
	return true;
}

static bool
is_for(const struct grant *g, const struct record *r)
{
	return strcmp(g->holder, r->holder) == 0 && strcmp(g->purpose, r->purpose) == 0 &&
	    strcmp(g->target, r->target) == 0 && (g->name == NULL || strcmp(g->name, r->name) == 0);
}

/* What is wrong with a record; a null pointer if nothing. */
static const char *
judge(struct grants *g, const struct record *r)
{
	const char *wrong = "no line gives it";

	for (unsigned i = 0; i < g->count; i++) {
		if (!is_for(&g->grant[i], r))
			continue;
		g->grant[i].held = true;
		if (rights_within(r->rights, g->grant[i].rights))
			return NULL;
		wrong = "no line gives it with these rights";
	}
	return wrong;
}

/* More of its own memory than its budget? */
static bool
too_much(const struct conf *conf, const struct record *r)
{
	for (unsigned i = 0; i < conf->component_count; i++) {
		const struct conf_component *c = &conf->component[i];

		if (strcmp(c->name, r->holder) == 0)
			return strcmp(r->purpose, "memory") == 0 && strcmp(r->place, "seen") == 0 &&
			    !c->memory_rest && r->bytes > c->memory;
	}
	return false;
}

unsigned
diff(const struct list *list, const struct conf *conf, difference_fn *tell, void *arg)
{
	static struct grants g;
	unsigned found = 0;

	g = (struct grants){ .conf = conf, .list = list };
	give_all(&g);
	for (unsigned i = 0; i < list->count; i++) {
		struct difference d = { .held = &list->record[i] };

		d.why = judge(&g, d.held);
		if (d.why == NULL && too_much(conf, d.held))
			d.why = "more than its budget";
		if (d.why == NULL)
			continue;
		tell(&d, arg);
		found++;
	}
	for (unsigned i = 0; i < g.count; i++) {
		const struct grant *m = &g.grant[i];

		if (m->need == MAY || m->held || !list_holder(list, m->holder))
			continue;
		tell(&(struct difference){ .holder = m->holder, .purpose = m->purpose, .target = m->target,
		    .name = m->name, .line = m->line, .why = "not held" }, arg);
		found++;
	}
	if (g.overflow) {
		tell(&(struct difference){ .holder = "", .purpose = "", .target = "", .why = "system.conf gives more than can be compared" }, arg);
		found++;
	}
	return found;
}
