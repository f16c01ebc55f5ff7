/* SPDX-License-Identifier: MIT */
#include <stdarg.h>
#include <sys/wait.h>
#include <unistd.h>
#include "rig.h"

const struct ref rig_no_ref = { 0, 0 };

uint64_t
rig_random(struct rig *rig)
{
	rig->seed ^= rig->seed >> 12;
	rig->seed ^= rig->seed << 25;
	rig->seed ^= rig->seed >> 27;
	return (rig->seed * 0x2545f4914f6cdd1dULL) >> 16;
}

/* ---- the disk ---------------------------------------------------------------------------- */

static void
log_add(struct rig *rig, struct rig_write record)
{
	if (rig->logged == rig->log_room) {
		rig->log_room = rig->log_room == 0 ? 256 : rig->log_room * 2;
		rig->log = realloc(rig->log, rig->log_room * sizeof *rig->log);
	}
	rig->log[rig->logged++] = record;
}

static void
rig_submit(struct disk *disk, struct disk_request *r)
{
	struct rig *rig = disk->context;

	if (rig->queued == RIG_QUEUE)
		abort();
	rig->marks[rig->queued] = rig->logged;
	rig->queue[rig->queued++] = r;
	rig->requests++;
}

static bool
legal(struct rig *rig, const struct disk_request *r)
{
	uint64_t sum = 0;

	if (r->op == DISK_FLUSH)
		return r->segments == 0;
	if (r->offset % rig->disk.sector_bytes != 0 || r->offset > rig->disk.bytes ||
	    r->bytes > rig->disk.bytes - r->offset || r->segments > DISK_SEGMENTS)
		return false;
	if (r->op == DISK_DISCARD)
		return rig->disk.has_discard && r->segments == 0 && r->bytes != 0 && r->bytes % rig->disk.sector_bytes == 0;
	for (unsigned i = 0; i < r->segments; i++) {
		if (r->segment[i].bytes % rig->disk.sector_bytes != 0)
			return false;
		sum += r->segment[i].bytes;
		if (r->segment[i].space == DISK_CLIENT && (r->segment[i].address > RIG_MEMORY ||
		    r->segment[i].bytes > RIG_MEMORY - r->segment[i].address))
			return false;
		if (r->segment[i].space == DISK_OWN && r->segment[i].address % 512 != 0)
			return false;
	}
	return sum == r->bytes && (rig->disk.max_bytes == 0 || sum <= rig->disk.max_bytes);
}

static void
transfer(struct rig *rig, struct disk_request *r)
{
	uint64_t at = r->offset;

	for (unsigned i = 0; i < r->segments; i++) {
		const struct disk_segment *s = &r->segment[i];
		uint8_t *memory = s->space == DISK_OWN ? (uint8_t *)(uintptr_t)s->address :
		    rig->memory + s->address;

		if (r->op == DISK_READ)
			memcpy(memory, rig->bytes + at, s->bytes);
		else
			memcpy(rig->bytes + at, memory, s->bytes);
		at += s->bytes;
	}
}

/* What is at the disk as the log has it. */
static void
log_write(struct rig *rig, const struct disk_request *r)
{
	struct rig_write w = { r->offset, (uint32_t)r->bytes, false, (r->flags & DISK_FUA) != 0, 0, malloc(r->bytes) };

	memcpy(w.data, rig->bytes + r->offset, r->bytes);
	log_add(rig, w);
}

static int
do_request(struct rig *rig, struct disk_request *r, uint32_t mark)
{
	if (!legal(rig, r)) {
		rig->illegal = true;
		return -EIO;
	}
	if (rig->fail_at != 0 && --rig->fail_at == 0) {
		if (rig->fail_all)
			rig->fail_at = 1;
		return rig->fail_error;
	}
	switch (r->op) {
	case DISK_READ:
		rig->reads++;
		transfer(rig, r);
		return 0;
	case DISK_WRITE:
		rig->writes++;
		transfer(rig, r);
		if (rig->record)
			log_write(rig, r);
		return 0;
	case DISK_DISCARD:
		rig->discards++;
		rig->discarded += r->bytes;
		memset(rig->bytes + r->offset, RIG_RUBBISH, r->bytes);
		if (rig->record)
			log_write(rig, r);
		return 0;
	case DISK_FLUSH:
		rig->flushes++;
		if (rig->record)
			log_add(rig, (struct rig_write){ .flush = true, .mark = mark });
		return 0;
	default:
		return -EOPNOTSUPP;
	}
}

bool
rig_poll(struct disk *disk)
{
	struct rig *rig = disk->context;
	struct disk_request *r;
	unsigned i;
	uint32_t mark;

	if (rig->queued == 0)
		return false;
	i = rig->shuffle ? (unsigned)(rig_random(rig) % rig->queued) : 0;
	r = rig->queue[i];
	mark = rig->marks[i];
	rig->queued--;
	memmove(&rig->queue[i], &rig->queue[i + 1], (rig->queued - i) * sizeof rig->queue[0]);
	memmove(&rig->marks[i], &rig->marks[i + 1], (rig->queued - i) * sizeof rig->marks[0]);
	r->result = do_request(rig, r, mark);
	r->done(r);
	return true;
}

void
rig_cut(const struct rig *rig, const uint8_t *start, uint32_t events, uint64_t seed, uint8_t *to)
{
	struct rig coin = { .seed = seed | 1 };
	uint32_t stable = 0;

	memcpy(to, start, rig->disk.bytes);
	for (uint32_t i = 0; i < events; i++)
		if (rig->log[i].flush && rig->log[i].mark > stable)
			stable = rig->log[i].mark;
	for (uint32_t i = 0; i < events; i++) {
		const struct rig_write *w = &rig->log[i];

		if (w->flush || (i >= stable && !w->fua && (rig_random(&coin) & 1) != 0))
			continue;
		if (i >= stable && !w->fua && w->bytes > 512 && (rig_random(&coin) & 3) == 0)
			memcpy(to + w->offset, w->data, 512 * (rig_random(&coin) % (w->bytes / 512)));
		else
			memcpy(to + w->offset, w->data, w->bytes);
	}
}

/* ---- images -------------------------------------------------------------------------------- */

static const char *
temporary(const char *what)
{
	static char path[4][128];
	static unsigned next;
	char *p = path[next++ % 4];

	snprintf(p, sizeof path[0], "%s/fs-test-%d-%s", getenv("TMPDIR") != NULL ? getenv("TMPDIR") : "/tmp",
	    (int)getpid(), what);
	return p;
}

static int
run(const char *text, ...)
{
	char command[1024];
	va_list list;
	int status;

	va_start(list, text);
	vsnprintf(command, sizeof command, text, list);
	va_end(list);
	fflush(stdout);
	status = system(command);
	return status == -1 || !WIFEXITED(status) ? -1 : WEXITSTATUS(status);
}

static void
rig_begin(struct rig *rig, uint64_t bytes)
{
	memset(rig, 0, sizeof *rig);
	rig->seed = 0x12345;
	rig->bytes = malloc(bytes);
	rig->memory = calloc(1, RIG_MEMORY);
	rig->redo = calloc(1, FS_REDO_BYTES);
	if (rig->bytes == NULL || rig->memory == NULL || rig->redo == NULL)
		abort();
	rig->disk = (struct disk){ .submit = rig_submit, .bytes = bytes, .sector_bytes = 512,
		.context = rig };
	rig->clock = 1700000000ULL * 1000000000;
	rig->loud = getenv("LOUD") != NULL;
}

void
rig_load(struct rig *rig, const char *path)
{
	FILE *f = fopen(path, "rb");
	long bytes;

	if (f == NULL || fseek(f, 0, SEEK_END) != 0 || (bytes = ftell(f)) < 0) {
		perror(path);
		exit(2);
	}
	rewind(f);
	rig_begin(rig, (uint64_t)bytes);
	if (fread(rig->bytes, 1, (size_t)bytes, f) != (size_t)bytes) {
		perror(path);
		exit(2);
	}
	fclose(f);
}

void
rig_save(struct rig *rig, const char *path)
{
	FILE *f = fopen(path, "wb");

	if (f == NULL || fwrite(rig->bytes, 1, rig->disk.bytes, f) != rig->disk.bytes || fclose(f) != 0) {
		perror(path);
		exit(2);
	}
}

void
rig_make(struct rig *rig, uint64_t bytes, const char *options)
{
	const char *path = temporary("make");

	if (run("rm -f %s; E2FSPROGS_FAKE_TIME=1700000000 mke2fs -q -F -t ext4 -U 12345678-1234-1234-1234-123456789abc "
	    "-E hash_seed=87654321-4321-4321-4321-cba987654321,lazy_itable_init=1 %s %s %lluk >/dev/null",
	    path, options, path, (unsigned long long)bytes / 1024) != 0) {
		fprintf(stderr, "mke2fs %s failed\n", options);
		exit(2);
	}
	rig_load(rig, path);
	unlink(path);
}

static void
log_free(struct rig *rig)
{
	for (uint32_t i = 0; i < rig->logged; i++)
		free(rig->log[i].data);
	free(rig->log);
	rig->log = NULL;
	rig->logged = rig->log_room = 0;
}

void
rig_free(struct rig *rig)
{
	rig_kill(rig);
	log_free(rig);
	free(rig->bytes);
	free(rig->memory);
	free(rig->redo);
}

bool
rig_clean(struct rig *rig)
{
	const char *path = temporary("clean");
	int status;

	rig_save(rig, path);
	status = run("e2fsck -fn %s >%s.log 2>&1", path, path);
	if (status != 0)
		run("cat %s.log", path);
	run("rm -f %s %s.log", path, path);
	return status == 0;
}

bool
rig_e2fsck_recovers(struct rig *rig)
{
	const char *path = temporary("recover");
	FILE *f;
	int status;
	bool ok;

	rig_save(rig, path);
	/* -p recovers the journal and orphans; anything else it finds is an error */
	status = run("e2fsck -p %s >%s.log 2>&1", path, path);
	ok = status == 0 || status == 1;
	if (ok)
		ok = run("e2fsck -fn %s >%s.log 2>&1", path, path) == 0;
	if (!ok)
		run("cat %s.log", path);
	f = fopen(path, "rb");
	if (f == NULL || fread(rig->bytes, 1, rig->disk.bytes, f) != rig->disk.bytes)
		ok = false;
	if (f != NULL)
		fclose(f);
	run("rm -f %s %s.log", path, path);
	return ok;
}

void
rig_debugfs(struct rig *rig, const char *command, char *to, size_t room)
{
	const char *path = temporary("debugfs");
	FILE *f;
	size_t n;

	rig_save(rig, path);
	run("debugfs -R '%s' %s >%s.out 2>/dev/null", command, path, path);
	run("true");
	f = popen("true", "r");
	if (f != NULL)
		pclose(f);
	{
		char name[160];

		snprintf(name, sizeof name, "%s.out", path);
		f = fopen(name, "rb");
	}
	n = f == NULL ? 0 : fread(to, 1, room - 1, f);
	to[n] = '\0';
	if (f != NULL)
		fclose(f);
	run("rm -f %s %s.out", path, path);
}

/* ---- the server's life ------------------------------------------------------------------------ */

static uint64_t
rig_clock(void *context)
{
	return ((struct rig *)context)->clock;
}

static void
rig_say(void *context, const char *line)
{
	struct rig *rig = context;
	size_t used = strlen(rig->said), n = strlen(line);

	if (rig->loud)
		printf("    | %s\n", line);
	if (used + n + 2 > sizeof rig->said)
		used = 0;
	memcpy(rig->said + used, line, n);
	memcpy(rig->said + used + n, "\n", 2);
}

int64_t
rig_mount(struct rig *rig, uint32_t flags)
{
	struct fs_job *job;
	int64_t result;

	rig->options.clock_ns = rig_clock;
	rig->options.say = rig_say;
	rig->options.context = rig;
	rig->options.random = rig_random(rig);
	rig->options.redo = rig->redo;
	rig->options.redo_bytes = FS_REDO_BYTES;
	rig->fs = fs_new(&rig->disk, &rig->options);
	if (rig->fs == NULL)
		abort();
	job = rig_job(rig, FS_MOUNT);
	job->request.flags = flags;
	result = rig_call(rig, job);
	rig_job_free(job);
	if (result != 0) {
		rig_kill(rig);
	}
	return result;
}

int64_t
rig_unmount(struct rig *rig)
{
	struct fs_job *job = rig_job(rig, FS_UNMOUNT);
	int64_t result = rig_call(rig, job);

	rig_job_free(job);
	if (result == 0) {
		rig_settle(rig);
		rig_kill(rig);
	}
	return result;
}

void
rig_kill(struct rig *rig)
{
	if (rig->fs == NULL)
		return;
	while (rig_poll(&rig->disk))
		;
	fs_free(rig->fs);
	rig->fs = NULL;
}

void
rig_settle(struct rig *rig)
{
	for (;;) {
		fs_run(rig->fs);
		if (!rig_poll(&rig->disk)) {
			fs_run(rig->fs);
			if (rig->queued == 0)
				return;
		}
	}
}

/* ---- requests ------------------------------------------------------------------------------------ */

struct fs_job *
rig_job(struct rig *rig, uint32_t op)
{
	struct fs_job *job = calloc(1, sizeof *job + FS_SLOT_BYTES);

	if (job == NULL)
		abort();
	job->page = (uint8_t *)(job + 1);
	job->request.op = op;
	rig->clock += 1000000;
	job->request.now.seconds = (int64_t)(rig->clock / 1000000000);
	job->request.now.nanoseconds = (uint32_t)(rig->clock % 1000000000);
	job->request.mtime = job->request.now;
	job->request.sequence = ++rig->sequence;
	return job;
}

void
rig_job_free(struct fs_job *job)
{
	free(job);
}

int64_t
rig_call(struct rig *rig, struct fs_job *job)
{
	return fs_call(rig->fs, job, rig_poll);
}

static struct fs_job *
job_on(struct rig *rig, uint32_t op, struct ref ref)
{
	struct fs_job *job = rig_job(rig, op);

	job->request.inode = ref.inode;
	job->request.generation = ref.generation;
	return job;
}

static int64_t
finish(struct rig *rig, struct fs_job *job, struct ref *to)
{
	int64_t result = rig_call(rig, job);

	if (to != NULL && result >= 0)
		*to = (struct ref){ job->answer.attributes.inode, job->answer.attributes.generation };
	rig_job_free(job);
	return result;
}

static void
page_text(struct fs_job *job, size_t at, const char *text)
{
	size_t n = strlen(text) + 1;

	if (at + n <= FS_SLOT_BYTES)
		memcpy(job->page + at, text, n);
	else if (at < FS_SLOT_BYTES)
		memset(job->page + at, 'x', FS_SLOT_BYTES - at);
}

struct ref
rig_root(struct rig *rig)
{
	struct fs_job *job = rig_job(rig, FS_GETATTR);
	struct ref root = { 2, 0 };

	/* mke2fs gives the root generation 0; a lookup of "." would say, too */
	job->request.inode = 2;
	if (rig_call(rig, job) == 0)
		root.generation = job->answer.attributes.generation;
	rig_job_free(job);
	return root;
}

int64_t
rig_lookup(struct rig *rig, struct ref dir, const char *name, struct ref *to)
{
	struct fs_job *job = job_on(rig, FS_LOOKUP, dir);

	page_text(job, 0, name);
	return finish(rig, job, to);
}

int64_t
rig_path(struct rig *rig, const char *path, struct ref *to)
{
	struct ref at = rig_root(rig);
	char name[256];
	int64_t result = 0;

	while (result >= 0 && *path != '\0') {
		size_t n = strcspn(path, "/");

		if (n == 0) {
			path++;
			continue;
		}
		memcpy(name, path, n);
		name[n] = '\0';
		path += n;
		result = rig_lookup(rig, at, name, &at);
	}
	*to = at;
	return result;
}

int64_t
rig_create(struct rig *rig, struct ref dir, const char *name, uint32_t mode, const char *target,
    struct ref *to)
{
	struct fs_job *job = job_on(rig, FS_CREATE, dir);

	job->request.mode = mode;
	page_text(job, 0, name);
	if (target != NULL)
		page_text(job, strlen(name) + 1, target);
	return finish(rig, job, to);
}

int64_t
rig_link(struct rig *rig, struct ref dir, const char *name, struct ref inode)
{
	struct fs_job *job = job_on(rig, FS_LINK, dir);

	job->request.inode2 = inode.inode;
	job->request.generation2 = inode.generation;
	page_text(job, 0, name);
	return finish(rig, job, NULL);
}

static int64_t
drop(struct rig *rig, uint32_t op, struct ref dir, const char *name)
{
	struct fs_job *job = job_on(rig, op, dir);
	struct ref gone;
	uint32_t links;
	int64_t result;

	page_text(job, 0, name);
	result = rig_call(rig, job);
	gone = (struct ref){ job->answer.attributes.inode, job->answer.attributes.generation };
	links = job->answer.attributes.nlink;
	rig_job_free(job);
	if (result == 0 && links == 0)
		return rig_evict(rig, gone);
	return result;
}

int64_t
rig_unlink(struct rig *rig, struct ref dir, const char *name)
{
	return drop(rig, FS_UNLINK, dir, name);
}

int64_t
rig_rmdir(struct rig *rig, struct ref dir, const char *name)
{
	return drop(rig, FS_RMDIR, dir, name);
}

int64_t
rig_rename(struct rig *rig, struct ref from, const char *old, struct ref to, const char *new,
    uint32_t flags)
{
	struct fs_job *job = job_on(rig, FS_RENAME, from);
	struct fs_attributes *a = &job->answer.attributes;
	struct ref gone;
	int64_t result;

	job->request.inode2 = to.inode;
	job->request.generation2 = to.generation;
	job->request.flags = flags;
	page_text(job, 0, old);
	page_text(job, strlen(old) + 1, new);
	result = rig_call(rig, job);
	gone = (struct ref){ a->inode, a->generation };
	if (result != 0 || a->inode == 0 || a->nlink != 0)
		gone.inode = 0;
	rig_job_free(job);
	return gone.inode != 0 ? rig_evict(rig, gone) : result;
}

int64_t
rig_evict(struct rig *rig, struct ref inode)
{
	return finish(rig, job_on(rig, FS_EVICT, inode), NULL);
}

int64_t
rig_getattr(struct rig *rig, struct ref inode, struct fs_attributes *to)
{
	struct fs_job *job = job_on(rig, FS_GETATTR, inode);
	int64_t result = rig_call(rig, job);

	*to = job->answer.attributes;
	rig_job_free(job);
	return result;
}

int64_t
rig_truncate(struct rig *rig, struct ref inode, uint64_t size)
{
	struct fs_job *job = job_on(rig, FS_SETATTR, inode);

	job->request.valid = FS_SET_SIZE;
	job->request.size = size;
	return finish(rig, job, NULL);
}

static void
set_segments(struct rig *rig, struct fs_job *job, size_t bytes)
{
	size_t at = 0, n;

	/* pieces of several sizes, as a page cache has them */
	while (at < bytes && job->request.segments < FS_SEGMENTS) {
		n = 4096 * (1 + rig_random(rig) % 4);
		if (n > bytes - at || job->request.segments == FS_SEGMENTS - 1)
			n = bytes - at;
		job->request.segment[job->request.segments++] = (struct fs_segment){ at, (uint32_t)n, 0 };
		at += n;
	}
	job->request.length = bytes;
}

int64_t
rig_write(struct rig *rig, struct ref inode, uint64_t offset, const void *data, size_t bytes)
{
	struct fs_job *job = job_on(rig, FS_WRITE, inode);
	size_t whole = (bytes + 511) & ~(size_t)511;
	int64_t result;

	if (whole > RIG_MEMORY)
		abort();
	memcpy(rig->memory, data, bytes);
	memset(rig->memory + bytes, 0, whole - bytes);
	job->request.flags = rig->write_flags;
	job->request.offset = offset;
	job->request.size = offset + bytes;
	set_segments(rig, job, whole);
	result = finish(rig, job, NULL);
	return result < 0 ? result : (int64_t)bytes;
}

int64_t
rig_read(struct rig *rig, struct ref inode, uint64_t offset, void *data, size_t bytes)
{
	struct fs_job *job = job_on(rig, FS_READ, inode);
	const struct fs_hole *hole = (const struct fs_hole *)(const void *)job->page;
	size_t whole = (bytes + 511) & ~(size_t)511;
	int64_t result;

	memset(rig->memory, 0xee, whole);
	job->request.offset = offset;
	set_segments(rig, job, whole);
	result = rig_call(rig, job);
	for (uint32_t i = 0; i < job->answer.count; i++)
		memset(rig->memory + hole[i].offset, 0, hole[i].length);
	rig_job_free(job);
	if (result > (int64_t)bytes)
		result = (int64_t)bytes;
	if (result > 0)
		memcpy(data, rig->memory, (size_t)result);
	return result;
}

int64_t
rig_fsync(struct rig *rig, struct ref inode)
{
	return finish(rig, job_on(rig, FS_FSYNC, inode), NULL);
}

int64_t
rig_trim(struct rig *rig, uint64_t offset, uint64_t length, uint64_t least)
{
	uint64_t end = offset + length < offset ? UINT64_MAX : offset + length;
	int64_t done = 0, n;

	do {
		struct fs_job *job = rig_job(rig, FS_TRIM);

		job->request.offset = offset;
		job->request.length = end - offset;
		job->request.size = least;
		n = rig_call(rig, job);
		offset = job->answer.made;
		rig_job_free(job);
		if (n < 0)
			return n;
		done += n;
	} while (offset != 0);
	return done;
}

int64_t
rig_remount(struct rig *rig, uint32_t flags, uint64_t commit_seconds)
{
	struct fs_job *job = rig_job(rig, FS_REMOUNT);
	int64_t result;

	job->request.flags = flags;
	job->request.length = commit_seconds;
	result = rig_call(rig, job);
	rig_job_free(job);
	return result;
}

int64_t
rig_sync(struct rig *rig)
{
	return finish(rig, rig_job(rig, FS_SYNC), NULL);
}

int64_t
rig_fallocate(struct rig *rig, struct ref inode, uint32_t mode, uint64_t offset, uint64_t bytes)
{
	struct fs_job *job = job_on(rig, FS_FALLOCATE, inode);

	job->request.flags = mode;
	job->request.offset = offset;
	job->request.length = bytes;
	return finish(rig, job, NULL);
}

int64_t
rig_setxattr(struct rig *rig, struct ref inode, const char *name, const void *value, size_t bytes,
    uint32_t flags)
{
	struct fs_job *job = job_on(rig, value == NULL ? FS_REMOVEXATTR : FS_SETXATTR, inode);

	job->request.flags = flags;
	job->request.length = bytes;
	page_text(job, 0, name);
	if (value != NULL && strlen(name) + 1 + bytes <= FS_SLOT_BYTES)
		memcpy(job->page + strlen(name) + 1, value, bytes);
	return finish(rig, job, NULL);
}

int64_t
rig_getxattr(struct rig *rig, struct ref inode, const char *name, void *value, size_t room)
{
	struct fs_job *job = job_on(rig, FS_GETXATTR, inode);
	int64_t result;

	page_text(job, 0, name);
	result = rig_call(rig, job);
	if (result > 0)
		memcpy(value, job->page, (size_t)result < room ? (size_t)result : room);
	rig_job_free(job);
	return result;
}

int64_t
rig_readlink(struct rig *rig, struct ref inode, char *to, size_t room)
{
	struct fs_job *job = job_on(rig, FS_READLINK, inode);
	int64_t result = rig_call(rig, job);

	if (result >= 0 && (size_t)result < room) {
		memcpy(to, job->page, (size_t)result);
		to[result] = '\0';
	}
	rig_job_free(job);
	return result;
}

int64_t
rig_list(struct rig *rig, struct ref dir, void (*each)(void *, const struct fs_entry *), void *context)
{
	uint64_t cookie = 0;

	for (;;) {
		struct fs_job *job = job_on(rig, FS_READDIR, dir);
		const struct fs_entry *entry = NULL;
		int64_t result;

		job->request.offset = cookie;
		result = rig_call(rig, job);
		for (int64_t at = 0; at < result; at += entry->length) {
			entry = (const struct fs_entry *)(const void *)(job->page + at);
			each(context, entry);
			cookie = entry->cookie;
		}
		rig_job_free(job);
		if (result <= 0)
			return result;
	}
}
