/* SPDX-License-Identifier: MIT */
/* The file server of base/fs on a disk in memory, as base/fs/main.c has it on the target. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "ext4.h"
#include "server.h"

enum { QUEUE = 4096, STEP_NS = 1000000, COMMIT_NS = 400 * STEP_NS };

bool ext4_shuffle;
unsigned ext4_die_in, ext4_deaths;

static struct fs_channel *ch;
static struct server server;
static bool alive;
static struct disk disk;
static uint8_t *bytes;
static struct disk_request *queue[QUEUE];
static unsigned queued, dead_for;
static uint64_t now_ns = 1000000000ULL * 1000000000;	/* i_dtime is made of it, and is not to look like an inode number */
/* ---- the disk ---- */

static void
disk_submit(struct disk *d, struct disk_request *r)
{
	(void)d;
	if (queued == QUEUE)
		abort();
	queue[queued++] = r;
}

static void
transfer(struct disk_request *r)
{
	uint64_t at = r->offset;

	if (r->offset > disk.bytes || r->bytes > disk.bytes - r->offset)
		abort();
	for (unsigned i = 0; i < r->segments; i++) {
		const struct disk_segment *s = &r->segment[i];

		/* Page by page: what lies in a row for a device does so for us, too. */
		for (uint32_t in = 0; in < s->bytes; in += 512) {
			uint8_t *memory = s->space == DISK_OWN ? (uint8_t *)(uintptr_t)s->address + in
			    : ext4_window(s->address + in);

			if (r->op == DISK_READ)
				memcpy(memory, bytes + at, 512);
			else
				memcpy(bytes + at, memory, 512);
			at += 512;
		}
	}
}

static bool
disk_poll(struct disk *d)
{
	unsigned i = ext4_shuffle && queued > 0 ? (unsigned)(ext4_random() % queued) : 0;
	struct disk_request *r = queue[i];

	(void)d;
	if (queued == 0)
		return false;
	memmove(&queue[i], &queue[i + 1], (--queued - i) * sizeof(queue[0]));
	r->result = 0;
	if (r->op == DISK_READ || r->op == DISK_WRITE)
		transfer(r);
	else if (r->op == DISK_DISCARD)
		memset(bytes + r->offset, 0xd5, r->bytes);
	else if (r->op != DISK_FLUSH)
		r->result = -EOPNOTSUPP;
	r->done(r);
	return true;
}

/* ---- a life ---- */

static uint64_t clock_of(void *c) { (void)c; return now_ns; }
static void say(void *c, const char *line) { (void)c; printf("    | %s\n", line); }

static void
begin_life(void)
{
	struct fs_options o = { .commit_ns = COMMIT_NS, .random = ext4_random(), .clock_ns = clock_of, .say = say };

	if (!server_begin(&server, ch, FS_CHANNEL_BYTES, &o))
		abort();
	server_disk(&server, &disk);
	alive = true;
}

static void
die(void)
{
	ext4_deaths++;
	/* What was at the device is done by it, or not. */
	while (queued > 0) {
		if (ext4_random() % 2 == 0 && queue[0]->op == DISK_WRITE)
			queue[0]->op = DISK_FLUSH;
		disk_poll(&disk);
	}
	server_end(&server);
	alive = false;
	dead_for = 1 + (unsigned)(ext4_random() % 5);
}

bool
ext4_step(void)
{
	bool any = false;

	now_ns += STEP_NS;
	if (!alive) {
		if (dead_for-- != 0)
			return true;
		begin_life();
		ext4_bell(true);
		return true;
	}
	if (ext4_die_in != 0 && --ext4_die_in == 0) {
		die();
		return true;
	}
	server_step(&server);
	if (server.wants_disk)
		server_disk(&server, &disk);
	any |= disk_poll(&disk);
	server_step(&server);
	if (server.bell) {
		server.bell = false;
		any = true;
		ext4_bell(false);
	}
	return !server_rest(&server) || any || server.active != 0 || (server.fs != NULL && !fs_idle(server.fs));
}

bool ext4_mounted(void) { return ch->state == FS_MOUNTED || ch->state == FS_RECOVERING; }

/* ---- the image ---- */

static void
image_path(char *path)
{
	int fd;

	strcpy(path, "/tmp/ext4-test-XXXXXX");
	fd = mkstemp(path);
	if (fd < 0)
		abort();
	close(fd);
}

bool
ext4_clean(void)
{
	char path[64], command[160];
	FILE *f;
	int r;

	if (ext4_mounted())
		return false;
	image_path(path);
	f = fopen(path, "wb");
	if (f == NULL || fwrite(bytes, 1, disk.bytes, f) != disk.bytes || fclose(f) != 0)
		abort();
	snprintf(command, sizeof(command), "e2fsck -fn %s > %s.log 2>&1 || { cat %s.log; false; }", path, path, path);
	r = system(command);
	unlink(path);
	strcat(path, ".log");
	unlink(path);
	return r == 0;
}

void *
ext4_start(const char *options, uint64_t size)
{
	char path[64], command[256];
	FILE *f;

	image_path(path);
	snprintf(command, sizeof(command), "mke2fs -q -F -t ext4 %s %s %luK > /dev/null 2>&1", options, path, (unsigned long)(size / 1024));
	if (system(command) != 0) {
		printf("mke2fs %s fails\n", options);
		abort();
	}
	bytes = aligned_alloc(4096, size);
	memset(bytes, 0, size);
	f = fopen(path, "rb");
	if (f == NULL || fread(bytes, 1, size, f) != size || fclose(f) != 0)
		abort();
	unlink(path);
	disk = (struct disk){ .submit = disk_submit, .bytes = size, .sector_bytes = 512, .has_discard = true };
	ch = aligned_alloc(4096, FS_CHANNEL_BYTES);
	memset(ch, 0, FS_CHANNEL_BYTES);
	ch->magic = FS_MAGIC;
	ch->version = FS_VERSION;
	begin_life();
	return ch;
}
