/* SPDX-License-Identifier: MIT */
/*
 * Devices: what devmgr says, what init makes of it, what a driver is given.
 *
 * IODevice, IOSpace and the IRQHandlers of a driver's function are init's
 * inventory and outlive the driver, as does what others lend to it: the IOSpace
 * keeps their mappings, which go when the lender does.  What the driver itself
 * has in the IOSpace goes with its budget.
 */
#include "device.h"

enum {
	MAX_FOUND = 64,
	BIT_FIRST_VECTOR = 40,		/* of a driver's Notification; 32 is the UART's */
	DMA_IO_BASE = 0x40000000,	/* below 4 GiB, for devices that know no more */
	FAULT_PAUSE_MS = 500,		/* between two lines about one device */
	SETTLE_SECONDS = 10,		/* devmgr has that long */
	SPACE_SPARE = 64,		/* table pages for ranges that are no whole 2 MiB */
};

/* Everything that was ever reported. */
struct found {
	struct device_found d;
	struct component *driver;	/* null: nobody's */
	bool refused;
};
static struct found found[MAX_FOUND];
static unsigned found_count;
static struct report_limit refusals;	/* lines about them */

static bool settled;
static uint64_t settle_ticks;
static unsigned drivers;		/* with inventory: each has a fault bit */

/* ---- once, at boot -------------------------------------------------------- */

static uint64_t
all_memory(void)
{
	uint64_t sum = 0;

	for (unsigned i = 0; i < tessera.boot->memory_count && i < BOOT_MAX_MEMORY; i++)
		if (tessera.boot->memory[i].kind == BOOT_MEM_FREE)
			sum += tessera.boot->memory[i].size;
	return sum;
}

/* Table pages for n bytes in one range of a window: a world lends in blocks of
 * 2 MiB, a component in pages. */
static uint64_t
tables_for(const struct conf_component *c)
{
	uint64_t bytes = c->memory_rest ? all_memory() : c->memory;

	return (bytes >> 30) + 2 + (c->world ? SPACE_SPARE : (bytes >> 21) + 2);
}

static unsigned
space_bits(const struct component *c)
{
	uint64_t tables = 2 /* records, root */ + 2 /* doorbell */ + (c->conf->dma >> 21) + 3;

	for (unsigned i = 0; i < tessera.conf.lend_count; i++)
		if (tessera.conf.lend[i].to == (int)c->index)
			tables += tables_for(tessera.component[tessera.conf.lend[i].from].conf);
	return PAGE_BITS + log2_up(tables);
}

enum error
driver_prepare(struct component *c)
{
	struct driver *d = &c->driver;
	enum error e;

	if (drivers == MAX_DRIVERS)
		return ERR_LIMIT;
	d->device = slots_take(4);
	d->space = d->device + 1;
	d->fault_bell = d->device + 2;
	d->vector_bell = d->device + 3;
	d->vector = slots_take(MAX_VECTORS);
	d->fault_bit = INIT_BIT_FIRST_FAULT + drivers++;
	e = memory_carve(OBJ_IO_DEVICE, PAGE_BITS, d->device);
	if (e == OK)
		e = cnode_mint(INIT_SLOT_CNODE, d->fault_bell, 0, tessera.bell, RIGHT_WRITE,
		    (uint64_t)1 << d->fault_bit);
	return e;
}

static bool
is_driver(const struct component *c)
{
	return c->conf->pci.wanted && c->state != STATE_ABSENT;
}

/* Must it wait until it is known which devices there are? */
bool
device_waits(const struct component *c)
{
	/* who takes the rest comes when everybody has his budget */
	bool touches = c->conf->pci.wanted || c->conf->window != 0 || c->conf->memory_rest;

	for (unsigned i = 0; i < tessera.conf.channel_count; i++) {
		const struct conf_channel *ch = &tessera.conf.channel[i];

		touches |= (ch->type == CHANNEL_BLOCK || ch->type == CHANNEL_FS) &&
		    (ch->client == (int)c->index || ch->server == (int)c->index);
	}
	return touches && !settled;
}

/* ---- what devmgr says ----------------------------------------------------- */

static struct found *
find(uint16_t segment, uint16_t rid)
{
	for (unsigned i = 0; i < found_count; i++)
		if (found[i].d.segment == segment && found[i].d.rid == rid)
			return &found[i];
	return NULL;
}

/* devmgr may say the same over and over. */
static void
refuse_device(const struct device_found *d, const char *why)
{
	if (!limit_take(&refusals, time_ns_of_ticks(time_ticks()), MAX_FOUND))
		return;
	say(LOG_WARNING "device %04x:%02x:%02x.%u: %s", d->segment, d->rid >> 8, d->rid >> 3 & 31u,
	    d->rid & 7u, why);
}

/* The driver that the function is for.  Those that match are counted. */
static struct component *
driver_for(const struct device_found *d)
{
	struct component *taker = NULL;

	for (unsigned i = 0; i < tessera.conf.component_count; i++) {
		struct component *c = &tessera.component[i];

		if (!is_driver(c) || !grant_matches(&c->conf->pci, d))
			continue;
		if (c->driver.matched++ == c->conf->pci.index && taker == NULL)
			taker = c;
	}
	return taker;
}

bool
boot_here(const struct component *c)
{
	const struct device_found *f = &c->driver.found;

	return c->driver.granted &&
	    tessera.boot->init.boot_device == (BOOT_DEVICE_PCI | (uint32_t)f->segment << 16 | f->rid);
}

bool
boot_elsewhere(const struct component *c)
{
	return c->driver.granted && tessera.boot->init.boot_device != BOOT_DEVICE_UNKNOWN && !boot_here(c);
}

/* Its interrupts, one for each vector that a driver can use. */
static enum error
make_vectors(struct component *c, const struct grant_stream *s)
{
	struct driver *d = &c->driver;
	unsigned want = d->found.msix_vectors, cpus = tessera.info->cpu_count + 1;
	enum error e = OK;

	want = want < cpus ? want : cpus;
	if (want > MAX_VECTORS)
		want = MAX_VECTORS;
	if (s->its == IO_NO_ITS)
		want = 0;
	for (d->vector_count = 0; d->vector_count < want && e == OK; d->vector_count++) {
		uint32_t slot = d->vector + d->vector_count, data;
		uint64_t address;

		e = io_device_get_irq(d->device, d->vector_count, 0, slot, &address, &data);
		if (e != OK)
			break;
		if (d->vector_count == 0) {
			d->msi_address = address;
			d->msi_data = data;
		}
		e = cnode_mint(INIT_SLOT_CNODE, d->vector_bell, 0, c->bell, RIGHT_WRITE,
		    (uint64_t)1 << (BIT_FIRST_VECTOR + d->vector_count));
		if (e == OK)
			e = irq_handler_bind(slot, d->vector_bell);
		/* the handler keeps a reference of its own */
		cnode_delete(INIT_SLOT_CNODE, d->vector_bell);
	}
	return e;
}

static bool
grant(struct component *c, const struct device_found *f)
{
	struct driver *d = &c->driver;
	struct grant_stream s;
	enum error e;

	if (!grant_stream(tessera.boot, f, &s)) {
		refuse_device(f, "no SMMU covers it");
		return false;
	}
	e = memory_carve(OBJ_IO_SPACE, space_bits(c), d->space);
	if (e == OK)
		e = io_control_assign(INIT_SLOT_IO_CONTROL, d->device, s.smmu, s.stream, s.its, s.device);
	if (e == OK) {
		d->found = *f;
		d->stream = s.stream;
		e = make_vectors(c, &s);
	}
	if (e == OK)
		e = io_device_bind_fault(d->device, d->fault_bell);
	if (e != OK) {
		refuse_device(f, error_name(e));
		return false;
	}
	d->granted = true;
	say("%s: device %04x:%02x:%02x.%u, stream 0x%x, %u vectors", c->conf->name, f->segment,
	    f->rid >> 8, f->rid >> 3 & 31u, f->rid & 7u, s.stream, d->vector_count);
	return true;
}

static enum device_answer
answer_to(const struct found *f)
{
	if (f->refused)
		return DEVICE_REFUSED;
	return f->driver == NULL ? DEVICE_NOBODYS : DEVICE_GRANTED;
}

/* The same as in an earlier life of devmgr, or something else at that place? */
static enum device_answer
found_again(struct found *f, const struct device_found *d)
{
	if (memcmp(&f->d, d, sizeof *d) == 0)
		return answer_to(f);
	refuse_device(d, "is not what it was");
	return DEVICE_REFUSED;
}

static enum device_answer
found_new(const struct device_found *d)
{
	struct found *f = &found[found_count];
	const char *wrong = grant_check(tessera.boot, d);

	if (found_count == MAX_FOUND) {
		refuse_device(d, "more devices than init remembers");
		return DEVICE_REFUSED;
	}
	*f = (struct found){ .d = *d };
	for (unsigned i = 0; i < found_count && wrong == NULL; i++)
		if (!found[i].refused && grant_overlaps(&found[i].d, d))
			wrong = "a BAR lies over another device's";
	found_count++;
	if (wrong != NULL) {
		refuse_device(d, wrong);
		f->refused = true;
		return DEVICE_REFUSED;
	}
	/* whoever waited for it was given up */
	if (settled)
		return DEVICE_NOBODYS;
	f->driver = driver_for(d);
	if (f->driver != NULL && !grant(f->driver, d)) {
		f->driver = NULL;
		f->refused = true;
	}
	return answer_to(f);
}

static enum device_answer
device_found(const struct msg *m)
{
	const struct ipc_buffer *ipc = (const struct ipc_buffer *)INIT_IPC_VADDR;
	union {
		struct device_found d;
		uint64_t words[sizeof(struct device_found) / 8];
	} u;
	struct found *f;

	if (msg_words(m->info) != sizeof u.words / 8)
		return DEVICE_REFUSED;
	for (unsigned i = 0; i < sizeof u.words / 8; i++)
		u.words[i] = i < MSG_WORDS_REG ? m->words[i] : ipc->words[i];
	u.d.reserved = 0;
	f = find(u.d.segment, u.d.rid);
	return f == NULL ? found_new(&u.d) : found_again(f, &u.d);
}

static void
device_enabled(uint64_t where)
{
	struct found *f = find((uint16_t)(where >> 16), (uint16_t)where);

	if (f != NULL && f->driver != NULL && !f->refused)
		f->driver->driver.enabled = true;
}

bool
device_message(const struct component *c, const struct msg *m)
{
	struct msg answer = { .info = MSG_INFO(0, 1, 0) };

	if (!c->conf->pci_config)
		return false;
	switch (msg_label(m->info)) {
	case DEVICE_FOUND:
		answer.words[0] = device_found(m);
		break;
	case DEVICE_ENABLED:
		device_enabled(m->words[0]);
		break;
	case DEVICE_DONE:
		break;
	default:
		return false;
	}
	sys_send(tessera.reply, &answer, 0);
	if (msg_label(m->info) == DEVICE_DONE)
		device_settle();
	return true;
}

/* ---- when it is known what there is --------------------------------------- */

void
device_start(void)
{
	const struct component *devmgr = NULL;
	bool wanted = false;

	for (unsigned i = 0; i < tessera.conf.component_count; i++) {
		const struct component *c = &tessera.component[i];

		wanted |= is_driver(c);
		if (c->conf->pci_config && c->state != STATE_ABSENT)
			devmgr = c;
	}
	settle_ticks = time_ticks() + time_ticks_of_ns((uint64_t)SETTLE_SECONDS * 1000000000);
	if (devmgr == NULL || !wanted)
		device_settle();
}

/* Does it serve files of disks, none of which are there? */
static bool
is_diskless(const struct component *c)
{
	bool serves = false, wants = false, has = false;

	for (unsigned i = 0; i < tessera.conf.channel_count; i++) {
		const struct channel *ch = &tessera.channel[i];

		serves |= ch->conf->type == CHANNEL_FS && ch->conf->server == (int)c->index;
		if (ch->conf->type != CHANNEL_BLOCK || ch->conf->client != (int)c->index)
			continue;
		wants = true;
		has |= channel_end(ch->conf->server)->state != STATE_ABSENT;
	}
	return serves && wants && !has;
}

static void
leave_out_diskless(void)
{
	for (unsigned i = 0; i < tessera.conf.component_count; i++) {
		struct component *c = &tessera.component[i];

		if (c->state == STATE_BUILT && is_diskless(c))
			c->state = STATE_ABSENT;
	}
}

void
device_settle(void)
{
	if (settled)
		return;
	settled = true;
	for (unsigned i = 0; i < tessera.conf.component_count; i++) {
		struct component *c = &tessera.component[i];

		if (!is_driver(c) || (c->driver.granted && c->driver.enabled))
			continue;
		say("%s: its device is not there", c->conf->name);
		c->state = STATE_ABSENT;
	}
	leave_out_diskless();
	channels_number();
	start_waiting();
}

/* Of a deadline in ticks, 0: none, and that of lines about refused devices the earlier one. */
static uint64_t
say_left_out(uint64_t next)
{
	uint32_t n = limit_left_out(&refusals, time_ns_of_ticks(time_ticks()));
	uint64_t due = limit_due_ns(&refusals);

	if (n != 0)
		say(LOG_WARNING "%u more lines about refused devices were left out", n);
	if (due == UINT64_MAX)
		return next;
	due = time_ticks_of_ns(due) + 1;
	return next == 0 || due < next ? due : next;
}

/* Deadlines: the end of the wait for devmgr, faults that were not told yet. */
uint64_t
device_deadlines(void)
{
	uint64_t now = time_ticks(), next = 0;

	if (!settled && now >= settle_ticks) {
		say(LOG_WARNING "devmgr has not said in %u s what there is: drivers are given up",
		    SETTLE_SECONDS);
		device_settle();
	}
	if (!settled)
		next = settle_ticks;
	next = say_left_out(next);
	for (unsigned i = 0; i < tessera.conf.component_count; i++) {
		struct driver *d = &tessera.component[i].driver;

		if (d->fault_pending && now >= d->fault_ticks)
			device_fault(&tessera.component[i]);
		if (d->fault_pending && (next == 0 || d->fault_ticks < next))
			next = d->fault_ticks;
	}
	return next;
}

/* ---- faults --------------------------------------------------------------- */

/* The SMMU's event numbers, IHI 0070 §7.3. */
static const char *
fault_name(uint32_t kind)
{
	switch (kind) {
	case 0x02: return "stream not known";
	case 0x04: return "no stream table entry";
	case 0x0a: return "no context descriptor";
	case 0x10: return "nothing is mapped";
	case 0x11: return "address too large";
	case 0x12: return "access flag";
	case 0x13: return "not permitted";
	default: return "event";
	}
}

/* One line, and the next one after a pause: a device faults with every word. */
void
device_fault(struct component *c)
{
	struct driver *d = &c->driver;
	uint32_t kind, write;
	uint64_t address, count;

	if (time_ticks() < d->fault_ticks) {
		d->fault_pending = true;
		return;
	}
	d->fault_pending = false;
	if (io_device_fault(d->device, &kind, &address, &write, &count) != OK || kind == 0)
		return;
	d->fault_ticks = time_ticks() + time_ticks_of_ns((uint64_t)FAULT_PAUSE_MS * 1000000);
	say(LOG_WARNING "%s: its device (stream 0x%x) was refused %s address 0x%llx: %s (0x%x), "
	    "%llu times so far", c->conf->name, d->stream, write ? "writing" : "reading",
	    (unsigned long long)address, fault_name(kind), kind, (unsigned long long)count);
}

void
device_fault_bits(uint64_t bits)
{
	for (unsigned i = 0; i < tessera.conf.component_count; i++) {
		struct component *c = &tessera.component[i];

		if (c->driver.device != 0 && (bits >> c->driver.fault_bit & 1))
			device_fault(c);
	}
}

/* ---- what a driver is given ------------------------------------------------ */

/* No DMA of its device from here on; before its memory goes. */
void
driver_unbind(struct component *c)
{
	if (c->driver.granted)
		io_device_bind(c->driver.device, 0);
}

uint64_t
driver_tables(const struct component *c)
{
	uint64_t bytes = c->conf->dma;

	for (unsigned i = 0; c->driver.granted && i < DEVICE_BARS; i++)
		bytes += c->driver.found.bar[i].size;
	return c->driver.granted ? (bytes >> 21) + 4 : 0;
}

static void
describe(struct component *c, struct component_pci *to)
{
	const struct driver *d = &c->driver;
	const struct device_found *f = &d->found;

	format(to->name, sizeof to->name, "%04x:%02x:%02x.%u", f->segment, f->rid >> 8,
	    f->rid >> 3 & 31u, f->rid & 7u);
	to->vendor = f->vendor;
	to->device = f->device;
	to->class_code = f->class_code;
	to->irq_count = d->vector_count;
	to->irq_bit = d->vector_count == 0 ? 0 : (uint64_t)1 << BIT_FIRST_VECTOR;
	to->msi_address = d->msi_address;
	to->msi_data = d->msi_data;
	to->msix_table_bar = f->msix_bar;
	to->msix_table_offset = f->msix_offset;
	to->coherent = grant_coherent(tessera.boot, f);
	for (unsigned i = 0; i < 4; i++) {
		to->virtio[i].bar = f->virtio[i].bar;
		to->virtio[i].offset = f->virtio[i].offset;
		to->virtio[i].length = f->virtio[i].length;
		to->virtio[i].multiplier = f->virtio[i].multiplier;
	}
}

/* Registers follow one another; each BAR where blocks of 2 MiB can be used. */
static enum error
give_bars(struct component *c, struct component_pci *to)
{
	uint64_t vaddr = COMPONENT_DEVICE_BASE + (2u << 20);	/* behind the UART's page */
	enum error e = OK;

	for (unsigned i = 0; i < DEVICE_BARS && e == OK; i++) {
		const struct device_bar *bar = &c->driver.found.bar[i];
		uint64_t page = bar->base & ~(uint64_t)(PAGE - 1);
		uint64_t bytes = round_up(bar->base + bar->size, PAGE) - page;

		if (bar->size == 0)
			continue;
		vaddr = round_up(vaddr, bytes < 2u << 20 ? PAGE : 2u << 20);
		if (vaddr + bytes > COMPONENT_DMA_BASE)
			return ERR_RANGE;
		to->bar[i].address = vaddr + (bar->base - page);
		to->bar[i].size = bar->size;
		e = give_device(c, page, bytes, vaddr);
		vaddr += bytes;
	}
	return e;
}

static enum error
give_dma(struct component *c, struct component_info *info)
{
	const unsigned rights = RIGHT_READ | RIGHT_WRITE;
	enum error e = make(c, "DMA memory", OBJ_FRAME, log2_up(c->conf->dma), c->made.dma);

	if (e == OK)
		e = give_mapped(c, c->made.dma, 0, c->conf->dma, COMPONENT_DMA_BASE, rights, MAP_NORMAL);
	if (e == OK)
		e = give_io(c, c->made.dma, c->conf->dma, c->driver.space, IO_WINDOW(0) + DMA_IO_BASE);
	info->dma_address = COMPONENT_DMA_BASE;
	info->dma_io = IO_WINDOW(0) + DMA_IO_BASE;
	info->dma_size = c->conf->dma;
	return e;
}

enum error
give_pci(struct component *c, struct component_info *info, uint32_t *slot)
{
	struct component_pci *to = &info->pci;
	enum error e;

	describe(c, to);
	to->device_slot = (*slot)++;
	to->space_slot = (*slot)++;
	e = give(c, to->device_slot, c->driver.device, RIGHT_READ | RIGHT_WRITE, 0);
	if (e == OK)
		e = give(c, to->space_slot, c->driver.space, RIGHT_WRITE, 0);
	to->irq_slot = c->driver.vector_count == 0 ? 0 : *slot;
	for (unsigned i = 0; i < c->driver.vector_count && e == OK; i++)
		e = give(c, (*slot)++, c->driver.vector + i, RIGHT_WRITE, 0);
	if (e == OK)
		e = give_bars(c, to);
	if (e == OK && c->conf->dma != 0)
		e = give_dma(c, info);
	return e;
}

/* A component's heap, in the order of its addresses, for each device it lends to. */
enum error
lend_heap(struct component *c, unsigned pieces)
{
	enum error e = OK;

	for (unsigned i = 0; i < tessera.conf.lend_count && e == OK; i++) {
		const struct conf_lend *l = &tessera.conf.lend[i];
		struct component *to = &tessera.component[l->to];
		uint64_t iova = IO_WINDOW(c->conf->window), bytes, vaddr;
		uint32_t device;

		if (l->from != (int)c->index || to->state == STATE_ABSENT)
			continue;
		for (unsigned k = 0; k < pieces && e == OK; k++, iova += bytes) {
			e = frame_info(c->made.heap + k, &bytes, &vaddr, &device);
			if (e == OK)
				e = give_io(c, c->made.heap + k, bytes, to->driver.space, iova);
		}
	}
	return e;
}

/* ---- what devmgr is given -------------------------------------------------- */

static uint64_t
config_bytes(const struct boot_ecam *e)
{
	return (uint64_t)(e->bus_last - e->bus_first + 1) << 20;
}

uint64_t
config_tables(void)
{
	uint64_t bytes = 0;

	for (unsigned i = 0; i < tessera.boot->ecam_count && i < BOOT_MAX_ECAM; i++)
		bytes += config_bytes(&tessera.boot->ecam[i]);
	/* blocks of 2 MiB but for the ends of each */
	return (bytes >> 30) + 2 + 2 * (uint64_t)tessera.boot->ecam_count;
}

enum error
give_config(struct component *c, struct device_hosts *hosts)
{
	uint64_t vaddr = COMPONENT_CONFIG_BASE;
	enum error e = OK;

	memset(hosts, 0, sizeof *hosts);
	for (unsigned i = 0; i < tessera.boot->ecam_count && i < DEVICE_MAX_HOSTS && e == OK; i++) {
		const struct boot_ecam *b = &tessera.boot->ecam[i];

		/* where its place within 2 MiB is that of the registers */
		vaddr = round_up(vaddr, 2u << 20) + (b->base & ((2u << 20) - 1));
		hosts->host[hosts->count++] = (struct device_host){
			.config = vaddr,
			.segment = b->segment,
			.bus_first = b->bus_first,
			.bus_last = b->bus_last,
			.mem32 = { b->mem32.base, b->mem32.size, b->mem32_bus },
			.mem64 = { b->mem64.base, b->mem64.size, b->mem64_bus },
		};
		e = give_device(c, b->base, config_bytes(b), vaddr);
		vaddr += config_bytes(b);
	}
	return e;
}
