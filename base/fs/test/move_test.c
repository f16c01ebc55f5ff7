/* SPDX-License-Identifier: MIT */
/*
 * Ranges of a file that go and come (FALLOC_FL_COLLAPSE_RANGE, FALLOC_FL_INSERT_RANGE): in
 * trees of any depth, with power cuts in the middle, and when the server dies.
 */
#include <check.h>
#include "rig.h"

enum { COLLAPSE = 8, INSERT = 32, PUNCH = 3, BLOCK = 1024, BLOCKS = 2600 };

/* Which block of the beginning lies where; 0: none. */
static uint16_t model[2 * BLOCKS];
static unsigned size;
static uint8_t data[2 * BLOCKS * BLOCK];

static void
fill(uint8_t *to, unsigned n)
{
	for (unsigned i = 0; i < BLOCK; i++)
		to[i] = n == 0 ? 0 : (uint8_t)(n * 37 + (n >> 8) + i);
}

static bool
is_as(struct rig *rig, struct ref file, const uint16_t *blocks, unsigned count)
{
	static uint8_t back[2 * BLOCKS * BLOCK + 4096], want[BLOCK];
	struct fs_attributes a;

	if (rig_getattr(rig, file, &a) < 0 || a.size != (uint64_t)count * BLOCK)
		return false;
	for (unsigned at = 0; at < count; at += 512) {
		unsigned n = count - at < 512 ? count - at : 512;

		if (rig_read(rig, file, (uint64_t)at * BLOCK, back + (size_t)at * BLOCK, n * BLOCK) != (int64_t)n * BLOCK)
			return false;
	}
	for (unsigned i = 0; i < count; i++) {
		fill(want, blocks[i]);
		if (memcmp(back + (size_t)i * BLOCK, want, BLOCK) != 0)
			return false;
	}
	return true;
}

/* `count` blocks of which every `every`-th is a hole. */
static struct ref
make(struct rig *rig, unsigned count, unsigned every)
{
	struct ref file = rig_no_ref;

	CHECK(rig_create(rig, rig_root(rig), "f", 0100644, NULL, &file) == 0);
	for (unsigned i = 0; i < count; i++) {
		model[i] = (uint16_t)(i + 1);
		fill(data + (size_t)i * BLOCK, i + 1);
	}
	for (unsigned at = 0; at < count; at += 512)
		CHECK(rig_write(rig, file, (uint64_t)at * BLOCK, data + (size_t)at * BLOCK,
		    (count - at < 512 ? count - at : 512) * BLOCK) >= 0);
	for (unsigned i = every; every != 0 && i < count; i += every) {
		CHECK(rig_fallocate(rig, file, PUNCH, (uint64_t)i * BLOCK, BLOCK) == 0);
		model[i] = 0;
	}
	size = count;
	return file;
}

static void
move_model(uint32_t mode, unsigned first, unsigned count)
{
	if (mode == COLLAPSE) {
		memmove(model + first, model + first + count, (size - first - count) * sizeof *model);
		size -= count;
	} else {
		memmove(model + first + count, model + first, (size - first) * sizeof *model);
		memset(model + first, 0, count * sizeof *model);
		size += count;
	}
}

static void
move(struct rig *rig, struct ref file, uint32_t mode, unsigned first, unsigned count)
{
	CHECK(rig_fallocate(rig, file, mode, (uint64_t)first * BLOCK, (uint64_t)count * BLOCK) == 0);
	move_model(mode, first, count);
}

static void
deep_trees_move_whole(void)
{
	static const char *const shapes[] = { "-b 1024", "-b 1024 -O ^64bit,^metadata_csum -I 128" };

	for (unsigned s = 0; s < 2; s++) {
		struct rig rig;
		struct ref file;

		rig_make(&rig, 32 << 20, shapes[s]);
		rig.shuffle = true;
		CHECK(rig_mount(&rig, 0) == 0);
		file = make(&rig, BLOCKS, 2);
		CHECK(is_as(&rig, file, model, size));
		move(&rig, file, COLLAPSE, 1, 1);	/* a hole: neighbours meet */
		move(&rig, file, COLLAPSE, 0, 300);
		move(&rig, file, INSERT, 0, 5);
		move(&rig, file, INSERT, 1000, 777);
		CHECK(is_as(&rig, file, model, size));
		move(&rig, file, COLLAPSE, 990, 900);
		for (unsigned i = 0; i < 60; i++) {
			unsigned first = (unsigned)(rig_random(&rig) % (size - 40));

			move(&rig, file, i % 2 == 0 ? INSERT : COLLAPSE, first, 1 + (unsigned)(rig_random(&rig) % 30));
		}
		CHECK(is_as(&rig, file, model, size));
		CHECK(rig_unmount(&rig) == 0 && rig_clean(&rig));
		CHECK(rig_mount(&rig, 0) == 0);
		CHECK(rig_path(&rig, "f", &file) >= 0 && is_as(&rig, file, model, size));
		/* from whole extents, to the last block, and what is written then lies where it should */
		CHECK(rig_truncate(&rig, file, 0) >= 0);
		CHECK(rig_unlink(&rig, rig_root(&rig), "f") >= 0);
		file = make(&rig, 600, 0);
		move(&rig, file, INSERT, 300, 10);
		CHECK(rig_write(&rig, file, 305 * BLOCK, data, BLOCK) >= 0);
		model[305] = 1;
		move(&rig, file, COLLAPSE, 100, size - 101);
		CHECK(size == 101 && is_as(&rig, file, model, size));
		CHECK(!rig.illegal && rig_unmount(&rig) == 0 && rig_clean(&rig));
		rig_free(&rig);
	}
}

static void
what_makes_no_sense_is_refused(void)
{
	struct rig rig;
	struct ref file;

	rig_make(&rig, 8 << 20, "-b 1024");
	CHECK(rig_mount(&rig, 0) == 0);
	file = make(&rig, 100, 0);
	CHECK(rig_fallocate(&rig, file, COLLAPSE, 1, BLOCK) == -EINVAL);
	CHECK(rig_fallocate(&rig, file, INSERT, BLOCK, 100) == -EINVAL);
	CHECK(rig_fallocate(&rig, file, COLLAPSE, 99 * BLOCK, BLOCK) == -EINVAL);	/* to the end: truncate does that */
	CHECK(rig_fallocate(&rig, file, INSERT, 100 * BLOCK, BLOCK) == -EINVAL);
	CHECK(rig_fallocate(&rig, file, COLLAPSE | 1, 0, BLOCK) == -EOPNOTSUPP);
	CHECK(rig_fallocate(&rig, file, COLLAPSE | INSERT, 0, BLOCK) == -EOPNOTSUPP);
	CHECK(rig_fallocate(&rig, file, INSERT, 0, (1ULL << 42) - 50 * BLOCK) == -EFBIG);
	CHECK(is_as(&rig, file, model, size));
	CHECK(rig_unmount(&rig) == 0 && rig_clean(&rig));
	rig_free(&rig);
}

/* Before, with a hole where the range is to go, or after: whenever the power fails. */
static void
power_cuts_leave_it_moved_or_not(void)
{
	static uint16_t before[2 * BLOCKS], hole[2 * BLOCKS];

	for (unsigned insert = 0; insert < 2; insert++) {
		struct rig rig;
		struct ref file;
		uint8_t *start;
		unsigned was, whole = 0, moved = 0;

		rig_make(&rig, 8 << 20, "-b 1024");
		CHECK(rig_mount(&rig, 0) == 0);
		file = make(&rig, 700, 3);
		CHECK(rig_sync(&rig) == 0);
		CHECK(rig_unmount(&rig) == 0);
		memcpy(before, model, sizeof before);
		memcpy(hole, model, sizeof hole);
		memset(hole + 101, 0, 200 * sizeof *hole);
		was = size;
		start = malloc(rig.disk.bytes);
		memcpy(start, rig.bytes, rig.disk.bytes);
		rig.record = rig.shuffle = true;
		CHECK(rig_mount(&rig, 0) == 0);
		CHECK(rig_path(&rig, "f", &file) >= 0);
		move(&rig, file, insert ? INSERT : COLLAPSE, 101, 200);
		CHECK(rig_fsync(&rig, file) == 0);
		rig_kill(&rig);
		for (uint32_t events = 0; events <= rig.logged && check_ok; events++) {
			struct rig cut = rig;

			cut.bytes = malloc(rig.disk.bytes);
			cut.log = NULL;
			cut.logged = cut.log_room = 0;
			cut.record = false;
			cut.disk.context = &cut;
			rig_cut(&rig, start, events, events * 31 + insert, cut.bytes);
			CHECK(rig_mount(&cut, 0) == 0);
			CHECK(rig_path(&cut, "f", &file) >= 0);
			if (is_as(&cut, file, model, size))
				moved++;
			else if (is_as(&cut, file, before, was) || (!insert && is_as(&cut, file, hole, was)))
				whole++;
			else
				CHECK(!"neither before nor after");
			CHECK(rig_unmount(&cut) == 0);
			if (events % 4 == 0)
				CHECK(rig_clean(&cut));
			free(cut.bytes);
		}
		CHECK(whole > 2 && moved > 0);
		free(start);
		rig_free(&rig);
	}
}

/* Done and not committed: the next life does it again, once. */
static void
deaths_do_it_once(void)
{
	for (unsigned committed = 0; committed < 2; committed++) {
		struct rig rig;
		struct ref file;

		rig_make(&rig, 8 << 20, "-b 1024");
		CHECK(rig_mount(&rig, 0) == 0);
		file = make(&rig, 700, 3);
		CHECK(rig_sync(&rig) == 0);
		move(&rig, file, COLLAPSE, 101, 200);
		if (committed)
			CHECK(rig_sync(&rig) == 0);
		move(&rig, file, INSERT, 50, 33);
		rig_kill(&rig);
		rig.options.recovering = true;
		CHECK(rig_mount(&rig, 0) == 0);
		rig.options.recovering = false;
		CHECK(rig_path(&rig, "f", &file) >= 0 && is_as(&rig, file, model, size));
		CHECK(rig_unmount(&rig) == 0 && rig_clean(&rig));
		rig_free(&rig);
	}
}

/* Not one block is left for the nodes that a cut extent needs: nothing has changed. */
static void
a_full_disk_moves_or_says_so(void)
{
	struct rig rig;
	struct ref file, other = rig_no_ref;
	unsigned refused = 0, folders = 0;

	rig_make(&rig, 8 << 20, "-b 1024 -m 0");
	CHECK(rig_mount(&rig, 0) == 0);
	file = make(&rig, 700, 0);
	CHECK(rig_sync(&rig) == 0);
	CHECK(rig_create(&rig, rig_root(&rig), "g", 0100644, NULL, &other) == 0);
	CHECK(rig_fallocate(&rig, other, 0, 0, 8 << 20) == -ENOSPC);
	/* and what is kept for metadata */
	for (int64_t r = 0; r == 0; folders++) {
		char name[16];
		struct ref dir;

		sprintf(name, "d%u", folders);
		r = rig_create(&rig, rig_root(&rig), name, 040755, NULL, &dir);
	}
	CHECK(folders > 50 && folders < 1000);
	for (unsigned i = 0; i < 400; i++) {
		unsigned first = 1 + (unsigned)(rig_random(&rig) % (size - 10));
		int64_t r = rig_fallocate(&rig, file, INSERT, first * BLOCK, BLOCK);

		if (r == 0 && size + 1 < BLOCKS)
			move_model(INSERT, first, 1);
		refused += r == -ENOSPC;
		CHECK(r == 0 || r == -ENOSPC);
	}
	CHECK(refused > 0);
	CHECK(is_as(&rig, file, model, size));
	CHECK(!fs_read_only(rig.fs) && rig_unmount(&rig) == 0 && rig_clean(&rig));
	rig_free(&rig);
}

int
main(void)
{
	RUN(deep_trees_move_whole);
	RUN(what_makes_no_sense_is_refused);
	RUN(power_cuts_leave_it_moved_or_not);
	RUN(deaths_do_it_once);
	RUN(a_full_disk_moves_or_says_so);
	CHECK_END();
}
