/* SPDX-License-Identifier: MIT */
/*
 * recover IMAGE: mount the ext4 in a file with base/fs, which brings its journal
 * home and clears orphans, and unmount it.  What the server says goes to the
 * standard output.  Status 1: it refuses to, 2: the file cannot be used.
 */
#define _GNU_SOURCE
#include <err.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include "../../../base/fs/fs.h"

/* A disk that has done everything when it is asked: the cuts are made elsewhere. */
struct file_disk {
	struct disk disk;
	uint8_t *bytes;
};

static bool
inside(const struct file_disk *d, const struct disk_request *r)
{
	uint64_t bytes = 0;

	for (uint32_t i = 0; i < r->segments; i++) {
		if (r->segment[i].space != DISK_OWN)
			return false;	/* no client, no memory of one */
		bytes += r->segment[i].bytes;
	}
	return bytes <= d->disk.bytes && r->offset <= d->disk.bytes - bytes;
}

static int
transfer(struct file_disk *d, const struct disk_request *r)
{
	uint8_t *at = d->bytes + r->offset;

	if (r->op == DISK_FLUSH)
		return 0;
	if ((r->op != DISK_READ && r->op != DISK_WRITE) || !inside(d, r))
		return -5;		/* EIO */
	for (uint32_t i = 0; i < r->segments; at += r->segment[i].bytes, i++) {
		void *memory = (void *)(uintptr_t)r->segment[i].address;

		if (r->op == DISK_READ)
			memcpy(memory, at, r->segment[i].bytes);
		else
			memcpy(at, memory, r->segment[i].bytes);
	}
	return 0;
}

static void
submit(struct disk *disk, struct disk_request *r)
{
	r->result = transfer(disk->context, r);
	r->done(r);
}

static void
say(void *context, const char *line)
{
	(void)context;
	printf("%s\n", line);
}

static uint64_t
clock_ns(void *context)
{
	(void)context;
	return 1800000000ULL * 1000000000;
}

static int64_t
ask(struct fs *fs, uint32_t op)
{
	static uint8_t page[FS_SLOT_BYTES];
	struct fs_job job = { .request.op = op, .request.flags = op == FS_MOUNT ? FS_MOUNT_NO_GROW : 0, .page = page };

	memset(page, 0, sizeof page);
	return fs_call(fs, &job, NULL);
}

static void
open_file(struct file_disk *d, const char *path)
{
	int file = open(path, O_RDWR | O_CLOEXEC);
	struct stat st;

	if (file < 0 || fstat(file, &st) != 0)
		err(2, "%s", path);
	d->bytes = mmap(NULL, (size_t)st.st_size, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
	if (d->bytes == MAP_FAILED)
		err(2, "%s", path);
	close(file);
	d->disk = (struct disk){ .submit = submit, .bytes = (uint64_t)st.st_size, .sector_bytes = 512, .context = d };
}

int
main(int argc, char **argv)
{
	struct fs_options options = { .random = 1, .clock_ns = clock_ns, .say = say };
	struct file_disk d;
	struct fs *fs;
	int64_t result;

	if (argc != 2)
		errx(2, "usage: recover IMAGE");
	open_file(&d, argv[1]);
	fs = fs_new(&d.disk, &options);
	if (fs == NULL)
		errx(2, "no memory");
	result = ask(fs, FS_MOUNT);
	if (result >= 0)
		result = ask(fs, FS_UNMOUNT);
	if (result < 0)
		printf("not recovered: error %lld\n", (long long)-result);
	fs_free(fs);
	munmap(d.bytes, d.disk.bytes);
	return result < 0;
}
