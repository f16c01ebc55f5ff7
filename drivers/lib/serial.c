/* SPDX-License-Identifier: MIT */
/*
 * Bytes between rings and a UART, in both directions.  Pure: the device and the
 * Frame are given; the build host tests it with models of both.
 *
 * A byte leaves the ring only after the device has it, and one at a time: a
 * driver that is killed loses no byte that is still in the ring, and the next
 * one goes on behind the last byte sent.  No device tells how many bytes it was
 * ever given, so a driver killed between giving it a byte and advancing the
 * index would give it again, and one killed between taking a byte and handing
 * it over would lose it.  That window is kept as small as can be: the access to
 * the data register and the store of the index follow each other without a
 * branch.
 */
#include <driver/mmio.h>
#include <driver/serial.h>

enum { BURST = 64 };		/* bytes to transmit before looking at the receiver */

/* Give the device count bytes.  One loop for each width, see above. */
static bool
send_words(uintptr_t data, struct ring *in, const uint8_t *from, unsigned count)
{
	bool bell = false;

	for (unsigned i = 0; i < count; i++) {
		uint32_t byte = from[i];

		mmio_write32(data, byte);
		bell |= ring_consume(in, 1);
	}
	return bell;
}

static bool
send_bytes(uintptr_t data, struct ring *in, const uint8_t *from, unsigned count)
{
	bool bell = false;

	for (unsigned i = 0; i < count; i++) {
		uint8_t byte = from[i];

		mmio_write8(data, byte);
		bell |= ring_consume(in, 1);
	}
	return bell;
}

/*
 * Take one byte into the ring, unless it is a break; returns what was read.  Each
 * is a function of its own, on lines of the cache of its own: inlined, compilers
 * share the end of both behind a branch, and a driver killed there loses a byte
 * that the device no longer has.
 */
static __attribute__((noinline, aligned(64))) uint32_t
take_word(const struct serial_port *port, struct ring *out, uint8_t *to, uint32_t skip, bool *bell)
{
	uint32_t data = mmio_read32(port->data);

	*to = (uint8_t)data;
	*bell |= ring_commit(out, ((data & port->break_bit) | skip) == 0);
	return data;
}

static __attribute__((noinline, aligned(64))) uint32_t
take_byte(const struct serial_port *port, struct ring *out, uint8_t *to, uint32_t skip, bool *bell)
{
	uint32_t data = mmio_read8(port->data);

	*to = (uint8_t)data;
	*bell |= ring_commit(out, ((data & port->break_bit) | skip) == 0);
	return data;
}

static unsigned
take(struct serial *s, uint8_t *to, unsigned flags)
{
	const struct serial_port *port = &s->port;
	uint32_t data = (port->width == 4 ? take_word : take_byte)(port, &s->stream.out, to, flags & SERIAL_BREAK,
	    &s->ring_bell);

	return flags | (data & port->break_bit ? SERIAL_BREAK : 0u) |
	    (data & port->overrun_bit ? SERIAL_OVERRUN : 0u);
}

static bool
receive(struct serial *s)
{
	struct stream *shared = s->stream.shared;
	bool moved = false;
	unsigned flags;
	uint8_t *to;

	while (ring_reserve(&s->stream.out, &to) != 0 && s->op->ready(s->device, &flags)) {
		flags = take(s, to, flags);
		if (flags & SERIAL_OVERRUN)
			shared->overruns = shared->overruns + 1;
		if (flags & SERIAL_BREAK)
			shared->breaks = shared->breaks + 1;
		/* A count is news as well: have the client look. */
		s->ring_bell |= flags != 0;
		moved = true;
	}
	return moved;
}

static bool
transmit(struct serial *s)
{
	struct ring *in = &s->stream.in;
	const uint8_t *from;
	unsigned n = 0, count, room;

	while (n < BURST && (count = ring_peek(in, &from)) != 0) {
		room = s->op->room(s->device);
		if (room == 0)
			break;
		if (count > room)
			count = room;
		s->ring_bell |= s->port.width == 4 ? send_words(s->port.data, in, from, count) :
		    send_bytes(s->port.data, in, from, count);
		n += count;
	}
	return n != 0;
}

bool
serial_move(struct serial *s)
{
	bool received = receive(s), transmitted = transmit(s);

	return received || transmitted;
}

bool
serial_rest(struct serial *s)
{
	bool no_room = ring_space(&s->stream.out) == 0;
	bool pending = ring_readable(&s->stream.in) != 0;

	/* Bytes that have no place stay in the device, with its interrupt off,
	 * until the client has made room. */
	s->op->interrupts(s->device, !no_room, pending);
	if (no_room && !ring_writer_waits(&s->stream.out, 1))
		return false;
	return pending || ring_reader_waits(&s->stream.in);
}
