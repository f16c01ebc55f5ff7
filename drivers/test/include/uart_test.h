/* SPDX-License-Identifier: MIT */
/*
 * What every UART driver must do, against a model of its device that the
 * including test defines: model_reset, model_tick (one byte time on the line),
 * model_arrive (a byte, MODEL_BREAK), model_irq (is the interrupt line up?),
 * `model` with a count of accesses no driver may make (violations), and
 * driver_start, driver_operations, driver_device.
 */
#ifndef UART_TEST_H
#define UART_TEST_H

#include <setjmp.h>
#include <check.h>
#include <driver/mmio.h>
#include <driver/serial.h>

enum { FRAME = 16384, SENT_MAX = 65536, MODEL_BREAK = 256 };

struct model_common {
	char sent[SENT_MAX];		/* what was on the line */
	size_t sent_size;
	unsigned violations;
	unsigned accesses;
	unsigned kill_at;		/* leave at this access, by kill; 0: never */
	jmp_buf kill;
};
static struct model_common model;

static void model_reset(void);
static void model_tick(void);
static void model_arrive(int byte);
static bool model_irq(void);
static void driver_start(void);
static const struct serial_operations *driver_operations(void);
static void *driver_device(void);
static struct serial_port driver_port(void);

static _Alignas(4096) uint8_t frame[FRAME];
static struct stream_end console;
static struct serial serial;
static bool bell;

static void
violation(const char *what)
{
	printf("  the device was mishandled: %s\n", what);
	model.violations++;
}

/* Called by models at the end of every access. */
static void
model_accessed(void)
{
	model.accesses++;
	if (model.kill_at != 0 && model.accesses == model.kill_at)
		longjmp(model.kill, 1);
}

static void
driver_birth(void)
{
	memset(&serial, 0, sizeof serial);
	serial.op = driver_operations();
	serial.device = driver_device();
	serial.port = driver_port();
	CHECK(stream_attach(&serial.stream, frame, FRAME, STREAM_SERVER));
	driver_start();
}

static void
fresh(void)
{
	memset(&model, 0, sizeof model);
	memset(frame, 0, FRAME);
	stream_format(frame, FRAME, false);
	CHECK(stream_attach(&console, frame, FRAME, STREAM_CLIENT));
	model_reset();
	driver_birth();
}

/* The event loop of serve.c, until it would wait. */
static void
driver_run(void)
{
	for (;;) {
		unsigned storm = 0;

		while (serial_move(&serial) || !serial_rest(&serial))
			;
		if (!model_irq())
			return;
		serial.op->acknowledge(serial.device);
		if (++storm > 100) {
			violation("an interrupt that never ends");
			return;
		}
	}
}

/* Time passes until the device has sent everything. */
static void
settle(void)
{
	for (unsigned idle = 0; idle < 64; idle++) {
		size_t before = model.sent_size;

		driver_run();
		model_tick();
		if (model.sent_size != before)
			idle = 0;
	}
}

static void
bytes_go_out_in_order(void)
{
	char text[64];
	size_t n, done = 0;
	unsigned i = 0;

	fresh();
	while (done < 30000) {
		n = (size_t)snprintf(text, sizeof text, "%u,", i++);
		while (ring_space(&console.out) < n) {
			driver_run();
			model_tick();
		}
		ring_write(&console.out, text, (uint32_t)n, &bell);
		done += n;
	}
	settle();
	CHECK(model.sent_size == done && model.violations == 0);
	for (i = 0, done = 0; done < model.sent_size; i++) {
		n = (size_t)snprintf(text, sizeof text, "%u,", i);
		if (memcmp(model.sent + done, text, n) != 0)
			break;
		done += n;
	}
	CHECK(done == model.sent_size);
}

static void
bytes_come_in_in_order(void)
{
	uint8_t got[1];
	unsigned next = 0;

	fresh();
	for (unsigned i = 0; i < 5000; i++) {
		model_arrive((int)(i * 7 & 0xff));
		if (i % 3 == 0 || i % 7 == 0)
			driver_run();
		model_tick();
		while (ring_read(&console.in, got, 1, &bell) == 1)
			CHECK(got[0] == (uint8_t)(next++ * 7));
	}
	driver_run();
	while (ring_read(&console.in, got, 1, &bell) == 1)
		CHECK(got[0] == (uint8_t)(next++ * 7));
	CHECK(next == 5000 && model.violations == 0);
	CHECK(((struct stream *)frame)->overruns == 0);
}

static void
a_reader_that_sleeps_is_not_overwritten(void)
{
	uint8_t got[1];
	unsigned count = 0;
	uint32_t size;

	fresh();
	size = serial.stream.out.size;
	for (unsigned i = 0; i < size + 500; i++) {
		model_arrive('a' + (int)(i % 26));
		driver_run();
		model_tick();
	}
	CHECK(!model_irq());		/* no room: the interrupt is off, not storming */
	CHECK(ring_readable(&console.in) == size);
	bell = false;
	while (ring_read(&console.in, got, 1, &bell) == 1) {
		CHECK(got[0] == 'a' + count % 26);
		count++;
	}
	CHECK(bell);			/* the driver waits for room */
	driver_run();
	while (ring_read(&console.in, got, 1, &bell) == 1)
		count++;
	CHECK(count > size && count < size + 500);
	model_arrive('!');
	driver_run();
	CHECK(ring_read(&console.in, got, 1, &bell) == 1 && got[0] == '!');
	CHECK(((struct stream *)frame)->overruns != 0);
}

static void
a_break_is_counted_and_is_no_byte(void)
{
	uint8_t got[4];

	fresh();
	model_arrive('a');
	model_arrive(MODEL_BREAK);
	model_arrive('b');
	driver_run();
	CHECK(((struct stream *)frame)->breaks == 1);
	CHECK(ring_read(&console.in, got, 4, &bell) == 2 && got[0] == 'a' && got[1] == 'b');
}

static void
with_nothing_to_do_it_is_silent(void)
{
	unsigned before;

	fresh();
	settle();
	before = model.accesses;
	for (unsigned i = 0; i < 100; i++)
		model_tick();
	CHECK(!model_irq() && model.accesses == before);
	CHECK(((struct stream *)frame)->ring[0].reader_waits == 1);
}

/* Send until there is nothing to do, or until the kill; true: killed. */
static bool
settle_or_die(unsigned at)
{
	model.kill_at = model.accesses + at;
	if (setjmp(model.kill) != 0) {
		model.kill_at = 0;
		return true;
	}
	settle();
	return false;
}

/*
 * Killed after any of its accesses to the device, it is built anew and goes on:
 * every byte of the ring comes out, and at most the one that was on its way
 * comes out twice.
 */
static void
killed_at_any_access_it_loses_nothing(void)
{
	static const char text[] = "the quick brown fox jumps over the lazy dog, again and again";
	unsigned kills = 0, repeats = 0;

	for (unsigned at = 1; at < 400; at++) {
		size_t k = 0;

		fresh();
		ring_write(&console.out, text, sizeof text, &bell);
		if (settle_or_die(at)) {
			kills++;
			driver_birth();
			settle();
		}
		for (size_t i = 0; i < model.sent_size; i++) {
			if (k < sizeof text && model.sent[i] == text[k])
				k++;
			else if (k > 0 && model.sent[i] == text[k - 1])
				repeats++;
			else
				CHECK(!"a byte that was not sent");
		}
		CHECK(k == sizeof text);
	}
	CHECK(kills > 100 && repeats <= kills);
	printf("  %u kills, %u bytes twice\n", kills, repeats);
}

static void
killed_while_receiving_it_goes_on(void)
{
	unsigned count = 0;
	uint8_t got;

	fresh();
	for (unsigned i = 0; i < 1000; i++) {
		model_arrive('0' + (int)(i % 10));
		if (i % 7 == 0)
			driver_birth();
		if (i % 3 == 0)
			driver_run();
		model_tick();
		while (ring_read(&console.in, &got, 1, &bell) == 1)
			CHECK(got == '0' + count++ % 10);
	}
	driver_run();
	while (ring_read(&console.in, &got, 1, &bell) == 1)
		CHECK(got == '0' + count++ % 10);
	CHECK(count == 1000);
}

#define RUN_UART_TESTS() do { \
	RUN(bytes_go_out_in_order); \
	RUN(bytes_come_in_in_order); \
	RUN(a_reader_that_sleeps_is_not_overwritten); \
	RUN(a_break_is_counted_and_is_no_byte); \
	RUN(with_nothing_to_do_it_is_silent); \
	RUN(killed_at_any_access_it_loses_nothing); \
	RUN(killed_while_receiving_it_goes_on); \
} while (0)

#endif
