/* SPDX-License-Identifier: MIT */
/*
 * Bytes between rings and a UART, in both directions.  Pure: the device and the
 * Frame are given; the build host tests it with models of both.
 *
 * A byte leaves the ring only after the device has it, and one at a time: a
 * driver that is killed loses no byte that is still in the ring, and the next
 * one goes on behind the last byte sent.
 */
#include <driver/serial.h>

enum { BURST = 64 };		/* bytes to transmit before looking at the receiver */

static bool
receive(struct serial *s)
{
	struct ring *out = &s->stream.out;
	bool moved = false, overrun;
	uint8_t *to, byte;

	while (ring_reserve(out, &to) != 0) {
		overrun = false;
		switch (s->op->receive(s->device, &byte, &overrun)) {
		case SERIAL_NOTHING:
			return moved;
		case SERIAL_BREAK:
			s->stream.shared->breaks = s->stream.shared->breaks + 1;
			/* The count is the news: have the client look. */
			s->ring_bell = true;
			break;
		case SERIAL_BYTE:
			*to = byte;
			s->ring_bell |= ring_commit(out, 1);
			break;
		}
		if (overrun)
			s->stream.shared->overruns = s->stream.shared->overruns + 1;
		moved = true;
	}
	return moved;
}

static bool
transmit(struct serial *s)
{
	struct ring *in = &s->stream.in;
	const uint8_t *from;
	unsigned n = 0;

	while (n < BURST && ring_peek(in, &from) != 0) {
		if (!s->op->transmit(s->device, *from))
			break;
		s->ring_bell |= ring_consume(in, 1);
		n++;
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
