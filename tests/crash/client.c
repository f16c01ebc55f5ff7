/* SPDX-License-Identifier: MIT */
/* Requests to base/fs: mounting, the operations of workloads, and reading all. */
#define _GNU_SOURCE
#include <errno.h>
#include <dirent.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include "client.h"
#include "image.h"

enum { WRITE_MAX = FS_SEGMENTS * 4096 };	/* bytes of one operation */
/* Where the data of reads and writes lies, in the client's memory. */
static _Alignas(4096) uint8_t window[WRITE_MAX];

static const uint64_t second_ns = 1000000000ULL;
static const int64_t epoch = 1700000000;	/* when a client's life begins: the same in each run */

/* ---- the server's surroundings --------------------------------------------------- */

static uint64_t
clock_ns(void *context)
{
	return ((struct client *)context)->now_ns;
}

static void
say(void *context, const char *line)
{
	struct client *client = context;

	snprintf(client->said, sizeof client->said, "%s", line);
	if (client->verbose)
		printf("    fs: %s\n", line);
}

static void
committed(void *context, uint64_t transaction)
{
	struct client *client = context;
	uint32_t kept = 0;

	client->committed = transaction;
	for (uint32_t i = 0; i < client->unstables; i++) {
		if (client->unstable[i].transaction > transaction)
			client->unstable[kept++] = client->unstable[i];
	}
	client->unstables = kept;
	if (client->disk->record != NULL)
		record_mark(client->disk->record, MARK_COMMITTED, transaction);
}

static bool
start_server(struct client *client, bool recovering)
{
	struct fs_options options = {
		.random = 42, .clock_ns = clock_ns, .say = say, .committed = committed, .context = client,
		.redo = client->redo, .redo_bytes = client->redo != NULL ? FS_REDO_BYTES : 0,
		.recovering = recovering,
	};

	client->fs = fs_new(&client->disk->disk, &options);
	return client->fs != NULL;
}

bool
client_open(struct client *client, struct record_disk *disk)
{
	memset(client, 0, sizeof *client);
	client->disk = disk;
	client->now_ns = second_ns;
	client->going = MODEL_NONE;
	return start_server(client, false);
}

bool
client_survive(struct client *client, const struct model *model, uint64_t gap)
{
	client->redo = need(FS_REDO_BYTES);
	client->model = model;
	client->gap = gap;
	fs_free(client->fs);
	return start_server(client, false);
}

/* ---- requests --------------------------------------------------------------------- */

struct call {
	struct fs_job job;
	uint8_t page[FS_SLOT_BYTES];
};

/* A sync that nobody waits for yet. */
struct background {
	struct background *next;
	struct client *client;
	uint32_t step;
	struct call call;
};

void
client_close(struct client *client)
{
	struct background *background;

	/* A death: requests that the disk still has are answered first (fs.h). */
	while (record_disk_poll(&client->disk->disk))
		;
	fs_free(client->fs);
	client->fs = NULL;
	while ((background = client->background) != NULL) {
		client->background = background->next;
		free(background);
	}
	free(client->redo);
	free(client->unstable);
	client->redo = NULL;
	client->unstable = NULL;
}

static struct call *
prepare(struct client *client, uint32_t op, bool changes)
{
	static struct call call;

	memset(&call, 0, sizeof call);
	call.job.page = call.page;
	call.job.request.op = op;
	call.job.request.sequence = changes ? ++client->sequence : 0;
	call.job.request.now.seconds = epoch + (int64_t)(client->sequence);
	return &call;
}

static bool revive(struct client *client, uint64_t unanswered);

static int64_t
perform(struct client *client, struct call *call)
{
	static uint8_t page[FS_SLOT_BYTES];
	int64_t result;

	memcpy(page, call->page, sizeof page);
	result = fs_call(client->fs, &call->job, record_disk_poll);
	while (client->redo != NULL && !call->job.finished && record_disk_over(client->disk)) {
		/* The request is sent again as it was, when there is a server again. */
		if (!revive(client, call->job.request.sequence))
			return -EDEADLK;
		memcpy(call->page, page, sizeof page);
		memset(&call->job.answer, 0, sizeof call->job.answer);
		call->job.next = NULL;
		result = fs_call(client->fs, &call->job, record_disk_poll);
	}
	if (client->transaction == 0)
		client->transaction = call->job.answer.transaction;
	if (client->redo != NULL)
		fs_answered(client->fs, &call->job);
	return result;
}

static void
set_inode(struct call *call, const struct model *model, uint32_t id)
{
	call->job.request.inode = model->number[id].inode;
	call->job.request.generation = model->number[id].generation;
}

static void
set_inode2(struct call *call, const struct model *model, uint32_t id)
{
	call->job.request.inode2 = model->number[id].inode;
	call->job.request.generation2 = model->number[id].generation;
}

/* Texts, one behind the other, each with its NUL. */
static size_t
set_text(struct call *call, size_t at, const char *text)
{
	size_t bytes = strcspn(text, "/");

	memcpy(call->page + at, text, bytes);
	call->page[at + bytes] = 0;
	return at + bytes + 1;
}

int64_t
client_mount(struct client *client)
{
	struct call *call = prepare(client, FS_MOUNT, false);

	call->job.request.flags = client->mount_flags;
	return perform(client, call);
}

int64_t
client_unmount(struct client *client)
{
	return perform(client, prepare(client, FS_UNMOUNT, false));
}

static int64_t
evict(struct client *client, const struct model *model, uint32_t id)
{
	struct call *call;
	int64_t result;

	/* A file that is being synced is open. */
	for (struct background *b = client->background; b != NULL; b = b->next) {
		if (b->call.job.request.inode != model->number[id].inode || b->call.job.finished)
			continue;
		result = client_wait(client);
		if (result < 0)
			return result;
		break;
	}
	call = prepare(client, FS_EVICT, true);
	set_inode(call, model, id);
	return perform(client, call);
}

/* ---- deaths ----------------------------------------------------------------------- */

static void
note_unstable(struct client *client, uint32_t id, uint64_t from, uint64_t to, uint64_t transaction)
{
	if (client->redo == NULL)
		return;
	if (client->unstables == client->unstable_room)
		client->unstable = need_more(client->unstable, (client->unstable_room += 64) * sizeof *client->unstable);
	client->unstable[client->unstables++] = (struct unstable){ id, from, to, transaction };
}

/* A request in the middle of a recovery, which may be cut, too. */
static int64_t
call_once(struct client *client, struct call *call)
{
	int64_t result = fs_call(client->fs, &call->job, record_disk_poll);

	fs_answered(client->fs, &call->job);
	return result;
}

static void
new_call(struct call *call, uint32_t op)
{
	memset(call, 0, sizeof *call);
	call->job.page = call->page;
	call->job.request.op = op;
	call->job.request.now.seconds = epoch;
}

static void
hold(struct client *client, struct call *call, uint32_t id)
{
	new_call(call, FS_HOLD);
	set_inode(call, client->model, id);
	call_once(client, call);	/* it may be gone: an eviction that was not answered */
}

/* Blocks of a file as it is now, those that are not holes. */
static int64_t
write_again(struct client *client, struct call *call, struct unstable *unstable)
{
	static _Alignas(4096) uint8_t again[4096];	/* the window may be in use */
	const struct model_inode *inode = model_inode(&client->model->snapshot[client->model->snapshots - 1],
	    unstable->id);
	uint64_t block = client->model->block_bytes, end;
	int64_t result = 0;

	if (inode == NULL)
		return 0;
	end = (uint64_t)inode->sectors * SECTOR;
	for (uint64_t at = unstable->from; at < unstable->to && at < end && result >= 0; at += block) {
		if (inode->sector[at / SECTOR].alloc == 0)
			continue;
		new_call(call, FS_WRITE);
		set_inode(call, client->model, unstable->id);
		model_read(inode, at, block, again);
		call->job.request.sequence = ++client->sequence;
		call->job.request.offset = at;
		call->job.request.length = block;
		call->job.request.size = inode->size;
		call->job.request.mtime = call->job.request.now;
		call->job.request.segments = 1;
		call->job.request.segment[0] = (struct fs_segment){ (uint64_t)(uintptr_t)again, (uint32_t)block, 0 };
		result = call_once(client, call);
		if (result >= 0)
			unstable->transaction = call->job.answer.transaction;
	}
	return result == -ESTALE ? 0 : result;
}

/* One attempt at what proto/fs.h says under Deaths. */
static int64_t
recover_server(struct client *client, uint64_t unanswered)
{
	struct call *call = need(sizeof *call);
	int64_t result;

	new_call(call, FS_MOUNT);
	call->job.request.flags = client->mount_flags;
	result = call_once(client, call);
	for (uint32_t i = 0; result >= 0 && i < client->model->opens; i++)
		hold(client, call, client->model->open[i]);
	if (result >= 0 && client->going != MODEL_NONE)
		hold(client, call, client->going);
	/* Some may become stable, and leave the list, while others are written. */
	for (uint32_t left = client->unstables, i = 0; result >= 0 && left-- != 0;) {
		uint32_t before = client->unstables;

		result = write_again(client, call, &client->unstable[i]);
		i = client->unstables < before ? 0 : i + 1;
		if (i >= client->unstables)
			break;
	}
	if (result >= 0) {
		new_call(call, FS_RECOVERED);
		call->job.request.offset = unanswered;
		result = call_once(client, call);
	}
	free(call);
	return result;
}

/* A new server in place of a dead one. */
static bool
revive(struct client *client, uint64_t unanswered)
{
	int64_t result = -EDEADLK;

	while (record_disk_over(client->disk)) {
		client->deaths++;
		record_disk_abandon(client->disk);
		fs_free(client->fs);
		if (client->gap != 0)
			client->disk->deadline = client->disk->steps + client->gap;
		else
			client->disk->deadline = 0;
		client->gap = 0;
		if ((client->faults & FAULT_NO_REDO) != 0)
			memset(client->redo, 0, FS_REDO_BYTES);
		if ((client->faults & FAULT_NO_REWRITE) != 0)
			client->unstables = 0;
		/* Transactions have new numbers now, and nothing of them is known to be stable. */
		client->committed = 0;
		for (uint32_t i = 0; i < client->unstables; i++)
			client->unstable[i].transaction = UINT64_MAX;
		if (!start_server(client, true))
			return false;
		result = recover_server(client, unanswered);
	}
	if (result < 0) {
		printf("    after a death: %s (fs: %s)\n", strerror((int)-result), client->said);
		return false;
	}
	for (struct background *b = client->background; b != NULL; b = b->next) {
		if (!b->call.job.finished)
			fs_submit(client->fs, &b->call.job);
	}
	return true;
}

/* ---- operations -------------------------------------------------------------------- */

static int64_t
do_make(struct client *client, const struct model *model, const struct op *op, uint32_t parent,
    const char *name, struct model_number *made)
{
	struct call *call = prepare(client, FS_CREATE, true);
	struct fs_request *request = &call->job.request;
	int64_t result;

	set_inode(call, model, parent);
	if (op->kind == OP_TMPFILE) {
		request->mode = S_IFREG | 0644;
	} else {
		size_t at = set_text(call, 0, name);

		request->mode = op->kind == OP_CREAT ? S_IFREG | 0644 : op->kind == OP_MKDIR ? S_IFDIR | 0755 :
		    S_IFLNK | 0777;
		if (op->kind == OP_SYMLINK)
			strcpy((char *)call->page + at, op->other);
	}
	result = perform(client, call);
	made->inode = call->job.answer.attributes.inode;
	made->generation = call->job.answer.attributes.generation;
	return result;
}

static int64_t
do_name(struct client *client, const struct model *model, uint32_t what, uint32_t parent,
    const char *name, uint32_t id2)
{
	struct call *call = prepare(client, what, true);

	set_inode(call, model, parent);
	if (id2 != MODEL_NONE)
		set_inode2(call, model, id2);
	set_text(call, 0, name);
	return perform(client, call);
}

static int64_t
do_rename(struct client *client, const struct model *model, uint32_t parent, const char *name,
    uint32_t parent2, const char *name2, uint32_t flags)
{
	struct call *call = prepare(client, FS_RENAME, true);

	set_inode(call, model, parent);
	set_inode2(call, model, parent2);
	set_text(call, set_text(call, 0, name), name2);
	call->job.request.flags = flags;
	return perform(client, call);
}

static int64_t
do_setattr(struct client *client, const struct model *model, const struct op *op, uint32_t id)
{
	struct call *call = prepare(client, FS_SETATTR, true);

	set_inode(call, model, id);
	if (op->kind == OP_TRUNCATE) {
		call->job.request.valid = FS_SET_SIZE;
		call->job.request.size = op->bytes;
	} else {
		call->job.request.valid = FS_SET_MODE;
		call->job.request.mode = (uint32_t)op->bytes;
	}
	return perform(client, call);
}

static int64_t
do_fallocate(struct client *client, const struct model *model, const struct op *op, uint32_t id)
{
	struct call *call = prepare(client, FS_FALLOCATE, true);

	set_inode(call, model, id);
	call->job.request.offset = op->offset;
	call->job.request.length = op->bytes;
	call->job.request.flags = op->kind == OP_KEEP ? FALLOC_FL_KEEP_SIZE :
	    op->kind == OP_PUNCH ? FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE :
	    op->kind == OP_ZERO ? FALLOC_FL_ZERO_RANGE : 0;
	return perform(client, call);
}

static int64_t
do_setxattr(struct client *client, const struct model *model, const struct op *op, uint32_t id,
    const uint8_t *value)
{
	struct call *call = prepare(client, op->kind == OP_SETXATTR ? FS_SETXATTR : FS_REMOVEXATTR, true);
	size_t at = set_text(call, 0, op->other);

	set_inode(call, model, id);
	if (value != NULL) {
		memcpy(call->page + at, value, op->bytes);
		call->job.request.length = op->bytes;
	}
	return perform(client, call);
}

/* The blocks from..to of a file as `inode` has them.  Returns bytes, from `from`. */
static int64_t
do_write(struct client *client, const struct model *model, const struct model_inode *inode,
    uint64_t from, uint64_t to)
{
	struct call *call = prepare(client, FS_WRITE, true);
	struct fs_request *request = &call->job.request;
	int64_t result;

	model_read(inode, from, to - from, window);
	set_inode(call, model, inode->id);
	request->offset = from;
	request->length = to - from;
	request->size = inode->size;
	request->mtime = request->now;
	for (uint64_t at = 0; at < to - from; at += 4096) {
		struct fs_segment *segment = &request->segment[request->segments++];

		segment->address = (uint64_t)(uintptr_t)(window + at);
		segment->bytes = (uint32_t)(to - from - at < 4096 ? to - from - at : 4096);
	}
	result = perform(client, call);
	if (result > 0)
		note_unstable(client, inode->id, from, from + (uint64_t)result, call->job.answer.transaction);
	return result;
}

static int64_t
do_sync(struct client *client, const struct model *model, const struct op *op, uint32_t id)
{
	struct call *call = prepare(client, op->kind == OP_SYNC ? FS_SYNC : FS_FSYNC, false);

	if (op->kind != OP_SYNC)
		set_inode(call, model, id);
	if (op->kind == OP_FDATASYNC)
		call->job.request.flags = FS_DATASYNC;
	return perform(client, call);
}

static int64_t
do_trim(struct client *client)
{
	uint64_t offset = 0;
	int64_t result;

	do {
		struct call *call = prepare(client, FS_TRIM, false);

		call->job.request.offset = offset;
		call->job.request.length = UINT64_MAX;
		result = perform(client, call);
		offset = call->job.answer.made;
	} while (result >= 0 && offset != 0);
	return result == -EOPNOTSUPP && !client->disk->disk.has_discard ? 0 : result;
}

static void
background_done(struct fs_job *job)
{
	struct background *background = job->context;
	struct client *client = background->client;

	if (client->disk->record != NULL && job->answer.result >= 0)
		record_mark(client->disk->record, MARK_END, background->step);
}

static int64_t
begin_sync(struct client *client, const struct model *model, const struct op *op, uint32_t id)
{
	struct background *background = need(sizeof *background);
	struct fs_job *job = &background->call.job;

	job->page = background->call.page;
	job->request.op = op->kind == OP_BG_SYNC ? FS_SYNC : FS_FSYNC;
	if (op->kind == OP_BG_FSYNC)
		set_inode(&background->call, model, id);
	job->done = background_done;
	job->context = background;
	background->client = client;
	background->step = client->step;
	background->next = client->background;
	client->background = background;
	fs_submit(client->fs, job);
	fs_run(client->fs);
	return 0;
}

static int64_t
do_poll(struct client *client, uint64_t requests)
{
	fs_run(client->fs);
	while (requests-- != 0 && record_disk_poll(&client->disk->disk))
		fs_run(client->fs);
	return 0;
}

int64_t
client_wait(struct client *client)
{
	struct background *background;
	int64_t result = 0;

	while ((background = client->background) != NULL) {
		fs_run(client->fs);
		while (!background->call.job.finished && record_disk_poll(&client->disk->disk))
			fs_run(client->fs);
		if (!background->call.job.finished && client->redo != NULL && record_disk_over(client->disk) &&
		    revive(client, 0))
			continue;
		if (!background->call.job.finished)
			return -EDEADLK;
		if (background->call.job.answer.result < 0)
			result = background->call.job.answer.result;
		client->background = background->next;
		free(background);
	}
	return result;
}

/* Time passes until what is old was committed. */
static int64_t
do_tick(struct client *client)
{
	client->now_ns += 6 * second_ns;
	fs_run(client->fs);
	while (record_disk_poll(&client->disk->disk))
		fs_run(client->fs);
	return 0;
}

/* What must be written is what the model will hold, so it is applied first. */
static int64_t
do_data(struct client *client, struct model *model, const struct op *op, uint32_t id)
{
	uint32_t before = model->snapshots;
	struct model_number number = model->number[id];
	const struct model_inode *old = model_inode(model_last(model), id);
	uint64_t start = op->kind == OP_APPEND ? old->size : op->offset;
	struct effect effect;
	struct op part = *op;
	int64_t result;

	if (op->bytes > WRITE_MAX - 2 * (uint64_t)model->block_bytes)
		return -E2BIG;
	model_apply(model, op, &effect);
	result = do_write(client, model, model_inode(model_last(model), id), effect.from, effect.to);
	if (result == (int64_t)(effect.to - effect.from))
		return (int64_t)op->bytes;
	model->snapshots = before;
	model->number[id] = number;
	if (result <= 0 || effect.from + (uint64_t)result <= start)
		return result < 0 ? result : -ENOSPC;
	part.kind = OP_WRITE;
	part.offset = start;
	part.bytes = effect.from + (uint64_t)result - start;
	model_apply(model, &part, &effect);
	return (int64_t)part.bytes;
}

static int64_t
close_all(struct client *client, const struct model *model)
{
	int64_t result = 0;

	for (uint32_t i = 0; i < model->opens && result >= 0; i++)
		result = evict(client, model, model->open[i]);
	return result;
}

int64_t
client_do(struct client *client, struct model *model, const struct op *op, uint64_t *transaction)
{
	const struct snapshot *snapshot = model_last(model);
	struct model_number made = { 0, 0, 0, 0 };
	struct effect effect = { .made = MODEL_NONE, .gone = MODEL_NONE };
	const char *name, *name2;
	uint32_t parent, parent2, id, id2;
	int64_t result;

	client->transaction = 0;
	id = model_find(model, snapshot, op->path, &parent, &name);
	id2 = model_find(model, snapshot, op->other, &parent2, &name2);
	(void)id2;
	switch (op->kind) {
	case OP_CREAT:
	case OP_MKDIR:
	case OP_SYMLINK: result = do_make(client, model, op, parent, name, &made); break;
	case OP_TMPFILE: result = do_make(client, model, op, MODEL_ROOT, "", &made); break;
	case OP_WRITE:
	case OP_APPEND:
		result = do_data(client, model, op, id);
		*transaction = client->transaction;
		return result;
	case OP_TRUNCATE:
	case OP_CHMOD: result = do_setattr(client, model, op, id); break;
	case OP_FALLOC:
	case OP_KEEP:
	case OP_PUNCH:
	case OP_ZERO: result = do_fallocate(client, model, op, id); break;
	case OP_RENAME: result = do_rename(client, model, parent, name, parent2, name2, 0); break;
	case OP_EXCHANGE:
		result = do_rename(client, model, parent, name, parent2, name2, RENAME_EXCHANGE);
		break;
	case OP_LINK: result = do_name(client, model, FS_LINK, parent2, name2, id); break;
	case OP_UNLINK:
	case OP_OPEN_UNLINK: result = do_name(client, model, FS_UNLINK, parent, name, MODEL_NONE); break;
	case OP_RMDIR: result = do_name(client, model, FS_RMDIR, parent, name, MODEL_NONE); break;
	case OP_CLOSE: result = close_all(client, model); break;
	case OP_SETXATTR: {
		/* The value is a pattern that only the model makes; a failure takes it back. */
		struct model_number number = model->number[id];
		const struct model_inode *inode;
		const uint8_t *value = NULL;

		model_apply(model, op, &effect);
		inode = model_inode(model_last(model), id);
		for (uint32_t i = 0; i < inode->xattrs; i++) {
			if (strcmp(inode->xattr[i].name, op->other) == 0)
				value = inode->xattr[i].value;
		}
		result = do_setxattr(client, model, op, id, value);
		if (result < 0) {
			model->snapshots--;
			model->number[id] = number;
		}
		*transaction = client->transaction;
		return result;
	}
	case OP_REMOVEXATTR: result = do_setxattr(client, model, op, id, NULL); break;
	case OP_FSYNC:
	case OP_FDATASYNC:
	case OP_SYNC: result = do_sync(client, model, op, id); break;
	case OP_TICK: result = do_tick(client); break;
	case OP_BG_FSYNC:
	case OP_BG_SYNC: result = begin_sync(client, model, op, id); break;
	case OP_POLL: result = do_poll(client, op->bytes); break;
	case OP_WAIT: result = client_wait(client); break;
	case OP_TRIM: result = do_trim(client); break;
	case OP_STAT: {
		struct call *call = prepare(client, FS_GETATTR, false);

		set_inode(call, model, id);
		result = perform(client, call);
		break;
	}
	default: return -EINVAL;
	}
	if (result >= 0) {
		model_apply(model, op, &effect);
		if (effect.made != MODEL_NONE) {
			model->number[effect.made].inode = made.inode;
			model->number[effect.made].generation = made.generation;
		}
	}
	*transaction = client->transaction;
	if (effect.gone != MODEL_NONE) {
		int64_t evicted;

		client->going = effect.gone;
		evicted = evict(client, model, effect.gone);
		client->going = MODEL_NONE;
		if (evicted < 0)
			return evicted;
	}
	return result;
}

/* ---- reading all ----------------------------------------------------------------- */

struct reading {
	struct client *client;
	struct tree *tree;
	char *why;
	size_t room;
	unsigned depth;
};

static bool
failed(struct reading *reading, const char *what, const char *path, int64_t result)
{
	snprintf(reading->why, reading->room, "%s %s: %s (fs: %s)", what, path, strerror((int)-result),
	    reading->client->said);
	return false;
}

static bool
read_data(struct reading *reading, struct tree_node *node, uint32_t generation)
{
	uint64_t room = (node->size + 4095) / 4096 * 4096, left;
	uint8_t *data = arena_get(&reading->tree->arena, node->size);

	node->data = data;
	for (uint64_t at = 0; at < node->size;) {
		struct call *call = prepare(reading->client, FS_READ, false);
		struct fs_request *request = &call->job.request;
		uint64_t bytes = room - at < WRITE_MAX ? room - at : WRITE_MAX;
		const struct fs_hole *hole = (const void *)call->page;
		int64_t result;

		request->inode = node->inode;
		request->generation = generation;
		request->offset = at;
		request->length = bytes;
		for (uint64_t part = 0; part < bytes; part += 4096)
			request->segment[request->segments++] = (struct fs_segment){
				(uint64_t)(uintptr_t)(window + part), 4096, 0 };
		memset(window, 0xee, bytes);	/* what fs does not fill shows */
		result = perform(reading->client, call);
		if (result < 0)
			return failed(reading, "read", node->path, result);
		for (uint32_t i = 0; i < call->job.answer.count; i++) {
			if (hole[i].offset > bytes || hole[i].length > bytes - hole[i].offset)
				return failed(reading, "hole of", node->path, -ERANGE);
			memset(window + hole[i].offset, 0, hole[i].length);
		}
		left = node->size - at;
		memcpy(data + at, window, bytes < left ? bytes : left);
		if ((uint64_t)result < bytes && at + (uint64_t)result < node->size)
			return failed(reading, "short read of", node->path, -EIO);
		at += bytes;
	}
	return true;
}

static bool
read_target(struct reading *reading, struct tree_node *node, uint32_t generation)
{
	struct call *call = prepare(reading->client, FS_READLINK, false);
	int64_t result;
	char *target;

	call->job.request.inode = node->inode;
	call->job.request.generation = generation;
	result = perform(reading->client, call);
	if (result < 0 || result > FS_SLOT_BYTES)
		return failed(reading, "readlink", node->path, result);
	target = arena_get(&reading->tree->arena, (size_t)result + 1);
	memcpy(target, call->page, (size_t)result);
	node->target = target;
	return true;
}

static bool
read_xattrs(struct reading *reading, struct tree_node *node, uint32_t generation)
{
	char names[FS_SLOT_BYTES + 1] = "";
	const char *each[64];
	unsigned count = 0;
	struct call *call = prepare(reading->client, FS_LISTXATTR, false);
	int64_t listed, result;

	call->job.request.inode = node->inode;
	call->job.request.generation = generation;
	listed = perform(reading->client, call);
	if (listed < 0 || listed > FS_SLOT_BYTES)
		return failed(reading, "listxattr", node->path, listed);
	memcpy(names, call->page, (size_t)listed);
	for (int64_t at = 0; at < listed && count < 64; at += (int64_t)strlen(names + at) + 1) {
		call = prepare(reading->client, FS_GETXATTR, false);
		call->job.request.inode = node->inode;
		call->job.request.generation = generation;
		strcpy((char *)call->page, names + at);
		result = perform(reading->client, call);
		if (result < 0)
			return failed(reading, "getxattr", node->path, result);
		each[count++] = tree_xattr(reading->tree, names + at, call->page, (uint64_t)result);
	}
	node->xattrs = tree_xattrs(reading->tree, each, count);
	return true;
}

static void
set_attributes(struct tree *tree, struct tree_node *node, const struct fs_attributes *a)
{
	char extra[200];

	node->inode = a->inode;
	node->mode = a->mode;
	node->nlink = a->nlink;
	node->uid = a->uid;
	node->gid = a->gid;
	node->size = a->size;
	node->rdev = a->rdev;
	snprintf(extra, sizeof extra, "inode %u generation %u bytes %llu blocks %llu mtime %lld.%u",
	    a->inode, a->generation, (unsigned long long)a->size, (unsigned long long)a->blocks,
	    (long long)a->mtime.seconds, a->mtime.nanoseconds);
	node->extra = arena_text(&tree->arena, extra);
}

static bool read_directory(struct reading *reading, const char *path, uint32_t inode,
    uint32_t generation);

static bool
read_node(struct reading *reading, const char *directory, const char *name, uint32_t inode,
    uint32_t generation)
{
	struct call *call = prepare(reading->client, FS_GETATTR, false);
	struct tree_node *node = tree_add(reading->tree, directory, name);
	const char *path = node->path;
	struct fs_attributes attributes;
	int64_t result;

	call->job.request.inode = inode;
	call->job.request.generation = generation;
	result = perform(reading->client, call);
	if (result < 0)
		return failed(reading, "getattr", path, result);
	attributes = call->job.answer.attributes;
	if (attributes.inode != inode)
		return failed(reading, "getattr answers another inode:", path, -EIO);
	set_attributes(reading->tree, node, &attributes);
	if (S_ISREG(node->mode) && !read_data(reading, node, attributes.generation))
		return false;
	if (S_ISLNK(node->mode) && !read_target(reading, node, attributes.generation))
		return false;
	if (!read_xattrs(reading, node, attributes.generation))
		return false;
	return !S_ISDIR(attributes.mode) ||
	    read_directory(reading, path, inode, attributes.generation);
}

/* A name that readdir shows must be what lookup finds. */
static bool
check_lookup(struct reading *reading, uint32_t directory, uint32_t generation, const char *path,
    const struct fs_entry *entry, uint32_t *found)
{
	struct call *call = prepare(reading->client, FS_LOOKUP, false);
	int64_t result;

	call->job.request.inode = directory;
	call->job.request.generation = generation;
	set_text(call, 0, entry->name);
	result = perform(reading->client, call);
	if (result < 0)
		return failed(reading, "lookup of a name that readdir shows in", path, result);
	if (call->job.answer.attributes.inode != entry->inode)
		return failed(reading, "lookup and readdir differ in", path, -EIO);
	*found = call->job.answer.attributes.generation;
	return true;
}

static bool
read_directory(struct reading *reading, const char *path, uint32_t inode, uint32_t generation)
{
	uint8_t *page = need(FS_SLOT_BYTES);
	uint64_t cookie = 0;
	bool good = ++reading->depth < 64;

	while (good) {
		struct call *call = prepare(reading->client, FS_READDIR, false);
		int64_t result;

		call->job.request.inode = inode;
		call->job.request.generation = generation;
		call->job.request.offset = cookie;
		result = perform(reading->client, call);
		if (result < 0 || result > FS_SLOT_BYTES)
			good = failed(reading, "readdir", path, result);
		if (result <= 0)
			break;
		memcpy(page, call->page, FS_SLOT_BYTES);
		for (int64_t at = 0; good && at < result;) {
			const struct fs_entry *entry = (const void *)(page + at);
			uint32_t found = 0;

			cookie = entry->cookie;
			if (entry->length < sizeof *entry || at + entry->length > result)
				good = failed(reading, "entry of", path, -ERANGE);
			else if (strcmp(entry->name, ".") != 0 && strcmp(entry->name, "..") != 0)
				good = check_lookup(reading, inode, generation, path, entry, &found) &&
				    read_node(reading, path, entry->name, entry->inode, found);
			at += entry->length;
		}
	}
	reading->depth--;
	free(page);
	return good;
}

struct tree *
client_tree(struct client *client, char *why, size_t room)
{
	struct reading reading = { .client = client, .tree = tree_new(), .why = why, .room = room };

	if (!read_node(&reading, "/", "", 2, 0)) {
		tree_free(reading.tree);
		return NULL;
	}
	tree_finish(reading.tree);
	return reading.tree;
}
