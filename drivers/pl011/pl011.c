/* SPDX-License-Identifier: MIT */
/*
 * Arm PrimeCell UART PL011, register level (TRM DDI 0183G, chapter 3).
 */
#include <driver/mmio.h>
#include "pl011.h"

/* Registers, §3.2 */
enum { DR = 0x00, FR = 0x18, IBRD = 0x24, FBRD = 0x28, LCR_H = 0x2c, CR = 0x30, IFLS = 0x34,
	IMSC = 0x38, ICR = 0x44 };

/* DR, §3.3.1: what came with a byte */
enum { DR_BREAK = 1 << 10, DR_OVERRUN = 1 << 11 };

/* FR, §3.3.3 */
enum { FR_BUSY = 1 << 3, FR_RX_EMPTY = 1 << 4, FR_TX_FULL = 1 << 5,
	FR_TX_EMPTY = 1 << 7 };

/* LCR_H, §3.3.7: 8 bits, no parity, one stop bit, FIFOs on */
enum { LCR_FIFOS = 1 << 4, LCR_8_BITS = 3 << 5, LCR_WANTED = LCR_8_BITS | LCR_FIFOS,
	LCR_MASK = 0xff };

/* CR, §3.3.8 */
enum { CR_ENABLE = 1 << 0, CR_TRANSMIT = 1 << 8, CR_RECEIVE = 1 << 9,
	CR_WANTED = CR_ENABLE | CR_TRANSMIT | CR_RECEIVE };

/* IFLS, §3.3.9: interrupt when the receive FIFO is 1/8 full (bits 5:3 = 0), or
 * the transmit FIFO down to 1/8 (bits 2:0 = 0) */
enum { IFLS_WANTED = 0 };

/* IMSC and ICR, §3.3.10 and §3.3.13.  Receive time-out fires for the last few
 * bytes that do not reach the FIFO's mark. */
enum { INT_RX = 1 << 4, INT_TX = 1 << 5, INT_RX_TIMEOUT = 1 << 6, INT_BREAK = 1 << 9,
	INT_OVERRUN = 1 << 10, INT_ALL = 0x7ff };

enum { FIFO_BYTES = 16 };	/* r1p5 has 32; nothing says which one it is */
enum { BUSY_READS = 1000000 };	/* more than 32 bytes take at 9600 baud */

static uint32_t
get(const struct pl011 *uart, unsigned reg)
{
	return mmio_read32(uart->base + reg);
}

static void
set(const struct pl011 *uart, unsigned reg, uint32_t value)
{
	mmio_write32(uart->base + reg, value);
}

/* Divisor in 1/64: clock / (16 * baud), rounded (§3.3.6). */
static uint32_t
divisor(const struct pl011 *uart)
{
	if (uart->clock_hz == 0 || uart->baud == 0)
		return 0;
	return (uint32_t)(((uint64_t)uart->clock_hz * 4 + uart->baud / 2) / uart->baud);
}

static bool
runs_as_wanted(const struct pl011 *uart)
{
	uint32_t d = divisor(uart);

	if (d != 0 && (get(uart, IBRD) != d >> 6 || get(uart, FBRD) != (d & 63)))
		return false;
	return (get(uart, CR) & CR_WANTED) == CR_WANTED &&
	    (get(uart, LCR_H) & LCR_MASK) == LCR_WANTED;
}

/* §3.3.8: disable, wait for the end of the byte, flush the FIFOs by clearing
 * FEN, reprogram, enable.  LCR_H is written last: it takes the divisor over. */
static void
configure(const struct pl011 *uart)
{
	uint32_t d = divisor(uart);

	for (unsigned n = 0; n < BUSY_READS && (get(uart, FR) & FR_BUSY) != 0; n++)
		;
	set(uart, CR, 0);
	set(uart, LCR_H, get(uart, LCR_H) & ~(uint32_t)LCR_FIFOS);
	if (d != 0) {
		set(uart, IBRD, d >> 6);
		set(uart, FBRD, d & 63);
	}
	set(uart, LCR_H, LCR_WANTED);
	set(uart, CR, CR_WANTED);
}

void
pl011_start(struct pl011 *uart)
{
	set(uart, IMSC, 0);
	if (!runs_as_wanted(uart))
		configure(uart);
	set(uart, IFLS, IFLS_WANTED);
	set(uart, ICR, INT_ALL);
}

/* The flags are asked for as seldom as possible: a register access costs more
 * than anything else here. */
static unsigned
pl011_room(void *device)
{
	uint32_t flags = get(device, FR);

	if (flags & FR_TX_EMPTY)
		return FIFO_BYTES;
	return flags & FR_TX_FULL ? 0 : 1;
}

/* Break and overrun come with the byte, in DR. */
static bool
pl011_ready(void *device, unsigned *flags)
{
	*flags = 0;
	return (get(device, FR) & FR_RX_EMPTY) == 0;
}

struct serial_port
pl011_port(const struct pl011 *uart)
{
	return (struct serial_port){
		.data = uart->base + DR, .width = 4,
		.break_bit = DR_BREAK, .overrun_bit = DR_OVERRUN,
	};
}

/* The transmit interrupt comes when the FIFO sinks through its mark, so it is
 * switched on only after the FIFO was filled (§2.8.2). */
static void
pl011_interrupts(void *device, bool receive, bool transmit)
{
	struct pl011 *uart = device;

	set(uart, IMSC, (receive ? INT_RX | INT_RX_TIMEOUT | INT_BREAK | INT_OVERRUN : 0u) |
	    (transmit ? INT_TX : 0u));
}

static void
pl011_acknowledge(void *device)
{
	set(device, ICR, INT_ALL);
}

const struct serial_operations pl011_operations = {
	.room = pl011_room,
	.ready = pl011_ready,
	.interrupts = pl011_interrupts,
	.acknowledge = pl011_acknowledge,
};
