/* SPDX-License-Identifier: MIT */
/*
 * The SDHCI driver and the SD card layer against models of a controller (SD Host Controller 3.00)
 * and a card (SD Physical Layer 6.00), which can be told to fail, to say nothing, and to be
 * taken out at any moment.
 */

/* Cards take milliseconds here and there: time goes on in larger steps. */
enum { LOOKS = 20, ROUND_TURNS = 200, ROUND_SECONDS = 1 };

#include <block_driver_test.h>
#include <driver/mmio.h>
#include "../sdhci.h"

enum { BASE = 0x60000000, BAR_BYTES = 0x100 };
enum { C_IDLE = 0, C_READY, C_IDENT, C_STBY, C_TRAN, C_DATA, C_RCV, C_PRG };

static struct {
	/* controller */
	uint16_t block_size, block_count, mode, clock, version;
	uint32_t argument, response[4], status, enable, signal, capabilities;
	uint8_t control, power, timeout;
	uint64_t adma;
	unsigned busy;			/* ticks until the command is done */
	uint16_t command;
	bool no_reset, no_clock, gone;
	bool lines_stuck;		/* after an error, until both were reset (§3.10.1) */
	/* card */
	bool there, high_capacity, version_1, protected, weird_csd, no_switch, app;
	unsigned state, not_ready;
	uint32_t rca;
	bool selected, four_lines, high_speed;
	unsigned identified, moved, single, many;
	/* what goes wrong, one of so many transfers */
	unsigned crc_of, no_answer_of, silent_of, status_of, late;
	bool mute, dma_errors;
} dev;
static struct sdhci host;
static struct sd_card card;

static bool
model_runs(void)
{
	return dev.busy != 0 || dev.power != 0;
}

/* ---- the card ----------------------------------------------------------------------- */

static void
bits_put(uint32_t r[4], unsigned high, unsigned low, uint32_t v)
{
	for (unsigned i = low; i <= high; i++, v >>= 1)
		if ((v & 1) != 0)
			r[(i - 8) / 32] |= 1u << (i - 8) % 32;
}

static void
csd_make(void)
{
	memset(dev.response, 0, sizeof dev.response);
	if (dev.weird_csd) {
		bits_put(dev.response, 127, 126, 3);
		return;
	}
	bits_put(dev.response, 127, 126, dev.high_capacity);
	if (dev.high_capacity) {
		bits_put(dev.response, 69, 48, DISK_BYTES / 524288 - 1);
		return;
	}
	bits_put(dev.response, 83, 80, 9);
	bits_put(dev.response, 73, 62, DISK_BYTES / 512 / 16 - 1);
	bits_put(dev.response, 49, 47, 2);
}

static void
cid_make(void)
{
	memset(dev.response, 0, sizeof dev.response);
	for (unsigned i = 0; i < 5; i++)
		bits_put(dev.response, 103 - 8 * i, 96 - 8 * i, (uint8_t)"QCARD"[i]);
	bits_put(dev.response, 63, 56, 0x21);
	bits_put(dev.response, 55, 24, 0xdeadbeef);
}

enum outcome { DONE, NO_ANSWER, BAD_DATA, BAD_DMA };

/* §1.13.4: move the bytes that the descriptors name. */
static enum outcome
adma(uint64_t at, uint8_t *own, uint32_t bytes, bool read)
{
	uint64_t table = dev.adma;

	for (unsigned n = 0; bytes > 0; n++, table += 12) {
		uint8_t d[12];
		const uint8_t *t = device_bound ? memory_at(table, 12) : NULL;
		uint64_t address;
		uint32_t length;
		uint8_t *p;

		if (t == NULL || dev.dma_errors)
			return BAD_DMA;
		memcpy(d, t, 12);
		if ((d[0] & 1) == 0 || (d[0] & 0x38) != 0x20 || n > SDHCI_SEGMENTS) {
			violation("a wrong descriptor");
			return BAD_DMA;
		}
		memcpy(&address, d + 4, 8);
		length = d[2] | (uint32_t)d[3] << 8;
		length = length == 0 ? 65536 : length;
		p = memory_at(address, length);
		if (p == NULL || length > bytes)
			return BAD_DMA;
		if (own != NULL)
			memcpy(p, own, length);
		else if (!(read ? disk_read(at, p, length) : disk_write(at, p, length, true)))
			return BAD_DATA;
		own = own != NULL ? own + length : NULL;
		at += length;
		bytes -= length;
		if ((d[0] & 2) != 0 && bytes != 0)
			violation("the descriptors end too early");
	}
	return DONE;
}

static bool
one_of(unsigned n)
{
	return n != 0 && any(n) == 0;
}

static enum outcome
transfer(unsigned index)
{
	bool read = index == 17 || index == 18, many = index == 18 || index == 25;
	uint64_t at = dev.high_capacity ? dev.argument * 512ULL : dev.argument;
	uint32_t bytes = dev.block_size * (uint32_t)dev.block_count;
	enum outcome o;

	if (dev.state != C_TRAN || !dev.selected || dev.block_size != 512)
		violation("a transfer that the card is not ready for");
	if (many != ((dev.mode & 0x20) != 0) || many != ((dev.mode & 4) != 0) || read != ((dev.mode & 16) != 0) || (dev.mode & 3) != 3)
		violation("a wrong transfer mode");
	if (!many && dev.block_count != 1)
		violation("one block that is several");
	many ? dev.many++ : dev.single++;
	dev.moved++;
	dev.response[0] = 0x900;
	if (at + bytes > DISK_BYTES) {
		dev.response[0] |= 1u << 31;
		return DONE;
	}
	if (!read && dev.protected) {
		dev.response[0] |= 1u << 26;
		return DONE;
	}
	if (one_of(dev.status_of))
		dev.response[0] |= 1u << 19;
	if (one_of(dev.no_answer_of))
		return NO_ANSWER;
	if (!one_of(dev.crc_of))
		return adma(at, NULL, bytes, read);
	dev.state = read ? C_DATA : C_RCV;	/* in the middle, and waits for CMD12 */
	o = adma(at, NULL, bytes, read);
	return o == DONE ? BAD_DATA : o;
}

static enum outcome
app_command(unsigned index)
{
	uint8_t scr[8] = { 0x02, 0x05 };

	switch (index) {
	case 41:
		dev.response[0] = 0x00ff8000 | (dev.high_capacity && (dev.argument & 1 << 30) ? 1u << 30 : 0);
		if (dev.not_ready != 0)
			dev.not_ready--;
		else
			dev.response[0] |= 1u << 31, dev.state = C_READY;
		return DONE;
	case 51:
		if (dev.block_size != 8)
			violation("SCR of another size");
		return adma(0, scr, 8, true);
	case 6:
		if (dev.argument != 2)
			violation("another width");
		dev.four_lines = true;
		return DONE;
	default:
		return NO_ANSWER;
	}
}

static enum outcome
switch_command(void)
{
	uint8_t status[64] = { 0 };

	status[13] = dev.no_switch ? 1 : 3;
	status[16] = dev.no_switch ? 0 : 1;
	if (dev.argument == 0x80fffff1u)
		dev.high_speed = true;
	return adma(0, status, 64, true);
}

static void
card_reset(void)
{
	dev.state = C_IDLE;
	dev.selected = dev.four_lines = dev.high_speed = dev.app = false;
	dev.rca = 0;
}

static enum outcome
card_do(unsigned index)
{
	bool app = dev.app;

	dev.app = false;
	if (index == 0 && !dev.there)
		return DONE;			/* nobody has to answer */
	if (!dev.there || (dev.mute && index != 0) || dev.power == 0)
		return NO_ANSWER;
	dev.response[0] = dev.state << 9 | 0x100;
	if (app)
		return app_command(index);
	switch (index) {
	case 0: card_reset(); return DONE;
	case 8:
		if (dev.version_1)
			return NO_ANSWER;
		dev.response[0] = dev.argument & 0xfff;
		return DONE;
	case 55:
		if (dev.argument != dev.rca << 16)
			violation("CMD55 for another card");
		dev.app = true;
		return DONE;
	case 2:
		if (dev.state != C_READY)
			violation("CMD2 too early");
		cid_make();
		dev.state = C_IDENT;
		return DONE;
	case 3:
		dev.rca = 0x1234;
		dev.response[0] = dev.rca << 16 | 0x500;
		dev.state = C_STBY;
		return DONE;
	case 9: csd_make(); return DONE;
	case 7:
		dev.selected = dev.argument == dev.rca << 16;
		dev.state = C_TRAN;
		dev.identified++;
		return DONE;
	case 6: return switch_command();
	case 12:
		if (dev.state != C_DATA && dev.state != C_RCV)
			return NO_ANSWER;
		dev.state = C_TRAN;
		return DONE;
	case 13: return DONE;
	case 16: return DONE;
	case 17: case 18: case 24: case 25: return transfer(index);
	default: violation("an unknown command"); return NO_ANSWER;
	}
}

/* ---- the controller ---------------------------------------------------------------------- */

static void
command_end(void)
{
	unsigned index = dev.command >> 8 & 63, type = dev.command & 3;
	bool data = (dev.command & 32) != 0;

	if (data && one_of(dev.silent_of))
		return;
	enum outcome outcome = card_do(index);

	dev.lines_stuck = outcome != DONE;
	switch (outcome) {
	case DONE:
		dev.status |= 1u | (data || type == 3 ? 2u : 0);
		break;
	case NO_ANSWER:
		dev.status |= 1u << 15 | 1u << 16;
		break;
	case BAD_DATA:
		dev.status |= 1u | 1u << 15 | 1u << 21;
		break;
	default:
		dev.status |= 1u | 1u << 15 | 1u << 25;
	}
}

static uint32_t
present(void)
{
	return dev.there ? 1u << 16 | 1u << 17 | (dev.protected ? 0 : 1u << 19) : 1u << 17 | 1u << 19;
}

uint32_t
model_read(uintptr_t address, unsigned bytes)
{
	model_step();
	if (dev.gone)
		return bytes == 4 ? UINT32_MAX : bytes == 2 ? 0xffff : 0xff;
	switch (address - BASE) {
	case 0x10: case 0x14: case 0x18: case 0x1c: return dev.response[(address - BASE - 0x10) / 4];
	case 0x24: return present();
	case 0x28: return dev.control;
	case 0x2c: return dev.clock | ((dev.clock & 1) != 0 && !dev.no_clock ? 2 : 0);
	case 0x2f: return dev.no_reset ? 1 : 0;
	case 0x30: return dev.status & dev.enable;
	case 0x40: return dev.capabilities;
	case 0xfe: return dev.version;
	default: violation("unknown register read"); return 0;
	}
}

static void
software_reset(uint8_t what)
{
	if (dev.no_reset)
		return;
	dev.busy = 0;
	if ((what & 4) != 0 || (what & 1) != 0)
		dev.lines_stuck = false;
	if ((what & 1) == 0)
		return;
	dev.control = dev.power = 0;
	dev.clock = 0;
	dev.status = dev.enable = dev.signal = 0;
}

static void
command_start(uint16_t value)
{
	if (dev.busy != 0)
		violation("a command while another one is in progress");
	if (dev.lines_stuck)
		violation("a command after an error, and the lines were not reset");
	if ((dev.clock & 4) == 0 || dev.power == 0)
		violation("a command without power or clock");
	dev.command = value;
	dev.busy = 1 + (dev.late != 0 ? any(dev.late) : 0);
}

void
model_write(uintptr_t address, uint32_t value, unsigned bytes)
{
	(void)bytes;
	model_step();
	switch (address - BASE) {
	case 0x04: dev.block_size = (uint16_t)value; break;
	case 0x06: dev.block_count = (uint16_t)value; break;
	case 0x08: dev.argument = value; break;
	case 0x0c: dev.mode = (uint16_t)value; break;
	case 0x0e: command_start((uint16_t)value); break;
	case 0x28: dev.control = (uint8_t)value; break;
	case 0x29: dev.power = (uint8_t)value; break;
	case 0x2c: dev.clock = (uint16_t)value; break;
	case 0x2e: dev.timeout = (uint8_t)value; break;
	case 0x2f: software_reset((uint8_t)value); break;
	case 0x30: dev.status &= ~value; break;
	case 0x34: dev.enable = value; break;
	case 0x38: dev.signal = value; break;
	case 0x58: dev.adma = (dev.adma & ~(uint64_t)UINT32_MAX) | value; break;
	case 0x5c: dev.adma = (dev.adma & UINT32_MAX) | (uint64_t)value << 32; break;
	default: violation("unknown register written");
	}
}

static void
model_tick(void)
{
	if (dev.busy != 0 && --dev.busy == 0)
		command_end();
}

static uint64_t model_irq(void) { return 0; }

static void
model_reset(void)
{
	memset(&dev, 0, sizeof dev);
	device_bound = false;
	dev.capabilities = 0x157834b4;
	dev.version = 2;
	dev.there = dev.high_capacity = true;
	dev.not_ready = 2;
	test_info.pci = (struct component_pci){
		.name = "0000:00:03.0", .device_slot = 9, .space_slot = 10, .coherent = 1,
		.bar = { { .address = BASE, .size = BAR_BYTES } },
	};
}

static bool
driver_birth(void)
{
	device_bound = false;		/* what was in progress reaches no memory any more */
	fresh_dma();
	return block_server_start(&server, &sd_operations, &card, &test_info, &test_dma) &&
	    sdhci_start(&host, &test_info.pci, &test_dma) &&
	    sd_start(&card, &server, &sdhci_operations, &host, &host.facts, &test_dma);
}

static void
begin_short(uint64_t seed)
{
	begin(seed);
	client.stop_at = 200;
}

/* ---- what should be ------------------------------------------------------------------------ */

static void
a_card_is_identified(void)
{
	begin_short(1);
	client.stop_at = 0;
	seconds(3);
	CHECK(card.state == SD_IDLE && dev.identified == 1 && client.block.live);
	CHECK(client.block.facts.blocks == DISK_BYTES / 512 && client.block.facts.flags == BLOCK_REMOVABLE);
	CHECK(strcmp(client.block.facts.model, "QCARD") == 0 && strcmp(client.block.facts.serial, "0xdeadbeef") == 0);
	CHECK(strcmp(client.block.facts.name, "mmcblk0") == 0 && strcmp(client.block.facts.firmware, "2.1") == 0);
	CHECK(dev.four_lines && dev.high_speed && (dev.control & 6) == 6 && (dev.control & 0x18) == 0x18);
	CHECK(logged("SDHC card, high speed, 4 lines") && world.violations == 0);
}

static void
old_and_small_cards_work_too(void)
{
	fresh(2);
	dev.high_capacity = false;
	dev.version_1 = true;
	dev.no_switch = true;
	dev.version = 1;
	CHECK(driver_birth());
	client_birth();
	client.stop_at = 100;
	verdict(run_with_time_outs(60));
	CHECK(client.errors == 0 && logged("SDSC card, default speed"));
	CHECK(client.block.facts.blocks == DISK_BYTES / 512);
}

static void
traffic_is_right(void)
{
	for (uint64_t seed = 1; seed <= 4; seed++) {
		begin_short(seed);
		dev.late = 4;
		verdict(run_with_time_outs(60));
		CHECK(client.errors == 0 && dev.single > 0 && dev.many > 0 && dev.identified == 1);
	}
}

static void
a_protected_card_is_read_only(void)
{
	fresh(3);
	dev.protected = true;
	CHECK(driver_birth());
	client_birth();
	client.stop_at = 0;
	seconds(3);
	CHECK((client.block.facts.flags & BLOCK_READONLY) != 0);
}

static void
the_clock_is_never_too_fast(void)
{
	static const uint32_t hz[] = { 400000, 25000000, 50000000 };

	begin_short(4);
	for (unsigned v = 0; v < 3; v++)
		for (unsigned i = 0; i < 3; i++)
			for (uint32_t base = 1; base <= (v >= 2 ? 255u : 63u); base++) {
				uint32_t n;

				host.version = v;
				host.base_hz = base * 1000000;
				CHECK(sdhci_operations.set_clock(&host, hz[i], false));
				n = (dev.clock >> 8 & 0xff) | (dev.clock << 2 & 0x300);
				if (v < 2)
					CHECK((n & (n - 1)) == 0);
				CHECK(host.base_hz / (n == 0 ? 1 : 2 * n) <= hz[i] || (v < 2 && n == 128) || n == 1023);
			}
}

/* ---- cards that come and go ------------------------------------------------------------------- */

static void
a_card_comes_and_goes(void)
{
	fresh(5);
	dev.there = false;
	CHECK(driver_birth());
	client_birth();
	client.stop_at = 0;
	seconds(2);
	CHECK(client.block.facts.state == BLOCK_NO_MEDIUM && logged("there is no card"));
	dev.there = true;
	seconds(3);
	CHECK(client.block.facts.state == BLOCK_READY);
	client.stop_at = 50;
	verdict(run_with_time_outs(30));
	dev.there = false;
	seconds(3);
	CHECK(client.block.facts.state == BLOCK_NO_MEDIUM && logged("taken out"));
	dev.there = true;
	card_reset();
	seconds(3);
	client.stop_at = 100;
	verdict(run_with_time_outs(30));
	CHECK(client.errors == 0 && dev.identified == 2);
}

static void
a_card_is_taken_out_during_traffic(void)
{
	for (uint64_t seed = 1; seed <= 6; seed++) {
		begin_short(seed);
		client.stop_at = 3000;
		for (unsigned round = 0; round < 5; round++) {
			for (unsigned i = 0; i < 6; i++)
				seconds(1);
			pass(50 + any(50));
			dev.there = false;
			seconds(2);
			CHECK(client.block.facts.state == BLOCK_NO_MEDIUM && client.in_flight == 0);
			dev.there = true;
			card_reset();
		}
		client.stop_at = client.done + 50;
		CHECK(run_with_time_outs(60));
		CHECK(client.wrong == 0 && world.violations == 0 && client.block.broken == 0);
		CHECK(client.errors == client.seen[BLOCK_ENOMEDIUM]);
	}
}

/* ---- what should not be ------------------------------------------------------------------------ */

static void
transfers_that_fail_are_tried_again(void)
{
	for (uint64_t seed = 1; seed <= 4; seed++) {
		begin_short(seed);
		dev.crc_of = 12;
		verdict(run_with_time_outs(100));
		CHECK(client.errors < 10 && logged("data error"));
		begin_short(seed);
		dev.no_answer_of = 12;
		verdict(run_with_time_outs(100));
		CHECK(client.errors < 10 && logged("no answer"));
		begin_short(seed);
		dev.status_of = 12;
		verdict(run_with_time_outs(100));
		CHECK(client.errors < 10 && logged("error in its status"));
	}
}

static void
a_controller_that_says_nothing_has_its_card_identified_anew(void)
{
	begin_short(7);
	dev.silent_of = 40;
	CHECK(run_with_time_outs(400));
	CHECK(client.wrong == 0 && world.violations == 0 && dev.identified > 1 && logged("a transfer without an end"));
	CHECK(client.seen[BLOCK_EIO] == 0);
}

/* Soon at first, and never so often that a slow machine does nothing but look. */
static void
looks_at_a_command_without_interrupts_become_few(void)
{
	unsigned looks = 0;
	uint64_t begun;

	begin_short(9);
	client.stop_at = 0;
	seconds(3);
	CHECK(card.state == SD_IDLE);
	card.host_facts.has_interrupt = false;
	dev.silent_of = 1;
	client.stop_at = 1;
	while (!card.waiting && looks++ < 100)
		pass(1);
	CHECK(card.waiting);
	begun = card.sent_ticks;
	world.now = begun;
	for (looks = 0; world.now < begun + 1000000000; looks++) {
		uint64_t next = sd_operations.deadline(&card), late = next - world.now;

		CHECK(next > world.now && late <= SD_POLL_MS * 1000000ULL);
		CHECK(late == SD_POLL_US * 1000 || late <= (world.now - begun) / SD_POLL_SHARE);
		world.now = next;
	}
	CHECK(looks >= 50 && looks <= 150);
}

static void
dma_errors_are_the_requests_own(void)
{
	begin_short(8);
	client.stop_at = 0;
	seconds(3);
	client.stop_at = 5;
	client.kinds = 1 << BLOCK_READ;
	dev.dma_errors = true;
	CHECK(run_with_time_outs(60));
	CHECK(client.seen[BLOCK_EIO] == 5 && card.state == SD_IDLE);
}

static void
cards_that_cannot_be_used_are_no_medium(void)
{
	fresh(9);
	dev.weird_csd = true;
	CHECK(driver_birth());
	client_birth();
	client.stop_at = 0;
	seconds(5);
	CHECK(card.state == SD_UNUSABLE && client.block.facts.state == BLOCK_NO_MEDIUM && logged("unknown structure"));
	dev.there = false;
	seconds(2);
	dev.weird_csd = false;
	dev.there = true;
	seconds(5);
	CHECK(client.block.facts.state == BLOCK_READY);
	fresh(9);
	dev.mute = true;
	CHECK(driver_birth());
	client_birth();
	client.stop_at = 0;
	seconds(10);
	CHECK(card.state == SD_UNUSABLE && logged("no operating conditions: the card cannot be used"));
	fresh(9);
	dev.not_ready = UINT32_MAX;
	CHECK(driver_birth());
	client_birth();
	client.stop_at = 0;
	seconds(20);
	CHECK(card.state == SD_UNUSABLE && logged("does not get ready"));
	CHECK(world.violations == 0);
}

static void
controllers_that_cannot_be_used_are_refused_by_name(void)
{
	static const struct { uint32_t capabilities; const char *why; } bad[] = {
		{ 0x057834b4, "reaches only 4 GiB" }, { 0x157034b4, "no ADMA2" }, { 0x147834b4, "no 3.3 V" },
		{ 0x157800b4, "does not know its clock" },
	};

	for (unsigned i = 0; i < 4; i++) {
		fresh(10);
		dev.capabilities = bad[i].capabilities;
		CHECK(!driver_birth() && logged(bad[i].why) && !device_bound);
	}
	fresh(10);
	dev.no_reset = true;
	CHECK(!driver_birth() && logged("does not reset") && !device_bound);
	fresh(10);
	test_info.pci.bar[0].size = 0x80;
	CHECK(!driver_birth());
	begin_short(10);
	dev.no_clock = true;
	client.stop_at = 0;
	seconds(3);
	CHECK(card.state == SD_HOST_BROKEN && client.block.facts.state == BLOCK_FAILED);
	begin_short(10);
	client.stop_at = 0;
	seconds(3);
	CHECK(card.state == SD_IDLE && device_bound);
	client.stop_at = 20;
	dev.silent_of = 1;
	dev.no_reset = true;
	seconds(60);
	CHECK(card.state == SD_HOST_BROKEN && client.block.facts.state == BLOCK_FAILED && client.seen[BLOCK_EIO] != 0);
	/* the command that never ended may still go on */
	CHECK(!device_bound);
	begin_short(11);
	CHECK(run_with_time_outs(60));
	client.stop_at = 300;
	dev.gone = true;
	seconds(10);
	CHECK(client.in_flight == 0 && client.block.facts.state != BLOCK_READY);
}

/* ---- deaths ---------------------------------------------------------------------------------------- */

static void
deaths(bool clients_die)
{
	for (uint64_t seed = 1; seed <= 20; seed++) {
		begin_short(seed);
		dev.late = 3;
		world.now += 1000000000;
		/* a turn is long enough for a card to get ready */
		CHECK(run_with_deaths(60000, 15, 60 + 100 * (unsigned)seed, clients_die));
		CHECK(client.wrong == 0 && world.violations == 0 && client.errors == 0);
	}
}

static void a_driver_dies_at_every_step(void) { deaths(false); }
static void both_ends_die_at_every_step(void) { deaths(true); }

int
main(void)
{
	RUN(a_card_is_identified);
	RUN(old_and_small_cards_work_too);
	RUN(traffic_is_right);
	RUN(a_protected_card_is_read_only);
	RUN(the_clock_is_never_too_fast);
	RUN(a_card_comes_and_goes);
	RUN(a_card_is_taken_out_during_traffic);
	RUN(transfers_that_fail_are_tried_again);
	RUN(a_controller_that_says_nothing_has_its_card_identified_anew);
	RUN(looks_at_a_command_without_interrupts_become_few);
	RUN(dma_errors_are_the_requests_own);
	RUN(cards_that_cannot_be_used_are_no_medium);
	RUN(controllers_that_cannot_be_used_are_refused_by_name);
	RUN(a_driver_dies_at_every_step);
	RUN(both_ends_die_at_every_step);
	CHECK_END();
}
