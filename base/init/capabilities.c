/* SPDX-License-Identifier: MIT */
/*
 * The list of who may touch what (proto/capabilities.h), made when it is asked
 * for: every slot that a running component holds, and every Frame that is mapped
 * for it, as the kernel tells them, each with the name of what it is for.
 *
 * A name is found by the object alone.  So a capability that got somewhere by a
 * mistake of init's, or by a way that nobody thought of, has none, or not the one
 * that system.conf gives.
 */
#include <proto/capabilities.h>
#include "device.h"
#include "init.h"

/* What cnode_info says. */
struct held {
	uint32_t slot;
	enum object_type type;
	uint32_t rights;		/* as in calls.def */
	uint64_t badge, object, bytes, vaddr;
};

/* The objects of one component, as numbers to compare with. */
struct objects {
	uint64_t bell, cnode, vspace, device, space, keep;
	uint64_t vcpu_bell[MAX_THREADS], sched_context[MAX_THREADS];
	uint64_t vector[MAX_VECTORS];
	struct {
		uint64_t base, bytes;
	} piece[MAX_PIECES];
};

/* Whose list is written, and what was found out for it. */
static struct objects of[CONF_MAX_COMPONENTS];
static uint64_t channel_object[CONF_MAX_CHANNELS];
static uint64_t init_bell, init_endpoint, uart_irq, log_frame, usage_frame;
static uint32_t frame;

static struct capability_list *
list(void)
{
	return (struct capability_list *)INIT_LIST_VADDR;
}

static bool
look(uint32_t cnode, uint32_t slot, struct held *h)
{
	uint32_t rights, type;

	h->slot = slot;
	if (cnode_info(cnode, slot, &type, &rights, &h->badge, &h->object, &h->bytes, &h->vaddr) != OK)
		return false;
	h->type = (enum object_type)type;
	h->rights = rights;
	return true;
}

/* 0: there is none, and no object has that number. */
static uint64_t
object_at(uint32_t slot)
{
	struct held h;

	return slot != 0 && look(INIT_SLOT_CNODE, slot, &h) ? h.object : 0;
}

enum error
capabilities_make(void)
{
	struct bundle_entry const *conf = bundle_find(tessera.bundle, "system.conf");
	struct capability_list *l = list();
	enum error e;

	frame = slots_take(1);
	e = memory_carve(OBJ_FRAME, log2_up(CAPABILITIES_BYTES), frame);
	if (e == OK)
		e = frame_map(frame, INIT_SLOT_VSPACE, INIT_LIST_VADDR, RIGHT_READ | RIGHT_WRITE,
		    MAP_NORMAL);
	if (e != OK)
		return e;
	l->conf_offset = CAPABILITIES_BYTES - CAPABILITIES_CONF;
	l->conf_size = conf->size < CAPABILITIES_CONF ? (uint32_t)conf->size : CAPABILITIES_CONF;
	memcpy((uint8_t *)l + l->conf_offset, (const uint8_t *)tessera.bundle + conf->offset, l->conf_size);
	return OK;
}

enum error
capabilities_give(struct component *c, uint64_t ipa)
{
	return give_mapped(c, frame, 0, CAPABILITIES_BYTES, ipa, RIGHT_READ, MAP_NORMAL);
}

/* ---- what there is --------------------------------------------------------- */

static void
find_objects(const struct component *c)
{
	struct objects *o = &of[c->index];
	struct held h;

	memset(o, 0, sizeof *o);
	o->bell = object_at(c->bell);
	o->cnode = object_at(c->made.cnode);
	o->vspace = object_at(c->made.vspace);
	o->device = object_at(c->driver.device);
	o->space = object_at(c->driver.space);
	o->keep = c->conf->world ? 0 : object_at(c->keep);
	for (unsigned i = 0; i < c->thread_count; i++) {
		o->vcpu_bell[i] = object_at(i == 0 ? c->bell : c->made.bell[i]);
		o->sched_context[i] = object_at(c->made.sched_context[i]);
	}
	for (unsigned i = 0; i < c->driver.vector_count; i++)
		o->vector[i] = object_at(c->driver.vector + i);
	for (unsigned i = 0; i < c->piece_count; i++)
		if (look(INIT_SLOT_CNODE, c->piece[i].slot, &h)) {
			o->piece[i].base = h.object;
			o->piece[i].bytes = h.bytes;
		}
}

static void
find_all(void)
{
	for (unsigned i = 0; i < tessera.conf.component_count; i++)
		find_objects(&tessera.component[i]);
	for (unsigned i = 0; i < tessera.conf.channel_count; i++)
		channel_object[i] = object_at(tessera.channel[i].frame);
	init_bell = object_at(tessera.bell);
	init_endpoint = object_at(tessera.fault_endpoint);
	uart_irq = object_at(tessera.uart.irq);
	log_frame = object_at(INIT_SLOT_KERNEL_LOG);
	usage_frame = object_at(usage_slot());
}

static bool
same(uint64_t object, uint64_t known)
{
	return known != 0 && object == known;
}

static bool
within(uint64_t at, uint64_t bytes, uint64_t base, uint64_t size)
{
	return base != 0 && at >= base && bytes <= size && at - base <= size - bytes;
}

/* ---- what a capability is for ------------------------------------------------ */

static void
name_it(struct capability *r, enum capability_purpose purpose, const char *target, const char *name,
    uint32_t line)
{
	r->purpose = (uint8_t)purpose;
	r->line = line;
	format(r->target, sizeof r->target, "%s", target);
	format(r->name, sizeof r->name, "%s", name);
}

static void
name_channel(struct capability *r, enum capability_purpose purpose, const struct component *c,
    const struct channel *ch)
{
	const struct conf_channel *conf = ch->conf;
	bool client = conf->client == (int)c->index;

	name_it(r, purpose, client ? conf->server_name : conf->client == CONF_INIT ? "init" : conf->client_name,
	    conf->name, conf->line);
}

static bool
is_end(const struct component *c, const struct channel *ch)
{
	return ch->conf->client == (int)c->index || ch->conf->server == (int)c->index;
}

/* The other end's bell, with the bit of the channel. */
static void
name_ring(struct capability *r, const struct component *c, const struct held *h)
{
	for (unsigned i = 0; i < tessera.conf.channel_count; i++) {
		const struct channel *ch = &tessera.channel[i];
		bool client = ch->conf->client == (int)c->index;
		const struct component *peer = channel_end(client ? ch->conf->server : ch->conf->client);
		uint64_t bit = client ? ch->server_bit : ch->client_bit;

		if (is_end(c, ch) && h->badge == bit && (h->rights & 0xff) == RIGHT_WRITE &&
		    same(h->object, peer == NULL ? init_bell : of[peer->index].bell)) {
			name_channel(r, CAPABILITY_RING, c, ch);
			return;
		}
	}
}

static void
name_authority(struct capability *r, const struct component *c, uint64_t badge)
{
	for (unsigned i = 0; i < tessera.authority_count; i++) {
		const struct authority *a = &tessera.authority[i];

		if (a->holder != c->index || badge != (uint64_t)1 << (INIT_BIT_FIRST_AUTHORITY + i))
			continue;
		if (a->request == REQUEST_KILL)
			name_it(r, CAPABILITY_KILL, tessera.conf.component[a->target].name, "", c->conf->line);
		else if (a->request == REQUEST_LIST)
			name_it(r, CAPABILITY_LIST, "init", "ask", c->conf->line);
		else if (a->request == REQUEST_HEALTHY)
			name_it(r, CAPABILITY_HEALTH, "init", "", c->conf->line);
		else
			name_it(r, CAPABILITY_POWER, "init", a->request == REQUEST_RESET ? "reset" : "power-off",
			    c->conf->line);
	}
}

static void
name_notification(struct capability *r, const struct component *c, const struct held *h)
{
	const struct objects *own = &of[c->index];

	for (unsigned i = 0; i < c->thread_count && c->conf->world; i++)
		if (same(h->object, own->vcpu_bell[i]) && (h->badge == 0 || h->badge == WORLD_BIT_KICK)) {
			name_it(r, CAPABILITY_VCPU, "", "", c->conf->line);
			return;
		}
	if (same(h->object, own->bell) && h->badge == 0 && (h->rights & 0xff) == RIGHT_READ) {
		name_it(r, CAPABILITY_BELL, "", "", c->conf->line);
		return;
	}
	name_ring(r, c, h);
	if (r->purpose == CAPABILITY_UNKNOWN && same(h->object, init_bell))
		name_authority(r, c, h->badge);
}

static void
name_endpoint(struct capability *r, const struct component *c, const struct held *h)
{
	if (same(h->object, init_endpoint) && h->badge == badge_of(c->index, 0)) {
		name_it(r, CAPABILITY_SUPERVISOR, "init", "", c->conf->line);
		return;
	}
	for (unsigned i = 0; i < tessera.conf.channel_count; i++)
		if (tessera.channel[i].conf->type == CHANNEL_CALL && is_end(c, &tessera.channel[i]) &&
		    same(h->object, channel_object[i]))
			name_channel(r, CAPABILITY_CHANNEL, c, &tessera.channel[i]);
}

static void
function_name(const struct component *c, char name[static 16])
{
	const struct device_found *f = &c->driver.found;

	format(name, 16, "%04x:%02x:%02x.%u", f->segment, f->rid >> 8, f->rid >> 3 & 31u, f->rid & 7u);
}

static void
name_device(struct capability *r, const struct component *c, const struct held *h)
{
	const struct objects *own = &of[c->index];
	char name[16];

	function_name(c, name);
	for (unsigned i = 0; i < c->driver.vector_count; i++)
		if (h->type == OBJ_IRQ_HANDLER && same(h->object, own->vector[i]))
			name_it(r, CAPABILITY_INTERRUPT, "", name, c->conf->line);
	if (h->type == OBJ_IRQ_HANDLER && c->conf->uart && same(h->object, uart_irq))
		name_it(r, CAPABILITY_INTERRUPT, "", "uart", c->conf->line);
	if (h->type == OBJ_IO_DEVICE && same(h->object, own->device))
		name_it(r, CAPABILITY_DEVICE, "", name, c->conf->line);
}

/* The line that lends c's memory to the device whose IOSpace this is. */
static const struct conf_lend *
loan(const struct component *c, uint64_t space)
{
	for (unsigned i = 0; i < tessera.conf.lend_count; i++) {
		const struct conf_lend *l = &tessera.conf.lend[i];

		if (l->from == (int)c->index && same(space, of[l->to].space))
			return l;
	}
	return NULL;
}

static void
name_space(struct capability *r, const struct component *c, const struct held *h)
{
	const struct conf_lend *l = loan(c, h->object);
	char name[16];

	if (l != NULL && h->badge == c->conf->window) {
		name_it(r, CAPABILITY_REACH, l->to_name, "", l->line);
	} else if (same(h->object, of[c->index].space) && h->badge == 0) {
		function_name(c, name);
		name_it(r, CAPABILITY_REACH, "", name, c->conf->line);
	}
}

/* ---- memory -------------------------------------------------------------- */

static bool
own_memory(const struct component *c, uint64_t at, uint64_t bytes)
{
	const struct objects *o = &of[c->index];

	for (unsigned i = 0; i < c->piece_count; i++)
		if (within(at, bytes, o->piece[i].base, o->piece[i].bytes))
			return true;
	return false;
}

static void
name_registers(struct capability *r, const struct component *c, const struct held *h)
{
	const struct boot_uart *uart = &tessera.boot->uart;
	char name[16];

	r->physical = h->object;
	if (c->conf->uart && within(h->object, h->bytes, uart->base & ~(uint64_t)(PAGE - 1),
	    round_up((uart->base & (PAGE - 1)) + tessera.uart.bytes, PAGE)))
		name_it(r, CAPABILITY_REGISTERS, "", "uart", c->conf->line);
	for (unsigned i = 0; c->driver.granted && i < DEVICE_BARS; i++) {
		const struct device_bar *bar = &c->driver.found.bar[i];
		uint64_t page = bar->base & ~(uint64_t)(PAGE - 1);

		if (bar->size == 0 ||
		    !within(h->object, h->bytes, page, round_up(bar->base + bar->size, PAGE) - page))
			continue;
		function_name(c, name);
		name_it(r, CAPABILITY_REGISTERS, "", name, c->conf->line);
	}
	for (unsigned i = 0; c->conf->pci_config && i < tessera.boot->ecam_count && i < BOOT_MAX_ECAM; i++) {
		const struct boot_ecam *e = &tessera.boot->ecam[i];

		if (within(h->object, h->bytes, e->base, (uint64_t)(e->bus_last - e->bus_first + 1) << 20))
			name_it(r, CAPABILITY_CONFIG, "", "pci", c->conf->line);
	}
}

static void
name_shared(struct capability *r, const struct component *c, const struct held *h)
{
	const bool writable = (r->rights & RIGHT_WRITE) != 0;

	for (unsigned i = 0; i < tessera.conf.channel_count; i++)
		if (tessera.channel[i].conf->type != CHANNEL_CALL && is_end(c, &tessera.channel[i]) &&
		    within(h->object, h->bytes, channel_object[i], tessera.channel[i].conf->size))
			name_channel(r, CAPABILITY_CHANNEL, c, &tessera.channel[i]);
	if (within(h->object, h->bytes, of[c->index].keep, PAGE))
		name_it(r, CAPABILITY_KEEP, "", "", c->conf->line);
	if (same(h->object, log_frame) && c->conf->kernel_log && !writable)
		name_it(r, CAPABILITY_KERNEL_LOG, "init", "", c->conf->line);
	if (within(h->object, h->bytes, usage_frame + (uint64_t)c->index * PAGE, PAGE))
		name_it(r, CAPABILITY_USAGE, "init", "own", c->conf->line);
	if (same(h->object, usage_frame) && c->conf->memory_usage && !writable)
		name_it(r, CAPABILITY_USAGE, "init", "", c->conf->line);
	if (same(h->object, object_at(frame)) && c->conf->capabilities && !writable)
		name_it(r, CAPABILITY_LIST, "init", "", c->conf->line);
	if (c->conf->archive[0] != '\0' && !writable &&
	    within(h->object, h->bytes, tessera.boot->bundle.base, bundle_pages(tessera.boot->bundle.size)))
		name_it(r, CAPABILITY_ARCHIVE, "init", "", c->conf->line);
}

/* A Frame: what it is of, and who sees it through this capability. */
static void
name_frame(struct capability *r, const struct component *c, const struct held *h)
{
	const struct objects *own = &of[c->index];
	const struct conf_lend *l = loan(c, h->badge);

	r->bytes = h->bytes;
	r->address = h->vaddr;
	r->badge = 0;
	if (h->badge != 0)
		r->rights = (uint8_t)(h->rights >> 8);
	if ((h->rights >> 16 & 1) != 0) {
		if (same(h->badge, own->vspace))
			name_registers(r, c, h);
	} else if (!own_memory(c, h->object, h->bytes)) {
		if (same(h->badge, own->vspace))
			name_shared(r, c, h);
	} else if (h->badge == 0 || same(h->badge, own->vspace)) {
		name_it(r, CAPABILITY_MEMORY, "", "", c->conf->line);
	} else if (same(h->badge, own->space)) {
		r->place = CAPABILITY_LENT;
		name_it(r, CAPABILITY_DMA, "", "", c->conf->line);
	} else if (l != NULL) {
		r->place = CAPABILITY_LENT;
		name_it(r, CAPABILITY_LOAN, l->to_name, "", l->line);
	}
}

static void
name_purpose(struct capability *r, const struct component *c, const struct held *h)
{
	switch (h->type) {
	case OBJ_FRAME:
		name_frame(r, c, h);
		break;
	case OBJ_NOTIFICATION:
		name_notification(r, c, h);
		break;
	case OBJ_ENDPOINT:
		name_endpoint(r, c, h);
		break;
	case OBJ_IRQ_HANDLER:
	case OBJ_IO_DEVICE:
		name_device(r, c, h);
		break;
	case OBJ_IO_SPACE:
		name_space(r, c, h);
		break;
	case OBJ_CNODE:
		if (same(h->object, of[c->index].cnode))
			name_it(r, CAPABILITY_SELF, "", "", c->conf->line);
		break;
	case OBJ_SCHED_CONTEXT:
		for (unsigned i = 0; i < c->thread_count; i++)
			if (same(h->object, of[c->index].sched_context[i]) && (h->rights & 0xff) == RIGHT_READ)
				name_it(r, CAPABILITY_TIME, "", "", c->conf->line);
		break;
	default:
		break;
	}
}

/* ---- the list ---------------------------------------------------------------- */

static bool
alike(const struct capability *a, const struct capability *b)
{
	bool badge = a->badge == b->badge || a->purpose == CAPABILITY_VCPU;

	return a->place == b->place && a->purpose == b->purpose && a->type == b->type &&
	    a->rights == b->rights && a->line == b->line && badge &&
	    memcmp(a->target, b->target, sizeof a->target) == 0 &&
	    memcmp(a->name, b->name, sizeof a->name) == 0 && a->purpose != CAPABILITY_UNKNOWN;
}

/* One more, or one more like another of the same holder, whose records begin at `first`. */
static void
add(const struct capability *r, uint32_t first)
{
	struct capability_list *l = list();

	for (uint32_t i = first; i < l->count; i++)
		if (alike(&l->record[i], r)) {
			l->record[i].count++;
			l->record[i].bytes += r->bytes;
			return;
		}
	if (l->count == CAPABILITIES_MAX)
		l->left_out++;
	else
		l->record[l->count++] = *r;
}

static void
list_slot(const struct component *c, uint32_t cnode, uint32_t slot, enum capability_place place, uint32_t first)
{
	struct capability r = { .count = 1, .slot = slot, .place = (uint8_t)place };
	struct held h;

	if (!look(cnode, slot, &h))
		return;
	memcpy(r.holder, c->conf->name, sizeof r.holder);
	r.type = (uint8_t)h.type;
	r.rights = (uint8_t)h.rights;
	r.badge = h.badge;
	name_purpose(&r, c, &h);
	add(&r, first);
}

static void
list_component(const struct component *c)
{
	const uint32_t first = list()->count;

	for (uint32_t i = 1; i < component_cnode_slots(c); i++)
		list_slot(c, c->made.cnode, i, CAPABILITY_HELD, first);
	for (uint32_t i = 1; i < c->attic_used; i++)
		list_slot(c, c->made.attic, i, CAPABILITY_SEEN, first);
	for (uint32_t i = 0; i < COMPONENT_PARTS; i++)
		list_slot(c, INIT_SLOT_CNODE, c->made.parts + i, CAPABILITY_SEEN, first);
	for (uint32_t i = 0; i < (c->conf->world ? MAX_PIECES : HEAP_SLOTS); i++)
		list_slot(c, INIT_SLOT_CNODE, c->made.heap + i, CAPABILITY_SEEN, first);
}

static void
list_begin(void)
{
	struct capability_list *l = list();

	find_all();
	__atomic_store_n(&l->serial, l->serial + 1, __ATOMIC_RELAXED);
	/* whoever sees a record of the new list sees that it is being written */
	__atomic_thread_fence(__ATOMIC_RELEASE);
	l->count = l->left_out = 0;
}

static void
list_end(void)
{
	struct capability_list *l = list();

	__atomic_store_n(&l->serial, l->serial + 1, __ATOMIC_RELEASE);
}

static void
list_fill(void)
{
	for (unsigned i = 0; i < tessera.conf.component_count; i++)
		if (tessera.component[i].state == STATE_RUNNING)
			list_component(&tessera.component[i]);
}

static void
list_all(void)
{
	list_begin();
	list_fill();
	list_end();
}

/*
 * Who asks without end gets a tenth of init's time: after each list a pause nine
 * times as long as it took.
 */
static bool asked;
static uint64_t pause_until;

void
capabilities_ask(void)
{
	asked = true;
}

uint64_t
capabilities_deadline(void)
{
	uint64_t start = time_ticks(), end;

	if (asked && start >= pause_until) {
		asked = false;
		list_all();
		end = time_ticks();
		pause_until = end + 9 * (end - start);
	}
	return asked ? pause_until : 0;
}

/* ---- crash reports ------------------------------------------------------------ */

void
capabilities_report(const struct component *c)
{
	static const char *const names[CAPABILITY_PURPOSES] = CAPABILITY_NAMES;
	struct capability_list *l = list();
	char line[128];
	size_t n = 0;

	list_begin();
	list_component(c);
	for (uint32_t i = 0; i < l->count; i++) {
		const struct capability *r = &l->record[i];

		if (n == 0)
			n = format(line, sizeof line, "  holds");
		n += format(line + n, sizeof line - n, "%s %s%s%s%s%s", n > 7 ? "," : "", names[r->purpose],
		    r->name[0] != '\0' ? " " : "", r->name, r->target[0] != '\0' ? " of " : "", r->target);
		if (n < sizeof line - 56 && i + 1 < l->count)
			continue;
		say(LOG_WARNING "%s", line);
		n = 0;
	}
	/* Who asked just before must not take this one's for everybody's. */
	l->count = l->left_out = 0;
	list_fill();
	list_end();
}
