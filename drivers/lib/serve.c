/* SPDX-License-Identifier: MIT */
/*
 * The event loop of a UART driver.
 */
#include <driver/serial.h>
#include <tessera/runtime.h>
#include <tessera/stubs.h>

int
serial_serve(const struct serial_operations *op, void *device, const struct serial_port *port,
    uint32_t irq_slot, uint64_t irq_bit)
{
	const struct component_channel *channel = component_channel(CHANNEL_STREAM, CHANNEL_SERVER, 0);
	struct serial s = { .op = op, .device = device, .port = *port };
	bool told = false;
	uint64_t bits;

	if (channel == NULL || !channel_attach(channel, &s.stream)) {
		log_line(LOG_WARNING "no serial channel to serve");
		return 1;
	}
	/* An earlier life may have taken an interrupt and died: let the next one
	 * come, and let the client look at what was done before that. */
	irq_handler_ack(irq_slot);
	bell_ring(channel->slot);
	for (;;) {
		while (serial_move(&s) || !serial_rest(&s))
			;
		if (!told && s.stream.in.broken + s.stream.out.broken != 0) {
			log_line(LOG_WARNING "the client's ring made no sense, its bytes are dropped");
			told = true;
		}
		if (s.ring_bell) {
			s.ring_bell = false;
			bell_ring(channel->slot);
		}
		bits = bell_wait(0);
		if (bits & irq_bit) {
			op->acknowledge(device);
			irq_handler_ack(irq_slot);
		}
	}
}
