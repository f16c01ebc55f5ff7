/* SPDX-License-Identifier: MIT */
/*
 * tessera-slot: shows, writes and tries boot slots on the running system.
 * Manual: tessera-slot(8).  The order of what is written stands in upgrade.c,
 * where the slots are in device.c; here is what a person and pkg see.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <time.h>
#include <unistd.h>

#include "device.h"
#include "loader.h"

enum { EXIT_USAGE = 2 };
enum { MAGIC_TMPFS = 0x01021994, MAGIC_RAMFS = 0x858458f6 };
/* A disk may come up after the programs; it is worth more time when a trial depends on it. */
enum { DISK_TRIES = 5, DISK_TRIES_TRIAL = 75, DISK_PAUSE_MS = 200 };
enum { LABEL_LINE = 128 };

struct options {
	const char *disk, *facts, *label, *cmdline;
};

struct session {
	struct options options;
	struct facts facts;
	struct device device;
	struct slots slots;
};

static struct complaint why;

static void say(const char *format, ...) __attribute__((format(printf, 1, 2)));
static void
say(const char *format, ...)
{
	va_list list;

	va_start(list, format);
	printf("tessera-slot: ");
	vprintf(format, list);
	putchar('\n');
	va_end(list);
	fflush(stdout);
}

static int
failed(void)
{
	fprintf(stderr, "tessera-slot: %s\n", why.text);
	return EXIT_FAILURE;
}

static char
letter(unsigned slot)
{
	return "AB"[slot];
}

/* ---- the session --------------------------------------------------------- */

static bool
facts_known(struct session *s)
{
	return facts_read(&s->facts, s->options.facts, &why);
}

static bool
open_slots(struct session *s, const char *path, bool writing)
{
	if (!device_open(&s->device, path, writing, &why))
		return false;
	memcpy(s->slots.slot, s->device.area, sizeof(s->slots.slot));
	s->slots.state = s->device.area[AREA_STATE];
	s->slots.running = s->facts.slot;
	return true;
}

static bool
session_open(struct session *s, bool writing)
{
	char path[FACT_PATH];

	if (!facts_known(s))
		return false;
	if (s->options.disk != NULL)
		return open_slots(s, s->options.disk, writing);
	if (s->facts.disk[0] == '\0')
		return complain(&why, "the system was not started from a disk; say which one is meant with --disk");
	return device_search(&s->facts, path, &why) == FOUND && open_slots(s, path, writing);
}

/* ---- status, verify ------------------------------------------------------ */

static const char *
state_words(const struct boot_state *state, unsigned slot)
{
	static const char *const words[] = { "empty", "good", "on trial", "bad" };

	if (state->slot[slot].state == SLOT_TRIAL && state->slot[slot].tries == 0)
		return "on trial, started";
	return words[state->slot[slot].state];
}

static void
print_slot(struct session *s, const struct boot_state *state, unsigned slot)
{
	struct slot_header h;

	printf("%c %s %-18s ", letter(slot), slot == s->slots.running ? "runs " : "     ", state_words(state, slot));
	if (!slots_header(&s->slots, slot, &h, &why))
		printf("(%s)\n", why.text);
	else
		printf("\"%s\", kernel %llu bytes, bundle %llu bytes%s%s%s\n", h.label, U64(h.kernel_size),
		    U64(h.bundle_size), h.cmdline[0] != '\0' ? ", command line \"" : "", h.cmdline,
		    h.cmdline[0] != '\0' ? "\"" : "");
}

static int
do_status(struct session *s)
{
	unsigned order[SLOT_COUNT], count;
	struct boot_state state;
	bool valid;

	if (!session_open(s, false) || !slots_state(&s->slots, &state, &valid, &why))
		return failed();
	printf("disk %s, boot state %llu%s\n", s->device.path, U64(state.sequence),
	    valid ? "" : " (no valid record: A, then B)");
	for (unsigned i = 0; i < SLOT_COUNT; i++)
		print_slot(s, &state, i);
	count = boot_state_order(&state, order);
	printf("next start: %s\n", count == 0 ? "none can be tried" : count == 1 ? order[0] == 0 ? "A" : "B" :
	    order[0] == 0 ? "A, then B" : "B, then A");
	return EXIT_SUCCESS;
}

static int
do_verify(struct session *s)
{
	unsigned damaged = 0;
	struct slot_header h;

	if (!session_open(s, false))
		return failed();
	for (unsigned i = 0; i < SLOT_COUNT; i++) {
		if (slots_verify(&s->slots, i, &h, &why)) {
			printf("%c whole: \"%s\"\n", letter(i), h.label);
			continue;
		}
		printf("%c damaged: %s\n", letter(i), why.text);
		damaged++;
	}
	if (damaged == SLOT_COUNT) {
		complain(&why, "both slots are damaged: the next start will find no system; write one now");
		return failed();
	}
	return damaged == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

/* ---- write, activate, upgrade -------------------------------------------- */

static bool
map_file(const char *path, const void **data, uint64_t *size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct stat st;
	void *p = NULL;
	bool good = fd >= 0 && fstat(fd, &st) == 0;

	if (good && !S_ISREG(st.st_mode)) {
		errno = EINVAL;
		good = false;
	}
	if (good && st.st_size > 0) {
		p = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
		good = p != MAP_FAILED;
	}
	if (!good)
		complain(&why, "%s: %s", path, strerror(errno));
	if (fd >= 0)
		close(fd);
	*data = p;
	*size = good ? (uint64_t)st.st_size : 0;
	return good;
}

/* What the loader calls the slot: --label, or the first line of a file `label` beside the kernel. */
static void
find_label(const struct options *o, const char *kernel, char label[LABEL_LINE])
{
	const char *slash = strrchr(kernel, '/');
	char path[FACT_PATH];
	FILE *file;

	snprintf(label, LABEL_LINE, "%s", o->label != NULL ? o->label : "local");
	if (o->label != NULL)
		return;
	snprintf(path, sizeof(path), "%.*slabel", slash == NULL ? 0 : (int)(slash - kernel) + 1, kernel);
	file = fopen(path, "re");
	if (file == NULL)
		return;
	if (fgets(label, LABEL_LINE, file) == NULL)
		snprintf(label, LABEL_LINE, "local");
	label[strcspn(label, "\n")] = '\0';
	fclose(file);
}

/* Command line and root are the running slot's, unless the user says otherwise. */
static bool
gather(struct session *s, const char *kernel, const char *bundle, struct content *c)
{
	static char label[LABEL_LINE], cmdline[SLOT_CMDLINE];
	struct slot_header h;
	struct complaint ignored;

	if (!map_file(kernel, &c->kernel, &c->kernel_size) || !map_file(bundle, &c->bundle, &c->bundle_size) ||
	    !guid_parse(c->root_part_guid, s->facts.root, &why))
		return false;
	find_label(&s->options, kernel, label);
	if (slots_header(&s->slots, s->slots.running, &h, &ignored))
		memcpy(cmdline, h.cmdline, sizeof(cmdline));
	c->label = label;
	c->cmdline = s->options.cmdline != NULL ? s->options.cmdline : cmdline;
	return true;
}

static int
do_write(struct session *s, const char *kernel, const char *bundle)
{
	struct content c;

	if (!session_open(s, true) || !gather(s, kernel, bundle, &c) || !slots_write(&s->slots, &c, &why))
		return failed();
	say("slot %c is written: \"%s\"; `tessera-slot activate` lets the next start try it",
	    letter(1 - s->slots.running), c.label);
	return EXIT_SUCCESS;
}

static int
activate(struct session *s)
{
	if (!slots_activate(&s->slots, &why))
		return failed();
	say("slot %c gets a trial at the next start; slot %c is what it falls back to",
	    letter(1 - s->slots.running), letter(s->slots.running));
	return EXIT_SUCCESS;
}

static int
do_activate(struct session *s)
{
	return session_open(s, true) ? activate(s) : failed();
}

static bool
slot_has(struct session *s, unsigned slot, const struct slot_header *wanted)
{
	struct complaint ignored;
	struct slot_header h;

	return slots_header(&s->slots, slot, &h, &ignored) &&
	    memcmp(h.content_hash, wanted->content_hash, sizeof(h.content_hash)) == 0 &&
	    strcmp(h.cmdline, wanted->cmdline) == 0;
}

static bool
is_bad(struct session *s, unsigned slot)
{
	struct boot_state state;
	struct complaint ignored;
	bool valid;

	return slots_state(&s->slots, &state, &valid, &ignored) && state.slot[slot].state == SLOT_BAD;
}

/*
 * write and activate, as far as they are not done: pkg may ask twice, and may ask for
 * what runs.  What did not come up is not tried again because pkg completes, at the next
 * start, what it had begun.
 */
static int
upgrade(struct session *s, const char *kernel, const char *bundle)
{
	unsigned target = 1 - s->slots.running;
	struct slot_header wanted, found;
	struct complaint damage;
	struct content c;
	bool there;

	if (!gather(s, kernel, bundle, &c) || !content_check(&c, &why) || !content_header(&c, &wanted, &why))
		return failed();
	if (slot_has(s, s->slots.running, &wanted)) {
		if (!slots_confirm(&s->slots, &why))
			return failed();
		say("slot %c, which runs, has this kernel and bundle", letter(s->slots.running));
		return EXIT_SUCCESS;
	}
	there = slot_has(s, target, &wanted) && slots_verify(&s->slots, target, &found, &damage);
	if (there && is_bad(s, target)) {
		complain(&why, "slot %c has this kernel and bundle and did not come up; "
		    "`tessera-slot activate` tries it again", letter(target));
		return failed();
	}
	if (!there && !slots_write(&s->slots, &c, &why))
		return failed();
	say("slot %c has \"%s\"", letter(target), c.label);
	return activate(s);
}

static int
do_upgrade(struct session *s, const char *kernel, const char *bundle)
{
	/* pkg also installs where no slot runs: into images, on other systems. */
	if (!facts_known(s) && errno == ENOENT) {
		say("no slot runs here: nothing is done");
		return EXIT_SUCCESS;
	}
	return session_open(s, true) ? upgrade(s, kernel, bundle) : failed();
}

/* ---- loader ---------------------------------------------------------------- */

/* The clock as FAT has it (section 6.1): years from 1980, seconds in twos. */
static struct fat_time
fat_now(void)
{
	time_t now = time(NULL);
	struct tm t = { .tm_year = 80, .tm_mday = 1 };

	gmtime_r(&now, &t);
	if (t.tm_year < 80)
		return (struct fat_time){ 1 << 5 | 1, 0 };
	return (struct fat_time){ (uint16_t)((t.tm_year - 80) << 9 | (t.tm_mon + 1) << 5 | t.tm_mday),
	    (uint16_t)(t.tm_hour << 11 | t.tm_min << 5 | t.tm_sec / 2) };
}

static int
write_loader(struct session *s, const char *path)
{
	enum loader_result result;
	const void *file;
	uint64_t size;

	if (!map_file(path, &file, &size) || !device_open_esp(&s->device, &why) ||
	    !loader_write(&s->device.area[AREA_ESP], file, size, fat_now(), &result, &why))
		return failed();
	if (result == LOADER_SAME)
		say("the loader is this one already");
	else
		say("the loader is written%s", result == LOADER_WRITTEN ? "; the one before it is \\EFI\\BOOT\\PREVIOUS.EFI" :
		    "; there was no room to keep the one before it");
	return EXIT_SUCCESS;
}

static int
do_loader(struct session *s, const char *path)
{
	if (!facts_known(s) && errno == ENOENT) {
		say("no slot runs here: nothing is done");
		return EXIT_SUCCESS;
	}
	return session_open(s, true) ? write_loader(s, path) : failed();
}

/* ---- good, boot ---------------------------------------------------------- */

/* On a trial init waits for this word (system.conf `health`), and resets the machine if it does not come. */
static bool
report_health(const struct session *s)
{
	static const char word[] = "good";
	bool good;
	int fd;

	if (!s->facts.trial)
		return true;
	fd = open(s->options.facts, O_WRONLY | O_CLOEXEC);
	good = fd >= 0 && write(fd, word, sizeof(word) - 1) == (ssize_t)sizeof(word) - 1;
	if (!good)
		complain(&why, "%s: health could not be reported to init: %s", s->options.facts, strerror(errno));
	if (fd >= 0)
		close(fd);
	return good;
}

static int
do_good(struct session *s)
{
	if (!session_open(s, true) || !slots_confirm(&s->slots, &why) || !report_health(s))
		return failed();
	say("slot %c is good", letter(s->slots.running));
	return EXIT_SUCCESS;
}

/*
 * Programs run, so kernel, personality and the first program do.  What may still
 * be wrong is the disk: the root archive serves where the root partition could
 * not be mounted.
 */
static bool
healthy(const struct session *s)
{
	struct statfs fs;

	if (s->facts.root[0] == '\0')
		return true;
	return statfs("/", &fs) == 0 && (unsigned long)fs.f_type != MAGIC_TMPFS &&
	    (unsigned long)fs.f_type != MAGIC_RAMFS;
}

static const char *
label_of(struct session *s, unsigned slot)
{
	static struct slot_header h[SLOT_COUNT];
	struct complaint ignored;

	return slots_header(&s->slots, slot, &h[slot], &ignored) ? h[slot].label : "damaged";
}

static int
settle(struct session *s)
{
	unsigned running = s->slots.running;
	enum settled settled;

	if (!slots_settle(&s->slots, healthy(s), &settled, &why))
		return failed();
	switch (settled) {
	case SETTLED_NOTHING:
		break;
	case SETTLED_GOOD:
		say("slot %c (\"%s\") came up and is good now", letter(running), label_of(s, running));
		break;
	case SETTLED_UNHEALTHY:
		complain(&why, "slot %c is on trial and runs without its root partition: it does not count as good",
		    letter(running));
		return failed();
	case SETTLED_FELL_BACK:
		say("slot %c (\"%s\") did not come up and is bad now; slot %c runs (\"%s\")", letter(1 - running),
		    label_of(s, 1 - running), letter(running), label_of(s, running));
		break;
	case SETTLED_ANEW:
		say("the boot state had no valid record and was written anew");
		break;
	}
	return report_health(s) ? EXIT_SUCCESS : failed();
}

static enum found
wait_for_disk(const struct session *s, char path[FACT_PATH])
{
	struct timespec pause = { 0, DISK_PAUSE_MS * 1000000L };
	enum found found = device_search(&s->facts, path, &why);
	unsigned tries = s->facts.trial ? DISK_TRIES_TRIAL : DISK_TRIES;

	for (unsigned i = 0; i < tries && found == FOUND_NONE; i++) {
		nanosleep(&pause, NULL);
		found = device_search(&s->facts, path, &why);
	}
	return found;
}

/* Of init, at each start: silent unless there is something to say. */
static int
do_boot(struct session *s)
{
	char path[FACT_PATH];
	enum found found;

	if (!facts_known(s) || (s->options.disk == NULL && s->facts.disk[0] == '\0'))
		return EXIT_SUCCESS;
	if (s->options.disk != NULL)
		return open_slots(s, s->options.disk, true) ? settle(s) : failed();
	found = wait_for_disk(s, path);
	/* Only a trial would come to nothing for want of a name. */
	if (found == FOUND_SEVERAL && !s->facts.trial)
		return EXIT_SUCCESS;
	return found == FOUND && open_slots(s, path, true) ? settle(s) : failed();
}

/* ---- the command line ---------------------------------------------------- */

static int
usage(void)
{
	fprintf(stderr, "usage: tessera-slot [--disk FILE] [--facts FILE] COMMAND\n"
	    "       status | verify | activate | good | boot\n"
	    "       [--label TEXT] [--cmdline TEXT] write KERNEL BUNDLE\n"
	    "       [--label TEXT] [--cmdline TEXT] upgrade [KERNEL BUNDLE]\n"
	    "       loader [FILE]\n");
	return EXIT_USAGE;
}

static const char **
option(struct options *o, const char *name)
{
	if (strcmp(name, "--disk") == 0)
		return &o->disk;
	if (strcmp(name, "--facts") == 0)
		return &o->facts;
	if (strcmp(name, "--label") == 0)
		return &o->label;
	return strcmp(name, "--cmdline") == 0 ? &o->cmdline : NULL;
}

static int
run(struct session *s, const char *command, int count, char **names)
{
	static const struct { const char *name; int (*run)(struct session *); } simple[] = {
		{ "status", do_status }, { "verify", do_verify }, { "activate", do_activate },
		{ "good", do_good }, { "boot", do_boot },
	};

	for (size_t i = 0; i < sizeof(simple) / sizeof(simple[0]); i++)
		if (strcmp(command, simple[i].name) == 0)
			return count == 0 ? simple[i].run(s) : usage();
	if (strcmp(command, "write") == 0 && count == 2)
		return do_write(s, names[0], names[1]);
	if (strcmp(command, "upgrade") == 0 && count == 2)
		return do_upgrade(s, names[0], names[1]);
	if (strcmp(command, "upgrade") == 0 && count == 0)
		return do_upgrade(s, "/boot/kernel.elf", "/boot/base.bundle");
	if (strcmp(command, "loader") == 0 && count <= 1)
		return do_loader(s, count == 1 ? names[0] : "/boot/BOOTAA64.EFI");
	return usage();
}

int
main(int argc, char **argv)
{
	static struct session s = { .options.facts = "/proc/tessera/slot" };
	const char **value;
	int i = 1;

	while (i + 1 < argc && (value = option(&s.options, argv[i])) != NULL) {
		*value = argv[i + 1];
		i += 2;
	}
	return i < argc ? run(&s, argv[i], argc - i - 1, argv + i + 1) : usage();
}
