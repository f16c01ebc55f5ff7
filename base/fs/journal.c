/* SPDX-License-Identifier: MIT */
/*
 * jbd2: changes to metadata go to the log first, as transactions, and home
 * later.
 *
 * One transaction is running and takes changes; before it one may be committing
 * (its blocks are being written to the log); before that are those that are
 * committed and whose blocks are not all home yet (the checkpoint queue).  A
 * handle is one operation's part of the running transaction; a commit waits
 * until no handle is open, so that every transaction is consistent.
 *
 * Which content goes where.  A buffer of the committing transaction may be
 * changed again by the running one: the log gets its copy of before (frozen).
 * Home goes only what is committed: a buffer that the running or the committing
 * transaction has is not written home; one that is on its way home is not
 * changed until it has arrived (journal_access).
 *
 * Data in ordered mode costs no wait here: data.c enters new blocks into an
 * inode only after the data has reached the disk, and the flush before the
 * commit record makes both stable in this order.
 *
 * Two fibers serve all: the committer and the checkpointer.
 */
#include <stdio.h>
#include "core.h"

enum { CHECKPOINT_BATCH = 256, SPARE_ROOM = 1024,
	SHORT_BYTES = 128 /* of a descriptor of few blocks, or a commit record */ };

/* ---- where the log is ------------------------------------------------------- */

/* The block of the disk behind a block of the log; 0: there is none. */
uint64_t
journal_place(const struct journal *j, uint32_t log_block)
{
	for (uint32_t i = 0; i < j->pieces; i++)
		if (log_block - j->piece[i].first < j->piece[i].count)
			return j->piece[i].block + (log_block - j->piece[i].first);
	return 0;
}

static uint32_t
ring_size(const struct journal *j)
{
	return j->end - j->first;
}

static uint32_t
ring_advance(const struct journal *j, uint32_t at, uint32_t count)
{
	return j->first + (at - j->first + count) % ring_size(j);
}

/* One block stays free, so that head == tail is an empty log. */
static uint32_t
log_free(const struct journal *j)
{
	uint32_t used = (j->head - j->tail + ring_size(j)) % ring_size(j);

	return ring_size(j) - used - 1;
}

static uint32_t
tag_bytes(const struct journal *j)
{
	if (j->v3)
		return sizeof(struct jbd2_tag3);
	return 8 + (j->v2 ? 2 : 0) + (j->wide ? 4 : 0);
}

/* A descriptor and what it names are staged together, so no more than fit. */
static uint32_t
tags_per_block(const struct fs *fs)
{
	const struct journal *j = &fs->journal;
	uint32_t tail = j->v2 || j->v3 ? 4 : 0;
	uint32_t n = (fs->block_bytes - (uint32_t)sizeof(struct jbd2_header) - tail - 16) / tag_bytes(j);

	return n < STAGE_BLOCKS - 1 ? n : STAGE_BLOCKS - 1;
}

static uint32_t
revokes_per_block(const struct fs *fs)
{
	const struct journal *j = &fs->journal;
	uint32_t tail = j->v2 || j->v3 ? 4 : 0;

	return (fs->block_bytes - (uint32_t)sizeof(struct jbd2_revoke) - tail) / (j->wide ? 8 : 4);
}

static uint32_t
ceiling(uint32_t n, uint32_t unit)
{
	return (n + unit - 1) / unit;
}

/* Log blocks that so many changed and revoked blocks need. */
static uint32_t
log_need(const struct fs *fs, uint32_t blocks, uint32_t revokes)
{
	return blocks + ceiling(blocks, tags_per_block(fs)) + ceiling(revokes, revokes_per_block(fs)) + 1;
}

/* ---- transactions -------------------------------------------------------------- */

static struct transaction *
transaction_new(struct fs *fs, uint64_t id)
{
	struct journal *j = &fs->journal;
	struct transaction *t = piece_get(fs, sizeof *t);

	if (t == NULL)
		return NULL;
	memset(t, 0, sizeof *t);
	t->buffer = j->spare;
	t->buffer_room = j->spare_room;
	j->spare = NULL;
	j->spare_room = 0;
	t->id = id;
	t->state = T_RUNNING;
	t->started_ns = fs_now(fs);
	return t;
}

/* The next transaction takes the array, unless a large one left it. */
static void
buffers_free(struct fs *fs, struct transaction *t)
{
	struct journal *j = &fs->journal;

	if (j->spare == NULL && t->buffer_room <= SPARE_ROOM) {
		j->spare = t->buffer;
		j->spare_room = t->buffer_room;
	} else {
		free(t->buffer);
	}
	t->buffer = NULL;
	t->buffers = t->buffer_room = 0;
}

static void
transaction_free(struct fs *fs, struct transaction *t)
{
	if (t == NULL)
		return;
	buffers_free(fs, t);
	free(t->forget);
	free(t->revoke);
	free(t->freed);
	piece_put(fs, t, sizeof *t);
}

static bool
transaction_empty(const struct transaction *t)
{
	return t->live == 0 && t->revokes == 0 && t->freeds == 0;
}

/* Make room for one more; false: no memory. */
static bool
grow(void **array, uint32_t *room, uint32_t used, size_t item)
{
	uint32_t more = *room == 0 ? 64 : *room * 2;
	void *bigger;

	if (used < *room)
		return true;
	bigger = realloc(*array, more * item);
	if (bigger == NULL)
		return false;
	*array = bigger;
	*room = more;
	return true;
}

/* ---- handles --------------------------------------------------------------------- */

static bool
transaction_has_room(struct fs *fs, uint32_t credits)
{
	struct journal *j = &fs->journal;
	struct transaction *t = j->running;

	return t->live + t->reserved + credits <= j->max_transaction;
}

/* The running transaction's own need is part of what must stay free; some
 * blocks more are for revokes that handles still make. */
static bool
log_has_room(struct fs *fs, uint32_t credits)
{
	struct journal *j = &fs->journal;
	struct transaction *t = j->running;

	return log_free(j) >= log_need(fs, t->live + t->reserved + credits, t->revokes) + 4;
}

void
journal_kick(struct fs *fs, uint64_t id)
{
	struct journal *j = &fs->journal;

	if (j->running == NULL)
		return;
	if (id > j->running->id)
		id = j->running->id;
	if (id > j->wanted)
		j->wanted = id;
	fiber_wake_all(&j->committer);
}

int
journal_start(struct fs *fs, uint32_t credits, struct handle *h)
{
	struct journal *j = &fs->journal;

	for (;;) {
		if (fs->read_only || fs->aborting || j->running == NULL)
			return -EROFS;
		if (credits > j->max_transaction)
			credits = j->max_transaction;
		if (j->running->state == T_RUNNING) {
			if (!transaction_has_room(fs, credits)) {
				journal_kick(fs, j->running->id);
			} else if (!log_has_room(fs, credits) ||
			    fs->dirty_buffers > fs->buffers_max / 2) {
				/* the log, or memory, is full of what is not home yet */
				j->checkpointing = true;
				fiber_wake_all(&j->checkpointer);
			} else {
				break;
			}
		}
		fiber_wait(&j->start_waiters);
	}
	h->fs = fs;
	h->transaction = j->running;
	h->credits = credits;
	h->used = 0;
	j->running->handles++;
	j->running->reserved += credits;
	return 0;
}

void
journal_stop(struct handle *h)
{
	struct transaction *t = h->transaction;
	struct journal *j = &h->fs->journal;

	if (t == NULL)
		return;
	if (h->used < h->credits)
		t->reserved -= h->credits - h->used;
	h->transaction = NULL;
	if (--t->handles == 0)
		fiber_wake_all(&j->handle_waiters);
	if (t->live > j->max_transaction / 2)
		journal_kick(h->fs, t->id);
	if (j->start_waiters.first != NULL)
		fiber_wake_all(&j->start_waiters);
}

bool
journal_extend(struct handle *h, uint32_t credits)
{
	struct transaction *t = h->transaction;
	uint32_t left = h->credits > h->used ? h->credits - h->used : 0;

	if (left >= credits)
		return true;
	credits -= left;
	if (t->state != T_RUNNING || !transaction_has_room(h->fs, credits) ||
	    !log_has_room(h->fs, credits))
		return false;
	if (h->credits < h->used)
		h->credits = h->used;
	h->credits += credits;
	t->reserved += credits;
	return true;
}

int
journal_restart(struct handle *h, uint32_t credits)
{
	struct fs *fs = h->fs;

	if (journal_extend(h, credits))
		return 0;
	journal_stop(h);
	return journal_start(fs, credits, h);
}

/* ---- changing buffers --------------------------------------------------------------- */

/* The log's copy of a buffer that is about to change. */
static int
freeze(struct fs *fs, struct buffer *b)
{
	uint8_t *copy;

	while (b->committing != NULL && !b->logged && b->frozen == NULL) {
		copy = memory_get(fs);
		if (copy == NULL) {
			/* no memory: wait until the log has it */
			fiber_wait(&fs->journal.commit_waiters);
			continue;
		}
		memcpy(copy, b->data, fs->block_bytes);
		b->frozen = copy;
	}
	return 0;
}

int
journal_access(struct handle *h, struct buffer *b)
{
	struct fs *fs = h->fs;
	struct transaction *t = h->transaction;

	if (t == NULL || fs->aborting)
		return -EROFS;
	while (b->writing || b->reading)
		fiber_wait(&b->waiters);
	if (b->running == t) {
		if (b->forget) {
			/* freed and used again in one transaction: balloc does not do that */
			return fs_error(fs, -ECORRUPT, "block %llu is changed after it was freed",
			    (unsigned long long)b->block);
		}
		return 0;
	}
	while (b->running != NULL && b->running != t && !fs->aborting)
		fiber_wait(&fs->journal.commit_waiters);	/* freed, and the commit is on its way */
	freeze(fs, b);
	if (fs->aborting)
		return -EROFS;
	if (b->running == t)
		return 0;
	if (!grow((void **)&t->buffer, &t->buffer_room, t->buffers, sizeof *t->buffer))
		return -ENOMEM;
	b->running = t;
	b->running_index = t->buffers;
	b->forget = false;
	b->refs++;
	t->buffer[t->buffers++] = b;
	if (t->live++ == 0)
		t->started_ns = fs_now(fs);
	if (h->used++ < h->credits)
		t->reserved--;
	return 0;
}

int
journal_new(struct handle *h, uint64_t block, struct buffer **buffer)
{
	struct buffer *b;
	int error = buffer_get(h->fs, block, &b);

	if (error != 0)
		return error;
	buffer_wait_io(b);
	error = journal_access(h, b);
	if (error != 0) {
		buffer_put(h->fs, b);
		return error;
	}
	memset(b->data, 0, h->fs->block_bytes);
	b->valid = b->verified = true;
	b->sum = SUM_NONE;
	*buffer = b;
	return 0;
}

int
journal_forget(struct handle *h, uint64_t block)
{
	struct transaction *t = h->transaction;
	struct buffer *b = buffer_peek(h->fs, block);
	int error;

	if (b != NULL) {
		b->refs++;
		error = journal_access(h, b);
		if (error == 0)
			b->forget = true;
		buffer_put(h->fs, b);
		if (error != 0)
			return error;
	}
	if (!grow((void **)&t->revoke, &t->revoke_room, t->revokes, sizeof *t->revoke))
		return -ENOMEM;
	t->revoke[t->revokes++] = block;
	return 0;
}

/* ---- the log's blocks ------------------------------------------------------------------ */

/* Log blocks on their way to the disk, from memory that is used again. */
struct log_writer {
	struct fs *fs;
	struct transaction *t;
	struct batch batch;
	uint32_t at;			/* log block of stage[0] */
	uint32_t filled;
};

static uint8_t *
stage_block(struct fs *fs, uint32_t index)
{
	return fs->journal.stage + (size_t)index * fs->block_bytes;
}

/* Write what is staged, in as few pieces as the log's place allows. */
static void
writer_submit(struct log_writer *w)
{
	struct fs *fs = w->fs;
	struct journal *j = &fs->journal;
	uint32_t limit = fs->disk->max_bytes == 0 ? STAGE_BLOCKS : fs->disk->max_bytes >> fs->block_bits;
	uint32_t from = 0, run;

	if (limit == 0)
		limit = 1;
	while (from < w->filled) {
		uint64_t place = journal_place(j, ring_advance(j, w->at, from));
		struct disk_segment segment;

		for (run = 1; from + run < w->filled && run < limit; run++)
			if (journal_place(j, ring_advance(j, w->at, from + run)) != place + run)
				break;
		segment = (struct disk_segment){ (uintptr_t)stage_block(fs, from),
			run * fs->block_bytes, DISK_OWN };
		batch_submit(fs, &w->batch, DISK_WRITE, 0, place << fs->block_bits, &segment, 1);
		from += run;
	}
}

/* Memory for the next log block. */
static uint8_t *
writer_next(struct log_writer *w)
{
	if (w->filled == STAGE_BLOCKS) {
		writer_submit(w);
		batch_wait(&w->batch);
		w->at = ring_advance(&w->fs->journal, w->at, w->filled);
		w->filled = 0;
	}
	return stage_block(w->fs, w->filled++);
}

static void
header_set(void *block, uint32_t type, uint64_t id)
{
	struct jbd2_header *header = block;

	header->magic = be32(JOURNAL_MAGIC);
	header->blocktype = be32(type);
	header->sequence = be32((uint32_t)id);
}

/* The sum of a block of the log's own that is zeroes behind `used` bytes. */
static uint32_t
own_sum(const struct fs *fs, const uint8_t *block, size_t used)
{
	return be32(crc32c_padded(fs->journal.seed, block, used <= SHORT_BYTES ? SHORT_BYTES : fs->block_bytes,
	    fs->block_bytes));
}

/* The checksum in the last word of descriptor and revoke blocks, of which `used` bytes are filled. */
static void
tail_set(struct fs *fs, uint8_t *block, size_t used)
{
	struct journal *j = &fs->journal;
	uint32_t *tail = (uint32_t *)(void *)(block + fs->block_bytes - 4);

	if (!j->v2 && !j->v3)
		return;
	*tail = 0;
	*tail = own_sum(fs, block, used);
}

static void
tag_set(struct fs *fs, uint8_t *to, uint64_t block, uint32_t flags, uint32_t sum)
{
	struct journal *j = &fs->journal;
	struct jbd2_tag3 tag3 = { be32((uint32_t)block), be32(flags),
		be32(j->wide ? (uint32_t)(block >> 32) : 0), be32(sum) };
	struct jbd2_tag tag = { be32((uint32_t)block), be16((uint16_t)sum), be16((uint16_t)flags),
		be32((uint32_t)(block >> 32)) };

	if (j->v3)
		memcpy(to, &tag3, sizeof tag3);
	else
		memcpy(to, &tag, j->wide ? 12 : 8);
}

/* Copy a block for the log; a first word that looks like the log's own is
 * hidden.  Returns the tag's flags. */
static uint32_t
log_copy(struct fs *fs, uint8_t *to, const uint8_t *from)
{
	uint32_t magic = be32(JOURNAL_MAGIC);

	memcpy(to, from, fs->block_bytes);
	if (memcmp(to, &magic, 4) != 0)
		return 0;
	memset(to, 0, 4);
	return TAG_ESCAPE;
}

static void
buffer_logged(struct fs *fs, struct buffer *b)
{
	b->logged = true;
	if (b->frozen != NULL) {
		memory_put(fs, b->frozen);
		b->frozen = NULL;
	}
}

/* One descriptor and the blocks that it names. */
static void
log_group(struct log_writer *w, struct buffer **buffer, uint32_t count)
{
	struct fs *fs = w->fs;
	struct journal *j = &fs->journal;
	uint32_t sequence = be32((uint32_t)w->t->id), sum = 0, flags;
	uint8_t *descriptor, *tag, *to;

	if (w->filled + count + 1 > STAGE_BLOCKS && w->filled != 0) {
		/* the descriptor's memory must stay until its tags are known */
		writer_submit(w);
		batch_wait(&w->batch);
		w->at = ring_advance(j, w->at, w->filled);
		w->filled = 0;
	}
	descriptor = writer_next(w);
	memset(descriptor, 0, fs->block_bytes);
	header_set(descriptor, JOURNAL_DESCRIPTOR, w->t->id);
	tag = descriptor + sizeof(struct jbd2_header);
	for (uint32_t i = 0; i < count; i++) {
		struct buffer *b = buffer[i];

		to = writer_next(w);
		flags = log_copy(fs, to, b->frozen != NULL ? b->frozen : b->data);
		if (j->v2 || j->v3)
			sum = crc32c(crc32c(j->seed, &sequence, 4), to, fs->block_bytes);
		flags |= i == 0 ? 0 : TAG_SAME_UUID;
		flags |= i + 1 == count ? TAG_LAST : 0;
		tag_set(fs, tag, b->block, flags, sum);
		tag += tag_bytes(j);
		if (i == 0) {
			memcpy(tag, j->super.uuid, 16);
			tag += 16;
		}
		buffer_logged(fs, b);
	}
	tail_set(fs, descriptor, (size_t)(tag - descriptor));
}

static void
log_revokes(struct log_writer *w)
{
	struct fs *fs = w->fs;
	struct transaction *t = w->t;
	uint32_t per = revokes_per_block(fs), wide = fs->journal.wide, n;

	for (uint32_t from = 0; from < t->revokes; from += n) {
		uint8_t *block = writer_next(w), *to = block + sizeof(struct jbd2_revoke);

		n = t->revokes - from < per ? t->revokes - from : per;
		memset(block, 0, fs->block_bytes);
		header_set(block, JOURNAL_REVOKE, t->id);
		for (uint32_t i = 0; i < n; i++) {
			uint64_t big = __builtin_bswap64(t->revoke[from + i]);
			uint32_t small = be32((uint32_t)t->revoke[from + i]);

			memcpy(to, wide ? (void *)&big : (void *)&small, wide ? 8 : 4);
			to += wide ? 8 : 4;
		}
		((struct jbd2_revoke *)(void *)block)->count = be32((uint32_t)(to - block));
		tail_set(fs, block, (size_t)(to - block));
	}
}

static int
log_commit_record(struct fs *fs, struct transaction *t, uint32_t at)
{
	struct journal *j = &fs->journal;
	uint8_t *block = stage_block(fs, 0);
	struct jbd2_commit *commit = (struct jbd2_commit *)(void *)block;
	uint64_t now = fs_now(fs);

	memset(block, 0, fs->block_bytes);
	header_set(block, JOURNAL_COMMIT, t->id);
	commit->seconds = __builtin_bswap64(now / 1000000000);
	commit->nanoseconds = be32((uint32_t)(now % 1000000000));
	if (j->v2 || j->v3)
		commit->checksum[0] = own_sum(fs, block, sizeof *commit);
	return disk_transfer(fs, DISK_WRITE, DISK_FUA, journal_place(j, at) << fs->block_bits, block,
	    fs->block_bytes);
}

uint32_t
journal_super_sum(const struct jbd2_super *super)
{
	struct jbd2_super copy = *super;

	copy.checksum = 0;
	return be32(crc32c(~0u, &copy, sizeof copy));
}

/* Say on the disk where recovery begins; start 0: there is nothing in the log. */
int
journal_write_super(struct fs *fs, uint32_t start, uint32_t sequence)
{
	struct journal *j = &fs->journal;
	uint8_t *block = memory_get(fs);
	int error;

	if (block == NULL)
		return -ENOMEM;
	j->super.start = be32(start);
	j->super.sequence = be32(sequence);
	if (j->v2 || j->v3)
		j->super.checksum = journal_super_sum(&j->super);
	memset(block, 0, fs->block_bytes);
	memcpy(block, &j->super, sizeof j->super);
	error = disk_transfer(fs, DISK_WRITE, DISK_FUA, journal_place(j, 0) << fs->block_bits, block,
	    fs->block_bytes);
	memory_put(fs, block);
	if (error == 0)
		j->started = start != 0;
	return error;
}

/* ---- commit ------------------------------------------------------------------------------ */

/* No handle is open: what the blocks say about themselves is made true now,
 * bitmaps before the descriptors that hold their checksums. */
static void
sum_buffers(struct fs *fs, struct transaction *t)
{
	for (uint32_t i = 0; i < t->buffers; i++)
		if (t->buffer[i]->sum == SUM_BLOCK_BITMAP || t->buffer[i]->sum == SUM_INODE_BITMAP)
			bitmap_sum(fs, t->buffer[i]);
	for (uint32_t i = 0; i < t->buffers; i++) {
		struct buffer *b = t->buffer[i];

		if (b->forget)
			continue;
		switch ((enum buffer_sum)b->sum) {
		case SUM_SUPER:
			super_sum(fs);
			break;
		case SUM_GROUPS:
			groups_sum(fs, b);
			break;
		case SUM_DIRECTORY:
			dir_sum(fs, b);
			break;
		case SUM_INDEX:
			index_sum(fs, b);
			break;
		case SUM_EXTENTS:
			extents_sum(fs, b);
			break;
		case SUM_XATTR:
			xattr_sum(fs, b);
			break;
		case SUM_NONE:
		case SUM_BLOCK_BITMAP:
		case SUM_INODE_BITMAP:
			break;
		}
	}
}

/* Freed buffers leave the list of what is logged. */
static int
part_forgotten(struct transaction *t)
{
	uint32_t kept = 0;

	for (uint32_t i = 0; i < t->buffers; i++) {
		struct buffer *b = t->buffer[i];

		if (!b->forget) {
			t->buffer[kept++] = b;
			continue;
		}
		if (!grow((void **)&t->forget, &t->forget_room, t->forgets, sizeof *t->forget))
			return -ENOMEM;
		t->forget[t->forgets++] = b;
	}
	t->buffers = kept;
	return 0;
}

/* From running to committing, in one step. */
static int
transaction_close(struct fs *fs, struct transaction *t)
{
	struct journal *j = &fs->journal;
	struct transaction *next = transaction_new(fs, t->id + 1);

	if (next == NULL)
		return -ENOMEM;
	sum_buffers(fs, t);
	if (fs->super_buffer->running == t)
		fs->super_home = *fs->super;
	if (part_forgotten(t) != 0) {
		transaction_free(fs, next);
		return -ENOMEM;
	}
	for (uint32_t i = 0; i < t->buffers; i++) {
		t->buffer[i]->running = NULL;
		t->buffer[i]->committing = t;
		t->buffer[i]->logged = false;
	}
	t->log_start = j->head;
	j->head = ring_advance(j, j->head, log_need(fs, t->buffers, t->revokes));
	t->state = T_COMMITTING;
	j->committing = t;
	j->running = next;
	return 0;
}

static int
transaction_write(struct fs *fs, struct transaction *t)
{
	struct log_writer w = { .fs = fs, .t = t, .at = t->log_start };
	uint32_t per = tags_per_block(fs), n;
	struct journal *j = &fs->journal;
	int error;

	if (!j->started) {
		error = journal_write_super(fs, t->log_start, (uint32_t)t->id);
		if (error != 0)
			return error;
	}
	log_revokes(&w);
	/* a group's descriptor and blocks are staged together */
	for (uint32_t from = 0; from < t->buffers; from += n) {
		n = t->buffers - from < per ? t->buffers - from : per;
		log_group(&w, t->buffer + from, n);
	}
	/* Zeroes where the commit record will be: if power fails in the middle of it,
	 * its first sector makes it whole and any other part makes nothing. */
	memset(writer_next(&w), 0, fs->block_bytes);
	writer_submit(&w);
	error = batch_wait(&w.batch);
	if (error == 0)
		error = disk_flush(fs);
	if (error == 0)
		error = log_commit_record(fs, t, ring_advance(j, w.at, w.filled - 1));
	return error;
}

static void
checkpoint_remove(struct fs *fs, struct buffer *b)
{
	struct transaction *t = b->checkpoint;

	if (t == NULL)
		return;
	if (b->cp_next != NULL)
		b->cp_next->cp_prev = b->cp_prev;
	if (b->cp_prev != NULL)
		b->cp_prev->cp_next = b->cp_next;
	else
		t->checkpoint = b->cp_next;
	b->cp_next = b->cp_prev = NULL;
	b->checkpoint = NULL;
	b->dirty = false;
	fs->dirty_buffers--;
	buffer_put(fs, b);
}

/* At once when it arrives, not when the whole batch has: a younger transaction may
 * change it, and commit, in between. */
void
journal_written(struct fs *fs, struct buffer *b)
{
	checkpoint_remove(fs, b);
}

static void
checkpoint_add(struct fs *fs, struct transaction *t, struct buffer *b)
{
	b->refs++;
	checkpoint_remove(fs, b);
	b->checkpoint = t;
	b->cp_prev = NULL;
	b->cp_next = t->checkpoint;
	if (t->checkpoint != NULL)
		t->checkpoint->cp_prev = b;
	t->checkpoint = b;
	b->dirty = true;
	fs->dirty_buffers++;
}

/* A freed block may become anything now: its buffer must not write there. */
static void
forget_buffers(struct fs *fs, struct transaction *t)
{
	for (uint32_t i = 0; i < t->forgets; i++) {
		struct buffer *b = t->forget[i];

		buffer_wait_io(b);
		checkpoint_remove(fs, b);
		b->running = NULL;
		b->forget = false;
		b->valid = b->verified = false;
		b->sum = SUM_NONE;
		buffer_put(fs, b);
	}
	t->forgets = 0;
}

static void
transaction_finish(struct fs *fs, struct transaction *t)
{
	struct journal *j = &fs->journal;

	for (uint32_t i = 0; i < t->buffers; i++) {
		struct buffer *b = t->buffer[i];

		b->committing = NULL;
		b->logged = false;
		checkpoint_add(fs, t, b);
		buffer_put(fs, b);
	}
	t->live = 0;
	buffers_free(fs, t);
	forget_buffers(fs, t);
	blocks_committed(fs, t);
	t->state = T_COMMITTED;
	t->next = NULL;
	if (j->newest != NULL)
		j->newest->next = t;
	else
		j->oldest = t;
	j->newest = t;
	j->committing = NULL;
	j->committed = t->id;
	if (fs->options.committed != NULL)
		fs->options.committed(fs->options.context, t->id);
}

static bool
checkpoint_due(const struct fs *fs)
{
	const struct journal *j = &fs->journal;

	return j->oldest != NULL && (log_free(j) < ring_size(j) / 2 ||
	    fs->dirty_buffers > fs->buffers_max / 4);
}

static void
commit(struct fs *fs)
{
	struct journal *j = &fs->journal;
	struct transaction *t = j->running;
	int error;

	t->state = T_LOCKED;
	while (t->handles != 0)
		fiber_wait(&j->handle_waiters);
	if (transaction_empty(t) || fs->aborting) {
		t->state = T_RUNNING;
		j->wanted = j->committed;
		fiber_wake_all(&j->start_waiters);
		return;
	}
	error = transaction_close(fs, t);
	if (error != 0)
		t->state = T_RUNNING;
	fiber_wake_all(&j->start_waiters);
	if (error == 0)
		error = transaction_write(fs, t);
	if (error != 0) {
		fs_error(fs, error, "the journal cannot be written (transaction %llu)",
		    (unsigned long long)t->id);
		return;
	}
	transaction_finish(fs, t);
	if (checkpoint_due(fs)) {
		j->checkpointing = true;
		fiber_wake_all(&j->checkpointer);
	}
}

static void
committer_main(void *argument)
{
	struct fs *fs = argument;
	struct journal *j = &fs->journal;

	for (;;) {
		if (!fs->aborting && j->wanted >= j->running->id)
			commit(fs);
		fiber_wake_all(&j->commit_waiters);
		if (j->stop)
			break;
		if (fs->aborting || j->wanted < j->running->id)
			fiber_wait(&j->committer);
	}
	j->committer_runs = false;
	fiber_wake_all(&j->commit_waiters);
}

int
journal_commit(struct fs *fs, uint64_t id)
{
	struct journal *j = &fs->journal;

	while (j->running != NULL && id > j->committed) {
		if (fs->aborting)
			return -EIO;
		if (j->committing == NULL && j->running->state == T_RUNNING &&
		    j->running->handles == 0 && transaction_empty(j->running))
			return 0;
		journal_kick(fs, id);
		fiber_wait(&j->commit_waiters);
	}
	return fs->aborting && id > j->committed ? -EIO : 0;
}

/* ---- checkpoint ---------------------------------------------------------------------------- */

/* Hold buffers that may go home now, the oldest transactions' first. */
static uint32_t
checkpoint_collect(struct journal *j, struct buffer **to, uint32_t room)
{
	uint32_t n = 0;

	for (struct transaction *t = j->oldest; t != NULL; t = t->next)
		for (struct buffer *b = t->checkpoint; b != NULL && n < room; b = b->cp_next) {
			if (b->running != NULL || b->committing != NULL || b->writing)
				continue;
			b->refs++;
			to[n++] = b;
		}
	return n;
}

static int
checkpoint_write(struct fs *fs, struct buffer **buffers, uint32_t count)
{
	int error = buffers_write(fs, buffers, count);

	for (uint32_t i = 0; i < count; i++)
		buffer_put(fs, buffers[i]);
	return error;
}

/* Transactions whose blocks are all home are not needed any more. */
static int
checkpoint_advance(struct fs *fs)
{
	struct journal *j = &fs->journal;
	struct transaction *t;
	uint32_t start = j->head;
	uint64_t id = j->running->id;
	int error;

	if (j->oldest == NULL || j->oldest->checkpoint != NULL)
		return 0;
	/* what came home is stable before the log forgets it */
	t = j->oldest;
	while (t != NULL && t->checkpoint == NULL)
		t = t->next;
	if (t == NULL)
		t = j->committing;
	if (t != NULL) {
		start = t->log_start;
		id = t->id;
	}
	error = disk_flush(fs);
	if (error == 0)
		error = journal_write_super(fs, start, (uint32_t)id);
	if (error != 0)
		return error;
	while ((t = j->oldest) != NULL && t->id < id) {
		j->oldest = t->next;
		if (j->oldest == NULL)
			j->newest = NULL;
		transaction_free(fs, t);
	}
	j->tail = start;
	fiber_wake_all(&j->start_waiters);
	return 0;
}

/* Write home what can be; if there is nothing, wait for what it needs. */
static int
checkpoint_step(struct fs *fs, struct buffer **buffers)
{
	struct journal *j = &fs->journal;
	uint32_t n = checkpoint_collect(j, buffers, CHECKPOINT_BATCH);
	const struct transaction *t;

	if (n != 0)
		return checkpoint_write(fs, buffers, n);
	for (t = j->oldest; t != NULL && t->checkpoint == NULL; t = t->next)
		;
	if (t == NULL)
		return 0;
	/* what is left is changed by younger transactions: those must commit */
	if (j->committing == NULL)
		journal_kick(fs, j->running->id);
	fiber_wait(&j->commit_waiters);
	return fs->aborting ? -EIO : 0;
}

static bool
checkpoint_enough(const struct fs *fs)
{
	const struct journal *j = &fs->journal;
	const struct transaction *t = j->oldest;

	if (t == NULL)
		return true;
	if (j->checkpoint_all)
		return false;
	/* three quarters of the log are free, or would be when the tail moves */
	while (t != NULL && t->checkpoint == NULL)
		t = t->next;
	if (fs->dirty_buffers > fs->buffers_max / 8)
		return false;
	if (t == NULL)
		return true;
	return (j->head - t->log_start + ring_size(j)) % ring_size(j) < ring_size(j) / 4;
}

static void
checkpointer_main(void *argument)
{
	struct fs *fs = argument;
	struct journal *j = &fs->journal;
	struct buffer **buffers = malloc(CHECKPOINT_BATCH * sizeof *buffers);
	int error;

	while (!j->stop && buffers != NULL) {
		if (!j->checkpointing || fs->aborting) {
			fiber_wait(&j->checkpointer);
			continue;
		}
		error = 0;
		while (error == 0 && !checkpoint_enough(fs) && !fs->aborting) {
			error = checkpoint_step(fs, buffers);
			if (error == 0 && j->oldest != NULL && j->oldest->checkpoint == NULL &&
			    j->start_waiters.first != NULL)
				error = checkpoint_advance(fs);
			if (j->checkpoint_all && j->oldest != NULL && j->oldest->checkpoint == NULL)
				error = error != 0 ? error : checkpoint_advance(fs);
		}
		if (error == 0 && !fs->aborting)
			error = checkpoint_advance(fs);
		if (error != 0 && !fs->aborting)
			fs_error(fs, error, "metadata cannot be written to its place");
		j->checkpointing = false;
		fiber_wake_all(&j->commit_waiters);
		fiber_wake_all(&j->start_waiters);
	}
	free(buffers);
	j->checkpointer_runs = false;
	fiber_wake_all(&j->commit_waiters);
}

int
journal_flush(struct fs *fs)
{
	struct journal *j = &fs->journal;
	int error = 0;

	while (error == 0 && j->running != NULL) {
		error = journal_commit(fs, j->running->id);
		if (error != 0 || fs->aborting)
			break;
		if (j->oldest == NULL && j->committing == NULL)
			break;
		j->checkpoint_all = j->checkpointing = true;
		fiber_wake_all(&j->checkpointer);
		fiber_wait(&j->commit_waiters);
		j->checkpoint_all = false;
	}
	if (fs->aborting)
		return -EIO;
	if (error == 0 && j->running != NULL)
		error = journal_write_super(fs, 0, (uint32_t)j->running->id);
	return error;
}

/* ---- begin and end -------------------------------------------------------------------------- */

int
journal_begin(struct fs *fs)
{
	struct journal *j = &fs->journal;
	uint64_t first_id = be32(j->super.sequence);

	j->max_transaction = ring_size(j) / 4;
	if (j->max_transaction > fs->buffers_max / 4)
		j->max_transaction = fs->buffers_max / 4;
	j->head = j->tail = j->first;
	j->wide = fs->wide;
	j->v3 = fs->sums;
	j->v2 = false;
	j->super.feature_compat &= ~be32(JCOMPAT_CHECKSUM);
	j->super.feature_incompat = be32(JINCOMPAT_REVOKE | (fs->wide ? JINCOMPAT_64BIT : 0u) |
	    (fs->sums ? JINCOMPAT_CSUM_V3 : 0u));
	j->super.checksum_type = fs->sums ? 4 : 0;	/* CRC-32C */
	j->super.checksum = 0;
	j->seed = crc32c(~0u, j->super.uuid, 16);
	j->started = false;
	j->stop = j->checkpointing = false;
	if (first_id == 0)
		first_id = 1;
	j->committed = j->wanted = first_id - 1;
	j->stage = aligned_alloc(4096, (size_t)STAGE_BLOCKS * fs->block_bytes);
	j->running = transaction_new(fs, first_id);
	if (j->stage == NULL || j->running == NULL)
		return -ENOMEM;
	j->committer_runs = fiber_start(fs, committer_main, fs);
	j->checkpointer_runs = fiber_start(fs, checkpointer_main, fs);
	return j->committer_runs && j->checkpointer_runs ? 0 : -ENOMEM;
}

/* Stop the two fibers; the log is as it is. */
int
journal_end(struct fs *fs)
{
	struct journal *j = &fs->journal;

	j->stop = true;
	while (j->committer_runs || j->checkpointer_runs) {
		fiber_wake_all(&j->committer);
		fiber_wake_all(&j->checkpointer);
		fiber_wake_all(&j->handle_waiters);
		fiber_wait(&j->commit_waiters);
	}
	return 0;
}

void
journal_free(struct fs *fs)
{
	struct journal *j = &fs->journal;
	struct transaction *t;

	while ((t = j->oldest) != NULL) {
		j->oldest = t->next;
		transaction_free(fs, t);
	}
	transaction_free(fs, j->committing);
	transaction_free(fs, j->running);
	free(j->spare);
	free(j->stage);
	free(j->piece);
	memset(j, 0, sizeof *j);
}

/* Commit what is older than the limit. */
void
journal_timer(struct fs *fs)
{
	struct journal *j = &fs->journal;
	uint64_t now = fs_now(fs);

	if (j->running == NULL || fs->aborting || transaction_empty(j->running))
		return;
	if (now - j->running->started_ns >= fs->commit_ns)
		journal_kick(fs, j->running->id);
}

bool
journal_idle(const struct fs *fs)
{
	const struct journal *j = &fs->journal;

	return j->running == NULL || fs->aborting || (j->committing == NULL && !j->checkpointing &&
	    j->running->state == T_RUNNING && j->wanted < j->running->id);
}
