/* SPDX-License-Identifier: MIT */
/*
 * The NVMe driver against a model of a controller (NVMe 1.4) that checks what the driver does
 * to it, and can be told to answer late, twice, wrong, never, or to die.
 */

enum { LOOKS = 4, ROUND_TURNS = 60, ROUND_SECONDS = 2 };

#include <block_driver_test.h>
#include <driver/mmio.h>
#include "../nvme.h"

enum { BASE = 0x40000000, BAR_BYTES = 0x4000, MSIX = 0x3000, QUEUES = 6, VECTORS = 3, HELD = 512 };

struct held {			/* a command that the device works on */
	struct nvme_sqe sqe;
	unsigned queue;
	unsigned ticks;
};

static struct {
	uint64_t cap, asq, acq;
	uint32_t cc, csts, aqa;
	unsigned enabling, disabling;	/* ticks */
	struct { bool sq, cq; uint64_t sq_io, cq_io; uint32_t sq_depth, cq_depth, vector;
		uint32_t tail, head, cq_tail, cq_head; unsigned phase; } q[QUEUES];
	struct held held[HELD];
	unsigned held_count;
	uint64_t events[VECTORS];
	uint32_t msix[VECTORS][4];
	unsigned namespaces, mdts, serial;
	bool cache, protected;
	uint32_t lbaf;
	unsigned aer_pending;
	uint32_t feature_queues;
	unsigned health_reads, aborts, resets, creates, dataset, zeroes;
	uint8_t warning;
	/* what goes wrong, one of so many commands; 0: nothing */
	unsigned lose_of, error_of, twice_of, garbage_of, fatal_of;
	uint16_t error;
	bool never_ready, never_stops, deaf, dead, setup_errors, ignore_abort;
	unsigned late;			/* ticks that a command takes, at most */
} dev;
static struct nvme driver;

/* ---- the kernel -------------------------------------------------------------- */

static bool
model_runs(void)
{
	return (dev.cc & CC_EN) != 0 || (dev.csts & CSTS_RDY) != 0;
}

/* ---- DMA of the device ---------------------------------------------------------- */

static void
complete(unsigned queue, uint16_t cid, uint32_t result, uint16_t status)
{
	struct nvme_cqe e = { .result = result, .cid = cid, .sq_id = (uint16_t)queue, .sq_head = (uint16_t)dev.q[queue].head };
	uint8_t *at;

	if (!dev.q[queue].cq)
		return;
	e.status = (uint16_t)(status << 1 | dev.q[queue].phase);
	at = reach(dev.q[queue].cq_io + dev.q[queue].cq_tail * 16, 16);
	memcpy(at, &e, 16);
	if (++dev.q[queue].cq_tail == dev.q[queue].cq_depth) {
		dev.q[queue].cq_tail = 0;
		dev.q[queue].phase ^= 1;
	}
	if (dev.q[queue].cq_tail == dev.q[queue].cq_head)
		violation("a completion queue ran over");
	dev.events[dev.q[queue].vector]++;
}

/* ---- commands ---------------------------------------------------------------------- */

static void
identify_controller(uint8_t *p)
{
	memset(p, 0, 4096);
	memcpy(p + ID_SERIAL, "S123                ", 20);
	memcpy(p + ID_MODEL, "Model of a controller                   ", 40);
	memcpy(p + ID_FIRMWARE, "1.0     ", 8);
	p[ID_MDTS] = (uint8_t)dev.mdts;
	p[ID_SQES] = 0x66;
	p[ID_CQES] = 0x44;
	p[ID_AERL] = 3;
	p[ID_ONCS] = ONCS_DATASET | ONCS_WRITE_ZEROES;
	p[ID_VWC] = dev.cache;
}

static void
identify_namespace(uint8_t *p)
{
	uint64_t blocks = DISK_BYTES / disk_bs;

	memset(p, 0, 4096);
	memcpy(p, &blocks, 8);
	memcpy(p + NS_LBAF, &dev.lbaf, 4);
	p[NS_ATTRIBUTES] = dev.protected;
}

static uint16_t
admin_do(const struct nvme_sqe *c, uint32_t *result)
{
	unsigned qid = c->cdw10 & 0xffff;
	uint8_t *p;

	switch (c->opcode) {
	case ADMIN_IDENTIFY:
		p = reach(c->prp1, 4096);
		if (c->cdw10 == CNS_CONTROLLER) {
			identify_controller(p);
		} else if (c->cdw10 == CNS_ACTIVE_LIST) {
			memset(p, 0, 4096);
			for (unsigned i = 0; i < dev.namespaces; i++)
				p[4 * i] = (uint8_t)(i + 1);
		} else {
			identify_namespace(p);
		}
		return dev.setup_errors ? GENERIC_FIELD : 0;
	case ADMIN_SET_FEATURES:
		*result = c->cdw10 == FEATURE_QUEUES ? dev.feature_queues : 0;
		return 0;
	case ADMIN_CREATE_CQ:
		if (qid == 0 || qid >= QUEUES || dev.q[qid].cq || c->prp1 % 4096 != 0 || c->cdw11 >> 16 >= VECTORS)
			return 0x101;
		dev.q[qid].cq = true;
		dev.q[qid].cq_io = c->prp1;
		dev.q[qid].cq_depth = (c->cdw10 >> 16) + 1;
		dev.q[qid].vector = c->cdw11 >> 16;
		dev.q[qid].cq_tail = dev.q[qid].cq_head = 0;
		dev.q[qid].phase = 1;
		dev.creates++;
		return 0;
	case ADMIN_CREATE_SQ:
		if (qid == 0 || qid >= QUEUES || dev.q[qid].sq || !dev.q[c->cdw11 >> 16].cq || c->prp1 % 4096 != 0)
			return 0x101;
		dev.q[qid].sq = true;
		dev.q[qid].sq_io = c->prp1;
		dev.q[qid].sq_depth = (c->cdw10 >> 16) + 1;
		dev.q[qid].head = dev.q[qid].tail = 0;
		return 0;
	case ADMIN_GET_LOG:
		p = reach(c->prp1, 512);
		memset(p, 0, 512);
		if ((c->cdw10 & 0xff) == LOG_HEALTH) {
			dev.health_reads++;
			p[HEALTH_WARNING] = dev.warning;
			p[HEALTH_TEMPERATURE] = 0x37;
			p[HEALTH_TEMPERATURE + 1] = 1;
			p[HEALTH_SPARE] = 99;
		}
		return 0;
	default:
		return GENERIC_OPCODE;
	}
}

/* §4.3, as a device reads it. */
static bool
prps_walk(const struct nvme_sqe *c, uint64_t bytes, bool write)
{
	uint64_t at = (c->cdw10 | (uint64_t)c->cdw11 << 32) * disk_bs, page = c->prp1, list = c->prp2;
	bool first = true, use_list = bytes > 2 * 4096 - c->prp1 % 4096;

	if (c->prp1 % 4 != 0)
		violation("PRP1 is not aligned");
	while (bytes > 0) {
		uint64_t n = 4096 - page % 4096;
		uint8_t *p;

		if (n > bytes)
			n = bytes;
		if (!first && page % 4096 != 0)
			violation("a PRP but the first does not begin a page");
		p = reach(page, n);
		if (write ? !disk_write(at, p, n, (c->cdw12 & IO_FUA) != 0 || !dev.cache) : !disk_read(at, p, n))
			return false;
		at += n;
		bytes -= n;
		first = false;
		if (bytes > 0 && use_list) {
			memcpy(&page, reach(list, 8), 8);
			list += 8;
			if (list % 4096 == 0 && bytes > 4096)
				violation("a PRP list crosses its page");
		} else {
			page = c->prp2;
		}
	}
	return true;
}

static uint16_t
io_do(const struct nvme_sqe *c)
{
	static const uint8_t zeros[DISK_BYTES];
	uint64_t at = (c->cdw10 | (uint64_t)c->cdw11 << 32) * disk_bs, bytes = ((uint64_t)(c->cdw12 & 0xffff) + 1) * disk_bs;
	uint64_t start;
	uint32_t count;
	uint8_t *range;

	if (c->nsid != 1)
		return GENERIC_NAMESPACE;
	switch (c->opcode) {
	case IO_FLUSH:
		disk_flush();
		return 0;
	case IO_READ:
	case IO_WRITE:
		if (dev.mdts != 0 && bytes > 4096u << dev.mdts)
			violation("more than MDTS");
		return prps_walk(c, bytes, c->opcode == IO_WRITE) ? 0 : GENERIC_RANGE;
	case IO_WRITE_ZEROES:
		dev.zeroes++;
		return disk_write(at, zeros, bytes, false) ? 0 : GENERIC_RANGE;
	case IO_DATASET:
		dev.dataset++;
		range = reach(c->prp1, 16);
		memcpy(&count, range + 4, 4);
		memcpy(&start, range + 8, 8);
		if (c->cdw10 != 0 || c->cdw11 != DATASET_DEALLOCATE)
			violation("a wrong deallocate");
		return disk_write(start * disk_bs, zeros, (uint64_t)count * disk_bs, false) ? 0 : GENERIC_RANGE;
	default:
		return GENERIC_OPCODE;
	}
}

static bool
one_of(unsigned n)
{
	return n != 0 && any(n) == 0;
}

static void
garbage(unsigned queue)
{
	unsigned head = dev.q[queue].head;

	switch (any(3)) {
	case 0:
		complete(queue, (uint16_t)(1000 + any(60000)), 0, 0);
		break;
	case 1:
		dev.q[queue].head = 5000;
		complete(queue, 0, 0, 0);
		dev.q[queue].head = head;
		break;
	default:
		for (unsigned cid = 0; cid < NVME_IO_DEPTH; cid++)	/* of no command */
			if (!driver.io[queue - 1].command[cid].busy) {
				complete(queue, (uint16_t)cid, 0, 0);
				break;
			}
	}
}

static void
command_end(const struct held *h)
{
	uint32_t result = 0;
	uint16_t status;

	if (h->queue == 0) {
		status = admin_do(&h->sqe, &result);
		complete(0, h->sqe.cid, result, status);
		return;
	}
	if (one_of(dev.fatal_of)) {
		dev.csts |= CSTS_CFS;
		return;
	}
	if (one_of(dev.lose_of)) {
		if (any(2))
			io_do(&h->sqe);
		return;
	}
	if (one_of(dev.garbage_of))
		garbage(h->queue);
	status = one_of(dev.error_of) ? dev.error : io_do(&h->sqe);
	complete(h->queue, h->sqe.cid, 0, status);
	if (one_of(dev.twice_of) && dev.csts == CSTS_RDY)
		complete(h->queue, h->sqe.cid, 0, 0);
}

static void
abort_do(const struct nvme_sqe *c)
{
	unsigned queue = c->cdw10 & 0xffff, cid = c->cdw10 >> 16;

	dev.aborts++;
	if (dev.ignore_abort)
		return;
	for (unsigned i = 0; i < dev.held_count; i++)
		if (dev.held[i].queue == queue && dev.held[i].sqe.cid == cid) {
			dev.held[i] = dev.held[--dev.held_count];
			complete(queue, (uint16_t)cid, 0, GENERIC_ABORTED);
			break;
		}
	complete(0, c->cid, 0, 0);
}

static void
fetch(unsigned queue)
{
	while (dev.q[queue].head != dev.q[queue].tail) {
		struct held h = { .queue = queue, .ticks = 1 + (dev.late != 0 ? any(dev.late) : 0) };

		memcpy(&h.sqe, reach(dev.q[queue].sq_io + dev.q[queue].head * 64, 64), 64);
		dev.q[queue].head = (dev.q[queue].head + 1) % dev.q[queue].sq_depth;
		if (queue == 0 && h.sqe.opcode == ADMIN_ASYNC_EVENT) {
			dev.aer_pending++;
			continue;
		}
		if (queue == 0 && h.sqe.opcode == ADMIN_ABORT) {
			abort_do(&h.sqe);
			continue;
		}
		if (dev.held_count < HELD)
			dev.held[dev.held_count++] = h;
	}
}

/* ---- registers ------------------------------------------------------------------------ */

uint32_t
model_read(uintptr_t address, unsigned bytes)
{
	uint32_t value = 0;

	model_step();
	if (bytes != 4)
		violation("access of another width");
	if (dev.dead)
		return UINT32_MAX;
	switch (address - BASE) {
	case NVME_CAP: value = (uint32_t)dev.cap; break;
	case NVME_CAP + 4: value = (uint32_t)(dev.cap >> 32); break;
	case NVME_CC: value = dev.cc; break;
	case NVME_CSTS: value = dev.csts; break;
	default: violation("unknown register read");
	}
	return value;
}

static void
controller_control(uint32_t value)
{
	if ((value & CC_EN) != 0 && (dev.cc & CC_EN) == 0) {
		if ((dev.csts & CSTS_RDY) != 0)
			violation("enabled while it was not ready to");
		if (value != CC_WANTED || (dev.aqa & 0xfff) != 31 || (dev.aqa >> 16 & 0xfff) != 31)
			violation("enabled with wrong sizes");
		memset(dev.q, 0, sizeof dev.q);
		dev.q[0].sq = dev.q[0].cq = true;
		dev.q[0].sq_io = dev.asq;
		dev.q[0].cq_io = dev.acq;
		dev.q[0].sq_depth = dev.q[0].cq_depth = 32;
		dev.q[0].phase = 1;
		dev.enabling = 2;
	}
	if ((value & CC_EN) == 0 && (dev.cc & CC_EN) != 0) {
		dev.disabling = 2;
		dev.enabling = 0;
		dev.resets++;
	}
	dev.cc = value;
}

static void
doorbell(unsigned index, uint32_t value)
{
	unsigned queue = index / 2;

	if (queue >= QUEUES || (dev.csts & CSTS_RDY) == 0 || !dev.q[queue].cq || (index % 2 == 0 && !dev.q[queue].sq)) {
		if ((dev.csts & CSTS_RDY) == 0 && (dev.cc & CC_EN) == 0 && dev.disabling == 0)
			violation("a doorbell of a disabled controller");
		return;
	}
	if (index % 2 == 1) {
		if (value >= dev.q[queue].cq_depth)
			violation("a completion head out of range");
		dev.q[queue].cq_head = value;
		return;
	}
	if (value >= dev.q[queue].sq_depth)
		violation("a submission tail out of range");
	dev.q[queue].tail = value;
	if (!dev.deaf)
		fetch(queue);
}

void
model_write(uintptr_t address, uint32_t value, unsigned bytes)
{
	uintptr_t reg = address - BASE;

	model_step();
	if (bytes != 4)
		violation("access of another width");
	if (dev.dead)
		return;
	if (reg >= MSIX && reg < MSIX + VECTORS * 16) {
		dev.msix[(reg - MSIX) / 16][(reg - MSIX) % 16 / 4] = value;
		return;
	}
	if (reg >= NVME_DOORBELLS) {
		doorbell((unsigned)(reg - NVME_DOORBELLS) / 4, value);
		return;
	}
	switch (reg) {
	case NVME_CC: controller_control(value); break;
	case NVME_AQA: dev.aqa = value; break;
	case NVME_ASQ: dev.asq = (dev.asq & ~(uint64_t)UINT32_MAX) | value; break;
	case NVME_ASQ + 4: dev.asq = (dev.asq & UINT32_MAX) | (uint64_t)value << 32; break;
	case NVME_ACQ: dev.acq = (dev.acq & ~(uint64_t)UINT32_MAX) | value; break;
	case NVME_ACQ + 4: dev.acq = (dev.acq & UINT32_MAX) | (uint64_t)value << 32; break;
	default: violation("unknown register written");
	}
}

static void
model_tick(void)
{
	if (dev.disabling != 0 && --dev.disabling == 0 && !dev.never_stops) {
		dev.csts = 0;
		dev.held_count = 0;
		dev.aer_pending = 0;
		memset(dev.events, 0, sizeof dev.events);
	}
	if (dev.enabling != 0 && --dev.enabling == 0 && !dev.never_ready)
		dev.csts = CSTS_RDY;
	if ((dev.csts & (CSTS_RDY | CSTS_CFS)) != CSTS_RDY || dev.dead)
		return;
	for (unsigned i = 0; i < dev.held_count && (dev.csts & CSTS_CFS) == 0;) {
		struct held h = dev.held[i];

		if (h.ticks == UINT32_MAX || --dev.held[i].ticks != 0) {
			i++;
			continue;
		}
		dev.held[i] = dev.held[--dev.held_count];
		command_end(&h);
	}
}

static uint64_t
model_irq(void)
{
	uint64_t bits = 0;

	for (unsigned v = 0; v < VECTORS; v++) {
		if (dev.events[v] != 0 && dev.msix[v][2] == 0x77 + v && dev.msix[v][3] == 0)
			bits |= 0x10ULL << v;
		dev.events[v] = 0;
	}
	return bits;
}

static void
model_reset(void)
{
	memset(&dev, 0, sizeof dev);
	device_bound = false;
	/* firmware left it running: 8 s to get ready, 256 entries, NVM command set */
	dev.cap = 255 | 16ULL << 24 | 1ULL << 37;
	dev.cc = CC_WANTED;
	dev.csts = CSTS_RDY;
	dev.namespaces = 1;
	dev.mdts = 5;
	dev.cache = true;
	dev.lbaf = (disk_bs == 512 ? 9u : 12u) << 16;
	dev.feature_queues = 7 << 16 | 7;
	dev.late = 6;
	test_info.pci = (struct component_pci){
		.name = "0000:00:01.0", .device_slot = 9, .space_slot = 10, .irq_slot = 11, .irq_count = VECTORS,
		.irq_bit = 0x10, .msi_address = 0xfee0000040, .msi_data = 0x77, .msix_table_bar = 0,
		.msix_table_offset = MSIX, .coherent = 1, .bar = { { .address = BASE, .size = BAR_BYTES } },
	};
}

static bool
driver_birth(void)
{
	/* The supervisor unbinds the device of a driver that died, then clears its memory. */
	device_bound = false;
	dev.held_count = 0;
	fresh_dma();
	return block_server_start(&server, &nvme_operations, &driver, &test_info, &test_dma) &&
	    nvme_start(&driver, &server, &test_info.pci, &test_dma);
}

/* ---- what should be ----------------------------------------------------------- */

static void
a_controller_that_firmware_left_running_is_set_up(void)
{
	begin(1);
	client.stop_at = 0;
	pass(80);
	CHECK(driver.state == NVME_LIVE && dev.resets == 1 && device_bound);
	CHECK(driver.queue_count == 2 && driver.depth >= 64 && dev.creates == 2);
	CHECK(dev.msix[1][0] == 0xe0000040 && dev.msix[1][1] == 0xfe && dev.msix[2][2] == 0x79);
	CHECK(client.block.live && client.block.facts.state == BLOCK_READY);
	CHECK(client.block.facts.blocks == DISK_BYTES / 512 && client.block.facts.flags & BLOCK_HAS_CACHE);
	CHECK(strcmp(client.block.facts.model, "Model of a controller") == 0);
	CHECK(strcmp(client.block.facts.serial, "S123") == 0 && strcmp(client.block.facts.name, "nvme0n1") == 0);
	CHECK(dev.health_reads == 1 && logged("health: 38 C") && dev.aer_pending == 4);
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
		CHECK(client.errors == 0 && dev.dataset > 0 && dev.zeroes > 0 && server.statistics.resets == 0);
	}
}

static void
traffic_with_large_blocks_no_cache_one_vector(void)
{
	disk_bs = 4096;
	fresh(7);
	dev.mdts = 0;
	dev.cache = false;
	dev.feature_queues = 0;
	test_info.pci.irq_count = 1;
	CHECK(driver_birth());
	client_birth();
	verdict(run_to_end(4000));
	CHECK(driver.queue_count == 1 && client.errors == 0);
	disk_bs = 512;
}

static void
without_interrupts_it_polls(void)
{
	fresh(8);
	test_info.pci.irq_slot = 0;
	CHECK(driver_birth());
	client_birth();
	verdict(run_to_end(4000));
	CHECK(nvme_operations.deadline(&driver) != 0);
}

static void
little_memory_makes_short_queues(void)
{
	fresh(9);
	CHECK(driver_birth());
	fresh_dma();
	test_dma.size = 160 * 1024;
	CHECK(block_server_start(&server, &nvme_operations, &driver, &test_info, &test_dma));
	device_bound = false;
	CHECK(nvme_start(&driver, &server, &test_info.pci, &test_dma));
	CHECK(driver.depth == NVME_IO_DEPTH_MIN && driver.queues_wanted == 1);
	client_birth();
	verdict(run_to_end(4000));
	fresh_dma();
	test_dma.size = 64 * 1024;
	CHECK(block_server_start(&server, &nvme_operations, &driver, &test_info, &test_dma));
	CHECK(!nvme_start(&driver, &server, &test_info.pci, &test_dma) && logged("not enough memory for DMA"));
}

static void
more_namespaces_are_reported(void)
{
	fresh(10);
	dev.namespaces = 3;
	CHECK(driver_birth());
	client_birth();
	client.stop_at = 50;
	verdict(run_to_end(2000));
	CHECK(logged("namespace 2, 2 MiB, is not served") && logged("namespace 3"));
}

static void
a_write_protected_namespace_is_read_only(void)
{
	fresh(11);
	dev.protected = true;
	CHECK(driver_birth());
	client_birth();
	client.stop_at = 0;
	pass(80);
	CHECK((client.block.facts.flags & BLOCK_READONLY) != 0);
}

/* ---- what should not be ---------------------------------------------------------- */

static void
garbage_is_said_and_survived(void)
{
	for (uint64_t seed = 1; seed <= 6; seed++) {
		begin(seed);
		dev.garbage_of = 12;
		client.stop_at = 1500;
		CHECK(run_with_time_outs(400));
		CHECK(client.wrong == 0 && world.violations == 0 && client.seen[BLOCK_EIO] == 0);
		CHECK(logged("answers nonsense") && dev.resets > 1);
	}
}

static void
completions_that_come_twice_hit_nobody(void)
{
	for (uint64_t seed = 1; seed <= 6; seed++) {
		begin(seed);
		dev.twice_of = 40;
		client.depth = 24;
		CHECK(run_with_time_outs(200));
		CHECK(client.wrong == 0 && world.violations == 0);
	}
}

static void
commands_without_an_answer_are_aborted_then_reset(void)
{
	for (uint64_t seed = 1; seed <= 4; seed++) {
		begin(seed);
		dev.lose_of = 100;
		CHECK(run_with_time_outs(400));
		CHECK(client.wrong == 0 && world.violations == 0);
		CHECK(dev.aborts > 0 && dev.resets > 1 && logged("has no answer: abort"));
		CHECK(client.seen[BLOCK_EIO] == 0);
	}
}

static void
an_abort_that_works_saves_the_reset(void)
{
	begin(5);
	client.stop_at = 0;
	pass(80);
	client.stop_at = 20;
	client.depth = 1;
	client.kinds = 1 << BLOCK_READ;
	dev.late = 0;
	for (unsigned i = 0; i < 400 && client.in_flight == 0; i++)
		client_turn();
	driver_turn(0);
	CHECK(dev.held_count >= 1);		/* it may be a request in parts */
	dev.held[0].ticks = UINT32_MAX;		/* never, by itself */
	seconds(25);
	verdict(run_to_end(500));
	CHECK(dev.aborts == 1 && dev.resets == 1 && client.errors == 0);
}

static void
a_controller_that_does_not_abort_is_reset(void)
{
	begin(6);
	dev.lose_of = 60;
	dev.ignore_abort = true;
	CHECK(run_with_time_outs(400));
	CHECK(client.wrong == 0 && world.violations == 0 && dev.resets > 1);
}

static void
fatal_status_is_a_reset(void)
{
	begin(7);
	dev.fatal_of = 150;
	CHECK(run_with_time_outs(400));
	CHECK(client.wrong == 0 && world.violations == 0 && dev.resets > 1 && logged("fatal status"));
}

static void
errors_are_tried_once_more_if_they_may(void)
{
	begin(8);
	dev.error_of = 10;
	dev.error = 0x281;			/* unrecovered read error */
	verdict(run_to_end(5000));
	CHECK(client.errors > 0 && client.errors < 40 && logged("unrecovered read error, tried again"));
	CHECK(client.seen[BLOCK_EIO] == client.errors);
	begin(8);
	dev.error_of = 10;
	dev.error = 0x4280 | GENERIC_RANGE;	/* DNR, media */
	verdict(run_to_end(5000));
	CHECK(client.errors > 20 && !logged("tried again"));
	seconds(12);
	CHECK(dev.health_reads > 1);
}

static void
statuses_have_names(void)
{
	static const struct { uint16_t status; uint32_t block; } table[] = {
		{ 0x4000 | GENERIC_OPCODE, BLOCK_ENOTSUP }, { 0x4000 | GENERIC_RANGE, BLOCK_ERANGE },
		{ 0x4000 | GENERIC_PROTECTED, BLOCK_EROFS }, { 0x4100 | COMMAND_READONLY, BLOCK_EROFS },
		{ 0x4000 | 0x06, BLOCK_EIO }, { 0x4000 | GENERIC_ABORTED, BLOCK_ETIMEDOUT }, { 0x4300, BLOCK_EIO },
	};

	for (unsigned i = 0; i < sizeof table / sizeof *table; i++) {
		begin(9);
		client.stop_at = 10;
		dev.error_of = 1;
		dev.error = table[i].status;
		run_to_end(2000);
		CHECK(client.seen[table[i].block] == 10);
	}
}

static void
a_controller_that_never_gets_ready_is_given_up(void)
{
	fresh(10);
	dev.never_ready = true;
	CHECK(driver_birth());
	client_birth();
	client.stop_at = 0;
	seconds(60);
	CHECK(driver.state == NVME_BROKEN && !device_bound && client.block.facts.state == BLOCK_FAILED);
	CHECK(logged("no answer while enabling") && logged("does not come up"));
	CHECK(world.violations == 0);
}

static void
a_controller_that_never_stops_never_reaches_memory(void)
{
	fresh(11);
	dev.never_stops = true;
	CHECK(driver_birth());
	client_birth();
	client.stop_at = 0;
	seconds(20);
	CHECK(driver.state == NVME_BROKEN && !device_bound && logged("cannot be stopped"));
	CHECK(world.violations == 0);
}

static void
a_device_that_goes_away_is_said_to_be_gone(void)
{
	begin(12);
	CHECK(run_to_end(3000));
	client.stop_at = 500;
	dev.dead = true;
	seconds(60);
	CHECK(driver.state == NVME_BROKEN && client.block.facts.state == BLOCK_FAILED && logged("gone"));
	CHECK(client.in_flight == 0 && client.seen[BLOCK_EIO] > 0);
}

static void
set_up_that_fails_is_given_up_by_name(void)
{
	fresh(13);
	dev.setup_errors = true;
	CHECK(driver_birth());
	client_birth();
	client.stop_at = 0;
	seconds(10);
	CHECK(driver.state == NVME_BROKEN && logged("identifying the controller failed: wrong field"));
	fresh(13);
	dev.lbaf |= 8;
	CHECK(driver_birth());
	client_birth();
	seconds(20);
	CHECK(driver.state == NVME_BROKEN && logged("it has metadata"));
	fresh(13);
	dev.lbaf = 10 << 16;
	CHECK(driver_birth());
	seconds(20);
	CHECK(driver.state == NVME_BROKEN && logged("neither 512 nor 4096"));
	fresh(13);
	dev.namespaces = 0;
	CHECK(driver_birth());
	seconds(20);
	CHECK(driver.state == NVME_BROKEN && logged("there is no namespace"));
	fresh(13);
	dev.deaf = true;
	CHECK(driver_birth());
	seconds(100);
	CHECK(driver.state == NVME_BROKEN && logged("no answer while identifying the controller"));
	CHECK(world.violations == 0);
}

static void
devices_that_cannot_work_are_refused(void)
{
	fresh(14);
	dev.cap = UINT64_MAX;
	CHECK(!driver_birth());
	fresh(14);
	dev.cap |= 1ULL << 48;			/* pages of at least 8 KiB */
	CHECK(!driver_birth());
	fresh(14);
	dev.cap |= 9ULL << 32;			/* doorbells far apart */
	CHECK(!driver_birth() && logged("doorbells do not fit"));
	fresh(14);
	test_info.pci.bar[0].size = 4096;
	CHECK(!driver_birth());
	fresh(14);
	test_info.pci.msix_table_offset = BAR_BYTES - 16;
	CHECK(!driver_birth() && logged("no MSI-X table"));
}

static void
events_are_told_and_asked_for_again(void)
{
	begin(15);
	client.stop_at = 0;
	pass(80);
	dev.warning = 1 | 1 << 3;
	CHECK(dev.aer_pending == 4);
	for (unsigned cid = 0; cid < NVME_ADMIN_DEPTH; cid++)
		if (driver.admin.command[cid].busy && driver.admin.command[cid].purpose == NVME_FOR_EVENT) {
			complete(0, (uint16_t)cid, LOG_HEALTH << 16 | 1 << 8 | 1, 0);
			dev.aer_pending--;
			break;
		}
	pass(40);
	CHECK(dev.aer_pending == 4 && dev.health_reads == 2);
	CHECK(logged("event: health 1") && logged("spare blocks run low") && logged("read only"));
	CHECK(world.violations == 0);
}

/* ---- deaths ------------------------------------------------------------------------ */

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

static void
deaths_and_resets_together(void)
{
	for (uint64_t seed = 1; seed <= 10; seed++) {
		begin(seed);
		dev.garbage_of = 9;
		CHECK(run_with_deaths(9000, 10, 3000, true));
		CHECK(client.wrong == 0 && world.violations == 0);
	}
}

int
main(void)
{
	RUN(a_controller_that_firmware_left_running_is_set_up);
	RUN(traffic_is_right);
	RUN(traffic_with_large_blocks_no_cache_one_vector);
	RUN(without_interrupts_it_polls);
	RUN(little_memory_makes_short_queues);
	RUN(more_namespaces_are_reported);
	RUN(a_write_protected_namespace_is_read_only);
	RUN(garbage_is_said_and_survived);
	RUN(completions_that_come_twice_hit_nobody);
	RUN(commands_without_an_answer_are_aborted_then_reset);
	RUN(an_abort_that_works_saves_the_reset);
	RUN(a_controller_that_does_not_abort_is_reset);
	RUN(fatal_status_is_a_reset);
	RUN(errors_are_tried_once_more_if_they_may);
	RUN(statuses_have_names);
	RUN(a_controller_that_never_gets_ready_is_given_up);
	RUN(a_controller_that_never_stops_never_reaches_memory);
	RUN(a_device_that_goes_away_is_said_to_be_gone);
	RUN(set_up_that_fails_is_given_up_by_name);
	RUN(devices_that_cannot_work_are_refused);
	RUN(events_are_told_and_asked_for_again);
	RUN(a_driver_dies_at_every_step);
	RUN(both_ends_die_at_every_step);
	RUN(deaths_and_resets_together);
	CHECK_END();
}
