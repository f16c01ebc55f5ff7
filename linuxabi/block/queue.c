/* SPDX-License-Identifier: MIT */
/*
 * Requests to a disk through its channel.  The client library (tessera/block.h)
 * keeps the rings and sends again what a dead driver left; here is who waits, and
 * what waits for a tag.
 *
 * An operation is made page by page; pages that follow each other on the disk become
 * one request, pages that follow each other in memory one segment of it.  Answers
 * are taken in the bell's interrupt, or by who sends while they are there.
 */
#include "internal.h"

enum { PUMP_ROUNDS = 1000 };

static struct kcache *request_cache;

/* ---- statistics; disk->lock is held ---- */

static struct blk_dev *
part_at(const struct blk_medium *m, uint64_t position)
{
	struct blk_dev *d;

	list_for_each(d, &m->devs, in_medium)
		if (d->number != 0 && position >= d->start && position - d->start < d->size)
			return d;
	return NULL;
}

static void
stats_start(struct blk_stats *s, bool write, uint64_t now)
{
	if (s->in_flight[0] + s->in_flight[1] == 0)
		s->busy_since = now;
	s->in_flight[write]++;
}

static void
stats_end(struct blk_stats *s, const struct blk_request *r, bool write, uint64_t now)
{
	unsigned kind = r->io.op == BLOCK_READ ? 0 : r->io.op == BLOCK_DISCARD ? 2 : 1;

	/* a partition that appeared meanwhile did not see it begin */
	if (s->in_flight[write] != 0 && --s->in_flight[write] + s->in_flight[!write] == 0)
		s->busy_ns += now - s->busy_since;
	if (r->io.op == BLOCK_FLUSH) {
		s->flushes++;
		s->flush_ns += now - r->started_ns;
		return;
	}
	s->ios[kind]++;
	s->sectors[kind] += r->bytes / SECTOR;
	s->ns[kind] += now - r->started_ns;
}

static void
account(struct blk_request *r, bool end)
{
	struct blk_medium *m = r->op->medium;
	bool write = r->io.op != BLOCK_READ;
	uint64_t now = clock_monotonic();
	struct blk_dev *part;

	if (list_empty(&m->devs) || r->io.op == BLOCK_BIND)
		return;
	part = r->io.op != BLOCK_FLUSH ? part_at(m, r->io.block * m->facts.block_size) : NULL;
	if (end) {
		stats_end(&medium_whole(m)->stats, r, write, now);
		if (part != NULL)
			stats_end(&part->stats, r, write, now);
		return;
	}
	r->started_ns = now;
	stats_start(&medium_whole(m)->stats, write, now);
	if (part != NULL)
		stats_start(&part->stats, write, now);
}

/* ---- the channel; disk->lock is held ---- */

static void
request_done(struct blk_request *r)
{
	struct blk_op *op = r->op;

	account(r, true);
	list_add_tail(&op->done, &r->node);
	/* op is its waiter's, who takes disk->lock once more before it goes */
	if (--op->in_flight == 0)
		waitq_wake_all(&op->wait);
}

bool
facts_same_medium(const struct block_facts *a, const struct block_facts *b)
{
	if (a->state == BLOCK_NO_MEDIUM || b->state == BLOCK_NO_MEDIUM)
		return false;
	return a->blocks == b->blocks && a->block_size == b->block_size && a->first_block == b->first_block &&
	    a->part_number == b->part_number && memcmp(a->serial, b->serial, sizeof(a->serial)) == 0 &&
	    memcmp(a->model, b->model, sizeof(a->model)) == 0;
}

/* A request for a medium that was taken out never goes to the next one. */
static bool
medium_is_in(struct blk_disk *d, const struct blk_medium *m)
{
	(void)block_update(&d->client);
	if (d->client.changes != d->changes_checked && d->medium != NULL) {
		d->changes_checked = d->client.changes;
		d->fits = facts_same_medium(&d->medium->facts, &d->client.facts);
	}
	return m == d->medium && d->fits;
}

static void
send_waiting(struct blk_disk *d)
{
	while (!list_empty(&d->waiting)) {
		struct blk_request *r = list_first(&d->waiting, struct blk_request, node);

		if (medium_is_in(d, r->op->medium)) {
			if (!block_submit(&d->client, &r->io))
				return;
			list_del(&r->node);
			continue;
		}
		list_del(&r->node);
		r->io.status = BLOCK_ENOMEDIUM;
		request_done(r);
	}
}

/* True: ring. */
static bool
pump(struct blk_disk *d)
{
	bool ring = false;

	/* A peer that never comes to rest is broken; the next bell goes on. */
	for (unsigned n = 0; n < PUMP_ROUNDS; n++) {
		struct block_io *io;

		while ((io = block_reap(&d->client)) != NULL)
			request_done(container_of(io, struct blk_request, io));
		send_waiting(d);
		ring |= block_push(&d->client);
		if (block_rest(&d->client))
			break;
	}
	if (d->client.changes != d->changes_seen)
		blk_kick(d);
	return ring;
}

void
blk_set_medium(struct blk_disk *d, struct blk_medium *m)
{
	uint64_t irq = spin_lock_irqsave(&d->lock);

	d->medium = m;
	d->changes_checked = d->client.changes;
	d->fits = m != NULL && facts_same_medium(&m->facts, &d->client.facts);
	spin_unlock_irqrestore(&d->lock, irq);
}

void
blk_pump(struct blk_disk *d)
{
	uint64_t irq = spin_lock_irqsave(&d->lock);
	bool ring = d->attached && pump(d);

	spin_unlock_irqrestore(&d->lock, irq);
	if (ring)
		io_channel_ring(d->channel);
}

/*
 * The bell.  It also rings when some peer was built anew, so a server that may not know of
 * this client yet is told.
 */
static void
disk_bell(void *arg)
{
	struct blk_disk *d = arg;
	uint64_t irq = spin_lock_irqsave(&d->lock);
	bool ring = pump(d) || !d->client.open || !d->client.live;

	spin_unlock_irqrestore(&d->lock, irq);
	if (ring)
		io_channel_ring(d->channel);
}

void
blk_start(struct blk_disk *d)
{
	const struct world_channel *c = io_channel(d->channel);

	if (request_cache == NULL)
		request_cache = kcache_create("block_request", sizeof(struct blk_request), 64);
	if (request_cache == NULL)
		panic("no memory for block requests");
	d->attached = block_attach(&d->client, io_channel_memory(d->channel), c->size);
	if (!d->attached) {
		klog(LOG_ERR, "block: channel %.16s is no block channel", c->name);
		return;
	}
	io_channel_listen(d->channel, disk_bell, d);
	blk_pump(d);
	io_channel_ring(d->channel);
}

/* ---- requests ---- */

static void
request_free(struct blk_disk *d, struct blk_request *r)
{
	uint64_t irq;

	if (!r->spare) {
		kcache_free(request_cache, r);
		return;
	}
	irq = spin_lock_irqsave(&d->lock);
	d->spare_used = false;
	waitq_wake_all(&d->spare_wait);
	spin_unlock_irqrestore(&d->lock, irq);
}

static bool
spare_take(struct blk_disk *d)
{
	uint64_t irq = spin_lock_irqsave(&d->lock);
	bool got = !d->spare_used;

	d->spare_used = true;
	spin_unlock_irqrestore(&d->lock, irq);
	return got;
}

static long
status_error(uint32_t status)
{
	switch (status) {
	case BLOCK_OK:
		return 0;
	case BLOCK_EROFS:
		return -EROFS;
	case BLOCK_ENOTSUP:
		return -EOPNOTSUPP;
	case BLOCK_ENOMEDIUM:
		return -ENOMEDIUM;
	case BLOCK_ETIMEDOUT:
		return -ETIMEDOUT;
	case BLOCK_EBUSY:
		return -EBUSY;
	default:
		return -EIO;
	}
}

/* All that is in flight has come back; what it was is told and freed. */
static void
op_wait(struct blk_op *op)
{
	struct blk_medium *m = op->medium;
	struct blk_disk *d = m->disk;
	uint64_t irq;

	wait_event(&op->wait, READ_ONCE(op->in_flight) == 0);
	/* the one that woke us has left op when it has left the lock */
	irq = spin_lock_irqsave(&d->lock);
	spin_unlock_irqrestore(&d->lock, irq);
	while (!list_empty(&op->done)) {
		struct blk_request *r = list_first(&op->done, struct blk_request, node);
		long error = status_error(r->io.status);

		list_del(&r->node);
		if (error != 0 && op->error == 0)
			op->error = error;
		if (error != 0 && op->failed != NULL)
			op->failed(op->arg, r->io.block * m->facts.block_size, r->bytes, error);
		request_free(d, r);
	}
}

/* Without memory: what we have in flight comes back first, then the spare one serves. */
static struct blk_request *
request_new(struct blk_op *op, uint64_t position)
{
	struct blk_disk *d = op->medium->disk;
	struct blk_request *r = kcache_alloc(request_cache);
	bool spare = r == NULL;

	if (spare) {
		op_wait(op);
		wait_event(&d->spare_wait, spare_take(d));
		r = &d->spare;
	}
	r->io = (struct block_io){
		.block = position / op->medium->facts.block_size, .op = (uint16_t)op->op, .flags = (uint16_t)op->flags,
		.segment = r->segment,
	};
	list_init(&r->node);
	r->op = op;
	r->bytes = 0;
	r->spare = spare;
	return r;
}

static void
op_submit(struct blk_op *op)
{
	struct blk_disk *d = op->medium->disk;
	struct blk_request *r = op->open;
	uint64_t irq;
	bool ring;

	if (r == NULL)
		return;
	op->open = NULL;
	irq = spin_lock_irqsave(&d->lock);
	op->in_flight++;
	account(r, false);
	list_add_tail(&d->waiting, &r->node);
	ring = pump(d);
	spin_unlock_irqrestore(&d->lock, irq);
	if (ring)
		io_channel_ring(d->channel);
}

void
op_begin(struct blk_op *op, struct blk_medium *m, unsigned kind, unsigned flags)
{
	memset(op, 0, sizeof(*op));
	op->medium = m;
	op->op = kind;
	op->flags = flags;
	op->limit = m->facts.max_bytes / m->facts.block_size * m->facts.block_size;
	list_init(&op->done);
	waitq_init(&op->wait);
}

/* Memory that goes on where the last segment ended makes it longer. */
static bool
segment_add(struct blk_request *r, uint64_t address, uint32_t bytes)
{
	struct block_segment *s = r->io.segments != 0 ? &r->segment[r->io.segments - 1] : NULL;

	if (s != NULL && s->address + s->bytes == address) {
		s->bytes += bytes;
		return true;
	}
	if (r->io.segments == BLOCK_SEGMENTS)
		return false;
	r->segment[r->io.segments++] = (struct block_segment){ .address = address, .bytes = bytes };
	return true;
}

/* Does the request that is being made go on with this? */
static bool
open_takes(struct blk_op *op, uint64_t position, uint64_t address, uint32_t bytes)
{
	return op->open != NULL && op->position == position && op->open->bytes + bytes <= op->limit &&
	    segment_add(op->open, address, bytes);
}

static void
op_piece(struct blk_op *op, uint64_t position, uint64_t address, uint32_t bytes)
{
	if (!open_takes(op, position, address, bytes)) {
		op_submit(op);
		op->open = request_new(op, position);
		segment_add(op->open, address, bytes);
	}
	op->open->bytes += bytes;
	op->open->io.count = op->open->bytes / op->medium->facts.block_size;
	op->position = position + bytes;
}

void
op_page(struct blk_op *op, uint64_t position, const struct page *p, uint32_t bytes)
{
	uint64_t address = io_page_address(p, op->medium->disk->window);

	while (bytes > 0) {
		uint32_t n = (uint32_t)min((uint64_t)bytes, op->limit);

		op_piece(op, position, address, n);
		position += n;
		address += n;
		bytes -= n;
	}
}

/* Without data; requests count blocks in 32 bits, bytes here as well. */
void
op_range(struct blk_op *op, uint64_t position, uint64_t bytes)
{
	while (bytes > 0) {
		uint32_t n = (uint32_t)min(bytes, (uint64_t)1 << 30);

		op->open = request_new(op, position);
		op->open->bytes = n;
		op->open->io.count = n / op->medium->facts.block_size;
		op_submit(op);
		position += n;
		bytes -= n;
	}
}

void
op_bind(struct blk_op *op, uint64_t position, const struct block_bounds *bounds)
{
	op->open = request_new(op, position);
	op->open->io.bounds = bounds;
}

long
op_end(struct blk_op *op)
{
	op_submit(op);
	op_wait(op);
	return op->error;
}

long
blk_flush(struct blk_medium *m)
{
	struct blk_op op;

	if ((m->facts.flags & BLOCK_HAS_CACHE) == 0)
		return 0;
	op_begin(&op, m, BLOCK_FLUSH, 0);
	op.open = request_new(&op, 0);
	return op_end(&op);
}
