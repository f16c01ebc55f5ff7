// SPDX-License-Identifier: MIT
/*
 * Merges of configuration files: what goes together does, what does not is
 * refused, and by chance: changes that lie apart are all in the result.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../lib/system.h"

static unsigned passed, failed;

static void
check(bool good, const char *what)
{
	passed += good;
	failed += !good;
	if (!good)
		printf("FAILED %s\n", what);
}

static bool
merge(struct buffer *out, const char *base, const char *mine, const char *theirs)
{
	struct buffer b[3] = {0};
	const char *texts[3] = {base, mine, theirs};

	for (int i = 0; i < 3; i++)
		buffer_text(&b[i], texts[i]);
	bool good = merge_texts(out, &b[0], &b[1], &b[2]);

	for (int i = 0; i < 3; i++)
		buffer_free(&b[i]);
	return good;
}

static const struct {
	const char *what, *base, *mine, *theirs, *result;	/* NULL: no merge */
} cases[] = {
	{"nothing anywhere", "", "", "", ""},
	{"nobody changed anything", "a\nb\n", "a\nb\n", "a\nb\n", "a\nb\n"},
	{"only mine", "a\nb\nc\n", "a\nX\nc\n", "a\nb\nc\n", "a\nX\nc\n"},
	{"only theirs", "a\nb\nc\n", "a\nb\nc\n", "a\nX\nc\n", "a\nX\nc\n"},
	{"apart", "a\nb\nc\nd\n", "A\nb\nc\nd\n", "a\nb\nc\nD\n", "A\nb\nc\nD\n"},
	{"the same change twice", "a\nb\nc\n", "a\nX\nc\n", "a\nX\nc\n", "a\nX\nc\n"},
	{"the same line", "a\nb\nc\n", "a\nX\nc\n", "a\nY\nc\n", NULL},
	{"neighbouring lines", "a\nb\nc\nd\n", "a\nX\nc\nd\n", "a\nb\nY\nd\n", NULL},
	{"mine removed, theirs changed", "a\nb\nc\n", "a\nc\n", "a\nY\nc\n", NULL},
	{"both removed", "a\nb\nc\n", "a\nc\n", "a\nc\n", "a\nc\n"},
	{"mine added before, theirs behind", "a\nb\n", "0\na\nb\n", "a\nb\nc\n", "0\na\nb\nc\n"},
	{"both added at the end", "a\n", "a\nx\n", "a\ny\n", NULL},
	{"mine emptied it", "a\nb\n", "", "a\nb\n", ""},
	{"mine emptied it, theirs changed it", "a\nb\n", "", "a\nB\n", NULL},
	{"no newline at the end", "a\nb\nc", "A\nb\nc", "a\nb\nc\n", "A\nb\nc\n"},
	{"no newline against a change", "a\nb", "a\nB", "a\nb\n", NULL},
	{"a line moved far", "a\nb\nc\nd\ne\n", "b\nc\nd\ne\na\n", "a\nb\nC\nd\ne\n", "b\nC\nd\ne\na\n"},
	{"repeated lines", "x\nx\nx\ny\n", "x\nx\nx\nx\ny\n", "x\nx\nx\nz\n", NULL},
	{"from nothing, only theirs", "", "", "a\n", "a\n"},
	{"from nothing, both", "", "a\n", "b\n", NULL},
};

static void
known_merges(void)
{
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct buffer out = {0};
		bool merged = merge(&out, cases[i].base, cases[i].mine, cases[i].theirs);

		check(merged == (cases[i].result != NULL) && (!merged || strcmp(out.data, cases[i].result) == 0), cases[i].what);
		buffer_free(&out);
	}
	struct buffer out = {0}, base = {.data = "a\0b\n", .length = 4}, text = {.data = "a\n", .length = 2};

	check(!merge_texts(&out, &base, &text, &text), "what is no text is not merged");
	buffer_free(&out);
}

static unsigned long seed = 1;

static unsigned
chance(unsigned below)
{
	seed = seed * 6364136223846793005UL + 1442695040888963407UL;
	return (unsigned)(seed >> 33) % below;
}

/*
 * Fields of ten lines: each side changes some fields, and never both the same
 * one, in ways that leave a line untouched between two fields.
 */
static void
changes_that_lie_apart_are_all_there(void)
{
	for (int round = 0; round < 300; round++) {
		struct buffer b = {0}, m = {0}, t = {0}, want = {0}, out = {0};
		unsigned fields = 1 + chance(20);

		for (unsigned f = 0; f < fields; f++) {
			unsigned who = chance(3), how = chance(3);

			for (unsigned l = 0; l < 10; l++) {
				struct buffer *sides[4] = {&b, &m, &t, &want};

				for (unsigned s = 0; s < 4; s++) {
					bool changed = l == 5 && s != 0 && (s == 3 ? who != 0 : who == s);

					if (changed && how == 0)
						continue;
					/* Every other line may repeat, so that comparisons have a choice. */
					buffer_format(sides[s], changed && how == 1 ? "new %u\n" : l % 2 ? "line %u\n" : "\n", f * 10 + l);
					if (changed && how == 2)
						buffer_format(sides[s], "added %u\n", f);
				}
			}
		}
		check(merge_texts(&out, &b, &m, &t) && strcmp(out.data, want.data) == 0, "changes that lie apart");
		out.length = 0;
		check(merge_texts(&out, &b, &m, &b) && strcmp(out.data, m.data) == 0, "theirs unchanged gives mine");
		out.length = 0;
		check(merge_texts(&out, &b, &b, &t) && strcmp(out.data, t.data) == 0, "mine unchanged gives theirs");
		buffer_free(&b);
		buffer_free(&m);
		buffer_free(&t);
		buffer_free(&want);
		buffer_free(&out);
	}
}

static void
limits_hold(void)
{
	struct buffer a = {0}, b = {0}, out = {0};

	for (int i = 0; i < 3000; i++) {
		buffer_format(&a, "%d\n", i);
		buffer_format(&b, "%d\n", -i - 1);
	}
	check(!merge_texts(&out, &a, &b, &a), "texts that share nothing are given up");
	a.length = 0;
	for (int i = 0; i < 20001; i++)
		buffer_text(&a, "\n");
	out.length = 0;
	check(!merge_texts(&out, &a, &a, &a), "too many lines are given up");
	buffer_free(&a);
	buffer_free(&b);
	buffer_free(&out);
}

int
main(void)
{
	known_merges();
	changes_that_lie_apart_are_all_there();
	limits_hold();
	printf("%u passed, %u failed\n", passed, failed);
	return failed != 0;
}
