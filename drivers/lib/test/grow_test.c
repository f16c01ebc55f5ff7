/* SPDX-License-Identifier: MIT */
/*
 * Growing the last partition: what sgdisk made is grown, sgdisk finds no fault with the
 * result, and a power cut after any block that was written leaves a table that counts.
 */
#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <driver/gpt.h>
#include <tessera/runtime.h>

enum { BLOCK = 512, OLD_MIB = 8, NEW_MIB = 24, BUFFER = 24576 };

static uint8_t *disk;
static unsigned passed, failed;

static void
check(bool ok, const char *name)
{
	printf("%s %s\n", ok ? "ok  " : "FAIL", name);
	*(ok ? &passed : &failed) += 1;
}

/* A disk of OLD_MIB with three partitions, copied to one of NEW_MIB. */
static void
make_disk(const char *path, const char *layout)
{
	char command[512];
	FILE *f;

	snprintf(command, sizeof command, "rm -f %s && truncate -s %dM %s && PATH=$PATH:/usr/sbin:/sbin sgdisk %s %s >/dev/null",
	    path, OLD_MIB, path, layout, path);
	assert(system(command) == 0);
	memset(disk, 0, (size_t)NEW_MIB << 20);
	f = fopen(path, "rb");
	assert(f != NULL && fread(disk, 1, OLD_MIB << 20, f) == OLD_MIB << 20);
	fclose(f);
}

static void
scan(struct gpt *g, const uint8_t *image, uint64_t blocks)
{
	uint64_t block;
	uint32_t count;

	gpt_begin(g, BLOCK, blocks, 8192);
	while (gpt_wants(g, &block, &count)) {
		assert(block + count <= blocks);
		gpt_feed(g, image + block * BLOCK);
	}
}

/* Do up to `most` block writes of the growth; returns whether it went to its end. */
static bool
grow(struct gpt_grow *w, uint8_t *image, unsigned most)
{
	static uint8_t buffer[BUFFER];
	struct gpt_grow_io io;

	while (gpt_grow_wants(w, &io)) {
		assert(io.offset + (uint64_t)io.count * BLOCK <= BUFFER);
		if (io.kind == GPT_GROW_IO_READ)
			memcpy(buffer, image + io.block * BLOCK, (size_t)io.count * BLOCK);
		for (uint32_t i = 0; io.kind == GPT_GROW_IO_WRITE && i < io.count; i++) {
			if (most-- == 0)
				return false;
			memcpy(image + (io.block + i) * BLOCK, buffer + io.offset + i * BLOCK, BLOCK);
		}
		gpt_grow_fed(w, true, buffer);
	}
	return true;
}

static void
sgdisk_finds_no_fault(const char *path)
{
	char command[256];
	FILE *f = fopen(path, "wb");

	assert(f != NULL && fwrite(disk, 1, (size_t)NEW_MIB << 20, f) == (size_t)NEW_MIB << 20);
	fclose(f);
	snprintf(command, sizeof command, "PATH=$PATH:/usr/sbin:/sbin sgdisk -v %s | grep -q '^No problems found'", path);
	check(system(command) == 0, "sgdisk_finds_no_fault");
}

static void
the_last_partition_reaches_the_end(const char *path)
{
	struct gpt g;
	struct gpt_grow w;
	const struct gpt_part *p;
	uint64_t blocks = ((uint64_t)NEW_MIB << 20) / BLOCK;

	scan(&g, disk, blocks);
	p = gpt_find(&g, "root");
	check(g.source == GPT_PRIMARY && p != NULL && gpt_grow_begin(&w, &g, p, BUFFER), "it_can_be_grown");
	check(grow(&w, disk, UINT32_MAX) && w.grown, "it_is_grown");
	scan(&g, disk, blocks);
	p = gpt_find(&g, "root");
	check(g.source == GPT_PRIMARY && g.why[0] == '\0' && p != NULL && p->last == blocks - 34 && g.count == 3,
	    "the_last_partition_reaches_the_end");
	check(p != NULL && !gpt_grow_begin(&w, &g, p, BUFFER), "once_is_enough");
	sgdisk_finds_no_fault(path);
}

static void
a_power_cut_leaves_a_table(void)
{
	uint64_t blocks = ((uint64_t)NEW_MIB << 20) / BLOCK;
	uint8_t *image = malloc((size_t)NEW_MIB << 20);
	unsigned cuts = 0, wrong = 0;
	struct gpt g;
	struct gpt_grow w;
	bool end = false;

	assert(image != NULL);
	for (; !end; cuts++) {
		const struct gpt_part *p;
		uint64_t old_last;

		memcpy(image, disk, (size_t)NEW_MIB << 20);
		scan(&g, image, blocks);
		old_last = gpt_find(&g, "root")->last;
		assert(gpt_grow_begin(&w, &g, gpt_find(&g, "root"), BUFFER));
		end = grow(&w, image, cuts);
		scan(&g, image, blocks);
		p = gpt_find(&g, "root");
		wrong += g.source == GPT_NONE || g.count != 3 || p == NULL ||
		    (p->last != old_last && p->last != blocks - 34);
	}
	printf("     %u cuts\n", cuts);
	check(wrong == 0 && cuts > 60, "a_power_cut_leaves_a_table");
	free(image);
}

static void
others_are_left_alone(void)
{
	struct gpt g;
	struct gpt_grow w;
	uint64_t blocks = ((uint64_t)NEW_MIB << 20) / BLOCK;

	scan(&g, disk, blocks);
	check(!gpt_grow_begin(&w, &g, gpt_find(&g, "first"), BUFFER), "only_the_last_one_grows");
	check(!gpt_grow_begin(&w, &g, gpt_find(&g, "root"), 8192), "a_small_buffer_is_refused");
	scan(&g, disk, ((uint64_t)OLD_MIB << 20) / BLOCK);
	check(!gpt_grow_begin(&w, &g, gpt_find(&g, "root"), BUFFER), "a_full_disk_stays");
	disk[BLOCK + 60] ^= 1;
	scan(&g, disk, blocks);
	check(gpt_find(&g, "root") == NULL || !gpt_grow_begin(&w, &g, gpt_find(&g, "root"), BUFFER),
	    "a_broken_primary_is_not_touched");
	disk[BLOCK + 60] ^= 1;
}

int
main(void)
{
	char path[] = "/tmp/grow-XXXXXX";
	int fd = mkstemp(path);

	assert(fd >= 0);
	disk = malloc((size_t)NEW_MIB << 20);
	assert(disk != NULL);
	make_disk(path, "-o -n 1:2048:4095 -c 1:first -n 3:4096:6143 -c 3:second -n 2:8192:0 -c 2:root");
	others_are_left_alone();
	a_power_cut_leaves_a_table();
	the_last_partition_reaches_the_end(path);
	remove(path);
	free(disk);
	printf("%u passed, %u failed\n", passed, failed);
	return failed != 0;
}
