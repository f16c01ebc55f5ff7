/* SPDX-License-Identifier: MIT */
/*
 * 16550 and DesignWare APB UART, register level (TI PC16550D data sheet SNLS378;
 * Synopsys DW_apb_uart databook, "DW" below).
 */
#include <driver/mmio.h>
#include "uart16550.h"

/* Registers, PC16550D §8.0; DW adds USR */
enum { RBR = 0, THR = 0, DLL = 0, IER = 1, DLM = 1, IIR = 2, FCR = 2, LCR = 3, MCR = 4, LSR = 5,
	USR = 31 };

enum { IER_RECEIVE = 1 << 0, IER_TRANSMIT = 1 << 1, IER_LINE = 1 << 2 };
enum { IIR_MASK = 0x0f, IIR_BUSY = 0x07, IIR_NONE = 0x01, IIR_TIMEOUT = 0x0c,
	IIR_FIFOS = 0xc0 };
/* FCR: FIFOs on, receive mark at 1 byte: the time-out would cover higher ones,
 * but a typed character should not wait for it. */
enum { FCR_ENABLE = 1 << 0, FCR_CLEAR_RX = 1 << 1, FCR_CLEAR_TX = 1 << 2 };
enum { LCR_8_BITS = 3, LCR_DIVISOR = 1 << 7, LCR_WANTED = LCR_8_BITS };
/* MCR: OUT2 gates the interrupt line on PC-like wiring */
enum { MCR_DTR = 1 << 0, MCR_RTS = 1 << 1, MCR_OUT2 = 1 << 3, MCR_WANTED = 0x0b };
enum { LSR_DATA = 1 << 0, LSR_OVERRUN = 1 << 1, LSR_BREAK = 1 << 4, LSR_TX_EMPTY = 1 << 5 };

enum { FIFO_BYTES = 16 };
enum { LCR_TRIES = 1000 };

static uint8_t
get(const struct uart16550 *uart, unsigned reg)
{
	uintptr_t at = uart->base + ((uintptr_t)reg << uart->reg_shift);

	return uart->reg_width == 4 ? (uint8_t)mmio_read32(at) : mmio_read8(at);
}

static void
set(const struct uart16550 *uart, unsigned reg, uint8_t value)
{
	uintptr_t at = uart->base + ((uintptr_t)reg << uart->reg_shift);

	if (uart->reg_width == 4)
		mmio_write32(at, value);
	else
		mmio_write8(at, value);
}

/*
 * DW: while a byte is on the line LCR ignores writes and a busy interrupt is
 * raised, which reading USR withdraws.  Emptying the receiver lets it become
 * idle; a bounded number of tries, since the peer may never stop sending.
 */
static bool
set_lcr(const struct uart16550 *uart, uint8_t value)
{
	for (unsigned n = 0; n < LCR_TRIES; n++) {
		set(uart, LCR, value);
		if (get(uart, LCR) == value)
			return true;
		if (uart->designware)
			(void)get(uart, USR);
		set(uart, FCR, FCR_ENABLE | FCR_CLEAR_RX | FCR_CLEAR_TX);
		(void)get(uart, RBR);
	}
	return false;
}

/* clock / (16 * baud), rounded; 0: leave it alone. */
static uint16_t
divisor(const struct uart16550 *uart)
{
	if (uart->clock_hz == 0 || uart->baud == 0)
		return 0;
	return (uint16_t)((uart->clock_hz + uart->baud * 8) / (uart->baud * 16));
}

/* Only the bits of LCR that concern us; the divisor is not looked at, since
 * that would need LCR to be written. */
static bool
runs_as_wanted(const struct uart16550 *uart)
{
	return get(uart, LCR) == LCR_WANTED && (get(uart, IIR) & IIR_FIFOS) == IIR_FIFOS;
}

static void
configure(const struct uart16550 *uart)
{
	uint16_t d = divisor(uart);

	set(uart, FCR, FCR_ENABLE | FCR_CLEAR_RX | FCR_CLEAR_TX);
	if (d != 0 && set_lcr(uart, LCR_WANTED | LCR_DIVISOR)) {
		set(uart, DLL, (uint8_t)d);
		set(uart, DLM, (uint8_t)(d >> 8));
	}
	set_lcr(uart, LCR_WANTED);
}

void
uart16550_start(struct uart16550 *uart)
{
	uart->enabled = 0;
	uart->errors = 0;
	set(uart, IER, 0);
	if (!runs_as_wanted(uart))
		configure(uart);
	set(uart, MCR, MCR_WANTED);
	if (uart->designware)
		(void)get(uart, USR);
	(void)get(uart, IIR);
}

/* Reading LSR clears its error bits, whatever it is read for: keep them for the
 * byte that is received next (PC16550D §8.4). */
static uint8_t
line_status(struct uart16550 *uart)
{
	uint8_t status = get(uart, LSR);

	uart->errors |= status & (LSR_OVERRUN | LSR_BREAK);
	return status;
}

/* An empty transmitter takes a whole FIFO (PC16550D §8.5; DW with THRE
 * interrupts by threshold off, as IER bit 7 is 0). */
static unsigned
uart16550_room(void *device)
{
	return line_status(device) & LSR_TX_EMPTY ? FIFO_BYTES : 0;
}

static bool
uart16550_ready(void *device, unsigned *flags)
{
	struct uart16550 *uart = device;

	*flags = 0;
	if ((line_status(uart) & LSR_DATA) == 0)
		return false;
	*flags = (uart->errors & LSR_OVERRUN ? SERIAL_OVERRUN : 0u) |
	    (uart->errors & LSR_BREAK ? SERIAL_BREAK : 0u);
	uart->errors = 0;
	return true;
}

struct serial_port
uart16550_port(const struct uart16550 *uart)
{
	return (struct serial_port){ .data = uart->base + RBR, .width = uart->reg_width };
}

static void
uart16550_interrupts(void *device, bool receive, bool transmit)
{
	struct uart16550 *uart = device;
	uint8_t enable = (uint8_t)((receive ? IER_RECEIVE | IER_LINE : 0) |
	    (transmit ? IER_TRANSMIT : 0));

	if (enable == uart->enabled)
		return;
	uart->enabled = enable;
	set(uart, IER, enable);
}

/*
 * Reading IIR withdraws a transmit interrupt.  DW: a busy interrupt goes away
 * by reading USR, and a receive time-out without data (raised when the FIFO was
 * emptied at that very moment) only by reading RBR once.
 */
static void
uart16550_acknowledge(void *device)
{
	struct uart16550 *uart = device;
	uint8_t cause = get(uart, IIR) & IIR_MASK;

	if (cause == IIR_BUSY && uart->designware)
		(void)get(uart, USR);
	else if (cause == IIR_TIMEOUT && (line_status(uart) & (LSR_DATA | LSR_BREAK)) == 0)
		(void)get(uart, RBR);
}

const struct serial_operations uart16550_operations = {
	.room = uart16550_room,
	.ready = uart16550_ready,
	.interrupts = uart16550_interrupts,
	.acknowledge = uart16550_acknowledge,
};
