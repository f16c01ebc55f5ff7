/* SPDX-License-Identifier: MIT */
/*
 * The block server's skeleton: requests from rings become jobs, jobs become commands
 * of a size that the device can take, and what the device did becomes answers.
 *
 * A job that is done twice does no harm: that is what deaths and resets lean on.  But it may
 * never be done once more after its answer.  So an epoch is raised on a channel only when no
 * job of it is left, neither here nor at the device; otherwise the client would send again
 * what the old job still answers.
 */
#include <driver/block.h>
#include <tessera/runtime.h>
#include <tessera/string.h>

enum { MASK = BLOCK_RING - 1, BURST = 32, BUFFER_BYTES = 24576, RESCAN_MS = 1000 };
enum { STAGE_DATA, STAGE_FLUSH };	/* of a write that must be stable */

static uint32_t
load(volatile uint32_t *at)
{
	return __atomic_load_n(at, __ATOMIC_ACQUIRE);
}

static void
store(volatile uint32_t *at, uint32_t value)
{
	__atomic_store_n(at, value, __ATOMIC_RELEASE);
}

/* ---- jobs ------------------------------------------------------------------ */

static void
list_append(struct block_list *l, struct block_job *j)
{
	j->next = NULL;
	j->queued = true;
	if (l->first == NULL)
		l->first = j;
	else
		l->last->next = j;
	l->last = j;
}

static void
list_pop(struct block_list *l)
{
	l->first->queued = false;
	l->first = l->first->next;
}

/* Job 0 is the server's own and never free for others. */
static void
jobs_start(struct block_server *s)
{
	for (unsigned i = BLOCK_JOBS; i-- > 1;) {
		s->job[i].next = s->free;
		s->free = &s->job[i];
	}
}

static bool
job_is_active(const struct block_server *s, const struct block_job *j)
{
	return j->port != NULL || (j == &s->job[0] && s->scanning);
}

static void
job_begin(struct block_job *j)
{
	j->status = BLOCK_OK;
	j->outstanding = 0;
	j->sent = 0;
	j->segment_at = 0;
	j->offset_at = 0;
	j->stage = STAGE_DATA;
	j->generation++;		/* what comes for the job it was is known by it */
}

static void
answer_write(struct block_port *p, uint64_t cookie, uint32_t status)
{
	struct block_answer *a = &p->shared->answer[p->tail & MASK];

	*a = (struct block_answer){ .cookie = cookie, .status = status };
	p->tail++;
	store(&p->shared->answers.tail, p->tail);
	p->bell = true;
}

static void scan_fed(struct block_server *s, uint32_t status);
static void port_publish(struct block_server *s, struct block_port *p);

/* What is in progress of this channel is nobody's any more: its client is another, or its bounds are. */
static bool
port_drops(const struct block_port *p)
{
	return p->draining || p->binder != NULL;
}

static void
count_job(struct block_statistics *t, const struct block_job *j, uint32_t block_size)
{
	uint64_t bytes = (uint64_t)j->count * block_size;

	if (j->status != BLOCK_OK) {
		t->errors++;
	} else if (j->op == BLOCK_READ) {
		t->reads++;
		t->read_bytes += bytes;
	} else if (j->op == BLOCK_WRITE) {
		t->writes++;
		t->written_bytes += bytes;
	} else if (j->op == BLOCK_FLUSH) {
		t->flushes++;
	} else {
		t->others++;
	}
}

/* A job is over; its client, if it still lives, hears of it. */
static void
job_end(struct block_server *s, struct block_job *j)
{
	struct block_port *p = j->port;

	if (p == NULL) {
		scan_fed(s, j->status);
		return;
	}
	count_job(&s->statistics, j, s->facts.block_size);
	if (!port_drops(p))
		answer_write(p, j->cookie, j->status);
	p->jobs--;
	j->port = NULL;
	j->generation++;
	j->next = s->free;
	s->free = j;
}

/* Without a command at the device and none to come: on to the flush, or over. */
static void
job_rest(struct block_server *s, struct block_job *j)
{
	bool wants_flush = j->op == BLOCK_WRITE && (j->flags & BLOCK_FUA) != 0 &&
	    (s->facts.flags & BLOCK_HAS_CACHE) != 0 && (s->facts.flags & BLOCK_HAS_FUA) == 0;

	if (j->status == BLOCK_OK && j->stage == STAGE_DATA && wants_flush) {
		j->stage = STAGE_FLUSH;
		list_append(&s->queue, j);
		return;
	}
	job_end(s, j);
}

/* ---- commands ---------------------------------------------------------------- */

/*
 * The next segments of a job, as many as one command of the device takes.  What lies
 * side by side becomes one.  Sizes and limits are multiples of the block size, so a
 * command is whole blocks.
 */
static uint32_t
command_segments(const struct block_limits *l, struct block_job *j, struct block_command *c)
{
	uint32_t bytes = 0;

	c->segments = 0;
	while (j->segment_at < j->segments && bytes < l->max_bytes) {
		const struct block_segment *from = &j->segment[j->segment_at];
		struct block_segment *to = &c->segment[c->segments];
		uint64_t address = from->address + j->offset_at;
		uint32_t n = from->bytes - j->offset_at;
		uint64_t end = c->segments != 0 ? to[-1].address + to[-1].bytes : 0;

		if (n > l->max_bytes - bytes)
			n = l->max_bytes - bytes;
		if (c->segments != 0 && end == address && to[-1].bytes < l->max_segment_bytes) {
			if (n > l->max_segment_bytes - to[-1].bytes)
				n = l->max_segment_bytes - to[-1].bytes;
			to[-1].bytes += n;
		} else {
			if (c->segments == l->max_segments || c->segments == BLOCK_SEGMENTS)
				break;
			if (c->segments != 0 && l->boundary != 0 && ((end | address) & (l->boundary - 1)) != 0)
				break;
			if (n > l->max_segment_bytes)
				n = l->max_segment_bytes;
			*to = (struct block_segment){ .address = address, .bytes = n };
			c->segments++;
		}
		bytes += n;
		j->offset_at += n;
		if (j->offset_at == from->bytes) {
			j->segment_at++;
			j->offset_at = 0;
		}
	}
	return bytes;
}

/* The next command of a job, and the job's place moved behind it. */
static void
command_make(struct block_server *s, struct block_job *j, struct block_command *c)
{
	uint32_t left = j->count - j->sent, max;

	c->op = j->stage == STAGE_FLUSH ? BLOCK_FLUSH : j->op;
	c->flags = 0;
	c->segments = 0;
	c->block = 0;
	c->count = 0;
	if (c->op == BLOCK_FLUSH)
		return;
	c->block = j->block + j->sent;
	if (c->op == BLOCK_READ || c->op == BLOCK_WRITE) {
		c->count = command_segments(&s->facts.limits, j, c) / s->facts.block_size;
		if ((s->facts.flags & BLOCK_HAS_FUA) != 0)
			c->flags = j->flags & BLOCK_FUA;
	} else {
		max = c->op == BLOCK_DISCARD ? s->facts.limits.max_discard : s->facts.limits.max_zeroes;
		c->count = left < max ? left : max;
	}
	j->sent += c->count;
}

static bool
job_is_sent(const struct block_job *j)
{
	return j->stage == STAGE_FLUSH || j->op == BLOCK_FLUSH || j->sent == j->count;
}

/* One command of the first job in the queue.  False: the device took none. */
static bool
submit_one(struct block_server *s, struct block_job *j)
{
	uint32_t sent = j->sent, offset = j->offset_at;
	uint16_t segment = j->segment_at;

	command_make(s, j, &s->command);
	j->outstanding++;
	if (!s->op->submit(s->device, &s->command,
	    (uint32_t)(j - s->job) | (uint32_t)j->generation << 16)) {
		j->outstanding--;
		j->sent = sent;
		j->offset_at = offset;
		j->segment_at = segment;
		s->no_room = true;
		return false;
	}
	s->statistics.commands++;
	s->kick = true;
	return true;
}

static bool
submit_all(struct block_server *s)
{
	bool moved = false;

	while (s->state == BLOCK_READY && s->queue.first != NULL && !s->no_room) {
		struct block_job *j = s->queue.first;
		bool stop = j->status != BLOCK_OK || (j->port != NULL && port_drops(j->port));

		if (!stop && !submit_one(s, j))
			break;
		moved = true;
		if (!stop && !job_is_sent(j))
			continue;
		list_pop(&s->queue);
		if (j->outstanding == 0)	/* the device was that fast, or it was stopped */
			job_rest(s, j);
	}
	if (s->kick) {
		s->kick = false;
		s->op->kick(s->device);
	}
	return moved;
}

void
block_done(struct block_server *s, uint32_t tag, enum block_status status)
{
	struct block_job *j;

	if ((tag & 0xffff) >= BLOCK_JOBS)
		return;
	j = &s->job[tag & 0xffff];
	if (j->generation != tag >> 16 || j->outstanding == 0)
		return;			/* of a job that was taken back */
	s->no_room = false;
	if (status != BLOCK_OK && j->status == BLOCK_OK)
		j->status = status;
	if (--j->outstanding == 0 && !j->queued)
		job_rest(s, j);
}

/* ---- requests ----------------------------------------------------------------- */

static enum block_status
segments_check(const struct block_server *s, const struct block_port *p, const struct block_job *j)
{
	uint64_t bytes = 0;

	for (unsigned i = 0; i < j->segments; i++) {
		const struct block_segment *g = &j->segment[i];
		uint64_t window = g->address >> IO_WINDOW_BITS;

		if (g->bytes == 0 || g->bytes % s->facts.block_size != 0 ||
		    (g->address & (s->facts.limits.align - 1)) != 0)
			return BLOCK_EINVAL;
		/* Window 0 is the driver's own memory, whatever the set of windows says. */
		if (window == 0 || window >= IO_WINDOWS || (p->info->windows >> window & 1) == 0)
			return BLOCK_EINVAL;
		if (g->bytes > IO_WINDOW(window + 1) - g->address)
			return BLOCK_EINVAL;
		bytes += g->bytes;
	}
	return bytes == (uint64_t)j->count * s->facts.block_size ? BLOCK_OK : BLOCK_EINVAL;
}

static enum block_status
bounds_check(const struct block_port *p, const struct block_job *j)
{
	if (j->count == 0)
		return BLOCK_EINVAL;
	if (j->block > p->part.blocks || j->count > p->part.blocks - j->block)
		return BLOCK_ERANGE;
	return BLOCK_OK;
}

/* Only the copy of a request is looked at: the client can write to the ring at any time. */
static enum block_status
request_check(const struct block_server *s, const struct block_port *p, const struct block_job *j)
{
	const struct block_limits *l = &s->facts.limits;
	bool writes = j->op != BLOCK_READ && j->op != BLOCK_FLUSH;
	bool moves = j->op == BLOCK_READ || j->op == BLOCK_WRITE;
	enum block_status status;

	if (j->op < BLOCK_READ || j->op > BLOCK_WRITE_ZEROES)
		return BLOCK_EINVAL;
	if ((j->flags & ~(j->op == BLOCK_WRITE ? (uint32_t)BLOCK_FUA : 0)) != 0)
		return BLOCK_EINVAL;
	if (moves ? j->segments == 0 || j->segments > BLOCK_SEGMENTS : j->segments != 0)
		return BLOCK_EINVAL;
	if (p->part.state == BLOCK_NO_MEDIUM)
		return BLOCK_ENOMEDIUM;
	if (p->part.state != BLOCK_READY)
		return BLOCK_EIO;
	if (j->op == BLOCK_FLUSH)
		return BLOCK_OK;
	status = bounds_check(p, j);
	if (status != BLOCK_OK)
		return status;
	if (writes && (s->facts.flags & BLOCK_READONLY) != 0)
		return BLOCK_EROFS;
	if ((j->op == BLOCK_DISCARD && l->max_discard == 0) ||
	    (j->op == BLOCK_WRITE_ZEROES && l->max_zeroes == 0))
		return BLOCK_ENOTSUP;
	if (!moves)
		return BLOCK_OK;
	if (j->count > BLOCK_MAX_BYTES / s->facts.block_size)
		return BLOCK_EINVAL;
	return segments_check(s, p, j);
}

/* Nothing is to be done for a flush of a device without a cache. */
static bool
is_done_already(const struct block_server *s, const struct block_job *j)
{
	return j->op == BLOCK_FLUSH && (s->facts.flags & BLOCK_HAS_CACHE) == 0;
}

/* Copy the request in a ring's slot into a job.  False: it is of another epoch. */
static bool
request_copy(struct block_port *p, struct block_job *j)
{
	unsigned slot = p->head & MASK;
	struct block_request r;

	memcpy(&r, &p->shared->request[slot], sizeof r);
	__asm__ volatile("" ::: "memory");	/* once is enough: no second look at the ring */
	if (r.epoch != p->epoch)
		return false;
	j->cookie = r.cookie;
	j->block = r.block;
	j->count = r.count;
	j->op = r.op;
	j->flags = r.flags;
	j->segments = r.segments;
	j->bounds = r.bounds;
	if (r.segments <= BLOCK_SEGMENTS)
		memcpy(j->segment, p->shared->segment[slot], r.segments * sizeof *j->segment);
	__asm__ volatile("" ::: "memory");
	return true;
}

static enum block_status bind_begin(struct block_server *s, struct block_port *p, const struct block_job *j);

static void
request_take(struct block_server *s, struct block_port *p)
{
	struct block_job *j = s->free;
	enum block_status status;

	if (!request_copy(p, j)) {
		s->statistics.dropped++;
		return;
	}
	if (j->op == BLOCK_BIND) {
		status = bind_begin(s, p, j);
		if (status != BLOCK_OK)
			answer_write(p, j->cookie, status);
		return;
	}
	status = request_check(s, p, j);
	if (status != BLOCK_OK || is_done_already(s, j)) {
		j->status = status;
		count_job(&s->statistics, j, s->facts.block_size);
		answer_write(p, j->cookie, status);
		return;
	}
	s->free = j->next;
	j->port = p;
	j->block += j->op == BLOCK_FLUSH ? 0 : p->part.first;
	j->resets = 0;
	job_begin(j);
	list_append(&s->queue, j);
	if (++p->jobs > s->statistics.most_in_flight)
		s->statistics.most_in_flight = p->jobs;
}

static void
complain(struct block_port *p, const char *what)
{
	if (!p->complained)
		log_line(LOG_WARNING "channel %s: %s", p->info->name, what);
	p->complained = true;
}

/* Answers that the client has not taken and those that will come fit the ring. */
static bool
has_room(struct block_port *p)
{
	uint32_t unread = p->tail - load(&p->shared->answers.head);

	if (unread > BLOCK_RING) {
		complain(p, "the client's place in the answers makes no sense");
		unread = 0;
	}
	return p->jobs + unread < BLOCK_RING;
}

static uint32_t
requests_waiting(struct block_port *p)
{
	/* acquire: pairs with the client's release of tail after the request */
	uint32_t tail = load(&p->shared->requests.tail);

	if (tail - p->head <= BLOCK_RING)
		return tail - p->head;
	complain(p, "the client's requests make no sense, they are dropped");
	p->head = tail;
	store(&p->shared->requests.head, tail);
	return 0;
}

static bool
requests_take(struct block_server *s, struct block_port *p)
{
	uint32_t n = requests_waiting(p), taken;

	for (taken = 0; taken < n && taken < BURST && s->free != NULL && has_room(p); taken++) {
		request_take(s, p);
		p->head++;
	}
	if (taken == 0)
		return false;
	store(&p->shared->requests.head, p->head);
	p->bell = true;			/* a client may wait for room */
	return true;
}

/* ---- bounds that a client of the whole disk gives others (BLOCK_BIND) ------------ */

/*
 * In the page that outlives us, one for each channel in the order of the start record.  Whoever
 * could reach all of the disk said them; they hold as long as that client's life and this medium.
 */
struct kept_bounds {
	uint64_t first, blocks;		/* blocks 0: none */
	uint64_t disk_blocks;
	uint32_t client_epoch;		/* of who gave them */
	char serial[24];
};
_Static_assert(COMPONENT_MAX_CHANNELS * sizeof(struct kept_bounds) <= 4096, "they fit the page");

static struct kept_bounds *
kept_of(const struct block_server *s, const struct block_port *p)
{
	struct kept_bounds *page = (struct kept_bounds *)(uintptr_t)s->info->keep;

	return page == NULL ? NULL : &page[p - s->port];
}

/* Is a text that ends at its NUL or fills its room this one? */
static bool
text_is(const char *text, size_t room, const char *is)
{
	size_t n = strlen(is);

	return n <= room && memcmp(text, is, n) == 0 && (n == room || text[n] == '\0');
}

/* The name of who says the bounds of this channel, or NULL. */
static const char *
bound_by(const struct block_port *p)
{
	return memcmp(p->info->part, "by ", 3) == 0 ? p->info->part + 3 : NULL;
}

static bool
is_bound_by(const struct block_port *p, const struct block_port *binder)
{
	const char *name = bound_by(p);

	return name != NULL && text_is(binder->info->part, sizeof binder->info->part, "disk") &&
	    text_is(binder->info->peer, sizeof binder->info->peer, name);
}

/* The whole disk's channel whose client says the bounds of p. */
static const struct block_port *
binder_of(const struct block_server *s, const struct block_port *p)
{
	for (unsigned i = 0; i < s->port_count; i++)
		if (is_bound_by(p, &s->port[i]))
			return &s->port[i];
	return NULL;
}

/* What an earlier life of ours was told, if it still holds. */
static void
bounds_resolve(const struct block_server *s, struct block_port *p)
{
	const struct kept_bounds *k = kept_of(s, p);
	const struct block_port *binder = binder_of(s, p);

	p->part.state = BLOCK_NO_MEDIUM;
	if (k == NULL || binder == NULL || k->blocks == 0 || k->client_epoch != binder->client_epoch ||
	    k->disk_blocks != s->facts.blocks || memcmp(k->serial, s->facts.serial, sizeof k->serial) != 0 ||
	    k->first > s->facts.blocks || k->blocks > s->facts.blocks - k->first)
		return;
	p->part.first = k->first;
	p->part.blocks = k->blocks;
	p->part.state = BLOCK_READY;
}

static void
bounds_keep(const struct block_server *s, const struct block_port *p, uint64_t first, uint64_t blocks)
{
	struct kept_bounds *k = kept_of(s, p);

	if (k == NULL)
		return;
	memset(k, 0, sizeof *k);
	if (blocks == 0 || p->binder == NULL)
		return;
	k->first = first;
	k->disk_blocks = s->facts.blocks;
	k->client_epoch = p->binder->client_epoch;
	memcpy(k->serial, s->facts.serial, sizeof k->serial);
	k->blocks = blocks;
}

static struct block_port *
port_of_client(struct block_server *s, const struct block_port *binder, const struct block_bounds *b)
{
	char name[sizeof b->client + 1] = { 0 };

	memcpy(name, b->client, sizeof b->client);
	for (unsigned i = 0; i < s->port_count; i++)
		if (is_bound_by(&s->port[i], binder) &&
		    text_is(s->port[i].info->peer, sizeof s->port[i].info->peer, name))
			return &s->port[i];
	return NULL;
}

/* OK: the answer comes when the channel's jobs have ended. */
static enum block_status
bind_begin(struct block_server *s, struct block_port *p, const struct block_job *j)
{
	struct block_port *t = port_of_client(s, p, &j->bounds);
	uint64_t blocks = j->bounds.blocks;

	if (t == NULL || j->segments != 0 || j->flags != 0)
		return BLOCK_EINVAL;
	if (p->part.state != BLOCK_READY)
		return p->part.state == BLOCK_NO_MEDIUM ? BLOCK_ENOMEDIUM : BLOCK_EIO;
	if (j->block > s->facts.blocks || blocks > s->facts.blocks - j->block)
		return BLOCK_ERANGE;
	if (t->binder != NULL || (blocks != 0 && t->part.state == BLOCK_READY && !t->unbind))
		return BLOCK_EBUSY;
	t->binder = p;
	t->bind_first = j->block;
	t->bind_blocks = blocks;
	t->bind_cookie = j->cookie;
	p->jobs++;			/* so that the answer has its place */
	return BLOCK_OK;
}

static void
bind_answer(struct block_port *t, enum block_status status, bool answer)
{
	struct block_port *p = t->binder;

	t->binder = NULL;
	p->jobs--;
	if (answer && !p->draining)
		answer_write(p, t->bind_cookie, status);
}

/* No job of the channel is left. */
static void
bind_end(struct block_server *s, struct block_port *t)
{
	bounds_keep(s, t, t->bind_first, t->bind_blocks);
	memset(&t->part, 0, sizeof t->part);
	t->part.first = t->bind_first;
	t->part.blocks = t->bind_blocks;
	t->part.state = t->bind_blocks != 0 ? BLOCK_READY : BLOCK_NO_MEDIUM;
	port_publish(s, t);
	bind_answer(t, BLOCK_OK, true);
}

/* The client of p is another one: what the old one said means nothing. */
static void
bounds_end_of(struct block_server *s, struct block_port *p)
{
	for (unsigned i = 0; i < s->port_count; i++)
		s->port[i].unbind |= is_bound_by(&s->port[i], p) && s->port[i].part.state == BLOCK_READY;
}

/* ---- clients' lives ------------------------------------------------------------ */

static bool
client_is_new(struct block_port *p)
{
	return load(&p->shared->client_epoch) != p->client_epoch;
}

/* Drop what the old client sent; when the device is through with it, the new one may begin. */
static bool
client_changes(struct block_server *s, struct block_port *p)
{
	struct block_channel *c = p->shared;
	uint32_t epoch = load(&c->client_epoch);

	if (epoch == p->client_epoch)
		return false;
	p->draining = true;
	if (p->jobs != 0)
		return false;
	p->head = load(&c->requests.tail);
	store(&c->requests.head, p->head);
	p->tail = load(&c->answers.head);
	store(&c->answers.tail, p->tail);
	p->draining = false;
	p->client_epoch = epoch;
	bounds_end_of(s, p);
	p->complained = false;
	/* release: the rings before the word that they are free */
	store(&c->client_epoch_seen, epoch);
	p->bell_always = true;
	return true;
}

/* ---- bells --------------------------------------------------------------------- */

static bool
flag_take(volatile uint32_t *flag)
{
	if (__atomic_load_n(flag, __ATOMIC_RELAXED) == 0)
		return false;
	__atomic_store_n(flag, 0, __ATOMIC_RELAXED);
	return true;
}

/* However much was done, a client is rung once. */
static void
bells_ring(struct block_server *s)
{
	/* orders the stores of head and tail before the loads of the flags; pairs with
	 * the client's fence in block_rest */
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	for (unsigned i = 0; i < s->port_count; i++) {
		struct block_port *p = &s->port[i];
		bool ring = p->bell_always;

		if (p->bell || ring) {
			ring |= flag_take(&p->shared->answers.reader_waits);
			ring |= flag_take(&p->shared->requests.writer_waits);
		}
		p->bell = p->bell_always = false;
		if (ring)
			bell_ring(p->info->slot);
	}
}

/* ---- what channels say ------------------------------------------------------------ */

static void
text_put(char *to, const char *from, size_t room)
{
	size_t n = 0;

	for (; n + 1 < room && from[n] != '\0'; n++)
		to[n] = from[n];
	memset(to + n, 0, room - n);
}

static void
guid_put(volatile uint8_t to[16], const uint8_t from[16])
{
	for (unsigned i = 0; i < 16; i++)
		to[i] = from[i];
}

/*
 * A disk that has the GUID of the one which the loader took, and is another one: two were
 * made of one image, or one is a copy.  Its root partition has the same GUID, too.
 */
static bool
is_copy(const struct block_server *s)
{
	return s->info->boot_elsewhere != 0 && s->gpt.source != GPT_NONE &&
	    memcmp(s->gpt.disk_guid, s->info->boot_disk, sizeof s->gpt.disk_guid) == 0;
}

static bool
is_root(const struct block_port *p)
{
	return strcmp(p->info->part, "root") == 0;
}

static void
facts_put(const struct block_server *s, const struct block_port *p, struct block_channel *c)
{
	bool ready = p->part.state == BLOCK_READY;

	c->flags = s->facts.flags | (is_root(p) && is_copy(s) ? BLOCK_COPY : 0);
	c->block_size = ready ? s->facts.block_size : 0;
	c->physical_size = ready ? s->facts.physical_size : 0;
	c->max_bytes = ready ? BLOCK_MAX_BYTES : 0;
	c->blocks = ready ? p->part.blocks : 0;
	c->first_block = ready ? p->part.first : 0;
	c->disk_blocks = ready ? s->facts.blocks : 0;
	c->part_number = p->part.number;
	guid_put(c->part_guid, p->part.guid);
	guid_put(c->disk_guid, s->gpt.disk_guid);
	text_put(c->part_name, p->part.name, sizeof c->part_name);
	text_put(c->model, s->facts.model, sizeof c->model);
	text_put(c->serial, s->facts.serial, sizeof c->serial);
	text_put(c->firmware, s->facts.firmware, sizeof c->firmware);
	text_put(c->name, s->facts.name, sizeof c->name);
}

/* Begin a new epoch on a channel of which no job is left. */
static void
port_publish(struct block_server *s, struct block_port *p)
{
	struct block_channel *c = p->shared;

	assert_that(p->jobs == 0);
	store(&c->state, BLOCK_STARTING);
	/* orders the store of state before those of the facts; pairs with the second look in
	 * the client's facts_read */
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	facts_put(s, p, c);
	p->head = load(&c->requests.tail);
	store(&c->requests.head, p->head);
	p->epoch = load(&c->server_epoch) + 1;
	store(&c->server_epoch, p->epoch);
	store(&c->state, p->part.state);
	p->bell_always = true;
}

/* ---- partitions -------------------------------------------------------------------- */

/* Linux root partition for ARM64, as the Discoverable Partitions Specification has it. */
static const uint8_t root_type[16] = {
	0x45, 0xb0, 0x21, 0xb9, 0xf0, 0x1d, 0xc3, 0x41, 0xaf, 0x44, 0x4c, 0x6f, 0x28, 0x0d, 0x3f, 0xae,
};

static const struct gpt_part *
root_find(const struct block_server *s)
{
	for (unsigned i = 0; i < 16; i++)
		if (s->info->root_part[i] != 0)
			return gpt_find_guid(&s->gpt, s->info->root_part);
	return gpt_find_type(&s->gpt, root_type);
}

static void
part_resolve(struct block_server *s, struct block_port *p)
{
	char name[sizeof p->info->part + 1];
	const struct gpt_part *g;

	memset(&p->part, 0, sizeof p->part);
	p->part.state = BLOCK_READY;
	memcpy(name, p->info->part, sizeof p->info->part);
	name[sizeof p->info->part] = '\0';
	if (strcmp(name, "disk") == 0) {
		p->part.blocks = s->facts.blocks;
		return;
	}
	if (bound_by(p) != NULL) {
		bounds_resolve(s, p);
		return;
	}
	g = is_root(p) ? root_find(s) : gpt_find(&s->gpt, name);
	if (g == NULL) {
		p->part.state = BLOCK_NO_MEDIUM;
		return;
	}
	p->part.first = g->first;
	p->part.blocks = g->last - g->first + 1;
	p->part.number = g->number;
	memcpy(p->part.guid, g->guid, sizeof p->part.guid);
	memcpy(p->part.name, g->name, sizeof p->part.name);
}

static void
part_say(const struct block_server *s, const struct block_port *p)
{
	if (bound_by(p) != NULL)
		return;
	if (p->part.state == BLOCK_READY && is_root(p) && is_copy(s))
		log_line(LOG_WARNING "%s: channel %s: this disk is a copy of the one that the system was started from: "
		    "its root partition is for want of another", s->facts.name, p->info->name);
	else if (p->part.state != BLOCK_READY)
		log_line(LOG_WARNING "%s: channel %s: there is no partition \"%s\"", s->facts.name, p->info->name,
		    p->info->part);
	else if (p->part.number != 0)
		log_line("%s: channel %s: partition %u \"%s\", %lu blocks from %lu", s->facts.name, p->info->name,
		    p->part.number, p->part.name, p->part.blocks, p->part.first);
	else
		log_line("%s: channel %s: the disk", s->facts.name, p->info->name);
}

static void
table_say(struct block_server *s)
{
	const struct gpt *g = &s->gpt;

	if (s->table_told)
		return;
	s->table_told = true;
	if (g->source == GPT_BACKUP)
		log_line(LOG_WARNING "%s: %s; the backup serves", s->facts.name, g->why);
	else if (g->why[0] != '\0' && (g->seen || g->source != GPT_NONE))
		log_line(LOG_WARNING "%s: %s", s->facts.name, g->why);
	else if (g->why[0] != '\0')
		log_line("%s: %s", s->facts.name, g->why);
}

/* What a pause of the disk consists of, as far as its driver knows. */
static void
ready_say(const struct block_server *s)
{
	uint64_t now = time_ticks();

	log_line("%s: ready in %lu us: %lu for the device, %lu for its partitions", s->facts.name,
	    time_ns_of_ticks(now - s->begun_ticks) / 1000, time_ns_of_ticks(s->up_ticks - s->begun_ticks) / 1000,
	    time_ns_of_ticks(now - s->up_ticks) / 1000);
}

static void scan_begin(struct block_server *s);

/* A partition that is not there may come; bounds come when they are said. */
static bool
misses_part(const struct block_port *p)
{
	return p->part.state == BLOCK_NO_MEDIUM && bound_by(p) == NULL;
}

static void
scan_end(struct block_server *s)
{
	bool first = !s->scanned;

	s->scanning = false;
	s->scanned = true;
	table_say(s);
	for (unsigned i = 0; i < s->port_count; i++) {
		struct block_port *p = &s->port[i];

		/* Later scans are for those who miss their partition; others keep theirs. */
		if (!first && !misses_part(p))
			continue;
		part_resolve(s, p);
		if (first || p->part.state == BLOCK_READY) {
			part_say(s, p);
			port_publish(s, p);
		}
	}
	if (first)
		ready_say(s);
}

/* The server's own job, with a place in its buffer. */
static void
own_job(struct block_server *s, uint32_t op, uint64_t block, uint32_t count, uint32_t offset)
{
	struct block_job *j = &s->job[0];

	j->op = op;
	j->block = block;
	j->count = count;
	j->flags = 0;
	j->segments = op == BLOCK_FLUSH ? 0 : 1;
	j->segment[0] = (struct block_segment){
		.address = s->buffer_io + offset, .bytes = count * s->facts.block_size,
	};
	j->resets = 0;
	job_begin(j);
	list_append(&s->queue, j);
}

/* A channel to the root partition has it grown to the disk's end, once, before it is told. */
static bool
grow_begin(struct block_server *s)
{
	bool wanted = false;
	const struct gpt_part *root;

	for (unsigned i = 0; i < s->port_count; i++)
		wanted |= strcmp(s->port[i].info->part, "root") == 0;
	if (!wanted || s->scanned || s->grow_tried || (s->facts.flags & BLOCK_READONLY) != 0)
		return false;
	s->grow_tried = true;
	root = root_find(s);
	s->growing = root != NULL && gpt_grow_begin(&s->grow, &s->gpt, root, s->buffer_bytes);
	return s->growing;
}

static void
grow_next(struct block_server *s)
{
	static const uint32_t op[] = {
		[GPT_GROW_IO_READ] = BLOCK_READ, [GPT_GROW_IO_WRITE] = BLOCK_WRITE, [GPT_GROW_IO_FLUSH] = BLOCK_FLUSH,
	};
	struct gpt_grow_io io;

	while (gpt_grow_wants(&s->grow, &io)) {
		if (io.kind == GPT_GROW_IO_FLUSH && (s->facts.flags & BLOCK_HAS_CACHE) == 0) {
			gpt_grow_fed(&s->grow, true, s->buffer);
			continue;
		}
		own_job(s, op[io.kind], io.block, io.count, io.offset);
		return;
	}
	s->growing = false;
	if (s->grow.grown)
		log_line("%s: the root partition was grown to the end of the disk", s->facts.name);
	else
		log_line(LOG_WARNING "%s: the root partition could not be grown", s->facts.name);
	scan_begin(s);
}

static void
scan_next(struct block_server *s)
{
	uint64_t block;
	uint32_t count;

	if (gpt_wants(&s->gpt, &block, &count))
		own_job(s, BLOCK_READ, block, count, 0);
	else if (grow_begin(s))
		grow_next(s);
	else
		scan_end(s);
}

static void
scan_fed(struct block_server *s, uint32_t status)
{
	if (!s->scanning)
		return;
	if (s->growing) {
		gpt_grow_fed(&s->grow, status == BLOCK_OK, s->buffer);
		grow_next(s);
		return;
	}
	gpt_feed(&s->gpt, status == BLOCK_OK ? s->buffer : NULL);
	scan_next(s);
}

static void
scan_begin(struct block_server *s)
{
	s->scanning = true;
	s->rescan_after = time_ticks() + time_ticks_of_ns(RESCAN_MS * 1000000ULL);
	gpt_begin(&s->gpt, s->facts.block_size, s->facts.blocks, s->buffer_bytes);
	scan_next(s);
}

/* A client without its partition asks: somebody may have made it meanwhile. */
static void
rescan(struct block_server *s)
{
	if (s->state == BLOCK_READY && s->scanned && !s->scanning && time_ticks() >= s->rescan_after)
		scan_begin(s);
}

/* ---- what the device goes through ---------------------------------------------------- */

static void
queue_clear(struct block_server *s)
{
	while (s->queue.first != NULL)
		list_pop(&s->queue);
	s->no_room = false;
}

static void
binds_cancel(struct block_server *s, bool answer, uint32_t status)
{
	for (unsigned i = 0; i < s->port_count; i++)
		if (s->port[i].binder != NULL)
			bind_answer(&s->port[i], (enum block_status)status, answer);
}

/* End every job with a status, or without an answer: then the client sends it again in
 * the next epoch. */
static void
jobs_end(struct block_server *s, bool answer, uint32_t status)
{
	queue_clear(s);
	s->scanning = s->growing = false;
	binds_cancel(s, answer, status);
	for (unsigned i = 0; i < BLOCK_JOBS; i++) {
		struct block_job *j = &s->job[i];

		if (i == 0)
			j->generation++;
		if (j->port == NULL)
			continue;
		j->outstanding = 0;
		j->status = status;
		if (answer) {
			job_end(s, j);
			continue;
		}
		j->port->jobs--;
		j->port = NULL;
		j->generation++;
		j->next = s->free;
		s->free = j;
	}
}

static bool
facts_same(const struct block_device *a, const struct block_device *b)
{
	return a->blocks == b->blocks && a->block_size == b->block_size && a->flags == b->flags &&
	    a->limits.align == b->limits.align && memcmp(a->serial, b->serial, sizeof a->serial) == 0 &&
	    memcmp(a->model, b->model, sizeof a->model) == 0;
}

unsigned
block_disk_number(const struct block_server *s)
{
	const char *name = s != NULL && s->info != NULL ? s->info->name : "";
	size_t n = 0, at;
	unsigned number = 0;

	while (n < sizeof s->info->name && name[n] != '\0')
		n++;
	at = n;
	while (at > 0 && name[at - 1] >= '0' && name[at - 1] <= '9')
		at--;
	if (at == n)
		return n == 3 && memcmp(name, "vd", 2) == 0 && name[2] >= 'a' && name[2] <= 'z' ? (unsigned)(name[2] - 'a') : 0;
	for (; at < n; at++)
		number = number * 10 + (unsigned)(name[at] - '0');
	return number % 100;
}

void
block_device_up(struct block_server *s, const struct block_device *facts)
{
	bool same = s->was_up && s->scanned && facts_same(&s->facts, facts);

	s->facts = *facts;
	s->state = BLOCK_READY;
	s->was_up = true;
	s->no_room = false;
	if (same)
		return;			/* jobs that were taken back go out again */
	jobs_end(s, false, 0);
	s->scanned = false;
	s->up_ticks = time_ticks();
	s->table_told = s->grow_tried = false;
	log_line("%s: %s, %lu MiB in blocks of %u%s%s", facts->name, facts->model,
	    facts->blocks / (1048576 / facts->block_size), facts->block_size,
	    facts->flags & BLOCK_HAS_CACHE ? ", volatile cache" : "",
	    facts->flags & BLOCK_READONLY ? ", read only" : "");
	scan_begin(s);
}

void
block_device_lost(struct block_server *s)
{
	if (s->state == BLOCK_READY)
		s->statistics.resets++;
	s->state = BLOCK_STARTING;
	queue_clear(s);
	for (unsigned i = 0; i < BLOCK_JOBS; i++) {
		struct block_job *j = &s->job[i];

		if (!job_is_active(s, j))
			continue;
		job_begin(j);
		if (j->port != NULL && port_drops(j->port)) {
			job_end(s, j);
		} else if (++j->resets > BLOCK_RESETS) {
			j->status = BLOCK_ETIMEDOUT;
			job_end(s, j);
		} else {
			list_append(&s->queue, j);
		}
	}
}

void
block_device_state(struct block_server *s, enum block_state state)
{
	if (s->scanned && s->state == state)
		return;
	jobs_end(s, true, state == BLOCK_NO_MEDIUM ? BLOCK_ENOMEDIUM : BLOCK_EIO);
	s->state = state;
	s->scanned = true;
	s->was_up = false;
	for (unsigned i = 0; i < s->port_count; i++) {
		bounds_keep(s, &s->port[i], 0, 0);
		s->port[i].unbind = false;
		memset(&s->port[i].part, 0, sizeof s->port[i].part);
		s->port[i].part.state = state;
		port_publish(s, &s->port[i]);
	}
}

/* ---- the loop's parts ------------------------------------------------------------------ */

static bool
port_attach(struct block_port *p, const struct component_channel *info)
{
	struct block_channel *c = (struct block_channel *)(uintptr_t)info->address;

	if (c == NULL || info->size < sizeof *c || c->magic != BLOCK_MAGIC || c->version != BLOCK_VERSION)
		return false;
	p->info = info;
	p->shared = c;
	p->client_epoch = load(&c->client_epoch_seen);
	p->head = load(&c->requests.head);
	p->tail = load(&c->answers.tail);
	store(&c->state, BLOCK_STARTING);
	return true;
}

bool
block_server_start(struct block_server *s, const struct block_operations *op, void *device,
    const struct component_info *info, struct dma_region *dma)
{
	memset(s, 0, sizeof *s);
	s->begun_ticks = time_ticks();
	s->op = op;
	s->device = device;
	s->info = info;
	s->buffer = dma_alloc(dma, BUFFER_BYTES, 4096, &s->buffer_io);
	s->buffer_bytes = BUFFER_BYTES;
	if (s->buffer == NULL) {
		log_line(LOG_WARNING "not enough memory for DMA");
		return false;
	}
	jobs_start(s);
	for (unsigned i = 0; i < info->channel_count && i < COMPONENT_MAX_CHANNELS; i++) {
		const struct component_channel *c = &info->channel[i];

		if (c->type != CHANNEL_BLOCK || c->role != CHANNEL_SERVER)
			continue;
		if (!port_attach(&s->port[s->port_count], c)) {
			log_line(LOG_WARNING "channel %s is no block channel", c->name);
			return false;
		}
		s->port_count++;
	}
	if (s->port_count == 0)
		log_line(LOG_WARNING "no block channel to serve");
	return s->port_count != 0;
}

/* Bounds change when nothing is in progress within the old ones.  True: they have. */
static bool
unbind(struct block_server *s, struct block_port *p)
{
	if (p->jobs != 0)
		return false;
	p->unbind = false;
	if (p->binder != NULL) {
		bind_end(s, p);
		return true;
	}
	bounds_keep(s, p, 0, 0);
	memset(&p->part, 0, sizeof p->part);
	p->part.state = BLOCK_NO_MEDIUM;
	port_publish(s, p);
	return true;
}

static bool
port_move(struct block_server *s, struct block_port *p)
{
	/* Before the device was brought to rest an earlier life's commands may still be on
	 * their way into the old client's memory. */
	bool quiet = s->scanned || s->scanning || s->was_up;
	bool moved = quiet && client_changes(s, p);

	if (!s->scanned || p->draining)
		return moved;
	if (port_drops(p) || p->unbind)
		return unbind(s, p) || moved;
	if (misses_part(p) && requests_waiting(p) != 0)
		rescan(s);
	return requests_take(s, p) || moved;
}

bool
block_server_move(struct block_server *s)
{
	bool moved = false;

	for (unsigned i = 0; i < s->port_count; i++)
		moved |= port_move(s, &s->port[(s->turn + i) % s->port_count]);
	s->turn = (s->turn + 1) % s->port_count;
	moved |= submit_all(s);
	bells_ring(s);
	return moved;
}

/* Could something be taken from this channel now? */
static bool
port_has_work(struct block_server *s, struct block_port *p)
{
	if (!s->scanned)
		return false;
	if (client_is_new(p))
		return p->jobs == 0 || !p->draining;
	if (port_drops(p) || p->unbind)
		return p->jobs == 0;
	return requests_waiting(p) != 0 && s->free != NULL && has_room(p);
}

bool
block_server_rest(struct block_server *s)
{
	for (unsigned i = 0; i < s->port_count; i++) {
		struct block_channel *c = s->port[i].shared;

		__atomic_store_n(&c->requests.reader_waits, 1, __ATOMIC_RELAXED);
		if (!has_room(&s->port[i]))
			__atomic_store_n(&c->answers.writer_waits, 1, __ATOMIC_RELAXED);
	}
	/* orders the flags before the looks; pairs with the client's fence in block_push */
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	for (unsigned i = 0; i < s->port_count; i++)
		if (port_has_work(s, &s->port[i]))
			return false;
	return true;
}

void
block_server_peer_changed(struct block_server *s)
{
	for (unsigned i = 0; i < s->port_count; i++) {
		s->port[i].bell_always = true;
		if (misses_part(&s->port[i]))
			rescan(s);
	}
}

void
block_server_say(const struct block_server *s)
{
	const struct block_statistics *t = &s->statistics;

	log_line("%s: %lu reads (%lu KiB), %lu writes (%lu KiB), %lu flushes, %lu others, %lu errors, "
	    "%lu commands, %lu resets, %lu dropped, at most %u at once", s->facts.name, t->reads,
	    t->read_bytes / 1024, t->writes, t->written_bytes / 1024, t->flushes, t->others, t->errors,
	    t->commands, t->resets, t->dropped, t->most_in_flight);
}
