/* SPDX-License-Identifier: MIT */
/*
 * A quick look at power cuts, errors and damage (the crash laboratory in
 * tests/crash looks longer): after any prefix of what the disk was told, with
 * any part of what was not flushed, the server recovers, e2fsck finds nothing,
 * and what was fsync'ed is there.
 */
#include <check.h>
#include "rig.h"

enum { FILES = 24 };

static uint8_t data[65536], back[65536];

static void
pattern(uint8_t *to, size_t bytes, unsigned seed)
{
	for (size_t i = 0; i < bytes; i++)
		to[i] = (uint8_t)(seed * 31 + i * 7 + (i >> 8));
}

static bool
same(struct rig *rig, const char *path, size_t bytes, unsigned seed)
{
	struct ref ref;

	if (rig_path(rig, path, &ref) < 0)
		return false;
	pattern(data, bytes, seed);
	return rig_read(rig, ref, 0, back, sizeof back) == (int64_t)bytes && memcmp(back, data, bytes) == 0;
}

/* ---- power cuts ------------------------------------------------------------------------- */

struct promise {		/* from this record of the log on, the file must be there */
	uint32_t from;
	char path[40];
	size_t bytes;
	unsigned seed;
};

static struct promise promises[FILES];
static unsigned promised;

/* In place, by requests that are stable when they are answered; other bytes than before. */
static void
overwrite_stable(struct rig *rig, struct ref file, size_t bytes, unsigned seed)
{
	pattern(data, bytes, seed + 1);
	CHECK(rig_write(rig, file, 0, data, bytes) >= 0);
	rig->write_flags = seed % 4 == 3 ? FS_STABLE | FS_DATASYNC : FS_STABLE;
	pattern(data, bytes, seed);
	CHECK(rig_write(rig, file, 0, data, bytes) >= 0);
	rig->write_flags = 0;
}

static void
workload(struct rig *rig)
{
	struct ref root = rig_root(rig), dir, file, other;
	char name[40];

	rig_create(rig, root, "d", 040755, NULL, &dir);
	for (unsigned i = 0; i < FILES; i++) {
		size_t bytes = 1 + i * 1500;

		sprintf(name, "temporary%u", i);
		rig_create(rig, dir, name, 0100644, NULL, &file);
		pattern(data, bytes, i % 2 == 1 ? i + 2 : i);
		rig_write(rig, file, 0, data, bytes);
		rig_create(rig, root, "noise", 0100644, NULL, &other);
		rig_write(rig, other, 0, data, 30000);
		CHECK(rig_fsync(rig, file) == 0);
		sprintf(name, "f%u", i);
		rig_create(rig, dir, "x", 0100644, NULL, &other);
		sprintf(name, "temporary%u", i);
		{
			char final[40];

			sprintf(final, "f%u", i);
			CHECK(rig_rename(rig, dir, name, root, final, 0) == 0);
			CHECK(rig_fsync(rig, root) == 0);
			if (i % 2 == 1)
				overwrite_stable(rig, file, bytes, i);
			promises[promised].from = rig->logged;
			sprintf(promises[promised].path, "%s", final);
			promises[promised].bytes = bytes;
			promises[promised++].seed = i;
		}
		rig_truncate(rig, other, 10000 * (i % 3));
		rig_unlink(rig, root, "noise");
		rig_unlink(rig, dir, "x");
		if (rig->disk.has_discard && i % 8 == 3)
			CHECK(rig_trim(rig, 0, UINT64_MAX, 0) >= 0);
		if (i % 6 == 5)
			rig->clock += 6000000000;
	}
}

static void
check_state(struct rig *rig, const uint8_t *start, uint32_t events, uint64_t seed, bool with_e2fsck)
{
	struct rig cut;

	memset(&cut, 0, sizeof cut);
	cut = *rig;
	cut.bytes = malloc(rig->disk.bytes);
	cut.log = NULL;
	cut.logged = cut.log_room = 0;
	cut.record = false;
	cut.fs = NULL;
	cut.queued = 0;
	cut.seed = seed | 1;
	cut.disk.context = &cut;
	cut.said[0] = '\0';
	rig_cut(rig, start, events, seed, cut.bytes);
	CHECK(rig_mount(&cut, 0) == 0);
	if (cut.fs != NULL) {
		for (unsigned i = 0; i < promised; i++)
			if (promises[i].from <= events)
				CHECK(same(&cut, promises[i].path, promises[i].bytes, promises[i].seed));
		CHECK(!fs_read_only(cut.fs));
		CHECK(rig_unmount(&cut) == 0);
		if (with_e2fsck)
			CHECK(rig_clean(&cut));
	}
	if (!check_ok)
		printf("  after %u of %u records, seed %llu\n%s", events, rig->logged,
		    (unsigned long long)seed, cut.said);
	rig_kill(&cut);
	free(cut.bytes);
}

static void
power_cuts_lose_nothing_synced(void)
{
	static const char *const shapes[] = { "-b 1024", "-b 4096 -O ^metadata_csum", "-b 1024 -g 1024" };
	unsigned states = 0;

	/* the last shape on a disk that makes rubbish of what is discarded */
	for (unsigned s = 0; s < 3; s++) {
		struct rig rig;
		uint8_t *start;

		rig_make(&rig, 8 << 20, shapes[s]);
		start = malloc(rig.disk.bytes);
		memcpy(start, rig.bytes, rig.disk.bytes);
		rig.shuffle = rig.record = true;
		rig.disk.has_discard = s == 2;
		promised = 0;
		CHECK(rig_mount(&rig, s == 2 ? FS_MOUNT_DISCARD : 0) == 0);
		workload(&rig);
		CHECK((rig.discards > 20) == (s == 2));
		rig_kill(&rig);
		for (uint32_t events = 0; events <= rig.logged && check_ok; events += 1 + rig.logged / 150) {
			check_state(&rig, start, events, events * 977 + s, events % 4 == 0);
			states++;
		}
		free(start);
		rig_free(&rig);
	}
	printf("  %u states\n", states);
}

/* ---- errors of the disk -------------------------------------------------------------------- */

static void
failing_requests_are_survived(void)
{
	unsigned runs = 0, broken = 0;

	for (unsigned all = 0; all < 2; all++)
		for (unsigned at = 1; at < 400 && check_ok; at += 1 + at / 12) {
			struct rig rig;
			struct ref root, dir, file;
			char name[40];
			int64_t worst = 0, r;

			rig_make(&rig, 8 << 20, "-b 1024");
			rig.shuffle = true;
			rig.options.cache_bytes = 1 << 19;
			rig.fail_at = at;
			rig.fail_error = -EIO;
			rig.fail_all = all != 0;
			runs++;
			if (rig_mount(&rig, 0) == 0) {
				root = rig_root(&rig);
				rig_create(&rig, root, "d", 040755, NULL, &dir);
				for (unsigned i = 0; i < 20; i++) {
					sprintf(name, "file%u", i);
					r = rig_create(&rig, dir, name, 0100644, NULL, &file);
					worst = r < worst ? r : worst;
					if (r == 0)
						r = rig_write(&rig, file, 0, data, 5000);
					worst = r < worst ? r : worst;
					if (i % 5 == 0)
						rig_sync(&rig);
					if (i % 3 == 0)
						rig_unlink(&rig, dir, name);
				}
				r = rig_sync(&rig);
				broken += fs_read_only(rig.fs);
				rig_kill(&rig);
			}
			rig.fail_at = 0;
			/* what is on the disk can be recovered, by us and by e2fsck */
			CHECK(!rig.illegal);
			r = rig_mount(&rig, 0);
			CHECK(r == 0);
			if (r == 0)
				rig_unmount(&rig);
			CHECK(rig_e2fsck_recovers(&rig));
			if (!check_ok)
				printf("  at request %u%s\n%s", at, all ? " and all after it" : "", rig.said);
			rig_free(&rig);
		}
	printf("  %u runs, %u of them ended read-only\n", runs, broken);
	CHECK(broken != 0);
}

/* ---- a full disk ------------------------------------------------------------------------------ */

static void
a_full_disk_is_no_damage(void)
{
	struct rig rig;
	struct ref root, file, last = { 0, 0 };
	char name[40];
	unsigned n = 0;
	int64_t r = 0;

	rig_make(&rig, 4 << 20, "-b 1024 -N 400");
	rig.shuffle = true;
	CHECK(rig_mount(&rig, 0) == 0);
	root = rig_root(&rig);
	pattern(data, sizeof data, 1);
	while (r >= 0 && n < 1000) {
		sprintf(name, "file-with-some-name-%u", n++);
		r = rig_create(&rig, root, name, 0100644, NULL, &file);
		if (r == 0) {
			last = file;
			r = rig_write(&rig, file, 0, data, 20000);
		}
	}
	CHECK(r == -ENOSPC);
	for (unsigned i = 0; i < 50; i++) {
		sprintf(name, "dir%u", i);
		r = rig_create(&rig, root, name, 040755, NULL, &file);
		CHECK(r == 0 || r == -ENOSPC);
	}
	CHECK(rig_fallocate(&rig, last, 0, 0, 1 << 24) == -ENOSPC);
	CHECK(!fs_read_only(rig.fs));
	for (unsigned i = 3; i < 13; i++) {	/* directories may have used up what is kept for metadata */
		sprintf(name, "file-with-some-name-%u", i);
		CHECK(rig_unlink(&rig, root, name) == 0);
	}
	CHECK(rig_write(&rig, last, 0, data, 10000) == 10000);
	while (n > 0) {
		sprintf(name, "file-with-some-name-%u", --n);
		rig_unlink(&rig, root, name);
	}
	CHECK(rig_create(&rig, root, "after", 0100644, NULL, &file) == 0);
	CHECK(rig_write(&rig, file, 0, data, 60000) == 60000);
	CHECK(rig_unmount(&rig) == 0);
	CHECK(rig_clean(&rig));
	if (!check_ok)
		printf("%s", rig.said);
	rig_free(&rig);
}

static size_t
min_bytes(uint64_t at, uint64_t end)
{
	return end - at < 16 ? (size_t)(end - at) : 16;
}

/* ---- damage ---------------------------------------------------------------------------------------- */

static void
count_entry(void *context, const struct fs_entry *entry)
{
	(void)entry;
	++*(unsigned *)context;
}

/* Walk and change what can be reached: all that is asked is an answer. */
static void
use_damaged(struct rig *rig)
{
	struct ref root = rig_root(rig), dir, file;
	char name[40];
	unsigned n = 0;

	rig_list(rig, root, count_entry, &n);
	if (rig_lookup(rig, root, "d", &dir) == 0) {
		n = 0;
		rig_list(rig, dir, count_entry, &n);
		for (unsigned i = 0; i < 40; i += 3) {
			sprintf(name, "a-name-that-fills-blocks-%u", i);
			if (rig_lookup(rig, dir, name, &file) == 0) {
				rig_read(rig, file, 0, back, sizeof back);
				rig_getxattr(rig, file, "user.a", back, 100);
				if (i % 2 == 0)
					rig_write(rig, file, 8192, data, 9000);
				rig_truncate(rig, file, 3000);
			}
			rig_unlink(rig, dir, name);
		}
		rig_create(rig, dir, "new", 0100644, NULL, &file);
		rig_rename(rig, dir, "new", root, "newer", 0);
	}
	if (rig_lookup(rig, root, "big", &file) == 0) {
		rig_read(rig, file, 0, back, sizeof back);
		rig_fallocate(rig, file, 3, 4096, 20000);
		rig_truncate(rig, file, 0);
	}
	rig_sync(rig);
}

static void
make_victim(struct rig *rig, const char *shape)
{
	struct ref root, dir, file;
	char name[40];

	rig_make(rig, 4 << 20, shape);
	CHECK(rig_mount(rig, 0) == 0);
	root = rig_root(rig);
	rig_create(rig, root, "d", 040755, NULL, &dir);
	pattern(data, sizeof data, 5);
	for (unsigned i = 0; i < 80; i++) {
		sprintf(name, "a-name-that-fills-blocks-%u", i);
		rig_create(rig, dir, name, 0100644, NULL, &file);
		if (i % 4 == 0)
			rig_write(rig, file, 0, data, 5000);
		if (i % 5 == 0)
			rig_setxattr(rig, file, "user.a", data, 60, 0);
	}
	rig_create(rig, root, "big", 0100644, NULL, &file);
	for (unsigned i = 0; i < 12; i++)
		rig_write(rig, file, i * 8192, data, 4096);
	rig_create(rig, root, "orphan", 0100644, NULL, &file);
	rig_sync(rig);
}

static void
damaged_images_do_no_harm(void)
{
	static const char *const shapes[] = { "-b 1024 -J size=1", "-b 1024 -J size=1 -O ^metadata_csum" };
	unsigned mounted = 0, runs = 0, each = getenv("MUTATIONS") != NULL ? (unsigned)atoi(getenv("MUTATIONS")) : 500;

	for (unsigned s = 0; s < 2; s++) {
		struct rig rig;
		uint8_t *whole;

		make_victim(&rig, shapes[s]);
		if (s == 1 || check_ok)
			rig_kill(&rig);		/* the journal is full of things to recover */
		whole = malloc(rig.disk.bytes);
		memcpy(whole, rig.bytes, rig.disk.bytes);
		for (unsigned i = 0; i < each && check_ok; i++, runs++) {
			unsigned spots = 1 + i % 6;

			memcpy(rig.bytes, whole, rig.disk.bytes);
			rig.seed = i * 2654435761u + s + 1;
			for (unsigned k = 0; k < spots; k++) {
				/* most of the metadata lies in front */
				uint64_t range = rig_random(&rig) % 3 == 0 ? rig.disk.bytes : 400000;
				uint64_t at = rig_random(&rig) % range;

				if (rig_random(&rig) % 8 == 0)
					at = 1024 + rig_random(&rig) % 1024;
				if (rig_random(&rig) % 2 == 0)
					rig.bytes[at] ^= (uint8_t)(1u << rig_random(&rig) % 8);
				else
					memset(rig.bytes + at, (int)rig_random(&rig), min_bytes(at, rig.disk.bytes));
			}
			if (rig_mount(&rig, i % 7 == 0 ? FS_MOUNT_READONLY : 0) == 0) {
				mounted++;
				use_damaged(&rig);
				rig_kill(&rig);
			}
			CHECK(!rig.illegal);
		}
		memcpy(rig.bytes, whole, rig.disk.bytes);
		free(whole);
		rig_free(&rig);
	}
	printf("  %u images, %u of them could be mounted\n", runs, mounted);
	CHECK(mounted > 100);
}

int
main(void)
{
	RUN(power_cuts_lose_nothing_synced);
	RUN(failing_requests_are_survived);
	RUN(a_full_disk_is_no_damage);
	RUN(damaged_images_do_no_harm);
	CHECK_END();
}
