/* SPDX-License-Identifier: MIT */
/*
 * The upgrade on slots in memory.  The disk remembers every write and flush, so
 * the power can be cut after each: what was flushed is there, of the rest any
 * part, down to single sectors.  After each cut the loader's own rules say what
 * starts; it has to be the old system or the whole new one.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <tessera/bundle.h>

#include "upgrade.h"

int tessera_slot_main(int argc, char **argv);

enum { SECTOR = 512, SLOT_BYTES = 2 << 20, STATE_BYTES = 1 << 16, EVENTS = 64 };
enum { KERNEL_BYTES = 0x1f00, BUNDLE_PAGES = 270, BUNDLE_BYTES = BUNDLE_PAGES * SLOT_PAGE };
enum { AREAS = SLOT_COUNT + 1, STATE = SLOT_COUNT };
enum { TEARS = 6 };			/* ways in which a cut leaves what was not flushed */

static unsigned passed, failures, cuts;
static const char *current;
static bool current_failed;

#define CHECK(condition) do { \
	if (!(condition)) { \
		printf("FAILED %s: line %d: %s (%s)\n", current, __LINE__, #condition, why.text); \
		current_failed = true; \
		return; \
	} \
} while (0)

static struct complaint why;

static uint32_t
random_number(void)
{
	static uint32_t state = 1;

	state = state * 1664525 + 1013904223;
	return state >> 8;
}

/* ---- the disk ------------------------------------------------------------ */

struct event {
	unsigned area;
	bool flush;
	uint64_t offset;
	size_t size;
	uint8_t *data;
};

struct disk {
	uint8_t *bytes[AREAS];
	struct slots slots;
	bool recording;
	struct event event[EVENTS];
	unsigned events;
	unsigned operations, fail_at;	/* fail_at 0: never */
	bool lossy;			/* slots take writes and keep nothing */
};

static struct disk disk;

static unsigned
area_number(const struct area *a)
{
	return a == &disk.slots.state ? (unsigned)STATE : (unsigned)(a - disk.slots.slot);
}

static bool
operation(struct complaint *w)
{
	disk.operations++;
	return disk.operations != disk.fail_at || complain(w, "made to fail");
}

static struct event *
record(const struct area *a)
{
	struct event *e = &disk.event[disk.events];

	if (!disk.recording)
		return NULL;
	if (disk.events++ == EVENTS)
		abort();
	e->area = area_number(a);
	return e;
}

static bool
memory_read(struct area *a, uint64_t offset, void *to, size_t size, struct complaint *w)
{
	if (offset % SLOT_PAGE != 0 || size % SLOT_PAGE != 0 || offset + size > a->bytes)
		abort();
	memcpy(to, disk.bytes[area_number(a)] + offset, size);
	return operation(w);
}

static bool
memory_write(struct area *a, uint64_t offset, const void *from, size_t size, struct complaint *w)
{
	struct event *e = record(a);

	if (offset % SLOT_PAGE != 0 || size % SLOT_PAGE != 0 || (uintptr_t)from % SLOT_PAGE != 0 ||
	    offset + size > a->bytes || a == &disk.slots.slot[disk.slots.running])
		abort();
	if (e != NULL) {
		e->offset = offset;
		e->size = size;
		e->data = malloc(size);
		memcpy(e->data, from, size);
	}
	if (!operation(w))
		return false;
	if (!disk.lossy || a == &disk.slots.state)
		memcpy(disk.bytes[area_number(a)] + offset, from, size);
	return true;
}

static bool
memory_flush(struct area *a, struct complaint *w)
{
	struct event *e = record(a);

	if (e != NULL)
		e->flush = true;
	return operation(w);
}

static void
forget_events(void)
{
	for (unsigned i = 0; i < disk.events; i++)
		free(disk.event[i].data);
	memset(disk.event, 0, sizeof(disk.event));
	disk.events = 0;
}

/* ---- content ------------------------------------------------------------- */

static uint8_t kernel[2][KERNEL_BYTES], bundle[2][BUNDLE_BYTES];

static void
put(uint8_t *at, uint64_t value, unsigned bytes)
{
	memcpy(at, &value, bytes);
}

static void
make_elf(uint8_t *file, unsigned type, size_t size)
{
	static const uint8_t ident[7] = { 0x7f, 'E', 'L', 'F', 2, 1, 1 };

	memset(file, 0, 120);
	memcpy(file, ident, sizeof(ident));
	put(file + 16, type, 2);
	put(file + 18, 183, 2);
	put(file + 24, 0x1010, 8);
	put(file + 32, 64, 8);
	put(file + 54, 56, 2);
	put(file + 56, 1, 2);
	put(file + 64, 1 | 5ULL << 32, 8);
	put(file + 80, 0x1000, 8);
	put(file + 96, size, 8);
	put(file + 104, size, 8);
	put(file + 112, 0x1000, 8);
}

/* Its second program header is PT_DYNAMIC: DT_RELA far outside, of 24 bytes. */
static void
make_dynamic(uint8_t *file)
{
	put(file + 56, 2, 2);
	memset(file + 120, 0, 56);
	put(file + 120, 2, 8);
	put(file + 136, 0x1100, 8);
	put(file + 152, 48, 8);
	put(file + 160, 48, 8);
	put(file + 0x100, 7, 8);
	put(file + 0x108, 1ULL << 40, 8);
	put(file + 0x110, 8, 8);
	put(file + 0x118, 24, 8);
	put(file + 0x120, 0, 8);
	put(file + 0x128, 0, 8);
}

static void
make_content(unsigned n)
{
	struct bundle_header *h = (struct bundle_header *)bundle[n];

	for (size_t i = 0; i < KERNEL_BYTES; i++)
		kernel[n][i] = (uint8_t)random_number();
	for (size_t i = 0; i < BUNDLE_BYTES; i++)
		bundle[n][i] = (uint8_t)random_number();
	make_elf(kernel[n], 3, KERNEL_BYTES);
	make_elf(bundle[n] + BUNDLE_PAGE, 2, 8192);
	memset(h, 0, sizeof(*h));
	h->magic = BUNDLE_MAGIC;
	h->version = BUNDLE_VERSION;
	h->count = 1;
	h->size = BUNDLE_BYTES;
	memcpy(h->entry[0].name, "init", 5);
	h->entry[0].offset = BUNDLE_PAGE;
	h->entry[0].size = BUNDLE_BYTES - BUNDLE_PAGE;
}

static struct content
content_of(unsigned n)
{
	return (struct content){ kernel[n], bundle[n], KERNEL_BYTES, BUNDLE_BYTES, "quiet", n == 0 ? "old" : "new", { 7 } };
}

/* ---- the state before an upgrade ----------------------------------------- */

static void
put_slot(unsigned slot, unsigned n)
{
	struct content c = content_of(n);
	struct slot_header h;

	memset(disk.bytes[slot], 0, SLOT_BYTES);
	if (!content_header(&c, &h, &why))
		abort();
	memcpy(disk.bytes[slot], &h, sizeof(h));
	memcpy(disk.bytes[slot] + h.kernel_offset, c.kernel, KERNEL_BYTES);
	memcpy(disk.bytes[slot] + h.bundle_offset, c.bundle, BUNDLE_BYTES);
}

static void
put_state(unsigned preferred, uint32_t a, uint32_t b)
{
	struct boot_state s = {
		.magic = BOOT_STATE_MAGIC, .version = BOOT_STATE_VERSION, .sequence = 5, .preferred = preferred,
		.slot = { { a, a == SLOT_TRIAL }, { b, b == SLOT_TRIAL } },
	};

	memset(disk.bytes[STATE], 0, STATE_BYTES);
	boot_state_seal(&s);
	memcpy(disk.bytes[STATE], &s, sizeof(s));
}

/* Slot A runs with the old content and is good; B is empty. */
static void
begin(void)
{
	forget_events();
	memset(&disk.slots, 0, sizeof(disk.slots));
	for (unsigned i = 0; i < AREAS; i++) {
		struct area *a = i == STATE ? &disk.slots.state : &disk.slots.slot[i];

		*a = (struct area){ i == 0 ? "slot A" : i == 1 ? "slot B" : "the boot state",
		    i == STATE ? STATE_BYTES : SLOT_BYTES, memory_read, memory_write, memory_flush, NULL };
		if (disk.bytes[i] == NULL)
			disk.bytes[i] = malloc((size_t)a->bytes);
		memset(disk.bytes[i], 0, (size_t)a->bytes);
	}
	disk.recording = disk.lossy = false;
	disk.operations = disk.fail_at = 0;
	put_slot(0, 0);
	put_state(0, SLOT_GOOD, SLOT_EMPTY);
	memset(&why, 0, sizeof(why));
}

static bool
write_new(void)
{
	struct content c = content_of(1);

	return slots_write(&disk.slots, &c, &why);
}

/* ---- the loader ---------------------------------------------------------- */

static void
loader_state(struct boot_state *state, unsigned *spare)
{
	struct boot_state record[BOOT_STATE_RECORDS];

	for (unsigned i = 0; i < BOOT_STATE_RECORDS; i++)
		memcpy(&record[i], disk.bytes[STATE] + (size_t)i * BOOT_STATE_STRIDE, sizeof(record[i]));
	boot_state_current(record, state, spare);
}

/* What load.c does: the slot that starts, or -1; its trial is counted. */
static int
loader_starts(void)
{
	unsigned order[SLOT_COUNT], count, spare;
	struct complaint refused;
	struct boot_state state;
	struct slot_header h;

	loader_state(&state, &spare);
	count = boot_state_order(&state, order);
	for (unsigned i = 0; i < count; i++) {
		if (!slots_verify(&disk.slots, order[i], &h, &refused))
			continue;
		if (boot_state_count(&state, order[i]))
			memcpy(disk.bytes[STATE] + (size_t)spare * BOOT_STATE_STRIDE, &state, sizeof(state));
		return (int)order[i];
	}
	return -1;
}

static bool
slot_holds(unsigned slot, unsigned n)
{
	struct content c = content_of(n);
	struct slot_header wanted, found;

	return content_header(&c, &wanted, &why) && slots_verify(&disk.slots, slot, &found, &why) &&
	    memcmp(&wanted, &found, sizeof(found)) == 0;
}

static struct boot_state
state_now(void)
{
	struct boot_state state;
	unsigned spare;

	loader_state(&state, &spare);
	return state;
}

/* ---- cutting the power --------------------------------------------------- */

static bool
flushed_before(unsigned event, unsigned cut)
{
	for (unsigned i = event + 1; i < cut; i++)
		if (disk.event[i].flush && disk.event[i].area == disk.event[event].area)
			return true;
	return false;
}

static void
apply(const struct event *e, unsigned tear)
{
	for (size_t at = 0; at < e->size; at += SECTOR)
		if (tear == 0 || (tear > 1 && random_number() % tear == 0))
			memcpy(disk.bytes[e->area] + e->offset + at, e->data + at, SECTOR);
}

/*
 * The disk as a cut after `cut` events leaves it.  tear 0: all that was written
 * is there; 1: only what was flushed; else each sector by chance.
 */
static void
cut_power(uint8_t *const before[AREAS], unsigned cut, unsigned tear)
{
	for (unsigned i = 0; i < AREAS; i++)
		memcpy(disk.bytes[i], before[i], i == STATE ? STATE_BYTES : SLOT_BYTES);
	for (unsigned i = 0; i < cut; i++)
		if (!disk.event[i].flush)
			apply(&disk.event[i], flushed_before(i, cut) ? 0 : tear);
	cuts++;
}

static void
save(uint8_t *to[AREAS])
{
	for (unsigned i = 0; i < AREAS; i++) {
		size_t size = i == STATE ? STATE_BYTES : SLOT_BYTES;

		to[i] = malloc(size);
		memcpy(to[i], disk.bytes[i], size);
	}
}

static void
release(uint8_t *saved[AREAS])
{
	for (unsigned i = 0; i < AREAS; i++)
		free(saved[i]);
}

/*
 * Whatever starts is whole and what it should be; a new slot that does not
 * report health is left at the next start for the old one; one that does, stays.
 */
static void
judge(unsigned cut, unsigned tear)
{
	int first = loader_starts();
	enum settled settled;

	CHECK(first == 0 || (first == 1 && slot_holds(1, 1)));
	CHECK(slot_holds(0, 0));
	if (first == 0)
		return;
	CHECK(state_now().slot[1].state == SLOT_TRIAL && state_now().slot[1].tries == 0);
	if ((cut + tear) % 2 == 0) {
		CHECK(loader_starts() == 0);
		CHECK(state_now().slot[1].state == SLOT_BAD);
		return;
	}
	disk.slots.running = 1;
	CHECK(slots_settle(&disk.slots, true, &settled, &why));
	disk.slots.running = 0;
	CHECK(settled == SETTLED_GOOD && loader_starts() == 1 && loader_starts() == 1);
}

static void
cut_everywhere(uint8_t *const before[AREAS])
{
	for (unsigned cut = 0; cut <= disk.events && !current_failed; cut++)
		for (unsigned tear = 0; tear < TEARS && !current_failed; tear++) {
			cut_power(before, cut, tear);
			judge(cut, tear);
		}
}

static void
power_may_fail_at_every_write_of_an_upgrade(void)
{
	static const uint32_t others[] = { SLOT_EMPTY, SLOT_GOOD, SLOT_BAD };
	uint8_t *before[AREAS];

	for (unsigned i = 0; i < 3 && !current_failed; i++) {
		begin();
		if (others[i] == SLOT_GOOD)
			put_slot(1, 1);	/* an earlier upgrade: what starts then is judged alike */
		put_state(0, SLOT_GOOD, others[i]);
		save(before);
		disk.recording = true;
		if (!write_new() || !slots_activate(&disk.slots, &why)) {
			release(before);
			CHECK(false);
		}
		disk.recording = false;
		cut_everywhere(before);
		release(before);
	}
}

static void
power_may_fail_while_health_is_reported(void)
{
	uint8_t *before[AREAS];
	enum settled settled;

	begin();
	CHECK(write_new() && slots_activate(&disk.slots, &why));
	CHECK(loader_starts() == 1);
	save(before);
	disk.slots.running = 1;
	disk.recording = true;
	if (!slots_settle(&disk.slots, true, &settled, &why) || settled != SETTLED_GOOD) {
		release(before);
		CHECK(false);
	}
	disk.recording = false;
	disk.slots.running = 0;
	for (unsigned cut = 0; cut <= disk.events; cut++)
		for (unsigned tear = 0; tear < TEARS && !current_failed; tear++) {
			int starts;

			cut_power(before, cut, tear);
			starts = loader_starts();
			if (starts != 1 && starts != 0)
				current_failed = true;
			if (cut == disk.events && starts != 1)
				current_failed = true;
		}
	release(before);
	CHECK(!current_failed);
}

/* ---- faults -------------------------------------------------------------- */

static void
every_fault_is_reported_and_leaves_a_system(void)
{
	unsigned operations;

	begin();
	CHECK(write_new() && slots_activate(&disk.slots, &why));
	operations = disk.operations;
	for (unsigned n = 1; n <= operations && !current_failed; n++) {
		int starts;

		begin();
		disk.fail_at = n;
		CHECK(!(write_new() && slots_activate(&disk.slots, &why)));
		CHECK(strstr(why.text, "made to fail") != NULL);
		disk.fail_at = 0;
		starts = loader_starts();
		CHECK(starts == 0 || (starts == 1 && slot_holds(1, 1)));
		begin();
	}
}

static void
a_disk_that_keeps_nothing_is_noticed(void)
{
	begin();
	disk.lossy = true;
	CHECK(!write_new());
	CHECK(strstr(why.text, "wrong hash") != NULL);
	CHECK(!slots_activate(&disk.slots, &why) && loader_starts() == 0);
}

/* ---- what is refused ----------------------------------------------------- */

static void
a_slot_on_trial_does_not_overwrite_its_fallback(void)
{
	begin();
	put_state(0, SLOT_TRIAL, SLOT_GOOD);
	CHECK(!write_new() && strstr(why.text, "slot A, which runs, has not been found good") != NULL);
	CHECK(disk.event[0].data == NULL && !slots_activate(&disk.slots, &why));
}

static void
what_does_not_fit_is_refused_before_the_first_write(void)
{
	begin();
	disk.slots.slot[1].bytes = BUNDLE_BYTES;
	disk.recording = true;
	CHECK(!write_new() && strstr(why.text, "slot B has") != NULL && disk.events == 0);
	disk.slots.slot[1].bytes = 0;
	CHECK(!slots_activate(&disk.slots, &why) && strstr(why.text, "too few") != NULL);
	disk.slots.state.bytes = SLOT_PAGE;
	CHECK(!slots_confirm(&disk.slots, &why) && strstr(why.text, "boot state partition") != NULL);
}

static void
what_no_loader_takes_is_refused_before_the_first_write(void)
{
	struct content c = content_of(1);

	begin();
	disk.recording = true;
	c.kernel = bundle[1];
	CHECK(!slots_write(&disk.slots, &c, &why) && strncmp(why.text, "kernel: ", 8) == 0);
	c = content_of(1);
	c.bundle_size -= SLOT_PAGE;
	CHECK(!slots_write(&disk.slots, &c, &why) && strncmp(why.text, "bundle: ", 8) == 0);
	/* The flags of init's only segment: read, write, execute. */
	c = content_of(1);
	bundle[1][BUNDLE_PAGE + 68] = 7;
	CHECK(!slots_write(&disk.slots, &c, &why) && strstr(why.text, "writable and executable") != NULL);
	bundle[1][BUNDLE_PAGE + 68] = 5;
	/* A dynamic section whose relocations lie nowhere. */
	make_dynamic(kernel[1]);
	CHECK(!slots_write(&disk.slots, &c, &why) && strncmp(why.text, "kernel: ", 8) == 0);
	make_content(1);
	c = content_of(1);
	c.kernel_size = 0;
	CHECK(!slots_write(&disk.slots, &c, &why) && strstr(why.text, "is empty") != NULL);
	c = content_of(1);
	c.label = "a label of more than the sixty-three bytes that a header has room for, and so refused";
	CHECK(!slots_write(&disk.slots, &c, &why) && strstr(why.text, "label") != NULL);
	CHECK(disk.events == 0);
}

static void
a_damaged_slot_is_not_tried(void)
{
	begin();
	CHECK(write_new());
	disk.bytes[1][70000] ^= 1;
	CHECK(!slots_activate(&disk.slots, &why) && strstr(why.text, "slot B: content: wrong hash") != NULL);
	CHECK(state_now().preferred == 0 && loader_starts() == 0);
}

/* ---- after a start ------------------------------------------------------- */

static void
a_slot_that_did_not_come_up_is_bad(void)
{
	enum settled settled;

	begin();
	CHECK(write_new() && slots_activate(&disk.slots, &why));
	CHECK(loader_starts() == 1 && loader_starts() == 0);
	CHECK(slots_settle(&disk.slots, true, &settled, &why) && settled == SETTLED_FELL_BACK);
	CHECK(state_now().preferred == 0 && state_now().slot[1].state == SLOT_BAD);
	CHECK(slots_settle(&disk.slots, true, &settled, &why) && settled == SETTLED_NOTHING);
	CHECK(write_new() && slots_activate(&disk.slots, &why) && loader_starts() == 1);
}

static void
a_slot_that_the_loader_refused_is_bad(void)
{
	enum settled settled;

	begin();
	CHECK(write_new() && slots_activate(&disk.slots, &why));
	disk.bytes[1][70000] ^= 1;
	CHECK(loader_starts() == 0);
	CHECK(slots_settle(&disk.slots, true, &settled, &why) && settled == SETTLED_FELL_BACK);
	CHECK(state_now().slot[1].state == SLOT_BAD);
}

static void
a_slot_that_waits_for_its_trial_keeps_it(void)
{
	enum settled settled;

	begin();
	CHECK(write_new() && slots_activate(&disk.slots, &why));
	/* The world, not the machine, starts anew. */
	disk.recording = true;
	CHECK(slots_settle(&disk.slots, true, &settled, &why) && settled == SETTLED_NOTHING);
	disk.recording = false;
	CHECK(disk.events == 0 && state_now().slot[1].state == SLOT_TRIAL && state_now().slot[1].tries == 1);
	CHECK(loader_starts() == 1 && loader_starts() == 0);
	CHECK(slots_settle(&disk.slots, true, &settled, &why) && settled == SETTLED_FELL_BACK);
}

static void
without_health_nothing_is_written(void)
{
	enum settled settled;

	begin();
	CHECK(write_new() && slots_activate(&disk.slots, &why) && loader_starts() == 1);
	disk.slots.running = 1;
	disk.recording = true;
	CHECK(slots_settle(&disk.slots, false, &settled, &why) && settled == SETTLED_UNHEALTHY);
	CHECK(disk.events == 0 && loader_starts() == 0);
}

static void
a_lost_boot_state_is_written_anew(void)
{
	enum settled settled;

	begin();
	memset(disk.bytes[STATE], 0xa5, STATE_BYTES);
	CHECK(slots_settle(&disk.slots, true, &settled, &why) && settled == SETTLED_ANEW);
	CHECK(state_now().slot[0].state == SLOT_GOOD && state_now().slot[1].state == SLOT_EMPTY);
	begin();
	put_slot(1, 1);
	memset(disk.bytes[STATE], 0xa5, STATE_BYTES);
	CHECK(slots_settle(&disk.slots, true, &settled, &why) && state_now().slot[1].state == SLOT_GOOD);
}

static void
confirming_calls_a_trial_off(void)
{
	begin();
	CHECK(write_new() && slots_activate(&disk.slots, &why) && slots_confirm(&disk.slots, &why));
	CHECK(loader_starts() == 0 && state_now().slot[1].state == SLOT_EMPTY);
	CHECK(slots_activate(&disk.slots, &why) && loader_starts() == 1);
}

/* ---- all of them --------------------------------------------------------- */

#define T(f) { #f, f }
static const struct {
	const char *name;
	void (*run)(void);
} tests[] = {
	T(power_may_fail_at_every_write_of_an_upgrade), T(power_may_fail_while_health_is_reported),
	T(every_fault_is_reported_and_leaves_a_system), T(a_disk_that_keeps_nothing_is_noticed),
	T(a_slot_on_trial_does_not_overwrite_its_fallback), T(what_does_not_fit_is_refused_before_the_first_write),
	T(what_no_loader_takes_is_refused_before_the_first_write), T(a_damaged_slot_is_not_tried),
	T(a_slot_that_did_not_come_up_is_bad), T(a_slot_that_the_loader_refused_is_bad),
	T(a_slot_that_waits_for_its_trial_keeps_it),
	T(without_health_nothing_is_written), T(a_lost_boot_state_is_written_anew), T(confirming_calls_a_trial_off),
};

/* For check.sh, which adds its own. */
static void
leave_counts(void)
{
	const char *path = getenv("TEST_COUNTS");
	FILE *file = path != NULL ? fopen(path, "w") : NULL;

	if (file == NULL)
		return;
	fprintf(file, "%u %u\n", passed, failures);
	fclose(file);
}

int
main(int argc, char **argv)
{
	const char *slash = strrchr(argv[0], '/');

	if (strcmp(slash == NULL ? argv[0] : slash + 1, "tessera-slot") == 0)
		return tessera_slot_main(argc, argv);
	make_content(0);
	make_content(1);
	for (size_t i = 0; i < sizeof(tests) / sizeof(tests[0]); i++) {
		current = tests[i].name;
		current_failed = false;
		tests[i].run();
		if (current_failed)
			failures++;
		else
			passed++;
	}
	forget_events();
	for (unsigned i = 0; i < AREAS; i++)
		free(disk.bytes[i]);
	printf("%u power cuts\n%u passed, %u failed\n", cuts, passed, failures);
	leave_counts();
	return failures != 0;
}
