/* SPDX-License-Identifier: MIT */
/*
 * The disk is told of blocks that nobody uses: those that FS_TRIM asks for and,
 * where it is mounted so (FS_MOUNT_DISCARD), those that a transaction freed.
 *
 * Only what no power cut can bring back is discarded: blocks that a transaction
 * freed are busy until it has committed, so no scan finds them earlier.  What is
 * at the disk to be discarded is busy, too: nobody writes there before it is
 * answered.  That takes room from others for a moment, hence three limits: never
 * more at once than a batch, nothing of what is promised, and whoever finds no
 * room drops what waits and has what is at the disk back first.
 */
#include "core.h"

enum {
	BATCH = 32,			/* runs at the disk at once */
	BATCH_BLOCKS = 32768,		/* in all of them, about */
	RUN_BLOCKS = 8192,		/* in one of them */
	STEP_GROUPS = 64,		/* that one FS_TRIM looks at */
	STEP_BLOCKS = 1 << 18,		/* after which it answers */
};

struct runs {
	struct extent run[BATCH];
	unsigned count;
	uint64_t blocks;
};

static void
runs_add(struct runs *runs, uint64_t block, uint64_t count)
{
	runs->run[runs->count++] = (struct extent){ block, count };
	runs->blocks += count;
}

static bool
runs_full(const struct runs *runs)
{
	return runs->count == BATCH || runs->blocks >= BATCH_BLOCKS;
}

/* A run in whole sectors of the disk, which may be larger than blocks. */
static void
submit_run(struct fs *fs, struct batch *batch, const struct extent *run)
{
	uint64_t mask = fs->disk->sector_bytes - 1;
	uint64_t from = ((run->block << fs->block_bits) + mask) & ~mask;
	uint64_t to = (run->block + run->count) << fs->block_bits & ~mask;

	if (from < to)
		batch_submit_range(fs, batch, DISK_DISCARD, from, to - from);
}

/* What was made busy is discarded, and free again.  Sleeps. */
static int
discard_now(struct fs *fs, const struct runs *runs)
{
	struct batch batch = { 0 };
	int error;

	if (runs->count == 0)
		return 0;
	fs->discarding++;
	for (unsigned i = 0; i < runs->count; i++)
		submit_run(fs, &batch, &runs->run[i]);
	error = batch_wait(&batch);
	fs->discarding--;
	for (unsigned i = 0; i < runs->count; i++) {
		if (error == 0)
			blocks_release(fs, runs->run[i].block, runs->run[i].count);
		else
			blocks_unreserve(fs, runs->run[i].block, runs->run[i].count);
	}
	if (fs->discard_waiters.first != NULL) {
		fiber_wake_all(&fs->discard_waiters);
		fiber_yield();		/* they need the room more than we do */
	}
	return error;
}

bool
discards_give_way(struct fs *fs)
{
	bool gave = fs->discards != 0;

	while (fs->discards != 0) {
		struct extent *e = &fs->discard[--fs->discards];

		blocks_unreserve(fs, e->block, e->count);
	}
	if (fs->discarding != 0) {
		fiber_wait(&fs->discard_waiters);
		gave = true;
	}
	return gave;
}

/* ---- FS_TRIM ---------------------------------------------------------------------- */

struct scan {
	uint32_t group, at, end;	/* bits of the group */
	uint32_t least;			/* shorter runs are left alone */
	uint32_t run_end;		/* of a run that was long enough and of which a part was taken */
	bool left_out;			/* something could not be taken */
};

/* The next batch of free runs, which are busy from now on. */
static void
scan_collect(struct fs *fs, struct scan *s, const uint8_t *map, struct runs *runs)
{
	uint32_t count, take;

	while (!runs_full(runs) && (count = blocks_free_run(fs, s->group, map, &s->at, s->end)) != 0) {
		if (s->at >= s->run_end && count < s->least) {
			s->at += count;
			continue;
		}
		if (s->at >= s->run_end)
			s->run_end = s->at + count;
		take = (uint32_t)min64(min64(count, RUN_BLOCKS), blocks_available(fs));
		if (take == 0 && runs->count != 0)
			return;		/* there is room again when these are through */
		if (take == 0 || blocks_take(fs, s->group, s->at, take) != 0) {
			s->left_out = true;
			s->at += count;
			continue;
		}
		runs_add(runs, group_first(fs, s->group) + s->at, take);
		s->at += take;
	}
}

static int
scan_group(struct fs *fs, struct scan *s, uint64_t *done)
{
	struct buffer *b;
	int error = group_load_block_bitmap(fs, s->group, &b);

	if (error != 0)
		return error;
	while (error == 0 && s->at < s->end) {
		struct runs runs = { .count = 0 };

		/* freed meanwhile, without memory to remember what: a power cut may bring it back */
		if (group_closed(fs, s->group)) {
			s->left_out = true;
			break;
		}
		scan_collect(fs, s, b->data, &runs);
		error = discard_now(fs, &runs);
		if (error == 0)
			*done += runs.blocks;
	}
	buffer_put(fs, b);
	return error;
}

/* As Linux does, a group of which nothing was freed since it was trimmed is passed over. */
static int
trim_group(struct fs *fs, struct scan *s, uint64_t *done)
{
	struct group *g = &fs->group[s->group];
	bool whole = s->at == 0 && s->end == group_size(fs, s->group);
	int error;

	if (group_closed(fs, s->group) || group_free_blocks(fs, s->group) < s->least)
		return 0;
	if (g->trimmed != 0 && s->least >= g->trimmed)
		return 0;
	if (whole)
		g->trimmed = s->least;	/* until something is freed, maybe while we are at it */
	error = scan_group(fs, s, done);
	if (whole && (error != 0 || s->left_out))
		g->trimmed = 0;
	return error;
}

static int64_t
trim_range(struct fs *fs, struct fs_job *job, uint64_t first, uint64_t last, uint32_t least)
{
	uint32_t from = block_group(fs, first), to = block_group(fs, last);
	uint64_t done = 0;
	int error = 0;

	for (uint32_t group = from; group <= to && error == 0; group++) {
		struct scan s = { .group = group, .end = group_size(fs, group), .least = least };

		if (group - from == STEP_GROUPS || done >= STEP_BLOCKS) {
			job->answer.made = group_first(fs, group) << fs->block_bits;
			break;
		}
		if (group == from)
			s.at = (uint32_t)(first - group_first(fs, group));
		if (group == to)
			s.end = (uint32_t)(last - group_first(fs, group)) + 1;
		error = trim_group(fs, &s, &done);
	}
	return error != 0 ? error : (int64_t)(done << fs->block_bits);
}

/* What is refused, and in which order, is ext4_trim_fs's. */
int64_t
discard_trim(struct fs *fs, struct fs_job *job)
{
	const struct fs_request *r = &job->request;
	uint64_t first = r->offset >> fs->block_bits, least = r->size >> fs->block_bits, last;

	if (!fs->disk->has_discard)
		return -EOPNOTSUPP;
	if (fs->failed || fs->disk->read_only)
		return -EROFS;
	if (least > fs->blocks_per_group || first >= fs->blocks || r->length < fs->block_bytes)
		return -EINVAL;
	last = min64(first + (r->length >> fs->block_bits), fs->blocks) - 1;
	if (last <= fs->first_data_block)
		return 0;
	if (first < fs->first_data_block)
		first = fs->first_data_block;
	return trim_range(fs, job, first, last, least == 0 ? 1 : (uint32_t)least);
}

/* ---- what transactions free ----------------------------------------------------------- */

static int
by_block(const void *a, const void *b)
{
	const struct extent *x = a, *y = b;

	return x->block < y->block ? -1 : x->block > y->block;
}

/* Runs that lie side by side become one, within a group. */
static uint32_t
join(struct fs *fs, struct extent *run, uint32_t count)
{
	uint32_t kept = 0;

	qsort(run, count, sizeof *run, by_block);
	for (uint32_t i = 1; i < count; i++) {
		struct extent *last = &run[kept];

		if (last->block + last->count == run[i].block &&
		    block_group(fs, last->block) == block_group(fs, run[i].block))
			last->count += run[i].count;
		else
			run[++kept] = run[i];
	}
	return kept + 1;
}

static void
discarder_main(void *argument)
{
	struct fs *fs = argument;
	int error;

	while (fs->discards != 0) {
		struct runs runs = { .count = 0 };

		while (fs->discards != 0 && !runs_full(&runs)) {
			const struct extent *e = &fs->discard[--fs->discards];

			runs_add(&runs, e->block, e->count);
		}
		error = discard_now(fs, &runs);
		if (error != 0 && fs->discard_freed) {
			fs->discard_freed = error != -EOPNOTSUPP;
			say(fs, "freed blocks cannot be discarded: error %d%s", -error,
			    fs->discard_freed ? "" : "; it is not tried again");
		}
	}
	fs->discarder_runs = false;
	fiber_wake_all(&fs->discard_waiters);
}

static bool
queue_room(struct fs *fs, uint32_t more)
{
	uint32_t room = fs->discard_room == 0 ? 64 : fs->discard_room;
	struct extent *bigger;

	while (room - fs->discards < more)
		room *= 2;
	if (room == fs->discard_room)
		return true;
	bigger = realloc(fs->discard, room * sizeof *bigger);
	if (bigger == NULL)
		return false;
	fs->discard = bigger;
	fs->discard_room = room;
	return true;
}

bool
discard_freed(struct fs *fs, struct extent *run, uint32_t count)
{
	if (!fs->discard_freed || !fs->disk->has_discard || fs->aborting || count == 0)
		return false;
	if (!queue_room(fs, count))
		return false;
	if (!fs->discarder_runs && !fiber_start(fs, discarder_main, fs))
		return false;
	fs->discarder_runs = true;
	count = join(fs, run, count);
	memcpy(fs->discard + fs->discards, run, count * sizeof *run);
	fs->discards += count;
	return true;
}

void
discards_end(struct fs *fs)
{
	while (fs->discarder_runs)
		fiber_wait(&fs->discard_waiters);
}
