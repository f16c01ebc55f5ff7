// SPDX-License-Identifier: MIT
/*
 * pkg: options, the table of commands, exit status.  pkg(8).
 */
#include <getopt.h>
#include <locale.h>
#include <signal.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cmd.h"

static const struct {
	const char *name;
	int (*run)(struct cmd *c);
	int least, most;	/* operands; most -1: any number */
	const char *usage;
} commands[] = {
	{"install", cmd_install, 1, -1, "install NAME…       installs packages and what they need"},
	{"remove", cmd_remove, 1, -1, "remove NAME…        removes packages (--cascade: and what needs them)"},
	{"upgrade", cmd_upgrade, 0, -1, "upgrade [NAME…]     brings all or some to the newest version"},
	{"add", cmd_add, 1, -1, "add FILE…           installs package files"},
	{"autoremove", cmd_autoremove, 0, 0, "autoremove          removes what nobody asked for and nothing needs"},
	{"search", cmd_search, 0, 1, "search [TEXT]       packages by a part of name or summary"},
	{"info", cmd_info, 0, -1, "info [NAME…]        all about packages; what is installed"},
	{"list", cmd_list, 0, 0, "list                what is installed"},
	{"files", cmd_files, 1, -1, "files NAME…         their files"},
	{"owner", cmd_owner, 1, -1, "owner PATH…         whose files these are"},
	{"why", cmd_why, 1, 1, "why NAME            what needs it"},
	{"verify", cmd_verify, 0, -1, "verify [NAME…]      compares the disk with the database"},
	{"audit", cmd_audit, 0, 0, "audit               installed versions with known weaknesses"},
	{"history", cmd_history, 0, 0, "history             what was done when"},
	{"rollback", cmd_rollback, 0, 1, "rollback [NUMBER]   back to before that transaction, or the last one"},
	{"recover", cmd_recover, 0, 0, "recover             completes what was interrupted (every command does)"},
	{"clean", cmd_clean, 0, 0, "clean               removes fetched packages"},
	{"create", cmd_create, 1, 1, "create FOLDER       makes a package (--template, --output, --key)"},
	{"repo", cmd_repo, 1, 3, "repo build DIR | list | add NAME PLACE | keys [new BASE | add FILE]"},
};
enum { COMMANDS = sizeof(commands) / sizeof(commands[0]) };

static void
usage(FILE *out)
{
	fputs("usage: pkg [options] command …\n\n", out);
	for (size_t i = 0; i < COMMANDS; i++)
		fprintf(out, "  %s\n", commands[i].usage);
	fputs("\n  --root DIR  --arch ARCH  --json  -n, --dry-run  -y, --yes  -q, --quiet  --cascade\n"
	    "  --template FILE  --output DIR  --key FILE  --days N\n", out);
}

void
json_string(FILE *out, const char *s)
{
	putc('"', out);
	for (const unsigned char *c = (const unsigned char *)s; *c != '\0';) {
		int more = *c < 0x80 ? 0 : *c >= 0xc2 && *c < 0xe0 ? 1 : *c >= 0xe0 && *c < 0xf0 ? 2 :
		    *c >= 0xf0 && *c < 0xf5 ? 3 : -1;
		int n = 0;

		while (n < more && (c[n + 1] & 0xc0) == 0x80)
			n++;
		if (more < 0 || n < more) {
			fputs("\\ufffd", out);
			c++;
			continue;
		}
		if (*c == '"' || *c == '\\')
			fprintf(out, "\\%c", *c);
		else if (*c < ' ' || *c == 0x7f)
			fprintf(out, "\\u%04x", *c);
		else
			fwrite(c, 1, (size_t)more + 1, out);
		c += more + 1;
	}
	putc('"', out);
}

void
json_field(FILE *out, bool first, const char *key, const char *value)
{
	fprintf(out, "%s\"%s\":", first ? "" : ",", key);
	if (value == NULL)
		fputs("null", out);
	else
		json_string(out, value);
}

void
json_list(FILE *out, const char *key, const struct list *l)
{
	fprintf(out, ",\"%s\":[", key);
	for (size_t i = 0; i < l->count; i++) {
		if (i != 0)
			putc(',', out);
		json_string(out, l->items[i]);
	}
	putc(']', out);
}

enum { AMOUNT = 32 };

/* "12.3 MiB" and the like. */
static const char *
amount(char text[AMOUNT], uint64_t bytes)
{
	if (bytes < 10240)
		snprintf(text, AMOUNT, "%llu B", (unsigned long long)bytes);
	else if (bytes < 10 << 20)
		snprintf(text, AMOUNT, "%llu KiB", (unsigned long long)bytes >> 10);
	else
		snprintf(text, AMOUNT, "%llu.%llu MiB", (unsigned long long)bytes >> 20,
		    (unsigned long long)(bytes >> 10) % 1024 * 10 / 1024);
	return text;
}

static void
draw_bar(uint64_t done, uint64_t total)
{
	static const char full[] = "########################", empty[] = "                        ";
	enum { WIDTH = sizeof(full) - 1 };
	int filled = total == 0 ? 0 : done >= total ? WIDTH : (int)(done * WIDTH / total);

	fprintf(stderr, "[%.*s%.*s] ", filled, full, WIDTH - filled, empty);
}

/* Bytes, rate, and the time that is left if it goes on like this. */
static void
draw_bytes(struct cmd *c, uint64_t done, uint64_t total)
{
	char a[AMOUNT], b[AMOUNT], rate[AMOUNT];
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	if (c->fetch_start.tv_sec == 0) {
		c->fetch_start = now;
		c->fetch_before = done;
	}
	uint64_t ms = (uint64_t)((now.tv_sec - c->fetch_start.tv_sec) * 1000 + (now.tv_nsec - c->fetch_start.tv_nsec) / 1000000);
	uint64_t per_second = ms == 0 ? 0 : (done - c->fetch_before) * 1000 / ms;

	draw_bar(done, total);
	fprintf(stderr, "%s: %s of %s", c->fetch_name ? c->fetch_name : "fetching", amount(a, done), amount(b, total));
	if (per_second != 0 && ms > 500)
		fprintf(stderr, ", %s/s, %llu s left", amount(rate, per_second),
		    (unsigned long long)(total > done ? (total - done) / per_second : 0));
}

static void
show_progress(void *context, enum progress what, const char *text, uint64_t done, uint64_t total)
{
	struct cmd *c = context;
	bool terminal = isatty(STDERR_FILENO) == 1;

	if (what == PROGRESS_NOTE)
		list_add(&c->notes, text);
	if (what == PROGRESS_FETCH) {
		free(c->fetch_name);
		c->fetch_name = text_format("fetching %s (%llu of %llu)", text, (unsigned long long)done + 1,
		    (unsigned long long)total);
	}
	if (c->json || (c->quiet && what != PROGRESS_NOTE))
		return;
	if (c->bar)
		fputs("\r\033[K", stderr);
	c->bar = terminal && what != PROGRESS_NOTE;
	if (what == PROGRESS_NOTE)
		fprintf(stderr, "pkg: %s\n", text);
	else if (!terminal && what == PROGRESS_FETCH)
		fprintf(stderr, "%s\n", c->fetch_name);
	else if (terminal && what == PROGRESS_BYTES && c->fetch_name != NULL)
		draw_bytes(c, done, total);
	else if (terminal && (what == PROGRESS_STAGE || what == PROGRESS_REMOVE)) {
		draw_bar(done, total);
		fprintf(stderr, "%s %s (%llu of %llu)", what == PROGRESS_STAGE ? "unpacking" : "removing", text,
		    (unsigned long long)done + 1, (unsigned long long)total);
	} else if (terminal && what == PROGRESS_COMMIT) {
		draw_bar(done, total);
		fputs("writing to the disk", stderr);
	}
	fflush(stderr);
}

int
cmd_open(struct cmd *c, bool write)
{
	struct root_options o = {.path = c->root_path, .arch = c->arch, .write = write, .progress = show_progress,
	    .progress_context = c};

	return root_open(&c->root, &o, &c->f);
}

static void
on_signal(int signal)
{
	(void)signal;
	pkg_interrupted = 1;
}

static int
read_options(struct cmd *c, int argc, char **argv)
{
	enum { ROOT = 256, ARCH, JSON, CASCADE, TEMPLATE, OUTPUT, KEY, DAYS };
	static const struct option options[] = {
		{"root", required_argument, NULL, ROOT}, {"arch", required_argument, NULL, ARCH},
		{"json", no_argument, NULL, JSON}, {"dry-run", no_argument, NULL, 'n'}, {"yes", no_argument, NULL, 'y'},
		{"quiet", no_argument, NULL, 'q'}, {"cascade", no_argument, NULL, CASCADE},
		{"template", required_argument, NULL, TEMPLATE}, {"output", required_argument, NULL, OUTPUT},
		{"key", required_argument, NULL, KEY}, {"days", required_argument, NULL, DAYS},
		{"help", no_argument, NULL, 'h'}, {0},
	};
	int o;

	while ((o = getopt_long(argc, argv, "nyqh", options, NULL)) != -1) {
		switch (o) {
		case ROOT: c->root_path = optarg; break;
		case ARCH: c->arch = optarg; break;
		case JSON: c->json = true; break;
		case CASCADE: c->cascade = true; break;
		case TEMPLATE: c->template = optarg; break;
		case OUTPUT: c->output = optarg; break;
		case KEY: c->key = optarg; break;
		case DAYS:
			if (!number_parse(optarg, 10, 36500, &c->days))
				return PKG_USAGE;
			break;
		case 'n': c->dry_run = true; break;
		case 'y': c->yes = true; break;
		case 'q': c->quiet = true; break;
		case 'h':
			usage(stdout);
			exit(0);
		default: return PKG_USAGE;
		}
	}
	return 0;
}

static int
run_command(struct cmd *c, const char *name)
{
	for (size_t i = 0; i < COMMANDS; i++) {
		if (strcmp(commands[i].name, name) != 0)
			continue;
		if (c->count < commands[i].least || (commands[i].most >= 0 && c->count > commands[i].most))
			return fault_set(&c->f, PKG_USAGE, "usage: pkg %s", commands[i].usage);
		return commands[i].run(c);
	}
	return fault_set(&c->f, PKG_USAGE, "there is no command '%s'; 'pkg --help' lists them", name);
}

int
main(int argc, char **argv)
{
	static struct cmd c = {.output = ".", .days = 90, .root = {.fd = -1, .stage_fd = -1, .lock_fd = -1, .parent_fd = -1}};
	struct sigaction action = {.sa_handler = on_signal};

	/* File names in archives are bytes; libarchive wants a locale for those beyond ASCII. */
	setlocale(LC_CTYPE, "C.UTF-8");
	umask(022);
	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
	if (read_options(&c, argc, argv) != 0 || optind >= argc || sodium_init() < 0) {
		usage(stderr);
		return PKG_USAGE;
	}
	char *text = NULL;
	size_t length;

	c.count = argc - optind - 1;
	c.operands = argv + optind + 1;
	c.out = c.json ? open_memstream(&text, &length) : stdout;
	if (c.out == NULL)
		return PKG_FAILED;
	int status = run_command(&c, argv[optind]);

	if (c.bar)
		fputs("\r\033[K", stderr);
	if (c.json && fclose(c.out) != 0)
		status = PKG_FAILED;
	/* One value: the answer, or why there is none. */
	if (c.json && status != 0 && c.f.text[0] != '\0') {
		printf("{\"status\":%d", status);
		json_field(stdout, false, "error", c.f.text);
		puts("}");
	} else if (c.json) {
		fwrite(text, 1, length, stdout);
	} else if (status != 0 && c.f.text[0] != '\0') {
		fprintf(stderr, "pkg: %s\n", c.f.text);
	}
	root_close(&c.root);
	list_free(&c.notes);
	free(c.fetch_name);
	free(text);
	if (fflush(stdout) != 0 || ferror(stdout))
		return status ? status : PKG_FAILED;
	return status;
}
