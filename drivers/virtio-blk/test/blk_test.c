/* SPDX-License-Identifier: MIT */
/*
 * The virtio-blk driver against a model of a device (virtio 1.1) that checks what the driver does to
 * it, and can be told to answer late, twice, wrong, never, or to die.
 */

enum { LOOKS = 4, ROUND_TURNS = 60, ROUND_SECONDS = 2 };

#include <block_driver_test.h>
#include <driver/mmio.h>
#include "../blk.h"

enum { BASE = 0x50000000, COMMON = 0x0, ISR = 0x100, DEVICE = 0x200, NOTIFY = 0x300, MSIX = 0x800, BAR_BYTES = 0x1000,
	VECTORS = 2, HELD = 256 };

struct desc {
	uint64_t address;
	uint32_t bytes;
	uint16_t flags, next;
};

struct held {
	uint16_t head;
	unsigned ticks;
};

static struct {
	uint32_t select[2];
	uint64_t offered, accepted;
	uint8_t status, generation;
	uint16_t queue, size, size_max, vector, config_vector, enabled;
	uint64_t desc, avail, used;
	uint8_t config[60];
	uint16_t avail_idx, used_idx;
	struct held held[HELD];
	unsigned held_count, resetting;
	uint64_t events[VECTORS];
	uint32_t msix[VECTORS][4];
	bool never_resets, refuse_features, refuse_vector, generation_races;
	unsigned resets, late, indirect_seen, direct_seen;
	/* what goes wrong, one of so many */
	unsigned lose_of, error_of, twice_of, garbage_of, needs_reset_of, no_status_of;
	uint8_t error;
} dev;
static struct blk driver;

static bool
model_runs(void)
{
	return dev.status != 0 || dev.resetting != 0;
}

static void
put(uint8_t *p, uint64_t v, unsigned bytes)
{
	for (unsigned i = 0; i < bytes; i++)
		p[i] = (uint8_t)(v >> 8 * i);
}

/* ---- requests -------------------------------------------------------------------- */

static void
used_put(uint32_t id, uint32_t bytes)
{
	uint8_t *used = reach(dev.used, 6 + 8u * dev.size);
	uint32_t entry[2] = { id, bytes };

	memcpy(used + 4 + 8 * (dev.used_idx % dev.size), entry, 8);
	dev.used_idx++;
	memcpy(used + 2, &dev.used_idx, 2);
	if (dev.vector < VECTORS)
		dev.events[dev.vector]++;
}

/* §2.6.5: read the chain; all that the device reads comes before what it writes. */
static unsigned
chain_read(uint16_t head, struct desc *out, unsigned room)
{
	uint64_t table = dev.desc;
	unsigned n = 0, limit = dev.size;
	uint16_t at = head;
	bool writes = false;
	struct desc d;

	memcpy(&d, reach(table + at * 16u, 16), 16);
	if ((d.flags & 4) != 0) {
		if ((dev.accepted & VIRTIO_INDIRECT) == 0 || (d.flags & 1) != 0)
			violation("an indirect descriptor that may not be");
		table = d.address;
		limit = d.bytes / 16;
		at = 0;
		dev.indirect_seen++;
	} else {
		dev.direct_seen++;
	}
	for (;;) {
		if (at >= limit || n == room) {
			violation("a chain without an end");
			return n;
		}
		memcpy(&d, reach(table + at * 16u, 16), 16);
		if (writes && (d.flags & 2) == 0)
			violation("read after written");
		writes |= (d.flags & 2) != 0;
		out[n++] = d;
		if ((d.flags & 1) == 0)
			return n;
		at = d.next;
	}
}

static uint8_t
data_move(const struct desc *d, unsigned n, uint64_t sector, bool in)
{
	uint64_t at = sector * 512;

	for (unsigned i = 0; i < n; i++) {
		uint8_t *p = reach(d[i].address, d[i].bytes);

		if (((d[i].flags & 2) != 0) != in)
			violation("a buffer of the wrong direction");
		if (!(in ? disk_read(at, p, d[i].bytes) : disk_write(at, p, d[i].bytes, dev.config[32] == 0)))
			return 1;
		at += d[i].bytes;
	}
	return 0;
}

static uint8_t
range_clear(const struct desc *d)
{
	static const uint8_t zeros[DISK_BYTES];
	uint64_t sector;
	uint32_t sectors, flags;
	const uint8_t *p = reach(d->address, 16);

	memcpy(&sector, p, 8);
	memcpy(&sectors, p + 8, 4);
	memcpy(&flags, p + 12, 4);
	if (d->bytes != 16 || flags != 0 || sectors > 256)
		violation("a wrong range");
	return disk_write(sector * 512, zeros, (uint64_t)sectors * 512, false) ? 0 : 1;
}

static uint8_t
request_do(const struct desc *d, unsigned n)
{
	uint32_t type;
	uint64_t sector;
	const uint8_t *header = reach(d[0].address, 16);

	if (n < 2 || d[0].bytes != 16 || d[n - 1].bytes != 1 || (d[n - 1].flags & 2) == 0 || (d[0].flags & 2) != 0) {
		violation("a request of a wrong form");
		return 1;
	}
	memcpy(&type, header, 4);
	memcpy(&sector, header + 8, 8);
	switch (type) {
	case 0:
	case 1:
		return data_move(d + 1, n - 2, sector, type == 0);
	case 4:
		if (n != 2)
			violation("a flush with data");
		disk_flush();
		return 0;
	case 8:
		memcpy(reach(d[1].address, 20), "serial-of-20-letters", 20);
		return 0;
	case 11:
	case 13:
		return range_clear(&d[1]);
	default:
		return 2;
	}
}

static bool
one_of(unsigned n)
{
	return n != 0 && any(n) == 0;
}

static void
request_end(uint16_t head)
{
	struct desc d[80];
	unsigned n = chain_read(head, d, 80);
	bool live = driver.state == BLK_LIVE;
	uint8_t status;

	if (live && one_of(dev.needs_reset_of)) {
		dev.status |= VIRTIO_NEEDS_RESET;
		if (dev.config_vector < VECTORS)
			dev.events[dev.config_vector]++;
		return;
	}
	if (live && one_of(dev.lose_of)) {
		if (any(2))
			request_do(d, n);
		return;
	}
	if (live && one_of(dev.garbage_of))
		used_put(any(3) == 0 ? 60000 : any(3) == 0 ? UINT32_MAX : dev.size, 1);
	status = live && one_of(dev.error_of) ? dev.error : request_do(d, n);
	if (!live || !one_of(dev.no_status_of))
		*reach(d[n - 1].address, 1) = status;
	used_put(head, 1);
	if (live && one_of(dev.twice_of))
		used_put(head, 1);
}

static void
fetch(void)
{
	uint16_t idx, head;
	const uint8_t *avail = reach(dev.avail, 6 + 2u * dev.size);

	memcpy(&idx, avail + 2, 2);
	if ((uint16_t)(idx - dev.avail_idx) > dev.size)
		violation("more available than there is room for");
	for (; dev.avail_idx != idx; dev.avail_idx++) {
		memcpy(&head, avail + 4 + 2 * (dev.avail_idx % dev.size), 2);
		if (head >= dev.size)
			violation("a head out of range");
		if (dev.held_count < HELD)
			dev.held[dev.held_count++] = (struct held){ head, 1 + (dev.late != 0 ? any(dev.late) : 0) };
	}
}

/* ---- registers -------------------------------------------------------------------- */

uint32_t
model_read(uintptr_t address, unsigned bytes)
{
	uintptr_t reg = address - BASE;

	model_step();
	if (reg >= DEVICE && reg < DEVICE + 60 && bytes == 1) {
		if (dev.generation_races && any(40) == 0)
			dev.generation++;
		return dev.config[reg - DEVICE];
	}
	switch (reg) {
	case 4: return dev.select[0] > 1 ? 0 : (uint32_t)(dev.offered >> 32 * dev.select[0]);
	case 16: return dev.refuse_vector ? 0xffff : dev.config_vector;
	case 18: return 1;
	case 20: return dev.status;
	case 21: return dev.generation;
	case 24: return dev.queue == 0 ? dev.size : 0;
	case 26: return dev.vector;
	case 28: return dev.enabled;
	case 30: return 3;
	default: violation("unknown register read"); return 0;
	}
}

static void
status_write(uint8_t value)
{
	if (value == 0) {
		dev.resetting = dev.never_resets ? 0 : 2;
		dev.resets++;
		if (dev.status == 0)
			dev.resetting = 0;
		return;
	}
	if ((dev.status & value) != dev.status)
		violation("a status bit was cleared");
	if ((value & VIRTIO_FEATURES_OK) != 0 && dev.refuse_features)
		value &= (uint8_t)~VIRTIO_FEATURES_OK;
	if ((value & VIRTIO_DRIVER_OK) != 0 && (dev.status & VIRTIO_DRIVER_OK) == 0 && !dev.enabled)
		violation("DRIVER_OK without a queue");
	dev.status = value;
}

static void
half(uint64_t *to, bool high, uint32_t value)
{
	*to = high ? (*to & UINT32_MAX) | (uint64_t)value << 32 : (*to & ~(uint64_t)UINT32_MAX) | value;
}

void
model_write(uintptr_t address, uint32_t value, unsigned bytes)
{
	uintptr_t reg = address - BASE;

	model_step();
	(void)bytes;
	if (reg >= MSIX && reg < MSIX + VECTORS * 16) {
		dev.msix[(reg - MSIX) / 16][(reg - MSIX) % 16 / 4] = value;
		return;
	}
	if (reg == NOTIFY + 3 * 4) {
		if ((dev.status & VIRTIO_DRIVER_OK) == 0 || value != 0)
			violation("a notification too early");
		else
			fetch();
		return;
	}
	switch (reg) {
	case 0: dev.select[0] = value; break;
	case 8: dev.select[1] = value; break;
	case 12:
		half(&dev.accepted, dev.select[1] == 1, value);
		if ((dev.accepted & ~dev.offered) != 0)
			violation("a feature that was not offered");
		break;
	case 16: dev.config_vector = (uint16_t)value; break;
	case 20: status_write((uint8_t)value); break;
	case 22: dev.queue = (uint16_t)value; break;
	case 24:
		if (value > dev.size_max || (value & (value - 1)) != 0)
			violation("a wrong size of a queue");
		dev.size = (uint16_t)value;
		break;
	case 26: dev.vector = (uint16_t)value; break;
	case 28: dev.enabled = (uint16_t)value; break;
	case 32: half(&dev.desc, false, value); break;
	case 36: half(&dev.desc, true, value); break;
	case 40: half(&dev.avail, false, value); break;
	case 44: half(&dev.avail, true, value); break;
	case 48: half(&dev.used, false, value); break;
	case 52: half(&dev.used, true, value); break;
	default: violation("unknown register written");
	}
}

static void
is_reset(void)
{
	dev.status = 0;
	dev.size = dev.size_max;
	dev.vector = dev.config_vector = 0xffff;
	dev.enabled = 0;
	dev.accepted = 0;
	dev.avail_idx = dev.used_idx = 0;
	dev.held_count = 0;
	memset(dev.events, 0, sizeof dev.events);
}

static void
model_tick(void)
{
	if (dev.resetting != 0 && --dev.resetting == 0)
		is_reset();
	if ((dev.status & VIRTIO_DRIVER_OK) == 0)
		return;
	for (unsigned i = 0; i < dev.held_count && (dev.status & VIRTIO_NEEDS_RESET) == 0;) {
		struct held h = dev.held[i];

		if (--dev.held[i].ticks != 0) {
			i++;
			continue;
		}
		dev.held[i] = dev.held[--dev.held_count];
		request_end(h.head);
	}
}

static uint64_t
model_irq(void)
{
	uint64_t bits = 0;

	for (unsigned v = 0; v < VECTORS; v++) {
		if (dev.events[v] != 0 && dev.msix[v][2] == 0x30 + v && dev.msix[v][3] == 0)
			bits |= 0x100ULL << v;
		dev.events[v] = 0;
	}
	return bits;
}

static void
config_make(void)
{
	put(dev.config, DISK_BYTES / 512, 8);
	put(dev.config + 8, 65536, 4);
	put(dev.config + 12, 30, 4);
	put(dev.config + 20, disk_bs, 4);
	dev.config[24] = 3;
	dev.config[32] = 1;
	put(dev.config + 36, 100, 4);
	put(dev.config + 40, 1, 4);
	put(dev.config + 48, 200, 4);
}

static void
model_reset(void)
{
	memset(&dev, 0, sizeof dev);
	device_bound = false;
	dev.size_max = 256;
	dev.offered = 1 << 1 | 1 << 2 | 1 << 6 | 1 << 9 | 1 << 10 | 1 << 11 | 1 << 13 | 1 << 14 | 1ULL << 28 |
	    1ULL << 29 | 1ULL << 32 | 1ULL << 33 | 1ULL << 35;
	dev.late = 6;
	config_make();
	is_reset();
	dev.status = 0xf;		/* firmware left it running */
	test_info.pci = (struct component_pci){
		.name = "0000:00:02.0", .device_slot = 9, .space_slot = 10, .irq_slot = 11, .irq_count = VECTORS,
		.irq_bit = 0x100, .msi_address = 0x8090040, .msi_data = 0x30, .msix_table_bar = 4, .msix_table_offset = MSIX,
		.coherent = 1,
	};
	test_info.pci.bar[4].address = BASE;
	test_info.pci.bar[4].size = BAR_BYTES;
	test_info.pci.virtio[0].bar = test_info.pci.virtio[1].bar = test_info.pci.virtio[2].bar = test_info.pci.virtio[3].bar = 4;
	test_info.pci.virtio[0].length = 56;
	test_info.pci.virtio[1].offset = NOTIFY;
	test_info.pci.virtio[1].length = 64;
	test_info.pci.virtio[1].multiplier = 4;
	test_info.pci.virtio[2].offset = ISR;
	test_info.pci.virtio[2].length = 1;
	test_info.pci.virtio[3].offset = DEVICE;
	test_info.pci.virtio[3].length = 60;
}

static bool
driver_birth(void)
{
	device_bound = false;
	dev.held_count = 0;
	fresh_dma();
	return block_server_start(&server, &blk_operations, &driver, &test_info, &test_dma) &&
	    blk_start(&driver, &server, &test_info.pci, &test_dma);
}

/* ---- what should be ----------------------------------------------------------------- */

static void
a_device_that_firmware_left_running_is_set_up(void)
{
	begin(1);
	client.stop_at = 0;
	pass(80);
	CHECK(driver.state == BLK_LIVE && device_bound && client.block.live);
	CHECK(client.block.facts.blocks == DISK_BYTES / 512 && client.block.facts.physical_size == 4096);
	CHECK(client.block.facts.flags == (BLOCK_HAS_CACHE | BLOCK_HAS_DISCARD | BLOCK_HAS_ZEROES));
	CHECK(strcmp(client.block.facts.name, "vda") == 0 && strcmp(client.block.facts.serial, "serial-of-20-letters") == 0);
	CHECK(dev.config_vector == 0 && dev.vector == 1 && dev.size == 128);
	CHECK((dev.accepted & 1ULL << 29) == 0 && (dev.accepted & 3ULL << 32) == 3ULL << 32);
	CHECK(world.violations == 0);
}

static void
traffic_is_right(void)
{
	for (uint64_t seed = 1; seed <= 6; seed++) {
		begin(seed);
		client.kinds = 0x3e;
		client.depth = seed % 2 ? 64 : 8;
		client.stop_at = 600;
		verdict(run_to_end(4000));
		CHECK(client.errors == 0 && dev.indirect_seen > 0 && dev.direct_seen == 0);
	}
}

static void
traffic_without_indirect_descriptors_flush_or_interrupts(void)
{
	disk_bs = 4096;
	fresh(7);
	dev.offered &= ~(VIRTIO_INDIRECT | 1 << 9 | 1 << 11 | 1 << 2 | 1 << 1);
	dev.size_max = dev.size = 64;
	dev.config[32] = 0;
	test_info.pci.irq_slot = 0;
	CHECK(driver_birth());
	client_birth();
	verdict(run_to_end(6000));
	CHECK(client.errors == 0 && dev.indirect_seen == 0 && (client.block.facts.flags & BLOCK_HAS_CACHE) == 0);
	disk_bs = 512;
}

static void
a_read_only_device_says_so(void)
{
	fresh(8);
	dev.offered |= 1 << 5;
	CHECK(driver_birth());
	client_birth();
	client.stop_at = 0;
	pass(60);
	CHECK((client.block.facts.flags & BLOCK_READONLY) != 0);
}

static void
a_configuration_that_changes_is_read_of_one_piece(void)
{
	fresh(9);
	dev.generation_races = true;
	CHECK(driver_birth());
	client_birth();
	client.stop_at = 50;
	verdict(run_to_end(3000));
}

static void
a_new_size_is_a_new_epoch(void)
{
	begin(10);
	verdict(run_to_end(3000));
	put(dev.config, DISK_BYTES / 1024, 8);
	dev.generation++;
	dev.events[0]++;
	pass(60);
	CHECK(client.block.facts.blocks == DISK_BYTES / 1024 && client.block.facts.state == BLOCK_READY);
}

/* ---- what should not be ---------------------------------------------------------------- */

static void
refused(const char *why)
{
	CHECK(driver_birth());
	client_birth();
	client.stop_at = 0;
	seconds(20);
	CHECK(driver.state == BLK_BROKEN && !device_bound && client.block.facts.state == BLOCK_FAILED);
	CHECK(logged(why));
	CHECK(world.violations == 0);
}

static void
devices_that_cannot_work_are_refused_by_name(void)
{
	fresh(11);
	dev.offered &= ~VIRTIO_ACCESS_PLATFORM;
	refused("passes the SMMU by");
	fresh(11);
	dev.offered &= ~VIRTIO_VERSION_1;
	refused("older than virtio 1.0");
	fresh(11);
	dev.refuse_features = true;
	refused("refuses its own features");
	fresh(11);
	dev.refuse_vector = true;
	refused("refuses its vector");
	fresh(11);
	dev.size_max = dev.size = 100;
	refused("of a wrong size");
	fresh(11);
	put(dev.config + 20, 1024, 4);
	refused("neither 512 nor 4096");
	fresh(11);
	put(dev.config, 0, 8);
	refused("it has no size");
	fresh(11);
	dev.never_resets = true;
	refused("cannot be reset");
	fresh(11);
	test_info.pci.virtio[1].length = 8;
	refused("doorbell lies outside");
	fresh(11);
	test_info.pci.virtio[0].length = 0;
	CHECK(!driver_birth() && logged("no modern device"));
	fresh(11);
	test_info.pci.bar[4].size = 0x200;
	CHECK(!driver_birth());
}

static void
garbage_is_said_and_survived(void)
{
	for (uint64_t seed = 1; seed <= 6; seed++) {
		begin(seed);
		dev.garbage_of = 12;
		client.stop_at = 1500;
		CHECK(run_with_time_outs(400));
		CHECK(client.wrong == 0 && world.violations == 0 && client.errors == 0);
		CHECK(logged("answers nonsense") && dev.resets > 1);
	}
}

static void
answers_that_come_twice_hit_nobody(void)
{
	for (uint64_t seed = 1; seed <= 6; seed++) {
		begin(seed);
		dev.twice_of = 30;
		client.depth = 24;
		CHECK(run_with_time_outs(400));
		CHECK(client.wrong == 0 && world.violations == 0);
	}
}

static void
requests_without_an_answer_are_a_reset(void)
{
	for (uint64_t seed = 1; seed <= 4; seed++) {
		begin(seed);
		dev.lose_of = 100;
		CHECK(run_with_time_outs(400));
		CHECK(client.wrong == 0 && world.violations == 0 && dev.resets > 1 && logged("has no answer"));
		CHECK(client.seen[BLOCK_EIO] == 0);
	}
}

static void
a_device_that_needs_a_reset_gets_one(void)
{
	begin(12);
	dev.needs_reset_of = 100;
	CHECK(run_with_time_outs(400));
	CHECK(client.wrong == 0 && world.violations == 0 && dev.resets > 1 && logged("it needs a reset"));
}

static void
errors_reach_who_asked(void)
{
	begin(13);
	dev.error_of = 10;
	dev.error = 1;
	verdict(run_to_end(5000));
	CHECK(client.errors > 10 && client.seen[BLOCK_EIO] == client.errors);
	begin(13);
	dev.error_of = 10;
	dev.error = 2;
	verdict(run_to_end(5000));
	CHECK(client.seen[BLOCK_ENOTSUP] == client.errors && client.errors > 10);
	begin(14);
	dev.no_status_of = 200;
	verdict(run_to_end(5000));
	CHECK(client.seen[BLOCK_EIO] == client.errors && client.errors > 0 && logged("without a status"));
}

/* ---- deaths ----------------------------------------------------------------------------- */

static void
a_driver_dies_at_every_step(void)
{
	for (uint64_t seed = 1; seed <= 25; seed++) {
		begin(seed);
		client.kinds = 0x3e;
		verdict(run_with_deaths(9000, 20, 60 + 100 * (unsigned)seed, false));
		CHECK(client.errors == 0);
	}
}

static void
both_ends_die_at_every_step(void)
{
	for (uint64_t seed = 1; seed <= 25; seed++) {
		begin(seed);
		CHECK(run_with_deaths(9000, 20, 60 + 100 * (unsigned)seed, true));
		CHECK(client.wrong == 0 && world.violations == 0 && client.errors == 0);
	}
}

int
main(void)
{
	RUN(a_device_that_firmware_left_running_is_set_up);
	RUN(traffic_is_right);
	RUN(traffic_without_indirect_descriptors_flush_or_interrupts);
	RUN(a_read_only_device_says_so);
	RUN(a_configuration_that_changes_is_read_of_one_piece);
	RUN(a_new_size_is_a_new_epoch);
	RUN(devices_that_cannot_work_are_refused_by_name);
	RUN(garbage_is_said_and_survived);
	RUN(answers_that_come_twice_hit_nobody);
	RUN(requests_without_an_answer_are_a_reset);
	RUN(a_device_that_needs_a_reset_gets_one);
	RUN(errors_reach_who_asked);
	RUN(a_driver_dies_at_every_step);
	RUN(both_ends_die_at_every_step);
	CHECK_END();
}
