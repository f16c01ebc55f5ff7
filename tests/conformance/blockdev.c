/* SPDX-License-Identifier: MIT */
/*
 * Block devices: positions, the cache and O_DIRECT beside each other, mappings,
 * exclusive opens, ioctls, several tasks at once.  BLOCKDEV in the environment names a device
 * of 16 MiB or more whose contents may be lost.
 */
#include "conform.h"
#include <linux/falloc.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/sendfile.h>
#include <sys/sysmacros.h>
#include <sys/uio.h>

enum { KIB = 1024, MIB = 1024 * KIB, WORKERS = 6, AREA = 1 * MIB, ROUNDS = 150 };

static const char *
device(void)
{
	const char *path = getenv("BLOCKDEV");

	if (path == NULL)
		printf("BLOCKDEV names no device\n");
	REQUIRE(path != NULL);
	return path;
}

static int
open_device(int flags)
{
	int fd = open(device(), flags);

	REQUIRE(fd >= 0);
	return fd;
}

/* Memory that O_DIRECT takes. */
static unsigned char *
aligned(size_t n)
{
	void *p;

	EQUAL(posix_memalign(&p, PAGE, n), 0);
	return p;
}

static void
fill(unsigned char *p, size_t n, uint64_t seed)
{
	for (size_t i = 0; i < n; i++)
		p[i] = (unsigned char)next_random(&seed);
}

static uint64_t
size_of(int fd)
{
	uint64_t size;

	EQUAL(ioctl(fd, BLKGETSIZE64, &size), 0);
	return size;
}

/* ---- what it says about itself ---- */

static void
sizes_agree(void)
{
	int fd = open_device(O_RDONLY), block, physical;
	unsigned long sectors, shown = 0;
	char path[80];
	struct stat st;
	FILE *f;

	EQUAL(fstat(fd, &st), 0);
	REQUIRE(S_ISBLK(st.st_mode));
	EQUAL(st.st_size, 0);
	EQUAL(ioctl(fd, BLKGETSIZE, &sectors), 0);
	EQUAL(size_of(fd), sectors * 512);
	EQUAL(lseek(fd, 0, SEEK_END), sectors * 512);
	EQUAL(ioctl(fd, BLKSSZGET, &block), 0);
	EQUAL(ioctl(fd, BLKPBSZGET, &physical), 0);
	REQUIRE(block >= 512 && physical >= block);
	snprintf(path, sizeof(path), "/sys/dev/block/%u:%u/size", major(st.st_rdev), minor(st.st_rdev));
	f = fopen(path, "r");
	REQUIRE(f != NULL);
	EQUAL(fscanf(f, "%lu", &shown), 1);
	EQUAL(shown, sectors);
}

static void
it_is_in_proc_partitions(void)
{
	FILE *f = fopen("/proc/partitions", "r");
	char line[256];
	unsigned maj, min;
	unsigned long kib;
	int fd = open_device(O_RDONLY), found = 0;
	struct stat st;

	REQUIRE(f != NULL);
	EQUAL(fstat(fd, &st), 0);
	while (fgets(line, sizeof(line), f) != NULL)
		if (sscanf(line, "%u %u %lu", &maj, &min, &kib) == 3 && makedev(maj, min) == st.st_rdev) {
			EQUAL(kib, size_of(fd) / 1024);
			found++;
		}
	EQUAL(found, 1);
}

static void
there_is_nothing_behind_the_end(void)
{
	int fd = open_device(O_RDWR);
	uint64_t size = size_of(fd);
	char b[1024];

	EQUAL(lseek(fd, 0, SEEK_END), size);
	EQUAL(read(fd, b, 10), 0);
	FAILS(write(fd, b, 10), ENOSPC);
	FAILS(lseek(fd, 1, SEEK_CUR), EINVAL);
	EQUAL(lseek(fd, -100, SEEK_END), size - 100);
	EQUAL(read(fd, b, sizeof(b)), 100);
	EQUAL(pwrite(fd, b, sizeof(b), (off_t)size - 100), 100);
	FAILS(pread(fd, b, 10, -1), EINVAL);
	EQUAL(lseek(fd, 0, SEEK_DATA), 0);
	EQUAL(lseek(fd, 5, SEEK_HOLE), size);
	FAILS(ftruncate(fd, 0), EINVAL);
}

/* ---- the cache and what goes beside it ---- */

static void
what_is_written_is_read(void)
{
	unsigned char *a = aligned(64 * KIB), *b = aligned(64 * KIB);
	int fd = open_device(O_RDWR), direct = open_device(O_RDWR | O_DIRECT);

	fill(a, 64 * KIB, 1);
	EQUAL(pwrite(fd, a, 64 * KIB, 0), 64 * KIB);
	EQUAL(pread(fd, b, 64 * KIB, 0), 64 * KIB);
	EQUAL(memcmp(a, b, 64 * KIB), 0);
	/* not aligned, small, across pages */
	for (unsigned at = 4000; at < 60000; at += 4097) {
		fill(a + at, 200, at);
		EQUAL(pwrite(fd, a + at, 200, at), 200);
	}
	/* without the cache: what has not been written yet is seen, */
	memset(b, 0, 64 * KIB);
	EQUAL(pread(direct, b, 64 * KIB, 0), 64 * KIB);
	EQUAL(memcmp(a, b, 64 * KIB), 0);
	/* and what is written there is seen through it. */
	fill(a + 512, 8192, 77);
	memcpy(b, a + 512, 8192);
	EQUAL(pwrite(direct, b, 8192, 512), 8192);
	EQUAL(pread(fd, b, 64 * KIB, 0), 64 * KIB);
	EQUAL(memcmp(a, b, 64 * KIB), 0);
	EQUAL(fsync(fd), 0);
	EQUAL(fdatasync(direct), 0);
	EQUAL(ioctl(fd, BLKFLSBUF, 0), 0);
	EQUAL(pread(fd, b, 64 * KIB, 0), 64 * KIB);
	EQUAL(memcmp(a, b, 64 * KIB), 0);
}

static void
a_close_loses_nothing(void)
{
	unsigned char *a = aligned(MIB), *b = aligned(MIB);
	int fd;

	for (unsigned i = 0; i < 4; i++) {
		fd = open_device(O_WRONLY | (i == 2 ? O_DSYNC : i == 3 ? O_SYNC | O_DIRECT : 0));
		fill(a, MIB, i + 10);
		EQUAL(write(fd, a, MIB), MIB);
		close(fd);
		fd = open_device(i & 1 ? O_RDONLY : O_RDONLY | O_DIRECT);
		EQUAL(read(fd, b, MIB), MIB);
		EQUAL(memcmp(a, b, MIB), 0);
		close(fd);
	}
}

static void
direct_needs_alignment(void)
{
	int fd = open_device(O_RDWR | O_DIRECT);
	unsigned char *b = aligned(8192);

	EQUAL(pread(fd, b, 4096, 4096), 4096);
	FAILS(pread(fd, b, 4096, 100), EINVAL);
	FAILS(pread(fd, b, 100, 4096), EINVAL);
	FAILS(pread(fd, b + 1, 4096, 4096), EINVAL);
	FAILS(pwrite(fd, b, 4000, 0), EINVAL);
	EQUAL(fcntl(fd, F_SETFL, 0), 0);
	EQUAL(pread(fd, b + 1, 100, 100), 100);
	EQUAL(fcntl(fd, F_SETFL, O_DIRECT), 0);
	FAILS(pread(fd, b + 1, 100, 100), EINVAL);
}

static void
bad_addresses_are_refused(void)
{
	int fd = open_device(O_RDWR);
	char *hole = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	unsigned char a[PAGE], b[2 * PAGE];

	REQUIRE(hole != MAP_FAILED);
	EQUAL(munmap(hole + PAGE, PAGE), 0);
	fill(b, sizeof(b), 5);
	EQUAL(pwrite(fd, b, sizeof(b), 0), sizeof(b));
	FAILS(pread(fd, hole + PAGE, 100, 0), EFAULT);
	FAILS(pwrite(fd, hole + PAGE, 100, 0), EFAULT);
	FAILS(pwrite(fd, hole + PAGE, PAGE, 0), EFAULT);
	EQUAL(pread(fd, hole + PAGE - 50, 100, 0), 50);
	/* a part is written, the rest stays what it was */
	memset(hole, 9, PAGE);
	EQUAL(pwrite(fd, hole + PAGE - 50, PAGE, 0), 50);
	EQUAL(pread(fd, a, PAGE, 0), PAGE);
	EQUAL(memcmp(a + 50, b + 50, PAGE - 50), 0);
	EQUAL(memcmp(a, hole, 50), 0);
}

static void
vectors_and_sendfile(void)
{
	int fd = open_device(O_RDWR), pipes[2];
	unsigned char a[3000], b[3000];
	struct iovec v[3] = { { a, 1000 }, { a + 1000, 1500 }, { a + 2500, 500 } };
	off_t at = 777;

	fill(a, sizeof(a), 3);
	EQUAL(pwritev(fd, v, 3, 777), 3000);
	EQUAL(pread(fd, b, 3000, 777), 3000);
	EQUAL(memcmp(a, b, 3000), 0);
	EQUAL(pipe(pipes), 0);
	EQUAL(sendfile(pipes[1], fd, &at, 3000), 3000);
	EQUAL(at, 3777);
	EQUAL(read(pipes[0], b, 3000), 3000);
	EQUAL(memcmp(a, b, 3000), 0);
}

/* ---- mappings ---- */

static void
mappings_agree_with_reading(void)
{
	int fd = open_device(O_RDWR), direct = open_device(O_RDONLY | O_DIRECT);
	unsigned char *b = aligned(PAGE);
	unsigned char *m = mmap(NULL, 16 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 4 * PAGE);

	REQUIRE(m != MAP_FAILED);
	for (unsigned round = 0; round < 4; round++) {
		m[5 * PAGE + 7] = (unsigned char)(round + 1);
		EQUAL(pread(fd, b, 1, 9 * PAGE + 7), 1);
		EQUAL(b[0], round + 1);
		b[0] = (unsigned char)(round + 100);
		EQUAL(pwrite(fd, b, 1, 9 * PAGE + 8), 1);
		EQUAL(m[5 * PAGE + 8], round + 100);
		/* each change after a sync is seen again */
		EQUAL(msync(m, 16 * PAGE, MS_SYNC), 0);
		EQUAL(pread(direct, b, PAGE, 9 * PAGE), PAGE);
		EQUAL(b[7], round + 1);
		m[5 * PAGE + 9] = (unsigned char)(round + 50);
		EQUAL(fsync(fd), 0);
		EQUAL(pread(direct, b, PAGE, 9 * PAGE), PAGE);
		EQUAL(b[9], round + 50);
	}
	EQUAL(munmap(m, 16 * PAGE), 0);
	m = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 9 * PAGE);
	REQUIRE(m != MAP_FAILED);
	EQUAL(m[9], 53);
	m[9] = 1;
	EQUAL(pread(fd, b, PAGE, 9 * PAGE), PAGE);
	EQUAL(b[9], 53);
}

/* ---- who has it ---- */

static void
exclusive_means_alone(void)
{
	int a = open_device(O_RDONLY | O_EXCL), b;

	EQUAL(fcntl(a, F_GETFL) & O_EXCL, 0);
	FAILS(open(device(), O_RDONLY | O_EXCL), EBUSY);
	b = open_device(O_RDONLY);
	close(a);
	a = open_device(O_RDWR | O_EXCL);
	close(b);
	close(a);
}

static void
nodes_without_a_device(void)
{
	in_new_folder();
	EQUAL(mknod("none", S_IFBLK | 0600, makedev(259, 4095)), 0);
	FAILS(open("none", O_RDONLY), ENXIO);
}

static void
ioctls_have_their_errors(void)
{
	int fd = open_device(O_RDONLY), on = 1, off = 0, v = 7;
	uint64_t range[2] = { 0, 4096 };

	FAILS(ioctl(fd, TIOCGWINSZ, range), ENOTTY);
	FAILS(ioctl(fd, BLKZEROOUT, range), EBADF);
	FAILS(ioctl(fd, BLKGETSIZE64, (void *)8), EFAULT);
	EQUAL(ioctl(fd, BLKROGET, &v), 0);
	EQUAL(v, 0);
	close(fd);
	fd = open_device(O_RDWR);
	EQUAL(ioctl(fd, BLKROSET, &on), 0);
	FAILS(pwrite(fd, range, 16, 0), EPERM);
	EQUAL(ioctl(fd, BLKROSET, &off), 0);
	EQUAL(pwrite(fd, range, 16, 0), 16);
	range[1] = 100;
	FAILS(ioctl(fd, BLKZEROOUT, range), EINVAL);
	range[0] = size_of(fd);
	range[1] = 4096;
	FAILS(ioctl(fd, BLKZEROOUT, range), EINVAL);
}

static void
zeros_are_zeros(void)
{
	int fd = open_device(O_RDWR);
	unsigned char *a = aligned(MIB), *b = aligned(MIB);
	uint64_t range[2] = { 64 * KIB + 512, 300 * KIB };

	fill(a, MIB, 9);
	EQUAL(pwrite(fd, a, MIB, 0), MIB);
	EQUAL(ioctl(fd, BLKZEROOUT, range), 0);
	memset(a + range[0], 0, range[1]);
	EQUAL(fallocate(fd, FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE, 8192, 4096), 0);
	memset(a + 8192, 0, 4096);
	EQUAL(pread(fd, b, MIB, 0), MIB);
	EQUAL(memcmp(a, b, MIB), 0);
	EQUAL(ioctl(fd, BLKFLSBUF, 0), 0);
	EQUAL(pread(fd, b, MIB, 0), MIB);
	EQUAL(memcmp(a, b, MIB), 0);
	FAILS(fallocate(fd, 0, 0, 4096), EOPNOTSUPP);
}

/* ---- several at once ---- */

/* Says what is wrong before it fails: where, how much of it, what stands there. */
static void
expect_same(const unsigned char *got, const unsigned char *want, size_t n, uint64_t position, const char *how)
{
	size_t first = 0, last = n;

	if (memcmp(got, want, n) == 0)
		return;
	while (got[first] == want[first])
		first++;
	while (got[last - 1] == want[last - 1])
		last--;
	printf("%s: bytes %#llx to %#llx of reading %#llx to %#llx; %02x %02x for %02x %02x\n", how,
		(unsigned long long)(position + first), (unsigned long long)(position + last), (unsigned long long)position,
		(unsigned long long)(position + n), got[first], got[last - 1], want[first], want[last - 1]);
	EQUAL(first, n);
}

/* Each has an area of its own, not on page boundaries, and knows what is in it. */
static void
work(unsigned n)
{
	static unsigned char model[AREA];
	unsigned char *b = aligned(64 * KIB);
	uint64_t seed = n + 1, base = (uint64_t)n * (AREA + 512) + 512;
	int fds[2] = { open_device(O_RDWR), open_device(O_RDWR | O_DIRECT) };

	EQUAL(pwrite(fds[0], model, AREA, (off_t)base), AREA);
	for (unsigned i = 0; i < ROUNDS; i++) {
		int direct = next_random(&seed) % 3 == 0;
		size_t len = next_random(&seed) % (48 * KIB) + 1, at = next_random(&seed) % (AREA - 64 * KIB);

		if (direct) {
			at &= ~(size_t)511;
			len = (len + 511) & ~(size_t)511;
		}
		if (next_random(&seed) % 2 == 0) {
			fill(model + at, len, seed);
			memcpy(b, model + at, len);
			EQUAL(pwrite(fds[direct], b, len, (off_t)(base + at)), len);
		} else {
			EQUAL(pread(fds[direct], b, len, (off_t)(base + at)), len);
			expect_same(b, model + at, len, base + at, direct ? "direct" : "cached");
		}
		if (next_random(&seed) % 16 == 0)
			EQUAL(fsync(fds[0]), 0);
		if (next_random(&seed) % 32 == 0)
			EQUAL(ioctl(fds[0], BLKFLSBUF, 0), 0);
	}
	EQUAL(fsync(fds[0]), 0);
	for (size_t at = 0; at < AREA; at += 64 * KIB) {
		EQUAL(pread(fds[1], b, 64 * KIB, (off_t)(base + at)), 64 * KIB);
		expect_same(b, model + at, 64 * KIB, base + at, "at the end");
	}
}

static void
tasks_do_not_disturb_each_other(void)
{
	int status;

	for (unsigned n = 0; n < WORKERS; n++)
		if (fork() == 0) {
			work(n);
			_exit(0);
		}
	for (unsigned n = 0; n < WORKERS; n++) {
		REQUIRE(wait(&status) > 0);
		EQUAL(status, 0);
	}
}

TESTS(TEST(sizes_agree), TEST(it_is_in_proc_partitions), TEST(there_is_nothing_behind_the_end),
	TEST(what_is_written_is_read), TEST(a_close_loses_nothing), TEST(direct_needs_alignment),
	TEST(bad_addresses_are_refused), TEST(vectors_and_sendfile), TEST(mappings_agree_with_reading),
	TEST(exclusive_means_alone), TEST(nodes_without_a_device), TEST(ioctls_have_their_errors), TEST(zeros_are_zeros),
	TEST(tasks_do_not_disturb_each_other));
