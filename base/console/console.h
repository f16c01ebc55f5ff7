/* SPDX-License-Identifier: MIT */
/*
 * The console: one line (the UART's "serial" channel), on it one terminal (a
 * world's "tty" channel, bytes as they are) and everybody's logs (line by line,
 * with a prefix).  This part is pure: rings and the kernel's log are given, no
 * system call is made, and the build host tests it.
 */
#ifndef CONSOLE_H
#define CONSOLE_H

#include <stdbool.h>
#include <stdint.h>
#include <tessera/abi.h>
#include <tessera/ring.h>

enum { CONSOLE_MAX_LOGS = 20, CONSOLE_NAME = 16 };

/* One step that moves bytes from one place to another: written down before, so
 * that a console that dies between handing bytes over and giving them back
 * neither repeats nor loses them. */
enum console_source { FROM_NOTHING, FROM_TTY, FROM_SERIAL, FROM_KERNEL, FROM_LOG };
struct console_step {
	volatile uint32_t source;	/* enum console_source + index of the log */
	volatile uint32_t to_tail;	/* the target's tail once it is done */
	volatile uint64_t from_head;	/* the source's head once it is done */
};

/* What outlives the console (component_info.keep). */
struct console_keep {
	struct console_step step;
	volatile uint64_t kernel_log_at;	/* printed up to here */
	volatile uint32_t valid;
};

struct console_log {
	char name[CONSOLE_NAME];
	struct stream_end end;
	bool bell;			/* its writer waits for what was just done */
};

struct console {
	struct stream_end serial;
	bool has_serial;		/* without a line everything is swallowed */
	bool serial_bell;
	struct stream_end tty;
	bool has_tty;
	bool tty_bell;
	struct console_log log[CONSOLE_MAX_LOGS];
	unsigned log_count;
	const struct kernel_log *kernel_log;	/* or null */
	struct console_keep *keep;
	bool quiet;			/* only warnings of logs */
	uint32_t breaks, overruns;	/* of the line, as passed on */
	uint32_t broken;		/* indices of peers that made no sense, as reported */
	bool wants_room;		/* something waits for room on the line */
	bool log_waits;			/* a log line waits for the end of the terminal's */
	/* Times, in one unit of the caller's choice; all 0: without patience. */
	uint64_t now;			/* the caller keeps it */
	uint64_t patience;		/* an unfinished line is given this long to go on */
	uint64_t tty_at;		/* when the terminal's last bytes were passed on */
	uint64_t log_waits_since;	/* 0: none does */
};

/* Go on where an earlier life stopped.  All ends are attached already. */
void console_start(struct console *c, uint64_t kernel_log_from);

/* Move what can be moved; false: nothing could. */
bool console_move(struct console *c);

/* Nothing could be moved: set the flags so that every change rings our bell.
 * false: something has changed already. */
bool console_rest(struct console *c);

/* After console_rest: when console_move has something to do without a bell; 0: never. */
uint64_t console_deadline(struct console *c);

#endif
