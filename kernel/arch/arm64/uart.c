/* SPDX-License-Identifier: MIT */
/*
 * The early console: polled output on a PL011 (ARM DDI 0183) or a 16550 with
 * its registers 1 or 4 bytes apart.  It carries the kernel's log until a
 * driver takes the device over (core/log.c knows), and what a stopping kernel
 * has to say after.
 */
#include "arch_arm64.h"

enum {
	PL011_DR = 0x00, PL011_FR = 0x18, PL011_CR = 0x30,
	PL011_FR_TXFF = 1 << 5,
	PL011_CR_ENABLE = 0x301,	/* UARTEN, TXE, RXE */
	UART16550_THR = 0, UART16550_LSR = 5,
	UART16550_LSR_THRE = 1 << 5,
	POLL_LIMIT = 1000000,		/* a dead UART must not stop the kernel */
};

static struct boot_uart uart;

static void
pl011_putc(char c)
{
	for (unsigned n = 0; n < POLL_LIMIT; n++)
		if ((mmio_read32(uart.base + PL011_FR) & PL011_FR_TXFF) == 0)
			break;
	mmio_write32(uart.base + PL011_DR, (unsigned char)c);
}

static uint64_t
uart16550_register(unsigned reg)
{
	return uart.base + ((uint64_t)reg << uart.reg_shift);
}

static void
uart16550_putc(char c)
{
	bool wide = uart.reg_width == 4;
	uint64_t lsr = uart16550_register(UART16550_LSR);

	for (unsigned n = 0; n < POLL_LIMIT; n++)
		if (((wide ? mmio_read32(lsr) : mmio_read8(lsr)) & UART16550_LSR_THRE) != 0)
			break;
	if (wide)
		mmio_write32(uart16550_register(UART16550_THR), (unsigned char)c);
	else
		mmio_write8(uart16550_register(UART16550_THR), (uint8_t)c);
}

static void
uart_putc(char c)
{
	if (uart.kind == BOOT_UART_PL011)
		pl011_putc(c);
	else if (uart.kind == BOOT_UART_16550)
		uart16550_putc(c);
}

/* Firmware has set the line's speed; a PL011 is switched on in case it is not. */
void
uart_init(const struct boot_uart *info)
{
	uart = *info;
	if (uart.kind == BOOT_UART_PL011)
		mmio_write32(uart.base + PL011_CR,
			     mmio_read32(uart.base + PL011_CR) | PL011_CR_ENABLE);
}

void
arch_console_write(const char *text, size_t length)
{
	for (size_t i = 0; i < length; i++) {
		if (text[i] == '\n')
			uart_putc('\r');
		uart_putc(text[i]);
	}
}
