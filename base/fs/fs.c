/* SPDX-License-Identifier: MIT */
/*
 * The library's face: jobs come in, fibers work on them, answers go out.
 */
#include "core.h"
#include "redo.h"

static const size_t DEFAULT_CACHE = 8 << 20;
enum { DEFAULT_FIBERS = 64 };
static const uint64_t DEFAULT_COMMIT_NS = 5000000000;

uint64_t
fs_now(struct fs *fs)
{
	return fs->options.clock_ns != NULL ? fs->options.clock_ns(fs->options.context) : 0;
}

/* xorshift64*: to spread things, not to keep secrets. */
uint64_t
fs_random(struct fs *fs)
{
	fs->random ^= fs->random >> 12;
	fs->random ^= fs->random << 25;
	fs->random ^= fs->random >> 27;
	return (fs->random * 0x2545f4914f6cdd1dULL) >> 16;
}

struct fs *
fs_new(struct disk *disk, const struct fs_options *options)
{
	struct fs *fs = calloc(1, sizeof *fs);

	if (fs == NULL)
		return NULL;
	fs->zeroes = aligned_alloc(4096, 4096);
	if (fs->zeroes == NULL) {
		free(fs);
		return NULL;
	}
	memset(fs->zeroes, 0, 4096);
	fs->disk = disk;
	fs->options = *options;
	if (fs->options.cache_bytes == 0)
		fs->options.cache_bytes = DEFAULT_CACHE;
	if (fs->options.fibers == 0)
		fs->options.fibers = DEFAULT_FIBERS;
	if (fs->options.commit_ns == 0)
		fs->options.commit_ns = DEFAULT_COMMIT_NS;
	fs->commit_ns = fs->options.commit_ns;
	fs->random = options->random | 1;
	return fs;
}

void
fs_free(struct fs *fs)
{
	if (fs == NULL)
		return;
	fiber_forget(fs);
	super_drop(fs);
	pieces_free(fs);
	free(fs->zeroes);
	free(fs);
}

void
fs_answered(struct fs *fs, const struct fs_job *job)
{
	redo_answered(fs, job);
}

static struct fs_job *
next_job(struct fs *fs)
{
	struct fs_job *job = fs->first_job;

	if (job == NULL)
		return NULL;
	fs->first_job = job->next;
	if (fs->first_job == NULL)
		fs->last_job = NULL;
	job->next = NULL;
	return job;
}

static void
work(void *argument)
{
	struct fs *fs = argument;
	struct fs_job *job;

	while ((job = next_job(fs)) != NULL) {
		memset(&job->answer, 0, sizeof job->answer);
		job->page_bytes = 0;
		job->answer.result = op_run(fs, job);
		job->finished = true;
		if (job->done != NULL)
			job->done(job);
	}
	fs->working--;
}

void
fs_submit(struct fs *fs, struct fs_job *job)
{
	job->finished = false;
	job->next = NULL;
	if (fs->last_job != NULL)
		fs->last_job->next = job;
	else
		fs->first_job = job;
	fs->last_job = job;
	if (fs->working < fs->options.fibers && fiber_start(fs, work, fs))
		fs->working++;
}

int64_t
fs_run(struct fs *fs)
{
	struct transaction *t;

	if (fs->first_job != NULL && fs->working == 0 && fiber_start(fs, work, fs))
		fs->working++;
	journal_timer(fs);
	fiber_run();
	t = fs->journal.running;
	if (t == NULL || fs->aborting || (t->live == 0 && t->freeds == 0))
		return FS_NEVER;
	return (int64_t)(t->started_ns + fs->commit_ns);
}

bool
fs_idle(const struct fs *fs)
{
	return fs->working == 0 && fs->first_job == NULL && fs->requests == 0 && journal_idle(fs);
}

int64_t
fs_call(struct fs *fs, struct fs_job *job, bool (*poll)(struct disk *))
{
	fs_submit(fs, job);
	for (;;) {
		fs_run(fs);
		if (job->finished)
			return job->answer.result;
		if (poll == NULL || !poll(fs->disk)) {
			fs_run(fs);
			if (!job->finished)
				return -EDEADLK;
		}
	}
}

bool
fs_mounted(const struct fs *fs)
{
	return fs->mounted;
}

bool
fs_read_only(const struct fs *fs)
{
	return fs->read_only;
}

uint32_t
fs_block_bytes(const struct fs *fs)
{
	return fs->block_bytes;
}

uint64_t
fs_committed(const struct fs *fs)
{
	return fs->journal.committed;
}
