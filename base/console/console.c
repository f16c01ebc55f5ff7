/* SPDX-License-Identifier: MIT */
/*
 * Merging terminal and logs onto one line.
 *
 * Log lines wait while a terminal line is being written and more of it is
 * there already; a terminal line that stands unfinished (a prompt) is ended for
 * them.  Nothing is taken from a ring before its bytes have a place, so every
 * writer is slowed to the speed of the line and nothing is lost.
 */
#include "console.h"

enum {
	LINE = 256,		/* the longest piece of a log that is kept together */
	PATIENCES = 50,		/* after so many, a log line cuts even a line that grows */
};
static const char warning = '!';	/* first byte of a line: LOG_WARNING, see log_line */

/* ---- steps that happen once --------------------------------------------- */

static void
step_begin(struct console *c, uint32_t source, uint64_t from_head, uint32_t to_tail)
{
	c->keep->step.to_tail = to_tail;
	c->keep->step.from_head = from_head;
	/* release: the step is whole before it counts; only this thread's later
	 * life reads it */
	__atomic_store_n(&c->keep->step.source, source, __ATOMIC_RELEASE);
}

static void
step_end(struct console *c)
{
	__atomic_store_n(&c->keep->step.source, FROM_NOTHING, __ATOMIC_RELEASE);
}

static struct ring *
source_ring(struct console *c, uint32_t source)
{
	if (source == FROM_TTY && c->has_tty)
		return &c->tty.in;
	if (source == FROM_SERIAL && c->has_serial)
		return &c->serial.in;
	if (source >= FROM_LOG && source - FROM_LOG < c->log_count)
		return &c->log[source - FROM_LOG].end.in;
	return NULL;
}

/* Our earlier life had handed bytes over but not given them back. */
static void
step_finish(struct console *c)
{
	const struct console_step *s = &c->keep->step;
	struct ring *from = source_ring(c, s->source);
	const struct ring *to = s->source == FROM_SERIAL ? &c->tty.out : &c->serial.out;

	if (s->source != FROM_NOTHING && to->shared != NULL && to->own == s->to_tail) {
		if (s->source == FROM_KERNEL)
			c->keep->kernel_log_at = s->from_head;
		else if (from != NULL && (uint32_t)s->from_head - from->own <= ring_readable(from))
			ring_consume(from, (uint32_t)s->from_head - from->own);
	}
	step_end(c);
}

void
console_start(struct console *c, uint64_t kernel_log_from)
{
	if (!c->keep->valid) {
		c->keep->kernel_log_at = kernel_log_from;
		c->keep->valid = 1;
	}
	step_finish(c);
	if (c->has_serial) {
		c->breaks = c->serial.shared->breaks;
		c->overruns = c->serial.shared->overruns;
	}
}

/* ---- bytes as they are -------------------------------------------------- */

/* To where the last line in it ends, if one does. */
static uint32_t
up_to_newline(const uint8_t *bytes, uint32_t n)
{
	for (uint32_t i = n; i > 0; i--)
		if (bytes[i - 1] == '\n')
			return i;
	return n;
}

/* Move what is readable in one piece and fits in one piece. */
static bool
pass(struct console *c, uint32_t source, struct ring *from, struct ring *to, bool *from_bell,
    bool *to_bell)
{
	const uint8_t *bytes;
	uint8_t *place;
	uint32_t n = ring_peek(from, &bytes), room;

	if (n == 0)
		return false;
	room = ring_reserve(to, &place);
	if (room == 0)
		return false;
	if (n > room)
		n = room;
	if (source == FROM_TTY && c->log_waits)
		n = up_to_newline(bytes, n);
	if (source == FROM_TTY)
		c->tty_at = c->now;
	memcpy(place, bytes, n);
	step_begin(c, source, from->own + n, to->own + n);
	*to_bell |= ring_commit(to, n);
	*from_bell |= ring_consume(from, n);
	step_end(c);
	return true;
}

static bool
drop(struct ring *from, bool *bell)
{
	uint32_t n = ring_readable(from);

	if (n == 0)
		return false;
	*bell |= ring_consume(from, n);
	return true;
}

static bool
move_input(struct console *c)
{
	if (!c->has_serial)
		return false;
	if (!c->has_tty)
		return drop(&c->serial.in, &c->serial_bell);
	return pass(c, FROM_SERIAL, &c->serial.in, &c->tty.out, &c->serial_bell, &c->tty_bell);
}

static bool
move_output(struct console *c)
{
	if (!c->has_tty)
		return false;
	if (!c->has_serial)
		return drop(&c->tty.in, &c->tty_bell);
	return pass(c, FROM_TTY, &c->tty.in, &c->serial.out, &c->tty_bell, &c->serial_bell);
}

/* Breaks and lost bytes are counted on: the world sees the line through us. */
static void
pass_counts(struct console *c)
{
	uint32_t breaks, overruns;

	if (!c->has_serial || !c->has_tty)
		return;
	breaks = c->serial.shared->breaks - c->breaks;
	overruns = c->serial.shared->overruns - c->overruns;
	if (breaks == 0 && overruns == 0)
		return;
	c->breaks += breaks;
	c->overruns += overruns;
	c->tty.shared->breaks = c->tty.shared->breaks + breaks;
	c->tty.shared->overruns = c->tty.shared->overruns + overruns;
	c->tty_bell = true;
}

/* ---- logs --------------------------------------------------------------- */

/* The line's last byte is still in the ring, sent or not. */
static bool
at_line_start(const struct console *c)
{
	const struct ring *out = &c->serial.out;

	return out->own == 0 || out->data[(out->own - 1) & (out->size - 1)] == '\n';
}

/*
 * May a log line come in between now?  If not, the terminal's output is asked
 * to stop at the end of a line.  A line whose writer was only slower than we
 * are, or waits for room, is not a prompt: it gets some time to go on, but a
 * world cannot keep the logs away with lines that never end.
 */
static bool
may_interrupt(struct console *c)
{
	bool more;

	if (at_line_start(c) || !c->has_tty)
		return true;
	more = ring_readable(&c->tty.in) != 0 || c->now - c->tty_at < c->patience;
	if (!more || (c->log_waits_since != 0 && c->now - c->log_waits_since > PATIENCES * c->patience))
		return true;
	if (c->log_waits_since == 0)
		c->log_waits_since = c->now;
	c->log_waits = true;
	return false;
}

/* A terminal must not be steered by a component's log. */
static void
make_printable(char *text, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		if ((uint8_t)text[i] < ' ' || text[i] == 0x7f)
			text[i] = text[i] == '\t' ? ' ' : '?';
}

/*
 * "[name] text\r\n", handed over in one piece.  false: no room yet, and nothing
 * was changed.
 */
static bool
print_line(struct console *c, uint32_t source, uint64_t from_head, const char *name,
    const char *text, uint32_t n)
{
	char line[LINE + CONSOLE_NAME + 16];
	uint32_t k = 0, name_size = (uint32_t)strlen(name);

	if (!at_line_start(c)) {
		line[k++] = '\r';
		line[k++] = '\n';
	}
	line[k++] = '[';
	memcpy(line + k, name, name_size);
	k += name_size;
	line[k++] = ']';
	line[k++] = ' ';
	memcpy(line + k, text, n);
	make_printable(line + k, n);
	k += n;
	line[k++] = '\r';
	line[k++] = '\n';
	if (ring_space(&c->serial.out) < k) {
		c->wants_room = true;
		return false;
	}
	ring_put(&c->serial.out, 0, line, k);
	step_begin(c, source, from_head, c->serial.out.own + k);
	c->serial_bell |= ring_commit(&c->serial.out, k);
	return true;
}

/* How long is the first line, its newline included?  0: not whole yet. */
static uint32_t
line_length(const char *text, uint32_t n, bool full)
{
	for (uint32_t i = 0; i < n; i++)
		if (text[i] == '\n')
			return i + 1;
	return full ? n : 0;
}

static bool
move_log(struct console *c, unsigned index)
{
	struct console_log *log = &c->log[index];
	struct ring *in = &log->end.in;
	uint32_t n = ring_readable(in), length, text;
	bool full = n >= LINE || n == in->size, warns;
	char line[LINE];

	if (n > LINE)
		n = LINE;
	ring_copy(in, 0, line, n);
	length = line_length(line, n, full);
	if (length == 0)
		return false;
	text = length - (line[length - 1] == '\n');
	warns = line[0] == warning;
	if (c->has_serial && (!c->quiet || warns)) {
		if (!may_interrupt(c) || !print_line(c, FROM_LOG + index, in->own + length,
		    log->name, line + warns, text - (text > 0 && warns)))
			return false;
	}
	log->bell |= ring_consume(in, length);
	step_end(c);
	return true;
}

/* The kernel writes its log at any time, from any CPU: bytes are copied first,
 * then it is checked that they were not overwritten meanwhile. */
static bool
move_kernel_log(struct console *c)
{
	const struct kernel_log *log = c->kernel_log;
	uint64_t written, at = c->keep->kernel_log_at;
	char line[LINE];
	uint32_t n, length;

	if (log == NULL || log->size == 0 || !c->has_serial)
		return false;
	written = __atomic_load_n(&log->written, __ATOMIC_ACQUIRE);
	if (written == at || !may_interrupt(c))
		return false;
	if (written - at > log->size)
		at = written - log->size;	/* older bytes are gone */
	n = written - at > LINE ? LINE : (uint32_t)(written - at);
	for (uint32_t i = 0; i < n; i++)
		line[i] = log->data[(at + i) & (log->size - 1)];
	/* orders the copy before the second look at written */
	__atomic_thread_fence(__ATOMIC_ACQUIRE);
	if (__atomic_load_n(&log->written, __ATOMIC_RELAXED) - at > log->size)
		return true;			/* overtaken: try again further on */
	length = line_length(line, n, n == LINE);
	if (length == 0 || !print_line(c, FROM_KERNEL, at + length, "kernel", line,
	    length - (line[length - 1] == '\n')))
		return false;
	c->keep->kernel_log_at = at + length;
	step_end(c);
	return true;
}

/* stream(5): a peer whose indices make no sense is not followed, and named once
 * for all times it does so. */
static void
report_broken(struct console *c)
{
	static const char text[] = "a peer's ring made no sense, its bytes are dropped: ";
	char line[sizeof text + CONSOLE_NAME];
	const char *who = "terminal";
	uint32_t sum = c->serial.in.broken + c->serial.out.broken + c->tty.in.broken +
	    c->tty.out.broken;

	for (unsigned i = 0; i < c->log_count; i++) {
		if (c->log[i].end.in.broken != 0)
			who = c->log[i].name;
		sum += c->log[i].end.in.broken;
	}
	if (c->serial.in.broken + c->serial.out.broken != 0)
		who = "serial line";
	if (sum == 0 || c->broken != 0 || !c->has_serial)
		return;
	memcpy(line, text, sizeof text);
	memcpy(line + sizeof text - 1, who, strlen(who));
	if (print_line(c, FROM_NOTHING, 0, "console", line,
	    (uint32_t)(sizeof text - 1 + strlen(who))))
		c->broken = sum;
}

/* ---- all of it ---------------------------------------------------------- */

bool
console_move(struct console *c)
{
	bool moved;

	c->wants_room = false;
	pass_counts(c);
	moved = move_input(c);
	moved |= move_output(c);
	c->log_waits = false;
	moved |= move_kernel_log(c);
	for (unsigned i = 0; i < c->log_count; i++)
		moved |= move_log(c, i);
	report_broken(c);
	if (!c->log_waits)
		c->log_waits_since = 0;
	return moved;
}

static bool
rest_tty(struct console *c)
{
	bool rest = true;

	if (!c->has_tty)
		return true;
	if (ring_readable(&c->tty.in) == 0)
		rest = ring_reader_waits(&c->tty.in);
	else
		c->wants_room = true;
	if (c->has_serial && ring_readable(&c->serial.in) != 0)
		rest &= ring_writer_waits(&c->tty.out, 1);
	return rest;
}

static bool
rest_serial(struct console *c)
{
	struct ring *out = &c->serial.out;
	bool rest = true;

	if (!c->has_serial)
		return true;
	if (ring_readable(&c->serial.in) == 0)
		rest = ring_reader_waits(&c->serial.in);
	if (c->wants_room)
		rest &= ring_writer_waits(out, out->size / 2);
	return rest;
}

bool
console_rest(struct console *c)
{
	bool rest = rest_tty(c);

	rest &= rest_serial(c);
	for (unsigned i = 0; i < c->log_count; i++) {
		struct ring *in = &c->log[i].end.in;

		rest &= ring_reader_waits_for_more(in, ring_readable(in));
	}
	return rest;
}

uint64_t
console_deadline(struct console *c)
{
	return c->log_waits && ring_readable(&c->tty.in) == 0 ? c->tty_at + c->patience : 0;
}
