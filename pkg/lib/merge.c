// SPDX-License-Identifier: MIT
/*
 * Three-way merge of texts, line by line.  Two comparisons (Myers, "An O(ND)
 * Difference Algorithm", 1986) say which lines of the base are still in each of
 * its two successors; between lines that are in both, the one that changed wins,
 * and where both changed differently there is no merge.
 */
#include <stdlib.h>
#include <string.h>

#include "system.h"

enum { LINES_MAX = 20000, EDITS_MAX = 1000 };

struct line {
	const char *text;
	size_t length;	/* with its newline */
};
struct lines {
	struct line *items;
	int count;
};

static bool
lines_split(struct lines *l, const struct buffer *b)
{
	const char *at = b->data, *end = b->data + b->length;

	*l = (struct lines){.items = mem_alloc(sizeof(*l->items))};
	if (b->length != 0 && memchr(b->data, '\0', b->length) != NULL)
		return false;	/* no text */
	while (at < end) {
		const char *newline = memchr(at, '\n', (size_t)(end - at));
		size_t n = newline ? (size_t)(newline + 1 - at) : (size_t)(end - at);

		if (l->count == LINES_MAX)
			return false;
		if (l->count != 0 && (l->count & (l->count - 1)) == 0)
			l->items = mem_grow(l->items, 2 * (size_t)l->count, sizeof(*l->items));
		l->items[l->count++] = (struct line){at, n};
		at += n;
	}
	return true;
}

static bool
line_equal(const struct line *a, const struct line *b)
{
	return a->length == b->length && memcmp(a->text, b->text, a->length) == 0;
}

/*
 * The furthest places reached with d edits, for each d: row d holds the
 * diagonals -d … d.  Walked back from the end, the rows say which lines match.
 */
struct rows {
	int *row[EDITS_MAX + 1];
	int count;
};

static int
reach(const struct rows *r, int d, int k)
{
	return r->row[d][k + d];
}

/* Whether the best way to diagonal k came from above (an insertion). */
static bool
comes_down(const struct rows *r, int d, int k)
{
	return k == -d || (k != d && reach(r, d - 1, k - 1) < reach(r, d - 1, k + 1));
}

/* Fills the rows until both texts' ends are reached; -1: too many edits. */
static int
search_edits(struct rows *r, const struct line *a, int n, const struct line *b, int m)
{
	for (int d = 0; d <= EDITS_MAX; d++) {
		r->row[d] = mem_alloc((size_t)(2 * d + 1) * sizeof(int));
		r->count = d + 1;
		for (int k = -d; k <= d; k += 2) {
			int x = d == 0 ? 0 : comes_down(r, d, k) ? reach(r, d - 1, k + 1) : reach(r, d - 1, k - 1) + 1;

			while (x < n && x - k < m && x - k >= 0 && line_equal(&a[x], &b[x - k]))
				x++;
			r->row[d][k + d] = x;
			if (x >= n && x - k >= m)
				return d;
		}
	}
	return -1;
}

/* match[i]: where line i of a is in b, or -1; ascending.  False: too different. */
static bool
lines_match(const struct lines *a, const struct lines *b, int *match)
{
	struct rows r = {.count = 0};
	int from = 0, n = a->count, m = b->count;

	for (int i = 0; i < a->count; i++)
		match[i] = -1;
	while (from < n && from < m && line_equal(&a->items[from], &b->items[from])) {
		match[from] = from;
		from++;
	}
	while (n > from && m > from && line_equal(&a->items[n - 1], &b->items[m - 1]))
		match[--n] = --m;
	int edits = search_edits(&r, a->items + from, n - from, b->items + from, m - from);
	int x = n - from, y = m - from;

	for (int d = edits; d >= 0; d--) {
		int k = x - y;
		bool down = d > 0 && comes_down(&r, d, k);
		int before_x = d == 0 ? 0 : down ? reach(&r, d - 1, k + 1) : reach(&r, d - 1, k - 1);
		int before_y = d == 0 ? 0 : before_x - (down ? k + 1 : k - 1);

		while (x > before_x && y > before_y) {
			x--;
			y--;
			match[from + x] = from + y;
		}
		x = before_x;
		y = before_y;
	}
	for (int d = 0; d < r.count; d++)
		free(r.row[d]);
	return edits >= 0;
}

/* Lines from … to of a text. */
struct part {
	const struct lines *of;
	int from, to;
};

static bool
part_equal(struct part a, struct part b)
{
	if (a.to - a.from != b.to - b.from)
		return false;
	for (int i = 0; i < a.to - a.from; i++) {
		if (!line_equal(&a.of->items[a.from + i], &b.of->items[b.from + i]))
			return false;
	}
	return true;
}

static void
part_add(struct buffer *out, struct part p)
{
	for (int i = p.from; i < p.to; i++)
		buffer_add(out, p.of->items[i].text, p.of->items[i].length);
}

static bool
add_changed(struct buffer *out, struct part base, struct part mine, struct part theirs)
{
	if (part_equal(mine, base))
		part_add(out, theirs);
	else if (part_equal(theirs, base) || part_equal(mine, theirs))
		part_add(out, mine);
	else
		return false;
	return true;
}

static bool
merge_lines(struct buffer *out, const struct lines *base, const struct lines *mine, const int *in_mine,
    const struct lines *theirs, const int *in_theirs)
{
	int i = 0, a = 0, b = 0;

	while (i < base->count || a < mine->count || b < theirs->count) {
		int next = i;

		/* To the next line that all three have. */
		while (next < base->count && (in_mine[next] < 0 || in_theirs[next] < 0))
			next++;
		int to_a = next < base->count ? in_mine[next] : mine->count;
		int to_b = next < base->count ? in_theirs[next] : theirs->count;

		if (!add_changed(out, (struct part){base, i, next}, (struct part){mine, a, to_a},
		    (struct part){theirs, b, to_b}))
			return false;
		if (next < base->count)
			part_add(out, (struct part){base, next, next + 1});
		i = next + (next < base->count);
		a = to_a + (next < base->count);
		b = to_b + (next < base->count);
	}
	return true;
}

bool
merge_texts(struct buffer *out, const struct buffer *base, const struct buffer *mine, const struct buffer *theirs)
{
	struct lines l[3] = {0};
	bool good = lines_split(&l[0], base) && lines_split(&l[1], mine) && lines_split(&l[2], theirs);
	size_t room = (size_t)l[0].count * sizeof(int);
	int *in_mine = mem_alloc(room), *in_theirs = mem_alloc(room);

	buffer_add(out, "", 0);
	good = good && lines_match(&l[0], &l[1], in_mine) && lines_match(&l[0], &l[2], in_theirs) &&
	    merge_lines(out, &l[0], &l[1], in_mine, &l[2], in_theirs);
	free(in_mine);
	free(in_theirs);
	for (int i = 0; i < 3; i++)
		free(l[i].items);
	return good;
}
