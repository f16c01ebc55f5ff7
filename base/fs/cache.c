/* SPDX-License-Identifier: MIT */
/*
 * The buffer cache: blocks of metadata in memory, found by number, the least
 * recently used given up first; and requests to the disk, many at once.
 *
 * A buffer stays while it is held: by who works with it, by a transaction that
 * changes it or writes it to the log, or by the checkpoint list that has to
 * write it to its place (journal.c).  The others stand in a line by age.
 */
#include "core.h"

/* ---- memory ------------------------------------------------------------------ */

enum { SLAB_BLOCKS = 64 };

uint8_t *
memory_get(struct fs *fs)
{
	uint8_t *slab, **piece;

	if (fs->memory_free == NULL) {
		/* the first piece links the slabs; all are aligned for DMA */
		slab = aligned_alloc(4096, (size_t)SLAB_BLOCKS * fs->block_bytes);
		if (slab == NULL)
			return NULL;
		*(void **)(void *)slab = fs->slabs;
		fs->slabs = slab;
		for (unsigned i = 1; i < SLAB_BLOCKS; i++) {
			piece = (uint8_t **)(void *)(slab + (size_t)i * fs->block_bytes);
			*piece = fs->memory_free;
			fs->memory_free = piece;
		}
	}
	piece = fs->memory_free;
	fs->memory_free = *piece;
	return (uint8_t *)piece;
}

void
memory_put(struct fs *fs, uint8_t *memory)
{
	*(void **)(void *)memory = fs->memory_free;
	fs->memory_free = memory;
}

/*
 * Pieces for a moment, of 64 bytes to 4 KiB: what every request needs and gives back.  malloc
 * makes and drops a group of its own for each size that is in use only now and then.
 */
enum { PIECE_KEPT = 32 };

#if defined(__SANITIZE_ADDRESS__)
#define CHECKED_MEMORY 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define CHECKED_MEMORY 1
#endif
#endif
#ifdef CHECKED_MEMORY
#include <sanitizer/asan_interface.h>
#define PIECE_FREE(at, bytes)	ASAN_POISON_MEMORY_REGION(at, bytes)
#define PIECE_USED(at, bytes)	ASAN_UNPOISON_MEMORY_REGION(at, bytes)
#else
#define PIECE_FREE(at, bytes)	((void)(at), (void)(bytes))
#define PIECE_USED(at, bytes)	((void)(at), (void)(bytes))
#endif

static unsigned
piece_class(size_t bytes)
{
	unsigned class = 0;

	while ((size_t)PIECE_LEAST << class < bytes)
		class++;
	return class;
}

void *
piece_get(struct fs *fs, size_t bytes)
{
	unsigned class = piece_class(bytes);
	struct pieces *kept;
	void *piece;

	if (class >= PIECE_CLASSES)
		return malloc(bytes);
	kept = &fs->pieces[class];
	if (kept->count == 0)
		return malloc((size_t)PIECE_LEAST << class);
	piece = kept->first;
	PIECE_USED(piece, PIECE_LEAST << class);
	kept->first = *(void **)piece;
	kept->count--;
	return piece;
}

void
piece_put(struct fs *fs, void *piece, size_t bytes)
{
	unsigned class = piece_class(bytes);
	struct pieces *kept;

	if (piece == NULL || class >= PIECE_CLASSES || fs->pieces[class].count == PIECE_KEPT) {
		free(piece);
		return;
	}
	kept = &fs->pieces[class];
	*(void **)piece = kept->first;
	kept->first = piece;
	kept->count++;
	PIECE_FREE(piece, PIECE_LEAST << class);
}

void
pieces_free(struct fs *fs)
{
	for (unsigned class = 0; class < PIECE_CLASSES; class++)
		while (fs->pieces[class].count != 0)
			free(piece_get(fs, (size_t)PIECE_LEAST << class));
}

/* ---- the disk ------------------------------------------------------------------- */

static size_t
request_bytes(unsigned segments)
{
	return sizeof(struct batch_request) + segments * sizeof(struct disk_segment);
}

static void
batch_done(struct disk_request *r)
{
	struct batch_request *request = r->context;
	struct batch *batch = request->batch;

	request->fs->requests--;
	if (r->result != 0 && batch->error == 0)
		batch->error = r->result;
	piece_put(request->fs, request, request_bytes(r->segments));
	if (--batch->pending == 0)
		fiber_wake_all(&batch->waiters);
}

/* Send one request; the segments are copied.  -ENOMEM when there is no memory
 * for it, and the batch has that error too. */
static int
submit(struct fs *fs, struct batch *batch, uint32_t op, uint32_t flags, uint64_t offset, uint64_t bytes,
    const struct disk_segment *segment, unsigned segments)
{
	struct batch_request *request;

	request = piece_get(fs, request_bytes(segments));
	if (request == NULL) {
		batch->error = -ENOMEM;
		return -ENOMEM;
	}
	memset(request, 0, sizeof *request);
	request->segment = (struct disk_segment *)(request + 1);
	if (segments != 0)
		memcpy(request->segment, segment, segments * sizeof *segment);
	request->fs = fs;
	request->batch = batch;
	request->disk.op = op;
	request->disk.flags = flags;
	request->disk.offset = offset;
	request->disk.segment = request->segment;
	request->disk.segments = segments;
	request->disk.bytes = bytes;
	request->disk.done = batch_done;
	request->disk.context = request;
	batch->pending++;
	fs->requests++;
	fs->disk->submit(fs->disk, &request->disk);
	return 0;
}

int
batch_submit(struct fs *fs, struct batch *batch, uint32_t op, uint32_t flags, uint64_t offset,
    const struct disk_segment *segment, unsigned segments)
{
	uint64_t bytes = 0;

	for (unsigned i = 0; i < segments; i++)
		bytes += segment[i].bytes;
	return submit(fs, batch, op, flags, offset, bytes, segment, segments);
}

int
batch_submit_range(struct fs *fs, struct batch *batch, uint32_t op, uint64_t offset, uint64_t bytes)
{
	return submit(fs, batch, op, 0, offset, bytes, NULL, 0);
}

int
batch_wait(struct batch *batch)
{
	while (batch->pending != 0)
		fiber_wait(&batch->waiters);
	return batch->error;
}

int
disk_flush(struct fs *fs)
{
	uint64_t written = fs->written;
	struct batch batch = { 0 };
	int error;

	batch_submit(fs, &batch, DISK_FLUSH, 0, 0, NULL, 0);
	error = batch_wait(&batch);
	if (error == 0 && written > fs->flushed)
		fs->flushed = written;
	return error;
}

int
disk_transfer(struct fs *fs, uint32_t op, uint32_t flags, uint64_t offset, void *memory,
    uint32_t bytes)
{
	struct disk_segment segment = { (uintptr_t)memory, bytes, DISK_OWN };
	struct batch batch = { 0 };

	batch_submit(fs, &batch, op, flags, offset, &segment, 1);
	return batch_wait(&batch);
}

/* ---- finding and giving up -------------------------------------------------------- */

static uint32_t
bucket_of(const struct fs *fs, uint64_t block)
{
	return (uint32_t)((block * 0x9e3779b97f4a7c15ULL) >> 40) & fs->bucket_mask;
}

static bool
age_linked(const struct fs *fs, const struct buffer *b)
{
	return b->older != NULL || b->newer != NULL || fs->oldest == b;
}

static void
age_remove(struct fs *fs, struct buffer *b)
{
	if (!age_linked(fs, b))
		return;
	if (b->older != NULL)
		b->older->newer = b->newer;
	else
		fs->oldest = b->newer;
	if (b->newer != NULL)
		b->newer->older = b->older;
	else
		fs->newest = b->older;
	b->older = b->newer = NULL;
}

static void
age_append(struct fs *fs, struct buffer *b)
{
	b->older = fs->newest;
	b->newer = NULL;
	if (fs->newest != NULL)
		fs->newest->newer = b;
	else
		fs->oldest = b;
	fs->newest = b;
}

struct buffer *
buffer_peek(struct fs *fs, uint64_t block)
{
	struct buffer *b = fs->bucket[bucket_of(fs, block)];

	while (b != NULL && b->block != block)
		b = b->hash_next;
	return b;
}

static void
buffer_free(struct fs *fs, struct buffer *b)
{
	struct buffer **link = &fs->bucket[bucket_of(fs, b->block)];

	while (*link != b)
		link = &(*link)->hash_next;
	*link = b->hash_next;
	age_remove(fs, b);
	memory_put(fs, b->data);
	free(b);
	fs->buffers--;
}

static void
make_room(struct fs *fs)
{
	struct buffer *b = fs->oldest, *next;

	for (; b != NULL && fs->buffers >= fs->buffers_max; b = next) {
		next = b->newer;
		buffer_free(fs, b);
	}
}

int
buffer_get(struct fs *fs, uint64_t block, struct buffer **buffer)
{
	struct buffer *b = buffer_peek(fs, block);
	uint32_t bucket = bucket_of(fs, block);

	if (b == NULL) {
		make_room(fs);
		b = calloc(1, sizeof *b);
		if (b == NULL)
			return -ENOMEM;
		b->data = memory_get(fs);
		if (b->data == NULL) {
			free(b);
			return -ENOMEM;
		}
		b->block = block;
		b->hash_next = fs->bucket[bucket];
		fs->bucket[bucket] = b;
		fs->buffers++;
	}
	age_remove(fs, b);
	b->refs++;
	*buffer = b;
	return 0;
}

void
buffer_put(struct fs *fs, struct buffer *b)
{
	if (b == NULL)
		return;
	if (--b->refs != 0)
		return;
	if (!b->valid)
		buffer_free(fs, b);
	else
		age_append(fs, b);
}

void
buffer_wait_io(struct buffer *b)
{
	while (b->reading || b->writing)
		fiber_wait(&b->waiters);
}

/* ---- reading ------------------------------------------------------------------------ */

struct buffer_io {
	struct disk_request disk;
	struct disk_segment segment;
	struct fs *fs;
	struct buffer *buffer;
};

static void
buffer_read_done(struct disk_request *r)
{
	struct buffer_io *io = r->context;
	struct buffer *b = io->buffer;
	struct fs *fs = io->fs;

	fs->requests--;
	b->reading = false;
	b->error = r->result;
	b->valid = r->result == 0;
	fiber_wake_all(&b->waiters);
	free(io);
	buffer_put(fs, b);
}

static int
buffer_start_read(struct fs *fs, struct buffer *b)
{
	struct buffer_io *io = calloc(1, sizeof *io);

	if (io == NULL)
		return -ENOMEM;
	b->refs++;
	b->reading = true;
	io->fs = fs;
	io->buffer = b;
	io->segment = (struct disk_segment){ (uintptr_t)b->data, fs->block_bytes, DISK_OWN };
	io->disk = (struct disk_request){
		.op = DISK_READ,
		.offset = b->block << fs->block_bits,
		.bytes = fs->block_bytes,
		.segment = &io->segment,
		.segments = 1,
		.done = buffer_read_done,
		.context = io,
	};
	fs->requests++;
	fs->disk->submit(fs->disk, &io->disk);
	return 0;
}

int
buffer_read(struct fs *fs, uint64_t block, struct buffer **buffer)
{
	struct buffer *b;
	int error;

	if (block >= fs->blocks)
		return fs_error(fs, -ECORRUPT, "block %llu is outside of the file system",
		    (unsigned long long)block);
	error = buffer_get(fs, block, &b);
	if (error != 0)
		return error;
	if (!b->valid && !b->reading)
		error = buffer_start_read(fs, b);
	while (b->reading)
		fiber_wait(&b->waiters);
	if (error == 0 && !b->valid) {
		error = b->error != 0 ? b->error : -EIO;
		say(fs, "block %llu cannot be read: error %d", (unsigned long long)block, -error);
		error = error == -ENOMEM ? error : -EIO;
	}
	if (error != 0) {
		buffer_put(fs, b);
		return error;
	}
	*buffer = b;
	return 0;
}

void
buffer_prefetch(struct fs *fs, uint64_t block)
{
	struct buffer *b;

	if (block >= fs->blocks || buffer_get(fs, block, &b) != 0)
		return;
	if (!b->valid && !b->reading)
		buffer_start_read(fs, b);
	buffer_put(fs, b);
}

/* ---- writing home --------------------------------------------------------------------- */

static int
buffer_order(const void *a, const void *b)
{
	uint64_t x = (*(struct buffer *const *)a)->block, y = (*(struct buffer *const *)b)->block;

	return x < y ? -1 : x > y;
}

struct write_io {
	struct disk_request disk;
	struct fs *fs;
	struct batch *batch;
	unsigned count;
	struct buffer *buffer[DISK_SEGMENTS];
	struct disk_segment segment[DISK_SEGMENTS];
};

static void
write_done(struct disk_request *r)
{
	struct write_io *io = r->context;
	struct batch *batch = io->batch;

	io->fs->requests--;
	for (unsigned i = 0; i < io->count; i++) {
		struct buffer *b = io->buffer[i];

		b->writing = false;
		b->error = r->result;
		if (r->result == 0)
			journal_written(io->fs, b);
		fiber_wake_all(&b->waiters);
		buffer_put(io->fs, b);
	}
	if (r->result != 0 && batch->error == 0)
		batch->error = r->result;
	free(io);
	if (--batch->pending == 0)
		fiber_wake_all(&batch->waiters);
}

static int
write_run(struct fs *fs, struct batch *batch, struct buffer **buffers, unsigned count)
{
	struct write_io *io = calloc(1, sizeof *io);

	if (io == NULL)
		return -ENOMEM;
	io->fs = fs;
	io->batch = batch;
	io->count = count;
	for (unsigned i = 0; i < count; i++) {
		struct buffer *b = buffers[i];

		b->refs++;
		age_remove(fs, b);
		b->writing = true;
		io->buffer[i] = b;
		io->segment[i] = (struct disk_segment){ (uintptr_t)b->data, fs->block_bytes, DISK_OWN };
	}
	io->disk = (struct disk_request){
		.op = DISK_WRITE,
		.offset = buffers[0]->block << fs->block_bits,
		.bytes = (uint64_t)count << fs->block_bits,
		.segment = io->segment,
		.segments = count,
		.done = write_done,
		.context = io,
	};
	batch->pending++;
	fs->requests++;
	fs->disk->submit(fs->disk, &io->disk);
	return 0;
}

int
buffers_write(struct fs *fs, struct buffer **buffers, size_t count)
{
	uint32_t limit = fs->disk->max_bytes == 0 ? DISK_SEGMENTS : fs->disk->max_bytes >> fs->block_bits;
	struct batch batch = { 0 };
	size_t run;
	int error = 0;

	if (limit > DISK_SEGMENTS)
		limit = DISK_SEGMENTS;
	if (limit == 0)
		limit = 1;
	qsort(buffers, count, sizeof *buffers, buffer_order);
	for (size_t at = 0; at < count && error == 0; at += run) {
		for (run = 1; run < limit && at + run < count; run++)
			if (buffers[at + run]->block != buffers[at]->block + run)
				break;
		error = write_run(fs, &batch, buffers + at, (unsigned)run);
	}
	batch_wait(&batch);
	return error != 0 ? error : batch.error;
}

void
cache_free(struct fs *fs)
{
	struct buffer *b, *next;
	void *slab;

	if (fs->bucket != NULL)
		for (uint32_t i = 0; i <= fs->bucket_mask; i++)
			for (b = fs->bucket[i]; b != NULL; b = next) {
				next = b->hash_next;
				free(b);
			}
	free(fs->bucket);
	fs->bucket = NULL;
	fs->oldest = fs->newest = NULL;
	fs->buffers = fs->dirty_buffers = 0;
	while ((slab = fs->slabs) != NULL) {
		fs->slabs = *(void **)slab;
		free(slab);
	}
	fs->memory_free = NULL;
}
