/* SPDX-License-Identifier: MIT */
/*
 * block/ through its system calls, against a disk in memory that answers in any
 * order and dies: names, contents against a model, errors, exclusion,
 * partitions, media that come and go; and the two parsers by themselves.
 */
#include <asm/ioctls.h>
#include <linux/blkpg.h>
#include <linux/falloc.h>
#include <linux/hdreg.h>
#include "block_host.h"

#define CWD ((uint64_t)AT_FDCWD)
enum { MIB = 1 << 20, DISK_BLOCKS = 16384 /* 8 MiB */, IO_PAGES = 4096 };

static uint8_t *buffer, *model;		/* aligned, 1 MiB; what the disk should have */

/* ---- tables ---- */

static void put16(uint8_t *p, uint32_t v) { p[0] = (uint8_t)v; p[1] = (uint8_t)(v >> 8); }
static void put32(uint8_t *p, uint32_t v) { put16(p, v); put16(p + 2, v >> 16); }
static void put64(uint8_t *p, uint64_t v) { put32(p, (uint32_t)v); put32(p + 4, (uint32_t)(v >> 32)); }

static uint32_t
crc32(const uint8_t *p, size_t n)
{
	uint32_t c = ~0u;

	for (; n > 0; n--, p++)
		for (unsigned bit = 0; bit < 8; bit++)
			c = ((c ^ *p >> bit) & 1) ? c >> 1 ^ 0xedb88320u : c >> 1;
	return ~c;
}

static void
mbr_entry(uint8_t *mbr, unsigned i, uint8_t type, uint32_t first, uint32_t count)
{
	uint8_t *e = mbr + 446 + 16 * i;

	e[4] = type;
	put32(e + 8, first);
	put32(e + 12, count);
	put16(mbr + 510, 0xaa55);
}

static void
gpt_header(uint8_t *h, uint64_t blocks, uint64_t my, uint64_t other, uint64_t entries, uint32_t crc)
{
	memset(h, 0, 512);
	memcpy(h, "EFI PART", 8);
	put32(h + 8, 0x10000);
	put32(h + 12, 92);
	put64(h + 24, my);
	put64(h + 32, other);
	put64(h + 40, 34);
	put64(h + 48, blocks - 34);
	memcpy(h + 56, "0123456789abcdef", 16);
	put64(h + 72, entries);
	put32(h + 80, 128);
	put32(h + 84, 128);
	put32(h + 88, crc);
	put32(h + 16, 0);
	put32(h + 16, crc32(h, 92));
}

static void
gpt_seal(uint8_t *disk, uint64_t blocks)
{
	uint32_t crc = crc32(disk + 1024, 128 * 128);

	memcpy(disk + (blocks - 33) * 512, disk + 1024, 128 * 128);
	gpt_header(disk + 512, blocks, 1, blocks - 1, 2, crc);
	gpt_header(disk + (blocks - 1) * 512, blocks, blocks - 1, 1, blocks - 33, crc);
}

static void
gpt_entry(uint8_t *disk, unsigned n, uint64_t first, uint64_t last, const char *name)
{
	uint8_t *e = disk + 1024 + 128 * (n - 1);

	memset(e, 0, 128);
	memcpy(e, "type-type-type-t", 16);
	memcpy(e + 16, "GUID-0-PARTITION", 16);
	e[20] = (uint8_t)('0' + n);
	put64(e + 32, first);
	put64(e + 40, last);
	for (unsigned i = 0; name[i] != '\0'; i++)
		put16(e + 56 + 2 * i, (uint8_t)name[i]);
}

/* Partitions 1 (blocks 2048..6143) and 3 (8193..12288: not on a page). */
static void
gpt_make(uint8_t *disk, uint64_t blocks)
{
	memset(disk, 0, 34 * 512);
	mbr_entry(disk, 0, 0xee, 1, 0xffffffff);
	gpt_entry(disk, 1, 2048, 6143, "boot part");
	gpt_entry(disk, 3, 8193, 12288, "r/o");
	gpt_seal(disk, blocks);
}

static long
read_memory(void *arg, uint64_t block, uint32_t count, void *to)
{
	memcpy(to, (uint8_t *)arg + block * 512, count * 512);
	return 0;
}

static struct part_table *
table_of(uint8_t *disk, uint64_t blocks)
{
	static struct part_table t;
	uint8_t b[PART_BUFFER];

	EXPECT(parts_read(&t, 512, blocks, read_memory, disk, b), 0);
	return &t;
}

static void
both_tables_are_checked(void)
{
	uint64_t blocks = 16384;
	uint8_t *d = calloc(blocks, 512);
	struct part_table *t;
	char text[37];

	EXPECT(table_of(d, blocks)->kind, PARTS_NONE);
	gpt_make(d, blocks);
	t = table_of(d, blocks);
	EXPECT(t->kind, PARTS_GPT);
	CHECK(!t->from_backup && !t->backup_bad);
	EXPECT(t->count, 2);
	EXPECT(t->part[1].number, 3);
	EXPECT(t->part[1].first, 8193);
	EXPECT(t->part[1].count, 4096);
	CHECK(strcmp(t->part[0].name, "boot part") == 0);
	part_uuid(text, t, &t->part[0]);
	CHECK(strcmp(text, "44495547-3031-502d-4152-544954494f4e") == 0);
	/* one wrong bit in either: the other one serves */
	for (unsigned bit = 0; bit < 92 * 8; bit += 7) {
		d[512 + bit / 8] ^= (uint8_t)(1 << bit % 8);
		t = table_of(d, blocks);
		EXPECT(t->count, 2);
		CHECK(t->from_backup);
		d[512 + bit / 8] ^= (uint8_t)(1 << bit % 8);
		d[(blocks - 1) * 512 + bit / 8] ^= (uint8_t)(1 << bit % 8);
		t = table_of(d, blocks);
		EXPECT(t->count, 2);
		CHECK(!t->from_backup && t->backup_bad);
		d[(blocks - 1) * 512 + bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
	d[1024 + 40] ^= 1;			/* entries */
	CHECK(table_of(d, blocks)->from_backup);
	d[(blocks - 33) * 512 + 300] ^= 1;
	t = table_of(d, blocks);
	EXPECT(t->count, 1);			/* the protective entry is what an MBR has */
	EXPECT(t->kind, PARTS_MBR);
	gpt_make(d, blocks);
	d[446 + 4] = 0x83;			/* not announced */
	EXPECT(table_of(d, blocks)->kind, PARTS_MBR);
	/* entries that lie outside are not there */
	gpt_make(d, blocks);
	gpt_entry(d, 1, 33, 100, "x");
	gpt_entry(d, 2, 100, 99, "x");
	gpt_entry(d, 4, 100, UINT64_MAX, "x");
	gpt_seal(d, blocks);
	EXPECT(table_of(d, blocks)->count, 1);
	free(d);
}

static void
chains_of_logical_partitions_end(void)
{
	uint64_t blocks = 10000;
	uint8_t *d = calloc(blocks, 512);
	struct part_table *t;
	char text[37];

	put32(d + 440, 0x1234abcd);
	mbr_entry(d, 0, 0x83, 100, 900);
	mbr_entry(d, 1, 0x05, 1000, 5000);
	mbr_entry(d, 2, 0x0c, 9000, 5000);	/* longer than the disk */
	mbr_entry(d, 3, 0x83, 20000, 1);	/* behind it */
	mbr_entry(d + 1000 * 512, 0, 0x83, 10, 90);
	mbr_entry(d + 1000 * 512, 1, 0x05, 100, 1000);
	mbr_entry(d + 1100 * 512, 0, 0x83, 10, 200);
	t = table_of(d, blocks);
	EXPECT(t->kind, PARTS_MBR);
	EXPECT(t->count, 5);
	EXPECT(t->part[1].count, 2);		/* of the extended one, as much as Linux shows */
	EXPECT(t->part[2].count, 1000);
	EXPECT(t->part[3].number, 5);
	EXPECT(t->part[3].first, 1010);
	EXPECT(t->part[4].number, 6);
	EXPECT(t->part[4].first, 1110);
	part_uuid(text, t, &t->part[4]);
	CHECK(strcmp(text, "1234abcd-06") == 0);
	/* circles, and links to where they may not go */
	mbr_entry(d + 1100 * 512, 1, 0x05, 100, 1000);
	EXPECT(table_of(d, blocks)->count, 5);
	mbr_entry(d + 1100 * 512, 1, 0x05, 0, 1000);
	EXPECT(table_of(d, blocks)->count, 5);
	mbr_entry(d + 1100 * 512, 1, 0x05, 0xffffffff, 1000);
	EXPECT(table_of(d, blocks)->count, 5);
	d[446] = 0x12;				/* a file system's boot sector */
	EXPECT(table_of(d, blocks)->kind, PARTS_NONE);
	free(d);
}

static void
superblocks_name_themselves(void)
{
	uint8_t *b = calloc(1, PROBE_BYTES);
	struct probe p;
	char name[64];

	probe_superblock(&p, b);
	CHECK(p.type == NULL);
	put16(b + 1024 + 56, 0xef53);
	put32(b + 1024 + 96, 0x40);
	memcpy(b + 1024 + 104, "\1\2\3\4\5\6\7\10\11\12\13\14\15\16\17\20", 16);
	memcpy(b + 1024 + 120, "sixteen letters!", 16);
	probe_superblock(&p, b);
	CHECK(strcmp(p.type, "ext4") == 0 && strcmp(p.label, "sixteen letters!") == 0);
	CHECK(strcmp(p.uuid, "01020304-0506-0708-090a-0b0c0d0e0f10") == 0);
	memset(b, 0, PROBE_BYTES);
	b[0] = 0xeb;
	put16(b + 11, 512);
	b[13] = 4;
	put16(b + 14, 1);
	b[16] = 2;
	b[21] = 0xf8;
	put32(b + 36, 100);
	b[66] = 0x29;
	put32(b + 67, 0xbeef0012);
	memcpy(b + 71, "EFI SYS    ", 11);
	put16(b + 510, 0xaa55);
	probe_superblock(&p, b);
	CHECK(strcmp(p.type, "vfat") == 0 && strcmp(p.uuid, "BEEF-0012") == 0 && strcmp(p.label, "EFI SYS") == 0);
	probe_encode(name, "a b/c\n");
	CHECK(strcmp(name, "a\\x20b\\x2fc\\x0a") == 0);
	free(b);
}

/* ---- help for what follows ---- */

static void
disk_ready(uint64_t blocks, uint32_t block_size)
{
	struct mock *k = &mocks[0];

	mock_stop(0, BLOCK_NO_MEDIUM);
	host_settle();
	memset(k->bad_read, 0, sizeof(k->bad_read));
	memset(k->bad_write, 0, sizeof(k->bad_write));
	k->flags = BLOCK_HAS_CACHE | BLOCK_HAS_DISCARD;
	k->max_bytes = 128 * 1024;
	k->part_number = 0;
	k->die_percent = 0;
	k->reorder = true;
	k->fail_flush = false;
	k->name = "vda";
	k->model = "A Disk";
	k->serial = "s/n 1";
	mock_start(0, blocks, block_size);
	if (block_size == 512)
		gpt_make(k->cached, blocks);
	memcpy(k->stable, k->cached, blocks * block_size);
	host_settle();
	k->reads = k->writes = k->flushes = k->discards = k->zeroes = k->deaths = k->most_in_flight = 0;
	k->read_blocks = k->written_blocks = 0;
}

static uint64_t
open_dev(const char *path, unsigned flags)
{
	long fd = t_open(path, flags, 0);

	if (fd < 0)
		printf("%s: %ld\n", path, fd);
	CHECK(fd >= 0);
	return (uint64_t)fd;
}

static const char *
text_of(const char *path)
{
	static char text[8192];
	long fd = t_open(path, O_RDONLY, 0), n;

	if (fd < 0)
		printf("%s: %ld\n", path, fd);
	CHECK(fd >= 0);
	n = sys_read((uint64_t)fd, U(text), sizeof(text) - 1);
	CHECK(n >= 0);
	text[n] = '\0';
	sys_close((uint64_t)fd);
	return text;
}

static void
expect_text(const char *path, const char *want)
{
	const char *got = text_of(path);

	if (strcmp(got, want) != 0)
		printf("%s: \"%s\", not \"%s\"\n", path, got, want);
	CHECK(strcmp(got, want) == 0);
}

static void
expect_link(const char *path, const char *want)
{
	char text[256];
	long n = sys_readlinkat(CWD, U(path), U(text), sizeof(text) - 1);

	if (n < 0)
		printf("%s: %ld\n", path, n);
	CHECK(n > 0);
	text[n] = '\0';
	if (strcmp(text, want) != 0)
		printf("%s -> \"%s\", not \"%s\"\n", path, text, want);
	CHECK(strcmp(text, want) == 0);
}

static long ioctl_(uint64_t fd, unsigned cmd, void *arg) { return sys_ioctl(fd, cmd, U(arg)); }

static void
fill(uint8_t *to, size_t n)
{
	for (size_t i = 0; i < n; i++)
		to[i] = (uint8_t)rnd();
}

/* ---- names ---- */

static void
a_disk_and_its_partitions_have_names(void)
{
	struct stat st;

	disk_ready(DISK_BLOCKS, 512);
	EXPECT(t_stat("/dev/vda", &st), 0);
	EXPECT(st.st_rdev, makedev_(254, 0));
	EXPECT(st.st_mode, S_IFBLK | 0660);
	EXPECT(t_stat("/dev/vda3", &st), 0);
	EXPECT(st.st_rdev, makedev_(254, 3));
	EXPECT(t_stat("/dev/vda2", &st), -ENOENT);
	expect_text("/proc/partitions", "major minor  #blocks  name\n\n 254        0       8192 vda\n"
	    " 254        1       2048 vda1\n 254        3       2048 vda3\n");
	expect_text("/sys/block/vda/size", "16384\n");
	expect_text("/sys/block/vda/dev", "254:0\n");
	expect_text("/sys/block/vda/device/model", "A Disk\n");
	expect_text("/sys/block/vda/queue/logical_block_size", "512\n");
	expect_text("/sys/block/vda/vda3/start", "8193\n");
	expect_text("/sys/block/vda/vda3/size", "4096\n");
	expect_text("/sys/class/block/vda3/partition", "3\n");
	expect_text("/sys/dev/block/254:1/uevent", "MAJOR=254\nMINOR=1\nDEVNAME=vda1\nDEVTYPE=partition\nDISKSEQ=1\n"
	    "PARTN=1\nPARTNAME=boot part\nPARTUUID=44495547-3031-502d-4152-544954494f4e\n");
	expect_text("/sys/class/block/vda1/subsystem/vda/ro", "0\n");
	expect_link("/dev/disk/by-partlabel/boot\\x20part", "../../vda1");
	expect_link("/dev/disk/by-partlabel/r\\x2fo", "../../vda3");
	expect_link("/dev/disk/by-partuuid/44495547-3031-502d-4152-544954494f4e", "../../vda1");
	expect_link("/dev/disk/by-id/virtio-s\\x2fn_1-part3", "../../vda3");
	CHECK(strchr(text_of("/proc/diskstats"), '\n') != NULL);
	/* and it has none when it is gone */
	mock_stop(0, BLOCK_NO_MEDIUM);
	host_settle();
	EXPECT(t_stat("/dev/vda", &st), -ENOENT);
	EXPECT(t_lstat("/dev/disk/by-partlabel/r\\x2fo", &st), -ENOENT);
	EXPECT(t_lstat("/sys/block/vda", &st), -ENOENT);
	EXPECT(t_lstat("/sys/dev/block/254:1", &st), -ENOENT);
	expect_text("/proc/partitions", "major minor  #blocks  name\n\n");
	expect_text("/proc/diskstats", "");
}

static void
other_disks_have_linux_numbers(void)
{
	struct stat st;

	disk_ready(DISK_BLOCKS, 512);
	mock_stop(0, BLOCK_NO_MEDIUM);
	host_settle();
	mocks[0].name = "nvme0n1";
	mock_restart(0);
	mocks[1].name = "mmcblk1";
	mocks[1].model = mocks[1].serial = "";
	mocks[1].flags = BLOCK_REMOVABLE;
	mock_start(1, DISK_BLOCKS, 512);
	gpt_make(mocks[1].cached, DISK_BLOCKS);
	host_settle();
	EXPECT(t_stat("/dev/nvme0n1p3", &st), 0);
	EXPECT(st.st_rdev, makedev_(259, 2));
	EXPECT(t_stat("/dev/mmcblk1p3", &st), 0);
	EXPECT(st.st_rdev, makedev_(179, 11));
	expect_text("/sys/block/mmcblk1/removable", "1\n");
	/* both have partitions of the same name: the first one keeps the link */
	expect_link("/dev/disk/by-partlabel/r\\x2fo", "../../nvme0n1p3");
	mock_stop(1, BLOCK_NO_MEDIUM);
	host_settle();
	EXPECT(t_stat("/dev/mmcblk1", &st), -ENOENT);
	/* a channel that reaches one partition is a disk without any */
	mocks[1].name = "nvme0n1";
	mocks[1].part_number = 3;
	mock_restart(1);
	host_settle();
	EXPECT(t_stat("/dev/nvme0n1p3", &st), 0);
	EXPECT(st.st_rdev, makedev_(259, 2));	/* a second way to the same data is not used */
	mock_stop(0, BLOCK_NO_MEDIUM);
	host_settle();
	mock_stop(1, BLOCK_NO_MEDIUM);
	host_settle();
	mock_restart(1);
	host_settle();
	EXPECT(t_stat("/dev/nvme0n1p3", &st), 0);
	EXPECT(t_stat("/dev/nvme0n1p1", &st), -ENOENT);
	expect_text("/sys/block/nvme0n1p3/size", "16384\n");
	mock_stop(1, BLOCK_NO_MEDIUM);
	host_settle();
}

static void
a_new_file_system_gets_its_links(void)
{
	uint64_t fd;
	struct stat st, part, same;

	disk_ready(DISK_BLOCKS, 512);
	EXPECT(t_lstat("/dev/disk/by-partlabel/r\\x2fo", &part), 0);
	memset(buffer, 0, 4096);
	put16(buffer + 1024 + 56, 0xef53);
	memset(buffer + 1024 + 104, 0x11, 16);
	memcpy(buffer + 1024 + 120, "root", 4);
	fd = open_dev("/dev/vda3", O_RDWR);
	EXPECT(sys_write(fd, U(buffer), 4096), 4096);
	EXPECT(t_lstat("/dev/disk/by-label/root", &st), -ENOENT);
	sys_close(fd);
	host_settle();
	expect_link("/dev/disk/by-label/root", "../../vda3");
	expect_link("/dev/disk/by-uuid/11111111-1111-1111-1111-111111111111", "../../vda3");
	expect_link("/dev/disk/by-partlabel/r\\x2fo", "../../vda3");
	/* What did not change was never away: it is the same link. */
	EXPECT(t_lstat("/dev/disk/by-partlabel/r\\x2fo", &same), 0);
	EXPECT(same.st_ino, part.st_ino);
	EXPECT(t_lstat("/dev/disk/by-label/root", &st), 0);
	fd = open_dev("/dev/vda3", O_RDWR);
	EXPECT(sys_write(fd, U(buffer), 4096), 4096);
	sys_close(fd);
	host_settle();
	EXPECT(t_lstat("/dev/disk/by-label/root", &same), 0);
	EXPECT(same.st_ino, st.st_ino);
}

/* ---- contents ---- */

struct view {
	const char *path;
	uint64_t start, size;
};

/* Every view is open all the time, in each way: so much stays dirty. */
static void
random_work(const struct view *views, unsigned count, uint32_t block, unsigned steps)
{
	static const unsigned ways[] = { 0, O_DIRECT, O_DSYNC, O_DIRECT | O_DSYNC };
	uint64_t fds[4][4];

	for (unsigned i = 0; i < count * 4; i++)
		fds[i / 4][i % 4] = open_dev(views[i / 4].path, O_RDWR | ways[i % 4]);
	for (unsigned n = 0; n < steps; n++) {
		unsigned which = (unsigned)(rnd() % count);
		const struct view *v = &views[which];
		bool direct = rnd() % 4 == 0, write = rnd() % 2 == 0;
		size_t len = rnd() % 8 == 0 ? rnd() % (256 * 1024) + 1 : rnd() % 12000 + 1;
		uint64_t pos = rnd() % v->size, fd;
		size_t pad = rnd() % 64;
		long want, got;

		if (rnd() % 16 == 0)
			pos = v->size - min(v->size, (uint64_t)rnd() % 8192);
		if (direct) {
			pos -= pos % block;
			len = (len + block - 1) / block * block;
			pad = 0;
		}
		fd = fds[which][direct + 2 * (rnd() % 32 == 0)];
		want = (long)min((uint64_t)len, v->size - pos);
		if (write) {
			fill(buffer + pad, len);
			got = sys_pwrite64(fd, U(buffer + pad), len, pos);
			if (pos == v->size)
				want = -ENOSPC;
			else
				memcpy(model + v->start + pos, buffer + pad, (size_t)want);
			EXPECT(got, want);
		} else {
			memset(buffer + pad, 0xee, len);
			EXPECT(sys_pread64(fd, U(buffer + pad), len, pos), want);
			CHECK(memcmp(model + v->start + pos, buffer + pad, (size_t)want) == 0);
		}
		if (rnd() % 64 == 0)
			EXPECT(sys_fsync(fd), 0);
		if (rnd() % 64 == 0)
			EXPECT(ioctl_(fd, BLKFLSBUF, NULL), 0);
		if (rnd() % 64 == 0)
			sys_close(open_dev(v->path, O_RDWR));
		if (rnd() % 16 == 0) {
			uint64_t range[2] = { pos - pos % block, (rnd() % 40000) / block * block };

			range[1] = min(range[1], v->size - range[0]);
			EXPECT(ioctl_(fd, BLKZEROOUT, range), 0);
			memset(model + v->start + range[0], 0, range[1]);
		}
		if (rnd() % 16 == 0)
			host_settle();
	}
	for (unsigned i = 0; i < count * 4; i++)
		sys_close(fds[i / 4][i % 4]);
}

static void
check_disk(uint64_t bytes)
{
	struct mock *k = &mocks[0];

	for (uint64_t at = 0; at < bytes; at += 512)
		if (memcmp(k->stable + at, model + at, 512) != 0) {
			printf("sector %lu is not what was written\n", (unsigned long)(at / 512));
			CHECK(false);
		}
}

static void
work_and_check(const struct view *views, unsigned count, uint32_t block, uint64_t bytes, unsigned steps)
{
	uint64_t hold = open_dev("/dev/vda", O_RDONLY), fd;

	memcpy(model, mocks[0].cached, bytes);
	random_work(views, count, block, steps);
	sys_close(hold);
	sys_sync();
	check_disk(bytes);
	/* and what is read afterwards, in one go */
	fd = open_dev("/dev/vda", O_RDONLY);
	for (uint64_t at = 0; at < bytes; at += MIB) {
		EXPECT(sys_read(fd, U(buffer), MIB), min(bytes - at, (uint64_t)MIB));
		CHECK(memcmp(buffer, model + at, min(bytes - at, (uint64_t)MIB)) == 0);
	}
	EXPECT(sys_read(fd, U(buffer), 1), 0);
	sys_close(fd);
}

/* Partition 1 keeps off the table; parts 3's pages are not the disk's. */
static const struct view small_views[] = {
	{ "/dev/vda1", 2048 * 512, 4096 * 512 }, { "/dev/vda3", 8193 * 512, 4096 * 512 },
};

static void
data_are_what_was_written(void)
{
	disk_ready(DISK_BLOCKS, 512);
	work_and_check(small_views, 2, 512, DISK_BLOCKS * 512, 3000);
	CHECK(mocks[0].most_in_flight > 1);
}

static void
data_survive_the_driver(void)
{
	disk_ready(DISK_BLOCKS, 512);
	mocks[0].die_percent = 10;
	work_and_check(small_views, 2, 512, DISK_BLOCKS * 512, 1500);
	CHECK(mocks[0].deaths > 100);
	printf("  %u deaths\n", mocks[0].deaths);
}

static void
big_blocks_and_odd_ends_are_right(void)
{
	struct view whole = { "/dev/vda", 0, 2001 * 4096 };

	disk_ready(2001, 4096);
	work_and_check(&whole, 1, 4096, whole.size, 800);
	disk_ready(9999, 512);
	mocks[0].max_bytes = 2048;		/* less than a page */
	disk_ready(9999, 512);
	whole.size = 9999 * 512;
	mock_stop(0, BLOCK_NO_MEDIUM);
	host_settle();
	mocks[0].max_bytes = 1536;
	mock_restart(0);
	host_settle();
	work_and_check(&whole, 1, 512, whole.size, 500);
	mocks[0].max_bytes = 0;
}

static void
little_memory_is_enough(void)
{
	disk_ready(DISK_BLOCKS, 512);
	host_take_pages(40);
	mocks[0].die_percent = 2;
	work_and_check(small_views, 2, 512, DISK_BLOCKS * 512, 1000);
	host_take_pages(0);
}

/* Another task, while the one sleeps: the read has its data already, and they are old when they come. */
static uint64_t intruder_fd, intruder_range[2];
static unsigned intruder_way;
static uint64_t cached_fd;
static void (*usual_hook)(void);

static void
intrude(void)
{
	host_wait_hook = usual_hook;
	CHECK(mock_serve(0));
	switch (intruder_way) {
	case 0:
		EXPECT(sys_pwrite64(intruder_fd, U(buffer + 65536), 4096, 8192), 4096);
		break;
	case 1:
		EXPECT(ioctl_(intruder_fd, BLKZEROOUT, intruder_range), 0);
		break;
	default:		/* through the cache, and out of it */
		EXPECT(sys_pwrite64(cached_fd, U(buffer + 65536), 4096, 8192), 4096);
		EXPECT(ioctl_(cached_fd, BLKFLSBUF, NULL), 0);
	}
}

static void
what_was_read_too_early_is_not_kept(void)
{
	uint64_t fd;

	disk_ready(DISK_BLOCKS, 512);
	usual_hook = host_wait_hook;
	fd = open_dev("/dev/vda1", O_RDWR);
	cached_fd = open_dev("/dev/vda1", O_RDWR);
	intruder_fd = open_dev("/dev/vda1", O_RDWR | O_DIRECT);
	for (unsigned round = 0; round < 3; round++) {
		intruder_way = round;
		intruder_range[0] = 8192;
		intruder_range[1] = 4096;
		memset(buffer + 65536, round == 1 ? 0 : 0x77 + (int)round, 4096);
		EXPECT(ioctl_(fd, BLKFLSBUF, NULL), 0);
		host_wait_hook = intrude;
		EXPECT(sys_pread64(fd, U(buffer), 4096, 8192), 4096);
		CHECK(host_wait_hook == usual_hook);
		EXPECT(sys_pread64(fd, U(buffer), 4096, 8192), 4096);
		CHECK(memcmp(buffer, buffer + 65536, 4096) == 0);
	}
	sys_close(fd);
	sys_close(cached_fd);
	sys_close(intruder_fd);
}

/* Pages on their way to the disk are clean already, and not there yet: a direct read has to wait. */
static bool looked_while_writing;

static void
look(void)
{
	struct blk_medium *m = blk_disks[0].medium;

	host_wait_hook = usual_hook;
	looked_while_writing = true;
	EXPECT(m->dirty, 0);
	CHECK(cache_is_newer(m, 2048 * 512, 2048 * 512));
}

static void
what_is_on_its_way_is_waited_for(void)
{
	uint64_t fd;

	disk_ready(DISK_BLOCKS, 512);
	usual_hook = host_wait_hook;
	fd = open_dev("/dev/vda1", O_RDWR);
	EXPECT(sys_pwrite64(fd, U(buffer), 4096, 0), 4096);
	CHECK(cache_is_newer(blk_disks[0].medium, 2048 * 512, 2048 * 512));
	CHECK(!cache_is_newer(blk_disks[0].medium, 0, 4095));
	host_wait_hook = look;
	EXPECT(sys_fsync(fd), 0);
	CHECK(looked_while_writing);
	CHECK(!cache_is_newer(blk_disks[0].medium, 2048 * 512, 2048 * 512));
	sys_close(fd);
}

static void
synced_data_survive_a_power_cut(void)
{
	uint64_t fd, a, b;

	disk_ready(DISK_BLOCKS, 512);
	fd = open_dev("/dev/vda1", O_RDWR);
	fill(buffer, 3 * 4096);
	EXPECT(sys_pwrite64(fd, U(buffer), 4096, 0), 4096);
	EXPECT(sys_fdatasync(fd), 0);
	EXPECT(mocks[0].flushes, 1);
	EXPECT(sys_pwrite64(fd, U(buffer + 4096), 4096, 4096), 4096);
	CHECK(memcmp(mocks[0].stable + 2048 * 512, buffer, 4096) == 0);
	mock_power_cut(0);
	CHECK(memcmp(mocks[0].cached + 2048 * 512, buffer, 4096) == 0);
	/* the second one is still in memory, and O_SYNC is at once where it belongs */
	a = open_dev("/dev/vda1", O_RDWR | O_SYNC);
	b = open_dev("/dev/vda1", O_RDWR | O_DIRECT | O_DSYNC);
	EXPECT(sys_pwrite64(a, U(buffer + 8192), 100, 9000), 100);
	CHECK(memcmp(mocks[0].stable + 2048 * 512 + 9000, buffer + 8192, 100) == 0);
	EXPECT(sys_pwrite64(b, U(buffer + 4096), 1024, 65536), 1024);
	CHECK(memcmp(mocks[0].stable + 2048 * 512 + 65536, buffer + 4096, 1024) == 0);
	CHECK(memcmp(mocks[0].cached + 2048 * 512 + 4096, buffer + 4096, 4096) != 0);
	sys_sync();
	CHECK(memcmp(mocks[0].stable + 2048 * 512 + 4096, buffer + 4096, 4096) == 0);
	sys_close(a);
	sys_close(b);
	sys_close(fd);
}

/* Five seconds, of which each look at the clock takes 1 us on this host. */
static void
old_data_are_written_by_the_thread(void)
{
	uint64_t fd, due;

	disk_ready(DISK_BLOCKS, 512);
	fd = open_dev("/dev/vda1", O_RDWR);
	fill(buffer, 4096);
	EXPECT(blk_step(&blk_disks[0]), UINT64_MAX);
	EXPECT(sys_write(fd, U(buffer), 4096), 4096);
	CHECK(blk_disks[0].thread_work);
	due = blk_step(&blk_disks[0]);
	CHECK(due != UINT64_MAX && due > clock_monotonic());
	EXPECT(mocks[0].writes, 0);
	blk_disks[0].medium->dirty_since_ns -= FLUSH_NS;
	EXPECT(blk_step(&blk_disks[0]), UINT64_MAX);
	EXPECT(mocks[0].writes, 1);
	CHECK(memcmp(mocks[0].cached + 2048 * 512, buffer, 4096) == 0);
	sys_close(fd);
}

static void
reading_on_is_read_ahead(void)
{
	uint64_t fd;

	disk_ready(DISK_BLOCKS, 512);
	fd = open_dev("/dev/vda1", O_RDONLY);
	mocks[0].reads = 0;
	for (unsigned n = 0; n < 32; n++)
		EXPECT(sys_read(fd, U(buffer), 4096), 4096);
	CHECK(mocks[0].reads <= 3);
	EXPECT(sys_pread64(fd, U(buffer), 512, 1 << 20), 512);
	mocks[0].read_blocks = 0;
	EXPECT(sys_pread64(fd, U(buffer), 512, 1536 << 10), 512);
	EXPECT(mocks[0].read_blocks, 8);	/* who jumps gets what he asked for */
	EXPECT(ioctl_(fd, BLKRASET, (void *)0), 0);
	sys_close(fd);
}

/* ---- errors ---- */

static void
errors_are_told_once_and_to_the_right_one(void)
{
	uint64_t a, b, part3, whole;

	disk_ready(DISK_BLOCKS, 512);
	a = open_dev("/dev/vda1", O_RDWR);
	b = open_dev("/dev/vda1", O_RDWR);
	part3 = open_dev("/dev/vda3", O_RDWR);
	whole = open_dev("/dev/vda", O_RDWR);
	/* reading: the block itself, not what was read ahead */
	mocks[0].bad_read[0] = 2048 + 64 + 1;
	EXPECT(sys_pread64(a, U(buffer), 64 * 512, 0), 64 * 512);
	EXPECT(sys_pread64(a, U(buffer), 64 * 512 + 1, 0), 64 * 512);
	EXPECT(sys_pread64(a, U(buffer), 512, 64 * 512), -EIO);
	mocks[0].bad_read[0] = 0;
	EXPECT(sys_pread64(a, U(buffer), 512, 64 * 512), 512);
	/* writing: at fsync, once for each who has it open, not for the neighbour */
	mocks[0].bad_write[0] = 2048 + 8 + 1;
	EXPECT(sys_pwrite64(a, U(buffer), 4096, 4096), 4096);
	EXPECT(sys_fsync(part3), 0);
	EXPECT(sys_fsync(a), -EIO);
	EXPECT(sys_fsync(a), 0);
	EXPECT(sys_fsync(b), -EIO);
	EXPECT(sys_fsync(b), 0);
	EXPECT(sys_fsync(part3), 0);
	EXPECT(sys_fsync(whole), -EIO);
	/* one that nobody has heard of is for the next */
	EXPECT(sys_pwrite64(a, U(buffer), 4096, 4096), 4096);
	sys_sync();
	sys_close(b);
	b = open_dev("/dev/vda1", O_RDWR);
	EXPECT(sys_fsync(b), -EIO);
	sys_close(b);
	b = open_dev("/dev/vda1", O_RDWR);
	EXPECT(sys_fsync(b), 0);
	sys_close(b);
	/* at once */
	b = open_dev("/dev/vda1", O_RDWR | O_DIRECT);
	EXPECT(sys_pwrite64(b, U(buffer), 4096, 4096), -EIO);
	EXPECT(sys_pwrite64(b, U(buffer), 8192, 0), -EIO);
	sys_close(b);
	b = open_dev("/dev/vda1", O_RDWR | O_DSYNC);
	EXPECT(sys_pwrite64(b, U(buffer), 4096, 4096), -EIO);
	mocks[0].bad_write[0] = 0;
	EXPECT(sys_pwrite64(b, U(buffer), 4096, 4096), 4096);
	mocks[0].fail_flush = true;
	EXPECT(sys_pwrite64(b, U(buffer), 4096, 4096), -EIO);
	EXPECT(sys_fsync(b), -EIO);
	mocks[0].fail_flush = false;
	EXPECT(sys_fsync(b), 0);
	sys_close(a);
	sys_close(b);
	sys_close(part3);
	sys_close(whole);
}

static void
bad_addresses_and_alignment_are_refused(void)
{
	struct iov v[2];
	uint64_t a, b;

	disk_ready(DISK_BLOCKS, 512);
	a = open_dev("/dev/vda1", O_RDWR);
	b = open_dev("/dev/vda1", O_RDWR | O_DIRECT);
	fill(model, 65536);
	EXPECT(sys_pwrite64(a, U(model), 65536, 0), 65536);
	EXPECT(sys_pwrite64(a, 100, 4096, 0), -EFAULT);
	EXPECT(sys_pread64(a, 100, 4096, 0), -EFAULT);
	/* a part can be had: it is what is written, and the rest stays */
	v[0] = (struct iov){ U(buffer), 1000 };
	v[1] = (struct iov){ 100, 3096 };
	fill(buffer, 1000);
	EXPECT(sys_pwritev(a, U(v), 2, 4096, 0), 1000);
	memcpy(model + 4096, buffer, 1000);
	EXPECT(ioctl_(a, BLKFLSBUF, NULL), 0);
	EXPECT(sys_pwritev(a, U(v), 2, 8192, 0), 1000);
	memcpy(model + 8192, buffer, 1000);
	v[0].len = 1024;
	v[1].len = 1024;
	v[1].base = 512;
	fill(buffer, 1024);
	EXPECT(sys_pwritev(b, U(v), 2, 16384, 0), 1024);
	memcpy(model + 16384, buffer, 1024);
	EXPECT(sys_pread64(a, U(buffer), 65536, 0), 65536);
	CHECK(memcmp(buffer, model, 65536) == 0);
	EXPECT(sys_pread64(b, U(buffer), 512, 100), -EINVAL);
	EXPECT(sys_pread64(b, U(buffer), 100, 512), -EINVAL);
	EXPECT(sys_pread64(b, U(buffer) + 4, 512, 512), -EINVAL);
	EXPECT(sys_pread64(b, U(buffer), 0, 512), 0);
	EXPECT(sys_pwrite64(b, U(buffer), 513, 512), -EINVAL);
	EXPECT(sys_pread64(b, 512, 512, 512), -EFAULT);
	sys_close(a);
	sys_close(b);
}

/* ---- positions and ioctl ---- */

static void
positions_and_sizes(void)
{
	struct hd_geometry g;
	uint64_t fd, v = 0, range[2];
	uint32_t u = 0;

	disk_ready(DISK_BLOCKS, 512);
	fd = open_dev("/dev/vda3", O_RDWR | O_EXCL);
	EXPECT(sys_fcntl(fd, F_GETFL, 0) & O_EXCL, 0);
	EXPECT(sys_lseek(fd, 0, 2), 4096 * 512);
	EXPECT(sys_read(fd, U(buffer), 1), 0);
	EXPECT(sys_write(fd, U(buffer), 1), -ENOSPC);
	EXPECT(sys_lseek(fd, 1, 1), -EINVAL);
	EXPECT(sys_lseek(fd, (uint64_t)-1, 1), 4096 * 512 - 1);
	EXPECT(sys_write(fd, U(buffer), 100), 1);
	EXPECT(sys_lseek(fd, 5, 3), 5);
	EXPECT(sys_lseek(fd, 5, 4), 4096 * 512);
	EXPECT(sys_lseek(fd, 4096 * 512, 3), -ENXIO);
	EXPECT(ioctl_(fd, BLKGETSIZE, &v), 0);
	EXPECT(v, 4096);
	EXPECT(ioctl_(fd, BLKGETSIZE64, &v), 0);
	EXPECT(v, 4096 * 512);
	EXPECT(ioctl_(fd, BLKSSZGET, &u), 0);
	EXPECT(u, 512);
	EXPECT(ioctl_(fd, BLKPBSZGET, &u), 0);
	EXPECT(u, 4096);
	EXPECT(ioctl_(fd, HDIO_GETGEO, &g), 0);
	EXPECT(g.start, 8193);
	EXPECT(ioctl_(fd, TIOCGWINSZ, &g), -ENOTTY);
	EXPECT(ioctl_(fd, BLKGETSIZE64, NULL), -EFAULT);
	/* discard and zeroes */
	range[0] = 4096;
	range[1] = 8192;
	EXPECT(ioctl_(fd, BLKDISCARD, range), 0);
	EXPECT(mocks[0].discards, 1);
	range[1] = 100;
	EXPECT(ioctl_(fd, BLKDISCARD, range), -EINVAL);
	range[1] = 4096 * 512;
	EXPECT(ioctl_(fd, BLKZEROOUT, range), -EINVAL);
	EXPECT(sys_fallocate(fd, FALLOC_FL_ZERO_RANGE, 4096, 4096), 0);
	EXPECT(sys_fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 4096, 4096), -EOPNOTSUPP);
	EXPECT(sys_fallocate(fd, 0, 0, 4096), -EOPNOTSUPP);
	EXPECT(sys_fallocate(fd, FALLOC_FL_ZERO_RANGE, 4096 * 512 - 512, 4096), -EINVAL);
	sys_close(fd);
	fd = open_dev("/dev/vda3", O_RDONLY);
	EXPECT(ioctl_(fd, BLKDISCARD, range), -EBADF);
	EXPECT(sys_fcntl(fd, F_SETFL, O_DIRECT), 0);
	sys_close(fd);
	host_cred.cap_effective = 0;
	fd = open_dev("/dev/vda3", O_RDWR);
	EXPECT(ioctl_(fd, BLKFLSBUF, NULL), -EACCES);
	EXPECT(ioctl_(fd, BLKROSET, &u), -EACCES);
	EXPECT(ioctl_(fd, BLKRRPART, NULL), -EACCES);
	host_cred.cap_effective = ~0ULL;
	sys_close(fd);
}

static void
a_device_can_zero_by_itself(void)
{
	uint64_t fd, range[2] = { 512, 1 << 20 };

	disk_ready(DISK_BLOCKS, 512);
	mocks[0].flags |= BLOCK_HAS_ZEROES;
	mock_restart(0);
	host_settle();
	fd = open_dev("/dev/vda1", O_RDWR);
	fill(buffer, MIB);
	EXPECT(sys_pwrite64(fd, U(buffer), MIB, 0), MIB);
	mocks[0].writes = 0;
	EXPECT(ioctl_(fd, BLKZEROOUT, range), 0);
	CHECK(mocks[0].zeroes >= 1);
	memset(model, 0, MIB);
	EXPECT(sys_pread64(fd, U(buffer), MIB, 512), MIB);
	CHECK(memcmp(buffer, model, MIB) == 0);
	EXPECT(sys_fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 4096, 4096), 0);
	sys_close(fd);
}

static void
read_only_is_kept(void)
{
	uint64_t fd;
	uint32_t on = 1, off = 0, v = 9;

	disk_ready(DISK_BLOCKS, 512);
	fd = open_dev("/dev/vda1", O_RDWR);
	EXPECT(ioctl_(fd, BLKROSET, &on), 0);
	EXPECT(ioctl_(fd, BLKROGET, &v), 0);
	EXPECT(v, 1);
	expect_text("/sys/block/vda/vda1/ro", "1\n");
	EXPECT(sys_write(fd, U(buffer), 512), -EPERM);
	EXPECT(ioctl_(fd, BLKROSET, &off), 0);
	EXPECT(sys_write(fd, U(buffer), 512), 512);
	sys_close(fd);
	mock_stop(0, BLOCK_NO_MEDIUM);
	host_settle();
	mocks[0].flags |= BLOCK_READONLY;
	mock_restart(0);
	host_settle();
	EXPECT(t_open("/dev/vda1", O_RDWR, 0), -EROFS);
	fd = open_dev("/dev/vda1", O_RDONLY);
	EXPECT(sys_read(fd, U(buffer), 512), 512);
	EXPECT(ioctl_(fd, BLKROSET, &off), -EROFS);
	sys_close(fd);
}

/* ---- exclusion, partitions ---- */

static uint64_t told;
static char told_name[32];

static void
tell(void *holder, uint64_t rdev, const char *name)
{
	(void)holder;
	told = rdev;
	strlcpy(told_name, name, sizeof(told_name));
}

static void
exclusive_means_alone(void)
{
	static const uint8_t guid[16] = "GUID1-PARTITION";
	uint8_t part1[16];
	uint64_t a, rdev;
	struct block_identity id;
	int me, other;

	disk_ready(DISK_BLOCKS, 512);
	a = open_dev("/dev/vda1", O_RDONLY | O_EXCL);
	EXPECT(t_open("/dev/vda1", O_RDONLY | O_EXCL, 0), -EBUSY);
	EXPECT(t_open("/dev/vda", O_RDONLY | O_EXCL, 0), -EBUSY);
	sys_close(open_dev("/dev/vda3", O_RDONLY | O_EXCL));
	sys_close(open_dev("/dev/vda", O_RDONLY));
	sys_close(a);
	a = open_dev("/dev/vda", O_RDONLY | O_EXCL);
	EXPECT(t_open("/dev/vda1", O_RDONLY | O_EXCL, 0), -EBUSY);
	sys_close(a);
	/* as a mount */
	EXPECT(block_identify(makedev_(254, 1), &id), 0);
	CHECK(strcmp(id.name, "vda1") == 0 && strcmp(id.disk, "vda") == 0);
	EXPECT(id.part_number, 1);
	EXPECT(id.start, 2048 * 512);
	memcpy(part1, id.part_guid, 16);
	EXPECT(block_find_part(part1, &rdev), 0);
	EXPECT(rdev, makedev_(254, 1));
	EXPECT(block_find_part(guid, &rdev), -ENXIO);
	EXPECT(block_identify(makedev_(254, 2), &id), -ENXIO);
	EXPECT(block_claim(makedev_(254, 1), &me), 0);
	EXPECT(block_claim(makedev_(254, 1), &me), 0);
	EXPECT(block_claim(makedev_(254, 1), &other), -EBUSY);
	EXPECT(t_open("/dev/vda1", O_RDONLY | O_EXCL, 0), -EBUSY);
	block_unclaim(makedev_(254, 1), &me);
	EXPECT(t_open("/dev/vda1", O_RDONLY | O_EXCL, 0), -EBUSY);
	block_unclaim(makedev_(254, 1), &me);
	sys_close(open_dev("/dev/vda1", O_RDONLY | O_EXCL));
	/* before the disk is there */
	mock_stop(0, BLOCK_NO_MEDIUM);
	host_settle();
	EXPECT(block_claim_part(part1, &me, tell), 0);
	EXPECT(block_claim_part(part1, &other, NULL), -EBUSY);
	EXPECT(told, 0);
	mock_restart(0);
	host_settle();
	EXPECT(told, makedev_(254, 1));
	EXPECT(strcmp(told_name, "vda1"), 0);
	told = 0;
	EXPECT(t_open("/dev/vda1", O_RDONLY | O_EXCL, 0), -EBUSY);
	block_unclaim_part(part1, &me);
	sys_close(open_dev("/dev/vda1", O_RDONLY | O_EXCL));
	EXPECT(block_claim_part(part1, &me, tell), 0);
	EXPECT(told, makedev_(254, 1));
	EXPECT(t_open("/dev/vda", O_RDONLY | O_EXCL, 0), -EBUSY);
	EXPECT(ioctl_(a = open_dev("/dev/vda", O_RDONLY), BLKRRPART, NULL), -EBUSY);
	sys_close(a);
	block_unclaim_part(part1, &me);
	sys_close(open_dev("/dev/vda", O_RDONLY | O_EXCL));
}

/* What a mount changes behind our back is seen once it has gone. */
static void
claims_forget_what_was_cached(void)
{
	uint64_t fd = 0;
	int me;

	disk_ready(DISK_BLOCKS, 512);
	fd = open_dev("/dev/vda1", O_RDWR);
	memset(buffer, 1, 4096);
	EXPECT(sys_pwrite64(fd, U(buffer), 4096, 0), 4096);
	EXPECT(block_claim(makedev_(254, 1), &me), 0);
	EXPECT(mocks[0].cached[2048 * 512], 1);
	EXPECT(sys_pread64(fd, U(buffer), 4096, 0), 4096);
	mocks[0].cached[2048 * 512] = 2;
	EXPECT(sys_pread64(fd, U(buffer), 4096, 0), 4096);
	EXPECT(buffer[0], 1);
	block_unclaim(makedev_(254, 1), &me);
	EXPECT(sys_pread64(fd, U(buffer), 4096, 0), 4096);
	EXPECT(buffer[0], 2);
	sys_close(fd);
	/* and so is it for who opens anew */
	mocks[0].cached[2048 * 512] = 3;
	fd = open_dev("/dev/vda1", O_RDONLY);
	EXPECT(sys_pread64(fd, U(buffer), 4096, 0), 4096);
	EXPECT(buffer[0], 3);
	sys_close(fd);
}

static void
partitions_are_read_again(void)
{
	struct blkpg_partition p = { .pno = 2, .start = 6144 * 512, .length = 1024 * 512 };
	struct blkpg_ioctl_arg arg = { .op = BLKPG_ADD_PARTITION, .datalen = sizeof(p), .data = &p };
	uint64_t disk, part;
	struct stat st;

	disk_ready(DISK_BLOCKS, 512);
	disk = open_dev("/dev/vda", O_RDWR);
	EXPECT(ioctl_(disk, BLKPG, &arg), 0);
	EXPECT(t_stat("/dev/vda2", &st), 0);
	expect_text("/sys/block/vda/vda2/size", "1024\n");
	EXPECT(ioctl_(disk, BLKPG, &arg), -EBUSY);
	p.pno = 4;
	EXPECT(ioctl_(disk, BLKPG, &arg), -EBUSY);	/* overlaps */
	p.start = 100 * 512 + 1;
	EXPECT(ioctl_(disk, BLKPG, &arg), -EINVAL);
	arg.op = BLKPG_RESIZE_PARTITION;
	p.pno = 2;
	p.start = 6144 * 512;
	p.length = 2048 * 512;
	EXPECT(ioctl_(disk, BLKPG, &arg), 0);
	expect_text("/sys/block/vda/vda2/size", "2048\n");
	p.length = 4096 * 512;
	EXPECT(ioctl_(disk, BLKPG, &arg), -EBUSY);
	arg.op = BLKPG_DEL_PARTITION;
	part = open_dev("/dev/vda2", O_RDONLY);
	EXPECT(ioctl_(disk, BLKPG, &arg), -EBUSY);
	EXPECT(ioctl_(disk, BLKRRPART, NULL), -EBUSY);
	sys_close(part);
	EXPECT(ioctl_(disk, BLKPG, &arg), 0);
	EXPECT(ioctl_(disk, BLKPG, &arg), -ENXIO);
	EXPECT(t_stat("/dev/vda2", &st), -ENOENT);
	/* a new table, still in the cache when it is read */
	memset(buffer, 0, 512);
	mbr_entry(buffer, 0, 0x83, 2048, 2048);
	EXPECT(sys_pwrite64(disk, U(buffer), 512, 0), 512);
	EXPECT(ioctl_(disk, BLKRRPART, NULL), 0);
	expect_text("/proc/partitions", "major minor  #blocks  name\n\n 254        0       8192 vda\n"
	    " 254        1       1024 vda1\n");
	part = open_dev("/dev/vda1", O_RDONLY);
	EXPECT(ioctl_(part, BLKRRPART, NULL), -EINVAL);
	sys_close(part);
	sys_close(disk);
}

/* ---- media ---- */

static void
a_medium_goes_and_another_comes(void)
{
	uint64_t fd, mapped;
	struct stat st;

	disk_ready(DISK_BLOCKS, 512);
	fd = open_dev("/dev/vda1", O_RDWR);
	memset(buffer, 7, 8192);
	EXPECT(sys_write(fd, U(buffer), 8192), 8192);
	mapped = io_pages_used();
	mock_stop(0, BLOCK_NO_MEDIUM);
	host_settle();
	CHECK(io_pages_used() < mapped);
	EXPECT(t_stat("/dev/vda1", &st), -ENOENT);
	EXPECT(sys_pread64(fd, U(buffer), 512, 0), -EIO);
	EXPECT(sys_pwrite64(fd, U(buffer), 512, 0), -EIO);
	EXPECT(sys_fsync(fd), -EIO);		/* it had been dirty */
	EXPECT(ioctl_(fd, BLKGETSIZE64, buffer), -ENXIO);
	/* the next one has nothing to do with who had the former one open */
	mocks[0].serial = "another";
	mock_start(0, DISK_BLOCKS, 512);
	gpt_make(mocks[0].cached, DISK_BLOCKS);
	host_settle();
	EXPECT(t_stat("/dev/vda1", &st), 0);
	EXPECT(sys_pwrite64(fd, U(buffer), 512, 0), -EIO);
	sys_close(fd);
	EXPECT(mocks[0].writes, 0);
	/* and neither does one that was changed without anybody having noticed yet */
	fd = open_dev("/dev/vda1", O_RDWR);
	EXPECT(sys_write(fd, U(buffer), 4096), 4096);
	mocks[0].serial = "a third";
	mock_restart(0);
	EXPECT(sys_fsync(fd), -EIO);
	EXPECT(mocks[0].writes, 0);
	host_settle();
	sys_close(fd);
	/* a server that is only born again changes nothing */
	fd = open_dev("/dev/vda1", O_RDWR);
	EXPECT(sys_write(fd, U(buffer), 4096), 4096);
	mock_restart(0);
	host_settle();
	EXPECT(sys_fsync(fd), 0);
	EXPECT(t_stat("/dev/vda1", &st), 0);
	sys_close(fd);
}

static void
a_broken_device_says_so(void)
{
	uint64_t fd;

	disk_ready(DISK_BLOCKS, 512);
	fd = open_dev("/dev/vda1", O_RDWR);
	EXPECT(sys_write(fd, U(buffer), 4096), 4096);
	mock_stop(0, BLOCK_FAILED);
	host_settle();
	EXPECT(sys_pread64(fd, U(buffer), 512, 65536), -EIO);
	EXPECT(sys_fsync(fd), -EIO);
	sys_close(fd);
}

#define T(f) { #f, f }
static const struct {
	const char *name;
	void (*run)(void);
} tests[] = {
	T(both_tables_are_checked), T(chains_of_logical_partitions_end), T(superblocks_name_themselves),
	T(a_disk_and_its_partitions_have_names), T(other_disks_have_linux_numbers), T(a_new_file_system_gets_its_links),
	T(data_are_what_was_written), T(data_survive_the_driver), T(big_blocks_and_odd_ends_are_right),
	T(little_memory_is_enough), T(synced_data_survive_a_power_cut), T(old_data_are_written_by_the_thread),
	T(what_was_read_too_early_is_not_kept), T(what_is_on_its_way_is_waited_for), T(reading_on_is_read_ahead), T(errors_are_told_once_and_to_the_right_one),
	T(bad_addresses_and_alignment_are_refused), T(positions_and_sizes), T(a_device_can_zero_by_itself),
	T(read_only_is_kept), T(exclusive_means_alone), T(claims_forget_what_was_cached), T(partitions_are_read_again),
	T(a_medium_goes_and_another_comes), T(a_broken_device_says_so),
};

int
main(void)
{
	host_block_init(2, IO_PAGES);
	buffer = aligned_alloc(4096, 2 * MIB);
	model = aligned_alloc(4096, 16 * MIB);
	for (unsigned i = 0; i < 3; i++) {
		static const char *const place[] = { "/dev", "/proc", "/sys" };
		static const char *const type[] = { "devtmpfs", "proc", "sysfs" };

		EXPECT(t_mkdir(place[i]), 0);
		EXPECT(sys_mount(U(type[i]), U(place[i]), U(type[i]), 0, 0), 0);
	}
	mocks[0].name = mocks[1].name = "vda";
	mocks[0].model = mocks[0].serial = mocks[1].model = mocks[1].serial = "";
	for (unsigned n = 0; n < ARRAY_LEN(tests); n++) {
		printf("%s\n", tests[n].name);
		fflush(0);
		tests[n].run();
		mocks[0].die_percent = 0;
	}
	mock_stop(0, BLOCK_NO_MEDIUM);
	host_settle();
	/* nothing is held by anybody any more */
	grace_flush();
	EXPECT(io_pages_used(), 0);
	printf("%lu passed, 0 failed\n", (unsigned long)ARRAY_LEN(tests));
	return 0;
}
