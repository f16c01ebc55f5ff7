/* SPDX-License-Identifier: MIT */
/*
 * The controller's life (NVMe 1.4 §7.6): reset, set-up in named states, time-outs, events.
 *
 * Whatever goes wrong, the answer is the same: note it (failed), and at the end of the turn reset
 * the controller.  When CSTS.RDY is 0 no old command completes or touches memory any more
 * (§7.3.2): then the block server takes its commands back, and sends them again when we
 * are live.
 */
#include <driver/mmio.h>
#include <tessera/runtime.h>
#include <tessera/string.h>
#include "nvme.h"

static uint32_t
get(const struct nvme *n, unsigned reg)
{
	return mmio_read32(n->base + reg);
}

static void
set(const struct nvme *n, unsigned reg, uint32_t value)
{
	mmio_write32(n->base + reg, value);
}

/* 64-bit registers may be accessed as two halves (§3.1). */
static void
set64(const struct nvme *n, unsigned reg, uint64_t value)
{
	set(n, reg, (uint32_t)value);
	set(n, reg + 4, (uint32_t)(value >> 32));
}

static uint64_t
after_ms(uint64_t ms)
{
	return time_ticks() + time_ticks_of_ns(ms * 1000000);
}

static bool
is_past(uint64_t deadline)
{
	return deadline != 0 && time_ticks() >= deadline;
}

static const char *
state_name(enum nvme_state state)
{
	static const char *const names[] = { "disabling", "enabling", "identifying the controller",
		"listing namespaces", "identifying a namespace", "asking for queues", "creating a completion queue",
		"creating a submission queue", "subscribing to events", "running", "broken" };

	return names[state];
}

/* ---- reset -------------------------------------------------------------------- */

static void
fail(struct nvme *n, const char *what)
{
	if (!n->failed)
		log_line(LOG_WARNING "nvme: %s while %s: the controller is reset", what, state_name(n->state));
	n->failed = true;
}

void
nvme_makes_no_sense(struct nvme *n, const char *what)
{
	if (n->nonsense++ == 0)
		log_line(LOG_WARNING "nvme: the device answers nonsense: %s", what);
	if (n->nonsense >= NVME_NONSENSE)
		fail(n, "too much nonsense");
}

static void
break_down(struct nvme *n, const char *what)
{
	log_line(LOG_WARNING "nvme: %s: given up", what);
	n->state = NVME_BROKEN;
	/* It may not have stopped; but then it reaches no memory any more. */
	if (n->bound)
		pci_unbind(n->pci);
	n->bound = false;
	block_device_state(n->server, BLOCK_FAILED);
}

/* CAP.TO is the worst case for both directions (§3.1.1); 0 is taken as one unit. */
static uint64_t
ready_ms(const struct nvme *n)
{
	return (CAP_TO(n->cap) + 1) * 500ULL;
}

static void
reset_begin(struct nvme *n)
{
	n->failed = false;
	n->nonsense = 0;
	n->aborting = n->log_busy = false;
	n->logs_wanted = 0;
	n->events = 0;
	n->state = NVME_DISABLING;
	n->deadline = after_ms(ready_ms(n));
	set(n, NVME_CC, get(n, NVME_CC) & ~(uint32_t)CC_EN);
}

static void
enable(struct nvme *n)
{
	nvme_queue_reset(n, &n->admin, 0);
	set(n, NVME_AQA, (uint32_t)(n->admin.depth - 1) << 16 | (uint32_t)(n->admin.depth - 1));
	set64(n, NVME_ASQ, n->admin.sq_io);
	set64(n, NVME_ACQ, n->admin.cq_io);
	set(n, NVME_CC, CC_WANTED);
	n->state = NVME_ENABLING;
	n->deadline = after_ms(ready_ms(n));
}

/* CSTS.RDY is 0.  Only now may the device reach memory: nothing old is left in it. */
static void
disabled(struct nvme *n)
{
	block_device_lost(n->server);
	if (++n->resets > NVME_RESETS) {
		break_down(n, "it does not come up");
		return;
	}
	if (!n->bound && !pci_bind(n->pci)) {
		break_down(n, "no IOSpace");
		return;
	}
	n->bound = true;
	enable(n);
}

static void
poll_disabling(struct nvme *n)
{
	uint32_t status = get(n, NVME_CSTS);

	/* All ones: the device is gone from the bus. */
	if (status != UINT32_MAX && (status & CSTS_RDY) == 0)
		disabled(n);
	else if (is_past(n->deadline))
		break_down(n, status == UINT32_MAX ? "the device is gone" : "it cannot be stopped");
}

/* ---- set-up --------------------------------------------------------------------- */

static void
admin(struct nvme *n, enum nvme_purpose purpose, uint32_t tag, const struct nvme_sqe *sqe, uint64_t ms)
{
	int cid = nvme_queue_cid(&n->admin, purpose, tag);

	if (cid < 0) {
		fail(n, "no room in the admin queue");
		return;
	}
	n->admin.command[cid].sqe = *sqe;
	nvme_queue_submit(n, &n->admin, (unsigned)cid, ms);
}

static void
setup(struct nvme *n, enum nvme_state state, const struct nvme_sqe *sqe)
{
	n->state = state;
	admin(n, NVME_FOR_SETUP, 0, sqe, NVME_ADMIN_MS);
}

static void
identify(struct nvme *n, enum nvme_state state, uint32_t cns, uint32_t nsid)
{
	memset(n->buffer, 0, NVME_PAGE);
	dma_push(n->dma, n->buffer, NVME_PAGE);
	setup(n, state, &(struct nvme_sqe){
		.opcode = ADMIN_IDENTIFY, .nsid = nsid, .prp1 = n->buffer_io, .cdw10 = cns,
	});
}

static void
poll_enabling(struct nvme *n)
{
	uint32_t status = get(n, NVME_CSTS);

	if (status == UINT32_MAX)
		fail(n, "the device is gone");
	else if ((status & CSTS_CFS) != 0)
		fail(n, "fatal status");
	else if ((status & CSTS_RDY) != 0)
		identify(n, NVME_IDENTIFYING, CNS_CONTROLLER, 0);
	else if (is_past(n->deadline))
		fail(n, "no answer");
}

static uint16_t get16(const uint8_t *p) { return (uint16_t)(p[0] | p[1] << 8); }
static uint32_t get32(const uint8_t *p) { return get16(p) | (uint32_t)get16(p + 2) << 16; }
static uint64_t get64(const uint8_t *p) { return get32(p) | (uint64_t)get32(p + 4) << 32; }

/* ASCII, padded with blanks, without a NUL (§1.5); anything else becomes a question mark. */
static void
text_take(char *to, size_t room, const uint8_t *from, size_t count)
{
	size_t n = count < room - 1 ? count : room - 1;

	for (size_t i = 0; i < n; i++)
		to[i] = from[i] >= 0x20 && from[i] < 0x7f ? (char)from[i] : '?';
	while (n > 0 && (to[n - 1] == ' ' || from[n - 1] == 0))
		n--;
	memset(to + n, 0, room - n);
}

static void
controller_take(struct nvme *n)
{
	const uint8_t *p = n->buffer;
	unsigned mdts = p[ID_MDTS];

	text_take(n->facts.serial, sizeof n->facts.serial, p + ID_SERIAL, 20);
	text_take(n->facts.model, sizeof n->facts.model, p + ID_MODEL, 40);
	text_take(n->facts.firmware, sizeof n->facts.firmware, p + ID_FIRMWARE, 8);
	/* A power of two in units of the smallest page, 4 KiB here. */
	n->max_bytes = mdts != 0 && mdts < 7 ? (uint32_t)NVME_PAGE << mdts : NVME_MAX_BYTES;
	n->oncs = get16(p + ID_ONCS);
	n->cache = (p[ID_VWC] & 1) != 0;
	n->events_wanted = p[ID_AERL] + 1u < NVME_EVENTS ? p[ID_AERL] + 1u : NVME_EVENTS;
	if ((p[ID_SQES] & 15) > 6 || (p[ID_SQES] >> 4) < 6 || (p[ID_CQES] & 15) > 4 || (p[ID_CQES] >> 4) < 4) {
		fail(n, "entries of other sizes");
		return;
	}
	identify(n, NVME_LISTING, CNS_ACTIVE_LIST, 0);
}

static void
list_take(struct nvme *n)
{
	n->namespace_count = n->namespace_at = 0;
	n->nsid = 0;
	for (unsigned i = 0; i < NVME_NAMESPACES; i++) {
		uint32_t nsid = get32(n->buffer + 4 * i);

		if (nsid == 0)
			break;
		n->namespaces[n->namespace_count++] = nsid;
	}
	if (n->namespace_count == 0) {
		break_down(n, "there is no namespace");
		return;
	}
	identify(n, NVME_NAMING, CNS_NAMESPACE, n->namespaces[0]);
}

/* Whether a namespace can be a disk of ours; the reason, or NULL. */
static const char *
namespace_check(const uint8_t *p, unsigned *block_bits, uint64_t *blocks)
{
	unsigned format = p[NS_FORMAT] & 15u;
	uint32_t lbaf;

	if (format > p[NS_FORMATS])
		return "its format does not exist";
	lbaf = get32(p + NS_LBAF + 4 * format);
	*block_bits = lbaf >> 16 & 0xff;
	*blocks = get64(p + NS_SIZE);
	if ((lbaf & 0xffff) != 0)
		return "it has metadata";
	if (*block_bits != 9 && *block_bits != 12)
		return "its blocks have neither 512 nor 4096 bytes";
	if (*blocks == 0 || *blocks > UINT64_MAX >> *block_bits)
		return "it has no size";
	return NULL;
}

static void
disk_take(struct nvme *n, const uint8_t *p, unsigned block_bits, uint64_t blocks)
{
	struct block_device *f = &n->facts;
	uint32_t bs = 1u << block_bits, npwg = (uint32_t)get16(p + NS_NPWG) + 1;

	f->block_size = bs;
	f->blocks = blocks;
	f->physical_size = (p[NS_FEATURES] & NS_HAS_NPWG) != 0 && npwg <= 65536 / bs ? npwg * bs : bs;
	f->flags = BLOCK_HAS_FUA | (n->cache ? BLOCK_HAS_CACHE : 0u) |
	    (n->oncs & ONCS_DATASET ? BLOCK_HAS_DISCARD : 0u) | (n->oncs & ONCS_WRITE_ZEROES ? BLOCK_HAS_ZEROES : 0u) |
	    (p[NS_ATTRIBUTES] & NS_WRITE_PROTECTED ? BLOCK_READONLY : 0u);
	f->limits = (struct block_limits){
		.max_bytes = n->max_bytes,
		.max_segments = BLOCK_SEGMENTS,
		.max_segment_bytes = n->max_bytes,
		.boundary = NVME_PAGE,			/* PRPs, §4.3 */
		.align = 4,
		.max_discard = n->oncs & ONCS_DATASET ? 1u << 20 : 0,
		.max_zeroes = n->oncs & ONCS_WRITE_ZEROES ? (n->max_bytes / bs < 65536 ? n->max_bytes / bs : 65536) : 0,
	};
	/* Devices count namespaces from 1, and so does Linux's name of the first one. */
	format(f->name, sizeof f->name, "nvme%un%u", block_disk_number(n->server), n->nsid);
}

static void
namespaces_end(struct nvme *n)
{
	if (n->nsid == 0) {
		break_down(n, "there is no namespace that could be a disk");
		return;
	}
	setup(n, NVME_COUNTING, &(struct nvme_sqe){
		.opcode = ADMIN_SET_FEATURES, .cdw10 = FEATURE_QUEUES,
		.cdw11 = (n->queues_wanted - 1) << 16 | (n->queues_wanted - 1),
	});
}

static void
namespace_take(struct nvme *n)
{
	uint32_t nsid = n->namespaces[n->namespace_at];
	unsigned block_bits = 0;
	uint64_t blocks = 0;
	const char *why = namespace_check(n->buffer, &block_bits, &blocks);

	if (why != NULL) {
		log_line(LOG_WARNING "nvme: namespace %u: %s", nsid, why);
	} else if (n->nsid == 0) {
		n->nsid = nsid;
		disk_take(n, n->buffer, block_bits, blocks);
	} else {
		log_line("nvme: namespace %u, %lu MiB, is not served", nsid, blocks >> (20 - block_bits));
	}
	if (++n->namespace_at < n->namespace_count)
		identify(n, NVME_NAMING, CNS_NAMESPACE, n->namespaces[n->namespace_at]);
	else
		namespaces_end(n);
}

static void
create_completion_queue(struct nvme *n)
{
	struct nvme_queue *q = &n->io[n->queue_at];
	bool interrupts = pci_vectors(n->pci) != 0;

	nvme_queue_reset(n, q, (uint16_t)(n->queue_at + 1));
	setup(n, NVME_COMPLETION_QUEUE, &(struct nvme_sqe){
		.opcode = ADMIN_CREATE_CQ, .prp1 = q->cq_io,
		.cdw10 = (uint32_t)(q->depth - 1) << 16 | q->id,
		.cdw11 = (uint32_t)q->vector << 16 | (interrupts ? QUEUE_INTERRUPTS : 0u) | QUEUE_CONTIGUOUS,
	});
}

static void
create_submission_queue(struct nvme *n)
{
	struct nvme_queue *q = &n->io[n->queue_at];

	setup(n, NVME_SUBMISSION_QUEUE, &(struct nvme_sqe){
		.opcode = ADMIN_CREATE_SQ, .prp1 = q->sq_io,
		.cdw10 = (uint32_t)(q->depth - 1) << 16 | q->id,
		.cdw11 = (uint32_t)q->id << 16 | QUEUE_CONTIGUOUS,
	});
}

/* §5.21.1.7: both counts are zero-based; a device may give more than was asked for. */
static void
count_take(struct nvme *n, uint32_t result)
{
	uint32_t got = (result & 0xffff) < result >> 16 ? (result & 0xffff) : result >> 16;

	n->queue_count = got + 1 < n->queues_wanted ? got + 1 : n->queues_wanted;
	n->queue_at = 0;
	create_completion_queue(n);
}

static void
subscribe(struct nvme *n)
{
	setup(n, NVME_SUBSCRIBING, &(struct nvme_sqe){
		.opcode = ADMIN_SET_FEATURES, .cdw10 = FEATURE_EVENTS, .cdw11 = EVENTS_HEALTH | EVENTS_NAMESPACES,
	});
}

static void
queue_created(struct nvme *n)
{
	if (++n->queue_at < n->queue_count)
		create_completion_queue(n);
	else
		subscribe(n);
}

/* ---- logs and events ----------------------------------------------------------------- */

/* One log page at a time; others wait for their turn. */
static void
log_next(struct nvme *n)
{
	uint32_t page, bytes;

	if (n->log_busy || n->logs_wanted == 0)
		return;
	page = (uint32_t)__builtin_ctz(n->logs_wanted);
	bytes = page == LOG_ERRORS ? 64 : page == LOG_CHANGED_NAMESPACES ? NVME_PAGE : HEALTH_BYTES;
	n->logs_wanted &= n->logs_wanted - 1;
	n->log_busy = true;
	admin(n, NVME_FOR_LOG, page, &(struct nvme_sqe){
		.opcode = ADMIN_GET_LOG, .nsid = UINT32_MAX, .prp1 = n->log_io,
		.cdw10 = (bytes / 4 - 1) << 16 | page,
	}, NVME_ADMIN_MS);
}

static void
log_read(struct nvme *n, uint32_t page)
{
	n->logs_wanted |= 1u << page;
	log_next(n);
}

static void
event_wait(struct nvme *n)
{
	for (; n->events < n->events_wanted; n->events++)
		admin(n, NVME_FOR_EVENT, 0, &(struct nvme_sqe){ .opcode = ADMIN_ASYNC_EVENT }, 0);
}

static void
live(struct nvme *n)
{
	n->state = NVME_LIVE;
	n->resets = 0;
	n->look_after = 0;
	event_wait(n);
	log_read(n, LOG_HEALTH);
	log_line("nvme: %u queue%s of %u, %s, %u KiB at once", n->queue_count, n->queue_count == 1 ? "" : "s",
	    n->depth, pci_vectors(n->pci) != 0 ? "message interrupts" : "polled", n->max_bytes / 1024);
	block_device_up(n->server, &n->facts);
}

/* §5.2: reading the log page that an event names lets the next one of its kind come. */
static void
event_take(struct nvme *n, uint32_t event, uint16_t status)
{
	uint32_t page;

	n->events--;
	if (status != 0) {
		n->events_wanted = n->events;	/* it takes no more of them */
		return;
	}
	nvme_event_say(n, event);
	page = event >> 16 & 0xff;
	if (page >= LOG_ERRORS && page <= LOG_CHANGED_NAMESPACES)
		log_read(n, page);
	event_wait(n);
}

static void
log_take(struct nvme *n, uint32_t page, uint16_t status)
{
	n->log_busy = false;
	dma_pull(n->dma, n->log, NVME_PAGE);
	if (status == 0 && page == LOG_HEALTH)
		nvme_health_say(n, n->log);
	log_next(n);
	if (status == 0 && page == LOG_CHANGED_NAMESPACES)
		fail(n, "namespaces changed");		/* identifies everything again */
}

/* ---- completions ------------------------------------------------------------------------ */

static void
setup_failed(struct nvme *n, uint16_t status)
{
	char text[64];

	nvme_status_text(text, sizeof text, status);
	log_line(LOG_WARNING "nvme: %s failed: %s", state_name(n->state), text);
	fail(n, "an error");
}

static void
setup_next(struct nvme *n, uint32_t result, uint16_t status)
{
	if (n->state == NVME_SUBSCRIBING) {	/* whether it knows events or not */
		live(n);
		return;
	}
	if (status != 0) {
		setup_failed(n, status);
		return;
	}
	dma_pull(n->dma, n->buffer, NVME_PAGE);
	switch (n->state) {
	case NVME_IDENTIFYING:
		controller_take(n);
		break;
	case NVME_LISTING:
		list_take(n);
		break;
	case NVME_NAMING:
		namespace_take(n);
		break;
	case NVME_COUNTING:
		count_take(n, result);
		break;
	case NVME_COMPLETION_QUEUE:
		create_submission_queue(n);
		break;
	case NVME_SUBMISSION_QUEUE:
		queue_created(n);
		break;
	default:
		break;
	}
}

void
nvme_completed(struct nvme *n, struct nvme_queue *q, unsigned cid, uint32_t result, uint16_t status)
{
	enum nvme_purpose purpose = (enum nvme_purpose)q->command[cid].purpose;
	uint32_t tag = q->command[cid].tag;

	if (purpose == NVME_FOR_IO) {
		nvme_io_completed(n, q, cid, status);
		return;
	}
	nvme_queue_release(q, cid);
	switch (purpose) {
	case NVME_FOR_SETUP:
		setup_next(n, result, status);
		break;
	case NVME_FOR_EVENT:
		event_take(n, result, status);
		break;
	case NVME_FOR_LOG:
		log_take(n, tag, status);
		break;
	default:
		n->aborting = false;	/* its command ends by itself, or by a reset */
	}
}

/* ---- time ------------------------------------------------------------------------------- */

/* §5.1.  Whether the command ends, and how, its own completion says. */
static void
abort_command(struct nvme *n, const struct nvme_queue *q, struct nvme_command *c, unsigned cid)
{
	log_line(LOG_WARNING "nvme: a command (opcode %u) has no answer: abort", c->sqe.opcode);
	c->aborted = true;
	c->deadline = after_ms(NVME_ABORT_MS);
	if (n->aborting)
		return;
	n->aborting = true;
	admin(n, NVME_FOR_ABORT, 0, &(struct nvme_sqe){ .opcode = ADMIN_ABORT, .cdw10 = (uint32_t)cid << 16 | q->id },
	    NVME_ADMIN_MS);
}

static void
queue_look(struct nvme *n, struct nvme_queue *q)
{
	for (unsigned cid = 0; cid < q->depth && q->in_flight != 0; cid++) {
		struct nvme_command *c = &q->command[cid];

		if (!c->busy || !is_past(c->deadline))
			continue;
		if (c->purpose == NVME_FOR_IO && !c->aborted)
			abort_command(n, q, c, cid);
		else
			fail(n, "no answer");
	}
}

static bool
is_busy(const struct nvme *n)
{
	for (unsigned i = 0; i < n->queue_count; i++)
		if (n->io[i].in_flight != 0)
			return true;
	return n->admin.in_flight > n->events;
}

/* Now and then: deadlines, and whether the controller says that it is beyond help (§9.5). */
static void
look(struct nvme *n)
{
	uint32_t status;

	if (!is_busy(n) || time_ticks() < n->look_after)
		return;
	n->look_after = after_ms(NVME_LOOK_MS);
	status = get(n, NVME_CSTS);
	if (status == UINT32_MAX)
		fail(n, "the device is gone");
	else if ((status & CSTS_CFS) != 0)
		fail(n, "fatal status");
	else if ((status & CSTS_RDY) == 0)
		fail(n, "not ready any more");
	queue_look(n, &n->admin);
	for (unsigned i = 0; i < n->queue_count && n->state == NVME_LIVE; i++)
		queue_look(n, &n->io[i]);
}

static void
poll_queues(struct nvme *n)
{
	nvme_queue_drain(n, &n->admin);
	for (unsigned i = 0; n->state == NVME_LIVE && i < n->queue_count; i++)
		nvme_queue_drain(n, &n->io[i]);
	if (n->health_after != 0 && n->state == NVME_LIVE && time_ticks() >= n->health_after) {
		n->health_after = 0;
		log_read(n, LOG_HEALTH);
	}
	if (n->state != NVME_BROKEN)
		look(n);
	if (n->failed && n->state != NVME_BROKEN) {
		reset_begin(n);
		return;
	}
	if (n->state == NVME_BROKEN)
		return;
	nvme_queue_kick(&n->admin);
	for (unsigned i = 0; n->state == NVME_LIVE && i < n->queue_count; i++)
		nvme_queue_kick(&n->io[i]);
}

void
nvme_controller_poll(struct nvme *n)
{
	switch (n->state) {
	case NVME_BROKEN:
		break;
	case NVME_DISABLING:
		poll_disabling(n);
		break;
	case NVME_ENABLING:
		poll_enabling(n);
		if (n->failed)
			reset_begin(n);
		else
			nvme_queue_kick(&n->admin);
		break;
	default:
		poll_queues(n);
	}
}

uint64_t
nvme_controller_deadline(const struct nvme *n)
{
	bool waits = n->state == NVME_DISABLING || n->state == NVME_ENABLING;

	if (n->state == NVME_BROKEN)
		return 0;
	if (waits || (pci_vectors(n->pci) == 0 && is_busy(n)))
		return after_ms(NVME_POLL_MS);
	if (is_busy(n))
		return n->look_after != 0 ? n->look_after : after_ms(NVME_LOOK_MS);
	/* Events come without anything in progress; without interrupts somebody has to look. */
	return pci_vectors(n->pci) == 0 ? after_ms(NVME_LOOK_MS) : n->health_after;
}

/* ---- start --------------------------------------------------------------------------------- */

static bool
memory_take(struct nvme *n)
{
	uint16_t depth = CAP_MQES(n->cap) < NVME_IO_DEPTH ? (uint16_t)CAP_MQES(n->cap) : NVME_IO_DEPTH;
	unsigned vectors = pci_vectors(n->pci);
	size_t used;

	n->buffer = dma_alloc(n->dma, NVME_PAGE, NVME_PAGE, &n->buffer_io);
	n->log = dma_alloc(n->dma, NVME_PAGE, NVME_PAGE, &n->log_io);
	if (n->buffer == NULL || n->log == NULL || !nvme_queue_memory(n, &n->admin, NVME_ADMIN_DEPTH, false))
		return false;
	/* Vector 0 serves the admin queue; each I/O queue has its own if there are enough. */
	n->queues_wanted = vectors > 1 ? vectors - 1 : 1;
	if (n->queues_wanted > NVME_IO_QUEUES)
		n->queues_wanted = NVME_IO_QUEUES;
	for (unsigned i = 0; i < n->queues_wanted; i++) {
		used = n->dma->used;
		n->io[i].vector = (uint16_t)(vectors > 1 ? i + 1 : 0);
		if (nvme_queue_memory(n, &n->io[i], depth, true))
			continue;
		n->dma->used = used;
		if (i == 0 && depth > NVME_IO_DEPTH_MIN) {
			depth = NVME_IO_DEPTH_MIN;
			i--;
			continue;
		}
		n->queues_wanted = i;
		break;
	}
	n->depth = depth;
	return n->queues_wanted != 0;
}

bool
nvme_start(struct nvme *n, struct block_server *server, const struct component_pci *pci, struct dma_region *dma)
{
	memset(n, 0, sizeof *n);
	n->server = server;
	n->pci = pci;
	n->dma = dma;
	n->io_ms = NVME_IO_MS;
	n->base = pci_bar(pci, 0, NVME_DOORBELLS + 8);
	if (n->base == 0) {
		log_line(LOG_WARNING "nvme: BAR 0 is missing or too small");
		return false;
	}
	n->cap = get(n, NVME_CAP) | (uint64_t)get(n, NVME_CAP + 4) << 32;
	if (n->cap == UINT64_MAX || !CAP_CSS_NVM(n->cap) || CAP_MPSMIN(n->cap) != 0 || CAP_MQES(n->cap) < 2) {
		log_line(LOG_WARNING "nvme: no NVM command set, or no pages of 4 KiB (CAP %lx)", n->cap);
		return false;
	}
	if (pci_bar(pci, 0, NVME_DOORBELLS + (((uint64_t)8 * (NVME_IO_QUEUES + 1)) << CAP_DSTRD(n->cap))) == 0) {
		log_line(LOG_WARNING "nvme: the doorbells do not fit BAR 0");
		return false;
	}
	if (!memory_take(n)) {
		log_line(LOG_WARNING "nvme: not enough memory for DMA");
		return false;
	}
	if (!pci_msix_start(pci)) {
		log_line(LOG_WARNING "nvme: no MSI-X table where it should be");
		return false;
	}
	reset_begin(n);
	return true;
}
