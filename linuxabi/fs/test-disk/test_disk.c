/* SPDX-License-Identifier: MIT */
/*
 * Files on a disk through the system calls, against the server in memory:
 * what Linux promises, what a cache may not forget, and deaths at every step.
 * Each test mounts, and leaves as many objects as it found.
 */
#include <linux/falloc.h>
#include <linux/xattr.h>
#include "../test/fs_host.h"
#include "reclaim.h"
#include "server.h"

#define CWD ((uint64_t)AT_FDCWD)

enum { CHUNK_PAGES = 8192, IDLE_LIMIT = 20000 };

static struct disk *disk;		/* what is mounted; the flusher's */
static bool in_flusher, in_recovery;
static unsigned idle;
static struct world_info world;

/* ---- what the files under test need beyond fs_host.c ---- */

void hyp_signal(uint32_t slot) { CHECK(slot == WORLD_SLOT_CHANNEL_BELL + SERVER_CHANNEL); }

struct task *
kthread_create(const char *name, void (*fn)(void *), void *arg)
{
	(void)name, (void)fn;
	disk = arg;
	return current;
}

/* Instead of sleeping: the server does something, or the tasks that would run now do. */
static void
others_run(void)
{
	if (disk != NULL && disk->stopping)
		disk->stopped = true;
	if (disk != NULL && disk->leaving) {
		disk->watcher_stopped = true;
		disk = NULL;
		return;
	}
	if (disk != NULL && !in_recovery && disk_client_new_epoch(disk->client)) {
		in_recovery = true;
		disk_client_recover_if_new(disk->client);
		in_recovery = false;
	}
	if (server_step()) {
		idle = 0;
		return;
	}
	CHECK(++idle < IDLE_LIMIT);
	if (disk != NULL && !in_flusher && !in_recovery && !disk->stopping && idle > 100) {
		in_flusher = true;
		disk_pass(disk, true);
		in_flusher = false;
		idle = 0;
	}
}

/* LONG=1; `make test` says LONG=0. */
static bool
is_long(void)
{
	const char *said = getenv("LONG");

	return said != NULL && strcmp(said, "1") == 0;
}

/* ---- a mounted disk ---- */

static uint64_t objects_before;
static unsigned inodes_before;

static void
begin(void)
{
	objects_before = (uint64_t)host_objects;
	inodes_before = server_inodes();
	EXPECT(sys_mount(U("/dev/root"), U("/mnt"), U("ext4"), 0, 0), 0);
}

static void
remount_disk(void)
{
	EXPECT(sys_umount2(U("/mnt"), 0), 0);
	CHECK(server_clean());
	EXPECT(sys_mount(U("root"), U("/mnt"), U("ext4"), 0, 0), 0);
}

static void
end(void)
{
	memset(&faults, 0, sizeof(faults));
	EXPECT(sys_umount2(U("/mnt"), 0), 0);
	CHECK(server_clean());
	EXPECT(io_pages_used(), 0);
	io_chunks_release(~0UL);
	grace_flush();
	EXPECT(host_objects, (long)objects_before);
	EXPECT(server_inodes(), (long)inodes_before);
	EXPECT(server_orphans(), 0);
	CHECK(server_wrong[0] == '\0');
}

static void
put(const char *path, const void *bytes, size_t n, unsigned flags)
{
	long fd = t_open(path, O_WRONLY | O_CREAT | flags, 0644);

	CHECK(fd >= 0);
	EXPECT(sys_write((uint64_t)fd, U(bytes), n), (long)n);
	EXPECT(sys_close((uint64_t)fd), 0);
}

static void
expect_bytes(const char *path, const void *bytes, size_t n)
{
	char *buf = malloc(n + 16);
	long fd = t_open(path, O_RDONLY, 0);

	CHECK(fd >= 0);
	EXPECT(sys_read((uint64_t)fd, U(buf), n + 16), (long)n);
	CHECK(memcmp(buf, bytes, n) == 0);
	sys_close((uint64_t)fd);
	free(buf);
}

/* What nobody waits for is done some time. */
static unsigned
orphans_later(void)
{
	while (server_step())
		;
	return server_orphans();
}

static uint64_t
requests(void)
{
	uint64_t sum = 0;

	for (unsigned i = 0; i < 256; i++)
		sum += server_requests[i];
	return sum;
}

static void
pattern(uint8_t *p, size_t n, unsigned seed)
{
	for (size_t i = 0; i < n; i++)
		p[i] = (uint8_t)(i * 7 + i / 4096 + seed);
}

/* ---- the tests ---- */

static void
files_survive_a_new_mount(void)
{
	struct stat st, again;
	char target[64];

	EXPECT(t_mkdir("/mnt/d"), 0);
	EXPECT(t_mkdir("/mnt/d"), -EEXIST);
	put("/mnt/d/f", "hello", 5, 0);
	EXPECT(t_symlink("d/f", "/mnt/l"), 0);
	EXPECT(t_link("/mnt/d/f", "/mnt/g"), 0);
	EXPECT(sys_mknodat(CWD, U("/mnt/null"), S_IFCHR | 0666, 0x103), 0);
	EXPECT(sys_mknodat(CWD, U("/mnt/fifo"), S_IFIFO | 0600, 0), 0);
	EXPECT(t_stat("/mnt/d/f", &st), 0);
	EXPECT(st.st_nlink, 2);
	EXPECT(st.st_size, 5);
	remount_disk();
	EXPECT(t_stat("/mnt/l", &again), 0);
	CHECK(again.st_ino == st.st_ino && again.st_mtime_nsec == st.st_mtime_nsec && again.st_nlink == 2);
	expect_bytes("/mnt/g", "hello", 5);
	EXPECT(sys_readlinkat(CWD, U("/mnt/l"), U(target), 64), 3);
	EXPECT(t_stat("/mnt/null", &st), 0);
	CHECK((st.st_mode & S_IFMT) == S_IFCHR && st.st_rdev == 0x103);
	EXPECT(t_stat("/mnt/fifo", &st), 0);
	EXPECT(st.st_mode, S_IFIFO | 0600);
	EXPECT(t_rmdir("/mnt/d"), -ENOTEMPTY);
	EXPECT(t_unlink("/mnt/d/f"), 0);
	EXPECT(t_stat("/mnt/g", &st), 0);
	EXPECT(st.st_nlink, 1);
	EXPECT(t_rename("/mnt/g", "/mnt/d/h"), 0);
	EXPECT(t_stat("/mnt/g", &st), -ENOENT);
	expect_bytes("/mnt/d/h", "hello", 5);
	EXPECT(t_unlink("/mnt/d/h"), 0);
	EXPECT(t_rmdir("/mnt/d"), 0);
	EXPECT(t_unlink("/mnt/l"), 0);
	EXPECT(t_unlink("/mnt/null"), 0);
	EXPECT(t_unlink("/mnt/fifo"), 0);
}

static void
what_is_cached_costs_no_message(void)
{
	struct stat st;
	char buf[4096];
	uint64_t before, writes = server_requests[FS_WRITE];
	long fd;

	put("/mnt/f", "hello", 5, 0);
	EXPECT(t_stat("/mnt/gone", &st), -ENOENT);
	before = requests();
	expect_bytes("/mnt/f", "hello", 5);
	EXPECT(t_stat("/mnt/f", &st), 0);
	EXPECT(t_stat("/mnt/gone", &st), -ENOENT);
	EXPECT(requests(), (long)before);
	fd = t_open("/mnt/f", O_RDWR, 0);
	for (unsigned i = 0; i < 100; i++)
		EXPECT(sys_pwrite64((uint64_t)fd, U(buf), 1000, 0), 1000);
	EXPECT(requests(), (long)before);
	sys_close((uint64_t)fd);
	EXPECT(t_unlink("/mnt/f"), 0);
	/* What was never written needs no write when it is gone. */
	EXPECT(orphans_later(), 0);
	EXPECT(server_requests[FS_WRITE], (long)writes);
}

static void
large_files_are_read_in_few_requests(void)
{
	enum { SIZE = 6 << 20 };
	uint8_t *data = malloc(SIZE), *buf = malloc(SIZE);
	uint64_t before;
	long fd;

	pattern(data, SIZE, 3);
	put("/mnt/big", data, SIZE, 0);
	before = server_requests[FS_WRITE];
	EXPECT(sys_sync(), 0);
	CHECK(server_requests[FS_WRITE] - before <= SIZE / (256 * 4096) + 8);
	remount_disk();
	before = server_requests[FS_READ];
	fd = t_open("/mnt/big", O_RDONLY, 0);
	for (unsigned at = 0; at < SIZE; at += 8192)
		EXPECT(sys_read((uint64_t)fd, U(buf + at), 8192), 8192);
	sys_close((uint64_t)fd);
	CHECK(memcmp(data, buf, SIZE) == 0);
	CHECK(server_requests[FS_READ] - before <= 24);
	EXPECT(t_unlink("/mnt/big"), 0);
	free(data);
	free(buf);
}

static void
sparse_files_have_holes(void)
{
	char buf[8192], zeros[8192] = { 0 };
	struct stat st;
	long fd = t_open("/mnt/s", O_RDWR | O_CREAT, 0600);

	EXPECT(sys_pwrite64((uint64_t)fd, U("x"), 1, 1000000), 1);
	/* Not written yet, and no program may take it for a hole. */
	EXPECT(sys_fstat((uint64_t)fd, U(&st)), 0);
	EXPECT(st.st_blocks, 8);
	EXPECT(sys_pread64((uint64_t)fd, U(buf), 8192, 500000), 8192);
	CHECK(memcmp(buf, zeros, 8192) == 0);
	EXPECT(sys_fsync((uint64_t)fd), 0);
	EXPECT(sys_lseek((uint64_t)fd, 0, 3), 999424);
	EXPECT(sys_lseek((uint64_t)fd, 999424, 4), 1000001);
	EXPECT(sys_lseek((uint64_t)fd, 0, 4), 0);
	EXPECT(sys_ftruncate((uint64_t)fd, 1000000), 0);
	EXPECT(sys_ftruncate((uint64_t)fd, 1000002), 0);
	EXPECT(sys_pread64((uint64_t)fd, U(buf), 10, 999999), 3);
	CHECK(memcmp(buf, zeros, 3) == 0);
	sys_close((uint64_t)fd);
	remount_disk();
	fd = t_open("/mnt/s", O_RDWR, 0);
	EXPECT(sys_pread64((uint64_t)fd, U(buf), 8192, 999000), 1002);
	CHECK(memcmp(buf, zeros, 1002) == 0);
	EXPECT(sys_fallocate((uint64_t)fd, 0, 0, 8192), 0);
	EXPECT(sys_pwrite64((uint64_t)fd, U("abcd"), 4, 4094), 4);
	EXPECT(sys_fallocate((uint64_t)fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, 4096), 0);
	EXPECT(sys_pread64((uint64_t)fd, U(buf), 6, 4092), 6);
	CHECK(memcmp(buf, "\0\0\0\0cd", 6) == 0);
	EXPECT(sys_fstat((uint64_t)fd, U(&st)), 0);
	EXPECT(st.st_blocks, 16);	/* one there, one at the end */
	sys_close((uint64_t)fd);
	EXPECT(t_unlink("/mnt/s"), 0);
}

static void
a_full_disk_is_told_to_write(void)
{
	enum { PAGES = 64 };
	uint8_t data[4096];
	uint64_t before = server_blocks;
	long fd = t_open("/mnt/full", O_RDWR | O_CREAT, 0600), r = 0;
	unsigned n = 0;

	server_blocks = server_used() + PAGES;
	pattern(data, sizeof(data), 1);
	while ((r = sys_write((uint64_t)fd, U(data), 4096)) == 4096)
		n++;
	EXPECT(r, -ENOSPC);
	EXPECT(n, PAGES);
	EXPECT(sys_pwrite64((uint64_t)fd, U(data), 4096, 0), 4096);	/* it has its room */
	EXPECT(sys_fsync((uint64_t)fd), 0);
	EXPECT(sys_pwrite64((uint64_t)fd, U(data), 4096, 4096 * PAGES), -ENOSPC);
	EXPECT(sys_ftruncate((uint64_t)fd, 4096 * 10), 0);
	EXPECT(sys_pwrite64((uint64_t)fd, U(data), 4096, 4096 * PAGES), 4096);
	EXPECT(sys_fsync((uint64_t)fd), 0);
	sys_close((uint64_t)fd);
	EXPECT(t_unlink("/mnt/full"), 0);
	/* Room that an unlinked file had set aside, and never used, comes back as well. */
	for (unsigned round = 0; round < 3; round++) {
		fd = t_open("/mnt/full", O_RDWR | O_CREAT, 0600);
		for (n = 0; n < PAGES; n++)
			EXPECT(sys_write((uint64_t)fd, U(data), 4096), 4096);
		EXPECT(t_unlink("/mnt/full"), 0);
		sys_close((uint64_t)fd);
	}
	server_blocks = before;
}

static void
lost_writes_are_told_once_to_each_descriptor(void)
{
	long a = t_open("/mnt/e", O_RDWR | O_CREAT, 0600), b = t_open("/mnt/e", O_RDWR, 0);

	EXPECT(sys_write((uint64_t)a, U("data"), 4), 4);
	faults.fail_op = FS_WRITE;
	faults.fail_with = -EIO;
	faults.fail_count = 1;
	EXPECT(sys_fsync((uint64_t)a), -EIO);
	EXPECT(sys_fsync((uint64_t)a), 0);
	EXPECT(sys_fsync((uint64_t)b), -EIO);
	EXPECT(sys_fsync((uint64_t)b), 0);
	EXPECT(sys_pwrite64((uint64_t)a, U("DATA"), 4, 0), 4);
	EXPECT(sys_fsync((uint64_t)a), 0);
	sys_close((uint64_t)a);
	sys_close((uint64_t)b);
	expect_bytes("/mnt/e", "DATA", 4);
	EXPECT(t_unlink("/mnt/e"), 0);
}

static void
failed_reads_are_tried_again(void)
{
	char buf[16];
	long fd;

	put("/mnt/r", "text", 4, 0);
	remount_disk();
	fd = t_open("/mnt/r", O_RDONLY, 0);
	faults.fail_op = FS_READ;
	faults.fail_with = -EIO;
	faults.fail_count = 1;
	EXPECT(sys_read((uint64_t)fd, U(buf), 16), -EIO);
	EXPECT(sys_read((uint64_t)fd, U(buf), 16), 4);
	sys_close((uint64_t)fd);
	EXPECT(t_unlink("/mnt/r"), 0);
}

static void
files_without_names_live_until_they_are_closed(void)
{
	char buf[16];
	long fd = t_open("/mnt/u", O_RDWR | O_CREAT, 0600), tmp;
	struct stat st;

	EXPECT(sys_write((uint64_t)fd, U("kept"), 4), 4);
	EXPECT(t_unlink("/mnt/u"), 0);
	EXPECT(sys_fsync((uint64_t)fd), 0);
	EXPECT(sys_pread64((uint64_t)fd, U(buf), 16, 0), 4);
	EXPECT(server_orphans(), 1);
	EXPECT(sys_fstat((uint64_t)fd, U(&st)), 0);
	EXPECT(st.st_nlink, 0);
	sys_close((uint64_t)fd);
	EXPECT(orphans_later(), 0);
	tmp = t_open("/mnt", O_RDWR | O_TMPFILE, 0600);
	CHECK(tmp >= 0);
	EXPECT(sys_write((uint64_t)tmp, U("named"), 5), 5);
	EXPECT(sys_linkat((uint64_t)tmp, U(""), CWD, U("/mnt/named"), AT_EMPTY_PATH), 0);
	sys_close((uint64_t)tmp);
	expect_bytes("/mnt/named", "named", 5);
	EXPECT(t_unlink("/mnt/named"), 0);
	tmp = t_open("/mnt", O_RDWR | O_TMPFILE, 0600);
	sys_close((uint64_t)tmp);
}

struct dirent_ { uint64_t ino; int64_t off; uint16_t len; uint8_t type; char name[]; } __attribute__((packed));

static void
listings_go_on_after_names_went(void)
{
	bool seen[600] = { false };
	char path[32], buf[1000];
	long fd, n;

	EXPECT(t_mkdir("/mnt/many"), 0);
	for (unsigned i = 0; i < 600; i++) {
		ksnprintf(path, sizeof(path), "/mnt/many/%u", i);
		put(path, "", 0, 0);
	}
	fd = t_open("/mnt/many", O_RDONLY, 0);
	while ((n = sys_getdents64((uint64_t)fd, U(buf), sizeof(buf))) > 0)
		for (long at = 0; at < n; ) {
			struct dirent_ *e = (struct dirent_ *)(void *)(buf + at);

			at += e->len;
			if (e->name[0] == '.')
				continue;
			unsigned i = (unsigned)strtoul(e->name, NULL, 10);
			CHECK(i < 600 && !seen[i]);
			seen[i] = true;
			ksnprintf(path, sizeof(path), "/mnt/many/%u", i);
			EXPECT(t_unlink(path), 0);
		}
	EXPECT(n, 0);
	/* What is left are the dots. */
	EXPECT(sys_lseek((uint64_t)fd, 0, 0), 0);
	EXPECT(sys_getdents64((uint64_t)fd, U(buf), sizeof(buf)), 48);
	EXPECT(sys_getdents64((uint64_t)fd, U(buf), sizeof(buf)), 0);
	sys_close((uint64_t)fd);
	for (unsigned i = 0; i < 600; i++)
		CHECK(seen[i]);
	EXPECT(t_rmdir("/mnt/many"), 0);
}

/* ---- listings that are kept ---- */

enum { LISTED = 400 };

static struct {
	bool there[LISTED];		/* as the directory is */
	bool always[LISTED], ever[LISTED];	/* during the listing */
	bool seen[LISTED];
} names;

static void
names_path(char path[static 32], const char *dir, unsigned i)
{
	ksnprintf(path, 32, "%s/name-%u", dir, i);
}

/* Change a name, one way or another. */
static void
names_step(const char *dir, unsigned i)
{
	unsigned other = (unsigned)(rnd() % LISTED);
	char path[32], to[32];

	names_path(path, dir, i);
	names_path(to, dir, other);
	if (!names.there[i]) {
		if (rnd() % 4 == 0 && names.there[other])
			EXPECT(t_link(to, path), 0);
		else
			put(path, "", 0, O_EXCL);
		names.there[i] = names.ever[i] = true;
		return;
	}
	if (rnd() % 3 != 0 || i == other) {
		EXPECT(t_unlink(path), 0);
		names.there[i] = names.always[i] = false;
		return;
	}
	if (names.there[other] && rnd() % 2 == 0) {
		EXPECT(sys_renameat2(CWD, U(path), CWD, U(to), RENAME_EXCHANGE), 0);
		return;
	}
	if (names.there[other]) {	/* a hard link of the same file is left alone */
		struct stat a, b;

		EXPECT(t_stat(path, &a), 0);
		EXPECT(t_stat(to, &b), 0);
		if (a.st_ino == b.st_ino)
			return;
	}
	EXPECT(t_rename(path, to), 0);
	names.there[i] = names.always[i] = false;
	names.there[other] = names.ever[other] = true;
}

static void
names_forget(void)
{
	for (unsigned i = 0; i < 100 && disk_dirs_memory() != 0; i++)
		reclaim_memory();
	EXPECT((long)disk_dirs_memory(), 0);
}

/* One call's entries: each is a name that was there, and none comes twice unless it came anew. */
static long
names_take(long fd, size_t room)
{
	char buf[4096];
	long n = sys_getdents64((uint64_t)fd, U(buf), room);

	CHECK(n >= 0);
	for (long at = 0; at < n; ) {
		struct dirent_ *e = (struct dirent_ *)(void *)(buf + at);
		unsigned i;

		at += e->len;
		if (strcmp(e->name, ".") == 0 || strcmp(e->name, "..") == 0)
			continue;
		CHECK(memcmp(e->name, "name-", 5) == 0 && e->type == 8);
		i = (unsigned)strtoul(e->name + 5, NULL, 10);
		CHECK(i < LISTED && names.ever[i] && !(names.seen[i] && names.always[i]));
		names.seen[i] = true;
	}
	return n;
}

static void
names_begin(long fd)
{
	EXPECT(sys_lseek((uint64_t)fd, 0, 0), 0);
	memset(names.seen, 0, sizeof(names.seen));
	memcpy(names.always, names.there, sizeof(names.there));
	memcpy(names.ever, names.there, sizeof(names.there));
}

static void
names_end(void)
{
	for (unsigned i = 0; i < LISTED; i++)
		CHECK(names.seen[i] || !names.always[i]);
}

static void
names_list(long fd)
{
	names_begin(fd);
	while (names_take(fd, 4096) > 0)
		;
	names_end();
}

/* A path of 240 bytes. */
static const char *
long_name(char path[static 256], const char *dir, unsigned i, char fill)
{
	int at = ksnprintf(path, 256, "%s/%u-", dir, i);

	memset(path + at, fill, (size_t)(240 - at));
	path[240] = '\0';
	return path;
}

static void
names_remove(const char *dir)
{
	char path[32];

	for (unsigned i = 0; i < LISTED; i++) {
		names_path(path, dir, i);
		if (names.there[i])
			EXPECT(t_unlink(path), 0);
		names.there[i] = false;
	}
	EXPECT(t_rmdir(dir), 0);
}

static void
what_was_listed_is_kept(void)
{
	struct stat st;
	uint64_t before;
	long fd;

	EXPECT(t_mkdir("/mnt/l"), 0);
	fd = t_open("/mnt/l", O_RDONLY, 0);
	/* A new directory is known: nobody is asked for names that are not there. */
	before = server_requests[FS_LOOKUP];
	for (unsigned i = 0; i < LISTED; i++)
		names_step("/mnt/l", i);
	names_list(fd);
	EXPECT(server_requests[FS_LOOKUP], (long)before);
	names_forget();
	names_list(fd);
	/* Listed again, and with changes: from memory. */
	before = server_requests[FS_READDIR];
	for (unsigned round = 0; round < 40; round++) {
		names_list(fd);
		names_step("/mnt/l", (unsigned)(rnd() % LISTED));
	}
	names_list(fd);
	EXPECT(server_requests[FS_READDIR], (long)before);
	before = requests();
	names_list(fd);
	EXPECT(t_stat("/mnt/l/none-of-them", &st), -ENOENT);
	EXPECT(requests(), (long)before);
	sys_close((uint64_t)fd);
	names_remove("/mnt/l");
}

static void
listings_agree_whatever_happens_in_between(void)
{
	unsigned rounds = is_long() ? 2000 : 150, deaths = server_deaths;
	long fd;

	EXPECT(t_mkdir("/mnt/c"), 0);
	fd = t_open("/mnt/c", O_RDONLY, 0);
	for (unsigned r = 0; r < rounds; r++) {
		bool quiet = rnd() % 2;

		faults.reorder = rnd() % 2;
		faults.delay = rnd() % 2;
		faults.crowded = rnd() % 2;
		names_begin(fd);
		while (names_take(fd, 100 + rnd() % 3900) > 0) {
			if (server_redoes && faults.die_in == 0 && rnd() % 8 == 0)
				faults.die_in = 1 + (unsigned)(rnd() % 40);
			if (rnd() % 8 == 0)
				names_forget();
			for (unsigned n = (unsigned)(rnd() % 6); n > 0 && !quiet; n--)
				names_step("/mnt/c", (unsigned)(rnd() % LISTED));
		}
		names_end();
		for (unsigned n = (unsigned)(rnd() % 30); n > 0; n--)
			names_step("/mnt/c", (unsigned)(rnd() % LISTED));
		if (rnd() % 20 == 0) {
			faults.die_in = 0;
			sys_close((uint64_t)fd);
			remount_disk();
			fd = t_open("/mnt/c", O_RDONLY, 0);
		}
	}
	faults.die_in = 0;
	sys_close((uint64_t)fd);
	names_remove("/mnt/c");
	printf("    %u listings, %u deaths\n", rounds, server_deaths - deaths);
}

/* telldir and seekdir: a place is the same one later, kept or not. */
static void
places_in_a_listing_stay(void)
{
	int64_t place[LISTED + 2];
	unsigned n = 0;
	long fd, got;

	EXPECT(t_mkdir("/mnt/p"), 0);
	for (unsigned i = 0; i < LISTED; i++)
		if (!names.there[i])
			names_step("/mnt/p", i);
	fd = t_open("/mnt/p", O_RDONLY, 0);
	for (;;) {
		char buf[40];		/* one name */

		got = sys_getdents64((uint64_t)fd, U(buf), sizeof(buf));
		CHECK(got >= 0);
		if (got == 0)
			break;
		place[n++] = ((struct dirent_ *)(void *)buf)->off;
		EXPECT(sys_lseek((uint64_t)fd, 0, 1), place[n - 1]);
	}
	for (unsigned round = 0; round < 40; round++) {
		unsigned at = (unsigned)(rnd() % n), left = 0;

		if (round % 2 == 0)
			names_forget();
		names_begin(fd);
		EXPECT(sys_lseek((uint64_t)fd, place[at], 0), place[at]);
		while (names_take(fd, 1000) > 0)
			;
		for (unsigned i = 0; i < LISTED; i++)
			left += names.seen[i];
		EXPECT(left, n - max(at + 1, 2u));
	}
	sys_close((uint64_t)fd);
	names_remove("/mnt/p");
}

/* More names than may be kept: they are listed all the same, and the memory has its bound. */
static void
what_is_kept_of_directories_is_bounded(void)
{
	enum { MANY = 2600, DIRS = 6 };
	uint64_t most = pages_total() * PAGE_SIZE / 32;
	char path[256], to[256], dir[16], buf[4096];
	unsigned seen = 0;
	long fd, n;

	EXPECT(t_mkdir("/mnt/b"), 0);
	for (unsigned i = 0; i < MANY; i++) {
		put(long_name(path, "/mnt/b", i, 'x'), "", 0, O_EXCL);
		CHECK(disk_dirs_memory() <= most);
	}
	CHECK(disk_dirs_memory() < most / 4);	/* that one is too large */
	fd = t_open("/mnt/b", O_RDONLY, 0);
	while ((n = sys_getdents64((uint64_t)fd, U(buf), sizeof(buf))) > 0)
		for (long at = 0; at < n; at += ((struct dirent_ *)(void *)(buf + at))->len)
			seen++;
	sys_close((uint64_t)fd);
	EXPECT(seen, MANY + 2);
	CHECK(disk_dirs_memory() < most / 4);
	for (unsigned d = 0; d < DIRS; d++) {	/* many that are not: the older ones go */
		ksnprintf(dir, sizeof(dir), "/mnt/d%u", d);
		EXPECT(t_mkdir(dir), 0);
		for (unsigned i = 0; i < MANY / 2; i++) {
			EXPECT(t_link(long_name(path, "/mnt/b", i, 'x'), long_name(to, dir, i, 'y')), 0);
			CHECK(disk_dirs_memory() <= most + 4096);
		}
	}
	CHECK(!server_is_model || disk_dirs_memory() > most / 4);
	names_forget();
	for (unsigned d = 0; d < DIRS; d++) {
		ksnprintf(dir, sizeof(dir), "/mnt/d%u", d);
		for (unsigned i = 0; i < MANY / 2; i++)
			EXPECT(t_unlink(long_name(path, dir, i, 'y')), 0);
		EXPECT(t_rmdir(dir), 0);
	}
	for (unsigned i = 0; i < MANY; i++)
		EXPECT(t_unlink(long_name(path, "/mnt/b", i, 'x')), 0);
	EXPECT(t_rmdir("/mnt/b"), 0);
}

static void
attributes_are_kept(void)
{
	struct __kernel_timespec t[2] = { { 1000, 1 }, { 2000, 2 } };
	char buf[64];
	struct stat st;

	put("/mnt/a", "x", 1, 0);
	EXPECT(sys_fchmodat(CWD, U("/mnt/a"), 0600), 0);
	EXPECT(sys_fchownat(CWD, U("/mnt/a"), 7, 8, 0), 0);
	EXPECT(sys_utimensat(CWD, U("/mnt/a"), U(t), 0), 0);
	EXPECT(sys_setxattr(U("/mnt/a"), U("user.k"), U("value"), 5, 0), 0);
	EXPECT(sys_setxattr(U("/mnt/a"), U("user.k"), U("value"), 5, XATTR_CREATE), -EEXIST);
	EXPECT(sys_setxattr(U("/mnt/a"), U("system.posix_acl_access"), U("v"), 1, 0), -EOPNOTSUPP);
	remount_disk();
	EXPECT(t_stat("/mnt/a", &st), 0);
	CHECK(st.st_mode == (S_IFREG | 0600) && st.st_uid == 7 && st.st_gid == 8);
	CHECK(st.st_atime == 1000 && st.st_mtime == 2000 && st.st_mtime_nsec == 2);
	/* The page was written after utimensat: the time of change is not what that said. */
	CHECK(st.st_ctime != 2000);
	EXPECT(sys_getxattr(U("/mnt/a"), U("user.k"), U(buf), 64), 5);
	CHECK(memcmp(buf, "value", 5) == 0);
	EXPECT(sys_getxattr(U("/mnt/a"), U("user.k"), U(buf), 0), 5);
	EXPECT(sys_getxattr(U("/mnt/a"), U("user.k"), U(buf), 2), -ERANGE);
	EXPECT(sys_getxattr(U("/mnt/a"), U("user.none"), U(buf), 64), -ENODATA);
	EXPECT(sys_listxattr(U("/mnt/a"), U(buf), 64), 7);
	EXPECT(sys_removexattr(U("/mnt/a"), U("user.k")), 0);
	EXPECT(sys_listxattr(U("/mnt/a"), U(buf), 64), 0);
	/* relatime: a read after the change is seen, now and later. */
	expect_bytes("/mnt/a", "x", 1);
	EXPECT(t_stat("/mnt/a", &st), 0);
	CHECK(st.st_atime != 1000);
	t[0].tv_sec = (long)st.st_atime;
	remount_disk();
	EXPECT(t_stat("/mnt/a", &st), 0);
	EXPECT(st.st_atime, (long)t[0].tv_sec);
	EXPECT(t_unlink("/mnt/a"), 0);
}

static const char *
shown(void)
{
	static char text[256];

	super_options_text(disk->sb, text, sizeof(text));
	return text;
}

static long
remount(const char *options)
{
	return sys_mount(0, U("/mnt"), 0, MS_REMOUNT, U(options));
}

static void
options_are_taken_refused_and_shown(void)
{
	static const char *const bad[] = { "nonsense", "discard,nonsense", "commit", "commit=", "commit=x", "commit=9999999999",
		"discard=1", "data=journal", "errors=panic", "errors=", "sb=1", "stripe", "barrier=maybe" };

	CHECK(strcmp(shown(), "") == 0);
	EXPECT(remount("commit=30,discard,,noauto_da_alloc,barrier=0,user_xattr,acl,data=ordered,stripe=8"), 0);
	CHECK(strcmp(shown(), ",nobarrier,discard,noauto_da_alloc,data=ordered,commit=30") == 0);
	for (unsigned i = 0; i < ARRAY_LEN(bad); i++)
		EXPECT(remount(bad[i]), -EINVAL);
	CHECK(strcmp(shown(), ",nobarrier,discard,noauto_da_alloc,data=ordered,commit=30") == 0);
	EXPECT(remount("nodiscard,commit=0,barrier,auto_da_alloc,data=writeback,errors=remount-ro"), 0);
	CHECK(strcmp(shown(), ",errors=remount-ro,data=writeback") == 0);
	EXPECT(sys_umount2(U("/mnt"), 0), 0);
	for (unsigned i = 0; i < ARRAY_LEN(bad); i++)
		EXPECT(sys_mount(U("root"), U("/mnt"), U("ext4"), 0, U(bad[i])), -EINVAL);
	EXPECT(sys_mount(U("root"), U("/mnt"), U("ext4"), MS_NOATIME | MS_LAZYTIME, U("discard,commit=7")), 0);
	CHECK(strcmp(shown(), ",lazytime,discard,commit=7") == 0);
	CHECK(disk->client->channel->mount_flags == FS_MOUNT_DISCARD && disk->client->channel->commit_seconds == 7);
	/* what a remount does not name stays, and so does what was said about access times */
	EXPECT(sys_mount(0, U("/mnt"), 0, MS_REMOUNT | MS_RDONLY, 0), 0);
	EXPECT(remount(NULL), 0);
	CHECK(strcmp(shown(), ",discard,commit=7") == 0);
	for (unsigned n = 0; n < 2; n++) {
		struct mount *m;
		char text[128];

		for (unsigned i = 0; (m = mount_nth(i)) != NULL && m->sb != disk->sb; i++)
			mount_put(m);
		CHECK(m != NULL);
		mount_options_text(m, text, sizeof(text), true);
		mount_put(m);
		CHECK(strcmp(text, n == 0 ? "rw,noatime,discard,commit=7" : "rw,relatime,discard,commit=7") == 0);
		EXPECT(sys_mount(0, U("/mnt"), 0, MS_REMOUNT | MS_RELATIME, 0), 0);
	}
}

static void
what_is_free_is_trimmed(void)
{
	static char bytes[300000];
	struct fstrim_range range = { 0, UINT64_MAX, 0 };
	long fd, r;

	for (unsigned i = 0; i < sizeof(bytes); i++)
		bytes[i] = (char)(i * 7 + i / 256);
	put("/mnt/a", bytes, sizeof(bytes), 0);
	put("/mnt/b", bytes, sizeof(bytes), 0);
	fd = t_open("/mnt", O_RDONLY | O_DIRECTORY, 0);
	EXPECT(sys_syncfs((uint64_t)fd), 0);
	EXPECT(t_unlink("/mnt/b"), 0);
	EXPECT(sys_syncfs((uint64_t)fd), 0);
	r = sys_ioctl((uint64_t)fd, FITRIM, U(&range));
	if (server_is_model) {
		EXPECT(r, -EOPNOTSUPP);
	} else {
		EXPECT(r, 0);
		CHECK(range.len > 32 << 20 && range.len < 96 << 20);
		range = (struct fstrim_range){ 0, UINT64_MAX, 0 };
		EXPECT(sys_ioctl((uint64_t)fd, FITRIM, U(&range)), 0);
		EXPECT(range.len, 0);
		range = (struct fstrim_range){ 0, 100, 0 };
		EXPECT(sys_ioctl((uint64_t)fd, FITRIM, U(&range)), -EINVAL);
	}
	EXPECT(sys_ioctl((uint64_t)fd, FITRIM, 8), -EFAULT);
	EXPECT(sys_close((uint64_t)fd), 0);
	remount_disk();
	expect_bytes("/mnt/a", bytes, sizeof(bytes));
	EXPECT(t_unlink("/mnt/a"), 0);
}

/* Pages by their numbers, of a file that is open. */
static void
write_page(long fd, unsigned n)
{
	static char page[PAGE_SIZE];

	memset(page, (int)n + 1, sizeof(page));
	EXPECT(sys_pwrite64((uint64_t)fd, U(page), sizeof(page), (uint64_t)n * PAGE_SIZE), PAGE_SIZE);
}

static uint64_t
read_pages(long fd, unsigned first, unsigned count)
{
	static char page[PAGE_SIZE];
	uint64_t before = server_requests[FS_READ];

	for (unsigned i = 0; i < count; i++)
		EXPECT(sys_pread64((uint64_t)fd, U(page), sizeof(page), (uint64_t)(first + i) * PAGE_SIZE), PAGE_SIZE);
	return server_requests[FS_READ] - before;
}

static void
a_range_is_written_and_no_more(void)
{
	enum { PAGES = 64, ALL = SYNC_FILE_RANGE_WAIT_BEFORE | SYNC_FILE_RANGE_WRITE_AND_WAIT };
	uint64_t fd = (uint64_t)t_open("/mnt/f", O_RDWR | O_CREAT, 0644), writes, syncs;

	for (unsigned i = 0; i < PAGES; i++)
		write_page((long)fd, i);
	EXPECT(sys_fsync(fd), 0);
	write_page((long)fd, 2);
	write_page((long)fd, 50);
	writes = server_requests[FS_WRITE];
	syncs = server_requests[FS_FSYNC] + server_requests[FS_SYNC];
	EXPECT(sys_sync_file_range(fd, 10 * PAGE_SIZE, 10 * PAGE_SIZE, ALL), 0);
	EXPECT(sys_sync_file_range(fd, 0, 0, 0), 0);
	EXPECT(sys_sync_file_range(fd, 0, 0, SYNC_FILE_RANGE_WAIT_BEFORE), 0);
	EXPECT(server_requests[FS_WRITE], (long)writes);
	EXPECT(sys_sync_file_range(fd, 2 * PAGE_SIZE + 1, 1, ALL), 0);
	EXPECT(server_requests[FS_WRITE], (long)writes + 1);
	EXPECT(sys_sync_file_range(fd, 0, 50 * PAGE_SIZE, ALL), 0);
	EXPECT(server_requests[FS_WRITE], (long)writes + 1);
	EXPECT(sys_sync_file_range(fd, PAGE_SIZE, 0, SYNC_FILE_RANGE_WRITE), 0);
	EXPECT(server_requests[FS_WRITE], (long)writes + 2);
	EXPECT(server_requests[FS_FSYNC] + server_requests[FS_SYNC], (long)syncs);
	EXPECT(sys_sync_file_range(fd, 0, 0, 8), -EINVAL);
	EXPECT(sys_sync_file_range(fd, (uint64_t)-1, 1, ALL), -EINVAL);
	EXPECT(sys_sync_file_range(99, 0, 0, ALL), -EBADF);
	EXPECT(sys_close(fd), 0);
	EXPECT(t_unlink("/mnt/f"), 0);
}

/* Pages of the file hold these numbers (write_page), 0: none. */
static void
expect_pages(long fd, const unsigned char *want, unsigned count)
{
	static char page[PAGE_SIZE];
	struct stat st;

	EXPECT(sys_fstat((uint64_t)fd, U(&st)), 0);
	EXPECT(st.st_size, (long)count * PAGE_SIZE);
	for (unsigned i = 0; i < count; i++) {
		EXPECT(sys_pread64((uint64_t)fd, U(page), sizeof(page), (uint64_t)i * PAGE_SIZE), PAGE_SIZE);
		CHECK((unsigned char)page[0] == want[i] && (unsigned char)page[PAGE_SIZE - 1] == want[i]);
	}
}

/* Collapse and insert, with dirty and clean pages before and behind, and the server dying after `die_in` steps. */
static void
move_once(unsigned die_in)
{
	enum { PAGES = 24 };
	unsigned char want[2 * PAGES];
	long fd = t_open("/mnt/f", O_RDWR | O_CREAT | O_TRUNC, 0644);

	for (unsigned i = 0; i < PAGES; i++) {
		write_page(fd, i);
		want[i] = (unsigned char)(i + 1);
		if (i == PAGES / 2)
			EXPECT(sys_fdatasync((uint64_t)fd), 0);
	}
	faults.die_in = die_in;
	EXPECT(sys_fallocate((uint64_t)fd, FALLOC_FL_COLLAPSE_RANGE, 5 * PAGE_SIZE, 9 * PAGE_SIZE), 0);
	memmove(want + 5, want + 14, PAGES - 14);
	expect_pages(fd, want, PAGES - 9);
	write_page(fd, 6);
	want[6] = 7;
	EXPECT(sys_fallocate((uint64_t)fd, FALLOC_FL_INSERT_RANGE, 3 * PAGE_SIZE, 4 * PAGE_SIZE), 0);
	memmove(want + 7, want + 3, PAGES - 9 - 3);
	memset(want + 3, 0, 4);
	write_page(fd, 4);
	want[4] = 5;
	expect_pages(fd, want, PAGES - 5);
	faults.die_in = 0;
	if (die_in % 4 == 0) {
		EXPECT(sys_close((uint64_t)fd), 0);
		remount_disk();
		fd = t_open("/mnt/f", O_RDWR, 0);
		expect_pages(fd, want, PAGES - 5);
	}
	EXPECT(sys_fallocate((uint64_t)fd, FALLOC_FL_COLLAPSE_RANGE, 100, PAGE_SIZE), -EINVAL);
	EXPECT(sys_fallocate((uint64_t)fd, FALLOC_FL_COLLAPSE_RANGE, 0, (PAGES - 5) * PAGE_SIZE), -EINVAL);
	EXPECT(sys_fallocate((uint64_t)fd, FALLOC_FL_INSERT_RANGE, (PAGES - 5) * PAGE_SIZE, PAGE_SIZE), -EINVAL);
	EXPECT(sys_fallocate((uint64_t)fd, FALLOC_FL_INSERT_RANGE | FALLOC_FL_KEEP_SIZE, 0, PAGE_SIZE), -EINVAL);
	expect_pages(fd, want, PAGES - 5);
	EXPECT(sys_close((uint64_t)fd), 0);
	EXPECT(t_unlink("/mnt/f"), 0);
}

static void
ranges_go_and_come_whenever_the_server_dies(void)
{
	unsigned deaths, step = 0;
	long fd, r;

	if (server_is_model) {
		fd = t_open("/mnt/f", O_RDWR | O_CREAT, 0644);
		write_page(fd, 0);
		write_page(fd, 1);
		r = sys_fallocate((uint64_t)fd, FALLOC_FL_COLLAPSE_RANGE, 0, PAGE_SIZE);
		EXPECT(r, -EOPNOTSUPP);
		expect_pages(fd, (const unsigned char *)"\1\2", 2);
		EXPECT(sys_close((uint64_t)fd), 0);
		EXPECT(t_unlink("/mnt/f"), 0);
		return;
	}
	move_once(0);
	do {
		deaths = server_deaths;
		faults.reorder = step % 2 != 0;
		step += step < 60 ? 1 : 3;
		move_once(step);
	} while (server_deaths != deaths && step < 4000);
	printf("    %u steps\n", step);
	CHECK(step > 10 && step < 4000);
	memset(&faults, 0, sizeof(faults));
}

static void
advice_is_the_descriptors(void)
{
	enum { PAGES = 256 };
	long fd = t_open("/mnt/f", O_RDWR | O_CREAT, 0644), other;

	for (unsigned i = 0; i < PAGES; i++)
		write_page(fd, i);
	EXPECT(sys_close((uint64_t)fd), 0);
	remount_disk();
	fd = t_open("/mnt/f", O_RDONLY, 0);
	other = t_open("/mnt/f", O_RDONLY, 0);
	EXPECT(sys_fadvise64((uint64_t)fd, 0, 0, FADV_RANDOM), 0);
	EXPECT(read_pages(fd, 0, 16), 16);
	CHECK(read_pages(other, 16, 100) < 20);
	EXPECT(sys_fadvise64((uint64_t)fd, 0, 0, FADV_NORMAL), 0);
	EXPECT(sys_close((uint64_t)fd), 0);
	EXPECT(sys_close((uint64_t)other), 0);
	remount_disk();
	/* from its first page on in large pieces */
	fd = t_open("/mnt/f", O_RDONLY, 0);
	EXPECT(sys_fadvise64((uint64_t)fd, 0, 0, FADV_SEQUENTIAL), 0);
	CHECK(read_pages(fd, 0, PAGES) <= 4);
	EXPECT(sys_close((uint64_t)fd), 0);
	EXPECT(t_unlink("/mnt/f"), 0);
}

static void
a_read_only_mount_stays_so(void)
{
	long fd;

	put("/mnt/ro", "x", 1, 0);
	fd = t_open("/mnt/ro", O_RDWR, 0);
	EXPECT(sys_mount(0, U("/mnt"), 0, MS_REMOUNT | MS_RDONLY, 0), -EBUSY);
	sys_close((uint64_t)fd);
	EXPECT(sys_mount(0, U("/mnt"), 0, MS_REMOUNT | MS_RDONLY, 0), 0);
	EXPECT(t_open("/mnt/ro", O_RDWR, 0), -EROFS);
	EXPECT(t_unlink("/mnt/ro"), -EROFS);
	expect_bytes("/mnt/ro", "x", 1);
	EXPECT(sys_mount(0, U("/mnt"), 0, MS_REMOUNT, 0), 0);
	EXPECT(t_unlink("/mnt/ro"), 0);
}

static void
fsynced_bytes_are_on_the_disk(void)
{
	char buf[8];
	struct stat st;
	long fd = t_open("/mnt/s", O_RDWR | O_CREAT, 0600);

	EXPECT(sys_fstat((uint64_t)fd, U(&st)), 0);
	EXPECT(sys_write((uint64_t)fd, U("stable"), 6), 6);
	EXPECT(server_peek((uint32_t)st.st_ino, 0, buf, 6), 0);
	EXPECT(sys_fdatasync((uint64_t)fd), 0);
	EXPECT(server_peek((uint32_t)st.st_ino, 0, buf, 6), 6);
	CHECK(memcmp(buf, "stable", 6) == 0);
	sys_close((uint64_t)fd);
	fd = t_open("/mnt/s", O_RDWR | O_SYNC, 0600);
	EXPECT(sys_write((uint64_t)fd, U("STABLE"), 6), 6);
	EXPECT(server_peek((uint32_t)st.st_ino, 0, buf, 6), 6);
	CHECK(memcmp(buf, "STABLE", 6) == 0);
	sys_close((uint64_t)fd);
	fd = t_open("/mnt/s", O_RDWR | O_DIRECT, 0600);
	EXPECT(sys_write((uint64_t)fd, U("x"), 1), -EINVAL);
	sys_close((uint64_t)fd);
	EXPECT(t_unlink("/mnt/s"), 0);
}

/* What is in one run needs no second request, and none for its times. */
static void
an_fsync_of_one_run_is_one_request(void)
{
	static const unsigned ops[] = { FS_WRITE, FS_FSYNC, FS_SETATTR, FS_SYNC };
	uint64_t before[256];
	struct stat st;
	char buf[8];
	long fd = t_open("/mnt/one", O_RDWR | O_CREAT, 0600);

	EXPECT(sys_fstat((uint64_t)fd, U(&st)), 0);
	EXPECT(sys_write((uint64_t)fd, U("first"), 5), 5);
	EXPECT(sys_fsync((uint64_t)fd), 0);
	memcpy(before, server_requests, sizeof(before));
	EXPECT(sys_pwrite64((uint64_t)fd, U("STABLE"), 6, 0), 6);
	EXPECT(sys_fsync((uint64_t)fd), 0);
	for (unsigned i = 0; i < 4; i++)
		EXPECT(server_requests[ops[i]] - before[ops[i]], i == 0 ? 1 : 0);
	EXPECT(server_peek((uint32_t)st.st_ino, 0, buf, 6), 6);
	CHECK(memcmp(buf, "STABLE", 6) == 0);
	/* An error is told once, and what was not stable then is with the next one. */
	faults.fail_op = FS_WRITE;
	faults.fail_with = -EIO;
	faults.fail_count = 1;
	EXPECT(sys_pwrite64((uint64_t)fd, U("broken"), 6, 0), 6);
	EXPECT(sys_fsync((uint64_t)fd), -EIO);
	EXPECT(sys_fsync((uint64_t)fd), 0);
	sys_close((uint64_t)fd);
	EXPECT(t_unlink("/mnt/one"), 0);
}

/* Two programs sync one file: neither is told so before a sync that began after its write has ended. */
static long other_fd;
static uint64_t syncs_at_return;

static void
another_syncs(void)
{
	host_wait_hook = others_run;
	EXPECT(sys_fdatasync((uint64_t)other_fd), 0);
	syncs_at_return = server_requests[FS_FSYNC];
}

static void
an_fsync_does_not_rely_on_one_that_is_on_its_way(void)
{
	uint64_t before;
	long fd = t_open("/mnt/two", O_RDWR | O_CREAT, 0600);

	other_fd = t_open("/mnt/two", O_RDWR, 0);
	EXPECT(sys_write((uint64_t)fd, U("first"), 5), 5);
	EXPECT(sys_fdatasync((uint64_t)fd), 0);
	EXPECT(sys_pwrite64((uint64_t)other_fd, U("again"), 5, 0), 5);
	in_flusher = true;
	disk_pass(disk, true);
	disk->commit_now = true;
	disk_pass(disk, true);		/* written, and no transaction of it is open */
	in_flusher = false;
	before = server_requests[FS_FSYNC];
	host_wait_hook = another_syncs;
	EXPECT(sys_fdatasync((uint64_t)fd), 0);
	CHECK(host_wait_hook == others_run);
	CHECK(syncs_at_return > before);
	/* and now there is nothing to sync */
	before = server_requests[FS_FSYNC];
	EXPECT(sys_fdatasync((uint64_t)fd), 0);
	EXPECT(server_requests[FS_FSYNC], (long)before);
	sys_close((uint64_t)fd);
	sys_close((uint64_t)other_fd);
	EXPECT(t_unlink("/mnt/two"), 0);
}

/* ---- a device that a server is given ---- */

static bool dev_gone;
static int devs_taken;

long
disk_dev_take(uint64_t rdev, void *holder, const char *server, bool write, struct blk_dev **out)
{
	(void)rdev, (void)holder, (void)server, (void)write;
	devs_taken++;
	*out = (struct blk_dev *)(uintptr_t)&devs_taken;
	return 0;
}

void
disk_dev_give(struct blk_dev *d, void *holder, const char *server)
{
	(void)d, (void)holder, (void)server;
	devs_taken--;
}

bool disk_dev_gone(const struct blk_dev *d) { (void)d; return dev_gone; }

/* Its number is the next disk's: what is mounted is not that one's file system. */
static void
a_disk_that_was_taken_away_is_not_mounted_again(void)
{
	struct world_channel *ch = (struct world_channel *)(uintptr_t)io_channel(SERVER_CHANNEL);

	EXPECT(sys_umount2(U("/mnt"), 0), 0);
	ch->flags |= WORLD_CHANNEL_BOUND;
	EXPECT(sys_mount(U("/blk"), U("/mnt"), U("ext4"), 0, 0), 0);
	EXPECT(sys_mount(U("/blk"), U("/other"), U("ext4"), 0, 0), 0);
	EXPECT(sys_umount2(U("/other"), 0), 0);
	EXPECT(devs_taken, 1);
	dev_gone = true;
	EXPECT(sys_mount(U("/blk"), U("/other"), U("ext4"), 0, 0), -EMFILE);	/* there is but one server */
	dev_gone = false;
	EXPECT(sys_umount2(U("/mnt"), 0), 0);
	EXPECT(devs_taken, 0);
	ch->flags &= ~(uint32_t)WORLD_CHANNEL_BOUND;
	EXPECT(sys_mount(U("/dev/root"), U("/mnt"), U("ext4"), 0, 0), 0);
}

/* What was written in place before its inode left the cache is in nobody's count: the first fsync asks. */
static void
the_first_fsync_of_an_inode_asks(void)
{
	uint64_t before;
	long fd;

	put("/mnt/first", "bytes", 5, 0);
	remount_disk();
	fd = t_open("/mnt/first", O_RDWR, 0);
	for (unsigned i = 0; i < 2; i++) {
		before = server_requests[FS_FSYNC];
		EXPECT(sys_fdatasync((uint64_t)fd), 0);
		EXPECT(server_requests[FS_FSYNC] - before, i == 0 ? 1 : 0);
	}
	sys_close((uint64_t)fd);
	EXPECT(t_unlink("/mnt/first"), 0);
}

/* As write(2) does. */
static void
stores_through_a_mapping_change_the_time(void)
{
	struct __kernel_timespec t[2] = { { 1000, 1 }, { 2000, 2 } };
	struct mapping *m;
	struct stat st;
	struct page *p;
	struct file *f;
	long fd;

	put("/mnt/m", "x", 1, 0);
	EXPECT(sys_utimensat(CWD, U("/mnt/m"), U(t), 0), 0);
	fd = t_open("/mnt/m", O_RDWR, 0);
	f = fd_get((int)fd);
	m = f->inode->mapping;
	p = pagecache_page(m, 0);
	CHECK(p != NULL && !IS_ERR(p));
	EXPECT(m->ops->dirty(m, p), 0);		/* what the page fault calls */
	page_put(p);
	file_put(f);
	sys_close((uint64_t)fd);
	remount_disk();
	EXPECT(t_stat("/mnt/m", &st), 0);
	CHECK(st.st_mtime > 2000 && st.st_ctime >= st.st_mtime);
	EXPECT(t_unlink("/mnt/m"), 0);
}

/* Others have nearly all slots: who writes back does not wait for one with some in its hands, and what a page
 * fault needs is there when everybody else waits. */
static void
few_slots_are_enough(void)
{
	struct disk_client *c = disk->client;
	struct disk_call *others[FS_SLOTS];
	unsigned n = 0, left = 3;
	char buf[8];
	long fd;

	put("/mnt/read", "bytes", 5, 0);
	remount_disk();
	c = disk->client;
	fd = t_open("/mnt/runs", O_RDWR | O_CREAT, 0600);
	for (unsigned i = 0; i < 60; i++)
		EXPECT(sys_pwrite64((uint64_t)fd, U("x"), 1, i * 2 * PAGE_SIZE), 1);
	while ((others[n] = disk_call_try(c, FS_STATFS)) != NULL)
		n++;
	CHECK(n > 100);
	while (left-- > 0)
		disk_call_end(others[--n]);
	EXPECT(sys_fdatasync((uint64_t)fd), 0);
	sys_close((uint64_t)fd);
	fd = t_open("/mnt/read", O_RDONLY, 0);
	CHECK(fd >= 0);
	while ((others[n] = disk_call_try(c, FS_STATFS)) != NULL)
		n++;
	EXPECT(sys_read((uint64_t)fd, U(buf), sizeof(buf)), 5);
	sys_close((uint64_t)fd);
	while (n > 0)
		disk_call_end(others[--n]);
	EXPECT(t_unlink("/mnt/runs"), 0);
	EXPECT(t_unlink("/mnt/read"), 0);
}

/* More than the pool holds: clean pages go, dirty ones are written. */
static void
more_than_the_memory_can_be_written_and_read(void)
{
	enum { SIZE = 48 << 20, STEP = 64 << 10 };
	uint8_t *buf = malloc(STEP), *want = malloc(STEP);
	long fd = t_open("/mnt/m", O_RDWR | O_CREAT, 0600);

	for (unsigned at = 0; at < SIZE; at += STEP) {
		pattern(want, STEP, at / STEP);
		EXPECT(sys_write((uint64_t)fd, U(want), STEP), STEP);
	}
	for (unsigned at = 0; at < SIZE; at += STEP) {
		pattern(want, STEP, at / STEP);
		EXPECT(sys_pread64((uint64_t)fd, U(buf), STEP, at), STEP);
		CHECK(memcmp(buf, want, STEP) == 0);
	}
	sys_close((uint64_t)fd);
	EXPECT(sys_sync(), 0);
	CHECK(reclaim_memory() == RECLAIM_SOME);
	EXPECT(t_unlink("/mnt/m"), 0);
	free(buf);
	free(want);
}

/* ---- a model, and a server that does its worst ---- */

enum { FILES = 6, FILE_MAX = 300000 };

static struct { bool there, open; uint32_t size; long fd; uint8_t bytes[FILE_MAX]; } model[FILES];

/* Says where and what, which tells most of a mistake: 0xcc was lost by a server, 0xee lay in a hole. */
static void
model_differs(unsigned f, const uint8_t *buf)
{
	for (uint32_t i = 0; i < model[f].size; i++)
		if (buf[i] != model[f].bytes[i]) {
			printf("file%u of %u bytes, at %u: %#x, not %#x\n", f, model[f].size, i, buf[i], model[f].bytes[i]);
			return;
		}
}

static void
model_check(unsigned f, uint8_t *buf)
{
	long fd = model[f].fd;

	EXPECT(sys_pread64((uint64_t)fd, U(buf), FILE_MAX, 0), model[f].size);
	model_differs(f, buf);
	CHECK(memcmp(buf, model[f].bytes, model[f].size) == 0);
}

static void
model_step(unsigned f, uint8_t *buf)
{
	uint32_t at = (uint32_t)(rnd() % (FILE_MAX - 20000)), n = (uint32_t)(rnd() % 20000) + 1;
	char path[32], other[32];

	ksnprintf(path, sizeof(path), "/mnt/file%u", f);
	if (!model[f].open) {
		model[f].fd = t_open(path, O_RDWR | O_CREAT, 0600);
		CHECK(model[f].fd >= 0);
		if (!model[f].there)
			model[f].size = 0;
		model[f].there = model[f].open = true;
		return;
	}
	switch (rnd() % 12) {
	case 0: case 1: case 2:
		for (uint32_t i = 0; i < n; i++)
			buf[i] = (uint8_t)rnd();
		if (at > model[f].size)
			memset(model[f].bytes + model[f].size, 0, at - model[f].size);
		memcpy(model[f].bytes + at, buf, n);
		model[f].size = max(model[f].size, at + n);
		EXPECT(sys_pwrite64((uint64_t)model[f].fd, U(buf), n, at), n);
		break;
	case 3:
		if (at > model[f].size)
			memset(model[f].bytes + model[f].size, 0, at - model[f].size);
		model[f].size = at;
		EXPECT(sys_ftruncate((uint64_t)model[f].fd, at), 0);
		break;
	case 4:
		EXPECT(sys_fsync((uint64_t)model[f].fd), 0);
		break;
	case 5:
		EXPECT(sys_close((uint64_t)model[f].fd), 0);
		model[f].open = false;
		break;
	case 6:
		if (!model[f].there)
			break;
		EXPECT(t_unlink(path), 0);
		EXPECT(t_unlink(path), -ENOENT);
		model[f].there = false;
		break;
	case 7:
		if (!model[f].there)
			break;
		ksnprintf(other, sizeof(other), "/mnt/other%u", f);
		EXPECT(t_rename(path, other), 0);
		EXPECT(t_rename(other, path), 0);
		break;
	case 8:
		reclaim_pages(64);
		break;
	case 9:
		if (at < model[f].size)
			memset(model[f].bytes + at, 0, min(n, model[f].size - at));
		EXPECT(sys_fallocate((uint64_t)model[f].fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, at, n), 0);
		break;
	default:
		model_check(f, buf);
	}
}

static void
model_end(uint8_t *buf)
{
	char path[32];

	for (unsigned f = 0; f < FILES; f++) {
		if (model[f].open) {
			model_check(f, buf);
			EXPECT(sys_close((uint64_t)model[f].fd), 0);
		}
		ksnprintf(path, sizeof(path), "/mnt/file%u", f);
		if (model[f].there) {
			expect_bytes(path, model[f].bytes, model[f].size);
			EXPECT(t_unlink(path), 0);
		}
		model[f].there = model[f].open = false;
	}
}

static void
a_model_agrees_whatever_the_server_does(void)
{
	uint8_t *buf = malloc(FILE_MAX);
	unsigned steps = is_long() ? 60000 : 4000, deaths = server_deaths;

	for (unsigned i = 0; i < steps; i++) {
		if (i % 50 == 0) {
			faults.reorder = rnd() % 2;
			faults.delay = rnd() % 2;
		}
		if (server_redoes && faults.die_in == 0 && rnd() % 10 == 0)
			faults.die_in = 1 + (unsigned)(rnd() % 60);
		model_step((unsigned)(rnd() % FILES), buf);
		if (rnd() % 20 == 0) {
			in_flusher = true;
			disk_pass(disk, rnd() % 2);
			in_flusher = false;
		}
		if (rnd() % 300 == 0) {
			faults.die_in = 0;
			for (unsigned f = 0; f < FILES; f++)
				if (model[f].open) {
					EXPECT(sys_close((uint64_t)model[f].fd), 0);
					model[f].open = false;
				}
			remount_disk();
		}
	}
	faults.die_in = 0;
	model_end(buf);
	printf("    %u steps, %u deaths\n", steps, server_deaths - deaths);
	free(buf);
}

/* The same short life of files, with a death at step 1, 2, 3 … of the server. */
static void
short_life(void)
{
	uint8_t data[20000];
	long fd, un;

	pattern(data, sizeof(data), 9);
	EXPECT(t_mkdir("/mnt/x"), 0);
	put("/mnt/x/a", data, sizeof(data), 0);
	fd = t_open("/mnt/x/a", O_RDWR, 0);
	un = t_open("/mnt/x/un", O_RDWR | O_CREAT, 0600);
	EXPECT(sys_write((uint64_t)un, U(data), 5000), 5000);
	EXPECT(t_unlink("/mnt/x/un"), 0);
	EXPECT(sys_fsync((uint64_t)fd), 0);
	EXPECT(sys_pwrite64((uint64_t)fd, U("new"), 3, 100), 3);
	memcpy(data + 100, "new", 3);
	in_flusher = true;
	disk_pass(disk, true);		/* written, not committed */
	in_flusher = false;
	EXPECT(t_link("/mnt/x/a", "/mnt/x/b"), 0);
	EXPECT(t_rename("/mnt/x/b", "/mnt/x/c"), 0);
	EXPECT(sys_ftruncate((uint64_t)un, 3000), 0);
	EXPECT(sys_fdatasync((uint64_t)un), 0);
	expect_bytes("/mnt/x/c", data, sizeof(data));
	EXPECT(sys_pread64((uint64_t)un, U(data), 5000, 0), 3000);
	sys_close((uint64_t)un);
	sys_close((uint64_t)fd);
	EXPECT(sys_sync(), 0);
	EXPECT(t_unlink("/mnt/x/a"), 0);
	EXPECT(t_unlink("/mnt/x/c"), 0);
	EXPECT(t_rmdir("/mnt/x"), 0);
	EXPECT(sys_sync(), 0);
}

static void
a_death_at_every_step_is_not_seen(void)
{
	unsigned at = 1, deaths;

	do {
		deaths = server_deaths;
		faults.die_in = at++;
		short_life();
		CHECK(faults.die_in == 0 || server_deaths == deaths);
	} while (server_deaths != deaths);
	faults.die_in = 0;
	CHECK(at > 20);
	printf("    %u places\n", at - 2);
}

static void
two_deaths_in_a_row_are_not_seen(void)
{
	for (unsigned at = 1; at < 60; at++) {
		faults.die_in = at;
		for (unsigned i = 0; i < 2; i++) {
			if (faults.die_in == 0)
				faults.die_in = 1 + (unsigned)(rnd() % 12);
			short_life();
		}
		faults.die_in = 0;
	}
}

/* The page whose write made the file longer may be gone when a new server is told of the others. */
static void
a_size_outlives_the_page_that_made_it(void)
{
	static const int how[] = { FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
		FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE };
	uint8_t data[11000], got[16384];

	for (unsigned i = 0; i < ARRAY_LEN(how); i++) {
		long fd = t_open("/mnt/f", O_RDWR | O_CREAT, 0600);

		pattern(data, sizeof(data), 5);
		EXPECT(sys_fsync((uint64_t)fd), 0);
		EXPECT(sys_write((uint64_t)fd, U(data), sizeof(data)), sizeof(data));
		in_flusher = true;
		disk_pass(disk, true);		/* written, not committed */
		in_flusher = false;
		EXPECT(sys_fallocate((uint64_t)fd, (uint64_t)how[i], 8192, 4096), 0);
		memset(data + 8192, 0, sizeof(data) - 8192);
		faults.die_in = 1;
		EXPECT(sys_fsync((uint64_t)fd), 0);
		faults.die_in = 0;
		sys_close((uint64_t)fd);
		remount_disk();
		fd = t_open("/mnt/f", O_RDONLY, 0);
		EXPECT(sys_read((uint64_t)fd, U(got), sizeof(got)), sizeof(data));
		CHECK(memcmp(data, got, sizeof(data)) == 0);
		sys_close((uint64_t)fd);
		EXPECT(t_unlink("/mnt/f"), 0);
	}
}

/* A time that the dead server had set, and not said so, is not overwritten by what it is told again. */
static void
a_time_outlives_a_write_told_again(void)
{
	struct __kernel_timespec t[2] = { { 1000, 1 }, { 2000, 2 } };
	unsigned at = 1, deaths;
	struct stat st;

	do {
		deaths = server_deaths;
		put("/mnt/t", "x", 1, 0);
		in_flusher = true;
		disk_pass(disk, true);		/* written, not committed */
		in_flusher = false;
		faults.die_in = at++;
		EXPECT(sys_utimensat(CWD, U("/mnt/t"), U(t), 0), 0);
		faults.die_in = 0;
		remount_disk();
		EXPECT(t_stat("/mnt/t", &st), 0);
		CHECK(st.st_mtime == 2000 && st.st_mtime_nsec == 2);
		EXPECT(t_unlink("/mnt/t"), 0);
	} while (server_deaths != deaths);
	CHECK(at > 2);
}

/* umount ends the mount, and what was written is there, wherever the server dies meanwhile. */
static void
umount_is_done_whenever_the_server_dies(void)
{
	unsigned at = 1, deaths;
	char byte;

	do {
		deaths = server_deaths;
		byte = (char)at;
		put("/mnt/f", &byte, 1, 0);
		faults.die_in = at++;
		remount_disk();
		faults.die_in = 0;
		expect_bytes("/mnt/f", &byte, 1);
	} while (server_deaths != deaths);
	EXPECT(t_unlink("/mnt/f"), 0);
	CHECK(at > 4);
	printf("    %u places\n", at - 2);
}

/* What a test wants of the server: to be looked into, or to die and lose nothing. */
enum wants { NOTHING, MODEL, REDO };
static const struct { const char *name; void (*run)(void); enum wants wants; } tests[] = {
#define TEST(f) { #f, f, NOTHING }
#define INSIDE(f) { #f, f, MODEL }
#define DEATHS(f) { #f, f, REDO }
	TEST(files_survive_a_new_mount), TEST(what_is_cached_costs_no_message),
	TEST(large_files_are_read_in_few_requests), TEST(sparse_files_have_holes), INSIDE(a_full_disk_is_told_to_write),
	INSIDE(lost_writes_are_told_once_to_each_descriptor), INSIDE(failed_reads_are_tried_again),
	INSIDE(files_without_names_live_until_they_are_closed), TEST(listings_go_on_after_names_went),
	TEST(what_was_listed_is_kept), TEST(places_in_a_listing_stay), TEST(listings_agree_whatever_happens_in_between),
	TEST(what_is_kept_of_directories_is_bounded),
	TEST(attributes_are_kept), TEST(options_are_taken_refused_and_shown), TEST(what_is_free_is_trimmed),
	INSIDE(a_range_is_written_and_no_more), INSIDE(advice_is_the_descriptors),
	TEST(ranges_go_and_come_whenever_the_server_dies),
	TEST(a_read_only_mount_stays_so), INSIDE(fsynced_bytes_are_on_the_disk), INSIDE(an_fsync_of_one_run_is_one_request),
	INSIDE(an_fsync_does_not_rely_on_one_that_is_on_its_way), TEST(few_slots_are_enough),
	INSIDE(the_first_fsync_of_an_inode_asks), TEST(stores_through_a_mapping_change_the_time), TEST(a_disk_that_was_taken_away_is_not_mounted_again),
	TEST(more_than_the_memory_can_be_written_and_read), DEATHS(a_death_at_every_step_is_not_seen),
	DEATHS(two_deaths_in_a_row_are_not_seen), DEATHS(umount_is_done_whenever_the_server_dies),
	DEATHS(a_size_outlives_the_page_that_made_it), DEATHS(a_time_outlives_a_write_told_again), TEST(a_model_agrees_whatever_the_server_does),
};

int main(int argc, char **argv);

int
main(int argc, char **argv)
{
	const char *seed = getenv("SEED");
	unsigned passed = 0;

	rnd_seed(seed != NULL ? strtoul(seed, NULL, 10) : 0);
	host_chunk_pages = CHUNK_PAGES;
	host_wait_hook = others_run;
	server_start(&world);
	world.ram_count = 1;
	host_fs_init();
	world.ram[0].base = page_base << PAGE_SHIFT;
	world.ram[0].size = (uint64_t)CHUNK_PAGES << PAGE_SHIFT;
	memset(world.root_part, 1, 16);
	io_init(&world);
	EXPECT(t_mkdir("/mnt"), 0);
	EXPECT(t_mkdir("/other"), 0);
	EXPECT(sys_mknodat(CWD, U("/blk"), S_IFBLK | 0600, 0x101), 0);
	/* The client of the channel stays; the first mount makes it. */
	EXPECT(sys_mount(U("root"), U("/mnt"), U("ext4"), 0, 0), 0);
	EXPECT(sys_umount2(U("/mnt"), 0), 0);
	for (unsigned i = 0; i < ARRAY_LEN(tests); i++) {
		if (argc > 1 && strcmp(argv[1], tests[i].name) != 0)
			continue;
		if ((tests[i].wants == MODEL && !server_is_model) || (tests[i].wants == REDO && !server_redoes))
			continue;
		printf("%s\n", tests[i].name);
		begin();
		tests[i].run();
		end();
		passed++;
	}
	printf("%u passed, 0 failed\n", passed);
	return 0;
}
