/* SPDX-License-Identifier: MIT */
/*
 * klog: every message becomes a line in a ring that syslog(2) reads, and goes
 * to the console component through the log channel (proto/stream.h).  What the
 * channel has no room for waits in the ring until its reader rings; what the ring
 * forgets meanwhile is lost and said so.
 */
#include <proto/stream.h>
#include <tessera/ring.h>

#include "hyp.h"
#include "log.h"
#include "task.h"
#include "time.h"

enum { RING = 1 << 17, LINE = 512, CHANNEL_MAX = 1 << 20, LOG_RANK = 120 };

static char ring[RING];
static uint64_t first, end;		/* log_lock */
static uint64_t sent;			/* what the channel has got */
static spinlock_t log_lock = SPINLOCK_INIT(LOG_RANK);
static struct stream_end channel;
static bool have_channel;
struct waitq log_wait = WAITQ_INIT(log_wait);

/* log_lock is held. */
static void
drop_oldest_line(void)
{
	while (first < end && ring[first++ % RING] != '\n')
		;
}

static void
append(const char *s, size_t n)
{
	while (end - first + n > RING)
		drop_oldest_line();
	for (size_t i = 0; i < n; i++)
		ring[end++ % RING] = s[i];
}

/* The level is syslog's business: the console shows text. */
static uint64_t
skip_level(uint64_t at)
{
	if (at < end && ring[at % RING] == '<')
		while (at < end && ring[at++ % RING] != '>')
			;
	return at;
}

static bool
send_piece(const char *s, uint32_t n)
{
	bool bell = false;

	ring_write(&channel.out, s, n, &bell);
	return bell;
}

/* Whole lines, as long as the channel has room; true: ring its bell. */
static bool
flush(void)
{
	bool bell = false;

	if (!have_channel)
		return false;
	if (sent < first) {
		sent = first;
		bell |= send_piece("[log: lines lost]\n", 18);
	}
	while (sent < end) {
		uint64_t from = skip_level(sent), to = from;

		while (ring[to++ % RING] != '\n')
			;
		if (ring_space(&channel.out) < to - from && ring_writer_waits(&channel.out, (uint32_t)(to - from)))
			break;
		while (from < to) {
			uint64_t n = min(to - from, RING - from % RING);

			bell |= send_piece(&ring[from % RING], (uint32_t)n);
			from += n;
		}
		sent = to;
	}
	return bell;
}

void
klog(int level, const char *fmt, ...)
{
	char line[LINE];
	uint64_t us = clock_monotonic() / 1000, flags;
	va_list ap;
	size_t n;
	bool bell;

	n = (size_t)ksnprintf(line, sizeof(line), "<%d>[%5lu.%06lu] ", level, us / 1000000, us % 1000000);
	va_start(ap, fmt);
	n += (size_t)kvsnprintf(line + n, sizeof(line) - n, fmt, ap);
	va_end(ap);
	n = min(n, sizeof(line) - 2);
	if (n != 0 && line[n - 1] == '\n')
		n--;
	for (size_t i = 0; i < n; i++)
		if (line[i] == '\n')
			line[i] = ' ';
	line[n++] = '\n';

	flags = spin_lock_irqsave(&log_lock);
	append(line, n);
	bell = flush();
	spin_unlock_irqrestore(&log_lock, flags);
	if (bell)
		hyp_signal(WORLD_SLOT_LOG_BELL);
}

void
log_channel_init(void *stream)
{
	uint64_t flags;
	bool bell = false;

	if (stream == NULL || !stream_attach(&channel, stream, CHANNEL_MAX, STREAM_CLIENT))
		return;
	flags = spin_lock_irqsave(&log_lock);
	have_channel = true;
	bell = flush();
	spin_unlock_irqrestore(&log_lock, flags);
	if (bell)
		hyp_signal(WORLD_SLOT_LOG_BELL);
}

void
log_channel_interrupt(void)
{
	uint64_t flags = spin_lock_irqsave(&log_lock);
	bool bell = flush();

	spin_unlock_irqrestore(&log_lock, flags);
	if (bell)
		hyp_signal(WORLD_SLOT_LOG_BELL);
}

/* The holder of the lock may be what failed: after a while go on without it. */
void
log_emergency(void)
{
	for (unsigned i = 0; i < 1000000 && !spin_trylock(&log_lock); i++)
		arch_cpu_relax();
	flush();
	spin_init(&log_lock, LOG_RANK);
	hyp_signal(WORLD_SLOT_LOG_BELL);
}

uint64_t log_end(void) { return __atomic_load_n(&end, __ATOMIC_RELAXED); }
uint64_t log_first(void) { return __atomic_load_n(&first, __ATOMIC_RELAXED); }
size_t log_size(void) { return RING; }

size_t
log_read(uint64_t *pos, char *buf, size_t n)
{
	uint64_t flags = spin_lock_irqsave(&log_lock);
	size_t done = 0;

	if (*pos < first)
		*pos = first;
	while (done < n && *pos < end)
		buf[done++] = ring[(*pos)++ % RING];
	spin_unlock_irqrestore(&log_lock, flags);
	return done;
}
