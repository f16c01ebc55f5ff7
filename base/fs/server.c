/* SPDX-License-Identifier: MIT */
/*
 * Slots in, answers out, and what happens when one end of the channel is born
 * anew.  What the client writes is copied before it is looked at.
 */
#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "server.h"

static uint32_t
load(const volatile uint32_t *at)
{
	return __atomic_load_n(at, __ATOMIC_ACQUIRE);
}

static void
store(volatile uint32_t *at, uint32_t value)
{
	__atomic_store_n(at, value, __ATOMIC_RELEASE);
}

static void
server_say(void *context, const char *line)
{
	struct server *s = context;

	if (s->say != NULL)
		s->say(s->context, line);
}

static uint64_t
server_clock(void *context)
{
	struct server *s = context;

	return s->options.clock_ns(s->context);
}

/*
 * The client learns it from the channel; it need not wake up for it.  Until it has
 * said what an earlier life lost, it goes by what that life had committed: our own
 * transactions bear numbers that the other one has used.
 */
static void
server_committed(void *context, uint64_t transaction)
{
	struct server *s = context;

	if (s->recovers)
		return;
	__atomic_store_n(&s->channel->committed, transaction, __ATOMIC_RELEASE);
}

bool
server_begin(struct server *s, void *frame, size_t bytes, const struct fs_options *options)
{
	struct fs_channel *ch = frame;

	memset(s, 0, sizeof *s);
	if (bytes < sizeof *ch || ch->magic != FS_MAGIC || ch->version != FS_VERSION)
		return false;
	s->channel = ch;
	s->options = *options;
	s->say = options->say;
	s->context = options->context;
	s->jobs = calloc(SERVER_JOBS, sizeof *s->jobs);
	s->pages = aligned_alloc(4096, (SERVER_JOBS + 1) * (size_t)FS_SLOT_BYTES);
	if (s->jobs == NULL || s->pages == NULL)
		return false;
	memset(s->pages, 0, (SERVER_JOBS + 1) * (size_t)FS_SLOT_BYTES);
	for (unsigned i = 0; i < SERVER_JOBS; i++) {
		s->jobs[i].server = s;
		s->jobs[i].page = s->pages + i * (size_t)FS_SLOT_BYTES;
		s->jobs[i].free_next = s->free_job;
		s->free_job = &s->jobs[i];
	}
	s->own_page = s->pages + SERVER_JOBS * (size_t)FS_SLOT_BYTES;
	/* what was sent to an earlier life is sent again after the new epoch */
	store(&ch->requests.head, load(&ch->requests.tail));
	s->begun_ns = options->clock_ns(options->context);
	s->recovers = (ch->state == FS_MOUNTED || ch->state == FS_RECOVERING) &&
	    load(&ch->client_epoch) == load(&ch->client_epoch_seen);
	return true;
}

void
server_disk(struct server *s, struct disk *disk)
{
	struct fs_options o = s->options;

	if (s->fs != NULL)
		return;
	s->wants_disk = false;
	s->disk_fresh = true;
	s->disk = disk;
	s->disk_ns = server_clock(s);
	o.say = server_say;
	o.clock_ns = server_clock;
	o.committed = server_committed;
	o.context = s;
	o.redo = s->channel->redo;
	o.redo_bytes = FS_REDO_BYTES;
	o.recovering = s->recovers;
	o.fibers = SERVER_JOBS + 1;
	s->fs = fs_new(disk, &o);
}

/* ---- requests of our own ------------------------------------------------------------------ */

static void
own_done(struct fs_job *job)
{
	struct server *s = job->context;

	s->own_running = false;
	s->own_done = true;
}

static void
own_start(struct server *s, uint32_t op, uint32_t flags, uint64_t length)
{
	memset(&s->own, 0, sizeof s->own);
	s->own.request.op = op;
	s->own.request.flags = flags;
	s->own.request.length = length;
	s->own.page = s->own_page;
	s->own.page[0] = '\0';
	s->own.done = own_done;
	s->own.context = s;
	s->own_running = true;
	s->own_done = false;
	fs_submit(s->fs, &s->own);
}

static void
publish(struct server *s)
{
	struct fs_channel *ch = s->channel;

	if (!fs_mounted(s->fs))
		return;
	ch->block_size = fs_block_bytes(s->fs);
	ch->read_only = fs_read_only(s->fs);
	server_committed(s, fs_committed(s->fs));
}

static void
set_state(struct server *s, enum fs_state state)
{
	store(&s->channel->state, state);
	s->bell = true;
}

/* ---- this life begins ----------------------------------------------------------------------- */

static void
be_born(struct server *s, enum fs_state state)
{
	struct fs_channel *ch = s->channel;

	/* What was sent while we were on our way is for the old epoch, so are requests that a
	 * client is just queueing: take_requests knows them by their entries. */
	s->born = true;
	s->born_ns = server_clock(s);
	s->epoch = ch->server_epoch + 1;
	store(&ch->server_epoch, s->epoch);
	set_state(s, state);
}

/* Take over the mount of an earlier life, if there was one; then say that we are there. */
static void
step_birth(struct server *s)
{
	if (!s->recovers) {
		be_born(s, FS_NOTHING);
		return;
	}
	if (s->own_running)
		return;
	if (!s->own_done) {
		const struct fs_channel *ch = s->channel;

		own_start(s, FS_MOUNT, (ch->mount_flags & FS_MOUNT_DISCARD) |
		    (ch->read_only != 0 ? FS_MOUNT_READONLY : 0), ch->commit_seconds);
		return;
	}
	s->own_done = false;
	publish(s);
	be_born(s, s->own.answer.result == 0 ? FS_RECOVERING : FS_FAILED);
}

/* ---- the client is another one ---------------------------------------------------------------- */

static bool
client_is_new(const struct server *s)
{
	return load(&s->channel->client_epoch) != load(&s->channel->client_epoch_seen);
}

/* What the old client had mounted may not be what the new one means. */
static void
forget_disk(struct server *s)
{
	if (!fs_idle(s->fs))
		return;		/* the disk answers, and we come here again */
	fs_free(s->fs);
	s->fs = NULL;
	s->disk = NULL;
	s->wants_disk = true;
}

/* Drop what the old one wanted, end its mount, and then let the new one in. */
static void
step_new_client(struct server *s)
{
	struct fs_channel *ch = s->channel;

	store(&ch->requests.head, load(&ch->requests.tail));
	if (s->active != 0 || s->own_running)
		return;
	if (fs_mounted(s->fs) && !s->own_done) {
		own_start(s, FS_UNMOUNT, FS_UNMOUNT_FORCE, 0);
		return;
	}
	s->own_done = false;
	s->recovers = false;
	if (!s->disk_fresh && !fs_mounted(s->fs)) {
		forget_disk(s);
		return;
	}
	s->disk_fresh = false;
	store(&ch->answers.tail, load(&ch->answers.head));
	ch->read_only = 0;
	if (!fs_mounted(s->fs))
		set_state(s, FS_NOTHING);
	store(&ch->client_epoch_seen, load(&ch->client_epoch));
	s->bell = true;
}

/* What another client sent is over: nothing is taken of it any more, and nothing in progress. */
static void
step_quiet(struct server *s)
{
	struct fs_channel *ch = s->channel;
	uint32_t epoch = load(&ch->client_epoch);

	if (s->active != 0 || !client_is_new(s) || load(&ch->client_epoch_quiet) == epoch)
		return;
	/* release: what the device did to the client's memory comes before it is somebody else's */
	store(&ch->client_epoch_quiet, epoch);
}

/* ---- slots --------------------------------------------------------------------------------------- */

static void
answer(struct server *s, struct server_job *j)
{
	struct fs_channel *ch = s->channel;
	uint32_t tail = ch->answers.tail;

	s->busy[j->slot] = false;
	s->active--;
	if (!client_is_new(s)) {
		if (j->job.page_bytes != 0)
			memcpy(ch->page[j->slot], j->page, j->job.page_bytes);
		ch->slot[j->slot].answer = j->job.answer;
		ch->answers.slot[tail % FS_SLOTS] = j->slot;
		store(&ch->answers.tail, tail + 1);
		/* orders the store of tail before the load of reader_waits; pairs with the
		 * client's fence between setting it and looking at tail */
		__atomic_thread_fence(__ATOMIC_SEQ_CST);
		if (ch->answers.reader_waits != 0) {
			ch->answers.reader_waits = 0;
			s->bell = true;
		}
	}
	j->free_next = s->free_job;
	s->free_job = j;
}

/* What the pause consisted of, as far as this life knows. */
static void
say_recovered(struct server *s)
{
	uint64_t now = server_clock(s);
	char line[160];

	snprintf(line, sizeof line, "took over in %llu us: %llu for the disk, %llu to mount, %llu until the client had told all",
	    (unsigned long long)(now - s->begun_ns) / 1000, (unsigned long long)(s->disk_ns - s->begun_ns) / 1000,
	    (unsigned long long)(s->born_ns - s->disk_ns) / 1000, (unsigned long long)(now - s->born_ns) / 1000);
	server_say(s, line);
}

/* Our next life mounts as we did. */
static void
keep_options(struct server *s, const struct fs_request *request)
{
	s->channel->mount_flags = request->flags;
	s->channel->commit_seconds = (uint32_t)(request->length < FS_COMMIT_MAX ? request->length : FS_COMMIT_MAX);
}

static void
job_done(struct fs_job *job)
{
	struct server_job *j = (struct server_job *)job;
	struct server *s = j->server;
	int64_t result = job->answer.result;

	switch (job->request.op) {
	case FS_MOUNT:
		if (result == 0)
			keep_options(s, &job->request);
		publish(s);
		set_state(s, result == 0 ? FS_MOUNTED : fs_mounted(s->fs) ? FS_MOUNTED : FS_FAILED);
		break;
	case FS_UNMOUNT:
		if (!fs_mounted(s->fs))
			set_state(s, FS_NOTHING);
		break;
	case FS_RECOVERED:
		say_recovered(s);
		s->recovers = false;
		publish(s);
		if (fs_mounted(s->fs))
			set_state(s, FS_MOUNTED);
		break;
	case FS_REMOUNT:
		if (result == 0)
			keep_options(s, &job->request);
		publish(s);
		break;
	default:
		if (fs_mounted(s->fs) && fs_read_only(s->fs) && s->channel->read_only == 0)
			publish(s);	/* an error made it so */
		break;
	}
	answer(s, j);
	fs_answered(s->fs, job);
}

/* How much of the slot's page the operation looks at. */
static size_t
page_bytes(const struct fs_request *r)
{
	switch (r->op) {
	case FS_LOOKUP:
	case FS_LINK:
	case FS_UNLINK:
	case FS_RMDIR:
		return FS_NAME + 2;
	case FS_CREATE:
		return (r->mode & 0xf000) == 0xa000 ? FS_SLOT_BYTES : FS_NAME + 2;
	case FS_RENAME:
		return 2 * (FS_NAME + 2);
	case FS_GETXATTR:
	case FS_REMOVEXATTR:
		return FS_NAME + 32;
	case FS_SETXATTR:
		return FS_SLOT_BYTES;
	default:
		return 0;
	}
}

/* Copied once, and only what the operation looks at; a number of segments that makes no
 * sense stays, and is refused. */
static void
copy_request(struct fs_job *job, const struct fs_request *from)
{
	const size_t head = offsetof(struct fs_request, segment);

	memcpy(&job->request, from, head);
	if (job->request.segments <= FS_SEGMENTS)
		memcpy(job->request.segment, from->segment, job->request.segments * sizeof from->segment[0]);
}

static void
begin_job(struct server *s, uint32_t slot)
{
	struct fs_channel *ch = s->channel;
	struct server_job *j = s->free_job;
	size_t bytes;

	s->free_job = j->free_next;
	s->busy[slot] = true;
	s->active++;
	memset(&j->job.answer, 0, sizeof j->job - offsetof(struct fs_job, answer));
	copy_request(&j->job, &ch->slot[slot].request);
	j->slot = slot;
	j->job.page = j->page;
	j->job.done = job_done;
	bytes = page_bytes(&j->job.request);
	memcpy(j->page, ch->page[slot], bytes);
	if (bytes < FS_SLOT_BYTES)
		j->page[bytes] = '\0';
	if (j->job.request.op == FS_UNMOUNT)
		j->job.request.flags = 0;	/* force is ours alone */
	fs_submit(s->fs, &j->job);
}

static bool
take_requests(struct server *s)
{
	struct fs_ring *r = &s->channel->requests;
	uint32_t tail = load(&r->tail), head = r->head;
	bool took = false;

	if (tail - head > FS_SLOTS) {
		if (s->broken++ == 0)
			server_say(s, "the client's index makes no sense; its requests are dropped");
		store(&r->head, tail);
		return true;
	}
	while (head != tail && s->free_job != NULL) {
		uint32_t entry = *(volatile uint32_t *)&r->slot[head % FS_SLOTS], slot = FS_ENTRY_SLOT(entry);

		head++;
		took = true;
		if (!FS_ENTRY_IS_FOR(entry, s->epoch))
			continue;	/* it comes again */
		if (slot < FS_SLOTS && !s->busy[slot])
			begin_job(s, slot);
		else if (s->broken++ == 0)
			server_say(s, "the client sent a slot that is in use, or is none");
	}
	store(&r->head, head);
	return took;
}

/* ---- the loop -------------------------------------------------------------------------------------- */

int64_t
server_step(struct server *s)
{
	int64_t next = FS_NEVER;
	bool more;

	step_quiet(s);
	if (s->fs == NULL)
		return FS_NEVER;
	do {
		more = false;
		if (s->born && client_is_new(s))
			step_new_client(s);
		else if (!s->born)
			step_birth(s);
		else
			more = take_requests(s);
		if (s->fs == NULL)
			return FS_NEVER;
		next = fs_run(s->fs);
		if (s->own_done)
			more = true;
	} while (more);
	step_quiet(s);
	return next;
}

bool
server_rest(struct server *s)
{
	struct fs_ring *r = &s->channel->requests;

	if (s->fs == NULL)
		return true;
	store(&r->reader_waits, 1);
	/* orders the store before the look; pairs with the client's fence after its tail */
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	if (!s->born)
		return true;
	if (client_is_new(s))
		return s->active != 0 || s->own_running;
	if (load(&r->tail) != r->head && s->free_job != NULL) {
		store(&r->reader_waits, 0);
		return false;
	}
	return true;
}

void
server_end(struct server *s)
{
	fs_free(s->fs);
	free(s->jobs);
	free(s->pages);
	memset(s, 0, sizeof *s);
}
