/* SPDX-License-Identifier: MIT */
/* base/fs as a server of proto/fs.h on a disk in memory, as base/fs/main.c makes it one on the target. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "ext4.h"
#include "fs.h"

enum { QUEUE = 4096, STEP_NS = 1000000, COMMIT_NS = 400 * STEP_NS };

bool ext4_shuffle;
unsigned ext4_die_in, ext4_deaths;
uint64_t ext4_requests[256];

static struct fs_channel *ch;
static struct fs *fs;
static struct disk disk;
static uint8_t *bytes;
static struct disk_request *queue[QUEUE];
static unsigned queued, dead_for;
static uint64_t now_ns = 1000000000ULL * 1000000000;	/* i_dtime is made of it, and is not to look like an inode number */
static bool mounted;
static uint32_t mount_flags;

static struct work {
	struct fs_job job;
	uint8_t page[FS_SLOT_BYTES];
	bool busy, done;
} work[FS_SLOTS], own;

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
	else if (r->op != DISK_FLUSH)
		r->result = -EOPNOTSUPP;
	r->done(r);
	return true;
}

/* ---- a life ---- */

static uint64_t clock_of(void *c) { (void)c; return now_ns; }
static void say(void *c, const char *line) { (void)c; printf("    | %s\n", line); }

static void
committed(void *c, uint64_t transaction)
{
	(void)c;
	ch->committed = transaction;
}

static void
begin_life(bool recovering)
{
	struct fs_options o = { .commit_ns = COMMIT_NS, .random = ext4_random(), .redo = ch->redo,
	    .redo_bytes = FS_REDO_BYTES, .recovering = recovering, .clock_ns = clock_of, .say = say, .committed = committed };

	if (!recovering)
		memset(ch->redo, 0, FS_REDO_BYTES);
	fs = fs_new(&disk, &o);
	if (fs == NULL)
		abort();
	if (!recovering)
		return;
	memset(&own, 0, sizeof(own));
	own.job.page = own.page;
	own.job.request.op = FS_MOUNT;
	own.job.request.flags = mount_flags;
	if (fs_call(fs, &own.job, disk_poll) != 0) {
		printf("the server cannot mount again: %ld\n", (long)own.job.answer.result);
		abort();
	}
}

static void
forget_work(void)
{
	/* What was at the device is done by it, or not. */
	while (queued > 0) {
		if (ext4_random() % 2 == 0 && queue[0]->op == DISK_WRITE)
			queue[0]->op = DISK_FLUSH;
		disk_poll(&disk);
	}
	fs_free(fs);
	fs = NULL;
	memset(work, 0, sizeof(work));
}

static void
die(void)
{
	ext4_deaths++;
	forget_work();
	dead_for = 1 + (unsigned)(ext4_random() % 5);
}

static void
live_again(void)
{
	begin_life(mounted);
	ch->requests.head = ch->requests.tail;
	ch->requests.reader_waits = 1;
	ch->server_epoch++;
	ch->state = mounted ? FS_RECOVERING : FS_NOTHING;
	ext4_bell(true);
}

static void
see_client(void)
{
	if (ch->client_epoch == ch->client_epoch_seen)
		return;
	forget_work();
	begin_life(false);
	mounted = false;
	ch->requests.head = ch->requests.tail;
	ch->client_epoch_seen = ch->client_epoch;
	ch->state = FS_NOTHING;
	ext4_bell(false);
}

/* ---- requests and answers ---- */

static void
work_done(struct fs_job *job)
{
	((struct work *)job->context)->done = true;
}

static bool
take_request(void)
{
	struct fs_ring *r = &ch->requests;
	struct work *w;
	unsigned slot;

	if (r->head == r->tail) {
		r->reader_waits = 1;
		return false;
	}
	slot = r->slot[r->head % FS_SLOTS];
	r->head++;
	w = &work[slot];
	if (slot >= FS_SLOTS || w->busy)
		abort();
	memset(&w->job, 0, sizeof(w->job));
	w->job.request = ch->slot[slot].request;
	memcpy(w->page, ch->page[slot], FS_SLOT_BYTES);
	w->job.page = w->page;
	w->job.done = work_done;
	w->job.context = w;
	w->busy = true;
	w->done = false;
	ext4_requests[w->job.request.op & 255]++;
	fs_submit(fs, &w->job);
	return true;
}

static void
mount_state(const struct fs_job *job)
{
	if (job->answer.result < 0)
		return;
	switch (job->request.op) {
	case FS_MOUNT:
		mounted = true;
		mount_flags = job->request.flags;
		ch->state = FS_MOUNTED;
		ch->block_size = fs_block_bytes(fs);
		ch->committed = fs_committed(fs);
		break;
	case FS_REMOUNT:
		mount_flags = job->request.flags;
		break;
	case FS_UNMOUNT:
		mounted = false;
		ch->state = FS_NOTHING;
		break;
	case FS_RECOVERED:
		ch->state = FS_MOUNTED;
		break;
	}
	ch->read_only = mounted && fs_read_only(fs);
}

static bool
answer_one(void)
{
	struct fs_ring *r = &ch->answers;

	for (unsigned slot = 0; slot < FS_SLOTS; slot++) {
		struct work *w = &work[slot];

		if (!w->busy || !w->done)
			continue;
		mount_state(&w->job);
		ch->slot[slot].answer = w->job.answer;
		memcpy(ch->page[slot], w->page, FS_SLOT_BYTES);
		w->busy = false;
		r->slot[r->tail % FS_SLOTS] = slot;
		r->tail++;
		if (r->reader_waits) {
			r->reader_waits = 0;
			ext4_bell(false);
		}
		return true;
	}
	return false;
}

bool
ext4_step(void)
{
	bool any;

	now_ns += STEP_NS;
	if (fs == NULL) {
		if (dead_for-- == 0)
			live_again();
		return true;
	}
	if (ext4_die_in != 0 && --ext4_die_in == 0) {
		die();
		return true;
	}
	see_client();
	any = answer_one();
	any |= take_request();
	fs_run(fs);
	any |= disk_poll(&disk);
	fs_run(fs);
	return any || !fs_idle(fs);
}

bool ext4_mounted(void) { return mounted; }

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

	if (mounted)
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
	disk = (struct disk){ .submit = disk_submit, .bytes = size, .sector_bytes = 512 };
	ch = aligned_alloc(4096, FS_CHANNEL_BYTES);
	memset(ch, 0, FS_CHANNEL_BYTES);
	ch->magic = FS_MAGIC;
	ch->version = FS_VERSION;
	ch->server_epoch = 1;
	ch->state = FS_NOTHING;
	ch->requests.reader_waits = 1;
	begin_life(false);
	return ch;
}
