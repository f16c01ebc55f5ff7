/* SPDX-License-Identifier: MIT */
/*
 * The SD card layer: identification, transfers, and what is done when a card does not answer,
 * answers wrong, or goes away (SD Physical Layer Simplified Specification 6.00).
 *
 * One command at a time.  A transfer that fails is stopped and tried again; then the card is
 * identified anew; then the request fails.
 */
#include <tessera/runtime.h>
#include <tessera/string.h>
#include "sd.h"

/* Commands, §4.7.4 */
enum { CMD_GO_IDLE = 0, CMD_ALL_CID = 2, CMD_RCA = 3, CMD_SWITCH = 6, CMD_SELECT = 7, CMD_IF_COND = 8, CMD_CSD = 9,
	CMD_STOP = 12, CMD_STATUS = 13, CMD_BLOCK_LENGTH = 16, CMD_READ = 17, CMD_READ_MANY = 18, CMD_WRITE = 24,
	CMD_WRITE_MANY = 25, CMD_APP = 55, ACMD_WIDTH = 6, ACMD_OP_COND = 41, ACMD_SCR = 51 };

#define IF_COND_CHECK	0x1aau			/* 2.7-3.6 V, and a pattern */
#define OCR_VOLTAGES	0x00ff8000u		/* §5.1 */
#define OCR_HCS		(1u << 30)
#define OCR_READY	(1u << 31)
#define SWITCH_ASK	0x00fffff1u		/* §4.3.10: access mode 1, high speed */
#define SWITCH_SET	0x80fffff1u

/* Card status, §4.10.1: errors of the command itself (not of the one before). */
#define STATUS_ERRORS	0xfd380000u
#define STATUS_PROTECTED (1u << 26)
#define STATUS_RANGE	(1u << 31)
#define STATUS_READY	(1u << 8)
#define STATUS_STATE(s)	((s) >> 9 & 15)
enum { STATE_TRANSFER = 4 };

enum { BLOCK = 512, HZ_IDENTIFY = 400000, HZ_DEFAULT = 25000000, HZ_HIGH = 50000000 };

static uint64_t
after_us(uint64_t us)
{
	return time_ticks() + time_ticks_of_ns(us * 1000);
}

static uint64_t
after_ms(uint64_t ms)
{
	return after_us(ms * 1000);
}

/* ---- commands --------------------------------------------------------------------- */

static void
start(struct sd_card *c, enum sd_state state)
{
	c->state = state;
	c->waiting = true;
	c->sent_ticks = time_ticks();
	c->host_op->start(c->host, &c->command);
}

static void
command(struct sd_card *c, enum sd_state state, uint8_t index, uint32_t argument, enum sd_response response)
{
	c->command = (struct sd_command){ .index = index, .argument = argument, .response = (uint8_t)response };
	start(c, state);
}

static void
command_read(struct sd_card *c, enum sd_state state, uint8_t index, uint32_t argument, uint32_t bytes)
{
	memset(c->buffer, 0, 64);
	dma_push(c->dma, c->buffer, 64);
	c->buffer_segment = (struct block_segment){ .address = c->buffer_io, .bytes = bytes };
	c->command = (struct sd_command){
		.index = index, .argument = argument, .response = SD_R1, .read = true,
		.block_bytes = bytes, .blocks = 1, .segment = &c->buffer_segment, .segments = 1,
	};
	start(c, state);
}

static void
app(struct sd_card *c, enum sd_state state)
{
	command(c, state, CMD_APP, c->rca, SD_R1);
}

/* ---- coming and going ---------------------------------------------------------------- */

static void
host_broken(struct sd_card *c, const char *what)
{
	log_line(LOG_WARNING "mmc: the controller does not %s: given up", what);
	c->state = SD_HOST_BROKEN;
	c->waiting = false;
	/* A command may be in progress whose memory is somebody else's after the answers below. */
	c->host_op->cut(c->host);
	block_device_state(c->server, BLOCK_FAILED);
}

/* Everything at rest: no command in progress, no DMA. */
static bool
quiet(struct sd_card *c)
{
	c->waiting = false;
	if (c->host_op->reset(c->host))
		return true;
	host_broken(c, "reset");
	return false;
}

static void
no_card(struct sd_card *c, enum sd_state state)
{
	if (!quiet(c))
		return;
	c->state = state;
	c->look_after = after_ms(SD_CARD_LOOK_MS);
	block_device_state(c->server, BLOCK_NO_MEDIUM);
}

static void
identify(struct sd_card *c)
{
	if (!quiet(c))
		return;
	block_device_lost(c->server);
	c->version_2 = c->by_block = c->four_lines = c->high_speed = false;
	c->rca = 0;
	if (!c->host_op->power_on(c->host, HZ_IDENTIFY)) {
		host_broken(c, "give power and a clock");
		return;
	}
	c->state = SD_POWERING;
	c->deadline = after_ms(SD_POWER_MS);
}

/* Identification, or a transfer with all its retries, failed. */
static void
again(struct sd_card *c, const char *what)
{
	if (!c->host_op->card_is_there(c->host)) {
		log_line("mmc: the card was taken out");
		no_card(c, SD_ABSENT);
		return;
	}
	if (++c->identifications <= SD_IDENTIFICATIONS) {
		log_line(LOG_WARNING "mmc: %s: the card is identified anew", what);
		identify(c);
		return;
	}
	log_line(LOG_WARNING "mmc: %s: the card cannot be used", what);
	no_card(c, SD_UNUSABLE);
}

static void
look_for_card(struct sd_card *c)
{
	bool there;

	if (time_ticks() < c->look_after)
		return;
	c->look_after = after_ms(SD_CARD_LOOK_MS);
	there = c->host_op->card_is_there(c->host);
	if (there && c->state == SD_ABSENT) {
		c->identifications = 0;
		identify(c);
	} else if (!there && c->state == SD_UNUSABLE) {
		c->state = SD_ABSENT;
	} else if (!there && c->state != SD_ABSENT) {
		log_line("mmc: the card was taken out");
		no_card(c, SD_ABSENT);
	}
}

/* ---- what a card says of itself --------------------------------------------------------- */

/* Bits of a 128-bit register whose bits 127:8 the host gave as 119:0. */
static uint32_t
bits(const uint32_t r[4], unsigned high, unsigned low)
{
	uint32_t v = 0;

	for (unsigned i = high + 1; i-- > low;) {
		unsigned at = i - 8;

		v = v << 1 | (r[at / 32] >> at % 32 & 1);
	}
	return v;
}

/* CSD, §5.3; 0: a structure or a size that we do not know. */
static uint64_t
capacity(const uint32_t csd[4])
{
	unsigned length = bits(csd, 83, 80);

	switch (bits(csd, 127, 126)) {
	case 0:
		if (length < 9 || length > 11)
			return 0;
		return (uint64_t)(bits(csd, 73, 62) + 1) << (bits(csd, 49, 47) + 2) << (length - 9);
	case 1:
		return (uint64_t)(bits(csd, 69, 48) + 1) << 10;
	default:
		return 0;
	}
}

static bool
is_protected(const struct sd_card *c)
{
	return bits(c->csd, 13, 12) != 0 || c->host_op->is_protected(c->host);
}

/* CID, §5.2: product name, revision, serial number. */
static void
names_take(struct sd_card *c)
{
	struct block_device *f = &c->facts;

	for (unsigned i = 0; i < 5; i++) {
		char ch = (char)bits(c->cid, 103 - 8 * i, 96 - 8 * i);

		f->model[i] = ch >= 0x20 && ch < 0x7f ? ch : '?';
	}
	f->model[5] = '\0';
	format(f->serial, sizeof f->serial, "0x%08x", bits(c->cid, 55, 24));
	format(f->firmware, sizeof f->firmware, "%u.%u", bits(c->cid, 63, 60), bits(c->cid, 59, 56));
	format(f->name, sizeof f->name, "mmcblk%u", block_disk_number(c->server));
}

static void
ready(struct sd_card *c)
{
	struct block_device *f = &c->facts;

	memset(f, 0, sizeof *f);
	f->block_size = f->physical_size = BLOCK;
	f->blocks = capacity(c->csd);
	f->flags = BLOCK_REMOVABLE | (is_protected(c) ? BLOCK_READONLY : 0u);
	f->limits = c->host_facts.limits;
	names_take(c);
	c->state = SD_IDLE;
	c->retries = 0;
	log_line("mmc: SD%s card, %s speed, %u line%s", c->by_block ? "HC" : "SC", c->high_speed ? "high" : "default",
	    c->four_lines ? 4u : 1u, c->four_lines ? "s" : "");
	block_device_up(c->server, f);
}

/* ---- identification, §4.2 -------------------------------------------------------------- */

static void
op_cond_ask(struct sd_card *c)
{
	c->deadline = after_ms(SD_OP_COND_MS);
	app(c, SD_OP_COND_APP);
}

/* A card of version 1 does not know CMD8 and does not answer (§4.3.13). */
static void
if_cond_take(struct sd_card *c, const struct sd_result *r)
{
	if (r->error == SD_OK && (r->response[0] & 0xfff) != IF_COND_CHECK) {
		again(c, "a card of another voltage");
		return;
	}
	if (r->error != SD_OK && r->error != SD_NO_ANSWER) {
		again(c, "no sense in what it supports");
		return;
	}
	c->version_2 = r->error == SD_OK;
	if (r->error != SD_OK && !c->host_op->recover(c->host)) {
		host_broken(c, "recover");
		return;
	}
	op_cond_ask(c);
}

static void
op_cond_take(struct sd_card *c, uint32_t ocr)
{
	if ((ocr & OCR_READY) != 0) {
		c->by_block = c->version_2 && (ocr & OCR_HCS) != 0;
		command(c, SD_CID, CMD_ALL_CID, 0, SD_R2);
		return;
	}
	if (time_ticks() >= c->deadline) {
		again(c, "it does not get ready");
		return;
	}
	c->state = SD_OP_COND_WAIT;
	c->look_after = after_ms(SD_OP_COND_STEP_MS);
}

static void
csd_take(struct sd_card *c, const struct sd_result *r)
{
	memcpy(c->csd, r->response, sizeof c->csd);
	if (capacity(c->csd) == 0) {
		log_line(LOG_WARNING "mmc: a card of unknown structure");
		no_card(c, SD_UNUSABLE);
		return;
	}
	if (!c->host_op->set_clock(c->host, HZ_DEFAULT, false)) {
		host_broken(c, "change its clock");
		return;
	}
	command(c, SD_SELECT, CMD_SELECT, c->rca, SD_R1B);
}

/* SCR, §5.6: big-endian; bit 50: four lines. */
static void
scr_take(struct sd_card *c)
{
	dma_pull(c->dma, c->buffer, sizeof c->scr);
	memcpy(c->scr, c->buffer, sizeof c->scr);
	if (c->host_facts.four_lines && (c->scr[1] & 4) != 0)
		app(c, SD_WIDTH_APP);
	else
		ready(c);
}

static void
width_take(struct sd_card *c)
{
	c->four_lines = true;
	c->host_op->set_width(c->host, 4);
	if (c->host_facts.high_speed && (c->scr[0] & 15) != 0)	/* version 1.10 and later know CMD6 */
		command_read(c, SD_SPEED_ASK, CMD_SWITCH, SWITCH_ASK, 64);
	else
		ready(c);
}

/* Switch status, §4.3.10.4: byte 13 has the functions of group 1, byte 16 the one chosen. */
static void
speed_take(struct sd_card *c)
{
	dma_pull(c->dma, c->buffer, 64);
	if (c->state == SD_SPEED_ASK && (c->buffer[13] & 2) != 0) {
		command_read(c, SD_SPEED_SET, CMD_SWITCH, SWITCH_SET, 64);
		return;
	}
	c->high_speed = c->state == SD_SPEED_SET && (c->buffer[16] & 15) == 1;
	if (c->high_speed && !c->host_op->set_clock(c->host, HZ_HIGH, true)) {
		host_broken(c, "change its clock");
		return;
	}
	ready(c);
}

static const char *
step_name(enum sd_state state)
{
	switch (state) {
	case SD_OP_COND_APP:
	case SD_OP_COND: return "no operating conditions";
	case SD_CID: return "no identification";
	case SD_RCA: return "no address";
	case SD_CSD: return "no capacity";
	case SD_SELECT: return "it cannot be selected";
	case SD_SCR_APP:
	case SD_SCR: return "no configuration";
	default: return "an error while it was set up";
	}
}

/* A step of the identification was done. */
static void
step(struct sd_card *c, const struct sd_result *r)
{
	bool has_status = c->command.response == SD_R1 || c->command.response == SD_R1B;

	if (c->state == SD_IF_COND) {
		if_cond_take(c, r);
		return;
	}
	if (r->error != SD_OK || (has_status && (r->response[0] & STATUS_ERRORS) != 0)) {
		again(c, step_name(c->state));
		return;
	}
	switch (c->state) {
	case SD_GO_IDLE:
		command(c, SD_IF_COND, CMD_IF_COND, IF_COND_CHECK, SD_R7);
		break;
	case SD_OP_COND_APP:
		command(c, SD_OP_COND, ACMD_OP_COND, OCR_VOLTAGES | (c->version_2 ? OCR_HCS : 0), SD_R3);
		break;
	case SD_OP_COND:
		op_cond_take(c, r->response[0]);
		break;
	case SD_CID:
		memcpy(c->cid, r->response, sizeof c->cid);
		command(c, SD_RCA, CMD_RCA, 0, SD_R6);
		break;
	case SD_RCA:
		c->rca = r->response[0] & 0xffff0000u;
		command(c, SD_CSD, CMD_CSD, c->rca, SD_R2);
		break;
	case SD_CSD:
		csd_take(c, r);
		break;
	case SD_SELECT:
		command(c, SD_BLOCK_LENGTH, CMD_BLOCK_LENGTH, BLOCK, SD_R1);
		break;
	case SD_BLOCK_LENGTH:
		app(c, SD_SCR_APP);
		break;
	case SD_SCR_APP:
		command_read(c, SD_SCR, ACMD_SCR, 0, sizeof c->scr);
		break;
	case SD_SCR:
		scr_take(c);
		break;
	case SD_WIDTH_APP:
		command(c, SD_WIDTH, ACMD_WIDTH, 2, SD_R1);
		break;
	case SD_WIDTH:
		width_take(c);
		break;
	case SD_SPEED_ASK:
	case SD_SPEED_SET:
		speed_take(c);
		break;
	default:
		break;
	}
}

/* ---- transfers, §4.3.3 and §4.3.4 ---------------------------------------------------------- */

static void
transfer_start(struct sd_card *c)
{
	const struct block_command *t = &c->transfer;
	bool many = t->count > 1, read = t->op == BLOCK_READ;

	c->command = (struct sd_command){
		.index = read ? (many ? CMD_READ_MANY : CMD_READ) : many ? CMD_WRITE_MANY : CMD_WRITE,
		.argument = (uint32_t)(c->by_block ? t->block : t->block * BLOCK),
		.response = SD_R1, .read = read, .stop = many,
		.block_bytes = BLOCK, .blocks = t->count, .segment = t->segment, .segments = t->segments,
	};
	start(c, SD_MOVING);
}

static void
transfer_end(struct sd_card *c, enum block_status status)
{
	c->state = SD_IDLE;
	c->retries = 0;
	block_done(c->server, c->tag, status);
}

static void
transfer_failed(struct sd_card *c, enum sd_error error)
{
	static const char *const names[] = { "error in its status", "no answer", "a bad answer", "data error",
		"DMA error", "no end" };

	if (!c->host_op->card_is_there(c->host)) {
		log_line("mmc: the card was taken out");
		no_card(c, SD_ABSENT);
		return;
	}
	log_line(LOG_WARNING "%s: %s of %u blocks at %lu: %s", c->facts.name,
	    c->transfer.op == BLOCK_READ ? "read" : "write", c->transfer.count, c->transfer.block, names[error]);
	if (error == SD_STUCK) {
		again(c, "a transfer without an end");
		return;
	}
	if (!c->host_op->recover(c->host)) {
		host_broken(c, "recover");
		return;
	}
	c->deadline = after_ms(SD_BUSY_MS);
	command(c, SD_STOPPING, CMD_STOP, 0, SD_R1B);
}

static void
transfer_take(struct sd_card *c, const struct sd_result *r)
{
	uint32_t status = r->response[0] & STATUS_ERRORS;

	if (r->error == SD_OK && (status & (STATUS_PROTECTED | STATUS_RANGE)) != 0) {
		transfer_end(c, (status & STATUS_PROTECTED) != 0 ? BLOCK_EROFS : BLOCK_ERANGE);
		return;
	}
	if (r->error != SD_OK || status != 0) {
		transfer_failed(c, r->error);
		return;
	}
	c->identifications = 0;
	transfer_end(c, BLOCK_OK);
}

/* Once the card is ready again the transfer is tried once more. */
static void
asked(struct sd_card *c, const struct sd_result *r)
{
	uint32_t status = r->response[0];

	if (r->error == SD_OK && (status & STATUS_READY) != 0 && STATUS_STATE(status) == STATE_TRANSFER) {
		if (c->retries++ < SD_RETRIES)
			transfer_start(c);
		else
			transfer_end(c, BLOCK_EIO);
		return;
	}
	if (r->error != SD_OK || time_ticks() >= c->deadline) {
		again(c, "it is not ready for transfers any more");
		return;
	}
	command(c, SD_ASKING, CMD_STATUS, c->rca, SD_R1);
}

/* A card that was not transferring any more finds CMD12 illegal and does not answer. */
static void
stopped(struct sd_card *c, const struct sd_result *r)
{
	if (r->error != SD_OK && !c->host_op->recover(c->host)) {
		host_broken(c, "recover");
		return;
	}
	command(c, SD_ASKING, CMD_STATUS, c->rca, SD_R1);
}

static bool
sd_submit(void *device, const struct block_command *b, uint32_t tag)
{
	struct sd_card *c = device;

	if (c->state != SD_IDLE)
		return false;
	c->tag = tag;
	c->retries = 0;
	if (b->op != BLOCK_READ && b->op != BLOCK_WRITE) {
		block_done(c->server, tag, b->op == BLOCK_FLUSH ? BLOCK_OK : BLOCK_ENOTSUP);
		return true;
	}
	c->transfer = *b;
	transfer_start(c);
	return true;
}

/* ---- the loop's parts ------------------------------------------------------------------------ */

static void
done(struct sd_card *c, const struct sd_result *r)
{
	switch (c->state) {
	case SD_MOVING:
		transfer_take(c, r);
		break;
	case SD_STOPPING:
		stopped(c, r);
		break;
	case SD_ASKING:
		asked(c, r);
		break;
	default:
		step(c, r);
	}
}

static void
sd_poll(void *device)
{
	struct sd_card *c = device;
	struct sd_result r;

	/* As long as the host is that fast; a card cannot hold us here. */
	for (unsigned n = 0; n < 32 && c->waiting; n++) {
		if (!c->host_op->poll(c->host, &r))
			return;
		c->waiting = false;
		done(c, &r);
	}
	switch (c->state) {
	case SD_POWERING:
		if (time_ticks() >= c->deadline)
			command(c, SD_GO_IDLE, CMD_GO_IDLE, 0, SD_NO_RESPONSE);
		break;
	case SD_OP_COND_WAIT:
		if (time_ticks() >= c->look_after)
			app(c, SD_OP_COND_APP);
		break;
	case SD_ABSENT:
	case SD_UNUSABLE:
	case SD_IDLE:
		look_for_card(c);
		break;
	default:
		break;
	}
}

static void
sd_interrupt(void *device, uint64_t bell)
{
	struct sd_card *c = device;

	if (c->host_facts.has_interrupt && (bell & ~(uint64_t)COMPONENT_BIT_PEER) != 0) {
		c->host_op->interrupt(c->host);
		if (!c->waiting)
			c->look_after = 0;	/* it may be about the card */
	}
}

static void
sd_kick(void *device)
{
	(void)device;			/* a command goes out when it is submitted */
}

/* A fast controller has finished by now: that saves the wait. */
static bool
sd_rest(void *device)
{
	(void)device;
	return true;
}

/*
 * Without interrupts: when to look at a command again, an eighth of its time too late at most.  A slow
 * machine must have more to do than to look, and an emulator passes the turn of a CPU on at each of its timers.
 */
static uint64_t
next_look(const struct sd_card *c)
{
	uint64_t now = time_ticks(), late = (now - c->sent_ticks) / SD_POLL_SHARE;
	uint64_t least = time_ticks_of_ns(SD_POLL_US * 1000ULL), most = time_ticks_of_ns(SD_POLL_MS * 1000000ULL);

	return now + (late < least ? least : late > most ? most : late);
}

static uint64_t
sd_deadline(void *device)
{
	struct sd_card *c = device;

	switch (c->state) {
	case SD_HOST_BROKEN:
		return 0;
	case SD_POWERING:
		return c->deadline;
	case SD_OP_COND_WAIT:
		return c->look_after;
	case SD_ABSENT:
	case SD_UNUSABLE:
	case SD_IDLE:
		return c->look_after != 0 ? c->look_after : after_ms(SD_CARD_LOOK_MS);
	default:
		return c->host_facts.has_interrupt ? after_ms(SD_CARD_LOOK_MS) : next_look(c);
	}
}

const struct block_operations sd_operations = {
	.submit = sd_submit,
	.kick = sd_kick,
	.poll = sd_poll,
	.interrupt = sd_interrupt,
	.rest = sd_rest,
	.deadline = sd_deadline,
};

bool
sd_start(struct sd_card *c, struct block_server *server, const struct sd_host_operations *op, void *host,
    const struct sd_host_facts *facts, struct dma_region *dma)
{
	memset(c, 0, sizeof *c);
	c->server = server;
	c->host_op = op;
	c->host = host;
	c->host_facts = *facts;
	c->dma = dma;
	c->buffer = dma_alloc(dma, 64, 64, &c->buffer_io);
	if (c->buffer == NULL) {
		log_line(LOG_WARNING "mmc: not enough memory for DMA");
		return false;
	}
	c->state = SD_ABSENT;
	if (!c->host_op->card_is_there(host)) {
		log_line("mmc: there is no card");
		block_device_state(server, BLOCK_NO_MEDIUM);
	}
	return true;
}
