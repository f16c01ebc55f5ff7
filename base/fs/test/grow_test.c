/* SPDX-License-Identifier: MIT */
/* A file system grows to its disk at mount, whatever the step, and is whole after it. */
#include <check.h>
#include "rig.h"

static char data[50000], back[50000];

static void
enlarge(struct rig *rig, uint64_t bytes)
{
	rig->bytes = realloc(rig->bytes, bytes);
	/* what lies behind is no zeroes */
	memset(rig->bytes + rig->disk.bytes, 0xa5, bytes - rig->disk.bytes);
	rig->disk.bytes = bytes;
}

static uint64_t
blocks_of(struct rig *rig)
{
	struct fs_job *job = rig_job(rig, FS_STATFS);
	uint64_t blocks = 0;

	if (rig_call(rig, job) == 0)
		blocks = ((struct fs_statfs *)(void *)job->page)->blocks *
		    ((struct fs_statfs *)(void *)job->page)->block_size;
	rig_job_free(job);
	return blocks;
}

static void
grow(const char *shape, uint64_t from, uint64_t to)
{
	struct rig rig;
	struct ref file;
	char name[40];

	printf("  %s, %llu to %llu MiB\n", shape, (unsigned long long)from >> 20, (unsigned long long)to >> 20);
	rig_make(&rig, from, shape);
	rig.shuffle = true;
	CHECK(rig_mount(&rig, 0) == 0);
	CHECK(rig_create(&rig, rig_root(&rig), "old", 0100644, NULL, &file) == 0);
	memset(data, 'o', sizeof data);
	CHECK(rig_write(&rig, file, 0, data, sizeof data) == sizeof data);
	CHECK(rig_unmount(&rig) == 0);
	enlarge(&rig, to);
	CHECK(rig_mount(&rig, FS_MOUNT_NO_GROW) == 0);
	CHECK(blocks_of(&rig) < from);
	CHECK(rig_unmount(&rig) == 0);
	CHECK(rig_mount(&rig, 0) == 0);
	CHECK(!fs_read_only(rig.fs));
	CHECK(blocks_of(&rig) > to - to / 4);
	CHECK(rig_path(&rig, "old", &file) == 0);
	CHECK(rig_read(&rig, file, 0, back, sizeof back) == sizeof back && memcmp(back, data, sizeof back) == 0);
	for (unsigned i = 0; i < 200 && check_ok; i++) {
		sprintf(name, "dir%u", i);
		CHECK(rig_create(&rig, rig_root(&rig), name, 040755, NULL, &file) == 0);
		CHECK(rig_create(&rig, file, "file", 0100644, NULL, &file) == 0);
		CHECK(rig_write(&rig, file, 0, data, 3000) == 3000);
	}
	CHECK(rig_unmount(&rig) == 0);
	CHECK(rig_clean(&rig));
	CHECK(!rig.illegal);
	if (!check_ok)
		printf("%s", rig.said);
	rig_free(&rig);
}

static void
it_fills_its_disk(void)
{
	grow("-b 1024 -J size=1", 10 << 20, 13 << 20);
	grow("-b 1024 -J size=4", 20 << 20, 90 << 20);
	grow("-b 1024 -g 1024 -J size=4 -N 2000", 20 << 20, 90 << 20);	/* more blocks of descriptors */
	grow("-b 4096 -J size=4", 40 << 20, 300 << 20);
	grow("-b 1024 -O ^metadata_csum,uninit_bg -J size=4", 20 << 20, 60 << 20);
	grow("-b 1024 -O ^resize_inode -J size=4", 20 << 20, 60 << 20);
}

int
main(void)
{
	RUN(it_fills_its_disk);
	CHECK_END();
}
