/* SPDX-License-Identifier: MIT */
/*
 * The client's side of the block protocol: tags, both rings, and what is done when
 * the server was born again.  Pure: memory that the server shares is all it touches
 * beside its own.
 *
 * A request in progress has a tag below BLOCK_RING and is either pending (on a list, in
 * the order of submission) or sent (in sent[]).  Its cookie is the tag and a count of
 * the tag's uses, so that an answer given twice hits nobody else's request.
 */
#include <tessera/block.h>
#include <tessera/string.h>

enum { MASK = BLOCK_RING - 1 };
_Static_assert((BLOCK_RING & MASK) == 0, "a power of two");

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

static void
queue_append(struct block_queue *q, struct block_io *io)
{
	io->next = NULL;
	if (q->first == NULL)
		q->first = io;
	else
		q->last->next = io;
	q->last = io;
}

static struct block_io *
queue_take(struct block_queue *q)
{
	struct block_io *io = q->first;

	if (io != NULL)
		q->first = io->next;
	return io;
}

bool
block_attach(struct block_client *c, void *frame, size_t bytes)
{
	struct block_channel *s = frame;

	if (bytes < sizeof *s || s->magic != BLOCK_MAGIC || s->version != BLOCK_VERSION)
		return false;
	memset(c, 0, sizeof *c);
	c->shared = s;
	c->own_epoch = load(&s->client_epoch) + 1;
	if (c->own_epoch == load(&s->client_epoch_seen))
		c->own_epoch++;		/* after 2^32 lives, or a server that wrote nonsense */
	store(&s->client_epoch, c->own_epoch);
	return true;
}

/* ---- tags ---------------------------------------------------------------- */

static bool
tag_take(struct block_client *c, struct block_io *io)
{
	for (unsigned i = 0; i < BLOCK_RING / 64; i++) {
		unsigned bit;

		if (~c->tag_used[i] == 0)
			continue;
		bit = (unsigned)__builtin_ctzll(~c->tag_used[i]);
		c->tag_used[i] |= 1ULL << bit;
		bit += i * 64;
		io->cookie = (uint64_t)++c->generation[bit] << 32 | bit;
		c->in_flight++;
		return true;
	}
	return false;
}

static void
tag_give(struct block_client *c, const struct block_io *io)
{
	unsigned tag = (uint32_t)io->cookie;

	c->tag_used[tag / 64] &= ~(1ULL << tag % 64);
	c->sent[tag] = NULL;
	c->in_flight--;
}

bool
block_submit(struct block_client *c, struct block_io *io)
{
	if (!tag_take(c, io))
		return false;
	io->status = BLOCK_OK;
	queue_append(&c->pending, io);
	return true;
}

/* ---- the server's lives -------------------------------------------------- */

/* Has the server dropped what an earlier life of this client had sent?  From then on the
 * rings are this life's, and go on where it left them. */
static bool
client_open(struct block_client *c)
{
	if (c->open)
		return true;
	/* acquire: the server cleared the rings before it said so */
	if (load(&c->shared->client_epoch_seen) != c->own_epoch)
		return false;
	c->tail = load(&c->shared->requests.tail);
	c->head = load(&c->shared->answers.head);
	c->open = true;
	return true;
}

static void
copy_text(char *to, const volatile char *from, size_t room)
{
	for (size_t i = 0; i < room; i++)
		to[i] = from[i];
	to[room - 1] = '\0';
}

static void
copy_guid(uint8_t to[16], const volatile uint8_t from[16])
{
	for (unsigned i = 0; i < 16; i++)
		to[i] = from[i];
}

static void
facts_copy(struct block_facts *f, const struct block_channel *s, uint32_t state)
{
	f->state = state;
	f->flags = s->flags;
	f->block_size = s->block_size;
	f->physical_size = s->physical_size;
	f->max_bytes = s->max_bytes;
	f->part_number = s->part_number;
	f->blocks = s->blocks;
	f->first_block = s->first_block;
	f->disk_blocks = s->disk_blocks;
	copy_guid(f->part_guid, s->part_guid);
	copy_guid(f->disk_guid, s->disk_guid);
	copy_text(f->part_name, s->part_name, sizeof f->part_name);
	copy_text(f->model, s->model, sizeof f->model);
	copy_text(f->serial, s->serial, sizeof f->serial);
	copy_text(f->firmware, s->firmware, sizeof f->firmware);
	copy_text(f->name, s->name, sizeof f->name);
}

static bool
facts_make_sense(const struct block_facts *f)
{
	if (f->state != BLOCK_READY)		/* no medium, no size */
		return f->state <= BLOCK_FAILED;
	return (f->block_size == 512 || f->block_size == 4096) && f->max_bytes >= f->block_size &&
	    f->blocks <= UINT64_MAX / f->block_size;
}

/*
 * Facts change only while state is BLOCK_STARTING, and server_epoch with them: what was
 * copied between two equal looks at both is of one piece.  False: not now.
 */
static bool
facts_read(const struct block_client *c, struct block_facts *facts, uint32_t *epoch)
{
	struct block_channel *s = c->shared;
	uint32_t state = load(&s->state);

	*epoch = load(&s->server_epoch);
	if (state == BLOCK_STARTING || (c->refused && *epoch == c->refused_epoch))
		return false;
	facts_copy(facts, s, state);
	/* orders the copy before the second look; pairs with the server's release of state */
	__atomic_thread_fence(__ATOMIC_ACQUIRE);
	return load(&s->state) == state && load(&s->server_epoch) == *epoch;
}

/* Everything that was sent and has no answer waits to be sent again, in the order of tags:
 * requests in progress at once have no other. */
static void
take_back(struct block_client *c)
{
	struct block_queue again = { NULL, NULL };
	struct block_io *io;

	for (unsigned tag = 0; tag < BLOCK_RING; tag++) {
		io = c->sent[tag];
		if (io == NULL)
			continue;
		c->sent[tag] = NULL;
		c->reissued++;
		queue_append(&again, io);
	}
	while ((io = queue_take(&c->pending)) != NULL)
		queue_append(&again, io);
	c->pending = again;
}

/* The next answer of the ring that belongs to a request in progress. */
static struct block_io *
answer_take(struct block_client *c)
{
	struct block_ring *r = &c->shared->answers;
	/* acquire: pairs with the server's release of tail after the answer */
	uint32_t tail = load(&r->tail);
	struct block_io *io = NULL;

	if (tail - c->head > BLOCK_RING) {
		c->broken++;
		c->head = tail;
		store(&r->head, tail);
		return NULL;
	}
	while (io == NULL && c->head != tail) {
		const volatile struct block_answer *a = &c->shared->answer[c->head & MASK];
		uint64_t cookie = a->cookie;
		uint32_t status = a->status;

		c->head++;
		if ((uint32_t)cookie < BLOCK_RING)
			io = c->sent[(uint32_t)cookie];
		if (io != NULL && io->cookie != cookie)
			io = NULL;
		if (io == NULL) {
			c->broken++;
			continue;
		}
		io->status = status <= BLOCK_EBUSY ? status : BLOCK_EIO;
		tag_give(c, io);
	}
	store(&r->head, c->head);
	return io;
}

/* As far as disks tell: one that grew is the same, another range of it is not. */
static bool
same_medium(const struct block_facts *a, const struct block_facts *b)
{
	return a->block_size == b->block_size && a->first_block == b->first_block &&
	    memcmp(a->serial, b->serial, sizeof a->serial) == 0 && memcmp(a->model, b->model, sizeof a->model) == 0;
}

/* What was meant for a medium that is gone does not go to the one in its place, even if nobody has
 * seen the epoch between them. */
static void
medium_look(struct block_client *c, const struct block_facts *facts)
{
	struct block_io *io;

	if (facts->state != BLOCK_READY)
		return;
	if (c->medium.block_size != 0 && !same_medium(&c->medium, facts))
		while ((io = queue_take(&c->pending)) != NULL)
			queue_append(&c->orphans, io);
	c->medium = *facts;
}

bool
block_update(struct block_client *c)
{
	struct block_facts facts;
	uint32_t epoch;

	if (!client_open(c))
		return false;
	if (c->live && load(&c->shared->server_epoch) == c->epoch &&
	    load(&c->shared->state) == c->facts.state)
		return true;
	/* A new life, or one in the making.  Its answers can only be those to
	 * requests of its epoch, so what is in the ring is taken first: by
	 * block_reap, which calls here only when the ring is empty. */
	c->live = false;
	if (load(&c->shared->answers.tail) != c->head || !facts_read(c, &facts, &epoch))
		return false;
	/* acquire in facts_read: an answer of the old life is visible by now */
	if (load(&c->shared->answers.tail) != c->head)
		return false;
	c->refused = !facts_make_sense(&facts);
	c->refused_epoch = epoch;
	if (c->refused) {
		c->broken++;
		return false;
	}
	if (epoch != c->epoch)
		take_back(c);
	medium_look(c, &facts);
	c->facts = facts;
	c->epoch = epoch;
	c->live = true;
	c->changes++;
	return true;
}

struct block_io *
block_reap(struct block_client *c)
{
	struct block_io *io;

	if (!client_open(c))
		return NULL;
	io = answer_take(c);
	if (io != NULL)
		return io;
	(void)block_update(c);
	io = queue_take(&c->orphans);
	if (io == NULL)
		return answer_take(c);
	io->status = BLOCK_ENOMEDIUM;
	tag_give(c, io);
	return io;
}

/* ---- sending ------------------------------------------------------------- */

static void
request_write(struct block_client *c, const struct block_io *io)
{
	unsigned slot = c->tail & MASK;
	struct block_request *r = &c->shared->request[slot];
	uint32_t n = io->segments <= BLOCK_SEGMENTS ? io->segments : BLOCK_SEGMENTS;

	*r = (struct block_request){
		.block = io->block, .cookie = io->cookie, .count = io->count, .op = io->op,
		/* the true count: too many is the server's to refuse */
		.flags = io->flags, .epoch = c->epoch, .segments = io->segments,
	};
	if (n != 0)
		memcpy(c->shared->segment[slot], io->segment, n * sizeof *io->segment);
	if (io->op == BLOCK_BIND && io->bounds != NULL)
		r->bounds = *io->bounds;
	c->tail++;
}

bool
block_push(struct block_client *c)
{
	struct block_ring *r = &c->shared->requests;
	uint32_t before = c->tail, used;

	if (!block_update(c))
		return false;
	/* acquire: the server has copied what it gave back with this head */
	used = c->tail - load(&r->head);
	if (used > BLOCK_RING) {
		c->broken++;		/* a server that lies gets no more requests */
		return false;
	}
	for (; used < BLOCK_RING && c->pending.first != NULL; used++) {
		struct block_io *io = queue_take(&c->pending);

		c->sent[(uint32_t)io->cookie] = io;
		request_write(c, io);
	}
	if (c->tail == before)
		return false;
	store(&r->tail, c->tail);
	/* orders the store of tail before the load of reader_waits; pairs with the server's
	 * fence between setting it and looking at tail */
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	if (__atomic_load_n(&r->reader_waits, __ATOMIC_RELAXED) == 0)
		return false;
	__atomic_store_n(&r->reader_waits, 0, __ATOMIC_RELAXED);
	return true;
}

bool
block_rest(struct block_client *c)
{
	struct block_channel *s = c->shared;
	bool wants_room;

	__atomic_store_n(&s->answers.reader_waits, 1, __ATOMIC_RELAXED);
	/* what an earlier life of the server left may fill the ring for a while */
	wants_room = c->live && c->pending.first != NULL;
	if (wants_room)
		__atomic_store_n(&s->requests.writer_waits, 1, __ATOMIC_RELAXED);
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	if (!c->open)
		return load(&s->client_epoch_seen) != c->own_epoch;
	if (load(&s->answers.tail) != c->head || c->orphans.first != NULL)
		return false;
	if (wants_room && c->tail - load(&s->requests.head) < BLOCK_RING)
		return false;
	if (!c->live)			/* a server in the making rings when it is there */
		return load(&s->state) == BLOCK_STARTING ||
		    (c->refused && load(&s->server_epoch) == c->refused_epoch);
	return load(&s->server_epoch) == c->epoch && load(&s->state) == c->facts.state;
}
