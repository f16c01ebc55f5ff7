/* SPDX-License-Identifier: MIT */
/*
 * The skeleton and the client library against a disk in memory, which finishes commands
 * in any order, sometimes fails, is sometimes reset, and takes only so many at once.
 */
#include <block_test.h>

enum { DEPTH = 24 };

struct slot {
	bool busy;
	uint32_t tag;
	struct block_command c;
};

static struct {
	struct slot slot[DEPTH];
	unsigned depth;
	struct block_limits limits;
	uint32_t flags;
	unsigned fail_of, reset_of;	/* one of so many commands; 0: none */
	unsigned resetting;		/* ticks until it is up again */
	bool stuck;
	unsigned most;
} dev;
static struct block_server server;
static bool up_sent;

static bool
limits_hold(const struct block_command *c)
{
	const struct block_limits *l = &dev.limits;
	uint64_t bytes = 0, end = 0;

	if (c->op == BLOCK_FLUSH)
		return c->segments == 0;
	if (c->op == BLOCK_DISCARD)
		return c->segments == 0 && c->count > 0 && c->count <= l->max_discard;
	if (c->op == BLOCK_WRITE_ZEROES)
		return c->segments == 0 && c->count > 0 && c->count <= l->max_zeroes;
	if (c->segments == 0 || c->segments > l->max_segments)
		return false;
	for (unsigned i = 0; i < c->segments; i++) {
		const struct block_segment *s = &c->segment[i];

		if (s->bytes == 0 || s->bytes > l->max_segment_bytes || s->address % l->align != 0)
			return false;
		if (i > 0 && l->boundary != 0 && (s->address | end) % l->boundary != 0)
			return false;
		end = s->address + s->bytes;
		bytes += s->bytes;
	}
	return bytes == (uint64_t)c->count * disk_bs && bytes <= l->max_bytes;
}

static bool
dev_submit(void *device, const struct block_command *c, uint32_t tag)
{
	unsigned used = 0;

	(void)device;
	model_step();
	if (!limits_hold(c))
		violation("a command beyond the device's limits");
	if (dev.resetting != 0)
		violation("a command while the device is reset");
	for (unsigned i = 0; i < dev.depth; i++)
		used += dev.slot[i].busy;
	if (used == dev.depth)
		return false;
	if (used + 1 > dev.most)
		dev.most = used + 1;
	for (unsigned i = 0;; i++)
		if (!dev.slot[i].busy) {
			dev.slot[i] = (struct slot){ .busy = true, .tag = tag, .c = *c };
			return true;
		}
}

static bool
command_do(const struct block_command *c)
{
	uint64_t at = c->block * disk_bs;
	static uint8_t zeros[DISK_BYTES];

	if (c->op == BLOCK_FLUSH) {
		disk_flush();
		return true;
	}
	if (c->op == BLOCK_DISCARD || c->op == BLOCK_WRITE_ZEROES)
		return disk_write(at, zeros, (uint64_t)c->count * disk_bs, false);
	for (unsigned i = 0; i < c->segments; i++) {
		uint8_t *m = memory_at(c->segment[i].address, c->segment[i].bytes);
		bool ok = m != NULL && (c->op == BLOCK_READ ? disk_read(at, m, c->segment[i].bytes) :
		    disk_write(at, m, c->segment[i].bytes, (c->flags & BLOCK_FUA) != 0 || (dev.flags & BLOCK_HAS_CACHE) == 0));

		if (!ok)
			return false;
		at += c->segment[i].bytes;
	}
	return true;
}

static void dev_kick(void *device) { (void)device; }
static void dev_interrupt(void *device, uint64_t bits) { (void)device; (void)bits; }
static uint64_t dev_deadline(void *device) { (void)device; return 0; }
static bool dev_rest(void *device) { (void)device; return true; }

static void
dev_facts(struct block_device *f)
{
	memset(f, 0, sizeof *f);
	f->block_size = f->physical_size = disk_bs;
	f->blocks = DISK_BYTES / disk_bs;
	f->limits = dev.limits;
	f->flags = dev.flags;
	format(f->name, sizeof f->name, "ram0");
	format(f->model, sizeof f->model, "Memory");
	format(f->serial, sizeof f->serial, "1");
}

/* The driver: commands that are busy end in any order. */
static void
dev_poll(void *device)
{
	struct block_device facts;

	(void)device;
	if (!up_sent && dev.resetting == 0) {
		memset(dev.slot, 0, sizeof dev.slot);	/* quiet: no old command can complete */
		up_sent = true;
		dev_facts(&facts);
		block_device_up(&server, &facts);
	}
	for (unsigned i = 0; i < dev.depth && dev.resetting == 0; i++) {
		struct slot *s = &dev.slot[i];

		if (!s->busy || any(3) != 0 || dev.stuck)
			continue;
		model_step();
		if (dev.reset_of != 0 && any(dev.reset_of) == 0) {
			/* some of them are done although nobody will hear of it */
			for (unsigned k = 0; k < dev.depth; k++)
				if (dev.slot[k].busy && any(2))
					command_do(&dev.slot[k].c);
			memset(dev.slot, 0, sizeof dev.slot);
			dev.resetting = 3;
			up_sent = false;
			block_device_lost(&server);
			return;
		}
		s->busy = false;
		if (dev.fail_of != 0 && any(dev.fail_of) == 0) {
			block_done(&server, s->tag, BLOCK_EIO);
			continue;
		}
		if (!command_do(&s->c))
			violation("a command that cannot be done");
		block_done(&server, s->tag, BLOCK_OK);
	}
}

static const struct block_operations operations = {
	.submit = dev_submit, .kick = dev_kick, .poll = dev_poll, .interrupt = dev_interrupt,
	.rest = dev_rest, .deadline = dev_deadline,
};

static void
model_reset(void)
{
	memset(&dev, 0, sizeof dev);
	dev.depth = DEPTH;
	dev.limits = (struct block_limits){ .max_bytes = 65536, .max_segments = 16, .max_segment_bytes = 32768,
		.boundary = 4096, .align = 512, .max_discard = 64, .max_zeroes = 40 };
	dev.flags = BLOCK_HAS_CACHE | BLOCK_HAS_FUA | BLOCK_HAS_DISCARD | BLOCK_HAS_ZEROES;
}

static void
model_tick(void)
{
	if (dev.resetting != 0)
		dev.resetting--;
}

static uint64_t model_irq(void) { return 0; }

static bool
driver_birth(void)
{
	fresh_dma();
	up_sent = false;
	return block_server_start(&server, &operations, NULL, &test_info, &test_dma);
}

static void
driver_turn(uint64_t bits)
{
	(void)bits;
	do
		operations.poll(NULL);
	while (block_server_move(&server) || !block_server_rest(&server));
}

/* ---- traffic ------------------------------------------------------------------- */

static void
traffic_is_right(void)
{
	for (uint64_t seed = 1; seed <= 8; seed++) {
		begin(seed);
		client.kinds = 0x3e;
		verdict(run_to_end(3000));
		CHECK(client.errors == 0 && dev.most > 4);
		CHECK(server.statistics.commands > server.statistics.reads);
	}
}

static void
traffic_without_fua_and_with_large_blocks(void)
{
	disk_bs = 4096;
	begin(3);
	dev.flags = BLOCK_HAS_CACHE;
	dev.limits.boundary = 0;
	dev.limits.max_segments = 3;
	dev.limits.max_segment_bytes = 8192;
	dev.limits.max_bytes = 16384;
	verdict(run_to_end(4000));
	CHECK(client.errors == 0);
	disk_bs = 512;
}

static void
a_full_ring_waits_and_loses_nothing(void)
{
	static struct block_io io[BLOCK_RING + 1];
	unsigned done = 0;

	begin(4);
	dev.stuck = true;
	client.stop_at = 0;
	pass(8);
	dev.stuck = false;
	pass(8);
	CHECK(client.block.live);
	dev.stuck = true;
	for (unsigned i = 0; i < BLOCK_RING; i++) {
		io[i] = (struct block_io){ .op = BLOCK_FLUSH };
		CHECK(block_submit(&client.block, &io[i]));
	}
	CHECK(!block_submit(&client.block, &io[BLOCK_RING]));
	block_push(&client.block);
	driver_turn(0);
	dev.stuck = false;
	for (unsigned i = 0; i < 1000; i++)
		driver_turn(0);		/* all answers lie in the ring, which they fill */
	while (block_reap(&client.block) != NULL)
		done++;
	CHECK(done == BLOCK_RING && client.block.broken == 0);
}

static void
errors_reach_who_asked(void)
{
	begin(5);
	dev.fail_of = 10;
	verdict(run_to_end(4000));
	CHECK(client.errors > 10 && client.seen[BLOCK_EIO] == client.errors);
	CHECK(server.statistics.errors == client.errors);
}

static void
resets_in_the_middle_are_a_pause(void)
{
	unsigned lost = 0;

	for (uint64_t seed = 1; seed <= 6; seed++) {
		begin(seed);
		dev.reset_of = 90;
		verdict(run_to_end(6000));
		lost += client.seen[BLOCK_ETIMEDOUT];
		CHECK(client.seen[BLOCK_EIO] == 0 && server.statistics.resets > 2);
	}
	CHECK(lost < 40);
}

static void
a_request_that_kills_the_device_ends(void)
{
	struct block_io io = { .op = BLOCK_FLUSH }, *got = NULL;

	begin(6);
	client.stop_at = 0;
	pass(20);
	dev.reset_of = 1;
	CHECK(block_submit(&client.block, &io));
	block_push(&client.block);
	for (unsigned i = 0; i < 200 && got == NULL; i++) {
		driver_turn(0);
		model_tick();
		got = block_reap(&client.block);
	}
	CHECK(got == &io && io.status == BLOCK_ETIMEDOUT);
}

/* ---- deaths -------------------------------------------------------------------- */

static void
a_driver_dies_at_every_step(void)
{
	for (uint64_t seed = 1; seed <= 40; seed++) {
		begin(seed);
		client.kinds = 0x3e;
		verdict(run_with_deaths(8000, 30, 40 + 40 * (unsigned)seed, false));
		CHECK(client.errors == 0 && client.block.reissued > 0);
		/* what lay in the ring when a server was born was dropped before it began */
		CHECK(server.statistics.dropped == 0);
	}
}

static void
both_ends_die_at_every_step(void)
{
	for (uint64_t seed = 1; seed <= 40; seed++) {
		begin(seed);
		CHECK(run_with_deaths(8000, 30, 40 + 40 * (unsigned)seed, true));
		CHECK(client.wrong == 0 && world.violations == 0 && client.errors == 0);
	}
}

static void
both_ends_die_while_the_device_is_reset(void)
{
	for (uint64_t seed = 1; seed <= 20; seed++) {
		begin(seed);
		dev.reset_of = 150;
		CHECK(run_with_deaths(9000, 30, 300, true));
		CHECK(client.wrong == 0 && world.violations == 0);
	}
}

static void
indices_wrap_at_2_to_the_32(void)
{
	struct block_channel *c = (struct block_channel *)frame;

	fresh(9);
	c->requests.head = c->requests.tail = c->answers.head = c->answers.tail = UINT32_MAX - 50;
	c->server_epoch = c->client_epoch = c->client_epoch_seen = UINT32_MAX;
	CHECK(driver_birth());
	client_birth();
	verdict(run_to_end(3000));
}

/* ---- bad clients ------------------------------------------------------------------ */

static uint32_t
status_of(struct block_io *io)
{
	struct block_io *got = NULL;

	if (!block_submit(&client.block, io))
		return UINT32_MAX;
	block_push(&client.block);
	for (unsigned i = 0; i < 100 && got == NULL; i++) {
		driver_turn(0);
		got = block_reap(&client.block);
	}
	return got == io ? io->status : UINT32_MAX;
}

static void
wrong_requests_are_refused_by_name(void)
{
	enum { R = BLOCK_READ, W = BLOCK_WRITE };
	const uint64_t good = IO_WINDOW(WINDOW);
	struct block_segment s[BLOCK_SEGMENTS];
	static const uint64_t places[] = { 1, 256, IO_WINDOW(WINDOW) + 100, 0, 0x100000, IO_WINDOW(1),
		IO_WINDOW(7), IO_WINDOW(8), IO_WINDOW(WINDOW + 1) - 256, UINT64_MAX - 511, 1ULL << 39 };
	struct block_io io;
	uint64_t blocks;

	begin(7);
	client.stop_at = 0;
	pass(40);
	blocks = client.block.facts.blocks;
#define TRY(...) (io = (struct block_io){ __VA_ARGS__ }, status_of(&io))
	s[0] = (struct block_segment){ .address = good, .bytes = 512 };
	CHECK(TRY(.op = R, .count = 1, .segments = 1, .segment = s) == BLOCK_OK);
	CHECK(TRY(.op = 0, .count = 1, .segments = 1, .segment = s) == BLOCK_EINVAL);
	CHECK(TRY(.op = 6, .count = 1, .segments = 1, .segment = s) == BLOCK_EINVAL);
	CHECK(TRY(.op = R, .count = 1, .segments = 1, .segment = s, .flags = BLOCK_FUA) == BLOCK_EINVAL);
	CHECK(TRY(.op = W, .count = 1, .segments = 1, .segment = s, .flags = 2) == BLOCK_EINVAL);
	CHECK(TRY(.op = R, .count = 2, .segments = 1, .segment = s) == BLOCK_EINVAL);
	CHECK(TRY(.op = R, .count = 0, .segments = 1, .segment = s) == BLOCK_EINVAL);
	CHECK(TRY(.op = R, .count = 1, .segments = 0, .segment = s) == BLOCK_EINVAL);
	CHECK(TRY(.op = R, .count = 1, .segments = 65, .segment = s) == BLOCK_EINVAL);
	CHECK(TRY(.op = R, .count = 1, .segments = UINT32_MAX, .segment = s) == BLOCK_EINVAL);
	CHECK(TRY(.op = BLOCK_FLUSH, .segments = 1, .segment = s) == BLOCK_EINVAL);
	CHECK(TRY(.op = BLOCK_DISCARD, .count = 1, .segments = 1, .segment = s) == BLOCK_EINVAL);
	CHECK(TRY(.op = BLOCK_DISCARD, .count = 0) == BLOCK_EINVAL);
	CHECK(TRY(.op = R, .block = blocks, .count = 1, .segments = 1, .segment = s) == BLOCK_ERANGE);
	CHECK(TRY(.op = R, .block = UINT64_MAX, .count = 1, .segments = 1, .segment = s) == BLOCK_ERANGE);
	CHECK(TRY(.op = BLOCK_DISCARD, .block = blocks - 1, .count = 2) == BLOCK_ERANGE);
	for (unsigned i = 0; i < sizeof places / sizeof *places; i++) {
		s[0].address = places[i];
		CHECK(TRY(.op = R, .count = 1, .segments = 1, .segment = s) == BLOCK_EINVAL);
	}
	s[0] = (struct block_segment){ .address = good, .bytes = 0 };
	s[1] = (struct block_segment){ .address = good, .bytes = 512 };
	CHECK(TRY(.op = R, .count = 1, .segments = 2, .segment = s) == BLOCK_EINVAL);
	s[0].bytes = s[1].bytes = 256;
	CHECK(TRY(.op = R, .count = 1, .segments = 2, .segment = s) == BLOCK_EINVAL);
	s[0].bytes = 0x80000000u;
	s[1].bytes = 0x80000200u;
	CHECK(TRY(.op = R, .count = 1, .segments = 2, .segment = s) == BLOCK_EINVAL);
	CHECK(world.violations == 0);
}

static void
a_read_only_or_simple_device_says_so(void)
{
	struct block_segment s = { .address = IO_WINDOW(WINDOW), .bytes = 512 };
	struct block_io io;

	fresh(8);
	dev.flags = BLOCK_READONLY;
	dev.limits.max_discard = 0;
	CHECK(driver_birth());
	client_birth();
	client.stop_at = 0;
	pass(40);
	CHECK(TRY(.op = BLOCK_WRITE, .count = 1, .segments = 1, .segment = &s) == BLOCK_EROFS);
	CHECK(TRY(.op = BLOCK_DISCARD, .count = 1) == BLOCK_EROFS);
	CHECK(TRY(.op = BLOCK_FLUSH) == BLOCK_OK);
	server.facts.flags = 0;
	CHECK(TRY(.op = BLOCK_DISCARD, .count = 1) == BLOCK_ENOTSUP);
}

/* A client that has not seen the new epoch yet sends it again when it does. */
static void
requests_of_another_epoch_are_dropped(void)
{
	struct block_channel *c = (struct block_channel *)frame;
	unsigned before;

	begin(17);
	client.stop_at = 0;
	pass(40);
	before = c->answers.tail;
	for (uint32_t i = 0; i < 3; i++) {
		c->request[c->requests.tail % BLOCK_RING] = (struct block_request){ .op = BLOCK_FLUSH, .epoch = i };
		c->requests.tail = c->requests.tail + 1;
	}
	for (unsigned i = 0; i < 20; i++)
		driver_turn(0);
	CHECK(c->requests.head == c->requests.tail && server.statistics.dropped == 2);
	CHECK(c->answers.tail == before + 1 && server.statistics.flushes == 1);
}

static void
indices_that_make_no_sense_cost_only_their_client(void)
{
	struct block_channel *c = (struct block_channel *)frame;

	begin(10);
	client.stop_at = 100;
	CHECK(run_to_end(2000));
	c->requests.tail += 1000000;
	driver_turn(0);
	CHECK(c->requests.head == c->requests.tail && logged("make no sense"));
	client_birth();
	client.stop_at = 200;
	CHECK(run_to_end(2000));
	c->answers.head -= 70000;
	driver_turn(0);
	client_birth();
	client.stop_at = 300;
	CHECK(run_to_end(2000) && client.wrong == 0 && world.violations == 0);
}

/* ---- media and partitions ------------------------------------------------------------ */

static void
a_medium_comes_and_goes(void)
{
	struct block_device facts;
	struct block_segment s = { .address = IO_WINDOW(WINDOW), .bytes = 512 };
	struct block_io io;

	begin(11);
	CHECK(run_to_end(3000));
	block_device_state(&server, BLOCK_NO_MEDIUM);
	client_turn();
	CHECK(client.block.live && client.block.facts.state == BLOCK_NO_MEDIUM && client.block.facts.blocks == 0);
	CHECK(TRY(.op = BLOCK_READ, .count = 1, .segments = 1, .segment = &s) == BLOCK_ENOMEDIUM);
	dev_facts(&facts);
	facts.blocks /= 2;
	block_device_up(&server, &facts);
	pass(20);
	CHECK(client.block.facts.state == BLOCK_READY && client.block.facts.blocks == DISK_BYTES / 512 / 2);
	block_device_state(&server, BLOCK_FAILED);
	CHECK(TRY(.op = BLOCK_READ, .count = 1, .segments = 1, .segment = &s) == BLOCK_EIO);
}

/* What is in progress when the card goes is answered once, and once only. */
static void
a_medium_goes_during_traffic(void)
{
	struct block_device facts;

	begin(12);
	client.stop_at = 2000;
	for (unsigned round = 0; round < 30; round++) {
		pass(12);
		memset(dev.slot, 0, sizeof dev.slot);
		block_device_state(&server, BLOCK_NO_MEDIUM);
		pass(3);
		dev_facts(&facts);
		block_device_up(&server, &facts);
	}
	CHECK(run_to_end(9000));
	CHECK(client.wrong == 0 && world.violations == 0 && client.block.broken == 0);
	CHECK(client.seen[BLOCK_ENOMEDIUM] > 0 && client.seen[BLOCK_EIO] == 0);
}

static void
put32(uint8_t *p, uint32_t v)
{
	for (unsigned i = 0; i < 4; i++)
		p[i] = (uint8_t)(v >> 8 * i);
}

static void
table_header(uint8_t *h, uint32_t mine, uint32_t other, uint32_t entries, uint32_t crc)
{
	memset(h, 0, 512);
	memcpy(h, "EFI PART", 8);
	put32(h + 8, 0x10000);
	put32(h + 12, 92);
	put32(h + 24, mine);
	put32(h + 32, other);
	put32(h + 40, 34);
	put32(h + 48, DISK_BYTES / 512 - 34);
	h[56] = 0xdd;
	put32(h + 72, entries);
	put32(h + 80, 128);
	put32(h + 84, 128);
	put32(h + 88, crc);
	put32(h + 16, crc32_add(0, h, 92));
}

/* One partition, blocks 1000 to 1999, called data. */
static void
make_table(void)
{
	static uint8_t entries[16384];
	uint32_t last = DISK_BYTES / 512 - 1;

	memset(entries, 0, sizeof entries);
	entries[0] = 1;
	entries[16] = 0xaa;
	put32(entries + 32, 1000);
	put32(entries + 40, 1999);
	for (unsigned i = 0; i < 4; i++)
		entries[56 + 2 * i] = (uint8_t)"data"[i];
	disk[446 + 4] = 0xee;
	disk[510] = 0x55;
	disk[511] = 0xaa;
	table_header(disk + 512, 1, last, 2, crc32_add(0, entries, sizeof entries));
	table_header(disk + last * 512, last, 1, last - 32, crc32_add(0, entries, sizeof entries));
	memcpy(disk + 2 * 512, entries, sizeof entries);
	memcpy(disk + (last - 32) * 512, entries, sizeof entries);
}

static void
a_partition_is_a_channel_with_bounds(void)
{
	static uint8_t before[DISK_BYTES];

	fresh(13);
	make_table();
	memcpy(stable, disk, DISK_BYTES);
	memcpy(client.ref, disk, DISK_BYTES);
	memcpy(before, disk, DISK_BYTES);
	memcpy(test_info.channel[0].part, "data", 5);
	client.first_block = 1000;
	client.kinds = 0x3e;
	CHECK(driver_birth());
	client_birth();
	verdict(run_to_end(3000));
	CHECK(client.errors == 0 && client.block.facts.blocks == 1000 && client.block.facts.part_number == 1);
	CHECK(client.block.facts.first_block == 1000 && strcmp(client.block.facts.part_name, "data") == 0);
	CHECK(memcmp(disk, before, 1000 * 512) == 0);
	CHECK(memcmp(disk + 2000 * 512, before + 2000 * 512, DISK_BYTES - 2000 * 512) == 0);
	CHECK(memcmp(disk + 1000 * 512, before + 1000 * 512, 1000 * 512) != 0);
}

static void
a_missing_partition_may_come_later(void)
{
	struct block_io io = { .op = BLOCK_FLUSH };

	fresh(14);
	memcpy(test_info.channel[0].part, "root", 5);
	test_info.root_part[0] = 0xaa;
	client.first_block = 1000;
	client.stop_at = 0;
	CHECK(driver_birth());
	client_birth();
	pass(20);
	CHECK(client.block.live && client.block.facts.state == BLOCK_NO_MEDIUM);
	CHECK(logged("there is no partition \"root\"") && logged("there is no partition table"));
	make_table();
	world.now += 2000000000;
	CHECK(status_of(&io) == BLOCK_ENOMEDIUM);
	pass(20);
	CHECK(client.block.facts.state == BLOCK_READY && client.block.facts.blocks == 1000);
}

/* Two disks of one image: the client takes the one which the loader took, if that has a root. */
static void
a_copy_of_the_boot_disk_says_so(void)
{
	for (unsigned elsewhere = 0; elsewhere < 2; elsewhere++) {
		for (unsigned same = 0; same < 2; same++) {
			bool copy = elsewhere != 0 && same != 0;

			fresh(16);
			make_table();
			memcpy(test_info.channel[0].part, "root", 5);
			test_info.root_part[0] = 0xaa;
			test_info.boot_elsewhere = elsewhere;
			memcpy(test_info.boot_disk, disk + 512 + 56, 16);
			test_info.boot_disk[15] ^= (uint8_t)!same;
			client.stop_at = 0;
			CHECK(driver_birth());
			client_birth();
			pass(20);
			CHECK(client.block.facts.state == BLOCK_READY);
			CHECK(((client.block.facts.flags & BLOCK_COPY) != 0) == copy);
			CHECK(logged("is a copy of the one that the system was started from") == copy);
		}
	}
	test_info.boot_elsewhere = 0;
}

static void
several_channels_share_a_disk(void)
{
	static _Alignas(4096) uint8_t second[BLOCK_CHANNEL_BYTES];
	struct block_channel *c = (struct block_channel *)second;

	fresh(15);
	make_table();
	memcpy(stable, disk, DISK_BYTES);
	memcpy(client.ref, disk, DISK_BYTES);
	memset(second, 0, sizeof second);
	c->magic = BLOCK_MAGIC;
	c->version = BLOCK_VERSION;
	test_info.channel_count = 2;
	test_info.channel[1] = test_info.channel[0];
	test_info.channel[1].address = (uintptr_t)second;
	memcpy(test_info.channel[1].part, "000000aa-0000-0000-0000-000000000000", 37);
	CHECK(driver_birth());
	client_birth();
	verdict(run_to_end(3000));
	/* its GUID's first field is little-endian on the disk */
	CHECK(c->state == BLOCK_READY && c->blocks == 1000 && c->server_epoch == 1);
	block_server_say(&server);
	CHECK(logged("ram0: ") && logged(" reads ("));
}

/* ---- bounds ------------------------------------------------------------------------- */

static _Alignas(4096) uint8_t mount_frame[BLOCK_CHANNEL_BYTES];
static struct block_client mount;
static struct block_io *mount_done;

static void
mount_turn(void)
{
	struct block_io *io;

	pass(3);
	while ((io = block_reap(&mount)) != NULL)
		mount_done = io;
	(void)block_push(&mount);
	pass(3);
	while ((io = block_reap(&mount)) != NULL)
		mount_done = io;
}

static uint32_t
mount_status(struct block_io *io)
{
	mount_done = NULL;
	CHECK(block_submit(&mount, io));
	for (unsigned i = 0; i < 20 && mount_done == NULL; i++)
		mount_turn();
	CHECK(mount_done == io);
	return io->status;
}

static uint32_t
bind(const char *name, uint64_t first, uint64_t blocks)
{
	static struct block_bounds b;
	static struct block_io io;

	memset(&b, 0, sizeof b);
	memcpy(b.client, name, strlen(name));
	b.blocks = blocks;
	io = (struct block_io){ .op = BLOCK_BIND, .block = first, .bounds = &b };
	return status_of(&io);
}

/* The client of channel 0 has the disk and says what channel 1 reaches of it. */
static void
bounds_begin(uint64_t seed)
{
	static _Alignas(4096) uint8_t keep[4096];
	struct block_channel *c = (struct block_channel *)mount_frame;

	fresh(seed);
	memset(mount_frame, 0, sizeof mount_frame);
	memset(keep, 0, sizeof keep);
	c->magic = BLOCK_MAGIC;
	c->version = BLOCK_VERSION;
	test_info.keep = (uintptr_t)keep;
	test_info.channel_count = 2;
	test_info.channel[1] = test_info.channel[0];
	test_info.channel[1].address = (uintptr_t)mount_frame;
	memcpy(test_info.channel[0].part, "disk", 5);
	memcpy(test_info.channel[0].peer, "world", 6);
	memcpy(test_info.channel[1].part, "by world", 9);
	memcpy(test_info.channel[1].peer, "fs1", 4);
	client.stop_at = 0;
	CHECK(driver_birth());
	client_birth();
	CHECK(block_attach(&mount, mount_frame, sizeof mount_frame));
	for (unsigned i = 0; i < 8; i++)
		mount_turn();
}

static void
bounds_are_what_the_disks_client_says(void)
{
	struct block_io io = { .op = BLOCK_DISCARD, .block = 0, .count = 1 };

	bounds_begin(21);
	CHECK(mount.live && mount.facts.state == BLOCK_NO_MEDIUM && mount_status(&io) == BLOCK_ENOMEDIUM);
	CHECK(!logged("there is no partition \""));
	CHECK(bind("fs2", 100, 50) == BLOCK_EINVAL && bind("world", 100, 50) == BLOCK_EINVAL);
	CHECK(bind("fs1", DISK_BYTES / disk_bs, 1) == BLOCK_ERANGE && bind("fs1", 1, UINT64_MAX) == BLOCK_ERANGE);
	CHECK(bind("fs1", 100, 50) == BLOCK_OK && bind("fs1", 100, 50) == BLOCK_EBUSY);
	mount_turn();
	CHECK(mount.facts.state == BLOCK_READY && mount.facts.first_block == 100 && mount.facts.blocks == 50);
	memset(disk + 99 * disk_bs, 0xa5, 52 * disk_bs);
	io = (struct block_io){ .op = BLOCK_WRITE_ZEROES, .block = 0, .count = 40 };
	CHECK(mount_status(&io) == BLOCK_OK && disk[100 * disk_bs] == 0 && disk[99 * disk_bs] == 0xa5);
	io = (struct block_io){ .op = BLOCK_WRITE_ZEROES, .block = 49, .count = 2 };
	CHECK(mount_status(&io) == BLOCK_ERANGE && disk[150 * disk_bs] == 0xa5);
	CHECK(bind("fs1", 0, 0) == BLOCK_OK);
	io = (struct block_io){ .op = BLOCK_WRITE_ZEROES, .block = 0, .count = 1 };
	CHECK(mount_status(&io) == BLOCK_ENOMEDIUM);
	/* one that is bounded says nothing for others, be it of itself */
	CHECK(bind("fs1", 100, 50) == BLOCK_OK);
	io = (struct block_io){ .op = BLOCK_BIND, .block = 0, .bounds = &(struct block_bounds){ 10, "fs1" } };
	CHECK(mount_status(&io) == BLOCK_EINVAL);
}

static void
bounds_outlive_the_server_and_end_with_who_gave_them(void)
{
	bounds_begin(22);
	CHECK(bind("fs1", 100, 50) == BLOCK_OK);
	CHECK(driver_birth());
	for (unsigned i = 0; i < 8; i++)
		mount_turn();
	CHECK(mount.facts.state == BLOCK_READY && mount.facts.first_block == 100 && mount.facts.blocks == 50);
	client_birth();
	for (unsigned i = 0; i < 8; i++)
		mount_turn();
	CHECK(mount.live && mount.facts.state == BLOCK_NO_MEDIUM);
	CHECK(driver_birth());
	for (unsigned i = 0; i < 8; i++)
		mount_turn();
	CHECK(mount.live && mount.facts.state == BLOCK_NO_MEDIUM);
	CHECK(bind("fs1", 7, 8) == BLOCK_OK);
	mount_turn();
	CHECK(mount.facts.state == BLOCK_READY && mount.facts.first_block == 7);
}

/* What is in progress within the old bounds has ended when they are answered to be away. */
static void
bounds_change_when_nothing_is_in_progress(void)
{
	static struct block_io io[24];
	static struct block_bounds b = { 0, "fs1" };
	static struct block_io away = { .op = BLOCK_BIND, .bounds = &b };
	unsigned ended = 0, refused = 0;
	struct block_io *got;

	bounds_begin(23);
	CHECK(bind("fs1", 100, 50) == BLOCK_OK);
	mount_turn();
	for (unsigned i = 0; i < 24; i++) {
		io[i] = (struct block_io){ .op = BLOCK_WRITE_ZEROES, .block = i, .count = 1 };
		CHECK(block_submit(&mount, &io[i]));
	}
	dev.stuck = true;
	(void)block_push(&mount);
	driver_turn(0);
	CHECK(block_submit(&client.block, &away));
	(void)block_push(&client.block);
	driver_turn(0);
	driver_turn(0);
	CHECK(block_reap(&client.block) == NULL);	/* not while the device is at it */
	dev.stuck = false;
	for (unsigned i = 0; i < 100 && (got = block_reap(&client.block)) == NULL; i++)
		driver_turn(0);
	CHECK(got == &away && away.status == BLOCK_OK);
	for (unsigned i = 0; i < DEPTH; i++)
		CHECK(!dev.slot[i].busy);
	for (unsigned i = 0; i < 40; i++) {
		while ((got = block_reap(&mount)) != NULL) {
			ended++;
			refused += got->status == BLOCK_ENOMEDIUM;
		}
		(void)block_push(&mount);
		pass(1);
	}
	CHECK(ended == 24 && refused != 0);
}

static void
a_disks_number_is_its_components(void)
{
	static const struct { const char *name; unsigned number; } known[] = {
		{ "nvme0", 0 }, { "nvme1", 1 }, { "mmc12", 12 }, { "vda", 0 }, { "vdb", 1 }, { "disk", 0 }, { "", 0 },
	};

	fresh(24);
	CHECK(driver_birth());
	for (unsigned i = 0; i < sizeof known / sizeof *known; i++) {
		memset(test_info.name, 0, sizeof test_info.name);
		memcpy(test_info.name, known[i].name, strlen(known[i].name));
		CHECK(block_disk_number(&server) == known[i].number);
	}
	CHECK(block_disk_number(NULL) == 0);
}

static void
a_client_is_rung_once_for_many_answers(void)
{
	static struct block_io io[32];
	unsigned done = 0;

	begin(16);
	client.stop_at = 0;
	pass(20);
	for (unsigned i = 0; i < 32; i++) {
		io[i] = (struct block_io){ .op = BLOCK_DISCARD, .block = i, .count = 0 };	/* wrong: answered at once */
		block_submit(&client.block, &io[i]);
	}
	block_push(&client.block);
	CHECK(block_rest(&client.block));
	world.rung_client = 0;
	driver_turn(0);
	CHECK(world.rung_client == 1);
	while (block_reap(&client.block) != NULL)
		done++;
	CHECK(done == 32);
}

int
main(void)
{
	RUN(traffic_is_right);
	RUN(traffic_without_fua_and_with_large_blocks);
	RUN(a_full_ring_waits_and_loses_nothing);
	RUN(errors_reach_who_asked);
	RUN(resets_in_the_middle_are_a_pause);
	RUN(a_request_that_kills_the_device_ends);
	RUN(a_driver_dies_at_every_step);
	RUN(both_ends_die_at_every_step);
	RUN(both_ends_die_while_the_device_is_reset);
	RUN(indices_wrap_at_2_to_the_32);
	RUN(wrong_requests_are_refused_by_name);
	RUN(a_read_only_or_simple_device_says_so);
	RUN(requests_of_another_epoch_are_dropped);
	RUN(indices_that_make_no_sense_cost_only_their_client);
	RUN(a_medium_comes_and_goes);
	RUN(a_medium_goes_during_traffic);
	RUN(a_partition_is_a_channel_with_bounds);
	RUN(a_missing_partition_may_come_later);
	RUN(a_copy_of_the_boot_disk_says_so);
	RUN(several_channels_share_a_disk);
	RUN(bounds_are_what_the_disks_client_says);
	RUN(bounds_outlive_the_server_and_end_with_who_gave_them);
	RUN(bounds_change_when_nothing_is_in_progress);
	RUN(a_disks_number_is_its_components);
	RUN(a_client_is_rung_once_for_many_answers);
	CHECK_END();
}
