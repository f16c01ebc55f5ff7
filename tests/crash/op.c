/* SPDX-License-Identifier: MIT */
/* Operations from text and to text: one table says what each one takes. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "image.h"
#include "op.h"

/* p: path, q: second path or name, o: offset, b: bytes, m: an octal mode */
static const struct {
	const char *word, *takes;
} form[OP_KINDS] = {
	[OP_CREAT] = { "creat", "p" },
	[OP_MKDIR] = { "mkdir", "p" },
	[OP_SYMLINK] = { "symlink", "pq" },
	[OP_WRITE] = { "write", "pob" },
	[OP_APPEND] = { "append", "pb" },
	[OP_TRUNCATE] = { "truncate", "pb" },
	[OP_FALLOC] = { "falloc", "pob" },
	[OP_KEEP] = { "keep", "pob" },
	[OP_PUNCH] = { "punch", "pob" },
	[OP_ZERO] = { "zero", "pob" },
	[OP_RENAME] = { "rename", "pq" },
	[OP_EXCHANGE] = { "exchange", "pq" },
	[OP_LINK] = { "link", "pq" },
	[OP_UNLINK] = { "unlink", "p" },
	[OP_RMDIR] = { "rmdir", "p" },
	[OP_OPEN_UNLINK] = { "open-unlink", "p" },
	[OP_CLOSE] = { "close", "" },
	[OP_TMPFILE] = { "tmpfile", "" },
	[OP_SETXATTR] = { "setxattr", "pqb" },
	[OP_REMOVEXATTR] = { "removexattr", "pq" },
	[OP_CHMOD] = { "chmod", "pm" },
	[OP_FSYNC] = { "fsync", "p" },
	[OP_FDATASYNC] = { "fdatasync", "p" },
	[OP_SYNC] = { "sync", "" },
	[OP_TICK] = { "tick", "" },
	[OP_STAT] = { "stat", "p" },
	[OP_BG_FSYNC] = { "bg-fsync", "p" },
	[OP_BG_SYNC] = { "bg-sync", "" },
	[OP_POLL] = { "poll", "b" },
	[OP_WAIT] = { "wait", "" },
	[OP_TRIM] = { "trim", "" },
};

static int
number(const char *word, int base, uint64_t *value)
{
	char *end;

	if (word == NULL)
		return -1;
	*value = strtoull(word, &end, base);
	return *end == '\0' && end != word ? 0 : -1;
}

static int
path(const char *word, char *to)
{
	if (word == NULL || strlen(word) >= OP_PATH)
		return -1;
	strcpy(to, word);
	return 0;
}

static int
parse_one(char *text, struct op *op)
{
	char *save, *word = strtok_r(text, " \t\n", &save);
	int kind, bad = 0;

	if (word == NULL)
		return 0;
	for (kind = 0; kind < OP_KINDS && strcmp(form[kind].word, word) != 0; kind++)
		;
	if (kind == OP_KINDS)
		return -1;
	memset(op, 0, sizeof *op);
	op->kind = (enum op_kind)kind;
	for (const char *t = form[kind].takes; *t != '\0'; t++) {
		word = strtok_r(NULL, " \t\n", &save);
		switch (*t) {
		case 'p': bad |= path(word, op->path); break;
		case 'q': bad |= path(word, op->other); break;
		case 'o': bad |= number(word, 10, &op->offset); break;
		case 'b': bad |= number(word, 10, &op->bytes); break;
		case 'm': bad |= number(word, 8, &op->bytes); break;
		}
	}
	return bad != 0 || strtok_r(NULL, " \t\n", &save) != NULL ? -1 : 1;
}

int
ops_parse(const char *text, struct op **ops, char *why)
{
	char *copy = need(strlen(text) + 1), *save, *part;
	int count = 0, room = 0;

	strcpy(copy, text);
	*ops = NULL;
	for (part = strtok_r(copy, ";\n", &save); part != NULL; part = strtok_r(NULL, ";\n", &save)) {
		size_t at = (size_t)(part - copy);
		int got;

		if (count == room)
			*ops = need_more(*ops, (size_t)(room = room != 0 ? 2 * room : 8) * sizeof **ops);
		got = parse_one(part, &(*ops)[count]);
		if (got < 0) {
			snprintf(why, 200, "not an operation: \"%.100s\"", text + at);
			free(copy);
			free(*ops);
			return -1;
		}
		count += got;
	}
	free(copy);
	return count;
}

void
op_print(const struct op *op, char *to, size_t room)
{
	size_t used = (size_t)snprintf(to, room, "%s", form[op->kind].word);

	for (const char *t = form[op->kind].takes; *t != '\0' && used < room; t++) {
		char *at = to + used;
		size_t left = room - used;

		switch (*t) {
		case 'p': used += (size_t)snprintf(at, left, " %s", op->path); break;
		case 'q': used += (size_t)snprintf(at, left, " %s", op->other); break;
		case 'o': used += (size_t)snprintf(at, left, " %llu", (unsigned long long)op->offset); break;
		case 'b': used += (size_t)snprintf(at, left, " %llu", (unsigned long long)op->bytes); break;
		case 'm': used += (size_t)snprintf(at, left, " %llo", (unsigned long long)op->bytes); break;
		}
	}
}
