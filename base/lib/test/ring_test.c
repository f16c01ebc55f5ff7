/* SPDX-License-Identifier: MIT */
/*
 * The rings of proto/stream.h: order, wrap-around, wake-ups, hostile peers, a
 * new life of either end, and two threads that stream through one small ring.
 */
#include <pthread.h>
#include <sched.h>
#include <check.h>
#include <tessera/ring.h>

enum { FRAME = 8192 };

static _Alignas(4096) uint8_t frame[FRAME];
static struct stream_end client, server;

static void
fresh(void)
{
	memset(frame, 0, sizeof frame);
	stream_format(frame, FRAME, false);
	CHECK(stream_attach(&client, frame, FRAME, STREAM_CLIENT));
	CHECK(stream_attach(&server, frame, FRAME, STREAM_SERVER));
}

static void
bytes_arrive_in_order_in_both_directions(void)
{
	char got[8] = "";
	bool bell = false;

	fresh();
	CHECK(ring_write(&client.out, "abc", 3, &bell) == 3);
	CHECK(ring_write(&server.out, "xyz", 3, &bell) == 3);
	CHECK(ring_read(&server.in, got, sizeof got, &bell) == 3 && memcmp(got, "abc", 3) == 0);
	CHECK(ring_read(&client.in, got, sizeof got, &bell) == 3 && memcmp(got, "xyz", 3) == 0);
	CHECK(ring_read(&client.in, got, sizeof got, &bell) == 0);
	CHECK(!bell);
}

static void
a_full_ring_takes_nothing_and_loses_nothing(void)
{
	static uint8_t in[FRAME], out[FRAME];
	bool bell = false;
	uint32_t size;

	fresh();
	size = client.out.size;
	for (unsigned i = 0; i < FRAME; i++)
		in[i] = (uint8_t)(i * 7);
	CHECK(ring_write(&client.out, in, FRAME, &bell) == size);
	CHECK(ring_write(&client.out, in, 1, &bell) == 0);
	CHECK(ring_space(&client.out) == 0);
	CHECK(ring_read(&server.in, out, FRAME, &bell) == size);
	CHECK(memcmp(in, out, size) == 0);
}

static void
indices_wrap_at_2_to_the_32(void)
{
	struct stream *s = (struct stream *)frame;
	char got[64];
	bool bell = false;

	fresh();
	s->ring[0].head = s->ring[0].tail = UINT32_MAX - 10;
	CHECK(stream_attach(&client, frame, FRAME, STREAM_CLIENT));
	CHECK(stream_attach(&server, frame, FRAME, STREAM_SERVER));
	for (unsigned i = 0; i < 10; i++) {
		CHECK(ring_write(&client.out, "0123456789", 10, &bell) == 10);
		CHECK(ring_read(&server.in, got, 64, &bell) == 10);
		CHECK(memcmp(got, "0123456789", 10) == 0);
	}
	CHECK(ring_space(&client.out) == client.out.size);
}

static void
a_waiting_reader_is_rung_once(void)
{
	char got[4];
	bool bell = false;

	fresh();
	CHECK(ring_reader_waits(&server.in));
	ring_write(&client.out, "a", 1, &bell);
	CHECK(bell);
	bell = false;
	ring_write(&client.out, "b", 1, &bell);
	CHECK(!bell);
	CHECK(!ring_reader_waits(&server.in));
	CHECK(ring_reader_waits_for_more(&server.in, 2));
	ring_read(&server.in, got, 4, &bell);
	CHECK(ring_reader_waits(&server.in));
}

static void
a_waiting_writer_is_rung_when_there_is_room(void)
{
	static uint8_t bytes[FRAME];
	bool bell = false;

	fresh();
	ring_write(&client.out, bytes, FRAME, &bell);
	CHECK(ring_writer_waits(&client.out, 1));
	ring_read(&server.in, bytes, 1, &bell);
	CHECK(bell);
	CHECK(!ring_writer_waits(&client.out, 1));
	CHECK(ring_writer_waits(&client.out, 2));
}

static void
a_reader_does_not_follow_a_tail_out_of_range(void)
{
	struct stream *s = (struct stream *)frame;

	fresh();
	s->ring[0].tail = server.in.size + 1;
	CHECK(ring_readable(&server.in) == 0);
	CHECK(server.in.broken == 1);
	CHECK(s->ring[0].head == s->ring[0].tail);
	s->ring[1].head = 1;	/* in front of the writer */
	CHECK(ring_space(&server.out) == 0);
}

static void
a_header_that_leaves_the_frame_is_refused(void)
{
	static const struct { uint32_t offset, size; } bad[] = {
		{ FRAME, 1024 }, { FRAME - 512, 1024 }, { 4096, FRAME }, { 4096, 1000 },
		{ 0, 1024 }, { UINT32_MAX, 1 }, { 1, 0x80000000u },
	};
	struct stream *s = (struct stream *)frame;

	for (unsigned i = 0; i < sizeof bad / sizeof *bad; i++) {
		fresh();
		s->ring[0].offset = bad[i].offset;
		s->ring[0].size = bad[i].size;
		CHECK(!stream_attach(&server, frame, FRAME, STREAM_SERVER));
	}
	fresh();
	s->magic = 1;
	CHECK(!stream_attach(&server, frame, FRAME, STREAM_SERVER));
}

static void
a_header_changed_later_is_not_believed(void)
{
	struct stream *s = (struct stream *)frame;
	char got[4];
	bool bell = false;

	fresh();
	ring_write(&client.out, "abc", 3, &bell);
	s->ring[0].offset = 0x7fffffff;
	s->ring[0].size = 0x80000000;
	CHECK(ring_read(&server.in, got, 3, &bell) == 3 && memcmp(got, "abc", 3) == 0);
}

static void
a_new_life_goes_on_where_the_old_one_stopped(void)
{
	char got[8];
	bool bell = false;

	fresh();
	ring_write(&client.out, "abcdef", 6, &bell);
	ring_read(&server.in, got, 2, &bell);
	CHECK(stream_attach(&server, frame, FRAME, STREAM_SERVER));
	CHECK(stream_peer_changed(&client, STREAM_CLIENT));
	CHECK(!stream_peer_changed(&client, STREAM_CLIENT));
	CHECK(ring_read(&server.in, got, 8, &bell) == 4 && memcmp(got, "cdef", 4) == 0);
	CHECK(stream_attach(&client, frame, FRAME, STREAM_CLIENT));
	ring_write(&client.out, "gh", 2, &bell);
	CHECK(ring_read(&server.in, got, 8, &bell) == 2 && memcmp(got, "gh", 2) == 0);
}

static void
pieces_are_handed_over_by_one_commit(void)
{
	char got[FRAME];
	bool bell = false;

	fresh();
	ring_write(&client.out, got, client.out.size - 3, &bell);
	ring_read(&server.in, got, client.out.size - 3, &bell);
	ring_put(&client.out, 0, "[x] ", 4);
	ring_put(&client.out, 4, "text\n", 5);	/* wraps */
	CHECK(ring_readable(&server.in) == 0);
	ring_commit(&client.out, 9);
	CHECK(ring_readable(&server.in) == 9);
	ring_copy(&server.in, 2, got, 7);
	CHECK(memcmp(got, "] text\n", 7) == 0);
	CHECK(ring_readable(&server.in) == 9);
}

static void
a_one_way_stream_has_no_way_back(void)
{
	bool bell = false;

	memset(frame, 0, sizeof frame);
	stream_format(frame, FRAME, true);
	CHECK(stream_attach(&client, frame, FRAME, STREAM_CLIENT));
	CHECK(stream_attach(&server, frame, FRAME, STREAM_SERVER));
	CHECK(ring_write(&server.out, "x", 1, &bell) == 0);
	CHECK(ring_readable(&client.in) == 0);
}

/* ---- two threads -------------------------------------------------------- */

enum { STREAMED = 2000000 };
static volatile int reader_bell, writer_bell;

static void
doorbell_wait(volatile int *bell)
{
	while (!__atomic_exchange_n(bell, 0, __ATOMIC_ACQ_REL))
		sched_yield();
}

static void *
writer(void *unused)
{
	uint8_t bytes[97];
	uint32_t sent = 0, n;
	bool bell;

	(void)unused;
	while (sent < STREAMED) {
		n = sent % sizeof bytes + 1;
		for (uint32_t i = 0; i < n; i++)
			bytes[i] = (uint8_t)((sent + i) * 31 >> 3);
		bell = false;
		n = ring_write(&client.out, bytes, n, &bell);
		sent += n;
		if (bell)
			__atomic_store_n(&reader_bell, 1, __ATOMIC_RELEASE);
		if (n == 0 && ring_writer_waits(&client.out, 64))
			doorbell_wait(&writer_bell);
	}
	return NULL;
}

static void
two_threads_stream_without_loss_or_sleep(void)
{
	uint8_t bytes[61];
	uint32_t got = 0, wrong = 0, n;
	pthread_t thread;
	bool bell;

	fresh();
	CHECK(pthread_create(&thread, NULL, writer, NULL) == 0);
	while (got < STREAMED) {
		bell = false;
		n = ring_read(&server.in, bytes, sizeof bytes, &bell);
		for (uint32_t i = 0; i < n; i++)
			wrong += bytes[i] != (uint8_t)((got + i) * 31 >> 3);
		got += n;
		if (bell)
			__atomic_store_n(&writer_bell, 1, __ATOMIC_RELEASE);
		if (n == 0 && ring_reader_waits(&server.in))
			doorbell_wait(&reader_bell);
	}
	pthread_join(thread, NULL);
	CHECK(wrong == 0);
}

int
main(void)
{
	RUN(bytes_arrive_in_order_in_both_directions);
	RUN(a_full_ring_takes_nothing_and_loses_nothing);
	RUN(indices_wrap_at_2_to_the_32);
	RUN(a_waiting_reader_is_rung_once);
	RUN(a_waiting_writer_is_rung_when_there_is_room);
	RUN(a_reader_does_not_follow_a_tail_out_of_range);
	RUN(a_header_that_leaves_the_frame_is_refused);
	RUN(a_header_changed_later_is_not_believed);
	RUN(a_new_life_goes_on_where_the_old_one_stopped);
	RUN(pieces_are_handed_over_by_one_commit);
	RUN(a_one_way_stream_has_no_way_back);
	RUN(two_threads_stream_without_loss_or_sleep);
	CHECK_END();
}
