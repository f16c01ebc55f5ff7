/* SPDX-License-Identifier: MIT */
/*
 * The lists that sequences are made of, and the named workloads.  In a text "#"
 * stands for the size of a block, and "5#+7" for a number; expand() counts.
 */
#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "image.h"
#include "workload.h"

/* An operation, and what one would fsync after it: the file, and its directory. */
static const struct {
	const char *text, *file, *directory;
} verb[] = {
	{ "creat /A/new", "/A/new", "/A" },
	{ "creat /B/foo", "/B/foo", "/B" },
	{ "write /A/foo 0 #", "/A/foo", "/A" },
	{ "write /A/foo #-300 600", "/A/foo", "/A" },
	{ "write /A/foo 0 3#+300", "/A/foo", "/A" },		/* as an mmap of all of it */
	{ "write /A/foo 8#+7 #", "/A/foo", "/A" },		/* leaves a hole */
	{ "append /A/foo 100", "/A/foo", "/A" },
	{ "append /A/foo 2#", "/A/foo", "/A" },
	{ "append /A/bar 5#", "/A/bar", "/A" },
	{ "falloc /A/foo 0 8#", "/A/foo", "/A" },
	{ "keep /A/bar 0 8#", "/A/bar", "/A" },
	{ "punch /A/foo #-100 2#", "/A/foo", "/A" },
	{ "zero /A/foo 0 2#", "/A/foo", "/A" },
	{ "truncate /A/foo 0", "/A/foo", "/A" },
	{ "truncate /A/foo #+77", "/A/foo", "/A" },
	{ "truncate /A/foo 10#", "/A/foo", "/A" },
	{ "rename /A/foo /B/foo", "/B/foo", "/A" },
	{ "rename /A/foo /A/bar", "/A/bar", "/A" },
	{ "rename /A/bar /A/foo", "/A/foo", "/A" },
	{ "rename /A/C /B/C", "/B/C", "/A" },
	{ "rename /A/C /D", "/D", "/A" },
	{ "rename /A /D/A", "/D/A", "/D" },
	{ "exchange /A/foo /B/hard", "/A/foo", "/B" },
	{ "exchange /A/foo /D", "/D", "/A" },
	{ "link /A/foo /B/foo", "/A/foo", "/B" },
	{ "link /A/bar /A/new", "/A/bar", "/A" },
	{ "unlink /A/foo", "/B/hard", "/A" },
	{ "unlink /A/bar", "/B/hard", "/A" },
	{ "unlink /B/hard", "/A/bar", "/B" },
	{ "open-unlink /A/foo", "%", "/A" },
	{ "tmpfile", "%", "/" },
	{ "mkdir /B/C", "/B/C", "/B" },
	{ "rmdir /A/C", "/A/foo", "/A" },
	{ "rmdir /D", "/A/foo", "/" },
	{ "symlink /B/s foo", "/B", "/B" },
	{ "symlink /B/t a-target-that-is-too-long-for-the-inode-so-that-it-gets-a-block-of-its-own-somewhere",
	    "/B", "/B" },
	{ "setxattr /A/foo user.x 40", "/A/foo", "/A" },
	{ "setxattr /A/foo user.big 600", "/A/foo", "/A" },
	{ "removexattr /A/bar user.old", "/A/bar", "/A" },
	{ "chmod /A/foo 600", "/A/foo", "/A" },
	/* these mean something after another one */
	{ "creat /A/foo", "/A/foo", "/A" },
	{ "append /A/new 3#", "/A/new", "/A" },
	{ "append /B/foo 2#+5", "/B/foo", "/B" },
	{ "truncate /B/foo #-1", "/B/foo", "/B" },
	{ "rename /A/new /A/foo", "/A/foo", "/A" },
	{ "rename /B/foo /A/foo", "/A/foo", "/B" },
	{ "unlink /B/foo", "/A", "/B" },
	{ "creat /B/C/x", "/B/C/x", "/B/C" },
	{ "write % 0 4#", "%", "/A" },
	{ "link % /A/new", "/A/new", "/A" },
};

static const char *const last_way[] = { "", "fsync F", "fdatasync F", "fsync P", "sync", "tick" };
static const char *const middle_way[] = { "", "fsync F" };
static const char *const second_way[] = { "fsync F", "fsync P", "sync" };

#define COUNT(list) (sizeof(list) / sizeof *(list))

uint64_t
sequence_count(unsigned length)
{
	uint64_t verbs = COUNT(verb), middle = COUNT(middle_way), second = COUNT(second_way);

	return length == 1 ? verbs * COUNT(last_way) : length == 2 ? verbs * middle * verbs * second :
	    verbs * middle * verbs * middle * verbs * second;
}

/* ---- text ---------------------------------------------------------------------------- */

/* "3#+300" and the like become numbers; all else is copied. */
static void
expand(char *to, size_t room, const char *from, uint32_t block)
{
	size_t used = 0;

	while (*from != '\0' && used + 24 < room) {
		size_t digits = strspn(from, "0123456789");
		long value;
		char *end;

		if (from[digits] != '#') {
			digits += digits == 0;
			memcpy(to + used, from, digits);
			used += digits;
			from += digits;
			continue;
		}
		value = (digits != 0 ? strtol(from, NULL, 10) : 1) * (long)block;
		from += digits + 1;
		if (*from == '+' || *from == '-') {
			value += strtol(from, &end, 10);
			from = end;
		}
		used += (size_t)snprintf(to + used, room - used, "%ld", value);
	}
	to[used] = '\0';
}

static void
add_verb(char *to, size_t room, uint64_t index, const char *way)
{
	size_t used = strlen(to);

	used += (size_t)snprintf(to + used, room - used, "%s%s", used != 0 ? "; " : "", verb[index].text);
	if (*way == '\0')
		return;
	used += (size_t)snprintf(to + used, room - used, "; ");
	for (; *way != '\0' && used + 1 < room; way++) {
		if (*way == 'F' || *way == 'P')
			used += (size_t)snprintf(to + used, room - used, "%s",
			    *way == 'F' ? verb[index].file : verb[index].directory);
		else
			to[used++] = *way, to[used] = '\0';
	}
}

const char *
sequence_text(unsigned length, uint64_t index, uint32_t block_bytes)
{
	static char text[2048];
	char raw[1024] = "";

	for (unsigned i = 0; i + 1 < length; i++) {
		const char *way = middle_way[index % COUNT(middle_way)];

		index /= COUNT(middle_way);
		add_verb(raw, sizeof raw, index % COUNT(verb), way);
		index /= COUNT(verb);
	}
	if (length == 1)
		add_verb(raw, sizeof raw, index / COUNT(last_way), last_way[index % COUNT(last_way)]);
	else
		add_verb(raw, sizeof raw, index / COUNT(second_way), second_way[index % COUNT(second_way)]);
	expand(text, sizeof text, raw, block_bytes);
	return text;
}

const char *
overlap_text(unsigned length, uint64_t index, uint32_t block_bytes)
{
	static const char *const ways[] = { "bg-sync", "bg-fsync F", "bg-sync; poll 1", "bg-sync; poll 3",
		"bg-fsync P; poll 2", "bg-sync; poll 5" };
	static char text[2048];
	char raw[1024] = "";

	for (unsigned i = 0; i < length; i++)
		add_verb(raw, sizeof raw, mix(index, 2 * i) % COUNT(verb),
		    i + 1 < length ? ways[mix(index, 2 * i + 1) % COUNT(ways)] :
		    second_way[mix(index, 2 * i + 1) % COUNT(second_way)]);
	expand(text, sizeof text, raw, block_bytes);
	return text;
}

/* ---- named ones ------------------------------------------------------------------------- */

struct text {
	char *bytes;
	size_t used, room;
	uint32_t block;
};

static void __attribute__((format(printf, 2, 3)))
put(struct text *text, const char *format, ...)
{
	char line[600], expanded[800];
	size_t bytes;
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(line, sizeof line, format, arguments);
	va_end(arguments);
	expand(expanded, sizeof expanded, line, text->block);
	bytes = strlen(expanded);
	if (text->used + bytes + 3 > text->room)
		text->bytes = need_more(text->bytes, text->room = 2 * text->room + bytes + 64);
	memcpy(text->bytes + text->used, expanded, bytes);
	memcpy(text->bytes + text->used + bytes, "; ", 3);
	text->used += bytes + 2;
}

/* What tar does: directories, files of all sizes, links, modes; then one sync. */
static void
untar(struct text *text, unsigned files)
{
	put(text, "mkdir /src");
	for (unsigned i = 0; i < files; i++) {
		uint64_t size = mix(i, 77) % 7 == 0 ? mix(i, 78) % 20000 : mix(i, 79) % 2500;

		if (i % 25 == 0)
			put(text, "mkdir /src/d%u", i / 25);
		put(text, "creat /src/d%u/file-%u.c", i / 25, i);
		if (size != 0)
			put(text, "append /src/d%u/file-%u.c %u", i / 25, i, (unsigned)size);
		put(text, "chmod /src/d%u/file-%u.c %o", i / 25, i, i % 3 == 0 ? 0755 : 0644);
		if (i % 17 == 5)
			put(text, "symlink /src/d%u/link-%u file-%u.c", i / 25, i, i);
		if (i % 60 == 59)
			put(text, "tick");
	}
	put(text, "sync");
}

/* SQLite, journal_mode=DELETE: the old pages into a journal, then the data base in place. */
static void
sqlite_rollback(struct text *text)
{
	put(text, "creat /db");
	put(text, "append /db 12#");
	put(text, "fsync /db");
	for (unsigned i = 0; i < 4; i++) {
		put(text, "creat /db-journal");
		put(text, "append /db-journal 512");
		put(text, "append /db-journal %u", 2 * (text->block + 8));
		put(text, "fdatasync /db-journal");
		put(text, "write /db-journal 0 28");
		put(text, "fdatasync /db-journal");
		put(text, "fsync /");
		put(text, "write /db 0 #");
		put(text, "write /db %u# #", 3 + i);
		if (i == 2)
			put(text, "append /db 2#");
		put(text, "fdatasync /db");
		put(text, "unlink /db-journal");
		if (i % 2 == 0)
			put(text, "fsync /");
	}
}

/* SQLite, journal_mode=WAL: frames appended, fdatasync as the commit, then a checkpoint. */
static void
sqlite_wal(struct text *text)
{
	put(text, "creat /db");
	put(text, "append /db 8#");
	put(text, "fsync /db");
	put(text, "creat /db-wal");
	put(text, "append /db-wal 32");
	put(text, "fdatasync /db-wal");
	for (unsigned i = 0; i < 5; i++) {
		put(text, "append /db-wal %u", 2 * (text->block + 24));
		put(text, "fdatasync /db-wal");
	}
	put(text, "write /db 0 2#");
	put(text, "write /db 4# 3#");
	put(text, "fdatasync /db");
	put(text, "write /db-wal 0 32");
	put(text, "write /db-wal 32 %u", text->block + 24);
	put(text, "fdatasync /db-wal");
	put(text, "truncate /db-wal 0");
	put(text, "unlink /db-wal");
	put(text, "fsync /");
}

/* Files that are open without a name, and ones cut short, when the power goes. */
static void
orphans(struct text *text)
{
	for (unsigned i = 0; i < 5; i++) {
		put(text, "creat /o%u", i);
		put(text, "append /o%u %u#+%u", i, 2 + 3 * i, i);
	}
	put(text, "sync");
	put(text, "open-unlink /o0");
	put(text, "write %% 0 3#");
	put(text, "open-unlink /o1");
	put(text, "fsync %%");
	put(text, "truncate /o2 100");
	put(text, "fsync /o2");
	put(text, "truncate /o3 0");
	put(text, "open-unlink /o2");
	put(text, "tmpfile");
	put(text, "append %% 4#");
	put(text, "fsync %%");
	put(text, "link %% /linked");
	put(text, "tmpfile");
	put(text, "append %% 2#");
	put(text, "sync");
	put(text, "rename /o4 /linked");
	put(text, "close");
	put(text, "sync");
}

/* Commit after commit, until the log has gone round. */
static void
wrap(struct text *text)
{
	put(text, "creat /turn");
	for (unsigned i = 0; i < 170; i++) {
		if (i % 3 == 0)
			put(text, "append /turn 700");
		else if (i % 3 == 1)
			put(text, "creat /A/t%u", i);
		else
			put(text, "rename /A/t%u /B/t", i - 1);
		if (i % 40 == 39)
			put(text, "truncate /turn 50");
		put(text, "fsync /");
		put(text, "fsync /turn");
	}
}

/* Fill it, free some, go on. */
static void
full(struct text *text)
{
	for (unsigned i = 0; i < 14; i++) {
		put(text, "creat /A/f%u", i);
		put(text, "append /A/f%u %u#", i, 6 + 2 * i);
		if (i % 3 == 2)
			put(text, "fsync /A/f%u", i);
	}
	put(text, "unlink /A/f1");
	put(text, "append /A/f2 9#");
	put(text, "truncate /A/f3 #");
	put(text, "append /A/f2 9#");
	put(text, "sync");
	put(text, "unlink /A/f0");
	put(text, "unlink /A/f4");
	put(text, "mkdir /A/dir");
	put(text, "append /A/f2 30#");
	put(text, "fsync /A/f2");
	put(text, "setxattr /A/f2 user.big 700");
	put(text, "fsync /A/f2");
}

/* A directory grows into a hash tree, splits, and shrinks. */
static void
directory(struct text *text)
{
	static const char padding[] = "a-rather-long-name-so-that-a-block-is-full-soon-and-splits-sooner";

	put(text, "mkdir /big");
	for (unsigned i = 0; i < 90; i++) {
		put(text, "creat /big/%s-%u", padding, i);
		if (i % 30 == 29)
			put(text, "fsync /big");
	}
	for (unsigned i = 0; i < 90; i += 2)
		put(text, "unlink /big/%s-%u", padding, i);
	put(text, "rename /big /A/big");
	put(text, "fsync /A");
}

/* A file in many pieces, so that its extents need blocks of their own, and goes. */
static void
extents(struct text *text)
{
	put(text, "creat /e");
	for (unsigned i = 0; i < 120; i++) {
		put(text, "write /e %u# #", 2 * i);
		if (i % 40 == 39)
			put(text, "fsync /e");
	}
	put(text, "punch /e 20# 30#");
	put(text, "falloc /e 100# 60#");
	put(text, "write /e 111# 9#");
	put(text, "fsync /e");
	put(text, "truncate /e 77#+5");
	put(text, "fdatasync /e");
	put(text, "unlink /e");
	put(text, "creat /again");
	put(text, "append /again 40#");
	put(text, "fsync /again");
}

/* The classic: write the new one beside the old, fsync, rename over it. */
static void
replace(struct text *text)
{
	for (unsigned i = 0; i < 6; i++) {
		put(text, "creat /A/tmp");
		put(text, "append /A/tmp %u", 1500 + 700 * i);
		put(text, i % 2 == 0 ? "fsync /A/tmp" : "fdatasync /A/tmp");
		put(text, "rename /A/tmp /A/foo");
		if (i % 3 == 2)
			put(text, "fsync /A");
	}
}

/* Metadata blocks are freed and become data, and the other way: what revokes are for. */
static void
revoke(struct text *text)
{
	for (unsigned i = 0; i < 6; i++) {
		put(text, "mkdir /r");
		for (unsigned j = 0; j < 30; j++)
			put(text, "mkdir /r/%u", j);
		put(text, "setxattr /r user.big 700");
		put(text, "fsync /r");
		for (unsigned j = 0; j < 30; j++)
			put(text, "rmdir /r/%u", j);
		put(text, "rmdir /r");
		put(text, "fsync /");
		put(text, "creat /data%u", i);
		put(text, "append /data%u 40#", i);
		put(text, "fdatasync /data%u", i);
		put(text, "write /data%u 3# 8#", i);
		put(text, "fdatasync /data%u", i);
		if (i % 2 == 1)
			put(text, "unlink /data%u", i - 1);
	}
}

/* Commits go on all the time, and operations do not wait for them. */
static void
busy(struct text *text)
{
	put(text, "mkdir /busy");
	for (unsigned i = 0; i < 48; i++) {
		put(text, "creat /busy/%u", i);
		put(text, "append /busy/%u %u", i, (unsigned)(mix(i, 4) % 5000) + 1);
		if (i % 3 == 0)
			put(text, "bg-sync");
		put(text, "poll %u", (unsigned)(mix(i, 5) % 5));
		if (i % 4 == 3)
			put(text, "rename /busy/%u /busy/%u", i, i - 1);
		if (i % 5 == 4)
			put(text, "write /busy/%u 0 700", i - (i % 4 == 3 ? 1 : 0));
		if (i % 7 == 6)
			put(text, "bg-fsync /busy");
		if (i % 6 == 5)
			put(text, "unlink /busy/%u", i - 4 - (i % 4 == 3 ? 0 : 1) + ((i - 4) % 4 == 3));
	}
	put(text, "wait");
}

/* The same until the log has gone round, so that blocks go home meanwhile. */
static void
churn(struct text *text)
{
	put(text, "mkdir /c");
	for (unsigned i = 0; i < 12; i++)
		put(text, "creat /c/%u", i);
	for (unsigned i = 0; i < 420; i++) {
		unsigned file = (unsigned)(mix(i, 6) % 12);

		switch (mix(i, 7) % 8) {
		case 0: put(text, "append /c/%u %u", file, (unsigned)(mix(i, 8) % 2500) + 1); break;
		case 1: put(text, "truncate /c/%u %u", file, (unsigned)(mix(i, 8) % 3000)); break;
		case 2: put(text, "write /c/%u 0 %u", file, (unsigned)(mix(i, 8) % 1500) + 1); break;
		case 3: put(text, "unlink /c/%u", file); put(text, "creat /c/%u", file); break;
		case 4: put(text, "mkdir /c/d%u", i); put(text, "rmdir /c/d%u", i); break;
		case 5: put(text, "setxattr /c/%u user.x %u", file, (unsigned)(mix(i, 8) % 400) + 1); break;
		case 6: put(text, "creat /c/n"); put(text, "rename /c/n /c/%u", file); break;
		case 7: put(text, "punch /c/%u 0 %u", file, (unsigned)(mix(i, 8) % 2000) + 1); break;
		}
		if (i % 2 == 0)
			{
			if (mix(i, 9) % 3 == 0)
				put(text, "bg-fsync /c/%u", file);
			else
				put(text, "bg-sync");
		}
		put(text, "poll %u", (unsigned)(mix(i, 10) % 6));
		if (i % 50 == 49)
			put(text, "wait");
	}
	put(text, "wait");
}

/*
 * Files go, and their blocks are discarded when they may be: what is deleted and not committed is
 * the old owner's in the next state.  A trim looks again where something was freed and committed.
 */
static void
discard(struct text *text)
{
	put(text, "mkdir /t");
	for (unsigned i = 0; i < 24; i++) {
		put(text, "creat /t/%u", i);
		put(text, "append /t/%u %u#+%u", i, (unsigned)(mix(i, 4) % 9) + 2, i);
		put(text, i % 2 == 0 ? "fsync /t/%u" : "fdatasync /t/%u", i);
		if (i % 4 == 3) {
			put(text, "unlink /t/%u", i - 3);
			put(text, i % 8 == 3 ? "sync" : "bg-sync");
			put(text, "poll %u", (unsigned)(mix(i, 5) % 6));
			put(text, "unlink /t/%u", i - 1);
			put(text, "punch /t/%u 0 2#", i);
			put(text, "trim");
			put(text, "bg-sync");
			put(text, "poll %u", (unsigned)(mix(i, 6) % 6));
			put(text, "truncate /t/%u 100", i);
			put(text, "trim");
		}
		if (i % 8 == 7) {
			put(text, "mkdir /t/d");
			put(text, "setxattr /t/d user.big 700");
			put(text, "sync");
			put(text, "rmdir /t/d");
			put(text, "trim");
		}
	}
	put(text, "wait");
	put(text, "sync");
	put(text, "trim");
	put(text, "append /t/1 3#");
	put(text, "fsync /t/1");
}

/* An inode is changed, leaves the server's cache, and is synced then. */
static void
forgotten(struct text *text)
{
	put(text, "mkdir /many");
	for (unsigned i = 0; i < 600; i++)
		put(text, "creat /many/%u", i);
	put(text, "sync");
	put(text, "append /many/0 #");
	put(text, "write /A/foo 0 #");
	for (unsigned i = 1; i < 600; i++)
		put(text, "stat /many/%u", i);
	put(text, "fsync /many/0");
	put(text, "fdatasync /A/foo");
	put(text, "chmod /many/0 600");
	for (unsigned i = 1; i < 600; i++)
		put(text, "stat /many/%u", i);
	put(text, "fsync /many/0");
}

static const struct {
	const char *name;
	unsigned from;
} named[] = {
	{ "untar", 0 }, { "untar-small", 0 }, { "sqlite-rollback", 0 }, { "sqlite-wal", 0 },
	{ "orphans", 0 }, { "wrap", 300 }, { "full", 0 }, { "directory", 0 }, { "extents", 0 },
	{ "busy", 0 }, { "discard", 0 }, { "churn", 900 }, { "replace", 0 }, { "revoke", 0 }, { "forgotten", 602 },
};

const char *const workload_names[] = { "replace", "sqlite-rollback", "sqlite-wal", "orphans", "full",
	"directory", "extents", "revoke", "busy", "discard", "churn", "forgotten", "untar-small", "wrap", "untar", NULL };

char *
named_text(const char *name, uint32_t block_bytes)
{
	struct text text = { .block = block_bytes };

	if (strcmp(name, "untar") == 0)
		untar(&text, 300);
	else if (strcmp(name, "untar-small") == 0)
		untar(&text, 40);
	else if (strcmp(name, "sqlite-rollback") == 0)
		sqlite_rollback(&text);
	else if (strcmp(name, "sqlite-wal") == 0)
		sqlite_wal(&text);
	else if (strcmp(name, "orphans") == 0)
		orphans(&text);
	else if (strcmp(name, "wrap") == 0)
		wrap(&text);
	else if (strcmp(name, "full") == 0)
		full(&text);
	else if (strcmp(name, "directory") == 0)
		directory(&text);
	else if (strcmp(name, "extents") == 0)
		extents(&text);
	else if (strcmp(name, "replace") == 0)
		replace(&text);
	else if (strcmp(name, "revoke") == 0)
		revoke(&text);
	else if (strcmp(name, "busy") == 0)
		busy(&text);
	else if (strcmp(name, "discard") == 0)
		discard(&text);
	else if (strcmp(name, "churn") == 0)
		churn(&text);
	else if (strcmp(name, "forgotten") == 0)
		forgotten(&text);
	return text.bytes;
}

unsigned
named_from(const char *name)
{
	for (size_t i = 0; i < COUNT(named); i++) {
		if (strcmp(named[i].name, name) == 0)
			return named[i].from;
	}
	return 0;
}
