/* SPDX-License-Identifier: MIT */
/*
 * A ring of records.  Each is one operation that was done: the request, the
 * names in its page, its answer, and the number of the inode that it made, so
 * that doing it again makes the same one.  Records are appended in the order in
 * which operations changed things, and leave at the other end when they are
 * committed and their answer is in the client's hands.
 *
 * FS_WRITE has none: the client sends unstable pages again by itself.
 *
 * The area lies in the channel, where a dying server was writing to it and the
 * client can: a record counts when tail is behind it and is checked by its sum,
 * head and tail are kept here as well, and every length is checked whenever it
 * is read.  What a client writes there harms nobody but itself.
 */
#include <stdio.h>
#include "core.h"
#include "redo.h"

enum { AREA_MAGIC = 0x4f444552, AREA_VERSION = 1, RECORD_PENDING = 1, RECORD_ANSWERED = 2,
	RECORD_FILLER = 4, TWICE = 2 };

struct record {
	uint32_t bytes;			/* of all, a multiple of 8 */
	uint32_t sum;			/* of what follows flags */
	uint64_t transaction;		/* these two change later */
	uint32_t flags, text;		/* text: bytes of the page, behind the record */
	uint64_t sequence;
	uint32_t op, request_flags;
	uint32_t inode, generation, inode2, generation2;
	uint64_t offset, length, size, rdev;
	uint32_t valid, mode, uid, gid;
	struct fs_time now, atime, mtime;
	int64_t result;
	struct fs_attributes attributes;
};

struct area {
	uint32_t magic, version;
	volatile uint64_t running;	/* what this very moment is spent on */
	uint64_t suspect;		/* what was running when the last life ended */
	uint32_t deaths, reserved;	/* in a row, of suspect */
	volatile uint64_t head, tail;	/* bytes, never masked */
	uint64_t pad[2];
	uint8_t ring[];
};

struct redo {
	struct area *area;
	uint64_t bytes;			/* of the ring, a multiple of 8 */
	uint64_t head, tail;		/* our own; the area's are for the next life */
	uint64_t reserved;		/* for operations in progress */
	uint64_t old_sequences;		/* the highest of an earlier life's records */
	bool replaying;
};

static struct record *
record_at(const struct redo *r, uint64_t at)
{
	return (struct record *)(void *)(r->area->ring + at % r->bytes);
}

static void
publish(struct redo *r)
{
	__atomic_store_n(&r->area->head, r->head, __ATOMIC_RELEASE);
	/* release: whoever sees the new tail sees the record */
	__atomic_store_n(&r->area->tail, r->tail, __ATOMIC_RELEASE);
}

/* The length of what lies at `at`, or 0: it makes no sense. */
static uint32_t
bytes_at(const struct redo *r, uint64_t at)
{
	uint32_t bytes = *(volatile uint32_t *)&record_at(r, at)->bytes;

	if (bytes % 8 != 0 || bytes < 8 || bytes > r->bytes - at % r->bytes || bytes > r->tail - at)
		return 0;
	return bytes;
}

/* Behind it; the ring ends where it makes no sense. */
static uint64_t
next(struct redo *r, uint64_t at)
{
	uint32_t bytes = bytes_at(r, at);

	if (bytes != 0)
		return at + bytes;
	r->tail = at;
	publish(r);
	return at;
}

/* Is there a record at `at`, and not only filling? */
static bool
is_record(const struct redo *r, uint64_t at)
{
	return bytes_at(r, at) >= sizeof(struct record) &&
	    (record_at(r, at)->flags & RECORD_FILLER) == 0;
}

static uint32_t
record_sum(const struct record *record, uint32_t bytes)
{
	size_t from = offsetof(struct record, text);

	return crc32c(~0u, (const uint8_t *)record + from, bytes - from);
}

static bool
record_ok(const struct redo *r, uint64_t at)
{
	uint32_t bytes = bytes_at(r, at);
	const struct record *record = record_at(r, at);

	if (bytes == 0 || !is_record(r, at))
		return bytes != 0;
	return record->sum == record_sum(record, bytes);
}

static uint64_t
free_bytes(const struct redo *r)
{
	return r->bytes - (r->tail - r->head);
}

/* What is committed, and answered, is not needed any more. */
static void
trim(struct fs *fs, bool even_unanswered)
{
	struct redo *r = fs->redo;

	while (r->head != r->tail) {
		const struct record *record = record_at(r, r->head);

		if (is_record(r, r->head)) {
			if ((record->flags & RECORD_PENDING) != 0 ||
			    record->transaction > fs->journal.committed)
				break;
			if ((record->flags & RECORD_ANSWERED) == 0 && !even_unanswered)
				break;
		}
		r->head = next(r, r->head);
	}
	publish(r);
}

/* ---- open, close ---------------------------------------------------------------------- */

static void
area_reset(struct redo *r)
{
	uint64_t suspect = 0;
	uint32_t deaths = 0;

	if (r->area->magic == AREA_MAGIC) {
		suspect = r->area->suspect;
		deaths = r->area->deaths;
	}
	memset(r->area, 0, sizeof *r->area);
	r->area->magic = AREA_MAGIC;
	r->area->version = AREA_VERSION;
	r->area->suspect = suspect;
	r->area->deaths = deaths;
}

/* Who was at work when the last life ended? */
static void
find_suspect(struct fs *fs, struct area *area)
{
	uint64_t running = area->running;

	area->running = 0;
	if (running == 0 || fs->options.was_killed)
		return;
	area->deaths = running == area->suspect ? area->deaths + 1 : 1;
	area->suspect = running;
	if (area->deaths >= TWICE)
		say(fs, "a request killed the server %u times: it will not be tried again", area->deaths);
}

/* Cut the ring where it stops to make sense. */
static void
check_records(struct fs *fs, struct redo *r)
{
	r->head = r->area->head;
	r->tail = r->area->tail;
	if (r->tail - r->head > r->bytes || r->head % 8 != 0 || r->tail % 8 != 0) {
		say(fs, "the redo area makes no sense: it is dropped");
		r->head = r->tail = 0;
	}
	for (uint64_t at = r->head; at != r->tail; at = next(r, at))
		if (!record_ok(r, at)) {
			say(fs, "the redo area is cut at a broken record");
			r->tail = at;
			break;
		}
	publish(r);
}

static bool
area_of(const struct fs *fs, struct redo *r)
{
	if (fs->options.redo == NULL || fs->options.redo_bytes < sizeof(struct area) + 16384)
		return false;
	r->area = (struct area *)(void *)fs->options.redo;
	r->bytes = (fs->options.redo_bytes - sizeof(struct area)) & ~7ULL;
	return true;
}

/* What was in no committed transaction of the last life is to be done again, in whichever life. */
static void
mark_pending(struct redo *r, uint64_t committed)
{
	for (uint64_t at = r->head; at != r->tail; at = next(r, at))
		if (is_record(r, at) && record_at(r, at)->transaction > committed)
			record_at(r, at)->flags |= RECORD_PENDING;
}

void
redo_recovered(struct fs *fs, uint64_t committed)
{
	struct redo r = { 0 };

	if (!fs->options.recovering || !area_of(fs, &r) || r.area->magic != AREA_MAGIC ||
	    r.area->version != AREA_VERSION)
		return;
	check_records(fs, &r);
	mark_pending(&r, committed);
}

int
redo_open(struct fs *fs, bool recovering, uint64_t committed)
{
	struct redo *r;
	uint64_t at;

	if (fs->read_only)
		return 0;
	r = calloc(1, sizeof *r);
	if (r == NULL)
		return -ENOMEM;
	if (!area_of(fs, r)) {
		free(r);
		return 0;
	}
	fs->redo = r;
	fiber_tag_place = &r->area->running;
	if (r->area->magic == AREA_MAGIC)
		find_suspect(fs, r->area);
	if (!recovering || r->area->magic != AREA_MAGIC || r->area->version != AREA_VERSION) {
		area_reset(r);
		return 0;
	}
	check_records(fs, r);
	/* from here on transactions have new numbers: what is to be done again is marked */
	mark_pending(r, committed);
	for (at = r->head; at != r->tail; at = next(r, at))
		if (is_record(r, at) && record_at(r, at)->sequence > r->old_sequences)
			r->old_sequences = record_at(r, at)->sequence;
	return 0;
}

void
redo_close(struct fs *fs)
{
	if (fs->redo == NULL)
		return;
	fiber_tag_place = NULL;
	free(fs->redo);
	fs->redo = NULL;
}

/* ---- records ----------------------------------------------------------------------------- */

static bool
has_record(uint32_t op)
{
	switch (op) {
	case FS_CREATE:
	case FS_LINK:
	case FS_UNLINK:
	case FS_RMDIR:
	case FS_RENAME:
	case FS_SETATTR:
	case FS_EVICT:
	case FS_FALLOCATE:
	case FS_SETXATTR:
	case FS_REMOVEXATTR:
		return true;
	default:
		return false;
	}
}

/* Bytes of the page that an operation looks at. */
static uint32_t
text_bytes(const struct fs_job *job)
{
	const struct fs_request *q = &job->request;
	uint32_t n, strings = 0;

	switch (q->op) {
	case FS_CREATE:
		strings = (q->mode & 0xf000) == 0xa000 ? 2 : 1;
		break;
	case FS_RENAME:
		strings = 2;
		break;
	case FS_LINK:
	case FS_UNLINK:
	case FS_RMDIR:
	case FS_SETXATTR:
	case FS_REMOVEXATTR:
		strings = 1;
		break;
	default:
		break;
	}
	for (n = 0; n < FS_SLOT_BYTES && strings > 0; n++)
		if (job->page[n] == 0)
			strings--;
	if (q->op == FS_SETXATTR)
		n += (uint32_t)min64(q->length, FS_SLOT_BYTES - n);
	return n;
}

static uint32_t
record_bytes(uint32_t text)
{
	return ((uint32_t)sizeof(struct record) + text + 7) & ~7u;
}

/* Twice: a record that does not fit before the end of the ring begins anew. */
static uint64_t
room_needed(const struct fs_job *job)
{
	return 2 * (uint64_t)record_bytes(text_bytes(job));
}

/* What this life did is not asked for again in it: only an earlier one's records answer. */
static struct record *
find_record(struct redo *r, uint64_t sequence)
{
	if (sequence > r->old_sequences)
		return NULL;
	for (uint64_t at = r->head; at != r->tail; at = next(r, at))
		if (is_record(r, at) && record_at(r, at)->sequence == sequence)
			return record_at(r, at);
	return NULL;
}

static uint64_t
tag_of(const struct fs_job *job)
{
	const struct fs_request *q = &job->request;

	if (q->sequence != 0)
		return q->sequence & ~(1ULL << 63);
	return 1ULL << 63 | (uint64_t)q->op << 48 | (uint64_t)crc32c(q->inode, &q->offset, 8) << 8;
}

int
redo_begin(struct fs *fs, struct fs_job *job)
{
	struct redo *r = fs->redo;
	struct record *record;
	uint64_t need;

	job->redo = 0;
	if (r == NULL)
		return 0;
	if (r->area->deaths >= TWICE && tag_of(job) == r->area->suspect) {
		say(fs, "a request (operation %u, inode %u) is refused: it killed the server",
		    job->request.op, job->request.inode);
		return -EIO;
	}
	fiber_set_tag(tag_of(job));
	if (!has_record(job->request.op) || job->request.sequence == 0)
		return 0;
	record = find_record(r, job->request.sequence);
	if (record != NULL && record->op == job->request.op && record->inode == job->request.inode) {
		job->answer.result = record->result;
		job->answer.transaction = record->transaction;
		job->answer.attributes = record->attributes;
		job->redo = (uint64_t)((uint8_t *)record - r->area->ring) + 1;
		return 1;
	}
	need = room_needed(job);
	for (trim(fs, false); free_bytes(r) < r->reserved + need; trim(fs, false)) {
		if (fs->aborting || fs->read_only || fs->journal.running == NULL)
			return 0;
		if (journal_commit(fs, fs->journal.running->id) != 0)
			return 0;
		trim(fs, true);
		if (free_bytes(r) < r->reserved + need && r->reserved != 0)
			fiber_yield();		/* those in progress are about to end */
	}
	r->reserved += need;
	job->redo_room = need;
	return 0;
}

static void
append(struct redo *r, struct fs_job *job)
{
	const struct fs_request *q = &job->request;
	uint32_t text = text_bytes(job), bytes = record_bytes(text);
	uint64_t left = r->bytes - r->tail % r->bytes;
	struct record *record;

	if (left < bytes) {
		if (free_bytes(r) < left + bytes)
			return;
		record = record_at(r, r->tail);
		record->bytes = (uint32_t)left;
		if (left >= sizeof *record)
			record->flags = RECORD_FILLER;
		r->tail += left;
		publish(r);
	}
	if (free_bytes(r) < bytes)
		return;
	record = record_at(r, r->tail);
	memset(record, 0, bytes);
	*record = (struct record){
		.bytes = bytes, .transaction = job->answer.transaction, .text = text,
		.sequence = q->sequence, .op = q->op, .request_flags = q->flags,
		.inode = q->inode, .generation = q->generation, .inode2 = q->inode2,
		.generation2 = q->generation2, .offset = q->offset, .length = q->length, .size = q->size,
		.rdev = q->rdev, .valid = q->valid, .mode = q->mode, .uid = q->uid, .gid = q->gid,
		.now = q->now, .atime = q->atime, .mtime = q->mtime, .result = job->answer.result,
		.attributes = job->answer.attributes,
	};
	memcpy(record + 1, job->page, text);
	record->sum = record_sum(record, bytes);
	job->redo = r->tail % r->bytes + 1;
	r->tail += bytes;
	publish(r);
}

void
redo_end(struct fs *fs, struct fs_job *job)
{
	struct redo *r = fs->redo;

	if (r == NULL)
		return;
	if (job->redo_room != 0 && job->answer.result >= 0 && job->answer.transaction != 0)
		append(r, job);
	r->reserved -= job->redo_room;
	job->redo_room = 0;
	fiber_set_tag(0);
}

void
redo_answered(struct fs *fs, const struct fs_job *job)
{
	struct redo *r = fs->redo;
	struct record *record;

	if (r == NULL || job->redo == 0)
		return;
	record = record_at(r, job->redo - 1);
	if (record->sequence == job->request.sequence)
		record->flags |= RECORD_ANSWERED;
}

/* ---- again -------------------------------------------------------------------------------------- */

static void
request_of(const struct record *record, uint32_t bytes, struct fs_job *job)
{
	struct fs_request *q = &job->request;
	uint32_t text = record->text;

	text = text > FS_SLOT_BYTES ? FS_SLOT_BYTES : text;
	text = text > bytes - sizeof *record ? bytes - (uint32_t)sizeof *record : text;

	*q = (struct fs_request){
		.op = record->op, .flags = record->request_flags, .sequence = record->sequence,
		.inode = record->inode, .generation = record->generation, .inode2 = record->inode2,
		.generation2 = record->generation2, .offset = record->offset, .length = record->length,
		.size = record->size, .rdev = record->rdev, .valid = record->valid, .mode = record->mode,
		.uid = record->uid, .gid = record->gid, .now = record->now, .atime = record->atime,
		.mtime = record->mtime,
	};
	memset(job->page, 0, FS_SLOT_BYTES);
	memcpy(job->page, record + 1, text);
	q->op = has_record(q->op) ? q->op : FS_GETATTR;
}

static void
replay_one(struct fs *fs, struct record *record, uint32_t bytes, struct fs_job *job)
{
	struct redo *r = fs->redo;
	int64_t result;

	if (r->area->deaths >= TWICE && r->area->suspect == (record->sequence & ~(1ULL << 63))) {
		say(fs, "operation %u of inode %u is not done again: it killed the server", record->op,
		    record->inode);
		record->flags &= ~(uint32_t)RECORD_PENDING;
		record->result = -EIO;
		record->sum = record_sum(record, bytes);
		return;
	}
	memset(&job->answer, 0, sizeof job->answer);
	request_of(record, bytes, job);
	if (job->request.op == FS_CREATE) {
		fs->force_inode = record->attributes.inode;
		fs->force_generation = record->attributes.generation;
	}
	fiber_set_tag(record->sequence & ~(1ULL << 63));
	result = op_again(fs, job);
	fiber_set_tag(0);
	fs->force_inode = 0;
	/* nobody slept since the operation ended, so no commit has it without this */
	record->transaction = job->answer.transaction;
	record->flags &= ~(uint32_t)RECORD_PENDING;
	if (result != record->result)
		say(fs, "operation %u of inode %u was %lld and is %lld when done again", record->op,
		    record->inode, (long long)record->result, (long long)result);
}

bool
redo_replaying(const struct fs *fs)
{
	return fs->redo != NULL && fs->redo->replaying;
}

int
redo_replay(struct fs *fs)
{
	struct redo *r = fs->redo;
	struct fs_job *job;
	uint32_t n = 0;

	if (r == NULL || fs->read_only)
		return 0;
	job = calloc(1, sizeof *job + FS_SLOT_BYTES);
	if (job == NULL)
		return -ENOMEM;
	job->page = (uint8_t *)(job + 1);
	r->replaying = true;
	for (uint64_t at = r->head; at != r->tail; at = next(r, at)) {
		if (!is_record(r, at) || (record_at(r, at)->flags & RECORD_PENDING) == 0)
			continue;
		replay_one(fs, record_at(r, at), bytes_at(r, at), job);
		n++;
	}
	r->replaying = false;
	free(job);
	if (n != 0)
		say(fs, "%u operations were done again", n);
	return 0;
}

void
redo_hold(struct fs *fs, uint64_t sequence)
{
	struct redo *r = fs->redo;
	struct inode *inode;

	if (r == NULL || sequence == 0)
		return;
	for (uint64_t at = r->head; at != r->tail; at = next(r, at)) {
		const struct record *record = record_at(r, at);

		if (!is_record(r, at) || record->sequence < sequence || record->op == FS_EVICT)
			continue;
		for (inode = fs->orphan_first; inode != NULL; inode = inode->orphan_next)
			if (inode->number == record->attributes.inode && inode->raw->links == 0)
				inode->holds = 1;
	}
}
