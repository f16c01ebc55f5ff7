/* SPDX-License-Identifier: MIT */
/*
 * The component's log: lines into the ring of its log channel, which the
 * console merges.  Logging never blocks: a line that does not fit is dropped
 * whole, counted, and the count said as soon as there is room.
 */
#include <tessera/runtime.h>

enum { LOG_LINE = 200 };

static struct stream_end log_end;
static const struct component_channel *log_channel;
static bool log_tried;
static unsigned log_dropped;

static bool
log_open(void)
{
	if (log_channel != NULL)
		return true;
	if (log_tried)
		return false;
	log_tried = true;
	log_channel = component_channel(CHANNEL_LOG, CHANNEL_CLIENT, 0);
	if (log_channel != NULL && !channel_attach(log_channel, &log_end))
		log_channel = NULL;
	return log_channel != NULL;
}

size_t
log_bytes(const void *bytes, size_t count)
{
	bool bell = false;
	size_t n;

	if (!log_open())
		return 0;
	n = ring_write(&log_end.out, bytes, (uint32_t)count, &bell);
	if (bell)
		bell_ring(log_channel->slot);
	return n;
}

static bool
log_whole(const char *line, size_t n)
{
	if (!log_open() || ring_space(&log_end.out) < n)
		return false;
	log_bytes(line, n);
	return true;
}

static void
log_say_dropped(void)
{
	char line[64];
	size_t n;

	if (log_dropped == 0)
		return;
	n = format(line, sizeof line, "(%u lines of this log were lost)\n", log_dropped);
	if (log_whole(line, n))
		log_dropped = 0;
}

void
log_line(const char *text, ...)
{
	char line[LOG_LINE];
	va_list list;
	size_t n;

	va_start(list, text);
	n = format_list(line, sizeof line - 1, text, list);
	va_end(list);
	line[n++] = '\n';
	log_say_dropped();
	if (!log_whole(line, n))
		log_dropped++;
}
