/* SPDX-License-Identifier: MIT */
/*
 * Requests to a file server and its answers (proto/fs.h): slots, the two rings,
 * and what becomes of them when the server dies.
 *
 * client->lock protects rings and calls.  Answers are taken in the bell's
 * interrupt; a call is waited for by its task, or has a function that ends it.
 * Between a server's death and FS_RECOVERED what is to be sent waits, except what
 * recovery itself sends, for which the last slots are kept; the two before them are for
 * what page faults need.
 */
#include "disk.h"

enum { HEADER = __builtin_offsetof(struct fs_request, segment) };

static bool
op_changes(uint32_t op)
{
	switch (op) {
	case FS_CREATE: case FS_LINK: case FS_UNLINK: case FS_RMDIR: case FS_RENAME: case FS_SETATTR:
	case FS_EVICT: case FS_WRITE: case FS_FALLOCATE: case FS_SETXATTR: case FS_REMOVEXATTR:
		return true;
	default:
		return false;
	}
}

static unsigned call_slot(const struct disk_call *k) { return (unsigned)(k - k->client->call); }

/* ---- slots ---- */

static struct disk_call *
call_take(struct disk_client *c, unsigned spare)
{
	struct disk_call *k = NULL;
	uint64_t irq = spin_lock_irqsave(&c->lock);

	for (unsigned i = 0; i < FS_SLOTS && c->slots_free > spare; i++)
		if (c->call[i].state == CALL_FREE) {
			k = &c->call[i];
			k->state = CALL_FILLING;
			c->slots_free--;
			break;
		}
	spin_unlock_irqrestore(&c->lock, irq);
	return k;
}

static struct disk_call *
call_prepare(struct disk_call *k, enum fs_op op)
{
	memset(k->request, 0, HEADER);
	k->request->op = op;
	disk_request_now(k->request);
	k->done = NULL;
	k->parts = 0;
	k->pages = NULL;
	k->page_count = 0;
	k->mapping = NULL;
	k->recovery = false;
	return k;
}

/* Slots that the operation leaves to others.  What may go further ends by itself, or with its task, which
 * takes no lock meanwhile. */
static unsigned
slots_left(enum fs_op op)
{
	return DISK_SPARE_SLOTS + (op == FS_READ || op == FS_RESERVE ? 0 : DISK_FAULT_SLOTS);
}

struct disk_call *
disk_call_try(struct disk_client *c, enum fs_op op)
{
	struct disk_call *k = call_take(c, DISK_SPARE_SLOTS + DISK_FAULT_SLOTS);

	return k != NULL ? call_prepare(k, op) : NULL;
}

struct disk_call *
disk_call_begin(struct disk_client *c, enum fs_op op)
{
	struct disk_call *k = NULL;

	wait_event(&c->slots_wait, (k = call_take(c, slots_left(op))) != NULL);
	return call_prepare(k, op);
}

struct disk_call *
disk_call_recovery(struct disk_client *c, enum fs_op op)
{
	struct disk_call *k = NULL;

	wait_event(&c->slots_wait, (k = call_take(c, 0)) != NULL);
	call_prepare(k, op);
	k->recovery = true;
	k->epoch = c->epoch;
	return k;
}

void
disk_call_end(struct disk_call *k)
{
	struct disk_client *c = k->client;
	uint64_t irq;

	for (unsigned i = 0; i < k->page_count; i++)
		page_put(k->pages[i]);
	kfree(k->pages);
	k->pages = NULL;
	k->page_count = 0;
	irq = spin_lock_irqsave(&c->lock);
	k->state = CALL_FREE;
	c->slots_free++;
	spin_unlock_irqrestore(&c->lock, irq);
	waitq_wake_all(&c->slots_wait);
}

void disk_call_detach(struct disk_call *k) { disk_call_end(k); }

/* ---- the page ---- */

static void
parts_write(struct disk_call *k)
{
	size_t at = 0;

	for (unsigned i = 0; i < k->parts; i++) {
		memcpy(k->page + at, k->part[i].bytes, k->part[i].size);
		at += k->part[i].size;
	}
}

void
disk_call_part(struct disk_call *k, const void *bytes, size_t size)
{
	assert(k->parts < DISK_NAMES);
	k->part[k->parts].bytes = bytes;
	k->part[k->parts++].size = size;
}

void disk_call_name(struct disk_call *k, const char *name) { disk_call_part(k, name, strlen(name) + 1); }

/* ---- sending; client->lock held ---- */

static void
ring_put(struct disk_client *c, struct disk_call *k)
{
	struct fs_ring *r = &c->channel->requests;
	uint32_t tail = r->tail;

	/* If a new server comes at this very moment, the entry shows that it is not for that one. */
	r->slot[tail % FS_SLOTS] = FS_ENTRY(call_slot(k), c->epoch);
	/* The slot's contents and its entry before the tail: partner is the server's load. */
	__atomic_store_n(&r->tail, tail + 1, __ATOMIC_RELEASE);
	k->state = CALL_SENT;
}

/* Orders the store of tail before the load of reader_waits: as in tessera/ring.h. */
static bool
ring_wants_bell(struct fs_ring *r)
{
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	if (__atomic_load_n(&r->reader_waits, __ATOMIC_RELAXED) == 0)
		return false;
	__atomic_store_n(&r->reader_waits, 0, __ATOMIC_RELAXED);
	return true;
}

static void
call_fail(struct disk_call *k, long error)
{
	memset(&k->answer, 0, sizeof(k->answer));
	k->answer.result = error;
	k->state = CALL_DONE;
}

static void
call_completed(struct disk_call *k)
{
	if (k->done != NULL)
		k->done(k);
	else
		waitq_wake_all(&k->wait);
}

void
disk_call_start(struct disk_call *k)
{
	struct disk_client *c = k->client;
	bool bell = false, failed = false;
	uint64_t irq;

	parts_write(k);
	irq = spin_lock_irqsave(&c->lock);
	if (op_changes(k->request->op))
		k->request->sequence = ++c->sequence;
	if (c->dead) {
		call_fail(k, -EIO);
		failed = true;
	} else if (!k->recovery && (c->recovering || disk_client_new_epoch(c))) {
		c->recovering = c->recovering || disk_client_new_epoch(c);
		k->state = CALL_WAITING;
	} else {
		ring_put(c, k);
		bell = ring_wants_bell(&c->channel->requests);
	}
	spin_unlock_irqrestore(&c->lock, irq);
	if (bell)
		io_channel_ring((unsigned)c->number);
	if (failed)
		call_completed(k);
}

/* A recovery call of a server that died meanwhile has no answer any more. */
static bool
call_over(struct disk_call *k)
{
	return READ_ONCE(k->state) == CALL_DONE || (k->recovery && disk_client_new_epoch(k->client));
}

long
disk_call_wait(struct disk_call *k)
{
	uint64_t irq;
	long r;

	wait_event(&k->wait, call_over(k));
	irq = spin_lock_irqsave(&k->client->lock);
	r = k->state == CALL_DONE ? (long)k->answer.result : -EAGAIN;
	if (k->state != CALL_DONE)
		call_fail(k, -EAGAIN);
	spin_unlock_irqrestore(&k->client->lock, irq);
	return r;
}

long
disk_call_finish(struct disk_call *k)
{
	disk_call_start(k);
	return disk_call_wait(k);
}

long
disk_simple(struct disk_client *c, enum fs_op op, uint32_t flags)
{
	struct disk_call *k = disk_call_begin(c, op);
	long r;

	k->request->flags = flags;
	r = disk_call_finish(k);
	disk_call_end(k);
	return r;
}

/* ---- answers ---- */

/* From this moment on the pages are unstable, whenever their task gets to know:
 * a new server may be told of them before.  A write in place (transaction 0) does
 * not make stable what an earlier one left unstable. */
static void
write_answered(struct disk_call *k)
{
	if (k->answer.result < 0)
		return;
	for (unsigned i = 0; i < k->page_count; i++)
		k->pages[i]->private_ = max(k->pages[i]->private_, k->answer.transaction);
	if (k->mapping != NULL)
		disk_node_changed(mapping_node(k->mapping), k->answer.transaction);
}

/* The next call that was answered, or NULL.  client->lock held. */
static struct disk_call *
answer_take(struct disk_client *c)
{
	struct fs_ring *r = &c->channel->answers;

	for (;;) {
		uint32_t head = r->head, tail = __atomic_load_n(&r->tail, __ATOMIC_ACQUIRE), slot;

		if (head == tail)
			return NULL;
		if (tail - head > FS_SLOTS) {		/* nonsense: the server is confused */
			r->head = tail;
			return NULL;
		}
		slot = __atomic_load_n(&r->slot[head % FS_SLOTS], __ATOMIC_RELAXED);
		__atomic_store_n(&r->head, head + 1, __ATOMIC_RELEASE);
		if (slot < FS_SLOTS && c->call[slot].state == CALL_SENT) {
			struct disk_call *k = &c->call[slot];

			memcpy(&k->answer, &c->channel->slot[slot].answer, sizeof(k->answer));
			k->state = CALL_DONE;
			if (k->request->op == FS_WRITE)
				write_answered(k);
			return k;
		}
	}
}

static void
answers_take(struct disk_client *c)
{
	for (;;) {
		uint64_t irq = spin_lock_irqsave(&c->lock);
		struct disk_call *k = answer_take(c);

		spin_unlock_irqrestore(&c->lock, irq);
		if (k == NULL)
			return;
		call_completed(k);
	}
}

bool
disk_client_new_epoch(struct disk_client *c)
{
	return c->mounted && __atomic_load_n(&c->channel->server_epoch, __ATOMIC_ACQUIRE) != READ_ONCE(c->epoch);
}

static void
client_bell(void *arg)
{
	struct disk_client *c = arg;
	struct fs_ring *r = &c->channel->answers;

	do {
		answers_take(c);
		__atomic_store_n(&r->reader_waits, 1, __ATOMIC_RELAXED);
		/* Orders the store of reader_waits before the load of tail; pairs with the server's fence. */
		__atomic_thread_fence(__ATOMIC_SEQ_CST);
	} while (r->head != __atomic_load_n(&r->tail, __ATOMIC_RELAXED));
	if (disk_client_new_epoch(c)) {
		uint64_t irq = spin_lock_irqsave(&c->lock);

		c->recovering = true;
		spin_unlock_irqrestore(&c->lock, irq);
		for (unsigned i = 0; i < FS_SLOTS; i++)
			if (c->call[i].recovery)
				waitq_wake_all(&c->call[i].wait);
	}
	waitq_wake_all(&c->news);
}

/* ---- a new server ---- */

/* Everything that the old server did not answer is to be sent again. */
static void
calls_unsend(struct disk_client *c)
{
	uint64_t irq = spin_lock_irqsave(&c->lock);

	c->recovering = true;
	c->epoch = __atomic_load_n(&c->channel->server_epoch, __ATOMIC_ACQUIRE);
	for (unsigned i = 0; i < FS_SLOTS; i++)
		if (c->call[i].state == CALL_SENT && !c->call[i].recovery)
			c->call[i].state = CALL_WAITING;
	spin_unlock_irqrestore(&c->lock, irq);
}

/* Blocks that answered writes had set aside, and whose tasks have not looked yet. */
uint64_t
disk_client_used_up(struct disk_client *c)
{
	uint64_t blocks = 0, irq = spin_lock_irqsave(&c->lock);

	for (unsigned i = 0; i < FS_SLOTS; i++)
		if (c->call[i].state == CALL_DONE && c->call[i].request->op == FS_WRITE)
			blocks += c->call[i].request->reserved_blocks;
	spin_unlock_irqrestore(&c->lock, irq);
	return blocks;
}

uint64_t
disk_client_first_unanswered(struct disk_client *c)
{
	uint64_t first = 0, irq = spin_lock_irqsave(&c->lock);

	for (unsigned i = 0; i < FS_SLOTS; i++) {
		uint64_t s = c->call[i].state == CALL_WAITING ? c->call[i].request->sequence : 0;

		if (s != 0 && (first == 0 || s < first))
			first = s;
	}
	spin_unlock_irqrestore(&c->lock, irq);
	return first;
}

/* The mtime that a request without an answer gives the inode of q becomes q's. */
void
disk_client_unanswered_mtime(struct disk_client *c, struct fs_request *q)
{
	uint64_t last = 0, irq = spin_lock_irqsave(&c->lock);

	for (unsigned i = 0; i < FS_SLOTS; i++) {
		const struct fs_request *w = c->call[i].request;

		if (c->call[i].state != CALL_WAITING || w->op != FS_SETATTR || (w->valid & FS_SET_MTIME) == 0 ||
		    w->inode != q->inode || w->generation != q->generation || w->sequence <= last)
			continue;
		last = w->sequence;
		q->mtime = w->mtime;
	}
	spin_unlock_irqrestore(&c->lock, irq);
}

/* In the order of their sequence; what changes nothing comes first. */
static void
calls_resend(struct disk_client *c)
{
	uint64_t irq = spin_lock_irqsave(&c->lock);
	bool bell;

	for (;;) {
		struct disk_call *first = NULL;

		for (unsigned i = 0; i < FS_SLOTS; i++) {
			struct disk_call *k = &c->call[i];

			if (k->state == CALL_WAITING && (first == NULL || k->request->sequence < first->request->sequence))
				first = k;
		}
		if (first == NULL)
			break;
		parts_write(first);
		ring_put(c, first);
	}
	c->recovering = false;
	bell = ring_wants_bell(&c->channel->requests);
	spin_unlock_irqrestore(&c->lock, irq);
	if (bell)
		io_channel_ring((unsigned)c->number);
	waitq_wake_all(&c->slots_wait);
}

/* The mount is gone for good: nobody waits for ever.  That may be what FS_UNMOUNT wanted. */
static void
client_die(struct disk_client *c)
{
	bool done = c->unmounting && c->channel->state == FS_NOTHING;
	uint64_t irq = spin_lock_irqsave(&c->lock);

	if (!done)
		klog(LOG_ERR, "ext4: the file server does not know our mount any more; everything fails from now on");
	c->dead = true;
	c->epoch = c->channel->server_epoch;
	c->recovering = false;
	for (unsigned i = 0; i < FS_SLOTS; i++) {
		struct disk_call *k = &c->call[i];

		if (k->state != CALL_WAITING && k->state != CALL_SENT)
			continue;
		call_fail(k, done && k->request->op == FS_UNMOUNT ? 0 : -EIO);
		spin_unlock_irqrestore(&c->lock, irq);
		call_completed(k);
		irq = spin_lock_irqsave(&c->lock);
	}
	spin_unlock_irqrestore(&c->lock, irq);
}

static bool
server_decided(struct disk_client *c)
{
	uint32_t s = c->channel->state;

	return s == FS_RECOVERING || s == FS_NOTHING || s == FS_FAILED;
}

void
disk_client_recover_if_new(struct disk_client *c)
{
	while (disk_client_new_epoch(c) && !c->dead) {
		if (!server_decided(c))
			return;		/* it rings when it knows */
		answers_take(c);
		if (c->channel->state != FS_RECOVERING) {
			client_die(c);
			return;
		}
		calls_unsend(c);
		c->recover(c);
		if (!disk_client_new_epoch(c))
			calls_resend(c);
	}
}

void
disk_client_drain(struct disk_client *c)
{
	wait_event(&c->slots_wait, READ_ONCE(c->slots_free) == FS_SLOTS);
}

/* ---- begin ---- */

static bool
client_may_mount(struct disk_client *c)
{
	struct fs_channel *ch = c->channel;

	if (ch->client_epoch_seen != ch->client_epoch)
		return false;
	return ch->state == FS_NOTHING || ch->state == FS_FAILED || ch->state == FS_MOUNTED;
}

long
disk_client_ready(struct disk_client *c, uint64_t deadline_ns)
{
	struct fs_ring *r = &c->channel->answers;
	long e;

	/* A new life of ours: the server drops what it still has of the old one. */
	__atomic_store_n(&c->channel->client_epoch, c->channel->client_epoch + 1, __ATOMIC_RELEASE);
	io_channel_ring((unsigned)c->number);
	e = wait_event_timeout(&c->news, client_may_mount(c), deadline_ns);
	if (e != 0)
		return e;
	r->head = r->tail;
	c->epoch = c->channel->server_epoch;
	c->recovering = c->dead = c->unmounting = false;
	return 0;
}

struct disk_client *
disk_client_create(int number)
{
	struct fs_channel *ch = io_channel_memory((unsigned)number);
	struct disk_client *c;

	if (ch->magic != FS_MAGIC || ch->version != FS_VERSION || io_channel((unsigned)number)->size < sizeof(*ch)) {
		klog(LOG_ERR, "ext4: channel %s is no file system, version %u", io_channel((unsigned)number)->name, FS_VERSION);
		return NULL;
	}
	c = kzalloc(sizeof(*c));
	if (c == NULL)
		return NULL;
	c->number = number;
	c->window = io_channel((unsigned)number)->window;
	c->channel = ch;
	c->slots_free = FS_SLOTS;
	spin_init(&c->lock, 78);
	waitq_init(&c->slots_wait);
	waitq_init(&c->news);
	for (unsigned i = 0; i < FS_SLOTS; i++) {
		c->call[i].client = c;
		c->call[i].request = &ch->slot[i].request;
		c->call[i].page = ch->page[i];
		waitq_init(&c->call[i].wait);
	}
	__atomic_store_n(&ch->answers.reader_waits, 1, __ATOMIC_RELAXED);
	io_channel_listen((unsigned)number, client_bell, c);
	return c;
}
