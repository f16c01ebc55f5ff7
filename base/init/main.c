/* SPDX-License-Identifier: MIT */
/*
 * init: the first component, which holds everything there is and hands out
 * what system.conf says, then supervises.  Start reading here; init.h lists
 * the other files.
 */
#include "device.h"
#include "init.h"

struct system tessera;

/* init is not built by anybody: it describes itself for the library. */
static struct component_info self = {
	.magic = COMPONENT_MAGIC,
	.version = COMPONENT_VERSION,
	.name = "init",
};

_Noreturn void component_start(const struct init_info *info);

static void
find_facts(const struct init_info *info)
{
	const char *wrong;

	tessera.info = info;
	tessera.boot = (const struct bootinfo *)INIT_BOOTINFO_VADDR;
	tessera.bundle = (const struct bundle_header *)(INIT_BUNDLE_VADDR + info->bundle_offset);
	self.timer_hz = info->timer_hz;
	component = &self;
	wrong = bundle_check(tessera.bundle, info->bundle_size);
	if (wrong != NULL) {
		say("base.bundle: %s", wrong);
		stop("nothing can be started");
	}
}

static void
read_conf(void)
{
	const struct bundle_entry *e = bundle_find(tessera.bundle, "system.conf");
	struct conf_error error;

	if (e == NULL)
		stop("base.bundle: no system.conf in it");
	if (!conf_parse(&tessera.conf, (const char *)tessera.bundle + e->offset, e->size, &error)) {
		say("system.conf:%u: %s", error.line, error.reason);
		stop("system.conf is not valid");
	}
	for (unsigned i = 0; i < tessera.conf.component_count; i++) {
		tessera.component[i].conf = &tessera.conf.component[i];
		tessera.component[i].index = i;
	}
}

/* What init needs for itself, before any budget is carved. */
static void
make_own(void)
{
	enum error e;

	if (memory_start() != OK)
		stop("the kernel handed over no memory");
	tessera.fault_endpoint = slots_take(3);
	tessera.reply = tessera.fault_endpoint + 1;
	tessera.bell = tessera.fault_endpoint + 2;
	e = memory_carve(OBJ_ENDPOINT, PAGE_BITS, tessera.fault_endpoint);
	if (e == OK)
		e = memory_carve(OBJ_REPLY, PAGE_BITS, tessera.reply);
	if (e == OK)
		e = memory_carve(OBJ_NOTIFICATION, PAGE_BITS, tessera.bell);
	if (e == OK)
		e = thread_bind_notification(INIT_SLOT_THREAD, tessera.bell);
	if (e == OK)
		return;
	say("%s", error_name(e));
	stop("cannot make what init itself needs");
}

static void
prepare_all(void)
{
	for (unsigned i = 0; i < tessera.conf.component_count; i++) {
		struct component *c = &tessera.component[i];

		if (component_prepare(c) == OK)
			c->state = STATE_BUILT;
	}
}

static void
open_log(void)
{
	for (unsigned i = 0; i < tessera.conf.channel_count; i++) {
		struct channel *ch = &tessera.channel[i];
		struct component_channel *d = &self.channel[0];

		if (ch->conf->client != CONF_INIT || !channel_present(ch) || channel_ensure(ch) != OK)
			continue;
		*d = (struct component_channel){
			.address = (uint64_t)ch->address,
			.size = ch->conf->size,
			.type = CHANNEL_LOG,
			.role = CHANNEL_CLIENT,
			.bit = ch->client_bit,
			.slot = slots_take(1),
		};
		if (cnode_mint(INIT_SLOT_CNODE, d->slot, 0, channel_end(ch->conf->server)->bell,
		    RIGHT_WRITE, ch->server_bit) == OK)
			self.channel_count = 1;
	}
}

static void
start_pass(unsigned pass)
{
	for (unsigned i = 0; i < tessera.conf.component_count; i++) {
		struct component *c = &tessera.component[i];

		if ((unsigned)c->conf->world + c->conf->memory_rest == pass &&
		    c->state == STATE_BUILT && !device_waits(c) && !launch(c))
			stays_down(c);
	}
}

/*
 * Who does not depend on devices, or on what is not known of them yet: components,
 * worlds with a fixed budget, and at last who takes the rest.  Budgets are carved
 * now, so that a driver without a device takes no memory.
 */
void
start_waiting(void)
{
	for (unsigned pass = 0; pass < 3; pass++)
		start_pass(pass);
}

static void
do_request(const struct authority *a)
{
	const char *who = tessera.component[a->holder].conf->name;

	switch (a->request) {
	case REQUEST_POWER_OFF:
		power_down(false, who);
	case REQUEST_RESET:
		power_down(true, who);
	case REQUEST_LIST:
		capabilities_ask();
		break;
	case REQUEST_KILL:
		supervise_kill(a->target, a->holder);
		break;
	case REQUEST_HEALTHY:
		health_reported(&tessera.component[a->holder]);
		break;
	case REQUEST_NONE:
		break;
	}
}

static void
do_bits(uint64_t bits)
{
	for (unsigned i = 0; i < tessera.authority_count; i++)
		if (bits >> (INIT_BIT_FIRST_AUTHORITY + i) & 1)
			do_request(&tessera.authority[i]);
	device_fault_bits(bits);
}

/* Of two deadlines, 0: none. */
static uint64_t
earlier(uint64_t a, uint64_t b)
{
	if (a == 0 || b == 0)
		return a + b;
	return a < b ? a : b;
}

static _Noreturn void
supervise(void)
{
	struct msg m = { 0 };
	uint64_t deadline;
	enum error e;

	for (;;) {
		deadline = device_deadlines();
		deadline = earlier(deadline, supervise_restarts());
		deadline = earlier(deadline, capabilities_deadline());
		deadline = earlier(deadline, health_look());
		e = sys_recv(tessera.fault_endpoint, &m, tessera.reply, deadline);
		if (e != OK)
			continue;	/* something is due */
		if (badge_is_message(m.badge))
			supervise_message(&m);
		else
			do_bits(m.badge);
	}
}

_Noreturn void
component_start(const struct init_info *info)
{
	tessera.start_ticks = time_ticks();
	find_facts(info);
	read_conf();
	make_own();
	if (usage_make() != OK)
		stop("no memory to say how much memory is used");
	if (capabilities_make() != OK)
		stop("no memory to say who may touch what");
	prepare_all();
	channels_start();
	open_log();
	say("%u components, %u channels, %u CPUs", tessera.conf.component_count,
	    tessera.conf.channel_count, info->cpu_count);
	start_waiting();
	device_start();
	supervise();
}
