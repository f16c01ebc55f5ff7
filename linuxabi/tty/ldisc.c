/* SPDX-License-Identifier: MIT */
/*
 * The line discipline (N_TTY): what happens to a byte between the line and a
 * program.  termios(3), POSIX.1-2017 chapter 11.  tty->lock is held everywhere.
 *
 * Input is kept in one ring of 4096 bytes.  In canonical mode bytes after
 * `canon` are still being edited; a delimiter (newline, EOL, EOL2, EOF) moves
 * canon to the head.  EOF is kept as a delimiter whose byte is __DISABLED: it
 * ends a read and is not given to the program.
 *
 * A full buffer in canonical mode without a complete line swallows further
 * bytes with a bell, as on Linux; otherwise the driver is held off
 * (ldisc_receive_room is 0) until somebody reads, and nothing is lost.
 */
#include "tty_internal.h"

enum { DISABLED = 0 /* _POSIX_VDISABLE */ };

static bool lflag(const struct tty *t, tcflag_t f) { return (t->termios.c_lflag & f) != 0; }
static bool iflag(const struct tty *t, tcflag_t f) { return (t->termios.c_iflag & f) != 0; }
static bool oflag(const struct tty *t, tcflag_t f) { return (t->termios.c_oflag & f) != 0; }

static bool
is_char(const struct tty *t, uint8_t c, unsigned which)
{
	return c == t->termios.c_cc[which] && c != DISABLED;
}

static bool is_control(uint8_t c) { return c < 32 || c == 127; }
static bool is_continuation(const struct tty *t, uint8_t c) { return iflag(t, IUTF8) && (c & 0xc0) == 0x80; }

static uint8_t input_at(const struct tty *t, uint32_t i) { return t->input[i % TTY_INPUT]; }

static bool
delimiter_at(const struct tty *t, uint32_t i)
{
	return (t->delimiter[(i % TTY_INPUT) / 64] >> (i % 64) & 1) != 0;
}

static void
input_put(struct tty *t, uint8_t c, bool delimiter)
{
	uint32_t i = t->head % TTY_INPUT;

	t->input[i] = c;
	if (delimiter)
		t->delimiter[i / 64] |= 1UL << (i % 64);
	else
		t->delimiter[i / 64] &= ~(1UL << (i % 64));
	t->head++;
}

/* ---- output ---- */

/* Bytes that c becomes, 0 if it is swallowed; out has room for 8. */
static unsigned
output_expand(struct tty *t, uint8_t c, uint8_t out[8])
{
	unsigned n;

	switch (c) {
	case '\n':
		if (oflag(t, ONLRET))
			t->column = 0;
		if (oflag(t, ONLCR)) {
			t->column = 0;
			out[0] = '\r';
			out[1] = '\n';
			return 2;
		}
		break;
	case '\r':
		if (oflag(t, ONOCR) && t->column == 0)
			return 0;
		if (oflag(t, OCRNL)) {
			out[0] = '\n';
			if (oflag(t, ONLRET))
				t->column = 0;
			return 1;
		}
		t->column = 0;
		break;
	case '\t':
		n = 8 - (t->column & 7);
		t->column += n;
		if ((t->termios.c_oflag & TABDLY) == XTABS) {
			memset(out, ' ', n);
			return n;
		}
		break;
	case '\b':
		if (t->column > 0)
			t->column--;
		break;
	default:
		if (!is_control(c) && !is_continuation(t, c))
			t->column++;
		break;
	}
	out[0] = c;
	return 1;
}

unsigned
ldisc_write(struct tty *t, const uint8_t *from, unsigned count)
{
	uint8_t staged[TTY_CHUNK];
	unsigned room, done = 0, n = 0;

	if (t->stopped)
		return 0;
	ldisc_flush_echo(t);
	room = t->ops->room(t);
	if (room > sizeof(staged))
		room = sizeof(staged);
	if (!oflag(t, OPOST)) {
		n = min(count, room);
		t->ops->write(t, from, n);
		return n;
	}
	/* Up to 8 bytes may come of one. */
	while (done < count && n + 8 <= room)
		n += output_expand(t, from[done++], &staged[n]);
	t->ops->write(t, staged, n);
	return done;
}

/* ---- echo ---- */

static void
echo_raw(struct tty *t, uint8_t c)
{
	if (t->echo_head - t->echo_tail < TTY_ECHO)
		t->echo[t->echo_head++ % TTY_ECHO] = c;
}

void
ldisc_flush_echo(struct tty *t)
{
	uint8_t out[8];

	while (t->echo_head != t->echo_tail && !t->stopped) {
		unsigned n = 1;
		uint8_t c = t->echo[t->echo_tail % TTY_ECHO];

		if (t->ops->room(t) < sizeof(out)) {
			t->ops->want_room(t);
			return;
		}
		out[0] = c;
		if (oflag(t, OPOST))
			n = output_expand(t, c, out);
		t->ops->write(t, out, n);
		t->echo_tail++;
	}
}

static void
echo_char(struct tty *t, uint8_t c)
{
	if (lflag(t, ECHOCTL) && is_control(c) && c != '\t' && c != '\n') {
		echo_raw(t, '^');
		echo_raw(t, c ^ 0x40);
		return;
	}
	echo_raw(t, c);
}

/* ---- editing ---- */

static unsigned
char_width(const struct tty *t, uint8_t c)
{
	if (is_control(c))
		return lflag(t, ECHOCTL) ? 2 : 0;
	return is_continuation(t, c) ? 0 : 1;
}

/* Column of the cursor behind the bytes [canon, end). */
static unsigned
line_column(const struct tty *t, uint32_t end)
{
	unsigned col = t->line_start_column;

	for (uint32_t i = t->canon; i != end; i++) {
		uint8_t c = input_at(t, i);

		col += c == '\t' ? 8 - (col & 7) : char_width(t, c);
	}
	return col;
}

static void
echo_erase(struct tty *t, uint8_t c, unsigned column_before)
{
	unsigned n = char_width(t, c);

	if (c == '\t')
		n = column_before - line_column(t, t->head);
	for (unsigned i = 0; i < n; i++) {
		echo_raw(t, '\b');
		if (c != '\t') {
			echo_raw(t, ' ');
			echo_raw(t, '\b');
		}
	}
}

/* Take the last character (all bytes of it) off the line being edited. */
static uint8_t
erase_one(struct tty *t)
{
	unsigned column = line_column(t, t->head);
	uint8_t c;

	do {
		t->head--;
		c = input_at(t, t->head);
	} while (t->head != t->canon && is_continuation(t, c));
	if (lflag(t, ECHO) && lflag(t, ECHOE))
		echo_erase(t, c, column);
	return c;
}

static void
edit_erase(struct tty *t)
{
	if (t->head == t->canon)
		return;
	erase_one(t);
	if (lflag(t, ECHO) && !lflag(t, ECHOE))
		echo_char(t, t->termios.c_cc[VERASE]);
}

static bool is_word(uint8_t c) { return (c >= '0' && c <= '9') || ((c | 32) >= 'a' && (c | 32) <= 'z') || c == '_' || c >= 128; }

static void
edit_word_erase(struct tty *t)
{
	bool seen = false;

	while (t->head != t->canon) {
		uint8_t c = input_at(t, t->head - 1);

		if (!is_word(c) && seen)
			return;
		seen = seen || is_word(c);
		erase_one(t);
	}
}

static void
edit_kill(struct tty *t)
{
	if (lflag(t, ECHO) && lflag(t, ECHOK) && lflag(t, ECHOKE) && lflag(t, ECHOE)) {
		while (t->head != t->canon)
			erase_one(t);
		return;
	}
	t->head = t->canon;
	if (!lflag(t, ECHO))
		return;
	echo_char(t, t->termios.c_cc[VKILL]);
	if (lflag(t, ECHOK))
		echo_raw(t, '\n');
}

static void
edit_reprint(struct tty *t)
{
	echo_char(t, t->termios.c_cc[VREPRINT]);
	echo_raw(t, '\n');
	t->line_start_column = 0;
	for (uint32_t i = t->canon; i != t->head; i++)
		echo_char(t, input_at(t, i));
}

static void
wake_readers(struct tty *t)
{
	waitq_wake(&t->read_wait, ~0u, POLLIN | POLLRDNORM);
}

static void
line_complete(struct tty *t, uint8_t c)
{
	input_put(t, c, true);
	t->canon = t->head;
	t->line_start_column = 0;
	wake_readers(t);
}

static void
receive_signal(struct tty *t, uint8_t c, int sig)
{
	if (!lflag(t, NOFLSH)) {
		ldisc_flush_input(t);
		t->echo_tail = t->echo_head;
		if (t->ops->flush_output != NULL)
			t->ops->flush_output(t);
	}
	if (iflag(t, IXON))
		t->stopped = false;
	if (lflag(t, ECHO))
		echo_char(t, c);
	ldisc_flush_echo(t);
	waitq_wake(&t->write_wait, ~0u, POLLOUT);
	if (t->group != 0)
		signal_send_group(t->group, sig, NULL);
}

/* Characters that act at once, in canonical mode or not. True: c is used up. */
static bool
receive_special(struct tty *t, uint8_t c)
{
	if (iflag(t, IXON)) {
		if (is_char(t, c, VSTOP)) {
			t->stopped = true;
			return true;
		}
		if (is_char(t, c, VSTART)) {
			t->stopped = false;
			waitq_wake(&t->write_wait, ~0u, POLLOUT);
			return true;
		}
	}
	if (!lflag(t, ISIG))
		return false;
	if (is_char(t, c, VINTR))
		receive_signal(t, c, SIGINT);
	else if (is_char(t, c, VQUIT))
		receive_signal(t, c, SIGQUIT);
	else if (is_char(t, c, VSUSP))
		receive_signal(t, c, SIGTSTP);
	else
		return false;
	return true;
}

/* Canonical editing characters. True: c is used up. */
static bool
receive_edit(struct tty *t, uint8_t c)
{
	bool iexten = lflag(t, IEXTEN);

	if (is_char(t, c, VERASE))
		edit_erase(t);
	else if (is_char(t, c, VKILL))
		edit_kill(t);
	else if (iexten && is_char(t, c, VWERASE))
		edit_word_erase(t);
	else if (iexten && is_char(t, c, VREPRINT) && lflag(t, ECHO))
		edit_reprint(t);
	else if (iexten && is_char(t, c, VLNEXT)) {
		t->literal = true;
		if (lflag(t, ECHO) && lflag(t, ECHOCTL)) {
			echo_raw(t, '^');
			echo_raw(t, '\b');
		}
	} else if (c == '\n') {
		if (lflag(t, ECHO) || lflag(t, ECHONL))
			echo_raw(t, '\n');
		line_complete(t, c);
	} else if (is_char(t, c, VEOF)) {
		line_complete(t, DISABLED);
	} else if (is_char(t, c, VEOL) || (iexten && is_char(t, c, VEOL2))) {
		if (lflag(t, ECHO))
			echo_char(t, c);
		line_complete(t, c);
	} else
		return false;
	return true;
}

/* Room for one more byte?  A line that is too long leaves place for its end. */
static bool
input_full(const struct tty *t)
{
	return t->head - t->tail >= TTY_INPUT - 1;
}

static void
receive_plain(struct tty *t, uint8_t c)
{
	if (input_full(t)) {
		if (iflag(t, IMAXBEL))
			echo_raw(t, '\a');
		return;
	}
	if (lflag(t, ECHO)) {
		if (t->head == t->canon)
			t->line_start_column = t->column;
		if (c == '\n')
			echo_raw(t, c);
		else
			echo_char(t, c);
	}
	input_put(t, c, false);
	if (!lflag(t, ICANON)) {
		t->canon = t->head;
		wake_readers(t);
	}
}

static void
receive_one(struct tty *t, uint8_t c)
{
	if (iflag(t, ISTRIP))
		c &= 0x7f;
	if (t->literal) {
		t->literal = false;
		receive_plain(t, c);
		return;
	}
	if (t->stopped && iflag(t, IXON) && iflag(t, IXANY) && !is_char(t, c, VSTOP)) {
		t->stopped = false;
		waitq_wake(&t->write_wait, ~0u, POLLOUT);
	}
	if (receive_special(t, c))
		return;
	if (c == '\r') {
		if (iflag(t, IGNCR))
			return;
		if (iflag(t, ICRNL))
			c = '\n';
	} else if (c == '\n' && iflag(t, INLCR))
		c = '\r';
	if (iflag(t, IUCLC) && lflag(t, IEXTEN) && c >= 'A' && c <= 'Z')
		c |= 32;
	if (lflag(t, ICANON) && receive_edit(t, c))
		return;
	receive_plain(t, c);
}

void
ldisc_receive(struct tty *t, const uint8_t *bytes, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		receive_one(t, bytes[i]);
	ldisc_flush_echo(t);
}

unsigned
ldisc_receive_room(const struct tty *t)
{
	unsigned used = t->head - t->tail;

	/* A lone line without an end would block for ever: it overflows instead. */
	if (lflag(t, ICANON) && t->canon == t->tail)
		return TTY_CHUNK;
	return used < TTY_INPUT - 1 ? TTY_INPUT - 1 - used : 0;
}

void
ldisc_break(struct tty *t)
{
	if (iflag(t, IGNBRK))
		return;
	if (iflag(t, BRKINT)) {
		receive_signal(t, t->termios.c_cc[VINTR], SIGINT);
		return;
	}
	receive_plain(t, 0);
}

/* ---- reading ---- */

unsigned
ldisc_readable(const struct tty *t)
{
	return t->canon - t->tail;
}

unsigned
ldisc_read(struct tty *t, uint8_t *to, unsigned max, bool *line_end)
{
	bool canonical = lflag(t, ICANON);
	unsigned n = 0;

	*line_end = false;
	while (n < max && t->tail != t->canon) {
		uint8_t c = input_at(t, t->tail);
		bool end = canonical && delimiter_at(t, t->tail);

		t->tail++;
		if (!end || c != DISABLED)
			to[n++] = c;
		if (end) {
			*line_end = true;
			break;
		}
	}
	return n;
}

void
ldisc_flush_input(struct tty *t)
{
	t->head = t->canon = t->tail = 0;
	t->literal = false;
}

void
ldisc_termios_changed(struct tty *t, const struct termios2 *old)
{
	bool was = (old->c_lflag & ICANON) != 0;

	if (!was && lflag(t, ICANON)) {
		/* What was raw is a line now, as on Linux. */
		if (t->head != t->tail) {
			uint32_t i = (t->head - 1) % TTY_INPUT;

			t->delimiter[i / 64] |= 1UL << (i % 64);
		}
		t->canon = t->head;
	} else if (was && !lflag(t, ICANON)) {
		t->canon = t->head;
		if (t->head != t->tail)
			wake_readers(t);
	}
	if (!iflag(t, IXON) && t->stopped) {
		t->stopped = false;
		waitq_wake(&t->write_wait, ~0u, POLLOUT);
	}
}
