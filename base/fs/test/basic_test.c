/* SPDX-License-Identifier: MIT */
/* The operations one after the other, each image checked by e2fsck. */
#include <check.h>
#include "rig.h"
#include "../core.h"

static const char *const shapes[] = {
	"-b 4096", "-b 1024", "-b 1024 -O ^64bit", "-b 2048 -O ^metadata_csum", "-b 4096 -O ^metadata_csum,uninit_bg",
	"-b 4096 -I 128", "-b 1024 -O ^flex_bg", "-b 1024 -O sparse_super2", "-b 4096 -O ^dir_index",
	"-b 1024 -O meta_bg,^resize_inode", "-b 4096 -O metadata_csum_seed", "-b 1024 -g 1024 -N 2048",
};
enum { SHAPES = sizeof shapes / sizeof shapes[0] };

static char data[300000], back[300000];

static void
use_it(struct rig *rig)
{
	struct ref root = rig_root(rig), dir, sub, file, link;
	struct fs_attributes a;
	char text[300], target[200];

	CHECK(rig_create(rig, root, "dir", 040755, NULL, &dir) == 0);
	CHECK(rig_create(rig, root, "dir", 040755, NULL, &dir) == -EEXIST);
	CHECK(rig_create(rig, dir, "file", 0100644, NULL, &file) == 0);
	for (size_t i = 0; i < sizeof data; i++)
		data[i] = (char)(i * 7 + i / 4096);
	CHECK(rig_write(rig, file, 0, data, 100001) == 100001);
	memset(back, 0, sizeof back);
	CHECK(rig_read(rig, file, 0, back, 200000) == 100001);
	CHECK(memcmp(data, back, 100001) == 0);
	CHECK(rig_getattr(rig, file, &a) == 0 && a.size == 100001 && a.nlink == 1);
	CHECK(rig_create(rig, dir, "fast", 0120777, "short", &link) == 0);
	CHECK(rig_readlink(rig, link, text, sizeof text) == 5 && strcmp(text, "short") == 0);
	memset(target, 'y', 150);
	target[150] = '\0';
	CHECK(rig_create(rig, dir, "slow", 0120777, target, &link) == 0);
	CHECK(rig_readlink(rig, link, text, sizeof text) == 150 && strcmp(text, target) == 0);
	CHECK(rig_link(rig, root, "hard", file) == 0);
	CHECK(rig_getattr(rig, file, &a) == 0 && a.nlink == 2);
	CHECK(rig_create(rig, dir, "sub", 040700, NULL, &sub) == 0);
	CHECK(rig_rename(rig, dir, "sub", root, "moved", 0) == 0);
	CHECK(rig_rename(rig, root, "dir", sub, "below", 0) == 0);
	CHECK(rig_rename(rig, root, "moved", dir, "loop", 0) == -EINVAL);
	CHECK(rig_rename(rig, sub, "below", root, "dir", 0) == 0);
	CHECK(rig_unlink(rig, root, "hard") == 0);
	CHECK(rig_rmdir(rig, root, "dir") == -ENOTEMPTY);
	CHECK(rig_rmdir(rig, root, "moved") == 0);
	CHECK(rig_truncate(rig, file, 5000) == 0);
	CHECK(rig_truncate(rig, file, 60000) == 0);
	CHECK(rig_read(rig, file, 0, back, 100000) == 60000);
	CHECK(memcmp(data, back, 5000) == 0);
	for (int i = 5000; i < 60000; i++)
		if (back[i] != 0) {
			CHECK(back[i] == 0);
			break;
		}
	CHECK(rig_fallocate(rig, file, 0, 100000, 50000) == 0);
	CHECK(rig_getattr(rig, file, &a) == 0 && a.size == 150000);
	CHECK(rig_write(rig, file, 110592, data, 8192) == 8192);
	CHECK(rig_fallocate(rig, file, 3, 1000, 3000) == 0);
	CHECK(rig_read(rig, file, 0, back, 5000) == 5000);
	CHECK(memcmp(back, data, 1000) == 0 && back[1000] == 0 && back[3999] == 0 && back[4000] == data[4000]);
	CHECK(rig_setxattr(rig, file, "user.colour", "green", 5, 0) == 0);
	CHECK(rig_getxattr(rig, file, "user.colour", text, sizeof text) == 5 && memcmp(text, "green", 5) == 0);
	CHECK(rig_getxattr(rig, file, "user.none", text, sizeof text) == -ENODATA);
	CHECK(rig_setxattr(rig, file, "user.big", data, 700, 0) == 0);
	CHECK(rig_getxattr(rig, file, "user.big", back, sizeof back) == 700 && memcmp(back, data, 700) == 0);
	CHECK(rig_create(rig, root, "null", 020666, NULL, &link) == 0);
	CHECK(rig_fsync(rig, file) == 0);
}

/* ---- cookies ---- */

enum { NAMES = 300 };

struct listed {
	uint64_t cookie[2 * NAMES];	/* by the number in the name; 0: not there */
	uint64_t last;
};

static void
note(void *context, const struct fs_entry *e)
{
	struct listed *l = context;

	CHECK(e->cookie > l->last);
	l->last = e->cookie;
	if (e->name[0] == 'n')
		l->cookie[atoi(e->name + 1)] = e->cookie;
}

/* An operation on names as its answer shows it. */
static struct fs_answer
name_op(struct rig *rig, uint32_t op, struct ref dir, unsigned name, unsigned new)
{
	struct fs_job *job = rig_job(rig, op);
	struct fs_answer answer;
	int at = snprintf((char *)job->page, 64, "n%u", name);

	snprintf((char *)job->page + at + 1, 64, "n%u", new);
	job->request.inode = job->request.inode2 = dir.inode;
	job->request.generation = job->request.generation2 = dir.generation;
	job->request.mode = 0100644;
	CHECK(rig_call(rig, job) == 0);
	answer = job->answer;
	rig_job_free(job);
	if (op == FS_UNLINK)
		CHECK(rig_evict(rig, (struct ref){ answer.attributes.inode, answer.attributes.generation }) == 0);
	return answer;
}

/* Two names of one hash have one cookie in answers: the listing's is that one, or just behind it. */
static bool
is_cookie(uint64_t listed, uint64_t said)
{
	return listed >= said && listed - said < FS_COOKIE_NEAR;
}

static void
answers_say_the_cookies_of_names(void)
{
	static const char *const hashed[] = { "-b 4096", "-b 1024", "-b 1024 -O ^metadata_csum" };

	for (unsigned s = 0; s < 3; s++) {
		struct listed before = { .last = 0 }, after = { .last = 0 };
		struct fs_answer answer;
		uint64_t made[NAMES];
		struct ref dir;
		struct rig rig;

		rig_make(&rig, 16 << 20, hashed[s]);
		CHECK(rig_mount(&rig, 0) == 0);
		CHECK(rig_create(&rig, rig_root(&rig), "dir", 040755, NULL, &dir) == 0);
		for (unsigned i = 0; i < NAMES; i++)
			made[i] = name_op(&rig, FS_CREATE, dir, i, 0).made;
		CHECK(rig_list(&rig, dir, note, &before) == 0);
		for (unsigned i = 0; i < NAMES; i++)
			CHECK(made[i] != 0 && is_cookie(before.cookie[i], made[i]));
		for (unsigned i = 0; i < NAMES; i += 2) {
			if (i % 4 == 0) {
				answer = name_op(&rig, FS_UNLINK, dir, i, 0);
				CHECK(answer.made == 0);
			} else {
				answer = name_op(&rig, FS_RENAME, dir, i, NAMES + i);
				made[i] = answer.made;
			}
			CHECK(answer.gone != 0 && is_cookie(before.cookie[i], answer.gone));
		}
		CHECK(rig_list(&rig, dir, note, &after) == 0);
		for (unsigned i = 0; i < NAMES; i++) {
			CHECK(i % 2 == 0 ? after.cookie[i] == 0 : is_cookie(after.cookie[i], made[i]));
			if (i % 4 == 2)
				CHECK(is_cookie(after.cookie[NAMES + i], made[i]));
		}
		CHECK(rig_unmount(&rig) == 0);
		CHECK(rig_clean(&rig));
		rig_free(&rig);
	}
}

static void
by_place_nothing_is_said(void)
{
	struct ref dir;
	struct rig rig;

	rig_make(&rig, 16 << 20, "-b 1024 -O ^dir_index");
	CHECK(rig_mount(&rig, 0) == 0);
	CHECK(rig_create(&rig, rig_root(&rig), "dir", 040755, NULL, &dir) == 0);
	CHECK(name_op(&rig, FS_CREATE, dir, 1, 0).made == 0);
	CHECK(name_op(&rig, FS_UNLINK, dir, 1, 0).gone == 0);
	CHECK(rig_unmount(&rig) == 0);
	rig_free(&rig);
}

static void
every_shape_stays_clean(void)
{
	for (unsigned i = 0; i < SHAPES; i++) {
		struct rig rig;

		printf("  %s\n", shapes[i]);
		rig_make(&rig, 16 << 20, shapes[i]);
		rig.shuffle = true;
		CHECK(rig_mount(&rig, 0) == 0);
		if (rig.fs != NULL) {
			CHECK(!fs_read_only(rig.fs));
			use_it(&rig);
			CHECK(rig_unmount(&rig) == 0);
			CHECK(rig_clean(&rig));
		}
		CHECK(!rig.illegal);
		if (!check_ok)
			printf("%s", rig.said);
		rig_free(&rig);
	}
}

/* ---- names of one hash ----------------------------------------------------------------------- */

enum { CANDIDATES = 300000, CROWD = 200 };

struct candidate {
	uint32_t hash, number;
};

static int
by_hash(const void *a, const void *b)
{
	const struct candidate *x = a, *y = b;

	return x->hash != y->hash ? (x->hash < y->hash ? -1 : 1) : x->number < y->number ? -1 : 1;
}

/* Two names with the same hash in this file system. */
static bool
find_twins(struct rig *rig, char one[16], char other[16])
{
	struct candidate *all = malloc(CANDIDATES * sizeof *all);
	bool found = false;

	for (uint32_t i = 0; i < CANDIDATES; i++) {
		char name[16];
		int n = snprintf(name, sizeof name, "t%u", i);

		all[i].number = i;
		CHECK(name_hash(name, (size_t)n, rig->fs->hash_version + rig->fs->hash_unsigned,
		    rig->fs->super->hash_seed, &all[i].hash));
	}
	qsort(all, CANDIDATES, sizeof *all, by_hash);
	for (uint32_t i = 1; i < CANDIDATES && !found; i++)
		if (all[i].hash == all[i - 1].hash) {
			snprintf(one, 16, "t%u", all[i - 1].number);
			snprintf(other, 16, "t%u", all[i].number);
			found = true;
		}
	free(all);
	return found;
}

/* The cookie of a name in a listing that begins at `from`; 0: it is not in it. */
static uint64_t
cookie_from(struct rig *rig, struct ref dir, uint64_t from, const char *name)
{
	uint64_t cookie = from, found = 0;
	int64_t bytes = 1;

	while (bytes > 0 && found == 0) {
		struct fs_job *job = rig_job(rig, FS_READDIR);

		job->request.inode = dir.inode;
		job->request.generation = dir.generation;
		job->request.offset = cookie;
		bytes = rig_call(rig, job);
		for (int64_t at = 0; at < bytes; ) {
			const struct fs_entry *e = (const struct fs_entry *)(const void *)(job->page + at);

			CHECK(e->cookie >= cookie);
			cookie = e->cookie;
			if (strlen(name) == e->name_length && memcmp(e->name, name, e->name_length) == 0)
				found = cookie;
			at += e->length;
		}
		rig_job_free(job);
	}
	return found;
}

static void
a_listing_between_names_of_one_hash_misses_none(void)
{
	static const char *const made[] = { "-b 1024", "-b 1024 -O ^metadata_csum" };
	char one[16], other[16], name[16];
	struct ref dir, file;

	for (unsigned i = 0; i < 2; i++) {
		struct rig rig;
		uint64_t first, second;

		rig_make(&rig, 16 << 20, made[i]);
		CHECK(rig_mount(&rig, 0) == 0);
		CHECK(find_twins(&rig, one, other));
		CHECK(rig_create(&rig, rig_root(&rig), "d", 040755, NULL, &dir) == 0);
		/* one block, then an index */
		for (unsigned n = 0; n < i * CROWD; n++) {
			snprintf(name, sizeof name, "crowd%u", n);
			CHECK(rig_create(&rig, dir, name, 0100644, NULL, &file) == 0);
		}
		CHECK(rig_create(&rig, dir, one, 0100644, NULL, &file) == 0);
		CHECK(rig_create(&rig, dir, other, 0100644, NULL, &file) == 0);
		first = cookie_from(&rig, dir, 0, one);
		second = cookie_from(&rig, dir, 0, other);
		CHECK(first != 0 && second != 0 && first != second);
		/* whoever stands behind the one sees the other, and only that one */
		CHECK((cookie_from(&rig, dir, first, other) != 0) == (first < second));
		CHECK(rig_unlink(&rig, dir, first < second ? one : other) == 0);
		CHECK(cookie_from(&rig, dir, first < second ? first : second, first < second ? other : one) ==
		    (first < second ? second : first));
		CHECK(rig_unmount(&rig) == 0);
		CHECK(rig_clean(&rig));
		rig_free(&rig);
	}
}

static int64_t
reserve_as_a_user(struct rig *rig, uint64_t blocks)
{
	struct fs_job *job = rig_job(rig, FS_RESERVE);
	int64_t granted;

	job->request.length = blocks;
	job->request.uid = 1000;
	granted = rig_call(rig, job);
	rig_job_free(job);
	return granted;
}

static uint64_t
blocks_told_as_available(struct rig *rig)
{
	struct fs_job *job = rig_job(rig, FS_STATFS);
	uint64_t blocks = 0;

	if (rig_call(rig, job) >= 0)
		blocks = ((const struct fs_statfs *)(const void *)job->page)->available;
	rig_job_free(job);
	return blocks;
}

/* df(1) shows neither more nor less than a user gets. */
static void
what_is_available_can_be_had(void)
{
	struct rig rig;
	uint64_t blocks;

	rig_make(&rig, 64 << 20, "-b 4096 -m 5");
	CHECK(rig_mount(&rig, 0) == 0);
	blocks = blocks_told_as_available(&rig);
	CHECK(blocks > 0);
	CHECK(reserve_as_a_user(&rig, blocks + 1) == (int64_t)blocks);
	CHECK(blocks_told_as_available(&rig) == 0);
	CHECK(reserve_as_a_user(&rig, 1) == -ENOSPC);
	CHECK(rig_unmount(&rig) == 0 && rig_clean(&rig));
	rig_free(&rig);
}

int
main(void)
{
	RUN(what_is_available_can_be_had);
	RUN(a_listing_between_names_of_one_hash_misses_none);
	RUN(every_shape_stays_clean);
	RUN(answers_say_the_cookies_of_names);
	RUN(by_place_nothing_is_said);
	CHECK_END();
}
