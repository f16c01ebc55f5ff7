/* SPDX-License-Identifier: MIT */
/*
 * The client of a scratch disk: many reads and writes in flight, and every byte
 * that comes back is what was written last, whoever is killed meanwhile.  Each
 * chunk of the disk holds its number and the count of its writes, in every word.
 *
 * args: MEGABYTES
 * Each second it says "disk: N reads, N writes, N wrong, N failed, pause N ms":
 * the longest time in which nothing was answered.
 */
#include <tessera/block.h>
#include <tessera/runtime.h>

enum {
	CHUNK = 16384,
	WORDS = CHUNK / 8,
	IN_FLIGHT = 24,
	MAX_CHUNKS = 4096,
	IDLE = -1,
};

static struct job {
	struct block_io io;		/* first: block_reap gives it back */
	struct block_segment segment;
	uint64_t *buffer;
	int chunk;
} jobs[IN_FLIGHT];

static struct block_client client;
static const struct component_channel *channel;
static uint32_t written[MAX_CHUNKS];	/* how often; 0: never in this life */
static bool busy[MAX_CHUNKS];
static unsigned chunk_count, filled;
static uint64_t reads, writes, wrong, failed, state;
static uint64_t last_answer, longest_pause;

static uint64_t
next_random(void)
{
	state ^= state >> 12;
	state ^= state << 25;
	state ^= state >> 27;
	return state * 0x2545f4914f6cdd1dULL;
}

static uint64_t
word_of(unsigned chunk, uint32_t count, unsigned i)
{
	return ((uint64_t)chunk << 32 | count) * 0x9e3779b97f4a7c15ULL + i;
}

static void
check(const struct job *j)
{
	unsigned chunk = (unsigned)j->chunk;

	for (unsigned i = 0; i < WORDS; i++) {
		if (j->buffer[i] == word_of(chunk, written[chunk], i))
			continue;
		if (wrong++ < 8)
			log_line(LOG_WARNING "disk: chunk %u word %u is %016llx, not %016llx", chunk, i,
			    (unsigned long long)j->buffer[i],
			    (unsigned long long)word_of(chunk, written[chunk], i));
		return;
	}
}

static void
finish(struct job *j)
{
	uint64_t now = time_ticks();

	if (now - last_answer > longest_pause)
		longest_pause = now - last_answer;
	last_answer = now;
	if (j->io.status != BLOCK_OK) {
		if (failed++ < 8)
			log_line(LOG_WARNING "disk: chunk %u: status %u", (unsigned)j->chunk, j->io.status);
	} else if (j->io.op == BLOCK_READ) {
		reads++;
		check(j);
	} else {
		writes++;
		written[j->chunk]++;
	}
	busy[j->chunk] = false;
	j->chunk = IDLE;
}

/* First every chunk once, in order; then any, read or written. */
static void
begin(struct job *j)
{
	uint32_t size = client.facts.block_size;
	unsigned chunk = filled < chunk_count ? filled++ : (unsigned)(next_random() % chunk_count);
	bool read = written[chunk] != 0 && (next_random() & 1) != 0;

	if (busy[chunk])
		return;
	for (unsigned i = 0; i < WORDS; i++)
		j->buffer[i] = read ? 0 : word_of(chunk, written[chunk] + 1, i);
	j->chunk = (int)chunk;
	busy[chunk] = true;
	j->segment = (struct block_segment){
		.address = IO_WINDOW(channel->window) + ((uint64_t)j->buffer - component->heap_base),
		.bytes = CHUNK,
	};
	j->io = (struct block_io){
		.block = (uint64_t)chunk * (CHUNK / size),
		.count = CHUNK / size,
		.op = read ? BLOCK_READ : BLOCK_WRITE,
		.segments = 1,
		.segment = &j->segment,
	};
	if (!block_submit(&client, &j->io)) {
		busy[chunk] = false;
		j->chunk = IDLE;
	}
}

static void
begin_all(void)
{
	if (!block_update(&client) || client.facts.state != BLOCK_READY)
		return;
	if (client.facts.blocks / (CHUNK / client.facts.block_size) < chunk_count)
		chunk_count = (unsigned)(client.facts.blocks / (CHUNK / client.facts.block_size));
	for (unsigned i = 0; i < IN_FLIGHT && chunk_count != 0; i++)
		if (jobs[i].chunk == IDLE)
			begin(&jobs[i]);
}

static void
report(void)
{
	static uint64_t next;

	if (time_ticks() < next)
		return;
	next = time_ticks() + component->timer_hz;
	log_line("disk: %llu reads, %llu writes, %llu wrong, %llu failed, pause %llu ms",
	    (unsigned long long)reads, (unsigned long long)writes, (unsigned long long)wrong,
	    (unsigned long long)failed, (unsigned long long)(time_ns_of_ticks(longest_pause) / 1000000));
}

static unsigned
megabytes(const char *text)
{
	unsigned n = 0;

	for (; *text >= '0' && *text <= '9' && n < 4096; text++)
		n = n * 10 + (unsigned)(*text - '0');
	return n;
}

int
component_main(const struct component_info *info)
{
	uint64_t base = (info->heap_base + 4095) & ~4095ULL;
	struct block_io *io;

	channel = component_channel(CHANNEL_BLOCK, CHANNEL_CLIENT, 0);
	if (channel == NULL || info->heap_size < (IN_FLIGHT + 1) * CHUNK ||
	    !block_attach(&client, (void *)channel->address, channel->size)) {
		log_line(LOG_WARNING "disk: no disk, or too little memory");
		return 1;
	}
	bell_ring(channel->slot);
	chunk_count = megabytes(info->args) * (1048576 / CHUNK);
	if (chunk_count > MAX_CHUNKS)
		chunk_count = MAX_CHUNKS;
	state = info->random | 1;
	last_answer = time_ticks();
	for (unsigned i = 0; i < IN_FLIGHT; i++) {
		jobs[i].buffer = (uint64_t *)(base + (uint64_t)i * CHUNK);
		jobs[i].chunk = IDLE;
	}
	for (;;) {
		while ((io = block_reap(&client)) != NULL)
			finish((struct job *)io);
		begin_all();
		if (block_push(&client))
			bell_ring(channel->slot);
		report();
		if (block_rest(&client) &&
		    (bell_wait(time_ticks() + info->timer_hz / 4) & COMPONENT_BIT_PEER) != 0) {
			block_peer_changed(&client);
			bell_ring(channel->slot);
		}
	}
}
