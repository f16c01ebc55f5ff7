/* SPDX-License-Identifier: MIT */
/*
 * Finding the journal, and bringing home what a dead system had committed.
 *
 * One walk through the log notes for each block its newest committed copy and
 * for each revoked block the transaction that revoked it; then every copy that
 * was not revoked later is written home, once.  The walk ends where a block is
 * not what must come next: that transaction was not committed.  The log is what
 * somebody else wrote: its numbers are checked, and no walk is longer than it.
 */
#include <stdio.h>
#include "core.h"
#include "redo.h"

enum { MIN_RING = 64, CHUNK = 32, WINDOW = 256 };	/* CHUNK, WINDOW: blocks read, and written home, at once */

/* ---- the journal's inode and superblock --------------------------------------------- */

static int
add_piece(void *context, const struct mapping *m)
{
	struct journal *j = context;
	struct journal_piece *bigger;

	if (m->unwritten || m->start == 0)
		return 0;
	if (m->block != (j->pieces == 0 ? 0 : j->piece[j->pieces - 1].first + j->piece[j->pieces - 1].count))
		return -ECORRUPT;
	bigger = realloc(j->piece, (j->pieces + 1) * sizeof *bigger);
	if (bigger == NULL)
		return -ENOMEM;
	j->piece = bigger;
	j->piece[j->pieces++] = (struct journal_piece){ m->block, m->count, m->start };
	return 0;
}

static uint32_t
blocks_found(const struct journal *j)
{
	return j->pieces == 0 ? 0 : j->piece[j->pieces - 1].first + j->piece[j->pieces - 1].count;
}

int
journal_read_block(struct fs *fs, uint32_t log_block, uint8_t *to)
{
	uint64_t place = journal_place(&fs->journal, log_block);

	if (place == 0)
		return -ECORRUPT;
	return disk_transfer(fs, DISK_READ, 0, place << fs->block_bits, to, fs->block_bytes);
}

static int
refuse(struct fs *fs, const char *why)
{
	say(fs, "the journal cannot be used: %s", why);
	return -ECORRUPT;
}

static int
check_super(struct fs *fs)
{
	struct journal *j = &fs->journal;
	struct jbd2_super *s = &j->super;
	uint32_t incompat = be32(s->feature_incompat), maxlen = be32(s->maxlen);
	uint32_t known = JINCOMPAT_REVOKE | JINCOMPAT_64BIT | JINCOMPAT_CSUM_V2 | JINCOMPAT_CSUM_V3 |
	    JINCOMPAT_FAST_COMMIT;

	if (be32(s->header.magic) != JOURNAL_MAGIC ||
	    be32(s->header.blocktype) != JOURNAL_SUPER_V2)
		return refuse(fs, "its superblock is not one of version 2");
	if (be32(s->blocksize) != fs->block_bytes)
		return refuse(fs, "its block size is another one");
	if ((incompat & ~known) != 0 || s->feature_ro_compat != 0) {
		say(fs, "the journal has unknown features (incompat %#x)", incompat & ~known);
		return -EINVAL;
	}
	j->v2 = (incompat & JINCOMPAT_CSUM_V2) != 0;
	j->v3 = (incompat & JINCOMPAT_CSUM_V3) != 0;
	j->wide = (incompat & JINCOMPAT_64BIT) != 0;
	if (j->v2 && j->v3)
		return refuse(fs, "it has two kinds of checksums");
	if ((j->v2 || j->v3) && s->checksum_type != 4)
		return refuse(fs, "its checksums are not CRC-32C");
	if ((j->v2 || j->v3) && s->checksum != journal_super_sum(s))
		return refuse(fs, "the checksum of its superblock is wrong");
	j->first = be32(s->first);
	j->end = maxlen;
	if (maxlen > blocks_found(j) || j->first == 0 || j->first >= maxlen)
		return refuse(fs, "its length is not that of its inode");
	if ((incompat & JINCOMPAT_FAST_COMMIT) != 0) {
		uint32_t fast = be32(s->num_fc_blocks) == 0 ? 256 : be32(s->num_fc_blocks);

		if ((fs->super->feature_incompat & INCOMPAT_RECOVER) != 0) {
			say(fs, "the journal may hold fast commits, which only Linux can replay");
			return -EINVAL;
		}
		if (fast >= maxlen - j->first)
			return refuse(fs, "its fast commit area is too large");
		j->end -= fast;
	}
	if (j->end - j->first < MIN_RING)
		return refuse(fs, "it is too small");
	if (be32(s->start) != 0 && (be32(s->start) < j->first || be32(s->start) >= j->end))
		return refuse(fs, "its start is outside of it");
	j->seed = crc32c(~0u, s->uuid, 16);
	return 0;
}

int
journal_load(struct fs *fs)
{
	struct journal *j = &fs->journal;
	struct inode *inode;
	uint8_t *block;
	int error;

	memset(j, 0, sizeof *j);
	error = inode_get(fs, fs->super->journal_inum, &inode);
	if (error != 0)
		return refuse(fs, "its inode cannot be read");
	error = map_each(inode, add_piece, j);
	inode_put(inode);
	if (error != 0)
		return error == -ENOMEM ? error : refuse(fs, "the map of its blocks is wrong");
	block = memory_get(fs);
	if (block == NULL)
		return -ENOMEM;
	error = journal_read_block(fs, 0, block);
	if (error == 0) {
		memcpy(&j->super, block, sizeof j->super);
		error = check_super(fs);
	} else {
		say(fs, "the journal's superblock cannot be read");
	}
	memory_put(fs, block);
	return error;
}

/* ---- the walk ---------------------------------------------------------------------------- */

struct copy {			/* of a block, in the log */
	uint64_t block;
	uint32_t next;		/* in its chain, + 1 */
	uint32_t log_block;	/* 0: only revoked */
	uint32_t sequence, revoked;
	uint32_t flags, sum;
	bool is_revoked;
};

enum { CHAINS = 4096 };

struct walk {
	struct fs *fs;
	uint32_t at, sequence, left;	/* left: blocks that the walk may still see */
	uint8_t *chunk;			/* CHUNK blocks */
	uint32_t chunk_at, chunk_blocks;
	uint32_t chain[CHAINS];
	struct copy *copy;
	uint32_t copies, room;
	/* of the transaction that is looked at */
	uint32_t begun;
	uint32_t commits;
};

static struct copy *
copy_of(struct walk *w, uint64_t block)
{
	uint32_t *chain = &w->chain[(block * 0x9e3779b97f4a7c15ULL) >> 52], i;
	struct copy *bigger;

	for (i = *chain; i != 0; i = w->copy[i - 1].next)
		if (w->copy[i - 1].block == block)
			return &w->copy[i - 1];
	if (w->copies == w->room) {
		w->room = w->room == 0 ? 256 : w->room * 2;
		bigger = realloc(w->copy, w->room * sizeof *bigger);
		if (bigger == NULL)
			return NULL;
		w->copy = bigger;
	}
	w->copy[w->copies] = (struct copy){ .block = block, .next = *chain };
	*chain = ++w->copies;
	return &w->copy[w->copies - 1];
}

static uint32_t
step(const struct walk *w, uint32_t at, uint32_t count)
{
	const struct journal *j = &w->fs->journal;
	uint32_t size = j->end - j->first;

	return j->first + (uint32_t)(((uint64_t)(at - j->first) + count) % size);
}

/* A block of the log; the next ones are read along with it. */
static int
walk_read(struct walk *w, uint32_t at, uint8_t **block)
{
	struct journal *j = &w->fs->journal;
	uint32_t n = 1;
	uint64_t place;
	int error;

	if (at - w->chunk_at >= w->chunk_blocks) {
		place = journal_place(j, at);
		if (place == 0)
			return -ECORRUPT;
		while (n < CHUNK && at + n < j->end && journal_place(j, at + n) == place + n)
			n++;
		error = disk_transfer(w->fs, DISK_READ, 0, place << w->fs->block_bits, w->chunk,
		    n * w->fs->block_bytes);
		w->chunk_blocks = 0;
		if (error != 0)
			return error;
		w->chunk_at = at;
		w->chunk_blocks = n;
	}
	*block = w->chunk + (size_t)(at - w->chunk_at) * w->fs->block_bytes;
	return 0;
}

static bool
tail_ok(struct fs *fs, uint8_t *block)
{
	struct journal *j = &fs->journal;
	uint32_t stored, sum, zero = 0;

	if (!j->v2 && !j->v3)
		return true;
	memcpy(&stored, block + fs->block_bytes - 4, 4);
	sum = crc32c(crc32c(j->seed, block, fs->block_bytes - 4), &zero, 4);
	return stored == be32(sum);
}

static bool
commit_ok(struct fs *fs, const uint8_t *block)
{
	struct journal *j = &fs->journal;
	struct jbd2_commit head;
	uint32_t stored, sum;

	if (!j->v2 && !j->v3)
		return true;
	memcpy(&head, block, sizeof head);
	stored = head.checksum[0];
	head.checksum[0] = 0;
	sum = crc32c(j->seed, &head, sizeof head);
	sum = crc32c(sum, block + sizeof head, fs->block_bytes - sizeof head);
	return stored == be32(sum);
}

struct tag {
	uint64_t block;
	uint32_t flags, sum;
};

/* The next tag of a descriptor; false: there is none. */
static bool
tag_next(struct fs *fs, const uint8_t *block, uint32_t *offset, struct tag *tag)
{
	struct journal *j = &fs->journal;
	uint32_t bytes = j->v3 ? 16 : 8 + (j->v2 ? 2 : 0) + (j->wide ? 4 : 0);
	uint32_t end = fs->block_bytes - (j->v2 || j->v3 ? 4 : 0);
	struct jbd2_tag3 t3;
	struct jbd2_tag t = { 0 };

	if (*offset + bytes > end)
		return false;
	if (j->v3) {
		memcpy(&t3, block + *offset, sizeof t3);
		tag->block = be32(t3.blocknr) | (j->wide ? (uint64_t)be32(t3.blocknr_high) << 32 : 0);
		tag->flags = be32(t3.flags);
		tag->sum = be32(t3.checksum);
	} else {
		memcpy(&t, block + *offset, j->wide ? 12 : 8);
		tag->block = be32(t.blocknr) | (j->wide ? (uint64_t)be32(t.blocknr_high) << 32 : 0);
		tag->flags = be16(t.flags);
		tag->sum = be16(t.checksum);
	}
	*offset += bytes;
	if ((tag->flags & TAG_SAME_UUID) == 0)
		*offset += 16;
	return true;
}

/* Note what a descriptor names, or only count it. */
static int
walk_descriptor(struct walk *w, const uint8_t *block, bool note, uint32_t *count)
{
	uint32_t offset = sizeof(struct jbd2_header);
	struct tag tag;
	struct copy *copy;

	*count = 0;
	while (tag_next(w->fs, block, &offset, &tag)) {
		++*count;
		if (note) {
			copy = copy_of(w, tag.block);
			if (copy == NULL)
				return -ENOMEM;
			copy->log_block = step(w, w->at, *count);
			copy->sequence = w->sequence;
			copy->flags = tag.flags;
			copy->sum = tag.sum;
		}
		if ((tag.flags & TAG_LAST) != 0)
			break;
	}
	return 0;
}

static int
walk_revokes(struct walk *w, const uint8_t *block)
{
	bool wide = w->fs->journal.wide;
	uint32_t bytes = wide ? 8 : 4, used, tail = w->fs->journal.v2 || w->fs->journal.v3 ? 4 : 0;
	struct jbd2_revoke head;
	struct copy *copy;
	uint64_t number;
	uint32_t low;

	memcpy(&head, block, sizeof head);
	used = be32(head.count);
	if (used > w->fs->block_bytes - tail || used < sizeof head)
		return refuse(w->fs, "a revoke record is longer than its block");
	for (uint32_t at = sizeof head; at + bytes <= used; at += bytes) {
		if (wide) {
			memcpy(&number, block + at, 8);
			number = __builtin_bswap64(number);
		} else {
			memcpy(&low, block + at, 4);
			number = be32(low);
		}
		copy = copy_of(w, number);
		if (copy == NULL)
			return -ENOMEM;
		/* the walk goes up in sequence: the last one is the newest */
		copy->is_revoked = true;
		copy->revoked = w->sequence;
	}
	return 0;
}

/*
 * Walk over one transaction.  1: it is committed, 0: it is not, and the log ends
 * here.  With note, what it says is taken down; it was walked over before then.
 */
static int
walk_transaction(struct walk *w, bool note)
{
	struct fs *fs = w->fs;
	struct jbd2_header head;
	uint8_t *block;
	uint32_t count;
	int error;

	while (w->left > 0) {
		error = walk_read(w, w->at, &block);
		if (error != 0)
			return error;
		memcpy(&head, block, sizeof head);
		if (be32(head.magic) != JOURNAL_MAGIC || be32(head.sequence) != w->sequence)
			return 0;
		switch (be32(head.blocktype)) {
		case JOURNAL_DESCRIPTOR:
			if (!tail_ok(fs, block))
				return 0;
			error = walk_descriptor(w, block, note, &count);
			if (error != 0)
				return error;
			count++;
			break;
		case JOURNAL_REVOKE:
			if (!tail_ok(fs, block))
				return 0;
			error = note ? walk_revokes(w, block) : 0;
			if (error != 0)
				return error;
			count = 1;
			break;
		case JOURNAL_COMMIT:
			if (!commit_ok(fs, block))
				return 0;
			w->at = step(w, w->at, 1);
			w->left--;
			w->sequence++;
			return 1;
		default:
			return 0;
		}
		if (count > w->left)
			return 0;
		w->left -= count;
		w->at = step(w, w->at, count);
	}
	return 0;
}

/* ---- writing home ----------------------------------------------------------------------------- */

static bool
copy_counts(const struct copy *copy)
{
	return copy->log_block != 0 && !(copy->is_revoked && (int32_t)(copy->sequence - copy->revoked) <= 0);
}

/* As the log is read: once, and in large pieces. */
static int
log_order(const void *a, const void *b)
{
	const struct copy *x = a, *y = b;

	return x->log_block < y->log_block ? -1 : x->log_block > y->log_block;
}

/* As it is written home: neighbours together. */
static int
home_order(const void *a, const void *b)
{
	const struct copy *x = a, *y = b;

	return x->block < y->block ? -1 : x->block > y->block;
}

/* One copy from the log, as it was before it went there. */
static int
copy_read(struct walk *w, const struct copy *copy, uint8_t *memory)
{
	struct fs *fs = w->fs;
	struct journal *j = &fs->journal;
	uint32_t sequence = be32(copy->sequence), magic = be32(JOURNAL_MAGIC), sum;
	uint8_t *block;
	int error;

	if (copy->block >= fs->blocks) {
		say(fs, "the journal names block %llu, outside of the file system",
		    (unsigned long long)copy->block);
		return -ECORRUPT;
	}
	error = walk_read(w, copy->log_block, &block);
	if (error != 0)
		return error;
	if (j->v2 || j->v3) {
		sum = crc32c(crc32c(j->seed, &sequence, 4), block, fs->block_bytes);
		if ((j->v3 ? sum : (sum & 0xffff)) != copy->sum) {
			say(fs, "the journal's copy of block %llu has a wrong checksum",
			    (unsigned long long)copy->block);
			return -ECORRUPT;
		}
	}
	memcpy(memory, block, fs->block_bytes);
	if ((copy->flags & TAG_ESCAPE) != 0)
		memcpy(memory, &magic, 4);
	return 0;
}

/* Write blocks home, sorted and with their memory: a request for each row of neighbours. */
static int
write_rows(struct fs *fs, const struct copy *copy, uint32_t count, uint8_t *memory)
{
	uint32_t limit = fs->disk->max_bytes == 0 ? DISK_SEGMENTS : fs->disk->max_bytes >> fs->block_bits;
	struct disk_segment segment[DISK_SEGMENTS];
	struct batch batch = { 0 };
	uint32_t row;
	int error = 0;

	limit = limit > DISK_SEGMENTS ? DISK_SEGMENTS : limit == 0 ? 1 : limit;
	for (uint32_t at = 0; at < count && error == 0; at += row) {
		for (row = 0; row < limit && at + row < count && copy[at + row].block == copy[at].block + row; row++)
			segment[row] = (struct disk_segment){
				(uintptr_t)memory + ((size_t)copy[at + row].next << fs->block_bits),
				fs->block_bytes, DISK_OWN };
		error = batch_submit(fs, &batch, DISK_WRITE, 0, copy[at].block << fs->block_bits, segment, row);
	}
	batch_wait(&batch);
	return error != 0 ? error : batch.error;
}

/* The chains are not needed any more: next says where in the memory a block lies. */
static int
replay_window(struct walk *w, struct copy *copy, uint32_t count, uint8_t *memory)
{
	int error = 0;

	for (uint32_t i = 0; i < count && error == 0; i++) {
		copy[i].next = i;
		error = copy_read(w, &copy[i], memory + ((size_t)i << w->fs->block_bits));
	}
	if (error != 0)
		return error;
	qsort(copy, count, sizeof *copy, home_order);
	return write_rows(w->fs, copy, count, memory);
}

static int
replay(struct walk *w)
{
	struct fs *fs = w->fs;
	uint32_t count = 0, room, n;
	uint8_t *memory;
	int error = 0;

	for (uint32_t i = 0; i < w->copies; i++)
		if (copy_counts(&w->copy[i]))
			w->copy[count++] = w->copy[i];
	room = count < WINDOW ? count : WINDOW;
	memory = aligned_alloc(4096, ((size_t)(room + 4) << fs->block_bits) & ~(size_t)4095);
	if (memory == NULL)
		return -ENOMEM;
	if (count != 0)
		qsort(w->copy, count, sizeof *w->copy, log_order);
	for (uint32_t at = 0; at < count && error == 0; at += n) {
		n = count - at < WINDOW ? count - at : WINDOW;
		error = replay_window(w, w->copy + at, n, memory);
	}
	free(memory);
	if (error == 0)
		say(fs, "recovered %u transactions of the journal, %u blocks", w->commits, count);
	return error;
}

static int
walk_all(struct walk *w)
{
	struct fs *fs = w->fs;
	struct journal *j = &fs->journal;
	struct walk from;
	int r;

	w->at = be32(j->super.start);
	w->sequence = be32(j->super.sequence);
	w->left = j->end - j->first;
	for (;;) {
		from = (struct walk){ .at = w->at, .sequence = w->sequence, .left = w->left };
		r = walk_transaction(w, false);
		if (r <= 0)
			break;
		w->at = from.at;
		w->sequence = from.sequence;
		w->left = from.left;
		r = walk_transaction(w, true);
		if (r <= 0)
			break;
		w->commits++;
	}
	w->at = from.at;
	w->sequence = from.sequence;
	return r;
}

/* What was committed comes home.  Whatever was read before is not true any more
 * afterwards.  Without a write it says -EROFS if there would be something to do. */
int
journal_recover(struct fs *fs)
{
	struct journal *j = &fs->journal;
	struct walk *w;
	int error;

	if (be32(j->super.start) == 0)
		return 0;
	if (fs->disk->read_only) {
		say(fs, "the journal needs recovery, and the disk cannot be written");
		return -EROFS;
	}
	w = calloc(1, sizeof *w);
	if (w == NULL)
		return -ENOMEM;
	w->fs = fs;
	w->chunk = aligned_alloc(4096, (size_t)CHUNK * fs->block_bytes);
	error = w->chunk == NULL ? -ENOMEM : walk_all(w);
	if (error == 0)
		error = replay(w);
	if (error == 0)
		error = disk_flush(fs);
	/* The new numbers hide which records had been committed: a life that ends between
	 * this write and the replay of the redo area must have left that said. */
	if (error == 0)
		redo_recovered(fs, w->sequence - 1);
	/* + 2: what was begun after the last commit must never seem to go on, and its
	 * number (of the one committing, and the one running) is not given again */
	if (error == 0)
		error = journal_write_super(fs, 0, w->sequence + 2);
	fs->recovered = (uint32_t)(w->sequence - 1);
	if (error != 0)
		say(fs, "the journal was not recovered: error %d", -error);
	free(w->chunk);
	free(w->copy);
	free(w);
	return error;
}
