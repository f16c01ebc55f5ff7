/* SPDX-License-Identifier: MIT */
/*
 * The console component: its channels, its doorbells, its loop.  console(8).
 */
#include <tessera/runtime.h>
#include "console.h"

enum { LINE_PATIENCE_NS = 20000000 };

static struct console console;
static const struct component_channel *serial_channel;
static const struct component_channel *tty_channel;
static const struct component_channel *log_channels[CONSOLE_MAX_LOGS];

/*
 * An end whose header its peer has spoilt is left out, and the rest goes on: a
 * world must not be able to take the console from everybody else.  init writes
 * the header anew whenever one of its ends is built.
 */
static void
open_streams(void)
{
	serial_channel = component_channel(CHANNEL_STREAM, CHANNEL_CLIENT, 0);
	tty_channel = component_channel(CHANNEL_STREAM, CHANNEL_SERVER, 0);
	console.has_serial = serial_channel != NULL &&
	    channel_attach(serial_channel, &console.serial);
	console.has_tty = tty_channel != NULL && channel_attach(tty_channel, &console.tty);
}

static void
open_logs(void)
{
	const struct component_channel *channel;

	for (unsigned i = 0; console.log_count < CONSOLE_MAX_LOGS &&
	    (channel = component_channel(CHANNEL_LOG, CHANNEL_SERVER, i)) != NULL; i++) {
		struct console_log *log = &console.log[console.log_count];

		if (!channel_attach(channel, &log->end))
			continue;
		memcpy(log->name, channel->peer, sizeof log->name);
		log->name[sizeof log->name - 1] = '\0';
		log_channels[console.log_count++] = channel;
	}
}

/* Ring whoever waits for what was done since the last time. */
static void
ring_bells(bool all)
{
	if (console.has_serial && (console.serial_bell || all))
		bell_ring(serial_channel->slot);
	if (console.has_tty && (console.tty_bell || all))
		bell_ring(tty_channel->slot);
	for (unsigned i = 0; i < console.log_count; i++) {
		if (console.log[i].bell || all)
			bell_ring(log_channels[i]->slot);
		console.log[i].bell = false;
	}
	console.serial_bell = console.tty_bell = false;
}

int
component_main(const struct component_info *info)
{
	uint64_t bits = COMPONENT_BIT_PEER;	/* we are new: as if all peers were */

	open_streams();
	open_logs();
	console.keep = (struct console_keep *)info->keep;
	console.kernel_log = (const struct kernel_log *)info->kernel_log;
	console.quiet = component_option("quiet") || cmdline_option("quiet");
	console.patience = time_ticks_of_ns(LINE_PATIENCE_NS);
	console_start(&console, info->kernel_log_from);
	for (;;) {
		ring_bells(bits & COMPONENT_BIT_PEER);
		bits = 0;
		console.now = time_ticks();
		if (!console_move(&console) && console_rest(&console)) {
			ring_bells(false);
			bits = bell_wait(console_deadline(&console));
		}
	}
}
