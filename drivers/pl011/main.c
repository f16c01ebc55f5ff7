/* SPDX-License-Identifier: MIT */
/*
 * The PL011 driver: one UART, one serial channel.  pl011(4).
 */
#include <tessera/bootinfo.h>
#include <tessera/runtime.h>
#include "pl011.h"

int
component_main(const struct component_info *info)
{
	static struct pl011 uart;
	struct serial_port port;
	const struct component_device *d = &info->device[0];

	if (info->device_count == 0 || d->kind != BOOT_UART_PL011) {
		log_line(LOG_WARNING "was given no PL011");
		return 1;
	}
	uart.base = d->address;
	uart.clock_hz = d->clock_hz;
	uart.baud = d->baud;
	pl011_start(&uart);
	port = pl011_port(&uart);
	return serial_serve(&pl011_operations, &uart, &port, d->irq_slot, d->irq_bit);
}
