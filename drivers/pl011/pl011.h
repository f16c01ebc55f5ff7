/* SPDX-License-Identifier: MIT */
/*
 * Arm PrimeCell UART PL011 (TRM DDI 0183G): registers as operations for
 * driver/serial.h.
 */
#ifndef PL011_H
#define PL011_H

#include <driver/serial.h>

struct pl011 {
	uintptr_t base;
	uint32_t clock_hz;	/* 0 or */
	uint32_t baud;		/* 0: the divisor stays what firmware made it */
};

extern const struct serial_operations pl011_operations;
struct serial_port pl011_port(const struct pl011 *uart);

/*
 * Bring the device up.  A UART that runs as it should, since firmware or an
 * earlier life of this driver set it up, keeps running: what stands in its
 * FIFOs is neither sent twice nor lost.
 */
void pl011_start(struct pl011 *uart);

#endif
