/* SPDX-License-Identifier: MIT */
/*
 * The client's side of the block protocol against servers that break it: answers twice, to
 * nobody, of the past, out of range; facts that make no sense; epochs that come and go.
 * (drivers/lib/test has it with the real server, and deaths at every step.)
 */
#include <check.h>
#include <tessera/block.h>

static _Alignas(4096) uint8_t frame[BLOCK_CHANNEL_BYTES];
static struct block_channel *ch = (struct block_channel *)frame;
static struct block_client c;
static struct block_io io[BLOCK_RING + 1];
static struct block_segment segment = { .address = 1ULL << 36, .bytes = 512 };

static void
server_epoch(uint32_t state)
{
	ch->state = BLOCK_STARTING;
	ch->requests.head = ch->requests.tail;
	ch->block_size = 512;
	ch->max_bytes = 65536;
	ch->blocks = 1000;
	ch->server_epoch = ch->server_epoch + 1;
	ch->state = state;
}

static void
fresh(void)
{
	memset(frame, 0, sizeof frame);
	memset(io, 0, sizeof io);
	ch->magic = BLOCK_MAGIC;
	ch->version = BLOCK_VERSION;
	CHECK(block_attach(&c, frame, sizeof frame));
	ch->client_epoch_seen = ch->client_epoch;
	server_epoch(BLOCK_READY);
	for (unsigned i = 0; i <= BLOCK_RING; i++)
		io[i] = (struct block_io){ .block = i, .count = 1, .op = BLOCK_READ, .segments = 1, .segment = &segment };
}

/* Take the n-th request of the ring, counted from its head. */
static const struct block_request *
request(unsigned n)
{
	return &ch->request[(ch->requests.head + n) % BLOCK_RING];
}

static void
answer(uint64_t cookie, uint32_t status)
{
	ch->answer[ch->answers.tail % BLOCK_RING] = (struct block_answer){ .cookie = cookie, .status = status };
	ch->answers.tail = ch->answers.tail + 1;
}

static void
a_frame_that_is_none_is_refused(void)
{
	fresh();
	CHECK(!block_attach(&c, frame, sizeof(struct block_channel) - 1));
	ch->version = 2;
	CHECK(!block_attach(&c, frame, sizeof frame));
	ch->version = BLOCK_VERSION;
	ch->magic = 0;
	CHECK(!block_attach(&c, frame, sizeof frame));
}

static void
nothing_goes_out_before_the_server_has_seen_us(void)
{
	fresh();
	ch->client_epoch_seen = ch->client_epoch - 1;
	CHECK(block_submit(&c, &io[0]));
	CHECK(!block_push(&c) && ch->requests.tail == 0 && block_reap(&c) == NULL);
	CHECK(block_rest(&c) && ch->answers.reader_waits == 1);
	ch->client_epoch_seen = ch->client_epoch;
	CHECK(!block_rest(&c));
	block_push(&c);
	CHECK(ch->requests.tail == 1 && request(0)->epoch == 1 && request(0)->segments == 1);
}

static void
answers_find_their_request(void)
{
	fresh();
	for (unsigned i = 0; i < 3; i++)
		CHECK(block_submit(&c, &io[i]));
	ch->requests.reader_waits = 1;
	CHECK(block_push(&c) && ch->requests.reader_waits == 0);
	CHECK(!block_push(&c));
	answer(request(2)->cookie, BLOCK_OK);
	answer(request(0)->cookie, BLOCK_ERANGE);
	CHECK(block_reap(&c) == &io[2] && io[2].status == BLOCK_OK);
	CHECK(block_reap(&c) == &io[0] && io[0].status == BLOCK_ERANGE);
	CHECK(block_reap(&c) == NULL && c.in_flight == 1 && ch->answers.head == 2);
}

static void
answers_to_nobody_hit_nobody(void)
{
	uint64_t old;

	fresh();
	block_submit(&c, &io[0]);
	block_push(&c);
	old = request(0)->cookie;
	answer(old, BLOCK_OK);
	answer(old, BLOCK_OK);			/* twice */
	answer(77, BLOCK_OK);			/* a tag that is free */
	answer(BLOCK_RING, BLOCK_OK);		/* no tag */
	answer(UINT64_MAX, BLOCK_OK);
	CHECK(block_reap(&c) == &io[0] && block_reap(&c) == NULL);
	CHECK(c.broken == 4 && ch->answers.head == ch->answers.tail);
	block_submit(&c, &io[1]);		/* gets the same tag */
	block_push(&c);
	answer(old, BLOCK_EIO);
	CHECK(block_reap(&c) == NULL && c.broken == 5 && c.in_flight == 1);
	answer(request(1)->cookie, 12345);	/* no status that exists */
	CHECK(block_reap(&c) == &io[1] && io[1].status == BLOCK_EIO);
}

static void
a_tail_out_of_range_is_not_followed(void)
{
	fresh();
	block_submit(&c, &io[0]);
	block_push(&c);
	ch->answers.tail = 4000;
	CHECK(block_reap(&c) == NULL && ch->answers.head == 4000 && c.broken == 1);
	ch->requests.head = 500;		/* in front of the writer */
	block_submit(&c, &io[1]);
	CHECK(!block_push(&c) && ch->requests.tail == 1);
}

static void
facts_that_make_no_sense_are_not_used_and_not_waited_for(void)
{
	static const struct { uint32_t size, max; uint64_t blocks; } bad[] = {
		{ 0, 65536, 10 }, { 1024, 65536, 10 }, { 512, 0, 10 }, { 4096, 512, 10 }, { 512, 65536, UINT64_MAX },
	};

	for (unsigned i = 0; i < sizeof bad / sizeof *bad; i++) {
		fresh();
		ch->block_size = bad[i].size;
		ch->max_bytes = bad[i].max;
		ch->blocks = bad[i].blocks;
		CHECK(!block_update(&c) && c.refused);
		CHECK(block_rest(&c));		/* it may wait: no busy loop */
		server_epoch(BLOCK_READY);
		CHECK(!block_rest(&c) && block_update(&c));
	}
	fresh();
	ch->state = 99;
	CHECK(!block_update(&c) && block_rest(&c));
}

static void
a_new_server_gets_what_has_no_answer(void)
{
	fresh();
	for (unsigned i = 0; i < 4; i++)
		block_submit(&c, &io[i]);
	block_push(&c);
	answer(request(1)->cookie, BLOCK_OK);
	ch->state = BLOCK_STARTING;		/* died, and another one begins */
	CHECK(block_reap(&c) == &io[1]);
	CHECK(block_reap(&c) == NULL && !c.live && block_rest(&c));
	block_submit(&c, &io[4]);
	CHECK(!block_push(&c));
	server_epoch(BLOCK_READY);
	CHECK(!block_rest(&c) && block_reap(&c) == NULL);
	block_push(&c);
	CHECK(ch->requests.tail - ch->requests.head == 4 && c.reissued == 3);
	for (unsigned i = 0; i < 4; i++)
		CHECK(request(i)->epoch == 2 && request(i)->block == (i == 0 ? 0 : i + 1));
	for (unsigned i = 0; i < 4; i++)
		answer(request(i)->cookie, BLOCK_OK);
	for (unsigned i = 0; i < 4; i++)
		CHECK(block_reap(&c) != NULL);
	CHECK(c.in_flight == 0 && c.broken == 0);
}

/* Requests of the old epoch still fill the ring: the others wait for room and get it. */
static void
a_ring_full_of_the_past_is_waited_for(void)
{
	fresh();
	for (unsigned i = 0; i < BLOCK_RING; i++)
		CHECK(block_submit(&c, &io[i]));
	CHECK(!block_submit(&c, &io[BLOCK_RING]));
	block_push(&c);
	ch->server_epoch = ch->server_epoch + 1;	/* and nothing was dropped */
	CHECK(block_reap(&c) == NULL);
	CHECK(!block_push(&c) && ch->requests.tail == BLOCK_RING);
	CHECK(block_rest(&c) && ch->requests.writer_waits == 1);
	ch->requests.head = 10;
	CHECK(!block_rest(&c));
	block_push(&c);
	CHECK(ch->requests.tail == BLOCK_RING + 10 && ch->request[9].epoch == 2);
	ch->requests.head = BLOCK_RING + 10;
	block_push(&c);
	CHECK(ch->requests.tail == 2 * BLOCK_RING);
}

static void
states_are_told(void)
{
	uint32_t changes;

	fresh();
	CHECK(block_update(&c) && c.facts.blocks == 1000 && c.facts.state == BLOCK_READY);
	changes = c.changes;
	server_epoch(BLOCK_NO_MEDIUM);
	CHECK(block_update(&c) && c.facts.state == BLOCK_NO_MEDIUM && c.changes == changes + 1);
	server_epoch(BLOCK_FAILED);
	block_reap(&c);
	CHECK(c.facts.state == BLOCK_FAILED && c.changes == changes + 2);
}

/* Another card in the slot: what was written to the first one never gets to it. */
static void
another_medium_gets_nothing_of_the_old_one(void)
{
	for (unsigned between = 0; between < 3; between++) {
		fresh();
		memcpy(ch->serial, "first", 6);
		server_epoch(BLOCK_READY);
		CHECK(block_update(&c));
		CHECK(block_submit(&c, &io[0]) && block_submit(&c, &io[1]));
		block_push(&c);
		CHECK(block_submit(&c, &io[2]));		/* not in the ring yet */
		if (between != 0)
			server_epoch(BLOCK_NO_MEDIUM);
		if (between == 2) {				/* and this time the client has seen it */
			CHECK(block_reap(&c) == NULL);
			block_push(&c);
		}
		memcpy(ch->serial, "other", 6);
		server_epoch(BLOCK_READY);
		CHECK(!block_rest(&c));
		for (unsigned i = 0; i < 3; i++) {
			struct block_io *done = block_reap(&c);

			CHECK(done == &io[i] && done->status == BLOCK_ENOMEDIUM && (i == 2 || !block_rest(&c)));
		}
		CHECK(block_reap(&c) == NULL && c.in_flight == 0 && c.live && block_rest(&c));
		block_push(&c);
		CHECK(ch->requests.tail == ch->requests.head);
		CHECK(block_submit(&c, &io[3]));
		block_push(&c);
		CHECK(request(0)->block == 3 && ch->requests.tail == ch->requests.head + 1);
		answer(request(0)->cookie, BLOCK_OK);
		CHECK(block_reap(&c) == &io[3] && io[3].status == BLOCK_OK);
	}
	/* one that grew is the same */
	CHECK(block_submit(&c, &io[4]));
	block_push(&c);
	server_epoch(BLOCK_READY);
	ch->blocks = 2000;
	CHECK(block_reap(&c) == NULL && c.in_flight == 1);
	block_push(&c);
	CHECK(request(0)->block == 4 && ch->requests.tail == ch->requests.head + 1);
}

int
main(void)
{
	RUN(a_frame_that_is_none_is_refused);
	RUN(nothing_goes_out_before_the_server_has_seen_us);
	RUN(answers_find_their_request);
	RUN(answers_to_nobody_hit_nobody);
	RUN(a_tail_out_of_range_is_not_followed);
	RUN(facts_that_make_no_sense_are_not_used_and_not_waited_for);
	RUN(a_new_server_gets_what_has_no_answer);
	RUN(a_ring_full_of_the_past_is_waited_for);
	RUN(states_are_told);
	RUN(another_medium_gets_nothing_of_the_old_one);
	CHECK_END();
}
