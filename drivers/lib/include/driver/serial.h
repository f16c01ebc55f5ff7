/* SPDX-License-Identifier: MIT */
/*
 * What all UART drivers share: moving bytes between a device and the rings of
 * its "serial" channel (proto/stream.h, the driver is the server), and when to
 * have which interrupt on.  A driver gives the operations of its device; none
 * of them may block or loop for long.
 */
#ifndef DRIVER_SERIAL_H
#define DRIVER_SERIAL_H

#include <stdbool.h>
#include <stdint.h>
#include <tessera/ring.h>

/* What came with a received byte, where the device says so apart from the byte. */
enum { SERIAL_BREAK = 1, SERIAL_OVERRUN = 2 };

/* The data register, and what it tells beside the byte (0: nothing). */
struct serial_port {
	uintptr_t data;
	unsigned width;			/* of an access in bytes: 1 or 4 */
	uint32_t break_bit;
	uint32_t overrun_bit;
};

struct serial_operations {
	/* How many bytes does the transmitter surely take now? */
	unsigned (*room)(void *device);
	/* Is there a received byte to read?  *flags: what came with it. */
	bool (*ready)(void *device, unsigned *flags);
	/* Have an interrupt when bytes were received / when there is room to transmit. */
	void (*interrupts)(void *device, bool receive, bool transmit);
	/* Withdraw the causes that the device latches. */
	void (*acknowledge)(void *device);
};

struct serial {
	const struct serial_operations *op;
	void *device;
	struct serial_port port;
	struct stream_end stream;
	bool ring_bell;		/* the peer waits for what was just done */
};

/* Move what can be moved; false: nothing could. */
bool serial_move(struct serial *s);

/*
 * Nothing could be moved: choose interrupts and flags so that whatever changes
 * that wakes us.  false: it has changed already, move again.
 */
bool serial_rest(struct serial *s);

/* The driver's life: serve the component's serial channel for ever. */
int serial_serve(const struct serial_operations *op, void *device,
    const struct serial_port *port, uint32_t irq_slot, uint64_t irq_bit);

#endif
