/* SPDX-License-Identifier: MIT */
/*
 * lscap: shows who may touch what in the running system, and whether anything of
 * it is not in system.conf.  Manual: lscap(8).
 */
#define _GNU_SOURCE
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lscap.h"

#define LIST_FILE "/proc/tessera/capabilities"
#define CONF_FILE "/proc/tessera/system.conf"

enum { EXIT_DIFFERS = 1, EXIT_TROUBLE = 2 };

static struct list list;
static struct conf conf;

static _Noreturn void
trouble(const char *what, const char *why)
{
	fflush(stdout);
	fprintf(stderr, "lscap: %s: %s\n", what, why);
	exit(EXIT_TROUBLE);
}

/* The whole of a file, NUL-terminated; the caller frees it. */
static char *
file_read(const char *path, size_t *size)
{
	FILE *f = fopen(path, "r");
	size_t room = 0, n;
	char *text = NULL;

	if (f == NULL)
		trouble(path, strerror(errno));
	*size = 0;
	do {
		room = room == 0 ? 1 << 16 : room * 2;
		text = realloc(text, room + 1);
		if (text == NULL)
			trouble(path, strerror(ENOMEM));
		n = fread(text + *size, 1, room - *size, f);
		*size += n;
	} while (*size == room);
	if (ferror(f))
		trouble(path, strerror(errno));
	fclose(f);
	text[*size] = '\0';
	return text;
}

static void
list_load(const char *path)
{
	char what[64];
	unsigned line;
	size_t size;
	char *text = file_read(path, &size);

	if (!list_read(&list, text, &line)) {
		snprintf(what, sizeof what, "%.40s:%u", path, line);
		trouble(what, "not a line of this list, or too many");
	}
	free(text);
}

static void
conf_load(const char *path)
{
	struct conf_error error;
	char what[64];
	size_t size;
	char *text = file_read(path, &size);

	if (!conf_parse(&conf, text, size, &error)) {
		snprintf(what, sizeof what, "%.40s:%u", path, error.line);
		trouble(what, error.reason);
	}
	free(text);
}

/* ---- what a record says ------------------------------------------------- */

static const char *
size_text(uint64_t bytes, char text[static 16])
{
	static const char unit[] = "KMGT";
	int i = 0;

	for (bytes >>= 10; bytes >= 10240 || (bytes >= 1024 && bytes % 1024 == 0); bytes >>= 10)
		i++;
	snprintf(text, 16, "%lu%c", (unsigned long)bytes, unit[i]);
	return text;
}

static const char *
amount(const struct record *r, char text[static 16])
{
	if (r->bytes != 0)
		return size_text(r->bytes, text);
	text[0] = '\0';
	if (r->count > 1)
		snprintf(text, 16, "%u", r->count);
	return text;
}

/* "disk.nvme0, fs", "init", "0000:00:02.0" */
static const char *
object(const char *name, const char *target, char text[static 2 * WORD + 2])
{
	snprintf(text, 2 * WORD + 2, "%s%s%s", name, name[0] != '\0' && target[0] != '\0' ? ", " : "", target);
	return text;
}

static void
show_record(const struct record *r)
{
	char size[16], what[2 * WORD + 2];

	if (r->line != 0)
		printf("%6u", r->line);
	else
		printf("  none");
	printf("  %-13s %-26s %-4s %6s  ", r->purpose, object(r->name, r->target, what), r->rights, amount(r, size));
	if (r->physical != 0)
		printf("physical 0x%lx\n", (unsigned long)r->physical);
	else if (r->address != 0)
		printf("%s 0x%lx\n", strcmp(r->place, "seen") == 0 ? "at" : "its device sees", (unsigned long)r->address);
	else
		printf("slot %u\n", r->slot);
}

static bool
wanted(const char *holder, char **names, int count)
{
	for (int i = 0; i < count; i++)
		if (strcmp(holder, names[i]) == 0)
			return true;
	return count == 0;
}

/* Holders in the order of the list; what one holds in the order of the lines that give it. */
static void
show_holder(const char *holder)
{
	bool more = true;

	printf("%s\n", holder);
	for (unsigned line = 0, next; more; line = next) {
		more = false;
		next = UINT32_MAX;
		for (unsigned i = 0; i < list.count; i++) {
			const struct record *r = &list.record[i];

			if (strcmp(r->holder, holder) != 0)
				continue;
			if (r->line == line)
				show_record(r);
			if (r->line > line && r->line <= next) {
				next = r->line;
				more = true;
			}
		}
	}
}

static void
show(char **names, int count)
{
	const char *last = "";

	for (int i = 0; i < count; i++)
		if (!list_holder(&list, names[i]))
			trouble(names[i], "no such component is running");
	printf("  line  for           of                         may    size  where\n");
	for (unsigned i = 0; i < list.count; i++) {
		const char *holder = list.record[i].holder;

		if (strcmp(holder, last) != 0 && wanted(holder, names, count))
			show_holder(holder);
		last = holder;
	}
}

/* ---- differences ---------------------------------------------------------- */

static void
tell(const struct difference *d, void *arg)
{
	const char *file = arg;
	char what[2 * WORD + 2], size[16];

	if (d->held != NULL)
		printf("+ %s: %s %s %s %s: %s\n", d->held->holder, d->held->purpose,
		    object(d->held->name, d->held->target, what), d->held->rights, amount(d->held, size), d->why);
	else
		printf("- %s:%u: %s: %s %s: %s\n", file, d->line, d->holder, d->purpose,
		    object(d->name != NULL ? d->name : "", d->target, what), d->why);
}

static int
show_diff(const char *file)
{
	unsigned n = diff(&list, &conf, tell, (void *)(uintptr_t)file);

	if (n == 0)
		printf("%u capabilities, nothing that %s does not give, nothing of it missing\n", list.count, file);
	return n == 0 ? EXIT_SUCCESS : EXIT_DIFFERS;
}

static _Noreturn void
usage(FILE *to, int status)
{
	fprintf(to, "usage: lscap [-l list] [component ...]\n"
	    "       lscap [-l list] -d [system.conf]\n");
	exit(status);
}

int
main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "diff", no_argument, NULL, 'd' },
		{ "list", required_argument, NULL, 'l' },
		{ "help", no_argument, NULL, 'h' },
		{ NULL, 0, NULL, 0 },
	};
	const char *path = LIST_FILE;
	bool compare = false;
	int c;

	while ((c = getopt_long(argc, argv, "dl:h", options, NULL)) != -1) {
		if (c == 'd')
			compare = true;
		else if (c == 'l')
			path = optarg;
		else
			usage(c == 'h' ? stdout : stderr, c == 'h' ? EXIT_SUCCESS : EXIT_TROUBLE);
	}
	if (compare && argc - optind > 1)
		usage(stderr, EXIT_TROUBLE);
	list_load(path);
	if (compare) {
		const char *file = optind < argc ? argv[optind] : CONF_FILE;

		conf_load(file);
		return show_diff(file);
	}
	show(argv + optind, argc - optind);
	return EXIT_SUCCESS;
}
