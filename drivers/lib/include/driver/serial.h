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

enum serial_receive {
	SERIAL_NOTHING,		/* nothing received */
	SERIAL_BYTE,
	SERIAL_BREAK,		/* a break condition instead of a byte */
};

struct serial_operations {
	/* Put one byte into the transmitter; false: it is full. */
	bool (*transmit)(void *device, uint8_t byte);
	/* Take one byte; *overrun is set if bytes before it were lost. */
	enum serial_receive (*receive)(void *device, uint8_t *byte, bool *overrun);
	/* Have an interrupt when bytes were received / when there is room to transmit. */
	void (*interrupts)(void *device, bool receive, bool transmit);
	/* Withdraw the causes that the device latches. */
	void (*acknowledge)(void *device);
};

struct serial {
	const struct serial_operations *op;
	void *device;
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
int serial_serve(const struct serial_operations *op, void *device, uint32_t irq_slot,
    uint64_t irq_bit);

#endif
