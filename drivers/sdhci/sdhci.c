/* SPDX-License-Identifier: MIT */
/*
 * A standard SD host controller, SD Host Controller Simplified Specification 3.00.  Clients'
 * memory lies above 4 GiB in the addresses of devices, so 64-bit ADMA2 is required.
 */
#include <driver/mmio.h>
#include <tessera/runtime.h>
#include <tessera/string.h>
#include "sdhci.h"

/* Registers, §2.1.1 */
enum { BLOCK_SIZE = 0x04, BLOCK_COUNT = 0x06, ARGUMENT = 0x08, TRANSFER_MODE = 0x0c, COMMAND = 0x0e, RESPONSE = 0x10,
	PRESENT = 0x24, CONTROL = 0x28, POWER = 0x29, CLOCK = 0x2c, TIMEOUT = 0x2e, RESET = 0x2f, STATUS = 0x30,
	STATUS_ENABLE = 0x34, SIGNAL_ENABLE = 0x38, CAPABILITIES = 0x40, ADMA_ADDRESS = 0x58, VERSION = 0xfe,
	REGISTERS = 0x100 };

/* Transfer mode, §2.2.5, and command, §2.2.6 */
enum { MODE_DMA = 1, MODE_COUNT = 2, MODE_AUTO_CMD12 = 4, MODE_READ = 16, MODE_MANY = 32 };
enum { COMMAND_LONG = 1, COMMAND_SHORT = 2, COMMAND_BUSY = 3, COMMAND_CRC = 8, COMMAND_INDEX = 16, COMMAND_DATA = 32 };

/* Present state, §2.2.9 */
#define PRESENT_CARD		(1u << 16)
#define PRESENT_STABLE		(1u << 17)
#define PRESENT_WRITABLE	(1u << 19)

/* Host control 1, §2.2.10; power, §2.2.11; clock, §2.2.14; software reset, §2.2.16 */
enum { CONTROL_FOUR_LINES = 2, CONTROL_HIGH_SPEED = 4, CONTROL_ADMA2_64 = 3 << 3 };
enum { POWER_3_3_V = 0x0f };
enum { CLOCK_ON = 1, CLOCK_STABLE = 2, CLOCK_TO_CARD = 4 };
enum { RESET_ALL = 1, RESET_COMMAND = 2, RESET_DATA = 4 };

/* Interrupt status, §2.2.17 and §2.2.18: normal in the low half, errors in the high one */
#define STATUS_COMMAND		(1u << 0)
#define STATUS_TRANSFER		(1u << 1)
#define STATUS_INSERTED		(1u << 6)
#define STATUS_REMOVED		(1u << 7)
#define STATUS_ERROR		(1u << 15)
#define ERROR_COMMAND_TIMEOUT	(1u << 16)
#define ERROR_COMMAND		(7u << 17)	/* CRC, end bit, index */
#define ERROR_DATA		(7u << 20)	/* time-out, CRC, end bit */
#define ERROR_AUTO_COMMAND	(1u << 24)
#define ERROR_ADMA		(1u << 25)
#define STATUS_WANTED		(STATUS_COMMAND | STATUS_TRANSFER | STATUS_INSERTED | STATUS_REMOVED | 0x03ff0000u)

/* Capabilities, §2.2.26 */
#define CAPABLE_ADMA2		(1u << 19)
#define CAPABLE_HIGH_SPEED	(1u << 21)
#define CAPABLE_3_3_V		(1u << 24)
#define CAPABLE_64_BITS		(1u << 28)
#define CAPABLE_MHZ(c, version)	((c) >> 8 & ((version) >= 2 ? 0xffu : 0x3fu))

/* ADMA2 descriptors, §1.13.4 */
enum { DESCRIPTOR_VALID = 1, DESCRIPTOR_END = 2, DESCRIPTOR_TRANSFER = 4 << 3 };

static uint32_t get32(const struct sdhci *h, unsigned reg) { return mmio_read32(h->base + reg); }
static uint16_t get16(const struct sdhci *h, unsigned reg) { return mmio_read16(h->base + reg); }
static uint8_t get8(const struct sdhci *h, unsigned reg) { return mmio_read8(h->base + reg); }
static void set32(const struct sdhci *h, unsigned reg, uint32_t v) { mmio_write32(h->base + reg, v); }
static void set16(const struct sdhci *h, unsigned reg, uint16_t v) { mmio_write16(h->base + reg, v); }
static void set8(const struct sdhci *h, unsigned reg, uint8_t v) { mmio_write8(h->base + reg, v); }

/* ---- the controller and the bus ------------------------------------------------------ */

static bool
reset_lines(struct sdhci *h, uint8_t what)
{
	set8(h, RESET, what);
	for (unsigned n = 0; n < SDHCI_RESET_READS; n++)
		if ((get8(h, RESET) & what) == 0)
			return true;
	return false;
}

static bool
sdhci_reset(void *host)
{
	struct sdhci *h = host;

	h->pending = 0;
	if (!reset_lines(h, RESET_ALL))
		return false;
	set32(h, STATUS_ENABLE, STATUS_WANTED);
	set32(h, SIGNAL_ENABLE, h->facts.has_interrupt ? STATUS_WANTED : 0);
	return true;
}

static bool
sdhci_recover(void *host)
{
	struct sdhci *h = host;

	h->pending = 0;
	if (!reset_lines(h, RESET_COMMAND) || !reset_lines(h, RESET_DATA))
		return false;
	set32(h, STATUS, STATUS_WANTED & ~(STATUS_INSERTED | STATUS_REMOVED));
	return true;
}

/* Contacts bounce for a while (§3.1); all ones: the controller is gone, and so is its card. */
static bool
sdhci_card_is_there(void *host)
{
	uint32_t state = get32(host, PRESENT);

	return state != UINT32_MAX && (state & (PRESENT_CARD | PRESENT_STABLE)) == (PRESENT_CARD | PRESENT_STABLE);
}

static bool
sdhci_is_protected(void *host)
{
	return (get32(host, PRESENT) & PRESENT_WRITABLE) == 0;
}

/* The divisor of the base clock is 2 * n, or 1 for n = 0; before version 3 n is a power of two. */
static uint16_t
divisor(const struct sdhci *h, uint32_t hz)
{
	uint32_t n = (h->base_hz + 2 * hz - 1) / (2 * hz), power = 1;

	if (h->base_hz <= hz)
		return 0;
	if (h->version >= 2)
		return (uint16_t)(n < 1023 ? n : 1023);
	while (power < n && power < 128)
		power *= 2;
	return (uint16_t)power;
}

/* §3.2 */
static bool
sdhci_set_clock(void *host, uint32_t hz, bool high_speed)
{
	struct sdhci *h = host;
	uint16_t n = divisor(h, hz), clock = (uint16_t)((n & 0xff) << 8 | (n >> 8 & 3) << 6 | CLOCK_ON);
	uint8_t control = get8(h, CONTROL) & (uint8_t)~CONTROL_HIGH_SPEED;

	set16(h, CLOCK, 0);
	set8(h, CONTROL, (uint8_t)(control | (high_speed ? CONTROL_HIGH_SPEED : 0)));
	set16(h, CLOCK, clock);
	for (unsigned i = 0; i < SDHCI_CLOCK_READS; i++) {
		if ((get16(h, CLOCK) & CLOCK_STABLE) == 0)
			continue;
		set16(h, CLOCK, clock | CLOCK_TO_CARD);
		return true;
	}
	return false;
}

static bool
sdhci_power_on(void *host, uint32_t hz)
{
	struct sdhci *h = host;

	set8(h, CONTROL, CONTROL_ADMA2_64);
	set8(h, POWER, POWER_3_3_V);
	set8(h, TIMEOUT, 0x0e);			/* the longest */
	return sdhci_set_clock(h, hz, false);
}

static void
sdhci_set_width(void *host, unsigned lines)
{
	struct sdhci *h = host;
	uint8_t control = get8(h, CONTROL) & (uint8_t)~CONTROL_FOUR_LINES;

	set8(h, CONTROL, (uint8_t)(control | (lines == 4 ? CONTROL_FOUR_LINES : 0)));
}

/* ---- commands -------------------------------------------------------------------------- */

static void
put(uint8_t *p, uint64_t v, unsigned bytes)
{
	for (unsigned i = 0; i < bytes; i++)
		p[i] = (uint8_t)(v >> 8 * i);
}

static void
table_make(struct sdhci *h, const struct sd_command *c)
{
	uint8_t *p = h->table;

	assert_that(c->segments != 0 && c->segments <= SDHCI_SEGMENTS);
	for (uint32_t i = 0; i < c->segments; i++, p += SDHCI_DESCRIPTOR_BYTES) {
		bool last = i + 1 == c->segments;

		put(p, DESCRIPTOR_VALID | DESCRIPTOR_TRANSFER | (last ? DESCRIPTOR_END : 0u), 2);
		put(p + 2, c->segment[i].bytes, 2);
		put(p + 4, c->segment[i].address, 8);
	}
	dma_push(h->dma, h->table, (size_t)(p - h->table));
	dma_wmb();			/* the table before the command */
}

static uint16_t
command_flags(const struct sd_command *c)
{
	static const uint8_t flags[] = {
		[SD_NO_RESPONSE] = 0,
		[SD_R1] = COMMAND_SHORT | COMMAND_CRC | COMMAND_INDEX,
		[SD_R1B] = COMMAND_BUSY | COMMAND_CRC | COMMAND_INDEX,
		[SD_R2] = COMMAND_LONG | COMMAND_CRC,
		[SD_R3] = COMMAND_SHORT,
		[SD_R6] = COMMAND_SHORT | COMMAND_CRC | COMMAND_INDEX,
		[SD_R7] = COMMAND_SHORT | COMMAND_CRC | COMMAND_INDEX,
	};

	return (uint16_t)(c->index << 8 | flags[c->response] | (c->blocks != 0 ? COMMAND_DATA : 0));
}

/* §3.7.1 and §3.7.2: writing the command register is what starts it. */
static void
sdhci_command(void *host, const struct sd_command *c)
{
	struct sdhci *h = host;
	uint16_t mode = 0;

	h->pending = STATUS_COMMAND;
	h->long_response = c->response == SD_R2;
	h->deadline = time_ticks() + time_ticks_of_ns((c->blocks != 0 ? SDHCI_DATA_MS : SDHCI_COMMAND_MS) * 1000000ULL);
	if (c->blocks != 0) {
		table_make(h, c);
		set32(h, ADMA_ADDRESS, (uint32_t)h->table_io);
		set32(h, ADMA_ADDRESS + 4, (uint32_t)(h->table_io >> 32));
		set16(h, BLOCK_SIZE, (uint16_t)c->block_bytes);
		set16(h, BLOCK_COUNT, (uint16_t)c->blocks);
		mode = (uint16_t)(MODE_DMA | MODE_COUNT | (c->read ? MODE_READ : 0) | (c->blocks > 1 ? MODE_MANY : 0) |
		    (c->stop ? MODE_AUTO_CMD12 : 0));
		h->pending |= STATUS_TRANSFER;
	} else if (c->response == SD_R1B) {
		h->pending |= STATUS_TRANSFER;		/* when it is not busy any more */
	}
	set32(h, STATUS, STATUS_WANTED & ~(STATUS_INSERTED | STATUS_REMOVED));
	set32(h, ARGUMENT, c->argument);
	set16(h, TRANSFER_MODE, mode);
	set16(h, COMMAND, command_flags(c));
}

static enum sd_error
error_of(uint32_t status)
{
	if ((status & ERROR_ADMA) != 0)
		return SD_DMA_ERROR;
	if ((status & ERROR_COMMAND) != 0)
		return SD_BAD_ANSWER;
	if ((status & ERROR_COMMAND_TIMEOUT) != 0)
		return SD_NO_ANSWER;
	return SD_DATA_ERROR;
}

static bool
sdhci_poll(void *host, struct sd_result *r)
{
	struct sdhci *h = host;
	uint32_t status = get32(h, STATUS);

	r->error = SD_OK;
	memset(r->response, 0, sizeof r->response);
	if (status == UINT32_MAX) {
		r->error = SD_STUCK;
		return true;
	}
	if ((status & (STATUS_ERROR | 0xffff0000u)) != 0) {
		set32(h, STATUS, status);
		r->error = error_of(status);
		return true;
	}
	if ((status & h->pending) != 0)
		set32(h, STATUS, status & h->pending);
	h->pending &= ~status;
	if (h->pending != 0) {
		r->error = SD_STUCK;
		return time_ticks() >= h->deadline;
	}
	dma_rmb();			/* the end of the transfer before its data */
	for (unsigned i = 0; i < (h->long_response ? 4u : 1u); i++)
		r->response[i] = get32(h, RESPONSE + 4 * i);
	return true;
}

static void
sdhci_interrupt(void *host)
{
	struct sdhci *h = host;

	/* What belongs to a command stays for sdhci_poll. */
	set32(h, STATUS, STATUS_INSERTED | STATUS_REMOVED);
	pci_irq_ack(h->pci, (1ULL << pci_vectors(h->pci)) - 1);
}

static void
sdhci_cut(void *host)
{
	struct sdhci *h = host;

	pci_unbind(h->pci);
}

const struct sd_host_operations sdhci_operations = {
	.reset = sdhci_reset,
	.card_is_there = sdhci_card_is_there,
	.is_protected = sdhci_is_protected,
	.power_on = sdhci_power_on,
	.set_clock = sdhci_set_clock,
	.set_width = sdhci_set_width,
	.start = sdhci_command,
	.poll = sdhci_poll,
	.recover = sdhci_recover,
	.interrupt = sdhci_interrupt,
	.cut = sdhci_cut,
};

/* ---- start --------------------------------------------------------------------------------- */

static const char *
capabilities_check(struct sdhci *h)
{
	uint32_t c = get32(h, CAPABILITIES);

	h->version = get16(h, VERSION) & 0xff;
	h->base_hz = CAPABLE_MHZ(c, h->version) * 1000000;
	if (c == UINT32_MAX)
		return "the controller is gone";
	if ((c & CAPABLE_ADMA2) == 0)
		return "the controller has no ADMA2";
	if ((c & CAPABLE_64_BITS) == 0)
		return "the controller reaches only 4 GiB, and clients' memory lies above";
	if ((c & CAPABLE_3_3_V) == 0)
		return "the controller has no 3.3 V";
	if (h->base_hz == 0)
		return "the controller does not know its clock";
	h->facts = (struct sd_host_facts){
		.limits = {
			.max_bytes = SDHCI_MAX_BYTES, .max_segments = SDHCI_SEGMENTS,
			.max_segment_bytes = SDHCI_SEGMENT_BYTES, .align = 512,
		},
		.max_hz = h->base_hz, .four_lines = true, .high_speed = (c & CAPABLE_HIGH_SPEED) != 0,
		.has_interrupt = pci_vectors(h->pci) != 0,
	};
	return NULL;
}

bool
sdhci_start(struct sdhci *h, const struct component_pci *pci, struct dma_region *dma)
{
	const char *why;

	memset(h, 0, sizeof *h);
	h->pci = pci;
	h->dma = dma;
	h->base = pci_bar(pci, 0, REGISTERS);
	h->table = dma_alloc(dma, SDHCI_SEGMENTS * SDHCI_DESCRIPTOR_BYTES, 64, &h->table_io);
	if (h->base == 0 || h->table == NULL || !pci_msix_start(pci)) {
		log_line(LOG_WARNING "sdhci: no registers, no memory for DMA, or no MSI-X table");
		return false;
	}
	why = capabilities_check(h);
	if (why == NULL && !sdhci_reset(h))
		why = "the controller does not reset";
	/* Only now: no old command is in progress in it. */
	if (why == NULL && !pci_bind(pci))
		why = "no IOSpace";
	if (why != NULL)
		log_line(LOG_WARNING "sdhci: %s", why);
	return why == NULL;
}
