/* SPDX-License-Identifier: MIT */
/*
 * The rings of proto/stream.h, as every end uses them: header only, without a
 * system call, so that init, components, personalities and tests on the build
 * host share one implementation.
 *
 * A struct ring is one end's private view of one shared ring.  Offset and size
 * are copied and checked once, when it is attached, since the peer can write
 * to the shared header at any time and is not trusted.  Only this end's own
 * index is kept here as well; what the peer says is read once per operation
 * and range-checked.
 *
 * Functions that may have to wake the peer return true if the caller shall
 * ring its doorbell.
 */
#ifndef TESSERA_RING_H
#define TESSERA_RING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <tessera/string.h>
#include <proto/stream.h>

struct ring {
	struct stream_ring *shared;
	uint8_t *data;
	uint32_t size;		/* a power of two, or 0: nothing flows here */
	uint32_t own;		/* head of a reader, tail of a writer */
	uint32_t broken;	/* how often the peer's index made no sense */
};

/* Both directions of a channel as one end sees them. */
struct stream_end {
	struct stream *shared;
	struct ring in;
	struct ring out;
	uint32_t peer_epoch;
};

enum stream_role { STREAM_CLIENT = 0, STREAM_SERVER = 1 };

static inline bool
ring_is_power_of_two(uint32_t n)
{
	return n != 0 && (n & (n - 1)) == 0;
}

/*
 * Lay out an all-zero channel Frame: half of it for the client's bytes, a
 * quarter for the server's (none if one_way), the header before them.
 */
static inline void
stream_format(void *frame, uint32_t bytes, bool one_way)
{
	struct stream *s = frame;
	uint32_t half = bytes / 2, quarter = bytes / 4;

	s->magic = STREAM_MAGIC;
	s->version = 1;
	s->ring[0].offset = half;
	s->ring[0].size = half;
	s->ring[1].offset = quarter;
	s->ring[1].size = one_way ? 0 : quarter;
}

/* Take a checked copy of a ring's place; false if it does not fit the Frame. */
static inline bool
ring_attach(struct ring *r, void *frame, uint32_t bytes, struct stream_ring *shared)
{
	uint32_t offset = *(volatile uint32_t *)&shared->offset;
	uint32_t size = *(volatile uint32_t *)&shared->size;

	if (size != 0 && !ring_is_power_of_two(size))
		return false;
	if (offset > bytes || size > bytes - offset)
		return false;
	if (size != 0 && offset < sizeof(struct stream))
		return false;
	r->shared = shared;
	r->data = (uint8_t *)frame + offset;
	r->size = size;
	r->own = 0;
	r->broken = 0;
	return true;
}

static inline bool
stream_attach(struct stream_end *e, void *frame, uint32_t bytes, enum stream_role role)
{
	struct stream *s = frame;
	unsigned out = role == STREAM_CLIENT ? 0 : 1;

	if (bytes < sizeof *s || s->magic != STREAM_MAGIC || s->version != 1)
		return false;
	if (!ring_attach(&e->out, frame, bytes, &s->ring[out]))
		return false;
	if (!ring_attach(&e->in, frame, bytes, &s->ring[!out]))
		return false;
	e->shared = s;
	/* Go on where an earlier life of this end stopped. */
	e->out.own = __atomic_load_n(&e->out.shared->tail, __ATOMIC_RELAXED);
	e->in.own = __atomic_load_n(&e->in.shared->head, __ATOMIC_RELAXED);
	if (role == STREAM_CLIENT) {
		s->client_epoch = s->client_epoch + 1;
		e->peer_epoch = s->server_epoch;
	} else {
		s->server_epoch = s->server_epoch + 1;
		e->peer_epoch = s->client_epoch;
	}
	return true;
}

/* Bytes that can be read.  A tail out of range is answered as stream(5) says:
 * head = tail, count it, do not follow the peer. */
static inline uint32_t
ring_readable(struct ring *r)
{
	/* acquire: pairs with the writer's release of tail after the data */
	uint32_t tail = __atomic_load_n(&r->shared->tail, __ATOMIC_ACQUIRE);
	uint32_t count = tail - r->own;

	if (count <= r->size)
		return count;
	r->broken++;
	r->own = tail;
	__atomic_store_n(&r->shared->head, tail, __ATOMIC_RELEASE);
	return 0;
}

/* Bytes that can be written. */
static inline uint32_t
ring_space(struct ring *r)
{
	/* acquire: the reader has copied what it gave back with this head */
	uint32_t head = __atomic_load_n(&r->shared->head, __ATOMIC_ACQUIRE);
	uint32_t used = r->own - head;

	if (used <= r->size)
		return r->size - used;
	r->broken++;	/* a reader that lies gets no more bytes */
	return 0;
}

/* The next readable bytes that lie in one piece; 0 if there are none. */
static inline uint32_t
ring_peek(struct ring *r, const uint8_t **bytes)
{
	uint32_t count = ring_readable(r), at, end;

	if (count == 0)
		return 0;
	at = r->own & (r->size - 1);
	end = r->size - at;
	*bytes = r->data + at;
	return count < end ? count : end;
}

/* Give count bytes back to the writer. */
static inline bool
ring_consume(struct ring *r, uint32_t count)
{
	r->own += count;
	__atomic_store_n(&r->shared->head, r->own, __ATOMIC_RELEASE);
	/* orders the store of head before the load of writer_waits; pairs
	 * with the fence in ring_writer_waits */
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	if (__atomic_load_n(&r->shared->writer_waits, __ATOMIC_RELAXED) == 0)
		return false;
	__atomic_store_n(&r->shared->writer_waits, 0, __ATOMIC_RELAXED);
	return true;
}

/* The next free bytes that lie in one piece; 0 if the ring is full. */
static inline uint32_t
ring_reserve(struct ring *r, uint8_t **bytes)
{
	uint32_t space = ring_space(r), at, end;

	if (space == 0)
		return 0;
	at = r->own & (r->size - 1);
	end = r->size - at;
	*bytes = r->data + at;
	return space < end ? space : end;
}

/* Hand count written bytes to the reader. */
static inline bool
ring_commit(struct ring *r, uint32_t count)
{
	r->own += count;
	__atomic_store_n(&r->shared->tail, r->own, __ATOMIC_RELEASE);
	/* orders the store of tail before the load of reader_waits; pairs
	 * with the fence in ring_reader_waits */
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	if (__atomic_load_n(&r->shared->reader_waits, __ATOMIC_RELAXED) == 0)
		return false;
	__atomic_store_n(&r->shared->reader_waits, 0, __ATOMIC_RELAXED);
	return true;
}

/*
 * A reader that has seen `seen` bytes and can do nothing with them says so.
 * True: nothing came meanwhile, it may wait for its doorbell; false: look
 * again.
 */
static inline bool
ring_reader_waits_for_more(struct ring *r, uint32_t seen)
{
	__atomic_store_n(&r->shared->reader_waits, 1, __ATOMIC_RELAXED);
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	if (ring_readable(r) == seen)
		return true;
	__atomic_store_n(&r->shared->reader_waits, 0, __ATOMIC_RELAXED);
	return false;
}

static inline bool
ring_reader_waits(struct ring *r)
{
	return ring_reader_waits_for_more(r, 0);
}

/* The same for a writer that needs room for `count` bytes. */
static inline bool
ring_writer_waits(struct ring *r, uint32_t count)
{
	__atomic_store_n(&r->shared->writer_waits, 1, __ATOMIC_RELAXED);
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	if (ring_space(r) < count)
		return true;
	__atomic_store_n(&r->shared->writer_waits, 0, __ATOMIC_RELAXED);
	return false;
}

/*
 * Put bytes behind the tail without handing them over yet: at + count must be
 * within ring_space.  One ring_commit then hands over several pieces at once.
 */
static inline void
ring_put(struct ring *r, uint32_t at, const void *from, uint32_t count)
{
	uint32_t start = (r->own + at) & (r->size - 1), first = r->size - start;

	if (first > count)
		first = count;
	memcpy(r->data + start, from, first);
	memcpy(r->data, (const uint8_t *)from + first, count - first);
}

/* Copy count readable bytes out, from `at` bytes behind the head, and leave
 * them in the ring: at + count must be within ring_readable. */
static inline void
ring_copy(const struct ring *r, uint32_t at, void *to, uint32_t count)
{
	uint32_t start = (r->own + at) & (r->size - 1), first = r->size - start;

	if (first > count)
		first = count;
	memcpy(to, r->data + start, first);
	memcpy((uint8_t *)to + first, r->data, count - first);
}

/* Copy up to count bytes in; *bell is set to true if the reader waits. */
static inline uint32_t
ring_write(struct ring *r, const void *from, uint32_t count, bool *bell)
{
	const uint8_t *src = from;
	uint32_t done = 0, n;
	uint8_t *to;

	while (done < count && (n = ring_reserve(r, &to)) != 0) {
		if (n > count - done)
			n = count - done;
		memcpy(to, src + done, n);
		if (ring_commit(r, n))
			*bell = true;
		done += n;
	}
	return done;
}

/* Copy up to count bytes out; *bell is set to true if the writer waits. */
static inline uint32_t
ring_read(struct ring *r, void *to, uint32_t count, bool *bell)
{
	uint8_t *dst = to;
	const uint8_t *from;
	uint32_t done = 0, n;

	while (done < count && (n = ring_peek(r, &from)) != 0) {
		if (n > count - done)
			n = count - done;
		memcpy(dst + done, from, n);
		if (ring_consume(r, n))
			*bell = true;
		done += n;
	}
	return done;
}

/* Has the other end started anew since this was last asked? */
static inline bool
stream_peer_changed(struct stream_end *e, enum stream_role role)
{
	uint32_t now = role == STREAM_CLIENT ? e->shared->server_epoch : e->shared->client_epoch;

	if (now == e->peer_epoch)
		return false;
	e->peer_epoch = now;
	return true;
}

#endif
