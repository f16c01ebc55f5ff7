/* SPDX-License-Identifier: MIT */
/*
 * The console between a model of a serial line, a world and a few logs: what
 * arrives where, in which order, when it is full, and after it was killed
 * between any two of its writes to shared memory.
 */
#include <check.h>
#include "../console.h"

enum { FRAME = 8192, LOGS = 2 };

static _Alignas(4096) uint8_t serial_frame[FRAME], tty_frame[FRAME], log_frame[LOGS][FRAME];
static _Alignas(8) uint8_t kernel_memory[sizeof(struct kernel_log) + 1024];
static struct kernel_log *const kernel_log = (struct kernel_log *)kernel_memory;
static struct console_keep keep;
static struct console console;

/* The other ends. */
static struct stream_end uart, world, writer[LOGS];
static char line[65536];	/* all that came out of the line */
static size_t line_size;
static bool bell;

static void
attach_console(void)
{
	memset(&console, 0, sizeof console);
	console.keep = &keep;
	console.kernel_log = kernel_log;
	console.has_serial = stream_attach(&console.serial, serial_frame, FRAME, STREAM_CLIENT);
	console.has_tty = stream_attach(&console.tty, tty_frame, FRAME, STREAM_SERVER);
	console.log_count = LOGS;
	for (unsigned i = 0; i < LOGS; i++) {
		memcpy(console.log[i].name, i == 0 ? "init" : "uart", 5);
		stream_attach(&console.log[i].end, log_frame[i], FRAME, STREAM_SERVER);
	}
	console_start(&console, kernel_log->written);
}

static void
fresh(void)
{
	memset(&keep, 0, sizeof keep);
	memset(kernel_memory, 0, sizeof kernel_memory);
	memset(serial_frame, 0, FRAME);
	memset(tty_frame, 0, FRAME);
	memset(log_frame, 0, sizeof log_frame);
	stream_format(serial_frame, FRAME, false);
	stream_format(tty_frame, FRAME, false);
	stream_attach(&uart, serial_frame, FRAME, STREAM_SERVER);
	stream_attach(&world, tty_frame, FRAME, STREAM_CLIENT);
	for (unsigned i = 0; i < LOGS; i++) {
		stream_format(log_frame[i], FRAME, true);
		stream_attach(&writer[i], log_frame[i], FRAME, STREAM_CLIENT);
	}
	kernel_log->size = 1024;
	line_size = 0;
	attach_console();
}

static void
say(struct stream_end *from, const char *text)
{
	CHECK(ring_write(&from->out, text, (uint32_t)strlen(text), &bell) == strlen(text));
}

static void
kernel_says(const char *text)
{
	for (; *text != '\0'; text++)
		kernel_log->data[kernel_log->written++ & (kernel_log->size - 1)] = *text;
}

static void
drain_line(void)
{
	line_size += ring_read(&uart.in, line + line_size, (uint32_t)(sizeof line - 1 - line_size), &bell);
	line[line_size] = '\0';
}

/* Until nobody has anything to do. */
static void
run(void)
{
	do {
		while (console_move(&console))
			drain_line();
		drain_line();
	} while (!console_rest(&console));
}

static void
terminal_bytes_pass_as_they_are(void)
{
	char got[16] = "";

	fresh();
	say(&world, "\033[1mhi\033[0m \001\r\n");
	run();
	CHECK(strcmp(line, "\033[1mhi\033[0m \001\r\n") == 0);
	say(&uart, "ls\003\r");
	run();
	CHECK(ring_read(&world.in, got, 16, &bell) == 4 && memcmp(got, "ls\003\r", 4) == 0);
}

static void
log_lines_get_a_prefix(void)
{
	fresh();
	say(&writer[0], "one\ntwo\n");
	say(&writer[1], "three\n");
	run();
	CHECK(strstr(line, "[init] one\r\n") != NULL);
	CHECK(strstr(line, "[init] two\r\n") != NULL);
	CHECK(strstr(line, "[uart] three\r\n") != NULL);
}

static void
half_a_log_line_waits_for_the_other_half(void)
{
	fresh();
	say(&writer[0], "hal");
	run();
	CHECK(line_size == 0);
	say(&writer[0], "ves\n");
	run();
	CHECK(strcmp(line, "[init] halves\r\n") == 0);
}

static void
an_endless_log_line_is_cut(void)
{
	fresh();
	for (unsigned i = 0; i < 60; i++)
		say(&writer[0], "0123456789");
	run();
	CHECK(line_size > 256 && strstr(line, "\r\n[init] ") != NULL);
}

static void
a_log_cannot_steer_the_terminal(void)
{
	fresh();
	say(&writer[0], "a\033[2Jb\tc\001\n");
	run();
	CHECK(strcmp(line, "[init] a?[2Jb c?\r\n") == 0);
}

static void
a_prompt_is_ended_for_a_log_line(void)
{
	fresh();
	say(&world, "~ # ");
	run();
	say(&writer[0], "news\n");
	run();
	CHECK(strcmp(line, "~ # \r\n[init] news\r\n") == 0);
}

static void
a_stream_is_interrupted_between_lines_only(void)
{
	char text[32];
	unsigned next = 0, logs = 0;

	fresh();
	for (unsigned i = 0; i < 3000; i++) {
		snprintf(text, sizeof text, "%u\r\n", i);
		while (ring_space(&world.out) < strlen(text)) {
			console_move(&console);
			drain_line();
		}
		say(&world, text);
		if (i % 100 == 50)
			say(&writer[0], "log\n");
	}
	run();
	for (char *p = line, *end; (end = strstr(p, "\r\n")) != NULL; p = end + 2) {
		*end = '\0';
		snprintf(text, sizeof text, "%u", next);
		if (strcmp(p, "[init] log") == 0)
			logs++;
		else if (strcmp(p, text) == 0)
			next++;
		else
			CHECK(!"a broken line");
	}
	CHECK(next == 3000 && logs == 30);
}

/* Its writer is slower than we are, or was not woken yet: no prompt. */
static void
a_line_gets_time_to_go_on(void)
{
	fresh();
	console.patience = 20;
	console.now = 1000;
	say(&world, "line 1 of ");
	run();
	say(&writer[0], "restarted\n");
	run();
	CHECK(strcmp(line, "line 1 of ") == 0);
	CHECK(console_deadline(&console) == 1020);
	console.now = 1019;
	say(&world, "the stream\r\nline 2");
	run();
	CHECK(strcmp(line, "line 1 of the stream\r\n[init] restarted\r\nline 2") == 0);
	CHECK(console_deadline(&console) == 0);
	say(&writer[0], "again\n");
	run();
	CHECK(console_deadline(&console) == 1039);
	console.now = 1039;
	run();
	CHECK(strstr(line, "line 2\r\n[init] again\r\n") != NULL);
	CHECK(console_deadline(&console) == 0);
}

static void
a_line_that_only_grows_keeps_no_log_away(void)
{
	fresh();
	console.patience = 20;
	console.now = 1000;
	say(&world, "x");
	run();
	say(&writer[0], "here\n");
	for (unsigned i = 0; i < 200 && strstr(line, "here") == NULL; i++) {
		console.now += 10;
		say(&world, "x");
		run();
	}
	CHECK(console.now > 1500 && console.now < 2100);
	CHECK(strstr(line, "x\r\n[init] here\r\n") != NULL);
}

static void
quiet_shows_warnings_only(void)
{
	fresh();
	console.quiet = true;
	say(&writer[0], "small talk\n!fire\n");
	run();
	CHECK(strcmp(line, "[init] fire\r\n") == 0);
	CHECK(ring_readable(&console.log[0].end.in) == 0);
}

static void
the_kernels_log_goes_on_where_it_stopped_printing(void)
{
	fresh();
	kernel_says("printed by the kernel itself\n");
	memset(&keep, 0, sizeof keep);
	attach_console();
	kernel_says("later\n");
	run();
	CHECK(strcmp(line, "[kernel] later\r\n") == 0);
	attach_console();	/* a new life repeats nothing */
	run();
	CHECK(strcmp(line, "[kernel] later\r\n") == 0);
	for (unsigned i = 0; i < 300; i++)
		kernel_says("overwritten\n");
	kernel_says("last\n");
	run();
	CHECK(strstr(line, "[kernel] last\r\n") != NULL);
}

static void
a_full_line_slows_everybody_and_loses_nothing(void)
{
	static char big[FRAME / 2];
	size_t sent = 0;
	unsigned lines = 0;

	fresh();
	memset(big, 'x', sizeof big);
	for (unsigned i = 0; i < 20; i++) {
		sent += ring_write(&world.out, big, sizeof big, &bell);
		while (console_move(&console))
			;	/* nobody drains the line */
		CHECK(console_rest(&console));
	}
	CHECK(sent == FRAME / 2 * 2);	/* both rings are full, and that is all */
	for (unsigned i = 0; i < 50; i++)
		say(&writer[1], "line\n");
	bell = false;
	drain_line();
	CHECK(bell);			/* the console waits for room */
	run();
	for (char *p = line; (p = strstr(p, "[uart] line\r\n")) != NULL; p++)
		lines++;
	CHECK(lines == 50);
	CHECK(memchr(line, 'x', line_size) != NULL && line_size == sent + 2 + 50 * 13);
}

static void
a_world_that_does_not_read_blocks_only_its_input(void)
{
	fresh();
	for (unsigned i = 0; i < 10; i++) {
		static char keys[1024];

		memset(keys, 'k', sizeof keys);
		ring_write(&uart.out, keys, sizeof keys, &bell);
		run();
	}
	CHECK(ring_space(&console.tty.out) == 0);
	say(&world, "output\n");
	run();
	CHECK(strcmp(line, "output\n") == 0);
}

static void
breaks_and_overruns_are_passed_on(void)
{
	fresh();
	((struct stream *)serial_frame)->breaks = 2;
	((struct stream *)serial_frame)->overruns = 5;
	console.tty_bell = false;
	run();
	CHECK(((struct stream *)tty_frame)->breaks == 2);
	CHECK(((struct stream *)tty_frame)->overruns == 5);
	CHECK(console.tty_bell);
}

static void
a_peer_that_makes_no_sense_is_named_once(void)
{
	fresh();
	for (unsigned i = 0; i < 5; i++) {
		((struct stream *)log_frame[1])->ring[0].tail += 100000;
		run();
	}
	CHECK(strcmp(line, "[console] a peer's ring made no sense, its bytes are dropped: uart\r\n") == 0);
	say(&world, "on it goes\n");
	run();
	CHECK(strstr(line, "on it goes\n") != NULL);
}

static void
without_a_line_everything_is_swallowed(void)
{
	fresh();
	console.has_serial = false;
	for (unsigned i = 0; i < 100; i++) {
		static char text[512];

		memset(text, 't', sizeof text);
		CHECK(ring_write(&world.out, text, sizeof text, &bell) == sizeof text);
		say(&writer[0], "log\n");
		while (console_move(&console))
			;
		CHECK(console_rest(&console));
	}
}

/* ---- being killed ------------------------------------------------------- */

/*
 * Kill it at any point of a step: after the step was written down, after the
 * target's tail moved, after the source's head moved.  What an interrupted step
 * leaves behind is put together from snapshots of shared memory.
 */
static void
a_killed_console_neither_repeats_nor_loses(void)
{
	static uint8_t serial_before[FRAME], tty_before[FRAME], log_before[FRAME];
	struct console_step step;
	struct stream *tty = (struct stream *)tty_frame, *log = (struct stream *)log_frame[0];

	for (unsigned source = 0; source < 2; source++)
		for (unsigned point = 0; point < 3; point++) {
			fresh();
			say(source == 0 ? &world : &writer[0], "hello\n");
			memcpy(serial_before, serial_frame, FRAME);
			memcpy(tty_before, tty_frame, FRAME);
			memcpy(log_before, log_frame[0], FRAME);
			/* what the step writes down is what it then does */
			console_move(&console);
			step.source = source == 0 ? FROM_TTY : FROM_LOG;
			step.to_tail = console.serial.out.own;
			step.from_head = source == 0 ? tty->ring[0].head : log->ring[0].head;
			if (point == 0)
				memcpy(serial_frame, serial_before, FRAME);
			if (point < 2) {
				memcpy(tty_frame, tty_before, FRAME);
				memcpy(log_frame[0], log_before, FRAME);
			}
			keep.step.source = step.source;
			keep.step.to_tail = step.to_tail;
			keep.step.from_head = step.from_head;
			attach_console();
			run();
			CHECK(strcmp(line, source == 0 ? "hello\n" : "[init] hello\r\n") == 0);
		}
}

int
main(void)
{
	RUN(terminal_bytes_pass_as_they_are);
	RUN(log_lines_get_a_prefix);
	RUN(half_a_log_line_waits_for_the_other_half);
	RUN(an_endless_log_line_is_cut);
	RUN(a_log_cannot_steer_the_terminal);
	RUN(a_prompt_is_ended_for_a_log_line);
	RUN(a_stream_is_interrupted_between_lines_only);
	RUN(a_line_gets_time_to_go_on);
	RUN(a_line_that_only_grows_keeps_no_log_away);
	RUN(quiet_shows_warnings_only);
	RUN(the_kernels_log_goes_on_where_it_stopped_printing);
	RUN(a_full_line_slows_everybody_and_loses_nothing);
	RUN(a_world_that_does_not_read_blocks_only_its_input);
	RUN(breaks_and_overruns_are_passed_on);
	RUN(a_peer_that_makes_no_sense_is_named_once);
	RUN(without_a_line_everything_is_swallowed);
	RUN(a_killed_console_neither_repeats_nor_loses);
	CHECK_END();
}
