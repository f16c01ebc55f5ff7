/* SPDX-License-Identifier: MIT */
/*
 * The PL011 driver against a model of the device (TRM DDI 0183G) that has what
 * bites: interrupts on passing a mark, FIFOs that a careless set-up loses.
 */
#include <uart_test.h>
#include "../pl011.h"

enum { BASE = 0x9000000, TX_DEPTH = 16, RX_DEPTH = 16 };
enum { DR = 0x00, FR = 0x18, IBRD = 0x24, FBRD = 0x28, LCR_H = 0x2c, CR = 0x30, IFLS = 0x34,
	IMSC = 0x38, ICR = 0x44 };
enum { TX = 1 << 5, RX = 1 << 4, RT = 1 << 6 };

static struct {
	uint32_t ibrd, fbrd, lcr, cr, ifls, imsc, ris;
	uint8_t tx[TX_DEPTH];
	unsigned tx_count;
	uint32_t rx[RX_DEPTH];
	unsigned rx_count, rx_idle;
	bool overrun;
	unsigned cr_writes;
} dev;
static struct pl011 driver;

static void
model_reset(void)
{
	memset(&dev, 0, sizeof dev);
	dev.cr = 0x300;
	dev.ifls = 0x12;
	driver = (struct pl011){ .base = BASE, .clock_hz = 24000000, .baud = 115200 };
}

static unsigned rx_mark(void) { return (dev.ifls >> 3 & 7) == 0 ? RX_DEPTH / 8 : RX_DEPTH / 2; }
static unsigned tx_mark(void) { return (dev.ifls & 7) == 0 ? TX_DEPTH / 8 : TX_DEPTH / 2; }

static void
model_tick(void)
{
	if (dev.tx_count > 0) {
		model.sent[model.sent_size++] = (char)dev.tx[0];
		memmove(dev.tx, dev.tx + 1, --dev.tx_count);
		if (dev.tx_count == tx_mark())	/* §2.8.2: on passing the mark */
			dev.ris |= TX;
	}
	if (dev.rx_count > 0 && ++dev.rx_idle == 4)	/* 32 bit times */
		dev.ris |= RT;
}

static void
model_arrive(int byte)
{
	uint32_t data = byte == MODEL_BREAK ? 1 << 10 : (uint32_t)byte;

	if ((dev.cr & 0x201) != 0x201)
		return;
	if (dev.rx_count == RX_DEPTH) {
		dev.overrun = true;
		return;
	}
	if (dev.overrun)
		data |= 1 << 11;
	dev.overrun = false;
	dev.rx[dev.rx_count++] = data;
	dev.rx_idle = 0;
	if (dev.rx_count == rx_mark())
		dev.ris |= RX;
}

static bool
model_irq(void)
{
	return (dev.ris & dev.imsc) != 0;
}

static uint32_t
read_data(void)
{
	uint32_t data = dev.rx[0];

	if (dev.rx_count == 0) {
		violation("DR read while the FIFO is empty");
		return 0;
	}
	memmove(dev.rx, dev.rx + 1, --dev.rx_count * sizeof *dev.rx);
	if (dev.rx_count < rx_mark())
		dev.ris &= ~(uint32_t)RX;
	if (dev.rx_count == 0)
		dev.ris &= ~(uint32_t)RT;
	return data;
}

uint32_t
model_read(uintptr_t address, unsigned bytes)
{
	uint32_t value = 0;

	if (bytes != 4)
		violation("access of another width");
	switch (address - BASE) {
	case DR: value = read_data(); break;
	case FR:
		value = (dev.tx_count > 0 ? 1u << 3 : 0) | (dev.rx_count == 0 ? 1u << 4 : 0) |
		    (dev.tx_count == TX_DEPTH ? 1u << 5 : 0) | (dev.tx_count == 0 ? 1u << 7 : 0);
		/* who polls lets time pass */
		if ((dev.cr & 1) != 0 && model.accesses % 8 == 7)
			model_tick();
		break;
	case IBRD: value = dev.ibrd; break;
	case FBRD: value = dev.fbrd; break;
	case LCR_H: value = dev.lcr; break;
	case CR: value = dev.cr; break;
	default: violation("unknown register read");
	}
	model_accessed();
	return value;
}

static void
write_data(uint32_t value)
{
	if ((dev.cr & 0x101) != 0x101)
		violation("DR written while disabled");
	if (dev.tx_count == TX_DEPTH) {
		violation("DR written while the FIFO is full");
		return;
	}
	dev.tx[dev.tx_count++] = (uint8_t)value;
	if (dev.tx_count > tx_mark())
		dev.ris &= ~(uint32_t)TX;
}

void
model_write(uintptr_t address, uint32_t value, unsigned bytes)
{
	if (bytes != 4)
		violation("access of another width");
	switch (address - BASE) {
	case DR: write_data(value); break;
	case IBRD: dev.ibrd = value; break;
	case FBRD: dev.fbrd = value; break;
	case LCR_H:
		if (dev.cr & 1)
			violation("LCR_H written while enabled");
		if ((value & 1 << 4) == 0)
			dev.tx_count = dev.rx_count = 0;	/* flushes the FIFOs */
		dev.lcr = value;
		break;
	case CR: dev.cr = value, dev.cr_writes++; break;
	case IFLS: dev.ifls = value; break;
	case IMSC: dev.imsc = value; break;
	case ICR: dev.ris &= ~value; break;
	default: violation("unknown register written");
	}
	model_accessed();
}

static void driver_start(void) { pl011_start(&driver); }
static const struct serial_operations *driver_operations(void) { return &pl011_operations; }
static void *driver_device(void) { return &driver; }
static struct serial_port driver_port(void) { return pl011_port(&driver); }

static void
a_cold_uart_is_set_up(void)
{
	fresh();
	CHECK(dev.ibrd == 13 && dev.fbrd == 1);	/* 24 MHz / (16 * 115200) = 13.02 */
	CHECK(dev.lcr == 0x70 && dev.cr == 0x301);
	CHECK(model.violations == 0);
}

static void
a_running_uart_keeps_its_fifos(void)
{
	unsigned writes;

	fresh();
	ring_write(&console.out, "0123456789", 10, &bell);
	serial_move(&serial);
	model_arrive('x');
	writes = dev.cr_writes;
	driver_birth();
	CHECK(dev.cr_writes == writes && dev.tx_count + model.sent_size == 10 && dev.rx_count == 1);
}

static void
a_divisor_is_left_alone_if_not_known(void)
{
	fresh();
	dev.ibrd = 7, dev.fbrd = 9, dev.cr = 0;
	driver.baud = 0;
	driver_birth();
	CHECK(dev.ibrd == 7 && dev.fbrd == 9 && dev.cr == 0x301);
}

int
main(void)
{
	RUN(a_cold_uart_is_set_up);
	RUN(a_running_uart_keeps_its_fifos);
	RUN(a_divisor_is_left_alone_if_not_known);
	RUN_UART_TESTS();
	CHECK_END();
}
