/* SPDX-License-Identifier: MIT */
/*
 * The loader's way into an EFI system partition.  The partition is a file system
 * made by mtools, held in memory, that remembers every write and flush, so that
 * the power can be cut after each: what was flushed is there, of the rest any
 * part, down to single sectors.  After each cut mtools reads the loader, which has
 * to be the old one or the new one whole, fsck.vfat finds nothing but clusters
 * that belong to nothing, and a second try comes to its end.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "loader.h"

enum { SECTOR = 512, EVENTS = 256, TEARS = 3, ESP_BYTES = 36 << 20 };
enum { OLD_BYTES = 70001, NEW_BYTES = 131072 + 17, SMALL_BYTES = 600 };

static unsigned passed, failures, cuts;
static const char *current;
static bool current_failed;
static struct complaint why;

#define CHECK(condition) do { \
	if (!(condition)) { \
		printf("FAILED %s: line %d: %s (%s)\n", current, __LINE__, #condition, why.text); \
		current_failed = true; \
		return; \
	} \
} while (0)

static uint32_t
random_number(void)
{
	static uint32_t state = 1;

	state = state * 1664525 + 1013904223;
	return state >> 8;
}

/* ---- the partition --------------------------------------------------------- */

struct event {
	bool flush;
	uint64_t offset;
	size_t size;
	uint8_t *data;
};

static struct disk {
	uint8_t *bytes, *before;	/* as it is, as it was when recording began */
	bool recording, lossy;		/* lossy: writes are taken and come to nothing */
	struct event event[EVENTS];
	unsigned events;
	unsigned operations, fail_at;	/* fail_at 0: never */
} disk;

static bool
operation(struct complaint *w)
{
	disk.operations++;
	return disk.operations != disk.fail_at || complain(w, "made to fail");
}

static void
in_pages(struct area *a, uint64_t offset, const void *memory, size_t size)
{
	if (offset % SLOT_PAGE != 0 || size % SLOT_PAGE != 0 || (uintptr_t)memory % SLOT_PAGE != 0 ||
	    offset > a->bytes || size > a->bytes - offset)
		abort();
}

static bool
memory_read(struct area *a, uint64_t offset, void *to, size_t size, struct complaint *w)
{
	in_pages(a, offset, to, size);
	memcpy(to, disk.bytes + offset, size);
	return operation(w);
}

static bool
memory_write(struct area *a, uint64_t offset, const void *from, size_t size, struct complaint *w)
{
	in_pages(a, offset, from, size);
	if (disk.recording) {
		struct event *e = &disk.event[disk.events];

		if (disk.events++ == EVENTS)
			abort();
		*e = (struct event){ false, offset, size, malloc(size) };
		memcpy(e->data, from, size);
	}
	if (!operation(w))
		return false;
	if (!disk.lossy)
		memcpy(disk.bytes + offset, from, size);
	return true;
}

static bool
memory_flush(struct area *a, struct complaint *w)
{
	(void)a;
	if (disk.recording) {
		if (disk.events == EVENTS)
			abort();
		disk.event[disk.events++] = (struct event){ .flush = true };
	}
	return operation(w);
}

static struct area esp = { "the EFI system partition", ESP_BYTES, memory_read, memory_write, memory_flush, NULL };

static void
forget_events(void)
{
	for (unsigned i = 0; i < disk.events; i++)
		free(disk.event[i].data);
	disk.events = 0;
}

static void
record(void)
{
	forget_events();
	memcpy(disk.before, disk.bytes, ESP_BYTES);
	disk.recording = true;
}

/* ---- loaders --------------------------------------------------------------- */

static uint8_t old_loader[OLD_BYTES], new_loader[NEW_BYTES], small_loader[SMALL_BYTES];

static void
put(uint8_t *at, uint64_t value, unsigned bytes)
{
	memcpy(at, &value, bytes);
}

/* A PE file of one section, and otherwise chance. */
static void
make_loader(uint8_t *file, uint32_t size)
{
	enum { PE = 128, OPTIONAL = PE + 24, SECTIONS = OPTIONAL + 240, HEADER = 512 };

	for (uint32_t i = 0; i < size; i++)
		file[i] = (uint8_t)random_number();
	memset(file, 0, HEADER);
	memcpy(file, "MZ", 2);
	put(file + 60, PE, 4);
	memcpy(file + PE, "PE\0\0", 4);
	put(file + PE + 4, 0xaa64, 2);
	put(file + PE + 6, 1, 2);
	put(file + PE + 20, 240, 2);
	put(file + OPTIONAL, 0x20b, 2);
	put(file + OPTIONAL + 16, 0x1000, 4);
	put(file + OPTIONAL + 56, 0x1000 + size, 4);
	put(file + OPTIONAL + 68, 10, 2);
	put(file + SECTIONS + 8, size - HEADER, 4);
	put(file + SECTIONS + 12, 0x1000, 4);
	put(file + SECTIONS + 16, size - HEADER, 4);
	put(file + SECTIONS + 20, HEADER, 4);
}

static const struct fat_time noon = { (2026 - 1980) << 9 | 11 << 5 | 28, 12 << 11 };

static bool
write_this(const uint8_t *loader, uint32_t size, enum loader_result *result)
{
	return loader_write(&esp, loader, size, noon, result, &why);
}

static bool
refused(const char *words)
{
	enum loader_result result;

	return !write_this(new_loader, NEW_BYTES, &result) && strstr(why.text, words) != NULL;
}

/* ---- mtools and fsck.vfat ---------------------------------------------------- */

static int image = -1;			/* cut.img: what they look at */
static uint8_t *shown;			/* what it holds */

static void
save(const char *name, const void *data, size_t size)
{
	FILE *file = fopen(name, "w");

	if (file == NULL || fwrite(data, 1, size, file) != size || fclose(file) != 0)
		abort();
}

static void
load_esp(const char *name)
{
	FILE *file = fopen(name, "r");

	if (file == NULL || fread(disk.bytes, 1, ESP_BYTES, file) != ESP_BYTES)
		abort();
	fclose(file);
}

/* What differs between memory and file goes to the file, so that it costs little. */
static void
show(void)
{
	for (size_t at = 0; at < ESP_BYTES; at += SLOT_PAGE) {
		if (memcmp(shown + at, disk.bytes + at, SLOT_PAGE) == 0)
			continue;
		memcpy(shown + at, disk.bytes + at, SLOT_PAGE);
		if (pwrite(image, shown + at, SLOT_PAGE, (off_t)at) != SLOT_PAGE)
			abort();
	}
}

static bool
shell(const char *command)
{
	return system(command) == 0;
}

static bool
mtools_reads(const char *name, const uint8_t *wanted, size_t size)
{
	static uint8_t found[NEW_BYTES + 1];
	char command[160];
	FILE *pipe;
	size_t n;

	snprintf(command, sizeof(command), "mtype -i cut.img '::/EFI/BOOT/%s' 2>mtools.log", name);
	pipe = popen(command, "r");
	if (pipe == NULL)
		abort();
	n = fread(found, 1, sizeof(found), pipe);
	return pclose(pipe) == 0 && n == size && memcmp(found, wanted, size) == 0;
}

/* What a cut may leave: clusters of no file, FATs that differ in them alone, and no count of free ones. */
static bool
fsck_finds_lost_clusters_at_most(void)
{
	return shell("fsck.vfat -n cut.img >fsck.log 2>&1 || ! grep -qvE '^fsck.fat|^$|^  Automatically|^  Auto-|"
	    "Reclaimed [0-9]+ unused clusters?|^FATs differ but appear to be intact|^  Using first FAT|Free cluster summary|"
	    "^Leaving filesystem unchanged|^cut.img:|^Two FATs|[0-9]+ bytes' fsck.log") ||
	    !shell("sed 's/^/    | /' fsck.log");
}

static bool
fsck_finds_nothing(void)
{
	return shell("fsck.vfat -n cut.img >fsck.log 2>&1") || !shell("sed 's/^/    | /' fsck.log");
}

static bool
is_new_and_clean(void)
{
	show();
	return mtools_reads("BOOTAA64.EFI", new_loader, NEW_BYTES) && fsck_finds_nothing();
}

/* ---- before each test -------------------------------------------------------- */

/* An ESP with some more files, by a command that makes the file system in $f. */
static void
make_esp(const char *name, const char *format)
{
	char command[1000];

	save("old.efi", old_loader, OLD_BYTES);
	snprintf(command, sizeof(command), "export MTOOLS_SKIP_CHECK=1 f=%s; rm -f $f && truncate -s %u $f && %s && "
	    "mmd -i $f ::/EFI ::/EFI/BOOT ::/EFI/other && seq 1 9000 >text && "
	    "mcopy -i $f text '::/EFI/other/a file with a long name' && "
	    "mcopy -i $f old.efi ::/EFI/BOOT/BOOTAA64.EFI && mcopy -i $f text ::/startup.nsh",
	    name, (unsigned)ESP_BYTES, format);
	if (!shell(command))
		abort();
}

static const char *volume = "one.img";

static void
begin(void)
{
	forget_events();
	load_esp(volume);
	disk.recording = disk.lossy = false;
	disk.operations = disk.fail_at = 0;
	memset(&why, 0, sizeof(why));
}

/* A command of mtools on the file, and the outcome in memory. */
static void
mtools(const char *command)
{
	char line[400];

	show();
	snprintf(line, sizeof(line), "MTOOLS_SKIP_CHECK=1; export MTOOLS_SKIP_CHECK; %s", command);
	if (!shell(line) || pread(image, disk.bytes, ESP_BYTES, 0) != ESP_BYTES)
		abort();
	memcpy(shown, disk.bytes, ESP_BYTES);
}

static struct fat_file
find(struct fat *f, const char (*path)[FAT_NAME + 1], unsigned count)
{
	struct fat_file file;

	if (!fat_open(f, &esp, &why) || !fat_find(f, path, count, &file, &why)) {
		printf("%s\n", why.text);
		abort();
	}
	return file;
}

static const char loader_path[][FAT_NAME + 1] = { "EFI        ", "BOOT       ", "BOOTAA64EFI" };
static const char startup_path[][FAT_NAME + 1] = { "STARTUP NSH" };

/* ---- what it is for ------------------------------------------------------------ */

static void
a_new_loader_is_written_and_the_old_one_kept(void)
{
	enum loader_result result;

	begin();
	CHECK(write_this(new_loader, NEW_BYTES, &result) && result == LOADER_WRITTEN);
	CHECK(is_new_and_clean());
	CHECK(mtools_reads("PREVIOUS.EFI", old_loader, OLD_BYTES));
	CHECK(write_this(new_loader, NEW_BYTES, &result) && result == LOADER_SAME);
	CHECK(write_this(small_loader, SMALL_BYTES, &result) && result == LOADER_WRITTEN);
	show();
	CHECK(fsck_finds_nothing());
	CHECK(mtools_reads("BOOTAA64.EFI", small_loader, SMALL_BYTES));
	CHECK(mtools_reads("PREVIOUS.EFI", new_loader, NEW_BYTES));
	CHECK(shell("mdir -i cut.img ::/EFI/BOOT | grep -q '^BOOTAA64 EFI .*600 2026-11-28  12:00'"));
	CHECK(shell("mtype -i cut.img ::/startup.nsh | cmp -s - text"));
	CHECK(shell("mtype -i cut.img '::/EFI/other/a file with a long name' | cmp -s - text"));
}

/* Of what was not flushed: nothing, all of it, or any sectors, written in any order. */
static void
tear(const struct event *e, unsigned way)
{
	for (size_t at = 0; at < e->size; at += SECTOR)
		if (way == 1 || (way > 1 && random_number() % 2 == 0))
			memcpy(disk.bytes + e->offset + at, e->data + at, SECTOR);
}

static void
state_after(unsigned count, unsigned way)
{
	unsigned flushed = 0;

	for (unsigned i = 0; i < count; i++)
		if (disk.event[i].flush)
			flushed = i;
	memcpy(disk.bytes, disk.before, ESP_BYTES);
	for (unsigned i = 0; i < count; i++)
		tear(&disk.event[i], i < flushed ? 1 : way);
}

static void
check_cut(bool had_previous)
{
	enum loader_result result;

	cuts++;
	show();
	CHECK(fsck_finds_lost_clusters_at_most());
	if (mtools_reads("BOOTAA64.EFI", new_loader, NEW_BYTES))
		CHECK(mtools_reads("PREVIOUS.EFI", old_loader, OLD_BYTES));
	else
		CHECK(mtools_reads("BOOTAA64.EFI", old_loader, OLD_BYTES) &&
		    (!had_previous || mtools_reads("PREVIOUS.EFI", small_loader, SMALL_BYTES)));
	CHECK(write_this(new_loader, NEW_BYTES, &result));
	CHECK(is_new_and_clean());
}

static void
cut_everywhere(bool had_previous)
{
	enum loader_result result;
	unsigned events;

	record();
	CHECK(write_this(new_loader, NEW_BYTES, &result) && result == LOADER_WRITTEN);
	disk.recording = false;
	events = disk.events;
	CHECK(events > 7);
	for (unsigned count = 0; count <= events; count++) {
		bool nothing_open = count == 0 || disk.event[count - 1].flush;

		for (unsigned way = 0; way < (nothing_open ? 1u : (unsigned)TEARS) && !current_failed; way++) {
			state_after(count, way);
			check_cut(had_previous);
			if (current_failed)
				printf("    (after %u of %u writes and flushes, way %u)\n", count, events, way);
		}
	}
}

static void
a_power_cut_leaves_the_old_loader_or_the_new_one(void)
{
	begin();
	cut_everywhere(false);
}

static void
a_power_cut_also_when_there_is_a_previous_one(void)
{
	enum loader_result result;

	begin();
	CHECK(write_this(small_loader, SMALL_BYTES, &result));
	CHECK(write_this(old_loader, OLD_BYTES, &result));
	cut_everywhere(true);
}

/* ---- faults -------------------------------------------------------------------- */

static void
every_fault_is_told_and_leaves_a_loader(void)
{
	enum loader_result result;
	unsigned operations;

	begin();
	CHECK(write_this(new_loader, NEW_BYTES, &result));
	operations = disk.operations;
	for (unsigned at = 1; at <= operations; at++) {
		begin();
		disk.fail_at = at;
		CHECK(!write_this(new_loader, NEW_BYTES, &result));
		CHECK(strstr(why.text, "made to fail") != NULL);
		show();
		CHECK(fsck_finds_lost_clusters_at_most());
		CHECK(mtools_reads("BOOTAA64.EFI", new_loader, NEW_BYTES) ||
		    mtools_reads("BOOTAA64.EFI", old_loader, OLD_BYTES));
	}
}

static void
a_disk_that_forgets_is_found_out(void)
{
	begin();
	disk.lossy = true;
	CHECK(refused("other bytes were read back"));
	show();
	CHECK(mtools_reads("BOOTAA64.EFI", old_loader, OLD_BYTES) && fsck_finds_nothing());
}

static void
a_full_partition_is_refused(void)
{
	begin();
	mtools("head -c 36900000 /dev/zero >zeros && mcopy -i cut.img zeros ::/zeros");
	record();
	CHECK(refused("bytes free, and 131584 are needed"));
	CHECK(disk.events == 0);
}

/* ---- the directory ------------------------------------------------------------- */

static void
without_room_beside_it_the_old_one_is_not_kept(void)
{
	enum loader_result result;

	begin();
	mtools("for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14; do mcopy -i cut.img old.efi ::/EFI/BOOT/F$i; done");
	CHECK(write_this(new_loader, NEW_BYTES, &result) && result == LOADER_WRITTEN_ALONE);
	CHECK(is_new_and_clean());
	CHECK(!mtools_reads("PREVIOUS.EFI", old_loader, OLD_BYTES));
	mtools("mdel -i cut.img ::/EFI/BOOT/F5");
	CHECK(write_this(old_loader, OLD_BYTES, &result) && result == LOADER_WRITTEN);
	show();
	CHECK(fsck_finds_nothing() && mtools_reads("PREVIOUS.EFI", new_loader, NEW_BYTES));
}

static void
a_previous_one_far_away_is_left_alone(void)
{
	enum loader_result result;

	begin();
	mtools("for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14; do mcopy -i cut.img text ::/EFI/BOOT/F$i; done; "
	    "mcopy -i cut.img old.efi ::/EFI/BOOT/PREVIOUS.EFI; mdel -i cut.img ::/EFI/BOOT/F7");
	CHECK(write_this(new_loader, NEW_BYTES, &result) && result == LOADER_WRITTEN_ALONE);
	CHECK(is_new_and_clean() && mtools_reads("PREVIOUS.EFI", old_loader, OLD_BYTES));
}

static void
a_scattered_partition_serves(void)
{
	enum loader_result result;

	begin();
	mtools("head -c 600 text >bit; for i in $(seq 1 300); do mcopy -i cut.img bit ::/EFI/other/bit$i; done; "
	    "for i in $(seq 1 2 300); do mdel -i cut.img ::/EFI/other/bit$i; done; "
	    "head -c 36600000 /dev/zero >zeros && mcopy -i cut.img zeros ::/zeros");
	CHECK(write_this(new_loader, NEW_BYTES, &result) && is_new_and_clean());
}

/* ---- what is refused, untouched --------------------------------------------------- */

static void
damage_fat(uint32_t cluster, uint32_t next, bool both)
{
	struct fat f;

	(void)find(&f, startup_path, 1);
	for (unsigned i = 0; i < (both ? 2u : 1u); i++)
		put(disk.bytes + f.fat_at + i * f.fat_bytes + 4ULL * cluster, next, 4);
	fat_close(&f);
}

static void
damage_is_refused_by_name(void)
{
	struct fat_file loader, startup;
	struct fat f;

	begin();
	loader = find(&f, loader_path, 3);
	fat_close(&f);
	startup = find(&f, startup_path, 1);
	fat_close(&f);
	record();
	damage_fat(startup.first + 1, loader.first, true);
	CHECK(refused("belongs to"));
	begin();
	damage_fat(startup.first + 1, startup.first, true);
	CHECK(refused("belongs to STARTUP.NSH and to something else"));
	begin();
	damage_fat(startup.first + 1, 0, true);
	CHECK(refused("the chain of STARTUP.NSH leads to 0"));
	begin();
	damage_fat(startup.first + 1, 0x0fffffff, true);
	CHECK(refused("STARTUP.NSH has"));
	begin();
	damage_fat(loader.first, 9999999, true);
	CHECK(refused("the chain of BOOTAA64.EFI leads to 9999999"));
	begin();
	damage_fat(loader.first + 1, 5, false);
	CHECK(refused("two FATs differ") || strstr(why.text, "belongs to") != NULL);
	begin();
	disk.bytes[32 * SECTOR] = 0;
	CHECK(refused("FAT 1 does not begin"));
	begin();
	disk.bytes[510] = 0;
	CHECK(refused("has no file system"));
	begin();
	memcpy(disk.bytes + 22, "\1", 1);
	CHECK(refused("is not FAT32"));
	begin();
	put(disk.bytes + 32, 1 << 30, 4);
	CHECK(refused("its partition has"));
	begin();
	put(disk.bytes + 36, 20, 4);
	CHECK(refused("is damaged"));
	begin();
	mtools("mdel -i cut.img ::/EFI/BOOT/BOOTAA64.EFI");
	CHECK(refused("has no file \"BOOTAA64EFI\""));
	begin();
	mtools("mdeltree -i cut.img ::/EFI/BOOT");
	CHECK(refused("has no folder \"BOOT       \""));
}

static void
damage_leaves_the_partition_untouched(void)
{
	begin();
	damage_fat(2, 2, true);
	record();
	CHECK(refused("belongs to"));
	CHECK(disk.events == 0 && memcmp(disk.before, disk.bytes, ESP_BYTES) == 0);
}

static void
a_fat16_partition_is_refused(void)
{
	begin();
	mtools("rm -f cut16; truncate -s 36M cut16 && mformat -i cut16 -T 73728 -h 64 -s 32 -c 4 :: && cat cut16 >cut.img");
	CHECK(refused("is not FAT32"));
}

static bool
file_refused(const void *file, size_t size, const char *words)
{
	enum loader_result result;

	return !loader_write(&esp, file, size, noon, &result, &why) && strstr(why.text, words) != NULL && disk.operations == 0;
}

static void
only_a_loader_becomes_one(void)
{
	static uint8_t file[NEW_BYTES];

	begin();
	CHECK(file_refused(new_loader, 0, "not a PE file"));
	CHECK(file_refused(new_loader, 100, "not a PE file"));
	CHECK(file_refused(new_loader, NEW_BYTES - 1, "is it whole"));
	CHECK(file_refused(new_loader, 400, "are not in the file"));
	CHECK(file_refused(new_loader, 9 << 20, "more than 8388608"));
	memcpy(file, new_loader, NEW_BYTES);
	put(file + 128 + 4, 0x8664, 2);
	CHECK(file_refused(file, NEW_BYTES, "another kind of machine"));
	memcpy(file, new_loader, NEW_BYTES);
	put(file + 128 + 92, 3, 2);
	CHECK(file_refused(file, NEW_BYTES, "not a UEFI application"));
	memcpy(file, new_loader, NEW_BYTES);
	put(file + 128 + 40, 4, 4);
	CHECK(file_refused(file, NEW_BYTES, "entry point"));
	memcpy(file, new_loader, NEW_BYTES);
	put(file + 60, 0xffffffff, 4);
	CHECK(file_refused(file, NEW_BYTES, "not a PE file"));
}

/* Whatever the disk says: an answer, and no byte of memory that is not ours. */
static void
chance_damage_is_survived(void)
{
	enum { DAMAGED = 2 << 20 };
	unsigned written = 0;

	begin();
	record();
	for (unsigned round = 0; round < 400; round++) {
		enum loader_result result;
		struct fat f;

		(void)find(&f, startup_path, 1);
		for (unsigned i = 0; i <= round % 4; i++) {
			uint64_t place[4] = { random_number() % 96, f.fat_at + random_number() % 4096,
			    f.fat_at + f.fat_bytes + random_number() % 4096, f.data_at + random_number() % 2048 };

			disk.bytes[place[random_number() % 4]] ^= (uint8_t)(1 << random_number() % 8);
		}
		fat_close(&f);
		written += write_this(new_loader, NEW_BYTES, &result);
		memcpy(disk.bytes, disk.before, DAMAGED);
		for (unsigned i = 0; i < disk.events; i++)
			memcpy(disk.bytes + disk.event[i].offset, disk.before + disk.event[i].offset, disk.event[i].size);
		forget_events();
	}
	CHECK(written > 10 && written < 390);
}

#define TEST(name) { #name, name }
static const struct { const char *name; void (*run)(void); } tests[] = {
	TEST(a_new_loader_is_written_and_the_old_one_kept), TEST(a_power_cut_leaves_the_old_loader_or_the_new_one),
	TEST(a_power_cut_also_when_there_is_a_previous_one), TEST(every_fault_is_told_and_leaves_a_loader),
	TEST(a_disk_that_forgets_is_found_out), TEST(a_full_partition_is_refused),
	TEST(without_room_beside_it_the_old_one_is_not_kept), TEST(a_previous_one_far_away_is_left_alone),
	TEST(a_scattered_partition_serves), TEST(damage_is_refused_by_name), TEST(damage_leaves_the_partition_untouched),
	TEST(a_fat16_partition_is_refused), TEST(only_a_loader_becomes_one), TEST(chance_damage_is_survived),
};

static void
run(const char *name, void (*test)(void))
{
	current = name;
	current_failed = false;
	test();
	if (current_failed)
		failures++;
	else
		passed++;
	fflush(stdout);
}

int
main(void)
{
	const char *folder = getenv("TEST_FOLDER");

	if (folder == NULL || chdir(folder) != 0)
		abort();
	setenv("PATH", "/usr/sbin:/usr/bin:/sbin:/bin", 1);
	disk.bytes = aligned_alloc(SLOT_PAGE, ESP_BYTES);
	disk.before = aligned_alloc(SLOT_PAGE, ESP_BYTES);
	shown = calloc(1, ESP_BYTES);
	image = open("cut.img", O_RDWR | O_CREAT | O_TRUNC, 0600);
	if (shown == NULL || image < 0 || ftruncate(image, ESP_BYTES) != 0)
		abort();
	make_loader(old_loader, OLD_BYTES);
	make_loader(new_loader, NEW_BYTES);
	make_loader(small_loader, SMALL_BYTES);
	/* As images/mkimage makes it; and as others do. */
	make_esp("one.img", "mformat -i $f -F -T 73728 -h 64 -s 32 -c 1 -v ESP -N 54455353 ::");
	make_esp("other.img", "mkfs.vfat -F 32 -s 1 -f 1 -R 37 -n ESP $f >mkfs.log 2>&1");
	for (size_t i = 0; i < sizeof(tests) / sizeof(tests[0]); i++)
		run(tests[i].name, tests[i].run);
	volume = "other.img";
	run("a_power_cut_where_there_is_one_fat", a_power_cut_leaves_the_old_loader_or_the_new_one);
	forget_events();
	free(disk.bytes);
	free(disk.before);
	free(shown);
	close(image);
	(void)shell("rm -f one.img other.img cut.img cut16 zeros text bit");
	printf("%u power cuts\n%u passed, %u failed\n", cuts, passed, failures);
	return failures != 0;
}
