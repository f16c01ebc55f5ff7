/* SPDX-License-Identifier: MIT */
/*
 * What every block driver must do, against a model of its device that the including
 * test defines.  Here are the client, its memory, what must be on the disk, the machine
 * (time, bells, addresses that a device reaches), and the deaths of both ends.
 *
 * The including test defines
 *	void model_reset(void)		a device as firmware leaves it
 *	void model_tick(void)		some time passes; it may finish commands
 *	bool driver_birth(void)		a new life of the driver: dma memory is zeroed, the device is not
 *	void driver_turn(uint64_t bits)	one turn of the event loop; bits: interrupts
 *	uint64_t model_irq(void)	bits of interrupts that came since the last time
 * and the model uses disk_read, disk_write, disk_flush and memory_at.
 */
#ifndef BLOCK_TEST_H
#define BLOCK_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <check.h>
#include <driver/block.h>
#include <tessera/block.h>
#include <tessera/runtime.h>

enum { DISK_BYTES = 2 * 1024 * 1024, LENT_BYTES = 4 * 1024 * 1024, DMA_BYTES = 2 * 1024 * 1024,
	IOS = 64, IO_AREA = LENT_BYTES / IOS, WINDOW = 3, TICK_NS = 20000 };

static void model_reset(void);
static void model_tick(void);
static bool driver_birth(void);
static void driver_turn(uint64_t bits);
static uint64_t model_irq(void);

/* ---- the machine ------------------------------------------------------------- */

static struct {
	uint64_t now;			/* ns, and ticks */
	uint64_t random;
	unsigned violations;
	unsigned kill_in;		/* steps; 0: nobody dies */
	bool client_runs;		/* whose step it is */
	bool clients_die;
	jmp_buf kill;
	bool quiet_expected;		/* a lent address must not be touched now */
	unsigned rung_server, rung_client;
	char log[65536];
	size_t log_size;
} world;

static _Alignas(4096) uint8_t frame[BLOCK_CHANNEL_BYTES];
static _Alignas(4096) uint8_t lent[LENT_BYTES];
static _Alignas(4096) uint8_t dma_memory[DMA_BYTES];
static struct component_info test_info;
const struct component_info *component = &test_info;
static struct dma_region test_dma;

static uint32_t
any(uint32_t below)
{
	world.random ^= world.random >> 12;
	world.random ^= world.random << 25;
	world.random ^= world.random >> 27;
	return (uint32_t)((world.random * 0x2545f4914f6cdd1dULL >> 32) % below);
}

static void
violation(const char *what)
{
	if (world.violations++ < 10)
		printf("  mishandled: %s\n", what);
}

void
model_step(void)
{
	if (world.client_runs && !world.clients_die)
		return;
	if (world.kill_in != 0 && --world.kill_in == 0)
		longjmp(world.kill, 1);
}

void bell_ring(uint32_t slot) { if (slot == 7) world.rung_client++; else world.rung_server++; }
uint64_t bell_wait(uint64_t deadline) { (void)deadline; return 0; }
uint64_t time_ticks(void) { return world.now; }
uint64_t time_ticks_of_ns(uint64_t ns) { return ns; }
uint64_t time_ns_of_ticks(uint64_t ticks) { return ticks; }

void
assertion_failed(const char *expression, const char *file, int line)
{
	printf("%s:%d: assertion failed: %s\n", file, line, expression);
	abort();
}

void
log_line(const char *text, ...)
{
	char line[256];
	va_list list;
	size_t n;

	va_start(list, text);
	n = format_list(line, sizeof line - 1, text, list);
	va_end(list);
	if (getenv("LOG") != NULL)
		printf("  | %s\n", line);
	line[n++] = '\n';
	if (world.log_size + n < sizeof world.log)
		memcpy(world.log + world.log_size, line, n), world.log_size += n;
	world.log[world.log_size] = '\0';
}

bool
component_option(const char *word)
{
	return strstr(test_info.args, word) != NULL;
}

__attribute__((unused)) static bool
logged(const char *text)
{
	return strstr(world.log, text) != NULL;
}

/* Memory that a device reaches at an address; NULL: the SMMU refuses. */
__attribute__((unused)) static uint8_t *
memory_at(uint64_t io, uint64_t bytes)
{
	if (io >= test_dma.io && bytes <= DMA_BYTES && io - test_dma.io <= DMA_BYTES - bytes)
		return dma_memory + (io - test_dma.io);
	if (io >= IO_WINDOW(WINDOW) && bytes <= LENT_BYTES && io - IO_WINDOW(WINDOW) <= LENT_BYTES - bytes) {
		if (world.quiet_expected)
			violation("the device reaches memory of a client that is dead");
		return lent + (io - IO_WINDOW(WINDOW));
	}
	violation("DMA to a place that nobody lent");
	return NULL;
}

/* ---- the disk: what was written, and what of it is stable ---------------------- */

static uint8_t disk[DISK_BYTES], stable[DISK_BYTES];
static uint32_t disk_bs = 512;

__attribute__((unused)) static bool
disk_read(uint64_t at, uint8_t *to, uint64_t bytes)
{
	if (bytes > DISK_BYTES || at > DISK_BYTES - bytes)
		return false;
	memcpy(to, disk + at, bytes);
	return true;
}

__attribute__((unused)) static bool
disk_write(uint64_t at, const uint8_t *from, uint64_t bytes, bool fua)
{
	if (bytes > DISK_BYTES || at > DISK_BYTES - bytes)
		return false;
	memcpy(disk + at, from, bytes);
	if (fua)
		memcpy(stable + at, from, bytes);
	return true;
}

__attribute__((unused)) static void
disk_flush(void)
{
	memcpy(stable, disk, DISK_BYTES);
}

/* ---- the client: random traffic and an oracle ------------------------------------ */

struct test_io {
	struct block_io io;
	struct block_segment segment[BLOCK_SEGMENTS];
	bool busy;
};

static struct {
	struct block_client block;
	struct test_io io[IOS];
	uint8_t ref[DISK_BYTES];	/* what answered writes made of the disk */
	uint8_t at_flush[DISK_BYTES];
	uint32_t version[DISK_BYTES / 512], flush_version[DISK_BYTES / 512];
	bool busy[DISK_BYTES / 512];
	bool flush_valid[DISK_BYTES / 512];
	bool flushing, settled;
	unsigned done, errors, wrong, in_flight;
	unsigned stop_at;		/* no new requests from that many on */
	uint32_t seen[8];		/* statuses */
	uint32_t kinds;			/* bit per op to send */
	uint32_t first_block;		/* of the channel */
	unsigned depth;
} client;

/* A scatter list over the io's own area, of whole blocks, in any order. */
static void
scatter(struct test_io *t, unsigned index, uint32_t blocks)
{
	uint32_t left = blocks, n = 0;
	uint32_t align = any(2) ? 512 : disk_bs;
	uint64_t base = IO_WINDOW(WINDOW) + (uint64_t)index * IO_AREA;
	uint32_t at = any(4) * align;

	while (left > 0 && n < BLOCK_SEGMENTS - 1) {
		uint32_t take = n == BLOCK_SEGMENTS - 2 ? left : 1 + any(left < 8 || any(3) == 0 ? left : 8);

		if (any(3) == 0)
			at = (at + 4095) & ~4095u;
		t->segment[n++] = (struct block_segment){ .address = base + at, .bytes = take * disk_bs };
		at += take * disk_bs + (any(2) ? 0 : align * any(3));
		left -= take;
		if (at + left * disk_bs + 8192 + 4096 > IO_AREA)
			break;
	}
	if (left > 0)
		t->segment[n++] = (struct block_segment){ .address = base + at, .bytes = left * disk_bs };
	for (uint32_t i = n; i-- > 1;) {		/* in any order */
		uint32_t k = any(2) ? i : any(i + 1);
		struct block_segment s = t->segment[i];

		t->segment[i] = t->segment[k];
		t->segment[k] = s;
	}
	t->io.segments = n;
	t->io.segment = t->segment;
}

static uint8_t *
segment_bytes(const struct block_segment *s)
{
	return lent + (s->address - IO_WINDOW(WINDOW));
}

static bool
range_free(uint64_t block, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++)
		if (client.busy[block + i])
			return false;
	return true;
}

static void
range_busy(uint64_t block, uint32_t count, bool busy)
{
	for (uint32_t i = 0; i < count; i++)
		client.busy[block + i] = busy;
}

static uint64_t
disk_at(const struct test_io *t)
{
	return (t->io.block + client.first_block) * disk_bs;
}

static void
io_fill(struct test_io *t)
{
	for (uint32_t i = 0; i < t->io.segments; i++)
		for (uint32_t k = 0; k < t->io.segment[i].bytes; k += 4) {
			uint32_t v = any(UINT32_MAX);

			memcpy(segment_bytes(&t->io.segment[i]) + k, &v, 4);
		}
}

static void
flush_snapshot(void)
{
	memcpy(client.at_flush, client.ref, DISK_BYTES);
	memcpy(client.flush_version, client.version, sizeof client.version);
	for (unsigned i = 0; i < DISK_BYTES / disk_bs; i++)
		client.flush_valid[i] = !client.busy[i];
	client.flushing = true;
}

static bool
io_make(struct test_io *t, unsigned index)
{
	uint32_t op, blocks_all = (uint32_t)client.block.facts.blocks, max = IO_AREA / 2 / disk_bs;

	do
		op = 1 + any(5);
	while ((client.kinds & 1u << op) == 0);
	memset(&t->io, 0, sizeof t->io);
	t->io.op = (uint16_t)op;
	if (op == BLOCK_FLUSH) {
		if (client.flushing)
			return false;
		flush_snapshot();
		return true;
	}
	t->io.count = 1 + any(any(3) == 0 ? max : 8);
	if (t->io.count >= blocks_all)
		t->io.count = 1;
	t->io.block = any(blocks_all - t->io.count + 1);
	if (!range_free(t->io.block + client.first_block, t->io.count))
		return false;
	range_busy(t->io.block + client.first_block, t->io.count, true);
	if (op != BLOCK_READ)
		for (uint32_t i = 0; i < t->io.count; i++)
			client.version[t->io.block + client.first_block + i]++;
	if (op == BLOCK_DISCARD || op == BLOCK_WRITE_ZEROES)
		return true;
	scatter(t, index, t->io.count);
	io_fill(t);
	if (op == BLOCK_WRITE && any(4) == 0)
		t->io.flags = BLOCK_FUA;
	return true;
}

static void
wrong(const char *what)
{
	if (client.wrong++ < 5)
		printf("  wrong data: %s\n", what);
}

static void
flush_check(void)
{
	client.flushing = false;
	for (uint32_t b = 0; b < DISK_BYTES / disk_bs; b++)
		if (client.flush_valid[b] && client.flush_version[b] == client.version[b] &&
		    memcmp(stable + (uint64_t)b * disk_bs, client.at_flush + (uint64_t)b * disk_bs, disk_bs) != 0) {
			wrong("a flush was answered, and an older write is not stable");
			return;
		}
}

static void
io_check(struct test_io *t)
{
	uint64_t at = disk_at(t), bytes = (uint64_t)t->io.count * disk_bs;

	switch (t->io.op) {
	case BLOCK_FLUSH:
		flush_check();
		return;
	case BLOCK_WRITE_ZEROES:
		memset(client.ref + at, 0, bytes);
		break;
	case BLOCK_DISCARD:
		memcpy(client.ref + at, disk + at, bytes);	/* undefined: whatever it is now */
		break;
	default:
		for (uint32_t i = 0; i < t->io.segments; i++) {
			const struct block_segment *s = &t->io.segment[i];

			if (t->io.op == BLOCK_WRITE)
				memcpy(client.ref + at, segment_bytes(s), s->bytes);
			else if (memcmp(client.ref + at, segment_bytes(s), s->bytes) != 0)
				wrong("read");
			at += s->bytes;
		}
	}
	at = disk_at(t);
	if (t->io.op != BLOCK_READ && memcmp(disk + at, client.ref + at, bytes) != 0)
		wrong("written");
	if (t->io.op == BLOCK_WRITE && t->io.flags != 0 && memcmp(stable + at, client.ref + at, bytes) != 0)
		wrong("FUA is not stable");
}

static void
io_done(struct test_io *t)
{
	client.seen[t->io.status & 7]++;
	t->busy = false;
	client.in_flight--;
	client.done++;
	if (t->io.op != BLOCK_FLUSH)
		range_busy(t->io.block + client.first_block, t->io.count, false);
	if (t->io.status == BLOCK_OK) {
		io_check(t);
		return;
	}
	client.errors++;
	if (t->io.op == BLOCK_FLUSH)
		client.flushing = false;
	else		/* it may have been done in part */
		memcpy(client.ref + disk_at(t), disk + disk_at(t), (size_t)t->io.count * disk_bs);
}

/* What the old client had in progress may have been done or not: once the new one is let
 * in, nothing of it happens any more. */
static void
client_settle(void)
{
	if (client.block.open && !client.settled)
		memcpy(client.ref, disk, DISK_BYTES);
	client.settled = client.block.open;
}

static void
client_turn(void)
{
	struct block_io *io;

	if (client.block.shared == NULL)	/* there is none in this test */
		return;
	world.client_runs = true;
	do {
		while ((io = block_reap(&client.block)) != NULL)
			io_done((struct test_io *)io);
		client_settle();
		for (unsigned i = 0; i < client.depth && client.block.live && client.block.facts.blocks != 0; i++) {
			struct test_io *t = &client.io[i];

			if (t->busy || client.done + client.in_flight >= client.stop_at || any(3) == 0 || !io_make(t, i))
				continue;
			t->busy = true;
			client.in_flight++;
			if (!block_submit(&client.block, &t->io))
				violation("no tag for a request");
		}
		if (block_push(&client.block))
			bell_ring(0);
	} while (!block_rest(&client.block));
	world.client_runs = false;
}

static void
client_birth(void)
{
	memset(client.io, 0, sizeof client.io);
	memset(client.busy, 0, sizeof client.busy);
	client.flushing = client.settled = false;
	client.in_flight = 0;
	CHECK(block_attach(&client.block, frame, sizeof frame));
}

/* ---- running ------------------------------------------------------------------------ */

static void
fresh_frame(void)
{
	struct block_channel *c = (struct block_channel *)frame;

	memset(frame, 0, sizeof frame);
	c->magic = BLOCK_MAGIC;
	c->version = BLOCK_VERSION;
}

static void
fresh(uint64_t seed)
{
	setvbuf(stdout, NULL, _IOLBF, 0);
	memset(&world, 0, sizeof world);
	memset(&client, 0, sizeof client);
	memset(&test_info, 0, sizeof test_info);
	world.random = seed * 0x9e3779b97f4a7c15ULL | 1;
	world.now = 1000000000;
	for (size_t i = 0; i < DISK_BYTES; i += 4) {
		uint32_t v = any(UINT32_MAX);

		memcpy(disk + i, &v, 4);
	}
	memset(disk, 0, 2 * 4096);		/* no partition table */
	memset(disk + DISK_BYTES - 4096, 0, 4096);
	memcpy(stable, disk, DISK_BYTES);
	memcpy(client.ref, disk, DISK_BYTES);
	fresh_frame();
	test_info.starts = 1;
	test_info.timer_hz = 1000000000;
	test_info.channel_count = 1;
	test_info.channel[0] = (struct component_channel){
		.name = "disk", .peer = "fs", .address = (uintptr_t)frame, .size = sizeof frame,
		.type = CHANNEL_BLOCK, .role = CHANNEL_SERVER, .slot = 7, .bit = 2, .windows = 1 << WINDOW, .part = "disk",
	};
	client.kinds = 1 << BLOCK_READ | 1 << BLOCK_WRITE | 1 << BLOCK_FLUSH;
	client.depth = 32;
	client.stop_at = 400;
	model_reset();
}

__attribute__((unused)) static void
fresh_dma(void)
{
	memset(dma_memory, 0, sizeof dma_memory);
	test_dma = (struct dma_region){ .cpu = dma_memory, .io = 0x100000, .size = DMA_BYTES, .coherent = true };
}

static void
everybody_once(void)
{
	driver_turn(model_irq());
	client_turn();
	model_tick();
	world.now += TICK_NS;
}

__attribute__((unused)) static void
pass(unsigned turns)
{
	for (unsigned i = 0; i < turns; i++)
		everybody_once();
}

/* Until the client has had all it asked for, or nothing goes on. */
static bool
run_to_end(unsigned turns)
{
	for (unsigned i = 0; i < turns; i++) {
		everybody_once();
		if (client.done >= client.stop_at && client.in_flight == 0)
			return true;
	}
	return false;
}

/*
 * The same with deaths: every now and then whoever makes a step dies at it.  The driver is
 * built anew by the supervisor; a new client begins with nothing in progress.
 */
__attribute__((unused)) static bool
run_with_deaths(unsigned turns, unsigned deaths, unsigned steps, bool clients_die)
{
	volatile unsigned left = deaths, i = 0;

	world.clients_die = clients_die;
	world.kill_in = left != 0 ? 1 + any(steps) : 0;
	if (setjmp(world.kill) != 0) {
		left--;
		if (world.client_runs)
			client_birth();
		else
			CHECK(driver_birth());
		world.client_runs = false;
		world.kill_in = left != 0 ? 1 + any(steps) : 0;
	}
	for (; i < turns; i++) {
		everybody_once();
		if (client.done >= client.stop_at && client.in_flight == 0 && left == 0)
			return true;
		if (left != 0 && client.done >= client.stop_at)
			client.stop_at += 50;
	}
	return false;
}

static void
begin(uint64_t seed)
{
	fresh(seed);
	CHECK(driver_birth());
	client_birth();
}

static void
verdict(bool ended)
{
	CHECK(ended);
	CHECK(client.wrong == 0 && world.violations == 0 && client.block.broken == 0);
}

#endif
