/* SPDX-License-Identifier: MIT */
/*
 * 16550-compatible UARTs and Synopsys DesignWare's APB UART (DW_apb_uart
 * databook 4.x): registers as operations for driver/serial.h.
 */
#ifndef UART16550_H
#define UART16550_H

#include <driver/serial.h>

struct uart16550 {
	uintptr_t base;
	unsigned reg_shift;	/* log2 of the distance of registers */
	unsigned reg_width;	/* bytes of an access: 1 or 4 */
	bool designware;	/* has USR, and LCR is locked while it is busy */
	uint32_t clock_hz;	/* 0 or */
	uint32_t baud;		/* 0: the divisor stays what firmware made it */

	uint8_t enabled;	/* IER as last written */
	uint8_t errors;		/* seen in LSR, not yet reported */
};

extern const struct serial_operations uart16550_operations;
struct serial_port uart16550_port(const struct uart16550 *uart);

/* Bring the device up; one that runs as it should keeps running, FIFOs and all. */
void uart16550_start(struct uart16550 *uart);

#endif
