/* SPDX-License-Identifier: MIT */
/*
 * libFuzzer target: whatever a client writes into its channel, no command reaches the device
 * that leaves the channel's bounds, its windows or the device's limits; and what is answered is
 * answered once.  Input: requests of 64 bytes, each followed by the segments it names.
 */
#include <stdlib.h>
#include <string.h>
#include <driver/block.h>
#include <tessera/runtime.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { BLOCKS = 1 << 20, FIRST = 1000, COUNT = 5000, WINDOW = 3, DMA = 65536 };

static _Alignas(4096) uint8_t frame[BLOCK_CHANNEL_BYTES];
static _Alignas(4096) uint8_t dma_memory[DMA];
static struct component_info info;
static struct block_server server;
static struct block_channel *const channel = (struct block_channel *)frame;
static uint32_t tags[BLOCK_JOBS * 8];
static unsigned tag_count;

static void
must(bool x)
{
	if (!x)
		abort();
}

void bell_ring(uint32_t slot) { (void)slot; }
void log_line(const char *text, ...) { (void)text; }
uint64_t time_ticks(void) { return 0; }
uint64_t time_ticks_of_ns(uint64_t ns) { return ns; }
uint64_t time_ns_of_ticks(uint64_t ticks) { return ticks; }
_Noreturn void assertion_failed(const char *x, const char *f, int l) { (void)x; (void)f; (void)l; abort(); }

static void
segments_hold(const struct block_command *c)
{
	const struct block_limits *l = &server.facts.limits;
	uint64_t bytes = 0, end = 0;

	must(c->segments >= 1 && c->segments <= l->max_segments);
	for (unsigned i = 0; i < c->segments; i++) {
		const struct block_segment *s = &c->segment[i];

		must(s->address >> IO_WINDOW_BITS == WINDOW && (s->address + s->bytes - 1) >> IO_WINDOW_BITS == WINDOW);
		must(s->bytes != 0 && s->bytes % 512 == 0 && s->bytes <= l->max_segment_bytes && s->address % l->align == 0);
		must(i == 0 || ((s->address | end) & (l->boundary - 1)) == 0);
		end = s->address + s->bytes;
		bytes += s->bytes;
	}
	must(bytes == (uint64_t)c->count * 512 && bytes <= l->max_bytes);
}

static bool
submit(void *device, const struct block_command *c, uint32_t tag)
{
	(void)device;
	if (tag_count == sizeof tags / sizeof *tags)
		return false;
	tags[tag_count++] = tag;
	if ((tag & 0xffff) == 0)	/* the server's own reading of the partition table */
		return true;
	must(c->op >= BLOCK_READ && c->op <= BLOCK_WRITE_ZEROES);
	if (c->op == BLOCK_FLUSH)
		return true;
	must(c->block >= FIRST && c->count >= 1 && c->block + c->count <= FIRST + COUNT);
	if (c->op == BLOCK_READ || c->op == BLOCK_WRITE)
		segments_hold(c);
	else
		must(c->count <= 100);
	return true;
}

static void nothing(void *device) { (void)device; }

static const struct block_operations operations = { .submit = submit, .kick = nothing, .poll = nothing };

static void
device_up(void)
{
	static const struct block_device facts = {
		.blocks = BLOCKS, .block_size = 512, .physical_size = 512,
		.flags = BLOCK_HAS_CACHE,
		.limits = { .max_bytes = 65536, .max_segments = 20, .max_segment_bytes = 32768, .boundary = 4096,
			.align = 512, .max_discard = 100, .max_zeroes = 100 },
	};

	block_device_up(&server, &facts);
	/* the scan for partitions finds nothing to read */
	for (unsigned i = 0; i < 20; i++) {
		block_server_move(&server);
		while (tag_count > 0)
			block_done(&server, tags[--tag_count], BLOCK_EIO);
	}
	must(channel->state == BLOCK_READY);
	server.port[0].part.first = FIRST;
	server.port[0].part.blocks = COUNT;
}

static void
start(void)
{
	struct dma_region dma = { .cpu = dma_memory, .io = 0, .size = DMA, .coherent = true };

	memset(frame, 0, sizeof(struct block_channel) - sizeof channel->segment);
	channel->magic = BLOCK_MAGIC;
	channel->version = BLOCK_VERSION;
	channel->client_epoch = 1;
	info.channel_count = 1;
	info.channel[0] = (struct component_channel){
		.address = (uintptr_t)frame, .size = sizeof frame, .type = CHANNEL_BLOCK, .role = CHANNEL_SERVER,
		.windows = 1 << WINDOW | 1, .part = "disk",
	};
	tag_count = 0;
	must(block_server_start(&server, &operations, NULL, &info, &dma));
	device_up();
}

static size_t
request_put(const uint8_t *data, size_t size)
{
	uint32_t slot = channel->requests.tail % BLOCK_RING, n;
	size_t used = sizeof(struct block_request);

	if (size < used)
		return 0;
	memcpy(&channel->request[slot], data, used);
	if (data[63] < 200)		/* most are of the right epoch */
		channel->request[slot].epoch = channel->server_epoch;
	n = channel->request[slot].segments;
	if (n > BLOCK_SEGMENTS)
		n = BLOCK_SEGMENTS;
	if (n * sizeof(struct block_segment) > size - used)
		n = (uint32_t)((size - used) / sizeof(struct block_segment));
	memcpy(channel->segment[slot], data + used, n * sizeof(struct block_segment));
	channel->requests.tail = channel->requests.tail + 1;
	return used + n * sizeof(struct block_segment);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint32_t sent = 0;
	size_t n;

	start();
	while (sent < BLOCK_RING && (n = request_put(data, size)) != 0) {
		data += n;
		size -= n;
		sent++;
	}
	for (unsigned i = 0; i < 4000 && (block_server_move(&server) || tag_count != 0); i++)
		while (tag_count > 0)
			block_done(&server, tags[--tag_count], BLOCK_OK);
	must(channel->requests.head == channel->requests.tail);
	must(channel->answers.tail + server.statistics.dropped == sent);
	must(server.port[0].jobs == 0);
	return 0;
}
