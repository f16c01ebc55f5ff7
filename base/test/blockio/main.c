/* SPDX-License-Identifier: MIT */
/*
 * A native client of a block channel: writes blocks that say which they are and how often they
 * were written, clears and discards some, and reads them back; many at once, scattered over
 * its heap, which it lends to the driver.  What is on the disk is its own: it is for a scratch disk.
 *
 * args: REQUESTS [LIVES [plain]].  plain: nothing but reads, writes and flushes.  When as many are done, and the driver has been built so often, all
 * blocks are flushed and read once more.  Its last line,
 * "blockio: N requests, …, 0 wrong, 0 errors", is what the boot test waits for.  It has to come
 * out the same however often the driver is killed meanwhile.
 */
#include <tessera/block.h>
#include <tessera/runtime.h>
#include <tessera/string.h>

enum { IOS = 48, AREA = 64 * 1024, BLOCK = 512, WORDS = BLOCK / 8, BLOCKS = 32768, MAX_COUNT = 96,
	LAST_COUNT = AREA / 2 / BLOCK };
enum { UNKNOWN = 0, WRITTEN, ZEROED };	/* UNKNOWN: not by us, or discarded */

struct test_io {
	struct block_io io;
	struct block_segment segment[BLOCK_SEGMENTS];
	uint8_t *area;
	bool busy;
};

static const struct component_channel *channel;
static struct block_client client;
static struct test_io ios[IOS];
static uint32_t version[BLOCKS];	/* of what was written last */
static uint8_t state[BLOCKS];		/* UNKNOWN, WRITTEN or ZEROED */
static uint8_t busy[BLOCKS];
static uint8_t *heap;
static uint64_t random;
static uint64_t started, last_answer, longest_pause;
static unsigned sent, done, wrong, errors, in_flight;
static uint64_t bytes;
static bool flushing, expects_errors, plain;

static uint32_t
any(uint32_t below)
{
	random ^= random >> 12;
	random ^= random << 25;
	random ^= random >> 27;
	return (uint32_t)(random * 0x2545f4914f6cdd1dULL >> 32) % below;
}

static uint64_t
word_of(uint64_t block, uint32_t v, unsigned i)
{
	return (block << 32 | v) ^ (i + 1) * 0x9e3779b97f4a7c15ULL;
}

static uint64_t
io_address(const uint8_t *p)
{
	return IO_WINDOW(channel->window) + (uint64_t)(p - heap);
}

static uint8_t *
memory_of(const struct block_segment *s)
{
	return heap + (s->address - IO_WINDOW(channel->window));
}

/* Pieces of the io's area, apart and together, at places that are no page's beginning. */
static void
scatter(struct test_io *t, uint32_t blocks)
{
	uint32_t n = 0, at = any(8) * BLOCK, take;

	for (uint32_t left = blocks; left > 0; left -= take) {
		take = n + 1 == BLOCK_SEGMENTS ? left : 1 + any(left);
		t->segment[n++] = (struct block_segment){ .address = io_address(t->area + at), .bytes = take * BLOCK };
		at += take * BLOCK + (any(2) != 0 && n < 8 ? any(5) * BLOCK : 0);
	}
	t->io.segments = n;
	t->io.segment = t->segment;
}

/* Put or compare what block `block`, `count` of them, should be; false: it is not. */
static bool
contents(const struct test_io *t, bool put)
{
	uint64_t block = t->io.block;
	bool ok = true;

	for (uint32_t s = 0; s < t->io.segments; s++) {
		uint64_t *p = (uint64_t *)(void *)memory_of(&t->segment[s]);

		for (uint32_t b = t->segment[s].bytes / BLOCK; b > 0; b--, block++, p += WORDS) {
			for (unsigned i = 0; i < WORDS && (put || state[block] != UNKNOWN); i++) {
				uint64_t word = state[block] == ZEROED ? 0 : word_of(block, version[block], i);

				if (put)
					p[i] = word;
				else
					ok = ok && p[i] == word;
			}
		}
	}
	return ok;
}

static void
range_set(const struct block_io *io, uint8_t value)
{
	memset(busy + io->block, value, io->count);
}

static bool
range_take(struct block_io *io)
{
	for (uint32_t i = 0; i < io->count; i++)
		if (busy[io->block + i] != 0)
			return false;
	range_set(io, 1);
	return true;
}

/* What blocks will hold when it is done. */
static void
changes(const struct block_io *io)
{
	for (uint32_t i = 0; i < io->count && io->op != BLOCK_READ; i++) {
		version[io->block + i]++;
		state[io->block + i] = io->op == BLOCK_WRITE ? WRITTEN : io->op == BLOCK_DISCARD ? UNKNOWN : ZEROED;
	}
}

static bool
io_make(struct test_io *t)
{
	uint32_t kind = any(100);

	t->io = (struct block_io){ 0 };
	if (kind < 4) {
		t->io.op = BLOCK_FLUSH;
		flushing = true;
		return true;
	}
	t->io.op = kind < 50 ? BLOCK_WRITE : BLOCK_READ;
	if (!plain && kind >= 96 && (client.facts.flags & BLOCK_HAS_ZEROES) != 0)
		t->io.op = BLOCK_WRITE_ZEROES;
	else if (!plain && kind >= 94 && (client.facts.flags & BLOCK_HAS_DISCARD) != 0)
		t->io.op = BLOCK_DISCARD;
	t->io.flags = t->io.op == BLOCK_WRITE && any(16) == 0 ? BLOCK_FUA : 0;
	t->io.count = 1 + any(any(4) == 0 ? MAX_COUNT : 8);
	t->io.block = any(BLOCKS - t->io.count);
	if (!range_take(&t->io))
		return false;
	changes(&t->io);
	if (t->io.op == BLOCK_READ || t->io.op == BLOCK_WRITE)
		scatter(t, t->io.count);
	return t->io.op != BLOCK_WRITE || contents(t, true);
}

static void
io_done(struct test_io *t)
{
	uint64_t now = time_ticks();

	if (now - last_answer > longest_pause)
		longest_pause = now - last_answer;
	last_answer = now;
	t->busy = false;
	in_flight--;
	done++;
	range_set(&t->io, 0);
	if (t->io.op == BLOCK_FLUSH)
		flushing = false;
	bytes += (uint64_t)t->io.count * BLOCK;
	if (t->io.status != BLOCK_OK) {
		if (errors++ < 5 && !expects_errors)
			log_line(LOG_WARNING "blockio: operation %u of %u blocks at %lu: status %u", t->io.op, t->io.count,
			    t->io.block, t->io.status);
	} else if (t->io.op == BLOCK_READ && !contents(t, false)) {
		if (wrong++ < 5)
			log_line(LOG_WARNING "blockio: wrong data in %u blocks at %lu", t->io.count, t->io.block);
	}
}

static void
wait_for_bell(void)
{
	if (block_rest(&client) && bell_wait(0) & COMPONENT_BIT_PEER) {
		block_peer_changed(&client);
		bell_ring(channel->slot);
	}
}

static void
send(void)
{
	if (block_push(&client))
		bell_ring(channel->slot);
}

static void
collect(void)
{
	struct block_io *io;

	while ((io = block_reap(&client)) != NULL)
		io_done((struct test_io *)io);
}

static void
give(struct test_io *t)
{
	t->busy = true;
	in_flight++;
	sent++;
	assert_that(block_submit(&client, &t->io));
}

static void
traffic(unsigned requests, unsigned lives)
{
	while (done < requests || client.epoch < lives || in_flight > 0) {
		collect();
		for (unsigned i = 0; i < IOS && (sent < requests || client.epoch < lives); i++)
			if (!ios[i].busy && !(flushing && any(2) != 0) && io_make(&ios[i]))
				give(&ios[i]);
		send();
		if (in_flight > 0)
			wait_for_bell();
	}
}

/* One request at a time is enough here. */
static void
one(struct test_io *t)
{
	unsigned before = done;

	give(t);
	while (done == before) {
		send();
		collect();
		if (done == before)
			wait_for_bell();
	}
}

static void
read_all(void)
{
	struct test_io *t = &ios[0];

	t->io = (struct block_io){ .op = BLOCK_FLUSH };
	one(t);
	for (uint64_t block = 0; block < BLOCKS; block += LAST_COUNT) {
		t->io = (struct block_io){ .op = BLOCK_READ, .block = block, .count = LAST_COUNT, .segments = 1,
		    .segment = t->segment };
		t->segment[0] = (struct block_segment){ .address = io_address(t->area), .bytes = LAST_COUNT * BLOCK };
		memset(t->area, 0, LAST_COUNT * BLOCK);
		one(t);
	}
}

static uint32_t
status_of(struct block_io io)
{
	ios[0].io = io;
	one(&ios[0]);
	return ios[0].io.status;
}

/* What a client may not do gets an error, and touches nothing. */
static void
try_what_is_not_allowed(void)
{
	struct block_segment s = { .address = io_address(heap), .bytes = BLOCK };
	struct block_io io = { .op = BLOCK_READ, .count = 1, .segments = 1, .segment = &s };
	unsigned refused = 0;

	expects_errors = true;
	io.block = client.facts.blocks;
	refused += status_of(io) == BLOCK_ERANGE;
	io.block = 0;
	s.address = io_address(heap) - IO_WINDOW(channel->window);		/* the driver's own window */
	refused += status_of(io) == BLOCK_EINVAL;
	s.address = IO_WINDOW(channel->window == 7 ? 1 : channel->window + 1);	/* somebody else's */
	refused += status_of(io) == BLOCK_EINVAL;
	s.address = io_address(heap) + 2;
	refused += status_of(io) == BLOCK_EINVAL;
	errors = 0;
	expects_errors = false;
	log_line("blockio: %u of 4 bad requests refused", refused);
}

static bool
begin(void)
{
	size_t size;

	channel = component_channel(CHANNEL_BLOCK, CHANNEL_CLIENT, 0);
	heap = heap_region(&size);
	if (channel == NULL || size < (size_t)IOS * AREA) {
		log_line(LOG_WARNING "blockio: no block channel, or too little memory");
		return false;
	}
	for (unsigned i = 0; i < IOS; i++)
		ios[i].area = heap + (size_t)i * AREA;
	if (!block_attach(&client, (void *)channel->address, channel->size)) {
		log_line(LOG_WARNING "blockio: no block channel in its Frame");
		return false;
	}
	bell_ring(channel->slot);
	while (!block_update(&client))
		wait_for_bell();
	log_line("blockio: %s \"%s\" %s, %lu blocks of %u, flags %x", client.facts.name, client.facts.model,
	    client.facts.serial, client.facts.blocks, client.facts.block_size, client.facts.flags);
	if (client.facts.state == BLOCK_READY && client.facts.block_size == BLOCK && client.facts.blocks >= BLOCKS)
		return true;
	log_line(LOG_WARNING "blockio: state %u, too small, or other blocks", client.facts.state);
	return false;
}

static unsigned
number(const char **text)
{
	unsigned v = 0;

	for (; **text >= '0' && **text <= '9'; (*text)++)
		v = v * 10 + (unsigned)(**text - '0');
	*text += **text == ' ';
	return v;
}

int
component_main(const struct component_info *info)
{
	const char *args = info->args;
	unsigned requests = number(&args), lives = number(&args), done_in_traffic;
	uint64_t ms, pause;

	plain = strcmp(args, "plain") == 0;
	random = info->random | 1;
	if (!begin())
		return 1;
	try_what_is_not_allowed();
	sent = done = 0;
	bytes = longest_pause = 0;
	started = last_answer = time_ticks();
	traffic(requests, lives);
	done_in_traffic = done;
	ms = time_ns_of_ticks(time_ticks() - started) / 1000000;
	pause = time_ns_of_ticks(longest_pause) / 1000000;
	read_all();
	log_line("blockio: %u requests, %lu MiB in %lu ms, %u lives of the driver, longest pause %lu ms, %u given again",
	    done_in_traffic, bytes >> 20, ms, client.epoch, pause, client.reissued);
	log_line("blockio: %u wrong, %u errors", wrong, errors);
	return 0;
}
