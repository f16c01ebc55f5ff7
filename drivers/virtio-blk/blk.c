/* SPDX-License-Identifier: MIT */
/*
 * The virtio block device, virtio 1.1 §5.2: set-up, requests, and what happens when it does
 * not do what it should: it is reset, and everything is given again.
 */
#include <tessera/runtime.h>
#include <tessera/string.h>
#include "blk.h"

/* Features, §5.2.3 */
#define F_SIZE_MAX	(1ULL << 1)
#define F_SEG_MAX	(1ULL << 2)
#define F_RO		(1ULL << 5)
#define F_BLK_SIZE	(1ULL << 6)
#define F_FLUSH		(1ULL << 9)
#define F_TOPOLOGY	(1ULL << 10)
#define F_CONFIG_WCE	(1ULL << 11)
#define F_DISCARD	(1ULL << 13)
#define F_WRITE_ZEROES	(1ULL << 14)
#define WANTED (F_SIZE_MAX | F_SEG_MAX | F_RO | F_BLK_SIZE | F_FLUSH | F_TOPOLOGY | F_CONFIG_WCE | F_DISCARD | \
	F_WRITE_ZEROES | VIRTIO_INDIRECT)

/* Configuration, §5.2.4: offsets */
enum { CONFIG_CAPACITY = 0, CONFIG_SIZE_MAX = 8, CONFIG_SEG_MAX = 12, CONFIG_BLK_SIZE = 20, CONFIG_PHYSICAL_EXP = 24,
	CONFIG_WRITEBACK = 32, CONFIG_MAX_DISCARD = 36, CONFIG_MAX_ZEROES = 48, CONFIG_BYTES = 60, CONFIG_MIN = 8 };

/* Requests and their status, §5.2.6 */
enum { TYPE_IN = 0, TYPE_OUT = 1, TYPE_FLUSH = 4, TYPE_GET_ID = 8, TYPE_DISCARD = 11, TYPE_ZEROES = 13 };
enum { STATUS_OK = 0, STATUS_IOERR = 1, STATUS_UNSUPPORTED = 2, STATUS_NONE = 0xff };

enum { SECTOR = 512 };

static uint64_t
after_ms(uint64_t ms)
{
	return time_ticks() + time_ticks_of_ns(ms * 1000000);
}

/* ---- reset ------------------------------------------------------------------------ */

static void
fail(struct blk *b, const char *what)
{
	if (!b->failed)
		log_line(LOG_WARNING "virtio-blk: %s: the device is reset", what);
	b->failed = true;
}

static void
nonsense(struct blk *b, const char *what)
{
	if (b->nonsense++ == 0)
		log_line(LOG_WARNING "virtio-blk: the device answers nonsense: %s", what);
	if (b->nonsense >= BLK_NONSENSE)
		fail(b, "too much nonsense");
}

static void
break_down(struct blk *b, const char *what)
{
	log_line(LOG_WARNING "virtio-blk: %s: given up", what);
	b->state = BLK_BROKEN;
	if (b->bound)
		pci_unbind(b->virtio.pci);
	b->bound = false;
	block_device_state(b->server, BLOCK_FAILED);
}

static void
reset_begin(struct blk *b)
{
	b->failed = b->config_changed = false;
	b->nonsense = 0;
	b->state = BLK_RESETTING;
	b->deadline = after_ms(BLK_RESET_MS);
	virtio_reset(&b->virtio);
}

/* ---- set-up ------------------------------------------------------------------------- */

static uint32_t
get32(const uint8_t *p)
{
	uint32_t v;

	memcpy(&v, p, sizeof v);
	return v;
}

static uint64_t
get64(const uint8_t *p)
{
	return get32(p) | (uint64_t)get32(p + 4) << 32;
}

static bool
has(const struct blk *b, uint64_t feature)
{
	return (b->virtio.features & feature) != 0;
}

static uint32_t
least(uint32_t a, uint32_t b)
{
	return a < b ? a : b;
}

static void
limits_take(struct blk *b, const uint8_t *config)
{
	struct block_limits *l = &b->facts.limits;
	uint32_t bs = b->facts.block_size, per = bs / SECTOR;

	l->max_segments = b->queue.chain - 2u;
	if (has(b, F_SEG_MAX))
		l->max_segments = least(l->max_segments, get32(config + CONFIG_SEG_MAX));
	l->max_segment_bytes = BLK_MAX_BYTES;
	if (has(b, F_SIZE_MAX))
		l->max_segment_bytes = least(l->max_segment_bytes, get32(config + CONFIG_SIZE_MAX) / bs * bs);
	l->max_bytes = BLK_MAX_BYTES;
	l->boundary = 0;
	l->align = 4;
	l->max_discard = has(b, F_DISCARD) ? get32(config + CONFIG_MAX_DISCARD) / per : 0;
	l->max_zeroes = has(b, F_WRITE_ZEROES) ? get32(config + CONFIG_MAX_ZEROES) / per : 0;
}

/* NULL, or why it can be no disk. */
static const char *
facts_take(struct blk *b)
{
	struct block_device *f = &b->facts;
	uint8_t config[CONFIG_BYTES];
	uint64_t sectors;
	uint32_t bs;

	if (!virtio_config_read(&b->virtio, config, sizeof config))
		return "its configuration changes all the time";
	sectors = get64(config + CONFIG_CAPACITY);
	bs = has(b, F_BLK_SIZE) ? get32(config + CONFIG_BLK_SIZE) : SECTOR;
	if (bs != 512 && bs != 4096)
		return "its blocks have neither 512 nor 4096 bytes";
	f->block_size = bs;
	f->blocks = sectors / (bs / SECTOR);
	if (f->blocks == 0 || sectors > UINT64_MAX / SECTOR)
		return "it has no size";
	f->physical_size = bs;
	if (has(b, F_TOPOLOGY) && config[CONFIG_PHYSICAL_EXP] < 8)
		f->physical_size = bs << config[CONFIG_PHYSICAL_EXP];
	limits_take(b, config);
	if (f->limits.max_segments == 0 || f->limits.max_segment_bytes == 0)
		return "it takes no data";
	/* §5.2.5: without the cache's switch the device may cache if it can flush. */
	f->flags = has(b, F_FLUSH) && (!has(b, F_CONFIG_WCE) || config[CONFIG_WRITEBACK] != 0) ? BLOCK_HAS_CACHE : 0u;
	f->flags |= has(b, F_RO) ? BLOCK_READONLY : 0u;
	f->flags |= f->limits.max_discard != 0 ? BLOCK_HAS_DISCARD : 0u;
	f->flags |= f->limits.max_zeroes != 0 ? BLOCK_HAS_ZEROES : 0u;
	format(f->name, sizeof f->name, "vd%c", (char)('a' + block_disk_number(b->server) % 26));
	format(f->model, sizeof f->model, "Virtio disk");
	return NULL;
}

static uint64_t
slot_part(const struct blk *b, unsigned slot, size_t offset)
{
	return b->slot_io + slot * sizeof(struct blk_slot) + offset;
}

#define PART(b, slot, field) slot_part(b, slot, offsetof(struct blk_slot, field))

/* Header in front, status behind (§5.2.6): both are this slot's. */
static void
slot_submit(struct blk *b, unsigned slot, uint32_t type, uint64_t sector, struct virtio_buffer *buffer, unsigned n)
{
	struct blk_slot *s = &b->slot[slot];

	s->header = (struct blk_header){ .type = type, .sector = sector };
	s->status = STATUS_NONE;
	dma_push(b->dma, s, sizeof *s);
	buffer[0] = (struct virtio_buffer){ .address = PART(b, slot, header), .bytes = sizeof s->header };
	buffer[n] = (struct virtio_buffer){ .address = PART(b, slot, status), .bytes = 1, .device_writes = true };
	b->slot_deadline[slot] = after_ms(BLK_REQUEST_MS);
	virtio_queue_submit(&b->queue, slot, buffer, n + 1);
}

/* §5.2.6, GET_ID: 20 bytes of text. */
static void
name_ask(struct blk *b)
{
	struct virtio_buffer buffer[3];
	int slot = virtio_queue_slot(&b->queue);

	memset(b->slot[slot].id, 0, sizeof b->slot[slot].id);
	buffer[1] = (struct virtio_buffer){
		.address = PART(b, (unsigned)slot, id), .bytes = sizeof b->slot[slot].id, .device_writes = true,
	};
	slot_submit(b, (unsigned)slot, TYPE_GET_ID, 0, buffer, 2);
	virtio_queue_kick(&b->queue);
	b->state = BLK_NAMING;
}

/* Vectors: one for the queue, the other for changes of the configuration; or one for both. */
static const char *
set_up(struct blk *b)
{
	unsigned vectors = pci_vectors(b->virtio.pci);
	uint16_t config = vectors > 0 ? 0 : VIRTIO_NO_VECTOR;
	uint16_t queue = vectors > 1 ? 1 : config;
	const char *why = virtio_negotiate(&b->virtio, WANTED);

	if (why != NULL)
		return why;
	if (!virtio_config_vector(&b->virtio, config))
		return "the device refuses its vector";
	b->queue.chain = has(b, VIRTIO_INDIRECT) ? BLK_CHAIN : BLK_CHAIN_DIRECT;
	why = virtio_queue_start(&b->queue, 0, queue);
	if (why == NULL)
		why = facts_take(b);
	return why;
}

/* The device is reset: nothing old is left in it, and only now it may reach memory. */
static void
is_reset(struct blk *b)
{
	const char *why;

	block_device_lost(b->server);
	if (++b->resets > BLK_RESETS) {
		break_down(b, "it does not come up");
		return;
	}
	if (!b->bound && !pci_bind(b->virtio.pci)) {
		break_down(b, "no IOSpace");
		return;
	}
	b->bound = true;
	why = set_up(b);
	if (why != NULL) {
		virtio_fail(&b->virtio);
		break_down(b, why);
		return;
	}
	virtio_go(&b->virtio);
	name_ask(b);
}

static void
poll_resetting(struct blk *b)
{
	if (virtio_is_reset(&b->virtio))
		is_reset(b);
	else if (time_ticks() >= b->deadline)
		break_down(b, "it cannot be reset");
}

/* ---- requests ------------------------------------------------------------------------- */

static unsigned
data_put(const struct block_command *c, struct virtio_buffer *buffer)
{
	for (unsigned i = 0; i < c->segments; i++)
		buffer[i] = (struct virtio_buffer){
			.address = c->segment[i].address, .bytes = c->segment[i].bytes,
			.device_writes = c->op == BLOCK_READ,
		};
	return c->segments;
}

static unsigned
range_put(struct blk *b, unsigned slot, const struct block_command *c, struct virtio_buffer *buffer)
{
	uint32_t per = b->facts.block_size / SECTOR;

	b->slot[slot].range = (struct blk_range){ .sector = c->block * per, .sectors = c->count * per };
	buffer[0] = (struct virtio_buffer){ .address = PART(b, slot, range), .bytes = sizeof(struct blk_range) };
	return 1;
}

static bool
blk_submit(void *device, const struct block_command *c, uint32_t tag)
{
	static const uint32_t types[] = { [BLOCK_READ] = TYPE_IN, [BLOCK_WRITE] = TYPE_OUT,
		[BLOCK_FLUSH] = TYPE_FLUSH, [BLOCK_DISCARD] = TYPE_DISCARD, [BLOCK_WRITE_ZEROES] = TYPE_ZEROES };
	struct virtio_buffer buffer[BLK_CHAIN];
	struct blk *b = device;
	uint64_t sector = 0;
	unsigned n = 1;
	int slot;

	if (b->state != BLK_LIVE || b->failed)
		return false;
	slot = virtio_queue_slot(&b->queue);
	if (slot < 0)
		return false;
	if (c->op == BLOCK_READ || c->op == BLOCK_WRITE) {
		n += data_put(c, buffer + 1);
		sector = c->block * (b->facts.block_size / SECTOR);
	} else if (c->op != BLOCK_FLUSH) {
		n += range_put(b, (unsigned)slot, c, buffer + 1);
	}
	b->tag[slot] = tag;
	slot_submit(b, (unsigned)slot, types[c->op], sector, buffer, n);
	return true;
}

static void
blk_kick(void *device)
{
	struct blk *b = device;

	if (b->state == BLK_LIVE)
		virtio_queue_kick(&b->queue);
}

static void
name_take(struct blk *b, const struct blk_slot *s)
{
	char *to = b->facts.serial;
	size_t n = 0;

	memset(to, 0, sizeof b->facts.serial);
	if (s->status == STATUS_OK)
		for (; n < sizeof s->id && s->id[n] != 0; n++)
			to[n] = s->id[n] >= 0x20 && s->id[n] < 0x7f ? (char)s->id[n] : '?';
	b->state = BLK_LIVE;
	b->resets = 0;
	log_line("virtio-blk: %u requests at once, %s descriptors", b->queue.slots,
	    b->queue.indirect ? "indirect" : "direct");
	block_device_up(b->server, &b->facts);
}

static void
request_done(struct blk *b, unsigned slot)
{
	const struct blk_slot *s = &b->slot[slot];
	enum block_status status = BLOCK_EIO;

	dma_pull(b->dma, s, sizeof *s);
	if (b->state == BLK_NAMING) {
		name_take(b, s);
		return;
	}
	switch (*(const volatile uint8_t *)&s->status) {
	case STATUS_OK:
		status = BLOCK_OK;
		break;
	case STATUS_IOERR:
		log_line(LOG_WARNING "%s: an error at sector %lu", b->facts.name, s->header.sector);
		break;
	case STATUS_UNSUPPORTED:
		status = BLOCK_ENOTSUP;
		break;
	default:
		nonsense(b, "a request without a status");
	}
	block_done(b->server, b->tag[slot], status);
}

static void
drain(struct blk *b)
{
	unsigned slot;
	uint32_t bytes;

	for (unsigned n = 0; n <= b->queue.slots && !b->failed && b->state != BLK_BROKEN; n++) {
		enum virtio_used used = virtio_queue_used(&b->queue, &slot, &bytes);

		if (used == VIRTIO_NOTHING)
			break;
		if (used == VIRTIO_NONSENSE)
			nonsense(b, "a used entry of no request");
		else
			request_done(b, slot);
	}
}

/* ---- time ------------------------------------------------------------------------------ */

static void
look(struct blk *b)
{
	uint8_t status;

	if (b->queue.in_flight == 0 || time_ticks() < b->look_after)
		return;
	b->look_after = after_ms(BLK_LOOK_MS);
	status = virtio_status(&b->virtio);
	if (status == 0xff)
		fail(b, "it is gone");
	else if ((status & VIRTIO_NEEDS_RESET) != 0)
		fail(b, "it needs a reset");
	for (unsigned i = 0; i < b->queue.slots; i++)
		if (b->queue.busy[i] && time_ticks() >= b->slot_deadline[i])
			fail(b, "a request has no answer");
}

/* A changed capacity is new facts, and those need a device at rest: a reset brings both. */
static void
config_look(struct blk *b)
{
	uint8_t capacity[8];

	b->config_changed = false;
	if (virtio_status(&b->virtio) & VIRTIO_NEEDS_RESET)
		fail(b, "it needs a reset");
	else if (virtio_config_read(&b->virtio, capacity, sizeof capacity) &&
	    get64(capacity) / (b->facts.block_size / SECTOR) != b->facts.blocks)
		fail(b, "its size changed");
}

static void
blk_poll(void *device)
{
	struct blk *b = device;

	if (b->state == BLK_BROKEN)
		return;
	if (b->state == BLK_RESETTING) {
		poll_resetting(b);
		return;
	}
	drain(b);
	look(b);
	if (b->config_changed && b->state == BLK_LIVE)
		config_look(b);
	if (b->failed)
		reset_begin(b);
}

static void
blk_interrupt(void *device, uint64_t bits)
{
	struct blk *b = device;
	uint64_t vectors = pci_vectors_of(b->virtio.pci, bits);

	b->config_changed |= (vectors & 1) != 0;
	pci_irq_ack(b->virtio.pci, vectors);
}

static bool
blk_rest(void *device)
{
	(void)device;
	return true;
}

static uint64_t
blk_deadline(void *device)
{
	struct blk *b = device;

	if (b->state == BLK_BROKEN)
		return 0;
	if (b->state == BLK_RESETTING || (pci_vectors(b->virtio.pci) == 0 && b->queue.in_flight != 0))
		return after_ms(BLK_POLL_MS);
	return b->queue.in_flight != 0 ? b->look_after + 1 : 0;
}

const struct block_operations blk_operations = {
	.submit = blk_submit,
	.kick = blk_kick,
	.poll = blk_poll,
	.interrupt = blk_interrupt,
	.rest = blk_rest,
	.deadline = blk_deadline,
};

bool
blk_start(struct blk *b, struct block_server *server, const struct component_pci *pci, struct dma_region *dma)
{
	memset(b, 0, sizeof *b);
	b->server = server;
	b->dma = dma;
	if (!virtio_open(&b->virtio, pci, CONFIG_MIN))
		return false;
	b->slot = dma_alloc(dma, VIRTIO_SLOTS * sizeof *b->slot, 64, &b->slot_io);
	if (b->slot == NULL || !virtio_queue_memory(&b->queue, &b->virtio, dma, BLK_CHAIN)) {
		log_line(LOG_WARNING "virtio-blk: not enough memory for DMA");
		return false;
	}
	if (!pci_msix_start(pci)) {
		log_line(LOG_WARNING "virtio-blk: no MSI-X table where it should be");
		return false;
	}
	reset_begin(b);
	return true;
}
