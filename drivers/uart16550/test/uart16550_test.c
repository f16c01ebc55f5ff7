/* SPDX-License-Identifier: MIT */
/*
 * The 16550 driver against a model of the DesignWare APB UART, with what it is
 * known for: LCR locked while a byte is on the line and an interrupt that only
 * reading USR withdraws, a receive time-out without data, status bits that
 * reading clears.
 */
#include <uart_test.h>
#include "../uart16550.h"

enum { BASE = 0xfeb50000, DEPTH = 16 };
enum { RBR = 0, IER = 1, IIR = 2, LCR = 3, MCR = 4, LSR = 5, USR = 31 };

static struct {
	uint8_t ier, lcr, mcr, fcr, dll, dlm, errors;
	bool busy_irq, thre_irq, ghost_timeout;
	uint8_t tx[DEPTH];
	unsigned tx_count;
	uint16_t rx[DEPTH];
	unsigned rx_count;
	unsigned locked_writes, lcr_writes;
	bool always_busy;
	unsigned shift, width;
} dev;
static struct uart16550 driver;

static void
model_reset(void)
{
	memset(&dev, 0, sizeof dev);
	dev.shift = 2;
	dev.width = 4;
	driver = (struct uart16550){ .base = BASE, .reg_shift = 2, .reg_width = 4,
		.designware = true, .clock_hz = 24000000, .baud = 1500000 };
}

static void
model_tick(void)
{
	if (dev.tx_count == 0)
		return;
	model.sent[model.sent_size++] = (char)dev.tx[0];
	memmove(dev.tx, dev.tx + 1, --dev.tx_count);
	if (dev.tx_count == 0)
		dev.thre_irq = true;
}

static void
model_arrive(int byte)
{
	if ((dev.fcr & 1) == 0)
		return;
	if (dev.rx_count == DEPTH)
		dev.errors |= 2;
	else
		dev.rx[dev.rx_count++] = (uint16_t)byte;
}

static uint8_t
line_errors(void)
{
	return dev.errors | (dev.rx_count > 0 && dev.rx[0] == MODEL_BREAK ? 1 << 4 : 0);
}

/* Causes by priority, PC16550D table 5. */
static uint8_t
cause(void)
{
	if ((dev.ier & 4) && line_errors() != 0)
		return 6;
	if ((dev.ier & 1) && dev.rx_count > 0)
		return 4;
	if ((dev.ier & 1) && dev.ghost_timeout)
		return 12;
	if ((dev.ier & 2) && dev.thre_irq)
		return 2;
	return dev.busy_irq ? 7 : 1;
}

static bool
model_irq(void)
{
	return cause() != 1;
}

static uint8_t
read_data(void)
{
	uint8_t byte = (uint8_t)dev.rx[0];

	dev.ghost_timeout = false;
	if (dev.rx_count > 0)
		memmove(dev.rx, dev.rx + 1, --dev.rx_count * sizeof *dev.rx);
	return byte;
}

static uint8_t
read_status(void)
{
	uint8_t status = (uint8_t)(line_errors() | (dev.rx_count > 0) |
	    (dev.tx_count == 0 ? 0x60 : 0));

	dev.errors = 0;
	if (dev.rx_count > 0 && dev.rx[0] == MODEL_BREAK)
		dev.rx[0] = 0x8000;	/* the bit is gone, a null byte is left */
	return status;
}

static uint8_t
read_cause(void)
{
	uint8_t c = cause();

	if (c == 2)
		dev.thre_irq = false;
	return (uint8_t)(c | ((dev.fcr & 1) ? 0xc0 : 0));
}

uint32_t
model_read(uintptr_t address, unsigned bytes)
{
	unsigned reg = (unsigned)(address - BASE) >> dev.shift;
	uint8_t value = 0;

	if (bytes != dev.width)
		violation("access of another width");
	if ((dev.lcr & 0x80) && reg <= IER)
		violation("data register read while it is the divisor");
	switch (reg) {
	case RBR: value = read_data(); break;
	case IER: value = dev.ier; break;
	case IIR: value = read_cause(); break;
	case LCR: value = dev.lcr; break;
	case LSR:
		value = read_status();
		if (model.accesses % 8 == 7)	/* who polls lets time pass */
			model_tick();
		break;
	case USR:
		dev.busy_irq = false;
		value = dev.tx_count > 0;
		break;
	default: violation("unknown register read");
	}
	model_accessed();
	return value;
}

static void
write_lcr(uint8_t value)
{
	if (dev.tx_count > 0 || dev.rx_count > 0 || dev.always_busy) {
		dev.busy_irq = true;
		dev.locked_writes++;
		return;
	}
	dev.lcr = value;
	dev.lcr_writes++;
}

static void
write_data(uint8_t value)
{
	if (dev.tx_count == DEPTH)
		violation("THR written while the FIFO is full");
	else
		dev.tx[dev.tx_count++] = value;
	dev.thre_irq = false;
}

static void
write_ier(uint8_t value)
{
	/* switching it on with an empty transmitter raises it (§8.6) */
	if ((value & 2) && !(dev.ier & 2) && dev.tx_count == 0)
		dev.thre_irq = true;
	dev.ier = value;
}

void
model_write(uintptr_t address, uint32_t value, unsigned bytes)
{
	unsigned reg = (unsigned)(address - BASE) >> dev.shift;
	bool divisor = (dev.lcr & 0x80) != 0;

	if (bytes != dev.width)
		violation("access of another width");
	switch (reg) {
	case RBR:
		if (divisor)
			dev.dll = (uint8_t)value;
		else
			write_data((uint8_t)value);
		break;
	case IER:
		if (divisor)
			dev.dlm = (uint8_t)value;
		else
			write_ier((uint8_t)value);
		break;
	case IIR:
		dev.fcr = (uint8_t)value;
		if (value & 2)
			dev.rx_count = 0;
		if (value & 4)
			dev.tx_count = 0;
		break;
	case LCR: write_lcr((uint8_t)value); break;
	case MCR: dev.mcr = (uint8_t)value; break;
	default: violation("unknown register written");
	}
	model_accessed();
}

static void driver_start(void) { uart16550_start(&driver); }
static const struct serial_operations *driver_operations(void) { return &uart16550_operations; }
static void *driver_device(void) { return &driver; }
static struct serial_port driver_port(void) { return uart16550_port(&driver); }

static void
a_cold_uart_is_set_up(void)
{
	fresh();
	CHECK(dev.dll == 1 && dev.dlm == 0);	/* 24 MHz / (16 * 1.5 MBd) */
	CHECK(dev.lcr == 3 && (dev.fcr & 1) != 0 && (dev.mcr & 8) != 0);
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
	writes = dev.lcr_writes;
	driver_birth();
	CHECK(dev.lcr_writes == writes && dev.tx_count + model.sent_size == 10 && dev.rx_count == 1);
}

/* DW: a write to LCR is ignored while busy and raises an interrupt. */
static void
a_busy_uart_is_waited_for(void)
{
	fresh();
	dev.lcr = 0;
	dev.rx_count = 1;
	driver_birth();
	CHECK(dev.lcr == 3 && !dev.busy_irq);
}

static void
a_uart_that_never_becomes_idle_does_not_hold_us(void)
{
	fresh();
	dev.lcr = 0;
	dev.always_busy = true;
	driver_birth();
	CHECK(dev.locked_writes > 0 && !dev.busy_irq);
}

static void
a_busy_interrupt_is_withdrawn(void)
{
	fresh();
	settle();
	dev.busy_irq = true;
	driver_run();
	CHECK(!model_irq() && model.violations == 0);
}

static void
a_time_out_without_data_is_withdrawn(void)
{
	fresh();
	settle();
	dev.ghost_timeout = true;
	driver_run();
	CHECK(!model_irq() && model.violations == 0);
	CHECK(ring_readable(&console.in) == 0);
}

/* Reading LSR for the transmitter clears the overrun bit: it is kept. */
static void
an_overrun_seen_while_transmitting_is_counted(void)
{
	fresh();
	for (unsigned i = 0; i < DEPTH + 3; i++)
		model_arrive('a');
	ring_write(&console.out, "x", 1, &bell);
	(void)serial.op->room(serial.device);
	driver_run();
	CHECK(((struct stream *)frame)->overruns == 1);
	CHECK(ring_readable(&console.in) == DEPTH);
}

static void
a_classic_byte_wide_uart_works_too(void)
{
	fresh();
	dev.shift = driver.reg_shift = 0;
	dev.width = driver.reg_width = 1;
	driver.designware = false;
	dev.lcr = 0;
	driver_birth();
	ring_write(&console.out, "hello", 5, &bell);
	settle();
	CHECK(model.sent_size == 5 && memcmp(model.sent, "hello", 5) == 0);
	CHECK(model.violations == 0);
}

int
main(void)
{
	RUN(a_cold_uart_is_set_up);
	RUN(a_running_uart_keeps_its_fifos);
	RUN(a_busy_uart_is_waited_for);
	RUN(a_uart_that_never_becomes_idle_does_not_hold_us);
	RUN(a_busy_interrupt_is_withdrawn);
	RUN(a_time_out_without_data_is_withdrawn);
	RUN(an_overrun_seen_while_transmitting_is_counted);
	RUN(a_classic_byte_wide_uart_works_too);
	RUN_UART_TESTS();
	CHECK_END();
}
