/* SPDX-License-Identifier: MIT */
/*
 * The 16550 driver: one UART, one serial channel.  uart16550(4).
 */
#include <tessera/bootinfo.h>
#include <tessera/runtime.h>
#include "uart16550.h"

static const uint32_t USR_REGISTER = 31;

int
component_main(const struct component_info *info)
{
	static struct uart16550 uart;
	struct serial_port port;
	const struct component_device *d = &info->device[0];

	if (info->device_count == 0 || d->kind != BOOT_UART_16550) {
		log_line(LOG_WARNING "was given no 16550");
		return 1;
	}
	uart.base = d->address;
	uart.reg_shift = d->reg_shift & 7;
	uart.reg_width = d->reg_width == 4 ? 4 : 1;
	/* DesignWare's status register lies behind the classic eight. */
	uart.designware = uart.reg_width == 4 && d->size > (USR_REGISTER << uart.reg_shift);
	uart.clock_hz = d->clock_hz;
	uart.baud = d->baud;
	uart16550_start(&uart);
	port = uart16550_port(&uart);
	return serial_serve(&uart16550_operations, &uart, &port, d->irq_slot, d->irq_bit);
}
