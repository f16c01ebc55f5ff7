/* SPDX-License-Identifier: MIT */
/*
 * The comparison of what is held with system.conf, on the list of a machine with
 * one NVMe disk (./list) and the system.conf of that machine's build, both also
 * with something added or taken away.
 */
#include <check.h>
#include "../lscap.h"

static char text[1 << 16], conf_text[1 << 15];
static struct list list;
static struct conf conf;
static char told[1 << 16];
static unsigned plus, minus;

static void
read_file(const char *path, char *to, size_t room)
{
	FILE *f = fopen(path, "r");
	size_t n = f != NULL ? fread(to, 1, room - 1, f) : 0;

	if (n == 0) {
		printf("%s: cannot be read\n", path);
		exit(1);
	}
	to[n] = '\0';
	fclose(f);
}

/* Copy without the lines that contain `word`, then `more` at the end. */
static void
edit(char *to, const char *from, const char *word, const char *more)
{
	while (*from != '\0') {
		size_t n = strcspn(from, "\n") + 1;
		char line[512] = "";

		memcpy(line, from, n < sizeof line ? n : sizeof line - 1);
		if (word == NULL || strstr(line, word) == NULL) {
			memcpy(to, from, n);
			to += n;
		}
		from += n;
	}
	strcpy(to, more);
}

static void
tell(const struct difference *d, void *arg)
{
	size_t n = strlen(told);

	(void)arg;
	if (d->held != NULL) {
		plus++;
		snprintf(told + n, sizeof told - n, "+%s %s %s %s: %s\n", d->held->holder, d->held->purpose,
		    d->held->target, d->held->name, d->why);
	} else {
		minus++;
		snprintf(told + n, sizeof told - n, "-%u %s %s %s\n", d->line, d->holder, d->purpose, d->target);
	}
}

/* The list without lines with a word, and with more; the conf likewise. */
static bool
compare(const char *list_less, const char *list_more, const char *conf_less, const char *conf_more)
{
	static char l[1 << 17], c[1 << 16];
	struct conf_error error;
	unsigned line;

	edit(l, text, list_less, list_more);
	edit(c, conf_text, conf_less, conf_more);
	plus = minus = 0;
	told[0] = '\0';
	if (!list_read(&list, l, &line)) {
		printf("  list:%u\n", line);
		return false;
	}
	if (!conf_parse(&conf, c, strlen(c), &error)) {
		printf("  conf:%u: %s\n", error.line, error.reason);
		return false;
	}
	return diff(&list, &conf, tell, NULL) == plus + minus;
}

static void
a_machine_is_what_its_conf_says(void)
{
	CHECK(compare(NULL, "", NULL, ""));
	CHECK(plus == 0 && minus == 0);
	printf("%s", told);
}

static void
what_no_line_gives_is_told(void)
{
	CHECK(compare(NULL, "fs held unknown endpoint -w-- - - 0 9 1 0x5 0 0x0 0x0\n", NULL, ""));
	CHECK(plus == 1 && minus == 0 && strstr(told, "+fs unknown") != NULL);
	CHECK(compare(NULL, "uart held kill notification -w-- fs - 8 9 1 0x5 0 0x0 0x0\n", NULL, ""));
	CHECK(plus == 1 && strstr(told, "+uart kill fs") != NULL);
	CHECK(compare(NULL, "fs held ring notification -w-- linux raw.nvme0 109 9 1 0x5 0 0x0 0x0\n", NULL, ""));
	CHECK(plus == 1 && strstr(told, "+fs ring linux raw.nvme0") != NULL);
	CHECK(compare(NULL, "fs seen registers frame rw-- - 0000:00:02.0 64 9 1 0x0 4096 0x1000 0x10000000\n", NULL, ""));
	CHECK(plus == 1 && strstr(told, "+fs registers") != NULL);
	CHECK(compare(NULL, "ghost held bell notification r--- - - 64 2 1 0x0 0 0x0 0x0\n", NULL, ""));
	CHECK(plus == 1 && strstr(told, "+ghost bell") != NULL);
}

static void
more_than_was_given_is_told(void)
{
	CHECK(compare("linux seen archive", "linux seen archive frame rw-- init - 72 1 1 0x0 2355200 0x2009c000 0x0\n", NULL, ""));
	CHECK(plus == 1 && minus == 0 && strstr(told, "+linux archive init : no line gives it with these rights") != NULL);
	CHECK(compare("fs seen memory frame rw", "fs seen memory frame rw-- - - 64 469 13 0x0 67108864 0x428000 0x0\n", NULL, ""));
	CHECK(plus == 1 && strstr(told, "more than its budget") != NULL);
}

static void
what_the_conf_does_not_have_is_told(void)
{
	CHECK(compare(NULL, "", "allow\t\tpower", ""));
	CHECK(plus == 2 && minus == 0 && strstr(told, "+linux power init reset") != NULL);
	CHECK(compare(NULL, "", "channel\tlog.fs", ""));
	/* both rings, both views of the memory */
	CHECK(plus == 4 && minus == 0);
}

static void
what_is_given_and_not_held_is_told(void)
{
	CHECK(compare("linux held power", "", NULL, ""));
	CHECK(plus == 0 && minus == 2 && strstr(told, "linux power init") != NULL);
	CHECK(compare("fs held ring notification -w-- console", "", NULL, ""));
	CHECK(plus == 0 && minus == 1 && strstr(told, "fs ring console") != NULL);
	CHECK(compare(NULL, "", NULL, "channel\textra\tstream\tnvme0\tconsole\t8K\n"));
	CHECK(plus == 0 && minus == 4);
}

/* Not there, or about to be built again: what concerns it need not be held. */
static void
a_component_that_does_not_run_is_not_missed(void)
{
	CHECK(compare("nvme0 ", "", NULL, ""));
	CHECK(plus == 0 && minus == 0);
	printf("%s", told);
}

static void
what_is_no_list_is_refused(void)
{
	static const char *const wrong[] = {
		"uart held bell notification r--- - - 8 2 1 0x0 0 0x0\n",
		"uart held bell notification r--- - - 8 2 1 0x0 0 0x0 0x0 more\n",
		"uart held bell notification r--- - - eight 2 1 0x0 0 0x0 0x0\n",
		"\n",
		"uart-with-a-name-that-no-component-has held bell notification r--- - - 8 2 1 0x0 0 0x0 0x0\n",
	};
	unsigned line;

	for (unsigned i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
		CHECK(!list_read(&list, wrong[i], &line) && line == 1);
	CHECK(list_read(&list, "", &line) && list.count == 0);
	CHECK(list_read(&list, "uart held bell notification r--- - - 8 2 1 0x0 0 0x0 0x0", &line) && list.count == 1);
}

int
main(void)
{
	read_file("list", text, sizeof text);
	read_file("system.conf", conf_text, sizeof conf_text);
	RUN(a_machine_is_what_its_conf_says);
	RUN(what_no_line_gives_is_told);
	RUN(more_than_was_given_is_told);
	RUN(what_the_conf_does_not_have_is_told);
	RUN(what_is_given_and_not_held_is_told);
	RUN(a_component_that_does_not_run_is_not_missed);
	RUN(what_is_no_list_is_refused);
	CHECK_END();
}
