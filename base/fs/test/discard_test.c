/* SPDX-License-Identifier: MIT */
/*
 * Discarding: all that is free, nothing else, and nothing that a power cut could
 * bring back (crash_test cuts the power); who needs room has it back.
 */
#include <check.h>
#include "../core.h"
#include "rig.h"

enum { BYTES = 48 << 20, FILE_BYTES = 200000 };

static const char *const shapes[] = { "-b 1024", "-b 4096", "-b 1024 -g 1024 -O ^flex_bg", "-b 2048 -O ^metadata_csum,uninit_bg" };

static uint8_t data[FILE_BYTES], back[FILE_BYTES + 4096];

static void
pattern(unsigned seed)
{
	for (size_t i = 0; i < sizeof data; i++)
		data[i] = (uint8_t)(seed * 31 + i * 7 + (i >> 8));
}

static struct ref
make_file(struct rig *rig, unsigned n)
{
	struct ref file = rig_no_ref;
	char name[32];

	sprintf(name, "f%u", n);
	CHECK(rig_create(rig, rig_root(rig), name, 0100644, NULL, &file) == 0);
	pattern(n);
	CHECK(rig_write(rig, file, 0, data, sizeof data) >= 0);
	return file;
}

static bool
file_is_whole(struct rig *rig, unsigned n)
{
	struct ref file;
	char name[32];

	sprintf(name, "f%u", n);
	pattern(n);
	return rig_path(rig, name, &file) >= 0 &&
	    rig_read(rig, file, 0, back, sizeof back) == FILE_BYTES && memcmp(back, data, FILE_BYTES) == 0;
}

static void
remove_file(struct rig *rig, unsigned n)
{
	char name[32];

	sprintf(name, "f%u", n);
	CHECK(rig_unlink(rig, rig_root(rig), name) >= 0);
}

/* Where the first block of a file lies on the disk. */
static uint64_t
place(struct rig *rig, struct ref file)
{
	struct fs_job *job = rig_job(rig, FS_EXTENTS);
	uint64_t physical = 0;

	job->request.inode = file.inode;
	job->request.generation = file.generation;
	job->request.length = FILE_BYTES;
	if (rig_call(rig, job) >= 0 && job->answer.count > 0)
		physical = ((struct fs_extent *)(void *)job->page)->physical;
	rig_job_free(job);
	return physical;
}

static uint64_t
free_bytes(struct rig *rig)
{
	struct fs_job *job = rig_job(rig, FS_STATFS);
	uint64_t bytes = 0;

	if (rig_call(rig, job) >= 0) {
		const struct fs_statfs *s = (const struct fs_statfs *)(const void *)job->page;

		bytes = s->free * s->block_size;
	}
	rig_job_free(job);
	return bytes;
}

static bool
is_rubbish(const struct rig *rig, uint64_t at, size_t bytes)
{
	for (size_t i = 0; i < bytes; i++)
		if (rig->bytes[at + i] != RIG_RUBBISH)
			return false;
	return true;
}

static void
all_that_is_free_is_trimmed_once(void)
{
	for (unsigned s = 0; s < sizeof shapes / sizeof *shapes; s++) {
		struct rig rig;
		uint64_t gone = 0, before;
		int64_t done;

		rig_make(&rig, BYTES, shapes[s]);
		rig.disk.has_discard = rig.shuffle = true;
		CHECK(rig_mount(&rig, 0) == 0);
		for (unsigned i = 0; i < 20; i++) {
			struct ref file = make_file(&rig, i);

			if (i == 7)
				gone = place(&rig, file);
		}
		CHECK(rig_sync(&rig) == 0);
		for (unsigned i = 1; i < 20; i += 2)
			remove_file(&rig, i);
		/* not committed: the old owner may come back */
		before = free_bytes(&rig);
		done = rig_trim(&rig, 0, UINT64_MAX, 0);
		CHECK(done > 0 && (uint64_t)done <= before - 10 * FILE_BYTES);
		CHECK((uint64_t)done == rig.discarded);
		pattern(7);
		CHECK(memcmp(rig.bytes + gone, data, 1024) == 0);
		CHECK(rig_sync(&rig) == 0);
		/* what was freed meanwhile, with the groups that it lies in */
		CHECK(rig_trim(&rig, 0, UINT64_MAX, 0) >= 10 * FILE_BYTES);
		CHECK(is_rubbish(&rig, gone, 1024));
		rig.discarded = 0;
		CHECK(rig_trim(&rig, 0, UINT64_MAX, 0) == 0 && rig.discarded == 0);
		CHECK(rig_trim(&rig, 0, UINT64_MAX, 65536) == 0);
		for (unsigned i = 0; i < 20; i += 2)
			CHECK(file_is_whole(&rig, i));
		CHECK(!rig.illegal && rig_unmount(&rig) == 0 && rig_clean(&rig));
		/* another mount knows nothing of that: all is told again */
		rig.discarded = 0;
		CHECK(rig_mount(&rig, FS_MOUNT_READONLY) == 0);
		before = free_bytes(&rig);
		CHECK(rig_trim(&rig, 0, UINT64_MAX, 0) == (int64_t)before && rig.discarded == before);
		for (unsigned i = 0; i < 20; i += 2)
			CHECK(file_is_whole(&rig, i));
		CHECK(rig_unmount(&rig) == 0 && rig_clean(&rig));
		rig_free(&rig);
	}
}

static void
what_linux_refuses_is_refused(void)
{
	struct rig rig;

	rig_make(&rig, BYTES, "-b 4096");
	CHECK(rig_mount(&rig, 0) == 0);
	CHECK(rig_trim(&rig, 0, UINT64_MAX, 0) == -EOPNOTSUPP);
	CHECK(rig_unmount(&rig) == 0);
	rig.disk.has_discard = true;
	CHECK(rig_mount(&rig, 0) == 0);
	CHECK(rig_trim(&rig, 0, 4095, 0) == -EINVAL);
	CHECK(rig_trim(&rig, BYTES, UINT64_MAX, 0) == -EINVAL);
	CHECK(rig_trim(&rig, 0, UINT64_MAX, (32768 + 1) * 4096ULL) == -EINVAL);
	CHECK(rig_trim(&rig, 0, UINT64_MAX, 32768 * 4096ULL) == 0);
	CHECK(rig.discards == 0);
	/* a part: whole blocks of it, and no more */
	CHECK(rig_trim(&rig, 40 << 20, 1 << 20, 0) == 1 << 20 && rig.discarded == 1 << 20);
	CHECK(is_rubbish(&rig, 40 << 20, 1 << 20) && !is_rubbish(&rig, 41 << 20, 1));
	CHECK(rig_unmount(&rig) == 0);
	rig_free(&rig);
}

/* Every other block of a file is a hole: runs of one block, which "at least two" leaves alone. */
static void
short_runs_are_left_alone(void)
{
	struct rig rig;
	struct ref file;
	uint64_t at, all;

	rig_make(&rig, BYTES, "-b 4096");
	rig.disk.has_discard = true;
	CHECK(rig_mount(&rig, 0) == 0);
	file = make_file(&rig, 1);
	at = place(&rig, file);
	for (unsigned i = 1; i < 40; i += 2)
		CHECK(rig_fallocate(&rig, file, 3, i * 4096, 4096) >= 0);
	CHECK(rig_sync(&rig) == 0);
	all = free_bytes(&rig);
	CHECK(rig_trim(&rig, 0, UINT64_MAX, 8192) == (int64_t)all - 20 * 4096);
	CHECK(!is_rubbish(&rig, at + 4096, 1));
	CHECK(rig_trim(&rig, 0, UINT64_MAX, 4096) == (int64_t)all);
	for (unsigned i = 0; i < 40; i++)
		CHECK(is_rubbish(&rig, at + i * 4096, 4096) == (i % 2 == 1));
	CHECK(rig_unmount(&rig) == 0 && rig_clean(&rig));
	rig_free(&rig);
}

static void
freed_blocks_are_discarded_after_their_commit(void)
{
	for (unsigned s = 0; s < sizeof shapes / sizeof *shapes; s++) {
		struct rig rig;
		uint64_t at = 0;

		rig_make(&rig, BYTES, shapes[s]);
		rig.disk.has_discard = rig.shuffle = true;
		CHECK(rig_mount(&rig, FS_MOUNT_DISCARD) == 0);
		for (unsigned i = 0; i < 6; i++) {
			struct ref file = make_file(&rig, i);

			if (i == 3)
				at = place(&rig, file);
		}
		CHECK(rig_sync(&rig) == 0);
		remove_file(&rig, 3);
		remove_file(&rig, 4);
		rig_settle(&rig);
		CHECK(rig.discards == 0);
		CHECK(rig_sync(&rig) == 0);
		rig_settle(&rig);
		CHECK(rig.discarded >= 2 * FILE_BYTES && rig.discards <= 24);
		CHECK(is_rubbish(&rig, at, 1024));
		/* and no more when it is mounted otherwise */
		CHECK(rig_remount(&rig, 0, 0) == 0);
		rig.discards = 0;
		remove_file(&rig, 5);
		CHECK(rig_sync(&rig) == 0);
		rig_settle(&rig);
		CHECK(rig.discards == 0);
		CHECK(rig_remount(&rig, FS_MOUNT_DISCARD, 0) == 0);
		remove_file(&rig, 2);
		for (unsigned i = 0; i < 2; i++)
			CHECK(file_is_whole(&rig, i));
		CHECK(rig_unmount(&rig) == 0 && rig.discards != 0 && rig_clean(&rig));
		rig_free(&rig);
	}
}

/* Requests that wait for room while all that is free is at the disk to be discarded. */
static void
who_needs_room_has_it_back(void)
{
	struct rig rig;
	struct fs_job *trim, *reserve;
	struct ref file = rig_no_ref;

	rig_make(&rig, BYTES, "-b 4096 -m 0");
	rig.disk.has_discard = true;
	CHECK(rig_mount(&rig, FS_MOUNT_DISCARD) == 0);
	CHECK(rig_create(&rig, rig_root(&rig), "big", 0100644, NULL, &file) == 0);
	CHECK(rig_fallocate(&rig, file, 0, 0, free_bytes(&rig) - (6 << 20)) >= 0);
	CHECK(rig_sync(&rig) == 0);
	trim = rig_job(&rig, FS_TRIM);
	trim->request.length = UINT64_MAX;
	fs_submit(rig.fs, trim);
	fs_run(rig.fs);
	CHECK(!trim->finished && rig.queued > 0);
	reserve = rig_job(&rig, FS_RESERVE);
	reserve->request.length = 1;
	CHECK(rig_call(&rig, reserve) == 1);
	while (!trim->finished && rig_poll(&rig.disk))
		fs_run(rig.fs);
	CHECK(trim->finished && trim->answer.result > 0);
	rig_job_free(trim);
	rig_job_free(reserve);
	/* freed and waiting to be discarded: the next file takes all of it */
	CHECK(rig_truncate(&rig, file, 0) >= 0);
	CHECK(rig_fallocate(&rig, file, 0, 0, 32 << 20) >= 0);
	CHECK(rig_unmount(&rig) == 0 && rig_clean(&rig));
	rig_free(&rig);
}

static void
what_the_disk_refuses_is_still_free(void)
{
	for (int error = 0; error < 2; error++) {
		struct rig rig;
		uint64_t all;

		rig_make(&rig, BYTES, "-b 4096");
		rig.disk.has_discard = true;
		CHECK(rig_mount(&rig, FS_MOUNT_DISCARD) == 0);
		make_file(&rig, 1);
		make_file(&rig, 2);
		CHECK(rig_sync(&rig) == 0);
		all = free_bytes(&rig);
		rig.fail_at = 1;
		rig.fail_error = error == 0 ? -EIO : -EOPNOTSUPP;
		CHECK(rig_trim(&rig, 0, UINT64_MAX, 0) == rig.fail_error);
		CHECK(rig_trim(&rig, 0, UINT64_MAX, 0) == (int64_t)all);
		remove_file(&rig, 1);
		CHECK(rig_sync(&rig) == 0);
		rig.fail_at = rig.queued == 0 ? 0 : 1;
		CHECK(rig.fail_at == 1);
		rig_settle(&rig);
		CHECK(strstr(rig.said, "cannot be discarded") != NULL);
		/* its group is not taken for trimmed */
		CHECK(rig_trim(&rig, 0, UINT64_MAX, 0) >= FILE_BYTES);
		CHECK(!fs_read_only(rig.fs) && file_is_whole(&rig, 2));
		CHECK(rig_unmount(&rig) == 0 && rig_clean(&rig));
		rig_free(&rig);
	}
}

static void
commits_come_as_often_as_was_asked_for(void)
{
	struct rig rig;
	uint64_t before;

	rig_make(&rig, BYTES, "-b 4096");
	CHECK(rig_mount(&rig, 0) == 0);
	CHECK(rig_remount(&rig, 0, 30) == 0);
	before = fs_committed(rig.fs);
	make_file(&rig, 1);
	rig.clock += 29000000000;
	rig_settle(&rig);
	CHECK(fs_committed(rig.fs) == before);
	rig.clock += 2000000000;
	rig_settle(&rig);
	CHECK(fs_committed(rig.fs) > before);
	CHECK(rig_remount(&rig, 0, 0) == 0);
	before = fs_committed(rig.fs);
	make_file(&rig, 2);
	rig.clock += 6000000000;
	rig_settle(&rig);
	CHECK(fs_committed(rig.fs) > before);
	CHECK(rig_unmount(&rig) == 0);
	rig_free(&rig);
}

/* Blocks were freed while the disk was at the first batch, and there was no memory to note which. */
static void
a_group_that_closes_is_left_alone(void)
{
	struct rig rig;
	struct fs_job *job;
	uint64_t first;

	rig_make(&rig, BYTES, "-b 4096");
	rig.disk.has_discard = true;
	CHECK(rig_mount(&rig, 0) == 0);
	for (unsigned i = 0; i < 100; i++)
		make_file(&rig, i);
	for (unsigned i = 1; i < 100; i += 2)
		remove_file(&rig, i);
	CHECK(rig_sync(&rig) == 0);
	job = rig_job(&rig, FS_TRIM);
	job->request.length = UINT64_MAX;
	fs_submit(rig.fs, job);
	do {
		fs_run(rig.fs);
	} while (rig.discards == 0 && !job->finished && rig_poll(&rig.disk));
	first = rig.discards + rig.queued;
	CHECK(rig.fs->groups == 1 && !job->finished && first > 1);
	rig.fs->group[0].closed_until = rig.fs->journal.running->id;
	while (!job->finished && rig_poll(&rig.disk))
		fs_run(rig.fs);
	CHECK(job->finished && job->answer.result > 0);
	CHECK(rig.discards == first);
	rig_job_free(job);
	/* once its transaction has committed, the rest is told */
	rig.fs->group[0].closed_until = 0;
	CHECK(rig_trim(&rig, 0, UINT64_MAX, 0) > 0 && rig.discards > first);
	CHECK(!rig.illegal && rig_unmount(&rig) == 0 && rig_clean(&rig));
	rig_free(&rig);
}

int
main(void)
{
	RUN(all_that_is_free_is_trimmed_once);
	RUN(what_linux_refuses_is_refused);
	RUN(short_runs_are_left_alone);
	RUN(a_group_that_closes_is_left_alone);
	RUN(freed_blocks_are_discarded_after_their_commit);
	RUN(who_needs_room_has_it_back);
	RUN(what_the_disk_refuses_is_still_free);
	RUN(commits_come_as_often_as_was_asked_for);
	CHECK_END();
}
