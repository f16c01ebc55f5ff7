/* SPDX-License-Identifier: MIT */
/*
 * Write-back of pages to file servers, fsync and sync, and what a new server is
 * told again.
 *
 * Dirty pages are on their node's list; a node with dirty pages, or with pages
 * that the server has not committed, is held (it has a reference) and on
 * disk->held.  A page's private_ is the transaction of its last write: while it is
 * above fs_channel.committed the page is unstable and stays.  One task writes a
 * node back at a time (node->flush), and it waits for all of its requests
 * before it lets go: so no two writes of a page are ever on their way, and sizes
 * change with none.
 *
 * Order that makes mmap's stores safe: PS_DIRTY is cleared first, then the page is
 * write-protected, then the disk reads it.  A store in between has marked it
 * dirty anew, or is in what the disk reads.
 */
#include "disk.h"
#include "reclaim.h"

enum {
	IN_FLIGHT = 16,				/* FS_WRITEs of one write-back at once */
	DIRTY_AGE_S = 5,			/* written when it is older */
	PASS_S = 1,
};

static uint64_t seconds(uint64_t n) { return n * 1000000000UL; }

/* ---- which pages are dirty ---- */

/* disk->lock held. */
static void
hold_locked(struct disk *d, struct disk_node *n)
{
	if (n->held)
		return;
	inode_get(n->inode);
	n->held = true;
	n->held_number = ++d->held_count;
	list_add_tail(&d->held, &n->on_held);
}

void
disk_hold(struct disk_node *n)
{
	struct disk *d = disk_of(n->inode->sb);

	spin_lock(&d->lock);
	hold_locked(d, n);
	spin_unlock(&d->lock);
}

bool
disk_page_dirty(struct disk_node *n, struct page *p)
{
	struct disk *d = disk_of(n->inode->sb);
	bool there;

	spin_lock(&d->lock);
	there = p->mapping == &n->mapping;
	if (there && (page_state_set(p, PS_DIRTY) & PS_DIRTY) == 0) {
		list_add_tail(&n->dirty, &p->lru);
		if (n->dirty_count++ == 0)
			n->dirty_since = clock_monotonic();
		d->dirty_pages++;
		hold_locked(d, n);
	}
	spin_unlock(&d->lock);
	return there;
}

/* Take a dirty page for writing: with a reference, PS_WRITING instead of PS_DIRTY.  disk->lock held. */
static void
page_claim(struct disk *d, struct disk_node *n, struct page *p)
{
	list_del(&p->lru);
	n->dirty_count--;
	d->dirty_pages--;
	d->writing_pages++;
	page_state_set(p, PS_WRITING);
	page_state_clear(p, PS_DIRTY);
}

/* ---- one run of pages ---- */

/* The dirty page at index, claimed; NULL: it is not there or not dirty. */
static struct page *
claim_at(struct disk *d, struct disk_node *n, uint64_t index)
{
	struct page *p = mapping_find(&n->mapping, index);
	bool got;

	if (p == NULL)
		return NULL;
	spin_lock(&d->lock);
	got = p->mapping == &n->mapping && (page_state(p) & PS_DIRTY) != 0;
	if (got)
		page_claim(d, n, p);
	spin_unlock(&d->lock);
	if (got)
		return p;
	page_put(p);
	return NULL;
}

/* Where the run that holds index begins: not further back than a request can reach. */
static uint64_t
run_first(struct disk_node *n, uint64_t index)
{
	uint64_t first = index;

	while (first > 0 && index - first < DISK_RUN / 2) {
		struct page *p = mapping_find(&n->mapping, first - 1);
		bool dirty = p != NULL && (page_state(p) & PS_DIRTY) != 0;

		if (p != NULL)
			page_put(p);
		if (!dirty)
			break;
		first--;
	}
	return first;
}

static uint64_t
first_dirty(struct disk *d, struct disk_node *n)
{
	uint64_t index = UINT64_MAX;

	spin_lock(&d->lock);
	if (!list_empty(&n->dirty))
		index = list_first(&n->dirty, struct page, lru)->index;
	spin_unlock(&d->lock);
	return index;
}

static bool
segment_add(struct fs_request *q, uint64_t address, uint32_t bytes)
{
	struct fs_segment *last = q->segments > 0 ? &q->segment[q->segments - 1] : NULL;

	if (last != NULL && last->address + last->bytes == address && last->bytes % PAGE_SIZE == 0) {
		last->bytes += bytes;
	} else {
		if (q->segments == FS_SEGMENTS)
			return false;
		q->segment[q->segments++] = (struct fs_segment){ .address = address, .bytes = bytes };
	}
	q->length += bytes;
	return true;
}

static uint64_t
page_offset_io(const struct disk_client *c, const struct page *p)
{
	return io_page_address(p, c->window) - IO_WINDOW(c->window);
}

/* How much of a page goes to the disk: to the end of the file, in whole blocks. */
static uint32_t
page_bytes(const struct disk *d, uint64_t index, uint64_t size)
{
	uint64_t from = index << PAGE_SHIFT, block = PAGE_SIZE / d->page_blocks;

	if (size >= from + PAGE_SIZE)
		return PAGE_SIZE;
	return size <= from ? 0 : (uint32_t)((size - from + block - 1) / block * block);
}

/* The page was claimed, but is not to be written: it lies behind the end. */
static void
page_unclaim(struct disk *d, struct page *p)
{
	spin_lock(&d->lock);
	d->writing_pages--;
	spin_unlock(&d->lock);
	page_state_clear(p, PS_WRITING);
	page_put(p);
}

/* Back on the list: the request is full. */
static void
page_return(struct disk *d, struct disk_node *n, struct page *p)
{
	disk_page_dirty(n, p);
	page_unclaim(d, p);
}

/* Fill the request with the run of dirty pages around index. */
static void
run_collect(struct disk *d, struct disk_node *n, struct disk_call *k, uint64_t index, bool *shared)
{
	struct fs_request *q = k->request;
	uint64_t at = run_first(n, index), size = READ_ONCE(n->inode->size);

	q->offset = at << PAGE_SHIFT;
	for (; k->page_count < DISK_RUN; at++) {
		struct page *p = claim_at(d, n, at);
		uint32_t bytes = page_bytes(d, at, size);

		if (p == NULL)
			break;
		if (bytes == 0) {
			page_unclaim(d, p);
			break;
		}
		if (!segment_add(q, page_offset_io(k->client, p), bytes)) {
			page_return(d, n, p);
			break;
		}
		*shared |= (page_state_clear(p, PS_SHARED) & PS_SHARED) != 0;
		if (page_state_clear(p, PS_RESERVED) & PS_RESERVED)
			q->reserved_blocks += d->page_blocks;
		k->pages[k->page_count++] = p;
		if (bytes < PAGE_SIZE)
			break;
	}
}

/* Stores behind the end of the file are not part of it. */
static void
tail_clear(struct disk_call *k, uint64_t size)
{
	uint64_t end = k->request->offset + ((uint64_t)k->page_count << PAGE_SHIFT);
	struct page *p = k->pages[k->page_count - 1];

	if (size < end && size > end - PAGE_SIZE)
		memset((char *)page_virt(p) + (size & (PAGE_SIZE - 1)), 0, end - size);
}

static void
write_describe(struct disk_node *n, struct fs_request *q)
{
	struct inode *i = n->inode;

	disk_name_inode(q, n);
	q->size = min(READ_ONCE(i->size), q->offset + q->length);
	q->valid = FS_SET_MTIME;
	q->mtime = (struct fs_time){ .seconds = i->mtime.tv_sec, .nanoseconds = (uint32_t)i->mtime.tv_nsec };
	q->now = (struct fs_time){ .seconds = i->ctime.tv_sec, .nanoseconds = (uint32_t)i->ctime.tv_nsec };
}

/* Send k, a FS_WRITE, for the dirty pages around index; NULL: there were none, and k has ended.  stable:
 * FS_STABLE, and what goes with it, if that is all there is to write. */
static struct disk_call *
write_start(struct disk *d, struct disk_node *n, struct disk_call *k, uint64_t index, uint32_t stable)
{
	bool shared = false;

	k->pages = kmalloc(DISK_RUN * sizeof(k->pages[0]));
	if (k->pages != NULL)
		run_collect(d, n, k, index, &shared);
	if (k->page_count == 0) {
		disk_call_end(k);
		return NULL;
	}
	if (shared)
		mapping_protect(&n->mapping, k->pages[0]->index, k->pages[k->page_count - 1]->index);
	tail_clear(k, READ_ONCE(n->inode->size));
	write_describe(n, k->request);
	k->mapping = &n->mapping;
	if (stable != 0 && READ_ONCE(n->dirty_count) == 0)
		k->request->flags = stable;
	disk_call_start(k);
	return k;
}

void
disk_error(struct disk_node *n, long error)
{
	n->error = (uint32_t)-error;
	__atomic_fetch_add(&n->error_seq, 1, __ATOMIC_RELEASE);
	klog(LOG_ERR, "ext4: inode %u: what was written is lost: error %ld", n->number, -error);
}

static void node_written(struct disk_node *n) { __atomic_fetch_add(&n->written, 1, __ATOMIC_ACQ_REL); }

/* So many writes are stable. */
static void
node_synced(struct disk_node *n, uint64_t count)
{
	uint64_t was = __atomic_load_n(&n->synced, __ATOMIC_RELAXED);

	while (was < count &&
	    !__atomic_compare_exchange_n(&n->synced, &was, count, true, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED))
		;
}

/* The answer is there: the pages are on the disk, or lost.  node->flush held; in the order of write_start. */
static void
write_finish(struct disk *d, struct disk_node *n, struct disk_call *k)
{
	long r = disk_call_wait(k);
	uint64_t blocks = k->request->reserved_blocks;

	if (r >= 0 && (uint64_t)r < k->request->length)
		r = -EIO;
	if (blocks != 0)
		__atomic_fetch_sub(&n->promised_pages, (uint32_t)blocks / d->page_blocks, __ATOMIC_RELAXED);
	if (r >= 0) {
		uint64_t had = n->server.blocks;

		/* Answers come in any order: of sizes and blocks the largest is the last. */
		k->answer.attributes.blocks = max(k->answer.attributes.blocks, had);
		disk_node_update(n, &k->answer);
		if (k->answer.attributes.size > n->server.size)
			WRITE_ONCE(n->server.size, k->answer.attributes.size);
		if (k->request->size > n->server.size)
			WRITE_ONCE(n->server.size, k->request->size);
		/* A stable one was sent when all that are counted were answered. */
		if (k->request->flags == 0)
			node_written(n);
		else
			node_synced(n, __atomic_load_n(&n->written, __ATOMIC_ACQUIRE));
		disk_hold(n);
	} else {
		node_written(n);
		disk_error(n, r);
		disk_node_blocks(n);
	}
	for (unsigned i = 0; i < k->page_count; i++) {
		if (r >= 0)
			page_state_set(k->pages[i], PS_BLOCK);
		page_state_clear(k->pages[i], PS_WRITING);
	}
	spin_lock(&d->lock);
	d->writing_pages -= k->page_count;
	d->promised -= min(d->promised, blocks);
	spin_unlock(&d->lock);
	disk_call_end(k);
	waitq_wake_all(&d->throttle_wait);
}

/* Writes of one write-back that are on their way, or answered. */
struct flight {
	struct disk_call *sent[IN_FLIGHT];
	unsigned head, tail;
};

static void
flight_finish(struct disk *d, struct disk_node *n, struct flight *f)
{
	write_finish(d, n, f->sent[f->head++ % IN_FLIGHT]);
}

/* A call for the next write.  Whoever has some finishes them before it waits for another slot: many at once
 * would wait for each other's. */
static struct disk_call *
flight_call(struct disk *d, struct disk_node *n, struct flight *f)
{
	struct disk_call *k = NULL;

	while (f->head != f->tail && k == NULL) {
		if (f->tail - f->head < IN_FLIGHT)
			k = disk_call_try(d->client, FS_WRITE);
		if (k == NULL)
			flight_finish(d, n, f);
	}
	return k != NULL ? k : disk_call_begin(d->client, FS_WRITE);
}

/* What was dirty when we came; who dirties on and on is not waited for. */
static long
flush_locked(struct disk_node *n, uint32_t stable)
{
	struct disk *d = disk_of(n->inode->sb);
	struct flight f = { .head = 0 };
	uint64_t seq = n->error_seq, left = READ_ONCE(n->dirty_count);

	while (left > 0) {
		uint64_t index = first_dirty(d, n);
		struct disk_call *k;

		if (index == UINT64_MAX)
			break;
		k = flight_call(d, n, &f);
		k = write_start(d, n, k, index, f.tail == f.head ? stable : 0);
		if (k == NULL) {
			if (f.tail == f.head && first_dirty(d, n) == index && READ_ONCE(n->dirty_count) != 0)
				break;		/* no memory for a request */
			left -= left > 0;
			continue;
		}
		left -= min(left, (uint64_t)k->page_count);
		f.sent[f.tail++ % IN_FLIGHT] = k;
	}
	while (f.head != f.tail)
		flight_finish(d, n, &f);
	spin_lock(&d->lock);
	n->dirty_since = n->dirty_count != 0 ? clock_monotonic() : 0;
	spin_unlock(&d->lock);
	return n->error_seq != seq ? -(long)n->error : 0;
}

long disk_flush_locked(struct disk_node *n) { return flush_locked(n, 0); }

/* Nothing is dirty and nothing on its way: under the lock, since a page goes from one count to the other. */
static bool
node_idle(struct disk_node *n)
{
	struct disk *d = disk_of(n->inode->sb);
	bool idle;

	spin_lock(&d->lock);
	idle = n->dirty_count == 0 && d->writing_pages == 0;
	spin_unlock(&d->lock);
	return idle;
}

static long
flush_node(struct disk_node *n, uint32_t stable)
{
	long r;

	if (node_idle(n))
		return 0;
	mutex_lock(&n->flush);
	r = flush_locked(n, stable);
	mutex_unlock(&n->flush);
	return r;
}

long disk_flush_node(struct disk_node *n) { return flush_node(n, 0); }

/* ---- fsync, sync ---- */

/* The first dirty page from `index` on; UINT64_MAX: none before end. */
static uint64_t
next_dirty(struct disk_node *n, uint64_t index, uint64_t end)
{
	for (; index < end; index++) {
		struct page *p = mapping_next(&n->mapping, &index);
		bool dirty = p != NULL && (page_state(p) & PS_DIRTY) != 0;

		if (p == NULL)
			break;
		page_put(p);
		if (dirty && index < end)
			return index;
	}
	return UINT64_MAX;
}

/* What is dirty in the range, with what lies in one row with it.  node->flush held. */
static void
flush_range(struct disk_node *n, uint64_t first, uint64_t end)
{
	struct disk *d = disk_of(n->inode->sb);
	struct flight f = { .head = 0 };

	for (uint64_t at = first; (at = next_dirty(n, at, end)) != UINT64_MAX; at++) {
		struct disk_call *k = write_start(d, n, flight_call(d, n, &f), at, 0);

		if (k != NULL)
			f.sent[f.tail++ % IN_FLIGHT] = k;
		cond_resched();
	}
	while (f.head != f.tail)
		flight_finish(d, n, &f);
}

/* Whoever writes pages holds node->flush, so with it none of the range is under way.  The write itself is waited
 * for as well: Linux does when its queue is full. */
long
disk_write_range(struct file *f, uint64_t from, uint64_t to, bool write, bool wait)
{
	struct disk_node *n = disk_node(f->inode);

	if (!node_idle(n)) {
		mutex_lock(&n->flush);
		if (write)
			flush_range(n, from >> PAGE_SHIFT, PAGE_UP(to) >> PAGE_SHIFT);
		mutex_unlock(&n->flush);
	}
	return wait ? disk_error_seen(f) : 0;
}

long
disk_error_seen(struct file *f)
{
	struct disk_node *n = disk_node(f->inode);
	uint64_t now = READ_ONCE(n->error_seq);

	if (!is_type(f->inode, S_IFREG) || (uint64_t)f->private_ == now)
		return 0;
	f->private_ = (void *)now;
	return -(long)n->error;
}

static bool
node_stable(const struct disk_node *n, const struct disk_client *c)
{
	return __atomic_load_n(&n->last_transaction, __ATOMIC_RELAXED) <= disk_committed(c);
}

long
disk_fsync(struct file *f, bool datasync)
{
	struct inode *i = f->inode;
	struct disk_node *n = disk_node(i);
	struct disk_client *c = disk_of(i->sb)->client;
	struct disk_call *k;
	uint64_t written;
	long r = 0, e;

	/* A single request writes and syncs, if there is but one. */
	if (i->mapping != NULL)
		flush_node(n, datasync ? FS_STABLE | FS_DATASYNC : FS_STABLE);
	if (!datasync)
		r = disk_push_attributes(i);
	written = __atomic_load_n(&n->written, __ATOMIC_ACQUIRE);
	/* What another fsync is just asking for is not stable before it has the answer. */
	if (r == 0 && (__atomic_load_n(&n->synced, __ATOMIC_ACQUIRE) < written || !node_stable(n, c))) {
		k = disk_call_begin(c, FS_FSYNC);
		disk_name_inode(k->request, n);
		k->request->flags = datasync ? FS_DATASYNC : 0;
		r = disk_call_finish(k);
		disk_call_end(k);
		if (r >= 0)
			node_synced(n, written);
	}
	e = disk_error_seen(f);
	return e < 0 ? e : r < 0 ? r : 0;
}

/* ---- nodes that are held ---- */

/* A walk over what is held. */
struct held_walk {
	uint64_t last;			/* the last held_number of interest */
	struct disk_node *at;		/* with a reference on its inode; NULL: it begins */
	uint64_t number;		/* it was held as */
};

/* disk->lock held.  The list may have let go of where the walk stands, and taken it again. */
static struct list *
held_after(struct disk *d, const struct held_walk *w)
{
	struct list *at = d->held.next;

	if (w->at != NULL && w->at->held && w->at->held_number == w->number)
		return w->at->on_held.next;
	while (at != &d->held && list_entry(at, struct disk_node, on_held)->held_number <= w->number)
		at = at->next;
	return at;
}

/* The next held node, which the walk has a reference on until the one after it; NULL: the end. */
static struct disk_node *
held_next(struct disk *d, struct held_walk *w)
{
	struct disk_node *last = w->at, *n = NULL;
	struct list *at;

	spin_lock(&d->lock);
	at = held_after(d, w);
	if (at != &d->held && list_entry(at, struct disk_node, on_held)->held_number <= w->last) {
		n = list_entry(at, struct disk_node, on_held);
		w->number = n->held_number;
		inode_get(n->inode);	/* the list has one */
	}
	spin_unlock(&d->lock);
	w->at = n;
	if (last != NULL)
		inode_put(last->inode);
	return n;
}

/* Nothing left to do for it: the list lets go. */
static void
node_settle(struct disk *d, struct disk_node *n)
{
	bool let_go;

	spin_lock(&d->lock);
	let_go = n->held && n->dirty_count == 0 && node_stable(n, d->client);
	if (let_go) {
		n->held = false;
		list_del(&n->on_held);
	}
	spin_unlock(&d->lock);
	if (let_go)
		inode_put(n->inode);
}

/* No name, nobody has it open: its pages need not be written. */
static bool
node_abandoned(struct disk_node *n, int32_t ours)
{
	return n->inode->nlink == 0 && ref_read(&n->inode->refs) == ours;
}

static void
node_abandon(struct disk *d, struct disk_node *n)
{
	bool let_go;

	mutex_lock(&n->flush);
	mapping_truncate(&n->mapping, 0, UINT64_MAX);
	mutex_unlock(&n->flush);
	spin_lock(&d->lock);
	let_go = n->held && n->dirty_count == 0;
	if (let_go) {
		n->held = false;
		list_del(&n->on_held);
	}
	spin_unlock(&d->lock);
	if (let_go)
		inode_put(n->inode);
}

/* inode_put's caller has one reference, the list the other: the file ends here. */
void
disk_last_user(struct inode *i)
{
	struct disk_node *n = disk_node(i);

	if (READ_ONCE(n->held) && !list_empty(&i->hash))
		node_abandon(disk_of(i->sb), n);
}

/* What is held, clean and stable goes. */
void
disk_settle(struct disk *d)
{
	struct held_walk w = { .last = UINT64_MAX };
	struct disk_node *n, *next;

	for (n = held_next(d, &w); n != NULL; n = next) {
		struct inode *i = n->inode;

		inode_get(i);
		next = held_next(d, &w);
		if (node_abandoned(n, 2))
			node_abandon(d, n);
		else
			node_settle(d, n);
		inode_put(i);
	}
}

static void
flush_held(struct disk *d, bool all)
{
	uint64_t now = clock_monotonic();
	struct held_walk w = { .last = READ_ONCE(d->held_count) };	/* who holds anew is not waited for */
	struct disk_node *n;

	while ((n = held_next(d, &w)) != NULL) {
		uint64_t since = READ_ONCE(n->dirty_since);

		if (node_abandoned(n, 2))
			continue;	/* disk_settle drops it */
		if (READ_ONCE(n->dirty_count) != 0 && (all || now - since >= seconds(DIRTY_AGE_S)))
			disk_flush_node(n);
	}
}

static void
push_all(struct disk *d)
{
	struct inode *i = NULL;
	unsigned bucket = 0;

	while ((i = disk_inode_next(d, &bucket, i)) != NULL)
		if (i->nlink != 0)
			disk_push_attributes(i);
}

long
disk_sync(struct super *sb)
{
	struct disk *d = disk_of(sb);
	long r;

	if (d->client->channel->read_only)
		return 0;
	flush_held(d, true);
	push_all(d);
	r = disk_simple(d->client, FS_SYNC, 0);
	disk_settle(d);
	return r < 0 ? r : 0;
}

bool
disk_make_room(struct disk *d)
{
	disk_settle(d);
	flush_held(d, true);
	disk_settle(d);
	/* Blocks freed in a running transaction are free when it is committed. */
	return disk_simple(d->client, FS_SYNC, 0) >= 0;
}

/* ---- the flusher ---- */

/* Shares of the memory that may be dirty: from the first on it is written, at the second writers wait. */
static uint64_t dirty_background(void) { return pages_total() / 16; }
static uint64_t dirty_limit(void) { return pages_total() / 6; }

static bool
too_dirty(struct disk *d)
{
	return READ_ONCE(d->dirty_pages) + READ_ONCE(d->writing_pages) > dirty_limit();
}

void
disk_throttle(struct disk *d)
{
	if (likely(READ_ONCE(d->dirty_pages) < dirty_background()))
		return;
	WRITE_ONCE(d->flush_now, true);
	waitq_wake_all(&d->flusher_wait);
	if (too_dirty(d))
		(void)wait_event_killable(&d->throttle_wait, !too_dirty(d) || READ_ONCE(d->stopping));
}

void
disk_pass(struct disk *d, bool all)
{
	flush_held(d, all);
	/* Memory is short: what is written is ours to keep until it is committed. */
	if (__atomic_exchange_n(&d->commit_now, false, __ATOMIC_ACQ_REL))
		disk_simple(d->client, FS_SYNC, 0);
	disk_settle(d);
}

static void
flusher_main(void *arg)
{
	struct disk *d = arg;

	while (!READ_ONCE(d->stopping)) {
		bool all;

		wait_event_timeout(&d->flusher_wait, READ_ONCE(d->flush_now) || READ_ONCE(d->stopping),
		    clock_monotonic() + seconds(PASS_S));
		all = __atomic_exchange_n(&d->flush_now, false, __ATOMIC_ACQ_REL);
		disk_pass(d, all);
	}
	WRITE_ONCE(d->stopped, true);
	waitq_wake_all(&d->throttle_wait);
	task_exit(0);
}

/* A task of its own for a new server, since the flusher may be waiting for the old one. */
static void
watcher_main(void *arg)
{
	struct disk *d = arg;
	struct disk_client *c = d->client;

	while (!READ_ONCE(d->leaving)) {
		wait_event_timeout(&c->news, disk_client_new_epoch(c) || READ_ONCE(d->leaving), clock_monotonic() + seconds(PASS_S));
		disk_client_recover_if_new(c);
	}
	WRITE_ONCE(d->watcher_stopped, true);
	waitq_wake_all(&d->throttle_wait);
	task_exit(0);
}

bool
disk_flusher_start(struct disk *d)
{
	if (kthread_create("ext4-recover", watcher_main, d) == NULL)
		return false;
	if (kthread_create("ext4-flush", flusher_main, d) != NULL)
		return true;
	disk_watcher_stop(d);
	return false;
}

void
disk_flusher_stop(struct disk *d)
{
	WRITE_ONCE(d->stopping, true);
	waitq_wake_all(&d->flusher_wait);
	wait_event(&d->throttle_wait, READ_ONCE(d->stopped));
}

/* When everything that was sent has been answered: so long a server may die and be told. */
void
disk_watcher_stop(struct disk *d)
{
	disk_client_drain(d->client);
	WRITE_ONCE(d->leaving, true);
	waitq_wake_all(&d->client->news);
	wait_event(&d->throttle_wait, READ_ONCE(d->watcher_stopped));
}

/* ---- a new server (proto/fs.h, Deaths) ---- */

/* One call of the recovery: false when this server died as well. */
static bool
told(struct disk_call *k, const char *what)
{
	long r = disk_call_finish(k);

	disk_call_end(k);
	if (r < 0 && r != -EAGAIN)
		klog(LOG_ERR, "ext4: the new file server refuses %s: error %ld", what, -r);
	return r != -EAGAIN;
}

static bool
tell_holds(struct disk *d)
{
	struct inode *i = NULL;
	unsigned bucket = 0;
	bool alive = true;

	while ((i = disk_inode_next(d, &bucket, i)) != NULL) {
		struct disk_call *k;

		if ((i->nlink != 0 && !READ_ONCE(disk_node(i)->losing)) || !alive)
			continue;
		k = disk_call_recovery(d->client, FS_HOLD);
		disk_name_inode(k->request, disk_node(i));
		alive = told(k, "an inode without a name");
	}
	return alive;
}

static bool
tell_reservations(struct disk *d)
{
	uint64_t blocks = READ_ONCE(d->pool) + READ_ONCE(d->promised), used = disk_client_used_up(d->client);
	struct disk_call *k;

	blocks -= min(blocks, used);
	if (blocks == 0)
		return true;
	k = disk_call_recovery(d->client, FS_RESERVE);
	k->request->length = blocks;
	return told(k, "our reservation");
}

static bool
page_unstable(struct disk *d, struct page *p)
{
	return p->private_ > disk_committed(d->client) && (page_state(p) & (PS_READING | PS_ERROR)) == 0;
}

/* Unstable pages in a row from *index on, into the request; references go to the call. */
static void
unstable_collect(struct disk *d, struct disk_node *n, struct disk_call *k, uint64_t *index)
{
	struct fs_request *q = k->request;
	uint64_t size = READ_ONCE(n->inode->size);

	while (k->page_count < DISK_RUN) {
		uint64_t at = *index;
		struct page *p = mapping_next(&n->mapping, &at);
		uint32_t bytes = p != NULL ? page_bytes(d, at, size) : 0;

		if (p == NULL || bytes == 0) {
			if (p != NULL)
				page_put(p);
			*index = k->page_count == 0 ? UINT64_MAX : *index;
			return;
		}
		if (k->page_count != 0 && at != *index) {
			page_put(p);
			return;
		}
		if (!page_unstable(d, p)) {
			page_put(p);
			*index = at + 1;
			if (k->page_count != 0)
				return;
			continue;
		}
		if (k->page_count == 0)
			q->offset = at << PAGE_SHIFT;
		if (!segment_add(q, page_offset_io(k->client, p), bytes)) {
			page_put(p);
			return;
		}
		k->pages[k->page_count++] = p;
		*index = at + 1;
		if (bytes < PAGE_SIZE)
			return;
	}
}

/* Writes told again are on their way side by side, as many as there are spare slots but one. */
enum { TELL_IN_FLIGHT = DISK_SPARE_SLOTS - 1 };
struct telling {
	struct disk *d;
	bool alive;			/* this server has not died as well */
	bool failed;			/* a write did, and so did not tell of the size */
	unsigned head, tail;
	struct { struct disk_call *call; struct disk_node *node; } sent[TELL_IN_FLIGHT];
};

/*
 * The answer to the oldest.  Recovery's references on inodes are never the last: the list
 * of what is held has one until what was told now is committed.
 */
static void
tell_finish(struct telling *t)
{
	unsigned at = t->head++ % TELL_IN_FLIGHT;
	struct disk_call *k = t->sent[at].call;
	struct disk_node *n = t->sent[at].node;
	long r = disk_call_wait(k);

	if (r >= 0)
		disk_node_changed(n, k->answer.transaction);
	else if (r == -EAGAIN)
		t->alive = false;
	else
		disk_error(n, r);
	t->failed |= r < 0;
	disk_call_end(k);
	inode_put(n->inode);
}

static void
tell_start(struct telling *t, struct disk_node *n, struct disk_call *k)
{
	unsigned at = t->tail++ % TELL_IN_FLIGHT;

	inode_get(n->inode);
	t->sent[at].call = k;
	t->sent[at].node = n;
	disk_call_start(k);
}

static struct disk_call *
tell_call(struct telling *t)
{
	if (t->tail - t->head == TELL_IN_FLIGHT)
		tell_finish(t);
	return disk_call_recovery(t->d->client, FS_WRITE);
}

/* The next unstable pages in a row from *index on; *index is UINT64_MAX behind the last. */
static void
tell_run(struct telling *t, struct disk_node *n, uint64_t *index, uint64_t *size)
{
	struct disk_call *k = tell_call(t);
	bool memory;

	k->pages = kmalloc(DISK_RUN * sizeof(k->pages[0]));
	memory = k->pages != NULL;
	if (memory)
		unstable_collect(t->d, n, k, index);
	if (k->page_count == 0) {
		disk_call_end(k);
		if (!memory) {
			task_prepare_wait(TASK_UNINTERRUPTIBLE);
			task_wait(clock_monotonic() + 10000000);
			task_finish_wait();
		}
		return;
	}
	write_describe(n, k->request);
	/* If the old server did this, it is not done after our write. */
	disk_client_unanswered_mtime(t->d->client, k->request);
	*size = max(*size, k->request->size);
	tell_start(t, n, k);
}

/*
 * The write that made the file as long as it is may have been in no transaction that
 * was committed, and its page may be gone since: a hole was punched there.  What is
 * about to change the size has set ours already if it makes it smaller.
 * told_of: what the server will know when it has done what was told before.
 */
static void
tell_size(struct telling *t, struct disk_node *n, uint64_t told_of)
{
	uint64_t size = min(READ_ONCE(n->inode->size), READ_ONCE(n->server.size));
	struct disk_call *k;

	if (size <= told_of || node_stable(n, t->d->client))
		return;
	k = tell_call(t);
	disk_name_inode(k->request, n);
	k->request->size = size;
	tell_start(t, n, k);
}

static void
tell_held(struct telling *t, bool pages)
{
	struct held_walk w = { .last = UINT64_MAX };
	struct disk_node *n;

	while ((n = held_next(t->d, &w)) != NULL) {
		uint64_t index = 0, size = 0;

		while (pages && t->alive && n->inode->mapping != NULL && index != UINT64_MAX)
			tell_run(t, n, &index, &size);
		if (t->alive && n->inode->mapping != NULL)
			tell_size(t, n, size);
	}
	while (t->head != t->tail)
		tell_finish(t);
}

static bool
tell_writes(struct disk *d)
{
	struct telling t = { .d = d, .alive = true };

	tell_held(&t, true);
	if (t.alive && t.failed)
		tell_held(&t, false);
	return t.alive;
}

void
disk_recover(struct disk_client *c)
{
	struct disk *d = c->disk;
	uint64_t begun = clock_monotonic();
	bool alive = tell_holds(d) && tell_reservations(d) && tell_writes(d);

	struct disk_call *k;

	if (!alive)
		return;
	k = disk_call_recovery(c, FS_RECOVERED);
	k->request->offset = disk_client_first_unanswered(c);
	if (told(k, "the end of recovery"))
		klog(LOG_NOTICE, "ext4: a new file server took over; told it all in %lu ms",
		    (unsigned long)(clock_monotonic() - begun) / 1000000);
}
